/* SPDX-License-Identifier: MIT */
#include "mock_storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "inspect.h"
#include "pci_vtl0.h"

struct mock_storage mock;

/* ---- disks ----------------------------------------------------------------------------------- */

static int open_disk(const char *path, bool nvme, bool read_only, enum disk_bounce bounce,
		     struct disk **ret_d)
{
	struct disk *d;

	if (mock.fail_open && strstr(path, mock.fail_open))
		return mock.fail_err;
	d = calloc(1, sizeof(*d));
	BUG_ON(!d);
	d->refs = 1;
	(void)snprintf(d->path, sizeof(d->path), "%s", path);
	d->nvme = nvme;
	d->read_only = read_only;
	d->bounce = bounce;
	mock.disks++;
	*ret_d = d;
	return 0;
}

int disk_nvme_open(const struct disk_nvme_cfg *cfg, struct disk **ret_d)
{
	if (mock.no_passthrough)
		return mock.no_passthrough;
	return open_disk(cfg->path, true, cfg->read_only, cfg->bounce, ret_d);
}

int disk_file_open(const struct disk_file_cfg *cfg, struct disk **ret_d)
{
	BUG_ON(!cfg->direct);
	return open_disk(cfg->path, false, cfg->read_only, cfg->bounce, ret_d);
}

int disk_stripe_open(const char *name, struct disk *const *members, unsigned n, uint32_t chunk,
		     struct disk **ret_d)
{
	char path[64];
	int r;

	BUG_ON(n < 2 || !name[0]);
	(void)snprintf(path, sizeof(path), "stripe:%u:%u", n, chunk);
	r = open_disk(path, false, false, DISK_BOUNCE_NEVER, ret_d);
	for (unsigned i = 0; r == 0 && i < n; i++)
		(*ret_d)->members[(*ret_d)->n_members++] = members[i];
	return r;
}

struct disk *disk_get(struct disk *d)
{
	BUG_ON(!d->refs);
	d->refs++;
	return d;
}

void disk_put(struct disk *d)
{
	if (!d)
		return;
	BUG_ON(!d->refs);
	if (--d->refs)
		return;
	BUG_ON(d->watch != NULL);
	for (unsigned i = 0; i < d->n_members; i++)
		disk_put(d->members[i]);
	mock.disks--;
	free(d);
}

void disk_watch(struct disk *d, struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
	BUG_ON(!loop);
	BUG_ON(fn && d->watch);
	d->watch = fn;
	d->watch_ctx = ctx;
}

void disk_inspect(struct inspect *in, const void *d)
{
	inspect_str(in, SENS_UNSPEC, "path", ((const struct disk *)d)->path);
}

/* ---- units ----------------------------------------------------------------------------------- */

static int make_unit(const struct scsi_unit_cfg *cfg, bool dvd, struct disk *d,
		     struct scsi_unit **ret_u)
{
	struct scsi_unit *u;

	if (mock.fail_unit)
		return mock.fail_unit;
	u = calloc(1, sizeof(*u));
	BUG_ON(!u);
	u->refs = 1;
	u->cfg = *cfg;
	u->dvd = dvd;
	u->d = d;
	mock.units++;
	*ret_u = u;
	return 0;
}

int scsi_disk_create(const struct scsi_unit_cfg *cfg, struct disk *d, struct scsi_unit **ret_u)
{
	BUG_ON(!d);
	return make_unit(cfg, false, d, ret_u);
}

int scsi_dvd_create(const struct scsi_unit_cfg *cfg, struct disk *d, struct scsi_unit **ret_u)
{
	return make_unit(cfg, true, d, ret_u);
}

void scsi_dvd_change_medium(struct scsi_unit *u, struct disk *d)
{
	BUG_ON(!u->dvd);
	disk_put(u->d);
	u->d = d;
}

struct scsi_unit *scsi_unit_get(struct scsi_unit *u)
{
	BUG_ON(!u->refs);
	u->refs++;
	return u;
}

void scsi_unit_put(struct scsi_unit *u)
{
	BUG_ON(!u->refs);
	if (--u->refs)
		return;
	disk_put(u->d);
	mock.units--;
	free(u);
}

void scsi_unit_inspect(struct inspect *in, const void *u)
{
	inspect_bool(in, SENS_UNSPEC, "dvd", ((const struct scsi_unit *)u)->dvd);
}

/* ---- controllers ----------------------------------------------------------------------------- */

int storvsp_create(const struct storvsp_cfg *cfg, const struct storvsp_wiring *w,
		   struct storvsp **ret_s)
{
	struct storvsp *s = calloc(1, sizeof(*s));

	BUG_ON(!s || !w->owner || !w->vp_loop || mock.n_ctrl == MOCK_CTRLS);
	BUG_ON(cfg->queue_depth < 1 || cfg->queue_depth > 1024);
	s->cfg = *cfg;
	mock.ctrl[mock.n_ctrl++] = s;
	mock.ctrls++;
	*ret_s = s;
	return 0;
}

void storvsp_destroy(struct storvsp *s, void (*done)(void *ctx), void *ctx)
{
	mock.hold = false;
	mock_let_go();
	for (unsigned i = 0; i < STORVSP_LUNS; i++) {
		if (s->units[i])
			scsi_unit_put(s->units[i]);
	}
	for (unsigned i = 0; i < mock.n_ctrl; i++)
		mock.ctrl[i] = mock.ctrl[i] == s ? NULL : mock.ctrl[i];
	mock.ctrls--;
	free(s);
	done(ctx);
}

