/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "le.h"

#define HDR 8u
/* What link_send() may queue: a generous script for the exec agent. */
#define LINK_MAX_OWN (4u << 20)

/* A growable FIFO of bytes; growth is bounded by the protocol's windows. */
struct fifo {
	uint8_t *buf;
	size_t cap, head, len;
};

struct stream {
	bool attached, keep;
	int in, out;
	bool sent_eof, got_eof;
	uint32_t credit; /* DATA bytes we may still send */
	struct fifo rx; /* received, not yet written to out */
	struct fifo own; /* link_send() data the window has no room for yet */
};

struct link {
	int fd;
	const struct link_ops *ops;
	void *ctx;
	struct fifo tx;
	uint8_t rx[HDR + LINK_MAX_PAYLOAD + 1];
	size_t rx_len;
	bool peer_gone;
	struct stream s[LINK_MAX_STREAMS];
};

static int fifo_put(struct fifo *f, const void *buf, size_t len)
{
	if (f->head && f->head + f->len + len > f->cap) {
		memmove(f->buf, f->buf + f->head, f->len);
		f->head = 0;
	}
	if (f->len + len > f->cap) {
		size_t cap = f->cap ? f->cap : 4096;
		uint8_t *p;

		while (cap < f->len + len)
			cap *= 2;
		p = realloc(f->buf, cap);
		if (!p)
			return -ENOMEM;
		f->buf = p;
		f->cap = cap;
	}
	memcpy(f->buf + f->head + f->len, buf, len);
	f->len += len;
	return 0;
}

/* Write what the fd takes. Returns bytes written, or -errno (never -EAGAIN). */
static ssize_t fifo_flush(struct fifo *f, int fd)
{
	size_t done = 0;

	while (f->len) {
		ssize_t n = write(fd, f->buf + f->head, f->len);

		if (n < 0) {
			if (errno == EAGAIN)
				break;
			if (errno == EINTR)
				continue;
			return -errno;
		}
		f->head += (size_t)n;
		f->len -= (size_t)n;
		done += (size_t)n;
	}
	if (!f->len)
		f->head = 0;
	return (ssize_t)done;
}

static int send_frame(struct link *l, enum link_type type, unsigned stream, const void *buf,
		      size_t len)
{
	uint8_t hdr[HDR] = { (uint8_t)type };
	int r;

	le16_store(hdr + 2, (uint16_t)stream);
	le32_store(hdr + 4, (uint32_t)len);
	r = fifo_put(&l->tx, hdr, sizeof(hdr));
	if (r == 0 && len)
		r = fifo_put(&l->tx, buf, len);
	return r;
}

static void set_nonblock(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int link_create(int fd, const struct link_ops *ops, void *ctx, struct link **ret_link)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	set_nonblock(fd);
	l->fd = fd;
	l->ops = ops;
	l->ctx = ctx;
	for (unsigned i = 0; i < LINK_MAX_STREAMS; i++) {
		l->s[i].in = l->s[i].out = -1;
		l->s[i].credit = LINK_WINDOW;
	}
	*ret_link = l;
	return 0;
}

static void close_fds(struct stream *s)
{
	if (!s->keep) {
		if (s->in >= 0)
			(void)close(s->in);
		if (s->out >= 0 && s->out != s->in)
			(void)close(s->out);
	}
	s->in = s->out = -1;
}

void link_destroy(struct link *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < LINK_MAX_STREAMS; i++) {
		close_fds(&l->s[i]);
		free(l->s[i].rx.buf);
		free(l->s[i].own.buf);
	}
	free(l->tx.buf);
	(void)close(l->fd);
	free(l);
}

void link_attach(struct link *l, unsigned stream, int in, int out, bool keep)
{
	struct stream *s = &l->s[stream];

	set_nonblock(in);
	set_nonblock(out);
	s->attached = true;
	s->keep = keep;
	s->in = in;
	s->out = out;
	s->sent_eof = s->got_eof = false;
	s->credit = LINK_WINDOW;
	s->rx.head = s->rx.len = 0;
}

