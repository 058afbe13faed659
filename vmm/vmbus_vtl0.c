/* SPDX-License-Identifier: MIT */
/* See vmbus_vtl0.h. */
#include "vmbus_vtl0.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "inspect.h"
#include "list.h"
#include "log.h"
#include "server.h"
#include "vcpu.h"
#include "vmbus_proto.h"

#define LOG_AREA "vmbus-vtl0"

/* Messages of VTL0 that may wait; with more VTL0 is told to try again. */
#define INBOX_SIZE 64
/* Answers that VTL0 has not taken; with more its messages wait. */
#define OUT_MAX 32
/* A SINT that is off or masked is looked at this often... */
#define RETRY_NS 20000000ull
/* ...and this many times (10 s), then the message is lost. */
#define RETRY_MAX 500
#define SIGNAL_WORDS (VMBUS_MAX_CHANNELS / 64)

struct in_msg {
	bool multiclient;
	size_t len;
	uint8_t raw[VMBUS_MAX_MESSAGE];
};

struct out_msg {
	struct list link;
	uint8_t sint;
	struct hv_message msg;
};

/* What belongs to one VP. Messages can only be delivered on its own thread. */
struct vp_side {
	/* This VP's thread is between looking a channel up and having posted its work. */
	_Alignas(64) atomic_uint looking;
	struct vmbus_vtl0 *vb;
	vpidx_t vp;
	pthread_mutex_t lock; /* protects: msgs; rank: leaf */
	struct list msgs;
	struct loop_work pump;
	struct loop_timer retry; /* VP thread, as below */
	unsigned int tries;
};

/* One channel's event port. Written by the control thread, read by VPs. */
struct port {
	_Atomic uint32_t connection; /* 0 = closed */
	_Atomic(struct loop *) loop; /* constant while work is not NULL */
	_Atomic(struct loop_work *) work; /* NULL: the server is told */
};

struct counters {
	atomic_uint_fast64_t in, refused, out, lost, busy, bells, signals, interrupts, at_entry;
};

struct vmbus_vtl0 {
	struct vmbus_vtl0_cfg cfg;
	struct vmbus_server *server;
	struct loop_work work; /* inbox or signals changed, or there is room for answers again */
	struct vp_side *side; /* cfg.vps of them */
	struct counters count;

	pthread_mutex_t inbox_lock; /* protects: the inbox; rank: leaf */
	struct in_msg inbox[INBOX_SIZE];
	unsigned int in_first, in_count;

	atomic_uint n_out; /* answers not delivered */
	atomic_bool stalled; /* the server waits until there are fewer */
	atomic_uint own_ids; /* open ports whose connection id is the client's choice */
	struct port ports[VMBUS_MAX_CHANNELS];
	_Atomic uint64_t signalled[SIGNAL_WORDS]; /* channels, set by VPs */
};

static void count(atomic_uint_fast64_t *c)
{
	atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
}

/* ---- VP threads: in -------------------------------------------------------------------------- */

static bool inbox_put(struct vmbus_vtl0 *vb, bool multiclient, const void *payload, size_t len)
{
	struct in_msg *m;
	bool room;

	(void)pthread_mutex_lock(&vb->inbox_lock);
	room = vb->in_count < INBOX_SIZE;
	if (room) {
		m = &vb->inbox[(vb->in_first + vb->in_count++) % INBOX_SIZE];
		m->multiclient = multiclient;
		m->len = len;
		memcpy(m->raw, payload, len);
	}
	(void)pthread_mutex_unlock(&vb->inbox_lock);
	return room;
}

static bool message_port(uint32_t id)
{
	return id == VMBUS_MSG_ID_LEGACY || id == VMBUS_MSG_ID_MULTICLIENT;
}

