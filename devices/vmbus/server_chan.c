/* SPDX-License-Identifier: MIT */
/* What happens on one channel: GPADLs, open, close, release, revoke. */
#include "bug.h"
#include "log.h"
#include "offer.h"
#include "server_priv.h"

#include <errno.h>
#include <stdlib.h>

#define LOG_AREA "vmbus"

/* ---- lookup and answers ---------------------------------------------------------------------- */

struct vmbus_chan *chan_of(struct vmbus_server *s, uint32_t raw_id, uint32_t type)
{
	struct vmbus_chan *ch = raw_id < VMBUS_MAX_CHANNELS ? s->by_id[raw_id] : NULL;

	if (ch && ch->offered)
		return ch;
	log_warn_rl(CONF, "%s names channel %u, which is not offered", chanmsg_name(type), raw_id);
	return NULL;
}

void chan_send_gpadl_created(struct vmbus_server *s, uint32_t chan_id, uint32_t id, bool ok)
{
	const struct vmbus_gpadl_created m = {
		.h.type = VMBUS_GPADL_CREATED,
		.chan_id = chan_id,
		.gpadl = id,
		.status = ok ? VMBUS_STATUS_OK : VMBUS_STATUS_UNSUCCESSFUL,
	};

	server_post(s, &m, sizeof(m));
}

void chan_send_torndown(struct vmbus_server *s, uint32_t id)
{
	const struct vmbus_gpadl_torndown m = { .h.type = VMBUS_GPADL_TORNDOWN, .gpadl = id };

	server_post(s, &m, sizeof(m));
}

static void send_open_result(struct vmbus_chan *ch, const struct vmbus_open *o, bool ok)
{
	const struct vmbus_open_result m = {
		.h.type = VMBUS_OPEN_CHANNEL_RESULT,
		.chan_id = ch->id,
		.open_id = o->open_id,
		.status = ok ? VMBUS_STATUS_OK : VMBUS_STATUS_UNSUCCESSFUL,
	};

	server_post(ch->s, &m, sizeof(m));
}

void chan_send_offer(struct vmbus_chan *ch)
{
	const struct vmbus_offer o = offer_for_client(&ch->offer, ch->s->features, ch->s->cfg.vtl);

	if (ch->revoked || ch->client_released || ch->offered)
		return;
	ch->offered = true;
	server_post(ch->s, &o, sizeof(o));
}

/* ---- GPADLs ---------------------------------------------------------------------------------- */

static uint32_t words_in(const struct chanmsg *m, size_t head)
{
	return (uint32_t)((m->len - head) / 8);
}

void chan_handle_gpadl_header(struct vmbus_server *s, const struct chanmsg *m)
{
	const struct vmbus_gpadl_header *gh = &m->gpadl_header;
	struct vmbus_chan *ch = chan_of(s, gh->chan_id, m->h.type);
	struct gpadl *g;
	int r;

	if (!ch) {
		chan_send_gpadl_created(s, gh->chan_id, gh->gpadl, false);
		return;
	}
	r = gpadl_begin(&s->gpadls, ch->id, gh->gpadl, gh->range_bytes, gh->range_count, gh->data,
			words_in(m, VMBUS_GPADL_HEADER_SIZE), &g);
	if (r < 0)
		log_warn_rl(ALLOWED, "channel %u: GPADL refused (%d)", ch->id, r);
	if (r < 0)
		chan_send_gpadl_created(s, ch->id, gh->gpadl, false);
	else if (g->state == GPADL_READY)
		chan_gpadl_complete(ch, g);
}

void chan_handle_gpadl_body(struct vmbus_server *s, const struct chanmsg *m)
{
	const struct vmbus_gpadl_body *gb = &m->gpadl_body;
	uint32_t chan_id;
	struct gpadl *g;
	int r;

	r = gpadl_more(&s->gpadls, gb->gpadl, gb->data, words_in(m, VMBUS_GPADL_BODY_SIZE),
		       &chan_id, &g);
	if (r == -ENOENT) {
		log_warn_rl(ALLOWED, "GPADL body without a header");
	} else if (r < 0) {
		log_warn_rl(ALLOWED, "channel %u: GPADL refused (%d)", chan_id, r);
		chan_send_gpadl_created(s, chan_id, gb->gpadl, false);
	} else if (g->state == GPADL_READY) {
		chan_gpadl_complete(s->by_id[g->chan_id], g);
	}
}

