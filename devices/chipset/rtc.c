/* SPDX-License-Identifier: MIT */
/*
 * Input: VTL0 (ports). State: under dev->lock. Thread: VP threads and the timer's loop.
 *
 * "Wall" is the clock's own time line: UTC plus skew, in ns since 1970. Flags are brought up to
 * date by sync_flags(): an event counts when it lies in (synced, now].
 */
#include "rtc.h"

#include "device.h"
#include "inspect.h"
#include "rtctime.h"

#include <errno.h>
#include <stdlib.h>

#define CMOS_BYTES 128u
#define IDX_MASK 0x7fu
#define ADDR_RESET 0x80u

enum rtc_idx {
	IDX_SEC = 0x00,
	IDX_SEC_ALARM = 0x01,
	IDX_MIN = 0x02,
	IDX_MIN_ALARM = 0x03,
	IDX_HOUR = 0x04,
	IDX_HOUR_ALARM = 0x05,
	IDX_WDAY = 0x06,
	IDX_MDAY = 0x07,
	IDX_MONTH = 0x08,
	IDX_YEAR = 0x09,
	IDX_A = 0x0a,
	IDX_B = 0x0b,
	IDX_C = 0x0c,
	IDX_D = 0x0d,
	IDX_CENTURY = 0x32,
};

#define A_UIP 0x80u
#define A_DIV_MASK 0x70u
#define A_DIV_RESET 0x60u /* both upper divider bits: the chain is held in reset */
#define A_RATE_MASK 0x0fu
#define A_RESET 0x26u

#define B_SET 0x80u
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_BINARY 0x04u
#define B_24H 0x02u
#define B_RESET B_24H

/* Status C: flags in the positions of their enables, and their sum. */
#define C_IRQF 0x80u
#define C_PF B_PIE
#define C_AF B_AIE
#define C_UF B_UIE
#define C_FLAGS (C_PF | C_AF | C_UF)

#define D_VALID 0x80u

#define SECS_PER_DAY 86400
/* The update cycle announces itself 244 us ahead and takes 1984 us. */
#define UIP_NS 2228000u

struct rtc_regs {
	uint8_t addr;
	uint8_t a, b, c;
	uint8_t cmos[CMOS_BYTES]; /* alarm bytes, plain bytes, and the time while it stands still */
};

struct rtc {
	struct device dev;
	struct rtc_regs r;
	struct rtc_wiring w;
	struct dev_timer *timer;
	int64_t skew_ns;
	int64_t synced; /* wall time up to which the flags of status C are complete */
	bool time_written; /* while the clock stands still */
	bool irq_level;
};

/* int64_t ends in the year 2262, and so does this clock. */
static int64_t wall_ns(const struct rtc *rtc)
{
	uint64_t utc = clock_utc_ns(rtc->w.clock);
	int64_t wall;

	if (utc > INT64_MAX)
		utc = INT64_MAX;
	if (__builtin_add_overflow((int64_t)utc, rtc->skew_ns, &wall))
		return INT64_MAX;
	return MAX(wall, 0);
}

static struct rtc_format format(const struct rtc *rtc)
{
	return (struct rtc_format){ .binary = rtc->r.b & B_BINARY, .h24 = rtc->r.b & B_24H };
}

static bool running(const struct rtc *rtc)
{
	return !(rtc->r.b & B_SET) && (rtc->r.a & A_DIV_RESET) != A_DIV_RESET;
}

static uint32_t periodic_hz(uint8_t a)
{
	uint32_t rate = a & A_RATE_MASK;

	if (rate == 0)
		return 0;
	return rate < 3 ? 512u >> rate : 65536u >> rate;
}

static int64_t tick_of(int64_t wall, uint32_t hz)
{
	return (int64_t)ns_to_ticks((uint64_t)wall, hz);
}

/* Wall time of the first alarm after a moment; -1: never. */
static int64_t next_alarm(const struct rtc *rtc, int64_t after)
{
	const uint8_t *cmos = rtc->r.cmos;
	int64_t next_sec = after / (int64_t)NS_PER_SEC + 1;
	int32_t tod = (int32_t)(next_sec % SECS_PER_DAY);
	int32_t hit = rtc_alarm_next(cmos[IDX_SEC_ALARM], cmos[IDX_MIN_ALARM], cmos[IDX_HOUR_ALARM],
				     format(rtc), tod);
	int64_t at;

	if (hit < 0 || __builtin_mul_overflow(next_sec - tod + hit, (int64_t)NS_PER_SEC, &at))
		return -1;
	return at;
}

