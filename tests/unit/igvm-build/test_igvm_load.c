/* SPDX-License-Identifier: MIT */
/* Loader: placement, parameters, relocation of page tables, and the plans that must be refused. */
#include "igvm_load.h"

#include <errno.h>

#include "igvm_sample.h"
#include "unit.h"

#define MIB (1ull << 20)
#define MEM_PAGES 1048576u /* 4 GiB */

/* Guest memory: pages that were written. */
static uint8_t *mem[MEM_PAGES];
static unsigned writes[MEM_PAGES];

static int write_page(void *ctx, gpa_t gpa, const void *page)
{
	size_t n = gpa / KEEL_PAGE_SIZE;

	ck_assert_uint_lt(n, MEM_PAGES);
	ck_assert_uint_eq(gpa % KEEL_PAGE_SIZE, 0);
	writes[n]++;
	if (!mem[n])
		mem[n] = malloc(KEEL_PAGE_SIZE);
	if (page)
		memcpy(mem[n], page, KEEL_PAGE_SIZE);
	else
		memset(mem[n], 0, KEEL_PAGE_SIZE);
	return ctx ? *(int *)ctx : 0;
}

struct loaded {
	struct sample s;
	uint8_t *data;
	struct igvm_file *f;
	struct igvm_plan plan;
	struct igvm_load_result res;
	struct igvm_error err;
};

static const struct igvm_range one_gib[] = { { 0, 1024 * MIB } };

static struct igvm_plan_cfg config(enum igvm_base_policy policy, gpa_t base)
{
	return (struct igvm_plan_cfg){ .platform_type = IGVM_PLATFORM_VSM_ISOLATION,
				       .arch = IGVM_ARCH_X64,
				       .policy = policy,
				       .base = base,
				       .ram = one_gib,
				       .n_ram = 1 };
}

static void open_sample(struct loaded *l)
{
	size_t len;

	l->data = sample_write(&l->s, IGVM_V1, IGVM_ARCH_X64, &len);
	ck_assert_int_eq(igvm_parse(l->data, len, &l->f, &l->err), 0);
}

static void close_sample(struct loaded *l)
{
	igvm_destroy(l->f);
	free(l->data);
	sample_fini(&l->s);
	for (size_t i = 0; i < MEM_PAGES; i++) {
		free(mem[i]);
		mem[i] = NULL;
		writes[i] = 0;
	}
}

static int load(struct loaded *l, const struct igvm_plan_cfg *cfg, struct igvm_blob dt)
{
	struct igvm_load_params params = { .vp_count = 2,
					   .device_tree = dt,
					   .mmio = { { 0x1111, 0x22 }, { 0x3333, 0x44 } } };
	struct igvm_load_ops ops = { .write_page = write_page };
	int r = igvm_plan_make(l->f, cfg, &l->plan, &l->err);

	return r < 0 ? r : igvm_load(l->f, &l->plan, &params, &ops, &l->res, &l->err);
}

static const struct igvm_reg *reg(const struct loaded *l, uint32_t name)
{
	for (uint32_t i = 0; i < l->res.n_regs; i++)
		if (l->res.regs[i].name == name)
			return &l->res.regs[i];
	ck_abort_msg("register %x is missing", name);
}

/* Walk the tables in guest memory. Returns: the address, or ~0 when not mapped. */
static uint64_t translate(uint64_t cr3, uint64_t va)
{
	uint64_t table = cr3;

	for (unsigned level = 3;; level--) {
		uint64_t e =
			le64_load(mem[table / KEEL_PAGE_SIZE] + (va >> (12 + 9 * level)) % 512 * 8);
		uint64_t size = BIT(12 + 9 * level);

		if (!(e & 1))
			return ~0ull;
		if (!level || (level < 3 && (e & 0x80)))
			return (e & 0x000ffffffffff000ull & ~(size - 1)) + va % size;
		table = e & 0x000ffffffffff000ull;
		ck_assert_ptr_nonnull(mem[table / KEEL_PAGE_SIZE]);
	}
}

static void check_memory(const struct loaded *l, uint64_t base)
{
	uint64_t off = base - SAMPLE_BASE;
	const uint8_t *dt = mem[(SAMPLE_DT + off) / KEEL_PAGE_SIZE];
	const uint8_t *mmio = mem[(SAMPLE_DT + 0x4000 + off) / KEEL_PAGE_SIZE];
	size_t twice = 0;

	ck_assert_uint_eq(reg(l, HVREG_RIP)->val.u64, SAMPLE_ENTRY + off);
	ck_assert_uint_eq(reg(l, HVREG_CR3)->val.u64, SAMPLE_TABLES + off);
	ck_assert_uint_eq(reg(l, HVREG_GDTR)->val.table.base, SAMPLE_GDT + off);
	ck_assert_uint_eq(reg(l, HVREG_GDTR)->val.table.limit, 31);
	ck_assert_uint_eq(reg(l, HVREG_RSI)->val.u64, 0x42);
	ck_assert_uint_eq(l->res.vtl, 2);
	ck_assert_uint_eq(mem[(base + 0x1000) / KEEL_PAGE_SIZE][17], 0xc0);
	ck_assert_mem_eq(dt, "a tree", 6);
	ck_assert_uint_eq(dt[6], 0);
	ck_assert_uint_eq(mmio[0], 0x77); /* initial data around the parameter */
	ck_assert_uint_eq(le64_load(mmio + 64), 0x1111);
	ck_assert_uint_eq(le64_load(mmio + 64 + 24), 0x44);
	ck_assert_uint_eq(mmio[96], 0x77);
	for (uint64_t a = 0; a < SAMPLE_MEMORY; a += 0x1000)
		ck_assert_uint_eq(translate(SAMPLE_TABLES + off, base + a), base + a);
	ck_assert_uint_eq(translate(SAMPLE_TABLES + off, base + SAMPLE_MEMORY), ~0ull);
	ck_assert_uint_eq(translate(SAMPLE_TABLES + off, base - 0x1000), ~0ull);
	for (size_t i = 0; i < MEM_PAGES; i++)
		twice += writes[i] > 1;
	ck_assert_uint_eq(twice, 0);
}

