/* SPDX-License-Identifier: MIT */
/*
 * Input: the client's packets (server's thread), its accesses and retargets (VP threads). The VP
 * threads see two things of the state: where the configuration window is and where each message
 * goes, one atomic word each.
 */
#include "vpci.h"

#include "ckd.h"
#include "inspect.h"
#include "log.h"
#include "loop.h"
#include "server.h"
#include "vpci_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "vpci"

#define BATCH 32u /* packets between two pauses */

/* ---- sending --------------------------------------------------------------------------------- */

static void fail(struct vpci *v, const char *what)
{
	if (!v->broken)
		log_warn_rl(ALLOWED, "channel %u: %s, given up", vmbus_chan_id(v->ch), what);
	v->broken = true;
}

static void put(struct vpci *v, uint16_t type, uint64_t txid, const void *buf, size_t len)
{
	/* The ring only reads it. */
	const struct iovec iov = { (void *)(uintptr_t)buf, len };

	if (v->broken)
		return;
	if (ring_put(&vmbus_chan_pipe(v->ch)->out, type, false, txid, &iov, 1) < 0)
		fail(v, "no room for an answer");
	else
		v->sent++;
}

void vpci_send(struct vpci *v, const void *msg, size_t len)
{
	put(v, VMPKT_INBAND, 0, msg, len);
}

void vpci_complete(struct vpci *v, const struct ring_pkt *pkt, const void *reply, size_t len)
{
	if (pkt->want_completion)
		put(v, VMPKT_COMPLETION, pkt->txid, reply, len);
}

