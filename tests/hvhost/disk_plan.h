/* SPDX-License-Identifier: MIT */
/* VTL2 settings that give VTL0 its disks. Spec: spec/get-vmgs.md chapter 12. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "disk_host.h"
#include "macros.h"

/**
 * disk_plan_settings - the settings document for the disks that are there now
 * Controllers are those of all disks, there or not: they cannot come or go while a VM runs.
 * @without: number of a disk to leave out, or -1
 * @ret_doc: from malloc(); NULL with 0 bytes when there are no disks at all
 * Returns: 0, -ENOMEM. Device thread.
 */
must_check int disk_plan_settings(const struct disk_host *dh, uint32_t vps, int without,
				  uint8_t **ret_doc, size_t *ret_len);