static const uint64_t bases[] = {
	SAMPLE_BASE, /* stays */
	SAMPLE_BASE + 2 * MIB, /* old and new place overlap */
	448 * MIB, 1024 * MIB - 4 * MIB, /* the very end */
};

START_TEST(image_lands_at_its_base)
{
	struct igvm_plan_cfg cfg = config(IGVM_BASE_AT, bases[_i]);
	static struct loaded l; /* a process per test: zero */

	sample_make(&l.s);
	open_sample(&l);
	ck_assert_int_eq(load(&l, &cfg, (struct igvm_blob){ "a tree", 6 }), 0);
	check_memory(&l, bases[_i]);
	close_sample(&l);
}
END_TEST

START_TEST(map_shows_the_protected_range)
{
	static const struct igvm_range ram[] = { { 0, 200 * MIB }, { 300 * MIB, 100 * MIB } };
	struct igvm_plan_cfg cfg = config(IGVM_BASE_FIT, 0);
	static struct loaded l; /* a process per test: zero */

	cfg.ram = ram;
	cfg.n_ram = 2;
	sample_make(&l.s);
	open_sample(&l);
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), 0);
	ck_assert_uint_eq(l.plan.offset, 0);
	ck_assert_uint_eq(l.plan.n_map, 4);
	ck_assert_uint_eq(l.plan.map[1].gpn, SAMPLE_BASE / KEEL_PAGE_SIZE);
	ck_assert_uint_eq(l.plan.map[1].pages, SAMPLE_MEMORY / KEEL_PAGE_SIZE);
	ck_assert_uint_eq(l.plan.map[1].type, IGVM_MEM_VTL2_PROTECTABLE_RAM);
	ck_assert_uint_eq(l.plan.map[2].type, IGVM_MEM_MEMORY);
	ck_assert_uint_eq(l.plan.map[3].gpn, 300 * MIB / KEEL_PAGE_SIZE);
	close_sample(&l);
}
END_TEST

START_TEST(image_is_moved_when_its_place_is_no_ram)
{
	static const struct igvm_range ram[] = { { 0, 100 * MIB },
						 { 300 * MIB, 101 * MIB },
						 { 600 * MIB, 3 * MIB } };
	struct igvm_plan_cfg cfg = config(IGVM_BASE_FIT, 0);
	static struct loaded l; /* a process per test: zero */

	cfg.ram = ram;
	cfg.n_ram = 3;
	sample_make(&l.s);
	open_sample(&l);
	/* The last range is too small, the first too low: the top of the second, aligned. */
	ck_assert_int_eq(load(&l, &cfg, (struct igvm_blob){ "a tree", 6 }), 0);
	check_memory(&l, 396 * MIB);
	close_sample(&l);
}
END_TEST

START_TEST(bad_plans_are_refused)
{
	static const struct igvm_range small[] = { { 0, 130 * MIB } };
	struct igvm_plan_cfg cfg = config(IGVM_BASE_AT, SAMPLE_BASE - 2 * MIB);
	static struct loaded l; /* a process per test: zero */

	sample_make(&l.s);
	open_sample(&l);
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), -ENXIO); /* below minimum */
	cfg.base = SAMPLE_BASE + MIB;
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), -ENXIO); /* misaligned */
	cfg.base = 1022 * MIB;
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), -ENXIO); /* past RAM */
	cfg.base = BIT(48);
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), -ENXIO); /* above maximum */
	cfg = config(IGVM_BASE_FILE, 0);
	cfg.ram = small;
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), -ENXIO);
	ck_assert_ptr_nonnull(strstr(l.err.rule, "outside RAM"));
	cfg.policy = IGVM_BASE_FIT;
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), -ENXIO);
	cfg = config(IGVM_BASE_FILE, 0);
	cfg.arch = IGVM_ARCH_AARCH64;
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), -ENXIO);
	ck_assert_ptr_nonnull(strstr(l.err.rule, "is for x64"));
	cfg = config(IGVM_BASE_FILE, 0);
	cfg.platform_type = IGVM_PLATFORM_NATIVE;
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), -ENXIO);
	close_sample(&l);
}
END_TEST

