/* SPDX-License-Identifier: MIT */
/*
 * One open channel, served by the loop of its target VP: put what is done into the ring as one
 * batch, take requests until the channel's depth is reached, and sleep only while so little is in
 * flight that completions would not bring us back soon. No allocation, no lock, no system call.
 *
 * Input: the rings of VTL0 (hostile): what breaks the protocol stops this channel, after the
 * requests in flight. Thread: sv->loop, except storvsp_serve_alloc(), _plug() and _free().
 * Spec: spec/storage-net.md 1.2, 1.6; spec/vmbus.md 3.4.
 */
#include "storvsp_priv.h"

#include "bug.h"
#include "log.h"
#include "vmbus_proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "storvsp"

/* Requests of one visit, in multiples of the depth: other work of the loop wants its turn. */
#define ROUNDS 4u
/* How long requests may go unseen while nothing ends. */
#define BACKSTOP_NS 2000000ull

static void pump(struct storvsp_serve *sv);

/* ---- the end of service ---------------------------------------------------------------------- */

static void kick(struct storvsp_serve *sv)
{
	if (sv->kicked)
		return;
	sv->kicked = true;
	loop_post(sv->loop, &sv->kick);
}

/* The queue is empty: it goes, and the owner may free the port once it was asked for. */
static void port_close(struct storvsp_port *p)
{
	scsi_queue_destroy(p->q);
	p->q = NULL;
	list_del(&p->link);
	if (p->going)
		loop_post(p->sv->s->w.owner, &p->gone);
}

/* Close what is empty and not wanted any more; end the service when nothing is left to do. Not
 * inside a command's end. */
static void settle(struct storvsp_serve *sv)
{
	const bool over = sv->stopping || (sv->draining && !sv->busy && list_empty(&sv->done));

	for (struct list *l = sv->ports.next, *next; l != &sv->ports; l = next) {
		struct storvsp_port *p = container_of(l, struct storvsp_port, link);

		next = l->next;
		if ((over || p->going) && !scsi_queue_busy(p->q))
			port_close(p);
	}
	/* A kick that is on its way comes back here. */
	if (!over || sv->busy || sv->kicked || sv->stopped || !list_empty(&sv->ports))
		return;
	sv->stopped = true;
	loop_timer_cancel(&sv->backstop);
	memset(sv->map, 0, sizeof(sv->map));
	if (sv->bell)
		sv->bell->sv = NULL;
	loop_post(sv->s->w.owner, &sv->ended);
}

static void violation(struct storvsp_serve *sv, const char *what, int err)
{
	storvsp_count(sv, STV_N_VIOLATIONS, 1);
	if (!sv->failed)
		log_warn_rl(ALLOWED, "channel %u stops: %s (%d)", sv->index, what, err);
	sv->failed = true;
}

/* ---- completions ----------------------------------------------------------------------------- */

void storvsp_slot_done(struct storvsp_slot *slot)
{
	struct storvsp_serve *sv = slot->sv;

	list_add_tail(&sv->done, &slot->link);
	if (!sv->pumping)
		kick(sv);
}

static void slot_free(struct storvsp_slot *slot)
{
	struct storvsp_serve *sv = slot->sv;

	sv->busy--;
	list_add_tail(&sv->free, &slot->link);
}

/* Tell the guest to look which units there are. Returns false when there is no room. */
static bool put_notice(struct storvsp_serve *sv)
{
	struct storvsp_packet pkt = { .h.op = STORVSP_ENUMERATE_BUS };
	const uint32_t version = atomic_load_explicit(&sv->s->version, memory_order_relaxed);
	const struct iovec iov = { &pkt, sizeof(struct storvsp_header) +
						 (version >= STORVSP_WIN8 ? STORVSP_PAYLOAD_MAX
									  : STORVSP_PAYLOAD_V1) };
	int r;

	if (!sv->notify || !version || sv->failed || sv->stopping)
		return true;
	if (version >= STORVSP_WIN7) {
		r = ring_put(&sv->out, VMPKT_INBAND, false, 0, &iov, 1);
		if (r == -EAGAIN)
			return false;
		if (r < 0)
			violation(sv, "outgoing ring", r);
	}
	sv->notify = false;
	return true;
}

