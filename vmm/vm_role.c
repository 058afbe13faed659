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

#include "daemon_env.h"
#include "ipc.h"
#include "le.h"
#include "log.h"
#include "logfwd.h"
#include "role_proto.h"
#include "timeline.h"
#include "vm.h"

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

static int on_crash(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	(void)id;
	(void)body;
	(void)len;
	log_err(ALLOWED, "explicit panic request");
	logfwd_flush(&((struct vm_role *)ctx)->log);
	abort();
}

static const struct ipc_permit permits[] = {
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
	r = loop_create(LOOP_ENTRIES, &vm->ctl);
	if (r)
		return r;
	r = connect_control(role, fd);
	if (r == 0)
		r = watch_signals(role);
	if (r == 0)
		r = run(vm);
	vm_stop(vm);
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
	(void)knobs_read(&vm->knobs, NULL, NULL); /* control has told what is wrong with them */
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
