/* SPDX-License-Identifier: MIT */
/* Knobs of the kernel that PID 1 turns before the daemon starts. */
#pragma once

#include <stdbool.h>

#include "macros.h"

/**
 * settings_apply - write every sysctl, memory policy and driver id
 * @root: "" on a real system; a folder that stands for / in tests
 * @dumps: processes that crash leave a core with the host; false on a restricted VM
 * A knob that this kernel does not have is reported and passed over: none of them is a matter of
 * life and death, and the daemon tells more about a device that is missing.
 * Returns: how many could not be written.
 */
unsigned settings_apply(const char *root, bool dumps);

/**
 * settings_entropy - give the seed in the device tree (openhcl/entropy) to the kernel
 * @credit: count its bits: only when whoever wrote the device tree is trusted
 * Returns: 0, -ENOENT (no seed), -errno
 */
must_check int settings_entropy(bool credit);

/**
 * settings_nvme_vfio - let vfio-pci take NVMe controllers, for the user-mode driver
 * Returns: 0, -errno
 */
must_check int settings_nvme_vfio(void);

/* File descriptors for the daemon; no core files, they would land in VTL2's memory. 0, -errno. */
must_check int settings_limits(void);
