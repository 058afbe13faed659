/* SPDX-License-Identifier: MIT */
/*
 * The relay between a guest and a host: the guest's connection to our server (vmguest.h) on one
 * side, a second channel server that plays the host on the other. Rings and signals run past the
 * relay, as they do in a partition.
 */
#include "ic_heartbeat.h"
#include "ic_proto.h"
#include "le.h"
#include "relay.h"
#include "vmguest.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

#define HOST_PERIOD_NS 1000000000ull

static struct vmguest g;
static struct vmbus_server *host;
static struct vmbus_relay *relay;
static struct ic_heartbeat *beat;
static uint32_t host_chan[VMBUS_MAX_CHANNELS]; /* by the id our server gave it */
static bool host_deaf; /* the host takes no messages */
static bool host_mute; /* its messages are kept for later */

static struct kept {
	size_t len;
	uint8_t raw[VMBUS_MAX_MESSAGE];
} kept[64];
static unsigned n_kept;

static const struct guid beat_id = IC_HEARTBEAT_INSTANCE;

/* ---- the host -------------------------------------------------------------------------------- */

static void to_relay(const void *msg, size_t len)
{
	if (relay && !host_mute) {
		vmbus_relay_message(relay, msg, len);
		return;
	}
	ck_assert_uint_lt(n_kept, ARRAY_SIZE(kept));
	kept[n_kept].len = len;
	memcpy(kept[n_kept++].raw, msg, len);
}

static void host_speaks(void)
{
	host_mute = false;
	for (unsigned i = 0; i < n_kept; i++)
		vmbus_relay_message(relay, kept[i].raw, kept[i].len);
	n_kept = 0;
}

static void host_post(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg,
		      size_t len)
{
	(void)ctx;
	ck_assert_uint_eq(vp, 0);
	ck_assert_uint_eq(vtl, 2);
	ck_assert_uint_eq(sint, VMBUS_REDIRECT_SINT);
	to_relay(msg, len);
}

/* The host raises the flag it was given, in the guest: the relay has no part in it. */
static void host_signal(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, uint16_t flag)
{
	(void)ctx;
	(void)vp;
	ck_assert_uint_eq(vtl, 0);
	ck_assert_uint_eq(sint, VMBUS_SINT);
	for (unsigned i = 0; i < g.n_chans; i++) {
		if (g.chans[i].id == flag)
			g.chans[i].guest_signal = true;
	}
}

static int host_port_open(void *ctx, uint32_t chan_id, uint32_t connection_id)
{
	(void)ctx;
	for (unsigned i = 0; i < g.n_chans; i++) {
		if (g.chans[i].offer.connection_id == connection_id) {
			g.ports[g.chans[i].id] = connection_id;
			host_chan[g.chans[i].id] = chan_id;
		}
	}
	return 0;
}

static void host_port_close(void *ctx, uint32_t chan_id)
{
	(void)ctx;
	for (unsigned i = 0; i < VMBUS_MAX_CHANNELS; i++) {
		if (host_chan[i] == chan_id)
			host_chan[i] = g.ports[i] = 0;
	}
}

static const struct vmbus_server_ops host_ops = {
	.post = host_post,
	.signal = host_signal,
	.port_open = host_port_open,
	.port_close = host_port_close,
};

static int relay_post(void *ctx, uint32_t connection_id, const void *msg, size_t len)
{
	(void)ctx;
	ck_assert_uint_eq(connection_id, VMBUS_MSG_ID_REDIRECT);
	if (host_deaf)
		return -EAGAIN;
	vmbus_server_message(host, true, msg, len);
	return 0;
}

static void setup(uint32_t features)
{
	struct vmbus_server_cfg cfg = { .ops = &host_ops,
					.vtl = 0,
					.reply_vtl = 2,
					.reply_sint = VMBUS_REDIRECT_SINT,
					.message_id = VMBUS_MSG_ID_REDIRECT,
					.max_version = VMBUS_COPPER,
					.features = features,
					.vps = 2 };
	struct ic_heartbeat_cfg hb = { .period_ns = HOST_PERIOD_NS };
	struct vmbus_relay_cfg rc = { .post = relay_post };

	vmguest_init(&g, VMBUS_COPPER, 0);
	relay = NULL;
	n_kept = 0;
	host_deaf = host_mute = false;
	memset(host_chan, 0, sizeof(host_chan));
	cfg.gm = g.gm;
	cfg.loop = g.loop;
	ck_assert_int_eq(vmbus_server_create(&cfg, &host), 0);
	hb.server = host;
	hb.loop = g.loop;
	ck_assert_int_eq(ic_heartbeat_create(&hb, &beat), 0);
	rc.server = g.server;
	rc.loop = g.loop;
	ck_assert_int_eq(vmbus_relay_create(&rc, &relay), 0);
	host_speaks();
}

