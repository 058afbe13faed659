/* SPDX-License-Identifier: MIT */
/*
 * Memory plan of VTL2: which RAM and MMIO it owns and what every page of the partition is for.
 * Pure computation on checked inputs. Freestanding. Spec: igvm-boot, "Boot shim", steps 6 to 9.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bootcfg.h"
#include "host_dt.h"
#include "macros.h"
#include "shim_opts.h"

#define PLAN_RAM_MAX 64u
#define PLAN_MAP_MAX (HOST_MEM_MAX + 256u)

/* What the image occupies, absolute addresses. Empty ranges have len 0. */
struct plan_image {
	struct host_range memory; /* all of VTL2 as the file describes it */
	struct host_range used; /* the part with content */
	struct host_range param_region;
	struct host_range reserved;
	struct host_range sidecar;
	struct host_range log;
	struct host_range persisted;
	bool isolated; /* the partition is: the host does not decide on MMIO */
};

struct plan_ram {
	struct host_range r;
	uint32_t node;
};

struct plan_entry {
	struct host_range r;
	uint32_t node;
	uint32_t igvm_type;
	enum bootcfg_mem_type type;
};

struct memplan {
	struct plan_ram ram[PLAN_RAM_MAX]; /* VTL2's, ascending */
	size_t n_ram;
	struct plan_entry map[PLAN_MAP_MAX]; /* the whole partition's RAM, ascending */
	size_t n_map;
	struct host_range vtl0_mmio[HOST_MMIO_MAX], vtl2_mmio[HOST_MMIO_MAX];
	size_t n_vtl0_mmio, n_vtl2_mmio;
	uint64_t pool_pages; /* GPA pool, 0 = none */
};

/**
 * memplan_make - decide on RAM, MMIO and the map
 * @ret: filled on success; undefined on failure
 * @ret_why: static text on failure
 * Returns: 0; -EINVAL (host and image contradict each other); -ENOMEM (too little memory or MMIO);
 * -E2BIG (beyond a limit)
 * Trust: @host is checked by host_dt.c; @img is measured.
 */
must_check int memplan_make(const struct host_dt *host, const struct plan_image *img,
			    struct memplan *ret, const char **ret_why);

/**
 * memplan_pool - take the GPA pool out of VTL2's RAM of a finished plan
 * @pages: its size, not 0
 * @split: spread it over the nodes even if one has room
 * Returns: 0; -ENOMEM; -E2BIG. The plan is undefined after a failure.
 */
must_check int memplan_pool(struct memplan *plan, const struct plan_image *img, uint64_t pages,
			    bool split, const char **ret_why);

/* Bytes of RAM that VTL2 owns. */
uint64_t memplan_ram_bytes(const struct memplan *plan);

/**
 * memplan_pool_pages - size of the GPA pool for a machine
 * @opt: what the command line asks for
 * @vps, @vtl2_mib: the machine
 * Returns: 4 KiB pages, 0 = no pool
 */
uint64_t memplan_pool_pages(const struct shim_pool_opt *opt, uint32_t vps, uint64_t vtl2_mib);
