/* SPDX-License-Identifier: MIT */
/* Memory plan, GPA pool, options, command line, boot parameters, the kernel's device tree. */
#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <string.h>

#include "boot_params.h"
#include "host_dt.h"
#include "host_sample.h"
#include "imported.h"
#include "kcmdline.h"
#include "kern_dt.h"
#include "le.h"
#include "memplan.h"
#include "shim_fmt.h"
#include "shim_opts.h"
#include "unit.h"

#define S (128 * MIB)
#define USED (17 * MIB)

static uint8_t blob[HOST_SAMPLE_LEN] __attribute__((aligned(8)));
static struct host_dt host;
static struct memplan plan;
static const char *why;

/* The layout of a 64 MiB image, as the builder makes it. */
static struct plan_image image(void)
{
	return (struct plan_image){
		.memory = { S, 64 * MIB },
		.used = { S, USED },
		.persisted = { S, 2 * MIB },
		.reserved = { S + 14 * MIB, 4 * KEEL_PAGE_SIZE },
		.param_region = { S + 14 * MIB + 4 * KEEL_PAGE_SIZE,
				  BOOTCFG_REGION_PAGES * KEEL_PAGE_SIZE },
		.log = { S + 16 * MIB, 2 * KEEL_PAGE_SIZE },
	};
}

static int make(const struct host_sample *h, const struct plan_image *img)
{
	size_t len = host_sample_write(h, blob, sizeof(blob));

	ck_assert_uint_gt(len, 0);
	ck_assert_int_eq(host_dt_parse(blob, len, &host, &why), 0);
	return memplan_make(&host, img, &plan, &why);
}

/* The type of an address in the map. */
static enum bootcfg_mem_type type_at(uint64_t gpa)
{
	for (size_t i = 0; i < plan.n_map; i++)
		if (gpa >= plan.map[i].r.base && gpa - plan.map[i].r.base < plan.map[i].r.len)
			return plan.map[i].type;
	ck_abort_msg("%lx is not in the map", (unsigned long)gpa);
}

/* The map covers the host's RAM exactly, ascending, without gaps inside a range. */
static void check_map_covers(void)
{
	uint64_t sum = 0, host_sum = 0;

	for (size_t i = 0; i < plan.n_map; i++) {
		ck_assert_uint_gt(plan.map[i].r.len, 0);
		if (i)
			ck_assert_uint_ge(plan.map[i].r.base,
					  plan.map[i - 1].r.base + plan.map[i - 1].r.len);
		sum += plan.map[i].r.len;
	}
	for (size_t i = 0; i < host.n_mem; i++)
		host_sum += host.mem[i].r.len;
	ck_assert_uint_eq(sum, host_sum);
}

START_TEST(host_mode_takes_the_hosts_ranges)
{
	struct host_sample h = host_sample_default();
	struct plan_image img = image();
	uint64_t params = img.param_region.base;

	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_uint_eq(plan.n_ram, 1);
	ck_assert_uint_eq(memplan_ram_bytes(&plan), 64 * MIB);
	ck_assert_uint_eq(plan.n_vtl2_mmio, 1);
	ck_assert_uint_eq(plan.n_vtl0_mmio, 2);
	check_map_covers();
	ck_assert_int_eq(type_at(S - 1), BOOTMEM_VTL0);
	ck_assert_int_eq(type_at(S), BOOTMEM_PERSISTED_HEADER);
	ck_assert_int_eq(type_at(S + KEEL_PAGE_SIZE), BOOTMEM_PERSISTED_STATE);
	ck_assert_int_eq(type_at(S + 20 * KEEL_PAGE_SIZE - 1), BOOTMEM_PERSISTED_STATE);
	ck_assert_int_eq(type_at(S + 20 * KEEL_PAGE_SIZE), BOOTMEM_VTL2_RAM);
	ck_assert_int_eq(type_at(img.reserved.base), BOOTMEM_RESERVED);
	ck_assert_int_eq(type_at(params), BOOTMEM_VTL2_CONFIG);
	ck_assert_int_eq(type_at(params + BOOTCFG_DT_PAGE * KEEL_PAGE_SIZE - 1),
			 BOOTMEM_VTL2_CONFIG);
	ck_assert_int_eq(type_at(params + BOOTCFG_DT_PAGE * KEEL_PAGE_SIZE), BOOTMEM_VTL2_RAM);
	ck_assert_int_eq(type_at(params + BOOTCFG_VTL2_CONFIG_PAGE * KEEL_PAGE_SIZE),
			 BOOTMEM_VTL2_CONFIG);
	ck_assert_int_eq(type_at(params + BOOTCFG_HASH_PAGE * KEEL_PAGE_SIZE), BOOTMEM_VTL2_RAM);
	ck_assert_int_eq(type_at(img.log.base), BOOTMEM_SHIM_LOG);
	ck_assert_int_eq(type_at(S + 64 * MIB - 1), BOOTMEM_VTL2_RAM);
	ck_assert_int_eq(type_at(S + 64 * MIB), BOOTMEM_VTL0);
}
END_TEST

