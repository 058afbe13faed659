/* SPDX-License-Identifier: MIT */
/*
 * A change of settings. First everything that the new settings need is found and opened, which may
 * take a while and may fail; nothing was changed then. After that what is not wanted any more is
 * taken away, and when nothing touches it what is new is put in its place.
 */
#include "storage_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"

#define LOG_AREA "storage"

#define POLL_NS (10ull * 1000000)

enum step_kind { STEP_REMOVE, STEP_ADD, STEP_MEDIUM };

struct step {
	enum step_kind kind;
	struct ctrl *c;
	uint8_t lun;
	struct lun_parts parts; /* ADD, MEDIUM */
	bool acquired;
	struct disk *disk; /* MEDIUM, until it is in the drive; ADD: a reference for the slot */
	struct scsi_unit *unit; /* ADD, until it is attached */
	char name[32];
};

struct job {
	struct storage *st;
	struct vtl2_settings *to;
	struct step *steps;
	uint32_t n_steps;
	uint32_t detaching;
	bool committing, cancelled;
	uint64_t deadline_ns;
	struct loop_timer timer;
	void (*done)(void *ctx, int r, const struct vtl2s_error *err);
	void *ctx;
};

/* ---- the end --------------------------------------------------------------------------------- */

static void step_drop(struct step *s)
{
	lun_release(&s->parts);
	if (s->unit)
		scsi_unit_put(s->unit);
	disk_put(s->disk);
}

static void job_free(struct job *j)
{
	loop_timer_cancel(&j->timer);
	for (uint32_t i = 0; i < j->n_steps; i++)
		step_drop(&j->steps[i]);
	vtl2_settings_free(j->to);
	free(j->steps);
	free(j);
}

static void job_end(struct job *j, int r, const struct vtl2s_error *err)
{
	struct storage *st = j->st;
	void (*done)(void *ctx, int r, const struct vtl2s_error *err) = j->done;
	void *ctx = j->ctx;

	st->job = NULL;
	job_free(j);
	done(ctx, r, r ? err : NULL);
}

void job_cancel(struct storage *st)
{
	struct job *j = st->job;

	if (!j)
		return;
	st->job = NULL;
	if (j->detaching) {
		loop_timer_cancel(&j->timer);
		j->cancelled = true; /* freed with the last of them */
	} else {
		job_free(j);
	}
}

/* ---- commit ---------------------------------------------------------------------------------- */

static int put_in(struct step *s, struct vtl2s_error *err)
{
	struct slot *slot = &s->c->slots[s->lun];
	int r;

	if (s->c->sv)
		r = storvsp_attach(s->c->sv, 0, s->lun, s->unit);
	else if (s->c->nvme)
		r = storage_nvme_attach(s->c, s->lun, s->disk);
	else
		r = storage_ide_attach(s->c, s->lun, s->parts.lun, s->unit, s->disk);

	if (r) {
		vtl2s_error_set(err, "Underhill.StorageAttachDiskFailed",
				"failed to add disk at lun %u: %d", s->lun, r);
		return r;
	}
	/* The channel has the reference; this one is for the medium and for inspect. */
	slot->unit = s->unit ? scsi_unit_get(s->unit) : NULL;
	slot->disk = s->disk;
	(void)snprintf(slot->name, sizeof(slot->name), "%s", s->name);
	s->unit = NULL;
	s->disk = NULL;
	slot_watch(s->c, slot, true);
	return 0;
}

static void change_medium(struct step *s)
{
	struct slot *slot = &s->c->slots[s->lun];

	slot_watch(s->c, slot, false);
	disk_put(slot->disk);
	slot->disk = s->disk ? disk_get(s->disk) : NULL;
	scsi_dvd_change_medium(slot->unit, s->disk);
	s->disk = NULL;
	slot_watch(s->c, slot, true);
}

static void commit_additions(struct job *j)
{
	struct storage *st = j->st;
	struct vtl2s_error err = { 0 }, first = { 0 };
	int r = 0;

	for (uint32_t i = 0; i < j->n_steps; i++) {
		struct step *s = &j->steps[i];
		int r2 = 0;

		if (s->kind == STEP_ADD)
			r2 = put_in(s, &err);
		else if (s->kind == STEP_MEDIUM)
			change_medium(s);
		if (r2 && !r) {
			r = r2;
			first = err;
		}
	}
	/* Also when something is missing: that is what was tried, and what is there is known. */
	vtl2_settings_free(st->now);
	st->now = j->to;
	j->to = NULL;
	job_end(j, r, &first);
}

static void on_detached(void *ctx)
{
	struct job *j = ctx;

	j->detaching--;
	j->st->leaving--;
	if (j->detaching)
		return;
	if (j->cancelled)
		job_free(j);
	else
		commit_additions(j);
}

static void take_out(struct job *j, const struct step *s)
{
	struct slot *slot = &s->c->slots[s->lun];
	int r;

	slot_watch(s->c, slot, false);
	if (slot->unit)
		scsi_unit_put(slot->unit);
	disk_put(slot->disk);
	*slot = (struct slot){ 0 };
	if (s->c->nvme) {
		storage_nvme_detach(s->c, s->lun);
		return;
	}
	j->detaching++;
	j->st->leaving++;
	r = storvsp_detach(s->c->sv, 0, s->lun, on_detached, j);
	if (r) {
		log_err(ALLOWED, "lun %u was not there (%d)", s->lun, r);
		j->detaching--;
		j->st->leaving--;
	}
}

