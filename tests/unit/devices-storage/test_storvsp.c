/* SPDX-License-Identifier: MIT */
/*
 * storvsp against a guest's driver in the same process: a real channel server, real rings, and a
 * thread for each VP's loop.
 */
#include "fake_disk.h"
#include "inspect_get.h"
#include "le.h"
#include "loop.h"
#include "scsi_proto.h"
#include "storvsc_guest.h"
#include "vmbus_proto.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct sg g;
static struct storvsp *stv;
static struct disk *disk;
static bool destroyed;

static const struct storvsp_cfg base_cfg = {
	.instance = GUID_INIT(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
	.max_subchannels = 64,
	.queue_depth = 32,
	.poll_depth = 1,
};

static struct scsi_unit *unit(struct disk *d)
{
	struct scsi_unit *u;

	ck_assert_int_eq(scsi_disk_create(&(struct scsi_unit_cfg){ .name = "t" }, d, &u), 0);
	return u;
}

static void begin(unsigned vps, const struct storvsp_cfg *cfg)
{
	struct storvsp_wiring w;

	sg_init(&g, vps);
	w = sg_wiring(&g);
	ck_assert_int_eq(storvsp_create(cfg, &w, &stv), 0);
	disk = fake_disk(1u << 16, 512);
	ck_assert_int_eq(storvsp_attach(stv, 0, 0, unit(disk)), 0);
}

/* Two VPs, the primary channel open and negotiated. */
static void setup(void)
{
	begin(2, &base_cfg);
	ck_assert_uint_eq(sg_open(&g, sg_find(&g, 0), 0), 0);
	sg_negotiate(&g, sg_find(&g, 0), STORVSP_THRESHOLD);
}

static void on_destroyed(void *ctx)
{
	destroyed = true;
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

static void teardown(void)
{
	if (stv) {
		destroyed = false;
		storvsp_destroy(stv, on_destroyed, NULL);
		sg_until(&g, (release_rescinded(), destroyed));
		stv = NULL;
	}
	sg_fini(&g);
}

static struct sg_chan *primary(void)
{
	struct sg_chan *c = sg_find(&g, 0);

	ck_assert_ptr_nonnull(c);
	return c;
}

static uint64_t shown(const char *path)
{
	const char *text = inspect_get(storvsp_inspect, stv, path);
	char *end;
	const uint64_t n = strtoull(text, &end, 0);

	ck_assert_ptr_ne(end, text);
	return n;
}

static uint64_t counter(const char *chan, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "channels/%s/count/%s", chan, name);
	return shown(path);
}

static struct storvsp_packet op(struct sg_chan *c, uint32_t what, uint16_t arg)
{
	const struct storvsp_packet pkt = { .h.op = what,
					    .h.flags = STORVSP_FLAG_COMPLETION,
					    .version.version = arg };

	return sg_call(&g, c, &pkt, sizeof(pkt));
}

static void expect_good(const struct storvsp_srb *srb, uint32_t len)
{
	ck_assert_uint_eq(srb->srb_status, SRB_SUCCESS);
	ck_assert_uint_eq(srb->scsi_status, SCSI_GOOD);
	ck_assert_uint_eq(srb->data_len, len);
}

/* ---- negotiation ----------------------------------------------------------------------------- */

START_TEST(negotiation_order)
{
	struct sg_chan *c;
	struct storvsp_packet r;

	begin(1, &base_cfg);
	c = primary();
	ck_assert_uint_eq(sg_open(&g, c, 0), 0);
	ck_assert_uint_eq(op(c, STORVSP_QUERY_VERSION, 0x602).h.status, 0xc0000184);
	ck_assert_uint_eq(op(c, STORVSP_END_INIT, 0).h.status, 0xc0000184);
	ck_assert_uint_eq(op(c, STORVSP_EXECUTE_SRB, 0).h.status, 0xc0000184);
	ck_assert_uint_eq(op(c, STORVSP_BEGIN_INIT, 0).h.status, 0);
	ck_assert_uint_eq(op(c, STORVSP_BEGIN_INIT, 0).h.status, 0xc0000184);
	ck_assert_uint_eq(op(c, STORVSP_QUERY_VERSION, 0x700).h.status, 0xc0000059);
	ck_assert_uint_eq(op(c, STORVSP_QUERY_PROPERTIES, 0).h.status, 0xc0000184);
	r = op(c, STORVSP_QUERY_VERSION, 0x602);
	ck_assert_uint_eq(r.h.status, 0);
	ck_assert_uint_eq(r.version.version, 0x602);
	ck_assert_uint_eq(op(c, STORVSP_CREATE_SUB_CHANNELS, 1).h.status, 0xc0000184);
	r = op(c, STORVSP_QUERY_PROPERTIES, 0);
	ck_assert_uint_eq(r.h.status, 0);
	ck_assert_uint_eq(r.properties.max_subchannels, 64);
	ck_assert_uint_eq(r.properties.flags, 1);
	ck_assert_uint_eq(r.properties.max_transfer, 0x40000);
	ck_assert_uint_eq(op(c, STORVSP_CREATE_SUB_CHANNELS, 65).h.status, 0xc000000d);
	ck_assert_uint_eq(op(c, STORVSP_END_INIT, 0).h.status, 0);
	ck_assert_uint_eq(op(c, STORVSP_BEGIN_INIT, 0).h.status, 0xc0000184);
}
END_TEST

/* Versions before 5.1 have shorter packets and no sub-channels; each gets its own size back. */
START_TEST(old_versions)
{
	static const uint16_t versions[] = { 0x200, 0x402, 0x501, 0x600 };
	struct sg_chan *c;

	begin(1, &base_cfg);
	c = primary();
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct storvsp_packet pkt = { .h.op = STORVSP_QUERY_PROPERTIES };

		ck_assert_uint_eq(sg_open(&g, c, 0), 0);
		ck_assert_uint_eq(op(c, STORVSP_BEGIN_INIT, 0).h.status, 0);
		ck_assert_uint_eq(op(c, STORVSP_QUERY_VERSION, versions[i]).h.status, 0);
		pkt = sg_call(&g, c, &pkt, 48);
		ck_assert_uint_eq(pkt.properties.max_subchannels, versions[i] < 0x501 ? 0 : 64);
		ck_assert_uint_eq(op(c, STORVSP_END_INIT, 0).h.status, 0);
		pkt = (struct storvsp_packet){ .h.op = STORVSP_EXECUTE_SRB,
					       .srb = { .data_in = 2, .cdb_len = 6 } };
		pkt = sg_call(&g, c, &pkt, 48);
		ck_assert_uint_eq(pkt.srb.srb_status, SRB_SUCCESS);
		sg_close(&g, c);
		sg_until(&g, g.torn == i + 1);
	}
}
END_TEST

