/* SPDX-License-Identifier: MIT */
/* Device trees: reader, writer (against libfdt), what the host may say and what not. */
#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "dt_rd.h"
#include "dt_wr.h"
#include "host_dt.h"
#include "host_sample.h"
#include "le.h"
#include "unit.h"

static uint8_t blob[HOST_SAMPLE_LEN] __attribute__((aligned(8)));
static struct host_dt dt;
static const char *why;

static size_t write_small(size_t max)
{
	static struct dtw w;
	size_t len;

	dtw_start(&w, blob, max, 7);
	dtw_reserve(&w, 0x1000, 0x2000);
	dtw_begin(&w, "");
	dtw_str(&w, "compatible", "one");
	dtw_begin_at(&w, "node", 0xabc);
	dtw_u32(&w, "u32", 0x01020304);
	dtw_u64(&w, "u64", 0x1122334455667788ull);
	dtw_bytes(&w, "compatible", "a\0bc\0", 5);
	dtw_empty(&w, "ranges");
	dtw_begin(&w, "inner");
	dtw_end(&w);
	dtw_end(&w);
	dtw_begin_at(&w, "node", 0);
	dtw_end(&w);
	dtw_end(&w);
	return dtw_finish(&w, &len) == 0 ? len : 0;
}

START_TEST(writer_agrees_with_libfdt)
{
	size_t size = write_small(sizeof(blob));
	uint64_t base, len;
	int node, n;

	ck_assert_uint_gt(size, 0);
	ck_assert_int_eq(fdt_check_full(blob, size), 0);
	ck_assert_uint_eq(fdt_boot_cpuid_phys(blob), 7);
	ck_assert_int_eq(fdt_num_mem_rsv(blob), 1);
	ck_assert_int_eq(fdt_get_mem_rsv(blob, 0, &base, &len), 0);
	ck_assert_uint_eq(base, 0x1000);
	ck_assert_uint_eq(len, 0x2000);
	node = fdt_path_offset(blob, "/node@abc");
	ck_assert_int_ge(node, 0);
	ck_assert_uint_eq(be32_load(fdt_getprop(blob, node, "u32", &n)), 0x01020304);
	ck_assert_uint_eq(be64_load(fdt_getprop(blob, node, "u64", &n)), 0x1122334455667788ull);
	ck_assert_ptr_nonnull(fdt_getprop(blob, node, "ranges", &n));
	ck_assert_int_eq(n, 0);
	ck_assert_int_ge(fdt_path_offset(blob, "/node@abc/inner"), 0);
	ck_assert_int_ge(fdt_path_offset(blob, "/node@0"), 0);
}
END_TEST

START_TEST(writer_never_leaves_its_buffer)
{
	size_t full = write_small(sizeof(blob));

	for (size_t max = 0; max < full; max++) {
		memset(blob, 0xee, sizeof(blob));
		ck_assert_uint_eq(write_small(max), 0);
		for (size_t i = max; i < full + 64; i++)
			ck_assert_uint_eq(blob[i], 0xee);
	}
	ck_assert_uint_eq(write_small(full), full);
}
END_TEST

START_TEST(writer_refuses_unbalanced_nodes)
{
	static struct dtw w;
	size_t len;

	dtw_start(&w, blob, sizeof(blob), 0);
	dtw_begin(&w, "");
	ck_assert_int_eq(dtw_finish(&w, &len), -EINVAL);
	dtw_start(&w, blob, sizeof(blob), 0);
	ck_assert_int_eq(dtw_finish(&w, &len), -EINVAL);
	dtw_start(&w, blob, sizeof(blob), 0);
	dtw_begin(&w, "");
	dtw_end(&w);
	dtw_end(&w);
	ck_assert_int_ne(dtw_finish(&w, &len), 0);
}
END_TEST