static int64_t next_update(int64_t after)
{
	int64_t at;

	return __builtin_mul_overflow(after / (int64_t)NS_PER_SEC + 1, (int64_t)NS_PER_SEC, &at)
		       ? -1
		       : at;
}

static int64_t next_periodic(const struct rtc *rtc, int64_t after)
{
	uint32_t hz = periodic_hz(rtc->r.a);

	return hz ? (int64_t)ticks_to_ns((uint64_t)tick_of(after, hz) + 1, hz) : -1;
}

static int64_t next_event(const struct rtc *rtc, uint8_t flag, int64_t after)
{
	switch (flag) {
	case C_PF:
		return next_periodic(rtc, after);
	case C_AF:
		return next_alarm(rtc, after);
	default:
		return next_update(after);
	}
}

static const uint8_t rtc_flags[] = { C_PF, C_AF, C_UF };

/* Set the flags of what happened since the last time. */
static void sync_flags(struct rtc *rtc, int64_t now)
{
	if (running(rtc) && now > rtc->synced) {
		for (size_t i = 0; i < ARRAY_SIZE(rtc_flags); i++) {
			int64_t at = -1;

			if (!(rtc->r.c & rtc_flags[i]))
				at = next_event(rtc, rtc_flags[i], rtc->synced);
			if (at >= 0 && at <= now)
				rtc->r.c |= rtc_flags[i];
		}
	}
	rtc->synced = now; /* also when UTC stepped back */
}

static void update_irq(struct rtc *rtc)
{
	bool level = rtc->r.b & rtc->r.c & C_FLAGS;

	if (level != rtc->irq_level) {
		rtc->irq_level = level;
		irq_line_set(&rtc->w.irq, level);
	}
}

/* One timer for the earliest event whose interrupt is enabled and whose flag is not up yet. */
static void update_timer(struct rtc *rtc, int64_t now)
{
	uint8_t wanted = rtc->r.b & (uint8_t)~rtc->r.c & C_FLAGS;
	int64_t first = -1;

	for (size_t i = 0; running(rtc) && i < ARRAY_SIZE(rtc_flags); i++) {
		int64_t at = -1;

		if (wanted & rtc_flags[i])
			at = next_event(rtc, rtc_flags[i], now);
		if (at >= 0 && (first < 0 || at < first))
			first = at;
	}
	if (first < 0)
		rtc->w.timers.ops->cancel(rtc->timer);
	else
		rtc->w.timers.ops->arm(rtc->timer,
				       clock_now_ns(rtc->w.clock) + (uint64_t)(first - now));
}

static void settle(struct rtc *rtc, int64_t now)
{
	update_irq(rtc);
	update_timer(rtc, now);
}

static void timer_fired(void *ctx)
{
	struct rtc *rtc = ctx;
	int64_t now;

	device_lock(&rtc->dev);
	now = wall_ns(rtc);
	sync_flags(rtc, now);
	settle(rtc, now);
	device_unlock(&rtc->dev);
}

/* Register index of each enum rtc_field. */
static const uint8_t time_idx[RTC_FIELDS] = { IDX_SEC,	IDX_MIN,   IDX_HOUR, IDX_WDAY,
					      IDX_MDAY, IDX_MONTH, IDX_YEAR, IDX_CENTURY };

/* The enum rtc_field of a register, RTC_FIELDS if it holds no time. */
static unsigned int time_field(uint8_t idx)
{
	unsigned int i = 0;

	while (i < RTC_FIELDS && time_idx[i] != idx)
		i++;
	return i;
}

/* Freeze the present time in the registers. */
static void freeze_time(struct rtc *rtc, int64_t now)
{
	struct rtc_time t = rtc_time_encode(now / (int64_t)NS_PER_SEC, format(rtc));

	for (size_t i = 0; i < RTC_FIELDS; i++)
		rtc->r.cmos[time_idx[i]] = t.reg[i];
	rtc->time_written = false;
}

/* The registers hold a time that the guest set: it is now. If they hold no date, the clock goes on
 * as it was. */
