/* SPDX-License-Identifier: MIT */
/*
 * Hypervisor interface of the shim: synthetic MSRs and the few hypercalls it makes. The hypervisor
 * is trusted, also when it isolates the VM from the host.
 * Spec: TLFS, "Hypercall interface".
 */
#include <string.h>

#include "hvcall.h"
#include "hvmsr.h"
#include "shim_hw.h"

#define GUEST_OS_ID (1ull << 40) /* closed-source form, OS id 1 */
#define CPUID_1_ECX_HYPERVISOR BIT(31)
#define FEATURE_TIME_REF_COUNT BIT(1) /* leaf 0x40000003 EAX */
#define FEATURE_HYPERCALL BIT(5)
#define PRIVILEGE_ISOLATION BIT(22) /* EBX */
#define ISOLATION_TYPE(ebx) ((ebx)&15)
#define ACCEPT_MAX 509u /* pages per call, as if each were listed in the input page */

static uint8_t call_page[KEEL_PAGE_SIZE] __attribute__((aligned(KEEL_PAGE_SIZE)));
static uint8_t in_page[KEEL_PAGE_SIZE] __attribute__((aligned(KEEL_PAGE_SIZE)));
static uint8_t out_page[KEEL_PAGE_SIZE] __attribute__((aligned(KEEL_PAGE_SIZE)));

bool shim_hv_present(void)
{
	if (!(hw_cpuid(1).ecx & CPUID_1_ECX_HYPERVISOR))
		return false;
	return hw_cpuid(HVCPUID_VENDOR).eax >= HVCPUID_LIMITS &&
	       hw_cpuid(HVCPUID_INTERFACE).eax == HV_CPUID_INTERFACE_HV1;
}

enum shim_hv_isolation shim_hv_isolation(void)
{
	if (!(hw_cpuid(HVCPUID_FEATURES).ebx & PRIVILEGE_ISOLATION))
		return SHIM_HV_NONE;
	switch (ISOLATION_TYPE(hw_cpuid(HVCPUID_ISOLATION).ebx)) {
	case HV_ISOLATION_NONE:
		return SHIM_HV_NONE;
	case HV_ISOLATION_VBS:
		return SHIM_HV_VBS;
	default:
		return SHIM_HV_OTHER;
	}
}

uint64_t shim_hv_reftime(void)
{
	if (!(hw_cpuid(HVCPUID_FEATURES).eax & FEATURE_TIME_REF_COUNT))
		return 0;
	return hw_rdmsr(HVMSR_TIME_REF_COUNT);
}

void shim_hv_start(void)
{
	if (!(hw_cpuid(HVCPUID_FEATURES).eax & FEATURE_HYPERCALL))
		shim_panic("the hypervisor offers no hypercalls");
	if (hw_rdmsr(HVMSR_HYPERCALL) & HV_MSR_PAGE_ENABLE)
		shim_panic("the hypercall page is already enabled");
	hw_wrmsr(HVMSR_GUEST_OS_ID, GUEST_OS_ID);
	hw_wrmsr(HVMSR_HYPERCALL, (uintptr_t)call_page | HV_MSR_PAGE_ENABLE);
	if (!(hw_rdmsr(HVMSR_HYPERCALL) & HV_MSR_PAGE_ENABLE))
		shim_panic("the hypercall page could not be enabled");
}

void shim_hv_stop(void)
{
	hw_wrmsr(HVMSR_HYPERCALL, 0);
	hw_wrmsr(HVMSR_GUEST_OS_ID, 0);
}

/* In: in_page; out: out_page. Returns: the result word. */
static uint64_t hypercall(uint64_t control)
{
	register uint64_t out __asm__("r8") = (uintptr_t)out_page;
	uint64_t in = (uintptr_t)in_page, result;

	__asm__ volatile("call *%[page]"
			 : "=a"(result), "+c"(control), "+d"(in), "+r"(out)
			 : [page] "r"(call_page)
			 : "memory", "cc", "r9", "r10", "r11");
	return result;
}

