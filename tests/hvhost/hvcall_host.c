/* SPDX-License-Identifier: MIT */
#include "hvcall_host.h"

#include <string.h>

#include "ckd.h"
#include "hcpage.h"
#include "hv_names.h"
#include "intercept.h"
#include "log.h"
#include "vp_host.h"

#define LOG_AREA "hypercall"

#define VECTOR_UD 6
#define EFER_LMA BIT(10)
#define CR0_PE BIT(0)
#define FAST_BYTES 16
#define POST_DIRECT_LEN 280
#define IPI_EX_LEN 24 /* with one bank word */

static const struct hvcall_entry table[] = {
	{ HVCALL_NOTIFY_LONG_SPIN_WAIT, .fast = true, .vtl0 = HVCALL_VTL0_YES, .in_head = 8,
	  .fn = hvcall_long_spin },
	{ HVCALL_SEND_IPI, .fast = true, .in_head = sizeof(struct hv_ipi_in),
	  .fn = hvcall_send_ipi },
	{ HVCALL_MODIFY_VTL_PROTECTION_MASK, .rep = true,
	  .in_head = sizeof(struct hv_modify_vtl_prot_in), .in_elem = 8,
	  .fn = hvcall_modify_protection },
	{ HVCALL_ENABLE_PARTITION_VTL, .fast = true, .in_head = 16,
	  .fn = hvcall_enable_partition_vtl },
	{ HVCALL_ENABLE_VP_VTL, .in_head = sizeof(struct hv_start_vp_in),
	  .fn = hvcall_enable_vp_vtl },
	{ HVCALL_SEND_IPI_EX, .variable = true, .in_head = IPI_EX_LEN, .fn = hvcall_send_ipi_ex },
	{ HVCALL_GET_PARTITION_ID, .vtl0 = HVCALL_VTL0_YES, .out_head = 8,
	  .fn = hvcall_partition_id },
	{ HVCALL_INSTALL_INTERCEPT, .in_head = sizeof(struct hv_install_intercept_in),
	  .fn = hvcall_install_intercept },
	{ HVCALL_GET_VP_REGISTERS, .rep = true, .in_head = sizeof(struct hv_regs_in), .in_elem = 4,
	  .out_elem = sizeof(union hv_regval), .fn = hvcall_get_regs },
	{ HVCALL_SET_VP_REGISTERS, .rep = true, .in_head = sizeof(struct hv_regs_in),
	  .in_elem = sizeof(struct hv_reg_assoc), .fn = hvcall_set_regs },
	{ HVCALL_TRANSLATE_VIRTUAL_ADDRESS, .in_head = sizeof(struct hv_translate_ex_in),
	  .out_head = 16, .fn = hvcall_translate },
	{ HVCALL_POST_MESSAGE, .vtl0 = HVCALL_VTL0_YES,
	  .in_head = sizeof(struct hv_post_message_in), .fn = hvcall_post_message },
	{ HVCALL_SIGNAL_EVENT, .fast = true, .vtl0 = HVCALL_VTL0_YES,
	  .in_head = sizeof(struct hv_signal_event_in), .fn = hvcall_signal_event },
	{ HVCALL_RETARGET_DEVICE_INTERRUPT, .variable = true, .vtl0 = HVCALL_VTL0_YES,
	  .in_head = sizeof(struct hv_retarget_in), .fn = hvcall_retarget },
	{ HVCALL_ASSERT_VIRTUAL_INTERRUPT, .in_head = sizeof(struct hv_assert_int_in),
	  .fn = hvcall_assert_interrupt },
	{ HVCALL_START_VIRTUAL_PROCESSOR, .in_head = sizeof(struct hv_start_vp_in),
	  .fn = hvcall_start_vp },
	{ HVCALL_GET_VP_INDEX_FROM_APIC_ID, .rep = true, .in_head = sizeof(struct hv_apicid_in),
	  .in_elem = 4, .out_elem = 4, .fn = hvcall_vp_index },
	{ HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX, .in_head = sizeof(struct hv_translate_ex_in),
	  .out_head = sizeof(struct hv_translate_ex_out), .fn = hvcall_translate_ex },
	{ HVCALL_SIGNAL_EVENT_DIRECT, .in_head = sizeof(struct hv_signal_direct_in), .out_head = 8,
	  .fn = hvcall_signal_direct },
	{ HVCALL_POST_MESSAGE_DIRECT, .in_head = POST_DIRECT_LEN, .fn = hvcall_post_direct },
	{ HVCALL_CHECK_SPARSE_GPA_VTL_ACCESS, .rep = true, .in_head = 16, .in_elem = 8,
	  .out_elem = 8, .fn = hvcall_check_access },
	{ HVCALL_ACCEPT_GPA_PAGES, .rep = true, .in_head = sizeof(struct hv_accept_gpa_in),
	  .fn = hvcall_accept_pages },
	{ HVCALL_MODIFY_GPA_HOST_VISIBILITY, .rep = true,
	  .in_head = sizeof(struct hv_visibility_in), .in_elem = 8, .fn = hvcall_host_visibility },
};