/* Put what is done into the ring, not yet visible. Returns false when the rest found no room. */
static bool put_done(struct storvsp_serve *sv)
{
	while (!list_empty(&sv->done)) {
		struct storvsp_slot *slot = container_of(sv->done.next, struct storvsp_slot, link);
		const struct iovec iov = { &slot->pkt, slot->reply_len };
		int r = 0;

		if (!sv->stopping && !sv->failed)
			r = ring_put(&sv->out, VMPKT_COMPLETION, false, slot->txid, &iov, 1);
		if (r == -EAGAIN) {
			storvsp_count(sv, STV_N_FULL, 1);
			return false;
		}
		if (r < 0)
			violation(sv, "outgoing ring", r);
		storvsp_count(sv, STV_N_COMPLETIONS, 1);
		list_del(&slot->link);
		slot_free(slot);
	}
	return true;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Units change hands on the owner's side; what follows from a negotiation does too. */
static void follow(struct storvsp_serve *sv, const struct storvsp_slot *slot,
		   enum storvsp_event event)
{
	struct storvsp *s = sv->s;

	switch (event) {
	case STV_NOTHING:
		break;
	case STV_IS_READY:
		/* Sub-channels look at it. */
		atomic_store_explicit(&s->version, s->proto.version, memory_order_release);
		loop_post(s->w.owner, &s->ready_work);
		break;
	case STV_SUBCHANNELS:
		atomic_store_explicit(&s->sub_wanted, slot->pkt.subchannels, memory_order_release);
		loop_post(s->w.owner, &s->sub_work);
		break;
	}
}

static void answer(struct storvsp_slot *slot, uint32_t nt_status)
{
	slot->pkt.h.status = nt_status;
	storvsp_slot_done(slot);
}

/* Returns -EBADMSG when nobody may send this. */
static int dispatch(struct storvsp_slot *slot, const struct storvsp_req *req)
{
	struct storvsp_serve *sv = slot->sv;
	struct storvsp *s = sv->s;
	const bool ready = atomic_load_explicit(&s->version, memory_order_relaxed);
	const uint32_t op = req->pkt.h.op;
	enum storvsp_event event;

	slot->pkt.h.op = STORVSP_COMPLETE_IO;
	if (storvsp_is_init(op)) {
		if (sv->index) {
			answer(slot, STORVSP_NT_INVALID_DEVICE_STATE);
			return 0;
		}
		slot->pkt.h.op = op;
		event = storvsp_negotiate(&s->proto, &s->limits, &slot->pkt);
		follow(sv, slot, event);
		slot->pkt.h.op = STORVSP_COMPLETE_IO;
		storvsp_slot_done(slot);
		return 0;
	}
	switch (op) {
	case STORVSP_EXECUTE_SRB:
		if (req->pkt_len < sizeof(struct storvsp_header) + STORVSP_PAYLOAD_V1)
			return -EBADMSG;
		if (ready)
			storvsp_execute(slot, req);
		else
			answer(slot, STORVSP_NT_INVALID_DEVICE_STATE);
		return 0;
	case STORVSP_RESET_LUN:
	case STORVSP_RESET_ADAPTER:
	case STORVSP_RESET_BUS:
		if (ready)
			loop_post(s->w.owner, &sv->reset);
		answer(slot, ready ? STORVSP_NT_OK : STORVSP_NT_INVALID_DEVICE_STATE);
		return 0;
	default:
		return -EBADMSG;
	}
}

/* Take one request. Returns: 0; -EAGAIN (none); else the channel has failed. */
static int take_one(struct storvsp_serve *sv)
{
	struct storvsp_slot *slot = container_of(sv->free.next, struct storvsp_slot, link);
	const struct iovec iov = { sv->body, STORVSP_MAX_BODY };
	struct storvsp_req req;
	struct ring_pkt rp;
	int r = ring_get(&sv->in, &rp, &iov, 1);

	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		violation(sv, "incoming ring", r);
		return r;
	}
	r = storvsp_parse(&rp, sv->body, &req);
	if (r < 0) {
		violation(sv, "malformed packet", r);
		return r;
	}
	storvsp_count(sv, STV_N_REQUESTS, 1);
	list_del(&slot->link);
	sv->busy++;
	slot->txid = rp.txid;
	slot->pkt = req.pkt;
	slot->reply_len = req.pkt_len; /* a guest expects its own size */
	r = dispatch(slot, &req);
	if (r < 0) {
		violation(sv, "unknown operation", r);
		slot_free(slot);
	}
	return r;
}

