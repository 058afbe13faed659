/* SPDX-License-Identifier: MIT */
/* What queues promise: depth, order of ends, time-outs, aborts, and errors that stay errors. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk_priv.h"
#include "disk_rig.h"
#include "gmem.h"
#include "unit.h"

#define DEPTH 8u
#define MS 1000000ull

static struct rig rig;
static uint8_t buf[1u << 20] __attribute__((aligned(4096)));

struct note {
	struct disk_req req;
	struct iovec iov;
	int done;
	struct disk_queue *abort, *destroy; /* from within done() */
	struct note *submit;
};

static void on_done(struct disk_req *req)
{
	struct note *n = container_of(req, struct note, req);

	n->done++;
	if (n->submit)
		ck_assert_int_eq(disk_submit(rig.q, &n->submit->req), 0);
	if (n->abort)
		disk_queue_abort(n->abort);
	if (n->destroy)
		disk_queue_destroy(n->destroy);
}

static struct note make(enum disk_op op, uint64_t lba, uint32_t blocks)
{
	return (struct note){ .req = { .op = op, .lba = lba, .blocks = blocks, .done = on_done },
			      .iov = { buf, (size_t)blocks * 512 } };
}

static int submit(struct note *n)
{
	if (n->req.op == DISK_READ || n->req.op == DISK_WRITE) {
		n->req.iov = &n->iov;
		n->req.n_iov = 1;
	}
	return disk_submit(rig.q, &n->req);
}

static uint64_t stat_of(enum disk_stat s)
{
	return atomic_load(&rig.q->stats[s]);
}

static void set_fault(struct disk_fault f)
{
	if (!f.op_mask)
		f.op_mask = UINT32_MAX;
	disk_fault_set(rig.disk, &f);
}

static void run_ms(unsigned ms)
{
	uint64_t end = loop_now_ns() + ms * MS;

	while (loop_now_ns() < end) {
		loop_poll(rig.loop);
		(void)usleep(500);
	}
}

/* However slow the machine is. */
static void run_visits(int n)
{
	while (n--)
		loop_poll(rig.loop);
}

/* ---- depth, order ---------------------------------------------------------------------------- */

START_TEST(depth_is_a_limit)
{
	struct note n[DEPTH + 1];

	rig_init(&rig, RIG_FAULT, DEPTH);
	set_fault((struct disk_fault){ .drop = true });
	for (unsigned i = 0; i <= DEPTH; i++) {
		n[i] = make(DISK_READ, i, 1);
		ck_assert_int_eq(submit(&n[i]), i < DEPTH ? 0 : -EAGAIN);
	}
	ck_assert_uint_eq(disk_queue_busy(rig.q), DEPTH);
	run_ms(20);
	ck_assert_uint_eq(disk_queue_busy(rig.q), DEPTH);
	disk_queue_abort(rig.q);
	for (unsigned i = 0; i < DEPTH; i++)
		ck_assert_int_eq(n[i].done, 0); /* not inside the call */
	rig_drain(&rig);
	for (unsigned i = 0; i < DEPTH; i++) {
		ck_assert_int_eq(n[i].done, 1);
		ck_assert_uint_eq(n[i].req.status, NVME_ABORT_REQUESTED);
	}
	ck_assert_int_eq(n[DEPTH].done, 0);
	ck_assert_uint_eq(stat_of(DISK_N_ABORTS), DEPTH);
	set_fault((struct disk_fault){ .op_mask = 1u << 31 });
	ck_assert_int_eq(submit(&n[DEPTH]), 0);
	rig_drain(&rig);
	ck_assert_uint_eq(n[DEPTH].req.status, NVME_OK);
	rig_fini(&rig);
}
END_TEST

START_TEST(depth_of_a_queue)
{
	struct disk_queue *q;

	rig_init(&rig, RIG_RAM, 1);
	ck_assert_int_eq(disk_queue_create(rig.disk, rig.loop, 0, &q), -EINVAL);
	ck_assert_int_eq(disk_queue_create(rig.disk, rig.loop, 1025, &q), -EINVAL);
	ck_assert_int_eq(disk_queue_create(rig.disk, rig.loop, 1024, &q), 0);
	disk_queue_destroy(q);
	disk_queue_destroy(NULL);
	rig_fini(&rig);
}
END_TEST

