/* SPDX-License-Identifier: MIT */
#include "ic_timesync.h"

#include <errno.h>
#include <stdlib.h>

#include "ic.h"
#include "inspect.h"
#include "loop.h"

#define DEFAULT_PERIOD_NS 5000000000ull
/* Stratum of a clock that is set by something better; what Hyper-V says. */
#define STRATUM 2

struct ic_timesync {
	struct ic ic;
	struct ic_timesync_cfg cfg;
	struct loop_timer timer;
	bool synced; /* the guest was told to set its clock */
};

static struct ic_timesync *of(struct ic *ic)
{
	return container_of(ic, struct ic_timesync, ic);
}

static int tell_v4(struct ic_timesync *t, uint8_t flags, uint64_t utc, uint64_t reference)
{
	const struct ic_timesync_v4 m = {
		.parent_time = utc, .reference_time = reference, .flags = flags, .stratum = STRATUM
	};

	return ic_request(&t->ic, &m, sizeof(m));
}

static int tell_v1(struct ic_timesync *t, uint8_t flags, uint64_t utc)
{
	const struct ic_timesync_v1 m = { .parent_time = utc, .flags = flags };

	return ic_request(&t->ic, &m, sizeof(m));
}

/* A guest that still thinks about the last one gets the next one a period later. */
static void tell(void *ctx)
{
	struct ic_timesync *t = ctx;
	const uint8_t flags = t->synced ? IC_TIMESYNC_SAMPLE : IC_TIMESYNC_SYNC;
	uint64_t utc, reference;
	int r;

	t->cfg.now(t->cfg.ctx, &utc, &reference);
	if (ic_agreed(&t->ic) >= IC_VERSION(4, 0))
		r = tell_v4(t, flags, utc, reference);
	else
		r = tell_v1(t, flags, utc);
	if (r == 0)
		t->synced = true;
	loop_timer_arm(&t->timer, loop_now_ns() + t->cfg.period_ns);
}

static void on_ready(struct ic *ic)
{
	struct ic_timesync *t = of(ic);

	t->synced = false;
	tell(t);
}

static void on_reply(struct ic *ic, uint32_t status, const void *body, size_t len)
{
	/* Only that it came matters: the next one may be sent. */
	(void)ic;
	(void)status;
	(void)body;
	(void)len;
}

static void on_gone(struct ic *ic)
{
	loop_timer_cancel(&of(ic)->timer);
}

static const struct ic_version versions[] = { { 4, 0 }, { 3, 0 }, { 1, 0 } };

static const struct ic_ops ops = {
	.type = IC_TIMESYNC,
	.versions = versions,
	.n_versions = ARRAY_SIZE(versions),
	.ready = on_ready,
	.reply = on_reply,
	.gone = on_gone,
};

int ic_timesync_create(const struct ic_timesync_cfg *cfg, struct ic_timesync **ret_t)
{
	static const struct guid interface_id = IC_TIMESYNC_INTERFACE;
	static const struct guid instance_id = IC_TIMESYNC_INSTANCE;
	struct ic_timesync *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->cfg = *cfg;
	if (!t->cfg.period_ns)
		t->cfg.period_ns = DEFAULT_PERIOD_NS;
	loop_timer_init(&t->timer, cfg->loop, tell, t);
	r = ic_init(&t->ic, cfg->server, &interface_id, &instance_id, &ops);
	if (r < 0) {
		free(t);
		return r;
	}
	*ret_t = t;
	return 0;
}

void ic_timesync_destroy(struct ic_timesync *t)
{
	if (!t)
		return;
	loop_timer_cancel(&t->timer);
	ic_fini(&t->ic);
	free(t);
}

void ic_timesync_inspect(struct inspect *in, const void *obj)
{
	const struct ic_timesync *t = obj;

	ic_inspect(in, &t->ic);
	inspect_bool(in, SENS_UNSPEC, "synced", t->synced);
}