START_TEST(parameters_must_fit_and_be_given)
{
	struct igvm_plan_cfg cfg = config(IGVM_BASE_FILE, 0);
	static uint8_t big[2 * KEEL_PAGE_SIZE + 1];
	static struct loaded l; /* a process per test: zero */

	sample_make(&l.s);
	open_sample(&l);
	ck_assert_int_eq(load(&l, &cfg, (struct igvm_blob){ big, sizeof(big) }), -EBADMSG);
	ck_assert_uint_eq(l.err.off, sample_off(&l.s, AT_DT, IGVM_V1));
	ck_assert_int_eq(load(&l, &cfg, (struct igvm_blob){ big, sizeof(big) - 1 }), 0);
	ck_assert_int_eq(load(&l, &cfg, (struct igvm_blob){ 0 }), -ENXIO);
	close_sample(&l);
}
END_TEST

START_TEST(errors_of_the_host_stop_the_load)
{
	struct igvm_plan_cfg cfg = config(IGVM_BASE_FILE, 0);
	int fail = -EIO;
	struct igvm_load_params params = { .device_tree = { "x", 1 } };
	struct igvm_load_ops ops = { .write_page = write_page, .ctx = &fail };
	static struct loaded l; /* a process per test: zero */

	sample_make(&l.s);
	open_sample(&l);
	ck_assert_int_eq(igvm_plan_make(l.f, &cfg, &l.plan, &l.err), 0);
	ck_assert_int_eq(igvm_load(l.f, &l.plan, &params, &ops, &l.res, &l.err), -EIO);
	close_sample(&l);
}
END_TEST

/* Tables that a loader must not follow. Each: entry (table, index) and its new value. */
static const struct {
	unsigned table, index;
	uint64_t val;
	const char *rule;
} table_cases[] = {
	{ 0, 1, (SAMPLE_TABLES + 0x1000) | 0x23, "used twice" },
	{ 0, 1, SAMPLE_TABLES | 0x23, "used twice" }, /* a loop through the root */
	{ 1, 1, 0x1000 | 0x23, "outside the region" },
	{ 1, 1, (SAMPLE_TABLES + 3 * KEEL_PAGE_SIZE) | 0x23, "outside the region" },
	{ 0, 256, (SAMPLE_TABLES + 0x1000) | 0x23, "upper half" },
	{ 2, 224, 0x20000000 | 0xe3, "meet after the move" }, /* at 448 MiB already */
	{ 1, 0, 0xe3, NULL }, /* a 1 GiB leaf larger than the distance: stays */
};

START_TEST(hostile_tables_are_refused)
{
	struct igvm_plan_cfg cfg = config(IGVM_BASE_AT, 448 * MIB);
	static struct loaded l; /* a process per test: zero */
	int r;

	sample_make(&l.s);
	le64_store(l.s.h[AT_ROOT + table_cases[_i].table].data + table_cases[_i].index * 8,
		   table_cases[_i].val);
	open_sample(&l);
	r = load(&l, &cfg, (struct igvm_blob){ "a tree", 6 });
	if (table_cases[_i].rule) {
		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_msg(strstr(l.err.rule, table_cases[_i].rule) != NULL, "%s", l.err.rule);
	} else {
		ck_assert_int_eq(r, 0);
		ck_assert_uint_eq(translate(reg(&l, HVREG_CR3)->val.u64, 448 * MIB), 448 * MIB);
	}
	close_sample(&l);
}
END_TEST

START_TEST(tables_need_room)
{
	struct igvm_plan_cfg cfg = config(IGVM_BASE_AT, 0);
	static const struct igvm_range ram[] = { { 0, 4096 * MIB } };
	struct igvm_pt_reloc *pt;
	static struct loaded l; /* a process per test: zero */

	sample_make(&l.s);
	pt = (struct igvm_pt_reloc *)(void *)l.s.h[AT_TABLES].body;
	pt->size = 3 * KEEL_PAGE_SIZE;
	/* A leaf elsewhere that does not move keeps the old tables busy: two more are needed. */
	le64_store(l.s.h[AT_LEAVES].data, 0xe3);
	open_sample(&l);
	cfg.ram = ram;
	cfg.base = 3072 * MIB;
	ck_assert_int_eq(load(&l, &cfg, (struct igvm_blob){ "a tree", 6 }), -EBADMSG);
	ck_assert_msg(strstr(l.err.rule, "no room") != NULL, "%s", l.err.rule);
	close_sample(&l);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("igvm/load");
	TCase *tc = tcase_create("load");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, image_lands_at_its_base, 0, ARRAY_SIZE(bases));
	tcase_add_test(tc, map_shows_the_protected_range);
	tcase_add_test(tc, image_is_moved_when_its_place_is_no_ram);
	tcase_add_test(tc, bad_plans_are_refused);
	tcase_add_test(tc, parameters_must_fit_and_be_given);
	tcase_add_test(tc, errors_of_the_host_stop_the_load);
	tcase_add_loop_test(tc, hostile_tables_are_refused, 0, ARRAY_SIZE(table_cases));
	tcase_add_test(tc, tables_need_room);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
