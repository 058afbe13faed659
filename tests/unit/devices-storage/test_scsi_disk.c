/* SPDX-License-Identifier: MIT */
/* SCSI disks, command by command, on a disk that remembers what it was asked for. */
#include "fake_disk.h"
#include "le.h"
#include "gmem.h"
#include "loop.h"
#include "scsi_rig.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCKS 4096u
#define ILLEGAL(asc) (0x050000u | (asc))

static struct disk *disk;
static struct scsi_rig rig;
static uint8_t buf[1 << 17];

static void make(const struct scsi_unit_cfg *cfg, uint32_t block_size)
{
	struct scsi_unit *u;

	disk = fake_disk(BLOCKS, block_size);
	ck_assert_int_eq(scsi_disk_create(cfg, disk, &u), 0);
	scsi_rig_init(&rig, u, 4);
	memset(buf, 0xee, sizeof(buf));
}

static void setup(void)
{
	make(&(struct scsi_unit_cfg){ .name = "t",
				      .device_id = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
						     15, 16 } },
	     512);
}

static void teardown(void)
{
	scsi_rig_fini(&rig);
}

static struct fake_disk_seen seen(unsigned i)
{
	const struct fake_disk_seen *log;

	ck_assert_uint_lt(i, fake_disk_log(disk, &log));
	return log[i];
}

static unsigned n_seen(void)
{
	const struct fake_disk_seen *log;

	return fake_disk_log(disk, &log);
}

static void expect_ok(uint8_t status, uint32_t transferred)
{
	ck_assert_uint_eq(status, SCSI_GOOD);
	ck_assert_uint_eq(rig.cmd.srb_status, SRB_SUCCESS);
	ck_assert_uint_eq(rig.cmd.sense_len, 0);
	ck_assert_uint_eq(rig.cmd.transferred, transferred);
}

static void expect_bad(uint8_t status, uint8_t srb, uint32_t sense)
{
	ck_assert_uint_eq(status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(rig.cmd.srb_status, srb);
	ck_assert_uint_eq(scsi_rig_sense(&rig), sense);
	ck_assert_uint_eq(rig.cmd.transferred, 0);
}

static void expect_illegal(uint8_t status, uint16_t asc)
{
	expect_bad(status, SRB_INVALID_REQUEST, ILLEGAL(asc));
}

/* ---- INQUIRY --------------------------------------------------------------------------------- */

START_TEST(inquiry_standard)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 0, 0, 0, 255, 0), 96);
	ck_assert_uint_eq(buf[0], 0);
	ck_assert_uint_eq(buf[1], 0);
	ck_assert_uint_eq(buf[2], 5);
	ck_assert_uint_eq(buf[3], 2);
	ck_assert_uint_eq(buf[4], 91);
	ck_assert_uint_eq(buf[7], 2);
	ck_assert_mem_eq(buf + 8, "Msft    Virtual Disk    1.0 ", 28);
	ck_assert_uint_eq(buf[96], 0xee);
	/* The allocation length cuts, and so does the guest's memory. */
	memset(buf, 0xee, 256);
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 0, 0, 0, 36, 0), 36);
	ck_assert_uint_eq(buf[36], 0xee);
	expect_ok(SCSI_RIG_IN(&rig, buf, 5, 0x12, 0, 0, 0, 36, 0), 5);
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 0, 0, 0, 0, 0), 0);
	/* No memory for what comes from the device. */
	expect_ok(SCSI_RIG_OUT(&rig, buf, 256, 0x12, 0, 0, 0, 36, 0), 0);
}
END_TEST

START_TEST(inquiry_errors)
{
	expect_illegal(SCSI_RIG_IN(&rig, buf, 256, 0x12, 0, 0x80, 0, 255, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 256, 0x12, 2, 0, 0, 255, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 256, 0x12, 3, 0, 0, 255, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0x8f, 0, 255, 0), ASC_CDB_FIELD);
	/* No serial number, no page for it. */
	expect_illegal(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0x80, 0, 255, 0), ASC_CDB_FIELD);
}
END_TEST

START_TEST(inquiry_pages)
{
	static const uint8_t list[] = { 0, 0, 0, 7, 0x00, 0x83, 0xb0, 0xb1, 0xb2, 0xce, 0xcf };

	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0, 0, 255, 0), sizeof(list));
	ck_assert_mem_eq(buf, list, sizeof(list));

	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0x83, 0, 255, 0), 52);
	ck_assert_mem_eq(buf, "\0\x83\0\x30\1\1\0\x18Msft    ", 16);
	for (uint8_t i = 0; i < 16; i++)
		ck_assert_uint_eq(buf[16 + i], i + 1);
	ck_assert_mem_eq(buf + 32, "\1\3\0\x10\x60\x02\x24\x80\1\2\3\4\5\6\x0b\x0c\x0d\x0e\x0f\x10",
			 20);

	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0xb0, 0, 255, 0), 64);
	ck_assert_uint_eq(be32_load(buf + 8), (8u << 20) / 512);
	ck_assert_uint_eq(be32_load(buf + 20), UINT32_MAX);
	ck_assert_uint_eq(be32_load(buf + 24), 4096);
	ck_assert_uint_eq(be32_load(buf + 28), 8);
	ck_assert_uint_eq(be32_load(buf + 32), 0x80000000);
	ck_assert_uint_eq(be64_load(buf + 36), (8u << 20) / 512);

	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0xb1, 0, 255, 0), 64);
	ck_assert_uint_eq(be16_get(buf + 4), 1);
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0xb2, 0, 255, 0), 8);
	ck_assert_mem_eq(buf, "\0\xb2\0\4\1\x84\2\0", 8);
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0xce, 0, 255, 0), 8);
	ck_assert_mem_eq(buf, "\0\xce\0\4\1\1\0\0", 8);
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0xcf, 0, 255, 0), 24);
	ck_assert_mem_eq(buf, "\0\xcf\0\x14\1\0\0\0\x15\x8f\xa9\x89\x28\xc9\x8b\x4d\x94\xcd", 18);
}
END_TEST

