/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables for a VTL0 that boots without firmware: RSDP, XSDT, FADT, MADT and a DSDT whose byte
 * code is encoded here. Pure: builds into a buffer, the loader places it.
 * Spec: ACPI 6.x, "ACPI software programming model"; addresses as in chipset-uefi-vtpm.md 8.3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct acpi_window {
	gpa_t base;
	uint64_t len; /* 0 = absent */
};

struct acpi_cfg {
	const uint32_t *apic_ids; /* by VP index */
	uint32_t n_vps; /* 1..2048 */
	struct acpi_window mmio[2]; /* low and high windows for VMBus devices */
	bool com1, com2;
	bool with_pic; /* a PIC exists: PCAT_COMPAT */
	bool pci; /* there is a PCI bus: the one the IDE controller sits on */
	bool with_pit; /* a PIT exists on IRQ 0: override 0 -> 2 */
	uint16_t pm_base; /* 0x400 */
	uint8_t sci; /* 9 */
};

#define ACPI_RSDP_BYTES 36

/**
 * acpi_build - build all tables
 * @tables_gpa: where @ret_tables will lie; page aligned, below 4 GiB
 * @ret_tables, @cap: the tables but the RSDP
 * @ret_len: bytes used
 * @ret_rsdp: the root pointer, for 0xE0000
 * Returns: 0; -ENOSPC; -EINVAL (no or too many processors)
 */
must_check int acpi_build(const struct acpi_cfg *cfg, gpa_t tables_gpa, void *ret_tables,
			  size_t cap, size_t *ret_len, uint8_t ret_rsdp[ACPI_RSDP_BYTES]);