void chan_handle_gpadl_teardown(struct vmbus_server *s, const struct chanmsg *m)
{
	const struct vmbus_gpadl_teardown *gt = &m->gpadl_teardown;
	struct vmbus_chan *ch = chan_of(s, gt->chan_id, m->h.type);
	struct gpadl *g = ch ? gpadl_find(&s->gpadls, ch->id, gt->gpadl) : NULL;

	if (!ch)
		return;
	if (!g) {
		/* After a rescind the client may tear down what the server has dropped already. */
		if (ch->revoked)
			chan_send_torndown(s, gt->gpadl);
		else
			log_warn_rl(ALLOWED, "channel %u: teardown of an unknown GPADL", ch->id);
		return;
	}
	if (ch->state != CHAN_CLOSED && ch->open.ring_gpadl == g->id) {
		g->state = GPADL_TEARDOWN; /* answered when the device has let go */
		return;
	}
	if (chan_gpadl_leave(ch, g))
		return;
	gpadl_free(&s->gpadls, g);
	chan_send_torndown(s, gt->gpadl);
}

/* Answer what waits for this channel: half-sent GPADLs when it is revoked, teardowns always. */
static void settle_gpadls(struct vmbus_chan *ch, bool revoked)
{
	struct gpadl_set *set = &ch->s->gpadls;

	for (struct list *l = set->all.next, *next; l != &set->all; l = next) {
		struct gpadl *g = container_of(l, struct gpadl, link);
		const uint32_t id = g->id;

		next = l->next;
		if (g->chan_id != ch->id)
			continue;
		if (g->state == GPADL_TEARDOWN &&
		    (revoked || !ch->relayed || id == ch->open.ring_gpadl)) {
			gpadl_free(set, g);
			chan_send_torndown(ch->s, id);
		} else if (revoked && (g->state == GPADL_COLLECTING || g->state == GPADL_PENDING)) {
			gpadl_free(set, g);
			chan_send_gpadl_created(ch->s, ch->id, id, false);
		}
	}
}

/* ---- open and close -------------------------------------------------------------------------- */

static void pipe_interrupt(void *transport)
{
	vmbus_chan_interrupt(transport);
}

static void pipe_seen(void *transport, const void *msg, size_t len)
{
	struct vmbus_chan *ch = transport;

	ch->s->cfg.ops->seen(ch->s->cfg.ctx, ch->id, false, msg, len);
}

static void unmap_rings(struct vmbus_chan *ch)
{
	for (uint32_t i = 0; ch->s->cfg.ops->seen && ch->pages && i < ch->n_pages; i++)
		ch->s->cfg.ops->seen(ch->s->cfg.ctx, ch->id, true, ch->pages[i], KEEL_PAGE_SIZE);
	free(ch->pages);
	ch->pages = NULL;
	ch->handed = false;
	ch->pipe.failed = true;
}

/* Pages before downstream_page are the client's outgoing ring, the rest is ours. */
static int map_rings(struct vmbus_chan *ch)
{
	struct vmbus_server *s = ch->s;
	struct gpadl *g = gpadl_find(&s->gpadls, ch->id, ch->open.ring_gpadl);
	const uint32_t split = ch->open.downstream_page;
	uint32_t n;
	int r;

	if (!g || g->state != GPADL_READY)
		return -EBADMSG;
	r = gpadl_ring_pages(&s->gpadls, g, &ch->pages, &n);
	if (r < 0)
		return r;
	ch->n_pages = n;
	if (split < 2 || split > n || n - split < 2) {
		unmap_rings(ch);
		return -EBADMSG;
	}
	ch->to_server = (struct ring_mem){ .ctl = ch->pages[0],
					   .pages = ch->pages + 1,
					   .n_pages = split - 1 };
	ch->to_client = (struct ring_mem){ .ctl = ch->pages[split],
					   .pages = ch->pages + split + 1,
					   .n_pages = n - split - 1 };
	r = pipe_attach(&ch->pipe, &ch->to_client, &ch->to_server, pipe_interrupt, ch);
	ch->pipe.seen = s->cfg.ops->seen ? pipe_seen : NULL;
	if (r < 0)
		unmap_rings(ch);
	return r;
}

