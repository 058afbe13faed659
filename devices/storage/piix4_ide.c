/* SPDX-License-Identifier: MIT */
#include "piix4_ide.h"

#include "ata.h"
#include "bus.h"
#include "inspect.h"
#include "pci_conf1.h"

#include <errno.h>
#include <stdlib.h>

/* Where firmware would have placed the bus master registers. */
#define BAR4_DEFAULT 0xffa0u
#define BAR4_MASK 0xfff0u
#define BAR4_IO 1u

#define CMD_IO BIT(0)
#define CMD_MASTER BIT(2)
#define STATUS_FIXED 0x02800000u

enum {
	REG_ID = 0x00 / 4,
	REG_COMMAND = 0x04 / 4,
	REG_CLASS = 0x08 / 4,
	REG_BAR4 = 0x20 / 4,
	REG_TIMING = 0x40 / 4,
	REG_SLAVE_TIMING = 0x44 / 4,
	REG_UDMA = 0x48 / 4,
	REG_REVISION = 0xf8 / 4,
};

struct piix4_ide {
	struct device dev; /* the ports of the PCI bus */
	struct pci_conf1 *conf1;
	struct ide_chan *chan[PIIX4_IDE_CHANNELS];
	/* Written under the lock of conf1, read by accesses to ports under ours. */
	_Atomic uint32_t command, bar4;
	uint32_t timing, slave_timing, udma;
};

/* ---- bridges: there to be found -------------------------------------------------------------- */

struct fixed_reg {
	unsigned reg;
	uint32_t val;
};

static const struct fixed_reg host_bridge[] = {
	{ 0x00 / 4, 0x71928086 },
	{ 0x04 / 4, 0x02000006 },
	{ 0x08 / 4, 0x06000003 },
	{ 0xf8 / 4, 0x00000f20 },
	{ ~0u, 0 },
};

static const struct fixed_reg isa_bridge[] = {
	{ 0x00 / 4, 0x71108086 },
	{ 0x04 / 4, 0x02000007 },
	{ 0x08 / 4, 0x06010003 },
	{ 0x0c / 4, 0x00800000 },
	{ 0x2c / 4, 0x00001414 },
	{ 0xf8 / 4, 0x00000f30 },
	{ ~0u, 0 },
};

static uint32_t fixed_read(void *ctx, unsigned reg)
{
	const struct fixed_reg *f = ctx;

	while (f->reg != ~0u && f->reg != reg)
		f++;
	return f->val;
}

static void fixed_write(void *ctx, unsigned reg, uint32_t val, uint32_t mask)
{
	(void)ctx;
	(void)reg;
	(void)val;
	(void)mask;
}

/* ---- the IDE function ------------------------------------------------------------------------ */

static uint32_t ide_cfg_read(void *ctx, unsigned reg)
{
	const struct piix4_ide *p = ctx;

	switch (reg) {
	case REG_ID:
		return 0x71118086;
	case REG_COMMAND:
		return STATUS_FIXED | p->command;
	case REG_CLASS:
		return 0x01018001; /* both channels where PCs have them, bus master */
	case REG_BAR4:
		return p->bar4 | BAR4_IO;
	case REG_TIMING:
		return p->timing;
	case REG_SLAVE_TIMING:
		return p->slave_timing;
	case REG_UDMA:
		return p->udma;
	case REG_REVISION:
		return 0x00000f30;
	default:
		return 0;
	}
}

static uint32_t merge(uint32_t old, uint32_t val, uint32_t mask)
{
	return (old & ~mask) | (val & mask);
}

static void ide_cfg_write(void *ctx, unsigned reg, uint32_t val, uint32_t mask)
{
	struct piix4_ide *p = ctx;

	switch (reg) {
	case REG_COMMAND: /* no bit of the status is ever set that ones would clear */
		p->command = merge(p->command, val, mask) & (CMD_IO | CMD_MASTER);
		break;
	case REG_BAR4: /* elsewhere than in our window it is not decoded */
		p->bar4 = merge(p->bar4, val, mask) & BAR4_MASK;
		break;
	case REG_TIMING:
		p->timing = merge(p->timing, val, mask);
		break;
	case REG_SLAVE_TIMING:
		p->slave_timing = merge(p->slave_timing, val, mask);
		break;
	case REG_UDMA:
		p->udma = merge(p->udma, val, mask);
		break;
	default:
		break;
	}
}

/* ---- bus master ports ------------------------------------------------------------------------ */

/* The channel and the register of a port; NULL: not decoded. */
static struct ide_chan *decode(const struct piix4_ide *p, const struct bus_access *a,
			       unsigned *ret_off)
{
	const uint64_t off = a->addr - p->bar4;

	if (!(p->command & CMD_IO) || !(p->command & CMD_MASTER))
		return NULL;
	if (a->addr < p->bar4 || off >= PIIX4_IDE_CHANNELS * IDE_BM_PORTS)
		return NULL;
	*ret_off = off % IDE_BM_PORTS;
	if (a->size > 4 || a->size > IDE_BM_PORTS - *ret_off)
		return NULL;
	return p->chan[off / IDE_BM_PORTS];
}

