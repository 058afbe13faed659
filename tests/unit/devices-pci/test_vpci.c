/* SPDX-License-Identifier: MIT */
#include "inspect_get.h"
#include "le.h"
#include "loop.h"
#include "vmguest.h"
#include "vpci.h"
#include "vpci_proto.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

#define WINDOW 0xf8000000ull

static struct vmguest g;
static struct vmguest_chan *c;
static struct loop *loop;
static struct pci_func *func;
static struct vpci *v;
static unsigned msgs, resets, done;
static uint64_t msg_addr;
static uint32_t msg_data;
static uint64_t next_tx;

static const struct guid instance = GUID_INIT(0x11111111, 0x2222, 0x333f, 1, 2, 3, 4, 5, 6, 7, 8);
static const uint32_t apics[3] = { 0, 4, 0x123 };

static uint64_t bar_read(void *ctx, unsigned bar, uint64_t off, unsigned size)
{
	return 0x5a;
}

static void bar_write(void *ctx, unsigned bar, uint64_t off, unsigned size, uint64_t val)
{
}

static void reset(void *ctx)
{
	resets++;
}

static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	msgs++;
	msg_addr = addr;
	msg_data = data;
}

static void is_done(void *ctx)
{
	done++;
}

static const struct pci_func_ops ops = { .bar_read = bar_read,
					 .bar_write = bar_write,
					 .reset = reset };

static void setup_ring(uint32_t pages)
{
	const struct pci_func_cfg pci = { .name = "dev",
					  .vendor = 0x1414,
					  .device = 0xc03e,
					  .sub_class = 8,
					  .base_class = 1,
					  .prog_if = 2,
					  .sub_vendor = 0x1414,
					  .sub_device = 9,
					  .bar_size = { 0x10000, 0, 0, 0, 0x1000 },
					  .bar_64 = { true },
					  .msix_vectors = 8,
					  .msix_bar = 4,
					  .ops = &ops,
					  .msi = { .deliver = deliver } };
	struct vpci_cfg cfg = { .instance = instance, .serial = 0x77, .vps = 3, .apic_ids = apics };

	vmguest_init(&g, VMBUS_COPPER, 0);
	ck_assert_int_eq(loop_create(64, &loop), 0);
	ck_assert_int_eq(pci_func_create(&pci, &func), 0);
	cfg.server = g.server;
	cfg.loop = loop;
	cfg.func = func;
	ck_assert_int_eq(vpci_create(&cfg, &v), 0);
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	c = vmguest_find(&g, &(struct guid)VPCI_INTERFACE_GUID);
	ck_assert_ptr_nonnull(c);
	ck_assert(vmguest_open(&g, c, pages));
	next_tx = 1;
	msgs = resets = done = 0;
}

static void setup(void)
{
	setup_ring(5);
}

static void fini(void)
{
	if (v)
		vpci_destroy(v, is_done, NULL);
	vmbus_server_reset(g.server);
	loop_poll(loop);
	if (v)
		ck_assert_uint_eq(done, 1);
	pci_func_destroy(func);
	loop_destroy(loop);
	vmguest_fini(&g);
}

static void send(const void *msg, size_t len, bool completion)
{
	const struct iovec iov = { (void *)(uintptr_t)msg, len };
	bool signal;

	ck_assert_int_eq(ring_put(&c->pipe.out, VMPKT_INBAND, completion, next_tx++, &iov, 1), 0);
	ck_assert_int_eq(ring_out_commit(&c->pipe.out, &signal), 0);
	c->host_signal |= signal;
	vmguest_step(&g);
	loop_poll(loop);
}

/* The next packet for the guest: its type and payload; 0: none. */
static uint16_t receive(uint64_t *ret_tx, uint8_t ret_buf[8192], uint32_t *ret_len)
{
	const struct iovec iov = { ret_buf, 8192 };
	struct ring_pkt pkt;
	bool signal;
	int r = ring_get(&c->pipe.in, &pkt, &iov, 1);

	if (r == -EAGAIN)
		r = ring_in_arm(&c->pipe.in) == 1 ? ring_get(&c->pipe.in, &pkt, &iov, 1) : r;
	if (r == -EAGAIN)
		return 0;
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(ring_in_commit(&c->pipe.in, &signal), 0);
	c->host_signal |= signal;
	*ret_tx = pkt.txid;
	*ret_len = pkt.len;
	return pkt.type;
}