const struct hvcall_entry *hvcall_host_find(uint16_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].code == code)
			return &table[i];
	}
	return NULL;
}

enum hv_status hvcall_host_vtl(const struct hvcall *c, uint8_t input_vtl, enum vtl_index *ret_v)
{
	if (!(input_vtl & HV_INPUT_VTL_USE)) {
		*ret_v = c->caller;
		return input_vtl ? HV_INVALID_PARAMETER : HV_OK;
	}
	if (input_vtl == HV_INPUT_VTL(0))
		*ret_v = VTL0;
	else if (input_vtl == HV_INPUT_VTL(2))
		*ret_v = VTL2;
	else
		return HV_INVALID_PARAMETER;
	return HV_OK;
}

static enum hv_status check_control(const struct hvcall_entry *e, enum vtl_index caller,
				    uint64_t control)
{
	uint32_t reps = HV_CONTROL_REP_COUNT(control), start = HV_CONTROL_REP_START(control);

	if (!e)
		return HV_INVALID_HYPERCALL_CODE;
	if (caller == VTL0 && e->vtl0 == HVCALL_VTL0_NO)
		return HV_ACCESS_DENIED;
	if (control & (HV_CONTROL_RESERVED | HV_CONTROL_NESTED))
		return HV_INVALID_HYPERCALL_INPUT;
	if ((control & HV_CONTROL_FAST) && !e->fast)
		return HV_INVALID_HYPERCALL_INPUT;
	if (HV_CONTROL_VARHEAD(control) && !e->variable)
		return HV_INVALID_HYPERCALL_INPUT;
	if (e->rep ? start >= reps : reps || start)
		return HV_INVALID_HYPERCALL_INPUT;
	return HV_OK;
}

/* A parameter block lies in one page of RAM that the caller may use. */
static enum hv_status check_block(struct hvvp *vp, enum vtl_index caller, gpa_t gpa, uint32_t len)
{
	if (!len)
		return HV_OK;
	if (!is_aligned(gpa, 8))
		return HV_INVALID_ALIGNMENT;
	if (!range_ok(gpa & (KEEL_PAGE_SIZE - 1), len, KEEL_PAGE_SIZE))
		return HV_INVALID_HYPERCALL_INPUT;
	return part_page(vp->part, caller, align_down(gpa, KEEL_PAGE_SIZE))
		       ? HV_OK
		       : HV_INVALID_HYPERCALL_INPUT;
}

static enum hv_status load_input(struct hvcall *c, const struct hvcall_entry *e, uint64_t control,
				 uint64_t in, uint64_t out)
{
	struct hvvp *vp = c->vp;
	const uint64_t words[2] = { in, out };
	enum hv_status st;

	c->in = vp->hc_in;
	c->in_len = e->in_head + HV_CONTROL_VARHEAD(control) * 8 + c->reps * e->in_elem;
	if (c->in_len > KEEL_PAGE_SIZE)
		return HV_INVALID_HYPERCALL_INPUT;
	if (control & HV_CONTROL_FAST) {
		if (c->in_len > FAST_BYTES)
			return HV_INVALID_HYPERCALL_INPUT;
		memcpy(vp->hc_in, words, sizeof(words));
		return HV_OK;
	}
	st = check_block(vp, c->caller, in, c->in_len);
	if (st == HV_OK && c->in_len && gm_read(vp->part->gm, in, vp->hc_in, c->in_len) < 0)
		st = HV_INVALID_HYPERCALL_INPUT;
	return st;
}

