/* SPDX-License-Identifier: MIT */
#include "hv_names.h"

#include "hvcall.h"
#include "hvmsg.h"
#include "hvregs.h"

struct name {
	uint32_t val;
	const char *text;
};

static const struct name calls[] = {
	{ HVCALL_NOTIFY_LONG_SPIN_WAIT, "NotifyLongSpinWait" },
	{ HVCALL_SEND_IPI, "SendSyntheticClusterIpi" },
	{ HVCALL_MODIFY_VTL_PROTECTION_MASK, "ModifyVtlProtectionMask" },
	{ HVCALL_ENABLE_PARTITION_VTL, "EnablePartitionVtl" },
	{ HVCALL_ENABLE_VP_VTL, "EnableVpVtl" },
	{ HVCALL_VTL_CALL, "VtlCall" },
	{ HVCALL_VTL_RETURN, "VtlReturn" },
	{ HVCALL_SEND_IPI_EX, "SendSyntheticClusterIpiEx" },
	{ HVCALL_GET_PARTITION_ID, "GetPartitionId" },
	{ HVCALL_INSTALL_INTERCEPT, "InstallIntercept" },
	{ HVCALL_GET_VP_REGISTERS, "GetVpRegisters" },
	{ HVCALL_SET_VP_REGISTERS, "SetVpRegisters" },
	{ HVCALL_TRANSLATE_VIRTUAL_ADDRESS, "TranslateVirtualAddress" },
	{ HVCALL_POST_MESSAGE, "PostMessage" },
	{ HVCALL_SIGNAL_EVENT, "SignalEvent" },
	{ HVCALL_RETARGET_DEVICE_INTERRUPT, "RetargetDeviceInterrupt" },
	{ HVCALL_ASSERT_VIRTUAL_INTERRUPT, "AssertVirtualInterrupt" },
	{ HVCALL_START_VIRTUAL_PROCESSOR, "StartVirtualProcessor" },
	{ HVCALL_GET_VP_INDEX_FROM_APIC_ID, "GetVpIndexFromApicId" },
	{ HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX, "TranslateVirtualAddressEx" },
	{ HVCALL_CHECK_FOR_IO_INTERCEPT, "CheckForIoIntercept" },
	{ HVCALL_SIGNAL_EVENT_DIRECT, "SignalEventDirect" },
	{ HVCALL_POST_MESSAGE_DIRECT, "PostMessageDirect" },
	{ HVCALL_CHECK_SPARSE_GPA_VTL_ACCESS, "CheckSparseGpaPageVtlAccess" },
	{ HVCALL_ACCEPT_GPA_PAGES, "AcceptGpaPages" },
	{ HVCALL_MODIFY_GPA_HOST_VISIBILITY, "ModifySparseGpaPageHostVisibility" },
	{ HVCALL_RESTORE_PARTITION_TIME, "RestorePartitionTime" },
	{ HVCALL_MMIO_READ, "MemoryMappedIoRead" },
	{ HVCALL_MMIO_WRITE, "MemoryMappedIoWrite" },
};

