/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include "ckd.h"
#include "gmem.h"
#include "vmbus_proto.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Shared words are loaded and stored by single aligned accesses (gm_copy_* of 4 bytes). */

static int ctl_load(const struct ring_mem *mem, unsigned off, uint32_t *ret_val)
{
	int r = gm_copy_in(ret_val, (const char *)mem->ctl + off, sizeof(*ret_val));

	/* Pairs with the peer's release of its index: what it wrote before is visible after. */
	atomic_thread_fence(memory_order_acquire);
	return r;
}

static int ctl_store(const struct ring_mem *mem, unsigned off, uint32_t val)
{
	/* Data and earlier words first; the peer acquires through this word. */
	atomic_thread_fence(memory_order_release);
	return gm_copy_out((char *)mem->ctl + off, &val, sizeof(val));
}

/* An index word of the peer, checked. */
static int index_load(const struct ring_mem *mem, unsigned off, uint32_t size, uint32_t *ret_val)
{
	uint32_t raw_idx;
	int r = ctl_load(mem, off, &raw_idx);

	if (r < 0)
		return r;
	if (raw_idx >= size || !is_aligned(raw_idx, 8))
		return -EBADMSG;
	*ret_val = raw_idx;
	return 0;
}

/* Copy between a private buffer and the data pages, from ring offset off on, across the wrap. */
static int data_copy(const struct ring_mem *mem, uint32_t off, void *ret_buf, const void *buf,
		     uint32_t len)
{
	const uint32_t size = mem->n_pages * KEEL_PAGE_SIZE;
	uint32_t done = 0;

	while (done < len) {
		uint32_t at = (off + done) % size;
		uint32_t in_page = at % KEEL_PAGE_SIZE;
		uint32_t n = MIN(len - done, KEEL_PAGE_SIZE - in_page);
		char *page = (char *)mem->pages[at / KEEL_PAGE_SIZE] + in_page;
		int r = ret_buf ? gm_copy_in((char *)ret_buf + done, page, n)
				: gm_copy_out(page, (const char *)buf + done, n);

		if (r < 0)
			return r;
		done += n;
	}
	return 0;
}

static bool mem_ok(const struct ring_mem *mem)
{
	return mem->ctl && mem->pages && mem->n_pages && mem->n_pages <= RING_MAX_PAGES;
}

/* Bytes that may still be written when used bytes are taken: one word stays free. */
static uint32_t space(uint32_t size, uint32_t used)
{
	return size - used - 8;
}

static uint32_t distance(uint32_t from, uint32_t to, uint32_t size)
{
	return to >= from ? to - from : size - from + to;
}

/* ---- producer -------------------------------------------------------------------------------- */

static int out_fail(struct ring_out *ro, int err)
{
	ro->failed = true;
	return err;
}

int ring_out_init(struct ring_out *ro, const struct ring_mem *mem)
{
	uint32_t in, out;
	int r;

	if (!mem_ok(mem))
		return -EINVAL;
	*ro = (struct ring_out){ .mem = *mem, .size = mem->n_pages * KEEL_PAGE_SIZE };
	r = index_load(mem, VMRING_IN, ro->size, &in);
	if (r == 0)
		r = index_load(mem, VMRING_OUT, ro->size, &out);
	if (r == 0)
		r = ctl_store(mem, VMRING_PENDING_SEND, 0);
	if (r == 0)
		r = ctl_store(mem, VMRING_FEATURES, VMRING_FEAT_PENDING_SEND);
	if (r < 0)
		return out_fail(ro, r);
	ro->in = ro->published = in;
	ro->seen_out = out;
	return 0;
}

int64_t ring_out_used(struct ring_out *ro)
{
	uint32_t out;
	int r;

	if (ro->failed)
		return -EBADMSG;
	r = index_load(&ro->mem, VMRING_OUT, ro->size, &out);
	if (r < 0)
		return out_fail(ro, r);
	/* It only moves forward, and not beyond what was published. */
	if (distance(ro->seen_out, out, ro->size) > distance(ro->seen_out, ro->published, ro->size))
		return out_fail(ro, -EBADMSG);
	ro->seen_out = out;
	return distance(out, ro->in, ro->size);
}

