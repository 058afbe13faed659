/* SPDX-License-Identifier: MIT */
#include "intercept.h"

#include <string.h>

#include "ckd.h"
#include "hvregs.h"
#include "log.h"
#include "ptwalk.h"
#include "regs_host.h"
#include "vp_host.h"
#include "vtl_sw.h"

#define LOG_AREA "intercept"

#define CR0_PE BIT(0)
#define CR0_AM BIT(18)
#define EFER_LMA BIT(10)

void icpt_header(struct hvvp *vp, struct hv_x64_header *h, uint64_t rip, uint8_t ilen,
		 enum hv_access_type access)
{
	const struct kvm_sregs *s = vp_sregs(vp, VTL0);

	*h = (struct hv_x64_header){
		.vp = vp->index,
		.ilen_cr8 = (uint8_t)((ilen & 15) | (s->cr8 & 15) << 4),
		.access = (uint8_t)access,
		.exec = (uint16_t)((s->ss.dpl & 3u) | (s->cr0 & CR0_PE ? HV_EXEC_PE : 0) |
				   (s->cr0 & CR0_AM ? HV_EXEC_AM : 0) |
				   (s->efer & EFER_LMA ? HV_EXEC_LMA : 0)),
		.cs = regs_seg_from_kvm(&s->cs),
		.rip = rip,
		.rflags = vp_regs(vp, VTL0)->rflags,
	};
}

static void fill_register_page(struct hvvp *vp)
{
	struct hv_register_page *p = vp->reg_page;
	const struct kvm_regs *r = vp_regs(vp, VTL0);
	const struct kvm_sregs *s = vp_sregs(vp, VTL0);
	const uint64_t gp[16] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
				  r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };

	if (!p)
		return;
	p->vtl = 0;
	p->dirty = 0;
	memcpy(p->gp, gp, sizeof(gp));
	p->rip = r->rip;
	p->rflags = r->rflags;
	p->seg[HV_SEG_ES] = regs_seg_from_kvm(&s->es);
	p->seg[HV_SEG_CS] = regs_seg_from_kvm(&s->cs);
	p->seg[HV_SEG_SS] = regs_seg_from_kvm(&s->ss);
	p->seg[HV_SEG_DS] = regs_seg_from_kvm(&s->ds);
	p->seg[HV_SEG_FS] = regs_seg_from_kvm(&s->fs);
	p->seg[HV_SEG_GS] = regs_seg_from_kvm(&s->gs);
	p->cr0 = s->cr0;
	p->cr3 = s->cr3;
	p->cr4 = s->cr4;
	p->cr8 = s->cr8;
	p->efer = s->efer;
	p->pending_interruption = 0;
	p->interrupt_state = 0;
	p->emulation_hints = 0;
	p->is_valid = 1;
}

void icpt_deliver(struct hvvp *vp, enum hv_message_type type, const void *payload, uint8_t size)
{
	struct hv_assist_page *assist = vp->vtl[VTL2].assist;

	if (assist) {
		struct hv_message *m = &assist->intercept;

		memcpy(m->payload, payload, size);
		m->payload_size = size;
		m->flags = 0;
		m->rsvd = 0;
		m->sender = 0;
		m->type = type;
	}
	fill_register_page(vp);
	vtl_sw_enter(vp, HV_VTL_ENTRY_INTERCEPT);
}

void icpt_begin(struct hvvp *vp, enum icpt_kind kind, uint64_t rip, uint8_t ilen)
{
	struct kvm_regs *r = vp_regs(vp, VTL0);

	vp->icpt = (struct icpt){
		.kind = kind,
		.rip = rip,
		.ilen = ilen,
		.k_rip = r->rip,
		.k_rax = r->rax,
	};
	r->rip = rip;
}

bool icpt_completed(const struct hvvp *vp)
{
	const struct kvm_run *run = vp->vtl[VTL0].cpu.run;
	const struct icpt *ic = &vp->icpt;
	uint64_t next = ic->rip + ic->ilen;

	if (!(run->s.regs.sregs.efer & EFER_LMA) || !run->s.regs.sregs.cs.l)
		next &= 0xffffffff;
	return run->s.regs.regs.rip == next && !(vp->event[0] & HV_PENDING_EVENT_PENDING);
}

void icpt_restore(struct hvvp *vp)
{
	struct kvm_regs *r = vp_regs(vp, VTL0);

	/*
	 * KVM's own copy was never changed. It must not even be set to the same values: its
	 * emulator would then forget which register a load that it completes has to go to.
	 */
	r->rip = vp->icpt.k_rip;
	r->rax = vp->icpt.k_rax;
	vp->vtl[VTL0].cpu.run->kvm_dirty_regs &= ~(uint64_t)KVM_SYNC_X86_REGS;
	vp->icpt.kind = ICPT_NONE;
	vp->op_pending = true;
}

void icpt_abort(struct hvvp *vp)
{
	vp->icpt.kind = ICPT_NONE;
	vp_host_drain(vp, VTL0);
}

void icpt_finish(struct hvvp *vp)
{
	switch (vp->icpt.kind) {
	case ICPT_PIO_IN:
	case ICPT_PIO_OUT:
		icpt_pio_finish(vp);
		break;
	case ICPT_MMIO_READ:
	case ICPT_MMIO_WRITE:
		icpt_mmio_finish(vp);
		break;
	case ICPT_MSR_READ:
	case ICPT_MSR_WRITE:
		icpt_msr_finish(vp);
		break;
	case ICPT_HYPERCALL:
		icpt_hypercall_finish(vp);
		break;
	case ICPT_CPUID:
		icpt_cpuid_finish(vp);
		break;
	case ICPT_DETACHED:
		icpt_fpu_take(vp);
		vp->icpt.kind = ICPT_NONE;
		break;
	case ICPT_NONE:
		if (!atomic_load_explicit(&vp->part->cpuid_ready, memory_order_relaxed) &&
		    vp->index == 0)
			icpt_cpuid_ask(vp, 0);
		break;
	}
}

uint32_t icpt_fetch(struct hvvp *vp, uint64_t rip, uint8_t *ret_bytes, uint32_t max)
{
	const struct kvm_sregs *s = vp_sregs(vp, VTL0);
	const struct ptwalk_mode mode = { .cr0 = s->cr0, .cr3 = s->cr3, .cr4 = s->cr4,
					  .efer = s->efer, .user = (s->ss.dpl & 3) == 3 };
	bool is_long = (s->efer & EFER_LMA) && s->cs.l;
	uint64_t la = is_long ? rip : (s->cs.base + rip) & 0xffffffff;
	uint32_t got = 0;

	while (got < max) {
		uint64_t at = la + got;
		uint32_t n = MIN(max - got, KEEL_PAGE_SIZE - (uint32_t)(at & (KEEL_PAGE_SIZE - 1)));
		uint32_t error;
		gpa_t gpa;

		if (ptwalk(vp->part->gm, &mode, at, PTWALK_EXECUTE, &gpa, &error) != PTWALK_OK ||
		    gm_read(vp->part->gm, gpa, ret_bytes + got, n) < 0)
			break;
		got += n;
	}
	return got;
}
