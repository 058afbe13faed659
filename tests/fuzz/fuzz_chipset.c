/* SPDX-License-Identifier: MIT */
/*
 * A guest against the whole PC chipset on one bus: port and MMIO accesses of any size, interleaved
 * with time, interrupt acknowledges, EOIs, GPE lines and serial input. Input: records of 8 bytes.
 *
 * Besides what the sanitizers see, these must hold:
 *   a read never has bits above its size; nothing answers an unclaimed port but all ones;
 *   time alone causes a bounded number of timer callbacks;
 *   looking at everything (inspect) changes nothing and shows the same twice;
 *   after a reset of everything all lines are low and the registers are those of a new machine.
 */
#include "fuzz.h"

#include "chip_rig.h"
#include "i8042.h"
#include "inspect.h"
#include "ioapic.h"
#include "pic.h"
#include "pm.h"
#include "rtc.h"
#include "uart16550.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 2048u
/* PIT at its periodic limit of 10 kHz plus the RTC, which stops after one unread interrupt. */
#define STEP_NS 10000000u
#define STEP_CALLBACKS 110u

struct record {
	uint8_t op;
	uint8_t pick;
	uint16_t addr;
	uint32_t val;
};

enum op { OP_OUT, OP_IN, OP_MW, OP_MR, OP_STEP, OP_RX, OP_LINE, OP_RESET, OPS };

