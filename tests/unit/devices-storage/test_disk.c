/* SPDX-License-Identifier: MIT */
/* What was written is read, on every kind of disk, from memory cut in any way. */
#include <string.h>
#include <unistd.h>

#include "disk_priv.h"
#include "disk_rig.h"
#include "fake_ng.h"
#include "unit.h"

#define DEPTH 24u
#define REQUESTS 1200
#define MAX_BLOCKS 700u /* of 512 bytes: more than any back end takes at once */

static uint64_t seed = 88172645463325252ull;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % below;
}

/* A request in flight over memory of its own with guard bytes around it. */
struct job {
	struct disk_req req;
	struct iovec iov[DISK_MAX_IOV];
	uint8_t *mem;
	size_t mem_bytes;
	bool busy;
	bool done;
};

static struct rig rig;
static struct job jobs[DEPTH];
static uint8_t *shadow; /* what the disk should hold */

#define GUARD 0xa5

/* Lay @bytes out over the job's memory: pieces of random sizes with gaps between them. */
static void cut(struct job *j, size_t bytes, unsigned style)
{
	size_t at = style == 0 ? 0 : rnd(style == 1 ? 1024 : 4096) * (style == 1 ? 4 : 1), done = 0;
	uint32_t n = 0;

	while (done < bytes) {
		size_t len = style == 0	  ? 4096
			     : style == 1 ? 4u * (1 + rnd(3000))
					  : 1 + rnd(rnd(8) ? 6000 : 100);

		len = MIN(len, bytes - done);
		if (n == DISK_MAX_IOV - 1)
			len = bytes - done;
		j->iov[n++] = (struct iovec){ j->mem + at, len };
		done += len;
		at += len;
		if (at + (bytes - done) + 8192 < j->mem_bytes && rnd(2))
			at += style == 0 ? 4096 : style == 1 ? 4u * rnd(600) : rnd(300);
	}
	ck_assert_uint_le(at, j->mem_bytes);
	j->req.iov = j->iov;
	j->req.n_iov = n;
}

static void each_byte(struct job *j, uint8_t *linear, bool to_job)
{
	bool same = true;

	for (uint32_t i = 0; i < j->req.n_iov; i++) {
		void *base = j->iov[i].iov_base;

		if (to_job)
			memcpy(base, linear, j->iov[i].iov_len);
		else
			same &= memcmp(base, linear, j->iov[i].iov_len) == 0;
		linear += j->iov[i].iov_len;
	}
	ck_assert_msg(same, "blocks from %lu on are not what was written", j->req.lba);
}

/* Nothing but the pieces was touched. */
static void check_guards(struct job *j)
{
	const struct iovec *last = &j->iov[j->req.n_iov - 1];
	size_t end = (size_t)((uint8_t *)last->iov_base - j->mem) + last->iov_len + 4096;

	for (uint32_t i = 0; i < j->req.n_iov; i++)
		memset(j->iov[i].iov_base, GUARD, j->iov[i].iov_len);
	/* Every byte is the guard when the first is, and each is what its neighbour is. */
	end = MIN(end, j->mem_bytes);
	ck_assert(j->mem[0] == GUARD && memcmp(j->mem, j->mem + 1, end - 1) == 0);
}

static void job_done(struct disk_req *req)
{
	struct job *j = req->ctx;
	uint8_t *at = shadow + req->lba * rig.info.block_size;

	ck_assert_msg(j->busy && req->status == NVME_OK, "op %d status %#x", req->op, req->status);
	j->busy = false;
	if (req->op == DISK_READ)
		each_byte(j, at, false);
	if (req->op == DISK_READ || req->op == DISK_WRITE)
		check_guards(j);
}

static bool overlaps(uint64_t lba, uint32_t blocks)
{
	for (unsigned i = 0; i < DEPTH; i++) {
		const struct disk_req *r = &jobs[i].req;

		if (jobs[i].busy && lba < r->lba + r->blocks && r->lba < lba + blocks)
			return true;
	}
	return false;
}

static enum disk_op pick_op(void)
{
	static const enum disk_op ops[] = { DISK_READ,	       DISK_READ,  DISK_READ,  DISK_WRITE,
					    DISK_WRITE,	       DISK_WRITE, DISK_FLUSH, DISK_UNMAP,
					    DISK_WRITE_ZEROES, DISK_VERIFY };

	return ops[rnd(ARRAY_SIZE(ops))];
}

/* Returns: was one started? */
static bool start_job(struct job *j)
{
	const uint32_t bs = rig.info.block_size;
	enum disk_op op = pick_op();
	uint32_t blocks = 1 + rnd(rnd(4) ? 16 : MAX_BLOCKS * 512 / bs);
	uint64_t lba = rnd((uint32_t)rig.info.blocks - blocks + 1);
	uint8_t *at = shadow + lba * bs;

	if (overlaps(lba, blocks))
		return false;
	j->req = (struct disk_req){
		.op = op, .lba = lba, .blocks = blocks, .done = job_done, .ctx = j
	};
	if (op == DISK_FLUSH)
		j->req.lba = j->req.blocks = 0;
	if (op == DISK_WRITE || op == DISK_WRITE_ZEROES)
		j->req.flags = rnd(3) ? 0 : DISK_FUA;
	if (op == DISK_READ || op == DISK_WRITE)
		cut(j, (size_t)blocks * bs, rnd(3));
	if (op == DISK_WRITE) {
		for (size_t i = 0; i < (size_t)blocks * bs; i++)
			at[i] = (uint8_t)(seed >> (i % 56)) ^ (uint8_t)i;
		rnd(2);
		each_byte(j, at, true);
	}
	if (op == DISK_UNMAP || op == DISK_WRITE_ZEROES)
		memset(at, 0, (size_t)blocks * bs);
	j->busy = true;
	ck_assert_int_eq(disk_submit(rig.q, &j->req), 0);
	ck_assert(j->busy);
	return true;
}