START_TEST(host_mode_without_marked_ram_uses_the_measured_range)
{
	struct host_sample h = host_sample_default();
	struct plan_image img = image();

	h.mem[1].type = 0;
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_uint_eq(plan.n_ram, 1);
	ck_assert_uint_eq(plan.ram[0].r.base, S);
	ck_assert_uint_eq(plan.ram[0].r.len, 64 * MIB);
	check_map_covers();
}
END_TEST

START_TEST(vtl2_mode_takes_from_the_top)
{
	struct host_sample h = host_sample_default();
	struct plan_image img = image();

	h.mode = "vtl2";
	h.memory_size = 100 * MIB;
	h.n_vtl2 = 0;
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_uint_eq(plan.n_ram, 2);
	ck_assert_uint_eq(memplan_ram_bytes(&plan), 100 * MIB);
	ck_assert_uint_eq(plan.ram[1].r.base, 1024 * MIB - 36 * MIB);
	check_map_covers();
	ck_assert_int_eq(type_at(1024 * MIB - 1), BOOTMEM_VTL2_RAM);
	ck_assert_int_eq(type_at(1024 * MIB - 36 * MIB - 1), BOOTMEM_VTL0);
	/* Half of VTL0's 4 GiB would be 2 GiB: capped at 1 GiB, cut from the end. */
	ck_assert_uint_eq(plan.n_vtl2_mmio, 1);
	ck_assert_uint_eq(plan.vtl2_mmio[0].base, 11 * GIB);
	ck_assert_uint_eq(plan.vtl2_mmio[0].len, GIB);
	ck_assert_uint_eq(plan.vtl0_mmio[1].len, 3 * GIB);
	h.memory_size = 0; /* the measured size */
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_uint_eq(memplan_ram_bytes(&plan), 64 * MIB);
}
END_TEST

START_TEST(vtl2_mode_shares_over_nodes)
{
	struct host_sample h = host_sample_default();
	struct plan_image img = image();

	h.mode = "vtl2";
	h.memory_size = 200 * MIB;
	h.mem[2].len = 320 * MIB; /* to 512 MiB */
	h.mem[3] = (struct host_sample_mem){ 512 * MIB, 512 * MIB, 1, 0 };
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_uint_eq(memplan_ram_bytes(&plan), 200 * MIB);
	ck_assert_uint_eq(plan.n_ram, 3);
	ck_assert_uint_eq(plan.ram[1].r.base, 512 * MIB - 36 * MIB);
	ck_assert_uint_eq(plan.ram[1].node, 0);
	ck_assert_uint_eq(plan.ram[2].r.base, 1024 * MIB - 100 * MIB);
	ck_assert_uint_eq(plan.ram[2].node, 1);
	check_map_covers();
	h.mem[3].len = 64 * MIB;
	ck_assert_int_eq(make(&h, &img), -ENOMEM);
}
END_TEST

