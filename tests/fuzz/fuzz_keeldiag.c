/* SPDX-License-Identifier: MIT */
/*
 * What a server says to the client, by the first byte: a response frame (0), a record of the kernel
 * log (1), a tree that is printed (2) or becomes a report (3), keys of a terminal (4). Nothing may
 * come out that steers a terminal or runs in a page.
 */
#include "fuzz.h"

#include "bug.h"
#include "cli_browse.h"
#include "cli_kmsg.h"
#include "cli_render.h"
#include "cli_report.h"
#include "cli_rpc.h"
#include "cli_term.h"

#include <stdlib.h>
#include <string.h>

#define ROOM (1u << 20)

/* Text for a terminal: no control characters but newlines, and colours where they may be. */
static void check_terminal(const struct cli_str *out, bool colours)
{
	const char *s = cli_str_text(out);
	uint32_t cp;
	size_t n;

	for (size_t i = 0; i < out->len; i += n) {
		n = cli_utf8_next(s + i, out->len - i, &cp);
		BUG_ON(cli_is_control(cp) && cp != '\n' && cp != '\t' &&
		       !(colours && cp == 0x1b && s[i + 1] == '['));
	}
}

static void feed_kmsg(const uint8_t *data, size_t size)
{
	struct cli_str out = { 0 };
	struct cli_kmsg msg;

	if (cli_kmsg_parse((const char *)data, size, &msg) == 0) {
		cli_kmsg_text(&out, &msg, false);
		cli_kmsg_text(&out, &msg, true);
		check_terminal(&out, true);
		cli_str_reset(&out);
		cli_kmsg_json(&out, &msg);
		check_terminal(&out, false);
	}
	cli_str_fini(&out);
}

static void feed_tree(const uint8_t *data, size_t size)
{
	struct inspect_tree tree;
	struct cli_str out = { 0 };
	struct browse b = { 0 };

	if (cli_render_decode(data, size, false, ROOM, &tree) < 0)
		return;
	cli_render_text(&out, tree.root);
	cli_render_json(&out, tree.root);
	cli_render_value(&out, tree.root);
	check_terminal(&out, false);
	BUG_ON(browse_set(&b, tree.root) < 0);
	(void)!browse_search(&b, "a");
	browse_move(&b, 3);
	if (browse_row(&b)) {
		char *path = strdup(browse_row(&b)->path);

		BUG_ON(!path || browse_open(&b, path, true) < 0);
		free(path);
	}
	browse_up(&b);
	browse_fini(&b);
	cli_str_fini(&out);
	inspect_tree_fini(&tree);
}

static void feed_report(const uint8_t *data, size_t size)
{
	static struct report rep;
	struct cli_reading now = { .at_ms = 1000 }, last;
	struct cli_str page = { 0 };
	struct cli_model *m;

	if (cli_render_decode(data, size, false, ROOM, &now.tree) < 0)
		return;
	rep.vm = "vm";
	rep.when = "now";
	BUG_ON(cli_flat_make(now.tree.root, "", &now.flat) < 0);
	last = now;
	last.at_ms = 0;
	m = cli_model_make(&now, &last);
	BUG_ON(!m || report_sample(&rep, m, 0) < 0 || report_sample(&rep, m, 1) < 0);
	report_page(&page, &rep, m, m, now.tree.root);
	BUG_ON(page.failed);
	check_terminal(&page, false);
	BUG_ON(strstr(page.s, "<script") || strstr(page.s, "<img") || strstr(page.s, "<a"));
	cli_str_fini(&page);
	report_fini(&rep);
	free(m);
	cli_reading_fini(&now);
}

static void feed_keys(const uint8_t *data, size_t size)
{
	uint32_t key;
	size_t n;

	while (size) {
		n = cli_key_decode(data, size, &key);
		BUG_ON(n > size);
		n = n ? n : 1;
		data += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cli_err err;
	uint8_t *payload, how = size ? data[0] % 5 : 0;
	size_t len;

	if (!size)
		return 0;
	data++;
	size--;
	switch (how) {
	case 0:
		if (cli_rpc_decode(data, size, &err, &payload, &len) == 0)
			free(payload);
		break;
	case 1:
		feed_kmsg(data, size);
		break;
	case 2:
		feed_tree(data, size);
		break;
	case 3:
		feed_report(data, size);
		break;
	default:
		feed_keys(data, size);
	}
	return 0;
}
