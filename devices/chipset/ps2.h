/* SPDX-License-Identifier: MIT */
/*
 * The two PS/2 devices as the i8042 sees them: bytes in, answers into a queue. Nobody types or
 * moves the mouse. No lock: the controller serialises calls.
 * Trust: bytes come from VTL0. Spec: IBM PS/2 Technical Reference, keyboard; auxiliary device.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PS2_QUEUE 16u

enum ps2_kind { PS2_KEYBOARD, PS2_MOUSE };

struct ps2 {
	enum ps2_kind kind;
	uint8_t queue[PS2_QUEUE]; /* answers, oldest first */
	uint8_t n;
	uint8_t wants_param; /* the command whose parameter comes next, 0 = none */
	uint8_t last; /* last byte sent, for "resend" */
	uint8_t scan_set, leds, rate, resolution;
	bool reporting, remote, scaling2, wrap;
};

/* Power-on defaults, empty queue. */
void ps2_init(struct ps2 *d, enum ps2_kind kind);

/* A byte from the host. Returns: how many answer bytes found no room. */
unsigned int ps2_write(struct ps2 *d, uint8_t val);

/* Next answer; only if d->n > 0. */
uint8_t ps2_take(struct ps2 *d);
