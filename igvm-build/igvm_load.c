/* SPDX-License-Identifier: MIT */
/*
 * Second step of the loader: parameters, pages, registers. Input: a checked file, the plan made for
 * it, the host's parameters. State lives for one call. Spec: IGVM file format, loader algorithm,
 * steps 3 to 8.
 */
#include "igvm_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"
#include "hvregs.h"
#include "igvm_move.h"
#include "igvm_priv.h"
#include "le.h"

#define PT_REGION_MAX (16u << 20) /* far above any real set of tables */

struct area_buf {
	uint32_t index;
	size_t size;
	uint8_t *buf;
};

struct load {
	const struct igvm_file *f;
	const struct igvm_plan *plan;
	const struct igvm_load_params *params;
	const struct igvm_load_ops *ops;
	struct igvm_error *err;
	struct area_buf area[IGVM_AREAS_MAX];
	size_t n_area;
	uint8_t *tables; /* page tables held back until all are there; NULL = nothing moves */
};

/* Is the page RAM of the plan? */
static bool in_map(const struct igvm_plan *plan, uint64_t gpa)
{
	uint64_t gpn = gpa / KEEL_PAGE_SIZE;

	for (size_t i = 0; i < plan->n_map; i++)
		if (gpn >= plan->map[i].gpn && gpn - plan->map[i].gpn < plan->map[i].pages)
			return true;
	return false;
}

static int put_page(struct load *l, uint64_t off, uint64_t gpa, const void *page)
{
	if (!in_map(l->plan, gpa)) {
		(void)igvm_fail(l->err, off, "content at GPA %#llx is outside RAM",
				(unsigned long long)gpa);
		return -ENXIO;
	}
	return l->ops->write_page(l->ops->ctx, gpa, page);
}

static struct area_buf *area_of(struct load *l, uint32_t index)
{
	for (size_t i = 0; i < l->n_area; i++)
		if (l->area[i].index == index)
			return &l->area[i];
	return NULL; /* not in a checked file */
}

static int load_area(struct load *l, const struct igvm_header *h)
{
	struct area_buf *a = &l->area[l->n_area];
	const void *init;
	size_t len;

	a->buf = calloc(1, h->area.size);
	if (!a->buf)
		return -ENOMEM;
	a->size = h->area.size;
	a->index = h->area.index;
	init = igvm_data(l->f, h, &len);
	if (init)
		memcpy(a->buf, init, len);
	l->n_area++;
	return 0;
}

static int put_param(struct load *l, const struct igvm_header *h, const void *data, size_t len)
{
	struct area_buf *a = area_of(l, h->param.index);

	if (!a || !range_ok(h->param.byte_off, len, a->size))
		return igvm_fail(l->err, h->off, "%s: %zu bytes do not fit parameter area %u",
				 igvm_type_name(h->type), len, h->param.index);
	if (len)
		memcpy(a->buf + h->param.byte_off, data, len);
	return 0;
}

static int put_u32(struct load *l, const struct igvm_header *h, uint32_t v)
{
	uint8_t b[4];

	le32_store(b, v);
	return put_param(l, h, b, sizeof(b));
}

static int put_memory_map(struct load *l, const struct igvm_header *h)
{
	/* One more entry than the map has, all zero: it ends the list. */
	struct igvm_mem_entry e[IGVM_PLAN_MAP_MAX + 1] = { 0 };

	memcpy(e, l->plan->map, l->plan->n_map * sizeof(e[0]));
	return put_param(l, h, e, (l->plan->n_map + 1) * sizeof(e[0]));
}

static int put_blob(struct load *l, const struct igvm_header *h, const struct igvm_blob *b)
{
	return b->data ? put_param(l, h, b->data, b->len) : 0;
}

static int put_device_tree(struct load *l, const struct igvm_header *h)
{
	if (!l->params->device_tree.data) {
		(void)igvm_fail(l->err, h->off, "the image needs a device tree and none was given");
		return -ENXIO;
	}
	return put_blob(l, h, &l->params->device_tree);
}

static int load_param(struct load *l, const struct igvm_header *h)
{
	const struct igvm_load_params *p = l->params;
	const char *cmdline = p->command_line ? p->command_line : "";

	switch (h->type) {
	case IGVM_VP_COUNT_PARAMETER:
		return put_u32(l, h, p->vp_count);
	case IGVM_ENVIRONMENT_INFO:
		return put_u32(l, h, p->memory_is_shared);
	case IGVM_MMIO_RANGES:
		return put_param(l, h, p->mmio, sizeof(p->mmio));
	case IGVM_MEMORY_MAP:
		return put_memory_map(l, h);
	case IGVM_COMMAND_LINE:
		return put_param(l, h, cmdline, strlen(cmdline) + 1);
	case IGVM_SRAT:
		return put_blob(l, h, &p->srat);
	case IGVM_MADT:
		return put_blob(l, h, &p->madt);
	case IGVM_SLIT:
		return put_blob(l, h, &p->slit);
	case IGVM_PPTT:
		return put_blob(l, h, &p->pptt);
	case IGVM_DEVICE_TREE:
		return put_device_tree(l, h);
	default:
		return 0;
	}
}

