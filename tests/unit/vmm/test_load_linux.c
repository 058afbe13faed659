/* SPDX-License-Identifier: MIT */
/* Linux direct loader and the measured VTL0 configuration it starts from. */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bootcfg.h"
#include "le.h"
#include "load_linux.h"
#include "vtl0_config.h"

#define RAM_BYTES (8u << 20)
#define KERNEL 0x100000u

static uint8_t *ram;
static struct gmem *gm;
static uint32_t apic_ids[2] = { 0, 1 };
static struct vtl0_config vtl0;
static const struct gpa_range whole = { 0, RAM_BYTES };

static void setup(void)
{
	struct gmem_region region = { .gpa = 0, .len = RAM_BYTES };

	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(ram, MAP_FAILED);
	region.host = ram;
	ck_assert_int_eq(gmem_create(&region, 1, &gm), 0);
	memset(&vtl0, 0, sizeof(vtl0));
	vtl0.linux_direct = true;
	vtl0.kernel_base = KERNEL;
	vtl0.kernel_len = 0x200000;
	vtl0.kernel_entry = KERNEL + 0x40;
	vtl0.initrd_base = 0x400000;
	vtl0.initrd_len = 0x12345;
	memcpy(vtl0.cmdline, "console=ttyS0", 14);
}

static struct load_linux_cfg config(void)
{
	return (struct load_linux_cfg){
		.vtl0 = &vtl0,
		.ram = &whole,
		.n_ram = 1,
		.cmdline_append = "quiet",
		.acpi = { .apic_ids = apic_ids, .n_vps = 2, .pm_base = 0x400, .sci = 9 },
		.mtrr = { .ram_end = RAM_BYTES, .low_mmio_base = 0xf8000000,
			  .low_mmio_end = 0x100000000, .phys_bits = 40 },
	};
}

static const union hv_regval *reg(const struct load_regs *regs, uint32_t name)
{
	for (unsigned int i = 0; i < regs->n; i++) {
		if (regs->r[i].name == name)
			return &regs->r[i].val;
	}
	ck_abort_msg("register %#x not set", name);
	return NULL;
}

START_TEST(registers_and_zero_page)
{
	struct load_linux_cfg cfg;
	static struct load_regs regs;
	const uint8_t *bp;

	setup();
	cfg = config();
	ck_assert_int_eq(load_linux(gm, &cfg, &regs), 0);
	ck_assert_uint_eq(reg(&regs, HVREG_RIP)->u64, KERNEL + 0x40);
	ck_assert_uint_eq(reg(&regs, HVREG_RSI)->u64, LOAD_LINUX_ZERO_PAGE);
	ck_assert_uint_eq(reg(&regs, HVREG_CR3)->u64, LOAD_LINUX_PAGE_TABLES);
	ck_assert_uint_eq(reg(&regs, HVREG_CS)->seg.sel, 0x10);
	ck_assert_uint_eq(reg(&regs, HVREG_DS)->seg.sel, 0x18);
	ck_assert_uint_eq(reg(&regs, HVREG_GDTR)->table.limit, 31);
	ck_assert_uint_eq(reg(&regs, HVREG_EFER)->u64, 0xd01);
	bp = ram + LOAD_LINUX_ZERO_PAGE;
	ck_assert_uint_eq(le16_load(bp + 0x1fe), 0xaa55);
	ck_assert_int_eq(memcmp(bp + 0x202, "HdrS", 4), 0);
	ck_assert_uint_eq(bp[0x210], 0xff);
	ck_assert_uint_eq(le32_load(bp + 0x218), 0x400000);
	ck_assert_uint_eq(le32_load(bp + 0x21c), 0x12345);
	ck_assert_uint_eq(le64_load(bp + 0x70), LOAD_LINUX_RSDP);
	ck_assert_str_eq((const char *)ram + le32_load(bp + 0x228), "console=ttyS0 quiet");
	ck_assert_int_eq(memcmp(ram + LOAD_LINUX_RSDP, "RSD PTR ", 8), 0);
}
END_TEST

START_TEST(memory_map)
{
	struct load_linux_cfg cfg;
	static struct load_regs regs;
	const uint8_t *bp, *e;
	uint64_t end = 0;

	setup();
	cfg = config();
	ck_assert_int_eq(load_linux(gm, &cfg, &regs), 0);
	bp = ram + LOAD_LINUX_ZERO_PAGE;
	ck_assert_uint_eq(bp[0x1e8], 5);
	/* Contiguous and complete, with the tables and the top of the first MiB kept apart. */
	for (unsigned int i = 0; i < bp[0x1e8]; i++) {
		static const uint32_t types[] = { 1, 3, 1, 2, 1 };

		e = bp + 0x2d0 + i * 20;
		ck_assert_uint_eq(le64_load(e), end);
		ck_assert_uint_eq(le32_load(e + 16), types[i]);
		end += le64_load(e + 8);
	}
	ck_assert_uint_eq(end, RAM_BYTES);
}
END_TEST

/* Walk the page tables as the CPU would. */
START_TEST(page_tables_map_4g)
{
	static const uint64_t addrs[] = {
		0, 0x1ff000, 0x200000, 0x3fe00000, 0x40000000, 0xfffff000
	};
	struct load_linux_cfg cfg;
	static struct load_regs regs;

	setup();
	cfg = config();
	ck_assert_int_eq(load_linux(gm, &cfg, &regs), 0);
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		uint64_t a = addrs[i];
		uint64_t e = le64_load(ram + LOAD_LINUX_PAGE_TABLES + (a >> 39 & 511) * 8);

		ck_assert_uint_eq(e & 1, 1);
		e = le64_load(ram + (e & ~0xfffull) + (a >> 30 & 511) * 8);
		ck_assert_uint_eq(e & 0x81, 1);
		e = le64_load(ram + (e & ~0xfffull) + (a >> 21 & 511) * 8);
		ck_assert_uint_eq(e & 0x81, 0x81);
		ck_assert_uint_eq((e & ~0x1fffffull) | (a & 0x1fffff), a);
	}
}
END_TEST

