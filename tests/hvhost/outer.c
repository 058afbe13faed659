/* SPDX-License-Identifier: MIT */
#include "outer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "disk_opt.h"

/*
 * The first series whose emulated SVM changes its word of pending interrupts atomically. Older ones
 * lose timer ticks (the outer VM stands still) and inject vector 0 (guests triple-fault).
 */
#define QEMU_MIN_MAJOR 11
#define QEMU "qemu-system-x86_64"
/* The outer kernel, page cache, hvhost and VTL2's memory. */
#define OUTER_MARGIN_MIB 768
/* Link, record of CPU resets, console: 3, 4 and 5 on the command line below. */
#define QEMU_FIRST_FD 3
#define QEMU_FDS 3

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
			"; install QEMU %d or newer; ./keel run brings its own\n",
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

/*
 * One CPU for the outer VM: with two, threads of the emulator race each other, and about one boot
 * in ten ended with a triple fault of VTL2 or a panic of the outer kernel.
 */
#define OUTER_CPUS "1"

/* The descriptors QEMU is told of by number; out of the way first, so that none is overwritten. */
static void place_fds(int link_fd, const struct outer *mine)
{
	int fds[QEMU_FDS] = { link_fd, mine->trace_fd, mine->console_fd };

	for (int i = 0; i < QEMU_FDS; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < QEMU_FDS; i++) {
		if (fds[i] < 0 || dup2(fds[i], QEMU_FIRST_FD + i) < 0)
			_exit(126);
	}
}

#define QEMU_ARGS (64 + 4 * DISK_OPT_MAX)
#define DRIVE_TEXT (2 * DISK_OPT_PATH + 160)

/* Command line of QEMU, made and used in the child: nothing of it is freed. */
struct args {
	char *v[QEMU_ARGS];
	unsigned n;
};