static void commit(struct job *j)
{
	j->committing = true;
	loop_timer_cancel(&j->timer);
	j->detaching++; /* so that it ends here at the earliest */
	j->st->leaving++;
	for (uint32_t i = 0; i < j->n_steps; i++) {
		if (j->steps[i].kind == STEP_REMOVE)
			take_out(j, &j->steps[i]);
	}
	on_detached(j);
}

/* ---- acquire --------------------------------------------------------------------------------- */

static int make_unit(struct step *s, struct vtl2s_error *err)
{
	const struct vtl2s_lun *l = s->parts.lun;
	int r = lun_disk(&s->parts, s->name, &s->disk, err);

	if (r || s->kind != STEP_ADD || s->c->nvme)
		return r;
	r = lun_unit(l, s->name, s->disk ? disk_get(s->disk) : NULL, &s->unit, err);
	return r;
}

/* 0: all is there; -EAGAIN: not yet; -errno. */
static int acquire(struct job *j, struct vtl2s_error *err)
{
	int all = 0;

	for (uint32_t i = 0; i < j->n_steps; i++) {
		struct step *s = &j->steps[i];
		int r;

		if (s->acquired || s->kind == STEP_REMOVE)
			continue;
		r = lun_acquire(j->st, &s->parts, err);
		if (r == 0)
			r = make_unit(s, err);
		if (r == -EAGAIN) {
			lun_missing(&s->parts, err);
			all = r;
			continue;
		}
		if (r)
			return r;
		s->acquired = true;
	}
	return all;
}

static void on_poll(void *ctx)
{
	struct job *j = ctx;
	struct vtl2s_error err = { 0 };
	const uint64_t now = loop_now_ns();
	int r = acquire(j, &err);

	if (r == 0)
		commit(j);
	else if (r != -EAGAIN)
		job_end(j, r, &err);
	else if (now >= j->deadline_ns)
		job_end(j, -ENODEV, &err);
	else
		loop_timer_arm(&j->timer, MIN(now + POLL_NS, j->deadline_ns));
}

/* ---- what is to be done ---------------------------------------------------------------------- */

static void add_step(struct job *j, enum step_kind kind, struct ctrl *c, uint32_t lun,
		     const struct vtl2s_lun *l)
{
	struct step *s = &j->steps[j->n_steps++];

	s->kind = kind;
	s->c = c;
	s->lun = (uint8_t)lun;
	s->parts.lun = l;
	(void)snprintf(s->name, sizeof(s->name), "%08x:%u", c->instance.d1, lun);
}

static void plan_lun(struct job *j, struct ctrl *c, uint32_t lun, const struct vtl2s_lun *from,
		     const struct vtl2s_lun *to)
{
	const bool there = slot_taken(&c->slots[lun]);

	if (there && from && to) {
		if (vtl2s_lun_eq(from, to))
			return;
		if (to->is_dvd && vtl2s_lun_same_drive(from, to) &&
		    (from->n_devices == 0) != (to->n_devices == 0)) {
			add_step(j, STEP_MEDIUM, c, lun, to);
			return;
		}
	}
	if (there)
		add_step(j, STEP_REMOVE, c, lun, NULL);
	if (to)
		add_step(j, STEP_ADD, c, lun, to);
}

static void plan(struct job *j)
{
	const struct storage *st = j->st;

	for (uint32_t i = 0; i < st->n_ctrls; i++) {
		struct ctrl *c = &st->ctrls[i];
		const struct vtl2s_controller *from =
			st->now ? vtl2s_controller_at(st->now, &c->instance) : NULL;
		const struct vtl2s_controller *to = vtl2s_controller_at(j->to, &c->instance);

		for (uint32_t lun = 0; lun < (c->ide ? STORAGE_IDE_DRIVES : STORAGE_LUNS); lun++) {
			const uint8_t chan = c->ide ? (uint8_t)(lun / 2) : 0;
			const uint32_t at = c->ide ? lun % 2 : c->nvme ? lun + 1 : lun;

			plan_lun(j, c, lun, from ? vtl2s_lun_at(from, chan, at) : NULL,
				 to ? vtl2s_lun_at(to, chan, at) : NULL);
		}
	}
}

int job_start(struct storage *st, struct vtl2_settings *to,
	      void (*done)(void *ctx, int r, const struct vtl2s_error *err), void *ctx)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	/* At most one to remove and one to add for each LUN. */
	j->steps = calloc((size_t)st->n_ctrls * STORAGE_LUNS * 2 + 1, sizeof(*j->steps));
	if (!j->steps) {
		free(j);
		return -ENOMEM;
	}
	j->st = st;
	j->to = to;
	j->done = done;
	j->ctx = ctx;
	j->deadline_ns = loop_now_ns() + (uint64_t)st->cfg.wait_ms * 1000000;
	loop_timer_init(&j->timer, st->cfg.ctl, on_poll, j);
	st->job = j;
	plan(j);
	on_poll(j);
	return 0;
}
