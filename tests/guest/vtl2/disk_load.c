/* SPDX-License-Identifier: MIT */
/*
 * Random reads of a disk for some time, for the benchmark: the same program in VTL2, on the disk
 * itself, and in VTL0, on what the paravisor makes of it.
 *
 *   disk_load PATH DEPTH BYTES SECONDS
 *
 * Prints one line: "disk_load PATH DEPTH BYTES requests N ms T".
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH 64u
#define MAX_BYTES (1u << 20)

struct load {
	struct io_uring ring;
	uint8_t *mem;
	uint64_t places; /* of @bytes each */
	int fd;
	unsigned depth, bytes;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t next_random(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x >> 8;
}

static int fail(const char *what, int err)
{
	(void)fprintf(stderr, "disk_load: %s: %s\n", what, strerror(err));
	return 1;
}

static void put(struct load *l, uint64_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

	io_uring_prep_read(sqe, l->fd, l->mem + slot * l->bytes, l->bytes,
			   next_random() % l->places * l->bytes);
	io_uring_sqe_set_data64(sqe, slot);
}

static int set_up(struct load *l, const char *path)
{
	off_t size;
	int r;

	l->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (l->fd < 0)
		return fail(path, errno);
	size = lseek(l->fd, 0, SEEK_END);
	if (size < (off_t)l->bytes)
		return fail(path, ENOSPC);
	l->places = (uint64_t)size / l->bytes;
	l->mem = mmap(NULL, (size_t)l->depth * l->bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (l->mem == MAP_FAILED)
		return fail("memory", errno);
	r = io_uring_queue_init(MAX_DEPTH, &l->ring, 0);
	return r < 0 ? fail("io_uring", -r) : 0;
}

/* Returns the number of requests, or -errno of one that failed. */
static int64_t run(struct load *l, uint64_t end)
{
	unsigned busy = l->depth;
	int64_t n = 0;

	for (unsigned i = 0; i < l->depth; i++)
		put(l, i);
	while (busy) {
		struct io_uring_cqe *cqe;
		int r = io_uring_submit_and_wait(&l->ring, 1);

		while (r >= 0 && io_uring_peek_cqe(&l->ring, &cqe) == 0) {
			uint64_t slot = cqe->user_data;

			if (cqe->res != (int)l->bytes)
				return cqe->res < 0 ? cqe->res : -EIO;
			io_uring_cqe_seen(&l->ring, cqe);
			n++;
			if (now_ms() < end)
				put(l, slot);
			else
				busy--;
		}
		if (r < 0 && r != -EINTR)
			return r;
	}
	return n;
}

int main(int argc, char **argv)
{
	struct load l = { 0 };
	uint64_t t0;
	int64_t n;

	if (argc != 5) {
		(void)fprintf(stderr, "usage: disk_load PATH DEPTH BYTES SECONDS\n");
		return 2;
	}
	l.depth = (unsigned)strtoul(argv[2], NULL, 10);
	l.bytes = (unsigned)strtoul(argv[3], NULL, 10);
	if (!l.depth || l.depth > MAX_DEPTH || !l.bytes || l.bytes > MAX_BYTES || l.bytes % 512)
		return fail("depth or bytes", EINVAL);
	if (set_up(&l, argv[1]) != 0)
		return 1;
	t0 = now_ms();
	n = run(&l, t0 + strtoul(argv[4], NULL, 10) * 1000);
	if (n < 0)
		return fail(argv[1], (int)-n);
	(void)printf("disk_load %s %u %u requests %lld ms %llu\n", argv[1], l.depth, l.bytes,
		     (long long)n, (unsigned long long)(now_ms() - t0));
	return 0;
}
