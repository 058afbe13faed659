/* SPDX-License-Identifier: MIT */
/* Cores of live processes: what is in them, what is not, and that the process runs on. */
#include "core_write.h"
#include "kmsg_note.h"
#include "../../hvhost/core_check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define THREADS 3
#define STAMP 0x5eed0000u

/* What the dumped process shows of itself. */
struct shown {
	volatile uint32_t turns[THREADS];
	volatile int signals;
	volatile int ready;
};

static struct shown *shown;
static uint8_t note[KMSG_NOTE_BYTES];
static int out_fd;
static uint64_t fail_after; /* the sink fails beyond this; 0 = never */
static uint64_t written;
static pid_t stop_in_sink; /* kill ourselves with the dump half done, as a test of letting go */

/* ---- the process ----------------------------------------------------------------------------- */

static void on_usr1(int sig)
{
	(void)sig;
	shown->signals++;
}

static void *worker(void *arg)
{
	volatile uint32_t *turn = arg;

	for (;;) {
		(*turn)++;
		(void)usleep(1000);
	}
	return NULL;
}

/* Two pages with a text each, made at run time so that no file holds it. */
static void plant(const char *a, const char *b, bool dump)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	(void)snprintf(p, 4096, "%s-%s", a, b);
	if (!dump)
		(void)madvise(p, 8192, MADV_DONTDUMP);
}

static void child(void)
{
	const struct sigaction act = { .sa_handler = on_usr1 };
	const struct sigaction normal = { .sa_handler = SIG_DFL };
	pthread_t thread;

	(void)sigaction(SIGTERM, &normal, NULL); /* the test library has its own */
	(void)sigaction(SIGUSR1, &act, NULL);
	plant("KEELSEEN", "4711", true);
	plant("KEELHIDDEN", "4712", false);
	for (unsigned i = 0; i < THREADS; i++) {
		if (pthread_create(&thread, NULL, worker, (void *)(uintptr_t)&shown->turns[i]))
			_exit(1);
	}
	shown->ready = 1;
	for (;;)
		(void)pause();
}

static pid_t start(void)
{
	pid_t pid;

	shown = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shown, MAP_FAILED);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		child();
	while (!shown->ready)
		(void)usleep(1000);
	return pid;
}

static void runs_on(void)
{
	uint32_t before[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		before[i] = shown->turns[i];
	for (unsigned tries = 0; tries < 5000; tries++) {
		bool all = true;

		for (unsigned i = 0; i < THREADS; i++)
			all = all && shown->turns[i] != before[i];
		if (all)
			return;
		(void)usleep(1000);
	}
	ck_abort_msg("a thread stands still");
}

static void end(pid_t pid)
{
	int status;

	runs_on();
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGTERM);
}

/* ---- the dump -------------------------------------------------------------------------------- */

static int sink(void *ctx, const void *buf, size_t len)
{
	(void)ctx;
	written += len;
	if (fail_after && written > fail_after) {
		if (stop_in_sink)
			(void)kill(getpid(), SIGKILL);
		return -EIO;
	}
	return write(out_fd, buf, len) == (ssize_t)len ? 0 : -EIO;
}

static int dump(pid_t pid, struct core_write_stats *ret_stats)
{
	const struct core_write_cfg cfg = {
		.pid = pid, .kmsg_note = note, .stop_timeout_ms = 5000, .sink = sink
	};

	written = 0;
	return core_write(&cfg, ret_stats);
}

static void open_out(char *path)
{
	out_fd = mkstemp(path);
	ck_assert_int_ge(out_fd, 0);
	memcpy(note + KMSG_NOTE_HEAD, "6,1,1,-;a line\n", 15);
	kmsg_note_make(note, 15);
	fail_after = 0;
	stop_in_sink = 0;
}

/* How often a text that is put together here occurs in the file. */
static unsigned count(const char *a, const char *b)
{
	char text[64];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s-%s", a, b);
	off_t size = lseek(out_fd, 0, SEEK_END);
	uint8_t *p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, out_fd, 0), *at = p;
	unsigned n = 0;

	ck_assert_ptr_ne(p, MAP_FAILED);
	while ((at = memmem(at, (size_t)(p + size - at), text, len))) {
		n++;
		at++;
	}
	(void)munmap(p, (size_t)size);
	return n;
}

