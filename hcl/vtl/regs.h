/* SPDX-License-Identifier: MIT */
/*
 * Registers of VTL0's side of one VP. Three homes: the run page (GPRs shared between VTLs), the
 * register page (valid after an intercept only; written back at the next entry through dirty
 * bits), and the hypervisor (one ioctl per register). These functions pick the cheapest.
 *
 * Context: the VP's thread between two entries. Values are VTL0's: hostile.
 * Spec: TLFS, "Register page"; Linux mshv_vtl.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hvregs.h"
#include "vp.h"

static inline bool regs_page_valid(const struct vp *vp)
{
	return vp->page && vp->page->is_valid && vp->page->vtl == 0;
}

/**
 * regs_get / regs_set - any register by its hypervisor name
 * General registers but RSP come from the run page. A read-only page register (CR0, EFER, ...) is
 * read there and written through the hypervisor, and the page's copy follows.
 * Returns: 0; -errno of the driver, e.g. -EINVAL for a name the hypervisor does not know
 */
must_check int regs_get(struct vp *vp, uint32_t name, union hv_regval *ret_val);
must_check int regs_set(struct vp *vp, uint32_t name, const union hv_regval *val);

/* The same for 64-bit registers. */
must_check int regs_get64(struct vp *vp, uint32_t name, uint64_t *ret_val);
must_check int regs_set64(struct vp *vp, uint32_t name, uint64_t val);

/* Instruction pointer, the one register every completed exit writes. */
static inline must_check int regs_set_rip(struct vp *vp, uint64_t rip)
{
	if (regs_page_valid(vp)) {
		vp->page->rip = rip;
		vp->page->dirty |= HV_REGPAGE_DIRTY_RIP;
		return 0;
	}
	return regs_set64(vp, HVREG_RIP, rip);
}
