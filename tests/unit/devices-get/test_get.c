/* SPDX-License-Identifier: MIT */
/* The paravisor's GET client against hvhost's server, and against a host that lies. */
#include "get_cli.h"
#include "inspect_get.h"
#include "le.h"
#include "../../hvhost/get_dps_host.h"
#include "../../hvhost/get_host.h"
#include "../devices-vmbus/vmguest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static struct vmguest g;
static struct loop *loop;
static struct get_cli *gc;
static struct get_host *gh;
static struct vmguest_chan *chan;

/* What both sides were told. */
static struct {
	int ready, failed, connected, batteries, dps_done, time_done, off, reset, started, crashed,
		faulted, flushed;
	int modifies, modified;
	bool modified_ok;
	char modified_json[9000], doc[64];
	size_t doc_len;
	int err, dps_err, time_err;
	bool hibernate, start_ok;
	char start_text[1100];
	struct get_host_crash crash;
	char fault_text[1024];
	uint32_t event, fault_vp;
	struct dps dps;
	struct get_cli_time time;
	const char *order[16];
	unsigned n_order;
} seen;

static void c_ready(void *ctx)
{
	(void)ctx;
	seen.ready++;
}

static void c_failed(void *ctx, int err, const char *why)
{
	(void)ctx;
	ck_assert_ptr_nonnull(why);
	seen.failed++;
	seen.err = err;
}

static void c_battery(void *ctx, const struct get_battery_status *st)
{
	(void)ctx;
	ck_assert_uint_eq(st->max_capacity, 1000);
	seen.batteries++;
}

/* Notes the document, whose end only is looked at, and leaves it to the test to answer. */
static void c_modify(void *ctx, const uint8_t *doc, size_t len)
{
	(void)ctx;
	seen.modifies++;
	seen.doc_len = len;
	memset(seen.doc, 0, sizeof(seen.doc));
	if (len)
		memcpy(seen.doc, doc, MIN(len, sizeof(seen.doc) - 1));
}

static const struct get_cli_ops cli_ops = {
	.ready = c_ready, .failed = c_failed, .battery = c_battery, .modify_settings = c_modify
};

static void order(const char *what)
{
	if (seen.n_order < ARRAY_SIZE(seen.order))
		seen.order[seen.n_order++] = what;
}

static void h_connected(void *ctx)
{
	(void)ctx;
	seen.connected++;
}

static void h_power_off(void *ctx, bool hibernate)
{
	(void)ctx;
	seen.off++;
	seen.hibernate = hibernate;
	order("off");
}

static void h_reset(void *ctx)
{
	(void)ctx;
	seen.reset++;
}

static void h_start(void *ctx, bool ok, const char *text)
{
	(void)ctx;
	seen.started++;
	seen.start_ok = ok;
	snprintf(seen.start_text, sizeof(seen.start_text), "%s", text);
}

static void h_crash(void *ctx, const struct get_host_crash *c)
{
	(void)ctx;
	seen.crashed++;
	seen.crash = *c;
}

static void h_fault(void *ctx, uint32_t vp, uint32_t type, const char *text)
{
	(void)ctx;
	ck_assert_uint_eq(type, 1);
	seen.faulted++;
	seen.fault_vp = vp;
	snprintf(seen.fault_text, sizeof(seen.fault_text), "%s", text);
}

static void h_event(void *ctx, uint32_t id)
{
	(void)ctx;
	seen.event = id;
	order("event");
}

static void h_modified(void *ctx, bool ok, const char *json)
{
	(void)ctx;
	seen.modified++;
	seen.modified_ok = ok;
	snprintf(seen.modified_json, sizeof(seen.modified_json), "%s", json);
}

static const struct get_host_ops host_ops = { .connected = h_connected,
					      .power_off = h_power_off,
					      .reset = h_reset,
					      .start_vtl0 = h_start,
					      .crash = h_crash,
					      .triple_fault = h_fault,
					      .event = h_event,
					      .modified = h_modified };

static void d_dps(void *ctx, int err, struct dps *dps)
{
	(void)ctx;
	seen.dps_done++;
	seen.dps_err = err;
	ck_assert(!err == !!dps);
	if (!err) {
		seen.dps = *dps;
		*dps = (struct dps){ 0 }; /* moved out */
	}
	order("dps");
}

