/* SPDX-License-Identifier: MIT */
#include "ng_resv.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

/* Action, keys, type, aptpl; opcode, cdw10, first and second key, data length. */
static const struct {
	struct disk_pr pr;
	uint8_t opcode;
	uint32_t cdw10;
	uint64_t current, other;
	uint32_t len;
} rows[] = {
	{ { .action = DISK_PR_REGISTER, .new_key = 7 }, 0x0d, 0x80000000, 0, 7, 16 },
	{ { .action = DISK_PR_REGISTER, .key = 7, .new_key = 8 }, 0x0d, 0x80000002, 7, 8, 16 },
	{ { .action = DISK_PR_REGISTER, .key = 7 }, 0x0d, 0x80000001, 7, 0, 16 },
	{ { .action = DISK_PR_REGISTER, .new_key = 7, .aptpl = true }, 0x0d, 0xc0000000, 0, 7, 16 },
	{ { .action = DISK_PR_REGISTER_IGNORE, .new_key = 9 }, 0x0d, 0x8000000a, 0, 9, 16 },
	{ { .action = DISK_PR_REGISTER_IGNORE }, 0x0d, 0x80000009, 0, 0, 16 },
	{ { .action = DISK_PR_RESERVE, .key = 7, .type = 1 }, 0x11, 0x100, 7, 0, 16 },
	{ { .action = DISK_PR_RESERVE, .key = 7, .type = 3 }, 0x11, 0x200, 7, 0, 16 },
	{ { .action = DISK_PR_RESERVE, .key = 7, .type = 5 }, 0x11, 0x300, 7, 0, 16 },
	{ { .action = DISK_PR_RESERVE, .key = 7, .type = 6 }, 0x11, 0x400, 7, 0, 16 },
	{ { .action = DISK_PR_RESERVE, .key = 7, .type = 7 }, 0x11, 0x500, 7, 0, 16 },
	{ { .action = DISK_PR_RESERVE, .key = 7, .type = 8 }, 0x11, 0x600, 7, 0, 16 },
	{ { .action = DISK_PR_PREEMPT, .key = 7, .new_key = 5, .type = 1 }, 0x11, 0x101, 7, 5, 16 },
	{ { .action = DISK_PR_PREEMPT_ABORT, .key = 7, .new_key = 5, .type = 8 },
	  0x11,
	  0x602,
	  7,
	  5,
	  16 },
	{ { .action = DISK_PR_RELEASE, .key = 7, .type = 6 }, 0x15, 0x400, 7, 0, 8 },
	{ { .action = DISK_PR_CLEAR, .key = 7 }, 0x15, 0x001, 7, 0, 8 },
};

START_TEST(every_action)
{
	struct ng_resv_cmd c;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ck_assert_int_eq(ng_resv_encode(&rows[i].pr, true, &c), 0);
		ck_assert_msg(c.opcode == rows[i].opcode && c.cdw10 == rows[i].cdw10 &&
				      c.keys.current == rows[i].current &&
				      c.keys.other == rows[i].other && c.data_len == rows[i].len,
			      "row %zu: %#x %#x", i, c.opcode, c.cdw10);
	}
	ck_assert_int_eq(ng_resv_encode(&rows[0].pr, false, &c), 0);
	ck_assert_uint_eq(c.cdw10, 0); /* nothing is said about power loss */
}
END_TEST

START_TEST(what_is_refused)
{
	struct ng_resv_cmd c;
	struct disk_pr pr = { .action = DISK_PR_REGISTER, .new_key = 1, .aptpl = true };

	ck_assert_int_eq(ng_resv_encode(&pr, false, &c), -EOPNOTSUPP);
	pr = (struct disk_pr){ .action = DISK_PR_READ_KEYS };
	ck_assert_int_eq(ng_resv_encode(&pr, true, &c), -EOPNOTSUPP);
	for (unsigned type = 0; type < 256; type++) {
		bool good = type == 1 || type == 3 || (type >= 5 && type <= 8);

		pr = (struct disk_pr){ .action = DISK_PR_RESERVE, .type = (uint8_t)type };
		ck_assert_int_eq(ng_resv_encode(&pr, true, &c), good ? 0 : -EINVAL);
		pr.action = DISK_PR_RELEASE;
		ck_assert_int_eq(ng_resv_encode(&pr, true, &c), good ? 0 : -EINVAL);
	}
}
END_TEST

