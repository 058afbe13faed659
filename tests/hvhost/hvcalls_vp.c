/* SPDX-License-Identifier: MIT */
/* Hypercalls about processors and their interrupts. */
#include <string.h>

#include "ckd.h"
#include "hvcall_host.h"
#include "log.h"
#include "synic_host.h"
#include "vp_host.h"

#define LOG_AREA "hypercall"

#define MSI_BASE 0xfee00000ull
#define MSI_LOGICAL BIT(2)
#define MSI_DATA_TYPE_SHIFT 8
#define MSI_DATA_ASSERT BIT(14)
#define MSI_DATA_LEVEL BIT(15)
#define FIRST_VECTOR 16
#define IPI_BANK_ALL 1ull /* format: every processor */

/* --- starting --------------------------------------------------------------------------------- */

static enum hv_status start_target(const struct hvcall *c, struct hv_start_vp_in *ret_in,
				   struct hvvp **ret_vp)
{
	memcpy(ret_in, c->in, sizeof(*ret_in));
	if (ret_in->partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	*ret_vp = part_vp(c->vp->part, ret_in->vp == HV_VP_SELF ? c->vp->index : ret_in->vp);
	if (!*ret_vp)
		return HV_INVALID_VP_INDEX;
	return ret_in->vtl == VTL_NUMBER(VTL2) ? HV_OK : HV_INVALID_PARAMETER;
}

enum hv_status hvcall_enable_vp_vtl(struct hvcall *c)
{
	struct hv_start_vp_in in;
	struct hvvp *target;
	enum hv_status st = start_target(c, &in, &target);

	if (st != HV_OK)
		return st;
	return atomic_exchange(&target->vtl2_enabled, true) ? HV_VTL_ALREADY_ENABLED : HV_OK;
}

enum hv_status hvcall_start_vp(struct hvcall *c)
{
	struct hv_start_vp_in in;
	struct hvvp *target;
	enum hv_status st = start_target(c, &in, &target);

	if (st != HV_OK)
		return st;
	if (!atomic_load(&target->vtl2_enabled))
		return HV_INVALID_VTL_STATE;
	/* Two starters at once: the second one is refused. */
	if (atomic_exchange(&target->start_claimed, true))
		return HV_INVALID_VP_STATE;
	target->start_ctx = in.ctx;
	target->start_from_ctx = true;
	vp_host_go(target);
	return HV_OK;
}

enum hv_status hvcall_vp_index(struct hvcall *c)
{
	struct hv_apicid_in in;

	memcpy(&in, c->in, sizeof(in));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	for (uint32_t i = c->start; i < c->reps; i++) {
		uint32_t id;

		memcpy(&id, c->in + sizeof(in) + i * sizeof(id), sizeof(id));
		if (!part_vp(c->vp->part, id)) /* APIC id = index */
			return HV_INVALID_PARAMETER;
		memcpy(c->out + i * sizeof(id), &id, sizeof(id));
		c->reps_done = i + 1;
	}
	return HV_OK;
}

/* --- IPIs of VTL2 ----------------------------------------------------------------------------- */

static enum hv_status check_ipi(const struct hvcall *c, uint32_t vector, uint8_t input_vtl,
				enum vtl_index *ret_v)
{
	if (vector < FIRST_VECTOR || vector > 255)
		return HV_INVALID_PARAMETER;
	return hvcall_host_vtl(c, input_vtl, ret_v);
}

static void send_bank(const struct hvcall *c, enum vtl_index v, uint32_t first, uint64_t mask,
		      uint8_t vector)
{
	for (; mask; mask &= mask - 1) {
		uint32_t index = first + (uint32_t)__builtin_ctzll(mask);
		struct hvvp *target = part_vp(c->vp->part, index);

		if (target)
			synic_host_interrupt(target, v, vector);
	}
}

enum hv_status hvcall_send_ipi(struct hvcall *c)
{
	struct hv_ipi_in in;
	enum vtl_index v;
	enum hv_status st;

	memcpy(&in, c->in, sizeof(in));
	st = check_ipi(c, in.vector, in.vtl, &v);
	if (st == HV_OK)
		send_bank(c, v, 0, in.mask, (uint8_t)in.vector);
	return st;
}

enum hv_status hvcall_send_ipi_ex(struct hvcall *c)
{
	struct {
		uint32_t vector;
		uint8_t vtl, flags;
		uint16_t rsvd;
		uint64_t format, valid;
	} in;
	uint32_t off = sizeof(in);
	enum vtl_index v;
	enum hv_status st;