START_TEST(inquiry_configured)
{
	struct scsi_unit_cfg cfg = { .vendor = "Acme",
				     .product = "Fast\1Disk",
				     .revision = "9",
				     .serial = "S123",
				     .medium_rotation_rate = 7200,
				     .no_unmap = true };

	teardown();
	make(&cfg, 4096);
	expect_ok(SCSI_RIG_IN(&rig, buf, 96, 0x12, 0, 0, 0, 96, 0), 96);
	ck_assert_mem_eq(buf + 8, "Acme    Fast Disk       9   ", 28);
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0, 0, 255, 0), 11);
	ck_assert_mem_eq(buf, "\0\0\0\7\x00\x80\x83\xb0\xb1\xce\xcf", 11);
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0x80, 0, 255, 0), 8);
	ck_assert_mem_eq(buf, "\0\x80\0\4S123", 8);
	expect_ok(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0xb1, 0, 255, 0), 64);
	ck_assert_uint_eq(be16_get(buf + 4), 7200);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 256, 0x12, 1, 0xb2, 0, 255, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_CDB_FIELD);
}
END_TEST

/* ---- capacity -------------------------------------------------------------------------------- */

START_TEST(read_capacity)
{
	struct disk_info info;

	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8);
	ck_assert_uint_eq(be32_load(buf), BLOCKS - 1);
	ck_assert_uint_eq(be32_load(buf + 4), 512);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0), ASC_CDB_FIELD);
	expect_ok(SCSI_RIG_IN(&rig, buf, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0),
		  32);
	ck_assert_uint_eq(be64_load(buf), BLOCKS - 1);
	ck_assert_uint_eq(be32_load(buf + 8), 512);
	ck_assert_uint_eq(buf[13], 3); /* 4096 bytes physically */
	ck_assert_uint_eq(buf[14], 0xc0);
	/* Beyond what ten bytes can say. */
	disk_info(disk, &info);
	info.blocks = 1ull << 33;
	fake_disk_set_info(disk, &info);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8);
	ck_assert_uint_eq(be32_load(buf), UINT32_MAX);
	expect_ok(SCSI_RIG_IN(&rig, buf, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0),
		  12);
	ck_assert_uint_eq(be64_load(buf), (1ull << 33) - 1);
	info.blocks = BLOCKS;
	fake_disk_set_info(disk, &info);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 32, 0x9e, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32,
				   0, 0),
		       ASC_CDB_FIELD);
}
END_TEST

START_TEST(lba_status)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 64, 0,
			      0),
		  24);
	ck_assert_uint_eq(be32_load(buf), 20);
	ck_assert_uint_eq(be64_load(buf + 8), 16);
	ck_assert_uint_eq(be32_load(buf + 16), BLOCKS - 16);
	ck_assert_uint_eq(buf[20], 0);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 64, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0,
				   64, 0, 0),
		       ASC_LBA);
}
END_TEST

START_TEST(capacity_change)
{
	struct disk_info info;

	disk_info(disk, &info);
	info.blocks *= 2;
	info.generation++;
	fake_disk_set_info(disk, &info);
	/* INQUIRY does not tell and does not clear. */
	expect_ok(SCSI_RIG_IN(&rig, buf, 96, 0x12, 0, 0, 0, 96, 0), 96);
	expect_bad(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), SRB_ERROR, 0x062a09);
	expect_ok(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8);
	ck_assert_uint_eq(be32_load(buf), 2 * BLOCKS - 1);
	/* Or as data of REQUEST SENSE. */
	info.generation++;
	fake_disk_set_info(disk, &info);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 3, 0, 0, 0, 64, 0), 18);
	ck_assert_uint_eq(buf[2], 6);
	ck_assert_uint_eq(buf[12], 0x2a);
	ck_assert_uint_eq(buf[13], 9);
	expect_ok(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0);
}
END_TEST

START_TEST(configured_size)
{
	teardown();
	make(&(struct scsi_unit_cfg){ .size_bytes = 512 * 100, .physical_block_size = 512 }, 512);
	expect_ok(SCSI_RIG_IN(&rig, buf, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0),
		  32);
	ck_assert_uint_eq(be64_load(buf), 99);
	ck_assert_uint_eq(buf[13], 0);
	expect_ok(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0, 0, 0, 0, 99, 0, 0, 1, 0), 512);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0, 0, 0, 0, 100, 0, 0, 1, 0), ASC_LBA);
}
END_TEST

START_TEST(bad_config)
{
	struct scsi_unit *u;

	ck_assert_int_eq(scsi_disk_create(&(struct scsi_unit_cfg){ .physical_block_size = 256 },
					  disk, &u),
			 -EINVAL);
	ck_assert_int_eq(scsi_disk_create(&(struct scsi_unit_cfg){ .max_transfer = 100 }, disk, &u),
			 -EINVAL);
}
END_TEST

/* ---- READ and WRITE -------------------------------------------------------------------------- */

