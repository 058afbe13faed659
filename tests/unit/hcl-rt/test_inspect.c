/* SPDX-License-Identifier: MIT */
#include "inspect.h"

#include "unit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROOM (1u << 20)
#define ALL_DEPTH UINT32_MAX

/* ---- a result as one line of text ---------------------------------------------------------- */

struct text {
	char buf[8192];
	size_t len;
};

static void say(struct text *t, const char *fmt, ...) printf_like(2, 3);
static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, fmt, ap);
	va_end(ap);
	ck_assert_int_ge(n, 0);
	t->len += (size_t)n;
	ck_assert_uint_lt(t->len, sizeof(t->buf));
}

static void say_node(struct text *t, const struct inspect_node *n) /* recursion: own trees only */
{
	switch (n->kind) {
	case INSPECT_UNEVALUATED:
		say(t, "_");
		break;
	case INSPECT_ERROR:
		say(t, "!%s", inspect_error_text(n));
		if (n->err == INSPECT_UPDATE)
			say(t, ": %s", n->str.data);
		break;
	case INSPECT_SIGNED:
		say(t, "%lld", (long long)n->i64);
		break;
	case INSPECT_UNSIGNED:
		say(t, n->flags & INSPECT_F_HEX ? "0x%llx" : "%llu", (unsigned long long)n->u64);
		break;
	case INSPECT_DOUBLE:
		say(t, "%g", n->d);
		break;
	case INSPECT_BOOL:
		say(t, n->b ? "true" : "false");
		break;
	case INSPECT_STRING:
		ck_assert_uint_eq(strlen(n->str.data), n->str.len);
		say(t, "\"%s\"", n->str.data);
		break;
	case INSPECT_BYTES:
		say(t, "<%zu>", n->str.len);
		break;
	case INSPECT_DIR:
		say(t, "{");
		for (const struct inspect_node *c = n->child; c; c = c->next) {
			say(t, "%s:", c->name);
			say_node(t, c);
			say(t, c->next ? " " : "");
		}
		say(t, "}");
		break;
	case INSPECT_PENDING:
		say(t, "?%u/%u/%s", n->pending.remote, n->pending.depth, n->pending.path);
		break;
	}
}

static const char *tree_text(const struct inspect_tree *tree)
{
	static struct text t;

	t.len = 0;
	ck_assert_str_eq(tree->root->name, "");
	ck_assert_ptr_null(tree->root->next);
	say_node(&t, tree->root);
	return t.buf;
}

/* ---- a small world ------------------------------------------------------------------------- */

static char filter[64];
static uint64_t level;
static bool flush;
static unsigned deep_calls, empty_calls;

static int set_filter(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	ck_assert_ptr_eq(ctx, filter);
	if (strcmp(val, "bad") == 0) {
		(void)snprintf(ret_why, why_size, "invalid filter");
		return -EINVAL;
	}
	if (strcmp(val, "silent") == 0)
		return -EINVAL;
	(void)snprintf(filter, sizeof(filter), "%s", val);
	return 0;
}

static int set_level(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	(void)ret_why;
	(void)why_size;
	level = strtoull(val, NULL, 10);
	return 0;
}

static int set_flush(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	(void)ctx;
	(void)ret_why;
	(void)why_size;
	flush = strcmp(val, "true") == 0;
	return 0;
}

static void trace(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_mut_str(in, SENS_SAFE, "filter", filter, set_filter, filter);
	inspect_mut_u64(in, SENS_UNSPEC, "level", level, set_level, NULL);
	inspect_mut_bool(in, SENS_UNSPEC, "perf/flush", false, set_flush, NULL);
}

static void deepest(struct inspect *in, const void *obj)
{
	deep_calls++;
	inspect_u64(in, SENS_SAFE, "x", *(const unsigned *)obj);
}

static void deep(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_SAFE, "b", deepest, obj);
	inspect_u64(in, SENS_UNSPEC, "hidden", 1);
}

static void empty(struct inspect *in, const void *obj)
{
	(void)in;
	(void)obj;
	empty_calls++;
}

static void secret(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_u64(in, SENS_SAFE, "safe_below", 1);
	inspect_mut_u64(in, SENS_SAFE, "mut_below", 1, set_level, NULL);
}

static void flat(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_u64(in, SENS_SAFE, "flat", 2);
}

static const unsigned seven = 7;

