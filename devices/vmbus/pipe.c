/* SPDX-License-Identifier: MIT */
#include "pipe.h"

#include "inspect.h"
#include "vmbus_proto.h"

#include <errno.h>

int pipe_attach(struct pipe *p, const struct ring_mem *out, const struct ring_mem *in,
		void (*signal)(void *transport), void *transport)
{
	int r = ring_out_init(&p->out, out);

	if (r == 0)
		r = ring_in_init(&p->in, in);
	p->failed = r < 0;
	p->signal = signal;
	p->transport = transport;
	return r;
}

static int pipe_fail(struct pipe *p)
{
	p->failed = true;
	return -EPIPE;
}

/* Put the packet, once more when room appeared while asking for it. */
static int put(struct pipe *p, const struct iovec *iov, unsigned n, uint32_t payload)
{
	int r = ring_put(&p->out, VMPKT_INBAND, false, 0, iov, n);

	if (r != -EAGAIN)
		return r;
	r = ring_out_want(&p->out, payload);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	return ring_put(&p->out, VMPKT_INBAND, false, 0, iov, n);
}

int pipe_send2(struct pipe *p, const void *hdr, size_t hdr_len, const void *body, size_t body_len)
{
	struct vmpipe_header ph = { .type = VMPIPE_DATA, .len = (uint32_t)(hdr_len + body_len) };
	/* The ring only reads through these pointers. */
	struct iovec iov[] = { { &ph, sizeof(ph) },
			       { (void *)(uintptr_t)hdr, hdr_len },
			       { (void *)(uintptr_t)body, body_len } };
	bool signal;
	int r;

	if (p->failed)
		return -EPIPE;
	if (hdr_len > PIPE_MAX_PAYLOAD || body_len > PIPE_MAX_PAYLOAD - hdr_len)
		return -EMSGSIZE;
	r = put(p, iov, ARRAY_SIZE(iov), (uint32_t)sizeof(ph) + ph.len);
	if (r == -EAGAIN)
		p->count.full++;
	if (r == -EAGAIN || r == -EMSGSIZE)
		return r;
	if (r == 0)
		r = ring_out_commit(&p->out, &signal);
	if (r < 0)
		return pipe_fail(p);
	p->count.sent++;
	p->count.sent_bytes += ph.len;
	if (signal)
		p->signal(p->transport);
	return 0;
}

int pipe_send(struct pipe *p, const void *buf, size_t len)
{
	return pipe_send2(p, NULL, 0, buf, len);
}

/* Next packet's pipe header and payload; 1 = got one, 0 = none and signals are on. */
static int get(struct pipe *p, struct ring_pkt *ret_pkt, const struct iovec *iov, unsigned n)
{
	int r = ring_get(&p->in, ret_pkt, iov, n);

	if (r == 0)
		return 1;
	if (r != -EAGAIN)
		return r;
	/* Always open the mask, even if we never closed it: the uio driver closes it on its own. */
	r = ring_in_arm(&p->in);
	if (r <= 0)
		return r;
	r = ring_get(&p->in, ret_pkt, iov, n);
	return r == 0 ? 1 : r == -EAGAIN ? 0 : r;
}

int pipe_recv(struct pipe *p, void *ret_buf, size_t cap, size_t *ret_len)
{
	struct vmpipe_header raw_ph;
	uint8_t pad[8];
	const struct iovec iov[] = { { &raw_ph, sizeof(raw_ph) },
				     { ret_buf, cap },
				     { pad, sizeof(pad) } };
	struct ring_pkt pkt;
	bool signal;
	int r;

	if (p->failed)
		return -EPIPE;
	r = get(p, &pkt, iov, ARRAY_SIZE(iov));
	if (r == 0)
		return -EAGAIN;
	if (r < 0 || pkt.type != VMPKT_INBAND || pkt.len < sizeof(raw_ph))
		return pipe_fail(p);
	if (raw_ph.type != VMPIPE_DATA || raw_ph.len > pkt.len - sizeof(raw_ph) || raw_ph.len > cap)
		return pipe_fail(p);
	r = ring_in_commit(&p->in, &signal);
	if (r < 0)
		return pipe_fail(p);
	if (signal)
		p->signal(p->transport);
	if (p->seen)
		p->seen(p->transport, ret_buf, raw_ph.len);
	p->count.received++;
	p->count.received_bytes += raw_ph.len;
	*ret_len = raw_ph.len;
	return 0;
}

int pipe_drained(struct pipe *p)
{
	int64_t used;

	if (p->failed)
		return -EPIPE;
	used = ring_out_used(&p->out);
	if (used < 0)
		return pipe_fail(p);
	return used == 0;
}

static void inspect_out(struct inspect *in, const void *obj)
{
	const struct ring_out *ro = obj;

	inspect_u64(in, SENS_UNSPEC, "size", ro->size);
	inspect_hex(in, SENS_UNSPEC, "in", ro->published);
	inspect_hex(in, SENS_UNSPEC, "out_seen", ro->seen_out);
	inspect_u64(in, SENS_UNSPEC, "pending_size", ro->pending_size);
	inspect_bool(in, SENS_UNSPEC, "failed", ro->failed);
}

static void inspect_in(struct inspect *in, const void *obj)
{
	const struct ring_in *ri = obj;

	inspect_u64(in, SENS_UNSPEC, "size", ri->size);
	inspect_hex(in, SENS_UNSPEC, "out", ri->published);
	inspect_bool(in, SENS_UNSPEC, "failed", ri->failed);
}

void pipe_inspect(struct inspect *in, const void *obj)
{
	const struct pipe *p = obj;

	inspect_bool(in, SENS_UNSPEC, "failed", p->failed);
	inspect_count(in, SENS_UNSPEC, "sent", p->count.sent);
	inspect_count(in, SENS_UNSPEC, "sent_bytes", p->count.sent_bytes);
	inspect_count(in, SENS_UNSPEC, "received", p->count.received);
	inspect_count(in, SENS_UNSPEC, "received_bytes", p->count.received_bytes);
	inspect_count(in, SENS_UNSPEC, "full", p->count.full);
	inspect_dir(in, SENS_UNSPEC, "outgoing_ring", inspect_out, &p->out);
	inspect_dir(in, SENS_UNSPEC, "incoming_ring", inspect_in, &p->in);
}
