/* SPDX-License-Identifier: MIT */
/* watch: a part of the tree again and again. */
#include "cli_cmds.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli_conn.h"
#include "cli_diff.h"
#include "cli_model.h"
#include "cli_render.h"
#include "cli_term.h"

#define CHANGED_MAX 20000u /* paths that are remembered */

struct watch {
	struct cli_ctx *c;
	const char *path;
	uint32_t depth;
	uint64_t period_ms;
	bool all, screen, paused;
	struct cli_reading now, last;
	bool have_last;
	char **changed; /* paths that changed since the beginning, sorted */
	size_t n_changed, cap_changed;
	size_t scroll, n_shown;
	struct cli_str out;
};

static int take(struct watch *w)
{
	struct cli_reading r;

	if (cli_reading_take(w->c, w->path, w->depth, &r) < 0)
		return -1;
	if (w->have_last)
		cli_reading_fini(&w->last);
	w->last = w->now;
	w->have_last = w->now.tree.root != NULL;
	w->now = r;
	return 0;
}

static const struct cli_flat_row *before(const struct watch *w, const char *path)
{
	return w->have_last ? cli_flat_find(&w->last.flat, path) : NULL;
}

static bool differs(const struct watch *w, const struct cli_flat_row *row)
{
	const struct cli_flat_row *was = before(w, row->path);

	return w->have_last && (!was || !cli_diff_same(row->node, was->node));
}

static bool rate_of(const struct watch *w, const struct cli_flat_row *row, double *ret_rate)
{
	return w->have_last &&
	       cli_flat_rate(row, &w->last.flat, (double)(w->now.at_ms - w->last.at_ms) / 1000,
			     ret_rate);
}

/* ---- lines, one per change ------------------------------------------------------------------- */

static void json_change(struct watch *w, const struct cli_flat_row *row, bool *first)
{
	const struct cli_flat_row *was = before(w, row->path);
	double rate;

	cli_str_puts(&w->out, *first ? "{\"path\":" : ",{\"path\":");
	*first = false;
	cli_str_json(&w->out, row->path, strlen(row->path));
	if (was) {
		cli_str_puts(&w->out, ",\"old\":");
		cli_render_json(&w->out, was->node);
	}
	cli_str_puts(&w->out, ",\"new\":");
	cli_render_json(&w->out, row->node);
	if (rate_of(w, row, &rate))
		cli_str_printf(&w->out, ",\"rate\":%.3f", rate);
	cli_str_puts(&w->out, "}");
}

static void text_change(struct watch *w, const struct cli_flat_row *row)
{
	const struct cli_flat_row *was = before(w, row->path);
	double rate;

	cli_str_plain(&w->out, row->path, strlen(row->path), 0);
	cli_str_puts(&w->out, ": ");
	if (was && !cli_diff_same(was->node, row->node)) {
		cli_render_value(&w->out, was->node);
		cli_str_puts(&w->out, " -> ");
	}
	cli_render_value(&w->out, row->node);
	if (rate_of(w, row, &rate))
		cli_str_printf(&w->out, " (%.1f/s)", rate);
	cli_str_putc(&w->out, '\n');
}

static int print_lines(struct watch *w)
{
	bool first = true;
	int r;

	cli_str_reset(&w->out);
	if (w->c->json)
		cli_str_printf(&w->out, "{\"seconds\":%.3f,\"changes\":[",
			       w->have_last ? (double)(w->now.at_ms - w->last.at_ms) / 1000 : 0.0);
	for (size_t i = 0; i < w->now.flat.n; i++) {
		const struct cli_flat_row *row = &w->now.flat.rows[i];

		if (!w->all && !differs(w, row))
			continue;
		if (w->c->json)
			json_change(w, row, &first);
		else
			text_change(w, row);
	}
	if (w->c->json)
		cli_str_puts(&w->out, "]}\n");
	r = cli_str_write(&w->out, stdout);
	if (!r && fflush(stdout))
		r = -errno;
	return r < 0 ? cli_err_os(&w->c->err, r) : 0;
}