/* Is room for need bytes? The peer's index is read only when what was known does not suffice. */
static int out_room(struct ring_out *ro, uint32_t need)
{
	int64_t used;

	if (ro->failed)
		return -EBADMSG;
	if (need <= space(ro->size, distance(ro->seen_out, ro->in, ro->size)))
		return 0;
	used = ring_out_used(ro);
	if (used < 0)
		return (int)used;
	return need <= space(ro->size, (uint32_t)used) ? 0 : -EAGAIN;
}

static int out_write(struct ring_out *ro, const void *buf, uint32_t len)
{
	int r = data_copy(&ro->mem, ro->in, NULL, buf, len);

	if (r == 0)
		ro->in = (ro->in + len) % ro->size;
	return r;
}

/* Sum of the pieces, or 0xffffffff when it is beyond anything a ring can hold. */
static uint32_t iov_total(const struct iovec *iov, unsigned n)
{
	size_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		if (ckd_add(&total, total, iov[i].iov_len))
			return UINT32_MAX;
	}
	return total > (size_t)RING_MAX_PAGES * KEEL_PAGE_SIZE ? UINT32_MAX : (uint32_t)total;
}

static uint32_t packet_size(uint32_t payload)
{
	return (uint32_t)sizeof(struct vmpkt_header) + (uint32_t)align_up(payload, 8) +
	       VMPKT_TRAILER;
}

/* The largest packet body that the 16-bit length of the header can say. */
#define MAX_PAYLOAD (0xffffu * 8 - (uint32_t)sizeof(struct vmpkt_header))

static bool can_ever_fit(const struct ring_out *ro, uint32_t payload)
{
	return payload <= MAX_PAYLOAD && packet_size(payload) <= space(ro->size, 0);
}

static int put_bytes(struct ring_out *ro, const struct vmpkt_header *h, const struct iovec *iov,
		     unsigned n, uint32_t payload)
{
	const uint64_t zero = 0, trailer = (uint64_t)ro->in << 32;
	int r = out_write(ro, h, sizeof(*h));

	for (unsigned i = 0; r == 0 && i < n; i++)
		r = out_write(ro, iov[i].iov_base, (uint32_t)iov[i].iov_len);
	if (r == 0)
		r = out_write(ro, &zero, (uint32_t)align_up(payload, 8) - payload);
	if (r == 0)
		r = out_write(ro, &trailer, sizeof(trailer));
	return r;
}

int ring_put(struct ring_out *ro, uint16_t type, bool want_completion, uint64_t txid,
	     const struct iovec *iov, unsigned n)
{
	const uint32_t payload = iov_total(iov, n);
	struct vmpkt_header h = { .type = type, .data_off8 = sizeof(h) / 8, .txid = txid };
	int r;

	if (n > RING_MAX_IOV || !can_ever_fit(ro, payload))
		return -EMSGSIZE;
	r = out_room(ro, packet_size(payload));
	if (r < 0)
		return r;
	if (ro->pending_size) {
		r = ctl_store(&ro->mem, VMRING_PENDING_SEND, 0);
		if (r < 0)
			return out_fail(ro, r);
		ro->pending_size = 0;
	}
	h.len8 = (uint16_t)(sizeof(h) / 8 + align_up(payload, 8) / 8);
	h.flags = want_completion ? VMPKT_FLAG_COMPLETION : 0;
	r = put_bytes(ro, &h, iov, n, payload);
	return r < 0 ? out_fail(ro, r) : 0;
}

int ring_out_commit(struct ring_out *ro, bool *ret_signal)
{
	const uint32_t old_in = ro->published;
	uint32_t mask;
	int64_t used;
	int r;

	if (ro->failed)
		return -EBADMSG;
	if (ro->in == old_in) {
		*ret_signal = false;
		return 0;
	}
	r = ctl_store(&ro->mem, VMRING_IN, ro->in);
	if (r < 0)
		return out_fail(ro, r);
	ro->published = ro->in;
	/* Pairs with the consumer's fence between opening its mask and looking at in. */
	atomic_thread_fence(memory_order_seq_cst);
	r = ctl_load(&ro->mem, VMRING_INTERRUPT_MASK, &mask);
	if (r < 0)
		return out_fail(ro, r);
	used = ring_out_used(ro);
	if (used < 0)
		return (int)used;
	*ret_signal = mask == 0 && ro->seen_out == old_in;
	return 0;
}

