/* SPDX-License-Identifier: MIT */
/*
 * Claims and dispatch. Ports go through a two-level table (256 rows of 256 ports; rows without any
 * claim share an empty one), MMIO through binary search over the sorted claims. Both are built by
 * bus_freeze() and never change afterwards. What a claim's device can do is copied into the claim,
 * so that an access touches as little memory as possible.
 */
#define LOG_AREA "bus"
#include "bus.h"

#include "ckd.h"
#include "cleanup.h"
#include "inspect.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 0x10000u
#define PORT_ROWS 256u
#define PORTS_PER_ROW 256u
#define CACHE_LINE 64u

struct claim {
	uint64_t base;
	uint64_t last; /* inclusive, so that the top of the address space can be claimed */
	struct device *dev; /* NULL: nobody */
	enum bus_status (*read)(struct device *dev, const struct bus_access *a, uint64_t *ret_val);
	enum bus_status (*write)(struct device *dev, const struct bus_access *a, uint64_t val);
	uint32_t region;
	bool locked; /* take dev->lock */
};

struct claim_list {
	struct claim *c; /* sorted by base once frozen */
	size_t n;
};

/* One VP's counters. Written by that VP's thread only, so plain load and store suffice. */
struct vp_counts {
	_Alignas(CACHE_LINE) atomic_ullong reads[BUS_SPACES];
	atomic_ullong writes[BUS_SPACES];
	atomic_ullong unclaimed[BUS_SPACES];
	atomic_ullong bad;
};

/* Index into the sorted claims plus 1; 0 = nobody. */
struct port_row {
	uint8_t claim[PORTS_PER_ROW];
};

static const struct port_row empty_row;

struct bus {
	struct claim_list space[BUS_SPACES];
	const struct port_row *row[PORT_ROWS];
	struct port_row *rows; /* those that are not empty_row */
	struct vp_counts *counts; /* n_vps + 1; the last set is for everybody else */
	uint32_t n_vps;
	bool frozen;
	struct bus_rest rest;
};

static uint64_t ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (size * 8)) - 1;
}

/* Bits of an access of this size; 0 = there is no such access. */
static inline uint64_t size_mask(enum bus_space space, unsigned int size)
{
	static const uint64_t mask[BUS_SPACES][9] = {
		[BUS_PIO] = { [1] = 0xff, [2] = 0xffff, [4] = 0xffffffff },
		[BUS_MMIO] = { [1] = 0xff, [2] = 0xffff, [4] = 0xffffffff, [8] = UINT64_MAX },
	};

	return size <= 8 ? mask[space][size] : 0;
}

static enum bus_status no_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	return BUS_BAD;
}

static enum bus_status no_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	return BUS_BAD;
}

int bus_create(unsigned int n_vps, struct bus **ret_bus)
{
	auto_free struct bus *bus = NULL;
	size_t bytes;

	if (n_vps == 0 || n_vps == UINT32_MAX)
		return -EINVAL;
	bus = calloc(1, sizeof(*bus));
	if (!bus)
		return -ENOMEM;
	if (ckd_mul(&bytes, (size_t)n_vps + 1, sizeof(*bus->counts)))
		return -EINVAL;
	bus->counts = aligned_alloc(CACHE_LINE, bytes);
	if (!bus->counts)
		return -ENOMEM;
	memset(bus->counts, 0, bytes);
	bus->n_vps = n_vps;
	for (size_t i = 0; i < PORT_ROWS; i++)
		bus->row[i] = &empty_row;
	*ret_bus = take_ptr(bus);
	return 0;
}

void bus_destroy(struct bus *bus)
{
	if (!bus)
		return;
	for (unsigned int s = 0; s < BUS_SPACES; s++)
		free(bus->space[s].c);
	free(bus->rows);
	free(bus->counts);
	free(bus);
}

int bus_claim(struct bus *bus, enum bus_space space, uint64_t base, uint64_t len,
	      struct device *dev, uint32_t region)
{
	struct claim_list *l = &bus->space[space];
	uint64_t last;
	struct claim *c;

	if (bus->frozen || len == 0 || ckd_add(&last, base, len - 1))
		return -EINVAL;
	if (space == BUS_PIO && last >= PORTS)
		return -EINVAL;
	for (size_t i = 0; i < l->n; i++)
		if (base <= l->c[i].last && l->c[i].base <= last)
			return -EEXIST;
	if (l->n >= BUS_CLAIMS_MAX)
		return -ENOSPC;
	c = reallocarray(l->c, l->n + 1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	l->c = c;
	l->c[l->n++] = (struct claim){
		.base = base,
		.last = last,
		.dev = dev,
		.read = dev->ops->io_read ? dev->ops->io_read : no_read,
		.write = dev->ops->io_write ? dev->ops->io_write : no_write,
		.region = region,
		.locked = !(dev->ops->flags & DEV_LOCKLESS),
	};
	return 0;
}

static int claim_cmp(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	return (x->base > y->base) - (x->base < y->base);
}

/* Does any claim reach into these 256 ports? */
static bool row_used(const struct claim_list *l, uint64_t row)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->c[i].base / PORTS_PER_ROW <= row && row <= l->c[i].last / PORTS_PER_ROW)
			return true;
	return false;
}

