/* SPDX-License-Identifier: MIT */
/* Input: VTL0 (registers), devices (levels), local APICs (EOI). State: under dev->lock. */
#include "ioapic.h"

#include "device.h"
#include "inspect.h"
#include "irqline.h"
#include "msi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OFF_INDEX 0x00u
#define OFF_DATA 0x10u

#define IDX_ID 0x00u
#define IDX_VERSION 0x01u
#define IDX_ARB 0x02u
#define IDX_REDIR 0x10u

#define VERSION_VAL (0x11u | (IOAPIC_INPUTS - 1) << 16)
#define ID_MASK 0x0f000000u

/* Redirection entry. */
#define RTE_VECTOR 0xffull
#define RTE_MODE_SHIFT 8
#define RTE_LOGICAL BIT(11)
#define RTE_ACTIVE_LOW BIT(13)
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL BIT(15)
#define RTE_MASKED BIT(16)
#define RTE_EXT_DEST_SHIFT 49 /* destination bits 14:8 */
#define RTE_DEST_SHIFT 56
#define RTE_WRITABLE                                                                     \
	(0xffff000000000000ull | RTE_MASKED | RTE_LEVEL | RTE_ACTIVE_LOW | RTE_LOGICAL | \
	 7ull << RTE_MODE_SHIFT | RTE_VECTOR)
#define RTE_RESET (RTE_MASKED | RTE_LOGICAL)

#define MODE_FIXED 0u
#define MODE_LOWEST 1u

struct ioapic {
	struct device dev;
	struct irq_sink sink;
	const struct msi_sink *msi;
	uint32_t lines; /* levels, one bit per input */
	uint8_t index;
	uint32_t id;
	uint64_t rte[IOAPIC_INPUTS];
};

static unsigned int rte_mode(uint64_t rte)
{
	return (unsigned int)(rte >> RTE_MODE_SHIFT & 7);
}

/* Level triggering exists for these two delivery modes only. */
static bool rte_is_level(uint64_t rte)
{
	return (rte & RTE_LEVEL) && (rte_mode(rte) == MODE_FIXED || rte_mode(rte) == MODE_LOWEST);
}

static void deliver(struct ioapic *io, uint64_t rte)
{
	uint64_t addr = MSI_X86_ADDR | (rte >> RTE_DEST_SHIFT) << 12 |
			(rte >> RTE_EXT_DEST_SHIFT & 0x7f) << 5;
	uint32_t data = (uint32_t)(rte & RTE_VECTOR) | rte_mode(rte) << 8 | MSI_X86_DATA_ASSERT;

	if (rte & RTE_LOGICAL)
		addr |= MSI_X86_ADDR_LOGICAL;
	if (rte_mode(rte) == MODE_LOWEST)
		addr |= MSI_X86_ADDR_HINT;
	if (rte_is_level(rte))
		data |= MSI_X86_DATA_LEVEL;
	io->msi->deliver(io->msi->ctx, addr, data);
}

/* Deliver what is due on one input; edge tells that the line has just gone high. */
static void evaluate(struct ioapic *io, unsigned int n, bool edge)
{
	uint64_t *rte = &io->rte[n];

	if (*rte & RTE_MASKED)
		return;
	if (rte_is_level(*rte)) {
		if (!(io->lines & 1u << n) || (*rte & RTE_REMOTE_IRR))
			return;
		*rte |= RTE_REMOTE_IRR;
	} else if (!edge) {
		return;
	}
	deliver(io, *rte);
}

static void input_set(void *ctx, unsigned int n, bool level)
{
	struct ioapic *io = ctx;
	bool was;

	if (n >= IOAPIC_INPUTS)
		return;
	device_lock(&io->dev);
	was = io->lines & 1u << n;
	if (level) {
		io->lines |= 1u << n;
		evaluate(io, n, !was);
	} else {
		io->lines &= ~(1u << n);
	}
	device_unlock(&io->dev);
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	device_lock(&io->dev);
	for (unsigned int n = 0; n < IOAPIC_INPUTS; n++) {
		if (!(io->rte[n] & RTE_REMOTE_IRR) || (io->rte[n] & RTE_VECTOR) != vector)
			continue;
		io->rte[n] &= ~RTE_REMOTE_IRR;
		evaluate(io, n, false);
	}
	device_unlock(&io->dev);
}

/* Remote IRR survives a write, except that leaving level mode clears it: software without an EOI
 * register uses just that to get rid of a stuck one. */
static void write_rte(struct ioapic *io, unsigned int n, bool high, uint32_t val)
{
	uint64_t half = high ? 0xffffffff00000000ull : 0xffffffffull;
	uint64_t put = high ? (uint64_t)val << 32 : val;
	uint64_t rte = io->rte[n];

	rte = (rte & ~(half & RTE_WRITABLE)) | (put & RTE_WRITABLE);
	if (!rte_is_level(rte))
		rte &= ~RTE_REMOTE_IRR;
	io->rte[n] = rte;
	evaluate(io, n, false);
}

static uint32_t read_reg(struct ioapic *io)
{
	unsigned int n = (io->index - IDX_REDIR) / 2u;

	switch (io->index) {
	case IDX_ID:
		return io->id;
	case IDX_VERSION:
		return VERSION_VAL;
	case IDX_ARB:
		return 0;
	default:
		if (io->index < IDX_REDIR || n >= IOAPIC_INPUTS) {
			device_unknown(&io->dev);
			return io->index < IDX_REDIR ? UINT32_MAX : 0;
		}
		return (uint32_t)(io->index & 1 ? io->rte[n] >> 32 : io->rte[n]);
	}
}

