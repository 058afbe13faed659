/* SPDX-License-Identifier: MIT */
/* Control: from clients and the front end to verbs of the session, and back. */
#include "ctl_front.h"
#include "ctl_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen.h"
#include "loop.h"
#include "unit.h"

static struct loop *loop;
static struct ctl_host *ch;
static struct ctl_front *cf;
static int sv[2];
static struct ctl_host *later; /* the request of `later` waits */
static char got[4096];
static char dir[] = "/tmp/keel-ctl-XXXXXX", path[64];

static void do_echo(void *ctx, struct ctl_host *c, unsigned argc, char **argv)
{
	ck_assert_ptr_eq(ctx, &loop);
	for (unsigned i = 0; i < argc; i++)
		ctl_host_print(c, "%u=%s", i, argv[i]);
	ctl_host_ok(c);
}

static void do_fail(void *ctx, struct ctl_host *c, unsigned argc, char **argv)
{
	(void)ctx;
	(void)argc;
	ctl_host_error(c, "no:\n%s", argv[0]);
}

static void do_later(void *ctx, struct ctl_host *c, unsigned argc, char **argv)
{
	(void)ctx;
	(void)argc;
	(void)argv;
	later = c;
}

static const struct ctl_verb table[] = {
	{ "echo", "[WORD...]", 0, 3, do_echo },
	{ "fail", "WHY", 1, 1, do_fail },
	{ "later", "", 0, 0, do_later },
};

static const struct ctl_verbs verbs[] = { { table, ARRAY_SIZE(table), &loop } };

static void front_send(void *ctx, const void *buf, size_t len)
{
	(void)ctx;
	ck_assert_int_eq(write(sv[0], buf, len), (ssize_t)len);
}

