/* SPDX-License-Identifier: MIT */
/* State of one virtual processor and the doors other threads may use. */
#include "vcpu.h"

#include <errno.h>
#include <stdlib.h>

const char *const exit_kind_names[EXIT_KINDS] = {
	[EXIT_PIO] = "pio",
	[EXIT_PIO_STRING] = "pio_string",
	[EXIT_MMIO] = "mmio",
	[EXIT_PROTECTED] = "protected",
	[EXIT_MSR] = "msr",
	[EXIT_CPUID] = "cpuid",
	[EXIT_HYPERCALL] = "hypercall",
	[EXIT_DELIVERABLE] = "deliverable",
	[EXIT_EOI] = "eoi",
	[EXIT_SINT] = "sint",
	[EXIT_TRIPLE_FAULT] = "triple_fault",
	[EXIT_CANCELLED] = "cancelled",
	[EXIT_UNKNOWN] = "unknown",
	[EXIT_EMU_UNSUPPORTED] = "emu_unsupported",
	[EXIT_EMU_ERROR] = "emu_error",
};

static _Thread_local struct vcpu *current_vcpu;

struct vcpu *vcpu_current(void)
{
	return current_vcpu;
}

void vcpu_set_current(struct vcpu *v)
{
	current_vcpu = v;
}

/* Being posted is the message: the flags are looked at before every entry. */
static void on_wake(void *ctx)
{
	(void)ctx;
}

int vcpu_init(struct vcpu *v, const struct vcpu_env *env, struct loop *loop)
{
	*v = (struct vcpu){ .env = env, .loop = loop, .wake = { .fn = on_wake } };
	v->crash_buf = calloc(1, sizeof(*v->crash_buf));
	return v->crash_buf ? 0 : -ENOMEM;
}

void vcpu_fini(struct vcpu *v)
{
	free(v->crash_buf);
	v->crash_buf = NULL;
}

void vcpu_kick(struct vcpu *v)
{
	if (v->loop)
		loop_post(v->loop, &v->wake);
}

void vcpu_extint_line(struct vcpu *v, bool level)
{
	bool was = atomic_exchange_explicit(&v->extint, level, memory_order_seq_cst);

	if (level && !was)
		vcpu_kick(v);
}
