/* SPDX-License-Identifier: MIT */
/*
 * Persistent reservations of SCSI as NVMe commands. Pure functions. Trust: a report is the
 * device's: any bytes. Spec: NVM Express Base 2.0 chapters 7.2 to 7.6; spec/storage-net.md 7.5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diskio.h"
#include "macros.h"
#include "nvme_proto.h"

/* One command that changes reservations. */
struct ng_resv_cmd {
	uint8_t opcode;
	uint32_t cdw10;
	struct nvme_resv_keys keys; /* its data; of RELEASE only the first one */
	uint32_t data_len;
};

/**
 * ng_resv_encode - the command for a PR OUT
 * @ptpl: the namespace keeps reservations over a power loss
 * Returns: 0; -EINVAL: no such type; -EOPNOTSUPP: action of PR IN, or aptpl without @ptpl
 */
must_check int ng_resv_encode(const struct disk_pr *pr, bool ptpl, struct ng_resv_cmd *ret_cmd);

/**
 * ng_resv_decode - the answer to a PR IN from a report
 * @ext: with 128-bit host identifiers
 * Fills the members of @pr below "DISK_PR_IN"; registrants beyond the report or beyond
 * DISK_PR_MAX_KEYS are left out. Returns: 0, -EBADMSG.
 */
must_check int ng_resv_decode(const void *report, size_t len, bool ext, struct disk_pr *pr);
