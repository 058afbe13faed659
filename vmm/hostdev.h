/* SPDX-License-Identifier: MIT */
/*
 * Where in this VTL are the host's storage devices? From the VMBus instance that the VTL2 settings
 * name to the device nodes, by sysfs. Nothing here waits. Trust: sysfs is the kernel's; names and
 * numbers in it are checked all the same. Spec: spec/get-vmgs.md 12.5.
 */
#pragma once

#include "macros.h"
#include "vtl2_settings.h"

#define HOSTDEV_PATH 160u

/* Mount points, so that tests can bring their own. */
struct hostdev_roots {
	const char *sys, *dev; /* "/sys", "/dev" */
};

struct hostdev {
	char block_name[32]; /* "sda", "nvme0n1" */
	char block_path[HOSTDEV_PATH];
	char nvme_path
		[HOSTDEV_PATH]; /* "/dev/ng0n1", where commands can be passed through; or "" */
};

/**
 * hostdev_find - the node of a namespace or SCSI disk
 * Returns: 0: it is there and can be opened; -EAGAIN: not (yet); -errno of sysfs
 */
must_check int hostdev_find(const struct hostdev_roots *roots, const struct vtl2s_device *d,
			    struct hostdev *ret_hd);

/**
 * hostdev_set_up - let the kernel pass requests on as they are: no scheduling, no merging
 * Returns: 0; -errno. Not needed where commands are passed through.
 */
must_check int hostdev_set_up(const struct hostdev_roots *roots, const struct hostdev *hd);
