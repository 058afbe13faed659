/* SPDX-License-Identifier: MIT */
/* The decision about confidentiality: every combination of its inputs. */
#include "confid.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static const char *vars[4];

static const char *lookup(const char *name)
{
	static const char *const names[] = { "OPENHCL_CONFIDENTIAL", "UNDERHILL_CONFIDENTIAL",
					     "OPENHCL_CONFIDENTIAL_DEBUG",
					     "UNDERHILL_CONFIDENTIAL_DEBUG" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(names[i], name))
			return vars[i];
	}
	ck_abort_msg("asked for %s", name);
	return NULL;
}

/* What the rules say, written down a second time. */
static bool yes(const char *v)
{
	return v && strcmp(v, "") != 0 && strcmp(v, "0") != 0;
}

START_TEST(every_combination)
{
	static const char *const values[] = { NULL, "", "0", "1", "false" };
	static const char *const words[] = { NULL, "none", "vbs", "snp", "tdx", "cca", "", "NONE" };
	static const enum confid_isolation kinds[] = {
		CONFID_ISO_NONE, CONFID_ISO_NONE,    CONFID_ISO_VBS,	 CONFID_ISO_SNP,
		CONFID_ISO_TDX,	 CONFID_ISO_UNKNOWN, CONFID_ISO_UNKNOWN, CONFID_ISO_UNKNOWN,
	};
	const size_t n = ARRAY_SIZE(values);

	for (size_t i = 0; i < n * n * n * n * ARRAY_SIZE(words); i++) {
		const char *word = words[i % ARRAY_SIZE(words)];
		size_t rest = i / ARRAY_SIZE(words);
		bool confidential, debug;
		struct confid c;

		for (size_t v = 0; v < ARRAY_SIZE(vars); v++, rest /= n)
			vars[v] = values[rest % n];
		c = confid_decide(lookup, word);
		confidential = (word && strcmp(word, "none") != 0) || yes(vars[0]) || yes(vars[1]);
		debug = vars[2] ? yes(vars[2]) : yes(vars[3]);
		ck_assert_int_eq((int)c.isolation, (int)kinds[i % ARRAY_SIZE(words)]);
		ck_assert_int_eq(c.confidential, confidential);
		ck_assert_int_eq(c.debug, debug);
		ck_assert_int_eq(c.restricted, confidential && !debug);
	}
}
END_TEST

START_TEST(the_real_environment)
{
	struct confid c;

	ck_assert_int_eq(setenv("OPENHCL_CONFIDENTIAL", "1", 1), 0);
	ck_assert_int_eq(unsetenv("OPENHCL_CONFIDENTIAL_DEBUG"), 0);
	ck_assert_int_eq(unsetenv("UNDERHILL_CONFIDENTIAL_DEBUG"), 0);
	c = confid_read();
	ck_assert(c.confidential && c.restricted && !c.debug);
	ck_assert_int_eq(setenv("UNDERHILL_CONFIDENTIAL_DEBUG", "yes", 1), 0);
	c = confid_decide(NULL, "snp");
	ck_assert(c.confidential && !c.restricted && c.debug);
}
END_TEST

START_TEST(names_of_isolation)
{
	ck_assert_str_eq(confid_isolation_name(CONFID_ISO_NONE), "none");
	ck_assert_str_eq(confid_isolation_name(CONFID_ISO_VBS), "vbs");
	ck_assert_str_eq(confid_isolation_name(CONFID_ISO_SNP), "snp");
	ck_assert_str_eq(confid_isolation_name(CONFID_ISO_TDX), "tdx");
	ck_assert_str_eq(confid_isolation_name(CONFID_ISO_UNKNOWN), "unknown");
}
END_TEST

UNIT_MAIN("rt/confid", every_combination, the_real_environment, names_of_isolation)
