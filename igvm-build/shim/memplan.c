/* SPDX-License-Identifier: MIT */
/* Memory plan. Input: the checked host tree, the measured image. See the header. */
#include "memplan.h"

#include <errno.h>
#include <string.h>

#include "ckd.h"
#include "igvm_fmt.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define SHARE_ALIGN (8 * KEEL_PAGE_SIZE) /* per-node shares */
#define MMIO_AUTO_MIN (128 * MIB)
#define MMIO_AUTO_MAX (1 * GIB)
#define FOUR_GIB (4 * GIB)

struct plan {
	const struct host_dt *host;
	const struct plan_image *img;
	struct memplan *out;
	const char *why;
};

static int fail(struct plan *p, int err, const char *why)
{
	p->why = why;
	return err;
}

static uint64_t end_of(const struct host_range *r)
{
	return r->base + r->len;
}

/* The common part of two ranges; len 0 when there is none. */
static struct host_range common(const struct host_range *a, const struct host_range *b)
{
	uint64_t base = MAX(a->base, b->base), end = MIN(end_of(a), end_of(b));

	return (struct host_range){ .base = base, .len = end > base ? end - base : 0 };
}

/* __builtin_popcountll() would call a library that the shim does not have. */
static uint64_t count_bits(uint64_t v)
{
	uint64_t n = 0;

	for (; v; v &= v - 1)
		n++;
	return n;
}

static bool inside(const struct host_range *in, const struct host_range *out)
{
	return in->base >= out->base && end_of(in) <= end_of(out);
}

/* --- VTL2's RAM -------------------------------------------------------------------------- */

static int add_ram(struct plan *p, const struct host_range *r, uint32_t node)
{
	struct memplan *out = p->out;
	size_t at = out->n_ram;

	if (out->n_ram == PLAN_RAM_MAX)
		return fail(p, -E2BIG, "VTL2 memory consists of more than 64 ranges");
	while (at && out->ram[at - 1].r.base > r->base)
		at--;
	memmove(&out->ram[at + 1], &out->ram[at], (out->n_ram - at) * sizeof(out->ram[0]));
	out->ram[at] = (struct plan_ram){ .r = *r, .node = node };
	out->n_ram++;
	return 0;
}

/* The parts of a range that are RAM, each with its node. */
static int add_measured(struct plan *p, uint64_t *ret_bytes)
{
	*ret_bytes = 0;
	for (size_t i = 0; i < p->host->n_mem; i++) {
		struct host_range r = common(&p->host->mem[i].r, &p->img->memory);
		int err = r.len ? add_ram(p, &r, p->host->mem[i].node) : 0;

		if (err < 0)
			return err;
		*ret_bytes += r.len;
	}
	return 0;
}

static int ram_from_host(struct plan *p)
{
	uint64_t bytes;
	int r = 0;

	for (size_t i = 0; i < p->host->n_mem && r == 0; i++)
		if (p->host->mem[i].igvm_type == IGVM_MEM_VTL2_PROTECTABLE_RAM)
			r = add_ram(p, &p->host->mem[i].r, p->host->mem[i].node);
	if (r == 0 && !p->out->n_ram)
		r = add_measured(p, &bytes);
	return r;
}

/* Take up to *need bytes from the top of what a memory range has outside the image. */
static int take_top(struct plan *p, const struct host_mem *m, uint64_t *need)
{
	const struct host_range *img = &p->img->memory;
	/* Above the image, then below it; without overlap the second covers all. */
	struct host_range part[2] = {
		{ .base = MAX(m->r.base, end_of(img)), .len = 0 },
		{ .base = m->r.base, .len = 0 },
	};
	int r = 0;

	part[0].len = end_of(&m->r) > part[0].base ? end_of(&m->r) - part[0].base : 0;
	if (m->r.base < img->base)
		part[1].len = MIN(end_of(&m->r), img->base) - m->r.base;
	for (size_t i = 0; i < 2 && *need && r == 0; i++) {
		uint64_t len = MIN(*need, part[i].len);
		struct host_range got = { .base = end_of(&part[i]) - len, .len = len };

		if (!len)
			continue;
		r = add_ram(p, &got, m->node);
		*need -= len;
	}
	return r;
}

