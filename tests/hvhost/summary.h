/* SPDX-License-Identifier: MIT */
/* What a run leaves behind for its user: boot phases, exit counts, the paravisor's own figures. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUMMARY_COUNTS 16
#define SUMMARY_STATS 4
#define SUMMARY_NOTES 16

struct summary {
	int end; /* enum session_end of the last session */
	bool vtl0_started;
	char text[256];
	char notes[SUMMARY_NOTES][512]; /* crashes: lines of reports and of ours */
	unsigned n_notes;
	uint64_t shim_ns, kernel_ns, vmbus_ns, get_ns, vtl0_ns;
	uint64_t vtl2_log[SUMMARY_COUNTS]; /* records, violations, records not stored; rest zero */
	uint64_t vtl0_exits[SUMMARY_COUNTS], vtl2_exits[SUMMARY_COUNTS];
	unsigned emulator_faults;
	char line[4096]; /* log line under assembly */
	size_t line_len;
	char stats[SUMMARY_STATS][1024]; /* the last "stats {...}" lines the paravisor logged */
	unsigned n_stats;
};

void summary_init(struct summary *s);

/* A REPORT frame: key=value lines. */
void summary_report(struct summary *s, const char *text);

/* One more line for the end of the summary; beyond SUMMARY_NOTES they are only counted. */
void summary_note(struct summary *s, const char *text);

/* Bytes of the log: the paravisor's machine-readable "stats {...}" lines are kept. */
void summary_log(struct summary *s, const uint8_t *buf, size_t len);

/* Phases and counts, readable, on stderr. */
void summary_print(const struct summary *s, unsigned resets);
