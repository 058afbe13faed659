/* SPDX-License-Identifier: MIT */
#include "diag_rig.h"

#include "le.h"
#include "log.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
/* Of the sanitizer; not every compiler brings its header. */
size_t __sanitizer_get_current_allocated_bytes(void);
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif

#define TIMEOUT_MS 10000

size_t rig_heap(void)
{
#if HAS_ASAN
	return __sanitizer_get_current_allocated_bytes();
#else
	const struct mallinfo2 mi = mallinfo2();

	return mi.uordblks + mi.hblkhd;
#endif
}

/* ---- the owner ------------------------------------------------------------------------------- */

static void tree(struct inspect *in, const void *obj)
{
	const struct rig *r = obj;
	char *big;

	inspect_str(in, SENS_SAFE, "safe", "yes");
	inspect_str(in, SENS_UNSPEC, "plain", "text");
	inspect_u64(in, SENS_SENSITIVE, "secret", 7);
	inspect_dir(in, SENS_SAFE, "server", diag_server_inspect, r->srv);
	if (!r->big)
		return;
	big = malloc(r->big + 1);
	ck_assert_ptr_nonnull(big);
	memset(big, 'x', r->big);
	big[r->big] = 0;
	inspect_str(in, SENS_SAFE, "big", big);
	free(big);
}

static void hold_or(struct rig *r, struct diag_call *call, void (*answer)(struct diag_call *call))
{
	if (!r->hold) {
		answer(call);
		return;
	}
	ck_assert_uint_lt(r->n_held, ARRAY_SIZE(r->held));
	r->held[r->n_held++] = call;
}

static void op_inspect(void *ctx, struct diag_call *call, const struct inspect_request *req,
		       uint64_t deadline_ns)
{
	struct rig *r = ctx;
	struct inspect_tree t;

	*(req->update ? &r->n_update : &r->n_inspect) += 1;
	r->last_max = req->max;
	r->last_deadline_ns = deadline_ns;
	(void)snprintf(r->last_path, sizeof(r->last_path), "%.60s", req->path);
	if (r->hold) {
		hold_or(r, call, NULL);
		return;
	}
	ck_assert_int_eq(inspect_run(req, tree, r, 8u << 20, &t), 0);
	diag_call_tree(call, &t);
}

static void op_start(void *ctx, struct diag_call *call, const struct diag_start *req)
{
	struct rig *r = ctx;

	r->n_start_env = req->n_env;
	r->n_start_args = req->n_args;
	hold_or(r, call, diag_call_done);
}

static void op_vm(void *ctx, struct diag_call *call)
{
	struct rig *r = ctx;

	r->n_vm++;
	hold_or(r, call, diag_call_done);
}

static void op_dump(void *ctx, struct diag_call *call)
{
	struct rig *r = ctx;
	char *data = calloc(1, r->big + 1);

	ck_assert_ptr_nonnull(data);
	diag_call_data(call, data, r->big);
	free(data);
}

static void op_crash(void *ctx, int32_t pid)
{
	struct rig *r = ctx;

	r->crashed = pid;
}

static const struct diag_ops ops = {
	.inspect = op_inspect,
	.start = op_start,
	.restart = op_vm,
	.pause = op_vm,
	.resume = op_vm,
	.dump_saved_state = op_dump,
	.crash = op_crash,
};

/* ---- life ------------------------------------------------------------------------------------ */

static int listener(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	return fd;
}

