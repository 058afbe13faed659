/* SPDX-License-Identifier: MIT */
#include "chip_rig.h"
#include "inspect_get.h"
#include "uart16550.h"

#include "unit.h"

#include <string.h>

static struct chip_rig rig;

static const char *get(const char *path)
{
	return inspect_get(pc_chipset_inspect, rig.cs, path);
}

#define SHOWS(path, text) ck_assert_str_eq(get(path), text)

START_TEST(every_device_is_there)
{
	static const char *const names[] = { "serial-com1", "serial-com2", "serial-com3",
					     "serial-com4", "i8042",	   "pit",
					     "rtc",	    "pm",	   "reset-port",
					     "pic",	    "ioapic",	   "missing" };

	rig_init(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%s/stats/reads", names[i]);
		SHOWS(path, "0");
	}
	SHOWS("serial-com1/model", "\"uart16550\"");
	SHOWS("lines/irq/4/sources", "2");
	SHOWS("lines/irq/4/level", "false");
	rig_fini(&rig);
}
END_TEST

START_TEST(what_is_absent_is_not_shown)
{
	const struct pc_chipset_cfg bare = { .com = { true } };

	rig_init_cfg(&rig, &bare);
	SHOWS("pit", "error (not found)");
	SHOWS("pic", "error (not found)");
	SHOWS("i8042", "error (not found)");
	SHOWS("reset-port", "error (not found)");
	SHOWS("serial-com2", "error (not found)");
	SHOWS("serial-com1/connected", "true");
	SHOWS("ioapic/id", "0x0");
	rig_fini(&rig);
}
END_TEST

START_TEST(serial_registers)
{
	rig_init(&rig);
	rig_outb(&rig, 0x3fb, 0x83);
	rig_outb(&rig, 0x3f8, 0x0c);
	rig_outb(&rig, 0x3f9, 0x01);
	rig_outb(&rig, 0x3fb, 0x03);
	rig_outb(&rig, 0x3fc, 0x0b);
	rig_outb(&rig, 0x3fa, 0x81);
	rig_outb(&rig, 0x3f9, 0x01);
	ck_assert_uint_eq(uart16550_rx(rig.cs->com[0], (const uint8_t *)"abc", 3), 3);
	SHOWS("serial-com1/divisor", "268");
	SHOWS("serial-com1/lcr", "0x3");
	SHOWS("serial-com1/mcr", "0xb");
	SHOWS("serial-com1/ier", "0x1");
	SHOWS("serial-com1/rx_buffered", "3");
	SHOWS("serial-com1/rx_trigger", "8");
	SHOWS("serial-com1/interrupt_source", "\"rx_timeout\"");
	SHOWS("serial-com1/interrupt_level", "true");
	SHOWS("serial-com1/lsr", "0x61");
	SHOWS("serial-com1/stats/writes", "7");
	SHOWS("lines/irq/4/level", "true");
	rig_fini(&rig);
}
END_TEST

START_TEST(looking_clears_nothing)
{
	rig_init(&rig);
	uart16550_set_connected(rig.cs->com[0], false);
	(void)rig_inb(&rig, 0x3fe);
	uart16550_set_connected(rig.cs->com[0], true);
	SHOWS("serial-com1/msr", "0xbb");
	SHOWS("serial-com1/msr", "0xbb");
	ck_assert_uint_eq(rig_inb(&rig, 0x3fe), 0xbb);
	SHOWS("serial-com1/msr", "0xb0");
	/* Status C of the clock. */
	rig_outb(&rig, 0x70, 0x0b);
	rig_outb(&rig, 0x71, 0x12);
	(void)rig_step(&rig, 2 * NS_PER_SEC, 100);
	SHOWS("rtc/status_c", "0x50");
	SHOWS("rtc/status_c", "0x50");
	rig_outb(&rig, 0x70, 0x0c);
	ck_assert_uint_eq(rig_inb(&rig, 0x71) & 0xd0, 0xd0);
	rig_fini(&rig);
}
END_TEST