START_TEST(reader_walks)
{
	size_t size = write_small(sizeof(blob));
	struct dtr t;
	uint32_t a, b, v;
	uint64_t q;

	ck_assert_int_eq(dtr_open(blob, size, &t), 0);
	ck_assert_uint_eq(t.boot_cpu, 7);
	a = dtr_child(&t, 0);
	b = dtr_sibling(&t, a);
	ck_assert_str_eq(dtr_name(&t, a), "node@abc");
	ck_assert_str_eq(dtr_name(&t, b), "node@0");
	ck_assert_uint_eq(dtr_sibling(&t, b), DTR_NONE);
	ck_assert_uint_eq(dtr_child(&t, b), DTR_NONE);
	ck_assert_uint_eq(dtr_sibling(&t, 0), DTR_NONE);
	ck_assert_uint_eq(dtr_find(&t, 0, "node"), a);
	ck_assert_uint_eq(dtr_find(&t, 0, "nod"), DTR_NONE);
	ck_assert_uint_eq(dtr_find(&t, a, "inner"), dtr_child(&t, a));
	ck_assert(dtr_u32(&t, a, "u32", &v) && v == 0x01020304);
	ck_assert(dtr_u64(&t, a, "u64", &q) && q == 0x1122334455667788ull);
	ck_assert(!dtr_u32(&t, a, "u64", &v) && !dtr_u64(&t, a, "u32", &q));
	ck_assert(!dtr_u32(&t, a, "none", &v));
	ck_assert_str_eq(dtr_str(&t, 0, "compatible"), "one");
	ck_assert_ptr_null(dtr_str(&t, a, "compatible")); /* a list is no string */
	ck_assert(dtr_compatible(&t, a, "a") && dtr_compatible(&t, a, "bc"));
	ck_assert(!dtr_compatible(&t, a, "b") && !dtr_compatible(&t, a, "c"));
}
END_TEST

/* Words to change: offset in the blob or, from 0x1000 on, in the structure block. */
START_TEST(reader_refuses_malformed_blobs)
{
	static const struct {
		uint32_t off, val;
	} cases[] = {
		{ 0, 0xd00dfeec },	{ 4, HOST_SAMPLE_LEN + 1 }, { 4, 39 },	{ 8, 2 },
		{ 8, 0xfffffffc },	{ 12, 0xffffffff },	    { 20, 16 }, { 24, 18 },
		{ 32, 0xffffffff },	{ 36, 0xfffffffc },	    { 36, 6 },	{ 36, 0 },
		{ 0x1000, 2 }, /* starts with an END */
		{ 0x1000, 3 }, /* or a property */
		{ 0x1000, 77 }, /* or junk */
		{ 0x1008, 1 }, /* the property becomes a node: one END short */
		{ 0x100c, 0xffffffff }, /* property length */
		{ 0x100c, 0xfffffff0 }, /* rounding it up would wrap */
		{ 0x1010, 0xffff }, /* property name */
	};
	size_t size = write_small(sizeof(blob));
	uint32_t st = be32_load(blob + 8);
	struct dtr t;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t off = cases[i].off >= 0x1000 ? cases[i].off - 0x1000 + st : cases[i].off;

		(void)write_small(sizeof(blob));
		be32_store(blob + off, cases[i].val);
		ck_assert_msg(dtr_open(blob, sizeof(blob), &t) == -EBADMSG, "case %zu", i);
	}
	(void)write_small(sizeof(blob));
	for (size_t max = 1; max < size; max++) {
		uint8_t *cut = malloc(max);

		memcpy(cut, blob, max);
		ck_assert_int_eq(dtr_open(cut, max, &t), -EBADMSG);
		free(cut);
	}
	blob[0] = 0;
	ck_assert_int_eq(dtr_open(blob, sizeof(blob), &t), -ENOENT);
}
END_TEST

START_TEST(reader_limits_depth)
{
	static struct dtw w;
	struct dtr t;
	size_t len;

	for (unsigned depth = DTR_DEPTH_MAX; depth <= DTR_DEPTH_MAX + 1; depth++) {
		dtw_start(&w, blob, sizeof(blob), 0);
		for (unsigned i = 0; i < depth; i++)
			dtw_begin(&w, "");
		for (unsigned i = 0; i < depth; i++)
			dtw_end(&w);
		ck_assert_int_eq(dtw_finish(&w, &len), 0);
		ck_assert_int_eq(dtr_open(blob, len, &t), depth > DTR_DEPTH_MAX ? -EBADMSG : 0);
	}
}
END_TEST