static int load_insert(struct load *l, const struct igvm_header *h)
{
	struct area_buf *a = area_of(l, h->insert.index);
	uint64_t gpa = igvm_shift(l->plan, h->insert.gpa);
	int r = 0;

	for (size_t off = 0; a && off < a->size && r == 0; off += KEEL_PAGE_SIZE)
		r = put_page(l, h->off, gpa + off, a->buf + off);
	return r;
}

static int load_page(struct load *l, const struct igvm_header *h)
{
	const struct igvm_pt_reloc *pt = &l->plan->pt;
	const void *data;
	size_t len;

	if (h->page.type != IGVM_PAGE_NORMAL)
		return igvm_fail(l->err, h->off, "PAGE_DATA: data type %u needs hardware isolation",
				 h->page.type);
	data = igvm_data(l->f, h, &len);
	if (l->tables && h->page.gpa >= pt->gpa && h->page.gpa - pt->gpa < pt->size) {
		if (data)
			memcpy(l->tables + (h->page.gpa - pt->gpa), data, KEEL_PAGE_SIZE);
		return 0;
	}
	return put_page(l, h->off, igvm_shift(l->plan, h->page.gpa), data);
}

/* The tables are complete: rebuild and place them. */
static int load_tables(struct load *l)
{
	const struct igvm_pt_reloc *pt = &l->plan->pt;
	uint8_t *new = calloc(1, pt->size);
	int r = -ENOMEM;

	if (new)
		r = igvm_move_tables(l->plan, l->tables, new, l->err);
	for (uint64_t off = 0; off < pt->size && r == 0; off += KEEL_PAGE_SIZE)
		r = put_page(l, 0, pt->gpa + l->plan->offset + off, new + off);
	free(new);
	return r;
}

static int load_vp(struct load *l, const struct igvm_header *h, struct igvm_load_result *res)
{
	const struct igvm_plan *plan = l->plan;
	uint8_t vtl = igvm_vbs_reg_get(l->f, h, 0).vtl;
	uint32_t n = igvm_vbs_reg_count(l->f, h);

	if (res->n_regs && vtl < res->vtl)
		return 0; /* a context for a lower VTL: its highest VTL will set it up */
	res->vtl = vtl;
	res->n_regs = n;
	for (uint32_t i = 0; i < n; i++) {
		struct igvm_reg reg = igvm_vbs_reg_get(l->f, h, i);

		if (reg.name == HVREG_RIP && plan->relocatable &&
		    (plan->reloc.flags & IGVM_RELOC_APPLY_PC))
			reg.val.u64 += plan->offset;
		if (reg.name == HVREG_GDTR && plan->relocatable &&
		    (plan->reloc.flags & IGVM_RELOC_APPLY_GDTR))
			reg.val.table.base += plan->offset;
		if (reg.name == HVREG_CR3 && plan->has_page_tables)
			reg.val.u64 += plan->offset;
		res->regs[i] = reg;
	}
	return 0;
}

static int load_one(struct load *l, const struct igvm_header *h, struct igvm_load_result *res)
{
	switch (h->type) {
	case IGVM_PARAMETER_AREA:
		return load_area(l, h);
	case IGVM_PARAMETER_INSERT:
		return load_insert(l, h);
	case IGVM_PAGE_DATA:
		return load_page(l, h);
	case IGVM_VP_CONTEXT:
		return load_vp(l, h, res);
	default: /* parameters; platform and initialization headers were the plan's */
		return load_param(l, h);
	}
}

static int load_all(struct load *l, struct igvm_load_result *res)
{
	const struct igvm_plan *plan = l->plan;
	const struct igvm_header *h;
	size_t pos = 0;
	int r = 0;

	if (plan->offset && plan->has_page_tables) {
		if (plan->pt.size > PT_REGION_MAX)
			return igvm_fail(l->err, 0, "page table region is larger than %u bytes",
					 PT_REGION_MAX);
		l->tables = calloc(1, plan->pt.size);
		if (!l->tables)
			return -ENOMEM;
	}
	while (r == 0 && (h = igvm_next(l->f, &pos, plan->mask)))
		r = load_one(l, h, res);
	if (r == 0 && l->tables)
		r = load_tables(l);
	if (r == 0 && !res->n_regs)
		return igvm_fail(l->err, 0, "the image has no VP_CONTEXT for this platform");
	return r;
}

int igvm_load(const struct igvm_file *file, const struct igvm_plan *plan,
	      const struct igvm_load_params *params, const struct igvm_load_ops *ops,
	      struct igvm_load_result *ret, struct igvm_error *err)
{
	struct load *l = calloc(1, sizeof(*l));
	struct igvm_load_result *res = calloc(1, sizeof(*res));
	int r = -ENOMEM;

	if (l && res) {
		*l = (struct load){
			.f = file, .plan = plan, .params = params, .ops = ops, .err = err
		};
		r = load_all(l, res);
	}
	if (r == 0)
		*ret = *res;
	for (size_t i = 0; l && i < l->n_area; i++)
		free(l->area[i].buf);
	if (l)
		free(l->tables);
	free(l);
	free(res);
	return r;
}
