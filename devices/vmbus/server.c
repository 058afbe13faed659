/* SPDX-License-Identifier: MIT */
/*
 * The connection: version negotiation, offers, unload, pause, and the order in which channels are
 * wound up. What happens on one channel is in server_chan.c.
 */
#include "server.h"

#include "hvmsr.h"
#include "log.h"
#include "server_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "vmbus"

/* Older clients hear of signals through a page of memory, which nobody here writes. */
static const uint32_t known_versions[] = {
	VMBUS_WIN8,	 VMBUS_WIN8_1,	  VMBUS_WIN10, VMBUS_WIN10_RS3_0, VMBUS_WIN10_RS3_1,
	VMBUS_WIN10_RS4, VMBUS_WIN10_RS5, VMBUS_IRON,  VMBUS_COPPER,
};

/* ---- sending --------------------------------------------------------------------------------- */

static void held_drop(struct vmbus_server *s)
{
	struct list *l;

	while ((l = list_pop(&s->held)))
		free(container_of(l, struct held_msg, link));
	s->n_held = 0;
}

static void hold(struct vmbus_server *s, const void *msg, size_t len)
{
	struct held_msg *hm = s->n_held < SERVER_MAX_HELD ? calloc(1, sizeof(*hm) + len) : NULL;

	if (!hm) {
		log_warn_rl(ALLOWED, "a paused client is owed too many messages; one is lost");
		return;
	}
	hm->len = len;
	memcpy(hm->raw, msg, len);
	list_add_tail(&s->held, &hm->link);
	s->n_held++;
}

static void post_to(struct vmbus_server *s, uint32_t vp, const void *msg, size_t len)
{
	s->cfg.ops->post(s->cfg.ctx, vp, s->cfg.reply_vtl, s->cfg.reply_sint, msg, len);
}

void server_post(struct vmbus_server *s, const void *msg, size_t len)
{
	if (s->paused)
		hold(s, msg, len);
	else
		post_to(s, s->reply_vp, msg, len);
}

static void post_header(struct vmbus_server *s, uint32_t type)
{
	const struct vmbus_msg_header h = { .type = type };

	server_post(s, &h, sizeof(h));
}

static void resume(struct vmbus_server *s)
{
	struct list *l;

	s->paused = false;
	while ((l = list_pop(&s->held))) {
		struct held_msg *hm = container_of(l, struct held_msg, link);

		post_to(s, s->reply_vp, hm->raw, hm->len);
		free(hm);
	}
	s->n_held = 0;
}

/* ---- winding up ------------------------------------------------------------------------------ */

static bool all_settled(const struct vmbus_server *s)
{
	list_for_each(l, &s->chans) {
		if (container_of(l, struct vmbus_chan, link)->state != CHAN_CLOSED)
			return false;
	}
	return true;
}

static void disconnect(struct vmbus_server *s)
{
	for (struct list *l = s->chans.next, *next; l != &s->chans; l = next) {
		next = l->next;
		chan_forget_client(container_of(l, struct vmbus_chan, link));
	}
	gpadl_free_all(&s->gpadls);
	held_drop(s);
	s->paused = false;
	s->offers_sent = false;
	if (s->version && s->cfg.ops->connected)
		s->cfg.ops->connected(s->cfg.ctx, 0);
	s->version = 0;
	s->features = 0;
}

static void answer_contact(struct vmbus_server *s, const struct chanmsg *m);

void server_chan_settled(struct vmbus_server *s)
{
	const enum server_next next = s->next;
	struct chanmsg contact;

	if (!s->closing || s->winding || !all_settled(s))
		return;
	s->closing = false;
	s->next = NEXT_NONE;
	contact = s->contact;
	disconnect(s);
	switch (next) {
	case NEXT_UNLOAD:
		post_header(s, VMBUS_UNLOAD_COMPLETE);
		break;
	case NEXT_CONTACT:
		answer_contact(s, &contact);
		break;
	case NEXT_RESET:
	case NEXT_NONE:
		break;
	}
}

/* Close every channel, then do what next says. A later request replaces an earlier one. */
static void wind_up(struct vmbus_server *s, enum server_next next)
{
	s->next = next;
	if (s->closing)
		return;
	s->closing = true;
	/* What is held back is of no use to a client that goes away. */
	held_drop(s);
	s->paused = false;
	s->winding = true;
	for (struct list *l = s->chans.next, *after; l != &s->chans; l = after) {
		after = l->next;
		chan_force_close(container_of(l, struct vmbus_chan, link));
	}
	s->winding = false;
	server_chan_settled(s);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static bool version_ok(const struct vmbus_server *s, uint32_t version)
{
	if (version > s->cfg.max_version)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(known_versions); i++) {
		if (known_versions[i] == version)
			return true;
	}
	return false;
}

static void refuse(struct vmbus_server *s, uint32_t vp)
{
	struct vmbus_version_rsp rsp = { .h.type = VMBUS_VERSION_RESPONSE };

	post_to(s, vp, &rsp, VMBUS_VERSION_RSP_V1_SIZE);
}

