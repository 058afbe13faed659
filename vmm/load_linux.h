/* SPDX-License-Identifier: MIT */
/*
 * Start a Linux kernel in VTL0 without firmware: the 64-bit boot protocol. Kernel and initrd
 * already
 * lie in VTL0's memory; this adds GDT, zero page, command line, page tables, ACPI tables, and says
 * which registers the first processor starts with.
 * Spec: Linux Documentation/arch/x86/boot.rst, "64-bit boot protocol".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "acpi.h"
#include "gmem.h"
#include "load_regs.h"
#include "mtrr.h"
#include "vcpu.h"
#include "vtl0_config.h"

#define LOAD_LINUX_GDT 0x1000u
#define LOAD_LINUX_ZERO_PAGE 0x2000u
#define LOAD_LINUX_CMDLINE 0x3000u
#define LOAD_LINUX_PAGE_TABLES 0x4000u
#define LOAD_LINUX_ACPI 0x19000u
#define LOAD_LINUX_RSDP 0xe0000u

struct load_linux_cfg {
	const struct vtl0_config *vtl0; /* linux_direct is set */
	const struct gpa_range *ram; /* VTL0's RAM, ascending, joined */
	size_t n_ram;
	const char *cmdline_append; /* NULL = nothing */
	struct acpi_cfg acpi;
	struct mtrr_layout mtrr;
};

/**
 * load_linux - write everything into guest memory
 * @ret_regs: registers of the first processor
 * Returns: 0; -EFAULT (no RAM where the loader needs it); -E2BIG (command line, memory map);
 * -ENOSPC (too many processors for the ACPI area); -EEXIST (kernel or initrd lie in the loader's
 * area); -ENOMEM
 * Context: start-up
 */
must_check int load_linux(struct gmem *gm, const struct load_linux_cfg *cfg,
			  struct load_regs *ret_regs);
