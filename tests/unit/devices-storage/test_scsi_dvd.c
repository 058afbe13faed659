/* SPDX-License-Identifier: MIT */
/* The DVD drive, command by command, with media that come and go. */
#include "fake_disk.h"
#include "le.h"
#include "loop.h"
#include "scsi_rig.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 1000u /* of 2048 bytes */

static struct disk *disk;
static struct scsi_rig rig;
static uint8_t buf[1 << 16];

static void make(uint32_t block_size)
{
	struct scsi_unit *u;

	disk = block_size ? fake_disk(BLOCKS * 2048 / block_size, block_size) : NULL;
	ck_assert_int_eq(scsi_dvd_create(&(struct scsi_unit_cfg){ .name = "dvd" }, disk, &u), 0);
	scsi_rig_init(&rig, u, 4);
	memset(buf, 0xee, sizeof(buf));
}

static void setup(void)
{
	make(512);
}

static void teardown(void)
{
	scsi_rig_fini(&rig);
}

static void expect_ok(uint8_t status, uint32_t transferred)
{
	ck_assert_uint_eq(status, SCSI_GOOD);
	ck_assert_uint_eq(rig.cmd.srb_status, SRB_SUCCESS);
	ck_assert_uint_eq(rig.cmd.transferred, transferred);
}

static void expect_bad(uint8_t status, uint32_t sense)
{
	ck_assert_uint_eq(status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(scsi_rig_sense(&rig), sense);
	ck_assert_uint_eq(rig.cmd.srb_status,
			  sense >> 16 == 5 && sense != 0x055302 ? SRB_INVALID_REQUEST : SRB_ERROR);
}

START_TEST(identity)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 96, 0x12, 0, 0, 0, 96, 0), 96);
	ck_assert_uint_eq(buf[0], 5);
	ck_assert_uint_eq(buf[1], 0x80);
	ck_assert_mem_eq(buf + 8, "Msft    Virtual DVD-ROM 1.0 ", 28);
	expect_ok(SCSI_RIG_IN(&rig, buf, 96, 0x12, 1, 0, 0, 96, 0), 6);
	ck_assert_mem_eq(buf, "\5\0\0\2\0\x83", 6);
	expect_bad(SCSI_RIG_IN(&rig, buf, 96, 0x12, 1, 0xb0, 0, 96, 0), 0x052400);
	expect_bad(SCSI_RIG_NONE(&rig, 0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0x052000);
}
END_TEST

START_TEST(reads)
{
	memset(fake_disk_data(disk, 40), 0x42, 4 * 512);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8);
	ck_assert_uint_eq(be32_load(buf), BLOCKS - 1);
	ck_assert_uint_eq(be32_load(buf + 4), 2048);
	expect_ok(SCSI_RIG_IN(&rig, buf, 4096, 0x28, 0, 0, 0, 0, 10, 0, 0, 1, 0), 2048);
	ck_assert_uint_eq(buf[0], 0x42);
	ck_assert_uint_eq(buf[2047], 0x42);
	ck_assert_uint_eq(buf[2048], 0xee);
	expect_ok(SCSI_RIG_IN(&rig, buf, 4096, 0xa8, 0, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0), 4096);
	expect_ok(SCSI_RIG_IN(&rig, buf, 2048, 0x88, 0, 0, 0, 0, 0, 0, 0, 3, 0xe7, 0, 0, 0, 1, 0,
			      0),
		  2048);
	expect_bad(SCSI_RIG_IN(&rig, buf, 2048, 0x28, 0, 0, 0, 3, 0xe8, 0, 0, 1, 0), 0x052100);
	expect_bad(SCSI_RIG_IN(&rig, buf, 2047, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x052400);
	expect_ok(SCSI_RIG_IN(&rig, buf, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	fake_disk_fail(disk, 1u << DISK_READ, NVME_UNRECOVERED_READ, 1);
	expect_bad(SCSI_RIG_IN(&rig, buf, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x031100);
}
END_TEST

START_TEST(block_sizes)
{
	struct scsi_unit *u;
	struct disk *big = fake_disk(10, 4096);

	ck_assert_int_eq(scsi_dvd_create(&(struct scsi_unit_cfg){ 0 }, big, &u), -EINVAL);
	disk_put(big);
	teardown();
	make(2048);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8);
	ck_assert_uint_eq(be32_load(buf), BLOCKS - 1);
	expect_ok(SCSI_RIG_IN(&rig, buf, 2048, 0x28, 0, 0, 0, 3, 0xe7, 0, 0, 1, 0), 2048);
}
END_TEST

static void expect_event(uint8_t event, uint8_t status)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), 8);
	ck_assert_mem_eq(buf, "\0\6\4\x10", 4);
	ck_assert_uint_eq(buf[4], event);
	ck_assert_uint_eq(buf[5], status);
}