/* ---- units ----------------------------------------------------------------------------------- */

START_TEST(presence)
{
	const gpa_t data = sg_pages(&g, 1);
	struct sg_cmd inq = { .cdb = { 0x12, 0, 0, 0, 96 }, .data_in = 1, .data = data, .len = 96 };
	struct sg_cmd luns = { .cdb = { 0xa0, [8] = 2 }, .data_in = 1, .data = data, .len = 512 };
	struct sg_cmd tur = { .data_in = 2 };
	struct storvsp_srb r;

	ck_assert_int_eq(storvsp_attach(stv, 0, 63, unit(disk_get(disk))), 0);
	ck_assert_int_eq(storvsp_attach(stv, 1, 5, unit(disk_get(disk))), 0);
	r = sg_run(&g, primary(), &inq);
	expect_good(&r, 96);
	ck_assert_uint_eq(*sg_at(&g, data), 0);
	/* What is not there says so, once with a name and then without. */
	inq.target = 1;
	r = sg_run(&g, primary(), &inq);
	expect_good(&r, 96);
	ck_assert_uint_eq(*sg_at(&g, data), 0x7f);
	ck_assert_mem_eq(sg_at(&g, data) + 8, "Msft    ", 8);
	inq.lun = 9;
	r = sg_run(&g, primary(), &inq);
	ck_assert_uint_eq(sg_at(&g, data)[8], 0);
	inq.cdb[1] = 1;
	r = sg_run(&g, primary(), &inq);
	ck_assert_uint_eq(r.srb_status, SRB_INVALID_REQUEST | 0x80);
	ck_assert_uint_eq(r.scsi_status, 2);
	ck_assert_uint_eq(r.cdb[2], 5);
	ck_assert_uint_eq(r.cdb[12], 0x24);
	tur.lun = 1;
	r = sg_run(&g, primary(), &tur);
	ck_assert_uint_eq(r.srb_status, SRB_INVALID_LUN);
	ck_assert_uint_eq(r.scsi_status, 2);
	tur.lun = 0;
	tur.path = 1;
	r = sg_run(&g, primary(), &tur);
	ck_assert_uint_eq(r.srb_status, SRB_INVALID_LUN);
	tur.path = 0;
	tur.target = 255;
	r = sg_run(&g, primary(), &tur);
	ck_assert_uint_eq(r.srb_status, SRB_INVALID_LUN);
	tur.target = 0;
	tur.lun = 255;
	r = sg_run(&g, primary(), &tur);
	ck_assert_uint_eq(r.srb_status, SRB_INVALID_LUN);
	r = sg_run(&g, primary(), &luns);
	expect_good(&r, 24);
	ck_assert_mem_eq(sg_at(&g, data), "\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\x3f", 18);
	luns.target = 1;
	r = sg_run(&g, primary(), &luns);
	expect_good(&r, 16);
	ck_assert_uint_eq(sg_at(&g, data)[9], 5);
	luns.path = 3;
	r = sg_run(&g, primary(), &luns);
	expect_good(&r, 8);
	ck_assert_uint_ge(counter("0", "absent_unit"), 7);
}
END_TEST

