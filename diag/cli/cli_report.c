/* SPDX-License-Identifier: MIT */
#include "cli_report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cli_diff.h"
#include "cli_render.h"

#define BARS 64u
#define HISTOGRAMS 12u
#define DEVICES 400u

static const char page_head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	"style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"referrer\" content=\"no-referrer\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n";

static const char page_style[] =
	"<style>\n"
	":root{--bg:#fff;--fg:#1b1f24;--dim:#5a6470;--line:#d8dee4;--card:#f6f8fa;"
	"--c0:#0060a8;--c1:#c24d00;--c2:#00785a;--c3:#a8437f;--c4:#8a6100;--c5:#2a7fb8;"
	"--c6:#6a3d9a;--c7:#59636e}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#12161b;--fg:#e3e8ee;--dim:#9aa5b1;"
	"--line:#343c46;--card:#1a2027;--c0:#56b4e9;--c1:#f28e4b;--c2:#3cc8a0;--c3:#e38fc3;"
	"--c4:#e6b93c;--c5:#8fd0ff;--c6:#b999e6;--c7:#b6c0cb}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:1000px;padding:1.5rem 1rem 4rem;background:var(--bg);"
	"color:var(--fg);font:15px/1.5 system-ui,sans-serif}\n"
	"h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}\n"
	".dim{color:var(--dim)}.note{border-left:4px solid var(--c1);padding:.4rem .8rem;"
	"background:var(--card)}\n"
	".tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.2rem 0}\n"
	".tile{background:var(--card);border:1px solid var(--line);border-radius:6px;"
	"padding:.5rem .9rem;min-width:8rem}\n"
	".tile b{display:block;font-size:1.3rem;font-weight:600}\n"
	"figure.chart{margin:0 0 1.4rem;background:var(--card);border:1px solid var(--line);"
	"border-radius:6px;padding:.8rem}\n"
	"figcaption{font-weight:600;margin-bottom:.4rem}\n"
	"svg.plot{display:block;width:100%;height:auto}\n"
	"svg text{fill:var(--dim);font:12px system-ui,sans-serif}\n"
	".grid{stroke:var(--line);stroke-width:1}\n"
	".series{fill:none;stroke-width:2;stroke-linejoin:round}\n"
	".s0{stroke:var(--c0)}.s1{stroke:var(--c1);stroke-dasharray:7 3}"
	".s2{stroke:var(--c2);stroke-dasharray:2 3}.s3{stroke:var(--c3);stroke-dasharray:9 3 2 3}"
	".s4{stroke:var(--c4)}.s5{stroke:var(--c5);stroke-dasharray:12 4}"
	".s6{stroke:var(--c6);stroke-dasharray:3 5}.s7{stroke:var(--c7);stroke-dasharray:1 2}\n"
	".p0{fill:var(--c0)}.p1{fill:var(--c1)}.p2{fill:var(--c2)}.p3{fill:var(--c3)}"
	".p4{fill:var(--c4)}.p5{fill:var(--c5)}.p6{fill:var(--c6)}.p7{fill:var(--c7)}\n"
	".bar{fill:var(--c0)}\n"
	"ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.5rem 0;"
	"padding:0}svg.key{vertical-align:middle}\n"
	"table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
	"th,td{text-align:left;padding:.15rem .7rem .15rem 0;border-bottom:1px solid var(--line);"
	"vertical-align:top;overflow-wrap:anywhere}td{text-align:left}\n"
	"details{margin:.4rem 0}summary{cursor:pointer;color:var(--dim)}\n"
	".scroll{overflow:auto;max-height:28rem}\n"
	"pre{overflow:auto;max-height:40rem;background:var(--card);border:1px solid var(--line);"
	"border-radius:6px;padding:.8rem;font:12px/1.4 ui-monospace,monospace}\n"
	"@media print{details{display:none}figure.chart{break-inside:avoid}}\n"
	"</style>\n</head>\n<body>\n";

static void text(struct cli_str *out, const char *s)
{
	cli_str_html(out, s, strlen(s));
}

/* ---- sampling -------------------------------------------------------------------------------- */

static int put_exits(struct report *rep, const struct cli_model *m)
{
	char name[32];
	int r = 0;

	for (size_t k = 0; k < m->n_kinds && !r; k++)
		r = chart_set_put(&rep->kinds, m->kind[k], cli_model_kind_rate(m, k));
	for (size_t v = 0; v < m->n_vps && !r; v++) {
		(void)snprintf(name, sizeof(name), "vp %u", m->vp[v]);
		r = chart_set_put(&rep->vps, name, cli_model_vp_rate(m, v));
	}
	return r;
}

