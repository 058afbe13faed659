/* SPDX-License-Identifier: MIT */
#include "rtc.h"

#include "unit.h"

#include "chip_rig.h"
#include "rtctime.h"

#include <time.h>

#define SEC 1000000000ull
#define PIC_RTC 8

static struct chip_rig rig;

static uint8_t get(uint8_t idx)
{
	rig_outb(&rig, 0x70, idx);
	return rig_inb(&rig, 0x71);
}

static void put(uint8_t idx, uint8_t val)
{
	rig_outb(&rig, 0x70, idx);
	rig_outb(&rig, 0x71, val);
}

START_TEST(reads_utc_in_bcd)
{
	/* 2024-03-01 12:34:56, Friday */
	rig_init(&rig);
	ck_assert_uint_eq(get(0x00), 0x56);
	ck_assert_uint_eq(get(0x02), 0x34);
	ck_assert_uint_eq(get(0x04), 0x12);
	ck_assert_uint_eq(get(0x06), 6);
	ck_assert_uint_eq(get(0x07), 0x01);
	ck_assert_uint_eq(get(0x08), 0x03);
	ck_assert_uint_eq(get(0x09), 0x24);
	ck_assert_uint_eq(get(0x32), 0x20);
	rig_step(&rig, 5 * SEC, 10);
	ck_assert_uint_eq(get(0x00), 0x01);
	ck_assert_uint_eq(get(0x02), 0x35);
	rig_fini(&rig);
}
END_TEST

START_TEST(reset_values)
{
	rig_init(&rig);
	ck_assert_uint_eq(rig_inb(&rig, 0x70), 0x80);
	ck_assert_uint_eq(get(0x0a), 0x26);
	ck_assert_uint_eq(get(0x0b), 0x02);
	ck_assert_uint_eq(get(0x0c), 0x00);
	ck_assert_uint_eq(get(0x0d), 0x80);
	rig_fini(&rig);
}
END_TEST

START_TEST(binary_and_12_hours)
{
	rig_init(&rig);
	put(0x0b, 0x06);
	ck_assert_uint_eq(get(0x00), 56);
	ck_assert_uint_eq(get(0x09), 24);
	ck_assert_uint_eq(get(0x32), 20);
	put(0x0b, 0x04);
	ck_assert_uint_eq(get(0x04), 0x80 | 12); /* noon is 12 PM */
	put(0x0b, 0x00);
	ck_assert_uint_eq(get(0x04), 0x92);
	rig_step(&rig, 12 * 3600 * SEC, 0);
	ck_assert_uint_eq(get(0x04), 0x12); /* midnight is 12 AM */
	rig_fini(&rig);
}
END_TEST

START_TEST(encode_agrees_with_libc)
{
	const struct rtc_format f = { .binary = true, .h24 = true };
	unsigned int n = 0;

	/* Every 68 days or so, through all leap year cases. */
	for (int64_t t = 0; t < RTC_TIME_MAX; t += 61001 * 97ll) {
		time_t tt = (time_t)t;
		struct rtc_time r = rtc_time_encode(t, f);
		struct tm tm;
		int64_t back = -1;

		/* One test per time: the framework's assertions are slow. */
		if (gmtime_r(&tt, &tm) && r.reg[RTC_SEC] == tm.tm_sec &&
		    r.reg[RTC_MIN] == tm.tm_min && r.reg[RTC_HOUR] == tm.tm_hour &&
		    r.reg[RTC_WDAY] == tm.tm_wday + 1 && r.reg[RTC_MDAY] == tm.tm_mday &&
		    r.reg[RTC_MONTH] == tm.tm_mon + 1 &&
		    r.reg[RTC_CENTURY] * 100 + r.reg[RTC_YEAR] == tm.tm_year + 1900 &&
		    rtc_time_decode(&r, f, &back) == 0 && back == t)
			n++;
		else
			ck_abort_msg("differs at %lld", (long long)t);
	}
	ck_assert_uint_gt(n, 40000);
}
END_TEST

START_TEST(decode_in_all_formats)
{
	for (int i = 0; i < 4; i++) {
		const struct rtc_format f = { .binary = i & 1, .h24 = i & 2 };

		for (int64_t t = 0; t < 86400; t += 599) {
			struct rtc_time r = rtc_time_encode(951782400 + t, f); /* 2000-02-29 */
			int64_t back = -1;

			ck_assert_int_eq(rtc_time_decode(&r, f, &back), 0);
			ck_assert_int_eq(back, 951782400 + t);
		}
	}
}
END_TEST