static void answer_contact(struct vmbus_server *s, const struct chanmsg *m)
{
	const struct vmbus_contact *c = &m->contact;
	struct vmbus_version_rsp rsp = { .h.type = VMBUS_VERSION_RESPONSE, .supported = 1 };
	const uint32_t vp = c->version >= VMBUS_WIN8_1 ? c->target_vp : 0;

	if (vp >= s->cfg.vps) {
		log_warn_rl(CONF, "INITIATE_CONTACT names VP %u of %u", vp, s->cfg.vps);
		return;
	}
	if (!version_ok(s, c->version)) {
		refuse(s, vp);
		return;
	}
	s->reply_vp = vp;
	s->version = c->version;
	s->features = c->version >= VMBUS_COPPER ? c->features & s->cfg.features : 0;
	s->client_id = s->features & VMBUS_FEAT_CLIENT_ID ? c->client_id : (struct guid){ 0 };
	if (!c->monitor_p2c != !c->monitor_c2p)
		rsp.conn_state = VMBUS_CONN_UNKNOWN;
	rsp.selected = c->version >= VMBUS_WIN10_RS3_1 ? s->cfg.message_id : c->version;
	rsp.features = s->features;
	if (rsp.conn_state != VMBUS_CONN_OK)
		s->version = s->features = 0;
	log_info_rl(ALLOWED, "VTL%u connects with version %u.%u", s->cfg.vtl, c->version >> 16,
		    c->version & 0xffff);
	server_post(s, &rsp, c->version >= VMBUS_COPPER ? sizeof(rsp) : VMBUS_VERSION_RSP_V1_SIZE);
	if (s->version && s->cfg.ops->connected)
		s->cfg.ops->connected(s->cfg.ctx, s->version);
}

static void handle_contact(struct vmbus_server *s, bool multiclient, const struct chanmsg *m)
{
	struct chanmsg copy = *m;
	struct vmbus_contact *c = &copy.contact;

	if (!multiclient || c->version < VMBUS_WIN10_RS3_1)
		c->sint = VMBUS_SINT;
	if (!multiclient || c->version < VMBUS_WIN10_RS4)
		c->vtl = 0;
	if (c->vtl != s->cfg.vtl) {
		log_warn_rl(CONF, "INITIATE_CONTACT for VTL%u reached VTL%u's server", c->vtl,
			    s->cfg.vtl);
		return;
	}
	if (c->sint != VMBUS_SINT) {
		if (c->target_vp < s->cfg.vps)
			refuse(s, c->target_vp);
		return;
	}
	/* A second contact is how a client that was reset begins anew. */
	s->contact = copy;
	wind_up(s, NEXT_CONTACT);
}

static void handle_request_offers(struct vmbus_server *s)
{
	if (s->offers_sent) {
		log_warn_rl(ALLOWED, "offers requested twice");
		return;
	}
	s->offers_sent = true;
	list_for_each(l, &s->chans)
		chan_send_offer(container_of(l, struct vmbus_chan, link));
	post_header(s, VMBUS_ALL_OFFERS_DELIVERED);
}

static void handle_tl_connect(struct vmbus_server *s, const struct chanmsg *m)
{
	const struct vmbus_tl_connect *tl = &m->tl_connect;
	struct vmbus_tl_result res = { .h.type = VMBUS_TL_CONNECT_RESULT,
				       .endpoint = tl->endpoint,
				       .service = tl->service,
				       .status = VMBUS_STATUS_CONNECTION_REFUSED };

	if (s->tl_connect && s->tl_connect(s->tl_ctx, &tl->endpoint, &tl->service) == 0)
		return;
	if (s->version >= VMBUS_WIN10_RS3_0)
		server_post(s, &res, sizeof(res));
}

static void handle_modify_connection(struct vmbus_server *s, const struct chanmsg *m)
{
	struct {
		struct vmbus_msg_header h;
		uint8_t state;
	} rsp = { .h.type = VMBUS_MODIFY_CONNECTION_RESPONSE, .state = VMBUS_CONN_OK };

	/* Monitor pages are not used here; naming only one of them is still an error. */
	if (!m->modify_conn.monitor_p2c != !m->modify_conn.monitor_c2p)
		rsp.state = VMBUS_CONN_UNKNOWN;
	server_post(s, &rsp, VMBUS_MODIFY_CONN_RSP_SIZE);
}

/*
 * Crash-time channels: a client opens one past the connection, with a processor and SINT of its
 * own. No device here has one, so that the client hears it where it listens.
 */
static void handle_open_reserved(struct vmbus_server *s, const struct chanmsg *m)
{
	const struct vmbus_open_reserved *o = &m->open_reserved;
	const struct vmbus_open_result rsp = { .h.type = VMBUS_OPEN_CHANNEL_RESULT,
					       .chan_id = o->chan_id,
					       .status = VMBUS_STATUS_UNSUCCESSFUL };

	if (o->target_vp < s->cfg.vps && o->target_sint < HV_SINT_COUNT)
		s->cfg.ops->post(s->cfg.ctx, o->target_vp, s->cfg.reply_vtl,
				 (uint8_t)o->target_sint, &rsp, sizeof(rsp));
}

