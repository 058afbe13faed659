/* SPDX-License-Identifier: MIT */
/* Shared between the files of the image builder: the plan of one image. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "bootcfg.h"
#include "elf_in.h"
#include "image.h"
#include "manifest.h"

#define MIB (1ull << 20)
#define BUILD_DEFAULT_BASE (128 * MIB)

/* Where each piece of VTL2's memory lies, in the order of the layout. */
struct layout {
	uint64_t start, size; /* all of VTL2 */
	uint64_t kernel, kernel_len, kernel_entry;
	uint64_t shim, shim_len, shim_entry;
	uint64_t initrd, initrd_len;
	uint64_t gdt;
	uint64_t params;
	uint64_t cmdline;
	uint64_t reserved;
	uint64_t param_region;
	uint64_t log;
	uint64_t heap;
	uint64_t tables;
	uint32_t tables_total, tables_used; /* pages */
	uint64_t used_end;
};

struct build {
	const struct manifest *m;
	struct resources *res;
	struct image img;
	struct layout lo;
	struct elf_img kernel, shim;
};

/* Place all pieces. 0, or -1 after a message. */
must_check int layout_plan(struct build *b);

/* Import VTL2's pieces, and VTL0's payload, into b->img. 0, or -1 after a message. */
must_check int build_vtl2(struct build *b);
must_check int build_vtl0(struct build *b);

/* Write the collected image as IGVM. 0, or -1 after a message. */
must_check int build_write(struct build *b, void **ret_file, size_t *ret_len);
