/* SPDX-License-Identifier: MIT */
/*
 * First step of the loader: which platform, which base, which memory map. Input: a checked file and
 * the host's own RAM list. No state. Spec: IGVM file format, loader algorithm, steps 1, 2, 6, 9.
 */
#include "igvm_load.h"

#include <errno.h>

#include "ckd.h"
#include "igvm_move.h"
#include "igvm_priv.h"

uint64_t igvm_shift(const struct igvm_plan *plan, uint64_t gpa)
{
	if (plan->relocatable && gpa >= plan->reloc.gpa && gpa - plan->reloc.gpa < plan->reloc.size)
		return gpa + plan->offset;
	if (plan->has_page_tables && gpa >= plan->pt.gpa && gpa - plan->pt.gpa < plan->pt.size)
		return gpa + plan->offset;
	return gpa;
}

/* Is the range wholly RAM? Neighbouring ranges that touch count as one. */
static bool is_ram(const struct igvm_plan_cfg *cfg, uint64_t gpa, uint64_t len)
{
	for (size_t i = 0; i < cfg->n_ram && len; i++) {
		const struct igvm_range *r = &cfg->ram[i];
		uint64_t part;

		if (gpa < r->gpa || gpa - r->gpa >= r->len)
			continue;
		part = MIN(len, r->len - (gpa - r->gpa));
		gpa += part;
		len -= part;
	}
	return !len;
}

static int no_fit(struct igvm_error *err, uint64_t off, const char *why, uint64_t gpa, uint64_t len)
{
	(void)igvm_fail(err, off, "%s: %#llx+%#llx", why, (unsigned long long)gpa,
			(unsigned long long)len);
	return -ENXIO;
}

/* Find what moves. OpenHCL images have one region and one set of tables, or neither. */
static int find_regions(const struct igvm_file *f, struct igvm_plan *plan, struct igvm_error *err)
{
	const struct igvm_header *h;
	size_t pos = 0;

	while ((h = igvm_next(f, &pos, plan->mask))) {
		if (h->type == IGVM_RELOCATABLE_REGION) {
			if (plan->relocatable)
				return no_fit(err, h->off,
					      "a second relocatable region is not supported",
					      h->reloc.gpa, h->reloc.size);
			plan->relocatable = true;
			plan->reloc = h->reloc;
		} else if (h->type == IGVM_PAGE_TABLE_RELOCATION) {
			plan->has_page_tables = true;
			plan->pt = h->pt_reloc;
		}
	}
	return 0;
}

/* Does everything the file asks for or writes lie in RAM with the plan's offset? */
static int check_places(const struct igvm_file *f, const struct igvm_plan_cfg *cfg,
			const struct igvm_plan *plan, struct igvm_error *err)
{
	const struct igvm_header *h;
	size_t pos = 0;

	if (plan->has_page_tables && !is_ram(cfg, plan->pt.gpa + plan->offset, plan->pt.size))
		return no_fit(err, 0, "page tables are outside RAM", plan->pt.gpa + plan->offset,
			      plan->pt.size);
	while ((h = igvm_next(f, &pos, plan->mask))) {
		uint64_t gpa, len = KEEL_PAGE_SIZE;

		if (h->type == IGVM_REQUIRED_MEMORY) {
			gpa = igvm_shift(plan, h->required.gpa);
			len = h->required.size;
		} else if (h->type == IGVM_PAGE_DATA) {
			gpa = igvm_shift(plan, h->page.gpa);
		} else {
			continue;
		}
		if (!is_ram(cfg, gpa, len))
			return no_fit(err, h->off,
				      h->type == IGVM_PAGE_DATA ? "content is outside RAM"
								: "required memory is outside RAM",
				      gpa, len);
	}
	return 0;
}

/* One candidate base: set the offset and see whether everything fits. */
static int try_base(const struct igvm_file *f, const struct igvm_plan_cfg *cfg, uint64_t base,
		    struct igvm_plan *plan, struct igvm_error *err)
{
	const struct igvm_reloc_region *x = &plan->reloc;

	if (base % x->alignment || base < x->min_gpa || base > x->max_gpa ||
	    x->size > x->max_gpa - base)
		return no_fit(err, 0, "base breaks the relocatable region's alignment or limits",
			      base, x->size);
	plan->offset = base - x->gpa;
	return check_places(f, cfg, plan, err);
}

/* Bytes from the region's start to the end of whatever moves with it. */
static uint64_t moved_span(const struct igvm_file *f, const struct igvm_plan *plan)
{
	uint64_t start = plan->reloc.gpa, end = start + plan->reloc.size;
	const struct igvm_header *h;
	size_t pos = 0;

	if (plan->has_page_tables && plan->pt.gpa >= start)
		end = MAX(end, plan->pt.gpa + plan->pt.size);
	while ((h = igvm_next(f, &pos, plan->mask)))
		if (h->type == IGVM_REQUIRED_MEMORY && h->required.gpa >= start &&
		    h->required.gpa < start + plan->reloc.size)
			end = MAX(end, h->required.gpa + h->required.size);
	return end - start;
}

