/* SPDX-License-Identifier: MIT */
#include "vmbus_host.h"

#include "list.h"
#include "log.h"
#include "record.h"
#include "server.h"
#include "vmbus_proto.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "vmbus-host"

/* Messages that VPs may have on the way; more make the guest wait and try again. */
#define INBOX_SIZE 64
/* A slot that stays taken, or a SINT that stays masked, is looked at this often... */
#define RETRY_NS 20000000ull
/* ...and given up after so many looks in a row at a SINT that takes nothing at all (10 s). */
#define RETRY_MAX 500
#define SIGNAL_WORDS (VMBUS_MAX_CHANNELS / 64)

struct in_msg {
	uint32_t connection_id;
	size_t len;
	uint8_t raw[VMBUS_MAX_MESSAGE];
};

struct out_msg {
	struct list link;
	struct hv_message msg;
};

/* What waits for one SynIC slot, in order. */
struct out_queue {
	struct list link;
	uint8_t vtl, sint;
	uint32_t vp;
	struct list msgs;
	unsigned tries;
};

/* The server of one VTL's channels and the event ports by which it is signalled. */
struct vtl_server {
	struct vmbus_host *vh;
	struct vmbus_server *server;
	uint8_t vtl; /* whose channels; a signal from a lower one is denied */
	/* Connection id of each open channel, 0 = closed. Written by the device thread, read by
	 * VPs. */
	_Atomic uint32_t ports[VMBUS_MAX_CHANNELS];
	_Atomic uint64_t signalled[SIGNAL_WORDS]; /* channels, set by VPs */
};

/* VTL0's is spoken to by the relay of the paravisor, VTL2's by VTL2's kernel. */
enum { SERVER_VTL0, SERVER_VTL2, SERVERS };

struct vmbus_host {
	struct vmbus_host_cfg cfg;
	struct vtl_server servers[SERVERS]; /* VTL0's has no server if nobody wants one */
	struct loop_work work; /* inbox, signals or slots changed */
	struct loop_timer retry;
	struct list queues;

	pthread_mutex_t inbox_lock; /* protects: the inbox; rank: leaf */
	struct in_msg inbox[INBOX_SIZE];
	unsigned in_first, in_count;
};

/* ---- VP threads ------------------------------------------------------------------------------ */

static bool inbox_put(struct vmbus_host *vh, uint32_t connection_id, const void *payload,
		      size_t size)
{
	struct in_msg *m;
	bool room;

	(void)pthread_mutex_lock(&vh->inbox_lock);
	room = vh->in_count < INBOX_SIZE;
	if (room) {
		m = &vh->inbox[(vh->in_first + vh->in_count++) % INBOX_SIZE];
		m->connection_id = connection_id;
		m->len = size;
		memcpy(m->raw, payload, size);
	}
	(void)pthread_mutex_unlock(&vh->inbox_lock);
	return room;
}

/* All message ports belong to VTL2; VTL0's own ids are unknown here so that its posts become
 * intercepts. */
static bool message_port(uint32_t id)
{
	return id == VMBUS_MSG_ID_REDIRECT || id == VMBUS_MSG_ID_VTL2;
}

enum hv_status vmbus_host_post(struct vmbus_host *vh, uint8_t caller_vtl, uint32_t connection_id,
			       uint32_t type, const void *payload, size_t size)
{
	if (connection_id == VMBUS_MSG_ID_MULTICLIENT && caller_vtl < 2)
		return HV_INVALID_CONNECTION_ID;
	if (!message_port(connection_id) && connection_id != VMBUS_MSG_ID_MULTICLIENT)
		return HV_INVALID_CONNECTION_ID;
	if (caller_vtl < 2)
		return HV_OPERATION_DENIED;
	if (type != HVMSG_CHANNEL || size > VMBUS_MAX_MESSAGE)
		return HV_INVALID_PARAMETER;
	record_put(RECORD_POST, connection_id, payload, size);
	if (!inbox_put(vh, connection_id, payload, size))
		return HV_INSUFFICIENT_BUFFERS;
	loop_post(vh->cfg.loop, &vh->work);
	return HV_OK;
}