static void world(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_dir(in, SENS_SAFE, "trace", trace, NULL);
	inspect_dir(in, SENS_SAFE, "a", deep, &seven);
	inspect_dir(in, SENS_SAFE, "nil", empty, NULL);
	inspect_dir(in, SENS_SENSITIVE, "secret", secret, NULL);
	inspect_flatten(in, flat, NULL);
	inspect_remote(in, SENS_UNSPEC, "vm", 9);
	inspect_str(in, SENS_SAFE, "str", "s");
}

static const char *run_as(inspect_fn fn, const char *path, uint32_t depth, enum inspect_sens max,
			  const char *update)
{
	struct inspect_request req = { .path = path, .depth = depth, .max = max, .update = update };
	struct inspect_tree tree;
	const char *text;

	ck_assert_int_eq(inspect_run(&req, fn, NULL, ROOM, &tree), 0);
	text = tree_text(&tree);
	inspect_tree_fini(&tree);
	return text;
}

static const char *get(const char *path, uint32_t depth)
{
	return run_as(world, path, depth, SENS_SENSITIVE, NULL);
}

static const char *put(const char *path, const char *val)
{
	return run_as(world, path, 0, SENS_SENSITIVE, val);
}

/* ---- reading ------------------------------------------------------------------------------- */

START_TEST(depth_zero_lists_children_only)
{
	(void)snprintf(filter, sizeof(filter), "info");
	ck_assert_str_eq(get("", 0), "{a:_ flat:2 nil:_ secret:_ str:\"s\" trace:_ vm:_}");
	ck_assert_uint_eq(deep_calls + empty_calls, 0);
}
END_TEST

START_TEST(depth_opens_level_by_level)
{
	(void)snprintf(filter, sizeof(filter), "info");
	ck_assert_str_eq(get("", 1),
			 "{a:{b:_ hidden:1} flat:2 nil:{} secret:{mut_below:1 safe_below:1} "
			 "str:\"s\" trace:{filter:\"info\" level:0 perf:_} vm:?9/0/}");
	ck_assert_str_eq(get("", ALL_DEPTH),
			 "{a:{b:{x:7} hidden:1} flat:2 nil:{} secret:{mut_below:1 safe_below:1} "
			 "str:\"s\" trace:{filter:\"info\" level:0 perf:{flush:false}} "
			 "vm:?9/4094/}");
	ck_assert_str_eq(get("a", 0), "{b:_ hidden:1}");
	ck_assert_str_eq(get("a/b", 0), "{x:7}");
	ck_assert_str_eq(get("nil", 0), "{}");
}
END_TEST

START_TEST(path_slashes)
{
	ck_assert_str_eq(get("/a", 0), "{b:_ hidden:1}");
	ck_assert_str_eq(get("//a///b//", 0), "{x:7}");
	ck_assert_str_eq(get("a/b/x", 0), "7");
	ck_assert_str_eq(get("a/b/x", ALL_DEPTH), "7");
	ck_assert_str_eq(get("a/b/x/", 0), "!not a directory");
	ck_assert_str_eq(get("a/b/x/y", 0), "!not a directory");
	ck_assert_str_eq(get("///", 0), "{a:_ flat:2 nil:_ secret:_ str:\"s\" trace:_ vm:_}");
}
END_TEST

START_TEST(path_not_found)
{
	ck_assert_str_eq(get("b", 0), "!not found");
	ck_assert_str_eq(get("A", 0), "!not found");
	ck_assert_str_eq(get("a/", 0), "{b:_ hidden:1}");
	ck_assert_str_eq(get("a/bb", 0), "!not found");
	ck_assert_str_eq(get("aa", 0), "!not found");
	ck_assert_str_eq(get("a/b/x2/y", 0), "!not found");
	ck_assert_str_eq(get("nil/x", 0), "!not found");
	ck_assert_str_eq(get("\xff\xfe", 0), "!not found");
	ck_assert_str_eq(get("trace/perf/flush", 0), "false");
	ck_assert_str_eq(get("trace/perf", 0), "{flush:false}");
}
END_TEST

START_TEST(path_walks_only_what_is_on_it)
{
	deep_calls = empty_calls = 0;
	(void)get("trace", ALL_DEPTH);
	ck_assert_uint_eq(deep_calls + empty_calls, 0);
	(void)get("a", ALL_DEPTH);
	ck_assert_uint_eq(deep_calls, 1);
}
END_TEST

