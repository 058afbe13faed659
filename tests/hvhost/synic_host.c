/* SPDX-License-Identifier: MIT */
#include "synic_host.h"

#include <errno.h>
#include <string.h>

#include "log.h"

#define LOG_AREA "synic"

#define SVERSION 1
#define MSI_BASE 0xfee00000ull
#define SINT_WRITABLE \
	(0xffull | HV_SINT_MASKED | HV_SINT_AUTO_EOI | HV_SINT_POLLING | BIT(19) | HV_SINT_PROXY)
#define FIRST_VECTOR 16

int synic_host_init(struct synic *s)
{
	memset(s, 0, sizeof(*s));
	s->scontrol = 1;
	for (unsigned int i = 0; i < HV_SINT_COUNT; i++)
		s->sint[i] = HV_SINT_MASKED;
	return -pthread_mutex_init(&s->lock, NULL);
}

void synic_host_interrupt(struct hvvp *vp, enum vtl_index v, uint8_t vector)
{
	struct hvpart *part = vp->part;
	uint64_t addr = MSI_BASE | (uint64_t)(vp->index & 0xff) << 12 |
			(uint64_t)(vp->index & ~0xffu) << 32;
	int r = kvm_vm_msi(part->vtl[v].vm, addr, vector);

	if (r < 0)
		log_warn_rl(ALLOWED, "vp %u: interrupt %u for VTL%u lost (%d)", vp->index, vector,
			    VTL_NUMBER(v), r);
	if (v != VTL2)
		return;
	atomic_store(&vp->vtl2_intr, true);
	if (atomic_load(&vp->running) == RUN_VTL0 || vp->waiting)
		part_kick(vp);
}

/* Under the lock. */
static void raise_sint(struct hvvp *vp, enum vtl_index v, uint8_t sint)
{
	uint64_t cfg = vp->vtl[v].synic.sint[sint];

	if (!(cfg & (HV_SINT_MASKED | HV_SINT_POLLING)))
		synic_host_interrupt(vp, v, HV_SINT_VECTOR(cfg));
}

static bool usable(const struct synic *s, uint8_t sint, const void *page)
{
	return (s->scontrol & 1) && page && !(s->sint[sint] & (HV_SINT_MASKED | HV_SINT_PROXY));
}

static uint32_t slot_type(const struct hv_message *slot)
{
	return __atomic_load_n(&slot->type, __ATOMIC_ACQUIRE);
}

static enum hv_status fill_slot(struct synic *s, uint8_t sint, const struct hv_message *msg)
{
	struct hv_message *slot = &s->msgs[sint];

	if (slot_type(slot) != HVMSG_NONE) {
		__atomic_fetch_or(&slot->flags, HV_MESSAGE_FLAG_PENDING, __ATOMIC_SEQ_CST);
		/* Freed before it could see the flag? Then it will not write EOM. */
		if (slot_type(slot) != HVMSG_NONE) {
			s->wanted |= (uint16_t)BIT(sint);
			return HV_OBJECT_IN_USE;
		}
	}
	memcpy((uint8_t *)slot + 4, (const uint8_t *)msg + 4, sizeof(*msg) - 4);
	__atomic_store_n(&slot->type, msg->type, __ATOMIC_RELEASE);
	return HV_OK;
}

enum hv_status synic_host_post(struct hvvp *vp, enum vtl_index v, uint8_t sint,
			       const struct hv_message *msg)
{
	struct synic *s = &vp->vtl[v].synic;
	enum hv_status st;

	if (sint >= HV_SINT_COUNT)
		return HV_INVALID_PARAMETER;
	(void)pthread_mutex_lock(&s->lock);
	st = usable(s, sint, s->msgs) ? fill_slot(s, sint, msg) : HV_INVALID_SYNIC_STATE;
	if (st == HV_OK)
		raise_sint(vp, v, sint);
	(void)pthread_mutex_unlock(&s->lock);
	return st;
}

