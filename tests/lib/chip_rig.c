/* SPDX-License-Identifier: MIT */
#include "chip_rig.h"

#include "uart16550.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct dev_timer {
	struct rig_timer t;
};

BUILD_ASSERT(sizeof(struct dev_timer) == sizeof(struct rig_timer), "one is the other");

static uint64_t now_ns(void *ctx)
{
	return ((struct chip_rig *)ctx)->now;
}

static uint64_t utc_ns(void *ctx)
{
	return ((struct chip_rig *)ctx)->utc;
}

static int timer_create_(void *ctx, void (*fn)(void *fn_ctx), void *fn_ctx, struct dev_timer **ret)
{
	struct chip_rig *rig = ctx;

	for (size_t i = 0; i < RIG_TIMERS; i++) {
		struct rig_timer *t = &rig->timer[i];

		if (t->used)
			continue;
		*t = (struct rig_timer){ .rig = rig, .fn = fn, .ctx = fn_ctx, .used = true };
		*ret = (struct dev_timer *)t;
		return 0;
	}
	return -ENOMEM;
}

static void timer_arm(struct dev_timer *t, uint64_t deadline_ns)
{
	t->t.armed = true;
	t->t.deadline = deadline_ns;
}

static void timer_cancel(struct dev_timer *t)
{
	t->t.armed = false;
}

static void timer_destroy(struct dev_timer *t)
{
	if (t)
		t->t.used = t->t.armed = false;
}

static const struct dev_timer_ops timer_ops = {
	.create = timer_create_,
	.arm = timer_arm,
	.cancel = timer_cancel,
	.destroy = timer_destroy,
};

static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	struct chip_rig *rig = ctx;

	rig->msi_addr = addr;
	rig->msi_data = data;
	rig->n_msi++;
}

static void extint_set(void *ctx, unsigned int line, bool level)
{
	struct chip_rig *rig = ctx;

	(void)line;
	rig->n_extint += level && !rig->extint;
	rig->extint = level;
}

static void power_off(void *ctx)
{
	((struct chip_rig *)ctx)->n_off++;
}

static void power_reset(void *ctx)
{
	((struct chip_rig *)ctx)->n_reset++;
}

static void power_hibernate(void *ctx)
{
	((struct chip_rig *)ctx)->n_hibernate++;
}

static void skew_changed(void *ctx, int64_t skew_ns)
{
	struct chip_rig *rig = ctx;

	rig->skew = skew_ns;
	rig->n_skew++;
}

static size_t com_tx(void *ctx, const uint8_t *buf, size_t len)
{
	struct rig_com *com = ctx;
	size_t n = MIN(len, com->quota);

	for (size_t i = 0; i < n; i++, com->n_out++)
		if (com->n_out < RIG_COM_BYTES)
			com->out[com->n_out] = buf[i];
	com->quota -= n;
	return n;
}

static void com_room(void *ctx)
{
	((struct rig_com *)ctx)->rooms++;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

void rig_init_cfg(struct chip_rig *rig, const struct pc_chipset_cfg *cfg)
{
	struct pc_chipset_wiring w = { .rtc_skew_changed = skew_changed, .rtc_ctx = rig };

	memset(rig, 0, sizeof(*rig));
	rig->now = 1000000;
	rig->utc = RIG_UTC_START * NS_PER_SEC;
	rig->clock = (struct vm_clock){ .now_ns = now_ns, .utc_ns = utc_ns, .ctx = rig };
	rig->msi = (struct msi_sink){ .deliver = deliver, .ctx = rig };
	rig->ext_sink = (struct irq_sink){ .set = extint_set, .ctx = rig };
	rig->power = (struct power_ops){ power_off, power_reset, power_hibernate, rig };
	w.clock = &rig->clock;
	w.timers = (struct dev_timers){ .ops = &timer_ops, .ctx = rig };
	w.msi = &rig->msi;
	w.extint = (struct irq_line){ .sink = &rig->ext_sink };
	w.power = &rig->power;
	for (size_t i = 0; i < PC_COM_PORTS; i++) {
		rig->com[i].be = (struct char_backend){ com_tx, com_room, &rig->com[i] };
		rig->com[i].quota = SIZE_MAX;
		w.com[i] = &rig->com[i].be;
	}
	must(bus_create(2, &rig->bus) == 0);
	must(pc_chipset_create(cfg, &w, rig->bus, &rig->cs) == 0);
	must(bus_freeze(rig->bus) == 0);
	for (size_t i = 0; i < PC_COM_PORTS; i++)
		if (rig->cs->com[i])
			uart16550_set_connected(rig->cs->com[i], true);
}

void rig_init(struct chip_rig *rig)
{
	const struct pc_chipset_cfg cfg = {
		.com = { true, true, true, true },
		.pic = true,
		.pit = true,
		.i8042 = true,
		.reset_port = true,
	};

	rig_init_cfg(rig, &cfg);
}

void rig_fini(struct chip_rig *rig)
{
	bus_destroy(rig->bus);
	pc_chipset_destroy(rig->cs);
}

static struct rig_timer *earliest(struct chip_rig *rig)
{
	struct rig_timer *first = NULL;

	for (size_t i = 0; i < RIG_TIMERS; i++) {
		struct rig_timer *t = &rig->timer[i];

		if (t->armed && (!first || t->deadline < first->deadline))
			first = t;
	}
	return first;
}

static void advance_to(struct chip_rig *rig, uint64_t to)
{
	if (to > rig->now) {
		rig->utc += to - rig->now;
		rig->now = to;
	}
}

uint64_t rig_step(struct chip_rig *rig, uint64_t ns, uint64_t max)
{
	uint64_t end = rig->now + ns, n = 0;
	struct rig_timer *t;

	while (n < max && (t = earliest(rig)) && t->deadline <= end) {
		advance_to(rig, t->deadline);
		t->armed = false;
		t->fn(t->ctx);
		n++;
	}
	advance_to(rig, end);
	rig->fired += n;
	return n;
}

uint64_t rig_in(struct chip_rig *rig, uint16_t port, unsigned int size)
{
	uint64_t val;

	bus_read(rig->bus, BUS_PIO, port, size, 0, &val);
	return val;
}

void rig_out(struct chip_rig *rig, uint16_t port, unsigned int size, uint64_t val)
{
	bus_write(rig->bus, BUS_PIO, port, size, 0, val);
}

uint32_t rig_ioapic_read(struct chip_rig *rig, uint8_t idx)
{
	uint64_t val;

	bus_write(rig->bus, BUS_MMIO, RIG_IOAPIC, 4, 0, idx);
	bus_read(rig->bus, BUS_MMIO, RIG_IOAPIC + 0x10, 4, 0, &val);
	return (uint32_t)val;
}

void rig_ioapic_write(struct chip_rig *rig, uint8_t idx, uint32_t val)
{
	bus_write(rig->bus, BUS_MMIO, RIG_IOAPIC, 4, 0, idx);
	bus_write(rig->bus, BUS_MMIO, RIG_IOAPIC + 0x10, 4, 0, val);
}

void rig_route(struct chip_rig *rig, unsigned int n, uint32_t low)
{
	rig_ioapic_write(rig, (uint8_t)(0x11 + 2 * n), 0);
	rig_ioapic_write(rig, (uint8_t)(0x10 + 2 * n), low);
}

bool rig_line(struct chip_rig *rig, unsigned int pic_input)
{
	uint16_t port = pic_input < 8 ? 0x20 : 0xa0;

	rig_outb(rig, port, 0x0a);
	return rig_inb(rig, port) >> (pic_input % 8) & 1;
}
