/* SPDX-License-Identifier: MIT */
/*
 * A disk as the user asks for it: FILE[,as=scsi|nvme|ide][,ro][,dvd][,id=NAME][,on=N][,size=SIZE]
 * [,later], or ram:SIZE instead of FILE. The same text carries it from the front end to the agent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guid.h"
#include "macros.h"

#define DISK_OPT_MAX 16u
#define DISK_OPT_PATH 1024u
#define DISK_OPT_ID 21u /* with its end; as long as a serial number may be */
#define DISK_OPT_TEXT (DISK_OPT_PATH * 2 + 128)

/* What VTL0 sees. */
enum disk_as { DISK_AS_SCSI, DISK_AS_NVME, DISK_AS_IDE };

struct disk_opt {
	char path[DISK_OPT_PATH]; /* file or block device; "" = RAM */
	char id[DISK_OPT_ID]; /* its name: letters, digits, - and _ */
	enum disk_as as;
	uint64_t ram_bytes;
	uint64_t size; /* only so much of it is shown at first; 0 = all */
	bool read_only;
	bool dvd; /* read_only, too */
	bool later; /* only there after disk-add */
	bool has_controller;
	uint32_t controller; /* NVMe controller it is on towards VTL2; else one of its own */
};

/* Where a disk is, for the VTL2 settings: behind what and as what. */
struct disk_place {
	const char *id;
	enum disk_as as;
	bool read_only, dvd;
	struct guid device; /* of the NVMe controller's VPCI channel */
	uint32_t nsid;
	struct guid controller; /* VTL0's */
	uint8_t channel; /* IDE */
	uint32_t location; /* LUN, IDE drive, NSID */
};

/**
 * disk_opt_parse - understand one text
 * @index: the disk's number: the default id is diskINDEX
 * @ret_why: a sentence without a full stop on failure
 * Returns: 0, -EINVAL. Pure.
 */
must_check int disk_opt_parse(const char *text, unsigned index, struct disk_opt *ret_opt,
			      char *ret_why, size_t size);

/* Are these @n disks possible together? Returns 0, -EINVAL with a sentence. Pure. */
must_check int disk_opt_check(const struct disk_opt *opts, unsigned n, char *ret_why, size_t size);

/* The text that gives @opt again. @ret_text: DISK_OPT_TEXT bytes. */
void disk_opt_format(const struct disk_opt *opt, char *ret_text);
