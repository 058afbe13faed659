/* SPDX-License-Identifier: MIT */
/*
 * One virtual processor as VTL2 sees it: run page, register page, entering VTL0. The backend is a
 * table of functions so that tests and benchmarks can play the hypervisor.
 *
 * Everything here runs on the VP's own pinned thread, but for vp_cancel(). The exit message and
 * the registers were chosen by VTL0: hostile values in trusted places.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mshv_vtl.h"

struct vp_ops {
	int (*run)(void *ctx); /* as mshv_run() */
	int (*get_reg)(void *ctx, uint32_t name, union hv_regval *ret_val);
	int (*set_reg)(void *ctx, uint32_t name, const union hv_regval *val);
};

struct vp {
	struct mshv_run_page *run;
	struct hv_register_page *page; /* NULL: the hypervisor offers none */
	const struct vp_ops *ops;
	void *ctx;
	vpidx_t idx;
	int vtl_fd; /* kernel backend only */
	bool entry_actions; /* the hypervisor carries out what an entry into VTL0 names */
};

/**
 * vp_open - map the pages of one CPU and use the kernel as backend
 * @want_page: the driver reported MSHV_CAP_REGISTER_PAGE
 * Returns: 0, -errno. Context: the VP's thread, already pinned.
 */
must_check int vp_open(struct vp *vp, int vtl_fd, vpidx_t idx, bool want_page);
void vp_close(struct vp *vp);

/* Use another backend; @run and @page stay the caller's. For tests and benchmarks. */
void vp_init_mock(struct vp *vp, vpidx_t idx, struct mshv_run_page *run,
		  struct hv_register_page *page, const struct vp_ops *ops, void *ctx);

/* Allow the next entry. To be called before the wake condition is looked at. */
static inline void vp_allow_run(struct vp *vp)
{
	/* Full barrier: pairs with vp_cancel(), which stores after making the condition true. */
	__atomic_store_n(&vp->run->cancel, 0, __ATOMIC_SEQ_CST);
}

/* Make the next (not a running) entry return -EINTR. Any thread. */
static inline void vp_cancel(struct vp *vp)
{
	__atomic_store_n(&vp->run->cancel, 1, __ATOMIC_SEQ_CST);
}

/**
 * vp_signal_at_entry - set an event flag of this VP's SynIC in VTL0 when VTL0 is entered next
 * Returns: false: not possible (now), ask the hypervisor right away. Context: the VP's thread
 */
must_check bool vp_signal_at_entry(struct vp *vp, uint8_t sint, uint16_t flag);

static inline must_check int vp_run(struct vp *vp)
{
	return vp->ops->run(vp->ctx);
}

/* GPRs VTL0 and VTL2 share (index 4 is CR2, not RSP), live in the run page between entries. */
static inline uint64_t *vp_gp(struct vp *vp)
{
	return vp->run->ctx.gp;
}

static inline const struct hv_message *vp_exit(const struct vp *vp)
{
	return &vp->run->exit;
}
