/* SPDX-License-Identifier: MIT */
/*
 * Faithful memory intercepts: the slot's memory cannot be accessed, KVM_RUN fails with EFAULT
 * before
 * the instruction has done anything, and no address is given. We read and decode the instruction to
 * find the access, and VTL2 gets the guest's own bytes.
 */
#include <string.h>

#include "ckd.h"
#include "hvcall.h"
#include "intercept.h"
#include "log.h"
#include "ptwalk.h"
#include "regs_host.h"
#include "vp_host.h"
#include "x86decode.h"

#define LOG_AREA "mmio"

#define EFER_LMA BIT(10)
#define CR0_PE BIT(0)
#define RFLAGS_VM BIT(17)
#define RFLAGS_AC BIT(18)
#define INSN_MAX 15
#define OPERAND_MAX 16 /* bytes; more never crosses into a third page */
#define GPR_RSP 4
#define GPR_RSI 6
#define GPR_RDI 7

struct fault {
	struct hvvp *vp;
	const struct kvm_regs *r;
	const struct kvm_sregs *s;
	struct x86_insn insn;
	uint64_t gpr[16];
	bool is_long;
	/* Result. */
	uint64_t gva;
	gpa_t gpa;
	bool write;
};

static void load_gprs(struct fault *f)
{
	const struct kvm_regs *r = f->r;
	const uint64_t gpr[16] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
				   r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };

	memcpy(f->gpr, gpr, sizeof(gpr));
}

static uint64_t address_mask(const struct fault *f)
{
	return f->insn.asize == 8 ? UINT64_MAX : f->insn.asize == 4 ? 0xffffffff : 0xffff;
}

static uint64_t seg_base(const struct fault *f, uint8_t seg)
{
	const struct kvm_segment *const segs[] = { &f->s->es, &f->s->cs, &f->s->ss,
						   &f->s->ds, &f->s->fs, &f->s->gs };

	if (seg >= ARRAY_SIZE(segs) || (f->is_long && seg != HV_SEG_FS && seg != HV_SEG_GS))
		return 0;
	return segs[seg]->base;
}

static uint64_t linear(const struct fault *f, uint8_t seg, uint64_t offset)
{
	uint64_t la = seg_base(f, seg) + (offset & address_mask(f));

	return f->is_long ? la : la & 0xffffffff;
}

static uint64_t modrm_offset(const struct fault *f)
{
	const struct x86_insn *i = &f->insn;
	uint64_t off = i->disp;

	if (i->base == X86_REG_RIP)
		off += f->r->rip + i->len;
	else if (i->base != X86_REG_NONE)
		off += f->gpr[i->base & 15];
	if (i->index != X86_REG_NONE)
		off += f->gpr[i->index & 15] << i->scale;
	return off;
}

/* Is this byte one that VTL0 may not touch that way? */
static bool denied(struct fault *f, uint64_t gva, bool write)
{
	struct hvpart *part = f->vp->part;
	const struct ptwalk_mode m = { .cr0 = f->s->cr0, .cr3 = f->s->cr3, .cr4 = f->s->cr4,
				       .efer = f->s->efer, .user = (f->s->ss.dpl & 3) == 3,
				       .ac = f->r->rflags & RFLAGS_AC };
	uint32_t error, rights;
	gpa_t gpa;

	if (ptwalk(part->gm, &m, gva, write ? PTWALK_WRITE : PTWALK_READ, &gpa, &error) !=
	    PTWALK_OK)
		return false; /* the guest's own page fault comes first */
	(void)pthread_mutex_lock(&part->prot_lock);
	rights = mem_host_rights(&part->mem, gpa);
	(void)pthread_mutex_unlock(&part->prot_lock);
	if (rights & (write ? HV_MAP_WRITE : HV_MAP_READ))
		return false;
	f->gva = gva;
	f->gpa = gpa;
	f->write = write;
	return true;
}

static bool operand_denied(struct fault *f, uint64_t gva, bool write)
{
	uint64_t last = gva + OPERAND_MAX - 1;

	if (denied(f, gva, write))
		return true;
	return (gva ^ last) >> KEEL_PAGE_SHIFT &&
	       denied(f, align_down(last, KEEL_PAGE_SIZE), write);
}

/* Reads come first; a read-modify-write that may not write faults too. */
static bool either_denied(struct fault *f, uint64_t gva)
{
	return operand_denied(f, gva, false) || operand_denied(f, gva, true);
}

static bool string_denied(struct fault *f)
{
	uint8_t op = f->insn.opcode & 0xfe;
	uint64_t si = linear(f, f->insn.seg, f->gpr[GPR_RSI]);
	uint64_t di = linear(f, HV_SEG_ES, f->gpr[GPR_RDI]);

	switch (op) {
	case 0xa4: /* MOVS */
		return operand_denied(f, si, false) || operand_denied(f, di, true);
	case 0xa6: /* CMPS */
		return operand_denied(f, si, false) || operand_denied(f, di, false);
	case 0xaa: /* STOS */
	case 0x6c: /* INS */
		return operand_denied(f, di, true);
	case 0xac: /* LODS */
	case 0x6e: /* OUTS */
		return operand_denied(f, si, false);
	case 0xae: /* SCAS */
		return operand_denied(f, di, false);
	default:
		return false;
	}
}

