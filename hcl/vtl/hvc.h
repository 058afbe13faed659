/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of user space through /dev/mshv_hvcall: allow list, continuation of repeated calls,
 * retry of timeouts, and typed wrappers for what the daemon needs. One system call per trip.
 *
 * Result convention of this header: 0 success; > 0 the hypervisor's status (enum hv_status);
 * < 0 -errno of the driver. -ETIMEDOUT: the hypervisor made no progress in a bounded number of
 * trips. Context: any thread. Trust: the hypervisor's answers are checked, not believed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hvcall.h"
#include "hvmsg.h"
#include "macros.h"

/* One trip: as mshv_hvcall(). Tests supply their own. */
struct hvc_ops {
	int (*call)(void *ctx, uint64_t control, const void *in, uint32_t in_len, void *ret_out,
		    uint32_t out_len, uint64_t *ret_result);
};

struct hvc {
	const struct hvc_ops *ops;
	void *ctx;
	int fd;
};

/**
 * hvc_open - open the device with the allow list of partitions without hardware isolation
 * Returns: 0, -errno
 */
must_check int hvc_open(struct hvc *h);
void hvc_close(struct hvc *h);
void hvc_init_mock(struct hvc *h, const struct hvc_ops *ops, void *ctx);

/* A call without repetition; sizes 0..4096. */
must_check int hvc_simple(struct hvc *h, uint16_t code, const void *in, size_t in_len,
			  void *ret_out, size_t out_len);

struct hvc_rep {
	uint16_t code;
	const void *head; /* fixed header before the elements */
	size_t head_len;
	const void *elems;
	size_t elem_len; /* bytes of one input element */
	void *ret_elems; /* NULL: no output */
	size_t ret_elem_len;
	size_t n; /* elements; cut into calls as they fit a page */
};

/**
 * hvc_rep - a repeated call, continued until every element is done
 * @ret_done: elements completed, also on failure; may be NULL
 */
must_check int hvc_rep(struct hvc *h, const struct hvc_rep *rep, size_t *ret_done);

/* Registers of a VP. @vtl: HV_INPUT_VTL_SELF or HV_INPUT_VTL(n). */
must_check int hvc_get_reg(struct hvc *h, uint32_t vp, uint8_t vtl, uint32_t name,
			   union hv_regval *ret_val);
must_check int hvc_set_reg(struct hvc *h, uint32_t vp, uint8_t vtl, uint32_t name,
			   const union hv_regval *val);

/* Intercept what VTL0 does; access 0 removes the intercept. @access: HV_ACCESS_*. */
must_check int hvc_install_intercept(struct hvc *h, enum hv_intercept_type type, uint32_t access,
				     uint64_t param);

struct hvc_interrupt {
	enum hv_int_type type;
	bool level, logical;
	uint64_t dest; /* APIC id, or logical destination */
	uint32_t vector;
};

/* Raise an interrupt in VTL0. */
must_check int hvc_assert_interrupt(struct hvc *h, const struct hvc_interrupt *irq);

/**
 * hvc_post_message - put a message into a slot of VTL0's SynIC and raise the SINT
 * The VP is that of the calling thread's CPU: no other one can be reached.
 * Returns: as above; HV_OBJECT_IN_USE: the slot is taken (HVREG_DELIVERABILITY tells when it is
 * free); HV_INVALID_SYNIC_STATE: VTL0 has it switched off or masked
 */
must_check int hvc_post_message(struct hvc *h, uint8_t sint, const struct hv_message *msg);

/* Set an event flag in VTL0's SynIC of any VP and raise the SINT if it was clear. */
must_check int hvc_signal_event(struct hvc *h, vpidx_t vp, uint8_t sint, uint16_t flag);

/**
 * hvc_translate - VTL0 linear address to guest-physical for the calling thread's VP
 * @flags: HV_XLATE_READ/WRITE/EXECUTE/PRIVILEGE_EXEMPT; @gva_page: linear address / 4096
 * Returns: as above with *ret_out copied whole on 0; look at ret_out->code
 */
must_check int hvc_translate(struct hvc *h, vpidx_t vp, uint64_t flags, uint64_t gva_page,
			     struct hv_translate_ex_out *ret_out);

/**
 * hvc_accept_pages - take over memory of lower VTLs that the host gave an isolated partition
 * @gpn, @pages: not accepted yet; afterwards private, with VTL0's default permissions
 */
must_check int hvc_accept_pages(struct hvc *h, gpn_t gpn, uint64_t pages);

/* VP indices of APIC ids, in the calling partition's VTL0. */
must_check int hvc_vp_index(struct hvc *h, const uint32_t *apic_ids, size_t n, uint32_t *ret_vps);
