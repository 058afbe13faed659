/* SPDX-License-Identifier: MIT */
/* GetVpRegisters, SetVpRegisters. */
#include <string.h>

#include "hvcall_host.h"
#include "log.h"
#include "regs_host.h"

#define LOG_AREA "hypercall"

/* Registers belong to the processor that asks: others are running. */
static enum hv_status check_head(const struct hvcall *c, enum vtl_index *ret_v)
{
	struct hv_regs_in in;

	memcpy(&in, c->in, sizeof(in));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	if (in.vp != HV_VP_SELF && in.vp != c->vp->index)
		return part_vp(c->vp->part, in.vp) ? HV_INVALID_VP_STATE : HV_INVALID_VP_INDEX;
	return hvcall_host_vtl(c, in.vtl, ret_v);
}

enum hv_status hvcall_get_regs(struct hvcall *c)
{
	enum vtl_index v;
	enum hv_status st = check_head(c, &v);

	for (uint32_t i = c->start; i < c->reps && st == HV_OK; i++) {
		union hv_regval val;
		uint32_t name;

		memcpy(&name, c->in + sizeof(struct hv_regs_in) + i * sizeof(name), sizeof(name));
		st = regs_host_get(c->vp, v, name, &val);
		if (st != HV_OK) {
			log_debug_rl(ALLOWED, "vp %u: register %#x of VTL%u not readable",
				     c->vp->index, name, VTL_NUMBER(v));
			break;
		}
		memcpy(c->out + i * sizeof(val), &val, sizeof(val));
		c->reps_done = i + 1;
	}
	return st;
}

enum hv_status hvcall_set_regs(struct hvcall *c)
{
	enum vtl_index v;
	enum hv_status st = check_head(c, &v);

	for (uint32_t i = c->start; i < c->reps && st == HV_OK; i++) {
		struct hv_reg_assoc a;

		memcpy(&a, c->in + sizeof(struct hv_regs_in) + i * sizeof(a), sizeof(a));
		st = regs_host_set(c->vp, v, a.name, &a.val);
		if (st != HV_OK) {
			log_debug_rl(ALLOWED, "vp %u: register %#x of VTL%u not set (status %#x)",
				     c->vp->index, a.name, VTL_NUMBER(v), st);
			break;
		}
		c->reps_done = i + 1;
	}
	return st;
}
