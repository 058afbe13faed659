/* SPDX-License-Identifier: MIT */
/* The log channel from a line of the daemon to a line of hvhost's log, over a VMBus server. */
#include "gel_cli.h"
#include "get_proto.h"
#include "log_format.h"
#include "../../hvhost/gel_host.h"
#include "../devices-vmbus/vmguest.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

static struct vmguest g;
static struct loop *loop;
static struct gel_cli *gc;
static struct gel_host *gh;
static struct vmguest_chan *chan;

static struct {
	enum log_level level;
	char line[LOG_LINE_MAX];
} lines[32];
static unsigned n_lines;

static void sink(void *ctx, const struct log_record *rec)
{
	(void)ctx;
	ck_assert_uint_lt(n_lines, ARRAY_SIZE(lines));
	lines[n_lines].level = rec->level;
	(void)log_format_plain(rec, lines[n_lines++].line);
}

static void say(enum log_level level, const char *target, const char *text)
{
	const struct log_record rec = {
		.level = level, .target = target, .name = "", .context = "", .text = text
	};

	gel_cli_put_record(gc, &rec);
}

static void settle(void)
{
	for (int i = 0; i < 10; i++) {
		vmguest_step(&g);
		loop_poll(loop);
	}
}

static void setup(void)
{
	n_lines = 0;
	log_set_name("hvhost");
	log_init(LOG_DEBUG, false, sink, NULL);
	ck_assert_int_eq(loop_create(64, &loop), 0);
	vmguest_init(&g, VMBUS_COPPER, 0);
	ck_assert_int_eq(gel_host_create(g.server, &gh), 0);
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	chan = vmguest_find(&g, &gel_cli_instance);
	ck_assert_ptr_nonnull(chan);
	ck_assert(vmguest_open(&g, chan, 17));
	gc = gel_cli_create(false);
	ck_assert_ptr_nonnull(gc);
	n_lines = 0;
}

static void teardown(void)
{
	gel_cli_detach(gc);
	gel_cli_destroy(gc);
	gel_host_destroy(gh);
	vmguest_fini(&g);
	loop_destroy(loop);
}

static void expect(unsigned i, enum log_level level, const char *line)
{
	ck_assert_uint_lt(i, n_lines);
	ck_assert_str_eq(lines[i].line, line);
	ck_assert_int_eq(lines[i].level, level);
}

START_TEST(lines_arrive)
{
	setup();
	say(LOG_INFO, "stats", "stats {\"exits\":{\"pio\":17,\"a\\b\":2}}");
	say(LOG_ERR, "vm", "an error: \"quoted\"");
	say(LOG_WARN, "vm", "a warning");
	say(LOG_DEBUG, "get", "a detail");
	gel_cli_attach(gc, loop, &chan->pipe, -1);
	settle();
	ck_assert_uint_eq(n_lines, 4);
	expect(0, LOG_INFO, "hvhost info gel: stats: stats {\"exits\":{\"pio\":17,\"a\\b\":2}}");
	expect(1, LOG_ERR, "hvhost error gel: vm: an error: \"quoted\"");
	expect(2, LOG_WARN, "hvhost warn gel: vm: a warning");
	expect(3, LOG_DEBUG, "hvhost debug gel: get: a detail");
	teardown();
}
END_TEST

/* Many more than the channel holds: all arrive, as the host takes them. */
START_TEST(lost_lines_are_told)
{
	setup();
	while (!gel_cli_missed(gc))
		say(LOG_DEBUG, "vm", "x");
	log_init(LOG_INFO, false, sink, NULL);
	gel_cli_attach(gc, loop, &chan->pipe, -1);
	for (int i = 0; i < 200; i++)
		settle();
	say(LOG_INFO, "vm", "after");
	settle();
	ck_assert_uint_eq(n_lines, 2);
	expect(0, LOG_WARN, "hvhost warn gel: vm: 1 events missed");
	expect(1, LOG_INFO, "hvhost info gel: vm: after");
	teardown();
}
END_TEST

/* Records that no client of ours sends. */
START_TEST(odd_records)
{
	struct {
		struct gel_header h;
		char text[16];
	} rec = { .h = { .type = GEL_EVENT,
			 .level = GEL_INFO,
			 .target = { 2, 0 },
			 .message = { 5, 2 } },
		  .text = "vmplain" };

	setup();
	ck_assert_int_eq(pipe_send(&chan->pipe, &rec, sizeof(rec)), 0);
	rec.h.message.size = 15; /* one byte too many */
	ck_assert_int_eq(pipe_send(&chan->pipe, &rec, sizeof(rec)), 0);
	rec.h.target.off = UINT16_MAX;
	rec.h.message = (struct gel_str){ 5, 2 };
	memcpy(rec.text + 2, "{\"a\"}", 5);
	ck_assert_int_eq(pipe_send(&chan->pipe, &rec, sizeof(rec)), 0);
	ck_assert_int_eq(pipe_send(&chan->pipe, &rec, sizeof(rec.h) - 1), 0);
	settle();
	ck_assert_uint_eq(n_lines, 4);
	expect(0, LOG_INFO, "hvhost info gel: vm: plain");
	expect(1, LOG_INFO, "hvhost info gel: vm: ?");
	expect(2, LOG_INFO, "hvhost info gel: ?: {\"a\"}");
	expect(3, LOG_WARN, "hvhost warn gel: truncated record");
	teardown();
}
END_TEST

UNIT_MAIN("devices-get/gel_host", lines_arrive, lost_lines_are_told, odd_records)
