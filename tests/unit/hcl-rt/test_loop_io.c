/* SPDX-License-Identifier: MIT */
/* Requests of the loop: each test runs on a ring with room for commands, a plain one, and epoll. */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit.h"

#define MS 1000000ull
#define ENTRIES 8

enum { BIG, PLAIN, EPOLL, N_BACKENDS };

/* NULL: this machine has no io_uring, or none with big entries. */
static struct loop *make(int which)
{
	struct loop *loop;
	int r = which == EPOLL ? loop_create_epoll(&loop)
			       : loop_create_io(ENTRIES, which == BIG, &loop);

	ck_assert_int_eq(r, 0);
	if ((which == EPOLL) == (strcmp(loop_backend(loop), "epoll") == 0))
		return loop;
	loop_destroy(loop);
	return NULL;
}

struct probe {
	struct loop_io io;
	int32_t res;
	int done;
	int again; /* restarts left */
	int fd;
	struct iovec iov;
	bool stop;
};

static void on_done(struct loop_io *io, int32_t res, uint64_t big)
{
	struct probe *p = container_of(io, struct probe, io);

	p->res = res;
	p->done++;
	if (p->again > 0) {
		p->again--;
		ck_assert_int_eq(loop_io_readv(io->loop, io, p->fd, &p->iov, 1, 0, 0), 0);
	} else if (p->stop) {
		loop_stop(io->loop);
	}
}

static struct probe new_probe(void)
{
	return (struct probe){ .io.fn = on_done };
}

static void wait_done(struct loop *loop, const struct probe *p)
{
	for (int i = 0; i < 100000 && !p->done; i++)
		ck_assert_int_eq(loop_wait(loop), 0);
	ck_assert_int_eq(p->done, 1);
}

/* Is it done within this many visits that do not sleep? */
static bool done_soon(struct loop *loop, const struct probe *p)
{
	for (int i = 0; i < 50 && !p->done; i++) {
		loop_poll(loop);
		(void)usleep(500);
	}
	return p->done;
}

static int temp_file(void)
{
	int fd = memfd_create("loop-io", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void fill(uint8_t *buf, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)(i * 7 + seed + (i >> 8));
}

/* ---- what the operations do ------------------------------------------------------------------ */

START_TEST(files_are_written_and_read)
{
	struct loop *loop = make(_i);
	struct probe p = new_probe();
	uint8_t out[3000], in[3000] = { 0 };
	struct iovec w[3] = { { out, 1 }, { out + 1, 1999 }, { out + 2000, 1000 } };
	struct iovec r[2] = { { in, 2500 }, { in + 2500, 500 } };
	int fd;

	if (!loop)
		return;
	fd = temp_file();
	fill(out, sizeof(out), 1);
	ck_assert_int_eq(loop_io_writev(loop, &p.io, fd, w, 3, 777, RWF_DSYNC), 0);
	ck_assert(loop_pending(loop));
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, 3000);
	p = new_probe();
	ck_assert_int_eq(loop_io_fdatasync(loop, &p.io, fd), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, 0);
	p = new_probe();
	ck_assert_int_eq(loop_io_readv(loop, &p.io, fd, r, 2, 777, 0), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, 3000);
	ck_assert_mem_eq(in, out, 3000);
	p = new_probe();
	ck_assert_int_eq(loop_io_readv(loop, &p.io, fd, r, 2, 3000, 0), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, 777); /* up to the end */
	(void)close(fd);
	loop_destroy(loop);
}
END_TEST

