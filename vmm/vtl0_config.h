/* SPDX-License-Identifier: MIT */
/*
 * The measured VTL0 configuration: what the image put where in VTL0's memory. It lies at GPA 0
 * until the daemon has read it.
 * Trust: measured with the image, but it lay in VTL0's memory, which on a VM without isolation the
 * host can write: checked like any outside data. Spec: igvmfilegen, measured VTL0 configuration.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gmem.h"

#define VTL0_CMDLINE_MAX 4096u

struct vtl0_config {
	bool uefi, pcat, linux_direct;
	/* Linux direct */
	gpa_t kernel_base, kernel_len;
	gpa_t kernel_entry;
	gpa_t initrd_base;
	uint64_t initrd_len; /* bytes; 0 = none */
	char cmdline[VTL0_CMDLINE_MAX]; /* terminated */
};

/**
 * vtl0_config_read - read and check the configuration, then wipe the pages it occupied
 * @ret_cfg: filled on success only
 * Returns: 0; -ENOENT (no configuration there: VTL0 is not loaded from the image); -EBADMSG;
 * -EFAULT
 * Context: start-up, before VTL0 runs
 */
must_check int vtl0_config_read(struct gmem *gm, struct vtl0_config *ret_cfg);
