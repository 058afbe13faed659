/* SPDX-License-Identifier: MIT */
/*
 * NVMe controllers of VTL0: the model of devices/storage, on the control loop, behind VPCI. A LUN
 * is a namespace; its place is the namespace's id minus one.
 */
#include "storage_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect.h"
#include "nvme_ctrl.h"
#include "pci_vtl0.h"

BUILD_ASSERT(NVME_CTRL_MAX_NS == STORAGE_LUNS, "a place for every namespace");

int storage_nvme_check(const struct vtl2_settings *s, struct vtl2s_error *err)
{
	for (uint32_t i = 0; i < s->n_controllers; i++) {
		const struct vtl2s_controller *c = &s->controllers[i];

		for (uint32_t k = 0; c->protocol == VTL2S_NVME && k < c->n_luns; k++) {
			if (c->luns[k].location <= NVME_CTRL_MAX_NS)
				continue;
			vtl2s_error_set(err, "Configuration.StorageLunLocationExceedsMaxLimits",
					"NVMe namespace id exceeds limits %u, nvme namespace ID %u",
					NVME_CTRL_MAX_NS, c->luns[k].location);
			return -EINVAL;
		}
	}
	return 0;
}

static struct nvme_ctrl_cfg ctrl_cfg(const struct storage *st, const struct guid *instance)
{
	const unsigned queues = MIN(st->cfg.vps, NVME_CTRL_MAX_QUEUES - 1);
	struct nvme_ctrl_cfg cfg = { .max_queues = queues,
				     .msix_vectors = queues + 1,
				     .gm = st->cfg.gm,
				     .loop = st->cfg.ctl,
				     .msi = st->cfg.msi };

	(void)snprintf(cfg.serial, sizeof(cfg.serial), "%08x%04x%04x", instance->d1, instance->d2,
		       instance->d3);
	return cfg;
}

int storage_nvme_create(struct storage *st, const struct vtl2s_controller *set,
			struct vtl2s_error *err)
{
	struct nvme_ctrl_cfg cfg = ctrl_cfg(st, &set->instance);
	struct ctrl *c = &st->ctrls[st->n_ctrls];
	struct nvme_ctrl *nvme;
	char name[16];
	int r;

	if (!st->cfg.pci) {
		vtl2s_error_set(err, "Configuration.StorageInvalidControllerType",
				"this VM was built without PCI, NVMe controller %08x",
				set->instance.d1);
		return -EOPNOTSUPP;
	}
	(void)snprintf(name, sizeof(name), "%08x", set->instance.d1);
	cfg.name = name;
	r = nvme_ctrl_create(&cfg, &nvme);
	if (r == 0) {
		r = pci_vtl0_add(st->cfg.pci, &set->instance, nvme_ctrl_pci(nvme));
		if (r)
			nvme_ctrl_destroy(nvme, NULL, NULL);
	}
	if (r) {
		vtl2s_error_set(err, "Underhill.InternalFailure",
				"NVMe controller %08x cannot be offered (%d)", set->instance.d1, r);
		return r;
	}
	c->nvme = nvme;
	c->st = st;
	c->instance = set->instance;
	st->n_ctrls++;
	return 0;
}

/* It tells capacity changes by itself: nobody else watches the disk. */
int storage_nvme_attach(struct ctrl *c, unsigned place, struct disk *disk)
{
	int r = nvme_ctrl_attach(c->nvme, place + 1, disk_get(disk));

	if (r)
		disk_put(disk);
	return r;
}

void storage_nvme_detach(struct ctrl *c, unsigned place)
{
	(void)!nvme_ctrl_detach(c->nvme, place + 1); /* commands end with an error by and by */
}

struct stop {
	struct nvme_ctrl *nvme;
	void (*done)(void *ctx);
	void *ctx;
};

static void on_removed(void *ctx)
{
	const struct stop s = *(struct stop *)ctx;

	free(ctx);
	nvme_ctrl_destroy(s.nvme, s.done, s.ctx);
}

void storage_nvme_stop(struct ctrl *c, void (*done)(void *ctx), void *ctx)
{
	const struct pci_func *f = nvme_ctrl_pci(c->nvme);
	struct stop *s = malloc(sizeof(*s));

	if (!s) /* better lost than freed under a bus */
		return;
	*s = (struct stop){ .nvme = c->nvme, .done = done, .ctx = ctx };
	c->nvme = NULL;
	if (!pci_vtl0_remove(c->st->cfg.pci, f, on_removed, s))
		on_removed(s);
}

void storage_nvme_inspect(struct inspect *in, const void *obj)
{
	const struct ctrl *c = obj;

	nvme_ctrl_inspect(in, c->nvme);
}
