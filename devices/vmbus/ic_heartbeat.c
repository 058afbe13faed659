/* SPDX-License-Identifier: MIT */
#include "ic_heartbeat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ic.h"
#include "inspect.h"
#include "log.h"
#include "loop.h"

#define LOG_AREA "ic"

#define DEFAULT_PERIOD_NS 2000000000ull

struct ic_heartbeat {
	struct ic ic;
	struct ic_heartbeat_cfg cfg;
	struct loop_timer timer;
	uint64_t seq; /* of the last question */
	uint32_t app_state; /* as the guest says */
	bool alive;
};

static struct ic_heartbeat *of(struct ic *ic)
{
	return container_of(ic, struct ic_heartbeat, ic);
}

static void set_alive(struct ic_heartbeat *h, bool alive)
{
	if (h->alive == alive)
		return;
	h->alive = alive;
	log_info_rl(ALLOWED, "the guest's heartbeat %s", alive ? "is there" : "is gone");
	if (h->cfg.changed)
		h->cfg.changed(h->cfg.ctx, alive);
}

static void beat(void *ctx)
{
	struct ic_heartbeat *h = ctx;
	const struct ic_heartbeat_msg m = { .seq = h->seq + 1 };
	int r = ic_request(&h->ic, &m, sizeof(m));

	if (r == 0)
		h->seq = m.seq;
	else
		set_alive(h, false); /* the last one is still unanswered */
	loop_timer_arm(&h->timer, loop_now_ns() + h->cfg.period_ns);
}

static void on_ready(struct ic *ic)
{
	beat(of(ic));
}

/* The guest counts on: an answer that does not is none. */
static void on_reply(struct ic *ic, uint32_t status, const void *body, size_t len)
{
	struct ic_heartbeat *h = of(ic);
	struct ic_heartbeat_msg m;
	bool counted;

	if (len < sizeof(m))
		return;
	memcpy(&m, body, sizeof(m));
	counted = status == IC_OK && m.seq == h->seq + 1;
	if (counted)
		h->seq = m.seq;
	h->app_state = m.app_state;
	set_alive(h, counted);
}

static void on_gone(struct ic *ic)
{
	struct ic_heartbeat *h = of(ic);

	loop_timer_cancel(&h->timer);
	set_alive(h, false);
}

static const struct ic_version versions[] = { { 3, 0 }, { 1, 0 } };

static const struct ic_ops ops = {
	.type = IC_HEARTBEAT,
	.versions = versions,
	.n_versions = ARRAY_SIZE(versions),
	.ready = on_ready,
	.reply = on_reply,
	.gone = on_gone,
};

int ic_heartbeat_create(const struct ic_heartbeat_cfg *cfg, struct ic_heartbeat **ret_h)
{
	static const struct guid interface_id = IC_HEARTBEAT_INTERFACE;
	static const struct guid instance_id = IC_HEARTBEAT_INSTANCE;
	struct ic_heartbeat *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->cfg = *cfg;
	if (!h->cfg.period_ns)
		h->cfg.period_ns = DEFAULT_PERIOD_NS;
	loop_timer_init(&h->timer, cfg->loop, beat, h);
	r = ic_init(&h->ic, cfg->server, &interface_id, &instance_id, &ops);
	if (r < 0) {
		free(h);
		return r;
	}
	*ret_h = h;
	return 0;
}

void ic_heartbeat_destroy(struct ic_heartbeat *h)
{
	if (!h)
		return;
	loop_timer_cancel(&h->timer);
	ic_fini(&h->ic);
	free(h);
}

bool ic_heartbeat_alive(const struct ic_heartbeat *h)
{
	return h->alive;
}

void ic_heartbeat_inspect(struct inspect *in, const void *obj)
{
	const struct ic_heartbeat *h = obj;

	ic_inspect(in, &h->ic);
	inspect_bool(in, SENS_UNSPEC, "alive", h->alive);
	inspect_count(in, SENS_UNSPEC, "sequence", h->seq);
	inspect_u64(in, SENS_UNSPEC, "application_state", h->app_state);
}
