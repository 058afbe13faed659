/* SPDX-License-Identifier: MIT */
/*
 * Start, end and callbacks of the VM, see vm.h. Callbacks that arrive on VP threads only note and
 * post; the control thread acts.
 */
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon_env.h"
#include "irq.h"
#include "load_linux.h"
#include "log.h"
#include "log_span.h"
#include "regs.h"
#include "timeline.h"
#include "pci_vtl0.h"
#include "vm_memory.h"
#include "vm_storage.h"

#define LOG_AREA "vm"

#define MEM_STATS_DELAY_NS (10ull * 1000000000)
/* What VTL0 printed last leaves before the host takes the VM away, if the host takes it at all. */
#define DRAIN_POLL_NS (5ull * 1000000)
#define DRAIN_MAX_NS (2000ull * 1000000)
#define PM_BASE 0x400
#define PM_SCI 9

/* --- the end of VTL0 -------------------------------------------------------------------------- */

static void request_end(struct vm *vm, enum vm_end end)
{
	int none = VM_END_NONE;

	if (atomic_compare_exchange_strong(&vm->end, &none, end))
		loop_post(vm->ctl, &vm->end_work);
}

static void on_power_off(void *ctx)
{
	request_end(ctx, VM_END_POWER_OFF);
}

static void on_reset(void *ctx)
{
	request_end(ctx, VM_END_RESET);
}

static void on_hibernate(void *ctx)
{
	request_end(ctx, VM_END_HIBERNATE);
}

static void tell_host(struct vm *vm)
{
	switch ((enum vm_end)atomic_load(&vm->end)) {
	case VM_END_POWER_OFF:
		get_cli_power_off(vm->host.get, false);
		break;
	case VM_END_HIBERNATE:
		get_cli_power_off(vm->host.get, true);
		break;
	case VM_END_RESET:
		get_cli_reset(vm->host.get);
		break;
	case VM_END_FAILED:
		vm->exit_code = DAEMON_EXIT_RUN_FAILED;
		loop_stop(vm->ctl);
		break;
	case VM_END_NONE:
		break;
	}
}

/* The request must not overtake console output and log, which travel on other channels. */
static void on_drain_timer(void *ctx)
{
	struct vm *vm = ctx;
	uint64_t now = loop_now_ns();

	if ((host_coms_idle(&vm->host) && vm->owner->log_flushed(vm->owner->ctx)) ||
	    now >= vm->drain_until_ns)
		tell_host(vm);
	else
		loop_timer_arm(&vm->drain_timer, now + DRAIN_POLL_NS);
}

static void on_end(void *ctx)
{
	static const char *const names[] = {
		[VM_END_NONE] = "nothing",
		[VM_END_POWER_OFF] = "power off",
		[VM_END_RESET] = "reset",
		[VM_END_HIBERNATE] = "hibernation",
		[VM_END_FAILED] = "a run loop that failed",
	};
	struct vm *vm = ctx;

	vm->halt_count++;
	log_info(ALLOWED, "VTL0 ends: %s", names[atomic_load(&vm->end)]);
	if (vm->vps)
		vps_pause(vm->vps);
	vm_log_stats(vm);
	if (vm->knobs.halt_on_guest_halt) {
		log_info(ALLOWED, "halted as configured; the host is not told");
		vm->halted = true;
		return;
	}
	vm->owner->flush_log(vm->owner->ctx);
	vm->drain_until_ns = loop_now_ns() + DRAIN_MAX_NS;
	loop_timer_arm(&vm->drain_timer, loop_now_ns() + DRAIN_POLL_NS);
}

/* --- callbacks of the VP threads -------------------------------------------------------------- */

static void on_vp_failed(void *ctx, vpidx_t vp, int err)
{
	log_err(ALLOWED, "vp %u: run loop failed (%d)", vp, err);
	request_end(ctx, VM_END_FAILED);
}

static void on_first_entry(void *ctx)
{
	struct vm *vm = ctx;

	atomic_store(&vm->vtl0_entry_ns, timeline_now_ns());
	timeline_mark("vtl0_entry");
	loop_post(vm->ctl, &vm->entry_work);
}

static void on_eoi(void *ctx, uint8_t vector)
{
	struct vm *vm = ctx;

	machine_eoi(vm->machine, vector);
}

