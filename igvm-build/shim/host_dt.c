/* SPDX-License-Identifier: MIT */
/* Host device tree. Input: the host, see the header. */
#include "host_dt.h"

#include <errno.h>
#include <string.h>

#include "ckd.h"
#include "dt_rd.h"
#include "le.h"

#define ADDR_LIMIT BIT(52)
#define COM3_PORT 0x3e8u

struct parse {
	struct dtr t;
	struct host_dt *out;
	const char *why;
};

static int bad(struct parse *p, const char *why)
{
	p->why = why;
	return -EBADMSG;
}

static int too_many(struct parse *p, const char *why)
{
	p->why = why;
	return -E2BIG;
}

static bool range_valid(const struct host_range *r)
{
	return r->len && is_aligned(r->base | r->len, KEEL_PAGE_SIZE) &&
	       range_ok(r->base, r->len, ADDR_LIMIT);
}

static int get_node(struct parse *p, uint32_t node, uint32_t *ret)
{
	if (!dtr_u32(&p->t, node, "numa-node-id", ret))
		return bad(p, "a CPU or memory node has no numa-node-id");
	if (*ret >= HOST_NODES_MAX)
		return too_many(p, "a NUMA node number is above 63");
	p->out->n_node = MAX(p->out->n_node, *ret + 1);
	return 0;
}

/* --- CPUs -------------------------------------------------------------------------------- */

static int parse_cpu(struct parse *p, uint32_t node, uint32_t cells)
{
	const char *status = dtr_str(&p->t, node, "status");
	struct host_cpu *cpu = &p->out->cpu[p->out->n_cpu];
	const uint8_t *reg;
	uint32_t len;
	int r;

	if (!status)
		return bad(p, "a CPU has no status");
	if (strcmp(status, "okay"))
		return 0;
	if (p->out->n_cpu == HOST_CPUS_MAX)
		return too_many(p, "more than 2048 CPUs");
	reg = dtr_prop(&p->t, node, "reg", &len);
	if (!reg || len != 4 * cells)
		return bad(p, "a CPU has no reg or one of the wrong size");
	cpu->hw_id = cells == 2 ? be64_load(reg) : be32_load(reg);
	r = get_node(p, node, &cpu->node);
	if (r == 0)
		p->out->n_cpu++;
	return r;
}

static int parse_cpus(struct parse *p)
{
	uint32_t cpus = dtr_find(&p->t, 0, "cpus"), cells, n;
	int r = 0;

	if (cpus == DTR_NONE)
		return bad(p, "no /cpus");
	if (!dtr_u32(&p->t, cpus, "#address-cells", &cells) || cells < 1 || cells > 2)
		return bad(p, "/cpus: #address-cells is neither 1 nor 2");
	for (n = dtr_child(&p->t, cpus); n != DTR_NONE && r == 0; n = dtr_sibling(&p->t, n))
		if (dtr_is_named(&p->t, n, "cpu"))
			r = parse_cpu(p, n, cells);
	if (r == 0 && !p->out->n_cpu)
		return bad(p, "no CPU is okay");
	return r;
}

/* --- memory ------------------------------------------------------------------------------ */

static int add_mem(struct parse *p, const struct host_mem *m)
{
	struct host_dt *out = p->out;
	size_t at = out->n_mem;

	if (!range_valid(&m->r))
		return bad(p, "a memory range is empty, misaligned or too high");
	if (out->n_mem == HOST_MEM_MAX)
		return too_many(p, "more than 1024 memory ranges");
	/* Hosts list memory in ascending order: this moves nothing then. */
	while (at && out->mem[at - 1].r.base > m->r.base)
		at--;
	if ((at &&
	     range_overlap(out->mem[at - 1].r.base, out->mem[at - 1].r.len, m->r.base, m->r.len)) ||
	    (at < out->n_mem &&
	     range_overlap(out->mem[at].r.base, out->mem[at].r.len, m->r.base, m->r.len)))
		return bad(p, "memory ranges overlap");
	memmove(&out->mem[at + 1], &out->mem[at], (out->n_mem - at) * sizeof(out->mem[0]));
	out->mem[at] = *m;
	out->n_mem++;
	return 0;
}

static int parse_memory(struct parse *p, uint32_t node)
{
	struct host_mem m = { 0 };
	const uint8_t *reg;
	uint32_t len;
	int r = get_node(p, node, &m.node);

	if (r < 0)
		return r;
	reg = dtr_prop(&p->t, node, "reg", &len);
	if (!reg || !len || len % 16)
		return bad(p, "a memory node has no reg or one of the wrong size");
	if (dtr_prop(&p->t, node, "microsoft,igvm-type", &(uint32_t){ 0 }) &&
	    !dtr_u32(&p->t, node, "microsoft,igvm-type", &m.igvm_type))
		return bad(p, "a memory node's microsoft,igvm-type is not a u32");
	for (uint32_t off = 0; off < len && r == 0; off += 16) {
		m.r = (struct host_range){ .base = be64_load(reg + off),
					   .len = be64_load(reg + off + 8) };
		r = add_mem(p, &m);
	}
	return r;
}

