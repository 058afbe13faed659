/* SPDX-License-Identifier: MIT */
/*
 * The order of children, and what becomes of entries with the same name. Numbers in names compare
 * as numbers, but only where they end before a letter: parts of GUIDs are no numbers.
 *
 * Spec: OpenHCL diagnostics, inspect, sorting.
 */
#include "inspect_tree.h"

#include "ckd.h"

#include <string.h>

/* A piece of a name. The kinds are in their order. */
struct segment {
	enum { SEG_DEC, SEG_HEX, SEG_STR } kind;
	uint64_t num;
	const char *p;
	size_t len;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int digit_val(char c, unsigned base)
{
	if (is_digit(c))
		return c - '0';
	if (base == 16 && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (base == 16 && c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The number at *p as far as 64 bits go; false: it runs into a letter. @ret_end: behind it. */
static bool take_number(const char *p, unsigned base, uint64_t *ret_num, const char **ret_end)
{
	uint64_t num = 0;
	int d;

	for (; (d = digit_val(*p, base)) >= 0; p++) {
		uint64_t next;

		if (ckd_mul(&next, num, base) || ckd_add(&next, next, (uint64_t)d))
			break;
		num = next;
	}
	*ret_num = num;
	*ret_end = p;
	return !is_alpha(*p);
}

/* The next segment; @p is not at the end. */
static const char *take_segment(const char *p, struct segment *ret_seg)
{
	const char *end;

	*ret_seg = (struct segment){ .kind = SEG_STR, .p = p };
	if (p[0] == '0' && p[1] == 'x' && digit_val(p[2], 16) >= 0) {
		if (take_number(p + 2, 16, &ret_seg->num, &end))
			ret_seg->kind = SEG_HEX;
	} else if (is_digit(*p)) {
		if (take_number(p, 10, &ret_seg->num, &end))
			ret_seg->kind = SEG_DEC;
	} else {
		for (end = p; *end && !is_digit(*end); end++)
			;
	}
	ret_seg->len = (size_t)(end - p);
	return end;
}

static int segment_cmp(const struct segment *a, const struct segment *b)
{
	int r;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind != SEG_STR)
		return (a->num > b->num) - (a->num < b->num);
	r = memcmp(a->p, b->p, MIN(a->len, b->len));
	return r ? r : (a->len > b->len) - (a->len < b->len);
}

int inspect_natural_cmp(const char *a, const char *b)
{
	const char *p = a, *q = b;

	while (*p && *q) {
		struct segment s, t;
		int r;

		p = take_segment(p, &s);
		q = take_segment(q, &t);
		r = segment_cmp(&s, &t);
		if (r)
			return r;
	}
	if (*p || *q)
		return *p ? 1 : -1;
	return strcmp(a, b); /* "1" and "01" */
}

static struct inspect_node *merge_lists(struct inspect_node *a, struct inspect_node *b)
{
	struct inspect_node *head = NULL, **tail = &head;

	while (a && b) {
		struct inspect_node **first = inspect_natural_cmp(a->name, b->name) <= 0 ? &a : &b;

		*tail = *first;
		tail = &(*tail)->next;
		*first = *tail;
	}
	*tail = a ? a : b;
	return head;
}

/* Sorted runs of 1, 2, 4, ... nodes; stable. */
static struct inspect_node *sort_list(struct inspect_node *list)
{
	struct inspect_node *runs[40] = { NULL }; /* memory ends long before 2^40 nodes */
	struct inspect_node *all = NULL;

	while (list) {
		struct inspect_node *run = list;
		size_t i = 0;

		list = list->next;
		run->next = NULL;
		for (; runs[i] && i < ARRAY_SIZE(runs) - 1; i++) {
			run = merge_lists(runs[i], run);
			runs[i] = NULL;
		}
		runs[i] = run;
	}
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		all = merge_lists(runs[i], all);
	return all;
}

static bool is_sorted(const struct inspect_node *n)
{
	for (; n && n->next; n = n->next)
		if (inspect_natural_cmp(n->name, n->next->name) >= 0)
			return false;
	return true;
}

static struct inspect_node **list_end(struct inspect_node **list)
{
	while (*list)
		list = &(*list)->next;
	return list;
}

/* A directory stays whatever comes later; one whose inside was not asked for is one, too. */
static bool stays(const struct inspect_node *n, const struct inspect_node *later)
{
	return n->kind == INSPECT_DIR ||
	       (n->kind == INSPECT_UNEVALUATED && later->kind != INSPECT_DIR);
}

/* Neighbours of one name become one node. */
static void merge_same(struct inspect_node **list)
{
	while (*list) {
		struct inspect_node *n = *list, *dup;
		struct inspect_node **end = n->kind == INSPECT_DIR ? list_end(&n->child) : NULL;

		while ((dup = n->next) && strcmp(n->name, dup->name) == 0) {
			if (!stays(n, dup)) {
				*list = n = dup;
				end = n->kind == INSPECT_DIR ? list_end(&n->child) : NULL;
				continue;
			}
			n->next = dup->next;
			if (end && dup->kind == INSPECT_DIR) {
				*end = dup->child;
				end = list_end(end);
			}
		}
		list = &n->next;
	}
}

void inspect_sort(struct inspect_tree *tree)
{
	struct inspect_iter it = inspect_iter(tree);

	if (!it.node)
		return;
	do {
		struct inspect_node *n = it.node;

		if (n->kind == INSPECT_DIR && !is_sorted(n->child)) {
			n->child = sort_list(n->child);
			merge_same(&n->child);
		}
	} while (inspect_next(&it));
}