/* done() submits the next, gives up another, and the last one takes the queue down. */
START_TEST(done_may_do_everything)
{
	struct note a = make(DISK_READ, 0, 1), b = make(DISK_WRITE, 0, 600),
		    c = make(DISK_READ, 9, 1);

	rig_init(&rig, RIG_FAULT, DEPTH);
	b.req.iov = &b.iov;
	b.req.n_iov = 1;
	a.submit = &b;
	ck_assert_int_eq(submit(&a), 0);
	while (!b.done)
		ck_assert_int_eq(loop_wait(rig.loop), 0);
	ck_assert_uint_eq(b.req.status, NVME_OK);
	set_fault((struct disk_fault){ .lba = 9, .blocks = 1, .drop = true });
	a = make(DISK_READ, 0, 1);
	a.abort = rig.q;
	c.destroy = rig.q;
	ck_assert_int_eq(submit(&c), 0);
	ck_assert_int_eq(submit(&a), 0);
	while (!c.done)
		ck_assert_int_eq(loop_wait(rig.loop), 0);
	ck_assert_uint_eq(c.req.status, NVME_ABORT_REQUESTED);
	rig.q = NULL;
	run_ms(5);
	rig_fini(&rig);
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

START_TEST(time_outs_end_requests)
{
	struct note n = make(DISK_WRITE, 3, 5), m = make(DISK_FLUSH, 0, 0);
	uint64_t begin = loop_now_ns();

	rig_init(&rig, RIG_FAULT, DEPTH);
	set_fault((struct disk_fault){ .drop = true });
	n.req.timeout_ms = 1500;
	m.req.timeout_ms = 40;
	ck_assert_int_eq(submit(&n), 0);
	ck_assert_int_eq(submit(&m), 0);
	while (!m.done)
		ck_assert_int_eq(loop_wait(rig.loop), 0);
	ck_assert_uint_ge(loop_now_ns() - begin, 40 * MS);
	ck_assert_int_eq(n.done, 0);
	rig_drain(&rig);
	ck_assert_uint_ge(loop_now_ns() - begin, 1500 * MS);
	ck_assert_uint_lt(loop_now_ns() - begin, 15000 * MS);
	ck_assert_uint_eq(n.req.status, NVME_PATH_HOST_ABORTED);
	ck_assert_uint_eq(m.req.status, NVME_PATH_HOST_ABORTED);
	ck_assert_uint_eq(stat_of(DISK_N_TIMEOUTS), 2);
	rig_fini(&rig);
}
END_TEST

START_TEST(delays_delay)
{
	struct note n = make(DISK_READ, 0, 8), e = make(DISK_READ, 100, 1);
	uint64_t begin;

	rig_init(&rig, RIG_FAULT, DEPTH);
	set_fault((struct disk_fault){ .delay_ms = 60, .count = 1 });
	begin = loop_now_ns();
	ck_assert_int_eq(submit(&n), 0);
	ck_assert_int_eq(submit(&e), 0); /* the one after is not hit */
	while (!e.done)
		ck_assert_int_eq(loop_wait(rig.loop), 0);
	ck_assert_int_eq(n.done, 0);
	rig_drain(&rig);
	ck_assert_uint_ge(loop_now_ns() - begin, 60 * MS);
	ck_assert_uint_eq(n.req.status, NVME_OK);
	set_fault((struct disk_fault){ .delay_ms = 20, .status = NVME_WRITE_FAULT });
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 0, buf, 1, 0), NVME_WRITE_FAULT);
	/* Given up while it sleeps. */
	set_fault((struct disk_fault){ .delay_ms = 60000 });
	n = make(DISK_READ, 0, 8);
	ck_assert_int_eq(submit(&n), 0);
	disk_queue_abort(rig.q);
	rig_drain(&rig);
	ck_assert_uint_eq(n.req.status, NVME_ABORT_REQUESTED);
	rig_fini(&rig);
}
END_TEST

