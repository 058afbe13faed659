/* SPDX-License-Identifier: MIT */
/*
 * Set-up of the partition from VTL2: VSM configuration and the intercepts that bring VTL0's
 * accesses here. Context: start-up, once. Spec: TLFS, "Virtual secure mode", "Intercepts".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "hvc.h"

struct partition_caps {
	uint64_t vsm; /* HV_VSM_CAP_* */
	bool intercept_page;
};

/**
 * partition_setup - configure VSM and install every intercept
 * Must come before VTL0 runs. Returns: 0; -EIO when the hypervisor refuses something needed (the
 * log says what); -errno of the driver
 */
must_check int partition_setup(struct hvc *h, struct partition_caps *ret_caps);

/**
 * partition_set_pm_timer - let the hypervisor answer reads of the PM timer itself
 * @port: of the timer register; 0 turns the assist off
 * A hypervisor without the assist is fine: reads then come here.
 */
void partition_set_pm_timer(struct hvc *h, uint16_t port);
