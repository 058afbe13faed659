/* SPDX-License-Identifier: MIT */
/* A host device tree as a VMM writes it, from a description that tests change first. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "dt_wr.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define HOST_SAMPLE_LEN 262144u

struct host_sample_mem {
	uint64_t base, len;
	uint32_t node, type;
};

struct host_sample {
	uint32_t n_cpu;
	uint32_t cpus_per_node; /* 0 = all on node 0 */
	struct host_sample_mem mem[8];
	uint64_t vtl0[6], vtl2[6]; /* ranges: child, parent, length */
	size_t n_vtl0, n_vtl2; /* u64 in use */
	const char *mode; /* NULL = no /openhcl */
	uint64_t memory_size, mmio_size; /* 0 = not given */
	uint64_t alias;
	const char *bootargs;
	uint64_t com_port;
	uint64_t dma_pages;
};

/* 2 CPUs, 1 GiB of RAM of which 64 MiB at 128 MiB are VTL2's, two MMIO gaps for VTL0. */
static inline struct host_sample host_sample_default(void)
{
	return (struct host_sample){
		.n_cpu = 2,
		.mem = { { 0, 128 * MIB, 0, 0 },
			 { 128 * MIB, 64 * MIB, 0, 3 },
			 { 192 * MIB, 832 * MIB, 0, 0 } },
		.vtl0 = { 0xe0000000, 0xe0000000, 0x10000000, 8 * GIB, 8 * GIB, 4 * GIB },
		.n_vtl0 = 6,
		.vtl2 = { 16 * GIB, 16 * GIB, 1 * GIB },
		.n_vtl2 = 3,
		.mode = "host",
		.bootargs = "loglevel=4",
		.com_port = 0x3e8,
	};
}

static inline void host_sample_vmbus(struct dtw *w, const char *name, uint32_t vtl, uint32_t id,
				     const uint64_t *ranges, size_t n)
{
	dtw_begin(w, name);
	dtw_str(w, "compatible", "microsoft,vmbus");
	dtw_u32(w, "microsoft,vtl", vtl);
	dtw_u32(w, "#address-cells", 2);
	dtw_u32(w, "#size-cells", 2);
	dtw_u32(w, "microsoft,message-connection-id", id);
	if (n)
		dtw_u64s(w, "ranges", ranges, n);
	dtw_end(w);
}

static inline void host_sample_cpus(struct dtw *w, const struct host_sample *h)
{
	dtw_begin(w, "cpus");
	dtw_u32(w, "#address-cells", 1);
	dtw_u32(w, "#size-cells", 0);
	for (uint32_t i = 0; i < h->n_cpu; i++) {
		dtw_begin_at(w, "cpu", i + 1);
		dtw_str(w, "device_type", "cpu");
		dtw_u32(w, "reg", 2 * i);
		dtw_u32(w, "numa-node-id", h->cpus_per_node ? i / h->cpus_per_node : 0);
		dtw_str(w, "status", "okay");
		dtw_end(w);
	}
	dtw_end(w);
}

static inline void host_sample_openhcl(struct dtw *w, const struct host_sample *h)
{
	dtw_begin(w, "openhcl");
	dtw_str(w, "memory-allocation-mode", h->mode);
	if (h->memory_size)
		dtw_u64(w, "memory-size", h->memory_size);
	if (h->mmio_size)
		dtw_u64(w, "mmio-size", h->mmio_size);
	if (h->alias)
		dtw_u64(w, "vtl0-alias-map", h->alias);
	dtw_begin(w, "entropy");
	dtw_bytes(w, "reg", "0123456789abcdef", 16);
	dtw_end(w);
	dtw_begin(w, "keep-alive");
	dtw_str(w, "device-types", "nvme");
	dtw_end(w);
	if (h->dma_pages) {
		dtw_begin(w, "device-dma");
		dtw_u64(w, "total-pages", h->dma_pages);
		dtw_end(w);
	}
	dtw_end(w);
}

static inline void host_sample_buses(struct dtw *w, const struct host_sample *h)
{
	dtw_begin(w, "bus");
	dtw_str(w, "compatible", "simple-bus");
	dtw_u32(w, "#address-cells", 2);
	dtw_u32(w, "#size-cells", 2);
	dtw_empty(w, "ranges");
	host_sample_vmbus(w, "vmbus-vtl0@0", 0, 1, h->vtl0, h->n_vtl0);
	host_sample_vmbus(w, "vmbus-vtl2@1", 2, 0x800074, h->vtl2, h->n_vtl2);
	dtw_end(w);
	dtw_begin(w, "pio-bus");
	dtw_str(w, "compatible", "x86-pio-bus");
	dtw_begin_at(w, "serial", h->com_port);
	dtw_str(w, "compatible", "ns16550");
	dtw_u64s(w, "reg", (const uint64_t[]){ h->com_port, 8 }, 2);
	dtw_u32(w, "current-speed", 115200);
	dtw_end(w);
	dtw_end(w);
}

/* Returns: bytes of the tree, 0 when it does not fit. */
static inline size_t host_sample_write(const struct host_sample *h, void *buf, size_t max)
{
	static struct dtw w;
	size_t len;

	dtw_start(&w, buf, max, 0);
	dtw_begin(&w, "");
	dtw_u32(&w, "#address-cells", 2);
	dtw_u32(&w, "#size-cells", 2);
	dtw_str(&w, "model", "microsoft,hyperv");
	host_sample_cpus(&w, h);
	for (size_t i = 0; i < sizeof(h->mem) / sizeof(h->mem[0]) && h->mem[i].len; i++) {
		dtw_begin_at(&w, "memory", h->mem[i].base);
		dtw_str(&w, "device_type", "memory");
		dtw_u64s(&w, "reg", (const uint64_t[]){ h->mem[i].base, h->mem[i].len }, 2);
		dtw_u32(&w, "numa-node-id", h->mem[i].node);
		dtw_u32(&w, "microsoft,igvm-type", h->mem[i].type);
		dtw_end(&w);
	}
	if (h->bootargs) {
		dtw_begin(&w, "chosen");
		dtw_str(&w, "bootargs", h->bootargs);
		dtw_end(&w);
	}
	if (h->mode)
		host_sample_openhcl(&w, h);
	host_sample_buses(&w, h);
	dtw_end(&w);
	return dtw_finish(&w, &len) == 0 ? len : 0;
}
