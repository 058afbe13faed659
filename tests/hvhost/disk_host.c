/* SPDX-License-Identifier: MIT */
#include "disk_host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "loop.h"
#include "pci_host.h"
#include "server.h"
#include "vpci.h"

#define LOG_AREA "disk"

#define SECTOR 512u
#define QUEUES_MAX 16u
#define DRAIN_NS 5000000000ull
#define TICK_NS 5000000ull

/* Instances differ in bytes 4 and 5: VTL2's kernel makes its PCI domain of them. */
#define FIRST_DOMAIN 0x1001u
#define CONTROLLER_GUID(n)                                                                       \
	(struct guid) GUID_INIT(0x6b65656cu, (uint16_t)(FIRST_DOMAIN + (n)), 0x4e56, 0xad, 0x01, \
				0x6b, 0x65, 0x65, 0x6c, 0x00, (uint8_t)(n))

/* VTL0's controllers. The first is what Hyper-V calls its first SCSI controller. */
static const struct guid vtl0_scsi =
	GUID_INIT(0xba6163d9u, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f);
static const struct guid vtl0_nvme =
	GUID_INIT(0x6b65656cu, 0x2001, 0x4e56, 0xad, 0x02, 0x6b, 0x65, 0x65, 0x6c, 0x00, 0x00);
static const struct guid vtl0_ide =
	GUID_INIT(0x6b65656cu, 0x0001, 0x4944, 0xad, 0x03, 0x6b, 0x65, 0x65, 0x6c, 0x00, 0x00);

enum ctrl_state {
	CTRL_NONE,
	CTRL_THERE,
	CTRL_EJECTING, /* VTL2 was asked to let go */
	CTRL_GOING,
};

/* A controller and its channel. While it goes, the parts that are not gone yet stay set. */
struct ctrl {
	struct disk_host *dh;
	unsigned number;
	struct nvme_ctrl *nvme;
	struct vpci *vpci;
	enum ctrl_state state;
	bool own; /* of one disk only */
	bool on_bus;
};

struct unit {
	struct disk_opt opt;
	struct disk *disk; /* misbehaves when told */
	struct ctrl *ctrl;
	uint32_t nsid;
	bool there;
	uint8_t channel; /* towards VTL0 */
	uint32_t location;
};

struct disk_host {
	struct disk_host_cfg cfg;
	uint32_t *apic_ids;
	struct unit units[DISK_OPT_MAX];
	unsigned n;
	struct ctrl ctrls[DISK_OPT_MAX];
	unsigned n_ctrls;
};

/* --- the bus ---------------------------------------------------------------------------------- */

static bool ctrl_read(void *ctx, uint64_t addr, unsigned size, uint64_t *ret_val)
{
	return vpci_mmio_read(((struct ctrl *)ctx)->vpci, addr, size, ret_val);
}

static bool ctrl_write(void *ctx, uint64_t addr, unsigned size, uint64_t val)
{
	return vpci_mmio_write(((struct ctrl *)ctx)->vpci, addr, size, val);
}

static int ctrl_retarget(void *ctx, uint64_t device_id, uint64_t addr, uint32_t data,
			 uint32_t vector, const uint32_t *vps, unsigned n_vps)
{
	return vpci_retarget(((struct ctrl *)ctx)->vpci, device_id, addr, data, vector, vps, n_vps);
}

static const struct pci_host_ops bus_ops = { .read = ctrl_read,
					     .write = ctrl_write,
					     .retarget = ctrl_retarget };

/* --- controllers ------------------------------------------------------------------------------ */

static void nvme_gone(void *ctx)
{
	struct ctrl *c = ctx;

	c->nvme = NULL;
	c->state = CTRL_NONE;
	log_info(ALLOWED, "controller %u is gone", c->number);
}

