/* SPDX-License-Identifier: MIT */
#include "inspect_get.h"
#include "le.h"
#include "pci_func.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "unit.h"

#define BAR0 0x1234560000ull
#define BAR4 0x80001000u

static struct {
	unsigned msgs, commands, resets;
	uint64_t addr;
	uint32_t data;
	bool master, memory;
	unsigned bar, size;
	uint64_t off, val, answer;
	struct pci_func *f;
} dev;

static uint64_t bar_read(void *ctx, unsigned bar, uint64_t off, unsigned size)
{
	dev.bar = bar;
	dev.off = off;
	dev.size = size;
	return dev.answer;
}

static void bar_write(void *ctx, unsigned bar, uint64_t off, unsigned size, uint64_t val)
{
	dev.bar = bar;
	dev.off = off;
	dev.size = size;
	dev.val = val;
}

static void command(void *ctx, bool master, bool memory)
{
	dev.commands++;
	dev.master = master;
	dev.memory = memory;
}

static void reset(void *ctx)
{
	dev.resets++;
}

static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	dev.msgs++;
	dev.addr = addr;
	dev.data = data;
}

static const struct pci_func_ops ops = {
	.bar_read = bar_read, .bar_write = bar_write, .command = command, .reset = reset
};

static const struct pci_func_cfg good = {
	.name = "dev",
	.vendor = 0x1414,
	.device = 0xc03e,
	.sub_vendor = 0x1414,
	.sub_device = 0x7,
	.revision = 2,
	.prog_if = 2,
	.sub_class = 8,
	.base_class = 1,
	.bar_size = { 0x10000, 0, 0, 0, 0x1000 },
	.bar_64 = { true },
	.msix_vectors = 4,
	.msix_bar = 4,
	.ops = &ops,
	.msi = { .deliver = deliver },
};

static void setup(void)
{
	memset(&dev, 0, sizeof(dev));
	ck_assert_int_eq(pci_func_create(&good, &dev.f), 0);
}

static uint32_t rd(unsigned off, unsigned size)
{
	return pci_func_cfg_read(dev.f, off, size);
}

static void wr(unsigned off, unsigned size, uint32_t val)
{
	pci_func_cfg_write(dev.f, off, size, val);
}

static void enable(void)
{
	wr(0x10, 4, (uint32_t)BAR0);
	wr(0x14, 4, (uint32_t)(BAR0 >> 32));
	wr(0x20, 4, BAR4);
	wr(4, 2, 6);
}

static uint64_t mmio(uint64_t addr, unsigned size)
{
	uint64_t val;

	return pci_func_mmio_read(dev.f, addr, size, &val) ? val : 0xdead;
}

START_TEST(refuses_nonsense)
{
	struct pci_func_cfg c = good;
	struct pci_func *f;

	c.bar_size[1] = 0x1000; /* the high half of BAR 0 */
	ck_assert_int_eq(pci_func_create(&c, &f), -EINVAL);
	c = good;
	c.bar_size[0] = 0x3000;
	ck_assert_int_eq(pci_func_create(&c, &f), -EINVAL);
	c.bar_size[0] = 0x800;
	ck_assert_int_eq(pci_func_create(&c, &f), -EINVAL);
	c = good;
	c.msix_vectors = PCI_MSIX_MAX + 1;
	ck_assert_int_eq(pci_func_create(&c, &f), -EINVAL);
	c = good;
	c.msix_bar = 5;
	ck_assert_int_eq(pci_func_create(&c, &f), -EINVAL);
	c = good;
	c.bar_size[5] = 0x1000;
	c.bar_64[5] = true;
	ck_assert_int_eq(pci_func_create(&c, &f), -EINVAL);
}
END_TEST

