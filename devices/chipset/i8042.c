/* SPDX-License-Identifier: MIT */
/* Input: VTL0 (ports). State: under dev->lock. Thread: VP threads. */
#include "i8042.h"

#include "bus.h"
#include "inspect.h"
#include "power.h"
#include "ps2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum i8042_region { REGION_DATA, REGION_CMD };

#define RAM_BYTES 32u

#define ST_OUT_FULL 0x01u
#define ST_SYSTEM 0x04u
#define ST_CMD 0x08u /* the controller expects a data byte */
#define ST_UNLOCKED 0x10u
#define ST_FROM_AUX 0x20u

/* Command byte, RAM location 0. */
#define CFG_IRQ_KBD 0x01u
#define CFG_IRQ_AUX 0x02u
#define CFG_SYSTEM 0x04u
#define CFG_KBD_OFF 0x10u
#define CFG_AUX_OFF 0x20u
#define CFG_TRANSLATE 0x40u
#define CFG_RESET (CFG_SYSTEM | CFG_TRANSLATE)

#define CMD_READ_RAM 0x20u
#define CMD_WRITE_RAM 0x60u
#define CMD_VERSION 0xa1u
#define CMD_PASSWORD_TEST 0xa4u
#define CMD_AUX_OFF 0xa7u
#define CMD_AUX_ON 0xa8u
#define CMD_AUX_TEST 0xa9u
#define CMD_SELF_TEST 0xaau
#define CMD_KBD_TEST 0xabu
#define CMD_KBD_OFF 0xadu
#define CMD_KBD_ON 0xaeu
#define CMD_READ_INPUT 0xc0u
#define CMD_READ_OUTPUT 0xd0u
#define CMD_WRITE_OUTPUT 0xd1u
#define CMD_TO_KBD_BUF 0xd2u
#define CMD_TO_AUX_BUF 0xd3u
#define CMD_TO_AUX 0xd4u
#define CMD_PULSE 0xf0u /* 0xf0..0xff, low nibble = lines not pulsed */

#define OUT_NO_RESET 0x01u
#define OUT_A20 0x02u
#define OUT_IRQ_KBD 0x10u
#define OUT_IRQ_AUX 0x20u
#define OUT_RESET (0xc0u | OUT_NO_RESET | OUT_A20)

enum out_source { SRC_NONE, SRC_CTRL, SRC_KBD, SRC_AUX };

struct i8042 {
	struct device dev;
	struct i8042_wiring w;
	struct ps2 kbd, aux;
	uint8_t ram[RAM_BYTES]; /* 0 = command byte */
	uint8_t out_port; /* as written; the interrupt bits are computed */
	uint8_t expects; /* command whose data byte comes next, 0 = none */
	uint8_t out; /* output buffer */
	uint8_t out_src; /* enum out_source; SRC_NONE = empty */
	uint8_t ctrl; /* the controller's own answer, waiting for the output buffer */
	bool ctrl_waits;
	bool out_is_aux; /* shown in status and as interrupt of the mouse */
	bool level_kbd, level_aux;
};

static void put(struct i8042 *kbc, enum out_source src, bool is_aux, uint8_t val)
{
	kbc->out = val;
	kbc->out_src = (uint8_t)src;
	kbc->out_is_aux = is_aux;
}

/* An answer that was not fetched before the next command is lost. */
static void answer(struct i8042 *kbc, uint8_t val)
{
	if (kbc->ctrl_waits)
		device_unknown(&kbc->dev);
	kbc->ctrl = val;
	kbc->ctrl_waits = true;
}

/* Set 2 to set 1 for what a keyboard without keys can say. */
static uint8_t translate(const struct i8042 *kbc, uint8_t byte)
{
	if (!(kbc->ram[0] & CFG_TRANSLATE))
		return byte;
	switch (byte) {
	case 0x01:
		return 0x43;
	case 0x02:
	case 0x83:
		return 0x41;
	case 0x03:
		return 0x3f;
	default:
		return byte;
	}
}