int ring_out_want(struct ring_out *ro, uint32_t payload)
{
	uint32_t need, max;
	int64_t used;
	int r;

	if (ro->failed || !can_ever_fit(ro, payload))
		return -EBADMSG;
	need = packet_size(payload);
	max = space(ro->size, 0);
	/* Not a signal for every few bytes: a quarter of the ring at least. */
	ro->pending_size = (uint32_t)align_down(MAX(need, max / 4), 8);
	if (ro->pending_size < need)
		ro->pending_size = need;
	r = ctl_store(&ro->mem, VMRING_PENDING_SEND, ro->pending_size);
	if (r < 0)
		return out_fail(ro, r);
	/* Pairs with the consumer's fence between moving out and reading the wish. */
	atomic_thread_fence(memory_order_seq_cst);
	used = ring_out_used(ro);
	if (used < 0)
		return (int)used;
	return space(ro->size, (uint32_t)used) >= need;
}

/* ---- consumer -------------------------------------------------------------------------------- */

static int in_fail(struct ring_in *ri, int err)
{
	ri->failed = true;
	return err;
}

int ring_in_init(struct ring_in *ri, const struct ring_mem *mem)
{
	uint32_t out;
	int r;

	if (!mem_ok(mem))
		return -EINVAL;
	*ri = (struct ring_in){ .mem = *mem, .size = mem->n_pages * KEEL_PAGE_SIZE };
	r = index_load(mem, VMRING_OUT, ri->size, &out);
	if (r < 0)
		return in_fail(ri, r);
	ri->out = ri->published = ri->seen_in = out;
	return ring_in_mask(ri);
}

static bool has_ranges(const struct vmpkt_header *h)
{
	return h->type == VMPKT_TRANSFER_PAGES || h->type == VMPKT_GPA_DIRECT;
}

/* Check the header's own arithmetic against what lies in the ring. */
static int header_check(const struct vmpkt_header *raw_h, uint32_t avail)
{
	switch (raw_h->type) {
	case VMPKT_INBAND:
	case VMPKT_TRANSFER_PAGES:
	case VMPKT_GPA_DIRECT:
	case VMPKT_CANCEL:
	case VMPKT_COMPLETION:
		break;
	default:
		return -EBADMSG;
	}
	if (raw_h->data_off8 < (has_ranges(raw_h) ? 3 : 2) || raw_h->len8 < raw_h->data_off8)
		return -EBADMSG;
	if (raw_h->flags & ~VMPKT_FLAG_COMPLETION)
		return -EBADMSG;
	return (uint32_t)raw_h->len8 * 8 + VMPKT_TRAILER > avail ? -EBADMSG : 0;
}

/* Copy len bytes from ring offset off on into the pieces, in order. */
static int scatter(struct ring_in *ri, uint32_t off, uint32_t len, const struct iovec *iov,
		   unsigned n)
{
	for (unsigned i = 0; len && i < n; i++) {
		uint32_t step = (uint32_t)MIN(iov[i].iov_len, len);
		int r = data_copy(&ri->mem, off, iov[i].iov_base, NULL, step);

		if (r < 0)
			return r;
		off = (off + step) % ri->size;
		len -= step;
	}
	return len ? -EBADMSG : 0;
}

/* Bytes that wait; the peer's index is read only when all known of were taken. */
static int in_avail(struct ring_in *ri, uint32_t *ret_avail)
{
	int r;

	if (ri->failed)
		return -EBADMSG;
	if (ri->seen_in == ri->out) {
		r = index_load(&ri->mem, VMRING_IN, ri->size, &ri->seen_in);
		if (r < 0)
			return in_fail(ri, r);
	}
	*ret_avail = distance(ri->out, ri->seen_in, ri->size);
	return *ret_avail ? 0 : -EAGAIN;
}

