/* SPDX-License-Identifier: MIT */
/* ACPI tables: checksums, links, byte code structure, limits. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "acpi.h"
#include "aml.h"
#include "le.h"

#define BASE 0x19000u
#define ROOM (0xe0000u - BASE)

static uint8_t tables[ROOM];
static uint8_t rsdp[ACPI_RSDP_BYTES];
static size_t used;
static uint32_t apic_ids[2048];

static struct acpi_cfg config(uint32_t n)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(apic_ids); i++)
		apic_ids[i] = i;
	return (struct acpi_cfg){
		.apic_ids = apic_ids,
		.n_vps = n,
		.mmio = { { 0xf8000000, 0x6000000 }, { 0xfe0000000, 0x20000000 } },
		.com1 = true,
		.com2 = true,
		.with_pic = true,
		.with_pit = true,
		.pm_base = 0x400,
		.sci = 9,
	};
}

static void build(uint32_t n)
{
	struct acpi_cfg cfg = config(n);

	ck_assert_int_eq(acpi_build(&cfg, BASE, tables, sizeof(tables), &used, rsdp), 0);
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

/* A table by its address: checked for bounds, length and checksum. */
static const uint8_t *table_at(uint64_t gpa, const char *sig)
{
	const uint8_t *t;
	uint32_t len;

	ck_assert_uint_ge(gpa, BASE);
	ck_assert_uint_lt(gpa, BASE + used);
	t = tables + (gpa - BASE);
	len = le32_load(t + 4);
	ck_assert_uint_le(gpa + len, BASE + used);
	ck_assert_int_eq(memcmp(t, sig, 4), 0);
	ck_assert_uint_eq(sum(t, len), 0);
	return t;
}

static const uint8_t *find(const char *sig)
{
	const uint8_t *xsdt = table_at(le64_load(rsdp + 24), "XSDT");
	uint32_t len = le32_load(xsdt + 4);

	for (uint32_t off = 36; off + 8 <= len; off += 8) {
		uint64_t gpa = le64_load(xsdt + off);

		if (!memcmp(tables + (gpa - BASE), sig, 4))
			return table_at(gpa, sig);
	}
	ck_abort_msg("no table %s", sig);
	return NULL;
}

START_TEST(root_and_links)
{
	const uint8_t *fadt;

	build(2);
	ck_assert_int_eq(memcmp(rsdp, "RSD PTR ", 8), 0);
	ck_assert_uint_eq(sum(rsdp, 20), 0);
	ck_assert_uint_eq(sum(rsdp, 36), 0);
	fadt = find("FACP");
	ck_assert_uint_eq(le32_load(fadt + 4), 276);
	ck_assert_uint_eq(le32_load(fadt + 40), le64_load(fadt + 140));
	(void)table_at(le64_load(fadt + 140), "DSDT");
}
END_TEST

START_TEST(fadt_blocks)
{
	const uint8_t *f;

	build(1);
	f = find("FACP");
	ck_assert_uint_eq(le16_load(f + 46), 9);
	ck_assert_uint_eq(le32_load(f + 56), 0x400);
	ck_assert_uint_eq(le32_load(f + 64), 0x404);
	ck_assert_uint_eq(le32_load(f + 76), 0x408);
	ck_assert_uint_eq(le32_load(f + 80), 0x40c);
	ck_assert_uint_eq(f[88], 4);
	ck_assert_uint_eq(f[89], 2);
	ck_assert_uint_eq(f[91], 4);
	ck_assert_uint_eq(f[92], 4);
	ck_assert_uint_eq(f[108], 0x32);
	/* reset register: I/O 0x433, value 1, flagged as present */
	ck_assert_uint_eq(le32_load(f + 112) >> 10 & 1, 1);
	ck_assert_uint_eq(f[116], 1);
	ck_assert_uint_eq(le64_load(f + 120), 0x433);
	ck_assert_uint_eq(f[128], 1);
	ck_assert_uint_eq(le64_load(f + 148 + 4), 0x400);
	ck_assert_uint_eq(le64_load(f + 172 + 4), 0x404);
	ck_assert_uint_eq(le64_load(f + 208 + 4), 0x408);
	ck_assert_uint_eq(le64_load(f + 220 + 4), 0x40c);
}
END_TEST

struct madt_counts {
	unsigned int lapic, x2apic, ioapic, iso, nmi, x2nmi;
	bool sci_level;
};

static struct madt_counts walk_madt(void)
{
	const uint8_t *m = find("APIC");
	struct madt_counts c = { 0 };
	uint32_t len = le32_load(m + 4);

	for (uint32_t off = 44; off < len; off += m[off + 1]) {
		ck_assert_uint_ge(m[off + 1], 2);
		ck_assert_uint_le(off + m[off + 1], len);
		c.lapic += m[off] == 0;
		c.ioapic += m[off] == 1 && le32_load(m + off + 4) == 0xfec00000;
		c.iso += m[off] == 2;
		c.nmi += m[off] == 4;
		c.x2apic += m[off] == 9;
		c.x2nmi += m[off] == 0xa;
		if (m[off] == 2 && m[off + 3] == 9)
			c.sci_level = le32_load(m + off + 4) == 9 && le16_load(m + off + 8) == 0xd;
	}
	return c;
}

