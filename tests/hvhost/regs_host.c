/* SPDX-License-Identifier: MIT */
#include "regs_host.h"

#include <errno.h>
#include <string.h>

#include "cpuid_host.h"
#include "hcpage.h"
#include "hvregs.h"
#include "log.h"
#include "msr_host.h"
#include "regs_kvm.h"
#include "synic_host.h"
#include "vp_host.h"

#define LOG_AREA "regs"

/* Both VTLs exist, VTL1 does not. */
#define ENABLED_VTLS 5ull
#define MAX_VTL 2ull
#define REGISTER_PAGE_VERSION 1

static enum hv_status get_vsm(struct hvvp *vp, enum vtl_index v, uint32_t name, uint64_t *ret_val)
{
	switch (name) {
	case HVREG_VSM_CODE_PAGE_OFFSETS:
		*ret_val = HCPAGE_VSM_OFFSETS;
		return HV_OK;
	case HVREG_VSM_VP_STATUS: /* the VTL that asks is the active one */
		*ret_val = MAX_VTL | ENABLED_VTLS << 16;
		return HV_OK;
	case HVREG_VSM_PARTITION_STATUS:
		*ret_val = ENABLED_VTLS | MAX_VTL << 16;
		return HV_OK;
	case HVREG_VSM_CAPABILITIES:
		*ret_val = HV_VSM_CAP_INTERCEPT_PAGE | HV_VSM_CAP_RETURN_ACTION;
		return HV_OK;
	case HVREG_VSM_PARTITION_CONFIG:
		*ret_val = atomic_load(&vp->part->vsm_config);
		return HV_OK;
	case HVREG_GUEST_VSM_PARTITION_CONFIG:
	case HVREG_VSM_VINA:
	case HVREG_VSM_VP_WAIT_FOR_TLB_LOCK:
		*ret_val = 0;
		return HV_OK;
	case HVREG_VSM_VP_SECURE_CONFIG_VTL0:
		*ret_val = vp->secure_config;
		return HV_OK;
	default:
		(void)v;
		return HV_UNKNOWN_REGISTER_NAME;
	}
}

static enum hv_status set_vsm(struct hvvp *vp, uint32_t name, uint64_t val)
{
	switch (name) {
	case HVREG_VSM_PARTITION_CONFIG:
		atomic_store(&vp->part->vsm_config, val);
		return HV_OK;
	case HVREG_GUEST_VSM_PARTITION_CONFIG:
		return val & 0xf ? HV_INVALID_REGISTER_VALUE : HV_OK; /* no VTL1 */
	case HVREG_VSM_VP_SECURE_CONFIG_VTL0:
		vp->secure_config = val;
		return HV_OK;
	case HVREG_VSM_VP_WAIT_FOR_TLB_LOCK:
	case HVREG_VSM_VINA:
		return HV_OK;
	default:
		return HV_UNKNOWN_REGISTER_NAME;
	}
}

static enum hv_status set_register_page(struct hvvp *vp, uint64_t val)
{
	struct hv_register_page *page = NULL;

	if (val & HV_MSR_PAGE_ENABLE) {
		page = part_page(vp->part, VTL2, val & ~0xfffull);
		if (!page)
			return HV_INVALID_REGISTER_VALUE;
		memset(page, 0, sizeof(*page));
		page->version = REGISTER_PAGE_VERSION;
	}
	vp->reg_page = page;
	vp->reg_page_msr = val;
	return HV_OK;
}

/* Names that are synthetic MSRs under another number. 0: none. */
static uint32_t msr_of(uint32_t name)
{
	switch (name) {
	case HVREG_HYPERCALL:
		return HVMSR_HYPERCALL;
	case HVREG_GUEST_OS_ID:
		return HVMSR_GUEST_OS_ID;
	case HVREG_VP_INDEX:
		return HVMSR_VP_INDEX;
	case HVREG_VP_RUNTIME:
		return HVMSR_VP_RUNTIME;
	case HVREG_TIME_REF_COUNT:
		return HVMSR_TIME_REF_COUNT;
	case HVREG_VP_ASSIST_PAGE:
		return HVMSR_VP_ASSIST_PAGE;
	case HVREG_REFERENCE_TSC:
		return HVMSR_REFERENCE_TSC;
	case HVREG_SCONTROL:
		return HVMSR_SCONTROL;
	case HVREG_SVERSION:
		return HVMSR_SVERSION;
	case HVREG_SIEFP:
		return HVMSR_SIEFP;
	case HVREG_SIMP:
		return HVMSR_SIMP;
	default:
		if (name >= HVREG_SINT0 && name < HVREG_SINT0 + HV_SINT_COUNT)
			return HVMSR_SINT0 + (name - HVREG_SINT0);
		if (name >= HVREG_STIMER0_CONFIG &&
		    name < HVREG_STIMER0_CONFIG + 2 * HV_STIMER_COUNT)
			return HVMSR_STIMER0_CONFIG + (name - HVREG_STIMER0_CONFIG);
		return 0;
	}
}

