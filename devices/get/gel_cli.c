/* SPDX-License-Identifier: MIT */
#include "gel_cli.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gel_msg.h"
#include "kmsg_line.h"
#include "log_ring.h"

#define LOG_AREA "gel"
/* Per turn of the loop, so that a flood of records leaves time for everything else. */
#define RECORDS_PER_TURN 32u
#define KMSG_PER_TURN 16u
#define KMSG_BYTES 8192u /* more than the kernel ever puts into one record */

#define KMSG_CRIT 2u
#define KMSG_NOTICE 5u
#define FACILITY_KERNEL 0u
#define FACILITY_INIT 2u
#define FACILITY_DAEMON 3u
/* The kernel's mark on lines from /dev/ttyprintk, which cuts what is longer than this in two. */
#define TTY_MARK "[U] "
#define TTY_CUT 508u

const struct guid gel_cli_instance = GEL_INSTANCE_GUID;

struct gel_cli {
	bool restricted;
	struct log_ring *ring;
	_Atomic(struct loop *) loop; /* NULL = not attached */
	struct loop_work work;

	/* From here on the loop's thread only. */
	struct pipe *pipe; /* NULL = not attached, or failed */
	size_t rec_len; /* a record that is built but not sent, 0 = none */
	uint64_t missed; /* still to be told by the next event */
	int kmsg_fd;
	struct loop_fd kmsg_watch;
	bool watching;
	bool own_tail; /* the next line from ttyprintk ends one of ours */
	uint64_t next_seq;
	uint64_t kmsg_gap;
	struct log_ring_slot slot;
	uint8_t rec[GEL_MAX_RECORD];
	char kmsg[KMSG_BYTES];
};

/* ---- records of the daemon ------------------------------------------------------------------- */

void gel_cli_put_record(struct gel_cli *gc, const struct log_record *rec)
{
	struct loop *loop;

	/* The statement has dropped it already; another role's word is not enough. */
	if (gc->restricted && rec->cls == CONF)
		return;
	(void)log_ring_put(gc->ring, rec);
	/* Acquire pairs with the release in gel_cli_attach(): the work is set up. */
	loop = atomic_load_explicit(&gc->loop, memory_order_acquire);
	if (loop)
		loop_post(loop, &gc->work);
}

void gel_cli_output(void *ctx, const struct log_record *rec)
{
	gel_cli_put_record(ctx, rec);
}

static bool next_record(struct gel_cli *gc)
{
	if (!log_ring_take(gc->ring, &gc->slot))
		return false;
	gc->missed += gc->slot.rec.missed;
	gc->rec_len = gel_msg_record(&gc->slot.rec, gc->missed, gc->rec);
	if (gc->slot.rec.kind == LOG_EVENT)
		gc->missed = 0;
	return true;
}

/* ---- the kernel's log ------------------------------------------------------------------------ */

static bool starts_with(const char *s, size_t len, const char *with)
{
	const size_t n = strlen(with);

	return len >= n && !memcmp(s, with, n);
}

/* Our own lines come back through /dev/ttyprintk or /dev/kmsg: they have been queued already. */
static bool is_own_line(const char *text, size_t len)
{
	static const char *const starts[] = { "keel error ", "keel warn ", "keel info ",
					      "keel debug ", "keel trace " };

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		if (starts_with(text, len, starts[i]))
			return true;
	}
	return false;
}

/* What somebody wrote to /dev/ttyprintk. False = a line of ours, or the rest of one. */
static bool classify_tty(struct gel_cli *gc, struct gel_kmsg *m)
{
	const bool own = gc->own_tail || is_own_line(m->text, m->text_len);

	gc->own_tail = own && m->text_len > TTY_CUT && m->text[m->text_len - 1] == '\\';
	m->target = "panic";
	m->level = KMSG_CRIT;
	return !own;
}

/* Fill in level and target; false = not for the host. */
static bool classify(struct gel_cli *gc, const struct kmsg_line *k, struct gel_kmsg *m)
{
	m->text = k->text;
	m->text_len = k->text_len;
	if (k->facility == FACILITY_DAEMON)
		return false;
	if (k->facility == FACILITY_KERNEL && starts_with(k->text, k->text_len, TTY_MARK)) {
		m->text += strlen(TTY_MARK);
		m->text_len -= strlen(TTY_MARK);
		return classify_tty(gc, m);
	}
	if (k->level > KMSG_NOTICE || is_own_line(k->text, k->text_len))
		return false;
	m->level = k->level;
	m->target = k->facility == FACILITY_INIT ? "underhill_init" : "kmsg";
	return true;
}