START_TEST(contradictions_are_refused)
{
	struct host_sample h = host_sample_default();
	struct plan_image img = image();

	h.mode = "vtl2";
	h.memory_size = 32 * MIB;
	ck_assert_int_eq(make(&h, &img), -EINVAL); /* smaller than the image */
	h.memory_size = 2 * GIB;
	ck_assert_int_eq(make(&h, &img), -ENOMEM);
	h = host_sample_default();
	h.mem[1] = (struct host_sample_mem){ S, 16 * MIB, 0, 3 };
	h.mem[2] = (struct host_sample_mem){ S + 16 * MIB, 48 * MIB, 0, 0 };
	ck_assert_int_eq(make(&h, &img), -EINVAL); /* the image does not fit VTL2's RAM */
	h = host_sample_default();
	h.mode = "vtl2";
	h.mmio_size = 2 * GIB;
	ck_assert_int_eq(make(&h, &img), -ENOMEM); /* less than mmio-size given */
	h.n_vtl2 = 0;
	h.mmio_size = 4 * GIB;
	ck_assert_int_eq(make(&h, &img), -ENOMEM); /* more than VTL0 has */
	h.n_vtl0 = 3;
	h.mmio_size = 0;
	ck_assert_int_eq(make(&h, &img), -ENOMEM); /* nothing above 4 GiB */
	h = host_sample_default();
	img.log = img.reserved;
	ck_assert_int_eq(make(&h, &img), -EINVAL); /* two uses of one range */
	img = image();
	img.log.base = S + 20 * MIB;
	ck_assert_int_eq(make(&h, &img), -EINVAL); /* outside the image */
	img = image();
	img.param_region.len -= KEEL_PAGE_SIZE;
	ck_assert_int_eq(make(&h, &img), -EINVAL);
}
END_TEST

START_TEST(pool_comes_from_the_top)
{
	struct host_sample h = host_sample_default();
	struct plan_image img = image();

	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(memplan_pool(&plan, &img, 512, false, &why), 0);
	ck_assert_int_eq(type_at(S + 62 * MIB), BOOTMEM_GPA_POOL);
	ck_assert_int_eq(type_at(S + 64 * MIB - 1), BOOTMEM_GPA_POOL);
	ck_assert_int_eq(type_at(S + 62 * MIB - 1), BOOTMEM_VTL2_RAM);
	check_map_covers();
	/* All that is free fits, one page more does not. */
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(memplan_pool(&plan, &img, (64 * MIB - USED) / KEEL_PAGE_SIZE, false, &why),
			 0);
	ck_assert_int_eq(type_at(S + USED), BOOTMEM_GPA_POOL);
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(memplan_pool(&plan, &img, (64 * MIB - USED) / KEEL_PAGE_SIZE + 1, false,
				      &why),
			 -ENOMEM);
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(memplan_pool(&plan, &img, ~0ull, false, &why), -ENOMEM);
}
END_TEST

START_TEST(pool_is_split_over_nodes)
{
	struct host_sample h = host_sample_default();
	struct plan_image img = image();

	h.mem[3] = (struct host_sample_mem){ 2 * GIB, 64 * MIB, 1, 3 };
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(memplan_pool(&plan, &img, 513, true, &why), 0);
	ck_assert_int_eq(type_at(S + 64 * MIB - 256 * KEEL_PAGE_SIZE), BOOTMEM_GPA_POOL);
	ck_assert_int_eq(type_at(S + 64 * MIB - 256 * KEEL_PAGE_SIZE - 1), BOOTMEM_VTL2_RAM);
	ck_assert_int_eq(type_at(2 * GIB + 64 * MIB - 257 * KEEL_PAGE_SIZE), BOOTMEM_GPA_POOL);
	/* Too much for node 0 alone: split although not asked to. */
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(memplan_pool(&plan, &img, 60 * MIB / KEEL_PAGE_SIZE, false, &why), 0);
	ck_assert_int_eq(type_at(2 * GIB + 64 * MIB - 1), BOOTMEM_GPA_POOL);
	check_map_covers();
}
END_TEST

