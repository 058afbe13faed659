/* SPDX-License-Identifier: MIT */
/*
 * The control verbs about disks (README.md lists them). What VTL0 sees changes by new VTL2
 * settings; a verb that needs them is answered when the paravisor has answered.
 * Context: the device thread. Trust: the user's own; VTL2's answers are texts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl_host.h"
#include "disk_host.h"
#include "macros.h"

struct disk_ctl;
struct loop;

struct disk_ctl_cfg {
	struct disk_host *dh;
	struct disk_opt *opts; /* what the next session begins with: `later` follows */
	uint32_t vps;
	struct loop *loop;
	uint32_t answer_ms; /* how long the paravisor may take; 0 = 20 s */
	/* As get_host_modify(). */
	int (*modify)(void *ctx, const void *doc, size_t len);
	void *ctx;
};

must_check int disk_ctl_create(const struct disk_ctl_cfg *cfg, struct disk_ctl **ret_dc);
void disk_ctl_destroy(struct disk_ctl *dc); /* after its ctl_host; accepts NULL */

/* The table to serve. */
struct ctl_verbs disk_ctl_verbs(struct disk_ctl *dc);

/* What the paravisor said of the last modify(). */
void disk_ctl_modified(struct disk_ctl *dc, bool ok, const char *text);

/**
 * disk_ctl_fault - understand the words of a fault
 * @ret_why: a sentence on failure. Returns: 0, -EINVAL. Pure.
 */
must_check int disk_ctl_fault(unsigned argc, char **argv, struct disk_fault *ret_f, char *ret_why,
			      size_t size);
