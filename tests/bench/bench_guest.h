/* SPDX-License-Identifier: MIT */
/*
 * A guest for benchmarks of storage: memory, a SCSI controller with one disk served by the real
 * storvsp in the same process, and the guest's end of its channel, with as little code of its own
 * as possible. One thread drives it; the channel is served by whoever runs its loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmguest.h"

#define BENCH_DEPTH 256u /* most requests under way */
#define BENCH_SLOT (256u << 10) /* bytes of data memory of each of the first BENCH_BIG requests */
#define BENCH_BIG 8u

struct disk;
struct storvsp;

/* One direction, the guest's side. */
struct bench_ring {
	uint8_t *ctl, *data;
	uint32_t size, at;
};

struct bench_guest {
	struct vmguest vm;
	struct vmguest_chan *chan;
	struct storvsp *vsp;
	struct loop *vp_loop; /* serves the channel */
	struct bench_ring out, in;
	uint32_t told; /* in index of the outgoing ring that the host can see */
	uint64_t data_gpa;
	uint64_t requests, signals; /* to the host */
	size_t heap_bytes; /* that opening the channel took */
};

/**
 * bench_guest_init - connect, open and initialize; the disk is attached and its state read
 * @d: taken over. @serve: runs the loop of the channel once; NULL: another thread runs it.
 * Ends the program on failure.
 */
void bench_guest_init(struct bench_guest *bg, struct disk *d, struct loop *vp_loop,
		      void (*serve)(struct loop *loop));

/* READ(10) or WRITE(10) of 4 KiB blocks by one page (or BENCH_SLOT bytes); the slot's number comes
 * back from bench_guest_reap(). Not visible before bench_guest_commit(). */
void bench_guest_put(struct bench_guest *bg, uint32_t slot, bool write, uint32_t block,
		     uint32_t bytes);

/* Make visible what was put. Returns whether the host must be signalled. */
bool bench_guest_commit(struct bench_guest *bg);
void bench_guest_signal(struct bench_guest *bg);

/* Take what is complete, interrupts masked; at the end they are open. Returns how many. */
unsigned bench_guest_reap(struct bench_guest *bg, uint32_t *ret_slots, unsigned max);

/* Interrupts of the guest so far. */
uint64_t bench_guest_interrupts(const struct bench_guest *bg);

/* The host interrupted since the last call. */
bool bench_guest_interrupted(struct bench_guest *bg);
