/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include "bug.h"
#include "loop_impl.h"
#include "timerheap.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Its address is the identity of the running thread: cheaper than asking the kernel. */
static _Thread_local char thread_identity;

uint64_t loop_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- life cycle ------------------------------------------------------------------------------ */

static int loop_alloc(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop->next_ns = UINT64_MAX;
	loop->armed_ns = UINT64_MAX;
	loop->io_done_tail = &loop->io_done;
	r = pthread_mutex_init(&loop->timer_lock, NULL);
	BUG_ON(r); /* a default mutex needs nothing that could be missing */
	/* Blocking on purpose: a read on the ring must wait for a post instead of failing. */
	loop->event_fd = eventfd(0, EFD_CLOEXEC);
	if (loop->event_fd < 0) {
		r = -errno;
		loop_destroy(loop);
		return r;
	}
	*ret_loop = loop;
	return 0;
}

/* @cfg: NULL = on epoll */
static int loop_create_on(const struct loop_uring_cfg *cfg, struct loop **ret_loop)
{
	struct loop *loop;
	int r = loop_alloc(&loop);

	if (r < 0)
		return r;
	r = cfg ? loop_uring_init(loop, cfg) : loop_epoll_init(loop);
	if (r < 0) {
		loop_destroy(loop);
		return r;
	}
	*ret_loop = loop;
	return 0;
}

static int loop_create_best(const struct loop_uring_cfg *cfg, struct loop **ret_loop)
{
	int r;

	if (cfg->entries < 8 || cfg->entries > 4096 || (cfg->entries & (cfg->entries - 1)))
		return -EINVAL;
	r = loop_create_on(cfg, ret_loop);
	/* Not built in, switched off by the administrator, or filtered in a container. */
	if (r == -ENOSYS || r == -EPERM || r == -EACCES)
		return loop_create_epoll(ret_loop);
	return r;
}

int loop_create(unsigned entries, struct loop **ret_loop)
{
	const struct loop_uring_cfg cfg = { .entries = entries };

	return loop_create_best(&cfg, ret_loop);
}

int loop_create_io(unsigned entries, bool big, struct loop **ret_loop)
{
	const struct loop_uring_cfg cfg = { .entries = entries, .io = true, .big = big };

	return loop_create_best(&cfg, ret_loop);
}

int loop_create_epoll(struct loop **ret_loop)
{
	return loop_create_on(NULL, ret_loop);
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->ops)
		loop->ops->destroy(loop);
	if (loop->event_fd >= 0)
		(void)close(loop->event_fd);
	(void)pthread_mutex_destroy(&loop->timer_lock);
	free(loop->slots);
	free(loop);
}

int loop_ring_fd(const struct loop *loop)
{
	return loop->ops->fd(loop);
}

const char *loop_backend(const struct loop *loop)
{
	return loop->ops->name;
}

size_t loop_memory(const struct loop *loop)
{
	return loop->ops->memory(loop);
}

/* ---- waking ---------------------------------------------------------------------------------- */

static bool is_owner(struct loop *loop)
{
	return atomic_load_explicit(&loop->owner, memory_order_relaxed) == &thread_identity;
}

static void become_owner(struct loop *loop)
{
	if (!is_owner(loop))
		atomic_store_explicit(&loop->owner, &thread_identity, memory_order_relaxed);
}

static void wake(struct loop *loop)
{
	const uint64_t one = 1;

	/* Fails only if the counter is full, and then the loop is awake already. */
	if (write(loop->event_fd, &one, sizeof(one)) < 0)
		return;
}

void loop_stop(struct loop *loop)
{
	atomic_store_explicit(&loop->stop, true, memory_order_release); /* pairs with loop_run */
	if (!is_owner(loop))
		wake(loop);
}

/* ---- messages -------------------------------------------------------------------------------- */

void loop_post(struct loop *loop, struct loop_work *work)
{
	struct loop_work *head;

	/* Pairs with the release in run_posted(): whoever may post again sees the queue left. */
	if (__atomic_exchange_n(&work->queued, 1, __ATOMIC_ACQUIRE))
		return;
	head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
	do {
		work->next = head;
		/* Release pairs with the acquire in run_posted(): fn sees what the sender wrote. */
	} while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, work,
							memory_order_release,
							memory_order_relaxed));
	/* A queue that was not empty has been announced, or the owner itself filled it and looks
	 * at it before it sleeps. */
	if (!head && !is_owner(loop))
		wake(loop);
}