static int prepare_open(struct vmbus_chan *ch)
{
	struct vmbus_server *s = ch->s;
	int r;

	if (ch->open.target_vp >= s->cfg.vps && ch->open.target_vp != VMBUS_VP_NONE)
		return -EINVAL;
	if (!(s->features & VMBUS_FEAT_GUEST_SIGNAL_PARAMS)) {
		ch->open.connection_id = VMBUS_EVENT_ID(ch->id, VMBUS_SINT, s->cfg.vtl);
		ch->open.event_flag = (uint16_t)ch->id;
	}
	if (!(s->features & VMBUS_FEAT_INTERRUPT_REDIRECTION))
		ch->open.flags = 0;
	if (ch->open.event_flag >= VMBUS_MAX_CHANNELS)
		return -EINVAL;
	if (ch->relayed) {
		/* Whoever serves it checks the rings and hears the client by itself. */
		const struct gpadl *g = gpadl_find(&s->gpadls, ch->id, ch->open.ring_gpadl);

		return g && g->state == GPADL_READY ? 0 : -EBADMSG;
	}
	r = map_rings(ch);
	if (r < 0)
		return r;
	/* The client may signal as soon as it sees the result, so its port comes first. */
	r = s->cfg.ops->port_open(s->cfg.ctx, ch->id, ch->open.connection_id);
	if (r < 0)
		unmap_rings(ch);
	return r;
}

static void start_open(struct vmbus_chan *ch, const struct vmbus_open *o)
{
	int r;

	ch->open = *o;
	r = prepare_open(ch);
	if (r < 0) {
		log_warn_rl(ALLOWED, "channel %u: open refused (%d)", ch->id, r);
		send_open_result(ch, o, false);
		return;
	}
	ch->abort_open = false;
	ch->state = CHAN_OPENING;
	ch->ops->open(ch->ctx, ch);
}

void chan_handle_open(struct vmbus_server *s, const struct chanmsg *m)
{
	struct vmbus_chan *ch = chan_of(s, m->open.chan_id, m->h.type);

	if (!ch || ch->revoked)
		return; /* the rescind on its way wakes the client */
	switch (ch->state) {
	case CHAN_CLOSED:
		start_open(ch, &m->open);
		break;
	case CHAN_CLOSING:
		if (ch->reopen) {
			log_warn_rl(ALLOWED, "channel %u: opened again while closing", ch->id);
			break;
		}
		ch->reopen = true;
		ch->reopen_msg = m->open;
		break;
	case CHAN_OPENING:
	case CHAN_OPEN:
		log_warn_rl(ALLOWED, "channel %u is open already", ch->id);
		break;
	}
}

static void start_close(struct vmbus_chan *ch)
{
	ch->state = CHAN_CLOSING;
	ch->reopen = false;
	ch->ops->close(ch->ctx, ch);
}

/* The rings are out of use: take everything down that belongs to the open state. */
static void end_open(struct vmbus_chan *ch)
{
	if (!ch->relayed)
		ch->s->cfg.ops->port_close(ch->s->cfg.ctx, ch->id);
	chan_io_ended(ch);
	unmap_rings(ch);
	ch->state = CHAN_CLOSED;
}

void vmbus_chan_open_done(struct vmbus_chan *ch, int err)
{
	BUG_ON(ch->state != CHAN_OPENING);
	if (err < 0) {
		end_open(ch);
		if (!ch->abort_open)
			send_open_result(ch, &ch->open, false);
		settle_gpadls(ch, false);
		server_chan_settled(ch->s);
	} else if (ch->abort_open) {
		start_close(ch);
	} else {
		ch->state = CHAN_OPEN;
		send_open_result(ch, &ch->open, true);
		chan_io_opened(ch);
	}
}

void chan_handle_close(struct vmbus_server *s, const struct chanmsg *m)
{
	struct vmbus_chan *ch = chan_of(s, m->chan.chan_id, m->h.type);

	if (!ch || ch->revoked)
		return;
	if (ch->state == CHAN_OPEN)
		start_close(ch);
	else
		log_warn_rl(ALLOWED, "channel %u: close, but it is not open", ch->id);
}

void vmbus_chan_close_done(struct vmbus_chan *ch)
{
	struct vmbus_server *s = ch->s;
	const bool reopen = ch->reopen;

	BUG_ON(ch->state != CHAN_CLOSING);
	end_open(ch);
	ch->reopen = false;
	if (!s->closing) {
		settle_gpadls(ch, false);
		if (reopen && ch->offered)
			start_open(ch, &ch->reopen_msg);
	}
	server_chan_settled(s);
}

void chan_force_close(struct vmbus_chan *ch)
{
	switch (ch->state) {
	case CHAN_CLOSED:
		break;
	case CHAN_OPENING:
		ch->abort_open = true;
		break;
	case CHAN_OPEN:
		start_close(ch);
		break;
	case CHAN_CLOSING:
		ch->reopen = false;
		break;
	}
}

/* ---- release --------------------------------------------------------------------------------- */