static uint8_t on_extint_ack(void *ctx)
{
	struct vm *vm = ctx;

	return machine_extint_ack(vm->machine);
}

static uint16_t on_post_message(void *ctx, vpidx_t vp, uint32_t connection, uint32_t type,
				const void *payload, size_t len)
{
	struct vm *vm = ctx;

	return vmbus_vtl0_post(vm->vmbus, vp, connection, type, payload, len);
}

static int on_retarget(void *ctx, uint64_t device_id, uint64_t addr, uint32_t data, uint32_t vector,
		       vpidx_t vp)
{
	struct vm *vm = ctx;

	return pci_vtl0_retarget(vm->pci, device_id, addr, data, vector, vp);
}

static uint16_t on_signal_event(void *ctx, vpidx_t vp, uint32_t connection, uint16_t flag)
{
	struct vm *vm = ctx;

	return vmbus_vtl0_signal(vm->vmbus, vp, connection, flag);
}

static void on_sints_free(void *ctx, vpidx_t vp, uint16_t sints)
{
	struct vm *vm = ctx;

	vmbus_vtl0_sints_free(vm->vmbus, vp, sints);
}

static struct vcpu *vcpu_of(void *ctx, vpidx_t vp)
{
	struct vm *vm = ctx;

	return vm->vps ? vps_vcpu(vm->vps, vp) : NULL;
}

/* The PIC's output is wired to the first processor. */
static void on_extint_line(void *ctx, unsigned int line, bool level)
{
	struct vm *vm = ctx;

	(void)line;
	if (vm->vps)
		vcpu_extint_line(vps_vcpu(vm->vps, 0), level);
}

static void log_crash_text(const struct vtl0_crash *c)
{
	char line[200];
	size_t n = 0;

	for (uint32_t i = 0; i < c->text_len; i++) {
		char ch = c->text[i];

		if (ch >= ' ' && ch < 0x7f)
			line[n++] = ch;
		if (n &&
		    (ch == '\n' || ch == '\0' || n == sizeof(line) - 1 || i + 1 == c->text_len)) {
			line[n] = '\0';
			log_info(CONF, "VTL0: %s", line);
			n = 0;
		}
	}
}

static void on_crash(void *ctx, const struct vtl0_crash *c)
{
	struct vm *vm = ctx;

	if (atomic_exchange(&vm->crashed, true))
		return; /* one report per VM: a guest could write this register for ever */
	log_warn(CONF, "vp %u: VTL0 crashed: %#llx %#llx %#llx %#llx %#llx", c->vp,
		 (unsigned long long)c->p[0], (unsigned long long)c->p[1],
		 (unsigned long long)c->p[2], (unsigned long long)c->p[3],
		 (unsigned long long)c->p[4]);
	log_crash_text(c);
	get_cli_vtl_crash(vm->host.get, c->vp, 0, c->ctl, c->p);
}

static uint32_t fault_regs(struct vm *vm, vpidx_t vp, struct get_fault_reg *regs, uint32_t cap)
{
	static const uint32_t names[] = {
		HVREG_RIP, HVREG_RSP, HVREG_RFLAGS, HVREG_CR0, HVREG_CR2,
		HVREG_CR3, HVREG_CR4, HVREG_EFER,   HVREG_RAX, HVREG_RCX
	};
	struct vcpu *v = vps_vcpu(vm->vps, vp);
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && n < cap && !vm->confid.restricted; i++) {
		union hv_regval val;

		if (regs_get(&v->vp, names[i], &val) < 0)
			continue;
		regs[n].name = names[i];
		memcpy(regs[n++].val, &val, sizeof(regs[0].val));
	}
	return n;
}

static void on_triple_fault(void *ctx, vpidx_t vp)
{
	struct get_fault_reg regs[16];
	struct vm *vm = ctx;
	uint32_t n = fault_regs(vm, vp, regs, ARRAY_SIZE(regs));

	/* The processor is in shutdown: it must not run on while the host makes up its mind. */
	atomic_store_explicit(&vps_vcpu(vm->vps, vp)->paused, true, memory_order_release);
	log_warn_rl(ALLOWED, "vp %u: triple fault", vp);
	get_cli_triple_fault(vm->host.get, vp, regs, n);
	request_end(vm, VM_END_RESET);
}

