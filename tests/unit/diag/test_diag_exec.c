/* SPDX-License-Identifier: MIT */
#include "diag_rig.h"

#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNKNOWN 2

static struct rig r;
static int ctl;

static void setup(void)
{
	rig_start(&r, false, NULL);
	ctl = rig_control(&r);
}

static void teardown(void)
{
	(void)close(ctl);
	rig_stop(&r);
}

static struct msg shell(const char *script)
{
	return m_str(m_str(m_str(m_none(), 1, "sh"), 2, "-c"), 2, script);
}

static uint64_t run(struct msg m)
{
	return m_answer_num(rig_call(&r, SVC_DIAG, "Exec", m));
}

static void expect_code(uint64_t pid, uint64_t code)
{
	ck_assert_uint_eq(m_answer_num(rig_call(&r, SVC_DIAG, "Wait", m_num(m_none(), 1, pid))),
			  code);
}

static void expect_text(int fd, const char *text)
{
	struct msg m = rig_read_all(&r, fd);

	ck_assert_str_eq((char *)m.p, text);
	free(m.p);
	(void)close(fd);
}

START_TEST(pipes)
{
	uint64_t id[3], pid;
	int fd[3];
	struct msg m;

	setup();
	for (int i = 0; i < 3; i++)
		fd[i] = rig_data(&r, &id[i]);
	m = m_num(m_num(m_num(shell("cat; echo bad >&2; exit 7"), 4, id[0]), 5, id[1]), 6, id[2]);
	pid = run(m);
	ck_assert(rig_write(&r, fd[0], "hello", 5));
	rig_wait(&r, 20);
	ck_assert_int_eq(shutdown(fd[0], SHUT_WR), 0); /* becomes the end of the program's input */
	expect_text(fd[1], "hello");
	expect_text(fd[2], "bad\n");
	expect_code(pid, 7);
	ck_assert(rig_closed(&r, fd[0]));
	(void)close(fd[0]);
	/* Once per process. */
	rig_expect_call_error(&r, SVC_DIAG, "Wait", m_num(m_none(), 1, pid), UNKNOWN,
			      "pid not found");
	rig_expect_call_error(&r, SVC_DIAG, "Wait", m_num(m_none(), 1, (uint64_t)getpid()), UNKNOWN,
			      "pid not found");
	teardown();
}
END_TEST

/* Wait is left pending while other requests are answered on the same connection. */
START_TEST(wait_while_running)
{
	uint64_t id, pid;
	struct msg m;
	int in;

	setup();
	in = rig_data(&r, &id);
	pid = run(m_num(shell("read x; exit $x"), 4, id));
	rig_request(&r, ctl, 1, SVC_DIAG, "Wait", m_num(m_none(), 1, pid), 0);
	rig_request(&r, ctl, 3, SVC_OPEN, "Ping", m_none(), 0);
	ck_assert_uint_eq(rig_answer(&r, ctl, &m), 3);
	free(m.p);
	rig_request(&r, ctl, 5, SVC_DIAG, "Wait", m_num(m_none(), 1, pid), 0);
	ck_assert_uint_eq(rig_answer(&r, ctl, &m), 5);
	rig_expect_error(m, UNKNOWN, "pid not found");
	ck_assert(rig_write(&r, in, "42\n", 3));
	ck_assert_uint_eq(rig_answer(&r, ctl, &m), 1);
	ck_assert_uint_eq(m_answer_num(m), 42);
	ck_assert(rig_closed(&r, in)); /* the process is gone, so is its input */
	(void)close(in);
	/* With a deadline. */
	pid = run(shell("sleep 30"));
	rig_request(&r, ctl, 7, SVC_DIAG, "Wait", m_num(m_none(), 1, pid), 20000000);
	ck_assert_uint_eq(rig_answer(&r, ctl, &m), 7);
	rig_expect_error(m, 4, "deadline exceeded");
	ck_assert_int_eq(kill((pid_t)pid, SIGKILL), 0);
	rig_wait(&r, 50);
	/* The server ends what still runs. */
	pid = run(shell("sleep 30"));
	teardown();
	ck_assert_int_eq(kill((pid_t)pid, 0), -1);
}
END_TEST

START_TEST(exit_codes)
{
	setup();
	expect_code(run(shell("exit 0")), 0);
	expect_code(run(shell("exit 255")), 255);
	expect_code(run(shell("kill -TERM $$")), 255);
	expect_code(run(shell("kill -SEGV $$")), 255);
	teardown();
}
END_TEST

