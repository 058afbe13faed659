/* SPDX-License-Identifier: MIT */
#include "diag_rig.h"

#include "unit.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNKNOWN 2
#define INVALID 3
#define DEADLINE 4
#define EXHAUSTED 8
#define UNIMPLEMENTED 12

#define MS 1000000ull

static struct rig r;

static void setup(void)
{
	rig_start(&r, false, NULL);
}

/* The request and the answer as they were recorded with the original client. */
START_TEST(ping_bytes)
{
	static const char req[] = "\0\0\0\x18\0\0\0\x01\x01\0\x0a\x10"
				  "diag.OpenhclDiag\x12\x04Ping";
	static const char ans[] = "\0\0\0\x02\0\0\0\x01\x02\0\x12";
	uint8_t got[12];
	int fd;

	setup();
	fd = rig_control(&r);
	/* Byte by byte, then in one piece, on one connection. */
	for (size_t i = 0; i < sizeof(req) - 1; i++)
		ck_assert(rig_write(&r, fd, req + i, 1));
	ck_assert(rig_read(&r, fd, got, sizeof(got)));
	ck_assert_mem_eq(got, ans, sizeof(got));
	ck_assert(rig_write(&r, fd, req, sizeof(req) - 1));
	ck_assert(rig_read(&r, fd, got, sizeof(got)));
	ck_assert_mem_eq(got, ans, sizeof(got));
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

START_TEST(split_anywhere)
{
	static const char req[] = "\0\0\0\x18\0\0\0\x01\x01\0\x0a\x10"
				  "diag.OpenhclDiag\x12\x04Ping";
	uint8_t got[12];
	int fd;

	setup();
	for (size_t i = 1; i < sizeof(req) - 1; i++) {
		fd = rig_control(&r);
		ck_assert(rig_write(&r, fd, req, i));
		ck_assert(rig_write(&r, fd, req + i, sizeof(req) - 1 - i));
		ck_assert(rig_read(&r, fd, got, sizeof(got)));
		(void)close(fd);
	}
	rig_stop(&r);
}
END_TEST

START_TEST(protocol_errors)
{
	struct msg m;
	uint32_t id;
	int fd;

	setup();
	fd = rig_control(&r);
	rig_frame(&r, fd, 2, 1, NULL, 0);
	id = rig_answer(&r, fd, &m);
	ck_assert_uint_eq(id, 2);
	rig_expect_error(m, INVALID, "stream id must be odd for client requests");
	rig_frame(&r, fd, 3, 2, NULL, 0);
	(void)rig_answer(&r, fd, &m);
	rig_expect_error(m, INVALID, "invalid message type 2");
	rig_frame(&r, fd, 5, 255, "abc", 3);
	(void)rig_answer(&r, fd, &m);
	rig_expect_error(m, INVALID, "invalid message type 255");
	rig_frame(&r, fd, 7, 1, "\x0a\x05x", 3);
	id = rig_answer(&r, fd, &m);
	ck_assert_uint_eq(id, 7);
	rig_expect_error(m, INVALID, "decoding failed in ttrpc.Request: eof parsing a byte array");
	rig_frame(&r, fd, 9, 1, NULL, 0);
	(void)rig_answer(&r, fd, &m);
	rig_expect_error(m, UNIMPLEMENTED, "unknown service ");
	/* None of that closed the connection. */
	rig_request(&r, fd, 0xffffffff, SVC_OPEN, "Ping", m_none(), 0);
	id = rig_answer(&r, fd, &m);
	ck_assert_uint_eq(id, 0xffffffff);
	rig_expect_ok(m, "", 0);
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

START_TEST(method_errors)
{
	setup();
	rig_expect_call_error(&r, "x.Y", "Ping", m_none(), UNIMPLEMENTED, "unknown service x.Y");
	rig_expect_call_error(&r, SVC_OPEN, "Pong", m_none(), UNIMPLEMENTED, "unknown method Pong");
	rig_expect_call_error(&r, SVC_DIAG, "Ping", m_none(), UNIMPLEMENTED, "unknown method Ping");
	/* Fields nobody knows are skipped; what cannot be decoded is named. */
	rig_expect_ok(rig_call(&r, SVC_OPEN, "Ping", m_bytes(m_none(), 9, "x", 1)), "", 0);
	rig_expect_call_error(&r, SVC_DIAG, "Wait", m_bytes(m_none(), 1, "x", 1), INVALID,
			      "decoding failed in diag.WaitRequest: expected a varint");
	rig_stop(&r);
}
END_TEST

/* Frames longer than the protocol or the server allows are read to their end and refused. */
START_TEST(oversize)
{
	static char zeros[1 << 20];
	uint8_t head[10] = { 0x01, 0, 0, 0, 0, 0, 0, 1, 1, 0 }; /* 16 MiB */
	struct msg m;
	int fd;

	setup();
	fd = rig_control(&r);
	ck_assert(rig_write(&r, fd, head, sizeof(head)));
	for (int i = 0; i < 16; i++)
		ck_assert(rig_write(&r, fd, zeros, sizeof(zeros)));
	(void)rig_answer(&r, fd, &m);
	rig_expect_error(m, EXHAUSTED,
			 "message length 16777216 exceeds maximum allowed size 16777215");
	/* One more than the server keeps. */
	memcpy(head, "\0\x10\0\x01\0\0\0\x03", 8);
	ck_assert(rig_write(&r, fd, head, sizeof(head)));
	ck_assert(rig_write(&r, fd, zeros, sizeof(zeros)));
	ck_assert(rig_write(&r, fd, zeros, 1));
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 3);
	rig_expect_error(m, EXHAUSTED,
			 "message length 1048577 exceeds maximum allowed size 1048576");
	/* An even stream matters more. */
	memcpy(head, "\0\x10\0\x01\0\0\0\x04", 8);
	ck_assert(rig_write(&r, fd, head, sizeof(head)));
	ck_assert(rig_write(&r, fd, zeros, sizeof(zeros)));
	ck_assert(rig_write(&r, fd, zeros, 1));
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 4);
	rig_expect_error(m, INVALID, "stream id must be odd for client requests");
	rig_request(&r, fd, 5, SVC_OPEN, "Ping", m_none(), 0);
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 5);
	rig_expect_ok(m, "", 0);
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