START_TEST(write_and_read_all_sizes)
{
	static uint8_t back[8192];

	for (int i = 0; i < 8192; i++)
		buf[i] = (uint8_t)(i * 7 + i / 256);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 1024, 0x0a, 0, 0, 2, 2, 0), 1024);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 2048, 0x2a, 0, 0, 0, 0, 8, 0, 0, 4, 0), 2048);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 4096, 0xaa, 0, 0, 0, 0, 16, 0, 0, 0, 8, 0, 0), 4096);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 8192, 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 16, 0,
			       0),
		  8192);
	expect_ok(SCSI_RIG_IN(&rig, back, 1024, 0x08, 0, 0, 2, 2, 0), 1024);
	ck_assert_mem_eq(back, buf, 1024);
	expect_ok(SCSI_RIG_IN(&rig, back, 2048, 0x28, 0, 0, 0, 0, 8, 0, 0, 4, 0), 2048);
	ck_assert_mem_eq(back, buf, 2048);
	expect_ok(SCSI_RIG_IN(&rig, back, 4096, 0xa8, 0, 0, 0, 0, 16, 0, 0, 0, 8, 0, 0), 4096);
	ck_assert_mem_eq(back, buf, 4096);
	expect_ok(SCSI_RIG_IN(&rig, back, 8192, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 16, 0,
			      0),
		  8192);
	ck_assert_mem_eq(back, buf, 8192);
	ck_assert_mem_eq(fake_disk_data(disk, 32), buf, 8192);
	/* 256 blocks are written as 0 in the shortest form. */
	expect_ok(SCSI_RIG_OUT(&rig, buf, 131072, 0x0a, 0, 0, 0, 0, 0), 131072);
	ck_assert_uint_eq(seen(n_seen() - 1).blocks, 256);
	ck_assert_uint_eq(seen(0).timeout_ms, 1000);
}
END_TEST

START_TEST(rw_lengths)
{
	/* Nothing to move is no error; more memory than needed is not touched. */
	expect_ok(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	ck_assert_uint_eq(n_seen(), 0);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8192, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	ck_assert_uint_eq(buf[511], 0);
	ck_assert_uint_eq(buf[512], 0xee);
	/* Less memory, or for the other direction. */
	expect_illegal(SCSI_RIG_IN(&rig, buf, 1023, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 1024, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 1024, 0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0),
		       ASC_CDB_FIELD);
	ck_assert_uint_eq(n_seen(), 1);
}
END_TEST

START_TEST(rw_ranges)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0, 0, 0, 0x0f, 0xff, 0, 0, 1, 0), 512);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 1024, 0x28, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0),
		       ASC_LBA);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0),
		       ASC_LBA);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 512, 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				   0xff, 0xff, 0, 0, 0, 1, 0, 0),
		       ASC_LBA);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 512, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff,
				   0xff, 0xff, 0, 0),
		       ASC_LBA);
	/* Relative addresses and protection information do not exist. */
	expect_illegal(SCSI_RIG_IN(&rig, buf, 512, 0x28, 1, 0, 0, 0, 0, 0, 0, 1, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0),
		       ASC_CDB_FIELD);
}
END_TEST

START_TEST(rw_transfer_limit)
{
	teardown();
	make(&(struct scsi_unit_cfg){ .max_transfer = 4096 }, 512);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8192, 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0), 4096);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 8192, 0x28, 0, 0, 0, 0, 0, 0, 0, 9, 0),
		       ASC_CDB_FIELD);
}
END_TEST

START_TEST(fua)
{
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	ck_assert_uint_eq(seen(0).flags, 0);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	ck_assert_uint_eq(seen(1).flags, DISK_FUA);
	/* The same bit of the shortest form is part of the address. */
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x0a, 0, 8, 0, 1, 0), 512);
	ck_assert_uint_eq(seen(2).flags, 0);
	ck_assert_uint_eq(seen(2).lba, 0x800);
	/* Read from the medium: what the cache holds goes there first. */
	expect_ok(SCSI_RIG_IN(&rig, buf, 512, 0x28, 8, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	ck_assert_uint_eq(seen(3).op, DISK_FLUSH);
	ck_assert_uint_eq(seen(4).op, DISK_READ);
	fake_disk_fail(disk, 1u << DISK_FLUSH, NVME_WRITE_FAULT, 1);
	expect_bad(SCSI_RIG_IN(&rig, buf, 512, 0x28, 8, 0, 0, 0, 0, 0, 0, 1, 0), SRB_ERROR,
		   0x030300);
}
END_TEST

START_TEST(read_only)
{
	struct disk_info info;

	disk_info(disk, &info);
	info.read_only = true;
	fake_disk_set_info(disk, &info);
	expect_bad(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_ERROR,
		   0x072700);
	expect_bad(SCSI_RIG_OUT(&rig, buf, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), SRB_ERROR,
		   0x072700);
	expect_bad(SCSI_RIG_OUT(&rig, buf, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0),
		   SRB_ERROR, 0x072700);
	expect_ok(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 8, 0, 64, 0), 24);
	ck_assert_uint_eq(buf[2] & 0x80, 0x80);
	ck_assert_uint_eq(n_seen(), 1);
}
END_TEST

