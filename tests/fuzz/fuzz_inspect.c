/* SPDX-License-Identifier: MIT */
/*
 * What a host may ask of inspect, against a tree with everything in it. Input: a byte of ceiling
 * and flags, le32 depth, le16 memory, then the path, a NUL, and the new value of an update. Remote
 * entries are answered by a walk of the same tree, as another role would.
 *
 * Besides what the sanitizers see, these must hold:
 *   nothing above the ceiling is in a result;
 *   every string is UTF-8 and children are sorted, each name once;
 *   a result survives both encodings unchanged.
 */
#include "fuzz.h"

#include "bug.h"
#include "inspect_rpc.h"
#include "inspect_text.h"
#include "inspect_tree.h"
#include "rd.h"
#include "sample_tree.h"
#include "utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM (1u << 20)

static void check_node(const struct inspect_node *n, enum inspect_sens max, bool root)
{
	BUG_ON(!root && n->sens > max);
	BUG_ON(!utf8_ok(n->name, strlen(n->name)));
	if (n->kind == INSPECT_STRING)
		BUG_ON(!utf8_ok(n->str.data, n->str.len) || strlen(n->str.data) != n->str.len);
	if (n->kind != INSPECT_DIR)
		return;
	for (const struct inspect_node *c = n->child; c && c->next; c = c->next)
		BUG_ON(inspect_natural_cmp(c->name, c->next->name) >= 0);
}

static void check_tree(const struct inspect_tree *tree, enum inspect_sens max)
{
	struct inspect_iter it = inspect_iter(tree);

	do {
		check_node(it.node, max, it.nest == 0);
	} while (inspect_next(&it));
}

static void same_text(const struct inspect_tree *a, const struct inspect_tree *b)
{
	char *x, *y;

	if (inspect_json(a, &x) < 0)
		abort();
	if (inspect_json(b, &y) < 0)
		abort();
	BUG_ON(strcmp(x, y) != 0);
	free(x);
	free(y);
}

static void check_codecs(const struct inspect_tree *tree)
{
	struct inspect_tree back;
	uint8_t *buf;
	size_t len;

	BUG_ON(inspect_encode(tree, &buf, &len) < 0);
	BUG_ON(inspect_decode(buf, len, ROOM, &back) < 0);
	same_text(tree, &back);
	inspect_tree_fini(&back);
	free(buf);
	BUG_ON(inspect_rpc_encode(tree, SIZE_MAX, &buf, &len) < 0);
	BUG_ON(inspect_rpc_decode(buf, len, ROOM, &back) < 0);
	same_text(tree, &back);
	inspect_tree_fini(&back);
	free(buf);
}

/* Every remote entry is the sample tree once more, two levels of that at most. */
static void answer_remotes(struct inspect_tree *tree, const struct inspect_request *req)
{
	struct inspect_node *n;

	for (unsigned int i = 0; (n = inspect_pending(tree)); i++) {
		const struct inspect_request far = {
			.path = n->pending.path,
			.depth = n->pending.depth,
			.max = req->max,
			.update = req->update,
		};
		struct inspect_tree from;

		BUG_ON(n->pending.remote != 7);
		if (i < 2 && inspect_run(&far, sample_tree, NULL, ROOM / 4, &from) == 0)
			inspect_graft(tree, n, &from);
		else
			inspect_graft(tree, n, NULL);
	}
	inspect_sort(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_make(data, size);
	uint8_t flags = rd_u8(&r);
	struct inspect_request req = {
		.depth = rd_le32(&r),
		.max = (enum inspect_sens)(flags % 3),
	};
	size_t room = flags & 0x80 ? rd_le16(&r) : ROOM;
	struct inspect_tree tree;
	char *text;

	if (r.bad)
		return 0;
	text = malloc(r.left + 2);
	if (!text)
		return 0;
	memcpy(text, r.p, r.left);
	text[r.left] = text[r.left + 1] = 0;
	req.path = text;
	if (flags & 0x40)
		req.update = text + MIN(strlen(text) + 1, r.left + 1);
	if (inspect_run(&req, sample_tree, NULL, room, &tree) == 0) {
		check_tree(&tree, req.max);
		answer_remotes(&tree, &req);
		check_tree(&tree, req.max);
		check_codecs(&tree);
		inspect_tree_fini(&tree);
	}
	free(text);
	return 0;
}
