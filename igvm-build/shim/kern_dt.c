/* SPDX-License-Identifier: MIT */
#include "kern_dt.h"

#include "bootcfg.h"

#define VTL2 2u

static void put_reserved(struct dtw *w, const struct memplan *plan)
{
	for (size_t i = 0; i < plan->n_map; i++) {
		const struct plan_entry *e = &plan->map[i];

		if (e->type != BOOTMEM_VTL0 && e->type != BOOTMEM_VTL2_RAM)
			dtw_reserve(w, e->r.base, e->r.len);
	}
}

static void put_root(struct dtw *w, const struct kern_dt_in *in)
{
	dtw_u32(w, "#address-cells", 2);
	dtw_u32(w, "#size-cells", 2);
	dtw_str(w, "compatible", "microsoft,openvmm");
	dtw_u64(w, "reftime_boot_start", in->reftime_start);
	dtw_u64(w, "reftime_boot_end", in->reftime_end);
	/* There is no sidecar: its phase takes no time. */
	dtw_u64(w, "reftime_sidecar_start", in->reftime_end);
	dtw_u64(w, "reftime_sidecar_end", in->reftime_end);
	dtw_begin(w, "hypervisor");
	dtw_str(w, "compatible", "microsoft,hyperv");
	dtw_end(w);
}

static void put_cpus(struct dtw *w, const struct host_dt *host)
{
	dtw_begin(w, "cpus");
	dtw_u32(w, "#address-cells", 1);
	dtw_u32(w, "#size-cells", 0);
	for (size_t i = 0; i < host->n_cpu; i++) {
		dtw_begin_at(w, "cpu", i + 1);
		dtw_str(w, "device_type", "cpu");
		dtw_u32(w, "numa-node-id", host->cpu[i].node);
		dtw_u32(w, "reg", (uint32_t)host->cpu[i].hw_id);
		dtw_str(w, "status", "okay");
		dtw_end(w);
	}
	dtw_end(w);
}

static void put_range(struct dtw *w, const struct host_range *r)
{
	dtw_u64s(w, "reg", (const uint64_t[]){ r->base, r->len }, 2);
}

static void put_ram(struct dtw *w, const struct memplan *plan)
{
	for (size_t i = 0; i < plan->n_ram; i++) {
		dtw_begin_at(w, "memory", plan->ram[i].r.base);
		dtw_str(w, "device_type", "memory");
		put_range(w, &plan->ram[i].r);
		dtw_u32(w, "numa-node-id", plan->ram[i].node);
		dtw_end(w);
	}
}

static void put_bus(struct dtw *w, const struct kern_dt_in *in)
{
	uint64_t ranges[3 * HOST_MMIO_MAX];
	size_t n = 0;

	for (size_t i = 0; i < in->plan->n_vtl2_mmio; i++) {
		ranges[n++] = in->plan->vtl2_mmio[i].base;
		ranges[n++] = in->plan->vtl2_mmio[i].base;
		ranges[n++] = in->plan->vtl2_mmio[i].len;
	}
	dtw_begin(w, "bus");
	dtw_str(w, "compatible", "simple-bus");
	dtw_u32(w, "#address-cells", 2);
	dtw_u32(w, "#size-cells", 2);
	dtw_empty(w, "ranges");
	dtw_begin(w, "vmbus");
	dtw_u32(w, "#address-cells", 2);
	dtw_u32(w, "#size-cells", 2);
	dtw_empty(w, "dma-coherent");
	dtw_str(w, "compatible", "microsoft,vmbus");
	dtw_u32(w, "microsoft,vtl", VTL2);
	dtw_u32(w, "microsoft,message-connection-id", in->host->vtl2.connection_id);
	dtw_u64s(w, "ranges", ranges, n);
	dtw_end(w);
	dtw_end(w);
}

static void put_map(struct dtw *w, const struct memplan *plan)
{
	for (size_t i = 0; i < plan->n_map; i++) {
		const struct plan_entry *e = &plan->map[i];

		dtw_begin_at(w, "memory", e->r.base);
		dtw_str(w, "device_type", "memory-openhcl");
		put_range(w, &e->r);
		dtw_u32(w, "numa-node-id", e->node);
		dtw_u32(w, "microsoft,igvm-type", e->igvm_type);
		dtw_u32(w, "openhcl,memory-type", e->type);
		dtw_end(w);
	}
}

static void put_mmio(struct dtw *w, const struct host_range *r, size_t n,
		     enum bootcfg_mem_type type)
{
	for (size_t i = 0; i < n; i++) {
		dtw_begin_at(w, "memory", r[i].base);
		dtw_str(w, "device_type", "memory-openhcl");
		put_range(w, &r[i]);
		dtw_u32(w, "openhcl,memory-type", type);
		dtw_end(w);
	}
}

static void put_accepted(struct dtw *w, const struct imported *list)
{
	for (size_t i = 0; i < list->n; i++) {
		dtw_begin_at(w, "accepted-memory", list->r[i].base);
		put_range(w, &list->r[i]);
		dtw_end(w);
	}
}

static void put_openhcl(struct dtw *w, const struct kern_dt_in *in)
{
	const struct host_dt *host = in->host;
	const struct memplan *plan = in->plan;

	dtw_begin(w, "openhcl");
	dtw_str(w, "isolation-type", in->isolation);
	dtw_str(w, "memory-allocation-mode", host->alloc == HOST_ALLOC_HOST ? "host" : "vtl2");
	if (host->has_memory_size)
		dtw_u64(w, "memory-size", host->memory_size);
	if (host->has_mmio_size)
		dtw_u64(w, "mmio-size", host->mmio_size);
	if (in->alias_map)
		dtw_u64(w, "vtl0-alias-map", in->alias_map);
	put_map(w, plan);
	put_mmio(w, plan->vtl0_mmio, plan->n_vtl0_mmio, BOOTMEM_VTL0_MMIO);
	put_mmio(w, plan->vtl2_mmio, plan->n_vtl2_mmio, BOOTMEM_VTL2_MMIO);
	if (in->accepted)
		put_accepted(w, in->accepted);
	if (host->entropy_len) {
		dtw_begin(w, "entropy");
		dtw_bytes(w, "reg", host->entropy, host->entropy_len);
		dtw_end(w);
	}
	dtw_end(w);
}

int kern_dt_make(const struct kern_dt_in *in, struct dtw *w, void *buf, size_t max, size_t *ret_len)
{
	dtw_start(w, buf, max, in->host->boot_cpu);
	put_reserved(w, in->plan);
	dtw_begin(w, "");
	put_root(w, in);
	put_cpus(w, in->host);
	put_ram(w, in->plan);
	put_bus(w, in);
	put_openhcl(w, in);
	dtw_end(w);
	return dtw_finish(w, ret_len);
}
