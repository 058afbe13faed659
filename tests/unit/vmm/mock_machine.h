/* SPDX-License-Identifier: MIT */
/*
 * The daemon's real device table around the scripted VP of mock_vp.h: a clock that stands still,
 * timers that never fire, serial output that is counted. For fuzzing, benchmarks, and the test of
 * the exit path.
 */
#pragma once

#include "chario.h"
#include "irqline.h"
#include "machine.h"
#include "mock_vp.h"
#include "msi.h"
#include "power.h"

struct mock_machine {
	struct mock_vp vp;
	struct machine *machine;
	struct vm_clock clock;
	struct dev_timers timers;
	struct msi_sink msi;
	struct irq_sink extint;
	struct power_ops power;
	struct char_backend com;
	uint64_t now_ns;
	uint64_t tx_bytes;
	unsigned int power_offs, resets, hibernates, msis;
};

/* Devices on the VP's bus, frozen; COM1 connected. */
void mock_machine_init(struct mock_machine *mm);
void mock_machine_fini(struct mock_machine *mm);
