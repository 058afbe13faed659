/* SPDX-License-Identifier: MIT */
/*
 * All VPs in the chipset at once, with a timer thread and a serial line thread beside them: what is
 * tested is that nothing dead-locks (Check kills the test after its time limit), that counters add
 * up, and, in a build with -fsanitize=thread, that there is no data race.
 */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "bus.h"
#include "chario.h"
#include "clock.h"
#include "ioapic.h"
#include "msi.h"
#include "pc_chipset.h"
#include "pic.h"
#include "pm.h"
#include "power.h"
#include "uart16550.h"

#define VPS 4u
#define ACCESSES 40000u
#define TIMERS 4u

struct dev_timer {
	void (*fn)(void *ctx);
	void *ctx;
	atomic_bool armed;
};

struct world {
	struct dev_timer timer[TIMERS];
	size_t n_timers;
	atomic_ullong now;
	atomic_uint messages, power_requests;
	atomic_bool extint, stop;
	struct bus *bus;
	struct pc_chipset *cs;
};

static struct world world;

static uint64_t now_ns(void *ctx)
{
	return atomic_fetch_add(&((struct world *)ctx)->now, 997);
}

static uint64_t utc_ns(void *ctx)
{
	return 1700000000ull * NS_PER_SEC + atomic_load(&((struct world *)ctx)->now);
}

static int timer_make(void *ctx, void (*fn)(void *fn_ctx), void *fn_ctx, struct dev_timer **ret_t)
{
	struct world *w = ctx;
	struct dev_timer *t = &w->timer[w->n_timers++];

	t->fn = fn;
	t->ctx = fn_ctx;
	*ret_t = t;
	return 0;
}

static void timer_arm(struct dev_timer *t, uint64_t deadline_ns)
{
	atomic_store(&t->armed, true);
}

static void timer_cancel(struct dev_timer *t)
{
	atomic_store(&t->armed, false);
}

static const struct dev_timer_ops timer_ops = {
	.create = timer_make,
	.arm = timer_arm,
	.cancel = timer_cancel,
	.destroy = timer_cancel,
};

static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	atomic_fetch_add(&((struct world *)ctx)->messages, 1);
}

static void extint_set(void *ctx, unsigned int line, bool level)
{
	atomic_store(&((struct world *)ctx)->extint, level);
}

static void power(void *ctx)
{
	atomic_fetch_add(&((struct world *)ctx)->power_requests, 1);
}

/* Takes everything but the last byte of a longer run, so that some is left over. */
static size_t com_tx(void *ctx, const uint8_t *buf, size_t len)
{
	return len > 1 ? len - 1 : (buf[0] & 1);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void *vp_thread(void *arg)
{
	static const uint16_t ports[] = {
		0x20, 0x21, 0x40, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0xa0,
		0xa1, 0x2f8, 0x2f9, 0x2fa, 0x2fc, 0x2fd, 0x3f8, 0x3f9, 0x3fa, 0x3fc,
		0x3fd, 0x400, 0x402, 0x404, 0x408, 0x40c, 0x40e, 0x4d0, 0x80,
	};
	uint32_t vp = (uint32_t)(uintptr_t)arg, rnd = vp + 1;
	uint64_t val;

	for (unsigned int i = 0; i < ACCESSES; i++) {
		uint32_t r = next_random(&rnd);
		uint16_t port = ports[r % ARRAY_SIZE(ports)];

		if (r & 0x10000)
			bus_write(world.bus, BUS_PIO, port, 1, vp, next_random(&rnd));
		else
			bus_read(world.bus, BUS_PIO, port, 1, vp, &val);
		if (i % 16 == 0) {
			bus_write(world.bus, BUS_MMIO, 0xfec00000, 4, vp, 0x10 + r % 48);
			bus_write(world.bus, BUS_MMIO, 0xfec00010, 4, vp, r & 0x8fff);
			ioapic_eoi(world.cs->ioapic, (uint8_t)r);
		}
		if (atomic_load(&world.extint) && vp == 0)
			(void)pic_ack(world.cs->pic);
	}
	return NULL;
}

static void *loop_thread(void *arg)
{
	const struct irq_sink *gpe = pm_gpe_sink(world.cs->pm);
	const uint8_t text[] = "typed by somebody";
	unsigned int i = 0;

	while (!atomic_load(&world.stop)) {
		for (size_t t = 0; t < world.n_timers; t++)
			if (atomic_exchange(&world.timer[t].armed, false))
				world.timer[t].fn(world.timer[t].ctx);
		(void)uart16550_rx(world.cs->com[i & 1], text, sizeof(text));
		uart16550_tx_ready(world.cs->com[i & 1]);
		uart16550_set_connected(world.cs->com[1], i & 2);
		gpe->set(gpe->ctx, i % 16, true);
		pm_power_button(world.cs->pm);
		i++;
	}
	return NULL;
}

static void build(void)
{
	static struct irq_sink ext = { extint_set, &world };
	static struct vm_clock clock = { now_ns, utc_ns, &world };
	static struct msi_sink msi = { deliver, &world };
	static struct power_ops ops = { power, power, power, &world };
	static struct char_backend com = { com_tx, NULL, NULL };
	const struct pc_chipset_cfg cfg = {
		.com = { true, true }, .pic = true, .pit = true, .i8042 = true, .reset_port = true,
	};
	const struct pc_chipset_wiring w = {
		.clock = &clock,
		.timers = { &timer_ops, &world },
		.msi = &msi,
		.extint = { &ext, 0 },
		.power = &ops,
		.com = { &com, &com },
	};

	ck_assert_int_eq(bus_create(VPS, &world.bus), 0);
	ck_assert_int_eq(pc_chipset_create(&cfg, &w, world.bus, &world.cs), 0);
	ck_assert_int_eq(bus_freeze(world.bus), 0);
	uart16550_set_connected(world.cs->com[0], true);
}

START_TEST(all_vps_at_once)
{
	pthread_t vp[VPS], loop;
	struct bus_counts n;

	build();
	ck_assert_int_eq(pthread_create(&loop, NULL, loop_thread, NULL), 0);
	for (uintptr_t i = 0; i < VPS; i++)
		ck_assert_int_eq(pthread_create(&vp[i], NULL, vp_thread, (void *)i), 0);
	for (size_t i = 0; i < VPS; i++)
		ck_assert_int_eq(pthread_join(vp[i], NULL), 0);
	atomic_store(&world.stop, true);
	ck_assert_int_eq(pthread_join(loop, NULL), 0);
	bus_stats(world.bus, &n);
	ck_assert_uint_eq(n.reads[BUS_PIO] + n.writes[BUS_PIO], VPS * ACCESSES);
	ck_assert_uint_eq(n.writes[BUS_MMIO], VPS * ACCESSES / 16 * 2);
	ck_assert_uint_gt(atomic_load(&world.messages), 0);
	ck_assert_uint_gt(n.unclaimed[BUS_PIO], 0);
	bus_destroy(world.bus);
	pc_chipset_destroy(world.cs);
}
END_TEST

UNIT_MAIN("chipset/threads", all_vps_at_once)
