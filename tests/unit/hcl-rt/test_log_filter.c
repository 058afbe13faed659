/* SPDX-License-Identifier: MIT */
#include "log_filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

static struct log_filter filter;
static char why[200];

static int parse(const char *text)
{
	why[0] = 0;
	return log_filter_parse(text, &filter, why, sizeof(why));
}

START_TEST(decisions)
{
	static const struct {
		const char *text, *target;
		int level;
	} table[] = {
		{ "info", "vm", LOG_INFO },
		{ "off", "vm", LOG_OFF },
		{ "OFF", "vm", LOG_OFF },
		{ "Error", "vm", LOG_ERR },
		{ "warn", "vm", LOG_WARN },
		{ "debug", "vm", LOG_DEBUG },
		{ "trace", "vm", LOG_TRACE },
		{ "0", "vm", LOG_OFF },
		{ "1", "vm", LOG_ERR },
		{ "5", "vm", LOG_TRACE },
		{ "03", "vm", LOG_INFO },
		{ "", "vm", LOG_ERR }, /* as the original: no word is the word error */
		{ "6", "vm", LOG_OFF }, /* a target of that name */
		{ "6", "64", LOG_TRACE },
		{ "warn,storvsp=debug", "vm", LOG_WARN },
		{ "warn,storvsp=debug", "storvsp", LOG_DEBUG },
		{ "warn,storvsp=debug", "storvsp::ring", LOG_DEBUG },
		{ "storvsp=debug,warn", "storvsp", LOG_DEBUG },
		{ "storvsp=debug", "vm", LOG_OFF },
		{ "vm", "vm", LOG_TRACE },
		{ "vm", "vmbus", LOG_TRACE },
		{ "vmbus", "vm", LOG_OFF },
		{ "info,vm=off,vmbus=debug", "vm", LOG_OFF },
		{ "info,vm=off,vmbus=debug", "vmbus", LOG_DEBUG },
		{ "info,vm=off,vmbus=debug", "vmb", LOG_OFF },
		{ "info,vm=off,vmbus=debug", "v", LOG_INFO },
		{ "info,warn", "vm", LOG_WARN }, /* the later of two */
		{ "vm=info,vm=warn", "vm", LOG_WARN },
		{ "vm=", "vm", LOG_ERR },
		{ "=debug", "vm", LOG_DEBUG },
		{ "info, vm = debug ", "vm", LOG_DEBUG },
		{ "a=1,b=2,c=3", "b", LOG_WARN },
		{ "info", "", LOG_INFO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ck_assert_msg(parse(table[i].text) == 0, "%s: %s", table[i].text, why);
		ck_assert_msg(log_filter_level(&filter, table[i].target) == table[i].level,
			      "%s: %s: %d", table[i].text, table[i].target,
			      log_filter_level(&filter, table[i].target));
		ck_assert_str_eq(filter.text, table[i].text);
	}
}
END_TEST

START_TEST(refusals)
{
	static const struct {
		const char *text, *why;
	} table[] = {
		{ "vm=loud",
		  "invalid filter: error parsing level filter: expected one of \"off\", "
		  "\"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5" },
		{ "info,vm=6", "error parsing level filter" },
		{ "vm=-1", "error parsing level filter" },
		{ "vm=info=debug", "too many '='" },
		{ "vm[span]=info", "not supported" },
		{ "vm[{field}]=info", "not supported" },
		{ "[span]", "not supported" },
		{ "info\n", "not printable" },
		{ "vm=\xc3\xa4", "not printable" },
	};

	ck_assert_int_eq(parse("info"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ck_assert_msg(parse(table[i].text) == -EINVAL, "%s", table[i].text);
		ck_assert_msg(strstr(why, table[i].why), "%s: %s", table[i].text, why);
		ck_assert_str_eq(filter.text, "info"); /* untouched */
	}
	ck_assert_int_eq(log_filter_parse("a=b", &filter, NULL, 0), -EINVAL);
}
END_TEST

START_TEST(limits)
{
	char text[2 * LOG_FILTER_MAX] = "";

	memset(text, 'a', LOG_FILTER_MAX - 1);
	ck_assert_int_eq(parse(text), 0);
	text[LOG_FILTER_MAX - 1] = 'a';
	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "too long"));
	text[0] = 0;
	for (unsigned i = 0; i < LOG_FILTER_ENTRIES; i++)
		(void)snprintf(text + strlen(text), 8, "%st%u", i ? "," : "", i);
	ck_assert_int_eq(parse(text), 0);
	ck_assert_uint_eq(filter.n, LOG_FILTER_ENTRIES);
	ck_assert_int_eq(log_filter_level(&filter, "t63"), LOG_TRACE);
	(void)snprintf(text + strlen(text), 16, "%s", ",t0=off"); /* replaces */
	ck_assert_int_eq(parse(text), 0);
	(void)snprintf(text + strlen(text), 16, "%s", ",other");
	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "too many entries"));
}
END_TEST

UNIT_MAIN("rt/log_filter", decisions, refusals, limits)
