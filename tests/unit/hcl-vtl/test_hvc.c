/* SPDX-License-Identifier: MIT */
/* Hypercalls of user space: continuation, retry, limits, encodings of the wrappers. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "hvc.h"

struct fake {
	unsigned int trips, timeouts, max_reps;
	uint64_t control;
	uint8_t in[4096];
	uint32_t in_len, out_len;
	uint16_t fail_with;
	uint32_t fail_after; /* elements done before failing */
	uint32_t done;
	int err;
	bool lie; /* claim more repetitions than asked for */
};

/* A hypervisor that does at most max_reps elements per trip and adds one to each u32. */
static int fake_call(void *ctx, uint64_t control, const void *in, uint32_t in_len, void *ret_out,
		     uint32_t out_len, uint64_t *ret_result)
{
	struct fake *f = ctx;
	uint32_t reps = HV_CONTROL_REP_COUNT(control), n = reps;
	uint16_t status = HV_OK;

	f->trips++;
	if (f->err)
		return f->err;
	f->control = control;
	memcpy(f->in, in, in_len);
	f->in_len = in_len;
	f->out_len = out_len;
	if (f->timeouts) {
		f->timeouts--;
		*ret_result = HV_TIMEOUT;
		return 0;
	}
	if (f->max_reps && n > f->max_reps) {
		n = f->max_reps;
		status = HV_TIMEOUT;
	}
	if (f->fail_with && f->done + n > f->fail_after) {
		n = f->fail_after - f->done;
		status = f->fail_with;
	}
	for (uint32_t i = 0; ret_out && reps && i < n; i++) {
		uint32_t v;

		memcpy(&v, (const uint8_t *)in + 16 + i * 4, 4);
		v++;
		memcpy((uint8_t *)ret_out + i * 4, &v, 4);
	}
	f->done += n;
	*ret_result = HV_RESULT_MAKE(status, (uint64_t)(f->lie ? 0xfff : n));
	return 0;
}

static const struct hvc_ops ops = { .call = fake_call };
static struct fake f;
static struct hvc h;
static uint32_t ids[3000], out[3000];

static void setup(void)
{
	memset(&f, 0, sizeof(f));
	hvc_init_mock(&h, &ops, &f);
	for (uint32_t i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = i * 3;
	memset(out, 0, sizeof(out));
}

START_TEST(simple_passes_status_and_errno)
{
	struct hv_install_intercept_in in = { 0 };

	setup();
	ck_assert_int_eq(hvc_simple(&h, HVCALL_INSTALL_INTERCEPT, &in, sizeof(in), NULL, 0), 0);
	f.err = -EPERM;
	ck_assert_int_eq(hvc_simple(&h, HVCALL_INSTALL_INTERCEPT, &in, sizeof(in), NULL, 0),
			 -EPERM);
	ck_assert_int_eq(hvc_simple(&h, HVCALL_INSTALL_INTERCEPT, &in, 4097, NULL, 0), -EINVAL);
}
END_TEST

START_TEST(simple_retries_timeout_but_not_for_ever)
{
	setup();
	f.timeouts = 5;
	ck_assert_int_eq(hvc_simple(&h, HVCALL_INSTALL_INTERCEPT, ids, 24, NULL, 0), 0);
	ck_assert_uint_eq(f.trips, 6);
	f.timeouts = ~0u;
	ck_assert_int_eq(hvc_simple(&h, HVCALL_INSTALL_INTERCEPT, ids, 24, NULL, 0), -ETIMEDOUT);
}
END_TEST

static void check_outputs(size_t n)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(out[i], ids[i] + 1);
	if (n < ARRAY_SIZE(out))
		ck_assert_uint_eq(out[n], 0);
}

START_TEST(rep_in_pages_and_pieces)
{
	static const unsigned int max[] = { 0, 1, 7, 1019, 1020, 1021 };

	for (size_t i = 0; i < ARRAY_SIZE(max); i++) {
		setup();
		f.max_reps = max[i];
		ck_assert_int_eq(hvc_vp_index(&h, ids, 2500, out), 0);
		check_outputs(2500);
	}
}
END_TEST

