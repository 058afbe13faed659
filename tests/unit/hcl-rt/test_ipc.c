/* SPDX-License-Identifier: MIT */
/* Messages between roles: both ends on one loop, or one end and raw bytes. */
#include "ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "le.h"
#include "unit.h"

enum { MSG_A = 1, MSG_ONCE = 2, MSG_BIG = 3, MSG_BAD = 4, MSG_DESTROY = 5, MSG_ECHO = 6 };

struct end {
	struct ipc *ipc;
	unsigned int served, gone;
	int err;
	uint64_t last_id;
	size_t last_len, total;
	uint8_t last_byte;
	bool destroy_when_gone;
};

static struct loop *loop;

static int note(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct end *e = ctx;

	e->served++;
	e->last_id = id;
	e->last_len = len;
	e->total += len;
	e->last_byte = len ? body[len - 1] : 0;
	return 0;
}

static int refuse(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	(void)note(ctx, id, body, len);
	return -EAGAIN; /* any error ends the connection, also one that means "later" elsewhere */
}

static int destroy(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct end *e = ctx;

	(void)note(ctx, id, body, len);
	ipc_destroy(e->ipc);
	e->ipc = NULL;
	return 0;
}

static int echo(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct end *e = ctx;

	(void)note(ctx, id, body, len);
	return ipc_send(e->ipc, MSG_A, id, body, len);
}

static const struct ipc_permit permits[] = {
	{ MSG_A, 0, 0, 16, note },
	{ MSG_ONCE, IPC_ONCE, 4, 4, note },
	{ MSG_BIG, 0, 0, IPC_BODY_MAX, note },
	{ MSG_BAD, 0, 0, 16, refuse },
	{ MSG_DESTROY, 0, 0, 16, destroy },
	{ MSG_ECHO, 0, 1, 16, echo },
};

static void on_gone(void *ctx, int err)
{
	struct end *e = ctx;

	e->gone++;
	e->err = err;
	if (e->destroy_when_gone) {
		ipc_destroy(e->ipc);
		e->ipc = NULL;
	}
}

static void open_end(struct end *e, int fd)
{
	struct ipc_cfg cfg = {
		.loop = loop,
		.fd = fd,
		.permits = permits,
		.n_permits = ARRAY_SIZE(permits),
		.gone = on_gone,
		.ctx = e,
	};

	*e = (struct end){ 0 };
	ck_assert_int_eq(ipc_create(&cfg, &e->ipc), 0);
}

