/* SPDX-License-Identifier: MIT */
/*
 * Entry of the daemon: logging, options, signals, then the VM on the control loop. What it expects
 * of its surroundings is written down in daemon_env.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "crash_main.h"
#include "daemon_env.h"
#include "log.h"
#include "timeline.h"
#include "vm.h"

#define LOG_AREA "main"

#define LOOP_ENTRIES 64u
/* After a failed start the host is expected to act; until then everything stays for diagnosis. */
#define FAILED_WAIT_NS (120ull * 1000000000)

static void on_signal(void *ctx, uint32_t events)
{
	struct vm *vm = ctx;
	struct signalfd_siginfo info;

	(void)events;
	/* The fd is the only one of its kind: it is read where it was made. */
	if (read(vm->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	vm_log_stats(vm);
	if (info.ssi_signo == SIGTERM) {
		log_info(ALLOWED, "asked to stop");
		vm->exit_code = DAEMON_EXIT_OK;
		loop_stop(vm->ctl);
	}
}

/* SIGTERM ends the daemon, SIGUSR1 logs the figures. To be blocked before any thread exists. */
static int watch_signals(struct vm *vm, struct loop_fd *lfd)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	vm->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (vm->signal_fd < 0)
		return -errno;
	return loop_fd_add(lfd, vm->ctl, vm->signal_fd, POLLIN, on_signal, vm);
}

static void write_pid_file(const char *path)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		log_warn(ALLOWED, "pid file not written");
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

static int start(struct vm *vm, int argc, char **argv)
{
	unsigned int unknown = knobs_args(&vm->knobs, argc, argv);
	struct loop_fd signal_watch;
	int r;

	if (unknown)
		log_info(ALLOWED, "%u unknown arguments ignored", unknown);
	if (vm->knobs.pid_file)
		write_pid_file(vm->knobs.pid_file);
	r = gm_install_fault_handler();
	if (r)
		return r;
	r = loop_create(LOOP_ENTRIES, &vm->ctl);
	if (r)
		return r;
	r = watch_signals(vm, &signal_watch);
	if (r == 0)
		r = run(vm);
	vm_stop(vm);
	return r;
}

/* Other programs of the same binary, by the name it was started under. */
static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} roles[] = {
	{ "underhill-crash", crash_main },
	{ "underhill-dump", dump_main },
};

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc ? argv[0] : "";
	static struct vm vm;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		if (strcmp(name, roles[i].name) == 0)
			return roles[i].main(argc, argv);
	}
	vm.times.daemon_start = timeline_now_ns();
	timeline_mark("daemon");
	vm.confid = confid_read();
	knobs_read(&vm.knobs, NULL, NULL);
	logout_init(&vm.log, vm.knobs.log_level, vm.confid.restricted);
	vm.times.init_start = vm.knobs.kernel_boot_ns;
	vm.signal_fd = -1;
	r = start(&vm, argc, argv);
	if (r)
		log_err(ALLOWED, "ends with error %d", r);
	return r && vm.exit_code == DAEMON_EXIT_OK ? DAEMON_EXIT_START_FAILED : vm.exit_code;
}
