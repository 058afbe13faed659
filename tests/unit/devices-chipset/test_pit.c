/* SPDX-License-Identifier: MIT */
#include "pit.h"

#include "unit.h"

#include "chip_rig.h"
#include "pitcount.h"

static struct chip_rig rig;

#define TICK_NS(ticks) (((ticks) * 1000000000ull + PIT_HZ - 1) / PIT_HZ)

/* Edge on IOAPIC input 2 = rises of OUT0. */
static void start(void)
{
	rig_init(&rig);
	rig_route(&rig, PIT_IRQ, 0x20);
}

static void program(unsigned int counter, unsigned int mode, uint16_t count)
{
	rig_outb(&rig, 0x43, (uint8_t)(counter << 6 | 0x30 | mode << 1));
	rig_outb(&rig, (uint16_t)(0x40 + counter), (uint8_t)count);
	rig_outb(&rig, (uint16_t)(0x40 + counter), (uint8_t)(count >> 8));
}

/* The next two bytes of a counter. */
static uint16_t both(unsigned int counter)
{
	uint8_t low = rig_inb(&rig, (uint16_t)(0x40 + counter));

	return (uint16_t)(low | rig_inb(&rig, (uint16_t)(0x40 + counter)) << 8);
}

static uint16_t latched(unsigned int counter)
{
	rig_outb(&rig, 0x43, (uint8_t)(counter << 6));
	return both(counter);
}

static uint8_t status(unsigned int counter)
{
	rig_outb(&rig, 0x43, (uint8_t)(0xe0 | 2 << counter));
	return rig_inb(&rig, (uint16_t)(0x40 + counter));
}

START_TEST(periodic_square_wave)
{
	start();
	program(0, 3, 11932); /* 100 Hz */
	rig.n_msi = 0;
	rig_step(&rig, 1000000000, 1000);
	ck_assert_uint_ge(rig.n_msi, 99);
	ck_assert_uint_le(rig.n_msi, 100);
	rig_fini(&rig);
}
END_TEST

START_TEST(periodic_rate_generator)
{
	start();
	program(0, 2, 0); /* 65536: 18.2 Hz */
	rig.n_msi = 0;
	rig_step(&rig, 10ull * 1000000000, 1000);
	ck_assert_uint_eq(rig.n_msi, 182);
	rig_fini(&rig);
}
END_TEST

START_TEST(one_shot_fires_once)
{
	start();
	program(0, 0, 1000);
	rig.n_msi = 0;
	rig_step(&rig, TICK_NS(1000), 10);
	ck_assert_uint_eq(rig.n_msi, 0);
	rig_step(&rig, TICK_NS(2), 10);
	ck_assert_uint_eq(rig.n_msi, 1);
	rig_step(&rig, 1000000000, 10);
	ck_assert_uint_eq(rig.n_msi, 1);
	rig_fini(&rig);
}
END_TEST

