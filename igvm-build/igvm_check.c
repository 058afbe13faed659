/* SPDX-License-Identifier: MIT */
/*
 * The rules of platform, initialization and directive headers, and those that need all of them.
 * Input: headers of a hostile file, decoded but unchecked; a header that gets through here is what
 * readers may rely on. Spec: IGVM file format, "Platform headers", "Initialization headers",
 * "Directive headers".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"
#include "hvregs.h"
#include "igvm_priv.h"

#define SNP_POLICY_MUST_BE_ONE BIT(17)
#define GPA_LIMIT BIT(52) /* no x86-64 or ARM64 machine has more physical address bits */

static bool one_bit(uint64_t v)
{
	return v && !(v & (v - 1));
}

static bool page_aligned(uint64_t v)
{
	return is_aligned(v, KEEL_PAGE_SIZE);
}

static bool gpa_ok(uint64_t gpa, uint64_t len)
{
	return range_ok(gpa, len, GPA_LIMIT);
}

const struct igvm_platform *igvm_mask_platform(const struct check *c, uint32_t mask)
{
	return one_bit(mask) ? c->platform[__builtin_ctz(mask)] : NULL;
}

/* Has the file a platform of this type, and does the mask select it? */
static bool mask_has_type(const struct check *c, uint32_t mask, uint32_t type)
{
	for (unsigned i = 0; i < 32; i++)
		if ((mask & BIT(i)) && c->platform[i] && c->platform[i]->type == type)
			return true;
	return false;
}

/* Does the mask select platforms of this type only? */
static bool mask_only_type(const struct check *c, uint32_t mask, uint32_t type)
{
	const struct igvm_platform *p = igvm_mask_platform(c, mask);

	return p && p->type == type;
}

/* At most one header of a kind per platform: *seen collects the masks. */
static int once(struct check *c, const struct igvm_header *h, uint32_t *seen)
{
	if (*seen & h->mask)
		return igvm_fail(c->err, h->off, "second %s for one platform",
				 igvm_type_name(h->type));
	*seen |= h->mask;
	return 0;
}

static int reserved(struct check *c, const struct igvm_header *h, uint64_t v)
{
	if (v)
		return igvm_fail(c->err, h->off, "%s: a reserved field is not zero",
				 igvm_type_name(h->type));
	return 0;
}

/* --- platform ---------------------------------------------------------------------------- */

static bool boundary_ok(const struct igvm_platform *p)
{
	switch (p->type) {
	case IGVM_PLATFORM_NATIVE:
	case IGVM_PLATFORM_VSM_ISOLATION:
		return p->shared_gpa_boundary == 0;
	default:
		return !p->shared_gpa_boundary || one_bit(p->shared_gpa_boundary);
	}
}

static bool arch_ok(uint32_t arch, uint32_t type)
{
	if (type == IGVM_PLATFORM_VSM_ISOLATION)
		return true;
	return (arch == IGVM_ARCH_AARCH64) == (type == IGVM_PLATFORM_CCA);
}

int igvm_check_platform(struct check *c, const struct igvm_header *h)
{
	const struct igvm_platform *p = &h->platform;

	if (!one_bit(p->mask))
		return igvm_fail(c->err, h->off, "platform mask %#x does not have exactly one bit",
				 p->mask);
	if (p->mask & c->platforms)
		return igvm_fail(c->err, h->off, "platform mask %#x is used twice", p->mask);
	if (p->highest_vtl != 0 && p->highest_vtl != 2)
		return igvm_fail(c->err, h->off, "highest VTL %u is neither 0 nor 2",
				 p->highest_vtl);
	if (p->type > IGVM_PLATFORM_CCA)
		return igvm_fail(c->err, h->off, "platform type %u is unknown", p->type);
	if (p->version != 1)
		return igvm_fail(c->err, h->off, "platform version %u is not 1", p->version);
	if (mask_has_type(c, c->platforms, p->type))
		return igvm_fail(c->err, h->off, "second platform header of type %s",
				 igvm_platform_name(p->type));
	if (!arch_ok(c->f->arch, p->type))
		return igvm_fail(c->err, h->off,
				 "platform %s does not exist on this file's architecture",
				 igvm_platform_name(p->type));
	if (!boundary_ok(p))
		return igvm_fail(c->err, h->off,
				 "shared GPA boundary %#llx is not allowed for platform %s",
				 (unsigned long long)p->shared_gpa_boundary,
				 igvm_platform_name(p->type));
	c->platform[__builtin_ctz(p->mask)] = p;
	c->platforms |= p->mask;
	return 0;
}

