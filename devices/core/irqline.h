/* SPDX-License-Identifier: MIT */
/* Interrupt wires between devices: who is told about the level of a line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct irq_sink {
	/*
	 * The line is now at this level; being told the same level twice is harmless. Called with
	 * the lock of the driving device held: must not block and not call back (device.h, lock
	 * ranks).
	 */
	void (*set)(void *ctx, unsigned int line, bool level);
	void *ctx;
};

/* One end of a wire; sink NULL = not connected. */
struct irq_line {
	const struct irq_sink *sink;
	unsigned int n;
};

static inline void irq_line_set(const struct irq_line *line, bool level)
{
	if (line->sink)
		line->sink->set(line->sink->ctx, line->n, level);
}
