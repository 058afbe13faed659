/* SPDX-License-Identifier: MIT */
/* top: exits per second by VP and kind, memory, rings. */
#include "cli_cmds.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_conn.h"
#include "cli_model.h"
#include "cli_term.h"

#define KIND_COLUMN 11u

struct page {
	struct cli_str out;
	unsigned int rows, cols, line;
	bool screen;
};

/* ---- text ------------------------------------------------------------------------------------ */

static void line(struct page *pg, const struct cli_str *text, bool bold)
{
	if (pg->screen && pg->line + 1 >= pg->rows)
		return;
	pg->line++;
	if (pg->screen && bold)
		cli_str_puts(&pg->out, "\x1b[1m");
	cli_str_cell(&pg->out, cli_str_text(text), text->len, pg->cols, false);
	if (pg->screen && bold)
		cli_str_puts(&pg->out, "\x1b[0m");
	cli_str_puts(&pg->out, pg->screen ? "\x1b[K\r\n" : "\n");
}

static void line_text(struct page *pg, const char *text, bool bold)
{
	struct cli_str s = { 0 };

	cli_str_puts(&s, text);
	line(pg, &s, bold);
	cli_str_fini(&s);
}

static void cell_number(struct cli_str *s, double val)
{
	char text[16];

	cli_short_number(val, text);
	cli_str_printf(s, "%*s", (int)KIND_COLUMN, text);
}

static void exit_line(struct page *pg, const char *name, const struct cli_model *m, size_t vp,
		      const size_t *order, size_t n)
{
	struct cli_str s = { 0 };
	double sum = 0;

	cli_str_cell(&s, name, strlen(name), 8, true);
	for (size_t v = 0; v < m->n_vps; v++)
		if (vp == SIZE_MAX || v == vp)
			sum += cli_model_vp_rate(m, v);
	cell_number(&s, sum);
	for (size_t i = 0; i < n; i++)
		cell_number(&s, vp == SIZE_MAX ? cli_model_kind_rate(m, order[i])
					       : m->exit_rate[vp][order[i]]);
	line(pg, &s, vp == SIZE_MAX);
	cli_str_fini(&s);
}

static void show_exits(struct page *pg, const struct cli_model *m)
{
	struct cli_str s = { 0 };
	size_t order[MODEL_KINDS], n = MIN(m->n_kinds, (pg->cols - 8) / KIND_COLUMN - 1);
	size_t vps = m->n_vps;
	char name[64];

	if (!m->n_vps) {
		line_text(pg,
			  m->vm_visible ? "exits: this VM shows no counters of its VPs"
					: "exits: vm/ is hidden on this VM",
			  true);
		return;
	}
	cli_model_kind_order(m, order);
	cli_str_puts(&s, "exits/s ");
	cli_str_printf(&s, "%*s", (int)KIND_COLUMN, "total");
	for (size_t i = 0; i < n; i++) {
		const char *k = m->kind[order[i]];
		struct cli_str cell = { 0 };

		cli_str_cell(&cell, k, strlen(k), KIND_COLUMN - 1, false);
		cli_str_printf(&s, " %*s", (int)KIND_COLUMN - 1, cli_str_text(&cell));
		cli_str_fini(&cell);
	}
	line(pg, &s, true);
	cli_str_fini(&s);
	if (pg->screen && pg->rows > 14)
		vps = MIN(vps, (size_t)pg->rows - 14);
	for (size_t v = 0; v < vps; v++) {
		(void)snprintf(name, sizeof(name), "vp %u", m->vp[v]);
		exit_line(pg, name, m, v, order, n);
	}
	if (vps < m->n_vps) {
		(void)snprintf(name, sizeof(name), "... and %zu VPs more", m->n_vps - vps);
		line_text(pg, name, false);
	}
	exit_line(pg, "all", m, SIZE_MAX, order, n);
}

static void show_memory(struct page *pg, const struct cli_model *m)
{
	static const char *const wanted[] = { "MemTotal", "MemAvailable", "MemFree", "AnonPages",
					      "Slab" };
	struct cli_str s = { 0 };
	char text[24];

	cli_str_puts(&s, "memory  ");
	for (size_t w = 0; w < ARRAY_SIZE(wanted); w++) {
		for (size_t i = 0; i < m->n_mem; i++) {
			if (strcmp(m->mem[i].name, wanted[w]))
				continue;
			cli_short_kib(m->mem[i].kib, text);
			cli_str_printf(&s, "  %s %s", wanted[w], text);
		}
	}
	if (!m->n_mem)
		cli_str_puts(&s, "  not shown by this VM");
	line(pg, &s, true);
	cli_str_reset(&s);
	cli_str_puts(&s, "process ");
	for (size_t i = 0; i < m->n_proc && i < 8; i++) {
		cli_short_kib(m->proc[i].kib, text);
		cli_str_puts(&s, "  ");
		cli_str_plain(&s, m->proc[i].name, strlen(m->proc[i].name), 0);
		cli_str_printf(&s, " %s", text);
	}
	if (m->n_proc)
		line(pg, &s, false);
	cli_str_fini(&s);
}

static void show_rates(struct page *pg, const char *title, const struct model_rate *list, size_t n,
		       size_t max)
{
	unsigned int name_cols = pg->cols > 44 ? pg->cols - 24 : 20;
	struct cli_str s = { 0 };
	char text[16];

	if (!n)
		return;
	cli_str_cell(&s, title, strlen(title), name_cols, true);
	cli_str_printf(&s, "%12s%12s", "per second", "total");
	line(pg, &s, true);
	for (size_t i = 0; i < n && i < max; i++) {
		cli_str_reset(&s);
		cli_str_cell(&s, list[i].name, strlen(list[i].name), name_cols, true);
		cli_short_number(list[i].rate, text);
		cli_str_printf(&s, "%12s", text);
		cli_short_number(list[i].total, text);
		cli_str_printf(&s, "%12s", text);
		line(pg, &s, false);
	}
	cli_str_fini(&s);
}