static void setup(void)
{
	ck_assert_int_eq(loop_create(64, &loop), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	ck_assert_int_eq(ctl_host_create(loop, sv[1], verbs, 1, &ch), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	ck_assert_int_eq(ctl_front_create(listen_unix(path), front_send, NULL, &cf), 0);
	got[0] = 0;
	later = NULL;
}

static void teardown(void)
{
	ctl_front_destroy(cf);
	ctl_host_destroy(ch);
	loop_destroy(loop);
	(void)close(sv[0]);
	(void)close(sv[1]);
	(void)unlink(path);
	(void)rmdir(dir);
}

/* Everything that can happen now. */
static void run(void)
{
	for (unsigned i = 0; i < 20; i++) {
		struct pollfd fds[CTL_FRONT_FDS];
		int n = ctl_front_fill(cf, fds);
		char buf[700];
		ssize_t len;

		(void)poll(fds, (nfds_t)n, 0);
		ctl_front_done(cf, fds, n);
		loop_poll(loop);
		while ((len = read(sv[0], buf, sizeof(buf))) > 0)
			ctl_front_data(cf, buf, (size_t)len);
	}
}

static void reply(void *ctx, bool ok, const char *text)
{
	size_t len = strlen(got);

	(void)ctx;
	snprintf(got + len, sizeof(got) - len, "%s%s;", ok ? "+" : "-", text);
}

static void request(const char *line)
{
	ck_assert_int_eq(ctl_front_request(cf, line, reply, NULL), 0);
}

START_TEST(requests_are_answered)
{
	setup();
	request("echo a bc");
	request("fail because");
	request("  echo\t");
	request("none");
	request("fail");
	request("echo 1 2 3 4");
	run();
	ck_assert_str_eq(got, "+ok;-no: because;+ok;-none is not known; help lists what is;"
			      "-it is: fail WHY;-it is: echo [WORD...];");
	teardown();
}
END_TEST

START_TEST(one_at_a_time)
{
	setup();
	request("later");
	request("echo");
	run();
	ck_assert_ptr_eq(later, ch);
	ck_assert_str_eq(got, "");
	ctl_host_error(ch, "not today");
	run();
	ck_assert_str_eq(got, "-not today;+ok;");
	/* The session ends in between. */
	request("later");
	request("echo");
	run();
	got[0] = 0;
	ctl_host_destroy(ch);
	ch = NULL;
	run();
	ck_assert_str_eq(got, "-the virtual machine ended;");
	/* And for good. */
	ctl_front_lost(cf);
	ck_assert_str_eq(got, "-the virtual machine ended;-the virtual machine is gone;");
	teardown();
}
END_TEST

START_TEST(a_long_request)
{
	static char line[3 * CTL_LINE];

	setup();
	memset(line, 'x', sizeof(line) - 1);
	request(line);
	request("echo");
	run();
	ck_assert_ptr_nonnull(strstr(got, "longer than"));
	ck_assert_str_eq(got + strlen(got) - 4, "+ok;");
	/* Many short ones: more than fit the buffer while one waits. */
	got[0] = 0;
	request("later");
	for (unsigned i = 0; i < 20; i++) {
		char text[CTL_LINE / 4];

		memset(text, 'a', sizeof(text) - 1);
		text[sizeof(text) - 1] = 0;
		memcpy(text, "echo ", 5);
		request(text);
	}
	run();
	ck_assert_str_eq(got, "");
	ctl_host_ok(ch);
	run();
	ck_assert_uint_eq(strlen(got), 21 * strlen("+ok;"));
	teardown();
}
END_TEST

START_TEST(too_many_wait)
{
	unsigned n = 0;

	setup();
	request("later");
	while (ctl_front_request(cf, "echo", reply, NULL) == 0)
		n++;
	ck_assert_uint_eq(n, 31);
	run();
	ctl_host_ok(ch);
	run();
	ck_assert_uint_eq(strlen(got), 32 * strlen("+ok;"));
	request("echo");
	run();
	ck_assert_uint_eq(strlen(got), 33 * strlen("+ok;"));
	teardown();
}
END_TEST

static int dial(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert(fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	return fd;
}

static void expect(int fd, const char *text)
{
	char buf[1000] = "";

	run();
	(void)!read(fd, buf, sizeof(buf) - 1);
	ck_assert_str_eq(buf, text);
}

START_TEST(clients_get_their_answers)
{
	int a, b;

	setup();
	a = dial();
	b = dial();
	ck_assert_int_eq(write(a, "later\necho x\n", 13), 13);
	run();
	ck_assert_int_eq(write(b, "ec", 2), 2);
	run();
	ck_assert_int_eq(write(b, "ho y\n", 5), 5);
	expect(b, "");
	ctl_host_ok(ch);
	expect(a, "ok\n| 0=x\nok\n");
	expect(b, "| 0=y\nok\n");
	/* One that leaves does not disturb the others, and its place is not mistaken for it. */
	ck_assert_int_eq(write(a, "later\n", 6), 6);
	run();
	(void)close(a);
	run();
	a = dial();
	run();
	ck_assert_int_eq(write(a, "echo z\n", 7), 7);
	run();
	ctl_host_ok(ch);
	expect(a, "| 0=z\nok\n");
	(void)close(a);
	(void)close(b);
	teardown();
}
END_TEST

START_TEST(help_lists_the_verbs)
{
	int a;

	setup();
	a = dial();
	ck_assert_int_eq(write(a, "help\n", 5), 5);
	expect(a, "| echo [WORD...]\n| fail WHY\n| later \nok\n");
	(void)close(a);
	teardown();
}
END_TEST

START_TEST(more_clients_than_places)
{
	int fd[CTL_FRONT_CLIENTS + 1];
	char c;

	setup();
	for (unsigned i = 0; i <= CTL_FRONT_CLIENTS; i++) {
		fd[i] = dial();
		run();
	}
	ck_assert_int_eq(read(fd[CTL_FRONT_CLIENTS], &c, 1), 0);
	ck_assert_int_eq(read(fd[0], &c, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	(void)close(fd[0]);
	run();
	(void)close(fd[CTL_FRONT_CLIENTS]);
	fd[0] = dial();
	ck_assert_int_eq(write(fd[0], "echo\n", 5), 5);
	expect(fd[0], "ok\n");
	for (unsigned i = 0; i < CTL_FRONT_CLIENTS; i++)
		(void)close(fd[i]);
	teardown();
}
END_TEST

START_TEST(a_socket_is_used_once)
{
	int fd;

	setup();
	ck_assert_int_eq(listen_unix(path), -EADDRINUSE);
	/* What a killed run left is no obstacle. */
	ctl_front_destroy(cf);
	ck_assert_int_eq(access(path, F_OK), 0);
	fd = listen_unix(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ctl_front_create(fd, front_send, NULL, &cf), 0);
	teardown();
}
END_TEST

UNIT_MAIN("hvhost/ctl", requests_are_answered, one_at_a_time, a_long_request, too_many_wait,
	  clients_get_their_answers, help_lists_the_verbs, more_clients_than_places,
	  a_socket_is_used_once)
