/* SPDX-License-Identifier: MIT */
/* What inspect shows of the channel server. Ids and GUIDs are the host's own; where the client put
 * its rings is guest state. */
#include "inspect.h"
#include "server_priv.h"

static const char *chan_state(const struct vmbus_chan *ch)
{
	if (ch->revoked)
		return "revoked";
	switch (ch->state) {
	case CHAN_CLOSED:
		return ch->offered ? "closed" : "client_released";
	case CHAN_OPENING:
		return "opening";
	case CHAN_OPEN:
		return "open";
	case CHAN_CLOSING:
		return ch->reopen ? "closing_reopen" : "closing";
	}
	return "closed";
}

static const char *gpadl_state(enum gpadl_state state)
{
	switch (state) {
	case GPADL_COLLECTING:
		return "in_progress";
	case GPADL_PENDING:
		return "pending";
	case GPADL_READY:
		return "accepted";
	case GPADL_TEARDOWN:
		return "tearing_down";
	}
	return "accepted";
}

static void inspect_gpadl(struct inspect *in, const void *obj)
{
	const struct gpadl *g = obj;

	inspect_str(in, SENS_UNSPEC, "state", gpadl_state(g->state));
	inspect_u64(in, SENS_UNSPEC, "ranges", g->n_ranges);
	inspect_u64(in, SENS_UNSPEC, "words", g->n_words);
	inspect_u64(in, SENS_UNSPEC, "received", g->got);
}

static void inspect_gpadls(struct inspect *in, const void *obj)
{
	const struct vmbus_chan *ch = obj;

	list_for_each(l, &ch->s->gpadls.all) {
		const struct gpadl *g = container_of(l, struct gpadl, link);

		if (g->chan_id == ch->id)
			inspect_dir_at(in, SENS_UNSPEC, g->id, inspect_gpadl, g);
	}
}

static void inspect_guid(struct inspect *in, const char *name, const struct guid *g)
{
	char text[GUID_STR_LEN + 1];

	guid_format(g, text);
	inspect_str(in, SENS_UNSPEC, name, text);
}

static void inspect_chan(struct inspect *in, const void *obj)
{
	const struct vmbus_chan *ch = obj;

	inspect_str(in, SENS_UNSPEC, "state", chan_state(ch));
	inspect_u64(in, SENS_UNSPEC, "channel_id", ch->id);
	inspect_guid(in, "interface_id", &ch->offer.interface_id);
	inspect_guid(in, "instance_id", &ch->offer.instance_id);
	inspect_u64(in, SENS_UNSPEC, "subchannel_index", ch->offer.subchannel);
	inspect_u64(in, SENS_UNSPEC, "monitor_id", ch->offer.monitor_id);
	inspect_u64(in, SENS_UNSPEC, "mmio_megabytes", ch->offer.mmio_mb);
	inspect_binary(in, SENS_UNSPEC, "offer_flags", ch->offer.flags);
	inspect_dir(in, SENS_UNSPEC, "gpadls", inspect_gpadls, ch);
	if (ch->state == CHAN_CLOSED)
		return;
	inspect_u64(in, SENS_UNSPEC, "target_vp", ch->open.target_vp);
	inspect_u64(in, SENS_UNSPEC, "open_id", ch->open.open_id);
	inspect_u64(in, SENS_UNSPEC, "ring_gpadl", ch->open.ring_gpadl);
	inspect_u64(in, SENS_UNSPEC, "downstream_ring_page", ch->open.downstream_page);
	inspect_u64(in, SENS_UNSPEC, "event_flag", ch->open.event_flag);
	inspect_hex(in, SENS_UNSPEC, "connection_id", ch->open.connection_id);
	inspect_bool(in, SENS_UNSPEC, "served_elsewhere", ch->bell_work);
	inspect_bool(in, SENS_UNSPEC, "moving", ch->modifying);
	if (!ch->handed)
		inspect_dir(in, SENS_UNSPEC, "pipe", pipe_inspect, &ch->pipe);
}

static void inspect_chans(struct inspect *in, const void *obj)
{
	const struct vmbus_server *s = obj;

	list_for_each(l, &s->chans) {
		const struct vmbus_chan *ch = container_of(l, struct vmbus_chan, link);

		inspect_dir_at(in, SENS_UNSPEC, ch->id, inspect_chan, ch);
	}
}

static const char *server_state(const struct vmbus_server *s)
{
	if (s->closing)
		return "disconnecting";
	if (!s->version)
		return "disconnected";
	return s->offers_sent ? "connected" : "negotiated";
}

static const char *next_name(enum server_next next)
{
	switch (next) {
	case NEXT_NONE:
		return "none";
	case NEXT_UNLOAD:
		return "unload";
	case NEXT_CONTACT:
		return "initiate_contact";
	case NEXT_RESET:
		return "reset";
	}
	return "none";
}

static void inspect_connection(struct inspect *in, const void *obj)
{
	const struct vmbus_server *s = obj;

	inspect_strf(in, SENS_UNSPEC, "version", "%u.%u", s->version >> 16, s->version & 0xffff);
	inspect_binary(in, SENS_UNSPEC, "feature_flags", s->features);
	inspect_guid(in, "client_id", &s->client_id);
	inspect_u64(in, SENS_UNSPEC, "target_message_vp", s->reply_vp);
	inspect_bool(in, SENS_UNSPEC, "paused", s->paused);
	inspect_u64(in, SENS_UNSPEC, "messages_held", s->n_held);
	inspect_u64(in, SENS_UNSPEC, "gpadls", s->gpadls.count);
	inspect_u64(in, SENS_UNSPEC, "gpadl_words", s->gpadls.words);
}

void vmbus_server_inspect(struct inspect *in, const void *obj)
{
	const struct vmbus_server *s = obj;

	inspect_str(in, SENS_UNSPEC, "state", server_state(s));
	inspect_str(in, SENS_UNSPEC, "next_action", next_name(s->next));
	if (s->version)
		inspect_dir(in, SENS_UNSPEC, "connection_info", inspect_connection, s);
	inspect_dir(in, SENS_UNSPEC, "channels", inspect_chans, s);
}