/* Channel whose event port has this id, 0 = none. */
static uint32_t port_find(const struct vtl_server *vs, uint32_t connection_id)
{
	const uint32_t guess = connection_id & (VMBUS_MAX_CHANNELS - 1);

	if (!connection_id)
		return 0;
	if (atomic_load_explicit(&vs->ports[guess], memory_order_relaxed) == connection_id)
		return guess;
	/* A client that chooses its own ids. */
	for (uint32_t i = 1; i < VMBUS_MAX_CHANNELS; i++) {
		if (atomic_load_explicit(&vs->ports[i], memory_order_relaxed) == connection_id)
			return i;
	}
	return 0;
}

/* The server that has such a port; *ret_chan its channel. NULL: none. */
static struct vtl_server *port_owner(struct vmbus_host *vh, uint32_t connection_id,
				     uint32_t *ret_chan)
{
	for (unsigned i = 0; i < SERVERS; i++) {
		*ret_chan = vh->servers[i].server ? port_find(&vh->servers[i], connection_id) : 0;
		if (*ret_chan)
			return &vh->servers[i];
	}
	return NULL;
}

enum hv_status vmbus_host_signal(struct vmbus_host *vh, uint8_t caller_vtl, uint32_t connection_id,
				 uint16_t flag)
{
	uint32_t chan;
	struct vtl_server *vs = port_owner(vh, connection_id, &chan);

	if (!vs)
		return HV_INVALID_CONNECTION_ID;
	if (caller_vtl < vs->vtl)
		return HV_OPERATION_DENIED;
	(void)flag; /* a dedicated port has one flag: it is the channel's whatever its number */
	atomic_fetch_or_explicit(
		&vs->signalled[chan / 64], 1ull << (chan % 64),
		memory_order_release); /* pairs with the exchange in run_signals() */
	loop_post(vh->cfg.loop, &vh->work);
	return HV_OK;
}

void vmbus_host_slot_free(struct vmbus_host *vh, uint8_t vtl, uint32_t vp, uint8_t sint)
{
	(void)vtl;
	(void)vp;
	(void)sint;
	/* Few queues exist: the pump looks at all of them. */
	loop_post(vh->cfg.loop, &vh->work);
}

/* ---- device thread: out ---------------------------------------------------------------------- */

static void queue_drop(struct out_queue *q)
{
	struct list *l;

	while ((l = list_pop(&q->msgs)))
		free(container_of(l, struct out_msg, link));
	q->tries = 0;
}

/* Deliver as much as the slot takes. Returns: is something left? */
static bool queue_pump(struct vmbus_host *vh, struct out_queue *q)
{
	while (!list_empty(&q->msgs)) {
		struct out_msg *om = container_of(q->msgs.next, struct out_msg, link);
		enum hv_status st =
			vh->cfg.synic->post_message(vh->cfg.ctx, q->vtl, q->vp, q->sint, &om->msg);

		if (st == HV_OBJECT_IN_USE)
			return true;
		if (st != HV_OK) {
			if (++q->tries < RETRY_MAX)
				return true;
			log_warn(ALLOWED, "VTL%u VP %u SINT %u takes no messages (status 0x%x)",
				 q->vtl, q->vp, q->sint, st);
			queue_drop(q);
			return false;
		}
		q->tries = 0;
		list_del(&om->link);
		free(om);
	}
	return false;
}

/* Returns: is anything left anywhere? Then the retry timer runs too. */
static bool pump_all(struct vmbus_host *vh)
{
	bool left = false;

	list_for_each(l, &vh->queues)
		left |= queue_pump(vh, container_of(l, struct out_queue, link));
	if (left)
		loop_timer_arm(&vh->retry, loop_now_ns() + RETRY_NS);
	return left;
}

static struct out_queue *queue_get(struct vmbus_host *vh, uint8_t vtl, uint32_t vp, uint8_t sint)
{
	struct out_queue *q;

	list_for_each(l, &vh->queues) {
		q = container_of(l, struct out_queue, link);
		if (q->vtl == vtl && q->vp == vp && q->sint == sint)
			return q;
	}
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->vtl = vtl;
	q->vp = vp;
	q->sint = sint;
	list_init(&q->msgs);
	list_add_tail(&vh->queues, &q->link);
	return q;
}

