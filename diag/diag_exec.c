/* SPDX-License-Identifier: MIT */
/*
 * Programs that clients run: launched without waiting for anything, connected to their clients by
 * relays, a terminal or directly, and reaped when they end. Input: requests, checked as messages;
 * what they run is their business, they are the host's. Thread: the loop's.
 */
#include "cleanup.h"
#include "diag_priv.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <diag.pb-c.h>

#define LOG_AREA "diag"

#define LAST_SIGNAL 64
#define CLOSE_RANGE_CLOEXEC_FLAG 4u /* <linux/close_range.h>, newer than some C libraries */
#define SIGNALLED_CODE 255 /* the exit code of a program that a signal ended */

struct diag_child {
	struct diag_grave grave;
	struct list link;
	struct diag_server *srv;
	struct diag_watch start, exit;
	struct diag_call *exec; /* waits for the start, NULL when answered */
	struct diag_call *waiter; /* waits for the end; the exit code is his */
	struct diag_relay *stdin_relay;
	char *command;
	int start_fd; /* says an errno, or ends when the program runs; -1 = it has */
	int pid_fd;
	int conn[3]; /* until the program runs, or until it ends if it has the sockets itself */
	int pipe[3]; /* our ends, until the relays take them */
	bool raw, known, exited;
	pid_t pid;
	int code;
};

/* What the new process needs; everything is made before the fork. */
struct launch {
	const char *command;
	char *const *argv;
	char *const *env;
	int fd[3]; /* its standard files, -1 = inherited */
	int status_fd;
	bool tty;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void release(struct diag_server *srv, int *conn)
{
	if (*conn >= 0)
		diag_data_release(srv, *conn);
	*conn = -1;
}

static int set_nonblock(int fd, bool on)
{
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* ---- the new process ------------------------------------------------------------------------- */

static void reset_signals(void)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig <= LAST_SIGNAL; sig++)
		(void)sigaction(sig, &dfl, NULL); /* fails for the few that cannot be caught */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Above the standard files, so that none is overwritten before it was copied. */
static bool move_up(int *fd)
{
	if (*fd >= 0 && *fd <= 2)
		*fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
	return *fd >= 0;
}

static bool set_files(struct launch *l)
{
	for (int i = 0; i < 3; i++) {
		if (l->fd[i] >= 0 && !move_up(&l->fd[i]))
			return false;
	}
	for (int i = 0; i < 3; i++) {
		if (l->fd[i] >= 0 && dup2(l->fd[i], i) < 0)
			return false;
	}
	/* All of ours are marked already; this is for anything linked in that forgot. */
	(void)syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC_FLAG);
	return true;
}

static _Noreturn void run_child(struct launch *l)
{
	int err;

	reset_signals();
	if (move_up(&l->status_fd) &&
	    (!l->tty || (setsid() >= 0 && ioctl(l->fd[0], TIOCSCTTY, 0) == 0)) && set_files(l))
		(void)execvpe(l->command, l->argv, l->env);
	err = errno;
	if (write(l->status_fd, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* ---- files of the new process ---------------------------------------------------------------- */

/* A terminal: one copy of its master side per direction. */
static const char *make_tty(struct diag_child *c, struct launch *l)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), err;

	release(c->srv, &c->conn[2]);
	if (master < 0)
		return "failed to create pty";
	if (unlockpt(master) == 0 && set_nonblock(master, true) == 0)
		l->fd[0] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	for (int i = 1; i < 3 && l->fd[0] >= 0; i++)
		l->fd[i] = fcntl(l->fd[0], F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 2; i++) {
		if (c->conn[i] >= 0)
			c->pipe[i] = fcntl(master, F_DUPFD_CLOEXEC, 3);
	}
	err = errno;
	(void)close(master);
	errno = err;
	if (l->fd[0] < 0 || l->fd[1] < 0 || l->fd[2] < 0 || (c->conn[0] >= 0 && c->pipe[0] < 0) ||
	    (c->conn[1] >= 0 && c->pipe[1] < 0))
		return "failed to create pty";
	return NULL;
}

/* Copies of the sockets; the originals are told when the program has ended. */
static const char *make_raw(struct diag_child *c, struct launch *l, bool combine)
{
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++) {
		const int from = i == 2 && c->conn[2] < 0 && combine ? 1 : i;

		if (c->conn[from] < 0)
			continue;
		r = set_nonblock(c->conn[from], false);
		if (r == 0) {
			l->fd[i] = fcntl(c->conn[from], F_DUPFD_CLOEXEC, 3);
			r = l->fd[i] < 0 ? -errno : 0;
		}
	}
	errno = -r;
	return r < 0 ? "failed to pass a connection on" : NULL;
}

