/* SPDX-License-Identifier: MIT */
#include "inspect_text.h"
#include "sample_tree.h"

#include "unit.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#define ROOM (1u << 20)

static void run(inspect_fn fn, const void *obj, const char *path, struct inspect_tree *ret_tree)
{
	struct inspect_request req = { .path = path, .depth = 9, .max = SENS_SENSITIVE };
	struct inspect_node *n;

	ck_assert_int_eq(inspect_run(&req, fn, obj, ROOM, ret_tree), 0);
	while ((n = inspect_pending(ret_tree)))
		inspect_graft(ret_tree, n, NULL);
}

static void check(inspect_fn fn, const void *obj, const char *path, const char *text,
		  const char *json)
{
	struct inspect_tree tree;
	char *got;

	run(fn, obj, path, &tree);
	ck_assert_int_eq(inspect_text(&tree, &got), 0);
	ck_assert_str_eq(got, text);
	free(got);
	ck_assert_int_eq(inspect_json(&tree, &got), 0);
	ck_assert_str_eq(got, json);
	free(got);
	inspect_tree_fini(&tree);
}

static void sample(const char *path, const char *text, const char *json)
{
	check(sample_tree, NULL, path, text, json);
}

START_TEST(values)
{
	sample("numbers/zero", "0", "0");
	sample("numbers/largest", "18446744073709551615", "18446744073709551615");
	sample("numbers/least", "-9223372036854775808", "-9223372036854775808");
	sample("numbers/hex", "0x10", "\"0x10\"");
	sample("numbers/binary", "0b101", "\"0b101\"");
	sample("numbers/yes", "true", "true");
	sample("texts/hi", "\"hi\"", "\"hi\"");
	sample("texts/bytes", "<0001feff>", "\"AAH+/w\"");
	sample("texts/no_bytes", "<>", "\"\"");
	sample("texts/quotes", "\"a \\\"b\\\" \\\\c\\n\\t\\u{1b}[0m \xc3\xa9\"",
	       "\"a \\\"b\\\" \\\\c\\n\\t\\u001b[0m \xc3\xa9\"");
	sample("nope", "error (not found)", "{\"$error\":\"not found\"}");
	sample("at/x", "error (not a directory)", "{\"$error\":\"not a directory\"}");
	sample("far", "error (unresolved)", "{\"$error\":\"unresolved\"}");
}
END_TEST

static void tree(struct inspect *in, const void *obj)
{
	const unsigned *depth = obj;
	unsigned next = *depth - 1;

	inspect_str(in, SENS_SAFE, "ab", "x");
	if (*depth > 0) {
		inspect_dir(in, SENS_SAFE, "d", tree, &next);
		inspect_remote(in, SENS_SAFE, "r", 1);
	}
}

static void nothing(struct inspect *in, const void *obj)
{
	(void)in;
	(void)obj;
}

static void odd_name(struct inspect *in, const void *obj)
{
	inspect_u64(in, SENS_SAFE, "a\x1b[2J\"\n\\", 1);
	inspect_dir(in, SENS_SAFE, "e", nothing, obj);
}

START_TEST(directories)
{
	static const unsigned two = 2;

	check(tree, &two, "",
	      "{\n"
	      "    ab: \"x\",\n"
	      "    d: {\n"
	      "        ab: \"x\",\n"
	      "        d: {\n"
	      "            ab: \"x\",\n"
	      "        },\n"
	      "        r: error (unresolved),\n"
	      "    },\n"
	      "    r: error (unresolved),\n"
	      "}",
	      "{\"ab\":\"x\",\"d\":{\"ab\":\"x\",\"d\":{\"ab\":\"x\"},"
	      "\"r\":{\"$error\":\"unresolved\"}},\"r\":{\"$error\":\"unresolved\"}}");
	check(nothing, NULL, "", "{}", "{}");
	check(odd_name, NULL, "", "{\n    a\\u{1b}[2J\"\\n\\: 1,\n    e: {},\n}",
	      "{\"a\\u001b[2J\\\"\\n\\\\\":1,\"e\":{}}");
}
END_TEST