START_TEST(header)
{
	setup();
	ck_assert_uint_eq(rd(0, 4), 0xc03e1414);
	ck_assert_uint_eq(rd(2, 2), 0xc03e);
	ck_assert_uint_eq(rd(8, 4), 0x01080202);
	ck_assert_uint_eq(rd(0x2c, 4), 0x00071414);
	wr(0, 4, 0);
	ck_assert_uint_eq(rd(0, 4), 0xc03e1414);
	wr(4, 2, 0xffff);
	ck_assert_uint_eq(rd(4, 2), 0x0546);
	ck_assert_uint_eq(rd(6, 2), 0x10);
	ck_assert_uint_eq(rd(0x3d, 1), 0); /* no pin */
	/* beyond, odd sizes: nothing, all ones */
	ck_assert_uint_eq(rd(4094, 4), 0xffffffff);
	ck_assert_uint_eq(rd(0, 3), 0xffffff);
	ck_assert_uint_eq(rd(4095, 1), 0);
	wr(4094, 4, 1);
	pci_func_destroy(dev.f);
}
END_TEST

/* Walk the list as a driver does. */
START_TEST(capabilities)
{
	unsigned at, n = 0, msix = 0, express = 0;

	setup();
	for (at = rd(0x34, 1); at && n < 8; at = rd(at + 1, 1), n++) {
		if (rd(at, 1) == 0x11)
			msix = at;
		if (rd(at, 1) == 0x10)
			express = at;
	}
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_ne(msix, 0);
	ck_assert_uint_ne(express, 0);
	ck_assert_uint_eq(rd(msix + 2, 2), 3);
	ck_assert_uint_eq(rd(msix + 4, 4), 4);
	ck_assert_uint_eq(rd(msix + 8, 4), 0x804);
	ck_assert_uint_eq(rd(express + 2, 2), 2);
	ck_assert_uint_ne(rd(express + 4, 4) & 1u << 28, 0);
	ck_assert_uint_eq(rd(0x100, 4), 0);
	pci_func_destroy(dev.f);
}
END_TEST

START_TEST(bar_sizing_and_decoding)
{
	setup();
	wr(0x10, 4, 0xffffffff);
	wr(0x14, 4, 0xffffffff);
	ck_assert_uint_eq(rd(0x10, 4), 0xffff0004);
	ck_assert_uint_eq(rd(0x14, 4), 0xffffffff);
	ck_assert_uint_eq(pci_func_bar_mask(dev.f, 0), 0xffff0004);
	ck_assert_uint_eq(pci_func_bar_mask(dev.f, 1), 0xffffffff);
	ck_assert_uint_eq(pci_func_bar_mask(dev.f, 2), 0);
	ck_assert_uint_eq(pci_func_bar_mask(dev.f, 4), 0xfffff000);
	ck_assert_uint_eq(pci_func_bar_mask(dev.f, 6), 0);
	wr(0x18, 4, 0xffffffff);
	ck_assert_uint_eq(rd(0x18, 4), 0);
	wr(0x20, 4, 0xffffffff);
	ck_assert_uint_eq(rd(0x20, 4), 0xfffff000);
	ck_assert(!dev.commands);
	ck_assert_uint_eq(mmio(BAR0, 4), 0xdead); /* memory is off */
	enable();
	ck_assert(dev.commands == 1 && dev.master && dev.memory);
	dev.answer = 0xffffffff87654321;
	ck_assert_uint_eq(mmio(BAR0 + 0x14, 4), 0x87654321);
	ck_assert(dev.bar == 0 && dev.off == 0x14 && dev.size == 4);
	ck_assert_uint_eq(mmio(BAR0 + 0xfffc, 4), 0x87654321);
	ck_assert_uint_eq(mmio(BAR0 + 0xfffc, 8), 0xdead);
	ck_assert_uint_eq(mmio(BAR0 + 0x10000, 1), 0xdead);
	ck_assert_uint_eq(mmio(BAR0 - 1, 1), 0xdead);
	ck_assert(pci_func_mmio_write(dev.f, BAR0 + 0x1000, 2, 0x12345678));
	ck_assert(dev.val == 0x5678 && dev.off == 0x1000);
	wr(4, 2, 4);
	ck_assert_uint_eq(mmio(BAR0, 4), 0xdead);
	ck_assert(dev.commands == 2 && !dev.memory && dev.master);
	pci_func_destroy(dev.f);
}
END_TEST

