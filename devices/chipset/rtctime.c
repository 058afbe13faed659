/* SPDX-License-Identifier: MIT */
#include "rtctime.h"

#include <errno.h>

#define DAY_SECS 86400
#define HOUR_PM 0x80u
#define WILDCARD 0xc0u /* both top bits set */

static uint8_t to_reg(unsigned int val, struct rtc_format f)
{
	return (uint8_t)(f.binary ? val : (val / 10) << 4 | val % 10);
}

/* -1: not a number in this format. */
static int from_reg(uint8_t reg, struct rtc_format f)
{
	if (f.binary)
		return reg;
	if ((reg & 0x0f) > 9 || reg > 0x99)
		return -1;
	return (reg >> 4) * 10 + (reg & 0x0f);
}

static uint8_t hour_to_reg(unsigned int hour, struct rtc_format f)
{
	unsigned int h12 = hour % 12 ? hour % 12 : 12;

	if (f.h24)
		return to_reg(hour, f);
	return (uint8_t)(to_reg(h12, f) | (hour >= 12 ? HOUR_PM : 0));
}

static int hour_from_reg(uint8_t reg, struct rtc_format f)
{
	int hour;

	if (f.h24) {
		hour = from_reg(reg, f);
		return hour <= 23 ? hour : -1;
	}
	hour = from_reg((uint8_t)(reg & ~HOUR_PM), f);
	if (hour < 1 || hour > 12)
		return -1;
	return hour % 12 + (reg & HOUR_PM ? 12 : 0);
}

/* Days since 1970-01-01 of a proleptic Gregorian date; years are counted from March so that the
 * leap day comes last. */
static int64_t days_of(int64_t year, int month, int mday)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t mon = (month + 9) % 12; /* March = 0 */
	int64_t yday = (153 * mon + 2) / 5 + mday - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + yday - 719468;
}

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int month_days(int64_t year, int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* 1970..9999 only, so the loops are short: one step per month, and the year guess is off by one
 * at most. */
static void date_of(int64_t days, int64_t *ret_year, int *ret_month, int *ret_mday)
{
	int64_t year = 1970 + days * 400 / 146097;
	int month = 1;

	while (days_of(year + 1, 1, 1) <= days)
		year++;
	while (days_of(year, 1, 1) > days)
		year--;
	days -= days_of(year, 1, 1);
	while (days >= month_days(year, month))
		days -= month_days(year, month++);
	*ret_year = year;
	*ret_month = month;
	*ret_mday = (int)days + 1;
}

struct rtc_time rtc_time_encode(int64_t secs, struct rtc_format f)
{
	unsigned int tod, wday;
	int64_t days, year;
	int month, mday;

	secs = MAX(secs, 0);
	secs = MIN(secs, RTC_TIME_MAX);
	days = secs / DAY_SECS;
	tod = (unsigned int)(secs % DAY_SECS);
	wday = (unsigned int)((days + 4) % 7) + 1; /* 1970-01-01 was a Thursday; Sunday = 1 */
	date_of(days, &year, &month, &mday);
	return (struct rtc_time){ .reg = {
		[RTC_SEC] = to_reg(tod % 60, f),
		[RTC_MIN] = to_reg(tod / 60 % 60, f),
		[RTC_HOUR] = hour_to_reg(tod / 3600, f),
		[RTC_WDAY] = to_reg(wday, f),
		[RTC_MDAY] = to_reg((unsigned int)mday, f),
		[RTC_MONTH] = to_reg((unsigned int)month, f),
		[RTC_YEAR] = to_reg((unsigned int)(year % 100), f),
		[RTC_CENTURY] = to_reg((unsigned int)(year / 100), f),
	} };
}

int rtc_time_decode(const struct rtc_time *t, struct rtc_format f, int64_t *ret_secs)
{
	int sec = from_reg(t->reg[RTC_SEC], f), min = from_reg(t->reg[RTC_MIN], f);
	int hour = hour_from_reg(t->reg[RTC_HOUR], f);
	int mday = from_reg(t->reg[RTC_MDAY], f), month = from_reg(t->reg[RTC_MONTH], f);
	int yy = from_reg(t->reg[RTC_YEAR], f), century = from_reg(t->reg[RTC_CENTURY], f);
	int64_t year = (int64_t)century * 100 + yy;

	if (sec < 0 || sec > 59 || min < 0 || min > 59 || hour < 0)
		return -EINVAL;
	if (yy < 0 || yy > 99 || century < 0 || century > 99 || year < 1970)
		return -EINVAL;
	if (month < 1 || month > 12 || mday < 1 || mday > month_days(year, month))
		return -EINVAL;
	*ret_secs = days_of(year, month, mday) * DAY_SECS + hour * 3600 + min * 60 + sec;
	return 0;
}

/* One field of an alarm: -1 = any. False: matches nothing. */
static bool alarm_field(uint8_t reg, int val, int max, int *ret_want)
{
	if ((reg & WILDCARD) == WILDCARD)
		val = -1;
	else if (val < 0 || val > max)
		return false;
	*ret_want = val;
	return true;
}

static bool field_ok(int want, int val)
{
	return want < 0 || want == val;
}

int32_t rtc_alarm_next(uint8_t sec, uint8_t min, uint8_t hour, struct rtc_format f, int32_t from)
{
	int s, m, h;

	if (!alarm_field(sec, from_reg(sec, f), 59, &s) ||
	    !alarm_field(min, from_reg(min, f), 59, &m) ||
	    !alarm_field(hour, hour_from_reg(hour, f), 23, &h))
		return -1;
	/* Skip whole hours and minutes that cannot match: at most 25 + 60 + 60 steps. */
	for (int32_t t = from; t < from + DAY_SECS;) {
		if (!field_ok(h, t / 3600 % 24))
			t = (t / 3600 + 1) * 3600;
		else if (!field_ok(m, t / 60 % 60))
			t = (t / 60 + 1) * 60;
		else if (!field_ok(s, t % 60))
			t++;
		else
			return t;
	}
	return -1;
}
