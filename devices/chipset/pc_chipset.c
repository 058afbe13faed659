/* SPDX-License-Identifier: MIT */
#include "pc_chipset.h"

#include "bus.h"
#include "i8042.h"
#include "inspect.h"
#include "ioapic.h"
#include "irqset.h"
#include "missing.h"
#include "pic.h"
#include "pit.h"
#include "pm.h"
#include "resetport.h"
#include "rtc.h"
#include "uart16550.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_CASCADE 2u
#define PIC_LINES 16u

struct com_info {
	const char *name;
	uint16_t base;
	uint8_t line;
};

static const struct com_info com_info[PC_COM_PORTS] = {
	{ "com1", 0x3f8, 4 },
	{ "com2", 0x2f8, 3 },
	{ "com3", 0x3e8, 4 },
	{ "com4", 0x2e8, 3 },
};

struct port_range {
	uint16_t base;
	uint16_t len;
};

/* Looked for by guests, never there: I/O delay, game port, VMware backdoor, ISA DMA page register.
 */
static const struct port_range always_missing[] = {
	{ 0xed, 1 }, { 0x201, 1 }, { 0x5658, 2 }, { 0xcfa, 2 }, { 0x87, 1 },
};
static const struct port_range pci_ports[] = { { 0xcf8, 1 }, { 0xcfc, 4 } };
static const struct port_range pic_ports[] = { { 0x20, 2 }, { 0xa0, 2 } };
static const struct port_range pit_ports[] = { { 0x40, 4 }, { 0x61, 1 } };
static const struct port_range reset_ports[] = { { RESETPORT_PORT, 1 } };

static int claim_missing(struct pc_chipset *cs, struct bus *bus, const struct port_range *r,
			 size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int err = bus_claim(bus, BUS_PIO, r[i].base, r[i].len, cs->missing, 0);

		if (err < 0)
			return err;
	}
	return 0;
}

static int make_ioapic(struct pc_chipset *cs, const struct pc_chipset_wiring *w, struct bus *bus)
{
	const struct ioapic_wiring iw = { .msi = w->msi };
	int r = ioapic_create(&iw, &cs->ioapic);

	for (unsigned int n = 0; r == 0 && n < IOAPIC_INPUTS; n++)
		r = irqset_connect(cs->irqs, n, ioapic_sink(cs->ioapic), n);
	if (r == 0)
		r = bus_claim(bus, BUS_MMIO, IOAPIC_BASE, IOAPIC_LEN, ioapic_device(cs->ioapic), 0);
	return r;
}

static int make_pic(struct pc_chipset *cs, const struct pc_chipset_wiring *w, struct bus *bus)
{
	const struct pic_wiring pw = { .extint = w->extint };
	int r = pic_create(&pw, &cs->pic);

	for (unsigned int n = 1; r == 0 && n < PIC_LINES; n++)
		r = irqset_connect(cs->irqs, n, pic_sink(cs->pic), n == LINE_CASCADE ? 0 : n);
	if (r == 0)
		r = pic_claim(cs->pic, bus);
	return r;
}

static int make_pit(struct pc_chipset *cs, const struct pc_chipset_wiring *w, struct bus *bus)
{
	struct pit_wiring pw = { .clock = w->clock, .timers = w->timers };
	int r = irqset_source(cs->irqs, PIT_IRQ, &pw.irq);

	if (r == 0)
		r = pit_create(&pw, &cs->pit);
	if (r == 0)
		r = pit_claim(cs->pit, bus);
	return r;
}

static int make_rtc(struct pc_chipset *cs, const struct pc_chipset_cfg *cfg,
		    const struct pc_chipset_wiring *w, struct bus *bus)
{
	const struct rtc_cfg rc = { .skew_ns = cfg->rtc_skew_ns };
	struct rtc_wiring rw = {
		.clock = w->clock,
		.timers = w->timers,
		.skew_changed = w->rtc_skew_changed,
		.ctx = w->rtc_ctx,
	};
	int r = irqset_source(cs->irqs, RTC_IRQ, &rw.irq);

	if (r == 0)
		r = rtc_create(&rc, &rw, &cs->rtc);
	if (r == 0)
		r = bus_claim(bus, BUS_PIO, RTC_PORT, RTC_PORTS, rtc_device(cs->rtc), 0);
	return r;
}

