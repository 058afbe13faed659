/* SPDX-License-Identifier: MIT */
#include "cli_flat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli_diff.h"

#define PATH_MAX_BYTES 4096u

struct walk {
	const struct inspect_node *node[INSPECT_NEST_MAX + 2];
	size_t len[INSPECT_NEST_MAX + 2]; /* of the path above the node */
	size_t n;
	char path[PATH_MAX_BYTES];
};

static int add_row(struct cli_flat *flat, size_t *cap, const char *path,
		   const struct inspect_node *node)
{
	struct cli_flat_row *rows;

	if (flat->n == CLI_FLAT_MAX || flat->bytes >= CLI_FLAT_BYTES)
		return 0;
	if (flat->n == *cap) {
		*cap = *cap ? *cap * 2 : 256;
		rows = realloc(flat->rows, *cap * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		flat->rows = rows;
	}
	flat->rows[flat->n] = (struct cli_flat_row){
		.path = strdup(path),
		.node = node,
		.order = flat->n,
	};
	if (!flat->rows[flat->n].path)
		return -ENOMEM;
	flat->n++;
	flat->bytes += strlen(path) + 1;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const struct cli_flat_row *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* The path of a node below a path of @len bytes; what does not fit is left out as a whole. */
static bool path_add(struct walk *w, size_t len, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	if (len + 1 + n + 1 > sizeof(w->path))
		return false;
	if (len)
		w->path[len++] = '/';
	memcpy(w->path + len, name, n + 1);
	*ret_len = len + n;
	return true;
}

int cli_flat_make(const struct inspect_node *root, const char *prefix, struct cli_flat *ret_flat)
{
	struct walk w = { .n = 1 };
	struct cli_flat flat = { 0 };
	size_t cap = 0, len = strlen(prefix);
	int r = 0;

	if (len >= sizeof(w.path))
		len = 0;
	memcpy(w.path, prefix, len);
	while (len && w.path[len - 1] == '/')
		len--;
	w.path[len] = 0;
	if (root->kind != INSPECT_DIR)
		r = add_row(&flat, &cap, w.path, root);
	else
		w.node[0] = root->child;
	w.len[0] = len;
	while (w.n && !r) {
		const struct inspect_node *cur = w.node[w.n - 1];

		if (!cur) {
			w.n--;
			continue;
		}
		w.node[w.n - 1] = cur->next;
		if (!path_add(&w, w.len[w.n - 1], cur->name, &len))
			continue;
		if (cur->kind == INSPECT_DIR && cur->child && w.n < ARRAY_SIZE(w.node)) {
			w.node[w.n] = cur->child;
			w.len[w.n++] = len;
		} else {
			r = add_row(&flat, &cap, w.path, cur);
		}
	}
	if (r < 0) {
		cli_flat_fini(&flat);
		return r;
	}
	if (flat.n)
		qsort(flat.rows, flat.n, sizeof(*flat.rows), by_path);
	*ret_flat = flat;
	return 0;
}

void cli_flat_fini(struct cli_flat *flat)
{
	for (size_t i = 0; i < flat->n; i++)
		free(flat->rows[i].path);
	free(flat->rows);
	*flat = (struct cli_flat){ 0 };
}

const struct cli_flat_row *cli_flat_find(const struct cli_flat *flat, const char *path)
{
	const struct cli_flat_row key = { .path = (char *)(uintptr_t)path };

	return flat->n ? bsearch(&key, flat->rows, flat->n, sizeof(key), by_path) : NULL;
}

bool cli_flat_rate(const struct cli_flat_row *now, const struct cli_flat *last, double seconds,
		   double *ret_rate)
{
	const struct cli_flat_row *was;
	double a, b;

	if (!(now->node->flags & INSPECT_F_COUNT) || seconds <= 0 ||
	    !cli_diff_number(now->node, &a))
		return false;
	was = cli_flat_find(last, now->path);
	if (!was || !cli_diff_number(was->node, &b))
		return false;
	/* A counter that went back has started again. */
	*ret_rate = (a >= b ? a - b : a) / seconds;
	return true;
}
