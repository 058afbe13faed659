/* SPDX-License-Identifier: MIT */
#include "uart16550.h"

#include "unit.h"

#include "chip_rig.h"

#include <string.h>

#define COM1 0x3f8
#define IRQ_COM1 4

static struct chip_rig rig;

/* OUT2 on, so that the pin reaches the controller. */
static void open_port(uint8_t ier)
{
	rig_init(&rig);
	rig_outb(&rig, COM1 + 4, 0x0b);
	(void)rig_inb(&rig, COM1 + 6);
	rig_outb(&rig, COM1 + 1, ier);
}

static size_t receive(const char *text)
{
	return uart16550_rx(rig.cs->com[0], (const uint8_t *)text, strlen(text));
}

START_TEST(reset_values)
{
	static const uint8_t want[8] = { 0, 0, 0x01, 0, 0, 0x60, 0xb0, 0xff };

	rig_init(&rig);
	(void)rig_inb(&rig, COM1 + 6); /* deltas of connecting */
	for (uint16_t i = 0; i < 8; i++)
		ck_assert_uint_eq(rig_inb(&rig, COM1 + i), want[i]);
	rig_fini(&rig);
}
END_TEST

START_TEST(register_masks)
{
	rig_init(&rig);
	rig_outb(&rig, COM1 + 1, 0xff);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 1), 0x0f);
	rig_outb(&rig, COM1 + 4, 0xff);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 4), 0x1f);
	rig_outb(&rig, COM1 + 7, 0x5a);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 7), 0x5a);
	rig_outb(&rig, COM1 + 6, 0xff); /* MSR is read-only */
	rig_fini(&rig);
}
END_TEST

START_TEST(dlab_selects_divisor)
{
	rig_init(&rig);
	rig_outb(&rig, COM1 + 1, 0x05);
	rig_outb(&rig, COM1 + 3, 0x83);
	rig_outb(&rig, COM1, 0x34);
	rig_outb(&rig, COM1 + 1, 0x12);
	ck_assert_uint_eq(rig_inb(&rig, COM1), 0x34);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 1), 0x12);
	rig_outb(&rig, COM1 + 3, 0x03);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 1), 0x05);
	ck_assert_uint_eq(rig.com[0].n_out, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(transmit_reaches_backend)
{
	rig_init(&rig);
	for (const char *p = "hello"; *p; p++)
		rig_outb(&rig, COM1, (uint8_t)*p);
	ck_assert_uint_eq(rig.com[0].n_out, 5);
	ck_assert(memcmp(rig.com[0].out, "hello", 5) == 0);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5), 0x60);
	rig_fini(&rig);
}
END_TEST

START_TEST(only_byte_0_of_wide_access)
{
	rig_init(&rig);
	rig_out(&rig, COM1, 4, 0x44434241);
	ck_assert_uint_eq(rig.com[0].n_out, 1);
	ck_assert_uint_eq(rig.com[0].out[0], 'A');
	ck_assert_uint_eq(rig_in(&rig, COM1 + 5, 4), 0x60);
	ck_assert_uint_eq(rig_in(&rig, COM1 + 7, 2), 0xff);
	rig_fini(&rig);
}
END_TEST

START_TEST(thre_interrupt)
{
	open_port(0x02);
	ck_assert(rig_line(&rig, IRQ_COM1)); /* enabling it with THR empty raises it */
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x02);
	ck_assert(!rig_line(&rig, IRQ_COM1)); /* reading IIR acknowledged it */
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x01);
	rig_outb(&rig, COM1, 'x');
	ck_assert(rig_line(&rig, IRQ_COM1));
	rig_fini(&rig);
}
END_TEST

START_TEST(thre_rearmed_by_ier_write)
{
	open_port(0x02);
	(void)rig_inb(&rig, COM1 + 2);
	rig_outb(&rig, COM1 + 1, 0x00);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x01);
	rig_outb(&rig, COM1 + 1, 0x02);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x02);
	rig_fini(&rig);
}
END_TEST

START_TEST(iir_read_of_other_source_keeps_thre)
{
	open_port(0x03);
	(void)receive("a");
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x04);
	(void)rig_inb(&rig, COM1);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x02);
	rig_fini(&rig);
}
END_TEST

