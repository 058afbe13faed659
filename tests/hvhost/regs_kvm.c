/* SPDX-License-Identifier: MIT */
#include "regs_kvm.h"

#include <errno.h>
#include <string.h>

#include "cpuid_host.h"
#include "hvregs.h"
#include "log.h"
#include "regs_host.h"

#define LOG_AREA "regs"

#define CR4_OSXSAVE BIT(18)
#define XMM_FIRST_TO_FPU(name) ((name) - HVREG_XMM0)
#define XMM_COUNT 16
#define GPR_COUNT 16

/* --- segments --------------------------------------------------------------------------------- */

struct hv_seg regs_seg_from_kvm(const struct kvm_segment *s)
{
	uint32_t attr = (s->type & 15u) | (s->s & 1u) << 4 | (s->dpl & 3u) << 5 |
			(s->present & 1u) << 7 | (s->avl & 1u) << 12 | (s->l & 1u) << 13 |
			(s->db & 1u) << 14 | (s->g & 1u) << 15;

	if (s->unusable)
		attr &= ~0x80u;
	return (struct hv_seg){ .base = s->base, .limit = s->limit, .sel = s->selector,
				.attr = (uint16_t)attr };
}

struct kvm_segment regs_seg_to_kvm(const struct hv_seg *s)
{
	return (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->sel,
		.type = s->attr & 15,
		.s = s->attr >> 4 & 1,
		.dpl = s->attr >> 5 & 3,
		.present = s->attr >> 7 & 1,
		.avl = s->attr >> 12 & 1,
		.l = s->attr >> 13 & 1,
		.db = s->attr >> 14 & 1,
		.g = s->attr >> 15 & 1,
		.unusable = !(s->attr >> 7 & 1),
	};
}

static struct kvm_segment *seg_slot(struct kvm_sregs *s, uint32_t name)
{
	switch (name) {
	case HVREG_ES:
		return &s->es;
	case HVREG_CS:
		return &s->cs;
	case HVREG_SS:
		return &s->ss;
	case HVREG_DS:
		return &s->ds;
	case HVREG_FS:
		return &s->fs;
	case HVREG_GS:
		return &s->gs;
	case HVREG_LDTR:
		return &s->ldt;
	case HVREG_TR:
		return &s->tr;
	default:
		return NULL;
	}
}

/* --- plain 64-bit registers ------------------------------------------------------------------- */

static __u64 *gpr_slot(struct kvm_regs *r, uint32_t name)
{
	__u64 *const slot[GPR_COUNT + 2] = {
		&r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp, &r->rsi, &r->rdi, &r->r8,
		&r->r9,	 &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15, &r->rip, &r->rflags,
	};

	return name >= HVREG_RAX && name <= HVREG_RFLAGS ? slot[name - HVREG_RAX] : NULL;
}

static __u64 *ctl_slot(struct kvm_sregs *s, uint32_t name)
{
	switch (name) {
	case HVREG_CR0:
		return &s->cr0;
	case HVREG_CR2:
		return &s->cr2;
	case HVREG_CR3:
		return &s->cr3;
	case HVREG_CR4:
		return &s->cr4;
	case HVREG_CR8:
		return &s->cr8;
	case HVREG_EFER:
		return &s->efer;
	case HVREG_APIC_BASE:
		return &s->apic_base;
	default:
		return NULL;
	}
}

