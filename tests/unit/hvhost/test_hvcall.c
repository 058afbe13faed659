/* SPDX-License-Identifier: MIT */
/* Hypercall parsing and the handlers that need no running processor. */
#include "hvcall_host.h"

#include <errno.h>
#include <string.h>

#include "fake_part.h"
#include "hvregs.h"
#include "synic_host.h"
#include "unit.h"

#define IN (FAKE_VTL2_BASE + 0x10000)
#define OUT (FAKE_VTL2_BASE + 0x20000)
#define IN0 0x10000ull /* in VTL0's memory */
#define SIMP 0x30000ull
#define SIEFP 0x31000ull

static struct fake_part *f;
static struct hvvp *vp;

/* A partition of its own for each test. */
static void setup(void)
{
	f = fake_part_create();
	vp = &f->part.vps[0];
}

static void put(gpa_t gpa, const void *data, size_t len)
{
	ck_assert_int_eq(gm_write(f->part.gm, gpa, data, len), 0);
}

static void get(gpa_t gpa, void *data, size_t len)
{
	ck_assert_int_eq(gm_read(f->part.gm, gpa, data, len), 0);
}

static uint64_t call(enum vtl_index v, uint64_t control, uint64_t in, uint64_t out)
{
	bool forward;
	uint64_t res = hvcall_host_run(vp, v, control, in, out, &forward);

	ck_assert(!forward);
	return res;
}

#define SIMPLE(code) HV_CONTROL_MAKE(code, 0, 0)

START_TEST(refuses_malformed_control)
{
	setup();
	ck_assert_uint_eq(call(VTL2, SIMPLE(0x7ff), IN, OUT), HV_INVALID_HYPERCALL_CODE);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_POST_MESSAGE) | BIT(27), IN, OUT),
			  HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_POST_MESSAGE) | HV_CONTROL_NESTED, IN, OUT),
			  HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_POST_MESSAGE) | HV_CONTROL_FAST, IN, OUT),
			  HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_POST_MESSAGE) | 1 << 17, IN, OUT),
			  HV_INVALID_HYPERCALL_INPUT);
	/* A simple call with repetitions, a repeated one without, and one that starts at its
	 * end. */
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_POST_MESSAGE, 1, 0), IN, OUT),
			  HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_GET_VP_REGISTERS), IN, OUT),
			  HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(HV_RESULT_STATUS(call(VTL2,
						HV_CONTROL_MAKE(HVCALL_GET_VP_REGISTERS, 2, 2), IN,
						OUT)),
			  HV_INVALID_HYPERCALL_INPUT);
	fake_part_destroy(f);
}
END_TEST

