/* SPDX-License-Identifier: MIT */
/*
 * Time and timers for devices: CLOCK_MONOTONIC, host wall-clock time as an offset to it, device
 * timers on the control loop.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "clock.h"
#include "loop.h"

struct time_source {
	struct vm_clock clock;
	struct dev_timers timers;
	struct loop *loop;
	_Atomic int64_t utc_offset_ns; /* wall clock minus monotonic */
};

/* @loop: where timers fire. Until vm_clock_set_utc() the wall clock is this kernel's own. */
void vm_clock_init(struct time_source *t, struct loop *loop);

/**
 * vm_clock_set_utc - take the host's wall clock
 * @utc_1601_100ns: 100 ns units since 1601-01-01; values outside 1970..2554 are ignored
 * @taken_ns: loop_now_ns() when it was valid
 */
void vm_clock_set_utc(struct time_source *t, int64_t utc_1601_100ns, uint64_t taken_ns);
