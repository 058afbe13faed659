/* SPDX-License-Identifier: MIT */
/*
 * VMBus ring buffers: one direction each, seen from the producer (ring_out) or from the consumer
 * (ring_in). Shared memory is touched only through the fault-safe copies of gmem.h; each index of
 * the peer is read once per operation and checked; our own index lives here and is never read back.
 * Trust: the peer is hostile. After -EBADMSG or -EFAULT the ring stays failed: close the channel.
 * Spec: spec/vmbus.md chapter 3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "macros.h"

#define RING_MAX_PAGES 16384u /* data pages of one ring: 64 MiB */
#define RING_MAX_IOV 4

/* Where a ring lies: the control page and its data pages, in order. Pages need not be neighbours.
 */
struct ring_mem {
	void *ctl;
	void *const *pages; /* n_pages pointers, owned by the caller, alive as long as the ring */
	uint32_t n_pages; /* 1..RING_MAX_PAGES */
};

/* Producer side. Members are private to ring.c. */
struct ring_out {
	struct ring_mem mem;
	uint32_t size; /* data bytes */
	uint32_t in; /* where the next packet goes, not yet visible to the peer */
	uint32_t published; /* the in index the peer can see */
	uint32_t seen_out; /* how far the peer had read when we last looked */
	uint32_t pending_size; /* bytes asked for by ring_out_want(), 0 = none */
	bool failed;
};

/* Consumer side. Members are private to ring.c. */
struct ring_in {
	struct ring_mem mem;
	uint32_t size;
	uint32_t out; /* next packet to read, not yet visible to the peer */
	uint32_t published; /* the out index the peer can see */
	uint32_t seen_in; /* how far the peer had written when we last looked */
	bool failed;
};

/* A packet's header as checked; its payload is copied out by ring_get(). */
struct ring_pkt {
	uint16_t type; /* enum vmpkt_type */
	bool want_completion;
	uint64_t txid;
	uint32_t len; /* bytes copied out, a multiple of 8 */
	uint32_t data_off; /* where, in what was copied, the data behind the ranges begins */
};

/**
 * ring_out_init / ring_in_init - attach to a ring
 * ring_out_init starts at the in index found there and sets the feature bit; ring_in_init starts at
 * the out index found there and masks interrupts. Both indices are 0 on a freshly opened channel.
 * Returns: 0; -EINVAL (pages); -EBADMSG (index out of range); -EFAULT
 * Context: owner thread of the channel, as everything below.
 */
must_check int ring_out_init(struct ring_out *ro, const struct ring_mem *mem);
must_check int ring_in_init(struct ring_in *ri, const struct ring_mem *mem);

/**
 * ring_put - append one packet; the peer sees it after ring_out_commit()
 * Several packets before one commit cost one index update and one decision about a signal.
 * @iov: the payload in up to RING_MAX_IOV pieces, together at most the ring's size
 * Returns: 0; -EAGAIN (full); -EMSGSIZE (can never fit); -EBADMSG, -EFAULT (failed)
 */
must_check int ring_put(struct ring_out *ro, uint16_t type, bool want_completion, uint64_t txid,
			const struct iovec *iov, unsigned n);

/**
 * ring_out_commit - publish what was put
 * @ret_signal: must the peer be signalled?
 * Returns: 0; -EBADMSG, -EFAULT
 */
must_check int ring_out_commit(struct ring_out *ro, bool *ret_signal);

/**
 * ring_out_want - after -EAGAIN: ask to be signalled once a packet with @payload bytes fits
 * Returns: 1 it fits already, try again; 0 a signal will come; -EBADMSG, -EFAULT
 * The wish is withdrawn by the next successful ring_put().
 */
must_check int ring_out_want(struct ring_out *ro, uint32_t payload);

/* Bytes the peer has not consumed yet, or -EBADMSG, -EFAULT. Includes packets not committed. */
must_check int64_t ring_out_used(struct ring_out *ro);

/**
 * ring_get - copy the next packet's payload out of the ring
 * @iov: where the payload (for ranged types: from the end of the 16-byte header on: a reserved
 * word, the number of ranges, the ranges, at data_off the data) goes, piece after piece; a packet
 * larger than all of them fails the ring. Packets the peer adds meanwhile may wait for the get
 * after the next -EAGAIN, or ring_in_arm().
 * Returns: 0; -EAGAIN (empty); -EBADMSG, -EFAULT (failed)
 */
must_check int ring_get(struct ring_in *ri, struct ring_pkt *ret_pkt, const struct iovec *iov,
			unsigned n);

/**
 * ring_in_commit - tell the peer that what was got is free again
 * @ret_signal: does the peer wait for that space?
 */
must_check int ring_in_commit(struct ring_in *ri, bool *ret_signal);

/**
 * ring_in_mask - stop signals for new data; ring_in_arm - ask for them again
 * ring_in_arm returns 1 when data is there already (the mask stays open; get it now), 0, -errno.
 */
must_check int ring_in_mask(struct ring_in *ri);
must_check int ring_in_arm(struct ring_in *ri);

/**
 * ring_signal_due - does the consumer of this ring want a signal for data that lies there?
 * Only looks at the control page: for a third party that watches a ring which others use.
 * Returns: 1, 0, -EBADMSG (indices), -EFAULT. Any thread.
 */
must_check int ring_signal_due(const struct ring_mem *mem);
