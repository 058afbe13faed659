/* SPDX-License-Identifier: MIT */
/* The transport against servers that say what the test wants. */
#include "cli_conn.h"
#include "cli_rpc.h"

#include "unit.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_PATH "cli_rpc.sock"
#define PIECES 8

/* What the server does with one connection: the answer to CONNECT, then pieces, each sent after as
 * many requests as it says were read. */
struct piece {
	unsigned int after;
	const void *data;
	size_t len;
};

struct script {
	const char *hello;
	struct piece piece[PIECES];
	bool stay; /* keep the connection until the client is gone */
	size_t chunk; /* bytes of one write; 0 = all */
	char request[256]; /* out: first request's payload */
	size_t request_len;
};

struct server {
	int fd;
	pthread_t thread;
	struct script *scripts;
	size_t n;
};

static bool read_all(int fd, void *buf, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = recv(fd, (char *)buf + got, len - got, 0);

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

static bool read_request(int fd, struct script *s)
{
	unsigned char header[10], body[4096];
	size_t len;

	if (!read_all(fd, header, sizeof(header)))
		return false;
	len = (size_t)header[2] << 8 | header[3];
	if (header[0] || header[1] || len > sizeof(body) || header[8] != 1 || header[9] ||
	    !read_all(fd, body, len))
		return false;
	if (!s->request_len) {
		s->request_len = MIN(len, sizeof(s->request));
		memcpy(s->request, body, s->request_len);
	}
	return true;
}

static void serve(int fd, struct script *s)
{
	unsigned int requests = 0;
	char line[64];
	size_t n = 0;

	while (n < sizeof(line) && recv(fd, line + n, 1, 0) == 1 && line[n] != '\n')
		n++;
	if (!s->hello)
		return;
	(void)send(fd, s->hello, strlen(s->hello), MSG_NOSIGNAL);
	for (size_t i = 0; i < PIECES && s->piece[i].data; i++) {
		const struct piece *p = &s->piece[i];

		while (requests < p->after) {
			if (!read_request(fd, s))
				return;
			requests++;
		}
		for (size_t at = 0; at < p->len;) {
			size_t part = s->chunk ? MIN(s->chunk, p->len - at) : p->len;
			ssize_t k = send(fd, (const char *)p->data + at, part, MSG_NOSIGNAL);

			if (k <= 0)
				return;
			at += (size_t)k;
		}
	}
	if (s->stay)
		(void)recv(fd, line, 1, 0);
}

static void *server_main(void *arg)
{
	struct server *srv = arg;

	for (size_t i = 0; i < srv->n; i++) {
		int fd = accept(srv->fd, NULL, NULL);

		if (fd < 0)
			break;
		serve(fd, &srv->scripts[i]);
		(void)close(fd);
	}
	return NULL;
}

static void start(struct server *srv, struct script *scripts, size_t n)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = SOCKET_PATH };

	(void)unlink(SOCKET_PATH);
	*srv = (struct server){ .scripts = scripts, .n = n };
	srv->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(srv->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(srv->fd, 8), 0);
	ck_assert_int_eq(pthread_create(&srv->thread, NULL, server_main, srv), 0);
}

static void stop(struct server *srv)
{
	(void)shutdown(srv->fd, SHUT_RDWR);
	ck_assert_int_eq(pthread_join(srv->thread, NULL), 0);
	(void)close(srv->fd);
	(void)unlink(SOCKET_PATH);
}

static struct cli_call *begin(struct cli_rpc *rpc, const char *method)
{
	static struct cli_err err;
	struct cli_call *call = NULL;

	ck_assert_int_eq(cli_rpc_start(rpc, "s", method, NULL, 0, 0, &err, &call), 0);
	return call;
}

static void answers(struct cli_rpc *rpc, struct cli_call *call, const char *want)
{
	static struct cli_err err;
	uint8_t *buf;
	size_t len;

	ck_assert_msg(!cli_rpc_finish(rpc, call, 5000, &err, &buf, &len), "%s", err.msg[0]);
	ck_assert_uint_eq(len, strlen(want));
	ck_assert_mem_eq(buf, want, len);
	free(buf);
}

static void fails(struct cli_rpc *rpc, struct cli_call *call, uint64_t limit_ms, int code,
		  const char *want)
{
	static struct cli_err err;
	uint8_t *buf;
	size_t len;

	ck_assert_int_eq(cli_rpc_finish(rpc, call, limit_ms, &err, &buf, &len), -1);
	ck_assert_msg(strstr(err.msg[0], want), "%s", err.msg[0]);
	ck_assert_int_eq(err.code, code);
}

#define B(text) text, sizeof(text) - 1
/* Frames: length, stream, type, flags, then a response. */
#define OK_FOR(id, text, n) "\0\0\0" n "\0\0\0" id "\2\0\x12" text

