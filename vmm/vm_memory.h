/* SPDX-License-Identifier: MIT */
/* Whose memory is whose: from the boot device tree to VTL0's RAM and what it may not touch. */
#pragma once

#include <stddef.h>

#include "acpi.h"
#include "bootdt.h"
#include "gmem.h"
#include "hvc.h"
#include "vcpu.h"

/**
 * vm_memory_split - VTL0's RAM and everybody else's, both joined and ascending
 * Arrays are the caller's to free. Returns: 0; -ENOMEM; -EBADMSG (VTL0 has no RAM)
 */
must_check int vm_memory_split(const struct bootdt *dt, struct gpa_range **ret_ram,
			       size_t *ret_n_ram, struct gpa_range **ret_prot, size_t *ret_n_prot);

/**
 * vm_memory_accept - take over VTL0's RAM on an isolated partition, except for what the loader
 * accepted already; before that nobody may touch it
 * Returns: as hvc_accept_pages(). Context: before vm_memory_map() and VTL0's first instruction
 */
must_check int vm_memory_accept(struct hvc *h, const struct bootdt *dt, const struct gpa_range *ram,
				size_t n);

/* Map VTL0's RAM, as vtl_low_create(). */
must_check int vm_memory_map(int vtl_fd, const struct gpa_range *ram, size_t n,
			     struct gmem **ret_gm);

/* VTL0's MMIO windows below and above 4 GiB; len 0 = none. */
void vm_memory_mmio(const struct bootdt *dt, struct acpi_window ret_win[2]);
