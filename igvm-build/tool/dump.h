/* SPDX-License-Identifier: MIT */
/* Print a checked image. */
#pragma once

#include <stdio.h>

#include "igvm_read.h"

/* One line per header, runs of pages joined; directives keep their order. */
void dump_text(const struct igvm_file *f, FILE *out);

/* The same as one JSON object; every page has its own entry. */
void dump_json(const struct igvm_file *f, FILE *out);
