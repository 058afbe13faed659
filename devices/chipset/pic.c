/* SPDX-License-Identifier: MIT */
/* Input: VTL0 (ports), devices (levels), processor (acknowledge). State: under dev->lock. */
#include "pic.h"

#include "bus.h"
#include "inspect.h"

#include <errno.h>
#include <stdlib.h>

#define CASCADE 2u /* master input that carries the slave */
#define SPURIOUS 7u

enum pic_region { REGION_MASTER, REGION_SLAVE, REGION_ELCR };

#define ICW1_SELECT 0x10u
#define ICW1_NEED_ICW4 0x01u
#define ICW1_SINGLE 0x02u
#define ICW2_BASE 0xf8u
#define ICW4_AEOI 0x02u
#define ICW4_SFNM 0x10u

#define OCW3_SELECT 0x08u
#define OCW3_READ_ISR 0x01u
#define OCW3_READ 0x02u
#define OCW3_POLL 0x04u
#define OCW3_SMM 0x20u
#define OCW3_SET_SMM 0x40u

/* OCW2, bits 7:5. */
enum pic_ocw2 {
	OCW2_ROTATE_AEOI_OFF,
	OCW2_EOI,
	OCW2_NOP,
	OCW2_EOI_SPECIFIC,
	OCW2_ROTATE_AEOI_ON,
	OCW2_EOI_ROTATE,
	OCW2_SET_LOWEST,
	OCW2_EOI_SPECIFIC_ROTATE,
};

#define POLL_PENDING 0x80u

struct pic_chip {
	uint8_t lines; /* input levels */
	uint8_t edges; /* went high and not acknowledged yet */
	uint8_t elcr; /* level-sensitive inputs, as software sees the register */
	uint8_t level_also; /* level-sensitive whatever ELCR says: the cascade input */
	uint8_t imr, isr;
	uint8_t base;
	uint8_t lowest; /* input with the lowest priority */
	uint8_t icw_next; /* 0 = operating, else the ICW expected at the odd port */
	uint8_t icw1;
	uint8_t elcr_mask;
	bool is_master;
	bool auto_eoi, rotate_aeoi, sfnm, special_mask, poll, read_isr;
};

struct pic {
	struct device dev;
	struct irq_sink sink;
	struct irq_line extint;
	bool out;
	struct pic_chip chip[2]; /* 0 master, 1 slave */
};

static uint8_t requests(const struct pic_chip *c)
{
	return c->lines & (c->elcr | c->level_also | c->edges);
}

/* Rank of the best input in a set: 0 best, 8 = empty set. */
static unsigned int best_rank(const struct pic_chip *c, uint8_t set)
{
	for (unsigned int rank = 0; rank < 8; rank++)
		if (set & 1u << ((c->lowest + 1 + rank) & 7))
			return rank;
	return 8;
}

static unsigned int input_at(const struct pic_chip *c, unsigned int rank)
{
	return (c->lowest + 1 + rank) & 7;
}

/* Rank of the request that may interrupt now, 8 = none. Nothing interrupts while ICWs are due. */
static unsigned int pending_rank(const struct pic_chip *c)
{
	unsigned int rank = best_rank(c, requests(c) & (uint8_t)~c->imr);
	uint8_t busy = c->isr;

	if (c->special_mask) /* a masked input in service does not hold back the others */
		busy &= (uint8_t)~c->imr;
	if (c->sfnm && c->is_master) /* the slave may ask again for a better input of its own */
		busy &= (uint8_t) ~(1u << CASCADE);
	return !c->icw_next && rank < best_rank(c, busy) ? rank : 8;
}

static void set_line(struct pic_chip *c, unsigned int n, bool level)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (level) {
		c->edges |= (uint8_t)(~c->lines & bit);
		c->lines |= bit;
	} else {
		c->lines &= (uint8_t)~bit;
		c->edges &= (uint8_t)~bit;
	}
}

static void update(struct pic *pic)
{
	bool out;

	set_line(&pic->chip[0], CASCADE, pending_rank(&pic->chip[1]) < 8);
	out = pending_rank(&pic->chip[0]) < 8;
	if (out != pic->out) {
		pic->out = out;
		irq_line_set(&pic->extint, out);
	}
}

/* The chip's part of an acknowledge cycle. Returns the input, or SPURIOUS and *ret_real false. */
static unsigned int chip_ack(struct pic_chip *c, bool *ret_real)
{
	unsigned int rank = pending_rank(c);
	unsigned int n;

	*ret_real = rank < 8;
	if (rank == 8)
		return SPURIOUS;
	n = input_at(c, rank);
	c->edges &= (uint8_t) ~(1u << n);
	if (!c->auto_eoi)
		c->isr |= (uint8_t)(1u << n);
	else if (c->rotate_aeoi)
		c->lowest = (uint8_t)n;
	return n;
}

uint8_t pic_ack(struct pic *pic)
{
	unsigned int n, vector;
	bool real;

	device_lock(&pic->dev);
	n = chip_ack(&pic->chip[0], &real);
	vector = pic->chip[0].base + n;
	if (real && n == CASCADE) {
		n = chip_ack(&pic->chip[1], &real);
		vector = pic->chip[1].base + n;
	}
	update(pic);
	device_unlock(&pic->dev);
	return (uint8_t)vector;
}

