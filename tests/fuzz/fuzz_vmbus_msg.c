/* SPDX-License-Identifier: MIT */
/*
 * The channel server against a client that sends whatever the input says: control messages with
 * any content, signals, and device actions in between. Ids are drawn from small ranges so that they
 * often mean something.
 */
#include "fuzz.h"

#include "bug.h"
#include "loop.h"
#include "rd.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BASE 0x100000ull
#define MEM_PAGES 32u
#define MAX_DEVS 4
#define FIRST_RAW 2 /* devices from here on take their rings and serve them on a loop */

struct dev {
	struct vmbus_chan *ch;
	bool opening, closing, open, moving;
	struct vmbus_chan_io io; /* valid while serving */
	struct ring_in in;
	struct ring_out out;
	bool serving;
	struct loop_work bell;
};

static struct gmem *gm;
static uint8_t *mem;
static struct vmbus_server *s;
static struct dev devs[MAX_DEVS];
static uint32_t ports[VMBUS_MAX_CHANNELS];
static bool defer;
static struct loop *loop; /* of raw devices */

static void on_post(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg, size_t len)
{
	(void)ctx;
	(void)msg;
	BUG_ON(vp >= 2 || vtl != 2 || sint >= 16 || len < 8 || len > VMBUS_MAX_MESSAGE);
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

/* What a raw device does when the client signals: take packets, answer with what they carry. */
static void on_bell(void *ctx)
{
	static uint8_t buf[8192];
	struct dev *d = ctx;
	struct ring_pkt pkt;
	bool signal;

	while (d->serving && ring_get(&d->in, &pkt, &(struct iovec){ buf, sizeof(buf) }, 1) == 0) {
		BUG_ON(pkt.len > sizeof(buf) || pkt.data_off > pkt.len);
		if (ring_put(&d->out, VMPKT_COMPLETION, false, pkt.txid,
			     &(struct iovec){ buf, pkt.len }, 1) < 0)
			break;
	}
	if (d->serving && ring_in_commit(&d->in, &signal) == 0 &&
	    ring_out_commit(&d->out, &signal) == 0 && signal)
		vmbus_irq_raise(&d->io.irq);
}

/* The rings may be damaged from the first moment on: then the channel just does nothing. */
static void take_rings(struct dev *d)
{
	vmbus_chan_io(d->ch, &d->io);
	BUG_ON(d->io.target_vp >= 2 && d->io.target_vp != VMBUS_VP_NONE);
	d->bell = (struct loop_work){ .fn = on_bell, .ctx = d };
	vmbus_chan_bell(d->ch, loop, &d->bell);
	d->serving = ring_in_init(&d->in, &d->io.to_server) == 0 &&
		     ring_out_init(&d->out, &d->io.to_client) == 0;
}

static void let_go(struct dev *d)
{
	d->serving = d->moving = false;
	loop_poll(loop); /* what is queued finds the device idle */
}

static void d_retarget(void *ctx, struct vmbus_chan *ch, uint32_t vp)
{
	struct dev *d = ctx;

	BUG_ON(vp >= 2 || !d->open || d->moving);
	d->moving = defer;
	if (!defer)
		vmbus_chan_retarget_done(ch, &d->io.irq);
}

static void d_open(void *ctx, struct vmbus_chan *ch)
{
	struct dev *d = ctx;

	BUG_ON(d->open || d->opening || d->closing);
	d->opening = defer;
	d->open = !defer;
	if (d - devs >= FIRST_RAW)
		take_rings(d);
	if (!defer)
		vmbus_chan_open_done(ch, 0);
}

static void d_close(void *ctx, struct vmbus_chan *ch)
{
	struct dev *d = ctx;

	BUG_ON(!d->open);
	d->open = false;
	d->closing = defer;
	if (!defer) {
		let_go(d);
		vmbus_chan_close_done(ch);
	}
}

static void d_signalled(void *ctx, struct vmbus_chan *ch)
{
	static uint8_t buf[PIPE_MAX_PAYLOAD];
	struct dev *d = ctx;
	size_t len;

	BUG_ON(!d->open || d->serving);
	while (pipe_recv(vmbus_chan_pipe(ch), buf, sizeof(buf), &len) == 0) {
		if (pipe_send(vmbus_chan_pipe(ch), buf, len) < 0)
			return;
	}
}

static void d_released(void *ctx, struct vmbus_chan *ch)
{
	struct dev *d = ctx;

	BUG_ON(d->ch != ch || d->open || d->opening || d->closing);
	d->ch = NULL;
}

static const struct vmbus_chan_ops raw_ops = { .open = d_open,
					       .close = d_close,
					       .signalled = d_signalled,
					       .retarget = d_retarget,
					       .released = d_released };
static const struct vmbus_chan_ops dev_ops = {
	.open = d_open, .close = d_close, .signalled = d_signalled, .released = d_released
};

static void offer(struct dev *d)
{
	const bool raw = d - devs >= FIRST_RAW;
	const struct vmbus_chan_cfg cfg = {
		.instance_id = { .d1 = (uint32_t)MIN(d - devs, FIRST_RAW) },
		.kind = raw ? VMBUS_CHAN_RAW : VMBUS_CHAN_PIPE,
		.subchannel = raw ? (uint16_t)(d - devs - FIRST_RAW) : 0,
		.ops = raw ? &raw_ops : &dev_ops,
		.ctx = d,
	};

	if (!d->ch && vmbus_chan_offer(s, &cfg, &d->ch) < 0)
		d->ch = NULL;
}

static void device_acts(struct dev *d, uint8_t what)
{
	if (!d->ch) {
		offer(d);
	} else if (d->opening) {
		d->opening = false;
		d->open = what & 1;
		if (!d->open)
			let_go(d);
		vmbus_chan_open_done(d->ch, what & 1 ? 0 : -1);
	} else if (d->closing) {
		d->closing = false;
		let_go(d);
		vmbus_chan_close_done(d->ch);
	} else if (d->moving) {
		d->moving = false;
		vmbus_chan_retarget_done(d->ch, &d->io.irq);
	} else if ((what & 7) == 0) {
		d->open = false;
		let_go(d);
		vmbus_chan_revoke(d->ch);
	}
}

/* A message: type and small ids first, then what the input has. */
static void client_sends(struct rd *in)
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
	vmbus_server_message(s, type & 1, copy, len);
	free(copy);
}