/* What VTL2 tells us about VTL0's next run. */
static enum hv_status get_run_state(const struct hvvp *vp, uint32_t name, union hv_regval *ret_val)
{
	switch (name) {
	case HVREG_PENDING_EVENT0:
		ret_val->q[0] = vp->event[0];
		ret_val->q[1] = vp->event[1];
		return HV_OK;
	case HVREG_PENDING_EVENT1:
		ret_val->q[0] = vp->event[2];
		ret_val->q[1] = vp->event[3];
		return HV_OK;
	case HVREG_DELIVERABILITY:
		ret_val->u64 = vp->deliver;
		return HV_OK;
	default:
		return HV_UNKNOWN_REGISTER_NAME;
	}
}

static enum hv_status set_event(struct hvvp *vp, const union hv_regval *val)
{
	uint64_t type = HV_PENDING_EVENT_TYPE(val->q[0]) << 1;

	if ((val->q[0] & HV_PENDING_EVENT_PENDING) && type != HV_PENDING_EVENT_EXCEPTION &&
	    type != HV_PENDING_EVENT_EXTINT)
		return HV_INVALID_REGISTER_VALUE;
	if (type == HV_PENDING_EVENT_EXCEPTION && (val->q[0] & HV_PENDING_EVENT_PENDING) &&
	    (uint16_t)(val->q[0] >> 16) > 31)
		return HV_INVALID_REGISTER_VALUE;
	vp->event[0] = val->q[0];
	vp->event[1] = val->q[1];
	return HV_OK;
}

static enum hv_status set_run_state(struct hvvp *vp, uint32_t name, const union hv_regval *val)
{
	switch (name) {
	case HVREG_PENDING_EVENT0:
		return set_event(vp, val);
	case HVREG_PENDING_EVENT1:
		return val->q[0] & HV_PENDING_EVENT_PENDING ? HV_INVALID_REGISTER_VALUE : HV_OK;
	case HVREG_DELIVERABILITY:
		vp->deliver = val->u64;
		synic_host_want(vp, VTL0, (uint16_t)(val->u64 >> HV_DELIVER_SINT_SHIFT));
		return HV_OK;
	default:
		return HV_UNKNOWN_REGISTER_NAME;
	}
}

enum hv_status regs_host_get(struct hvvp *vp, enum vtl_index v, uint32_t name,
			     union hv_regval *ret_val)
{
	union hv_regval val = { .q = { 0, 0 } };
	uint32_t msr = msr_of(name);
	enum hv_status st;

	if (msr) {
		st = msr_host_read(vp, v, msr, &val.u64) < 0 ? HV_UNKNOWN_REGISTER_NAME : HV_OK;
	} else if (name >= HVREG_VSM_CODE_PAGE_OFFSETS && name <= HVREG_VSM_VP_WAIT_FOR_TLB_LOCK) {
		st = get_vsm(vp, v, name, &val.u64);
	} else if (name == HVREG_REGISTER_PAGE) {
		val.u64 = vp->reg_page_msr;
		st = HV_OK;
	} else {
		st = v == VTL0 ? get_run_state(vp, name, &val) : HV_UNKNOWN_REGISTER_NAME;
		if (st == HV_UNKNOWN_REGISTER_NAME)
			st = regs_kvm_get(vp, v, name, &val);
	}
	if (st == HV_OK)
		*ret_val = val;
	return st;
}

enum hv_status regs_host_set(struct hvvp *vp, enum vtl_index v, uint32_t name,
			     const union hv_regval *val)
{
	uint32_t msr = msr_of(name);
	enum hv_status st;

	if (msr)
		return msr_host_write(vp, v, msr, val->u64) < 0 ? HV_INVALID_REGISTER_VALUE : HV_OK;
	if (name >= HVREG_VSM_CODE_PAGE_OFFSETS && name <= HVREG_VSM_VP_WAIT_FOR_TLB_LOCK)
		return set_vsm(vp, name, val->u64);
	if (name == HVREG_REGISTER_PAGE)
		return v == VTL2 ? set_register_page(vp, val->u64) : HV_ACCESS_DENIED;
	st = v == VTL0 ? set_run_state(vp, name, val) : HV_UNKNOWN_REGISTER_NAME;
	if (st == HV_UNKNOWN_REGISTER_NAME)
		st = regs_kvm_set(vp, v, name, val);
	return st;
}