START_TEST(empty)
{
	teardown();
	make(0);
	expect_bad(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0x023a01);
	expect_bad(SCSI_RIG_IN(&rig, buf, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x023a01);
	expect_bad(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0x023a01);
	expect_bad(SCSI_RIG_IN(&rig, buf, 20, 0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0), 0x023a01);
	expect_event(0, 0);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0), 8);
	ck_assert_uint_eq(be16_get(buf + 6), 0);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0), 8);
	ck_assert_uint_eq(buf[1], 0);
}
END_TEST

START_TEST(media_change)
{
	struct disk *other = fake_disk(500 * 4, 512);

	expect_event(0, 2);
	memset(fake_disk_data(other, 0), 0x77, 2048);
	(void)disk_get(disk);
	scsi_dvd_change_medium(rig.u, other);
	/* The old one goes, then the new one comes; one event at a time. */
	expect_event(3, 2);
	expect_event(2, 2);
	expect_event(0, 2);
	expect_bad(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0x062800);
	expect_ok(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8);
	ck_assert_uint_eq(be32_load(buf), 499);
	expect_ok(SCSI_RIG_IN(&rig, buf, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 2048);
	ck_assert_uint_eq(buf[0], 0x77);
	loop_poll(rig.loop);
	ck_assert_uint_eq(fake_disk_refs(disk), 1);
	/* Out by the host. */
	scsi_dvd_change_medium(rig.u, NULL);
	expect_event(3, 1);
	expect_bad(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0x023a02);
	expect_ok(SCSI_RIG_NONE(&rig, 0x1b, 0, 0, 0, 3, 0), 0);
	expect_bad(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0x023a01);
	/* In again. */
	scsi_dvd_change_medium(rig.u, disk);
	expect_event(2, 2);
	expect_bad(SCSI_RIG_NONE(&rig, 0x1e, 0, 0, 0, 0, 0), 0x062800);
	expect_ok(SCSI_RIG_IN(&rig, buf, 2048, 0x28, 0, 0, 0, 3, 0xe7, 0, 0, 1, 0), 2048);
}
END_TEST

/* While reads of the old medium are in flight the new one is not ready. */
START_TEST(media_change_while_busy)
{
	static uint8_t mem[2048];
	struct iovec iov = { mem, sizeof(mem) };
	struct scsi_cmd cmd = { .cdb = { 0x28, [8] = 1 },
				.cdb_len = 10,
				.dir = SCSI_FROM_DEVICE,
				.data_len = 2048,
				.iov = &iov,
				.n_iov = 1 };

	fake_disk_hold(disk, true);
	scsi_rig_start(&rig, cmd.cdb, 10, SCSI_FROM_DEVICE, buf, 2048);
	(void)disk_get(disk);
	scsi_dvd_change_medium(rig.u, fake_disk(400, 512));
	loop_poll(rig.loop);
	ck_assert(!rig.done);
	fake_disk_hold(disk, false);
	for (int i = 0; i < 10 && !rig.done; i++)
		loop_poll(rig.loop);
	ck_assert(rig.done);
	ck_assert_uint_eq(rig.cmd.scsi_status, 0);
	loop_poll(rig.loop);
	ck_assert_uint_eq(fake_disk_refs(disk), 1);
	expect_bad(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0x062800);
	expect_ok(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0);
	disk_put(disk);
}
END_TEST

START_TEST(eject)
{
	expect_ok(SCSI_RIG_NONE(&rig, 0x1e, 0, 0, 0, 1, 0), 0);
	expect_bad(SCSI_RIG_NONE(&rig, 0x1b, 0, 0, 0, 2, 0), 0x055302);
	expect_ok(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x1e, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x1b, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0);
	expect_ok(SCSI_RIG_NONE(&rig, 0x1b, 0, 0, 0, 2, 0), 0);
	expect_bad(SCSI_RIG_NONE(&rig, 0, 0, 0, 0, 0, 0), 0x023a02);
	expect_event(3, 1);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0), 8);
	ck_assert_uint_eq(buf[1], 0x10);
}
END_TEST

START_TEST(event_errors)
{
	expect_bad(SCSI_RIG_IN(&rig, buf, 8, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8, 0), 0x052400);
	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8, 0), 4);
	ck_assert_mem_eq(buf, "\0\2\x80\x10", 4);
}
END_TEST

START_TEST(toc)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0), 20);
	ck_assert_mem_eq(buf, "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x14\xaa\0\0\0\3\xe8", 20);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 64, 0), 12);
	ck_assert_mem_eq(buf, "\0\x0a\1\1\0\x14\xaa\0\0\0\x0f\x19", 12); /* 15 s 25 frames */
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x43, 0, 1, 0, 0, 0, 0, 0, 64, 0), 12);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0x40), 12);
	expect_bad(SCSI_RIG_IN(&rig, buf, 64, 0x43, 0, 0, 0, 0, 0, 2, 0, 64, 0), 0x052400);
	expect_bad(SCSI_RIG_IN(&rig, buf, 64, 0x43, 0, 2, 0, 0, 0, 0, 0, 64, 0), 0x052400);
}
END_TEST

