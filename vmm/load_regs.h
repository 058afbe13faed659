/* SPDX-License-Identifier: MIT */
/* The initial register set a VTL0 loader asks for; written by VP 0's thread before the first
 * run. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hvcall.h"
#include "hvregs.h"

#define LOAD_REGS_MAX 64u

struct load_reg {
	uint32_t name; /* enum hv_reg */
	bool optional; /* VTL0 boots without it: a refusal is only logged */
	union hv_regval val;
};

struct load_regs {
	struct load_reg r[LOAD_REGS_MAX];
	unsigned int n; /* more than LOAD_REGS_MAX: too many were added */
};

static inline void load_regs_add(struct load_regs *regs, uint32_t name, const union hv_regval *val,
				 bool optional)
{
	if (regs->n < LOAD_REGS_MAX)
		regs->r[regs->n] = (struct load_reg){ name, optional, *val };
	regs->n++;
}

static inline void load_regs_add64(struct load_regs *regs, uint32_t name, uint64_t val)
{
	load_regs_add(regs, name, &(union hv_regval){ .q = { val, 0 } }, false);
}
