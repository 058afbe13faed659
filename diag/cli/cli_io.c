/* SPDX-License-Identifier: MIT */
#include "cli_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

/* A line of a VM that is longer is passed on in pieces. */
#define LINE_MAX_BYTES 65536u

int cli_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = write(fd, at, len);
		if (n < 0 && errno == EAGAIN)
			(void)poll(&p, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

ssize_t cli_read_some(int fd, void *ret_buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		n = read(fd, ret_buf, len);
		if (n >= 0)
			return n;
		if (errno == ECONNRESET)
			return 0;
		if (errno == EAGAIN)
			(void)poll(&p, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
}

int cli_copy(int from, int to, const char *what, struct cli_err *err, uint64_t *ret_bytes)
{
	auto_free char *buf = malloc(CLI_IO_CHUNK);
	uint64_t total = 0;
	ssize_t n = -ENOMEM;
	int r = 0;

	while (buf && !r) {
		n = cli_read_some(from, buf, CLI_IO_CHUNK);
		if (n <= 0)
			break;
		r = cli_write_all(to, buf, (size_t)n);
		total += (size_t)n;
	}
	if (n < 0)
		r = (int)n;
	if (r < 0) {
		(void)cli_err_os(err, r);
		return cli_err_wrap(err, "%s", what);
	}
	if (ret_bytes)
		*ret_bytes = total;
	return 0;
}

/* ---- sinks ----------------------------------------------------------------------------------- */

static int sink_line(struct cli_sink *sink)
{
	struct cli_str text = { 0 };
	int r;

	if (!sink->line.len)
		return 0;
	if (sink->kind == CLI_SINK_JSON) {
		cli_str_puts(&text, "{\"stream\":");
		cli_str_json(&text, sink->name, strlen(sink->name));
		cli_str_puts(&text, ",\"data\":");
		cli_str_json(&text, sink->line.s, sink->line.len);
		cli_str_puts(&text, "}\n");
	} else {
		cli_str_plain(&text, sink->line.s, sink->line.len, CLI_KEEP_NL);
	}
	r = text.failed || sink->line.failed ? -ENOMEM : cli_write_all(sink->fd, text.s, text.len);
	cli_str_fini(&text);
	cli_str_reset(&sink->line);
	return r;
}

int cli_sink_put(struct cli_sink *sink, const char *data, size_t len)
{
	int r = 0;

	if (sink->kind == CLI_SINK_RAW)
		return cli_write_all(sink->fd, data, len);
	if (!len)
		return sink_line(sink);
	while (len && !r) {
		const char *nl = memchr(data, '\n', len);
		size_t n = nl ? (size_t)(nl - data) + 1 : len;

		cli_str_add(&sink->line, data, n);
		if (nl || sink->line.len >= LINE_MAX_BYTES)
			r = sink_line(sink);
		data += n;
		len -= n;
	}
	return r;
}

void cli_sink_fini(struct cli_sink *sink)
{
	cli_str_fini(&sink->line);
}

/* ---- a program's three streams --------------------------------------------------------------- */

struct stdio {
	struct svc_proc *proc;
	bool in_open; /* our own input */
	char *buf; /* what was read from it and not written yet */
	size_t at, len;
};

static void close_in(struct stdio *s)
{
	if (s->proc->in >= 0)
		(void)close(s->proc->in);
	s->proc->in = -1;
	s->in_open = false;
	s->len = 0;
}

/* Input goes to the program. One that does not want it loses it, that is no error. */
static void feed(struct stdio *s, short own, short socket_events)
{
	ssize_t n;

	if (s->proc->in < 0)
		return;
	if (socket_events & (POLLERR | POLLHUP)) {
		close_in(s);
		return;
	}
	if (s->len && socket_events & POLLOUT) {
		n = send(s->proc->in, s->buf + s->at, s->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			s->at += (size_t)n;
			s->len -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			close_in(s);
			return;
		}
	}
	if (!s->len && !s->in_open) {
		close_in(s);
	} else if (!s->len && own) {
		n = read(STDIN_FILENO, s->buf, CLI_IO_CHUNK);
		if (n > 0) {
			s->at = 0;
			s->len = (size_t)n;
		} else if (!n || (errno != EINTR && errno != EAGAIN)) {
			close_in(s);
		}
	}
}

/* Output from a socket to its sink. Returns: 0; -errno. Closes the socket at its end. */
static int drain(int *fd, short events, struct cli_sink *sink, char *buf)
{
	ssize_t n;
	int r;

	if (*fd < 0 || !events)
		return 0;
	n = cli_read_some(*fd, buf, CLI_IO_CHUNK);
	if (n < 0)
		return (int)n;
	r = cli_sink_put(sink, buf, (size_t)n);
	if (!n) {
		(void)close(*fd);
		*fd = -1;
	}
	return r;
}

static int stdio_step(struct cli_ctx *c, struct stdio *s, struct cli_sink *out,
		      struct cli_sink *err, char *buf)
{
	struct svc_proc *p = s->proc;
	struct pollfd fds[5] = {
		{ .fd = s->in_open && !s->len ? STDIN_FILENO : -1, .events = POLLIN },
		{ .fd = p->in, .events = s->len ? POLLOUT : 0 },
		{ .fd = p->out, .events = POLLIN },
		{ .fd = p->err, .events = POLLIN },
		{ .fd = cli_rpc_fd(c->rpc), .events = POLLIN },
	};
	int r;

	if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		return errno == EINTR ? 0 : -errno;
	feed(s, fds[0].revents, fds[1].revents);
	r = drain(&p->out, fds[2].revents, out, buf);
	if (!r)
		r = drain(&p->err, fds[3].revents, err, buf);
	if (fds[4].revents)
		cli_rpc_pump(c->rpc);
	return r;
}

int cli_stdio(struct cli_ctx *c, struct svc_proc *proc, struct cli_sink *out, struct cli_sink *err,
	      bool out_only)
{
	auto_free char *buf = malloc(CLI_IO_CHUNK), *in = malloc(CLI_IO_CHUNK);
	struct stdio s = { .proc = proc, .in_open = proc->in >= 0, .buf = in };
	int r = buf && in ? 0 : -ENOMEM;

	if (out_only && proc->err >= 0) {
		(void)close(proc->err);
		proc->err = -1;
	}
	while (!r && (proc->out >= 0 || proc->err >= 0))
		r = stdio_step(c, &s, out, err, buf);
	if (r < 0) {
		(void)cli_err_os(&c->err, r);
		return cli_err_wrap(&c->err, "failed stdout copy");
	}
	return 0;
}

/* ---- both ways ------------------------------------------------------------------------------- */

struct way {
	int from, to; /* -1 = this way has ended */
	char *buf;
	size_t at, len;
};

static void way_end(struct way *w)
{
	(void)shutdown(w->to, SHUT_WR); /* no socket: nothing to say */
	w->from = w->to = -1;
}

static int way_step(struct way *w, short readable, short writable)
{
	ssize_t n;

	if (w->from < 0)
		return 0;
	if (w->len && writable) {
		n = send(w->to, w->buf + w->at, w->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == ENOTSOCK)
			n = write(w->to, w->buf + w->at, w->len);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			w->from = w->to = -1;
			return 0;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		w->at += n > 0 ? (size_t)n : 0;
		w->len -= n > 0 ? (size_t)n : 0;
	} else if (!w->len && readable) {
		n = cli_read_some(w->from, w->buf, CLI_IO_CHUNK);
		if (n < 0)
			return (int)n;
		w->at = 0;
		w->len = (size_t)n;
		if (!n)
			way_end(w);
	}
	return 0;
}

int cli_relay(int a_in, int a_out, int sock, bool until_sock)
{
	auto_free char *b0 = malloc(CLI_IO_CHUNK), *b1 = malloc(CLI_IO_CHUNK);
	struct way to = { .from = a_in, .to = sock, .buf = b0 };
	struct way back = { .from = sock, .to = a_out, .buf = b1 };
	int r = b0 && b1 ? 0 : -ENOMEM;

	while (!r && (back.from >= 0 || (!until_sock && to.from >= 0))) {
		struct pollfd fds[4] = {
			{ .fd = to.from >= 0 && !to.len ? to.from : -1, .events = POLLIN },
			{ .fd = to.from >= 0 && to.len ? to.to : -1, .events = POLLOUT },
			{ .fd = back.from >= 0 && !back.len ? back.from : -1, .events = POLLIN },
			{ .fd = back.from >= 0 && back.len ? back.to : -1, .events = POLLOUT },
		};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		r = way_step(&to, fds[0].revents, fds[1].revents);
		if (!r)
			r = way_step(&back, fds[2].revents, fds[3].revents);
	}
	return r;
}

int cli_output(const char *path, struct cli_err *err)
{
	int fd, e;

	if (!path && isatty(STDOUT_FILENO))
		return cli_err_set(err, "cannot write to terminal");
	fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
		  : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		e = errno;
		(void)cli_err_os(err, e);
		return cli_err_wrap(err, "failed to create file `%s`", path ? path : "stdout");
	}
	return fd;
}