static void run_posted(struct loop *loop)
{
	struct loop_work *work, *ordered = NULL;

	if (!atomic_load_explicit(&loop->posted, memory_order_relaxed))
		return;
	work = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
	while (work) {
		struct loop_work *next = work->next;

		work->next = ordered;
		ordered = work;
		work = next;
	}
	while (ordered) {
		void (*fn)(void *ctx) = ordered->fn;
		void *ctx = ordered->ctx;

		work = ordered;
		ordered = work->next;
		/* From here on the sender may post it again, and fn may free it. */
		__atomic_store_n(&work->queued, 0, __ATOMIC_RELEASE);
		fn(ctx);
	}
}

/* ---- timers ---------------------------------------------------------------------------------- */

void loop_timer_init(struct loop_timer *t, struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
	*t = (struct loop_timer){ .fn = fn, .ctx = ctx, .loop = loop };
}

/* Timer lock held. */
static void timer_unlink(struct loop_timer *t)
{
	if (!t->armed)
		return;
	timerheap_del(&t->loop->timers, t);
	t->loop->n_timers--;
	t->armed = false;
}

/* Timer lock held. Returns: did the earliest deadline come nearer? */
static bool publish_next(struct loop *loop)
{
	uint64_t next = loop->timers ? loop->timers->deadline_ns : UINT64_MAX;
	uint64_t old = atomic_exchange_explicit(&loop->next_ns, next, memory_order_relaxed);

	return next < old;
}

void loop_timer_arm(struct loop_timer *t, uint64_t deadline_ns)
{
	struct loop *loop = t->loop;
	bool nearer;

	(void)pthread_mutex_lock(&loop->timer_lock);
	timer_unlink(t);
	t->deadline_ns = deadline_ns;
	if (deadline_ns != UINT64_MAX) {
		timerheap_add(&loop->timers, t);
		loop->n_timers++;
		t->armed = true;
	}
	nearer = publish_next(loop);
	(void)pthread_mutex_unlock(&loop->timer_lock);
	if (nearer && !is_owner(loop))
		wake(loop);
}

void loop_timer_cancel(struct loop_timer *t)
{
	struct loop *loop = t->loop;

	(void)pthread_mutex_lock(&loop->timer_lock);
	timer_unlink(t);
	(void)publish_next(loop);
	(void)pthread_mutex_unlock(&loop->timer_lock);
}

/* Take the first timer out if it is due. */
static struct loop_timer *pop_due(struct loop *loop, uint64_t now)
{
	struct loop_timer *t;

	(void)pthread_mutex_lock(&loop->timer_lock);
	t = loop->timers;
	if (t && t->deadline_ns <= now) {
		timer_unlink(t);
		(void)publish_next(loop);
	} else {
		t = NULL;
	}
	(void)pthread_mutex_unlock(&loop->timer_lock);
	return t;
}

static bool timer_due(struct loop *loop)
{
	uint64_t next = atomic_load_explicit(&loop->next_ns, memory_order_relaxed);

	return next != UINT64_MAX && next <= loop_now_ns();
}

/* A callback that arms a timer in the past gets it run on the next visit, not on this one. */
static void run_timers(struct loop *loop)
{
	uint64_t now;
	size_t left;

	if (!timer_due(loop))
		return;
	now = loop_now_ns();
	(void)pthread_mutex_lock(&loop->timer_lock);
	left = loop->n_timers;
	(void)pthread_mutex_unlock(&loop->timer_lock);
	while (left--) {
		struct loop_timer *t = pop_due(loop, now);

		if (!t)
			return;
		t->fn(t->ctx);
	}
}

/* Tell the back end only of deadlines nearer than what it waits for; a wake too early is cheap. */
static bool timeout_stale(struct loop *loop)
{
	return atomic_load_explicit(&loop->next_ns, memory_order_relaxed) < loop->armed_ns;
}

static void update_timeout(struct loop *loop)
{
	if (!timeout_stale(loop))
		return;
	loop->armed_ns = atomic_load_explicit(&loop->next_ns, memory_order_relaxed);
	loop->ops->arm_timeout(loop, loop->armed_ns);
}

/* ---- file descriptors ------------------------------------------------------------------------ */

static int slots_grow(struct loop *loop)
{
	uint32_t n = loop->n_slots ? 2 * loop->n_slots : 8;
	struct loop_slot *slots;

	if (n > LOOP_MAX_FDS)
		return -ENOSPC;
	slots = realloc(loop->slots, n * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = loop->n_slots; i < n; i++)
		slots[i] = (struct loop_slot){ 0 };
	loop->slots = slots;
	loop->n_slots = n;
	return 0;
}