/* --- host tree ------------------------------------------------------------------------------ */

static int parse(const struct host_sample *h)
{
	size_t len = host_sample_write(h, blob, sizeof(blob));

	ck_assert_uint_gt(len, 0);
	return host_dt_parse(blob, len, &dt, &why);
}

START_TEST(host_tree_is_understood)
{
	struct host_sample h = host_sample_default();

	h.dma_pages = 99;
	h.alias = BIT(40);
	ck_assert_int_eq(parse(&h), 0);
	ck_assert_uint_eq(dt.n_cpu, 2);
	ck_assert_uint_eq(dt.cpu[1].hw_id, 2);
	ck_assert_uint_eq(dt.n_mem, 3);
	ck_assert_uint_eq(dt.mem[1].igvm_type, 3);
	ck_assert_uint_eq(dt.mem[1].r.base, 128 * MIB);
	ck_assert_uint_eq(dt.n_node, 1);
	ck_assert_int_eq(dt.alloc, HOST_ALLOC_HOST);
	ck_assert_uint_eq(dt.vtl0.n_mmio, 2);
	ck_assert_uint_eq(dt.vtl2.n_mmio, 1);
	ck_assert_uint_eq(dt.vtl2.connection_id, 0x800074);
	ck_assert_str_eq(dt.bootargs, "loglevel=4");
	ck_assert(dt.com3 && dt.com3_speed == 115200);
	ck_assert(dt.nvme_keep_alive);
	ck_assert_uint_eq(dt.dma_pages, 99);
	ck_assert_uint_eq(dt.alias_map, BIT(40));
	ck_assert_uint_eq(dt.entropy_len, 16);
	h.com_port = 0x2e8;
	h.mode = NULL;
	h.bootargs = NULL;
	ck_assert_int_eq(parse(&h), 0);
	ck_assert(!dt.com3 && !dt.nvme_keep_alive && !dt.entropy_len && !dt.bootargs[0]);
}
END_TEST

START_TEST(memory_is_sorted)
{
	struct host_sample h = host_sample_default();
	struct host_sample_mem first = h.mem[0];

	h.mem[0] = h.mem[2];
	h.mem[2] = first;
	ck_assert_int_eq(parse(&h), 0);
	ck_assert_uint_eq(dt.mem[0].r.base, 0);
	ck_assert_uint_eq(dt.mem[1].r.base, 128 * MIB);
	ck_assert_uint_eq(dt.mem[2].r.base, 192 * MIB);
}
END_TEST

START_TEST(cpu_limit)
{
	struct host_sample h = host_sample_default();

	h.n_cpu = HOST_CPUS_MAX;
	h.cpus_per_node = 32;
	ck_assert_int_eq(parse(&h), 0);
	ck_assert_uint_eq(dt.n_cpu, HOST_CPUS_MAX);
	ck_assert_uint_eq(dt.n_node, 64);
	h.n_cpu++;
	h.cpus_per_node = 0;
	ck_assert_int_eq(parse(&h), -E2BIG);
	h.n_cpu = 65;
	h.cpus_per_node = 1;
	ck_assert_int_eq(parse(&h), -E2BIG); /* node 64 */
	h.n_cpu = 0;
	ck_assert_int_eq(parse(&h), -EBADMSG);
}
END_TEST

enum bad_host {
	BAD_MEM_ALIGN,
	BAD_MEM_WRAP,
	BAD_MEM_OVERLAP,
	BAD_MMIO_OVER_RAM,
	BAD_MMIO_BOTH_VTLS,
	BAD_MMIO_TWICE,
	BAD_MMIO_SHIFTED,
	BAD_MMIO_EMPTY,
	BAD_MODE,
	BAD_ALIAS,
	BAD_SIZE,
	BAD_NODE,
	BAD_COUNT,
};

static const char *const bad_why[] = {
	[BAD_MEM_ALIGN] = "misaligned",
	[BAD_MEM_WRAP] = "too high",
	[BAD_MEM_OVERLAP] = "overlap",
	[BAD_MMIO_OVER_RAM] = "overlaps memory",
	[BAD_MMIO_BOTH_VTLS] = "VTL0 and VTL2 overlap",
	[BAD_MMIO_TWICE] = "one VTL overlap",
	[BAD_MMIO_SHIFTED] = "one to one",
	[BAD_MMIO_EMPTY] = "empty",
	[BAD_MODE] = "neither host nor vtl2",
	[BAD_ALIAS] = "more than one bit",
	[BAD_SIZE] = "memory-size",
	[BAD_NODE] = "NUMA",
};

