/* SPDX-License-Identifier: MIT */
/* Passthrough against a node that answers as told. Data is checked by test_disk.c. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "disk_priv.h"
#include "disk_rig.h"
#include "fake_ng.h"
#include "unit.h"

static struct rig rig;
static uint8_t buf[65536] __attribute__((aligned(4096)));

static uint64_t stat_of(enum disk_stat s)
{
	return atomic_load(&rig.q->stats[s]);
}

static void next(int32_t a, int32_t b, int32_t c)
{
	fake_ng.next[0] = a;
	fake_ng.next[1] = b;
	fake_ng.next[2] = c;
	fake_ng.n_next = 3;
}

START_TEST(identity)
{
	rig_init(&rig, RIG_NVME, 4);
	ck_assert_uint_eq(rig.info.blocks, RIG_BYTES / 512);
	ck_assert_uint_eq(rig.info.block_size, 512);
	ck_assert_str_eq(rig.info.serial, "SN 1234");
	ck_assert(rig.info.has_id && rig.info.id[7] == 0xee);
	ck_assert(rig.info.write_cache && rig.info.unmap_zeroes && rig.info.write_zeroes);
	ck_assert(rig.info.reservations && !rig.info.read_only);
	ck_assert_uint_eq(rig.info.unmap_granularity, 1);
	ck_assert_uint_eq(rig.info.max_bytes, 4096u << 5);
	rig_fini(&rig);
}
END_TEST

START_TEST(commands_are_what_was_asked)
{
	rig_init(&rig, RIG_NVME, 4);
	fake_ng.commands = 0;
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 3, buf, 8, DISK_FUA), NVME_OK);
	ck_assert_uint_eq(fake_ng.fua, 1);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 3, buf, 8, DISK_FUA), NVME_OK);
	ck_assert_uint_eq(fake_ng.fua, 1);
	ck_assert_uint_eq(rig_rw(&rig, DISK_FLUSH, 0, NULL, 0, 0), NVME_OK);
	ck_assert_uint_eq(fake_ng.flushes, 1);
	ck_assert_uint_eq(rig_rw(&rig, DISK_UNMAP, 0, NULL, 100, 0), NVME_OK);
	ck_assert_uint_eq(fake_ng.dsm, 1);
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE_ZEROES, 0, NULL, 100, 0), NVME_OK);
	ck_assert_uint_eq(fake_ng.zeroes, 1);
	ck_assert_uint_eq(rig_rw(&rig, DISK_VERIFY, 0, NULL, 100, 0), NVME_OK);
	ck_assert_uint_eq(fake_ng.verifies, 1);
	ck_assert_uint_eq(fake_ng.commands, 6);
	/* More than the device takes at once: 160 KiB of 128. */
	ck_assert_uint_eq(rig_rw(&rig, DISK_VERIFY, 0, NULL, 6144, 0), NVME_OK);
	ck_assert_uint_eq(fake_ng.verifies, 2);
	ck_assert_uint_eq(fake_ng.violations, 0);
	ck_assert_uint_le(fake_ng.last_timeout_ms, DISK_TIMEOUT_MS);
	rig_fini(&rig);
}
END_TEST

static const int32_t passing[] = { 0x021, 0x022, 0x082, 0x007, 0x008, -EAGAIN, -ENOMEM, -EINTR };

START_TEST(passing_failures_are_repeated)
{
	rig_init(&rig, RIG_NVME, 4);
	for (size_t i = 0; i < ARRAY_SIZE(passing); i++) {
		fake_ng.commands = 0;
		next(passing[i], passing[i], 0);
		ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1, 0), NVME_OK);
		ck_assert_uint_eq(fake_ng.commands, 3);
		fake_ng.n_next = 0;
	}
	ck_assert_uint_eq(stat_of(DISK_N_RETRIES), 2 * ARRAY_SIZE(passing));
	rig_fini(&rig);
}
END_TEST

START_TEST(retry_delay_of_the_device)
{
	uint64_t begin;

	rig_init(&rig, RIG_NVME, 4);
	next(0x021 | 1 << NVME_STATUS_CRD_SHIFT, 0, 0);
	begin = loop_now_ns();
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 0, buf, 1, 0), NVME_OK);
	ck_assert_uint_ge(loop_now_ns() - begin, 100 * 1000000ull);
	rig_fini(&rig);
}
END_TEST

/* What the device says will not go away does not, nor does what never ends. */
START_TEST(lasting_failures_are_reported)
{
	rig_init(&rig, RIG_NVME, 4);
	fake_ng.commands = 0;
	next(0x021 | NVME_STATUS_DNR, 0, 0);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1, 0), 0x021);
	ck_assert_uint_eq(fake_ng.commands, 1);
	next(0x281, 0, 0);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1, 0), 0x281);
	next(0x280 | NVME_STATUS_DNR | NVME_STATUS_MORE, 0, 0);
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 0, buf, 1, 0), 0x280);
	next(NVME_STATUS_DNR, 0, 0); /* a failure that says "success" */
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 0, buf, 1, 0), NVME_INTERNAL_ERROR);
	next(-EIO, 0, 0);
	ck_assert_uint_eq(rig_rw(&rig, DISK_FLUSH, 0, NULL, 0, 0), NVME_DATA_TRANSFER_ERROR);
	for (int i = 0; i < 16; i++)
		fake_ng.next[i] = 0x022;
	fake_ng.n_next = 16;
	fake_ng.commands = 0;
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1, 0), 0x022);
	ck_assert_uint_eq(fake_ng.commands, 6);
	fake_ng.n_next = 0;
	rig_fini(&rig);
}
END_TEST

