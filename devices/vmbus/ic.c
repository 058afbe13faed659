/* SPDX-License-Identifier: MIT */
#include "ic.h"

#include "inspect.h"
#include "log.h"

#include <errno.h>
#include <string.h>

#define LOG_AREA "ic"

/* A guest that behaves owes one answer at a time; others are not listened to for ever. */
#define MESSAGES_PER_VISIT 16

static const struct ic_version fw_versions[] = { { 3, 0 }, { 1, 0 } };

struct ic_buf {
	struct ic_header h;
	uint8_t body[IC_BODY_MAX];
};

static const char *ic_name(const struct ic *ic)
{
	switch (ic->ops->type) {
	case IC_HEARTBEAT:
		return "heartbeat";
	case IC_SHUTDOWN:
		return "shutdown";
	case IC_TIMESYNC:
		return "time sync";
	case IC_NEGOTIATE:
		break;
	}
	return "?";
}

static void end(struct ic *ic, enum ic_state state)
{
	const bool tell = ic->waiting || ic->state == IC_READY;

	ic->state = state;
	ic->waiting = false;
	if (tell)
		ic->ops->gone(ic);
}

static void violation(struct ic *ic, const char *what)
{
	ic->violations++;
	log_warn_rl(ALLOWED, "%s: the guest broke the protocol: %s", ic_name(ic), what);
	end(ic, IC_CLOSED);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void negotiate(struct ic *ic)
{
	struct {
		struct ic_header h;
		struct ic_negotiate n;
		struct ic_version v[ARRAY_SIZE(fw_versions) + 8];
	} m = {
		.h = { .type = IC_NEGOTIATE, .flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST },
		.n = { .n_fw = ARRAY_SIZE(fw_versions), .n_msg = (uint16_t)ic->ops->n_versions },
	};
	const size_t n = ARRAY_SIZE(fw_versions) + ic->ops->n_versions;

	memcpy(m.v, fw_versions, sizeof(fw_versions));
	for (unsigned i = 0; i < ic->ops->n_versions; i++)
		m.v[ARRAY_SIZE(fw_versions) + i] = ic->ops->versions[i];
	m.h.size = (uint16_t)(sizeof(m.n) + n * sizeof(m.v[0]));
	ic->state = IC_NEGOTIATING;
	if (pipe_send(vmbus_chan_pipe(ic->chan), &m, sizeof(m.h) + m.h.size) < 0)
		violation(ic, "it does not read");
}

int ic_request(struct ic *ic, const void *body, size_t len)
{
	struct ic_header h = {
		.fw_major = ic->fw.major,
		.fw_minor = ic->fw.minor,
		.type = (uint16_t)ic->ops->type,
		.msg_major = ic->msg.major,
		.msg_minor = ic->msg.minor,
		.size = (uint16_t)len,
		.transaction = (uint8_t)(ic->transaction + 1),
		.flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST,
	};
	int r;

	if (ic->state != IC_READY)
		return -ENOTCONN;
	if (ic->waiting)
		return -EBUSY;
	r = pipe_send2(vmbus_chan_pipe(ic->chan), &h, sizeof(h), body, len);
	if (r < 0)
		return r == -EAGAIN ? r : -ENOTCONN;
	ic->transaction = h.transaction;
	ic->waiting = true;
	ic->requests++;
	return 0;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static bool offered(const struct ic_version *list, unsigned n, struct ic_version v)
{
	for (unsigned i = 0; i < n; i++) {
		if (list[i].major == v.major && list[i].minor == v.minor)
			return true;
	}
	return false;
}

/* The guest chose one of each, or says that nothing fits. */
static void on_negotiated(struct ic *ic, const struct ic_buf *m, size_t len)
{
	struct ic_negotiate n;
	struct ic_version v[2];

	if (ic->state != IC_NEGOTIATING)
		return violation(ic, "versions again");
	if (len < sizeof(n) + sizeof(v))
		return violation(ic, "short answer to the versions");
	memcpy(&n, m->body, sizeof(n));
	memcpy(v, m->body + sizeof(n), sizeof(v));
	if (n.n_fw != 1 || n.n_msg != 1) {
		log_info(ALLOWED, "%s: the guest has no version in common", ic_name(ic));
		end(ic, IC_CLOSED);
		return;
	}
	if (!offered(fw_versions, ARRAY_SIZE(fw_versions), v[0]) ||
	    !offered(ic->ops->versions, ic->ops->n_versions, v[1]))
		return violation(ic, "it chose a version that was not offered");
	ic->fw = v[0];
	ic->msg = v[1];
	ic->state = IC_READY;
	ic->ops->ready(ic);
}

static void on_message(struct ic *ic, const struct ic_buf *m, size_t len)
{
	const size_t body = len < sizeof(m->h) ? 0 : MIN(len - sizeof(m->h), (size_t)m->h.size);

	if (len < sizeof(m->h) || !(m->h.flags & IC_FLAG_RESPONSE))
		return violation(ic, "not a response");
	if (m->h.type == IC_NEGOTIATE)
		return on_negotiated(ic, m, body);
	/* Answers to requests of an earlier conversation may still arrive. */
	if (m->h.type != ic->ops->type || ic->state != IC_READY || !ic->waiting ||
	    m->h.transaction != ic->transaction)
		return;
	ic->waiting = false;
	ic->replies++;
	ic->ops->reply(ic, m->h.status, m->body, body);
}

static void on_signalled(void *ctx, struct vmbus_chan *ch)
{
	struct ic *ic = ctx;
	struct ic_buf m;
	size_t len;

	for (int i = 0; i < MESSAGES_PER_VISIT && ic->state != IC_CLOSED; i++) {
		int r = pipe_recv(vmbus_chan_pipe(ch), &m, sizeof(m), &len);

		if (r == -EAGAIN)
			return;
		if (r < 0)
			return violation(ic, "its ring is corrupt");
		on_message(ic, &m, len);
	}
	if (ic->state != IC_CLOSED)
		violation(ic, "it sends without being asked");
}

static void on_open(void *ctx, struct vmbus_chan *ch)
{
	struct ic *ic = ctx;

	vmbus_chan_open_done(ch, 0);
	negotiate(ic);
	on_signalled(ic, ch); /* finds nothing, and asks to be told of more */
}

static void on_close(void *ctx, struct vmbus_chan *ch)
{
	end(ctx, IC_CLOSED);
	vmbus_chan_close_done(ch);
}

static const struct vmbus_chan_ops chan_ops = {
	.open = on_open,
	.close = on_close,
	.signalled = on_signalled,
};

int ic_init(struct ic *ic, struct vmbus_server *s, const struct guid *interface_id,
	    const struct guid *instance_id, const struct ic_ops *ops)
{
	const struct vmbus_chan_cfg cfg = {
		.interface_id = *interface_id,
		.instance_id = *instance_id,
		.kind = VMBUS_CHAN_PIPE,
		.ops = &chan_ops,
		.ctx = ic,
	};

	*ic = (struct ic){ .ops = ops };
	return vmbus_chan_offer(s, &cfg, &ic->chan);
}

void ic_fini(struct ic *ic)
{
	vmbus_chan_destroy(ic->chan);
	ic->chan = NULL;
}

void ic_inspect(struct inspect *in, const void *obj)
{
	static const char *const names[] = { "closed", "negotiating", "ready" };
	const struct ic *ic = obj;

	inspect_str(in, SENS_SAFE, "state", names[ic->state]);
	inspect_hex(in, SENS_UNSPEC, "version", ic_agreed(ic));
	inspect_count(in, SENS_UNSPEC, "requests", ic->requests);
	inspect_count(in, SENS_UNSPEC, "replies", ic->replies);
	inspect_count(in, SENS_UNSPEC, "violations", ic->violations);
}
