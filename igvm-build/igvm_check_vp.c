/* SPDX-License-Identifier: MIT */
/*
 * The rules of VP_CONTEXT headers, whose format depends on the platform. Input: a hostile file.
 * Spec: IGVM file format, "VP contexts".
 */
#include <errno.h>
#include <stdlib.h>

#include "ckd.h"
#include "hvregs.h"
#include "igvm_priv.h"
#include "le.h"

#define CCA_CONTEXT_LEN 80u

struct reg_span {
	uint32_t first, last;
};

/* Registers a loader can set, x64. */
static const struct reg_span regs_x64[] = {
	{ HVREG_RAX, HVREG_RFLAGS },
	{ HVREG_CR0, HVREG_CR0 },
	{ HVREG_CR3, HVREG_CR4 },
	{ HVREG_ES, HVREG_TR },
	{ HVREG_IDTR, HVREG_GDTR },
	{ HVREG_EFER, HVREG_EFER },
	{ HVREG_APIC_BASE, HVREG_PAT },
	{ HVREG_MTRR_DEF_TYPE, HVREG_MTRR_DEF_TYPE },
	{ HVREG_MTRR_PHYS_BASE0, HVREG_MTRR_PHYS_BASE0 + 15 },
	{ HVREG_MTRR_PHYS_MASK0, HVREG_MTRR_PHYS_MASK0 + 15 },
	{ HVREG_MTRR_FIX64K, HVREG_MTRR_FIX4K_F8000 },
};

/* ARM64: X0-X7, PC, CPSR, SCTLR, TTBR0-1, TCR, MAIR, VBAR. */
static const struct reg_span regs_arm64[] = {
	{ 0x20000, 0x20007 }, { 0x20022, 0x20023 }, { 0x40002, 0x40002 },
	{ 0x40005, 0x40007 }, { 0x4000b, 0x4000c },
};

static bool reg_known(uint32_t arch, uint32_t name)
{
	const struct reg_span *t = arch == IGVM_ARCH_X64 ? regs_x64 : regs_arm64;
	size_t n = arch == IGVM_ARCH_X64 ? ARRAY_SIZE(regs_x64) : ARRAY_SIZE(regs_arm64);

	for (size_t i = 0; i < n; i++)
		if (name >= t[i].first && name <= t[i].last)
			return true;
	return false;
}

/* One register of the list: known, of the one VTL, named once, padding zero. */
static int check_reg(struct check *c, const struct igvm_header *h, uint32_t i, unsigned vtl)
{
	const uint8_t *raw =
		c->f->data + h->vp.file_off + 4 + (size_t)i * sizeof(struct igvm_vbs_reg);
	struct igvm_reg reg = igvm_vbs_reg_get(c->f, h, i);
	uint64_t off = (uint64_t)(raw - c->f->data);

	for (size_t b = offsetof(struct igvm_vbs_reg, rsvd);
	     b < offsetof(struct igvm_vbs_reg, value); b++)
		if (raw[b])
			return igvm_fail(c->err, off + b,
					 "register list: a reserved byte is not zero");
	if (reg.vtl != vtl)
		return igvm_fail(c->err, off, "register list: VTL %u and VTL %u in one VP_CONTEXT",
				 vtl, reg.vtl);
	if (!reg_known(c->f->arch, reg.name))
		return igvm_fail(c->err, off,
				 "register list: register %#x is not one that can be loaded",
				 reg.name);
	for (uint32_t k = 0; k < i; k++)
		if (igvm_vbs_reg_get(c->f, h, k).name == reg.name)
			return igvm_fail(c->err, off, "register list: register %#x appears twice",
					 reg.name);
	return 0;
}