START_TEST(pool_size_heuristic)
{
	struct shim_pool_opt rel = { .mode = SHIM_POOL_RELEASE }, off = { .mode = SHIM_POOL_OFF };
	struct shim_pool_opt dbg = { .mode = SHIM_POOL_DEBUG };
	struct shim_pool_opt pages = { .mode = SHIM_POOL_PAGES, .pages = 77 };

	ck_assert_uint_eq(memplan_pool_pages(&rel, 2, 96), 2 * 256);
	ck_assert_uint_eq(memplan_pool_pages(&rel, 896, 12912), 516 * 256);
	ck_assert_uint_eq(memplan_pool_pages(&dbg, 32, 1536), 128 * 256);
	/* 2 VPs: ratios 24.5 and 48 -> 64 / 36.25 MiB, rounded up to 2 MiB */
	ck_assert_uint_eq(memplan_pool_pages(&rel, 2, 64), 512);
	ck_assert_uint_eq(memplan_pool_pages(&rel, 1, 64), 512); /* below the table: like 2 */
	/* 3 VPs: between 2 and 4, ratios from 10.833 to 54 -> 500 / 32.416 MiB = 15.4 -> 16 */
	ck_assert_uint_eq(memplan_pool_pages(&rel, 3, 500), 16 * 256);
	ck_assert_uint_gt(memplan_pool_pages(&rel, 4096, 20000), 0);
	ck_assert_uint_eq(memplan_pool_pages(&off, 2, 96), 0);
	ck_assert_uint_eq(memplan_pool_pages(&pages, 2, 96), 77);
}
END_TEST

