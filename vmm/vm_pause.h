/* SPDX-License-Identifier: MIT */
/*
 * Keeping VTL0 out on request and letting it in again. "Paused" is said when every VP has been seen
 * outside VTL0. Context: control thread.
 */
#pragma once

#include <stdbool.h>

#include "loop.h"
#include "macros.h"

struct vm;
struct vp_visits;

struct vm_pause {
	struct vm *vm;
	struct vp_visits *visits; /* made by the first pause */
	struct loop_timer timer;
	bool paused; /* VPs were told to stay out */
	void (*done)(void *ctx, const char *err); /* NULL: nobody waits */
	void *ctx;
};

/* @vm: its loop exists */
void vm_pause_init(struct vm_pause *p, struct vm *vm);

/**
 * vm_pause - keep VTL0 out
 * @done: called once, possibly before this returns. @err: NULL, or why it was not done
 */
void vm_pause(struct vm_pause *p, void (*done)(void *ctx, const char *err), void *ctx);

/**
 * vm_unpause - end a pause, and let VTL0 run on if it had halted and was kept
 * Returns: NULL; why it was not done
 */
must_check const char *vm_unpause(struct vm_pause *p);

/* Let VTL0 run on after it had halted and was kept. Returns: as above. */
must_check const char *vm_clear_halt(struct vm_pause *p);

/* After vps_stop(). */
void vm_pause_fini(struct vm_pause *p);