START_TEST(back_pressure)
{
	open_port(0x02);
	(void)rig_inb(&rig, COM1 + 2);
	rig.com[0].quota = 1;
	rig_outb(&rig, COM1, '1');
	rig_outb(&rig, COM1, '2');
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 0x60, 0);
	ck_assert(!rig_line(&rig, IRQ_COM1));
	rig.com[0].quota = SIZE_MAX;
	uart16550_tx_ready(rig.cs->com[0]);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 0x60, 0x60);
	ck_assert(rig_line(&rig, IRQ_COM1));
	ck_assert(memcmp(rig.com[0].out, "12", 2) == 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(back_pressure_keeps_256_bytes_in_order)
{
	rig_init(&rig);
	rig.com[0].quota = 0;
	for (unsigned int i = 0; i < 300; i++)
		rig_outb(&rig, COM1, (uint8_t)i);
	rig.com[0].quota = 100; /* taken in pieces, across the end of the ring */
	uart16550_tx_ready(rig.cs->com[0]);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 0x60, 0);
	rig_outb(&rig, COM1, 0xee);
	rig.com[0].quota = SIZE_MAX;
	uart16550_tx_ready(rig.cs->com[0]);
	ck_assert_uint_eq(rig.com[0].n_out, 257);
	for (unsigned int i = 0; i < 256; i++)
		ck_assert_uint_eq(rig.com[0].out[i], i);
	ck_assert_uint_eq(rig.com[0].out[256], 0xee);
	ck_assert_uint_eq(atomic_load(&uart16550_device(rig.cs->com[0])->count.unknown), 44);
	rig_fini(&rig);
}
END_TEST

START_TEST(receive_interrupt_and_data)
{
	open_port(0x01);
	ck_assert_uint_eq(rig_inb(&rig, COM1), 0); /* empty RHR */
	ck_assert_uint_eq(receive("ok"), 2);
	ck_assert(rig_line(&rig, IRQ_COM1));
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5), 0x61);
	ck_assert_uint_eq(rig_inb(&rig, COM1), 'o');
	ck_assert(rig_line(&rig, IRQ_COM1));
	ck_assert_uint_eq(rig_inb(&rig, COM1), 'k');
	ck_assert(!rig_line(&rig, IRQ_COM1));
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5), 0x60);
	rig_fini(&rig);
}
END_TEST

START_TEST(fifo_trigger_levels)
{
	static const struct {
		uint8_t fcr;
		unsigned int level;
	} t[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		open_port(0x01);
		rig_outb(&rig, COM1 + 2, t[i].fcr);
		for (unsigned int n = 1; n <= 16; n++) {
			ck_assert_uint_eq(receive("x"), 1);
			ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), n >= t[i].level ? 0xc4 : 0xcc);
			ck_assert(rig_line(&rig, IRQ_COM1)); /* the timeout comes at once */
		}
		rig_fini(&rig);
	}
}
END_TEST

START_TEST(fifo_clear_needs_enable)
{
	open_port(0);
	(void)receive("abc");
	rig_outb(&rig, COM1 + 2, 0x02); /* clear without enable: nothing */
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 1, 1);
	rig_outb(&rig, COM1 + 2, 0x01);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0xc1);
	(void)receive("def");
	rig_outb(&rig, COM1 + 2, 0x03);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 1, 0);
	rig.com[0].quota = 0;
	rig_outb(&rig, COM1, 'z');
	rig_outb(&rig, COM1 + 2, 0x05);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 0x60, 0x60);
	rig_fini(&rig);
}
END_TEST

