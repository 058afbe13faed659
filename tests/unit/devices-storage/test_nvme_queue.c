/* SPDX-License-Identifier: MIT */
/* Queues under stress: full ones, wrong doorbells, resets with commands in flight, events. */
#include "fake_disk.h"
#include "inspect_get.h"
#include "le.h"
#include "loop.h"
#include "nvme_rig.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "unit.h"

static struct nvr r;
static struct disk *d;
static gpa_t buf;

static void setup(void)
{
	nvr_init(&r);
	d = fake_disk(4096, 512);
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 1, disk_get(d)), 0);
	nvr_ready(&r);
	buf = nvr_pages(&r, 1);
	memset(nvr_at(&r, buf), 0, KEEL_PAGE_SIZE);
}

static void fini(void)
{
	nvr_fini(&r);
	ck_assert_uint_eq(fake_disk_refs(d), 1);
	disk_put(d);
}

static struct nvme_sqe admin(uint8_t opcode, gpa_t prp1, uint32_t cdw10, uint32_t cdw11)
{
	return (struct nvme_sqe){ .opcode = opcode, .prp1 = prp1, .cdw10 = cdw10, .cdw11 = cdw11 };
}

static struct nvme_sqe rd(uint64_t lba)
{
	return nvr_rw(NVME_IO_READ, 1, lba, 8, buf, 0);
}

static unsigned drain(unsigned qid)
{
	struct nvme_cqe e;
	unsigned n = 0;

	while (nvr_poll(&r, qid, &e))
		n++;
	return n;
}

static uint16_t io_ok(void)
{
	return nvr_do(&r, 1, rd(0), NULL);
}

static void restart(void)
{
	nvr_write32(&r, NVME_REG_CC, 0);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), 0);
	ck_assert(nvr_enable(&r, 32));
	ck_assert_uint_eq(nvr_create_cq(&r, 1, 64, 1), NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 1, 64, 1), NVME_OK);
}

/* ---- batches --------------------------------------------------------------------------------- */

START_TEST(one_interrupt_per_batch)
{
	setup();
	for (int i = 0; i < 40; i++)
		nvr_push(&r, 1, rd((uint64_t)i * 8));
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert_uint_eq(drain(1), 40);
	ck_assert_uint_le(r.irqs[1], 2); /* they were fetched in two turns */
	ck_assert_uint_eq(fake_disk_total(d), 40);
	/* many times round */
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 63; i++)
			nvr_push(&r, 1, rd((uint64_t)i * 8));
		nvr_ring(&r, 1);
		nvr_run(&r);
		ck_assert_uint_eq(drain(1), 63);
	}
	fini();
}
END_TEST

/* Windows: several submission queues, one completion queue, which is small. */
START_TEST(queues_share_a_completion_queue)
{
	struct nvme_cqe e;
	unsigned n = 0, from[NVR_QUEUES + 1] = { 0 };

	setup();
	ck_assert_uint_eq(nvr_create_cq(&r, 2, 4, 2), NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 2, 32, 2), NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 3, 32, 2), NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 4, 32, 2), NVME_OK);
	for (int i = 0; i < 20; i++) {
		for (unsigned q = 2; q <= 4; q++)
			nvr_push(&r, q, rd((uint64_t)i * 8));
	}
	for (unsigned q = 2; q <= 4; q++)
		nvr_ring(&r, q);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_total(d), 3); /* no more than there is room for */
	while (n < 60) {
		ck_assert(nvr_poll(&r, 2, &e));
		from[e.sq_id]++;
		n++;
		nvr_run(&r);
	}
	ck_assert(!nvr_poll(&r, 2, &e));
	ck_assert(from[2] == 20 && from[3] == 20 && from[4] == 20);
	/* it goes when the last of them is gone */
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_DELETE_SQ, 0, 2, 0), NULL), 0);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_DELETE_SQ, 0, 3, 0), NULL), 0);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_DELETE_CQ, 0, 2, 0), NULL),
			  NVME_QUEUE_DELETION);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_DELETE_SQ, 0, 4, 0), NULL), 0);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_DELETE_CQ, 0, 2, 0), NULL), 0);
	fini();
}
END_TEST