static void post_to(struct vmbus_host *vh, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg,
		    size_t len)
{
	struct out_queue *q = queue_get(vh, vtl, vp, sint);
	struct out_msg *om = q ? calloc(1, sizeof(*om)) : NULL;

	if (!om || len > sizeof(om->msg.payload)) {
		log_err(ALLOWED, "out of memory: a message to VTL%u is lost", vtl);
		free(om);
		return;
	}
	om->msg.type = HVMSG_CHANNEL;
	om->msg.payload_size = (uint8_t)len;
	om->msg.sender = VMBUS_MSG_ID(vtl, vp, sint);
	memcpy(om->msg.payload, msg, len);
	list_add_tail(&q->msgs, &om->link);
	/* In order behind what waits; the pump at the end of this visit would do, but a device may
	 * be the one that posts. */
	loop_post(vh->cfg.loop, &vh->work);
}

static void host_post(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg,
		      size_t len)
{
	const struct vtl_server *vs = ctx;

	post_to(vs->vh, vp, vtl, sint, msg, len);
}

static void host_signal(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, uint16_t flag)
{
	const struct vtl_server *vs = ctx;
	struct vmbus_host *vh = vs->vh;
	enum hv_status st = vh->cfg.synic->signal_event(vh->cfg.ctx, vtl, vp, sint, flag);

	if (st != HV_OK)
		log_warn_rl(ALLOWED, "event %u for VTL%u VP %u: status 0x%x", flag, vtl, vp, st);
}

static int host_port_open(void *ctx, uint32_t chan_id, uint32_t connection_id)
{
	struct vtl_server *vs = ctx;
	uint32_t taken;

	if (!connection_id || message_port(connection_id) ||
	    port_owner(vs->vh, connection_id, &taken))
		return -EEXIST;
	atomic_store_explicit(&vs->ports[chan_id], connection_id, memory_order_relaxed);
	return 0;
}

static void host_port_close(void *ctx, uint32_t chan_id)
{
	struct vtl_server *vs = ctx;

	atomic_store_explicit(&vs->ports[chan_id], 0, memory_order_relaxed);
}

static void host_connected(void *ctx, uint32_t version)
{
	const struct vtl_server *vs = ctx;
	const struct vmbus_host_cfg *cfg = &vs->vh->cfg;

	if (vs->vtl && cfg->connected)
		cfg->connected(cfg->ctx, version);
}

static void host_seen(void *ctx, uint32_t chan_id, bool page, const void *data, size_t len)
{
	(void)ctx;
	record_put(page ? RECORD_PAGE : RECORD_PIPE, chan_id, data, len);
}

static const struct vmbus_server_ops server_ops = {
	.post = host_post,
	.signal = host_signal,
	.port_open = host_port_open,
	.port_close = host_port_close,
	.connected = host_connected,
	.seen = host_seen,
};

/* ---- device thread: in ----------------------------------------------------------------------- */

/* The relay of a paravisor asks for VTL0's server. This VM has none: say so where it listens. */
static void refuse_relay(struct vmbus_host *vh)
{
	const struct vmbus_version_rsp rsp = { .h.type = VMBUS_VERSION_RESPONSE };

	log_info(ALLOWED, "this host has no channels for VTL0");
	post_to(vh, 0, 2, VMBUS_REDIRECT_SINT, &rsp, VMBUS_VERSION_RSP_V1_SIZE);
}

/* First contact comes in through a shared port and says for which VTL it is meant. */
static void handle_contact(struct vmbus_host *vh, const struct in_msg *m)
{
	struct vmbus_contact c = { 0 };

	memcpy(&c, m->raw, MIN(m->len, sizeof(c)));
	if (m->len >= VMBUS_CONTACT_V1_SIZE && c.h.type == VMBUS_INITIATE_CONTACT &&
	    c.version >= VMBUS_WIN10_RS4 && c.vtl == 2)
		vmbus_server_message(vh->servers[SERVER_VTL2].server, true, m->raw, m->len);
	else if (m->connection_id != VMBUS_MSG_ID_REDIRECT)
		log_warn_rl(ALLOWED, "message type %u on port 0x%x", c.h.type, m->connection_id);
	else if (vh->servers[SERVER_VTL0].server)
		vmbus_server_message(vh->servers[SERVER_VTL0].server, true, m->raw, m->len);
	else
		refuse_relay(vh);
}

static bool inbox_get(struct vmbus_host *vh, struct in_msg *ret_m)
{
	bool got;

	(void)pthread_mutex_lock(&vh->inbox_lock);
	got = vh->in_count;
	if (got) {
		*ret_m = vh->inbox[vh->in_first];
		vh->in_first = (vh->in_first + 1) % INBOX_SIZE;
		vh->in_count--;
	}
	(void)pthread_mutex_unlock(&vh->inbox_lock);
	return got;
}