/* --- initialization ---------------------------------------------------------------------- */

static int check_policy(struct check *c, const struct igvm_header *h)
{
	int r = reserved(c, h, h->policy.rsvd);

	if (r < 0)
		return r;
	if (mask_has_type(c, h->mask, IGVM_PLATFORM_SEV_SNP) &&
	    !(h->policy.policy & SNP_POLICY_MUST_BE_ONE))
		return igvm_fail(c->err, h->off, "GUEST_POLICY: bit 17 must be set for SEV_SNP");
	if (mask_has_type(c, h->mask, IGVM_PLATFORM_VSM_ISOLATION) &&
	    (h->policy.policy & ~(uint64_t)IGVM_VBS_POLICY_DEBUG))
		return igvm_fail(c->err, h->off,
				 "GUEST_POLICY: only bit 0 may be set for VSM_ISOLATION");
	return once(c, h, &c->policies);
}

/* A new region must not overlap an earlier one of the same platform. */
static int add_region(struct check *c, const struct igvm_header *h, uint64_t gpa, uint64_t size)
{
	for (size_t i = 0; i < c->n_region; i++) {
		const struct igvm_header *o = c->region[i];
		bool is_pt = o->type == IGVM_PAGE_TABLE_RELOCATION;

		if ((o->mask & h->mask) &&
		    range_overlap(is_pt ? o->pt_reloc.gpa : o->reloc.gpa,
				  is_pt ? o->pt_reloc.size : o->reloc.size, gpa, size))
			return igvm_fail(c->err, h->off,
					 "%s overlaps the region of the header at %#llx",
					 igvm_type_name(h->type), (unsigned long long)o->off);
	}
	if (c->n_region == IGVM_REGIONS_MAX)
		return igvm_fail(c->err, h->off, "more than %u relocation headers",
				 IGVM_REGIONS_MAX);
	c->region[c->n_region++] = h;
	return 0;
}

static int check_region(struct check *c, const struct igvm_header *h)
{
	const struct igvm_reloc_region *x = &h->reloc;

	if (!x->alignment || !page_aligned(x->alignment))
		return igvm_fail(c->err, h->off,
				 "RELOCATABLE_REGION: alignment %#llx is not a multiple of 4096",
				 (unsigned long long)x->alignment);
	if (!x->size || !page_aligned(x->size))
		return igvm_fail(c->err, h->off,
				 "RELOCATABLE_REGION: size %#llx is not a multiple of 4096",
				 (unsigned long long)x->size);
	if (x->gpa % x->alignment || x->min_gpa % x->alignment || x->max_gpa % x->alignment)
		return igvm_fail(
			c->err, h->off,
			"RELOCATABLE_REGION: base or limit is not a multiple of the alignment");
	if (!gpa_ok(x->gpa, x->size) || x->max_gpa > GPA_LIMIT || x->min_gpa > x->max_gpa ||
	    x->size > x->max_gpa - x->min_gpa)
		return igvm_fail(c->err, h->off,
				 "RELOCATABLE_REGION: region does not fit its own limits");
	if (x->flags & ~(IGVM_RELOC_IS_VTL2 | IGVM_RELOC_APPLY_PC | IGVM_RELOC_APPLY_GDTR))
		return igvm_fail(c->err, h->off, "RELOCATABLE_REGION: unknown flags %#x", x->flags);
	return add_region(c, h, x->gpa, x->size);
}

static int check_pt_reloc(struct check *c, const struct igvm_header *h)
{
	const struct igvm_pt_reloc *x = &h->pt_reloc;
	int r = reserved(c, h, x->rsvd);

	if (r < 0)
		return r;
	if (!page_aligned(x->gpa) || !page_aligned(x->size) || !page_aligned(x->used_size))
		return igvm_fail(c->err, h->off,
				 "PAGE_TABLE_RELOCATION: base or size is not a multiple of 4096");
	if (!x->used_size || x->used_size > x->size || !gpa_ok(x->gpa, x->size))
		return igvm_fail(c->err, h->off,
				 "PAGE_TABLE_RELOCATION: used size %#llx does not fit size %#llx",
				 (unsigned long long)x->used_size, (unsigned long long)x->size);
	r = once(c, h, &c->pt_relocs);
	return r < 0 ? r : add_region(c, h, x->gpa, x->size);
}

