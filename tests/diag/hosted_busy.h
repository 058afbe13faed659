/* SPDX-License-Identifier: MIT */
/*
 * What a VM under load would show, for clients that draw it: exits of four VPs, memory, rings, boot
 * phases, latencies. Made up, but it moves like the real thing; one name and one value are such
 * that a page that does not escape them is not the same page any more.
 */
#pragma once

#include "inspect.h"

/* An inspect_fn. @obj: uint64_t, ns since the load began. */
void hosted_busy(struct inspect *in, const void *obj);