START_TEST(too_long_requests)
{
	static char path[INSPECT_PATH_MAX + 2], val[INSPECT_VALUE_MAX + 2];
	struct inspect_request req = { .path = path, .max = SENS_SENSITIVE };
	struct inspect_tree tree;

	memset(path, 'p', INSPECT_PATH_MAX);
	ck_assert_int_eq(inspect_run(&req, world, NULL, ROOM, &tree), 0);
	ck_assert_str_eq(tree_text(&tree), "!not found");
	inspect_tree_fini(&tree);
	path[INSPECT_PATH_MAX] = 'p';
	ck_assert_int_eq(inspect_run(&req, world, NULL, ROOM, &tree), -EINVAL);
	memset(val, 'v', INSPECT_VALUE_MAX + 1);
	req.path = "trace/filter";
	req.update = val;
	ck_assert_int_eq(inspect_run(&req, world, NULL, ROOM, &tree), -EINVAL);
}
END_TEST

/* ---- sensitivity --------------------------------------------------------------------------- */

START_TEST(ceiling_hides_everything_above)
{
	(void)snprintf(filter, sizeof(filter), "info");
	ck_assert_str_eq(run_as(world, "", ALL_DEPTH, SENS_SAFE, NULL),
			 "{a:{b:{x:7}} flat:2 nil:{} str:\"s\" trace:{filter:\"info\"}}");
	ck_assert_str_eq(run_as(world, "", ALL_DEPTH, SENS_UNSPEC, NULL),
			 "{a:{b:{x:7} hidden:1} flat:2 nil:{} str:\"s\" trace:{filter:\"info\" "
			 "level:0 perf:{flush:false}} vm:?9/4094/}");
	ck_assert_str_eq(run_as(world, "secret", 0, SENS_UNSPEC, NULL), "!not found");
	ck_assert_str_eq(run_as(world, "secret/safe_below", 0, SENS_UNSPEC, NULL), "!not found");
	ck_assert_str_eq(run_as(world, "vm/x", 0, SENS_SAFE, NULL), "!not found");
	ck_assert_str_eq(run_as(world, "a/hidden", 0, SENS_SAFE, NULL), "!not found");
}
END_TEST

START_TEST(ceiling_stops_updates)
{
	level = 1;
	ck_assert_str_eq(run_as(world, "secret/mut_below", 0, SENS_UNSPEC, "5"), "!not found");
	ck_assert_str_eq(run_as(world, "trace/level", 0, SENS_SAFE, "5"), "!not found");
	ck_assert_str_eq(run_as(world, "trace/perf/flush", 0, SENS_SAFE, "true"), "!not found");
	ck_assert_uint_eq(level, 1);
	ck_assert(!flush);
	ck_assert_str_eq(run_as(world, "trace/filter", 0, SENS_SAFE, "warn"), "\"warn\"");
	ck_assert_str_eq(filter, "warn");
	ck_assert_str_eq(run_as(world, "secret/mut_below", 0, SENS_SENSITIVE, "5"), "5");
	ck_assert_uint_eq(level, 5);
}
END_TEST

/* ---- updates ------------------------------------------------------------------------------- */

START_TEST(update_takes_and_answers_the_value)
{
	ck_assert_str_eq(put("trace/filter", "warn,storvsp=debug"), "\"warn,storvsp=debug\"");
	ck_assert_str_eq(filter, "warn,storvsp=debug");
	ck_assert_str_eq(put("/trace//level", "18446744073709551615"), "18446744073709551615");
	ck_assert_uint_eq(level, UINT64_MAX);
	ck_assert_str_eq(put("trace/perf/flush", "true"), "true");
	ck_assert(flush);
	ck_assert_str_eq(get("trace/filter", 0), "\"warn,storvsp=debug\"");
}
END_TEST

START_TEST(update_refused)
{
	level = 3;
	(void)snprintf(filter, sizeof(filter), "info");
	ck_assert_str_eq(put("trace/filter", "bad"), "!update error: invalid filter");
	ck_assert_str_eq(put("trace/filter", "silent"), "!update error: refused");
	ck_assert_str_eq(put("trace/level", "0x10"),
			 "!update error: invalid digit found in string");
	ck_assert_str_eq(put("trace/level", "-3"), "!update error: invalid digit found in string");
	ck_assert_str_eq(put("trace/level", "+"), "!update error: invalid digit found in string");
	ck_assert_str_eq(put("trace/level", ""),
			 "!update error: cannot parse integer from empty string");
	ck_assert_str_eq(put("trace/level", "18446744073709551616"),
			 "!update error: number too large to fit in target type");
	ck_assert_str_eq(put("trace/perf/flush", "1"),
			 "!update error: provided string was not `true` or `false`");
	ck_assert_uint_eq(level, 3);
	ck_assert_str_eq(filter, "info");
}
END_TEST

