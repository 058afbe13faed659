/* SPDX-License-Identifier: MIT */
#include "cli_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli_conn.h"
#include "cli_diff.h"

#define VP_PREFIX "vm/partition/vp/"
#define READ_TIMEOUT_NS 5000000000ull

int cli_reading_take(struct cli_ctx *c, const char *path, uint32_t depth,
		     struct cli_reading *ret_reading)
{
	struct cli_reading r = { 0 };
	int e;

	if (svc_inspect(c, path, depth, READ_TIMEOUT_NS, &r.tree) < 0)
		return -1;
	r.at_ms = cli_now_ms();
	if (r.tree.root->kind == INSPECT_ERROR) {
		(void)cli_err_set(&c->err, "%s", inspect_error_text(r.tree.root));
		inspect_tree_fini(&r.tree);
		return cli_err_wrap(&c->err, "cannot read '%s'", path);
	}
	e = cli_flat_make(r.tree.root, path, &r.flat);
	if (e < 0) {
		inspect_tree_fini(&r.tree);
		return cli_err_os(&c->err, e);
	}
	*ret_reading = r;
	return 0;
}

void cli_reading_fini(struct cli_reading *reading)
{
	cli_flat_fini(&reading->flat);
	inspect_tree_fini(&reading->tree);
}

static bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* ---- exits ----------------------------------------------------------------------------------- */

/* The number of a VP and the rest of a path below vp/. */
static const char *vp_path(const char *path, uint32_t *ret_vp)
{
	char *end;
	unsigned long v;

	if (!has_prefix(path, VP_PREFIX))
		return NULL;
	path += sizeof(VP_PREFIX) - 1;
	if (*path < '0' || *path > '9')
		return NULL;
	v = strtoul(path, &end, 10);
	if (*end != '/' || v > 0xffff)
		return NULL;
	*ret_vp = (uint32_t)v;
	return end + 1;
}

/*
 * Which counters of a VP are its exits: those in a directory "exits"; where there is none, those in
 * "stats", as the original has them. The kind is what follows.
 */
static const char *exit_kind(const char *rest, unsigned int *ret_rank)
{
	static const char *const dirs[] = { "exits/", "backing/stats/", "stats/" };

	for (unsigned int i = 0; i < ARRAY_SIZE(dirs); i++) {
		const char *at = has_prefix(rest, dirs[i]) ? rest : strstr(rest, dirs[i]);

		if (at && (at == rest || at[-1] == '/')) {
			*ret_rank = i;
			return at + strlen(dirs[i]);
		}
	}
	return NULL;
}

static unsigned int best_rank(const struct cli_flat *flat)
{
	unsigned int best = UINT32_MAX, rank;
	const char *rest;
	uint32_t vp;

	for (size_t i = 0; i < flat->n; i++) {
		rest = vp_path(flat->rows[i].path, &vp);
		if (rest && flat->rows[i].node->flags & INSPECT_F_COUNT && exit_kind(rest, &rank))
			best = MIN(best, rank);
	}
	return best;
}

static size_t kind_index(struct cli_model *m, const char *name)
{
	size_t i;

	for (i = 0; i < m->n_kinds; i++)
		if (!strncmp(m->kind[i], name, MODEL_NAME - 1))
			return i;
	if (i == MODEL_KINDS)
		return i;
	(void)snprintf(m->kind[i], MODEL_NAME, "%s", name);
	return m->n_kinds++;
}

static size_t vp_index(struct cli_model *m, uint32_t vp)
{
	size_t i = 0;

	while (i < m->n_vps && m->vp[i] != vp)
		i++;
	if (i == m->n_vps && i < MODEL_VPS)
		m->vp[m->n_vps++] = vp;
	return i;
}