static int build_rows(struct bus *bus)
{
	const struct claim_list *l = &bus->space[BUS_PIO];
	size_t n = 0;

	for (uint64_t row = 0; row < PORT_ROWS; row++)
		n += row_used(l, row);
	bus->rows = calloc(n ? n : 1, sizeof(*bus->rows));
	if (!bus->rows)
		return -ENOMEM;
	n = 0;
	for (uint64_t row = 0; row < PORT_ROWS; row++)
		if (row_used(l, row))
			bus->row[row] = &bus->rows[n++];
	for (size_t i = 0; i < l->n; i++)
		for (uint64_t p = l->c[i].base; p <= l->c[i].last; p++) {
			size_t idx = (size_t)(bus->row[p / PORTS_PER_ROW] - bus->rows);

			bus->rows[idx].claim[p % PORTS_PER_ROW] = (uint8_t)(i + 1);
		}
	return 0;
}

int bus_freeze(struct bus *bus)
{
	int r;

	if (bus->frozen)
		return 0;
	for (unsigned int s = 0; s < BUS_SPACES; s++)
		if (bus->space[s].n)
			qsort(bus->space[s].c, bus->space[s].n, sizeof(struct claim), claim_cmp);
	r = build_rows(bus);
	if (r < 0)
		return r;
	bus->frozen = true;
	return 0;
}

static inline const struct claim *find_port(const struct bus *bus, uint64_t port)
{
	unsigned int n;

	if (port >= PORTS)
		return NULL;
	n = bus->row[port / PORTS_PER_ROW]->claim[port % PORTS_PER_ROW];
	return n ? &bus->space[BUS_PIO].c[n - 1] : NULL;
}

static const struct claim *find_mmio(const struct bus *bus, uint64_t addr)
{
	const struct claim_list *l = &bus->space[BUS_MMIO];
	size_t lo = 0, hi = bus->frozen ? l->n : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr > l->c[mid].last)
			lo = mid + 1;
		else if (addr < l->c[mid].base)
			hi = mid;
		else
			return &l->c[mid];
	}
	return NULL;
}

static inline const struct claim *find(const struct bus *bus, enum bus_space space, uint64_t addr)
{
	return space == BUS_PIO ? find_port(bus, addr) : find_mmio(bus, addr);
}

static inline struct vp_counts *counts_of(struct bus *bus, uint32_t vp)
{
	return &bus->counts[vp < bus->n_vps ? vp : bus->n_vps];
}

static const char *space_name(enum bus_space space)
{
	return space == BUS_PIO ? "port" : "address";
}

/* Nobody answers: expected of a guest that probes, so this is only worth a debug line. */
static __attribute__((noinline, cold)) void unclaimed(struct vp_counts *n, enum bus_space space,
						      uint64_t addr, const char *what)
{
	count_up(&n->unclaimed[space]);
	log_debug_rl(CONF, "%s of unclaimed %s %#llx", what, space_name(space),
		     (unsigned long long)addr);
}

/* Nobody claimed it: perhaps it is where a guest has put something. */
static bool rest_reads(struct bus *bus, enum bus_space space, uint64_t addr, unsigned int size,
		       uint64_t *ret_val)
{
	const struct bus_rest *r = &bus->rest;
	const uint64_t mask = size_mask(space, size);
	uint64_t val;

	if (space != BUS_MMIO || !r->read || !mask || !r->read(r->ctx, addr, size, &val))
		return false;
	*ret_val = val & mask;
	return true;
}

static bool rest_writes(struct bus *bus, enum bus_space space, uint64_t addr, unsigned int size,
			uint64_t val)
{
	const struct bus_rest *r = &bus->rest;
	const uint64_t mask = size_mask(space, size);

	return space == BUS_MMIO && r->write && mask && r->write(r->ctx, addr, size, val & mask);
}

void bus_set_rest(struct bus *bus, const struct bus_rest *rest)
{
	bus->rest = rest ? *rest : (struct bus_rest){ 0 };
}

static __attribute__((noinline, cold)) void bad_access(struct vp_counts *n, struct device *dev,
						       enum bus_space space, uint64_t addr,
						       unsigned int size, const char *what)
{
	count_up(&n->bad);
	(void)atomic_fetch_add_explicit(&dev->count.bad, 1, memory_order_relaxed);
	log_warn_rl(CONF, "%s: bad %u-byte %s of %s %#llx", dev->name, size, what,
		    space_name(space), (unsigned long long)addr);
}

static inline struct bus_access access_to(const struct claim *c, enum bus_space space,
					  uint64_t addr, unsigned int size, uint32_t vp)
{
	return (struct bus_access){
		.space = space,
		.size = (uint8_t)size,
		.region = c->region,
		.vp = vp,
		.addr = addr,
		.off = addr - c->base,
	};
}

