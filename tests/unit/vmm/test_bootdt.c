/* SPDX-License-Identifier: MIT */
/* The boot device tree: good trees, every kind of contradiction, random damage. */
#include "unit.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "bootdt.h"
#include "vm_memory.h"

static uint8_t fdt[65536];
static struct bootdt dt;

struct mem {
	uint64_t base, len;
	uint32_t type;
};

static const struct mem good[] = {
	{ 0x10000000, 0x2000000, BOOTMEM_VTL2_RAM },
	{ 0, 0x8000000, BOOTMEM_VTL0 },
	{ 0x8000000, 0x8000000, BOOTMEM_VTL0 },
	{ 0x12000000, 0x100000, BOOTMEM_VTL2_CONFIG },
	{ 0x12100000, 0x1000000, BOOTMEM_VTL0 },
	{ 0xf8000000, 0x4000000, BOOTMEM_VTL0_MMIO },
	{ 0xfc000000, 0x2000000, BOOTMEM_VTL2_MMIO },
	{ 0x1000000000, 0x10000000, BOOTMEM_VTL0_MMIO },
};

static void put_mem(const struct mem *m)
{
	fdt64_t reg[2] = { cpu_to_fdt64(m->base), cpu_to_fdt64(m->len) };
	char name[40];

	(void)snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)m->base);
	ck_assert_int_eq(fdt_begin_node(fdt, name), 0);
	ck_assert_int_eq(fdt_property(fdt, "reg", reg, (int)sizeof(reg)), 0);
	ck_assert_int_eq(fdt_property_u32(fdt, "openhcl,memory-type", m->type), 0);
	ck_assert_int_eq(fdt_property_u32(fdt, "numa-node-id", 0), 0);
	ck_assert_int_eq(fdt_end_node(fdt), 0);
}

static void put_cpus(uint32_t n)
{
	ck_assert_int_eq(fdt_begin_node(fdt, "cpus"), 0);
	for (uint32_t i = 0; i < n; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "cpu@%u", i + 1);
		ck_assert_int_eq(fdt_begin_node(fdt, name), 0);
		ck_assert_int_eq(fdt_property_u32(fdt, "reg", i * 2), 0);
		ck_assert_int_eq(fdt_end_node(fdt), 0);
	}
	ck_assert_int_eq(fdt_end_node(fdt), 0);
}

static const struct mem *build_accepted;
static size_t n_build_accepted;

static void put_accepted(const struct mem *m)
{
	const fdt64_t reg[2] = { cpu_to_fdt64(m->base), cpu_to_fdt64(m->len) };
	char name[64];

	(void)snprintf(name, sizeof(name), "accepted-memory@%llx", (unsigned long long)m->base);
	ck_assert_int_eq(fdt_begin_node(fdt, name), 0);
	ck_assert_int_eq(fdt_property(fdt, "reg", reg, sizeof(reg)), 0);
	ck_assert_int_eq(fdt_end_node(fdt), 0);
}

static size_t build(const struct mem *mem, size_t n, uint32_t cpus, const char *isolation)
{
	ck_assert_int_eq(fdt_create(fdt, (int)sizeof(fdt)), 0);
	ck_assert_int_eq(fdt_finish_reservemap(fdt), 0);
	ck_assert_int_eq(fdt_begin_node(fdt, ""), 0);
	ck_assert_int_eq(fdt_property_u64(fdt, "reftime_boot_start", 1000), 0);
	ck_assert_int_eq(fdt_property_u64(fdt, "reftime_boot_end", 3000), 0);
	put_cpus(cpus);
	ck_assert_int_eq(fdt_begin_node(fdt, "openhcl"), 0);
	ck_assert_int_eq(fdt_property(fdt, "isolation-type", isolation, (int)strlen(isolation) + 1),
			 0);
	for (size_t i = 0; i < n; i++)
		put_mem(&mem[i]);
	for (size_t i = 0; i < n_build_accepted; i++)
		put_accepted(&build_accepted[i]);
	ck_assert_int_eq(fdt_end_node(fdt), 0);
	ck_assert_int_eq(fdt_end_node(fdt), 0);
	ck_assert_int_eq(fdt_finish(fdt), 0);
	return fdt_totalsize(fdt);
}