/* What a well-behaved client sends, so that the state space behind it is reached. */
static void client_behaves(struct rd *in)
{
	const uint8_t what = rd_u8(in), chan = rd_u8(in) % 8;
	const struct vmbus_contact c = { .h.type = VMBUS_INITIATE_CONTACT,
					 .version = VMBUS_COPPER,
					 .sint = 2,
					 .vtl = 2,
					 .target_vp = what >> 7,
					 .features = VMBUS_FEAT_PAUSE_RESUME };
	const struct vmbus_msg_header h = { .type = what & 8 ? VMBUS_REQUEST_OFFERS
							     : VMBUS_UNLOAD };
	struct vmbus_gpadl_header g = { .h.type = VMBUS_GPADL_HEADER,
					.chan_id = chan,
					.gpadl = chan,
					.range_bytes = 40,
					.range_count = 1 };
	const struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL,
				      .chan_id = chan,
				      .ring_gpadl = chan,
				      .downstream_page = 2 };
	const struct vmbus_modify mod = { .h.type = VMBUS_MODIFY_CHANNEL,
					  .chan_id = chan,
					  .target_vp = what >> 7 };

	switch (what & 3) {
	case 0:
		vmbus_server_message(s, true, &c, sizeof(c));
		break;
	case 1:
		vmbus_server_message(s, true, &h, sizeof(h));
		break;
	case 2:
		memcpy(g.data, &(uint64_t){ 4 * KEEL_PAGE_SIZE }, 8);
		for (uint64_t i = 0; i < 4; i++)
			memcpy(g.data + 8 + 8 * i,
			       &(uint64_t){ BASE / KEEL_PAGE_SIZE + chan * 4u % 28 + i }, 8);
		vmbus_server_message(s, true, &g, 60);
		break;
	case 3:
		if (what & 4)
			vmbus_server_message(s, true, &mod, sizeof(mod));
		else
			vmbus_server_message(s, true, &o, VMBUS_OPEN_V1_SIZE);
		break;
	}
}

static void poke_memory(struct rd *in)
{
	const uint32_t at = rd_le32(in) % (MEM_PAGES * KEEL_PAGE_SIZE - 16);
	const uint8_t *bytes = rd_bytes(in, 16);

	if (bytes)
		memcpy(mem + (at & ~7u), bytes, 16);
}

static void setup(void)
{
	const struct vmbus_server_cfg cfg = { .gm = gm,
					      .ops = &server_ops,
					      .vtl = 2,
					      .reply_vtl = 2,
					      .reply_sint = VMBUS_SINT,
					      .message_id = 0x800024,
					      .max_version = VMBUS_COPPER,
					      .features = VMBUS_FEAT_PAUSE_RESUME |
							  VMBUS_FEAT_MODIFY_CONNECTION |
							  VMBUS_FEAT_GUEST_SIGNAL_PARAMS,
					      .vps = 2 };

	memset(devs, 0, sizeof(devs));
	memset(ports, 0, sizeof(ports));
	memset(mem, 0, MEM_PAGES * KEEL_PAGE_SIZE);
	defer = false;
	BUG_ON(vmbus_server_create(&cfg, &s) < 0);
	for (int i = 0; i < MAX_DEVS; i++)
		offer(&devs[i]);
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

		switch (op % 6) {
		case 0:
			client_sends(&in);
			break;
		case 1:
		case 2:
			client_behaves(&in);
			break;
		case 3:
			vmbus_server_signal(s, rd_u8(&in) % 8);
			loop_poll(loop);
			break;
		case 4:
			device_acts(&devs[op / 6 % MAX_DEVS], rd_u8(&in));
			break;
		case 5:
			defer = op & 0x80;
			poke_memory(&in);
			break;
		}
	}
	for (int i = 0; i < MAX_DEVS; i++) {
		gpn_t pages[4];

		let_go(&devs[i]);
		BUG_ON(devs[i].ch && vmbus_chan_gpadl(devs[i].ch, (uint32_t)i, pages, 4) > 0xffff);
		vmbus_chan_destroy(devs[i].ch);
	}
	vmbus_server_destroy(s);
	return 0;
}
