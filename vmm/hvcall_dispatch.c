/* SPDX-License-Identifier: MIT */
/* See hvcall_dispatch.h. State: none. Loops are bounded by what one page can hold. */
#include "hvcall_dispatch.h"

#include <string.h>

#include "ckd.h"
#include "hv_names.h"
#include "hvcall.h"
#include "hvcall_retarget.h"
#include "hvregs.h"
#include "log.h"
#include "regs.h"

#define LOG_AREA "hypercall"

#define HYPERCALL_INSN_LEN 3 /* VMCALL and VMMCALL */
#define FAST_BYTES 16 /* two registers; the XMM form is not offered */

enum { CTX_RAX = 0, CTX_RCX = 1, CTX_RDX = 2, CTX_RBX = 3, CTX_RSI = 6, CTX_RDI = 7, CTX_R8 = 8 };

/* One call in progress, registers of either convention turned into these. */
struct hcall {
	struct vcpu *v;
	uint64_t control;
	uint64_t in, out; /* GPAs, or the two fast words */
	uint32_t rep_count, rep_start;
	uint32_t reps_done;
	size_t in_len; /* of buf */
	uint8_t buf[KEEL_PAGE_SIZE]; /* copy of header and elements */
};

struct hcall_type {
	uint16_t code;
	bool rep;
	bool fast; /* may be called with the input in registers */
	uint16_t in_bytes; /* header */
	uint8_t elem_bytes; /* input element of a repeated call */
	uint16_t (*fn)(struct hcall *c);
};

/* --- calls ------------------------------------------------------------------------------------ */

static uint16_t do_post_message(struct hcall *c)
{
	const struct vcpu_env *env = c->v->env;
	struct hv_post_message_in in;

	memcpy(&in, c->buf, sizeof(in));
	if (in.size > HV_MESSAGE_PAYLOAD)
		return HV_INVALID_PARAMETER;
	if (!env->post_message)
		return HV_INVALID_CONNECTION_ID;
	return env->post_message(env->ctx, c->v->vp.idx, in.connection, in.type, in.payload,
				 in.size);
}

static uint16_t do_signal_event(struct hcall *c)
{
	const struct vcpu_env *env = c->v->env;
	struct hv_signal_event_in in;

	memcpy(&in, c->buf, sizeof(in));
	if (!env->signal_event)
		return HV_INVALID_CONNECTION_ID;
	return env->signal_event(env->ctx, c->v->vp.idx, in.connection, in.flag);
}

static uint16_t do_retarget(struct hcall *c)
{
	return hvcall_retarget(c->v->env, c->buf, c->in_len);
}

static bool find_vp(const struct vcpu_env *env, uint32_t apic_id, uint32_t *ret_vp)
{
	/* Almost always the identity; the search is for the exceptions. */
	if (apic_id < env->n_vps && env->apic_ids[apic_id] == apic_id) {
		*ret_vp = apic_id;
		return true;
	}
	for (uint32_t i = 0; i < env->n_vps; i++) {
		if (env->apic_ids[i] == apic_id) {
			*ret_vp = i;
			return true;
		}
	}
	return false;
}

/* Elements looked up per call before VTL0 gets a chance to run again. */
#define APIC_ID_BATCH 64u

static uint16_t do_vp_index(struct hcall *c)
{
	struct hv_apicid_in in;
	uint32_t out[APIC_ID_BATCH], i = 0, n = MIN(c->rep_count - c->rep_start, APIC_ID_BATCH);
	uint16_t status = HV_OK;

	memcpy(&in, c->buf, sizeof(in));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	/* VTL 0, named or as "the caller's own". */
	if (in.vtl & ~HV_INPUT_VTL_USE)
		return HV_INVALID_PARAMETER;
	if (!is_aligned(c->out, 8))
		return HV_INVALID_ALIGNMENT;
	if ((c->out & (KEEL_PAGE_SIZE - 1)) + (uint64_t)c->rep_count * 4 > KEEL_PAGE_SIZE)
		return HV_INVALID_HYPERCALL_INPUT;
	for (; i < n; i++) {
		uint32_t id;

		memcpy(&id, c->buf + sizeof(in) + (size_t)(c->rep_start + i) * 4, sizeof(id));
		if (!find_vp(c->v->env, id, &out[i])) {
			status = HV_INVALID_PARAMETER;
			break;
		}
	}
	if (i && gm_write(c->v->env->gm, c->out + (gpa_t)c->rep_start * 4, out, (size_t)i * 4) < 0)
		return HV_INVALID_HYPERCALL_INPUT;
	c->reps_done += i;
	if (status == HV_OK && c->rep_start + i < c->rep_count)
		return HV_TIMEOUT;
	return status;
}

/* Guest VSM is not offered: VTL0 has no VTL above it that it may configure. */
static uint16_t deny(struct hcall *c)
{
	(void)c;
	return HV_ACCESS_DENIED;
}

static const struct hcall_type types[] = {
	{ HVCALL_POST_MESSAGE, false, false, sizeof(struct hv_post_message_in), 0,
	  do_post_message },
	{ HVCALL_SIGNAL_EVENT, false, true, sizeof(struct hv_signal_event_in), 0, do_signal_event },
	{ HVCALL_RETARGET_DEVICE_INTERRUPT, false, false, sizeof(struct hv_retarget_in), 0,
	  do_retarget },
	{ HVCALL_GET_VP_INDEX_FROM_APIC_ID, true, false, sizeof(struct hv_apicid_in), 4,
	  do_vp_index },
	{ HVCALL_SET_VP_REGISTERS, true, false, sizeof(struct hv_regs_in),
	  sizeof(struct hv_reg_assoc), deny },
	{ HVCALL_MODIFY_VTL_PROTECTION_MASK, true, false, sizeof(struct hv_modify_vtl_prot_in), 8,
	  deny },
};

