/* SPDX-License-Identifier: MIT */
#include "ckd.h"

#include "unit.h"

START_TEST(add_sub_mul_report_overflow)
{
	uint64_t r64;
	uint32_t r32;

	ck_assert(!ckd_add(&r64, UINT64_MAX - 1, 1u));
	ck_assert_uint_eq(r64, UINT64_MAX);
	ck_assert(ckd_add(&r64, UINT64_MAX, 1u));
	ck_assert(ckd_sub(&r64, 0u, 1u));
	ck_assert(!ckd_mul(&r32, 0x10000u, 0xffffu));
	ck_assert(ckd_mul(&r32, 0x10000u, 0x10000u));
	/* The type of the result decides, not the type of the operands. */
	ck_assert(ckd_add(&r32, (uint64_t)1 << 32, 0u));
}
END_TEST

START_TEST(range_ok_at_the_edges)
{
	ck_assert(range_ok(0, 0, 0));
	ck_assert(range_ok(0, 16, 16));
	ck_assert(range_ok(16, 0, 16));
	ck_assert(range_ok(15, 1, 16));
	ck_assert(!range_ok(16, 1, 16));
	ck_assert(!range_ok(17, 0, 16));
	ck_assert(!range_ok(1, UINT64_MAX, 16));
	ck_assert(!range_ok(UINT64_MAX, 2, UINT64_MAX));
	ck_assert(range_ok(UINT64_MAX, 0, UINT64_MAX));
}
END_TEST

START_TEST(range_overlap_shares_a_byte)
{
	ck_assert(range_overlap(0, 2, 1, 2));
	ck_assert(range_overlap(1, 2, 0, 2));
	ck_assert(range_overlap(0, 10, 3, 1));
	ck_assert(!range_overlap(0, 2, 2, 2));
	ck_assert(!range_overlap(2, 2, 0, 2));
	ck_assert(!range_overlap(0, 0, 0, 2));
	ck_assert(!range_overlap(0, 2, 1, 0));
}
END_TEST

START_TEST(alignment)
{
	ck_assert(is_aligned(0x2000, 0x1000));
	ck_assert(!is_aligned(0x2001, 0x1000));
	ck_assert_uint_eq(align_down(0x2fff, 0x1000), 0x2000);
	ck_assert_uint_eq(align_up(0x2001, 0x1000), 0x3000);
	ck_assert_uint_eq(align_up(0x2000, 0x1000), 0x2000);
	ck_assert_uint_eq(align_up(0, 0x1000), 0);
}
END_TEST

UNIT_MAIN("base/ckd", add_sub_mul_report_overflow, range_ok_at_the_edges,
	  range_overlap_shares_a_byte, alignment)
