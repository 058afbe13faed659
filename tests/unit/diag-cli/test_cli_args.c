/* SPDX-License-Identifier: MIT */
#include "cli_args.h"
#include "cli_cmds.h"

#include "unit.h"

#include <string.h>

#define WORDS 16

/* Parses words separated by blanks. */
static int parse(const char *line, struct cli_str *err, struct cli_parsed *ret_p)
{
	static char buf[256];
	char *argv[WORDS], *save = NULL;
	int argc = 1;

	(void)snprintf(buf, sizeof(buf), "%s", line);
	argv[0] = buf + sizeof(buf) - 1;
	for (char *w = strtok_r(buf, " ", &save); w && argc < WORDS; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	cli_str_reset(err);
	return cli_parse(cli_cmds, argc, argv, err, ret_p);
}

static void refused(const char *line, const char *words)
{
	struct cli_str err = { 0 };
	struct cli_parsed p;

	ck_assert_int_lt(parse(line, &err, &p), 0);
	ck_assert_msg(strstr(cli_str_text(&err), words), "%s: %s", line, cli_str_text(&err));
	ck_assert_ptr_nonnull(strstr(cli_str_text(&err), "Usage: keeldiag"));
	cli_str_fini(&err);
}

START_TEST(options)
{
	struct cli_str err = { 0 };
	struct cli_parsed p;

	ck_assert_int_eq(parse("vsock:/a inspect -rl3 --json x/y -t0", &err, &p), 0);
	ck_assert_str_eq(p.vm, "vsock:/a");
	ck_assert_str_eq(p.cmd->name, "inspect");
	ck_assert(cli_has(&p, 'r') && !cli_has(&p, 'p') && p.json);
	ck_assert_str_eq(cli_value(&p, 'l'), "3");
	ck_assert_str_eq(cli_value(&p, 't'), "0");
	ck_assert_str_eq(cli_value(&p, 'P'), "1");
	ck_assert_str_eq(cli_pos(&p, 0), "x/y");
	ck_assert_ptr_null(cli_value(&p, 'u'));
	cli_parsed_fini(&p);

	ck_assert_int_eq(parse("s i -r -l=4 -p --count 2 --period=0.5", &err, &p), 0);
	ck_assert_str_eq(cli_value(&p, 'l'), "4");
	ck_assert_str_eq(cli_value(&p, 'C'), "2");
	ck_assert_str_eq(cli_value(&p, 'P'), "0.5");
	ck_assert_ptr_null(cli_pos(&p, 0));
	cli_parsed_fini(&p);

	ck_assert_int_eq(parse("--json s start -e A=1 --env B=2 -u C x y", &err, &p), 0);
	ck_assert(p.json);
	ck_assert_uint_eq(p.n_given, 4);
	ck_assert_uint_eq(p.n_pos, 2);
	cli_parsed_fini(&p);
	cli_str_fini(&err);
}
END_TEST

START_TEST(raw_arguments)
{
	struct cli_str err = { 0 };
	struct cli_parsed p;

	/* With the options' end where the original wants it, and without. */
	ck_assert_int_eq(parse("s run -- ls -l --help", &err, &p), 0);
	ck_assert_uint_eq(p.n_pos, 3);
	ck_assert_str_eq(p.pos[2], "--help");
	cli_parsed_fini(&p);
	ck_assert_int_eq(parse("s run ls -- -l", &err, &p), 0);
	ck_assert_uint_eq(p.n_pos, 2);
	ck_assert_str_eq(p.pos[1], "-l");
	cli_parsed_fini(&p);
	ck_assert_int_eq(parse("s run sh -c x -- -y", &err, &p), 0);
	ck_assert_uint_eq(p.n_pos, 5);
	ck_assert_str_eq(p.pos[3], "--");
	cli_parsed_fini(&p);
	ck_assert_int_eq(parse("s shell", &err, &p), 0);
	ck_assert_str_eq(cli_pos(&p, 0), "/bin/sh");
	cli_parsed_fini(&p);
	ck_assert_int_eq(parse("s inspect -- -odd-name", &err, &p), 0);
	ck_assert_str_eq(cli_pos(&p, 0), "-odd-name");
	cli_parsed_fini(&p);
	cli_str_fini(&err);
}
END_TEST

START_TEST(rules)
{
	refused("", "<VM>");
	refused("s", "requires a subcommand");
	refused("s inspect -l 3", "were not provided:\n  -r");
	refused("s inspect --count 3", "were not provided:\n  -p");
	refused("s inspect -r x -u y", "cannot be used with");
	refused("s inspect -u y -t 3 x", "cannot be used with");
	refused("s inspect -u", "a value is required for '--update <UPDATE>'");
	refused("s inspect -r -r", "cannot be used multiple times");
	refused("s inspect a b", "unexpected argument 'b'");
	refused("s inspect -rx", "unexpected argument '-x'");
	refused("s inspect --json=1", "unexpected value '1'");
	refused("s crash panic", "<--pid <PID>|--name <NAME>>");
	refused("s crash panic -p 1 -n vm", "cannot be used with");
	refused("s crash -p 1", "<CRASH_TYPE>");
	refused("s crash boom -p 1", "possible values: panic");
	refused("s efi-diagnostics all stdout", "possible values: default, info, full");
	refused("s efi-diagnostics full", "<OUTPUT>");
	refused("s file -f", "--file-path <FILE_PATH>");
	refused("s run", "<COMMAND>");
	refused("completion tcsh", "possible values: bash, zsh, fish");
	refused("s gdbserver --multi --pid 3", "cannot be used with");
	refused("s packet-capture --nosuch", "unexpected argument '--nosuch'");
}
END_TEST

START_TEST(suggestions)
{
	refused("s insect", "a similar subcommand exists: 'inspect'");
	refused("s kmesg", "'kmsg'");
	refused("s core", "'core-dump'");
	refused("s inspect --limt 3", "'--limit'");
	refused("inspect s", "the VM comes first: keeldiag <VM> inspect");
	refused("s \x1b[31mred", "'\\x1b[31mred'");
	ck_assert_ptr_null(cli_similar("zzzzzz", (const char *[]){ "inspect", "run" }, 2));
}
END_TEST

START_TEST(help)
{
	struct cli_str out = { 0 }, err = { 0 };
	struct cli_parsed p;

	ck_assert_int_eq(parse("--help", &err, &p), 0);
	ck_assert(p.help && !p.cmd);
	cli_parsed_fini(&p);
	ck_assert_int_eq(parse("help kmsg", &err, &p), 0);
	ck_assert(p.help);
	ck_assert_str_eq(p.cmd->name, "kmsg");
	cli_parsed_fini(&p);
	ck_assert_int_eq(parse("s kmsg -h", &err, &p), 0);
	ck_assert(p.help && p.cmd);
	cli_parsed_fini(&p);
	ck_assert_int_eq(parse("kmsg --help", &err, &p), 0);
	ck_assert(p.help);
	ck_assert_str_eq(p.cmd->name, "kmsg");
	cli_parsed_fini(&p);
	ck_assert_int_eq(parse("-V", &err, &p), 0);
	ck_assert(p.version);
	cli_parsed_fini(&p);

	for (const struct cli_cmd *c = cli_cmds; c->name; c++) {
		ck_assert_ptr_nonnull(c->run);
		cli_str_reset(&out);
		cli_help_cmd(c, &out);
		ck_assert_ptr_nonnull(strstr(cli_str_text(&out), "--help"));
		for (const char *s = out.s; *s; s += strcspn(s, "\n"), s += *s == '\n')
			ck_assert_msg(strcspn(s, "\n") <= 100, "%s: %s", c->name, s);
	}
	cli_str_reset(&out);
	cli_help_program(cli_cmds, &out);
	ck_assert_ptr_nonnull(strstr(cli_str_text(&out), "memory-profile-trace"));
	cli_str_fini(&out);
	cli_str_fini(&err);
}
END_TEST

START_TEST(numbers)
{
	struct cli_err err;
	uint64_t n;
	double d;

	ck_assert_int_eq(cli_number("65535", 1, 65535, "x", &err, &n), 0);
	ck_assert_uint_eq(n, 65535);
	ck_assert_int_lt(cli_number("65536", 1, 65535, "x", &err, &n), 0);
	ck_assert_int_lt(cli_number("-1", 0, UINT64_MAX, "x", &err, &n), 0);
	ck_assert_int_lt(cli_number(" 1", 0, 9, "x", &err, &n), 0);
	ck_assert_int_lt(cli_number("1k", 0, 9, "x", &err, &n), 0);
	ck_assert_int_lt(cli_number("99999999999999999999", 0, UINT64_MAX, "x", &err, &n), 0);
	ck_assert_int_eq(cli_seconds("0.5s", 0, 10, "x", &err, &d), 0);
	ck_assert_double_eq(d, 0.5);
	ck_assert_int_lt(cli_seconds("nan", 0, 10, "x", &err, &d), 0);
	ck_assert_int_lt(cli_seconds("11", 0, 10, "x", &err, &d), 0);
}
END_TEST

UNIT_MAIN("diag/cli_args", options, raw_arguments, rules, suggestions, help, numbers)
