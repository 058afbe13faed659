/* SPDX-License-Identifier: MIT */
#include "vtl_sw.h"

#include <string.h>

#include "hcpage.h"
#include "intercept.h"
#include "log.h"
#include "regs_host.h"
#include "synic_host.h"
#include "vp_host.h"

#define LOG_AREA "vtl"

#define VECTOR_UD 6
#define RETURN_FAST BIT(0)
#define LAPIC_REGS 1024
#define LAPIC_IRR 0x200
#define LAPIC_PPR 0xa0

/* Registers that all VTLs share follow the processor; RSP, RIP and RFLAGS stay. */
static void share_gprs(struct kvm_regs *to, const struct kvm_regs *from)
{
	uint64_t rsp = to->rsp, rip = to->rip, rflags = to->rflags;

	*to = *from;
	to->rsp = rsp;
	to->rip = rip;
	to->rflags = rflags;
}

void vtl_sw_enter(struct hvvp *vp, enum hv_vtl_entry_reason reason)
{
	struct hv_assist_page *assist = vp->vtl[VTL2].assist;

	if (!assist) {
		part_end(vp->part, SESSION_VTL2_CRASH,
			 "VTL2 turned the assist page of VP %u off while VTL0 ran", vp->index);
		return;
	}
	share_gprs(vp_regs(vp, VTL2), vp_regs(vp, VTL0));
	vp_dirty(vp, VTL2, KVM_SYNC_X86_REGS);
	__atomic_store_n(&assist->entry_reason, (uint32_t)reason, __ATOMIC_RELEASE);
	vp->in_vtl0 = false;
}

/* Is an interrupt waiting that VTL2's APIC would deliver now? Asked only after one was raised. Not
 * inlined: the state is large and the question rare. */
static __attribute__((noinline)) bool vtl2_interrupt_due(struct hvvp *vp)
{
	struct kvm_lapic_state lapic;
	uint32_t irr, ppr;

	atomic_store(&vp->vtl2_intr, false);
	if (kvm_ioctl(vp->vtl[VTL2].cpu.fd, KVM_GET_LAPIC, &lapic) < 0)
		return false;
	memcpy(&ppr, lapic.regs + LAPIC_PPR, sizeof(ppr));
	for (int i = 7; i >= 0; i--) {
		memcpy(&irr, lapic.regs + LAPIC_IRR + i * 16, sizeof(irr));
		if (!irr)
			continue;
		atomic_store(&vp->vtl2_intr, true); /* still there */
		return (uint32_t)i * 32 + 31 - (uint32_t)__builtin_clz(irr) > (ppr | 15);
	}
	return false;
}

static void do_actions(struct hvvp *vp, struct hv_assist_page *assist)
{
	for (unsigned int i = 0; i < HV_VTL_RETURN_ACTIONS; i++) {
		struct hv_vtl_return_action a = assist->actions[i];
		struct hvvp *target;

		if (!a.type)
			return;
		memset(&assist->actions[i], 0, sizeof(a));
		target = part_vp(vp->part, a.vp);
		if (a.type != HV_VTL_RETURN_SIGNAL_EVENT || !target || a.vtl != 0) {
			log_warn_rl(ALLOWED, "vp %u: return action %llu ignored", vp->index,
				    (unsigned long long)a.type);
			continue;
		}
		(void)synic_host_signal(target, VTL0, a.sint, a.flag, NULL);
	}
}

static void apply_register_page(struct hvvp *vp)
{
	struct hv_register_page *page = vp->reg_page;
	struct kvm_regs *r = vp_regs(vp, VTL0);
	struct kvm_sregs *s = vp_sregs(vp, VTL0);
	uint32_t dirty;

	if (!page || !page->is_valid)
		return;
	dirty = page->dirty;
	if (dirty & HV_REGPAGE_DIRTY_GP)
		r->rsp = page->gp[4];
	if (dirty & HV_REGPAGE_DIRTY_RIP)
		r->rip = page->rip;
	if (dirty & HV_REGPAGE_DIRTY_RFLAGS)
		r->rflags = page->rflags;
	if (dirty & HV_REGPAGE_DIRTY_SEG) {
		const struct hv_seg *seg = page->seg;

		s->es = regs_seg_to_kvm(&seg[HV_SEG_ES]);
		s->cs = regs_seg_to_kvm(&seg[HV_SEG_CS]);
		s->ss = regs_seg_to_kvm(&seg[HV_SEG_SS]);
		s->ds = regs_seg_to_kvm(&seg[HV_SEG_DS]);
		s->fs = regs_seg_to_kvm(&seg[HV_SEG_FS]);
		s->gs = regs_seg_to_kvm(&seg[HV_SEG_GS]);
		vp_dirty(vp, VTL0, KVM_SYNC_X86_SREGS);
	}
	page->dirty = 0;
	page->is_valid = 0;
}

void vtl_sw_return(struct hvvp *vp)
{
	struct hv_assist_page *assist = vp->vtl[VTL2].assist;
	const struct kvm_regs *r2 = vp_regs(vp, VTL2);
	struct kvm_regs *r0 = vp_regs(vp, VTL0);

	/* The entry has moved the control word to RAX and the call code to RCX. */
	if (!assist || r2->rcx != HVCALL_VTL_RETURN || (r2->rax & ~RETURN_FAST)) {
		log_warn_rl(ALLOWED, "vp %u: malformed VTL return", vp->index);
		vp_host_drain(vp, VTL2);
		vp_host_exception(vp, VTL2, VECTOR_UD, false, 0);
		return;
	}
	share_gprs(r0, r2);
	if (!(r2->rax & RETURN_FAST)) {
		r0->rax = assist->ret_rax;
		r0->rcx = assist->ret_rcx;
	}
	vp_dirty(vp, VTL0, KVM_SYNC_X86_REGS);
	do_actions(vp, assist);
	apply_register_page(vp);
	vp->in_vtl0 = true;
	if (atomic_load(&vp->vtl2_intr) && vtl2_interrupt_due(vp))
		vtl_sw_enter(vp, HV_VTL_ENTRY_INTERRUPT);
	else
		icpt_finish(vp);
}