START_TEST(attach_errors)
{
	struct scsi_unit *u = unit(disk_get(disk));

	ck_assert_int_eq(storvsp_attach(stv, 0, 0, u), -EEXIST);
	ck_assert_int_eq(storvsp_attach(stv, 2, 0, u), -EINVAL);
	ck_assert_int_eq(storvsp_attach(stv, 0, 64, u), -EINVAL);
	ck_assert_int_eq(storvsp_detach(stv, 0, 1, NULL, NULL), -ENOENT);
	scsi_unit_put(u);
}
END_TEST

static unsigned n_detached;

static void on_detached(void *ctx)
{
	n_detached++;
}

/* The guest is told of units that come and go. */
START_TEST(hot_add_and_remove)
{
	struct sg_cmd tur = { .data_in = 2, .lun = 3 };

	ck_assert_uint_eq(primary()->notices, 0);
	ck_assert_int_eq(storvsp_attach(stv, 0, 3, unit(disk_get(disk))), 0);
	sg_until(&g, (sg_poll(&g, primary()), primary()->notices == 1));
	ck_assert_uint_eq(sg_run(&g, primary(), &tur).srb_status, SRB_SUCCESS);
	n_detached = 0;
	ck_assert_int_eq(storvsp_detach(stv, 0, 3, on_detached, NULL), 0);
	sg_until(&g, (sg_poll(&g, primary()), primary()->notices == 2 && n_detached == 1));
	ck_assert_uint_eq(sg_run(&g, primary(), &tur).srb_status, SRB_INVALID_LUN);
	/* Only the unit at 0 and the test hold the disk... which the unit took over. */
	ck_assert_uint_eq(fake_disk_refs(disk), 2); /* unit and its queue */
}
END_TEST

START_TEST(capacity)
{
	struct sg_cmd tur = { .data_in = 2 };
	struct storvsp_srb r;
	struct disk_info info;

	disk_info(disk, &info);
	info.generation++;
	fake_disk_set_info(disk, &info);
	storvsp_rescan(stv);
	sg_until(&g, (sg_poll(&g, primary()), primary()->notices == 1));
	r = sg_run(&g, primary(), &tur);
	ck_assert_uint_eq(r.srb_status, SRB_ERROR | 0x80);
	ck_assert_uint_eq(r.cdb[2], 6);
	ck_assert_uint_eq(r.cdb[12], 0x2a);
	ck_assert_uint_eq(r.sense_len, 20);
	ck_assert_uint_eq(sg_run(&g, primary(), &tur).srb_status, SRB_SUCCESS);
}
END_TEST

/* ---- data ------------------------------------------------------------------------------------ */

START_TEST(data_layouts)
{
	const gpa_t a = sg_pages(&g, 80);
	uint64_t pfns[64], first = a >> KEEL_PAGE_SHIFT;
	struct sg_cmd w = sg_rw(0, true, 100, 64, a + 512), r = sg_rw(0, false, 100, 64, 0);
	const struct fake_disk_seen *log;
	struct storvsp_srb srb;

	for (unsigned i = 0; i < 32768; i++)
		sg_at(&g, a)[512 + i] = (uint8_t)(i * 31 + i / 256);
	srb = sg_run(&g, primary(), &w);
	expect_good(&srb, 32768);
	ck_assert_mem_eq(fake_disk_data(disk, 100), sg_at(&g, a) + 512, 32768);
	ck_assert_uint_eq(fake_disk_log(disk, &log), 1);
	ck_assert_uint_eq(log[0].n_iov, 1); /* neighbours are one piece */
	ck_assert_uint_eq(log[0].timeout_ms, 45000);
	/* Pages in any order, an offset: pieces. */
	for (unsigned i = 0; i < 9; i++)
		pfns[i] = first + 20 + (i * 7) % 9;
	r.pfns = pfns;
	r.offset = 3584;
	srb = sg_run(&g, primary(), &r);
	expect_good(&srb, 32768);
	for (unsigned i = 0; i < 32768; i++) {
		const unsigned at = i + 3584;
		const uint8_t *page = sg_at(&g, pfns[at / 4096] << KEEL_PAGE_SHIFT);

		ck_assert_uint_eq(page[at % 4096], (uint8_t)(i * 31 + i / 256));
	}
	/* The same page twice. */
	for (unsigned i = 0; i < 9; i++)
		pfns[i] = first + 20;
	srb = sg_run(&g, primary(), &r);
	expect_good(&srb, 32768);
	/* Across the border of two regions, which lie elsewhere in this process. */
	r.pfns = NULL;
	r.data = SG_BASE + (SG_PAGES / 2 - 4) * (gpa_t)KEEL_PAGE_SIZE;
	r.offset = 0;
	srb = sg_run(&g, primary(), &r);
	expect_good(&srb, 32768);
	ck_assert_mem_eq(sg_at(&g, r.data), fake_disk_data(disk, 100), 16384);
	ck_assert_mem_eq(sg_at(&g, r.data + 16384), fake_disk_data(disk, 132), 16384);
}
END_TEST

