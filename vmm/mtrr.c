/* SPDX-License-Identifier: MIT */
/* See mtrr.h. Ranges that overlap the windows are fine: pages there are mapped uncached by PAT. */
#include "mtrr.h"

#define TYPE_WB 6u
#define DEF_ENABLE_ALL 0xc00u /* variable and fixed ranges on, default type uncached */
#define FIXED_WB 0x0606060606060606ull
#define MASK_VALID BIT(11)
#define MIB128 0x8000000ull
#define WIDE_BITS 43 /* above this width the top gets a range of its own */

/* The mask whose zeros cover every bit up to the highest one set in max. */
static uint64_t mask_for(uint64_t max, unsigned int width)
{
	uint64_t mask = MASK_VALID;

	for (unsigned int b = 12; b < width; b++) {
		if (max < 1ull << b)
			mask |= 1ull << b;
	}
	return mask;
}

struct builder {
	struct load_regs *regs;
	unsigned int width;
	uint32_t n;
};

static void add(struct builder *b, uint64_t base, uint64_t max)
{
	union hv_regval v = { .q = { base | TYPE_WB, 0 } };
	union hv_regval m = { .q = { mask_for(max, b->width), 0 } };

	load_regs_add(b->regs, HVREG_MTRR_PHYS_BASE0 + b->n, &v, true);
	load_regs_add(b->regs, HVREG_MTRR_PHYS_MASK0 + b->n, &m, true);
	b->n++;
}

static void add_above_4g(struct builder *b, const struct mtrr_layout *m)
{
	uint64_t top = 1ull << MIN(b->width, (unsigned int)WIDE_BITS);

	if (m->ram_end <= m->low_mmio_end)
		return;
	if (!m->high_mmio_base) {
		add(b, m->low_mmio_end, MIN(top, m->ram_end) - 1);
		if (m->ram_end > 1ull << WIDE_BITS)
			add(b, 1ull << WIDE_BITS, m->ram_end - 1);
		return;
	}
	add(b, m->low_mmio_end, m->high_mmio_base - 1);
	if (m->ram_end <= m->high_mmio_end)
		return;
	add(b, m->high_mmio_end, top - 1);
	if (b->width > WIDE_BITS)
		add(b, 1ull << WIDE_BITS, (1ull << b->width) - 1);
}

void mtrr_add(const struct mtrr_layout *m, struct load_regs *regs)
{
	struct builder b = { regs, MAX(36u, MIN(52u, (unsigned int)m->phys_bits)), 0 };
	union hv_regval def = { .q = { DEF_ENABLE_ALL, 0 } };
	union hv_regval fixed = { .q = { FIXED_WB, 0 } };

	load_regs_add(regs, HVREG_MTRR_DEF_TYPE, &def, true);
	load_regs_add(regs, HVREG_MTRR_FIX64K, &fixed, true);
	load_regs_add(regs, HVREG_MTRR_FIX16K_80000, &fixed, true);
	add(&b, 0, MIB128 - 1);
	if (m->ram_end > MIB128)
		add(&b, MIB128, m->low_mmio_base - 1);
	add_above_4g(&b, m);
}