static void write_vec(unsigned i, uint64_t addr, uint32_t data, uint32_t ctrl)
{
	const uint64_t at = BAR4 + 16 * i;

	ck_assert(pci_func_mmio_write(dev.f, at, 8, addr));
	ck_assert(pci_func_mmio_write(dev.f, at + 8, 4, data));
	ck_assert(pci_func_mmio_write(dev.f, at + 12, 4, ctrl));
}

START_TEST(msix)
{
	setup();
	enable();
	ck_assert_uint_eq(mmio(BAR4 + 12, 4), 1); /* masked at first */
	write_vec(0, 0xfee00007, 0x41, 0);
	ck_assert_uint_eq(mmio(BAR4, 8), 0xfee00004);
	ck_assert_uint_eq(mmio(BAR4 + 8, 4), 0x41);
	pci_func_msix(dev.f, 0);
	ck_assert_uint_eq(dev.msgs, 0); /* not enabled: pending */
	ck_assert_uint_eq(mmio(BAR4 + 0x800, 4), 1);
	wr(0x42, 2, 0x8000);
	ck_assert_uint_eq(dev.msgs, 1);
	ck_assert(dev.addr == 0xfee00004 && dev.data == 0x41);
	ck_assert_uint_eq(mmio(BAR4 + 0x800, 8), 0);
	pci_func_msix(dev.f, 0);
	ck_assert_uint_eq(dev.msgs, 2);
	/* masked vector, then everything */
	pci_func_msix(dev.f, 3);
	pci_func_msix(dev.f, 3);
	ck_assert_uint_eq(dev.msgs, 2);
	ck_assert_uint_eq(mmio(BAR4 + 0x800, 4), 8);
	write_vec(3, 0xfee01000, 0x55, 0);
	ck_assert_uint_eq(dev.msgs, 3);
	ck_assert_uint_eq(dev.data, 0x55);
	wr(0x42, 2, 0xc000);
	pci_func_msix(dev.f, 0);
	ck_assert_uint_eq(dev.msgs, 3);
	wr(0x42, 2, 0x8000);
	ck_assert_uint_eq(dev.msgs, 4);
	/* a message is a write to memory */
	wr(4, 2, 2);
	pci_func_msix(dev.f, 0);
	ck_assert_uint_eq(dev.msgs, 4);
	wr(4, 2, 6);
	ck_assert_uint_eq(dev.msgs, 5);
	/* no such vector; odd accesses change nothing */
	pci_func_msix(dev.f, 4);
	ck_assert(pci_func_mmio_write(dev.f, BAR4 + 1, 1, 0xff));
	ck_assert(pci_func_mmio_write(dev.f, BAR4 + 2, 4, 0xff));
	ck_assert(pci_func_mmio_write(dev.f, BAR4 + 64, 4, 0xff));
	ck_assert(pci_func_mmio_write(dev.f, BAR4 + 0x800, 4, 0xff));
	ck_assert_uint_eq(mmio(BAR4, 4), 0xfee00004);
	ck_assert_uint_eq(mmio(BAR4 + 1, 1), 0);
	ck_assert_uint_eq(mmio(BAR4 + 3, 1), 0xfe);
	ck_assert_uint_eq(mmio(BAR4 + 64, 4), 0);
	ck_assert_uint_eq(mmio(BAR4 + 0x800, 4), 0);
	ck_assert_uint_eq(dev.msgs, 5);
	pci_func_destroy(dev.f);
}
END_TEST

static bool remap(void *ctx, uint64_t *addr, uint32_t *data)
{
	if (*data != 0x41)
		return false;
	*addr = 0xfee07000;
	*data = 0x99;
	return true;
}

