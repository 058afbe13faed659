/* SPDX-License-Identifier: MIT */
/* See vmproc.h. */
#include "vmproc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc.h"
#include "le.h"
#include "role_proto.h"

#define LOG_AREA "control"

#define CHILD_FD 3
#define ARGS_MAX 256u

/* --- its messages ----------------------------------------------------------------------------- */

/* A text that came as bytes, terminated and printable. */
static void copy_text(char *ret_text, size_t cap, const uint8_t *body, size_t len)
{
	size_t n = MIN(len, cap - 1);

	for (size_t i = 0; i < n; i++)
		ret_text[i] = body[i] < ' ' || body[i] > '~' ? '?' : (char)body[i];
	ret_text[n] = '\0';
}

static int on_started(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vmproc *vp = ctx;

	(void)id;
	(void)len;
	vp->ops->started(vp->ctx, le64_load(body), le64_load(body + 8));
	return 0;
}

static int on_log(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vmproc *vp = ctx;
	struct log_field fields[LOG_FIELDS_MAX];
	struct log_record rec;
	int r = log_record_decode(body, len, fields, &rec);

	(void)id;
	if (r == 0)
		vp->ops->log(vp->ctx, &rec);
	return r;
}

static int on_inspected(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vmproc *vp = ctx;

	vp->ops->inspected(vp->ctx, id, body, len);
	return 0;
}

static int on_answer(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vmproc *vp = ctx;
	char text[ROLE_TEXT_MAX + 1];

	copy_text(text, sizeof(text), body, len);
	vp->ops->answered(vp->ctx, id, text);
	return 0;
}

static int on_flush(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vmproc *vp = ctx;

	(void)body;
	(void)len;
	vp->ops->flush(vp->ctx, id);
	return 0;
}

static const struct ipc_permit permits[] = {
	{ ROLE_STARTED, IPC_ONCE, ROLE_STARTED_BYTES, ROLE_STARTED_BYTES, on_started },
	{ ROLE_LOG, 0, 1, LOG_RECORD_MAX, on_log },
	{ ROLE_INSPECTED, 0, 0, IPC_BODY_MAX, on_inspected },
	{ ROLE_ANSWER, 0, 0, ROLE_TEXT_MAX, on_answer },
	{ ROLE_FLUSH, 0, 0, 0, on_flush },
};

/* --- its end ---------------------------------------------------------------------------------- */

/* Connections end after core dumps are written: nothing is cut off. */
static void on_gone(void *ctx, int err)
{
	struct vmproc *vp = ctx;

	if (err != -EPIPE)
		log_err(ALLOWED, "the vm role does not keep to the protocol (%d)", err);
	ipc_destroy(vp->ipc);
	vp->ipc = NULL;
	vmproc_kill(vp, SIGKILL);
}

static int reap(struct vmproc *vp)
{
	int status = 0;

	while (waitpid(vp->pid, &status, 0) < 0 && errno == EINTR)
		;
	vp->pid = 0;
	return status;
}

static void on_pidfd(void *ctx, uint32_t events)
{
	struct vmproc *vp = ctx;

	(void)events;
	loop_fd_remove(&vp->watch);
	vp->ops->ended(vp->ctx, reap(vp));
}

/* --- its start -------------------------------------------------------------------------------- */

static void put_args(const struct vmproc_start *start, char fd[16], char since[24],
		     const char **argv)
{
	size_t n = 0;

	(void)snprintf(fd, 16, "%d", CHILD_FD);
	(void)snprintf(since, 24, "%llu", (unsigned long long)start->daemon_start_ns);
	argv[n++] = ROLE_VM_NAME;
	argv[n++] = fd;
	argv[n++] = since;
	for (size_t i = 0; i < ARRAY_SIZE(start->args); i++) {
		for (size_t k = 0; k < start->args[i].n && n < ARGS_MAX; k++)
			argv[n++] = start->args[i].arg[k];
	}
	argv[n] = NULL;
}

/* Between fork and exec: system calls only. */
static _Noreturn void become(int fd, pid_t parent, const char **argv, char *const *env)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	/* Without its supervisor it must not run, nor gain by what it runs. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    getppid() != parent)
		_exit(127);
	if (fd == CHILD_FD ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, CHILD_FD) < 0)
		_exit(127);
	/* The strings stay as they are: exec copies them. */
	(void)execve("/proc/self/exe", (char *const *)(uintptr_t)argv, env);
	_exit(127);
}

static int spawn(struct vmproc *vp, const struct vmproc_start *start, int fd)
{
	char fd_text[16], since[24];
	const char *argv[ARGS_MAX + 1];
	const pid_t self = getpid();
	pid_t pid;

	put_args(start, fd_text, since, argv);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(fd, self, argv, start->env);
	vp->pid = pid;
	vp->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return vp->pidfd < 0 ? -errno : 0;
}

static int connect_role(struct vmproc *vp, int *fd)
{
	struct ipc_cfg cfg = {
		.loop = vp->loop,
		.fd = *fd,
		.permits = permits,
		.n_permits = ARRAY_SIZE(permits),
		.gone = on_gone,
		.ctx = vp,
	};
	int r = ipc_create(&cfg, &vp->ipc);

	if (r)
		return r;
	(void)take_fd(fd);
	return loop_fd_add(&vp->watch, vp->loop, vp->pidfd, POLLIN, on_pidfd, vp);
}

void vmproc_init(struct vmproc *vp, struct loop *loop, const struct vmproc_ops *ops, void *ctx)
{
	*vp = (struct vmproc){ .loop = loop, .ops = ops, .ctx = ctx, .pidfd = -1 };
}

int vmproc_launch(struct vmproc *vp, const struct vmproc_start *start)
{
	int fd[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return -errno;
	r = spawn(vp, start, fd[1]);
	(void)close(fd[1]);
	if (r == 0)
		r = connect_role(vp, &fd[0]);
	if (fd[0] >= 0)
		(void)close(fd[0]);
	if (r)
		vmproc_fini(vp);
	return r;
}

int vmproc_send(struct vmproc *vp, uint32_t type, uint64_t id, const void *body, size_t len)
{
	return vp->ipc ? ipc_send(vp->ipc, type, id, body, len) : -EPIPE;
}

void vmproc_kill(struct vmproc *vp, int signo)
{
	if (vp->pid > 0)
		(void)kill(vp->pid, signo);
}

void vmproc_fini(struct vmproc *vp)
{
	if (vp->watch.loop)
		loop_fd_remove(&vp->watch);
	if (vp->pid > 0) {
		vmproc_kill(vp, SIGKILL);
		(void)reap(vp);
	}
	ipc_destroy(vp->ipc);
	vp->ipc = NULL;
	if (vp->pidfd >= 0)
		(void)close(vp->pidfd);
	vp->pidfd = -1;
}