START_TEST(out_of_order)
{
	struct msg m;
	int fd;

	setup();
	fd = rig_control(&r);
	r.hold = true;
	rig_request(&r, fd, 1, SVC_DIAG, "Pause", m_none(), 0);
	rig_request(&r, fd, 3, SVC_DIAG, "Resume", m_none(), 0);
	rig_request(&r, fd, 5, SVC_OPEN, "Ping", m_none(), 0);
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 5);
	free(m.p);
	ck_assert_uint_eq(r.n_held, 2);
	diag_call_fail(r.held[1], "no: %s", "\xff");
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 3);
	rig_expect_error(m, UNKNOWN, "no: ?");
	diag_call_done(r.held[0]);
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 1);
	rig_expect_ok(m, "", 0);
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

START_TEST(deadlines)
{
	static const char *const late[] = { "Start", "Restart", "Pause", "Resume" };
	struct msg m;
	int fd;

	setup();
	fd = rig_control(&r);
	r.hold = true;
	for (uint32_t i = 0; i < ARRAY_SIZE(late); i++) {
		rig_request(&r, fd, 1 + 2 * i, SVC_DIAG, late[i], m_none(), 20 * MS);
		ck_assert_uint_eq(rig_answer(&r, fd, &m), 1 + 2 * i);
		rig_expect_error(m, DEADLINE, "deadline exceeded");
	}
	rig_request(&r, fd, 21, SVC_INSPECT, "Update", m_str(m_none(), 1, "plain"), 20 * MS);
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 21);
	rig_expect_error(m, DEADLINE, "deadline exceeded");
	/* The owner's late answers go nowhere. */
	for (unsigned i = 0; i < r.n_held; i++)
		diag_call_done(r.held[i]);
	r.n_held = 0;
	/* An inspection is the owner's to end; it knows the deadline. */
	rig_request(&r, fd, 23, SVC_INSPECT, "Inspect", m_none(), 50 * MS);
	rig_wait(&r, 100);
	ck_assert_uint_eq(r.n_held, 1);
	ck_assert_uint_lt(r.last_deadline_ns, loop_now_ns());
	diag_call_fail(r.held[0], "late");
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 23);
	rig_expect_error(m, UNKNOWN, "late");
	rig_request(&r, fd, 25, SVC_INSPECT, "Inspect", m_none(), UINT64_MAX);
	rig_poll(&r);
	ck_assert_uint_eq(r.last_deadline_ns, UINT64_MAX);
	diag_call_fail(r.held[1], "x");
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