START_TEST(messages_are_translated)
{
	setup();
	enable();
	wr(0x42, 2, 0x8000);
	pci_func_remap(dev.f, &(struct pci_remap){ .fn = remap });
	write_vec(0, 0xfee00000, 0x41, 0);
	write_vec(1, 0xfee00000, 0x42, 0);
	pci_func_msix(dev.f, 0);
	ck_assert(dev.msgs == 1 && dev.addr == 0xfee07000 && dev.data == 0x99);
	pci_func_msix(dev.f, 1);
	ck_assert_uint_eq(dev.msgs, 1);
	ck_assert_str_eq(inspect_get(pci_func_inspect, dev.f, "messages_dropped"), "1");
	pci_func_remap(dev.f, NULL);
	pci_func_msix(dev.f, 1);
	ck_assert(dev.msgs == 2 && dev.data == 0x42);
	pci_func_destroy(dev.f);
}
END_TEST

START_TEST(function_level_reset)
{
	setup();
	enable();
	wr(0x42, 2, 0x8000);
	write_vec(0, 0xfee00000, 0x41, 0);
	wr(0x58, 2, 0x2810); /* device control without the bit */
	ck_assert_uint_eq(dev.resets, 0);
	ck_assert_uint_eq(rd(0x58, 2), 0x2810);
	wr(0x58, 2, 0xa810);
	ck_assert_uint_eq(dev.resets, 1);
	ck_assert_uint_eq(rd(0x58, 2), 0);
	ck_assert_uint_eq(rd(4, 2), 0);
	ck_assert_uint_eq(rd(0x10, 4), 4);
	ck_assert_uint_eq(mmio(BAR0, 4), 0xdead);
	wr(0x59, 1, 0x80);
	ck_assert_uint_eq(dev.resets, 2);
	wr(0x56, 4, 0x80000000); /* the dword before and the word */
	ck_assert_uint_eq(dev.resets, 3);
	enable();
	pci_func_msix(dev.f, 0);
	ck_assert_uint_eq(dev.msgs, 0);
	ck_assert_uint_eq(mmio(BAR4 + 12, 4), 1);
	pci_func_destroy(dev.f);
}
END_TEST

/* One thread moves a BAR between two places, others look: each finds it at one of them or nowhere,
 * and the offset is right. */
static _Atomic bool stop;

static void *mover(void *arg)
{
	for (unsigned i = 0; i < 20000; i++)
		wr(0x20, 4, i & 1 ? 0x90000000 : 0x80000000);
	atomic_store(&stop, true);
	return NULL;
}

START_TEST(bars_move_under_readers)
{
	pthread_t t;
	unsigned found = 0;

	setup();
	enable();
	wr(0x20, 4, 0x80000000);
	atomic_store(&stop, false);
	ck_assert_int_eq(pthread_create(&t, NULL, mover, NULL), 0);
	while (!atomic_load(&stop)) {
		uint64_t a, b;
		bool at_a = pci_func_mmio_read(dev.f, 0x8000000c, 4, &a);
		bool at_b = pci_func_mmio_read(dev.f, 0x9000000c, 4, &b);

		ck_assert(!at_a || a == 1);
		ck_assert(!at_b || b == 1);
		ck_assert(!pci_func_mmio_read(dev.f, 0x8000100c, 4, &a));
		found += at_a || at_b;
	}
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	ck_assert_uint_gt(found, 0);
	pci_func_destroy(dev.f);
}
END_TEST

START_TEST(inspected)
{
	setup();
	enable();
	ck_assert_str_eq(inspect_get(pci_func_inspect, dev.f, "id"), "\"1414:c03e\"");
	ck_assert_str_eq(inspect_get(pci_func_inspect, dev.f, "bars/0"), "0x1234560000");
	ck_assert_str_eq(inspect_get(pci_func_inspect, dev.f, "vectors"), "4");
	pci_func_destroy(dev.f);
}
END_TEST

UNIT_MAIN("devices-pci/pci_func", refuses_nonsense, header, capabilities, bar_sizing_and_decoding,
	  msix, messages_are_translated, function_level_reset, bars_move_under_readers, inspected)