/* May requests be taken now? A sub-channel waits until the primary has negotiated. */
static bool may_take(const struct storvsp_serve *sv)
{
	if (sv->failed || sv->stopping || sv->draining)
		return false;
	return sv->index == 0 || atomic_load_explicit(&sv->s->version, memory_order_acquire);
}

/* Returns false when the visit is over though there may be more. */
static bool take_requests(struct storvsp_serve *sv, unsigned *budget)
{
	while (may_take(sv) && !list_empty(&sv->free)) {
		if (!*budget)
			return false;
		if (take_one(sv) < 0)
			return true;
		--*budget;
	}
	return true;
}

/* ---- one visit ------------------------------------------------------------------------------- */

/* Make visible what was taken and put; one interrupt for all of it. */
static void publish(struct storvsp_serve *sv)
{
	const bool batch = sv->out.in != sv->out.published;
	bool room = false, data = false;
	int r = 0;

	if (sv->failed || sv->stopping)
		return;
	r = ring_in_commit(&sv->in, &room);
	if (r == 0)
		r = ring_out_commit(&sv->out, &data);
	if (r < 0) {
		violation(sv, "ring indices", r);
		return;
	}
	if (batch)
		storvsp_count(sv, STV_N_BATCHES, 1);
	if (room || data) {
		storvsp_count(sv, STV_N_SIGNALS, 1);
		vmbus_irq_raise(&sv->irq);
	}
}

/*
 * Without signals new requests are seen when old ones end. Where those take long, as on a disk that
 * does not answer, this looks after a while and asks for signals again.
 */
static void on_backstop(void *ctx)
{
	struct storvsp_serve *sv = ctx;
	const uint64_t now =
		atomic_load_explicit(&sv->count[STV_N_COMPLETIONS], memory_order_relaxed);

	sv->unmask = now == sv->backstop_seen;
	sv->backstop_seen = now;
	if (!sv->armed)
		pump(sv);
}

static void start_backstop(struct storvsp_serve *sv)
{
	if (!sv->backstop.armed)
		loop_timer_arm(&sv->backstop, loop_now_ns() + BACKSTOP_NS);
}

/* Ask for signals, or not. Returns true when there is something to do already. */
static bool set_mask(struct storvsp_serve *sv)
{
	const bool arm = !list_empty(&sv->free) && (sv->busy < sv->poll_depth || sv->unmask);
	int r = 0;

	sv->unmask = false;
	if (!may_take(sv))
		return false;
	if (!arm) {
		if (sv->armed)
			r = ring_in_mask(&sv->in);
		sv->armed = false;
		start_backstop(sv);
		storvsp_count(sv, STV_N_POLLS, 1);
	} else {
		r = ring_in_arm(&sv->in);
		sv->armed = true;
	}
	if (r < 0)
		violation(sv, "ring indices", r);
	return r > 0;
}

/* Completions that wait for room: the guest signals it. Returns true when it is there already. */
static bool want_room(struct storvsp_serve *sv)
{
	int r = ring_out_want(&sv->out, sizeof(struct storvsp_packet));

	if (r < 0)
		violation(sv, "outgoing ring", r);
	return r != 0;
}

static void pump(struct storvsp_serve *sv)
{
	unsigned budget = ROUNDS * sv->depth;
	bool all, room, again;

	if (!sv->started || sv->stopped)
		return;
	storvsp_count(sv, STV_N_WAKEUPS, 1);
	sv->pumping = true;
	do {
		room = put_done(sv) && put_notice(sv);
		all = !room || take_requests(sv, &budget);
	} while (room && all && !list_empty(&sv->done));
	publish(sv);
	again = !all || !list_empty(&sv->done);
	if (!room && !sv->failed)
		again = want_room(sv);
	else if (!again)
		again = set_mask(sv);
	sv->pumping = false;
	if (again)
		kick(sv);
	settle(sv);
}

/* ---- works ----------------------------------------------------------------------------------- */

static void on_kick(void *ctx)
{
	struct storvsp_serve *sv = ctx;

	sv->kicked = false;
	pump(sv);
}

static void on_start(void *ctx)
{
	struct storvsp_serve *sv = ctx;

	sv->started = true;
	sv->bell->sv = sv;
	pump(sv);
}

static void on_poke(void *ctx)
{
	pump(ctx);
}

static void on_rescan(void *ctx)
{
	struct storvsp_serve *sv = ctx;

	sv->notify = true;
	pump(sv);
}

