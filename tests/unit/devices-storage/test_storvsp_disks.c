/* SPDX-License-Identifier: MIT */
/*
 * storvsp on real disks: what a disk does wrong reaches the guest in time, and many threads at once
 * lose nothing while channels move and units come and go.
 */
#include "loop.h"
#include "scsi_proto.h"
#include "storvsc_guest.h"
#include "vmbus_proto.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DISK_BYTES (16u << 20)

static struct sg g;
static struct storvsp *stv;
static struct disk *fault; /* a reference of the test's own */
static bool destroyed;

static struct disk *ram(void)
{
	struct disk *d;

	ck_assert_int_eq(disk_ram_open("ram", DISK_BYTES, 512, &d), 0);
	return d;
}

static struct scsi_unit *unit(struct disk *d)
{
	struct scsi_unit *u;

	ck_assert_int_eq(scsi_disk_create(&(struct scsi_unit_cfg){ .name = "t" }, d, &u), 0);
	return u;
}

static void begin(unsigned vps)
{
	const struct storvsp_cfg cfg = { .instance = GUID_INIT(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
					 .max_subchannels = 16,
					 .queue_depth = 64 };
	struct storvsp_wiring w;

	sg_init(&g, vps);
	w = sg_wiring(&g);
	ck_assert_int_eq(storvsp_create(&cfg, &w, &stv), 0);
	ck_assert_int_eq(disk_fault_open(ram(), &fault), 0);
	ck_assert_int_eq(storvsp_attach(stv, 0, 0, unit(disk_get(fault))), 0);
	ck_assert_uint_eq(sg_open(&g, sg_find(&g, 0), 0), 0);
	sg_negotiate(&g, sg_find(&g, 0), STORVSP_THRESHOLD);
}

static void setup(void)
{
	begin(2);
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
	destroyed = false;
	storvsp_destroy(stv, on_destroyed, NULL);
	sg_until(&g, (release_rescinded(), destroyed));
	sg_fini(&g);
	disk_put(fault);
}

static struct sg_chan *primary(void)
{
	return sg_find(&g, 0);
}

static double seconds(void)
{
	return (double)loop_now_ns() / 1e9;
}

/* ---- disks that misbehave -------------------------------------------------------------------- */

START_TEST(media_error)
{
	const struct sg_cmd r = sg_rw(0, false, 8, 8, sg_pages(&g, 1));
	struct storvsp_srb srb;

	disk_fault_set(fault, &(struct disk_fault){ .op_mask = 1u << DISK_READ,
						    .lba = 10,
						    .blocks = 1,
						    .status = NVME_UNRECOVERED_READ });
	srb = sg_run(&g, primary(), &r);
	ck_assert_uint_eq(srb.srb_status, SRB_ERROR | 0x80);
	ck_assert_uint_eq(srb.scsi_status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(srb.cdb[2], SENSE_MEDIUM_ERROR);
	ck_assert_uint_eq(srb.cdb[12], 0x11);
	ck_assert_uint_eq(srb.data_len, 0);
	disk_fault_set(fault, &(struct disk_fault){ 0 });
	srb = sg_run(&g, primary(), &r);
	ck_assert_uint_eq(srb.srb_status, SRB_SUCCESS);
}
END_TEST

/* An answer that never comes: the guest hears of it before its own time is over. */
START_TEST(dropped_completion)
{
	struct sg_cmd r = sg_rw(0, false, 0, 8, sg_pages(&g, 1));
	const double start = seconds();
	struct storvsp_srb srb;

	r.timeout = 2;
	disk_fault_set(fault, &(struct disk_fault){
				      .op_mask = 1u << DISK_READ, .drop = true, .count = 1 });
	srb = sg_run(&g, primary(), &r);
	ck_assert_uint_ne(srb.srb_status & 0x3f, SRB_SUCCESS);
	ck_assert(seconds() - start > 1.0 && seconds() - start < 2.0);
	srb = sg_run(&g, primary(), &r);
	ck_assert_uint_eq(srb.srb_status, SRB_SUCCESS);
}
END_TEST

START_TEST(late_completion)
{
	const struct sg_cmd r = sg_rw(0, false, 0, 8, sg_pages(&g, 1));
	const double start = seconds();

	disk_fault_set(fault, &(struct disk_fault){
				      .op_mask = 1u << DISK_READ, .delay_ms = 300, .count = 1 });
	ck_assert_uint_eq(sg_run(&g, primary(), &r).srb_status, SRB_SUCCESS);
	ck_assert(seconds() - start >= 0.3);
}
END_TEST

static uint64_t start_dropped(void)
{
	const struct sg_cmd r = sg_rw(0, false, 0, 8, sg_pages(&g, 1));
	uint64_t txid;

	disk_fault_set(fault, &(struct disk_fault){ .op_mask = 1u << DISK_READ, .drop = true });
	txid = sg_start(&g, primary(), &r);
	sg_commit(&g, primary());
	for (int i = 0; i < 50; i++)
		sg_step(&g);
	return txid;
}

/* Neither a reset, nor a removal, nor a close waits for what was dropped. */
START_TEST(dropped_then_reset)
{
	const struct storvsp_packet pkt = { .h.op = STORVSP_RESET_BUS };
	struct storvsp_srb srb;
	uint64_t txid = start_dropped();

	ck_assert_uint_eq(sg_call(&g, primary(), &pkt, 64).h.status, 0);
	sg_until(&g, (sg_poll(&g, primary()), sg_ended(primary(), txid, &srb)));
	ck_assert_uint_eq(srb.srb_status & 0x3f, SRB_ABORTED);
}
END_TEST

static void on_detached(void *ctx)
{
	*(volatile bool *)ctx = true;
}

START_TEST(dropped_then_removed)
{
	struct storvsp_srb srb;
	volatile bool detached = false; /* changed by the callback */
	uint64_t txid = start_dropped();

	ck_assert_int_eq(storvsp_detach(stv, 0, 0, on_detached, (void *)(uintptr_t)&detached), 0);
	sg_until(&g, (sg_poll(&g, primary()), sg_ended(primary(), txid, &srb)));
	ck_assert_uint_ne(srb.srb_status & 0x3f, SRB_SUCCESS);
	sg_until(&g, detached);
}
END_TEST

START_TEST(dropped_then_closed)
{
	(void)start_dropped();
	sg_close(&g, primary());
	sg_until(&g, g.torn == 1);
}
END_TEST

/* ---- a ring that changes under our hands ----------------------------------------------------- */

static atomic_bool stop;

static void *mutate(void *arg)
{
	struct sg_chan *c = arg;
	uint32_t x = 12345;

	while (!atomic_load(&stop)) {
		x = x * 1664525 + 1013904223;
		*(volatile uint8_t *)sg_at(&g, c->ring + KEEL_PAGE_SIZE + (x >> 8) % 0x10000) ^=
			(uint8_t)(1u << (x >> 29));
	}
	return NULL;
}

START_TEST(packets_that_change)
{
	const struct sg_cmd w = sg_rw(0, true, 0, 8, sg_pages(&g, 1));
	struct sg_chan *c = primary();
	pthread_t t;

	for (int round = 1; round <= 20; round++) {
		atomic_store(&stop, false);
		ck_assert_int_eq(pthread_create(&t, NULL, mutate, c), 0);
		for (int i = 0; i < 30; i++) {
			(void)sg_start(&g, c, &w);
			sg_commit(&g, c);
			sg_step(&g);
		}
		atomic_store(&stop, true);
		ck_assert_int_eq(pthread_join(t, NULL), 0);
		/* Whatever became of it, the channel can be closed and used again. */
		sg_close(&g, c);
		sg_until(&g, g.torn == (unsigned)round);
		memset(c->reqs, 0, sizeof(c->reqs));
		ck_assert_uint_eq(sg_open(&g, c, 0), 0);
		sg_negotiate(&g, c, STORVSP_BLUE);
	}
	ck_assert_uint_eq(sg_run(&g, c, &w).srb_status, SRB_SUCCESS);
}
END_TEST

/* ---- all at once ----------------------------------------------------------------------------- */

#define WORKERS 4u
#define IN_FLIGHT 8u

struct cell {
	uint64_t txid; /* 0: idle */
	bool write;
	uint32_t version; /* what the disk holds; 0: unknown */
	uint32_t next; /* what is being written */
};

struct worker {
	struct sg_chan *c;
	unsigned n;
	uint32_t rand;
	gpa_t mem;
	struct cell cells[IN_FLIGHT];
	uint64_t ops, aborted;
};

static uint32_t next_rand(struct worker *w)
{
	w->rand = w->rand * 1664525 + 1013904223;
	return w->rand >> 8;
}

static uint32_t lba_of(const struct worker *w, unsigned i)
{
	return (w->n * IN_FLIGHT + i) * 8;
}

static uint8_t pattern(const struct worker *w, unsigned i, uint32_t version, unsigned at)
{
	return (uint8_t)(version * 7 + lba_of(w, i) + at / 512 * 3);
}

static void begin_op(struct worker *w, unsigned i)
{
	struct cell *cell = &w->cells[i];
	uint8_t *mem = sg_at(&g, w->mem + i * (gpa_t)KEEL_PAGE_SIZE);
	struct sg_cmd cmd;

	cell->write = !cell->version || next_rand(w) % 2;
	cell->next = next_rand(w) | 1;
	for (unsigned at = 0; at < 4096; at++)
		mem[at] = cell->write ? pattern(w, i, cell->next, at) : 0xdd;
	cmd = sg_rw(0, cell->write, lba_of(w, i), 8, w->mem + i * (gpa_t)KEEL_PAGE_SIZE);
	cell->txid = sg_start(&g, w->c, &cmd);
	BUG_ON(!cell->txid);
}

static void end_op(struct worker *w, unsigned i, const struct storvsp_srb *srb)
{
	struct cell *cell = &w->cells[i];
	const uint8_t *mem = sg_at(&g, w->mem + i * (gpa_t)KEEL_PAGE_SIZE);

	cell->txid = 0;
	w->ops++;
	if (srb->srb_status != SRB_SUCCESS) {
		BUG_ON((srb->srb_status & 0x3f) != SRB_ABORTED);
		w->aborted++;
		cell->version = cell->write ? 0 : cell->version;
		return;
	}
	if (cell->write)
		cell->version = cell->next;
	for (unsigned at = 0; !cell->write && at < 4096; at++)
		BUG_ON(mem[at] != pattern(w, i, cell->version, at));
}

/* Look at the ring only when interrupted: a lost interrupt is found by the clock. */
static void wait_interrupt(struct worker *w, unsigned *seen)
{
	const double start = seconds();
	unsigned now;

	while ((now = atomic_load(&w->c->interrupts)) == *seen) {
		BUG_ON(seconds() - start > 20.0);
		(void)sched_yield();
	}
	*seen = now;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned seen = atomic_load(&w->c->interrupts), busy = 0;
	struct storvsp_srb srb;

	do {
		for (unsigned i = 0; i < IN_FLIGHT; i++) {
			if (!atomic_load(&stop) && !w->cells[i].txid && next_rand(w) % 4) {
				begin_op(w, i);
				busy++;
			}
		}
		sg_commit(&g, w->c);
		if (busy)
			wait_interrupt(w, &seen);
		sg_poll(&g, w->c);
		for (unsigned i = 0; i < IN_FLIGHT; i++) {
			if (w->cells[i].txid && sg_ended(w->c, w->cells[i].txid, &srb)) {
				end_op(w, i, &srb);
				busy--;
			}
		}
	} while (busy || !atomic_load(&stop));
	return NULL;
}

/* The control side: moves, a unit that comes and goes, resets. */
static void disturb(unsigned *sent, bool *attached, bool *detached, uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	if (*sent == g.modified) {
		sg_modify(&g, sg_find(&g, (uint16_t)(1 + (*x >> 8) % WORKERS)), (*x >> 16) % g.vps);
		++*sent;
	}
	if (*attached && *detached && (*x >> 20) % 8 == 0) {
		*detached = false;
		*attached = false;
		ck_assert_int_eq(storvsp_detach(stv, 0, 5, on_detached, detached), 0);
	} else if (!*attached && *detached) {
		ck_assert_int_eq(storvsp_attach(stv, 0, 5, unit(disk_get(fault))), 0);
		*attached = true;
	}
}

START_TEST(all_at_once)
{
	static struct worker w[WORKERS];
	const struct storvsp_packet sub = { .h.op = STORVSP_CREATE_SUB_CHANNELS,
					    .subchannels = WORKERS };
	const struct storvsp_packet reset = { .h.op = STORVSP_RESET_BUS };
	pthread_t t[WORKERS];
	unsigned sent = 0, resets = 0;
	bool attached = false, detached = true;
	uint32_t x = 99;
	uint64_t ops = 0;
	double end;

	ck_assert_uint_eq(sg_call(&g, primary(), &sub, 64).h.status, 0);
	sg_until(&g, sg_find(&g, WORKERS));
	atomic_store(&stop, false);
	for (unsigned i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ .c = sg_find(&g, (uint16_t)(i + 1)), .n = i, .rand = i };
		w[i].mem = sg_pages(&g, IN_FLIGHT);
		ck_assert_uint_eq(sg_open(&g, w[i].c, i % g.vps), 0);
		ck_assert_int_eq(pthread_create(&t[i], NULL, work, &w[i]), 0);
	}
	for (end = seconds() + 2.0; seconds() < end; sg_step(&g)) {
		disturb(&sent, &attached, &detached, &x);
		if (++resets % 500 == 0)
			ck_assert_uint_eq(sg_call(&g, primary(), &reset, 64).h.status, 0);
		sg_poll(&g, primary());
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < WORKERS; i++) {
		/* They need the owner for the moves that are under way. */
		while (pthread_tryjoin_np(t[i], NULL) != 0)
			sg_step(&g);
		ck_assert_uint_gt(w[i].ops, 10);
		ops += w[i].ops;
	}
	ck_assert_uint_gt(g.modified, 3);
	(void)fprintf(stderr, "%llu operations, %u moves\n", (unsigned long long)ops, g.modified);
}
END_TEST

static void setup_four(void)
{
	begin(4);
}

int main(void)
{
	TCase *tc = tcase_create("two"), *many = tcase_create("four");
	Suite *s = suite_create("storvsp_disks");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_checked_fixture(many, setup_four, teardown);
	tcase_set_timeout(tc, 60);
	tcase_set_timeout(many, 120);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, many);
	tcase_add_test(tc, media_error);
	tcase_add_test(tc, dropped_completion);
	tcase_add_test(tc, late_completion);
	tcase_add_test(tc, dropped_then_reset);
	tcase_add_test(tc, dropped_then_removed);
	tcase_add_test(tc, dropped_then_closed);
	tcase_add_test(tc, packets_that_change);
	tcase_add_test(many, all_at_once);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
