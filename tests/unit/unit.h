/* SPDX-License-Identifier: MIT */
/* What every Check program of this folder shares: one main() over one table of test functions. */
#pragma once

#include <check.h>
#include <stddef.h>
#include <stdlib.h>

#include "macros.h"

/**
 * unit_run - run the test functions as one suite, each in its own process
 * @variants: each test runs this often, with _i counting from 0
 * Returns: EXIT_SUCCESS when all passed, else EXIT_FAILURE: main()'s return value.
 */
static inline int unit_run(const char *name, const TTest *const *tests, size_t n,
			   int variants)
{
	Suite *suite = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 30);
	for (size_t i = 0; i < n; i++)
		tcase_add_loop_test(tc, tests[i], 0, variants);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Ends a test file: UNIT_MAIN("folder/file", test_a, test_b) */
#define UNIT_MAIN(name, ...) UNIT_MAIN_VARIANTS(name, 1, __VA_ARGS__)
#define UNIT_MAIN_VARIANTS(name, variants, ...)                                 \
	int main(void)                                                          \
	{                                                                       \
		const TTest *const tests_[] = { __VA_ARGS__ };                  \
		return unit_run(name, tests_, ARRAY_SIZE(tests_), variants);    \
	}
