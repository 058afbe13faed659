/* SPDX-License-Identifier: MIT */
/*
 * Linux direct boot, see load_linux.h. Everything is composed in private memory and written once.
 */
#include "load_linux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"
#include "cleanup.h"
#include "le.h"

#define CMDLINE_MAX (LOAD_LINUX_PAGE_TABLES - LOAD_LINUX_CMDLINE)
#define MIB1 0x100000u
#define E820_MAX 128u

/* boot_params members (zero page). */
enum {
	BP_ACPI_RSDP = 0x70,
	BP_EXT_RAMDISK_IMAGE = 0xc0,
	BP_EXT_RAMDISK_SIZE = 0xc4,
	BP_E820_ENTRIES = 0x1e8,
	BP_SETUP_HEADER = 0x1f1,
	BP_BOOT_FLAG = 0x1fe,
	BP_HEADER_END = 0x201, /* low byte of the jump: header ends at 0x202 + this */
	BP_HEADER = 0x202,
	BP_VERSION = 0x206,
	BP_TYPE_OF_LOADER = 0x210,
	BP_RAMDISK_IMAGE = 0x218,
	BP_RAMDISK_SIZE = 0x21c,
	BP_CMD_LINE_PTR = 0x228,
	BP_KERNEL_ALIGNMENT = 0x230,
	BP_CMDLINE_SIZE = 0x238,
	BP_E820_TABLE = 0x2d0,
};

#define HDRS_MAGIC 0x53726448u /* "HdrS" */
#define BOOT_FLAG 0xaa55u
#define PROTOCOL_VERSION 0x20cu
#define SETUP_HEADER_MAX 0x80u

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

struct e820_entry {
	uint64_t base, len;
	uint32_t type;
};

struct e820 {
	struct e820_entry e[E820_MAX];
	unsigned int n;
	bool full;
};

/* --- memory map ------------------------------------------------------------------------------- */

static void e820_add(struct e820 *map, uint64_t base, uint64_t end, uint32_t type)
{
	struct e820_entry *last = map->n ? &map->e[map->n - 1] : NULL;

	if (base >= end)
		return;
	if (last && last->type == type && last->base + last->len == base) {
		last->len += end - base;
	} else if (map->n == E820_MAX) {
		map->full = true;
	} else {
		map->e[map->n++] = (struct e820_entry){ base, end - base, type };
	}
}

/* RAM in [base, end) of one range, cut to a window. */
static void add_clipped(struct e820 *map, const struct gpa_range *ram, uint64_t from, uint64_t to,
			uint32_t type)
{
	e820_add(map, MAX(ram->base, from), MIN(ram->base + ram->len, to), type);
}

static int build_e820(const struct load_linux_cfg *cfg, uint64_t acpi_end, struct e820 *map)
{
	for (size_t i = 0; i < cfg->n_ram; i++) {
		const struct gpa_range *ram = &cfg->ram[i];

		add_clipped(map, ram, 0, LOAD_LINUX_ACPI, E820_RAM);
		add_clipped(map, ram, LOAD_LINUX_ACPI, acpi_end, E820_ACPI);
		add_clipped(map, ram, acpi_end, LOAD_LINUX_RSDP, E820_RAM);
		add_clipped(map, ram, LOAD_LINUX_RSDP, MIB1, E820_RESERVED);
		add_clipped(map, ram, MIB1, UINT64_MAX, E820_RAM);
	}
	return map->full ? -E2BIG : 0;
}

/* --- pieces of low memory --------------------------------------------------------------------- */

static int write_gdt(struct gmem *gm)
{
	/* null, null, 64-bit code, data: the selectors the boot protocol asks for. */
	static const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull };

	return gm_write(gm, LOAD_LINUX_GDT, gdt, sizeof(gdt));
}

/* Identity map of the low 4 GiB in 2 MiB pages. */
static int write_page_tables(struct gmem *gm)
{
	enum { TABLES = 6, ENTRIES = 512, P_RW = 3, PS = 0x80 };
	auto_free uint64_t *t = calloc(TABLES, KEEL_PAGE_SIZE);

	if (!t)
		return -ENOMEM;
	t[0] = (LOAD_LINUX_PAGE_TABLES + KEEL_PAGE_SIZE) | P_RW;
	for (unsigned int i = 0; i < 4; i++) {
		t[ENTRIES + i] = (LOAD_LINUX_PAGE_TABLES + (2 + i) * KEEL_PAGE_SIZE) | P_RW;
		for (unsigned int j = 0; j < ENTRIES; j++)
			t[(2 + i) * ENTRIES + j] =
				(((uint64_t)i * ENTRIES + j) << 21) | P_RW | PS;
	}
	return gm_write(gm, LOAD_LINUX_PAGE_TABLES, t, (size_t)TABLES * KEEL_PAGE_SIZE);
}