/* More commands than requests: the rest waits in the queues. */
START_TEST(requests_run_out)
{
	unsigned n = 0;

	setup();
	for (uint16_t q = 2; q <= NVR_QUEUES; q++) {
		ck_assert_uint_eq(nvr_create_cq(&r, q, 256, 1), NVME_OK);
		ck_assert_uint_eq(nvr_create_sq(&r, q, 256, q), NVME_OK);
	}
	fake_disk_hold(d, true);
	for (unsigned q = 2; q <= NVR_QUEUES; q++) {
		for (int i = 0; i < 255; i++)
			nvr_push(&r, q, rd(0));
		nvr_ring(&r, q);
	}
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_busy(d), 64 + 64 * NVR_QUEUES);
	fake_disk_hold(d, false);
	for (int i = 0; i < 200 && n < 255 * (NVR_QUEUES - 1); i++) {
		nvr_run(&r);
		for (unsigned q = 2; q <= NVR_QUEUES; q++)
			n += drain(q);
	}
	ck_assert_uint_eq(n, 255 * (NVR_QUEUES - 1));
	fini();
}
END_TEST

START_TEST(coalescing)
{
	const struct timespec ms = { .tv_nsec = 3000000 };

	setup();
	/* up to 5 wait, for 1 ms */
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, 8, 0x0a05), NULL), 0);
	for (int i = 0; i < 3; i++)
		nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert_uint_eq(drain(1), 3);
	ck_assert_uint_eq(r.irqs[1], 0);
	(void)nanosleep(&ms, NULL);
	nvr_run(&r);
	ck_assert_uint_eq(r.irqs[1], 1);
	for (int i = 0; i < 6; i++)
		nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert_uint_eq(r.irqs[1], 2);
	/* not on a vector that does not want it */
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, 9, 0x10001), NULL), 0);
	(void)drain(1);
	ck_assert_uint_eq(io_ok(), NVME_OK);
	ck_assert_uint_eq(r.irqs[1], 3);
	fini();
}
END_TEST

/* ---- hostile doorbells ----------------------------------------------------------------------- */

START_TEST(wrong_doorbells)
{
	static const uint32_t bad_tail[] = { 64, 65, 0xffff, 0xffffffff };
	struct nvme_cqe e;

	setup();
	nvr_push(&r, 0, admin(NVME_ADM_ASYNC_EVENT, 0, 0, 0));
	nvr_ring(&r, 0);
	nvr_run(&r);
	ck_assert(!nvr_poll(&r, 0, &e));
	for (size_t i = 0; i < ARRAY_SIZE(bad_tail); i++) {
		nvr_write32(&r, NVME_REG_DOORBELLS + 8, bad_tail[i]);
		nvr_run(&r);
	}
	ck_assert(nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(e.result, 0x010100); /* error, invalid value, log 1 */
	/* of queues that are not there: dropped; of none: an error, once the log was read */
	nvr_write32(&r, NVME_REG_DOORBELLS + 16, 3);
	nvr_write32(&r, NVME_REG_DOORBELLS + 20, 3);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_GET_LOG, buf, 0x3f0001, 0), NULL), 0);
	ck_assert_uint_eq(le64_load(nvr_at(&r, buf)), 4);
	nvr_push(&r, 0, admin(NVME_ADM_ASYNC_EVENT, 0, 0, 0));
	nvr_ring(&r, 0);
	nvr_run(&r);
	ck_assert(!nvr_poll(&r, 0, &e));
	nvr_write32(&r, 0xfff8, 3);
	nvr_run(&r);
	ck_assert(nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(e.result, 0x010000);
	/* odd sizes and places */
	ck_assert(pci_func_mmio_write(r.pci, NVR_BAR + 0x1008, 2, 7));
	ck_assert(pci_func_mmio_write(r.pci, NVR_BAR + 0x1008, 8, 7));
	ck_assert(pci_func_mmio_write(r.pci, NVR_BAR + 0x100a, 4, 7));
	nvr_run(&r);
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

/* A head that claims more than was posted gives no room. */
START_TEST(wrong_completion_heads)
{
	setup();
	ck_assert_uint_eq(nvr_create_cq(&r, 2, 4, 2), NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 2, 32, 2), NVME_OK);
	for (int i = 0; i < 8; i++)
		nvr_push(&r, 2, rd(0));
	nvr_ring(&r, 2);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_total(d), 3);
	nvr_write32(&r, NVME_REG_DOORBELLS + 20, 4);
	nvr_run(&r);
	nvr_write32(&r, NVME_REG_DOORBELLS + 20, 0xffffffff);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_total(d), 3);
	nvr_write32(&r, NVME_REG_DOORBELLS + 20, 2);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_total(d), 5);
	nvr_write32(&r, NVME_REG_DOORBELLS + 20, 0);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_total(d), 7);
	nvr_write32(&r, NVME_REG_DOORBELLS + 20, 3); /* everything, and the last one */
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_total(d), 8);
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