void rig_start(struct rig *r, bool restricted, const char *kmsg)
{
	const struct sigaction ign = { .sa_handler = SIG_IGN };
	struct diag_server_cfg cfg = {
		.restricted = restricted,
		.ops = &ops,
		.ctx = r,
		.kmsg_path = kmsg,
		.stall_ns = RIG_STALL_MS * 1000000ull,
	};

	log_init(LOG_ERR, false, NULL, NULL);
	(void)sigaction(SIGPIPE, &ign, NULL);
	*r = (struct rig){ .dir = "/tmp/diag.XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	for (int i = 0; i < 2; i++)
		(void)snprintf(r->path[i], sizeof(r->path[i]), "%s/%d", r->dir, i);
	ck_assert_int_eq(loop_create(64, &r->loop), 0);
	cfg.loop = r->loop;
	cfg.control_fd = listener(r->path[0]);
	cfg.data_fd = listener(r->path[1]);
	ck_assert_int_eq(diag_server_create(&cfg, &r->srv), 0);
}

void rig_stop(struct rig *r)
{
	diag_server_destroy(r->srv);
	loop_destroy(r->loop);
	for (int i = 0; i < 2; i++)
		(void)unlink(r->path[i]);
	(void)rmdir(r->dir);
}

void rig_poll(struct rig *r)
{
	for (int i = 0; i < 64 && loop_pending(r->loop); i++)
		loop_poll(r->loop);
	loop_poll(r->loop);
}

static void rest(struct rig *r, int fd, short events)
{
	struct pollfd p[2] = { { .fd = loop_ring_fd(r->loop), .events = POLLIN },
			       { .fd = fd, .events = events } };

	rig_poll(r);
	(void)poll(p, fd < 0 ? 1 : 2, 2);
	rig_poll(r);
}

void rig_wait(struct rig *r, unsigned ms)
{
	const uint64_t end = loop_now_ns() + ms * 1000000ull;

	while (loop_now_ns() < end)
		rest(r, -1, 0);
}

/* ---- clients --------------------------------------------------------------------------------- */

static int dial(struct rig *r, int i)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", r->path[i]);
	ck_assert_int_ge(fd, 0);
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ck_assert_int_eq(errno, EAGAIN); /* the backlog is full */
		rest(r, -1, 0);
	}
	return fd;
}

int rig_control(struct rig *r)
{
	return dial(r, 0);
}

int rig_data(struct rig *r, uint64_t *ret_id)
{
	int fd = dial(r, 1);
	uint8_t id[8];

	ck_assert(rig_read(r, fd, id, sizeof(id)));
	*ret_id = le64_load(id);
	return fd;
}

bool rig_write(struct rig *r, int fd, const void *buf, size_t len)
{
	const uint64_t end = loop_now_ns() + TIMEOUT_MS * 1000000ull;
	const char *p = buf;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		ck_assert_uint_lt(loop_now_ns(), end);
		if (n < 0) {
			rest(r, fd, POLLOUT);
			continue;
		}
		p += n;
		len -= (size_t)n;
	}
	rig_poll(r);
	return true;
}

/* Returns 0 at the end of the stream. */
static size_t read_some(struct rig *r, int fd, void *buf, size_t len)
{
	const uint64_t end = loop_now_ns() + TIMEOUT_MS * 1000000ull;

	for (;;) {
		ssize_t n = recv(fd, buf, len, 0);

		if (n >= 0)
			return (size_t)n;
		if (errno != EAGAIN)
			return 0;
		ck_assert_uint_lt(loop_now_ns(), end);
		rest(r, fd, POLLIN);
	}
}

