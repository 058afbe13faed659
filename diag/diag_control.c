/* SPDX-License-Identifier: MIT */
/*
 * Control connections: requests in, answers out, in any order. A connection that has too many
 * unanswered requests or unread answers is not read until that changes; one whose answers do not
 * move at all is closed. Input: clients. Thread: the loop's.
 */
#include "bug.h"
#include "diag_msg.h"
#include "diag_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ttrpc.pb-c.h>

#define READ_BATCH 64 /* reads of one connection before others have a turn */
#define UNREAD_MAX (64u << 10) /* bytes of answers waiting; above that no request is read */
#define LOST_MAX 256u /* requests without a client that the owner has not completed */
#define METADATA_MAX 64u /* elements of the envelope */

struct diag_out {
	struct list link;
	size_t off, len;
	uint8_t data[];
};

struct diag_ctl {
	struct diag_grave grave;
	struct list link;
	struct diag_server *srv;
	struct diag_watch watch;
	struct ttrpc_reader reader;
	struct loop_timer stall;
	struct list calls, outs;
	unsigned n_calls;
	size_t out_bytes;
	uint64_t active_ns;
	int fd; /* -1 = closed */
	bool eof;
};

/* ---- closing --------------------------------------------------------------------------------- */

static void ctl_free(struct diag_grave *g)
{
	free(container_of(g, struct diag_ctl, grave));
}

/* The owner still has it, but nobody waits for the answer any more. */
static void call_lose(struct diag_call *call)
{
	struct diag_server *srv = call->srv;

	loop_timer_cancel(&call->deadline);
	list_del(&call->link);
	call->ctl->n_calls--;
	call->ctl = NULL;
	list_add_tail(&srv->lost, &call->link);
	srv->n_lost++;
}

static void ctl_close(struct diag_ctl *c)
{
	struct diag_server *srv = c->srv;
	struct list *l;

	if (c->fd < 0)
		return;
	diag_watch_stop(&c->watch);
	loop_timer_cancel(&c->stall);
	while (!list_empty(&c->calls))
		call_lose(container_of(c->calls.next, struct diag_call, link));
	while ((l = list_pop(&c->outs)))
		free(container_of(l, struct diag_out, link));
	srv->answer_bytes -= c->out_bytes;
	c->out_bytes = 0;
	ttrpc_reader_fini(&c->reader);
	/* A poll request of the loop may hold the file a little longer than we do. */
	(void)shutdown(c->fd, SHUT_RDWR);
	(void)close(c->fd);
	c->fd = -1;
	list_del(&c->link);
	srv->n_ctl--;
	diag_bury(srv, &c->grave, ctl_free);
}