static int write_cmdline(struct gmem *gm, const struct load_linux_cfg *cfg, uint32_t *ret_len)
{
	char text[CMDLINE_MAX];
	const char *more = cfg->cmdline_append ? cfg->cmdline_append : "";
	int n = snprintf(text, sizeof(text), "%s%s%s", cfg->vtl0->cmdline, *more ? " " : "", more);

	if (n < 0 || (size_t)n >= sizeof(text))
		return -E2BIG;
	*ret_len = (uint32_t)n;
	return gm_write(gm, LOAD_LINUX_CMDLINE, text, (size_t)n + 1);
}

/* Tables, then the root pointer. @ret_end: first free page behind the tables. */
static int write_acpi(struct gmem *gm, const struct acpi_cfg *cfg, uint64_t *ret_end)
{
	const size_t room = LOAD_LINUX_RSDP - LOAD_LINUX_ACPI;
	auto_free void *tables = malloc(room);
	uint8_t rsdp[ACPI_RSDP_BYTES];
	size_t len;
	int r;

	if (!tables)
		return -ENOMEM;
	r = acpi_build(cfg, LOAD_LINUX_ACPI, tables, room, &len, rsdp);
	if (r == 0)
		r = gm_write(gm, LOAD_LINUX_ACPI, tables, len);
	if (r == 0)
		r = gm_write(gm, LOAD_LINUX_RSDP, rsdp, sizeof(rsdp));
	if (r == 0)
		*ret_end = align_up(LOAD_LINUX_ACPI + len, KEEL_PAGE_SIZE);
	return r;
}

/*
 * A bzImage brings a header that its decompressor reads back from the zero page; it lies at the
 * start of the kernel's region when the image holds the file as it is. An uncompressed kernel has
 * none and needs none.
 */
static int copy_setup_header(struct gmem *gm, const struct vtl0_config *vtl0, uint8_t *bp)
{
	uint8_t raw[BP_HEADER + 4];
	size_t end;
	int r;

	if (vtl0->kernel_len < KEEL_PAGE_SIZE)
		return 0;
	r = gm_read(gm, vtl0->kernel_base, raw, sizeof(raw));
	if (r)
		return r;
	if (le16_load(raw + BP_BOOT_FLAG) != BOOT_FLAG || le32_load(raw + BP_HEADER) != HDRS_MAGIC)
		return 0;
	end = MIN((size_t)BP_HEADER + raw[BP_HEADER_END], (size_t)BP_HEADER + SETUP_HEADER_MAX);
	return gm_read(gm, vtl0->kernel_base + BP_SETUP_HEADER, bp + BP_SETUP_HEADER,
		       end - BP_SETUP_HEADER);
}

static void put_e820(uint8_t *bp, const struct e820 *map)
{
	bp[BP_E820_ENTRIES] = (uint8_t)map->n;
	for (unsigned int i = 0; i < map->n; i++) {
		uint8_t *p = bp + BP_E820_TABLE + (size_t)i * 20;

		le64_store(p, map->e[i].base);
		le64_store(p + 8, map->e[i].len);
		le32_store(p + 16, map->e[i].type);
	}
}

