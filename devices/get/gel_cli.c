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

#define LOG_AREA "gel"
#define RING_BYTES 65536u /* power of two */
#define LINE_LEN_MAX 1024u
/* Per turn of the loop, so that a flood of lines leaves time for everything else. */
#define LINES_PER_TURN 32u
#define KMSG_PER_TURN 16u
#define KMSG_BYTES 8192u /* more than the kernel ever puts into one record */

#define KMSG_NOTICE 5u
#define FACILITY_KERNEL 0u
#define FACILITY_INIT 2u
#define FACILITY_DAEMON 3u
/* The kernel's mark on lines from /dev/ttyprintk, which cuts what is longer than this in two. */
#define TTY_MARK "[U] "
#define TTY_CUT 508u

const struct guid gel_cli_instance = GEL_INSTANCE_GUID;

/* In front of each line in the ring. */
struct line_head {
	uint64_t time_ns;
	uint32_t gap; /* lines lost just before this one */
	uint16_t len;
	uint8_t level; /* enum log_level */
	uint8_t rsvd;
};

struct gel_cli {
	/* One writer at a time (the log lock), one reader (the loop); both run freely. */
	_Atomic uint32_t head, tail;
	_Atomic uint64_t missed;
	uint32_t gap; /* writer: lost since the last line that fitted */
	_Atomic(struct loop *) loop; /* NULL = not attached */
	struct loop_work work;

	/* From here on the loop's thread only. */
	struct pipe *pipe; /* NULL = not attached, or failed */
	size_t rec_len; /* a record that is built but not sent, 0 = none */
	int kmsg_fd;
	struct loop_fd kmsg_watch;
	bool watching;
	bool own_tail; /* the next line from ttyprintk ends one of ours */
	uint64_t next_seq;
	uint64_t kmsg_gap;
	uint8_t rec[GEL_MAX_RECORD];
	char text[LINE_LEN_MAX];
	char kmsg[KMSG_BYTES];
	uint8_t ring[RING_BYTES];
};

/* ---- the ring -------------------------------------------------------------------------------- */

static void ring_write(struct gel_cli *gc, uint32_t at, const void *buf, uint32_t len)
{
	const uint32_t off = at % RING_BYTES, first = MIN(len, RING_BYTES - off);

	memcpy(gc->ring + off, buf, first);
	memcpy(gc->ring, (const uint8_t *)buf + first, len - first);
}

static void ring_read(const struct gel_cli *gc, uint32_t at, void *ret_buf, uint32_t len)
{
	const uint32_t off = at % RING_BYTES, first = MIN(len, RING_BYTES - off);

	memcpy(ret_buf, gc->ring + off, first);
	memcpy((uint8_t *)ret_buf + first, gc->ring, len - first);
}

static void count_lost(struct gel_cli *gc)
{
	atomic_fetch_add_explicit(&gc->missed, 1, memory_order_relaxed);
	if (gc->gap < UINT32_MAX)
		gc->gap++;
}

void gel_cli_put(struct gel_cli *gc, enum log_level level, const char *line)
{
	const uint32_t tail = atomic_load_explicit(&gc->tail, memory_order_relaxed);
	/* Acquire pairs with the release in take_line(): the room is really free. */
	const uint32_t used = tail - atomic_load_explicit(&gc->head, memory_order_acquire);
	const uint32_t len = (uint32_t)strnlen(line, LINE_LEN_MAX);
	struct line_head h = { .time_ns = loop_now_ns(),
			       .gap = gc->gap,
			       .len = (uint16_t)len,
			       .level = (uint8_t)level };
	struct loop *loop;

	if (RING_BYTES - used < sizeof(h) + len) {
		count_lost(gc);
		return;
	}
	ring_write(gc, tail, &h, sizeof(h));
	ring_write(gc, tail + (uint32_t)sizeof(h), line, len);
	gc->gap = 0;
	/* Release pairs with the acquire in take_line(): the line is there before the index. */
	atomic_store_explicit(&gc->tail, tail + (uint32_t)sizeof(h) + len, memory_order_release);
	/* Acquire pairs with the release in gel_cli_attach(): the work is set up. */
	loop = atomic_load_explicit(&gc->loop, memory_order_acquire);
	if (loop)
		loop_post(loop, &gc->work);
}

/* The oldest line into gc->text; false = there is none. */
static bool take_line(struct gel_cli *gc, struct line_head *ret_head)
{
	const uint32_t head = atomic_load_explicit(&gc->head, memory_order_relaxed);

	if (head == atomic_load_explicit(&gc->tail, memory_order_acquire))
		return false;
	ring_read(gc, head, ret_head, sizeof(*ret_head));
	ring_read(gc, head + (uint32_t)sizeof(*ret_head), gc->text, ret_head->len);
	atomic_store_explicit(&gc->head, head + (uint32_t)sizeof(*ret_head) + ret_head->len,
			      memory_order_release);
	return true;
}

/* ---- records --------------------------------------------------------------------------------- */