START_TEST(disk_errors)
{
	static const struct {
		uint16_t nvme;
		uint8_t srb;
		uint32_t sense;
	} t[] = {
		{ NVME_UNRECOVERED_READ, SRB_ERROR, 0x031100 },
		{ NVME_LBA_OUT_OF_RANGE, SRB_ERROR, 0x052100 },
		{ NVME_NS_WRITE_PROTECTED, SRB_ERROR, 0x072700 },
		{ 0x7ff, SRB_ERROR, 0x044400 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		fake_disk_fail(disk, 1u << DISK_READ, t[i].nvme, 1);
		expect_bad(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), t[i].srb,
			   t[i].sense);
	}
	fake_disk_fail(disk, 1u << DISK_READ, NVME_RESERVATION_CONFLICT, 1);
	ck_assert_uint_eq(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0),
			  SCSI_RESERVATION_CONFLICT);
	ck_assert_uint_eq(rig.cmd.srb_status, SRB_ERROR);
	ck_assert_uint_eq(rig.cmd.sense_len, 0);
	fake_disk_fail(disk, 1u << DISK_READ, NVME_ABORTED_PREEMPT, 1);
	ck_assert_uint_eq(SCSI_RIG_IN(&rig, buf, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0),
			  SCSI_TASK_ABORTED);
	ck_assert_uint_eq(rig.cmd.srb_status, SRB_ABORTED);
}
END_TEST

/* Guest memory that is not there any more. */
START_TEST(data_faults)
{
	uint8_t *gone = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(gone, MAP_FAILED);
	ck_assert_int_eq(gm_install_fault_handler(), 0);
	expect_illegal(SCSI_RIG_IN(&rig, gone, 96, 0x12, 0, 0, 0, 96, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, gone, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, gone, 24, 0x15, 0x10, 0, 0, 24, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, gone, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
				    0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, gone, 512, 0x2f, 2, 0, 0, 0, 0, 0, 0, 1, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, gone, 24, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_CDB_FIELD);
	ck_assert_int_eq(munmap(gone, 8192), 0);
}
END_TEST

/* ---- VERIFY and the cache -------------------------------------------------------------------- */

START_TEST(verify)
{
	memset(fake_disk_data(disk, 100), 0x5a, 200 * 512);
	expect_ok(SCSI_RIG_NONE(&rig, 0x2f, 0, 0, 0, 0, 100, 0, 0, 200, 0), 0);
	ck_assert_uint_eq(seen(0).op, DISK_VERIFY);
	ck_assert_uint_eq(seen(0).blocks, 200);
	/* With the guest's bytes: 200 blocks are more than one turn of the scratch memory. */
	memset(buf, 0x5a, 200 * 512);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 200 * 512, 0x2f, 2, 0, 0, 0, 100, 0, 0, 200, 0),
		  200 * 512);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 200 * 512, 0xaf, 2, 0, 0, 0, 100, 0, 0, 0, 200, 0, 0),
		  200 * 512);
	buf[150 * 512 + 3] ^= 1;
	expect_bad(SCSI_RIG_OUT(&rig, buf, 200 * 512, 0x8f, 2, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0,
				200, 0, 0),
		   SRB_ERROR, 0x0e1d00);
	expect_illegal(SCSI_RIG_NONE(&rig, 0x2f, 4, 0, 0, 0, 0, 0, 0, 1, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 512, 0x2f, 6, 0, 0, 0, 0, 0, 0, 1, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_NONE(&rig, 0x2f, 0, 0, 0, 0x10, 0, 0, 0, 1, 0), ASC_LBA);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 512, 0x2f, 2, 0, 0, 0, 0, 0, 0, 2, 0),
		       ASC_CDB_FIELD);
	fake_disk_fail(disk, 1u << DISK_VERIFY, NVME_UNRECOVERED_READ, 1);
	expect_bad(SCSI_RIG_NONE(&rig, 0x2f, 0, 0, 0, 0, 0, 0, 0, 1, 0), SRB_ERROR, 0x031100);
}
END_TEST

START_TEST(write_and_verify)
{
	memset(buf, 0x33, 1024);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 1024, 0x2e, 0, 0, 0, 0, 7, 0, 0, 2, 0), 1024);
	ck_assert_mem_eq(fake_disk_data(disk, 7), buf, 1024);
	ck_assert_uint_eq(seen(0).op, DISK_WRITE);
	ck_assert_uint_eq(seen(0).flags, DISK_FUA);
	ck_assert_uint_eq(seen(1).op, DISK_VERIFY);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 1024, 0x8e, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0),
		  1024);
	ck_assert_uint_eq(seen(3).op, DISK_READ);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 1024, 0xae, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0), 1024);
	fake_disk_fail(disk, 1u << DISK_VERIFY, NVME_UNRECOVERED_READ, 1);
	expect_bad(SCSI_RIG_OUT(&rig, buf, 512, 0x2e, 0, 0, 0, 0, 7, 0, 0, 1, 0), SRB_ERROR,
		   0x031100);
}
END_TEST