static int take_node(struct plan *p, uint32_t node, uint64_t share)
{
	uint64_t have = 0;
	int r = 0;

	for (size_t i = 0; i < p->out->n_ram; i++)
		if (p->out->ram[i].node == node)
			have += p->out->ram[i].r.len;
	if (have >= share)
		return 0;
	share -= have;
	for (size_t i = p->host->n_mem; i-- > 0 && share && r == 0;)
		if (p->host->mem[i].node == node)
			r = take_top(p, &p->host->mem[i], &share);
	if (r == 0 && share)
		return fail(p, -ENOMEM, "a NUMA node has too little memory for its share of VTL2");
	return r;
}

static int ram_from_vtl2(struct plan *p)
{
	const struct host_dt *host = p->host;
	uint64_t size = host->has_memory_size ? host->memory_size : p->img->memory.len, bytes,
		 nodes = 0;
	uint64_t node_set = 0;
	int r;

	if (size < p->img->memory.len)
		return fail(p, -EINVAL, "memory-size is smaller than the image");
	r = add_measured(p, &bytes);
	if (r < 0)
		return r;
	for (size_t i = 0; i < host->n_mem; i++)
		node_set |= BIT(host->mem[i].node);
	nodes = count_bits(node_set);
	for (uint32_t n = 0; n < host->n_node && r == 0; n++)
		if (node_set & BIT(n))
			r = take_node(p, n, align_up((size + nodes - 1) / nodes, SHARE_ALIGN));
	return r;
}

static int check_ram(struct plan *p)
{
	for (size_t i = 0; i < p->out->n_ram; i++)
		if (inside(&p->img->used, &p->out->ram[i].r))
			return 0;
	return fail(p, -EINVAL, "the image does not lie in one range of VTL2 memory");
}

/* --- MMIO -------------------------------------------------------------------------------- */

static uint64_t mmio_sum(const struct host_range *r, size_t n)
{
	uint64_t sum = 0;

	while (n--)
		sum += r++->len;
	return sum;
}

/* Cut VTL2's MMIO from the end of VTL0's highest range above 4 GiB. */
static int carve_mmio(struct plan *p)
{
	struct memplan *out = p->out;
	uint64_t half, size;
	struct host_range *last;

	if (out->n_vtl0_mmio != 2 || out->vtl0_mmio[1].base < FOUR_GIB)
		return fail(p, -ENOMEM, "VTL0 has no MMIO range above 4 GiB to give to VTL2");
	last = &out->vtl0_mmio[1];
	half = last->len / 2;
	size = MAX(p->host->has_mmio_size ? p->host->mmio_size : 0,
		   MIN(MAX(half, MMIO_AUTO_MIN), MMIO_AUTO_MAX));
	size = align_up(size, KEEL_PAGE_SIZE);
	if (size >= last->len)
		return fail(p, -ENOMEM, "VTL0 has too little MMIO to give some to VTL2");
	last->len -= size;
	out->vtl2_mmio[0] = (struct host_range){ .base = end_of(last), .len = size };
	out->n_vtl2_mmio = 1;
	return 0;
}

static int plan_mmio(struct plan *p)
{
	const struct host_dt *host = p->host;
	struct memplan *out = p->out;

	memcpy(out->vtl0_mmio, host->vtl0.mmio, sizeof(out->vtl0_mmio));
	memcpy(out->vtl2_mmio, host->vtl2.mmio, sizeof(out->vtl2_mmio));
	out->n_vtl0_mmio = host->vtl0.n_mmio;
	out->n_vtl2_mmio = host->vtl2.n_mmio;
	if (host->alloc == HOST_ALLOC_HOST && !p->img->isolated)
		return 0;
	if (!out->n_vtl2_mmio)
		return carve_mmio(p);
	if (host->has_mmio_size && mmio_sum(out->vtl2_mmio, out->n_vtl2_mmio) < host->mmio_size)
		return fail(p, -ENOMEM, "the host gives VTL2 less MMIO than mmio-size");
	return 0;
}

