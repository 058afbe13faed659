/* SPDX-License-Identifier: MIT */
/* The controller as its driver meets it: start, queues, I/O, reset, events. */
#include "fake_disk.h"
#include "le.h"
#include "loop.h"
#include "nvme_rig.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

static struct nvr r;
static struct disk *d;

static void setup(void)
{
	nvr_init(&r);
	d = fake_disk(4096, 512);
	ck_assert_int_eq(nvme_ctrl_attach(r.c, 1, disk_get(d)), 0);
}

static void ready(void)
{
	setup();
	nvr_ready(&r);
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

static uint16_t identify(uint8_t cns, uint32_t nsid, gpa_t to)
{
	struct nvme_sqe sqe = admin(NVME_ADM_IDENTIFY, to, cns, 0);

	sqe.nsid = nsid;
	return nvr_do(&r, 0, sqe, NULL);
}

static void fill(gpa_t gpa, size_t len, uint8_t seed)
{
	uint8_t *p = nvr_at(&r, gpa);

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 7 + i / 256);
}

/* The order of Linux' nvme driver. */
START_TEST(starts_like_linux)
{
	struct nvme_id_ctrl *id;
	struct nvme_id_ns *ns;
	struct nvme_cqe e;
	gpa_t buf;

	setup();
	nvr_pci(&r);
	ck_assert_uint_ne(nvr_read32(&r, NVME_REG_CSTS), UINT32_MAX);
	ck_assert_uint_eq(nvr_read64(&r, NVME_REG_CAP) & 0xffff, 255);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CAP), nvr_read64(&r, NVME_REG_CAP) & UINT32_MAX);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_VS), 0x20000);
	ck_assert(nvr_enable(&r, 32));
	buf = nvr_pages(&r, 1);
	ck_assert_uint_eq(identify(NVME_CNS_CTRL, 0, buf), NVME_OK);
	ck_assert_uint_eq(r.irqs[0], 1);
	id = nvr_at(&r, buf);
	ck_assert_uint_eq(id->cntrltype, 1);
	ck_assert_uint_eq(id->sqes, 0x66);
	ck_assert_uint_gt(id->nn, 0);
	ck_assert_mem_eq(id->mn, "MSFT NVMe Accelerator v1.0              ", 40);
	ck_assert_mem_eq(id->subnqn, "nqn.2014-08.", 12);
	ck_assert(id->oacs & NVME_OACS_DOORBELL_BUFFER);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, 7, 0x00030003), &e), 0);
	ck_assert_uint_eq(e.result, 0x00030003);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, 7, 0x00400040), &e), 0);
	ck_assert_uint_eq(e.result, 0x00050005);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, 0xb, 0x100), NULL), 0);
	ck_assert_uint_eq(identify(NVME_CNS_ACTIVE_NS, 0, buf), NVME_OK);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf)), 1);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf + 4)), 0);
	ck_assert_uint_eq(identify(NVME_CNS_NS_DESCS, 1, buf), NVME_OK);
	ck_assert_uint_eq(*(uint8_t *)nvr_at(&r, buf), NVME_NIDT_CSI);
	ck_assert_uint_eq(identify(NVME_CNS_CS_INDEP_NS, 1, buf), NVME_OK);
	ck_assert_uint_eq(((uint8_t *)nvr_at(&r, buf))[14], 1);
	ck_assert_uint_eq(identify(NVME_CNS_NS, 1, buf), NVME_OK);
	ns = nvr_at(&r, buf);
	ck_assert_uint_eq(ns->nsze, 4096);
	ck_assert_uint_eq(ns->lbaf[0].lbads, 9);
	ck_assert_uint_eq(ns->npwg, 7);
	ck_assert_uint_eq(nvr_create_cq(&r, 1, 64, 1), NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 1, 64, 1), NVME_OK);
	fill(buf, 4096, 1);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_WRITE, 1, 8, 8, buf, 0), NULL), NVME_OK);
	ck_assert_mem_eq(fake_disk_data(d, 8), nvr_at(&r, buf), 4096);
	ck_assert_uint_eq(r.irqs[1], 1);
	memset(nvr_at(&r, buf), 0, 4096);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_READ, 1, 8, 8, buf, 0), NULL), NVME_OK);
	ck_assert_mem_eq(fake_disk_data(d, 8), nvr_at(&r, buf), 4096);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_FLUSH, 1, 0, 1, 0, 0), NULL), NVME_OK);
	/* off again */
	nvr_write32(&r, NVME_REG_CC, 0x00460000);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), 0);
	fini();
}
END_TEST

