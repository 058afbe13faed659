/* SPDX-License-Identifier: MIT */
/*
 * MSRs of VTL0 that the hypervisor leaves to this layer: the crash registers. Others read as zero
 * and swallow writes, as guests of this platform expect (no #GP).
 * Context: the vcpu's thread. Trust: VTL0. Spec: TLFS, "Guest crash enlightenment".
 */
#pragma once

#include "vcpu.h"

uint64_t msr_read(struct vcpu *v, uint32_t msr);
void msr_write(struct vcpu *v, uint32_t msr, uint64_t val);