/* --- map --------------------------------------------------------------------------------- */

/* Split map entry i so that a border falls on addr. */
static int split(struct plan *p, size_t i, uint64_t addr)
{
	struct memplan *out = p->out;
	struct plan_entry *e = &out->map[i];

	if (addr <= e->r.base || addr >= end_of(&e->r))
		return 0;
	if (out->n_map == PLAN_MAP_MAX)
		return fail(p, -E2BIG, "the memory map has too many entries");
	memmove(e + 1, e, (out->n_map - i) * sizeof(*e));
	out->n_map++;
	e[0].r.len = addr - e[0].r.base;
	e[1].r.len -= e[0].r.len;
	e[1].r.base = addr;
	return 0;
}

/* Give a range, all of which must now have type from, the type to. */
static int paint(struct plan *p, const struct host_range *r, enum bootcfg_mem_type from,
		 enum bootcfg_mem_type to)
{
	struct memplan *out = p->out;
	uint64_t left = r->len;

	for (size_t i = 0; i < out->n_map && left; i++) {
		struct host_range c = common(&out->map[i].r, r);
		int err;

		if (!c.len)
			continue;
		if (out->map[i].type != from)
			return fail(p, -EINVAL, "two uses of VTL2 memory overlap");
		err = split(p, i, r->base);
		if (err == 0 && out->map[i].r.base < r->base)
			continue; /* the part in front; the next entry is ours */
		if (err == 0)
			err = split(p, i, end_of(r));
		if (err < 0)
			return err;
		out->map[i].type = to;
		left -= c.len;
	}
	return left ? fail(p, -EINVAL, "VTL2 memory is not all RAM of the partition") : 0;
}

/* A special range of the image: must lie in what the image uses. */
static int paint_special(struct plan *p, const struct host_range *r, enum bootcfg_mem_type type)
{
	if (!r->len)
		return 0;
	if (!inside(r, &p->img->used))
		return fail(p, -EINVAL, "a reserved range lies outside the image");
	return paint(p, r, BOOTMEM_VTL2_RAM, type);
}

static struct host_range pages_of(const struct host_range *r, uint64_t first, uint64_t n)
{
	return (struct host_range){ .base = r->base + first * KEEL_PAGE_SIZE,
				    .len = n * KEEL_PAGE_SIZE };
}

static int paint_image(struct plan *p)
{
	const struct plan_image *img = p->img;
	/*
	 * The device tree between the two config ranges is RAM: nobody reads it later. So are the
	 * page hashes behind them, which exist for isolated VMs only.
	 */
	const uint64_t behind_dt = BOOTCFG_DT_PAGE + BOOTCFG_DT_PAGES;
	struct host_range config[2], persisted[2];
	int r = 0;

	if (img->param_region.len != BOOTCFG_REGION_PAGES * KEEL_PAGE_SIZE)
		return fail(p, -EINVAL, "the parameter region has an unknown size");
	config[0] = pages_of(&img->param_region, 0, BOOTCFG_DT_PAGE);
	config[1] = pages_of(&img->param_region, behind_dt, BOOTCFG_HASH_PAGE - behind_dt);
	for (size_t i = 0; i < 2 && r == 0; i++)
		r = paint_special(p, &config[i], BOOTMEM_VTL2_CONFIG);
	if (r == 0 && img->persisted.len >= PERSISTED_STATE_PAGES * KEEL_PAGE_SIZE) {
		persisted[0] = pages_of(&img->persisted, 0, 1);
		persisted[1] = pages_of(&img->persisted, 1, PERSISTED_STATE_PAGES - 1);
		r = paint_special(p, &persisted[0], BOOTMEM_PERSISTED_HEADER);
		if (r == 0)
			r = paint_special(p, &persisted[1], BOOTMEM_PERSISTED_STATE);
	}
	if (r == 0)
		r = paint_special(p, &img->reserved, BOOTMEM_RESERVED);
	if (r == 0)
		r = paint_special(p, &img->sidecar, BOOTMEM_SIDECAR_IMAGE);
	return r < 0 ? r : paint_special(p, &img->log, BOOTMEM_SHIM_LOG);
}

