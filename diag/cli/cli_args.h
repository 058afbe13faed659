/* SPDX-License-Identifier: MIT */
/*
 * The command line: tables of commands, their options and arguments, and what a user typed, checked
 * against them. Short options may be joined (-fr) and carry their value (-l3, -l=3, -l 3);
 * long ones as --name=value or --name value; "--" ends the options.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli_err.h"
#include "cli_str.h"
#include "macros.h"

struct cli_ctx;

#define CLI_OPT_MANY 1u /* may be repeated */
#define CLI_OPT_REQUIRED 2u

struct cli_opt {
	char letter; /* 0 = none */
	const char *name; /* long form without dashes; NULL = none */
	const char *value; /* name of its value; NULL = a switch */
	const char *help;
	char needs; /* letter or id of an option this one requires */
	char excludes; /* ... or cannot be combined with */
	char id; /* how the program asks for it; 0 = the letter */
	unsigned int flags;
	const char *def; /* default, shown in the help and returned */
	const char *choices; /* "a|b|c": the values it takes; for completion too */
};

enum cli_arg_kind {
	CLI_ARG_ONE, /* required */
	CLI_ARG_MAYBE,
	CLI_ARG_REST, /* any number */
	CLI_ARG_RAW, /* all that follows, options of another program included */
};

struct cli_arg {
	const char *name;
	const char *help;
	enum cli_arg_kind kind;
	const char *def;
	const char *choices;
};

#define CLI_ARGS_MAX 4
#define CLI_OPTS_MAX 12

struct cli_cmd {
	const char *name;
	const char *alias; /* NULL = none */
	const char *about; /* one line */
	const char *more; /* further help, or NULL */
	struct cli_opt opts[CLI_OPTS_MAX]; /* ends with one that has neither letter nor name */
	struct cli_arg args[CLI_ARGS_MAX]; /* ends with one without name */
	const char *group; /* letters of options of which exactly one must be given, or NULL */
	bool hidden;
	bool no_vm; /* works without a VM */
	bool extra; /* not a command of the original */
	/* Returns: the exit status; -1: c->err says why */
	int (*run)(struct cli_ctx *c);
};

/* Options of every command. */
extern const struct cli_opt cli_global_opts[];

struct cli_given {
	char id;
	const char *value;
};

/* A command line that was understood. Points into argv. */
struct cli_parsed {
	const struct cli_cmd *cmd;
	const char *vm; /* NULL: none was given (and none is needed) */
	bool json;
	bool help; /* show help: of the command, or of the program when cmd is NULL */
	bool long_help;
	bool version;
	struct cli_given *given;
	size_t n_given;
	const char **pos; /* the arguments */
	size_t n_pos;
};

/**
 * cli_parse - understand a command line
 * @cmds: ends with an entry without name
 * @err: on failure the words of the error ("error: ..." with usage and tips) for stderr
 * Returns: 0; -EINVAL: @err; -ENOMEM
 */
must_check int cli_parse(const struct cli_cmd *cmds, int argc, char *const *argv,
			 struct cli_str *err, struct cli_parsed *ret_parsed);
void cli_parsed_fini(struct cli_parsed *parsed);

const struct cli_cmd *cli_cmd_find(const struct cli_cmd *cmds, const char *name);

bool cli_has(const struct cli_parsed *p, char id);
/* The last value of an option, its default, or NULL. */
const char *cli_value(const struct cli_parsed *p, char id);
/* Argument @i, its default, or NULL. */
const char *cli_pos(const struct cli_parsed *p, size_t i);

/**
 * cli_number / cli_seconds - a value as a number
 * @err: filled on failure; @what: what to call it there
 * Returns: 0; -1
 */
must_check int cli_number(const char *text, uint64_t min, uint64_t max, const char *what,
			  struct cli_err *err, uint64_t *ret_val);
must_check int cli_seconds(const char *text, double min, double max, const char *what,
			   struct cli_err *err, double *ret_val);

/* Help texts. */
void cli_help_program(const struct cli_cmd *cmds, struct cli_str *out);
void cli_help_cmd(const struct cli_cmd *cmd, struct cli_str *out);
void cli_usage_cmd(const struct cli_cmd *cmd, struct cli_str *out);

/**
 * cli_similar - the known word most like a mistyped one
 * Returns: NULL when none is close
 */
const char *cli_similar(const char *word, const char *const *known, size_t n);