/* Ask and get the completion, which must have exactly this many bytes. */
static const uint8_t *ask(const void *msg, size_t len, size_t want)
{
	static uint8_t buf[8192];
	const uint64_t tx = next_tx;
	uint64_t got_tx;
	uint32_t got;

	send(msg, len, true);
	ck_assert_uint_eq(receive(&got_tx, buf, &got), VMPKT_COMPLETION);
	ck_assert_uint_eq(got_tx, tx);
	ck_assert_uint_eq(got, (want + 7) / 8 * 8);
	return buf;
}

static uint32_t ask_status(const void *msg, size_t len)
{
	return le32_load(ask(msg, len, 4));
}

static uint32_t ask_version(uint32_t version)
{
	const struct vpci_version_msg m = { VPCI_QUERY_VERSION, version };

	return le32_load(ask(&m, sizeof(m), 8));
}

static void expect_relations(bool v2)
{
	static uint8_t buf[8192];
	struct vpci_relations2 *m = (void *)buf;
	uint64_t tx;
	uint32_t len;

	ck_assert_uint_eq(receive(&tx, buf, &len), VMPKT_INBAND);
	ck_assert_uint_eq(tx, 0);
	ck_assert_uint_eq(len, v2 ? 40 : 32);
	ck_assert_uint_eq(m->v1.type, v2 ? VPCI_BUS_RELATIONS2 : VPCI_BUS_RELATIONS);
	ck_assert_uint_eq(m->v1.count, 1);
	ck_assert_uint_eq(m->v1.id.vendor, 0x1414);
	ck_assert_uint_eq(m->v1.id.device, 0xc03e);
	ck_assert_uint_eq(m->v1.id.base_class, 1);
	ck_assert_uint_eq(m->v1.id.sub_device, 9);
	ck_assert_uint_eq(m->v1.slot, 0);
	ck_assert_uint_eq(m->v1.serial, 0x77);
	if (v2)
		ck_assert_uint_eq(m->flags, 0);
}

static void d0_entry(bool v2)
{
	const struct vpci_d0_entry m = { .type = VPCI_D0_ENTRY, .window = WINDOW };
	static uint8_t buf[8192];
	uint64_t tx;
	uint32_t len;

	send(&m, sizeof(m), true);
	expect_relations(v2);
	ck_assert_uint_eq(receive(&tx, buf, &len), VMPKT_COMPLETION);
	ck_assert_uint_eq(le32_load(buf), VPCI_OK);
}

static void ready(void)
{
	ck_assert_uint_eq(ask_version(VPCI_FE), VPCI_OK);
	d0_entry(true);
}

static uint32_t cfg(unsigned off, unsigned size)
{
	uint64_t val;

	ck_assert(vpci_mmio_write(v, WINDOW, 4, 0));
	ck_assert(vpci_mmio_read(v, WINDOW + 0x1000 + off, size, &val));
	return (uint32_t)val;
}

static void cfg_write(unsigned off, unsigned size, uint32_t val)
{
	ck_assert(vpci_mmio_write(v, WINDOW + 0x1000 + off, size, val));
}

START_TEST(versions)
{
	static const uint32_t bad[] = { 0x10000, 0x10006, 0x20000, 0, UINT32_MAX };
	const uint32_t early[] = { VPCI_D0_EXIT };

	setup();
	/* nothing before the version */
	ck_assert_uint_eq(ask_status(early, sizeof(early)), VPCI_BAD_DATA);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_uint_eq(ask_version(bad[i]), VPCI_REVISION_MISMATCH);
	ck_assert_uint_eq(ask_version(VPCI_WIN10), VPCI_OK);
	ck_assert_uint_eq(ask_status(&(struct vpci_version_msg){ VPCI_QUERY_VERSION, VPCI_FE }, 8),
			  VPCI_BAD_DATA);
	d0_entry(false);
	fini();
}
END_TEST

