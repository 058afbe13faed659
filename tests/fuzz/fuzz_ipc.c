/* SPDX-License-Identifier: MIT */
/*
 * Messages between two roles, the other role being the input: it comes in pieces, with answers in
 * between. Handlers only ever see what the table permits, nothing is served after the end, and the
 * end is told once.
 */
#include "fuzz.h"

#include "bug.h"
#include "ipc.h"
#include "rd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { T_SMALL = 1, T_ONCE, T_ANY, T_ANSWER };

static struct loop *loop;
static struct ipc *ipc;
static unsigned int gone, once;
static unsigned int sum;

static int take(const uint8_t *body, size_t len, size_t min, size_t max)
{
	BUG_ON(gone || len < min || len > max);
	for (size_t i = 0; i < len; i++)
		sum += body[i];
	return 0;
}

static int on_small(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	(void)ctx;
	(void)id;
	return take(body, len, 2, 8);
}

static int on_once(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	(void)ctx;
	(void)id;
	BUG_ON(once++);
	return take(body, len, 0, 0);
}

static int on_any(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	(void)ctx;
	(void)take(body, len, 0, 4096);
	return id & 1 ? -EINVAL : 0;
}

static int on_answer(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	int r;

	(void)ctx;
	(void)take(body, len, 1, 64);
	r = ipc_send(ipc, T_ANSWER, id, body, len);
	BUG_ON(r != 0 && r != -EPIPE);
	return 0;
}

static void on_gone(void *ctx, int err)
{
	(void)ctx;
	BUG_ON(gone++ || err >= 0);
}

static const struct ipc_permit permits[] = {
	{ T_SMALL, 0, 2, 8, on_small },
	{ T_ONCE, IPC_ONCE, 0, 0, on_once },
	{ T_ANY, 0, 0, 4096, on_any },
	{ T_ANSWER, 0, 1, 64, on_answer },
};

/* The first byte of each piece is its length. */
static void feed(struct rd *in, int fd)
{
	while (in->left && !gone) {
		const uint8_t n = rd_u8(in);
		const size_t len = MIN((size_t)n, in->left);
		const void *piece = rd_bytes(in, len);

		if (len && send(fd, piece, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return;
		loop_poll(loop);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, MIN(size, (size_t)16384));
	struct ipc_cfg cfg = { .permits = permits,
			       .n_permits = ARRAY_SIZE(permits),
			       .gone = on_gone };
	int fd[2];

	if (!loop)
		BUG_ON(loop_create_epoll(&loop) != 0);
	BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0);
	gone = once = 0;
	cfg.loop = loop;
	cfg.fd = fd[0];
	BUG_ON(ipc_create(&cfg, &ipc) != 0);
	feed(&in, fd[1]);
	(void)close(fd[1]);
	for (int i = 0; i < 4096 && !gone; i++)
		loop_poll(loop);
	BUG_ON(gone != 1);
	BUG_ON(ipc_send(ipc, T_ANSWER, 0, NULL, 0) != -EPIPE);
	ipc_destroy(ipc);
	return 0;
}
