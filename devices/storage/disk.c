/* SPDX-License-Identifier: MIT */
/*
 * What all disks have: references, the snapshot of what they are, the watcher, and their place in
 * inspect. Requests: disk_queue.c. Any thread; trust: no outside data.
 */
#include "disk_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "inspect.h"

/* ---- snapshot -------------------------------------------------------------------------------- */

/* Caller holds the lock, or nobody else knows the disk. */
static void write_info(struct disk *d, const struct disk_info *info)
{
	uint64_t words[DISK_INFO_WORDS] = { 0 };
	uint32_t seq = atomic_load_explicit(&d->seq, memory_order_relaxed);

	memcpy(words, info, sizeof(*info));
	atomic_store_explicit(&d->seq, seq + 1, memory_order_relaxed);
	/* Release: who sees one of these words sees the odd number (pairs with read_info). */
	for (size_t i = 0; i < DISK_INFO_WORDS; i++)
		atomic_store_explicit(&d->info[i], words[i], memory_order_release);
	atomic_store_explicit(&d->seq, seq + 2, memory_order_release);
}

static uint32_t read_info(const struct disk *d, struct disk_info *ret_info)
{
	uint64_t words[DISK_INFO_WORDS];
	uint32_t seq;

	do {
		/* Acquire: pairs with the releases of write_info. */
		seq = atomic_load_explicit(&d->seq, memory_order_acquire);
		for (size_t i = 0; i < DISK_INFO_WORDS; i++)
			words[i] = atomic_load_explicit(&d->info[i], memory_order_acquire);
	} while ((seq & 1) || seq != atomic_load_explicit(&d->seq, memory_order_relaxed));
	memcpy(ret_info, words, sizeof(*ret_info));
	return seq;
}

void disk_info(const struct disk *d, struct disk_info *ret_info)
{
	(void)read_info(d, ret_info);
}

void disk_queue_info(struct disk_queue *q)
{
	if (atomic_load_explicit(&q->d->seq, memory_order_relaxed) != q->info_seq)
		q->info_seq = read_info(q->d, &q->info);
}

/* ---- watcher --------------------------------------------------------------------------------- */

static void run_watch(void *ctx)
{
	struct disk *d = ctx;
	void (*fn)(void *ctx);
	void *fn_ctx;

	(void)pthread_mutex_lock(&d->lock);
	d->watch_queued = false;
	fn = d->watch_fn;
	fn_ctx = d->watch_ctx;
	(void)pthread_mutex_unlock(&d->lock);
	/* Both this and the end of watching are on the loop's thread. */
	if (fn)
		fn(fn_ctx);
	disk_put(d);
}

/* Lock held. */
static void notify(struct disk *d)
{
	if (!d->watch_fn || d->watch_queued)
		return;
	d->watch_queued = true;
	(void)disk_get(d);
	loop_post(d->watch_loop, &d->watch_work);
}

void disk_watch(struct disk *d, struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
	(void)pthread_mutex_lock(&d->lock);
	d->watch_loop = loop;
	d->watch_fn = fn;
	d->watch_ctx = ctx;
	(void)pthread_mutex_unlock(&d->lock);
	if (d->ops->watch)
		d->ops->watch(d, fn ? loop : NULL);
}

void disk_set_info(struct disk *d, const struct disk_info *info)
{
	struct disk_info now = *info, old;

	(void)pthread_mutex_lock(&d->lock);
	(void)read_info(d, &old);
	now.generation = old.generation + (now.blocks != old.blocks);
	write_info(d, &now);
	notify(d);
	(void)pthread_mutex_unlock(&d->lock);
}

void disk_set_gone(struct disk *d)
{
	if (atomic_exchange_explicit(&d->gone, true, memory_order_relaxed))
		return;
	(void)pthread_mutex_lock(&d->lock);
	notify(d);
	(void)pthread_mutex_unlock(&d->lock);
}

/* ---- life ------------------------------------------------------------------------------------ */

int disk_init(struct disk *d, const struct disk_ops *ops, const char *name,
	      const struct disk_info *info, const struct disk_limits *lim)
{
	BUG_ON(info->block_size < 512 || (info->block_size & (info->block_size - 1)));
	BUG_ON(lim->max_iov < DISK_PART_IOV || lim->max_bytes % info->block_size);
	if (pthread_mutex_init(&d->lock, NULL) != 0)
		return -ENOMEM;
	d->ops = ops;
	d->lim = *lim;
	atomic_init(&d->refs, 1);
	list_init(&d->queues);
	d->watch_work = (struct loop_work){ .fn = run_watch, .ctx = d };
	(void)snprintf(d->name, sizeof(d->name), "%s", name ? name : "");
	write_info(d, info);
	return 0;
}

