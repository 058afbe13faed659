/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls through the driver, see hvc.h. The kernel copies input and output through fresh pages
 * and neither retries nor continues, so both are done here: a partly done repeated call is issued
 * again with the elements that are left, which keeps the output of the earlier ones.
 */
#include "hvc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hvregs.h"
#include "mshv_vtl.h"

/* Trips without any progress before a call is given up: the hypervisor interrupts long calls. */
#define MAX_IDLE_TRIPS 10000u
/* Pages accepted by one call, as if each were listed behind its header. */
#define ACCEPT_MAX 509u

static const uint16_t allowed_codes[] = {
	HVCALL_GET_VP_REGISTERS,
	HVCALL_SET_VP_REGISTERS,
	HVCALL_INSTALL_INTERCEPT,
	HVCALL_TRANSLATE_VIRTUAL_ADDRESS,
	HVCALL_POST_MESSAGE_DIRECT,
	HVCALL_SIGNAL_EVENT_DIRECT,
	HVCALL_MODIFY_VTL_PROTECTION_MASK,
	HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX,
	HVCALL_CHECK_SPARSE_GPA_VTL_ACCESS,
	HVCALL_ASSERT_VIRTUAL_INTERRUPT,
	HVCALL_GET_VP_INDEX_FROM_APIC_ID,
	HVCALL_ACCEPT_GPA_PAGES,
};

static int kernel_call(void *ctx, uint64_t control, const void *in, uint32_t in_len, void *ret_out,
		       uint32_t out_len, uint64_t *ret_result)
{
	const struct hvc *h = ctx;

	return mshv_hvcall(h->fd, control, in, in_len, ret_out, out_len, ret_result);
}

static const struct hvc_ops kernel_ops = { .call = kernel_call };

int hvc_open(struct hvc *h)
{
	int fd = mshv_hvcall_open(allowed_codes, ARRAY_SIZE(allowed_codes));

	if (fd < 0)
		return fd;
	*h = (struct hvc){ .ops = &kernel_ops, .ctx = h, .fd = fd };
	return 0;
}

void hvc_close(struct hvc *h)
{
	if (h->fd >= 0)
		(void)close(h->fd);
	h->fd = -1;
}

void hvc_init_mock(struct hvc *h, const struct hvc_ops *ops, void *ctx)
{
	*h = (struct hvc){ .ops = ops, .ctx = ctx, .fd = -1 };
}

int hvc_simple(struct hvc *h, uint16_t code, const void *in, size_t in_len, void *ret_out,
	       size_t out_len)
{
	uint64_t result;
	int r;

	if (in_len > KEEL_PAGE_SIZE || out_len > KEEL_PAGE_SIZE)
		return -EINVAL;
	for (unsigned int i = 0; i < MAX_IDLE_TRIPS; i++) {
		r = h->ops->call(h->ctx, HV_CONTROL_MAKE(code, 0, 0), in, (uint32_t)in_len, ret_out,
				 (uint32_t)out_len, &result);
		if (r < 0)
			return r;
		if (HV_RESULT_STATUS(result) != HV_TIMEOUT)
			return HV_RESULT_STATUS(result);
	}
	return -ETIMEDOUT;
}

/* Elements one call can carry: both sides must fit a page, the count its field. */
static size_t rep_capacity(const struct hvc_rep *rep)
{
	size_t n = (KEEL_PAGE_SIZE - rep->head_len) / rep->elem_len;

	if (rep->ret_elems)
		n = MIN(n, KEEL_PAGE_SIZE / rep->ret_elem_len);
	return MIN(n, (size_t)0xfff);
}

/* One trip with the elements from @done on. */
static int rep_trip(struct hvc *h, const struct hvc_rep *rep, size_t done, uint64_t *ret_result,
		    size_t *ret_asked)
{
	uint8_t in[KEEL_PAGE_SIZE];
	size_t n = MIN(rep->n - done, rep_capacity(rep));
	uint8_t *out = rep->ret_elems ? (uint8_t *)rep->ret_elems + done * rep->ret_elem_len : NULL;

	memcpy(in, rep->head, rep->head_len);
	memcpy(in + rep->head_len, (const uint8_t *)rep->elems + done * rep->elem_len,
	       n * rep->elem_len);
	*ret_asked = n;
	return h->ops->call(h->ctx, HV_CONTROL_MAKE(rep->code, n, 0), in,
			    (uint32_t)(rep->head_len + n * rep->elem_len), out,
			    out ? (uint32_t)(n * rep->ret_elem_len) : 0, ret_result);
}

int hvc_rep(struct hvc *h, const struct hvc_rep *rep, size_t *ret_done)
{
	size_t done = 0, asked;
	unsigned int idle = 0;
	uint64_t result = 0;
	int r = 0;

	if (!rep->elem_len || rep->head_len + rep->elem_len > KEEL_PAGE_SIZE ||
	    (rep->ret_elems && (!rep->ret_elem_len || rep->ret_elem_len > KEEL_PAGE_SIZE)))
		return -EINVAL;
	while (done < rep->n) {
		uint32_t reps;

		r = rep_trip(h, rep, done, &result, &asked);
		if (r < 0)
			break;
		/* More than was asked for would be the hypervisor's mistake, not ours to index
		 * with. */
		reps = MIN(HV_RESULT_REPS(result), (uint32_t)asked);
		if (HV_RESULT_STATUS(result) == HV_OK && reps == 0)
			reps = (uint32_t)asked;
		done += reps;
		idle = reps ? 0 : idle + 1;
		r = HV_RESULT_STATUS(result);
		if (r == HV_TIMEOUT)
			r = idle < MAX_IDLE_TRIPS ? 0 : -ETIMEDOUT;
		if (r)
			break;
	}
	if (ret_done)
		*ret_done = done;
	return r;
}

