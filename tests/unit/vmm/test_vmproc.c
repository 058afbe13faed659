/* SPDX-License-Identifier: MIT */
/*
 * The control role's supervision: this program starts itself, and is the vm role when it finds that
 * name in argv[0]. Its first own argument says how that role behaves.
 */
#include "vmproc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc.h"
#include "le.h"
#include "role_proto.h"
#include "unit.h"

/* --- the other process ------------------------------------------------------------------------ */

static void say(int fd, uint32_t type, uint64_t id, const void *body, uint32_t len)
{
	uint8_t head[16];

	le32_store(head, type);
	le32_store(head + 4, len);
	le64_store(head + 8, id);
	if (send(fd, head, sizeof(head), MSG_NOSIGNAL) < 0 ||
	    (len && send(fd, body, len, MSG_NOSIGNAL) < 0))
		_exit(99);
}

/* What it was started with, checked where it can be. */
static int environment(char **argv)
{
	const char *var = getenv("ROLE_TEST");
	int sig = 0;

	if (strcmp(argv[2], "12345") != 0 || !argv[4] || strcmp(argv[4], "more") != 0)
		return 1;
	if (!var || strcmp(var, "yes") != 0 || getenv("HOME"))
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	if (prctl(PR_GET_PDEATHSIG, &sig) < 0 || sig != SIGKILL)
		return 4;
	return 0;
}

static _Noreturn void role(char **argv)
{
	const int fd = (int)strtol(argv[1], NULL, 10);
	const char *how = argv[3];
	uint8_t times[ROLE_STARTED_BYTES], byte;

	le64_store(times, 11);
	le64_store(times + 8, 22);
	if (!strcmp(how, "environment"))
		_exit(environment(argv));
	if (!strcmp(how, "signal")) {
		(void)kill(getpid(), SIGKILL);
	} else if (!strcmp(how, "words")) {
		say(fd, ROLE_STARTED, 0, times, sizeof(times));
		say(fd, ROLE_FLUSH, 7, NULL, 0);
		say(fd, ROLE_ANSWER, 8, "no", 2);
		say(fd, ROLE_INSPECTED, 9, "abc", 3);
		_exit(5);
	} else if (!strcmp(how, "twice")) {
		say(fd, ROLE_STARTED, 0, times, sizeof(times));
		say(fd, ROLE_STARTED, 0, times, sizeof(times));
	} else if (!strcmp(how, "order")) { /* one of control's own messages */
		say(fd, ROLE_PAUSE, 0, NULL, 0);
	} else if (!strcmp(how, "log")) { /* not a record */
		say(fd, ROLE_LOG, 0, "what?", 5);
	} else if (!strcmp(how, "silent")) { /* lives on without its connection */
		(void)close(fd);
	} else if (!strcmp(how, "echo")) {
		if (recv(fd, times, 16, MSG_WAITALL) == 16)
			_exit((int)le32_load(times) == ROLE_PAUSE ? 6 : 7);
	}
	if (!strcmp(how, "wait"))
		say(fd, ROLE_FLUSH, 7, NULL, 0);
	/* One that is well-behaved ends with its connection; the others have to be killed. */
	while (read(fd, &byte, 1) > 0 || strcmp(how, "wait") != 0)
		(void)poll(NULL, 0, 1000);
	_exit(8);
}

static __attribute__((constructor)) void be_the_role(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[0], ROLE_VM_NAME))
		role(argv);
}

/* --- this one --------------------------------------------------------------------------------- */

static struct loop *loop;
static struct vmproc vp;
static unsigned int starts, flushes, answers, inspecteds, ends;
static int status;

static void on_started(void *ctx, uint64_t host_ready_ns, uint64_t now_ns)
{
	(void)ctx;
	ck_assert_uint_eq(host_ready_ns, 11);
	ck_assert_uint_eq(now_ns, 22);
	starts++;
}

static void on_log(void *ctx, const struct log_record *rec)
{
	(void)ctx;
	(void)rec;
	ck_abort_msg("no record was sent");
}