void disk_fini(struct disk *d)
{
	BUG_ON(!list_empty(&d->queues));
	(void)pthread_mutex_destroy(&d->lock);
}

struct disk *disk_get(struct disk *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

void disk_put(struct disk *d)
{
	/* Acquire and release: what others did with it is over when it is destroyed. */
	if (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1)
		d->ops->destroy(d);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static const char *const stat_names[DISK_STATS] = {
	[DISK_N_READ] = "reads",
	[DISK_N_WRITE] = "writes",
	[DISK_N_FLUSH] = "flushes",
	[DISK_N_UNMAP] = "unmaps",
	[DISK_N_OTHER] = "others",
	[DISK_N_READ_BYTES] = "read_bytes",
	[DISK_N_WRITE_BYTES] = "written_bytes",
	[DISK_N_DIRECT] = "zero_copy",
	[DISK_N_DIRECT_BYTES] = "zero_copy_bytes",
	[DISK_N_BOUNCED] = "bounced",
	[DISK_N_BOUNCED_BYTES] = "bounced_bytes",
	[DISK_N_SPLIT] = "split",
	[DISK_N_ERRORS] = "errors",
	[DISK_N_TIMEOUTS] = "timeouts",
	[DISK_N_ABORTS] = "aborts",
	[DISK_N_RETRIES] = "retries",
	[DISK_N_FAULTS] = "pin_faults",
	[DISK_N_WAITS] = "waits",
};

static void inspect_info(struct inspect *in, const void *obj)
{
	const struct disk_info *i = obj;

	inspect_u64(in, SENS_SAFE, "blocks", i->blocks);
	inspect_u64(in, SENS_SAFE, "block_size", i->block_size);
	inspect_u64(in, SENS_SAFE, "physical_block_size", i->physical_block_size);
	inspect_u64(in, SENS_SAFE, "max_bytes", i->max_bytes);
	inspect_u64(in, SENS_SAFE, "unmap_granularity", i->unmap_granularity);
	inspect_u64(in, SENS_SAFE, "generation", i->generation);
	inspect_bool(in, SENS_SAFE, "read_only", i->read_only);
	inspect_bool(in, SENS_SAFE, "write_cache", i->write_cache);
	inspect_bool(in, SENS_SAFE, "unmap_zeroes", i->unmap_zeroes);
	inspect_bool(in, SENS_SAFE, "write_zeroes", i->write_zeroes);
	inspect_bool(in, SENS_SAFE, "reservations", i->reservations);
	inspect_bool(in, SENS_SAFE, "rotational", i->rotational);
}

static void inspect_stats(struct inspect *in, const void *obj)
{
	const uint64_t *stats = obj;

	for (int i = 0; i < DISK_STATS; i++)
		inspect_count(in, SENS_SAFE, stat_names[i], stats[i]);
}

static unsigned sum_stats(const struct disk *disk, uint64_t ret_stats[DISK_STATS])
{
	struct disk *d = (struct disk *)(uintptr_t)disk; /* its lock is no part of its value */
	unsigned queues = 0;

	(void)pthread_mutex_lock(&d->lock);
	memcpy(ret_stats, d->totals, sizeof(d->totals));
	list_for_each(l, &d->queues) {
		struct disk_queue *q = container_of(l, struct disk_queue, link);

		queues++;
		for (int i = 0; i < DISK_STATS; i++)
			ret_stats[i] += atomic_load_explicit(&q->stats[i], memory_order_relaxed);
	}
	(void)pthread_mutex_unlock(&d->lock);
	return queues;
}

void disk_inspect(struct inspect *in, const void *obj)
{
	const struct disk *d = obj;
	uint64_t stats[DISK_STATS];
	struct disk_info info;

	disk_info(d, &info);
	inspect_str(in, SENS_SAFE, "kind", d->ops->kind);
	inspect_str(in, SENS_SAFE, "name", d->name);
	inspect_bool(in, SENS_SAFE, "gone", atomic_load_explicit(&d->gone, memory_order_relaxed));
	inspect_bool(in, SENS_SAFE, "bounce", d->lim.bounce);
	inspect_u64(in, SENS_SAFE, "queues", sum_stats(d, stats));
	inspect_dir(in, SENS_SAFE, "info", inspect_info, &info);
	inspect_dir(in, SENS_SAFE, "counters", inspect_stats, stats);
	if (d->ops->inspect)
		d->ops->inspect(in, d);
}