START_TEST(data_errors)
{
	const gpa_t a = sg_pages(&g, 70);
	struct sg_cmd r = sg_rw(0, false, 0, 8, a);
	uint64_t pfn = 1;
	struct storvsp_srb srb;
	struct storvsp_packet pkt = {
		.h.op = STORVSP_EXECUTE_SRB,
		.srb = { .cdb = { 0x28, [8] = 1 }, .cdb_len = 10, .data_in = 1, .data_len = 512 }
	};

	r.pfns = &pfn; /* not RAM */
	srb = sg_run(&g, primary(), &r);
	ck_assert_uint_eq(srb.srb_status, SRB_INVALID_REQUEST | 0x80);
	pfn = UINT64_MAX;
	srb = sg_run(&g, primary(), &r);
	ck_assert_uint_eq(srb.srb_status, SRB_INVALID_REQUEST | 0x80);
	ck_assert_uint_eq(srb.cdb[12], 0x24);
	/* Data without memory; a direction that does not exist; a CDB too long. */
	ck_assert_uint_eq(sg_call(&g, primary(), &pkt, 64).srb.srb_status,
			  SRB_INVALID_REQUEST | 0x80);
	pkt.srb.data_in = 3;
	ck_assert_uint_eq(sg_call(&g, primary(), &pkt, 64).srb.srb_status,
			  SRB_INVALID_REQUEST | 0x80);
	pkt.srb.data_in = 2;
	pkt.srb.cdb_len = 17;
	ck_assert_uint_eq(sg_call(&g, primary(), &pkt, 64).srb.srb_status,
			  SRB_INVALID_REQUEST | 0x80);
	/* The most that was agreed, and one block more. */
	r = sg_rw(0, false, 0, 512, a);
	srb = sg_run(&g, primary(), &r);
	expect_good(&srb, 262144);
	r = sg_rw(0, false, 0, 513, a);
	srb = sg_run(&g, primary(), &r);
	ck_assert_uint_eq(srb.srb_status, SRB_INVALID_REQUEST | 0x80);
	ck_assert_uint_ge(counter("0", "bad_memory"), 3);
	/* All of that was the guest's problem only. */
	r = sg_rw(0, false, 0, 8, a);
	srb = sg_run(&g, primary(), &r);
	expect_good(&srb, 4096);
}
END_TEST

/* More requests than the depth, in one batch: every one ends once, with few signals. */
START_TEST(batches)
{
	const gpa_t a = sg_pages(&g, 256);
	struct sg_chan *c = primary();
	uint64_t txid[200];
	struct storvsp_srb srb;
	const uint64_t irqs = counter("0", "interrupts"), puts = counter("0", "batches");

	for (unsigned i = 0; i < 200; i++) {
		const struct sg_cmd r = sg_rw(0, false, i, 1, a + i * 4096ull);

		memset(fake_disk_data(disk, i), (int)i, 512);
		txid[i] = sg_start(&g, c, &r);
		ck_assert_uint_ne(txid[i], 0);
	}
	sg_commit(&g, c);
	for (unsigned i = 0; i < 200; i++) {
		sg_until(&g, (sg_poll(&g, c), sg_ended(c, txid[i], &srb)));
		expect_good(&srb, 512);
		ck_assert_uint_eq(*sg_at(&g, a + i * 4096ull), (uint8_t)i);
	}
	ck_assert_uint_eq(counter("0", "requests"), 204);
	ck_assert_uint_eq(counter("0", "completions"), 204);
	ck_assert_uint_le(counter("0", "batches") - puts, 50);
	ck_assert_uint_le(counter("0", "interrupts") - irqs, 50);
	ck_assert_uint_le(fake_disk_peak(disk), base_cfg.queue_depth);
}
END_TEST

/* A guest that does not take its completions: requests wait; nothing is lost. */
START_TEST(full_ring)
{
	struct sg_chan *c = primary();
	const struct sg_cmd tur = { .data_in = 2 };
	unsigned ended = 0, sent = 0;

	/* 16 pages hold 744 answers. */
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 100; i++, sent++) {
			uint64_t txid = sg_start(&g, c, &tur);

			ck_assert_uint_ne(txid, 0);
			sg_commit(&g, c);
			c->reqs[txid - 1].used = false; /* the number is used again, unanswered */
		}
		sg_until(&g,
			 counter("0", "completions") >= 4 + sent || counter("0", "ring_full") > 0);
	}
	ck_assert_uint_gt(counter("0", "ring_full"), 0);
	/* Now it reads: room is signalled, the rest comes. */
	for (int left = 100000; ended < sent; left--) {
		struct storvsp_packet pkt;
		const struct iovec iov = { &pkt, sizeof(pkt) };
		struct ring_pkt rp;
		bool signal = false;

		ck_assert_int_gt(left, 0);
		while (ring_get(&c->in, &rp, &iov, 1) == 0)
			ended++;
		ck_assert_int_eq(ring_in_commit(&c->in, &signal), 0);
		if (signal)
			sg_signal(&g, c);
		sg_step(&g);
	}
	ck_assert_uint_eq(ended, sent);
	memset(c->reqs, 0, sizeof(c->reqs));
	ck_assert_uint_eq(sg_run(&g, c, &tur).srb_status, SRB_SUCCESS);
}
END_TEST