int link_free_stream(const struct link *l, bool dialled)
{
	const int end = dialled ? LINK_MAX_STREAMS : LINK_FIRST_DIALLED;

	for (int i = dialled ? LINK_FIRST_DIALLED : LINK_FIRST_VSOCK; i < end; i++) {
		if (!l->s[i].attached)
			return i;
	}
	return -1;
}

int link_control(struct link *l, enum link_type type, unsigned stream, const char *text)
{
	return send_frame(l, type, stream, text, strlen(text));
}

static int pump_own(struct link *l, unsigned stream)
{
	struct stream *s = &l->s[stream];
	size_t n = MIN(s->own.len, s->credit);
	int r;

	if (!n)
		return 0;
	r = send_frame(l, LINK_DATA, stream, s->own.buf + s->own.head, n);
	s->credit -= (uint32_t)n;
	s->own.head += n;
	s->own.len -= n;
	return r;
}

int link_send(struct link *l, unsigned stream, const void *buf, size_t len)
{
	struct stream *s = &l->s[stream];

	if (s->own.len + len > LINK_MAX_OWN || fifo_put(&s->own, buf, len) < 0)
		return -ENOMEM;
	return pump_own(l, stream);
}

/* A vsock stream whose both directions ended is free again. */
static void maybe_finish(struct link *l, unsigned i)
{
	struct stream *s = &l->s[i];

	if (!s->attached || !s->sent_eof || !s->got_eof || s->rx.len)
		return;
	close_fds(s);
	s->attached = false;
	if (l->ops->closed)
		l->ops->closed(l->ctx, i);
}

static int send_eof(struct link *l, unsigned i)
{
	struct stream *s = &l->s[i];
	int r = 0;

	if (!s->sent_eof)
		r = send_frame(l, LINK_EOF, i, NULL, 0);
	s->sent_eof = true;
	maybe_finish(l, i);
	return r;
}

static int give_credit(struct link *l, unsigned i, size_t len)
{
	uint8_t buf[4];

	le32_store(buf, (uint32_t)len);
	return len ? send_frame(l, LINK_CREDIT, i, buf, sizeof(buf)) : 0;
}

/* Local input became readable: send as much as the window allows. */
static int pump_in(struct link *l, unsigned i)
{
	struct stream *s = &l->s[i];
	uint8_t buf[4096];
	ssize_t n = read(s->in, buf, MIN(sizeof(buf), s->credit));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return send_eof(l, i);
	s->credit -= (uint32_t)n;
	return send_frame(l, LINK_DATA, i, buf, (size_t)n);
}

static int pump_out(struct link *l, unsigned i)
{
	struct stream *s = &l->s[i];
	ssize_t n = fifo_flush(&s->rx, s->out);

	if (n < 0) { /* local reader is gone: swallow the rest and stop sending, too */
		n = (ssize_t)s->rx.len;
		s->rx.len = 0;
		s->got_eof = true;
		return send_eof(l, i);
	}
	if (!s->rx.len && s->got_eof && !s->keep && s->out >= 0)
		(void)shutdown(s->out, SHUT_WR);
	maybe_finish(l, i);
	return give_credit(l, i, (size_t)n);
}

static int data_frame(struct link *l, unsigned i, const uint8_t *buf, size_t len)
{
	struct stream *s = &l->s[i];
	int r;

	if (!s->attached || s->got_eof) /* late data of a stream we gave up: acknowledge and drop */
		return give_credit(l, i, len);
	if (s->out < 0) {
		if (l->ops->data)
			l->ops->data(l->ctx, i, buf, len);
		return give_credit(l, i, len);
	}
	if (s->rx.len + len > LINK_WINDOW)
		return -EBADMSG;
	r = fifo_put(&s->rx, buf, len);
	return r < 0 ? r : pump_out(l, i);
}

static int eof_frame(struct link *l, unsigned i)
{
	struct stream *s = &l->s[i];

	if (!s->attached)
		return 0;
	s->got_eof = true;
	if (s->out < 0) {
		maybe_finish(l, i);
		return 0;
	}
	return pump_out(l, i);
}

