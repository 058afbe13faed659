/* SPDX-License-Identifier: MIT */
/* Intercepts other than ports and memory. */
#include <errno.h>
#include <string.h>

#include "cpuid_host.h"
#include "hcpage.h"
#include "hvregs.h"
#include "intercept.h"
#include "log.h"
#include "msr_host.h"
#include "vp_host.h"

#define LOG_AREA "intercept"

#define MSR_INSN_LEN 2
#define CPUID_INSN_LEN 2
#define OUT_IMM8_LEN 2
#define VECTOR_DB 1
#define VECTOR_GP 13
#define VS_LEAVES 3

/* --- MSRs ------------------------------------------------------------------------------------- */

/* KVM completes with #GP if asked to, else with the data. */
static void complete_msr(struct hvvp *vp, int result)
{
	vp->vtl[VTL0].cpu.run->msr.error = result < 0;
	vp->op_pending = true;
}

static bool msr_intercepted(const struct hvvp *vp, bool write)
{
	uint32_t access = atomic_load_explicit(&vp->part->msr_access, memory_order_relaxed);

	return access & (write ? HV_ACCESS_WRITE : HV_ACCESS_READ);
}

void icpt_msr_exit(struct hvvp *vp, bool write)
{
	struct kvm_run *run = vp->vtl[VTL0].cpu.run;
	struct kvm_regs *r = vp_regs(vp, VTL0);
	uint32_t msr = run->msr.index;
	uint64_t val = run->msr.data;
	struct hv_msr_msg m = { .msr = msr };
	int res;

	vp_count(vp, VTL0, SESSION_EXIT_MSR);
	res = write ? msr_host_write(vp, VTL0, msr, val) : msr_host_read(vp, VTL0, msr, &val);
	if (res != -ENOENT || !msr_intercepted(vp, write)) {
		run->msr.data = val;
		complete_msr(vp, res);
		return;
	}
	icpt_begin(vp, write ? ICPT_MSR_WRITE : ICPT_MSR_READ, r->rip, MSR_INSN_LEN);
	icpt_header(vp, &m.h, r->rip, MSR_INSN_LEN, write ? HV_ACC_WRITE : HV_ACC_READ);
	m.rdx = r->rdx;
	m.rax = r->rax;
	icpt_deliver(vp, HVMSG_MSR, &m, sizeof(m));
}

void icpt_msr_finish(struct hvvp *vp)
{
	struct kvm_run *run = vp->vtl[VTL0].cpu.run;
	const struct kvm_regs *r = vp_regs(vp, VTL0);
	uint64_t event = vp->event[0];
	bool pending = event & HV_PENDING_EVENT_PENDING;
	bool exception = pending && HV_PENDING_EVENT_TYPE(event) == 0;
	uint8_t vector = (uint8_t)(event >> 16);

	/* KVM raises both of these itself when it completes the instruction. */
	if (exception && (vector == VECTOR_DB || (vector == VECTOR_GP && r->rip == vp->icpt.rip))) {
		vp->event[0] = 0;
		if (vector == VECTOR_GP) {
			complete_msr(vp, -EINVAL);
			icpt_restore(vp);
			return;
		}
	}
	if (!icpt_completed(vp)) {
		icpt_abort(vp);
		return;
	}
	run->msr.data = (r->rax & 0xffffffff) | r->rdx << 32;
	complete_msr(vp, 0);
	icpt_restore(vp);
}

/* --- nothing pending in KVM ------------------------------------------------------------------- */

void icpt_eoi_exit(struct hvvp *vp, uint8_t vector)
{
	const struct hv_apic_eoi_msg m = { .vp = vp->index, .vector = vector };

	vp_count(vp, VTL0, SESSION_EXIT_EOI);
	if (!atomic_load_explicit(&vp->part->eoi_access, memory_order_relaxed))
		return;
	icpt_begin(vp, ICPT_DETACHED, vp_regs(vp, VTL0)->rip, 0);
	icpt_deliver(vp, HVMSG_APIC_EOI, &m, sizeof(m));
}

void icpt_shutdown_exit(struct hvvp *vp)
{
	uint64_t rip = vp_regs(vp, VTL0)->rip;
	struct hv_x64_header h;

	vp_count(vp, VTL0, SESSION_EXIT_SHUTDOWN);
	icpt_begin(vp, ICPT_DETACHED, rip, 0);
	icpt_header(vp, &h, rip, 0, HV_ACC_READ);
	icpt_deliver(vp, HVMSG_UNRECOVERABLE_EXCEPTION, &h, sizeof(h));
}

void icpt_extint_window(struct hvvp *vp)
{
	uint64_t rip = vp_regs(vp, VTL0)->rip;
	struct hv_interruption_deliverable_msg m = { .type = 0 };

	vp_count(vp, VTL0, SESSION_EXIT_IRQ_WINDOW);
	icpt_begin(vp, ICPT_DETACHED, rip, 0);
	icpt_header(vp, &m.h, rip, 0, HV_ACC_READ);
	icpt_deliver(vp, HVMSG_INTERRUPTION_DELIVERABLE, &m, sizeof(m));
}

