/* SPDX-License-Identifier: MIT */
/* Functions behind a bus: where the guest puts them they answer; their messages can be moved. */
#include "hvcall.h"
#include "hvcall_retarget.h"
#include "inspect_get.h"
#include "le.h"
#include "loop.h"
#include "pci_func.h"
#include "pci_vtl0.h"
#include "vmguest.h"
#include "vpci_proto.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

#define WINDOW 0xf8000000ull
#define PLACE 0x4000000000ull

static struct vmguest g;
static struct loop *loop;
static struct bus *bus;
static struct pci_vtl0 *p;
static struct pci_func *func[2];
static unsigned msgs, gone;
static uint64_t msg_addr;
static uint32_t msg_data;

static const struct guid ids[2] = { { .d1 = 1, .d2 = 0x10 }, { .d1 = 2, .d2 = 0x20 } };
static const uint32_t apics[] = { 0, 2, 4 };

static uint64_t bar_read(void *ctx, unsigned bar, uint64_t off, unsigned size)
{
	return (uint64_t)(uintptr_t)ctx;
}

static void bar_write(void *ctx, unsigned bar, uint64_t off, unsigned size, uint64_t val)
{
}

static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	msgs++;
	msg_addr = addr;
	msg_data = data;
}

static void on_gone(void *ctx)
{
	gone++;
}

static const struct pci_func_ops ops = { .bar_read = bar_read, .bar_write = bar_write };

static void setup(void)
{
	struct pci_vtl0_cfg cfg = { .vps = 3, .apic_ids = apics };
	struct bus_rest rest;

	vmguest_init(&g, VMBUS_IRON, 0);
	ck_assert_int_eq(loop_create(16, &loop), 0);
	ck_assert_int_eq(bus_create(1, &bus), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	cfg.server = g.server;
	cfg.ctl = loop;
	ck_assert_int_eq(pci_vtl0_create(&cfg, &p), 0);
	rest = pci_vtl0_rest(p);
	bus_set_rest(bus, &rest);
	for (uintptr_t i = 0; i < 2; i++) {
		const struct pci_func_cfg pci = { .name = "dev",
						  .vendor = (uint16_t)(0x100 + i),
						  .bar_size = { 0x1000, 0, 0x1000 },
						  .bar_64 = { true },
						  .msix_vectors = 1,
						  .msix_bar = 2,
						  .ops = &ops,
						  .ctx = (void *)(i + 5),
						  .msi = { .deliver = deliver } };

		ck_assert_int_eq(pci_func_create(&pci, &func[i]), 0);
		ck_assert_int_eq(pci_vtl0_add(p, &ids[i], func[i]), 0);
	}
	ck_assert_int_eq(pci_vtl0_add(p, &ids[1], func[1]), -EEXIST);
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 2);
	msgs = gone = 0;
}

static void fini(void)
{
	for (int i = 0; i < 2; i++)
		ck_assert(pci_vtl0_remove(p, func[i], on_gone, NULL));
	ck_assert(!pci_vtl0_remove(p, func[0], on_gone, NULL));
	vmbus_server_reset(g.server);
	loop_poll(loop);
	ck_assert_uint_eq(gone, 2);
	pci_vtl0_destroy(p);
	bus_destroy(bus);
	for (int i = 0; i < 2; i++)
		pci_func_destroy(func[i]);
	loop_destroy(loop);
	vmguest_fini(&g);
}

/* The last completion of what was asked. */
static const uint8_t *ask(struct vmguest_chan *c, const void *msg, size_t len)
{
	static uint8_t buf[512];
	const struct iovec out = { (void *)(uintptr_t)msg, len }, in = { buf, sizeof(buf) };
	struct ring_pkt pkt = { 0 };
	bool signal;

	ck_assert_int_eq(ring_put(&c->pipe.out, VMPKT_INBAND, true, 1, &out, 1), 0);
	ck_assert_int_eq(ring_out_commit(&c->pipe.out, &signal), 0);
	vmbus_server_signal(g.server, c->id);
	while (pkt.type != VMPKT_COMPLETION)
		ck_assert_int_eq(ring_get(&c->pipe.in, &pkt, &in, 1), 0);
	ck_assert_int_eq(ring_in_commit(&c->pipe.in, &signal), 0);
	return buf;
}

static uint64_t rd(uint64_t addr, unsigned size)
{
	uint64_t val;

	bus_read(bus, BUS_MMIO, addr, size, 0, &val);
	return val;
}

/* A client on one of the channels, up to D0 with its window there. */
static struct vmguest_chan *start(unsigned i, uint64_t window)
{
	const struct vpci_version_msg ver = { VPCI_QUERY_VERSION, VPCI_VB };
	const struct vpci_d0_entry d0 = { VPCI_D0_ENTRY, 0, window };
	struct vmguest_chan *c = vmguest_find(&g, &ids[i]);

	ck_assert(vmguest_open(&g, c, 4));
	ck_assert_uint_eq(le32_load(ask(c, &ver, sizeof(ver))), 0);
	ck_assert_uint_eq(le32_load(ask(c, &d0, sizeof(d0))), 0);
	return c;
}

