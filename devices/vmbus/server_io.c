/* SPDX-License-Identifier: MIT */
/* An open channel that works: signals both ways, rings handed to a device, moves between VPs. */
#include "bug.h"
#include "log.h"
#include "server_priv.h"

#include <errno.h>
#include <string.h>

#define LOG_AREA "vmbus"

/* Time a client has to take in the answer to its OPEN. */
#define RECHECK_NS 100000000ull

/* ---- signals --------------------------------------------------------------------------------- */

static struct vmbus_irq irq_of(const struct vmbus_chan *ch)
{
	const struct vmbus_server_cfg *cfg = &ch->s->cfg;
	const bool redirect = ch->open.flags & VMBUS_OPEN_REDIRECT_INTERRUPT;

	return (struct vmbus_irq){ .signal = cfg->ops->signal,
				   .ctx = cfg->ctx,
				   .vp = ch->open.target_vp,
				   .vtl = redirect ? 2 : cfg->vtl,
				   .sint = redirect ? VMBUS_REDIRECT_SINT : VMBUS_SINT,
				   .flag = ch->open.event_flag };
}

void vmbus_chan_interrupt(struct vmbus_chan *ch)
{
	const struct vmbus_irq irq = irq_of(ch);

	if (ch->state == CHAN_OPEN)
		vmbus_irq_raise(&irq);
}

/* The client signalled, or should have. */
static void ring_bell(struct vmbus_chan *ch)
{
	if (ch->bell_work && (ch->state == CHAN_OPEN || ch->state == CHAN_OPENING))
		loop_post(ch->bell_loop, ch->bell_work);
	else if (ch->state == CHAN_OPEN && ch->ops->signalled)
		ch->ops->signalled(ch->ctx, ch);
}

void vmbus_server_signal(struct vmbus_server *s, uint32_t chan_id)
{
	struct vmbus_chan *ch = chan_id < VMBUS_MAX_CHANNELS ? s->by_id[chan_id] : NULL;

	if (ch)
		ring_bell(ch);
}

void vmbus_chan_bell(struct vmbus_chan *ch, struct loop *loop, struct loop_work *work)
{
	struct vmbus_server *s = ch->s;

	ch->bell_loop = loop;
	ch->bell_work = work;
	if (s->cfg.ops->bell)
		s->cfg.ops->bell(s->cfg.ctx, ch->id, loop, work);
}

/*
 * A signal that one side was owed and perhaps has not got, because it came too early for it. Only
 * control pages are read, so whoever serves the rings may do so meanwhile.
 */
static void on_recheck(void *ctx)
{
	struct vmbus_chan *ch = ctx;

	if (ch->state != CHAN_OPEN)
		return;
	if (ring_signal_due(&ch->to_client) > 0)
		vmbus_chan_interrupt(ch);
	if (ring_signal_due(&ch->to_server) > 0)
		ring_bell(ch);
}

/* ---- moving ---------------------------------------------------------------------------------- */

static void answer_modify(struct vmbus_server *s, uint32_t chan_id, bool ok)
{
	const struct vmbus_modify_rsp rsp = {
		.h.type = VMBUS_MODIFY_CHANNEL_RESPONSE,
		.chan_id = chan_id,
		.status = ok ? VMBUS_STATUS_OK : VMBUS_STATUS_UNSUCCESSFUL,
	};

	if (s->version >= VMBUS_IRON && !s->closing)
		server_post(s, &rsp, sizeof(rsp));
}

static void start_modify(struct vmbus_chan *ch, uint32_t vp)
{
	ch->modifying = true;
	ch->modify_vp = vp;
	if (ch->ops->retarget) {
		ch->ops->retarget(ch->ctx, ch, vp);
	} else {
		struct vmbus_irq irq;

		vmbus_chan_retarget_done(ch, &irq);
	}
}

void vmbus_chan_retarget_done(struct vmbus_chan *ch, struct vmbus_irq *ret_irq)
{
	if (ch->modifying) {
		ch->modifying = false;
		ch->open.target_vp = ch->modify_vp;
		answer_modify(ch->s, ch->id, true);
	}
	if (ch->modify_again) {
		ch->modify_again = false;
		if (ch->state == CHAN_OPEN)
			start_modify(ch, ch->next_vp);
	}
	*ret_irq = irq_of(ch); /* of the last move, should it be done already */
}

void chan_handle_modify(struct vmbus_server *s, const struct chanmsg *m)
{
	const struct vmbus_modify *mod = &m->modify;
	struct vmbus_chan *ch = chan_of(s, mod->chan_id, m->h.type);

	if (!ch || ch->state != CHAN_OPEN || mod->target_vp >= s->cfg.vps) {
		answer_modify(s, mod->chan_id, false);
	} else if (!ch->modifying) {
		start_modify(ch, mod->target_vp);
	} else if (s->version >= VMBUS_IRON) {
		log_warn_rl(ALLOWED, "channel %u: modified again before the answer", ch->id);
	} else {
		/* Older clients get no answer and cannot know: the last request counts. */
		ch->modify_again = true;
		ch->next_vp = mod->target_vp;
	}
}

/* ---- beginning and end ----------------------------------------------------------------------- */

void chan_io_opened(struct vmbus_chan *ch)
{
	struct loop *loop = ch->s->cfg.loop;

	if (!loop || ch->relayed)
		return;
	loop_timer_init(&ch->recheck, loop, on_recheck, ch);
	loop_timer_arm(&ch->recheck, loop_now_ns() + RECHECK_NS);
}

void chan_io_ended(struct vmbus_chan *ch)
{
	if (ch->recheck.loop)
		loop_timer_cancel(&ch->recheck);
	if (ch->bell_work)
		vmbus_chan_bell(ch, NULL, NULL);
	ch->modify_again = false;
	if (ch->modifying) {
		/* The client may wait for this answer without an end. */
		ch->modifying = false;
		answer_modify(ch->s, ch->id, false);
	}
}

/* ---- for devices ----------------------------------------------------------------------------- */

void vmbus_chan_io(struct vmbus_chan *ch, struct vmbus_chan_io *ret_io)
{
	BUG_ON(!ch->pages);
	ch->handed = true;
	ch->pipe.failed = true;
	*ret_io = (struct vmbus_chan_io){ .to_server = ch->to_server,
					  .to_client = ch->to_client,
					  .irq = irq_of(ch),
					  .target_vp = ch->open.target_vp };
	memcpy(ret_io->user, ch->open.user, sizeof(ret_io->user));
}

int64_t vmbus_chan_gpadl(struct vmbus_chan *ch, uint32_t gpadl, gpn_t *ret_pages, size_t cap)
{
	const struct gpadl *g = gpadl_find(&ch->s->gpadls, ch->id, gpadl);

	if (!g || g->state != GPADL_READY)
		return -ENOENT;
	if (g->n_ranges != 1)
		return -EBADMSG;
	for (uint32_t i = 0; i + 1 < g->n_words && i < cap; i++)
		ret_pages[i] = g->words[i + 1];
	return (int64_t)g->n_words - 1;
}
