/* SPDX-License-Identifier: MIT */
#include "ic_shutdown.h"

#include <errno.h>
#include <stdlib.h>

#include "ic.h"
#include "inspect.h"
#include "log.h"

#define LOG_AREA "ic"

/* What the guest may take before somebody else loses patience; it only shows the number. */
#define SHUTDOWN_TIMEOUT_S 60

struct ic_shutdown {
	struct ic ic; /* first: see of() */
	struct ic_shutdown_cfg cfg;
};

static struct ic_shutdown *of(struct ic *ic)
{
	return container_of(ic, struct ic_shutdown, ic);
}

static void answered(struct ic_shutdown *s, int err)
{
	if (s->cfg.answered)
		s->cfg.answered(s->cfg.ctx, err);
}

static void on_ready(struct ic *ic)
{
	log_debug(ALLOWED, "the guest can be shut down (version %u.%u)", ic->msg.major,
		  ic->msg.minor);
}

static void on_reply(struct ic *ic, uint32_t status, const void *body, size_t len)
{
	(void)body;
	(void)len;
	answered(of(ic), status == IC_OK ? 0 : -EPERM);
}

static void on_gone(struct ic *ic)
{
	answered(of(ic), -EPIPE);
}

static const struct ic_version versions[] = { { 3, 2 }, { 3, 1 }, { 3, 0 }, { 1, 0 } };

static const struct ic_ops ops = {
	.type = IC_SHUTDOWN,
	.versions = versions,
	.n_versions = ARRAY_SIZE(versions),
	.ready = on_ready,
	.reply = on_reply,
	.gone = on_gone,
};

int ic_shutdown_create(const struct ic_shutdown_cfg *cfg, struct ic_shutdown **ret_s)
{
	static const struct guid interface_id = IC_SHUTDOWN_INTERFACE;
	static const struct guid instance_id = IC_SHUTDOWN_INSTANCE;
	struct ic_shutdown *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	r = ic_init(&s->ic, cfg->server, &interface_id, &instance_id, &ops);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_s = s;
	return 0;
}

void ic_shutdown_destroy(struct ic_shutdown *s)
{
	if (!s)
		return;
	s->cfg.answered = NULL;
	ic_fini(&s->ic);
	free(s);
}

int ic_shutdown_request(struct ic_shutdown *s, enum ic_shutdown_kind kind, bool force)
{
	static const uint32_t flags[] = {
		[IC_SHUTDOWN_POWER_OFF] = 0,
		[IC_SHUTDOWN_REBOOT] = IC_SHUTDOWN_RESTART,
		[IC_SHUTDOWN_TO_DISK] = IC_SHUTDOWN_HIBERNATE,
	};
	const struct ic_shutdown_req req = {
		.reason = IC_SHUTDOWN_PLANNED,
		.timeout_s = SHUTDOWN_TIMEOUT_S,
		.flags = flags[kind] | (force ? IC_SHUTDOWN_FORCE : 0),
	};

	/* Restart and hibernation came with later versions of the message. */
	if (kind == IC_SHUTDOWN_TO_DISK && ic_agreed(&s->ic) < IC_VERSION(3, 1))
		return -ENOTCONN;
	return ic_request(&s->ic, &req, sizeof(req));
}

void ic_shutdown_inspect(struct inspect *in, const void *s)
{
	const struct ic_shutdown *sh = s;

	ic_inspect(in, &sh->ic);
}
