/* SPDX-License-Identifier: MIT */
#include "cli_diff.h"

#include <stdlib.h>
#include <string.h>

#include "inspect_text.h"

#define TREE_MAX ((size_t)256 << 20)

bool cli_diff_number(const struct inspect_node *node, double *ret_val)
{
	switch (node->kind) {
	case INSPECT_SIGNED:
		*ret_val = (double)node->i64;
		return true;
	case INSPECT_UNSIGNED:
		*ret_val = (double)node->u64;
		return true;
	case INSPECT_DOUBLE:
		*ret_val = node->d;
		return true;
	case INSPECT_UNEVALUATED:
	case INSPECT_ERROR:
	case INSPECT_BOOL:
	case INSPECT_STRING:
	case INSPECT_BYTES:
	case INSPECT_DIR:
	case INSPECT_PENDING:
		break;
	}
	return false;
}

bool cli_diff_same(const struct inspect_node *a, const struct inspect_node *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case INSPECT_SIGNED:
		return a->i64 == b->i64;
	case INSPECT_UNSIGNED:
		return a->u64 == b->u64;
	case INSPECT_DOUBLE:
		return !memcmp(&a->d, &b->d, sizeof(a->d));
	case INSPECT_BOOL:
		return a->b == b->b;
	case INSPECT_ERROR:
		return a->err == b->err;
	case INSPECT_STRING:
	case INSPECT_BYTES:
		return a->str.len == b->str.len &&
		       (!a->str.len || !memcmp(a->str.data, b->str.data, a->str.len));
	case INSPECT_UNEVALUATED:
	case INSPECT_DIR:
	case INSPECT_PENDING:
		break;
	}
	return true;
}

const struct inspect_node *cli_diff_child(const struct inspect_node *dir, const char *name)
{
	const struct inspect_node *n = dir->kind == INSPECT_DIR ? dir->child : NULL;

	while (n && strcmp(n->name, name))
		n = n->next;
	return n;
}

const struct inspect_node *cli_diff_find(const struct inspect_node *root, const char *path)
{
	char name[INSPECT_NAME_MAX * 2 + 1];

	while (root && *path) {
		size_t len = strcspn(path, "/");

		if (!len || len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = 0;
		root = cli_diff_child(root, name);
		path += len + (path[len] == '/');
	}
	return root;
}

int cli_diff_since(const struct inspect_tree *now, const struct inspect_tree *last, double seconds,
		   struct inspect_tree *ret_tree)
{
	uint8_t *buf;
	size_t len;
	int r;

	/* A copy, because the next difference is to @now itself. */
	r = inspect_encode(now, &buf, &len);
	if (r < 0)
		return r;
	r = inspect_decode(buf, len, TREE_MAX, ret_tree);
	free(buf);
	if (!r)
		inspect_since(ret_tree, last, seconds);
	return r;
}