static void vpci_gone(void *ctx)
{
	struct ctrl *c = ctx;

	c->vpci = NULL;
	c->state = CTRL_GOING;
	if (c->on_bus)
		pci_host_remove(c->dh->cfg.pci, c);
	c->on_bus = false;
	nvme_ctrl_destroy(c->nvme, nvme_gone, c);
}

static void forget_units(struct ctrl *c)
{
	struct disk_host *dh = c->dh;

	for (unsigned i = 0; i < dh->n; i++) {
		if (dh->units[i].ctrl == c)
			dh->units[i].there = false;
	}
}

/* No VP may be inside the channel's code from here on. */
static void ctrl_take_away(struct ctrl *c)
{
	forget_units(c);
	c->state = CTRL_GOING;
	if (c->on_bus)
		pci_host_remove(c->dh->cfg.pci, c);
	c->on_bus = false;
	vpci_destroy(c->vpci, vpci_gone, c);
}

static int ctrl_offer(struct ctrl *c, const char *name)
{
	const struct disk_host_cfg *cfg = &c->dh->cfg;
	struct nvme_ctrl_cfg ncfg = { .name = name,
				      .max_queues = MIN(cfg->vps, QUEUES_MAX),
				      .gm = cfg->gm,
				      .loop = cfg->loop,
				      .msi = pci_host_msi(cfg->pci) };
	struct vpci_cfg vcfg = { .instance = CONTROLLER_GUID(c->number),
				 .serial = c->number + 1,
				 .server = cfg->server,
				 .loop = cfg->loop,
				 .vps = cfg->vps,
				 .apic_ids = c->dh->apic_ids };
	int r;

	ncfg.msix_vectors = ncfg.max_queues + 1;
	snprintf(ncfg.serial, sizeof(ncfg.serial), "%s", name);
	r = nvme_ctrl_create(&ncfg, &c->nvme);
	if (r < 0)
		return r;
	c->state = CTRL_GOING;
	vcfg.func = nvme_ctrl_pci(c->nvme);
	r = vpci_create(&vcfg, &c->vpci);
	if (r < 0) {
		nvme_ctrl_destroy(c->nvme, nvme_gone, c);
		return r;
	}
	r = pci_host_add(cfg->pci, &bus_ops, c);
	if (r < 0) {
		vpci_destroy(c->vpci, vpci_gone, c);
		return r;
	}
	c->on_bus = true;
	c->state = CTRL_THERE;
	return 0;
}

/* --- disks ------------------------------------------------------------------------------------ */

static int unit_open(struct disk_host *dh, unsigned i)
{
	struct unit *u = &dh->units[i];
	struct disk *base;
	const struct disk_file_cfg cfg = {
		.name = u->opt.id,
		.path = u->opt.path,
		.read_only = u->opt.read_only,
		.bounce = DISK_BOUNCE_NEVER,
	};
	int r = u->opt.path[0] ? disk_file_open(&cfg, &base)
			       : disk_ram_open(u->opt.id, u->opt.ram_bytes, SECTOR, &base);

	if (r < 0)
		return r;
	r = disk_fault_open(base, &u->disk);
	if (r < 0) {
		disk_put(base);
		return r;
	}
	return u->opt.size ? disk_host_resize(dh, i, u->opt.size) : 0;
}

int disk_host_add(struct disk_host *dh, unsigned i)
{
	struct unit *u = &dh->units[i];
	struct ctrl *c = u->ctrl;
	int r = 0;

	if (u->there)
		return -EEXIST;
	if (c->state == CTRL_EJECTING || c->state == CTRL_GOING)
		return -EBUSY;
	if (c->state == CTRL_NONE)
		r = ctrl_offer(c, u->opt.id);
	if (r == 0)
		r = nvme_ctrl_attach(c->nvme, u->nsid, disk_get(u->disk));
	if (r < 0) {
		log_err(ALLOWED, "disk %s cannot be added (%d)", u->opt.id, r);
		return r;
	}
	u->there = true;
	log_info(ALLOWED, "disk %s is namespace %u of controller %u", u->opt.id, u->nsid,
		 c->number);
	return 0;
}

