/* SPDX-License-Identifier: MIT */
/* See vp_loop.h. The order of clearing, checking and entering is what makes wake-ups safe. */
#include "vp_loop.h"

#include <errno.h>

#include "exit_x64.h"
#include "inject.h"

static bool must_stay_out(const struct vcpu *v)
{
	return atomic_load_explicit(&v->stop, memory_order_acquire) ||
	       atomic_load_explicit(&v->paused, memory_order_acquire);
}

int vp_loop_step(struct vcpu *v)
{
	int r;

	if (loop_pending(v->loop))
		loop_poll(v->loop);
	if (must_stay_out(v))
		return 0;
	inject_sync(v);
	/*
	 * From here on a wake-up either finds its work seen below, or sets cancel again and thereby
	 * turns the entry into -EINTR. The driver only reports wake-ups, not present readiness.
	 */
	vp_allow_run(&v->vp);
	if (loop_pending(v->loop))
		return 0;
	r = vp_run(&v->vp);
	if (r == 0) {
		v->event_pending = false;
		exit_handle(v);
		return 0;
	}
	if (r != -EINTR)
		return r;
	vcpu_count(v, EXIT_CANCELLED);
	return 0;
}

int vp_loop_run(struct vcpu *v)
{
	int r = 0;

	while (!atomic_load_explicit(&v->stop, memory_order_acquire)) {
		if (atomic_load_explicit(&v->paused, memory_order_acquire)) {
			r = loop_wait(v->loop);
			if (r < 0 && r != -EINTR)
				return r;
			continue;
		}
		r = vp_loop_step(v);
		if (r < 0)
			return r;
	}
	return 0;
}