static void d_time(void *ctx, int err, const struct get_cli_time *t)
{
	(void)ctx;
	seen.time_done++;
	seen.time_err = err;
	if (!err)
		seen.time = *t;
	order("time");
}

static void d_flush(void *ctx)
{
	(void)ctx;
	seen.flushed++;
}

/* Run until nothing happens any more. */
static void settle(void)
{
	for (int i = 0; i < 10; i++) {
		vmguest_step(&g);
		loop_poll(loop);
	}
}

static void setup_host(const char *json)
{
	const struct get_host_cfg cfg = { .server = g.server,
					  .loop = loop,
					  .ops = &host_ops,
					  .log_fd = -1,
					  .com_enabled = { true, false },
					  .com_vmbus_redirector = { true, false },
					  .dps_json = json };

	ck_assert_int_eq(get_host_create(&cfg, &gh), 0);
}

static void setup_json(const char *json)
{
	struct get_cli_cfg cfg = { .ops = &cli_ops };

	memset(&seen, 0, sizeof(seen));
	ck_assert_int_eq(loop_create(64, &loop), 0);
	vmguest_init(&g, VMBUS_COPPER, 0);
	setup_host(json);
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 2); /* GET and GEL share the interface */
	chan = vmguest_find(&g, &get_cli_instance);
	ck_assert_ptr_nonnull(chan);
	ck_assert(vmguest_open(&g, chan, 17));
	cfg.loop = loop;
	cfg.pipe = &chan->pipe;
	ck_assert_int_eq(get_cli_create(&cfg, &gc), 0);
}

static void setup(void)
{
	setup_json(NULL);
	ck_assert_int_eq(get_cli_start(gc), 0);
	settle();
	ck_assert_int_eq(seen.ready, 1);
	ck_assert_int_eq(seen.connected, 1);
	ck_assert_int_eq(seen.batteries, 1);
}

static void teardown(void)
{
	get_cli_destroy(gc);
	get_host_destroy(gh);
	vmguest_fini(&g);
	loop_destroy(loop);
	dps_fini(&seen.dps);
}

START_TEST(settings_and_time)
{
	setup();
	ck_assert_int_eq(get_cli_request_dps(gc, d_dps, NULL), 0);
	ck_assert_int_eq(get_cli_request_time(gc, d_time, NULL), 0);
	settle();
	ck_assert_int_eq(seen.dps_done, 1);
	ck_assert_int_eq(seen.dps_err, 0);
	ck_assert_str_eq(inspect_get(get_cli_inspect, gc, "state"), "\"ready\"");
	ck_assert_str_eq(inspect_get(get_cli_inspect, gc, "stats/host_requests"), "2");
	ck_assert_str_eq(inspect_get(get_cli_inspect, gc, "requests_waiting"), "0");
	ck_assert_str_eq(inspect_get(dps_inspect, &seen.dps, "com1/vmbus_redirector"), "true");
	ck_assert_str_eq(inspect_get(dps_inspect, &seen.dps, "smbios/system_manufacturer"),
			 "\"Keel\"");
	ck_assert(seen.dps.com[0].enabled && seen.dps.com[0].vmbus_redirector);
	ck_assert(!seen.dps.com[1].enabled);
	ck_assert_str_eq(seen.dps.smbios.system_manufacturer, "Keel");
	ck_assert_int_eq(seen.time_done, 1);
	ck_assert_int_eq(seen.time_err, 0);
	/* after 2020 and before 2100, in 100 ns since 1601 */
	ck_assert_int_gt(seen.time.utc, 132223104000000000ll);
	ck_assert_int_lt(seen.time.utc, 157469184000000000ll);
	ck_assert_str_eq(seen.order[0], "dps");
	teardown();
}
END_TEST