static int make_pm(struct pc_chipset *cs, const struct pc_chipset_wiring *w, struct bus *bus)
{
	struct pm_wiring pw = { .clock = w->clock, .power = w->power };
	int r = irqset_source(cs->irqs, PM_IRQ, &pw.irq);

	if (r == 0)
		r = pm_create(&pw, &cs->pm);
	if (r == 0)
		r = bus_claim(bus, BUS_PIO, PM_BASE, PM_PORTS, pm_device(cs->pm), 0);
	return r;
}

static int make_i8042(struct pc_chipset *cs, const struct pc_chipset_wiring *w, struct bus *bus)
{
	struct i8042_wiring iw = { .power = w->power };
	int r = irqset_source(cs->irqs, I8042_IRQ_KBD, &iw.irq_kbd);

	if (r == 0)
		r = irqset_source(cs->irqs, I8042_IRQ_AUX, &iw.irq_aux);
	if (r == 0)
		r = i8042_create(&iw, &cs->i8042);
	if (r == 0)
		r = i8042_claim(cs->i8042, bus);
	return r;
}

static int make_com(struct pc_chipset *cs, const struct pc_chipset_cfg *cfg,
		    const struct pc_chipset_wiring *w, struct bus *bus, unsigned int i)
{
	const struct com_info *info = &com_info[i];
	const struct uart16550_cfg uc = {
		.name = info->name,
		.wait_for_rts = cfg->com_wait_for_rts[i],
	};
	struct uart16550_wiring uw = { .backend = w->com[i] };
	const struct port_range ports = { info->base, UART16550_PORTS };
	int r;

	if (!cfg->com[i])
		return claim_missing(cs, bus, &ports, 1);
	r = irqset_source(cs->irqs, info->line, &uw.irq);
	if (r == 0)
		r = uart16550_create(&uc, &uw, &cs->com[i]);
	if (r == 0)
		r = bus_claim(bus, BUS_PIO, info->base, UART16550_PORTS,
			      uart16550_device(cs->com[i]), 0);
	return r;
}

static int make_reset_port(struct pc_chipset *cs, const struct pc_chipset_wiring *w,
			   struct bus *bus)
{
	int r = resetport_create(w->power, &cs->reset_port);

	if (r == 0)
		r = bus_claim(bus, BUS_PIO, RESETPORT_PORT, 1, cs->reset_port, 0);
	return r;
}

/* What a PC may or may not have; a stub takes the ports of what it has not. */
static int make_optional(struct pc_chipset *cs, const struct pc_chipset_cfg *cfg,
			 const struct pc_chipset_wiring *w, struct bus *bus)
{
	int r = cfg->pic ? make_pic(cs, w, bus)
			 : claim_missing(cs, bus, pic_ports, ARRAY_SIZE(pic_ports));

	if (r == 0)
		r = cfg->pit ? make_pit(cs, w, bus)
			     : claim_missing(cs, bus, pit_ports, ARRAY_SIZE(pit_ports));
	if (r == 0 && cfg->i8042)
		r = make_i8042(cs, w, bus);
	if (r == 0)
		r = cfg->reset_port ? make_reset_port(cs, w, bus)
				    : claim_missing(cs, bus, reset_ports, ARRAY_SIZE(reset_ports));
	for (unsigned int i = 0; r == 0 && i < PC_COM_PORTS; i++)
		r = make_com(cs, cfg, w, bus, i);
	return r;
}