START_TEST(options)
{
	static const struct {
		const char *text;
		enum shim_pool_mode mode;
		uint64_t pages;
		bool split, debug, no_keep;
	} cases[] = {
		{ "", SHIM_POOL_RELEASE, 0, false, false, false },
		{ "OPENHCL_IGVM_VTL2_GPA_POOL_CONFIG=debug", SHIM_POOL_DEBUG, 0, false, false,
		  false },
		{ "OPENHCL_IGVM_VTL2_GPA_POOL_CONFIG=junk", SHIM_POOL_OFF, 0, false, false, false },
		{ "OPENHCL_IGVM_VTL2_GPA_POOL_CONFIG=0", SHIM_POOL_OFF, 0, false, false, false },
		{ "OPENHCL_ENABLE_VTL2_GPA_POOL=33\tOPENHCL_IGVM_VTL2_GPA_POOL_CONFIG=debug",
		  SHIM_POOL_PAGES, 33, false, false, false },
		{ "OPENHCL_IGVM_VTL2_GPA_POOL_CONFIG=off OPENHCL_ENABLE_VTL2_GPA_POOL=release",
		  SHIM_POOL_RELEASE, 0, false, false, false },
		{ "OPENHCL_ENABLE_VTL2_GPA_POOL=99999999999999999999", SHIM_POOL_OFF, 0, false,
		  false, false },
		{ " OPENHCL_VTL2_GPA_POOL_NUMA=split  OPENHCL_CONFIDENTIAL_DEBUG=1",
		  SHIM_POOL_RELEASE, 0, true, true, false },
		{ "OPENHCL_CONFIDENTIAL_DEBUG=0 OPENHCL_DISABLE_NVME_KEEP_ALIVE=1",
		  SHIM_POOL_RELEASE, 0, false, false, true },
		{ "XOPENHCL_CONFIDENTIAL_DEBUG=1 OPENHCL_CONFIDENTIAL_DEBUG", SHIM_POOL_RELEASE, 0,
		  false, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct shim_opts o;

		shim_opts_init(&o);
		shim_opts_parse(&o, cases[i].text, strlen(cases[i].text));
		ck_assert_msg(o.pool.mode == cases[i].mode && o.pool.pages == cases[i].pages &&
				      o.pool_split == cases[i].split &&
				      o.confidential_debug == cases[i].debug &&
				      o.no_nvme_keep_alive == cases[i].no_keep,
			      "case %zu", i);
	}
}
END_TEST

START_TEST(kernel_command_line)
{
	struct kcmdline_in in = { .com3 = true,
				  .com3_speed = 115200,
				  .keep_alive_host = true,
				  .pool = true,
				  .static_text = "A=1 xxx",
				  .static_len = 3,
				  .host_text = "B=2\nC=3" };
	static char out[KCMDLINE_MAX], host_text[KCMDLINE_MAX];
	size_t len;

	ck_assert_int_eq(kcmdline_make(&in, out), 0);
	ck_assert_ptr_nonnull(strstr(out, " noxsave "));
	ck_assert_ptr_nonnull(strstr(out, " rdinit=/init "));
	ck_assert_ptr_nonnull(strstr(out, " console=ttyS2,115200 "
					  "OPENHCL_NVME_KEEP_ALIVE=host,privatepool A=1 B=2 C=3"));
	/* Nothing comes behind the word of an isolated VM. */
	in.isolated = true;
	ck_assert_int_eq(kcmdline_make(&in, out), 0);
	ck_assert_str_eq(strstr(out, " A=1"), " A=1 B=2 C=3 OPENHCL_CONFIDENTIAL=1");
	in = (struct kcmdline_in){ .static_text = "", .host_text = "", .keep_alive_off = true };
	ck_assert_int_eq(kcmdline_make(&in, out), 0);
	len = strlen(out);
	ck_assert_str_eq(strstr(out, " console="),
			 " console=ttynull OPENHCL_NVME_KEEP_ALIVE=disabled,nohost,noprivatepool");
	/* Exactly as long as the kernel takes, and one more. */
	memset(host_text, 'x', KCMDLINE_MAX - len - 2);
	in.host_text = host_text;
	ck_assert_int_eq(kcmdline_make(&in, out), 0);
	ck_assert_uint_eq(strlen(out), KCMDLINE_MAX - 1);
	host_text[KCMDLINE_MAX - len - 2] = 'x';
	ck_assert_int_eq(kcmdline_make(&in, out), -E2BIG);
	ck_assert_uint_lt(strnlen(out, sizeof(out)), sizeof(out));
}
END_TEST

START_TEST(boot_params)
{
	struct host_sample h = host_sample_default();
	struct plan_image img = image();
	struct boot_params_in in = { .plan = &plan,
				     .initrd = 0x123456000,
				     .initrd_size = 0x2345,
				     .cmdline = 0x345678000,
				     .dtb_setup_data = 0x8001000,
				     .ext_gpa = 0x8002000 };
	static uint8_t page[BOOT_PARAMS_LEN];
	static struct e820_ext ext;
	struct setup_data dtb = { .next = 99 };
	struct e820_entry e;
	uint64_t end = S;

	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(boot_params_make(&in, page, &dtb, &ext), 0);
	ck_assert_uint_eq(page[0x210], 0xff);
	ck_assert_uint_eq(le32_load(page + 0x23c), 1);
	ck_assert_uint_eq(le32_load(page + 0x218), 0x23456000);
	ck_assert_uint_eq(le32_load(page + 0xc0), 1);
	ck_assert_uint_eq(le32_load(page + 0x21c), 0x2345);
	ck_assert_uint_eq(le32_load(page + 0x228), 0x45678000);
	ck_assert_uint_eq(le32_load(page + 0xc8), 3);
	ck_assert_uint_eq(le64_load(page + 0x250), 0x8001000);
	ck_assert_uint_eq(le32_load(page + 0x202), 0); /* no "HdrS" */
	ck_assert_uint_eq(dtb.next, 0);
	ck_assert_uint_gt(page[0x1e8], 3);
	/* VTL2's memory and nothing else, in one piece. */
	for (unsigned i = 0; i < page[0x1e8]; i++) {
		memcpy(&e, page + 0x2d0 + i * sizeof(e), sizeof(e));
		ck_assert_uint_eq(e.base, end);
		ck_assert(e.type == 1 || e.type == 2);
		ck_assert_int_eq(e.type == 1, type_at(e.base) == BOOTMEM_VTL2_RAM);
		end += e.len;
	}
	ck_assert_uint_eq(end, S + 64 * MIB);
}
END_TEST

START_TEST(long_memory_maps_overflow_into_setup_data)
{
	struct boot_params_in in = { .plan = &plan, .ext_gpa = 0x8002000 };
	static uint8_t page[BOOT_PARAMS_LEN];
	static struct e820_ext ext;
	struct setup_data dtb = { 0 };

	memset(&plan, 0, sizeof(plan));
	for (plan.n_map = 0; plan.n_map < 640; plan.n_map++)
		plan.map[plan.n_map] = (struct plan_entry){ .r = { plan.n_map * 2 * MIB, MIB },
							    .type = BOOTMEM_VTL2_RAM };
	ck_assert_int_eq(boot_params_make(&in, page, &dtb, &ext), 0);
	ck_assert_uint_eq(page[0x1e8], 128);
	ck_assert_uint_eq(dtb.next, 0x8002000);
	ck_assert_uint_eq(ext.head.type, SETUP_DATA_E820_EXT);
	ck_assert_uint_eq(ext.head.len, 512 * 20);
	ck_assert_uint_eq(ext.entry[511].base, 639 * 2 * MIB);
	plan.map[plan.n_map++] =
		(struct plan_entry){ .r = { 4 * GIB, MIB }, .type = BOOTMEM_VTL2_RAM };
	ck_assert_int_eq(boot_params_make(&in, page, &dtb, &ext), -E2BIG);
}
END_TEST

static uint64_t prop_u64(const void *fdt, int node, const char *name)
{
	int len;
	const void *p = fdt_getprop(fdt, node, name, &len);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_ge(len, 8);
	return be64_load(p);
}

START_TEST(kernel_device_tree)
{
	static uint8_t out[262144] __attribute__((aligned(8)));
	struct host_sample h = host_sample_default();
	struct plan_image img = image();
	struct kern_dt_in in = { .host = &host,
				 .plan = &plan,
				 .isolation = "none",
				 .alias_map = BIT(40),
				 .reftime_start = 111,
				 .reftime_end = 222 };
	static struct dtw w;
	int node, n, cpus = 0;
	uint64_t base, rsv;
	size_t len;

	h.n_cpu = 3;
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(kern_dt_make(&in, &w, out, sizeof(out), &len), 0);
	ck_assert_int_eq(fdt_check_full(out, len), 0);
	ck_assert_uint_eq(prop_u64(out, 0, "reftime_boot_start"), 111);
	ck_assert_uint_eq(prop_u64(out, 0, "reftime_boot_end"), 222);
	ck_assert_int_eq(fdt_node_check_compatible(out, 0, "microsoft,openvmm"), 0);
	ck_assert_int_ge(fdt_path_offset(out, "/hypervisor"), 0);
	fdt_for_each_subnode(node, out, fdt_path_offset(out, "/cpus"))
		ck_assert_uint_eq(be32_load(fdt_getprop(out, node, "reg", &n)),
				  2 * (unsigned)cpus++);
	ck_assert_int_eq(cpus, 3);
	node = fdt_path_offset(out, "/memory@8000000");
	ck_assert_uint_eq(prop_u64(out, node, "reg"), S);
	node = fdt_path_offset(out, "/bus/vmbus");
	ck_assert_int_eq(fdt_node_check_compatible(out, node, "microsoft,vmbus"), 0);
	ck_assert_uint_eq(prop_u64(out, node, "ranges"), 16 * GIB);
	node = fdt_path_offset(out, "/openhcl");
	ck_assert_str_eq(fdt_getprop(out, node, "isolation-type", &n), "none");
	ck_assert_uint_eq(prop_u64(out, node, "vtl0-alias-map"), BIT(40));
	node = fdt_path_offset(out, "/openhcl/entropy");
	ck_assert_mem_eq(fdt_getprop(out, node, "reg", &n), "0123456789abcdef", 16);
	for (size_t i = 0; i < plan.n_map; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/openhcl/memory@%llx",
			 (unsigned long long)plan.map[i].r.base);
		node = fdt_path_offset(out, path);
		ck_assert_int_ge(node, 0);
		ck_assert_uint_eq(be32_load(fdt_getprop(out, node, "openhcl,memory-type", &n)),
				  plan.map[i].type);
	}
	for (int i = 0; i < fdt_num_mem_rsv(out); i++) {
		ck_assert_int_eq(fdt_get_mem_rsv(out, i, &base, &rsv), 0);
		ck_assert_int_ne(type_at(base), BOOTMEM_VTL2_RAM);
		ck_assert_int_ne(type_at(base), BOOTMEM_VTL0);
	}
	ck_assert_int_eq(kern_dt_make(&in, &w, out, len - 4, &len), -ENOSPC);
}
END_TEST