START_TEST(one_call)
{
	/* Byte by byte: nothing may depend on how the stream is cut. */
	struct script s = { .hello = "OK 123\n", .chunk = 1, .stay = true };
	struct server srv;
	struct cli_rpc *rpc = cli_rpc_create(SOCKET_PATH);

	s.piece[0] = (struct piece){ 1, B(OK_FOR("\1", "\2hi", "\4")) };
	s.piece[1] = (struct piece){ 2, B(OK_FOR("\3", "\0", "\2")) };
	start(&srv, &s, 1);
	answers(rpc, begin(rpc, "Ping"), "hi");
	ck_assert_uint_eq(s.request_len, 9);
	ck_assert_mem_eq(s.request, "\x0a\1s\x12\4Ping", 9);
	answers(rpc, begin(rpc, "Pong"), "");
	cli_rpc_destroy(rpc);
	stop(&srv);
}
END_TEST

START_TEST(many_calls)
{
	/* Answers in another order, and one for a call nobody made. */
	struct script s = { .hello = "OK 1\n", .stay = true };
	struct server srv;
	struct cli_rpc *rpc = cli_rpc_create(SOCKET_PATH);
	struct cli_call *a, *b, *c;

	s.piece[0] = (struct piece){ 3, B(OK_FOR("\5", "\1c", "\3")) };
	s.piece[1] = (struct piece){ 3, B(OK_FOR("\x63", "\1x", "\3")) };
	s.piece[2] = (struct piece){ 3, B(OK_FOR("\1", "\1a", "\3")) };
	s.piece[3] = (struct piece){ 3, B(OK_FOR("\3", "\1b", "\3")) };
	start(&srv, &s, 1);
	a = begin(rpc, "A");
	b = begin(rpc, "B");
	c = begin(rpc, "C");
	answers(rpc, b, "b");
	ck_assert(cli_call_done(a) && cli_call_done(c));
	answers(rpc, c, "c");
	cli_rpc_forget(rpc, a);
	cli_rpc_destroy(rpc);
	stop(&srv);
}
END_TEST