/* ---- doorbells in memory --------------------------------------------------------------------- */

static void shadow_on(void)
{
	struct nvme_sqe sqe = admin(NVME_ADM_DOORBELL_BUFFER, nvr_pages(&r, 1), 0, 0);

	sqe.prp2 = nvr_pages(&r, 1);
	ck_assert_uint_eq(nvr_do(&r, 0, sqe, NULL), NVME_OK);
	r.shadow = sqe.prp1;
	r.event_idx = sqe.prp2;
}

START_TEST(doorbells_in_memory)
{
	unsigned n = 0;
	uint64_t before;

	setup();
	ck_assert_uint_eq(io_ok(), NVME_OK); /* the present values are taken over */
	shadow_on();
	ck_assert_uint_eq(le32_load(nvr_at(&r, r.shadow + 8)), 1);
	ck_assert_uint_eq(io_ok(), NVME_OK);
	before = r.rings;
	/* while it is at work no register need be written */
	fake_disk_hold(d, true);
	nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	for (int i = 0; i < 10; i++) {
		nvr_push(&r, 1, rd(0));
		nvr_ring(&r, 1); /* before the loop ran: the index was not moved on */
	}
	ck_assert_uint_eq(r.rings, before + 1);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_busy(d), 11);
	fake_disk_hold(d, false);
	nvr_run(&r);
	ck_assert_uint_eq(drain(1), 11);
	/* a full completion queue in memory */
	ck_assert_uint_eq(nvr_create_cq(&r, 2, 4, 2), NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 2, 32, 2), NVME_OK);
	for (int i = 0; i < 31; i++)
		nvr_push(&r, 2, rd(0));
	nvr_ring(&r, 2);
	nvr_run(&r);
	for (int i = 0; i < 100 && n < 31; i++) {
		n += drain(2);
		nvr_run(&r);
	}
	ck_assert_uint_eq(n, 31);
	/* and many rounds */
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 7; i++)
			nvr_push(&r, 1, rd(0));
		nvr_ring(&r, 1);
		nvr_run(&r);
		ck_assert_uint_eq(drain(1), 7);
	}
	restart();
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

START_TEST(wrong_doorbells_in_memory)
{
	setup();
	shadow_on();
	le32_store(nvr_at(&r, r.shadow + 8), 0xfffffff0);
	le32_store(nvr_at(&r, r.shadow + 12), 0xfffffff0);
	nvr_write32(&r, NVME_REG_DOORBELLS + 8, 5);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_total(d), 0);
	le32_store(nvr_at(&r, r.shadow + 8), 0);
	le32_store(nvr_at(&r, r.shadow + 12), 0);
	nvr_write32(&r, NVME_REG_DOORBELLS + 8, 0);
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

/* ---- reset ----------------------------------------------------------------------------------- */

static void fill_disk(uint8_t byte)
{
	memset(fake_disk_data(d, 0), byte, 4096 * 512);
}

