/* SPDX-License-Identifier: MIT */
/* See vm_pause.h. The texts are those that clients of the original see. */
#include "vm_pause.h"

#include <stddef.h>

#include "vm.h"
#include "vp_visit.h"

/* A VP is away from its loop for one exit at most. */
#define WAIT_NS (5000ull * 1000000)

static void tell(struct vm_pause *p, const char *err)
{
	void (*done)(void *ctx, const char *err) = p->done;

	loop_timer_cancel(&p->timer);
	p->done = NULL;
	if (done)
		done(p->ctx, err);
}

static void on_timer(void *ctx)
{
	tell(ctx, "the virtual processors do not stop");
}

static void on_visited(void *ctx)
{
	struct vm_pause *p = ctx;

	for (uint32_t i = 0; i < p->vm->dt.n_vps; i++) {
		if (vp_visit_pending(p->visits, i))
			return;
	}
	tell(p, NULL);
}

void vm_pause_init(struct vm_pause *p, struct vm *vm)
{
	*p = (struct vm_pause){ .vm = vm };
	loop_timer_init(&p->timer, vm->ctl, on_timer, p);
}

void vm_pause(struct vm_pause *p, void (*done)(void *ctx, const char *err), void *ctx)
{
	struct vm *vm = p->vm;

	if (!vm->started || !vm->vps) {
		done(ctx, "worker has not been started yet");
	} else if (p->paused) {
		done(ctx, "VM is already paused");
	} else if (!p->visits && vp_visits_create(vm->vps, vm->dt.n_vps, vm->ctl, false, on_visited,
						  p, &p->visits)) {
		done(ctx, "out of memory");
	} else {
		tell(p, "VM was resumed"); /* an earlier pause that was overtaken */
		p->paused = true;
		p->done = done;
		p->ctx = ctx;
		vps_pause(vm->vps);
		for (uint32_t i = 0; i < vm->dt.n_vps; i++)
			vp_visit(p->visits, i);
		loop_timer_arm(&p->timer, loop_now_ns() + WAIT_NS);
	}
}

const char *vm_clear_halt(struct vm_pause *p)
{
	struct vm *vm = p->vm;

	if (!vm->halted)
		return "VM is not halted";
	vm->halted = false;
	atomic_store(&vm->end, VM_END_NONE);
	if (!p->paused)
		vps_resume(vm->vps);
	return NULL;
}

const char *vm_unpause(struct vm_pause *p)
{
	struct vm *vm = p->vm;

	if (!vm->started || !vm->vps)
		return "worker has not been started yet";
	if (!p->paused && !vm->halted)
		return "VM is currently running";
	p->paused = false;
	if (vm->halted)
		return vm_clear_halt(p);
	/* On its way out VTL0 stays out. */
	if (atomic_load(&vm->end) == VM_END_NONE)
		vps_resume(vm->vps);
	return NULL;
}

void vm_pause_fini(struct vm_pause *p)
{
	if (p->timer.loop)
		loop_timer_cancel(&p->timer);
	vp_visits_destroy(p->visits);
	p->visits = NULL;
}
