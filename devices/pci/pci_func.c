/* SPDX-License-Identifier: MIT */
/*
 * Configuration space is an array of bytes with a mask of the writable ones. Where a BAR is decoded
 * is one word per BAR, so that a VP thread sees a whole address or none while another reprograms
 * it. Input: the driver. Locks: cfg_lock before msix_lock.
 */
#include "pci_func.h"

#include "ckd.h"
#include "inspect.h"
#include "le.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CFG_BYTES 4096u

#define REG_VENDOR 0x00u
#define REG_DEVICE 0x02u
#define REG_COMMAND 0x04u
#define REG_STATUS 0x06u
#define REG_REVISION 0x08u
#define REG_CACHE_LINE 0x0cu
#define REG_BAR 0x10u
#define REG_SUB_VENDOR 0x2cu
#define REG_SUB_DEVICE 0x2eu
#define REG_CAPS 0x34u
#define REG_IRQ_LINE 0x3cu

#define COMMAND_MEMORY BIT(1)
#define COMMAND_MASTER BIT(2)
#define COMMAND_WRITABLE 0x0546u /* memory, master, parity, SERR, INTx disable */
#define STATUS_CAPS BIT(4)

#define BAR_64 0x4u
#define BAR_MAX BIT(40)

#define CAP_MSIX 0x40u
#define CAP_EXPRESS 0x50u
#define CAP_ID_MSIX 0x11u
#define CAP_ID_EXPRESS 0x10u

/* MSI-X: control word, table and PBA in their BAR. */
#define MSIX_CONTROL (CAP_MSIX + 2)
#define MSIX_ENABLE BIT(15)
#define MSIX_MASK_ALL BIT(14)
#define MSIX_PBA_OFF 0x800u
#define MSIX_ENTRY 16u
#define MSIX_VEC_MASKED 1u
BUILD_ASSERT(PCI_MSIX_MAX *MSIX_ENTRY <= MSIX_PBA_OFF, "the table fits before the PBA");

/* PCI Express: version 2 endpoint; registers from the start of the capability. */
#define EXP_FLAGS 0x02u
#define EXP_DEVCAP 0x04u
#define EXP_DEVCTL 0x08u
#define EXP_LNKCAP 0x0cu
#define EXP_LNKSTA 0x12u
#define EXP_LNKCAP2 0x2cu
#define EXP_DEVCAP_ROLE BIT(15) /* role-based error reporting */
#define EXP_DEVCAP_FLR BIT(28)
#define EXP_DEVCTL_FLR BIT(15)
#define EXP_DEVCTL_WRITABLE 0x7cffu
#define EXP_LINK (3u | 4u << 4) /* third speed, four lanes */
#define EXP_SPEEDS 0xeu

#define DECODED 1u /* in a window word: bit 0 of the (aligned) address */

struct msix_vec {
	uint32_t word[4]; /* address low and high, data, control */
};

struct pci_func {
	struct pci_func_cfg cfg;
	pthread_mutex_t cfg_lock; /* protects: reg; rank 1 */
	uint8_t reg[CFG_BYTES];
	uint8_t writable[CFG_BYTES];
	_Atomic uint64_t window[PCI_BARS]; /* address | DECODED, or 0 */

	pthread_mutex_t msix_lock; /* protects: all below but the counters; rank 2 */
	struct msix_vec vec[PCI_MSIX_MAX];
	uint64_t pending; /* bit per vector */
	uint16_t control;
	bool master;
	struct pci_remap remap;

	_Atomic uint64_t messages, dropped; /* MSI-X */
	_Atomic uint64_t resets;
};

/* ---- MSI-X ----------------------------------------------------------------------------------- */

/* msix_lock is held. */
static void vec_send(struct pci_func *f, unsigned i)
{
	const struct msix_vec *v = &f->vec[i];
	uint64_t addr = v->word[0] | (uint64_t)v->word[1] << 32;
	uint32_t data = v->word[2];

	f->pending &= ~BIT(i);
	if (f->remap.fn && !f->remap.fn(f->remap.ctx, &addr, &data)) {
		atomic_fetch_add_explicit(&f->dropped, 1, memory_order_relaxed);
		return;
	}
	atomic_fetch_add_explicit(&f->messages, 1, memory_order_relaxed);
	f->cfg.msi.deliver(f->cfg.msi.ctx, addr, data);
}

