/* SPDX-License-Identifier: MIT */
#include "pic.h"

#include "unit.h"

#include "chip_rig.h"

static struct chip_rig rig;

static void line(unsigned int n, bool level)
{
	const struct irq_sink *s = pic_sink(rig.cs->pic);

	s->set(s->ctx, n, level);
}

static void pulse(unsigned int n)
{
	line(n, true);
	line(n, false);
}

static void init_chip(uint16_t port, uint8_t base, uint8_t icw3, uint8_t icw4)
{
	rig_outb(&rig, port, 0x11);
	rig_outb(&rig, port + 1, base);
	rig_outb(&rig, port + 1, icw3);
	rig_outb(&rig, port + 1, icw4);
}

static void init_pair(uint8_t icw4)
{
	rig_init(&rig);
	init_chip(0x20, 0x30, 4, icw4);
	init_chip(0xa0, 0x38, 2, icw4);
}

static uint8_t isr(uint16_t port)
{
	rig_outb(&rig, port, 0x0b);
	return rig_inb(&rig, port);
}

static uint8_t irr(uint16_t port)
{
	rig_outb(&rig, port, 0x0a);
	return rig_inb(&rig, port);
}

START_TEST(masked_after_reset)
{
	rig_init(&rig);
	ck_assert_uint_eq(rig_inb(&rig, 0x21), 0xff);
	ck_assert_uint_eq(rig_inb(&rig, 0xa1), 0xff);
	line(3, true);
	ck_assert(!rig.extint);
	rig_fini(&rig);
}
END_TEST

START_TEST(mask_register_reads_back)
{
	init_pair(1);
	ck_assert_uint_eq(rig_inb(&rig, 0x21), 0); /* ICW1 cleared it */
	for (unsigned int v = 0; v < 256; v++) {
		rig_outb(&rig, 0x21, (uint8_t)v);
		rig_outb(&rig, 0xa1, (uint8_t)~v);
		ck_assert_uint_eq(rig_inb(&rig, 0x21), v);
		ck_assert_uint_eq(rig_inb(&rig, 0xa1), (uint8_t)~v);
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(vector_and_eoi)
{
	init_pair(1);
	line(1, true);
	ck_assert(rig.extint);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x31);
	ck_assert(!rig.extint);
	ck_assert_uint_eq(isr(0x20), 0x02);
	ck_assert_uint_eq(irr(0x20), 0x00); /* the edge was consumed though the line is high */
	rig_outb(&rig, 0x20, 0x20);
	ck_assert_uint_eq(isr(0x20), 0);
	ck_assert(!rig.extint);
	line(1, false);
	line(1, true);
	ck_assert(rig.extint);
	rig_fini(&rig);
}
END_TEST

START_TEST(slave_vector_needs_two_eois)
{
	init_pair(1);
	line(12, true);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x3c);
	ck_assert_uint_eq(isr(0x20), 0x04);
	ck_assert_uint_eq(isr(0xa0), 0x10);
	line(8, true); /* better than 12, but the master is busy with its input 2 */
	ck_assert(!rig.extint);
	rig_outb(&rig, 0xa0, 0x20);
	rig_outb(&rig, 0x20, 0x20);
	ck_assert(rig.extint);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x38);
	rig_fini(&rig);
}
END_TEST

START_TEST(special_fully_nested)
{
	init_pair(0x11);
	line(12, true);
	(void)pic_ack(rig.cs->pic);
	line(8, true);
	ck_assert(rig.extint);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x38);
	rig_fini(&rig);
}
END_TEST

START_TEST(priority_and_nesting)
{
	init_pair(1);
	line(5, true);
	line(3, true);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x33);
	ck_assert(!rig.extint); /* 5 waits */
	line(1, true);
	ck_assert(rig.extint); /* 1 interrupts 3 */
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x31);
	rig_outb(&rig, 0x20, 0x20); /* non-specific: ends 1 */
	ck_assert_uint_eq(isr(0x20), 0x08);
	rig_outb(&rig, 0x20, 0x63); /* specific: 3 */
	ck_assert_uint_eq(isr(0x20), 0);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x35);
	rig_fini(&rig);
}
END_TEST

START_TEST(spurious_when_the_request_went)
{
	init_pair(1);
	pulse(3); /* gone before the acknowledge */
	ck_assert(!rig.extint);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x37);
	ck_assert_uint_eq(isr(0x20), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(edge_needs_a_rise)
{
	init_pair(1);
	line(5, true);
	(void)pic_ack(rig.cs->pic);
	rig_outb(&rig, 0x20, 0x20);
	line(5, true); /* still high: no rise */
	ck_assert(!rig.extint);
	rig_fini(&rig);
}
END_TEST

START_TEST(elcr_level_reasserts)
{
	init_pair(1);
	rig_outb(&rig, 0x4d0, 0x20);
	line(5, true);
	(void)pic_ack(rig.cs->pic);
	rig_outb(&rig, 0x20, 0x20);
	ck_assert(rig.extint);
	line(5, false);
	ck_assert(!rig.extint);
	rig_fini(&rig);
}
END_TEST

START_TEST(elcr_fixed_bits)
{
	rig_init(&rig);
	rig_outb(&rig, 0x4d0, 0xff);
	rig_outb(&rig, 0x4d1, 0xff);
	ck_assert_uint_eq(rig_inb(&rig, 0x4d0), 0xf8);
	ck_assert_uint_eq(rig_inb(&rig, 0x4d1), 0xde);
	init_chip(0x20, 0x30, 4, 1); /* ICW1 leaves ELCR and levels */
	ck_assert_uint_eq(rig_inb(&rig, 0x4d0), 0xf8);
	rig_fini(&rig);
}
END_TEST

START_TEST(icw1_clears_state_keeps_levels)
{
	init_pair(1);
	rig_outb(&rig, 0x4d0, 0x20);
	line(5, true);
	line(3, true);
	(void)pic_ack(rig.cs->pic);
	rig_outb(&rig, 0x21, 0xff);
	init_chip(0x20, 0x40, 4, 1);
	ck_assert_uint_eq(isr(0x20), 0);
	ck_assert_uint_eq(rig_inb(&rig, 0x21), 0);
	ck_assert_uint_eq(irr(0x20), 0x20); /* the level, not the old edge */
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x45);
	rig_fini(&rig);
}
END_TEST