static void refill(struct i8042 *kbc)
{
	if (kbc->out_src != SRC_NONE)
		return;
	if (kbc->ctrl_waits) {
		kbc->ctrl_waits = false;
		put(kbc, SRC_CTRL, false, kbc->ctrl);
	} else if (kbc->kbd.n && !(kbc->ram[0] & CFG_KBD_OFF)) {
		put(kbc, SRC_KBD, false, translate(kbc, ps2_take(&kbc->kbd)));
	} else if (kbc->aux.n && !(kbc->ram[0] & CFG_AUX_OFF)) {
		put(kbc, SRC_AUX, true, ps2_take(&kbc->aux));
	}
}

static void drive(struct i8042 *kbc, bool kbd, bool aux)
{
	if (kbd != kbc->level_kbd) {
		kbc->level_kbd = kbd;
		irq_line_set(&kbc->w.irq_kbd, kbd);
	}
	if (aux != kbc->level_aux) {
		kbc->level_aux = aux;
		irq_line_set(&kbc->w.irq_aux, aux);
	}
}

/* Each line is high while a byte that it announces is in the buffer. */
static void update(struct i8042 *kbc)
{
	bool full;

	refill(kbc);
	full = kbc->out_src != SRC_NONE;
	drive(kbc, full && !kbc->out_is_aux && (kbc->ram[0] & CFG_IRQ_KBD),
	      full && kbc->out_is_aux && (kbc->ram[0] & CFG_IRQ_AUX));
}

static void reset_line(struct i8042 *kbc)
{
	kbc->w.power->reset(kbc->w.power->ctx);
}

static uint8_t output_port(const struct i8042 *kbc)
{
	return (uint8_t)(kbc->out_port | (kbc->level_kbd ? OUT_IRQ_KBD : 0) |
			 (kbc->level_aux ? OUT_IRQ_AUX : 0));
}

static void set_cfg(struct i8042 *kbc, uint8_t set, uint8_t clear)
{
	kbc->ram[0] = (uint8_t)((kbc->ram[0] | set) & ~clear);
}

static void self_test(struct i8042 *kbc)
{
	kbc->ram[0] = CFG_RESET | CFG_KBD_OFF | CFG_AUX_OFF;
	kbc->out_port = OUT_RESET;
	answer(kbc, 0x55);
}

static void test_and_port_command(struct i8042 *kbc, uint8_t cmd)
{
	switch (cmd) {
	case CMD_VERSION:
		answer(kbc, 0x00);
		break;
	case CMD_PASSWORD_TEST: /* no password installed */
		answer(kbc, 0xf1);
		break;
	case CMD_AUX_TEST:
	case CMD_KBD_TEST:
		answer(kbc, 0x00);
		break;
	case CMD_SELF_TEST:
		self_test(kbc);
		break;
	case CMD_READ_INPUT: /* keyboard not locked */
		answer(kbc, 0x80);
		break;
	case CMD_READ_OUTPUT:
		answer(kbc, output_port(kbc));
		break;
	default:
		device_unknown(&kbc->dev);
		break;
	}
}

static void write_command(struct i8042 *kbc, uint8_t cmd)
{
	kbc->expects = 0;
	if (cmd >= CMD_PULSE) {
		if (!(cmd & OUT_NO_RESET))
			reset_line(kbc);
		return;
	}
	if (cmd >= CMD_READ_RAM && cmd < CMD_READ_RAM + RAM_BYTES) {
		answer(kbc, kbc->ram[cmd - CMD_READ_RAM]);
		return;
	}
	if (cmd >= CMD_WRITE_RAM && cmd < CMD_WRITE_RAM + RAM_BYTES) {
		kbc->expects = cmd;
		return;
	}
	switch (cmd) {
	case CMD_AUX_OFF:
		set_cfg(kbc, CFG_AUX_OFF, 0);
		break;
	case CMD_AUX_ON:
		set_cfg(kbc, 0, CFG_AUX_OFF);
		break;
	case CMD_KBD_OFF:
		set_cfg(kbc, CFG_KBD_OFF, 0);
		break;
	case CMD_KBD_ON:
		set_cfg(kbc, 0, CFG_KBD_OFF);
		break;
	case CMD_WRITE_OUTPUT:
	case CMD_TO_KBD_BUF:
	case CMD_TO_AUX_BUF:
	case CMD_TO_AUX:
		kbc->expects = cmd;
		break;
	default:
		test_and_port_command(kbc, cmd);
	}
}