START_TEST(will_not_start_with_nonsense)
{
	static const struct {
		uint32_t cc, aqa;
		uint64_t asq, acq;
	} bad[] = {
		{ 0x00460081, 0x001f001f, 0x100000, 0x101000 }, /* page size */
		{ 0x00460011, 0x001f001f, 0x100000, 0x101000 }, /* command set */
		{ 0x00460801, 0x001f001f, 0x100000, 0x101000 }, /* arbitration */
		{ 0x00460001, 0x00000000, 0x100000, 0x101000 },
		{ 0x00460001, 0x001f001f, 0, 0x101000 }, /* no memory */
		{ 0x00460001, 0x001f001f, 0x100000, 0xfffffffffffff000 },
		{ 0x00460001, 0x0fff0fff, 0x10ff000, 0x101000 }, /* reaches beyond the end */
	};

	setup();
	nvr_pci(&r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		nvr_write32(&r, NVME_REG_AQA, bad[i].aqa);
		nvr_write64(&r, NVME_REG_ASQ, bad[i].asq);
		nvr_write64(&r, NVME_REG_ACQ, bad[i].acq);
		nvr_write32(&r, NVME_REG_CC, bad[i].cc);
		nvr_run(&r);
		ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), NVME_CSTS_CFS);
		nvr_write32(&r, NVME_REG_CC, 0);
		nvr_run(&r);
		ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), 0);
	}
	ck_assert(nvr_enable(&r, 4));
	/* locked while enabled */
	nvr_write32(&r, NVME_REG_AQA, 0);
	nvr_write64(&r, NVME_REG_ASQ, 0);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_AQA), 0x00030003);
	ck_assert_uint_eq(nvr_read64(&r, NVME_REG_ASQ), r.q[0].sq);
	/* registers that are not there, or read only */
	nvr_write32(&r, NVME_REG_CSTS, UINT32_MAX);
	nvr_write32(&r, NVME_REG_NSSR, NVME_NSSR_MAGIC);
	nvr_write32(&r, NVME_REG_VS, 0);
	nvr_write32(&r, 0xffc, 1);
	nvr_run(&r);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_CSTS), NVME_CSTS_RDY);
	nvr_write32(&r, NVME_REG_INTMS, 6);
	nvr_write32(&r, NVME_REG_INTMC, 2);
	ck_assert_uint_eq(nvr_read32(&r, NVME_REG_INTMS), 4);
	fini();
}
END_TEST

