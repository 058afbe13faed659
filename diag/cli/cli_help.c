/* SPDX-License-Identifier: MIT */
/* Help texts, made from the same tables that the command line is checked against. */
#include "cli_args.h"

#include <string.h>

#define COLUMN 28

static bool opt_end(const struct cli_opt *o)
{
	return !o->letter && !o->name;
}

/* Text that starts at a column and wraps there. */
static void wrapped(struct cli_str *out, const char *text, size_t column)
{
	size_t at = column;

	while (*text) {
		size_t word = strcspn(text, " \n");

		if (at > column && at + word > 98) {
			cli_str_printf(out, "\n%*s", (int)column, "");
			at = column;
		}
		cli_str_add(out, text, word);
		at += word;
		text += word;
		if (*text == '\n') {
			cli_str_printf(out, "\n%*s", (int)column, "");
			at = column;
			text++;
		} else if (*text == ' ') {
			cli_str_putc(out, ' ');
			at++;
			text++;
		}
	}
	cli_str_puts(out, "\n");
}

static void item(struct cli_str *out, const char *left, const char *help)
{
	size_t len = strlen(left);

	cli_str_printf(out, "  %s", left);
	if (len + 4 > COLUMN)
		cli_str_printf(out, "\n%*s", COLUMN, "");
	else
		cli_str_printf(out, "%*s", (int)(COLUMN - 2 - len), "");
	wrapped(out, help, COLUMN);
}

static void opt_item(struct cli_str *out, const struct cli_opt *o)
{
	struct cli_str left = { 0 }, help = { 0 };

	if (o->letter)
		cli_str_printf(&left, "-%c%s", o->letter, o->name ? ", " : "");
	else
		cli_str_puts(&left, "    ");
	if (o->name)
		cli_str_printf(&left, "--%s", o->name);
	if (o->value)
		cli_str_printf(&left, " <%s>", o->value);
	cli_str_puts(&help, o->help);
	if (o->def)
		cli_str_printf(&help, " [default: %s]", o->def);
	item(out, cli_str_text(&left), cli_str_text(&help));
	cli_str_fini(&left);
	cli_str_fini(&help);
}

static void arg_words(struct cli_str *out, const struct cli_arg *a)
{
	switch (a->kind) {
	case CLI_ARG_ONE:
		cli_str_printf(out, "<%s>", a->name);
		break;
	case CLI_ARG_MAYBE:
		cli_str_printf(out, "[%s]", a->name);
		break;
	case CLI_ARG_REST:
	case CLI_ARG_RAW:
		cli_str_printf(out, "[%s]...", a->name);
		break;
	}
}

void cli_usage_cmd(const struct cli_cmd *cmd, struct cli_str *out)
{
	cli_str_printf(out, "keeldiag %s%s [OPTIONS]", cmd->no_vm ? "" : "<VM> ", cmd->name);
	for (size_t i = 0; i < CLI_ARGS_MAX && cmd->args[i].name; i++) {
		cli_str_putc(out, ' ');
		arg_words(out, &cmd->args[i]);
	}
}

void cli_help_cmd(const struct cli_cmd *cmd, struct cli_str *out)
{
	struct cli_str text = { 0 };

	cli_str_printf(out, "%s\n", cmd->about);
	if (cmd->more)
		cli_str_printf(out, "\n%s\n", cmd->more);
	cli_str_puts(out, "\nUsage: ");
	cli_usage_cmd(cmd, out);
	cli_str_puts(out, "\n\n");
	if (!cmd->no_vm || cmd->args[0].name)
		cli_str_puts(out, "Arguments:\n");
	if (!cmd->no_vm)
		item(out, "<VM>", "vsock:PATH or PATH of the VM's hybrid-vsock Unix socket");
	for (size_t i = 0; i < CLI_ARGS_MAX && cmd->args[i].name; i++) {
		const struct cli_arg *a = &cmd->args[i];
		struct cli_str left = { 0 };

		cli_str_reset(&text);
		arg_words(&left, a);
		cli_str_puts(&text, a->help);
		if (a->def)
			cli_str_printf(&text, " [default: %s]", a->def);
		item(out, cli_str_text(&left), cli_str_text(&text));
		cli_str_fini(&left);
	}
	cli_str_puts(out, "\nOptions:\n");
	for (const struct cli_opt *o = cmd->opts; !opt_end(o); o++)
		opt_item(out, o);
	for (const struct cli_opt *o = cli_global_opts; !opt_end(o); o++) {
		bool own = false;

		for (const struct cli_opt *c = cmd->opts; !opt_end(c); c++)
			own |= c->name && o->name && !strcmp(c->name, o->name);
		if (!own)
			opt_item(out, o);
	}
	cli_str_fini(&text);
}

static void commands(const struct cli_cmd *cmds, bool extra, struct cli_str *out)
{
	for (const struct cli_cmd *c = cmds; c->name; c++)
		if (!c->hidden && c->extra == extra)
			item(out, c->name, c->about);
}

void cli_help_program(const struct cli_cmd *cmds, struct cli_str *out)
{
	cli_str_puts(out, "Diagnostics client for a paravisor in VTL2\n\n"
			  "Usage: keeldiag [OPTIONS] <VM> <COMMAND> [ARGS]\n\n"
			  "Arguments:\n");
	item(out, "<VM>",
	     "vsock:PATH or PATH of the VM's hybrid-vsock Unix socket, as made by\n"
	     "`./keel run --vtl2-vsock PATH`");
	cli_str_puts(out, "\nCommands:\n");
	commands(cmds, false, out);
	cli_str_puts(out, "\nFor people:\n");
	commands(cmds, true, out);
	item(out, "help", "Print help of a command: keeldiag help COMMAND");
	cli_str_puts(out, "\nOptions:\n");
	for (const struct cli_opt *o = cli_global_opts; !opt_end(o); o++)
		opt_item(out, o);
	item(out, "-V, --version", "Print the version");
	cli_str_puts(out,
		     "\nExit status: 0; 1 the command failed; 2 wrong usage; `run`: the program's "
		     "own.\n");
}