static const char *make_pipes(struct diag_child *c, struct launch *l, bool combine)
{
	int p[2];

	for (int i = 0; i < 3; i++) {
		if (c->conn[i] < 0)
			continue;
		if (pipe2(p, O_CLOEXEC) < 0)
			return "failed to create pipe pair";
		c->pipe[i] = i ? p[0] : p[1];
		l->fd[i] = i ? p[1] : p[0];
		if (set_nonblock(c->pipe[i], true) < 0)
			return "failed to create polled pipe";
	}
	if (combine && c->conn[2] < 0 && l->fd[1] >= 0) {
		l->fd[2] = fcntl(l->fd[1], F_DUPFD_CLOEXEC, 3);
		if (l->fd[2] < 0)
			return "failed to create pipe pair";
	}
	return NULL;
}

/* ---- life of a child ------------------------------------------------------------------------- */

static void child_free(struct diag_grave *g)
{
	struct diag_child *c = container_of(g, struct diag_child, grave);

	free(c->command);
	free(c);
}

static void child_drop(struct diag_child *c)
{
	diag_watch_stop(&c->start);
	diag_watch_stop(&c->exit);
	if (c->stdin_relay)
		diag_relay_stop(c->stdin_relay);
	close_fd(&c->start_fd);
	close_fd(&c->pid_fd);
	for (int i = 0; i < 3; i++) {
		close_fd(&c->pipe[i]);
		release(c->srv, &c->conn[i]);
	}
	list_del(&c->link);
	diag_bury(c->srv, &c->grave, child_free);
}

static void fail_exec(struct diag_child *c, const char *what, int err)
{
	struct diag_call *call = take_ptr(c->exec);
	char text[DIAG_TEXT_MAX];

	if (!what) {
		(void)snprintf(text, sizeof(text), "failed to launch %.900s", c->command);
		what = text;
	}
	diag_call_errno(call, what, err);
}

static void answer_wait(struct diag_call *call, int code)
{
	Diag__WaitResponse resp = DIAG__WAIT_RESPONSE__INIT;
	uint8_t buf[16];

	resp.exit_code = code;
	diag_call_ok(call, buf, diag__wait_response__pack(&resp, buf));
}

static void answer_exec(struct diag_child *c)
{
	Diag__ExecResponse resp = DIAG__EXEC_RESPONSE__INIT;
	struct diag_call *call = take_ptr(c->exec);
	uint8_t buf[16];

	resp.pid = c->pid;
	diag_call_ok(call, buf, diag__exec_response__pack(&resp, buf));
}

/* The kernel may give a number out again that an exit code is still kept for. */
static void forget(struct diag_server *srv, pid_t pid, const struct diag_child *but)
{
	list_for_each(l, &srv->children) {
		struct diag_child *c = container_of(l, struct diag_child, link);

		if (c->pid == pid && c->exited && c != but) {
			srv->n_exited--;
			child_drop(c);
			return;
		}
	}
}

/* Each relay takes its two ends over, whatever becomes of it. */
static void start_relays(struct diag_child *c)
{
	struct diag_server *srv = c->srv;
	int r;

	for (int i = 0; i < 3; i++) {
		if (c->pipe[i] < 0)
			continue;
		if (i == 0)
			r = diag_relay_start(srv, c->conn[0], true, c->pipe[0], false,
					     &c->stdin_relay);
		else
			r = diag_relay_start(srv, c->pipe[i], false, c->conn[i], true, NULL);
		c->pipe[i] = c->conn[i] = -1;
		if (r < 0)
			log_warn_rl(ALLOWED, "no relay for a program: error %d", -r);
	}
	if (c->raw && c->conn[0] >= 0) {
		/* The program has it; shutting it down is not ours. */
		close_fd(&c->conn[0]);
		srv->n_data--;
	}
}

