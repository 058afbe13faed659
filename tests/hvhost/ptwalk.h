/* SPDX-License-Identifier: MIT */
/*
 * Page-table walk in software: what the CPU would do with a linear address. No paging, 32-bit, PAE,
 * 4 and 5 levels, large pages. Protection keys are not modelled.
 * Trust: tables are VTL0's and change under the walk: each entry is read once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gmem.h"
#include "macros.h"

struct ptwalk_mode {
	uint64_t cr0, cr3, cr4, efer;
	bool user; /* user-mode access: the U bit counts, SMAP and SMEP do not */
	bool ac; /* RFLAGS.AC: supervisor data access to user pages allowed under SMAP */
};

#define PTWALK_READ 1u
#define PTWALK_WRITE 2u
#define PTWALK_EXECUTE 4u
#define PTWALK_SET_AD 8u /* set accessed and dirty bits as the CPU would */
#define PTWALK_EXEMPT 16u /* no privilege and no write check */

enum ptwalk_result {
	PTWALK_OK,
	PTWALK_NOT_PRESENT,
	PTWALK_PRIVILEGE, /* present, but this access is not allowed */
	PTWALK_RESERVED, /* reserved bits set */
	PTWALK_NO_RAM, /* a table lies where there is no RAM */
};

/* Error code bits of the page fault. */
#define PTWALK_ERR_PRESENT BIT(0)
#define PTWALK_ERR_WRITE BIT(1)
#define PTWALK_ERR_USER BIT(2)
#define PTWALK_ERR_RESERVED BIT(3)
#define PTWALK_ERR_FETCH BIT(4)

/**
 * ptwalk - translate one linear address
 * @access: PTWALK_x
 * @ret_gpa: written on PTWALK_OK only; full address, not only the page
 * @ret_error: page fault error code, written otherwise
 * Context: any thread; at most 5 reads of guest memory and as many exchanges
 */
enum ptwalk_result ptwalk(struct gmem *gm, const struct ptwalk_mode *m, uint64_t gva,
			  unsigned int access, gpa_t *ret_gpa, uint32_t *ret_error);