/* The memory of a request that was given up can go away at once. */
static void give_up_and_unmap(enum rig_kind kind)
{
	struct note n[DEPTH];
	uint64_t faults;
	uint8_t *mem;

	rig_init(&rig, kind, DEPTH);
	if (rig.kind == RIG_FAULT)
		set_fault((struct disk_fault){ .delay_ms = 30 });
	mem = mmap(NULL, DEPTH * 262144, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	ck_assert_ptr_ne(mem, MAP_FAILED);
	for (unsigned i = 0; i < DEPTH; i++) {
		n[i] = make(i & 1 ? DISK_WRITE : DISK_READ, 512 * i, 512);
		n[i].iov.iov_base = mem + (size_t)i * 262144 + 4 * i;
		n[i].iov.iov_len = 512 * 500;
		n[i].req.blocks = 500;
		ck_assert_int_eq(submit(&n[i]), 0);
	}
	loop_poll(rig.loop);
	disk_queue_abort(rig.q);
	rig_drain(&rig);
	for (unsigned i = 0; i < DEPTH; i++)
		ck_assert(n[i].done == 1 &&
			  (n[i].req.status == NVME_ABORT_REQUESTED || n[i].req.status == NVME_OK));
	faults = gm_faults();
	ck_assert_int_eq(mprotect(mem, DEPTH * 262144, PROT_NONE), 0);
	run_ms(80);
	ck_assert_uint_eq(gm_faults(), faults);
	ck_assert_int_eq(munmap(mem, DEPTH * 262144), 0);
	rig_fini(&rig);
}

START_TEST(nothing_touches_memory_after_done)
{
	give_up_and_unmap(RIG_FAULT);
	give_up_and_unmap(RIG_FILE);
	give_up_and_unmap(RIG_BOUNCE);
	give_up_and_unmap(RIG_TIGHT);
	give_up_and_unmap(RIG_STRIPE_FILES);
	give_up_and_unmap(RIG_NVME);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

/* A bad block fails the request that touches it, whole or in parts, and no other. */
START_TEST(media_errors_stay_where_they_are)
{
	rig_init(&rig, RIG_FAULT, DEPTH);
	set_fault((struct disk_fault){ .op_mask = 1u << DISK_READ | 1u << DISK_VERIFY,
				       .lba = 1000,
				       .blocks = 1,
				       .status = NVME_UNRECOVERED_READ });
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 1000, buf, 1, 0), NVME_UNRECOVERED_READ);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 2000, 0), NVME_UNRECOVERED_READ);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 1001, buf, 900, 0), NVME_OK);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1000, 0), NVME_OK);
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 1000, buf, 1, 0), NVME_OK);
	ck_assert_uint_eq(rig_rw(&rig, DISK_VERIFY, 900, NULL, 200, 0), NVME_UNRECOVERED_READ);
	ck_assert_uint_eq(stat_of(DISK_N_ERRORS), 3);
	rig_fini(&rig);
}
END_TEST

