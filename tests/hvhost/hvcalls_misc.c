/* SPDX-License-Identifier: MIT */
/* Intercepts VTL2 installs, and calls with nothing behind them. */
#include <string.h>

#include "hvcall_host.h"
#include "log.h"

#define LOG_AREA "hypercall"

#define PARTITION_ID 1
#define PORT_LAST 0xffffu

static void set_ports(_Atomic uint64_t *bits, uint32_t first, uint32_t last, bool on)
{
	for (uint32_t port = first; port <= last; port++) {
		uint64_t bit = BIT(port % 64);

		if (on)
			(void)atomic_fetch_or(&bits[port / 64], bit);
		else
			(void)atomic_fetch_and(&bits[port / 64], ~bit);
	}
}

static enum hv_status install_ports(struct hvpart *part, uint32_t access, uint64_t first,
				    uint64_t last)
{
	if (first > last || last > PORT_LAST)
		return HV_INVALID_PARAMETER;
	set_ports(part->pio_read, (uint32_t)first, (uint32_t)last, access & HV_ACCESS_READ);
	set_ports(part->pio_write, (uint32_t)first, (uint32_t)last, access & HV_ACCESS_WRITE);
	return HV_OK;
}

enum hv_status hvcall_install_intercept(struct hvcall *c)
{
	struct hvpart *part = c->vp->part;
	struct hv_install_intercept_in in;

	memcpy(&in, c->in, sizeof(in));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	switch (in.type) {
	case HV_INTERCEPT_IO_PORT:
		return install_ports(part, in.access, in.param, in.param);
	case HV_INTERCEPT_IO_PORT_RANGE:
		return install_ports(part, in.access, in.param & PORT_LAST, in.param >> 16);
	case HV_INTERCEPT_MSR:
		atomic_store(&part->msr_access, in.access);
		return HV_OK;
	case HV_INTERCEPT_APIC_EOI:
		atomic_store(&part->eoi_access, in.access);
		return HV_OK;
	case HV_INTERCEPT_UNKNOWN_SYNIC_CONNECTION:
		atomic_store(&part->unknown_conn, in.access);
		return HV_OK;
	case HV_INTERCEPT_RETARGET_UNKNOWN_DEVICE:
		atomic_store(&part->retarget, in.access);
		return HV_OK;
	default: /* CPUID exits do not exist here; exceptions are left to VTL0 */
		return HV_INVALID_PARAMETER;
	}
}

enum hv_status hvcall_partition_id(struct hvcall *c)
{
	const uint64_t id = PARTITION_ID;

	memcpy(c->out, &id, sizeof(id));
	return HV_OK;
}

enum hv_status hvcall_long_spin(struct hvcall *c)
{
	(void)c;
	return HV_OK;
}

/* VTL2 is on from the start; VTL1 does not exist. */
enum hv_status hvcall_enable_partition_vtl(struct hvcall *c)
{
	uint64_t partition;

	memcpy(&partition, c->in, sizeof(partition));
	if (partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	return c->in[8] == VTL_NUMBER(VTL2) ? HV_VTL_ALREADY_ENABLED : HV_INVALID_PARAMETER;
}