/* --- figures ---------------------------------------------------------------------------------- */

static void log_mem_once(struct vm *vm)
{
	if (!vm->mem_logged)
		stats_log_mem(&vm->dt);
	vm->mem_logged = true;
}

static void on_mem_timer(void *ctx)
{
	log_mem_once(ctx);
}

static void on_entry(void *ctx)
{
	struct vm *vm = ctx;

	vm->times.vtl0_entry = atomic_load(&vm->vtl0_entry_ns);
	stats_log_boot(&vm->times);
	loop_timer_arm(&vm->mem_timer, loop_now_ns() + MEM_STATS_DELAY_NS);
}

void vm_log_stats(struct vm *vm)
{
	uint64_t exits[EXIT_KINDS];

	log_mem_once(vm);
	if (!vm->vps)
		return;
	vps_exits(vm->vps, exits);
	stats_log_exits(exits);
}

/* --- start ------------------------------------------------------------------------------------ */

static int why(const char *what, int r)
{
	if (r)
		log_err(ALLOWED, "%s failed (%d)", what, r);
	return r;
}

static int open_hypervisor(struct vm *vm)
{
	int r;

	vm->mshv_fd = mshv_open();
	if (vm->mshv_fd < 0)
		return why("/dev/mshv", vm->mshv_fd);
	vm->register_page = mshv_has_cap(vm->mshv_fd, MSHV_CAP_REGISTER_PAGE);
	vm->entry_actions = mshv_has_cap(vm->mshv_fd, MSHV_CAP_RETURN_ACTION);
	vm->vtl_fd = mshv_create_vtl(vm->mshv_fd);
	if (vm->vtl_fd < 0)
		return why("VTL descriptor", vm->vtl_fd);
	r = hvc_open(&vm->hvc);
	if (r)
		return why("/dev/mshv_hvcall", r);
	return why("partition set-up", partition_setup(&vm->hvc, &vm->caps));
}

static int read_boot_info(struct vm *vm)
{
	int r = bootdt_load(BOOTDT_PATH, &vm->dt);

	if (r)
		return why("boot device tree", r);
	if (vm->dt.isolation > BOOTDT_ISO_VBS) {
		log_err(ALLOWED, "hardware isolation is not supported yet");
		return -EOPNOTSUPP;
	}
	if (vm->dt.boot_end_100ns > vm->dt.boot_start_100ns)
		vm->times.shim_ns = (vm->dt.boot_end_100ns - vm->dt.boot_start_100ns) * 100;
	r = vm_memory_split(&vm->dt, &vm->ram, &vm->n_ram, &vm->prot, &vm->n_prot);
	if (r)
		return why("memory map", r);
	if (vm->dt.isolation == BOOTDT_ISO_VBS)
		r = why("VTL0's memory", vm_memory_accept(&vm->hvc, &vm->dt, vm->ram, vm->n_ram));
	if (r)
		return r;
	r = vm_memory_map(vm->vtl_fd, vm->ram, vm->n_ram, &vm->gm);
	if (r)
		return why("mapping of VTL0 memory", r);
	r = vtl0_config_read(vm->gm, &vm->vtl0);
	return why("measured VTL0 configuration", r);
}

static int build_machine(struct vm *vm)
{
	struct machine_cfg cfg = {
		.n_vps = vm->dt.n_vps,
		.com = { vm->host.dps.com[0].enabled || vm->host.dps.com[0].vmbus_redirector,
			 vm->host.dps.com[1].enabled || vm->host.dps.com[1].vmbus_redirector },
		.serial_wait_for_rts = vm->knobs.serial_wait_for_rts,
		.ide = vm_storage_wants_ide(vm),
	};
	struct machine_wiring w = {
		.msi = &vm->msi,
		.extint = &vm->extint,
		.power = &vm->power,
		.clock = &vm->time.clock,
		.timers = &vm->time.timers,
		.com = { host_com_backend(&vm->host, 0), host_com_backend(&vm->host, 1) },
		.gm = vm->gm,
		.loop = vm->ctl,
	};

	vm->msi = (struct msi_sink){ .deliver = irq_deliver, .ctx = &vm->hvc };
	vm->extint = (struct irq_sink){ .set = on_extint_line, .ctx = vm };
	vm->power = (struct power_ops){
		.power_off = on_power_off, .reset = on_reset, .hibernate = on_hibernate, .ctx = vm
	};
	return why("devices", machine_create(&cfg, &w, &vm->machine));
}

