/* SPDX-License-Identifier: MIT */
/*
 * MC146818-compatible real-time clock with 128 bytes of CMOS behind ports 0x70 and 0x71.
 *
 * The time is the VM's UTC plus a skew, kept in no register: time registers are computed when read,
 * and a guest that sets them changes the skew. Interrupt flags are likewise computed from the time
 * that passed, so a timer runs only while an interrupt is enabled and not yet flagged: at most one
 * timer callback per read of status C.
 *
 * Locks: dev->lock, rank 1.
 * Trust: VTL0. Spec: Motorola MC146818A data sheet; chipset fact sheet, CMOS RTC.
 */
#pragma once

#include <stdint.h>

#include "clock.h"
#include "irqline.h"
#include "macros.h"

struct device;
struct rtc;

#define RTC_PORT 0x70u
#define RTC_PORTS 2u
#define RTC_IRQ 8u

struct rtc_wiring {
	struct irq_line irq;
	const struct vm_clock *clock;
	struct dev_timers timers;
	/* May be NULL. The guest set the clock: ns to add to UTC; the owner may keep it for the
	 * next start. Called with dev->lock held: must not block. */
	void (*skew_changed)(void *ctx, int64_t skew_ns);
	void *ctx;
};

struct rtc_cfg {
	int64_t skew_ns; /* as last reported by skew_changed */
};

/* Returns: 0, -ENOMEM. Destroy with device_destroy(rtc_device(rtc)). */
must_check int rtc_create(const struct rtc_cfg *cfg, const struct rtc_wiring *w,
			  struct rtc **ret_rtc);
struct device *rtc_device(struct rtc *rtc);

/**
 * rtc_set_cmos - put a byte into CMOS, as firmware would
 * @idx: 0x0e..0x7f without the century; others are ignored
 * Context: start-up
 */
void rtc_set_cmos(struct rtc *rtc, uint8_t idx, uint8_t val);
