/* SPDX-License-Identifier: MIT */
/*
 * Messages of a VPCI function. What the client is given is the number of an entry and its
 * generation, dressed up as a message; what is sent is made from the entry at that moment.
 */
#include "msi.h"
#include "vpci_priv.h"

#include <errno.h>

#define FIRST_VECTOR 16u
#define MODE_LOWEST 1u

/* The entry a message stands for; NULL: none, or one that has been deleted. */
static _Atomic uint64_t *find(struct vpci *v, uint64_t addr, uint32_t data, uint64_t *ret_target)
{
	const uint32_t i = data & 0xffff;
	uint64_t t;

	if (addr != MSI_X86_ADDR || i >= VPCI_MSGS)
		return NULL;
	t = atomic_load_explicit(&v->target[i], memory_order_relaxed);
	if (!(t & TARGET_VALID) || TARGET_GEN(t) != data >> 16)
		return NULL;
	*ret_target = t;
	return &v->target[i];
}

int vpci_msg_create(struct vpci *v, const struct vpci_want *want, struct vpci_remapped *ret_msi)
{
	uint32_t i = 0;

	/* MSI-X only: every entry of the table has a message of its own. */
	if (want->count != 1 || want->vector > 0xff || want->mode > MODE_LOWEST ||
	    want->vp >= v->cfg.vps)
		return -EINVAL;
	while (i < VPCI_MSGS &&
	       (atomic_load_explicit(&v->target[i], memory_order_relaxed) & TARGET_VALID))
		i++;
	if (i == VPCI_MSGS)
		return -ENOSPC;
	v->gen++;
	*ret_msi = (struct vpci_remapped){ .count = 1,
					   .data = (uint32_t)v->gen << 16 | i,
					   .addr = MSI_X86_ADDR };
	atomic_store_explicit(&v->target[i],
			      TARGET(v->gen, v->cfg.apic_ids[want->vp] & 0x7fff, want->vector),
			      memory_order_relaxed);
	return 0;
}

int vpci_msg_delete(struct vpci *v, uint64_t addr, uint32_t data)
{
	uint64_t t;
	_Atomic uint64_t *p = find(v, addr, data, &t);

	if (!p)
		return -ENOENT;
	atomic_store_explicit(p, 0, memory_order_relaxed);
	return 0;
}

void vpci_msg_clear(struct vpci *v)
{
	for (uint32_t i = 0; i < VPCI_MSGS; i++)
		atomic_store_explicit(&v->target[i], 0, memory_order_relaxed);
}

bool vpci_msg_remap(void *ctx, uint64_t *addr, uint32_t *data)
{
	uint64_t t;

	if (!find(ctx, *addr, *data, &t) || TARGET_VECTOR(t) < FIRST_VECTOR)
		return false;
	*addr = MSI_X86_ADDR | (TARGET_DEST(t) & 0xff) << 12 | TARGET_DEST(t) >> 8 << 5;
	*data = TARGET_VECTOR(t) | MSI_X86_DATA_ASSERT;
	return true;
}

/* As the client makes it of the instance: its second and third word, and the function, 0. */
static uint64_t device_id(const struct guid *instance)
{
	return (uint64_t)instance->d2 << 16 | (instance->d3 & 0xfff8u);
}

int vpci_retarget(struct vpci *v, uint64_t id, uint64_t addr, uint32_t data, uint32_t vector,
		  const uint32_t *vps, unsigned n_vps)
{
	_Atomic uint64_t *p;
	uint64_t t;

	if (id != device_id(&v->cfg.instance))
		return -ENOENT;
	p = find(v, addr, data, &t);
	if (!p)
		return -ENOENT;
	if (!n_vps || vps[0] >= v->cfg.vps || vector < FIRST_VECTOR || vector > 0xff)
		return -EINVAL;
	/* It may be deleted, even made anew, at the same time: then not this one is changed. */
	while (!atomic_compare_exchange_weak_explicit(p, &t,
						      TARGET(TARGET_GEN(t),
							     v->cfg.apic_ids[vps[0]] & 0x7fff,
							     vector),
						      memory_order_relaxed, memory_order_relaxed)) {
		if (!(t & TARGET_VALID) || TARGET_GEN(t) != data >> 16)
			return -ENOENT;
	}
	atomic_fetch_add_explicit(&v->retargets, 1, memory_order_relaxed);
	return 0;
}