START_TEST(second_chance)
{
	struct bus_counts n;

	setup();
	ck_assert_uint_eq(rd(WINDOW + 0x1000, 4), 0xffffffff);
	(void)start(0, WINDOW);
	(void)start(1, WINDOW + 0x10000);
	ck_assert_uint_eq(rd(WINDOW + 0x1000, 2), 0x100);
	ck_assert_uint_eq(rd(WINDOW + 0x11000, 2), 0x101);
	bus_write(bus, BUS_MMIO, WINDOW + 0x11014, 4, 0, PLACE >> 32);
	bus_write(bus, BUS_MMIO, WINDOW + 0x11004, 2, 0, 6);
	ck_assert_uint_eq(rd(PLACE, 4), 6);
	ck_assert_uint_eq(rd(PLACE + 0x1000, 4), 0xffffffff);
	ck_assert_uint_eq(rd(PLACE, 3), 0xffffff); /* no such size */
	bus_stats(bus, &n);
	ck_assert_uint_eq(n.unclaimed[BUS_MMIO], 3);
	/* ports are somebody else's */
	bus_write(bus, BUS_PIO, 0, 1, 0, 0);
	fini();
}
END_TEST

static int on_retarget(void *ctx, uint64_t id, uint64_t addr, uint32_t data, uint32_t vector,
		       vpidx_t vp)
{
	return pci_vtl0_retarget(p, id, addr, data, vector, vp);
}

/* The hypercall, with a variable header of so many words. */
static uint16_t retarget(uint64_t id, uint32_t data, uint32_t flags, uint64_t mask,
			 const uint64_t *words, size_t n)
{
	const struct vcpu_env env = { .n_vps = 3, .retarget = on_retarget };
	const struct hv_retarget_in in = { .partition = HV_PARTITION_SELF,
					   .device_id = id,
					   .source = HV_RETARGET_SOURCE_MSI,
					   .address = 0xfee00000,
					   .data = data,
					   .vector = 0x55,
					   .flags = flags,
					   .mask = mask };
	uint8_t buf[sizeof(in) + 64];

	memcpy(buf, &in, sizeof(in));
	if (n)
		memcpy(buf + sizeof(in), words, n * 8);
	return hvcall_retarget(&env, buf, sizeof(in) + n * 8);
}

START_TEST(retargeting)
{
	struct {
		struct vpci_slot_msg h;
		struct vpci_msi2 m;
	} create = { { VPCI_CREATE_INTERRUPT2, 0 },
		     { .vector = 0x41, .count = 1, .n_procs = 1, .procs = { 1 } } };
	const struct vcpu_env nobody = { .n_vps = 3 };
	const struct vpci_create_reply *cr;
	const uint64_t set[] = { 1, 4 }, empty[] = { 0 }, far[] = { 1, 8 }, bank1[] = { 2, 1 };
	struct vmguest_chan *c;
	uint32_t data;

	setup();
	c = start(1, WINDOW);
	cr = (const void *)ask(c, &create, sizeof(create));
	ck_assert_uint_eq(cr->status, 0);
	data = cr->msi.data;
	ck_assert_uint_eq(retarget(0x200000, data, 0, 6, NULL, 0), HV_OK);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 0, set, 2), HV_OK);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 1, NULL, 0), HV_OK);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 0, set, 2), HV_OK);
	bus_write(bus, BUS_MMIO, WINDOW + 0x1018, 4, 0, 0xf9000000);
	bus_write(bus, BUS_MMIO, WINDOW + 0x1004, 2, 0, 6);
	bus_write(bus, BUS_MMIO, 0xf9000000, 8, 0, 0xfee00000);
	bus_write(bus, BUS_MMIO, 0xf9000008, 8, 0, data);
	bus_write(bus, BUS_MMIO, WINDOW + 0x1042, 2, 0, 0x8000);
	pci_func_msix(func[1], 0);
	ck_assert_uint_eq(msgs, 1);
	ck_assert_uint_eq(msg_addr, 0xfee04000);
	ck_assert_uint_eq(msg_data & 0xff, 0x55);
	/* wrong: device, message, processors, sets that are cut off */
	ck_assert_uint_eq(retarget(0x300000, data, 0, 1, NULL, 0), HV_INVALID_DEVICE_ID);
	ck_assert_uint_eq(retarget(0x100000, data, 0, 1, NULL, 0), HV_INVALID_DEVICE_ID);
	ck_assert_uint_eq(retarget(0x200000, data + 1, 0, 1, NULL, 0), HV_INVALID_DEVICE_ID);
	ck_assert_uint_eq(retarget(0x200000, data, 0, 8, NULL, 0), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(retarget(0x200000, data, 0, 0, NULL, 0), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 0, far, 2),
			  HV_INVALID_PARAMETER);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 0, bank1, 2),
			  HV_INVALID_PARAMETER);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 0, set, 1),
			  HV_INVALID_PARAMETER);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 0, NULL, 0),
			  HV_INVALID_PARAMETER);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 0, empty, 1),
			  HV_INVALID_PARAMETER);
	ck_assert_uint_eq(retarget(0x200000, data, HV_RETARGET_SET, 2, set, 2),
			  HV_INVALID_PARAMETER);
	ck_assert_uint_eq(hvcall_retarget(&nobody, "", 0), HV_INVALID_DEVICE_ID);
	ck_assert_str_ne(inspect_get(pci_vtl0_inspect, p, ""), "");
	fini();
}
END_TEST

UNIT_MAIN("vmm/pci_vtl0", second_chance, retargeting)
