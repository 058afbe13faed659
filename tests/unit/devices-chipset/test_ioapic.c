/* SPDX-License-Identifier: MIT */
#include "ioapic.h"

#include "unit.h"

#include "chip_rig.h"

#define LEVEL 0x8000u
#define MASKED 0x10000u
#define IRR 0x4000u

static struct chip_rig rig;

static void line(unsigned int n, bool level)
{
	const struct irq_sink *s = ioapic_sink(rig.cs->ioapic);

	s->set(s->ctx, n, level);
}

static uint32_t low(unsigned int n)
{
	return rig_ioapic_read(&rig, (uint8_t)(0x10 + 2 * n));
}

START_TEST(reset_values)
{
	rig_init(&rig);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 0), 0);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 1), 0x00170011);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 2), 0);
	for (unsigned int n = 0; n < IOAPIC_INPUTS; n++) {
		ck_assert_uint_eq(low(n), 0x10800);
		ck_assert_uint_eq(rig_ioapic_read(&rig, (uint8_t)(0x11 + 2 * n)), 0);
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(id_and_read_only_registers)
{
	rig_init(&rig);
	rig_ioapic_write(&rig, 0, 0xffffffff);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 0), 0x0f000000);
	rig_ioapic_write(&rig, 1, 0);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 1), 0x00170011);
	rig_ioapic_write(&rig, 2, 0xffffffff);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 2), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(writable_bits)
{
	rig_init(&rig);
	rig_ioapic_write(&rig, 0x10, 0x10000);
	ck_assert_uint_eq(low(0), 0x10000);
	rig_ioapic_write(&rig, 0x10 + 2 * 23, 0xffffffff);
	rig_ioapic_write(&rig, 0x11 + 2 * 23, 0xffffffff);
	ck_assert_uint_eq(low(23), 0x1afff);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 0x11 + 2 * 23), 0xffff0000);
	rig_fini(&rig);
}
END_TEST

START_TEST(undefined_index)
{
	rig_init(&rig);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 3), UINT32_MAX);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 0x40), 0);
	ck_assert_uint_eq(rig_ioapic_read(&rig, 0xff), 0);
	rig_ioapic_write(&rig, 0x40, 0xffffffff);
	rig_ioapic_write(&rig, 0xff, 0xffffffff);
	ck_assert_uint_eq(atomic_load(&ioapic_device(rig.cs->ioapic)->count.unknown), 5);
	rig_fini(&rig);
}
END_TEST

