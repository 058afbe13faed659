/* SPDX-License-Identifier: MIT */
/* VTL2's devices: who answers an access, who gets a message, whose message moves. */
#include "pci_host.h"

#include <errno.h>
#include <string.h>

#include "ckd.h"
#include "fake_part.h"
#include "hvcall_host.h"
#include "unit.h"

#define IN (FAKE_VTL2_BASE + 0x10000)
#define LEN 0x100u

/* Registers at an address, and the last call that moved a message. */
struct dev {
	uint64_t base;
	uint64_t id;
	uint8_t reg[LEN];
	unsigned accesses;
	unsigned sizes; /* or of all */
	uint64_t addr;
	uint32_t data, vector, vps[PCI_HOST_TARGETS];
	unsigned n_vps;
	int answer;
};

static bool dev_at(struct dev *d, uint64_t addr, unsigned size)
{
	if (addr < d->base || !range_ok(addr - d->base, size, LEN))
		return false;
	d->accesses++;
	d->sizes |= size;
	return true;
}

static bool dev_read(void *ctx, uint64_t addr, unsigned size, uint64_t *ret_val)
{
	struct dev *d = ctx;

	if (!dev_at(d, addr, size))
		return false;
	*ret_val = 0;
	memcpy(ret_val, d->reg + (addr - d->base), size);
	return true;
}

static bool dev_write(void *ctx, uint64_t addr, unsigned size, uint64_t val)
{
	struct dev *d = ctx;

	if (!dev_at(d, addr, size))
		return false;
	memcpy(d->reg + (addr - d->base), &val, size);
	return true;
}

static int dev_retarget(void *ctx, uint64_t device_id, uint64_t addr, uint32_t data,
			uint32_t vector, const uint32_t *vps, unsigned n_vps)
{
	struct dev *d = ctx;

	if (device_id != d->id)
		return -ENOENT;
	d->addr = addr;
	d->data = data;
	d->vector = vector;
	memcpy(d->vps, vps, n_vps * sizeof(*vps));
	d->n_vps = n_vps;
	return d->answer;
}

static const struct pci_host_ops ops = { .read = dev_read,
					 .write = dev_write,
					 .retarget = dev_retarget };

static struct fake_part *f;
static struct pci_host *ph;
static struct dev a, b;

static void setup(void)
{
	f = fake_part_create();
	a = (struct dev){ .base = 0xfcc00000, .id = 0x1001000000ull };
	b = (struct dev){ .base = 0x300000000ull, .id = 0x1002000000ull };
	ck_assert_int_eq(pci_host_create(&f->part, &ph), 0);
	ck_assert_int_eq(pci_host_add(ph, &ops, &a), 0);
	ck_assert_int_eq(pci_host_add(ph, &ops, &b), 0);
	f->part.pci = ph;
}

static void teardown(void)
{
	pci_host_destroy(ph);
	fake_part_destroy(f);
}

static bool load(uint64_t addr, uint32_t len, uint64_t *val)
{
	*val = 0;
	return pci_host_mmio(ph, addr, len, false, (uint8_t *)val);
}

static bool store(uint64_t addr, uint32_t len, uint64_t val)
{
	return pci_host_mmio(ph, addr, len, true, (uint8_t *)&val);
}

START_TEST(accesses_find_their_device)
{
	uint64_t val;

	setup();
	ck_assert(store(a.base + 8, 4, 0x11223344));
	ck_assert(store(b.base + 0xf8, 8, 0x8877665544332211ull));
	ck_assert(load(a.base + 8, 4, &val));
	ck_assert_uint_eq(val, 0x11223344);
	ck_assert(load(a.base + 9, 1, &val));
	ck_assert_uint_eq(val, 0x33);
	ck_assert(load(b.base + 0xf8, 8, &val));
	ck_assert_uint_eq(val, 0x8877665544332211ull);
	ck_assert_uint_eq(a.accesses, 3);
	ck_assert_uint_eq(b.accesses, 2);
	teardown();
}
END_TEST

START_TEST(nothing_reads_as_ones)
{
	uint64_t val;

	setup();
	ck_assert(!load(a.base - 4, 4, &val));
	ck_assert_uint_eq(val, 0xffffffff);
	ck_assert(!load(a.base + LEN, 8, &val));
	ck_assert_uint_eq(val, UINT64_MAX);
	ck_assert(!store(b.base + LEN, 8, 0));
	ck_assert(!load(UINT64_MAX - 3, 4, &val));
	ck_assert_uint_eq(a.accesses + b.accesses, 0);
	/* No bus at all. */
	val = 0;
	ck_assert(!pci_host_mmio(NULL, a.base, 2, false, (uint8_t *)&val));
	ck_assert_uint_eq(val, 0xffff);
	teardown();
}
END_TEST

