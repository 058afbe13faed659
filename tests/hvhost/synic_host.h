/* SPDX-License-Identifier: MIT */
/*
 * The synthetic interrupt controller of one VTL of one VP: message slots, event flags, SINTs.
 * All functions: any thread unless said otherwise; they never block for long.
 * Trust: pages are guest memory; slots are written whole and only their type is read back.
 * Spec: hypervisor 3.3, 5.1.
 */
#pragma once

#include "hvpart.h"

/* Reset state. Returns 0, -errno. Context: set-up. */
must_check int synic_host_init(struct synic *s);

/**
 * synic_host_post - put a message into its slot and raise the SINT
 * Returns: HV_OK; HV_OBJECT_IN_USE: the slot is taken; its message_pending flag is then set and
 * synic_host_eom() reports the slot once it is free; HV_INVALID_SYNIC_STATE (off or masked);
 * HV_INVALID_PARAMETER (sint)
 */
enum hv_status synic_host_post(struct hvvp *vp, enum vtl_index v, uint8_t sint,
			       const struct hv_message *msg);

/**
 * synic_host_signal - set an event flag and raise the SINT if it was clear
 * @ret_new: was it clear? May be NULL
 * Returns: HV_OK, HV_INVALID_SYNIC_STATE, HV_INVALID_PARAMETER
 */
enum hv_status synic_host_signal(struct hvvp *vp, enum vtl_index v, uint8_t sint, uint16_t flag,
				 bool *ret_new);

/* Ask for a report when the slots of these SINTs (bit mask) are free. */
void synic_host_want(struct hvvp *vp, enum vtl_index v, uint16_t sints);

/* Which wanted slots are free now? They are no longer wanted. */
uint16_t synic_host_freed(struct hvvp *vp, enum vtl_index v);

/**
 * synic_host_msr_read / synic_host_msr_write - SCONTROL..SINT15, EOM excluded
 * Returns: 0, -EINVAL (no such MSR, or a value that raises #GP). Context: the VP's thread
 */
must_check int synic_host_msr_read(struct hvvp *vp, enum vtl_index v, uint32_t msr,
				   uint64_t *ret_val);
must_check int synic_host_msr_write(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t val);

/**
 * synic_host_interrupt - a fixed interrupt for one VTL of a VP
 * VTL2 interrupts preempt VTL0.
 */
void synic_host_interrupt(struct hvvp *vp, enum vtl_index v, uint8_t vector);
