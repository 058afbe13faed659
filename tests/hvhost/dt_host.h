/* SPDX-License-Identifier: MIT */
/* The device tree a host gives to VTL2's boot shim. Spec: igvm-boot 3. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "hvpart.h"
#include "igvm_load.h"

#define DT_HOST_MAX (256u * 1024)

struct dt_host_cfg {
	uint32_t vps;
	const struct igvm_mem_entry *map; /* RAM with its types */
	size_t n_map;
	struct igvm_range vtl0_mmio[2], vtl2_mmio[2];
	const char *bootargs; /* "" for none */
	bool vtl2_console; /* VTL2 gets COM3 */
};

/**
 * dt_host_build - write the blob
 * @ret_blob: DT_HOST_MAX bytes
 * Returns: 0 with *ret_len, -ENOSPC (too many processors for the blob), -errno
 * Context: set-up
 */
must_check int dt_host_build(const struct dt_host_cfg *cfg, void *ret_blob, size_t *ret_len);
