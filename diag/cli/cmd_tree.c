/* SPDX-License-Identifier: MIT */
/* tree: the whole tree on the terminal. */
#include "cli_cmds.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli_browse.h"
#include "cli_conn.h"
#include "cli_diff.h"
#include "cli_render.h"
#include "cli_term.h"

#define INPUT_MAX 1024u
#define TIMEOUT_NS 5000000000u

enum mode { MODE_BROWSE, MODE_SEARCH, MODE_EDIT, MODE_HELP };

struct ui {
	struct cli_ctx *c;
	struct browse b;
	struct inspect_tree tree;
	bool have_tree, automatic;
	enum mode mode;
	char input[INPUT_MAX]; /* of the line at the bottom */
	char last_search[INPUT_MAX];
	char status[512];
	size_t top; /* first row on the screen */
	uint64_t period_ms, next_ms;
	struct cli_str out;
};

static const char help_text[] = "up down k j       move\n"
				"PgUp PgDn         move by a page\n"
				"Home End g G      first, last\n"
				"right l Enter     open a directory\n"
				"left h            close it, or go to the one around\n"
				"/                 search names and texts in the whole tree\n"
				"n                 next match\n"
				"e                 change the value (an empty line leaves it)\n"
				"r                 read again\n"
				"a                 read again by itself, every period\n"
				"q Ctrl-C          end\n"
				"\n"
				"any key goes back";

static void status_err(struct ui *u)
{
	cli_err_flatten(&u->c->err);
	(void)snprintf(u->status, sizeof(u->status), "error: %.480s", u->c->err.msg[0]);
}