/* Send what is pending and may go. msix_lock is held. */
static void flush_pending(struct pci_func *f)
{
	if (!(f->control & MSIX_ENABLE) || (f->control & MSIX_MASK_ALL) || !f->master)
		return;
	for (uint64_t left = f->pending; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);

		if (!(f->vec[i].word[3] & MSIX_VEC_MASKED))
			vec_send(f, i);
	}
}

void pci_func_msix(struct pci_func *f, unsigned vector)
{
	if (vector >= f->cfg.msix_vectors)
		return;
	pthread_mutex_lock(&f->msix_lock);
	f->pending |= BIT(vector);
	flush_pending(f);
	pthread_mutex_unlock(&f->msix_lock);
}

void pci_func_remap(struct pci_func *f, const struct pci_remap *r)
{
	pthread_mutex_lock(&f->msix_lock);
	f->remap = r ? *r : (struct pci_remap){ 0 };
	pthread_mutex_unlock(&f->msix_lock);
}

static uint32_t msix_dword(const struct pci_func *f, uint64_t off)
{
	if (off / MSIX_ENTRY < f->cfg.msix_vectors)
		return f->vec[off / MSIX_ENTRY].word[off % MSIX_ENTRY / 4];
	if (off == MSIX_PBA_OFF)
		return (uint32_t)f->pending;
	if (off == MSIX_PBA_OFF + 4)
		return (uint32_t)(f->pending >> 32);
	return 0;
}

static void msix_write_dword(struct pci_func *f, uint64_t off, uint32_t val)
{
	const unsigned word = (unsigned)(off % MSIX_ENTRY / 4);

	if (off / MSIX_ENTRY >= f->cfg.msix_vectors)
		return;
	if (word == 0)
		val &= ~3u;
	if (word == 3)
		val &= MSIX_VEC_MASKED;
	f->vec[off / MSIX_ENTRY].word[word] = val;
}

/* Smaller reads give their part; @off is aligned to @size. */
static uint64_t msix_read(struct pci_func *f, uint64_t off, unsigned size)
{
	uint64_t val;

	pthread_mutex_lock(&f->msix_lock);
	val = msix_dword(f, off & ~3ull) >> (off & 3) * 8;
	if (size == 8)
		val |= (uint64_t)msix_dword(f, off + 4) << 32;
	pthread_mutex_unlock(&f->msix_lock);
	return val;
}

/* Software writes the table by dwords or qwords only. */
static void msix_write(struct pci_func *f, uint64_t off, unsigned size, uint64_t val)
{
	if (size < 4)
		return;
	pthread_mutex_lock(&f->msix_lock);
	msix_write_dword(f, off, (uint32_t)val);
	if (size == 8)
		msix_write_dword(f, off + 4, (uint32_t)(val >> 32));
	flush_pending(f);
	pthread_mutex_unlock(&f->msix_lock);
}

static void msix_reset(struct pci_func *f)
{
	memset(f->vec, 0, sizeof(f->vec));
	for (unsigned i = 0; i < PCI_MSIX_MAX; i++)
		f->vec[i].word[3] = MSIX_VEC_MASKED;
	f->pending = 0;
	f->control = 0;
	f->master = false;
}

/* ---- BARs ------------------------------------------------------------------------------------ */

/* The register's high half of a 64-bit BAR below it? */
static bool bar_is_high(const struct pci_func *f, unsigned bar)
{
	return bar > 0 && f->cfg.bar_size[bar - 1] && f->cfg.bar_64[bar - 1];
}

uint32_t pci_func_bar_mask(const struct pci_func *f, unsigned bar)
{
	if (bar >= PCI_BARS)
		return 0;
	if (bar_is_high(f, bar))
		return (uint32_t)(~(f->cfg.bar_size[bar - 1] - 1) >> 32);
	if (!f->cfg.bar_size[bar])
		return 0;
	return (uint32_t) ~(f->cfg.bar_size[bar] - 1) | (f->cfg.bar_64[bar] ? BAR_64 : 0);
}

/* cfg_lock is held, or nobody else is there yet. */
static void update_windows(struct pci_func *f)
{
	const bool on = le16_load(f->reg + REG_COMMAND) & COMMAND_MEMORY;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		uint64_t base;

		if (!f->cfg.bar_size[i])
			continue;
		base = le32_load(f->reg + REG_BAR + 4 * i) & ~0xfu;
		if (f->cfg.bar_64[i])
			base |= (uint64_t)le32_load(f->reg + REG_BAR + 4 * i + 4) << 32;
		/* One word: readers need nothing else to be consistent with it. */
		atomic_store_explicit(&f->window[i], on ? base | DECODED : 0, memory_order_relaxed);
	}
}

