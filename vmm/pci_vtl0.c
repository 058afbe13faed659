/* SPDX-License-Identifier: MIT */
#include "pci_vtl0.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "inspect.h"
#include "vpci.h"

struct entry {
	_Atomic(struct vpci *) v; /* NULL: nothing there */
	const struct pci_func *f;
	struct guid instance;
};

struct pci_vtl0 {
	struct pci_vtl0_cfg cfg;
	struct entry entry[PCI_VTL0_MAX];
	uint32_t serial; /* of the last one made */
};

/* Acquire pairs with the release in pci_vtl0_add(): what is found is complete. */
static struct vpci *at(struct pci_vtl0 *p, unsigned i)
{
	return atomic_load_explicit(&p->entry[i].v, memory_order_acquire);
}

static bool rest_read(void *ctx, uint64_t addr, unsigned size, uint64_t *ret_val)
{
	struct pci_vtl0 *p = ctx;

	for (unsigned i = 0; i < PCI_VTL0_MAX; i++) {
		struct vpci *v = at(p, i);

		if (v && vpci_mmio_read(v, addr, size, ret_val))
			return true;
	}
	return false;
}

static bool rest_write(void *ctx, uint64_t addr, unsigned size, uint64_t val)
{
	struct pci_vtl0 *p = ctx;

	for (unsigned i = 0; i < PCI_VTL0_MAX; i++) {
		struct vpci *v = at(p, i);

		if (v && vpci_mmio_write(v, addr, size, val))
			return true;
	}
	return false;
}

struct bus_rest pci_vtl0_rest(struct pci_vtl0 *p)
{
	return (struct bus_rest){ .read = rest_read, .write = rest_write, .ctx = p };
}

int pci_vtl0_retarget(struct pci_vtl0 *p, uint64_t device_id, uint64_t addr, uint32_t data,
		      uint32_t vector, uint32_t vp)
{
	int r = -ENOENT;

	for (unsigned i = 0; i < PCI_VTL0_MAX && r == -ENOENT; i++) {
		struct vpci *v = at(p, i);

		if (v)
			r = vpci_retarget(v, device_id, addr, data, vector, &vp, 1);
	}
	return r;
}

int pci_vtl0_create(const struct pci_vtl0_cfg *cfg, struct pci_vtl0 **ret_p)
{
	struct pci_vtl0 *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->cfg = *cfg;
	*ret_p = p;
	return 0;
}

void pci_vtl0_destroy(struct pci_vtl0 *p)
{
	free(p);
}

static struct entry *free_entry(struct pci_vtl0 *p)
{
	for (unsigned i = 0; i < PCI_VTL0_MAX; i++) {
		if (!at(p, i))
			return &p->entry[i];
	}
	return NULL;
}

int pci_vtl0_add(struct pci_vtl0 *p, const struct guid *instance, struct pci_func *f)
{
	const struct vpci_cfg cfg = { .instance = *instance,
				      .serial = p->serial + 1,
				      .server = p->cfg.server,
				      .loop = p->cfg.ctl,
				      .func = f,
				      .vps = p->cfg.vps,
				      .apic_ids = p->cfg.apic_ids };
	struct entry *e = free_entry(p);
	struct vpci *v;
	int r;

	if (!e)
		return -ENOSPC;
	r = vpci_create(&cfg, &v);
	if (r)
		return r;
	p->serial++;
	e->f = f;
	e->instance = *instance;
	atomic_store_explicit(&e->v, v, memory_order_release);
	return 0;
}

bool pci_vtl0_remove(struct pci_vtl0 *p, const struct pci_func *f, void (*done)(void *ctx),
		     void *ctx)
{
	for (unsigned i = 0; i < PCI_VTL0_MAX; i++) {
		struct vpci *v = at(p, i);

		if (!v || p->entry[i].f != f)
			continue;
		atomic_store_explicit(&p->entry[i].v, NULL, memory_order_release);
		vpci_destroy(v, done, ctx);
		return true;
	}
	return false;
}

void pci_vtl0_inspect(struct inspect *in, const void *obj)
{
	const struct pci_vtl0 *p = obj;

	for (unsigned i = 0; i < PCI_VTL0_MAX; i++) {
		const struct vpci *v = atomic_load_explicit(&p->entry[i].v, memory_order_acquire);
		char id[GUID_STR_LEN + 1];

		guid_format(&p->entry[i].instance, id);
		if (v)
			inspect_dir(in, SENS_UNSPEC, id, vpci_inspect, v);
	}
}