uint16_t vmbus_vtl0_post(struct vmbus_vtl0 *vb, vpidx_t vp, uint32_t connection, uint32_t type,
			 const void *payload, size_t len)
{
	(void)vp;
	if (!message_port(connection))
		return HV_INVALID_CONNECTION_ID;
	if (type != HVMSG_CHANNEL || len > VMBUS_MAX_MESSAGE)
		return HV_INVALID_PARAMETER;
	if (!inbox_put(vb, connection == VMBUS_MSG_ID_MULTICLIENT, payload, len)) {
		count(&vb->count.refused);
		return HV_INSUFFICIENT_BUFFERS;
	}
	count(&vb->count.in);
	loop_post(vb->cfg.ctl, &vb->work);
	return HV_OK;
}

static bool port_is(struct vmbus_vtl0 *vb, uint32_t chan, uint32_t connection)
{
	return atomic_load_explicit(&vb->ports[chan].connection, memory_order_relaxed) ==
	       connection;
}

/* The channel whose event port has this id, 0 = none. */
static uint32_t port_find(struct vmbus_vtl0 *vb, uint32_t connection)
{
	const uint32_t guess = connection & (VMBUS_MAX_CHANNELS - 1);

	if (!connection)
		return 0;
	if (port_is(vb, guess, connection))
		return guess;
	if (!atomic_load_explicit(&vb->own_ids, memory_order_relaxed))
		return 0;
	for (uint32_t i = 1; i < VMBUS_MAX_CHANNELS; i++) {
		if (port_is(vb, i, connection))
			return i;
	}
	return 0;
}

static void tell_server(struct vmbus_vtl0 *vb, uint32_t chan)
{
	/* Release pairs with the exchange in run_signals(). */
	atomic_fetch_or_explicit(&vb->signalled[chan / 64], 1ull << (chan % 64),
				 memory_order_release);
	loop_post(vb->cfg.ctl, &vb->work);
}

uint16_t vmbus_vtl0_signal(struct vmbus_vtl0 *vb, vpidx_t vp, uint32_t connection, uint16_t flag)
{
	struct vp_side *side = &vb->side[vp];
	struct loop_work *work;
	uint32_t chan;

	(void)flag; /* a port of a channel has one flag: it is the channel's whatever its number */
	/* Either vb_bell() sees this, or what it stored before it looked is seen below. */
	atomic_store_explicit(&side->looking, 1, memory_order_seq_cst);
	chan = port_find(vb, connection);
	if (chan) {
		struct port *p = &vb->ports[chan];

		work = atomic_load_explicit(&p->work, memory_order_seq_cst);
		if (work) {
			count(&vb->count.bells);
			loop_post(atomic_load_explicit(&p->loop, memory_order_relaxed), work);
		} else {
			count(&vb->count.signals);
			tell_server(vb, chan);
		}
	}
	atomic_store_explicit(&side->looking, 0, memory_order_release);
	return chan ? HV_OK : HV_INVALID_CONNECTION_ID;
}

/* ---- VP threads: out ------------------------------------------------------------------------- */

static struct out_msg *first_msg(struct vp_side *side)
{
	struct out_msg *om = NULL;

	(void)pthread_mutex_lock(&side->lock);
	if (!list_empty(&side->msgs))
		om = container_of(side->msgs.next, struct out_msg, link);
	(void)pthread_mutex_unlock(&side->lock);
	return om;
}

static void finish_msg(struct vp_side *side, struct out_msg *om)
{
	struct vmbus_vtl0 *vb = side->vb;

	(void)pthread_mutex_lock(&side->lock);
	list_del(&om->link);
	(void)pthread_mutex_unlock(&side->lock);
	free(om);
	/* Either this is seen by room_for_answers(), or its request is seen here. */
	if (atomic_fetch_sub(&vb->n_out, 1) <= OUT_MAX && atomic_exchange(&vb->stalled, false))
		loop_post(vb->cfg.ctl, &vb->work);
}