/* Which BAR decodes all of the access? */
static bool find_bar(struct pci_func *f, uint64_t addr, unsigned size, unsigned *ret_bar,
		     uint64_t *ret_off)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		uint64_t w = atomic_load_explicit(&f->window[i], memory_order_relaxed);
		uint64_t off = addr - (w & ~(uint64_t)DECODED);

		if ((w & DECODED) && range_ok(off, size, f->cfg.bar_size[i])) {
			*ret_bar = i;
			*ret_off = off;
			return true;
		}
	}
	return false;
}

static bool is_msix_bar(const struct pci_func *f, unsigned bar)
{
	return f->cfg.msix_vectors && f->cfg.msix_bar == bar;
}

static bool access_ok(uint64_t off, unsigned size)
{
	return (size == 1 || size == 2 || size == 4 || size == 8) && is_aligned(off, size);
}

static uint64_t size_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : BIT(size * 8) - 1;
}

bool pci_func_mmio_read(struct pci_func *f, uint64_t addr, unsigned size, uint64_t *ret_val)
{
	uint64_t off, val = UINT64_MAX;
	unsigned bar;

	if (!find_bar(f, addr, size, &bar, &off))
		return false;
	if (!is_msix_bar(f, bar))
		val = f->cfg.ops->bar_read(f->cfg.ctx, bar, off, size);
	else if (access_ok(off, size))
		val = msix_read(f, off, size);
	*ret_val = val & size_mask(size);
	return true;
}

bool pci_func_mmio_write(struct pci_func *f, uint64_t addr, unsigned size, uint64_t val)
{
	uint64_t off;
	unsigned bar;

	if (!find_bar(f, addr, size, &bar, &off))
		return false;
	val &= size_mask(size);
	if (!is_msix_bar(f, bar))
		f->cfg.ops->bar_write(f->cfg.ctx, bar, off, size, val);
	else if (access_ok(off, size))
		msix_write(f, off, size, val);
	return true;
}

/* ---- configuration space --------------------------------------------------------------------- */

static void put16(struct pci_func *f, unsigned off, uint16_t val, uint16_t writable)
{
	le16_store(f->reg + off, val);
	le16_store(f->writable + off, writable);
}

static void put32(struct pci_func *f, unsigned off, uint32_t val, uint32_t writable)
{
	le32_store(f->reg + off, val);
	le32_store(f->writable + off, writable);
}

static void put_msix_cap(struct pci_func *f)
{
	const unsigned bar = f->cfg.msix_bar;

	f->reg[CAP_MSIX] = CAP_ID_MSIX;
	f->reg[CAP_MSIX + 1] = CAP_EXPRESS;
	put16(f, MSIX_CONTROL, (uint16_t)(f->cfg.msix_vectors - 1), MSIX_ENABLE | MSIX_MASK_ALL);
	put32(f, CAP_MSIX + 4, bar, 0);
	put32(f, CAP_MSIX + 8, MSIX_PBA_OFF | bar, 0);
}

static void put_express_cap(struct pci_func *f)
{
	f->reg[CAP_EXPRESS] = CAP_ID_EXPRESS;
	put16(f, CAP_EXPRESS + EXP_FLAGS, 2, 0);
	put32(f, CAP_EXPRESS + EXP_DEVCAP, EXP_DEVCAP_ROLE | EXP_DEVCAP_FLR, 0);
	put16(f, CAP_EXPRESS + EXP_DEVCTL, 0, EXP_DEVCTL_WRITABLE);
	put32(f, CAP_EXPRESS + EXP_LNKCAP, EXP_LINK, 0);
	put16(f, CAP_EXPRESS + EXP_LNKSTA, EXP_LINK, 0);
	put32(f, CAP_EXPRESS + EXP_LNKCAP2, EXP_SPEEDS, 0);
}