/* Rings by device: the path up to what belongs to its rings. */
static int put_rings(struct report *rep, const struct cli_model *m)
{
	char name[CHART_NAME];
	int r = 0;

	for (size_t i = 0; i < m->n_rings && !r; i++) {
		size_t len = 3 + strcspn(m->ring[i].name + 3, "/");
		double sum = 0;
		bool first = true;

		for (size_t j = 0; j < m->n_rings; j++) {
			if (strncmp(m->ring[i].name, m->ring[j].name, len + 1))
				continue;
			first &= j >= i;
			sum += m->ring[j].rate;
		}
		(void)snprintf(name, sizeof(name), "%.*s", (int)MIN(len, sizeof(name) - 1),
			       m->ring[i].name);
		if (first)
			r = chart_set_put(&rep->rings, name + 3, sum);
	}
	return r;
}

int report_sample(struct report *rep, const struct cli_model *m, double at)
{
	size_t n = rep->memory.samples;
	double *times;
	int r = 0;

	if (n == rep->cap_times) {
		rep->cap_times = n ? n * 2 : 64;
		times = realloc(rep->times, rep->cap_times * sizeof(*times));
		if (!times)
			return -ENOMEM;
		rep->times = times;
	}
	rep->times[n] = at;
	if (m->seconds > 0) {
		r = put_exits(rep, m);
		if (!r)
			r = put_rings(rep, m);
	}
	for (size_t i = 0; i < m->n_mem && !r; i++)
		if (!strcmp(m->mem[i].name, "MemTotal") || !strcmp(m->mem[i].name, "MemFree") ||
		    !strcmp(m->mem[i].name, "MemAvailable") ||
		    !strcmp(m->mem[i].name, "AnonPages") || !strcmp(m->mem[i].name, "Slab"))
			r = chart_set_put(&rep->memory, m->mem[i].name, m->mem[i].kib);
	for (size_t i = 0; i < m->n_proc && !r; i++)
		r = chart_set_put(&rep->procs, m->proc[i].name, m->proc[i].kib);
	if (!r)
		r = chart_set_next(&rep->kinds);
	if (!r)
		r = chart_set_next(&rep->vps);
	if (!r)
		r = chart_set_next(&rep->procs);
	if (!r)
		r = chart_set_next(&rep->rings);
	return r ? r : chart_set_next(&rep->memory);
}

void report_fini(struct report *rep)
{
	chart_set_fini(&rep->kinds);
	chart_set_fini(&rep->vps);
	chart_set_fini(&rep->memory);
	chart_set_fini(&rep->procs);
	chart_set_fini(&rep->rings);
	free(rep->times);
	rep->times = NULL;
	rep->cap_times = 0;
}

/* ---- boot phases ----------------------------------------------------------------------------- */

bool report_seconds(const struct inspect_node *node, double *ret_seconds)
{
	const char *unit = strrchr(node->name, '_');
	double val;
	char *end;

	if (node->kind == INSPECT_STRING) {
		if (!node->str.len || node->str.data[0] < '0' || node->str.data[0] > '9')
			return false;
		val = strtod(node->str.data, &end);
		if (*end != 's' || end[1])
			return false;
	} else if (cli_diff_number(node, &val)) {
		if (unit && !strcmp(unit, "_us"))
			val /= 1e6;
		else if (unit && !strcmp(unit, "_ms"))
			val /= 1e3;
		else if (!unit || strcmp(unit, "_s"))
			val /= 1e9;
	} else {
		return false;
	}
	if (!isfinite(val) || val < 0 || val > 1e9)
		return false;
	*ret_seconds = val;
	return true;
}

static bool is_boot(const struct inspect_node *dir)
{
	static const char *const names[] = { "boot", "boot_times", "boot_phases", "timeline",
					     "boot_time" };
	double val;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(dir->name, names[i]))
			n = 1;
	if (!n)
		return false;
	for (const struct inspect_node *c = dir->child; c; c = c->next)
		n += report_seconds(c, &val);
	return n > 1;
}

