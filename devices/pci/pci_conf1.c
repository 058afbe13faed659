/* SPDX-License-Identifier: MIT */
#include "pci_conf1.h"

#include "bus.h"
#include "inspect.h"

#include <errno.h>
#include <stdlib.h>

#define FUNCTIONS_MAX 16u
#define ENABLE 0x80000000u

enum { REGION_ADDRESS, REGION_DATA };

struct pci_conf1 {
	struct device dev;
	uint32_t address;
	unsigned n;
	struct {
		unsigned devfn;
		struct pci_conf1_fn ops;
	} fns[FUNCTIONS_MAX];
};

static struct pci_conf1 *of(struct device *dev)
{
	return container_of(dev, struct pci_conf1, dev);
}

/* Who is addressed; NULL: nobody. */
static const struct pci_conf1_fn *addressed(const struct pci_conf1 *p)
{
	const unsigned devfn = p->address >> 8 & 0xff;

	if (!(p->address & ENABLE) || p->address >> 16 & 0xff)
		return NULL;
	for (unsigned i = 0; i < p->n; i++) {
		if (p->fns[i].devfn == devfn)
			return &p->fns[i].ops;
	}
	return NULL;
}

static enum bus_status conf1_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	const struct pci_conf1 *p = of(dev);
	const struct pci_conf1_fn *fn = addressed(p);
	uint32_t val = 0xffffffff;

	if (a->region == REGION_ADDRESS) {
		if (a->size != 4)
			return BUS_BAD;
		*ret_val = p->address;
		return BUS_OK;
	}
	if (a->size > 4 - a->off)
		return BUS_BAD;
	if (fn)
		val = fn->read(fn->ctx, p->address >> 2 & 63);
	*ret_val = val >> 8 * a->off;
	return BUS_OK;
}

static enum bus_status conf1_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct pci_conf1 *p = of(dev);
	const struct pci_conf1_fn *fn = addressed(p);
	const unsigned shift = 8 * (unsigned)a->off;

	if (a->region == REGION_ADDRESS) {
		if (a->size != 4)
			return BUS_BAD;
		p->address = (uint32_t)val;
		return BUS_OK;
	}
	if (a->size > 4 - a->off)
		return BUS_BAD;
	if (fn)
		fn->write(fn->ctx, p->address >> 2 & 63, (uint32_t)(val << shift),
			  (uint32_t)(((1ull << 8 * a->size) - 1) << shift));
	return BUS_OK;
}

static void conf1_reset(struct device *dev)
{
	of(dev)->address = 0;
}

static void conf1_inspect(struct device *dev, struct inspect *in)
{
	uint32_t address;

	device_lock(dev);
	address = of(dev)->address;
	device_unlock(dev);
	inspect_hex(in, SENS_SENSITIVE, "address", address);
	inspect_u64(in, SENS_UNSPEC, "functions", of(dev)->n);
}

static void conf1_destroy(struct device *dev)
{
	device_fini(dev);
	free(of(dev));
}

static const struct device_ops conf1_ops = {
	.name = "pci_conf1",
	.reset = conf1_reset,
	.io_read = conf1_read,
	.io_write = conf1_write,
	.inspect = conf1_inspect,
	.destroy = conf1_destroy,
};

int pci_conf1_create(struct bus *bus, struct pci_conf1 **ret_p)
{
	struct pci_conf1 *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	device_init(&p->dev, &conf1_ops, "pci");
	/* One port: the next one belongs to the reset register. */
	r = bus_claim(bus, BUS_PIO, PCI_CONF1_ADDRESS_PORT, 1, &p->dev, REGION_ADDRESS);
	if (r == 0)
		r = bus_claim(bus, BUS_PIO, PCI_CONF1_DATA_PORT, 4, &p->dev, REGION_DATA);
	if (r < 0) {
		device_destroy(&p->dev);
		return r;
	}
	*ret_p = p;
	return 0;
}

struct device *pci_conf1_device(struct pci_conf1 *p)
{
	return &p->dev;
}

int pci_conf1_add(struct pci_conf1 *p, unsigned dev, unsigned fn, const struct pci_conf1_fn *ops)
{
	if (dev > 31 || fn > 7)
		return -EINVAL;
	for (unsigned i = 0; i < p->n; i++) {
		if (p->fns[i].devfn == (dev << 3 | fn))
			return -EEXIST;
	}
	if (p->n == FUNCTIONS_MAX)
		return -ENOSPC;
	p->fns[p->n].devfn = dev << 3 | fn;
	p->fns[p->n++].ops = *ops;
	return 0;
}