START_TEST(launch_errors)
{
	char text[128];
	uint64_t id, pid;
	int fd;

	setup();
	(void)snprintf(text, sizeof(text),
		       "failed to launch no-such-program: No such file or directory (os error 2)");
	fd = rig_data(&r, &id);
	rig_expect_call_error(&r, SVC_DIAG, "Exec",
			      m_num(m_str(m_none(), 1, "no-such-program"), 5, id), UNKNOWN, text);
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	rig_expect_call_error(&r, SVC_DIAG, "Exec", m_str(m_none(), 1, "/etc"), UNKNOWN,
			      "failed to launch /etc: Permission denied (os error 13)");
	rig_expect_call_error(&r, SVC_DIAG, "Exec", m_num(shell("true"), 4, 77), UNKNOWN,
			      "failed to get stdin conn: invalid connection id");
	rig_expect_call_error(&r, SVC_DIAG, "Exec", m_num(shell("true"), 5, 77), UNKNOWN,
			      "failed to get stdout conn: invalid connection id");
	fd = rig_data(&r, &id);
	rig_expect_call_error(&r, SVC_DIAG, "Exec", m_num(m_num(shell("true"), 5, id), 6, 77),
			      UNKNOWN, "failed to get stderr conn: invalid connection id");
	ck_assert(rig_closed(&r, fd));
	(void)close(fd);
	pid = run(shell("exit 5")); /* nothing of this was lost */
	expect_code(pid, 5);
	teardown();
}
END_TEST

START_TEST(combined)
{
	uint64_t id;
	int fd;

	setup();
	for (unsigned raw = 0; raw < 2; raw++) {
		fd = rig_data(&r, &id);
		expect_code(run(m_num(m_num(m_num(shell("echo a; echo b >&2; echo c"), 5, id), 7,
					    1),
				      10, raw)),
			    0);
		expect_text(fd, "a\nb\nc\n");
	}
	teardown();
}
END_TEST

START_TEST(raw_sockets)
{
	uint64_t id[3], pid;
	struct msg m;
	int fd[3];

	setup();
	for (int i = 0; i < 3; i++)
		fd[i] = rig_data(&r, &id[i]);
	m = m_num(m_num(m_num(shell("readlink /proc/self/fd/1 >&2; cat; exit 3"), 4, id[0]), 5,
			id[1]),
		  6, id[2]);
	pid = run(m_num(m, 10, 1));
	ck_assert(rig_write(&r, fd[0], "raw", 3));
	(void)shutdown(fd[0], SHUT_WR);
	m = rig_read_all(&r, fd[2]);
	ck_assert_ptr_nonnull(strstr((char *)m.p, "socket:"));
	free(m.p);
	expect_text(fd[1], "raw");
	expect_code(pid, 3);
	(void)close(fd[0]);
	(void)close(fd[2]);
	teardown();
}
END_TEST

START_TEST(terminal)
{
	uint64_t id[3], pid;
	struct msg m;
	int fd[3];

	setup();
	for (int i = 0; i < 3; i++)
		fd[i] = rig_data(&r, &id[i]);
	m = m_num(m_num(m_num(m_str(m_none(), 1, "sh"), 4, id[0]), 5, id[1]), 6, id[2]);
	pid = run(m_num(m, 3, 1));
	/* The third connection is taken and closed. */
	ck_assert(rig_closed(&r, fd[2]));
	m = m_none();
	ck_assert(rig_write(&r, fd[0], "tty; ps -o sid= -p $$ >/dev/null; exit 9\n", 41));
	m = rig_read_all(&r, fd[1]);
	ck_assert_ptr_nonnull(strstr((char *)m.p, "/dev/pts/"));
	free(m.p);
	expect_code(pid, 9);
	for (int i = 0; i < 3; i++)
		(void)close(fd[i]);
	/* A client that goes away hangs the terminal up. */
	fd[0] = rig_data(&r, &id[0]);
	fd[1] = rig_data(&r, &id[1]);
	m = m_num(m_num(m_str(m_none(), 1, "cat"), 4, id[0]), 5, id[1]);
	pid = run(m_num(m, 3, 1));
	(void)close(fd[0]);
	(void)close(fd[1]);
	expect_code(pid, 255);
	teardown();
}
END_TEST