START_TEST(sizes_and_offsets)
{
	struct bus_counts n;
	uint64_t val;

	rig_init(&rig);
	bus_write(rig.bus, BUS_MMIO, RIG_IOAPIC, 1, 0, 0x01);
	bus_read(rig.bus, BUS_MMIO, RIG_IOAPIC, 4, 0, &val);
	ck_assert_uint_eq(val, 1);
	bus_read(rig.bus, BUS_MMIO, RIG_IOAPIC + 0x10, 1, 0, &val);
	ck_assert_uint_eq(val, 0x11);
	bus_read(rig.bus, BUS_MMIO, RIG_IOAPIC + 0x10, 8, 0, &val);
	ck_assert_uint_eq(val, 0x00170011);
	bus_stats(rig.bus, &n);
	ck_assert_uint_eq(n.bad, 0);
	for (uint64_t off = 0; off < IOAPIC_LEN; off++) {
		if (off == 0 || off == 0x10)
			continue;
		bus_read(rig.bus, BUS_MMIO, RIG_IOAPIC + off, 4, 0, &val);
		ck_assert_uint_eq(val, UINT32_MAX);
		bus_write(rig.bus, BUS_MMIO, RIG_IOAPIC + off, 4, 0, 0);
	}
	bus_write(rig.bus, BUS_MMIO, RIG_IOAPIC, 4, 0, 0x10);
	for (unsigned int size = 1; size <= 8; size *= 2)
		if (size != 4)
			bus_write(rig.bus, BUS_MMIO, RIG_IOAPIC + 0x10, size, 0, 0x20);
	ck_assert_uint_eq(low(0), 0x10800);
	bus_stats(rig.bus, &n);
	ck_assert_uint_eq(n.bad, 2 * (IOAPIC_LEN - 2) + 3);
	bus_read(rig.bus, BUS_MMIO, RIG_IOAPIC + IOAPIC_LEN, 4, 0, &val);
	bus_stats(rig.bus, &n);
	ck_assert_uint_eq(n.unclaimed[BUS_MMIO], 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(edge_fires_once_per_rise)
{
	rig_init(&rig);
	rig_route(&rig, 5, 0x35);
	line(5, true);
	line(5, true);
	ck_assert_uint_eq(rig.n_msi, 1);
	ck_assert_uint_eq(rig.msi_data, 0x4035);
	ck_assert_uint_eq(rig.msi_addr, 0xfee00000);
	ck_assert_uint_eq(low(5) & IRR, 0);
	line(5, false);
	line(5, true);
	ck_assert_uint_eq(rig.n_msi, 2);
	rig_fini(&rig);
}
END_TEST

START_TEST(edge_while_masked_is_lost)
{
	rig_init(&rig);
	rig_route(&rig, 5, MASKED | 0x35);
	line(5, true);
	rig_route(&rig, 5, 0x35);
	ck_assert_uint_eq(rig.n_msi, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(level_waits_for_eoi)
{
	rig_init(&rig);
	rig_route(&rig, 9, LEVEL | 0x51);
	line(9, true);
	ck_assert_uint_eq(rig.n_msi, 1);
	ck_assert_uint_eq(rig.msi_data, 0xc051);
	ck_assert_uint_eq(low(9) & IRR, IRR);
	line(9, false);
	line(9, true);
	ck_assert_uint_eq(rig.n_msi, 1);
	line(9, false);
	ioapic_eoi(rig.cs->ioapic, 0x51);
	ck_assert_uint_eq(rig.n_msi, 1);
	ck_assert_uint_eq(low(9) & IRR, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(level_reassert_after_eoi)
{
	rig_init(&rig);
	rig_route(&rig, 9, LEVEL | 0x51);
	line(9, true);
	ioapic_eoi(rig.cs->ioapic, 0x50); /* somebody else's */
	ck_assert_uint_eq(rig.n_msi, 1);
	ioapic_eoi(rig.cs->ioapic, 0x51);
	ck_assert_uint_eq(rig.n_msi, 2);
	ck_assert_uint_eq(low(9) & IRR, IRR);
	rig_fini(&rig);
}
END_TEST

START_TEST(eoi_reaches_all_inputs_with_the_vector)
{
	rig_init(&rig);
	rig_route(&rig, 9, LEVEL | 0x51);
	rig_route(&rig, 10, LEVEL | 0x51);
	line(9, true);
	line(10, true);
	ck_assert_uint_eq(rig.n_msi, 2);
	ioapic_eoi(rig.cs->ioapic, 0x51);
	ck_assert_uint_eq(rig.n_msi, 4);
	rig_fini(&rig);
}
END_TEST

START_TEST(level_fires_on_unmask)
{
	rig_init(&rig);
	rig_route(&rig, 9, MASKED | LEVEL | 0x51);
	line(9, true);
	ck_assert_uint_eq(rig.n_msi, 0);
	rig_route(&rig, 9, LEVEL | 0x51);
	ck_assert_uint_eq(rig.n_msi, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(remote_irr_cleared_by_edge_mode)
{
	rig_init(&rig);
	rig_route(&rig, 9, LEVEL | 0x51);
	line(9, true);
	line(9, false);
	rig_ioapic_write(&rig, 0x10 + 18, MASKED | LEVEL | 0x51);
	ck_assert_uint_eq(low(9) & IRR, IRR); /* masking alone keeps it */
	rig_ioapic_write(&rig, 0x10 + 18, MASKED | 0x51);
	rig_ioapic_write(&rig, 0x10 + 18, LEVEL | 0x51);
	ck_assert_uint_eq(low(9) & IRR, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(message_format)
{
	rig_init(&rig);
	/* lowest priority, logical, destination 0x12, extended destination bits 14:8 = 0x55 */
	rig_ioapic_write(&rig, 0x11 + 2 * 6, 0x12u << 24 | 0x55u << 17);
	rig_ioapic_write(&rig, 0x10 + 2 * 6, 0x0900 | 0x61);
	line(6, true);
	ck_assert_uint_eq(rig.msi_addr, 0xfee00000 | 0x12 << 12 | 0x55 << 5 | 1 << 3 | 1 << 2);
	ck_assert_uint_eq(rig.msi_data, 0x4161);
	ck_assert_uint_eq(msi_x86_dest(rig.msi_addr), 0x5512);
	rig_fini(&rig);
}
END_TEST

START_TEST(level_bit_ignored_for_nmi)
{
	rig_init(&rig);
	rig_route(&rig, 6, LEVEL | 4 << 8);
	line(6, true);
	ck_assert_uint_eq(rig.n_msi, 1);
	ck_assert_uint_eq(rig.msi_data, 0x4400);
	line(6, false);
	line(6, true); /* no remote IRR in the way */
	ck_assert_uint_eq(rig.n_msi, 2);
	rig_fini(&rig);
}
END_TEST

START_TEST(reset_keeps_levels)
{
	rig_init(&rig);
	line(7, true);
	device_reset(ioapic_device(rig.cs->ioapic));
	ck_assert_uint_eq(low(7), 0x10800);
	rig_route(&rig, 7, LEVEL | 0x70);
	ck_assert_uint_eq(rig.n_msi, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(input_out_of_range)
{
	rig_init(&rig);
	line(24, true);
	line(31, true);
	line(UINT32_MAX, true);
	ck_assert_uint_eq(rig.n_msi, 0);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("ioapic", reset_values, id_and_read_only_registers, writable_bits, undefined_index,
	  sizes_and_offsets, edge_fires_once_per_rise, edge_while_masked_is_lost,
	  level_waits_for_eoi, level_reassert_after_eoi, eoi_reaches_all_inputs_with_the_vector,
	  level_fires_on_unmask, remote_irr_cleared_by_edge_mode, message_format,
	  level_bit_ignored_for_nmi, reset_keeps_levels, input_out_of_range)