int disk_host_remove(struct disk_host *dh, unsigned i)
{
	struct unit *u = &dh->units[i];
	int r;

	if (!u->there)
		return -ENOENT;
	if (u->ctrl->own) {
		ctrl_take_away(u->ctrl);
		return 0;
	}
	r = nvme_ctrl_detach(u->ctrl->nvme, u->nsid);
	u->there = false;
	return r;
}

int disk_host_rescind(struct disk_host *dh, unsigned i, bool eject)
{
	struct ctrl *c = dh->units[i].ctrl;

	if (c->state == CTRL_EJECTING && !eject) { /* enough of waiting */
		ctrl_take_away(c);
		return 0;
	}
	if (c->state != CTRL_THERE)
		return -ENOENT;
	if (!eject) {
		ctrl_take_away(c);
		return 0;
	}
	forget_units(c);
	c->state = CTRL_EJECTING;
	vpci_eject(c->vpci, vpci_gone, c);
	return 0;
}

int disk_host_ctrl_fault(struct disk_host *dh, unsigned i, enum nvme_ctrl_fault f)
{
	struct ctrl *c = dh->units[i].ctrl;

	if (c->state != CTRL_THERE && c->state != CTRL_EJECTING)
		return -ENOENT;
	nvme_ctrl_fault(c->nvme, f);
	return 0;
}

void disk_host_fault(struct disk_host *dh, unsigned i, const struct disk_fault *f)
{
	disk_fault_set(dh->units[i].disk, f);
}

int disk_host_resize(struct disk_host *dh, unsigned i, uint64_t bytes)
{
	struct disk *d = dh->units[i].disk;
	struct disk_info info;

	disk_info(d, &info);
	if (!bytes || bytes % info.block_size)
		return -EINVAL;
	return disk_fault_resize(d, bytes / info.block_size);
}

void disk_host_info(const struct disk_host *dh, unsigned i, struct disk_info *ret_info)
{
	disk_info(dh->units[i].disk, ret_info);
}

int disk_host_find(const struct disk_host *dh, const char *id)
{
	for (unsigned i = 0; i < dh->n; i++) {
		if (strcmp(dh->units[i].opt.id, id) == 0)
			return (int)i;
	}
	return -ENOENT;
}

unsigned disk_host_count(const struct disk_host *dh)
{
	return dh->n;
}

bool disk_host_place(const struct disk_host *dh, unsigned i, struct disk_place *ret_p)
{
	static const struct guid *const controllers[] = {
		[DISK_AS_SCSI] = &vtl0_scsi, [DISK_AS_NVME] = &vtl0_nvme, [DISK_AS_IDE] = &vtl0_ide
	};
	const struct unit *u = &dh->units[i];

	*ret_p = (struct disk_place){ .id = u->opt.id,
				      .as = u->opt.as,
				      .read_only = u->opt.read_only,
				      .dvd = u->opt.dvd,
				      .device = CONTROLLER_GUID(u->ctrl->number),
				      .nsid = u->nsid,
				      .controller = *controllers[u->opt.as],
				      .channel = u->channel,
				      .location = u->location };
	return u->there;
}

/* --- layout ----------------------------------------------------------------------------------- */

static struct ctrl *new_ctrl(struct disk_host *dh, bool own)
{
	struct ctrl *c = &dh->ctrls[dh->n_ctrls];

	c->dh = dh;
	c->number = dh->n_ctrls++;
	c->own = own;
	return c;
}

