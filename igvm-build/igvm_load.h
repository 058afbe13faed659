/* SPDX-License-Identifier: MIT */
/*
 * IGVM loader for hosts without hardware isolation (platform VSM_ISOLATION): place the file, fill
 * its parameters, hand every page to the host, and say with which registers the BSP starts in the
 * highest VTL. Two steps, because the host's device tree names the place:
 *
 *   igvm_plan_make()   choose platform and base; memory map with the VTL2 range in it
 *   (the host builds its device tree from the plan)
 *   igvm_load()        write pages, return registers
 *
 * Trust: the file is checked by igvm_read.c but its wishes are not: places outside the RAM given by
 * the host are refused. Spec: IGVM file format, loader algorithm.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igvm_read.h"
#include "macros.h"

/* A range of guest-physical addresses, bytes; both 4 KiB aligned. */
struct igvm_range {
	gpa_t gpa;
	uint64_t len;
};

enum igvm_base_policy {
	IGVM_BASE_FILE, /* where the file says; fails if that is not RAM */
	IGVM_BASE_AT, /* relocate to cfg.base; fails if the file cannot be moved there */
	IGVM_BASE_FIT, /* where the file says if that is RAM, else the highest place that fits */
};

struct igvm_plan_cfg {
	uint32_t platform_type; /* IGVM_PLATFORM_VSM_ISOLATION */
	uint32_t arch; /* IGVM_ARCH_x of the VM: a file for another one is refused */
	enum igvm_base_policy policy;
	gpa_t base; /* IGVM_BASE_AT only */
	const struct igvm_range *ram; /* all RAM of the partition, ascending, not overlapping */
	size_t n_ram;
};

#define IGVM_PLAN_MAP_MAX 64u

struct igvm_plan {
	const struct igvm_platform *platform;
	uint32_t mask; /* the platform's bit */
	uint64_t offset; /* added, modulo 2^64, to what moves; 0 = nothing moves */
	bool relocatable; /* has the file a relocatable region for this platform? */
	struct igvm_reloc_region reloc; /* as in the file, if relocatable */
	bool has_page_tables; /* a page-table region moves with it */
	struct igvm_pt_reloc pt; /* as in the file */
	/* RAM of the partition, ascending: type MEMORY or VTL2_PROTECTABLE_RAM. */
	struct igvm_mem_entry map[IGVM_PLAN_MAP_MAX];
	size_t n_map;
};

/**
 * igvm_plan_make - decide which platform of the file to load and where
 * @ret_plan: filled on success only; refers to @file
 * @err: filled on -EBADMSG and -ENXIO: header offset and reason
 * Returns: 0; -ENXIO (the file has no header for this platform or architecture, or does not fit
 * the RAM or the asked base); -EBADMSG (the file contradicts itself for this platform); -E2BIG
 * (more than IGVM_PLAN_MAP_MAX map entries)
 */
must_check int igvm_plan_make(const struct igvm_file *file, const struct igvm_plan_cfg *cfg,
			      struct igvm_plan *ret_plan, struct igvm_error *err);

struct igvm_blob {
	const void *data; /* NULL = not given: the parameter stays zero */
	size_t len;
};

struct igvm_load_params {
	uint32_t vp_count;
	struct igvm_blob device_tree; /* required when the file asks for one */
	struct igvm_blob srat, madt, slit, pptt;
	const char *command_line; /* NULL = "" */
	struct igvm_mmio_range mmio[2]; /* low, high */
	bool memory_is_shared; /* ENVIRONMENT_INFO bit 0 */
};

struct igvm_load_ops {
	/*
	 * Put one page into guest memory. @page: 4096 bytes, or NULL for a page of zeros. @gpa is
	 * inside the RAM of the plan. Every page of the file is written exactly once.
	 * Returns: 0 or -errno, which stops the load.
	 */
	int (*write_page)(void *ctx, gpa_t gpa, const void *page);
	void *ctx;
};

/* Initial state of the BSP in the highest VTL; registers not listed keep their reset value. */
struct igvm_load_result {
	uint8_t vtl;
	uint32_t n_regs;
	struct igvm_reg regs[IGVM_REGS_MAX];
};

/**
 * igvm_load - write the image into guest memory
 * @plan: from igvm_plan_make() on the same file
 * @ret: filled on success only
 * @err: filled on -EBADMSG and -ENXIO
 * Returns: 0; -EBADMSG (page tables cannot be relocated, a parameter does not fit its area);
 * -ENXIO (a page lies outside RAM, or a needed parameter was not given); -ENOMEM; or what
 * write_page() returned
 * Context: any thread; calls write_page() from here only
 */
must_check int igvm_load(const struct igvm_file *file, const struct igvm_plan *plan,
			 const struct igvm_load_params *params, const struct igvm_load_ops *ops,
			 struct igvm_load_result *ret, struct igvm_error *err);