static void on_inspected(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	(void)ctx;
	ck_assert_uint_eq(id, 9);
	ck_assert_uint_eq(len, 3);
	ck_assert_int_eq(memcmp(body, "abc", 3), 0);
	inspecteds++;
}

static void on_answered(void *ctx, uint64_t id, const char *text)
{
	(void)ctx;
	ck_assert_uint_eq(id, 8);
	ck_assert_str_eq(text, "no");
	answers++;
}

static void on_flush(void *ctx, uint64_t id)
{
	(void)ctx;
	ck_assert_uint_eq(id, 7);
	flushes++;
}

static void on_ended(void *ctx, int st)
{
	(void)ctx;
	status = st;
	ends++;
}

static const struct vmproc_ops ops = {
	.started = on_started,
	.log = on_log,
	.inspected = on_inspected,
	.answered = on_answered,
	.flush = on_flush,
	.ended = on_ended,
};

static void launch(const char *how)
{
	static char var[] = "ROLE_TEST=yes", opts[] = "ASAN_OPTIONS=detect_leaks=0";
	char *env[] = { var, opts, NULL };
	const char *first[] = { how }, *second[] = { "more" };
	const struct vmproc_start start = {
		.daemon_start_ns = 12345,
		.args = { { first, 1 }, { second, 1 } },
		.env = env,
	};

	ck_assert_int_eq(loop_create_epoll(&loop), 0);
	vmproc_init(&vp, loop, &ops, NULL);
	ck_assert_int_eq(vmproc_launch(&vp, &start), 0);
	ck_assert_int_gt(vp.pid, 0);
}

/* Until it has ended and nothing more comes. */
static void wait_end(void)
{
	for (int i = 0; i < 10000 && (!ends || !vmproc_silent(&vp)); i++) {
		loop_poll(loop);
		(void)usleep(1000);
	}
	ck_assert_uint_eq(ends, 1);
	ck_assert(vmproc_silent(&vp));
	ck_assert_int_eq(vp.pid, 0);
	ck_assert_int_eq(vmproc_send(&vp, ROLE_PAUSE, 0, NULL, 0), -EPIPE);
	vmproc_fini(&vp);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
	loop_destroy(loop);
}

START_TEST(started_as_promised)
{
	launch("environment");
	wait_end();
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(last_words_and_status)
{
	launch("words");
	wait_end();
	ck_assert_int_eq(WEXITSTATUS(status), 5);
	ck_assert_uint_eq(starts, 1);
	ck_assert_uint_eq(flushes, 1);
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(inspecteds, 1);
}
END_TEST

START_TEST(killed_by_a_signal)
{
	launch("signal");
	wait_end();
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

/* Each of these breaks the protocol, or just goes silent: it is ended, once. */
START_TEST(misbehaves)
{
	static const char *const hows[] = { "twice", "order", "log", "silent" };

	launch(hows[_i % (int)ARRAY_SIZE(hows)]);
	wait_end();
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

START_TEST(gets_messages_and_signals)
{
	launch("echo");
	ck_assert_int_eq(vmproc_send(&vp, ROLE_PAUSE, 1, NULL, 0), 0);
	wait_end();
	ck_assert_int_eq(WEXITSTATUS(status), 6);
	ends = 0;
	launch("wait");
	for (int i = 0; i < 10000 && !flushes; i++) {
		loop_poll(loop);
		(void)usleep(1000);
	}
	vmproc_kill(&vp, SIGTERM);
	wait_end();
	ck_assert_int_eq(WTERMSIG(status), SIGTERM);
}
END_TEST

/* Control goes away in good order: the role does not outlive it. */
START_TEST(ended_with_control)
{
	pid_t pid;

	launch("wait");
	pid = vp.pid;
	vmproc_fini(&vp);
	ck_assert_uint_eq(ends, 0);
	ck_assert_int_eq(kill(pid, 0), -1);
	loop_destroy(loop);
}
END_TEST

UNIT_MAIN_VARIANTS("vmm/vmproc", 4, started_as_promised, last_words_and_status, killed_by_a_signal,
		   misbehaves, gets_messages_and_signals, ended_with_control)