enum hv_status synic_host_signal(struct hvvp *vp, enum vtl_index v, uint8_t sint, uint16_t flag,
				 bool *ret_new)
{
	struct synic *s = &vp->vtl[v].synic;
	enum hv_status st = HV_INVALID_SYNIC_STATE;

	if (sint >= HV_SINT_COUNT || flag >= HV_EVENT_FLAGS)
		return HV_INVALID_PARAMETER;
	(void)pthread_mutex_lock(&s->lock);
	if (usable(s, sint, s->flags)) {
		uint8_t *byte = s->flags + (size_t)sint * HV_EVENT_FLAGS_BYTES + flag / 8;
		uint8_t bit = (uint8_t)(1u << flag % 8);
		bool fresh = !(__atomic_fetch_or(byte, bit, __ATOMIC_SEQ_CST) & bit);

		if (fresh)
			raise_sint(vp, v, sint);
		if (ret_new)
			*ret_new = fresh;
		st = HV_OK;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return st;
}

void synic_host_want(struct hvvp *vp, enum vtl_index v, uint16_t sints)
{
	struct synic *s = &vp->vtl[v].synic;

	(void)pthread_mutex_lock(&s->lock);
	s->wanted = sints;
	for (unsigned int i = 0; s->msgs && i < HV_SINT_COUNT; i++) {
		if (sints & BIT(i))
			__atomic_fetch_or(&s->msgs[i].flags, HV_MESSAGE_FLAG_PENDING,
					  __ATOMIC_SEQ_CST);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

uint16_t synic_host_freed(struct hvvp *vp, enum vtl_index v)
{
	struct synic *s = &vp->vtl[v].synic;
	uint16_t freed = 0;

	if (!__atomic_load_n(&s->wanted, __ATOMIC_RELAXED))
		return 0;
	(void)pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < HV_SINT_COUNT; i++) {
		if ((s->wanted & BIT(i)) && (!s->msgs || slot_type(&s->msgs[i]) == HVMSG_NONE))
			freed |= (uint16_t)BIT(i);
	}
	s->wanted &= (uint16_t)~freed;
	(void)pthread_mutex_unlock(&s->lock);
	return freed;
}

/* --- MSRs ------------------------------------------------------------------------------------- */

static void *page_of(struct hvvp *vp, enum vtl_index v, uint64_t val)
{
	if (!(val & HV_MSR_PAGE_ENABLE))
		return NULL;
	return part_page(vp->part, v, val & ~0xfffull);
}

int synic_host_msr_read(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t *ret_val)
{
	const struct synic *s = &vp->vtl[v].synic;

	switch (msr) {
	case HVMSR_SCONTROL:
		*ret_val = s->scontrol;
		return 0;
	case HVMSR_SVERSION:
		*ret_val = SVERSION;
		return 0;
	case HVMSR_SIEFP:
		*ret_val = s->siefp;
		return 0;
	case HVMSR_SIMP:
		*ret_val = s->simp;
		return 0;
	default:
		if (msr < HVMSR_SINT0 || msr > HVMSR_SINT15)
			return -EINVAL;
		*ret_val = s->sint[msr - HVMSR_SINT0];
		return 0;
	}
}

static int write_locked(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t val)
{
	struct synic *s = &vp->vtl[v].synic;

	switch (msr) {
	case HVMSR_SCONTROL:
		s->scontrol = val & 1;
		return 0;
	case HVMSR_SIEFP:
		s->siefp = val;
		s->flags = page_of(vp, v, val);
		return 0;
	case HVMSR_SIMP:
		s->simp = val;
		s->msgs = page_of(vp, v, val);
		return 0;
	default:
		if (msr < HVMSR_SINT0 || msr > HVMSR_SINT15)
			return -EINVAL;
		if (!(val & (HV_SINT_MASKED | HV_SINT_POLLING)) &&
		    HV_SINT_VECTOR(val) < FIRST_VECTOR)
			return -EINVAL;
		s->sint[msr - HVMSR_SINT0] = val & SINT_WRITABLE;
		return 0;
	}
}

int synic_host_msr_write(struct hvvp *vp, enum vtl_index v, uint32_t msr, uint64_t val)
{
	struct synic *s = &vp->vtl[v].synic;
	int r;

	(void)pthread_mutex_lock(&s->lock);
	r = write_locked(vp, v, msr, val);
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}