START_TEST(create_and_delete_errors)
{
	static const struct {
		uint8_t opcode;
		uint32_t cdw10, cdw11;
		uint64_t prp1;
		uint16_t want;
	} cases[] = {
		{ NVME_ADM_CREATE_CQ, 0x001f0000, 3, NVR_BASE, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_CQ, 0x001f0007, 3, NVR_BASE, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_CQ, 0x001f0001, 3, NVR_BASE, NVME_QID_INVALID }, /* there */
		{ NVME_ADM_CREATE_CQ, 0x00000002, 3, NVR_BASE, NVME_QUEUE_SIZE_INVALID },
		{ NVME_ADM_CREATE_CQ, 0x01000002, 3, NVR_BASE, NVME_QUEUE_SIZE_INVALID },
		{ NVME_ADM_CREATE_CQ, 0x001f0002, 2, NVR_BASE, NVME_INVALID_FIELD },
		{ NVME_ADM_CREATE_CQ, 0x001f0002, 0x00080003, NVR_BASE, NVME_INTERRUPT_VECTOR },
		{ NVME_ADM_CREATE_CQ, 0x001f0002, 3, NVR_BASE + 8, NVME_PRP_OFFSET_INVALID },
		{ NVME_ADM_CREATE_CQ, 0x001f0002, 3, 0x80000000000, NVME_INVALID_FIELD },
		{ NVME_ADM_CREATE_SQ, 0x001f0000, 0x10001, NVR_BASE, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, 0x001f0001, 0x10001, NVR_BASE, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, 0x001fffff, 0x10001, NVR_BASE, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, 0x001f0002, 0x00001, NVR_BASE, NVME_CQ_INVALID },
		{ NVME_ADM_CREATE_SQ, 0x001f0002, 0x20001, NVR_BASE, NVME_CQ_INVALID },
		{ NVME_ADM_CREATE_SQ, 0x001f0002, 0x70001, NVR_BASE, NVME_QID_INVALID },
		{ NVME_ADM_CREATE_SQ, 0x00000002, 0x10001, NVR_BASE, NVME_QUEUE_SIZE_INVALID },
		{ NVME_ADM_CREATE_SQ, 0x001f0002, 0x10000, NVR_BASE, NVME_INVALID_FIELD },
		{ NVME_ADM_DELETE_CQ, 0, 0, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_CQ, 2, 0, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_CQ, 0xffff, 0, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_CQ, 1, 0, 0, NVME_QUEUE_DELETION },
		{ NVME_ADM_DELETE_SQ, 0, 0, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_SQ, 2, 0, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_SQ, 1, 0, 0, NVME_OK },
		{ NVME_ADM_DELETE_SQ, 1, 0, 0, NVME_QID_INVALID },
		{ NVME_ADM_DELETE_CQ, 1, 0, 0, NVME_OK },
		{ NVME_ADM_DELETE_CQ, 1, 0, 0, NVME_QID_INVALID },
	};

	ready();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct nvme_sqe sqe =
			admin(cases[i].opcode, cases[i].prp1, cases[i].cdw10, cases[i].cdw11);

		ck_assert_msg(nvr_do(&r, 0, sqe, NULL) == cases[i].want, "case %zu", i);
	}
	ck_assert_uint_eq(nvr_create_cq(&r, 1, 64, 1), NVME_OK);
	ck_assert_uint_eq(nvr_create_sq(&r, 1, 64, 1), NVME_OK);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_FLUSH, 1, 0, 1, 0, 0), NULL), NVME_OK);
	fini();
}
END_TEST

