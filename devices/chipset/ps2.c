/* SPDX-License-Identifier: MIT */
#include "ps2.h"

#include "macros.h"

#include <string.h>

#define ACK 0xfau
#define RESEND 0xfeu
#define SELF_TEST_OK 0xaau

/* Commands of both devices. */
#define CMD_READ_ID 0xf2u
#define CMD_SET_RATE 0xf3u
#define CMD_ENABLE 0xf4u
#define CMD_DISABLE 0xf5u
#define CMD_DEFAULTS 0xf6u
#define CMD_RESEND 0xfeu
#define CMD_RESET 0xffu
/* Keyboard. */
#define KBD_LEDS 0xedu
#define KBD_ECHO 0xeeu
#define KBD_SCAN_SET 0xf0u
#define KBD_ALL_FIRST 0xf7u /* 0xf7..0xfa: key type of all keys */
#define KBD_ALL_LAST 0xfau
/* Mouse. */
#define AUX_SCALE_1 0xe6u
#define AUX_SCALE_2 0xe7u
#define AUX_RESOLUTION 0xe8u
#define AUX_STATUS 0xe9u
#define AUX_STREAM 0xeau
#define AUX_READ_DATA 0xebu
#define AUX_WRAP_OFF 0xecu
#define AUX_WRAP_ON 0xeeu
#define AUX_REMOTE 0xf0u

#define AUX_PACKET_IDLE 0x08u /* first byte of a packet: no button, no movement */

static void set_defaults(struct ps2 *d)
{
	d->scan_set = 2;
	d->leds = 0;
	d->rate = d->kind == PS2_MOUSE ? 100 : 0x2b;
	d->resolution = 2;
	d->reporting = d->kind == PS2_KEYBOARD; /* a mouse waits to be enabled */
	d->remote = d->scaling2 = d->wrap = false;
	d->wants_param = 0;
}

void ps2_init(struct ps2 *d, enum ps2_kind kind)
{
	memset(d, 0, sizeof(*d));
	d->kind = kind;
	set_defaults(d);
}

static unsigned int put(struct ps2 *d, const uint8_t *bytes, unsigned int n)
{
	unsigned int room = PS2_QUEUE - d->n;
	unsigned int fit = MIN(n, room);

	memcpy(d->queue + d->n, bytes, fit);
	d->n = (uint8_t)(d->n + fit);
	return n - fit;
}

static unsigned int put1(struct ps2 *d, uint8_t byte)
{
	return put(d, &byte, 1);
}

uint8_t ps2_take(struct ps2 *d)
{
	uint8_t byte = d->queue[0];

	d->n--;
	memmove(d->queue, d->queue + 1, d->n);
	d->last = byte;
	return byte;
}

static unsigned int kbd_param(struct ps2 *d, uint8_t cmd, uint8_t val)
{
	const uint8_t set[] = { ACK, d->scan_set };

	switch (cmd) {
	case KBD_LEDS:
		d->leds = val & 7;
		break;
	case CMD_SET_RATE:
		d->rate = val & 0x7f;
		break;
	default: /* KBD_SCAN_SET */
		if (val == 0)
			return put(d, set, 2);
		if (val > 3)
			return put1(d, RESEND);
		d->scan_set = val;
		break;
	}
	return put1(d, ACK);
}

static unsigned int kbd_command(struct ps2 *d, uint8_t cmd)
{
	static const uint8_t id[] = { ACK, 0xab, 0x83 };

	switch (cmd) {
	case KBD_ECHO:
		return put1(d, KBD_ECHO);
	case CMD_READ_ID:
		return put(d, id, sizeof(id));
	case KBD_LEDS:
	case KBD_SCAN_SET:
	case CMD_SET_RATE:
		d->wants_param = cmd;
		return put1(d, ACK);
	default:
		return put1(d, cmd >= KBD_ALL_FIRST && cmd <= KBD_ALL_LAST ? ACK : RESEND);
	}
}

static unsigned int aux_param(struct ps2 *d, uint8_t cmd, uint8_t val)
{
	if (cmd == AUX_RESOLUTION)
		d->resolution = val & 3;
	else
		d->rate = val;
	return put1(d, ACK);
}

static unsigned int aux_status(struct ps2 *d)
{
	uint32_t state = (d->remote ? 0x40u : 0) | (d->reporting ? 0x20u : 0) |
			 (d->scaling2 ? 0x10u : 0);
	const uint8_t bytes[] = { ACK, (uint8_t)state, d->resolution, d->rate };

	return put(d, bytes, sizeof(bytes));
}

static unsigned int aux_command(struct ps2 *d, uint8_t cmd)
{
	static const uint8_t id[] = { ACK, 0x00 };
	static const uint8_t idle[] = { ACK, AUX_PACKET_IDLE, 0, 0 };

	switch (cmd) {
	case AUX_SCALE_1:
	case AUX_SCALE_2:
		d->scaling2 = cmd == AUX_SCALE_2;
		return put1(d, ACK);
	case AUX_RESOLUTION:
	case CMD_SET_RATE:
		d->wants_param = cmd;
		return put1(d, ACK);
	case AUX_STATUS:
		return aux_status(d);
	case AUX_STREAM:
	case AUX_REMOTE:
		d->remote = cmd == AUX_REMOTE;
		return put1(d, ACK);
	case AUX_READ_DATA:
		return put(d, idle, sizeof(idle));
	case AUX_WRAP_ON:
		d->wrap = true;
		return put1(d, ACK);
	case AUX_WRAP_OFF:
		return put1(d, ACK);
	case CMD_READ_ID:
		return put(d, id, sizeof(id));
	default:
		return put1(d, RESEND);
	}
}

/* A reset discards what was queued, acknowledges and reports the self-test. */
static unsigned int reset_device(struct ps2 *d)
{
	static const uint8_t done[] = { ACK, SELF_TEST_OK, 0x00 };

	d->n = 0;
	set_defaults(d);
	return put(d, done, d->kind == PS2_MOUSE ? 3 : 2);
}

static unsigned int common_command(struct ps2 *d, uint8_t cmd)
{
	switch (cmd) {
	case CMD_RESET:
		return reset_device(d);
	case CMD_RESEND:
		return put1(d, d->last);
	case CMD_DEFAULTS:
		set_defaults(d);
		return put1(d, ACK);
	case CMD_ENABLE:
	case CMD_DISABLE:
		if (cmd == CMD_DISABLE && d->kind == PS2_KEYBOARD)
			set_defaults(d);
		d->reporting = cmd == CMD_ENABLE;
		return put1(d, ACK);
	default:
		return d->kind == PS2_KEYBOARD ? kbd_command(d, cmd) : aux_command(d, cmd);
	}
}

unsigned int ps2_write(struct ps2 *d, uint8_t val)
{
	uint8_t cmd = d->wants_param;

	if (d->wrap) { /* a mouse in wrap mode returns everything but these two */
		if (val == CMD_RESET)
			return reset_device(d);
		if (val == AUX_WRAP_OFF) {
			d->wrap = false;
			return put1(d, ACK);
		}
		return put1(d, val);
	}
	d->wants_param = 0;
	/* A byte with the top bit set is no parameter of a keyboard: it starts a new command. */
	if (cmd && d->kind == PS2_MOUSE)
		return aux_param(d, cmd, val);
	if (cmd && val < 0x80)
		return kbd_param(d, cmd, val);
	return common_command(d, val);
}
