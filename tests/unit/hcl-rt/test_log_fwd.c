/* SPDX-License-Identifier: MIT */
/* Records of one role on their way to another, over a socket pair. */
#include "log_fwd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log_ring.h"
#include "unit.h"

#define TYPE 0x201u

static struct loop *loop;
static struct ipc *ours, *theirs;
static struct log_fwd *fwd;
static unsigned n_got;
static uint64_t missed;
static char last[LOG_TEXT_MAX];

static int on_record(void *ctx, uint64_t id, const uint8_t *body, size_t len)
{
	struct log_field fields[LOG_FIELDS_MAX];
	struct log_record rec;
	int r = log_record_decode(body, len, fields, &rec);

	(void)ctx;
	ck_assert_uint_eq(id, 0);
	ck_assert_int_eq(r, 0);
	ck_assert_str_eq(rec.context, ""); /* not for another role */
	ck_assert_int_eq(rec.cls, CONF);
	(void)snprintf(last, sizeof(last), "%s", rec.text);
	missed += rec.missed;
	n_got++;
	return 0;
}

static const struct ipc_permit permits[] = { { TYPE, 0, 1, LOG_RECORD_MAX, on_record } };

static void on_gone(void *ctx, int err)
{
	(void)ctx;
	(void)err;
}

static void setup(void)
{
	struct ipc_cfg cfg = { .gone = on_gone };
	int fds[2];

	ck_assert_int_eq(loop_create_epoll(&loop), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cfg.loop = loop;
	cfg.fd = fds[0];
	ck_assert_int_eq(ipc_create(&cfg, &ours), 0);
	cfg.fd = fds[1];
	cfg.permits = permits;
	cfg.n_permits = 1;
	ck_assert_int_eq(ipc_create(&cfg, &theirs), 0);
	fwd = log_fwd_create();
	ck_assert_ptr_nonnull(fwd);
}

static void say(unsigned n)
{
	char text[32];
	const struct log_record rec = {
		.cls = CONF, .target = "vm", .name = "", .context = "start", .text = text
	};

	(void)snprintf(text, sizeof(text), "%u", n);
	log_fwd_put(fwd, &rec);
}

static void settle(void)
{
	for (int i = 0; i < 50; i++)
		loop_poll(loop);
}

START_TEST(early_and_late)
{
	setup();
	say(1);
	log_fwd_flush(fwd); /* not attached: it waits */
	log_fwd_attach(fwd, loop, ours, TYPE);
	settle();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_str_eq(last, "1");
	for (unsigned i = 2; i <= 200; i++)
		say(i);
	settle();
	ck_assert_uint_eq(n_got, 200);
	ck_assert_str_eq(last, "200");
	ck_assert_uint_eq(missed, 0);
}
END_TEST

/* Without a turn of the loop the records are handed over, before what is sent next. */
START_TEST(flush)
{
	setup();
	log_fwd_attach(fwd, loop, ours, TYPE);
	say(1);
	say(2);
	log_fwd_flush(fwd);
	ipc_destroy(ours);
	log_fwd_detach(fwd);
	settle();
	ck_assert_uint_eq(n_got, 2);
}
END_TEST

START_TEST(losses_are_told)
{
	setup();
	for (unsigned i = 0; i < LOG_RING_RECORDS + 7; i++)
		say(i);
	log_fwd_attach(fwd, loop, ours, TYPE);
	settle();
	ck_assert_uint_eq(n_got, LOG_RING_RECORDS);
	say(1000);
	settle();
	ck_assert_str_eq(last, "1000");
	ck_assert_uint_eq(missed, 7);
}
END_TEST

START_TEST(nobody_there)
{
	setup();
	log_fwd_attach(fwd, loop, ours, TYPE);
	log_fwd_detach(fwd);
	for (unsigned i = 0; i < 1000; i++) {
		say(i);
		settle();
	}
	ck_assert_uint_eq(n_got, 0);
}
END_TEST

UNIT_MAIN("rt/log_fwd", early_and_late, flush, losses_are_told, nobody_there)
