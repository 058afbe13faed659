/* SPDX-License-Identifier: MIT */
/* See ipc.h. State: private to the loop's thread. */
#include "ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "le.h"

#define HEADER_BYTES 16u
/* Messages served before other work of the loop gets its turn. */
#define BURST 32u
/* Buffers larger than this are given back when they are empty. */
#define KEEP_BYTES 4096u

/* What a step of receiving came to, if it is not an error. */
enum { STEP_SERVED, STEP_MORE, STEP_WAIT, STEP_DESTROYED };

struct bytes {
	uint8_t *p;
	size_t cap;
	size_t from, to; /* used part */
};

struct ipc {
	struct loop *loop;
	struct loop_fd watch;
	int fd;
	const struct ipc_permit *permits;
	size_t n_permits;
	bool *seen; /* by permit */
	void (*gone)(void *ctx, int err);
	void *ctx;
	struct bytes tx;
	bool tx_broken; /* the other side takes nothing any more; what it sent is still read */
	uint8_t head[HEADER_BYTES];
	size_t n_head; /* bytes of the header there are */
	const struct ipc_permit *now; /* whose body is awaited; NULL: in the header */
	struct bytes rx; /* to = bytes of the body there are */
	size_t body_len;
	bool over; /* gone was called */
	bool *destroyed; /* set while handlers run: where to say that it is no more */
};

/* --- sending ---------------------------------------------------------------------------------- */

static void bytes_release(struct bytes *b)
{
	b->from = b->to = 0;
	if (b->cap <= KEEP_BYTES)
		return;
	free(b->p);
	b->p = NULL;
	b->cap = 0;
}

