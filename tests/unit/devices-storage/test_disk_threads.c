/* SPDX-License-Identifier: MIT */
/* One disk, a queue per thread, while its size changes, somebody watches and others look at it. */
#include <pthread.h>
#include <string.h>

#include "disk_priv.h"
#include "gmem.h"
#include "inspect.h"
#include "unit.h"

#define THREADS 3
#define SHARE 1024u /* blocks of each */
#define REQUESTS 3000

struct worker {
	pthread_t thread;
	struct loop *loop;
	struct disk *disk;
	struct disk_queue *q;
	unsigned idx;
	int in_flight, bad;
	struct slot {
		struct disk_req req;
		struct iovec iov;
		uint8_t buf[2048];
		struct worker *w;
		int left;
		uint8_t val;
	} slot[4];
};

static void on_done(struct disk_req *req);

static void go(struct slot *s)
{
	bool write = s->left & 1;

	if (write)
		memset(s->buf, ++s->val, sizeof(s->buf));
	s->iov = (struct iovec){ s->buf, sizeof(s->buf) };
	s->req = (struct disk_req){ .op = write ? DISK_WRITE : DISK_READ,
				    .lba = s->w->idx * SHARE + (uint64_t)(s - s->w->slot) * 4,
				    .blocks = 4,
				    .iov = &s->iov,
				    .n_iov = 1,
				    .done = on_done,
				    .ctx = s };
	s->w->bad += disk_submit(s->w->q, &s->req) != 0;
}

static void on_done(struct disk_req *req)
{
	struct slot *s = req->ctx;

	s->w->bad += req->status != NVME_OK || s->buf[0] != s->val || s->buf[2047] != s->val;
	if (--s->left)
		go(s);
	else if (--s->w->in_flight == 0)
		loop_stop(s->w->loop);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	w->in_flight = (int)ARRAY_SIZE(w->slot);
	for (size_t i = 0; i < ARRAY_SIZE(w->slot); i++) {
		w->slot[i].w = w;
		w->slot[i].left = REQUESTS;
		w->slot[i].left |= 1; /* the first one writes */
		go(&w->slot[i]);
	}
	w->bad += loop_run(w->loop) != 0;
	disk_queue_destroy(w->q);
	return NULL;
}

static void start(struct worker *w, unsigned idx, struct disk *d)
{
	w->idx = idx;
	w->disk = d;
	ck_assert_int_eq(loop_create_io(8, false, &w->loop), 0);
	ck_assert_int_eq(disk_queue_create(d, w->loop, 8, &w->q), 0);
	ck_assert_int_eq(pthread_create(&w->thread, NULL, work, w), 0);
}

static void look(struct disk *d)
{
	const struct inspect_request req = { .path = "", .depth = 8, .max = SENS_SAFE };
	struct inspect_tree tree;
	struct disk_info info;

	disk_info(d, &info);
	/* Written together: the halves always fit. */
	ck_assert_uint_eq(info.physical_block_size, (uint32_t)(info.blocks & 0xffff));
	info.blocks ^= 1;
	info.physical_block_size = (uint32_t)(info.blocks & 0xffff);
	disk_set_info(d, &info);
	ck_assert_int_eq(inspect_run(&req, disk_inspect, d, 1u << 20, &tree), 0);
	inspect_tree_fini(&tree);
}

static void count_fn(void *ctx)
{
	++*(int *)ctx;
}

START_TEST(queues_of_many_threads)
{
	static struct worker w[THREADS];
	struct disk_info info;
	struct loop *loop;
	struct disk *d;
	int told = 0;

	ck_assert_int_eq(gm_install_fault_handler(), 0);
	ck_assert_int_eq(disk_ram_open("ram", 1u << 26, 512, &d), 0);
	disk_info(d, &info);
	info.physical_block_size = (uint32_t)(info.blocks & 0xffff);
	disk_set_info(d, &info);
	ck_assert_int_eq(loop_create(8, &loop), 0);
	disk_watch(d, loop, count_fn, &told);
	for (unsigned i = 0; i < THREADS; i++)
		start(&w[i], i, d);
	for (int i = 0; i < 500; i++) {
		look(d);
		loop_poll(loop);
	}
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
		loop_destroy(w[i].loop);
		ck_assert_int_eq(w[i].bad, 0);
	}
	ck_assert_int_ge(told, 1);
	disk_watch(d, loop, NULL, NULL);
	loop_poll(loop);
	disk_put(d);
	loop_destroy(loop);
}
END_TEST

UNIT_MAIN("storage/disk_threads", queues_of_many_threads)
