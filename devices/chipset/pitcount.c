/* SPDX-License-Identifier: MIT */
#include "pitcount.h"

#define MODULUS_BIN 65536u
#define MODULUS_BCD 10000u

#define STATUS_OUT 0x80u
#define STATUS_NULL 0x40u

enum pit_mode {
	MODE_TERMINAL_COUNT,
	MODE_ONE_SHOT,
	MODE_RATE,
	MODE_SQUARE,
	MODE_SOFT_STROBE,
	MODE_HARD_STROBE,
};

static bool is_periodic(const struct pit_counter *c)
{
	return c->mode == MODE_RATE || c->mode == MODE_SQUARE;
}

/* Started by the gate's rising edge only. */
static bool is_triggered(const struct pit_counter *c)
{
	return c->mode == MODE_ONE_SHOT || c->mode == MODE_HARD_STROBE;
}

static uint32_t modulus(const struct pit_counter *c)
{
	return c->bcd ? MODULUS_BCD : MODULUS_BIN;
}

static uint32_t from_bcd(uint32_t v)
{
	return (v >> 12 & 15) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15);
}

static uint32_t to_bcd(uint32_t v)
{
	return v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
}

static uint64_t elapsed(const struct pit_counter *c, uint64_t tick)
{
	if (!c->counting)
		return c->held;
	return tick > c->start ? tick - c->start : 0;
}

/* Ticks for which a square wave of n is high. */
static uint32_t high_half(uint32_t n)
{
	return (n + 1) / 2;
}

static void load(struct pit_counter *c, uint32_t n, uint64_t start)
{
	c->n = n;
	c->start = start;
	c->held = 0;
	c->loaded = c->counting = true;
	c->null_count = false;
	c->reload_at = 0;
}

/* In the periodic modes a new count takes over at the end of the cycle (square: half cycle). */
static void take_over(struct pit_counter *c, uint64_t tick)
{
	uint64_t at = c->reload_at;

	if (!at || !c->counting || tick < at)
		return;
	if (c->mode == MODE_SQUARE && (at - c->start) % c->n)
		load(c, c->cr, at - high_half(c->cr)); /* in mid-cycle: the low half follows */
	else
		load(c, c->cr, at);
}

static uint64_t end_of_part(const struct pit_counter *c, uint64_t tick)
{
	uint64_t e = elapsed(c, tick);
	uint64_t cycle = c->start + e / c->n * c->n;

	if (c->mode == MODE_SQUARE && e % c->n < high_half(c->n))
		return cycle + high_half(c->n);
	return cycle + c->n;
}

static void count_written(struct pit_counter *c, uint64_t tick, uint32_t raw)
{
	uint32_t n = c->bcd ? from_bcd(raw) : raw;

	c->cr = n ? n : modulus(c);
	c->null_count = true;
	if (is_triggered(c))
		return;
	if (!is_periodic(c) || !c->loaded) {
		load(c, c->cr, tick + 1);
		c->counting = c->gate;
	} else if (c->counting && !c->reload_at) {
		c->reload_at = end_of_part(c, tick);
	}
}

void pit_counter_control(struct pit_counter *c, unsigned int mode, enum pit_access access,
			 bool bcd)
{
	*c = (struct pit_counter){
		.mode = (uint8_t)(mode > MODE_HARD_STROBE ? mode & 3 : mode),
		.access = (uint8_t)access,
		.bcd = bcd,
		.gate = c->gate,
		.null_count = true,
	};
}

void pit_counter_write(struct pit_counter *c, uint64_t tick, uint8_t val)
{
	take_over(c, tick);
	switch ((enum pit_access)c->access) {
	case PIT_ACCESS_LSB:
		count_written(c, tick, val);
		return;
	case PIT_ACCESS_MSB:
		count_written(c, tick, (uint32_t)val << 8);
		return;
	case PIT_ACCESS_BOTH:
		break;
	}
	if (c->write_high) {
		count_written(c, tick, (uint32_t)val << 8 | c->low);
	} else {
		c->low = val;
		if (c->mode == MODE_TERMINAL_COUNT) /* the first byte stops it and drops OUT */
			c->loaded = c->counting = false;
	}
	c->write_high = !c->write_high;
}

/* A square wave counts down by two, twice per cycle. */
static uint32_t square_value(const struct pit_counter *c, uint64_t e)
{
	uint32_t pos = (uint32_t)(e % c->n);

	if (pos >= high_half(c->n))
		pos -= high_half(c->n);
	return (c->n & ~1u) - 2 * pos;
}