START_TEST(madt_small_and_large)
{
	struct madt_counts c;

	build(4);
	c = walk_madt();
	ck_assert_uint_eq(c.lapic, 4);
	ck_assert_uint_eq(c.x2apic, 0);
	ck_assert_uint_eq(c.ioapic, 1);
	ck_assert_uint_eq(c.iso, 2);
	ck_assert_uint_eq(c.nmi, 1);
	ck_assert(c.sci_level);
	build(896);
	c = walk_madt();
	ck_assert_uint_eq(c.lapic, 255);
	ck_assert_uint_eq(c.x2apic, 896 - 255);
	ck_assert_uint_eq(c.x2nmi, 1);
}
END_TEST

START_TEST(limits)
{
	struct acpi_cfg cfg = config(0);

	ck_assert_int_eq(acpi_build(&cfg, BASE, tables, sizeof(tables), &used, rsdp), -EINVAL);
	cfg.n_vps = 2049;
	ck_assert_int_eq(acpi_build(&cfg, BASE, tables, sizeof(tables), &used, rsdp), -EINVAL);
	cfg.n_vps = 2048;
	ck_assert_int_eq(acpi_build(&cfg, BASE, tables, sizeof(tables), &used, rsdp), 0);
	cfg.n_vps = 2;
	for (size_t cap = 0; cap < 1024; cap += 7)
		ck_assert_int_eq(acpi_build(&cfg, BASE, tables, cap, &used, rsdp), -ENOSPC);
}
END_TEST

/* Every container's length must land exactly on an object border: a walk over the byte code. */
START_TEST(aml_lengths_nest)
{
	const uint8_t *fadt, *d;
	uint32_t len, off;
	bool s5 = false;

	build(3);
	fadt = find("FACP");
	d = table_at(le64_load(fadt + 140), "DSDT");
	len = le32_load(d + 4);
	/* Two sleep states of fixed shape, then one scope that reaches the end of the table. */
	for (off = 36; off < len && d[off] == 0x08; off += 6) {
		s5 |= !memcmp(d + off + 1, "\\_S5_", 5);
		ck_assert_uint_eq(d[off + 6], 0x12);
		off += 1 + (d[off + 7] & 15) + ((uint32_t)d[off + 8] << 4);
	}
	ck_assert(s5);
	ck_assert_uint_eq(d[off], 0x10);
	ck_assert_uint_eq(off + 1 + ((d[off + 1] & 15u) | (uint32_t)d[off + 2] << 4 |
				     (uint32_t)d[off + 3] << 12),
			  len);
}
END_TEST

START_TEST(aml_misuse_is_reported)
{
	uint8_t buf[64];
	struct aml a;

	aml_init(&a, buf, sizeof(buf));
	aml_close(&a);
	ck_assert_uint_eq(aml_end(&a), 0);
	aml_init(&a, buf, sizeof(buf));
	aml_scope(&a, "\\_SB_");
	ck_assert_uint_eq(aml_end(&a), 0);
	aml_close(&a);
	ck_assert_uint_eq(aml_end(&a), 10);
	aml_init(&a, buf, sizeof(buf));
	for (int i = 0; i <= AML_MAX_DEPTH; i++)
		aml_device(&a, "AAAA");
	ck_assert(a.w.bad);
}
END_TEST

START_TEST(aml_integers_and_ids)
{
	static const uint8_t want[] = { 0x00, 0x01, 0x0a, 0x02, 0x0b, 0x00, 0x01, 0x0c, 0, 0, 1, 0,
					0x0e, 0, 0, 0, 0, 1, 0, 0, 0,
					0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01 };
	uint8_t buf[64];
	struct aml a;

	aml_init(&a, buf, sizeof(buf));
	aml_integer(&a, 0);
	aml_integer(&a, 1);
	aml_integer(&a, 2);
	aml_integer(&a, 0x100);
	aml_integer(&a, 0x10000);
	aml_integer(&a, 0x100000000ull);
	aml_name_eisaid(&a, "_HID", "PNP0501");
	ck_assert_uint_eq(aml_end(&a), sizeof(want));
	ck_assert_int_eq(memcmp(buf, want, sizeof(want)), 0);
}
END_TEST

/* For development: ACPI_DUMP=directory leaves the tables there, for a disassembler. */
static void dump(void)
{
	static const char *const sigs[] = { "FACP", "APIC", "XSDT", "DSDT" };
	const char *dir = getenv("ACPI_DUMP");

	if (!dir)
		return;
	build(3);
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		const uint8_t *t = i == 3 ? table_at(le64_load(find("FACP") + 140), "DSDT") :
				   i == 2 ? table_at(le64_load(rsdp + 24), "XSDT") : find(sigs[i]);
		char path[256];
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%s.dat", dir, sigs[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(write(fd, t, le32_load(t + 4)), (int)le32_load(t + 4));
		(void)close(fd);
	}
}

START_TEST(dump_for_disassembly)
{
	dump();
}
END_TEST

UNIT_MAIN("vmm/acpi", root_and_links, fadt_blocks, madt_small_and_large, limits, aml_lengths_nest,
	  aml_misuse_is_reported, aml_integers_and_ids, dump_for_disassembly)