START_TEST(reset_with_commands_in_flight)
{
	struct nvme_cqe e;
	uint8_t before[KEEL_PAGE_SIZE];

	setup();
	fill_disk(0xaa);
	fake_disk_hold(d, true);
	for (int i = 0; i < 20; i++)
		nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_busy(d), 20);
	nvr_write32(&r, NVME_REG_CC, 0x00460000);
	memcpy(before, nvr_at(&r, r.q[1].cq), sizeof(before));
	/* ready until the last command is back; asked to go on at once all the same */
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), NVME_CSTS_RDY);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), 0);
	ck_assert_uint_eq(fake_disk_busy(d), 0);
	ck_assert_mem_eq(before, nvr_at(&r, r.q[1].cq), sizeof(before));
	ck_assert(!nvr_poll(&r, 1, &e));
	ck_assert_uint_eq(*(uint8_t *)nvr_at(&r, buf), 0);
	ck_assert_uint_eq(r.irqs[1], 0);
	fake_disk_hold(d, false);
	nvr_run(&r);
	ck_assert_uint_eq(*(uint8_t *)nvr_at(&r, buf), 0);
	restart();
	ck_assert_uint_eq(io_ok(), NVME_OK);
	ck_assert_uint_eq(*(uint8_t *)nvr_at(&r, buf), 0xaa);
	fini();
}
END_TEST

/* Off and on without waiting: the driver of a hurry. */
START_TEST(reset_in_a_hurry)
{
	setup();
	fake_disk_hold(d, true);
	nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	nvr_write32(&r, NVME_REG_CC, 0x00460000);
	nvr_write32(&r, NVME_REG_CC, 0x00460001);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), NVME_CSTS_RDY);
	ck_assert_uint_eq(fake_disk_busy(d), 0);
	ck_assert_str_eq(inspect_get(nvme_ctrl_inspect, r.c, "in_flight"), "0");
	fake_disk_hold(d, false);
	restart();
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

START_TEST(function_level_reset)
{
	setup();
	fake_disk_hold(d, true);
	nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	pci_func_reset(r.pci);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_busy(d), 0);
	fake_disk_hold(d, false);
	nvr_pci(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CC), 0);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), 0);
	ck_assert_uint_eq(nvr_read64(&r, NVME_REG_ASQ), 0);
	restart();
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

START_TEST(no_dma_without_bus_mastering)
{
	struct nvme_cqe e;

	setup();
	pci_func_cfg_write(r.pci, 4, 2, 2);
	nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_total(d), 0);
	pci_func_cfg_write(r.pci, 4, 2, 6);
	nvr_run(&r);
	ck_assert(nvr_poll(&r, 1, &e));
	/* with a command in flight it is an error */
	fake_disk_hold(d, true);
	nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	pci_func_cfg_write(r.pci, 4, 2, 2);
	nvr_run(&r);
	ck_assert(nvr_read32(&r, NVME_REG_CSTS) & NVME_CSTS_CFS);
	fake_disk_hold(d, false);
	pci_func_cfg_write(r.pci, 4, 2, 6);
	nvr_run(&r);
	ck_assert(!nvr_poll(&r, 1, &e));
	restart();
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

START_TEST(shutdown_flushes)
{
	const struct fake_disk_seen *seen;

	setup();
	fake_disk_hold(d, true);
	nvr_write32(&r, NVME_REG_CC, 0x00464001);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_SHST_BUSY);
	fake_disk_hold(d, false);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_SHST_DONE);
	ck_assert_uint_eq(fake_disk_log(d, &seen), 1);
	ck_assert_uint_eq(seen[0].op, DISK_FLUSH);
	restart();
	ck_assert_uint_eq(io_ok(), NVME_OK);
	/* reset in the middle of one */
	fake_disk_hold(d, true);
	nvr_write32(&r, NVME_REG_CC, 0x00468001);
	nvr_run(&r);
	restart();
	fake_disk_hold(d, false);
	nvr_run(&r);
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

