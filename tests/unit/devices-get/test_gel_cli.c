/* SPDX-License-Identifier: MIT */
/* The log client over a pipe in memory; the kernel's log is a socket that keeps record borders. */
#include "gel_cli.h"
#include "get_proto.h"
#include "json.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#define PAGES 8u

struct half {
	_Alignas(KEEL_PAGE_SIZE) uint8_t ctl[KEEL_PAGE_SIZE];
	uint8_t data[PAGES][KEEL_PAGE_SIZE];
	void *pages[PAGES];
};

static struct half halves[2];
static struct pipe ours, host; /* the two ends */
static struct loop *loop;
static struct gel_cli *gc;
static bool restricted;
static enum gel_type want_type = GEL_EVENT;
static int kmsg[2] = { -1, -1 }; /* we read [0], the "kernel" writes [1] */
static bool signalled; /* the host signalled us */

/* The last record the host took. */
static struct {
	struct gel_header h;
	char target[GEL_MAX_TARGET + 1], text[GEL_MAX_MESSAGE];
	uint64_t missed;
} got;

static void to_host(void *transport)
{
	(void)transport;
}

static void to_us(void *transport)
{
	(void)transport;
	signalled = true;
}

static struct ring_mem mem_of(struct half *h)
{
	for (unsigned i = 0; i < PAGES; i++)
		h->pages[i] = h->data[i];
	return (struct ring_mem){ .ctl = h->ctl, .pages = h->pages, .n_pages = PAGES };
}

static void setup(bool with_kmsg)
{
	struct ring_mem a = mem_of(&halves[0]), b = mem_of(&halves[1]);

	ck_assert_int_eq(loop_create(64, &loop), 0);
	ck_assert_int_eq(pipe_attach(&ours, &a, &b, to_host, NULL), 0);
	ck_assert_int_eq(pipe_attach(&host, &b, &a, to_us, NULL), 0);
	if (with_kmsg)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, kmsg), 0);
	gc = gel_cli_create(restricted);
	ck_assert_ptr_nonnull(gc);
}

static void attach(void)
{
	gel_cli_attach(gc, loop, &ours, kmsg[0]);
	ours.wake(ours.user); /* as the transport does when it starts */
}

static void teardown(void)
{
	gel_cli_detach(gc);
	gel_cli_destroy(gc);
	loop_destroy(loop);
	if (kmsg[0] >= 0) {
		(void)close(kmsg[0]);
		(void)close(kmsg[1]);
	}
}

static void settle(void)
{
	for (int i = 0; i < 20; i++) {
		if (signalled) {
			signalled = false;
			if (ours.wake)
				ours.wake(ours.user);
		}
		loop_poll(loop);
	}
}

static void parse_message(const char *text, size_t len)
{
	struct json j;
	uint32_t missed;

	ck_assert_int_eq(json_parse(text, len, &j), 0);
	ck_assert_int_eq(json_string(&j, json_member(&j, json_member(&j, 0, "fields"), "message"),
				     got.text, sizeof(got.text)),
			 0);
	ck_assert(json_string_is(&j, json_member(&j, 0, "target"), got.target));
	missed = json_member(&j, 0, "missed_events");
	if (missed == JSON_NONE)
		missed = json_member(&j, json_member(&j, 0, "fields"), "missed_entries");
	got.missed = 0;
	if (missed != JSON_NONE)
		ck_assert_int_eq(json_u64(&j, missed, UINT64_MAX, &got.missed), 0);
	json_fini(&j);
}

/* Take one record; false when there is none. */
static bool take(void)
{
	static uint8_t rec[GEL_MAX_RECORD];
	size_t len;
	int r = pipe_recv(&host, rec, sizeof(rec), &len);

	if (r == -EAGAIN)
		return false;
	ck_assert_int_eq(r, 0);
	ck_assert_uint_ge(len, sizeof(got.h));
	memcpy(&got.h, rec, sizeof(got.h));
	ck_assert_uint_eq(got.h.type, want_type);
	ck_assert_uint_eq(len, sizeof(got.h) + got.h.message.off + got.h.message.size);
	memcpy(got.target, rec + sizeof(got.h) + got.h.target.off, got.h.target.size);
	got.target[got.h.target.size] = 0;
	if (want_type != GEL_EVENT)
		return true;
	parse_message((const char *)rec + sizeof(got.h) + got.h.message.off, got.h.message.size);
	return true;
}

