/* SPDX-License-Identifier: MIT */
#include "pm.h"

#include "unit.h"

#include "chip_rig.h"

#define PM 0x400
#define SLP_EN 0x2000u
#define PIC_SCI 9

static struct chip_rig rig;

START_TEST(reset_values)
{
	rig_init(&rig);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x00, 2), 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x02, 2), 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x04, 2), 1); /* SCI_EN */
	ck_assert_uint_eq(rig_in(&rig, PM + 0x0c, 4), 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x14, 1), 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x15, 1), 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x30, 1), 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x33, 1), 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x34, 4), 0x7fffbfff);
	rig_fini(&rig);
}
END_TEST

START_TEST(writable_bits)
{
	static const struct {
		uint8_t off, size;
		uint32_t want;
	} t[] = {
		{ 0x02, 2, 0x0521 }, { 0x04, 2, 0x1c01 }, { 0x0e, 2, 0x0f01 },
		{ 0x10, 4, 0x23e1e }, { 0x14, 2, 0 }, { 0x18, 2, 0 }, { 0x1c, 4, 0 },
		{ 0x20, 2, 0x8d13 }, { 0x28, 4, 0x701ffe7 }, { 0x2c, 4, 0xffffffff },
		{ 0x30, 1, 0 }, { 0x34, 4, 0xffffffff },
	};

	rig_init(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint16_t port = (uint16_t)(PM + t[i].off);

		rig_out(&rig, port, t[i].size, t[i].off == 4 ? ~SLP_EN : UINT32_MAX);
		ck_assert_uint_eq(rig_in(&rig, port, t[i].size), t[i].want);
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(s5_powers_off)
{
	rig_init(&rig);
	rig_out(&rig, PM + 4, 2, SLP_EN);
	ck_assert_uint_eq(rig.n_off, 1);
	ck_assert_uint_eq(rig.n_hibernate, 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 4, 2), 1); /* write-only */
	rig_fini(&rig);
}
END_TEST

START_TEST(s4_hibernates)
{
	rig_init(&rig);
	rig_out(&rig, PM + 4, 2, SLP_EN | 1 << 10);
	ck_assert_uint_eq(rig.n_hibernate, 1);
	ck_assert_uint_eq(rig.n_off, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(other_sleep_types_ignored)
{
	rig_init(&rig);
	for (unsigned int typ = 2; typ < 8; typ++)
		rig_out(&rig, PM + 4, 2, SLP_EN | typ << 10);
	rig_out(&rig, PM + 4, 2, 1 << 10); /* without SLP_EN */
	ck_assert_uint_eq(rig.n_off + rig.n_hibernate + rig.n_reset, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(sleep_by_bytes)
{
	rig_init(&rig);
	rig_out(&rig, PM + 4, 1, 0xff); /* low byte: no sleep bits */
	ck_assert_uint_eq(rig.n_off, 0);
	rig_out(&rig, PM + 5, 1, 0x20);
	ck_assert_uint_eq(rig.n_off, 1);
	rig_out(&rig, PM + 2, 4, (uint64_t)(SLP_EN | 1 << 10) << 16); /* spans enable and control */
	ck_assert_uint_eq(rig.n_hibernate, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(reset_register)
{
	rig_init(&rig);
	rig_out(&rig, PM + 0x33, 1, 0x00);
	rig_out(&rig, PM + 0x33, 1, 0x02);
	rig_out(&rig, PM + 0x33, 1, 0xff);
	ck_assert_uint_eq(rig.n_reset, 0);
	rig_out(&rig, PM + 0x33, 1, 0x01);
	ck_assert_uint_eq(rig.n_reset, 1);
	rig_out(&rig, PM + 0x30, 4, 0x01000000);
	ck_assert_uint_eq(rig.n_reset, 2);
	rig_fini(&rig);
}
END_TEST

START_TEST(timer_rate)
{
	uint64_t t0;

	rig_init(&rig);
	t0 = rig_in(&rig, PM + 8, 4);
	rig_step(&rig, 1000000000, 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 8, 4) - t0, 3579545);
	rig_fini(&rig);
}
END_TEST

START_TEST(timer_is_32_bits_and_read_only)
{
	rig_init(&rig);
	rig.now = 1200ull * 1000000000; /* 4,295,454,000 ticks */
	ck_assert_uint_eq(rig_in(&rig, PM + 8, 4), 4295454000ull - 0x100000000ull);
	rig_out(&rig, PM + 8, 4, 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 8, 4), 4295454000ull - 0x100000000ull);
	ck_assert_uint_eq(rig_in(&rig, PM + 8, 2), (4295454000ull - 0x100000000ull) & 0xffff);
	ck_assert_uint_eq(rig_in(&rig, PM + 10, 1), (4295454000ull - 0x100000000ull) >> 16 & 0xff);
	rig_fini(&rig);
}
END_TEST

START_TEST(timer_far_future)
{
	rig_init(&rig);
	rig.now = UINT64_MAX - 1; /* 584 years: no overflow on the way */
	ck_assert_uint_eq(rig_in(&rig, PM + 8, 4),
			  (uint32_t)((unsigned __int128)rig.now * 3579545 / 1000000000));
	rig_fini(&rig);
}
END_TEST

START_TEST(sci_is_not_a_bitwise_and)
{
	rig_init(&rig);
	rig_out(&rig, PM + 2, 2, 0x0020); /* GBL_EN, while the button sets PWRBTN_STS */
	ck_assert(!rig_line(&rig, PIC_SCI));
	pm_power_button(rig.cs->pm);
	ck_assert(rig_line(&rig, PIC_SCI));
	ck_assert_uint_eq(rig_in(&rig, PM, 2), 0x0100);
	rig_out(&rig, PM, 2, 0x0001); /* another bit */
	ck_assert(rig_line(&rig, PIC_SCI));
	rig_out(&rig, PM, 2, 0x0100);
	ck_assert_uint_eq(rig_in(&rig, PM, 2), 0);
	ck_assert(!rig_line(&rig, PIC_SCI));
	rig_fini(&rig);
}
END_TEST

START_TEST(gpe0_latches_assertion)
{
	const struct irq_sink *s;

	rig_init(&rig);
	s = pm_gpe_sink(rig.cs->pm);
	s->set(s->ctx, PM_GPE_BATTERY, true);
	s->set(s->ctx, PM_GPE_BATTERY, false); /* dropping the line does not clear */
	ck_assert_uint_eq(rig_in(&rig, PM + 0xc, 2), 0x0200);
	ck_assert(!rig_line(&rig, PIC_SCI));
	rig_out(&rig, PM + 0xe, 2, 0x0200);
	ck_assert(rig_line(&rig, PIC_SCI));
	rig_out(&rig, PM + 0xd, 1, 0x02); /* W1C by byte */
	ck_assert_uint_eq(rig_in(&rig, PM + 0xc, 2), 0);
	ck_assert(!rig_line(&rig, PIC_SCI));
	s->set(s->ctx, 16, true);
	s->set(s->ctx, UINT32_MAX, true);
	ck_assert_uint_eq(rig_in(&rig, PM + 0xc, 2), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(sci_is_level_until_cleared)
{
	const struct irq_sink *s;

	rig_init(&rig);
	s = pm_gpe_sink(rig.cs->pm);
	rig_route(&rig, 9, 0x8000 | 0x39);
	rig_out(&rig, PM + 0xe, 2, 0x0001);
	s->set(s->ctx, PM_GPE_GENID, true);
	ck_assert_uint_eq(rig.n_msi, 1);
	ck_assert_uint_eq(rig.msi_data, 0xc039);
	device_reset(pm_device(rig.cs->pm));
	ck_assert_uint_eq(rig_in(&rig, PM + 0xc, 4), 0);
	ck_assert(!rig_line(&rig, PIC_SCI));
	rig_fini(&rig);
}
END_TEST

START_TEST(spans_and_holes)
{
	struct bus_counts n;

	rig_init(&rig);
	rig_out(&rig, PM, 4, 0x05210000); /* status and enable in one write, as a block of 4 */
	ck_assert_uint_eq(rig_in(&rig, PM, 4), 0x05210000);
	ck_assert_uint_eq(rig_in(&rig, PM + 3, 1), 0x05);
	ck_assert_uint_eq(rig_in(&rig, PM + 3, 4), 0x00000105); /* byte 3, control, hole */
	bus_stats(rig.bus, &n);
	ck_assert_uint_eq(n.bad, 0);
	ck_assert_uint_eq(rig_in(&rig, PM + 6, 2), 0xffff);
	ck_assert_uint_eq(rig_in(&rig, PM + 0x24, 4), 0xffffffff);
	rig_out(&rig, PM + 0x22, 1, 0);
	bus_stats(rig.bus, &n);
	ck_assert_uint_eq(n.bad, 3);
	/* The last claimed port; the access may pass the end of the claim. */
	ck_assert_uint_eq(rig_in(&rig, PM + 0x36, 4), 0x7fff);
	bus_read(rig.bus, BUS_PIO, PM + 0x37, 1, 0, &(uint64_t){ 0 });
	bus_stats(rig.bus, &n);
	ck_assert_uint_eq(n.unclaimed[BUS_PIO], 1);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("pm", reset_values, writable_bits, s5_powers_off, s4_hibernates,
	  other_sleep_types_ignored, sleep_by_bytes, reset_register, timer_rate,
	  timer_is_32_bits_and_read_only, timer_far_future, sci_is_not_a_bitwise_and,
	  gpe0_latches_assertion, sci_is_level_until_cleared, spans_and_holes)
