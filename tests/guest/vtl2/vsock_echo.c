/* SPDX-License-Identifier: MIT */
/*
 * Runs in VTL2 in place of the development shell: what the tests of hybrid vsock talk to.
 * Port ECHO_PORT sends every byte back and half-closes after the client has. Port DIAL_PORT reads a
 * decimal port and a newline, connects to that port of the host, and joins the two streams.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What <linux/vm_sockets.h> says; musl's folder has no kernel headers. */
#define VMADDR_CID_ANY UINT32_MAX
#define VMADDR_CID_HOST 2u

struct sockaddr_vm {
	sa_family_t svm_family;
	uint16_t svm_reserved1;
	uint32_t svm_port, svm_cid;
	uint8_t svm_zero[4];
};

#define ECHO_PORT 0x1001u
#define DIAL_PORT 0x1002u
#define BACKLOG 16

/* Into the kernel's log: it reaches VTL2's console even where user space's output does not. */
static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	va_list ap;

	if (fd < 0)
		return;
	va_start(ap, fmt);
	(void)vdprintf(fd, fmt, ap);
	va_end(ap);
	(void)close(fd);
}

static int listen_on(unsigned port)
{
	const struct sockaddr_vm sa = { .svm_family = AF_VSOCK, .svm_port = port,
					.svm_cid = VMADDR_CID_ANY };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		say("vsock echo: no listener: %s", strerror(errno));
		exit(1);
	}
	return fd;
}

static bool write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

/* One direction until its end, which is passed on. */
static void copy(int from, int to)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		if (!write_all(to, buf, (size_t)n))
			return;
	}
	(void)shutdown(to, SHUT_WR);
}

static void echo(int fd)
{
	copy(fd, fd);
}

static void dial(int fd)
{
	struct sockaddr_vm sa = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST };
	char line[16] = "";
	int host;
	pid_t pid;

	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		if (read(fd, line + i, 1) != 1 || line[i] == '\n')
			break;
	}
	sa.svm_port = (unsigned)strtoul(line, NULL, 10);
	host = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (host < 0 || connect(host, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		(void)dprintf(fd, "cannot connect: %s\n", strerror(errno));
		return;
	}
	pid = fork();
	if (pid < 0)
		return;
	if (pid == 0) {
		copy(fd, host);
		_exit(0);
	}
	copy(host, fd);
	(void)waitpid(pid, NULL, 0);
}

static void serve(int listener, void (*fn)(int fd))
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (fork() == 0) {
		(void)signal(SIGCHLD, SIG_DFL);
		fn(fd);
		_exit(0);
	}
	(void)close(fd);
}

int main(void)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };

	(void)signal(SIGCHLD, SIG_IGN); /* children are reaped by the kernel */
	(void)signal(SIGPIPE, SIG_IGN);
	p[0].fd = listen_on(ECHO_PORT);
	p[1].fd = listen_on(DIAL_PORT);
	say("vsock echo: ready");
	while (poll(p, 2, -1) > 0 || errno == EINTR) {
		if (p[0].revents)
			serve(p[0].fd, echo);
		if (p[1].revents)
			serve(p[1].fd, dial);
	}
	return 1;
}
