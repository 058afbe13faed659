/* SPDX-License-Identifier: MIT */
/* See bench_guest.h. One thread, but for on_interrupt, which storvsp calls where it serves. */
#include "bench_guest.h"

#include <check.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "le.h"
#include "scsi.h"
#include "storvsp.h"
#include "storvsp_proto.h"

#define RING_PAGES 32u /* each: 128 KiB, as Linux asks for */
#define BLOCK 4096u
#define INIT_TXID 0xffffffffu

static const struct guid instance =
	GUID_INIT(0xba6163d9, 0x1234, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x01);

static _Noreturn void give_up(const char *what)
{
	(void)fprintf(stderr, "benchmark: %s\n", what);
	exit(1);
}

/* What the assertions of vmguest.c come to when no test is running: the library is not linked. */
void _mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
	(void)msg;
	(void)fprintf(stderr, "benchmark: %s:%d: %s\n", file, line, expr);
	exit(1);
}

/* ---- rings ----------------------------------------------------------------------------------- */

static _Atomic uint32_t *word(const struct bench_ring *r, unsigned off)
{
	return (_Atomic uint32_t *)(void *)(r->ctl + off);
}

static void ring_at(struct bench_ring *r, uint8_t *base)
{
	r->ctl = base;
	r->data = base + KEEL_PAGE_SIZE;
	r->size = (RING_PAGES - 1) * KEEL_PAGE_SIZE;
	r->at = 0;
}

static void copy_to(struct bench_ring *r, const void *src, uint32_t len)
{
	uint32_t first = MIN(len, r->size - r->at);

	memcpy(r->data + r->at, src, first);
	memcpy(r->data, (const uint8_t *)src + first, len - first);
	r->at = (r->at + len) % r->size;
}

static void copy_from(const struct bench_ring *r, uint32_t at, void *dst, uint32_t len)
{
	uint32_t first = MIN(len, r->size - at);

	memcpy(dst, r->data + at, first);
	memcpy((uint8_t *)dst + first, r->data, len - first);
}

/* @len is a multiple of 8; there is room, because the ring holds more than BENCH_DEPTH requests. */
static void put_packet(struct bench_guest *bg, uint16_t type, uint64_t txid, const void *ranges,
		       uint32_t ranges_len, const void *data, uint32_t len)
{
	const struct vmpkt_header h = {
		.type = type,
		.data_off8 = (uint16_t)((sizeof(h) + ranges_len) / 8),
		.len8 = (uint16_t)((sizeof(h) + ranges_len + len) / 8),
		.flags = VMPKT_FLAG_COMPLETION,
		.txid = txid,
	};
	const uint64_t trailer = (uint64_t)bg->out.at << 32;

	copy_to(&bg->out, &h, sizeof(h));
	copy_to(&bg->out, ranges, ranges_len);
	copy_to(&bg->out, data, len);
	copy_to(&bg->out, &trailer, sizeof(trailer));
}

bool bench_guest_commit(struct bench_guest *bg)
{
	const uint32_t before = bg->told;

	if (bg->out.at == before)
		return false;
	bg->told = bg->out.at;
	atomic_store(word(&bg->out, VMRING_IN), bg->told);
	/* As Linux: only if the host wants it and may have thought that the ring was empty. */
	return !atomic_load(word(&bg->out, VMRING_INTERRUPT_MASK)) &&
	       atomic_load(word(&bg->out, VMRING_OUT)) == before;
}

void bench_guest_signal(struct bench_guest *bg)
{
	bg->signals++;
	vmbus_server_signal(bg->vm.server, bg->chan->id);
}

/* One packet; false: none. The packet storvsp sent, cut to its size. */
static bool take(struct bench_guest *bg, uint64_t *ret_txid, struct storvsp_packet *ret_pkt)
{
	struct bench_ring *r = &bg->in;
	struct vmpkt_header h;
	uint32_t off, len;

	if (r->at == atomic_load_explicit(word(r, VMRING_IN), memory_order_acquire))
		return false;
	copy_from(r, r->at, &h, sizeof(h));
	off = h.data_off8 * 8u;
	len = MIN(h.len8 * 8u - off, (uint32_t)sizeof(*ret_pkt));
	memset(ret_pkt, 0, sizeof(*ret_pkt));
	copy_from(r, (r->at + off) % r->size, ret_pkt, len);
	*ret_txid = h.type == VMPKT_COMPLETION ? h.txid : UINT64_MAX;
	r->at = (r->at + h.len8 * 8u + VMPKT_TRAILER) % r->size;
	return true;
}

