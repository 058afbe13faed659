/* SPDX-License-Identifier: MIT */
#include "cli_chart.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli_model.h"

#define WIDTH 760.0
#define HEIGHT 260.0
#define LEFT 70.0
#define RIGHT 28.0
#define TOP 12.0
#define BOTTOM 30.0
#define BARS_MAX 64u
#define TABLE_ROWS 400u /* of a chart's figures; more are thinned out */

/* ---- sets ------------------------------------------------------------------------------------ */

static int set_grow(struct chart_set *set)
{
	size_t cap = set->cap ? set->cap * 2 : 64;

	for (size_t i = 0; i < set->n; i++) {
		double *v = realloc(set->val[i], cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		set->val[i] = v;
		for (size_t s = set->cap; s < cap; s++)
			v[s] = (double)NAN;
	}
	set->cap = cap;
	return 0;
}

int chart_set_put(struct chart_set *set, const char *name, double val)
{
	char cut[CHART_NAME];
	size_t i;

	(void)snprintf(cut, sizeof(cut), "%s", name);
	if (!set->cap && set_grow(set) < 0)
		return -ENOMEM;
	for (i = 0; i < set->n && strcmp(set->name[i], cut); i++)
		;
	if (i == CHART_SERIES)
		return 0;
	if (i == set->n) {
		set->val[i] = malloc(set->cap * sizeof(double));
		if (!set->val[i])
			return -ENOMEM;
		for (size_t s = 0; s < set->cap; s++)
			set->val[i][s] = (double)NAN;
		memcpy(set->name[i], cut, sizeof(cut));
		set->n++;
	}
	set->val[i][set->samples] = isfinite(val) ? val : (double)NAN;
	return 0;
}

int chart_set_next(struct chart_set *set)
{
	set->samples++;
	return set->samples >= set->cap ? set_grow(set) : 0;
}

void chart_set_fini(struct chart_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		free(set->val[i]);
	*set = (struct chart_set){ 0 };
}

/* ---- numbers --------------------------------------------------------------------------------- */

double chart_round_up(double val)
{
	double power;

	if (!isfinite(val) || val <= 0)
		return 1;
	power = pow(10, floor(log10(val)));
	for (int i = 0; i < 8; i++) {
		static const double steps[] = { 1, 2, 3, 4, 5, 6, 8, 10 };

		if (steps[i] * power >= val * 0.999999)
			return steps[i] * power;
	}
	return 10 * power;
}

void chart_number(struct cli_str *out, double val, enum chart_unit unit)
{
	char text[24] = "";

	if (isnan(val)) {
		cli_str_puts(out, "\xe2\x80\x93");
		return;
	}
	switch (unit) {
	case CHART_KIB:
		cli_short_kib(val, text);
		break;
	case CHART_SECONDS:
		(void)snprintf(text, sizeof(text), fabs(val) < 1e9 ? "%.3f s" : "%.3g s", val);
		break;
	case CHART_NUMBER:
	case CHART_PER_SECOND:
		cli_short_number(val, text);
		break;
	}
	cli_str_puts(out, text);
	if (unit == CHART_PER_SECOND)
		cli_str_puts(out, "/s");
}

static void text(struct cli_str *out, const char *s)
{
	cli_str_html(out, s, strlen(s));
}

/* ---- lines ----------------------------------------------------------------------------------- */

struct line {
	char name[CHART_NAME];
	const double *val;
	double max, last, sum;
	size_t n; /* values that are there */
};

struct frame {
	double t0, t1, top; /* what the axes cover */
	enum chart_unit unit;
};

static double x_of(const struct frame *f, double t)
{
	return LEFT +
	       (f->t1 > f->t0 ? (t - f->t0) / (f->t1 - f->t0) : 0.5) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct frame *f, double v)
{
	return HEIGHT - BOTTOM - v / f->top * (HEIGHT - TOP - BOTTOM);
}

static void line_init(struct line *l, const char *name, const double *val, size_t samples)
{
	*l = (struct line){ .val = val, .last = (double)NAN };
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	for (size_t s = 0; s < samples; s++) {
		if (isnan(val[s]))
			continue;
		l->max = fmax(l->max, val[s]);
		l->sum += val[s];
		l->last = val[s];
		l->n++;
	}
}

/* The largest first. @rest: room for the sum of those that are not drawn. Returns: lines. */
static size_t choose_lines(const struct chart_set *set, bool sum_rest, double *rest,
			   struct line *ret_lines)
{
	struct line all[CHART_SERIES];
	size_t n = 0;
	bool zeros = true; /* lines at zero are left out when there are others */

	for (size_t i = 0; i < set->n; i++) {
		struct line l;
		size_t at;

		line_init(&l, set->name[i], set->val[i], set->samples);
		if (!l.n || (!zeros && l.max <= 0))
			continue;
		if (zeros && l.max > 0) {
			zeros = false;
			n = 0;
		}
		at = n++;
		for (; at > 0 && all[at - 1].sum < l.sum; at--)
			all[at] = all[at - 1];
		all[at] = l;
	}
	if (n <= CHART_DRAWN) {
		memcpy(ret_lines, all, n * sizeof(*all));
		return n;
	}
	memcpy(ret_lines, all, CHART_DRAWN * sizeof(*all));
	if (sum_rest && rest) {
		for (size_t s = 0; s < set->samples; s++) {
			rest[s] = (double)NAN;
			for (size_t i = CHART_DRAWN - 1; i < n; i++)
				if (!isnan(all[i].val[s]))
					rest[s] = all[i].val[s] + (isnan(rest[s]) ? 0 : rest[s]);
		}
		line_init(&ret_lines[CHART_DRAWN - 1], "others", rest, set->samples);
	}
	return CHART_DRAWN;
}

static void draw_axes(struct cli_str *out, const struct frame *f)
{
	for (int i = 0; i <= 4; i++) {
		double v = f->top * i / 4, y = y_of(f, v);

		cli_str_printf(
			out,
			"<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>",
			LEFT, WIDTH - RIGHT, y, y);
		cli_str_printf(out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6,
			       y + 4);
		chart_number(out, v, f->unit);
		cli_str_puts(out, "</text>\n");
	}
	for (int i = 0; i <= 5; i++) {
		double t = f->t0 + (f->t1 - f->t0) * i / 5;

		cli_str_printf(out,
			       "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%.3g s</text>\n",
			       x_of(f, t), HEIGHT - 10, round(t * 10) / 10);
	}
}

static void draw_line(struct cli_str *out, const struct frame *f, const struct line *l, size_t idx,
		      const double *times, size_t samples)
{
	bool in = false;

	cli_str_printf(out, "<path class=\"series s%zu\" d=\"", idx);
	for (size_t s = 0; s < samples; s++) {
		if (!isnan(l->val[s]))
			cli_str_printf(out, "%s%.1f %.1f", in ? "L" : "M", x_of(f, times[s]),
				       y_of(f, fmax(0, l->val[s])));
		in = !isnan(l->val[s]);
	}
	cli_str_puts(out, "\"/>\n");
	/* Points can be pointed at; many of them would hide the line. */
	for (size_t s = 0; samples <= 120 && s < samples; s++) {
		if (isnan(l->val[s]))
			continue;
		cli_str_printf(
			out,
			"<circle class=\"point p%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"><title>",
			idx, x_of(f, times[s]), y_of(f, fmax(0, l->val[s])));
		text(out, l->name);
		cli_str_printf(out, ", %.1f s: ", times[s]);
		chart_number(out, l->val[s], f->unit);
		cli_str_puts(out, "</title></circle>\n");
	}
}

static void legend(struct cli_str *out, const struct line *lines, size_t n, enum chart_unit unit)
{
	cli_str_puts(out, "<ul class=\"legend\">");
	for (size_t i = 0; i < n; i++) {
		cli_str_printf(
			out,
			"<li><svg class=\"key\" width=\"26\" height=\"8\" aria-hidden=\"true\">"
			"<path class=\"series s%zu\" d=\"M1 4H25\"/></svg> ",
			i);
		text(out, lines[i].name);
		cli_str_puts(out, " <span class=\"dim\">");
		chart_number(out, lines[i].last, unit);
		cli_str_puts(out, "</span></li>");
	}
	cli_str_puts(out, "</ul>\n");
}

/* The chart in words, for who does not see it. */
static void describe(struct cli_str *out, const char *title, const struct line *lines, size_t n,
		     enum chart_unit unit)
{
	text(out, title);
	cli_str_puts(out, ". ");
	for (size_t i = 0; i < n; i++) {
		text(out, lines[i].name);
		cli_str_puts(out, ": on average ");
		chart_number(out, lines[i].n ? lines[i].sum / (double)lines[i].n : (double)NAN,
			     unit);
		cli_str_puts(out, ", at most ");
		chart_number(out, lines[i].max, unit);
		cli_str_puts(out, ", at last ");
		chart_number(out, lines[i].last, unit);
		cli_str_puts(out, ". ");
	}
}

static void figures(struct cli_str *out, const struct chart_set *set, const double *times,
		    enum chart_unit unit)
{
	size_t step = set->samples / TABLE_ROWS + 1;

	cli_str_puts(out,
		     "<details><summary>Figures</summary><div class=\"scroll\"><table><thead><tr>"
		     "<th scope=\"col\">time</th>");
	for (size_t i = 0; i < set->n; i++) {
		cli_str_puts(out, "<th scope=\"col\">");
		text(out, set->name[i]);
		cli_str_puts(out, "</th>");
	}
	cli_str_puts(out, "</tr></thead><tbody>\n");
	for (size_t s = 0; s < set->samples; s += step) {
		cli_str_printf(out, "<tr><th scope=\"row\">%.1f s</th>", times[s]);
		for (size_t i = 0; i < set->n; i++) {
			cli_str_puts(out, "<td>");
			chart_number(out, set->val[i][s], unit);
			cli_str_puts(out, "</td>");
		}
		cli_str_puts(out, "</tr>\n");
	}
	cli_str_puts(out, "</tbody></table></div></details>\n");
}

static void heading(struct cli_str *out, const char *title)
{
	cli_str_puts(out, "<figure class=\"chart\"><figcaption>");
	text(out, title);
	cli_str_puts(out, "</figcaption>\n");
}

void chart_lines(struct cli_str *out, const char *title, const struct chart_set *set,
		 const double *times, enum chart_unit unit, bool sum_rest)
{
	struct frame f = { .unit = unit, .top = 1 };
	struct line lines[CHART_DRAWN];
	double max = 0, *rest;
	size_t n;

	if (!set->samples || !set->n)
		return;
	rest = malloc(set->samples * sizeof(*rest));
	n = choose_lines(set, sum_rest, rest, lines);
	for (size_t i = 0; i < n; i++)
		max = fmax(max, lines[i].max);
	f.top = unit == CHART_KIB ? 1024 * chart_round_up(max / 1024) : chart_round_up(max);
	f.t0 = times[0];
	f.t1 = times[set->samples - 1];
	heading(out, title);
	cli_str_printf(out,
		       "<svg class=\"plot\" role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"",
		       WIDTH, HEIGHT);
	describe(out, title, lines, n, unit);
	cli_str_puts(out, "\">\n");
	draw_axes(out, &f);
	for (size_t i = 0; i < n; i++)
		draw_line(out, &f, &lines[i], i, times, set->samples);
	cli_str_puts(out, "</svg>\n");
	legend(out, lines, n, unit);
	figures(out, set, times, unit);
	cli_str_puts(out, "</figure>\n");
	free(rest);
}

/* ---- bars ------------------------------------------------------------------------------------ */

#define BAR_LEFT 210.0
#define BAR_STEP 22.0

static void draw_bar(struct cli_str *out, const struct chart_bar *b, size_t i, double max,
		     enum chart_unit unit)
{
	double scale = (WIDTH - BAR_LEFT - 90) / max, y = 6 + (double)i * BAR_STEP;
	double from = isfinite(b->from) ? fmax(b->from, 0) : 0;
	double width = isfinite(b->val) ? fmax(b->val, 0) * scale : 0;
	double x = BAR_LEFT + from * scale;
	struct cli_str name = { 0 };

	cli_str_printf(out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">", BAR_LEFT - 8,
		       y + 13);
	if (strlen(b->name) > 32)
		cli_str_puts(&name, "\xe2\x80\xa6");
	cli_str_puts(&name, b->name + (strlen(b->name) > 32 ? strlen(b->name) - 31 : 0));
	cli_str_html(out, cli_str_text(&name), name.len);
	cli_str_fini(&name);
	cli_str_printf(
		out,
		"</text><rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"16\"><title>",
		x, y, fmax(width, 1));
	text(out, b->name);
	cli_str_puts(out, ": ");
	chart_number(out, b->val, unit);
	cli_str_printf(out, "</title></rect><text x=\"%.1f\" y=\"%.1f\">", x + width + 6, y + 13);
	chart_number(out, b->val, unit);
	cli_str_puts(out, "</text>\n");
}

void chart_bars(struct cli_str *out, const char *title, const struct chart_bar *bars, size_t n,
		enum chart_unit unit)
{
	size_t drawn = MIN(n, (size_t)BARS_MAX);
	double max = 0;

	if (!n)
		return;
	for (size_t i = 0; i < n; i++)
		max = fmax(max,
			   isfinite(bars[i].from + bars[i].val) ? bars[i].from + bars[i].val : 0);
	max = max > 0 ? max : 1;
	heading(out, title);
	cli_str_printf(out,
		       "<svg class=\"plot\" role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"",
		       WIDTH, 14 + (double)drawn * BAR_STEP);
	text(out, title);
	cli_str_puts(out, ". ");
	for (size_t i = 0; i < drawn; i++) {
		text(out, bars[i].name);
		cli_str_puts(out, ": ");
		chart_number(out, bars[i].val, unit);
		cli_str_puts(out, ". ");
	}
	cli_str_puts(out, "\">\n");
	for (size_t i = 0; i < drawn; i++)
		draw_bar(out, &bars[i], i, max, unit);
	cli_str_puts(out, "</svg>\n<details><summary>Figures</summary><table><tbody>\n");
	for (size_t i = 0; i < n; i++) {
		cli_str_puts(out, "<tr><th scope=\"row\">");
		text(out, bars[i].name);
		cli_str_puts(out, "</th><td>");
		chart_number(out, bars[i].val, unit);
		cli_str_puts(out, "</td></tr>\n");
	}
	cli_str_puts(out, "</tbody></table></details></figure>\n");
}