static int build(struct pc_chipset *cs, const struct pc_chipset_cfg *cfg,
		 const struct pc_chipset_wiring *w, struct bus *bus)
{
	int r = irqset_create(&cs->irqs);

	if (r == 0)
		r = missing_create("missing", &cs->missing);
	if (r == 0)
		r = claim_missing(cs, bus, always_missing, ARRAY_SIZE(always_missing));
	if (r == 0 && !cfg->pci)
		r = claim_missing(cs, bus, pci_ports, ARRAY_SIZE(pci_ports));
	if (r == 0)
		r = make_ioapic(cs, w, bus);
	if (r == 0)
		r = make_rtc(cs, cfg, w, bus);
	if (r == 0)
		r = make_pm(cs, w, bus);
	if (r == 0)
		r = make_optional(cs, cfg, w, bus);
	return r;
}

int pc_chipset_create(const struct pc_chipset_cfg *cfg, const struct pc_chipset_wiring *w,
		      struct bus *bus, struct pc_chipset **ret_chipset)
{
	struct pc_chipset *cs = calloc(1, sizeof(*cs));
	int r;

	if (!cs)
		return -ENOMEM;
	r = build(cs, cfg, w, bus);
	if (r < 0) {
		pc_chipset_destroy(cs);
		return r;
	}
	*ret_chipset = cs;
	return 0;
}

/* Sources before controllers, so that levels never reach something that is gone. */
static size_t list_devices(struct pc_chipset *cs, struct device *ret_list[12])
{
	size_t n = 0;

	for (unsigned int i = 0; i < PC_COM_PORTS; i++)
		if (cs->com[i])
			ret_list[n++] = uart16550_device(cs->com[i]);
	if (cs->i8042)
		ret_list[n++] = i8042_device(cs->i8042);
	if (cs->pit)
		ret_list[n++] = pit_device(cs->pit);
	if (cs->rtc)
		ret_list[n++] = rtc_device(cs->rtc);
	if (cs->pm)
		ret_list[n++] = pm_device(cs->pm);
	if (cs->reset_port)
		ret_list[n++] = cs->reset_port;
	if (cs->pic)
		ret_list[n++] = pic_device(cs->pic);
	if (cs->ioapic)
		ret_list[n++] = ioapic_device(cs->ioapic);
	if (cs->missing)
		ret_list[n++] = cs->missing;
	return n;
}

void pc_chipset_destroy(struct pc_chipset *cs)
{
	struct device *list[12];
	size_t n;

	if (!cs)
		return;
	n = list_devices(cs, list);
	for (size_t i = 0; i < n; i++)
		device_destroy(list[i]);
	irqset_destroy(cs->irqs);
	free(cs);
}

void pc_chipset_reset(struct pc_chipset *cs)
{
	struct device *list[12];
	size_t n = list_devices(cs, list);

	for (size_t i = 0; i < n; i++)
		device_reset(list[i]);
}

static void show(struct inspect *in, const char *name, const struct device *dev)
{
	if (dev)
		inspect_dir(in, SENS_UNSPEC, name, device_inspect, dev);
}

void pc_chipset_inspect(struct inspect *in, const void *obj)
{
	static const char *const serial[PC_COM_PORTS] = { "serial-com1", "serial-com2",
							  "serial-com3", "serial-com4" };
	const struct pc_chipset *cs = obj;

	for (unsigned int i = 0; i < PC_COM_PORTS; i++)
		if (cs->com[i])
			show(in, serial[i], uart16550_device(cs->com[i]));
	if (cs->i8042)
		show(in, "i8042", i8042_device(cs->i8042));
	if (cs->pit)
		show(in, "pit", pit_device(cs->pit));
	show(in, "rtc", rtc_device(cs->rtc));
	show(in, "pm", pm_device(cs->pm));
	show(in, "reset-port", cs->reset_port);
	if (cs->pic)
		show(in, "pic", pic_device(cs->pic));
	show(in, "ioapic", ioapic_device(cs->ioapic));
	show(in, "missing", cs->missing);
	inspect_dir(in, SENS_UNSPEC, "lines/irq", irqset_inspect, cs->irqs);
}