START_TEST(decode_refuses)
{
	static const struct {
		uint8_t field, val;
	} bad[] = {
		{ RTC_SEC, 0x60 }, { RTC_SEC, 0x0a }, { RTC_SEC, 0xff }, { RTC_MIN, 0x60 },
		{ RTC_HOUR, 0x24 }, { RTC_HOUR, 0x92 }, { RTC_MDAY, 0 }, { RTC_MDAY, 0x31 },
		{ RTC_MONTH, 0 }, { RTC_MONTH, 0x13 }, { RTC_YEAR, 0xa0 }, { RTC_CENTURY, 0x19 },
		{ RTC_CENTURY, 0xff },
	};
	const struct rtc_format f = { .h24 = true };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rtc_time r = rtc_time_encode(1713000000, f); /* April 2024 */
		int64_t t;

		r.reg[bad[i].field] = bad[i].val;
		ck_assert_int_lt(rtc_time_decode(&r, f, &t), 0);
	}
}
END_TEST

START_TEST(set_time_with_set_bit)
{
	rig_init(&rig);
	put(0x0b, 0x82);
	put(0x00, 0x00);
	put(0x02, 0x30);
	put(0x04, 0x07);
	put(0x07, 0x29);
	put(0x08, 0x02);
	put(0x09, 0x28);
	(void)get(0x0c);
	rig_step(&rig, 10 * SEC, 0); /* stands still */
	ck_assert_uint_eq(get(0x0c), 0);
	ck_assert_uint_eq(get(0x00), 0x00);
	ck_assert_uint_eq(rig.n_skew, 0);
	put(0x0b, 0x02);
	ck_assert_uint_eq(rig.n_skew, 1);
	rig_step(&rig, 3 * SEC, 0);
	ck_assert_uint_eq(get(0x00), 0x03);
	ck_assert_uint_eq(get(0x02), 0x30);
	ck_assert_uint_eq(get(0x07), 0x29);
	ck_assert_uint_eq(get(0x09), 0x28);
	ck_assert_uint_eq(get(0x06), 3); /* a Tuesday */
	ck_assert_int_eq(rig.skew, (1835422200ll - (int64_t)RIG_UTC_START - 10) * 1000000000);
	rig_fini(&rig);
}
END_TEST