static void input_set(void *ctx, unsigned int n, bool level)
{
	struct pic *pic = ctx;

	if (n >= 16 || n == CASCADE)
		return;
	device_lock(&pic->dev);
	set_line(&pic->chip[n / 8], n % 8, level);
	update(pic);
	device_unlock(&pic->dev);
}

static void write_icw1(struct pic_chip *c, uint8_t val)
{
	c->icw1 = val;
	c->icw_next = 2;
	c->imr = 0;
	c->isr = 0;
	c->edges = 0;
	c->lowest = 7;
	c->special_mask = c->poll = c->read_isr = false;
	c->auto_eoi = c->rotate_aeoi = c->sfnm = false;
}

static void end_of_interrupt(struct pic_chip *c, unsigned int n, bool rotate)
{
	c->isr &= (uint8_t) ~(1u << n);
	if (rotate)
		c->lowest = (uint8_t)n;
}

static void write_ocw2(struct pic_chip *c, uint8_t val)
{
	unsigned int n = val & 7;
	unsigned int rank = best_rank(c, c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr);

	switch ((enum pic_ocw2)(val >> 5)) {
	case OCW2_ROTATE_AEOI_OFF:
		c->rotate_aeoi = false;
		break;
	case OCW2_ROTATE_AEOI_ON:
		c->rotate_aeoi = true;
		break;
	case OCW2_EOI:
	case OCW2_EOI_ROTATE:
		if (rank < 8)
			end_of_interrupt(c, input_at(c, rank), val >> 5 == OCW2_EOI_ROTATE);
		break;
	case OCW2_EOI_SPECIFIC:
	case OCW2_EOI_SPECIFIC_ROTATE:
		end_of_interrupt(c, n, val >> 5 == OCW2_EOI_SPECIFIC_ROTATE);
		break;
	case OCW2_SET_LOWEST:
		c->lowest = (uint8_t)n;
		break;
	case OCW2_NOP:
		break;
	}
}

static void write_ocw3(struct pic_chip *c, uint8_t val)
{
	if (val & OCW3_SET_SMM)
		c->special_mask = val & OCW3_SMM;
	if (val & OCW3_POLL)
		c->poll = true;
	else if (val & OCW3_READ)
		c->read_isr = val & OCW3_READ_ISR;
}

static void write_even(struct pic_chip *c, uint8_t val)
{
	if (val & ICW1_SELECT)
		write_icw1(c, val);
	else if (val & OCW3_SELECT)
		write_ocw3(c, val);
	else
		write_ocw2(c, val);
}

/* ICW2, ICW3 (unless single), ICW4 (if announced), then masks. */
static void write_odd(struct pic_chip *c, uint8_t val)
{
	switch (c->icw_next) {
	case 2:
		c->base = val & ICW2_BASE;
		c->icw_next = c->icw1 & ICW1_SINGLE ? 4 : 3;
		break;
	case 3: /* the wiring of the pair is fixed */
		c->icw_next = 4;
		break;
	case 4:
		c->auto_eoi = val & ICW4_AEOI;
		c->sfnm = val & ICW4_SFNM;
		c->icw_next = 0;
		break;
	default:
		c->imr = val;
		break;
	}
	if (c->icw_next == 4 && !(c->icw1 & ICW1_NEED_ICW4))
		c->icw_next = 0;
}

static uint8_t read_poll(struct pic_chip *c)
{
	bool real;
	unsigned int n = chip_ack(c, &real);

	c->poll = false;
	return real ? (uint8_t)(POLL_PENDING | n) : 0;
}

static uint8_t read_chip(struct pic_chip *c, bool odd)
{
	if (c->poll)
		return read_poll(c);
	if (odd)
		return c->imr;
	return c->read_isr ? c->isr : requests(c);
}

static uint8_t read_byte(struct pic *pic, uint32_t region, unsigned int off)
{
	if (off > 1)
		return 0xff;
	if (region == REGION_ELCR)
		return pic->chip[off].elcr;
	return read_chip(&pic->chip[region], off);
}

static void write_byte(struct pic *pic, uint32_t region, unsigned int off, uint8_t val)
{
	if (off > 1)
		return;
	if (region == REGION_ELCR)
		pic->chip[off].elcr = val & pic->chip[off].elcr_mask;
	else if (off == 1)
		write_odd(&pic->chip[region], val);
	else
		write_even(&pic->chip[region], val);
}

/* A 16-bit access is two bytes to neighbouring ports, as on the ISA bus. */
static enum bus_status pic_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct pic *pic = container_of(dev, struct pic, dev);

	if (a->size > 2)
		return BUS_BAD;
	for (unsigned int i = 0; i < a->size; i++)
		*ret_val |= (uint64_t)read_byte(pic, a->region, (unsigned int)a->off + i) << i * 8;
	update(pic);
	return BUS_OK;
}