/* What Linux does, in its order. */
START_TEST(linux_conversation)
{
	const struct vpci_slot_msg req = { VPCI_RESOURCE_REQUIREMENTS, 0 };
	const uint32_t query = VPCI_QUERY_BUS_RELATIONS;
	uint8_t assigned[202] = { 0 };
	struct {
		struct vpci_slot_msg h;
		struct vpci_msi3 m;
	} create = { { VPCI_CREATE_INTERRUPT3, 0 },
		     { .vector = 0x41, .count = 1, .n_procs = 1, .procs = { 1 } } };
	const struct vpci_create_reply *cr;
	struct vpci_delete del = { { VPCI_DELETE_INTERRUPT, 0 }, { 0 } };
	const uint8_t *rsp;
	const uint32_t vps[] = { 2 };
	struct vpci_remapped first;
	uint64_t val;

	setup();
	ready();
	send(&query, sizeof(query), false);
	expect_relations(true);
	rsp = ask(&req, sizeof(req), 28);
	ck_assert_uint_eq(le32_load(rsp), 0);
	ck_assert_uint_eq(le32_load(rsp + 4), 0xffff0004);
	ck_assert_uint_eq(le32_load(rsp + 8), 0xffffffff);
	ck_assert_uint_eq(le32_load(rsp + 20), 0xfffff000);
	le32_store(assigned, VPCI_ASSIGNED_RESOURCES2);
	rsp = ask(assigned, sizeof(assigned), 136);
	ck_assert_uint_eq(le32_load(rsp), 0);
	/* configuration through the window */
	ck_assert_uint_eq(cfg(0, 4), 0xc03e1414);
	ck_assert(vpci_mmio_read(v, WINDOW + 0x1000, 8, &val));
	ck_assert_uint_eq(val, 0x00100000c03e1414);
	cfg_write(0x10, 4, 0);
	cfg_write(0x14, 4, 0x10);
	cfg_write(0x20, 4, 0xf8010000);
	cfg_write(4, 2, 6);
	ck_assert(vpci_mmio_read(v, 0x1000000000, 4, &val));
	ck_assert_uint_eq(val, 0x5a);
	ck_assert(!vpci_mmio_read(v, 0x2000000000, 4, &val));
	/* an interrupt */
	cr = (const void *)ask(&create, 8 + 74, sizeof(*cr));
	ck_assert_uint_eq(cr->status, 0);
	ck_assert_uint_eq(cr->msi.count, 1);
	first = cr->msi;
	ck_assert(vpci_mmio_write(v, 0xf8010000, 8, first.addr));
	ck_assert(vpci_mmio_write(v, 0xf8010008, 8, first.data));
	cfg_write(0x42, 2, 0x8000);
	pci_func_msix(func, 0);
	ck_assert_uint_eq(msgs, 1);
	ck_assert_uint_eq(msg_addr, 0xfee04000);
	ck_assert_uint_eq(msg_data & 0xff, 0x41);
	/* moved to a processor with a long APIC id */
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, first.addr, first.data, 0x52, vps, 1), 0);
	pci_func_msix(func, 0);
	ck_assert_uint_eq(msg_addr, 0xfee23020);
	ck_assert_uint_eq(msg_data & 0xff, 0x52);
	del.msi = first;
	ck_assert_uint_eq(ask_status(&del, sizeof(del)), 0);
	pci_func_msix(func, 0);
	ck_assert_uint_eq(msgs, 2);
	ck_assert_uint_eq(ask_status(&(uint32_t){ VPCI_D0_EXIT }, 4), 0);
	ck_assert(!vpci_mmio_read(v, WINDOW, 4, &val));
	ck_assert(!vpci_mmio_read(v, 0x1000000000, 4, &val));
	fini();
}
END_TEST