/* --- isolation ----------------------------------------------------------------------------- */

static uint8_t list[KEEL_PAGE_SIZE];

/* An imported-regions page with these ranges, n pairs of (page, pages). */
static void put_list(const uint64_t *pair, size_t n)
{
	static const uint8_t nothing[8] = { 0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38 };
	static const uint8_t rest[] = {
		0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a, 0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe,
		0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda, 0x27, 0x4e, 0xde, 0xbf,
		0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b
	};

	memset(list, 0, sizeof(list));
	memcpy(list, nothing, sizeof(nothing));
	memcpy(list + sizeof(nothing), rest, sizeof(rest));
	for (size_t i = 0; i < n; i++) {
		uint8_t *e = list + IMPORTED_DIGEST_LEN + i * sizeof(struct imported_region);

		le64_store(e, pair[2 * i]);
		le64_store(e + 8, pair[2 * i + 1]);
		e[16] = 1;
	}
}

START_TEST(list_of_imported_pages)
{
	static const uint64_t good[] = { 0, 1, 0x8000, 16, 0x8010, 1 };
	static const uint64_t bad[][4] = {
		{ 0x8000, 16, 0x800f, 1 },
		{ 0x8000, 16, 0x10, 1 },
		{ 0, 1, ~0ull / 4096, 1 },
		{ 0, 1, 0x8000, ~0ull / 4096 },
	};
	static struct imported im;

	put_list(good, 3);
	ck_assert_int_eq(imported_read(list, &im, &why), 0);
	ck_assert_uint_eq(im.n, 3);
	ck_assert_uint_eq(im.r[1].base, 0x8000000);
	ck_assert_uint_eq(im.r[1].len, 0x10000);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_list(bad[i], 2);
		ck_assert_int_eq(imported_read(list, &im, &why), -EBADMSG);
	}
	put_list(good, 3);
	list[IMPORTED_DIGEST_LEN + 16] = 0; /* left for the shim to accept */
	ck_assert_int_eq(imported_read(list, &im, &why), -ENOTSUP);
	put_list(good, 3);
	list[IMPORTED_DIGEST_LEN - 1] ^= 1;
	ck_assert_int_eq(imported_read(list, &im, &why), -ENOTSUP);
	/* A page full of entries has no end mark. */
	memset(list, 0, sizeof(list));
	put_list(good, 0);
	for (size_t i = 0; i < IMPORTED_MAX; i++) {
		uint8_t *e = list + IMPORTED_DIGEST_LEN + i * sizeof(struct imported_region);

		le64_store(e, 2 * i);
		le64_store(e + 8, 1);
		e[16] = 1;
	}
	ck_assert_int_eq(imported_read(list, &im, &why), 0);
	ck_assert_uint_eq(im.n, IMPORTED_MAX);
}
END_TEST