static void to_device(struct i8042 *kbc, struct ps2 *d, uint8_t off_bit, uint8_t val)
{
	set_cfg(kbc, 0, off_bit); /* sending to a device enables its interface */
	if (ps2_write(d, val))
		device_unknown(&kbc->dev);
}

static void write_data(struct i8042 *kbc, uint8_t val)
{
	uint8_t cmd = kbc->expects;

	kbc->expects = 0;
	switch (cmd) {
	case 0:
		to_device(kbc, &kbc->kbd, CFG_KBD_OFF, val);
		break;
	case CMD_WRITE_OUTPUT:
		kbc->out_port = val & (uint8_t) ~(OUT_IRQ_KBD | OUT_IRQ_AUX);
		if (!(val & OUT_NO_RESET))
			reset_line(kbc);
		break;
	case CMD_TO_KBD_BUF:
		put(kbc, SRC_KBD, false, val);
		break;
	case CMD_TO_AUX_BUF:
		put(kbc, SRC_AUX, true, val);
		break;
	case CMD_TO_AUX:
		to_device(kbc, &kbc->aux, CFG_AUX_OFF, val);
		break;
	default:
		kbc->ram[(cmd - CMD_WRITE_RAM) % RAM_BYTES] = val;
		break;
	}
}

static uint8_t read_status(const struct i8042 *kbc)
{
	uint32_t st = ST_UNLOCKED | (kbc->ram[0] & CFG_SYSTEM ? ST_SYSTEM : 0);

	if (kbc->out_src != SRC_NONE)
		st |= ST_OUT_FULL | (kbc->out_is_aux ? ST_FROM_AUX : 0);
	if (kbc->expects)
		st |= ST_CMD;
	return (uint8_t)st;
}

/* An empty buffer reads as the last byte. */
static enum bus_status kbc_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct i8042 *kbc = container_of(dev, struct i8042, dev);

	if (a->size != 1)
		return BUS_BAD;
	if (a->region == REGION_CMD) {
		*ret_val = read_status(kbc);
		return BUS_OK;
	}
	*ret_val = kbc->out;
	if (kbc->out_src != SRC_NONE) {
		kbc->out_src = SRC_NONE;
		drive(kbc, false, false); /* before the next byte raises it: one edge per byte */
		update(kbc);
	}
	return BUS_OK;
}

static enum bus_status kbc_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct i8042 *kbc = container_of(dev, struct i8042, dev);

	if (a->size != 1)
		return BUS_BAD;
	if (a->region == REGION_CMD)
		write_command(kbc, (uint8_t)val);
	else
		write_data(kbc, (uint8_t)val);
	update(kbc);
	return BUS_OK;
}

static void kbc_reset(struct device *dev)
{
	struct i8042 *kbc = container_of(dev, struct i8042, dev);

	ps2_init(&kbc->kbd, PS2_KEYBOARD);
	ps2_init(&kbc->aux, PS2_MOUSE);
	memset(kbc->ram, 0, sizeof(kbc->ram));
	kbc->ram[0] = CFG_RESET;
	kbc->out_port = OUT_RESET;
	kbc->expects = 0;
	kbc->ctrl_waits = false;
	put(kbc, SRC_NONE, false, 0);
	update(kbc);
}

static void kbc_destroy(struct device *dev)
{
	device_fini(dev);
	free(container_of(dev, struct i8042, dev));
}

