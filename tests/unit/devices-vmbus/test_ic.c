/* SPDX-License-Identifier: MIT */
/* The integration components against a guest that behaves, is slow, or misbehaves. */
#include "ic_heartbeat.h"
#include "ic_proto.h"
#include "ic_shutdown.h"
#include "ic_timesync.h"
#include "loop.h"
#include "vmguest.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

#define PERIOD_NS 2000000ull

struct msg {
	struct ic_header h;
	uint8_t body[IC_MAX_MESSAGE];
};

static struct vmguest g;
static struct vmguest_chan *chan;
static struct loop *loop;
static struct msg m;
static size_t len;

static struct ic_shutdown *shutdown_ic;
static unsigned answers;
static int last_answer;

static void on_answered(void *ctx, int err)
{
	(void)ctx;
	answers++;
	last_answer = err;
}

static void setup(void)
{
	vmguest_init(&g, VMBUS_COPPER, 0);
	ck_assert_int_eq(loop_create(8, &loop), 0);
	answers = 0;
	last_answer = 1;
}

static void open_channel(const struct guid *instance)
{
	vmguest_contact(&g, VMBUS_COPPER, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	chan = vmguest_find(&g, instance);
	ck_assert_ptr_nonnull(chan);
	ck_assert(vmguest_open(&g, chan, 4));
}

static void finish(void)
{
	loop_destroy(loop);
	vmguest_fini(&g);
}

/* The next message of the component, or false. */
static bool next(void)
{
	int r = pipe_recv(&chan->pipe, &m, sizeof(m), &len);

	ck_assert(r == 0 || r == -EAGAIN);
	if (r == 0)
		ck_assert_uint_ge(len, sizeof(m.h));
	return r == 0;
}

static void answer(size_t bytes)
{
	m.h.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	ck_assert_int_eq(pipe_send(&chan->pipe, &m, bytes), 0);
	vmguest_step(&g);
}

/* As Linux does: the whole packet comes back, the choice in place of the lists. */
static void agree(uint16_t major, uint16_t minor)
{
	struct ic_negotiate n = { .n_fw = 1, .n_msg = 1 };
	const struct ic_version v[] = { { 3, 0 }, { major, minor } };

	ck_assert(next());
	ck_assert_uint_eq(m.h.type, IC_NEGOTIATE);
	ck_assert_uint_eq(m.h.flags, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST);
	memcpy(m.body, &n, sizeof(n));
	memcpy(m.body + sizeof(n), v, sizeof(v));
	m.h.size = sizeof(n) + sizeof(v);
	answer(len);
}

static void make_shutdown(void)
{
	static const struct guid id = IC_SHUTDOWN_INSTANCE;
	struct ic_shutdown_cfg cfg = { .answered = on_answered };

	setup();
	cfg.server = g.server;
	ck_assert_int_eq(ic_shutdown_create(&cfg, &shutdown_ic), 0);
	open_channel(&id);
}

START_TEST(shutdown_is_asked_once_and_answered)
{
	struct ic_shutdown_req req;

	make_shutdown();
	ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_POWER_OFF, true), -ENOTCONN);
	agree(3, 2);
	ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_REBOOT, true), 0);
	ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_REBOOT, true), -EBUSY);
	ck_assert(next());
	ck_assert_uint_eq(m.h.type, IC_SHUTDOWN);
	ck_assert_uint_eq(m.h.size, sizeof(req));
	memcpy(&req, m.body, sizeof(req));
	ck_assert_uint_eq(req.flags, IC_SHUTDOWN_FORCE | IC_SHUTDOWN_RESTART);
	m.h.size = 0;
	answer(len);
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(last_answer, 0);
	/* The same answer again is nobody's. */
	answer(len);
	ck_assert_uint_eq(answers, 1);
	ic_shutdown_destroy(shutdown_ic);
	finish();
}
END_TEST

START_TEST(shutdown_refused_and_abandoned)
{
	make_shutdown();
	agree(3, 0);
	ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_TO_DISK, false), -ENOTCONN);
	ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_POWER_OFF, false), 0);
	ck_assert(next());
	m.h.status = IC_FAIL;
	answer(len);
	ck_assert_int_eq(last_answer, -EPERM);
	ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_POWER_OFF, false), 0);
	vmbus_server_reset(g.server);
	ck_assert_uint_eq(answers, 2);
	ck_assert_int_eq(last_answer, -EPIPE);
	ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_POWER_OFF, false), -ENOTCONN);
	ic_shutdown_destroy(shutdown_ic);
	finish();
}
END_TEST