/* Everything as at the beginning. cfg_lock is held, or nobody else is there yet. */
static void cfg_reset(struct pci_func *f)
{
	const struct pci_func_cfg *c = &f->cfg;

	memset(f->reg, 0, sizeof(f->reg));
	memset(f->writable, 0, sizeof(f->writable));
	put16(f, REG_VENDOR, c->vendor, 0);
	put16(f, REG_DEVICE, c->device, 0);
	put16(f, REG_COMMAND, 0, COMMAND_WRITABLE);
	put16(f, REG_STATUS, STATUS_CAPS, 0);
	put32(f, REG_REVISION,
	      c->revision | (uint32_t)c->prog_if << 8 | (uint32_t)c->sub_class << 16 |
		      (uint32_t)c->base_class << 24,
	      0);
	f->writable[REG_CACHE_LINE] = 0xff;
	for (unsigned i = 0; i < PCI_BARS; i++)
		put32(f, REG_BAR + 4 * i, c->bar_size[i] && c->bar_64[i] ? BAR_64 : 0,
		      pci_func_bar_mask(f, i) & (bar_is_high(f, i) ? UINT32_MAX : ~0xfu));
	put16(f, REG_SUB_VENDOR, c->sub_vendor, 0);
	put16(f, REG_SUB_DEVICE, c->sub_device, 0);
	f->reg[REG_CAPS] = c->msix_vectors ? CAP_MSIX : CAP_EXPRESS;
	f->writable[REG_IRQ_LINE] = 0xff;
	if (c->msix_vectors)
		put_msix_cap(f);
	put_express_cap(f);
	update_windows(f);
}

static bool cfg_access_ok(unsigned off, unsigned size)
{
	return (size == 1 || size == 2 || size == 4) && range_ok(off, size, CFG_BYTES);
}

uint32_t pci_func_cfg_read(struct pci_func *f, unsigned off, unsigned size)
{
	uint32_t val = 0;

	if (!cfg_access_ok(off, size))
		return (uint32_t)size_mask(size);
	pthread_mutex_lock(&f->cfg_lock);
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)f->reg[off + i] << 8 * i;
	pthread_mutex_unlock(&f->cfg_lock);
	return val;
}

/* cfg_lock is held: what the configuration says about messages. */
static void msix_update(struct pci_func *f)
{
	pthread_mutex_lock(&f->msix_lock);
	f->control = f->cfg.msix_vectors ? le16_load(f->reg + MSIX_CONTROL) : 0;
	f->master = le16_load(f->reg + REG_COMMAND) & COMMAND_MASTER;
	flush_pending(f);
	pthread_mutex_unlock(&f->msix_lock);
}

/* cfg_lock is held. */
static void reset_locked(struct pci_func *f)
{
	atomic_fetch_add_explicit(&f->resets, 1, memory_order_relaxed);
	cfg_reset(f);
	pthread_mutex_lock(&f->msix_lock);
	msix_reset(f);
	pthread_mutex_unlock(&f->msix_lock);
	if (f->cfg.ops->reset)
		f->cfg.ops->reset(f->cfg.ctx);
}

void pci_func_reset(struct pci_func *f)
{
	pthread_mutex_lock(&f->cfg_lock);
	reset_locked(f);
	pthread_mutex_unlock(&f->cfg_lock);
}

/* What follows from a write to [off, off + size). cfg_lock is held. */
static void cfg_written(struct pci_func *f, unsigned off, unsigned size, uint16_t old_command)
{
	const uint16_t command = le16_load(f->reg + REG_COMMAND);

	if (range_overlap(off, size, REG_COMMAND, 2) || range_overlap(off, size, REG_BAR, 24))
		update_windows(f);
	if (range_overlap(off, size, REG_COMMAND, 2) || range_overlap(off, size, MSIX_CONTROL, 2))
		msix_update(f);
	if (((command ^ old_command) & (COMMAND_MEMORY | COMMAND_MASTER)) && f->cfg.ops->command)
		f->cfg.ops->command(f->cfg.ctx, command & COMMAND_MASTER, command & COMMAND_MEMORY);
}