/* Deliver what the slots of this VP take, in order. */
static void pump(struct vp_side *side)
{
	struct vmbus_vtl0 *vb = side->vb;
	struct vcpu *v = vb->cfg.vcpu(vb->cfg.ctx, side->vp);
	struct out_msg *om;

	while ((om = first_msg(side))) {
		int r = hvc_post_message(vb->cfg.hvc, om->sint, &om->msg);

		if (r == HV_OBJECT_IN_USE) {
			count(&vb->count.busy);
			v->want_sints |= (uint16_t)BIT(om->sint);
			return;
		}
		if (r && side->tries++ < RETRY_MAX) {
			loop_timer_arm(&side->retry, loop_now_ns() + RETRY_NS);
			return;
		}
		if (r)
			log_warn_rl(ALLOWED, "VTL0's VP %u takes no message on SINT %u (%d)",
				    side->vp, om->sint, r);
		count(r ? &vb->count.lost : &vb->count.out);
		side->tries = 0;
		finish_msg(side, om);
	}
}

static void on_pump(void *ctx)
{
	struct vp_side *side = ctx;
	struct vmbus_vtl0 *vb = side->vb;

	if (!side->retry.loop)
		loop_timer_init(&side->retry, vb->cfg.vcpu(vb->cfg.ctx, side->vp)->loop, on_pump,
				side);
	pump(side);
}

void vmbus_vtl0_sints_free(struct vmbus_vtl0 *vb, vpidx_t vp, uint16_t sints)
{
	(void)sints; /* the first message tells which one counts */
	on_pump(&vb->side[vp]);
}

/* ---- what the server asks for ---------------------------------------------------------------- */

static void vb_post(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg, size_t len)
{
	struct vmbus_vtl0 *vb = ctx;
	struct vp_side *side = &vb->side[vp];
	const struct vcpu *v = vb->cfg.vcpu(vb->cfg.ctx, vp);
	struct out_msg *om;

	if (!v)
		return; /* VTL0 does not run any more */
	om = calloc(1, sizeof(*om));
	if (!om || len > sizeof(om->msg.payload)) {
		log_err(ALLOWED, "out of memory: a message to VTL%u is lost", vtl);
		count(&vb->count.lost);
		free(om);
		return;
	}
	om->sint = sint;
	om->msg.type = HVMSG_CHANNEL;
	om->msg.payload_size = (uint8_t)len;
	om->msg.sender = VMBUS_MSG_ID(vtl, vp, sint);
	memcpy(om->msg.payload, msg, len);
	atomic_fetch_add(&vb->n_out, 1);
	(void)pthread_mutex_lock(&side->lock);
	list_add_tail(&side->msgs, &om->link);
	(void)pthread_mutex_unlock(&side->lock);
	loop_post(v->loop, &side->pump);
}

static void vb_signal(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, uint16_t flag)
{
	struct vmbus_vtl0 *vb = ctx;
	struct vcpu *self = vcpu_current();
	int r;

	/* VTL0 is about to be entered here: no need to bother the hypervisor before. */
	if (self && self->vp.idx == vp && !vtl && vp_signal_at_entry(&self->vp, sint, flag)) {
		count(&vb->count.at_entry);
		return;
	}
	r = vtl ? HV_INVALID_PARAMETER : hvc_signal_event(vb->cfg.hvc, vp, sint, flag);
	count(&vb->count.interrupts);
	if (r)
		log_debug_rl(ALLOWED, "event %u for VP %u: %d", flag, vp, r);
}

static int vb_port_open(void *ctx, uint32_t chan_id, uint32_t connection_id)
{
	struct vmbus_vtl0 *vb = ctx;

	if (!connection_id || message_port(connection_id) || port_find(vb, connection_id))
		return -EEXIST;
	if ((connection_id & (VMBUS_MAX_CHANNELS - 1)) != chan_id)
		atomic_fetch_add_explicit(&vb->own_ids, 1, memory_order_relaxed);
	atomic_store_explicit(&vb->ports[chan_id].connection, connection_id, memory_order_relaxed);
	return 0;
}

