/* SPDX-License-Identifier: MIT */
#include "sample_tree.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <string.h>

static char level[32] = "info";

static int set_level(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	if (strlen(val) >= sizeof(level)) {
		(void)snprintf(ret_why, why_size, "too long: %s", val);
		return -EINVAL;
	}
	(void)snprintf(level, sizeof(level), "%s", val);
	return 0;
}

static int take_all(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	(void)val;
	(void)ret_why;
	(void)why_size;
	return 0;
}

static void numbers(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_u64(in, SENS_SAFE, "zero", 0);
	inspect_u64(in, SENS_SAFE, "largest", UINT64_MAX);
	inspect_u64(in, SENS_SAFE, "byte127", 127);
	inspect_u64(in, SENS_SAFE, "byte128", 128);
	inspect_hex(in, SENS_UNSPEC, "hex", 0x10);
	inspect_binary(in, SENS_UNSPEC, "binary", 5);
	inspect_count(in, SENS_SAFE, "count", 1000);
	inspect_i64(in, SENS_SAFE, "minus_one", -1);
	inspect_i64(in, SENS_SAFE, "least", INT64_MIN);
	inspect_i64(in, SENS_SAFE, "most", INT64_MAX);
	inspect_i64(in, SENS_SAFE, "none", 0);
	inspect_double(in, SENS_SAFE, "double", 0.1);
	inspect_double(in, SENS_SAFE, "dzero", 0);
	inspect_double(in, SENS_SENSITIVE, "dmax", DBL_MAX);
	inspect_bool(in, SENS_SAFE, "yes", true);
	inspect_bool(in, SENS_SAFE, "no", false);
	inspect_mut_u64(in, SENS_SAFE, "mut", 3, take_all, NULL);
}

static void texts(struct inspect *in, const void *obj)
{
	static const uint8_t bytes[] = { 0, 1, 0xfe, 0xff };
	char text[301];

	(void)obj;
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	inspect_str(in, SENS_SAFE, "hi", "hi");
	inspect_str(in, SENS_SAFE, "empty", "");
	inspect_str(in, SENS_SAFE, "long", text);
	inspect_str(in, SENS_SAFE, "quotes", "a \"b\" \\c\n\t\x1b[0m \xc3\xa9");
	inspect_bytes(in, SENS_SENSITIVE, "bytes", bytes, sizeof(bytes));
	inspect_bytes(in, SENS_SENSITIVE, "no_bytes", bytes, 0);
	inspect_mut_str(in, SENS_SAFE, "level", level, set_level, NULL);
	inspect_mut_bool(in, SENS_UNSPEC, "clear/halt", false, take_all, NULL);
}

static void nothing(struct inspect *in, const void *obj)
{
	(void)in;
	(void)obj;
}

static void leaf(struct inspect *in, const void *obj)
{
	inspect_str(in, SENS_SAFE, "at", obj);
}

static void nested(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "d1", nothing, obj);
	inspect_dir(in, SENS_UNSPEC, "d2/d3", leaf, "d2/d3");
	for (uint64_t i = 0; i < 12; i++)
		inspect_dir_at(in, SENS_SAFE, i, leaf, "i");
}

void sample_tree(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_dir(in, SENS_SAFE, "numbers", numbers, NULL);
	inspect_dir(in, SENS_UNSPEC, "texts", texts, NULL);
	inspect_dir(in, SENS_SAFE, "nested", nested, NULL);
	inspect_remote(in, SENS_SAFE, "far", 7);
	inspect_dir(in, SENS_SAFE, "nested/d2", leaf, "again");
	inspect_flatten(in, leaf, "root");
}