static void take_exit(struct cli_model *m, const struct cli_flat_row *row,
		      const struct cli_flat *last, unsigned int rank)
{
	unsigned int row_rank;
	const char *rest, *kind;
	size_t k, v;
	uint32_t vp;
	double rate, total;

	rest = vp_path(row->path, &vp);
	kind = rest ? exit_kind(rest, &row_rank) : NULL;
	if (!kind || row_rank != rank || !cli_diff_number(row->node, &total))
		return;
	k = kind_index(m, kind);
	v = vp_index(m, vp);
	if (k >= MODEL_KINDS || v >= MODEL_VPS)
		return;
	m->exit_total[v][k] += total;
	if (last && cli_flat_rate(row, last, m->seconds, &rate))
		m->exit_rate[v][k] += rate;
}

double cli_model_kind_rate(const struct cli_model *m, size_t kind)
{
	double sum = 0;

	for (size_t v = 0; v < m->n_vps; v++)
		sum += m->exit_rate[v][kind];
	return sum;
}

double cli_model_kind_total(const struct cli_model *m, size_t kind)
{
	double sum = 0;

	for (size_t v = 0; v < m->n_vps; v++)
		sum += m->exit_total[v][kind];
	return sum;
}

double cli_model_vp_rate(const struct cli_model *m, size_t vp)
{
	double sum = 0;

	for (size_t k = 0; k < m->n_kinds; k++)
		sum += m->exit_rate[vp][k];
	return sum;
}

void cli_model_kind_order(const struct cli_model *m, size_t ret_order[MODEL_KINDS])
{
	for (size_t i = 0; i < m->n_kinds; i++) {
		double rate = cli_model_kind_rate(m, i), total = cli_model_kind_total(m, i);
		size_t at = i;

		for (; at > 0; at--) {
			size_t prev = ret_order[at - 1];
			double d = cli_model_kind_rate(m, prev) - rate;

			if (d > 0 || (d == 0 && cli_model_kind_total(m, prev) >= total))
				break;
			ret_order[at] = prev;
		}
		ret_order[at] = i;
	}
}

/* The VPs in their order, however the tree's paths sort. */
static void sort_vps(struct cli_model *m)
{
	for (size_t i = 1; i < m->n_vps; i++) {
		for (size_t j = i; j > 0 && m->vp[j - 1] > m->vp[j]; j--) {
			double line[MODEL_KINDS];
			uint32_t vp = m->vp[j];

			m->vp[j] = m->vp[j - 1];
			m->vp[j - 1] = vp;
			memcpy(line, m->exit_rate[j], sizeof(line));
			memcpy(m->exit_rate[j], m->exit_rate[j - 1], sizeof(line));
			memcpy(m->exit_rate[j - 1], line, sizeof(line));
			memcpy(line, m->exit_total[j], sizeof(line));
			memcpy(m->exit_total[j], m->exit_total[j - 1], sizeof(line));
			memcpy(m->exit_total[j - 1], line, sizeof(line));
		}
	}
}

/* ---- memory and everything else -------------------------------------------------------------- */

static void take_mem(struct model_mem *list, size_t *n, const char *name, double kib, bool sorted)
{
	size_t at;

	if (sorted) {
		for (at = *n; at > 0 && list[at - 1].kib < kib; at--)
			if (at < MODEL_MEM)
				list[at] = list[at - 1];
	} else {
		at = *n;
	}
	if (at == MODEL_MEM)
		return;
	(void)snprintf(list[at].name, sizeof(list[at].name), "%s", name);
	list[at].kib = kib;
	*n += *n < MODEL_MEM;
}

static void take_rate(struct model_rate *list, size_t *n, const char *path, double rate,
		      double total)
{
	size_t at;

	for (at = *n; at > 0 && (list[at - 1].rate < rate ||
				 (list[at - 1].rate == rate && list[at - 1].total < total));
	     at--)
		if (at < MODEL_RATES)
			list[at] = list[at - 1];
	if (at == MODEL_RATES)
		return;
	(void)snprintf(list[at].name, sizeof(list[at].name), "%s", path);
	list[at].rate = rate;
	list[at].total = total;
	*n += *n < MODEL_RATES;
}

