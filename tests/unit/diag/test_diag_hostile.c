/* SPDX-License-Identifier: MIT */
/* Clients that mean harm: whatever they do, the server answers others and its memory is bounded. */
#include "diag_rig.h"

#include "le.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 1000
#define EXHAUSTED 8

static struct rig r;
static size_t heap_before, heap_most;
static char zeros[1 << 20];

static void setup(bool restricted)
{
	struct rlimit rl;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &rl), 0);
	rl.rlim_cur = MIN(rl.rlim_max, 4096);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &rl), 0);
	heap_before = rig_heap();
	heap_most = 0;
	rig_start(&r, restricted, NULL);
}

/* The clients of the rig keep nothing on the heap between two calls. */
static void measure(void)
{
	const size_t now = rig_heap();

	if (now > heap_before)
		heap_most = MAX(heap_most, now - heap_before);
	ck_assert_uint_le(heap_most, DIAG_MEMORY_MAX);
}

static void healthy(void)
{
	rig_expect_ok(rig_call(&r, SVC_INSPECT, "Inspect", m_str(m_none(), 1, "safe")),
		      "\x0a\x0d\x1a\x0b\x0a\x09\x0a\x07\x32\x05\x0a\x03yes", 15);
	measure();
}

static void teardown(void)
{
	healthy();
	rig_stop(&r);
}

static void head(uint8_t raw[10], uint32_t len, uint32_t stream)
{
	memset(raw, 0, 10);
	be32_store(raw, len);
	be32_store(raw + 4, stream);
	raw[8] = 1;
}

/* A thousand at once, each stalled inside a frame; then a thousand one after the other. */
START_TEST(thousand_connections)
{
	static int fd[MANY];
	uint8_t raw[10];

	setup(_i);
	head(raw, DIAG_FRAME_MAX, 1);
	for (int i = 0; i < MANY; i++) {
		fd[i] = rig_control(&r);
		(void)rig_write(&r, fd[i], raw, sizeof(raw));
		(void)rig_write(&r, fd[i], zeros, 5000);
		if (i % 100 == 0)
			healthy();
	}
	measure();
	healthy();
	for (int i = 0; i < MANY; i++)
		(void)close(fd[i]);
	for (int i = 0; i < MANY; i++) {
		(void)close(rig_control(&r));
		if (i % 10 == 0)
			rig_poll(&r);
	}
	teardown();
}
END_TEST

START_TEST(thousand_data_connections)
{
	static int fd[MANY];
	uint64_t id = 0;

	setup(_i);
	for (int i = 0; i < MANY; i++) {
		fd[i] = rig_data(&r, &id);
		ck_assert_uint_eq(id, (unsigned)i + 1);
	}
	measure();
	/* The latest are there, the first are not. */
	rig_expect_ok(rig_call(&r, SVC_PROFILE, "Profile", m_num(m_none(), 1, id)), "", 0);
	rig_expect_ok(rig_call(&r, SVC_PROFILE, "Profile",
			       m_num(m_none(), 1, id - DIAG_MAX_DATA + 1)),
		      "", 0);
	rig_expect_call_error(&r, SVC_PROFILE, "Profile", m_num(m_none(), 1, 1), 2,
			      "invalid connection id");
	ck_assert(rig_closed(&r, fd[0]));
	for (int i = 0; i < MANY; i++)
		(void)close(fd[i]);
	teardown();
}
END_TEST