/* --- VMBus and serial port --------------------------------------------------------------- */

static int parse_mmio(struct parse *p, uint32_t node, struct host_vmbus *v)
{
	uint32_t len, ac, sc;
	const uint8_t *ranges = dtr_prop(&p->t, node, "ranges", &len);

	if (!dtr_u32(&p->t, node, "#address-cells", &ac) ||
	    !dtr_u32(&p->t, node, "#size-cells", &sc) || ac != 2 || sc != 2)
		return bad(p, "vmbus: #address-cells and #size-cells must be 2");
	if (!ranges)
		return 0;
	if (len % 24)
		return bad(p, "vmbus: ranges has the wrong size");
	if (len / 24 > HOST_MMIO_MAX)
		return too_many(p, "vmbus: more than two ranges");
	for (uint32_t off = 0; off < len; off += 24) {
		struct host_range r = { .base = be64_load(ranges + off),
					.len = be64_load(ranges + off + 16) };

		if (r.base != be64_load(ranges + off + 8))
			return bad(p, "vmbus: a range is not mapped one to one");
		if (!range_valid(&r))
			return bad(p, "vmbus: a range is empty, misaligned or too high");
		v->mmio[v->n_mmio++] = r;
	}
	if (v->n_mmio == 2 && v->mmio[0].base > v->mmio[1].base) {
		struct host_range first = v->mmio[1];

		v->mmio[1] = v->mmio[0];
		v->mmio[0] = first;
	}
	return 0;
}

static int parse_vmbus(struct parse *p, uint32_t node)
{
	struct host_vmbus *v;
	uint32_t vtl;

	if (!dtr_u32(&p->t, node, "microsoft,vtl", &vtl) || (vtl != 0 && vtl != 2))
		return bad(p, "vmbus: microsoft,vtl is neither 0 nor 2");
	v = vtl ? &p->out->vtl2 : &p->out->vtl0;
	if (v->present)
		return bad(p, "vmbus: two nodes for one VTL");
	v->present = true;
	if (!dtr_u32(&p->t, node, "microsoft,message-connection-id", &v->connection_id))
		return bad(p, "vmbus: no microsoft,message-connection-id");
	return parse_mmio(p, node, v);
}

static int parse_simple_bus(struct parse *p, uint32_t bus)
{
	uint32_t len, n;
	const uint8_t *ranges = dtr_prop(&p->t, bus, "ranges", &len);
	int r = 0;

	if (!ranges)
		return bad(p, "simple-bus: no ranges");
	if (len)
		return 0; /* a bus with translation is not one of ours */
	for (n = dtr_child(&p->t, bus); n != DTR_NONE && r == 0; n = dtr_sibling(&p->t, n))
		if (dtr_compatible(&p->t, n, "microsoft,vmbus"))
			r = parse_vmbus(p, n);
	return r;
}

static int parse_pio_bus(struct parse *p, uint32_t bus)
{
	uint32_t n, speed, len;

	for (n = dtr_child(&p->t, bus); n != DTR_NONE; n = dtr_sibling(&p->t, n)) {
		const uint8_t *reg = dtr_prop(&p->t, n, "reg", &len);

		if (!reg || len != 16 || !dtr_u32(&p->t, n, "current-speed", &speed))
			return bad(
				p,
				"x86-pio-bus: a device has no reg of 16 bytes or no current-speed");
		if (be64_load(reg) == COM3_PORT && dtr_compatible(&p->t, n, "ns16550")) {
			p->out->com3 = true;
			p->out->com3_speed = speed;
		}
	}
	return 0;
}

/* --- /chosen and /openhcl ---------------------------------------------------------------- */

static int parse_chosen(struct parse *p, uint32_t node)
{
	const char *args = dtr_str(&p->t, node, "bootargs");
	size_t len = args ? strlen(args) : 0;

	if (len >= sizeof(p->out->bootargs))
		return too_many(p, "/chosen: bootargs is too long");
	memcpy(p->out->bootargs, args ? args : "", len + 1);
	return 0;
}

static int parse_mode(struct parse *p, uint32_t node)
{
	const char *mode = dtr_str(&p->t, node, "memory-allocation-mode");
	struct host_dt *out = p->out;

	if (!mode)
		return bad(p, "/openhcl: no memory-allocation-mode");
	if (!strcmp(mode, "host"))
		return 0;
	if (strcmp(mode, "vtl2"))
		return bad(p, "/openhcl: memory-allocation-mode is neither host nor vtl2");
	out->alloc = HOST_ALLOC_VTL2;
	out->has_memory_size = dtr_u64(&p->t, node, "memory-size", &out->memory_size);
	out->has_mmio_size = dtr_u64(&p->t, node, "mmio-size", &out->mmio_size);
	if ((out->has_memory_size &&
	     (!is_aligned(out->memory_size, KEEL_PAGE_SIZE) || out->memory_size > ADDR_LIMIT)) ||
	    (out->has_mmio_size &&
	     (!is_aligned(out->mmio_size, KEEL_PAGE_SIZE) || out->mmio_size > ADDR_LIMIT)))
		return bad(p, "/openhcl: memory-size or mmio-size is misaligned or too large");
	return 0;
}