START_TEST(refuses_bad_blocks)
{
	setup();
	const uint64_t c = SIMPLE(HVCALL_POST_MESSAGE);

	ck_assert_uint_eq(call(VTL2, c, IN + 4, OUT), HV_INVALID_ALIGNMENT);
	ck_assert_uint_eq(call(VTL2, c, IN + 0xf08, OUT), HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(call(VTL2, c, 0xf8000000, OUT), HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(call(VTL2, c, ~7ull, OUT), HV_INVALID_HYPERCALL_INPUT);
	/* 4095 names do not fit a page. */
	ck_assert_uint_eq(HV_RESULT_STATUS(call(VTL2,
						HV_CONTROL_MAKE(HVCALL_GET_VP_REGISTERS, 4095, 0),
						IN, OUT)),
			  HV_INVALID_HYPERCALL_INPUT);
	fake_part_destroy(f);
}
END_TEST

START_TEST(vtl0_is_kept_away)
{
	setup();
	ck_assert_uint_eq(HV_RESULT_STATUS(call(VTL0,
						HV_CONTROL_MAKE(HVCALL_GET_VP_REGISTERS, 1, 0), IN0,
						IN0 + 64)),
			  HV_ACCESS_DENIED);
	ck_assert_uint_eq(call(VTL0, SIMPLE(HVCALL_INSTALL_INTERCEPT), IN0, 0), HV_ACCESS_DENIED);
	ck_assert_uint_eq(call(VTL0, SIMPLE(HVCALL_POST_MESSAGE_DIRECT), IN0, 0), HV_ACCESS_DENIED);
	/* Its parameter blocks cannot be VTL2's memory. */
	ck_assert_uint_eq(call(VTL0, SIMPLE(HVCALL_POST_MESSAGE), IN, 0),
			  HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(call(VTL0, SIMPLE(HVCALL_GET_PARTITION_ID), 0, OUT),
			  HV_INVALID_HYPERCALL_INPUT);
	ck_assert_uint_eq(call(VTL0, SIMPLE(HVCALL_GET_PARTITION_ID), 0, IN0), HV_OK);
	fake_part_destroy(f);
}
END_TEST

START_TEST(apic_ids_in_place)
{
	setup();
	/* Linux puts the output behind the input in one page. */
	struct {
		struct hv_apicid_in head;
		uint32_t id[3];
	} in = { .head = { .partition = HV_PARTITION_SELF }, .id = { 2, 0, 77 } };
	uint32_t out[3];
	uint64_t res;

	put(IN, &in, sizeof(in));
	res = call(VTL2, HV_CONTROL_MAKE(HVCALL_GET_VP_INDEX_FROM_APIC_ID, 3, 0), IN, IN + 32);
	ck_assert_uint_eq(HV_RESULT_STATUS(res), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(HV_RESULT_REPS(res), 2);
	get(IN + 32, out, sizeof(out));
	ck_assert_uint_eq(out[0], 2);
	ck_assert_uint_eq(out[1], 0);
	/* Continued at the second element. */
	in.id[2] = 1;
	put(IN, &in, sizeof(in));
	res = call(VTL2, HV_CONTROL_MAKE(HVCALL_GET_VP_INDEX_FROM_APIC_ID, 3, 2), IN, OUT);
	ck_assert_uint_eq(res, HV_RESULT_MAKE(HV_OK, 3));
	get(OUT, out, sizeof(out));
	ck_assert_uint_eq(out[0], 0); /* not touched */
	ck_assert_uint_eq(out[2], 1);
	fake_part_destroy(f);
}
END_TEST

struct get_regs {
	struct hv_regs_in head;
	uint32_t name[4];
};

START_TEST(registers)
{
	setup();
	struct get_regs in = {
		.head = { HV_PARTITION_SELF, HV_VP_SELF, HV_INPUT_VTL_SELF, { 0 } },
		.name = { HVREG_VSM_VP_STATUS, HVREG_VSM_CODE_PAGE_OFFSETS, 0x12345, 0 },
	};
	union hv_regval out[2];
	uint64_t res;

	put(IN, &in, sizeof(in));
	res = call(VTL2, HV_CONTROL_MAKE(HVCALL_GET_VP_REGISTERS, 3, 0), IN, OUT);
	ck_assert_uint_eq(res, HV_RESULT_MAKE(HV_UNKNOWN_REGISTER_NAME, 2));
	get(OUT, out, sizeof(out));
	ck_assert_uint_eq(out[0].u64, 2 | 5 << 16);
	ck_assert_uint_eq(out[1].u64, 0x0f | 0x26 << 12);

	in.head.vp = 1; /* another processor's */
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_GET_VP_REGISTERS, 1, 0), IN, OUT),
			  HV_INVALID_VP_STATE);
	in.head.vp = FAKE_VPS;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_GET_VP_REGISTERS, 1, 0), IN, OUT),
			  HV_INVALID_VP_INDEX);
	in.head.vp = 0;
	in.head.vtl = HV_INPUT_VTL(1);
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_GET_VP_REGISTERS, 1, 0), IN, OUT),
			  HV_INVALID_PARAMETER);
	fake_part_destroy(f);
}
END_TEST

