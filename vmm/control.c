/* SPDX-License-Identifier: MIT */
/* See control.h. One thread, one loop. */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "control_priv.h"
#include "daemon_env.h"
#include "guid.h"
#include "log.h"
#include "role_proto.h"
#include "timeline.h"

#define LOG_AREA "control"

/* The host's log channel is looked at this often while somebody waits for it to be empty. */
#define DRAIN_POLL_NS (5ull * 1000000)
#define DRAIN_MAX_NS (2000ull * 1000000)

/* --- the log on its way to the host ----------------------------------------------------------- */

static void drained(struct control *c)
{
	c->drain_until_ns = 0;
	if (c->flush_asked && vmproc_send(&c->vm, ROLE_FLUSHED, c->flush_id, NULL, 0))
		log_debug(ALLOWED, "nobody waits for the log any more");
	c->flush_asked = false;
	if (c->ending)
		loop_stop(c->loop);
}

static void on_drain_timer(void *ctx)
{
	struct control *c = ctx;
	uint64_t now = loop_now_ns();

	logout_flush(&c->log);
	if ((logout_idle(&c->log) && (!c->ending || vmproc_silent(&c->vm))) ||
	    now >= c->drain_until_ns)
		drained(c);
	else
		loop_timer_arm(&c->drain_timer, now + DRAIN_POLL_NS);
}

static void drain(struct control *c)
{
	c->drain_until_ns = loop_now_ns() + DRAIN_MAX_NS;
	on_drain_timer(c);
}

/* --- the vm role ------------------------------------------------------------------------------ */

static void on_vm_started(void *ctx, uint64_t host_ready_ns, uint64_t now_ns)
{
	struct control *c = ctx;

	c->state = CTL_STARTED;
	timeline_mark_at("host_ready", host_ready_ns);
	timeline_mark_at("started", now_ns);
}

static void on_vm_log(void *ctx, const struct log_record *rec)
{
	struct control *c = ctx;

	logout_forward(&c->log, rec);
}

static void on_vm_inspected(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct control *c = ctx;

	ctl_asks_answer(c->asks, id, body, len);
}

static void on_vm_answered(void *ctx, uint64_t id, const char *text)
{
	struct control *c = ctx;

	ctl_diag_answered(c, id, text);
}

static void on_vm_flush(void *ctx, uint64_t id)
{
	struct control *c = ctx;

	c->flush_asked = true;
	c->flush_id = id;
	drain(c);
}

static void on_vm_ended(void *ctx, int status)
{
	struct control *c = ctx;

	if (WIFSIGNALED(status)) {
		log_err(ALLOWED, "the vm role was killed by signal %d", WTERMSIG(status));
		c->exit_code = DAEMON_EXIT_RUN_FAILED;
	} else {
		c->exit_code = WEXITSTATUS(status);
		if (c->exit_code)
			log_err(ALLOWED, "the vm role ended with status %d", c->exit_code);
	}
	ctl_diag_vm_gone(c);
	c->ending = true;
	drain(c);
}

static const struct vmproc_ops vm_ops = {
	.started = on_vm_started,
	.log = on_vm_log,
	.inspected = on_vm_inspected,
	.answered = on_vm_answered,
	.flush = on_vm_flush,
	.ended = on_vm_ended,
};

void control_send_filter(struct control *c)
{
	char text[LOG_FILTER_MAX];

	c->filter_changed = true;
	log_filter_get(text);
	if (c->vm.pid > 0 && vmproc_send(&c->vm, ROLE_LOG_FILTER, 0, text, strlen(text)))
		log_warn(ALLOWED, "the vm role does not hear of the log filter");
}