START_TEST(window)
{
	uint64_t val;

	setup();
	ck_assert_uint_eq(ask_version(VPCI_FE), VPCI_OK);
	ck_assert(!vpci_mmio_read(v, WINDOW, 4, &val));
	/* unaligned, wrapping: refused */
	ck_assert_uint_eq(ask_status(&(struct vpci_d0_entry){ VPCI_D0_ENTRY, 0, WINDOW + 8 }, 16),
			  VPCI_BAD_DATA);
	ck_assert_uint_eq(ask_status(&(struct vpci_d0_entry){ VPCI_D0_ENTRY, 0,
							      UINT64_MAX - 0xfff },
				     16),
			  VPCI_BAD_DATA);
	d0_entry(true);
	ck_assert(vpci_mmio_write(v, WINDOW, 4, 0x21));
	ck_assert(vpci_mmio_read(v, WINDOW, 4, &val) && val == 0x21);
	ck_assert(vpci_mmio_read(v, WINDOW + 0x1000, 4, &val) && val == 0xffffffff);
	ck_assert(vpci_mmio_write(v, WINDOW + 0x1004, 2, 6));
	ck_assert(vpci_mmio_write(v, WINDOW, 4, 0));
	ck_assert(vpci_mmio_read(v, WINDOW + 0x1004, 2, &val) && val == 0);
	ck_assert(vpci_mmio_read(v, WINDOW + 0x1ffc, 4, &val));
	ck_assert(!vpci_mmio_read(v, WINDOW + 0x1ffc, 8, &val));
	ck_assert(!vpci_mmio_read(v, WINDOW - 4, 4, &val));
	/* again, elsewhere: a successor of the client does that */
	ck_assert_uint_eq(cfg(0, 2), 0x1414);
	d0_entry(true);
	fini();
}
END_TEST

START_TEST(interrupts_of_every_version)
{
	struct {
		struct vpci_slot_msg h;
		struct vpci_msi m;
	} v1 = { { VPCI_CREATE_INTERRUPT, 0 }, { .vector = 0x31, .count = 1, .mask = UINT64_MAX } };
	struct {
		struct vpci_slot_msg h;
		struct vpci_msi2 m;
	} v2 = { { VPCI_CREATE_INTERRUPT2, 0 },
		 { .vector = 0x31, .count = 1, .n_procs = 1, .procs = { 2 } } };
	const struct vpci_create_reply *cr;
	struct vpci_remapped a, b;
	const uint32_t bad_vp[] = { 3 }, vp[] = { 0 };

	setup();
	ready();
	cr = (const void *)ask(&v1, sizeof(v1), sizeof(*cr));
	ck_assert_uint_eq(cr->status, 0);
	a = cr->msi;
	cr = (const void *)ask(&v2, sizeof(v2), sizeof(*cr));
	ck_assert_uint_eq(cr->status, 0);
	b = cr->msi;
	ck_assert(a.data != b.data);
	v1.m.mask = 0x8; /* not there */
	ck_assert_uint_eq(ask_status(&v1, sizeof(v1)), VPCI_BAD_DATA);
	v1.m = (struct vpci_msi){ .vector = 0x31, .count = 2, .mask = 1 };
	ck_assert_uint_eq(ask_status(&v1, sizeof(v1)), VPCI_BAD_DATA);
	v2.m.n_procs = 33;
	ck_assert_uint_eq(ask_status(&v2, sizeof(v2)), VPCI_BAD_DATA);
	v2.m.n_procs = 0;
	ck_assert_uint_eq(ask_status(&v2, sizeof(v2)), VPCI_BAD_DATA);
	v2.m.n_procs = 1;
	v2.m.mode = 2;
	ck_assert_uint_eq(ask_status(&v2, sizeof(v2)), VPCI_BAD_DATA);
	/* retargets that name nothing */
	ck_assert_int_eq(vpci_retarget(v, 0x22223339, a.addr, a.data, 0x40, vp, 1), -ENOENT);
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, a.addr, a.data + 9, 0x40, vp, 1), -ENOENT);
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, a.addr + 4, a.data, 0x40, vp, 1), -ENOENT);
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, a.addr, a.data, 0x40, bad_vp, 1), -EINVAL);
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, a.addr, a.data, 0x40, vp, 0), -EINVAL);
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, a.addr, a.data, 15, vp, 1), -EINVAL);
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, a.addr, a.data, 256, vp, 1), -EINVAL);
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, b.addr, b.data, 0x40, vp, 1), 0);
	/* the table is finite, deleting makes room, a deleted message stays deleted */
	v2.m.mode = 0;
	for (int i = 0; i < 126; i++)
		ck_assert_uint_eq(le32_load(ask(&v2, sizeof(v2), sizeof(*cr))), 0);
	ck_assert_uint_eq(ask_status(&v2, sizeof(v2)), VPCI_BAD_DATA);
	ck_assert_uint_eq(ask_status(&(struct vpci_delete){ { VPCI_DELETE_INTERRUPT2, 0 }, a },
				     sizeof(struct vpci_delete)),
			  0);
	ck_assert_uint_eq(ask_status(&(struct vpci_delete){ { VPCI_DELETE_INTERRUPT2, 0 }, a },
				     sizeof(struct vpci_delete)),
			  VPCI_BAD_DATA);
	cr = (const void *)ask(&v2, sizeof(v2), sizeof(*cr));
	ck_assert_uint_eq(cr->status, 0);
	ck_assert_uint_eq(cr->msi.data & 0xffff, a.data & 0xffff);
	ck_assert_int_eq(vpci_retarget(v, 0x22223338, a.addr, a.data, 0x40, vp, 1), -ENOENT);
	fini();
}
END_TEST