START_TEST(good_tree)
{
	struct gpa_range *ram, *prot;
	struct acpi_window win[2];
	size_t n_ram, n_prot;

	ck_assert_int_eq(bootdt_parse(fdt, build(good, ARRAY_SIZE(good), 3, "none"), &dt), 0);
	ck_assert_uint_eq(dt.n_vps, 3);
	ck_assert_uint_eq(dt.apic_ids[2], 4);
	ck_assert_uint_eq(dt.n_mem, 5);
	ck_assert_uint_eq(dt.n_mmio, 3);
	ck_assert_uint_eq(dt.mem[0].base, 0);
	ck_assert_uint_eq(dt.boot_end_100ns - dt.boot_start_100ns, 2000);
	ck_assert_int_eq(vm_memory_split(&dt, &ram, &n_ram, &prot, &n_prot), 0);
	ck_assert_uint_eq(n_ram, 2);
	ck_assert_uint_eq(ram[0].len, 0x10000000);
	ck_assert_uint_eq(n_prot, 1);
	ck_assert_uint_eq(prot[0].len, 0x2100000);
	vm_memory_mmio(&dt, win);
	ck_assert_uint_eq(win[0].base, 0xf8000000);
	ck_assert_uint_eq(win[1].base, 0x1000000000);
	free(ram);
	free(prot);
	bootdt_fini(&dt);
}
END_TEST

START_TEST(bad_ranges)
{
	static const struct mem bad[] = {
		{ 0x1001, 0x1000, BOOTMEM_VTL0 },
		{ 0x1000, 0x1001, BOOTMEM_VTL0 },
		{ 0x1000, 0, BOOTMEM_VTL0 },
		{ ~0xfffull, 0x2000, BOOTMEM_VTL0 },
		{ 0x1000, 0x1000, 13 },
		{ 0x10001000, 0x1000, BOOTMEM_VTL0 }, /* inside another */
		{ 0xf8001000, 0x1000, BOOTMEM_VTL2_MMIO },
	};
	struct mem all[ARRAY_SIZE(good) + 1];

	memcpy(all, good, sizeof(good));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		all[ARRAY_SIZE(good)] = bad[i];
		ck_assert_int_eq(bootdt_parse(fdt, build(all, ARRAY_SIZE(all), 1, "none"), &dt),
				 -EBADMSG);
	}
}
END_TEST

START_TEST(bad_trees)
{
	size_t len;

	ck_assert_int_eq(bootdt_parse(fdt, build(good, ARRAY_SIZE(good), 0, "none"), &dt),
			 -EBADMSG);
	ck_assert_int_eq(bootdt_parse(fdt, build(good, ARRAY_SIZE(good), 1, "nonesuch"), &dt),
			 -EBADMSG);
	len = build(good, ARRAY_SIZE(good), 1, "snp");
	ck_assert_int_eq(bootdt_parse(fdt, len, &dt), 0);
	ck_assert_int_eq((int)dt.isolation, BOOTDT_ISO_SNP);
	bootdt_fini(&dt);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(bootdt_parse(fdt, cut, &dt), -EBADMSG);
	ck_assert_int_eq(bootdt_parse(fdt, BOOTDT_MAX_BYTES + 1, &dt), -E2BIG);
}
END_TEST

/* Whatever happens to the bytes, the result is refused or consistent. */
START_TEST(damaged_trees)
{
	static uint8_t copy[sizeof(fdt)];
	size_t len = build(good, ARRAY_SIZE(good), 2, "none");
	uint32_t rng = 12345;

	memcpy(copy, fdt, len);
	for (unsigned int i = 0; i < 20000; i++) {
		memcpy(fdt, copy, len);
		for (unsigned int k = 0; k <= i % 4; k++) {
			rng = rng * 1664525 + 1013904223;
			fdt[(rng >> 8) % len] = (uint8_t)(rng >> 24);
		}
		if (bootdt_parse(fdt, len, &dt) == 0) {
			for (size_t j = 1; j < dt.n_mem; j++)
				ck_assert_uint_le(dt.mem[j - 1].base + dt.mem[j - 1].len,
						  dt.mem[j].base);
			bootdt_fini(&dt);
		}
	}
}
END_TEST

