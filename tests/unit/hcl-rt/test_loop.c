/* SPDX-License-Identifier: MIT */
/* Every test runs on both back ends. */
#include "loop.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define MS 1000000ull

static const char *const backends[] = { "io_uring", "epoll" };
#define N_BACKENDS (int)ARRAY_SIZE(backends)

/* NULL: this machine has no io_uring, nothing to test. */
static struct loop *make(int which)
{
	struct loop *loop;
	int r = which ? loop_create_epoll(&loop) : loop_create(8, &loop);

	ck_assert_int_eq(r, 0);
	if (strcmp(loop_backend(loop), backends[which]) == 0)
		return loop;
	ck_assert_int_eq(which, 0);
	loop_destroy(loop);
	return NULL;
}

/* What an idle owner does until nothing is left to do at once. */
static void settle(struct loop *loop)
{
	for (int i = 0; i < 1000 && loop_pending(loop); i++)
		loop_poll(loop);
	ck_assert(!loop_pending(loop));
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r == 1 && (p.revents & POLLIN);
}

/* ---- messages -------------------------------------------------------------------------------- */

struct note {
	struct loop_work work;
	struct loop *loop;
	int *order;
	int *n;
	int val;
};

static void note_fn(void *ctx)
{
	struct note *note = ctx;

	note->order[(*note->n)++] = note->val;
}

START_TEST(posts_run_in_order)
{
	struct loop *loop = make(_i);
	struct note notes[16];
	int order[16], n = 0;

	if (!loop)
		return;
	for (int i = 0; i < 16; i++) {
		notes[i] = (struct note){ .work = { .fn = note_fn, .ctx = &notes[i] },
					  .order = order,
					  .n = &n,
					  .val = i };
		loop_post(loop, &notes[i].work);
		loop_post(loop, &notes[i].work); /* queued already: nothing */
	}
	ck_assert(loop_pending(loop));
	settle(loop);
	ck_assert_int_eq(n, 16);
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(order[i], i);
	loop_post(loop, &notes[3].work);
	ck_assert(loop_pending(loop));
	n = 0;
	settle(loop);
	ck_assert_int_eq(n, 1);
	loop_destroy(loop);
}
END_TEST

static void post_again(void *ctx)
{
	struct note *note = ctx;

	if (--note->val > 0)
		loop_post(note->loop, &note->work);
	else
		loop_stop(note->loop);
}

START_TEST(work_may_post_itself)
{
	struct loop *loop = make(_i);
	struct note note = { .work = { .fn = post_again, .ctx = &note }, .loop = loop, .val = 100 };

	if (!loop)
		return;
	loop_post(loop, &note.work);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(note.val, 0);
	loop_destroy(loop);
}
END_TEST

#define ROUNDS 20000

struct counter {
	struct loop *loop;
	int count;
	int senders_done;
};

struct token {
	struct loop_work work;
	struct counter *counter;
	uint32_t seen; /* atomic */
	bool last;
};

static void token_fn(void *ctx)
{
	struct token *t = ctx;

	t->counter->count++;
	__atomic_store_n(&t->seen, 1, __ATOMIC_RELEASE);
	if (t->last && ++t->counter->senders_done == 2)
		loop_stop(t->counter->loop);
}

/* Posts a stack full of tokens again and again, waiting for the last of each batch. */
static void *sender(void *arg)
{
	struct counter *c = arg;
	struct token tokens[4];

	for (int round = 0; round < ROUNDS / 4; round++) {
		for (int i = 0; i < 4; i++) {
			tokens[i] = (struct token){
				.work = { .fn = token_fn, .ctx = &tokens[i] },
				.counter = c,
				.last = round == ROUNDS / 4 - 1 && i == 3,
			};
			loop_post(c->loop, &tokens[i].work);
		}
		while (!__atomic_load_n(&tokens[3].seen, __ATOMIC_ACQUIRE))
			(void)usleep(1);
	}
	return NULL;
}

