/* SPDX-License-Identifier: MIT */
/*
 * Where a VTL0 register lives at this moment, see regs.h. State: none but the two pages.
 * Thread: the VP's own.
 */
#include "regs.h"

#include <errno.h>

/* The place of a register in the register page. @dirty 0: read only there. NULL: not in the page.
 */
static uint64_t *page_slot(struct hv_register_page *p, uint32_t name, uint32_t *ret_dirty)
{
	*ret_dirty = 0;
	switch (name) {
	case HVREG_RSP:
		*ret_dirty = HV_REGPAGE_DIRTY_GP;
		return &p->gp[HVREG_RSP - HVREG_RAX];
	case HVREG_RIP:
		*ret_dirty = HV_REGPAGE_DIRTY_RIP;
		return &p->rip;
	case HVREG_RFLAGS:
		*ret_dirty = HV_REGPAGE_DIRTY_RFLAGS;
		return &p->rflags;
	case HVREG_CR0:
		return &p->cr0;
	case HVREG_CR3:
		return &p->cr3;
	case HVREG_CR4:
		return &p->cr4;
	case HVREG_CR8:
		return &p->cr8;
	case HVREG_EFER:
		return &p->efer;
	case HVREG_DR7:
		return &p->dr7;
	case HVREG_PENDING_INTERRUPTION:
		return &p->pending_interruption;
	case HVREG_INTERRUPT_STATE:
		return &p->interrupt_state;
	case HVREG_EMULATION_HINTS:
		return &p->emulation_hints;
	default:
		return NULL;
	}
}

static bool is_page_seg(uint32_t name)
{
	return name >= HVREG_ES && name <= HVREG_GS;
}

/* Registers that live in the run page while VTL2 runs: shared GPRs, and CR2 in RSP's place. */
static uint64_t *run_slot(struct vp *vp, uint32_t name)
{
	if (name == HVREG_CR2)
		return &vp->run->ctx.gp[MSHV_CTX_CR2];
	if (name >= HVREG_RAX && name <= HVREG_R15 && name != HVREG_RSP)
		return &vp->run->ctx.gp[name - HVREG_RAX];
	return NULL;
}

int regs_get(struct vp *vp, uint32_t name, union hv_regval *ret_val)
{
	const uint64_t *slot = run_slot(vp, name);
	uint32_t dirty;

	if (!slot && regs_page_valid(vp)) {
		if (is_page_seg(name)) {
			*ret_val = (union hv_regval){ .seg = vp->page->seg[name - HVREG_ES] };
			return 0;
		}
		slot = page_slot(vp->page, name, &dirty);
	}
	if (slot) {
		*ret_val = (union hv_regval){ .u64 = *slot };
		return 0;
	}
	return vp->ops->get_reg(vp->ctx, name, ret_val);
}

int regs_set(struct vp *vp, uint32_t name, const union hv_regval *val)
{
	uint64_t *slot = run_slot(vp, name);
	uint32_t dirty = 0;
	int r;

	if (slot) {
		*slot = val->u64;
		return 0;
	}
	if (regs_page_valid(vp)) {
		if (is_page_seg(name)) {
			vp->page->seg[name - HVREG_ES] = val->seg;
			vp->page->dirty |= HV_REGPAGE_DIRTY_SEG;
			return 0;
		}
		slot = page_slot(vp->page, name, &dirty);
		if (slot && dirty) {
			*slot = val->u64;
			vp->page->dirty |= dirty;
			return 0;
		}
	}
	r = vp->ops->set_reg(vp->ctx, name, val);
	if (r == 0 && slot)
		*slot = val->u64;
	return r;
}

int regs_get64(struct vp *vp, uint32_t name, uint64_t *ret_val)
{
	union hv_regval val;
	int r = regs_get(vp, name, &val);

	if (r < 0)
		return r;
	*ret_val = val.u64;
	return 0;
}

int regs_set64(struct vp *vp, uint32_t name, uint64_t val)
{
	union hv_regval v = { .q = { val, 0 } };

	return regs_set(vp, name, &v);
}
