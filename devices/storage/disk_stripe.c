/* SPDX-License-Identifier: MIT */
/*
 * Equal disks side by side: the first chunk on the first, the second on the second, and so on
 * around. Data never crosses a chunk in one part. What goes over a range of blocks is one range on
 * each member, and a flush goes to each; these visit one member after another.
 */
#include "disk_priv.h"

#include <errno.h>
#include <stdlib.h>

#define STRIPE_MAX 64u

struct disk_stripe {
	struct disk d;
	unsigned n;
	uint32_t chunk; /* blocks */
	struct disk *member[STRIPE_MAX];
};

static struct disk_stripe *stripe_of(struct disk *d)
{
	return container_of(d, struct disk_stripe, d);
}

/* How many blocks of member @m lie before block @lba of the whole? */
static uint64_t before(const struct disk_stripe *s, uint64_t lba, unsigned m)
{
	uint64_t row = (uint64_t)s->chunk * s->n, first = (uint64_t)s->chunk * m;
	uint64_t in_row = lba % row;
	uint64_t part = in_row <= first ? 0 : MIN(in_row - first, s->chunk);

	return lba / row * s->chunk + part;
}

static int start_data(struct disk_part *p, const struct disk_stripe *s)
{
	struct disk_queue **inner = p->q->be;
	unsigned m = (unsigned)(p->lba / s->chunk % s->n);

	p->step = (uint8_t)m;
	return disk_part_forward(p, inner[m], before(s, p->lba, m), p->blocks, NULL);
}

static void member_done(struct disk_req *sub);

/* The next member that has a share, from the one in step on. Returns: -ENOENT: none has. */
static int start_share(struct disk_part *p, const struct disk_stripe *s)
{
	struct disk_queue **inner = p->q->be;

	for (; p->step < s->n; p->step++) {
		uint64_t from = before(s, p->lba, p->step);
		uint64_t to = before(s, p->lba + p->blocks, p->step);

		if (from == to && p->op != DISK_FLUSH)
			continue;
		return disk_part_forward(p, inner[p->step], from, (uint32_t)(to - from),
					 member_done);
	}
	return -ENOENT;
}

static void member_done(struct disk_req *sub)
{
	struct disk_part *p = sub->ctx;
	int r = -ENOENT;

	if (sub->status == NVME_OK && disk_part_wanted(p)) {
		p->step++;
		r = start_share(p, stripe_of(p->q->d));
	}
	if (r == -EAGAIN)
		disk_part_sleep(p, 1);
	else if (r < 0)
		disk_part_done(p, sub->status);
}

static int stripe_start(struct disk_part *p)
{
	const struct disk_stripe *s = stripe_of(p->q->d);

	switch (p->op) {
	case DISK_READ:
	case DISK_WRITE:
		return start_data(p, s);
	case DISK_FLUSH:
	case DISK_UNMAP:
	case DISK_WRITE_ZEROES:
	case DISK_VERIFY:
		return start_share(p, s);
	case DISK_PR_IN:
	case DISK_PR_OUT:
		break;
	}
	return -EOPNOTSUPP;
}

static void stripe_cancel(struct disk_part *p)
{
	struct disk_queue **inner = p->q->be;

	disk_cancel(inner[p->step], &p->sub);
}

static void stripe_queue_fini(struct disk_queue *q)
{
	struct disk_queue **inner = q->be;

	for (unsigned i = 0; i < stripe_of(q->d)->n; i++)
		disk_queue_destroy(inner[i]);
	free(inner);
}

static int stripe_queue_init(struct disk_queue *q)
{
	const struct disk_stripe *s = stripe_of(q->d);
	struct disk_queue **inner = calloc(s->n, sizeof(struct disk_queue *));
	int r = 0;

	if (!inner)
		return -ENOMEM;
	q->be = inner;
	for (unsigned i = 0; i < s->n && r == 0; i++)
		r = disk_queue_create(s->member[i], q->loop, disk_inner_depth(q), &inner[i]);
	if (r < 0)
		stripe_queue_fini(q);
	return r;
}

