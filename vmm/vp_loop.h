/* SPDX-License-Identifier: MIT */
/*
 * The life of a VP thread: do what the loop has, enter VTL0, serve the exit, again.
 * Context: the vcpu's own thread.
 */
#pragma once

#include "vcpu.h"

/**
 * vp_loop_step - one round: pending work, then at most one entry into VTL0 and its exit
 * Returns: 0; -errno of the run ioctl when it is not an interruption (fatal for the VM)
 */
must_check int vp_loop_step(struct vcpu *v);

/**
 * vp_loop_run - rounds until v->stop is set
 * While v->paused is set the thread sleeps in its loop instead of entering VTL0.
 * Returns: 0, or the error of vp_loop_step()
 */
must_check int vp_loop_run(struct vcpu *v);