static int read_tree(struct ui *u)
{
	struct inspect_tree tree;
	int r;

	u->next_ms = cli_now_ms() + u->period_ms;
	if (svc_inspect(u->c, "", SVC_DEPTH_ALL, TIMEOUT_NS, &tree) < 0) {
		if (!u->have_tree)
			return -1;
		status_err(u);
		return 0;
	}
	r = browse_set(&u->b, tree.root);
	if (u->have_tree)
		inspect_tree_fini(&u->tree);
	u->tree = tree;
	u->have_tree = true;
	return r < 0 ? cli_err_os(&u->c->err, r) : 0;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void draw_row(struct ui *u, size_t i, unsigned int cols)
{
	const struct browse_row *row = &u->b.rows[i];
	struct cli_str text = { 0 };
	size_t kids = 0;

	cli_str_printf(&text, "%*s", (int)row->nest * 2, "");
	if (row->node->kind == INSPECT_DIR)
		cli_str_puts(&text, row->open ? "- " : "+ ");
	else
		cli_str_puts(&text, "  ");
	cli_str_plain(&text, row->node->name, strlen(row->node->name), 0);
	if (row->node->kind == INSPECT_DIR) {
		for (const struct inspect_node *n = row->node->child; n; n = n->next)
			kids++;
		cli_str_printf(&text, "  (%zu)", kids);
	} else {
		cli_str_puts(&text, ": ");
		cli_render_value(&text, row->node);
	}
	if (i == u->b.cursor)
		cli_str_puts(&u->out, "\x1b[7m");
	else if (row->node->kind == INSPECT_DIR)
		cli_str_puts(&u->out, "\x1b[1m");
	cli_str_cell(&u->out, cli_str_text(&text), text.len, cols, i == u->b.cursor);
	cli_str_puts(&u->out, "\x1b[0m\x1b[K\r\n");
	cli_str_fini(&text);
}

static void draw_bottom(struct ui *u, unsigned int cols)
{
	const struct browse_row *row = browse_row(&u->b);
	struct cli_str text = { 0 };

	switch (u->mode) {
	case MODE_SEARCH:
		cli_str_printf(&text, "/%s", u->input);
		break;
	case MODE_EDIT:
		cli_str_printf(&text, "new value: %s", u->input);
		break;
	case MODE_BROWSE:
	case MODE_HELP:
		if (u->status[0])
			cli_str_puts(&text, u->status);
		else
			cli_str_printf(&text, "/%s%s   ? help  q end", row ? row->path : "",
				       u->automatic ? "   reading by itself" : "");
		break;
	}
	cli_str_puts(&u->out, "\x1b[7m");
	cli_str_cell(&u->out, cli_str_text(&text), text.len, cols - 1, true);
	cli_str_puts(&u->out, "\x1b[0m\x1b[K");
	cli_str_fini(&text);
}

static void draw_help(struct ui *u)
{
	for (const char *s = help_text; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		cli_str_add(&u->out, s, strcspn(s, "\n"));
		cli_str_puts(&u->out, "\x1b[K\r\n");
	}
	cli_str_puts(&u->out, "\x1b[J");
}

static void draw(struct ui *u)
{
	unsigned int rows, cols;
	size_t page;

	cli_term_size(&rows, &cols);
	rows = MAX(rows, 3u);
	cols = MAX(cols, 10u);
	page = rows - 1;
	if (u->b.cursor < u->top)
		u->top = u->b.cursor;
	if (u->b.cursor >= u->top + page)
		u->top = u->b.cursor - page + 1;
	cli_str_reset(&u->out);
	cli_str_puts(&u->out, cli_term_resized() ? "\x1b[2J\x1b[H" : "\x1b[H");
	if (u->mode == MODE_HELP) {
		draw_help(u);
	} else {
		for (size_t i = u->top; i < u->b.n_rows && i < u->top + page; i++)
			draw_row(u, i, cols);
		cli_str_puts(&u->out, "\x1b[J");
		cli_str_printf(&u->out, "\x1b[%u;1H", rows);
		draw_bottom(u, cols);
	}
	(void)!cli_str_write(&u->out, stdout);
	(void)fflush(stdout);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void search(struct ui *u)
{
	int r;

	if (!u->last_search[0])
		return;
	r = browse_search(&u->b, u->last_search);
	if (r < 0)
		(void)snprintf(u->status, sizeof(u->status), "'%.400s' is nowhere in the tree",
			       u->last_search);
}

static int edit_done(struct ui *u)
{
	const struct browse_row *row = browse_row(&u->b);
	struct cli_str text = { 0 };
	struct inspect_tree tree;

	if (!row || !u->input[0])
		return 0;
	if (svc_update(u->c, row->path, u->input, &tree) < 0) {
		status_err(u);
		return 0;
	}
	cli_render_value(&text, tree.root);
	(void)snprintf(u->status, sizeof(u->status), "now %.480s", cli_str_text(&text));
	cli_str_fini(&text);
	inspect_tree_fini(&tree);
	return read_tree(u);
}

static int input_key(struct ui *u, uint32_t key)
{
	size_t len = strlen(u->input);
	enum mode was = u->mode;
	int r = 0;

	if (key == CLI_KEY_ESC || key == CLI_KEY_CTRL_C) {
		u->mode = MODE_BROWSE;
	} else if (key == CLI_KEY_ENTER) {
		u->mode = MODE_BROWSE;
		if (was == MODE_SEARCH) {
			if (u->input[0])
				memcpy(u->last_search, u->input, sizeof(u->input));
			search(u);
		} else {
			r = edit_done(u);
		}
	} else if (key == CLI_KEY_BACKSPACE && len) {
		while (len && ((unsigned char)u->input[len - 1] & 0xc0) == 0x80)
			len--;
		u->input[len ? len - 1 : 0] = 0;
	} else if (key >= 0x20 && key < 0x110000 && len + 5 < sizeof(u->input)) {
		if (key < 0x80) {
			u->input[len++] = (char)key;
		} else if (key < 0x800) {
			u->input[len++] = (char)(0xc0 | key >> 6);
			u->input[len++] = (char)(0x80 | (key & 0x3f));
		} else {
			if (key < 0x10000) {
				u->input[len++] = (char)(0xe0 | key >> 12);
			} else {
				u->input[len++] = (char)(0xf0 | key >> 18);
				u->input[len++] = (char)(0x80 | (key >> 12 & 0x3f));
			}
			u->input[len++] = (char)(0x80 | (key >> 6 & 0x3f));
			u->input[len++] = (char)(0x80 | (key & 0x3f));
		}
		u->input[len] = 0;
	}
	return r;
}

static void begin_edit(struct ui *u)
{
	const struct browse_row *row = browse_row(&u->b);

	if (!row || row->node->kind == INSPECT_DIR) {
		(void)snprintf(u->status, sizeof(u->status), "a directory has no value");
		return;
	}
	u->mode = MODE_EDIT;
	u->input[0] = 0;
	if (row->node->kind == INSPECT_STRING && row->node->str.len < sizeof(u->input)) {
		memcpy(u->input, row->node->str.data, row->node->str.len);
		u->input[row->node->str.len] = 0;
	}
}

static int open_row(struct ui *u, bool open)
{
	const struct browse_row *row = browse_row(&u->b);
	char path[4096];

	if (!row || row->node->kind != INSPECT_DIR || row->open == open) {
		if (!open)
			browse_up(&u->b);
		return 0;
	}
	(void)snprintf(path, sizeof(path), "%s", row->path);
	return browse_open(&u->b, path, open) < 0 ? cli_err_os(&u->c->err, ENOMEM) : 0;
}

/* Returns: 0; 1: end; -1 */
static int browse_key(struct ui *u, uint32_t key)
{
	unsigned int rows, cols;

	cli_term_size(&rows, &cols);
	if (key != CLI_KEY_NONE)
		u->status[0] = 0;
	switch (key) {
	case 'q':
	case CLI_KEY_CTRL_C:
	case CLI_KEY_EOF:
		return 1;
	case CLI_KEY_UP:
	case 'k':
		browse_move(&u->b, -1);
		break;
	case CLI_KEY_DOWN:
	case 'j':
		browse_move(&u->b, 1);
		break;
	case CLI_KEY_PGUP:
		browse_move(&u->b, 2 - (long)rows);
		break;
	case CLI_KEY_PGDN:
	case ' ':
		browse_move(&u->b, (long)rows - 2);
		break;
	case CLI_KEY_HOME:
	case 'g':
		browse_move(&u->b, -(long)u->b.n_rows);
		break;
	case CLI_KEY_END:
	case 'G':
		browse_move(&u->b, (long)u->b.n_rows);
		break;
	case CLI_KEY_RIGHT:
	case CLI_KEY_ENTER:
	case 'l':
		return open_row(u, true);
	case CLI_KEY_LEFT:
	case 'h':
		return open_row(u, false);
	case '/':
		u->mode = MODE_SEARCH;
		u->input[0] = 0;
		break;
	case 'n':
		search(u);
		break;
	case 'e':
		begin_edit(u);
		break;
	case 'r':
		return read_tree(u);
	case 'a':
		u->automatic = !u->automatic;
		break;
	case '?':
		u->mode = MODE_HELP;
		break;
	default:
		break;
	}
	return 0;
}

static int step(struct ui *u)
{
	uint64_t now = cli_now_ms();
	int wait = -1, r = 0;
	uint32_t key;

	if (u->automatic && u->mode == MODE_BROWSE)
		wait = u->next_ms > now ? (int)(u->next_ms - now) : 0;
	draw(u);
	key = cli_key(wait);
	switch (u->mode) {
	case MODE_HELP:
		u->mode = key == CLI_KEY_NONE ? MODE_HELP : MODE_BROWSE;
		r = key == CLI_KEY_EOF;
		break;
	case MODE_SEARCH:
	case MODE_EDIT:
		r = key == CLI_KEY_EOF ? 1 : input_key(u, key);
		break;
	case MODE_BROWSE:
		r = browse_key(u, key);
		if (!r && u->automatic && cli_now_ms() >= u->next_ms)
			r = read_tree(u);
		break;
	}
	return r;
}

static int start_at(struct ui *u)
{
	const char *path = cli_pos(u->c->args, 0);
	struct cli_str clean = { 0 };
	size_t len;

	if (!path)
		return 0;
	path += strspn(path, "/");
	len = strlen(path);
	while (len && path[len - 1] == '/')
		len--;
	cli_str_add(&clean, path, len);
	if (browse_go(&u->b, cli_str_text(&clean)) < 0 ||
	    browse_open(&u->b, cli_str_text(&clean), true) < 0)
		(void)snprintf(u->status, sizeof(u->status), "there is no '%.400s'", path);
	cli_str_fini(&clean);
	return 0;
}

int cmd_tree(struct cli_ctx *c)
{
	struct ui u = { .c = c };
	double period;
	int r;

	if (cli_seconds(cli_value(c->args, 'P'), 0.1, 3600, "--period", &c->err, &period) < 0)
		return -1;
	u.period_ms = (uint64_t)(period * 1000);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		(void)cli_err_set(&c->err, "not a terminal");
		cli_err_hint(&c->err, "`inspect -r` prints the tree without one");
		return -1;
	}
	r = read_tree(&u);
	if (!r)
		r = start_at(&u);
	if (!r && cli_term_raw(true) < 0)
		r = cli_err_set(&c->err, "the terminal cannot be used");
	while (!r)
		r = step(&u);
	cli_term_restore();
	browse_fini(&u.b);
	if (u.have_tree)
		inspect_tree_fini(&u.tree);
	cli_str_fini(&u.out);
	return r < 0 ? -1 : 0;
}