static int frame(struct link *l, uint8_t type, unsigned stream, uint8_t *buf, size_t len)
{
	if (stream >= LINK_MAX_STREAMS)
		return -EBADMSG;
	switch (type) {
	case LINK_DATA:
		return data_frame(l, stream, buf, len);
	case LINK_EOF:
		return eof_frame(l, stream);
	case LINK_CREDIT:
		if (len != 4 || le32_load(buf) > LINK_WINDOW - l->s[stream].credit)
			return -EBADMSG;
		l->s[stream].credit += le32_load(buf);
		return pump_own(l, stream);
	case LINK_CONFIG:
	case LINK_STOP:
	case LINK_OPEN:
	case LINK_REPORT:
	case LINK_END:
		buf[len] = 0; /* rx has one byte more than the largest frame */
		l->ops->control(l->ctx, (enum link_type)type, stream, (const char *)buf);
		return 0;
	default:
		return -EBADMSG;
	}
}

/* Handle every whole frame in rx. The byte after a text frame is borrowed for its NUL. */
static int parse(struct link *l)
{
	size_t done = 0;
	int r = 0;

	while (r == 0 && l->rx_len - done >= HDR) {
		uint8_t *p = l->rx + done;
		size_t len = le32_load(p + 4);
		uint8_t saved;

		if (len > LINK_MAX_PAYLOAD)
			return -EBADMSG;
		if (l->rx_len - done < HDR + len)
			break;
		saved = p[HDR + len];
		r = frame(l, p[0], le16_load(p + 2), p + HDR, len);
		p[HDR + len] = saved;
		done += HDR + len;
	}
	memmove(l->rx, l->rx + done, l->rx_len - done);
	l->rx_len -= done;
	return r;
}

static int pump_link_in(struct link *l)
{
	for (;;) {
		ssize_t n = read(l->fd, l->rx + l->rx_len, HDR + LINK_MAX_PAYLOAD - l->rx_len);
		int r;

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
		if (n == 0)
			return -EPIPE;
		l->rx_len += (size_t)n;
		r = parse(l);
		if (r < 0)
			return r;
	}
}

int link_poll_fill(struct link *l, struct pollfd *fds)
{
	int n = 0;

	fds[n++] = (struct pollfd){ .fd = l->fd,
				    .events = (short)(POLLIN | (l->tx.len ? POLLOUT : 0)) };
	for (unsigned i = 0; i < LINK_MAX_STREAMS; i++) {
		const struct stream *s = &l->s[i];

		if (!s->attached)
			continue;
		if (s->in >= 0 && !s->sent_eof && s->credit)
			fds[n++] = (struct pollfd){ .fd = s->in, .events = POLLIN };
		if (s->out >= 0 && s->rx.len)
			fds[n++] = (struct pollfd){ .fd = s->out, .events = POLLOUT };
	}
	return n;
}

static int stream_ready(struct link *l, const struct pollfd *p)
{
	for (unsigned i = 0; i < LINK_MAX_STREAMS; i++) {
		struct stream *s = &l->s[i];

		if (!s->attached)
			continue;
		if (p->fd == s->in && p->events == POLLIN && !s->sent_eof)
			return pump_in(l, i);
		if (p->fd == s->out && p->events == POLLOUT)
			return pump_out(l, i);
	}
	return 0;
}

int link_poll_done(struct link *l, const struct pollfd *fds, int n)
{
	ssize_t sent;
	int r = 0;

	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		r = pump_link_in(l);
	for (int i = 1; i < n && r == 0; i++) {
		if (fds[i].revents)
			r = stream_ready(l, &fds[i]);
	}
	if (r < 0)
		return r;
	sent = fifo_flush(&l->tx, l->fd);
	return sent < 0 ? -EPIPE : 0;
}

bool link_idle(const struct link *l)
{
	if (l->tx.len)
		return false;
	for (unsigned i = 0; i < LINK_MAX_STREAMS; i++) {
		if (l->s[i].attached && l->s[i].out >= 0 && l->s[i].rx.len)
			return false;
	}
	return true;
}