	memcpy(&in, c->in, sizeof(in));
	st = check_ipi(c, in.vector, in.vtl, &v);
	if (st != HV_OK)
		return st;
	if (in.format == IPI_BANK_ALL) {
		for (uint32_t i = 0; i < c->vp->part->n_vps; i++)
			synic_host_interrupt(&c->vp->part->vps[i], v, (uint8_t)in.vector);
		return HV_OK;
	}
	for (uint32_t bank = 0; bank < 64; bank++) {
		uint64_t mask;

		if (!(in.valid >> bank & 1))
			continue;
		if (!range_ok(off, sizeof(mask), c->in_len))
			return HV_INVALID_HYPERCALL_INPUT;
		memcpy(&mask, c->in + off, sizeof(mask));
		off += sizeof(mask);
		send_bank(c, v, bank * 64, mask, (uint8_t)in.vector);
	}
	return HV_OK;
}

/* --- device interrupts of VTL0 ---------------------------------------------------------------- */

static uint64_t msi_addr(uint32_t dest, bool logical)
{
	return MSI_BASE | (uint64_t)(dest & 0xff) << 12 | (uint64_t)(dest & ~0xffu) << 32 |
	       (logical ? MSI_LOGICAL : 0);
}

static int set_routes(struct hvpart *part)
{
	struct {
		uint32_t nr, flags;
		struct kvm_irq_routing_entry e[KVM_SYS_PINS];
	} r;

	memset(&r, 0, sizeof(r));
	r.nr = part->n_routes;
	for (uint32_t i = 0; i < part->n_routes; i++) {
		uint64_t addr = msi_addr(part->route[i].dest, part->route[i].logical);

		r.e[i].gsi = i;
		r.e[i].type = KVM_IRQ_ROUTING_MSI;
		r.e[i].u.msi.address_lo = (uint32_t)addr;
		r.e[i].u.msi.address_hi = (uint32_t)(addr >> 32);
		r.e[i].u.msi.data =
			part->route[i].vector | (uint32_t)(MSI_DATA_LEVEL | MSI_DATA_ASSERT);
	}
	return kvm_ioctl(part->vtl[VTL0].vm, KVM_SET_GSI_ROUTING, &r);
}

/* The end of a level-triggered interrupt is only reported for vectors with such a route. */
static int want_eoi(struct hvpart *part, uint32_t vector, uint32_t dest, bool logical)
{
	uint32_t i;
	int r = 0;

	(void)pthread_mutex_lock(&part->route_lock);
	for (i = 0; i < part->n_routes; i++) {
		if (part->route[i].vector == vector && part->route[i].dest == dest &&
		    part->route[i].logical == logical)
			break;
	}
	if (i == part->n_routes) {
		/* Lines move about rarely; the oldest entry is long unused when all are taken. */
		i = part->n_routes < KVM_SYS_PINS ? part->n_routes++
						  : part->next_route++ % KVM_SYS_PINS;
		part->route[i].vector = vector;
		part->route[i].dest = dest;
		part->route[i].logical = logical;
		r = set_routes(part);
	}
	(void)pthread_mutex_unlock(&part->route_lock);
	return r;
}

static bool type_ok(uint32_t type, uint32_t vector)
{
	switch (type) {
	case HV_INT_FIXED:
	case HV_INT_LOWEST:
		return vector >= FIRST_VECTOR && vector <= 255;
	case HV_INT_NMI:
	case HV_INT_INIT:
		return true;
	case HV_INT_SIPI:
		return vector <= 255;
	default:
		return false;
	}
}

enum hv_status hvcall_assert_interrupt(struct hvcall *c)
{
	struct hvpart *part = c->vp->part;
	struct hv_assert_int_in in;
	uint32_t type, dest, data;
	bool level, logical;

	memcpy(&in, c->in, sizeof(in));
	type = (uint32_t)in.control;
	level = in.control & HV_INT_CONTROL_LEVEL;
	logical = in.control & HV_INT_CONTROL_LOGICAL;
	dest = (uint32_t)in.dest;
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	if (in.vtl != VTL_NUMBER(VTL0) || dest != in.dest || !type_ok(type, in.vector))
		return HV_INVALID_PARAMETER;
	data = (in.vector & 0xff) | type << MSI_DATA_TYPE_SHIFT | (uint32_t)MSI_DATA_ASSERT;
	if (level && (type == HV_INT_FIXED || type == HV_INT_LOWEST)) {
		data |= (uint32_t)MSI_DATA_LEVEL;
		if (want_eoi(part, in.vector, dest, logical) < 0)
			log_warn_rl(ALLOWED, "end of vector %u will not be seen", in.vector);
	}
	if (kvm_vm_msi(part->vtl[VTL0].vm, msi_addr(dest, logical), data) < 0)
		log_debug_rl(ALLOWED, "interrupt %#x to APIC %#x reached nobody", data, dest);
	return HV_OK;
}
