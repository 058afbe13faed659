/* SPDX-License-Identifier: MIT */
#include "steer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "listen.h"

#define NS_PER_MS 1000000u
#define NS_PER_SEC 1000000000ull

struct steer {
	struct steer_cfg cfg;
	struct ctl_front *cf;
	struct scenario *sc;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void on_reply(void *ctx, bool ok, const char *text)
{
	struct steer *st = ctx;

	scenario_reply(st->sc, ok, text, now_ns());
}

static void on_request(void *ctx, const char *line)
{
	struct steer *st = ctx;

	if (ctl_front_request(st->cf, line, on_reply, st) < 0)
		scenario_reply(st->sc, false, "too many requests", now_ns());
}

static void on_say(void *ctx, const char *text)
{
	struct steer *st = ctx;

	st->cfg.say(st->cfg.ctx, text);
}

static const struct scenario_ops scenario_ops = { .request = on_request, .say = on_say };

int steer_create(const struct steer_cfg *cfg, struct steer **ret_st)
{
	struct steer *st = calloc(1, sizeof(*st));
	int fd = -1, r = 0;
	char why[1200];

	if (!st)
		return -ENOMEM;
	st->cfg = *cfg;
	if (cfg->scenario_path) {
		r = scenario_load(cfg->scenario_path, &scenario_ops, st, &st->sc, why, sizeof(why));
		if (r < 0)
			fprintf(stderr, "hvhost: %s\n", why);
	}
	if (r == 0 && cfg->socket_path)
		r = fd = listen_unix(cfg->socket_path);
	if (r >= 0) {
		r = ctl_front_create(fd, cfg->send, cfg->ctx, &st->cf);
		if (r < 0 && fd >= 0)
			(void)close(fd);
	}
	if (r < 0) {
		scenario_free(st->sc);
		free(st);
		return r;
	}
	*ret_st = st;
	return 0;
}

void steer_destroy(struct steer *st)
{
	if (!st)
		return;
	ctl_front_destroy(st->cf);
	scenario_free(st->sc);
	if (st->cfg.socket_path)
		(void)unlink(st->cfg.socket_path);
	free(st);
}

void steer_begin(struct steer *st)
{
	if (st && st->sc)
		scenario_start(st->sc, now_ns());
}

void steer_end(struct steer *st)
{
	if (st)
		ctl_front_lost(st->cf);
}

void steer_answer(struct steer *st, const void *buf, size_t len)
{
	if (st)
		ctl_front_data(st->cf, buf, len);
}

void steer_heard(struct steer *st, enum scenario_stream stream, const void *buf, size_t len)
{
	if (st && st->sc)
		scenario_output(st->sc, stream, buf, len, now_ns());
}

int steer_fill(struct steer *st, struct pollfd *fds)
{
	return st ? ctl_front_fill(st->cf, fds) : 0;
}

void steer_done(struct steer *st, const struct pollfd *fds, int n)
{
	if (!st)
		return;
	ctl_front_done(st->cf, fds, n);
	if (st->sc)
		(void)scenario_tick(st->sc, now_ns());
}

int steer_timeout(struct steer *st, int ms)
{
	uint64_t now = now_ns(), until = st && st->sc ? scenario_tick(st->sc, now) : 0;
	uint64_t wait;

	if (!until)
		return ms;
	wait = until > now ? (until - now) / NS_PER_MS + 1 : 0;
	return ms < 0 || wait < (uint64_t)ms ? (int)MIN(wait, 1000000u) : ms;
}

const char *steer_problem(struct steer *st)
{
	return st && st->sc ? scenario_problem(st->sc) : NULL;
}
