/* SPDX-License-Identifier: MIT */
/* Calendar and number formats of the real-time clock. No state, any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"

enum rtc_field {
	RTC_SEC,
	RTC_MIN,
	RTC_HOUR,
	RTC_WDAY,
	RTC_MDAY,
	RTC_MONTH,
	RTC_YEAR,
	RTC_CENTURY,
};

#define RTC_FIELDS 8u

/* Time registers as the guest sees them, in the format of status B. */
struct rtc_time {
	uint8_t reg[RTC_FIELDS]; /* by enum rtc_field */
};

/* Formats, from status B. */
struct rtc_format {
	bool binary; /* else BCD */
	bool h24; /* else 1..12 with bit 7 = PM */
};

/* Latest second that a two-digit century can show: 9999-12-31 23:59:59. */
#define RTC_TIME_MAX 253402300799ll

/**
 * rtc_time_encode - seconds since 1970 to registers
 * @secs: clamped to 0..RTC_TIME_MAX
 */
struct rtc_time rtc_time_encode(int64_t secs, struct rtc_format f);

/**
 * rtc_time_decode - registers to seconds since 1970; the weekday is not looked at
 * Returns: 0; -EINVAL: not a date from 1970 on
 * Trust: VTL0
 */
must_check int rtc_time_decode(const struct rtc_time *t, struct rtc_format f, int64_t *ret_secs);

/**
 * rtc_alarm_next - next second of the day at which an alarm matches
 * @from: first second of the day to consider, 0..86399; wraps to the next day
 * Bytes 0xc0 and above match any value; values that are no time of day never match.
 * Returns: seconds from the start of the day of @from, from..from + 86399; -1: never
 */
int32_t rtc_alarm_next(uint8_t sec, uint8_t min, uint8_t hour, struct rtc_format f, int32_t from);