/* Room for @len more bytes at the end. */
static int bytes_reserve(struct bytes *b, size_t len)
{
	size_t used = b->to - b->from, cap = b->cap ? b->cap : 1024;
	uint8_t *p;

	if (b->from && b->from >= used && b->cap - b->to < len) {
		memmove(b->p, b->p + b->from, used);
		b->from = 0;
		b->to = used;
	}
	if (b->cap - b->to >= len)
		return 0;
	while (cap - b->to < len) /* bounded: at most half is behind, the rest has its limit */
		cap *= 2;
	p = realloc(b->p, cap);
	if (!p)
		return -ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

static void bytes_add(struct bytes *b, const void *data, size_t len)
{
	if (len)
		memcpy(b->p + b->to, data, len);
	b->to += len;
}

static void on_events(void *ctx, uint32_t events);

static int watch(struct ipc *ipc)
{
	const uint32_t want = POLLIN | (ipc->tx.to != ipc->tx.from ? POLLOUT : 0u);

	if (ipc->watch.state && ipc->watch.events == want)
		return 0;
	loop_fd_remove(&ipc->watch);
	return loop_fd_add(&ipc->watch, ipc->loop, ipc->fd, want, on_events, ipc);
}

static void drain_tx(struct ipc *ipc)
{
	while (ipc->tx.from < ipc->tx.to) {
		ssize_t n = send(ipc->fd, ipc->tx.p + ipc->tx.from, ipc->tx.to - ipc->tx.from,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			ipc->tx_broken = true;
			break;
		}
		ipc->tx.from += (size_t)n;
	}
	bytes_release(&ipc->tx);
}

int ipc_send(struct ipc *ipc, uint32_t type, uint64_t id, const void *body, size_t len)
{
	uint8_t head[HEADER_BYTES];
	const bool waiting = ipc->tx.to != ipc->tx.from;
	int r;

	if (ipc->over || ipc->tx_broken)
		return -EPIPE;
	if (len > IPC_BODY_MAX || ipc_queued(ipc) + HEADER_BYTES + len > IPC_QUEUE_MAX)
		return -ENOSPC;
	r = bytes_reserve(&ipc->tx, HEADER_BYTES + len);
	if (r)
		return -ENOSPC;
	le32_store(head, type);
	le32_store(head + 4, (uint32_t)len);
	le64_store(head + 8, id);
	bytes_add(&ipc->tx, head, sizeof(head));
	bytes_add(&ipc->tx, body, len);
	if (!waiting)
		drain_tx(ipc);
	r = watch(ipc);
	if (r)
		ipc->tx_broken = true;
	return ipc->tx_broken ? -EPIPE : 0;
}

size_t ipc_queued(const struct ipc *ipc)
{
	return ipc->tx.to - ipc->tx.from;
}

/* --- receiving -------------------------------------------------------------------------------- */

/* Read up to @want bytes to @buf[*at]. Returns: STEP_*; -EPIPE at the end; -errno. */
static int take(struct ipc *ipc, uint8_t *buf, size_t *at, size_t want)
{
	ssize_t n;

	do
		n = recv(ipc->fd, buf + *at, want, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? STEP_WAIT : -errno;
	if (n == 0)
		return -EPIPE;
	*at += (size_t)n;
	return (size_t)n == want ? STEP_SERVED : STEP_MORE;
}

static int check_head(struct ipc *ipc)
{
	const uint32_t type = le32_load(ipc->head), len = le32_load(ipc->head + 4);

	for (size_t i = 0; i < ipc->n_permits; i++) {
		const struct ipc_permit *p = &ipc->permits[i];

		if (p->type != type)
			continue;
		if (len < p->min_len || len > p->max_len || len > IPC_BODY_MAX ||
		    (p->flags & IPC_ONCE && ipc->seen[i]))
			return -EBADMSG;
		ipc->seen[i] = true;
		ipc->now = p;
		ipc->body_len = len;
		return 0;
	}
	return -EBADMSG;
}

/* The body grows with what has really come: a header alone costs nothing. */
static int take_body(struct ipc *ipc)
{
	const size_t left = ipc->body_len - ipc->rx.to;
	int r;

	if (!left)
		return STEP_SERVED;
	r = bytes_reserve(&ipc->rx, MIN(left, (size_t)65536));
	if (r)
		return r;
	r = take(ipc, ipc->rx.p, &ipc->rx.to, MIN(left, ipc->rx.cap - ipc->rx.to));
	if (r == STEP_SERVED && ipc->rx.to < ipc->body_len)
		return STEP_MORE;
	return r == -EPIPE ? -EBADMSG : r;
}

static int take_head(struct ipc *ipc)
{
	const bool begun = ipc->n_head;
	int r = take(ipc, ipc->head, &ipc->n_head, HEADER_BYTES - ipc->n_head);

	if (r == STEP_SERVED)
		return check_head(ipc);
	return r == -EPIPE && begun ? -EBADMSG : r;
}

static int serve(struct ipc *ipc)
{
	static const uint8_t none[1];
	const struct ipc_permit *p = ipc->now;
	bool destroyed = false;
	int r;

	ipc->now = NULL;
	ipc->n_head = 0;
	ipc->destroyed = &destroyed;
	r = p->handle(ipc->ctx, le64_load(ipc->head + 8), ipc->body_len ? ipc->rx.p : none,
		      ipc->body_len);
	if (destroyed)
		return STEP_DESTROYED;
	ipc->destroyed = NULL;
	bytes_release(&ipc->rx);
	return r < 0 ? r : STEP_SERVED;
}

static int step(struct ipc *ipc)
{
	int r = ipc->now ? STEP_SERVED : take_head(ipc);

	if (r == STEP_SERVED)
		r = take_body(ipc);
	return r == STEP_SERVED ? serve(ipc) : r;
}

static void fail(struct ipc *ipc, int err)
{
	loop_fd_remove(&ipc->watch);
	ipc->over = true;
	ipc->gone(ipc->ctx, err); /* the object may be no more */
}

static void on_events(void *ctx, uint32_t events)
{
	struct ipc *ipc = ctx;
	int r = STEP_MORE;

	if (events & POLLOUT && !ipc->tx_broken)
		drain_tx(ipc);
	for (unsigned int i = 0; i < BURST && (r == STEP_SERVED || r == STEP_MORE); i++)
		r = step(ipc);
	if (r == STEP_DESTROYED)
		return;
	if (r >= 0)
		r = watch(ipc);
	if (r < 0)
		fail(ipc, r);
}

/* --- life ------------------------------------------------------------------------------------- */

int ipc_create(const struct ipc_cfg *cfg, struct ipc **ret_ipc)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));
	int r;

	if (!ipc)
		return -ENOMEM;
	ipc->loop = cfg->loop;
	ipc->fd = -1;
	ipc->permits = cfg->permits;
	ipc->n_permits = cfg->n_permits;
	ipc->gone = cfg->gone;
	ipc->ctx = cfg->ctx;
	ipc->seen = calloc(cfg->n_permits + 1, sizeof(*ipc->seen));
	if (!ipc->seen) {
		ipc_destroy(ipc);
		return -ENOMEM;
	}
	r = loop_fd_add(&ipc->watch, ipc->loop, cfg->fd, POLLIN, on_events, ipc);
	if (r) {
		ipc_destroy(ipc);
		return r;
	}
	ipc->fd = cfg->fd;
	*ret_ipc = ipc;
	return 0;
}

void ipc_destroy(struct ipc *ipc)
{
	if (!ipc)
		return;
	if (ipc->destroyed)
		*ipc->destroyed = true;
	if (ipc->watch.loop)
		loop_fd_remove(&ipc->watch);
	if (ipc->fd >= 0)
		(void)close(ipc->fd);
	free(ipc->seen);
	free(ipc->tx.p);
	free(ipc->rx.p);
	free(ipc);
}
