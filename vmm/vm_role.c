/* SPDX-License-Identifier: MIT */
/* See vm_role.h. One control loop: signals, messages of the control role, the VM. */
#include "vm_role.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bug.h"
#include "daemon_env.h"
#include "ipc.h"
#include "le.h"
#include "log.h"
#include "logfwd.h"
#include "role_proto.h"
#include "role_req.h"
#include "timeline.h"
#include "vm.h"
#include "vm_ask.h"
#include "vm_inspect.h"

#define LOG_AREA "vm"

#define LOOP_ENTRIES 64u
/* After a failed start the host is expected to act; until then everything stays for diagnosis. */
#define FAILED_WAIT_NS (120ull * 1000000000)

struct vm_role {
	struct vm vm;
	struct ipc *ipc;
	struct logfwd log;
	struct loop_fd signal_watch;
	int signal_fd;
	uint64_t flush_id; /* of the last ROLE_FLUSH */
	bool flushing; /* and it was not answered yet */
	uint64_t pause_id; /* of the ROLE_PAUSE that waits */
	struct vm_asks *asks;
};

/* --- what the VM asks of us ------------------------------------------------------------------- */

static void tell(struct vm_role *role, uint32_t type, uint64_t id, const void *body, size_t len)
{
	int r = ipc_send(role->ipc, type, id, body, len);

	if (r && r != -EPIPE) /* the end of the connection is handled where it is noticed */
		log_err(ALLOWED, "message %#x not sent (%d)", type, r);
}

static void on_started(void *ctx)
{
	struct vm_role *role = ctx;
	uint8_t body[ROLE_STARTED_BYTES];

	if (vm_asks_set_vps(role->asks, role->vm.vps, role->vm.dt.n_vps))
		log_warn(ALLOWED, "no memory to ask VPs for their registers");
	le64_store(body, role->vm.times.host_ready);
	le64_store(body + 8, timeline_now_ns());
	tell(role, ROLE_STARTED, 0, body, sizeof(body));
}

static void on_flush_log(void *ctx)
{
	struct vm_role *role = ctx;

	logfwd_flush(&role->log);
	role->flushing = ipc_send(role->ipc, ROLE_FLUSH, ++role->flush_id, NULL, 0) == 0;
}

static bool on_log_flushed(void *ctx)
{
	const struct vm_role *role = ctx;

	return !role->flushing;
}

/* --- messages of the control role ------------------------------------------------------------- */

static int on_flushed(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vm_role *role = ctx;

	(void)body;
	(void)len;
	if (id == role->flush_id)
		role->flushing = false;
	return 0;
}

static int on_log_filter(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	char text[LOG_FILTER_MAX];

	(void)ctx;
	(void)id;
	memcpy(text, body, len);
	text[len] = '\0';
	if (log_filter_set(text, NULL, 0))
		log_warn(ALLOWED, "the log filter was not taken over");
	return 0;
}

static int on_crash(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vm_role *role = ctx;

	(void)id;
	(void)body;
	(void)len;
	log_err(ALLOWED, "explicit panic request");
	logfwd_flush(&role->log);
	bug_abort();
}

/* --- orders ----------------------------------------------------------------------------------- */

static void answer(struct vm_role *role, uint64_t id, const char *text)
{
	tell(role, ROLE_ANSWER, id, text, text ? MIN(strlen(text), (size_t)ROLE_TEXT_MAX) : 0);
}

static void on_paused(void *ctx, const char *err)
{
	struct vm_role *role = ctx;

	if (!err)
		log_info(ALLOWED, "VTL0 is paused");
	answer(role, role->pause_id, err);
}

static int on_pause(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vm_role *role = ctx;

	(void)body;
	(void)len;
	if (role->vm.pause.done) { /* one is on its way, and its answer needs this place */
		answer(role, id, "VM is already paused");
		return 0;
	}
	role->pause_id = id;
	vm_pause(&role->vm.pause, on_paused, role);
	return 0;
}

static int on_resume(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vm_role *role = ctx;
	const char *why = vm_unpause(&role->vm.pause);

	(void)body;
	(void)len;
	if (!why)
		log_info(ALLOWED, "VTL0 runs again");
	answer(role, id, why);
	return 0;
}

/* Restart and DumpSavedState need the state of the devices in a form that can be kept. */
static int on_no_state(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vm_role *role = ctx;

	(void)body;
	(void)len;
	answer(role, id,
	       role->vm.started ? "saving the state of the VM is not supported"
				: "worker has not been started yet");
	return 0;
}

/* --- the tree --------------------------------------------------------------------------------- */

static int on_inspect(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vm_role *role = ctx;

	return vm_asks_request(role->asks, id, body, len);
}

static void on_inspected(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct vm_role *role = ctx;

	if (ipc_send(role->ipc, ROLE_INSPECTED, id, body, len) == -ENOSPC)
		tell(role, ROLE_INSPECTED, id, NULL, 0); /* control is behind: nothing this time */
}