/* Settings that need many parts and more than one filling of the ring. */
START_TEST(large_settings)
{
	const size_t blob = 300000;
	char *json = malloc(blob + 4096), *p = json;

	p += snprintf(
		p, 4096,
		"{\"V1\":{},\"V2\":{\"Static\":{\"LegacyMemoryMap\":false,"
		"\"PauseAfterBootFailure\":false,\"PxeIpV6\":false,\"MeasureAdditionalPcrs\":true,"
		"\"DisableFrontpage\":false,\"DisableSha384Pcr\":false,"
		"\"MediaPresentEnabledByDefault\":false,\"MemoryProtectionMode\":0,"
		"\"VpciBootEnabled\":false,\"NumLockEnabled\":false,"
		"\"VmbusRedirectionEnabled\":false,\"NoPersistentSecrets\":true,"
		"\"WatchdogEnabled\":false,\"Smbios\":{},\"Vtl2Settings\":\"");
	memset(p, 'A', blob);
	memcpy(p + blob, "\"},\"Dynamic\":{}}}", sizeof("\"},\"Dynamic\":{}}}"));
	setup_json(json);
	ck_assert_int_eq(get_cli_start(gc), 0);
	ck_assert_int_eq(get_cli_request_dps(gc, d_dps, NULL), 0);
	for (int i = 0; i < 50; i++)
		settle();
	ck_assert_int_eq(seen.dps_done, 1);
	ck_assert_int_eq(seen.dps_err, 0);
	ck_assert_uint_eq(seen.dps.vtl2_settings_len, blob / 4 * 3);
	free(json);
	teardown();
}
END_TEST

START_TEST(unreadable_settings_fail_the_request_only)
{
	setup_json("{\"V1\":{}}");
	ck_assert_int_eq(get_cli_start(gc), 0);
	ck_assert_int_eq(get_cli_request_dps(gc, d_dps, NULL), 0);
	ck_assert_int_eq(get_cli_request_time(gc, d_time, NULL), 0);
	settle();
	ck_assert_int_eq(seen.dps_err, -EBADMSG);
	ck_assert_int_eq(seen.time_err, 0);
	ck_assert_int_eq(seen.failed, 0);
	teardown();
}
END_TEST

/* The settings of the configuration arrive in the platform settings. */
START_TEST(settings_blob)
{
	static const uint8_t blob[] = { 0, 1, 2, 0xff, '"', 7, 8 };
	const struct get_host_cfg cfg = { .server = NULL,
					  .settings = blob,
					  .settings_len = sizeof(blob) };
	char *json = get_dps_host_json(&cfg);
	const char *why;
	struct dps d;

	ck_assert_ptr_nonnull(json);
	ck_assert_int_eq(dps_parse(json, strlen(json), &d, &why), 0);
	ck_assert_uint_eq(d.vtl2_settings_len, sizeof(blob));
	ck_assert_mem_eq(d.vtl2_settings, blob, sizeof(blob));
	dps_fini(&d);
	free(json);
}
END_TEST

START_TEST(modify_settings)
{
	setup();
	for (int parts = 0; parts < 2; parts++) {
		ck_assert_int_eq(get_host_modify(gh, "{\"a\"}", 5, parts), 0);
		ck_assert_int_eq(get_host_modify(gh, "other", 5, parts), -EBUSY);
		settle();
		ck_assert_int_eq(seen.modifies, parts + 1);
		ck_assert_str_eq(seen.doc, "{\"a\"}");
		ck_assert_int_eq(seen.modified, parts);
		get_cli_modify_done(gc, !parts, parts ? "[{\"error_id\":\"x\"}]" : NULL);
		settle();
		ck_assert_int_eq(seen.modified, parts + 1);
		ck_assert(seen.modified_ok == !parts);
		ck_assert_str_eq(seen.modified_json, parts ? "[{\"error_id\":\"x\"}]" : "");
		get_cli_modify_done(gc, true, NULL); /* there is nothing to answer */
		settle();
		ck_assert_int_eq(seen.modified, parts + 1);
	}
	ck_assert_str_eq(inspect_get(get_cli_inspect, gc, "stats/settings_modifications"), "2");
	teardown();
}
END_TEST

