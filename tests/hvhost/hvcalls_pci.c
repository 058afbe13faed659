/* SPDX-License-Identifier: MIT */
/* The hypercall that moves a device's message to other processors. */
#include <errno.h>
#include <string.h>

#include "ckd.h"
#include "hvcall_host.h"
#include "log.h"
#include "pci_host.h"

#define LOG_AREA "hypercall"

#define BANKS 64

struct targets {
	uint32_t vp[PCI_HOST_TARGETS];
	unsigned n;
};

/* The processors of a word of the mask. False: one of them does not exist. */
static bool add_bank(const struct hvpart *part, uint32_t bank, uint64_t mask, struct targets *t)
{
	for (; mask; mask &= mask - 1) {
		uint32_t index = bank * 64 + (uint32_t)__builtin_ctzll(mask);

		if (index >= part->n_vps)
			return false;
		if (t->n < PCI_HOST_TARGETS)
			t->vp[t->n++] = index;
	}
	return true;
}

static bool add_all(const struct hvpart *part, struct targets *t)
{
	for (uint32_t i = 0; i < part->n_vps && t->n < PCI_HOST_TARGETS; i++)
		t->vp[t->n++] = i;
	return true;
}

/* Format, mask of banks, the banks; what was not handed over does not count. */
static bool read_set(const struct hvcall *c, const struct hv_retarget_in *in, struct targets *t)
{
	size_t off = sizeof(*in);
	uint64_t valid, bank;

	if (in->mask == HV_VPSET_ALL)
		return add_all(c->vp->part, t);
	if (in->mask != HV_VPSET_SPARSE_4K || !range_ok(off, sizeof(valid), c->in_len))
		return false;
	memcpy(&valid, c->in + off, sizeof(valid));
	off += sizeof(valid);
	for (uint32_t i = 0; i < BANKS; i++) {
		if (!(valid & BIT(i)))
			continue;
		if (!range_ok(off, sizeof(bank), c->in_len))
			return false;
		memcpy(&bank, c->in + off, sizeof(bank));
		off += sizeof(bank);
		if (!add_bank(c->vp->part, i, bank, t))
			return false;
	}
	return true;
}

enum hv_status pci_host_retarget(struct pci_host *ph, const struct hvcall *c)
{
	struct targets t = { .n = 0 };
	struct hv_retarget_in in;

	memcpy(&in, c->in, sizeof(in));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	if (in.source != HV_RETARGET_SOURCE_MSI || !ph)
		return HV_INVALID_PARAMETER;
	if (!(in.flags & HV_RETARGET_SET ? read_set(c, &in, &t)
					 : add_bank(c->vp->part, 0, in.mask, &t)) ||
	    !t.n)
		return HV_INVALID_PARAMETER;
	switch (pci_host_move(ph, in.device_id, in.address, in.data, in.vector, t.vp, t.n)) {
	case 0:
		return HV_OK;
	case -ENOENT:
		return HV_INVALID_DEVICE_ID;
	default:
		return HV_INVALID_PARAMETER;
	}
}

/* We assign no devices to VTL0 ourselves: a device of its is VTL2's or nobody's. */
enum hv_status hvcall_retarget(struct hvcall *c)
{
	struct hvpart *part = c->vp->part;

	if (c->caller == VTL2)
		return pci_host_retarget(part->pci, c);
	if (atomic_load_explicit(&part->retarget, memory_order_relaxed) & HV_ACCESS_EXECUTE)
		c->forward = true;
	return HV_INVALID_DEVICE_ID;
}