static void adopt_time(struct rtc *rtc, int64_t now)
{
	struct rtc_time t;
	int64_t secs, ns;

	for (size_t i = 0; i < RTC_FIELDS; i++)
		t.reg[i] = rtc->r.cmos[time_idx[i]];
	rtc->time_written = false;
	if (rtc_time_decode(&t, format(rtc), &secs) < 0 ||
	    __builtin_mul_overflow(secs, (int64_t)NS_PER_SEC, &ns) ||
	    __builtin_add_overflow(rtc->skew_ns, ns - now, &rtc->skew_ns)) {
		device_unknown(&rtc->dev);
		return;
	}
	rtc->synced = wall_ns(rtc);
	if (rtc->w.skew_changed)
		rtc->w.skew_changed(rtc->w.ctx, rtc->skew_ns);
}

/* Any register without side effects. */
static uint8_t read_plain(struct rtc *rtc, uint8_t idx)
{
	unsigned int field = time_field(idx);
	struct rtc_time t;

	if (field == RTC_FIELDS || !running(rtc))
		return rtc->r.cmos[idx];
	t = rtc_time_encode(wall_ns(rtc) / (int64_t)NS_PER_SEC, format(rtc));
	return t.reg[field];
}

static void write_time(struct rtc *rtc, uint8_t idx, uint8_t val)
{
	int64_t now = wall_ns(rtc);

	if (running(rtc)) {
		sync_flags(rtc, now);
		freeze_time(rtc, now);
		rtc->r.cmos[idx] = val;
		if (idx != IDX_WDAY) /* follows from the date */
			adopt_time(rtc, now);
		settle(rtc, wall_ns(rtc));
	} else {
		rtc->r.cmos[idx] = val;
		rtc->time_written = true;
	}
}

/* A register that may stop, start or reformat the clock changes by way of this. */
static void write_control(struct rtc *rtc, uint8_t *reg, uint8_t val)
{
	int64_t now = wall_ns(rtc);
	bool was_running = running(rtc);

	sync_flags(rtc, now);
	if (was_running)
		freeze_time(rtc, now);
	*reg = val;
	if (running(rtc) && rtc->time_written)
		adopt_time(rtc, now);
	settle(rtc, wall_ns(rtc));
}

static uint8_t read_a(const struct rtc *rtc)
{
	uint64_t in_sec = (uint64_t)wall_ns(rtc) % NS_PER_SEC;
	bool uip = running(rtc) && in_sec >= NS_PER_SEC - UIP_NS;

	return (uint8_t)(rtc->r.a | (uip ? A_UIP : 0));
}

static uint8_t read_c(struct rtc *rtc)
{
	int64_t now = wall_ns(rtc);
	uint8_t val;

	sync_flags(rtc, now);
	val = (uint8_t)(rtc->r.c | (rtc->r.b & rtc->r.c & C_FLAGS ? C_IRQF : 0));
	rtc->r.c = 0;
	settle(rtc, now);
	return val;
}

static uint8_t read_cmos(struct rtc *rtc, uint8_t idx)
{
	switch (idx) {
	case IDX_A:
		return read_a(rtc);
	case IDX_B:
		return rtc->r.b;
	case IDX_C:
		return read_c(rtc);
	case IDX_D:
		return D_VALID;
	default:
		return read_plain(rtc, idx);
	}
}

static void write_alarm(struct rtc *rtc, uint8_t idx, uint8_t val)
{
	int64_t now = wall_ns(rtc);

	sync_flags(rtc, now);
	rtc->r.cmos[idx] = val;
	settle(rtc, now);
}

static void write_cmos(struct rtc *rtc, uint8_t idx, uint8_t val)
{
	switch (idx) {
	case IDX_A:
		write_control(rtc, &rtc->r.a, (uint8_t)(val & ~A_UIP));
		break;
	case IDX_B:
		if (val & B_SET)
			val &= (uint8_t)~B_UIE;
		write_control(rtc, &rtc->r.b, val);
		break;
	case IDX_C:
	case IDX_D:
		break;
	case IDX_SEC_ALARM:
	case IDX_MIN_ALARM:
	case IDX_HOUR_ALARM:
		write_alarm(rtc, idx, val);
		break;
	default:
		if (time_field(idx) < RTC_FIELDS)
			write_time(rtc, idx, val);
		else
			rtc->r.cmos[idx] = val;
	}
}

static enum bus_status rtc_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	if (a->size != 1)
		return BUS_BAD;
	*ret_val = a->off == 0 ? rtc->r.addr : read_cmos(rtc, rtc->r.addr & IDX_MASK);
	return BUS_OK;
}