static void finish(void)
{
	vmbus_relay_destroy(relay);
	ic_heartbeat_destroy(beat);
	vmbus_server_destroy(host);
	vmguest_fini(&g);
}

#define FEATURES                                                             \
	(VMBUS_FEAT_GUEST_SIGNAL_PARAMS | VMBUS_FEAT_INTERRUPT_REDIRECTION | \
	 VMBUS_FEAT_MODIFY_CONNECTION | VMBUS_FEAT_CLIENT_ID)

/* ---- the guest ------------------------------------------------------------------------------- */

static struct vmguest_chan *connect_guest(void)
{
	struct vmguest_chan *c;

	g.n_chans = 0;
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	c = vmguest_find(&g, &beat_id);
	ck_assert_ptr_nonnull(c);
	return c;
}

static void signal_host(struct vmguest_chan *c)
{
	if (c->host_signal && host_chan[c->id])
		vmbus_server_signal(host, host_chan[c->id]);
	c->host_signal = false;
}

static void send_chan(uint32_t type, uint32_t chan)
{
	const struct vmbus_chan_msg m = { .h.type = type, .chan_id = chan };

	vmguest_send(&g, &m, sizeof(m));
}

/* What hv_utils does: answer the versions, then the first heartbeat. */
static void talk(struct vmguest_chan *c)
{
	struct {
		struct ic_header h;
		uint8_t body[256];
	} m;
	const struct ic_negotiate n = { .n_fw = 1, .n_msg = 1 };
	const struct ic_version v[] = { { 3, 0 }, { 3, 0 } };
	struct ic_heartbeat_msg hb;
	size_t len;

	ck_assert_int_eq(pipe_recv(&c->pipe, &m, sizeof(m), &len), 0);
	ck_assert_uint_eq(m.h.type, IC_NEGOTIATE);
	memcpy(m.body, &n, sizeof(n));
	memcpy(m.body + sizeof(n), v, sizeof(v));
	m.h.size = sizeof(n) + sizeof(v);
	m.h.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	ck_assert_int_eq(pipe_send(&c->pipe, &m, len), 0);
	signal_host(c);
	ck_assert_int_eq(pipe_recv(&c->pipe, &m, sizeof(m), &len), 0);
	ck_assert_uint_eq(m.h.type, IC_HEARTBEAT);
	memcpy(&hb, m.body, sizeof(hb));
	hb.seq++;
	memcpy(m.body, &hb, sizeof(hb));
	m.h.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	ck_assert_int_eq(pipe_send(&c->pipe, &m, len), 0);
	signal_host(c);
}

static void close_and_tear_down(struct vmguest_chan *c)
{
	const struct vmbus_gpadl_teardown td = { .h.type = VMBUS_GPADL_TEARDOWN,
						 .chan_id = c->id,
						 .gpadl = c->gpadl };
	const struct vmguest_msg *m;

	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	vmguest_send(&g, &td, sizeof(td));
	m = vmguest_expect(&g, VMBUS_GPADL_TORNDOWN);
	ck_assert_uint_eq(le32_load(m->raw + 8), c->gpadl);
}

START_TEST(guest_talks_to_the_host)
{
	struct vmguest_chan *c;

	setup(FEATURES);
	c = connect_guest();
	ck_assert_uint_eq(c->offer.flags, VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE);
	/* Many pages: the GPADL takes several messages on both sides. */
	for (int i = 0; i < 3; i++) {
		ck_assert(vmguest_open(&g, c, 20));
		talk(c);
		ck_assert(ic_heartbeat_alive(beat));
		close_and_tear_down(c);
		ck_assert(!ic_heartbeat_alive(beat));
	}
	finish();
}
END_TEST

/* A guest that is reset begins anew; the host must have let go of the old rings before. */
START_TEST(guest_comes_back)
{
	struct vmguest_chan *c;

	setup(FEATURES);
	for (int i = 0; i < 3; i++) {
		c = connect_guest();
		g.next_gpadl = 100; /* the same id every time */
		ck_assert(vmguest_open(&g, c, 4));
		talk(c);
		ck_assert(ic_heartbeat_alive(beat));
	}
	vmguest_send(&g, &(struct vmbus_msg_header){ .type = VMBUS_UNLOAD }, 8);
	vmguest_expect(&g, VMBUS_UNLOAD_COMPLETE);
	ck_assert(!ic_heartbeat_alive(beat));
	finish();
}
END_TEST

