/* SPDX-License-Identifier: MIT */
#include "vm_storage.h"

#include "log.h"
#include "pin_probe.h"
#include "server.h"
#include "storage.h"
#include "vm.h"
#include "vtl2_settings.h"

#define LOG_AREA "storage"

static struct loop *vp_loop(void *ctx, uint32_t vp)
{
	struct vm *vm = ctx;
	struct vcpu *v = vm->vps ? vps_vcpu(vm->vps, vp) : NULL;

	return v ? v->loop : NULL;
}

static void on_modified(void *ctx, int err, const char *json)
{
	struct vm *vm = ctx;

	get_cli_modify_done(vm->host.get, err == 0, json);
}

static void on_modify(void *ctx, const uint8_t *doc, size_t len)
{
	struct vm *vm = ctx;
	int r = storage_modify(vm->storage, doc, len, on_modified, vm);

	/* GET lets one through at a time. */
	if (r)
		get_cli_modify_done(vm->host.get, false, "[]");
}

/* Does the kernel take VTL0's pages as they are? One page of each piece of RAM speaks for it. */
static enum disk_bounce how_memory_goes(const struct vm *vm)
{
	int r = 0;

	if (vm->knobs.force_bounce) {
		log_info(ALLOWED, "disk requests are copied, as configured");
		return DISK_BOUNCE_ALWAYS;
	}
	/* Devices of the host reach shared memory only. */
	if (vm->dt.isolation != BOOTDT_ISO_NONE)
		return DISK_BOUNCE_ALWAYS;
	for (size_t i = 0; r == 0 && i < vm->n_ram; i++) {
		void *page;

		r = gm_host_range(vm->gm, vm->ram[i].base, KEEL_PAGE_SIZE, &page);
		if (r == 0)
			r = pin_probe(page, KEEL_PAGE_SIZE);
	}
	if (r)
		log_warn(ALLOWED, "VTL0's memory cannot be pinned (%d): disk requests are copied",
			 r);
	return r ? DISK_BOUNCE_ALWAYS : DISK_BOUNCE_NEVER;
}

bool vm_storage_wants_ide(const struct vm *vm)
{
	const struct dps *dps = &vm->host.dps;
	struct vtl2_settings *s;
	struct vtl2s_error err;
	bool ide = false;

	/* What is wrong with them is said where they are used. */
	if (vtl2_settings_parse(dps->vtl2_settings, dps->vtl2_settings_len, NULL, &s, &err))
		return false;
	for (uint32_t i = 0; i < s->n_controllers; i++)
		ide |= s->controllers[i].protocol == VTL2S_IDE;
	vtl2_settings_free(s);
	return ide;
}

int vm_storage_start(struct vm *vm)
{
	const struct storage_cfg cfg = {
		.ctl = vm->ctl,
		.gm = vm->gm,
		.server = vmbus_vtl0_server(vm->vmbus),
		.vps = vm->dt.n_vps,
		.vp_loop = vp_loop,
		.ctx = vm,
		.ide = machine_ide(vm->machine),
		.pci = vm->pci,
		.msi = vm->msi,
		.wait_ms = vm->knobs.config_timeout_s * 1000,
		.bounce = how_memory_goes(vm),
	};
	int r = storage_create(&cfg, vm->host.dps.vtl2_settings, vm->host.dps.vtl2_settings_len,
			       &vm->storage);

	if (r == 0)
		host_on_modify(&vm->host, on_modify, vm);
	return r;
}

void vm_storage_stop(struct vm *vm)
{
	if (vm->vps)
		vps_pause(vm->vps);
	/* VTL0 will not let go of anything any more. */
	if (vm->storage)
		vmbus_server_reset(vmbus_vtl0_server(vm->vmbus));
	storage_destroy(vm->storage);
	vm->storage = NULL;
}