static uint8_t report[4096];

static void put(size_t off, const void *data, size_t len)
{
	memcpy(report + off, data, len);
}

START_TEST(reports_are_read)
{
	struct nvme_resv_status st = { .generation = 5,
				       .type = NVME_RTYPE_EXCL_ACCESS,
				       .registrants = { 2 } };
	struct nvme_resv_registrant_ext ext = { .key = 11, .host_id = { 1, 2 } };
	struct nvme_resv_registrant reg = { .key = 21, .host_id = 3 };
	struct disk_pr pr = { 0 };

	put(0, &st, sizeof(st));
	put(64, &ext, sizeof(ext));
	ext.rcsts = 1;
	ext.key = 12;
	put(128, &ext, sizeof(ext));
	ck_assert_int_eq(ng_resv_decode(report, sizeof(report), true, &pr), 0);
	ck_assert_uint_eq(pr.generation, 5);
	ck_assert(pr.reserved);
	ck_assert_uint_eq(pr.type, 3);
	ck_assert_uint_eq(pr.n_keys, 2);
	ck_assert_uint_eq(pr.keys[0].key, 11);
	ck_assert_uint_eq(pr.keys[0].host, 0x201);
	ck_assert(!pr.keys[0].holder && pr.keys[1].holder);
	ck_assert_uint_eq(pr.holder_key, 12);

	memset(report, 0, sizeof(report));
	st.type = NVME_RTYPE_WRITE_EXCL_ALL;
	reg.rcsts = 1;
	put(0, &st, sizeof(st));
	put(24, &reg, sizeof(reg));
	put(48, &reg, sizeof(reg));
	ck_assert_int_eq(ng_resv_decode(report, sizeof(report), false, &pr), 0);
	ck_assert_uint_eq(pr.type, 7);
	ck_assert_uint_eq(pr.n_keys, 2);
	ck_assert_uint_eq(pr.keys[1].key, 21);
	ck_assert_uint_eq(pr.holder_key, 0); /* all hold it */
}
END_TEST

/* Counts beyond the report, types nobody knows, short answers. */
START_TEST(lies_in_reports)
{
	struct nvme_resv_status st = { .registrants = { 0xff, 0xff } };
	struct disk_pr pr;

	memset(report, 0xff, sizeof(report));
	ck_assert_int_eq(ng_resv_decode(report, sizeof(report), true, &pr), -EBADMSG);
	put(0, &st, sizeof(st));
	ck_assert_int_eq(ng_resv_decode(report, sizeof(report), true, &pr), 0);
	ck_assert_uint_eq(pr.n_keys, 63);
	ck_assert(!pr.reserved);
	ck_assert_uint_eq(pr.holder_key, 0);
	ck_assert_int_eq(ng_resv_decode(report, sizeof(report), false, &pr), 0);
	ck_assert_uint_eq(pr.n_keys, DISK_PR_MAX_KEYS);
	ck_assert_int_eq(ng_resv_decode(report, 63, true, &pr), -EBADMSG);
	ck_assert_int_eq(ng_resv_decode(report, 23, false, &pr), -EBADMSG);
	ck_assert_int_eq(ng_resv_decode(report, 24 + 47, false, &pr), 0);
	ck_assert_uint_eq(pr.n_keys, 1);
}
END_TEST

UNIT_MAIN("storage/ng_resv", every_action, what_is_refused, reports_are_read, lies_in_reports)