static void add(struct args *a, const char *fmt, ...) printf_like(2, 3);
static void add(struct args *a, const char *fmt, ...)
{
	char text[DRIVE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (a->n == QEMU_ARGS - 1 || !(a->v[a->n++] = strdup(text)))
		_exit(126);
}

static void add_words(struct args *a, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(a, "%s", words[i]);
}

/* A comma within a value is written twice. */
static void quote(const char *path, char *ret_text)
{
	for (; *path; path++) {
		if (*path == ',')
			*ret_text++ = ',';
		*ret_text++ = *path;
	}
	*ret_text = 0;
}

/* What hvhost flushes in the outer VM, QEMU flushes to the file: cache=writeback. */
static void add_drives(struct args *a, const struct outer_cfg *cfg)
{
	char path[2 * DISK_OPT_PATH];

	add(a, "-drive");
	add(a, "file=%s,format=raw,if=none,id=image,readonly=on", cfg->image);
	/* A device of its own, so that it is the first: /dev/vda. */
	add(a, "-device");
	add(a, "virtio-blk-pci,drive=image");
	for (unsigned i = 0; i < cfg->n_disks; i++) {
		const struct disk_opt *d = &cfg->disks[i];

		if (!d->path[0])
			continue;
		quote(d->path, path);
		add(a, "-drive");
		add(a, "file=%s,format=raw,if=none,id=disk%u,cache=writeback,discard=unmap%s", path,
		    i, d->read_only ? ",readonly=on" : "");
		add(a, "-device");
		add(a, "virtio-blk-pci,drive=disk%u,serial=" OUTER_DISK_SERIAL, i, i);
	}
}

static const char outer_cmdline[] = "console=ttyS0 quiet mitigations=off panic=-1 no_timer_check";

static void build_command(struct args *a, const struct outer_cfg *cfg, const char *kernel,
			  const char *initrd)
{
	static const char *const machine[] = { QEMU,
					       "-accel",
					       "tcg,thread=multi",
					       "-machine",
					       "q35",
					       "-cpu",
					       "max",
					       "-smp",
					       OUTER_CPUS,
					       "-nodefaults",
					       "-no-user-config",
					       "-display",
					       "none",
					       "-monitor",
					       "none",
					       "-chardev",
					       "file,id=console,path=/proc/self/fd/5,append=on",
					       "-serial",
					       "chardev:console",
					       "-d",
					       "cpu_reset",
					       "-D",
					       "/proc/self/fd/4",
					       "-no-reboot",
					       "-append",
					       outer_cmdline };
	static const char *const link[] = {
		"-device",  "isa-debug-exit,iobase=0x501,iosize=4",
		"-device",  "virtio-serial-pci",
		"-chardev", "socket,id=link,fd=3",
		"-device",  "virtserialport,chardev=link,name=keel.link"
	};
	uint64_t mib = cfg->guest_bytes >> 20;

	for (unsigned i = 0; i < cfg->n_disks; i++)
		mib += cfg->disks[i].ram_bytes >> 20;
	add_words(a, machine, ARRAY_SIZE(machine));
	add(a, "-m");
	add(a, "%lluM", (unsigned long long)mib + OUTER_MARGIN_MIB);
	add(a, "-kernel");
	add(a, "%s", kernel);
	add(a, "-initrd");
	add(a, "%s", initrd);
	add_drives(a, cfg);
	add_words(a, link, ARRAY_SIZE(link));
}

static _Noreturn void exec_qemu(const struct outer_cfg *cfg, const char *kernel, const char *initrd,
				int link_fd, const struct outer *mine, pid_t parent)
{
	int null = open("/dev/null", O_RDWR);
	struct args args = { .n = 0 };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	(void)setsid(); /* the terminal's signals are the front end's business */
	(void)dup2(null, 0);
	(void)dup2(null, 1);
	if (cfg->log_fd >= 0)
		(void)dup2(cfg->log_fd, 2);
	place_fds(link_fd, mine);
	build_command(&args, cfg, kernel, initrd);
	(void)execvp(QEMU, args.v);
	fprintf(stderr, "hvhost: cannot start " QEMU ": %s\n", strerror(errno));
	_exit(126);
}

static int make_channels(struct outer *o, int *ret_agent_fd)
{
	int sv[2];

	o->trace_fd = memfd_create("cpu_reset", MFD_CLOEXEC);
	o->console_fd = memfd_create("console", MFD_CLOEXEC);
	if (o->trace_fd < 0 || o->console_fd < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	o->link_fd = sv[0];
	*ret_agent_fd = sv[1];
	return 0;
}

int outer_start(const struct outer_cfg *cfg, struct outer *ret_outer)
{
	struct outer o = { .link_fd = -1, .trace_fd = -1, .console_fd = -1 };
	char kernel[512], initrd[512];
	auto_close int agent_fd = -1;
	pid_t parent = getpid();
	int r;

	if (!cfg->dir) {
		fprintf(stderr, "hvhost: --outer DIR is needed where there is no usable KVM\n");
		return -EINVAL;
	}
	r = need_file(cfg->dir, "vmlinuz", kernel, sizeof(kernel));
	if (r == 0)
		r = need_file(cfg->dir, "initramfs.cpio", initrd, sizeof(initrd));
	if (r == 0)
		r = check_qemu();
	if (r == 0)
		r = make_channels(&o, &agent_fd);
	if (r == 0) {
		o.pid = fork();
		if (o.pid == 0)
			exec_qemu(cfg, kernel, initrd, agent_fd, &o, parent);
		r = o.pid < 0 ? -errno : 0;
	}
	if (r < 0) {
		if (o.link_fd >= 0)
			(void)close(o.link_fd);
		outer_fini(&o);
		return r;
	}
	*ret_outer = o;
	return 0;
}

void outer_fini(struct outer *o)
{
	if (o->trace_fd >= 0)
		(void)close(o->trace_fd);
	if (o->console_fd >= 0)
		(void)close(o->console_fd);
	o->trace_fd = o->console_fd = -1;
}

/* Does the file hold the text? Pieces overlap, so that nothing is missed at their borders. */
static bool file_has(int fd, const char *text)
{
	const size_t overlap = 64;
	char buf[4096];
	ssize_t n;

	for (off_t off = 0; (n = pread(fd, buf, sizeof(buf), off)) > 0;
	     off += n - (ssize_t)overlap) {
		if (memmem(buf, (size_t)n, text, strlen(text)))
			return true;
		if ((size_t)n <= overlap)
			break;
	}
	return false;
}

/*
 * A stock kernel that panics for a reason of its own, and not because its only program died, was
 * let down by the CPU it ran on: translated code that another CPU had patched, most often.
 */
static bool outer_kernel_died(const struct outer *o)
{
	return file_has(o->console_fd, "Kernel panic - not syncing") &&
	       !file_has(o->console_fd, "Attempted to kill init");
}

bool outer_is_emulator_fault(const struct outer *o, int wait_status, bool ended)
{
	if (ended)
		return false;
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
		return file_has(o->trace_fd, "Triple fault") || outer_kernel_died(o);
	/* QEMU itself died; a SIGKILL or SIGTERM is somebody's wish. */
	return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGKILL &&
	       WTERMSIG(wait_status) != SIGTERM;
}

void outer_copy_console(const struct outer *o, int log_fd)
{
	char buf[4096];
	ssize_t n;

	for (off_t off = 0; (n = pread(o->console_fd, buf, sizeof(buf), off)) > 0; off += n) {
		if (write(log_fd, buf, (size_t)n) != n)
			break;
	}
}