/* A slow request does not hide later ones although the guest need not signal them. */
START_TEST(slow_disk_beside_a_fast_one)
{
	struct disk *fast = fake_disk(64, 512);
	struct sg_chan *c = primary();
	const gpa_t a = sg_pages(&g, 2);
	const struct sg_cmd slow = sg_rw(0, false, 0, 1, a);
	const struct sg_cmd quick = sg_rw(1, false, 0, 1, a + 4096);
	struct storvsp_srb srb;
	uint64_t txid;

	ck_assert_int_eq(storvsp_attach(stv, 0, 1, unit(fast)), 0);
	sg_until(&g, (sg_poll(&g, c), c->notices == 1));
	fake_disk_hold(disk, true);
	txid = sg_start(&g, c, &slow);
	sg_commit(&g, c);
	sg_until(&g, fake_disk_busy(disk) == 1);
	for (int i = 0; i < 20; i++) {
		srb = sg_run(&g, c, &quick);
		expect_good(&srb, 512);
	}
	ck_assert(!sg_ended(c, txid, &srb));
	fake_disk_hold(disk, false);
	sg_until(&g, (sg_poll(&g, c), sg_ended(c, txid, &srb)));
	expect_good(&srb, 512);
}
END_TEST

/* ---- resets and errors ----------------------------------------------------------------------- */

START_TEST(bus_reset)
{
	struct sg_chan *c = primary();
	const gpa_t a = sg_pages(&g, 2);
	const struct sg_cmd r = sg_rw(0, false, 0, 1, a);
	struct storvsp_srb srb;
	uint64_t txid;

	fake_disk_hold(disk, true);
	txid = sg_start(&g, c, &r);
	sg_commit(&g, c);
	sg_until(&g, fake_disk_busy(disk) == 1);
	ck_assert_uint_eq(op(c, STORVSP_RESET_BUS, 0).h.status, 0);
	sg_until(&g, (sg_poll(&g, c), sg_ended(c, txid, &srb)));
	ck_assert_uint_eq(srb.srb_status & 0x3f, SRB_ABORTED);
	fake_disk_hold(disk, false);
	srb = sg_run(&g, c, &r);
	expect_good(&srb, 512);
	ck_assert_uint_eq(op(c, STORVSP_RESET_LUN, 0).h.status, 0);
	ck_assert_uint_eq(op(c, STORVSP_RESET_ADAPTER, 0).h.status, 0);
}
END_TEST

/* Unit 0 of a fresh connection answers: the channel has come to no lasting harm. */
static void works_after_reopen(void)
{
	struct sg_chan *c = primary();
	const struct sg_cmd tur = { .data_in = 2 };
	const unsigned torn = g.torn;

	sg_close(&g, c);
	sg_until(&g, g.torn == torn + 1);
	memset(c->reqs, 0, sizeof(c->reqs));
	ck_assert_uint_eq(sg_open(&g, c, 1), 0);
	sg_negotiate(&g, c, STORVSP_BLUE);
	ck_assert_uint_eq(sg_run(&g, c, &tur).srb_status, SRB_SUCCESS);
}

static void expect_violation(void)
{
	sg_until(&g, counter("0", "violations") == 1);
	works_after_reopen();
}

START_TEST(unknown_operation)
{
	const struct storvsp_packet pkt = { .h.op = 77 };

	ck_assert(sg_send_raw(&g, primary(), 1, 9, &pkt, 64, 0, 0, NULL, 0));
	sg_commit(&g, primary());
	expect_violation();
}
END_TEST

START_TEST(no_completion_wanted)
{
	const struct storvsp_packet pkt = { .h.op = STORVSP_EXECUTE_SRB };

	ck_assert(sg_send_raw(&g, primary(), 0, 9, &pkt, 64, 0, 0, NULL, 0));
	sg_commit(&g, primary());
	expect_violation();
}
END_TEST

START_TEST(short_packet)
{
	const struct storvsp_packet pkt = { .h.op = STORVSP_EXECUTE_SRB };

	ck_assert(sg_send_raw(&g, primary(), 1, 9, &pkt, 40, 0, 0, NULL, 0));
	sg_commit(&g, primary());
	expect_violation();
}
END_TEST

START_TEST(more_pages_than_sent)
{
	const struct storvsp_packet pkt = { .h.op = STORVSP_EXECUTE_SRB };
	const uint64_t pfn = 0x200;

	ck_assert(sg_send_raw(&g, primary(), 1, 9, &pkt, 64, 1u << 20, 0, &pfn, 1));
	sg_commit(&g, primary());
	expect_violation();
}
END_TEST

START_TEST(ring_index_out_of_range)
{
	static const uint32_t bad[] = { 0xffffffff, 17 * 4096, 4, 0x80000000 };
	struct sg_chan *c = primary();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		le32_store(sg_at(&g, c->ring) + VMRING_IN, bad[i]);
		sg_signal(&g, c);
		sg_until(&g, counter("0", "violations") == i + 1);
		works_after_reopen();
	}
}
END_TEST

