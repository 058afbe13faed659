/* SPDX-License-Identifier: MIT */
/* Input: VTL0 (ports). State: under dev->lock. Thread: VP threads and the timer's loop. */
#include "pit.h"

#include "bus.h"
#include "inspect.h"
#include "pitcount.h"

#include <errno.h>
#include <stdlib.h>

enum pit_region { REGION_COUNTERS, REGION_PORT_B };

#define COUNTERS 3u
#define OFF_CONTROL 3u
#define SELECT_READ_BACK 3u
#define READ_BACK_NO_COUNT 0x20u
#define READ_BACK_NO_STATUS 0x10u

#define PORTB_GATE2 0x01u
#define PORTB_WRITABLE 0x0fu
#define PORTB_REFRESH 0x10u
#define PORTB_OUT2 0x20u

struct pit {
	struct device dev;
	struct pit_wiring w;
	struct dev_timer *timer;
	struct pit_counter c[COUNTERS];
	uint8_t port_b;
	bool refresh; /* toggles per read of port B */
	bool line; /* as driven */
	uint64_t rise_at; /* tick at which OUT0 rises next, 0 = never */
};

static uint64_t tick_now(const struct pit *pit)
{
	return PIT_TICK_MIN + ns_to_ticks(clock_now_ns(pit->w.clock), PIT_HZ);
}

static void drive(struct pit *pit, bool level)
{
	if (level != pit->line) {
		pit->line = level;
		irq_line_set(&pit->w.irq, level);
	}
}

/* A rise whose time has come is not lost when the guest reprograms before the timer's callback
 * runs. The caller plans the next one. */
static void run_due(struct pit *pit, uint64_t tick)
{
	if (!pit->rise_at || tick < pit->rise_at)
		return;
	pit->rise_at = 0;
	drive(pit, false);
	drive(pit, true);
}

/* Find the next rise of OUT0 and set the timer to it, not too soon. */
static void plan(struct pit *pit, uint64_t tick, uint64_t not_before)
{
	uint64_t at;

	if (!pit_counter_next_rise(&pit->c[0], tick, &at)) {
		pit->rise_at = 0;
		pit->w.timers.ops->cancel(pit->timer);
		return;
	}
	pit->rise_at = MAX(at, not_before);
	pit->w.timers.ops->arm(pit->timer, ticks_to_ns(pit->rise_at - PIT_TICK_MIN, PIT_HZ));
}

static void timer_fired(void *ctx)
{
	struct pit *pit = ctx;
	uint64_t tick;

	device_lock(&pit->dev);
	tick = tick_now(pit);
	if (pit->rise_at && tick >= pit->rise_at) {
		run_due(pit, tick);
		plan(pit, tick, tick + PIT_PERIODIC_TICKS);
	} else if (pit->rise_at) { /* too early: set again */
		pit->w.timers.ops->arm(pit->timer,
				       ticks_to_ns(pit->rise_at - PIT_TICK_MIN, PIT_HZ));
	}
	device_unlock(&pit->dev);
}

/* The guest changed counter 0: the line follows OUT, and the next rise is another one. */
static void counter0_changed(struct pit *pit, uint64_t tick)
{
	drive(pit, pit_counter_out(&pit->c[0], tick));
	plan(pit, tick, tick + PIT_ONE_SHOT_TICKS);
}

static void read_back(struct pit *pit, uint64_t tick, uint8_t val)
{
	for (unsigned int i = 0; i < COUNTERS; i++) {
		if (!(val & 2u << i))
			continue;
		if (!(val & READ_BACK_NO_COUNT))
			pit_counter_latch(&pit->c[i], tick);
		if (!(val & READ_BACK_NO_STATUS))
			pit_counter_latch_status(&pit->c[i], tick);
	}
}

static void write_control(struct pit *pit, uint64_t tick, uint8_t val)
{
	unsigned int select = val >> 6, access = val >> 4 & 3;

	if (select == SELECT_READ_BACK) {
		read_back(pit, tick, val);
		return;
	}
	if (access == 0) {
		pit_counter_latch(&pit->c[select], tick);
		return;
	}
	if (select == 0)
		run_due(pit, tick);
	pit_counter_control(&pit->c[select], val >> 1 & 7, (enum pit_access)access, val & 1);
	if (select == 0)
		counter0_changed(pit, tick);
}

static void write_counter(struct pit *pit, uint64_t tick, unsigned int i, uint8_t val)
{
	struct pit_counter *c = &pit->c[i];

	if (i == 0)
		run_due(pit, tick);
	pit_counter_write(c, tick, val);
	/* In a periodic mode OUT does not change by a new count: leave the line at rest. */
	if (i == 0 && (c->mode == 2 || c->mode == 3))
		plan(pit, tick, tick + PIT_ONE_SHOT_TICKS);
	else if (i == 0)
		counter0_changed(pit, tick);
}

static uint8_t read_port_b(struct pit *pit)
{
	pit->refresh = !pit->refresh;
	return (uint8_t)(pit->port_b | (pit->refresh ? PORTB_REFRESH : 0) |
			 (pit_counter_out(&pit->c[2], tick_now(pit)) ? PORTB_OUT2 : 0));
}