/* PUSH, CALL, POP, RET and friends: the stack is the operand, or the second one. */
static bool stack_denied(struct fault *f)
{
	uint64_t sp = f->gpr[GPR_RSP];

	return operand_denied(f, linear(f, HV_SEG_SS, sp), false) ||
	       operand_denied(f, linear(f, HV_SEG_SS, sp - 8), true);
}

static bool is_store(const struct x86_insn *i)
{
	return i->map == X86_MAP_1B &&
	       (i->opcode == 0x88 || i->opcode == 0x89 || i->opcode == 0xc6 || i->opcode == 0xc7);
}

static bool find_access(struct fault *f)
{
	const struct x86_insn *i = &f->insn;

	if (i->has_modrm && i->mod != 3) {
		uint64_t gva = linear(f, i->seg, modrm_offset(f));

		if (is_store(i) ? operand_denied(f, gva, true) : either_denied(f, gva))
			return true;
	}
	if (i->map == X86_MAP_1B) {
		if (i->opcode >= 0xa0 && i->opcode <= 0xa3)
			return operand_denied(f, linear(f, i->seg, i->disp), i->opcode & 2);
		if (i->opcode == 0xd7) /* XLAT */
			return operand_denied(f, linear(f, i->seg, f->gpr[3] + (f->gpr[0] & 0xff)),
					      false);
		if (string_denied(f))
			return true;
	}
	return stack_denied(f);
}

static enum x86_code code_kind(const struct fault *f)
{
	if (!(f->s->cr0 & CR0_PE) || (f->r->rflags & RFLAGS_VM))
		return X86_CODE_REAL16;
	if (f->is_long)
		return X86_CODE_64;
	return f->s->cs.db ? X86_CODE_32 : X86_CODE_16;
}

static void copy_fpu(struct hvvp *vp, enum vtl_index from, enum vtl_index to)
{
	struct kvm_xsave x;
	int r = kvm_ioctl(vp->vtl[from].cpu.fd, KVM_GET_XSAVE, &x);

	if (r == 0)
		r = kvm_ioctl(vp->vtl[to].cpu.fd, KVM_SET_XSAVE, &x);
	if (r < 0)
		log_warn_rl(ALLOWED, "vp %u: vector registers not copied (%d)", vp->index, r);
}

void icpt_fpu_lend(struct hvvp *vp)
{
	copy_fpu(vp, VTL0, VTL2);
	vp->fpu_lent = true;
}

void icpt_fpu_take(struct hvvp *vp)
{
	if (vp->fpu_lent)
		copy_fpu(vp, VTL2, VTL0);
	vp->fpu_lent = false;
}

static void deliver(struct fault *f, const uint8_t *bytes, uint32_t n)
{
	struct hvvp *vp = f->vp;
	struct hv_mem_msg m = { .info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID,
				.tpr = (uint8_t)(f->s->cr8 << 4) };
	bool ram = mem_host_ptr(&vp->part->mem, f->gpa, 1) != NULL;

	if (mem_host_is_vtl2(&vp->part->mem, f->gpa)) {
		(void)atomic_fetch_add(&vp->part->vtl2_memory_hits, 1);
		log_warn_rl(ALLOWED, "vp %u: VTL0 %s VTL2 memory at %#llx: caught", vp->index,
			    f->write ? "wrote to" : "read from", (unsigned long long)f->gpa);
	}
	m.gva = f->gva;
	m.gpa = f->gpa;
	m.ibytes_count = (uint8_t)n;
	memcpy(m.ibytes, bytes, n);
	if (f->insn.map != X86_MAP_1B)
		icpt_fpu_lend(vp);
	icpt_begin(vp, ICPT_DETACHED, f->r->rip, f->insn.len);
	icpt_header(vp, &m.h, f->r->rip, f->insn.len, f->write ? HV_ACC_WRITE : HV_ACC_READ);
	icpt_deliver(vp, ram ? HVMSG_GPA_INTERCEPT : HVMSG_UNMAPPED_GPA, &m, sizeof(m));
}

void icpt_fault_exit(struct hvvp *vp)
{
	struct fault f = { .vp = vp, .r = vp_regs(vp, VTL0), .s = vp_sregs(vp, VTL0) };
	uint8_t bytes[INSN_MAX];
	uint32_t n;

	vp_count(vp, VTL0, SESSION_EXIT_MMIO);
	f.is_long = (f.s->efer & EFER_LMA) && f.s->cs.l;
	load_gprs(&f);
	n = icpt_fetch(vp, f.r->rip, bytes, sizeof(bytes));
	if (!n || x86_decode(code_kind(&f), bytes, n, &f.insn) != X86_DECODE_OK) {
		icpt_exec_fault(vp);
		return;
	}
	if (find_access(&f)) {
		vp->fault_repeats = 0;
		deliver(&f, bytes, n);
	} else if (++vp->fault_repeats > 2) {
		/* Not the race with a change of rights that it looks like: VTL2 decides. */
		vp->fault_repeats = 0;
		icpt_exec_fault(vp);
	}
}