/* The highest place of each RAM range, from the top of memory down. */
static int fit_base(const struct igvm_file *f, const struct igvm_plan_cfg *cfg,
		    struct igvm_plan *plan, struct igvm_error *err)
{
	uint64_t span = moved_span(f, plan);

	for (size_t i = cfg->n_ram; i-- > 0;) {
		const struct igvm_range *r = &cfg->ram[i];
		uint64_t base;

		if (r->len < span)
			continue;
		base = r->gpa + r->len - span;
		base -= base % plan->reloc.alignment;
		if (base >= r->gpa && try_base(f, cfg, base, plan, err) == 0)
			return 0;
	}
	return no_fit(err, 0, "no RAM range is large enough for the image", plan->reloc.gpa, span);
}

static int choose_base(const struct igvm_file *f, const struct igvm_plan_cfg *cfg,
		       struct igvm_plan *plan, struct igvm_error *err)
{
	int r = check_places(f, cfg, plan, err);

	switch (cfg->policy) {
	case IGVM_BASE_FILE:
		return r;
	case IGVM_BASE_AT:
		if (!plan->relocatable)
			return no_fit(err, 0, "the image cannot be relocated", cfg->base, 0);
		return try_base(f, cfg, cfg->base, plan, err);
	case IGVM_BASE_FIT:
		break;
	}
	if (r == 0 || !plan->relocatable)
		return r;
	return fit_base(f, cfg, plan, err);
}

static int add_map(struct igvm_plan *plan, uint64_t gpa, uint64_t end, uint16_t type)
{
	struct igvm_mem_entry *last = plan->n_map ? &plan->map[plan->n_map - 1] : NULL;

	if (gpa == end)
		return 0;
	if (last && last->type == type && last->gpn + last->pages == gpa / KEEL_PAGE_SIZE) {
		last->pages += (end - gpa) / KEEL_PAGE_SIZE;
		return 0;
	}
	if (plan->n_map == IGVM_PLAN_MAP_MAX)
		return -E2BIG;
	plan->map[plan->n_map++] = (struct igvm_mem_entry){ .gpn = gpa / KEEL_PAGE_SIZE,
							    .pages = (end - gpa) / KEEL_PAGE_SIZE,
							    .type = type };
	return 0;
}

/* The type at gpa, and how far it reaches (at most to *end). */
static uint16_t type_at(const struct igvm_file *f, const struct igvm_plan *plan, uint64_t gpa,
			uint64_t *end)
{
	const struct igvm_header *h;
	uint16_t type = IGVM_MEM_MEMORY;
	size_t pos = 0;

	while ((h = igvm_next(f, &pos, plan->mask))) {
		uint64_t s, e;

		if (h->type != IGVM_REQUIRED_MEMORY ||
		    !(h->required.flags & IGVM_MEM_VTL2_PROTECTABLE))
			continue;
		s = igvm_shift(plan, h->required.gpa);
		e = s + h->required.size;
		if (gpa >= s && gpa < e) {
			type = IGVM_MEM_VTL2_PROTECTABLE_RAM;
			*end = MIN(*end, e);
		} else if (s > gpa) {
			*end = MIN(*end, s);
		}
	}
	return type;
}

static int build_map(const struct igvm_file *f, const struct igvm_plan_cfg *cfg,
		     struct igvm_plan *plan)
{
	for (size_t i = 0; i < cfg->n_ram; i++) {
		uint64_t gpa = cfg->ram[i].gpa, stop = gpa + cfg->ram[i].len;

		while (gpa < stop) {
			uint64_t end = stop;
			uint16_t type = type_at(f, plan, gpa, &end);
			int r = add_map(plan, gpa, end, type);

			if (r < 0)
				return r;
			gpa = end;
		}
	}
	return 0;
}

int igvm_plan_make(const struct igvm_file *file, const struct igvm_plan_cfg *cfg,
		   struct igvm_plan *ret_plan, struct igvm_error *err)
{
	struct igvm_plan plan = { .platform = igvm_platform_find(file, cfg->platform_type) };
	int r;

	if (igvm_arch(file) != cfg->arch) {
		(void)igvm_fail(err, 0, "the image is for %s, the machine is not",
				igvm_arch(file) == IGVM_ARCH_X64 ? "x64" : "AArch64");
		return -ENXIO;
	}
	if (!plan.platform) {
		(void)igvm_fail(err, 0, "the image has no platform header of type %s",
				igvm_platform_name(cfg->platform_type));
		return -ENXIO;
	}
	plan.mask = plan.platform->mask;
	r = find_regions(file, &plan, err);
	if (r == 0)
		r = choose_base(file, cfg, &plan, err);
	if (r == 0)
		r = build_map(file, cfg, &plan);
	if (r == 0)
		*ret_plan = plan;
	return r;
}
