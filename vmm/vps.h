/* SPDX-License-Identifier: MIT */
/*
 * All VP threads of the VM: one per virtual processor, pinned to the CPU of the same number, with
 * its own loop. They are started asleep, and let into VTL0 together.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "load_regs.h"
#include "vcpu.h"

struct vps;

struct vps_cfg {
	int vtl_fd;
	bool register_page; /* the driver offers it */
	bool entry_actions; /* and takes these (vp_signal_at_entry) */
	uint32_t n;
	const struct vcpu_env *env;
	const struct load_regs *bsp_regs; /* written by VP 0; the others start suspended */
	/* A run loop met an error of the kernel interface; on the VP's thread, which then ends. */
	void (*failed)(void *ctx, vpidx_t vp, int err);
	/* VP 0 is about to enter VTL0 for the first time; on its thread. */
	void (*first_entry)(void *ctx);
	void *ctx;
};

/**
 * vps_start - start all threads and wait until each is ready to run
 * @cfg: copied; what it points at must live until vps_stop()
 * Returns: 0; -ENOMEM; -errno of what the threads did first (the log names the VP)
 */
must_check int vps_start(const struct vps_cfg *cfg, struct vps **ret_vps);

/* Let VTL0 run, or keep it out. Any thread; returns before the threads have noticed. */
void vps_resume(struct vps *vps);
void vps_pause(struct vps *vps);

/* End and join all threads. Not from a VP thread. Accepts NULL. */
void vps_stop(struct vps *vps);

struct vcpu *vps_vcpu(struct vps *vps, vpidx_t vp);

/* Exits of all VPs by kind. Any thread. */
void vps_exits(struct vps *vps, uint64_t ret_exits[EXIT_KINDS]);
