/* SPDX-License-Identifier: MIT */
/*
 * Placement and content of VTL2's memory. Spec: igvm-boot, "VTL2 memory layout (X)", "Parameter
 * region and other shared structures".
 */
#include <string.h>

#include "build_priv.h"
#include "ckd.h"
#include "crc.h"
#include "le.h"
#include "tool_util.h"

#define ALIGN_2M (2 * MIB)
#define GIB (1ull << 30)
#define RESERVED_PAGES 4u
#define LOG_PAGES 2u
#define HEAP_PAGES 16u

#define PTE_PRESENT 1ull
#define PTE_WRITE 2ull
#define PTE_ACCESSED 0x20ull
#define PTE_DIRTY 0x40ull
#define PTE_LARGE 0x80ull
#define TABLES_MAX 20u

static uint64_t gib_slots(uint64_t start, uint64_t len)
{
	return (start + len - 1) / GIB - start / GIB + 1;
}

static uint64_t take(uint64_t *cursor, uint64_t len)
{
	uint64_t at = *cursor;

	*cursor = align_up(at + len, KEEL_PAGE_SIZE);
	return at;
}

static int place(struct build *b)
{
	struct layout *lo = &b->lo;
	uint64_t cur = lo->start + PERSISTED_PAGES * KEEL_PAGE_SIZE;

	lo->kernel_len = b->kernel.hi - b->kernel.lo;
	lo->kernel = take(&cur, lo->kernel_len);
	lo->kernel_entry = b->kernel.entry - b->kernel.lo + lo->kernel;
	lo->shim_len = b->shim.hi - b->shim.lo;
	lo->shim = take(&cur, lo->shim_len);
	lo->shim_entry = b->shim.entry - b->shim.lo + lo->shim;
	lo->initrd_len = b->res->file[RESOURCE_UNDERHILL_INITRD].len;
	lo->initrd = take(&cur, lo->initrd_len);
	lo->gdt = take(&cur, KEEL_PAGE_SIZE);
	lo->params = take(&cur, KEEL_PAGE_SIZE);
	lo->cmdline = take(&cur, KEEL_PAGE_SIZE);
	lo->reserved = take(&cur, RESERVED_PAGES * KEEL_PAGE_SIZE);
	lo->param_region = take(&cur, BOOTCFG_REGION_PAGES * KEEL_PAGE_SIZE);
	lo->log = take(&cur, LOG_PAGES * KEEL_PAGE_SIZE);
	lo->heap = take(&cur, HEAP_PAGES * KEEL_PAGE_SIZE);
	lo->tables_total = 5 + 2 * (uint32_t)gib_slots(lo->start, lo->size);
	lo->tables = take(&cur, (uint64_t)lo->tables_total * KEEL_PAGE_SIZE);
	lo->used_end = cur;
	if (lo->used_end > lo->start + lo->size)
		return tool_err(
			"VTL2 memory of %llu MiB is too small: the image itself needs %llu MiB.",
			(unsigned long long)(lo->size / MIB),
			(unsigned long long)((lo->used_end - lo->start + MIB - 1) / MIB));
	return 0;
}

int layout_plan(struct build *b)
{
	const struct manifest *m = b->m;
	struct layout *lo = &b->lo;

	lo->start = m->has_base ? m->memory_page_base * KEEL_PAGE_SIZE : BUILD_DEFAULT_BASE;
	lo->size = m->memory_page_count * KEEL_PAGE_SIZE;
	if (!lo->size || !is_aligned(lo->start | lo->size, ALIGN_2M))
		return tool_err(
			"memory_page_base and memory_page_count must be multiples of 512 pages, "
			"and the count not 0.");
	if (lo->size > UINT32_MAX)
		return tool_err("memory_page_count: VTL2 memory must be smaller than 4 GiB.");
	if (lo->start > BIT(40))
		return tool_err("memory_page_base: VTL2 memory must start below 1 TiB.");
	return place(b);
}

/* Segments keep their distances; bases is what the lowest address becomes. */
static int import_elf(struct build *b, const char *tag, const struct elf_img *e, uint64_t base)
{
	for (size_t i = 0; i < e->n_seg; i++) {
		const struct elf_seg *s = &e->seg[i];

		if (image_import(&b->img, tag, s->paddr - e->lo + base, s->data, s->file_size,
				 s->mem_size) < 0)
			return -1;
	}
	return 0;
}

static int import_gdt(struct build *b)
{
	/* null, null, code (limit 0xffff, attributes 0xa09b), data (0xffff, 0xc093) */
	static const uint64_t gdt[4] = { 0, 0, 0x00a09b000000ffffull, 0x00c093000000ffffull };

	return image_import(&b->img, "gdt", b->lo.gdt, gdt, sizeof(gdt), KEEL_PAGE_SIZE);
}

static int64_t rel(const struct layout *lo, uint64_t gpa)
{
	return (int64_t)(gpa - lo->shim);
}

