/* SPDX-License-Identifier: MIT */
/*
 * The interrupt lines of the machine: each line is the OR of its sources and feeds one or more
 * inputs of interrupt controllers (line n to IOAPIC input n and, where there is one, to the PIC:
 * chipset fact sheet, I/O dispatch). Lock rank 2 (device.h): held while controllers are told, so
 * that they see levels in order.
 */
#pragma once

#include "irqline.h"
#include "macros.h"

#define IRQSET_LINES 24u
#define IRQSET_SOURCES_MAX 32u /* per line */
#define IRQSET_TARGETS_MAX 2u /* per line */

struct inspect;
struct irqset;

must_check int irqset_create(struct irqset **ret_set);
void irqset_destroy(struct irqset *set); /* NULL is fine */

/**
 * irqset_source - a new source on a line
 * @line: 0..IRQSET_LINES - 1
 * @ret_line: drive this; sources on the same line are independent of each other
 * Returns: 0; -EINVAL; -ENOSPC. Context: start-up.
 */
must_check int irqset_source(struct irqset *set, unsigned int line, struct irq_line *ret_line);

/**
 * irqset_connect - tell sink input n about the line
 * Returns: 0; -EINVAL; -ENOSPC. Context: start-up.
 */
must_check int irqset_connect(struct irqset *set, unsigned int line, const struct irq_sink *sink,
			      unsigned int n);

/* Each line with its sources and levels: an inspect_fn on the struct irqset. */
void irqset_inspect(struct inspect *in, const void *set);