int control_launch(struct control *c, char *const *env, const char *const *args, size_t n)
{
	struct vmproc_start start = {
		.daemon_start_ns = c->start_ns,
		.args = { { (const char *const *)c->args, 0 }, { args, n } },
		.env = env,
	};
	int r;

	while (start.args[0].arg[start.args[0].n])
		start.args[0].n++;
	r = vmproc_launch(&c->vm, &start);
	if (r)
		log_err(ALLOWED, "the vm role cannot be started (%d)", r);
	else
		c->state = CTL_STARTING;
	if (r == 0 && c->filter_changed)
		control_send_filter(c);
	return r;
}

/* --- life ------------------------------------------------------------------------------------- */

/* SIGTERM ends the VM and thereby all; SIGUSR1 logs its figures. */
static void on_signal(void *ctx, uint32_t events)
{
	struct control *c = ctx;
	struct signalfd_siginfo info;

	(void)events;
	/* The fd is the only one of its kind: it is read where it was made. */
	if (read(c->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (c->vm.pid)
		vmproc_kill(&c->vm, (int)info.ssi_signo);
	else if (info.ssi_signo == SIGTERM)
		loop_stop(c->loop);
}

static int watch_signals(struct control *c)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signal_fd < 0)
		return -errno;
	return loop_fd_add(&c->signal_watch, c->loop, c->signal_fd, POLLIN, on_signal, c);
}

/*
 * The pid file is locked for as long as the process lives: one who starts the program again, from a
 * shell for example, must not take the partition from the one that runs.
 * Returns: 0; -EEXIST: somebody else has it
 */
static int take_pid_file(const char *path)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		(void)close(fd);
		return -EEXIST;
	}
	if (fd < 0 || ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n)
		log_warn(ALLOWED, "pid file not written");
	return 0; /* the descriptor stays open, and with it the lock */
}

static void make_node_id(struct control *c)
{
	struct guid id = { 0 };
	char text[GUID_STR_LEN + 1];

	(void)getrandom(&id, sizeof(id), GRND_NONBLOCK); /* it tells starts apart, no more */
	guid_format(&id, text);
	(void)snprintf(c->node_id, sizeof(c->node_id), "%s", text);
}

static int start(struct control *c)
{
	int r = loop_create_epoll(&c->loop);

	if (r)
		return r;
	loop_timer_init(&c->drain_timer, c->loop, on_drain_timer, c);
	memstat_start(&c->memstat, c->loop);
	vmproc_init(&c->vm, c->loop, &vm_ops, c);
	r = watch_signals(c);
	if (r)
		return r;
	r = ctl_diag_start(c); /* clients are served from before the VM is there */
	if (r)
		return r;
	if (c->knobs.wait_for_start)
		log_info(ALLOWED, "waits for a client to start the VM");
	else
		r = control_launch(c, environ, NULL, 0);
	if (r)
		return r;
	logout_attach(&c->log, c->loop);
	return loop_run(c->loop);
}

int control_main(int argc, char **argv)
{
	static struct control c;
	const char *bad;
	unsigned int unknown;
	int r;

	c.start_ns = timeline_now_ns();
	c.signal_fd = -1;
	timeline_mark("daemon");
	c.confid = confid_read();
	bad = knobs_read(&c.knobs, NULL, NULL);
	logout_init(&c.log, &c.knobs, c.confid.restricted);
	if (bad)
		log_warn(ALLOWED, "%s: value not understood, ignored", bad);
	unknown = knobs_args(&c.knobs, argc, argv);
	if (unknown)
		log_info(ALLOWED, "%u unknown arguments ignored", unknown);
	if (take_pid_file(c.knobs.pid_file)) {
		log_err(ALLOWED, "the daemon runs already");
		return DAEMON_EXIT_START_FAILED;
	}
	make_node_id(&c);
	c.args = argv + (argc ? 1 : 0);
	r = start(&c);
	if (r)
		log_err(ALLOWED, "ends with error %d", r);
	ctl_diag_stop(&c);
	vmproc_fini(&c.vm);
	logout_flush(&c.log);
	logout_detach(&c.log);
	return r && c.exit_code == DAEMON_EXIT_OK ? DAEMON_EXIT_START_FAILED : c.exit_code;
}
