/* SPDX-License-Identifier: MIT */
/*
 * The VPCI server against a client that is the input: packets of any content, accesses to the
 * window and the BARs, retargets. Whatever comes, every request that wants an answer gets one, and
 * at the end an honest successor on the same channel is served.
 */
#include "fuzz.h"

#include "bug.h"
#include "loop.h"
#include "rd.h"
#include "vmguest.h"
#include "vpci.h"
#include "vpci_proto.h"

#include <errno.h>
#include <string.h>

#define WINDOW 0xf8000000ull
#define BAR 0x4000000000ull

static struct vmguest g;
static struct vmguest_chan *c;
static struct loop *loop;
static struct pci_func *func;
static struct vpci *v;
static unsigned asked, answered;

static const uint32_t apics[4] = { 0, 1, 2, 300 };

static uint64_t bar_read(void *ctx, unsigned bar, uint64_t off, unsigned size)
{
	return 0;
}

static void bar_write(void *ctx, unsigned bar, uint64_t off, unsigned size, uint64_t val)
{
	pci_func_msix(func, (unsigned)val & 7);
}

static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	/* What comes out is always a proper message to one of the processors. */
	BUG_ON(addr >> 20 != 0xfee || (data & 0xff) < 16);
}

static const struct pci_func_ops ops = { .bar_read = bar_read, .bar_write = bar_write };

static void setup(void)
{
	const struct pci_func_cfg pci = { .name = "dev",
					  .vendor = 0x1414,
					  .device = 1,
					  .bar_size = { 0x10000, 0, 0, 0, 0x1000 },
					  .bar_64 = { true },
					  .msix_vectors = 8,
					  .msix_bar = 4,
					  .ops = &ops,
					  .msi = { .deliver = deliver } };
	struct vpci_cfg cfg = { .instance = { .d1 = 1 }, .vps = 4, .apic_ids = apics };

	if (!loop)
		BUG_ON(loop_create(8, &loop) < 0 || pci_func_create(&pci, &func) < 0);
	vmguest_init(&g, VMBUS_IRON, 0);
	cfg.server = g.server;
	cfg.loop = loop;
	cfg.func = func;
	BUG_ON(vpci_create(&cfg, &v) < 0);
	vmguest_contact(&g, VMBUS_IRON, 0);
	BUG_ON(vmguest_offers(&g) != 1);
	c = &g.chans[0];
	BUG_ON(!vmguest_open(&g, c, 5));
	asked = answered = 0;
}

static void drain(void)
{
	static uint8_t buf[16384];
	const struct iovec iov = { buf, sizeof(buf) };
	struct ring_pkt pkt;
	bool signal;

	while (ring_get(&c->pipe.in, &pkt, &iov, 1) == 0) {
		answered += pkt.type == VMPKT_COMPLETION;
		BUG_ON(ring_in_commit(&c->pipe.in, &signal) < 0);
		c->host_signal |= signal;
	}
	if (ring_in_arm(&c->pipe.in) == 1)
		c->guest_signal = true;
}

static void step(void)
{
	for (int i = 0; i < 100 && (c->host_signal || c->guest_signal || loop_pending(loop)); i++) {
		vmguest_step(&g);
		loop_poll(loop);
		drain();
	}
}

static void send(const void *msg, size_t len, bool completion)
{
	const struct iovec iov = { (void *)(uintptr_t)msg, len };
	bool signal;

	if (ring_put(&c->pipe.out, VMPKT_INBAND, completion, 7, &iov, 1) < 0)
		return;
	BUG_ON(ring_out_commit(&c->pipe.out, &signal) < 0);
	c->host_signal |= signal;
	asked += completion;
}

/* A message: a type that mostly exists, a slot that is mostly right, anything behind it. */
static void message(struct rd *in)
{
	uint8_t msg[512] = { 0 };
	const uint8_t type = rd_u8(in), how = rd_u8(in);
	const size_t n = MIN(in->left, how & 0x3f ? (how & 0x3f) * 8u : 0);
	const uint8_t *bytes = rd_bytes(in, MIN(n, sizeof(msg) - 8));

	le32_store(msg, 0x42490000 + (type & 0x7f));
	if (type & 0x80)
		le32_store(msg, 0x42490013);
	if (bytes)
		memcpy(msg + 8, bytes, MIN(n, sizeof(msg) - 8));
	if ((how & 0xc0) == 0xc0)
		le32_store(msg + 4, rd_le32(in));
	if (type & 0x80)
		le32_store(msg + 4, 0x10000 + (type & 7));
	send(msg, 8 + MIN(n, sizeof(msg) - 8), how & 0x40);
}

static void access_memory(struct rd *in)
{
	static const uint64_t places[] = { WINDOW, WINDOW + 0x1000, BAR, BAR + 0x100000 };
	const uint8_t how = rd_u8(in);
	const uint64_t addr = places[how & 3] + (rd_le16(in) & 0x1fff);
	const unsigned size = 1u << (how >> 2 & 3);
	uint64_t val;

	if (how & 0x10)
		(void)vpci_mmio_write(v, addr, size, rd_le32(in));
	else
		(void)vpci_mmio_read(v, addr, size, &val);
}

static void retarget(struct rd *in)
{
	const uint32_t vps[2] = { rd_u8(in) & 7, 1 };
	const uint32_t data = rd_le32(in);
	int r = vpci_retarget(v, rd_u8(in) & 7 ? 0 : 1, 0xfee00000, data & 0x3001f, rd_u8(in), vps,
			      data >> 31);

	BUG_ON(r != 0 && r != -ENOENT && r != -EINVAL);
}

/* The channel is closed and opened again; what came before must not matter. */
static void successor(void)
{
	const struct vmbus_chan_msg m = { .h.type = VMBUS_CLOSE_CHANNEL, .chan_id = c->id };
	const struct vpci_version_msg q = { VPCI_QUERY_VERSION, VPCI_FE };

	vmguest_send(&g, &m, sizeof(m));
	while (vmguest_take(&g))
		;
	c->host_signal = false;
	c->guest_signal = false;
	BUG_ON(!vmguest_open(&g, c, 5));
	asked = answered = 0;
	send(&q, sizeof(q), true);
	step();
	BUG_ON(answered != 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);

	setup();
	while (in.left && !in.bad) {
		switch (rd_u8(&in) % 5) {
		case 0:
		case 1:
			message(&in);
			break;
		case 2:
			access_memory(&in);
			break;
		case 3:
			retarget(&in);
			break;
		case 4:
			step();
			break;
		}
	}
	step();
	BUG_ON(answered != asked);
	successor();
	vpci_destroy(v, NULL, NULL);
	vmbus_server_reset(g.server);
	loop_poll(loop);
	vmguest_fini(&g);
	return 0;
}
