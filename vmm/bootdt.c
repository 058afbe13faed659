/* SPDX-License-Identifier: MIT */
/* See bootdt.h. Two passes over the tree: one for nodes below /openhcl, one for /cpus. */
#include "bootdt.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"
#include "cleanup.h"
#include "le.h"

/* A property of exactly one u32, or the default. -EBADMSG for another size. */
static int get_u32(const void *fdt, int node, const char *name, uint32_t def, uint32_t *ret_val)
{
	int len;
	const void *p = fdt_getprop(fdt, node, name, &len);

	*ret_val = def;
	if (!p)
		return 0;
	if (len != 4)
		return -EBADMSG;
	*ret_val = be32_load(p);
	return 0;
}

static uint64_t get_u64(const void *fdt, int node, const char *name)
{
	int len;
	const void *p = fdt_getprop(fdt, node, name, &len);

	return p && len == 8 ? be64_load(p) : 0;
}

static bool node_is(const void *fdt, int node, const char *prefix)
{
	int len;
	const char *name = fdt_get_name(fdt, node, &len);
	size_t n = strlen(prefix);

	return name && (size_t)len >= n && !strncmp(name, prefix, n);
}

static int add_mmio(struct bootdt *dt, const struct bootdt_range *r)
{
	if (dt->n_mmio == ARRAY_SIZE(dt->mmio))
		return -E2BIG;
	dt->mmio[dt->n_mmio++] = *r;
	return 0;
}

static int add_mem(struct bootdt *dt, const struct bootdt_range *r)
{
	if (dt->n_mem == BOOTDT_MAX_RANGES)
		return -E2BIG;
	dt->mem[dt->n_mem++] = *r;
	return 0;
}

static int add_range(struct bootdt *dt, const struct bootdt_range *r)
{
	gpa_t end;

	if (!r->len || !is_aligned(r->base | r->len, KEEL_PAGE_SIZE) ||
	    ckd_add(&end, r->base, r->len) || r->type >= BOOTDT_TYPES)
		return -EBADMSG;
	if (r->type == BOOTMEM_VTL0_MMIO || r->type == BOOTMEM_VTL2_MMIO)
		return add_mmio(dt, r);
	return add_mem(dt, r);
}

/* /openhcl/memory@x: one or more (address, size) pairs of one type. */
static int parse_memory(const void *fdt, int node, struct bootdt *dt)
{
	struct bootdt_range range;
	int len, r;
	const uint8_t *reg = fdt_getprop(fdt, node, "reg", &len);

	if (!reg || len <= 0 || len % 16)
		return -EBADMSG;
	if (!fdt_getprop(fdt, node, "openhcl,memory-type", NULL))
		return -EBADMSG;
	r = get_u32(fdt, node, "openhcl,memory-type", 0, &range.type);
	if (r == 0)
		r = get_u32(fdt, node, "numa-node-id", 0, &range.node);
	for (int off = 0; r == 0 && off < len; off += 16) {
		range.base = be64_load(reg + off);
		range.len = be64_load(reg + off + 8);
		r = add_range(dt, &range);
	}
	return r;
}

/* /openhcl/accepted-memory@x: one (address, size) pair. */
static int parse_accepted(const void *fdt, int node, struct bootdt *dt)
{
	int len;
	const uint8_t *reg = fdt_getprop(fdt, node, "reg", &len);
	struct bootdt_range r = { 0 };
	gpa_t end;

	if (!reg || len != 16)
		return -EBADMSG;
	r.base = be64_load(reg);
	r.len = be64_load(reg + 8);
	if (!r.len || !is_aligned(r.base | r.len, KEEL_PAGE_SIZE) || ckd_add(&end, r.base, r.len))
		return -EBADMSG;
	if (dt->n_accepted == BOOTDT_MAX_ACCEPTED)
		return -E2BIG;
	dt->accepted[dt->n_accepted++] = r;
	return 0;
}

