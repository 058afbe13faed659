/* SPDX-License-Identifier: MIT */
#include "memstat.h"

#include <errno.h>
#include <string.h>

#include "json.h"
#include "unit.h"

/* Of this very process and machine: whatever the room, whole JSON with what matters most. */
START_TEST(whole_json_in_any_room)
{
	char text[4096];

	ck_assert_int_eq(memstat_json("/proc", text, 127), -ENOSPC);
	for (size_t size = 128; size <= sizeof(text); size += size < 400 ? 1 : 200) {
		struct json j;
		uint32_t status;

		memset(text, 0x55, sizeof(text));
		ck_assert_int_eq(memstat_json("/proc", text, size), 0);
		ck_assert_uint_lt(strnlen(text, sizeof(text)), size);
		ck_assert_msg(json_parse(text, strlen(text), &j) == 0, "%zu: %s", size, text);
		status = json_member(&j, 0, "periodic_memory_status");
		ck_assert(json_is(&j, json_member(&j, status, "meminfo"), JSON_OBJECT));
		ck_assert(json_is(&j, json_member(&j, status, "processes"), JSON_OBJECT));
		json_fini(&j);
	}
	ck_assert_ptr_nonnull(strstr(text, "\"MemTotal\":"));
	ck_assert_ptr_nonnull(strstr(text, "\"VmRSS\":"));
}
END_TEST

START_TEST(nothing_to_read)
{
	char text[1024];

	ck_assert_int_eq(memstat_json("/nonexistent", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "{\"periodic_memory_status\":{\"meminfo\":{},\"processes\":{}}}");
}
END_TEST

UNIT_MAIN("vmm/memstat", whole_json_in_any_room, nothing_to_read)