static enum gel_level level_of_log(uint8_t level)
{
	switch ((enum log_level)level) {
	case LOG_ERR:
		return GEL_ERROR;
	case LOG_WARN:
		return GEL_WARNING;
	case LOG_INFO:
		return GEL_INFO;
	case LOG_DEBUG:
	case LOG_TRACE:
		break;
	}
	return GEL_VERBOSE;
}

/* The area is the third word of "<name> <level> <area>: text"; without one, all of it is text. */
static void split_line(const char *line, size_t len, struct gel_msg *m)
{
	const char *sp = memchr(line, ' ', len), *end = line + len, *colon;

	m->target = "keel";
	m->target_len = 4;
	m->text = line;
	m->text_len = len;
	if (sp)
		sp = memchr(sp + 1, ' ', (size_t)(end - sp - 1));
	if (!sp)
		return;
	colon = memchr(sp + 1, ':', (size_t)(end - sp - 1));
	if (!colon || end - colon < 2 || colon[1] != ' ')
		return;
	m->target = sp + 1;
	m->target_len = (size_t)(colon - m->target);
	m->text = colon + 2;
	m->text_len = (size_t)(end - m->text);
}

static bool next_record(struct gel_cli *gc)
{
	struct gel_msg m = { 0 };
	struct line_head h;

	if (!take_line(gc, &h))
		return false;
	m.level = level_of_log(h.level);
	m.time_ns = h.time_ns;
	m.missed = h.gap;
	split_line(gc->text, h.len, &m);
	gc->rec_len = gel_msg_build(&m, gc->rec);
	return true;
}

/* ---- the kernel's log ------------------------------------------------------------------------ */

static enum gel_level level_of_kernel(uint32_t level)
{
	if (level <= 2)
		return GEL_CRITICAL;
	if (level == 3)
		return GEL_ERROR;
	return level == 4 ? GEL_WARNING : GEL_INFO;
}

static bool starts_with(const char *s, size_t len, const char *with)
{
	const size_t n = strlen(with);

	return len >= n && !memcmp(s, with, n);
}

/* Our own lines come back through /dev/ttyprintk or /dev/kmsg: they have been queued already. */
static bool is_own_line(const char *text, size_t len)
{
	static const char *const starts[] = { "keel error ", "keel warn ", "keel info ",
					      "keel debug " };

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		if (starts_with(text, len, starts[i]))
			return true;
	}
	return false;
}

/* What somebody wrote to /dev/ttyprintk. False = a line of ours, or the rest of one. */
static bool classify_tty(struct gel_cli *gc, struct gel_msg *m)
{
	const bool own = gc->own_tail || is_own_line(m->text, m->text_len);

	gc->own_tail = own && m->text_len > TTY_CUT && m->text[m->text_len - 1] == '\\';
	m->target = "panic";
	m->target_len = strlen("panic");
	m->level = GEL_CRITICAL;
	return !own;
}

/* Fill in level and target; false = not for the host. */
static bool classify(struct gel_cli *gc, const struct kmsg_line *k, struct gel_msg *m)
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
	m->level = level_of_kernel(k->level);
	m->target = k->facility == FACILITY_INIT ? "underhill_init" : "kmsg";
	m->target_len = strlen(m->target);
	return true;
}

/* Read one record; 1 = it is in gc->rec, 0 = it was not for the host, -errno of read(). */
static int read_kmsg(struct gel_cli *gc)
{
	ssize_t n = read(gc->kmsg_fd, gc->kmsg, sizeof(gc->kmsg));
	struct gel_msg m = { .kmsg = true };
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
	gc->rec_len = gel_msg_build(&m, gc->rec);
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
static bool send_lines(struct gel_cli *gc, unsigned int max)
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

	if (send_lines(gc, LINES_PER_TURN))
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

struct gel_cli *gel_cli_create(void)
{
	struct gel_cli *gc = calloc(1, sizeof(*gc));

	if (!gc)
		return NULL;
	gc->kmsg_fd = -1;
	gc->work = (struct loop_work){ .fn = on_work, .ctx = gc };
	return gc;
}

void gel_cli_destroy(struct gel_cli *gc)
{
	free(gc);
}

void gel_cli_attach(struct gel_cli *gc, struct loop *loop, struct pipe *pipe, int kmsg_fd)
{
	gc->pipe = pipe;
	gc->kmsg_fd = kmsg_fd;
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
	/* The shortest line takes its head: no more than these can be queued now. */
	(void)send_lines(gc, RING_BYTES / sizeof(struct line_head));
	if (gc->kmsg_fd >= 0)
		(void)relay_kmsg(gc, KMSG_PER_TURN);
	watch_kmsg(gc);
}

bool gel_cli_idle(struct gel_cli *gc)
{
	if (!gc || !gc->pipe)
		return true;
	if (gc->rec_len || atomic_load_explicit(&gc->head, memory_order_relaxed) !=
				   atomic_load_explicit(&gc->tail, memory_order_acquire))
		return false;
	return pipe_drained(gc->pipe) != 0; /* an error: nobody takes anything any more */
}

uint64_t gel_cli_missed(const struct gel_cli *gc)
{
	return atomic_load_explicit(&gc->missed, memory_order_relaxed);
}