static void say(enum log_level level, const char *target, const char *text)
{
	const struct log_record rec = { .level = level,
					.time_ns = loop_now_ns(),
					.target = target,
					.name = "",
					.context = "",
					.text = text };

	gel_cli_put_record(gc, &rec);
}

static bool settle_and_take(void)
{
	settle();
	return take();
}

static void expect(enum gel_level level, const char *target, const char *text)
{
	settle();
	ck_assert_msg(take(), "nothing came, wanted: %s", text);
	ck_assert_str_eq(got.text, text);
	ck_assert_str_eq(got.target, target);
	ck_assert_uint_eq(got.h.level, level);
}

static void expect_none(void)
{
	settle();
	ck_assert_msg(!take(), "not wanted: %s", got.text);
}

static void kernel_says(const char *record)
{
	ck_assert_int_eq(send(kmsg[1], record, strlen(record), 0), (ssize_t)strlen(record));
}

/* Lines from before the channel arrive, in order, with their own time. */
START_TEST(early_lines)
{
	uint64_t before = loop_now_ns() / 100, first;

	setup(false);
	say(LOG_ERR, "vm", "first");
	say(LOG_WARN, "get", "second: with a colon");
	say(LOG_INFO, "stats", "stats {\"exits\":{\"pio\":1}}");
	say(LOG_DEBUG, "a-b", "");
	gel_cli_flush(gc); /* not attached: nothing happens */
	attach();
	expect(GEL_ERROR, "vm", "first");
	first = got.h.timestamp;
	ck_assert_uint_ge(first, before);
	ck_assert_uint_eq(got.h.flags, 0);
	expect(GEL_WARNING, "get", "second: with a colon");
	ck_assert_uint_ge(got.h.timestamp, first);
	expect(GEL_INFO, "stats", "stats {\"exits\":{\"pio\":1}}");
	expect(GEL_VERBOSE, "a-b", "");
	expect_none();
	say(LOG_INFO, "vm", "later");
	expect(GEL_INFO, "vm", "later");
	teardown();
}
END_TEST

/* Spans are told apart by the header; what was missed waits for the next event. */
START_TEST(spans)
{
	const struct log_field field = { .key = "n", .type = LOG_F_U64, .u64 = 3 };
	struct log_record rec = { .kind = LOG_SPAN_ENTER,
				  .level = LOG_INFO,
				  .missed = 2,
				  .activity = { .d1 = 1 },
				  .target = "vm",
				  .name = "start",
				  .context = "start{n=3}",
				  .text = "",
				  .fields = &field,
				  .n_fields = 1 };

	setup(false);
	attach();
	gel_cli_put_record(gc, &rec);
	rec.kind = LOG_SPAN_EXIT;
	gel_cli_put_record(gc, &rec);
	say(LOG_INFO, "vm", "after");
	settle();
	want_type = GEL_SPAN_ENTER;
	ck_assert(take());
	ck_assert_uint_eq(got.h.activity[0], 1);
	want_type = GEL_SPAN_EXIT;
	ck_assert(take());
	want_type = GEL_EVENT;
	ck_assert(take());
	ck_assert_str_eq(got.text, "after");
	ck_assert_uint_eq(got.missed, 4);
	teardown();
}
END_TEST

/* Another role's word does not open what is closed. */
START_TEST(restricted_drops_conf)
{
	struct log_record rec = { .level = LOG_ERR,
				  .cls = CONF,
				  .target = "vm",
				  .name = "",
				  .context = "",
				  .text = "secret" };

	restricted = true;
	setup(true);
	attach();
	gel_cli_put_record(gc, &rec);
	kernel_says("0,0,1,-;secret\n");
	gel_cli_flush(gc);
	expect_none();
	rec.cls = ALLOWED;
	rec.text = "fine";
	gel_cli_put_record(gc, &rec);
	expect(GEL_ERROR, "vm", "fine");
	expect_none();
	restricted = false;
	teardown();
}
END_TEST

