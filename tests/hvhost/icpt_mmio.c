/* SPDX-License-Identifier: MIT */
/*
 * Memory accesses of VTL0 that no slot satisfied. KVM has decoded the instruction, and a store is
 * already done when we hear of it; VTL2 gets a MOV of the accumulator with the same effect.
 */
#include <string.h>

#include "hvcall.h"
#include "intercept.h"
#include "log.h"
#include "regs_host.h"
#include "vp_host.h"

#define LOG_AREA "mmio"

#define EFER_LMA BIT(10)
#define CACHE_UNCACHED 0

enum mode { MODE_16, MODE_32, MODE_64 };

static enum mode mode_of(const struct kvm_sregs *s)
{
	if ((s->efer & EFER_LMA) && s->cs.l)
		return MODE_64;
	return s->cs.db ? MODE_32 : MODE_16;
}

/* MOV between accumulator and absolute address. Returns its length. */
static uint8_t synthesize(enum mode mode, uint8_t size, bool write, uint64_t moffs,
			  uint8_t *ret_bytes)
{
	uint8_t n = 0;

	if (mode == MODE_16)
		ret_bytes[n++] = 0x67;
	if (size == 8)
		ret_bytes[n++] = 0x48;
	else if ((size == 2 && mode != MODE_16) || (size == 4 && mode == MODE_16))
		ret_bytes[n++] = 0x66;
	ret_bytes[n++] = (uint8_t)((write ? 0xa2 : 0xa0) | (size == 1 ? 0 : 1));
	memcpy(ret_bytes + n, &moffs, mode == MODE_64 ? 8 : 4);
	return (uint8_t)(n + (mode == MODE_64 ? 8 : 4));
}

/* Largest power of two that fits the rest and the mode. */
static uint8_t piece_size(enum mode mode, uint32_t left)
{
	uint8_t size = mode == MODE_64 ? 8 : 4;

	while (size > left)
		size /= 2;
	return size;
}

/* A linear address with the access' page offset that no segment limit forbids. */
static uint64_t pretend_gva(const struct kvm_sregs *s, enum mode mode, gpa_t gpa,
			    uint64_t *ret_moffs)
{
	if (mode == MODE_64) {
		*ret_moffs = gpa;
		return gpa;
	}
	*ret_moffs = (gpa - s->ds.base) & (KEEL_PAGE_SIZE - 1);
	return (s->ds.base + *ret_moffs) & 0xffffffff;
}

static enum hv_message_type classify(struct hvvp *vp, gpa_t gpa, bool write)
{
	struct hvpart *part = vp->part;

	if (!mem_host_ptr(&part->mem, gpa, 1))
		return HVMSG_UNMAPPED_GPA;
	if (mem_host_is_vtl2(&part->mem, gpa)) {
		(void)atomic_fetch_add(&part->vtl2_memory_hits, 1);
		log_warn_rl(ALLOWED, "vp %u: VTL0 %s VTL2 memory at %#llx: caught", vp->index,
			    write ? "wrote to" : "read from", (unsigned long long)gpa);
	}
	return HVMSG_GPA_INTERCEPT;
}

static void present(struct hvvp *vp)
{
	struct icpt *ic = &vp->icpt;
	const struct kvm_sregs *s = vp_sregs(vp, VTL0);
	struct kvm_regs *r = vp_regs(vp, VTL0);
	enum mode mode = mode_of(s);
	bool write = ic->kind == ICPT_MMIO_WRITE;
	gpa_t gpa = ic->gpa + ic->done;
	struct hv_mem_msg m = { .cache_type = CACHE_UNCACHED, .gpa = gpa };
	uint64_t moffs;

	ic->size = piece_size(mode, ic->total - ic->done);
	m.info = HV_MEM_GVA_VALID | HV_MEM_GVA_GPA_VALID | HV_MEM_TLB_LOCKED;
	m.gva = pretend_gva(s, mode, gpa, &moffs);
	m.ibytes_count = synthesize(mode, ic->size, write, moffs, m.ibytes);
	m.tpr = (uint8_t)(s->cr8 << 4);
	ic->gva_page = m.gva >> KEEL_PAGE_SHIFT;
	ic->gpa_page = gpa >> KEEL_PAGE_SHIFT;
	ic->ilen = m.ibytes_count;
	ic->rip = ic->k_rip;
	if (write) {
		ic->rip -= ic->ilen;
		if (mode != MODE_64)
			ic->rip &= 0xffffffff;
	}
	r->rip = ic->rip;
	r->rax = ic->k_rax;
	if (write)
		memcpy(&r->rax, ic->data + ic->done, ic->size);
	ic->shown_rax = r->rax;
	icpt_header(vp, &m.h, ic->rip, ic->ilen, write ? HV_ACC_WRITE : HV_ACC_READ);
	icpt_deliver(vp, classify(vp, gpa, write), &m, sizeof(m));
}

void icpt_mmio_exit(struct hvvp *vp)
{
	struct kvm_run *run = vp->vtl[VTL0].cpu.run;

	vp_count(vp, VTL0, SESSION_EXIT_MMIO);
	icpt_begin(vp, run->mmio.is_write ? ICPT_MMIO_WRITE : ICPT_MMIO_READ, run->s.regs.regs.rip,
		   1);
	vp->icpt.gpa = run->mmio.phys_addr;
	vp->icpt.total = MIN(run->mmio.len, 8u);
	vp->icpt.data = run->mmio.data;
	if (!vp->icpt.total) {
		icpt_restore(vp);
		return;
	}
	present(vp);
}

/* The store is done; all that VTL2 can still add is an event, or a different place to go on. */
static void finish_changed_write(struct hvvp *vp)
{
	struct icpt *ic = &vp->icpt;
	struct kvm_regs *r = vp_regs(vp, VTL0);

	if (r->rip == ic->rip || r->rip == ic->rip + ic->ilen)
		r->rip = ic->k_rip;
	if (r->rax == ic->shown_rax)
		r->rax = ic->k_rax;
	log_debug_rl(ALLOWED, "vp %u: VTL2 changed the course of a store that was done", vp->index);
	icpt_abort(vp);
}

void icpt_mmio_finish(struct hvvp *vp)
{
	struct icpt *ic = &vp->icpt;
	struct kvm_regs *r = vp_regs(vp, VTL0);

	if (!icpt_completed(vp)) {
		if (ic->kind == ICPT_MMIO_WRITE) {
			finish_changed_write(vp);
			return;
		}
		if (r->rax == ic->shown_rax)
			r->rax = ic->k_rax;
		icpt_abort(vp);
		return;
	}
	if (ic->kind == ICPT_MMIO_READ)
		memcpy(ic->data + ic->done, &r->rax, ic->size);
	ic->done += ic->size;
	if (ic->done < ic->total)
		present(vp);
	else
		icpt_restore(vp);
}