static void make_bad(struct host_sample *h, enum bad_host what)
{
	switch (what) {
	case BAD_MEM_ALIGN:
		h->mem[1].len--;
		break;
	case BAD_MEM_WRAP:
		h->mem[2].len = ~0xfffull;
		break;
	case BAD_MEM_OVERLAP:
		h->mem[0].len += KEEL_PAGE_SIZE;
		break;
	case BAD_MMIO_OVER_RAM:
		h->vtl2[0] = h->vtl2[1] = 0;
		break;
	case BAD_MMIO_BOTH_VTLS:
		h->vtl2[0] = h->vtl2[1] = 9 * GIB;
		break;
	case BAD_MMIO_TWICE:
		h->vtl0[3] = h->vtl0[4] = h->vtl0[0];
		break;
	case BAD_MMIO_SHIFTED:
		h->vtl2[1] += KEEL_PAGE_SIZE;
		break;
	case BAD_MMIO_EMPTY:
		h->vtl2[2] = 0;
		break;
	case BAD_MODE:
		h->mode = "hos";
		break;
	case BAD_ALIAS:
		h->alias = 3;
		break;
	case BAD_SIZE:
		h->mode = "vtl2";
		h->memory_size = 4095;
		break;
	case BAD_NODE:
		h->mem[1].node = 64;
		break;
	case BAD_COUNT:
		break;
	}
}

START_TEST(bad_values_are_refused)
{
	for (int i = 0; i < BAD_COUNT; i++) {
		struct host_sample h = host_sample_default();

		make_bad(&h, (enum bad_host)i);
		ck_assert_msg(parse(&h) < 0, "case %d (%s) was accepted", i, bad_why[i]);
		ck_assert_msg(strstr(why, bad_why[i]) != NULL, "case %d: %s", i, why);
	}
}
END_TEST

/* Rename one property or node name in the blob: the parser must miss it. */
static int parse_without(const char *name, size_t skip)
{
	struct host_sample h = host_sample_default();
	size_t len = host_sample_write(&h, blob, sizeof(blob));
	size_t n = strlen(name) + 1;
	uint8_t *at = blob;

	for (size_t i = 0; i <= skip; i++) {
		at = memmem(at + 1, (size_t)(blob + len - at - 1), name, n);
		ck_assert_ptr_nonnull(at);
	}
	at[0] = 'Z';
	return host_dt_parse(blob, len, &dt, &why);
}

START_TEST(required_things_are_required)
{
	static const char *const names[] = {
		"#address-cells",
		"#size-cells",
		"numa-node-id",
		"status",
		"reg",
		"memory-allocation-mode",
		"microsoft,vtl",
		"microsoft,message-connection-id",
		"current-speed",
		"cpus",
		"ranges",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_msg(parse_without(names[i], 0) < 0, "%s is not required", names[i]);
	ck_assert_int_lt(parse_without("microsoft,vmbus", 0), 0); /* VTL0's bus */
	ck_assert_int_lt(parse_without("microsoft,vmbus", 1), 0); /* VTL2's bus */
	ck_assert_int_eq(parse_without("okay", 0), 0); /* a CPU that is not okay is skipped */
	ck_assert_uint_eq(dt.n_cpu, 1);
	ck_assert_int_eq(parse_without("microsoft,igvm-type", 0), 0); /* defaults to 0 */
	ck_assert_uint_eq(dt.mem[1].igvm_type, 0);
}
END_TEST

UNIT_MAIN("shim/dt", writer_agrees_with_libfdt, writer_never_leaves_its_buffer,
	  writer_refuses_unbalanced_nodes, reader_walks, reader_refuses_malformed_blobs,
	  reader_limits_depth, host_tree_is_understood, memory_is_sorted, cpu_limit,
	  bad_values_are_refused, required_things_are_required)