static void take_proc(struct cli_model *m, const struct cli_flat_row *row)
{
	const char *name = row->path + sizeof("proc/processes/") - 1, *slash = strchr(name, '/');
	char text[MODEL_NAME];
	double kib;

	if (!slash || strcmp(slash, "/VmRSS") || !cli_diff_number(row->node, &kib))
		return;
	(void)snprintf(text, sizeof(text), "%.*s", (int)MIN(slash - name, 64), name);
	take_mem(m->proc, &m->n_proc, text, kib, true);
}

/* Is it a word of a path: "ring" in "a/ring_in" and "a/rings", not in "string"? */
static bool has_word(const char *path, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = path; (at = strstr(at, word)); at += len) {
		const char *end = at + len + (at[len] == 's');

		if (at != path && (at[-1] == '/' || at[-1] == '_') &&
		    (!*end || *end == '/' || *end == '_'))
			return true;
	}
	return false;
}

static bool is_ring(const char *path)
{
	return has_prefix(path, "vm/") && !has_prefix(path, VP_PREFIX) &&
	       (has_word(path, "ring") || has_word(path, "channel") || has_word(path, "queue"));
}

static void take_row(struct cli_model *m, const struct cli_flat_row *row,
		     const struct cli_flat *last)
{
	double total, rate;

	if (has_prefix(row->path, "vm/"))
		m->vm_visible = true;
	if (has_prefix(row->path, "proc/meminfo/")) {
		if (cli_diff_number(row->node, &total))
			take_mem(m->mem, &m->n_mem, row->path + 13, total, false);
	} else if (has_prefix(row->path, "proc/processes/")) {
		take_proc(m, row);
	} else if (row->node->flags & INSPECT_F_COUNT && cli_diff_number(row->node, &total)) {
		if (!last || !cli_flat_rate(row, last, m->seconds, &rate))
			rate = 0;
		if (is_ring(row->path))
			take_rate(m->ring, &m->n_rings, row->path, rate, total);
		else if (rate > 0 && !has_prefix(row->path, VP_PREFIX))
			take_rate(m->rate, &m->n_rates, row->path, rate, total);
	}
}

struct cli_model *cli_model_make(const struct cli_reading *now, const struct cli_reading *last)
{
	struct cli_model *m = calloc(1, sizeof(*m));
	unsigned int rank = best_rank(&now->flat);

	if (!m)
		return NULL;
	m->seconds = last ? (double)(now->at_ms - last->at_ms) / 1000 : 0;
	for (size_t i = 0; i < now->flat.n; i++) {
		take_exit(m, &now->flat.rows[i], last ? &last->flat : NULL, rank);
		take_row(m, &now->flat.rows[i], last ? &last->flat : NULL);
	}
	sort_vps(m);
	return m;
}

/* ---- numbers for people ---------------------------------------------------------------------- */

void cli_short_number(double val, char ret_text[16])
{
	static const char units[] = " kMGTPE";
	size_t u = 0;

	if (!isfinite(val) || fabs(val) >= 1e21) {
		(void)snprintf(ret_text, 16, "huge");
		return;
	}
	while (fabs(val) >= 999.5 && u < sizeof(units) - 2) {
		val /= 1000;
		u++;
	}
	if (!u)
		(void)snprintf(ret_text, 16,
			       val == floor(val) || fabs(val) >= 99.95 ? "%.0f" : "%.1f", val);
	else
		(void)snprintf(ret_text, 16,
			       fabs(val) < 9.995   ? "%.2f%c"
			       : fabs(val) < 99.95 ? "%.1f%c"
						   : "%.0f%c",
			       val, units[u]);
}

void cli_short_kib(double kib, char ret_text[24])
{
	if (!isfinite(kib) || fabs(kib) >= 1e18)
		(void)snprintf(ret_text, 24, "huge");
	else if (fabs(kib) >= 1024 * 1024)
		(void)snprintf(ret_text, 24, "%.2f GiB", kib / 1024 / 1024);
	else if (fabs(kib) >= 1024)
		(void)snprintf(ret_text, 24, "%.1f MiB", kib / 1024);
	else
		(void)snprintf(ret_text, 24, "%.0f KiB", kib);
}