static int check_vsm(struct check *c, const struct igvm_header *h, const struct igvm_platform *p)
{
	uint32_t count;
	unsigned vtl;
	int r;

	if (h->vp.gpa || h->vp.vp_index)
		return igvm_fail(c->err, h->off,
				 "VP_CONTEXT: GPA and VP index must be 0 on VSM_ISOLATION");
	if (!igvm_is_file_data(c->f, h->vp.file_off, 4))
		return igvm_fail(c->err, h->off,
				 "VP_CONTEXT: data at %#x is not inside the file data",
				 h->vp.file_off);
	count = igvm_vbs_reg_count(c->f, h);
	if (!count || count > IGVM_REGS_MAX ||
	    !igvm_is_file_data(c->f, h->vp.file_off,
			       4 + (uint64_t)count * sizeof(struct igvm_vbs_reg)))
		return igvm_fail(
			c->err, h->off,
			"VP_CONTEXT: %u registers are none, too many, or past the file's end",
			count);
	vtl = igvm_vbs_reg_get(c->f, h, 0).vtl;
	if (vtl > p->highest_vtl)
		return igvm_fail(c->err, h->off,
				 "VP_CONTEXT: VTL %u is above the platform's highest VTL %u", vtl,
				 p->highest_vtl);
	if (c->vsm_vp[vtl])
		return igvm_fail(c->err, h->off, "second VP_CONTEXT for VTL %u", vtl);
	for (uint32_t i = 0; i < count; i++) {
		r = check_reg(c, h, i, vtl);
		if (r < 0)
			return r;
	}
	c->vsm_vp[vtl] = h;
	return 0;
}

/* Platforms with one fixed-size context per VP; pages: the context is also placed in memory. */
static int check_fixed_size(struct check *c, const struct igvm_header *h, uint32_t type,
			    uint64_t len)
{
	uint8_t **seen = &c->vp_seen[type];
	uint8_t bit = (uint8_t)BIT(h->vp.vp_index % 8);

	if (!is_aligned(h->vp.gpa, KEEL_PAGE_SIZE) || h->vp.gpa >= BIT(52))
		return igvm_fail(c->err, h->off, "VP_CONTEXT: GPA %#llx is misaligned or too high",
				 (unsigned long long)h->vp.gpa);
	if (!igvm_is_file_data(c->f, h->vp.file_off, len))
		return igvm_fail(c->err, h->off,
				 "VP_CONTEXT: data at %#x is not inside the file data",
				 h->vp.file_off);
	if (!*seen)
		*seen = calloc(1, (UINT16_MAX + 1) / 8);
	if (!*seen)
		return -ENOMEM;
	if ((*seen)[h->vp.vp_index / 8] & bit)
		return igvm_fail(c->err, h->off, "second VP_CONTEXT for VP %u", h->vp.vp_index);
	(*seen)[h->vp.vp_index / 8] |= bit;
	return 0;
}

int igvm_check_vp(struct check *c, const struct igvm_header *h)
{
	const struct igvm_platform *p = igvm_mask_platform(c, h->mask);

	if (!p)
		return igvm_fail(c->err, h->off,
				 "VP_CONTEXT: mask %#x does not select exactly one platform",
				 h->mask);
	if (h->vp.rsvd)
		return igvm_fail(c->err, h->off, "VP_CONTEXT: a reserved field is not zero");
	switch ((enum igvm_platform_type)p->type) {
	case IGVM_PLATFORM_VSM_ISOLATION:
		return check_vsm(c, h, p);
	case IGVM_PLATFORM_NATIVE:
	case IGVM_PLATFORM_SEV:
	case IGVM_PLATFORM_SEV_SNP:
	case IGVM_PLATFORM_SEV_ES:
		return check_fixed_size(c, h, p->type, KEEL_PAGE_SIZE);
	case IGVM_PLATFORM_CCA:
		return check_fixed_size(c, h, p->type, CCA_CONTEXT_LEN);
	case IGVM_PLATFORM_TDX:
		break;
	}
	return igvm_fail(c->err, h->off,
			 "VP_CONTEXT for platform TDX, which starts from its reset page");
}
