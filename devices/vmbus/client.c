/* SPDX-License-Identifier: MIT */
#include "client.h"

#include "chanmsg.h"
#include "inspect.h"
#include "list.h"
#include "log.h"
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "vmbus-client"

/* A host that takes nothing while the other VTL asks for more: the connection is given up. */
#define MAX_QUEUED 16384u
#define RETRY_NS 1000000ull

static const uint32_t versions[] = { VMBUS_COPPER, VMBUS_IRON };

struct out_msg {
	struct list link;
	size_t len;
	uint8_t raw[];
};

struct vmbus_client {
	struct vmbus_client_cfg cfg;
	struct list queue;
	uint32_t n_queued;
	struct loop_timer retry;
	uint32_t connection_id; /* what the server wants to be spoken to by */
	uint32_t version, features; /* agreed */
	unsigned tried; /* versions offered so far */
	bool contacting; /* an answer to INITIATE_CONTACT is due */
	bool dead;
	uint64_t sent, received, refused;
};

/* ---- sending --------------------------------------------------------------------------------- */

static void drop_queue(struct vmbus_client *c)
{
	struct list *l;

	while ((l = list_pop(&c->queue)))
		free(container_of(l, struct out_msg, link));
	c->n_queued = 0;
}

static void give_up(struct vmbus_client *c, const char *why)
{
	if (c->dead)
		return;
	log_err(ALLOWED, "the host's VMBus is not usable any more: %s", why);
	c->dead = true;
	drop_queue(c);
}

static void pump(void *ctx)
{
	struct vmbus_client *c = ctx;

	while (!list_empty(&c->queue)) {
		struct out_msg *om = container_of(c->queue.next, struct out_msg, link);
		int r = c->cfg.ops->post(c->cfg.ctx, c->connection_id, om->raw, om->len);

		if (r == -EAGAIN) {
			loop_timer_arm(&c->retry, loop_now_ns() + RETRY_NS);
			return;
		}
		if (r < 0)
			return give_up(c, "it takes no messages");
		c->sent++;
		list_del(&om->link);
		free(om);
		c->n_queued--;
	}
}

static void post(struct vmbus_client *c, const void *msg, size_t len)
{
	struct out_msg *om;

	if (c->dead)
		return;
	om = c->n_queued < MAX_QUEUED ? malloc(sizeof(*om) + len) : NULL;
	if (!om)
		return give_up(c, "too many messages wait for it");
	om->len = len;
	memcpy(om->raw, msg, len);
	list_add_tail(&c->queue, &om->link);
	if (++c->n_queued == 1)
		pump(c);
}

static void post_chan(struct vmbus_client *c, uint32_t type, uint32_t chan_id)
{
	const struct vmbus_chan_msg m = { .h.type = type, .chan_id = chan_id };

	post(c, &m, sizeof(m));
}

