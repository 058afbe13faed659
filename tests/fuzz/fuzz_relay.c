/* SPDX-License-Identifier: MIT */
/*
 * The relay between a guest and a host that both say whatever the input says, and a component of
 * ours beside it whose rings hold anything. Ids are small, so that they often mean something.
 */
#include "fuzz.h"

#include "bug.h"
#include "ic_proto.h"
#include "ic_shutdown.h"
#include "loop.h"
#include "rd.h"
#include "relay.h"
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BASE 0x100000ull
#define MEM_PAGES 64u
#define RING_PAGES 8u /* of one channel, both rings */

static struct gmem *gm;
static uint8_t *mem;
static struct loop *loop;
static struct vmbus_server *s;
static struct vmbus_relay *relay;
static struct ic_shutdown *component;
static uint32_t ports[VMBUS_MAX_CHANNELS];
static bool host_busy;

static void on_post(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg, size_t len)
{
	(void)ctx;
	(void)msg;
	BUG_ON(vp >= 2 || vtl != 0 || sint >= 16 || len < 8 || len > VMBUS_MAX_MESSAGE);
}

static void on_signal(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, uint16_t flag)
{
	(void)ctx;
	(void)vtl;
	(void)sint;
	BUG_ON(vp >= 2 || flag >= VMBUS_MAX_CHANNELS);
}

static int port_open(void *ctx, uint32_t chan_id, uint32_t connection_id)
{
	(void)ctx;
	BUG_ON(!chan_id || chan_id >= VMBUS_MAX_CHANNELS || ports[chan_id]);
	ports[chan_id] = connection_id | 0x80000000;
	return 0;
}

static void port_close(void *ctx, uint32_t chan_id)
{
	(void)ctx;
	BUG_ON(!ports[chan_id]);
	ports[chan_id] = 0;
}

static const struct vmbus_server_ops server_ops = {
	.post = on_post, .signal = on_signal, .port_open = port_open, .port_close = port_close
};

static int to_host(void *ctx, uint32_t connection_id, const void *msg, size_t len)
{
	(void)ctx;
	(void)connection_id;
	BUG_ON(!msg || len < 8 || len > VMBUS_MAX_MESSAGE);
	return host_busy ? -EAGAIN : 0;
}

/* A message with any content, to one side. */
static void says_anything(struct rd *in, bool host)
{
	uint8_t raw[VMBUS_MAX_MESSAGE] = { 0 };
	const uint8_t type = rd_u8(in) % 32;
	const uint8_t len = rd_u8(in) % (VMBUS_MAX_MESSAGE + 1);
	const size_t n = len > 8 ? MIN((size_t)len - 8, in->left) : 0;
	const uint8_t *body = rd_bytes(in, n);
	uint8_t *copy;

	if (body)
		memcpy(raw + 8, body, n);
	raw[0] = type;
	copy = malloc(len ? len : 1u);
	BUG_ON(!copy);
	memcpy(copy, raw, len);
	if (host)
		vmbus_relay_message(relay, copy, len);
	else
		vmbus_server_message(s, true, copy, len);
	free(copy);
}

static void guest_gpadl(uint8_t chan)
{
	struct vmbus_gpadl_header g = { .h.type = VMBUS_GPADL_HEADER,
					.chan_id = chan,
					.gpadl = chan,
					.range_bytes = 8 + 8 * RING_PAGES,
					.range_count = 1 };
	const uint64_t bytes = RING_PAGES * KEEL_PAGE_SIZE;

	memcpy(g.data, &bytes, 8);
	for (uint64_t i = 0; i < RING_PAGES; i++) {
		const uint64_t gpn = BASE / KEEL_PAGE_SIZE + chan * RING_PAGES % MEM_PAGES + i;

		memcpy(g.data + 8 + 8 * i, &gpn, 8);
	}
	vmbus_server_message(s, true, &g, VMBUS_GPADL_HEADER_SIZE + g.range_bytes);
}

static void guest_behaves(struct rd *in)
{
	const uint8_t what = rd_u8(in), chan = rd_u8(in) % 8;
	const struct vmbus_contact c = { .h.type = VMBUS_INITIATE_CONTACT,
					 .version = VMBUS_IRON,
					 .sint = 2 };
	const struct vmbus_msg_header h = { .type = what & 8 ? VMBUS_REQUEST_OFFERS
							     : VMBUS_UNLOAD };
	const struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL,
				      .chan_id = chan,
				      .ring_gpadl = chan,
				      .downstream_page = RING_PAGES / 2 };
	const struct vmbus_chan_msg close = { .h.type = VMBUS_CLOSE_CHANNEL, .chan_id = chan };
	const struct vmbus_gpadl_teardown td = { .h.type = VMBUS_GPADL_TEARDOWN,
						 .chan_id = chan,
						 .gpadl = chan };

	switch (what & 7) {
	case 0:
		return vmbus_server_message(s, true, &c, VMBUS_CONTACT_V1_SIZE);
	case 1:
	case 2:
		return vmbus_server_message(s, true, &h, sizeof(h));
	case 3:
		return guest_gpadl(chan);
	case 4:
	case 5:
		return vmbus_server_message(s, true, &o, VMBUS_OPEN_V1_SIZE);
	case 6:
		return vmbus_server_message(s, true, &close, sizeof(close));
	default:
		return vmbus_server_message(s, true, &td, sizeof(td));
	}
}

