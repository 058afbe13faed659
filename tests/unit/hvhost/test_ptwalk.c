/* SPDX-License-Identifier: MIT */
/* Page-table walks against tables built by hand. */
#include "ptwalk.h"

#include <string.h>

#include "fake_part.h"
#include "unit.h"

#define P BIT(0)
#define W BIT(1)
#define U BIT(2)
#define A BIT(5)
#define D BIT(6)
#define PS BIT(7)
#define NX BIT(63)
#define PWU (P | W | U)

#define CR0_PG_WP_PE (BIT(31) | BIT(16) | BIT(0))
#define CR4_PAE BIT(5)
#define EFER_LONG_NX (BIT(10) | BIT(11))

static struct fake_part *f;
static struct ptwalk_mode m;

static void put64(gpa_t gpa, uint64_t val)
{
	ck_assert_int_eq(gm_write(f->part.gm, gpa, &val, sizeof(val)), 0);
}

static uint64_t get64(gpa_t gpa)
{
	uint64_t val;

	ck_assert_int_eq(gm_read(f->part.gm, gpa, &val, sizeof(val)), 0);
	return val;
}

/* PML4 0x1000, PDPT 0x2000, PD 0x3000, PT 0x4000; one page at linear 0, one 2 MiB, one 1 GiB. */
static void setup_long(uint64_t leaf)
{
	f = fake_part_create();
	m = (struct ptwalk_mode){ .cr0 = CR0_PG_WP_PE, .cr3 = 0x1000, .cr4 = CR4_PAE,
				  .efer = EFER_LONG_NX };
	put64(0x1000, 0x2000 | PWU);
	put64(0x2000, 0x3000 | PWU);
	put64(0x2008, 0x40000000 | PWU | PS);
	put64(0x3000, 0x4000 | PWU);
	put64(0x3008, 0x600000 | PWU | PS);
	put64(0x4000, leaf);
}

static enum ptwalk_result walk(uint64_t gva, unsigned int access, gpa_t *gpa, uint32_t *error)
{
	*gpa = UINT64_MAX;
	*error = UINT32_MAX;
	return ptwalk(f->part.gm, &m, gva, access, gpa, error);
}

START_TEST(sizes)
{
	uint32_t error;
	gpa_t gpa;

	setup_long(0x5000 | PWU);
	ck_assert_int_eq(walk(0x123, PTWALK_READ, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(gpa, 0x5123);
	ck_assert_int_eq(walk(0x200000 + 0x12345, PTWALK_WRITE, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(gpa, 0x612345);
	ck_assert_int_eq(walk(0x40000000 + 0x2345678, PTWALK_WRITE, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(gpa, 0x42345678);
	ck_assert_int_eq(walk(0x1000, PTWALK_READ, &gpa, &error), PTWALK_NOT_PRESENT);
	ck_assert_uint_eq(error, 0);
	ck_assert_int_eq(walk(0x8000000000, PTWALK_WRITE, &gpa, &error), PTWALK_NOT_PRESENT);
	ck_assert_uint_eq(error, PTWALK_ERR_WRITE);
	ck_assert_uint_eq(gpa, UINT64_MAX);
	fake_part_destroy(f);
}
END_TEST

START_TEST(rights)
{
	uint32_t error;
	gpa_t gpa;

	setup_long(0x5000 | P | NX); /* a supervisor page, read only, no code */
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_OK);
	ck_assert_int_eq(walk(0, PTWALK_WRITE, &gpa, &error), PTWALK_PRIVILEGE);
	ck_assert_uint_eq(error, PTWALK_ERR_PRESENT | PTWALK_ERR_WRITE);
	ck_assert_int_eq(walk(0, PTWALK_EXECUTE, &gpa, &error), PTWALK_PRIVILEGE);
	ck_assert_uint_eq(error, PTWALK_ERR_PRESENT | PTWALK_ERR_FETCH);
	ck_assert_int_eq(walk(0, PTWALK_WRITE | PTWALK_EXEMPT, &gpa, &error), PTWALK_OK);
	m.user = true;
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_PRIVILEGE);
	ck_assert_uint_eq(error, PTWALK_ERR_PRESENT | PTWALK_ERR_USER);
	m.user = false;
	m.cr0 &= ~BIT(16); /* without WP the kernel writes anywhere */
	ck_assert_int_eq(walk(0, PTWALK_WRITE, &gpa, &error), PTWALK_OK);
	m.efer &= ~BIT(11); /* without NX the bit is reserved */
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_RESERVED);
	ck_assert_uint_eq(error, PTWALK_ERR_PRESENT | PTWALK_ERR_RESERVED);
	fake_part_destroy(f);
}
END_TEST

START_TEST(smap_smep)
{
	uint32_t error;
	gpa_t gpa;

	setup_long(0x5000 | PWU);
	m.cr4 |= BIT(20) | BIT(21);
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_PRIVILEGE);
	ck_assert_int_eq(walk(0, PTWALK_EXECUTE, &gpa, &error), PTWALK_PRIVILEGE);
	m.ac = true;
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_OK);
	ck_assert_int_eq(walk(0, PTWALK_EXECUTE, &gpa, &error), PTWALK_PRIVILEGE);
	m.user = true;
	ck_assert_int_eq(walk(0, PTWALK_EXECUTE, &gpa, &error), PTWALK_OK);
	fake_part_destroy(f);
}
END_TEST

START_TEST(upper_levels_restrict)
{
	uint32_t error;
	gpa_t gpa;

	setup_long(0x5000 | PWU);
	put64(0x3000, 0x4000 | P | U);
	ck_assert_int_eq(walk(0, PTWALK_WRITE, &gpa, &error), PTWALK_PRIVILEGE);
	put64(0x3000, 0x4000 | P | W);
	m.user = true;
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_PRIVILEGE);
	put64(0x3000, 0xf8000000 | PWU); /* a table where no RAM is */
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_NO_RAM);
	put64(0x1000, 0x2000 | PWU | PS); /* no pages of 512 GiB */
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_RESERVED);
	fake_part_destroy(f);
}
END_TEST

