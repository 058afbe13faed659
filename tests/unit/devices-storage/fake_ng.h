/* SPDX-License-Identifier: MIT */
/*
 * A namespace's node that takes commands as the kernel's driver does, in this process: linked in
 * place of loop_io_cmd() and of the admin ioctls. It refuses what the driver refuses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme_proto.h"

#define FAKE_NG_NSID 7u
#define FAKE_NG_SEGMENTS 127u

struct fake_ng {
	uint8_t *mem; /* the medium */
	uint64_t blocks;
	uint8_t lbads, mdts;
	uint16_t oncs;
	bool removed; /* -ENODEV */
	bool hang; /* commands do not end until they are cancelled */
	/* Results of the next commands, instead of doing them; then 0 */
	int32_t next[16];
	unsigned n_next;
	/* what came */
	unsigned commands, fua, flushes, dsm, zeroes, verifies, violations;
	uint32_t last_timeout_ms;
	struct nvme_resv_keys last_keys;
	uint32_t last_resv_cdw10;
	uint8_t report[4096];
};

extern struct fake_ng fake_ng;

/* A node of 3 MiB at @path, zeros, with all commands. */
void fake_ng_reset(uint8_t mdts);
void fake_ng_free(void);
