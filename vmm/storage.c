/* SPDX-License-Identifier: MIT */
#include "storage_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect.h"
#include "log.h"

#define LOG_AREA "storage"

#define MAX_SUBCHANNELS 256u
#define MAX_QUEUE_DEPTH 1024u
/* Requests are told to end; longer takes only who is not served any more. */
#define LEAVE_NS (2ull * 1000000000)

/* Disks of this controller are far away: asking for fewer signals pays later. */
static const struct guid remote_instance =
	GUID_INIT(0xf8b3781b, 0x1e82, 0x4818, 0xa1, 0xc3, 0x63, 0xd8, 0x06, 0xec, 0x15, 0xbb);
#define REMOTE_POLL_DEPTH 4u

/* ---- capacity -------------------------------------------------------------------------------- */

/* Units look at their disk with every command by themselves; an idle guest is asked to send one. */
static void on_disk_change(void *ctx)
{
	struct ctrl *c = ctx;

	c->st->n_disk_changes++;
	if (c->sv)
		storvsp_rescan(c->sv);
	log_info_rl(ALLOWED, "a disk of controller %08x changed", c->instance.d1);
}

void slot_watch(struct ctrl *c, struct slot *s, bool on)
{
	if (s->disk && !c->nvme)
		disk_watch(s->disk, c->st->cfg.ctl, on ? on_disk_change : NULL, c);
}

/* ---- controllers ----------------------------------------------------------------------------- */

static uint32_t queue_depth(const struct storage *st, const struct vtl2s_controller *c)
{
	const uint32_t depth =
		c->io_queue_depth ? c->io_queue_depth : MIN(8 * MIN(st->cfg.vps, 32u), 256u);

	return MIN(depth, MAX_QUEUE_DEPTH);
}

static int create_scsi(struct storage *st, const struct vtl2_settings *s,
		       const struct vtl2s_controller *set, struct vtl2s_error *err)
{
	struct ctrl *c = &st->ctrls[st->n_ctrls];
	const struct storvsp_cfg cfg = {
		.instance = set->instance,
		.max_subchannels = (uint16_t)MIN(s->scsi_sub_channels, MAX_SUBCHANNELS),
		.queue_depth = queue_depth(st, set),
		.poll_depth = guid_eq(&set->instance, &remote_instance) ? REMOTE_POLL_DEPTH : 0,
	};
	const struct storvsp_wiring w = { .server = st->cfg.server,
					  .owner = st->cfg.ctl,
					  .gm = st->cfg.gm,
					  .vp_loop = st->cfg.vp_loop,
					  .ctx = st->cfg.ctx };
	int r = storvsp_create(&cfg, &w, &c->sv);

	if (r) {
		vtl2s_error_set(err, "Underhill.InternalFailure",
				"SCSI controller %08x cannot be offered (%d)", set->instance.d1, r);
		return r;
	}
	c->st = st;
	c->instance = set->instance;
	st->n_ctrls++;
	return 0;
}

static int create_controller(struct storage *st, const struct vtl2_settings *s,
			     const struct vtl2s_controller *set, struct vtl2s_error *err)
{
	switch (set->protocol) {
	case VTL2S_SCSI:
		return create_scsi(st, s, set, err);
	case VTL2S_IDE:
		return storage_ide_create(st, set, err);
	case VTL2S_NVME:
		return storage_nvme_create(st, set, err);
	}
	return -EINVAL;
}

static int create_controllers(struct storage *st, const struct vtl2_settings *s,
			      struct vtl2s_error *err)
{
	int r = 0;

	st->ctrls = calloc(s->n_controllers + 1, sizeof(*st->ctrls));
	if (!st->ctrls)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < s->n_controllers; i++)
		r = create_controller(st, s, &s->controllers[i], err);
	return r;
}

/* ---- start ----------------------------------------------------------------------------------- */

/* The outcome of the first job. */
struct start {
	bool done;
	int r;
	struct vtl2s_error err;
};

static void on_built(void *ctx, int r, const struct vtl2s_error *err)
{
	struct start *start = ctx;

	start->done = true;
	start->r = r;
	if (err)
		start->err = *err;
}

/* The control loop goes on meanwhile: devices may be long in coming. */
static int fill_controllers(struct storage *st, struct vtl2_settings *s, struct vtl2s_error *err)
{
	struct start start = { 0 };
	int r = job_start(st, s, on_built, &start);

	if (r) {
		vtl2_settings_free(s);
		return r;
	}
	while (!start.done) {
		r = loop_wait(st->cfg.ctl);
		if (r < 0 && r != -EINTR) {
			job_cancel(st);
			return r;
		}
	}
	*err = start.err;
	return start.r;
}

