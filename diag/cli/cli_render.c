/* SPDX-License-Identifier: MIT */
#include "cli_render.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inspect_rpc.h"
#include "inspect_text.h"

int cli_render_decode(const uint8_t *buf, size_t len, bool update, size_t max_bytes,
		      struct inspect_tree *ret_tree)
{
	return update ? inspect_rpc_decode_value(buf, len, max_bytes, ret_tree)
		      : inspect_rpc_decode(buf, len, max_bytes, ret_tree);
}

/* Renderers take trees: a node of one, without its siblings, will do. */
static void render(struct cli_str *out, const struct inspect_node *node,
		   int (*fn)(const struct inspect_tree *tree, char **ret_text), bool json)
{
	struct inspect_node root = *node;
	struct inspect_tree tree = { .root = &root };
	char *text = NULL;
	uint32_t cp;
	size_t n;

	root.next = NULL;
	if (fn(&tree, &text) < 0) {
		out->failed = true;
		return;
	}
	/* In JSON a control character can only be inside a string. */
	for (const char *s = text; *s; s += n) {
		n = strcspn(s, "\xc2\xd8\xe2\xef\xf3");
		cli_str_add(out, s, n);
		s += n;
		n = 0;
		if (!*s)
			break;
		n = cli_utf8_next(s, strlen(s) < 4 ? strlen(s) : 4, &cp);
		if (!cli_is_control(cp))
			cli_str_add(out, s, n);
		else if (json && cp > 0xffff)
			cli_str_printf(out, "\\u%04x\\u%04x", 0xd7c0 + (cp >> 10),
				       0xdc00 | (cp & 0x3ff));
		else
			cli_str_printf(out, json ? "\\u%04x" : "\\u{%x}", cp);
	}
	free(text);
}

void cli_render_text(struct cli_str *out, const struct inspect_node *node)
{
	render(out, node, inspect_text, false);
}

void cli_render_json(struct cli_str *out, const struct inspect_node *node)
{
	render(out, node, inspect_json, true);
}

void cli_render_value(struct cli_str *out, const struct inspect_node *node)
{
	if (node->kind == INSPECT_DIR)
		cli_str_puts(out, node->child ? "{...}" : "{}");
	else
		render(out, node, inspect_text, false);
}
