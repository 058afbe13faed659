/* SPDX-License-Identifier: MIT */
/*
 * The devices of the VM: one explicit table of what is built, in start order, and the bus they
 * answer on. Pure wiring: everything outside (interrupt hypercalls, power, time, character streams)
 * comes in through struct machine_wiring, so tests build the same machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "macros.h"

struct bus;
struct char_backend;
struct gmem;
struct inspect;
struct irq_sink;
struct loop;
struct machine;
struct msi_sink;
struct piix4_ide;
struct power_ops;
struct uart16550;

#define MACHINE_COMS 2

struct machine_cfg {
	uint32_t n_vps;
	bool com[MACHINE_COMS]; /* COM1, COM2 exist */
	bool serial_wait_for_rts;
	bool ide; /* an IDE controller and the PCI bus it is found on */
};

struct machine_wiring {
	const struct msi_sink *msi;
	const struct irq_sink *extint; /* PIC output; line number 0 */
	const struct power_ops *power;
	const struct vm_clock *clock;
	const struct dev_timers *timers;
	const struct char_backend *com[MACHINE_COMS]; /* NULL: nothing attached */
	struct gmem *gm; /* for devices that master the bus */
	struct loop *loop; /* where devices do input and output */
};

/**
 * machine_create - build all devices and the frozen bus
 * Returns: 0, -errno. Context: start-up. What cfg and wiring point at must outlive the machine.
 */
must_check int machine_create(const struct machine_cfg *cfg, const struct machine_wiring *w,
			      struct machine **ret_machine);
void machine_destroy(struct machine *m);

struct bus *machine_bus(struct machine *m);
/* Every device and the bus: an inspect_fn on the struct machine. Any thread, no device locks. */
void machine_inspect(struct inspect *in, const void *m);

/* NULL: no such port. */
struct uart16550 *machine_com(struct machine *m, unsigned int idx);
/* NULL: there is none. */
struct piix4_ide *machine_ide(struct machine *m);
/* End of interrupt of a level-triggered vector. Any thread without device locks. */
void machine_eoi(struct machine *m, uint8_t vector);
/* Acknowledge the PIC: the vector to inject. */
uint8_t machine_extint_ack(struct machine *m);