/* A client that says no more still gets its answers. */
START_TEST(half_close)
{
	struct msg m;
	int fd;

	setup();
	fd = rig_control(&r);
	r.hold = true;
	rig_request(&r, fd, 1, SVC_DIAG, "Pause", m_none(), 0);
	ck_assert(rig_write(&r, fd, "\0\0", 2)); /* a part of a header is a clean end */
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	rig_wait(&r, 20);
	diag_call_done(r.held[0]);
	ck_assert_uint_eq(rig_answer(&r, fd, &m), 1);
	rig_expect_ok(m, "", 0);
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	/* The end inside a message is an error: the connection is gone at once. */
	fd = rig_control(&r);
	r.n_held = 0;
	rig_request(&r, fd, 1, SVC_DIAG, "Pause", m_none(), 0);
	ck_assert(rig_write(&r, fd, "\0\0\0\x05\0\0\0\x03\x01\0ab", 12));
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	ck_assert(rig_closed(&r, fd));
	diag_call_done(r.held[0]);
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

/* The owner completes calls of a server that is no more. */
START_TEST(calls_outlive_the_server)
{
	struct diag_call *a, *b;
	int fd;

	setup();
	fd = rig_control(&r);
	r.hold = true;
	rig_request(&r, fd, 1, SVC_DIAG, "Pause", m_none(), 30 * MS);
	rig_request(&r, fd, 3, SVC_INSPECT, "Inspect", m_none(), 0);
	a = r.held[0];
	b = r.held[1];
	diag_server_destroy(r.srv);
	r.srv = NULL;
	diag_call_done(a);
	diag_call_fail(b, "gone");
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

START_TEST(vm_methods)
{
	struct msg m;

	setup();
	rig_expect_ok(rig_call(&r, SVC_DIAG, "Pause", m_none()), "", 0);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "Resume", m_none()), "", 0);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "Restart", m_none()), "", 0);
	ck_assert_uint_eq(r.n_vm, 3);
	m = m_msg(m_none(), 1, m_str(m_str(m_none(), 1, "A"), 2, "B"));
	m = m_str(m_str(m_msg(m, 1, m_str(m_none(), 1, "C")), 2, "x"), 2, "y");
	rig_expect_ok(rig_call(&r, SVC_DIAG, "Start", m), "", 0);
	ck_assert_uint_eq(r.n_start_env, 2);
	ck_assert_uint_eq(r.n_start_args, 2);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "Crash", m_num(m_none(), 1, 42)), "", 0);
	ck_assert_int_eq(r.crashed, 42);
	r.big = 3;
	rig_expect_ok(rig_call(&r, SVC_DIAG, "DumpSavedState", m_none()), "\x0a\x03\0\0\0", 5);
	r.big = DIAG_ANSWER_MAX + 1;
	rig_expect_call_error(&r, SVC_DIAG, "DumpSavedState", m_none(), EXHAUSTED,
			      "the saved state is too large");
	rig_expect_call_error(&r, SVC_OPEN, "MemoryProfileTrace", m_num(m_none(), 1, 1), UNKNOWN,
			      "Profiler tracing feature disabled: rebuild with the "
			      "`mem-profile-tracing` feature enabled");
	rig_stop(&r);
}
END_TEST

START_TEST(packet_capture)
{
	uint64_t id;
	int fd;

	setup();
	rig_expect_call_error(&r, SVC_DIAG, "PacketCapture", m_none(), UNKNOWN,
			      "No network settings have been set up");
	rig_expect_call_error(&r, SVC_DIAG, "PacketCapture", m_num(m_none(), 3, 1), UNKNOWN,
			      "missing start operation parameters");
	rig_expect_call_error(&r, SVC_DIAG, "PacketCapture", m_num(m_none(), 3, 3), UNKNOWN,
			      "unsupported request type 3");
	/* The stream that was given is closed again, packed or not. */
	fd = rig_data(&r, &id);
	rig_expect_call_error(&r, SVC_DIAG, "PacketCapture",
			      m_msg(m_num(m_none(), 3, 1), 4, m_num(m_none(), 2, id)), UNKNOWN,
			      "No network settings have been set up");
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	rig_expect_call_error(&r, SVC_DIAG, "PacketCapture",
			      m_msg(m_num(m_none(), 3, 1), 4, m_bytes(m_none(), 2, "\x63\x64", 2)),
			      UNKNOWN, "invalid connection id");
	rig_stop(&r);
}
END_TEST