START_TEST(bad_answers)
{
	static const struct {
		const char *data;
		size_t len;
		int code;
		const char *words;
	} cases[] = {
		/* An error of the server; an error without a code. */
		{ B("\0\0\0\x08\0\0\0\1\2\0\x0a\6\x08\x0c\x12\2no"), CLI_CODE_UNIMPLEMENTED, "no" },
		{ B("\0\0\0\6\0\0\0\1\2\0\x0a\4\x12\2no"), CLI_CODE_UNKNOWN, "no" },
		/* Nothing, another type, no message at all. */
		{ B("\0\0\0\0\0\0\0\1\2\0"), CLI_CODE_UNKNOWN, "malformed" },
		{ B("\0\0\0\2\0\0\0\1\1\0\x12\0"), CLI_CODE_UNKNOWN, "invalid message type 1" },
		{ B("\0\0\0\2\0\0\0\1\2\0\xff\xff"), CLI_CODE_UNKNOWN, "malformed" },
		/* The end within the header, and within the payload. */
		{ B("\0\0\0\2"), CLI_CODE_UNAVAILABLE, "channel closed" },
		{ B("\0\0\x10\0\0\0\0\1\2\0\x12"), CLI_CODE_UNAVAILABLE, "channel closed" },
		{ B(""), CLI_CODE_UNAVAILABLE, "channel closed" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = { .hello = "OK 1\n" };
		struct server srv;
		struct cli_rpc *rpc = cli_rpc_create(SOCKET_PATH);

		s.piece[0] = (struct piece){ 1, cases[i].data, cases[i].len };
		start(&srv, &s, 1);
		fails(rpc, begin(rpc, "Ping"), 5000, cases[i].code, cases[i].words);
		cli_rpc_destroy(rpc);
		stop(&srv);
	}
}
END_TEST

START_TEST(too_long)
{
	/* 16 MiB and a bit are skipped; the connection stays in step. */
	size_t len = 0x1000010;
	char *big = calloc(1, len + 10);
	struct script s = { .hello = "OK 1\n", .stay = true };
	struct server srv;
	struct cli_rpc *rpc = cli_rpc_create(SOCKET_PATH);

	ck_assert_ptr_nonnull(big);
	memcpy(big, "\1\0\0\x10\0\0\0\1\2\0", 10);
	s.piece[0] = (struct piece){ 1, big, len + 10 };
	s.piece[1] = (struct piece){ 2, B(OK_FOR("\3", "\2hi", "\4")) };
	start(&srv, &s, 1);
	fails(rpc, begin(rpc, "Big"), 20000, CLI_CODE_EXHAUSTED, "exceeds maximum allowed size");
	answers(rpc, begin(rpc, "Small"), "hi");
	cli_rpc_destroy(rpc);
	stop(&srv);
	free(big);
}
END_TEST

START_TEST(silence_and_return)
{
	/* No answer within the limit; a lost connection is made again. */
	struct script s[2] = { { .hello = "OK 1\n" }, { .hello = "OK 1\n" } };
	struct server srv;
	struct cli_rpc *rpc = cli_rpc_create(SOCKET_PATH);
	struct cli_call *other;

	s[0].piece[0] = (struct piece){ 3, B("\0") };
	s[1].piece[0] = (struct piece){ 1, B(OK_FOR("\1", "\2hi", "\4")) };
	start(&srv, s, 2);
	other = begin(rpc, "Other");
	fails(rpc, begin(rpc, "Ping"), 50, CLI_CODE_DEADLINE, "deadline exceeded");
	fails(rpc, begin(rpc, "Ping"), 5000, CLI_CODE_UNAVAILABLE, "channel closed");
	fails(rpc, other, 5000, CLI_CODE_UNAVAILABLE, "channel closed");
	ck_assert_int_eq(cli_rpc_fd(rpc), -1);
	answers(rpc, begin(rpc, "Ping"), "hi");
	cli_rpc_destroy(rpc);
	stop(&srv);
}
END_TEST

static void no_connection(const char *hello, const char *words)
{
	struct script s = { .hello = hello };
	struct server srv;
	struct cli_err err;

	start(&srv, &s, 1);
	ck_assert_int_eq(cli_connect(SOCKET_PATH, 1, &err), -1);
	ck_assert_str_eq(err.msg[0], words);
	ck_assert_str_eq(err.msg[err.n - 1], "failed to connect");
	stop(&srv);
}

START_TEST(handshake)
{
	struct script s = { .hello = "OK 4294967295\n", .stay = true };
	struct server srv;
	struct cli_err err;
	uint64_t id = 0;
	char path[200];
	int fd;

	no_connection(NULL, "unexpected end of file");
	no_connection("OK", "unexpected end of file");
	no_connection("NO 1\n", "missing hybrid vsock response");
	no_connection("OK 42949672950\n", "invalid hybrid vsock response");

	s.piece[0] = (struct piece){ 0, "\1\2\0\0\0\0\0\x80", 8 };
	start(&srv, &s, 1);
	fd = cli_connect_data(SOCKET_PATH, &id, &err);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(id, 0x8000000000000201);
	(void)close(fd);
	stop(&srv);

	s = (struct script){ .hello = "OK 1\n" };
	s.piece[0] = (struct piece){ 0, "\1\2", 2 };
	start(&srv, &s, 1);
	ck_assert_int_eq(cli_connect_data(SOCKET_PATH, &id, &err), -1);
	ck_assert_str_eq(err.msg[err.n - 1], "reading connection id");
	stop(&srv);

	ck_assert_int_eq(cli_connect("no/such/socket", 1, &err), -1);
	ck_assert_uint_eq(err.n, 3);
	ck_assert_str_eq(err.msg[0], "No such file or directory (os error 2)");
	ck_assert_ptr_nonnull(strstr(err.hint, "--vtl2-vsock no/such/socket"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	ck_assert_int_eq(cli_connect(path, 1, &err), -1);
	ck_assert_str_eq(err.msg[0], "path must be shorter than SUN_LEN");
	ck_assert_str_eq(cli_vm_path("vsock:a:b"), "a:b");
	ck_assert_str_eq(cli_vm_path("unix:a"), "unix:a");
}
END_TEST

START_TEST(memory_of_a_message)
{
	/* An error with four million empty details: each would be a structure. */
	size_t n = 4u << 20, len = 2 * n + 6;
	uint8_t *frame = malloc(len), *payload;
	struct cli_err err;
	size_t out;

	ck_assert_ptr_nonnull(frame);
	frame[0] = 0x0a;
	for (size_t i = 0; i < 4; i++)
		frame[1 + i] = (uint8_t)(((2 * n) >> (7 * i) & 0x7f) | (i < 3 ? 0x80 : 0));
	for (size_t i = 0; i < n; i++) {
		frame[5 + 2 * i] = 0x1a;
		frame[6 + 2 * i] = 0;
	}
	ck_assert_int_eq(cli_rpc_decode(frame, len - 1, &err, &payload, &out), -1);
	ck_assert_str_eq(err.msg[0], "the server's answer is malformed");
	free(frame);
}
END_TEST

UNIT_MAIN("diag/cli_rpc", one_call, many_calls, bad_answers, too_long, silence_and_return,
	  handshake, memory_of_a_message)