START_TEST(update_of_what_cannot_be)
{
	ck_assert_str_eq(put("str", "x"), "!immutable node");
	ck_assert_str_eq(put("nope", "x"), "!not found");
	ck_assert_str_eq(put("trace/filter/", "x"), "!not a directory");
	ck_assert_str_eq(put("trace/filter/more", "x"), "!not a directory");
	ck_assert_str_eq(put("str/more", "x"), "!not a directory");
	ck_assert_str_eq(put("trace", "x"), "!unresolved");
	ck_assert_str_eq(put("trace/perf", "x"), "!unresolved");
	ck_assert_str_eq(put("", "x"), "!unresolved");
	ck_assert_str_eq(put("nil/x", "x"), "!not found");
	ck_assert_str_eq(put("trace/filter", "x\xff"), "\"x\xef\xbf\xbd\"");
}
END_TEST

/* ---- names --------------------------------------------------------------------------------- */

static void one(struct inspect *in, const void *obj)
{
	inspect_u64(in, SENS_SAFE, obj, 1);
	inspect_u64(in, SENS_SAFE, "same", 1);
}

static void two(struct inspect *in, const void *obj)
{
	inspect_u64(in, SENS_SAFE, obj, 2);
	inspect_u64(in, SENS_SAFE, "same", 2);
}

static void names(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_dir(in, SENS_SAFE, "d", one, "p");
	inspect_u64(in, SENS_SAFE, "v", 1);
	inspect_dir(in, SENS_SAFE, "vd", one, "p");
	inspect_u64(in, SENS_SAFE, "dv", 1);
	inspect_u64(in, SENS_SAFE, "d/q/r", 3);
	inspect_dir(in, SENS_SAFE, "d", two, "q2");
	inspect_u64(in, SENS_SAFE, "v", 2);
	inspect_u64(in, SENS_SAFE, "vd", 2);
	inspect_dir(in, SENS_SAFE, "dv", two, "p");
	inspect_dir(in, SENS_SAFE, "/d//q/", two, "z");
	inspect_u64(in, SENS_SAFE, "", 1);
	inspect_u64(in, SENS_SAFE, "//", 1);
}

static const char *list_names(const char *path, uint32_t depth)
{
	return run_as(names, path, depth, SENS_SENSITIVE, NULL);
}

START_TEST(same_names_merge)
{
	ck_assert_str_eq(list_names("", ALL_DEPTH),
			 "{d:{p:1 q:{r:3 same:2 z:2} q2:2 same:2} dv:{p:2 same:2} v:2 "
			 "vd:{p:1 same:1}}");
	ck_assert_str_eq(list_names("", 0), "{d:_ dv:_ v:2 vd:_}");
	ck_assert_str_eq(list_names("d", 0), "{p:1 q:_ q2:2 same:2}");
	ck_assert_str_eq(list_names("d/q", 0), "{r:3 same:2 z:2}");
	ck_assert_str_eq(list_names("d/q/z", 0), "2");
	ck_assert_str_eq(list_names("d/same", 0), "2");
	ck_assert_str_eq(list_names("v", 0), "2");
	ck_assert_str_eq(list_names("vd/same", 0), "1");
	ck_assert_str_eq(list_names("dv/same", 0), "2");
}
END_TEST

static const char *const natural[] = {
	"1",	   "01",  "2",	  "3_foo",  "100_foo",	"18446744073709551619",
	"0x9",	   "0xa", "0x0B", "100foo", "3foo",	"5a2",
	"a",	   "a2",  "a10",  "a10b",   "bar_0x5",	"bar_0x0f",
	"bar_0xg", "foo", "foo3", "foo299", "foo299_1",
};

static void backwards(struct inspect *in, const void *obj)
{
	(void)obj;
	for (size_t i = ARRAY_SIZE(natural); i-- > 0;)
		inspect_u64(in, SENS_SAFE, natural[(i * 7) % ARRAY_SIZE(natural)], i);
}