START_TEST(has_everything)
{
	char path[] = "/tmp/core-XXXXXX", text[CORE_CHECK_TEXT], want[80];
	struct core_write_stats stats;
	pid_t pid = start();
	int r;

	open_out(path);
	ck_assert_int_eq(dump(pid, &stats), 0);
	ck_assert_uint_eq(stats.threads, THREADS + 1);
	ck_assert_uint_eq(stats.bytes, written);
	ck_assert_int_eq(lseek(out_fd, 0, SEEK_END), (off_t)written);
	r = core_check(out_fd, text, sizeof(text));
	ck_assert_msg(r == 0, "%s", text);
	snprintf(want, sizeof(want), "process %d (", pid);
	ck_assert_msg(strncmp(text, want, strlen(want)) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "signal 0, 4 threads"));
	ck_assert_ptr_nonnull(strstr(text, "15 bytes of kernel log"));
	ck_assert_uint_ge(count("KEELSEEN", "4711"), 1);
	ck_assert_uint_eq(count("KEELHIDDEN", "4712"), 0);
	(void)unlink(path);
	end(pid);
}
END_TEST

/* The dumper fails, or is killed, at any point: every thread runs on. */
START_TEST(lets_go)
{
	char path[] = "/tmp/core-XXXXXX";
	struct core_write_stats stats;
	pid_t pid = start();

	open_out(path);
	fail_after = _i ? 600000 : 100;
	ck_assert_int_eq(dump(pid, &stats), -EIO);
	runs_on();
	for (int i = 0; i < 3; i++) {
		pid_t dumper = fork();
		int status;

		if (dumper == 0) {
			stop_in_sink = 1;
			(void)dump(pid, &stats);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(dumper, &status, 0), dumper);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		runs_on();
	}
	(void)unlink(path);
	end(pid);
}
END_TEST

/* Signals that come at the moment of the dump are not lost. */
START_TEST(signals_survive)
{
	char path[] = "/tmp/core-XXXXXX";
	struct core_write_stats stats;
	pid_t pid = start();

	open_out(path);
	for (int i = 1; i <= 5; i++) {
		pid_t killer = fork();

		if (killer == 0) {
			(void)usleep((useconds_t)i * 300);
			_exit(kill(pid, SIGUSR1) < 0);
		}
		ck_assert_int_eq(ftruncate(out_fd, 0), 0);
		ck_assert_int_eq(lseek(out_fd, 0, SEEK_SET), 0);
		ck_assert_int_eq(dump(pid, &stats), 0);
		ck_assert_int_eq(waitpid(killer, NULL, 0), killer);
		for (int tries = 0; tries < 2000 && shown->signals < i; tries++)
			(void)usleep(1000);
		ck_assert_int_eq(shown->signals, i);
	}
	(void)unlink(path);
	end(pid);
}
END_TEST

START_TEST(no_such_process)
{
	struct core_write_stats stats;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(dump(pid, &stats), -ESRCH);
	ck_assert_int_eq(dump(getpid(), &stats), -EINVAL);
	ck_assert_int_eq(dump(0, &stats), -EINVAL);
	ck_assert_int_eq(dump(-1, &stats), -EINVAL);
}
END_TEST

/* ---- the host's look at a core --------------------------------------------------------------- */

START_TEST(damage_is_seen)
{
	char path[] = "/tmp/core-XXXXXX", text[CORE_CHECK_TEXT];
	struct core_write_stats stats;
	pid_t pid = start();
	uint8_t byte = 0xff;

	open_out(path);
	ck_assert_int_eq(dump(pid, &stats), 0);
	end(pid);
	ck_assert_int_eq(core_check(out_fd, text, sizeof(text)), 0);
	ck_assert_int_eq(ftruncate(out_fd, (off_t)stats.bytes - 1), 0);
	ck_assert_int_eq(core_check(out_fd, text, sizeof(text)), -EBADMSG);
	ck_assert_str_eq(text, "shorter than its headers say");
	ck_assert_int_eq(ftruncate(out_fd, 200), 0);
	ck_assert_int_eq(core_check(out_fd, text, sizeof(text)), -EBADMSG);
	ck_assert_int_eq(pwrite(out_fd, &byte, 1, 1), 1);
	ck_assert_int_eq(core_check(out_fd, text, sizeof(text)), -EBADMSG);
	ck_assert_str_eq(text, "not an ELF core");
	ck_assert_int_eq(ftruncate(out_fd, 0), 0);
	ck_assert_int_eq(core_check(out_fd, text, sizeof(text)), -EBADMSG);
	(void)unlink(path);
}
END_TEST

UNIT_MAIN_VARIANTS("crash/core_write", 2, has_everything, lets_go, signals_survive, no_such_process,
		   damage_is_seen)