unsigned bench_guest_reap(struct bench_guest *bg, uint32_t *ret_slots, unsigned max)
{
	struct storvsp_packet pkt;
	unsigned n = 0;
	uint64_t txid;

	atomic_store_explicit(word(&bg->in, VMRING_INTERRUPT_MASK), 1, memory_order_relaxed);
	for (;;) {
		while (n < max && take(bg, &txid, &pkt)) {
			if (txid == UINT64_MAX)
				continue;
			if (pkt.h.status || (pkt.srb.srb_status & 0x3f) != SRB_SUCCESS)
				give_up("a request failed");
			ret_slots[n++] = (uint32_t)txid;
		}
		atomic_store_explicit(word(&bg->in, VMRING_OUT), bg->in.at, memory_order_release);
		if (n == max)
			return n;
		atomic_store(word(&bg->in, VMRING_INTERRUPT_MASK), 0);
		if (bg->in.at == atomic_load(word(&bg->in, VMRING_IN)))
			return n;
	}
}

uint64_t bench_guest_interrupts(const struct bench_guest *bg)
{
	return bg->chan->interrupts;
}

bool bench_guest_interrupted(struct bench_guest *bg)
{
	return atomic_exchange(&bg->chan->guest_signal, false);
}

/* ---- requests -------------------------------------------------------------------------------- */

static uint64_t slot_gpa(const struct bench_guest *bg, uint32_t slot, uint32_t bytes)
{
	const uint64_t small = bg->data_gpa + (uint64_t)BENCH_BIG * BENCH_SLOT;

	return bytes > BLOCK ? bg->data_gpa + (uint64_t)slot * BENCH_SLOT
			     : small + (uint64_t)slot * BLOCK;
}

void bench_guest_put(struct bench_guest *bg, uint32_t slot, bool write, uint32_t block,
		     uint32_t bytes)
{
	const uint32_t lba = block * (BLOCK / 512), blocks = bytes / 512;
	const uint64_t gpa = slot_gpa(bg, slot, bytes);
	struct {
		struct storvsp_gpa_head head;
		uint64_t pages[BENCH_SLOT / BLOCK];
	} ranges = { .head = { .ranges = 1, .bytes = bytes } };
	struct storvsp_packet pkt = {
		.h = { .op = STORVSP_EXECUTE_SRB, .flags = STORVSP_FLAG_COMPLETION },
		.srb = { .length = sizeof(pkt.srb),
			 .cdb_len = 10,
			 .sense_len = STORVSP_SENSE_MAX,
			 .data_in = write ? STORVSP_DATA_OUT : STORVSP_DATA_IN,
			 .data_len = bytes,
			 .cdb = { write ? 0x2a : 0x28 },
			 .srb_flags = write ? 0x182 : 0x142,
			 .timeout = 60 },
	};

	for (uint32_t i = 0; i < bytes / BLOCK; i++)
		ranges.pages[i] = gpa / BLOCK + i;
	for (unsigned i = 0; i < 4; i++)
		pkt.srb.cdb[2 + i] = (uint8_t)(lba >> (24 - 8 * i));
	pkt.srb.cdb[7] = (uint8_t)(blocks >> 8);
	pkt.srb.cdb[8] = (uint8_t)blocks;
	put_packet(bg, VMPKT_GPA_DIRECT, slot, &ranges,
		   (uint32_t)(sizeof(ranges.head) + bytes / BLOCK * sizeof(uint64_t)), &pkt,
		   sizeof(pkt));
	bg->requests++;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static void step(struct bench_guest *bg, void (*serve)(struct loop *loop))
{
	loop_poll(bg->vm.loop);
	if (serve)
		serve(bg->vp_loop);
	else
		(void)usleep(1000);
}

/* Send a packet without data and wait for its answer. */
static void ask(struct bench_guest *bg, void (*serve)(struct loop *loop),
		const struct storvsp_packet *pkt, const char *what)
{
	struct storvsp_packet got;
	uint64_t txid = 0;

	put_packet(bg, VMPKT_INBAND, INIT_TXID, NULL, 0, pkt, sizeof(*pkt));
	if (bench_guest_commit(bg))
		bench_guest_signal(bg);
	for (unsigned i = 0; i < 10000; i++) {
		step(bg, serve);
		while (take(bg, &txid, &got)) {
			atomic_store(word(&bg->in, VMRING_OUT), bg->in.at);
			if (txid != INIT_TXID)
				continue;
			if (got.h.status && pkt->h.op != STORVSP_EXECUTE_SRB)
				give_up(what);
			return;
		}
	}
	give_up(what);
}

static void initialize(struct bench_guest *bg, void (*serve)(struct loop *loop))
{
	struct storvsp_packet pkt = { .h = { STORVSP_BEGIN_INIT, STORVSP_FLAG_COMPLETION, 0 } };

	ask(bg, serve, &pkt, "BEGIN_INITIALIZATION was refused");
	pkt.h.op = STORVSP_QUERY_VERSION;
	pkt.version.version = STORVSP_BLUE;
	ask(bg, serve, &pkt, "version 6.0 was refused");
	memset(pkt.raw, 0, sizeof(pkt.raw));
	pkt.h.op = STORVSP_QUERY_PROPERTIES;
	ask(bg, serve, &pkt, "QUERY_PROPERTIES was refused");
	pkt.h.op = STORVSP_END_INIT;
	ask(bg, serve, &pkt, "END_INITIALIZATION was refused");
	/* TEST UNIT READY until nothing is left to be reported. */
	pkt.h.op = STORVSP_EXECUTE_SRB;
	pkt.srb = (struct storvsp_srb){ .length = sizeof(pkt.srb),
					.cdb_len = 6,
					.data_in = STORVSP_DATA_NONE };
	for (unsigned i = 0; i < 4; i++)
		ask(bg, serve, &pkt, "TEST UNIT READY was refused");
}

/* Open the channel: the answer may need both loops. */
static void open_chan(struct bench_guest *bg, void (*serve)(struct loop *loop))
{
	struct vmguest *g = &bg->vm;
	struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL,
				.chan_id = bg->chan->id,
				.open_id = 7,
				.downstream_page = RING_PAGES };
	uint32_t page;

	o.ring_gpadl = vmguest_gpadl(g, bg->chan->id, 2 * RING_PAGES, &page);
	(void)vmguest_expect(g, VMBUS_GPADL_CREATED);
	ring_at(&bg->out, g->mem + (size_t)page * KEEL_PAGE_SIZE);
	ring_at(&bg->in, g->mem + (size_t)(page + RING_PAGES) * KEEL_PAGE_SIZE);
	le32_store(bg->in.ctl + VMRING_INTERRUPT_MASK, 0);
	vmguest_send(g, &o, VMBUS_OPEN_V1_SIZE);
	for (unsigned i = 0; i < 1000 && !g->n_msgs; i++)
		step(bg, serve);
	if (le32_load(vmguest_expect(g, VMBUS_OPEN_CHANNEL_RESULT)->raw + 16))
		give_up("the channel was not opened");
}