static int slot_get(struct loop *loop, uint32_t *ret_idx)
{
	uint32_t idx = 0;
	int r;

	while (idx < loop->n_slots && loop->slots[idx].lfd)
		idx++;
	if (idx == loop->n_slots) {
		r = slots_grow(loop);
		if (r < 0)
			return r;
	}
	*ret_idx = idx;
	return 0;
}

int loop_fd_add(struct loop_fd *lfd, struct loop *loop, int fd, uint32_t events,
		void (*fn)(void *ctx, uint32_t events), void *ctx)
{
	uint32_t idx;
	int r = slot_get(loop, &idx);

	if (r < 0)
		return r;
	*lfd = (struct loop_fd){
		.fn = fn,
		.ctx = ctx,
		.loop = loop,
		.fd = fd,
		.events = events,
		.state = idx + 1,
	};
	loop->slots[idx].lfd = lfd;
	loop->slots[idx].armed = loop->slots[idx].broken = false;
	r = loop->ops->watch(loop, idx);
	if (r < 0) {
		loop->slots[idx].lfd = NULL;
		lfd->state = 0;
	}
	return r;
}

void loop_fd_remove(struct loop_fd *lfd)
{
	struct loop *loop = lfd->loop;
	uint32_t idx = lfd->state - 1;

	if (!lfd->state)
		return;
	BUG_ON(idx >= loop->n_slots || loop->slots[idx].lfd != lfd);
	if (loop->slots[idx].armed)
		loop->ops->unwatch(loop, idx);
	loop->slots[idx].lfd = NULL;
	loop->slots[idx].gen++;
	lfd->state = 0;
}

void loop_slot_event(struct loop *loop, uint32_t idx, uint32_t gen, uint32_t events, bool failed)
{
	struct loop_fd *lfd;

	if (idx >= loop->n_slots || !loop->slots[idx].lfd || loop->slots[idx].gen != gen)
		return; /* of a watch that has ended */
	lfd = loop->slots[idx].lfd;
	loop->slots[idx].broken = failed;
	lfd->fn(lfd->ctx, events);
	/* fn may have removed it, or have made the array move. */
	if (loop->slots[idx].gen != gen || loop->slots[idx].armed || failed)
		return;
	if (loop->ops->watch(loop, idx) < 0)
		loop->rearm = true;
}

static void rearm_slots(struct loop *loop)
{
	if (!loop->rearm)
		return;
	loop->rearm = false;
	for (uint32_t i = 0; i < loop->n_slots; i++) {
		struct loop_slot *s = &loop->slots[i];

		if (!s->lfd || s->armed || s->broken)
			continue;
		if (loop->ops->watch(loop, i) < 0)
			loop_slot_event(loop, i, s->gen, POLLNVAL, true);
		else if (!s->armed)
			loop->rearm = true;
	}
}

/* ---- running --------------------------------------------------------------------------------- */

/* Work that the kernel does not know of. */
static bool has_own_work(struct loop *loop)
{
	return atomic_load_explicit(&loop->posted, memory_order_relaxed) || loop->rearm ||
	       loop->io_done || atomic_load_explicit(&loop->stop, memory_order_relaxed) ||
	       timer_due(loop);
}

bool loop_pending(struct loop *loop)
{
	return timeout_stale(loop) || loop->ops->pending(loop) || has_own_work(loop);
}

/* Everything the kernel must know before this thread sleeps or enters the guest. */
static void prepare(struct loop *loop)
{
	rearm_slots(loop);
	update_timeout(loop);
}

static void run_all(struct loop *loop)
{
	loop->ops->reap(loop);
	loop_io_run_done(loop);
	run_posted(loop);
	run_timers(loop);
}

void loop_poll(struct loop *loop)
{
	become_owner(loop);
	run_all(loop);
	prepare(loop);
	(void)loop->ops->submit(loop, false); /* what stays queued keeps loop_pending() true */
}

int loop_wait(struct loop *loop)
{
	int r;

	become_owner(loop);
	prepare(loop);
	/* Other threads that post from now on find the queue empty and write the eventfd. */
	r = loop->ops->submit(loop, !has_own_work(loop));
	if (r < 0)
		return r;
	run_all(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	/* Acquire pairs with loop_stop(): what was written before it is visible after the loop. */
	while (!atomic_load_explicit(&loop->stop, memory_order_acquire) && (r >= 0 || r == -EINTR))
		r = loop_wait(loop);
	atomic_store_explicit(&loop->stop, false, memory_order_relaxed);
	return r == -EINTR ? 0 : r;
}