static const char *source_name(uint8_t src)
{
	static const char *const name[] = { "empty", "controller", "keyboard", "mouse" };

	return name[src & 3];
}

static void inspect_ps2(struct inspect *in, const void *obj)
{
	const struct ps2 *d = obj;

	inspect_u64(in, SENS_SENSITIVE, "queued", d->n);
	inspect_bool(in, SENS_SENSITIVE, "reporting", d->reporting);
	inspect_hex(in, SENS_SENSITIVE, "wants_parameter_of", d->wants_param);
	inspect_hex(in, SENS_SENSITIVE, "rate", d->rate);
	if (d->kind == PS2_KEYBOARD) {
		inspect_u64(in, SENS_SENSITIVE, "scan_set", d->scan_set);
		inspect_binary(in, SENS_SENSITIVE, "leds", d->leds);
	} else {
		inspect_u64(in, SENS_SENSITIVE, "resolution", d->resolution);
		inspect_bool(in, SENS_SENSITIVE, "remote", d->remote);
		inspect_bool(in, SENS_SENSITIVE, "scaling2", d->scaling2);
		inspect_bool(in, SENS_SENSITIVE, "wrap", d->wrap);
	}
}

static void kbc_inspect(struct device *dev, struct inspect *in)
{
	struct i8042 *kbc = container_of(dev, struct i8042, dev);
	uint8_t cfg, out_port, expects, out, out_src, status;
	bool level_kbd, level_aux;
	struct ps2 kbd, aux;

	device_lock(dev);
	kbd = kbc->kbd;
	aux = kbc->aux;
	cfg = kbc->ram[0];
	out_port = output_port(kbc);
	status = read_status(kbc);
	expects = kbc->expects;
	out = kbc->out;
	out_src = kbc->out_src;
	level_kbd = kbc->level_kbd;
	level_aux = kbc->level_aux;
	device_unlock(dev);
	inspect_hex(in, SENS_SENSITIVE, "command_byte", cfg);
	inspect_hex(in, SENS_SENSITIVE, "status", status);
	inspect_hex(in, SENS_SENSITIVE, "output_port", out_port);
	inspect_hex(in, SENS_SENSITIVE, "wants_data_of", expects);
	inspect_hex(in, SENS_SENSITIVE, "output_buffer", out);
	inspect_str(in, SENS_SENSITIVE, "output_source", source_name(out_src));
	inspect_bool(in, SENS_UNSPEC, "keyboard_interrupt_level", level_kbd);
	inspect_bool(in, SENS_UNSPEC, "mouse_interrupt_level", level_aux);
	inspect_dir(in, SENS_UNSPEC, "keyboard", inspect_ps2, &kbd);
	inspect_dir(in, SENS_UNSPEC, "mouse", inspect_ps2, &aux);
}

static const struct device_ops kbc_ops = {
	.name = "i8042",
	.reset = kbc_reset,
	.io_read = kbc_read,
	.io_write = kbc_write,
	.inspect = kbc_inspect,
	.destroy = kbc_destroy,
};

int i8042_create(const struct i8042_wiring *w, struct i8042 **ret_kbc)
{
	struct i8042 *kbc = calloc(1, sizeof(*kbc));

	if (!kbc)
		return -ENOMEM;
	device_init(&kbc->dev, &kbc_ops, "i8042");
	kbc->w = *w;
	kbc_reset(&kbc->dev);
	*ret_kbc = kbc;
	return 0;
}

struct device *i8042_device(struct i8042 *kbc)
{
	return &kbc->dev;
}

int i8042_claim(struct i8042 *kbc, struct bus *bus)
{
	int r = bus_claim(bus, BUS_PIO, 0x60, 1, &kbc->dev, REGION_DATA);

	if (r == 0)
		r = bus_claim(bus, BUS_PIO, 0x64, 1, &kbc->dev, REGION_CMD);
	return r;
}
