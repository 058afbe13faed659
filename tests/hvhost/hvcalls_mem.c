/* SPDX-License-Identifier: MIT */
/* Hypercalls about VTL0's memory. */
#include <errno.h>
#include <string.h>

#include "hvcall_host.h"
#include "hvregs.h"
#include "log.h"
#include "ptwalk.h"

#define LOG_AREA "hypercall"

#define VECTOR_PF 14
#define RFLAGS_AC BIT(18)
#define XLATE_SUPERVISOR BIT(6)
#define XLATE_USER BIT(7)
#define XLATE_OVERRIDE_SMAP BIT(9)

/* --- protections ------------------------------------------------------------------------------ */

static enum hv_status protect_run(struct hvpart *part, gpn_t gpn, uint64_t pages, uint32_t rights)
{
	int r = mem_host_protect(&part->mem, part->vtl[VTL0].vm, gpn, pages, rights);

	if (r >= 0)
		return HV_OK;
	if (r == -EFAULT)
		return HV_INVALID_PARAMETER;
	log_warn_rl(ALLOWED, "protection of %llu pages failed (%d)", (unsigned long long)pages, r);
	return r == -ENOSPC || r == -ENOMEM ? HV_INSUFFICIENT_MEMORY : HV_OPERATION_FAILED;
}

static gpn_t list_gpn(const struct hvcall *c, uint32_t i)
{
	gpn_t gpn;

	memcpy(&gpn, c->in + sizeof(struct hv_modify_vtl_prot_in) + i * sizeof(gpn), sizeof(gpn));
	return gpn;
}

/* Neighbours in the list are changed in one go. */
static enum hv_status protect_list(struct hvcall *c, uint32_t rights)
{
	uint32_t i = c->start;

	while (i < c->reps) {
		gpn_t first = list_gpn(c, i);
		uint32_t n = 1;
		enum hv_status st;

		while (i + n < c->reps && list_gpn(c, i + n) == first + n)
			n++;
		st = protect_run(c->vp->part, first, n, rights);
		if (st != HV_OK)
			return st;
		i += n;
		c->reps_done = i;
	}
	return HV_OK;
}

enum hv_status hvcall_modify_protection(struct hvcall *c)
{
	struct hvpart *part = c->vp->part;
	struct hv_modify_vtl_prot_in in;
	enum hv_status st;
	enum vtl_index v;

	memcpy(&in, c->in, sizeof(in));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	st = hvcall_host_vtl(c, in.vtl, &v);
	if (st != HV_OK)
		return st;
	/* The permissions of a VTL are the ones it grants to those below it. */
	if (v == VTL0)
		return HV_INVALID_PARAMETER;
	(void)pthread_mutex_lock(&part->prot_lock);
	part_hold(part);
	st = protect_list(c, in.map_flags & HV_MAP_ALL);
	part_release(part);
	(void)pthread_mutex_unlock(&part->prot_lock);
	return st;
}

enum hv_status hvcall_check_access(struct hvcall *c)
{
	struct hvpart *part = c->vp->part;
	uint64_t partition;
	uint8_t access = c->in[9];

	memcpy(&partition, c->in, sizeof(partition));
	if (partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	for (uint32_t i = c->start; i < c->reps; i++) {
		uint64_t denied;
		uint32_t rights;
		gpn_t gpn;

		memcpy(&gpn, c->in + 16 + i * sizeof(gpn), sizeof(gpn));
		(void)pthread_mutex_lock(&part->prot_lock);
		rights = mem_host_rights(&part->mem, gpn << KEEL_PAGE_SHIFT);
		(void)pthread_mutex_unlock(&part->prot_lock);
		denied = access & ~rights & HV_MAP_ALL;
		denied = denied ? 1 | denied << 8 : 0;
		memcpy(c->out + i * sizeof(denied), &denied, sizeof(denied));
		c->reps_done = i + 1;
	}
	return HV_OK;
}

/* --- translation ------------------------------------------------------------------------------ */

static unsigned int walk_access(uint64_t flags)
{
	return (flags & HV_XLATE_READ ? PTWALK_READ : 0) |
	       (flags & HV_XLATE_WRITE ? PTWALK_WRITE : 0) |
	       (flags & HV_XLATE_EXECUTE ? PTWALK_EXECUTE : 0) |
	       (flags & HV_XLATE_PRIVILEGE_EXEMPT ? PTWALK_EXEMPT : 0) |
	       (flags & HV_XLATE_SET_AD ? PTWALK_SET_AD : 0);
}

static struct ptwalk_mode walk_mode(struct hvvp *vp, uint64_t flags)
{
	const struct kvm_sregs *s = vp_sregs(vp, VTL0);
	struct ptwalk_mode m = { .cr0 = s->cr0, .cr3 = s->cr3, .cr4 = s->cr4, .efer = s->efer };