static enum hv_status prepare_output(struct hvcall *c, const struct hvcall_entry *e,
				     uint64_t control, uint64_t out)
{
	c->out = c->vp->hc_out;
	c->out_len = e->out_head + c->reps * e->out_elem;
	if (!c->out_len)
		return HV_OK;
	if (c->out_len > KEEL_PAGE_SIZE || (control & HV_CONTROL_FAST))
		return HV_INVALID_HYPERCALL_INPUT;
	memset(c->out, 0, c->out_len);
	return check_block(c->vp, c->caller, out, c->out_len);
}

static uint64_t execute(struct hvcall *c, const struct hvcall_entry *e, uint64_t out)
{
	uint32_t off = c->start * e->out_elem, len;
	enum hv_status st;

	st = e->fn(c);
	/* Elements that were done count even when a later one failed. */
	len = e->rep ? (c->reps_done - c->start) * e->out_elem : st == HV_OK ? c->out_len : 0;
	if (len && gm_write(c->vp->part->gm, out + off, c->out + off, len) < 0)
		st = HV_INVALID_HYPERCALL_INPUT;
	return HV_RESULT_MAKE(st, e->rep ? c->reps_done : 0);
}

uint64_t hvcall_host_run(struct hvvp *vp, enum vtl_index caller, uint64_t control, uint64_t in,
			 uint64_t out, bool *ret_forward)
{
	struct hvcall c = { .vp = vp,
			    .caller = caller,
			    .code = HV_CONTROL_CODE(control),
			    .reps = HV_CONTROL_REP_COUNT(control),
			    .start = HV_CONTROL_REP_START(control) };
	const struct hvcall_entry *e = hvcall_host_find(c.code);
	enum hv_status st = check_control(e, caller, control);
	uint64_t res;

	*ret_forward = false;
	c.reps_done = c.start;
	if (st == HV_OK)
		st = load_input(&c, e, control, in, out);
	if (st == HV_OK)
		st = prepare_output(&c, e, control, out);
	if (st == HV_OK) {
		res = execute(&c, e, out);
		*ret_forward = c.forward;
	} else {
		res = HV_RESULT_MAKE(st, c.start);
	}
	if (HV_RESULT_STATUS(res) != HV_OK && !c.forward)
		log_debug_rl(ALLOWED, "vp %u: VTL%u: %s (%#x): %s", vp->index, VTL_NUMBER(caller),
			     hv_call_name(c.code), c.code, hv_status_name(HV_RESULT_STATUS(res)));
	return res;
}

/* --- the two callers -------------------------------------------------------------------------- */

void hvcall_host_vtl2(struct hvvp *vp)
{
	struct kvm_regs *r = vp_regs(vp, VTL2);
	bool forward;

	r->rax = hvcall_host_run(vp, VTL2, r->rcx, r->rdx, r->r8, &forward);
	vp_dirty(vp, VTL2, KVM_SYNC_X86_REGS);
}

static void refuse_vtl0(struct hvvp *vp)
{
	vp_host_drain(vp, VTL0);
	vp_host_exception(vp, VTL0, VECTOR_UD, false, 0);
}

void hvcall_host_vtl0(struct hvvp *vp, uint16_t port)
{
	struct kvm_regs *r = vp_regs(vp, VTL0);
	const struct kvm_sregs *s = vp_sregs(vp, VTL0);
	bool is_long = (s->efer & EFER_LMA) && s->cs.l, forward;
	uint64_t res;

	/* There is no higher VTL for VTL0 to call, and hypercalls are the kernel's alone. */
	if (port != HCPAGE_PORT || (s->ss.dpl & 3) || !(s->cr0 & CR0_PE)) {
		refuse_vtl0(vp);
		return;
	}
	if (is_long)
		res = hvcall_host_run(vp, VTL0, r->rcx, r->rdx, r->r8, &forward);
	else
		res = hvcall_host_run(vp, VTL0, r->rdx << 32 | (uint32_t)r->rax,
				      r->rbx << 32 | (uint32_t)r->rcx,
				      r->rdi << 32 | (uint32_t)r->rsi, &forward);
	if (forward) {
		icpt_hypercall(vp);
		return;
	}
	r->rax = is_long ? res : (uint32_t)res;
	if (!is_long)
		r->rdx = res >> 32;
	vp_dirty(vp, VTL0, KVM_SYNC_X86_REGS);
	vp->op_pending = true;
}