/* ---- what it is ------------------------------------------------------------------------------ */

/* What holds for all members. */
static void combine(const struct disk_stripe *s, struct disk_info *ret_info)
{
	struct disk_info all;
	uint64_t granularity;

	disk_info(s->member[0], &all);
	granularity = all.unmap_granularity;
	for (unsigned i = 1; i < s->n; i++) {
		struct disk_info m;

		disk_info(s->member[i], &m);
		all.blocks = MIN(all.blocks, m.blocks);
		all.max_bytes = MIN(all.max_bytes, m.max_bytes);
		all.physical_block_size = MAX(all.physical_block_size, m.physical_block_size);
		granularity = granularity && m.unmap_granularity
				      ? MAX(granularity, m.unmap_granularity)
				      : 0;
		all.read_only |= m.read_only;
		all.write_cache |= m.write_cache;
		all.unmap_zeroes &= m.unmap_zeroes;
		all.write_zeroes &= m.write_zeroes;
		all.rotational |= m.rotational;
	}
	all.blocks = all.blocks / s->chunk * s->chunk * s->n;
	all.unmap_granularity = (uint32_t)granularity;
	all.reservations = false;
	all.has_id = false;
	all.serial[0] = '\0';
	*ret_info = all;
}

static void member_changed(void *ctx)
{
	struct disk_stripe *s = ctx;
	struct disk_info info;

	combine(s, &info);
	disk_set_info(&s->d, &info);
	for (unsigned i = 0; i < s->n; i++)
		if (atomic_load_explicit(&s->member[i]->gone, memory_order_relaxed))
			disk_set_gone(&s->d);
}

static void stripe_watch(struct disk *d, struct loop *loop)
{
	struct disk_stripe *s = stripe_of(d);

	for (unsigned i = 0; i < s->n; i++)
		disk_watch(s->member[i], loop, loop ? member_changed : NULL, s);
}

static void stripe_destroy(struct disk *d)
{
	struct disk_stripe *s = stripe_of(d);

	for (unsigned i = 0; i < s->n; i++)
		disk_put(s->member[i]);
	disk_fini(d);
	free(s);
}

static const struct disk_ops stripe_ops = {
	.kind = "stripe",
	.destroy = stripe_destroy,
	.queue_init = stripe_queue_init,
	.queue_fini = stripe_queue_fini,
	.start = stripe_start,
	.cancel = stripe_cancel,
	.watch = stripe_watch,
};

/* Members must agree on the block size, the chunk must hold whole blocks. */
static int check_members(struct disk *const *members, unsigned n, uint32_t chunk,
			 uint32_t *ret_block_size)
{
	struct disk_info first, m;

	if (n < 2 || n > STRIPE_MAX)
		return -EINVAL;
	disk_info(members[0], &first);
	for (unsigned i = 1; i < n; i++) {
		disk_info(members[i], &m);
		if (m.block_size != first.block_size)
			return -EINVAL;
	}
	if (!chunk || chunk % first.block_size)
		return -EINVAL;
	*ret_block_size = first.block_size;
	return 0;
}

int disk_stripe_open(const char *name, struct disk *const *members, unsigned n, uint32_t chunk,
		     struct disk **ret_d)
{
	struct disk_limits lim = { .max_iov = DISK_MAX_IOV, .zeroes = true, .verify = true };
	struct disk_stripe *s;
	struct disk_info info;
	uint32_t block_size;
	int r = check_members(members, n, chunk, &block_size);

	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->n = n;
	s->chunk = chunk / block_size;
	for (unsigned i = 0; i < n; i++)
		s->member[i] = members[i];
	combine(s, &info);
	lim.chunk_blocks = s->chunk;
	r = info.blocks ? disk_init(&s->d, &stripe_ops, name, &info, &lim) : -EINVAL;
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_d = &s->d;
	return 0;
}
