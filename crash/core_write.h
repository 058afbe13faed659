/* SPDX-License-Identifier: MIT */
/*
 * An ELF core of a live process, in the order the kernel writes one, so that debuggers open it with
 * all threads. The process is held while its registers, its list of mappings and its memory are
 * read, and runs on afterwards, whatever happens to this process. Context: one thread does
 * everything. Trust: the dumped process's memory and names are bytes, never followed.
 * Spec: spec/diag.md 7.3.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "core_rewrite.h"
#include "macros.h"

struct core_write_cfg {
	pid_t pid;
	const uint8_t *kmsg_note; /* KMSG_NOTE_BYTES, or NULL */
	unsigned stop_timeout_ms; /* for the slowest thread */
	core_sink_fn sink;
	void *ctx;
};

struct core_write_stats {
	size_t threads, maps;
	uint64_t bytes;
};

/**
 * core_write - dump one process
 * @ret_stats: filled on success
 * (which must itself not block for ever: the process stands still meanwhile); -EINVAL: itself
 */
must_check int core_write(const struct core_write_cfg *cfg, struct core_write_stats *ret_stats);