static enum bus_status window_read(struct device *dev, const struct bus_access *a,
				   uint64_t *ret_val)
{
	unsigned off;
	struct ide_chan *ch = decode(container_of(dev, struct piix4_ide, dev), a, &off);

	if (!ch)
		return BUS_BAD;
	*ret_val = ide_chan_bm_read(ch, off, a->size);
	return BUS_OK;
}

static enum bus_status window_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	unsigned off;
	struct ide_chan *ch = decode(container_of(dev, struct piix4_ide, dev), a, &off);

	if (!ch)
		return BUS_BAD;
	ide_chan_bm_write(ch, off, a->size, (uint32_t)val);
	return BUS_OK;
}

static void window_reset(struct device *dev)
{
	struct piix4_ide *p = container_of(dev, struct piix4_ide, dev);

	p->command = CMD_IO | CMD_MASTER;
	p->bar4 = BAR4_DEFAULT;
	p->timing = 0x80008000;
	p->slave_timing = p->udma = 0;
}

static void window_inspect(struct device *dev, struct inspect *in)
{
	struct piix4_ide *p = container_of(dev, struct piix4_ide, dev);

	inspect_hex(in, SENS_SENSITIVE, "command", p->command);
	inspect_hex(in, SENS_SENSITIVE, "bus_master_base", p->bar4);
}

static void window_destroy(struct device *dev)
{
	struct piix4_ide *p = container_of(dev, struct piix4_ide, dev);

	for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++) {
		if (p->chan[i])
			device_destroy(ide_chan_device(p->chan[i]));
	}
	if (p->conf1)
		device_destroy(pci_conf1_device(p->conf1));
	device_fini(dev);
	free(p);
}

/* Decoding needs no lock; what it leads to has its own. */
static const struct device_ops window_ops = {
	.name = "piix4_ide",
	.flags = DEV_LOCKLESS,
	.reset = window_reset,
	.io_read = window_read,
	.io_write = window_write,
	.inspect = window_inspect,
	.destroy = window_destroy,
};

/* ---- life cycle ------------------------------------------------------------------------------ */

static int add_functions(struct piix4_ide *p, struct bus *bus)
{
	const struct pci_conf1_fn host = { fixed_read, fixed_write,
					   (void *)(uintptr_t)host_bridge };
	const struct pci_conf1_fn isa = { fixed_read, fixed_write, (void *)(uintptr_t)isa_bridge };
	const struct pci_conf1_fn ide = { ide_cfg_read, ide_cfg_write, p };
	int r = pci_conf1_create(bus, &p->conf1);

	if (r == 0)
		r = pci_conf1_add(p->conf1, 0, 0, &host);
	if (r == 0)
		r = pci_conf1_add(p->conf1, 7, 0, &isa);
	if (r == 0)
		r = pci_conf1_add(p->conf1, 7, 1, &ide);
	return r;
}

static int add_channel(struct piix4_ide *p, const struct piix4_ide_cfg *cfg, struct bus *bus,
		       unsigned idx)
{
	static const uint16_t command[] = { 0x1f0, 0x170 }, control[] = { 0x3f6, 0x376 };
	static const char *const names[] = { "ide0", "ide1" };
	const struct ide_chan_cfg cc = {
		.name = names[idx], .gm = cfg->gm, .loop = cfg->loop, .irq = cfg->irq[idx]
	};
	struct device *dev;
	int r = ide_chan_create(&cc, &p->chan[idx]);

	if (r < 0)
		return r;
	dev = ide_chan_device(p->chan[idx]);
	r = bus_claim(bus, BUS_PIO, command[idx], IDE_COMMAND_PORTS, dev, IDE_REGION_COMMAND);
	if (r == 0)
		r = bus_claim(bus, BUS_PIO, control[idx], IDE_CONTROL_PORTS, dev,
			      IDE_REGION_CONTROL);
	return r;
}

int piix4_ide_create(const struct piix4_ide_cfg *cfg, struct bus *bus, struct piix4_ide **ret_p)
{
	struct piix4_ide *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	device_init(&p->dev, &window_ops, "piix4_ide");
	window_reset(&p->dev);
	r = add_functions(p, bus);
	for (unsigned i = 0; i < PIIX4_IDE_CHANNELS && r == 0; i++)
		r = add_channel(p, cfg, bus, i);
	if (r == 0)
		r = bus_claim(bus, BUS_PIO, PIIX4_IDE_WINDOW, 0x10000u - PIIX4_IDE_WINDOW, &p->dev,
			      0);
	if (r < 0) {
		device_destroy(&p->dev);
		return r;
	}
	*ret_p = p;
	return 0;
}

void piix4_ide_destroy(struct piix4_ide *p)
{
	if (p)
		device_destroy(&p->dev);
}

struct ide_chan *piix4_ide_chan(struct piix4_ide *p, unsigned idx)
{
	return p->chan[idx];
}

void piix4_ide_reset(struct piix4_ide *p)
{
	device_reset(&p->dev);
	device_reset(pci_conf1_device(p->conf1));
	for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++)
		device_reset(ide_chan_device(p->chan[i]));
}

void piix4_ide_inspect(struct inspect *in, const void *obj)
{
	const struct piix4_ide *p = obj;

	inspect_flatten(in, device_inspect, &p->dev);
	inspect_dir(in, SENS_UNSPEC, "pci", device_inspect, pci_conf1_device(p->conf1));
	for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, device_inspect, ide_chan_device(p->chan[i]));
}
