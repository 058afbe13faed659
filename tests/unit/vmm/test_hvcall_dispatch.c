/* SPDX-License-Identifier: MIT */
/* Hypercalls of VTL0: conventions, validation, each call. */
#include "unit.h"

#include <string.h>

#include "hvcall.h"
#include "hvregs.h"
#include "log.h"
#include "mock_vp.h"

enum { RAX, RCX, RDX, RBX, RSI = 6, RDI = 7, R8 = 8 };

#define IN_GPA 0x4000u
#define OUT_GPA 0x5000u
#define RIP 0xffffffff81000000ull

static struct mock_vp mock;

static void setup(void)
{
	log_init(LOG_ERR, false, NULL, NULL);
	mock_vp_init(&mock);
}

/* A 64-bit call; returns the result word. */
static uint64_t call(uint64_t control, uint64_t in, uint64_t out)
{
	struct hv_hypercall_msg msg = { .h = mock_header64(0, 3) };
	uint64_t *gp = mock.run->ctx.gp;

	gp[RAX] = 0xdead;
	gp[RCX] = control;
	gp[RDX] = in;
	gp[R8] = out;
	mock.page->rip = RIP;
	mock_exit(&mock, HVMSG_HYPERCALL, &msg, sizeof(msg));
	return gp[RAX];
}

START_TEST(unknown_code)
{
	setup();
	ck_assert_uint_eq(call(0x7777, 0, 0), HV_INVALID_HYPERCALL_CODE);
	ck_assert_uint_eq(mock.page->rip, RIP + 3);
	ck_assert_uint_eq(mock.page->dirty, HV_REGPAGE_DIRTY_RIP);
}
END_TEST