/* The program runs (err is 0), or could not be started. */
static void started(struct diag_child *c, int err)
{
	diag_watch_stop(&c->start);
	close_fd(&c->start_fd);
	if (err) {
		for (int i = 0; i < 3; i++)
			release(c->srv, &c->conn[i]);
		fail_exec(c, NULL, err);
		return;
	}
	forget(c->srv, c->pid, c);
	c->known = true;
	c->srv->n.programs++;
	log_info_rl(ALLOWED, "program %d runs", (int)c->pid);
	start_relays(c);
	answer_exec(c);
}

static void read_start(struct diag_child *c)
{
	int err = 0;
	ssize_t n;

	if (c->start_fd < 0)
		return;
	n = read(c->start_fd, &err, sizeof(err));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	started(c, n == (ssize_t)sizeof(err) ? err : 0);
}

static void on_start(void *ctx, uint32_t events)
{
	struct diag_child *c = ctx;
	struct diag_server *srv = c->srv;

	(void)events;
	diag_enter(srv);
	read_start(c);
	diag_leave(srv);
}

static void keep_code(struct diag_server *srv)
{
	if (++srv->n_exited <= DIAG_MAX_EXITED)
		return;
	list_for_each(l, &srv->children) {
		struct diag_child *c = container_of(l, struct diag_child, link);

		if (c->exited) {
			srv->n_exited--;
			child_drop(c);
			return;
		}
	}
}

static void ended(struct diag_child *c, int status)
{
	struct diag_server *srv = c->srv;

	c->code = WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED_CODE;
	srv->n_running--;
	diag_watch_stop(&c->exit);
	close_fd(&c->pid_fd);
	read_start(c); /* it may have ended before we heard that it began */
	if (c->exec)
		started(c, ECHILD); /* it ended without a word */
	if (!c->known) {
		child_drop(c);
		return;
	}
	log_info_rl(ALLOWED, "program %d ended with %d", (int)c->pid, c->code);
	if (c->stdin_relay)
		diag_relay_stop(c->stdin_relay);
	for (int i = 1; i < 3; i++) {
		if (c->conn[i] < 0)
			continue;
		diag_stream_finish(srv, c->conn[i]);
		c->conn[i] = -1;
	}
	if (c->waiter) {
		answer_wait(take_ptr(c->waiter), c->code);
		child_drop(c);
		return;
	}
	c->exited = true;
	keep_code(srv);
}

static void on_exit_of(void *ctx, uint32_t events)
{
	struct diag_child *c = ctx;
	struct diag_server *srv = c->srv;
	int status = 0;
	pid_t pid;

	(void)events;
	diag_enter(srv);
	pid = waitpid(c->pid, &status, WNOHANG);
	if (pid == c->pid || (pid < 0 && errno == ECHILD))
		ended(c, pid < 0 ? -1 : status);
	diag_leave(srv);
}

/* ---- launching ------------------------------------------------------------------------------- */

static struct diag_child *child_create(struct diag_call *call, struct diag_exec *x)
{
	struct diag_child *c = calloc(1, sizeof(*c));

	if (c)
		c->command = strdup(x->command);
	if (!c || !c->command) {
		free(c);
		return NULL;
	}
	c->srv = call->srv;
	c->exec = call;
	c->raw = !x->tty && x->raw_socket_io;
	c->start_fd = c->pid_fd = -1;
	for (int i = 0; i < 3; i++) {
		c->pipe[i] = -1;
		c->conn[i] = x->conn[i];
		x->conn[i] = -1;
	}
	list_add_tail(&c->srv->children, &c->link);
	return c;
}

static char **make_argv(const struct diag_exec *x)
{
	char **argv = calloc(x->n_args + 2, sizeof(*argv));

	if (!argv)
		return NULL;
	argv[0] = x->command;
	for (size_t i = 0; i < x->n_args; i++)
		argv[i + 1] = x->args[i];
	return argv;
}

