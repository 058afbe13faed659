/* SPDX-License-Identifier: MIT */
/*
 * Relocation of x64 page tables: walk the old tree, collect its leaves, and build a new tree in
 * which leaves that map relocated memory have both their address and their target moved, so that
 * an identity map stays one. Input: tables out of a hostile file; each may be visited once, so the
 * work is bounded by the size of the region. Spec: IGVM file format, loader algorithm, step 5.
 */
#include "igvm_move.h"

#include <errno.h>
#include <stdlib.h>

#include "ckd.h"
#include "igvm_priv.h"
#include "le.h"

#define PTE_PRESENT BIT(0)
#define PTE_WRITE BIT(1)
#define PTE_ACCESSED BIT(5)
#define PTE_LARGE BIT(7) /* level 1 (2 MiB) and 2 (1 GiB) */
#define PTE_ADDR 0x000ffffffffff000ull
#define ENTRIES 512u
#define ROOT_LEVEL 3u
#define VA_LIMIT BIT(47) /* the lower half: no image maps the upper one */

struct move {
	const struct igvm_plan *plan;
	const uint8_t *old;
	uint8_t *new;
	uint32_t tables; /* size of the region in tables */
	uint32_t used; /* new tables handed out */
	uint8_t *seen; /* old tables visited */
	struct igvm_error *err;
};

static uint64_t level_size(unsigned level)
{
	return BIT(12 + 9 * level);
}

static int bad(struct move *m, const char *why, uint64_t val)
{
	return igvm_fail(m->err, 0, "page tables cannot be relocated: %s (%#llx)", why,
			 (unsigned long long)val);
}

static uint8_t *new_entry(struct move *m, uint32_t table, uint32_t i)
{
	return m->new + (size_t)table *KEEL_PAGE_SIZE + (size_t)i * 8;
}

/* Add one mapping to the new tree, with the tables it needs. */
static int map_new(struct move *m, uint64_t va, uint64_t entry, unsigned leaf_level)
{
	uint64_t base = m->plan->pt.gpa + m->plan->offset;
	uint32_t table = 0;
	uint8_t *e;

	for (unsigned level = ROOT_LEVEL; level > leaf_level; level--) {
		uint64_t val;

		e = new_entry(m, table, (va >> (12 + 9 * level)) % ENTRIES);
		val = le64_load(e);
		if (!val) {
			if (m->used == m->tables)
				return bad(m, "the region has no room for another table",
					   m->tables);
			val = (base + (uint64_t)m->used++ * KEEL_PAGE_SIZE) | PTE_PRESENT |
			      PTE_WRITE | PTE_ACCESSED;
			le64_store(e, val);
		} else if (level < ROOT_LEVEL && (val & PTE_LARGE)) {
			return bad(m, "two mappings meet after the move", va);
		}
		table = (uint32_t)(((val & PTE_ADDR) - base) / KEEL_PAGE_SIZE);
	}
	e = new_entry(m, table, (va >> (12 + 9 * leaf_level)) % ENTRIES);
	if (le64_load(e))
		return bad(m, "two mappings meet after the move", va);
	le64_store(e, entry);
	return 0;
}

static bool target_moves(const struct igvm_plan *plan, uint64_t pa, uint64_t size)
{
	return (plan->relocatable && range_overlap(pa, size, plan->reloc.gpa, plan->reloc.size)) ||
	       range_overlap(pa, size, plan->pt.gpa, plan->pt.size);
}

static int move_leaf(struct move *m, uint64_t va, uint64_t entry, unsigned level)
{
	uint64_t size = level_size(level), pa = entry & PTE_ADDR & ~(size - 1);
	uint64_t off = m->plan->offset, dist = MIN(off, 0 - off);

	if (target_moves(m->plan, pa, size) && dist >= size) {
		if (!is_aligned(off, size))
			return bad(m, "offset is not a multiple of a mapping's size", size);
		va += off;
		if (va >= VA_LIMIT || size > VA_LIMIT - va)
			return bad(m, "a mapping leaves the lower half of the address space", va);
		entry = (entry & ~(PTE_ADDR & ~(size - 1))) | ((pa + off) & PTE_ADDR);
	}
	return map_new(m, va, entry, level);
}

/* An old table by address, each at most once. */
static int enter_table(struct move *m, uint64_t gpa, uint32_t *ret_table)
{
	const struct igvm_pt_reloc *pt = &m->plan->pt;
	uint32_t t;

	if (gpa < pt->gpa || gpa - pt->gpa >= pt->used_size)
		return bad(m, "a table lies outside the region in use", gpa);
	t = (uint32_t)((gpa - pt->gpa) / KEEL_PAGE_SIZE);
	if (m->seen[t])
		return bad(m, "a table is used twice", gpa);
	m->seen[t] = 1;
	*ret_table = t;
	return 0;
}

/* Depth-first over four levels without recursion: one cursor per level. */
static int walk(struct move *m)
{
	uint32_t table[ROOT_LEVEL + 1] = { 0 }, pos[ROOT_LEVEL + 1] = { 0 };
	unsigned level = ROOT_LEVEL;
	uint64_t va[ROOT_LEVEL + 1] = { 0 };

	m->seen[0] = 1;
	for (;;) {
		uint64_t entry, at;
		int r;

		if (pos[level] == ENTRIES) {
			if (level == ROOT_LEVEL)
				return 0;
			level++;
			continue;
		}
		at = va[level] + pos[level] * level_size(level);
		entry = le64_load(m->old + (size_t)table[level] * KEEL_PAGE_SIZE +
				  (size_t)pos[level] * 8);
		pos[level]++;
		if (!(entry & PTE_PRESENT))
			continue;
		if (at >= VA_LIMIT)
			return bad(m, "a mapping is in the upper half of the address space", at);
		if (!level || (level < ROOT_LEVEL && (entry & PTE_LARGE))) {
			r = move_leaf(m, at, entry, level);
		} else {
			r = enter_table(m, entry & PTE_ADDR, &table[level - 1]);
			level--;
			pos[level] = 0;
			va[level] = at;
		}
		if (r < 0)
			return r;
	}
}

int igvm_move_tables(const struct igvm_plan *plan, const void *old, void *new,
		     struct igvm_error *err)
{
	struct move m = { .plan = plan, .old = old, .new = new, .used = 1, .err = err };
	int r;

	m.tables = (uint32_t)MIN(plan->pt.size / KEEL_PAGE_SIZE, (uint64_t)UINT32_MAX);
	m.seen = calloc(1, m.tables);
	if (!m.seen)
		return -ENOMEM;
	r = walk(&m);
	free(m.seen);
	return r;
}