START_TEST(mode_change_keeps_unsent_output)
{
	open_port(0);
	rig.com[0].quota = 0;
	rig_outb(&rig, COM1, 'a');
	rig_outb(&rig, COM1 + 2, 0x01);
	rig_outb(&rig, COM1 + 2, 0x00);
	rig.com[0].quota = SIZE_MAX;
	uart16550_tx_ready(rig.cs->com[0]);
	ck_assert_uint_eq(rig.com[0].n_out, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(rx_buffer_is_256_and_asks_again)
{
	uint8_t buf[300];

	memset(buf, 'r', sizeof(buf));
	open_port(0);
	ck_assert_uint_eq(uart16550_rx(rig.cs->com[0], buf, 256), 256);
	ck_assert_uint_eq(rig.com[0].rooms, 0);
	ck_assert_uint_eq(uart16550_rx(rig.cs->com[0], buf, 300), 0);
	for (unsigned int i = 0; i < 128; i++) {
		ck_assert_uint_eq(rig.com[0].rooms, 0);
		ck_assert_uint_eq(rig_inb(&rig, COM1), 'r');
	}
	ck_assert_uint_eq(rig.com[0].rooms, 1);
	ck_assert_uint_eq(uart16550_rx(rig.cs->com[0], buf, 300), 128);
	rig_fini(&rig);
}
END_TEST

START_TEST(waits_for_rts)
{
	const struct pc_chipset_cfg cfg = { .com = { true }, .com_wait_for_rts = { true } };

	rig_init_cfg(&rig, &cfg);
	ck_assert_uint_eq(receive("early"), 0);
	rig_outb(&rig, COM1 + 4, 0x01);
	ck_assert_uint_eq(rig.com[0].rooms, 0);
	rig_outb(&rig, COM1 + 4, 0x03);
	ck_assert_uint_eq(rig.com[0].rooms, 1);
	ck_assert_uint_eq(receive("late"), 4);
	rig_fini(&rig);
}
END_TEST

START_TEST(interrupt_needs_out2)
{
	rig_init(&rig);
	rig_outb(&rig, COM1 + 1, 0x01);
	(void)receive("x");
	ck_assert(!rig_line(&rig, IRQ_COM1));
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x04);
	rig_outb(&rig, COM1 + 4, 0x08);
	ck_assert(rig_line(&rig, IRQ_COM1));
	rig_fini(&rig);
}
END_TEST

START_TEST(loopback_data)
{
	open_port(0x01);
	rig_outb(&rig, COM1 + 4, 0x18);
	rig_outb(&rig, COM1, 'L');
	ck_assert_uint_eq(rig.com[0].n_out, 0);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5), 0x61);
	ck_assert(rig_line(&rig, IRQ_COM1));
	ck_assert_uint_eq(rig_inb(&rig, COM1), 'L');
	ck_assert_uint_eq(receive("no"), 0); /* the line is cut off */
	rig_outb(&rig, COM1 + 4, 0x0b);
	ck_assert_uint_eq(rig.com[0].rooms, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(loopback_modem_lines)
{
	/* MCR output to MSR input: RTS-CTS, DTR-DSR, OUT1-RI, OUT2-DCD. */
	static const struct {
		uint8_t mcr, msr;
	} t[] = { { 0x10, 0 }, { 0x11, 0x20 }, { 0x12, 0x10 }, { 0x14, 0x40 }, { 0x18, 0x80 },
		  { 0x1f, 0xf0 } };

	rig_init(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		rig_outb(&rig, COM1 + 4, t[i].mcr);
		ck_assert_uint_eq(rig_inb(&rig, COM1 + 6) & 0xf0, t[i].msr);
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(loopback_overrun_at_fifo_depth)
{
	for (unsigned int fifo = 0; fifo < 2; fifo++) {
		unsigned int depth = fifo ? 16 : 1;

		open_port(0x04);
		rig_outb(&rig, COM1 + 2, (uint8_t)fifo);
		rig_outb(&rig, COM1 + 4, 0x18);
		for (unsigned int i = 0; i < depth; i++)
			rig_outb(&rig, COM1, (uint8_t)('a' + i));
		ck_assert(!rig_line(&rig, IRQ_COM1));
		rig_outb(&rig, COM1, 'Z');
		ck_assert(rig_line(&rig, IRQ_COM1));
		ck_assert_uint_eq(rig_inb(&rig, COM1 + 2) & 0x0f, 0x06);
		ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 0x02, 0x02);
		ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 0x02, 0); /* cleared by the read */
		ck_assert(!rig_line(&rig, IRQ_COM1));
		/* A full FIFO loses the new byte, a lone register the old one. */
		ck_assert_uint_eq(rig_inb(&rig, COM1), fifo ? 'a' : 'Z');
		rig_fini(&rig);
	}
}
END_TEST

START_TEST(modem_deltas)
{
	open_port(0x08);
	uart16550_set_connected(rig.cs->com[0], false);
	ck_assert(rig_line(&rig, IRQ_COM1));
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x00);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 6), 0x0b);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 6), 0x00);
	ck_assert(!rig_line(&rig, IRQ_COM1));
	uart16550_set_connected(rig.cs->com[0], true);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 6), 0xbb);
	rig_fini(&rig);
}
END_TEST

START_TEST(each_delta_interrupts)
{
	/* DSR alone: through loopback, DTR toggles only DSR. */
	static const uint8_t bit[] = { 0x01, 0x02, 0x08 };

	for (size_t i = 0; i < ARRAY_SIZE(bit); i++) {
		rig_init(&rig);
		rig_outb(&rig, COM1 + 4, 0x10);
		(void)rig_inb(&rig, COM1 + 6);
		rig_outb(&rig, COM1 + 1, 0x08);
		ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x01);
		rig_outb(&rig, COM1 + 4, 0x10 | bit[i]);
		ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x00);
		rig_fini(&rig);
	}
}
END_TEST