START_TEST(synchronize_cache)
{
	expect_ok(SCSI_RIG_NONE(&rig, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x91, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	ck_assert_uint_eq(seen(0).op, DISK_FLUSH);
	ck_assert_uint_eq(seen(1).op, DISK_FLUSH);
	expect_illegal(SCSI_RIG_NONE(&rig, 0x35, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0), ASC_LBA);
	fake_disk_fail(disk, 1u << DISK_FLUSH, NVME_WRITE_FAULT, 1);
	expect_bad(SCSI_RIG_NONE(&rig, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), SRB_ERROR, 0x030300);
}
END_TEST

START_TEST(start_stop)
{
	expect_ok(SCSI_RIG_NONE(&rig, 0x1b, 0, 0, 0, 1, 0), 0);
	ck_assert_uint_eq(n_seen(), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x1b, 0, 0, 0, 0, 0), 0);
	ck_assert_uint_eq(seen(0).op, DISK_FLUSH);
	expect_illegal(SCSI_RIG_NONE(&rig, 0x1b, 0, 0, 0, 2, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_NONE(&rig, 0x1b, 0, 0, 0, 0x30, 0), ASC_CDB_FIELD);
}
END_TEST

/* ---- MODE ------------------------------------------------------------------------------------ */

START_TEST(mode_sense)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 8, 0, 64, 0), 24);
	ck_assert_mem_eq(buf, "\x17\0\x10\0\x08\x12\x04\0", 8);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 64, 0), 28);
	ck_assert_mem_eq(buf, "\0\x1a\0\x10\0\0\0\0\x08\x12\x04\0", 12);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 0x48, 0, 64, 0), 24); /* changeable */
	ck_assert_uint_eq(buf[6], 4);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 8, 0, 4, 0), 4);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 0xc8, 0, 64, 0), ASC_SAVING);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 1, 0, 64, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 64, 0x5a, 0, 0x1c, 0, 0, 0, 0, 0, 64, 0),
		       ASC_CDB_FIELD);
}
END_TEST

/* A guest that has switched the cache off gets durable writes. */
START_TEST(mode_select_wce)
{
	uint8_t list[24] = { 0, 0, 0x10, 0, 0x88, 18, 0 };

	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	ck_assert_uint_eq(seen(0).flags, 0);
	expect_ok(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 24, 0), 0);
	ck_assert_uint_eq(seen(1).op, DISK_FLUSH);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	ck_assert_uint_eq(seen(2).flags, DISK_FUA);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 8, 0, 64, 0), 24);
	ck_assert_uint_eq(buf[6], 0);
	list[6] = 4;
	expect_ok(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 24, 0), 0);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	ck_assert_uint_eq(seen(3).flags, 0);
}
END_TEST

START_TEST(mode_select_errors)
{
	uint8_t list[36] = { 0, 0, 0, 0, 0x08, 18, 4 };
	uint8_t list10[36] = { [7] = 8, [13] = 0, [14] = 2, [15] = 0, [16] = 8, 18, 4 };

	expect_ok(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 24, 0), 0);
	expect_ok(SCSI_RIG_OUT(&rig, list10, 36, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 36, 0), 0);
	list10[14] = 4; /* another block size */
	expect_illegal(SCSI_RIG_OUT(&rig, list10, 36, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 36, 0),
		       ASC_PARAMETER);
	expect_ok(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 4, 0), 0);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x11, 0, 0, 24, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x00, 0, 0, 24, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 25, 0), ASC_LIST_LENGTH);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 3, 0), ASC_LIST_LENGTH);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 23, 0), ASC_PARAMETER);
	list[7] = 1; /* a value that cannot change */
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 24, 0), ASC_PARAMETER);
	list[7] = 0;
	list[4] = 0x0a; /* another page */
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 24, 0), ASC_PARAMETER);
}
END_TEST

START_TEST(no_cache)
{
	uint8_t list[24] = { 0, 0, 0, 0, 0x08, 18, 4 };
	struct disk_info info;

	disk_info(disk, &info);
	info.write_cache = false;
	fake_disk_set_info(disk, &info);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 8, 0, 64, 0), 24);
	ck_assert_uint_eq(buf[6], 0);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 24, 0), ASC_PARAMETER);
	/* Configured without: then there must be none, whatever the disk has. */
	teardown();
	make(&(struct scsi_unit_cfg){ .no_write_cache = true, .no_fua = true }, 512);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x1a, 0, 8, 0, 64, 0), 24);
	ck_assert_uint_eq(buf[6], 0);
	ck_assert_uint_eq(buf[2], 0);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	ck_assert_uint_eq(seen(0).flags, DISK_FUA);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x15, 0x10, 0, 0, 24, 0), ASC_PARAMETER);
}
END_TEST

/* ---- UNMAP and WRITE SAME -------------------------------------------------------------------- */

static void put_desc(uint8_t *list, unsigned i, uint64_t lba, uint32_t blocks)
{
	memset(list + 8 + 16 * i, 0, 16);
	be64_put(list + 8 + 16 * i, lba);
	be32_store(list + 16 + 16 * i, blocks);
}

START_TEST(unmap)
{
	uint8_t list[8 + 48] = { 0, 54, 0, 48 };

	put_desc(list, 0, 8, 16);
	put_desc(list, 1, 77, 0);
	put_desc(list, 2, BLOCKS - 8, 8);
	memset(fake_disk_data(disk, 0), 0xaa, (size_t)BLOCKS * 512);
	expect_ok(SCSI_RIG_OUT(&rig, list, 56, 0x42, 0, 0, 0, 0, 0, 0, 0, 56, 0), 56);
	ck_assert_uint_eq(n_seen(), 2);
	ck_assert_uint_eq(seen(0).op, DISK_UNMAP);
	ck_assert_uint_eq(seen(0).lba, 8);
	ck_assert_uint_eq(seen(0).blocks, 16);
	ck_assert_uint_eq(seen(1).lba, BLOCKS - 8);
	ck_assert_uint_eq(*fake_disk_data(disk, 8), 0);
	ck_assert_uint_eq(*fake_disk_data(disk, 24), 0xaa);
	fake_disk_forget(disk);
	/* One bad descriptor: nothing is done. */
	put_desc(list, 2, BLOCKS - 8, 9);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 56, 0x42, 0, 0, 0, 0, 0, 0, 0, 56, 0), ASC_LBA);
	ck_assert_uint_eq(n_seen(), 0);
	put_desc(list, 2, UINT64_MAX, 2);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 56, 0x42, 0, 0, 0, 0, 0, 0, 0, 56, 0), ASC_LBA);
	put_desc(list, 2, 0, 1);
	fake_disk_fail(disk, 1u << DISK_UNMAP, NVME_INTERNAL_ERROR, 1);
	expect_bad(SCSI_RIG_OUT(&rig, list, 56, 0x42, 0, 0, 0, 0, 0, 0, 0, 56, 0), SRB_ERROR,
		   0x044400);
}
END_TEST

