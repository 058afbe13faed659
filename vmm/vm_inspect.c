/* SPDX-License-Identifier: MIT */
/*
 * See vm_inspect.h. Nothing of this may reach the host of a confidential VM: the whole of it hangs
 * below a node that such a request does not see, and no entry here is SAFE.
 */
#include "vm_inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "inspect.h"
#include "storage.h"
#include "timeline.h"
#include "vm.h"

/* --- words ------------------------------------------------------------------------------------ */

static const char *unit_state(const struct vm *vm)
{
	if (!vm->started)
		return "starting";
	return vm->pause.paused ? "stopped" : "running";
}

static const char *const end_names[] = {
	[VM_END_NONE] = "none",		  [VM_END_POWER_OFF] = "power_off",
	[VM_END_RESET] = "reset",	  [VM_END_HIBERNATE] = "hibernate",
	[VM_END_FAILED] = "vp_run_error",
};

static const char *const mem_types[BOOTDT_TYPES] = {
	[BOOTMEM_VTL0] = "vtl0",
	[BOOTMEM_VTL2_RAM] = "vtl2_ram",
	[BOOTMEM_VTL2_CONFIG] = "vtl2_config",
	[BOOTMEM_SIDECAR_IMAGE] = "sidecar_image",
	[BOOTMEM_SIDECAR_NODE] = "sidecar_node",
	[BOOTMEM_VTL0_MMIO] = "vtl0_mmio",
	[BOOTMEM_VTL2_MMIO] = "vtl2_mmio",
	[BOOTMEM_RESERVED] = "vtl2_reserved",
	[BOOTMEM_GPA_POOL] = "vtl2_gpa_pool",
	[BOOTMEM_TDX_PAGE_TABLES] = "vtl2_tdx_page_tables",
	[BOOTMEM_SHIM_LOG] = "vtl2_bootshim_log_buffer",
	[BOOTMEM_PERSISTED_HEADER] = "vtl2_persisted_state_header",
	[BOOTMEM_PERSISTED_STATE] = "vtl2_persisted_state_protobuf",
};

static void range_text(char ret_text[48], gpa_t base, uint64_t len)
{
	(void)snprintf(ret_text, 48, "%#llx-%#llx", (unsigned long long)base,
		       (unsigned long long)(base + len));
}

/* --- partition -------------------------------------------------------------------------------- */

static void exits_inspect(struct inspect *in, const void *obj)
{
	const struct vcpu *v = obj;

	for (unsigned int i = 0; i < EXIT_KINDS; i++)
		inspect_count(in, SENS_UNSPEC, exit_kind_names[i],
			      atomic_load_explicit(&v->exits[i], memory_order_relaxed));
}

/* The original's names for what we count. */
static void backing_stats(struct inspect *in, const void *obj)
{
	static const struct {
		const char *name;
		enum exit_kind kind;
	} stats[] = {
		{ "io_port", EXIT_PIO },
		{ "mmio", EXIT_MMIO },
		{ "hypercall", EXIT_HYPERCALL },
		{ "synic_deliverable", EXIT_SINT },
		{ "interrupt_deliverable", EXIT_DELIVERABLE },
		{ "cpuid", EXIT_CPUID },
		{ "msr", EXIT_MSR },
		{ "eoi", EXIT_EOI },
		{ "unrecoverable_exception", EXIT_TRIPLE_FAULT },
	};
	const struct vcpu *v = obj;

	for (size_t i = 0; i < ARRAY_SIZE(stats); i++)
		inspect_count(in, SENS_UNSPEC, stats[i].name,
			      atomic_load_explicit(&v->exits[stats[i].kind], memory_order_relaxed));
}

static void backing_inspect(struct inspect *in, const void *obj)
{
	inspect_dir(in, SENS_UNSPEC, "stats", backing_stats, obj);
}

static void crash_reg_inspect(struct inspect *in, const void *obj)
{
	const struct vcpu *v = obj;

	for (unsigned int i = 0; i < ARRAY_SIZE(v->crash_p); i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "%u", i);
		inspect_hex(in, SENS_SENSITIVE, name,
			    atomic_load_explicit(&v->crash_p[i], memory_order_relaxed));
	}
}

static void vp_inspect(struct inspect *in, const void *obj)
{
	const struct vcpu *v = obj;

	inspect_str(in, SENS_UNSPEC, "state",
		    atomic_load_explicit(&v->stop, memory_order_relaxed)     ? "stopped"
		    : atomic_load_explicit(&v->paused, memory_order_relaxed) ? "paused"
									     : "running");
	inspect_dir(in, SENS_UNSPEC, "exits", exits_inspect, v);
	inspect_dir(in, SENS_UNSPEC, "backing", backing_inspect, v);
	inspect_dir(in, SENS_SENSITIVE, "crash_reg", crash_reg_inspect, v);
	inspect_str(in, SENS_UNSPEC, "loop", loop_backend(v->loop));
	inspect_bool(in, SENS_UNSPEC, "register_page", v->vp.page != NULL);
	inspect_remote(in, SENS_SENSITIVE, "vtl0", v->vp.idx);
}

