/* SPDX-License-Identifier: MIT */
/*
 * A storvsp controller: what it offers and which units it has. Thread: the owner's.
 * Spec: spec/storage-net.md 1.
 */
#include "storvsp_priv.h"

#include "ckd.h"
#include "inspect.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>

#define LOG_AREA "storvsp"

#define DEFAULT_TRANSFER (256u << 10)
#define MAX_DEPTH 1024u

/* ---- from the primary channel's loop --------------------------------------------------------- */

/* Negotiated: sub-channels that were opened before may begin. */
static void on_ready(void *ctx)
{
	struct storvsp *s = ctx;

	list_for_each(l, &s->chans) {
		struct storvsp_chan *c = container_of(l, struct storvsp_chan, link);

		if (c->index && c->run == RUN_SERVED)
			loop_post(c->sv->loop, &c->sv->poke);
	}
}

static void on_subchannels(void *ctx)
{
	struct storvsp *s = ctx;
	const struct storvsp_chan *primary = storvsp_chan_find(s, 0);
	/* Pairs with the release of the loop that took the request; it has checked the number. */
	const uint32_t wanted = atomic_load_explicit(&s->sub_wanted, memory_order_acquire);

	if (s->dying || !primary || primary->run == RUN_CLOSED || primary->closing)
		return;
	for (uint16_t i = 1; i <= wanted; i++) {
		int r = storvsp_chan_find(s, i) ? 0 : storvsp_chan_offer(s, i);

		if (r < 0) {
			log_warn_rl(ALLOWED, "sub-channel %u of %u cannot be offered (%d)", i,
				    wanted, r);
			return;
		}
		s->subchannels = i;
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool cfg_ok(const struct storvsp_cfg *cfg)
{
	return cfg->max_subchannels <= STORVSP_MAX_SUBCHANNELS && cfg->queue_depth &&
	       cfg->queue_depth <= MAX_DEPTH && cfg->max_transfer <= STORVSP_MAX_TRANSFER &&
	       is_aligned(cfg->max_transfer, KEEL_PAGE_SIZE) &&
	       (!cfg->ide || (!cfg->max_subchannels && cfg->ide_target < STORVSP_TARGETS));
}

int storvsp_create(const struct storvsp_cfg *cfg, const struct storvsp_wiring *w,
		   struct storvsp **ret_s)
{
	struct storvsp *s;
	int r;

	if (!cfg_ok(cfg))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	if (!s->cfg.poll_depth)
		s->cfg.poll_depth = 1;
	s->w = *w;
	s->limits.max_subchannels = cfg->max_subchannels;
	s->limits.max_transfer = cfg->max_transfer ? cfg->max_transfer : DEFAULT_TRANSFER;
	s->max_iov = s->limits.max_transfer / KEEL_PAGE_SIZE + 1;
	list_init(&s->chans);
	list_init(&s->leaving);
	s->ready_work = (struct loop_work){ .fn = on_ready, .ctx = s };
	s->sub_work = (struct loop_work){ .fn = on_subchannels, .ctx = s };
	r = storvsp_chan_offer(s, 0);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_s = s;
	return 0;
}

static void drop_units(struct storvsp *s)
{
	for (unsigned t = 0; t < STORVSP_TARGETS; t++) {
		for (unsigned n = 0; n < STORVSP_LUNS; n++) {
			if (!s->luns[t][n])
				continue;
			scsi_unit_put(s->luns[t][n]->u);
			free(s->luns[t][n]);
			s->luns[t][n] = NULL;
		}
	}
}

void storvsp_settle(struct storvsp *s)
{
	void (*const done)(void *ctx) = s->done;
	void *const ctx = s->ctx;

	if (!s->dying || s->revoking || !list_empty(&s->chans) || !list_empty(&s->leaving))
		return;
	drop_units(s);
	free(s);
	if (done)
		done(ctx);
}

void storvsp_destroy(struct storvsp *s, void (*done)(void *ctx), void *ctx)
{
	s->dying = s->revoking = true;
	s->done = done;
	s->ctx = ctx;
	/* Sub-channels first: a guest that hears of the primary's end takes them down itself. */
	for (struct list *l = s->chans.prev, *before; l != &s->chans; l = before) {
		before = l->prev;
		storvsp_chan_revoke(container_of(l, struct storvsp_chan, link));
	}
	s->revoking = false;
	storvsp_settle(s);
}

/* ---- units ----------------------------------------------------------------------------------- */

static void lun_free(struct storvsp_lun *lun)
{
	scsi_unit_put(lun->u);
	list_del(&lun->link);
	free(lun);
}

void storvsp_lun_left(struct storvsp_lun *lun)
{
	void (*const done)(void *ctx) = lun->done;
	void *const ctx = lun->ctx;
	struct storvsp *s = lun->s;

	if (--lun->waiting)
		return;
	lun_free(lun);
	if (done)
		done(ctx);
	storvsp_settle(s);
}

/* Take it off all channels. */
static void unplug_all(struct storvsp_lun *lun)
{
	struct storvsp *s = lun->s;

	s->luns[lun->target][lun->num] = NULL;
	list_add_tail(&s->leaving, &lun->link);
	lun->waiting = 1; /* ours */
	list_for_each(l, &s->chans) {
		if (storvsp_chan_unplug(container_of(l, struct storvsp_chan, link), lun))
			lun->waiting++;
	}
}

int storvsp_attach(struct storvsp *s, uint8_t target, uint8_t num, struct scsi_unit *u)
{
	struct storvsp_lun *lun;

	if (target >= STORVSP_TARGETS || num >= STORVSP_LUNS || s->dying)
		return -EINVAL;
	if (s->cfg.ide && (target != s->cfg.ide_target || num))
		return -EINVAL;
	if (s->luns[target][num])
		return -EEXIST;
	lun = calloc(1, sizeof(*lun));
	if (!lun)
		return -ENOMEM;
	*lun = (struct storvsp_lun){ .s = s, .u = u, .target = target, .num = num };
	list_init(&lun->link);
	s->luns[target][num] = lun;
	list_for_each(l, &s->chans) {
		int r = storvsp_chan_plug(container_of(l, struct storvsp_chan, link), lun);

		if (r < 0) {
			(void)scsi_unit_get(u); /* the caller keeps his */
			unplug_all(lun);
			storvsp_lun_left(lun);
			return r;
		}
	}
	storvsp_chan_rescan(s);
	return 0;
}

int storvsp_detach(struct storvsp *s, uint8_t target, uint8_t num, void (*done)(void *ctx),
		   void *ctx)
{
	struct storvsp_lun *lun;

	if (target >= STORVSP_TARGETS || num >= STORVSP_LUNS || !s->luns[target][num])
		return -ENOENT;
	lun = s->luns[target][num];
	lun->done = done;
	lun->ctx = ctx;
	unplug_all(lun);
	storvsp_chan_rescan(s);
	storvsp_lun_left(lun);
	return 0;
}

void storvsp_rescan(struct storvsp *s)
{
	storvsp_chan_rescan(s);
}