/* --- validation ------------------------------------------------------------------------------- */

static const struct hcall_type *find_type(uint16_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i].code == code)
			return &types[i];
	}
	return NULL;
}

/* The control word against what the call allows; hv_status. */
static uint16_t check_control(const struct hcall_type *t, struct hcall *c)
{
	c->rep_count = HV_CONTROL_REP_COUNT(c->control);
	c->rep_start = HV_CONTROL_REP_START(c->control);
	if (c->control & (HV_CONTROL_RESERVED | HV_CONTROL_NESTED))
		return HV_INVALID_HYPERCALL_INPUT;
	/* Retarget carries its processor set as a variable header. */
	if (HV_CONTROL_VARHEAD(c->control) && t->code != HVCALL_RETARGET_DEVICE_INTERRUPT)
		return HV_INVALID_HYPERCALL_INPUT;
	if (t->rep ? c->rep_start >= c->rep_count : c->rep_count || c->rep_start)
		return HV_INVALID_HYPERCALL_INPUT;
	if (c->control & HV_CONTROL_FAST && !t->fast)
		return HV_INVALID_HYPERCALL_INPUT;
	return HV_OK;
}

/* Bring header and elements into c->buf; hv_status. */
static uint16_t copy_input(const struct hcall_type *t, struct hcall *c)
{
	uint64_t len = t->in_bytes + (t->rep ? (uint64_t)c->rep_count * t->elem_bytes : 0) +
		       8ull * HV_CONTROL_VARHEAD(c->control);

	c->in_len = (size_t)len;
	if (c->control & HV_CONTROL_FAST) {
		memcpy(c->buf, &c->in, 8);
		memcpy(c->buf + 8, &c->out, 8);
		return len <= FAST_BYTES ? HV_OK : HV_INVALID_HYPERCALL_INPUT;
	}
	if (!is_aligned(c->in, 8))
		return HV_INVALID_ALIGNMENT;
	if ((c->in & (KEEL_PAGE_SIZE - 1)) + len > KEEL_PAGE_SIZE)
		return HV_INVALID_HYPERCALL_INPUT;
	if (gm_read(c->v->env->gm, c->in, c->buf, (size_t)len) < 0)
		return HV_INVALID_HYPERCALL_INPUT;
	return HV_OK;
}

static uint16_t perform(struct hcall *c)
{
	const struct hcall_type *t = find_type(HV_CONTROL_CODE(c->control));
	uint16_t status;

	if (!t)
		return HV_INVALID_HYPERCALL_CODE;
	status = check_control(t, c);
	if (status == HV_OK)
		status = copy_input(t, c);
	if (status == HV_OK) {
		c->reps_done = c->rep_start;
		status = t->fn(c);
	}
	return status;
}

/* --- calling conventions ---------------------------------------------------------------------- */

static bool is_64bit(const struct hv_x64_header *h)
{
	return (h->exec & HV_EXEC_PE) && (h->exec & HV_EXEC_LMA);
}

static uint64_t pair(const uint64_t *gp, int hi, int lo)
{
	return gp[hi] << 32 | (uint32_t)gp[lo];
}

static void load(struct hcall *c, const uint64_t *gp, bool wide)
{
	if (wide) {
		c->control = gp[CTX_RCX];
		c->in = gp[CTX_RDX];
		c->out = gp[CTX_R8];
	} else {
		c->control = pair(gp, CTX_RDX, CTX_RAX);
		c->in = pair(gp, CTX_RBX, CTX_RCX);
		c->out = pair(gp, CTX_RDI, CTX_RSI);
	}
}

static void store_control(uint64_t *gp, bool wide, uint64_t control)
{
	if (wide) {
		gp[CTX_RCX] = control;
	} else {
		gp[CTX_RDX] = control >> 32;
		gp[CTX_RAX] = (uint32_t)control;
	}
}

static void store_result(uint64_t *gp, bool wide, uint64_t result)
{
	if (wide) {
		gp[CTX_RAX] = result;
	} else {
		gp[CTX_RDX] = result >> 32;
		gp[CTX_RAX] = (uint32_t)result;
	}
}

void hvcall_dispatch(struct vcpu *v, const struct hv_hypercall_msg *m)
{
	struct hcall c;
	uint64_t *gp = vp_gp(&v->vp);
	bool wide = is_64bit(&m->h);
	uint16_t status;
	uint64_t rip;
	int r;

	c.v = v;
	c.reps_done = 0;
	load(&c, gp, wide);
	status = perform(&c);
	if (status == HV_TIMEOUT) {
		/* Not finished: VTL0 executes the same instruction again from where we stopped. */
		store_control(gp, wide,
			      (c.control & ~(0xfffull << 48)) | (uint64_t)c.reps_done << 48);
		return;
	}
	store_result(gp, wide, HV_RESULT_MAKE(status, c.reps_done));
	if (status != HV_OK)
		log_debug_rl(CONF, "vp %u: %s (%#llx) -> %s", v->vp.idx,
			     hv_call_name(HV_CONTROL_CODE(c.control)),
			     (unsigned long long)c.control, hv_status_name(status));
	/* The message of a hypercall does not say where the instruction was; the register does. */
	r = regs_get64(&v->vp, HVREG_RIP, &rip);
	if (r == 0)
		r = regs_set_rip(&v->vp, rip + HYPERCALL_INSN_LEN);
	if (r < 0)
		log_warn_rl(ALLOWED, "vp %u: cannot advance over a hypercall (%d)", v->vp.idx, r);
}
