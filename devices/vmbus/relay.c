/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include "client.h"
#include "inspect.h"
#include "list.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <stdlib.h>

#define LOG_AREA "vmbus-relay"

/* How the relay of other paravisors names itself; hosts know it. */
#define RELAY_CLIENT_ID \
	GUID_INIT(0xceb1cd55, 0x6a3b, 0x41c5, 0x94, 0x73, 0x4d, 0xd3, 0x06, 0x24, 0xc3, 0xd8)
#define RELAY_NEEDS                                                          \
	(VMBUS_FEAT_GUEST_SIGNAL_PARAMS | VMBUS_FEAT_INTERRUPT_REDIRECTION | \
	 VMBUS_FEAT_MODIFY_CONNECTION)

/* GPADLs of all channels that the host may hold at once. One that gives none back, and a client
 * that connects over and over, must not fill our memory. */
#define MAX_GPADLS 8192u

/* A GPADL the host was told of and has not given back. */
struct relayed_gpadl {
	struct list link;
	uint32_t id;
	bool leaving; /* TEARDOWN was sent */
};

struct relayed {
	struct list link;
	struct vmbus_relay *r;
	uint32_t host_id;
	struct vmbus_chan *ch;
	struct list gpadls;
	uint32_t ring; /* GPADL of the rings while open */
	bool opening; /* the host's result is due */
	bool closing; /* the rings' TORNDOWN is due: then the close is done */
	bool rescinded; /* by the host; freed when our client has let go */
};

struct vmbus_relay {
	struct vmbus_relay_cfg cfg;
	struct vmbus_client *client;
	struct list chans;
	struct relayed *by_host_id[VMBUS_MAX_CHANNELS];
	uint32_t n_gpadls; /* of all channels */
	uint64_t refused;
};

static struct relayed *find(struct vmbus_relay *r, uint32_t raw_host_id)
{
	return raw_host_id < VMBUS_MAX_CHANNELS ? r->by_host_id[raw_host_id] : NULL;
}

/* ---- GPADLs ---------------------------------------------------------------------------------- */

static struct relayed_gpadl *gpadl_of(struct relayed *c, uint32_t id)
{
	list_for_each(l, &c->gpadls) {
		struct relayed_gpadl *g = container_of(l, struct relayed_gpadl, link);

		if (g->id == id)
			return g;
	}
	return NULL;
}

static struct relayed_gpadl *gpadl_add(struct relayed *c, uint32_t id)
{
	struct relayed_gpadl *g = c->r->n_gpadls < MAX_GPADLS ? calloc(1, sizeof(*g)) : NULL;

	if (!g)
		return NULL;
	g->id = id;
	list_add_tail(&c->gpadls, &g->link);
	c->r->n_gpadls++;
	return g;
}

static void gpadl_drop(struct relayed *c, struct relayed_gpadl *g)
{
	list_del(&g->link);
	free(g);
	c->r->n_gpadls--;
}

static void gpadl_give_back(struct relayed *c, struct relayed_gpadl *g)
{
	if (g->leaving)
		return;
	g->leaving = true;
	vmbus_client_teardown(c->r->client, c->host_id, g->id);
}

static void on_gpadl(void *ctx, struct vmbus_chan *ch, uint32_t id, uint16_t n_ranges,
		     const uint64_t *words, uint32_t n_words)
{
	struct relayed *c = ctx;

	/* An id that the host still holds from an earlier life of the client cannot be used yet. */
	if (c->rescinded || gpadl_of(c, id) || !gpadl_add(c, id))
		return vmbus_chan_gpadl_done(ch, id, false);
	vmbus_client_gpadl(c->r->client, c->host_id, id, n_ranges, words, n_words);
}

/* The client wants it back, or has gone; true: vmbus_chan_gpadl_torndown() will follow. */
static bool on_gpadl_teardown(void *ctx, struct vmbus_chan *ch, uint32_t id)
{
	struct relayed *c = ctx;
	struct relayed_gpadl *g = gpadl_of(c, id);

	(void)ch;
	if (!g || c->rescinded)
		return false;
	gpadl_give_back(c, g);
	return true;
}

static void host_gpadl_created(void *ctx, uint32_t host_id, uint32_t id, bool ok)
{
	struct relayed *c = find(ctx, host_id);
	struct relayed_gpadl *g = c ? gpadl_of(c, id) : NULL;

	if (!g)
		return;
	if (!ok)
		gpadl_drop(c, g);
	vmbus_chan_gpadl_done(c->ch, id, ok);
}

