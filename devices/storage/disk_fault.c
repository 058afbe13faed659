/* SPDX-License-Identifier: MIT */
/*
 * A disk in front of another one that fails, delays or swallows what it is told to. For tests and
 * scenarios. Any thread may change what it does; trust: no outside data.
 */
#include "disk_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "ckd.h"

struct disk_fault_disk {
	struct disk d;
	struct disk *inner;
	pthread_mutex_t lock; /* protects: fault, left; rank: leaf */
	struct disk_fault fault;
	uint32_t left;
	uint64_t shown; /* blocks; 0 = all */
};

enum { STEP_NEW, STEP_DELAYED, STEP_DROPPED, STEP_INNER };

static bool touches(const struct disk_fault *f, const struct disk_part *p)
{
	if (!(f->op_mask & 1u << p->op))
		return false;
	return !f->blocks || range_overlap(p->lba, p->blocks, f->lba, f->blocks);
}

/* Is this one hit? Takes it off the count. */
static bool strike(struct disk_fault_disk *fd, const struct disk_part *p,
		   struct disk_fault *ret_fault)
{
	bool hit;

	(void)pthread_mutex_lock(&fd->lock);
	hit = touches(&fd->fault, p) && (!fd->fault.count || fd->left);
	if (hit && fd->fault.count)
		fd->left--;
	*ret_fault = fd->fault;
	(void)pthread_mutex_unlock(&fd->lock);
	return hit;
}

static int forward(struct disk_part *p)
{
	p->step = STEP_INNER;
	return disk_part_forward(p, p->q->be, p->lba, p->blocks, NULL);
}

static int fault_start(struct disk_part *p)
{
	struct disk_fault_disk *fd = container_of(p->q->d, struct disk_fault_disk, d);
	struct disk_fault f;

	if (p->step == STEP_DELAYED && p->small[0] | p->small[1]) {
		disk_part_later(p, (uint16_t)(p->small[0] | p->small[1] << 8));
		return 0;
	}
	if (p->step != STEP_NEW || !strike(fd, p, &f))
		return forward(p);
	if (f.drop) {
		p->step = STEP_DROPPED;
	} else if (f.delay_ms) {
		p->step = STEP_DELAYED;
		p->small[0] = (uint8_t)f.status;
		p->small[1] = (uint8_t)(f.status >> 8);
		disk_part_sleep(p, f.delay_ms);
	} else if (f.status != NVME_OK) {
		disk_part_later(p, f.status);
	} else {
		return forward(p);
	}
	return 0;
}

static void fault_cancel(struct disk_part *p)
{
	if (p->step == STEP_DROPPED)
		disk_part_later(p, NVME_ABORT_REQUESTED);
	else
		disk_cancel(p->q->be, &p->sub);
}

static int fault_queue_init(struct disk_queue *q)
{
	const struct disk_fault_disk *fd = container_of(q->d, struct disk_fault_disk, d);
	struct disk_queue *inner;
	int r = disk_queue_create(fd->inner, q->loop, disk_inner_depth(q), &inner);

	if (r == 0)
		q->be = inner;
	return r;
}

static void fault_queue_fini(struct disk_queue *q)
{
	disk_queue_destroy(q->be);
}

/* What is shown of the disk behind. */
static void show(struct disk_fault_disk *fd)
{
	struct disk_info info;

	disk_info(fd->inner, &info);
	(void)pthread_mutex_lock(&fd->lock);
	if (fd->shown)
		info.blocks = MIN(info.blocks, fd->shown);
	(void)pthread_mutex_unlock(&fd->lock);
	disk_set_info(&fd->d, &info);
}

static void inner_changed(void *ctx)
{
	struct disk_fault_disk *fd = ctx;

	show(fd);
	if (atomic_load_explicit(&fd->inner->gone, memory_order_relaxed))
		disk_set_gone(&fd->d);
}

static void fault_watch(struct disk *d, struct loop *loop)
{
	struct disk_fault_disk *fd = container_of(d, struct disk_fault_disk, d);

	disk_watch(fd->inner, loop, loop ? inner_changed : NULL, fd);
}

static void fault_destroy(struct disk *d)
{
	struct disk_fault_disk *fd = container_of(d, struct disk_fault_disk, d);

	disk_put(fd->inner);
	(void)pthread_mutex_destroy(&fd->lock);
	disk_fini(d);
	free(fd);
}

static const struct disk_ops fault_ops = {
	.kind = "fault",
	.destroy = fault_destroy,
	.queue_init = fault_queue_init,
	.queue_fini = fault_queue_fini,
	.start = fault_start,
	.cancel = fault_cancel,
	.watch = fault_watch,
};

int disk_fault_open(struct disk *inner, struct disk **ret_d)
{
	/* What does not fit is cut further inside. */
	const struct disk_limits lim = { .max_iov = DISK_MAX_IOV, .zeroes = true, .verify = true };
	struct disk_fault_disk *fd = calloc(1, sizeof(*fd));
	struct disk_info info;
	int r;

	if (!fd)
		return -ENOMEM;
	disk_info(inner, &info);
	r = pthread_mutex_init(&fd->lock, NULL) == 0 ? 0 : -ENOMEM;
	if (r == 0)
		r = disk_init(&fd->d, &fault_ops, inner->name, &info, &lim);
	if (r < 0) {
		free(fd);
		return r;
	}
	fd->inner = inner;
	*ret_d = &fd->d;
	return 0;
}

void disk_fault_set(struct disk *d, const struct disk_fault *f)
{
	struct disk_fault_disk *fd = container_of(d, struct disk_fault_disk, d);

	(void)pthread_mutex_lock(&fd->lock);
	fd->fault = *f;
	fd->left = f->count;
	(void)pthread_mutex_unlock(&fd->lock);
}

int disk_fault_resize(struct disk *d, uint64_t blocks)
{
	struct disk_fault_disk *fd = container_of(d, struct disk_fault_disk, d);
	struct disk_info info;

	disk_info(fd->inner, &info);
	if (blocks > info.blocks)
		return -EFBIG;
	(void)pthread_mutex_lock(&fd->lock);
	fd->shown = blocks;
	(void)pthread_mutex_unlock(&fd->lock);
	show(fd);
	return 0;
}