START_TEST(environment)
{
	struct msg m;
	uint64_t id;
	int fd;

	ck_assert_int_eq(setenv("RIG_KEEP", "1", 1), 0);
	ck_assert_int_eq(setenv("RIG_DROP", "1", 1), 0);
	setup();
	fd = rig_data(&r, &id);
	m = m_num(m_str(m_none(), 1, "env"), 5, id);
	m = m_msg(m, 8, m_str(m_none(), 1, "RIG_DROP"));
	m = m_msg(m, 8, m_str(m_str(m_none(), 1, "RIG_EMPTY"), 2, ""));
	m = m_msg(m, 8, m_str(m_str(m_none(), 1, "RIG_NEW"), 2, "a"));
	m = m_msg(m, 8, m_str(m_str(m_none(), 1, "RIG_NEW"), 2, "b"));
	expect_code(run(m), 0);
	m = rig_read_all(&r, fd);
	ck_assert_ptr_nonnull(strstr((char *)m.p, "\nRIG_EMPTY=\nRIG_KEEP=1\nRIG_NEW=b\n"));
	ck_assert_ptr_null(strstr((char *)m.p, "RIG_DROP"));
	free(m.p);
	(void)close(fd);
	/* Cleared: only what the request names; the program is still found by our PATH. */
	fd = rig_data(&r, &id);
	m = m_num(m_num(m_str(m_none(), 1, "env"), 5, id), 9, 1);
	m = m_msg(m, 8, m_str(m_str(m_none(), 1, "Z"), 2, "1"));
	m = m_msg(m, 8, m_str(m_str(m_none(), 1, "A"), 2, "2"));
	expect_code(run(m), 0);
	expect_text(fd, "A=2\nZ=1\n");
	teardown();
}
END_TEST

/* What the new process gets: no signals blocked or ignored, no files but its three. */
START_TEST(clean_process)
{
	static const char script[] = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd";
	const struct sigaction ign = { .sa_handler = SIG_IGN };
	int leak = open("/dev/null", O_RDONLY); /* not marked close-on-exec */
	sigset_t block;
	struct msg m;
	uint64_t id;
	int fd;

	ck_assert_int_ge(leak, 0);
	setup();
	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &block, NULL);
	(void)sigaction(SIGUSR1, &ign, NULL);
	fd = rig_data(&r, &id);
	expect_code(run(m_num(shell(script), 5, id)), 0);
	m = rig_read_all(&r, fd);
	ck_assert_ptr_nonnull(strstr((char *)m.p, "SigBlk:\t0000000000000000"));
	ck_assert_ptr_nonnull(strstr((char *)m.p, "SigIgn:\t0000000000000000"));
	ck_assert_ptr_nonnull(strstr((char *)m.p, "\n0\n1\n2\n3\n")); /* 3 is ls reading */
	ck_assert_ptr_null(strstr((char *)m.p, "\n4\n"));
	free(m.p);
	(void)close(fd);
	(void)close(leak);
	teardown();
}
END_TEST

/* Output is not lost when the program ends first, and a client that hangs up ends the program. */
START_TEST(large_output_and_hangup)
{
	uint64_t id, pid;
	struct msg m;
	int fd;

	setup();
	fd = rig_data(&r, &id);
	pid = run(m_num(shell("head -c 1000000 /dev/zero"), 5, id));
	m = rig_read_all(&r, fd);
	ck_assert_uint_eq(m.len, 1000000);
	free(m.p);
	(void)close(fd);
	expect_code(pid, 0);
	fd = rig_data(&r, &id);
	pid = run(m_num(shell("exec cat /dev/zero"), 5, id));
	rig_wait(&r, 20);
	(void)close(fd);
	expect_code(pid, 255); /* by SIGPIPE */
	teardown();
}
END_TEST

START_TEST(limits)
{
	uint64_t id[DIAG_MAX_CHILDREN], extra, pid, first;
	int fd[DIAG_MAX_CHILDREN], fd_extra;

	setup();
	for (unsigned i = 0; i < DIAG_MAX_CHILDREN; i++) {
		fd[i] = rig_data(&r, &id[i]);
		(void)run(m_num(shell("read x"), 4, id[i]));
	}
	fd_extra = rig_data(&r, &extra);
	rig_expect_call_error(
		&r, SVC_DIAG, "Exec", m_num(shell("true"), 4, extra), UNKNOWN,
		"failed to launch sh: Resource temporarily unavailable (os error 11)");
	ck_assert(rig_closed(&r, fd_extra));
	(void)close(fd_extra);
	for (unsigned i = 0; i < DIAG_MAX_CHILDREN; i++)
		(void)close(fd[i]);
	rig_wait(&r, 100);
	/* Exit codes that nobody asks for are forgotten, oldest first. */
	first = run(shell("exit 1"));
	rig_wait(&r, 30);
	for (unsigned i = 0; i < DIAG_MAX_EXITED; i++) {
		pid = run(shell("exit 2"));
		rig_wait(&r, 10);
	}
	rig_wait(&r, 100);
	expect_code(pid, 2);
	rig_expect_call_error(&r, SVC_DIAG, "Wait", m_num(m_none(), 1, first), UNKNOWN,
			      "pid not found");
	teardown();
}
END_TEST

UNIT_MAIN("diag/diag_exec", pipes, wait_while_running, exit_codes, launch_errors, combined,
	  raw_sockets, terminal, environment, clean_process, large_output_and_hangup, limits)
