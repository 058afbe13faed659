/* SPDX-License-Identifier: MIT */
#include "irqset.h"

#include "unit.h"

#include <errno.h>

struct sink {
	struct irq_sink sink;
	unsigned int calls, line;
	bool level;
};

static void note(void *ctx, unsigned int line, bool level)
{
	struct sink *s = ctx;

	s->calls++;
	s->line = line;
	s->level = level;
}

static struct sink sink_make(void)
{
	return (struct sink){ .sink = { .set = note } };
}

START_TEST(or_of_sources)
{
	struct sink s = sink_make();
	struct irq_line a, b;
	struct irqset *set;

	s.sink.ctx = &s;
	ck_assert_int_eq(irqset_create(&set), 0);
	ck_assert_int_eq(irqset_connect(set, 4, &s.sink, 11), 0);
	ck_assert_int_eq(irqset_source(set, 4, &a), 0);
	ck_assert_int_eq(irqset_source(set, 4, &b), 0);
	irq_line_set(&a, false);
	ck_assert_uint_eq(s.calls, 0);
	irq_line_set(&a, true);
	irq_line_set(&b, true);
	irq_line_set(&b, true);
	ck_assert_uint_eq(s.calls, 1);
	ck_assert_uint_eq(s.line, 11);
	ck_assert(s.level);
	irq_line_set(&a, false);
	ck_assert_uint_eq(s.calls, 1);
	irq_line_set(&b, false);
	ck_assert_uint_eq(s.calls, 2);
	ck_assert(!s.level);
	irqset_destroy(set);
}
END_TEST

START_TEST(fans_out)
{
	struct sink s = sink_make(), t = sink_make();
	struct irq_line a, other;
	struct irqset *set;

	s.sink.ctx = &s;
	t.sink.ctx = &t;
	ck_assert_int_eq(irqset_create(&set), 0);
	ck_assert_int_eq(irqset_connect(set, 2, &s.sink, 2), 0);
	ck_assert_int_eq(irqset_connect(set, 2, &t.sink, 0), 0);
	ck_assert_int_eq(irqset_source(set, 2, &a), 0);
	ck_assert_int_eq(irqset_source(set, 3, &other), 0);
	irq_line_set(&other, true);
	irq_line_set(&a, true);
	ck_assert_uint_eq(s.calls, 1);
	ck_assert_uint_eq(s.line, 2);
	ck_assert_uint_eq(t.calls, 1);
	ck_assert_uint_eq(t.line, 0);
	irqset_destroy(set);
}
END_TEST

START_TEST(limits)
{
	struct sink s = sink_make();
	struct irq_line l;
	struct irqset *set;

	ck_assert_int_eq(irqset_create(&set), 0);
	ck_assert_int_eq(irqset_source(set, IRQSET_LINES, &l), -EINVAL);
	ck_assert_int_eq(irqset_connect(set, IRQSET_LINES, &s.sink, 0), -EINVAL);
	ck_assert_int_eq(irqset_connect(set, 0, NULL, 0), -EINVAL);
	for (unsigned int i = 0; i < IRQSET_SOURCES_MAX; i++)
		ck_assert_int_eq(irqset_source(set, 23, &l), 0);
	ck_assert_int_eq(irqset_source(set, 23, &l), -ENOSPC);
	for (unsigned int i = 0; i < IRQSET_TARGETS_MAX; i++)
		ck_assert_int_eq(irqset_connect(set, 23, &s.sink, i), 0);
	ck_assert_int_eq(irqset_connect(set, 23, &s.sink, 0), -ENOSPC);
	irqset_destroy(set);
	irqset_destroy(NULL);
}
END_TEST

/* The last source of a line uses the top bit. */
START_TEST(all_sources_are_independent)
{
	struct irq_line l[IRQSET_SOURCES_MAX];
	struct sink s = sink_make();
	struct irqset *set;

	s.sink.ctx = &s;
	ck_assert_int_eq(irqset_create(&set), 0);
	ck_assert_int_eq(irqset_connect(set, 23, &s.sink, 5), 0);
	for (unsigned int i = 0; i < IRQSET_SOURCES_MAX; i++)
		ck_assert_int_eq(irqset_source(set, 23, &l[i]), 0);
	for (unsigned int i = 0; i < IRQSET_SOURCES_MAX; i++)
		irq_line_set(&l[i], true);
	for (unsigned int i = 0; i < IRQSET_SOURCES_MAX; i++) {
		ck_assert(s.level);
		irq_line_set(&l[i], false);
	}
	ck_assert(!s.level);
	ck_assert_uint_eq(s.calls, 2);
	irqset_destroy(set);
}
END_TEST

START_TEST(unconnected_line)
{
	const struct irq_line none = { 0 };

	irq_line_set(&none, true);
	irq_line_set(&none, false);
}
END_TEST

UNIT_MAIN("core/irqset", or_of_sources, fans_out, limits, all_sources_are_independent,
	  unconnected_line)