int storvsp_attach(struct storvsp *s, uint8_t target, uint8_t lun, struct scsi_unit *u)
{
	BUG_ON(target != (s->cfg.ide ? s->cfg.ide_target : 0) || lun >= STORVSP_LUNS);
	if (mock.fail_attach)
		return mock.fail_attach;
	if (s->units[lun])
		return -EEXIST;
	/* Nothing may be added while something is on its way out. */
	BUG_ON(s->leaving != NULL);
	s->units[lun] = u;
	s->attached++;
	return 0;
}

static void let_go(struct storvsp *s)
{
	void (*done)(void *ctx) = s->done;

	if (!s->leaving)
		return;
	scsi_unit_put(s->leaving);
	s->leaving = NULL;
	s->done = NULL;
	done(s->ctx);
}

void mock_let_go(void)
{
	for (unsigned i = 0; i < mock.n_ctrl; i++) {
		if (mock.ctrl[i])
			let_go(mock.ctrl[i]);
	}
}

int storvsp_detach(struct storvsp *s, uint8_t target, uint8_t lun, void (*done)(void *ctx),
		   void *ctx)
{
	BUG_ON(target || !done);
	if (!s->units[lun])
		return -ENOENT;
	BUG_ON(s->leaving != NULL); /* one at a time is enough for the tests */
	s->leaving = s->units[lun];
	s->done = done;
	s->ctx = ctx;
	s->units[lun] = NULL;
	s->detached++;
	if (!mock.hold)
		let_go(s);
	return 0;
}

void storvsp_rescan(struct storvsp *s)
{
	s->rescans++;
}

void storvsp_inspect(struct inspect *in, const void *s)
{
	inspect_u64(in, SENS_UNSPEC, "attached", ((const struct storvsp *)s)->attached);
}

/* ---- IDE ------------------------------------------------------------------------------------- */

struct ide_chan *piix4_ide_chan(struct piix4_ide *p, unsigned idx)
{
	BUG_ON(idx >= PIIX4_IDE_CHANNELS);
	return &p->chans[idx];
}

int ide_chan_attach_disk(struct ide_chan *ch, unsigned drive, struct disk *d, const char *serial)
{
	BUG_ON(drive >= IDE_DRIVES || ch->disks[drive] || ch->dvds[drive]);
	ch->disks[drive] = d;
	(void)snprintf(ch->serial[drive], sizeof(ch->serial[drive]), "%s", serial);
	return 0;
}

int ide_chan_attach_dvd(struct ide_chan *ch, unsigned drive, struct scsi_unit *u)
{
	BUG_ON(drive >= IDE_DRIVES || ch->disks[drive] || ch->dvds[drive]);
	ch->dvds[drive] = u;
	return 0;
}

void ide_chan_stop(struct ide_chan *ch, void (*done)(void *ctx), void *ctx)
{
	ch->stopped++;
	done(ctx);
}

void mock_ide_fini(struct piix4_ide *p)
{
	for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++) {
		for (unsigned d = 0; d < IDE_DRIVES; d++) {
			if (p->chans[i].disks[d])
				disk_put(p->chans[i].disks[d]);
			if (p->chans[i].dvds[d])
				scsi_unit_put(p->chans[i].dvds[d]);
		}
	}
	*p = (struct piix4_ide){ 0 };
}

/* ---- NVMe ------------------------------------------------------------------------------------ */

int nvme_ctrl_create(const struct nvme_ctrl_cfg *cfg, struct nvme_ctrl **ret_c)
{
	struct nvme_ctrl *c = calloc(1, sizeof(*c));

	BUG_ON(!c || !cfg->loop || !cfg->max_queues || cfg->msix_vectors != cfg->max_queues + 1);
	c->cfg = *cfg;
	mock.nvme = *ret_c = c;
	mock.ctrls++;
	return 0;
}

void nvme_ctrl_destroy(struct nvme_ctrl *c, void (*done)(void *ctx), void *ctx)
{
	BUG_ON(mock.functions); /* it is still on the bus */
	for (unsigned i = 0; i < NVME_CTRL_MAX_NS; i++)
		disk_put(c->ns[i]);
	mock.nvme = NULL;
	mock.ctrls--;
	free(c);
	if (done)
		done(ctx);
}

struct pci_func *nvme_ctrl_pci(struct nvme_ctrl *c)
{
	return (struct pci_func *)c;
}

int nvme_ctrl_attach(struct nvme_ctrl *c, uint32_t nsid, struct disk *d)
{
	BUG_ON(!nsid || nsid > NVME_CTRL_MAX_NS || c->ns[nsid - 1]);
	if (mock.fail_attach)
		return mock.fail_attach;
	c->ns[nsid - 1] = d;
	return 0;
}

int nvme_ctrl_detach(struct nvme_ctrl *c, uint32_t nsid)
{
	BUG_ON(!c->ns[nsid - 1]);
	disk_put(c->ns[nsid - 1]);
	c->ns[nsid - 1] = NULL;
	return 0;
}

void nvme_ctrl_inspect(struct inspect *in, const void *c)
{
	inspect_u64(in, SENS_UNSPEC, "queues", ((const struct nvme_ctrl *)c)->cfg.max_queues);
}

int pci_vtl0_add(struct pci_vtl0 *p, const struct guid *instance, struct pci_func *f)
{
	BUG_ON(!p || !f);
	mock.functions += !mock.fail_pci;
	return mock.fail_pci;
}

bool pci_vtl0_remove(struct pci_vtl0 *p, const struct pci_func *f, void (*done)(void *ctx),
		     void *ctx)
{
	BUG_ON(!p || !mock.functions);
	mock.functions--;
	done(ctx);
	return true;
}