/* --- isolation ------------------------------------------------------------------------------- */

static struct gpa_range calls[8];
static size_t n_calls;

static int on_call(void *ctx, uint64_t control, const void *in, uint32_t in_len, void *ret_out,
		   uint32_t out_len, uint64_t *ret_result)
{
	struct hv_accept_gpa_in a;

	ck_assert_uint_eq(in_len, sizeof(a));
	memcpy(&a, in, sizeof(a));
	ck_assert_uint_eq(a.attributes, HV_ACCEPT_RAM);
	ck_assert_uint_eq(HV_CONTROL_CODE(control), HVCALL_ACCEPT_GPA_PAGES);
	ck_assert_uint_lt(n_calls, ARRAY_SIZE(calls));
	calls[n_calls++] = (struct gpa_range){ a.gpn * KEEL_PAGE_SIZE,
					       HV_CONTROL_REP_COUNT(control) * KEEL_PAGE_SIZE };
	*ret_result = HV_RESULT_MAKE(HV_OK, HV_CONTROL_REP_COUNT(control));
	return 0;
}

START_TEST(the_rest_is_accepted)
{
	static const struct hvc_ops ops = { .call = on_call };
	const struct gpa_range ram[] = {
		{ 0, 0x10000 },
		{ 0x20000, 0x4000 },
		{ 0x30000, 0x1000 },
	};
	/* The first pages; a piece in the middle; one that goes over the end; all of the last. */
	const struct mem acc[] = {
		{ 0, 0x1000, 0 },
		{ 0x8000, 0x2000, 0 },
		{ 0x22000, 0x8000, 0 },
		{ 0x30000, 0x1000, 0 },
	};
	static const struct gpa_range want[] = { { 0x1000, 0x7000 },
						 { 0xa000, 0x6000 },
						 { 0x20000, 0x2000 } };
	struct hvc h;

	build_accepted = acc;
	n_build_accepted = ARRAY_SIZE(acc);
	ck_assert_int_eq(bootdt_parse(fdt, build(good, ARRAY_SIZE(good), 1, "vbs"), &dt), 0);
	n_build_accepted = 0;
	ck_assert_int_eq((int)dt.isolation, BOOTDT_ISO_VBS);
	ck_assert_uint_eq(dt.n_accepted, ARRAY_SIZE(acc));
	hvc_init_mock(&h, &ops, NULL);
	n_calls = 0;
	ck_assert_int_eq(vm_memory_accept(&h, &dt, ram, ARRAY_SIZE(ram)), 0);
	ck_assert_uint_eq(n_calls, ARRAY_SIZE(want));
	for (size_t i = 0; i < n_calls; i++) {
		ck_assert_uint_eq(calls[i].base, want[i].base);
		ck_assert_uint_eq(calls[i].len, want[i].len);
	}
	bootdt_fini(&dt);
}
END_TEST

START_TEST(bad_accepted_ranges)
{
	static const struct mem bad[][2] = {
		{ { 0x1000, 0, 0 }, { 0x8000, 0x1000, 0 } },
		{ { 0x1001, 0x1000, 0 }, { 0x8000, 0x1000, 0 } },
		{ { ~0xfffull, 0x2000, 0 }, { 0x8000, 0x1000, 0 } },
		{ { 0x1000, 0x8000, 0 }, { 0x8000, 0x1000, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		build_accepted = bad[i];
		n_build_accepted = 2;
		ck_assert_int_eq(bootdt_parse(fdt, build(good, ARRAY_SIZE(good), 1, "vbs"), &dt),
				 -EBADMSG);
		n_build_accepted = 0;
	}
}
END_TEST

UNIT_MAIN("vmm/bootdt", good_tree, bad_ranges, bad_trees, damaged_trees, the_rest_is_accepted,
	  bad_accepted_ranges)
