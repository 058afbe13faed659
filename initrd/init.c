/* SPDX-License-Identifier: MIT */
/*
 * PID 1 of VTL2: mounts, kernel settings, standard streams, then the daemon; reaps what loses its
 * parent. When the daemon ends, for whatever reason, this ends too: the kernel panics and, with
 * panic=-1, resets the VM at once. A paravisor without its daemon must not keep a guest running.
 *
 * Words of the kernel's command line that the kernel does not know arrive here as arguments (such
 * as "noxsave") or environment (all X=Y): arguments mean nothing, the environment is handed on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "confid.h"
#include "initlog.h"
#include "mounts.h"
#include "settings.h"

#define DAEMON "/bin/keel"
#define SHELL "/bin/busybox"

/* Exit status when the daemon did not end by its own exit. */
#define STATUS_SIGNAL 255

static uint64_t boottime_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool env_is_set(const char *name)
{
	const char *val = getenv(name);

	return val && (strcmp(val, "1") == 0 || strcmp(val, "true") == 0);
}

static int redirect(const char *path, int flags, int target)
{
	int fd = open(path, flags);

	if (fd < 0)
		return -errno;
	if (fd == target)
		return 0;
	if (dup2(fd, target) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	(void)close(fd);
	return 0;
}

/* Nothing to read; what anyone prints ends up in the kernel's log, line by line. */
static int set_streams(void)
{
	int r = redirect("/dev/null", O_RDONLY, STDIN_FILENO);

	if (r == 0)
		r = redirect("/dev/null", O_WRONLY, STDOUT_FILENO);
	if (r == 0 && redirect("/dev/ttyprintk", O_WRONLY | O_NOCTTY, STDERR_FILENO) < 0)
		r = redirect("/dev/kmsg", O_WRONLY, STDERR_FILENO);
	return r;
}

static void feed_entropy(void)
{
	int r = settings_entropy(!confid_read().confidential);

	if (r == -ENOENT)
		initlog_info("the device tree has no random seed");
	else if (r < 0)
		initlog_warn("cannot use the random seed of the device tree: %s", strerror(-r));
}

static void set_nvme(void)
{
	int r;

	if (!env_is_set("OPENHCL_NVME_VFIO"))
		return;
	r = settings_nvme_vfio();
	if (r < 0)
		initlog_warn("cannot hand NVMe controllers to vfio-pci: %s", strerror(-r));
}

/* When this kernel's user space began, for the daemon's account of the boot. */
static int set_boot_time(uint64_t ns)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, ns);
	return setenv("KERNEL_BOOT_TIME", text, 1) < 0 ? -errno : 0;
}

static int set_up(uint64_t start_ns)
{
	int r = mounts_all();

	if (r < 0)
		return r;
	r = set_streams();
	if (r < 0) {
		initlog_err("cannot set up the standard streams: %s", strerror(-r));
		return r;
	}
	(void)settings_apply("", !confid_read().restricted); /* reports by itself */
	feed_entropy();
	set_nvme();
	if (sethostname("keel", 4) < 0)
		initlog_warn("cannot set the host name: %s", strerror(errno));
	r = settings_limits();
	if (r < 0)
		initlog_warn("cannot set the resource limits: %s", strerror(-r));
	return set_boot_time(start_ns);
}

static pid_t spawn_daemon(void)
{
	static char name[] = DAEMON;
	char *argv[] = { name, NULL };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)setsid();
	(void)execv(DAEMON, argv);
	initlog_err("cannot start %s: %s", DAEMON, strerror(errno));
	_exit(127);
}

/* A shell on VTL2's console, in images that carry one and only when the command line asks. */
static bool shell_wanted(void)
{
	return env_is_set("OPENHCL_DEV_SHELL") && access(SHELL, X_OK) == 0;
}

static pid_t spawn_shell(void)
{
	static char name[] = "sh";
	char *argv[] = { name, NULL };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)setsid();
	if (redirect("/dev/console", O_RDWR, STDIN_FILENO) < 0 || dup2(STDIN_FILENO, 1) < 0 ||
	    dup2(STDIN_FILENO, 2) < 0)
		_exit(126);
	(void)ioctl(STDIN_FILENO, TIOCSCTTY, 0); /* without it there is no job control */
	(void)execv(SHELL, argv);
	_exit(127);
}

/* Say how the daemon ended. Returns: what PID 1 exits with. */
static int report_end(int status)
{
	if (WIFEXITED(status)) {
		initlog_err("%s ended with status %d", DAEMON, WEXITSTATUS(status));
		return WEXITSTATUS(status);
	}
	initlog_err("%s was killed by signal %d", DAEMON, WTERMSIG(status));
	return STATUS_SIGNAL;
}

/* Reap until the daemon ends (forever when there is a shell to look around with). */
static int supervise(pid_t daemon, pid_t shell)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0) {
			initlog_err("wait: %s", strerror(errno));
			return STATUS_SIGNAL;
		}
		if (pid == daemon) {
			int code = report_end(status);

			if (shell < 0)
				return code;
			initlog_info("staying for the shell");
		} else if (pid == shell) {
			(void)usleep(200000); /* a shell that cannot run must not spin */
			shell = spawn_shell();
		}
	}
}

int main(void)
{
	uint64_t start_ns = boottime_ns();
	pid_t daemon, shell = -1;
	int r;

	(void)umask(022);
	r = set_up(start_ns);
	if (r < 0)
		return EXIT_FAILURE;
	daemon = spawn_daemon();
	if (daemon < 0) {
		initlog_err("cannot fork: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (shell_wanted())
		shell = spawn_shell();
	return supervise(daemon, shell);
}
