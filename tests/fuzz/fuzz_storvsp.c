/* SPDX-License-Identifier: MIT */
/*
 * A storvsp controller whose guest is the input: packets, page numbers, ring words, opens, closes
 * and moves, while the host adds and removes a unit. The guest's memory is all it can reach, every
 * completion belongs to a request, and in the end all of it goes away.
 */
#include "fuzz.h"

#include "bug.h"
#include "fake_disk.h"
#include "loop.h"
#include "rd.h"
#include "storvsc_guest.h"
#include "vmbus_proto.h"

#include <string.h>

#define STEPS 200u

static struct sg g;
static struct storvsp *stv;
static bool destroyed;

static void on_destroyed(void *ctx)
{
	destroyed = true;
}

static void settle(void)
{
	for (int i = 0; i < 4; i++)
		loop_poll(g.owner);
}

static struct scsi_unit *unit(void)
{
	struct scsi_unit *u;

	BUG_ON(scsi_disk_create(&(struct scsi_unit_cfg){ .name = "f" }, fake_disk(256, 512), &u) <
	       0);
	return u;
}

/* A packet of the input's bytes; half of them with a plausible head. */
static void send_packet(struct sg_chan *c, struct rd *in)
{
	static const uint8_t ops[] = { 3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 13, 11, 0 };
	struct storvsp_packet pkt = { .h.op = ops[rd_u8(in) % sizeof(ops)] };
	const uint8_t shape = rd_u8(in);
	const uint16_t flags = (uint16_t)(shape & 0x20 ? 0 : VMPKT_FLAG_COMPLETION);
	const uint32_t bytes = rd_le16(in), offset = rd_u8(in) * 16u;
	const uint32_t need = (bytes + offset + 4095) / 4096;
	uint32_t n = (uint32_t)MIN(in->left, 40u);
	uint64_t pfns[20];
	const uint8_t *raw = rd_bytes(in, n);

	if (raw)
		memcpy(pkt.raw, raw, n);
	if (pkt.h.op == STORVSP_QUERY_VERSION && shape & 1)
		pkt.version.version = STORVSP_THRESHOLD;
	if (pkt.h.op == STORVSP_EXECUTE_SRB && shape & 1) {
		pkt.srb.path = 0;
		pkt.srb.target &= 1;
		pkt.srb.lun &= 1;
		pkt.srb.cdb_len = 16;
		pkt.srb.data_in %= 3;
		pkt.srb.data_len = bytes;
	}
	n = MIN(need, (uint32_t)ARRAY_SIZE(pfns));
	for (uint32_t i = 0; i < n; i++)
		pfns[i] = (SG_BASE >> KEEL_PAGE_SHIFT) + 64 + (shape & 2 ? i : i * 7 % 5) +
			  (shape & 4 ? 0 : SG_PAGES / 2 - 66);
	if (shape & 8 && n)
		pfns[n - 1] = shape & 16 ? UINT64_MAX : 1;
	(void)sg_send_raw(&g, c, flags, shape, &pkt, shape & 0x40 ? 40 + bytes % 24 : 64, bytes,
			  offset, pfns, n);
}

/* The guest's own side of the incoming ring may be broken by itself: read without checks. */
static void drain(struct sg_chan *c)
{
	struct storvsp_packet pkt;
	const struct iovec iov = { &pkt, sizeof(pkt) };
	struct ring_pkt rp;
	bool signal;

	for (int i = 0; i < 1000 && ring_get(&c->in, &rp, &iov, 1) == 0; i++)
		BUG_ON(rp.type != VMPKT_COMPLETION && rp.type != VMPKT_INBAND);
	if (ring_in_commit(&c->in, &signal) == 0 && signal)
		sg_signal(&g, c);
	if (ring_in_arm(&c->in) < 0)
		return;
}

static void poke(struct sg_chan *c, struct rd *in)
{
	static const uint8_t offs[] = { 0, 4, 8, 12, 64 };
	const uint8_t which = rd_u8(in);
	const uint32_t val = rd_le32(in);
	/* Our own ring's words; of the other one only what the guest writes. */
	const gpa_t at = c->ring + (which & 1 ? SG_RING_PAGES * KEEL_PAGE_SIZE : 0);

	memcpy(sg_at(&g, at + offs[(which >> 1) % sizeof(offs)]), &val, sizeof(val));
}

static void unit_changes(void)
{
	if (storvsp_detach(stv, 0, 1, NULL, NULL) < 0) {
		struct scsi_unit *u = unit();

		if (storvsp_attach(stv, 0, 1, u) < 0)
			scsi_unit_put(u);
	}
}

static void step(struct rd *in)
{
	const uint8_t what = rd_u8(in);
	struct sg_chan *c = sg_find(&g, (uint16_t)(what >> 4 & 3));

	if (!c)
		c = sg_find(&g, 0);
	if (!c->open) {
		memset(c->reqs, 0, sizeof(c->reqs));
		(void)sg_open(&g, c, 0);
		return;
	}
	switch (what & 15) {
	case 8:
		poke(c, in);
		break;
	case 9:
		sg_signal(&g, c);
		break;
	case 10:
		sg_close(&g, c);
		break;
	case 11:
		sg_modify(&g, c, 0);
		break;
	case 12:
		unit_changes();
		break;
	case 13:
		drain(c);
		break;
	case 14:
		settle();
		break;
	case 15:
		sg_teardown(&g, c);
		break;
	default:
		send_packet(c, in);
		sg_commit(&g, c);
	}
	if (what & 0x40)
		settle();
}

static void release_rescinded(void)
{
	for (unsigned i = 0; i < g.n_chans; i++) {
		if (g.chans[i]->rescinded && g.chans[i]->id) {
			sg_release(&g, g.chans[i]);
			g.chans[i]->id = 0;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct storvsp_cfg cfg = { .instance = GUID_INIT(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
					 .max_subchannels = 3,
					 .queue_depth = 8,
					 .max_transfer = 65536 };
	struct rd in = rd_make(data, size);
	struct storvsp_wiring w;

	sg_init_inline(&g);
	w = sg_wiring(&g);
	(void)sg_pages(&g, 128); /* data */
	BUG_ON(storvsp_create(&cfg, &w, &stv) < 0);
	BUG_ON(storvsp_attach(stv, 0, 0, unit()) < 0);
	BUG_ON(sg_open(&g, sg_find(&g, 0), 0));
	if (size && data[0] & 1) {
		rd_skip(&in, 1);
		sg_negotiate(&g, sg_find(&g, 0), STORVSP_THRESHOLD);
	}
	for (unsigned i = 0; i < STEPS && in.left && g.n_chans < SG_MAX_CHANS - 4; i++)
		step(&in);
	destroyed = false;
	storvsp_destroy(stv, on_destroyed, NULL);
	for (int i = 0; !destroyed; i++) {
		BUG_ON(i > 1000);
		release_rescinded();
		loop_poll(g.owner);
	}
	sg_fini(&g);
	return 0;
}