START_TEST(unmap_lists)
{
	uint8_t list[8 + 16] = { 0, 22, 0, 16 };

	expect_ok(SCSI_RIG_OUT(&rig, list, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x42, 1, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0),
		       ASC_LIST_LENGTH);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 23, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_LIST_LENGTH);
	list[1] = 21;
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_PARAMETER);
	list[1] = 22;
	list[3] = 32;
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_PARAMETER);
	list[3] = 0;
	expect_ok(SCSI_RIG_OUT(&rig, list, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), 24);
	ck_assert_uint_eq(n_seen(), 0);
}
END_TEST

START_TEST(write_same)
{
	memset(buf, 0x77, 512);
	/* 300 blocks of a pattern: written through the scratch memory. */
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1, 44, 0, 0),
		  512);
	ck_assert_uint_eq(n_seen(), 3);
	for (unsigned i = 0; i < 300; i++)
		ck_assert_mem_eq(fake_disk_data(disk, 10 + i), buf, 512);
	ck_assert_uint_eq(*fake_disk_data(disk, 9), 0);
	ck_assert_uint_eq(*fake_disk_data(disk, 310), 0);
	fake_disk_forget(disk);
	/* Zeros: the disk knows how. */
	memset(buf, 0, 512);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x41, 0, 0, 0, 0, 10, 0, 0, 100, 0), 512);
	ck_assert_uint_eq(seen(0).op, DISK_WRITE_ZEROES);
	ck_assert_uint_eq(seen(0).blocks, 100);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x41, 8, 0, 0, 0, 10, 0, 0, 100, 0), 512);
	ck_assert_uint_eq(seen(1).op, DISK_UNMAP);
	expect_ok(SCSI_RIG_NONE(&rig, 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 44, 0, 0), 0);
	ck_assert_uint_eq(seen(2).op, DISK_WRITE_ZEROES);
}
END_TEST

START_TEST(write_same_errors)
{
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 512, 0x41, 0, 0, 0, 0, 10, 0, 0, 0, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 511, 0x41, 0, 0, 0, 0, 10, 0, 0, 1, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 512, 0x41, 0x10, 0, 0, 0, 10, 0, 0, 1, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 512, 0x41, 1, 0, 0, 0, 10, 0, 0, 1, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 512, 0x41, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0),
		       ASC_LBA);
	expect_illegal(SCSI_RIG_OUT(&rig, buf, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1,
				    0, 0),
		       ASC_CDB_FIELD);
	ck_assert_uint_eq(n_seen(), 0);
}
END_TEST

/* ---- the rest -------------------------------------------------------------------------------- */

START_TEST(small_commands)
{
	expect_ok(SCSI_RIG_NONE(&rig, 0x00, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x16, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x17, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x1e, 0, 0, 0, 1, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x1d, 4, 0, 0, 0, 0), 0);
	expect_illegal(SCSI_RIG_NONE(&rig, 0x1d, 0x20, 0, 0, 0, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_NONE(&rig, 0x1d, 0, 0, 0, 4, 0), ASC_CDB_FIELD);
	expect_ok(SCSI_RIG_NONE(&rig, 0x04, 0, 0, 0, 0, 0), 0);
	expect_illegal(SCSI_RIG_NONE(&rig, 0x04, 0x10, 0, 0, 0, 0), ASC_CDB_FIELD);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 16);
	for (unsigned op = 0xc0; op < 0x100; op++)
		expect_illegal(SCSI_RIG_NONE(&rig, (uint8_t)op, 0, 0, 0, 0, 0), ASC_OPCODE);
}
END_TEST

START_TEST(request_sense)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 3, 0, 0, 0, 64, 0), 18);
	ck_assert_mem_eq(buf, "\x70\0\0\0\0\0\0\x0a", 8);
	expect_illegal(SCSI_RIG_NONE(&rig, 0xff, 0, 0, 0, 0, 0), ASC_OPCODE);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 3, 0, 0, 0, 64, 0), 18);
	ck_assert_uint_eq(buf[2], 5);
	ck_assert_uint_eq(buf[12], 0x20);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 3, 0, 0, 0, 64, 0), 18); /* told once */
	ck_assert_uint_eq(buf[2], 0);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 64, 3, 1, 0, 0, 64, 0), ASC_CDB_FIELD);
}
END_TEST