static void run_signals(struct vtl_server *vs)
{
	for (uint32_t w = 0; w < SIGNAL_WORDS; w++) {
		uint64_t set;

		if (!atomic_load_explicit(&vs->signalled[w], memory_order_relaxed))
			continue;
		set = atomic_exchange_explicit(&vs->signalled[w], 0, memory_order_acquire);
		for (; set; set &= set - 1)
			vmbus_server_signal(vs->server, w * 64 + (uint32_t)__builtin_ctzll(set));
	}
}

static void on_work(void *ctx)
{
	struct vmbus_host *vh = ctx;
	struct in_msg m;

	for (unsigned i = 0; i < SERVERS; i++) {
		if (vh->servers[i].server)
			run_signals(&vh->servers[i]);
	}
	/* A client that does not read its answers is not asked for more. */
	while (!pump_all(vh) && inbox_get(vh, &m)) {
		if (m.connection_id == VMBUS_MSG_ID_VTL2)
			vmbus_server_message(vh->servers[SERVER_VTL2].server, false, m.raw, m.len);
		else
			handle_contact(vh, &m);
	}
}

/* ---- life cycle ------------------------------------------------------------------------------ */

static int make_server(struct vmbus_host *vh, unsigned idx, struct gmem *gm)
{
	const bool vtl2 = idx == SERVER_VTL2;
	struct vtl_server *vs = &vh->servers[idx];
	const struct vmbus_server_cfg cfg = {
		.gm = gm,
		.ops = &server_ops,
		.ctx = vs,
		.vtl = vtl2 ? 2 : 0,
		.reply_vtl = 2,
		.reply_sint = vtl2 ? VMBUS_SINT : VMBUS_REDIRECT_SINT,
		.message_id = vtl2 ? VMBUS_MSG_ID_VTL2 : VMBUS_MSG_ID_REDIRECT,
		.max_version = VMBUS_COPPER,
		/* A relay chooses how its guest signals and is interrupted. */
		.features =
			VMBUS_FEAT_MODIFY_CONNECTION | VMBUS_FEAT_CLIENT_ID |
			VMBUS_FEAT_PAUSE_RESUME |
			(vtl2 ? 0
			      : VMBUS_FEAT_GUEST_SIGNAL_PARAMS | VMBUS_FEAT_INTERRUPT_REDIRECTION),
		.vps = vh->cfg.vps,
		.loop = vh->cfg.loop,
	};

	vs->vh = vh;
	vs->vtl = cfg.vtl;
	return vmbus_server_create(&cfg, &vs->server);
}

int vmbus_host_create(const struct vmbus_host_cfg *cfg, struct vmbus_host **ret_vh)
{
	struct vmbus_host *vh;
	int r;

	if (!cfg->gm || !cfg->loop || !cfg->synic || !cfg->vps)
		return -EINVAL;
	vh = calloc(1, sizeof(*vh));
	if (!vh)
		return -ENOMEM;
	vh->cfg = *cfg;
	vh->work = (struct loop_work){ .fn = on_work, .ctx = vh };
	list_init(&vh->queues);
	loop_timer_init(&vh->retry, cfg->loop, on_work, vh);
	(void)pthread_mutex_init(&vh->inbox_lock, NULL);
	r = make_server(vh, SERVER_VTL2, cfg->gm);
	if (r == 0 && cfg->vtl0_gm)
		r = make_server(vh, SERVER_VTL0, cfg->vtl0_gm);
	if (r < 0) {
		vmbus_host_destroy(vh);
		return r;
	}
	*ret_vh = vh;
	return 0;
}

void vmbus_host_destroy(struct vmbus_host *vh)
{
	struct list *l;

	if (!vh)
		return;
	for (unsigned i = 0; i < SERVERS; i++)
		vmbus_server_destroy(vh->servers[i].server);
	loop_timer_cancel(&vh->retry);
	while ((l = list_pop(&vh->queues))) {
		struct out_queue *q = container_of(l, struct out_queue, link);

		queue_drop(q);
		free(q);
	}
	(void)pthread_mutex_destroy(&vh->inbox_lock);
	free(vh);
}

struct vmbus_server *vmbus_host_server(struct vmbus_host *vh)
{
	return vh->servers[SERVER_VTL2].server;
}

struct vmbus_server *vmbus_host_vtl0_server(struct vmbus_host *vh)
{
	return vh->servers[SERVER_VTL0].server;
}