/* ---- sub-channels ---------------------------------------------------------------------------- */

static void open_subchannels(unsigned n)
{
	ck_assert_uint_eq(op(primary(), STORVSP_CREATE_SUB_CHANNELS, (uint16_t)n).h.status, 0);
	sg_until(&g, sg_find(&g, (uint16_t)n));
	for (uint16_t i = 1; i <= n; i++) {
		struct sg_chan *c = sg_find(&g, i);

		ck_assert_ptr_nonnull(c);
		ck_assert_mem_eq(&c->offer.instance_id, &base_cfg.instance, 16);
		ck_assert_uint_eq(sg_open(&g, c, i % g.vps), 0);
	}
}

START_TEST(many_subchannels)
{
	const gpa_t a = sg_pages(&g, 65);
	uint64_t txid[65];
	struct storvsp_srb srb;

	ck_assert_uint_eq(op(primary(), STORVSP_CREATE_SUB_CHANNELS, 65).h.status, 0xc000000d);
	open_subchannels(64);
	ck_assert_ptr_null(sg_find(&g, 65));
	ck_assert_uint_eq(op(sg_find(&g, 7), STORVSP_BEGIN_INIT, 0).h.status, 0xc0000184);
	for (uint16_t i = 0; i < 65; i++) {
		const struct sg_cmd w = sg_rw(0, true, i * 8u, 8, a + i * 4096ull);

		memset(sg_at(&g, w.data), i, 4096);
		txid[i] = sg_start(&g, sg_find(&g, i), &w);
		sg_commit(&g, sg_find(&g, i));
	}
	for (uint16_t i = 0; i < 65; i++) {
		struct sg_chan *c = sg_find(&g, i);

		sg_until(&g, (sg_poll(&g, c), sg_ended(c, txid[i], &srb)));
		expect_good(&srb, 4096);
		ck_assert_uint_eq(*fake_disk_data(disk, i * 8u), i);
		ck_assert_uint_eq(atomic_load(&c->last_vp), i % g.vps);
	}
	/* Asked again: the same ones. */
	ck_assert_uint_eq(op(primary(), STORVSP_CREATE_SUB_CHANNELS, 64).h.status, 0);
	sg_step(&g);
	ck_assert_uint_eq(g.n_chans, 65);
	/* They end with their primary, and come again. */
	for (uint16_t i = 1; i <= 64; i += 2)
		sg_close(&g, sg_find(&g, i));
	sg_close(&g, primary());
	sg_until(&g, g.torn == 33 && !sg_find(&g, 1) && !sg_find(&g, 64));
	ck_assert_uint_eq(sg_open(&g, primary(), 0), 0);
	sg_negotiate(&g, primary(), STORVSP_THRESHOLD);
	open_subchannels(3);
	release_rescinded();
	ck_assert_uint_eq(sg_run(&g, sg_find(&g, 3), &(struct sg_cmd){ .data_in = 2 }).srb_status,
			  SRB_SUCCESS);
}
END_TEST

/* What one sub-channel does wrong does not touch the others. */
START_TEST(violation_on_a_subchannel)
{
	const struct storvsp_packet pkt = { .h.op = STORVSP_ENUMERATE_BUS };
	const struct sg_cmd tur = { .data_in = 2 };

	open_subchannels(2);
	ck_assert(sg_send_raw(&g, sg_find(&g, 1), 1, 9, &pkt, 64, 0, 0, NULL, 0));
	sg_commit(&g, sg_find(&g, 1));
	sg_until(&g, counter("1", "violations") == 1);
	ck_assert_uint_eq(sg_run(&g, sg_find(&g, 2), &tur).srb_status, SRB_SUCCESS);
	ck_assert_uint_eq(sg_run(&g, primary(), &tur).srb_status, SRB_SUCCESS);
}
END_TEST

/* ---- ends while busy ------------------------------------------------------------------------- */

static uint64_t start_held(struct sg_chan *c, gpa_t data)
{
	const struct sg_cmd r = sg_rw(0, false, 0, 8, data);
	const unsigned busy = fake_disk_busy(disk);
	uint64_t txid;

	fake_disk_hold(disk, true);
	txid = sg_start(&g, c, &r);
	sg_commit(&g, c);
	sg_until(&g, fake_disk_busy(disk) == busy + 1);
	return txid;
}