START_TEST(interrupt_controllers)
{
	rig_init(&rig);
	rig_outb(&rig, 0x20, 0x11);
	SHOWS("pic/primary/state", "\"wants_icw2\"");
	rig_outb(&rig, 0x21, 0x30);
	rig_outb(&rig, 0x21, 0x04);
	rig_outb(&rig, 0x21, 0x01);
	rig_outb(&rig, 0x21, 0xef);
	SHOWS("pic/primary/state", "\"operating\"");
	SHOWS("pic/primary/vector_base", "0x30");
	SHOWS("pic/primary/imr", "0b11101111");
	SHOWS("pic/primary/pending", "error (not found)");
	SHOWS("pic/secondary/vector_base", "0x8");
	rig_outb(&rig, 0x3fc, 0x08);
	rig_outb(&rig, 0x3f9, 0x02);
	SHOWS("pic/primary/pending", "4");
	SHOWS("pic/interrupt_level", "true");
	rig_ioapic_write(&rig, 0x11 + 2 * 9, 0x05000000);
	rig_ioapic_write(&rig, 0x10 + 2 * 9, 0x0000a161);
	SHOWS("ioapic/irqs/9/vector", "0x61");
	SHOWS("ioapic/irqs/9/delivery_mode", "\"lowest_priority\"");
	SHOWS("ioapic/irqs/9/destination", "0x5");
	SHOWS("ioapic/irqs/9/destination_mode", "\"physical\"");
	SHOWS("ioapic/irqs/9/trigger_mode", "\"level\"");
	SHOWS("ioapic/irqs/9/active_low", "true");
	SHOWS("ioapic/irqs/9/masked", "false");
	SHOWS("ioapic/irqs/0/masked", "true");
	rig_fini(&rig);
}
END_TEST

START_TEST(clocks_and_power)
{
	rig_init(&rig);
	SHOWS("rtc/time", "\"2024-03-01T12:34:56Z\"");
	SHOWS("rtc/running", "true");
	SHOWS("rtc/skew_ns", "0");
	rig_outb(&rig, 0x43, 0x34);
	SHOWS("pit/counters/0/null_count", "true");
	rig_outb(&rig, 0x40, 0xe8);
	rig_outb(&rig, 0x40, 0x03);
	SHOWS("pit/counters/0/mode", "2");
	SHOWS("pit/counters/0/access", "\"both\"");
	SHOWS("pit/counters/0/reload", "1000");
	SHOWS("pit/counters/2/gate", "false");
	rig_out(&rig, 0x402, 2, 0x0120);
	SHOWS("pm/pm1_enable", "0x120");
	SHOWS("pm/pm1_control", "0x1");
	rig_outb(&rig, 0xcf9, 0x02);
	SHOWS("reset-port/value", "0x2");
	rig_outb(&rig, 0x64, 0x60);
	SHOWS("i8042/wants_data_of", "0x60");
	rig_outb(&rig, 0x60, 0x45);
	SHOWS("i8042/command_byte", "0x45");
	rig_outb(&rig, 0x60, 0xff);
	SHOWS("i8042/output_source", "\"keyboard\"");
	SHOWS("i8042/output_buffer", "0xfa");
	SHOWS("i8042/keyboard/queued", "1");
	SHOWS("i8042/keyboard_interrupt_level", "true");
	rig_fini(&rig);
}
END_TEST

START_TEST(the_bus)
{
	rig_init(&rig);
	(void)rig_inb(&rig, 0x3fd);
	(void)rig_inb(&rig, 0x999);
	ck_assert_str_eq(inspect_get(bus_inspect, rig.bus, "vp/0/pio_reads"), "2");
	ck_assert_str_eq(inspect_get(bus_inspect, rig.bus, "vp/0/pio_unclaimed"), "1");
	ck_assert_str_eq(inspect_get(bus_inspect, rig.bus, "pio/0x3f8-0x3ff"), "\"com1\"");
	ck_assert_str_eq(inspect_get(bus_inspect, rig.bus, "mmio/0xfec00000-0xfec0001f"),
			 "\"ioapic\"");
	rig_fini(&rig);
}
END_TEST

/* No register is for a host that must not see guest state, whoever asks for what. */
START_TEST(registers_are_sensitive)
{
	const struct inspect_request req = { .path = "", .depth = 16, .max = SENS_UNSPEC };
	struct inspect_tree tree;
	char *text;

	rig_init(&rig);
	ck_assert_int_eq(inspect_run(&req, pc_chipset_inspect, rig.cs, 1u << 20, &tree), 0);
	ck_assert_int_eq(inspect_text(&tree, &text), 0);
	ck_assert_ptr_nonnull(strstr(text, "rx_buffered"));
	ck_assert_ptr_null(strstr(text, "0x"));
	ck_assert_ptr_null(strstr(text, "vector"));
	ck_assert_ptr_null(strstr(text, "<"));
	free(text);
	inspect_tree_fini(&tree);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("chipset/inspect", every_device_is_there, what_is_absent_is_not_shown, serial_registers,
	  looking_clears_nothing, interrupt_controllers, clocks_and_power, the_bus,
	  registers_are_sensitive)
