/* SPDX-License-Identifier: MIT */
/* Event injection, see inject.h. Register writes that fail are logged: VTL0 then misses an
 * event. */
#include "inject.h"

#include "log.h"
#include "regs.h"

#define LOG_AREA "inject"
#define DR6_BS BIT(14)

static void set_event(struct vcpu *v, uint64_t q0, uint64_t q1)
{
	union hv_regval val = { .q = { q0, q1 } };
	int r;

	if (v->event_pending) {
		log_warn_rl(CONF, "vp %u: event %#llx dropped, another is pending", v->vp.idx,
			    (unsigned long long)q0);
		return;
	}
	r = regs_set(&v->vp, HVREG_PENDING_EVENT0, &val);
	if (r < 0)
		log_warn_rl(ALLOWED, "vp %u: cannot set pending event (%d)", v->vp.idx, r);
	else
		v->event_pending = true;
}

void inject_exception(struct vcpu *v, const struct x86emu_fault *fault)
{
	uint64_t q0 = HV_PENDING_EVENT_PENDING | HV_PENDING_EVENT_EXCEPTION |
		      (uint64_t)fault->vector << 16;

	if (fault->has_error)
		q0 |= HV_PENDING_EXC_HAS_ERROR | (uint64_t)fault->error << 32;
	set_event(v, q0, fault->vector == X86_PF ? fault->cr2 : 0);
}

void inject_trap(struct vcpu *v)
{
	set_event(v, HV_PENDING_EVENT_PENDING | HV_PENDING_EVENT_EXCEPTION | (uint64_t)X86_DB << 16,
		  DR6_BS);
}

void inject_extint(struct vcpu *v)
{
	/* The request may have gone away between notification and now: then nothing is
	 * acknowledged. */
	if (!atomic_load_explicit(&v->extint, memory_order_seq_cst) || v->event_pending)
		return;
	set_event(v, HV_PENDING_EVENT_PENDING | HV_PENDING_EVENT_EXTINT |
			     (uint64_t)v->env->extint_ack(v->env->ctx) << 8,
		  0);
}

void inject_sync(struct vcpu *v)
{
	uint64_t wanted = (uint64_t)v->want_sints << HV_DELIVER_SINT_SHIFT;
	int r;

	if (atomic_load_explicit(&v->extint, memory_order_seq_cst))
		wanted |= HV_DELIVER_INTERRUPT;
	if (wanted == v->deliver_set)
		return;
	r = regs_set64(&v->vp, HVREG_DELIVERABILITY, wanted);
	if (r < 0)
		log_warn_rl(ALLOWED, "vp %u: cannot ask for deliverability (%d)", v->vp.idx, r);
	v->deliver_set = wanted;
}
