/* SPDX-License-Identifier: MIT */
/*
 * The nodes of a result: memory, walking, putting results together. No recursion: how deep a tree
 * is was decided by somebody else, even if within limits.
 */
#include "inspect_tree.h"

#include "bug.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK 4096u /* most answers are small */
#define NEXT_CHUNK 65536u

static struct inspect_chunk *chunk_new(struct inspect_tree *tree, size_t len)
{
	size_t size = tree->chunks ? NEXT_CHUNK : FIRST_CHUNK;
	struct inspect_chunk *c;

	size = MAX(size - sizeof(*c), len);
	c = malloc(sizeof(*c) + size);
	if (!c)
		return NULL;
	c->next = tree->chunks;
	c->used = 0;
	c->size = size;
	tree->chunks = c;
	return c;
}

void *inspect_alloc(struct inspect_tree *tree, size_t len)
{
	struct inspect_chunk *c = tree->chunks;
	void *p;

	if (len > tree->left)
		return NULL;
	len = (len + 7) & ~(size_t)7;
	if (len > tree->left)
		return NULL;
	if (!c || c->size - c->used < len)
		c = chunk_new(tree, len);
	if (!c)
		return NULL;
	p = c->data + c->used;
	c->used += len;
	tree->left -= len;
	return p;
}

struct inspect_mark inspect_mark(const struct inspect_tree *tree)
{
	return (struct inspect_mark){
		.chunk = tree->chunks,
		.used = tree->chunks ? tree->chunks->used : 0,
		.left = tree->left,
	};
}

void inspect_rewind(struct inspect_tree *tree, struct inspect_mark mark)
{
	while (tree->chunks != mark.chunk) {
		struct inspect_chunk *c = tree->chunks;

		tree->chunks = c->next;
		free(c);
	}
	if (tree->chunks)
		tree->chunks->used = mark.used;
	tree->left = mark.left;
}

void inspect_tree_fini(struct inspect_tree *tree)
{
	inspect_rewind(tree, (struct inspect_mark){ 0 });
	*tree = (struct inspect_tree){ 0 };
}

char *inspect_alloc_str(struct inspect_tree *tree, const char *p, size_t len, size_t *ret_len)
{
	size_t n = utf8_clean(p, len, NULL, 0);
	char *s = inspect_alloc(tree, n + 1);

	if (!s)
		return NULL;
	(void)utf8_clean(p, len, s, n + 1);
	*ret_len = n;
	return s;
}

struct inspect_node *inspect_node_new(struct inspect_tree *tree, const char *name, size_t len)
{
	struct inspect_node *n = inspect_alloc(tree, sizeof(*n));

	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->name = "";
	if (len > 0) {
		char *s = inspect_alloc(tree, len + 1);

		if (!s)
			return NULL;
		memcpy(s, name, len);
		s[len] = 0;
		n->name = s;
	}
	return n;
}

void inspect_node_fail(struct inspect_node *node, enum inspect_error err)
{
	node->kind = INSPECT_ERROR;
	node->flags = 0;
	node->child = NULL;
	node->str.data = "";
	node->str.len = 0;
	node->err = err;
}

struct inspect_iter inspect_iter(const struct inspect_tree *tree)
{
	struct inspect_iter it;

	it.node = tree->root;
	it.nest = 0;
	it.closed = 0;
	return it;
}

bool inspect_next(struct inspect_iter *it)
{
	it->closed = 0;
	if (it->node->kind == INSPECT_DIR && it->node->child) {
		BUG_ON(it->nest >= INSPECT_NEST_MAX);
		it->up[it->nest++] = it->node;
		it->node = it->node->child;
		return true;
	}
	while (it->nest > 0 && !it->node->next) {
		it->node = it->up[--it->nest];
		it->closed++;
	}
	if (it->nest == 0)
		return false;
	it->node = it->node->next;
	return true;
}

struct inspect_node *inspect_child(const struct inspect_node *dir, const char *name, size_t len)
{
	for (struct inspect_node *n = dir->child; n; n = n->next)
		if (strncmp(n->name, name, len) == 0 && n->name[len] == 0)
			return n;
	return NULL;
}

struct inspect_node *inspect_pending(const struct inspect_tree *tree)
{
	struct inspect_iter it = inspect_iter(tree);

	if (!it.node)
		return NULL;
	do {
		if (it.node->kind == INSPECT_PENDING)
			return it.node;
	} while (inspect_next(&it));
	return NULL;
}

/* Levels below the root. */
static uint32_t tree_height(const struct inspect_tree *tree)
{
	struct inspect_iter it = inspect_iter(tree);
	uint32_t height = 0;

	do {
		height = MAX(height, it.nest);
	} while (inspect_next(&it));
	return height;
}

static size_t tree_bytes(const struct inspect_tree *tree)
{
	size_t total = 0;

	for (const struct inspect_chunk *c = tree->chunks; c; c = c->next)
		total += c->used;
	return total;
}

/* The older chunks stay behind the newest one of @tree: that one still has room. */
static void take_chunks(struct inspect_tree *tree, struct inspect_tree *from)
{
	struct inspect_chunk **end = tree->chunks ? &tree->chunks->next : &tree->chunks;
	struct inspect_chunk *c = from->chunks;

	if (!c)
		return;
	while (c->next)
		c = c->next;
	c->next = *end;
	*end = from->chunks;
	from->chunks = NULL;
}

void inspect_graft(struct inspect_tree *tree, struct inspect_node *node, struct inspect_tree *from)
{
	struct inspect_iter it;
	struct inspect_node was = *node;
	size_t bytes;

	if (!from || !from->root) {
		inspect_node_fail(node, INSPECT_UNRESOLVED);
		return;
	}
	bytes = tree_bytes(from);
	if (bytes > tree->left || was.flags + tree_height(from) > INSPECT_NEST_MAX) {
		inspect_node_fail(node, INSPECT_INTERNAL);
		inspect_tree_fini(from);
		return;
	}
	it = inspect_iter(from);
	do {
		if (it.node->kind == INSPECT_PENDING)
			it.node->flags += was.flags;
	} while (inspect_next(&it));
	tree->left -= bytes;
	*node = *from->root;
	node->name = was.name;
	node->sens = was.sens;
	node->next = was.next;
	take_chunks(tree, from);
	*from = (struct inspect_tree){ 0 };
}

const char *inspect_error_text(const struct inspect_node *node)
{
	switch (node->err) {
	case INSPECT_UNRESOLVED:
		return "unresolved";
	case INSPECT_IMMUTABLE:
		return "immutable node";
	case INSPECT_UPDATE:
		return "update error";
	case INSPECT_NOT_DIR:
		return "not a directory";
	case INSPECT_NOT_FOUND:
		return "not found";
	case INSPECT_INTERNAL:
		return "internal error";
	case INSPECT_CHANNEL:
		return "channel error";
	}
	return "internal error";
}