/* Unfinished large requests of many clients share one pool; small requests still pass. */
START_TEST(stalled_large_frames)
{
	int fd[DIAG_MAX_CONTROL - 1];
	uint8_t raw[10];
	struct msg m;

	setup(_i);
	head(raw, DIAG_FRAME_MAX, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = rig_control(&r);
		ck_assert(rig_write(&r, fd[i], raw, sizeof(raw)));
		ck_assert(rig_write(&r, fd[i], zeros, DIAG_FRAME_MAX - 1));
		measure();
	}
	ck_assert_uint_gt(heap_most, DIAG_FRAMES_MAX / 2);
	healthy();
	/* The last one was refused, but only after it was read. */
	ck_assert(rig_write(&r, fd[ARRAY_SIZE(fd) - 1], zeros, 1));
	(void)rig_answer(&r, fd[ARRAY_SIZE(fd) - 1], &m);
	rig_expect_error(m, EXHAUSTED, "message length 1048576 exceeds the memory left");
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		(void)close(fd[i]);
	rig_wait(&r, 20);
	ck_assert_uint_lt(rig_heap() - heap_before, DIAG_FRAMES_MAX / 2);
	teardown();
}
END_TEST

/* Many requests with large answers, none of which is ever read. */
START_TEST(never_reads)
{
	int fd[DIAG_MAX_CONTROL - 1];

	setup(_i);
	r.big = 500000;
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = rig_control(&r);
		for (uint32_t k = 0; k < 50; k++) {
			uint8_t raw[128];
			struct msg q = m_str(m_str(m_none(), 1, SVC_INSPECT), 2, "Inspect");

			head(raw, (uint32_t)q.len, 2 * k + 1);
			memcpy(raw + 10, q.p, q.len);
			/* It may not be read any more, or be closed. */
			(void)send(fd[i], raw, 10 + q.len, MSG_NOSIGNAL);
			free(q.p);
			rig_poll(&r);
			measure();
		}
	}
	ck_assert_uint_gt(heap_most, DIAG_ANSWERS_MAX / 8);
	healthy();
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		(void)close(fd[i]);
	teardown();
}
END_TEST

/* Answers that do not move end the connection; slow readers stay. */
START_TEST(stalls)
{
	static uint8_t buf[50000];
	struct msg m;
	int slow, dead;

	setup(_i);
	r.big = 1000000;
	dead = rig_control(&r);
	slow = rig_control(&r);
	rig_request(&r, dead, 1, SVC_INSPECT, "Inspect", m_none(), 0);
	rig_request(&r, slow, 1, SVC_INSPECT, "Inspect", m_none(), 0);
	ck_assert_uint_gt(rig_heap() - heap_before, 1000000);
	for (unsigned i = 0; i < 20; i++) {
		rig_wait(&r, RIG_STALL_MS / 15);
		ck_assert(rig_read(&r, slow, buf, sizeof(buf)));
	}
	/* What was in its socket, and then the end instead of the rest. */
	m = rig_read_all(&r, dead);
	ck_assert_uint_lt(m.len, r.big);
	free(m.p);
	(void)close(dead);
	(void)close(slow);
	r.big = 0;
	teardown();
}
END_TEST

/* One that has too many unanswered requests is not read; the rest waits in its socket. */
START_TEST(too_many_calls)
{
	struct msg m, q = m_str(m_str(m_none(), 1, SVC_INSPECT), 2, "Inspect");
	uint8_t raw[128];
	int fd;

	setup(_i);
	r.hold = true;
	fd = rig_control(&r);
	for (uint32_t k = 0; k < DIAG_MAX_CALLS + 10; k++) {
		head(raw, (uint32_t)q.len, 2 * k + 1);
		memcpy(raw + 10, q.p, q.len);
		ck_assert(rig_write(&r, fd, raw, 10 + q.len));
	}
	rig_wait(&r, 20);
	ck_assert_uint_eq(r.n_held, DIAG_MAX_CALLS);
	r.hold = false;
	healthy();
	r.hold = true;
	/* As they are answered, the others come in. */
	for (unsigned i = 0; i < DIAG_MAX_CALLS + 10; i++) {
		ck_assert_uint_gt(r.n_held, i);
		diag_call_fail(r.held[i], "x");
		ck_assert_uint_eq(rig_answer(&r, fd, &m), 2 * i + 1);
		free(m.p);
		rig_poll(&r);
	}
	r.hold = false;
	free(q.p);
	(void)close(fd);
	teardown();
}
END_TEST