/* Documents of many parts, more than the ring holds; an answer longer than fits is cut. */
START_TEST(modify_large_settings)
{
	const size_t len = 300000;
	char *doc = malloc(len), *json = calloc(1, 20001);

	setup();
	memset(doc, 'd', len);
	memset(json, 'e', 20000);
	ck_assert_int_eq(get_host_modify(gh, doc, len, false), -EMSGSIZE);
	ck_assert_int_eq(get_host_modify(gh, doc, GET_MAX_PAYLOAD, false), 0);
	settle();
	ck_assert_uint_eq(seen.doc_len, GET_MAX_PAYLOAD);
	get_cli_modify_done(gc, false, json);
	settle();
	ck_assert_uint_eq(strlen(seen.modified_json), GET_MAX_PAYLOAD);
	ck_assert_int_eq(get_host_modify(gh, doc, len, true), 0);
	for (int i = 0; i < 50; i++)
		settle();
	ck_assert_uint_eq(seen.doc_len, len);
	get_cli_modify_done(gc, true, "");
	settle();
	ck_assert(seen.modified == 2 && seen.modified_ok);
	free(doc);
	free(json);
	teardown();
}
END_TEST

START_TEST(notifications)
{
	const uint64_t params[5] = { 1, 2, 3, 4, 0xffffffffffffffff };
	const struct get_fault_reg regs[2] = { { 0x20010, { 0x34, 0x12 } }, { 0x40000, { 9 } } };

	setup();
	get_cli_start_vtl0_completed(gc, true, "");
	settle();
	ck_assert(seen.started == 1 && seen.start_ok);
	get_cli_start_vtl0_completed(gc, false, "no kernel\n\x1b[2J in the image");
	settle();
	ck_assert(seen.started == 2 && !seen.start_ok);
	ck_assert_str_eq(seen.start_text, "no kernel??[2J in the image");
	get_cli_vtl_crash(gc, 1, 0, 0x8000000000000000, params);
	settle();
	ck_assert_int_eq(seen.crashed, 1);
	ck_assert_uint_eq(seen.crash.vp, 1);
	ck_assert_uint_eq(seen.crash.control, 0x8000000000000000);
	ck_assert_mem_eq(seen.crash.params, params, sizeof(params));
	get_cli_triple_fault(gc, 3, regs, 2);
	settle();
	ck_assert_uint_eq(seen.fault_vp, 3);
	ck_assert_str_eq(seen.fault_text, "rip(20010)=1234 cr0(40000)=9");
	get_cli_triple_fault(gc, 4, NULL, 0);
	get_cli_event_log(gc, GET_EVENT_BOOT_SUCCESS);
	get_cli_reset(gc);
	settle();
	ck_assert_int_eq(seen.faulted, 2);
	ck_assert_uint_eq(seen.event, GET_EVENT_BOOT_SUCCESS);
	ck_assert_int_eq(seen.reset, 1);
	ck_assert_str_eq(inspect_get(get_cli_inspect, gc, "stats/host_notifications"), "6");
	ck_assert_str_eq(inspect_get(get_cli_inspect, gc, "power_request_sent"), "true");
	ck_assert_uint_eq(get_cli_dropped(gc), 0);
	teardown();
}
END_TEST

START_TEST(power_off_comes_last)
{
	setup();
	get_cli_power_off(gc, true);
	ck_assert_int_eq(get_cli_request_time(gc, d_time, NULL), 0);
	get_cli_event_log(gc, GET_EVENT_BOOT_FAILURE);
	settle();
	ck_assert_int_eq(seen.off, 1);
	ck_assert(seen.hibernate);
	ck_assert_uint_eq(seen.n_order, 3);
	ck_assert_str_eq(seen.order[2], "off");
	get_cli_power_off(gc, false); /* once is enough */
	settle();
	ck_assert_int_eq(seen.off, 1);
	teardown();
}
END_TEST

START_TEST(notifications_before_the_version_wait)
{
	setup_json(NULL);
	get_cli_event_log(gc, GET_EVENT_BOOT_ATTEMPT);
	get_cli_power_off(gc, false);
	settle();
	ck_assert_uint_eq(seen.event, 0);
	ck_assert_int_eq(get_cli_start(gc), 0);
	settle();
	ck_assert_uint_eq(seen.event, GET_EVENT_BOOT_ATTEMPT);
	ck_assert_int_eq(seen.off, 1);
	teardown();
}
END_TEST

START_TEST(a_flood_is_dropped_and_counted)
{
	setup();
	for (int i = 0; i < 100000; i++)
		get_cli_event_log(gc, GET_EVENT_BOOT_ATTEMPT);
	ck_assert_uint_gt(get_cli_dropped(gc), 0);
	get_cli_power_off(gc, false); /* is not */
	for (int i = 0; i < 20; i++)
		settle();
	ck_assert_int_eq(seen.off, 1);
	ck_assert_int_eq(seen.failed, 0);
	teardown();
}
END_TEST

