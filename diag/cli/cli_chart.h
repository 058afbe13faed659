/* SPDX-License-Identifier: MIT */
/*
 * Charts as SVG inside an HTML page: drawn completely here, no script. Every chart comes with its
 * figures as a table. Names are escaped: they are a VM's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cli_str.h"

#define CHART_SERIES 32u /* of a set */
#define CHART_DRAWN 8u /* lines of one chart; the others are summed up or left to the table */
#define CHART_NAME 96u

enum chart_unit { CHART_NUMBER, CHART_PER_SECOND, CHART_KIB, CHART_SECONDS };

/* Several values over time. A value that was not there is NAN. */
struct chart_set {
	size_t n, samples, cap; /* series; samples so far; room for samples */
	char name[CHART_SERIES][CHART_NAME];
	double *val[CHART_SERIES];
};

/* Note the value of a series in the current sample. Series beyond CHART_SERIES are left out.
 * Returns: 0; -ENOMEM. */
must_check int chart_set_put(struct chart_set *set, const char *name, double val);
/* The current sample is complete. Returns: 0; -ENOMEM. */
must_check int chart_set_next(struct chart_set *set);
void chart_set_fini(struct chart_set *set);

/**
 * chart_lines - a chart of a set
 * @times: seconds of the samples, @set->samples of them
 * @sum_rest: what is not drawn becomes one line "others"
 */
void chart_lines(struct cli_str *out, const char *title, const struct chart_set *set,
		 const double *times, enum chart_unit unit, bool sum_rest);

struct chart_bar {
	char name[CHART_NAME];
	double from, val; /* the bar goes from @from to @from + @val */
};

/* Horizontal bars, at most 64. */
void chart_bars(struct cli_str *out, const char *title, const struct chart_bar *bars, size_t n,
		enum chart_unit unit);

/* A number the way the charts show it. */
void chart_number(struct cli_str *out, double val, enum chart_unit unit);

/* A round number at or above a value: a digit and zeros. */
double chart_round_up(double val);