/* Requests that clients abandon stay with the owner; there are only so many. */
START_TEST(abandoned_calls)
{
	struct msg m;
	int fd;

	setup(_i);
	r.hold = true;
	while (r.n_held < 256) {
		fd = rig_control(&r);
		for (uint32_t k = 0; k < 32; k++)
			rig_request(&r, fd, 2 * k + 1, SVC_INSPECT, "Inspect", m_none(), 0);
		(void)close(fd);
		rig_wait(&r, 5);
	}
	measure();
	rig_expect_call_error(&r, SVC_INSPECT, "Inspect", m_none(), EXHAUSTED,
			      "too many abandoned requests");
	for (unsigned i = 0; i < r.n_held; i++)
		diag_call_fail(r.held[i], "x");
	r.n_held = 0;
	r.hold = false;
	fd = rig_control(&r);
	rig_request(&r, fd, 1, SVC_INSPECT, "Inspect", m_str(m_none(), 1, "safe"), 0);
	(void)rig_answer(&r, fd, &m);
	free(m.p);
	(void)close(fd);
	teardown();
}
END_TEST

/* Gone after every single byte of a conversation. */
START_TEST(disconnects_at_each_byte)
{
	uint8_t raw[512];
	struct msg q = m_str(m_str(m_none(), 1, SVC_INSPECT), 2, "Inspect");
	size_t len = 0;
	int fd;

	setup(_i);
	for (uint32_t k = 0; k < 3; k++) {
		head(raw + len, (uint32_t)q.len, 2 * k + 1);
		memcpy(raw + len + 10, q.p, q.len);
		len += 10 + q.len;
	}
	for (int how = 0; how < 2; how++) {
		for (size_t i = 0; i <= len; i++) {
			fd = rig_control(&r);
			ck_assert(rig_write(&r, fd, raw, i));
			if (how)
				(void)shutdown(fd, SHUT_WR);
			(void)close(fd);
			rig_poll(&r);
		}
	}
	rig_wait(&r, 20);
	ck_assert_uint_lt(rig_heap() - heap_before, 100000);
	free(q.p);
	teardown();
}
END_TEST

/* The largest list of arguments there may be, and one more. */
START_TEST(many_arguments)
{
	struct msg m;

	if (_i) /* there are no programs */
		return;
	m = m_str(m_none(), 1, "true");
	setup(false);
	for (unsigned i = 0; i < DIAG_MAX_ARGS - 1; i++)
		m = m_str(m, 2, "");
	ck_assert_uint_gt(m_answer_num(rig_call(&r, SVC_DIAG, "Exec", m)), 1);
	measure();
	m = m_str(m_none(), 1, "true");
	for (unsigned i = 0; i < DIAG_MAX_ARGS; i++)
		m = m_str(m, 2, "");
	rig_expect_call_error(&r, SVC_DIAG, "Exec", m, 3,
			      "decoding failed in diag.ExecRequest: too many elements");
	teardown();
}
END_TEST

/* Eviction spares those that wait for something. */
START_TEST(eviction)
{
	static int fd[2 * DIAG_MAX_CONTROL];
	struct msg m;
	int busy;

	setup(_i);
	r.hold = true;
	busy = rig_control(&r);
	rig_request(&r, busy, 1, SVC_INSPECT, "Inspect", m_none(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = rig_control(&r);
		rig_poll(&r);
	}
	ck_assert(rig_closed(&r, fd[0]));
	diag_call_fail(r.held[0], "x");
	ck_assert_uint_eq(rig_answer(&r, busy, &m), 1);
	free(m.p);
	r.hold = false;
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		(void)close(fd[i]);
	(void)close(busy);
	teardown();
}
END_TEST

UNIT_MAIN_VARIANTS("diag/hostile", 2, thousand_connections, thousand_data_connections,
		   stalled_large_frames, never_reads, stalls, too_many_calls, abandoned_calls,
		   disconnects_at_each_byte, many_arguments, eviction)
