/* SPDX-License-Identifier: MIT */
/*
 * Runs in VTL2, for tests of crashes. The kernel starts it in the place of PID 1 (rdinit=); it
 * leaves a child behind and becomes the real one. Some time after the daemon's roles appeared the
 * child does what the command line asked for:
 *
 *   CRASH_ROLE=control|vm   whom
 *   CRASH_SIGNAL=N          send this signal
 *   CRASH_DUMP=A+B          or: dump the process with underhill-dump and count the text AB in the
 *                           dump, where A+B stands as it is in everybody's environment
 *   CRASH_DELAY=S           seconds to wait once the role is there (default 3)
 *
 * What it did is a line of the kernel's log that begins with "crasher:".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INIT "/init"
#define DUMPER "/bin/underhill-dump"
#define WAIT_S 120
#define TEXT_MAX 64
#define READ_BYTES 65536

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	char line[256] = "<4>crasher: ";
	size_t len = strlen(line);
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	if (fd >= 0) {
		(void)!write(fd, line, strlen(line));
		(void)close(fd);
	}
}

static unsigned number(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* The first word of a process's command line is how the roles are told apart. */
static bool is_role(const char *pid, const char *role)
{
	char path[300], word[64] = "";
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)!read(fd, word, sizeof(word) - 1);
	(void)close(fd);
	return strcmp(word, strcmp(role, "control") == 0 ? "/bin/keel" : role) == 0;
}

static pid_t find(const char *role)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	pid_t pid = 0;

	while (d && !pid && (de = readdir(d))) {
		if (de->d_name[0] >= '1' && de->d_name[0] <= '9' && is_role(de->d_name, role))
			pid = (pid_t)strtol(de->d_name, NULL, 10);
	}
	if (d)
		(void)closedir(d);
	return pid;
}

/* How often the text begins in a stream that comes in pieces. */
static unsigned count(int fd, const char *text, unsigned long long *ret_bytes)
{
	static char buf[TEXT_MAX + READ_BYTES];
	const size_t len = strlen(text);
	size_t kept = 0;
	unsigned found = 0;
	ssize_t n;

	*ret_bytes = 0;
	while ((n = read(fd, buf + kept, READ_BYTES)) > 0) {
		size_t have = kept + (size_t)n;
		const char *at = buf;

		*ret_bytes += (unsigned long long)n;
		while ((at = memmem(at, have - (size_t)(at - buf), text, len))) {
			found++;
			at++;
		}
		kept = have < len - 1 ? have : len - 1;
		memmove(buf, buf + have - kept, kept);
	}
	return found;
}

static void dump(pid_t pid, const char *parts)
{
	char text[TEXT_MAX + 1] = "";
	unsigned long long bytes;
	unsigned found;
	int out[2], status = 0;
	char arg[16];
	pid_t child;

	for (size_t n = 0; *parts && n < TEXT_MAX; parts++) {
		if (*parts != '+')
			text[n++] = *parts;
	}
	if (strlen(text) < 4 || pipe(out) < 0)
		return;
	(void)snprintf(arg, sizeof(arg), "%d", pid);
	child = fork();
	if (child == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(out[0]);
		(void)close(out[1]);
		(void)execl(DUMPER, "underhill-dump", "-v", arg, (char *)NULL);
		_exit(127);
	}
	(void)close(out[1]);
	found = count(out[0], text, &bytes);
	(void)close(out[0]);
	(void)waitpid(child, &status, 0);
	say("dump of process %d: status %d, %llu bytes, text found %u times", pid,
	    WIFEXITED(status) ? WEXITSTATUS(status) : -1, bytes, found);
}

static void work(void)
{
	const char *role = getenv("CRASH_ROLE"), *text = getenv("CRASH_DUMP");
	const struct timespec step = { .tv_nsec = 50000000 };
	pid_t pid = 0;

	if (!role)
		return;
	for (unsigned i = 0; i < WAIT_S * 20 && !pid; i++) {
		(void)nanosleep(&step, NULL);
		pid = find(role);
	}
	if (!pid) {
		say("there is no role %s", role);
		return;
	}
	(void)sleep(number("CRASH_DELAY", 3));
	if (text) {
		dump(pid, text);
	} else {
		say("signal %u to process %d (%s)", number("CRASH_SIGNAL", SIGSEGV), pid, role);
		(void)kill(pid, (int)number("CRASH_SIGNAL", SIGSEGV));
	}
}

int main(void)
{
	static char name[] = INIT;
	char *argv[] = { name, NULL };

	if (getpid() != 1)
		return EXIT_FAILURE;
	if (fork() == 0) {
		work();
		return EXIT_SUCCESS;
	}
	(void)execv(INIT, argv);
	return EXIT_FAILURE;
}
