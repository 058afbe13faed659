/* SPDX-License-Identifier: MIT */
/* The record of what the host receives: complete, in order, and off until it is opened. */
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "com3.h"
#include "gmem.h"
#include "le.h"
#include "record.h"
#include "unit.h"

static int reader;

static void open_pair(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	record_open(sv[1]);
	reader = sv[0];
}

static void close_pair(void)
{
	record_open(-1);
	ck_assert_int_eq(close(reader), 0);
}

static void take(void *ret_buf, size_t len)
{
	ck_assert_int_eq(recv(reader, ret_buf, len, MSG_WAITALL), (ssize_t)len);
}

static void expect(enum record_kind kind, uint32_t id, const void *data, size_t len)
{
	static uint8_t buf[RECORD_MAX];
	uint8_t head[16];

	take(head, sizeof(head));
	ck_assert_uint_eq(le32_load(head), kind);
	ck_assert_uint_eq(le32_load(head + 4), id);
	ck_assert_uint_eq(le32_load(head + 8), len);
	ck_assert_uint_eq(le32_load(head + 12), 0);
	take(buf, len);
	ck_assert_mem_eq(buf, data, len);
}

static void expect_nothing(void)
{
	uint8_t b;

	ck_assert_int_eq(recv(reader, &b, 1, MSG_DONTWAIT), -1);
}

START_TEST(in_order)
{
	static uint8_t big[RECORD_MAX + 100];

	record_put(RECORD_POST, 1, "lost", 4); /* nobody records yet */
	open_pair();
	memset(big, 0xa5, sizeof(big));
	record_put(RECORD_PIPE, 7, "abc", 3);
	record_put(RECORD_PAGE, 7, "", 0);
	record_put(RECORD_PAGE, 8, big, sizeof(big));
	expect(RECORD_PIPE, 7, "abc", 3);
	expect(RECORD_PAGE, 8, big, RECORD_MAX);
	expect(RECORD_PAGE, 8, big, 100);
	expect_nothing();
	close_pair();
	record_put(RECORD_POST, 1, "lost", 4);
}
END_TEST

START_TEST(unreadable)
{
	void *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(gm_install_fault_handler(), 0);
	open_pair();
	record_put(RECORD_PAGE, 1, p, 4096);
	record_put(RECORD_PAGE, 2, "x", 1);
	expect(RECORD_PAGE, 2, "x", 1);
	close_pair();
	ck_assert_int_eq(munmap(p, 4096), 0);
}
END_TEST

/* Recorded even when nobody shows it. */
START_TEST(console)
{
	struct com3 *c;

	open_pair();
	ck_assert_int_eq(com3_create(-1, &c), 0);
	for (const char *s = "line\nrest"; *s; s++)
		com3_write(c, 0, (uint8_t)*s);
	expect(RECORD_CONSOLE, 0, "line\n", 5);
	com3_destroy(c);
	expect(RECORD_CONSOLE, 0, "rest", 4);
	close_pair();
}
END_TEST

UNIT_MAIN("hvhost/record", in_order, unreadable, console)