static int check_corim(struct check *c, const struct igvm_header *h)
{
	bool sig = h->type == IGVM_CORIM_SIGNATURE;
	int r = reserved(c, h, h->corim.rsvd);

	if (r < 0)
		return r;
	if (!h->corim.size || !igvm_is_file_data(c->f, h->corim.file_off, h->corim.size))
		return igvm_fail(c->err, h->off, "%s: data %#x+%#x is not inside the file data",
				 igvm_type_name(h->type), h->corim.file_off, h->corim.size);
	if (sig && (h->mask & ~c->corims))
		return igvm_fail(c->err, h->off, "CORIM_SIGNATURE before its CORIM_DOCUMENT");
	return once(c, h, sig ? &c->corim_sigs : &c->corims);
}

static int check_cca(struct check *c, const struct igvm_header *h)
{
	const struct igvm_cca_policy *x = &h->cca;
	uint64_t rsvd = x->rsvd0;
	int r;

	for (size_t i = 0; i < sizeof(x->rsvd1); i++)
		rsvd |= x->rsvd1[i];
	r = reserved(c, h, rsvd);
	if (r < 0)
		return r;
	if (!mask_only_type(c, h->mask, IGVM_PLATFORM_CCA))
		return igvm_fail(c->err, h->off, "CCA_POLICY for a platform other than CCA");
	if (x->required_ones & x->required_zeroes)
		return igvm_fail(c->err, h->off,
				 "CCA_POLICY: a bit is required to be both one and zero");
	if (x->hash > 2 || x->lfa > 1)
		return igvm_fail(c->err, h->off, "CCA_POLICY: hash %u or LFA policy %u is unknown",
				 x->hash, x->lfa);
	return once(c, h, &c->cca_policies);
}

int igvm_check_init(struct check *c, const struct igvm_header *h)
{
	switch (h->type) {
	case IGVM_GUEST_POLICY:
		return check_policy(c, h);
	case IGVM_RELOCATABLE_REGION:
		return check_region(c, h);
	case IGVM_PAGE_TABLE_RELOCATION:
		return check_pt_reloc(c, h);
	case IGVM_CORIM_DOCUMENT:
	case IGVM_CORIM_SIGNATURE:
		return check_corim(c, h);
	default: /* the table of kinds has no other */
		return check_cca(c, h);
	}
}

/* --- directives -------------------------------------------------------------------------- */

static struct check_area *area_find(struct check *c, uint32_t index)
{
	for (size_t i = 0; i < c->n_area; i++)
		if (c->area[i].index == index)
			return &c->area[i];
	return NULL;
}

static int check_area(struct check *c, const struct igvm_header *h)
{
	const struct igvm_param_area *x = &h->area;

	if (!x->size || !page_aligned(x->size))
		return igvm_fail(c->err, h->off,
				 "PARAMETER_AREA: size %#llx is not a multiple of 4096",
				 (unsigned long long)x->size);
	if (area_find(c, x->index))
		return igvm_fail(c->err, h->off, "PARAMETER_AREA: index %u is allocated twice",
				 x->index);
	if (c->n_area == IGVM_AREAS_MAX || x->size > IGVM_AREA_BYTES_MAX - c->area_bytes)
		return igvm_fail(c->err, h->off, "more than %u parameter areas or %u bytes of them",
				 IGVM_AREAS_MAX, IGVM_AREA_BYTES_MAX);
	if (x->file_off && !igvm_is_file_data(c->f, x->file_off, x->size))
		return igvm_fail(c->err, h->off,
				 "PARAMETER_AREA: initial data at %#x is not inside the file data",
				 x->file_off);
	c->area_bytes += x->size;
	c->area[c->n_area++] =
		(struct check_area){ .index = x->index, .size = x->size, .off = h->off };
	return 0;
}

