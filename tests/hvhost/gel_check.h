/* SPDX-License-Identifier: MIT */
/*
 * Records of the log channel as the host takes them: checked against every rule of the format, and
 * shown as lines. Pure functions. Trust: VTL2 is hostile.
 * Spec: OpenHCL diagnostics, GEL channel.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "get_proto.h"
#include "json.h"
#include "macros.h"

#define GEL_LINE_MAX (2 * GEL_MAX_MESSAGE) /* a record as one line of text, with the NUL */

struct gel_view {
	const char *p; /* in the record; not terminated */
	size_t len;
};

/* A record that was found good. */
struct gel_rec {
	enum gel_type type;
	enum gel_level level;
	bool kmsg; /* a line of VTL2's kernel log */
	uint64_t time_ns; /* to 100 ns */
	struct gel_view name, target, fields, message;
};

/**
 * gel_check - is this a record as it must be?
 * Strings may be as long as their limits and must lie back to back; a string that is as long as its
 * limit may have been cut and is then not looked into. The message must be JSON with the members of
 * its kind, agreeing with the header, and without line breaks.
 * @ret_rec, @ret_json: written when it is; the caller calls json_fini(). A message that was cut has
 *                      no nodes.
 * Returns: NULL; else what is wrong with it, in a few words
 */
must_check const char *gel_check(const uint8_t *raw, size_t len, struct gel_rec *ret_rec,
				 struct json *ret_json);

/**
 * gel_line - "TIME LEVEL TARGET: text key=value...", printable ASCII, cut at GEL_LINE_MAX
 * @j: of gel_check()
 * Returns: its length without the NUL
 */
size_t gel_line(const struct gel_rec *rec, const struct json *j, char ret_line[GEL_LINE_MAX]);
