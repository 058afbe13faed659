/* SPDX-License-Identifier: MIT */
/* The environment a client gives the vm role. */
#include "env_list.h"

#include <errno.h>
#include <stdint.h>

#include "unit.h"

static char *base[] = { (char *)(uintptr_t) "A=1", (char *)(uintptr_t) "AB=2",
			(char *)(uintptr_t) "OPENHCL_CONFIDENTIAL=0", (char *)(uintptr_t) "NOVALUE",
			NULL };

START_TEST(set_and_remove)
{
	const struct env_edit edits[] = {
		{ "A", "9" }, { "NEW", "" }, { "AB", NULL }, { "A", "10" }, { "ABSENT", NULL }
	};
	char **env;

	ck_assert_int_eq(env_list_create(base, edits, ARRAY_SIZE(edits), &env), 0);
	ck_assert_str_eq(env_list_get(env, "A"), "10");
	ck_assert_str_eq(env_list_get(env, "NEW"), "");
	ck_assert_ptr_null(env_list_get(env, "AB"));
	ck_assert_ptr_null(env_list_get(env, "ABSENT"));
	ck_assert_str_eq(env_list_get(env, "OPENHCL_CONFIDENTIAL"), "0");
	env_list_destroy(env);
	ck_assert_str_eq(env_list_get(base, "A"), "1");
	env_list_destroy(NULL);
}
END_TEST

START_TEST(what_is_refused)
{
	static const struct {
		struct env_edit edit;
		int err;
	} cases[] = {
		{ { "", "x" }, -EINVAL },
		{ { "A=B", "x" }, -EINVAL },
		{ { "OPENHCL_CONFIDENTIAL", "0" }, -EPERM },
		{ { "OPENHCL_CONFIDENTIAL", NULL }, -EPERM },
		{ { "UNDERHILL_CONFIDENTIAL", "1" }, -EPERM },
		{ { "OPENHCL_CONFIDENTIAL_DEBUG", "1" }, -EPERM },
		{ { "UNDERHILL_CONFIDENTIAL_DEBUG", "1" }, -EPERM },
	};
	char **env = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_int_eq(env_list_create(base, &cases[i].edit, 1, &env), cases[i].err);
		ck_assert_ptr_null(env);
	}
}
END_TEST

UNIT_MAIN("vmm/env_list", set_and_remove, what_is_refused)