/* Bytes a parameter needs at least; tables and strings are as long as the host makes them. */
static uint32_t param_min_len(uint32_t type)
{
	switch (type) {
	case IGVM_MMIO_RANGES:
		return 2 * sizeof(struct igvm_mmio_range);
	case IGVM_MEMORY_MAP:
		return sizeof(struct igvm_mem_entry);
	case IGVM_VP_COUNT_PARAMETER:
	case IGVM_ENVIRONMENT_INFO:
		return 4;
	default:
		return 1;
	}
}

static int check_param(struct check *c, const struct igvm_header *h)
{
	const struct check_area *a = area_find(c, h->param.index);

	if (!a)
		return igvm_fail(c->err, h->off, "%s: parameter area %u does not exist (yet)",
				 igvm_type_name(h->type), h->param.index);
	if (a->state != AREA_OPEN)
		return igvm_fail(c->err, h->off,
				 "%s: parameter area %u is used after its PARAMETER_INSERT",
				 igvm_type_name(h->type), h->param.index);
	if (!range_ok(h->param.byte_off, param_min_len(h->type), a->size))
		return igvm_fail(c->err, h->off,
				 "%s: byte offset %#x does not fit parameter area %u",
				 igvm_type_name(h->type), h->param.byte_off, h->param.index);
	return 0;
}

/* No parameter may be dropped on page tables that the loader is going to rewrite. */
static int check_insert_place(struct check *c, const struct igvm_header *h, uint64_t size)
{
	for (size_t i = 0; i < c->n_region; i++) {
		const struct igvm_header *o = c->region[i];

		if (o->type == IGVM_PAGE_TABLE_RELOCATION && (o->mask & h->mask) &&
		    range_overlap(o->pt_reloc.gpa, o->pt_reloc.size, h->insert.gpa, size))
			return igvm_fail(c->err, h->off,
					 "PARAMETER_INSERT inside the page tables to be relocated");
	}
	return 0;
}

static int check_insert(struct check *c, const struct igvm_header *h)
{
	struct check_area *a = area_find(c, h->insert.index);

	if (!a)
		return igvm_fail(c->err, h->off,
				 "PARAMETER_INSERT: parameter area %u does not exist (yet)",
				 h->insert.index);
	if (a->state != AREA_OPEN)
		return igvm_fail(c->err, h->off,
				 "PARAMETER_INSERT: parameter area %u is inserted twice",
				 h->insert.index);
	if (!page_aligned(h->insert.gpa) || !gpa_ok(h->insert.gpa, a->size))
		return igvm_fail(c->err, h->off,
				 "PARAMETER_INSERT: GPA %#llx is misaligned or too high",
				 (unsigned long long)h->insert.gpa);
	a->state = AREA_INSERTED;
	return check_insert_place(c, h, a->size);
}

static int check_page(struct check *c, const struct igvm_header *h)
{
	const struct igvm_page_data *x = &h->page;
	int r = reserved(c, h, x->rsvd);

	if (r < 0)
		return r;
	if (x->flags & IGVM_PAGE_IS_2MB)
		return igvm_fail(c->err, h->off, "PAGE_DATA: 2 MiB pages are not supported");
	if (x->flags & ~(IGVM_PAGE_IS_2MB | IGVM_PAGE_UNMEASURED | IGVM_PAGE_SHARED))
		return igvm_fail(c->err, h->off, "PAGE_DATA: unknown flags %#x", x->flags);
	if (!page_aligned(x->gpa) || !gpa_ok(x->gpa, KEEL_PAGE_SIZE))
		return igvm_fail(c->err, h->off, "PAGE_DATA: GPA %#llx is misaligned or too high",
				 (unsigned long long)x->gpa);
	if (x->type > IGVM_PAGE_CPUID_XF)
		return igvm_fail(c->err, h->off, "PAGE_DATA: data type %u is unknown", x->type);
	if (x->type != IGVM_PAGE_NORMAL && !mask_only_type(c, h->mask, IGVM_PLATFORM_SEV_SNP))
		return igvm_fail(c->err, h->off, "PAGE_DATA: data type %u exists on SEV_SNP only",
				 x->type);
	if (x->file_off && !igvm_is_file_data(c->f, x->file_off, KEEL_PAGE_SIZE))
		return igvm_fail(c->err, h->off,
				 "PAGE_DATA: data at %#x is not inside the file data", x->file_off);
	return 0;
}

