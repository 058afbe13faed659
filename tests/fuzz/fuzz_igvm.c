/* SPDX-License-Identifier: MIT */
/*
 * IGVM reader and loader on hostile files. The first byte of an input selects its form: odd = a
 * whole file, even = the variable headers of one, which get a fixed header, data at known file
 * offsets and a good checksum, so that mutations reach the rules behind those. Whatever the reader
 * accepts is loaded at three bases; every page must then lie inside the RAM that was offered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"
#include "crc.h"
#include "fuzz.h"
#include "hvregs.h"
#include "igvm_load.h"
#include "le.h"

#define RAM_TOP (2ull << 30)

static const struct igvm_range ram[] = { { 0, 0xa0000 }, { 0x100000, RAM_TOP - 0x100000 } };

static int write_page(void *ctx, gpa_t gpa, const void *page)
{
	volatile const uint8_t *p = page;

	if (gpa % KEEL_PAGE_SIZE || gpa > RAM_TOP - KEEL_PAGE_SIZE ||
	    (gpa > 0xa0000 - KEEL_PAGE_SIZE && gpa < 0x100000))
		abort();
	/* Both ends must be readable. */
	if (p)
		(void)(p[0] + p[KEEL_PAGE_SIZE - 1]);
	return 0;
}

/* File offset of the data and what stands there: page tables, a register list, content. */
#define DATA_OFF 0x4000u
#define DATA_PAGES 6u
#define TABLES_GPA 0x8200000ull
#define FILE_LEN (DATA_OFF + DATA_PAGES * KEEL_PAGE_SIZE)

static void put_reg(uint8_t *list, uint32_t name, uint64_t lo, uint64_t hi)
{
	uint32_t n = le32_load(list);
	uint8_t *r = list + 4 + n * sizeof(struct igvm_vbs_reg);

	r[0] = 2;
	le32_store(r + 1, name);
	le64_store(r + 16, lo);
	le64_store(r + 24, hi);
	le32_store(list, n + 1);
}

static void fill_data(uint8_t *p)
{
	le64_store(p, (TABLES_GPA + KEEL_PAGE_SIZE) | 0x23);
	le64_store(p + KEEL_PAGE_SIZE, (TABLES_GPA + 2 * KEEL_PAGE_SIZE) | 0x23);
	le64_store(p + 2 * KEEL_PAGE_SIZE + 64 * 8, 0x80000e3);
	le64_store(p + 2 * KEEL_PAGE_SIZE + 65 * 8, 0x82000e3);
	p += 3 * KEEL_PAGE_SIZE;
	put_reg(p, HVREG_RIP, 0x8001234, 0);
	put_reg(p, HVREG_CR3, TABLES_GPA, 0);
	put_reg(p, HVREG_GDTR, 0x001f000000000000ull, 0x8003000);
	memset(p + KEEL_PAGE_SIZE, 0xc0, 2 * KEEL_PAGE_SIZE);
}

/* A file around variable headers. */
static size_t wrap(uint8_t *file, const uint8_t *hdrs, size_t size)
{
	struct igvm_fixed_v1 x = {
		.magic = IGVM_MAGIC, .version = IGVM_V1, .var_off = sizeof(x), .file_size = FILE_LEN
	};

	size = MIN(size, DATA_OFF - sizeof(x));
	x.var_size = (uint32_t)align_up(size, 8);
	memset(file, 0, FILE_LEN);
	memcpy(file + sizeof(x), hdrs, size);
	fill_data(file + DATA_OFF);
	memcpy(file, &x, sizeof(x));
	x.checksum = crc32_update(0, file, sizeof(x) + x.var_size);
	memcpy(file, &x, sizeof(x));
	return FILE_LEN;
}

static void walk(const struct igvm_file *f)
{
	const struct igvm_header *h;
	volatile uint8_t sink;
	size_t pos = 0, len;

	while ((h = igvm_next(f, &pos, ~0u))) {
		const uint8_t *data = igvm_data(f, h, &len);
		const uint8_t *body = igvm_header_body(f, h);

		sink = body[h->len - 1];
		if (data && len)
			sink = data[len - 1];
		(void)sink;
	}
}

static void load(const struct igvm_file *f, enum igvm_base_policy policy)
{
	struct igvm_plan_cfg cfg = { .platform_type = IGVM_PLATFORM_VSM_ISOLATION,
				     .arch = igvm_arch(f),
				     .policy = policy,
				     .base = 0x30000000,
				     .ram = ram,
				     .n_ram = 2 };
	struct igvm_load_params params = { .vp_count = 2, .device_tree = { "tree", 4 } };
	struct igvm_load_ops ops = { .write_page = write_page };
	static struct igvm_load_result res;
	struct igvm_plan plan;
	struct igvm_error err;

	if (igvm_plan_make(f, &cfg, &plan, &err) < 0)
		return;
	if (igvm_load(f, &plan, &params, &ops, &res, &err) == 0 && !res.n_regs)
		abort(); /* nothing to start with */
}

static void try_file(const uint8_t *file, size_t len)
{
	struct igvm_error err = { 0 };
	struct igvm_file *f;
	int r = igvm_parse(file, len, &f, &err);

	if (r == -EBADMSG && (!err.rule[0] || err.off > len))
		abort(); /* a refusal names a place in the file and a rule */
	if (r < 0)
		return;
	walk(f);
	for (int p = IGVM_BASE_FILE; p <= IGVM_BASE_FIT; p++)
		load(f, (enum igvm_base_policy)p);
	igvm_destroy(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size ? size - 1 : 0;
	uint8_t *file;

	if (!size)
		return 0;
	/* Exactly as long as the file: every read behind it is seen. */
	file = malloc(data[0] & 1 ? len + !len : FILE_LEN);
	if (!file)
		return 0;
	if (data[0] & 1)
		memcpy(file, data + 1, len);
	else
		len = wrap(file, data + 1, len);
	try_file(file, len);
	free(file);
	return 0;
}
