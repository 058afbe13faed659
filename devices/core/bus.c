/* SPDX-License-Identifier: MIT */
/*
 * Claims and dispatch. Ports go through a two-level table (256 rows of 256 ports, a row exists only
 * where something is claimed), MMIO through binary search over the sorted claims. Both are built by
 * bus_freeze() and never change afterwards.
 */
#define LOG_AREA "bus"
#include "bus.h"

#include "ckd.h"
#include "cleanup.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORTS 0x10000u
#define PORT_ROWS 256u
#define PORTS_PER_ROW 256u
#define CACHE_LINE 64u

struct claim {
	uint64_t base;
	uint64_t last; /* inclusive, so that the top of the address space can be claimed */
	struct device *dev;
	uint32_t region;
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

/* Claim index + 1 per port; 0 = nobody. */
struct port_row {
	uint8_t claim[PORTS_PER_ROW];
};

struct bus {
	struct claim_list space[BUS_SPACES];
	uint8_t row_of[PORT_ROWS]; /* row index + 1; 0 = nothing in these 256 ports */
	struct port_row *rows;
	struct vp_counts *counts; /* n_vps + 1; the last set is for everybody else */
	uint32_t n_vps;
	bool frozen;
};

static uint64_t ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (size * 8)) - 1;
}

static bool size_ok(enum bus_space space, unsigned int size)
{
	return size == 1 || size == 2 || size == 4 || (size == 8 && space == BUS_MMIO);
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

int bus_claim(struct bus *bus, enum bus_space space, uint64_t base, uint64_t len, struct device *dev,
	      uint32_t region)
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
	l->c[l->n++] = (struct claim){ .base = base, .last = last, .dev = dev, .region = region };
	return 0;
}

static int claim_cmp(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	return (x->base > y->base) - (x->base < y->base);
}

/* Give every row that holds a claimed port a number; returns how many. */
static size_t number_rows(struct bus *bus)
{
	const struct claim_list *l = &bus->space[BUS_PIO];
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		for (uint64_t r = l->c[i].base / PORTS_PER_ROW; r <= l->c[i].last / PORTS_PER_ROW; r++)
			if (!bus->row_of[r])
				bus->row_of[r] = (uint8_t)++n;
	return n;
}

int bus_freeze(struct bus *bus)
{
	const struct claim_list *l = &bus->space[BUS_PIO];
	size_t n_rows;

	if (bus->frozen)
		return 0;
	for (unsigned int s = 0; s < BUS_SPACES; s++)
		if (bus->space[s].n)
			qsort(bus->space[s].c, bus->space[s].n, sizeof(struct claim), claim_cmp);
	memset(bus->row_of, 0, sizeof(bus->row_of));
	n_rows = number_rows(bus);
	if (n_rows > UINT8_MAX) /* row numbers are bytes: somebody claims every row there is */
		return -ENOSPC;
	bus->rows = calloc(n_rows ? n_rows : 1, sizeof(*bus->rows));
	if (!bus->rows)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++)
		for (uint64_t p = l->c[i].base; p <= l->c[i].last; p++)
			bus->rows[bus->row_of[p / PORTS_PER_ROW] - 1u].claim[p % PORTS_PER_ROW] =
				(uint8_t)(i + 1);
	bus->frozen = true;
	return 0;
}

static const struct claim *find_port(const struct bus *bus, uint64_t port)
{
	unsigned int row, n;

	if (port >= PORTS)
		return NULL;
	row = bus->row_of[port / PORTS_PER_ROW];
	if (!row || !bus->rows)
		return NULL;
	n = bus->rows[row - 1].claim[port % PORTS_PER_ROW];
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
static void unclaimed(struct vp_counts *n, enum bus_space space, uint64_t addr, const char *what)
{
	count_up(&n->unclaimed[space]);
	log_debug_rl(CONF, "%s of unclaimed %s %#llx", what, space_name(space),
		     (unsigned long long)addr);
}

static void bad_access(struct vp_counts *n, struct device *dev, enum bus_space space, uint64_t addr,
		       unsigned int size, const char *what)
{
	count_up(&n->bad);
	(void)atomic_fetch_add_explicit(&dev->count.bad, 1, memory_order_relaxed);
	log_warn_rl(CONF, "%s: bad %u-byte %s of %s %#llx", dev->name, size, what, space_name(space),
		    (unsigned long long)addr);
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
	enum bus_status st = BUS_BAD;
	uint64_t val = 0;

	count_up(&n->reads[space]);
	if (!c) {
		unclaimed(n, space, addr, "read");
		*ret_val = ones(size);
		return;
	}
	if (c->dev->ops->io_read && size_ok(space, size)) {
		struct bus_access a = access_to(c, space, addr, size, vp);
		bool lock = !(c->dev->ops->flags & DEV_LOCKLESS);

		if (lock)
			device_lock(c->dev);
		count_up(&c->dev->count.reads);
		st = c->dev->ops->io_read(c->dev, &a, &val);
		if (lock)
			device_unlock(c->dev);
	}
	if (st != BUS_OK) {
		bad_access(n, c->dev, space, addr, size, "read");
		val = UINT64_MAX;
	}
	*ret_val = val & ones(size);
}

void bus_write(struct bus *bus, enum bus_space space, uint64_t addr, unsigned int size, uint32_t vp,
	       uint64_t val)
{
	const struct claim *c = find(bus, space, addr);
	struct vp_counts *n = counts_of(bus, vp);
	enum bus_status st = BUS_BAD;

	count_up(&n->writes[space]);
	if (!c) {
		unclaimed(n, space, addr, "write");
		return;
	}
	if (c->dev->ops->io_write && size_ok(space, size)) {
		struct bus_access a = access_to(c, space, addr, size, vp);
		bool lock = !(c->dev->ops->flags & DEV_LOCKLESS);

		if (lock)
			device_lock(c->dev);
		count_up(&c->dev->count.writes);
		st = c->dev->ops->io_write(c->dev, &a, val & ones(size));
		if (lock)
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
