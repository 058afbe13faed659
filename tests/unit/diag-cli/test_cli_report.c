/* SPDX-License-Identifier: MIT */
#include "cli_chart.h"
#include "cli_report.h"

#include "unit.h"

#include <math.h>
#include <string.h>

#define ROOM (4u << 20)
/* Without '/', for names. */
#define EVIL "\"'><script>alert(1)<script><img src=x onerror=alert(2)>`&\x1b[2J"

/* Everything that a VM may name is evil. */
static void evil(struct inspect *in, const void *obj)
{
	const uint64_t *n = obj;

	inspect_str(in, SENS_SAFE, "build_info/" EVIL, EVIL "</td></script><script>");
	inspect_count(in, SENS_SAFE, "vm/partition/vp/0/exits/" EVIL, *n);
	inspect_count(in, SENS_SAFE, "vm/" EVIL "/ring/x", *n);
	inspect_str(in, SENS_SAFE, "vm/" EVIL "/unit_state", EVIL);
	inspect_str(in, SENS_SAFE, "vm/dev/last_fault", EVIL);
	inspect_u64(in, SENS_SAFE, "proc/processes/" EVIL "/VmRSS", 1);
	inspect_u64(in, SENS_SAFE, "proc/meminfo/MemTotal", 1000);
	inspect_u64(in, SENS_SAFE, "proc/meminfo/" EVIL, 1000);
	inspect_ns(in, SENS_SAFE, "boot/" EVIL, 1500000000);
	inspect_ns(in, SENS_SAFE, "boot/shim", 500000000);
	inspect_u64(in, SENS_SAFE, "vm/dev/latency/" EVIL, *n);
	inspect_u64(in, SENS_SAFE, "vm/dev/latency/2us", 4);
}

