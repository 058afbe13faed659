/* SPDX-License-Identifier: MIT */
/*
 * IGVM reader: checks a file as a whole, then lets the caller walk its headers. Everything handed
 * out by this interface has passed every rule of the format; nothing has to be re-checked.
 * Trust: the file is hostile. Spec: IGVM file format.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "igvm_fmt.h"
#include "macros.h"

struct igvm_file;

/* Why a file was refused: where, and which rule it broke, as one sentence without a full stop. */
struct igvm_error {
	uint64_t off;
	char rule[160];
};

/* One checked variable header. */
struct igvm_header {
	uint32_t type; /* enum igvm_type */
	uint32_t len; /* of the body */
	uint64_t off; /* of the prefix, from the start of the file */
	bool masked; /* does this kind carry a compatibility mask? */
	uint32_t mask; /* all ones for kinds without one */
	union { /* by type; SNP_ID_BLOCK and VBS_MEASUREMENT: see igvm_header_body() */
		struct igvm_platform platform;
		struct igvm_guest_policy policy;
		struct igvm_reloc_region reloc;
		struct igvm_pt_reloc pt_reloc;
		struct igvm_corim corim;
		struct igvm_cca_policy cca;
		struct igvm_param_area area;
		struct igvm_page_data page;
		struct igvm_param_insert insert;
		struct igvm_vp_context vp;
		struct igvm_required_memory required;
		struct igvm_param param; /* the ten kinds that fill a parameter area */
		struct igvm_error_range error_range;
	};
};

/* One register of a VSM VP context, in host order. */
struct igvm_reg {
	uint8_t vtl;
	uint32_t name; /* enum hv_reg */
	union hv_regval val;
};

/* Most registers a VSM VP context may list. */
#define IGVM_REGS_MAX 128u

/**
 * igvm_parse - check a whole file against every rule of the format
 * @data: the file's bytes; a private copy that does not change and outlives *ret_file
 * @len: its length in bytes
 * @ret_file: on success, the checked file; igvm_destroy() releases it
 * @err: filled on -EBADMSG only: offset and rule
 * Returns: 0; -EBADMSG (refused, see @err); -ENOMEM
 * Context: any thread. Memory use is a small multiple of @len.
 */
must_check int igvm_parse(const void *data, size_t len, struct igvm_file **ret_file,
			  struct igvm_error *err);

/* Release a checked file; NULL is allowed. */
void igvm_destroy(struct igvm_file *file);

/* Facts of the fixed header. */
uint32_t igvm_version(const struct igvm_file *file);
uint32_t igvm_arch(const struct igvm_file *file); /* IGVM_ARCH_x */
uint32_t igvm_checksum(const struct igvm_file *file);
size_t igvm_file_size(const struct igvm_file *file);

/**
 * igvm_platform_find - the header of one platform type
 * @type: enum igvm_platform_type; non-isolated VMs use IGVM_PLATFORM_VSM_ISOLATION too
 * Returns: the header (its mask has exactly one bit), or NULL: the file is not for this platform
 */
const struct igvm_platform *igvm_platform_find(const struct igvm_file *file, uint32_t type);

enum igvm_vsm {
	IGVM_VSM_NONE, /* no isolation */
	IGVM_VSM_VBS,
	IGVM_VSM_VBS_DEBUG, /* the policy lets the host debug */
};

/**
 * igvm_vsm_isolation - which VM the VSM_ISOLATION platform of a file is for
 * Files of other builders say nothing about it and count as IGVM_VSM_NONE.
 */
enum igvm_vsm igvm_vsm_isolation(const struct igvm_file *file);

/**
 * igvm_next - walk the headers in file order
 * @pos: 0 to start; advanced by the call
 * @mask: only headers whose mask shares a bit with it (and all without a mask); ~0u = every header
 * Returns: the next header, or NULL at the end. Unknown optional headers are never returned.
 */
const struct igvm_header *igvm_next(const struct igvm_file *file, size_t *pos, uint32_t mask);

/**
 * igvm_header_body - the body of a header in place
 * Returns: hdr->len bytes, any alignment, valid as long as the file
 */
const void *igvm_header_body(const struct igvm_file *file, const struct igvm_header *hdr);

/**
 * igvm_data - file data a header points at
 * @hdr: PARAMETER_AREA, PAGE_DATA, VP_CONTEXT, CORIM_DOCUMENT or CORIM_SIGNATURE
 * @ret_len: bytes there: area size, 4096, the rest of the format's size, document size
 * Returns: the data in place, or NULL when there is none (zeros) or the kind has none (*ret_len 0)
 */
const void *igvm_data(const struct igvm_file *file, const struct igvm_header *hdr, size_t *ret_len);

/**
 * igvm_vbs_reg_get - one register of the VP context of a VSM platform
 * @hdr: a VP_CONTEXT header of a VSM platform
 * @i: 0 .. igvm_vbs_reg_count() - 1
 */
uint32_t igvm_vbs_reg_count(const struct igvm_file *file, const struct igvm_header *hdr);
struct igvm_reg igvm_vbs_reg_get(const struct igvm_file *file, const struct igvm_header *hdr,
				 uint32_t i);
