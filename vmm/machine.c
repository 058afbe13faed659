/* SPDX-License-Identifier: MIT */
/* See machine.h. The chipset of a PC, and later whatever else has ports, addresses or channels. */
#include "machine.h"

#include <errno.h>
#include <stdlib.h>

#include "bus.h"
#include "inspect.h"
#include "ioapic.h"
#include "irqline.h"
#include "pc_chipset.h"
#include "pic.h"

struct machine {
	struct bus *bus;
	struct pc_chipset *chipset;
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