START_TEST(fallocate_grows_and_punches)
{
	struct loop *loop = make(_i);
	struct probe p = new_probe();
	static uint8_t buf[8192];
	struct stat st;
	int fd;

	if (!loop)
		return;
	fd = temp_file();
	ck_assert_int_eq(loop_io_fallocate(loop, &p.io, fd, 0, 4096, 8192), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 12288);
	fill(buf, sizeof(buf), 1);
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	p = new_probe();
	ck_assert_int_eq(loop_io_fallocate(loop, &p.io, fd,
					   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096),
			 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, 0);
	ck_assert_int_eq(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	ck_assert_int_eq(buf[4095], (uint8_t)(4095 * 7 + 1 + 15));
	for (int i = 4096; i < 8192; i++)
		ck_assert_int_eq(buf[i], 0);
	p = new_probe();
	ck_assert_int_eq(loop_io_discard(loop, &p.io, fd, 0, 4096), 0);
	wait_done(loop, &p);
	ck_assert_int_lt(p.res, 0); /* not a block device */
	(void)close(fd);
	loop_destroy(loop);
}
END_TEST

START_TEST(errors_come_as_results)
{
	struct loop *loop = make(_i);
	struct probe p = new_probe();
	char c;
	struct iovec iov = { &c, 1 };
	struct iovec wild = { (void *)8, 1 }; /* nothing is mapped there */
	int fd;

	if (!loop)
		return;
	ck_assert_int_eq(loop_io_readv(loop, &p.io, -1, &iov, 1, 0, 0), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, -EBADF);
	fd = temp_file();
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	p = new_probe();
	ck_assert_int_eq(loop_io_readv(loop, &p.io, fd, &wild, 1, 0, 0), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, -EFAULT);
	p = new_probe();
	ck_assert_int_eq(loop_io_readv(loop, &p.io, fd, &iov, 5000, 0, 0), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, -EINVAL);
	p = new_probe();
	ck_assert_int_eq(loop_io_fallocate(loop, &p.io, fd, -1, 0, 1), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, -EOPNOTSUPP);
	(void)close(fd);
	loop_destroy(loop);
}
END_TEST

START_TEST(pipes_have_no_position)
{
	struct loop *loop = make(_i);
	struct probe p = new_probe();
	char in[8];
	struct iovec w = { (void *)(uintptr_t) "hello", 5 }, r = { in, sizeof(in) };
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(loop_io_writev(loop, &p.io, fds[1], &w, 1, 4096, 0), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, 5);
	p = new_probe();
	ck_assert_int_eq(loop_io_readv(loop, &p.io, fds[0], &r, 1, 4096, 0), 0);
	wait_done(loop, &p);
	ck_assert_int_eq(p.res, 5);
	ck_assert_mem_eq(in, "hello", 5);
	(void)close(fds[0]);
	(void)close(fds[1]);
	loop_destroy(loop);
}
END_TEST

/* What a socket holds, asked by command 0 of sockets. Its answer is the result. */
START_TEST(commands_need_a_big_ring)
{
	struct loop *loop = make(_i);
	struct probe p = new_probe();
	uint8_t cmd[LOOP_IO_CMD_BYTES] = { 0 };
	int fds[2], r;

	if (!loop)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	r = loop_io_cmd(loop, &p.io, fds[0], 0, cmd, sizeof(cmd));
	if (_i != BIG) {
		ck_assert_int_eq(r, -EOPNOTSUPP);
		ck_assert(!p.io.busy);
	} else {
		ck_assert_int_eq(r, 0);
		wait_done(loop, &p);
		ck_assert(p.res == 3 || p.res == -EOPNOTSUPP); /* kernels before 6.7 */
		p = new_probe();
		ck_assert_int_eq(loop_io_cmd(loop, &p.io, fds[0], 0x7777, cmd, 1), 0);
		wait_done(loop, &p);
		ck_assert_int_eq(p.res, -EOPNOTSUPP);
	}
	(void)close(fds[0]);
	(void)close(fds[1]);
	loop_destroy(loop);
}
END_TEST

/* ---- in flight ------------------------------------------------------------------------------- */

START_TEST(requests_wait_and_are_cancelled)
{
	struct loop *loop = _i == EPOLL ? NULL : make(_i); /* epoll would wait inside the call */
	struct probe p = new_probe(), q = new_probe();
	char a, b;
	struct iovec ia = { &a, 1 }, ib = { &b, 1 };
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(loop_io_readv(loop, &p.io, fds[0], &ia, 1, 0, 0), 0);
	ck_assert(!done_soon(loop, &p));
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	wait_done(loop, &p);
	ck_assert_int_eq(a, 'x');
	p = new_probe();
	ck_assert_int_eq(loop_io_readv(loop, &p.io, fds[0], &ia, 1, 0, 0), 0);
	ck_assert_int_eq(loop_io_readv(loop, &q.io, fds[0], &ib, 1, 0, 0), 0);
	ck_assert(!done_soon(loop, &p));
	loop_io_cancel(&p.io);
	ck_assert(p.io.busy);
	wait_done(loop, &p);
	ck_assert(p.res == -ECANCELED || p.res == -EINTR);
	ck_assert_int_eq(q.done, 0);
	loop_io_cancel(&p.io); /* not in flight: nothing */
	ck_assert_int_eq(write(fds[1], "y", 1), 1);
	wait_done(loop, &q);
	ck_assert_int_eq(b, 'y');
	/* Those of a loop that goes away are never heard of again. */
	p = new_probe();
	ck_assert_int_eq(loop_io_readv(loop, &p.io, fds[0], &ia, 1, 0, 0), 0);
	ck_assert(!done_soon(loop, &p));
	loop_destroy(loop);
	ck_assert_int_eq(p.done, 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

#define MANY 500

START_TEST(many_are_in_flight)
{
	static struct probe p[MANY];
	static char buf[MANY][2];
	struct loop *loop = _i == EPOLL ? NULL : make(_i);
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	for (int i = 0; i < MANY; i++) {
		p[i] = new_probe();
		p[i].iov = (struct iovec){ buf[i], 1 };
		ck_assert_int_eq(loop_io_readv(loop, &p[i].io, fds[0], &p[i].iov, 1, 0, 0), 0);
	}
	loop_poll(loop);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(p[i].done, 0);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(write(fds[1], &"0123456789"[i % 10], 1), 1);
	for (int i = 0; i < MANY; i++) {
		while (!p[i].done)
			ck_assert_int_eq(loop_wait(loop), 0);
		ck_assert_int_eq(p[i].res, 1);
	}
	for (int i = 0; i < 100 && loop_pending(loop); i++)
		loop_poll(loop);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(p[i].done, 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
	loop_destroy(loop);
}
END_TEST

/* Nothing reaches the kernel before the visit ends, and then all of it does. */
START_TEST(requests_go_in_one_batch)
{
	struct probe p[ENTRIES - 2];
	struct loop *loop = make(_i);
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct stat st;
	int fd;

	if (!loop)
		return;
	fd = temp_file();
	loop_poll(loop);
	for (int i = 0; i < ENTRIES - 2; i++) {
		p[i] = new_probe();
		ck_assert_int_eq(loop_io_writev(loop, &p[i].io, fd, &iov, 1, (uint64_t)i, 0), 0);
		ck_assert_int_eq(p[i].done, 0);
	}
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, _i == EPOLL ? ENTRIES - 2 : 0);
	ck_assert(loop_pending(loop));
	loop_poll(loop);
	for (int i = 0; i < ENTRIES - 2; i++)
		ck_assert(done_soon(loop, &p[i]));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, ENTRIES - 2);
	(void)close(fd);
	loop_destroy(loop);
}
END_TEST

static void count_fn(void *ctx)
{
	++*(int *)ctx;
}

static void stop_fn(void *ctx)
{
	loop_stop(ctx);
}

struct repost {
	struct loop_work work;
	struct loop *loop;
	int n;
};

static void repost_fn(void *ctx)
{
	struct repost *r = ctx;

	r->n++;
	loop_post(r->loop, &r->work);
}

/* Requests that start themselves anew do not keep timers and messages waiting, nor these them. */
START_TEST(nothing_starves)
{
	struct loop *loop = make(_i);
	struct probe p[4];
	struct loop_timer often, end;
	struct repost post = { .work = { .fn = repost_fn, .ctx = &post }, .loop = loop };
	char buf[4];
	int fired = 0, fd;

	if (!loop)
		return;
	fd = temp_file();
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	for (int i = 0; i < 4; i++) {
		p[i] = new_probe();
		p[i].fd = fd;
		p[i].again = 1 << 30;
		p[i].iov = (struct iovec){ buf + i, 1 };
		ck_assert_int_eq(loop_io_readv(loop, &p[i].io, fd, &p[i].iov, 1, 0, 0), 0);
	}
	loop_timer_init(&often, loop, count_fn, &fired);
	loop_timer_arm(&often, loop_now_ns() + 20 * MS);
	loop_timer_init(&end, loop, stop_fn, loop);
	loop_timer_arm(&end, loop_now_ns() + 60 * MS);
	loop_post(loop, &post.work);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(fired, 1);
	ck_assert_int_gt(post.n, 10);
	for (int i = 0; i < 4; i++)
		ck_assert_int_gt(p[i].done, 10);
	loop_destroy(loop);
	(void)close(fd);
}
END_TEST

/* ---- a kernel that takes nothing ------------------------------------------------------------- */

static int refuse_submissions(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBUSY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0 ? -errno : 0;
}

START_TEST(busy_kernel_is_reported)
{
	struct loop *loop = _i == EPOLL ? NULL : make(_i);
	struct probe p[ENTRIES + 1];
	char c;
	struct iovec iov = { &c, 1 };
	int fd, n = 0, r = 0;

	if (!loop)
		return;
	fd = temp_file();
	loop_poll(loop);
	ck_assert_int_eq(refuse_submissions(), 0);
	while (n < ENTRIES + 1 && r == 0) {
		p[n] = new_probe();
		r = loop_io_readv(loop, &p[n].io, fd, &iov, 1, 0, 0);
		n++;
	}
	ck_assert_int_eq(n, ENTRIES + 1);
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert(!p[ENTRIES].io.busy);
	ck_assert(p[0].io.busy);
	loop_io_cancel(&p[0].io); /* may not get through; harmless */
	loop_poll(loop);
	ck_assert(loop_pending(loop));
	loop_destroy(loop);
	(void)close(fd);
}
END_TEST

START_TEST(memory_is_told)
{
	struct loop *loop = make(_i), *plain;
	const size_t entry = _i == BIG ? 128 : 64, done = _i == BIG ? 32 : 16;

	if (!loop)
		return;
	if (_i == EPOLL) {
		ck_assert_uint_eq(loop_memory(loop), 0);
	} else {
		ck_assert_uint_ge(loop_memory(loop), ENTRIES * entry + 4 * ENTRIES * done);
		ck_assert_uint_le(loop_memory(loop), 8192);
	}
	loop_destroy(loop);
	ck_assert_int_eq(loop_create_io(12, true, &plain), -EINVAL);
	ck_assert_int_eq(loop_create_io(4, false, &plain), -EINVAL);
}
END_TEST

UNIT_MAIN_VARIANTS("rt/loop_io", N_BACKENDS, files_are_written_and_read,
		   fallocate_grows_and_punches, errors_come_as_results, pipes_have_no_position,
		   commands_need_a_big_ring, requests_wait_and_are_cancelled, many_are_in_flight,
		   requests_go_in_one_batch, nothing_starves, busy_kernel_is_reported,
		   memory_is_told)