static int write_zero_page(struct gmem *gm, const struct load_linux_cfg *cfg, uint32_t cmdline_len,
			   const struct e820 *map)
{
	uint8_t bp[KEEL_PAGE_SIZE] = { 0 };
	int r = copy_setup_header(gm, cfg->vtl0, bp);

	if (r)
		return r;
	if (le32_load(bp + BP_HEADER) != HDRS_MAGIC) {
		le16_store(bp + BP_BOOT_FLAG, BOOT_FLAG);
		le32_store(bp + BP_HEADER, HDRS_MAGIC);
		le16_store(bp + BP_VERSION, PROTOCOL_VERSION);
		le32_store(bp + BP_KERNEL_ALIGNMENT, MIB1);
	}
	bp[BP_TYPE_OF_LOADER] = 0xff;
	le64_store(bp + BP_ACPI_RSDP, LOAD_LINUX_RSDP);
	le32_store(bp + BP_CMD_LINE_PTR, LOAD_LINUX_CMDLINE);
	le32_store(bp + BP_CMDLINE_SIZE, cmdline_len);
	le32_store(bp + BP_RAMDISK_IMAGE, (uint32_t)cfg->vtl0->initrd_base);
	le32_store(bp + BP_EXT_RAMDISK_IMAGE, (uint32_t)(cfg->vtl0->initrd_base >> 32));
	le32_store(bp + BP_RAMDISK_SIZE, (uint32_t)cfg->vtl0->initrd_len);
	le32_store(bp + BP_EXT_RAMDISK_SIZE, (uint32_t)(cfg->vtl0->initrd_len >> 32));
	put_e820(bp, map);
	return gm_write(gm, LOAD_LINUX_ZERO_PAGE, bp, sizeof(bp));
}

/* --- registers -------------------------------------------------------------------------------- */

static void add_seg(struct load_regs *regs, uint32_t name, uint16_t sel, uint32_t limit,
		    uint16_t attr)
{
	union hv_regval v = { .seg = { .base = 0, .limit = limit, .sel = sel, .attr = attr } };

	load_regs_add(regs, name, &v, false);
}

static void add_regs(struct load_regs *regs, uint64_t entry)
{
	static const uint32_t data_segs[] = { HVREG_DS, HVREG_ES, HVREG_FS, HVREG_GS, HVREG_SS };
	union hv_regval gdtr = { .table = { .limit = 31, .base = LOAD_LINUX_GDT } };

	load_regs_add(regs, HVREG_GDTR, &gdtr, false);
	load_regs_add64(regs, HVREG_CR0, 0x80000001);
	load_regs_add64(regs, HVREG_CR3, LOAD_LINUX_PAGE_TABLES);
	load_regs_add64(regs, HVREG_CR4, 0x20);
	load_regs_add64(regs, HVREG_EFER, 0xd01);
	load_regs_add64(regs, HVREG_PAT, 0x0007040600070406ull);
	add_seg(regs, HVREG_CS, 0x10, 0xffffffff, 0xa09b);
	for (size_t i = 0; i < ARRAY_SIZE(data_segs); i++)
		add_seg(regs, data_segs[i], 0x18, 0xffffffff, 0xc093);
	add_seg(regs, HVREG_TR, 0, 0xffff, 0x8b);
	load_regs_add64(regs, HVREG_RFLAGS, 2);
	load_regs_add64(regs, HVREG_RSP, 0);
	load_regs_add64(regs, HVREG_RSI, LOAD_LINUX_ZERO_PAGE);
	load_regs_add64(regs, HVREG_RIP, entry);
}

/* What the image brought must not lie where this loader writes. */
static int check_layout(const struct vtl0_config *v)
{
	if (v->kernel_base < MIB1 || (v->initrd_len && v->initrd_base < MIB1))
		return -EEXIST;
	return 0;
}

int load_linux(struct gmem *gm, const struct load_linux_cfg *cfg, struct load_regs *ret_regs)
{
	auto_free struct e820 *map = calloc(1, sizeof(*map));
	uint64_t acpi_end = 0;
	uint32_t cmdline_len = 0;
	int r = map ? check_layout(cfg->vtl0) : -ENOMEM;

	if (r == 0)
		r = write_gdt(gm);
	if (r == 0)
		r = write_page_tables(gm);
	if (r == 0)
		r = write_cmdline(gm, cfg, &cmdline_len);
	if (r == 0)
		r = write_acpi(gm, &cfg->acpi, &acpi_end);
	if (r == 0)
		r = build_e820(cfg, acpi_end, map);
	if (r == 0)
		r = write_zero_page(gm, cfg, cmdline_len, map);
	if (r)
		return r;
	*ret_regs = (struct load_regs){ 0 };
	add_regs(ret_regs, cfg->vtl0->kernel_entry);
	mtrr_add(&cfg->mtrr, ret_regs);
	return ret_regs->n <= LOAD_REGS_MAX ? 0 : -E2BIG;
}