START_TEST(other_admin_errors)
{
	static const struct {
		uint8_t opcode, flags;
		uint32_t nsid, cdw10, cdw11;
		uint16_t want;
	} cases[] = {
		{ NVME_ADM_FORMAT_NVM, 0, 1, 0, 0, NVME_INVALID_OPCODE },
		{ NVME_ADM_KEEP_ALIVE, 0, 0, 0, 0, NVME_INVALID_OPCODE },
		{ NVME_ADM_NS_MGMT, 0, 0, 0, 0, NVME_INVALID_OPCODE },
		{ 0xff, 0, 0, 0, 0, NVME_INVALID_OPCODE },
		{ NVME_ADM_IDENTIFY, 0x40, 0, 1, 0, NVME_INVALID_FIELD }, /* SGL */
		{ NVME_ADM_IDENTIFY, 1, 0, 1, 0, NVME_INVALID_FIELD }, /* fused */
		{ NVME_ADM_IDENTIFY, 0, 0, NVME_CNS_NS, 0, NVME_INVALID_NAMESPACE },
		{ NVME_ADM_IDENTIFY, 0, 65, NVME_CNS_NS, 0, NVME_INVALID_NAMESPACE },
		{ NVME_ADM_IDENTIFY, 0, NVME_NSID_ALL, NVME_CNS_NS, 0, NVME_INVALID_NAMESPACE },
		{ NVME_ADM_IDENTIFY, 0, 2, NVME_CNS_NS, 0, NVME_OK }, /* zeros */
		{ NVME_ADM_IDENTIFY, 0, 2, NVME_CNS_NS_DESCS, 0, NVME_INVALID_NAMESPACE },
		{ NVME_ADM_IDENTIFY, 0, 0xfffffffe, NVME_CNS_ACTIVE_NS, 0, NVME_INVALID_NAMESPACE },
		{ NVME_ADM_IDENTIFY, 0, 0, NVME_CNS_NVM_SET, 0, NVME_INVALID_FIELD },
		{ NVME_ADM_IDENTIFY, 0, 1, NVME_CNS_CS_NS, 0, NVME_OK },
		{ NVME_ADM_IDENTIFY, 0, 1, NVME_CNS_CS_NS, 2u << 24, NVME_INVALID_FIELD },
		{ NVME_ADM_IDENTIFY, 0, 0, NVME_CNS_CS_CTRL, 0, NVME_OK },
		{ NVME_ADM_IDENTIFY, 0, 0, NVME_CNS_CS_CTRL, 1u << 24, NVME_INVALID_FIELD },
		{ NVME_ADM_IDENTIFY, 0, 0, NVME_CNS_ALLOCATED_NS_LIST, 0, NVME_INVALID_FIELD },
		{ NVME_ADM_IDENTIFY, 0, 0, NVME_CNS_CTRLS, 0, NVME_INVALID_FIELD },
		{ NVME_ADM_IDENTIFY, 0, 0, 0xff, 0, NVME_INVALID_FIELD },
		{ NVME_ADM_GET_LOG, 0, 0, 0x7f0080, 0, NVME_LOG_PAGE },
		{ NVME_ADM_GET_LOG, 0, 1, 0x7f0002, 0, NVME_INVALID_FIELD },
		{ NVME_ADM_GET_LOG, 0, NVME_NSID_ALL, 0x7f0002, 0, NVME_OK },
		{ NVME_ADM_GET_LOG, 0, 0, 0xffff0002, 0xff, NVME_INVALID_FIELD }, /* too long */
		{ NVME_ADM_SET_FEATURES, 0, 0, 0x80000006, 1, NVME_FEATURE_NOT_SAVEABLE },
		{ NVME_ADM_SET_FEATURES, 0, 1, 0x06, 1, NVME_FEATURE_NOT_NS_SPECIFIC },
		{ NVME_ADM_SET_FEATURES, 0, 0, 0x07, 1, NVME_COMMAND_SEQUENCE },
		{ NVME_ADM_SET_FEATURES, 0, 0, 0x0d, 1, NVME_INVALID_FIELD },
		{ NVME_ADM_SET_FEATURES, 0, 0, 0x02, 1, NVME_INVALID_FIELD },
		{ NVME_ADM_SET_FEATURES, 0, 0, 0x09, 8, NVME_INVALID_FIELD },
		{ NVME_ADM_SET_FEATURES, 0, 0, 0x04, 0x10000, NVME_INVALID_FIELD },
		{ NVME_ADM_SET_FEATURES, 0, 0, 0x05, 0x10000, NVME_INVALID_FIELD },
		{ NVME_ADM_GET_FEATURES, 0, 0, 0x0d, 0, NVME_INVALID_FIELD },
		{ NVME_ADM_GET_FEATURES, 0, 0, 0x106, 0, NVME_INVALID_FIELD },
		{ NVME_ADM_GET_FEATURES, 0, 0, 0x09, 8, NVME_INVALID_FIELD },
		{ NVME_ADM_ABORT, 0, 0, 0x00050001, 0, NVME_OK },
		{ NVME_ADM_DOORBELL_BUFFER, 0, 0, 0, 0, NVME_INVALID_FIELD },
	};

	ready();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvme_sqe sqe = admin(cases[i].opcode, NVR_BASE + 4096 * 100, cases[i].cdw10,
					    cases[i].cdw11);
		struct nvme_cqe e;

		sqe.flags = cases[i].flags;
		sqe.nsid = cases[i].nsid;
		sqe.prp2 = cases[i].opcode == NVME_ADM_DOORBELL_BUFFER ? sqe.prp1 : 0;
		ck_assert_msg(nvr_do(&r, 0, sqe, &e) == cases[i].want, "case %zu: %#x", i,
			      e.status >> 1);
		ck_assert_msg(!(e.status >> 1 & NVME_STATUS_DNR) == !cases[i].want, "case %zu", i);
	}
	fini();
}
END_TEST

