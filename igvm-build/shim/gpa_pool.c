/* SPDX-License-Identifier: MIT */
/*
 * Size of the GPA pool (memory that VTL2's user-mode drivers use for DMA) from the size of the
 * machine. The tables hold measured needs: VPs, VTL2 memory in MiB, pool in MiB. A machine that is
 * not in the table gets the average memory-to-pool ratio of its neighbours.
 * Spec: igvm-boot, "Options the shim reads".
 */
#include "ckd.h"
#include "memplan.h"

#define PAGES_PER_MIB 256u
#define RATIO_SCALE 1000u /* ratios are in thousandths */
#define RATIO_MIN_START 100000u
#define RATIO_MAX_START 1000u
#define POOL_ALIGN_PAGES 512u /* 2 MiB */

struct pool_row {
	uint16_t vps;
	uint16_t mem_mib;
	uint16_t pool_mib;
};

static const struct pool_row release_rows[] = {
	{ 2, 96, 2 },	   { 2, 98, 4 },      { 2, 100, 4 },	   { 2, 104, 4 },
	{ 4, 108, 2 },	   { 4, 110, 6 },     { 4, 112, 6 },	   { 4, 118, 8 },
	{ 4, 130, 12 },	   { 8, 140, 4 },     { 8, 148, 10 },	   { 8, 170, 20 },
	{ 8, 176, 20 },	   { 16, 70, 2 },     { 16, 234, 12 },	   { 16, 256, 20 },
	{ 16, 268, 38 },   { 16, 282, 54 },   { 24, 420, 66 },	   { 32, 404, 22 },
	{ 32, 516, 36 },   { 32, 538, 74 },   { 48, 558, 32 },	   { 48, 718, 52 },
	{ 48, 730, 52 },   { 48, 746, 78 },   { 64, 712, 42 },	   { 64, 924, 68 },
	{ 64, 938, 68 },   { 96, 1030, 64 },  { 96, 1042, 114 },   { 96, 1058, 114 },
	{ 96, 1340, 102 }, { 96, 1358, 104 }, { 96, 1382, 120 },   { 112, 1566, 288 },
	{ 128, 1342, 84 }, { 128, 1360, 84 }, { 896, 12912, 516 },
};

static const struct pool_row debug_rows[] = {
	{ 4, 496, 4 },	   { 16, 512, 16 },  { 32, 1024, 32 },
	{ 32, 1536, 128 }, { 64, 1024, 64 }, { 128, 1024, 128 },
};

/* The VP counts of the table next to vps, below (or equal) and above (or equal). */
static void neighbours(const struct pool_row *t, size_t n, uint32_t vps, uint32_t *ret_lo,
		       uint32_t *ret_hi)
{
	*ret_lo = t[0].vps;
	*ret_hi = t[n - 1].vps;
	for (size_t i = 0; i < n; i++) {
		if (t[i].vps <= vps)
			*ret_lo = t[i].vps;
		if (t[i].vps >= vps) {
			*ret_hi = t[i].vps;
			return;
		}
	}
}

static uint64_t table_pages(const struct pool_row *t, size_t n, uint32_t vps, uint64_t mib)
{
	uint64_t min = RATIO_MIN_START, max = RATIO_MAX_START;
	uint32_t lo, hi;

	neighbours(t, n, vps, &lo, &hi);
	for (size_t i = 0; i < n; i++) {
		uint64_t ratio = (uint64_t)t[i].mem_mib * RATIO_SCALE / t[i].pool_mib;

		if (t[i].vps == vps && t[i].mem_mib == mib)
			return (uint64_t)t[i].pool_mib * PAGES_PER_MIB;
		if (t[i].vps != lo && t[i].vps != hi)
			continue;
		min = MIN(min, ratio);
		max = MAX(max, ratio);
	}
	return align_up(mib * RATIO_SCALE * PAGES_PER_MIB / ((min + max) / 2), POOL_ALIGN_PAGES);
}

uint64_t memplan_pool_pages(const struct shim_pool_opt *opt, uint32_t vps, uint64_t vtl2_mib)
{
	switch (opt->mode) {
	case SHIM_POOL_RELEASE:
		return table_pages(release_rows, ARRAY_SIZE(release_rows), vps, vtl2_mib);
	case SHIM_POOL_DEBUG:
		return table_pages(debug_rows, ARRAY_SIZE(debug_rows), vps, vtl2_mib);
	case SHIM_POOL_PAGES:
		return opt->pages;
	case SHIM_POOL_OFF:
		break;
	}
	return 0;
}