START_TEST(ri_counts_trailing_edge_only)
{
	rig_init(&rig);
	rig_outb(&rig, COM1 + 4, 0x10);
	(void)rig_inb(&rig, COM1 + 6);
	rig_outb(&rig, COM1 + 4, 0x14);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 6), 0x40);
	rig_outb(&rig, COM1 + 4, 0x10);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 6), 0x04);
	rig_fini(&rig);
}
END_TEST

START_TEST(priority_of_sources)
{
	open_port(0x0f);
	uart16550_set_connected(rig.cs->com[0], false);
	uart16550_set_connected(rig.cs->com[0], true);
	rig_outb(&rig, COM1 + 4, 0x1b);
	rig_outb(&rig, COM1, 'a');
	rig_outb(&rig, COM1, 'b'); /* overrun, data, THRE, modem all pend */
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x06);
	(void)rig_inb(&rig, COM1 + 5);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x04);
	(void)rig_inb(&rig, COM1);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x02);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x00);
	(void)rig_inb(&rig, COM1 + 6);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 2), 0x01);
	rig_fini(&rig);
}
END_TEST

START_TEST(disconnected_discards)
{
	rig_init(&rig);
	rig.com[0].quota = 0;
	rig_outb(&rig, COM1, 'x');
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5), 0);
	uart16550_set_connected(rig.cs->com[0], false);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5), 0x60);
	rig_outb(&rig, COM1, 'y');
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5), 0x60);
	ck_assert_uint_eq(receive("z"), 0);
	ck_assert_uint_eq(rig.com[0].n_out, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(lsr_write_resets_control)
{
	open_port(0x01);
	rig_outb(&rig, COM1 + 7, 0x77);
	rig_outb(&rig, COM1 + 3, 0x03);
	(void)receive("q");
	ck_assert(rig_line(&rig, IRQ_COM1));
	rig_outb(&rig, COM1 + 4, 0x18);
	rig_outb(&rig, COM1, 'o'); /* overrun */
	rig_outb(&rig, COM1 + 5, 0);
	ck_assert(!rig_line(&rig, IRQ_COM1));
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5) & 0x02, 0);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 1), 0);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 3), 0);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 4), 0);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 7), 0x77);
	ck_assert_uint_eq(rig_inb(&rig, COM1), 'o'); /* which replaced the first byte */
	rig_fini(&rig);
}
END_TEST

START_TEST(shared_line_is_or_of_ports)
{
	open_port(0x01);
	rig_outb(&rig, 0x3e8 + 4, 0x08);
	rig_outb(&rig, 0x3e8 + 1, 0x01);
	(void)receive("1");
	(void)uart16550_rx(rig.cs->com[2], (const uint8_t *)"3", 1);
	(void)rig_inb(&rig, COM1);
	ck_assert(rig_line(&rig, IRQ_COM1)); /* COM3 still asks */
	(void)rig_inb(&rig, 0x3e8);
	ck_assert(!rig_line(&rig, IRQ_COM1));
	rig_fini(&rig);
}
END_TEST

START_TEST(device_reset_lowers_line)
{
	open_port(0x01);
	(void)receive("x");
	device_reset(uart16550_device(rig.cs->com[0]));
	ck_assert(!rig_line(&rig, IRQ_COM1));
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 5), 0x60);
	ck_assert_uint_eq(rig_inb(&rig, COM1 + 6), 0xb0); /* still connected */
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("uart", reset_values, register_masks, dlab_selects_divisor, transmit_reaches_backend,
	  only_byte_0_of_wide_access, thre_interrupt, thre_rearmed_by_ier_write,
	  iir_read_of_other_source_keeps_thre, back_pressure,
	  back_pressure_keeps_256_bytes_in_order,
	  receive_interrupt_and_data, fifo_trigger_levels, fifo_clear_needs_enable,
	  mode_change_keeps_unsent_output, rx_buffer_is_256_and_asks_again, waits_for_rts,
	  interrupt_needs_out2, loopback_data, loopback_modem_lines, loopback_overrun_at_fifo_depth,
	  modem_deltas, each_delta_interrupts, ri_counts_trailing_edge_only, priority_of_sources,
	  disconnected_discards, lsr_write_resets_control, shared_line_is_or_of_ports,
	  device_reset_lowers_line)