START_TEST(vtl0_registers_are_cached)
{
	setup();
	struct {
		struct hv_regs_in head;
		struct hv_reg_assoc a[2];
	} in = {
		.head = { HV_PARTITION_SELF, HV_VP_SELF, HV_INPUT_VTL(0), { 0 } },
		.a = { { .name = HVREG_RIP, .val.u64 = 0x1234 },
		       { .name = HVREG_CS, .val.seg = { 0, 0xffffffff, 8, 0xa09b } } },
	};

	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_SET_VP_REGISTERS, 2, 0), IN, 0),
			  HV_RESULT_MAKE(HV_OK, 2));
	ck_assert_uint_eq(vp_regs(vp, VTL0)->rip, 0x1234);
	ck_assert_uint_eq(vp_sregs(vp, VTL0)->cs.l, 1);
	ck_assert_uint_eq(vp_sregs(vp, VTL0)->cs.type, 11);
	ck_assert_uint_eq(vp->vtl[VTL0].cpu.run->kvm_dirty_regs,
			  KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
	ck_assert_uint_eq(vp_regs(vp, VTL2)->rip, 0);
	/* No VTL1 for the guest, no memory intercepts as pending events. */
	in.a[0] = (struct hv_reg_assoc){ .name = HVREG_GUEST_VSM_PARTITION_CONFIG, .val.u64 = 1 };
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_SET_VP_REGISTERS, 1, 0), IN, 0),
			  HV_INVALID_REGISTER_VALUE);
	in.a[0] = (struct hv_reg_assoc){ .name = HVREG_PENDING_EVENT0, .val.u64 = 1 | 1 << 1 };
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_SET_VP_REGISTERS, 1, 0), IN, 0),
			  HV_INVALID_REGISTER_VALUE);
	fake_part_destroy(f);
}
END_TEST

struct protect {
	struct hv_modify_vtl_prot_in head;
	gpn_t gpn[4];
};

START_TEST(protections)
{
	setup();
	struct protect in = {
		.head = { HV_PARTITION_SELF,
			  HV_MAP_READ | HV_MAP_EXEC_KERNEL,
			  HV_INPUT_VTL_SELF,
			  { 0 } },
		.gpn = { 16, 17, 18, 40 },
	};
	const struct mem_host *m = &f->part.mem;
	size_t before = m->n_ranges;

	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_MODIFY_VTL_PROTECTION_MASK, 4, 0), IN,
			       0),
			  HV_RESULT_MAKE(HV_OK, 4));
	ck_assert_uint_eq(m->n_ranges, before + 4);
	ck_assert_uint_eq(mem_host_rights(m, 0xffff), HV_MAP_ALL);
	ck_assert_uint_eq(mem_host_rights(m, 0x10000), HV_MAP_READ | HV_MAP_EXEC_KERNEL);
	ck_assert_uint_eq(mem_host_rights(m, 0x12fff), HV_MAP_READ | HV_MAP_EXEC_KERNEL);
	ck_assert_uint_eq(mem_host_rights(m, 0x13000), HV_MAP_ALL);
	ck_assert_uint_eq(m->n_slots, 5);
	ck_assert(m->slot[1].read_only);
	/* A SynIC page there would be written for VTL0, which may not write it. */
	ck_assert_ptr_null(part_page(&f->part, VTL0, 0x10000));
	/* Given back, everything is one piece again. */
	in.head.map_flags = HV_MAP_ALL;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_MODIFY_VTL_PROTECTION_MASK, 4, 0), IN,
			       0),
			  HV_RESULT_MAKE(HV_OK, 4));
	ck_assert_uint_eq(m->n_ranges, before);
	ck_assert_uint_eq(m->n_slots, 1);
	/* Not RAM: nothing after it is done. */
	in.gpn[1] = 0xf8000;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_MODIFY_VTL_PROTECTION_MASK, 4, 0), IN,
			       0),
			  HV_RESULT_MAKE(HV_INVALID_PARAMETER, 1));
	/* There is nothing below VTL0. */
	in.head.vtl = HV_INPUT_VTL(0);
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, HV_CONTROL_MAKE(HVCALL_MODIFY_VTL_PROTECTION_MASK, 4, 0), IN,
			       0),
			  HV_INVALID_PARAMETER);
	fake_part_destroy(f);
}
END_TEST

/* --- isolation ------------------------------------------------------------------------------- */

