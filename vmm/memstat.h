/* SPDX-License-Identifier: MIT */
/*
 * A line about memory in the log, first 15 minutes after the start and then once a day: the most
 * telling lines of /proc/meminfo and what each process of user space uses, as JSON. Only counts and
 * names of our own programs, so its class is ALLOWED. Spec: OpenHCL diagnostics, filters.
 */
#pragma once

#include <stddef.h>

#include "loop.h"
#include "macros.h"

struct memstat {
	struct loop_timer timer;
};

/* Context: the loop's thread, or before it runs. */
void memstat_start(struct memstat *ms, struct loop *loop);
void memstat_stop(struct memstat *ms);

/**
 * memstat_json - the line's text: {"periodic_memory_status":{"meminfo":{..},"processes":{..}}}
 * What does not fit is left out entry by entry: the text is whole JSON always.
 * @proc: "/proc"
 * Returns: 0; -ENOMEM; -ENOSPC: @size is below 128
 */
must_check int memstat_json(const char *proc, char *ret_text, size_t size);
