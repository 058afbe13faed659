/* SPDX-License-Identifier: MIT */
/* Where registers live: run page, register page with dirty bits, hypervisor. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "le.h"
#include "regs.h"

static struct mshv_run_page run;
static struct hv_register_page page;
static struct vp vp;
static uint32_t last_get, last_set;
static union hv_regval stored;
static int answer;

static int fake_run(void *ctx)
{
	(void)ctx;
	return 0;
}

static int fake_get(void *ctx, uint32_t name, union hv_regval *ret_val)
{
	(void)ctx;
	last_get = name;
	*ret_val = stored;
	return answer;
}

static int fake_set(void *ctx, uint32_t name, const union hv_regval *val)
{
	(void)ctx;
	last_set = name;
	stored = *val;
	return answer;
}

static const struct vp_ops ops = { .run = fake_run, .get_reg = fake_get, .set_reg = fake_set };

static void setup(bool valid)
{
	memset(&run, 0, sizeof(run));
	memset(&page, 0, sizeof(page));
	vp_init_mock(&vp, 0, &run, &page, &ops, NULL);
	page.is_valid = valid;
	last_get = last_set = 0;
	answer = 0;
}

START_TEST(gprs_live_in_the_run_page)
{
	uint64_t val;

	setup(true);
	run.ctx.gp[0] = 11;
	run.ctx.gp[4] = 44; /* CR2 */
	run.ctx.gp[15] = 15;
	ck_assert_int_eq(regs_get64(&vp, HVREG_RAX, &val), 0);
	ck_assert_uint_eq(val, 11);
	ck_assert_int_eq(regs_get64(&vp, HVREG_CR2, &val), 0);
	ck_assert_uint_eq(val, 44);
	ck_assert_int_eq(regs_set64(&vp, HVREG_R15, 99), 0);
	ck_assert_uint_eq(run.ctx.gp[15], 99);
	ck_assert_uint_eq(last_get | last_set, 0);
	ck_assert_uint_eq(page.dirty, 0);
}
END_TEST

START_TEST(page_registers_set_dirty_bits)
{
	static const struct {
		uint32_t name, dirty;
	} cases[] = {
		{ HVREG_RSP, HV_REGPAGE_DIRTY_GP },
		{ HVREG_RIP, HV_REGPAGE_DIRTY_RIP },
		{ HVREG_RFLAGS, HV_REGPAGE_DIRTY_RFLAGS },
		{ HVREG_ES, HV_REGPAGE_DIRTY_SEG },
		{ HVREG_GS, HV_REGPAGE_DIRTY_SEG },
	};

	setup(true);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		union hv_regval in = { .q = { 0x1000 + i, 7 } }, out;

		page.dirty = 0;
		ck_assert_int_eq(regs_set(&vp, cases[i].name, &in), 0);
		ck_assert_uint_eq(page.dirty, cases[i].dirty);
		ck_assert_int_eq(regs_get(&vp, cases[i].name, &out), 0);
		ck_assert_uint_eq(out.u64, 0x1000 + i);
	}
	ck_assert_uint_eq(page.gp[4], 0x1000);
	ck_assert_uint_eq(page.seg[5].base, 0x1004);
	ck_assert_uint_eq(last_get | last_set, 0);
}
END_TEST

START_TEST(read_only_page_registers_are_written_through)
{
	uint64_t val;

	setup(true);
	page.cr0 = 0x11;
	ck_assert_int_eq(regs_get64(&vp, HVREG_CR0, &val), 0);
	ck_assert_uint_eq(val, 0x11);
	ck_assert_uint_eq(last_get, 0);
	ck_assert_int_eq(regs_set64(&vp, HVREG_CR0, 0x22), 0);
	ck_assert_uint_eq(last_set, HVREG_CR0);
	ck_assert_uint_eq(page.cr0, 0x22);
	ck_assert_uint_eq(page.dirty, 0);
	answer = -EINVAL;
	ck_assert_int_eq(regs_set64(&vp, HVREG_CR0, 0x33), -EINVAL);
	ck_assert_uint_eq(page.cr0, 0x22);
}
END_TEST

START_TEST(invalid_or_foreign_page_is_not_used)
{
	uint64_t val;

	setup(false);
	stored.u64 = 5;
	ck_assert_int_eq(regs_get64(&vp, HVREG_RSP, &val), 0);
	ck_assert_uint_eq(last_get, HVREG_RSP);
	ck_assert_uint_eq(val, 5);
	ck_assert_int_eq(regs_set_rip(&vp, 0x1234), 0);
	ck_assert_uint_eq(last_set, HVREG_RIP);
	page.is_valid = 1;
	page.vtl = 1;
	last_set = 0;
	ck_assert_int_eq(regs_set_rip(&vp, 0x1235), 0);
	ck_assert_uint_eq(last_set, HVREG_RIP);
	vp.page = NULL;
	last_get = 0;
	ck_assert_int_eq(regs_get64(&vp, HVREG_RFLAGS, &val), 0);
	ck_assert_uint_eq(last_get, HVREG_RFLAGS);
}
END_TEST

START_TEST(mock_initial_fpu_state)
{
	setup(true);
	ck_assert_uint_eq(le16_load(run.ctx.fx), 0x37f);
	ck_assert_uint_eq(le16_load(run.ctx.fx + 24), 0x1f80);
}
END_TEST

UNIT_MAIN("hcl-vtl/regs", gprs_live_in_the_run_page, page_registers_set_dirty_bits,
	  read_only_page_registers_are_written_through, invalid_or_foreign_page_is_not_used,
	  mock_initial_fpu_state)
