/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls about memory that is private from the host. Only isolated partitions have them, and
 * only VTL2: VTL0 does not know that it is isolated. Context, trust: hvcall_host.h.
 * Spec: hypervisor 3.5 (AcceptGpaPages, ModifySparseGpaPageHostVisibility).
 */
#include <errno.h>
#include <string.h>

#include "hvcall_host.h"
#include "hvregs.h"
#include "log.h"

#define LOG_AREA "hypercall"

static enum hv_status status_of(int r)
{
	if (r >= 0)
		return HV_OK;
	if (r == -EFAULT || r == -EEXIST)
		return HV_INVALID_PARAMETER;
	log_warn_rl(ALLOWED, "memory of the isolated partition: error %d", r);
	return r == -ENOSPC || r == -ENOMEM ? HV_INSUFFICIENT_MEMORY : HV_OPERATION_FAILED;
}

/* VTL0's rights on freshly accepted pages. */
static uint32_t initial_rights(const struct hvpart *part, const struct hv_accept_gpa_in *in)
{
	uint64_t cfg = atomic_load(&part->vsm_config);

	if (HV_ACCEPT_VTL_SET(in->attributes))
		return in->permissions[1] & HV_MAP_ALL; /* VTL2's against those below it */
	if (!(cfg & HV_VSM_CFG_ENABLE_VTL_PROTECTION))
		return HV_MAP_ALL;
	return (uint32_t)(cfg >> HV_VSM_CFG_DEFAULT_MASK_SHIFT) & HV_MAP_ALL;
}

enum hv_status hvcall_accept_pages(struct hvcall *c)
{
	struct hvpart *part = c->vp->part;
	uint32_t pages = c->reps - c->start, visible;
	struct hv_accept_gpa_in in;
	int r;

	memcpy(&in, c->in, sizeof(in));
	visible = HV_ACCEPT_VISIBILITY(in.attributes);
	if (!part->isolated)
		return HV_OPERATION_DENIED;
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	if ((in.attributes & HV_ACCEPT_RESERVED) || HV_ACCEPT_TYPE(in.attributes) > HV_ACCEPT_RAM ||
	    (visible != HV_VISIBLE_NONE && visible != HV_VISIBLE_READ_WRITE) ||
	    (HV_ACCEPT_VTL_SET(in.attributes) & ~4u))
		return HV_INVALID_PARAMETER;
	(void)pthread_mutex_lock(&part->prot_lock);
	part_hold(part);
	r = mem_host_accept(&part->mem, part->vtl[VTL0].vm, part->vtl[VTL2].vm, in.gpn + c->start,
			    pages, initial_rights(part, &in));
	if (r >= 0 && visible)
		r = mem_host_share(&part->mem, in.gpn + c->start, pages, true);
	part_release(part);
	(void)pthread_mutex_unlock(&part->prot_lock);
	if (r >= 0)
		c->reps_done = c->reps;
	return status_of(r);
}

static gpn_t list_gpn(const struct hvcall *c, uint32_t i)
{
	gpn_t gpn;

	memcpy(&gpn, c->in + sizeof(struct hv_visibility_in) + i * sizeof(gpn), sizeof(gpn));
	return gpn;
}

enum hv_status hvcall_host_visibility(struct hvcall *c)
{
	struct hvpart *part = c->vp->part;
	struct hv_visibility_in in;
	int r = 0;

	memcpy(&in, c->in, sizeof(in));
	if (!part->isolated)
		return HV_OPERATION_DENIED;
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	if (in.rsvd || (in.visibility != HV_VISIBLE_NONE && in.visibility != HV_VISIBLE_READ_WRITE))
		return HV_INVALID_PARAMETER;
	(void)pthread_mutex_lock(&part->prot_lock);
	/* Neighbours in the list are changed in one go. */
	for (uint32_t i = c->start, n; i < c->reps && r >= 0; i += n) {
		gpn_t first = list_gpn(c, i);

		for (n = 1; i + n < c->reps && list_gpn(c, i + n) == first + n;)
			n++;
		r = mem_host_share(&part->mem, first, n, in.visibility != HV_VISIBLE_NONE);
		if (r >= 0)
			c->reps_done = i + n;
	}
	(void)pthread_mutex_unlock(&part->prot_lock);
	return status_of(r);
}
