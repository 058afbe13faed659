/* SPDX-License-Identifier: MIT */
/*
 * The host's end of the crash dump channel: takes one dump after the other from VTL2 and writes it
 * to a stream (core_stream.h) as it comes, never faster than the stream's reader reads. As strict
 * as the real host: a data message of another length than announced, or beyond the limit, ends the
 * channel; after a failure every write is answered with an error. Trust: VTL2 is hostile.
 * Spec: spec/diag.md 7.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "macros.h"

struct dump_host;
struct vmbus_server;

struct dump_host_cfg {
	struct vmbus_server *server;
	struct loop *loop;
	int out_fd; /* where records go (made non-blocking, not owned); -1: dumps are refused */
	uint64_t max_bytes; /* of one dump */
	/* A dump ended (device thread); may be NULL. */
	void (*ended)(void *ctx, uint64_t bytes, bool complete);
	void *ctx;
};

/* Returns: 0, -ENOMEM, -errno. Context: device thread, or before it runs. */
must_check int dump_host_create(const struct dump_host_cfg *cfg, struct dump_host **ret_dh);

/* A dump under way ends here; what is left to write is written, for a few seconds at most. */
void dump_host_destroy(struct dump_host *dh); /* accepts NULL */

/**
 * dump_host_file - put a small file of our own on the stream
 * @kind: "panic"
 * Blocks for a few seconds at most. Context: the device thread, or after the loop ended.
 */
void dump_host_file(struct dump_host *dh, const char *kind, const char *text, size_t len);