/* ---- the screen ------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool was_changed(const struct watch *w, const char *path)
{
	return w->n_changed &&
	       bsearch(&path, w->changed, w->n_changed, sizeof(*w->changed), by_name) != NULL;
}

static int remember(struct watch *w)
{
	size_t old = w->n_changed;

	for (size_t i = 0; i < w->now.flat.n && w->n_changed < CHANGED_MAX; i++) {
		const char *path = w->now.flat.rows[i].path;

		if (!differs(w, &w->now.flat.rows[i]) ||
		    (old && bsearch(&path, w->changed, old, sizeof(*w->changed), by_name)))
			continue;
		if (w->n_changed == w->cap_changed) {
			size_t cap = w->cap_changed ? w->cap_changed * 2 : 64;
			char **list = realloc(w->changed, cap * sizeof(*list));

			if (!list)
				return -ENOMEM;
			w->changed = list;
			w->cap_changed = cap;
		}
		w->changed[w->n_changed] = strdup(path);
		if (!w->changed[w->n_changed])
			return -ENOMEM;
		w->n_changed++;
	}
	if (w->n_changed > old)
		qsort(w->changed, w->n_changed, sizeof(*w->changed), by_name);
	return 0;
}

static void draw_row(struct watch *w, const struct cli_flat_row *row, unsigned int cols)
{
	unsigned int left = cols * 3 / 5, right = cols - left;
	struct cli_str val = { 0 };
	double rate;
	bool hot = differs(w, row);

	cli_render_value(&val, row->node);
	if (rate_of(w, row, &rate))
		cli_str_printf(&val, "  %.1f/s", rate);
	if (hot)
		cli_str_puts(&w->out, "\x1b[1;7m");
	cli_str_cell(&w->out, row->path, strlen(row->path), left - 1, true);
	cli_str_putc(&w->out, ' ');
	cli_str_cell(&w->out, cli_str_text(&val), val.len, right, hot);
	cli_str_puts(&w->out, "\x1b[0m\x1b[K\r\n");
	cli_str_fini(&val);
}

static void draw(struct watch *w)
{
	unsigned int rows, cols, line = 1;
	struct cli_str head = { 0 };
	size_t seen = 0;

	cli_term_size(&rows, &cols);
	cols = MAX(cols, 20u);
	cli_str_reset(&w->out);
	cli_str_puts(&w->out, cli_term_resized() ? "\x1b[2J\x1b[H" : "\x1b[H");
	cli_str_printf(&head, "watch /%s  every %g s%s  %zu %s   q end  a %s  space %s", w->path,
		       (double)w->period_ms / 1000, w->paused ? " (paused)" : "",
		       w->all ? w->now.flat.n : w->n_changed, w->all ? "values" : "changed",
		       w->all ? "changed only" : "all", w->paused ? "go on" : "pause");
	cli_str_puts(&w->out, "\x1b[1m");
	cli_str_cell(&w->out, cli_str_text(&head), head.len, cols, false);
	cli_str_puts(&w->out, "\x1b[0m\x1b[K\r\n");
	cli_str_fini(&head);
	for (size_t i = 0; i < w->now.flat.n && line + 1 < rows; i++) {
		if (!w->all && !was_changed(w, w->now.flat.rows[i].path))
			continue;
		if (seen++ < w->scroll)
			continue;
		draw_row(w, &w->now.flat.rows[i], cols);
		line++;
	}
	w->n_shown = w->all ? w->now.flat.n : w->n_changed;
	if (!w->n_shown)
		cli_str_puts(&w->out, "nothing has changed yet\x1b[K\r\n");
	cli_str_puts(&w->out, "\x1b[J");
	(void)!cli_str_write(&w->out, stdout);
	(void)fflush(stdout);
}

/* Returns: false = end. */
static bool key(struct watch *w, uint32_t k)
{
	switch (k) {
	case 'q':
	case CLI_KEY_ESC:
	case CLI_KEY_CTRL_C:
	case CLI_KEY_EOF:
		return false;
	case 'a':
		w->all = !w->all;
		w->scroll = 0;
		break;
	case ' ':
		w->paused = !w->paused;
		break;
	case CLI_KEY_DOWN:
	case 'j':
		w->scroll += w->scroll + 1 < w->n_shown;
		break;
	case CLI_KEY_UP:
	case 'k':
		w->scroll -= w->scroll > 0;
		break;
	case CLI_KEY_PGDN:
		w->scroll = w->scroll + 20 < w->n_shown ? w->scroll + 20 : w->scroll;
		break;
	case CLI_KEY_PGUP:
		w->scroll = w->scroll > 20 ? w->scroll - 20 : 0;
		break;
	case CLI_KEY_HOME:
		w->scroll = 0;
		break;
	default:
		break;
	}
	return true;
}

/* Until the next reading is due. Returns: false = end. */
static bool pass_time(struct watch *w, uint64_t due)
{
	uint64_t now;

	while ((now = cli_now_ms()) < due || w->paused) {
		int ms = w->paused ? 1000 : (int)(due - now);

		if (!w->screen) {
			(void)poll(NULL, 0, ms);
			continue;
		}
		if (!key(w, cli_key(ms)))
			return false;
		draw(w);
	}
	return true;
}

static int watch(struct watch *w, uint64_t count)
{
	uint64_t due;
	int r = 0;

	for (uint64_t i = 0; !r && i < count; i++) {
		due = cli_now_ms() + w->period_ms;
		if (take(w) < 0)
			return -1;
		if (w->screen) {
			if (remember(w) < 0)
				return cli_err_os(&w->c->err, ENOMEM);
			draw(w);
		} else if (w->have_last || w->all) {
			r = print_lines(w);
		}
		if (!r && i + 1 < count && !pass_time(w, due))
			break;
	}
	return r;
}

int cmd_watch(struct cli_ctx *c)
{
	struct watch w = { .c = c, .depth = SVC_DEPTH_ALL, .all = cli_has(c->args, 'a') };
	uint64_t count = UINT64_MAX, limit = SVC_DEPTH_ALL;
	double period;
	int r;

	w.path = cli_pos(c->args, 0) ? cli_pos(c->args, 0) : "";
	w.path += strspn(w.path, "/");
	if (cli_seconds(cli_value(c->args, 'P'), 0.05, 86400, "--period", &c->err, &period) < 0 ||
	    (cli_has(c->args, 'C') &&
	     cli_number(cli_value(c->args, 'C'), 1, UINT32_MAX, "--count", &c->err, &count) < 0) ||
	    (cli_has(c->args, 'l') &&
	     cli_number(cli_value(c->args, 'l'), 0, UINT32_MAX, "--limit", &c->err, &limit) < 0))
		return -1;
	w.depth = (uint32_t)limit;
	w.period_ms = (uint64_t)(period * 1000);
	w.screen = !c->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !cli_term_raw(true);
	r = watch(&w, count);
	cli_term_restore();
	if (w.have_last)
		cli_reading_fini(&w.last);
	if (w.now.tree.root)
		cli_reading_fini(&w.now);
	for (size_t i = 0; i < w.n_changed; i++)
		free(w.changed[i]);
	free(w.changed);
	cli_str_fini(&w.out);
	return r;
}
