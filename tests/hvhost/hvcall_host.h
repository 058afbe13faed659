/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: input is copied once into private memory, checked against one table, and handed to a
 * handler. Context: the VP's thread. Trust: callers are hostile; every number is checked.
 * Spec: hypervisor 3.4, 3.5, 4.7, 5.
 */
#pragma once

#include "hvpart.h"

/* One call in progress. */
struct hvcall {
	struct hvvp *vp;
	enum vtl_index caller;
	uint16_t code;
	uint32_t reps, start; /* 0 for simple calls */
	const uint8_t *in;
	uint32_t in_len;
	uint8_t *out; /* zeroed */
	uint32_t out_len;
	/* Results beside the status. */
	uint32_t reps_done; /* counts from 0, includes start */
	bool forward; /* VTL0's call is VTL2's to answer */
};

typedef enum hv_status (*hvcall_fn)(struct hvcall *c);

enum hvcall_vtl0 {
	HVCALL_VTL0_NO, /* not for VTL0 */
	HVCALL_VTL0_YES,
};

struct hvcall_entry {
	uint16_t code;
	bool rep, fast, variable; /* kind; may it be fast; variable header allowed */
	enum hvcall_vtl0 vtl0;
	uint16_t in_head, in_elem, out_head, out_elem; /* bytes */
	hvcall_fn fn;
};

/* The table entry of a call code, or NULL. */
const struct hvcall_entry *hvcall_host_find(uint16_t code);

/* A hypercall by VTL2 or VTL0 whose page access was recognised. @port: HCPAGE_PORT... */
void hvcall_host_vtl2(struct hvvp *vp);
void hvcall_host_vtl0(struct hvvp *vp, uint16_t port);

/**
 * hvcall_host_run - check and execute one call
 * @control: control word; @in: input GPA or first fast word; @out: output GPA or second fast word
 * @ret_forward: VTL0's call goes to VTL2; the result is meaningless then
 * Returns: the result word
 */
uint64_t hvcall_host_run(struct hvvp *vp, enum vtl_index caller, uint64_t control, uint64_t in,
			 uint64_t out, bool *ret_forward);

/* The VTL an input_vtl byte means. HV_INVALID_PARAMETER: none of ours. */
enum hv_status hvcall_host_vtl(const struct hvcall *c, uint8_t input_vtl, enum vtl_index *ret_v);

/* Handlers, by file. */
enum hv_status hvcall_get_regs(struct hvcall *c); /* hvcalls_regs.c */
enum hv_status hvcall_set_regs(struct hvcall *c);
enum hv_status hvcall_enable_vp_vtl(struct hvcall *c); /* hvcalls_vp.c */
enum hv_status hvcall_start_vp(struct hvcall *c);
enum hv_status hvcall_vp_index(struct hvcall *c);
enum hv_status hvcall_send_ipi(struct hvcall *c);
enum hv_status hvcall_send_ipi_ex(struct hvcall *c);
enum hv_status hvcall_assert_interrupt(struct hvcall *c);
enum hv_status hvcall_modify_protection(struct hvcall *c); /* hvcalls_mem.c */
enum hv_status hvcall_translate(struct hvcall *c);
enum hv_status hvcall_translate_ex(struct hvcall *c);
enum hv_status hvcall_check_access(struct hvcall *c);
enum hv_status hvcall_accept_pages(struct hvcall *c); /* hvcalls_iso.c */
enum hv_status hvcall_host_visibility(struct hvcall *c);
enum hv_status hvcall_post_message(struct hvcall *c); /* hvcalls_synic.c */
enum hv_status hvcall_signal_event(struct hvcall *c);
enum hv_status hvcall_post_direct(struct hvcall *c);
enum hv_status hvcall_signal_direct(struct hvcall *c);
enum hv_status hvcall_install_intercept(struct hvcall *c); /* hvcalls_misc.c */
enum hv_status hvcall_partition_id(struct hvcall *c);
enum hv_status hvcall_long_spin(struct hvcall *c);
enum hv_status hvcall_enable_partition_vtl(struct hvcall *c);
enum hv_status hvcall_retarget(struct hvcall *c); /* hvcalls_pci.c */