/* Ranges where something is; the rest of the space is reached by the plain address now and then. */
static const struct {
	uint16_t base, len;
} ranges[] = {
	{ 0x20, 2 }, { 0x40, 4 }, { 0x60, 5 }, { 0x70, 2 }, { 0xa0, 2 }, { 0x2f8, 8 },
	{ 0x3e8, 8 }, { 0x3f8, 8 }, { 0x400, 0x38 }, { 0x4d0, 2 }, { 0xcf8, 8 }, { 0x201, 1 },
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint16_t pick_port(const struct record *r)
{
	size_t i = r->pick >> 4;

	if (i >= ARRAY_SIZE(ranges))
		return r->addr;
	return (uint16_t)(ranges[i].base + r->addr % ranges[i].len);
}

static unsigned int pick_size(const struct record *r)
{
	/* Mostly bytes, and sizes that do not exist now and then. */
	static const uint8_t size[] = { 1, 1, 1, 1, 1, 2, 4, 8, 1, 1, 1, 1, 2, 4, 4, 3 };

	return size[r->pick & 15];
}

static void port_read(struct chip_rig *rig, const struct record *r)
{
	uint16_t port = pick_port(r);
	unsigned int size = pick_size(r);
	uint64_t ones = size < 8 ? (1ull << size * 8) - 1 : UINT64_MAX;
	uint64_t val = rig_in(rig, port, size);

	must((val & ~ones) == 0);
	if (!bus_owner(rig->bus, BUS_PIO, port))
		must(val == ones);
}

static void mmio(struct chip_rig *rig, const struct record *r, bool write)
{
	static const uint8_t off[] = { 0x00, 0x10, 0x10, 0x04, 0x1f, 0x20, 0x00, 0x10 };
	uint64_t addr = RIG_IOAPIC + off[r->pick & 7];
	unsigned int size = r->pick & 0x40 ? 1u << (r->pick >> 4 & 3) : 4;
	uint64_t val = r->val;

	if (write)
		bus_write(rig->bus, BUS_MMIO, addr, size, r->addr & 3, val);
	else
		bus_read(rig->bus, BUS_MMIO, addr, size, r->addr & 3, &val);
}

static void step(struct chip_rig *rig, const struct record *r)
{
	uint64_t n;

	if (r->pick & 0x80) { /* far ahead, timers late: nothing may depend on being woken */
		rig_step(rig, (uint64_t)r->val << (r->pick & 15), 0);
		return;
	}
	if (r->pick & 0x40)
		rig->utc += (uint64_t)(int64_t)(int32_t)r->val * 1000;
	n = rig_step(rig, r->val % STEP_NS, 1000);
	must(n <= STEP_CALLBACKS);
}

static void serial(struct chip_rig *rig, const struct record *r)
{
	struct uart16550 *u = rig->cs->com[r->pick & 3];
	struct rig_com *com = &rig->com[r->pick & 3];
	uint8_t buf[300];

	memset(buf, (int)r->val, sizeof(buf));
	switch (r->pick >> 2 & 7) {
	case 0:
		com->quota = r->val;
		break;
	case 1:
		uart16550_tx_ready(u);
		break;
	case 2:
		uart16550_set_connected(u, r->val & 1);
		break;
	default:
		must(uart16550_rx(u, buf, r->val % sizeof(buf)) <= r->val % sizeof(buf));
		break;
	}
}

static void lines(struct chip_rig *rig, const struct record *r)
{
	const struct irq_sink *s;

	switch (r->pick & 7) {
	case 0:
		(void)pic_ack(rig->cs->pic);
		break;
	case 1:
		ioapic_eoi(rig->cs->ioapic, (uint8_t)r->val);
		break;
	case 2:
		pm_power_button(rig->cs->pm);
		break;
	case 3:
		s = pm_gpe_sink(rig->cs->pm);
		s->set(s->ctx, r->addr, r->val & 1);
		break;
	case 4:
		s = pic_sink(rig->cs->pic);
		s->set(s->ctx, r->addr & 31, r->val & 1);
		break;
	case 5:
		s = ioapic_sink(rig->cs->ioapic);
		s->set(s->ctx, r->addr & 31, r->val & 1);
		break;
	case 6: /* until nothing is pending, as a processor would; each of 16 inputs once */
		for (unsigned int i = 0; rig->extint && i < 64; i++) {
			(void)pic_ack(rig->cs->pic);
			rig_outb(rig, 0xa0, 0x20);
			rig_outb(rig, 0x20, 0x20);
		}
		break;
	default:
		rtc_set_cmos(rig->cs->rtc, (uint8_t)r->addr, (uint8_t)r->val);
		break;
	}
}

static uint8_t *look(struct chip_rig *rig, size_t *ret_len)
{
	const struct inspect_request req = { .path = "", .depth = 16, .max = SENS_SENSITIVE };
	struct inspect_tree tree;
	uint8_t *buf;

	must(inspect_run(&req, pc_chipset_inspect, rig->cs, 1u << 20, &tree) == 0);
	must(tree.root->kind == INSPECT_DIR);
	must(inspect_encode(&tree, &buf, ret_len) == 0);
	inspect_tree_fini(&tree);
	return buf;
}

static void look_twice(struct chip_rig *rig)
{
	size_t a_len, b_len;
	uint8_t *a = look(rig, &a_len), *b = look(rig, &b_len);

	must(a_len == b_len && memcmp(a, b, a_len) == 0);
	free(a);
	free(b);
}

static void run(struct chip_rig *rig, const struct record *r)
{
	switch ((enum op)(r->op % OPS)) {
	case OP_OUT:
		rig_out(rig, pick_port(r), pick_size(r), r->val);
		break;
	case OP_IN:
		port_read(rig, r);
		break;
	case OP_MW:
		mmio(rig, r, true);
		break;
	case OP_MR:
		mmio(rig, r, false);
		break;
	case OP_STEP:
		step(rig, r);
		break;
	case OP_RX:
		serial(rig, r);
		break;
	case OP_LINE:
		lines(rig, r);
		break;
	case OP_RESET:
		if (r->val == 0)
			pc_chipset_reset(rig->cs);
		else if (r->pick == 1)
			look_twice(rig);
		break;
	case OPS:
		break;
	}
}

/* What a new machine answers, whatever happened before. */
static void check_reset(struct chip_rig *rig)
{
	static const struct {
		uint16_t port;
		uint8_t size;
		uint32_t want;
	} t[] = {
		{ 0x21, 1, 0xff }, { 0xa1, 1, 0xff }, { 0x4d0, 2, 0 }, { 0x61, 1, 0x10 },
		{ 0x64, 1, 0x14 }, { 0x70, 1, 0x80 }, { 0x3f9, 1, 0 }, { 0x3fa, 1, 1 },
		{ 0x3fd, 1, 0x60 }, { 0x3ff, 1, 0xff }, { 0x400, 4, 0 }, { 0x404, 2, 1 },
		{ 0x40c, 4, 0 }, { 0x434, 4, 0x7fffbfff }, { 0xcf9, 1, 0 },
	};

	pc_chipset_reset(rig->cs);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		must(rig_in(rig, t[i].port, t[i].size) == t[i].want);
	for (unsigned int n = 0; n < IOAPIC_INPUTS; n++)
		must(rig_ioapic_read(rig, (uint8_t)(0x10 + 2 * n)) == 0x10800);
	must(!rig->extint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct chip_rig rig;
	size_t n = size / sizeof(struct record);

	rig_init(&rig);
	for (size_t i = 0; i < n && i < RECORDS_MAX; i++) {
		struct record r;

		memcpy(&r, data + i * sizeof(r), sizeof(r));
		run(&rig, &r);
	}
	look_twice(&rig);
	check_reset(&rig);
	rig_fini(&rig);
	return 0;
}