START_TEST(report_opcodes)
{
	uint32_t n;
	bool reads = false;

	ck_assert_uint_eq(SCSI_RIG_IN(&rig, buf, 4096, 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0),
			  0);
	n = be32_load(buf);
	ck_assert_uint_eq(n % 8, 0);
	expect_ok(rig.cmd.scsi_status, n + 4);
	for (uint32_t at = 4; at < 4 + n; at += 8)
		reads |= buf[at] == 0x88 && be16_get(buf + at + 6) == 16;
	ck_assert(reads);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0xa3, 0x0c, 1, 0x93, 0, 0, 0, 0, 0, 64, 0, 0), 20);
	ck_assert_uint_eq(buf[1], 3);
	ck_assert_uint_eq(buf[4], 0x93);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0xa3, 0x0c, 2, 0x9e, 0, 0x10, 0, 0, 0, 64, 0, 0), 20);
	ck_assert_uint_eq(buf[1], 3);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0xa3, 0x0c, 3, 0x9e, 0, 0x11, 0, 0, 0, 64, 0, 0), 4);
	ck_assert_uint_eq(buf[1], 1);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 64, 0xa3, 0x0c, 1, 0x9e, 0, 0, 0, 0, 0, 64, 0, 0),
		       ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 64, 0xa3, 0x05, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0),
		       ASC_CDB_FIELD);
}
END_TEST

START_TEST(not_ready)
{
	struct disk_info info;

	disk_info(disk, &info);
	info.blocks = 0;
	fake_disk_set_info(disk, &info);
	expect_bad(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), SRB_ERROR, 0x020400);
	expect_bad(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), SRB_ERROR, 0x020400);
	expect_ok(SCSI_RIG_IN(&rig, buf, 96, 0x12, 0, 0, 0, 96, 0), 96);
}
END_TEST

/* ---- reservations ---------------------------------------------------------------------------- */

static uint8_t pr_out(uint8_t action, uint8_t type, uint64_t key, uint64_t new_key)
{
	uint8_t list[24] = { 0 };

	be64_put(list, key);
	be64_put(list + 8, new_key);
	return SCSI_RIG_OUT(&rig, list, 24, 0x5f, action, type, 0, 0, 0, 0, 0, 24, 0);
}

static uint32_t pr_in(uint8_t action)
{
	const uint8_t status = SCSI_RIG_IN(&rig, buf, 256, 0x5e, action, 0, 0, 0, 0, 0, 1, 0, 0);

	expect_ok(status, 8 + be32_load(buf + 4));
	return be32_load(buf + 4);
}

START_TEST(pr_in_memory)
{
	ck_assert_uint_eq(pr_in(0), 0);
	ck_assert_uint_eq(be32_load(buf), 0);
	ck_assert_uint_eq(pr_out(1, 1, 0, 0), SCSI_RESERVATION_CONFLICT);
	expect_ok(pr_out(0, 0, 0, 0xabc), 24);
	ck_assert_uint_eq(pr_in(0), 8);
	ck_assert_uint_eq(be32_load(buf), 1);
	ck_assert_uint_eq(be64_load(buf + 8), 0xabc);
	ck_assert_uint_eq(pr_in(1), 0);
	ck_assert_uint_eq(pr_out(0, 0, 0, 0xdef), SCSI_RESERVATION_CONFLICT);
	expect_ok(pr_out(1, 3, 0xabc, 0), 24);
	ck_assert_uint_eq(pr_out(1, 1, 0xabc, 0), SCSI_RESERVATION_CONFLICT);
	ck_assert_uint_eq(pr_in(1), 16);
	ck_assert_uint_eq(be64_load(buf + 8), 0xabc);
	ck_assert_uint_eq(buf[21], 3);
	ck_assert_uint_eq(pr_in(3), 48);
	ck_assert_uint_eq(buf[8 + 12], 1);
	ck_assert_uint_eq(buf[8 + 13], 3);
	/* Release with another type is refused; with another key a conflict. */
	expect_illegal(pr_out(2, 1, 0xabc, 0), ASC_CDB_FIELD);
	ck_assert_uint_eq(pr_out(2, 3, 0xabd, 0), SCSI_RESERVATION_CONFLICT);
	expect_ok(pr_out(2, 3, 0xabc, 0), 24);
	ck_assert_uint_eq(pr_in(1), 0);
	expect_ok(pr_out(6, 0, 0x999, 0x111), 24);
	ck_assert_uint_eq(pr_in(0), 8);
	ck_assert_uint_eq(be64_load(buf + 8), 0x111);
	expect_ok(pr_out(1, 8, 0x111, 0), 24);
	ck_assert_uint_eq(pr_in(1), 16);
	ck_assert_uint_eq(be64_load(buf + 8), 0);
	expect_ok(pr_out(4, 1, 0x111, 0), 24);
	expect_ok(pr_out(3, 0, 0x111, 0), 24);
	ck_assert_uint_eq(pr_in(0), 0);
	/* I/O of the holder goes on; unregistering ends the reservation. */
	expect_ok(pr_out(6, 0, 0, 5), 24);
	expect_ok(pr_out(1, 3, 5, 0), 24);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	expect_ok(pr_out(0, 0, 5, 0), 24);
	ck_assert_uint_eq(pr_in(1), 0);
}
END_TEST