static void vb_port_close(void *ctx, uint32_t chan_id)
{
	struct vmbus_vtl0 *vb = ctx;
	const uint32_t id =
		atomic_exchange_explicit(&vb->ports[chan_id].connection, 0, memory_order_relaxed);

	if ((id & (VMBUS_MAX_CHANNELS - 1)) != chan_id)
		atomic_fetch_sub_explicit(&vb->own_ids, 1, memory_order_relaxed);
}

/* Wait until no VP uses what it read of a port before: a few instructions on each. */
static void wait_for_lookups(struct vmbus_vtl0 *vb)
{
	for (uint32_t i = 0; i < vb->cfg.vps; i++) {
		while (atomic_load_explicit(&vb->side[i].looking, memory_order_seq_cst))
			(void)sched_yield();
	}
}

static void vb_bell(void *ctx, uint32_t chan_id, struct loop *loop, struct loop_work *work)
{
	struct vmbus_vtl0 *vb = ctx;
	struct port *p = &vb->ports[chan_id];

	/* What comes in between goes to the server, which posts the new work. */
	atomic_store_explicit(&p->work, NULL, memory_order_seq_cst);
	wait_for_lookups(vb);
	atomic_store_explicit(&p->loop, loop, memory_order_relaxed);
	atomic_store_explicit(&p->work, work, memory_order_seq_cst);
}

static const struct vmbus_server_ops server_ops = {
	.post = vb_post,
	.signal = vb_signal,
	.port_open = vb_port_open,
	.port_close = vb_port_close,
	.bell = vb_bell,
};

/* ---- control thread: in ---------------------------------------------------------------------- */

static bool inbox_get(struct vmbus_vtl0 *vb, struct in_msg *ret_m)
{
	bool got;

	(void)pthread_mutex_lock(&vb->inbox_lock);
	got = vb->in_count;
	if (got) {
		*ret_m = vb->inbox[vb->in_first];
		vb->in_first = (vb->in_first + 1) % INBOX_SIZE;
		vb->in_count--;
	}
	(void)pthread_mutex_unlock(&vb->inbox_lock);
	return got;
}

static void run_signals(struct vmbus_vtl0 *vb)
{
	for (uint32_t w = 0; w < SIGNAL_WORDS; w++) {
		uint64_t set;

		if (!atomic_load_explicit(&vb->signalled[w], memory_order_relaxed))
			continue;
		set = atomic_exchange_explicit(&vb->signalled[w], 0, memory_order_acquire);
		for (; set; set &= set - 1)
			vmbus_server_signal(vb->server, w * 64 + (uint32_t)__builtin_ctzll(set));
	}
}

/* A client that does not read its answers is not asked for more. False: on_work() comes again. */
static bool room_for_answers(struct vmbus_vtl0 *vb)
{
	if (atomic_load(&vb->n_out) < OUT_MAX)
		return true;
	atomic_store(&vb->stalled, true);
	return atomic_load(&vb->n_out) < OUT_MAX;
}

static void on_work(void *ctx)
{
	struct vmbus_vtl0 *vb = ctx;
	struct in_msg m;

	run_signals(vb);
	while (room_for_answers(vb) && inbox_get(vb, &m))
		vmbus_server_message(vb->server, m.multiclient, m.raw, m.len);
}

/* ---- life cycle ------------------------------------------------------------------------------ */

static int make_server(struct vmbus_vtl0 *vb)
{
	const struct vmbus_server_cfg cfg = {
		.gm = vb->cfg.gm,
		.ops = &server_ops,
		.ctx = vb,
		.vtl = 0,
		.reply_vtl = 0,
		.reply_sint = VMBUS_SINT,
		.message_id = VMBUS_MSG_ID_LEGACY,
		.max_version = VMBUS_COPPER,
		.features = VMBUS_FEAT_GUEST_SIGNAL_PARAMS | VMBUS_FEAT_MODIFY_CONNECTION |
			    VMBUS_FEAT_CLIENT_ID | VMBUS_FEAT_PAUSE_RESUME | VMBUS_FEAT_GPA_PINNING,
		.vps = vb->cfg.vps,
		.loop = vb->cfg.ctl,
	};

	return vmbus_server_create(&cfg, &vb->server);
}

