/* SPDX-License-Identifier: MIT */
#include "diag_rig.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define UNKNOWN 2

static struct rig r;

/* A character device that gives out one record per read: a terminal without line discipline. */
static int device(char name[64])
{
	struct termios t;
	int master, slave;

	ck_assert_int_eq(openpty(&master, &slave, name, NULL, NULL), 0);
	ck_assert_int_eq(tcgetattr(slave, &t), 0);
	cfmakeraw(&t);
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &t), 0);
	/* The other side stays open, so that nothing of this is undone. */
	return master;
}

static void say(int master, const char *text)
{
	ck_assert_int_eq(write(master, text, strlen(text)), (ssize_t)strlen(text));
}

/* Read exactly this. */
static void expect_bytes(int fd, const char *text, size_t len)
{
	char buf[256];

	ck_assert_uint_le(len, sizeof(buf));
	ck_assert(rig_read(&r, fd, buf, len));
	ck_assert_mem_eq(buf, text, len);
}

START_TEST(kmsg)
{
	char name[64];
	uint64_t id;
	int dev = device(name), fd;

	rig_start(&r, false, name);
	say(dev, "6,1,1,-;one\n");
	fd = rig_data(&r, &id);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "Kmsg", m_num(m_none(), 2, id)), "", 0);
	/* The record and a NUL, then the end: there is no more. */
	expect_bytes(fd, "6,1,1,-;one\n", 13);
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	rig_expect_call_error(&r, SVC_DIAG, "Kmsg", m_num(m_none(), 2, id), UNKNOWN,
			      "invalid connection id");
	rig_stop(&r);
}
END_TEST

START_TEST(kmsg_follow)
{
	char name[64];
	uint64_t id;
	int dev = device(name), fd;

	rig_start(&r, false, name);
	fd = rig_data(&r, &id);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "Kmsg", m_num(m_num(m_none(), 1, 1), 2, id)), "", 0);
	for (int i = 0; i < 5; i++) {
		rig_wait(&r, 5);
		say(dev, "6,2,2,-;more\n");
		expect_bytes(fd, "6,2,2,-;more\n", 14);
	}
	(void)shutdown(fd, SHUT_WR); /* the client has had enough */
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

/* No read is larger than the clients' buffers allow. */
START_TEST(record_size)
{
	static char text[3001];
	char name[64], buf[3002];
	uint64_t id;
	int dev = device(name), fd;

	memset(text, 'r', sizeof(text) - 1);
	rig_start(&r, false, name);
	say(dev, text);
	fd = rig_data(&r, &id);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "Kmsg", m_num(m_none(), 2, id)), "", 0);
	ck_assert(rig_read(&r, fd, buf, sizeof(buf)));
	ck_assert_uint_eq(strlen(buf), 2047);
	ck_assert_uint_eq(strlen(buf + 2048), 3000 - 2047);
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

static struct msg file(uint64_t id, const char *path)
{
	return m_str(m_num(m_num(m_none(), 1, 1), 2, id), 3, path);
}

START_TEST(regular_file)
{
	static char text[100001];
	char path[64];
	struct msg m;
	uint64_t id;
	int fd, f;

	rig_start(&r, false, NULL);
	(void)snprintf(path, sizeof(path), "%s/file", r.dir);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7); /* NULs, too */
	f = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(f, text, sizeof(text)), (ssize_t)sizeof(text));
	(void)close(f);
	fd = rig_data(&r, &id);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "ReadFile", file(id, path)), "", 0);
	m = rig_read_all(&r, fd); /* follow means nothing here */
	ck_assert_uint_eq(m.len, sizeof(text));
	ck_assert_mem_eq(m.p, text, sizeof(text));
	free(m.p);
	(void)close(fd);
	(void)unlink(path);
	rig_stop(&r);
}
END_TEST

START_TEST(errors)
{
	char path[64], fifo[64];
	uint64_t id;
	int fd;

	rig_start(&r, false, NULL);
	(void)snprintf(path, sizeof(path), "%s/none", r.dir);
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", r.dir);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	fd = rig_data(&r, &id);
	{
		char want[256];

		(void)snprintf(want, sizeof(want),
			       "failed to open file: failed to open file `%s`: "
			       "No such file or directory (os error 2)",
			       path);
		rig_expect_call_error(&r, SVC_DIAG, "ReadFile", file(id, path), UNKNOWN, want);
	}
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	fd = rig_data(&r, &id);
	rig_expect_call_error(&r, SVC_DIAG, "ReadFile", file(id, r.dir), UNKNOWN,
			      "cannot read directory");
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	/* Nobody writes to it; opening it must not wait for somebody. */
	fd = rig_data(&r, &id);
	rig_expect_call_error(&r, SVC_DIAG, "ReadFile", file(id, fifo), UNKNOWN,
			      "cannot read directory");
	(void)close(fd);
	(void)unlink(fifo);
	/* A device that is at its end at once. */
	fd = rig_data(&r, &id);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "ReadFile", file(id, "/dev/null")), "", 0);
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	rig_stop(&r);
}
END_TEST

/* A source without end does not keep the server from others, and ends with its client. */
START_TEST(endless)
{
	uint64_t id;
	char buf[4096];
	int fd;

	rig_start(&r, false, NULL);
	fd = rig_data(&r, &id);
	rig_expect_ok(rig_call(&r, SVC_DIAG, "ReadFile", file(id, "/dev/zero")), "", 0);
	for (int i = 0; i < 100; i++)
		ck_assert(rig_read(&r, fd, buf, sizeof(buf)));
	rig_expect_ok(rig_call(&r, SVC_OPEN, "Ping", m_none()), "", 0);
	(void)close(fd);
	rig_wait(&r, 20);
	/* The slot is free again: all of them can be used. */
	for (unsigned i = 0; i < DIAG_MAX_DATA; i++)
		(void)rig_data(&r, &id);
	rig_stop(&r);
}
END_TEST

UNIT_MAIN("diag/diag_files", kmsg, kmsg_follow, record_size, regular_file, errors, endless)
