/* SPDX-License-Identifier: MIT */
#include "msr_host.h"

#include <errno.h>
#include <string.h>

#include "crash_host.h"
#include "hcpage.h"
#include "log.h"
#include "stimer_host.h"
#include "synic_host.h"
#include "vmbus_host.h"

#define LOG_AREA "msr"

/* KVM's local APIC timer counts nanoseconds. */
#define APIC_HZ 1000000000ull

static bool is_mtrr(uint32_t msr)
{
	return msr == 0xfe || msr == 0x2ff || (msr >= 0x200 && msr <= 0x26f);
}

static bool is_stimer(uint32_t msr)
{
	return msr >= HVMSR_STIMER0_CONFIG && msr <= HVMSR_STIMER3_COUNT;
}

static bool is_crash(uint32_t msr)
{
	return msr >= HVMSR_CRASH_P0 && msr <= HVMSR_CRASH_CTL;
}

/* Registers that only one of the VTLs has, or that go to a module of their own. */
static int read_other(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t *ret_val)
{
	if (v == VTL2 && is_mtrr(msr))
		return kvm_cpu_msr_get(&vp->vtl[VTL0].cpu, msr, ret_val);
	if (v == VTL2 && is_stimer(msr)) {
		*ret_val = stimer_host_read(vp, msr - HVMSR_STIMER0_CONFIG);
		return 0;
	}
	if (v == VTL2 && is_crash(msr)) {
		*ret_val = crash_host_read(vp, msr);
		return 0;
	}
	if (synic_host_msr_read(vp, v, msr, ret_val) == 0)
		return 0;
	return v == VTL2 ? -EINVAL : -ENOENT;
}

int msr_host_read(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t *ret_val)
{
	struct hvpart *part = vp->part;

	switch (msr) {
	case HVMSR_GUEST_OS_ID:
		*ret_val = atomic_load(&part->vtl[v].guest_os_id);
		return 0;
	case HVMSR_HYPERCALL:
		*ret_val = atomic_load(&part->vtl[v].hypercall);
		return 0;
	case HVMSR_VP_INDEX:
		*ret_val = vp->index;
		return 0;
	case HVMSR_RESET:
	case HVMSR_EOM:
		*ret_val = 0;
		return 0;
	case HVMSR_VP_RUNTIME:
	case HVMSR_TIME_REF_COUNT:
		*ret_val = part_ref_time(part);
		return 0;
	case HVMSR_REFERENCE_TSC:
		*ret_val = atomic_load(&part->vtl[v].ref_tsc);
		return 0;
	case HVMSR_TSC_FREQUENCY:
		*ret_val = part->tsc_hz;
		return 0;
	case HVMSR_APIC_FREQUENCY:
		*ret_val = APIC_HZ;
		return 0;
	case HVMSR_VP_ASSIST_PAGE:
		*ret_val = vp->vtl[v].assist_msr;
		return 0;
	default:
		return read_other(vp, v, msr, ret_val);
	}
}

static int write_assist(struct hvvp *vp, enum vtl_index v, uint64_t val)
{
	struct vtl_vp *vv = &vp->vtl[v];
	void *page = NULL;

	if (val & HV_MSR_PAGE_ENABLE) {
		page = part_page(vp->part, v, val & ~0xfffull);
		if (!page)
			return -EINVAL;
		memset(page, 0, sizeof(struct hv_assist_page));
	}
	vv->assist_msr = val;
	vv->assist = page;
	return 0;
}

static int write_ref_tsc(struct hvvp *vp, enum vtl_index v, uint64_t val)
{
	struct hvpart *part = vp->part;
	struct hv_tsc_page *page;

	if (val & HV_MSR_PAGE_ENABLE) {
		page = part_page(part, v, val & ~0xfffull);
		if (!page)
			return -EINVAL;
		page->scale = part->tsc_scale;
		page->offset = -(int64_t)(uint64_t)(((unsigned __int128)part->tsc_base *
						     part->tsc_scale) >> 64);
		__atomic_store_n(&page->sequence, 1, __ATOMIC_RELEASE);
	}
	atomic_store(&part->vtl[v].ref_tsc, val);
	return 0;
}

/* VTL0 freed slots somebody waits for: the poster in VTL2 hears of it when VTL2 runs next. */
static void write_eom(struct hvvp *vp, enum vtl_index v)
{
	uint16_t freed;

	if (v == VTL0) /* looked at before the next entry */
		return;
	freed = synic_host_freed(vp, VTL2);
	for (uint8_t i = 0; i < HV_SINT_COUNT; i++) {
		if ((freed & BIT(i)) && vp->part->vmbus)
			vmbus_host_slot_free(vp->part->vmbus, VTL_NUMBER(v), vp->index, i);
	}
}

static int write_reset(struct hvvp *vp, enum vtl_index v, uint64_t val)
{
	if (!(val & 1))
		return 0;
	if (v == VTL2)
		part_end(vp->part, SESSION_VTL2_CRASH, "VTL2 reset the partition");
	else
		part_end(vp->part, SESSION_RESET, "VTL0 reset the partition");
	return 0;
}

static int write_other(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t val)
{
	if (v == VTL2 && is_mtrr(msr))
		return kvm_cpu_msr_set(&vp->vtl[VTL0].cpu, msr, val) < 0 ? -EINVAL : 0;
	if (v == VTL2 && is_stimer(msr))
		return stimer_host_write(vp, msr - HVMSR_STIMER0_CONFIG, val);
	if (v == VTL2 && is_crash(msr)) {
		crash_host_write(vp, msr, val);
		return 0;
	}
	if (msr == HVMSR_SVERSION)
		return -EINVAL;
	if (msr >= HVMSR_SCONTROL && msr <= HVMSR_SINT15)
		return synic_host_msr_write(vp, v, msr, val);
	return v == VTL2 ? -EINVAL : -ENOENT;
}

int msr_host_write(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t val)
{
	switch (msr) {
	case HVMSR_GUEST_OS_ID:
		hcpage_os_id_write(vp, v, val);
		return 0;
	case HVMSR_HYPERCALL:
		return hcpage_write(vp, v, val);
	case HVMSR_RESET:
		return write_reset(vp, v, val);
	case HVMSR_REFERENCE_TSC:
		return write_ref_tsc(vp, v, val);
	case HVMSR_VP_ASSIST_PAGE:
		return write_assist(vp, v, val);
	case HVMSR_EOM:
		write_eom(vp, v);
		return 0;
	case HVMSR_VP_INDEX:
	case HVMSR_VP_RUNTIME:
	case HVMSR_TIME_REF_COUNT:
	case HVMSR_TSC_FREQUENCY:
	case HVMSR_APIC_FREQUENCY:
		return -EINVAL;
	default:
		return write_other(vp, v, msr, val);
	}
}
