/* SPDX-License-Identifier: MIT */
/* The architectural part of regs_host.h: names that KVM's register structures answer. */
#pragma once

#include "hvpart.h"

/* As regs_host_get() / regs_host_set(). */
enum hv_status regs_kvm_get(struct hvvp *vp, enum vtl_index v, uint32_t name,
			    union hv_regval *ret_val);
enum hv_status regs_kvm_set(struct hvvp *vp, enum vtl_index v, uint32_t name,
			    const union hv_regval *val);