bool rig_read(struct rig *r, int fd, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		size_t n = read_some(r, fd, p, len);

		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

struct msg rig_read_all(struct rig *r, int fd)
{
	struct msg m = { malloc(RIG_MSG_MAX + 1), 0 };
	size_t n;

	ck_assert_ptr_nonnull(m.p);
	while ((n = read_some(r, fd, m.p + m.len, RIG_MSG_MAX - m.len)))
		m.len += n;
	ck_assert_uint_lt(m.len, RIG_MSG_MAX);
	m.p[m.len] = 0;
	return m;
}

bool rig_closed(struct rig *r, int fd)
{
	const uint64_t end = loop_now_ns() + 1000000000ull;
	char c[256];

	while (loop_now_ns() < end) {
		ssize_t n = recv(fd, c, sizeof(c), 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		if (n < 0)
			rest(r, fd, POLLIN);
	}
	return false;
}

void rig_frame(struct rig *r, int fd, uint32_t stream, uint8_t type, const void *msg, size_t len)
{
	uint8_t head[10] = { 0 };

	be32_store(head, (uint32_t)len);
	be32_store(head + 4, stream);
	head[8] = type;
	ck_assert(rig_write(r, fd, head, sizeof(head)));
	ck_assert(rig_write(r, fd, msg, len));
}

void rig_request(struct rig *r, int fd, uint32_t stream, const char *service, const char *method,
		 struct msg args, uint64_t timeout_ns)
{
	struct msg m = m_str(m_str(m_none(), 1, service), 2, method);

	if (args.len)
		m = m_bytes(m, 3, args.p, args.len);
	if (timeout_ns)
		m = m_num(m, 4, timeout_ns);
	rig_frame(r, fd, stream, 1, m.p, m.len);
	free(m.p);
	free(args.p);
}

uint32_t rig_answer(struct rig *r, int fd, struct msg *ret_msg)
{
	uint8_t head[10];

	ck_assert(rig_read(r, fd, head, sizeof(head)));
	ck_assert_uint_eq(head[8], 2);
	ck_assert_uint_eq(head[9], 0);
	ret_msg->len = be32_load(head);
	ret_msg->p = malloc(ret_msg->len + 1);
	ck_assert_ptr_nonnull(ret_msg->p);
	ck_assert(rig_read(r, fd, ret_msg->p, ret_msg->len));
	return be32_load(head + 4);
}

struct msg rig_call(struct rig *r, const char *service, const char *method, struct msg args)
{
	struct msg m;
	int fd = rig_control(r);

	rig_request(r, fd, 1, service, method, args, 0);
	ck_assert_uint_eq(rig_answer(r, fd, &m), 1);
	(void)close(fd);
	rig_poll(r);
	return m;
}

void rig_expect_ok(struct msg m, const void *want, size_t len)
{
	struct msg w = m_bytes(m_none(), 2, want, len);

	ck_assert_uint_eq(m.len, w.len);
	ck_assert_mem_eq(m.p, w.p, w.len);
	free(w.p);
	free(m.p);
}

void rig_expect_error(struct msg m, unsigned code, const char *text)
{
	struct msg w = m_msg(m_none(), 1, m_str(m_num(m_none(), 1, code), 2, text));

	if (m.len != w.len || memcmp(m.p, w.p, w.len) != 0)
		ck_abort_msg("wanted %u '%s', got '%.*s'", code, text, (int)m.len, (char *)m.p);
	free(w.p);
	free(m.p);
}

void rig_expect_call_error(struct rig *r, const char *service, const char *method, struct msg args,
			   unsigned code, const char *text)
{
	rig_expect_error(rig_call(r, service, method, args), code, text);
}

/* ---- messages -------------------------------------------------------------------------------- */

struct msg m_none(void)
{
	return (struct msg){ NULL, 0 };
}

static struct msg append(struct msg m, const void *p, size_t len)
{
	m.p = realloc(m.p, m.len + len + 1);
	ck_assert_ptr_nonnull(m.p);
	if (len)
		memcpy(m.p + m.len, p, len);
	m.len += len;
	return m;
}

static struct msg varint(struct msg m, uint64_t v)
{
	uint8_t b;

	do {
		b = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		m = append(m, &b, 1);
		v >>= 7;
	} while (v);
	return m;
}

struct msg m_num(struct msg m, unsigned tag, uint64_t val)
{
	return varint(varint(m, tag << 3), val);
}

struct msg m_bytes(struct msg m, unsigned tag, const void *val, size_t len)
{
	return append(varint(varint(m, tag << 3 | 2), len), val, len);
}

struct msg m_str(struct msg m, unsigned tag, const char *val)
{
	return m_bytes(m, tag, val, strlen(val));
}

struct msg m_msg(struct msg m, unsigned tag, struct msg sub)
{
	m = m_bytes(m, tag, sub.p, sub.len);
	free(sub.p);
	return m;
}

uint64_t m_answer_num(struct msg m)
{
	uint64_t v = 0;

	ck_assert_uint_ge(m.len, 2);
	ck_assert_uint_eq(m.p[0], 0x12);
	if (m.p[1]) {
		ck_assert_uint_eq(m.p[1], m.len - 2);
		ck_assert_uint_eq(m.p[2], 0x08);
	}
	for (size_t i = 3; i < m.len; i++)
		v |= (uint64_t)(m.p[i] & 0x7f) << (7 * (i - 3));
	free(m.p);
	return v;
}