START_TEST(refusals)
{
	struct load_linux_cfg cfg;
	static struct load_regs regs;
	static char longest[8192];

	setup();
	cfg = config();
	memset(longest, 'x', sizeof(longest) - 1);
	cfg.cmdline_append = longest;
	ck_assert_int_eq(load_linux(gm, &cfg, &regs), -E2BIG);
	cfg = config();
	vtl0.kernel_base = 0x80000;
	ck_assert_int_eq(load_linux(gm, &cfg, &regs), -EEXIST);
}
END_TEST

START_TEST(bzimage_header_is_kept)
{
	struct load_linux_cfg cfg;
	static struct load_regs regs;
	uint8_t *k;

	setup();
	cfg = config();
	k = ram + KERNEL;
	le16_store(k + 0x1fe, 0xaa55);
	memcpy(k + 0x202, "HdrS", 4);
	k[0x201] = 0x66;
	le32_store(k + 0x260, 0x3a44000); /* init_size */
	ck_assert_int_eq(load_linux(gm, &cfg, &regs), 0);
	ck_assert_uint_eq(le32_load(ram + LOAD_LINUX_ZERO_PAGE + 0x260), 0x3a44000);
	ck_assert_uint_eq(ram[LOAD_LINUX_ZERO_PAGE + 0x210], 0xff);
}
END_TEST

START_TEST(mtrr_ranges)
{
	struct mtrr_layout m = { .ram_end = 0x180000000, .low_mmio_base = 0xf8000000,
				 .low_mmio_end = 0x100000000, .high_mmio_base = 0xfe0000000,
				 .high_mmio_end = 0x1000000000, .phys_bits = 40 };
	static struct load_regs regs;

	mtrr_add(&m, &regs);
	ck_assert_uint_eq(reg(&regs, HVREG_MTRR_DEF_TYPE)->u64, 0xc00);
	ck_assert_uint_eq(reg(&regs, HVREG_MTRR_PHYS_BASE0)->u64, 6);
	ck_assert_uint_eq(reg(&regs, HVREG_MTRR_PHYS_MASK0)->u64, 0xfff8000800ull);
	ck_assert_uint_eq(reg(&regs, HVREG_MTRR_PHYS_BASE0 + 1)->u64, 0x8000006);
	ck_assert_uint_eq(reg(&regs, HVREG_MTRR_PHYS_MASK0 + 1)->u64, 0xff00000800ull);
	ck_assert_uint_eq(reg(&regs, HVREG_MTRR_PHYS_BASE0 + 2)->u64, 0x100000006ull);
	ck_assert_uint_eq(reg(&regs, HVREG_MTRR_PHYS_MASK0 + 2)->u64, 0xf000000800ull);
}
END_TEST

static struct vtl0_measured_config good_config(void)
{
	return (struct vtl0_measured_config){
		.magic = VTL0_CONFIG_MAGIC,
		.supported = VTL0_CONFIG_LINUX,
		.linux_kernel = { 0x100, 0x100 },
		.linux_entry = 0x100040,
		.linux_initrd = { 0x300, 2 },
		.linux_initrd_size = 8191,
		.linux_cmdline = { 1, 1 },
	};
}

static int read_config(const struct vtl0_measured_config *raw)
{
	memcpy(ram, raw, sizeof(*raw));
	return vtl0_config_read(gm, &vtl0);
}

START_TEST(config_good_and_wiped)
{
	struct vtl0_measured_config raw = good_config();

	setup();
	memcpy(ram + 0x1000, "hello", 6);
	ck_assert_int_eq(read_config(&raw), 0);
	ck_assert_uint_eq(vtl0.kernel_base, 0x100000);
	ck_assert_uint_eq(vtl0.initrd_len, 8191);
	ck_assert_str_eq(vtl0.cmdline, "hello");
	ck_assert_uint_eq(le64_load(ram), 0);
	ck_assert_uint_eq(ram[0x1000], 0);
}
END_TEST

START_TEST(config_bad)
{
	struct vtl0_measured_config raw;

	setup();
	raw = good_config();
	raw.magic++;
	ck_assert_int_eq(read_config(&raw), -ENOENT);
	raw = good_config();
	raw.linux_entry = 0x100000 - 1;
	ck_assert_int_eq(read_config(&raw), -EBADMSG);
	raw.linux_entry = 0x200000;
	ck_assert_int_eq(read_config(&raw), -EBADMSG);
	raw = good_config();
	raw.linux_kernel.pages = ~0ull;
	ck_assert_int_eq(read_config(&raw), -EBADMSG);
	raw = good_config();
	raw.linux_kernel.gpn = 1ull << 60;
	ck_assert_int_eq(read_config(&raw), -EBADMSG);
	raw = good_config();
	raw.linux_initrd_size = 8193;
	ck_assert_int_eq(read_config(&raw), -EBADMSG);
	raw = good_config();
	memset(ram + 0x1000, 'x', 4096); /* not terminated */
	ck_assert_int_eq(read_config(&raw), -EBADMSG);
}
END_TEST

UNIT_MAIN("vmm/load_linux", registers_and_zero_page, memory_map, page_tables_map_4g, refusals,
	  bzimage_header_is_kept, mtrr_ranges, config_good_and_wiped, config_bad)