/* What Linux does per one-shot event: a new LSB/MSB pair without a control word. */
START_TEST(lsb_msb_one_shot_reprogram)
{
	start();
	program(0, 0, 0x1234);
	for (unsigned int i = 0; i < 5; i++) {
		unsigned int before = rig.n_msi;
		uint16_t count = (uint16_t)(0x0300 + i);

		rig_outb(&rig, 0x40, (uint8_t)count);
		rig_outb(&rig, 0x40, (uint8_t)(count >> 8));
		ck_assert_uint_eq(latched(0), count);
		rig_step(&rig, TICK_NS(count + 2u), 10);
		ck_assert_uint_eq(rig.n_msi, before + 1);
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(first_byte_stops_mode_0)
{
	start();
	program(0, 0, 100);
	rig_outb(&rig, 0x40, 50);
	rig_step(&rig, 1000000000, 10);
	ck_assert_uint_eq(rig.n_msi, 0);
	ck_assert_uint_eq(status(0) & 0x80, 0);
	rig_outb(&rig, 0x40, 0);
	rig_step(&rig, TICK_NS(52), 10);
	ck_assert_uint_eq(rig.n_msi, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(due_event_survives_reprogramming)
{
	start();
	program(0, 0, 100);
	rig_step(&rig, TICK_NS(200), 0); /* time passes, the callback is late */
	program(0, 0, 5000);
	ck_assert_uint_eq(rig.n_msi, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(early_callback_waits)
{
	struct rig_timer *t;

	start();
	program(0, 0, 1000);
	for (t = rig.timer; !t->armed; t++)
		;
	t->armed = false;
	t->fn(t->ctx); /* the race between a callback and a later deadline */
	ck_assert_uint_eq(rig.n_msi, 0);
	rig_step(&rig, TICK_NS(1002), 10);
	ck_assert_uint_eq(rig.n_msi, 1);
	t->fn(t->ctx); /* and one that comes after it is all over */
	ck_assert_uint_eq(rig.n_msi, 1);
	ck_assert(!t->armed);
	rig_fini(&rig);
}
END_TEST

START_TEST(counts_down)
{
	start();
	program(2, 0, 0xffff);
	ck_assert_uint_eq(latched(2), 0xffff); /* gate low: stands still */
	rig_step(&rig, TICK_NS(100), 0);
	ck_assert_uint_eq(latched(2), 0xffff);
	rig_outb(&rig, 0x61, 1);
	rig_step(&rig, TICK_NS(0x1000), 0);
	ck_assert_uint_le(latched(2), 0xf000);
	ck_assert_uint_ge(latched(2), 0xefff);
	rig_outb(&rig, 0x61, 0); /* pauses */
	rig_step(&rig, TICK_NS(500), 0);
	ck_assert_uint_ge(latched(2), 0xefff);
	rig_outb(&rig, 0x61, 1); /* and goes on where it stopped */
	rig_step(&rig, TICK_NS(0x100), 0);
	ck_assert_uint_le(latched(2), 0xef00);
	ck_assert_uint_ge(latched(2), 0xeefe);
	rig_fini(&rig);
}
END_TEST

START_TEST(latch_holds_until_read)
{
	start();
	program(0, 2, 1000);
	rig_outb(&rig, 0x43, 0x00);
	rig_step(&rig, TICK_NS(400), 0);
	rig_outb(&rig, 0x43, 0x00); /* ignored: still latched */
	ck_assert_uint_eq(both(0), 1000);
	ck_assert_uint_lt(latched(0), 700);
	rig_fini(&rig);
}
END_TEST

START_TEST(read_back_bits_are_active_low)
{
	start();
	program(0, 2, 0x1234);
	rig_outb(&rig, 0x43, 0xf2); /* neither count nor status */
	rig_outb(&rig, 0x43, 0xd2); /* count only */
	rig_step(&rig, TICK_NS(16), 0);
	ck_assert_uint_eq(rig_inb(&rig, 0x40), 0x34);
	ck_assert_uint_eq(rig_inb(&rig, 0x40), 0x12);
	rig_outb(&rig, 0x43, 0xe2); /* status only */
	ck_assert_uint_eq(rig_inb(&rig, 0x40), 0xb4);
	rig_outb(&rig, 0x43, 0xc2); /* both: status comes first */
	ck_assert_uint_eq(rig_inb(&rig, 0x40), 0xb4);
	ck_assert_uint_lt(both(0), 0x1234);
	rig_fini(&rig);
}
END_TEST

START_TEST(read_back_selects_counters)
{
	start();
	program(0, 2, 0x1111);
	program(1, 2, 0x2222);
	program(2, 2, 0x3333);
	rig_outb(&rig, 0x43, 0xd0 | 0x0c); /* counts of 1 and 2 */
	rig_step(&rig, TICK_NS(0x40), 0);
	ck_assert_uint_eq(rig_inb(&rig, 0x41), 0x22);
	ck_assert_uint_eq(rig_inb(&rig, 0x42), 0x33);
	ck_assert_uint_ne(rig_inb(&rig, 0x40), 0x11);
	rig_fini(&rig);
}
END_TEST

START_TEST(status_null_count)
{
	start();
	rig_outb(&rig, 0x43, 0x34);
	ck_assert_uint_eq(status(0), 0xf4); /* OUT high, no count */
	rig_outb(&rig, 0x40, 0x00);
	ck_assert_uint_eq(status(0) & 0x40, 0x40);
	rig_outb(&rig, 0x40, 0x10);
	ck_assert_uint_eq(status(0) & 0x40, 0);
	rig_outb(&rig, 0x40, 0x00); /* a new count waits for the end of the cycle */
	rig_outb(&rig, 0x40, 0x20);
	ck_assert_uint_eq(status(0) & 0x40, 0x40);
	rig_step(&rig, TICK_NS(0x1002), 0);
	ck_assert_uint_eq(status(0) & 0x40, 0);
	ck_assert_uint_gt(latched(0), 0x1f00);
	rig_fini(&rig);
}
END_TEST

START_TEST(single_byte_access)
{
	start();
	rig_outb(&rig, 0x43, 0x14); /* LSB only, mode 2 */
	rig_outb(&rig, 0x40, 0x80);
	ck_assert_uint_eq(rig_inb(&rig, 0x40), 0x80);
	ck_assert_uint_eq(rig_inb(&rig, 0x40), 0x80);
	rig_outb(&rig, 0x43, 0x24); /* MSB only */
	rig_outb(&rig, 0x40, 0x80);
	ck_assert_uint_eq(rig_inb(&rig, 0x40), 0x80);
	rig_fini(&rig);
}
END_TEST

START_TEST(bcd)
{
	start();
	rig_outb(&rig, 0x43, 0x35);
	rig_outb(&rig, 0x40, 0x00);
	rig_outb(&rig, 0x40, 0x10);
	ck_assert_uint_eq(latched(0), 0x1000);
	rig_step(&rig, TICK_NS(11), 0);
	ck_assert_uint_eq(latched(0), 0x0990);
	rig_fini(&rig);
}
END_TEST

START_TEST(modes_6_and_7)
{
	start();
	rig_outb(&rig, 0x43, 0x3c);
	ck_assert_uint_eq(status(0) & 0x0e, 0x04);
	rig_outb(&rig, 0x43, 0x3e);
	ck_assert_uint_eq(status(0) & 0x0e, 0x06);
	rig_fini(&rig);
}
END_TEST

START_TEST(port_61_out2_and_gate)
{
	start();
	program(2, 0, 1000);
	ck_assert_uint_eq(rig_inb(&rig, 0x61) & 0x21, 0);
	rig_outb(&rig, 0x61, 0x01);
	rig_step(&rig, TICK_NS(999), 0);
	ck_assert_uint_eq(rig_inb(&rig, 0x61) & 0x21, 0x01);
	rig_step(&rig, TICK_NS(3), 0);
	ck_assert_uint_eq(rig_inb(&rig, 0x61) & 0x21, 0x21);
	rig_fini(&rig);
}
END_TEST

START_TEST(port_61_bits)
{
	uint8_t a, b;

	start();
	rig_outb(&rig, 0x61, 0xff);
	a = rig_inb(&rig, 0x61);
	b = rig_inb(&rig, 0x61);
	ck_assert_uint_eq(a & 0xcf, 0x0f);
	ck_assert_uint_eq((a ^ b) & 0x10, 0x10); /* refresh */
	rig_fini(&rig);
}
END_TEST

START_TEST(gate_retriggers_one_shot)
{
	struct pit_counter c = { 0 };
	uint64_t t = PIT_TICK_MIN;

	pit_counter_control(&c, 1, PIT_ACCESS_LSB, false);
	pit_counter_write(&c, t, 10);
	ck_assert(pit_counter_out(&c, t + 100)); /* not triggered */
	pit_counter_gate(&c, t + 100, true);
	ck_assert(!pit_counter_out(&c, t + 101));
	ck_assert(!pit_counter_out(&c, t + 110));
	ck_assert(pit_counter_out(&c, t + 111));
	pit_counter_gate(&c, t + 112, false);
	pit_counter_gate(&c, t + 113, true);
	pit_counter_gate(&c, t + 115, false);
	pit_counter_gate(&c, t + 118, true); /* again before the end */
	ck_assert(!pit_counter_out(&c, t + 128));
	ck_assert(pit_counter_out(&c, t + 129));
}
END_TEST

START_TEST(strobes)
{
	struct pit_counter c = { .gate = true };
	uint64_t t = PIT_TICK_MIN, rise;

	pit_counter_control(&c, 4, PIT_ACCESS_LSB, false);
	pit_counter_write(&c, t, 5);
	ck_assert(pit_counter_out(&c, t + 5));
	ck_assert(!pit_counter_out(&c, t + 6)); /* one tick low */
	ck_assert(pit_counter_out(&c, t + 7));
	ck_assert(pit_counter_next_rise(&c, t, &rise));
	ck_assert_uint_eq(rise, t + 7);
	ck_assert(!pit_counter_next_rise(&c, t + 7, &rise));

	c = (struct pit_counter){ 0 };
	pit_counter_control(&c, 5, PIT_ACCESS_LSB, false);
	pit_counter_write(&c, t, 5);
	ck_assert(pit_counter_out(&c, t + 6));
	pit_counter_gate(&c, t + 10, true);
	ck_assert(!pit_counter_out(&c, t + 16));
	ck_assert(pit_counter_out(&c, t + 17));
}
END_TEST

START_TEST(gate_stops_rate_generator)
{
	struct pit_counter c = { .gate = true };
	uint64_t t = PIT_TICK_MIN, rise;

	pit_counter_control(&c, 2, PIT_ACCESS_LSB, false);
	pit_counter_write(&c, t, 4);
	ck_assert(!pit_counter_out(&c, t + 4)); /* count 1 */
	pit_counter_gate(&c, t + 4, false);
	ck_assert(pit_counter_out(&c, t + 4)); /* forced high */
	ck_assert(!pit_counter_next_rise(&c, t + 4, &rise));
	pit_counter_gate(&c, t + 20, true);
	ck_assert(pit_counter_next_rise(&c, t + 20, &rise));
	ck_assert_uint_eq(rise, t + 25);
}
END_TEST

START_TEST(square_wave_halves)
{
	/* Odd counts are high for one tick longer; values go down by two. */
	static const uint8_t out5[] = { 1, 1, 1, 0, 0 };
	static const uint8_t val5[] = { 4, 2, 0, 4, 2 };
	struct pit_counter c = { .gate = true };
	uint64_t t = PIT_TICK_MIN;

	pit_counter_control(&c, 3, PIT_ACCESS_LSB, false);
	pit_counter_write(&c, t, 5);
	for (unsigned int i = 0; i < 15; i++) {
		ck_assert_uint_eq(pit_counter_out(&c, t + 1 + i), out5[i % 5]);
		ck_assert_uint_eq(pit_counter_read(&c, t + 1 + i), val5[i % 5]);
	}
}
END_TEST

START_TEST(square_wave_new_count_after_half)
{
	struct pit_counter c = { .gate = true };
	uint64_t t = PIT_TICK_MIN, rise;

	pit_counter_control(&c, 3, PIT_ACCESS_LSB, false);
	pit_counter_write(&c, t, 20); /* high t+1..t+10 */
	pit_counter_write(&c, t + 5, 4); /* low half of 4 from t+11, then high from t+13 */
	ck_assert(pit_counter_next_rise(&c, t + 5, &rise));
	ck_assert_uint_eq(rise, t + 13);
	ck_assert(pit_counter_out(&c, t + 10));
	ck_assert(!pit_counter_out(&c, t + 11));
	ck_assert(!pit_counter_out(&c, t + 12));
	ck_assert(pit_counter_out(&c, t + 13));
	ck_assert(!pit_counter_out(&c, t + 15));
	ck_assert(pit_counter_out(&c, t + 17));
}
END_TEST

START_TEST(square_wave_new_count_after_cycle)
{
	struct pit_counter c = { .gate = true };
	uint64_t t = PIT_TICK_MIN, rise;

	pit_counter_control(&c, 3, PIT_ACCESS_LSB, false);
	pit_counter_write(&c, t, 20); /* high t+1..t+10, low t+11..t+20 */
	pit_counter_write(&c, t + 11, 5); /* in the low half: takes over at its end */
	ck_assert(pit_counter_next_rise(&c, t + 15, &rise));
	ck_assert_uint_eq(rise, t + 21);
	ck_assert(!pit_counter_out(&c, t + 20));
	ck_assert(pit_counter_out(&c, t + 21));
	ck_assert(pit_counter_out(&c, t + 23));
	ck_assert(!pit_counter_out(&c, t + 24));
	ck_assert(pit_counter_out(&c, t + 26));
}
END_TEST

START_TEST(fast_rates_do_not_storm)
{
	start();
	program(0, 2, 1); /* 1.19 MHz */
	ck_assert_uint_le(rig_step(&rig, 1000000000, 1000000), 10100);
	program(0, 3, 2);
	ck_assert_uint_le(rig_step(&rig, 1000000000, 1000000), 10100);
	rig_fini(&rig);
}
END_TEST

START_TEST(port_access_keeps_the_timer_going)
{
	start();
	program(0, 2, 11932);
	rig_step(&rig, 20000000, 0); /* two events due, callback late */
	rig_outb(&rig, 0x61, 1);
	rig_outb(&rig, 0x43, 0x00);
	program(2, 0, 100);
	rig.n_msi = 0;
	rig_step(&rig, 1000000000, 1000);
	ck_assert_uint_ge(rig.n_msi, 99);
	rig_fini(&rig);
}
END_TEST

START_TEST(sizes)
{
	struct bus_counts n;

	start();
	ck_assert_uint_eq(rig_in(&rig, 0x40, 2), 0xffff);
	ck_assert_uint_eq(rig_in(&rig, 0x61, 4), 0xffffffff);
	ck_assert_uint_eq(rig_inb(&rig, 0x43), 0xff);
	rig_out(&rig, 0x40, 2, 0);
	rig_out(&rig, 0x43, 4, 0);
	bus_stats(rig.bus, &n);
	ck_assert_uint_eq(n.bad, 4);
	rig_fini(&rig);
}
END_TEST

START_TEST(reset_stops_everything)
{
	start();
	program(0, 2, 100);
	device_reset(pit_device(rig.cs->pit));
	rig.n_msi = 0;
	ck_assert_uint_eq(rig_step(&rig, 1000000000, 1000), 0);
	ck_assert_uint_eq(rig.n_msi, 0);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("pit", periodic_square_wave, periodic_rate_generator, one_shot_fires_once,
	  lsb_msb_one_shot_reprogram, first_byte_stops_mode_0, due_event_survives_reprogramming,
	  early_callback_waits, counts_down, latch_holds_until_read, read_back_bits_are_active_low,
	  read_back_selects_counters, status_null_count, single_byte_access, bcd, modes_6_and_7,
	  port_61_out2_and_gate, port_61_bits, gate_retriggers_one_shot, strobes,
	  gate_stops_rate_generator, square_wave_halves, square_wave_new_count_after_half,
	  square_wave_new_count_after_cycle,
	  fast_rates_do_not_storm, port_access_keeps_the_timer_going, sizes, reset_stops_everything)