/* More than the ring holds: what is lost is counted once, at its place. */
START_TEST(overflow)
{
	char line[300], text[300];
	unsigned sent = 0, n = 0;

	setup(false);
	while (!gel_cli_missed(gc)) {
		snprintf(line, sizeof(line), "%u %0200u", sent++, 0);
		say(LOG_INFO, "vm", line);
		ck_assert_uint_lt(sent, 1000);
	}
	sent--; /* the last one was lost */
	ck_assert_uint_gt(sent, 150);
	for (int i = 0; i < 4; i++)
		say(LOG_INFO, "vm", line);
	ck_assert_uint_eq(gel_cli_missed(gc), 5);
	attach();
	while (settle_and_take()) {
		snprintf(text, sizeof(text), "%u %0200u", n++, 0);
		ck_assert_str_eq(got.text, text);
		ck_assert_uint_eq(got.missed, 0);
	}
	ck_assert_uint_eq(n, sent);
	say(LOG_INFO, "vm", "after");
	expect(GEL_INFO, "vm", "after");
	ck_assert_uint_eq(got.missed, 5);
	say(LOG_INFO, "vm", "once");
	expect(GEL_INFO, "vm", "once");
	ck_assert_uint_eq(got.missed, 0);
	teardown();
}
END_TEST

/* A host that reads slowly gets every line once, in order. */
START_TEST(full_channel)
{
	char line[64];
	unsigned n = 0;

	setup(false);
	attach();
	for (unsigned i = 0; i < 300; i++) {
		snprintf(line, sizeof(line), "line %u", i);
		say(LOG_INFO, "vm", line);
		if (i % 50 == 0)
			settle();
	}
	for (int i = 0; i < 5; i++)
		gel_cli_flush(gc); /* no room: nothing is lost, nothing twice */
	/* The channel is full long before the end. */
	while (settle_and_take()) {
		snprintf(line, sizeof(line), "line %u", n++);
		ck_assert_str_eq(got.text, line);
	}
	ck_assert_uint_eq(n, 300);
	ck_assert_uint_eq(gel_cli_missed(gc), 0);
	teardown();
}
END_TEST

/* A backlog is sent in several turns of the loop: others get theirs in between. */
START_TEST(short_turns)
{
	unsigned n = 0;

	setup(false);
	for (int i = 0; i < 100; i++)
		say(LOG_INFO, "vm", "x");
	gel_cli_attach(gc, loop, &ours, -1);
	loop_poll(loop);
	while (take())
		n++;
	ck_assert_uint_ge(n, 10);
	ck_assert_uint_lt(n, 60);
	ck_assert(loop_pending(loop));
	while (settle_and_take())
		n++;
	ck_assert_uint_eq(n, 100);
	teardown();
}
END_TEST

/* Without a turn of the loop. */
START_TEST(flush)
{
	setup(true);
	attach();
	settle();
	say(LOG_INFO, "vm", "the end");
	kernel_says("4,0,5,-;of the kernel\n");
	gel_cli_flush(gc);
	ck_assert(take());
	ck_assert_str_eq(got.text, "the end");
	ck_assert(take());
	ck_assert_str_eq(got.text, "of the kernel");
	expect_none();
	teardown();
}
END_TEST

START_TEST(idle)
{
	setup(false);
	say(LOG_INFO, "vm", "x");
	ck_assert(gel_cli_idle(gc)); /* there is nobody to wait for */
	ck_assert(gel_cli_idle(NULL));
	attach();
	settle();
	ck_assert(!gel_cli_idle(gc)); /* in the channel */
	ck_assert(take());
	ck_assert(gel_cli_idle(gc));
	say(LOG_INFO, "vm", "y");
	ck_assert(!gel_cli_idle(gc)); /* queued */
	settle();
	ck_assert(take());
	for (int i = 0; i < 200; i++)
		say(LOG_INFO, "vm", "z");
	for (int i = 0; i < 500 && !gel_cli_idle(gc); i++)
		ck_assert(settle_and_take());
	ck_assert(gel_cli_idle(gc));
	say(LOG_INFO, "vm", "nobody");
	ours.failed = true;
	settle();
	ck_assert(gel_cli_idle(gc));
	teardown();
}
END_TEST