static int build_vmbus(struct vm *vm)
{
	const struct vmbus_vtl0_cfg cfg = {
		.gm = vm->gm,
		.hvc = &vm->hvc,
		.ctl = vm->ctl,
		.vps = vm->dt.n_vps,
		.vcpu = vcpu_of,
		.ctx = vm,
	};

	return why("VMBus for VTL0", vmbus_vtl0_create(&cfg, &vm->vmbus));
}

/* Functions on VPCI channels; where they are in memory is VTL0's choice. */
static int build_pci(struct vm *vm)
{
	const struct pci_vtl0_cfg cfg = {
		.server = vmbus_vtl0_server(vm->vmbus),
		.ctl = vm->ctl,
		.vps = vm->dt.n_vps,
		.apic_ids = vm->dt.apic_ids,
	};
	struct bus_rest rest;
	int r = pci_vtl0_create(&cfg, &vm->pci);

	if (r)
		return why("PCI for VTL0", r);
	rest = pci_vtl0_rest(vm->pci);
	bus_set_rest(machine_bus(vm->machine), &rest);
	return 0;
}

/*
 * What the host has for VTL0. Rings in the memory of an isolated VTL0 would be of no use to it.
 * VTL0 runs as well without.
 */
static void relay_host(struct vm *vm)
{
	if (vm->host.dps.vmbus_redirection_enabled && vm->dt.isolation == BOOTDT_ISO_NONE)
		(void)!host_relay_start(&vm->relay, vmbus_vtl0_server(vm->vmbus), vm->ctl);
}

static uint8_t phys_bits(void)
{
	uint32_t eax = 0x80000008, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return (uint8_t)eax;
}

static int load_vtl0(struct vm *vm)
{
	LOG_SPAN(span, LOG_INFO, ALLOWED, "load_vtl0");
	struct load_linux_cfg cfg = {
		.vtl0 = &vm->vtl0,
		.ram = vm->ram,
		.n_ram = vm->n_ram,
		.cmdline_append = vm->knobs.cmdline_append,
		.acpi = {
			.apic_ids = vm->dt.apic_ids,
			.n_vps = vm->dt.n_vps,
			.com1 = machine_com(vm->machine, 0),
			.com2 = machine_com(vm->machine, 1),
			.with_pic = true,
			.with_pit = true,
			.pci = machine_ide(vm->machine) != NULL,
			.pm_base = PM_BASE,
			.sci = PM_SCI,
		},
	};
	const struct gpa_range *last = &vm->ram[vm->n_ram - 1];

	if (vm->knobs.force_load == KNOB_LOAD_UEFI || vm->knobs.force_load == KNOB_LOAD_PCAT ||
	    !vm->vtl0.linux_direct) {
		log_err(ALLOWED, "only a Linux kernel in the image can be started yet");
		return -EOPNOTSUPP;
	}
	vm_memory_mmio(&vm->dt, cfg.acpi.mmio);
	cfg.mtrr = (struct mtrr_layout){
		.ram_end = last->base + last->len,
		.low_mmio_base = cfg.acpi.mmio[0].len ? cfg.acpi.mmio[0].base : 1ull << 32,
		.low_mmio_end = cfg.acpi.mmio[0].len ? cfg.acpi.mmio[0].base + cfg.acpi.mmio[0].len
						     : 1ull << 32,
		.high_mmio_base = cfg.acpi.mmio[1].len ? cfg.acpi.mmio[1].base : 0,
		.high_mmio_end = cfg.acpi.mmio[1].base + cfg.acpi.mmio[1].len,
		.phys_bits = phys_bits(),
	};
	return why("VTL0 image", load_linux(vm->gm, &cfg, &vm->bsp_regs));
}