/* One part of many fails: the request fails once all of them have ended. */
START_TEST(parts_that_fail)
{
	struct disk *m[2], *bad;
	struct note n = make(DISK_READ, 0, 1024);

	rig_init(&rig, RIG_RAM, 1);
	ck_assert_int_eq(disk_ram_open("a", 1u << 20, 512, &m[0]), 0);
	ck_assert_int_eq(disk_ram_open("b", 1u << 20, 512, &bad), 0);
	ck_assert_int_eq(disk_fault_open(bad, &m[1]), 0);
	disk_queue_destroy(rig.q);
	disk_put(rig.disk);
	ck_assert_int_eq(disk_stripe_open("s", m, 2, 4096, &rig.disk), 0);
	ck_assert_int_eq(disk_queue_create(rig.disk, rig.loop, DEPTH, &rig.q), 0);
	disk_fault_set(m[1], &(struct disk_fault){ .op_mask = 1u << DISK_READ,
						   .lba = 100,
						   .blocks = 1,
						   .status = NVME_GUARD_CHECK });
	ck_assert_int_eq(submit(&n), 0);
	rig_drain(&rig);
	ck_assert_uint_eq(n.req.status, NVME_GUARD_CHECK);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 200, 0), NVME_OK);
	/* A flush and a range reach every member: the second one's failure counts. */
	disk_fault_set(m[1], &(struct disk_fault){ .op_mask = 1u << DISK_FLUSH | 1u << DISK_UNMAP,
						   .status = NVME_WRITE_FAULT });
	ck_assert_uint_eq(rig_rw(&rig, DISK_FLUSH, 0, NULL, 0, 0), NVME_WRITE_FAULT);
	ck_assert_uint_eq(rig_rw(&rig, DISK_UNMAP, 0, NULL, 100, 0), NVME_WRITE_FAULT);
	ck_assert_uint_eq(rig_rw(&rig, DISK_UNMAP, 0, NULL, 8, 0), NVME_OK); /* first only */
	/* One that hangs is given up as part of the whole. */
	disk_fault_set(m[1], &(struct disk_fault){ .op_mask = UINT32_MAX, .drop = true });
	n = make(DISK_WRITE, 0, 1024);
	n.req.timeout_ms = 50;
	ck_assert_int_eq(submit(&n), 0);
	rig_drain(&rig);
	ck_assert_uint_eq(n.req.status, NVME_PATH_HOST_ABORTED);
	rig_fini(&rig);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	static struct iovec many[DISK_MAX_IOV + 1];
	struct note n;
	struct disk_req r;

	rig_init(&rig, RIG_FILE, DEPTH);
	n = make(DISK_READ, 0, 8);
	n.iov.iov_len -= 1;
	ck_assert_int_eq(submit(&n), 0);
	rig_drain(&rig);
	ck_assert_uint_eq(n.req.status, NVME_INVALID_FIELD);
	n = make(DISK_WRITE, 0, 8);
	n.iov.iov_len = SIZE_MAX;
	ck_assert_int_eq(submit(&n), 0);
	rig_drain(&rig);
	ck_assert_uint_eq(n.req.status, NVME_INVALID_FIELD);
	for (unsigned i = 0; i <= DISK_MAX_IOV; i++)
		many[i] = (struct iovec){ buf + i, i < 512 };
	r = (struct disk_req){
		.op = DISK_READ, .blocks = 1, .iov = many, .n_iov = DISK_MAX_IOV + 1
	};
	ck_assert_uint_eq(rig_do(&rig, &r), NVME_INVALID_FIELD);
	r.n_iov = DISK_MAX_IOV; /* the last ones are empty */
	ck_assert_uint_eq(rig_do(&rig, &r), NVME_OK);
	r = (struct disk_req){ .op = DISK_PR_OUT };
	ck_assert_uint_eq(rig_do(&rig, &r), NVME_INVALID_OPCODE);
	rig_fini(&rig);
}
END_TEST

START_TEST(read_only_disks_are_not_written)
{
	static const enum disk_op ops[] = { DISK_WRITE, DISK_UNMAP, DISK_WRITE_ZEROES };
	struct disk_file_cfg cfg = { .name = "ro", .read_only = true };

	rig_init(&rig, RIG_FILE, 1);
	disk_queue_destroy(rig.q);
	disk_put(rig.disk);
	cfg.path = rig.path[0];
	ck_assert_int_eq(disk_file_open(&cfg, &rig.disk), 0);
	disk_info(rig.disk, &rig.info);
	ck_assert(rig.info.read_only);
	ck_assert_int_eq(disk_queue_create(rig.disk, rig.loop, DEPTH, &rig.q), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		ck_assert_uint_eq(rig_rw(&rig, ops[i], 0, buf, 1, 0), NVME_NS_WRITE_PROTECTED);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1, 0), NVME_OK);
	ck_assert_uint_eq(rig_rw(&rig, DISK_FLUSH, 0, NULL, 0, 0), NVME_OK);
	rig_fini(&rig);
}
END_TEST

/* A mapping the kernel cannot pin but anybody can copy; and none at all. */
START_TEST(memory_that_cannot_be_pinned)
{
	struct note n = make(DISK_WRITE, 0, 8);
	uintptr_t special = 0;
	char line[256];
	FILE *f = fopen("/proc/self/maps", "re");

	ck_assert_ptr_nonnull(f);
	while (!special && fgets(line, sizeof(line), f))
		if (strstr(line, "[vvar]"))
			ck_assert_int_eq(sscanf(line, "%lx", &special), 1);
	(void)fclose(f);
	ck_assert_uint_ne(special, 0);
	rig_init(&rig, RIG_DIRECT, DEPTH);
	n.iov.iov_base = (void *)special;
	ck_assert_int_eq(submit(&n), 0);
	rig_drain(&rig);
	ck_assert_uint_eq(n.req.status, NVME_OK);
	if (rig.disk->lim.addr_mask) { /* O_DIRECT works where the test runs */
		ck_assert_uint_eq(stat_of(DISK_N_FAULTS), 1);
		ck_assert_uint_eq(stat_of(DISK_N_BOUNCED), 1);
	}
	for (int i = 0; i < 2; i++) {
		n = make(i ? DISK_WRITE : DISK_READ, 0, 8);
		n.iov.iov_base = (void *)4096;
		ck_assert_int_eq(submit(&n), 0);
		rig_drain(&rig);
		ck_assert_uint_eq(n.req.status, NVME_INVALID_FIELD);
	}
	rig_fini(&rig);
}
END_TEST

