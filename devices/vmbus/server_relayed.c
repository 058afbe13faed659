/* SPDX-License-Identifier: MIT */
/*
 * GPADLs and what is special about channels that somebody else serves: that one must agree to each
 * GPADL before the client hears of it, and give it back before the client may reuse its pages.
 */
#include "server_priv.h"

void chan_gpadl_complete(struct vmbus_chan *ch, struct gpadl *g)
{
	if (!ch->relayed) {
		chan_send_gpadl_created(ch->s, ch->id, g->id, true);
		return;
	}
	g->state = GPADL_PENDING;
	ch->ops->gpadl(ch->ctx, ch, g->id, g->n_ranges, g->words, g->n_words);
}

bool chan_gpadl_leave(struct vmbus_chan *ch, struct gpadl *g)
{
	if (!ch->relayed || ch->revoked)
		return false;
	if (g->state != GPADL_READY)
		return true; /* the client was not told that it has it, or asks for it twice */
	if (!ch->ops->gpadl_teardown(ch->ctx, ch, g->id))
		return false;
	g->state = GPADL_TEARDOWN;
	return true;
}

void chan_gpadl_drop_all(struct vmbus_chan *ch)
{
	struct gpadl_set *set = &ch->s->gpadls;

	if (ch->relayed && !ch->revoked) {
		list_for_each(l, &set->all) {
			struct gpadl *g = container_of(l, struct gpadl, link);

			if (g->chan_id == ch->id &&
			    (g->state == GPADL_READY || g->state == GPADL_PENDING))
				(void)ch->ops->gpadl_teardown(ch->ctx, ch, g->id);
		}
	}
	gpadl_free_chan(set, ch->id);
}

const struct vmbus_open *vmbus_chan_open_msg(const struct vmbus_chan *ch)
{
	return &ch->open;
}

void vmbus_chan_gpadl_done(struct vmbus_chan *ch, uint32_t gpadl, bool ok)
{
	struct gpadl *g = gpadl_find(&ch->s->gpadls, ch->id, gpadl);

	if (!g || g->state != GPADL_PENDING)
		return;
	g->state = GPADL_READY;
	if (!ok)
		gpadl_free(&ch->s->gpadls, g);
	chan_send_gpadl_created(ch->s, ch->id, gpadl, ok);
}

void vmbus_chan_gpadl_torndown(struct vmbus_chan *ch, uint32_t gpadl)
{
	struct gpadl *g = gpadl_find(&ch->s->gpadls, ch->id, gpadl);

	if (!g || g->state != GPADL_TEARDOWN)
		return;
	gpadl_free(&ch->s->gpadls, g);
	chan_send_torndown(ch->s, gpadl);
}