static int build(struct storage *st, const void *raw, size_t len, struct vtl2s_error *err)
{
	struct vtl2_settings *s;
	int r = vtl2_settings_parse(raw, raw ? len : 0, NULL, &s, err);

	if (r)
		return r;
	r = storage_nvme_check(s, err);
	if (r == 0)
		r = create_controllers(st, s, err);
	if (r) {
		vtl2_settings_free(s);
		return r;
	}
	return fill_controllers(st, s, err);
}

int storage_create(const struct storage_cfg *cfg, const void *raw, size_t len,
		   struct storage **ret_st)
{
	struct vtl2s_error err = { .id = "Underhill.InternalFailure" };
	struct storage *st = calloc(1, sizeof(*st));
	int r;

	if (!st)
		return -ENOMEM;
	st->cfg = *cfg;
	if (!st->cfg.roots.sys)
		st->cfg.roots.sys = "/sys";
	if (!st->cfg.roots.dev)
		st->cfg.roots.dev = "/dev";
	r = build(st, raw, len, &err);
	if (r) {
		log_err(ALLOWED, "VTL2 settings: %s: %s (%d)", err.id, err.text, r);
		storage_destroy(st);
		return r;
	}
	log_info(ALLOWED, "%u disk controllers for VTL0, its memory is %s", st->n_ctrls,
		 cfg->bounce == DISK_BOUNCE_NEVER ? "used by the devices" : "copied");
	*ret_st = st;
	return 0;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Who waits for a change; a job has one context only. */
struct asked {
	struct storage *st;
	void (*done)(void *ctx, int err, const char *json);
	void *ctx;
};

static void answer(struct storage *st, void (*done)(void *ctx, int err, const char *json),
		   void *ctx, int r, const struct vtl2s_error *err)
{
	char json[VTL2S_ERROR_JSON] = "";

	if (r == 0) {
		st->n_modified++;
		log_info_rl(ALLOWED, "VTL2 settings modified");
	} else {
		st->n_refused++;
		log_warn_rl(ALLOWED, "VTL2 settings not modified: %s: %s (%d)", err->id, err->text,
			    r);
		vtl2s_error_json(err, json);
	}
	done(ctx, r, json);
}

static void on_changed(void *ctx, int r, const struct vtl2s_error *err)
{
	struct asked *asked = ctx;
	const struct asked a = *asked;

	free(asked);
	a.st->asked = NULL;
	answer(a.st, a.done, a.ctx, r, err);
}

static int start_change(struct storage *st, struct vtl2_settings *to, const struct asked *a,
			struct vtl2s_error *err)
{
	struct asked *asked;
	int r = vtl2_settings_may_change(st->now, to, err);