START_TEST(delete_waits_for_commands)
{
	struct nvme_cqe e;

	setup();
	fake_disk_hold(d, true);
	nvr_push(&r, 1, rd(0));
	nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	nvr_push(&r, 0, admin(NVME_ADM_DELETE_SQ, 0, 1, 0));
	nvr_push(&r, 0, admin(NVME_ADM_DELETE_SQ, 0, 1, 0));
	nvr_ring(&r, 0);
	nvr_run(&r);
	ck_assert(nvr_poll(&r, 0, &e)); /* the second: there is no such queue any more */
	ck_assert_uint_eq(e.status >> 1 & NVME_STATUS_MASK, NVME_QID_INVALID);
	ck_assert(!nvr_poll(&r, 0, &e));
	nvr_push(&r, 1, rd(0)); /* not fetched any more */
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert_uint_eq(fake_disk_busy(d), 2);
	fake_disk_hold(d, false);
	nvr_run(&r);
	ck_assert_uint_eq(drain(1), 2);
	ck_assert(nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(e.status >> 1, NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 1, 64, 1), NVME_OK);
	ck_assert_uint_eq(io_ok(), NVME_OK);
	fini();
}
END_TEST

/* ---- namespaces and events ------------------------------------------------------------------- */

static uint16_t changed(uint32_t *ret_first)
{
	uint16_t st = nvr_do(&r, 0, admin(NVME_ADM_GET_LOG, buf, 0x3ff0004, 0), NULL);

	*ret_first = le32_load(nvr_at(&r, buf));
	return st;
}

START_TEST(namespace_events)
{
	struct disk *two = fake_disk(128, 4096);
	struct disk_info info;
	struct nvme_cqe e;
	uint32_t nsid;

	setup();
	ck_assert_uint_eq(changed(&nsid), 0);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, 0xb, 0x100), NULL), 0);
	for (int i = 0; i < 4; i++)
		nvr_push(&r, 0, admin(NVME_ADM_ASYNC_EVENT, 0, 0, 0));
	nvr_ring(&r, 0);
	nvr_run(&r);
	ck_assert(!nvr_poll(&r, 0, &e));
	nvr_push(&r, 0, admin(NVME_ADM_ASYNC_EVENT, 0, 0, 0));
	nvr_ring(&r, 0);
	nvr_run(&r);
	ck_assert(nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(e.status >> 1 & NVME_STATUS_MASK, NVME_AER_LIMIT);
	/* a second namespace */
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 1, two), -EEXIST);
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 0, two), -EINVAL);
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 65, two), -EINVAL);
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 64, disk_get(two)), 0);
	nvr_run(&r);
	ck_assert(nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(e.status >> 1, 0);
	ck_assert_uint_eq(e.result, 0x040002);
	/* another change is not told before the log was read, but is in it */
	disk_info(d, &info);
	info.blocks = 8192;
	info.generation++;
	fake_disk_set_info(d, &info);
	nvr_run(&r);
	ck_assert(!nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(changed(&nsid), 0);
	ck_assert_uint_eq(nsid, 1);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf + 4)), 64);
	ck_assert_uint_eq(changed(&nsid), 0);
	ck_assert_uint_eq(nsid, 0);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_READ, 64, 127, 1, buf, 0), NULL), NVME_OK);
	/* gone, with a command in flight */
	fake_disk_hold(two, true);
	nvr_push(&r, 1, nvr_rw(NVME_IO_READ, 64, 0, 1, buf, 0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert_int_eq(nvme_ctrl_detach(r.c, 64), 0);
	ck_assert_int_eq(nvme_ctrl_detach(r.c, 64), -ENOENT);
	nvr_run(&r);
	ck_assert(nvr_poll(&r, 1, &e));
	ck_assert_uint_eq(e.status >> 1 & NVME_STATUS_MASK, NVME_ABORT_REQUESTED);
	ck_assert_uint_eq(fake_disk_refs(two), 1);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_READ, 64, 0, 1, buf, 0), NULL),
			  NVME_INVALID_FIELD);
	ck_assert(nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(e.result, 0x040002);
	ck_assert_uint_eq(changed(&nsid), 0);
	ck_assert_uint_eq(nsid, 64);
	/* and back at the same place */
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 64, two), 0);
	fake_disk_hold(two, false);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_READ, 64, 0, 1, buf, 0), NULL), NVME_OK);
	fini();
}
END_TEST

