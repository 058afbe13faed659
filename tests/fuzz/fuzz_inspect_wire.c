/* SPDX-License-Identifier: MIT */
/*
 * Inspect results from elsewhere: the first byte chooses between the bytes of another role (0), an
 * InspectResponse (1) and an UpdateResponse (2); the rest is the message. What is accepted must be
 * a good tree: it can be sorted, printed, compared and encoded again, and comes back as the same.
 */
#include "fuzz.h"

#include "bug.h"
#include "inspect_rpc.h"
#include "inspect_text.h"

#include <stdlib.h>
#include <string.h>

#define ROOM (1u << 20)

static int decode(uint8_t how, const uint8_t *data, size_t size, struct inspect_tree *ret_tree)
{
	if (how == 0)
		return inspect_decode(data, size, ROOM, ret_tree);
	if (how == 1)
		return inspect_rpc_decode(data, size, ROOM, ret_tree);
	return inspect_rpc_decode_value(data, size, ROOM, ret_tree);
}

static int encode(uint8_t how, const struct inspect_tree *tree, uint8_t **ret_buf, size_t *ret_len)
{
	if (how == 0)
		return inspect_encode(tree, ret_buf, ret_len);
	if (how == 1)
		return inspect_rpc_encode(tree, SIZE_MAX, ret_buf, ret_len);
	return inspect_rpc_encode_value(tree, SIZE_MAX, ret_buf, ret_len);
}

static void print(const struct inspect_tree *tree)
{
	char *text;

	if (inspect_text(tree, &text) == 0)
		free(text);
	if (inspect_json(tree, &text) == 0)
		free(text);
	if (inspect_text_raw(tree, &text) == 0)
		free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inspect_tree tree, back;
	uint8_t *first, *again;
	size_t len, again_len;
	uint8_t how;

	if (size == 0)
		return 0;
	how = data[0] % 3;
	if (decode(how, data + 1, size - 1, &tree) < 0)
		return 0;
	print(&tree);
	/* Encoding is exact: what we wrote comes back as the same bytes. */
	BUG_ON(encode(how, &tree, &first, &len) < 0);
	BUG_ON(decode(how, first, len, &back) < 0);
	BUG_ON(encode(how, &back, &again, &again_len) < 0);
	BUG_ON(again_len != len || memcmp(first, again, len) != 0);
	inspect_since(&back, &tree, 1.5);
	inspect_sort(&back);
	inspect_sort(&tree);
	inspect_since(&tree, &back, 0.0);
	print(&tree);
	inspect_tree_fini(&tree);
	inspect_tree_fini(&back);
	free(first);
	free(again);
	return 0;
}
