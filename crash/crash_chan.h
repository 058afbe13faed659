/* SPDX-License-Identifier: MIT */
/*
 * The guest's end of the crash dump channel: asks what the host takes, announces a dump, sends it,
 * says that it is complete. Synchronous: the helper that runs it has nothing else to do. The host
 * may refuse at any time; what it says is checked. Trust: the host is hostile. Context: one thread.
 * Spec: spec/diag.md 7.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crash_proto.h"
#include "macros.h"
#include "pipe.h"

struct crash_chan_io {
	struct pipe *pipe;
	/* Block until data or room may be there. Returns: 0; -errno gives up. */
	int (*wait)(void *ctx);
	void *ctx;
};

struct crash_chan {
	struct crash_chan_io io;
	struct guid activity; /* the host's name for this dump */
	uint64_t max_bytes, sent;
	size_t held_len;
	uint8_t held[CRASH_WRITE_MAX];
};

/**
 * crash_chan_begin - capabilities, configuration, start
 * Returns: 0; -EOPNOTSUPP (the host does not want ELF cores); -ECONNREFUSED (it refused to start);
 * -EPROTO (an answer that is none); -EPIPE, -errno of wait
 */
must_check int crash_chan_begin(struct crash_chan *cc, const struct crash_chan_io *io);

/**
 * crash_chan_write - the next bytes of the core; collected to messages of full size
 * Returns: 0; -ENOSPC: this is more than the host takes (what fits was taken); -EIO: the host says
 * that it failed; -EPROTO, -EPIPE, -errno of wait
 */
must_check int crash_chan_write(struct crash_chan *cc, const void *buf, size_t len);

/**
 * crash_chan_complete - send the rest and the end of the dump, wait until the host has read it
 * @version: what /proc/version says, cut to what fits
 * Returns: as crash_chan_write
 */
must_check int crash_chan_complete(struct crash_chan *cc, const char *version);

/* "Linux version 7.3.4 ...": the first two numbers; 0, 0 for anything else. */
void crash_chan_kernel(const char *version, uint32_t *ret_major, uint32_t *ret_minor);