static struct {
	enum imported_step step;
	struct host_range r;
} steps[16];
static size_t n_steps;

static void on_step(void *ctx, enum imported_step step, const struct host_range *r)
{
	ck_assert_ptr_eq(ctx, steps);
	ck_assert_uint_lt(n_steps, ARRAY_SIZE(steps));
	steps[n_steps].step = step;
	steps[n_steps++].r = *r;
}

START_TEST(all_of_vtl2_is_accepted_or_protected)
{
	/* VTL0's first page; a range that begins before VTL2's memory; one in it; one behind it. */
	static const uint64_t pages[] = { 0, 1, 0x7fff, 2, 0x8100, 0x100, 0xbfff, 1, 0xc000, 4 };
	static const struct {
		enum imported_step step;
		uint64_t base, end;
	} want[] = {
		{ IMPORTED_PROTECT, S, S + 0x1000 },
		{ IMPORTED_ACCEPT, S + 0x1000, 0x8100000 },
		{ IMPORTED_PROTECT, 0x8100000, 0x8200000 },
		{ IMPORTED_ACCEPT, 0x8200000, 0xbfff000 },
		{ IMPORTED_PROTECT, 0xbfff000, 0xc000000 },
	};
	struct host_sample h = host_sample_default();
	struct plan_image img = image();
	static struct imported im;

	ck_assert_int_eq(make(&h, &img), 0);
	put_list(pages, 5);
	ck_assert_int_eq(imported_read(list, &im, &why), 0);
	n_steps = 0;
	imported_walk(&im, &plan, on_step, steps);
	ck_assert_uint_eq(n_steps, ARRAY_SIZE(want));
	for (size_t i = 0; i < n_steps; i++) {
		ck_assert_int_eq(steps[i].step, want[i].step);
		ck_assert_uint_eq(steps[i].r.base, want[i].base);
		ck_assert_uint_eq(steps[i].r.base + steps[i].r.len, want[i].end);
	}
}
END_TEST