#define ACCEPT(n) HV_CONTROL_MAKE(HVCALL_ACCEPT_GPA_PAGES, (n), 0)
#define SHARE(n) HV_CONTROL_MAKE(HVCALL_MODIFY_GPA_HOST_VISIBILITY, (n), 0)

struct visibility {
	struct hv_visibility_in head;
	gpn_t gpn[4];
};

START_TEST(pages_are_accepted_once)
{
	struct hv_accept_gpa_in in = { .partition = HV_PARTITION_SELF,
				       .attributes = HV_ACCEPT_RAM,
				       .gpn = 0x100 };
	const struct mem_host *m;

	f = fake_part_create_isolated();
	vp = &f->part.vps[0];
	m = &f->part.mem;
	ck_assert_uint_eq(mem_host_rights(m, 0x100000), 0);
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL0, ACCEPT(4), IN0, 0), HV_ACCESS_DENIED);
	ck_assert_uint_eq(call(VTL2, ACCEPT(4), IN, 0), HV_RESULT_MAKE(HV_OK, 4));
	ck_assert_uint_eq(m->n_accepted, 4);
	ck_assert_uint_eq(m->n_shared, 0);
	ck_assert_uint_eq(mem_host_rights(m, 0x103fff), HV_MAP_ALL);
	ck_assert_uint_eq(mem_host_rights(m, 0x104000), 0);
	/* One of them is accepted already: none is. */
	in.gpn = 0xfd;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, ACCEPT(4), IN, 0), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(m->n_accepted, 4);
	ck_assert_uint_eq(call(VTL2, ACCEPT(3), IN, 0), HV_RESULT_MAKE(HV_OK, 3));
	/* Permissions against lower VTLs come with it. */
	in.gpn = FAKE_VTL2_BASE >> KEEL_PAGE_SHIFT;
	in.attributes = HV_ACCEPT_RAM | HV_ACCEPT_FOR_VTL(2);
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, ACCEPT(1), IN, 0), HV_RESULT_MAKE(HV_OK, 1));
	ck_assert_uint_eq(mem_host_rights(m, FAKE_VTL2_BASE), 0);
	for (unsigned i = 0; i < 5; i++) {
		static const uint32_t bad[] = { 2, HV_VISIBLE_READ << 6, HV_ACCEPT_FOR_VTL(0),
						HV_ACCEPT_FOR_VTL(1), 1u << 11 };

		in.attributes = bad[i];
		in.gpn = 0x200;
		put(IN, &in, sizeof(in));
		ck_assert_uint_eq(call(VTL2, ACCEPT(1), IN, 0), HV_INVALID_PARAMETER);
	}
	in.attributes = 0;
	in.gpn = ~0ull;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, ACCEPT(2), IN, 0), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(m->n_accepted, 8);
	fake_part_destroy(f);
}
END_TEST

