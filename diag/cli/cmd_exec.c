/* SPDX-License-Identifier: MIT */
/* Programs in VTL2: shell, run, gdbserver, core-dump. */
#include "cli_cmds.h"

#include <diag.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli_io.h"
#include "cli_term.h"

/* Arguments of the command line from @first on. The encoder only reads them. */
static void set_args(Diag__ExecRequest *req, const struct cli_parsed *p, size_t first)
{
	if (p->n_pos <= first)
		return;
	req->args = (char **)(uintptr_t)(p->pos + first);
	req->n_args = p->n_pos - first;
}

static struct cli_sink sink(int fd, const char *name, bool json)
{
	return (struct cli_sink){ .fd = fd,
				  .name = name,
				  .kind = json ? CLI_SINK_JSON : CLI_SINK_RAW };
}

/* Run to the end with our own input and output. */
static int run_stdio(struct cli_ctx *c, Diag__ExecRequest *req, bool json)
{
	struct cli_sink out = sink(STDOUT_FILENO, "stdout", json);
	struct cli_sink err = sink(json ? STDOUT_FILENO : STDERR_FILENO, "stderr", json);
	struct svc_proc proc;
	int32_t pid, code = 0;
	int r;

	if (svc_spawn(c, req, true, &proc) < 0)
		return -1;
	pid = proc.pid;
	r = cli_stdio(c, &proc, &out, &err, false);
	if (!r)
		r = svc_wait(c, &proc, &code);
	svc_proc_fini(c, &proc);
	cli_sink_fini(&out);
	cli_sink_fini(&err);
	if (r < 0)
		return -1;
	if (json) {
		printf("{\"pid\":%d,\"exit_code\":%d}\n", pid, code);
	}
	return code & 0xff;
}

int cmd_run(struct cli_ctx *c)
{
	Diag__ExecRequest req;

	diag__exec_request__init(&req);
	req.command = (char *)(uintptr_t)cli_pos(c->args, 0);
	set_args(&req, c->args, 1);
	return run_stdio(c, &req, c->json);
}

int cmd_gdbserver(struct cli_ctx *c)
{
	Diag__ExecRequest req;
	const char *pid = cli_value(c->args, 'p');
	char script[128], opt[] = "-c", sh[] = "/bin/sh";
	char *args[] = { opt, script };
	uint64_t n;

	diag__exec_request__init(&req);
	/* --once: it ends with its input instead of spinning. */
	if (cli_has(c->args, 'm')) {
		(void)snprintf(script, sizeof(script), "gdbserver --once --multi -");
	} else if (pid) {
		if (cli_number(pid, 0, INT32_MAX, "the pid", &c->err, &n) < 0)
			return -1;
		(void)snprintf(script, sizeof(script), "gdbserver --once --attach - %d",
			       (int32_t)n);
	} else {
		(void)snprintf(script, sizeof(script),
			       "gdbserver --once --attach - \"$(cat /run/underhill.pid)\"");
	}
	req.command = sh;
	req.args = args;
	req.n_args = ARRAY_SIZE(args);
	return run_stdio(c, &req, false);
}

static Diag__EnvPair env(const char *name, const char *val)
{
	Diag__EnvPair e;

	diag__env_pair__init(&e);
	e.name = (char *)(uintptr_t)name;
	e.value = (char *)(uintptr_t)val;
	e.has_value_case = DIAG__ENV_PAIR__HAS_VALUE_VALUE;
	return e;
}

int cmd_shell(struct cli_ctx *c)
{
	Diag__ExecRequest req;
	struct cli_sink out = sink(STDOUT_FILENO, "stdout", false), err = out;
	const char *term = getenv("TERM");
	char rows[16], cols[16];
	unsigned int n_rows, n_cols;
	Diag__EnvPair vars[3], *list[3];
	struct svc_proc proc;
	int32_t code = 0;
	bool known;
	int r;

	diag__exec_request__init(&req);
	/* The protocol has no window size: programs that care look at these. */
	known = cli_term_size(&n_rows, &n_cols);
	(void)snprintf(rows, sizeof(rows), "%u", n_rows);
	(void)snprintf(cols, sizeof(cols), "%u", n_cols);
	vars[0] = env("TERM", term && *term ? term : "xterm-256color");
	vars[1] = env("LINES", rows);
	vars[2] = env("COLUMNS", cols);
	for (size_t i = 0; i < ARRAY_SIZE(vars); i++)
		list[i] = &vars[i];
	req.env = list;
	req.n_env = known && isatty(STDOUT_FILENO) ? 3 : 1;
	req.tty = true;
	req.command = (char *)(uintptr_t)cli_pos(c->args, 0);
	set_args(&req, c->args, 1);
	if (svc_spawn(c, &req, true, &proc) < 0)
		return -1;
	(void)!cli_term_raw(false); /* no terminal: its input is a script */
	r = cli_stdio(c, &proc, &out, &err, true);
	cli_term_restore();
	if (!r)
		r = svc_wait(c, &proc, &code);
	svc_proc_fini(c, &proc);
	if (r < 0)
		return -1;
	if (code)
		(void)fprintf(stderr, "shell exited with non-zero exit code: %d\n", code);
	return 0;
}

/* Does the dump itself go to standard output? Then nothing else may. */
static int dump(struct cli_ctx *c, int32_t pid, int fd)
{
	struct cli_sink out = { .fd = fd, .kind = CLI_SINK_RAW };
	struct cli_sink err = { .fd = STDERR_FILENO, .kind = CLI_SINK_TEXT };
	Diag__ExecRequest req;
	char number[16], verbose[] = "-v", program[] = "/bin/underhill-dump";
	char *args[2] = { verbose, number };
	bool v = cli_has(c->args, 'v');
	struct svc_proc proc;
	int32_t code = 0;
	int r;

	diag__exec_request__init(&req);
	(void)snprintf(number, sizeof(number), "%d", pid);
	req.command = program;
	req.args = args + (v ? 0 : 1);
	req.n_args = v ? 2 : 1;
	/* The dump tool writes to the sockets itself, so that the server can be dumped, too. */
	req.raw_socket_io = true;
	if (svc_spawn(c, &req, false, &proc) < 0)
		return cli_err_wrap(&c->err, "failed to launch underhill-dump");
	r = cli_stdio(c, &proc, &out, &err, false);
	if (!r && svc_wait(c, &proc, &code) < 0)
		r = cli_err_wrap(&c->err, "failed to wait for underhill-dump");
	svc_proc_fini(c, &proc);
	cli_sink_fini(&err);
	if (!r && code)
		r = cli_err_set(&c->err, "underhill-dump failed with exit code %d", code);
	return r;
}

int cmd_core_dump(struct cli_ctx *c)
{
	const char *dst = cli_pos(c->args, 0);
	auto_close int fd = -1;
	int32_t pid;

	if (!dst && isatty(STDOUT_FILENO))
		return cli_err_set(&c->err, "cannot write to terminal");
	if (svc_pid_arg(c, &pid) < 0)
		return -1;
	if (!c->json)
		(void)fprintf(dst ? stdout : stderr, "Dumping PID: %d\n", pid);
	(void)fflush(stdout);
	fd = cli_output(dst, &c->err);
	if (fd < 0 || dump(c, pid, fd) < 0)
		return -1;
	if (c->json)
		(void)fprintf(dst ? stdout : stderr, "{\"pid\":%d,\"ok\":true}\n", pid);
	return 0;
}