START_TEST(isolated_device_tree_and_mmio)
{
	static uint8_t out[262144] __attribute__((aligned(8)));
	static const uint64_t pages[] = { 0, 1, 0x8000, 16 };
	struct host_sample h = host_sample_default();
	struct plan_image img = image();
	static struct imported im;
	struct kern_dt_in in = {
		.host = &host, .plan = &plan, .isolation = "vbs", .accepted = &im
	};
	static struct dtw w;
	int node, n;
	size_t len;

	/* The host says nothing of VTL2's MMIO: without isolation that is its decision. */
	h.n_vtl2 = 0;
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_uint_eq(plan.n_vtl2_mmio, 0);
	img.isolated = true;
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_uint_eq(plan.n_vtl2_mmio, 1);
	put_list(pages, 2);
	ck_assert_int_eq(imported_read(list, &im, &why), 0);
	ck_assert_int_eq(kern_dt_make(&in, &w, out, sizeof(out), &len), 0);
	ck_assert_int_eq(fdt_check_full(out, len), 0);
	node = fdt_path_offset(out, "/openhcl");
	ck_assert_str_eq(fdt_getprop(out, node, "isolation-type", &n), "vbs");
	node = fdt_path_offset(out, "/openhcl/accepted-memory@8000000");
	ck_assert_int_ge(node, 0);
	ck_assert_uint_eq(be64_load((const uint8_t *)fdt_getprop(out, node, "reg", &n) + 8),
			  0x10000);
	ck_assert_int_eq(n, 16);
	ck_assert_int_ge(fdt_path_offset(out, "/openhcl/accepted-memory@0"), 0);
}
END_TEST

START_TEST(largest_machine_fits)
{
	static uint8_t out[262144 - 16] __attribute__((aligned(8)));
	struct host_sample h = host_sample_default();
	struct plan_image img = image();
	struct kern_dt_in in = { .host = &host, .plan = &plan, .isolation = "none" };
	static struct dtw w;
	size_t len;

	h.n_cpu = HOST_CPUS_MAX;
	h.cpus_per_node = 32;
	ck_assert_int_eq(make(&h, &img), 0);
	ck_assert_int_eq(kern_dt_make(&in, &w, out, sizeof(out), &len), 0);
	ck_assert_int_eq(fdt_check_full(out, len), 0);
}
END_TEST

static size_t format(char *out, size_t max, const char *fmt, ...) printf_like(3, 4);
static size_t format(char *out, size_t max, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = shim_vformat(out, max, fmt, ap);
	va_end(ap);
	return n;
}

START_TEST(small_printf)
{
	char out[64];

	ck_assert_uint_eq(format(out, sizeof(out), "a %s %u %x %llu %llx %%", "b", 4294967295u,
				 0xbeefu, ~0ull, ~0ull),
			  59);
	ck_assert_str_eq(out, "a b 4294967295 beef 18446744073709551615 ffffffffffffffff %");
	ck_assert_uint_eq(format(out, 4, "%s", "abcdef"), 3);
	ck_assert_str_eq(out, "abc");
	ck_assert_uint_eq(format(out, 1, "%u", 5u), 0);
	ck_assert_str_eq(out, "");
}
END_TEST

UNIT_MAIN("shim/plan", host_mode_takes_the_hosts_ranges,
	  host_mode_without_marked_ram_uses_the_measured_range, vtl2_mode_takes_from_the_top,
	  vtl2_mode_shares_over_nodes, contradictions_are_refused, pool_comes_from_the_top,
	  pool_is_split_over_nodes, pool_size_heuristic, options, kernel_command_line, boot_params,
	  long_memory_maps_overflow_into_setup_data, kernel_device_tree, largest_machine_fits,
	  small_printf, list_of_imported_pages, all_of_vtl2_is_accepted_or_protected,
	  isolated_device_tree_and_mmio)
