/* SPDX-License-Identifier: MIT */
/*
 * The NVMe controller against a driver that is the input: registers, doorbells, commands with any
 * data pointers and memory that changes while it is used, with disks that come and go. Afterwards
 * the controller can be reset, and an honest driver is served.
 */
#include "fuzz.h"

#include "bug.h"
#include "loop.h"
#include "nvme_rig.h"
#include "rd.h"

#include <string.h>

#define PAGES 48u /* of memory that the input can name; the queues lie in the first of them */
#define DISK_BYTES (1u << 20)

static struct nvr r;
static struct disk *disk[2];

static void open_disks(void)
{
	BUG_ON(disk_ram_open("a", DISK_BYTES, 512, &disk[0]) < 0);
	BUG_ON(disk_ram_open("b", DISK_BYTES, 4096, &disk[1]) < 0);
	BUG_ON(nvme_ctrl_attach(r.c, 1, disk_get(disk[0])) < 0);
}

static void start(void)
{
	pci_func_reset(r.pci);
	nvme_ctrl_fault(r.c, NVME_FAULT_NONE);
	nvr_run(&r);
	memset(r.mem, 0, PAGES * KEEL_PAGE_SIZE);
	r.next_page = 0;
	nvr_ready(&r);
	if (nvme_ctrl_detach(r.c, 2) == 0)
		nvr_run(&r);
}

/* Mostly in memory, mostly aligned. */
static uint64_t address(uint64_t raw)
{
	if ((raw & 0xff00000000000000) == 0xff00000000000000)
		return raw;
	raw = NVR_BASE + raw % (PAGES * KEEL_PAGE_SIZE);
	return raw & 0x7 ? raw & ~0xfffull : raw;
}

static void command(struct rd *in)
{
	const uint8_t how = rd_u8(in);
	const unsigned qid = how % 3;
	struct nvme_sqe sqe;
	uint8_t raw[sizeof(sqe)] = { 0 };
	const size_t n = MIN(in->left, how & 0x80 ? sizeof(sqe) : 48);
	const uint8_t *bytes = rd_bytes(in, n);

	if (!bytes || !r.q[qid].sq_size)
		return;
	memcpy(raw, bytes, n);
	memcpy(&sqe, raw, sizeof(sqe));
	if (how & 0x40) {
		sqe.prp1 = address(sqe.prp1);
		sqe.prp2 = address(sqe.prp2);
		sqe.nsid &= 3;
		sqe.flags &= 0xc0;
		sqe.opcode %= 0x20;
		sqe.cdw11 = qid ? 0 : sqe.cdw11;
		sqe.cdw10 = qid ? sqe.cdw10 % 2100 : sqe.cdw10;
		sqe.cdw12 &= 0x3ff;
	}
	nvr_push(&r, qid, sqe);
	if (!(how & 0x20))
		nvr_ring(&r, qid);
}

static void poke(struct rd *in)
{
	const uint32_t at = rd_le32(in) % (PAGES * KEEL_PAGE_SIZE - 64);
	const uint8_t how = rd_u8(in);
	uint64_t words[4];

	if (how & 0x80) { /* addresses, as in lists */
		for (unsigned i = 0; i < 4; i++)
			words[i] = address(rd_le64(in));
		memcpy(r.mem + at / 8 * 8, words, sizeof(words));
	} else {
		const size_t n = MIN(in->left, how & 0x3f);
		const uint8_t *bytes = rd_bytes(in, n);

		if (bytes)
			memcpy(r.mem + at, bytes, n);
	}
}

static void mmio(struct rd *in)
{
	const uint16_t where = rd_le16(in);
	const uint32_t off = where & 0x8000 ? 0x1000 + (where & 0xff) : where & 0x7f;
	const unsigned size = 1u << (where >> 13 & 3);
	uint64_t val;

	if (where & 0x1000)
		(void)pci_func_mmio_read(r.pci, NVR_BAR + off, size, &val);
	else
		(void)pci_func_mmio_write(r.pci, NVR_BAR + off, size, rd_le32(in));
}

static void namespaces(uint8_t how)
{
	if (how & 1) {
		if (nvme_ctrl_attach(r.c, 2, disk_get(disk[1])) < 0)
			disk_put(disk[1]);
	} else if (nvme_ctrl_detach(r.c, 2) < 0) {
		return; /* it is not there */
	}
}

static void completions(void)
{
	struct nvme_cqe e;

	for (unsigned q = 0; q < 3; q++) {
		for (int i = 0; i < 64 && r.q[q].cq_size && nvr_poll(&r, q, &e); i++)
			;
	}
}

/* The BARs may be anywhere, the controller broken: a new driver starts from the reset. */
static void successor(void)
{
	struct nvme_sqe sqe;

	start();
	sqe = nvr_rw(NVME_IO_READ, 1, 0, 8, NVR_BASE + 40 * KEEL_PAGE_SIZE, 0);
	BUG_ON(nvr_do(&r, 1, sqe, NULL) != NVME_OK);
	nvr_write32(&r, NVME_REG_CC, 0);
	nvr_run(&r);
	BUG_ON(nvr_read32(&r, NVME_REG_CSTS) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);

	if (!r.c) {
		nvr_init(&r);
		open_disks();
	}
	start();
	while (in.left && !in.bad) {
		switch (rd_u8(&in) % 10) {
		case 0:
		case 1:
		case 2:
		case 3:
			command(&in);
			break;
		case 4:
			poke(&in);
			break;
		case 5:
			mmio(&in);
			break;
		case 6:
			nvr_run(&r);
			break;
		case 7:
			completions();
			break;
		case 8:
			namespaces(rd_u8(&in));
			break;
		case 9:
			nvme_ctrl_fault(r.c,
					rd_u8(&in) % 16 == 15 ? NVME_FAULT_FATAL : NVME_FAULT_NONE);
			break;
		}
	}
	nvr_run(&r);
	successor();
	return 0;
}
