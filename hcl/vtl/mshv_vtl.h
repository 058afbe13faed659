/* SPDX-License-Identifier: MIT */
/*
 * The kernel's mshv_vtl driver: the only place that knows device paths, ioctl numbers and argument
 * layouts. Thin calls, no policy, no state. Run page and VTL file descriptor belong to one
 * partition; register access always concerns the VP of the CPU the calling thread runs on.
 * Spec: Linux include/uapi/linux/mshv.h, drivers/hv/mshv_vtl.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hvmsg.h"
#include "macros.h"

/* GPRs shared by all VTLs, in architectural order with CR2 in RSP's place; then an FXSAVE image. */
struct mshv_cpu_context {
	uint64_t gp[16];
	uint8_t fx[512];
	uint8_t rsvd[384];
};
WIRE_SIZE(struct mshv_cpu_context, 1024);

#define MSHV_CTX_CR2 4 /* index in gp[] */

/* One page per CPU, shared with the kernel. Only the owner thread touches it, but for cancel. */
struct mshv_run_page {
	uint32_t cancel; /* nonzero: the run ioctl returns -EINTR; the kernel never clears it */
	uint32_t ret_action_bytes;
	uint8_t rsvd0[8];
	struct hv_message exit;
	struct mshv_cpu_context ctx;
	struct hv_vtl_return_action actions[HV_VTL_RETURN_ACTIONS];
};
WIRE_OFFSET(struct mshv_run_page, exit, 16);
WIRE_OFFSET(struct mshv_run_page, ctx, 272);
WIRE_OFFSET(struct mshv_run_page, actions, 1296);

enum mshv_cap {
	MSHV_CAP_CORE_API_STABLE = 0,
	MSHV_CAP_REGISTER_PAGE = 1,
	MSHV_CAP_RETURN_ACTION = 2,
	MSHV_CAP_DR6_SHARED = 3,
};

/**
 * mshv_open - open /dev/mshv
 * mshv_create_vtl - make the VTL descriptor all per-VP calls use
 * mshv_has_cap - does the driver have a capability (unknown ones count as no)
 * Returns: fd or -errno; caller closes. Context: start-up.
 */
must_check int mshv_open(void);
must_check int mshv_create_vtl(int mshv_fd);
bool mshv_has_cap(int mshv_fd, enum mshv_cap cap);

/**
 * mshv_add_vtl0_memory - tell the kernel that a range is VTL0 RAM; cannot be undone
 * @gpa, @len: bytes, page aligned
 * Returns: 0, -errno
 */
must_check int mshv_add_vtl0_memory(int vtl_fd, gpa_t gpa, uint64_t len);

/* Wake-ups of fd's file cancel VTL0 execution on the CPU. Stays for good. 0, -errno. */
must_check int mshv_set_poll_file(int vtl_fd, uint32_t cpu, int fd);

/* Private copy-free views; NULL and errno on failure. The register page may not exist. */
struct mshv_run_page *mshv_map_run_page(int vtl_fd, uint32_t cpu);
struct hv_register_page *mshv_map_register_page(int vtl_fd, uint32_t cpu);
void mshv_unmap_page(void *page);

/**
 * mshv_run - enter VTL0 on this CPU
 * Returns: 0 = the run page holds an exit message; -EINTR = cancelled or signal; other -errno.
 */
must_check int mshv_run(int vtl_fd);

/* One register of VTL0 of this CPU's VP. 0, -errno. */
must_check int mshv_get_reg(int vtl_fd, uint32_t name, union hv_regval *ret_val);
must_check int mshv_set_reg(int vtl_fd, uint32_t name, const union hv_regval *val);

/**
 * mshv_hvcall_open - open /dev/mshv_hvcall and allow the given call codes, once and for all
 * Returns: fd or -errno
 */
must_check int mshv_hvcall_open(const uint16_t *codes, size_t n);

/**
 * mshv_hvcall - one hypercall; sizes at most a page
 * Returns: 0 with the hypervisor's result word, or -errno (-EPERM: code not allowed)
 */
must_check int mshv_hvcall(int hvcall_fd, uint64_t control, const void *in, uint32_t in_len,
			   void *ret_out, uint32_t out_len, uint64_t *ret_result);

/* Open /dev/mshv_vtl_low; map a range of VTL0 memory from it (NULL and errno on failure). */
must_check int mshv_vtl_low_open(void);
void *mshv_vtl_low_map(int low_fd, gpa_t gpa, uint64_t len, void *at);

/**
 * mshv_sint_open - open /dev/mshv_sint: messages on the SINT that relays use, and their way back
 * The stream starts paused. Returns: fd (does not block; polls readable), -errno
 */
must_check int mshv_sint_open(void);

/* Let messages come, or not. 0, -errno. */
must_check int mshv_sint_pause(int sint_fd, bool pause);

/* The next message. 1 got one; 0 none now, or paused; -errno. */
must_check int mshv_sint_read(int sint_fd, struct hv_message *ret_msg);

/**
 * mshv_sint_post - HvPostMessage as VTL2
 * @len: 0..HV_MESSAGE_PAYLOAD
 * Returns: 0; > 0 the hypervisor's status (enum hv_status); -errno
 */
must_check int mshv_sint_post(int sint_fd, uint32_t connection_id, uint32_t type, const void *buf,
			      size_t len);