static int check_required(struct check *c, const struct igvm_header *h)
{
	const struct igvm_required_memory *x = &h->required;
	int r = reserved(c, h, x->rsvd);

	if (r < 0)
		return r;
	if (!page_aligned(x->gpa) || !x->size || !page_aligned(x->size) || !gpa_ok(x->gpa, x->size))
		return igvm_fail(
			c->err, h->off,
			"REQUIRED_MEMORY: range %#llx+%#x is empty, misaligned or too high",
			(unsigned long long)x->gpa, x->size);
	if (x->flags & ~IGVM_MEM_VTL2_PROTECTABLE)
		return igvm_fail(c->err, h->off, "REQUIRED_MEMORY: unknown flags %#x", x->flags);
	return 0;
}

static int check_error_range(struct check *c, const struct igvm_header *h)
{
	const struct igvm_error_range *x = &h->error_range;

	if (!page_aligned(x->gpa) || !x->size || !page_aligned(x->size) || !gpa_ok(x->gpa, x->size))
		return igvm_fail(c->err, h->off,
				 "ERROR_RANGE: range %#llx+%#x is empty, misaligned or too high",
				 (unsigned long long)x->gpa, x->size);
	return 0;
}

static int check_id_block(struct check *c, const struct igvm_header *h)
{
	const uint8_t *b = igvm_header_body(c->f, h);
	int r = reserved(c, h, (uint64_t)b[5] | b[6] | b[7]);

	if (r < 0)
		return r;
	if (!mask_only_type(c, h->mask, IGVM_PLATFORM_SEV_SNP))
		return igvm_fail(c->err, h->off, "SNP_ID_BLOCK for a platform other than SEV_SNP");
	return once(c, h, &c->id_blocks);
}

static int check_vbs_measurement(struct check *c, const struct igvm_header *h)
{
	if (!mask_only_type(c, h->mask, IGVM_PLATFORM_VSM_ISOLATION))
		return igvm_fail(c->err, h->off,
				 "VBS_MEASUREMENT for a platform other than VSM_ISOLATION");
	return once(c, h, &c->vbs_measures);
}

int igvm_check_directive(struct check *c, const struct igvm_header *h)
{
	switch (h->type) {
	case IGVM_PARAMETER_AREA:
		return check_area(c, h);
	case IGVM_PAGE_DATA:
		return check_page(c, h);
	case IGVM_PARAMETER_INSERT:
		return check_insert(c, h);
	case IGVM_VP_CONTEXT:
		return igvm_check_vp(c, h);
	case IGVM_REQUIRED_MEMORY:
		return check_required(c, h);
	case IGVM_ERROR_RANGE:
		return check_error_range(c, h);
	case IGVM_SNP_ID_BLOCK:
		return check_id_block(c, h);
	case IGVM_VBS_MEASUREMENT:
		return check_vbs_measurement(c, h);
	default: /* the table of kinds has parameters left only */
		return check_param(c, h);
	}
}

/* --- all headers together ---------------------------------------------------------------- */

struct span {
	uint64_t gpa, end;
	uint32_t mask;
	bool required; /* REQUIRED_MEMORY: checked among themselves */
	uint32_t flags;
	uint64_t off;
};

static int span_cmp(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->gpa != y->gpa)
		return x->gpa < y->gpa ? -1 : 1;
	return x->off < y->off ? -1 : 1;
}

/* The guest memory a header writes or asks for; false: none. */
static bool span_of(const struct check *c, const struct igvm_header *h, struct span *ret)
{
	uint64_t gpa, len = KEEL_PAGE_SIZE;

	switch (h->type) {
	case IGVM_PAGE_DATA:
		gpa = h->page.gpa;
		break;
	case IGVM_PARAMETER_INSERT:
		gpa = h->insert.gpa;
		for (size_t i = 0; i < c->n_area; i++)
			if (c->area[i].index == h->insert.index)
				len = c->area[i].size;
		break;
	case IGVM_VP_CONTEXT:
		gpa = h->vp.gpa;
		if (mask_only_type(c, h->mask, IGVM_PLATFORM_VSM_ISOLATION) ||
		    mask_only_type(c, h->mask, IGVM_PLATFORM_CCA))
			return false; /* a list of registers, not a page */
		break;
	case IGVM_ERROR_RANGE:
		gpa = h->error_range.gpa;
		len = h->error_range.size;
		break;
	case IGVM_REQUIRED_MEMORY:
		gpa = h->required.gpa;
		len = h->required.size;
		break;
	default:
		return false;
	}
	*ret = (struct span){ .gpa = gpa,
			      .end = gpa + len,
			      .mask = h->mask,
			      .off = h->off,
			      .required = h->type == IGVM_REQUIRED_MEMORY,
			      .flags = h->required.flags };
	return true;
}