/* Resources the way Windows gives them: BARs and messages at once. */
START_TEST(assigned_resources)
{
	static const struct {
		uint32_t type;
		size_t in, out;
	} kinds[] = { { VPCI_ASSIGNED_RESOURCES, 16, 16 },
		      { VPCI_ASSIGNED_RESOURCES2, 72, 72 },
		      { VPCI_ASSIGNED_RESOURCES3, 80, 72 } };
	uint8_t buf[136 + 3 * 80] = { 0 };
	struct vpci_assigned *m = (void *)buf;
	const struct vpci_resource_list *list;
	const uint8_t *rsp;
	uint64_t val;

	setup();
	ready();
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		memset(buf, 0, sizeof(buf));
		m->type = kinds[k].type;
		m->bar[0] =
			(struct vpci_resource){ .type = 3, .addr = 0x2000000000, .len = 0x10000 };
		m->bar[4] = (struct vpci_resource){ .type = 3, .addr = 0xf8020000, .len = 0x1000 };
		m->n_msi = 3;
		for (size_t i = 0; i < 3; i++) {
			uint8_t *at = buf + 136 + i * kinds[k].in;

			if (k == 0)
				*(struct vpci_msi *)(void *)at =
					(struct vpci_msi){ .vector = 0x50, .count = 1, .mask = 2 };
			else if (k == 1)
				*(struct vpci_msi2 *)(void *)at = (struct vpci_msi2){
					.vector = 0x50, .count = 1, .n_procs = 1, .procs = { 1 }
				};
			else
				*(struct vpci_msi3 *)(void *)at = (struct vpci_msi3){
					.vector = 0x50, .count = 1, .n_procs = 1, .procs = { 1 }
				};
		}
		rsp = ask(buf, 136 + 3 * kinds[k].in, 136 + 3 * kinds[k].out);
		ck_assert_uint_eq(le32_load(rsp), 0);
		ck_assert_uint_eq(le32_load(rsp + 128), 3);
		for (size_t i = 0; i < 3; i++) {
			const struct vpci_remapped *r =
				(const void *)(rsp + 136 + i * kinds[k].out);

			ck_assert_uint_eq(r->count, 1);
			ck_assert_uint_eq(r->addr, 0xfee00000);
		}
		ck_assert_uint_eq(ask_status(&(struct vpci_slot_msg){ VPCI_RELEASE_RESOURCES, 0 },
					     8),
				  0);
	}
	ck_assert_uint_eq(ask_status(&(struct vpci_power_msg){ { VPCI_POWER_STATE_CHANGE, 0 }, 1 },
				     12),
			  0);
	ck_assert(vpci_mmio_read(v, 0x2000000000, 4, &val));
	list = (const void *)ask(&(struct vpci_slot_msg){ VPCI_GET_RESOURCES, 0 }, 8, 128);
	ck_assert_uint_eq(list->version, 1);
	ck_assert_uint_eq(list->count, 6);
	ck_assert_uint_eq(list->bar[0].addr, 0x2000000000);
	ck_assert_uint_eq(list->bar[0].len, 0x10000);
	ck_assert_uint_eq(list->bar[1].type, 0);
	ck_assert_uint_eq(list->bar[4].addr, 0xf8020000);
	ck_assert_uint_eq(ask_status(&(struct vpci_power_msg){ { VPCI_POWER_STATE_CHANGE, 0 }, 4 },
				     12),
			  0);
	ck_assert(!vpci_mmio_read(v, 0x2000000000, 4, &val));
	ck_assert_uint_eq(ask_status(&(struct vpci_power_msg){ { VPCI_POWER_STATE_CHANGE, 0 }, 2 },
				     12),
			  VPCI_BAD_DATA);
	fini();
}
END_TEST