/* Moments in order; each bar goes from the moment before. */
static void boot_chart(struct cli_str *out, const char *path, const struct inspect_node *dir)
{
	auto_free struct chart_bar *bars = calloc(BARS, sizeof(*bars));
	char title[256];
	size_t n = 0;

	for (const struct inspect_node *c = dir->child; bars && c && n < BARS; c = c->next) {
		struct chart_bar b = { 0 };
		size_t at = n;

		/* The clock itself is no phase. */
		if (!strcmp(c->name, "now") || !report_seconds(c, &b.val))
			continue;
		(void)snprintf(b.name, sizeof(b.name), "%s", c->name);
		for (; at > 0 && bars[at - 1].val > b.val; at--)
			bars[at] = bars[at - 1];
		bars[at] = b;
		n++;
	}
	for (size_t i = n; i > 1; i--) {
		bars[i - 1].from = bars[i - 2].val;
		bars[i - 1].val -= bars[i - 2].val;
	}
	(void)snprintf(title, sizeof(title), "Boot phases (%s): time since the phase before", path);
	chart_bars(out, title, bars, n, CHART_SECONDS);
}

/* ---- latencies ------------------------------------------------------------------------------- */

static bool is_histogram(const char *path, const struct inspect_node *dir)
{
	size_t n = 0;

	if (!strstr(path, "latency") && !strstr(path, "hist"))
		return false;
	for (const struct inspect_node *c = dir->child; c; c = c->next, n++)
		if (c->kind != INSPECT_UNSIGNED)
			return false;
	return n > 1;
}

/* The duration in a bucket's name ("lt_16us"), to order buckets by; without one it is the last. */
static double bucket_key(const char *name)
{
	static const struct {
		const char *unit;
		double s;
	} units[] = { { "ns", 1e-9 }, { "us", 1e-6 }, { "ms", 1e-3 }, { "s", 1 } };
	const char *digits = name + strcspn(name, "0123456789");
	char *end;
	double val;

	if (!*digits)
		return (double)INFINITY;
	val = (double)strtoull(digits, &end, 10);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (!strncmp(end, units[i].unit, strlen(units[i].unit)))
			return val * units[i].s;
	return val;
}

static void histogram(struct cli_str *out, const char *path, const struct inspect_node *dir)
{
	auto_free struct chart_bar *bars = calloc(BARS, sizeof(*bars));
	char title[256];
	size_t n = 0;

	for (const struct inspect_node *c = dir->child; bars && c && n < BARS; c = c->next, n++) {
		size_t at = n;

		for (; at > 0 && bucket_key(bars[at - 1].name) > bucket_key(c->name); at--)
			bars[at] = bars[at - 1];
		bars[at] = (struct chart_bar){ .val = (double)c->u64 };
		(void)snprintf(bars[at].name, sizeof(bars[at].name), "%s", c->name);
	}
	(void)snprintf(title, sizeof(title), "Latencies: %s", path);
	chart_bars(out, title, bars, n, CHART_NUMBER);
}

