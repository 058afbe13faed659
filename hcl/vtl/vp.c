/* SPDX-License-Identifier: MIT */
/* The kernel backend of a virtual processor. Thread: the VP's own. */
#include "vp.h"

#include <errno.h>
#include <string.h>

#include "le.h"

/* Reset values of the x87 control word and MXCSR, which the kernel leaves at zero. */
#define FX_FCW_RESET 0x37f
#define FX_MXCSR_RESET 0x1f80
#define FX_MXCSR_OFF 24

/* Half of what fits: real hypervisors are never asked for more at once. */
#define MAX_ENTRY_ACTIONS (HV_VTL_RETURN_ACTIONS / 2)

static int kernel_run(void *ctx)
{
	struct vp *vp = ctx;

	return mshv_run(vp->vtl_fd);
}

static int kernel_get_reg(void *ctx, uint32_t name, union hv_regval *ret_val)
{
	struct vp *vp = ctx;

	return mshv_get_reg(vp->vtl_fd, name, ret_val);
}

static int kernel_set_reg(void *ctx, uint32_t name, const union hv_regval *val)
{
	struct vp *vp = ctx;

	return mshv_set_reg(vp->vtl_fd, name, val);
}

static const struct vp_ops kernel_ops = {
	.run = kernel_run,
	.get_reg = kernel_get_reg,
	.set_reg = kernel_set_reg,
};

static void init_fx(struct mshv_run_page *run)
{
	le16_store(run->ctx.fx, FX_FCW_RESET);
	le32_store(run->ctx.fx + FX_MXCSR_OFF, FX_MXCSR_RESET);
}

int vp_open(struct vp *vp, int vtl_fd, vpidx_t idx, bool want_page)
{
	*vp = (struct vp){ .ops = &kernel_ops, .ctx = vp, .idx = idx, .vtl_fd = vtl_fd };
	vp->run = mshv_map_run_page(vtl_fd, idx);
	if (!vp->run)
		return -errno;
	if (want_page) {
		vp->page = mshv_map_register_page(vtl_fd, idx);
		if (!vp->page) {
			int err = errno;

			vp_close(vp);
			return -err;
		}
	}
	init_fx(vp->run);
	return 0;
}

void vp_close(struct vp *vp)
{
	mshv_unmap_page(vp->run);
	mshv_unmap_page(vp->page);
	vp->run = NULL;
	vp->page = NULL;
}

void vp_init_mock(struct vp *vp, vpidx_t idx, struct mshv_run_page *run,
		  struct hv_register_page *page, const struct vp_ops *ops, void *ctx)
{
	*vp = (struct vp){
		.run = run, .page = page, .ops = ops, .ctx = ctx, .idx = idx, .vtl_fd = -1
	};
	init_fx(run);
}

bool vp_signal_at_entry(struct vp *vp, uint8_t sint, uint16_t flag)
{
	struct mshv_run_page *run = vp->run;
	const uint32_t n = run->ret_action_bytes / sizeof(run->actions[0]);

	if (!vp->entry_actions || n >= MAX_ENTRY_ACTIONS)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (run->actions[i].sint == sint && run->actions[i].flag == flag)
			return true;
	}
	run->actions[n] = (struct hv_vtl_return_action){
		.type = HV_VTL_RETURN_SIGNAL_EVENT, .vp = vp->idx, .sint = sint, .flag = flag
	};
	/* The kernel copies that many bytes at the next entry and starts over. */
	run->ret_action_bytes = (n + 1) * (uint32_t)sizeof(run->actions[0]);
	return true;
}
