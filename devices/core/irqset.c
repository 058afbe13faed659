/* SPDX-License-Identifier: MIT */
/* Input: levels from devices. State: private, under one lock. Thread: any. */
#include "irqset.h"

#include "inspect.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

/* irq_line.n of a source: line in the low bits, source above. */
#define LINE_BITS 5u
#define LINE_MASK ((1u << LINE_BITS) - 1)

BUILD_ASSERT(IRQSET_LINES <= 1u << LINE_BITS, "a line number must fit");

struct set_line {
	uint32_t asserted; /* one bit per source */
	unsigned int n_sources;
	unsigned int n_targets;
	struct irq_line target[IRQSET_TARGETS_MAX];
};

struct irqset {
	struct irq_sink sink; /* what sources drive */
	pthread_mutex_t lock; /* protects: line[].asserted; rank: 2 */
	struct set_line line[IRQSET_LINES];
};

static void source_set(void *ctx, unsigned int n, bool level)
{
	struct irqset *set = ctx;
	struct set_line *l = &set->line[n & LINE_MASK];
	uint32_t bit = 1u << (n >> LINE_BITS);
	uint32_t old;

	(void)pthread_mutex_lock(&set->lock);
	old = l->asserted;
	l->asserted = level ? old | bit : old & ~bit;
	if (!old != !l->asserted)
		for (unsigned int i = 0; i < l->n_targets; i++)
			irq_line_set(&l->target[i], level);
	(void)pthread_mutex_unlock(&set->lock);
}

int irqset_create(struct irqset **ret_set)
{
	struct irqset *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	(void)pthread_mutex_init(&set->lock, NULL);
	set->sink = (struct irq_sink){ .set = source_set, .ctx = set };
	*ret_set = set;
	return 0;
}

void irqset_destroy(struct irqset *set)
{
	if (!set)
		return;
	(void)pthread_mutex_destroy(&set->lock);
	free(set);
}

int irqset_source(struct irqset *set, unsigned int line, struct irq_line *ret_line)
{
	struct set_line *l;

	if (line >= IRQSET_LINES)
		return -EINVAL;
	l = &set->line[line];
	if (l->n_sources >= IRQSET_SOURCES_MAX)
		return -ENOSPC;
	*ret_line = (struct irq_line){ .sink = &set->sink, .n = line | l->n_sources << LINE_BITS };
	l->n_sources++;
	return 0;
}

int irqset_connect(struct irqset *set, unsigned int line, const struct irq_sink *sink,
		   unsigned int n)
{
	struct set_line *l;

	if (line >= IRQSET_LINES || !sink)
		return -EINVAL;
	l = &set->line[line];
	if (l->n_targets >= IRQSET_TARGETS_MAX)
		return -ENOSPC;
	l->target[l->n_targets++] = (struct irq_line){ .sink = sink, .n = n };
	return 0;
}

struct line_shown {
	uint32_t asserted;
	unsigned int n_sources, n_targets;
};

static void inspect_line(struct inspect *in, const void *obj)
{
	const struct line_shown *l = obj;

	inspect_bool(in, SENS_UNSPEC, "level", l->asserted != 0);
	inspect_binary(in, SENS_UNSPEC, "asserted", l->asserted);
	inspect_u64(in, SENS_UNSPEC, "sources", l->n_sources);
	inspect_u64(in, SENS_UNSPEC, "targets", l->n_targets);
}

void irqset_inspect(struct inspect *in, const void *obj)
{
	struct irqset *set = (struct irqset *)(uintptr_t)obj; /* only its lock changes */
	struct line_shown shown[IRQSET_LINES];

	(void)pthread_mutex_lock(&set->lock);
	for (unsigned int n = 0; n < IRQSET_LINES; n++)
		shown[n] = (struct line_shown){ set->line[n].asserted, set->line[n].n_sources,
						set->line[n].n_targets };
	(void)pthread_mutex_unlock(&set->lock);
	for (unsigned int n = 0; n < IRQSET_LINES; n++)
		if (shown[n].n_sources > 0)
			inspect_dir_at(in, SENS_UNSPEC, n, inspect_line, &shown[n]);
}