void diag_control_close_all(struct diag_server *srv)
{
	while (!list_empty(&srv->ctls))
		ctl_close(container_of(srv->ctls.next, struct diag_ctl, link));
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool wants_read(const struct diag_ctl *c)
{
	return !c->eof && c->n_calls < DIAG_MAX_CALLS && c->out_bytes < UNREAD_MAX;
}

/* What to wait for now; the end when there is nothing left to wait for. */
static void ctl_update(struct diag_ctl *c)
{
	uint32_t events = (wants_read(c) ? POLLIN : 0u) | (c->out_bytes ? POLLOUT : 0u);

	if (c->fd < 0)
		return;
	/* Without anything to do, whether the client has gone for good still matters. */
	if (!events)
		events = POLLHUP;
	if ((c->eof && !c->n_calls && !c->out_bytes) || diag_watch_set(&c->watch, events) < 0)
		ctl_close(c);
}

static void flush(struct diag_ctl *c)
{
	struct list *l;
	ssize_t n;

	while (!list_empty(&c->outs)) {
		struct diag_out *o = container_of(c->outs.next, struct diag_out, link);

		n = send(c->fd, o->data + o->off, o->len - o->off, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			ctl_close(c);
			return;
		}
		loop_timer_arm(&c->stall, loop_now_ns() + c->srv->stall_ns);
		o->off += (size_t)n;
		c->out_bytes -= (size_t)n;
		c->srv->answer_bytes -= (size_t)n;
		if (o->off < o->len)
			continue;
		l = list_pop(&c->outs);
		free(container_of(l, struct diag_out, link));
	}
	loop_timer_cancel(&c->stall);
}

/* Room for so many bytes of answers: whoever has most unread ones goes first. */
static void make_room(struct diag_server *srv, size_t len)
{
	while (srv->answer_bytes > DIAG_ANSWERS_MAX - len) {
		struct diag_ctl *worst = NULL;

		list_for_each(l, &srv->ctls) {
			struct diag_ctl *c = container_of(l, struct diag_ctl, link);

			if (!worst || c->out_bytes > worst->out_bytes)
				worst = c;
		}
		BUG_ON(!worst);
		srv->n.control_dropped++;
		ctl_close(worst);
	}
}

/* Keeps what the socket did not take, beginning at byte @off of head and msg together. */
static void queue(struct diag_ctl *c, const struct iovec iov[2], size_t off)
{
	const size_t len = iov[0].iov_len + iov[1].iov_len - off;
	const size_t from_head = off < iov[0].iov_len ? iov[0].iov_len - off : 0;
	struct diag_out *o;

	make_room(c->srv, len);
	if (c->fd < 0)
		return;
	o = malloc(sizeof(*o) + len);
	if (!o) {
		ctl_close(c);
		return;
	}
	o->off = 0;
	o->len = len;
	memcpy(o->data, (const uint8_t *)iov[0].iov_base + iov[0].iov_len - from_head, from_head);
	if (len > from_head)
		memcpy(o->data + from_head,
		       (const uint8_t *)iov[1].iov_base + iov[1].iov_len - (len - from_head),
		       len - from_head);
	if (list_empty(&c->outs))
		loop_timer_arm(&c->stall, loop_now_ns() + c->srv->stall_ns);
	list_add_tail(&c->outs, &o->link);
	c->out_bytes += len;
	c->srv->answer_bytes += len;
}

/* @head begins with TTRPC_HEADER_LEN bytes to be filled here. */
static void reply(struct diag_ctl *c, uint32_t stream, uint8_t *head, size_t head_len,
		  const uint8_t *msg, size_t len)
{
	const struct ttrpc_header h = { .len = (uint32_t)(head_len - TTRPC_HEADER_LEN + len),
					.stream = stream,
					.type = TTRPC_RESPONSE };
	union {
		const void *in;
		void *out;
	} p = { .in = msg }; /* an iovec has no const */
	struct iovec iov[2] = { { head, head_len }, { p.out, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };
	ssize_t n = 0;

	if (c->fd < 0)
		return;
	ttrpc_header_put(&h, head);
	c->active_ns = loop_now_ns();
	if (list_empty(&c->outs)) {
		do {
			n = sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		} while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN) {
			ctl_close(c);
			return;
		}
		n = MAX(n, 0);
	}
	if ((size_t)n < head_len + len)
		queue(c, iov, (size_t)n);
}

static void reply_status(struct diag_ctl *c, uint32_t stream, enum diag_code code, const char *text)
{
	uint8_t head[TTRPC_HEADER_LEN + DIAG_TEXT_MAX + 64];
	char copy[DIAG_TEXT_MAX];
	Ttrpc__Response resp = TTRPC__RESPONSE__INIT;
	Ttrpc__Status st;

	(void)snprintf(copy, sizeof(copy), "%s", text); /* long ones are cut */
	diag_utf8_repair(copy);
	ttrpc__status__init(&st);
	st.code = (int32_t)code;
	st.message = copy;
	resp.result_case = TTRPC__RESPONSE__RESULT_ERROR;
	resp.error = &st;
	BUG_ON(ttrpc__response__get_packed_size(&resp) > sizeof(head) - TTRPC_HEADER_LEN);
	reply(c, stream, head,
	      TTRPC_HEADER_LEN + ttrpc__response__pack(&resp, head + TTRPC_HEADER_LEN), NULL, 0);
	c->srv->n.errors++;
}

/* The success of Response: field 2, present even if empty. Not packed by the library, because that
 * would copy the message once more. */
static void reply_ok(struct diag_ctl *c, uint32_t stream, const uint8_t *msg, size_t len)
{
	uint8_t head[TTRPC_HEADER_LEN + 1 + 5];
	size_t n = TTRPC_HEADER_LEN, left = len;
	char text[96];

	if (len > DIAG_ANSWER_MAX) {
		(void)snprintf(text, sizeof(text),
			       "message length %zu exceeds maximum allowed size %u", len,
			       DIAG_ANSWER_MAX);
		reply_status(c, stream, DIAG_RESOURCE_EXHAUSTED, text);
		return;
	}
	head[n++] = 2 << 3 | 2;
	while (left >= 0x80) {
		head[n++] = (uint8_t)(left | 0x80);
		left >>= 7;
	}
	head[n++] = (uint8_t)left;
	reply(c, stream, head, n, msg, len);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void on_deadline(void *ctx)
{
	struct diag_call *call = ctx;
	struct diag_server *srv = call->srv;
	struct diag_ctl *c = call->ctl;

	diag_enter(srv);
	srv->n.late++;
	call_lose(call);
	reply_status(c, call->stream, DIAG_DEADLINE_EXCEEDED, "deadline exceeded");
	ctl_update(c);
	diag_leave(srv);
}

static struct diag_call *call_create(struct diag_ctl *c, uint32_t stream)
{
	struct diag_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->srv = c->srv;
	call->ctl = c;
	call->stream = stream;
	call->deadline_ns = UINT64_MAX;
	loop_timer_init(&call->deadline, c->srv->loop, on_deadline, call);
	list_add_tail(&c->calls, &call->link);
	c->n_calls++;
	return call;
}

/* Free the call. Returns its connection, if there is one that waits. */
static struct diag_ctl *call_end(struct diag_call *call)
{
	struct diag_ctl *c = call->ctl;

	if (call->srv) {
		loop_timer_cancel(&call->deadline);
		list_del(&call->link);
		if (c)
			c->n_calls--;
		else
			call->srv->n_lost--;
	}
	free(call);
	return c;
}

void diag_call_ok(struct diag_call *call, const uint8_t *msg, size_t len)
{
	struct diag_server *srv = call->srv;
	const uint32_t stream = call->stream;
	struct diag_ctl *c = call_end(call);

	if (!c)
		return;
	diag_enter(srv);
	reply_ok(c, stream, msg, len);
	ctl_update(c);
	diag_leave(srv);
}

void diag_call_status(struct diag_call *call, enum diag_code code, const char *text)
{
	struct diag_server *srv = call->srv;
	const uint32_t stream = call->stream;
	struct diag_ctl *c = call_end(call);

	if (!c)
		return;
	diag_enter(srv);
	reply_status(c, stream, code, text);
	ctl_update(c);
	diag_leave(srv);
}

void diag_call_errno(struct diag_call *call, const char *what, int err)
{
	char text[DIAG_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%s: %s (os error %d)", what, strerror(err), err);
	diag_call_status(call, DIAG_UNKNOWN, text);
}

void diag_call_fail(struct diag_call *call, const char *fmt, ...)
{
	char text[DIAG_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	diag_call_status(call, DIAG_UNKNOWN, text);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void set_deadline(struct diag_call *call, uint64_t raw_timeout_ns)
{
	const uint64_t now = loop_now_ns();

	if (raw_timeout_ns && raw_timeout_ns < UINT64_MAX - now)
		call->deadline_ns = now + raw_timeout_ns;
}

/* The frame's memory is given back before the method runs. */
static void run_request(struct diag_ctl *c, struct diag_call *call)
{
	const char *why = "";
	ProtobufCMessage *msg;
	Ttrpc__Request *req;
	char text[128];
	int r = diag_msg_decode(&ttrpc__request__descriptor, c->reader.msg, c->reader.head.len,
				METADATA_MAX, &why, &msg);

	ttrpc_next(&c->reader);
	if (r < 0) {
		(void)snprintf(text, sizeof(text), "decoding failed in ttrpc.Request: %s", why);
		diag_call_status(call, DIAG_INVALID_ARGUMENT, text);
		return;
	}
	req = (Ttrpc__Request *)(void *)msg;
	set_deadline(call, req->timeout_nano);
	diag_method_run(call, req->service, req->method, req->payload.data, req->payload.len);
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void refuse(struct diag_call *call, uint32_t len)
{
	char text[96];

	if (len > DIAG_FRAME_MAX)
		(void)snprintf(text, sizeof(text),
			       "message length %" PRIu32 " exceeds maximum allowed size %u", len,
			       len > TTRPC_LEN_MAX ? TTRPC_LEN_MAX : DIAG_FRAME_MAX);
	else
		(void)snprintf(text, sizeof(text),
			       "message length %" PRIu32 " exceeds the memory left", len);
	diag_call_status(call, DIAG_RESOURCE_EXHAUSTED, text);
}

static void on_frame(struct diag_ctl *c, bool refused)
{
	const struct ttrpc_header h = c->reader.head;
	struct diag_server *srv = c->srv;
	struct diag_call *call = call_create(c, h.stream);
	char text[64];

	if (!call) {
		ctl_close(c);
		return;
	}
	c->active_ns = loop_now_ns();
	srv->n.requests++;
	if (h.stream % 2 == 0) {
		diag_call_status(call, DIAG_INVALID_ARGUMENT,
				 "stream id must be odd for client requests");
	} else if (h.type != TTRPC_REQUEST) {
		(void)snprintf(text, sizeof(text), "invalid message type %u", h.type);
		diag_call_status(call, DIAG_INVALID_ARGUMENT, text);
	} else if (refused) {
		srv->n.refused++;
		refuse(call, h.len);
	} else if (srv->n_lost >= LOST_MAX) {
		diag_call_status(call, DIAG_RESOURCE_EXHAUSTED, "too many abandoned requests");
	} else {
		run_request(c, call);
	}
	if (c->fd >= 0)
		ttrpc_next(&c->reader);
}

static void on_end(struct diag_ctl *c)
{
	if (ttrpc_inside(&c->reader))
		ctl_close(c);
	else
		c->eof = true;
}

static void read_some(struct diag_ctl *c)
{
	enum ttrpc_event ev;
	uint8_t *p;
	size_t room;
	ssize_t n;

	for (int i = 0; i < READ_BATCH && c->fd >= 0 && wants_read(c); i++) {
		room = ttrpc_room(&c->reader, &p);
		n = recv(c->fd, p, room, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			ctl_close(c);
			return;
		}
		if (n == 0) {
			on_end(c);
			return;
		}
		ev = ttrpc_commit(&c->reader, (size_t)n);
		if (ev != TTRPC_MORE)
			on_frame(c, ev == TTRPC_REFUSED);
	}
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_ready(void *ctx, uint32_t events)
{
	struct diag_ctl *c = ctx;
	struct diag_server *srv = c->srv;

	diag_enter(srv);
	flush(c);
	if (c->fd >= 0 && wants_read(c))
		read_some(c);
	else if (c->fd >= 0 && (events & (POLLERR | POLLHUP | POLLNVAL)))
		ctl_close(c); /* gone, and nothing more can be written */
	ctl_update(c);
	diag_leave(srv);
}

static void on_stall(void *ctx)
{
	struct diag_ctl *c = ctx;
	struct diag_server *srv = c->srv;

	diag_enter(srv);
	srv->n.control_dropped++;
	ctl_close(c);
	diag_leave(srv);
}

/* Idle without a request in work, longest first; failing that, whoever was quiet longest. */
static void evict(struct diag_server *srv)
{
	struct diag_ctl *victim = NULL;

	list_for_each(l, &srv->ctls) {
		struct diag_ctl *c = container_of(l, struct diag_ctl, link);

		if (!victim || (!c->n_calls && victim->n_calls) ||
		    (!c->n_calls == !victim->n_calls && c->active_ns < victim->active_ns))
			victim = c;
	}
	BUG_ON(!victim);
	srv->n.control_evicted++;
	ctl_close(victim);
}

void diag_control_accepted(struct diag_server *srv, int fd)
{
	struct diag_ctl *c;

	srv->n.control_accepted++;
	if (srv->n_ctl == DIAG_MAX_CONTROL)
		evict(srv);
	c = calloc(1, sizeof(*c));
	if (!c) {
		(void)close(fd);
		return;
	}
	c->srv = srv;
	c->fd = fd;
	c->active_ns = loop_now_ns();
	list_init(&c->calls);
	list_init(&c->outs);
	ttrpc_reader_init(&c->reader, &srv->frames, DIAG_FRAME_MAX);
	diag_watch_init(&c->watch, srv->loop, fd, on_ready, c);
	loop_timer_init(&c->stall, srv->loop, on_stall, c);
	list_add_tail(&srv->ctls, &c->link);
	srv->n_ctl++;
	ctl_update(c);
}