START_TEST(odd_sizes_are_split)
{
	uint64_t val;

	setup();
	ck_assert(store(a.base, 7, 0x77665544332211ull));
	ck_assert_uint_eq(a.accesses, 3);
	ck_assert_uint_eq(a.sizes, 7);
	ck_assert(load(a.base, 7, &val));
	ck_assert_uint_eq(val, 0x77665544332211ull);
	/* The part behind the device's end is nobody's. */
	ck_assert(store(a.base + LEN - 4, 4, 0x04030201));
	ck_assert(load(a.base + LEN - 4, 6, &val));
	ck_assert_uint_eq(val, 0xffff04030201ull);
	teardown();
}
END_TEST

START_TEST(devices_come_and_go)
{
	static struct dev more[PCI_HOST_MAX];
	uint64_t val;

	setup();
	pci_host_remove(ph, &a);
	ck_assert(!load(a.base, 4, &val));
	ck_assert(load(b.base, 4, &val));
	for (unsigned i = 0; i < PCI_HOST_MAX - 1; i++)
		ck_assert_int_eq(pci_host_add(ph, &ops, &more[i]), 0);
	ck_assert_int_eq(pci_host_add(ph, &ops, &a), -ENOSPC);
	pci_host_remove(ph, &more[7]);
	ck_assert_int_eq(pci_host_add(ph, &ops, &a), 0);
	ck_assert(load(a.base, 4, &val));
	teardown();
}
END_TEST

/* Which processors were told that an interrupt is there. */
static unsigned told(void)
{
	unsigned mask = 0;

	for (unsigned i = 0; i < FAKE_VPS; i++) {
		if (atomic_exchange(&f->part.vps[i].vtl2_intr, false))
			mask |= 1u << i;
	}
	return mask;
}

static unsigned message(uint64_t addr, uint32_t data)
{
	struct msi_sink sink = pci_host_msi(ph);

	sink.deliver(sink.ctx, addr, data);
	return told();
}

START_TEST(messages_reach_the_processor)
{
	setup();
	ck_assert_uint_eq(message(0xfee00000, 0x40), 1);
	ck_assert_uint_eq(message(0xfee02000, 0x41), 4);
	ck_assert_uint_eq(message(0xfee01000 | MSI_X86_ADDR_HINT, 0x141), 2);
	ck_assert_uint_eq(message(0xfeeff000, 0x41), 7);
	/* A VP that runs VTL0 leaves it. */
	atomic_store(&f->part.vps[1].running, RUN_VTL0);
	ck_assert_uint_eq(message(0xfee01000, 0x40), 2);
	ck_assert_uint_eq(f->run[1][VTL0].immediate_exit, 1);
	ck_assert_uint_eq(f->run[0][VTL0].immediate_exit, 0);
	teardown();
}
END_TEST

START_TEST(other_messages_do_nothing)
{
	setup();
	ck_assert_uint_eq(message(0xfee03000, 0x40), 0); /* nobody there */
	ck_assert_uint_eq(message(0xfee00020, 0x40), 0); /* destination 0x100 */
	ck_assert_uint_eq(message(0xfed00000, 0x40), 0);
	ck_assert_uint_eq(message(0x1fee00000ull, 0x40), 0);
	ck_assert_uint_eq(message(0xfee01000 | MSI_X86_ADDR_LOGICAL, 0x40), 0);
	ck_assert_uint_eq(message(0xfee00000, 0x0f), 0);
	for (uint32_t mode = 2; mode < 8; mode++)
		ck_assert_uint_eq(message(0xfee00000, 0x40 | mode << 8), 0);
	/* The withdrawal of a level; its assertion counts as an edge. */
	ck_assert_uint_eq(message(0xfee00000, 0x40 | MSI_X86_DATA_LEVEL), 0);
	ck_assert_uint_eq(message(0xfee00000, 0x40 | MSI_X86_DATA_LEVEL | MSI_X86_DATA_ASSERT), 1);
	teardown();
}
END_TEST

/* --- the hypercall ---------------------------------------------------------------------------- */

struct retarget {
	struct hv_retarget_in in;
	uint64_t valid, bank[2];
};

static uint64_t retarget(enum vtl_index v, const struct retarget *r, uint64_t words, bool *forward)
{
	const gpa_t in = v == VTL2 ? IN : 0x10000;

	ck_assert_int_eq(gm_write(f->part.gm, in, r, sizeof(*r)), 0);
	return hvcall_host_run(&f->part.vps[0], v,
			       HV_CONTROL_MAKE(HVCALL_RETARGET_DEVICE_INTERRUPT, 0, 0) |
				       words << 17,
			       in, 0, forward);
}