START_TEST(flush_waits_for_the_host)
{
	setup();
	get_cli_event_log(gc, GET_EVENT_BOOT_ATTEMPT);
	ck_assert_int_eq(get_cli_flush(gc, d_flush, NULL), 0);
	ck_assert_int_eq(get_cli_flush(gc, d_flush, NULL), -EBUSY);
	loop_poll(loop); /* sent, but the host has not looked */
	ck_assert_int_eq(seen.flushed, 0);
	while (!seen.flushed) {
		vmguest_step(&g);
		ck_assert_int_eq(loop_wait(loop), 0);
	}
	ck_assert_uint_eq(seen.event, GET_EVENT_BOOT_ATTEMPT);
	teardown();
}
END_TEST

START_TEST(destroy_cancels)
{
	setup();
	ck_assert_int_eq(get_cli_request_time(gc, d_time, NULL), 0);
	get_cli_destroy(gc);
	gc = NULL;
	ck_assert_int_eq(seen.time_err, -ECANCELED);
	teardown();
}
END_TEST

/* ---- a host that lies: the test writes the host's end itself --------------------------------- */

static struct pipe host_end;
static void *host_pages[2][16];
static uint8_t host_mem[2][17 * KEEL_PAGE_SIZE] __attribute__((aligned(4096)));
static struct pipe cli_end;

static void nothing(void *transport)
{
	(void)transport;
}

static const struct get_cli_ops *liar_ops = &cli_ops;

static void liar_setup(unsigned timeout_ms)
{
	struct get_cli_cfg cfg = { .ops = liar_ops, .request_timeout_ms = timeout_ms };
	struct ring_mem m[2];
	uint8_t buf[16];
	size_t len;

	memset(&seen, 0, sizeof(seen));
	memset(host_mem, 0, sizeof(host_mem));
	for (int i = 0; i < 2; i++) {
		for (int p = 0; p < 16; p++)
			host_pages[i][p] = host_mem[i] + (size_t)(p + 1) * KEEL_PAGE_SIZE;
		m[i] = (struct ring_mem){ host_mem[i], host_pages[i], 16 };
	}
	ck_assert_int_eq(pipe_attach(&cli_end, &m[0], &m[1], nothing, NULL), 0);
	ck_assert_int_eq(pipe_attach(&host_end, &m[1], &m[0], nothing, NULL), 0);
	ck_assert_int_eq(loop_create(64, &loop), 0);
	cfg.loop = loop;
	cfg.pipe = &cli_end;
	ck_assert_int_eq(get_cli_create(&cfg, &gc), 0);
	ck_assert_int_eq(get_cli_start(gc), 0);
	/* golden: VERSION request for 4.2 */
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 8);
	ck_assert_mem_eq(buf, "\1\2\1\0\2\0\4\0", 8);
}

static void liar_end(void)
{
	get_cli_destroy(gc);
	loop_destroy(loop);
}

static void say(const void *msg, size_t len)
{
	if (!cli_end.failed)
		ck_assert_int_eq(pipe_send(&host_end, msg, len), 0);
	if (cli_end.wake)
		cli_end.wake(cli_end.user);
	loop_poll(loop);
}

static void liar_ready(unsigned timeout_ms)
{
	liar_setup(timeout_ms);
	say("\1\3\1\0\1\0", 6);
	ck_assert_int_eq(seen.ready, 1);
}

static void expect_failed(int err)
{
	ck_assert_int_eq(seen.failed, 1);
	ck_assert_int_eq(seen.err, err);
	say("\1\3\1\0\1\0", 6); /* nothing more is listened to */
	ck_assert_int_eq(seen.failed, 1);
	ck_assert_int_eq(get_cli_request_time(gc, d_time, NULL), -EPIPE);
	get_cli_event_log(gc, GET_EVENT_BOOT_ATTEMPT);
	get_cli_power_off(gc, false);
	loop_poll(loop);
	liar_end();
}