static void write_reg(struct ioapic *io, uint32_t val)
{
	unsigned int n = (io->index - IDX_REDIR) / 2u;

	switch (io->index) {
	case IDX_ID:
		io->id = val & ID_MASK;
		return;
	case IDX_VERSION:
	case IDX_ARB:
		return;
	default:
		if (io->index < IDX_REDIR || n >= IOAPIC_INPUTS)
			device_unknown(&io->dev);
		else
			write_rte(io, n, io->index & 1, val);
	}
}

static enum bus_status ioapic_read(struct device *dev, const struct bus_access *a,
				   uint64_t *ret_val)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);

	switch (a->off) {
	case OFF_INDEX:
		*ret_val = io->index;
		return BUS_OK;
	case OFF_DATA:
		*ret_val = read_reg(io);
		return BUS_OK;
	default:
		return BUS_BAD;
	}
}

static enum bus_status ioapic_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);

	switch (a->off) {
	case OFF_INDEX:
		io->index = (uint8_t)val;
		return BUS_OK;
	case OFF_DATA:
		if (a->size != 4)
			return BUS_BAD;
		write_reg(io, (uint32_t)val);
		return BUS_OK;
	default:
		return BUS_BAD;
	}
}

/* The levels belong to the devices that drive them and stay. */
static void ioapic_reset(struct device *dev)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);

	io->index = 0;
	io->id = 0;
	for (unsigned int n = 0; n < IOAPIC_INPUTS; n++)
		io->rte[n] = RTE_RESET;
}

static void ioapic_destroy(struct device *dev)
{
	device_fini(dev);
	free(container_of(dev, struct ioapic, dev));
}

static const char *mode_name(uint64_t rte)
{
	static const char *const name[] = { "fixed", "lowest_priority", "smi",	 "reserved3", "nmi",
					    "init",  "reserved6",	"extint" };

	return name[rte_mode(rte)];
}

static void inspect_rte(struct inspect *in, const void *obj)
{
	const uint64_t rte = *(const uint64_t *)obj;

	inspect_hex(in, SENS_SENSITIVE, "raw", rte);
	inspect_hex(in, SENS_SENSITIVE, "vector", rte & RTE_VECTOR);
	inspect_str(in, SENS_SENSITIVE, "delivery_mode", mode_name(rte));
	inspect_str(in, SENS_SENSITIVE, "destination_mode",
		    rte & RTE_LOGICAL ? "logical" : "physical");
	inspect_hex(in, SENS_SENSITIVE, "destination",
		    rte >> RTE_DEST_SHIFT | (rte >> RTE_EXT_DEST_SHIFT & 0x7f) << 8);
	inspect_str(in, SENS_SENSITIVE, "trigger_mode", rte & RTE_LEVEL ? "level" : "edge");
	inspect_bool(in, SENS_SENSITIVE, "active_low", rte & RTE_ACTIVE_LOW);
	inspect_bool(in, SENS_SENSITIVE, "remote_irr", rte & RTE_REMOTE_IRR);
	inspect_bool(in, SENS_SENSITIVE, "masked", rte & RTE_MASKED);
}

static void inspect_rtes(struct inspect *in, const void *obj)
{
	const uint64_t *rte = obj;

	for (uint64_t n = 0; n < IOAPIC_INPUTS; n++)
		inspect_dir_at(in, SENS_UNSPEC, n, inspect_rte, &rte[n]);
}

static void ioapic_inspect(struct device *dev, struct inspect *in)
{
	struct ioapic *io = container_of(dev, struct ioapic, dev);
	uint64_t rte[IOAPIC_INPUTS];
	uint32_t lines, id;
	uint8_t index;

	device_lock(dev);
	memcpy(rte, io->rte, sizeof(rte));
	lines = io->lines;
	id = io->id;
	index = io->index;
	device_unlock(dev);
	inspect_hex(in, SENS_SENSITIVE, "id", id >> 24);
	inspect_hex(in, SENS_SENSITIVE, "index", index);
	inspect_binary(in, SENS_SENSITIVE, "lines", lines);
	inspect_dir(in, SENS_UNSPEC, "irqs", inspect_rtes, rte);
}

static const struct device_ops ioapic_ops = {
	.name = "ioapic",
	.reset = ioapic_reset,
	.io_read = ioapic_read,
	.io_write = ioapic_write,
	.inspect = ioapic_inspect,
	.destroy = ioapic_destroy,
};

int ioapic_create(const struct ioapic_wiring *w, struct ioapic **ret_ioapic)
{
	struct ioapic *io = calloc(1, sizeof(*io));

	if (!io)
		return -ENOMEM;
	device_init(&io->dev, &ioapic_ops, "ioapic");
	io->sink = (struct irq_sink){ .set = input_set, .ctx = io };
	io->msi = w->msi;
	ioapic_reset(&io->dev);
	*ret_ioapic = io;
	return 0;
}

struct device *ioapic_device(struct ioapic *io)
{
	return &io->dev;
}

const struct irq_sink *ioapic_sink(struct ioapic *io)
{
	return &io->sink;
}