int ring_get(struct ring_in *ri, struct ring_pkt *ret_pkt, const struct iovec *iov, unsigned n)
{
	struct vmpkt_header raw_h;
	uint32_t avail, head, len;
	int r = in_avail(ri, &avail);

	if (r < 0)
		return r;
	if (avail < sizeof(raw_h) + VMPKT_TRAILER)
		return in_fail(ri, -EBADMSG);
	r = data_copy(&ri->mem, ri->out, &raw_h, NULL, sizeof(raw_h));
	if (r == 0)
		r = header_check(&raw_h, avail);
	if (r < 0)
		return in_fail(ri, r);
	/* In-band data may start later than the header's end; ranges are part of the payload here.
	 */
	head = has_ranges(&raw_h) ? (uint32_t)sizeof(raw_h) : (uint32_t)raw_h.data_off8 * 8;
	len = (uint32_t)raw_h.len8 * 8 - head;
	r = scatter(ri, (ri->out + head) % ri->size, len, iov, n);
	if (r < 0)
		return in_fail(ri, r);
	ri->out = (ri->out + (uint32_t)raw_h.len8 * 8 + VMPKT_TRAILER) % ri->size;
	*ret_pkt = (struct ring_pkt){ .type = raw_h.type,
				      .txid = raw_h.txid,
				      .len = len,
				      .want_completion = raw_h.flags & VMPKT_FLAG_COMPLETION,
				      .data_off = (uint32_t)raw_h.data_off8 * 8 - head };
	return 0;
}

int ring_in_commit(struct ring_in *ri, bool *ret_signal)
{
	const uint32_t old_out = ri->published;
	uint32_t in, want, before, after;
	int r;

	if (ri->failed)
		return -EBADMSG;
	*ret_signal = false;
	if (ri->out == old_out)
		return 0;
	r = ctl_store(&ri->mem, VMRING_OUT, ri->out);
	if (r < 0)
		return in_fail(ri, r);
	ri->published = ri->out;
	/* Pairs with the producer's fence between writing its wish and looking at out. */
	atomic_thread_fence(memory_order_seq_cst);
	r = ctl_load(&ri->mem, VMRING_PENDING_SEND, &want);
	want = r == 0 ? want & ~7u : 0; /* some peers write the size minus one */
	if (want)
		r = index_load(&ri->mem, VMRING_IN, ri->size, &in);
	if (r < 0)
		return in_fail(ri, r);
	if (!want)
		return 0;
	before = space(ri->size, distance(old_out, in, ri->size));
	after = space(ri->size, distance(ri->out, in, ri->size));
	*ret_signal = before < want && after >= want;
	return 0;
}

int ring_in_mask(struct ring_in *ri)
{
	int r = ctl_store(&ri->mem, VMRING_INTERRUPT_MASK, 1);

	return r < 0 ? in_fail(ri, r) : 0;
}

int ring_in_arm(struct ring_in *ri)
{
	uint32_t in;
	int r;

	if (ri->failed)
		return -EBADMSG;
	r = ctl_store(&ri->mem, VMRING_INTERRUPT_MASK, 0);
	if (r < 0)
		return in_fail(ri, r);
	/* Pairs with the producer's fence between moving in and reading the mask. */
	atomic_thread_fence(memory_order_seq_cst);
	r = index_load(&ri->mem, VMRING_IN, ri->size, &in);
	if (r < 0)
		return in_fail(ri, r);
	ri->seen_in = in;
	return in != ri->out;
}

/* ---- bystander ------------------------------------------------------------------------------- */

int ring_signal_due(const struct ring_mem *mem)
{
	const uint32_t size = mem->n_pages * KEEL_PAGE_SIZE;
	uint32_t in, out, mask;
	int r = index_load(mem, VMRING_IN, size, &in);

	if (r == 0)
		r = index_load(mem, VMRING_OUT, size, &out);
	if (r == 0)
		r = ctl_load(mem, VMRING_INTERRUPT_MASK, &mask);
	return r < 0 ? r : in != out && mask == 0;
}