/* Sweep the sorted spans of one class; remember, per platform, the span that reaches furthest. */
static int sweep(struct check *c, const struct span *s, size_t n, bool required)
{
	const struct span *far[32] = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (s[i].required != required)
			continue;
		for (uint32_t m = s[i].mask; m; m &= m - 1) {
			const struct span **f = &far[__builtin_ctz(m)];

			if (*f && (*f)->end > s[i].gpa && !(required && (*f)->flags == s[i].flags))
				return igvm_fail(c->err, MAX((*f)->off, s[i].off),
						 "%s at GPA %#llx overlaps the header at %#llx",
						 required ? "REQUIRED_MEMORY with other flags"
							  : "content",
						 (unsigned long long)s[i].gpa,
						 (unsigned long long)MIN((*f)->off, s[i].off));
			if (!*f || (*f)->end < s[i].end)
				*f = &s[i];
		}
	}
	return 0;
}

static int check_overlaps(struct check *c)
{
	struct igvm_file *f = c->f;
	struct span *s = calloc(f->n_hdr + 1, sizeof(*s));
	size_t n = 0;
	int r;

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < f->n_hdr; i++)
		n += span_of(c, &f->hdr[i], &s[n]);
	qsort(s, n, sizeof(*s), span_cmp);
	r = sweep(c, s, n, false);
	if (r == 0)
		r = sweep(c, s, n, true);
	free(s);
	return r;
}

/* CR3 of a VP context, 0 when it is not listed. */
static uint64_t vp_cr3(const struct igvm_file *f, const struct igvm_header *vp)
{
	uint32_t n = igvm_vbs_reg_count(f, vp);

	for (uint32_t i = 0; i < n; i++) {
		struct igvm_reg reg = igvm_vbs_reg_get(f, vp, i);

		if (reg.name == HVREG_CR3)
			return reg.val.u64;
	}
	return 0;
}

/* Relocation changes registers: there must be a VP context of the same VTL to change. */
static int check_relocations(struct check *c)
{
	for (size_t i = 0; i < c->n_region; i++) {
		const struct igvm_header *h = c->region[i];
		bool pt = h->type == IGVM_PAGE_TABLE_RELOCATION;
		unsigned vp = pt ? h->pt_reloc.vp_index : h->reloc.vp_index;
		unsigned vtl = pt ? h->pt_reloc.vtl : h->reloc.vtl;
		uint64_t cr3;

		if (!mask_only_type(c, h->mask, IGVM_PLATFORM_VSM_ISOLATION) || vp != 0 ||
		    vtl > 2 || !c->vsm_vp[vtl])
			return igvm_fail(c->err, h->off,
					 "%s: no VP_CONTEXT of a VSM platform for VP %u, VTL %u",
					 igvm_type_name(h->type), vp, vtl);
		cr3 = pt ? vp_cr3(c->f, c->vsm_vp[vtl]) : 0;
		if (pt && cr3 != h->pt_reloc.gpa)
			return igvm_fail(
				c->err, h->off,
				"PAGE_TABLE_RELOCATION: CR3 is %#llx, the tables are at %#llx",
				(unsigned long long)cr3, (unsigned long long)h->pt_reloc.gpa);
	}
	return 0;
}

int igvm_check_whole(struct check *c)
{
	int r;

	for (size_t i = 0; i < c->n_area; i++)
		if (c->area[i].state != AREA_INSERTED)
			return igvm_fail(c->err, c->area[i].off,
					 "parameter area %u is never inserted", c->area[i].index);
	r = check_relocations(c);
	return r < 0 ? r : check_overlaps(c);
}