static void host_behaves(struct rd *in)
{
	const uint8_t what = rd_u8(in), id = rd_u8(in) % 8;
	const struct vmbus_version_rsp v = { .h.type = VMBUS_VERSION_RESPONSE,
					     .supported = 1,
					     .selected = VMBUS_MSG_ID_REDIRECT,
					     .features = 0xff };
	const struct vmbus_offer offer = {
		.h.type = VMBUS_OFFER_CHANNEL, .instance_id.d1 = id, .flags = what, .chan_id = id
	};
	const struct vmbus_open_result opened = { .h.type = VMBUS_OPEN_CHANNEL_RESULT,
						  .chan_id = id,
						  .status = what & 0x80 };
	const struct vmbus_gpadl_created made = {
		.h.type = VMBUS_GPADL_CREATED, .chan_id = id, .gpadl = what >> 4, .status = what & 8
	};
	const struct vmbus_gpadl_torndown torn = { .h.type = VMBUS_GPADL_TORNDOWN, .gpadl = id };
	const struct vmbus_chan_msg rescind = { .h.type = VMBUS_RESCIND_OFFER, .chan_id = id };

	switch (what & 7) {
	case 0:
		return vmbus_relay_message(relay, &v, sizeof(v));
	case 1:
	case 2:
		return vmbus_relay_message(relay, &offer, sizeof(offer));
	case 3:
		return vmbus_relay_message(relay, &opened, sizeof(opened));
	case 4:
	case 5:
		return vmbus_relay_message(relay, &made, sizeof(made));
	case 6:
		return vmbus_relay_message(relay, &torn, sizeof(torn));
	default:
		return vmbus_relay_message(relay, &rescind, sizeof(rescind));
	}
}

static void poke_memory(struct rd *in)
{
	const uint32_t at = rd_le32(in) % (MEM_PAGES * KEEL_PAGE_SIZE - 32);
	const uint8_t *bytes = rd_bytes(in, 32);

	if (bytes)
		memcpy(mem + (at & ~7u), bytes, 32);
}

static void setup(void)
{
	const struct vmbus_server_cfg cfg = { .gm = gm,
					      .ops = &server_ops,
					      .reply_sint = VMBUS_SINT,
					      .message_id = VMBUS_MSG_ID_LEGACY,
					      .max_version = VMBUS_COPPER,
					      .features = VMBUS_FEAT_GUEST_SIGNAL_PARAMS,
					      .vps = 2,
					      .loop = loop };
	struct ic_shutdown_cfg ic = { 0 };
	struct vmbus_relay_cfg rc = { .loop = loop, .post = to_host };

	memset(ports, 0, sizeof(ports));
	memset(mem, 0, MEM_PAGES * KEEL_PAGE_SIZE);
	host_busy = false;
	BUG_ON(vmbus_server_create(&cfg, &s) < 0);
	ic.server = rc.server = s;
	BUG_ON(ic_shutdown_create(&ic, &component) < 0);
	BUG_ON(vmbus_relay_create(&rc, &relay) < 0);
}

static void make_memory(void)
{
	struct gmem_region r = { .gpa = BASE, .len = MEM_PAGES * KEEL_PAGE_SIZE };

	mem = mmap(NULL, r.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	BUG_ON(mem == MAP_FAILED);
	r.host = mem;
	BUG_ON(gmem_create(&r, 1, &gm) < 0);
	BUG_ON(loop_create_epoll(&loop) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);

	if (!gm)
		make_memory();
	setup();
	while (in.left && !in.bad) {
		const uint8_t op = rd_u8(&in);

		switch (op % 8) {
		case 0:
		case 1:
			says_anything(&in, op & 1);
			break;
		case 2:
		case 3:
			guest_behaves(&in);
			break;
		case 4:
		case 5:
			host_behaves(&in);
			break;
		case 6:
			host_busy = op & 0x80;
			vmbus_server_signal(s, rd_u8(&in) % 8);
			(void)!ic_shutdown_request(component, IC_SHUTDOWN_POWER_OFF, false);
			break;
		default:
			poke_memory(&in);
			break;
		}
	}
	vmbus_relay_destroy(relay);
	ic_shutdown_destroy(component);
	vmbus_server_destroy(s);
	return 0;
}