/* The message does not say whose it was: ids of one client's channels rarely collide. */
static void host_gpadl_torndown(void *ctx, uint32_t id)
{
	struct vmbus_relay *r = ctx;

	list_for_each(l, &r->chans) {
		struct relayed *c = container_of(l, struct relayed, link);
		struct relayed_gpadl *g = gpadl_of(c, id);

		if (!g || !g->leaving)
			continue;
		gpadl_drop(c, g);
		if (c->closing && c->ring == id) {
			c->closing = false;
			vmbus_chan_close_done(c->ch);
		} else {
			vmbus_chan_gpadl_torndown(c->ch, id);
		}
		return;
	}
}

/* ---- open and close -------------------------------------------------------------------------- */

static void on_open(void *ctx, struct vmbus_chan *ch)
{
	struct relayed *c = ctx;
	const struct vmbus_open *o = vmbus_chan_open_msg(ch);
	struct vmbus_client_open host = {
		.chan_id = c->host_id,
		.ring_gpadl = o->ring_gpadl,
		.target_vp = o->target_vp,
		.downstream_page = o->downstream_page,
		.connection_id = o->connection_id,
		.event_flag = o->event_flag,
	};

	if (c->rescinded || !gpadl_of(c, o->ring_gpadl))
		return vmbus_chan_open_done(ch, -ENODEV);
	for (size_t i = 0; i < sizeof(host.user); i++)
		host.user[i] = o->user[i];
	c->ring = o->ring_gpadl;
	c->opening = true;
	vmbus_client_open(c->r->client, &host);
}

static void host_opened(void *ctx, uint32_t host_id, bool ok)
{
	struct relayed *c = find(ctx, host_id);

	if (!c || !c->opening)
		return;
	c->opening = false;
	vmbus_chan_open_done(c->ch, ok ? 0 : -EIO);
}

static void on_close(void *ctx, struct vmbus_chan *ch)
{
	struct relayed *c = ctx;
	struct relayed_gpadl *g = gpadl_of(c, c->ring);

	if (c->rescinded || !g)
		return vmbus_chan_close_done(ch);
	/* That the host gave the rings back is the only sign that it closed. */
	c->closing = true;
	vmbus_client_close(c->r->client, c->host_id);
	gpadl_give_back(c, g);
}

static void on_retarget(void *ctx, struct vmbus_chan *ch, uint32_t vp)
{
	struct relayed *c = ctx;
	struct vmbus_irq irq;

	if (c->rescinded || vmbus_client_version(c->r->client) < VMBUS_IRON)
		return vmbus_chan_retarget_done(ch, &irq);
	vmbus_client_modify(c->r->client, c->host_id, vp);
}

static void host_modified(void *ctx, uint32_t host_id, bool ok)
{
	struct relayed *c = find(ctx, host_id);
	struct vmbus_irq irq;

	(void)ok; /* a host that cannot leaves the interrupt where it was; the client copes */
	if (c && !c->rescinded)
		vmbus_chan_retarget_done(c->ch, &irq);
}

/* ---- offers ---------------------------------------------------------------------------------- */

static void forget(struct relayed *c)
{
	while (!list_empty(&c->gpadls))
		gpadl_drop(c, container_of(c->gpadls.next, struct relayed_gpadl, link));
	c->r->by_host_id[c->host_id] = NULL;
	list_del(&c->link);
	free(c);
}

/* Our client has let go of a channel the host took away: now the host may use the id again. */
static void on_released(void *ctx, struct vmbus_chan *ch)
{
	struct relayed *c = ctx;

	(void)ch;
	vmbus_client_release(c->r->client, c->host_id);
	forget(c);
}

static const struct vmbus_chan_ops chan_ops = {
	.open = on_open,
	.close = on_close,
	.retarget = on_retarget,
	.released = on_released,
	.gpadl = on_gpadl,
	.gpadl_teardown = on_gpadl_teardown,
};

static int offer(struct vmbus_relay *r, const struct vmbus_offer *o)
{
	struct vmbus_chan_cfg cfg = {
		.interface_id = o->interface_id,
		.instance_id = o->instance_id,
		.kind = VMBUS_CHAN_RELAYED,
		.subchannel = o->subchannel,
		.relayed = o,
		.ops = &chan_ops,
	};
	struct relayed *c;
	int err;

	if (!o->chan_id || o->chan_id >= VMBUS_MAX_CHANNELS || r->by_host_id[o->chan_id])
		return -EBADMSG;
	if (r->cfg.wanted && !r->cfg.wanted(r->cfg.ctx, &o->interface_id, &o->instance_id))
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->r = r;
	c->host_id = o->chan_id;
	list_init(&c->gpadls);
	cfg.ctx = c;
	err = vmbus_chan_offer(r->cfg.server, &cfg, &c->ch);
	if (err < 0) {
		free(c);
		return err;
	}
	r->by_host_id[c->host_id] = c;
	list_add_tail(&r->chans, &c->link);
	return 0;
}