/* ---- changes --------------------------------------------------------------------------------- */

static void count_fn(void *ctx)
{
	++*(int *)ctx;
}

START_TEST(changes_are_told)
{
	struct disk_info info;
	int told = 0;

	rig_init(&rig, RIG_FAULT, DEPTH); /* through the one in front */
	disk_watch(rig.disk, rig.loop, count_fn, &told);
	disk_info(rig.inner, &info);
	info.blocks /= 2;
	disk_set_info(rig.inner, &info);
	info.blocks /= 2;
	disk_set_info(rig.inner, &info);
	run_visits(20);
	ck_assert_int_eq(told, 1);
	disk_info(rig.disk, &info);
	ck_assert_uint_eq(info.blocks, rig.info.blocks / 4);
	ck_assert_uint_eq(info.generation, 1);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, info.blocks, buf, 1, 0), NVME_LBA_OUT_OF_RANGE);
	disk_set_gone(rig.inner);
	run_visits(20);
	ck_assert_int_eq(told, 2);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 0, buf, 1, 0), NVME_INVALID_NAMESPACE);
	disk_set_gone(rig.inner);
	disk_watch(rig.disk, rig.loop, NULL, NULL);
	disk_set_info(rig.inner, &info);
	run_visits(20);
	ck_assert_int_eq(told, 2);
	rig_fini(&rig);
}
END_TEST

START_TEST(files_that_grow_and_shrink)
{
	struct disk_info info;
	int told = 0;

	rig_init(&rig, RIG_FILE, DEPTH);
	disk_watch(rig.disk, rig.loop, count_fn, &told);
	ck_assert_int_eq(truncate(rig.path[0], 2 * RIG_BYTES + 100), 0);
	for (int i = 0; i < 4000 && !told; i++)
		run_ms(5);
	ck_assert_int_eq(told, 1);
	disk_info(rig.disk, &info);
	ck_assert_uint_eq(info.blocks, 2 * RIG_BYTES / 512);
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, info.blocks - 1, buf, 1, 0), NVME_OK);
	/* Before anybody noticed. */
	ck_assert_int_eq(truncate(rig.path[0], 1024), 0);
	ck_assert_uint_eq(rig_rw(&rig, DISK_READ, 1, buf, 4, 0), NVME_LBA_OUT_OF_RANGE);
	disk_watch(rig.disk, rig.loop, NULL, NULL);
	rig_fini(&rig);
}
END_TEST

/* ---- durability ------------------------------------------------------------------------------ */

/* A disk that writes down what it is told. */
static struct {
	enum disk_op op[64];
	uint32_t flags[64];
	unsigned n;
} seen;

static int spy_start(struct disk_part *p)
{
	ck_assert_uint_lt(seen.n, 64);
	seen.op[seen.n] = p->op;
	seen.flags[seen.n++] = p->flags;
	disk_part_later(p, NVME_OK);
	return 0;
}

static void spy_cancel(struct disk_part *p)
{
}

static void spy_destroy(struct disk *d)
{
	disk_fini(d);
	free(d);
}

static const struct disk_ops spy_ops = {
	.kind = "spy", .destroy = spy_destroy, .start = spy_start, .cancel = spy_cancel
};

static struct disk *open_spy(void)
{
	const struct disk_info info = { .blocks = 4096, .block_size = 512, .write_cache = true };
	const struct disk_limits lim = { .max_iov = DISK_MAX_IOV,
					 .max_bytes = 8192,
					 .zeroes = true };
	struct disk *d = calloc(1, sizeof(*d));

	ck_assert_ptr_nonnull(d);
	ck_assert_int_eq(disk_init(d, &spy_ops, "spy", &info, &lim), 0);
	return d;
}