/* After the GPADL is given back nothing writes to the guest's memory, whatever the disk does. */
START_TEST(close_while_busy)
{
	struct sg_chan *c = primary();
	const gpa_t a = sg_pages(&g, 1);

	memset(fake_disk_data(disk, 0), 0x55, 4096);
	(void)start_held(c, a);
	sg_close(&g, c);
	sg_until(&g, g.torn == 1);
	ck_assert_uint_eq(fake_disk_busy(disk), 0);
	memset(sg_at(&g, a), 0x99, 4096);
	memset(sg_at(&g, c->ring), 0x99, (size_t)2 * SG_RING_PAGES * 4096);
	fake_disk_hold(disk, false);
	for (int i = 0; i < 200; i++)
		sg_step(&g);
	for (unsigned i = 0; i < 4096; i++)
		ck_assert_uint_eq(sg_at(&g, a)[i], 0x99);
	for (unsigned i = 0; i < 2 * SG_RING_PAGES * 4096; i++)
		ck_assert_uint_eq(*sg_at(&g, c->ring + i), 0x99);
}
END_TEST

/* The ring's GPADL is torn down while the channel is open and busy: answered after the close. */
START_TEST(early_gpadl_teardown)
{
	struct sg_chan *c = primary();
	const struct vmbus_chan_msg close = { .h.type = VMBUS_CLOSE_CHANNEL, .chan_id = c->id };

	(void)start_held(c, sg_pages(&g, 1));
	sg_teardown(&g, c);
	for (int i = 0; i < 100; i++)
		sg_step(&g);
	ck_assert_uint_eq(g.torn, 0);
	fake_disk_hold(disk, false);
	sg_until(&g, fake_disk_busy(disk) == 0);
	vmbus_server_message(g.server, true, &close, sizeof(close));
	sg_until(&g, g.torn == 1);
}
END_TEST

START_TEST(detach_while_busy)
{
	struct sg_chan *c = primary();
	const gpa_t a = sg_pages(&g, 4);
	uint64_t txid[3];
	struct storvsp_srb srb;

	for (int i = 0; i < 3; i++)
		txid[i] = start_held(c, a + (unsigned)i * 4096ull);
	n_detached = 0;
	(void)disk_get(disk);
	ck_assert_int_eq(storvsp_detach(stv, 0, 0, on_detached, NULL), 0);
	sg_until(&g, n_detached == 1);
	ck_assert_uint_eq(fake_disk_refs(disk), 1); /* ours */
	for (int i = 0; i < 3; i++) {
		sg_until(&g, (sg_poll(&g, c), sg_ended(c, txid[i], &srb)));
		ck_assert_uint_eq(srb.srb_status & 0x3f, SRB_ABORTED);
	}
	/* The place is free. */
	ck_assert_int_eq(storvsp_attach(stv, 0, 0, unit(disk)), 0);
	fake_disk_hold(disk, false);
	srb = sg_run(&g, c, &(struct sg_cmd){ .data_in = 2 });
	expect_good(&srb, 0);
}
END_TEST

START_TEST(destroy_while_busy)
{
	open_subchannels(3);
	for (uint16_t i = 0; i < 4; i++)
		(void)start_held(sg_find(&g, i), sg_pages(&g, 1));
	/* teardown() destroys, and must come to an end */
}
END_TEST

START_TEST(client_gone_while_busy)
{
	open_subchannels(3);
	for (uint16_t i = 0; i < 4; i++)
		(void)start_held(sg_find(&g, i), sg_pages(&g, 1));
	sg_reset(&g);
	sg_until(&g, fake_disk_busy(disk) == 0);
	fake_disk_hold(disk, false);
}
END_TEST

/* ---- moves ----------------------------------------------------------------------------------- */

START_TEST(retarget)
{
	struct sg_chan *c = primary();
	const struct sg_cmd r = sg_rw(0, false, 0, 8, sg_pages(&g, 1));
	struct storvsp_srb srb;

	for (unsigned i = 1; i <= 20; i++) {
		uint64_t txid = sg_start(&g, c, &r);

		sg_commit(&g, c);
		sg_modify(&g, c, i % 2);
		sg_until(&g, (sg_poll(&g, c), g.modified == i && sg_ended(c, txid, &srb)));
		expect_good(&srb, 4096);
		srb = sg_run(&g, c, &r);
		expect_good(&srb, 4096);
		ck_assert_uint_eq(atomic_load(&c->last_vp), i % 2);
	}
	ck_assert_uint_eq(shown("channels/0/moves"), 20);
}
END_TEST

/* Requests in flight are answered before the channel moves; a close does not wait for them. */
START_TEST(retarget_while_busy)
{
	struct sg_chan *c = primary();
	const gpa_t a = sg_pages(&g, 2);
	struct storvsp_srb srb;
	uint64_t txid = start_held(c, a);

	sg_modify(&g, c, 1);
	for (int i = 0; i < 100; i++)
		sg_step(&g);
	ck_assert_uint_eq(g.modified, 0);
	fake_disk_hold(disk, false);
	sg_until(&g, g.modified == 1);
	sg_until(&g, (sg_poll(&g, c), sg_ended(c, txid, &srb)));
	expect_good(&srb, 4096);
	(void)start_held(c, a);
	sg_modify(&g, c, 0);
	sg_step(&g);
	sg_close(&g, c);
	sg_until(&g, g.torn == 1);
	ck_assert_uint_eq(fake_disk_busy(disk), 0);
	fake_disk_hold(disk, false);
	ck_assert_uint_eq(sg_open(&g, c, 0), 0);
}
END_TEST

