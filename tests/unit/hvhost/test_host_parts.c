/* SPDX-License-Identifier: MIT */
/* The host's device tree, VTL2's console, the hypercall page, the address map. */
#include <errno.h>
#include <libfdt.h>
#include <string.h>
#include <unistd.h>

#include "com3.h"
#include "dt_host.h"
#include "fake_part.h"
#include "hcpage.h"
#include "le.h"
#include "msr_host.h"
#include "unit.h"

static uint8_t blob[DT_HOST_MAX];

static uint32_t prop_u32(int node, const char *name)
{
	int len;
	const fdt32_t *p = fdt_getprop(blob, node, name, &len);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(len, 4);
	return fdt32_to_cpu(*p);
}

static uint64_t prop_u64(int node, const char *name, int i)
{
	int len;
	const uint8_t *p = fdt_getprop(blob, node, name, &len);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_lt(i, len / 8);
	return be64_load(p + 8 * i); /* properties are only 4-byte aligned */
}

static int node_at(const char *path)
{
	int node = fdt_path_offset(blob, path);

	ck_assert_msg(node >= 0, "no node %s", path);
	return node;
}

START_TEST(device_tree)
{
	const struct igvm_mem_entry map[] = {
		{ .gpn = 0, .pages = 0x20000, .type = IGVM_MEM_MEMORY },
		{ .gpn = 0x20000, .pages = 0x4000, .type = IGVM_MEM_VTL2_PROTECTABLE_RAM },
	};
	const struct dt_host_cfg cfg = {
		.vps = 3,
		.map = map,
		.n_map = 2,
		.vtl0_mmio = { { 0xf8000000, 0x1000000 }, { 0x100000000, 0x200000000 } },
		.vtl2_mmio = { { 0xfc000000, 0x1000000 }, { 0x300000000, 0x40000000 } },
		.bootargs = "one two",
		.vtl2_console = true,
	};
	size_t len = 0;
	int node;

	ck_assert_int_eq(dt_host_build(&cfg, blob, &len), 0);
	ck_assert_int_eq(fdt_check_full(blob, len), 0);
	ck_assert_uint_eq(prop_u32(node_at("/cpus/cpu@3"), "reg"), 2);
	ck_assert_int_lt(fdt_path_offset(blob, "/cpus/cpu@4"), 0);
	node = node_at("/memory@20000000");
	ck_assert_uint_eq(prop_u32(node, "microsoft,igvm-type"), 3);
	ck_assert_uint_eq(prop_u64(node, "reg", 1), 0x4000000);
	node = node_at("/bus/vmbus-vtl0@0");
	ck_assert_uint_eq(prop_u32(node, "microsoft,vtl"), 0);
	ck_assert_uint_eq(prop_u64(node, "ranges", 3), 0x100000000);
	ck_assert_uint_eq(prop_u64(node, "ranges", 5), 0x200000000);
	node = node_at("/bus/vmbus-vtl2@1");
	ck_assert_uint_eq(prop_u32(node, "microsoft,vtl"), 2);
	ck_assert_uint_eq(prop_u64(node, "ranges", 0), 0xfc000000);
	ck_assert_uint_eq(prop_u64(node, "ranges", 3), 0x300000000);
	ck_assert_str_eq(fdt_getprop(blob, node_at("/chosen"), "bootargs", NULL), "one two");
	ck_assert_str_eq(fdt_getprop(blob, node_at("/openhcl"), "memory-allocation-mode", NULL),
			 "host");
	ck_assert_uint_eq(prop_u64(node_at("/pio-bus/serial@3e8"), "reg", 0), 0x3e8);
}
END_TEST

START_TEST(device_tree_of_many)
{
	const struct igvm_mem_entry map[] = { { .gpn = 0, .pages = 1, .type = IGVM_MEM_MEMORY } };
	struct dt_host_cfg cfg = { .vps = 896, .map = map, .n_map = 1, .bootargs = "" };
	size_t len;

	ck_assert_int_eq(dt_host_build(&cfg, blob, &len), 0);
	cfg.vps = 100000;
	ck_assert_int_eq(dt_host_build(&cfg, blob, &len), -ENOSPC);
}
END_TEST