START_TEST(pr_errors)
{
	uint8_t list[24] = { 0 };

	expect_illegal(pr_out(7, 0, 0, 0), ASC_CDB_FIELD);
	expect_illegal(pr_out(1, 2, 0, 0), ASC_CDB_FIELD);
	expect_illegal(pr_out(1, 0x11, 0, 0), ASC_CDB_FIELD);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x5f, 0, 0, 0, 0, 0, 0, 0, 23, 0),
		       ASC_LIST_LENGTH);
	expect_illegal(SCSI_RIG_OUT(&rig, list, 23, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_LIST_LENGTH);
	list[20] = 1; /* nothing here survives a loss of power */
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_PARAMETER);
	list[20] = 8;
	expect_illegal(SCSI_RIG_OUT(&rig, list, 24, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0),
		       ASC_PARAMETER);
	expect_illegal(SCSI_RIG_IN(&rig, buf, 64, 0x5e, 4, 0, 0, 0, 0, 0, 0, 64, 0), ASC_CDB_FIELD);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x5e, 2, 0, 0, 0, 0, 0, 0, 64, 0), 8);
	ck_assert_mem_eq(buf, "\0\x08\0\x80\xea\x01\0\0", 8);
}
END_TEST

START_TEST(pr_of_the_disk)
{
	struct disk_info info;

	disk_info(disk, &info);
	info.reservations = true;
	fake_disk_set_info(disk, &info);
	ck_assert_uint_eq(pr_in(0), 8);
	ck_assert_uint_eq(be32_load(buf), 7);
	ck_assert_uint_eq(be64_load(buf + 8), 0x1122334455667788);
	expect_ok(pr_out(0, 0, 0, 1), 24);
	ck_assert_uint_eq(pr_out(0, 0, 1, 1), SCSI_RESERVATION_CONFLICT);
	ck_assert_uint_eq(seen(0).op, DISK_PR_IN);
	ck_assert_uint_eq(seen(1).op, DISK_PR_OUT);
}
END_TEST

/* ---- queues ---------------------------------------------------------------------------------- */

static unsigned n_done;

static void count_done(struct scsi_cmd *cmd)
{
	n_done++;
}

/* Depth, and commands that share the scratch memory. */
START_TEST(queue_depth)
{
	static uint8_t mem[5][512];
	struct iovec iov[5];
	struct scsi_cmd cmd[5];

	fake_disk_hold(disk, true);
	n_done = 0;
	for (int i = 0; i < 5; i++) {
		memset(mem[i], 0x10 + i, 512);
		iov[i] = (struct iovec){ mem[i], 512 };
		cmd[i] = (struct scsi_cmd){ .cdb = { 0x41, 0, 0, 0, 0, (uint8_t)(i * 16), 0, 0, 4 },
					    .cdb_len = 10,
					    .dir = SCSI_TO_DEVICE,
					    .data_len = 512,
					    .iov = &iov[i],
					    .n_iov = 1,
					    .done = count_done };
		ck_assert_int_eq(scsi_exec(rig.q, &cmd[i]), i < 4 ? 0 : -EAGAIN);
	}
	ck_assert_uint_eq(scsi_queue_busy(rig.q), 4);
	loop_poll(rig.loop);
	ck_assert_uint_eq(fake_disk_busy(disk), 1); /* one pattern at a time */
	fake_disk_hold(disk, false);
	for (int i = 0; i < 100 && n_done < 4; i++)
		loop_poll(rig.loop);
	ck_assert_uint_eq(n_done, 4);
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(cmd[i].scsi_status, 0);
		ck_assert_uint_eq(*fake_disk_data(disk, (uint64_t)i * 16 + 3), 0x10u + (unsigned)i);
	}
}
END_TEST

START_TEST(queue_abort)
{
	fake_disk_hold(disk, true);
	scsi_rig_start(&rig, (const uint8_t[]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, 10,
		       SCSI_FROM_DEVICE, buf, 512);
	loop_poll(rig.loop);
	ck_assert(!rig.done);
	scsi_queue_abort(rig.q);
	for (int i = 0; i < 10 && !rig.done; i++)
		loop_poll(rig.loop);
	ck_assert(rig.done);
	ck_assert_uint_eq(rig.cmd.srb_status, SRB_ABORTED);
	fake_disk_hold(disk, false);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("disk");
	Suite *s = suite_create("scsi");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, inquiry_standard);
	tcase_add_test(tc, inquiry_errors);
	tcase_add_test(tc, inquiry_pages);
	tcase_add_test(tc, inquiry_configured);
	tcase_add_test(tc, read_capacity);
	tcase_add_test(tc, lba_status);
	tcase_add_test(tc, capacity_change);
	tcase_add_test(tc, configured_size);
	tcase_add_test(tc, bad_config);
	tcase_add_test(tc, write_and_read_all_sizes);
	tcase_add_test(tc, rw_lengths);
	tcase_add_test(tc, rw_ranges);
	tcase_add_test(tc, rw_transfer_limit);
	tcase_add_test(tc, fua);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, disk_errors);
	tcase_add_test(tc, data_faults);
	tcase_add_test(tc, verify);
	tcase_add_test(tc, write_and_verify);
	tcase_add_test(tc, synchronize_cache);
	tcase_add_test(tc, start_stop);
	tcase_add_test(tc, mode_sense);
	tcase_add_test(tc, mode_select_wce);
	tcase_add_test(tc, mode_select_errors);
	tcase_add_test(tc, no_cache);
	tcase_add_test(tc, unmap);
	tcase_add_test(tc, unmap_lists);
	tcase_add_test(tc, write_same);
	tcase_add_test(tc, write_same_errors);
	tcase_add_test(tc, small_commands);
	tcase_add_test(tc, request_sense);
	tcase_add_test(tc, report_opcodes);
	tcase_add_test(tc, not_ready);
	tcase_add_test(tc, pr_in_memory);
	tcase_add_test(tc, pr_errors);
	tcase_add_test(tc, pr_of_the_disk);
	tcase_add_test(tc, queue_depth);
	tcase_add_test(tc, queue_abort);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
