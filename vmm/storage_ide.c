/* SPDX-License-Identifier: MIT */
/*
 * IDE: a drive is on the emulated controller and, if it is a disk, on an accelerator channel as
 * well, by which guests that know Hyper-V reach it faster. Both lead to the same disk.
 */
#include "storage_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "inspect.h"
#include "piix4_ide.h"

/* Identity of an accelerator channel. */
#define ACCEL_GUID_D3 0x8899

struct ide_ctrl {
	struct storvsp *accel[STORAGE_IDE_DRIVES];
};

int storage_ide_create(struct storage *st, const struct vtl2s_controller *set,
		       struct vtl2s_error *err)
{
	struct ctrl *c = &st->ctrls[st->n_ctrls];

	if (!st->cfg.ide) {
		vtl2s_error_set(err, "Underhill.InternalFailure",
				"this VM was built without an IDE controller");
		return -ENODEV;
	}
	c->ide = calloc(1, sizeof(*c->ide));
	if (!c->ide)
		return -ENOMEM;
	c->st = st;
	c->instance = set->instance;
	st->n_ctrls++;
	return 0;
}

static int offer_accelerator(struct ctrl *c, unsigned place, struct scsi_unit *unit)
{
	const struct storage_cfg *sc = &c->st->cfg;
	const uint8_t channel = (uint8_t)(place / IDE_DRIVES), drive = place % IDE_DRIVES;
	const struct storvsp_cfg cfg = {
		.instance = { .d1 = channel, .d2 = drive, .d3 = ACCEL_GUID_D3 },
		.ide = true,
		.ide_path = channel,
		.ide_target = drive,
		.queue_depth = STORAGE_IDE_DEPTH,
	};
	const struct storvsp_wiring w = { .server = sc->server,
					  .owner = sc->ctl,
					  .gm = sc->gm,
					  .vp_loop = sc->vp_loop,
					  .ctx = sc->ctx };
	struct storvsp *sv;
	int r = storvsp_create(&cfg, &w, &sv);

	if (r)
		return r;
	c->ide->accel[place] = sv;
	return storvsp_attach(sv, drive, 0, unit);
}

int storage_ide_attach(struct ctrl *c, unsigned place, const struct vtl2s_lun *l,
		       struct scsi_unit *unit, struct disk *disk)
{
	struct ide_chan *ch = piix4_ide_chan(c->st->cfg.ide, place / IDE_DRIVES);
	int r;

	if (l->is_dvd)
		return ide_chan_attach_dvd(ch, place % IDE_DRIVES, unit);
	r = ide_chan_attach_disk(ch, place % IDE_DRIVES, disk_get(disk), l->serial);
	if (r) {
		disk_put(disk);
		return r;
	}
	return offer_accelerator(c, place, unit);
}

unsigned storage_ide_parts(const struct ctrl *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < STORAGE_IDE_DRIVES; i++)
		n += c->ide->accel[i] != NULL;
	n += PIIX4_IDE_CHANNELS;
	return n;
}

void storage_ide_stop(struct ctrl *c, void (*done)(void *ctx), void *ctx)
{
	for (unsigned i = 0; i < STORAGE_IDE_DRIVES; i++) {
		if (c->ide->accel[i])
			storvsp_destroy(c->ide->accel[i], done, ctx);
	}
	for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++)
		ide_chan_stop(piix4_ide_chan(c->st->cfg.ide, i), done, ctx);
	free(c->ide);
	c->ide = NULL;
}

void storage_ide_inspect(struct inspect *in, const void *obj)
{
	const struct ctrl *c = obj;

	for (unsigned i = 0; i < STORAGE_IDE_DRIVES; i++) {
		if (c->ide->accel[i])
			inspect_dir_at(in, SENS_UNSPEC, i, storvsp_inspect, c->ide->accel[i]);
	}
}