START_TEST(abort_of_events)
{
	struct nvme_cqe e;
	uint16_t cid;

	setup();
	cid = nvr_push(&r, 0, admin(NVME_ADM_ASYNC_EVENT, 0, 0, 0));
	nvr_ring(&r, 0);
	nvr_run(&r);
	nvr_push(&r, 0, admin(NVME_ADM_ABORT, 0, (uint32_t)cid << 16, 0));
	nvr_ring(&r, 0);
	nvr_run(&r);
	ck_assert(nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(e.cid, cid);
	ck_assert_uint_eq(e.status >> 1 & NVME_STATUS_MASK, NVME_ABORT_REQUESTED);
	ck_assert(nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(e.status >> 1, 0);
	ck_assert_uint_eq(e.result, 0);
	/* one that is not there */
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_ABORT, 0, (uint32_t)cid << 16, 0), &e), 0);
	ck_assert_uint_eq(e.result, 1);
	fini();
}
END_TEST

/* Event commands do not fill a small admin queue. */
START_TEST(events_leave_room)
{
	struct nvme_cqe e;

	nvr_init(&r);
	d = fake_disk(64, 512);
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 1, disk_get(d)), 0);
	nvr_pci(&r);
	ck_assert(nvr_enable(&r, 2));
	buf = nvr_pages(&r, 1);
	for (int i = 0; i < 4; i++) {
		nvr_push(&r, 0, admin(NVME_ADM_ASYNC_EVENT, 0, 0, 0));
		nvr_ring(&r, 0);
		nvr_run(&r);
	}
	ck_assert(!nvr_poll(&r, 0, &e));
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, 0xb, 0x100), NULL), 0);
	fini();
}
END_TEST

/* ---- faults ---------------------------------------------------------------------------------- */

START_TEST(faults)
{
	struct nvme_cqe e;

	setup();
	nvme_ctrl_fault(r.c, NVME_FAULT_STUCK);
	nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert(!nvr_poll(&r, 1, &e));
	nvme_ctrl_fault(r.c, NVME_FAULT_NONE);
	restart();
	ck_assert_uint_eq(io_ok(), NVME_OK);
	nvme_ctrl_fault(r.c, NVME_FAULT_FATAL);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), NVME_CSTS_RDY | NVME_CSTS_CFS);
	nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	ck_assert(!nvr_poll(&r, 1, &e));
	nvme_ctrl_fault(r.c, NVME_FAULT_NONE);
	restart();
	ck_assert_uint_eq(io_ok(), NVME_OK);
	nvme_ctrl_fault(r.c, NVME_FAULT_GONE);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), UINT32_MAX);
	ck_assert_uint_eq(nvr_read64(&r, NVME_REG_CAP), UINT64_MAX);
	nvr_write32(&r, NVME_REG_CC, 1);
	nvme_ctrl_fault(r.c, NVME_FAULT_NOT_READY);
	ck_assert(!nvr_enable(&r, 32));
	nvme_ctrl_fault(r.c, NVME_FAULT_NONE);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), NVME_CSTS_RDY);
	fini();
}
END_TEST

/* The end, with everything still going on. */
START_TEST(destroyed_in_flight)
{
	setup();
	fake_disk_hold(d, true);
	for (int i = 0; i < 10; i++)
		nvr_push(&r, 1, rd(0));
	nvr_ring(&r, 1);
	nvr_run(&r);
	fini();
}
END_TEST

UNIT_MAIN("devices-storage/nvme_queue", one_interrupt_per_batch, queues_share_a_completion_queue,
	  requests_run_out, coalescing, wrong_doorbells, wrong_completion_heads,
	  doorbells_in_memory, wrong_doorbells_in_memory, reset_with_commands_in_flight,
	  reset_in_a_hurry, function_level_reset, no_dma_without_bus_mastering, shutdown_flushes,
	  delete_waits_for_commands, namespace_events, abort_of_events, events_leave_room, faults,
	  destroyed_in_flight)