START_TEST(no_post_of_other_threads_is_lost)
{
	struct counter c = { .loop = make(_i) };
	pthread_t threads[2];

	if (!c.loop)
		return;
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sender, &c), 0);
	ck_assert_int_eq(loop_run(c.loop), 0);
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(c.count, 2 * ROUNDS);
	loop_destroy(c.loop);
}
END_TEST

/* ---- the fd as a poll file ------------------------------------------------------------------- */

struct late {
	struct loop *loop;
	struct loop_work *work;
	struct loop_timer *timer;
};

static void *late_thread(void *arg)
{
	struct late *late = arg;

	(void)usleep(20000);
	if (late->work)
		loop_post(late->loop, late->work);
	if (late->timer)
		loop_timer_arm(late->timer, loop_now_ns() + 5 * MS);
	return NULL;
}

static void count_fn(void *ctx)
{
	(*(int *)ctx)++;
}

START_TEST(foreign_post_makes_the_fd_readable)
{
	struct loop *loop = make(_i);
	int count = 0;
	struct loop_work work = { .fn = count_fn, .ctx = &count };
	struct late late = { .loop = loop, .work = &work };
	pthread_t thread;

	if (!loop)
		return;
	settle(loop);
	ck_assert(!readable(loop_ring_fd(loop), 0));
	ck_assert_int_eq(pthread_create(&thread, NULL, late_thread, &late), 0);
	ck_assert(readable(loop_ring_fd(loop), 5000));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(loop_pending(loop));
	settle(loop);
	ck_assert_int_eq(count, 1);
	ck_assert(!readable(loop_ring_fd(loop), 0));
	loop_destroy(loop);
}
END_TEST