/* Every directory with its path, until @limit of them were taken. */
static size_t each_dir(struct cli_str *out, const struct inspect_node *root, bool boot,
		       size_t limit)
{
	const struct inspect_node *at[INSPECT_NEST_MAX + 2];
	size_t len[INSPECT_NEST_MAX + 2], n = 1, found = 0, used, name;
	char path[1024] = "";

	at[0] = root->kind == INSPECT_DIR ? root->child : NULL;
	len[0] = 0;
	while (n && found < limit) {
		const struct inspect_node *cur = at[n - 1];

		if (!cur) {
			n--;
			continue;
		}
		at[n - 1] = cur->next;
		used = len[n - 1];
		name = strlen(cur->name);
		if (cur->kind != INSPECT_DIR || used + name + 2 > sizeof(path))
			continue;
		if (used)
			path[used++] = '/';
		memcpy(path + used, cur->name, name + 1);
		if (boot && is_boot(cur)) {
			boot_chart(out, path, cur);
			found++;
		} else if (!boot && is_histogram(path, cur)) {
			histogram(out, path, cur);
			found++;
		} else if (n < ARRAY_SIZE(at)) {
			at[n] = cur->child;
			len[n++] = used + name;
		}
	}
	return found;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void value_cell(struct cli_str *out, const struct inspect_node *node)
{
	struct cli_str val = { 0 };

	cli_str_puts(out, "<td>");
	if (node && node->kind == INSPECT_STRING) {
		cli_str_html(out, node->str.data, node->str.len);
	} else if (node) {
		cli_render_value(&val, node);
		cli_str_html(out, cli_str_text(&val), val.len);
	} else {
		cli_str_puts(out, "<span class=\"dim\">\xe2\x80\x93</span>");
	}
	cli_str_puts(out, "</td>");
	cli_str_fini(&val);
}

static void table_of(struct cli_str *out, const char *title, const struct inspect_node *dir)
{
	if (!dir || dir->kind != INSPECT_DIR || !dir->child)
		return;
	cli_str_puts(out, "<h2>");
	text(out, title);
	cli_str_puts(out, "</h2>\n<table><tbody>\n");
	for (const struct inspect_node *c = dir->child; c; c = c->next) {
		cli_str_puts(out, "<tr><th scope=\"row\">");
		text(out, c->name);
		cli_str_puts(out, "</th>");
		value_cell(out, c);
		cli_str_puts(out, "</tr>\n");
	}
	cli_str_puts(out, "</tbody></table>\n");
}

static const struct inspect_node *any_child(const struct inspect_node *dir,
					    const char *const *names, size_t n)
{
	const struct inspect_node *found = NULL;

	for (size_t i = 0; i < n && !found; i++)
		found = cli_diff_child(dir, names[i]);
	return found;
}

/* Returns: false: it has nothing of what a device has. */
static bool device_row(struct cli_str *out, const struct inspect_node *dev)
{
	static const char *const state[] = { "unit_state", "state" };
	static const char *const faults[] = { "faults", "fault_count" };
	static const char *const last[] = { "last_fault", "fault" };
	const struct inspect_node *cells[] = { any_child(dev, state, ARRAY_SIZE(state)),
					       any_child(dev, faults, ARRAY_SIZE(faults)),
					       any_child(dev, last, ARRAY_SIZE(last)) };

	if (!cells[0] && !cells[1] && !cells[2])
		return false;
	cli_str_puts(out, "<tr><th scope=\"row\">");
	text(out, dev->name);
	cli_str_puts(out, "</th>");
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		value_cell(out, cells[i]);
	cli_str_puts(out, "</tr>\n");
	return true;
}

static void devices(struct cli_str *out, const struct inspect_node *vm)
{
	size_t n = 0;

	if (!vm || vm->kind != INSPECT_DIR || !vm->child)
		return;
	cli_str_puts(
		out,
		"<h2>Devices and parts</h2>\n<div class=\"scroll\"><table><thead><tr><th>name</th>"
		"<th>state</th><th>faults</th><th>last fault</th></tr></thead><tbody>\n");
	for (const struct inspect_node *d = vm->child; d && n < DEVICES; d = d->next) {
		if (d->kind == INSPECT_DIR && device_row(out, d))
			n++;
	}
	cli_str_puts(out, "</tbody></table></div>\n");
}

/* ---- the page -------------------------------------------------------------------------------- */

static void tile(struct cli_str *out, const char *label, double val, enum chart_unit unit)
{
	cli_str_puts(out, "<div class=\"tile\"><b>");
	chart_number(out, val, unit);
	cli_str_puts(out, "</b>");
	text(out, label);
	cli_str_puts(out, "</div>\n");
}

static void tiles(struct cli_str *out, const struct report *rep, const struct cli_model *first,
		  const struct cli_model *last)
{
	double seconds = rep->memory.samples ? rep->times[rep->memory.samples - 1] : 0, exits = 0;

	cli_str_puts(out, "<div class=\"tiles\">\n");
	tile(out, "sampled", seconds, CHART_SECONDS);
	if (last->n_vps) {
		tile(out, "virtual processors", (double)last->n_vps, CHART_NUMBER);
		for (size_t k = 0; k < last->n_kinds; k++)
			exits += cli_model_kind_total(last, k);
		for (size_t k = 0; k < first->n_kinds; k++)
			exits -= cli_model_kind_total(first, k);
		tile(out, "exits while sampled", fmax(exits, 0), CHART_NUMBER);
		if (seconds > 0)
			tile(out, "exits per second", fmax(exits, 0) / seconds, CHART_PER_SECOND);
	}
	for (size_t i = 0; i < last->n_mem; i++)
		if (!strcmp(last->mem[i].name, "MemAvailable"))
			tile(out, "memory available in VTL2", last->mem[i].kib, CHART_KIB);
	cli_str_puts(out, "</div>\n");
}

static void exit_counts(struct cli_str *out, const struct cli_model *last)
{
	auto_free struct chart_bar *bars = calloc(MODEL_KINDS, sizeof(*bars));
	size_t order[MODEL_KINDS], n = 0;

	for (size_t k = 0; bars && k < last->n_kinds; k++) {
		double total = cli_model_kind_total(last, k);
		size_t at = n;

		if (total <= 0)
			continue;
		n++;
		for (; at > 0 && cli_model_kind_total(last, order[at - 1]) < total; at--)
			order[at] = order[at - 1];
		order[at] = k;
	}
	for (size_t i = 0; i < n; i++) {
		bars[i] = (struct chart_bar){ .val = cli_model_kind_total(last, order[i]) };
		memcpy(bars[i].name, last->kind[order[i]], sizeof(bars[i].name));
	}
	chart_bars(out, "Exits since the VM started, by kind", bars, n, CHART_NUMBER);
}

static void head(struct cli_str *out, const struct report *rep)
{
	cli_str_puts(out, page_head);
	cli_str_puts(out, "<title>VTL2 of ");
	text(out, rep->vm);
	cli_str_puts(out, "</title>\n");
	cli_str_puts(out, page_style);
	cli_str_puts(out, "<h1>VTL2 report</h1>\n<p class=\"dim\">");
	text(out, rep->vm);
	cli_str_puts(out, " \xc2\xb7 ");
	text(out, rep->when);
	cli_str_puts(out, "</p>\n");
	if (rep->trouble) {
		cli_str_puts(out, "<p class=\"note\">Sampling ended early: ");
		text(out, rep->trouble);
		cli_str_puts(out, "</p>\n");
	}
}

BUILD_ASSERT(CHART_NAME == MODEL_NAME, "names are copied between the two");

void report_page(struct cli_str *out, const struct report *rep, const struct cli_model *first,
		 const struct cli_model *last, const struct inspect_node *root)
{
	struct cli_str tree = { 0 };
	const struct inspect_node *vm = cli_diff_child(root, "vm");

	head(out, rep);
	tiles(out, rep, first, last);
	if (!last->vm_visible)
		cli_str_puts(
			out,
			"<p class=\"note\">This VM hides most of its state (it is confidential, "
			"or still starting): what follows is all it shows.</p>\n");
	cli_str_puts(out, "<h2>Exits</h2>\n");
	if (!last->n_vps)
		cli_str_puts(out, "<p class=\"dim\">This VM shows no exits.</p>\n");
	chart_lines(out, "Exits per second, by kind", &rep->kinds, rep->times, CHART_PER_SECOND,
		    true);
	chart_lines(out, "Exits per second, by virtual processor", &rep->vps, rep->times,
		    CHART_PER_SECOND, true);
	exit_counts(out, last);
	cli_str_puts(out, "<h2>Memory of VTL2</h2>\n");
	chart_lines(out, "Memory", &rep->memory, rep->times, CHART_KIB, false);
	chart_lines(out, "Resident memory of processes", &rep->procs, rep->times, CHART_KIB, false);
	cli_str_puts(out, "<h2>Rings and channels</h2>\n");
	if (!rep->rings.n)
		cli_str_puts(out, "<p class=\"dim\">This VM shows no rings.</p>\n");
	chart_lines(out, "Ring activity per second, by device", &rep->rings, rep->times,
		    CHART_PER_SECOND, true);
	cli_str_puts(out, "<h2>Boot</h2>\n");
	if (!each_dir(out, root, true, 4))
		cli_str_puts(out, "<p class=\"dim\">This VM shows no boot phases.</p>\n");
	cli_str_puts(out, "<h2>Latencies</h2>\n");
	if (!each_dir(out, root, false, HISTOGRAMS))
		cli_str_puts(out, "<p class=\"dim\">This VM shows no latencies.</p>\n");
	table_of(out, "Build", cli_diff_child(root, "build_info"));
	devices(out, vm);
	cli_str_puts(
		out,
		"<h2>Everything</h2>\n<details><summary>The whole tree at the end</summary><pre>");
	cli_render_text(&tree, root);
	out->failed |= tree.failed;
	text(out, cli_str_text(&tree));
	cli_str_fini(&tree);
	cli_str_puts(out, "</pre></details>\n</body>\n</html>\n");
}