START_TEST(features_are_kept)
{
	static const struct {
		uint8_t fid;
		uint32_t val;
	} f[] = { { 1, 0x07 },	 { 4, 0x150 },	 { 4, 0x100120 }, { 5, 7 },	 { 6, 0 },
		  { 8, 0x0a05 }, { 9, 0x10003 }, { 0xa, 1 },	  { 0xb, 0x100 } };
	struct nvme_cqe e;
	gpa_t buf;

	ready();
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, f[i].fid, f[i].val),
					 NULL),
				  0);
		ck_assert_uint_eq(nvr_do(&r, 0,
					 admin(NVME_ADM_GET_FEATURES, 0, f[i].fid,
					       f[i].fid == 4   ? f[i].val & 0xff0000
					       : f[i].fid == 9 ? 3
							       : 0),
					 &e),
				  0);
		ck_assert_uint_eq(e.result, f[i].fid == 4 ? f[i].val & 0xffff : f[i].val);
	}
	buf = nvr_pages(&r, 1);
	memcpy(nvr_at(&r, buf), "0123456789abcdef", 16);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, buf, 0x81, 1), NULL), 0);
	memset(nvr_at(&r, buf), 0, 16);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_GET_FEATURES, buf, 0x81, 1), NULL), 0);
	ck_assert_mem_eq(nvr_at(&r, buf), "0123456789abcdef", 16);
	/* a reset forgets */
	nvr_write32(&r, NVME_REG_CC, 0);
	nvr_run(&r);
	ck_assert(nvr_enable(&r, 32));
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_GET_FEATURES, 0, 6, 0), &e), 0);
	ck_assert_uint_eq(e.result, 1);
	fini();
}
END_TEST

START_TEST(logs)
{
	struct nvme_sqe sqe;
	gpa_t buf;

	ready();
	buf = nvr_pages(&r, 2);
	/* SMART: two pieces by offset are the same as the whole */
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_READ, 1, 0, 8, buf, 0), NULL), 0);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_GET_LOG, buf, 0x7f0002, 0), NULL), 0);
	ck_assert_uint_eq(le64_load(nvr_at(&r, buf + 64)), 1);
	ck_assert_uint_eq(le16_load(nvr_at(&r, buf + 1)), 300);
	sqe = admin(NVME_ADM_GET_LOG, buf + 4096, 0x0f0002, 0);
	sqe.cdw12 = 64;
	ck_assert_uint_eq(nvr_do(&r, 0, sqe, NULL), 0);
	ck_assert_mem_eq(nvr_at(&r, buf + 64), nvr_at(&r, buf + 4096), 64);
	sqe.cdw12 = 516;
	ck_assert_uint_eq(nvr_do(&r, 0, sqe, NULL), NVME_INVALID_FIELD);
	sqe.cdw12 = 2;
	ck_assert_uint_eq(nvr_do(&r, 0, sqe, NULL), NVME_INVALID_FIELD);
	/* more than there is: zeros behind */
	memset(nvr_at(&r, buf), 0xff, 8192);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_GET_LOG, buf, 0x3ff0003, 0), NULL), 0);
	ck_assert_uint_eq(*(uint8_t *)nvr_at(&r, buf), 1);
	ck_assert_mem_eq(nvr_at(&r, buf + 8), "v1.0    ", 8);
	for (unsigned i = 512; i < 4096; i++)
		ck_assert_uint_eq(*(uint8_t *)nvr_at(&r, buf + i), 0);
	ck_assert_uint_eq(*(uint8_t *)nvr_at(&r, buf + 4096), 0xff);
	/* what is supported, and is there */
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_GET_LOG, buf, 0x0ff0000, 0), NULL), 0);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf + 20)), 1);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf + 24)), 0);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_GET_LOG, buf, 0x3ff0005, 0), NULL), 0);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf + 4 * NVME_ADM_IDENTIFY)), 1);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf + 4 * NVME_ADM_FORMAT_NVM)), 0);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf + 1024 + 4 * NVME_IO_WRITE)), 3);
	fini();
}
END_TEST

