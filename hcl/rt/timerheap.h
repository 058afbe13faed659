/* SPDX-License-Identifier: MIT */
/*
 * A pairing heap of loop timers by deadline: intrusive, so that arming never allocates and there is
 * no limit. Amortised O(log n); no locking here.
 */
#pragma once

#include "loop.h"

/* Insert a timer that is in no heap. */
void timerheap_add(struct loop_timer **root, struct loop_timer *t);

/* Take out a timer that is in this heap. The earliest is always *root (NULL = empty). */
void timerheap_del(struct loop_timer **root, struct loop_timer *t);