static const struct name statuses[] = {
	{ HV_OK, "success" },
	{ HV_INVALID_HYPERCALL_CODE, "invalid hypercall code" },
	{ HV_INVALID_HYPERCALL_INPUT, "invalid hypercall input" },
	{ HV_INVALID_ALIGNMENT, "invalid alignment" },
	{ HV_INVALID_PARAMETER, "invalid parameter" },
	{ HV_ACCESS_DENIED, "access denied" },
	{ HV_INVALID_PARTITION_STATE, "invalid partition state" },
	{ HV_OPERATION_DENIED, "operation denied" },
	{ HV_UNKNOWN_PROPERTY, "unknown property" },
	{ HV_INSUFFICIENT_MEMORY, "insufficient memory" },
	{ HV_INVALID_PARTITION_ID, "invalid partition id" },
	{ HV_INVALID_VP_INDEX, "invalid VP index" },
	{ HV_NOT_FOUND, "not found" },
	{ HV_INVALID_PORT_ID, "invalid port id" },
	{ HV_INVALID_CONNECTION_ID, "invalid connection id" },
	{ HV_INSUFFICIENT_BUFFERS, "insufficient buffers" },
	{ HV_INVALID_VP_STATE, "invalid VP state" },
	{ HV_INVALID_SYNIC_STATE, "invalid SynIC state" },
	{ HV_OBJECT_IN_USE, "object in use" },
	{ HV_NO_DATA, "no data" },
	{ HV_FEATURE_UNAVAILABLE, "feature unavailable" },
	{ HV_INVALID_REGISTER_VALUE, "invalid register value" },
	{ HV_INVALID_VTL_STATE, "invalid VTL state" },
	{ HV_INVALID_DEVICE_ID, "invalid device id" },
	{ HV_INVALID_DEVICE_STATE, "invalid device state" },
	{ HV_OPERATION_FAILED, "operation failed" },
	{ HV_TIMEOUT, "timeout" },
	{ HV_VTL_ALREADY_ENABLED, "VTL already enabled" },
	{ HV_UNKNOWN_REGISTER_NAME, "unknown register name" },
};

static const struct name messages[] = {
	{ HVMSG_NONE, "none" },
	{ HVMSG_CHANNEL, "channel" },
	{ HVMSG_UNMAPPED_GPA, "unmapped_gpa" },
	{ HVMSG_GPA_INTERCEPT, "gpa_intercept" },
	{ HVMSG_UNACCEPTED_GPA, "unaccepted_gpa" },
	{ HVMSG_TIMER_EXPIRED, "timer_expired" },
	{ HVMSG_INVALID_VP_REGISTER, "invalid_vp_register" },
	{ HVMSG_UNRECOVERABLE_EXCEPTION, "unrecoverable_exception" },
	{ HVMSG_HYPERCALL, "hypercall" },
	{ HVMSG_SINT_DELIVERABLE, "sint_deliverable" },
	{ HVMSG_IO_PORT, "io_port" },
	{ HVMSG_MSR, "msr" },
	{ HVMSG_CPUID, "cpuid" },
	{ HVMSG_EXCEPTION, "exception" },
	{ HVMSG_APIC_EOI, "apic_eoi" },
	{ HVMSG_HALT, "halt" },
	{ HVMSG_INTERRUPTION_DELIVERABLE, "interruption_deliverable" },
};

static const char *find(const struct name *table, size_t n, uint32_t val)
{
	for (size_t i = 0; i < n; i++) {
		if (table[i].val == val)
			return table[i].text;
	}
	return "?";
}

static const struct name registers[] = {
	{ HVREG_RAX, "rax" },	    { HVREG_RCX, "rcx" }, { HVREG_RDX, "rdx" },
	{ HVREG_RBX, "rbx" },	    { HVREG_RSP, "rsp" }, { HVREG_RBP, "rbp" },
	{ HVREG_RSI, "rsi" },	    { HVREG_RDI, "rdi" }, { HVREG_RIP, "rip" },
	{ HVREG_RFLAGS, "rflags" }, { HVREG_CR0, "cr0" }, { HVREG_CR2, "cr2" },
	{ HVREG_CR3, "cr3" },	    { HVREG_CR4, "cr4" }, { HVREG_EFER, "efer" },
};

const char *hv_call_name(uint16_t code)
{
	return find(calls, ARRAY_SIZE(calls), code);
}

const char *hv_status_name(uint16_t status)
{
	return find(statuses, ARRAY_SIZE(statuses), status);
}

const char *hv_message_name(uint32_t type)
{
	return find(messages, ARRAY_SIZE(messages), type);
}

const char *hv_register_name(uint32_t reg)
{
	return find(registers, ARRAY_SIZE(registers), reg);
}