	if (r == 0)
		r = storage_nvme_check(to, err);
	if (r)
		return r;
	asked = malloc(sizeof(*asked));
	if (!asked)
		return -ENOMEM;
	*asked = *a;
	st->asked = asked;
	r = job_start(st, to, on_changed, asked);
	if (r) {
		st->asked = NULL;
		free(asked);
	}
	return r;
}

int storage_modify(struct storage *st, const void *raw, size_t len,
		   void (*done)(void *ctx, int err, const char *json), void *ctx)
{
	struct vtl2s_error err = { .id = "Underhill.InternalFailure" };
	const struct asked a = { .st = st, .done = done, .ctx = ctx };
	struct vtl2_settings *to;
	int r;

	if (st->job)
		return -EBUSY;
	r = vtl2_settings_parse(raw, len, st->now, &to, &err);
	if (r == 0) {
		r = start_change(st, to, &a, &err);
		if (r)
			vtl2_settings_free(to);
	}
	if (r)
		answer(st, done, ctx, r, &err);
	return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void on_left(void *ctx)
{
	struct storage *st = ctx;

	st->leaving--;
}

static void nothing(void *ctx)
{
	(void)ctx;
}

/* Run the control loop until everything that was asked to leave has left. */
static bool wait_left(struct storage *st)
{
	const uint64_t end = loop_now_ns() + LEAVE_NS;
	struct loop_timer timer;

	loop_timer_init(&timer, st->cfg.ctl, nothing, NULL);
	loop_timer_arm(&timer, end);
	while (st->leaving && loop_now_ns() < end) {
		int r = loop_wait(st->cfg.ctl);

		if (r < 0 && r != -EINTR)
			break;
	}
	loop_timer_cancel(&timer);
	return !st->leaving;
}

static void empty_slot(struct ctrl *c, struct slot *s)
{
	if (!slot_taken(s))
		return;
	slot_watch(c, s, false);
	if (s->unit)
		scsi_unit_put(s->unit);
	disk_put(s->disk);
	*s = (struct slot){ 0 };
}

void storage_destroy(struct storage *st)
{
	if (!st)
		return;
	job_cancel(st);
	free(st->asked);
	st->asked = NULL;
	for (uint32_t i = 0; i < st->n_ctrls; i++) {
		struct ctrl *c = &st->ctrls[i];

		for (uint32_t lun = 0; lun < STORAGE_LUNS; lun++)
			empty_slot(c, &c->slots[lun]);
		st->leaving += c->ide ? storage_ide_parts(c) : 1;
		if (c->sv)
			storvsp_destroy(c->sv, on_left, st);
		else if (c->nvme)
			storage_nvme_stop(c, on_left, st);
		else
			storage_ide_stop(c, on_left, st);
		c->sv = NULL;
	}
	if (!wait_left(st)) {
		/* Somebody still has it: better lost than freed under him. */
		log_err(ALLOWED, "%u controllers do not let go", st->leaving);
		return;
	}
	vtl2_settings_free(st->now);
	free(st->ctrls);
	free(st);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static void inspect_slot(struct inspect *in, const void *obj)
{
	const struct slot *s = obj;

	if (s->unit)
		inspect_dir(in, SENS_UNSPEC, "unit", scsi_unit_inspect, s->unit);
	if (s->disk)
		inspect_dir(in, SENS_UNSPEC, "disk", disk_inspect, s->disk);
}

static void inspect_slots(struct inspect *in, const void *obj)
{
	const struct ctrl *c = obj;

	for (uint32_t lun = 0; lun < STORAGE_LUNS; lun++) {
		if (slot_taken(&c->slots[lun]))
			inspect_dir_at(in, SENS_UNSPEC, lun, inspect_slot, &c->slots[lun]);
	}
}

static void inspect_ide_ctrl(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_UNSPEC, "accelerators", storage_ide_inspect, obj);
	inspect_dir(in, SENS_UNSPEC, "luns", inspect_slots, obj);
}

static enum vtl2s_protocol protocol_of(const struct ctrl *c)
{
	return c->ide ? VTL2S_IDE : c->nvme ? VTL2S_NVME : VTL2S_SCSI;
}

/* SCSI and NVMe controllers show their units and disks by themselves. */
static void inspect_ctrls(struct inspect *in, const struct storage *st, enum vtl2s_protocol p)
{
	for (uint32_t i = 0; i < st->n_ctrls; i++) {
		const struct ctrl *c = &st->ctrls[i];
		char id[GUID_STR_LEN + 1];

		if (protocol_of(c) != p)
			continue;
		guid_format(&c->instance, id);
		if (c->ide)
			inspect_dir(in, SENS_UNSPEC, id, inspect_ide_ctrl, c);
		else if (c->nvme)
			inspect_dir(in, SENS_UNSPEC, id, storage_nvme_inspect, c);
		else
			inspect_dir(in, SENS_UNSPEC, id, storvsp_inspect, c->sv);
	}
}

static void inspect_scsi(struct inspect *in, const void *obj)
{
	inspect_ctrls(in, obj, VTL2S_SCSI);
}

static void inspect_ide(struct inspect *in, const void *obj)
{
	inspect_ctrls(in, obj, VTL2S_IDE);
}

static void inspect_nvme(struct inspect *in, const void *obj)
{
	inspect_ctrls(in, obj, VTL2S_NVME);
}

void storage_inspect(struct inspect *in, const void *obj)
{
	const struct storage *st = obj;

	inspect_str(in, SENS_UNSPEC, "guest_memory",
		    st->cfg.bounce == DISK_BOUNCE_NEVER ? "zero_copy" : "bounce");
	inspect_bool(in, SENS_UNSPEC, "changing", st->job != NULL);
	inspect_count(in, SENS_UNSPEC, "settings_modified", st->n_modified);
	inspect_count(in, SENS_UNSPEC, "settings_refused", st->n_refused);
	inspect_count(in, SENS_UNSPEC, "disk_changes", st->n_disk_changes);
	inspect_dir(in, SENS_UNSPEC, "scsi", inspect_scsi, st);
	inspect_dir(in, SENS_UNSPEC, "ide", inspect_ide, st);
	inspect_dir(in, SENS_UNSPEC, "nvme", inspect_nvme, st);
	if (st->now)
		inspect_dir(in, SENS_UNSPEC, "settings", vtl2_settings_inspect, st->now);
}