START_TEST(console)
{
	struct com3 *c;
	char text[8] = "";
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(com3_create(fds[1], &c), 0);
	/* Linux's probe: scratch register, loop-back, FIFO. */
	com3_write(c, 7, 0xa5);
	ck_assert_uint_eq(com3_read(c, 7), 0xa5);
	com3_write(c, 4, 0x10 | 0x0a);
	ck_assert_uint_eq(com3_read(c, 6) & 0xf0, 0x90);
	com3_write(c, 4, 0x03);
	com3_write(c, 2, 0x01);
	ck_assert_uint_eq(com3_read(c, 2) & 0xc0, 0xc0);
	com3_write(c, 3, 0x80);
	com3_write(c, 0, 0x0c);
	com3_write(c, 3, 0x03);
	ck_assert_uint_eq(com3_read(c, 5), 0x60);
	com3_write(c, 0, 'h');
	com3_write(c, 0, '\n');
	ck_assert_int_eq(read(fds[0], text, sizeof(text)), 2);
	ck_assert_str_eq(text, "h\n");
	com3_input(c, (const uint8_t *)"xy", 2);
	ck_assert_uint_eq(com3_read(c, 5) & 1, 1);
	ck_assert_uint_eq(com3_read(c, 0), 'x');
	ck_assert_uint_eq(com3_read(c, 0), 'y');
	ck_assert_uint_eq(com3_read(c, 5) & 1, 0);
	com3_destroy(c);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

START_TEST(hypercall_page)
{
	struct fake_part *f = fake_part_create();
	struct hvvp *vp = &f->part.vps[0];
	uint64_t val = 0;
	uint8_t code[8];

	/* No identity, no page. */
	ck_assert_int_eq(msr_host_write(vp, VTL0, HVMSR_HYPERCALL, 0x5001), 0);
	ck_assert_int_eq(msr_host_read(vp, VTL0, HVMSR_HYPERCALL, &val), 0);
	ck_assert_uint_eq(val, 0x5000);
	ck_assert_int_eq(msr_host_write(vp, VTL0, HVMSR_GUEST_OS_ID, 1), 0);
	ck_assert_int_eq(msr_host_write(vp, VTL0, HVMSR_HYPERCALL, 0x5001), 0);
	ck_assert_int_eq(gm_read(f->part.gm, 0x5000, code, 4), 0);
	ck_assert_uint_eq(code[0], 0xe7);
	ck_assert_uint_eq(code[1], HCPAGE_PORT);
	ck_assert_uint_eq(code[3], 0xc3);
	ck_assert_int_eq(gm_read(f->part.gm, 0x5000 + HCPAGE_VTLRET64 + 8, code, 2), 0);
	ck_assert_uint_eq(code[1], HCPAGE_PORT_RETURN);
	/* VTL0 cannot have us write to VTL2's memory, nor to nowhere. */
	ck_assert_int_eq(msr_host_write(vp, VTL0, HVMSR_HYPERCALL, FAKE_VTL2_BASE | 1), -EINVAL);
	ck_assert_int_eq(msr_host_write(vp, VTL0, HVMSR_VP_ASSIST_PAGE, FAKE_VTL2_BASE | 1),
			 -EINVAL);
	ck_assert_int_eq(msr_host_write(vp, VTL0, HVMSR_REFERENCE_TSC, 0xf8000001), -EINVAL);
	/* Removing the identity takes the page away. */
	ck_assert_int_eq(msr_host_write(vp, VTL0, HVMSR_GUEST_OS_ID, 0), 0);
	ck_assert_int_eq(gm_read(f->part.gm, 0x5000, code, 4), 0);
	ck_assert_uint_eq(code[0], 0);
	/* Unknown synthetic registers: VTL0's go to VTL2, VTL2's are an error. */
	ck_assert_int_eq(msr_host_read(vp, VTL0, 0x40000108, &val), -ENOENT);
	ck_assert_int_eq(msr_host_read(vp, VTL2, 0x40000108, &val), -EINVAL);
	ck_assert_int_eq(msr_host_read(vp, VTL0, HVMSR_CRASH_CTL, &val), -ENOENT);
	ck_assert_int_eq(msr_host_read(vp, VTL2, HVMSR_CRASH_CTL, &val), 0);
	ck_assert_uint_eq(val, HV_CRASH_CTL_CAPS);
	fake_part_destroy(f);
}
END_TEST

START_TEST(address_map)
{
	struct mem_host m;

	ck_assert_int_eq(mem_host_plan(&m, 512ull << 20, 64ull << 20, 0), 0);
	ck_assert_uint_eq(m.n_ram, 2);
	ck_assert_uint_eq(m.vtl2_base, 512ull << 20);
	/* Much memory: VTL2 stays below 4 GiB, the rest of VTL0's is above. */
	ck_assert_int_eq(mem_host_plan(&m, 8ull << 30, 64ull << 20, 0), 0);
	ck_assert_uint_eq(m.n_ram, 3);
	ck_assert_uint_eq(m.vtl2_base + m.vtl2_size, MEM_LOW_MMIO_BASE);
	ck_assert_uint_eq(m.ram[2].gpa, MEM_HIGH_BASE);
	ck_assert_uint_eq(m.ram[0].len + m.ram[2].len, 8ull << 30);
	ck_assert_uint_ge(m.mmio[1].gpa, m.ram[2].gpa + m.ram[2].len);
	/* Nobody's MMIO meets another's, and VTL2's low part ends where the IOAPIC is. */
	ck_assert_uint_eq(m.vtl2_mmio[0].gpa, m.mmio[0].gpa + m.mmio[0].len);
	ck_assert_uint_eq(m.vtl2_mmio[0].gpa + m.vtl2_mmio[0].len, 0xfec00000);
	ck_assert_uint_ge(m.vtl2_mmio[1].gpa, m.mmio[1].gpa + m.mmio[1].len);
	ck_assert_int_eq(mem_host_plan(&m, 0, 64ull << 20, 0), -EINVAL);
	ck_assert_int_eq(mem_host_plan(&m, 1ull << 20, 4ull << 30, 0), -EINVAL);
	ck_assert_int_eq(mem_host_plan(&m, 12345, 64ull << 20, 0), -EINVAL);
	/* VTL2 where it wants to be, VTL0 around it. */
	ck_assert_int_eq(mem_host_plan(&m, 8ull << 30, 64ull << 20, 128ull << 20), 0);
	ck_assert_uint_eq(m.n_ram, 4);
	ck_assert_uint_eq(m.ram[0].len, 128ull << 20);
	ck_assert_uint_eq(m.ram[1].gpa, 128ull << 20);
	ck_assert_uint_eq(m.ram[2].gpa, 192ull << 20);
	ck_assert_uint_eq(m.ram[2].gpa + m.ram[2].len, MEM_LOW_MMIO_BASE);
	ck_assert_uint_eq(m.ram[0].len + m.ram[2].len + m.ram[3].len, 8ull << 30);
	ck_assert_int_eq(mem_host_plan(&m, 64ull << 20, 64ull << 20, 128ull << 20), 0);
	ck_assert_uint_eq(m.n_ram, 2);
	ck_assert_uint_eq(m.ram[0].len, 64ull << 20);
	ck_assert_int_eq(mem_host_plan(&m, 64ull << 20, 64ull << 20, 4096), -EINVAL);
	ck_assert_int_eq(mem_host_plan(&m, 64ull << 20, 64ull << 20, MEM_LOW_MMIO_BASE), -EINVAL);
}
END_TEST

UNIT_MAIN("hvhost/host_parts", device_tree, device_tree_of_many, console, hypercall_page,
	  address_map)