static void take(const uint64_t *n, struct cli_reading *ret_r)
{
	struct inspect_request req = { .depth = 99, .max = SENS_SENSITIVE, .path = "" };

	ck_assert_int_eq(inspect_run(&req, evil, n, ROOM, &ret_r->tree), 0);
	inspect_sort(&ret_r->tree);
	ck_assert_int_eq(cli_flat_make(ret_r->tree.root, "", &ret_r->flat), 0);
	ret_r->at_ms = *n * 1000;
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* Tags are ours: of this list, closed in order, with attributes in quotes. */
static void check_markup(const char *s)
{
	static const char *const known[] = {
		"!DOCTYPE", "html",   "head",  "meta",	"title", "style",  "body",	 "h1",
		"h2",	    "p",      "div",   "b",	"span",	 "figure", "figcaption", "svg",
		"path",	    "circle", "line",  "text",	"rect",	 "ul",	   "li",	 "details",
		"summary",  "table",  "thead", "tbody", "tr",	 "th",	   "td",	 "pre"
	};
	char open[64][16];
	size_t depth = 0;

	while ((s = strchr(s, '<'))) {
		bool end = s[1] == '/', self;
		size_t len = strcspn(s + 1 + end, " >/"), i = 0;
		const char *name = s + 1 + end, *close = s;

		while (i < ARRAY_SIZE(known) &&
		       (strlen(known[i]) != len || strncmp(known[i], name, len)))
			i++;
		ck_assert_msg(i < ARRAY_SIZE(known), "%.40s", s);
		for (bool quoted = false; *close && (quoted || *close != '>'); close++) {
			quoted ^= *close == '"';
			ck_assert_msg(quoted || strncmp(close, " on", 3) != 0, "%.99s", s);
		}
		ck_assert_int_eq(*close, '>');
		self = close[-1] == '/' || !strncmp(name, "!DOC", 4) || !strncmp(name, "meta", 4);
		if (end) {
			ck_assert_uint_gt(depth, 0);
			ck_assert_msg(!strncmp(open[depth - 1], name, len), "%s: %.40s",
				      open[depth - 1], s);
			depth--;
		} else if (!self) {
			ck_assert_uint_lt(depth, ARRAY_SIZE(open));
			(void)snprintf(open[depth++], sizeof(open[0]), "%.*s", (int)len, name);
		}
		s = close;
	}
	ck_assert_uint_eq(depth, 0);
}

START_TEST(hostile_vm)
{
	static struct report rep = { .vm = "/run/" EVIL, .when = "today", .trouble = EVIL };
	struct cli_reading last, now;
	struct cli_str page = { 0 };
	struct cli_model *a, *b;
	uint64_t n0 = 1, n1 = 3;

	take(&n0, &last);
	take(&n1, &now);
	a = cli_model_make(&last, NULL);
	b = cli_model_make(&now, &last);
	ck_assert_int_eq(report_sample(&rep, a, 0), 0);
	ck_assert_int_eq(report_sample(&rep, b, 2), 0);
	report_page(&page, &rep, a, b, now.tree.root);
	ck_assert(!page.failed);
	ck_assert_uint_eq(count(page.s, "<script"), 0);
	ck_assert_uint_eq(count(page.s, "<img"), 0);
	ck_assert_uint_eq(count(page.s, "http://") + count(page.s, "https://"), 0);
	ck_assert_uint_eq(count(page.s, "\x1b"), 0);
	ck_assert_uint_ge(count(page.s, "&lt;script&gt;"), 10);
	check_markup(page.s);
	/* All kinds of charts were drawn, each with its figures and its words. */
	ck_assert_uint_eq(count(page.s, "<svg class=\"plot\" role=\"img\""), 8);
	ck_assert_uint_eq(count(page.s, "<summary>Figures</summary>"), 8);
	cli_str_fini(&page);
	free(a);
	free(b);
	report_fini(&rep);
	cli_reading_fini(&last);
	cli_reading_fini(&now);
}
END_TEST

static void nothing(struct inspect *in, const void *obj)
{
	(void)obj;
	inspect_u64(in, SENS_SAFE, "proc/meminfo/MemTotal", 1000);
}

START_TEST(hidden_vm)
{
	struct inspect_request req = { .depth = 99, .max = SENS_SAFE, .path = "" };
	static struct report rep = { .vm = "s", .when = "today" };
	struct cli_reading now = { 0 };
	struct cli_str page = { 0 };
	struct cli_model *m;

	ck_assert_int_eq(inspect_run(&req, nothing, NULL, ROOM, &now.tree), 0);
	ck_assert_int_eq(cli_flat_make(now.tree.root, "", &now.flat), 0);
	m = cli_model_make(&now, NULL);
	ck_assert_int_eq(report_sample(&rep, m, 0), 0);
	report_page(&page, &rep, m, m, now.tree.root);
	check_markup(page.s);
	ck_assert_uint_eq(count(page.s, "hides most of its state"), 1);
	ck_assert_uint_eq(count(page.s, "shows no exits"), 1);
	ck_assert_uint_eq(count(page.s, "<svg class=\"plot\""), 1);
	cli_str_fini(&page);
	free(m);
	report_fini(&rep);
	cli_reading_fini(&now);
}
END_TEST

START_TEST(series)
{
	struct chart_set set = { 0 };
	struct cli_str out = { 0 };
	double times[200];
	char name[16];

	for (size_t s = 0; s < 200; s++) {
		times[s] = (double)s;
		for (size_t i = 0; i < 40; i++) {
			(void)snprintf(name, sizeof(name), "series %zu", i);
			if (s != 100 || i)
				ck_assert_int_eq(chart_set_put(&set, name, (double)(i * s)), 0);
		}
		ck_assert_int_eq(chart_set_put(&set, "series 1", s == 3 ? (double)INFINITY : 1), 0);
		ck_assert_int_eq(chart_set_next(&set), 0);
	}
	ck_assert_uint_eq(set.n, CHART_SERIES);
	ck_assert(isnan(set.val[0][100]));
	ck_assert(isnan(set.val[1][3]));
	chart_lines(&out, "t", &set, times, CHART_NUMBER, true);
	check_markup(cli_str_text(&out));
	ck_assert_uint_eq(count(out.s, "<path class=\"series s"), 2 * CHART_DRAWN);
	ck_assert_uint_eq(count(out.s, "others"), 2);
	ck_assert_uint_eq(count(out.s, "nan"), 0);
	ck_assert_uint_eq(count(out.s, "inf"), 0);
	cli_str_fini(&out);
	chart_set_fini(&set);
}
END_TEST

START_TEST(bars)
{
	struct chart_bar b[] = { { "a", 0, 5 },
				 { "b", 5, (double)INFINITY },
				 { "c", (double)NAN, -3 } };
	struct cli_str out = { 0 };

	chart_bars(&out, "t", b, ARRAY_SIZE(b), CHART_NUMBER);
	check_markup(cli_str_text(&out));
	ck_assert_uint_eq(count(out.s, "<rect class=\"bar\""), 3);
	ck_assert_uint_eq(count(out.s, "\"nan\"") + count(out.s, "\"inf\""), 0);
	cli_str_reset(&out);
	chart_bars(&out, "t", b, 0, CHART_NUMBER);
	ck_assert_uint_eq(out.len, 0);
	cli_str_fini(&out);
}
END_TEST

START_TEST(axis)
{
	ck_assert_double_eq(chart_round_up(0), 1);
	ck_assert_double_eq(chart_round_up(3.1), 4);
	ck_assert_double_eq(chart_round_up(10), 10);
	ck_assert_double_eq(chart_round_up(11), 20);
	ck_assert_double_eq(chart_round_up(6.5e6), 8e6);
	ck_assert_double_eq(chart_round_up((double)INFINITY), 1);
}
END_TEST

START_TEST(durations)
{
	struct inspect_node n = { .kind = INSPECT_STRING, .name = "x" };
	double s;

	n.str.data = "1.500000000s";
	n.str.len = 12;
	ck_assert(report_seconds(&n, &s));
	ck_assert_double_eq(s, 1.5);
	n.str.data = "-1.5s";
	ck_assert(!report_seconds(&n, &s));
	n.str.data = "nans";
	ck_assert(!report_seconds(&n, &s));
	n.kind = INSPECT_UNSIGNED;
	n.u64 = 2000000000;
	ck_assert(report_seconds(&n, &s));
	ck_assert_double_eq(s, 2);
	n.name = "x_ms";
	ck_assert(report_seconds(&n, &s));
	ck_assert_double_eq(s, 2000000);
	n.kind = INSPECT_BOOL;
	ck_assert(!report_seconds(&n, &s));
}
END_TEST

UNIT_MAIN("diag/cli_report", hostile_vm, hidden_vm, series, bars, axis, durations)
