/* SPDX-License-Identifier: MIT */
/*
 * A scenario: what happens to a running VM, in step with what its guest says. A file of lines, done
 * in order; README.md explains them. Everything in the front end's thread. Trust: the user's own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct scenario;

enum scenario_stream { SCENARIO_COM1, SCENARIO_SCRIPT, SCENARIO_STREAMS };

struct scenario_ops {
	/* Ask the session for this; scenario_reply() says what came of it. */
	void (*request)(void *ctx, const char *line);
	/* Type this on VTL0's COM1. */
	void (*say)(void *ctx, const char *text);
};

/**
 * scenario_load - read a file
 * @ret_why: a sentence on failure. Returns: 0, -errno.
 */
must_check int scenario_load(const char *path, const struct scenario_ops *ops, void *ctx,
			     struct scenario **ret_sc, char *ret_why, size_t size);
void scenario_free(struct scenario *sc); /* accepts NULL */

/* From the first line (again). */
void scenario_start(struct scenario *sc, uint64_t now_ns);

/* The guest said something. */
void scenario_output(struct scenario *sc, enum scenario_stream stream, const void *buf, size_t len,
		     uint64_t now_ns);

/* The answer to the last request: did it go well? @text: the answer's last line. */
void scenario_reply(struct scenario *sc, bool ok, const char *text, uint64_t now_ns);

/* Look at the clock. Returns: when to look again (ns), 0 = no need. */
uint64_t scenario_tick(struct scenario *sc, uint64_t now_ns);

/* NULL: every line was done. Else a sentence about the line that failed or was not reached. */
const char *scenario_problem(struct scenario *sc);
