/* SPDX-License-Identifier: MIT */
/*
 * One virtual processor of the VM as the daemon runs it: the VTL side (vp.h), what it may reach
 * (struct vcpu_env), and its private state. A vcpu belongs to its pinned thread; other threads only
 * post to its loop, and read the counters.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gmem.h"
#include "hvc.h"
#include "loop.h"
#include "vp.h"

struct bus;
struct vcpu;

/* Kinds of exits, for the counters. Order = order in the stats line. */
enum exit_kind {
	EXIT_PIO,
	EXIT_PIO_STRING, /* also counted in EXIT_PIO */
	EXIT_MMIO,
	EXIT_PROTECTED, /* VTL0 touched VTL2 memory; also counted in EXIT_MMIO */
	EXIT_MSR,
	EXIT_CPUID,
	EXIT_HYPERCALL,
	EXIT_DELIVERABLE,
	EXIT_EOI,
	EXIT_SINT,
	EXIT_TRIPLE_FAULT,
	EXIT_CANCELLED, /* the run ioctl was interrupted */
	EXIT_UNKNOWN, /* a message type or content we do not serve */
	EXIT_EMU_UNSUPPORTED, /* instructions answered with #UD */
	EXIT_EMU_ERROR,
	EXIT_KINDS,
};

/* Short names for logs and the stats line. */
extern const char *const exit_kind_names[EXIT_KINDS];

struct vtl0_crash {
	uint64_t p[5]; /* crash parameters 0..4 as VTL0 wrote them: hostile */
	uint64_t ctl;
	vpidx_t vp;
	uint32_t text_len;
	char text[4096]; /* not terminated; only if ctl asks for a message */
};

struct gpa_range {
	gpa_t base;
	uint64_t len;
};

/* What every vcpu may use. Immutable once threads run; the callbacks may be called on any VP thread
 * and must not block. */
struct vcpu_env {
	struct bus *bus;
	struct gmem *gm;
	struct hvc *hvc;
	const uint32_t *apic_ids; /* by VP index */
	uint32_t n_vps;
	const struct gpa_range *protected_ranges; /* VTL2's RAM, ascending */
	size_t n_protected;
	void *ctx;
	/* End of interrupt for a level-triggered vector: the IOAPIC's business. */
	void (*eoi)(void *ctx, uint8_t vector);
	/* Acknowledge the PIC; the vector to inject. */
	uint8_t (*extint_ack)(void *ctx);
	/* VTL0 wrote its crash control register. */
	void (*crash)(void *ctx, const struct vtl0_crash *crash);
	/* VTL0 cannot go on (triple fault). */
	void (*triple_fault)(void *ctx, vpidx_t vp);
	/* Hypercalls of VTL0 for servers that live here. NULL: unknown connection. enum
	 * hv_status. */
	uint16_t (*post_message)(void *ctx, vpidx_t vp, uint32_t connection, uint32_t type,
				 const void *payload, size_t len);
	uint16_t (*signal_event)(void *ctx, vpidx_t vp, uint32_t connection, uint16_t flag);
	/* A device's message is to go to @vp now. 0; -ENOENT: nobody's; -EINVAL. May be NULL. */
	int (*retarget)(void *ctx, uint64_t device_id, uint64_t addr, uint32_t data,
			uint32_t vector, vpidx_t vp);
	/* Message slots that were waited for (want_sints) are free. May be NULL. */
	void (*sints_free)(void *ctx, vpidx_t vp, uint16_t sints);
};

struct vcpu {
	struct vp vp;
	const struct vcpu_env *env;
	struct loop *loop;

	/* owner thread only */
	uint64_t deliver_set; /* what the hypervisor was last told: HV_DELIVER_* */
	uint16_t want_sints; /* whose message slots are waited for: bit mask */
	bool event_pending; /* an event was injected since the last entry */
	struct vtl0_crash *crash_buf; /* allocated at start: the exit path allocates nothing */

	/* any thread */
	_Alignas(64) atomic_bool extint; /* level of the PIC's output; only VP 0 has one */
	atomic_bool stop; /* leave the run loop */
	atomic_bool paused; /* stay out of VTL0 */
	struct loop_work wake;

	/* Written by the owner with relaxed stores, read by anybody. */
	_Alignas(64) atomic_uint_fast64_t exits[EXIT_KINDS];
	_Atomic uint64_t crash_p[5]; /* VTL0's crash parameters */
};

static inline void vcpu_count(struct vcpu *v, enum exit_kind kind)
{
	/* Single writer: a plain load and store, no locked instruction on the exit path. */
	uint64_t n = atomic_load_explicit(&v->exits[kind], memory_order_relaxed);

	atomic_store_explicit(&v->exits[kind], n + 1, memory_order_relaxed);
}

/**
 * vcpu_init - prepare the part that does not depend on the backend
 * v->vp must be set by vp_open() or vp_init_mock() on the owner thread before the first run.
 * Returns: 0, -ENOMEM
 */
must_check int vcpu_init(struct vcpu *v, const struct vcpu_env *env, struct loop *loop);
void vcpu_fini(struct vcpu *v);

/* The vcpu whose thread this is, NULL on others; and say that it is this one. */
struct vcpu *vcpu_current(void);
void vcpu_set_current(struct vcpu *v);

/* Make the vcpu leave VTL0 and look at its flags. Any thread. */
void vcpu_kick(struct vcpu *v);

/**
 * vcpu_extint_line - level of the PIC's output pin
 * Context: any thread, also with device locks held
 */
void vcpu_extint_line(struct vcpu *v, bool level);
