/* SPDX-License-Identifier: MIT */
/*
 * The one table that maps how a request ended: NVMe status to SCSI status and sense and back, and
 * errno to NVMe status. Spec: spec/storage-net.md 2.5, 7.6; NVM Express SCSI translation reference.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nvme_status.h"

struct scsi_outcome {
	uint8_t scsi_status, srb_status;
	bool has_sense;
	uint8_t key, asc, ascq;
};

/* @nvme: type and code; unknown ones give a hardware error, never success. Any thread. */
struct scsi_outcome nvme_to_scsi(uint16_t nvme);

/* The NVMe status that a front end speaking NVMe gives for this SCSI outcome. Any thread. */
uint16_t scsi_to_nvme(const struct scsi_outcome *o);

/* What an errno (positive) of the kernel's storage stack means; 0 is success. @write: of a
 * write. */
uint16_t errno_to_nvme(int err, bool write);