int hvc_get_reg(struct hvc *h, uint32_t vp, uint8_t vtl, uint32_t name, union hv_regval *ret_val)
{
	struct hv_regs_in head = { .partition = HV_PARTITION_SELF, .vp = vp, .vtl = vtl };
	union hv_regval val = { 0 };
	int r = hvc_rep(h,
			&(struct hvc_rep){
				.code = HVCALL_GET_VP_REGISTERS,
				.head = &head,
				.head_len = sizeof(head),
				.elems = &name,
				.elem_len = sizeof(name),
				.ret_elems = &val,
				.ret_elem_len = sizeof(val),
				.n = 1,
			},
			NULL);

	if (r)
		return r;
	*ret_val = val;
	return 0;
}

int hvc_set_reg(struct hvc *h, uint32_t vp, uint8_t vtl, uint32_t name, const union hv_regval *val)
{
	struct hv_regs_in head = { .partition = HV_PARTITION_SELF, .vp = vp, .vtl = vtl };
	struct hv_reg_assoc assoc = { .name = name, .val = *val };

	return hvc_rep(h,
		       &(struct hvc_rep){
			       .code = HVCALL_SET_VP_REGISTERS,
			       .head = &head,
			       .head_len = sizeof(head),
			       .elems = &assoc,
			       .elem_len = sizeof(assoc),
			       .n = 1,
		       },
		       NULL);
}

int hvc_install_intercept(struct hvc *h, enum hv_intercept_type type, uint32_t access,
			  uint64_t param)
{
	struct hv_install_intercept_in in = {
		.partition = HV_PARTITION_SELF,
		.access = access,
		.type = type,
		.param = param,
	};

	return hvc_simple(h, HVCALL_INSTALL_INTERCEPT, &in, sizeof(in), NULL, 0);
}

int hvc_assert_interrupt(struct hvc *h, const struct hvc_interrupt *irq)
{
	struct hv_assert_int_in in = {
		.partition = HV_PARTITION_SELF,
		.control = (uint64_t)irq->type | (irq->level ? HV_INT_CONTROL_LEVEL : 0) |
			   (irq->logical ? HV_INT_CONTROL_LOGICAL : 0),
		.dest = irq->dest,
		.vector = irq->vector,
		.vtl = 0,
	};

	return hvc_simple(h, HVCALL_ASSERT_VIRTUAL_INTERRUPT, &in, sizeof(in), NULL, 0);
}

int hvc_post_message(struct hvc *h, uint8_t sint, const struct hv_message *msg)
{
	struct hv_post_direct_in in = { .partition = HV_PARTITION_SELF,
					.vp = HV_VP_SELF,
					.sint = sint };

	memcpy(in.message, msg, sizeof(in.message));
	return hvc_simple(h, HVCALL_POST_MESSAGE_DIRECT, &in, sizeof(in), NULL, 0);
}

int hvc_signal_event(struct hvc *h, vpidx_t vp, uint8_t sint, uint16_t flag)
{
	const struct hv_signal_direct_in in = {
		.partition = HV_PARTITION_SELF, .vp = vp, .sint = sint, .flag = flag
	};
	uint64_t newly;

	return hvc_simple(h, HVCALL_SIGNAL_EVENT_DIRECT, &in, sizeof(in), &newly, sizeof(newly));
}

int hvc_translate(struct hvc *h, vpidx_t vp, uint64_t flags, uint64_t gva_page,
		  struct hv_translate_ex_out *ret_out)
{
	struct hv_translate_ex_in in = {
		.partition = HV_PARTITION_SELF,
		.vp = vp,
		.flags = flags | HV_XLATE_VTL(0),
		.gva_page = gva_page,
	};

	return hvc_simple(h, HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX, &in, sizeof(in), ret_out,
			  sizeof(*ret_out));
}

int hvc_accept_pages(struct hvc *h, gpn_t gpn, uint64_t pages)
{
	struct hv_accept_gpa_in in = { .partition = HV_PARTITION_SELF,
				       .attributes = HV_ACCEPT_RAM };
	unsigned int idle = 0;

	while (pages) {
		uint32_t n = (uint32_t)MIN(pages, (uint64_t)ACCEPT_MAX), reps;
		uint64_t result;
		int r;

		in.gpn = gpn;
		r = h->ops->call(h->ctx, HV_CONTROL_MAKE(HVCALL_ACCEPT_GPA_PAGES, n, 0), &in,
				 sizeof(in), NULL, 0, &result);
		if (r < 0)
			return r;
		r = HV_RESULT_STATUS(result);
		if (r != HV_OK && r != HV_TIMEOUT)
			return r;
		reps = r == HV_OK ? n : MIN(HV_RESULT_REPS(result), n);
		idle = reps ? 0 : idle + 1;
		if (idle == MAX_IDLE_TRIPS)
			return -ETIMEDOUT;
		gpn += reps;
		pages -= reps;
	}
	return 0;
}

int hvc_vp_index(struct hvc *h, const uint32_t *apic_ids, size_t n, uint32_t *ret_vps)
{
	struct hv_apicid_in head = { .partition = HV_PARTITION_SELF, .vtl = 0 };

	return hvc_rep(h,
		       &(struct hvc_rep){
			       .code = HVCALL_GET_VP_INDEX_FROM_APIC_ID,
			       .head = &head,
			       .head_len = sizeof(head),
			       .elems = apic_ids,
			       .elem_len = sizeof(*apic_ids),
			       .ret_elems = ret_vps,
			       .ret_elem_len = sizeof(*ret_vps),
			       .n = n,
		       },
		       NULL);
}