/* Units that come and go while the channel moves. */
START_TEST(retarget_and_units)
{
	struct sg_chan *c = primary();
	const gpa_t a = sg_pages(&g, 1);
	const struct sg_cmd tur = { .data_in = 2, .lun = 4 };
	struct storvsp_srb srb;
	uint64_t txid;

	n_detached = 0;
	for (unsigned i = 1; i <= 10; i++) {
		txid = start_held(c, a);
		sg_modify(&g, c, 1);
		ck_assert_int_eq(storvsp_attach(stv, 0, 4, unit(disk_get(disk))), 0);
		fake_disk_hold(disk, false);
		sg_until(&g, (sg_poll(&g, c), g.modified == 2 * i - 1 && sg_ended(c, txid, &srb)));
		expect_good(&srb, 4096);
		ck_assert_uint_eq(sg_run(&g, c, &tur).srb_status, SRB_SUCCESS);
		txid = start_held(c, a);
		sg_modify(&g, c, 0);
		ck_assert_int_eq(storvsp_detach(stv, 0, 4, on_detached, NULL), 0);
		sg_until(&g, n_detached == i);
		fake_disk_hold(disk, false);
		sg_until(&g, (sg_poll(&g, c), g.modified == 2 * i && sg_ended(c, txid, &srb)));
		expect_good(&srb, 4096);
		ck_assert_uint_eq(sg_run(&g, c, &tur).srb_status, SRB_INVALID_LUN);
	}
	ck_assert_uint_eq(fake_disk_refs(disk), 2);
}
END_TEST

/* ---- IDE ------------------------------------------------------------------------------------- */

START_TEST(ide)
{
	struct storvsp_cfg cfg = base_cfg;
	struct storvsp_wiring w;
	const struct guid kind = STORVSP_IDE_GUID;
	struct sg_chan *c;
	struct storvsp_srb srb;

	sg_init(&g, 1);
	w = sg_wiring(&g);
	cfg.ide = true;
	cfg.ide_path = 1;
	cfg.ide_target = 1;
	ck_assert_int_eq(storvsp_create(&cfg, &w, &stv), -EINVAL); /* no sub-channels */
	cfg.max_subchannels = 0;
	ck_assert_int_eq(storvsp_create(&cfg, &w, &stv), 0);
	disk = fake_disk(64, 512);
	ck_assert_int_eq(storvsp_attach(stv, 1, 0, unit(disk)), 0);
	c = primary();
	ck_assert_mem_eq(&c->offer.interface_id, &kind, 16);
	ck_assert_uint_eq(c->offer.flags, VMBUS_OFFER_ENUMERATE);
	ck_assert_mem_eq(c->offer.user, "\0\0\1\1\0\0\0\0\2\0\0\0", 12);
	ck_assert_uint_eq(sg_open(&g, c, 0), 0);
	sg_negotiate(&g, c, STORVSP_THRESHOLD);
	/* The guest may not know its path. */
	srb = sg_run(&g, c, &(struct sg_cmd){ .data_in = 2, .target = 1, .path = 0 });
	expect_good(&srb, 0);
	srb = sg_run(&g, c, &(struct sg_cmd){ .data_in = 2, .target = 1, .path = 1 });
	expect_good(&srb, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("negotiated"), *own = tcase_create("own");
	Suite *s = suite_create("storvsp");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_checked_fixture(own, NULL, teardown);
	tcase_set_timeout(tc, 60);
	tcase_set_timeout(own, 60);
	suite_add_tcase(s, own);
	suite_add_tcase(s, tc);
	tcase_add_test(own, negotiation_order);
	tcase_add_test(own, old_versions);
	tcase_add_test(own, ide);
	tcase_add_test(tc, presence);
	tcase_add_test(tc, attach_errors);
	tcase_add_test(tc, hot_add_and_remove);
	tcase_add_test(tc, capacity);
	tcase_add_test(tc, data_layouts);
	tcase_add_test(tc, data_errors);
	tcase_add_test(tc, batches);
	tcase_add_test(tc, full_ring);
	tcase_add_test(tc, slow_disk_beside_a_fast_one);
	tcase_add_test(tc, bus_reset);
	tcase_add_test(tc, unknown_operation);
	tcase_add_test(tc, no_completion_wanted);
	tcase_add_test(tc, short_packet);
	tcase_add_test(tc, more_pages_than_sent);
	tcase_add_test(tc, ring_index_out_of_range);
	tcase_add_test(tc, many_subchannels);
	tcase_add_test(tc, violation_on_a_subchannel);
	tcase_add_test(tc, close_while_busy);
	tcase_add_test(tc, early_gpadl_teardown);
	tcase_add_test(tc, detach_while_busy);
	tcase_add_test(tc, destroy_while_busy);
	tcase_add_test(tc, client_gone_while_busy);
	tcase_add_test(tc, retarget);
	tcase_add_test(tc, retarget_while_busy);
	tcase_add_test(tc, retarget_and_units);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