static uint64_t retarget2(const struct retarget *r, uint64_t words)
{
	bool forward;
	uint64_t res = retarget(VTL2, r, words, &forward);

	ck_assert(!forward);
	return res;
}

static struct retarget move(uint64_t id)
{
	return (struct retarget){ .in = { .partition = HV_PARTITION_SELF,
					  .device_id = id,
					  .source = HV_RETARGET_SOURCE_MSI,
					  .address = 0xfee01000,
					  .data = 0x1234,
					  .vector = 0x55,
					  .mask = 6 } };
}

START_TEST(a_message_moves)
{
	struct retarget r;

	setup();
	r = move(b.id);
	ck_assert_uint_eq(retarget2(&r, 0), HV_OK);
	ck_assert_uint_eq(b.addr, 0xfee01000);
	ck_assert_uint_eq(b.data, 0x1234);
	ck_assert_uint_eq(b.vector, 0x55);
	ck_assert_uint_eq(b.n_vps, 2);
	ck_assert_uint_eq(b.vps[0], 1);
	ck_assert_uint_eq(b.vps[1], 2);
	ck_assert_uint_eq(a.n_vps, 0);
	/* As a set: bank 0 only, then all. */
	r.in.flags = HV_RETARGET_SET;
	r.in.mask = HV_VPSET_SPARSE_4K;
	r.valid = 1;
	r.bank[0] = 4;
	ck_assert_uint_eq(retarget2(&r, 2), HV_OK);
	ck_assert_uint_eq(b.n_vps, 1);
	ck_assert_uint_eq(b.vps[0], 2);
	r.in.mask = HV_VPSET_ALL;
	ck_assert_uint_eq(retarget2(&r, 0), HV_OK);
	ck_assert_uint_eq(b.n_vps, FAKE_VPS);
	teardown();
}
END_TEST

START_TEST(bad_moves_are_refused)
{
	struct retarget r;

	setup();
	r = move(7);
	ck_assert_uint_eq(retarget2(&r, 0), HV_INVALID_DEVICE_ID);
	r = move(a.id);
	r.in.partition = 5;
	ck_assert_uint_eq(retarget2(&r, 0), HV_INVALID_PARTITION_ID);
	r = move(a.id);
	r.in.source = 2;
	ck_assert_uint_eq(retarget2(&r, 0), HV_INVALID_PARAMETER);
	r = move(a.id);
	r.in.mask = 0;
	ck_assert_uint_eq(retarget2(&r, 0), HV_INVALID_PARAMETER);
	r.in.mask = 1 << FAKE_VPS; /* nobody there */
	ck_assert_uint_eq(retarget2(&r, 0), HV_INVALID_PARAMETER);
	/* A set without its mask, with a bank too few, of a form that does not exist. */
	r.in.flags = HV_RETARGET_SET;
	r.in.mask = HV_VPSET_SPARSE_4K;
	r.valid = 1;
	r.bank[0] = 1;
	ck_assert_uint_eq(retarget2(&r, 0), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(retarget2(&r, 1), HV_INVALID_PARAMETER);
	r.valid = 3;
	r.bank[1] = 1;
	ck_assert_uint_eq(retarget2(&r, 3), HV_INVALID_PARAMETER);
	r.in.mask = 2;
	ck_assert_uint_eq(retarget2(&r, 2), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(a.n_vps, 0);
	/* What the device refuses. */
	r = move(a.id);
	a.answer = -EINVAL;
	ck_assert_uint_eq(retarget2(&r, 0), HV_INVALID_PARAMETER);
	f->part.pci = NULL;
	ck_assert_uint_eq(retarget2(&r, 0), HV_INVALID_PARAMETER);
	teardown();
}
END_TEST

START_TEST(vtl0_has_no_device_of_ours)
{
	struct retarget r;
	bool forward;

	setup();
	r = move(a.id);
	ck_assert_uint_eq(retarget(VTL0, &r, 0, &forward), HV_INVALID_DEVICE_ID);
	ck_assert(!forward);
	atomic_store(&f->part.retarget, HV_ACCESS_EXECUTE);
	(void)retarget(VTL0, &r, 0, &forward);
	ck_assert(forward);
	ck_assert_uint_eq(a.n_vps, 0);
	teardown();
}
END_TEST

UNIT_MAIN("hvhost/pci_host", accesses_find_their_device, nothing_reads_as_ones, odd_sizes_are_split,
	  devices_come_and_go, messages_reach_the_processor, other_messages_do_nothing,
	  a_message_moves, bad_moves_are_refused, vtl0_has_no_device_of_ours)