/* @variant: the loop's backend */
static void open_pair(struct end *a, int *ret_fd, int variant)
{
	int fd[2];

	ck_assert_int_eq(variant ? loop_create_epoll(&loop) : loop_create(16, &loop), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	open_end(a, fd[0]);
	*ret_fd = fd[1];
}

static void spin(void)
{
	for (int i = 0; i < 50; i++) {
		loop_poll(loop);
		(void)usleep(100);
	}
}

static void finish(struct end *e, int fd)
{
	ipc_destroy(e->ipc);
	if (fd >= 0)
		(void)close(fd);
	loop_destroy(loop);
}

/* A header and @len bytes of @fill. */
static size_t frame(uint8_t *buf, uint32_t type, uint64_t id, uint32_t len, uint8_t fill)
{
	le32_store(buf, type);
	le32_store(buf + 4, len);
	le64_store(buf + 8, id);
	memset(buf + 16, fill, len);
	return 16 + len;
}

static void put(int fd, const void *buf, size_t len)
{
	ck_assert_int_eq(write(fd, buf, len), (ssize_t)len);
}

START_TEST(both_ends)
{
	static uint8_t big[IPC_BODY_MAX];
	struct end a, b;
	int fd;

	open_pair(&a, &fd, _i);
	open_end(&b, fd);
	memset(big, 0x5a, sizeof(big));
	ck_assert_int_eq(ipc_send(a.ipc, MSG_A, 7, "x", 1), 0);
	ck_assert_int_eq(ipc_send(a.ipc, MSG_BIG, UINT64_MAX, big, sizeof(big)), 0);
	ck_assert_uint_gt(ipc_queued(a.ipc), 0);
	ck_assert_int_eq(ipc_send(a.ipc, MSG_A, 9, NULL, 0), 0);
	ck_assert_int_eq(ipc_send(b.ipc, MSG_ECHO, 11, "hello", 5), 0);
	for (int i = 0; i < 100 && (b.served < 3 || b.last_id != 11); i++)
		spin();
	ck_assert_uint_eq(b.served, 4);
	ck_assert_uint_eq(b.total, 1 + sizeof(big) + 5);
	ck_assert_uint_eq(a.served, 1);
	ck_assert_uint_eq(ipc_queued(a.ipc), 0);
	ck_assert_uint_eq(a.gone + b.gone, 0);
	ipc_destroy(a.ipc);
	a.ipc = NULL;
	spin();
	ck_assert_uint_eq(b.gone, 1);
	ck_assert_int_eq(b.err, -EPIPE);
	ck_assert_int_eq(ipc_send(b.ipc, MSG_A, 0, NULL, 0), -EPIPE);
	finish(&b, -1);
}
END_TEST

START_TEST(queue_has_a_limit)
{
	static uint8_t big[IPC_BODY_MAX];
	struct end a;
	unsigned int n = 0;
	size_t before;
	int fd, r = 0;

	open_pair(&a, &fd, _i);
	ck_assert_int_eq(ipc_send(a.ipc, MSG_BIG, 0, big, sizeof(big) + 1), -ENOSPC);
	while (n < 10 && r == 0) {
		r = ipc_send(a.ipc, MSG_BIG, 0, big, sizeof(big));
		n += r == 0;
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_uint_ge(n, 1);
	before = ipc_queued(a.ipc);
	ck_assert_uint_le(before, IPC_QUEUE_MAX);
	/* What was refused left nothing behind, and less still fits. */
	ck_assert_int_eq(ipc_send(a.ipc, MSG_A, 0, "abc", 3), 0);
	ck_assert_uint_eq(ipc_queued(a.ipc), before + 19);
	finish(&a, fd);
}
END_TEST

START_TEST(bytes_one_by_one)
{
	uint8_t buf[64];
	struct end a;
	size_t n;
	int fd;

	open_pair(&a, &fd, _i);
	n = frame(buf, MSG_A, 3, 5, 0x11);
	n += frame(buf + n, MSG_A, 4, 0, 0);
	for (size_t i = 0; i < n; i++) {
		put(fd, buf + i, 1);
		loop_poll(loop);
		(void)usleep(200);
		loop_poll(loop);
	}
	spin();
	ck_assert_uint_eq(a.served, 2);
	ck_assert_uint_eq(a.last_id, 4);
	ck_assert_uint_eq(a.total, 5);
	ck_assert_uint_eq(a.gone, 0);
	finish(&a, fd);
}
END_TEST

/* Each ends the connection with the error of a bad message, after @served good ones. */
START_TEST(what_is_not_permitted)
{
	static const struct {
		uint32_t type, len;
		unsigned int times, served;
	} cases[] = {
		{ 0, 0, 1, 0 },
		{ 99, 0, 1, 0 },
		{ MSG_A, 17, 1, 0 },
		{ MSG_ONCE, 3, 1, 0 },
		{ MSG_ONCE, 5, 1, 0 },
		{ MSG_ONCE, 4, 2, 1 },
		{ MSG_BIG, UINT32_MAX, 1, 0 },
		{ MSG_BIG, IPC_BODY_MAX + 1, 1, 0 },
	};
	uint8_t buf[64] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct end a;
		int fd;

		open_pair(&a, &fd, _i);
		a.destroy_when_gone = true;
		for (unsigned int k = 0; k < cases[i].times; k++) {
			(void)frame(buf, cases[i].type, 1, MIN(cases[i].len, 32u), 1);
			le32_store(buf + 4, cases[i].len);
			put(fd, buf, 16 + MIN(cases[i].len, 32u));
		}
		spin();
		ck_assert_uint_eq(a.gone, 1);
		ck_assert_int_eq(a.err, -EBADMSG);
		ck_assert_uint_eq(a.served, cases[i].served);
		finish(&a, fd);
	}
}
END_TEST

START_TEST(ends_in_the_middle)
{
	uint8_t buf[64];

	for (size_t cut = 0; cut <= 21; cut++) {
		struct end a;
		int fd;

		open_pair(&a, &fd, _i);
		(void)frame(buf, MSG_A, 1, 5, 1);
		put(fd, buf, cut);
		ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
		spin();
		ck_assert_uint_eq(a.gone, 1);
		ck_assert_int_eq(a.err, cut == 0 || cut == 21 ? -EPIPE : -EBADMSG);
		ck_assert_uint_eq(a.served, cut == 21);
		finish(&a, fd);
	}
}
END_TEST

START_TEST(handlers_may_refuse_or_destroy)
{
	uint8_t buf[64];
	struct end a;
	size_t n;
	int fd;

	open_pair(&a, &fd, _i);
	n = frame(buf, MSG_BAD, 1, 1, 1);
	n += frame(buf + n, MSG_A, 2, 1, 1);
	put(fd, buf, n);
	spin();
	ck_assert_uint_eq(a.served, 1);
	ck_assert_uint_eq(a.gone, 1);
	ck_assert_int_eq(a.err, -EAGAIN);
	finish(&a, fd);

	open_pair(&a, &fd, _i);
	n = frame(buf, MSG_DESTROY, 1, 1, 1);
	n += frame(buf + n, MSG_A, 2, 1, 1);
	put(fd, buf, n);
	spin();
	ck_assert_uint_eq(a.served, 1);
	ck_assert_uint_eq(a.gone, 0);
	ck_assert_ptr_null(a.ipc);
	finish(&a, fd);
}
END_TEST

/* Last words are read although nothing can be sent any more. */
START_TEST(last_words)
{
	uint8_t buf[64];
	struct end a;
	int fd, r;

	open_pair(&a, &fd, _i);
	put(fd, buf, frame(buf, MSG_A, 42, 3, 1));
	(void)close(fd);
	r = ipc_send(a.ipc, MSG_A, 0, "x", 1);
	ck_assert_int_eq(r, -EPIPE);
	ck_assert_uint_eq(a.gone, 0); /* told by the loop, never from within a call */
	spin();
	ck_assert_uint_eq(a.served, 1);
	ck_assert_uint_eq(a.last_id, 42);
	ck_assert_uint_eq(a.gone, 1);
	finish(&a, -1);
}
END_TEST

UNIT_MAIN_VARIANTS("rt/ipc", 2, both_ends, queue_has_a_limit, bytes_one_by_one,
		   what_is_not_permitted, ends_in_the_middle, handlers_may_refuse_or_destroy,
		   last_words)