/* Signals wait meanwhile: the handlers of this process must not run in the other. */
static pid_t fork_child(struct launch *l)
{
	sigset_t all, old;
	pid_t pid;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		run_child(l);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

/* Returns: 0; an errno */
static int launch(struct diag_child *c, struct launch *l)
{
	int p[2], err;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return errno;
	c->start_fd = p[0];
	l->status_fd = p[1];
	c->pid = fork_child(l);
	err = errno;
	(void)close(p[1]);
	if (c->pid < 0)
		return err;
	c->srv->n_running++;
	c->pid_fd = (int)syscall(SYS_pidfd_open, c->pid, 0u);
	err = c->pid_fd < 0 ? errno : 0;
	diag_watch_init(&c->start, c->srv->loop, c->start_fd, on_start, c);
	diag_watch_init(&c->exit, c->srv->loop, c->pid_fd, on_exit_of, c);
	if (!err)
		err = -diag_watch_set(&c->start, POLLIN);
	if (!err)
		err = -diag_watch_set(&c->exit, POLLIN);
	return err;
}

/* End it now and take its status, which nobody wants. */
static void child_kill(struct diag_child *c)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	(void)kill(c->pid, SIGKILL); /* not reaped yet: the number is still its own */
	for (int i = 0; i < 1000 && waitpid(c->pid, NULL, WNOHANG) == 0; i++)
		(void)nanosleep(&ms, NULL);
	c->srv->n_running--;
}

static const char *make_files(struct diag_child *c, struct launch *l, const struct diag_exec *x)
{
	if (x->tty)
		return make_tty(c, l);
	return c->raw ? make_raw(c, l, x->combine_stderr) : make_pipes(c, l, x->combine_stderr);
}

static void run(struct diag_child *c, const struct diag_exec *x)
{
	static char *nothing[] = { NULL };
	struct launch l = { .command = x->command, .fd = { -1, -1, -1 }, .tty = x->tty };
	const char *what = make_files(c, &l, x);
	char **argv = make_argv(x), **env = NULL;
	int err = what ? errno : argv ? 0 : ENOMEM;

	if (!err)
		err = -diag_env_build(x->clear_env ? nothing : environ, x->env, x->n_env, &env);
	l.argv = argv;
	l.env = env;
	if (!err)
		err = launch(c, &l);
	free(argv);
	free(env);
	for (int i = 0; i < 3; i++)
		close_fd(&l.fd[i]);
	if (!err)
		return;
	if (c->pid > 0)
		child_kill(c);
	fail_exec(c, what, err);
	child_drop(c);
}

void diag_exec_run(struct diag_call *call, struct diag_exec *x)
{
	struct diag_server *srv = call->srv;
	struct diag_child *c = NULL;
	char text[DIAG_TEXT_MAX];
	int err = EAGAIN;

	diag_enter(srv);
	if (srv->n_running < DIAG_MAX_CHILDREN) {
		c = child_create(call, x);
		err = ENOMEM;
	}
	if (c) {
		run(c, x);
	} else {
		for (int i = 0; i < 3; i++)
			release(srv, &x->conn[i]);
		(void)snprintf(text, sizeof(text), "failed to launch %.900s", x->command);
		diag_call_errno(call, text, err);
	}
	diag_leave(srv);
}

void diag_exec_wait(struct diag_call *call, int32_t pid)
{
	struct diag_server *srv = call->srv;

	list_for_each(l, &srv->children) {
		struct diag_child *c = container_of(l, struct diag_child, link);

		if (c->pid != pid || !c->known || c->waiter)
			continue;
		if (!c->exited) {
			c->waiter = call;
			return;
		}
		srv->n_exited--;
		answer_wait(call, c->code);
		child_drop(c);
		return;
	}
	diag_call_fail(call, "pid not found");
}

void diag_exec_close_all(struct diag_server *srv)
{
	while (!list_empty(&srv->children)) {
		struct diag_child *c = container_of(srv->children.next, struct diag_child, link);

		if (c->pid_fd >= 0)
			child_kill(c);
		if (c->exec)
			diag_call_status(take_ptr(c->exec), DIAG_INTERNAL, "closed");
		if (c->waiter)
			diag_call_status(take_ptr(c->waiter), DIAG_INTERNAL, "closed");
		child_drop(c);
	}
}
