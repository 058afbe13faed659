/* SPDX-License-Identifier: MIT */
/*
 * One counter of an 8254 as a function of time: nothing ticks, every value is computed from the
 * tick at which the count was loaded. No lock, no clock, no allocation: the owner passes the
 * present tick and serialises calls.
 *
 * All six modes, binary and BCD, LSB/MSB/both access, count and status latches, gate.
 * Trust: bytes come from VTL0. Spec: Intel 8254 data sheet.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Ticks handed in must not be below this, so that loads can be dated before the present. */
#define PIT_TICK_MIN 0x100000u

enum pit_access { PIT_ACCESS_LSB = 1, PIT_ACCESS_MSB = 2, PIT_ACCESS_BOTH = 3 };

struct pit_counter {
	uint8_t mode; /* 0..5 */
	uint8_t access; /* enum pit_access */
	bool bcd;
	bool gate;
	/* Count register and byte flip-flops. */
	uint8_t low; /* first byte of a two-byte write */
	bool write_high, read_high; /* the next byte is the high one */
	uint32_t cr; /* last complete count, 1..65536; 0 = none since the control word */
	/* Counting element. */
	uint32_t n; /* the count it works with */
	uint64_t start; /* tick at which it held n; only while counting */
	uint64_t held; /* elapsed ticks while the gate stops it */
	bool loaded, counting;
	bool null_count; /* cr was not taken over yet */
	uint64_t reload_at; /* modes 2 and 3: tick at which cr takes over; 0 = no change due */
	/* Latches. */
	uint16_t latch;
	uint8_t status;
	bool latched, status_latched;
};

/* A control word: mode (0..7, 6 and 7 mean 2 and 3), access, BCD. */
void pit_counter_control(struct pit_counter *c, unsigned int mode, enum pit_access access,
			 bool bcd);

/* One byte written to or read from the counter's port. */
void pit_counter_write(struct pit_counter *c, uint64_t tick, uint8_t val);
uint8_t pit_counter_read(struct pit_counter *c, uint64_t tick);

/* Latch commands; a latch that is still unread stays. */
void pit_counter_latch(struct pit_counter *c, uint64_t tick);
void pit_counter_latch_status(struct pit_counter *c, uint64_t tick);

void pit_counter_gate(struct pit_counter *c, uint64_t tick, bool level);

/* Level of OUT. */
bool pit_counter_out(struct pit_counter *c, uint64_t tick);

/**
 * pit_counter_next_rise - when OUT next goes from low to high by counting
 * @tick: present; the answer is later
 * @ret_tick: set when true
 * Returns: false: never without the guest doing something. Counts of 1 in modes 2 and 3 count as a
 * rise per cycle.
 */
bool pit_counter_next_rise(struct pit_counter *c, uint64_t tick, uint64_t *ret_tick);
