/* SPDX-License-Identifier: MIT */
/* See machine.h. The chipset of a PC, and later whatever else has ports, addresses or channels. */
#include "machine.h"

#include <errno.h>
#include <stdlib.h>

#include "bus.h"
#include "inspect.h"
#include "ioapic.h"
#include "irqline.h"
#include "irqset.h"
#include "pc_chipset.h"
#include "pic.h"
#include "piix4_ide.h"

/* Interrupt lines 14 and 15. */
#define IDE_FIRST_LINE 14u

struct machine {
	struct bus *bus;
	struct pc_chipset *chipset;
	struct piix4_ide *ide;
};

static int make_bus(struct machine *m, const struct machine_cfg *cfg,
		    const struct machine_wiring *w)
{
	(void)w;
	return bus_create(cfg->n_vps, &m->bus);
}

static int make_chipset(struct machine *m, const struct machine_cfg *cfg,
			const struct machine_wiring *w)
{
	const bool serial = cfg->com[0] || cfg->com[1];
	struct pc_chipset_cfg cc = {
		/* With any serial port all four exist; the last two are never connected. */
		.com = { serial, serial, serial, serial },
		.com_wait_for_rts = { cfg->serial_wait_for_rts, cfg->serial_wait_for_rts },
		.pic = true,
		.pit = true,
		.i8042 = true,
		.reset_port = true,
		.pci = cfg->ide,
	};
	struct pc_chipset_wiring cw = {
		.clock = w->clock,
		.timers = *w->timers,
		.msi = w->msi,
		.extint = { .sink = w->extint, .n = 0 },
		.power = w->power,
		.com = { w->com[0], w->com[1] },
	};

	return pc_chipset_create(&cc, &cw, m->bus, &m->chipset);
}

static int make_ide(struct machine *m, const struct machine_cfg *cfg,
		    const struct machine_wiring *w)
{
	struct piix4_ide_cfg ic = { .gm = w->gm, .loop = w->loop };
	int r = 0;

	for (unsigned int i = 0; i < PIIX4_IDE_CHANNELS && r == 0 && cfg->ide; i++)
		r = irqset_source(m->chipset->irqs, IDE_FIRST_LINE + i, &ic.irq[i]);
	return r || !cfg->ide ? r : piix4_ide_create(&ic, m->bus, &m->ide);
}

static int freeze_bus(struct machine *m, const struct machine_cfg *cfg,
		      const struct machine_wiring *w)
{
	(void)cfg;
	(void)w;
	return bus_freeze(m->bus);
}

/* In start order. */
static int (*const parts[])(struct machine *m, const struct machine_cfg *cfg,
			    const struct machine_wiring *w) = {
	make_bus,
	make_chipset,
	make_ide,
	freeze_bus,
};

int machine_create(const struct machine_cfg *cfg, const struct machine_wiring *w,
		   struct machine **ret_machine)
{
	struct machine *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(parts) && r == 0; i++)
		r = parts[i](m, cfg, w);
	if (r) {
		machine_destroy(m);
		return r;
	}
	*ret_machine = m;
	return 0;
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	bus_destroy(m->bus);
	piix4_ide_destroy(m->ide);
	pc_chipset_destroy(m->chipset);
	free(m);
}

struct bus *machine_bus(struct machine *m)
{
	return m->bus;
}

void machine_inspect(struct inspect *in, const void *obj)
{
	const struct machine *m = obj;

	inspect_flatten(in, pc_chipset_inspect, m->chipset);
	inspect_dir(in, SENS_UNSPEC, "bus", bus_inspect, m->bus);
	if (m->ide)
		inspect_dir(in, SENS_UNSPEC, "ide", piix4_ide_inspect, m->ide);
}

struct piix4_ide *machine_ide(struct machine *m)
{
	return m->ide;
}

struct uart16550 *machine_com(struct machine *m, unsigned int idx)
{
	return idx < MACHINE_COMS ? m->chipset->com[idx] : NULL;
}

void machine_eoi(struct machine *m, uint8_t vector)
{
	ioapic_eoi(m->chipset->ioapic, vector);
}

uint8_t machine_extint_ack(struct machine *m)
{
	return pic_ack(m->chipset->pic);
}