static void host_offer(void *ctx, const struct vmbus_offer *o)
{
	struct vmbus_relay *r = ctx;
	int err = offer(r, o);

	if (err < 0) {
		r->refused++;
		log_warn_rl(ALLOWED, "an offer of the host is not passed on (%d)", err);
	}
}

static void host_rescinded(void *ctx, uint32_t host_id)
{
	struct relayed *c = find(ctx, host_id);

	if (!c || c->rescinded)
		return;
	c->rescinded = true;
	c->opening = c->closing = false; /* these need no answer any more */
	vmbus_chan_revoke(c->ch); /* on_released() follows, perhaps at once */
}

static void host_connected(void *ctx, uint32_t version)
{
	(void)ctx;
	if (version)
		log_info(ALLOWED, "the host's channels for VTL0 are relayed, version %u.%u",
			 version >> 16, version & 0xffff);
	else
		log_info(ALLOWED, "the host has no VMBus for VTL0");
}

static int host_post(void *ctx, uint32_t connection_id, const void *msg, size_t len)
{
	struct vmbus_relay *r = ctx;

	return r->cfg.post(r->cfg.ctx, connection_id, msg, len);
}

static const struct vmbus_client_ops client_ops = {
	.post = host_post,
	.connected = host_connected,
	.offer = host_offer,
	.rescinded = host_rescinded,
	.opened = host_opened,
	.gpadl_created = host_gpadl_created,
	.gpadl_torndown = host_gpadl_torndown,
	.modified = host_modified,
};

/* ---- life cycle ------------------------------------------------------------------------------ */

int vmbus_relay_create(const struct vmbus_relay_cfg *cfg, struct vmbus_relay **ret_r)
{
	struct vmbus_relay *r = calloc(1, sizeof(*r));
	const struct vmbus_client_cfg ccfg = {
		.ops = &client_ops,
		.ctx = r,
		.loop = cfg->loop,
		.connection_id = VMBUS_MSG_ID_REDIRECT,
		.vtl = 0,
		.features = RELAY_NEEDS | VMBUS_FEAT_CLIENT_ID,
		.needed = RELAY_NEEDS,
		.client_id = RELAY_CLIENT_ID,
	};
	int err;

	if (!r)
		return -ENOMEM;
	r->cfg = *cfg;
	list_init(&r->chans);
	err = vmbus_client_create(&ccfg, &r->client);
	if (err < 0) {
		free(r);
		return err;
	}
	*ret_r = r;
	vmbus_client_connect(r->client);
	return 0;
}

void vmbus_relay_destroy(struct vmbus_relay *r)
{
	if (!r)
		return;
	while (!list_empty(&r->chans)) {
		struct relayed *c = container_of(r->chans.next, struct relayed, link);

		vmbus_chan_destroy(c->ch);
		forget(c);
	}
	vmbus_client_destroy(r->client);
	free(r);
}

void vmbus_relay_message(struct vmbus_relay *r, const void *raw, size_t len)
{
	vmbus_client_message(r->client, raw, len);
}

static void inspect_chan(struct inspect *in, const void *obj)
{
	const struct relayed *c = obj;

	inspect_u64(in, SENS_UNSPEC, "channel", vmbus_chan_id(c->ch));
	inspect_bool(in, SENS_UNSPEC, "opening", c->opening);
	inspect_bool(in, SENS_UNSPEC, "closing", c->closing);
	inspect_bool(in, SENS_UNSPEC, "rescinded", c->rescinded);
}

static void inspect_chans(struct inspect *in, const void *obj)
{
	const struct vmbus_relay *r = obj;

	list_for_each(l, &r->chans) {
		const struct relayed *c = container_of(l, struct relayed, link);

		inspect_dir_at(in, SENS_UNSPEC, c->host_id, inspect_chan, c);
	}
}

void vmbus_relay_inspect(struct inspect *in, const void *obj)
{
	const struct vmbus_relay *r = obj;

	inspect_dir(in, SENS_UNSPEC, "host", vmbus_client_inspect, r->client);
	inspect_dir(in, SENS_UNSPEC, "channels", inspect_chans, r);
	inspect_count(in, SENS_UNSPEC, "refused_offers", r->refused);
}
