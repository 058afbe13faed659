/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of both VTLs against a partition without KVM: arbitrary control words, parameter
 * blocks anywhere, state left over from call to call. Nothing may crash, and VTL2's memory and
 * VTL0's protections stay out of VTL0's reach.
 */
#include "fuzz.h"

#include <string.h>

#include "bug.h"
#include "fake_part.h"
#include "hvcall_host.h"
#include "log.h"
#include "rd.h"

#define CALLS_MAX 24
#define BLOCK_MAX 320
#define VTL0_BLOCK 0x10000ull
#define VTL2_BLOCK (FAKE_VTL2_BASE + 0x10000)
/* VTL2's memory where no call's output is ever asked for by VTL2 itself. */
#define CANARY (FAKE_VTL2_BASE + 0x200000)
#define CANARY_TEXT "nobody writes here"

static struct fake_part *f;

static void drop_record(void *ctx, const struct log_record *rec)
{
	(void)ctx;
	(void)rec;
}

static void init_once(void)
{
	if (f)
		return;
	log_init(LOG_DEBUG, false, drop_record, NULL);
	f = fake_part_create();
}

/* Mostly a block of the caller's, sometimes any address at all. */
static uint64_t pick_gpa(struct rd *r, enum vtl_index v)
{
	uint8_t how = rd_u8(r);

	if (how < 200)
		return (v == VTL0 ? VTL0_BLOCK : VTL2_BLOCK) + (how & 3) * 8;
	if (how < 220)
		return VTL0_BLOCK + (rd_le16(r) & ~7u);
	if (how < 230 && v == VTL0)
		return CANARY;
	return v == VTL0 ? rd_le64(r) : rd_le64(r) % FAKE_VTL2_BASE;
}

static uint64_t pick_control(struct rd *r)
{
	static const uint16_t codes[] = {
		HVCALL_NOTIFY_LONG_SPIN_WAIT,
		HVCALL_SEND_IPI,
		HVCALL_MODIFY_VTL_PROTECTION_MASK,
		HVCALL_ENABLE_PARTITION_VTL,
		HVCALL_ENABLE_VP_VTL,
		HVCALL_SEND_IPI_EX,
		HVCALL_GET_PARTITION_ID,
		HVCALL_INSTALL_INTERCEPT,
		HVCALL_GET_VP_REGISTERS,
		HVCALL_SET_VP_REGISTERS,
		HVCALL_TRANSLATE_VIRTUAL_ADDRESS,
		HVCALL_POST_MESSAGE,
		HVCALL_SIGNAL_EVENT,
		HVCALL_RETARGET_DEVICE_INTERRUPT,
		HVCALL_ASSERT_VIRTUAL_INTERRUPT,
		HVCALL_START_VIRTUAL_PROCESSOR,
		HVCALL_GET_VP_INDEX_FROM_APIC_ID,
		HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX,
		HVCALL_SIGNAL_EVENT_DIRECT,
		HVCALL_POST_MESSAGE_DIRECT,
		HVCALL_CHECK_SPARSE_GPA_VTL_ACCESS,
		HVCALL_ACCEPT_GPA_PAGES,
		HVCALL_MODIFY_GPA_HOST_VISIBILITY,
	};
	uint8_t how = rd_u8(r);
	uint64_t c = codes[how % ARRAY_SIZE(codes)];
	uint8_t reps = rd_u8(r);
	const struct hvcall_entry *e = hvcall_host_find((uint16_t)c);

	if (how >= 250)
		return rd_le64(r);
	if (e && e->rep)
		return HV_CONTROL_MAKE(c, reps % 40 + 1, reps % 3);
	return c | (reps & 1 ? HV_CONTROL_FAST : 0) | (uint64_t)(reps & 2) << 16;
}

/* What headers have in common, so that handlers get past their first check. */
static void put_block(struct rd *r, enum vtl_index v)
{
	uint8_t block[BLOCK_MAX] = { 0 };
	const uint64_t self = HV_PARTITION_SELF;
	size_t want = (size_t)rd_u8(r) * 2;
	size_t len = MIN(want, MIN(r->left, sizeof(block)));
	const void *src = rd_bytes(r, len);

	if (src)
		memcpy(block, src, len);
	if (len && (block[len - 1] & 3))
		memcpy(block, &self, sizeof(self));
	BUG_ON(gm_write(f->part.gm, v == VTL0 ? VTL0_BLOCK : VTL2_BLOCK, block, sizeof(block)) !=
	       0);
}

static void check_result(uint64_t control, uint64_t res)
{
	BUG_ON(HV_RESULT_REPS(res) > HV_CONTROL_REP_COUNT(control) &&
	       HV_RESULT_REPS(res) > HV_CONTROL_REP_START(control));
	BUG_ON(f->part.mem.n_ranges > MEM_MAX_RANGES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_make(data, size);
	char canary[sizeof(CANARY_TEXT)];

	init_once();
	fake_part_reset(f);
	BUG_ON(gm_write(f->part.gm, CANARY, CANARY_TEXT, sizeof(CANARY_TEXT)) != 0);
	for (unsigned int i = 0; i < CALLS_MAX && r.left; i++) {
		uint8_t who = rd_u8(&r);
		enum vtl_index v = who & 1 ? VTL2 : VTL0;
		struct hvvp *vp = &f->part.vps[(who >> 1) % FAKE_VPS];
		uint64_t control = pick_control(&r), in = pick_gpa(&r, v), out = pick_gpa(&r, v);
		bool forward;

		put_block(&r, v);
		check_result(control, hvcall_host_run(vp, v, control, in, out, &forward));
		BUG_ON(forward && v == VTL2);
	}
	BUG_ON(gm_read(f->part.gm, CANARY, canary, sizeof(canary)) != 0);
	BUG_ON(memcmp(canary, CANARY_TEXT, sizeof(canary)) != 0);
	return 0;
}