START_TEST(assigned_nonsense)
{
	uint8_t buf[136 + 3 * 80] = { 0 };
	struct vpci_assigned *m = (void *)buf;

	setup();
	ready();
	m->type = VPCI_ASSIGNED_RESOURCES3;
	m->bar[0] = (struct vpci_resource){ .type = 3, .addr = 0x2000000000, .len = 0x10000 };
	m->n_msi = 4; /* more than there are */
	ck_assert_uint_eq(ask_status(buf, sizeof(buf)), VPCI_BAD_DATA);
	m->n_msi = UINT32_MAX;
	ck_assert_uint_eq(ask_status(buf, sizeof(buf)), VPCI_BAD_DATA);
	m->n_msi = 0;
	m->bar[0].addr = 0x2000001000;
	ck_assert_uint_eq(ask_status(buf, sizeof(buf)), VPCI_BAD_DATA);
	m->bar[0].addr = 0;
	m->bar[0].len = 0x20000;
	ck_assert_uint_eq(ask_status(buf, sizeof(buf)), VPCI_BAD_DATA);
	m->bar[0].len = 0;
	m->bar[4] = (struct vpci_resource){ .type = 3, .addr = 0x1f8020000, .len = 0x1000 };
	ck_assert_uint_eq(ask_status(buf, sizeof(buf)), VPCI_BAD_DATA);
	m->bar[4] = (struct vpci_resource){ .type = 7, .len = 1 };
	ck_assert_uint_eq(ask_status(buf, sizeof(buf)), VPCI_BAD_DATA);
	m->bar[4] = (struct vpci_resource){ 0 };
	m->bar[1] = (struct vpci_resource){ .type = 3, .len = 4096 };
	ck_assert_uint_eq(ask_status(buf, sizeof(buf)), VPCI_BAD_DATA);
	fini();
}
END_TEST

START_TEST(bad_requests_are_answered)
{
	static const uint8_t junk[64] = { 1, 2, 3 };
	const struct vpci_slot_msg slot = { VPCI_RESOURCE_REQUIREMENTS, 0x20 };

	setup();
	ready();
	ck_assert_uint_eq(ask_status(junk, sizeof(junk)), VPCI_BAD_DATA);
	ck_assert_uint_eq(ask_status(junk, 0), VPCI_BAD_DATA);
	ck_assert_uint_eq(ask_status(&slot, sizeof(slot)), VPCI_BAD_DATA);
	ck_assert_uint_eq(ask_status(&(struct vpci_slot_msg){ VPCI_CREATE_INTERRUPT3, 0 }, 8),
			  VPCI_BAD_DATA);
	ck_assert_uint_eq(ask_status(&(struct vpci_slot_msg){ VPCI_READ_BLOCK, 0 }, 8),
			  VPCI_NOT_SUPPORTED);
	ck_assert_uint_eq(ask_status(&(struct vpci_slot_msg){ VPCI_RESET_DEVICE, 0 }, 8),
			  VPCI_NOT_SUPPORTED);
	ck_assert_uint_eq(ask_status(&(struct vpci_slot_msg){ VPCI_EJECT_COMPLETE, 0 }, 8),
			  VPCI_BAD_DATA);
	ck_assert_uint_eq(ask_status(&(struct vpci_slot_msg){ VPCI_BUS_RELATIONS, 0 }, 8),
			  VPCI_BAD_DATA);
	/* and without a wish for an answer there is none */
	send(junk, sizeof(junk), false);
	{
		static uint8_t buf[8192];
		uint64_t tx;
		uint32_t len;

		ck_assert_uint_eq(receive(&tx, buf, &len), 0);
	}
	ck_assert_uint_eq(cfg(0, 2), 0x1414);
	ck_assert_str_eq(inspect_get(vpci_inspect, v, "bad_requests"), "9");
	fini();
}
END_TEST