START_TEST(the_host_sees_what_is_shared)
{
	struct hv_accept_gpa_in accept = { .partition = HV_PARTITION_SELF, .gpn = 0x100 };
	struct visibility in = {
		.head = { .partition = HV_PARTITION_SELF, .visibility = HV_VISIBLE_READ_WRITE },
		.gpn = { 0x101, 0x102, 0x107, 0x108 },
	};
	uint64_t faults = gm_faults(), val = 0x1122334455667788ull, got = 0;
	struct hvpart *part;

	ck_assert_int_eq(gm_install_fault_handler(), 0);
	f = fake_part_create_isolated();
	vp = &f->part.vps[0];
	part = &f->part;
	put(IN, &accept, sizeof(accept));
	ck_assert_uint_eq(call(VTL2, ACCEPT(8), IN, 0), HV_RESULT_MAKE(HV_OK, 8));
	ck_assert_int_eq(gm_write(part->gm, 0x101000, &val, sizeof(val)), 0);
	ck_assert_int_eq(gm_read(part->host_gm, 0x101000, &got, sizeof(got)), -EFAULT);
	ck_assert_int_eq(gm_write(part->host_gm, 0x101000, &got, sizeof(got)), -EFAULT);
	ck_assert_uint_eq(gm_faults(), faults + 2);
	/* The last page of the list was never accepted. */
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SHARE(4), IN, 0), HV_RESULT_MAKE(HV_INVALID_PARAMETER, 2));
	ck_assert_uint_eq(call(VTL2, SHARE(3), IN, 0), HV_RESULT_MAKE(HV_OK, 3));
	ck_assert_uint_eq(part->mem.n_shared, 3);
	ck_assert_int_eq(gm_read(part->host_gm, 0x101000, &got, sizeof(got)), 0);
	ck_assert_uint_eq(got, val);
	ck_assert_int_eq(gm_write(part->host_gm, 0x107000, &val, sizeof(val)), 0);
	ck_assert_int_eq(gm_read(part->gm, 0x107000, &got, sizeof(got)), 0);
	ck_assert_uint_eq(got, val);
	ck_assert_int_eq(gm_read(part->host_gm, 0x103000, &got, sizeof(got)), -EFAULT);
	/* Taken back. */
	in.head.visibility = HV_VISIBLE_NONE;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SHARE(1), IN, 0), HV_RESULT_MAKE(HV_OK, 1));
	ck_assert_uint_eq(part->mem.n_shared, 2);
	ck_assert_int_eq(gm_read(part->host_gm, 0x101000, &got, sizeof(got)), -EFAULT);
	in.head.visibility = HV_VISIBLE_READ;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SHARE(1), IN, 0), HV_INVALID_PARAMETER);
	in.head.visibility = HV_VISIBLE_NONE;
	in.head.rsvd = 1;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SHARE(1), IN, 0), HV_INVALID_PARAMETER);
	fake_part_destroy(f);
}
END_TEST

START_TEST(without_isolation_there_is_nothing_to_accept)
{
	setup();
	struct hv_accept_gpa_in accept = { .partition = HV_PARTITION_SELF, .gpn = 0x100 };
	struct visibility in = { .head = { .partition = HV_PARTITION_SELF }, .gpn = { 0x100 } };

	put(IN, &accept, sizeof(accept));
	ck_assert_uint_eq(HV_RESULT_STATUS(call(VTL2, ACCEPT(8), IN, 0)), HV_OPERATION_DENIED);
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(HV_RESULT_STATUS(call(VTL2, SHARE(1), IN, 0)), HV_OPERATION_DENIED);
	fake_part_destroy(f);
}
END_TEST

START_TEST(vtl2_memory_is_closed)
{
	setup();
	ck_assert_uint_eq(mem_host_rights(&f->part.mem, FAKE_VTL2_BASE), 0);
	ck_assert_uint_eq(mem_host_rights(&f->part.mem, FAKE_VTL2_BASE - 1), HV_MAP_ALL);
	ck_assert(mem_host_is_vtl2(&f->part.mem, FAKE_VTL2_BASE + FAKE_VTL2_BYTES - 1));
	ck_assert(!mem_host_is_vtl2(&f->part.mem, FAKE_VTL2_BASE + FAKE_VTL2_BYTES));
	ck_assert_ptr_null(part_page(&f->part, VTL0, FAKE_VTL2_BASE));
	ck_assert_ptr_nonnull(part_page(&f->part, VTL2, FAKE_VTL2_BASE));
	fake_part_destroy(f);
}
END_TEST

START_TEST(intercepts)
{
	setup();
	struct hv_install_intercept_in in = { HV_PARTITION_SELF, HV_ACCESS_READ | HV_ACCESS_WRITE,
					      HV_INTERCEPT_IO_PORT_RANGE, 0x100 | 0x1ff << 16 };

	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_INSTALL_INTERCEPT), IN, 0), HV_OK);
	ck_assert(!part_pio_wanted(f->part.pio_read, 0xff));
	ck_assert(part_pio_wanted(f->part.pio_read, 0x100));
	ck_assert(part_pio_wanted(f->part.pio_write, 0x1ff));
	ck_assert(!part_pio_wanted(f->part.pio_write, 0x200));
	in.access = HV_ACCESS_WRITE;
	in.type = HV_INTERCEPT_IO_PORT;
	in.param = 0x150;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_INSTALL_INTERCEPT), IN, 0), HV_OK);
	ck_assert(!part_pio_wanted(f->part.pio_read, 0x150));
	ck_assert(part_pio_wanted(f->part.pio_write, 0x150));
	in.param = 0x10000;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_INSTALL_INTERCEPT), IN, 0),
			  HV_INVALID_PARAMETER);
	in.type = HV_INTERCEPT_IO_PORT_RANGE;
	in.param = 0x200 | 0x100 << 16;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_INSTALL_INTERCEPT), IN, 0),
			  HV_INVALID_PARAMETER);
	fake_part_destroy(f);
}
END_TEST

