/* SPDX-License-Identifier: MIT */
/*
 * One HTML page about a VM: charts of what was sampled, tables of what it is. It needs nothing but
 * itself, runs no script (its own policy forbids any) and contains a VM's words as text only.
 */
#pragma once

#include "cli_chart.h"
#include "cli_model.h"
#include "cli_str.h"

struct report {
	const char *vm; /* as the user named it */
	const char *when; /* in words */
	const char *trouble; /* why sampling ended early, or NULL */
	double *times; /* of the samples, in seconds since the first */
	size_t cap_times;
	struct chart_set kinds, vps, memory, procs, rings;
};

/* Take one sample into the report. @at: seconds since the first. Returns: 0; -ENOMEM. */
must_check int report_sample(struct report *rep, const struct cli_model *m, double at);
void report_fini(struct report *rep);

/**
 * report_page - the page
 * @first, @last: models of the first and the last reading (the same when there is only one)
 * @root: the last reading
 */
void report_page(struct cli_str *out, const struct report *rep, const struct cli_model *first,
		 const struct cli_model *last, const struct inspect_node *root);

/**
 * report_seconds - a duration as the tree has them: "1.500000000s", or a number with its unit in
 * the name (_ns, _us, _ms); nanoseconds without
 * Returns: false when it is none
 */
bool report_seconds(const struct inspect_node *node, double *ret_seconds);