/* Controllers in the order in which disks first name them; namespaces from 1. */
static void place_unit(struct disk_host *dh, unsigned i)
{
	struct unit *u = &dh->units[i];
	uint32_t same = 0;

	u->nsid = 1;
	for (unsigned k = 0; k < i; k++) {
		const struct unit *v = &dh->units[k];

		same += v->opt.as == u->opt.as;
		if (u->opt.has_controller && v->opt.has_controller &&
		    v->opt.controller == u->opt.controller) {
			u->ctrl = v->ctrl;
			u->nsid++;
		}
	}
	if (!u->ctrl)
		u->ctrl = new_ctrl(dh, !u->opt.has_controller);
	u->location = same;
	if (u->opt.as == DISK_AS_NVME) {
		u->location = same + 1;
	} else if (u->opt.as == DISK_AS_IDE) {
		u->channel = (uint8_t)(same / 2);
		u->location = same % 2;
	}
}

static int open_units(struct disk_host *dh, char *why, size_t size)
{
	for (unsigned i = 0; i < dh->n; i++) {
		struct unit *u = &dh->units[i];
		int r = unit_open(dh, i);

		if (r < 0) {
			snprintf(why, size, "disk %s cannot be opened: %s", u->opt.id,
				 strerror(-r));
			return r;
		}
	}
	for (unsigned i = 0; i < dh->n; i++) {
		int r = dh->units[i].opt.later ? 0 : disk_host_add(dh, i);

		if (r < 0) {
			snprintf(why, size, "disk %s cannot be given to VTL2: %s",
				 dh->units[i].opt.id, strerror(-r));
			return r;
		}
	}
	return 0;
}

int disk_host_create(const struct disk_host_cfg *cfg, struct disk_host **ret_dh, char *ret_why,
		     size_t size)
{
	struct disk_host *dh = calloc(1, sizeof(*dh));
	int r;

	snprintf(ret_why, size, "out of memory");
	if (!dh || cfg->n > DISK_OPT_MAX) {
		free(dh);
		return -ENOMEM;
	}
	dh->cfg = *cfg;
	dh->apic_ids = calloc(cfg->vps, sizeof(*dh->apic_ids));
	if (!dh->apic_ids) {
		free(dh);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < cfg->vps; i++)
		dh->apic_ids[i] = i;
	dh->n = cfg->n;
	for (unsigned i = 0; i < dh->n; i++) {
		dh->units[i].opt = cfg->opts[i];
		place_unit(dh, i);
	}
	dh->cfg.opts = NULL;
	r = open_units(dh, ret_why, size);
	if (r < 0) {
		disk_host_destroy(dh);
		return r;
	}
	*ret_dh = dh;
	return 0;
}

static bool all_gone(const struct disk_host *dh)
{
	for (unsigned i = 0; i < dh->n_ctrls; i++) {
		if (dh->ctrls[i].state != CTRL_NONE)
			return false;
	}
	return true;
}

static void on_tick(void *ctx)
{
	(void)ctx;
}

/* Requests that are under way in the kernel end in their own time. */
static void drain(struct disk_host *dh)
{
	uint64_t end = loop_now_ns() + DRAIN_NS;
	struct loop_timer tick;

	loop_timer_init(&tick, dh->cfg.loop, on_tick, NULL);
	while (!all_gone(dh) && loop_now_ns() < end) {
		loop_timer_arm(&tick, loop_now_ns() + TICK_NS);
		if (loop_wait(dh->cfg.loop) < 0)
			break;
	}
	loop_timer_cancel(&tick);
	if (!all_gone(dh))
		log_err(ALLOWED, "a controller did not end");
}

void disk_host_destroy(struct disk_host *dh)
{
	if (!dh)
		return;
	for (unsigned i = 0; i < dh->n_ctrls; i++) {
		struct ctrl *c = &dh->ctrls[i];

		if (c->state == CTRL_THERE || c->state == CTRL_EJECTING)
			ctrl_take_away(c);
	}
	if (dh->n_ctrls) {
		vmbus_server_reset(dh->cfg.server);
		drain(dh);
	}
	for (unsigned i = 0; i < dh->n; i++) {
		if (dh->units[i].disk)
			disk_put(dh->units[i].disk);
	}
	free(dh->apic_ids);
	free(dh);
}
