/* SPDX-License-Identifier: MIT */
/* inspect, update, efi-diagnostics: one request each; and polling. */
#include "cli_cmds.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "cli_conn.h"
#include "cli_diff.h"
#include "cli_render.h"

static int print_node(struct cli_ctx *c, const struct inspect_node *node, bool json)
{
	struct cli_str out = { 0 };
	int r;

	if (json)
		cli_render_json(&out, node);
	else
		cli_render_text(&out, node);
	cli_str_putc(&out, '\n');
	r = cli_str_write(&out, stdout);
	if (!r && fflush(stdout))
		r = -errno;
	cli_str_fini(&out);
	return r < 0 ? cli_err_os(&c->err, r) : 0;
}

/* The new value: strings as they are, anything else by the usual rules. */
static int print_new(struct cli_ctx *c, const struct inspect_node *node, bool newline)
{
	struct cli_str out = { 0 };
	int r;

	if (c->json)
		cli_render_json(&out, node);
	else if (node->kind == INSPECT_STRING)
		cli_str_plain(&out, node->str.data, node->str.len, CLI_KEEP_NL);
	else
		cli_render_text(&out, node);
	if (newline || c->json)
		cli_str_putc(&out, '\n');
	r = cli_str_write(&out, stdout);
	cli_str_fini(&out);
	return r < 0 ? cli_err_os(&c->err, r) : 0;
}

static int update(struct cli_ctx *c, const char *path, const char *value)
{
	struct inspect_tree tree;
	int r;

	if (svc_update(c, path, value, &tree) < 0)
		return -1;
	r = print_new(c, tree.root, true);
	inspect_tree_fini(&tree);
	return r;
}

struct query {
	const char *path;
	uint32_t depth;
	uint64_t timeout_ns;
};

static int poll_step(struct cli_ctx *c, const struct query *q, struct inspect_tree *last,
		     uint64_t *last_ms)
{
	struct inspect_tree now, diff;
	uint64_t at = cli_now_ms();
	int r;

	if (svc_inspect(c, q->path, q->depth, q->timeout_ns, &now) < 0)
		return -1;
	r = cli_diff_since(&now, last, (double)(at - *last_ms) / 1000, &diff);
	if (r < 0) {
		inspect_tree_fini(&now);
		return cli_err_os(&c->err, r);
	}
	r = print_node(c, diff.root, c->json);
	inspect_tree_fini(&diff);
	inspect_tree_fini(last);
	*last = now;
	*last_ms = at;
	return r;
}

static int poll_values(struct cli_ctx *c, const struct query *q)
{
	uint64_t count = UINT64_MAX, last_ms = cli_now_ms(), due, now;
	struct inspect_tree last;
	double period;
	int r = 0;

	if (cli_seconds(cli_value(c->args, 'P'), 0, 86400, "--period", &c->err, &period) < 0)
		return -1;
	if (cli_has(c->args, 'C') &&
	    cli_number(cli_value(c->args, 'C'), 0, UINT32_MAX, "--count", &c->err, &count) < 0)
		return -1;
	if (svc_inspect(c, q->path, q->depth, q->timeout_ns, &last) < 0)
		return -1;
	for (; !r && count; count -= count != UINT64_MAX) {
		due = last_ms + (uint64_t)(period * 1000);
		while ((now = cli_now_ms()) < due)
			(void)poll(NULL, 0, (int)(due - now));
		r = poll_step(c, q, &last, &last_ms);
	}
	inspect_tree_fini(&last);
	return r;
}

int cmd_inspect(struct cli_ctx *c)
{
	const struct cli_parsed *p = c->args;
	const char *path = cli_pos(p, 0), *value = cli_value(p, 'u');
	struct query q = { .path = path ? path : "" };
	struct inspect_tree tree;
	uint64_t seconds, limit = SVC_DEPTH_ALL;
	int r;

	if (value)
		return path ? update(c, path, value)
			    : cli_err_set(&c->err, "must provide path for update");
	if (cli_number(cli_value(p, 't'), 0, UINT32_MAX, "the timeout", &c->err, &seconds) < 0)
		return -1;
	if (cli_has(p, 'l') &&
	    cli_number(cli_value(p, 'l'), 0, UINT32_MAX, "the limit", &c->err, &limit) < 0)
		return -1;
	q.depth = cli_has(p, 'r') ? (uint32_t)limit : 0;
	q.timeout_ns = seconds * 1000000000;
	if (cli_has(p, 'p'))
		return poll_values(c, &q);
	if (svc_inspect(c, q.path, q.depth, q.timeout_ns, &tree) < 0)
		return -1;
	r = print_node(c, tree.root, c->json);
	inspect_tree_fini(&tree);
	return r;
}

int cmd_update(struct cli_ctx *c)
{
	(void)fprintf(stderr, "`update` is deprecated - please use `keeldiag inspect <path> -u "
			      "<new value>`\n");
	return update(c, cli_pos(c->args, 0), cli_pos(c->args, 1));
}

int cmd_efi_diagnostics(struct cli_ctx *c)
{
	struct inspect_tree tree;
	char arg[64];
	int r;

	(void)snprintf(arg, sizeof(arg), "%s,%s", cli_pos(c->args, 0), cli_pos(c->args, 1));
	if (svc_update(c, "vm/uefi/process_diagnostics", arg, &tree) < 0)
		return cli_err_wrap(&c->err, "failed to process EFI diagnostics");
	r = print_new(c, tree.root, false);
	inspect_tree_fini(&tree);
	return r;
}
