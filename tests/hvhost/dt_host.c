/* SPDX-License-Identifier: MIT */
#include "dt_host.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "com3.h"

#define ENTROPY_BYTES 64
#define CONNECTION_VTL0 1
#define CONNECTION_VTL2 4
#define COM3_IRQ 4
#define COM3_SPEED 115200

/* The first error sticks; libfdt's code is kept in it. */
struct dt {
	void *fdt;
	int err;
};

static void begin(struct dt *d, const char *name)
{
	if (!d->err)
		d->err = fdt_begin_node(d->fdt, name);
}

static void begin_at(struct dt *d, const char *what, uint64_t unit)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s@%" PRIx64, what, unit);
	begin(d, name);
}

static void end(struct dt *d)
{
	if (!d->err)
		d->err = fdt_end_node(d->fdt);
}

static void raw(struct dt *d, const char *name, const void *val, size_t len)
{
	if (!d->err)
		d->err = fdt_property(d->fdt, name, val, (int)len);
}

static void str(struct dt *d, const char *name, const char *val)
{
	raw(d, name, val, strlen(val) + 1);
}

static void u32(struct dt *d, const char *name, uint32_t val)
{
	if (!d->err)
		d->err = fdt_property_u32(d->fdt, name, val);
}

static void u64s(struct dt *d, const char *name, const uint64_t *val, size_t n)
{
	fdt64_t be[8];

	for (size_t i = 0; i < n; i++)
		be[i] = cpu_to_fdt64(val[i]);
	raw(d, name, be, n * sizeof(be[0]));
}

static void cells(struct dt *d, uint32_t address, uint32_t size)
{
	u32(d, "#address-cells", address);
	u32(d, "#size-cells", size);
}

static void put_cpus(struct dt *d, uint32_t vps)
{
	begin(d, "cpus");
	cells(d, 1, 0);
	for (uint32_t i = 0; i < vps; i++) {
		begin_at(d, "cpu", i + 1);
		str(d, "device_type", "cpu");
		u32(d, "reg", i);
		str(d, "status", "okay");
		u32(d, "numa-node-id", 0);
		end(d);
	}
	end(d);
}

static void put_memory(struct dt *d, const struct igvm_mem_entry *e)
{
	const uint64_t reg[2] = { e->gpn << KEEL_PAGE_SHIFT, e->pages << KEEL_PAGE_SHIFT };

	begin_at(d, "memory", reg[0]);
	str(d, "device_type", "memory");
	u64s(d, "reg", reg, 2);
	u32(d, "numa-node-id", 0);
	u32(d, "microsoft,igvm-type", e->type);
	end(d);
}

static void put_vmbus(struct dt *d, const char *name, uint32_t vtl, uint32_t connection,
		      const struct igvm_range *mmio, size_t n)
{
	uint64_t ranges[6];

	for (size_t i = 0; i < n; i++) {
		ranges[3 * i] = ranges[3 * i + 1] = mmio[i].gpa;
		ranges[3 * i + 2] = mmio[i].len;
	}
	begin(d, name);
	str(d, "compatible", "microsoft,vmbus");
	cells(d, 2, 2);
	u64s(d, "ranges", ranges, 3 * n);
	u32(d, "microsoft,vtl", vtl);
	u32(d, "microsoft,message-connection-id", connection);
	end(d);
}

static void put_buses(struct dt *d, const struct dt_host_cfg *cfg)
{
	begin(d, "bus");
	str(d, "compatible", "simple-bus");
	cells(d, 2, 2);
	raw(d, "ranges", NULL, 0);
	put_vmbus(d, "vmbus-vtl0@0", 0, CONNECTION_VTL0, cfg->vtl0_mmio, 2);
	put_vmbus(d, "vmbus-vtl2@1", 2, CONNECTION_VTL2, cfg->vtl2_mmio, 2);
	end(d);
}

/* Without it VTL2 boots faster: each character is an exit or two. Its log comes through GEL anyway.
 */
static void put_com3(struct dt *d)
{
	const uint64_t com3[2] = { COM3_BASE, COM3_PORTS }, irq[1] = { COM3_IRQ };

	begin(d, "pio-bus");
	str(d, "compatible", "x86-pio-bus");
	cells(d, 1, 1);
	raw(d, "ranges", NULL, 0);
	begin(d, "serial@3e8");
	str(d, "compatible", "ns16550");
	u32(d, "clock-frequency", 0);
	u32(d, "current-speed", COM3_SPEED);
	u64s(d, "reg", com3, 2);
	u64s(d, "interrupts", irq, 1);
	end(d);
	end(d);
}

static void put_chosen(struct dt *d, const struct dt_host_cfg *cfg)
{
	uint8_t entropy[ENTROPY_BYTES];

	begin(d, "chosen");
	str(d, "bootargs", cfg->bootargs);
	end(d);

	begin(d, "openhcl");
	str(d, "memory-allocation-mode", "host");
	if (getrandom(entropy, sizeof(entropy), 0) == (ssize_t)sizeof(entropy)) {
		begin(d, "entropy");
		raw(d, "reg", entropy, sizeof(entropy));
		end(d);
	}
	end(d);
}

int dt_host_build(const struct dt_host_cfg *cfg, void *ret_blob, size_t *ret_len)
{
	struct dt d = { .fdt = ret_blob };

	d.err = fdt_create(d.fdt, DT_HOST_MAX);
	if (!d.err)
		d.err = fdt_finish_reservemap(d.fdt);
	begin(&d, "");
	str(&d, "model", "microsoft,hyperv");
	str(&d, "compatible", "microsoft,hyperv");
	cells(&d, 2, 2);
	put_cpus(&d, cfg->vps);
	for (size_t i = 0; i < cfg->n_map; i++)
		put_memory(&d, &cfg->map[i]);
	put_buses(&d, cfg);
	if (cfg->vtl2_console)
		put_com3(&d);
	put_chosen(&d, cfg);
	end(&d);
	if (!d.err)
		d.err = fdt_finish(d.fdt);
	if (d.err)
		return d.err == -FDT_ERR_NOSPACE ? -ENOSPC : -EINVAL;
	fdt_set_boot_cpuid_phys(d.fdt, 0);
	*ret_len = fdt_totalsize(d.fdt);
	return 0;
}
