/* SPDX-License-Identifier: MIT */
/*
 * Figures of a run as machine-readable log lines ("stats {json}"): boot phases, memory, exits.
 * Context: control thread. Reads /proc; allocates nothing.
 */
#pragma once

#include <stdint.h>

#include "bootdt.h"
#include "vcpu.h"

/* CLOCK_BOOTTIME in ns unless said otherwise; 0 = not known. */
struct stats_times {
	uint64_t shim_ns; /* duration */
	uint64_t init_start, daemon_start, host_ready, vtl0_entry;
};

void stats_log_boot(const struct stats_times *t);

/* VTL2's memory as the kernel sees it, and the resident size of this process, of its
 * parent (the control role) and of PID 1. */
void stats_log_mem(const struct bootdt *dt);

void stats_log_exits(const uint64_t exits[EXIT_KINDS]);

/**
 * stats_find_kib - the number in a line "Name:   123 kB"
 * @text: NUL-terminated; returns 0 when there is no such line
 */
uint64_t stats_find_kib(const char *text, const char *name);