START_TEST(configuration)
{
	uint32_t len, n = 0;

	expect_ok(SCSI_RIG_IN(&rig, buf, 8, 0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0), 8);
	len = be32_load(buf) + 4;
	expect_ok(SCSI_RIG_IN(&rig, buf, 512, 0x46, 0, 0, 0, 0, 0, 0, 2, 0, 0), len);
	ck_assert_uint_eq(be16_get(buf + 6), 0x10);
	ck_assert_uint_eq(buf[14], 1); /* the profile is current */
	for (uint32_t at = 8; at < len; at += 4u + buf[at + 3], n++)
		ck_assert_uint_eq(buf[at + 3] % 4, 0);
	ck_assert_uint_eq(n, 9);
	expect_ok(SCSI_RIG_IN(&rig, buf, 512, 0x46, 2, 0, 0x1f, 0, 0, 0, 2, 0, 0), 16);
	ck_assert_uint_eq(buf[10] & 1, 1);
	expect_ok(SCSI_RIG_IN(&rig, buf, 512, 0x46, 2, 0, 0x55, 0, 0, 0, 2, 0, 0), 8);
	expect_bad(SCSI_RIG_IN(&rig, buf, 512, 0x46, 3, 0, 0, 0, 0, 0, 2, 0, 0), 0x052400);
}
END_TEST

START_TEST(descriptions)
{
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64, 0), 28);
	ck_assert_uint_eq(be16_get(buf), 26);
	ck_assert_uint_eq(buf[8], 0x2a);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 10, 0), 10);
	expect_bad(SCSI_RIG_IN(&rig, buf, 64, 0x5a, 0, 0x08, 0, 0, 0, 0, 0, 64, 0), 0x052400);
	expect_bad(SCSI_RIG_IN(&rig, buf, 64, 0x5a, 0, 0xea, 0, 0, 0, 0, 0, 64, 0), 0x053900);
	expect_ok(SCSI_RIG_NONE(&rig, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 0, 0), 0);
	expect_bad(SCSI_RIG_OUT(&rig, buf, 16, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 16, 0), 0x052600);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x52, 1, 0, 0, 0, 1, 0, 0, 64, 0), 36);
	ck_assert_uint_eq(be32_load(buf + 24), BLOCKS);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x52, 0, 0, 0, 0, 9, 0, 0, 64, 0), 36);
	expect_bad(SCSI_RIG_IN(&rig, buf, 64, 0x52, 1, 0, 0, 0, 2, 0, 0, 64, 0), 0x052400);
	expect_bad(SCSI_RIG_IN(&rig, buf, 64, 0x52, 0, 0, 1, 0, 0, 0, 0, 64, 0), 0x052400);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x51, 0, 0, 0, 0, 0, 0, 0, 64, 0), 34);
	ck_assert_uint_eq(buf[2], 0x0e);
	expect_bad(SCSI_RIG_IN(&rig, buf, 64, 0x51, 1, 0, 0, 0, 0, 0, 0, 64, 0), 0x052400);
	expect_ok(SCSI_RIG_IN(&rig, buf, 4096, 0xad, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0), 2052);
	ck_assert_uint_eq(be32_load(buf + 8), 0x30000);
	ck_assert_uint_eq(be32_load(buf + 12), 0x30000 + BLOCKS - 1);
	expect_ok(SCSI_RIG_IN(&rig, buf, 4096, 0xad, 0, 0, 0, 0, 0, 0, 1, 0x10, 0, 0, 0), 8);
	expect_bad(SCSI_RIG_IN(&rig, buf, 4096, 0xad, 1, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0),
		   0x052400);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0xac, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), 24);
	expect_ok(SCSI_RIG_IN(&rig, buf, 64, 0x5c, 0, 0, 0, 0, 0, 0, 0, 64, 0), 12);
	expect_ok(SCSI_RIG_OUT(&rig, buf, 28, 0xb6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0), 28);
	expect_bad(SCSI_RIG_OUT(&rig, buf, 27, 0xb6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0), 0x051a00);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("dvd");
	Suite *s = suite_create("scsi");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, identity);
	tcase_add_test(tc, reads);
	tcase_add_test(tc, block_sizes);
	tcase_add_test(tc, empty);
	tcase_add_test(tc, media_change);
	tcase_add_test(tc, media_change_while_busy);
	tcase_add_test(tc, eject);
	tcase_add_test(tc, event_errors);
	tcase_add_test(tc, toc);
	tcase_add_test(tc, configuration);
	tcase_add_test(tc, descriptions);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
