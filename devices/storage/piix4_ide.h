/* SPDX-License-Identifier: MIT */
/*
 * The IDE controller of a PIIX4 and as much of a PCI bus as a driver needs to find it: host bridge,
 * ISA bridge, IDE function with its bus master ports, two channels.
 * Spec: Intel 82371AB; spec/chipset-uefi-vtpm.md 5.5, 5.6.
 */
#pragma once

#include <stdint.h>

#include "ide.h"
#include "irqline.h"
#include "macros.h"

struct bus;
struct gmem;
struct inspect;
struct loop;
struct piix4_ide;

#define PIIX4_IDE_CHANNELS 2u
/* From here on the guest may place the bus master registers; below are ports of other devices. */
#define PIIX4_IDE_WINDOW 0x8000u

struct piix4_ide_cfg {
	struct gmem *gm;
	struct loop *loop; /* where input and output run */
	struct irq_line irq[PIIX4_IDE_CHANNELS]; /* lines 14 and 15 */
};

/* piix4_ide_create - and claim everything. Returns 0, -ENOMEM, as bus_claim(). Start-up. */
must_check int piix4_ide_create(const struct piix4_ide_cfg *cfg, struct bus *bus,
				struct piix4_ide **ret_p);
/* Channels must have been stopped. Accepts NULL. */
void piix4_ide_destroy(struct piix4_ide *p);

/* To attach drives. @idx 0, 1. */
struct ide_chan *piix4_ide_chan(struct piix4_ide *p, unsigned idx);

/* Reset of the machine. No VP may be running. */
void piix4_ide_reset(struct piix4_ide *p);

/* An inspect_fn on the struct piix4_ide. Any thread without device locks. */
void piix4_ide_inspect(struct inspect *in, const void *p);