START_TEST(bad_first_answers)
{
	static const struct {
		const char *msg;
		size_t len;
		int err;
	} t[] = {
		{ "\1\3\1\0\0\0", 6, -EPROTONOSUPPORT },
		{ "\1\3\1\0\1", 5, -EPROTO },
		{ "\1\3\1\0\1\0\0", 7, -EPROTO },
		{ "\2\3\1\0\1\0", 6, -EPROTO },
		{ "\1\5\1\0\1\0", 6, -EPROTO },
		{ "\1\1\1\0\1\0", 6, -EPROTO },
		{ "\1\3\1", 3, -EPROTO },
		{ "", 0, -EPROTO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		liar_setup(0);
		say(t[i].msg, t[i].len);
		expect_failed(t[i].err);
	}
}
END_TEST

START_TEST(answers_nobody_asked_for_are_dropped)
{
	liar_ready(0);
	say("\1\3\2\0", 4);
	say("\1\3\1\0\1\0", 6);
	say("\1\4\x63\0", 4); /* an unknown notification too */
	ck_assert_int_eq(seen.failed, 0);
	liar_end();
}
END_TEST

static void ask_time_and_say(const void *msg, size_t len)
{
	liar_ready(0);
	ck_assert_int_eq(get_cli_request_time(gc, d_time, NULL), 0);
	loop_poll(loop);
	say(msg, len);
	ck_assert_int_eq(seen.time_err, -EPIPE);
	expect_failed(-EPROTO);
}

START_TEST(bad_answers)
{
	uint8_t msg[33] = { 1, 3, 2, 0 };

	ask_time_and_say(msg, 31);
	ask_time_and_say(msg, 33);
	ask_time_and_say("\1\3\x12\0\0\0\0\0", 8);
}
END_TEST

static void ask_dps_and_say(const void *msg, size_t len, int err)
{
	liar_ready(0);
	ck_assert_int_eq(get_cli_request_dps(gc, d_dps, NULL), 0);
	loop_poll(loop);
	say(msg, len);
	ck_assert_int_eq(seen.dps_err, -EPIPE);
	expect_failed(err);
}

START_TEST(bad_settings_messages)
{
	ask_dps_and_say("\1\3\x12\0\3\0\0\0{}", 10, -EPROTO); /* size is one too many */
	ask_dps_and_say("\1\3\x12\0\1\0\0\0{}", 10, -EPROTO);
	ask_dps_and_say("\1\3\x12\0\xff\xff\xff\xff{}", 10, -EPROTO);
	ask_dps_and_say("\1\3\x12\0", 4, -EPROTO);
	ask_dps_and_say("\1\3\x1b\0\2\0\0\0\2\0\0\0{}", 14, -EPROTO); /* state 2 */
	ask_dps_and_say("\1\3\x1b\0\0\0\0\0\1\0\0\0", 12, -EPROTO); /* empty, more to come */
	ask_dps_and_say("\1\3\x1b\0\0\0\0\0", 8, -EPROTO);
}
END_TEST

static void modify_and_say(const void *msg, size_t len, int err)
{
	liar_ready(0);
	say(msg, len);
	ck_assert_int_eq(seen.modifies, 0);
	expect_failed(err);
}

START_TEST(bad_modify_messages)
{
	modify_and_say("\1\4\5\0\3\0\0\0{}", 10, -EPROTO); /* size is one too many */
	modify_and_say("\1\4\5\0\1\0\0\0{}", 10, -EPROTO);
	modify_and_say("\1\4\5\0\xff\xff\xff\xff{}", 10, -EPROTO);
	modify_and_say("\1\4\5\0\0\0", 6, -EPROTO);
	modify_and_say("\1\4\6\0\2\0\0\0\2\0\0\0{}", 14, -EPROTO); /* state 2 */
	modify_and_say("\1\4\6\0\0\0\0\0\1\0\0\0", 12, -EPROTO); /* empty, more to come */
	modify_and_say("\1\4\6\0\0\0\0\0", 8, -EPROTO);
	modify_and_say("\1\4\4\0\0\0\0\0", 8, -EPROTO); /* VPCI, too short */
}
END_TEST

/* A second document while the first is worked on is refused; the first is answered all the same. */
START_TEST(one_modification_at_a_time)
{
	uint8_t buf[512], vpci[24] = { 1, 4, 4, 0 };
	size_t len;

	liar_ready(0);
	say("\1\4\5\0\2\0\0\0{}", 10);
	ck_assert_int_eq(seen.modifies, 1);
	say("\1\4\6\0\2\0\0\0\1\0\0\0[]", 14);
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), -EAGAIN);
	say("\1\4\6\0\2\0\0\0\0\0\0\0[]", 14);
	ck_assert_int_eq(seen.modifies, 1);
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
	ck_assert_mem_eq(buf, "\1\1\6\0\1\0\0\0", 8);
	ck_assert_str_eq(seen.doc, "{}");
	get_cli_modify_done(gc, true, NULL);
	loop_poll(loop);
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 12);
	ck_assert_mem_eq(buf, "\1\1\6\0\0\0\0\0\0\0\0\0", 12);
	say(vpci, sizeof(vpci));
	ck_assert_str_eq(inspect_get(get_cli_inspect, gc, "stats/vpci_notifications"), "1");
	liar_end();
}
END_TEST