START_TEST(silent_while_initialising)
{
	init_pair(1);
	rig_outb(&rig, 0x4d0, 0x20);
	line(5, true);
	rig_outb(&rig, 0x20, 0x11);
	ck_assert(!rig.extint);
	rig_outb(&rig, 0x21, 0x50);
	rig_outb(&rig, 0x21, 4);
	ck_assert(!rig.extint);
	rig_outb(&rig, 0x21, 1);
	ck_assert(rig.extint);
	rig_fini(&rig);
}
END_TEST

START_TEST(icw_sequences)
{
	init_pair(1);
	rig_outb(&rig, 0x20, 0x10); /* no ICW4 */
	rig_outb(&rig, 0x21, 0x48);
	rig_outb(&rig, 0x21, 4);
	rig_outb(&rig, 0x21, 0xaa);
	ck_assert_uint_eq(rig_inb(&rig, 0x21), 0xaa);
	rig_outb(&rig, 0x20, 0x12); /* single, no ICW4: ICW2 only */
	rig_outb(&rig, 0x21, 0x48);
	rig_outb(&rig, 0x21, 0x55);
	ck_assert_uint_eq(rig_inb(&rig, 0x21), 0x55);
	rig_fini(&rig);
}
END_TEST

START_TEST(auto_eoi)
{
	init_pair(3);
	rig_outb(&rig, 0x20, 0x10); /* ICW1 without ICW4 goes back to normal */
	rig_outb(&rig, 0x21, 0x30);
	rig_outb(&rig, 0x21, 4);
	line(6, true);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x36);
	ck_assert_uint_eq(isr(0x20), 0x40);
	init_chip(0x20, 0x30, 4, 3);
	line(4, true);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x34);
	ck_assert_uint_eq(isr(0x20), 0);
	line(9, true);
	line(10, true);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x39);
	ck_assert(rig.extint); /* the slave's second request is not lost */
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x3a);
	ck_assert(!rig.extint);
	rig_fini(&rig);
}
END_TEST

START_TEST(rotation)
{
	init_pair(1);
	line(3, true);
	line(4, true);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x33);
	rig_outb(&rig, 0x20, 0xa0); /* EOI and rotate: 3 is the worst now */
	line(3, false);
	line(3, true);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x34);
	rig_outb(&rig, 0x20, 0xe4); /* specific, rotate */
	rig_outb(&rig, 0x20, 0xc2); /* lowest = 2, so 3 is best */
	line(0, true);
	ck_assert_uint_eq(pic_ack(rig.cs->pic), 0x33);
	rig_fini(&rig);
}
END_TEST

START_TEST(special_mask)
{
	init_pair(1);
	line(3, true);
	(void)pic_ack(rig.cs->pic);
	line(6, true);
	ck_assert(!rig.extint);
	rig_outb(&rig, 0x21, 0x08);
	ck_assert(!rig.extint);
	rig_outb(&rig, 0x20, 0x68); /* special mask mode */
	ck_assert(rig.extint);
	rig_outb(&rig, 0x20, 0x48); /* back */
	ck_assert(!rig.extint);
	rig_fini(&rig);
}
END_TEST

START_TEST(poll)
{
	init_pair(1);
	rig_outb(&rig, 0x20, 0x0c);
	ck_assert_uint_eq(rig_inb(&rig, 0x20) & 0x80, 0);
	line(5, true);
	rig_outb(&rig, 0x20, 0x0c);
	ck_assert_uint_eq(rig_inb(&rig, 0x20), 0x85);
	ck_assert_uint_eq(isr(0x20), 0x20);
	rig_fini(&rig);
}
END_TEST

START_TEST(word_access_is_two_bytes)
{
	init_pair(1);
	rig_out(&rig, 0x20, 2, 0x5a0b);
	ck_assert_uint_eq(rig_inb(&rig, 0x21), 0x5a);
	line(5, true);
	ck_assert_uint_eq(rig_in(&rig, 0x20, 2), 0x5a00);
	ck_assert_uint_eq(rig_in(&rig, 0x21, 2), 0xff5a);
	ck_assert_uint_eq(rig_in(&rig, 0x20, 4), UINT32_MAX);
	rig_fini(&rig);
}
END_TEST

START_TEST(cascade_input_is_not_wired)
{
	init_pair(1);
	line(2, true);
	line(16, true);
	line(UINT32_MAX, true);
	ck_assert(!rig.extint);
	ck_assert_uint_eq(irr(0x20), 0);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("pic", masked_after_reset, mask_register_reads_back, vector_and_eoi,
	  slave_vector_needs_two_eois, special_fully_nested, priority_and_nesting,
	  spurious_when_the_request_went, edge_needs_a_rise, elcr_level_reasserts, elcr_fixed_bits,
	  icw1_clears_state_keeps_levels, silent_while_initialising, icw_sequences, auto_eoi,
	  rotation, special_mask, poll, word_access_is_two_bytes, cascade_input_is_not_wired)