static void contact(struct vmbus_client *c)
{
	const struct vmbus_contact m = {
		.h.type = VMBUS_INITIATE_CONTACT,
		.version = versions[c->tried],
		.sint = VMBUS_SINT,
		.vtl = c->cfg.vtl,
		.features = versions[c->tried] >= VMBUS_COPPER ? c->cfg.features : 0,
		.client_id = c->cfg.client_id,
	};
	const bool wide = m.features & VMBUS_FEAT_CLIENT_ID;

	c->contacting = true;
	c->tried++;
	post(c, &m, wide ? sizeof(m) : VMBUS_CONTACT_V1_SIZE);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void refused(struct vmbus_client *c)
{
	if (c->tried < ARRAY_SIZE(versions))
		return contact(c);
	c->cfg.ops->connected(c->cfg.ctx, 0);
}

static void on_version(struct vmbus_client *c, const struct vmbus_version_rsp *m)
{
	const struct vmbus_msg_header offers = { .type = VMBUS_REQUEST_OFFERS };
	const uint32_t version = versions[c->tried ? c->tried - 1 : 0];

	if (!c->contacting)
		return;
	c->contacting = false;
	if (!m->supported || m->conn_state != VMBUS_CONN_OK)
		return refused(c);
	c->features = version >= VMBUS_COPPER ? m->features & c->cfg.features : 0;
	if ((c->features & c->cfg.needed) != c->cfg.needed) {
		log_warn(ALLOWED, "the host's VMBus lacks features (has 0x%x, needed 0x%x)",
			 c->features, c->cfg.needed);
		return refused(c);
	}
	c->version = version;
	c->connection_id = m->selected;
	c->cfg.ops->connected(c->cfg.ctx, version);
	post(c, &offers, sizeof(offers));
}

static void dispatch(struct vmbus_client *c, const struct chanmsg *m)
{
	const struct vmbus_client_ops *ops = c->cfg.ops;
	void *ctx = c->cfg.ctx;

	switch (m->h.type) {
	case VMBUS_VERSION_RESPONSE:
		return on_version(c, &m->version_rsp);
	case VMBUS_OFFER_CHANNEL:
		return ops->offer(ctx, &m->offer);
	case VMBUS_RESCIND_OFFER:
		return ops->rescinded(ctx, m->chan.chan_id);
	case VMBUS_OPEN_CHANNEL_RESULT:
		return ops->opened(ctx, m->open_result.chan_id,
				   m->open_result.status == VMBUS_STATUS_OK);
	case VMBUS_GPADL_CREATED:
		return ops->gpadl_created(ctx, m->gpadl_created.chan_id, m->gpadl_created.gpadl,
					  m->gpadl_created.status == VMBUS_STATUS_OK);
	case VMBUS_GPADL_TORNDOWN:
		return ops->gpadl_torndown(ctx, m->gpadl_torndown.gpadl);
	case VMBUS_MODIFY_CHANNEL_RESPONSE:
		return ops->modified(ctx, m->modify_rsp.chan_id,
				     m->modify_rsp.status == VMBUS_STATUS_OK);
	default:
		/* ALL_OFFERS_DELIVERED and answers to what is never asked. */
		return;
	}
}

void vmbus_client_message(struct vmbus_client *c, const void *raw, size_t len)
{
	/* Before versions are agreed only their answer counts; no version rules it. */
	const uint32_t version = c->version ? c->version : VMBUS_COPPER;
	struct chanmsg m;
	int r;

	if (c->dead)
		return;
	r = chanmsg_parse(CHANMSG_TO_CLIENT, raw, len, version, c->features, &m);
	if (r < 0 || (!c->version && m.h.type != VMBUS_VERSION_RESPONSE)) {
		c->refused++;
		log_warn_rl(ALLOWED, "message of %zu bytes from the host refused (%d)", len, r);
		return;
	}
	c->received++;
	dispatch(c, &m);
}

/* ---- requests -------------------------------------------------------------------------------- */

void vmbus_client_connect(struct vmbus_client *c)
{
	c->tried = 0;
	contact(c);
}

void vmbus_client_open(struct vmbus_client *c, const struct vmbus_client_open *o)
{
	const uint32_t wide = VMBUS_FEAT_GUEST_SIGNAL_PARAMS | VMBUS_FEAT_INTERRUPT_REDIRECTION;
	struct vmbus_open m = {
		.h.type = VMBUS_OPEN_CHANNEL,
		.chan_id = o->chan_id,
		.open_id = o->chan_id,
		.ring_gpadl = o->ring_gpadl,
		.target_vp = o->target_vp,
		.downstream_page = o->downstream_page,
		.connection_id = o->connection_id,
		.event_flag = o->event_flag,
		.flags = o->redirect_interrupt ? VMBUS_OPEN_REDIRECT_INTERRUPT : 0,
	};

	memcpy(m.user, o->user, sizeof(m.user));
	post(c, &m, c->features & wide ? sizeof(m) : VMBUS_OPEN_V1_SIZE);
}

void vmbus_client_close(struct vmbus_client *c, uint32_t chan_id)
{
	post_chan(c, VMBUS_CLOSE_CHANNEL, chan_id);
}

void vmbus_client_release(struct vmbus_client *c, uint32_t chan_id)
{
	post_chan(c, VMBUS_RELID_RELEASED, chan_id);
}

void vmbus_client_modify(struct vmbus_client *c, uint32_t chan_id, uint32_t target_vp)
{
	const struct vmbus_modify m = { .h.type = VMBUS_MODIFY_CHANNEL,
					.chan_id = chan_id,
					.target_vp = target_vp };

	post(c, &m, sizeof(m));
}

void vmbus_client_gpadl(struct vmbus_client *c, uint32_t chan_id, uint32_t gpadl, uint16_t n_ranges,
			const uint64_t *words, uint32_t n_words)
{
	struct vmbus_gpadl_header h = { .h.type = VMBUS_GPADL_HEADER,
					.chan_id = chan_id,
					.gpadl = gpadl,
					.range_bytes = (uint16_t)(n_words * sizeof(*words)),
					.range_count = n_ranges };
	uint32_t n = MIN(n_words, VMBUS_GPADL_HEADER_WORDS);

	memcpy(h.data, words, n * sizeof(*words));
	post(c, &h, VMBUS_GPADL_HEADER_SIZE + n * sizeof(*words));
	for (uint32_t at = n; at < n_words; at += n) {
		struct vmbus_gpadl_body b = { .h.type = VMBUS_GPADL_BODY, .gpadl = gpadl };

		n = MIN(n_words - at, VMBUS_GPADL_BODY_WORDS);
		memcpy(b.data, words + at, n * sizeof(*words));
		post(c, &b, VMBUS_GPADL_BODY_SIZE + n * sizeof(*words));
	}
}

void vmbus_client_teardown(struct vmbus_client *c, uint32_t chan_id, uint32_t gpadl)
{
	const struct vmbus_gpadl_teardown m = { .h.type = VMBUS_GPADL_TEARDOWN,
						.chan_id = chan_id,
						.gpadl = gpadl };

	post(c, &m, sizeof(m));
}

/* ---- life cycle ------------------------------------------------------------------------------ */

int vmbus_client_create(const struct vmbus_client_cfg *cfg, struct vmbus_client **ret_c)
{
	struct vmbus_client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	c->connection_id = cfg->connection_id;
	list_init(&c->queue);
	loop_timer_init(&c->retry, cfg->loop, pump, c);
	*ret_c = c;
	return 0;
}

void vmbus_client_destroy(struct vmbus_client *c)
{
	if (!c)
		return;
	loop_timer_cancel(&c->retry);
	drop_queue(c);
	free(c);
}

uint32_t vmbus_client_version(const struct vmbus_client *c)
{
	return c->version;
}

void vmbus_client_inspect(struct inspect *in, const void *obj)
{
	const struct vmbus_client *c = obj;

	inspect_bool(in, SENS_UNSPEC, "connected", c->version != 0);
	inspect_hex(in, SENS_UNSPEC, "version", c->version);
	inspect_hex(in, SENS_UNSPEC, "features", c->features);
	inspect_bool(in, SENS_UNSPEC, "failed", c->dead);
	inspect_u64(in, SENS_UNSPEC, "queued", c->n_queued);
	inspect_count(in, SENS_UNSPEC, "sent", c->sent);
	inspect_count(in, SENS_UNSPEC, "received", c->received);
	inspect_count(in, SENS_UNSPEC, "refused", c->refused);
}