static int make_sides(struct vmbus_vtl0 *vb)
{
	void *mem = NULL;

	if (posix_memalign(&mem, _Alignof(struct vp_side), vb->cfg.vps * sizeof(*vb->side)))
		return -ENOMEM;
	memset(mem, 0, vb->cfg.vps * sizeof(*vb->side));
	vb->side = mem;
	for (uint32_t i = 0; i < vb->cfg.vps; i++) {
		struct vp_side *side = &vb->side[i];

		side->vb = vb;
		side->vp = i;
		side->pump = (struct loop_work){ .fn = on_pump, .ctx = side };
		list_init(&side->msgs);
		(void)pthread_mutex_init(&side->lock, NULL);
	}
	return 0;
}

int vmbus_vtl0_create(const struct vmbus_vtl0_cfg *cfg, struct vmbus_vtl0 **ret_vb)
{
	struct vmbus_vtl0 *vb;
	int r;

	if (!cfg->gm || !cfg->hvc || !cfg->ctl || !cfg->vps || !cfg->vcpu)
		return -EINVAL;
	vb = calloc(1, sizeof(*vb));
	if (!vb)
		return -ENOMEM;
	vb->cfg = *cfg;
	vb->work = (struct loop_work){ .fn = on_work, .ctx = vb };
	(void)pthread_mutex_init(&vb->inbox_lock, NULL);
	r = make_sides(vb);
	if (r == 0)
		r = make_server(vb);
	if (r < 0) {
		vmbus_vtl0_destroy(vb);
		return r;
	}
	*ret_vb = vb;
	return 0;
}

static void side_fini(struct vp_side *side)
{
	struct list *l;

	while ((l = list_pop(&side->msgs)))
		free(container_of(l, struct out_msg, link));
	(void)pthread_mutex_destroy(&side->lock);
}

void vmbus_vtl0_destroy(struct vmbus_vtl0 *vb)
{
	if (!vb)
		return;
	vmbus_server_destroy(vb->server);
	for (uint32_t i = 0; vb->side && i < vb->cfg.vps; i++)
		side_fini(&vb->side[i]);
	free(vb->side);
	(void)pthread_mutex_destroy(&vb->inbox_lock);
	free(vb);
}

struct vmbus_server *vmbus_vtl0_server(struct vmbus_vtl0 *vb)
{
	return vb->server;
}

/* ---- inspect --------------------------------------------------------------------------------- */

static void inspect_traffic(struct inspect *in, const void *obj)
{
	const struct vmbus_vtl0 *vb = obj;
	const struct {
		const char *name;
		const atomic_uint_fast64_t *val;
	} rows[] = {
		{ "messages_in", &vb->count.in },
		{ "messages_refused", &vb->count.refused },
		{ "messages_out", &vb->count.out },
		{ "messages_lost", &vb->count.lost },
		{ "slot_busy", &vb->count.busy },
		{ "bells", &vb->count.bells },
		{ "server_signals", &vb->count.signals },
		{ "interrupts", &vb->count.interrupts },
		{ "interrupts_at_entry", &vb->count.at_entry },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		inspect_count(in, SENS_UNSPEC, rows[i].name,
			      atomic_load_explicit(rows[i].val, memory_order_relaxed));
	inspect_u64(in, SENS_UNSPEC, "messages_waiting", atomic_load(&vb->n_out));
}

void vmbus_vtl0_inspect(struct inspect *in, const void *obj)
{
	const struct vmbus_vtl0 *vb = obj;

	inspect_flatten(in, vmbus_server_inspect, vb->server);
	inspect_dir(in, SENS_UNSPEC, "traffic", inspect_traffic, vb);
}
