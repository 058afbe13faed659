/* SPDX-License-Identifier: MIT */
/*
 * The device tree for VTL2's kernel and daemon: CPUs, VTL2's memory, VMBus, and what the shim found
 * out about the whole partition. Freestanding. Spec: igvm-boot, "Device tree for kernel and
 * usermode".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dt_wr.h"
#include "host_dt.h"
#include "imported.h"
#include "macros.h"
#include "memplan.h"

struct kern_dt_in {
	const struct host_dt *host;
	const struct memplan *plan;
	const char *isolation; /* "none" or "vbs" */
	const struct imported *accepted; /* isolated: what the loader accepted; else NULL */
	uint64_t alias_map; /* 0 = none */
	uint64_t reftime_start; /* shim entered, 100 ns units */
	uint64_t reftime_end; /* about to enter the kernel */
};

/**
 * kern_dt_make - write the tree
 * @w: scratch of the writer
 * @buf: 8-byte aligned, @max bytes
 * @ret_len: bytes used
 * Returns: 0; -ENOSPC (does not fit)
 */
must_check int kern_dt_make(const struct kern_dt_in *in, struct dtw *w, void *buf, size_t max,
			    size_t *ret_len);