uint16_t shim_hv_register(uint32_t name, uint64_t *ret)
{
	struct hv_regs_in head = { .partition = HV_PARTITION_SELF,
				   .vp = HV_VP_SELF,
				   .vtl = HV_INPUT_VTL_SELF };
	uint64_t result;

	memcpy(in_page, &head, sizeof(head));
	memcpy(in_page + sizeof(head), &name, sizeof(name));
	result = hypercall(HV_CONTROL_MAKE(HVCALL_GET_VP_REGISTERS, 1, 0));
	if (HV_RESULT_STATUS(result) == HV_OK)
		memcpy(ret, out_page, sizeof(*ret));
	return HV_RESULT_STATUS(result);
}

uint16_t shim_hv_vp_indices(const uint32_t *apic_id, uint32_t n, uint32_t *ret_vp)
{
	struct hv_apicid_in head = { .partition = HV_PARTITION_SELF, .vtl = 0 };
	uint64_t result;

	if (n > SHIM_HV_IDS_MAX)
		return HV_INVALID_PARAMETER;
	memcpy(in_page, &head, sizeof(head));
	memcpy(in_page + sizeof(head), apic_id, n * sizeof(*apic_id));
	result = hypercall(HV_CONTROL_MAKE(HVCALL_GET_VP_INDEX_FROM_APIC_ID, n, 0));
	if (HV_RESULT_STATUS(result) != HV_OK)
		return HV_RESULT_STATUS(result);
	if (HV_RESULT_REPS(result) != n)
		return HV_OPERATION_FAILED;
	memcpy(ret_vp, out_page, n * sizeof(*ret_vp));
	return HV_OK;
}

uint16_t shim_hv_set_register(uint32_t name, uint64_t val)
{
	struct hv_regs_in head = { .partition = HV_PARTITION_SELF,
				   .vp = HV_VP_SELF,
				   .vtl = HV_INPUT_VTL_SELF };
	struct hv_reg_assoc reg = { .name = name, .val = { .u64 = val } };

	memcpy(in_page, &head, sizeof(head));
	memcpy(in_page + sizeof(head), &reg, sizeof(reg));
	return HV_RESULT_STATUS(hypercall(HV_CONTROL_MAKE(HVCALL_SET_VP_REGISTERS, 1, 0)));
}

/* A repeated call on the input page, continued until all n elements are done. */
static uint16_t rep_call(uint16_t code, uint32_t n)
{
	uint32_t done = 0;

	while (done < n) {
		uint64_t result = hypercall(HV_CONTROL_MAKE(code, n, done));
		uint32_t reps = HV_RESULT_REPS(result);
		uint16_t status = HV_RESULT_STATUS(result);

		if (status != HV_OK && status != HV_TIMEOUT)
			return status;
		if (reps > n || (reps < n && status == HV_OK) || reps < done)
			return HV_OPERATION_FAILED;
		done = reps;
	}
	return HV_OK;
}

uint16_t shim_hv_protect(uint64_t gpn, uint64_t pages)
{
	/* The permissions a VTL sets are its own, against all lower ones. */
	struct hv_modify_vtl_prot_in head = { .partition = HV_PARTITION_SELF,
					      .vtl = HV_INPUT_VTL_SELF };
	const uint64_t max = (sizeof(in_page) - sizeof(head)) / sizeof(gpn);
	uint16_t status = HV_OK;

	for (uint64_t n; pages && status == HV_OK; pages -= n) {
		n = MIN(pages, max);
		memcpy(in_page, &head, sizeof(head));
		for (uint64_t i = 0; i < n; i++, gpn++)
			memcpy(in_page + sizeof(head) + i * sizeof(gpn), &gpn, sizeof(gpn));
		status = rep_call(HVCALL_MODIFY_VTL_PROTECTION_MASK, (uint32_t)n);
	}
	return status;
}

uint16_t shim_hv_accept(uint64_t gpn, uint64_t pages)
{
	struct hv_accept_gpa_in in = { .partition = HV_PARTITION_SELF,
				       .attributes = HV_ACCEPT_RAM | HV_ACCEPT_FOR_VTL(2) };
	uint16_t status = HV_OK;

	for (uint64_t n; pages && status == HV_OK; pages -= n, gpn += n) {
		n = MIN(pages, (uint64_t)ACCEPT_MAX);
		in.gpn = gpn;
		memcpy(in_page, &in, sizeof(in));
		status = rep_call(HVCALL_ACCEPT_GPA_PAGES, (uint32_t)n);
	}
	return status;
}
