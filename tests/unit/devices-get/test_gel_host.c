/* SPDX-License-Identifier: MIT */
/* The log channel from a line of the daemon to a line of hvhost's log, over a VMBus server. */
#include "gel_cli.h"
#include "get_proto.h"
#include "json.h"
#include "log_format.h"
#include "../../hvhost/gel_host.h"
#include "../devices-vmbus/vmguest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
static struct gel_host_cfg cfg = { .out_fd = -1 };

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
	cfg.server = g.server;
	ck_assert_int_eq(gel_host_create(&cfg, &gh), 0);
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

/* More than the ring holds: what is lost is told with the next event. */
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
	ck_assert_uint_eq(n_lines, 1);
	expect(0, LOG_INFO, "hvhost info gel: vm: after (1 events missed before this one)");
	teardown();
}
END_TEST

/* Read what was stored until now. */
static void stored(int fd, char *ret_text, size_t cap)
{
	ssize_t n = read(fd, ret_text, cap - 1);

	ret_text[n > 0 ? n : 0] = 0;
}

static const struct log_field field = { .key = "size", .type = LOG_F_U64, .u64 = 4096 };

static void send_all_kinds(void)
{
	struct log_record rec = { .kind = LOG_SPAN_ENTER,
				  .level = LOG_INFO,
				  .time_ns = 12345678900,
				  .activity = { .d1 = 1 },
				  .target = "vm",
				  .name = "start",
				  .context = "",
				  .text = "",
				  .fields = &field,
				  .n_fields = 1 };

	gel_cli_put_record(gc, &rec);
	rec.kind = LOG_SPAN_EXIT;
	rec.taken_ns = 1500000;
	rec.n_fields = 0;
	gel_cli_put_record(gc, &rec);
	rec.kind = LOG_EVENT;
	rec.name = "";
	rec.text = "made";
	rec.n_fields = 1;
	gel_cli_put_record(gc, &rec);
	gel_cli_attach(gc, loop, &chan->pipe, -1);
	settle();
}

START_TEST(stored_as_text)
{
	char text[1000];
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	cfg.out_fd = fds[1];
	setup();
	send_all_kinds();
	stored(fds[0], text, sizeof(text));
	ck_assert_str_eq(text, "   12.345678 INFO  vm: enter start size=4096\n"
			       "   12.345678 INFO  vm: exit start after 1.500 ms\n"
			       "   12.345678 INFO  vm: made size=4096\n");
	teardown();
}
END_TEST

START_TEST(stored_as_json)
{
	char text[2000];
	int fds[2], n = 0;

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	cfg.out_fd = fds[1];
	cfg.json = true;
	setup();
	send_all_kinds();
	stored(fds[0], text, sizeof(text));
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
		struct json j;

		ck_assert_int_eq(json_parse(line, (size_t)(end - line), &j), 0);
		json_fini(&j);
	}
	ck_assert_int_eq(n, 3);
	teardown();
}
END_TEST

/* Nobody reads what is stored: it is counted, and told when somebody does. */
START_TEST(reader_stopped)
{
	static char text[200000];
	struct gel_host_counts counts;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	cfg.out_fd = fds[1];
	setup();
	log_init(LOG_ERR, false, sink, NULL);
	gel_cli_attach(gc, loop, &chan->pipe, -1);
	do {
		for (int i = 0; i < 100; i++)
			say(LOG_INFO, "vm",
			    "something that has a certain length, so that it fills");
		settle();
		settle();
		gel_host_count(gh, &counts);
	} while (!counts.lost);
	stored(fds[0], text, sizeof(text));
	say(LOG_INFO, "vm", "after");
	settle();
	stored(fds[0], text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, " records were not stored)\n"));
	ck_assert_ptr_nonnull(strstr(text, " vm: after"));
	teardown();
}
END_TEST

/* What is not a record does not reach the log; the channel goes on. */
START_TEST(violations_are_counted)
{
	static const uint8_t junk[200];
	struct gel_host_counts counts;

	setup();
	ck_assert_int_eq(pipe_send(&chan->pipe, junk, sizeof(junk)), 0);
	ck_assert_int_eq(pipe_send(&chan->pipe, junk, 79), 0);
	ck_assert_int_eq(pipe_send(&chan->pipe, junk, 80), 0);
	settle();
	gel_host_count(gh, &counts);
	ck_assert_uint_eq(counts.violations, 3);
	ck_assert_uint_eq(n_lines, 3);
	expect(0, LOG_WARN,
	       "hvhost warn gel: not a record of the log: a level that does not exist");
	expect(1, LOG_WARN,
	       "hvhost warn gel: not a record of the log: shorter than a header or longer than a "
	       "record");
	say(LOG_INFO, "vm", "fine");
	gel_cli_attach(gc, loop, &chan->pipe, -1);
	settle();
	expect(3, LOG_INFO, "hvhost info gel: vm: fine");
	gel_host_count(gh, &counts);
	ck_assert_uint_eq(counts.records[GEL_INFO], 1);
	teardown();
}
END_TEST

UNIT_MAIN("devices-get/gel_host", lines_arrive, lost_lines_are_told, stored_as_text, stored_as_json,
	  reader_stopped, violations_are_counted)