void pci_func_cfg_write(struct pci_func *f, unsigned off, unsigned size, uint32_t val)
{
	const unsigned flr = CAP_EXPRESS + EXP_DEVCTL + 1; /* the byte with the bit */
	uint16_t old_command;

	if (!cfg_access_ok(off, size))
		return;
	pthread_mutex_lock(&f->cfg_lock);
	old_command = le16_load(f->reg + REG_COMMAND);
	for (unsigned i = 0; i < size; i++) {
		const uint8_t mask = f->writable[off + i], byte = (uint8_t)(val >> 8 * i);

		f->reg[off + i] = (uint8_t)((f->reg[off + i] & ~mask) | (byte & mask));
	}
	if (range_overlap(off, size, flr, 1) && (val >> 8 * (flr - off) & EXP_DEVCTL_FLR >> 8))
		reset_locked(f);
	else
		cfg_written(f, off, size, old_command);
	pthread_mutex_unlock(&f->cfg_lock);
}

/* ---- making ---------------------------------------------------------------------------------- */

static bool bar_cfg_ok(const struct pci_func_cfg *c, unsigned i)
{
	const uint64_t size = c->bar_size[i];

	if (!size)
		return true;
	if (size < KEEL_PAGE_SIZE || size > BAR_MAX || !is_aligned(size, size))
		return false;
	if (!c->bar_64[i])
		return size < BIT(32);
	return i + 1 < PCI_BARS && !c->bar_size[i + 1];
}

static bool cfg_ok(const struct pci_func_cfg *c)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (!bar_cfg_ok(c, i))
			return false;
	}
	if (c->msix_vectors > PCI_MSIX_MAX)
		return false;
	return !c->msix_vectors ||
	       (c->msix_bar < PCI_BARS && c->bar_size[c->msix_bar] && c->msi.deliver);
}

int pci_func_create(const struct pci_func_cfg *cfg, struct pci_func **ret_f)
{
	struct pci_func *f;

	if (!cfg_ok(cfg))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->cfg = *cfg;
	pthread_mutex_init(&f->cfg_lock, NULL);
	pthread_mutex_init(&f->msix_lock, NULL);
	msix_reset(f);
	cfg_reset(f);
	*ret_f = f;
	return 0;
}

void pci_func_destroy(struct pci_func *f)
{
	if (!f)
		return;
	pthread_mutex_destroy(&f->cfg_lock);
	pthread_mutex_destroy(&f->msix_lock);
	free(f);
}

const struct pci_func_cfg *pci_func_cfg(const struct pci_func *f)
{
	return &f->cfg;
}

/* ---- inspect --------------------------------------------------------------------------------- */

static void inspect_bars(struct inspect *in, const void *obj)
{
	const struct pci_func *f = obj;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		const char name[] = { (char)('0' + i), 0 };
		uint64_t w;

		if (!f->cfg.bar_size[i])
			continue;
		w = atomic_load_explicit(&f->window[i], memory_order_relaxed);
		if (w & DECODED)
			inspect_hex(in, SENS_SENSITIVE, name, w & ~(uint64_t)DECODED);
		else
			inspect_str(in, SENS_SENSITIVE, name, "off");
	}
}

void pci_func_inspect(struct inspect *in, const void *obj)
{
	const struct pci_func *f = obj;
	/* Locks change nothing that anybody sees. */
	struct pci_func *w = (struct pci_func *)(uintptr_t)f;
	uint64_t pending, masked = 0;
	uint16_t control;

	inspect_strf(in, SENS_SAFE, "id", "%04x:%04x", f->cfg.vendor, f->cfg.device);
	inspect_hex(in, SENS_UNSPEC, "command", pci_func_cfg_read(w, REG_COMMAND, 2));
	inspect_dir(in, SENS_SENSITIVE, "bars", inspect_bars, f);
	pthread_mutex_lock(&w->msix_lock);
	pending = f->pending;
	control = f->control;
	for (unsigned i = 0; i < f->cfg.msix_vectors; i++)
		masked |= f->vec[i].word[3] & MSIX_VEC_MASKED ? BIT(i) : 0;
	pthread_mutex_unlock(&w->msix_lock);
	inspect_u64(in, SENS_UNSPEC, "vectors", f->cfg.msix_vectors);
	inspect_bool(in, SENS_UNSPEC, "msix_enabled", control & MSIX_ENABLE);
	inspect_hex(in, SENS_UNSPEC, "msix_masked", masked);
	inspect_hex(in, SENS_UNSPEC, "msix_pending", pending);
	inspect_count(in, SENS_UNSPEC, "messages", atomic_load(&f->messages));
	inspect_count(in, SENS_UNSPEC, "messages_dropped", atomic_load(&f->dropped));
	inspect_count(in, SENS_UNSPEC, "resets", atomic_load(&f->resets));
}
