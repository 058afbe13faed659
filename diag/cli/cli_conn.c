/* SPDX-License-Identifier: MIT */
#include "cli_conn.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

/* "4294967295\n": the host's port number is all that may follow "OK ". */
#define ANSWER_MAX 11

uint64_t cli_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

const char *cli_vm_path(const char *vm)
{
	return strncmp(vm, "vsock:", 6) ? vm : vm + 6;
}

/* Wait for the socket until the deadline. Returns: 0; -ETIMEDOUT; -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now;
	int r;

	for (;;) {
		now = cli_now_ms();
		if (now >= deadline_ms)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)(deadline_ms - now));
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

/* Exactly @len bytes. Returns: 0; -ENODATA: the stream ended; -errno. */
static int read_exact(int fd, void *ret_buf, size_t len, uint64_t deadline_ms)
{
	unsigned char *at = ret_buf;
	ssize_t n;
	int r;

	while (len) {
		r = wait_for(fd, POLLIN, deadline_ms);
		if (r < 0)
			return r;
		n = recv(fd, at, len, 0);
		if (!n)
			return -ENODATA;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int read_failed(struct cli_err *err, int r)
{
	if (r == -ENODATA)
		return cli_err_set(err, "unexpected end of file");
	if (r == -ETIMEDOUT)
		return cli_err_set(err, "timed out");
	return cli_err_os(err, r);
}

static void hint_socket(struct cli_err *err, const char *path, int error)
{
	if (error == ENOENT)
		cli_err_hint(
			err,
			"there is no socket %s: start the VM with `./keel run --vtl2-vsock %s`, or "
			"give the path it was started with",
			path, path);
	else if (error == ECONNREFUSED)
		cli_err_hint(err, "nobody listens at %s: the VM is not running any more", path);
	else if (error == EACCES || error == EPERM)
		cli_err_hint(err, "you may not use %s: run this as the user who started the VM",
			     path);
	else if (error == ENOTSOCK || error == EPROTOTYPE)
		cli_err_hint(err, "%s is not the socket of a VM", path);
}

static int open_socket(const char *path, struct cli_err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	auto_close int fd = -1;
	int e;

	if (!len || len >= sizeof(addr.sun_path)) {
		(void)cli_err_set(err, "path must be shorter than SUN_LEN");
		(void)cli_err_wrap(err, "failed to connect");
		cli_err_hint(err,
			     "a socket's path has 1 to %zu bytes: use a relative path or a link",
			     sizeof(addr.sun_path) - 1);
		return -1;
	}
	memcpy(addr.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		e = errno;
		(void)cli_err_os(err, e);
		(void)cli_err_wrap(err, "failed to connect");
		hint_socket(err, path, e);
		return -1;
	}
	return take_fd(&fd);
}

static void hint_silent(struct cli_err *err, uint32_t port)
{
	if (port <= CLI_PORT_DATA)
		cli_err_hint(
			err,
			"VTL2 does not listen on port %u: it is still booting, has crashed, or "
			"the image has no diagnostics server",
			port);
	else
		cli_err_hint(err, "nothing in VTL2 listens on port %u", port);
}

static int handshake(int fd, uint32_t port, uint64_t deadline_ms, struct cli_err *err)
{
	char line[32], c;
	int n, r;

	n = snprintf(line, sizeof(line), "CONNECT %" PRIu32 "\n", port);
	if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		return cli_err_os(err, errno);
	r = read_exact(fd, line, 3, deadline_ms);
	if (r < 0) {
		(void)read_failed(err, r);
		if (r == -ENODATA || r == -ETIMEDOUT || r == -ECONNRESET)
			hint_silent(err, port);
		return -1;
	}
	if (memcmp(line, "OK ", 3))
		return cli_err_set(err, "missing hybrid vsock response");
	for (int i = 0; i < ANSWER_MAX; i++) {
		r = read_exact(fd, &c, 1, deadline_ms);
		if (r < 0)
			return read_failed(err, r);
		if (c == '\n')
			return 0;
	}
	return cli_err_set(err, "invalid hybrid vsock response");
}

static int connect_until(const char *path, uint32_t port, uint64_t deadline_ms, struct cli_err *err)
{
	auto_close int fd = -1;

	fd = open_socket(path, err);
	if (fd < 0 || handshake(fd, port, deadline_ms, err) < 0)
		return cli_err_wrap(err, "failed to connect");
	return take_fd(&fd);
}

int cli_connect(const char *path, uint32_t port, struct cli_err *err)
{
	return connect_until(path, port, cli_now_ms() + CLI_CONNECT_MS, err);
}

int cli_connect_data(const char *path, uint64_t *ret_id, struct cli_err *err)
{
	uint64_t deadline = cli_now_ms() + CLI_CONNECT_MS, id;
	auto_close int fd = -1;
	int r;

	fd = connect_until(path, CLI_PORT_DATA, deadline, err);
	if (fd < 0)
		return -1;
	r = read_exact(fd, &id, sizeof(id), deadline);
	if (r < 0) {
		(void)read_failed(err, r);
		return cli_err_wrap(err, "reading connection id");
	}
	*ret_id = id;
	return take_fd(&fd);
}