START_TEST(unload_waits_for_the_host)
{
	struct vmguest_chan *c;

	setup(FEATURES);
	c = connect_guest();
	ck_assert(vmguest_open(&g, c, 4));
	host_mute = true;
	vmguest_send(&g, &(struct vmbus_msg_header){ .type = VMBUS_UNLOAD }, 8);
	ck_assert_ptr_null(vmguest_take(&g));
	host_speaks();
	vmguest_expect(&g, VMBUS_UNLOAD_COMPLETE);
	finish();
}
END_TEST

START_TEST(host_takes_the_channel_away)
{
	struct vmguest_chan *c;
	unsigned was_open = 0;

	for (unsigned open = 0; open < 2; open++) {
		setup(FEATURES);
		c = connect_guest();
		if (open)
			ck_assert(vmguest_open(&g, c, 4));
		was_open += open;
		ic_heartbeat_destroy(beat);
		beat = NULL;
		/* Destroying is not rescinding: play the host's message. */
		vmbus_relay_message(relay,
				    &(struct vmbus_chan_msg){ .h.type = VMBUS_RESCIND_OFFER,
							      .chan_id = 1 },
				    sizeof(struct vmbus_chan_msg));
		vmguest_expect(&g, VMBUS_RESCIND_OFFER);
		/* Answers of the host that cross the rescind are nobody's. */
		vmbus_relay_message(relay,
				    &(struct vmbus_open_result){
					    .h.type = VMBUS_OPEN_CHANNEL_RESULT, .chan_id = 1 },
				    sizeof(struct vmbus_open_result));
		send_chan(VMBUS_RELID_RELEASED, c->id);
		ck_assert_ptr_null(vmguest_take(&g));
		finish();
	}
	ck_assert_uint_eq(was_open, 1);
}
END_TEST

START_TEST(rescind_answers_what_waits)
{
	struct vmguest_chan *c;
	const struct vmguest_msg *m;
	uint32_t page, id;

	setup(FEATURES);
	c = connect_guest();
	host_mute = true;
	id = vmguest_gpadl(&g, c->id, 4, &page);
	ck_assert_ptr_null(vmguest_take(&g)); /* the host has not agreed */
	vmbus_relay_message(relay,
			    &(struct vmbus_chan_msg){ .h.type = VMBUS_RESCIND_OFFER, .chan_id = 1 },
			    sizeof(struct vmbus_chan_msg));
	m = vmguest_expect(&g, VMBUS_GPADL_CREATED);
	ck_assert_uint_eq(le32_load(m->raw + 12), id);
	ck_assert_uint_ne(le32_load(m->raw + 16), 0);
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	host_speaks();
	ck_assert_ptr_null(vmguest_take(&g));
	finish();
}
END_TEST

START_TEST(host_without_the_features_is_not_relayed)
{
	setup(VMBUS_FEAT_CLIENT_ID);
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 0);
	finish();
}
END_TEST

START_TEST(deaf_host_is_tried_again)
{
	struct vmguest_chan *c;
	struct vmbus_gpadl_header h = {
		.h.type = VMBUS_GPADL_HEADER, .gpadl = 5, .range_bytes = 16, .range_count = 1
	};

	setup(FEATURES);
	c = connect_guest();
	host_deaf = true;
	h.chan_id = c->id;
	le64_store(h.data, KEEL_PAGE_SIZE);
	le64_store(h.data + 8, VMGUEST_BASE / KEEL_PAGE_SIZE);
	vmguest_send(&g, &h, VMBUS_GPADL_HEADER_SIZE + 16);
	ck_assert_ptr_null(vmguest_take(&g));
	host_deaf = false;
	for (int i = 0; i < 1000 && !g.n_msgs; i++)
		ck_assert_int_ge(loop_wait(g.loop), -EINTR);
	vmguest_expect(&g, VMBUS_GPADL_CREATED);
	finish();
}
END_TEST

/* The host may send anything. */
START_TEST(hostile_host)
{
	uint8_t raw[VMBUS_MAX_MESSAGE];
	struct vmguest_chan *c;

	setup(FEATURES);
	c = connect_guest();
	ck_assert(vmguest_open(&g, c, 4));
	for (uint32_t type = 0; type < 32; type++) {
		for (size_t len = 0; len <= sizeof(raw); len += 4) {
			memset(raw, (int)(type * 7 + len), sizeof(raw));
			if (type % 2)
				memset(raw, 0, sizeof(raw));
			le32_store(raw, type);
			le32_store(raw + 4, 0);
			vmbus_relay_message(relay, raw, len);
		}
	}
	finish();
}
END_TEST

UNIT_MAIN("vmbus/relay", guest_talks_to_the_host, guest_comes_back, unload_waits_for_the_host,
	  host_takes_the_channel_away, rescind_answers_what_waits,
	  host_without_the_features_is_not_relayed, deaf_host_is_tried_again, hostile_host)