START_TEST(accessed_dirty)
{
	uint32_t error;
	gpa_t gpa;

	setup_long(0x5000 | PWU);
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(get64(0x4000), 0x5000 | PWU);
	ck_assert_int_eq(walk(0, PTWALK_READ | PTWALK_SET_AD, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(get64(0x4000), 0x5000 | PWU | A);
	ck_assert_uint_eq(get64(0x1000), 0x2000 | PWU | A);
	ck_assert_int_eq(walk(0, PTWALK_WRITE | PTWALK_SET_AD, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(get64(0x4000), 0x5000 | PWU | A | D);
	ck_assert_uint_eq(get64(0x3000), 0x4000 | PWU | A);
	fake_part_destroy(f);
}
END_TEST

START_TEST(five_levels)
{
	uint32_t error;
	gpa_t gpa;

	setup_long(0x5000 | PWU);
	m.cr4 |= BIT(12);
	m.cr3 = 0x7000;
	put64(0x7000 + 8 * 3, 0x1000 | PWU);
	ck_assert_int_eq(walk(3ull << 48 | 0x10, PTWALK_READ, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(gpa, 0x5010);
	ck_assert_int_eq(walk(0, PTWALK_READ, &gpa, &error), PTWALK_NOT_PRESENT);
	fake_part_destroy(f);
}
END_TEST

START_TEST(pae)
{
	uint32_t error;
	gpa_t gpa;

	setup_long(0x5000 | PWU);
	m.efer = BIT(11);
	m.cr3 = 0x2020; /* only 32-byte aligned */
	put64(0x2020, 0x3000 | P);
	put64(0x2020 + 24, 0x3000 | P);
	ck_assert_int_eq(walk(0x321, PTWALK_WRITE, &gpa, &error), PTWALK_OK); /* PDPTEs have no W */
	ck_assert_uint_eq(gpa, 0x5321);
	ck_assert_int_eq(walk(0xc0200000, PTWALK_READ, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(gpa, 0x600000);
	fake_part_destroy(f);
}
END_TEST

START_TEST(two_levels)
{
	uint32_t error, pde = 0x4000 | PWU, pte = 0x5000 | PWU, large;
	gpa_t gpa;

	setup_long(0);
	m = (struct ptwalk_mode){ .cr0 = CR0_PG_WP_PE, .cr3 = 0x3000 };
	large = 0x00400000 | 1u << 13 | PWU | PS; /* address bit 32 set */
	ck_assert_int_eq(gm_write(f->part.gm, 0x3000, &pde, 4), 0);
	ck_assert_int_eq(gm_write(f->part.gm, 0x3004, &large, 4), 0);
	ck_assert_int_eq(gm_write(f->part.gm, 0x4004, &pte, 4), 0);
	ck_assert_int_eq(walk(0x1abc, PTWALK_WRITE | PTWALK_SET_AD, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(gpa, 0x5abc);
	ck_assert_uint_eq((uint32_t)(get64(0x4000) >> 32), 0x5000 | PWU | A | D);
	m.cr4 = BIT(4);
	ck_assert_int_eq(walk(0x400123, PTWALK_READ, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(gpa, 0x100400123ull);
	fake_part_destroy(f);
}
END_TEST

START_TEST(no_paging)
{
	uint32_t error;
	gpa_t gpa;

	setup_long(0);
	m = (struct ptwalk_mode){ .cr0 = BIT(0) };
	ck_assert_int_eq(walk(0x1234567890, PTWALK_WRITE, &gpa, &error), PTWALK_OK);
	ck_assert_uint_eq(gpa, 0x34567890);
	fake_part_destroy(f);
}
END_TEST

UNIT_MAIN("hvhost/ptwalk", sizes, rights, smap_smep, upper_levels_restrict, accessed_dirty,
	  five_levels, pae, two_levels, no_paging)
