/* SPDX-License-Identifier: MIT */
#include "igvm_fmt.h"

#include <stddef.h>

static const struct {
	uint32_t type;
	const char *name;
} type_names[] = {
	{ IGVM_SUPPORTED_PLATFORM, "SUPPORTED_PLATFORM" },
	{ IGVM_GUEST_POLICY, "GUEST_POLICY" },
	{ IGVM_RELOCATABLE_REGION, "RELOCATABLE_REGION" },
	{ IGVM_PAGE_TABLE_RELOCATION, "PAGE_TABLE_RELOCATION" },
	{ IGVM_CORIM_DOCUMENT, "CORIM_DOCUMENT" },
	{ IGVM_CORIM_SIGNATURE, "CORIM_SIGNATURE" },
	{ IGVM_CCA_POLICY, "CCA_POLICY" },
	{ IGVM_PARAMETER_AREA, "PARAMETER_AREA" },
	{ IGVM_PAGE_DATA, "PAGE_DATA" },
	{ IGVM_PARAMETER_INSERT, "PARAMETER_INSERT" },
	{ IGVM_VP_CONTEXT, "VP_CONTEXT" },
	{ IGVM_REQUIRED_MEMORY, "REQUIRED_MEMORY" },
	{ IGVM_VP_COUNT_PARAMETER, "VP_COUNT_PARAMETER" },
	{ IGVM_SRAT, "SRAT" },
	{ IGVM_MADT, "MADT" },
	{ IGVM_MMIO_RANGES, "MMIO_RANGES" },
	{ IGVM_SNP_ID_BLOCK, "SNP_ID_BLOCK" },
	{ IGVM_MEMORY_MAP, "MEMORY_MAP" },
	{ IGVM_ERROR_RANGE, "ERROR_RANGE" },
	{ IGVM_COMMAND_LINE, "COMMAND_LINE" },
	{ IGVM_SLIT, "SLIT" },
	{ IGVM_PPTT, "PPTT" },
	{ IGVM_VBS_MEASUREMENT, "VBS_MEASUREMENT" },
	{ IGVM_DEVICE_TREE, "DEVICE_TREE" },
	{ IGVM_ENVIRONMENT_INFO, "ENVIRONMENT_INFO" },
};

static const char *const platform_names[] = {
	"NATIVE", "VSM_ISOLATION", "SEV_SNP", "TDX", "SEV", "SEV_ES", "CCA",
};

const char *igvm_type_name(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(type_names); i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return "unknown";
}

const char *igvm_platform_name(uint32_t type)
{
	return type < ARRAY_SIZE(platform_names) ? platform_names[type] : "unknown";
}
