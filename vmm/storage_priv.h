/* SPDX-License-Identifier: MIT */
/* Between the parts of the storage. Context: control loop. */
#pragma once

#include "loop.h"
#include "scsi.h"
#include "storage.h"
#include "storvsp.h"
#include "vtl2_settings.h"

#define STORAGE_LUNS STORVSP_LUNS
/* Places of an IDE controller: channel times two plus drive; requests in flight per accelerator. */
#define STORAGE_IDE_DRIVES 4u
#define STORAGE_IDE_DEPTH 32u

/* A LUN that VTL0 sees. */
struct slot {
	struct scsi_unit *unit; /* NULL: nothing there, or a namespace */
	struct disk *disk; /* NULL: drive without medium, if there is a unit */
	char name[32];
};

struct ctrl {
	struct storage *st;
	struct guid instance;
	struct storvsp *sv; /* SCSI */
	struct ide_ctrl *ide; /* IDE (storage_ide.c) */
	struct nvme_ctrl *nvme; /* NVMe (storage_nvme.c); exactly one of the three is there */
	struct slot slots[STORAGE_LUNS];
};

/* A change of settings on its way (storage_job.c). */
struct job;
struct asked;

struct storage {
	struct storage_cfg cfg;
	struct vtl2_settings *now;
	struct ctrl *ctrls;
	uint32_t n_ctrls;
	struct job *job; /* NULL: none */
	struct asked *asked; /* who waits for it; NULL: the start itself */
	uint32_t leaving; /* units and controllers on their way out */
	uint64_t n_modified, n_refused, n_disk_changes;
};

/* ---- storage_lun.c: what is behind a LUN ----------------------------------------------- */

/* The disks of a LUN as they are got, one after the other. */
struct lun_parts {
	const struct vtl2s_lun *lun;
	struct disk *disks[VTL2S_MAX_STRIPE];
	uint32_t n;
	bool no_medium; /* it could not be opened; the drive is empty */
};

/**
 * lun_acquire - open what can be opened
 * Returns: 0: everything is there; -EAGAIN: something is not yet; -errno with *ret_err
 */
must_check int lun_acquire(const struct storage *st, struct lun_parts *p,
			   struct vtl2s_error *ret_err);

/* What lun_acquire() waits for. */
void lun_missing(const struct lun_parts *p, struct vtl2s_error *ret_err);

/* One disk of all parts, which are used up on success; NULL in *ret_d: no medium. */
must_check int lun_disk(struct lun_parts *p, const char *name, struct disk **ret_d,
			struct vtl2s_error *ret_err);

/* A unit on a disk (a reference is used up in any case), or an empty drive. */
must_check int lun_unit(const struct vtl2s_lun *l, const char *name, struct disk *d,
			struct scsi_unit **ret_u, struct vtl2s_error *ret_err);

void lun_release(struct lun_parts *p);

/* ---- storage_job.c: from the settings of now to others ----------------------------------- */

/**
 * job_start - st->job gets everything, then changes everything
 * @to: taken over; becomes st->now on success
 * @done: may run inside; st->job is NULL again. @err: NULL when all went well
 * Returns: 0; -ENOMEM (and @to is still the caller's)
 */
must_check int job_start(struct storage *st, struct vtl2_settings *to,
			 void (*done)(void *ctx, int r, const struct vtl2s_error *err), void *ctx);

/* Forget it; done is not called. Detaching that has begun goes on: st->leaving. */
void job_cancel(struct storage *st);

/* ---- storage_ide.c: drives of an IDE controller ------------------------------------------ */

must_check int storage_ide_create(struct storage *st, const struct vtl2s_controller *set,
				  struct vtl2s_error *err);

/* Put a drive in before VTL0 runs; @unit is used up on success. */
must_check int storage_ide_attach(struct ctrl *c, unsigned place, const struct vtl2s_lun *l,
				  struct scsi_unit *unit, struct disk *disk);

/* The end: so many parts will say that they are @done. */
unsigned storage_ide_parts(const struct ctrl *c);
void storage_ide_stop(struct ctrl *c, void (*done)(void *ctx), void *ctx);

/* Accelerator channels: an inspect_fn on the struct ctrl. */
void storage_ide_inspect(struct inspect *in, const void *c);

/* ---- storage_nvme.c: namespaces of an NVMe controller ------------------------------------ */

must_check int storage_nvme_check(const struct vtl2_settings *s, struct vtl2s_error *err);
must_check int storage_nvme_create(struct storage *st, const struct vtl2s_controller *set,
				   struct vtl2s_error *err);
must_check int storage_nvme_attach(struct ctrl *c, unsigned place, struct disk *disk);
void storage_nvme_detach(struct ctrl *c, unsigned place);
void storage_nvme_stop(struct ctrl *c, void (*done)(void *ctx), void *ctx);
/* An inspect_fn on the struct ctrl. */
void storage_nvme_inspect(struct inspect *in, const void *c);

/* ---- storage.c ----------------------------------------------- */

/* Tell when the capacity of the disk of a slot changes, or stop that. */
void slot_watch(struct ctrl *c, struct slot *s, bool on);

/* Is there a disk or a drive? */
static inline bool slot_taken(const struct slot *s)
{
	return s->unit || s->disk;
}