static enum bus_status pit_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct pit *pit = container_of(dev, struct pit, dev);

	if (a->size != 1)
		return BUS_BAD;
	if (a->region == REGION_PORT_B)
		*ret_val = read_port_b(pit);
	else if (a->off < COUNTERS)
		*ret_val = pit_counter_read(&pit->c[a->off], tick_now(pit));
	else
		*ret_val = 0xff; /* the control word cannot be read */
	return BUS_OK;
}

static enum bus_status pit_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct pit *pit = container_of(dev, struct pit, dev);
	uint64_t tick = tick_now(pit);

	if (a->size != 1)
		return BUS_BAD;
	if (a->region == REGION_PORT_B) {
		pit->port_b = (uint8_t)(val & PORTB_WRITABLE);
		pit_counter_gate(&pit->c[2], tick, val & PORTB_GATE2);
	} else if (a->off == OFF_CONTROL) {
		write_control(pit, tick, (uint8_t)val);
	} else {
		write_counter(pit, tick, (unsigned int)a->off, (uint8_t)val);
	}
	return BUS_OK;
}

/* Nothing counts until it is programmed; counters 0 and 1 have their gates tied high. */
static void pit_reset(struct device *dev)
{
	struct pit *pit = container_of(dev, struct pit, dev);

	for (unsigned int i = 0; i < COUNTERS; i++) {
		pit->c[i] = (struct pit_counter){ .gate = i != 2 };
		pit_counter_control(&pit->c[i], 0, PIT_ACCESS_BOTH, false);
	}
	pit->port_b = 0;
	pit->refresh = false;
	counter0_changed(pit, tick_now(pit));
}

static void pit_destroy(struct device *dev)
{
	struct pit *pit = container_of(dev, struct pit, dev);

	if (pit->timer)
		pit->w.timers.ops->destroy(pit->timer);
	device_fini(dev);
	free(pit);
}

struct counter_shown {
	struct pit_counter c;
	uint64_t tick;
};

static const char *access_name(uint8_t access)
{
	static const char *const name[] = { "none", "low", "high", "both" };

	return name[access & 3];
}

static void inspect_counter(struct inspect *in, const void *obj)
{
	const struct counter_shown *s = obj;
	struct pit_counter c = s->c; /* asking for its output brings it up to date */

	inspect_bool(in, SENS_SENSITIVE, "out", pit_counter_out(&c, s->tick));
	inspect_u64(in, SENS_SENSITIVE, "mode", c.mode);
	inspect_str(in, SENS_SENSITIVE, "access", access_name(c.access));
	inspect_bool(in, SENS_SENSITIVE, "bcd", c.bcd);
	inspect_bool(in, SENS_SENSITIVE, "gate", c.gate);
	inspect_bool(in, SENS_SENSITIVE, "counting", c.counting);
	inspect_bool(in, SENS_SENSITIVE, "null_count", c.null_count);
	inspect_u64(in, SENS_SENSITIVE, "reload", c.cr);
	if (c.latched)
		inspect_hex(in, SENS_SENSITIVE, "latch", c.latch);
	if (c.status_latched)
		inspect_hex(in, SENS_SENSITIVE, "latched_status", c.status);
}

static void inspect_counters(struct inspect *in, const void *obj)
{
	const struct counter_shown *s = obj;

	for (uint64_t i = 0; i < COUNTERS; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, inspect_counter, &s[i]);
}

static void pit_inspect(struct device *dev, struct inspect *in)
{
	struct pit *pit = container_of(dev, struct pit, dev);
	uint64_t tick = tick_now(pit), rise_at;
	struct counter_shown s[COUNTERS];
	uint8_t port_b;
	bool line;

	device_lock(dev);
	for (unsigned int i = 0; i < COUNTERS; i++)
		s[i] = (struct counter_shown){ pit->c[i], tick };
	port_b = pit->port_b;
	line = pit->line;
	rise_at = pit->rise_at;
	device_unlock(dev);
	inspect_bool(in, SENS_UNSPEC, "interrupt_level", line);
	inspect_hex(in, SENS_SENSITIVE, "port_b", port_b);
	if (rise_at)
		inspect_ns(in, SENS_SENSITIVE, "next_interrupt_in",
			   rise_at > tick ? ticks_to_ns(rise_at - tick, PIT_HZ) : 0);
	inspect_dir(in, SENS_UNSPEC, "counters", inspect_counters, s);
}

static const struct device_ops pit_ops = {
	.name = "pit",
	.reset = pit_reset,
	.io_read = pit_read,
	.io_write = pit_write,
	.inspect = pit_inspect,
	.destroy = pit_destroy,
};

int pit_create(const struct pit_wiring *w, struct pit **ret_pit)
{
	struct pit *pit = calloc(1, sizeof(*pit));
	int r;

	if (!pit)
		return -ENOMEM;
	device_init(&pit->dev, &pit_ops, "pit");
	pit->w = *w;
	r = w->timers.ops->create(w->timers.ctx, timer_fired, pit, &pit->timer);
	if (r < 0) {
		pit_destroy(&pit->dev);
		return r;
	}
	device_reset(&pit->dev);
	*ret_pit = pit;
	return 0;
}

struct device *pit_device(struct pit *pit)
{
	return &pit->dev;
}

int pit_claim(struct pit *pit, struct bus *bus)
{
	int r = bus_claim(bus, BUS_PIO, 0x40, 4, &pit->dev, REGION_COUNTERS);

	if (r == 0)
		r = bus_claim(bus, BUS_PIO, 0x61, 1, &pit->dev, REGION_PORT_B);
	return r;
}