START_TEST(children_in_natural_order)
{
	struct inspect_request req = { .path = "", .max = SENS_SAFE };
	const struct inspect_node *n;
	struct inspect_tree tree;
	size_t i = 0;

	ck_assert_int_eq(inspect_run(&req, backwards, NULL, ROOM, &tree), 0);
	for (n = tree.root->child; n; n = n->next) {
		/* Equal as numbers: in the order of the characters. */
		size_t want = i == 0 ? 1 : i == 1 ? 0 : i;

		ck_assert_uint_lt(i, ARRAY_SIZE(natural));
		ck_assert_str_eq(n->name, natural[want]);
		i++;
	}
	ck_assert_uint_eq(i, ARRAY_SIZE(natural));
	inspect_tree_fini(&tree);
}
END_TEST

static void odd_names(struct inspect *in, const void *obj)
{
	char longest[3 * INSPECT_NAME_MAX];

	(void)obj;
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	inspect_str(in, SENS_SAFE, longest, "\xc3\x28 \xed\xa0\x80 \xf0\x9f\x90\x9f");
	inspect_u64(in, SENS_SAFE, "\xff", 5);
}

START_TEST(names_and_text_are_utf8)
{
	char want[INSPECT_NAME_MAX + 1];
	struct inspect_request req = { .path = "", .max = SENS_SAFE };
	struct inspect_tree tree;

	memset(want, 'n', INSPECT_NAME_MAX);
	want[INSPECT_NAME_MAX] = 0;
	ck_assert_int_eq(inspect_run(&req, odd_names, NULL, ROOM, &tree), 0);
	ck_assert_str_eq(tree.root->child->name, want);
	ck_assert_str_eq(tree.root->child->str.data,
			 "\xef\xbf\xbd( \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x90\x9f");
	ck_assert_str_eq(tree.root->child->next->name, "\xef\xbf\xbd");
	inspect_tree_fini(&tree);
	ck_assert_str_eq(run_as(odd_names, "\xef\xbf\xbd", 0, SENS_SAFE, NULL), "5");
	ck_assert_str_eq(run_as(odd_names, want, 0, SENS_SAFE, NULL),
			 "\"\xef\xbf\xbd( \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x90\x9f\"");
}
END_TEST

/* ---- values -------------------------------------------------------------------------------- */

static void values(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_u64(in, SENS_SAFE, "a", UINT64_MAX);
	inspect_hex(in, SENS_UNSPEC, "b", 0x3f8);
	inspect_count(in, SENS_SENSITIVE, "c", 10);
	inspect_binary(in, SENS_SAFE, "d", 5);
	inspect_i64(in, SENS_SAFE, "e", INT64_MIN);
	inspect_double(in, SENS_SAFE, "f", 1.5);
	inspect_bool(in, SENS_SAFE, "g", true);
	inspect_strf(in, SENS_SAFE, "h", "%s-%d", "x", 3);
	inspect_bytes(in, SENS_SAFE, "i", "\0\1\2", 3);
	inspect_ns(in, SENS_SAFE, "j", 12000000345u);
	inspect_dir_at(in, SENS_SAFE, 17, one, "k");
	inspect_bytes(in, SENS_SAFE, "l", NULL, 0);
	inspect_str(in, SENS_SAFE, "m", "");
}

START_TEST(every_kind_of_value)
{
	struct inspect_request req = { .path = "", .max = SENS_SENSITIVE };
	const struct inspect_node *n;
	struct inspect_tree tree;

	ck_assert_str_eq(run_as(values, "", 1, SENS_SENSITIVE, NULL),
			 "{17:{k:1 same:1} a:18446744073709551615 b:0x3f8 c:10 d:5 "
			 "e:-9223372036854775808 f:1.5 g:true h:\"x-3\" i:<3> "
			 "j:\"12.000000345s\" l:<0> m:\"\"}");
	ck_assert_int_eq(inspect_run(&req, values, NULL, ROOM, &tree), 0);
	n = tree.root->child->next;
	ck_assert_uint_eq(n->flags, 0);
	ck_assert_int_eq(n->sens, SENS_SAFE);
	n = n->next;
	ck_assert_uint_eq(n->flags, INSPECT_F_HEX);
	ck_assert_int_eq(n->sens, SENS_UNSPEC);
	n = n->next;
	ck_assert_uint_eq(n->flags, INSPECT_F_COUNT);
	ck_assert_int_eq(n->sens, SENS_SENSITIVE);
	n = n->next;
	ck_assert_uint_eq(n->flags, INSPECT_F_BINARY);
	inspect_tree_fini(&tree);
}
END_TEST

static bool wanted[4];