/* Read one record; 1 = it is in gc->rec, 0 = it was not for the host, -errno of read(). */
static int read_kmsg(struct gel_cli *gc)
{
	ssize_t n = read(gc->kmsg_fd, gc->kmsg, sizeof(gc->kmsg));
	struct gel_kmsg m = { 0 };
	struct kmsg_line k;

	if (n < 0)
		/* Overwritten before we came, or too long: the sequence number tells. */
		return errno == EPIPE || errno == EINVAL || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ENODATA;
	if (kmsg_line_parse(gc->kmsg, (size_t)n, &k) < 0)
		return 0;
	if (k.seq > gc->next_seq)
		gc->kmsg_gap += k.seq - gc->next_seq;
	gc->next_seq = k.seq + 1;
	if (!classify(gc, &k, &m))
		return 0;
	m.time_ns = k.time_us * 1000;
	m.missed = gc->kmsg_gap;
	gc->kmsg_gap = 0;
	gc->rec_len = gel_msg_kmsg(&m, gc->rec);
	return 1;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void pause_kmsg(struct gel_cli *gc)
{
	if (gc->watching)
		loop_fd_remove(&gc->kmsg_watch);
	gc->watching = false;
}

static void fail(struct gel_cli *gc, int err)
{
	if (!gc->pipe)
		return;
	pause_kmsg(gc);
	atomic_store_explicit(&gc->loop, NULL, memory_order_relaxed);
	gc->pipe = NULL;
	log_warn(ALLOWED, "the host's log channel is gone (%d)", err);
}

/* Send what is built, if anything. False: it has to wait, or nothing works any more. */
static bool send_record(struct gel_cli *gc)
{
	int r;

	if (!gc->pipe)
		return false;
	r = gc->rec_len ? pipe_send(gc->pipe, gc->rec, gc->rec_len) : 0;
	if (r == -EAGAIN)
		return false;
	if (r < 0) {
		fail(gc, r);
		return false;
	}
	gc->rec_len = 0;
	return true;
}

/* Up to @max records; false when there was no more to send or no room. */
static bool send_records(struct gel_cli *gc, unsigned int max)
{
	for (unsigned int i = 0; i < max; i++) {
		if (!send_record(gc) || !next_record(gc))
			return false;
	}
	return send_record(gc);
}

/* False when there is no more to read for now. */
static bool relay_kmsg(struct gel_cli *gc, unsigned int max)
{
	for (unsigned int i = 0; i < max; i++) {
		int r;

		if (!send_record(gc))
			return false;
		r = read_kmsg(gc);
		if (r < 0 && r != -EAGAIN)
			gc->kmsg_fd = -1; /* nothing to be had from there */
		if (r < 0)
			return false;
	}
	return send_record(gc);
}

static void on_kmsg(void *ctx, uint32_t events);

/* Look at the kernel's log exactly while its lines could be sent. */
static void watch_kmsg(struct gel_cli *gc)
{
	const bool want = gc->pipe && gc->kmsg_fd >= 0 && !gc->rec_len;
	struct loop *loop = atomic_load_explicit(&gc->loop, memory_order_relaxed);

	if (!want)
		pause_kmsg(gc);
	else if (!gc->watching)
		gc->watching =
			loop_fd_add(&gc->kmsg_watch, loop, gc->kmsg_fd, POLLIN, on_kmsg, gc) == 0;
}

static void on_kmsg(void *ctx, uint32_t events)
{
	struct gel_cli *gc = ctx;

	(void)relay_kmsg(gc, KMSG_PER_TURN);
	if (events & POLLNVAL)
		gc->kmsg_fd = -1;
	watch_kmsg(gc);
}

static void on_work(void *ctx)
{
	struct gel_cli *gc = ctx;

	if (send_records(gc, RECORDS_PER_TURN))
		loop_post(atomic_load_explicit(&gc->loop, memory_order_relaxed), &gc->work);
	watch_kmsg(gc);
}

static void on_wake(void *user)
{
	struct gel_cli *gc = user;
	uint8_t msg[64];
	size_t len;
	int r;

	if (!gc->pipe)
		return;
	/* Nothing is expected; looking opens the mask for the signal that there is room. */
	r = pipe_recv(gc->pipe, msg, sizeof(msg), &len);
	if (r != -EAGAIN)
		return fail(gc, r < 0 ? r : -EPROTO);
	on_work(gc);
}

static void on_gone(void *user)
{
	fail(user, -EIO);
}

/* ---- life cycle ------------------------------------------------------------------------------ */

struct gel_cli *gel_cli_create(bool restricted)
{
	struct gel_cli *gc = calloc(1, sizeof(*gc));

	if (!gc)
		return NULL;
	gc->ring = log_ring_create();
	if (!gc->ring) {
		free(gc);
		return NULL;
	}
	gc->restricted = restricted;
	gc->kmsg_fd = -1;
	gc->work = (struct loop_work){ .fn = on_work, .ctx = gc };
	return gc;
}

void gel_cli_destroy(struct gel_cli *gc)
{
	if (!gc)
		return;
	log_ring_destroy(gc->ring);
	free(gc);
}

void gel_cli_attach(struct gel_cli *gc, struct loop *loop, struct pipe *pipe, int kmsg_fd)
{
	gc->pipe = pipe;
	gc->kmsg_fd = gc->restricted ? -1 : kmsg_fd;
	pipe->wake = on_wake;
	pipe->gone = on_gone;
	pipe->user = gc;
	atomic_store_explicit(&gc->loop, loop, memory_order_release);
	loop_post(loop, &gc->work);
}

void gel_cli_detach(struct gel_cli *gc)
{
	if (!gc)
		return;
	pause_kmsg(gc);
	atomic_store_explicit(&gc->loop, NULL, memory_order_relaxed);
	if (gc->pipe) {
		gc->pipe->wake = NULL;
		gc->pipe->gone = NULL;
	}
	gc->pipe = NULL;
	gc->kmsg_fd = -1;
}

void gel_cli_flush(struct gel_cli *gc)
{
	if (!gc || !gc->pipe)
		return;
	(void)send_records(gc, LOG_RING_RECORDS);
	if (gc->kmsg_fd >= 0)
		(void)relay_kmsg(gc, KMSG_PER_TURN);
	watch_kmsg(gc);
}

bool gel_cli_idle(struct gel_cli *gc)
{
	if (!gc || !gc->pipe)
		return true;
	if (gc->rec_len || !log_ring_empty(gc->ring))
		return false;
	return pipe_drained(gc->pipe) != 0; /* an error: nobody takes anything any more */
}

uint64_t gel_cli_missed(const struct gel_cli *gc)
{
	return log_ring_lost(gc->ring);
}
