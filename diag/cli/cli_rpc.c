/* SPDX-License-Identifier: MIT */
#include "cli_rpc.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ttrpc.pb-c.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli_conn.h"
#include "cli_pb.h"

#define HEADER 10u
#define TYPE_REQUEST 1u
#define TYPE_RESPONSE 2u
#define READS_MAX 1024u /* in one go */

struct cli_call {
	struct cli_call *next;
	uint32_t id;
	bool done;
	bool failed; /* err holds why; else frame is the response */
	struct cli_err err;
	uint8_t *frame;
	size_t len;
};

struct cli_rpc {
	char *path;
	int fd; /* -1 = not connected */
	uint32_t next_id;
	struct cli_call *calls;
	unsigned int n_calls;

	/* The frame that is arriving. */
	uint8_t header[HEADER];
	size_t got; /* of the header, then of the header and the payload */
	size_t len; /* of the payload */
	uint8_t *body; /* NULL while skipping */
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void be32_put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

struct cli_rpc *cli_rpc_create(const char *path)
{
	struct cli_rpc *rpc = calloc(1, sizeof(*rpc));

	if (!rpc)
		return NULL;
	rpc->fd = -1;
	rpc->path = strdup(path);
	if (!rpc->path) {
		free(rpc);
		return NULL;
	}
	return rpc;
}

static void call_free(struct cli_call *call)
{
	free(call->frame);
	free(call);
}

void cli_rpc_destroy(struct cli_rpc *rpc)
{
	struct cli_call *c;

	if (!rpc)
		return;
	while ((c = rpc->calls)) {
		rpc->calls = c->next;
		call_free(c);
	}
	if (rpc->fd >= 0)
		(void)close(rpc->fd);
	free(rpc->body);
	free(rpc->path);
	free(rpc);
}

static void call_fail(struct cli_call *call, int code, const char *what)
{
	call->done = call->failed = true;
	(void)cli_err_set(&call->err, "%s", what);
	call->err.code = code;
}

/* The connection is of no use any more. Its calls fail, the next one makes a new connection. */
static void disconnect(struct cli_rpc *rpc)
{
	(void)close(rpc->fd);
	rpc->fd = -1;
	free(take_ptr(rpc->body));
	rpc->got = 0;
	for (struct cli_call *c = rpc->calls; c; c = c->next) {
		if (c->done)
			continue;
		call_fail(c, CLI_CODE_UNAVAILABLE, "channel closed");
		cli_err_hint(&c->err,
			     "the server closed the connection before it answered: VTL2 may "
			     "have crashed or restarted");
	}
}

static int dial(struct cli_rpc *rpc, struct cli_err *err)
{
	struct timeval limit = { .tv_sec = CLI_CONNECT_MS / 1000 };

	if (rpc->fd >= 0)
		return 0;
	rpc->fd = cli_connect(rpc->path, CLI_PORT_CONTROL, err);
	if (rpc->fd < 0) {
		cli_err_flatten(err);
		err->code = CLI_CODE_UNAVAILABLE;
		return -1;
	}
	/* A server that does not read must not hold us. */
	(void)setsockopt(rpc->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	rpc->got = 0;
	rpc->next_id = 1;
	return 0;
}

static int send_frame(struct cli_rpc *rpc, uint32_t id, const uint8_t *payload, size_t len)
{
	uint8_t header[HEADER] = { 0 };
	struct iovec iov[2] = { { header, HEADER }, { (void *)(uintptr_t)payload, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	be32_put(header, (uint32_t)len);
	be32_put(header + 4, id);
	header[8] = TYPE_REQUEST;
	while (iov[0].iov_len + iov[1].iov_len) {
		n = sendmsg(rpc->fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (int i = 0; i < 2 && n; i++) {
			size_t part = MIN((size_t)n, iov[i].iov_len);

			iov[i].iov_base = (uint8_t *)iov[i].iov_base + part;
			iov[i].iov_len -= part;
			n -= (ssize_t)part;
		}
	}
	return 0;
}

static int encode(const char *service, const char *method, const void *payload, size_t len,
		  uint64_t timeout_ns, uint8_t **ret_buf, size_t *ret_len)
{
	Ttrpc__Request req;

	ttrpc__request__init(&req);
	/* The encoder only reads. */
	req.service = (char *)(uintptr_t)service;
	req.method = (char *)(uintptr_t)method;
	req.payload.data = (uint8_t *)(uintptr_t)payload;
	req.payload.len = len;
	req.timeout_nano = timeout_ns;
	return cli_pb_pack(&req.base, ret_buf, ret_len);
}

int cli_rpc_start(struct cli_rpc *rpc, const char *service, const char *method, const void *payload,
		  size_t len, uint64_t timeout_ns, struct cli_err *err, struct cli_call **ret_call)
{
	auto_free uint8_t *buf = NULL;
	struct cli_call *call;
	size_t buf_len;
	int r;

	if (rpc->n_calls >= CLI_CALLS_MAX)
		return cli_err_os(err, EBUSY);
	if (dial(rpc, err) < 0)
		return -1;
	r = encode(service, method, payload, len, timeout_ns, &buf, &buf_len);
	if (r < 0)
		return cli_err_os(err, r);
	if (buf_len > CLI_FRAME_MAX)
		return cli_err_set(err, "the request is too large");
	call = calloc(1, sizeof(*call));
	if (!call)
		return cli_err_os(err, ENOMEM);
	call->id = rpc->next_id;
	rpc->next_id += 2;
	r = send_frame(rpc, call->id, buf, buf_len);
	call->next = rpc->calls;
	rpc->calls = call;
	rpc->n_calls++;
	if (r < 0)
		disconnect(rpc); /* the call says so when it is asked */
	*ret_call = call;
	return 0;
}

int cli_rpc_fd(const struct cli_rpc *rpc)
{
	return rpc->fd;
}

bool cli_call_done(const struct cli_call *call)
{
	return call->done;
}

static struct cli_call *call_of(struct cli_rpc *rpc, uint32_t id)
{
	for (struct cli_call *c = rpc->calls; c; c = c->next)
		if (c->id == id && !c->done)
			return c;
	return NULL;
}

/* The header is complete: is the payload wanted? */
static int frame_begin(struct cli_rpc *rpc)
{
	struct cli_call *call = call_of(rpc, be32(rpc->header + 4));

	rpc->len = be32(rpc->header);
	if (!call || rpc->len > CLI_FRAME_MAX)
		return 0; /* skipped */
	rpc->body = malloc(rpc->len ? rpc->len : 1);
	return rpc->body ? 0 : -ENOMEM;
}

static void frame_end(struct cli_rpc *rpc)
{
	struct cli_call *call = call_of(rpc, be32(rpc->header + 4));
	char text[96];

	if (call && rpc->len > CLI_FRAME_MAX) {
		(void)snprintf(text, sizeof(text),
			       "message length %zu exceeds maximum allowed size %u", rpc->len,
			       CLI_FRAME_MAX);
		call_fail(call, CLI_CODE_EXHAUSTED, text);
		cli_err_hint(&call->err, "ask for less: a path deeper in the tree, or -l");
	} else if (call && rpc->header[8] != TYPE_RESPONSE) {
		(void)snprintf(text, sizeof(text), "invalid message type %u", rpc->header[8]);
		call_fail(call, CLI_CODE_UNKNOWN, text);
	} else if (call) {
		call->done = true;
		call->frame = take_ptr(rpc->body);
		call->len = rpc->len;
	}
	free(take_ptr(rpc->body));
	rpc->got = 0;
}

/* One read. Returns: 0; -EAGAIN: nothing there; another -errno: the connection is over. */
static int read_some(struct cli_rpc *rpc)
{
	uint8_t waste[4096], *at;
	size_t want, in_body;
	ssize_t n;

	in_body = rpc->got < HEADER ? 0 : rpc->got - HEADER;
	if (rpc->got < HEADER) {
		at = rpc->header + rpc->got;
		want = HEADER - rpc->got;
	} else {
		want = rpc->len - in_body;
		at = rpc->body ? rpc->body + in_body : waste;
		want = rpc->body ? want : MIN(want, sizeof(waste));
	}
	n = recv(rpc->fd, at, want, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n)
		return -ENODATA;
	rpc->got += (size_t)n;
	if (rpc->got == HEADER && !in_body && frame_begin(rpc) < 0)
		return -ENOMEM;
	if (rpc->got >= HEADER && rpc->got - HEADER == rpc->len)
		frame_end(rpc);
	return 0;
}

void cli_rpc_pump(struct cli_rpc *rpc)
{
	int r = 0;

	/* A server that never stops sending does not keep us here. */
	for (unsigned int i = 0; rpc->fd >= 0 && !r && i < READS_MAX; i++)
		r = read_some(rpc);
	if (r < 0 && r != -EAGAIN)
		disconnect(rpc);
}

int cli_rpc_decode(const uint8_t *frame, size_t len, struct cli_err *err, uint8_t **ret_payload,
		   size_t *ret_len)
{
	Ttrpc__Response *resp;
	ProtobufCMessage *msg;
	struct cli_pb pb;
	int r = -1;

	cli_pb_init(&pb);
	msg = cli_pb_unpack(&pb, &ttrpc__response__descriptor, frame, len);
	resp = (Ttrpc__Response *)msg;
	if (msg && resp->result_case == TTRPC__RESPONSE__RESULT_ERROR && resp->error) {
		(void)cli_err_set(err, "%s", resp->error->message);
		err->code = resp->error->code ? resp->error->code : CLI_CODE_UNKNOWN;
	} else if (msg && resp->result_case == TTRPC__RESPONSE__RESULT_PAYLOAD) {
		*ret_payload = malloc(resp->payload.len ? resp->payload.len : 1);
		if (*ret_payload) {
			if (resp->payload.len)
				memcpy(*ret_payload, resp->payload.data, resp->payload.len);
			*ret_len = resp->payload.len;
			r = 0;
		} else {
			(void)cli_err_os(err, ENOMEM);
		}
	} else {
		(void)cli_err_set(err, "the server's answer is malformed");
		err->code = CLI_CODE_UNKNOWN;
	}
	if (msg)
		cli_pb_free(&pb, msg);
	return r;
}

void cli_rpc_forget(struct cli_rpc *rpc, struct cli_call *call)
{
	struct cli_call **at = &rpc->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	rpc->n_calls--;
	call_free(call);
}

int cli_rpc_finish(struct cli_rpc *rpc, struct cli_call *call, uint64_t limit_ms,
		   struct cli_err *err, uint8_t **ret_payload, size_t *ret_len)
{
	uint64_t end = limit_ms ? cli_now_ms() + limit_ms : UINT64_MAX, now;
	struct pollfd p = { .events = POLLIN };
	int r;

	for (;;) {
		cli_rpc_pump(rpc);
		now = cli_now_ms();
		if (call->done || now >= end)
			break;
		p.fd = rpc->fd;
		(void)poll(&p, 1, end - now > 60000 ? 60000 : (int)(end - now));
	}
	if (!call->done) {
		call_fail(call, CLI_CODE_DEADLINE, "deadline exceeded");
		cli_err_hint(&call->err,
			     "the server accepted the request but did not answer; it may "
			     "be stuck");
	}
	if (call->failed) {
		*err = call->err;
		r = -1;
	} else {
		r = cli_rpc_decode(call->frame, call->len, err, ret_payload, ret_len);
	}
	cli_rpc_forget(rpc, call);
	return r;
}
