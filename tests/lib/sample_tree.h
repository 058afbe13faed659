/* SPDX-License-Identifier: MIT */
/* A tree with one of everything, for tests of what is done with results. */
#pragma once

#include "inspect.h"

/* An inspect_fn; @obj is not used. Every kind of value, flags, levels, nested and empty
 * directories, a remote entry ("far", id 7), long and odd strings, values that can be changed. */
void sample_tree(struct inspect *in, const void *obj);
