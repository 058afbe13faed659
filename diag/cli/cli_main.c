/* SPDX-License-Identifier: MIT */
#include "cli_cmds.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_conn.h"
#include "cli_term.h"

#define USAGE_STATUS 2
#define VERSION "0.1.0"

static int show_help(const struct cli_parsed *p)
{
	struct cli_str out = { 0 };
	int r;

	if (p->version)
		cli_str_puts(&out, "keeldiag " VERSION "\n");
	else if (p->cmd)
		cli_help_cmd(p->cmd, &out);
	else
		cli_help_program(cli_cmds, &out);
	r = cli_str_write(&out, stdout);
	cli_str_fini(&out);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int usage_failed(struct cli_str *words, int argc, char **argv)
{
	bool json = false;

	for (int i = 1; i < argc; i++)
		json |= !strcmp(argv[i], "--json");
	if (json) {
		struct cli_str out = { 0 };

		cli_str_puts(&out, "{\"error\":");
		cli_str_json(&out, cli_str_text(words), words->len);
		cli_str_puts(&out, ",\"causes\":[]}\n");
		(void)!cli_str_write(&out, stderr);
		cli_str_fini(&out);
	} else {
		(void)!cli_str_write(words, stderr);
	}
	return USAGE_STATUS;
}

static int run(const struct cli_parsed *p)
{
	struct cli_ctx c = { .args = p, .json = p->json };
	int status;

	if (p->vm) {
		c.path = cli_vm_path(p->vm);
		c.rpc = cli_rpc_create(c.path);
		if (!c.rpc)
			return EXIT_FAILURE;
	}
	status = p->cmd->run(&c);
	cli_term_restore();
	if (status >= 0 && (fflush(stdout) || ferror(stdout)))
		status = cli_err_os(&c.err, errno ? errno : EIO);
	if (status < 0) {
		cli_err_print(&c.err, stderr, c.json);
		status = EXIT_FAILURE;
	}
	cli_rpc_destroy(c.rpc);
	return status;
}

int cli_main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct cli_parsed p = { 0 };
	struct cli_str words = { 0 };
	int r, status;

	(void)sigaction(SIGPIPE, &ignore, NULL);
	r = cli_parse(cli_cmds, argc, argv, &words, &p);
	if (r < 0) {
		status = usage_failed(&words, argc, argv);
	} else {
		status = p.help || p.version ? show_help(&p) : run(&p);
	}
	cli_str_fini(&words);
	cli_parsed_fini(&p);
	return status;
}
