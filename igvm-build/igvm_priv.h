/* SPDX-License-Identifier: MIT */
/* Shared between the reader's own files: the checked file and the state while checking it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igvm_read.h"
#include "macros.h"

#define IGVM_PLATFORMS_MAX 7u /* one per platform type */
/* Limits of this reader; a real image uses 3 areas of 416 KiB together. */
#define IGVM_AREAS_MAX 256u
#define IGVM_AREA_BYTES_MAX (64u << 20)
#define IGVM_REGIONS_MAX 64u

struct igvm_file {
	const uint8_t *data;
	size_t len;
	uint32_t version;
	uint32_t arch;
	uint32_t checksum;
	uint32_t var_off;
	uint32_t var_end;
	struct igvm_header *hdr;
	size_t n_hdr;
};

enum area_state {
	AREA_OPEN, /* allocated, may be filled */
	AREA_INSERTED, /* consumed */
};

struct check_area {
	uint32_t index;
	uint64_t size;
	enum area_state state;
	uint64_t off; /* of the header, for messages */
};

/* Everything the rules need to remember while the headers are checked in file order. */
struct check {
	struct igvm_file *f;
	struct igvm_error *err;
	const struct igvm_platform *platform[32]; /* by mask bit */
	uint32_t platforms; /* all bits */
	uint32_t policies, corims, corim_sigs, cca_policies, pt_relocs, id_blocks, vbs_measures;
	struct check_area area[IGVM_AREAS_MAX];
	size_t n_area;
	uint64_t area_bytes;
	const struct igvm_header *region[IGVM_REGIONS_MAX]; /* both kinds of relocation header */
	size_t n_region;
	const struct igvm_header *vsm_vp[3]; /* VP context of the VSM platform, by VTL */
	uint8_t *vp_seen[IGVM_PLATFORMS_MAX]; /* bitmap of VP indices, other platforms, by type */
};

/**
 * igvm_fail - note where and why a file is refused
 * Returns: -EBADMSG, for `return igvm_fail(...)`
 */
int igvm_fail(struct igvm_error *err, uint64_t off, const char *fmt, ...) printf_like(3, 4);

/* The rules of one header, in file order. 0, -EBADMSG or -ENOMEM. */
must_check int igvm_check_platform(struct check *c, const struct igvm_header *h);
must_check int igvm_check_init(struct check *c, const struct igvm_header *h);
must_check int igvm_check_directive(struct check *c, const struct igvm_header *h);

/* A VP context and its registers. */
must_check int igvm_check_vp(struct check *c, const struct igvm_header *h);

/* The rules that need all headers. */
must_check int igvm_check_whole(struct check *c);

/* Is [off, off + len) file data? Offset 0 means "none" and is the caller's business. */
bool igvm_is_file_data(const struct igvm_file *f, uint32_t off, uint64_t len);

/* Platform of a mask that has exactly one bit; NULL when there is none. */
const struct igvm_platform *igvm_mask_platform(const struct check *c, uint32_t mask);