START_TEST(endless_modification_is_cut_off)
{
	static const struct {
		struct get_dps_rev1_rsp h;
		uint8_t part[GET_MAX_PAYLOAD];
	} m = { .h = { { 1, 4, 6 }, GET_MAX_PAYLOAD, GET_PART_MORE } };
	int n = 0;

	liar_ready(0);
	while (!seen.failed && n++ < 1000)
		say(&m, sizeof(m));
	ck_assert_int_eq(n, (int)(DPS_MAX_JSON / GET_MAX_PAYLOAD) + 1);
	expect_failed(-E2BIG);
}
END_TEST

START_TEST(endless_settings_are_cut_off)
{
	static const struct {
		struct get_dps_rev1_rsp h;
		uint8_t part[GET_MAX_PAYLOAD];
	} m = { .h = { { 1, 3, 27 }, GET_MAX_PAYLOAD, GET_PART_MORE } };
	int n = 0;

	liar_ready(0);
	ck_assert_int_eq(get_cli_request_dps(gc, d_dps, NULL), 0);
	loop_poll(loop);
	while (!seen.failed && n++ < 1000)
		say(&m, sizeof(m));
	ck_assert_int_eq(n, (int)(DPS_MAX_JSON / GET_MAX_PAYLOAD) + 1);
	expect_failed(-E2BIG);
}
END_TEST

START_TEST(corrupt_ring)
{
	liar_ready(0);
	memset(host_mem[1], 0xff, 8);
	cli_end.wake(cli_end.user);
	expect_failed(-EPIPE);
}
END_TEST

START_TEST(silent_host)
{
	liar_setup(20);
	while (!seen.failed)
		ck_assert_int_eq(loop_wait(loop), 0);
	expect_failed(-ETIMEDOUT);
	liar_ready(20);
	ck_assert_int_eq(get_cli_request_time(gc, d_time, NULL), 0);
	while (!seen.failed)
		ck_assert_int_eq(loop_wait(loop), 0);
	ck_assert_int_eq(seen.time_err, -EPIPE);
	expect_failed(-ETIMEDOUT);
}
END_TEST

START_TEST(channel_gone)
{
	liar_ready(0);
	cli_end.failed = true;
	cli_end.gone(cli_end.user);
	expect_failed(-EIO);
}
END_TEST

START_TEST(what_is_not_supported_is_refused)
{
	uint8_t buf[512];
	size_t len;

	liar_ops = &(const struct get_cli_ops){ .ready = c_ready, .failed = c_failed };
	liar_ready(0);
	say("\1\4\5\0\0\0\0\0", 8); /* MODIFY_VTL2_SETTINGS */
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
	ck_assert_mem_eq(buf, "\1\1\6\0\1\0\0\0", 8);
	ck_assert_uint_eq(len, 12 + le32_load(buf + 8));
	say("\1\4\6\0\1\0\0\0\1\0\0\0x", 13); /* the first of several parts: the answer waits */
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), -EAGAIN);
	memset(buf, 0, 30);
	memcpy(buf, "\1\4\2\0", 4); /* SAVE_GUEST_VTL2_STATE */
	say(buf, 30);
	ck_assert_int_eq(pipe_recv(&host_end, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 6);
	ck_assert_mem_eq(buf, "\1\2\x14\0\1\0", 6);
	liar_end();
}
END_TEST

/* ---- a guest that lies: raw messages to hvhost's end ----------------------------------------- */

