/* SPDX-License-Identifier: MIT */
/* Parts that become requests to another disk. See disk_priv.h. */
#include "disk_priv.h"

#define SLACK_MS 1000u /* the outer request's time-out comes first */

unsigned disk_inner_depth(const struct disk_queue *q)
{
	return MIN(q->depth + DISK_POOL_PARTS, DISK_MAX_DEPTH);
}

static void forwarded(struct disk_req *sub)
{
	disk_part_done(sub->ctx, sub->status);
}

int disk_part_forward(struct disk_part *p, struct disk_queue *inner, uint64_t lba, uint32_t blocks,
		      void (*done)(struct disk_req *sub))
{
	const bool data = p->op == DISK_READ || p->op == DISK_WRITE;

	p->sub = (struct disk_req){
		.op = p->op,
		.flags = p->flags,
		.lba = lba,
		.blocks = blocks,
		.iov = data ? p->iov : NULL,
		.n_iov = data ? p->n_iov : 0,
		.pr = p->req->pr,
		.timeout_ms = disk_part_left_ms(p) + SLACK_MS,
		.done = done ? done : forwarded,
		.ctx = p,
	};
	return disk_submit(inner, &p->sub);
}