static int parse_isolation(const void *fdt, int node, enum bootdt_isolation *ret_iso)
{
	static const char *const names[] = {
		[BOOTDT_ISO_NONE] = "none",
		[BOOTDT_ISO_VBS] = "vbs",
		[BOOTDT_ISO_SNP] = "snp",
		[BOOTDT_ISO_TDX] = "tdx",
	};
	int len;
	const char *text = fdt_getprop(fdt, node, "isolation-type", &len);

	*ret_iso = BOOTDT_ISO_NONE;
	if (!text)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if ((size_t)len == strlen(names[i]) + 1 && !memcmp(text, names[i], (size_t)len)) {
			*ret_iso = (enum bootdt_isolation)i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int parse_openhcl(const void *fdt, struct bootdt *dt)
{
	int parent = fdt_path_offset(fdt, "/openhcl");
	int node, r;

	if (parent < 0)
		return -EBADMSG;
	r = parse_isolation(fdt, parent, &dt->isolation);
	fdt_for_each_subnode(node, fdt, parent)
	{
		if (r)
			break;
		if (node_is(fdt, node, "memory@"))
			r = parse_memory(fdt, node, dt);
		else if (node_is(fdt, node, "accepted-memory@"))
			r = parse_accepted(fdt, node, dt);
	}
	return r;
}

static int parse_cpu(const void *fdt, int node, struct bootdt *dt)
{
	uint32_t apic_id, numa;
	int r;

	if (dt->n_vps == BOOTDT_MAX_VPS)
		return -E2BIG;
	if (!fdt_getprop(fdt, node, "reg", NULL))
		return -EBADMSG;
	r = get_u32(fdt, node, "reg", 0, &apic_id);
	if (r == 0)
		r = get_u32(fdt, node, "numa-node-id", 0, &numa);
	if (r)
		return r;
	dt->apic_ids[dt->n_vps] = apic_id;
	dt->nodes[dt->n_vps++] = numa;
	return 0;
}

/* VP index = position among the cpu nodes, as for Linux. */
static int parse_cpus(const void *fdt, struct bootdt *dt)
{
	int parent = fdt_path_offset(fdt, "/cpus");
	int node, r = 0;

	if (parent < 0)
		return -EBADMSG;
	fdt_for_each_subnode(node, fdt, parent)
	{
		if (r)
			break;
		if (node_is(fdt, node, "cpu@"))
			r = parse_cpu(fdt, node, dt);
	}
	if (r == 0 && dt->n_vps == 0)
		r = -EBADMSG;
	return r;
}

static int cmp_range(const void *a, const void *b)
{
	const struct bootdt_range *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

static int sort_and_check(struct bootdt_range *ranges, size_t n)
{
	qsort(ranges, n, sizeof(*ranges), cmp_range);
	for (size_t i = 1; i < n; i++) {
		if (ranges[i - 1].base + ranges[i - 1].len > ranges[i].base)
			return -EBADMSG;
	}
	return 0;
}

static int parse(const void *fdt, struct bootdt *dt)
{
	int r;

	dt->mem = calloc(BOOTDT_MAX_RANGES, sizeof(*dt->mem));
	dt->apic_ids = calloc(BOOTDT_MAX_VPS, sizeof(*dt->apic_ids));
	dt->nodes = calloc(BOOTDT_MAX_VPS, sizeof(*dt->nodes));
	dt->accepted = calloc(BOOTDT_MAX_ACCEPTED, sizeof(*dt->accepted));
	if (!dt->mem || !dt->apic_ids || !dt->nodes || !dt->accepted)
		return -ENOMEM;
	r = parse_openhcl(fdt, dt);
	if (r == 0)
		r = parse_cpus(fdt, dt);
	if (r == 0)
		r = sort_and_check(dt->mem, dt->n_mem);
	if (r == 0)
		r = sort_and_check(dt->mmio, dt->n_mmio);
	if (r == 0)
		r = sort_and_check(dt->accepted, dt->n_accepted);
	dt->boot_start_100ns = get_u64(fdt, 0, "reftime_boot_start");
	dt->boot_end_100ns = get_u64(fdt, 0, "reftime_boot_end");
	return r;
}

int bootdt_parse(const void *fdt, size_t len, struct bootdt *ret_dt)
{
	struct bootdt dt = { 0 };
	int r;

	if (len > BOOTDT_MAX_BYTES)
		return -E2BIG;
	if (len < sizeof(struct fdt_header) || fdt_check_full(fdt, len) != 0)
		return -EBADMSG;
	r = parse(fdt, &dt);
	if (r) {
		bootdt_fini(&dt);
		return r;
	}
	*ret_dt = dt;
	return 0;
}

int bootdt_load(const char *path, struct bootdt *ret_dt)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_free uint8_t *buf = NULL;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	buf = malloc(BOOTDT_MAX_BYTES + 1);
	if (!buf)
		return -ENOMEM;
	do {
		n = read(fd, buf + len, BOOTDT_MAX_BYTES + 1 - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			len += (size_t)n;
	} while (n != 0 && len <= BOOTDT_MAX_BYTES);
	return bootdt_parse(buf, len, ret_dt);
}

void bootdt_fini(struct bootdt *dt)
{
	free(dt->mem);
	free(dt->apic_ids);
	free(dt->nodes);
	free(dt->accepted);
	*dt = (struct bootdt){ 0 };
}
