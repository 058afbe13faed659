/* SPDX-License-Identifier: MIT */
#include "outer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

/* The first release whose emulated SVM runs two busy guests without corrupting them. */
#define QEMU_MIN_MAJOR 10
#define QEMU "qemu-system-x86_64"
/* The outer kernel, page cache, hvhost and VTL2's memory. */
#define OUTER_MARGIN_MIB 768
#define QEMU_LINK_FD 3
#define QEMU_TRACE_FD 4

static int need_file(const char *dir, const char *name, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/%s", dir, name);
	if (access(ret_path, R_OK) == 0)
		return 0;
	fprintf(stderr, "hvhost: the outer VM's %s cannot be read (%s); run ./keel build\n",
		ret_path, strerror(errno));
	return -ENOENT;
}

static _Noreturn void exec_version(int out)
{
	int null = open("/dev/null", O_RDWR);

	(void)dup2(null, 0);
	(void)dup2(out, 1);
	(void)dup2(null, 2);
	execlp(QEMU, QEMU, "--version", (char *)NULL);
	_exit(127);
}

/* Major version of the QEMU on the PATH, or -errno. */
static int qemu_major(void)
{
	char line[256] = "";
	const char *p;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		exec_version(fds[1]);
	(void)close(fds[1]);
	if (pid > 0) {
		if (read(fds[0], line, sizeof(line) - 1) < 0)
			line[0] = 0;
		(void)waitpid(pid, NULL, 0);
	}
	(void)close(fds[0]);
	p = strstr(line, "version ");
	return p ? (int)strtol(p + 8, NULL, 10) : -ENOENT;
}

static int check_qemu(void)
{
	int major = qemu_major();

	if (major < 0) {
		fprintf(stderr,
			"hvhost: no usable KVM and no " QEMU
			"; install QEMU %d or newer (./keel does it on Debian)\n",
			QEMU_MIN_MAJOR);
		return -ENOENT;
	}
	if (major < QEMU_MIN_MAJOR) {
		fprintf(stderr,
			"hvhost: " QEMU
			" is version %d, whose emulated SVM is unreliable; install %d or newer\n",
			major, QEMU_MIN_MAJOR);
		return -ENOTSUP;
	}
	return 0;
}

static _Noreturn void exec_qemu(const struct outer_cfg *cfg, const char *kernel, const char *initrd,
				int link_fd, int trace_fd, pid_t parent)
{
	char mem[32], drive[512];
	int null = open("/dev/null", O_RDWR);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	(void)setsid(); /* the terminal's signals are the front end's business */
	(void)dup2(null, 0);
	(void)dup2(null, 1);
	if (cfg->log_fd >= 0)
		(void)dup2(cfg->log_fd, 2);
	if (dup2(link_fd, QEMU_LINK_FD) < 0)
		_exit(126);
	(void)fcntl(QEMU_LINK_FD, F_SETFD, 0);
	if (dup2(trace_fd, QEMU_TRACE_FD) < 0)
		_exit(126);
	(void)fcntl(QEMU_TRACE_FD, F_SETFD, 0);
	snprintf(mem, sizeof(mem), "%lluM",
		 (unsigned long long)(cfg->guest_bytes >> 20) + OUTER_MARGIN_MIB);
	snprintf(drive, sizeof(drive), "file=%s,format=raw,if=virtio,readonly=on", cfg->image);
	execlp(QEMU, QEMU, "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-m",
	       mem, "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none", "-monitor",
	       "none", "-chardev", "file,id=console,path=/dev/stderr,append=on", "-serial",
	       "chardev:console", "-d", "cpu_reset", "-D", "/proc/self/fd/4", "-no-reboot",
	       "-kernel", kernel, "-initrd", initrd, "-append",
	       "console=ttyS0 quiet mitigations=off panic=-1", "-drive", drive, "-device",
	       "isa-debug-exit,iobase=0x501,iosize=4", "-device", "virtio-serial-pci", "-chardev",
	       "socket,id=link,fd=3", "-device", "virtserialport,chardev=link,name=keel.link",
	       (char *)NULL);
	fprintf(stderr, "hvhost: cannot start " QEMU ": %s\n", strerror(errno));
	_exit(126);
}

int outer_start(const struct outer_cfg *cfg, struct outer *ret_outer)
{
	char kernel[512], initrd[512];
	auto_close int trace = -1;
	int sv[2], r;
	pid_t parent = getpid(), pid;

	if (!cfg->dir) {
		fprintf(stderr, "hvhost: --outer DIR is needed where there is no usable KVM\n");
		return -EINVAL;
	}
	r = need_file(cfg->dir, "vmlinuz", kernel, sizeof(kernel));
	if (r == 0)
		r = need_file(cfg->dir, "initramfs.cpio", initrd, sizeof(initrd));
	if (r == 0)
		r = check_qemu();
	if (r < 0)
		return r;
	trace = memfd_create("cpu_reset", MFD_CLOEXEC);
	if (trace < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		exec_qemu(cfg, kernel, initrd, sv[1], trace, parent);
	(void)close(sv[1]);
	if (pid < 0) {
		r = -errno;
		(void)close(sv[0]);
		return r;
	}
	*ret_outer = (struct outer){ .pid = pid, .link_fd = sv[0], .trace_fd = take_fd(&trace) };
	return 0;
}

static bool trace_has_triple_fault(int fd)
{
	char buf[4096];
	ssize_t n;

	for (off_t off = 0; (n = pread(fd, buf, sizeof(buf), off)) > 16; off += n - 16) {
		if (memmem(buf, (size_t)n, "Triple fault", 12))
			return true;
	}
	return false;
}

bool outer_is_emulator_fault(const struct outer *outer, int wait_status, bool ended)
{
	if (ended)
		return false;
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
		return trace_has_triple_fault(outer->trace_fd);
	/* QEMU itself died; a SIGKILL or SIGTERM is somebody's wish. */
	return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGKILL &&
	       WTERMSIG(wait_status) != SIGTERM;
}
