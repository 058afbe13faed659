/* SPDX-License-Identifier: MIT */
/*
 * From message-signalled interrupts of devices to the hypervisor: each is one hypercall.
 * Context: any thread, device locks may be held. Trust: address and data were programmed by VTL0.
 */
#pragma once

#include <stdint.h>

#include "hvc.h"

/**
 * irq_decode - turn an MSI into what the hypervisor takes
 * Returns: 0; -EINVAL for delivery modes that make no sense here (SMI, ExtINT, reserved)
 */
must_check int irq_decode(uint64_t addr, uint32_t data, struct hvc_interrupt *ret_irq);

/* msi_sink.deliver; ctx is a struct hvc. */
void irq_deliver(void *ctx, uint64_t addr, uint32_t data);