void icpt_sints_free(struct hvvp *vp, uint16_t sints)
{
	uint64_t rip = vp_regs(vp, VTL0)->rip;
	struct hv_sint_deliverable_msg m = { .sints = sints };

	icpt_begin(vp, ICPT_DETACHED, rip, 0);
	icpt_header(vp, &m.h, rip, 0, HV_ACC_READ);
	icpt_deliver(vp, HVMSG_SINT_DELIVERABLE, &m, sizeof(m));
}

void icpt_exec_fault(struct hvvp *vp)
{
	const struct kvm_regs *r = vp_regs(vp, VTL0);
	struct kvm_translation tr = { .linear_address = r->rip };
	struct hv_mem_msg m = { 0 };
	uint32_t n = icpt_fetch(vp, r->rip, m.ibytes, 15);

	if (!vp_sregs(vp, VTL0)->cs.l)
		tr.linear_address = (tr.linear_address + vp_sregs(vp, VTL0)->cs.base) & 0xffffffff;
	if (kvm_ioctl(vp->vtl[VTL0].cpu.fd, KVM_TRANSLATE, &tr) == 0 && tr.valid)
		m.gpa = tr.physical_address;
	m.gva = tr.linear_address;
	m.info = HV_MEM_GVA_VALID;
	m.ibytes_count = (uint8_t)n;
	icpt_begin(vp, ICPT_DETACHED, r->rip, 0);
	icpt_header(vp, &m.h, r->rip, 0, n ? HV_ACC_READ : HV_ACC_EXECUTE);
	icpt_deliver(vp, HVMSG_UNMAPPED_GPA, &m, sizeof(m));
}

/* --- hypercalls VTL2 answers ------------------------------------------------------------------ */

void icpt_hypercall(struct hvvp *vp)
{
	struct kvm_regs *r = vp_regs(vp, VTL0);
	uint64_t rip = r->rip - (vp->part->sys.out_advances ? OUT_IMM8_LEN : 0);
	struct hv_hypercall_msg m = {
		.rax = r->rax, .rbx = r->rbx, .rcx = r->rcx, .rdx = r->rdx,
		.r8 = r->r8, .rsi = r->rsi, .rdi = r->rdi,
	};

	icpt_begin(vp, ICPT_HYPERCALL, rip, HCPAGE_INSN);
	icpt_header(vp, &m.h, rip, HCPAGE_INSN, HV_ACC_EXECUTE);
	icpt_deliver(vp, HVMSG_HYPERCALL, &m, sizeof(m));
}

void icpt_hypercall_finish(struct hvvp *vp)
{
	/* KVM would skip the OUT if RIP were where it left it: then the call is to be repeated. Any
	 * other RIP makes it forget the access. Pending events need the same certainty. */
	if (vp_regs(vp, VTL0)->rip == vp->icpt.k_rip || (vp->event[0] & HV_PENDING_EVENT_PENDING))
		icpt_abort(vp);
	vp->icpt.kind = ICPT_NONE;
}

/* --- CPUID, asked once before VTL0 runs ------------------------------------------------------- */

void icpt_cpuid_ask(struct hvvp *vp, uint32_t leaf)
{
	struct kvm_regs *r = vp_regs(vp, VTL0);
	uint32_t fn = HVCPUID_VS_VENDOR + leaf;
	struct hv_cpuid_msg m = { .rax = fn };

	if (leaf == 0)
		vp->saved = *r;
	icpt_begin(vp, ICPT_CPUID, vp->saved.rip, CPUID_INSN_LEN);
	vp->icpt.leaf = leaf;
	r->rax = fn;
	r->rbx = r->rcx = r->rdx = 0;
	icpt_header(vp, &m.h, vp->saved.rip, CPUID_INSN_LEN, HV_ACC_EXECUTE);
	icpt_deliver(vp, HVMSG_CPUID, &m, sizeof(m));
}

static void publish_cpuid(struct hvpart *part)
{
	for (uint32_t i = 0; i < part->n_vps; i++) {
		int r = cpuid_host_set(part, &part->vps[i], VTL0);

		if (r < 0)
			log_warn(ALLOWED, "vp %u: CPUID of VTL0 stays without VTL2's leaves (%d)",
				 i, r);
	}
	atomic_store(&part->cpuid_ready, true);
	part_release(part);
}

void icpt_cpuid_finish(struct hvvp *vp)
{
	struct kvm_regs *r = vp_regs(vp, VTL0);
	uint32_t leaf = vp->icpt.leaf;

	vp->part->vs_leaf[leaf] = (struct cpuid_leaf){
		.eax = (uint32_t)r->rax, .ebx = (uint32_t)r->rbx,
		.ecx = (uint32_t)r->rcx, .edx = (uint32_t)r->rdx };
	if (leaf + 1 < VS_LEAVES) {
		icpt_cpuid_ask(vp, leaf + 1);
		return;
	}
	*r = vp->saved;
	vp_dirty(vp, VTL0, KVM_SYNC_X86_REGS);
	vp->icpt.kind = ICPT_NONE;
	publish_cpuid(vp->part);
}