/* FUA goes with every part of a write, on every member; a flush goes to each member. */
START_TEST(fua_and_flush_reach_the_device)
{
	struct disk *m[2] = { open_spy(), open_spy() }, *stripe;

	rig_init(&rig, RIG_RAM, 1);
	disk_queue_destroy(rig.q);
	disk_put(rig.disk);
	ck_assert_int_eq(disk_stripe_open("s", m, 2, 4096, &stripe), 0);
	ck_assert_int_eq(disk_fault_open(stripe, &rig.disk), 0);
	disk_info(rig.disk, &rig.info);
	ck_assert(rig.info.write_cache);
	ck_assert_int_eq(disk_queue_create(rig.disk, rig.loop, DEPTH, &rig.q), 0);
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 1, buf, 40, DISK_FUA), NVME_OK);
	ck_assert_uint_ge(seen.n, 6);
	for (unsigned i = 0; i < seen.n; i++)
		ck_assert(seen.op[i] == DISK_WRITE && seen.flags[i] == DISK_FUA);
	seen.n = 0;
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE, 1, buf, 40, 0), NVME_OK);
	for (unsigned i = 0; i < seen.n; i++)
		ck_assert_uint_eq(seen.flags[i], 0);
	seen.n = 0;
	ck_assert_uint_eq(rig_rw(&rig, DISK_WRITE_ZEROES, 0, NULL, 16, DISK_FUA), NVME_OK);
	ck_assert(seen.n == 2 && seen.flags[0] == DISK_FUA && seen.flags[1] == DISK_FUA);
	seen.n = 0;
	ck_assert_uint_eq(rig_rw(&rig, DISK_FLUSH, 0, NULL, 0, 0), NVME_OK);
	ck_assert(seen.n == 2 && seen.op[0] == DISK_FLUSH && seen.op[1] == DISK_FLUSH);
	rig_fini(&rig);
}
END_TEST

START_TEST(bad_disks_are_not_opened)
{
	struct disk_file_cfg cfg = { .name = "x", .path = "/nonexistent/file" };
	struct disk_nvme_cfg ng = { .name = "x", .path = "/dev/null" };
	struct disk *d, *m[2];

	ck_assert_int_eq(disk_file_open(&cfg, &d), -ENOENT);
	cfg.path = "/dev/null";
	ck_assert_int_eq(disk_file_open(&cfg, &d), -ENOTBLK);
	ck_assert_int_eq(disk_nvme_open(&ng, &d), -EINVAL);
	ck_assert_int_eq(disk_ram_open("r", 1 << 20, 513, &d), -EINVAL);
	ck_assert_int_eq(disk_ram_open("r", 100, 512, &d), -EINVAL);
	ck_assert_int_eq(disk_null_open("n", 0, &d), -EINVAL);
	ck_assert_int_eq(disk_ram_open("a", 1 << 20, 512, &m[0]), 0);
	ck_assert_int_eq(disk_ram_open("b", 1 << 20, 4096, &m[1]), 0);
	ck_assert_int_eq(disk_stripe_open("s", m, 2, 4096, &d), -EINVAL);
	ck_assert_int_eq(disk_stripe_open("s", m, 1, 4096, &d), -EINVAL);
	disk_put(m[1]);
	ck_assert_int_eq(disk_ram_open("b", 1 << 20, 512, &m[1]), 0);
	ck_assert_int_eq(disk_stripe_open("s", m, 2, 1000, &d), -EINVAL);
	ck_assert_int_eq(disk_stripe_open("s", m, 2, 0, &d), -EINVAL);
	ck_assert_int_eq(disk_stripe_open("s", m, 2, 2u << 20, &d), -EINVAL);
	disk_put(m[0]);
	disk_put(m[1]);
}
END_TEST

UNIT_MAIN("storage/disk_queue", depth_is_a_limit, depth_of_a_queue, done_may_do_everything,
	  time_outs_end_requests, delays_delay, nothing_touches_memory_after_done,
	  media_errors_stay_where_they_are, parts_that_fail, nonsense_is_refused,
	  read_only_disks_are_not_written, memory_that_cannot_be_pinned, changes_are_told,
	  files_that_grow_and_shrink, fua_and_flush_reach_the_device, bad_disks_are_not_opened)