/* What a guest may get wrong while versions are agreed; none of it makes the component ready. */
static void negotiate_wrongly(int how)
{
	switch (how) {
	case 0: /* a version that nobody offered */
		agree(9, 9);
		break;
	case 1: /* none in common */
		ck_assert(next());
		memset(m.body, 0, 16);
		answer(sizeof(m.h) + 16);
		break;
	case 2: /* too short */
		ck_assert(next());
		answer(sizeof(m.h) + 4);
		break;
	case 3: /* not even a header */
		ck_assert(next());
		answer(7);
		break;
	case 4: /* a request instead of an answer */
		ck_assert(next());
		ck_assert_int_eq(pipe_send(&chan->pipe, &m, len), 0);
		vmguest_step(&g);
		break;
	default: /* a body that is longer than it may be */
		ck_assert(next());
		answer(4096);
		break;
	}
}

START_TEST(negotiation_gone_wrong)
{
	for (int how = 0; how < 6; how++) {
		make_shutdown();
		negotiate_wrongly(how);
		ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_POWER_OFF, false),
				 -ENOTCONN);
		ic_shutdown_destroy(shutdown_ic);
		finish();
	}
}
END_TEST

START_TEST(negotiation_twice_ends_it)
{
	static struct msg first;
	size_t first_len;

	make_shutdown();
	agree(3, 2);
	first = m;
	first_len = len;
	ck_assert_int_eq(ic_shutdown_request(shutdown_ic, IC_SHUTDOWN_POWER_OFF, false), 0);
	ck_assert(next());
	m = first;
	answer(first_len);
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(last_answer, -EPIPE);
	ic_shutdown_destroy(shutdown_ic);
	finish();
}
END_TEST

static void wait_message(void)
{
	for (int i = 0; i < 1000 && !next(); i++)
		ck_assert_int_ge(loop_wait(loop), -EINTR);
	ck_assert_uint_ne(len, 0);
}

START_TEST(heartbeat_counts)
{
	static const struct guid id = IC_HEARTBEAT_INSTANCE;
	struct ic_heartbeat_cfg cfg = { .period_ns = PERIOD_NS };
	struct ic_heartbeat_msg hb;
	struct ic_heartbeat *h;
	uint64_t before = 0;

	setup();
	cfg.server = g.server;
	cfg.loop = loop;
	ck_assert_int_eq(ic_heartbeat_create(&cfg, &h), 0);
	open_channel(&id);
	agree(3, 0);
	ck_assert(!ic_heartbeat_alive(h));
	for (int i = 0; i < 3; i++) {
		wait_message();
		memcpy(&hb, m.body, sizeof(hb));
		ck_assert_uint_gt(hb.seq, before);
		before = ++hb.seq;
		memcpy(m.body, &hb, sizeof(hb));
		answer(len);
		ck_assert(ic_heartbeat_alive(h));
	}
	/* Silence: the next question finds the last one unanswered. */
	wait_message();
	for (int i = 0; i < 1000 && ic_heartbeat_alive(h); i++)
		ck_assert_int_ge(loop_wait(loop), -EINTR);
	ck_assert(!ic_heartbeat_alive(h));
	/* An answer that did not count is no sign of life. */
	answer(len);
	ck_assert(!ic_heartbeat_alive(h));
	ic_heartbeat_destroy(h);
	finish();
}
END_TEST

static void fixed_now(void *ctx, uint64_t *ret_utc, uint64_t *ret_reference)
{
	(void)ctx;
	*ret_utc = 133000000000000000ull;
	*ret_reference = 77;
}

static void timesync(bool old)
{
	static const struct guid id = IC_TIMESYNC_INSTANCE;
	struct ic_timesync_cfg cfg = { .period_ns = PERIOD_NS, .now = fixed_now };
	struct ic_timesync_v4 v4;
	struct ic_timesync_v1 v1;
	struct ic_timesync *t;

	setup();
	cfg.server = g.server;
	cfg.loop = loop;
	ck_assert_int_eq(ic_timesync_create(&cfg, &t), 0);
	open_channel(&id);
	agree(old ? 3 : 4, 0);
	for (int i = 0; i < 3; i++) {
		const uint8_t want = i ? IC_TIMESYNC_SAMPLE : IC_TIMESYNC_SYNC;

		wait_message();
		ck_assert_uint_eq(m.h.size, old ? sizeof(v1) : sizeof(v4));
		memcpy(&v4, m.body, sizeof(v4));
		memcpy(&v1, m.body, sizeof(v1));
		ck_assert_uint_eq(v4.parent_time, 133000000000000000ull);
		ck_assert_uint_eq(old ? v1.flags : v4.flags, want);
		if (!old)
			ck_assert_uint_eq(v4.reference_time, 77);
		m.h.size = 0;
		answer(sizeof(m.h));
	}
	ic_timesync_destroy(t);
	finish();
}

START_TEST(timesync_sets_then_samples)
{
	timesync(false);
}
END_TEST

START_TEST(timesync_of_old)
{
	timesync(true);
}
END_TEST

UNIT_MAIN("vmbus/ic", shutdown_is_asked_once_and_answered, shutdown_refused_and_abandoned,
	  negotiation_gone_wrong, negotiation_twice_ends_it, heartbeat_counts,
	  timesync_sets_then_samples, timesync_of_old)