static void wants(struct inspect *in, const void *obj)
{
	(void)obj;
	wanted[0] = inspect_wants(in, "x");
	wanted[1] = inspect_wants(in, "y");
	wanted[2] = inspect_wants(in, "x/more");
	wanted[3] = inspect_wants(in, "xx");
}

START_TEST(wants_follows_the_path)
{
	(void)run_as(wants, "x/y", 0, SENS_SAFE, NULL);
	ck_assert(wanted[0] && !wanted[1] && wanted[2] && !wanted[3]);
	(void)run_as(wants, "", 0, SENS_SAFE, NULL);
	ck_assert(wanted[0] && wanted[1] && wanted[2] && wanted[3]);
}
END_TEST

/* ---- limits -------------------------------------------------------------------------------- */

static void endless(struct inspect *in, const void *obj)
{
	inspect_u64(in, SENS_SAFE, "v", 1);
	inspect_dir(in, SENS_SAFE, "e", endless, obj);
}

START_TEST(nesting_ends_in_an_error)
{
	struct inspect_request req = { .path = "", .depth = ALL_DEPTH, .max = SENS_SAFE };
	const struct inspect_node *n;
	struct inspect_tree tree;
	unsigned depth = 0;

	ck_assert_int_eq(inspect_run(&req, endless, NULL, ROOM, &tree), 0);
	for (n = tree.root; n->kind == INSPECT_DIR; n = n->child)
		depth++;
	ck_assert_uint_eq(depth, INSPECT_NEST_MAX);
	ck_assert_int_eq(n->err, INSPECT_INTERNAL);
	inspect_tree_fini(&tree);
}
END_TEST

static void numbers(struct inspect *in, const void *obj)
{
	char name[16];

	for (unsigned i = 0; i < *(const unsigned *)obj; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		inspect_u64(in, SENS_SAFE, name, i);
	}
}

static void big_and_small(struct inspect *in, const void *obj)
{
	static const unsigned huge = 1000000, few = 3;
	static const char blob[65536];

	(void)obj;
	inspect_dir(in, SENS_SAFE, "a", numbers, &few);
	inspect_dir(in, SENS_SAFE, "b", numbers, &huge);
	inspect_dir(in, SENS_SAFE, "c", numbers, &few);
	inspect_bytes(in, SENS_SAFE, "d", blob, sizeof(blob));
	inspect_u64(in, SENS_SAFE, "e", 1);
}

START_TEST(too_large_fails_only_that_node)
{
	struct inspect_request req = { .path = "", .depth = 1, .max = SENS_SAFE };
	struct inspect_tree tree;

	ck_assert_int_eq(inspect_run(&req, big_and_small, NULL, 32768, &tree), 0);
	ck_assert_str_eq(tree_text(&tree), "{a:{0:0 1:1 2:2} b:!internal error c:{0:0 1:1 2:2} "
					   "d:!internal error e:1}");
	inspect_tree_fini(&tree);
}
END_TEST

START_TEST(any_limit_is_kept)
{
	struct inspect_request req = { .path = "", .depth = ALL_DEPTH, .max = SENS_SAFE };

	for (size_t room = 0; room < 3000; room += 8) {
		struct inspect_tree tree;
		int r = inspect_run(&req, world, NULL, room, &tree);

		if (r < 0) {
			ck_assert_int_eq(r, -ENOMEM);
			ck_assert_uint_lt(room, sizeof(struct inspect_node));
			continue;
		}
		ck_assert(tree.root->kind == INSPECT_DIR || tree.root->err == INSPECT_INTERNAL);
		ck_assert_uint_le(tree.left, room);
		inspect_tree_fini(&tree);
	}
}
END_TEST

/* ---- remote entries ------------------------------------------------------------------------ */

START_TEST(remote_gets_the_rest_of_the_request)
{
	(void)snprintf(filter, sizeof(filter), "x");
	ck_assert_str_eq(get("vm", 0), "?9/0/");
	ck_assert_str_eq(get("vm/", 3), "?9/3/");
	ck_assert_str_eq(get("vm//partition/vp/0/", 2), "?9/2/partition/vp/0/");
	ck_assert_str_eq(get("vm", ALL_DEPTH), "?9/4095/");
	ck_assert_str_eq(get("", 2), "{a:{b:{x:7} hidden:1} flat:2 nil:{} secret:{mut_below:1 "
				     "safe_below:1} str:\"s\" trace:{filter:\"x\" level:0 "
				     "perf:{flush:false}} vm:?9/1/}");
	ck_assert_str_eq(put("vm/x/y", "1"), "?9/0/x/y");
	ck_assert_str_eq(put("vm", "1"), "!unresolved");
}
END_TEST