/* A client that does not read its answers: no more requests are taken, nothing is lost. */
START_TEST(answers_wait_for_room)
{
	const struct vpci_slot_msg req = { VPCI_RESOURCE_REQUIREMENTS, 0 };
	const struct iovec iov = { (void *)(uintptr_t)&req, sizeof(req) };
	static uint8_t buf[8192];
	unsigned sent = 0, got = 0;
	uint64_t tx;
	uint32_t len;
	bool signal;
	int r;

	setup_ring(2);
	ready();
	while (got < 1000) {
		while (sent < 1000) {
			r = ring_put(&c->pipe.out, VMPKT_INBAND, true, 100 + sent, &iov, 1);
			if (r == -EAGAIN)
				break;
			ck_assert_int_eq(r, 0);
			sent++;
			ck_assert_int_eq(ring_out_commit(&c->pipe.out, &signal), 0);
			c->host_signal |= signal;
			vmguest_step(&g);
		}
		loop_poll(loop);
		while (receive(&tx, buf, &len)) {
			ck_assert_uint_eq(tx, 100 + got);
			ck_assert_uint_eq(len, 32);
			got++;
		}
		vmguest_step(&g);
	}
	fini();
}
END_TEST

START_TEST(close_stops_the_function)
{
	struct vmbus_chan_msg close = { .h.type = VMBUS_CLOSE_CHANNEL };
	uint64_t val;

	setup();
	close.chan_id = c->id;
	ready();
	cfg_write(4, 2, 6);
	vmguest_send(&g, &close, sizeof(close));
	ck_assert_uint_eq(resets, 1);
	ck_assert(!vpci_mmio_read(v, WINDOW, 4, &val));
	/* and again from the start */
	ck_assert(vmguest_open(&g, c, 5));
	ready();
	ck_assert_uint_eq(cfg(4, 2), 0);
	fini();
}
END_TEST

START_TEST(eject)
{
	static uint8_t buf[8192];
	const struct vmguest_msg *m;
	uint64_t tx;
	uint32_t len;

	setup();
	ready();
	vpci_eject(v, is_done, NULL);
	ck_assert_uint_eq(receive(&tx, buf, &len), VMPKT_INBAND);
	ck_assert_uint_eq(le32_load(buf), VPCI_EJECT);
	ck_assert_uint_eq(le32_load(buf + 4), 0);
	ck_assert_uint_eq(done, 0);
	send(&(struct vpci_slot_msg){ VPCI_EJECT_COMPLETE, 0 }, 8, false);
	m = vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	ck_assert_uint_eq(le32_load(m->raw + 8), c->id);
	ck_assert_uint_eq(done, 0);
	vmguest_send(&g, &(struct vmbus_chan_msg){ { VMBUS_RELID_RELEASED, 0 }, c->id },
		     sizeof(struct vmbus_chan_msg));
	loop_poll(loop);
	ck_assert_uint_eq(done, 1);
	v = NULL;
	fini();
}
END_TEST

START_TEST(destroy_at_once)
{
	setup();
	ready();
	vpci_eject(v, is_done, NULL); /* which the client ignores */
	vpci_destroy(v, is_done, NULL);
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	ck_assert_uint_ge(resets, 1);
	vmguest_send(&g, &(struct vmbus_chan_msg){ { VMBUS_RELID_RELEASED, 0 }, c->id },
		     sizeof(struct vmbus_chan_msg));
	loop_poll(loop);
	ck_assert_uint_eq(done, 1);
	v = NULL;
	fini();
}
END_TEST

UNIT_MAIN("devices-pci/vpci", versions, linux_conversation, window, interrupts_of_every_version,
	  assigned_resources, assigned_nonsense, bad_requests_are_answered, answers_wait_for_room,
	  close_stops_the_function, eject, destroy_at_once)
