/* SPDX-License-Identifier: MIT */
/* The memory of an inspect tree: taken in order, given back all at once or down to a mark. */
#pragma once

#include "inspect.h"

struct inspect_chunk {
	struct inspect_chunk *next; /* older */
	size_t used, size; /* bytes of data[] */
	_Alignas(16) uint8_t data[];
};

/* State to go back to. */
struct inspect_mark {
	struct inspect_chunk *chunk;
	size_t used, left;
};

/* Bytes from the tree, aligned for any node, not cleared; NULL: it is full, or no memory. */
void *inspect_alloc(struct inspect_tree *tree, size_t len);
struct inspect_mark inspect_mark(const struct inspect_tree *tree);
/* Give back everything taken since the mark. */
void inspect_rewind(struct inspect_tree *tree, struct inspect_mark mark);

/* A string of the tree: UTF-8 whatever @p is, with a NUL. NULL: no room. */
char *inspect_alloc_str(struct inspect_tree *tree, const char *p, size_t len, size_t *ret_len);

/* A cleared node with that name (NULL = ""), in no directory yet. */
struct inspect_node *inspect_node_new(struct inspect_tree *tree, const char *name, size_t len);

/* The node becomes an error and forgets its children. A pending node has how deep it is in its
 * flags, so that nothing too high is put in its place. */
void inspect_node_fail(struct inspect_node *node, enum inspect_error err);

/* A walk over all nodes, directories before their children. Trees are never nested deeper than
 * INSPECT_NEST_MAX, so that the way back fits in here. */
struct inspect_iter {
	struct inspect_node *node;
	struct inspect_node *up[INSPECT_NEST_MAX];
	uint32_t nest; /* of node; 0 = the root */
	uint32_t closed; /* directories that were left by the last step */
};

struct inspect_iter inspect_iter(const struct inspect_tree *tree);
/* false: that was the last one. */
bool inspect_next(struct inspect_iter *it);

/* The child of that name, or NULL. */
struct inspect_node *inspect_child(const struct inspect_node *dir, const char *name, size_t len);

/* "a2" before "a10", "0x9" before "0xa"; 0 only for equal strings. */
int inspect_natural_cmp(const char *a, const char *b);