static void run_tree(inspect_fn fn, const char *path, uint32_t depth, struct inspect_tree *ret_tree)
{
	struct inspect_request req = { .path = path, .depth = depth, .max = SENS_SENSITIVE };

	ck_assert_int_eq(inspect_run(&req, fn, NULL, ROOM, ret_tree), 0);
}

START_TEST(graft_puts_the_answer_in)
{
	struct inspect_tree tree, answer;
	struct inspect_node *n;

	run_tree(world, "", 1, &tree);
	n = inspect_pending(&tree);
	ck_assert_ptr_nonnull(n);
	ck_assert_str_eq(n->name, "vm");
	run_tree(names, n->pending.path, n->pending.depth, &answer);
	inspect_graft(&tree, n, &answer);
	ck_assert_ptr_null(answer.root);
	ck_assert_ptr_null(inspect_pending(&tree));
	inspect_sort(&tree);
	ck_assert_str_eq(n->name, "vm");
	ck_assert_int_eq(n->sens, SENS_UNSPEC);
	ck_assert_ptr_nonnull(strstr(tree_text(&tree), " vm:{d:_ dv:_ v:2 vd:_}}"));
	inspect_tree_fini(&answer);
	inspect_tree_fini(&tree);
}
END_TEST

START_TEST(graft_of_nothing_is_unresolved)
{
	struct inspect_tree tree;

	run_tree(world, "vm/a/b", 1, &tree);
	inspect_graft(&tree, inspect_pending(&tree), NULL);
	ck_assert_str_eq(tree_text(&tree), "!unresolved");
	inspect_tree_fini(&tree);
}
END_TEST

static void only_remote(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_remote(in, SENS_SAFE, "r/s/t", 3);
}

START_TEST(graft_of_a_graft)
{
	struct inspect_tree tree, answer;

	run_tree(world, "vm", ALL_DEPTH, &tree);
	run_tree(only_remote, "", ALL_DEPTH, &answer);
	inspect_graft(&tree, inspect_pending(&tree), &answer);
	ck_assert_str_eq(tree_text(&tree), "{r:{s:{t:?3/4092/}}}");
	run_tree(names, "", 0, &answer);
	inspect_graft(&tree, inspect_pending(&tree), &answer);
	ck_assert_str_eq(tree_text(&tree), "{r:{s:{t:{d:_ dv:_ v:2 vd:_}}}}");
	inspect_tree_fini(&tree);
}
END_TEST

START_TEST(graft_keeps_the_limits)
{
	struct inspect_request req = { .path = "", .depth = ALL_DEPTH, .max = SENS_SENSITIVE };
	struct inspect_tree tree, answer;

	ck_assert_int_eq(inspect_run(&req, only_remote, NULL, 1024, &tree), 0);
	run_tree(world, "", ALL_DEPTH, &answer);
	inspect_graft(&tree, inspect_pending(&tree), &answer);
	ck_assert_str_eq(tree_text(&tree), "{r:{s:{t:!internal error}}}");
	inspect_tree_fini(&tree);
	run_tree(only_remote, "", ALL_DEPTH, &tree);
	run_tree(endless, "", ALL_DEPTH, &answer);
	inspect_graft(&tree, inspect_pending(&tree), &answer);
	ck_assert_str_eq(tree_text(&tree), "{r:{s:{t:!internal error}}}");
	inspect_tree_fini(&tree);
}
END_TEST

/* ---- between roles ------------------------------------------------------------------------- */

static void encode(const struct inspect_tree *tree, uint8_t **ret_buf, size_t *ret_len)
{
	ck_assert_int_eq(inspect_encode(tree, ret_buf, ret_len), 0);
}

static void check_round_trip(inspect_fn fn, const char *path)
{
	struct inspect_tree tree, back;
	uint8_t *buf, *again;
	size_t len, again_len;
	char *want;

	run_tree(fn, path, ALL_DEPTH, &tree);
	if (inspect_pending(&tree))
		inspect_graft(&tree, inspect_pending(&tree), NULL);
	encode(&tree, &buf, &len);
	ck_assert_int_eq(inspect_decode(buf, len, ROOM, &back), 0);
	want = strdup(tree_text(&tree));
	ck_assert_str_eq(tree_text(&back), want);
	encode(&back, &again, &again_len);
	ck_assert_uint_eq(again_len, len);
	ck_assert_mem_eq(again, buf, len);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *part = malloc(cut + 1);

		memcpy(part, buf, cut);
		ck_assert_int_eq(inspect_decode(part, cut, ROOM, &(struct inspect_tree){ 0 }),
				 -EBADMSG);
		free(part);
	}
	free(want);
	free(buf);
	free(again);
	inspect_tree_fini(&tree);
	inspect_tree_fini(&back);
}