static void all_vps_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	for (uint32_t i = 0; vm->vps && i < vm->dt.n_vps; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, vp_inspect, vps_vcpu(vm->vps, i));
}

static void topology_vps(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	for (uint32_t i = 0; i < vm->dt.n_vps; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%u/apic_id", i);
		inspect_u64(in, SENS_UNSPEC, name, vm->dt.apic_ids[i]);
		(void)snprintf(name, sizeof(name), "%u/vnode", i);
		inspect_u64(in, SENS_UNSPEC, name, vm->dt.nodes[i]);
	}
}

static void topology_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	inspect_u64(in, SENS_UNSPEC, "vp_count", vm->dt.n_vps);
	inspect_dir(in, SENS_UNSPEC, "vps", topology_vps, vm);
}

static void caps_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	inspect_hex(in, SENS_UNSPEC, "vsm", vm->caps.vsm);
	inspect_bool(in, SENS_UNSPEC, "intercept_page", vm->caps.intercept_page);
	inspect_bool(in, SENS_UNSPEC, "register_page", vm->register_page);
}

static int update_clear_halt(void *ctx, const char *val, char *ret_why, size_t why_size)
{
	struct vm *vm = ctx;
	const char *why;

	if (strcmp(val, "true") != 0)
		return 0;
	why = vm_clear_halt(&vm->pause);
	if (!why)
		return 0;
	(void)snprintf(ret_why, why_size, "%s", why);
	return -EINVAL;
}

static void partition_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	inspect_str(in, SENS_UNSPEC, "unit_state", unit_state(vm));
	inspect_str(in, SENS_UNSPEC, "power_state", vm->halted ? "halted" : "running");
	inspect_str(in, SENS_UNSPEC, "halt_reason",
		    end_names[atomic_load_explicit(&vm->end, memory_order_relaxed)]);
	inspect_u64(in, SENS_UNSPEC, "halt_count", vm->halt_count);
	inspect_mut_bool(in, SENS_UNSPEC, "clear_halt", false, update_clear_halt,
			 (void *)(uintptr_t)vm);
	inspect_str(in, SENS_UNSPEC, "isolation", confid_isolation_name(vm->confid.isolation));
	inspect_dir(in, SENS_UNSPEC, "topology", topology_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "caps", caps_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "vp", all_vps_inspect, vm);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void map_entry(struct inspect *in, const struct bootdt_range *r, const char *type)
{
	char range[48], name[64];

	range_text(range, r->base, r->len);
	(void)snprintf(name, sizeof(name), "%s/length", range);
	inspect_hex(in, SENS_UNSPEC, name, r->len);
	(void)snprintf(name, sizeof(name), "%s/type", range);
	inspect_str(in, SENS_UNSPEC, name, type);
	(void)snprintf(name, sizeof(name), "%s/vnode", range);
	inspect_u64(in, SENS_UNSPEC, name, r->node);
}

static const char *type_name(const struct bootdt_range *r)
{
	return r->type < BOOTDT_TYPES ? mem_types[r->type] : "unknown";
}

static void vtl0_map_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	for (size_t i = 0; i < vm->dt.n_mem; i++) {
		if (vm->dt.mem[i].type == BOOTMEM_VTL0)
			map_entry(in, &vm->dt.mem[i], "ram");
	}
	for (size_t i = 0; i < vm->dt.n_mmio; i++) {
		if (vm->dt.mmio[i].type == BOOTMEM_VTL0_MMIO)
			map_entry(in, &vm->dt.mmio[i], "mmio");
	}
}

static void partition_map_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	for (size_t i = 0; i < vm->dt.n_mem; i++)
		map_entry(in, &vm->dt.mem[i], type_name(&vm->dt.mem[i]));
	for (size_t i = 0; i < vm->dt.n_mmio; i++)
		map_entry(in, &vm->dt.mmio[i], type_name(&vm->dt.mmio[i]));
}

static void ranges_by_owner(struct inspect *in, const struct bootdt_range *r, size_t n, bool vtl0)
{
	unsigned int shown = 0;

	for (size_t i = 0; i < n; i++) {
		const bool is_vtl0 = r[i].type == BOOTMEM_VTL0 || r[i].type == BOOTMEM_VTL0_MMIO;
		char name[16], range[48];

		if (is_vtl0 != vtl0)
			continue;
		(void)snprintf(name, sizeof(name), "%u", shown++);
		range_text(range, r[i].base, r[i].len);
		inspect_str(in, SENS_UNSPEC, name, range);
	}
}

static void vtl2_memory_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	ranges_by_owner(in, vm->dt.mem, vm->dt.n_mem, false);
}

static void vtl0_mmio_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	ranges_by_owner(in, vm->dt.mmio, vm->dt.n_mmio, true);
}