static void handle_close_reserved(struct vmbus_server *s, const struct chanmsg *m)
{
	const struct vmbus_chan_msg rsp = { .h.type = VMBUS_CLOSE_RESERVED_RESPONSE,
					    .chan_id = m->close_reserved.chan_id };

	/* None is open, so there is nothing to close: say that it is. */
	if (m->close_reserved.target_vp < s->cfg.vps &&
	    m->close_reserved.target_sint < HV_SINT_COUNT)
		s->cfg.ops->post(s->cfg.ctx, m->close_reserved.target_vp, s->cfg.reply_vtl,
				 (uint8_t)m->close_reserved.target_sint, &rsp, sizeof(rsp));
}

/* Messages that are legal at any time of a connection. */
static void dispatch(struct vmbus_server *s, const struct chanmsg *m)
{
	switch (m->h.type) {
	case VMBUS_REQUEST_OFFERS:
		return handle_request_offers(s);
	case VMBUS_OPEN_CHANNEL:
		return chan_handle_open(s, m);
	case VMBUS_CLOSE_CHANNEL:
		return chan_handle_close(s, m);
	case VMBUS_GPADL_HEADER:
		return chan_handle_gpadl_header(s, m);
	case VMBUS_GPADL_BODY:
		return chan_handle_gpadl_body(s, m);
	case VMBUS_GPADL_TEARDOWN:
		return chan_handle_gpadl_teardown(s, m);
	case VMBUS_RELID_RELEASED:
		return chan_handle_released(s, m);
	case VMBUS_TL_CONNECT_REQUEST:
		return handle_tl_connect(s, m);
	case VMBUS_MODIFY_CHANNEL:
		return chan_handle_modify(s, m);
	case VMBUS_MODIFY_CONNECTION:
		return handle_modify_connection(s, m);
	case VMBUS_CLOSE_RESERVED:
		return handle_close_reserved(s, m);
	case VMBUS_OPEN_RESERVED:
		return handle_open_reserved(s, m);
	default:
		log_warn_rl(ALLOWED, "%s is not supported", chanmsg_name(m->h.type));
	}
}

void vmbus_server_message(struct vmbus_server *s, bool multiclient, const void *raw, size_t len)
{
	struct chanmsg m;
	int r = chanmsg_parse(CHANMSG_TO_SERVER, raw, len, s->version, s->features, &m);

	if (r < 0) {
		log_warn_rl(ALLOWED, "message of %zu bytes refused (%d)", len, r);
		return;
	}
	if (m.h.type == VMBUS_INITIATE_CONTACT) {
		handle_contact(s, multiclient, &m);
	} else if (s->closing) {
		log_debug_rl(ALLOWED, "%s while the connection ends", chanmsg_name(m.h.type));
	} else if (m.h.type == VMBUS_UNLOAD) {
		wind_up(s, NEXT_UNLOAD);
	} else if (m.h.type == VMBUS_RESUME) {
		resume(s);
	} else if (s->paused) {
		log_warn_rl(ALLOWED, "%s from a client that paused", chanmsg_name(m.h.type));
	} else if (m.h.type == VMBUS_PAUSE) {
		post_header(s, VMBUS_PAUSE_RESPONSE);
		s->paused = true;
	} else {
		dispatch(s, &m);
	}
}

/* ---- for the owner --------------------------------------------------------------------------- */

int vmbus_server_create(const struct vmbus_server_cfg *cfg, struct vmbus_server **ret_s)
{
	struct vmbus_server *s;

	if (!cfg->vps || !cfg->gm || !cfg->ops)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	s->next_id = 1;
	list_init(&s->chans);
	list_init(&s->held);
	list_init(&s->kept);
	gpadl_set_init(&s->gpadls, cfg->gm);
	*ret_s = s;
	return 0;
}

void vmbus_server_keep(struct vmbus_server *s, struct list *mem)
{
	list_add_tail(&s->kept, mem);
}

void vmbus_server_destroy(struct vmbus_server *s)
{
	struct list *mem;

	if (!s)
		return;
	while (!list_empty(&s->chans))
		vmbus_chan_destroy(container_of(s->chans.next, struct vmbus_chan, link));
	gpadl_free_all(&s->gpadls);
	held_drop(s);
	while ((mem = list_pop(&s->kept)))
		free(mem);
	free(s);
}

void vmbus_server_reset(struct vmbus_server *s)
{
	wind_up(s, NEXT_RESET);
}

void vmbus_server_hook_tl_connect(struct vmbus_server *s,
				  int (*fn)(void *ctx, const struct guid *endpoint,
					    const struct guid *service),
				  void *ctx)
{
	s->tl_connect = fn;
	s->tl_ctx = ctx;
}

bool vmbus_server_ready(const struct vmbus_server *s)
{
	return s->version && s->offers_sent && !s->closing;
}