static int make_asks(struct vm_role *role)
{
	struct vm_asks_cfg cfg = {
		.loop = role->vm.ctl,
		.max = role->vm.confid.restricted ? SENS_SAFE : SENS_SENSITIVE,
		.root = vm_inspect,
		.obj = &role->vm,
		.answer = on_inspected,
		.ctx = role,
	};

	return vm_asks_create(&cfg, &role->asks);
}

static const struct ipc_permit permits[] = {
	{ ROLE_INSPECT, 0, ROLE_INSPECT_HEAD, ROLE_REQ_MAX, on_inspect },
	{ ROLE_PAUSE, 0, 0, 0, on_pause },
	{ ROLE_RESUME, 0, 0, 0, on_resume },
	{ ROLE_RESTART, 0, 0, 0, on_no_state },
	{ ROLE_SAVE, 0, 0, 0, on_no_state },
	{ ROLE_LOG_FILTER, 0, 0, LOG_FILTER_MAX - 1, on_log_filter },
	{ ROLE_FLUSHED, 0, 0, 0, on_flushed },
	{ ROLE_CRASH, 0, 0, 0, on_crash },
};

/* Nobody supervises the VM any more: VTL0 must not run on. */
static void on_gone(void *ctx, int err)
{
	(void)ctx;
	logfwd_detach(&((struct vm_role *)ctx)->log);
	log_err(ALLOWED, "the control role is gone (%d)", err);
	logfwd_flush(&((struct vm_role *)ctx)->log);
	_exit(DAEMON_EXIT_RUN_FAILED);
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_signal(void *ctx, uint32_t events)
{
	struct vm_role *role = ctx;
	struct signalfd_siginfo info;

	(void)events;
	/* The fd is the only one of its kind: it is read where it was made. */
	if (read(role->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	vm_log_stats(&role->vm);
	if (info.ssi_signo == SIGTERM) {
		log_info(ALLOWED, "asked to stop");
		role->vm.exit_code = DAEMON_EXIT_OK;
		loop_stop(role->vm.ctl);
	}
}

/* SIGTERM ends the role, SIGUSR1 logs the figures. To be blocked before any thread exists. */
static int watch_signals(struct vm_role *role)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	role->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (role->signal_fd < 0)
		return -errno;
	return loop_fd_add(&role->signal_watch, role->vm.ctl, role->signal_fd, POLLIN, on_signal,
			   role);
}

static int connect_control(struct vm_role *role, int fd)
{
	struct ipc_cfg cfg = {
		.loop = role->vm.ctl,
		.fd = fd,
		.permits = permits,
		.n_permits = ARRAY_SIZE(permits),
		.gone = on_gone,
		.ctx = role,
	};
	int r = ipc_create(&cfg, &role->ipc);

	if (r == 0)
		logfwd_attach(&role->log, role->vm.ctl, role->ipc);
	return r;
}

static void on_give_up(void *ctx)
{
	struct vm *vm = ctx;

	loop_stop(vm->ctl);
}

static int run(struct vm *vm)
{
	struct loop_timer give_up;
	int r = vm_start(vm);

	loop_timer_init(&give_up, vm->ctl, on_give_up, vm);
	if (r) {
		vm->exit_code = DAEMON_EXIT_START_FAILED;
		if (!vm->host.get)
			return r;
		loop_timer_arm(&give_up, loop_now_ns() + FAILED_WAIT_NS);
	}
	r = loop_run(vm->ctl);
	loop_timer_cancel(&give_up);
	return r;
}

static int start(struct vm_role *role, int fd)
{
	struct vm *vm = &role->vm;
	int r = gm_install_fault_handler();

	if (r)
		return r;
	r = loop_create_io(LOOP_ENTRIES, true, &vm->ctl);
	if (r)
		return r;
	r = make_asks(role);
	if (r == 0)
		r = connect_control(role, fd);
	if (r == 0)
		r = watch_signals(role);
	if (r == 0)
		r = run(vm);
	vm_stop(vm);
	vm_asks_destroy(role->asks);
	role->asks = NULL;
	return r;
}

int vm_role_main(int argc, char **argv)
{
	static struct vm_role role;
	static const struct vm_owner owner = {
		.started = on_started,
		.flush_log = on_flush_log,
		.log_flushed = on_log_flushed,
		.ctx = &role,
	};
	struct vm *vm = &role.vm;
	int r;

	if (argc < ROLE_ARGS)
		return DAEMON_EXIT_START_FAILED; /* not meant to be started by hand */
	(void)prctl(PR_SET_NAME, "keel-vm");
	vm->owner = &owner;
	vm->confid = confid_read();
	/* Control has told what is wrong with them. */
	(void)knobs_read(&vm->knobs, NULL, NULL);
	logfwd_init(&role.log, &vm->knobs, vm->confid.restricted);
	vm->times.init_start = vm->knobs.kernel_boot_ns;
	vm->times.daemon_start = strtoull(argv[2], NULL, 10);
	timeline_mark("vm_role");
	r = start(&role, (int)strtol(argv[1], NULL, 10));
	if (r)
		log_err(ALLOWED, "ends with error %d", r);
	logfwd_flush(&role.log);
	return r && vm->exit_code == DAEMON_EXIT_OK ? DAEMON_EXIT_START_FAILED : vm->exit_code;
}