static uint16_t value(struct pit_counter *c, uint64_t tick)
{
	uint32_t m = modulus(c);
	uint64_t e;
	uint32_t v;

	take_over(c, tick);
	if (!c->loaded)
		return 0;
	e = elapsed(c, tick);
	if (c->mode == MODE_SQUARE)
		v = square_value(c, e);
	else if (c->mode == MODE_RATE)
		v = c->n - (uint32_t)(e % c->n);
	else
		v = c->n % m + m - (uint32_t)(e % m);
	v %= m;
	return (uint16_t)(c->bcd ? to_bcd(v) : v);
}

uint8_t pit_counter_read(struct pit_counter *c, uint64_t tick)
{
	bool high = c->access == PIT_ACCESS_MSB;
	uint16_t v;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	v = c->latched ? c->latch : value(c, tick);
	if (c->access == PIT_ACCESS_BOTH) {
		high = c->read_high;
		c->read_high = !c->read_high;
	}
	if (c->access != PIT_ACCESS_BOTH || high)
		c->latched = false;
	return (uint8_t)(high ? v >> 8 : v);
}

void pit_counter_latch(struct pit_counter *c, uint64_t tick)
{
	if (c->latched)
		return;
	c->latch = value(c, tick);
	c->latched = true;
}

void pit_counter_latch_status(struct pit_counter *c, uint64_t tick)
{
	bool out = pit_counter_out(c, tick);

	if (c->status_latched)
		return;
	c->status = (uint8_t)((out ? STATUS_OUT : 0) | (c->null_count ? STATUS_NULL : 0) |
			      (uint32_t)c->access << 4 | (uint32_t)c->mode << 1 |
			      (c->bcd ? 1u : 0));
	c->status_latched = true;
}

static void gate_rise(struct pit_counter *c, uint64_t tick)
{
	if (is_triggered(c)) {
		if (c->cr)
			load(c, c->cr, tick + 1);
	} else if (c->loaded && is_periodic(c)) {
		load(c, c->cr, tick + 1);
	} else if (c->loaded) {
		c->start = tick - c->held;
		c->counting = true;
	}
}

static void gate_fall(struct pit_counter *c, uint64_t tick)
{
	if (is_triggered(c) || !c->loaded)
		return;
	c->held = elapsed(c, tick);
	c->counting = false;
	c->reload_at = 0; /* the next trigger loads cr anyway */
}

void pit_counter_gate(struct pit_counter *c, uint64_t tick, bool level)
{
	if (level == c->gate)
		return;
	take_over(c, tick);
	c->gate = level;
	if (level)
		gate_rise(c, tick);
	else
		gate_fall(c, tick);
}

bool pit_counter_out(struct pit_counter *c, uint64_t tick)
{
	uint64_t e;

	take_over(c, tick);
	if (!c->loaded)
		return c->mode != MODE_TERMINAL_COUNT;
	e = elapsed(c, tick);
	switch ((enum pit_mode)c->mode) {
	case MODE_TERMINAL_COUNT:
	case MODE_ONE_SHOT:
		return e >= c->n;
	case MODE_RATE:
		return !c->counting || e % c->n != c->n - 1;
	case MODE_SQUARE:
		return !c->counting || e % c->n < high_half(c->n);
	case MODE_SOFT_STROBE:
	case MODE_HARD_STROBE:
		return e != c->n;
	}
	return true;
}

static uint64_t next_cycle(const struct pit_counter *c, uint64_t tick)
{
	if (!c->reload_at)
		return c->start + (elapsed(c, tick) / c->n + 1) * c->n;
	if (c->mode == MODE_SQUARE && (c->reload_at - c->start) % c->n)
		return c->reload_at + c->cr - high_half(c->cr);
	return c->reload_at;
}

bool pit_counter_next_rise(struct pit_counter *c, uint64_t tick, uint64_t *ret_tick)
{
	uint64_t at;

	take_over(c, tick);
	if (!c->loaded || !c->counting)
		return false;
	if (is_periodic(c))
		at = next_cycle(c, tick);
	else if (c->mode == MODE_TERMINAL_COUNT || c->mode == MODE_ONE_SHOT)
		at = c->start + c->n;
	else
		at = c->start + c->n + 1;
	if (at <= tick)
		return false;
	*ret_tick = at;
	return true;
}