START_TEST(unknown_connections)
{
	setup();
	struct hv_install_intercept_in in = { HV_PARTITION_SELF, HV_ACCESS_EXECUTE,
					      HV_INTERCEPT_UNKNOWN_SYNIC_CONNECTION, 0 };
	const uint64_t signal = SIMPLE(HVCALL_SIGNAL_EVENT) | HV_CONTROL_FAST;
	bool forward;

	ck_assert_uint_eq(call(VTL0, signal, 5, 0), HV_INVALID_CONNECTION_ID);
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_INSTALL_INTERCEPT), IN, 0), HV_OK);
	(void)hvcall_host_run(vp, VTL0, signal, 5, 0, &forward);
	ck_assert(forward);
	(void)hvcall_host_run(vp, VTL0, SIMPLE(HVCALL_POST_MESSAGE), IN0, 0, &forward);
	ck_assert(forward);
	(void)hvcall_host_run(vp, VTL2, signal, 5, 0, &forward);
	ck_assert(!forward);
	fake_part_destroy(f);
}
END_TEST

static void enable_synic(void)
{
	ck_assert_int_eq(synic_host_msr_write(vp, VTL0, HVMSR_SIMP, SIMP | 1), 0);
	ck_assert_int_eq(synic_host_msr_write(vp, VTL0, HVMSR_SIEFP, SIEFP | 1), 0);
	ck_assert_int_eq(synic_host_msr_write(vp, VTL0, HVMSR_SINT0 + 2, 0xf3), 0);
}

START_TEST(direct_message)
{
	setup();
	uint8_t in[280] = { 0 };
	const struct hv_signal_direct_in head = { HV_PARTITION_SELF, HV_VP_SELF, 0, 0, 0 };
	struct hv_message msg = { .type = HVMSG_CHANNEL,
				  .payload_size = 4,
				  .payload = { 1, 2, 3, 4 } };
	struct hv_message got;
	const uint64_t c = SIMPLE(HVCALL_POST_MESSAGE_DIRECT);
	uint32_t none = 0;

	memcpy(in, &head, sizeof(head));
	in[16] = 2;
	memcpy(in + 20, &msg, sizeof(msg));
	put(IN, in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, c, IN, 0), HV_INVALID_SYNIC_STATE);
	enable_synic();
	ck_assert_uint_eq(call(VTL2, c, IN, 0), HV_OK);
	get(SIMP + 2 * 256, &got, sizeof(got));
	ck_assert_mem_eq(&got, &msg, sizeof(msg));
	/* The slot is taken: the guest is asked to say when it is free. */
	ck_assert_uint_eq(call(VTL2, c, IN, 0), HV_OBJECT_IN_USE);
	get(SIMP + 2 * 256, &got, sizeof(got));
	ck_assert_uint_eq(got.flags, HV_MESSAGE_FLAG_PENDING);
	ck_assert_uint_eq(synic_host_freed(vp, VTL0), 0);
	put(SIMP + 2 * 256, &none, sizeof(none));
	ck_assert_uint_eq(synic_host_freed(vp, VTL0), BIT(2));
	ck_assert_uint_eq(synic_host_freed(vp, VTL0), 0);
	in[12] = 2; /* VTL2's own slots are the host's business */
	put(IN, in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, c, IN, 0), HV_INVALID_PARAMETER);
	fake_part_destroy(f);
}
END_TEST