void bus_read(struct bus *bus, enum bus_space space, uint64_t addr, unsigned int size, uint32_t vp,
	      uint64_t *ret_val)
{
	const struct claim *c = find(bus, space, addr);
	struct vp_counts *n = counts_of(bus, vp);
	uint64_t mask = size_mask(space, size), val = 0;
	enum bus_status st = BUS_BAD;

	count_up(&n->reads[space]);
	if (!c && rest_reads(bus, space, addr, size, ret_val))
		return;
	if (!c) {
		unclaimed(n, space, addr, "read");
		*ret_val = ones(size);
		return;
	}
	if (mask) {
		struct bus_access a = access_to(c, space, addr, size, vp);

		if (c->locked)
			device_lock(c->dev);
		count_up(&c->dev->count.reads);
		st = c->read(c->dev, &a, &val);
		if (c->locked)
			device_unlock(c->dev);
	}
	if (st != BUS_OK) {
		bad_access(n, c->dev, space, addr, size, "read");
		*ret_val = ones(size);
		return;
	}
	*ret_val = val & mask;
}

void bus_write(struct bus *bus, enum bus_space space, uint64_t addr, unsigned int size, uint32_t vp,
	       uint64_t val)
{
	const struct claim *c = find(bus, space, addr);
	struct vp_counts *n = counts_of(bus, vp);
	uint64_t mask = size_mask(space, size);
	enum bus_status st = BUS_BAD;

	count_up(&n->writes[space]);
	if (!c && rest_writes(bus, space, addr, size, val))
		return;
	if (!c) {
		unclaimed(n, space, addr, "write");
		return;
	}
	if (mask) {
		struct bus_access a = access_to(c, space, addr, size, vp);

		if (c->locked)
			device_lock(c->dev);
		count_up(&c->dev->count.writes);
		st = c->write(c->dev, &a, val & mask);
		if (c->locked)
			device_unlock(c->dev);
	}
	if (st != BUS_OK)
		bad_access(n, c->dev, space, addr, size, "write");
}

struct device *bus_owner(const struct bus *bus, enum bus_space space, uint64_t addr)
{
	const struct claim *c = find(bus, space, addr);

	return c ? c->dev : NULL;
}

static uint64_t count_get(const atomic_ullong *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

void bus_stats(const struct bus *bus, struct bus_counts *ret_counts)
{
	struct bus_counts sum = { 0 };

	for (size_t i = 0; i <= bus->n_vps; i++) {
		const struct vp_counts *n = &bus->counts[i];

		for (unsigned int s = 0; s < BUS_SPACES; s++) {
			sum.reads[s] += count_get(&n->reads[s]);
			sum.writes[s] += count_get(&n->writes[s]);
			sum.unclaimed[s] += count_get(&n->unclaimed[s]);
		}
		sum.bad += count_get(&n->bad);
	}
	*ret_counts = sum;
}

/* ---- inspect ------------------------------------------------------------------------------- */

static void inspect_vp(struct inspect *in, const void *obj)
{
	const struct vp_counts *n = obj;

	inspect_count(in, SENS_UNSPEC, "pio_reads", count_get(&n->reads[BUS_PIO]));
	inspect_count(in, SENS_UNSPEC, "pio_writes", count_get(&n->writes[BUS_PIO]));
	inspect_count(in, SENS_UNSPEC, "pio_unclaimed", count_get(&n->unclaimed[BUS_PIO]));
	inspect_count(in, SENS_UNSPEC, "mmio_reads", count_get(&n->reads[BUS_MMIO]));
	inspect_count(in, SENS_UNSPEC, "mmio_writes", count_get(&n->writes[BUS_MMIO]));
	inspect_count(in, SENS_UNSPEC, "mmio_unclaimed", count_get(&n->unclaimed[BUS_MMIO]));
	inspect_count(in, SENS_UNSPEC, "bad", count_get(&n->bad));
}

static void inspect_vps(struct inspect *in, const void *obj)
{
	const struct bus *bus = obj;

	for (uint32_t i = 0; i < bus->n_vps; i++)
		inspect_dir_at(in, SENS_UNSPEC, i, inspect_vp, &bus->counts[i]);
}

static void inspect_claims(struct inspect *in, const void *obj)
{
	const struct claim_list *l = obj;
	char name[40];

	for (size_t i = 0; i < l->n; i++) {
		(void)snprintf(name, sizeof(name), "0x%" PRIx64 "-0x%" PRIx64, l->c[i].base,
			       l->c[i].last);
		inspect_str(in, SENS_UNSPEC, name, l->c[i].dev->name);
	}
}

void bus_inspect(struct inspect *in, const void *obj)
{
	const struct bus *bus = obj;

	inspect_dir(in, SENS_UNSPEC, "vp", inspect_vps, bus);
	if (!bus->frozen)
		return;
	inspect_dir(in, SENS_UNSPEC, "pio", inspect_claims, &bus->space[BUS_PIO]);
	inspect_dir(in, SENS_UNSPEC, "mmio", inspect_claims, &bus->space[BUS_MMIO]);
}