START_TEST(io_errors)
{
	static const struct {
		uint8_t opcode, flags;
		uint32_t nsid;
		uint64_t lba;
		uint32_t blocks;
		uint16_t want;
	} cases[] = {
		{ NVME_IO_READ, 0, 0, 0, 1, NVME_INVALID_NAMESPACE },
		{ NVME_IO_READ, 0, 65, 0, 1, NVME_INVALID_NAMESPACE },
		{ NVME_IO_READ, 0, NVME_NSID_ALL, 0, 1, NVME_INVALID_NAMESPACE },
		{ NVME_IO_FLUSH, 0, NVME_NSID_ALL, 0, 1, NVME_INVALID_NAMESPACE },
		{ NVME_IO_READ, 0, 2, 0, 1, NVME_INVALID_FIELD },
		{ NVME_IO_READ, 0, 1, 4096, 1, NVME_LBA_OUT_OF_RANGE },
		{ NVME_IO_READ, 0, 1, 4095, 2, NVME_LBA_OUT_OF_RANGE },
		{ NVME_IO_WRITE, 0, 1, UINT64_MAX, 1, NVME_LBA_OUT_OF_RANGE },
		{ NVME_IO_WRITE, 0, 1, UINT64_MAX, 2, NVME_LBA_OUT_OF_RANGE },
		{ NVME_IO_READ, 0, 1, 0, 1025, NVME_INVALID_FIELD }, /* MDTS */
		{ NVME_IO_READ, 1, 1, 0, 1, NVME_INVALID_FIELD },
		{ NVME_IO_READ, 0xc0, 1, 0, 1, NVME_INVALID_FIELD },
		{ NVME_IO_COMPARE, 0, 1, 0, 1, NVME_INVALID_OPCODE },
		{ 0x7f, 0, 1, 0, 1, NVME_INVALID_OPCODE },
		{ NVME_IO_VERIFY, 0, 1, 4095, 2, NVME_LBA_OUT_OF_RANGE },
		{ NVME_IO_VERIFY, 0, 1, 0, 4096, NVME_OK },
		{ NVME_IO_WRITE_ZEROES, 0, 1, 4095, 2, NVME_LBA_OUT_OF_RANGE },
		{ NVME_IO_RESV_REPORT, 0, 1, 0, 1, NVME_INVALID_OPCODE },
		{ NVME_IO_READ, 0, 1, 4095, 1, NVME_OK },
	};
	const unsigned n = ARRAY_SIZE(cases);
	gpa_t buf;

	ready();
	buf = nvr_pages(&r, 1);
	for (size_t i = 0; i < n; i++) {
		struct nvme_sqe sqe = nvr_rw(cases[i].opcode, cases[i].nsid, cases[i].lba,
					     cases[i].blocks, buf, 0);

		sqe.flags = cases[i].flags;
		ck_assert_msg(nvr_do(&r, 1, sqe, NULL) == cases[i].want, "case %zu", i);
	}
	fake_disk_fail(d, 1u << DISK_READ, NVME_UNRECOVERED_READ, 1);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_READ, 1, 0, 1, buf, 0), NULL),
			  NVME_UNRECOVERED_READ);
	/* it is in the logs */
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_GET_LOG, buf, 0x3f0001, 0), NULL), 0);
	ck_assert_uint_eq(le64_load(nvr_at(&r, buf)), 1);
	ck_assert_uint_eq(le16_load(nvr_at(&r, buf + 8)), 1);
	ck_assert_uint_eq(le16_load(nvr_at(&r, buf + 12)) >> 1 & NVME_STATUS_MASK,
			  NVME_UNRECOVERED_READ);
	fini();
}
END_TEST

