/* SPDX-License-Identifier: MIT */
/*
 * Each node has its children in a list (child, then next); prev is the parent for a first child and
 * the elder sibling otherwise. The root has neither next nor prev.
 */
#include "timerheap.h"

/* Join two heaps; on a tie a stays in front, so equal deadlines keep the order of arming mostly. */
static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (b->deadline_ns < a->deadline_ns) {
		struct loop_timer *swap = a;

		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* Make one heap of a list of siblings: in pairs from the left, then the pairs from the right. */
static struct loop_timer *meld_siblings(struct loop_timer *first)
{
	struct loop_timer *pairs = NULL, *root = NULL;

	while (first) {
		struct loop_timer *a = first, *b = a->next, *pair;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		pair = meld(a, b);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct loop_timer *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		root = meld(pair, root);
	}
	return root;
}

void timerheap_add(struct loop_timer **root, struct loop_timer *t)
{
	t->child = t->next = t->prev = NULL;
	*root = meld(*root, t);
}

void timerheap_del(struct loop_timer **root, struct loop_timer *t)
{
	struct loop_timer *orphans = meld_siblings(t->child);

	if (t == *root) {
		*root = orphans;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		*root = meld(*root, orphans);
	}
	t->child = t->next = t->prev = NULL;
}