START_TEST(kernel_lines)
{
	setup(true);
	attach();
	kernel_says("0,0,1000001,-;emergency\n");
	expect(GEL_CRITICAL, "kmsg", "emergency");
	ck_assert_uint_eq(got.h.flags, GEL_FLAG_KMSG);
	ck_assert_uint_eq(got.h.timestamp, 10000010);
	ck_assert_uint_eq(got.missed, 0);
	kernel_says("3,1,2,-;error\n SUBSYSTEM=x\n");
	expect(GEL_ERROR, "kmsg", "error");
	kernel_says("4,2,3,c;warning\\x0atwo\n");
	expect(GEL_WARNING, "kmsg", "warning\ntwo");
	kernel_says("5,3,4,-;notice\n");
	expect(GEL_INFO, "kmsg", "notice");
	kernel_says("6,4,5,-;info\n");
	kernel_says("7,5,5,-;debug\n");
	expect_none();
	kernel_says("20,6,6,-;init: warning\n"); /* facility 2 */
	expect(GEL_WARNING, "underhill_init", "init: warning");
	kernel_says("22,7,6,-;init: info\n");
	expect_none();
	kernel_says("6,8,7,-;[U] *** stack smashing detected ***\n");
	expect(GEL_CRITICAL, "panic", "*** stack smashing detected ***");
	kernel_says("nonsense");
	expect_none();
	kernel_says("12,9,8,-;somebody else\n"); /* facility 1 */
	expect(GEL_WARNING, "kmsg", "somebody else");
	teardown();
}
END_TEST

/* What the daemon logged comes back by three ways; none is relayed. */
START_TEST(own_lines)
{
	char rest[600];

	setup(true);
	attach();
	kernel_says("27,0,1,-;keel error vm: by facility\n");
	kernel_says("27,1,1,-;by facility, other text\n");
	kernel_says("12,2,1,-;keel warn vm: by text\n");
	kernel_says("6,3,1,-;[U] keel info vm: by ttyprintk\n");
	/* ttyprintk cuts after 508 characters: the rest is ours as well, what follows is not. */
	snprintf(rest, sizeof(rest), "6,4,1,-;[U] keel info vm: %0494u\\x5c\n", 0);
	kernel_says(rest);
	kernel_says("6,5,1,-;[U] the rest\n");
	expect_none();
	kernel_says("6,6,1,-;[U] not ours\n");
	expect(GEL_CRITICAL, "panic", "not ours");
	/* A short line that ends like a cut one is whole. */
	kernel_says("6,7,1,-;[U] keel info vm: C:\\x5c\n");
	kernel_says("6,8,1,-;[U] again not ours\n");
	expect(GEL_CRITICAL, "panic", "again not ours");
	ck_assert_uint_eq(got.missed, 0);
	expect_none();
	teardown();
}
END_TEST

START_TEST(kernel_gap)
{
	setup(true);
	attach();
	kernel_says("4,10,1,-;first we saw\n");
	expect(GEL_WARNING, "kmsg", "first we saw");
	ck_assert_uint_eq(got.missed, 10);
	kernel_says("6,11,1,-;not relayed, not missed\n");
	kernel_says("6,15,1,-;three missed, not relayed itself\n");
	kernel_says("4,16,1,-;next\n");
	expect(GEL_WARNING, "kmsg", "next");
	ck_assert_uint_eq(got.missed, 3);
	kernel_says("4,17,1,-;last\n");
	expect(GEL_WARNING, "kmsg", "last");
	ck_assert_uint_eq(got.missed, 0);
	teardown();
}
END_TEST

START_TEST(kernel_not_wanted)
{
	setup(true);
	gel_cli_attach(gc, loop, &ours, -1); /* a confidential VM */
	ours.wake(ours.user);
	kernel_says("0,0,1,-;secret\n");
	gel_cli_flush(gc);
	expect_none();
	say(LOG_INFO, "vm", "allowed");
	expect(GEL_INFO, "vm", "allowed");
	expect_none();
	teardown();
}
END_TEST

static unsigned kernel_left(void)
{
	char buf[256];
	unsigned n = 0;

	while (recv(kmsg[0], buf, sizeof(buf), 0) > 0)
		n++;
	return n;
}

static unsigned kernel_floods(const char *text)
{
	char line[128];
	unsigned n = 0;

	do
		snprintf(line, sizeof(line), "%s %u\n", text, n);
	while (send(kmsg[1], line, strlen(line), 0) > 0 && ++n);
	return n;
}

/* One turn of the loop reads a few lines only, whether they are relayed or not. */
START_TEST(storm)
{
	unsigned total, left;

	setup(true);
	total = kernel_floods("6,1,1,-;not relayed");
	ck_assert_uint_gt(total, 100);
	attach();
	loop_poll(loop); /* watches */
	loop_poll(loop);
	loop_poll(loop);
	left = kernel_left();
	ck_assert_uint_lt(left, total);
	ck_assert_uint_ge(left, total - 3 * 16);
	teardown();
}
END_TEST

