/* SPDX-License-Identifier: MIT */
#include "rd.h"

#include <string.h>

#include "unit.h"

static const uint8_t bytes[15] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
				   0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f };

START_TEST(reads_little_endian_in_order)
{
	struct rd r = rd_make(bytes, sizeof(bytes));

	ck_assert_uint_eq(rd_u8(&r), 0x01);
	ck_assert_uint_eq(rd_le16(&r), 0x0302);
	ck_assert_uint_eq(rd_le32(&r), 0x07060504);
	ck_assert(!rd_end(&r));
	ck_assert_uint_eq(rd_le64(&r), 0x0f0e0d0c0b0a0908);
	ck_assert(rd_end(&r));
}
END_TEST

START_TEST(short_read_is_zero_and_sticky)
{
	struct rd r = rd_make(bytes, 3);

	ck_assert_uint_eq(rd_le32(&r), 0);
	/* The three bytes are there, but after a failure nothing is handed out any more. */
	ck_assert_uint_eq(rd_u8(&r), 0);
	ck_assert_ptr_null(rd_bytes(&r, 1));
	ck_assert(!rd_end(&r));
}
END_TEST

START_TEST(huge_length_does_not_wrap)
{
	struct rd r = rd_make(bytes, sizeof(bytes));

	rd_skip(&r, 8);
	ck_assert_ptr_null(rd_bytes(&r, SIZE_MAX));
	ck_assert(!rd_end(&r));
}
END_TEST

START_TEST(exact_bytes_are_in_place)
{
	struct rd r = rd_make(bytes, sizeof(bytes));

	ck_assert_ptr_eq(rd_bytes(&r, sizeof(bytes)), bytes);
	ck_assert(rd_end(&r));
	ck_assert_ptr_eq(rd_bytes(&r, 0), bytes + sizeof(bytes));
	ck_assert(rd_end(&r));
}
END_TEST

START_TEST(writer_stores_what_reader_loads)
{
	uint8_t buf[18];
	struct wr w = wr_make(buf, sizeof(buf));
	struct rd r = rd_make(buf, sizeof(buf));

	wr_u8(&w, 0xa5);
	wr_le16(&w, 0x1234);
	wr_le32(&w, 0x89abcdef);
	wr_le64(&w, 0xfedcba9876543210);
	wr_bytes(&w, "xyz", 3);
	ck_assert(!w.bad);
	ck_assert_uint_eq(w.done, sizeof(buf));
	ck_assert_uint_eq(buf[1], 0x34);
	ck_assert_uint_eq(rd_u8(&r), 0xa5);
	ck_assert_uint_eq(rd_le16(&r), 0x1234);
	ck_assert_uint_eq(rd_le32(&r), 0x89abcdef);
	ck_assert_uint_eq(rd_le64(&r), 0xfedcba9876543210);
	ck_assert_mem_eq(rd_bytes(&r, 3), "xyz", 3);
}
END_TEST

START_TEST(full_writer_changes_nothing_more)
{
	uint8_t buf[4] = { 0, 0, 0, 0x77 };
	struct wr w = wr_make(buf, 3);

	wr_le16(&w, 0xffff);
	wr_le16(&w, 0xffff);
	ck_assert(w.bad);
	wr_u8(&w, 0x11);
	ck_assert_uint_eq(w.done, 2);
	ck_assert_uint_eq(buf[2], 0);
	ck_assert_uint_eq(buf[3], 0x77);
}
END_TEST

START_TEST(big_endian_helpers)
{
	uint8_t buf[4];

	ck_assert_uint_eq(be32_load(bytes), 0x01020304);
	ck_assert_uint_eq(be64_load(bytes), 0x0102030405060708);
	be32_store(buf, 0xdeadbeef);
	ck_assert_uint_eq(buf[0], 0xde);
	ck_assert_uint_eq(be32_load(buf), 0xdeadbeef);
}
END_TEST

UNIT_MAIN("base/rd", reads_little_endian_in_order, short_read_is_zero_and_sticky,
	  huge_length_does_not_wrap, exact_bytes_are_in_place, writer_stores_what_reader_loads,
	  full_writer_changes_nothing_more, big_endian_helpers)
