/* SPDX-License-Identifier: MIT */
/*
 * HvCallRetargetDeviceInterrupt of VTL0: moves a message of a device of ours to other processors.
 * Context: the vcpu's thread. Trust: VTL0. Spec: TLFS; spec/hypervisor.md 3.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vcpu.h"

/**
 * hvcall_retarget - do it
 * @in: private copy of the input: struct hv_retarget_in and the words of the variable header
 * Returns: enum hv_status
 */
uint16_t hvcall_retarget(const struct vcpu_env *env, const void *in, size_t len);