START_TEST(unknown_connections)
{
	struct hv_post_message_in in = { .connection = 4, .type = 1, .size = 16 };

	setup();
	memcpy(mock.ram + IN_GPA, &in, sizeof(in));
	ck_assert_uint_eq(call(HVCALL_POST_MESSAGE, IN_GPA, 0), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(call(HVCALL_SIGNAL_EVENT | HV_CONTROL_FAST, 4, 0),
			  HV_INVALID_CONNECTION_ID);
	in.size = 241;
	memcpy(mock.ram + IN_GPA, &in, sizeof(in));
	ck_assert_uint_eq(call(HVCALL_POST_MESSAGE, IN_GPA, 0), HV_INVALID_PARAMETER);
}
END_TEST

static struct {
	uint32_t connection, type;
	size_t len;
	uint8_t first;
	uint16_t flag;
} got;

static uint16_t take_message(void *ctx, vpidx_t vp, uint32_t connection, uint32_t type,
			     const void *payload, size_t len)
{
	(void)ctx;
	(void)vp;
	got.connection = connection;
	got.type = type;
	got.len = len;
	got.first = *(const uint8_t *)payload;
	return HV_INSUFFICIENT_BUFFERS;
}

static uint16_t take_event(void *ctx, vpidx_t vp, uint32_t connection, uint16_t flag)
{
	(void)ctx;
	(void)vp;
	got.connection = connection;
	got.flag = flag;
	return HV_OK;
}

START_TEST(handlers_get_checked_input)
{
	struct hv_post_message_in in = {
		.connection = 1, .type = 1, .size = 240, .payload = { 0x5a }
	};

	setup();
	mock.env.post_message = take_message;
	mock.env.signal_event = take_event;
	memcpy(mock.ram + IN_GPA, &in, sizeof(in));
	ck_assert_uint_eq(call(HVCALL_POST_MESSAGE, IN_GPA, 0), HV_INSUFFICIENT_BUFFERS);
	ck_assert_uint_eq(got.connection, 1);
	ck_assert_uint_eq(got.len, 240);
	ck_assert_uint_eq(got.first, 0x5a);
	ck_assert_uint_eq(call(HVCALL_SIGNAL_EVENT | HV_CONTROL_FAST, 0x0003000000010002ull, 0), 0);
	ck_assert_uint_eq(got.connection, 0x10002);
	ck_assert_uint_eq(got.flag, 0);
}
END_TEST

START_TEST(control_word_is_checked)
{
	static const struct {
		uint64_t control, in;
		uint16_t status;
	} cases[] = {
		{ HVCALL_POST_MESSAGE | BIT(27), IN_GPA, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_POST_MESSAGE | HV_CONTROL_NESTED, IN_GPA, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_POST_MESSAGE | BIT(17), IN_GPA, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_POST_MESSAGE | BIT(32), IN_GPA, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_POST_MESSAGE | BIT(48), IN_GPA, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_POST_MESSAGE | HV_CONTROL_FAST, IN_GPA, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_POST_MESSAGE, IN_GPA + 4, HV_INVALID_ALIGNMENT },
		{ HVCALL_POST_MESSAGE, IN_GPA + 0xf08, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_POST_MESSAGE, MOCK_RAM_BYTES, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_POST_MESSAGE, ~7ull, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_GET_VP_INDEX_FROM_APIC_ID, IN_GPA, HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_GET_VP_INDEX_FROM_APIC_ID | BIT(32) | BIT(48), IN_GPA,
		  HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_GET_VP_INDEX_FROM_APIC_ID | 0xfffull << 32, IN_GPA,
		  HV_INVALID_HYPERCALL_INPUT },
		{ HVCALL_SET_VP_REGISTERS | BIT(32), IN_GPA, HV_ACCESS_DENIED },
		{ HVCALL_MODIFY_VTL_PROTECTION_MASK | BIT(32), IN_GPA, HV_ACCESS_DENIED },
		{ HVCALL_RETARGET_DEVICE_INTERRUPT | BIT(17), IN_GPA, HV_INVALID_DEVICE_ID },
	};

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_msg(HV_RESULT_STATUS(call(cases[i].control, cases[i].in, OUT_GPA)) ==
				      cases[i].status, "case %zu", i);
}
END_TEST

static void put_apic_ids(const uint32_t *ids, size_t n)
{
	struct hv_apicid_in in = { .partition = HV_PARTITION_SELF, .vtl = 0 };

	memcpy(mock.ram + IN_GPA, &in, sizeof(in));
	memcpy(mock.ram + IN_GPA + sizeof(in), ids, n * 4);
}

START_TEST(vp_index_lookup)
{
	static const uint32_t ids[] = { 0, 6, 2, 4 };
	uint32_t out[4];

	setup();
	put_apic_ids(ids, 4);
	ck_assert_uint_eq(call(HVCALL_GET_VP_INDEX_FROM_APIC_ID | 4ull << 32, IN_GPA, OUT_GPA),
			  HV_RESULT_MAKE(HV_OK, 4ull));
	memcpy(out, mock.ram + OUT_GPA, sizeof(out));
	ck_assert_uint_eq(out[0], 0);
	ck_assert_uint_eq(out[1], 3);
	ck_assert_uint_eq(out[2], 1);
	ck_assert_uint_eq(out[3], 2);
	/* Continued in the middle: only the rest is written. */
	memset(mock.ram + OUT_GPA, 0xff, 16);
	ck_assert_uint_eq(call(HVCALL_GET_VP_INDEX_FROM_APIC_ID | 4ull << 32 | 2ull << 48, IN_GPA,
			       OUT_GPA),
			  HV_RESULT_MAKE(HV_OK, 4ull));
	memcpy(out, mock.ram + OUT_GPA, sizeof(out));
	ck_assert_uint_eq(out[1], 0xffffffff);
	ck_assert_uint_eq(out[3], 2);
}
END_TEST

START_TEST(vp_index_stops_at_unknown)
{
	static const uint32_t ids[] = { 2, 99, 0 };

	setup();
	put_apic_ids(ids, 3);
	ck_assert_uint_eq(call(HVCALL_GET_VP_INDEX_FROM_APIC_ID | 3ull << 32, IN_GPA, OUT_GPA),
			  HV_RESULT_MAKE(HV_INVALID_PARAMETER, 1ull));
	ck_assert_uint_eq(call(HVCALL_GET_VP_INDEX_FROM_APIC_ID | 3ull << 32, IN_GPA, OUT_GPA + 4),
			  HV_INVALID_ALIGNMENT);
	ck_assert_uint_eq(call(HVCALL_GET_VP_INDEX_FROM_APIC_ID | 3ull << 32, IN_GPA,
			       MOCK_RAM_BYTES),
			  HV_INVALID_HYPERCALL_INPUT);
}
END_TEST

/* A long list is done in pieces: the control word moves on, RIP stays until the last piece. */
START_TEST(vp_index_yields)
{
	static uint32_t ids[200];
	uint64_t control = HVCALL_GET_VP_INDEX_FROM_APIC_ID | 200ull << 32;
	unsigned int rounds = 0;

	setup();
	put_apic_ids(ids, ARRAY_SIZE(ids));
	do {
		(void)call(control, IN_GPA, OUT_GPA);
		control = mock.run->ctx.gp[RCX];
		ck_assert_uint_lt(++rounds, 10);
	} while (mock.page->rip == RIP);
	ck_assert_uint_eq(rounds, 4);
	ck_assert_uint_eq(mock.run->ctx.gp[RAX], HV_RESULT_MAKE(HV_OK, 200ull));
}
END_TEST

START_TEST(narrow_convention)
{
	struct hv_hypercall_msg msg = { .h = mock_header64(0, 3) };
	struct hv_post_message_in in = { .connection = 1, .size = 1, .payload = { 7 } };
	uint64_t *gp;

	setup();
	mock.env.post_message = take_message;
	gp = mock.run->ctx.gp;
	msg.h.exec = HV_EXEC_PE;
	memcpy(mock.ram + IN_GPA, &in, sizeof(in));
	gp[RDX] = 0;
	gp[RAX] = HVCALL_POST_MESSAGE;
	gp[RBX] = 0;
	gp[RCX] = IN_GPA;
	mock.page->rip = 0x1000;
	mock_exit(&mock, HVMSG_HYPERCALL, &msg, sizeof(msg));
	ck_assert_uint_eq(gp[RAX], HV_INSUFFICIENT_BUFFERS);
	ck_assert_uint_eq(gp[RDX], 0);
	ck_assert_uint_eq(got.first, 7);
	ck_assert_uint_eq(mock.page->rip, 0x1003);
}
END_TEST

UNIT_MAIN("vmm/hvcall_dispatch", unknown_code, unknown_connections, handlers_get_checked_input,
	  control_word_is_checked, vp_index_lookup, vp_index_stops_at_unknown, vp_index_yields,
	  narrow_convention)