START_TEST(set_bit_without_writes_keeps_time)
{
	rig_init(&rig);
	put(0x0b, 0x82);
	rig_step(&rig, 10 * SEC, 0);
	ck_assert_uint_eq(get(0x00), 0x56);
	put(0x0b, 0x02);
	ck_assert_uint_eq(get(0x00), 0x06);
	ck_assert_uint_eq(rig.n_skew, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(set_single_register_running)
{
	rig_init(&rig);
	put(0x02, 0x00);
	ck_assert_uint_eq(get(0x02), 0x00);
	ck_assert_uint_eq(get(0x00), 0x56);
	ck_assert_int_eq(rig.skew, -34ll * 60 * 1000000000);
	rig_fini(&rig);
}
END_TEST

START_TEST(nonsense_time_is_not_adopted)
{
	rig_init(&rig);
	put(0x08, 0x77);
	ck_assert_uint_eq(get(0x08), 0x03);
	put(0x0b, 0x82);
	put(0x07, 0xff);
	ck_assert_uint_eq(get(0x07), 0xff);
	put(0x0b, 0x02);
	ck_assert_uint_eq(get(0x07), 0x01);
	ck_assert_uint_eq(rig.n_skew, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(divider_reset_stops_clock)
{
	rig_init(&rig);
	put(0x0a, 0x76);
	rig_step(&rig, 10 * SEC, 0);
	ck_assert_uint_eq(get(0x00), 0x56);
	put(0x0a, 0x26);
	ck_assert_uint_eq(get(0x00), 0x06);
	rig_fini(&rig);
}
END_TEST

START_TEST(update_in_progress)
{
	rig_init(&rig);
	ck_assert_uint_eq(get(0x0a), 0x26);
	rig_step(&rig, SEC - 1000000, 0);
	ck_assert_uint_eq(get(0x0a), 0xa6);
	put(0x0b, 0x82);
	ck_assert_uint_eq(get(0x0a), 0x26);
	put(0x0b, 0x02);
	rig_step(&rig, 1000000, 0);
	ck_assert_uint_eq(get(0x0a), 0x26);
	put(0x0a, 0xff & ~0x60); /* the bit itself is read-only */
	ck_assert_uint_eq(get(0x0a) & 0x80, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(update_interrupt)
{
	rig_init(&rig);
	put(0x0b, 0x12);
	ck_assert(!rig_line(&rig, PIC_RTC));
	rig_step(&rig, SEC, 10);
	ck_assert(rig_line(&rig, PIC_RTC));
	ck_assert_uint_eq(rig_step(&rig, 100 * SEC, 1000), 0); /* flagged: no more wake-ups */
	ck_assert_uint_eq(get(0x0c) & 0xb0, 0x90);
	ck_assert(!rig_line(&rig, PIC_RTC));
	rig_step(&rig, SEC, 10);
	ck_assert(rig_line(&rig, PIC_RTC));
	rig_fini(&rig);
}
END_TEST

START_TEST(set_bit_clears_update_enable)
{
	rig_init(&rig);
	put(0x0b, 0x92);
	ck_assert_uint_eq(get(0x0b), 0x82);
	rig_fini(&rig);
}
END_TEST

START_TEST(flags_without_interrupt)
{
	rig_init(&rig);
	(void)get(0x0c);
	rig_step(&rig, SEC, 0);
	ck_assert_uint_eq(get(0x0c), 0x50); /* update and periodic, no combined flag */
	ck_assert_uint_eq(get(0x0c), 0x00);
	ck_assert_uint_eq(rig.fired, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(periodic_rates)
{
	static const uint16_t hz[16] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512,
					 256, 128, 64, 32, 16, 8, 4, 2 };

	for (unsigned int rate = 0; rate < 16; rate++) {
		unsigned int n = 0;

		rig_init(&rig);
		put(0x0a, (uint8_t)(0x20 | rate));
		put(0x0b, 0x42);
		for (unsigned int i = 0; i < 20000; i++) {
			rig_step(&rig, 50000, 10); /* the guest reads C every 50 us */
			n += get(0x0c) >> 6 & 1;
		}
		ck_assert_uint_eq(n, hz[rate]);
		rig_fini(&rig);
	}
}
END_TEST

START_TEST(periodic_line)
{
	rig_init(&rig);
	put(0x0a, 0x2f); /* 2 Hz */
	put(0x0b, 0x42);
	rig_step(&rig, SEC / 2 - 1, 10);
	ck_assert(!rig_line(&rig, PIC_RTC));
	rig_step(&rig, 1, 10);
	ck_assert(rig_line(&rig, PIC_RTC));
	put(0x0b, 0x02); /* disabling lowers the line, the flag stays */
	ck_assert(!rig_line(&rig, PIC_RTC));
	ck_assert_uint_eq(get(0x0c) & 0xc0, 0x40);
	rig_fini(&rig);
}
END_TEST

START_TEST(alarm_exact)
{
	rig_init(&rig);
	put(0x01, 0x10);
	put(0x03, 0x35);
	put(0x05, 0x12);
	put(0x0b, 0x22);
	rig_step(&rig, 13 * SEC, 10); /* 12:35:09 */
	ck_assert(!rig_line(&rig, PIC_RTC));
	rig_step(&rig, SEC, 10);
	ck_assert(rig_line(&rig, PIC_RTC));
	ck_assert_uint_eq(get(0x0c) & 0xa0, 0xa0);
	rig_step(&rig, 86399 * SEC, 10);
	ck_assert(!rig_line(&rig, PIC_RTC));
	rig_step(&rig, SEC, 10);
	ck_assert(rig_line(&rig, PIC_RTC)); /* a day later */
	rig_fini(&rig);
}
END_TEST

START_TEST(alarm_wildcard)
{
	/* BCD mode, where a decoded 0xff would be no wildcard any more. */
	rig_init(&rig);
	put(0x01, 0x05);
	put(0x03, 0xff);
	put(0x05, 0xc0);
	put(0x0b, 0x22);
	for (int i = 0; i < 3; i++) {
		rig_step(&rig, (i ? 60 : 9) * SEC - 1, 10);
		ck_assert(!rig_line(&rig, PIC_RTC));
		rig_step(&rig, 1, 10);
		ck_assert(rig_line(&rig, PIC_RTC));
		(void)get(0x0c);
		ck_assert(!rig_line(&rig, PIC_RTC));
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(alarm_every_second)
{
	rig_init(&rig);
	put(0x01, 0xff);
	put(0x03, 0xff);
	put(0x05, 0xff);
	put(0x0b, 0x22);
	rig_step(&rig, SEC, 10);
	ck_assert(rig_line(&rig, PIC_RTC));
	rig_fini(&rig);
}
END_TEST

START_TEST(alarm_that_is_no_time_never_comes)
{
	rig_init(&rig);
	put(0x01, 0x61);
	put(0x03, 0xff);
	put(0x05, 0xff);
	put(0x0b, 0x22);
	ck_assert_uint_eq(rig_step(&rig, 200000 * SEC, 10), 0);
	ck_assert_uint_eq(get(0x0c) & 0x20, 0);
	put(0x01, 0xff);
	put(0x03, 0x60); /* neither does a minute 60 */
	ck_assert_uint_eq(rig_step(&rig, 200000 * SEC, 10), 0);
	put(0x03, 0xff);
	put(0x05, 0x24); /* nor an hour 24 */
	ck_assert_uint_eq(rig_step(&rig, 200000 * SEC, 10), 0);
	rig_fini(&rig);
}
END_TEST

/* Against the definition: the first second of the day on which each field matches. */
START_TEST(alarm_next_agrees_with_search)
{
	static const uint8_t secs[] = { 0, 59, 0xff }, mins[] = { 0, 30, 0xff };
	static const uint8_t hours[] = { 0, 23, 7, 0xff };
	const struct rtc_format f = { .binary = true, .h24 = true };

	for (size_t s = 0; s < ARRAY_SIZE(secs); s++)
		for (size_t m = 0; m < ARRAY_SIZE(mins); m++)
			for (size_t h = 0; h < ARRAY_SIZE(hours); h++)
				for (int32_t from = 0; from < 86400; from += 7193) {
					int32_t t = from;

					while (!((secs[s] == 0xff || t % 60 == secs[s]) &&
						 (mins[m] == 0xff || t / 60 % 60 == mins[m]) &&
						 (hours[h] == 0xff || t / 3600 % 24 == hours[h])))
						t++;
					ck_assert_int_eq(rtc_alarm_next(secs[s], mins[m],
									hours[h], f, from),
							 t);
				}
}
END_TEST

START_TEST(alarm_12_hour_pm)
{
	rig_init(&rig);
	put(0x0b, 0x00);
	put(0x01, 0x00);
	put(0x03, 0x00);
	put(0x05, 0x81); /* 1 PM */
	put(0x0b, 0x20);
	rig_step(&rig, (25 * 60 + 4) * SEC - 1, 10);
	ck_assert(!rig_line(&rig, PIC_RTC));
	rig_step(&rig, 1, 10);
	ck_assert(rig_line(&rig, PIC_RTC));
	rig_fini(&rig);
}
END_TEST

START_TEST(cmos_bytes)
{
	rig_init(&rig);
	for (unsigned int i = 0x0e; i < 0x80; i++)
		if (i != 0x32)
			put((uint8_t)i, (uint8_t)(i ^ 0x5a));
	for (unsigned int i = 0x0e; i < 0x80; i++)
		if (i != 0x32)
			ck_assert_uint_eq(get((uint8_t)(i | 0x80)), i ^ 0x5a);
	device_reset(rtc_device(rig.cs->rtc));
	ck_assert_uint_eq(get(0x7f), 0x7f ^ 0x5a); /* battery-backed */
	rtc_set_cmos(rig.cs->rtc, 0x0f, 0x0a);
	rtc_set_cmos(rig.cs->rtc, 0x0d, 0x0a);
	rtc_set_cmos(rig.cs->rtc, 0xff, 0x0a);
	ck_assert_uint_eq(get(0x0f), 0x0a);
	ck_assert_uint_eq(get(0x0d), 0x80);
	rig_fini(&rig);
}
END_TEST

START_TEST(utc_jumps)
{
	rig_init(&rig);
	put(0x0b, 0x72);
	rig.utc -= 5 * SEC; /* back: no event is made up, time is right */
	(void)get(0x0c);
	ck_assert_uint_eq(get(0x00), 0x51);
	rig.utc = UINT64_MAX;
	(void)get(0x00);
	(void)get(0x0c);
	rig_step(&rig, SEC, 100);
	rig.utc = 0;
	ck_assert_uint_eq(get(0x09), 0x70);
	rig_fini(&rig);
}
END_TEST

START_TEST(sizes)
{
	rig_init(&rig);
	ck_assert_uint_eq(rig_in(&rig, 0x70, 2), 0xffff);
	ck_assert_uint_eq(rig_in(&rig, 0x71, 4), 0xffffffff);
	rig_out(&rig, 0x70, 2, 0x5510);
	ck_assert_uint_eq(rig_inb(&rig, 0x70), 0x80);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN("rtc", reads_utc_in_bcd, reset_values, binary_and_12_hours, encode_agrees_with_libc,
	  decode_in_all_formats, decode_refuses, set_time_with_set_bit,
	  set_bit_without_writes_keeps_time, set_single_register_running,
	  nonsense_time_is_not_adopted, divider_reset_stops_clock, update_in_progress,
	  update_interrupt, set_bit_clears_update_enable, flags_without_interrupt, periodic_rates,
	  periodic_line, alarm_exact, alarm_wildcard, alarm_every_second,
	  alarm_that_is_no_time_never_comes, alarm_next_agrees_with_search, alarm_12_hour_pm,
	  cmos_bytes, utc_jumps, sizes)