static void cpus_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	for (uint32_t i = 0; i < vm->dt.n_vps; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%u/reg", i);
		inspect_u64(in, SENS_UNSPEC, name, vm->dt.apic_ids[i]);
		(void)snprintf(name, sizeof(name), "%u/vnode", i);
		inspect_u64(in, SENS_UNSPEC, name, vm->dt.nodes[i]);
	}
}

static void parsed_boot_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	inspect_dir(in, SENS_UNSPEC, "cpus", cpus_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "vtl2_memory", vtl2_memory_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "partition_memory_map", partition_map_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "vtl0_mmio", vtl0_mmio_inspect, vm);
	inspect_str(in, SENS_UNSPEC, "isolation", confid_isolation_name(vm->confid.isolation));
}

static void params_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	if (vm->dt.n_mem)
		inspect_dir(in, SENS_UNSPEC, "parsed_openhcl_boot", parsed_boot_inspect, vm);
}

static uint64_t sum(const struct gpa_range *r, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += r[i].len;
	return bytes;
}

static void memory_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	inspect_hex(in, SENS_UNSPEC, "vtl0/size", sum(vm->ram, vm->n_ram));
	inspect_u64(in, SENS_UNSPEC, "vtl0/ranges", vm->n_ram);
	inspect_hex(in, SENS_UNSPEC, "protected/size", sum(vm->prot, vm->n_prot));
	inspect_u64(in, SENS_UNSPEC, "protected/ranges", vm->n_prot);
}

/* --- the image, the clock, the boot ----------------------------------------------------------- */

static void vtl0_image_inspect(struct inspect *in, const void *obj)
{
	const struct vtl0_config *c = obj;

	inspect_bool(in, SENS_UNSPEC, "supports_uefi", c->uefi);
	inspect_bool(in, SENS_UNSPEC, "supports_pcat", c->pcat);
	inspect_bool(in, SENS_UNSPEC, "supports_linux", c->linux_direct);
	if (!c->linux_direct)
		return;
	inspect_hex(in, SENS_UNSPEC, "linux/kernel_base", c->kernel_base);
	inspect_hex(in, SENS_UNSPEC, "linux/kernel_length", c->kernel_len);
	inspect_hex(in, SENS_UNSPEC, "linux/kernel_entry", c->kernel_entry);
	inspect_hex(in, SENS_UNSPEC, "linux/initrd_base", c->initrd_base);
	inspect_u64(in, SENS_UNSPEC, "linux/initrd_length", c->initrd_len);
	inspect_str(in, SENS_SENSITIVE, "linux/command_line", c->cmdline);
}

static void vmtime_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;
	int64_t offset = atomic_load_explicit(&vm->time.utc_offset_ns, memory_order_relaxed);

	inspect_str(in, SENS_UNSPEC, "unit_state", unit_state(vm));
	inspect_i64(in, SENS_UNSPEC, "utc_offset_ns", offset);
}

static void boot_inspect(struct inspect *in, const void *obj)
{
	struct timeline_mark marks[TIMELINE_MAX];
	const size_t n = timeline_get(marks);

	(void)obj;
	for (size_t i = 0; i < n; i++)
		inspect_ns(in, SENS_UNSPEC, marks[i].name, marks[i].ns);
}

/* --- all -------------------------------------------------------------------------------------- */

/* Devices are started and stopped together with the VPs. */
static void unit_inspect(struct inspect *in, const void *obj)
{
	inspect_str(in, SENS_UNSPEC, "unit_state", unit_state(obj));
}

static void devices_inspect(struct inspect *in, const struct vm *vm)
{
	static const char *const units[] = { "i8042", "pit", "rtc", "pm", "pic", "ioapic" };
	static const char *const coms[MACHINE_COMS] = { "serial-com1", "serial-com2" };

	inspect_flatten(in, machine_inspect, vm->machine);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		inspect_dir(in, SENS_UNSPEC, units[i], unit_inspect, vm);
	for (unsigned int i = 0; i < MACHINE_COMS; i++) {
		if (machine_com(vm->machine, i))
			inspect_dir(in, SENS_UNSPEC, coms[i], unit_inspect, vm);
	}
}

void vm_inspect(struct inspect *in, const void *obj)
{
	const struct vm *vm = obj;

	inspect_dir(in, SENS_UNSPEC, "partition", partition_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "vmtime", vmtime_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "runtime_params", params_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "vtl0_memory_map", vtl0_map_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "memory", memory_inspect, vm);
	inspect_dir(in, SENS_UNSPEC, "vtl0_image", vtl0_image_inspect, &vm->vtl0);
	inspect_dir(in, SENS_UNSPEC, "boot", boot_inspect, NULL);
	inspect_flatten(in, host_inspect, &vm->host);
	if (vm->vmbus)
		inspect_dir(in, SENS_UNSPEC, "vmbus", vmbus_vtl0_inspect, vm->vmbus);
	inspect_dir(in, SENS_UNSPEC, "vmbus_relay", host_relay_inspect, &vm->relay);
	if (vm->storage)
		inspect_dir(in, SENS_UNSPEC, "storage", storage_inspect, vm->storage);
	if (vm->machine)
		devices_inspect(in, vm);
}
