/* SPDX-License-Identifier: MIT */
/* See msr.h. State: the crash parameters of one vcpu. */
#include "msr.h"

#include "hvmsr.h"
#include "log.h"

#define LOG_AREA "msr"

uint64_t msr_read(struct vcpu *v, uint32_t msr)
{
	if (msr >= HVMSR_CRASH_P0 && msr <= HVMSR_CRASH_P4)
		return atomic_load_explicit(&v->crash_p[msr - HVMSR_CRASH_P0],
					    memory_order_relaxed);
	if (msr == HVMSR_CRASH_CTL)
		return HV_CRASH_CTL_CAPS;
	log_debug_rl(CONF, "vp %u: read of MSR %#x answered with 0", v->vp.idx, msr);
	return 0;
}

/* The message is the guest's: bounded, copied once, and handed on as bytes. */
static void report_crash(struct vcpu *v, uint64_t ctl)
{
	struct vtl0_crash *c = v->crash_buf;

	c->vp = v->vp.idx;
	c->ctl = ctl;
	c->text_len = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(c->p); i++)
		c->p[i] = atomic_load_explicit(&v->crash_p[i], memory_order_relaxed);
	if (ctl & HV_CRASH_CTL_MESSAGE) {
		uint32_t len = (uint32_t)MIN(c->p[4], (uint64_t)sizeof(c->text));

		if (gm_read(v->env->gm, c->p[3], c->text, len) == 0)
			c->text_len = len;
	}
	v->env->crash(v->env->ctx, c);
}

void msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
	if (msr >= HVMSR_CRASH_P0 && msr <= HVMSR_CRASH_P4) {
		atomic_store_explicit(&v->crash_p[msr - HVMSR_CRASH_P0], val, memory_order_relaxed);
	} else if (msr == HVMSR_CRASH_CTL) {
		if (val & HV_CRASH_CTL_NOTIFY)
			report_crash(v, val);
	} else {
		log_debug_rl(CONF, "vp %u: write of MSR %#x ignored", v->vp.idx, msr);
	}
}