static enum bus_status pic_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct pic *pic = container_of(dev, struct pic, dev);

	if (a->size > 2)
		return BUS_BAD;
	for (unsigned int i = 0; i < a->size; i++)
		write_byte(pic, a->region, (unsigned int)a->off + i, (uint8_t)(val >> i * 8));
	update(pic);
	return BUS_OK;
}

static void chip_reset(struct pic_chip *c, bool is_master)
{
	uint8_t lines = c->lines;

	*c = (struct pic_chip){
		.lines = lines,
		.imr = 0xff,
		.base = is_master ? 0 : 8,
		.lowest = 7,
		.is_master = is_master,
		.level_also = is_master ? 1u << CASCADE : 0,
		.elcr_mask = is_master ? 0xf8 : 0xde, /* timer, keyboard, cascade, RTC, FPU: edge */
	};
}

/* The input levels belong to the devices that drive them and stay. */
static void pic_reset(struct device *dev)
{
	struct pic *pic = container_of(dev, struct pic, dev);

	chip_reset(&pic->chip[0], true);
	chip_reset(&pic->chip[1], false);
	update(pic);
}

static void pic_destroy(struct device *dev)
{
	device_fini(dev);
	free(container_of(dev, struct pic, dev));
}

static const char *icw_state(const struct pic_chip *c)
{
	static const char *const name[] = { "operating", "invalid", "wants_icw2", "wants_icw3",
					    "wants_icw4" };

	return name[c->icw_next < ARRAY_SIZE(name) ? c->icw_next : 1];
}

static void inspect_chip(struct inspect *in, const void *obj)
{
	const struct pic_chip *c = obj;
	unsigned int rank = pending_rank(c);

	inspect_str(in, SENS_SENSITIVE, "state", icw_state(c));
	inspect_binary(in, SENS_SENSITIVE, "lines", c->lines);
	inspect_binary(in, SENS_SENSITIVE, "irr", requests(c));
	inspect_binary(in, SENS_SENSITIVE, "isr", c->isr);
	inspect_binary(in, SENS_SENSITIVE, "imr", c->imr);
	inspect_binary(in, SENS_SENSITIVE, "elcr", c->elcr);
	inspect_hex(in, SENS_SENSITIVE, "vector_base", c->base);
	inspect_u64(in, SENS_SENSITIVE, "lowest_priority", c->lowest);
	if (rank < 8)
		inspect_u64(in, SENS_SENSITIVE, "pending", input_at(c, rank));
	inspect_bool(in, SENS_SENSITIVE, "auto_eoi", c->auto_eoi);
	inspect_bool(in, SENS_SENSITIVE, "rotate_auto_eoi", c->rotate_aeoi);
	inspect_bool(in, SENS_SENSITIVE, "special_nested", c->sfnm);
	inspect_bool(in, SENS_SENSITIVE, "special_mask", c->special_mask);
	inspect_bool(in, SENS_SENSITIVE, "poll", c->poll);
	inspect_str(in, SENS_SENSITIVE, "read_register", c->read_isr ? "isr" : "irr");
}

static void pic_inspect(struct device *dev, struct inspect *in)
{
	struct pic *pic = container_of(dev, struct pic, dev);
	struct pic_chip chip[2];
	bool out;

	device_lock(dev);
	chip[0] = pic->chip[0];
	chip[1] = pic->chip[1];
	out = pic->out;
	device_unlock(dev);
	inspect_bool(in, SENS_UNSPEC, "interrupt_level", out);
	inspect_dir(in, SENS_UNSPEC, "primary", inspect_chip, &chip[0]);
	inspect_dir(in, SENS_UNSPEC, "secondary", inspect_chip, &chip[1]);
}

static const struct device_ops pic_ops = {
	.name = "pic",
	.reset = pic_reset,
	.io_read = pic_read,
	.io_write = pic_write,
	.inspect = pic_inspect,
	.destroy = pic_destroy,
};

int pic_create(const struct pic_wiring *w, struct pic **ret_pic)
{
	struct pic *pic = calloc(1, sizeof(*pic));

	if (!pic)
		return -ENOMEM;
	device_init(&pic->dev, &pic_ops, "pic");
	pic->sink = (struct irq_sink){ .set = input_set, .ctx = pic };
	pic->extint = w->extint;
	chip_reset(&pic->chip[0], true);
	chip_reset(&pic->chip[1], false);
	*ret_pic = pic;
	return 0;
}

struct device *pic_device(struct pic *pic)
{
	return &pic->dev;
}

int pic_claim(struct pic *pic, struct bus *bus)
{
	int r = bus_claim(bus, BUS_PIO, 0x20, 2, &pic->dev, REGION_MASTER);

	if (r == 0)
		r = bus_claim(bus, BUS_PIO, 0xa0, 2, &pic->dev, REGION_SLAVE);
	if (r == 0)
		r = bus_claim(bus, BUS_PIO, 0x4d0, 2, &pic->dev, REGION_ELCR);
	return r;
}

const struct irq_sink *pic_sink(struct pic *pic)
{
	return &pic->sink;
}