/* A full channel: the kernel's lines stay in the kernel, the loop is not kept busy by them. */
START_TEST(storm_full_channel)
{
	unsigned total, n = 0;
	char text[64];

	setup(true);
	attach();
	settle();
	total = kernel_floods("4,1,1,-;relayed");
	for (int i = 0; i < 20; i++)
		settle();
	ck_assert_int_gt(recv(kmsg[0], text, sizeof(text), MSG_PEEK), 0);
	/* Nothing more happens until the host reads. */
	ck_assert(!loop_pending(loop));
	say(LOG_INFO, "vm", "among them");
	settle();
	ck_assert_int_gt(recv(kmsg[0], text, sizeof(text), MSG_PEEK), 0);
	ck_assert(!loop_pending(loop));
	while (settle_and_take()) {
		if (!strcmp(got.target, "vm"))
			continue;
		snprintf(text, sizeof(text), "relayed %u", n++);
		ck_assert_str_eq(got.text, text);
	}
	ck_assert_uint_eq(n, total);
	teardown();
}
END_TEST

/* The end of the kernel's log (which a real one does not have) ends the relay only. */
START_TEST(kernel_ends)
{
	setup(true);
	attach();
	settle();
	(void)shutdown(kmsg[1], SHUT_RDWR);
	settle();
	ck_assert(!loop_pending(loop));
	say(LOG_INFO, "vm", "goes on");
	expect(GEL_INFO, "vm", "goes on");
	teardown();
}
END_TEST

/* The host must not speak; if it does, or goes away, the client falls silent and nothing else. */
START_TEST(host_breaks)
{
	setup(true);
	attach();
	settle();
	if (_i == 0) {
		ck_assert_int_eq(pipe_send(&host, "hello", 5), 0);
		ours.wake(ours.user);
	} else if (_i == 1) {
		ck_assert_int_eq(pipe_send(&host, NULL, 0), 0);
		ours.wake(ours.user);
	} else if (_i == 2) {
		ours.failed = true;
		ours.gone(ours.user);
	} else {
		ours.failed = true; /* found out when sending */
	}
	for (int i = 0; i < 2000; i++)
		say(LOG_INFO, "vm", "nobody listens any more");
	kernel_says("4,1,1,-;neither to this\n");
	gel_cli_flush(gc);
	expect_none();
	ck_assert(!loop_pending(loop));
	ours.wake(ours.user);
	ours.gone(ours.user);
	ck_assert_uint_gt(gel_cli_missed(gc), 0);
	teardown();
}
END_TEST

/* ---- several threads ------------------------------------------------------------------------- */

#define THREADS 3u
#define LINES 4000u

static void *talk(void *ctx)
{
	unsigned me = *(const unsigned *)ctx;
	char target[16], line[16];

	for (unsigned i = 0; i < LINES; i++) {
		snprintf(target, sizeof(target), "t%u", me);
		snprintf(line, sizeof(line), "%u", i);
		say(LOG_INFO, target, line);
	}
	return NULL;
}

static void check_line(unsigned *next, uint64_t *missed)
{
	unsigned who = (unsigned)(got.target[1] - '0');
	unsigned long n = strtoul(got.text, NULL, 10);

	ck_assert_uint_lt(who, THREADS);
	ck_assert_uint_ge(n, next[who]);
	next[who] = (unsigned)n + 1;
	*missed += got.missed;
}

START_TEST(threads)
{
	unsigned ids[THREADS], next[THREADS] = { 0 }, n = 0;
	uint64_t missed = 0;
	pthread_t t[THREADS];

	setup(false);
	attach();
	for (unsigned i = 0; i < THREADS; i++) {
		ids[i] = i;
		ck_assert_int_eq(pthread_create(&t[i], NULL, talk, &ids[i]), 0);
	}
	/* Until every line is accounted for; the last may be lost without one to say so. */
	while (n + gel_cli_missed(gc) < THREADS * LINES) {
		settle();
		while (take()) {
			check_line(next, &missed);
			n++;
		}
	}
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	say(LOG_INFO, "t0", "9999");
	settle();
	ck_assert(take());
	check_line(next, &missed);
	ck_assert_uint_eq(missed, gel_cli_missed(gc));
	expect_none();
	teardown();
}
END_TEST

UNIT_MAIN_VARIANTS("devices-get/gel_cli", 4, early_lines, spans, restricted_drops_conf, overflow,
		   full_channel, short_turns, flush, idle, kernel_lines, own_lines, kernel_gap,
		   kernel_not_wanted, storm, storm_full_channel, kernel_ends, host_breaks, threads)
