/* SPDX-License-Identifier: MIT */
#include "cli_browse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "cli_diff.h"
#include "cli_flat.h"

#define PATH_BYTES 2048u

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void rows_free(struct browse *b)
{
	for (size_t i = 0; i < b->n_rows; i++)
		free(b->rows[i].path);
	b->n_rows = 0;
}

void browse_fini(struct browse *b)
{
	rows_free(b);
	free(b->rows);
	for (size_t i = 0; i < b->n_opened; i++)
		free(b->opened[i]);
	free(b->opened);
	*b = (struct browse){ 0 };
}

static char **find_opened(const struct browse *b, const char *path)
{
	return b->n_opened ? bsearch(&path, b->opened, b->n_opened, sizeof(*b->opened), by_name)
			   : NULL;
}

bool browse_is_open(const struct browse *b, const char *path)
{
	return find_opened(b, path) != NULL;
}

static int add_row(struct browse *b, const char *path, const struct inspect_node *node,
		   unsigned int nest, bool open)
{
	struct browse_row *rows;
	char *copy;

	if (b->n_rows == b->cap_rows) {
		size_t cap = b->cap_rows ? b->cap_rows * 2 : 128;

		rows = realloc(b->rows, cap * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		b->rows = rows;
		b->cap_rows = cap;
	}
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	b->rows[b->n_rows++] = (struct browse_row){ copy, node, nest, open };
	return 0;
}

/* A way through the tree without recursion: the caller says which directories are entered. */
struct walk {
	const struct inspect_node *at[INSPECT_NEST_MAX + 2]; /* next of each level */
	size_t len[INSPECT_NEST_MAX + 2]; /* of the path above each level */
	size_t n; /* levels */
	size_t used; /* bytes of the path of the node last met */
	char path[PATH_BYTES];
};

static void walk_start(struct walk *w, const struct inspect_node *root)
{
	w->at[0] = root->kind == INSPECT_DIR ? root->child : NULL;
	w->len[0] = 0;
	w->n = 1;
}

/* The next node, its path in w->path; NULL: that was all. Too long a path is left out. */
static const struct inspect_node *walk_next(struct walk *w)
{
	while (w->n) {
		const struct inspect_node *cur = w->at[w->n - 1];
		size_t name;

		if (!cur) {
			w->n--;
			continue;
		}
		w->at[w->n - 1] = cur->next;
		w->used = w->len[w->n - 1];
		name = strlen(cur->name);
		if (w->used + name + 2 > sizeof(w->path))
			continue;
		if (w->used)
			w->path[w->used++] = '/';
		memcpy(w->path + w->used, cur->name, name + 1);
		w->used += name;
		return cur;
	}
	return NULL;
}

/* What comes next is inside @cur, the node last met. */
static void walk_enter(struct walk *w, const struct inspect_node *cur)
{
	if (w->n == ARRAY_SIZE(w->at))
		return;
	w->at[w->n] = cur->child;
	w->len[w->n++] = w->used;
}

/* Rows of everything that is open. */
static int rebuild(struct browse *b)
{
	const struct inspect_node *cur;
	struct walk w;
	int r = 0;

	rows_free(b);
	if (b->root->kind != INSPECT_DIR)
		return add_row(b, "", b->root, 0, false);
	walk_start(&w, b->root);
	while (!r && (cur = walk_next(&w))) {
		bool open = cur->kind == INSPECT_DIR && browse_is_open(b, w.path);

		r = add_row(b, w.path, cur, (unsigned int)w.n - 1, open);
		if (open)
			walk_enter(&w, cur);
	}
	return r;
}

/* Choose the row of a path, or the nearest directory around it that is to be seen. */
static void choose(struct browse *b, const char *path)
{
	char part[PATH_BYTES];
	char *slash;

	(void)snprintf(part, sizeof(part), "%s", path);
	for (;;) {
		for (size_t i = 0; i < b->n_rows; i++) {
			if (!strcmp(b->rows[i].path, part)) {
				b->cursor = i;
				return;
			}
		}
		slash = strrchr(part, '/');
		if (!slash)
			break;
		*slash = 0;
	}
	b->cursor = b->n_rows ? MIN(b->cursor, b->n_rows - 1) : 0;
}

static int refresh(struct browse *b)
{
	auto_free char *was = NULL;
	int r;

	was = strdup(b->cursor < b->n_rows ? b->rows[b->cursor].path : "");
	if (!was)
		return -ENOMEM;
	r = rebuild(b);
	choose(b, was);
	return r;
}

int browse_set(struct browse *b, const struct inspect_node *root)
{
	b->root = root;
	return refresh(b);
}

int browse_open(struct browse *b, const char *path, bool open)
{
	char **at = find_opened(b, path), **list;

	if (at && !open) {
		free(*at);
		b->n_opened--;
		memmove(at, at + 1, (size_t)(b->opened + b->n_opened - at) * sizeof(*at));
	} else if (!at && open) {
		if (b->n_opened == b->cap_opened) {
			size_t cap = b->cap_opened ? b->cap_opened * 2 : 32;

			list = realloc(b->opened, cap * sizeof(*list));
			if (!list)
				return -ENOMEM;
			b->opened = list;
			b->cap_opened = cap;
		}
		b->opened[b->n_opened] = strdup(path);
		if (!b->opened[b->n_opened])
			return -ENOMEM;
		b->n_opened++;
		qsort(b->opened, b->n_opened, sizeof(*b->opened), by_name);
	}
	return refresh(b);
}

int browse_go(struct browse *b, const char *path)
{
	char part[PATH_BYTES];
	int r = 0;

	if (strlen(path) >= sizeof(part) || !cli_diff_find(b->root, path))
		return -ENOENT;
	for (const char *s = strchr(path, '/'); s && !r; s = strchr(s + 1, '/')) {
		memcpy(part, path, (size_t)(s - path));
		part[s - path] = 0;
		r = browse_open(b, part, true);
	}
	if (!r)
		choose(b, path);
	return r;
}

const struct browse_row *browse_row(const struct browse *b)
{
	return b->cursor < b->n_rows ? &b->rows[b->cursor] : NULL;
}

void browse_move(struct browse *b, long by)
{
	long at = (long)b->cursor + by, last = (long)b->n_rows - 1;

	b->cursor = at < 0 || last < 0 ? 0 : (size_t)MIN(at, last);
}

void browse_up(struct browse *b)
{
	unsigned int nest = b->cursor < b->n_rows ? b->rows[b->cursor].nest : 0;

	while (nest && b->cursor && b->rows[b->cursor].nest >= nest)
		b->cursor--;
}

/* ---- search ---------------------------------------------------------------------------------- */

static bool contains(const char *hay, const char *needle)
{
	size_t n = strlen(needle);

	for (; *hay; hay++)
		if (!strncasecmp(hay, needle, n))
			return true;
	return !n;
}

static bool matches(const struct inspect_node *node, const char *text)
{
	return contains(node->name, text) ||
	       (node->kind == INSPECT_STRING && contains(node->str.data, text));
}

struct found {
	char first[PATH_BYTES], next[PATH_BYTES];
	bool have_first, passed; /* passed: the chosen row is behind us */
};

/* Every node in the tree's order; the first match after the chosen one, or else the first. */
static void search(const struct browse *b, const char *text, const char *from, struct found *f)
{
	const struct inspect_node *cur;
	struct walk w;

	walk_start(&w, b->root);
	while (!f->next[0] && (cur = walk_next(&w))) {
		if (matches(cur, text)) {
			if (f->passed)
				memcpy(f->next, w.path, w.used + 1);
			else if (!f->have_first)
				memcpy(f->first, w.path, w.used + 1);
			f->have_first = true;
		}
		f->passed |= !strcmp(w.path, from);
		if (cur->kind == INSPECT_DIR)
			walk_enter(&w, cur);
	}
}

int browse_search(struct browse *b, const char *text)
{
	const struct browse_row *row = browse_row(b);
	struct found f = { .passed = !row };

	search(b, text, row ? row->path : "", &f);
	if (!f.have_first)
		return -ENOENT;
	return browse_go(b, f.next[0] ? f.next : f.first);
}