static uint64_t stat_of(enum disk_stat s)
{
	return atomic_load(&rig.q->stats[s]);
}

/* Did the ways through the queue that this disk is meant to take get taken? */
static void check_counters(void)
{
	bool copies = rig.kind == RIG_BOUNCE;

	ck_assert_uint_gt(stat_of(DISK_N_READ), 100);
	ck_assert_uint_eq(stat_of(DISK_N_ERRORS), 0);
	ck_assert_uint_eq(stat_of(DISK_N_TIMEOUTS), 0);
	if (copies)
		ck_assert_uint_eq(stat_of(DISK_N_DIRECT_BYTES), 0);
	else
		ck_assert_uint_gt(stat_of(DISK_N_DIRECT), 50);
	ck_assert_uint_eq(fake_ng.violations, 0);
	if (copies || rig.kind == RIG_TIGHT || rig.kind == RIG_NVME)
		ck_assert_uint_gt(stat_of(DISK_N_BOUNCED), 50);
	if (rig.kind == RIG_RAM || rig.kind == RIG_FILE || rig.kind == RIG_FAULT)
		ck_assert_uint_eq(stat_of(DISK_N_BOUNCED), 0);
	if (copies || rig.kind == RIG_TIGHT || rig.kind == RIG_STRIPE) {
		ck_assert_uint_gt(stat_of(DISK_N_SPLIT), 20);
		ck_assert_uint_gt(stat_of(DISK_N_WAITS), 5);
	}
}

static void check_all(void)
{
	uint8_t *all = malloc(RIG_BYTES);

	ck_assert_ptr_nonnull(all);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, all, RIG_BYTES / rig.info.block_size, 0),
			  NVME_OK);
	ck_assert(memcmp(all, shadow, RIG_BYTES) == 0);
	free(all);
}

START_TEST(random_requests_keep_the_data)
{
	const size_t mem = 4096 * (MAX_BLOCKS + 64);

	seed += (uint64_t)_i * 7919;
	rig_init(&rig, (enum rig_kind)_i, DEPTH);
	shadow = calloc(1, RIG_BYTES);
	ck_assert_ptr_nonnull(shadow);
	ck_assert_uint_eq(rig.info.blocks * rig.info.block_size, RIG_BYTES);
	for (unsigned i = 0; i < DEPTH; i++) {
		jobs[i].mem = aligned_alloc(4096, mem);
		jobs[i].mem_bytes = mem;
		ck_assert_ptr_nonnull(jobs[i].mem);
		memset(jobs[i].mem, GUARD, mem);
	}
	for (int started = 0; started < REQUESTS;) {
		struct job *j = &jobs[rnd(DEPTH)];

		if (j->busy)
			loop_poll(rig.loop);
		else
			started += start_job(j);
	}
	rig_drain(&rig);
	check_all();
	check_counters();
	/* What is durable is in the file. */
	ck_assert_uint_eq(rig_rw(&rig, DISK_FLUSH, 0, NULL, 0, 0), NVME_OK);
	for (unsigned i = 0; i < DEPTH; i++)
		free(jobs[i].mem);
	free(shadow);
	rig_fini(&rig);
}
END_TEST

START_TEST(ends_of_the_disk)
{
	static uint8_t buf[8192];
	struct disk_req req;
	uint64_t n;

	rig_init(&rig, (enum rig_kind)_i, 4);
	n = rig.info.blocks;
	memset(buf, 7, sizeof(buf));
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, n - 1, buf, 1, DISK_FUA), NVME_OK);
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, n, buf, 1, 0), NVME_LBA_OUT_OF_RANGE);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, n - 1, buf, 2, 0), NVME_LBA_OUT_OF_RANGE);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, UINT64_MAX, buf, 2, 0), NVME_LBA_OUT_OF_RANGE);
	ck_assert_uint_eq(rig_rw(&rig, DISK_UNMAP, n - 1, NULL, 2, 0), NVME_LBA_OUT_OF_RANGE);
	ck_assert_uint_eq(rig_rw(&rig, DISK_VERIFY, 1, NULL, UINT32_MAX, 0), NVME_LBA_OUT_OF_RANGE);
	/* Nothing to do is done. */
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE_ZEROES, n, NULL, 0, 0), NVME_OK);
	req = (struct disk_req){ .op = DISK_READ };
	ck_assert_uint_eq(rig_do(&rig, &req), NVME_OK);
	/* The whole of it in one go. */
	ck_assert_uint_eq(rig_rw(&rig, DISK_VERIFY, 0, NULL, (uint32_t)n, 0), NVME_OK);
	ck_assert_uint_eq(rig_rw(&rig, DISK_UNMAP, 0, NULL, (uint32_t)n, 0), NVME_OK);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, n - 1, buf, 1, 0), NVME_OK);
	ck_assert(buf[0] == 0 && memcmp(buf, buf + 1, rig.info.block_size - 1) == 0);
	req = (struct disk_req){ .op = DISK_PR_IN };
	ck_assert_uint_eq(rig_do(&rig, &req),
			  rig.info.reservations ? NVME_INVALID_FIELD : NVME_INVALID_OPCODE);
	rig_fini(&rig);
}
END_TEST

UNIT_MAIN_VARIANTS("storage/disk", RIG_KINDS, random_requests_keep_the_data, ends_of_the_disk)