/* Writes are durable on their own when they ask for it, or when the cache is off. */
START_TEST(fua_and_write_cache)
{
	const struct fake_disk_seen *seen;
	struct nvme_sqe w;
	gpa_t buf;

	ready();
	buf = nvr_pages(&r, 1);
	w = nvr_rw(NVME_IO_WRITE, 1, 0, 1, buf, 0);
	ck_assert_uint_eq(nvr_do(&r, 1, w, NULL), 0);
	w.cdw12 |= NVME_RW_FUA;
	ck_assert_uint_eq(nvr_do(&r, 1, w, NULL), 0);
	w.cdw12 = NVME_RW_LR;
	ck_assert_uint_eq(nvr_do(&r, 1, w, NULL), 0);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, 0, 6, 0), NULL), 0);
	ck_assert_uint_eq(nvr_do(&r, 1, w, NULL), 0);
	ck_assert_uint_eq(fake_disk_log(d, &seen), 4);
	ck_assert(seen[0].flags == 0 && seen[1].flags == DISK_FUA && seen[2].flags == 0 &&
		  seen[3].flags == DISK_FUA);
	fini();
}
END_TEST

START_TEST(read_only_namespace)
{
	struct disk_info info;
	gpa_t buf;

	setup();
	disk_info(d, &info);
	info.read_only = true;
	fake_disk_set_info(d, &info);
	nvr_ready(&r);
	buf = nvr_pages(&r, 1);
	memset(nvr_at(&r, buf), 0, 4096);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_WRITE, 1, 0, 1, buf, 0), NULL),
			  NVME_NS_WRITE_PROTECTED);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_WRITE_ZEROES, 1, 0, 1, 0, 0), NULL),
			  NVME_NS_WRITE_PROTECTED);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_DSM, 1, 0, 1, buf, 0), NULL),
			  NVME_NS_WRITE_PROTECTED);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_READ, 1, 0, 1, buf, 0), NULL), NVME_OK);
	ck_assert_uint_eq(identify(NVME_CNS_NS, 1, buf), NVME_OK);
	ck_assert_uint_eq(*(uint8_t *)nvr_at(&r, buf + 99), 1);
	fini();
}
END_TEST

START_TEST(deallocate)
{
	const struct fake_disk_seen *seen;
	struct nvme_dsm_range *range;
	struct nvme_sqe sqe;
	gpa_t buf;

	ready();
	buf = nvr_pages(&r, 1);
	range = nvr_at(&r, buf);
	memset(range, 0, 4096);
	range[0] = (struct nvme_dsm_range){ 0, 8, 16 };
	range[2] = (struct nvme_dsm_range){ 0, 1, 4095 };
	sqe = (struct nvme_sqe){
		.opcode = NVME_IO_DSM, .nsid = 1, .prp1 = buf, .cdw10 = 2, .cdw11 = NVME_DSM_AD
	};
	memset(fake_disk_data(d, 16), 0xee, 8 * 512);
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_OK);
	ck_assert_uint_eq(fake_disk_log(d, &seen), 2); /* not the empty one */
	ck_assert(seen[0].op == DISK_UNMAP && seen[0].lba == 16 && seen[0].blocks == 8);
	ck_assert(seen[1].op == DISK_UNMAP && seen[1].lba == 4095 && seen[1].blocks == 1);
	ck_assert_uint_eq(*fake_disk_data(d, 16), 0);
	/* hints only, all 256 of them */
	sqe.cdw10 = 0xff;
	sqe.cdw11 = 1;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_OK);
	ck_assert_uint_eq(fake_disk_log(d, &seen), 2);
	/* nothing is done when one is wrong */
	range[200] = (struct nvme_dsm_range){ 0, 2, 4095 };
	sqe.cdw11 = NVME_DSM_AD;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_LBA_OUT_OF_RANGE);
	ck_assert_uint_eq(fake_disk_log(d, &seen), 2);
	/* the second fails: so does the command */
	range[200].blocks = 0;
	sqe.cdw10 = 2;
	fake_disk_fail(d, 1u << DISK_UNMAP, NVME_INTERNAL_ERROR, 1);
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_INTERNAL_ERROR);
	ck_assert_uint_eq(fake_disk_log(d, &seen), 3);
	fini();
}
END_TEST