static int parse_openhcl(struct parse *p, uint32_t node)
{
	struct host_dt *out = p->out;
	uint32_t sub, len;
	const uint8_t *data;
	const char *types;
	int r = parse_mode(p, node);

	if (r < 0)
		return r;
	if (dtr_u64(&p->t, node, "vtl0-alias-map", &out->alias_map) &&
	    (out->alias_map & (out->alias_map - 1)))
		return bad(p, "/openhcl: vtl0-alias-map has more than one bit");
	sub = dtr_find(&p->t, node, "entropy");
	data = sub == DTR_NONE ? NULL : dtr_prop(&p->t, sub, "reg", &len);
	if (data) {
		out->entropy_len = MIN(len, HOST_ENTROPY_MAX);
		memcpy(out->entropy, data, out->entropy_len);
	}
	sub = dtr_find(&p->t, node, "keep-alive");
	types = sub == DTR_NONE ? NULL : dtr_str(&p->t, sub, "device-types");
	out->nvme_keep_alive = types && !strcmp(types, "nvme");
	sub = dtr_find(&p->t, node, "device-dma");
	if (sub != DTR_NONE)
		(void)dtr_u64(&p->t, sub, "total-pages", &out->dma_pages); /* absent: stays 0 */
	return 0;
}

/* --- all --------------------------------------------------------------------------------- */

static int parse_root_child(struct parse *p, uint32_t n)
{
	if (!strncmp(dtr_name(&p->t, n), "memory@", 7))
		return parse_memory(p, n);
	if (dtr_is_named(&p->t, n, "chosen"))
		return parse_chosen(p, n);
	if (dtr_is_named(&p->t, n, "openhcl"))
		return parse_openhcl(p, n);
	if (dtr_compatible(&p->t, n, "simple-bus"))
		return parse_simple_bus(p, n);
	if (dtr_compatible(&p->t, n, "x86-pio-bus"))
		return parse_pio_bus(p, n);
	return 0;
}

/* MMIO is not RAM, and the two buses share nothing. */
static int check_mmio(struct parse *p, const struct host_vmbus *v, const struct host_vmbus *other)
{
	for (size_t i = 0; i < v->n_mmio; i++) {
		const struct host_range *r = &v->mmio[i];

		for (size_t k = 0; k < p->out->n_mem; k++)
			if (range_overlap(r->base, r->len, p->out->mem[k].r.base,
					  p->out->mem[k].r.len))
				return bad(p, "a vmbus range overlaps memory");
		for (size_t k = 0; k < other->n_mmio; k++)
			if (range_overlap(r->base, r->len, other->mmio[k].base, other->mmio[k].len))
				return bad(p, "vmbus ranges of VTL0 and VTL2 overlap");
	}
	if (v->n_mmio == 2 &&
	    range_overlap(v->mmio[0].base, v->mmio[0].len, v->mmio[1].base, v->mmio[1].len))
		return bad(p, "vmbus ranges of one VTL overlap");
	return 0;
}

static int parse_tree(struct parse *p)
{
	uint32_t n, ac, sc;
	int r;

	if (!dtr_u32(&p->t, 0, "#address-cells", &ac) || !dtr_u32(&p->t, 0, "#size-cells", &sc) ||
	    ac != 2 || sc != 2)
		return bad(p, "root: #address-cells and #size-cells must be 2");
	r = parse_cpus(p);
	for (n = dtr_child(&p->t, 0); n != DTR_NONE && r == 0; n = dtr_sibling(&p->t, n))
		r = parse_root_child(p, n);
	if (r < 0)
		return r;
	if (!p->out->n_mem)
		return bad(p, "no memory");
	if (!p->out->vtl0.present || !p->out->vtl2.present)
		return bad(p, "the vmbus node of VTL0 or VTL2 is missing");
	r = check_mmio(p, &p->out->vtl0, &p->out->vtl2);
	return r < 0 ? r : check_mmio(p, &p->out->vtl2, &p->out->vtl0);
}

int host_dt_parse(const void *blob, size_t max, struct host_dt *ret, const char **ret_why)
{
	struct parse p = { .out = ret, .why = "malformed" };
	int r = dtr_open(blob, max, &p.t);

	if (r == -ENOENT)
		p.why = "there is no device tree";
	memset(ret, 0, sizeof(*ret));
	ret->boot_cpu = r < 0 ? 0 : p.t.boot_cpu;
	if (r == 0)
		r = parse_tree(&p);
	if (r < 0)
		*ret_why = p.why;
	return r;
}
