/* SPDX-License-Identifier: MIT */
#include "ic_host.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "ic_heartbeat.h"
#include "ic_shutdown.h"
#include "ic_timesync.h"
#include "log.h"

#define LOG_AREA "ic-host"

#define UNIX_TO_NT_SECONDS 11644473600ull

struct ic_host {
	struct ic_host_cfg cfg;
	struct ic_shutdown *shutdown;
	struct ic_heartbeat *heartbeat;
	struct ic_timesync *timesync;
	bool seen;
};

static void on_shutdown_answer(void *ctx, int err)
{
	(void)ctx;
	if (err == 0)
		log_info(ALLOWED, "VTL0 shuts itself down");
	else
		log_warn_rl(ALLOWED, "VTL0 does not shut itself down (%d)", err);
}

static void on_heartbeat(void *ctx, bool alive)
{
	struct ic_host *ih = ctx;

	ih->seen |= alive;
}

static void now(void *ctx, uint64_t *ret_utc, uint64_t *ret_reference)
{
	struct ic_host *ih = ctx;
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	*ret_reference = ih->cfg.reference_time(ih->cfg.ctx);
	*ret_utc =
		((uint64_t)ts.tv_sec + UNIX_TO_NT_SECONDS) * 10000000 + (uint64_t)ts.tv_nsec / 100;
}

int ic_host_create(const struct ic_host_cfg *cfg, struct ic_host **ret_ih)
{
	struct ic_host *ih = calloc(1, sizeof(*ih));
	const struct ic_shutdown_cfg sc = { .server = cfg->server,
					    .answered = on_shutdown_answer,
					    .ctx = ih };
	const struct ic_heartbeat_cfg hc = {
		.server = cfg->server, .loop = cfg->loop, .changed = on_heartbeat, .ctx = ih
	};
	const struct ic_timesync_cfg tc = {
		.server = cfg->server, .loop = cfg->loop, .now = now, .ctx = ih
	};
	int r;

	if (!ih)
		return -ENOMEM;
	ih->cfg = *cfg;
	r = ic_shutdown_create(&sc, &ih->shutdown);
	if (r == 0)
		r = ic_heartbeat_create(&hc, &ih->heartbeat);
	if (r == 0)
		r = ic_timesync_create(&tc, &ih->timesync);
	if (r < 0) {
		ic_host_destroy(ih);
		return r;
	}
	*ret_ih = ih;
	return 0;
}

void ic_host_destroy(struct ic_host *ih)
{
	if (!ih)
		return;
	ic_timesync_destroy(ih->timesync);
	ic_heartbeat_destroy(ih->heartbeat);
	ic_shutdown_destroy(ih->shutdown);
	free(ih);
}

int ic_host_shutdown(struct ic_host *ih)
{
	return ic_shutdown_request(ih->shutdown, IC_SHUTDOWN_POWER_OFF, true);
}

bool ic_host_seen(const struct ic_host *ih)
{
	return ih->seen;
}