static void guest_says(const void *msg, size_t len)
{
	ck_assert_int_eq(pipe_send(&chan->pipe, msg, len), 0);
	vmguest_step(&g);
}

static size_t host_said(uint8_t *buf, size_t cap)
{
	size_t len;

	return pipe_recv(&chan->pipe, buf, cap, &len) == 0 ? len : SIZE_MAX;
}

static void raw_setup(void)
{
	uint8_t buf[64];

	setup_json(NULL);
	guest_says("\1\2\1\0\2\0\4\0", 8);
	ck_assert_uint_eq(host_said(buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "\1\3\1\0\1\0", 6);
	ck_assert_uint_eq(host_said(buf, sizeof(buf)), 20); /* battery */
}

START_TEST(host_answers_every_request)
{
	static const struct {
		uint8_t id;
		size_t len, answer;
	} t[] = { { 2, 4, 32 },	 { 4, 4, 24 },	 { 5, 24, 8 },	 { 6, 100, 8 },
		  { 7, 4, 8 },	 { 8, 6288, 8 }, { 9, 4, 76 },	 { 17, 1108, 660 },
		  { 19, 24, 8 }, { 21, 6, 10 },	 { 22, 21, 24 }, { 23, 6, 8 },
		  { 24, 10, 4 }, { 28, 40, 8 },	 { 29, 8, 4 },	 { 30, 12, 16 } };
	static uint8_t msg[6288], buf[8300];

	raw_setup();
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		memset(msg, 0, sizeof(msg));
		msg[0] = 1;
		msg[1] = 2;
		msg[2] = t[i].id;
		guest_says(msg, t[i].len);
		ck_assert_uint_eq(host_said(buf, sizeof(buf)), t[i].answer);
		ck_assert_uint_eq(buf[1], 3);
		ck_assert_uint_eq(buf[2], t[i].id);
	}
	teardown();
}
END_TEST

START_TEST(host_survives_nonsense)
{
	static const struct {
		const char *msg;
		size_t len;
	} t[] = { { "\1\2", 2 },
		  { "\2\2\2\0", 4 },
		  { "\1\2\x63\0", 4 },
		  { "\1\1\x63\0", 4 },
		  { "\1\3\2\0", 4 },
		  { "\1\2\5\0", 4 },
		  { "\1\2\x11\0", 4 },
		  { "\1\1\1\0", 4 },
		  { "\1\1\7\0\0\0\0\0\xff\0\0\0", 12 },
		  { "\1\1\x8\0", 4 },
		  { "\1\1\x9\0\0\0\0\0\1\0\0\0\xff\xff\xff\xff", 16 },
		  { "", 0 },
		  { "\1\2\1\0", 4 } };
	uint8_t buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		raw_setup();
		guest_says(t[i].msg, t[i].len);
		guest_says("\1\2\2\0", 4); /* it does not answer this guest any more */
		ck_assert_uint_eq(host_said(buf, sizeof(buf)), SIZE_MAX);
		ck_assert_int_eq(seen.off + seen.started + seen.crashed + seen.faulted, 0);
		teardown();
	}
}
END_TEST

START_TEST(host_wants_version_first)
{
	uint8_t buf[64];

	setup_json(NULL);
	guest_says("\1\1\1\0\0\0", 6); /* POWER_OFF */
	ck_assert_int_eq(seen.off, 0);
	ck_assert_uint_eq(host_said(buf, sizeof(buf)), SIZE_MAX);
	teardown();
}
END_TEST

UNIT_MAIN("devices/get/get", settings_and_time, large_settings, settings_blob, modify_settings,
	  modify_large_settings, bad_modify_messages, one_modification_at_a_time,
	  endless_modification_is_cut_off, unreadable_settings_fail_the_request_only, notifications,
	  power_off_comes_last, notifications_before_the_version_wait,
	  a_flood_is_dropped_and_counted, flush_waits_for_the_host, destroy_cancels,
	  bad_first_answers, answers_nobody_asked_for_are_dropped, bad_answers,
	  bad_settings_messages, endless_settings_are_cut_off, corrupt_ring, silent_host,
	  channel_gone, what_is_not_supported_is_refused, host_answers_every_request,
	  host_survives_nonsense, host_wants_version_first)
