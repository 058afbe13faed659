/* SPDX-License-Identifier: MIT */
/*
 * A log filter: text in the syntax that log.h describes, and the decision for a target. Pure
 * functions without allocation; the work is bounded by the limits below. Trust: the text may come
 * from the host.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "macros.h"

#define LOG_FILTER_ENTRIES 64u
#define LOG_OFF (-1) /* below every enum log_level */

struct log_filter {
	char text[LOG_FILTER_MAX]; /* as it was given */
	uint32_t n;
	struct {
		uint16_t off, len; /* the target in text; len 0 = everything */
		int16_t level; /* highest that passes: LOG_OFF or enum log_level */
	} entries[LOG_FILTER_ENTRIES];
};

/**
 * log_filter_parse - understand a text
 * @ret_filter: written only on success
 * @ret_why: a reason in words on failure; may be NULL with @why_size 0
 * Returns: 0; -EINVAL
 */
must_check int log_filter_parse(const char *text, struct log_filter *ret_filter, char *ret_why,
				size_t why_size);

/* The highest level that passes for a target: LOG_OFF or an enum log_level. */
int log_filter_level(const struct log_filter *filter, const char *target);
