/* SPDX-License-Identifier: MIT */
#include "i8042.h"

#include "unit.h"

#include "chip_rig.h"
#include "ps2.h"

static struct chip_rig rig;

static void cmd(uint8_t c)
{
	rig_outb(&rig, 0x64, c);
}

static void data(uint8_t d)
{
	rig_outb(&rig, 0x60, d);
}

static bool full(void)
{
	return rig_inb(&rig, 0x64) & 1;
}

/* Next byte; 0x100 when there is none. */
static unsigned int get(void)
{
	return full() ? rig_inb(&rig, 0x60) : 0x100;
}

static void expect(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(get(), bytes[i]);
	ck_assert_uint_eq(get(), 0x100);
}

#define EXPECT(...)                              \
	expect((const uint8_t[]){ __VA_ARGS__ }, \
	       sizeof((const uint8_t[]){ __VA_ARGS__ }))

START_TEST(status_after_reset)
{
	rig_init(&rig);
	ck_assert_uint_eq(rig_inb(&rig, 0x64), 0x14);
	ck_assert_uint_eq(rig_inb(&rig, 0x60), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(controller_commands)
{
	static const struct {
		uint8_t cmd, answer;
	} t[] = { { 0xa1, 0x00 }, { 0xa4, 0xf1 }, { 0xa9, 0x00 }, { 0xaa, 0x55 },
		  { 0xab, 0x00 }, { 0xc0, 0x80 }, { 0xd0, 0xc3 } };

	rig_init(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		cmd(t[i].cmd);
		ck_assert_uint_eq(get(), t[i].answer);
		ck_assert(!full());
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(ram)
{
	rig_init(&rig);
	for (unsigned int i = 1; i < 32; i++) {
		cmd((uint8_t)(0x60 + i));
		ck_assert_uint_eq(rig_inb(&rig, 0x64) & 0x08, 0x08);
		data((uint8_t)(i * 7));
	}
	for (unsigned int i = 1; i < 32; i++) {
		cmd((uint8_t)(0x20 + i));
		ck_assert_uint_eq(get(), (uint8_t)(i * 7));
	}
	cmd(0x40); /* one beyond */
	ck_assert(!full());
	cmd(0x80);
	ck_assert_uint_eq(rig_inb(&rig, 0x64) & 0x08, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(command_byte_and_interface_switches)
{
	rig_init(&rig);
	cmd(0x20);
	ck_assert_uint_eq(get(), 0x44);
	cmd(0xad);
	cmd(0xa7);
	cmd(0x20);
	ck_assert_uint_eq(get(), 0x74);
	cmd(0xae);
	cmd(0xa8);
	cmd(0x20);
	ck_assert_uint_eq(get(), 0x44);
	rig_fini(&rig);
}
END_TEST

START_TEST(reset_pulse)
{
	rig_init(&rig);
	cmd(0xff);
	cmd(0xf1);
	ck_assert_uint_eq(rig.n_reset, 0);
	cmd(0xfe);
	ck_assert_uint_eq(rig.n_reset, 1);
	cmd(0xf0);
	ck_assert_uint_eq(rig.n_reset, 2);
	rig_fini(&rig);
}
END_TEST

START_TEST(reset_by_output_port)
{
	rig_init(&rig);
	cmd(0xd1);
	data(0x03);
	ck_assert_uint_eq(rig.n_reset, 0);
	cmd(0xd1);
	data(0x02);
	ck_assert_uint_eq(rig.n_reset, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(a20_is_tracked)
{
	rig_init(&rig);
	cmd(0xd1);
	data(0xdd);
	cmd(0xd0);
	ck_assert_uint_eq(get() & 0x02, 0);
	cmd(0xd1);
	data(0xdf);
	cmd(0xd0);
	ck_assert_uint_eq(get() & 0x02, 0x02);
	rig_fini(&rig);
}
END_TEST

START_TEST(keyboard_commands)
{
	rig_init(&rig);
	cmd(0x60);
	data(0x04); /* no translation, no interrupts */
	data(0xff);
	EXPECT(0xfa, 0xaa);
	data(0xf2);
	EXPECT(0xfa, 0xab, 0x83);
	data(0xed);
	EXPECT(0xfa);
	data(0x07);
	EXPECT(0xfa);
	data(0xee);
	EXPECT(0xee);
	data(0xfe); /* again */
	EXPECT(0xee);
	data(0xf3);
	EXPECT(0xfa);
	data(0x20);
	EXPECT(0xfa);
	data(0xf0);
	EXPECT(0xfa);
	data(0x00);
	EXPECT(0xfa, 0x02);
	data(0xf0);
	EXPECT(0xfa);
	data(0x04);
	EXPECT(0xfe);
	data(0xf4);
	EXPECT(0xfa);
	data(0x55);
	EXPECT(0xfe);
	rig_fini(&rig);
}
END_TEST

START_TEST(parameter_cut_short_by_command)
{
	rig_init(&rig);
	data(0xed);
	data(0xf2); /* not a parameter */
	cmd(0x60);
	data(0x04);
	EXPECT(0xfa, 0xfa, 0xab, 0x83);
	rig_fini(&rig);
}
END_TEST

START_TEST(translation_of_answers)
{
	rig_init(&rig);
	data(0xf2);
	EXPECT(0xfa, 0xab, 0x41);
	rig_fini(&rig);
}
END_TEST

static void aux(uint8_t val)
{
	cmd(0xd4);
	data(val);
}

START_TEST(mouse_commands)
{
	rig_init(&rig);
	aux(0xff);
	ck_assert_uint_eq(rig_inb(&rig, 0x64) & 0x21, 0x21);
	EXPECT(0xfa, 0xaa, 0x00);
	aux(0xf2);
	EXPECT(0xfa, 0x00);
	aux(0xe9);
	EXPECT(0xfa, 0x00, 0x02, 0x64);
	aux(0xf4);
	EXPECT(0xfa);
	aux(0xf3);
	EXPECT(0xfa);
	aux(0xc8); /* a rate above 0x7f is a parameter all the same */
	EXPECT(0xfa);
	aux(0xe8);
	EXPECT(0xfa);
	aux(0x03);
	EXPECT(0xfa);
	aux(0xe7);
	EXPECT(0xfa);
	aux(0xe9);
	EXPECT(0xfa, 0x30, 0x03, 0xc8);
	aux(0xf0); /* remote mode */
	EXPECT(0xfa);
	aux(0xe9);
	EXPECT(0xfa, 0x70, 0x03, 0xc8);
	aux(0xea);
	EXPECT(0xfa);
	aux(0xe6);
	EXPECT(0xfa);
	aux(0xe9);
	EXPECT(0xfa, 0x20, 0x03, 0xc8);
	aux(0xeb);
	EXPECT(0xfa, 0x08, 0x00, 0x00);
	aux(0x11);
	EXPECT(0xfe);
	rig_fini(&rig);
}
END_TEST

START_TEST(mouse_wrap_mode)
{
	rig_init(&rig);
	aux(0xee);
	EXPECT(0xfa);
	aux(0xf2);
	EXPECT(0xf2);
	aux(0xec);
	EXPECT(0xfa);
	aux(0xf2);
	EXPECT(0xfa, 0x00);
	rig_fini(&rig);
}
END_TEST

START_TEST(loop_to_buffers)
{
	rig_init(&rig);
	cmd(0xd2);
	data(0x42);
	ck_assert_uint_eq(rig_inb(&rig, 0x64) & 0x21, 0x01);
	ck_assert_uint_eq(get(), 0x42);
	cmd(0xd3);
	data(0x43);
	ck_assert_uint_eq(rig_inb(&rig, 0x64) & 0x21, 0x21);
	ck_assert_uint_eq(get(), 0x43);
	rig_fini(&rig);
}
END_TEST

START_TEST(interrupts_one_edge_per_byte)
{
	rig_init(&rig);
	rig_route(&rig, 1, 0x21);
	rig_route(&rig, 12, 0x2c);
	cmd(0x60);
	data(0x07);
	data(0xf2);
	ck_assert_uint_eq(rig.n_msi, 1);
	(void)get();
	ck_assert_uint_eq(rig.n_msi, 2);
	(void)get();
	ck_assert_uint_eq(rig.n_msi, 3);
	(void)get();
	ck_assert_uint_eq(rig.n_msi, 3);
	ck_assert_uint_eq(rig.msi_data & 0xff, 0x21);
	aux(0xf4);
	ck_assert_uint_eq(rig.n_msi, 4);
	ck_assert_uint_eq(rig.msi_data & 0xff, 0x2c);
	rig_fini(&rig);
}
END_TEST

START_TEST(disabled_interface_holds_bytes)
{
	rig_init(&rig);
	data(0xf2); /* FA in the buffer, two more queued */
	cmd(0xad);
	ck_assert_uint_eq(get(), 0xfa);
	ck_assert(!full());
	cmd(0xae);
	EXPECT(0xab, 0x41);
	rig_fini(&rig);
}
END_TEST

START_TEST(controller_answer_waits_for_the_buffer)
{
	rig_init(&rig);
	aux(0xf4);
	cmd(0xa9);
	ck_assert_uint_eq(rig_inb(&rig, 0x64) & 0x21, 0x21); /* the mouse's byte is in front */
	ck_assert_uint_eq(get(), 0xfa);
	ck_assert_uint_eq(rig_inb(&rig, 0x64) & 0x21, 0x01);
	ck_assert_uint_eq(get(), 0x00);
	data(0xee);
	cmd(0xaa);
	ck_assert_uint_eq(get(), 0xee);
	ck_assert_uint_eq(get(), 0x55);
	rig_fini(&rig);
}
END_TEST

START_TEST(queue_is_bounded)
{
	struct ps2 d;
	unsigned int lost = 0;

	ps2_init(&d, PS2_KEYBOARD);
	for (unsigned int i = 0; i < 100; i++)
		lost += ps2_write(&d, 0xf2);
	ck_assert_uint_eq(d.n, PS2_QUEUE);
	ck_assert_uint_eq(lost, 300 - PS2_QUEUE);
	ck_assert_uint_eq(ps2_write(&d, 0xff), 0); /* a reset makes room */
	ck_assert_uint_eq(d.n, 2);
}
END_TEST

START_TEST(every_command_on_every_port)
{
	rig_init(&rig);
	for (unsigned int c = 0; c < 256; c++)
		for (unsigned int v = 0; v < 256; v += 5) {
			cmd((uint8_t)c);
			data((uint8_t)v);
			(void)rig_inb(&rig, 0x60);
			(void)rig_inb(&rig, 0x64);
		}
	device_reset(i8042_device(rig.cs->i8042));
	ck_assert_uint_eq(rig_inb(&rig, 0x64), 0x14);
	rig_fini(&rig);
}
END_TEST

START_TEST(sizes)
{
	rig_init(&rig);
	ck_assert_uint_eq(rig_in(&rig, 0x64, 2), 0xffff);
	ck_assert_uint_eq(rig_in(&rig, 0x60, 4), 0xffffffff);
	rig_out(&rig, 0x64, 2, 0xfe);
	ck_assert_uint_eq(rig.n_reset, 0);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("i8042", status_after_reset, controller_commands, ram,
	  command_byte_and_interface_switches, reset_pulse, reset_by_output_port, a20_is_tracked,
	  keyboard_commands, parameter_cut_short_by_command, translation_of_answers, mouse_commands,
	  mouse_wrap_mode, loop_to_buffers, interrupts_one_edge_per_byte,
	  disabled_interface_holds_bytes, controller_answer_waits_for_the_buffer, queue_is_bounded,
	  every_command_on_every_port, sizes)
