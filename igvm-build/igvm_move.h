/* SPDX-License-Identifier: MIT */
/* Relocation helpers of the loader: addresses and page tables. */
#pragma once

#include <stdint.h>

#include "igvm_load.h"
#include "macros.h"

/**
 * igvm_shift - where an address of the file ends up
 * Returns: gpa plus the plan's offset when gpa lies in what moves, else gpa
 */
uint64_t igvm_shift(const struct igvm_plan *plan, uint64_t gpa);

/**
 * igvm_move_tables - rebuild a set of x64 page tables for the plan's offset
 * @old: plan->pt.size bytes, the tables as in the file, root first
 * @new: as many bytes, zeroed; filled with the tables to be placed at plan->pt.gpa + offset
 * Returns: 0; -EBADMSG (the tables are malformed, or do not fit; see @err)
 * Trust: the tables are file content, hostile; every table is visited at most once.
 */
must_check int igvm_move_tables(const struct igvm_plan *plan, const void *old, void *new,
				struct igvm_error *err);