static int plan_map(struct plan *p)
{
	struct memplan *out = p->out;
	int r = 0;

	for (size_t i = 0; i < p->host->n_mem; i++) {
		const struct host_mem *m = &p->host->mem[i];

		out->map[out->n_map++] = (struct plan_entry){
			.r = m->r, .node = m->node, .igvm_type = m->igvm_type, .type = BOOTMEM_VTL0
		};
	}
	for (size_t i = 0; i < out->n_ram && r == 0; i++)
		r = paint(p, &out->ram[i].r, BOOTMEM_VTL0, BOOTMEM_VTL2_RAM);
	return r < 0 ? r : paint_image(p);
}

int memplan_make(const struct host_dt *host, const struct plan_image *img, struct memplan *ret,
		 const char **ret_why)
{
	struct plan p = { .host = host, .img = img, .out = ret, .why = "" };
	int r;

	memset(ret, 0, sizeof(*ret));
	r = host->alloc == HOST_ALLOC_HOST ? ram_from_host(&p) : ram_from_vtl2(&p);
	if (r == 0)
		r = check_ram(&p);
	if (r == 0)
		r = plan_mmio(&p);
	if (r == 0)
		r = plan_map(&p);
	if (r < 0)
		*ret_why = p.why;
	return r;
}

uint64_t memplan_ram_bytes(const struct memplan *plan)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < plan->n_ram; i++)
		sum += plan->ram[i].r.len;
	return sum;
}

/* --- GPA pool ---------------------------------------------------------------------------- */

/* The highest run of len free bytes of a node, or nothing. */
static bool find_free(const struct plan *p, uint32_t node, uint64_t len, struct host_range *ret)
{
	for (size_t i = p->out->n_map; i-- > 0;) {
		const struct plan_entry *e = &p->out->map[i];
		uint64_t floor = e->r.base;

		if (e->type != BOOTMEM_VTL2_RAM || e->node != node)
			continue;
		if (common(&e->r, &p->img->used).len)
			floor = MIN(end_of(&p->img->used), end_of(&e->r));
		if (end_of(&e->r) - floor < len)
			continue;
		*ret = (struct host_range){ .base = end_of(&e->r) - len, .len = len };
		return true;
	}
	return false;
}

static int take_pool(struct plan *p, uint32_t node, uint64_t pages)
{
	struct host_range r;

	if (!pages)
		return 0;
	if (!find_free(p, node, pages * KEEL_PAGE_SIZE, &r))
		return fail(p, -ENOMEM, "VTL2 memory has no room for the GPA pool");
	return paint(p, &r, BOOTMEM_VTL2_RAM, BOOTMEM_GPA_POOL);
}

/* Equal shares, whole pages; the last node takes the remainder. */
static int split_pool(struct plan *p, uint64_t pages)
{
	uint64_t set = 0, share;
	int r = 0;

	for (size_t i = 0; i < p->out->n_ram; i++)
		set |= BIT(p->out->ram[i].node);
	share = pages / count_bits(set);
	for (; set && r == 0; set &= set - 1) {
		uint64_t n = set & (set - 1) ? share : pages;

		r = take_pool(p, (uint32_t)__builtin_ctzll(set), n);
		pages -= n;
	}
	return r;
}

int memplan_pool(struct memplan *plan, const struct plan_image *img, uint64_t pages,
		 bool pool_split, const char **ret_why)
{
	struct plan p = { .img = img, .out = plan, .why = "" };
	struct host_range probe;
	int r;

	if (pages > memplan_ram_bytes(plan) / KEEL_PAGE_SIZE)
		r = fail(&p, -ENOMEM, "VTL2 memory has no room for the GPA pool");
	else if (!pool_split && find_free(&p, 0, pages * KEEL_PAGE_SIZE, &probe))
		r = take_pool(&p, 0, pages);
	else
		r = split_pool(&p, pages);
	if (r < 0)
		*ret_why = p.why;
	else
		plan->pool_pages = pages;
	return r;
}