static int start_vps(struct vm *vm)
{
	struct vps_cfg cfg = {
		.vtl_fd = vm->vtl_fd,
		.register_page = vm->register_page,
		.entry_actions = vm->entry_actions,
		.n = vm->dt.n_vps,
		.env = &vm->env,
		.bsp_regs = &vm->bsp_regs,
		.failed = on_vp_failed,
		.first_entry = on_first_entry,
		.ctx = vm,
	};

	vm->env = (struct vcpu_env){
		.bus = machine_bus(vm->machine),
		.gm = vm->gm,
		.hvc = &vm->hvc,
		.apic_ids = vm->dt.apic_ids,
		.n_vps = vm->dt.n_vps,
		.protected_ranges = vm->prot,
		.n_protected = vm->n_prot,
		.ctx = vm,
		.eoi = on_eoi,
		.extint_ack = on_extint_ack,
		.crash = on_crash,
		.triple_fault = on_triple_fault,
		.post_message = on_post_message,
		.signal_event = on_signal_event,
		.retarget = on_retarget,
		.sints_free = on_sints_free,
	};
	return why("virtual processors", vps_start(&cfg, &vm->vps));
}

static int start_vtl0(struct vm *vm)
{
	LOG_SPAN(span, LOG_INFO, ALLOWED, "start_vtl0");
	int r;

	host_open_coms(&vm->host);
	r = open_hypervisor(vm);
	if (r == 0)
		r = read_boot_info(vm);
	if (r == 0)
		r = build_machine(vm);
	if (r == 0)
		r = build_vmbus(vm);
	if (r == 0)
		r = build_pci(vm);
	if (r == 0)
		r = load_vtl0(vm);
	if (r == 0)
		r = start_vps(vm);
	if (r == 0)
		r = vm_storage_start(vm);
	if (r)
		return r;
	relay_host(vm);
	host_attach_coms(&vm->host, vm->machine);
	partition_set_pm_timer(&vm->hvc, PM_BASE + 8);
	return 0;
}

int vm_start(struct vm *vm)
{
	int r;

	vm->mshv_fd = vm->vtl_fd = vm->hvc.fd = vm->relay.fd = -1;
	vm->end_work = (struct loop_work){ .fn = on_end, .ctx = vm };
	vm->entry_work = (struct loop_work){ .fn = on_entry, .ctx = vm };
	loop_timer_init(&vm->mem_timer, vm->ctl, on_mem_timer, vm);
	loop_timer_init(&vm->drain_timer, vm->ctl, on_drain_timer, vm);
	vm_pause_init(&vm->pause, vm);
	vm_clock_init(&vm->time, vm->ctl);
	r = host_connect(&vm->host, vm->ctl, &vm->time, vm->knobs.config_timeout_s * 1000);
	if (r) {
		log_err(ALLOWED, "host: %s (%d)", vm->host.why, r);
		return r;
	}
	vm->times.host_ready = timeline_now_ns();
	timeline_mark("host_ready");
	if (vm->knobs.signal_vtl0_started)
		get_cli_start_vtl0_completed(vm->host.get, true, "");
	r = start_vtl0(vm);
	if (r) {
		vm->owner->flush_log(vm->owner->ctx);
		get_cli_start_vtl0_completed(vm->host.get, false, strerror(-r));
		return r;
	}
	if (!vm->knobs.signal_vtl0_started)
		get_cli_start_vtl0_completed(vm->host.get, true, "");
	log_info(ALLOWED, "%u virtual processors, VTL0 starts", vm->dt.n_vps);
	vm->started = true;
	vm->owner->started(vm->owner->ctx);
	vps_resume(vm->vps);
	return 0;
}

void vm_stop(struct vm *vm)
{
	vm_storage_stop(vm);
	vps_stop(vm->vps);
	vm->vps = NULL;
	vm_pause_fini(&vm->pause);
	loop_timer_cancel(&vm->mem_timer);
	loop_timer_cancel(&vm->drain_timer);
	host_relay_stop(&vm->relay);
	pci_vtl0_destroy(vm->pci);
	vmbus_vtl0_destroy(vm->vmbus);
	host_close(&vm->host);
	machine_destroy(vm->machine);
	gmem_destroy(vm->gm);
	bootdt_fini(&vm->dt);
	free(vm->ram);
	free(vm->prot);
	if (vm->hvc.fd >= 0)
		hvc_close(&vm->hvc);
	if (vm->vtl_fd >= 0)
		(void)close(vm->vtl_fd);
	if (vm->mshv_fd >= 0)
		(void)close(vm->mshv_fd);
}