static void chan_free(struct vmbus_chan *ch)
{
	list_del(&ch->link);
	ch->s->by_id[ch->id] = NULL;
	gpadl_free_chan(&ch->s->gpadls, ch->id);
	free(ch->pages);
	free(ch);
}

static void release(struct vmbus_chan *ch)
{
	if (ch->ops->released)
		ch->ops->released(ch->ctx, ch);
	chan_free(ch);
}

void chan_handle_released(struct vmbus_server *s, const struct chanmsg *m)
{
	struct vmbus_chan *ch = chan_of(s, m->chan.chan_id, m->h.type);

	if (!ch)
		return;
	if (ch->state == CHAN_OPENING || ch->state == CHAN_OPEN) {
		log_warn_rl(ALLOWED, "channel %u: released while open", ch->id);
		return;
	}
	chan_gpadl_drop_all(ch);
	ch->offered = false;
	if (ch->revoked) {
		release(ch);
		return;
	}
	ch->client_released = true;
	ch->reopen = false;
}

void chan_forget_client(struct vmbus_chan *ch)
{
	chan_gpadl_drop_all(ch);
	ch->offered = false;
	ch->client_released = false;
	if (ch->revoked)
		release(ch);
}

/* ---- for devices ----------------------------------------------------------------------------- */

/* An id that no channel has; ids go round so that a stale message rarely meets a new channel. */
static uint32_t pick_id(struct vmbus_server *s)
{
	for (uint32_t n = 0; n < VMBUS_MAX_CHANNELS; n++) {
		uint32_t id = s->next_id;

		s->next_id = id + 1 < VMBUS_MAX_CHANNELS ? id + 1 : 1;
		if (!s->by_id[id])
			return id;
	}
	return 0;
}

/* Before the first channel with a greater identity. */
static int insert_sorted(struct vmbus_server *s, struct vmbus_chan *ch)
{
	struct list *before = &s->chans;

	list_for_each(l, &s->chans) {
		struct vmbus_chan *other = container_of(l, struct vmbus_chan, link);
		int cmp = offer_cmp(&ch->offer, &other->offer);

		/* One that is on its way out does not stand in the way of its successor. */
		if (cmp == 0 && !other->revoked)
			return -EEXIST;
		if (cmp < 0) {
			before = l;
			break;
		}
	}
	list_add_tail(before, &ch->link);
	return 0;
}

int vmbus_chan_offer(struct vmbus_server *s, const struct vmbus_chan_cfg *cfg,
		     struct vmbus_chan **ret_ch)
{
	const uint32_t id = pick_id(s);
	struct vmbus_chan *ch;
	int r;

	if (cfg->subchannel && cfg->kind != VMBUS_CHAN_RAW && cfg->kind != VMBUS_CHAN_RELAYED)
		return -EINVAL;
	if (!id)
		return -ENOSPC;
	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return -ENOMEM;
	ch->s = s;
	ch->id = id;
	ch->ops = cfg->ops;
	ch->ctx = cfg->ctx;
	ch->relayed = cfg->kind == VMBUS_CHAN_RELAYED;
	ch->pipe.failed = true;
	offer_fill(&ch->offer, cfg, id);
	r = insert_sorted(s, ch);
	if (r < 0) {
		free(ch);
		return r;
	}
	s->by_id[id] = ch;
	*ret_ch = ch;
	if (vmbus_server_ready(s))
		chan_send_offer(ch);
	return 0;
}

void vmbus_chan_revoke(struct vmbus_chan *ch)
{
	struct vmbus_server *s = ch->s;
	const struct vmbus_chan_msg m = { .h.type = VMBUS_RESCIND_OFFER, .chan_id = ch->id };

	if (ch->revoked)
		return;
	ch->revoked = true;
	ch->reopen = false;
	if (ch->state != CHAN_CLOSED)
		end_open(ch);
	if (s->closing) {
		server_chan_settled(s); /* released with all others */
	} else if (!ch->offered) {
		release(ch);
	} else {
		settle_gpadls(ch, true);
		server_post(s, &m, sizeof(m));
	}
}

void vmbus_chan_destroy(struct vmbus_chan *ch)
{
	if (!ch)
		return;
	if (ch->state != CHAN_CLOSED)
		end_open(ch);
	chan_free(ch);
}

struct pipe *vmbus_chan_pipe(struct vmbus_chan *ch)
{
	return &ch->pipe;
}

uint32_t vmbus_chan_id(const struct vmbus_chan *ch)
{
	return ch->id;
}