START_TEST(codec_round_trip)
{
	check_round_trip(world, "");
	check_round_trip(names, "");
	check_round_trip(values, "");
	check_round_trip(world, "nope");
	check_round_trip(world, "a/b/x");
	check_round_trip(world, "nil");
}
END_TEST

START_TEST(codec_of_an_update_error)
{
	struct inspect_request req = { .path = "trace/filter", .max = SENS_SAFE, .update = "bad" };
	struct inspect_tree tree, back;
	uint8_t *buf;
	size_t len;

	ck_assert_int_eq(inspect_run(&req, world, NULL, ROOM, &tree), 0);
	encode(&tree, &buf, &len);
	ck_assert_int_eq(inspect_decode(buf, len, ROOM, &back), 0);
	ck_assert_str_eq(tree_text(&back), "!update error: invalid filter");
	free(buf);
	inspect_tree_fini(&tree);
	inspect_tree_fini(&back);
}
END_TEST

START_TEST(codec_refuses)
{
	struct inspect_tree tree, back;
	uint8_t *buf;
	size_t len;

	run_tree(world, "", 1, &tree);
	ck_assert_int_eq(inspect_encode(&tree, &buf, &len), -EBUSY);
	inspect_tree_fini(&tree);
	run_tree(values, "", 1, &tree);
	encode(&tree, &buf, &len);
	ck_assert_int_eq(inspect_decode(buf, len, 256, &back), -EBADMSG);
	for (size_t i = 0; i < len; i++) {
		uint8_t was = buf[i];

		for (unsigned bit = 0; bit < 8; bit++) {
			buf[i] = (uint8_t)(was ^ (1u << bit));
			if (inspect_decode(buf, len, ROOM, &back) == 0)
				inspect_tree_fini(&back);
		}
		buf[i] = was;
	}
	buf = realloc(buf, len + 1);
	buf[len] = 0xff;
	ck_assert_int_eq(inspect_decode(buf, len + 1, ROOM, &back), -EBADMSG);
	free(buf);
	inspect_tree_fini(&tree);
}
END_TEST

START_TEST(codec_nesting)
{
	struct inspect_tree back;
	uint8_t buf[8 * (INSPECT_NEST_MAX + 4)];

	for (unsigned dirs = INSPECT_NEST_MAX; dirs < INSPECT_NEST_MAX + 2; dirs++) {
		size_t n = 0;

		buf[n++] = 1;
		for (unsigned i = 0; i < dirs; i++) {
			const uint8_t head[] = { INSPECT_DIR, 0, 0, 0, i > 0, 0, 'd' };

			memcpy(buf + n, head, sizeof(head));
			n += i > 0 ? 7 : 6;
		}
		memset(buf + n, 0xff, dirs);
		n += dirs;
		if (dirs == INSPECT_NEST_MAX) {
			ck_assert_int_eq(inspect_decode(buf, n, ROOM, &back), 0);
			inspect_sort(&back);
			inspect_tree_fini(&back);
		} else {
			ck_assert_int_eq(inspect_decode(buf, n, ROOM, &back), -EBADMSG);
		}
	}
}
END_TEST

UNIT_MAIN("rt/inspect", depth_zero_lists_children_only, depth_opens_level_by_level, path_slashes,
	  path_not_found, path_walks_only_what_is_on_it, too_long_requests,
	  ceiling_hides_everything_above, ceiling_stops_updates, update_takes_and_answers_the_value,
	  update_refused, update_of_what_cannot_be, same_names_merge, children_in_natural_order,
	  names_and_text_are_utf8, every_kind_of_value, wants_follows_the_path,
	  nesting_ends_in_an_error, too_large_fails_only_that_node, any_limit_is_kept,
	  remote_gets_the_rest_of_the_request, graft_puts_the_answer_in,
	  graft_of_nothing_is_unresolved, graft_of_a_graft, graft_keeps_the_limits,
	  codec_round_trip, codec_of_an_update_error, codec_refuses, codec_nesting)
