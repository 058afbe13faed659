/* SPDX-License-Identifier: MIT */
/*
 * The chipset of a PC as Keel presents it: makes the devices, wires their interrupt lines and
 * claims their ports and addresses (chipset fact sheet, device matrix). The daemon, the tests and
 * the fuzz target all use this one, so what is tested is what runs.
 *
 * Lines: PIT 2, keyboard 1, mouse 12, RTC 8, PM 9, COM1..COM4 4, 3, 4, 3. Line n reaches IOAPIC
 * input n and, with a PIC, input n of the PIC, except that line 2 is PIC input 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "irqline.h"
#include "macros.h"

struct bus;
struct char_backend;
struct device;
struct i8042;
struct inspect;
struct ioapic;
struct irqset;
struct msi_sink;
struct pic;
struct pit;
struct pm;
struct power_ops;
struct rtc;
struct uart16550;

#define PC_COM_PORTS 4u

struct pc_chipset_cfg {
	bool com[PC_COM_PORTS]; /* a port that is not there is claimed by a missing stub */
	bool com_wait_for_rts[PC_COM_PORTS]; /* struct uart16550_cfg */
	bool pic, pit; /* false: missing stub */
	bool i8042; /* false: unclaimed */
	bool reset_port; /* 0xCF9 */
	bool pci; /* somebody else claims the ports of PCI configuration */
	int64_t rtc_skew_ns;
};

struct pc_chipset_wiring {
	const struct vm_clock *clock;
	struct dev_timers timers;
	const struct msi_sink *msi; /* IOAPIC output */
	struct irq_line extint; /* PIC output */
	const struct power_ops *power;
	const struct char_backend *com[PC_COM_PORTS]; /* NULL: nothing attached */
	void (*rtc_skew_changed)(void *ctx, int64_t skew_ns); /* struct rtc_wiring; may be NULL */
	void *rtc_ctx;
};

/* Devices that are not there are NULL. */
struct pc_chipset {
	struct irqset *irqs;
	struct ioapic *ioapic;
	struct pic *pic;
	struct pit *pit;
	struct rtc *rtc;
	struct pm *pm;
	struct i8042 *i8042;
	struct uart16550 *com[PC_COM_PORTS];
	struct device *reset_port;
	struct device *missing;
};

/**
 * pc_chipset_create - build everything onto a bus that is not frozen yet
 * @cfg, @w: copied; what w points at must outlive the chipset
 * Returns: 0; -ENOMEM; as bus_claim() if something else sits on a port of the chipset
 * Context: start-up
 */
must_check int pc_chipset_create(const struct pc_chipset_cfg *cfg,
				 const struct pc_chipset_wiring *w, struct bus *bus,
				 struct pc_chipset **ret_chipset);

/* After the bus is no longer used, on the control loop or when it has stopped. NULL is fine. */
void pc_chipset_destroy(struct pc_chipset *cs);

/* Reset every device, as the machine's reset line does. No VP may be running. */
void pc_chipset_reset(struct pc_chipset *cs);

/* Every device by its name in OpenHCL, and the interrupt lines ("lines"): an inspect_fn on the
 * struct pc_chipset. Any thread without device locks. */
void pc_chipset_inspect(struct inspect *in, const void *cs);