/* MSRs behind register names. 0: none (MSR 0 is nobody's). */
static uint32_t arch_msr(uint32_t name)
{
	static const struct {
		uint32_t name, msr;
	} map[] = {
		{ HVREG_TSC, 0x10 },
		{ HVREG_KERNEL_GS_BASE, 0xc0000102 },
		{ HVREG_PAT, 0x277 },
		{ HVREG_SYSENTER_CS, 0x174 },
		{ HVREG_SYSENTER_ESP, 0x175 },
		{ HVREG_SYSENTER_EIP, 0x176 },
		{ HVREG_STAR, 0xc0000081 },
		{ HVREG_LSTAR, 0xc0000082 },
		{ HVREG_CSTAR, 0xc0000083 },
		{ HVREG_SFMASK, 0xc0000084 },
		{ HVREG_TSC_AUX, 0xc0000103 },
		{ HVREG_TSC_ADJUST, 0x3b },
		{ HVREG_MTRR_CAP, 0xfe },
		{ HVREG_MTRR_DEF_TYPE, 0x2ff },
		{ HVREG_MTRR_FIX64K, 0x250 },
		{ HVREG_MTRR_FIX16K_80000, 0x258 },
		{ HVREG_MTRR_FIX16K_A0000, 0x259 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (map[i].name == name)
			return map[i].msr;
	}
	if (name >= HVREG_MTRR_PHYS_BASE0 && name < HVREG_MTRR_PHYS_BASE0 + 16)
		return 0x200 + 2 * (name - HVREG_MTRR_PHYS_BASE0);
	if (name >= HVREG_MTRR_PHYS_MASK0 && name < HVREG_MTRR_PHYS_MASK0 + 16)
		return 0x201 + 2 * (name - HVREG_MTRR_PHYS_MASK0);
	if (name >= HVREG_MTRR_FIX4K_C0000 && name <= HVREG_MTRR_FIX4K_F8000)
		return 0x268 + (name - HVREG_MTRR_FIX4K_C0000);
	return 0;
}

/* --- state that KVM keeps elsewhere ----------------------------------------------------------- */

static int get_sregs(struct hvvp *vp, enum vtl_index v, struct kvm_sregs **ret)
{
	*ret = vp_sregs(vp, v);
	if (v == VTL0) /* synchronised at each exit */
		return 0;
	if (vp->vtl[v].cpu.run->kvm_dirty_regs & KVM_SYNC_X86_SREGS)
		return 0; /* ours is newer */
	return kvm_ioctl(vp->vtl[v].cpu.fd, KVM_GET_SREGS, *ret);
}

static enum hv_status get_xmm(struct hvvp *vp, enum vtl_index v, uint32_t i,
			      union hv_regval *ret_val)
{
	struct kvm_fpu fpu;

	if (kvm_ioctl(vp->vtl[v].cpu.fd, KVM_GET_FPU, &fpu) < 0)
		return HV_OPERATION_FAILED;
	memcpy(ret_val, fpu.xmm[i], sizeof(*ret_val));
	return HV_OK;
}

static enum hv_status debug_reg(struct hvvp *vp, enum vtl_index v, uint32_t name, bool set,
				uint64_t *val)
{
	struct kvm_debugregs d;
	__u64 *slot;

	if (kvm_ioctl(vp->vtl[v].cpu.fd, KVM_GET_DEBUGREGS, &d) < 0)
		return HV_OPERATION_FAILED;
	slot = name == HVREG_DR6   ? &d.dr6
	       : name == HVREG_DR7 ? &d.dr7
				   : &d.db[(name - HVREG_DR0) & 3];
	if (!set) {
		*val = *slot;
		return HV_OK;
	}
	*slot = *val;
	return kvm_ioctl(vp->vtl[v].cpu.fd, KVM_SET_DEBUGREGS, &d) < 0 ? HV_INVALID_REGISTER_VALUE :
									 HV_OK;
}

static enum hv_status xfem(struct hvvp *vp, enum vtl_index v, bool set, uint64_t *val)
{
	struct kvm_xcrs x = { .nr_xcrs = 1 };

	if (set) {
		x.xcrs[0].value = *val;
		return kvm_ioctl(vp->vtl[v].cpu.fd, KVM_SET_XCRS, &x) < 0 ?
			       HV_INVALID_REGISTER_VALUE : HV_OK;
	}
	if (kvm_ioctl(vp->vtl[v].cpu.fd, KVM_GET_XCRS, &x) < 0)
		return HV_OPERATION_FAILED;
	*val = x.xcrs[0].value;
	return HV_OK;
}

static enum hv_status activity(struct hvvp *vp, enum vtl_index v, bool set, uint64_t *val)
{
	struct kvm_mp_state mp = { 0 };

	if (set) {
		mp.mp_state = *val & HV_ACTIVITY_STARTUP_SUSPEND ? KVM_MP_STATE_UNINITIALIZED :
			      *val & HV_ACTIVITY_HALT		 ? KVM_MP_STATE_HALTED :
								   KVM_MP_STATE_RUNNABLE;
		return kvm_ioctl(vp->vtl[v].cpu.fd, KVM_SET_MP_STATE, &mp) < 0 ?
			       HV_INVALID_REGISTER_VALUE : HV_OK;
	}
	if (kvm_ioctl(vp->vtl[v].cpu.fd, KVM_GET_MP_STATE, &mp) < 0)
		return HV_OPERATION_FAILED;
	if (mp.mp_state == KVM_MP_STATE_RUNNABLE)
		*val = 0;
	else
		*val = mp.mp_state == KVM_MP_STATE_HALTED ? HV_ACTIVITY_HALT :
							    HV_ACTIVITY_STARTUP_SUSPEND;
	return HV_OK;
}

/* Interrupt shadow and NMI mask, or the event being delivered. */
static enum hv_status interrupt_state(struct hvvp *vp, enum vtl_index v, bool set, uint64_t *val)
{
	int fd = vp->vtl[v].cpu.fd;
	struct kvm_vcpu_events ev;

	if (kvm_ioctl(fd, KVM_GET_VCPU_EVENTS, &ev) < 0)
		return HV_OPERATION_FAILED;
	if (!set) {
		*val = (ev.interrupt.shadow ? 1 : 0) | (ev.nmi.masked ? 2 : 0);
		return HV_OK;
	}
	ev.flags = KVM_VCPUEVENT_VALID_SHADOW;
	ev.interrupt.shadow = *val & 1 ? KVM_X86_SHADOW_INT_STI : 0;
	ev.nmi.masked = *val >> 1 & 1;
	return kvm_ioctl(fd, KVM_SET_VCPU_EVENTS, &ev) < 0 ? HV_INVALID_REGISTER_VALUE : HV_OK;
}

static enum hv_status other(struct hvvp *vp, enum vtl_index v, uint32_t name, bool set,
			    uint64_t *val)
{
	if (name >= HVREG_DR0 && name <= HVREG_DR7)
		return debug_reg(vp, v, name, set, val);
	switch (name) {
	case HVREG_XFEM:
		return xfem(vp, v, set, val);
	case HVREG_ACTIVITY_STATE:
		return activity(vp, v, set, val);
	case HVREG_INTERRUPT_STATE:
		return interrupt_state(vp, v, set, val);
	case HVREG_PENDING_INTERRUPTION: /* exits never happen in the middle of a delivery */
	case HVREG_EMULATION_HINTS:
		if (set)
			return *val ? HV_INVALID_REGISTER_VALUE : HV_OK;
		*val = 0;
		return HV_OK;
	case HVREG_INITIAL_APIC_ID:
		if (set)
			return HV_INVALID_REGISTER_VALUE;
		*val = vp->index;
		return HV_OK;
	default:
		return HV_UNKNOWN_REGISTER_NAME;
	}
}

/* --- interface -------------------------------------------------------------------------------- */

static enum hv_status get_special(struct hvvp *vp, enum vtl_index v, uint32_t name,
				  union hv_regval *ret_val)
{
	struct kvm_sregs *s;
	const struct kvm_segment *seg;
	const struct kvm_dtable *t;
	const __u64 *ctl;

	if (get_sregs(vp, v, &s) < 0)
		return HV_OPERATION_FAILED;
	seg = seg_slot(s, name);
	if (seg) {
		ret_val->seg = regs_seg_from_kvm(seg);
		return HV_OK;
	}
	if (name == HVREG_IDTR || name == HVREG_GDTR) {
		t = name == HVREG_IDTR ? &s->idt : &s->gdt;
		ret_val->table = (struct hv_table){ .limit = t->limit, .base = t->base };
		return HV_OK;
	}
	ctl = ctl_slot(s, name);
	if (!ctl)
		return HV_UNKNOWN_REGISTER_NAME;
	ret_val->u64 = *ctl;
	return HV_OK;
}

static bool is_special(struct kvm_sregs *s, uint32_t name)
{
	return seg_slot(s, name) || ctl_slot(s, name) || name == HVREG_IDTR || name == HVREG_GDTR;
}

enum hv_status regs_kvm_get(struct hvvp *vp, enum vtl_index v, uint32_t name,
			    union hv_regval *ret_val)
{
	const __u64 *gpr = gpr_slot(vp_regs(vp, v), name);
	uint32_t msr = arch_msr(name);

	if (gpr) {
		ret_val->u64 = *gpr;
		return HV_OK;
	}
	if (is_special(vp_sregs(vp, v), name))
		return get_special(vp, v, name, ret_val);
	if (name >= HVREG_XMM0 && name < HVREG_XMM0 + XMM_COUNT)
		return get_xmm(vp, v, XMM_FIRST_TO_FPU(name), ret_val);
	if (msr) {
		uint64_t val;

		if (kvm_cpu_msr_get(&vp->vtl[v].cpu, msr, &val) < 0)
			return HV_INVALID_PARAMETER;
		ret_val->u64 = val;
		return HV_OK;
	}
	return other(vp, v, name, false, &ret_val->u64);
}

static enum hv_status set_special(struct hvvp *vp, enum vtl_index v, uint32_t name,
				  const union hv_regval *val)
{
	struct kvm_sregs *s;
	struct kvm_segment *seg;
	__u64 *ctl;

	if (get_sregs(vp, v, &s) < 0)
		return HV_OPERATION_FAILED;
	seg = seg_slot(s, name);
	ctl = ctl_slot(s, name);
	if (seg) {
		*seg = regs_seg_to_kvm(&val->seg);
	} else if (name == HVREG_IDTR || name == HVREG_GDTR) {
		struct kvm_dtable *t = name == HVREG_IDTR ? &s->idt : &s->gdt;

		t->limit = val->table.limit;
		t->base = val->table.base;
	} else if (ctl) {
		*ctl = val->u64;
		if (name == HVREG_CR4 && !cpuid_host_has_xsave(vp->part))
			*ctl &= ~CR4_OSXSAVE;
	}
	vp_dirty(vp, v, KVM_SYNC_X86_SREGS);
	return HV_OK;
}

enum hv_status regs_kvm_set(struct hvvp *vp, enum vtl_index v, uint32_t name,
			    const union hv_regval *val)
{
	__u64 *gpr = gpr_slot(vp_regs(vp, v), name);
	uint32_t msr = arch_msr(name);
	uint64_t plain = val->u64;

	if (gpr) {
		*gpr = plain;
		vp_dirty(vp, v, KVM_SYNC_X86_REGS);
		return HV_OK;
	}
	if (is_special(vp_sregs(vp, v), name))
		return set_special(vp, v, name, val);
	if (name >= HVREG_XMM0 && name < HVREG_XMM0 + XMM_COUNT)
		return HV_INVALID_PARAMETER; /* shared: VTL2 sets its own */
	if (msr)
		return kvm_cpu_msr_set(&vp->vtl[v].cpu, msr, plain) < 0 ? HV_INVALID_REGISTER_VALUE
									: HV_OK;
	return other(vp, v, name, true, &plain);
}

int regs_host_flush(struct hvvp *vp, enum vtl_index v)
{
	struct kvm_run *run = vp->vtl[v].cpu.run;
	int fd = vp->vtl[v].cpu.fd;
	int r = 0;

	if (run->kvm_dirty_regs & KVM_SYNC_X86_SREGS)
		r = kvm_ioctl(fd, KVM_SET_SREGS, &run->s.regs.sregs);
	if (r == 0 && (run->kvm_dirty_regs & KVM_SYNC_X86_REGS))
		r = kvm_ioctl(fd, KVM_SET_REGS, &run->s.regs.regs);
	run->kvm_dirty_regs = 0;
	return r;
}

static void load_segs(struct kvm_sregs *s, const struct hv_vp_context *c)
{
	s->cs = regs_seg_to_kvm(&c->cs);
	s->ds = regs_seg_to_kvm(&c->ds);
	s->es = regs_seg_to_kvm(&c->es);
	s->fs = regs_seg_to_kvm(&c->fs);
	s->gs = regs_seg_to_kvm(&c->gs);
	s->ss = regs_seg_to_kvm(&c->ss);
	s->tr = regs_seg_to_kvm(&c->tr);
	s->ldt = regs_seg_to_kvm(&c->ldtr);
	s->idt = (struct kvm_dtable){ .base = c->idtr.base, .limit = c->idtr.limit };
	s->gdt = (struct kvm_dtable){ .base = c->gdtr.base, .limit = c->gdtr.limit };
}

int regs_host_start(struct hvvp *vp, const struct hv_vp_context *ctx)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	const struct kvm_cpu *cpu = &vp->vtl[VTL2].cpu;
	struct kvm_regs *r = vp_regs(vp, VTL2);
	struct kvm_sregs *s = vp_sregs(vp, VTL2);
	int err;

	memset(r, 0, sizeof(*r));
	r->rip = ctx->rip;
	r->rsp = ctx->rsp;
	r->rflags = ctx->rflags | 2;
	load_segs(s, ctx);
	s->efer = ctx->efer;
	s->cr0 = ctx->cr0;
	s->cr3 = ctx->cr3;
	s->cr4 = ctx->cr4;
	vp_dirty(vp, VTL2, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
	err = regs_host_flush(vp, VTL2);
	if (err == 0)
		err = kvm_cpu_msr_set(cpu, 0x277, ctx->pat);
	if (err == 0)
		err = kvm_ioctl(cpu->fd, KVM_SET_MP_STATE, &mp);
	return err;
}