static int import_params(struct build *b)
{
	const struct layout *lo = &b->lo;
	const struct file_buf *initrd = &b->res->file[RESOURCE_UNDERHILL_INITRD];
	struct shim_params p = {
		.kernel_entry = rel(lo, lo->kernel_entry),
		.cmdline = rel(lo, lo->cmdline),
		.initrd = rel(lo, lo->initrd),
		.initrd_size = lo->initrd_len,
		.initrd_crc = crc32_update(0, initrd->data, initrd->len),
		.isolation = SHIM_ISOLATION_VBS_OR_NONE,
		.memory_start = rel(lo, lo->start),
		.memory_size = lo->size,
		.param_region = rel(lo, lo->param_region),
		.param_region_size = BOOTCFG_REGION_PAGES * KEEL_PAGE_SIZE,
		.reserved_region = rel(lo, lo->reserved),
		.reserved_region_size = RESERVED_PAGES * KEEL_PAGE_SIZE,
		.used_start = rel(lo, lo->start),
		.used_end = rel(lo, lo->used_end),
		.log = rel(lo, lo->log),
		.log_size = LOG_PAGES * KEEL_PAGE_SIZE,
		.heap = rel(lo, lo->heap),
		.heap_size = HEAP_PAGES * KEEL_PAGE_SIZE,
		.persisted = rel(lo, lo->start),
		.persisted_size = PERSISTED_PAGES * KEEL_PAGE_SIZE,
	};

	return image_import(&b->img, "shim parameters", lo->params, &p, sizeof(p), KEEL_PAGE_SIZE);
}

static int import_cmdline(struct build *b)
{
	const struct manifest *m = b->m;
	size_t len = strlen(m->command_line);
	struct shim_cmdline c = {
		.policy = m->static_command_line ? SHIM_CMDLINE_STATIC : SHIM_CMDLINE_APPEND_CHOSEN,
		.len = (uint16_t)len,
	};

	if (len > SHIM_CMDLINE_TEXT_MAX)
		return tool_err("command_line of VTL2 is longer than %u bytes.",
				SHIM_CMDLINE_TEXT_MAX);
	memcpy(c.text, m->command_line, len);
	return image_import(&b->img, "command line", b->lo.cmdline, &c, sizeof(c), sizeof(c));
}

/* Identity map of VTL2's memory: 2 MiB leaves, one level-1 table per GiB touched. */
static int import_tables(struct build *b)
{
	struct layout *lo = &b->lo;
	static uint8_t t[TABLES_MAX][KEEL_PAGE_SIZE];
	uint64_t dir = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	uint32_t used = 2;

	if (lo->tables_total > TABLES_MAX ||
	    lo->start / (512 * GIB) != (lo->start + lo->size - 1) / (512 * GIB))
		return tool_err("VTL2 memory at %#llx cannot be mapped with %u page tables.",
				(unsigned long long)lo->start, TABLES_MAX);
	memset(t, 0, sizeof(t));
	le64_store(&t[0][lo->start / (512 * GIB) % 512 * 8], (lo->tables + KEEL_PAGE_SIZE) | dir);
	for (uint64_t a = lo->start; a < lo->start + lo->size; a += ALIGN_2M) {
		uint8_t *slot = &t[1][a / GIB % 512 * 8];

		if (!le64_load(slot))
			le64_store(slot, (lo->tables + (uint64_t)used++ * KEEL_PAGE_SIZE) | dir);
		le64_store(&t[used - 1][a / ALIGN_2M % 512 * 8], a | dir | PTE_DIRTY | PTE_LARGE);
	}
	lo->tables_used = used;
	return image_import(&b->img, "page tables", lo->tables, t, (uint64_t)used * KEEL_PAGE_SIZE,
			    (uint64_t)lo->tables_total * KEEL_PAGE_SIZE);
}

static int reserve_params(struct build *b)
{
	uint64_t base = b->lo.param_region;

	if (image_reserve(&b->img, "parameter: SLIT", base + BOOTCFG_SLIT_PAGE * KEEL_PAGE_SIZE,
			  BOOTCFG_SLIT_PAGES * KEEL_PAGE_SIZE) < 0 ||
	    image_reserve(&b->img, "parameter: PPTT", base + BOOTCFG_PPTT_PAGE * KEEL_PAGE_SIZE,
			  BOOTCFG_PPTT_PAGES * KEEL_PAGE_SIZE) < 0 ||
	    image_reserve(&b->img, "parameter: device tree",
			  base + BOOTCFG_DT_PAGE * KEEL_PAGE_SIZE,
			  BOOTCFG_DT_PAGES * KEEL_PAGE_SIZE) < 0 ||
	    /* Written behind all other pages, but listed like them. */
	    image_reserve(&b->img, "page hashes", base + BOOTCFG_HASH_PAGE * KEEL_PAGE_SIZE,
			  BOOTCFG_HASH_PAGES * KEEL_PAGE_SIZE) < 0)
		return -1;
	return 0;
}

static int import_vtl2_config(struct build *b)
{
	struct vtl2_measured_config c = { .magic = VTL2_CONFIG_MAGIC };

	return image_import(&b->img, "measured VTL2 config",
			    b->lo.param_region + BOOTCFG_VTL2_CONFIG_PAGE * KEEL_PAGE_SIZE, &c,
			    sizeof(c), KEEL_PAGE_SIZE);
}

int build_vtl2(struct build *b)
{
	const struct file_buf *initrd = &b->res->file[RESOURCE_UNDERHILL_INITRD];
	struct layout *lo = &b->lo;

	if (import_elf(b, "kernel", &b->kernel, lo->kernel) < 0 ||
	    import_elf(b, "shim", &b->shim, lo->shim) < 0 ||
	    image_import(&b->img, "initrd", lo->initrd, initrd->data, initrd->len, initrd->len) < 0)
		return -1;
	if (import_gdt(b) < 0 || import_params(b) < 0 || import_cmdline(b) < 0 ||
	    reserve_params(b) < 0 || import_vtl2_config(b) < 0)
		return -1;
	if (image_import(&b->img, "shim log", lo->log, NULL, 0, LOG_PAGES * KEEL_PAGE_SIZE) < 0 ||
	    image_import(&b->img, "shim heap", lo->heap, NULL, 0, HEAP_PAGES * KEEL_PAGE_SIZE) < 0)
		return -1;
	return import_tables(b);
}