static void show(struct page *pg, const struct cli_ctx *c, const struct cli_model *m)
{
	struct cli_str s = { 0 };

	cli_term_size(&pg->rows, &pg->cols);
	if (!pg->screen)
		pg->cols = 120;
	pg->cols = MAX(pg->cols, 32u);
	pg->line = 0;
	cli_str_reset(&pg->out);
	if (pg->screen)
		cli_str_puts(&pg->out, cli_term_resized() ? "\x1b[2J\x1b[H" : "\x1b[H");
	cli_str_printf(&s, "keeldiag top  %s  %zu VPs  %.1f s%s", c->path, m->n_vps, m->seconds,
		       pg->screen ? "   q end" : "");
	line(pg, &s, true);
	cli_str_fini(&s);
	show_exits(pg, m);
	show_memory(pg, m);
	show_rates(pg, "rings and channels", m->ring, m->n_rings, 12);
	show_rates(pg, "other counters", m->rate, m->n_rates, 16);
	if (pg->screen)
		cli_str_puts(&pg->out, "\x1b[J");
	else
		cli_str_putc(&pg->out, '\n');
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_name(struct cli_str *out, const char *name, bool first)
{
	cli_str_puts(out, first ? "" : ",");
	cli_str_json(out, name, strlen(name));
	cli_str_putc(out, ':');
}

static void json_mem(struct cli_str *out, const struct model_mem *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_name(out, list[i].name, !i);
		cli_str_printf(out, "%.0f", list[i].kib);
	}
}

static void json_rates(struct cli_str *out, const struct model_rate *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_name(out, list[i].name, !i);
		cli_str_printf(out, "%.3f", list[i].rate);
	}
}

static void show_json(struct cli_str *out, const struct cli_model *m)
{
	cli_str_reset(out);
	cli_str_printf(out, "{\"seconds\":%.3f,\"exits_per_second\":{", m->seconds);
	for (size_t v = 0; v < m->n_vps; v++) {
		cli_str_printf(out, "%s\"%u\":{", v ? "," : "", m->vp[v]);
		for (size_t k = 0; k < m->n_kinds; k++) {
			json_name(out, m->kind[k], !k);
			cli_str_printf(out, "%.3f", m->exit_rate[v][k]);
		}
		cli_str_puts(out, "}");
	}
	cli_str_puts(out, "},\"memory_kib\":{");
	json_mem(out, m->mem, m->n_mem);
	cli_str_puts(out, "},\"processes_kib\":{");
	json_mem(out, m->proc, m->n_proc);
	cli_str_puts(out, "},\"rings_per_second\":{");
	json_rates(out, m->ring, m->n_rings);
	cli_str_puts(out, "},\"counters_per_second\":{");
	json_rates(out, m->rate, m->n_rates);
	cli_str_puts(out, "}}\n");
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int show_model(struct cli_ctx *c, struct page *pg, const struct cli_model *m)
{
	int r;

	if (c->json)
		show_json(&pg->out, m);
	else
		show(pg, c, m);
	r = cli_str_write(&pg->out, stdout);
	if (!r && fflush(stdout))
		r = -errno;
	return r < 0 ? cli_err_os(&c->err, r) : 0;
}

/* Returns: false = end. */
static bool pass_time(struct cli_ctx *c, struct page *pg, const struct cli_model *m, uint64_t due)
{
	uint64_t now;
	uint32_t key;

	while ((now = cli_now_ms()) < due) {
		if (!pg->screen) {
			(void)poll(NULL, 0, (int)(due - now));
			continue;
		}
		key = cli_key((int)(due - now));
		if (key == 'q' || key == CLI_KEY_ESC || key == CLI_KEY_CTRL_C || key == CLI_KEY_EOF)
			return false;
		if (m)
			(void)!show_model(c, pg, m);
	}
	return true;
}

static int top(struct cli_ctx *c, struct page *pg, uint64_t period_ms, uint64_t count)
{
	struct cli_reading last, now;
	struct cli_model *m = NULL;
	bool go_on = true;
	uint64_t due;
	int r = 0;

	if (cli_reading_take(c, "", SVC_DEPTH_ALL, &last) < 0)
		return -1;
	for (uint64_t i = 0; !r && go_on && i < count; i++) {
		due = last.at_ms + period_ms;
		go_on = pass_time(c, pg, m, due);
		if (!go_on)
			break;
		r = cli_reading_take(c, "", SVC_DEPTH_ALL, &now);
		if (r < 0)
			break;
		free(m);
		m = cli_model_make(&now, &last);
		cli_reading_fini(&last);
		last = now;
		r = m ? show_model(c, pg, m) : cli_err_os(&c->err, ENOMEM);
	}
	free(m);
	cli_reading_fini(&last);
	return r;
}

int cmd_top(struct cli_ctx *c)
{
	struct page pg = { 0 };
	uint64_t count = UINT64_MAX;
	double period;
	int r;

	if (cli_seconds(cli_value(c->args, 'P'), 0.1, 3600, "--period", &c->err, &period) < 0 ||
	    (cli_has(c->args, 'C') &&
	     cli_number(cli_value(c->args, 'C'), 1, UINT32_MAX, "--count", &c->err, &count) < 0))
		return -1;
	pg.screen =
		!c->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !cli_term_raw(true);
	r = top(c, &pg, (uint64_t)(period * 1000), count);
	cli_term_restore();
	cli_str_fini(&pg.out);
	return r;
}