START_TEST(inspect_and_update)
{
	static char longest[INSPECT_PATH_MAX + 2];
	static const char not_found[] = "\x0a\x06\x12\x04\x0a\x02\x32";
	struct msg m;

	setup();
	m = rig_call(&r, SVC_INSPECT, "Inspect", m_str(m_none(), 1, "plain"));
	rig_expect_ok(m, "\x0a\x0e\x1a\x0c\x0a\x0a\x0a\x08\x32\x06\x0a\x04text", 16);
	ck_assert_int_eq(r.last_max, SENS_SENSITIVE);
	rig_expect_ok(rig_call(&r, SVC_INSPECT, "Inspect", m_str(m_none(), 1, "none")), not_found,
		      sizeof(not_found));
	memset(longest, 'a', sizeof(longest) - 1);
	ck_assert_uint_eq(r.n_inspect, 2);
	rig_expect_ok(rig_call(&r, SVC_INSPECT, "Inspect", m_str(m_none(), 1, longest)), not_found,
		      sizeof(not_found));
	rig_expect_call_error(&r, SVC_INSPECT, "Update", m_str(m_none(), 1, longest), UNKNOWN,
			      "not found");
	ck_assert_uint_eq(r.n_inspect, 2);
	rig_expect_call_error(&r, SVC_INSPECT, "Update",
			      m_str(m_str(m_none(), 1, "plain"), 2, "new"), UNKNOWN,
			      "immutable node");
	rig_expect_call_error(&r, SVC_INSPECT, "Update", m_str(m_none(), 1, "none"), UNKNOWN,
			      "not found");
	ck_assert_uint_eq(r.n_update, 2);
	r.big = DIAG_ANSWER_MAX;
	rig_expect_call_error(&r, SVC_INSPECT, "Inspect", m_none(), EXHAUSTED,
			      "the answer is too large");
	rig_stop(&r);
}
END_TEST

START_TEST(data_connections)
{
	uint64_t a, b, c;
	int fa, fb, fc;

	setup();
	fa = rig_data(&r, &a);
	fb = rig_data(&r, &b);
	ck_assert_uint_eq(a, 1);
	ck_assert_uint_eq(b, 2);
	/* Once, then never again; 0 and others are nobody's. */
	rig_expect_ok(rig_call(&r, SVC_PROFILE, "Profile", m_num(m_none(), 1, b)), "", 0);
	ck_assert(rig_closed(&r, fb));
	rig_expect_call_error(&r, SVC_PROFILE, "Profile", m_num(m_none(), 1, b), UNKNOWN,
			      "invalid connection id");
	rig_expect_call_error(&r, SVC_PROFILE, "Profile", m_none(), UNKNOWN,
			      "invalid connection id");
	/* One whose client has gone. */
	(void)close(fa);
	rig_wait(&r, 20);
	rig_expect_call_error(&r, SVC_PROFILE, "Profile", m_num(m_none(), 1, a), UNKNOWN,
			      "invalid connection id");
	fc = rig_data(&r, &c);
	ck_assert_uint_eq(c, 3);
	(void)close(fb);
	(void)close(fc);
	rig_stop(&r);
}
END_TEST

/* With restrictions, the other services are not there at all. */
START_TEST(restricted)
{
	static const char *const gone[] = { "Exec",	"Wait",		  "Start",	  "Crash",
					    "Kmsg",	"Restart",	  "Pause",	  "Resume",
					    "ReadFile", "DumpSavedState", "PacketCapture" };
	uint64_t id;
	int fd;

	rig_start(&r, true, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		rig_expect_call_error(&r, SVC_DIAG, gone[i], m_none(), UNIMPLEMENTED,
				      "unknown service diag.UnderhillDiag");
	rig_expect_call_error(&r, SVC_OPEN, "Ping", m_none(), UNIMPLEMENTED,
			      "unknown service diag.OpenhclDiag");
	ck_assert_uint_eq(r.n_vm, 0);
	free(rig_call(&r, SVC_INSPECT, "Inspect", m_none()).p);
	ck_assert_uint_eq(r.n_inspect, 1);
	ck_assert_int_eq(r.last_max, SENS_SAFE);
	rig_expect_ok(rig_call(&r, SVC_INSPECT, "Inspect", m_str(m_none(), 1, "plain")),
		      "\x0a\x06\x12\x04\x0a\x02\x32\0", 8);
	/* Nothing can be changed, and nobody is even asked to. */
	rig_expect_call_error(&r, SVC_INSPECT, "Update", m_str(m_str(m_none(), 1, "safe"), 2, "no"),
			      UNKNOWN, "immutable node");
	rig_expect_call_error(&r, SVC_INSPECT, "Update",
			      m_str(m_str(m_none(), 1, "plain"), 2, "no"), UNKNOWN, "not found");
	rig_expect_call_error(&r, SVC_INSPECT, "Update", m_str(m_none(), 1, "server"), UNKNOWN,
			      "unresolved");
	ck_assert_uint_eq(r.n_update, 0);
	fd = rig_data(&r, &id);
	ck_assert_uint_eq(id, 1);
	rig_expect_ok(rig_call(&r, SVC_PROFILE, "Profile", m_num(m_none(), 1, id)), "", 0);
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

UNIT_MAIN("diag/diag_calls", ping_bytes, split_anywhere, protocol_errors, method_errors, oversize,
	  out_of_order, deadlines, half_close, calls_outlive_the_server, vm_methods, packet_capture,
	  inspect_and_update, data_connections, restricted)
