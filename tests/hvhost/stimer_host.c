/* SPDX-License-Identifier: MIT */
#include "stimer_host.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "synic_host.h"
#include "vp_host.h"

#define LOG_AREA "stimer"
#define NS_PER_SEC 1000000000ull
#define NS_PER_TICK 100
#define MAX_DELTA (3600ull * 10000000) /* one look around per hour at least */
#define MIN_PERIOD 100 /* 10 us: a shorter one would only burn the machine */
#define CONFIG_BITS 0xf1fffull

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

int stimer_host_init(struct hvvp *vp)
{
	struct sigevent ev;

	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_signo = VP_HOST_SIGNAL;
	ev.sigev_value.sival_int = 1;
	ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &ev, &vp->timer) < 0)
		return -errno;
	vp->has_timer = true;
	return 0;
}

void stimer_host_fini(struct hvvp *vp)
{
	if (vp->has_timer)
		(void)timer_delete(vp->timer);
	vp->has_timer = false;
}

static void arm(struct hvvp *vp)
{
	uint64_t earliest = UINT64_MAX, now = part_ref_time(vp->part), ns;
	struct itimerspec its;

	for (unsigned int i = 0; i < HV_STIMER_COUNT; i++) {
		if (vp->stimer[i].deadline)
			earliest = MIN(earliest, vp->stimer[i].deadline);
	}
	memset(&its, 0, sizeof(its));
	if (earliest != UINT64_MAX) {
		uint64_t delta = earliest > now ? MIN(earliest - now, MAX_DELTA) : 0;

		ns = delta * NS_PER_TICK + 1; /* zero would disarm */
		its.it_value.tv_sec = (time_t)(ns / NS_PER_SEC);
		its.it_value.tv_nsec = (long)(ns % NS_PER_SEC);
	}
	if (vp->has_timer && timer_settime(vp->timer, 0, &its, NULL) < 0)
		log_warn_rl(ALLOWED, "vp %u: timer not armed (%d)", vp->index, errno);
}

static void start(struct hvvp *vp, struct stimer *t)
{
	uint64_t now = part_ref_time(vp->part);

	t->deadline = 0;
	if (!(t->config & HV_STIMER_ENABLE) || !t->count)
		return;
	if (t->config & HV_STIMER_PERIODIC)
		t->deadline = now + MIN(MAX(t->count, (uint64_t)MIN_PERIOD), MAX_DELTA);
	else
		t->deadline = t->count;
}

uint64_t stimer_host_read(const struct hvvp *vp, uint32_t index)
{
	const struct stimer *t = &vp->stimer[index / 2 % HV_STIMER_COUNT];

	return index & 1 ? t->count : t->config;
}

int stimer_host_write(struct hvvp *vp, uint32_t index, uint64_t val)
{
	struct stimer *t = &vp->stimer[index / 2 % HV_STIMER_COUNT];

	if (index & 1) {
		t->count = val;
		if (!val)
			t->config &= ~HV_STIMER_ENABLE;
		else if (t->config & HV_STIMER_AUTO_ENABLE)
			t->config |= HV_STIMER_ENABLE;
	} else {
		if (val & ~CONFIG_BITS)
			return -EINVAL;
		if ((val & HV_STIMER_ENABLE) && !(val & HV_STIMER_DIRECT) && !HV_STIMER_SINT(val))
			val &= ~HV_STIMER_ENABLE;
		t->config = val;
	}
	start(vp, t);
	arm(vp);
	return 0;
}

static void expire(struct hvvp *vp, unsigned int i, uint64_t now)
{
	struct stimer *t = &vp->stimer[i];
	uint64_t due = t->deadline;
	struct hv_message msg = { .type = HVMSG_TIMER_EXPIRED,
				  .payload_size = sizeof(struct hv_timer_msg) };
	const struct hv_timer_msg body = { .index = i, .expiry = due, .delivery = now };

	if (t->config & HV_STIMER_PERIODIC) {
		start(vp, t);
	} else {
		t->deadline = 0;
		t->config &= ~HV_STIMER_ENABLE;
	}
	if (t->config & HV_STIMER_DIRECT) {
		synic_host_interrupt(vp, VTL2, HV_STIMER_VECTOR(t->config));
		return;
	}
	memcpy(msg.payload, &body, sizeof(body));
	/* A full slot: the kernel that owns it has an expiry message to read already. */
	(void)synic_host_post(vp, VTL2, HV_STIMER_SINT(t->config), &msg);
}

void stimer_host_poll(struct hvvp *vp)
{
	uint64_t now, left = 0;

	if (!atomic_exchange_explicit(&vp->timer_fired, false, memory_order_relaxed))
		return;
	now = part_ref_time(vp->part);
	for (unsigned int i = 0; i < HV_STIMER_COUNT; i++) {
		if (vp->stimer[i].deadline && vp->stimer[i].deadline <= now)
			expire(vp, i, now);
		left |= vp->stimer[i].deadline;
	}
	if (left) /* the kernel's timer has fired, so it is off */
		arm(vp);
}
