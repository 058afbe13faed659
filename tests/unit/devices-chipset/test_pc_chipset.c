/* SPDX-License-Identifier: MIT */
#include "pc_chipset.h"

#include "unit.h"

#include <errno.h>
#include <string.h>

#include "chip_rig.h"
#include "pm.h"
#include "uart16550.h"

static struct chip_rig rig;

static const char *owner(uint16_t port)
{
	const struct device *d = bus_owner(rig.bus, BUS_PIO, port);

	return d ? d->name : "nobody";
}

START_TEST(full_machine_map)
{
	static const struct {
		uint16_t first, last;
		const char *name;
	} map[] = {
		{ 0x20, 0x21, "pic" }, { 0x40, 0x43, "pit" }, { 0x60, 0x60, "i8042" },
		{ 0x61, 0x61, "pit" }, { 0x64, 0x64, "i8042" }, { 0x70, 0x71, "rtc" },
		{ 0x87, 0x87, "missing" }, { 0xa0, 0xa1, "pic" }, { 0xed, 0xed, "missing" },
		{ 0x201, 0x201, "missing" }, { 0x2e8, 0x2ef, "com4" }, { 0x2f8, 0x2ff, "com2" },
		{ 0x3e8, 0x3ef, "com3" }, { 0x3f8, 0x3ff, "com1" }, { 0x400, 0x436, "pm" },
		{ 0x4d0, 0x4d1, "pic" }, { 0xcf8, 0xcf8, "missing" }, { 0xcf9, 0xcf9, "resetport" },
		{ 0xcfa, 0xcff, "missing" }, { 0x5658, 0x5659, "missing" },
	};
	const char *want;
	size_t i = 0;

	rig_init(&rig);
	for (uint32_t port = 0; port <= 0xffff; port++) {
		while (i < ARRAY_SIZE(map) && port > map[i].last)
			i++;
		want = i < ARRAY_SIZE(map) && port >= map[i].first ? map[i].name : "nobody";
		if (strcmp(owner((uint16_t)port), want) != 0)
			ck_abort_msg("port %#x: %s", port, owner((uint16_t)port));
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(minimal_machine_has_stubs)
{
	const struct pc_chipset_cfg cfg = { .com = { true, false, false, false } };
	static const uint16_t stubs[] = { 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x43, 0x61, 0x2f8, 0x3e8,
					  0x2ef, 0xcf9, 0xcf8 };
	struct bus_counts n;

	rig_init_cfg(&rig, &cfg);
	for (size_t i = 0; i < ARRAY_SIZE(stubs); i++) {
		ck_assert_str_eq(owner(stubs[i]), "missing");
		ck_assert_uint_eq(rig_in(&rig, stubs[i], 4), 0xffffffff);
		rig_out(&rig, stubs[i], 2, 0x1234);
	}
	ck_assert_str_eq(owner(0x3f8), "com1");
	ck_assert_str_eq(owner(0x60), "nobody");
	bus_stats(rig.bus, &n);
	ck_assert_uint_eq(n.bad + n.unclaimed[BUS_PIO], 0);
	ck_assert_uint_eq(n.reads[BUS_PIO], ARRAY_SIZE(stubs));
	pc_chipset_reset(rig.cs);
	rig_fini(&rig);
}
END_TEST

START_TEST(pit_reaches_pic_0_and_ioapic_2)
{
	rig_init(&rig);
	rig_route(&rig, 2, 0x30);
	rig_outb(&rig, 0x43, 0x34);
	rig_outb(&rig, 0x40, 0xe8);
	rig_outb(&rig, 0x40, 0x03);
	rig_step(&rig, 2000000, 100);
	ck_assert_uint_ge(rig.n_msi, 2);
	ck_assert(rig_line(&rig, 0));
	rig_fini(&rig);
}
END_TEST

START_TEST(com_lines)
{
	static const uint16_t base[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
	static const uint8_t line[] = { 4, 3, 4, 3 };

	for (unsigned int i = 0; i < PC_COM_PORTS; i++) {
		rig_init(&rig);
		rig_route(&rig, line[i], 0x40);
		rig_outb(&rig, (uint16_t)(base[i] + 4), 0x08);
		rig_outb(&rig, (uint16_t)(base[i] + 1), 0x02);
		ck_assert_uint_eq(rig.n_msi, 1);
		ck_assert(rig_line(&rig, line[i]));
		rig_outb(&rig, base[i], (uint8_t)('0' + i));
		ck_assert_uint_eq(rig.com[i].n_out, 1);
		ck_assert_uint_eq(rig.com[i].out[0], '0' + i);
		rig_fini(&rig);
	}
}
END_TEST

START_TEST(reset_port_needs_rising_bit_2)
{
	rig_init(&rig);
	rig_outb(&rig, 0xcf9, 0x02);
	ck_assert_uint_eq(rig.n_reset, 0);
	ck_assert_uint_eq(rig_inb(&rig, 0xcf9), 0x02);
	rig_outb(&rig, 0xcf9, 0x06);
	ck_assert_uint_eq(rig.n_reset, 1);
	rig_outb(&rig, 0xcf9, 0x06); /* no transition */
	ck_assert_uint_eq(rig.n_reset, 1);
	rig_outb(&rig, 0xcf9, 0x00);
	rig_outb(&rig, 0xcf9, 0x0e);
	ck_assert_uint_eq(rig.n_reset, 2);
	rig_out(&rig, 0xcf9, 2, 0x00);
	rig_out(&rig, 0xcf8, 4, 0x80000600); /* the configuration address is not this register */
	ck_assert_uint_eq(rig.n_reset, 2);
	rig_fini(&rig);
}
END_TEST

START_TEST(reset_returns_all_devices)
{
	rig_init(&rig);
	rig_outb(&rig, 0x3f8 + 7, 0x12);
	rig_outb(&rig, 0x21, 0x55);
	rig_outb(&rig, 0x70, 0x11);
	rig_out(&rig, 0x402, 2, 0x20);
	pm_power_button(rig.cs->pm);
	rig_ioapic_write(&rig, 0x10, 0x77);
	pc_chipset_reset(rig.cs);
	ck_assert_uint_eq(rig_inb(&rig, 0x3f8 + 7), 0xff);
	ck_assert_uint_eq(rig_inb(&rig, 0x21), 0xff);
	ck_assert_uint_eq(rig_inb(&rig, 0x70), 0x80);
	ck_assert_uint_eq(rig_in(&rig, 0x400, 4), 0);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 0x10), 0x10800);
	for (unsigned int n = 0; n < 16; n++)
		ck_assert(!rig_line(&rig, n));
	rig_fini(&rig);
}
END_TEST

START_TEST(occupied_port_is_an_error)
{
	const struct pc_chipset_cfg cfg = { .com = { true } };
	struct pc_chipset *cs = NULL;
	struct pc_chipset_wiring w;
	struct bus *bus;

	rig_init_cfg(&rig, &cfg);
	w = (struct pc_chipset_wiring){
		.clock = &rig.clock,
		.msi = &rig.msi,
		.power = &rig.power,
	};
	ck_assert_int_eq(bus_create(1, &bus), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_MMIO, 0xfec00010, 1, rig.cs->missing, 0), 0);
	ck_assert_int_eq(pc_chipset_create(&cfg, &w, bus, &cs), -EEXIST);
	ck_assert_ptr_null(cs);
	bus_destroy(bus);
	pc_chipset_destroy(NULL);
	rig_fini(&rig);
}
END_TEST

/* Every port, every size, twice: nothing but answers. */
START_TEST(sweep_of_all_ports)
{
	unsigned int bad = 0;

	rig_init(&rig);
	for (unsigned int pass = 0; pass < 2; pass++)
		for (uint32_t port = 0; port <= 0xffff; port++)
			for (unsigned int size = 1; size <= 4; size *= 2) {
				bad += rig_in(&rig, (uint16_t)port, size) >> size * 8 != 0;
				rig_out(&rig, (uint16_t)port, size, pass ? UINT64_MAX : port);
			}
	ck_assert_uint_eq(bad, 0);
	rig_step(&rig, 3000000000, 100000);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("chipset", full_machine_map, minimal_machine_has_stubs, pit_reaches_pic_0_and_ioapic_2,
	  com_lines, reset_port_needs_rising_bit_2, reset_returns_all_devices,
	  occupied_port_is_an_error, sweep_of_all_ports)