START_TEST(rep_failure_reports_progress)
{
	struct hv_apicid_in head = { .partition = HV_PARTITION_SELF };
	struct hvc_rep rep = {
		HVCALL_GET_VP_INDEX_FROM_APIC_ID, &head, sizeof(head), ids, 4, out, 4, 2500
	};
	size_t done = 0;

	setup();
	f.fail_with = HV_INVALID_PARAMETER;
	f.fail_after = 1500;
	ck_assert_int_eq(hvc_rep(&h, &rep, &done), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(done, 1500);
	check_outputs(1500);
}
END_TEST

START_TEST(rep_does_not_believe_too_much)
{
	setup();
	f.lie = true;
	ck_assert_int_eq(hvc_vp_index(&h, ids, 10, out), 0);
	ck_assert_uint_eq(f.trips, 1);
	f.timeouts = ~0u;
	ck_assert_int_eq(hvc_vp_index(&h, ids, 10, out), -ETIMEDOUT);
}
END_TEST

START_TEST(register_calls_encode)
{
	union hv_regval val = { .q = { 1, 2 } };
	struct hv_regs_in head;
	struct hv_reg_assoc assoc;

	setup();
	ck_assert_int_eq(hvc_set_reg(&h, HV_VP_SELF, HV_INPUT_VTL(0), 0xd0007, &val), 0);
	ck_assert_uint_eq(f.control, HV_CONTROL_MAKE(HVCALL_SET_VP_REGISTERS, 1, 0));
	ck_assert_uint_eq(f.in_len, 48);
	memcpy(&head, f.in, sizeof(head));
	memcpy(&assoc, f.in + 16, sizeof(assoc));
	ck_assert_uint_eq(head.vtl, 0x10);
	ck_assert_uint_eq(head.partition, ~0ull);
	ck_assert_uint_eq(assoc.name, 0xd0007);
	ck_assert_uint_eq(assoc.val.q[1], 2);
	ck_assert_int_eq(hvc_get_reg(&h, 3, HV_INPUT_VTL_SELF, 0xd0006, &val), 0);
	ck_assert_uint_eq(f.in_len, 20);
	ck_assert_uint_eq(f.out_len, 16);
}
END_TEST

START_TEST(interrupt_encodes)
{
	struct hvc_interrupt irq = {
		.type = HV_INT_NMI, .level = true, .logical = true, .dest = 0x1234, .vector = 0x51
	};
	struct hv_assert_int_in in;

	setup();
	ck_assert_int_eq(hvc_assert_interrupt(&h, &irq), 0);
	memcpy(&in, f.in, sizeof(in));
	ck_assert_uint_eq(in.control, 4 | 3ull << 32);
	ck_assert_uint_eq(in.dest, 0x1234);
	ck_assert_uint_eq(in.vector, 0x51);
	ck_assert_uint_eq(in.vtl, 0);
}
END_TEST

START_TEST(accepting_continues)
{
	struct hv_accept_gpa_in in;

	setup();
	ck_assert_int_eq(hvc_accept_pages(&h, 0x100, 1200), 0);
	ck_assert_uint_eq(f.trips, 3);
	ck_assert_uint_eq(HV_CONTROL_REP_COUNT(f.control), 1200 - 2 * 509);
	memcpy(&in, f.in, sizeof(in));
	ck_assert_uint_eq(in.gpn, 0x100 + 2 * 509);
	ck_assert_uint_eq(f.in_len, sizeof(in));
	/* Interrupted: goes on where it was. */
	setup();
	f.max_reps = 100;
	f.timeouts = 3;
	ck_assert_int_eq(hvc_accept_pages(&h, 0, 250), 0);
	ck_assert_uint_eq(f.trips, 3 + 3);
	memcpy(&in, f.in, sizeof(in));
	ck_assert_uint_eq(in.gpn, 200);
	setup();
	f.fail_with = HV_INVALID_PARAMETER;
	ck_assert_int_eq(hvc_accept_pages(&h, 0, 1), HV_INVALID_PARAMETER);
	setup();
	f.timeouts = 1000000;
	ck_assert_int_eq(hvc_accept_pages(&h, 0, 1), -ETIMEDOUT);
	setup();
	f.err = -EIO;
	ck_assert_int_eq(hvc_accept_pages(&h, 0, 1), -EIO);
}
END_TEST

UNIT_MAIN("hcl-vtl/hvc", simple_passes_status_and_errno, simple_retries_timeout_but_not_for_ever,
	  rep_in_pages_and_pieces, rep_failure_reports_progress, rep_does_not_believe_too_much,
	  register_calls_encode, interrupt_encodes, accepting_continues)