START_TEST(hung_device)
{
	struct iovec iov = { buf, 512 };
	struct disk_req req = {
		.op = DISK_READ, .blocks = 1, .iov = &iov, .n_iov = 1, .timeout_ms = 60
	};

	rig_init(&rig, RIG_NVME, 4);
	fake_ng.hang = true;
	ck_assert_uint_eq(rig_do(&rig, &req), NVME_PATH_HOST_ABORTED);
	ck_assert_uint_le(fake_ng.last_timeout_ms, 61);
	ck_assert_uint_eq(stat_of(DISK_N_TIMEOUTS), 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(removed_device)
{
	rig_init(&rig, RIG_NVME, 4);
	fake_ng.removed = true;
	fake_ng.commands = 0;
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1, 0), NVME_PATH_INTERNAL);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1, 0), NVME_INVALID_NAMESPACE);
	ck_assert_uint_eq(fake_ng.commands, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(reservations)
{
	struct disk_pr pr = { .action = DISK_PR_REGISTER_IGNORE, .new_key = 77 };
	struct disk_req req = { .op = DISK_PR_OUT, .pr = &pr };
	struct nvme_resv_status st = { .generation = 3,
				       .type = NVME_RTYPE_WRITE_EXCL,
				       .registrants = { 1 } };
	struct nvme_resv_registrant reg = { .rcsts = 1, .host_id = 9, .key = 77 };

	rig_init(&rig, RIG_NVME, 4);
	ck_assert_uint_eq(rig_do(&rig, &req), NVME_OK);
	ck_assert_uint_eq(fake_ng.last_keys.other, 77);
	ck_assert_uint_eq(fake_ng.last_resv_cdw10 & 0xf, 0xa);
	next(0x083 | NVME_STATUS_DNR, 0, 0);
	ck_assert_uint_eq(rig_do(&rig, &req), NVME_RESERVATION_CONFLICT);
	fake_ng.n_next = 0;
	memcpy(fake_ng.report, &st, sizeof(st));
	memcpy(fake_ng.report + sizeof(st), &reg, sizeof(reg));
	pr = (struct disk_pr){ .action = DISK_PR_READ_FULL };
	req.op = DISK_PR_IN;
	ck_assert_uint_eq(rig_do(&rig, &req), NVME_OK);
	ck_assert_uint_eq(pr.generation, 3);
	ck_assert_uint_eq(pr.n_keys, 1);
	ck_assert_uint_eq(pr.holder_key, 77);
	ck_assert_uint_eq(pr.type, 1);
	memset(fake_ng.report, 0xff, sizeof(fake_ng.report));
	ck_assert_uint_eq(rig_do(&rig, &req), NVME_INTERNAL_ERROR);
	pr = (struct disk_pr){ .action = DISK_PR_RESERVE, .type = 2 };
	req.op = DISK_PR_OUT;
	ck_assert_uint_eq(rig_do(&rig, &req), NVME_INVALID_FIELD);
	rig_fini(&rig);
}
END_TEST

/* The kernel refused the memory: copies do. */
START_TEST(memory_that_cannot_be_pinned)
{
	rig_init(&rig, RIG_NVME, 4);
	next(-EFAULT, 0, 0);
	fake_ng.n_next = 1;
	memset(buf, 0x5a, sizeof(buf));
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 5, buf, 64, 0), NVME_OK);
	ck_assert(memcmp(fake_ng.mem + 5 * 512, buf, 64 * 512) == 0);
	ck_assert_uint_eq(stat_of(DISK_N_FAULTS), 1);
	ck_assert_uint_eq(stat_of(DISK_N_BOUNCED), 1);
	rig_fini(&rig);
}
END_TEST

static void note(void *ctx)
{
	++*(int *)ctx;
}

START_TEST(capacity_is_followed)
{
	int told = 0;

	rig_init(&rig, RIG_NVME, 4);
	fake_ng.blocks /= 2;
	disk_watch(rig.disk, rig.loop, note, &told);
	for (int i = 0; i < 300 && !told; i++) {
		loop_poll(rig.loop);
		(void)usleep(10000);
	}
	ck_assert_int_eq(told, 1);
	disk_info(rig.disk, &rig.info);
	ck_assert_uint_eq(rig.info.blocks, fake_ng.blocks);
	ck_assert_uint_eq(rig.info.generation, 1);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, fake_ng.blocks, buf, 1, 0),
			  NVME_LBA_OUT_OF_RANGE);
	disk_watch(rig.disk, rig.loop, NULL, NULL);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("storage/disk_nvme", identity, commands_are_what_was_asked, passing_failures_are_repeated,
	  retry_delay_of_the_device, lasting_failures_are_reported, hung_device, removed_device,
	  reservations, memory_that_cannot_be_pinned, capacity_is_followed)
