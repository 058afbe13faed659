/* SPDX-License-Identifier: MIT */
#include "timeline.h"

#include "unit.h"

START_TEST(marks_keep_order_and_limit)
{
	static struct timeline_mark marks[TIMELINE_MAX];
	uint64_t before = timeline_now_ns();

	ck_assert_uint_eq(timeline_get(marks), 0);
	timeline_mark_at("kernel", 5);
	timeline_mark("here");
	ck_assert_uint_eq(timeline_get(marks), 2);
	ck_assert_str_eq(marks[0].name, "kernel");
	ck_assert_uint_eq(marks[0].ns, 5);
	ck_assert_str_eq(marks[1].name, "here");
	ck_assert_uint_ge(marks[1].ns, before);
	ck_assert_uint_le(marks[1].ns, timeline_now_ns());
	for (uint64_t i = 0; i < 2 * TIMELINE_MAX; i++)
		timeline_mark_at("more", i);
	ck_assert_uint_eq(timeline_get(marks), TIMELINE_MAX);
	ck_assert_uint_eq(marks[TIMELINE_MAX - 1].ns, TIMELINE_MAX - 3);
}
END_TEST

UNIT_MAIN("rt/timeline", marks_keep_order_and_limit)