	if (flags & XLATE_USER)
		m.user = true;
	else if (!(flags & XLATE_SUPERVISOR))
		m.user = (s->ss.dpl & 3) == 3;
	m.ac = (vp_regs(vp, VTL0)->rflags & RFLAGS_AC) || (flags & XLATE_OVERRIDE_SMAP);
	return m;
}

static void fault_event(struct hv_translate_ex_out *out, uint32_t error, uint64_t gva)
{
	out->event.q[0] = HV_PENDING_EVENT_PENDING | HV_PENDING_EVENT_EXCEPTION |
			  HV_PENDING_EXC_HAS_ERROR | (uint64_t)VECTOR_PF << 16 |
			  (uint64_t)error << 32;
	out->event.q[1] = gva;
}

static void walk(struct hvvp *vp, const struct hv_translate_ex_in *in,
		 struct hv_translate_ex_out *out)
{
	struct ptwalk_mode mode = walk_mode(vp, in->flags);
	uint64_t gva = in->gva_page << KEEL_PAGE_SHIFT;
	uint32_t error = 0;
	gpa_t gpa = 0;

	switch (ptwalk(vp->part->gm, &mode, gva, walk_access(in->flags), &gpa, &error)) {
	case PTWALK_OK:
		out->gpa_page = gpa >> KEEL_PAGE_SHIFT;
		if (!mem_host_ptr(&vp->part->mem, gpa, 1))
			out->code = HV_XLATE_UNMAPPED;
		return;
	case PTWALK_NOT_PRESENT:
		out->code = HV_XLATE_NOT_PRESENT;
		break;
	case PTWALK_PRIVILEGE:
		out->code = HV_XLATE_PRIVILEGE;
		break;
	case PTWALK_RESERVED:
		out->code = HV_XLATE_BAD_PTE;
		break;
	case PTWALK_NO_RAM:
		out->code = HV_XLATE_UNMAPPED;
		return;
	}
	fault_event(out, error, gva);
}

static enum hv_status translate(struct hvcall *c, struct hv_translate_ex_out *ret_out)
{
	const struct icpt *ic = &c->vp->icpt;
	struct hv_translate_ex_out out = { .code = HV_XLATE_OK };
	struct hv_translate_ex_in in;
	enum vtl_index v;
	enum hv_status st;

	memcpy(&in, c->in, sizeof(in));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	if (in.vp != HV_VP_SELF && in.vp != c->vp->index)
		return HV_INVALID_VP_INDEX;
	st = hvcall_host_vtl(c, (uint8_t)(in.flags >> 56), &v);
	if (st != HV_OK)
		return st;
	if (v != VTL0)
		return HV_INVALID_PARAMETER;
	/* The operand of a pretended MOV is where we said it is. */
	if ((ic->kind == ICPT_MMIO_READ || ic->kind == ICPT_MMIO_WRITE) &&
	    in.gva_page == ic->gva_page && !(in.flags & HV_XLATE_EXECUTE))
		out.gpa_page = ic->gpa_page;
	else
		walk(c->vp, &in, &out);
	*ret_out = out;
	return HV_OK;
}

enum hv_status hvcall_translate_ex(struct hvcall *c)
{
	struct hv_translate_ex_out out;
	enum hv_status st = translate(c, &out);

	if (st == HV_OK)
		memcpy(c->out, &out, sizeof(out));
	return st;
}

enum hv_status hvcall_translate(struct hvcall *c)
{
	struct hv_translate_ex_out out;
	enum hv_status st = translate(c, &out);

	if (st == HV_OK) {
		const uint64_t words[2] = { out.code | (uint64_t)out.flags << 32, out.gpa_page };

		memcpy(c->out, words, sizeof(words));
	}
	return st;
}
