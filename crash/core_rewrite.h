/* SPDX-License-Identifier: MIT */
/*
 * Puts the kernel's log into an ELF core on its way through: the first program header must be the
 * notes; they grow by one note, and everything that lies behind them moves. The core is a stream of
 * any length, nothing of it is held but the headers at hand. What does not look like a core that
 * can be extended passes unchanged: a dump without the note is better than none.
 * Trust: the stream's writer (the kernel, for a process of ours) is checked, not believed.
 * Context: any one thread. Spec: spec/diag.md 7.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crash_proto.h"
#include "macros.h"

#define CORE_EHDR_BYTES 64
#define CORE_PHDR_BYTES 56

/* Takes the rewritten stream. Returns: 0; -errno ends the rewriting with that error. */
typedef int (*core_sink_fn)(void *ctx, const void *buf, size_t len);

enum core_rewrite_state {
	CORE_HEAD, /* collecting the ELF header and the first program header */
	CORE_PHDRS, /* the other program headers, one at a time */
	CORE_NOTES, /* bytes up to the end of the notes */
	CORE_REST, /* everything behind them */
	CORE_PLAIN, /* passed on as it comes */
};

struct core_rewrite {
	core_sink_fn sink;
	void *ctx;
	const uint8_t *note; /* KMSG_NOTE_BYTES */
	enum core_rewrite_state state;
	uint8_t held[CORE_EHDR_BYTES + CORE_PHDR_BYTES];
	size_t held_len, held_want;
	uint64_t pos; /* bytes of the stream that were passed on */
	uint64_t notes_end; /* where in the stream the note goes */
	uint32_t phdrs_left;
	int err;
};

/**
 * core_rewrite_init - begin a stream
 * @note: KMSG_NOTE_BYTES bytes (kmsg_note.h), alive until the end; NULL = change nothing
 */
void core_rewrite_init(struct core_rewrite *cr, const uint8_t *note, core_sink_fn sink, void *ctx);

/* The next bytes of the stream, any number. Returns: 0, -errno of the sink (now and ever after). */
must_check int core_rewrite_push(struct core_rewrite *cr, const uint8_t *buf, size_t len);

/**
 * core_rewrite_end - the stream ends here
 * Returns: 0; -EBADMSG: it ended before its own headers said so (what came was passed on);
 * -errno of the sink
 */
must_check int core_rewrite_end(struct core_rewrite *cr);

/* Did the note go in (as far as the stream has come)? */
bool core_rewrite_noted(const struct core_rewrite *cr);