START_TEST(write_zeroes)
{
	const struct fake_disk_seen *seen;
	struct disk_info info;

	ready();
	memset(fake_disk_data(d, 0), 0xee, 4096 * 512);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_WRITE_ZEROES, 1, 1, 7, 0, 0), NULL), 0);
	ck_assert_uint_eq(fake_disk_log(d, &seen), 1);
	ck_assert(seen[0].op == DISK_WRITE_ZEROES && seen[0].lba == 1 && seen[0].blocks == 7);
	/* a disk that cannot: 2500 blocks in pieces of 512 KiB */
	disk_info(d, &info);
	info.write_zeroes = false;
	fake_disk_set_info(d, &info);
	fake_disk_forget(d);
	ck_assert_uint_eq(nvr_do(&r, 1, nvr_rw(NVME_IO_WRITE_ZEROES, 1, 1000, 2500, 0, 0), NULL),
			  0);
	ck_assert_uint_eq(fake_disk_log(d, &seen), 3);
	ck_assert(seen[2].op == DISK_WRITE && seen[2].lba == 3048 && seen[2].blocks == 452);
	for (uint32_t i = 0; i < 2500 * 512; i++)
		ck_assert_uint_eq(fake_disk_data(d, 1000)[i], 0);
	ck_assert_uint_eq(fake_disk_data(d, 3500)[0], 0xee);
	fini();
}
END_TEST

START_TEST(reservations)
{
	struct disk_info info;
	struct nvme_resv_keys *k;
	struct nvme_sqe sqe = { .nsid = 1 };
	gpa_t buf;

	ready();
	disk_info(d, &info);
	info.reservations = true;
	fake_disk_set_info(d, &info);
	buf = sqe.prp1 = nvr_pages(&r, 1);
	k = nvr_at(&r, buf);
	*k = (struct nvme_resv_keys){ 0, 0x77 };
	sqe.opcode = NVME_IO_RESV_REGISTER;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_OK);
	sqe.cdw10 = 3;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_INVALID_FIELD);
	*k = (struct nvme_resv_keys){ 1, 0x77 }; /* this disk knows no key 1 */
	sqe.opcode = NVME_IO_RESV_ACQUIRE;
	sqe.cdw10 = NVME_RTYPE_WRITE_EXCL << 8;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_RESERVATION_CONFLICT);
	k->current = 0x77;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_OK);
	sqe.cdw10 = 7 << 8;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_INVALID_FIELD);
	sqe.opcode = NVME_IO_RESV_RELEASE;
	sqe.cdw10 = NVME_RTYPE_WRITE_EXCL << 8;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_OK);
	/* the report, in both forms */
	sqe.opcode = NVME_IO_RESV_REPORT;
	sqe.cdw10 = 1023;
	sqe.cdw11 = NVME_RESV_REPORT_EDS;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_HOST_ID_FORMAT);
	sqe.cdw11 = 0;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_OK);
	ck_assert_uint_eq(le32_load(nvr_at(&r, buf)), 7);
	ck_assert_uint_eq(le16_load(nvr_at(&r, buf + 5)), 1);
	ck_assert_uint_eq(le64_load(nvr_at(&r, buf + 24 + 16)), 0x1122334455667788);
	ck_assert_uint_eq(nvr_do(&r, 0, admin(NVME_ADM_SET_FEATURES, buf, 0x81, 1), NULL), 0);
	sqe.cdw11 = NVME_RESV_REPORT_EDS;
	ck_assert_uint_eq(nvr_do(&r, 1, sqe, NULL), NVME_OK);
	ck_assert_uint_eq(le64_load(nvr_at(&r, buf + 64 + 8)), 0x1122334455667788);
	fini();
}
END_TEST

UNIT_MAIN("devices-storage/nvme_ctrl", starts_like_linux, will_not_start_with_nonsense,
	  create_and_delete_errors, other_admin_errors, features_are_kept, logs, io_errors,
	  fua_and_write_cache, read_only_namespace, deallocate, write_zeroes, reservations)
