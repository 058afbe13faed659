/* SPDX-License-Identifier: MIT */
/* See partition.h. */
#include "partition.h"

#include <errno.h>

#include "hv_names.h"
#include "hvregs.h"
#include "log.h"

#define LOG_AREA "partition"

#define PM_TIMER_ASSIST_ENABLED BIT(17)

struct intercept {
	enum hv_intercept_type type;
	uint32_t access;
	uint64_t param;
	const char *name;
	bool optional; /* older hypervisors refuse it */
};

static const struct intercept intercepts[] = {
	{ HV_INTERCEPT_MSR, HV_ACCESS_READ | HV_ACCESS_WRITE, 0, "msr", false },
	{ HV_INTERCEPT_APIC_EOI, HV_ACCESS_WRITE, 0, "apic eoi", false },
	{ HV_INTERCEPT_UNKNOWN_SYNIC_CONNECTION, HV_ACCESS_EXECUTE, 0, "synic connection", false },
	{ HV_INTERCEPT_RETARGET_UNKNOWN_DEVICE, HV_ACCESS_EXECUTE, 0, "retarget", true },
};

#define PORT_RANGE(first, last) ((uint64_t)(first) | (uint64_t)(last) << 16)

/* Status or errno of a hypercall as the errno of this module, logged once. */
static int failed(const char *what, int r)
{
	if (r < 0)
		log_err(ALLOWED, "%s: driver error %d", what, r);
	else
		log_err(ALLOWED, "%s: %s (%#x)", what, hv_status_name((uint16_t)r),
			(unsigned int)r);
	return r < 0 ? r : -EIO;
}

static bool is_refusal(int r)
{
	return r == HV_INVALID_PARAMETER || r == HV_ACCESS_DENIED;
}

static int intercept_ports(struct hvc *h)
{
	const uint32_t rw = HV_ACCESS_READ | HV_ACCESS_WRITE;
	int r = hvc_install_intercept(h, HV_INTERCEPT_IO_PORT_RANGE, rw, PORT_RANGE(0, 0xffff));

	if (r == 0)
		return 0;
	if (r != HV_INVALID_PARAMETER)
		return failed("port range intercept", r);
	for (uint32_t port = 0; port <= 0xffff; port++) {
		r = hvc_install_intercept(h, HV_INTERCEPT_IO_PORT, rw, port);
		if (r)
			return failed("port intercept", r);
	}
	return 0;
}

static int install_all(struct hvc *h)
{
	int r = intercept_ports(h);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(intercepts); i++) {
		const struct intercept *ic = &intercepts[i];

		r = hvc_install_intercept(h, ic->type, ic->access, ic->param);
		if (r && ic->optional && is_refusal(r)) {
			log_info(ALLOWED, "no %s intercept", ic->name);
			r = 0;
		} else if (r) {
			r = failed(ic->name, r);
		}
	}
	return r;
}

static int configure_vsm(struct hvc *h, const struct partition_caps *caps)
{
	union hv_regval cfg = {
		.u64 = HV_VSM_CFG_ENABLE_VTL_PROTECTION |
		       (uint64_t)HV_MAP_ALL << HV_VSM_CFG_DEFAULT_MASK_SHIFT |
		       HV_VSM_CFG_ZERO_MEMORY_ON_RESET |
		       HV_VSM_CFG_INTERCEPT_ENABLE_VTL_PROTECTION |
		       HV_VSM_CFG_INTERCEPT_CPUID_UNIMPLEMENTED |
		       HV_VSM_CFG_INTERCEPT_UNRECOVERABLE,
	};
	int r;

	if (caps->intercept_page)
		cfg.u64 |= HV_VSM_CFG_INTERCEPT_PAGE;
	r = hvc_set_reg(h, HV_VP_SELF, HV_INPUT_VTL_SELF, HVREG_VSM_PARTITION_CONFIG, &cfg);
	return r ? failed("VSM partition configuration", r) : 0;
}

int partition_setup(struct hvc *h, struct partition_caps *ret_caps)
{
	struct partition_caps caps = { 0 };
	union hv_regval val;
	int r = hvc_get_reg(h, HV_VP_SELF, HV_INPUT_VTL_SELF, HVREG_VSM_CAPABILITIES, &val);

	if (r)
		return failed("VSM capabilities", r);
	caps.vsm = val.u64;
	caps.intercept_page = val.u64 & HV_VSM_CAP_INTERCEPT_PAGE;
	r = configure_vsm(h, &caps);
	if (r == 0)
		r = install_all(h);
	if (r == 0)
		*ret_caps = caps;
	return r;
}

void partition_set_pm_timer(struct hvc *h, uint16_t port)
{
	union hv_regval val = { .u64 = port ? port | PM_TIMER_ASSIST_ENABLED : 0 };
	int r = hvc_set_reg(h, HV_VP_SELF, HV_INPUT_VTL_SELF, HVREG_PM_TIMER_ASSIST, &val);

	if (r)
		log_debug(ALLOWED, "no PM timer assist (%d)", r);
}