static struct loop *loop_of(void *ctx, uint32_t vp)
{
	const struct bench_guest *bg = ctx;

	(void)vp;
	return bg->vp_loop;
}

static void attach(struct bench_guest *bg, struct disk *d)
{
	const struct storvsp_cfg cfg = { .instance = instance, .queue_depth = BENCH_DEPTH };
	const struct storvsp_wiring w = { .server = bg->vm.server,
					  .owner = bg->vm.loop,
					  .gm = bg->vm.gm,
					  .vp_loop = loop_of,
					  .ctx = bg };
	const struct scsi_unit_cfg unit = { .name = "bench" };
	struct scsi_unit *u;

	if (scsi_disk_create(&unit, d, &u) < 0 || storvsp_create(&cfg, &w, &bg->vsp) < 0 ||
	    storvsp_attach(bg->vsp, 0, 0, u) < 0)
		give_up("there is no controller with a disk");
}

void bench_guest_init(struct bench_guest *bg, struct disk *d, struct loop *vp_loop,
		      void (*serve)(struct loop *loop))
{
	memset(bg, 0, sizeof(*bg));
	bg->vp_loop = vp_loop;
	vmguest_init(&bg->vm, VMBUS_COPPER, 0);
	attach(bg, d);
	vmguest_contact(&bg->vm, VMBUS_IRON, 0);
	(void)vmguest_offers(&bg->vm);
	bg->chan = vmguest_find(&bg->vm, &instance);
	if (!bg->chan)
		give_up("the controller is not offered");
	bg->heap_bytes = mallinfo2().uordblks;
	open_chan(bg, serve);
	bg->heap_bytes = mallinfo2().uordblks - bg->heap_bytes;
	bg->data_gpa = VMGUEST_BASE + (uint64_t)bg->vm.next_page * KEEL_PAGE_SIZE;
	initialize(bg, serve);
}