START_TEST(foreign_timer_makes_the_fd_readable)
{
	struct loop *loop = make(_i);
	int count = 0;
	struct loop_timer timer;
	struct late late = { .loop = loop, .timer = &timer };
	pthread_t thread;

	if (!loop)
		return;
	loop_timer_init(&timer, loop, count_fn, &count);
	settle(loop);
	ck_assert_int_eq(pthread_create(&thread, NULL, late_thread, &late), 0);
	while (!count) {
		ck_assert(readable(loop_ring_fd(loop), 5000));
		settle(loop);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(count, 1);
	loop_destroy(loop);
}
END_TEST

START_TEST(own_timer_makes_the_fd_readable)
{
	struct loop *loop = make(_i);
	int count = 0;
	struct loop_timer timer;
	uint64_t deadline;

	if (!loop)
		return;
	loop_timer_init(&timer, loop, count_fn, &count);
	settle(loop);
	deadline = loop_now_ns() + 30 * MS;
	loop_timer_arm(&timer, deadline);
	ck_assert(loop_pending(loop)); /* the kernel has to be told */
	settle(loop);
	ck_assert(!readable(loop_ring_fd(loop), 0));
	ck_assert(readable(loop_ring_fd(loop), 5000));
	ck_assert_uint_ge(loop_now_ns(), deadline);
	settle(loop);
	ck_assert_int_eq(count, 1);
	loop_destroy(loop);
}
END_TEST

/* ---- timers ---------------------------------------------------------------------------------- */

struct tick {
	struct loop_timer timer;
	uint64_t deadline;
	int *order, *n;
	int val;
	bool early;
	bool stop;
};

static void tick_fn(void *ctx)
{
	struct tick *t = ctx;

	t->early = loop_now_ns() < t->deadline;
	t->order[(*t->n)++] = t->val;
	if (t->stop)
		loop_stop(t->timer.loop);
}

START_TEST(timers_fire_in_order_of_deadline)
{
	static const uint64_t delay_ms[] = { 15, 5, 25, 1, 20, 10, 3, 30 };
	static const int expected[] = { 3, 6, 1, 5, 0, 4, 2, 7 };
	struct loop *loop = make(_i);
	struct tick ticks[8];
	int order[8], n = 0;
	uint64_t now = loop_now_ns();

	if (!loop)
		return;
	for (int i = 0; i < 8; i++) {
		ticks[i] = (struct tick){ .deadline = now + delay_ms[i] * MS,
					  .order = order,
					  .n = &n,
					  .val = i,
					  .stop = i == 7 };
		loop_timer_init(&ticks[i].timer, loop, tick_fn, &ticks[i]);
		loop_timer_arm(&ticks[i].timer, ticks[i].deadline);
	}
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(n, 8);
	ck_assert_mem_eq(order, expected, sizeof(order));
	for (int i = 0; i < 8; i++)
		ck_assert(!ticks[i].early);
	loop_destroy(loop);
}
END_TEST

START_TEST(timers_move_and_cancel)
{
	struct loop *loop = make(_i);
	int a = 0, b = 0, c = 0;
	struct loop_timer ta, tb, tc;
	uint64_t now;

	if (!loop)
		return;
	loop_timer_init(&ta, loop, count_fn, &a);
	loop_timer_init(&tb, loop, count_fn, &b);
	loop_timer_init(&tc, loop, count_fn, &c);
	loop_timer_cancel(&ta); /* not armed: nothing */
	do { /* again, if this thread was kept from moving them in time */
		now = loop_now_ns();
		a = b = c = 0;
		loop_timer_arm(&ta, now + 10000 * MS);
		loop_timer_arm(&tb, now + 50 * MS);
		loop_timer_arm(&tc, now + 60 * MS);
		settle(loop);
		loop_timer_arm(&ta, now + 100 * MS); /* nearer */
		loop_timer_arm(&tb, now + 60000 * MS); /* further away */
		loop_timer_cancel(&tc);
	} while (loop_now_ns() >= now + 50 * MS);
	while (!a)
		ck_assert_int_eq(loop_wait(loop), 0);
	ck_assert_uint_ge(loop_now_ns(), now + 100 * MS);
	ck_assert_uint_lt(loop_now_ns(), now + 10000 * MS);
	ck_assert_int_eq(b, 0);
	ck_assert_int_eq(c, 0);
	loop_timer_arm(&ta, UINT64_MAX);
	loop_timer_cancel(&tb);
	settle(loop);
	ck_assert_int_eq(a, 1);
	loop_destroy(loop);
}
END_TEST

struct periodic {
	struct loop_timer timer;
	uint64_t next;
	int left;
};

static void periodic_fn(void *ctx)
{
	struct periodic *p = ctx;

	if (--p->left == 0) {
		loop_stop(p->timer.loop);
		return;
	}
	p->next += MS / 2;
	loop_timer_arm(&p->timer, p->next);
}

START_TEST(timer_may_arm_itself)
{
	struct loop *loop = make(_i);
	struct periodic p = { .next = loop_now_ns(), .left = 50 };
	uint64_t start = p.next;

	if (!loop)
		return;
	loop_timer_init(&p.timer, loop, periodic_fn, &p);
	loop_timer_arm(&p.timer, p.next);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(p.left, 0);
	ck_assert_uint_ge(loop_now_ns() - start, 49 * MS / 2);
	loop_destroy(loop);
}
END_TEST

static void past_fn(void *ctx)
{
	struct periodic *p = ctx;

	p->left++;
	loop_timer_arm(&p->timer, 0);
}

START_TEST(timer_in_the_past_does_not_hold_the_loop)
{
	struct loop *loop = make(_i);
	struct periodic p = { 0 };

	if (!loop)
		return;
	loop_timer_init(&p.timer, loop, past_fn, &p);
	loop_timer_arm(&p.timer, 1);
	for (int i = 1; i <= 10; i++) {
		ck_assert(loop_pending(loop));
		loop_poll(loop);
		ck_assert_int_eq(p.left, i);
	}
	loop_destroy(loop);
}
END_TEST

#define N_RANDOM 500

START_TEST(random_arming_keeps_the_order)
{
	static struct tick ticks[N_RANDOM];
	static int order[N_RANDOM];
	struct loop *loop = make(_i);
	uint64_t base = loop_now_ns() - 10 * N_RANDOM, seed = 12345;
	int n = 0, armed = 0;

	if (!loop)
		return;
	for (int i = 0; i < N_RANDOM; i++) {
		ticks[i] = (struct tick){ .order = order, .n = &n, .val = i };
		loop_timer_init(&ticks[i].timer, loop, tick_fn, &ticks[i]);
	}
	for (int step = 0; step < 20 * N_RANDOM; step++) {
		struct tick *t;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		t = &ticks[(seed >> 33) % N_RANDOM];
		if ((seed >> 20) % 4 == 0) {
			loop_timer_cancel(&t->timer);
			t->deadline = 0;
		} else {
			t->deadline = base + (seed >> 40) % (10 * N_RANDOM);
			loop_timer_arm(&t->timer, t->deadline);
		}
	}
	for (int i = 0; i < N_RANDOM; i++)
		armed += ticks[i].deadline != 0;
	loop_poll(loop);
	ck_assert_int_eq(n, armed);
	for (int i = 1; i < n; i++)
		ck_assert_uint_le(ticks[order[i - 1]].deadline, ticks[order[i]].deadline);
	for (int i = 0; i < n; i++)
		ck_assert_uint_ne(ticks[order[i]].deadline, 0);
	loop_destroy(loop);
}
END_TEST

/* ---- file descriptors ------------------------------------------------------------------------ */

struct reader {
	struct loop_fd lfd;
	int calls, bytes;
	uint32_t events;
	bool remove;
};

static void reader_fn(void *ctx, uint32_t events)
{
	struct reader *r = ctx;
	char c;

	r->calls++;
	r->events = events;
	if ((events & POLLIN) && read(r->lfd.fd, &c, 1) == 1)
		r->bytes++;
	if (r->remove)
		loop_fd_remove(&r->lfd);
}

START_TEST(fd_is_level_triggered)
{
	struct loop *loop = make(_i);
	struct reader r = { 0 };
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(loop_fd_add(&r.lfd, loop, fds[0], POLLIN, reader_fn, &r), 0);
	settle(loop);
	ck_assert_int_eq(r.calls, 0);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	/* Takes one byte at a time, so it must be called three times for one write. */
	while (r.bytes < 3)
		ck_assert_int_eq(loop_wait(loop), 0);
	settle(loop);
	ck_assert_int_eq(r.calls, 3);
	ck_assert_uint_eq(r.events & POLLIN, POLLIN);
	loop_fd_remove(&r.lfd);
	loop_fd_remove(&r.lfd);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	settle(loop);
	ck_assert_int_eq(r.calls, 3);
	loop_destroy(loop);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

START_TEST(fd_makes_the_ring_fd_readable)
{
	struct loop *loop = make(_i);
	struct reader r = { 0 };
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(loop_fd_add(&r.lfd, loop, fds[0], POLLIN, reader_fn, &r), 0);
	settle(loop);
	ck_assert(!readable(loop_ring_fd(loop), 0));
	ck_assert_int_eq(write(fds[1], "a", 1), 1);
	ck_assert(readable(loop_ring_fd(loop), 5000));
	settle(loop);
	ck_assert_int_eq(r.bytes, 1);
	(void)close(fds[1]);
	while (!(r.events & POLLHUP))
		ck_assert_int_eq(loop_wait(loop), 0);
	loop_fd_remove(&r.lfd);
	(void)close(fds[0]);
	loop_destroy(loop);
}
END_TEST

START_TEST(fd_removed_in_its_callback)
{
	struct loop *loop = make(_i);
	struct reader a = { .remove = true }, b = { 0 };
	int fds[2], other[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pipe(other), 0);
	ck_assert_int_eq(loop_fd_add(&a.lfd, loop, fds[0], POLLIN, reader_fn, &a), 0);
	ck_assert_int_eq(write(fds[1], "abc", 3), 3);
	while (!a.calls)
		ck_assert_int_eq(loop_wait(loop), 0);
	/* The slot is used again: events of the first watch must not reach the second. */
	ck_assert_int_eq(loop_fd_add(&b.lfd, loop, other[0], POLLIN, reader_fn, &b), 0);
	settle(loop);
	ck_assert_int_eq(a.calls, 1);
	ck_assert_int_eq(b.calls, 0);
	ck_assert_int_eq(write(other[1], "a", 1), 1);
	while (!b.calls)
		ck_assert_int_eq(loop_wait(loop), 0);
	loop_fd_remove(&b.lfd);
	loop_destroy(loop);
	for (size_t i = 0; i < 2; i++) {
		(void)close(fds[i]);
		(void)close(other[i]);
	}
}
END_TEST

START_TEST(removed_socket_really_closes)
{
	struct loop *loop = make(_i);
	struct reader r = { 0 };
	int fds[2];
	char c;

	if (!loop)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(loop_fd_add(&r.lfd, loop, fds[0], POLLIN, reader_fn, &r), 0);
	settle(loop);
	loop_fd_remove(&r.lfd);
	(void)close(fds[0]);
	/* The peer sees the end although the loop does nothing more. */
	ck_assert(readable(fds[1], 5000));
	ck_assert_int_eq(read(fds[1], &c, 1), 0);
	(void)close(fds[1]);
	loop_destroy(loop);
}
END_TEST

#define N_PIPES 40

START_TEST(more_fds_than_submission_entries)
{
	static struct reader r[N_PIPES];
	static int fds[N_PIPES][2];
	struct loop *loop = make(_i);
	int total = 0;

	if (!loop)
		return;
	memset(r, 0, sizeof(r));
	for (int i = 0; i < N_PIPES; i++) {
		ck_assert_int_eq(pipe(fds[i]), 0);
		ck_assert_int_eq(loop_fd_add(&r[i].lfd, loop, fds[i][0], POLLIN, reader_fn, &r[i]),
				 0);
	}
	settle(loop);
	for (int round = 1; round <= 3; round++) {
		for (int i = 0; i < N_PIPES; i++)
			ck_assert_int_eq(write(fds[i][1], "x", 1), 1);
		while (total < round * N_PIPES) {
			ck_assert_int_eq(loop_wait(loop), 0);
			total = 0;
			for (int i = 0; i < N_PIPES; i++)
				total += r[i].bytes;
		}
		for (int i = 0; i < N_PIPES; i++)
			ck_assert_int_eq(r[i].calls, round);
	}
	for (int i = 0; i < N_PIPES; i++) {
		loop_fd_remove(&r[i].lfd);
		(void)close(fds[i][0]);
		(void)close(fds[i][1]);
	}
	settle(loop);
	loop_destroy(loop);
}
END_TEST

START_TEST(bad_fd_is_reported_once)
{
	struct loop *loop = make(_i);
	struct reader r = { 0 };
	int res;

	if (!loop)
		return;
	res = loop_fd_add(&r.lfd, loop, 987654, POLLIN, reader_fn, &r);
	if (res == 0) {
		settle(loop);
		ck_assert_int_eq(r.calls, 1);
		ck_assert_uint_eq(r.events, POLLNVAL);
		loop_fd_remove(&r.lfd);
	} else {
		ck_assert_int_eq(res, -EBADF);
	}
	settle(loop);
	loop_destroy(loop);
}
END_TEST

/* ---- cost ------------------------------------------------------------------------------------ */

/*
 * From here on any system call but exit kills the process. (The strict mode of seccomp would take
 * away the time stamp counter, too, and with it the clock.)
 */
static int forbid_system_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0 ? -errno : 0;
}

static int ask_loop(struct loop *loop)
{
	int count = 0;

	for (int i = 0; i < 1000; i++)
		count += loop_pending(loop);
	return count;
}

/* Some machines have no clock that can be read without the kernel. */
static int ask_clock(struct loop *loop)
{
	return loop_now_ns() == 0;
}

/* The signal that killed fn when it was not allowed a system call, 0 = none. */
static int signal_without_system_calls(int (*fn)(struct loop *loop), struct loop *loop)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (forbid_system_calls() < 0)
			_exit(2);
		(void)syscall(SYS_exit, fn(loop) ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

START_TEST(asking_makes_no_system_call)
{
	struct loop *loop = _i ? NULL : make(_i); /* epoll has to ask the kernel */
	struct loop_timer timer;
	int count = 0;

	if (!loop)
		return;
	settle(loop);
	ck_assert_int_eq(signal_without_system_calls(ask_loop, loop), 0);
	loop_timer_init(&timer, loop, count_fn, &count);
	loop_timer_arm(&timer, loop_now_ns() + 3600000 * MS);
	settle(loop);
	if (signal_without_system_calls(ask_clock, loop) == 0)
		ck_assert_int_eq(signal_without_system_calls(ask_loop, loop), 0);
	loop_destroy(loop);
}
END_TEST

/* ---- stopping, arguments --------------------------------------------------------------------- */

static void *stopper(void *arg)
{
	(void)usleep(20000);
	loop_stop(arg);
	return NULL;
}

START_TEST(stop_from_another_thread)
{
	struct loop *loop = make(_i);
	pthread_t thread;

	if (!loop)
		return;
	ck_assert_int_eq(pthread_create(&thread, NULL, stopper, loop), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_destroy(loop);
}
END_TEST

static void *run_elsewhere(void *arg)
{
	return loop_run(arg) == 0 ? NULL : arg;
}

START_TEST(owner_may_be_another_thread)
{
	struct loop *loop = make(_i);
	struct periodic p = { .next = loop_now_ns(), .left = 5 };
	struct reader r = { 0 };
	pthread_t thread;
	void *failed;
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(loop_fd_add(&r.lfd, loop, fds[0], POLLIN, reader_fn, &r), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	loop_timer_init(&p.timer, loop, periodic_fn, &p);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_elsewhere, loop), 0);
	(void)usleep(20000);
	loop_timer_arm(&p.timer, p.next);
	ck_assert_int_eq(pthread_join(thread, &failed), 0);
	ck_assert_ptr_null(failed);
	ck_assert_int_eq(p.left, 0);
	ck_assert_int_eq(r.bytes, 1);
	loop_destroy(loop);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
END_TEST

START_TEST(bad_arguments)
{
	struct loop *loop;

	ck_assert_int_eq(loop_create(0, &loop), -EINVAL);
	ck_assert_int_eq(loop_create(4, &loop), -EINVAL);
	ck_assert_int_eq(loop_create(24, &loop), -EINVAL);
	ck_assert_int_eq(loop_create(8192, &loop), -EINVAL);
	loop_destroy(NULL);
}
END_TEST

UNIT_MAIN_VARIANTS("rt/loop", N_BACKENDS, posts_run_in_order, work_may_post_itself,
		   no_post_of_other_threads_is_lost, foreign_post_makes_the_fd_readable,
		   foreign_timer_makes_the_fd_readable, own_timer_makes_the_fd_readable,
		   timers_fire_in_order_of_deadline, timers_move_and_cancel, timer_may_arm_itself,
		   timer_in_the_past_does_not_hold_the_loop, random_arming_keeps_the_order,
		   fd_is_level_triggered, fd_makes_the_ring_fd_readable, fd_removed_in_its_callback,
		   removed_socket_really_closes, more_fds_than_submission_entries,
		   bad_fd_is_reported_once, stop_from_another_thread, owner_may_be_another_thread,
		   asking_makes_no_system_call, bad_arguments)