/* Make what was put visible. */
static void flush(struct vpci *v)
{
	bool signal = false;

	if (v->broken)
		return;
	if (ring_out_commit(&vmbus_chan_pipe(v->ch)->out, &signal) < 0)
		fail(v, "outgoing ring failed");
	else if (signal)
		vmbus_chan_interrupt(v->ch);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* The most that one request can make us send, as far as the ring could ever hold it. */
static uint32_t room_wanted(const struct pipe *p)
{
	const uint32_t half = p->out.mem.n_pages * KEEL_PAGE_SIZE / 2;

	return MIN(half, VPCI_REPLY_MAX + (uint32_t)sizeof(struct vpci_relations2) + 64u);
}

/* 1: a packet is in v->buf; 0: none, or no room for its answer: a signal will come; -errno. */
static int next_packet(struct vpci *v, struct ring_pkt *ret_pkt)
{
	struct pipe *p = vmbus_chan_pipe(v->ch);
	const struct iovec iov = { v->buf, sizeof(v->buf) };
	bool signal = false;
	int r;

	r = ring_out_want(&p->out, room_wanted(p));
	if (r <= 0)
		return r;
	r = ring_get(&p->in, ret_pkt, &iov, 1);
	if (r == -EAGAIN) {
		r = ring_in_arm(&p->in);
		if (r <= 0)
			return r;
		r = ring_get(&p->in, ret_pkt, &iov, 1);
	}
	if (r == 0)
		r = ring_in_commit(&p->in, &signal);
	if (signal)
		vmbus_chan_interrupt(v->ch);
	return r < 0 ? r : 1;
}

/* Nothing of the client's remains: no window, no messages, no DMA. */
static void forget_client(struct vpci *v)
{
	v->open = false;
	v->version = 0;
	atomic_store_explicit(&v->window, 0, memory_order_release);
	vpci_msg_clear(v);
	pci_func_reset(v->cfg.func);
}

static void process(struct vpci *v)
{
	struct ring_pkt pkt;
	unsigned n;
	int r = 0;

	for (n = 0; n < BATCH && !v->broken && !v->leave; n++) {
		r = next_packet(v, &pkt);
		if (r <= 0)
			break;
		v->received++;
		if (pkt.type != VMPKT_INBAND) {
			fail(v, "packet of an unexpected type");
			break;
		}
		vpci_handle(v, &pkt);
	}
	if (r < 0)
		fail(v, "incoming ring failed");
	flush(v);
	if (v->leave) {
		forget_client(v);
		vmbus_chan_revoke(v->ch);
	} else if (n == BATCH) {
		loop_post(v->cfg.loop, &v->more);
	}
}

static void go_on(void *ctx)
{
	struct vpci *v = ctx;
	void (*done)(void *ctx) = v->done;
	void *done_ctx = v->done_ctx;

	if (v->released) {
		if (done)
			done(done_ctx);
		free(v);
	} else if (v->open) {
		process(v);
	}
}

static void on_signalled(void *ctx, struct vmbus_chan *ch)
{
	process(ctx);
}

/* ---- life of the channel --------------------------------------------------------------------- */

static void on_open(void *ctx, struct vmbus_chan *ch)
{
	struct vpci *v = ctx;

	v->open = true;
	v->version = 0;
	v->broken = false;
	vmbus_chan_open_done(ch, 0);
	process(v);
}

static void on_close(void *ctx, struct vmbus_chan *ch)
{
	struct vpci *v = ctx;

	forget_client(v);
	if (v->ejecting)
		vmbus_chan_revoke(ch);
	else
		vmbus_chan_close_done(ch);
}

static void on_released(void *ctx, struct vmbus_chan *ch)
{
	struct vpci *v = ctx;

	pci_func_remap(v->cfg.func, NULL);
	v->open = false;
	v->released = true;
	loop_post(v->cfg.loop, &v->more); /* it may be on its way already: then that one frees */
}

static const struct vmbus_chan_ops chan_ops = {
	.open = on_open,
	.close = on_close,
	.signalled = on_signalled,
	.released = on_released,
};

int vpci_create(const struct vpci_cfg *cfg, struct vpci **ret_v)
{
	const struct vmbus_chan_cfg chan = { .interface_id = VPCI_INTERFACE_GUID,
					     .instance_id = cfg->instance,
					     .kind = VMBUS_CHAN_RAW,
					     .ops = &chan_ops };
	struct vmbus_chan_cfg with_ctx = chan;
	struct vpci *v;
	int r;

	if (!cfg->vps || !cfg->apic_ids)
		return -EINVAL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->cfg = *cfg;
	v->more = (struct loop_work){ .fn = go_on, .ctx = v };
	with_ctx.ctx = v;
	r = vmbus_chan_offer(cfg->server, &with_ctx, &v->ch);
	if (r < 0) {
		free(v);
		return r;
	}
	pci_func_remap(cfg->func, &(struct pci_remap){ .fn = vpci_msg_remap, .ctx = v });
	*ret_v = v;
	return 0;
}

void vpci_destroy(struct vpci *v, void (*done)(void *ctx), void *ctx)
{
	v->done = done;
	v->done_ctx = ctx;
	v->ejecting = true;
	if (v->released) /* the ejection is about to be done */
		return;
	forget_client(v);
	vmbus_chan_revoke(v->ch);
}

void vpci_eject(struct vpci *v, void (*done)(void *ctx), void *ctx)
{
	const struct vpci_slot_msg m = { .type = VPCI_EJECT };

	if (!v->open || !v->version || v->broken) {
		vpci_destroy(v, done, ctx);
		return;
	}
	v->done = done;
	v->done_ctx = ctx;
	if (v->ejecting)
		return;
	v->ejecting = true;
	vpci_send(v, &m, sizeof(m));
	flush(v);
}

/* ---- accesses -------------------------------------------------------------------------------- */

/* Is the access in the window? */
static bool in_window(struct vpci *v, uint64_t addr, unsigned size, uint32_t *ret_off)
{
	const uint64_t w = atomic_load_explicit(&v->window, memory_order_acquire);
	const uint64_t off = addr - (w & ~(uint64_t)VPCI_WINDOW_ON);

	if (!(w & VPCI_WINDOW_ON) || !range_ok(off, size, VPCI_WINDOW_BYTES))
		return false;
	*ret_off = (uint32_t)off;
	return true;
}

static bool is_on(struct vpci *v)
{
	return atomic_load_explicit(&v->window, memory_order_acquire) & VPCI_WINDOW_ON;
}

static uint64_t window_read(struct vpci *v, uint32_t off, unsigned size)
{
	const uint32_t slot = atomic_load_explicit(&v->slot, memory_order_relaxed);
	uint64_t val;

	if (off < VPCI_WINDOW_CONFIG)
		return off == 0 && size == 4 ? slot : 0;
	if (slot != 0)
		return UINT64_MAX;
	off -= VPCI_WINDOW_CONFIG;
	if (size != 8)
		return pci_func_cfg_read(v->cfg.func, off, size);
	val = pci_func_cfg_read(v->cfg.func, off, 4);
	return val | (uint64_t)pci_func_cfg_read(v->cfg.func, off + 4, 4) << 32;
}

bool vpci_mmio_read(struct vpci *v, uint64_t addr, unsigned size, uint64_t *ret_val)
{
	uint32_t off;

	if (in_window(v, addr, size, &off)) {
		*ret_val = window_read(v, off, size);
		if (size < 8)
			*ret_val &= BIT(size * 8) - 1;
		return true;
	}
	return is_on(v) && pci_func_mmio_read(v->cfg.func, addr, size, ret_val);
}

static void window_write(struct vpci *v, uint32_t off, unsigned size, uint64_t val)
{
	if (off < VPCI_WINDOW_CONFIG) {
		if (off == 0 && size == 4)
			atomic_store_explicit(&v->slot, (uint32_t)val, memory_order_relaxed);
		return;
	}
	if (atomic_load_explicit(&v->slot, memory_order_relaxed) != 0)
		return;
	off -= VPCI_WINDOW_CONFIG;
	pci_func_cfg_write(v->cfg.func, off, MIN(size, 4), (uint32_t)val);
	if (size == 8)
		pci_func_cfg_write(v->cfg.func, off + 4, 4, (uint32_t)(val >> 32));
}

bool vpci_mmio_write(struct vpci *v, uint64_t addr, unsigned size, uint64_t val)
{
	uint32_t off;

	if (in_window(v, addr, size, &off)) {
		window_write(v, off, size, val);
		return true;
	}
	return is_on(v) && pci_func_mmio_write(v->cfg.func, addr, size, val);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static void inspect_msgs(struct inspect *in, const void *obj)
{
	const struct vpci *v = obj;

	for (uint32_t i = 0; i < VPCI_MSGS; i++) {
		const uint64_t t = atomic_load_explicit(&v->target[i], memory_order_relaxed);
		char name[] = { (char)('0' + i / 100), (char)('0' + i / 10 % 10),
				(char)('0' + i % 10), 0 };

		if (t & TARGET_VALID)
			inspect_strf(in, SENS_SENSITIVE, name, "vector %u, APIC %u",
				     TARGET_VECTOR(t), TARGET_DEST(t));
	}
}

void vpci_inspect(struct inspect *in, const void *obj)
{
	const struct vpci *v = obj;
	char instance[GUID_STR_LEN + 1];
	uint64_t w = atomic_load_explicit(&v->window, memory_order_relaxed);

	guid_format(&v->cfg.instance, instance);
	inspect_str(in, SENS_SAFE, "instance", instance);
	inspect_u64(in, SENS_SAFE, "serial", v->cfg.serial);
	inspect_bool(in, SENS_UNSPEC, "open", v->open);
	inspect_bool(in, SENS_UNSPEC, "failed", v->broken);
	inspect_bool(in, SENS_UNSPEC, "ejecting", v->ejecting);
	inspect_strf(in, SENS_UNSPEC, "version", "%u.%u", v->version >> 16, v->version & 0xffff);
	inspect_bool(in, SENS_UNSPEC, "d0", w & VPCI_WINDOW_ON);
	if (w & VPCI_WINDOW_ON)
		inspect_hex(in, SENS_SENSITIVE, "window", w & ~(uint64_t)VPCI_WINDOW_ON);
	inspect_count(in, SENS_UNSPEC, "received", v->received);
	inspect_count(in, SENS_UNSPEC, "sent", v->sent);
	inspect_count(in, SENS_UNSPEC, "bad_requests", v->bad);
	inspect_count(in, SENS_UNSPEC, "retargets",
		      atomic_load_explicit(&v->retargets, memory_order_relaxed));
	inspect_dir(in, SENS_SENSITIVE, "messages", inspect_msgs, v);
	inspect_dir(in, SENS_UNSPEC, "function", pci_func_inspect, v->cfg.func);
}