static void on_drain(void *ctx)
{
	struct storvsp_serve *sv = ctx;

	sv->draining = true;
	pump(sv);
}

static void abort_all(struct storvsp_serve *sv)
{
	list_for_each(l, &sv->ports)
		scsi_queue_abort(container_of(l, struct storvsp_port, link)->q);
}

/* Nothing more is read or written. Requests end soon; then the guest's memory is free. */
static void on_stop(void *ctx)
{
	struct storvsp_serve *sv = ctx;

	sv->stopping = true;
	sv->bell->sv = NULL;
	/* The service may have ended already, by draining: this work is not on its way any more. */
	loop_post(sv->s->w.owner, &sv->stop_seen);
	if (sv->stopped)
		return;
	abort_all(sv);
	pump(sv);
}

static void on_abort(void *ctx)
{
	abort_all(ctx);
}

static void port_add(void *ctx)
{
	struct storvsp_port *p = ctx;

	list_add_tail(&p->sv->ports, &p->link);
	p->sv->map[p->target][p->num] = p;
}

static void port_del(void *ctx)
{
	struct storvsp_port *p = ctx;
	struct storvsp_serve *sv = p->sv;

	p->going = true;
	if (!p->q) {
		loop_post(sv->s->w.owner, &p->gone);
		return;
	}
	sv->map[p->target][p->num] = NULL;
	scsi_queue_abort(p->q);
	settle(sv);
}

/* ---- for the owner --------------------------------------------------------------------------- */

static void init_works(struct storvsp_serve *sv)
{
	sv->kick = (struct loop_work){ .fn = on_kick, .ctx = sv };
	sv->start = (struct loop_work){ .fn = on_start, .ctx = sv };
	sv->poke = (struct loop_work){ .fn = on_poke, .ctx = sv };
	sv->rescan = (struct loop_work){ .fn = on_rescan, .ctx = sv };
	sv->drain = (struct loop_work){ .fn = on_drain, .ctx = sv };
	sv->stop = (struct loop_work){ .fn = on_stop, .ctx = sv };
	sv->abort = (struct loop_work){ .fn = on_abort, .ctx = sv };
	sv->stop_seen = (struct loop_work){ .fn = storvsp_chan_stop_seen, .ctx = sv->chan };
	sv->ended = (struct loop_work){ .fn = storvsp_chan_ended, .ctx = sv->chan };
	sv->reset = (struct loop_work){ .fn = storvsp_chan_reset, .ctx = sv->chan };
}

struct storvsp_serve *storvsp_serve_alloc(struct storvsp_chan *chan, struct loop *loop)
{
	struct storvsp *s = chan->s;
	const unsigned depth = s->cfg.queue_depth;
	struct storvsp_serve *sv = calloc(1, sizeof(*sv));

	if (!sv)
		return NULL;
	*sv = (struct storvsp_serve){ .s = s,
				      .chan = chan,
				      .loop = loop,
				      .index = chan->index,
				      .depth = depth,
				      .poll_depth = s->cfg.poll_depth };
	list_init(&sv->free);
	list_init(&sv->done);
	list_init(&sv->ports);
	init_works(sv);
	loop_timer_init(&sv->backstop, loop, on_backstop, sv);
	sv->slots = calloc(depth, sizeof(*sv->slots));
	sv->iovs = calloc((size_t)depth * s->max_iov, sizeof(*sv->iovs));
	sv->body = malloc(STORVSP_MAX_BODY);
	if (!sv->slots || !sv->iovs || !sv->body) {
		storvsp_serve_free(sv);
		return NULL;
	}
	for (unsigned i = 0; i < depth; i++) {
		sv->slots[i].sv = sv;
		sv->slots[i].iov = sv->iovs + (size_t)i * s->max_iov;
		list_add_tail(&sv->free, &sv->slots[i].link);
	}
	return sv;
}

void storvsp_serve_free(struct storvsp_serve *sv)
{
	if (!sv)
		return;
	free(sv->slots);
	free(sv->iovs);
	free(sv->body);
	free(sv);
}

void storvsp_serve_plug(struct storvsp_serve *sv, struct storvsp_port *p)
{
	p->sv = sv;
	p->add = (struct loop_work){ .fn = port_add, .ctx = p };
	p->del = (struct loop_work){ .fn = port_del, .ctx = p };
	p->gone = (struct loop_work){ .fn = storvsp_chan_port_gone, .ctx = p };
	list_init(&p->link);
}