static enum bus_status rtc_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	if (a->size != 1)
		return BUS_BAD;
	if (a->off == 0)
		rtc->r.addr = (uint8_t)val;
	else
		write_cmos(rtc, rtc->r.addr & IDX_MASK, (uint8_t)val);
	return BUS_OK;
}

/* CMOS and skew are battery-backed. */
static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);
	int64_t now = wall_ns(rtc);

	rtc->r.addr = ADDR_RESET;
	rtc->r.a = A_RESET;
	rtc->r.b = B_RESET;
	rtc->r.c = 0;
	rtc->time_written = false;
	rtc->synced = now;
	settle(rtc, now);
}

static void rtc_destroy(struct device *dev)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);

	if (rtc->timer)
		rtc->w.timers.ops->destroy(rtc->timer);
	device_fini(dev);
	free(rtc);
}

static void inspect_time(struct inspect *in, int64_t wall)
{
	const struct rtc_format plain = { .binary = true, .h24 = true };
	struct rtc_time t = rtc_time_encode(wall / (int64_t)NS_PER_SEC, plain);

	inspect_strf(in, SENS_SENSITIVE, "time", "%02u%02u-%02u-%02uT%02u:%02u:%02uZ",
		     t.reg[RTC_CENTURY], t.reg[RTC_YEAR], t.reg[RTC_MONTH], t.reg[RTC_MDAY],
		     t.reg[RTC_HOUR], t.reg[RTC_MIN], t.reg[RTC_SEC]);
}

static void rtc_inspect(struct device *dev, struct inspect *in)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);
	bool irq_level, runs;
	struct rtc_regs r;
	int64_t skew, wall;

	device_lock(dev);
	r = rtc->r;
	skew = rtc->skew_ns;
	irq_level = rtc->irq_level;
	runs = running(rtc);
	wall = wall_ns(rtc);
	device_unlock(dev);
	inspect_bool(in, SENS_UNSPEC, "interrupt_level", irq_level);
	inspect_bool(in, SENS_SENSITIVE, "running", runs);
	inspect_time(in, wall);
	inspect_i64(in, SENS_SENSITIVE, "skew_ns", skew);
	inspect_hex(in, SENS_SENSITIVE, "address", r.addr);
	inspect_hex(in, SENS_SENSITIVE, "status_a", r.a);
	inspect_hex(in, SENS_SENSITIVE, "status_b", r.b);
	inspect_hex(in, SENS_SENSITIVE, "status_c", r.c);
	inspect_u64(in, SENS_SENSITIVE, "periodic_hz", periodic_hz(r.a));
	inspect_bool(in, SENS_SENSITIVE, "periodic_interrupt", r.b & B_PIE);
	inspect_bool(in, SENS_SENSITIVE, "alarm_interrupt", r.b & B_AIE);
	inspect_bool(in, SENS_SENSITIVE, "update_interrupt", r.b & B_UIE);
	inspect_strf(in, SENS_SENSITIVE, "alarm", "%02x:%02x:%02x", r.cmos[IDX_HOUR_ALARM],
		     r.cmos[IDX_MIN_ALARM], r.cmos[IDX_SEC_ALARM]);
	inspect_bytes(in, SENS_SENSITIVE, "cmos", r.cmos, sizeof(r.cmos));
}

static const struct device_ops rtc_ops = {
	.name = "rtc",
	.reset = rtc_reset,
	.io_read = rtc_read,
	.io_write = rtc_write,
	.inspect = rtc_inspect,
	.destroy = rtc_destroy,
};

int rtc_create(const struct rtc_cfg *cfg, const struct rtc_wiring *w, struct rtc **ret_rtc)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));
	int r;

	if (!rtc)
		return -ENOMEM;
	device_init(&rtc->dev, &rtc_ops, "rtc");
	rtc->w = *w;
	rtc->skew_ns = cfg->skew_ns;
	r = w->timers.ops->create(w->timers.ctx, timer_fired, rtc, &rtc->timer);
	if (r < 0) {
		rtc_destroy(&rtc->dev);
		return r;
	}
	device_reset(&rtc->dev);
	*ret_rtc = rtc;
	return 0;
}

struct device *rtc_device(struct rtc *rtc)
{
	return &rtc->dev;
}

void rtc_set_cmos(struct rtc *rtc, uint8_t idx, uint8_t val)
{
	device_lock(&rtc->dev);
	if (idx > IDX_D && idx < CMOS_BYTES && idx != IDX_CENTURY)
		rtc->r.cmos[idx] = val;
	device_unlock(&rtc->dev);
}
