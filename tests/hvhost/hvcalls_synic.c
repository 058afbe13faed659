/* SPDX-License-Identifier: MIT */
/* Messages and events: to the host's ports, and from VTL2 directly into VTL0's SynIC. */
#include <string.h>

#include "hvcall_host.h"
#include "synic_host.h"
#include "vmbus_host.h"

/* No port of ours: with the intercept installed the paravisor answers VTL0. */
static enum hv_status unknown_connection(struct hvcall *c)
{
	uint32_t access = atomic_load_explicit(&c->vp->part->unknown_conn, memory_order_relaxed);

	if (c->caller == VTL0 && (access & HV_ACCESS_EXECUTE))
		c->forward = true;
	return HV_INVALID_CONNECTION_ID;
}

enum hv_status hvcall_post_message(struct hvcall *c)
{
	struct vmbus_host *vh = c->vp->part->vmbus;
	struct hv_post_message_in in;
	enum hv_status st = HV_INVALID_CONNECTION_ID;

	memcpy(&in, c->in, sizeof(in));
	if (in.size > HV_MESSAGE_PAYLOAD)
		return HV_INVALID_PARAMETER;
	if (vh)
		st = vmbus_host_post(vh, VTL_NUMBER(c->caller), in.connection, in.type, in.payload,
				     in.size);
	return st == HV_INVALID_CONNECTION_ID ? unknown_connection(c) : st;
}

enum hv_status hvcall_signal_event(struct hvcall *c)
{
	struct vmbus_host *vh = c->vp->part->vmbus;
	struct hv_signal_event_in in;
	enum hv_status st = HV_INVALID_CONNECTION_ID;

	memcpy(&in, c->in, sizeof(in));
	if (vh)
		st = vmbus_host_signal(vh, VTL_NUMBER(c->caller), in.connection, in.flag);
	return st == HV_INVALID_CONNECTION_ID ? unknown_connection(c) : st;
}

enum hv_status hvcall_post_direct(struct hvcall *c)
{
	struct hv_post_direct_in in;
	struct hv_message msg;
	struct hvvp *vp = c->vp;

	memcpy(&in, c->in, sizeof(in));
	memcpy(&msg, in.message, sizeof(msg));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	if ((in.vp != HV_VP_SELF && in.vp != vp->index) || in.vtl != VTL_NUMBER(VTL0))
		return HV_INVALID_PARAMETER;
	if (msg.payload_size > HV_MESSAGE_PAYLOAD || msg.type == HVMSG_NONE)
		return HV_INVALID_PARAMETER;
	msg.flags = 0;
	return synic_host_post(vp, VTL0, in.sint, &msg);
}

enum hv_status hvcall_signal_direct(struct hvcall *c)
{
	struct hv_signal_direct_in in;
	struct hvvp *target;
	enum hv_status st;
	bool fresh = false;

	memcpy(&in, c->in, sizeof(in));
	if (in.partition != HV_PARTITION_SELF)
		return HV_INVALID_PARTITION_ID;
	target = part_vp(c->vp->part, in.vp == HV_VP_SELF ? c->vp->index : in.vp);
	if (!target)
		return HV_INVALID_VP_INDEX;
	if (in.vtl != VTL_NUMBER(VTL0) || !in.sint)
		return HV_INVALID_PARAMETER;
	st = synic_host_signal(target, VTL0, in.sint, in.flag, &fresh);
	c->out[0] = fresh;
	return st;
}