START_TEST(direct_event)
{
	setup();
	struct hv_signal_direct_in in = { HV_PARTITION_SELF, 0, 0, 2, 2047 };
	const uint64_t c = SIMPLE(HVCALL_SIGNAL_EVENT_DIRECT);
	uint64_t out;
	uint8_t byte;

	enable_synic();
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, c, IN, OUT), HV_OK);
	get(OUT, &out, sizeof(out));
	ck_assert_uint_eq(out, 1);
	get(SIEFP + 2 * 256 + 255, &byte, 1);
	ck_assert_uint_eq(byte, 0x80);
	ck_assert_uint_eq(call(VTL2, c, IN, OUT), HV_OK);
	get(OUT, &out, sizeof(out));
	ck_assert_uint_eq(out, 0);
	in.flag = 2048;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, c, IN, OUT), HV_INVALID_PARAMETER);
	in.flag = 0;
	in.sint = 0;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, c, IN, OUT), HV_INVALID_PARAMETER);
	in.sint = 16;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, c, IN, OUT), HV_INVALID_PARAMETER);
	in.sint = 2;
	in.vp = FAKE_VPS;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, c, IN, OUT), HV_INVALID_VP_INDEX);
	fake_part_destroy(f);
}
END_TEST

START_TEST(starting_processors)
{
	setup();
	struct hv_start_vp_in in = {
		.partition = HV_PARTITION_SELF, .vp = 1, .vtl = 2, .ctx = { .rip = 0x1000 }
	};

	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_START_VIRTUAL_PROCESSOR), IN, 0),
			  HV_INVALID_VTL_STATE);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_ENABLE_VP_VTL), IN, 0), HV_OK);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_ENABLE_VP_VTL), IN, 0), HV_VTL_ALREADY_ENABLED);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_START_VIRTUAL_PROCESSOR), IN, 0), HV_OK);
	ck_assert(atomic_load(&f->part.vps[1].started));
	ck_assert_uint_eq(f->part.vps[1].start_ctx.rip, 0x1000);
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_START_VIRTUAL_PROCESSOR), IN, 0),
			  HV_INVALID_VP_STATE);
	in.vp = 9;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_ENABLE_VP_VTL), IN, 0), HV_INVALID_VP_INDEX);
	in.vp = 2;
	in.vtl = 1;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_ENABLE_VP_VTL), IN, 0), HV_INVALID_PARAMETER);
	fake_part_destroy(f);
}
END_TEST

START_TEST(translation_of_a_pretended_operand)
{
	setup();
	struct hv_translate_ex_in in = { HV_PARTITION_SELF, HV_VP_SELF, 0,
					 HV_XLATE_READ | HV_XLATE_VTL(0), 0x123 };
	struct hv_translate_ex_out out;

	vp->icpt = (struct icpt){ .kind = ICPT_MMIO_READ, .gva_page = 0x123, .gpa_page = 0xfec00 };
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX), IN, OUT), HV_OK);
	get(OUT, &out, sizeof(out));
	ck_assert_uint_eq(out.code, HV_XLATE_OK);
	ck_assert_uint_eq(out.gpa_page, 0xfec00);
	/* Any other page is walked; without paging it is where it is. */
	in.gva_page = 0x124;
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX), IN, OUT), HV_OK);
	get(OUT, &out, sizeof(out));
	ck_assert_uint_eq(out.gpa_page, 0x124);
	in.flags = HV_XLATE_READ; /* VTL2's own addresses are its own business */
	put(IN, &in, sizeof(in));
	ck_assert_uint_eq(call(VTL2, SIMPLE(HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX), IN, OUT),
			  HV_INVALID_PARAMETER);
	fake_part_destroy(f);
}
END_TEST

UNIT_MAIN("hvhost/hvcall", refuses_malformed_control, refuses_bad_blocks, vtl0_is_kept_away,
	  apic_ids_in_place, registers, vtl0_registers_are_cached, protections,
	  vtl2_memory_is_closed, intercepts, unknown_connections, direct_message, direct_event,
	  starting_processors, translation_of_a_pretended_operand, pages_are_accepted_once,
	  the_host_sees_what_is_shared, without_isolation_there_is_nothing_to_accept)