static void one_double(struct inspect *in, const void *obj)
{
	inspect_double(in, SENS_SAFE, "d", *(const double *)obj);
}

START_TEST(doubles)
{
	static const struct {
		double val;
		const char *text;
	} rows[] = {
		{ 0, "0" },
		{ -0.0, "-0" },
		{ 1, "1" },
		{ 10, "10" },
		{ 0.1, "0.1" },
		{ -2.5, "-2.5" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 123456.789, "123456.789" },
		{ 0.00001234, "0.00001234" },
		{ 1e21, "1000000000000000000000" },
		{ 2251799813685249.5, "2251799813685249.5" },
		{ 5e-324, NULL },
		{ DBL_MAX, NULL },
		{ NAN, "NaN" },
		{ INFINITY, "inf" },
		{ -INFINITY, "-inf" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct inspect_tree t;
		char *got;

		run(one_double, &rows[i].val, "d", &t);
		ck_assert_int_eq(inspect_text(&t, &got), 0);
		if (rows[i].text)
			ck_assert_str_eq(got, rows[i].text);
		else
			ck_assert(strtod(got, NULL) == rows[i].val);
		ck_assert_ptr_null(strchr(got, 'e'));
		free(got);
		inspect_tree_fini(&t);
	}
}
END_TEST

START_TEST(raw_and_errors)
{
	struct inspect_tree t;
	char *got, buf[64];

	run(sample_tree, NULL, "texts/level", &t);
	ck_assert_int_eq(inspect_text_raw(&t, &got), 0);
	ck_assert_str_eq(got, "info");
	free(got);
	inspect_tree_fini(&t);
	run(sample_tree, NULL, "numbers/hex", &t);
	ck_assert_int_eq(inspect_text_raw(&t, &got), 0);
	ck_assert_str_eq(got, "0x10");
	free(got);
	inspect_tree_fini(&t);
	{
		struct inspect_request req = { .path = "texts/level",
					       .max = SENS_SENSITIVE,
					       .update = "0123456789012345678901234567890123" };

		ck_assert_int_eq(inspect_run(&req, sample_tree, NULL, ROOM, &t), 0);
	}
	inspect_text_error(t.root, buf, sizeof(buf));
	ck_assert_str_eq(buf, "update error: too long: 0123456789012345678901234567890123");
	inspect_text_error(t.root, buf, 8);
	ck_assert_str_eq(buf, "update ");
	inspect_tree_fini(&t);
}
END_TEST

struct counters {
	uint64_t a, b;
	bool extra;
};

static void counted(struct inspect *in, const void *obj)
{
	const struct counters *c = obj;

	inspect_count(in, SENS_SAFE, "d/n", c->a);
	inspect_u64(in, SENS_SAFE, "d/plain", c->a);
	inspect_count(in, SENS_SAFE, "e", c->b);
	if (c->extra) {
		inspect_count(in, SENS_SAFE, "c/x", c->a);
		inspect_count(in, SENS_SAFE, "d/m", c->a);
	}
}

START_TEST(rates)
{
	const struct counters was = { .a = 100, .b = 50 }, is = { 350, 40, true };
	struct inspect_tree now, last;
	char *got;

	run(counted, &was, "", &last);
	run(counted, &is, "", &now);
	inspect_since(&now, &last, 2.0);
	ck_assert_int_eq(inspect_json(&now, &got), 0);
	ck_assert_str_eq(got, "{\"c\":{\"x\":350},\"d\":{\"m\":350,\"n\":125,\"plain\":350},"
			      "\"e\":-5}");
	free(got);
	inspect_tree_fini(&now);
	/* Gone since then: nothing to compare with. */
	run(counted, &was, "", &now);
	inspect_tree_fini(&last);
	run(counted, &is, "", &last);
	inspect_since(&now, &last, 1.0);
	ck_assert_int_eq(inspect_json(&now, &got), 0);
	ck_assert_str_eq(got, "{\"d\":{\"n\":-250,\"plain\":100},\"e\":10}");
	free(got);
	inspect_tree_fini(&now);
	inspect_tree_fini(&last);
}
END_TEST

UNIT_MAIN("diag/inspect_text", values, directories, doubles, raw_and_errors, rates)
