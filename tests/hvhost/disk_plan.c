/* SPDX-License-Identifier: MIT */
#include "disk_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings_host.h"

#define PROTOCOLS 3u

/* Everything of one document; counts stay below DISK_OPT_MAX. */
struct plan {
	struct vtl2_settings s;
	struct vtl2s_controller ctrl[PROTOCOLS];
	struct vtl2s_lun lun[PROTOCOLS][DISK_OPT_MAX];
	struct vtl2s_device device[DISK_OPT_MAX];
};

static enum vtl2s_protocol protocol_of(enum disk_as as)
{
	switch (as) {
	case DISK_AS_NVME:
		return VTL2S_NVME;
	case DISK_AS_IDE:
		return VTL2S_IDE;
	case DISK_AS_SCSI:
		break;
	}
	return VTL2S_SCSI;
}

/* The controller of a disk, made when it is the first. */
static struct vtl2s_controller *ctrl_of(struct plan *p, const struct disk_place *place)
{
	struct vtl2s_controller *c;

	for (uint32_t i = 0; i < p->s.n_controllers; i++) {
		if (guid_eq(&p->ctrl[i].instance, &place->controller))
			return &p->ctrl[i];
	}
	c = &p->ctrl[p->s.n_controllers];
	c->instance = place->controller;
	c->protocol = protocol_of(place->as);
	c->luns = p->lun[p->s.n_controllers++];
	return c;
}

static void add_lun(struct plan *p, struct vtl2s_controller *c, const struct disk_place *place,
		    unsigned i)
{
	struct vtl2s_lun *l = &c->luns[c->n_luns++];

	l->channel = place->channel;
	l->location = place->location;
	l->device_id = (struct guid)GUID_INIT(0x6b65656cu, 0x3001, 0x4c55, 0xad, 0x04, 0x6b, 0x65,
					      0x65, 0x6c, 0x00, (uint8_t)i);
	snprintf(l->serial, sizeof(l->serial), "%s", place->id);
	l->is_dvd = place->dvd;
	p->device[i] = (struct vtl2s_device){ .type = VTL2S_DEV_NVME,
					      .path = place->device,
					      .sub_path = place->nsid };
	l->devices = &p->device[i];
	l->n_devices = 1;
}

int disk_plan_settings(const struct disk_host *dh, uint32_t vps, int without, uint8_t **ret_doc,
		       size_t *ret_len)
{
	struct plan *p;
	int r;

	if (!disk_host_count(dh)) {
		*ret_doc = NULL;
		*ret_len = 0;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->s.controllers = p->ctrl;
	p->s.scsi_sub_channels = vps - 1;
	for (unsigned i = 0; i < disk_host_count(dh); i++) {
		struct disk_place place;
		bool there = disk_host_place(dh, i, &place);
		struct vtl2s_controller *c = ctrl_of(p, &place);

		if (there && (int)i != without)
			add_lun(p, c, &place, i);
	}
	r = settings_host_write(&p->s, SETTINGS_PROTOBUF, ret_doc, ret_len);
	free(p);
	return r;
}
