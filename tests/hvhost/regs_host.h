/* SPDX-License-Identifier: MIT */
/*
 * Registers of a VTL by their hypervisor names: GetVpRegisters, SetVpRegisters, the image's initial
 * state, the start context of a processor. Context: the VP's thread, or before it runs.
 * Trust: values are VTL2's or the image's; KVM checks what must fit together. Spec: hypervisor 3.7.
 */
#pragma once

#include "hvpart.h"

/**
 * regs_host_get / regs_host_set - one register of one VTL
 * Returns: HV_OK; HV_UNKNOWN_REGISTER_NAME; HV_INVALID_REGISTER_VALUE; HV_INVALID_PARAMETER;
 * HV_ACCESS_DENIED (VTL2-only register asked for VTL0)
 */
enum hv_status regs_host_get(struct hvvp *vp, enum vtl_index v, uint32_t name,
			     union hv_regval *ret_val);
enum hv_status regs_host_set(struct hvvp *vp, enum vtl_index v, uint32_t name,
			     const union hv_regval *val);

/* Segments and tables between KVM's and the hypervisor's form. */
struct hv_seg regs_seg_from_kvm(const struct kvm_segment *s);
struct kvm_segment regs_seg_to_kvm(const struct hv_seg *s);

/**
 * regs_host_start - load the context with which a VTL2 processor begins
 * Returns: 0, -errno of KVM (the values contradict each other). Context: the VP's thread
 */
must_check int regs_host_start(struct hvvp *vp, const struct hv_vp_context *ctx);

/* Push cached registers of a VTL into KVM now instead of at the next entry. Returns 0, -errno. */
must_check int regs_host_flush(struct hvvp *vp, enum vtl_index v);
