/* SPDX-License-Identifier: MIT */
#include "get_cli.h"

#include "get_modify.h"
#include "inspect.h"
#include "le.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "get"
#define MAX_REQUESTS 16
#define NOTE_BYTES 16384u /* power of two: notifications on their way, each with a 2-byte length */
#define TEXT_MAX 1024u
#define DRAIN_POLL_NS 2000000ull

const struct guid get_cli_instance = GET_INSTANCE_GUID;

enum state { STATE_NEW, STATE_VERSION, STATE_READY, STATE_FAILED };

struct request {
	uint16_t id; /* enum get_host_request */
	void (*dps_done)(void *ctx, int err, struct dps *dps);
	void (*time_done)(void *ctx, int err, const struct get_cli_time *t);
	void *ctx;
};

struct get_cli {
	struct get_cli_cfg cfg;
	enum state state;
	struct request queue[MAX_REQUESTS]; /* [first] is the one in flight if in_flight */
	unsigned first, count;
	bool in_flight;
	struct loop_timer timeout;
	struct loop_work work; /* there is something to send */

	char *dps_json; /* parts so far */
	size_t dps_len;

	void (*flush_done)(void *ctx);
	void *flush_ctx;
	struct loop_timer flush_timer;

	pthread_mutex_t lock; /* protects: notes, power; rank: leaf */
	uint32_t note_head, note_tail; /* free running; note_tail - note_head bytes are queued */
	uint8_t notes[NOTE_BYTES];
	bool want_power_off, want_hibernate, want_reset, power_sent;
	_Atomic uint64_t dropped;

	/* Counters, the loop's thread only. */
	uint64_t n_requests, n_answers, n_notes_out, n_notes_in, n_vpci;
	struct get_modify modify;

	uint8_t rx[GET_MAX_MESSAGE];
	uint8_t tx[GET_MAX_MESSAGE];
};

/* ---- failing --------------------------------------------------------------------------------- */

static void request_end(struct get_cli *gc, int err, struct dps *dps, const struct get_cli_time *t)
{
	const struct request rq = gc->queue[gc->first];

	gc->first = (gc->first + 1) % MAX_REQUESTS;
	gc->count--;
	gc->in_flight = false;
	loop_timer_cancel(&gc->timeout);
	free(gc->dps_json);
	gc->dps_json = NULL;
	gc->dps_len = 0;
	if (rq.dps_done)
		rq.dps_done(rq.ctx, err, dps);
	if (rq.time_done)
		rq.time_done(rq.ctx, err, t);
}

static void end_flush(struct get_cli *gc)
{
	void (*done)(void *ctx) = gc->flush_done;

	gc->flush_done = NULL;
	loop_timer_cancel(&gc->flush_timer);
	if (done)
		done(gc->flush_ctx);
}

static void fail(struct get_cli *gc, int err, const char *why)
{
	if (gc->state == STATE_FAILED)
		return;
	gc->state = STATE_FAILED;
	log_err(ALLOWED, "lost the host: %s (%d)", why, err);
	while (gc->count)
		request_end(gc, -EPIPE, NULL, NULL);
	end_flush(gc);
	if (gc->cfg.ops->failed)
		gc->cfg.ops->failed(gc->cfg.ctx, err, why);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* 1 sent, 0 no room now (wake will come), -errno after fail(). */
static int send_now(struct get_cli *gc, const void *msg, size_t len)
{
	int r = pipe_send(gc->cfg.pipe, msg, len);

	if (r == -EAGAIN)
		return 0;
	if (r < 0) {
		fail(gc, r, "channel broken");
		return r;
	}
	return 1;
}

static void notes_copy_out(struct get_cli *gc, uint32_t at, uint8_t *ret_buf, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		ret_buf[i] = gc->notes[(at + i) % NOTE_BYTES];
}

static void notes_copy_in(struct get_cli *gc, const uint8_t *buf, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		gc->notes[gc->note_tail++ % NOTE_BYTES] = buf[i];
}

/* Copy the oldest note into tx; its length, 0 = none. */
static uint32_t note_peek(struct get_cli *gc)
{
	uint8_t len_bytes[2];
	uint32_t len = 0;

	(void)pthread_mutex_lock(&gc->lock);
	if (gc->note_head != gc->note_tail) {
		notes_copy_out(gc, gc->note_head, len_bytes, 2);
		len = le16_load(len_bytes);
		notes_copy_out(gc, gc->note_head + 2, gc->tx, len);
	}
	(void)pthread_mutex_unlock(&gc->lock);
	return len;
}

static void note_pop(struct get_cli *gc, uint32_t len)
{
	(void)pthread_mutex_lock(&gc->lock);
	gc->note_head += 2 + len;
	(void)pthread_mutex_unlock(&gc->lock);
}

/* 1 all notes are out, 0 no room, -errno. */
static int send_notes(struct get_cli *gc)
{
	uint32_t len;

	while ((len = note_peek(gc))) {
		int r = send_now(gc, gc->tx, len);

		if (r <= 0)
			return r;
		note_pop(gc, len);
		gc->n_notes_out++;
	}
	return 1;
}

static int send_request(struct get_cli *gc)
{
	const struct get_header h = { .version = GET_HEADER_VERSION,
				      .type = GET_HOST_REQUEST,
				      .id = gc->queue[gc->first].id };
	int r = send_now(gc, &h, sizeof(h));

	if (r <= 0)
		return r;
	gc->in_flight = true;
	gc->n_requests++;
	if (gc->cfg.request_timeout_ms)
		loop_timer_arm(&gc->timeout,
			       loop_now_ns() + (uint64_t)gc->cfg.request_timeout_ms * 1000000);
	return 1;
}

/* Power-off and reset come last: what was asked for before must have reached the host. */
static void send_power(struct get_cli *gc)
{
	struct get_power_off off = { .h = { GET_HEADER_VERSION, GET_HOST_NOTIFICATION,
					    GET_HN_POWER_OFF } };
	const struct get_header reset = { GET_HEADER_VERSION, GET_HOST_NOTIFICATION, GET_HN_RESET };
	bool power, want_reset;
	int r = 0;

	(void)pthread_mutex_lock(&gc->lock);
	power = gc->want_power_off && !gc->power_sent;
	want_reset = gc->want_reset && !gc->power_sent;
	off.hibernate = gc->want_hibernate;
	(void)pthread_mutex_unlock(&gc->lock);
	if (power)
		r = send_now(gc, &off, sizeof(off));
	else if (want_reset)
		r = send_now(gc, &reset, sizeof(reset));
	if (r != 1)
		return;
	(void)pthread_mutex_lock(&gc->lock);
	gc->power_sent = true;
	(void)pthread_mutex_unlock(&gc->lock);
}

static void check_flush(void *ctx)
{
	struct get_cli *gc = ctx;
	int r;

	if (!gc->flush_done || gc->state != STATE_READY)
		return;
	r = gc->count || gc->modify.reply_len || note_peek(gc) ? 0 : pipe_drained(gc->cfg.pipe);
	if (r < 0)
		fail(gc, r, "channel broken");
	else if (r)
		end_flush(gc);
	else
		loop_timer_arm(&gc->flush_timer, loop_now_ns() + DRAIN_POLL_NS);
}

static bool send_modify_reply(struct get_cli *gc)
{
	if (gc->modify.reply_len) {
		if (send_now(gc, gc->modify.reply, gc->modify.reply_len) <= 0)
			return false;
		gc->modify.reply_len = 0;
		gc->n_notes_out++;
	}
	return true;
}

static void pump(struct get_cli *gc)
{
	if (gc->state != STATE_READY || !send_modify_reply(gc) || send_notes(gc) <= 0)
		return;
	if (!gc->in_flight && gc->count && send_request(gc) <= 0)
		return;
	if (!gc->count)
		send_power(gc);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void on_version(struct get_cli *gc, const uint8_t *msg, size_t len)
{
	struct get_version_rsp rsp;

	if (gc->state != STATE_VERSION || len != sizeof(rsp))
		return fail(gc, -EPROTO, "bad answer to VERSION");
	memcpy(&rsp, msg, sizeof(rsp));
	if (!rsp.accepted)
		return fail(gc, -EPROTONOSUPPORT, "the host does not speak our GET version");
	loop_timer_cancel(&gc->timeout);
	gc->state = STATE_READY;
	if (gc->cfg.ops->ready)
		gc->cfg.ops->ready(gc->cfg.ctx);
}

static void on_time(struct get_cli *gc, const uint8_t *msg, size_t len)
{
	struct get_time_rsp rsp;
	struct get_cli_time t;

	if (len != sizeof(rsp))
		return fail(gc, -EPROTO, "bad answer to TIME");
	memcpy(&rsp, msg, sizeof(rsp));
	t = (struct get_cli_time){ .vm_reference_time = rsp.vm_reference_time,
				   .utc = rsp.utc,
				   .bias_minutes = rsp.bias_minutes,
				   .daylight_saving = rsp.daylight_saving,
				   .taken_ns = loop_now_ns() };
	request_end(gc, 0, NULL, &t);
}

/* All of the JSON is here. */
static void finish_dps(struct get_cli *gc, const char *json, size_t len)
{
	const char *why;
	struct dps d;
	int r = dps_parse(json, len, &d, &why);

	if (r < 0)
		log_err(ALLOWED, "platform settings: %s is wrong or missing (%d)", why, r);
	request_end(gc, r, r < 0 ? NULL : &d, NULL);
	if (r == 0)
		dps_fini(&d);
}

static int add_part(struct get_cli *gc, const uint8_t *part, size_t len)
{
	char *json;

	if (len > DPS_MAX_JSON - gc->dps_len)
		return -E2BIG;
	if (!len)
		return 0;
	json = realloc(gc->dps_json, gc->dps_len + len);
	if (!json)
		return -ENOMEM;
	gc->dps_json = json;
	memcpy(json + gc->dps_len, part, len);
	gc->dps_len += len;
	return 0;
}

static void on_dps(struct get_cli *gc, const uint8_t *msg, size_t len)
{
	struct get_dps_rsp rsp;

	if (len < sizeof(rsp) || gc->dps_len)
		return fail(gc, -EPROTO, "bad answer to DEVICE_PLATFORM_SETTINGS_V2");
	memcpy(&rsp, msg, sizeof(rsp));
	if (rsp.size != len - sizeof(rsp))
		return fail(gc, -EPROTO, "platform settings: size does not match");
	finish_dps(gc, (const char *)msg + sizeof(rsp), rsp.size);
}

static void on_dps_part(struct get_cli *gc, const uint8_t *msg, size_t len)
{
	struct get_dps_rev1_rsp rsp;
	char *json;
	int r;

	if (len < sizeof(rsp))
		return fail(gc, -EPROTO, "bad part of the platform settings");
	memcpy(&rsp, msg, sizeof(rsp));
	if (rsp.size != len - sizeof(rsp) ||
	    (rsp.state != GET_PART_END && rsp.state != GET_PART_MORE))
		return fail(gc, -EPROTO, "platform settings: size does not match");
	/* A part that brings nothing and promises more could come for ever. */
	if (!rsp.size && rsp.state == GET_PART_MORE)
		return fail(gc, -EPROTO, "platform settings: empty part");
	r = add_part(gc, msg + sizeof(rsp), rsp.size);
	if (r < 0)
		return fail(gc, r, "platform settings are too large");
	if (rsp.state == GET_PART_MORE)
		return;
	json = gc->dps_json; /* keep it alive across the end of the request */
	gc->dps_json = NULL;
	finish_dps(gc, json ? json : "", gc->dps_len);
	free(json);
}

static void on_response(struct get_cli *gc, const struct get_header *h, const uint8_t *msg,
			size_t len)
{
	const uint16_t want = gc->in_flight ? gc->queue[gc->first].id : 0;

	if (h->id == GET_RQ_VERSION && gc->state == STATE_VERSION) {
		on_version(gc, msg, len);
	} else if (!want) {
		log_warn_rl(ALLOWED, "answer %u without a question", h->id);
	} else if (want == GET_RQ_TIME && h->id == want) {
		on_time(gc, msg, len);
	} else if (want == GET_RQ_DPS_V2 && h->id == want) {
		on_dps(gc, msg, len);
	} else if (want == GET_RQ_DPS_V2 && h->id == GET_RQ_DPS_V2_REV1) {
		on_dps_part(gc, msg, len);
	} else {
		fail(gc, -EPROTO, "answer to another question");
	}
}

/* New settings: to the owner, one document at a time. */
static void on_modify(struct get_cli *gc, uint16_t id, const uint8_t *msg, size_t len)
{
	static const char nobody[] =
		"[{\"error_id\":\"Underhill.InternalFailure\",\"message\":\"settings cannot be "
		"changed now\",\"file_name\":\"get_cli\",\"line\":0}]";
	int r = get_modify_take(&gc->modify, id, msg, len);

	if (r < 0)
		return fail(gc, r, "bad MODIFY_VTL2_SETTINGS");
	if (r && gc->cfg.ops->modify_settings)
		gc->cfg.ops->modify_settings(gc->cfg.ctx, gc->modify.buf, gc->modify.len);
	else if (r)
		get_modify_done(&gc->modify, false, nobody);
}

void get_cli_modify_done(struct get_cli *gc, bool ok, const char *json)
{
	if (!gc->modify.busy)
		return;
	get_modify_done(&gc->modify, ok, json);
	loop_post(gc->cfg.loop, &gc->work);
}

static void refuse_save(struct get_cli *gc)
{
	const struct get_state_msg m = { .h = { GET_HEADER_VERSION, GET_HOST_REQUEST,
						GET_RQ_SAVE_STATE },
					 .status = GET_STATE_FAILURE };

	(void)send_now(gc, &m, sizeof(m));
}

/* A device on a virtual PCI bus comes or wants to go: the kernel's driver hears it from the bus. */
static void on_vpci(struct get_cli *gc, size_t len)
{
	if (len != sizeof(struct get_vpci_notification))
		return fail(gc, -EPROTO, "bad VPCI_DEVICE_NOTIFICATION");
	gc->n_vpci++;
}

static void on_generation_id(struct get_cli *gc, const uint8_t *msg, size_t len)
{
	struct get_generation_id m;

	if (len != sizeof(m))
		return fail(gc, -EPROTO, "bad generation id");
	memcpy(&m, msg, sizeof(m));
	if (gc->cfg.ops->generation_id)
		gc->cfg.ops->generation_id(gc->cfg.ctx, m.id);
}

static void on_battery(struct get_cli *gc, const uint8_t *msg, size_t len)
{
	struct get_battery_status m;

	if (len != sizeof(m))
		return fail(gc, -EPROTO, "bad battery status");
	memcpy(&m, msg, sizeof(m));
	if (gc->cfg.ops->battery)
		gc->cfg.ops->battery(gc->cfg.ctx, &m);
}

static void on_debug_interrupt(struct get_cli *gc, const uint8_t *msg, size_t len)
{
	struct get_debug_interrupt m;

	if (len != sizeof(m))
		return fail(gc, -EPROTO, "bad debug interrupt");
	memcpy(&m, msg, sizeof(m));
	if (gc->cfg.ops->debug_interrupt)
		gc->cfg.ops->debug_interrupt(gc->cfg.ctx, m.vtl);
}

static void on_notification(struct get_cli *gc, const struct get_header *h, const uint8_t *msg,
			    size_t len)
{
	switch (h->id) {
	case GET_GN_UPDATE_GENERATION_ID:
		return on_generation_id(gc, msg, len);
	case GET_GN_BATTERY_STATUS:
		return on_battery(gc, msg, len);
	case GET_GN_INJECT_DEBUG_INTERRUPT:
		return on_debug_interrupt(gc, msg, len);
	case GET_GN_POST_LIVE_MIGRATION:
		if (gc->cfg.ops->post_live_migration)
			gc->cfg.ops->post_live_migration(gc->cfg.ctx);
		return;
	case GET_GN_MODIFY_VTL2_SETTINGS:
	case GET_GN_MODIFY_VTL2_SETTINGS_REV1:
		return on_modify(gc, h->id, msg, len);
	case GET_GN_VPCI_DEVICE_NOTIFICATION:
		return on_vpci(gc, len);
	case GET_GN_SAVE_GUEST_VTL2_STATE:
		return refuse_save(gc);
	default:
		log_warn_rl(ALLOWED, "notification %u is not known here", h->id);
	}
}

static void on_message(struct get_cli *gc, const uint8_t *msg, size_t len)
{
	struct get_header h;

	if (len < sizeof(h))
		return fail(gc, -EPROTO, "truncated message");
	memcpy(&h, msg, sizeof(h));
	if (h.version != GET_HEADER_VERSION)
		return fail(gc, -EPROTO, "unknown header version");
	if (h.type == GET_HOST_RESPONSE) {
		gc->n_answers++;
		on_response(gc, &h, msg, len);
	} else if (h.type == GET_GUEST_NOTIFICATION) {
		gc->n_notes_in++;
		on_notification(gc, &h, msg, len);
	} else {
		fail(gc, -EPROTO, "unknown message type");
	}
}

static void on_wake(void *user)
{
	struct get_cli *gc = user;

	while (gc->state == STATE_VERSION || gc->state == STATE_READY) {
		size_t len;
		int r = pipe_recv(gc->cfg.pipe, gc->rx, sizeof(gc->rx), &len);

		if (r == -EAGAIN)
			break;
		if (r < 0)
			return fail(gc, r, "channel broken");
		on_message(gc, gc->rx, len);
	}
	pump(gc);
}

static void on_gone(void *user)
{
	fail(user, -EIO, "the channel was closed");
}

static void on_timeout(void *ctx)
{
	fail(ctx, -ETIMEDOUT, "no answer");
}

/* ---- life cycle ------------------------------------------------------------------------------ */

int get_cli_create(const struct get_cli_cfg *cfg, struct get_cli **ret_gc)
{
	struct get_cli *gc = calloc(1, sizeof(*gc));

	if (!gc)
		return -ENOMEM;
	gc->cfg = *cfg;
	gc->work = (struct loop_work){ .fn = on_wake, .ctx = gc };
	loop_timer_init(&gc->timeout, cfg->loop, on_timeout, gc);
	loop_timer_init(&gc->flush_timer, cfg->loop, check_flush, gc);
	(void)pthread_mutex_init(&gc->lock, NULL);
	cfg->pipe->wake = on_wake;
	cfg->pipe->gone = on_gone;
	cfg->pipe->user = gc;
	*ret_gc = gc;
	return 0;
}

int get_cli_start(struct get_cli *gc)
{
	const struct get_u32_msg m = { .h = { GET_HEADER_VERSION, GET_HOST_REQUEST,
					      GET_RQ_VERSION },
				       .val = GET_PROTOCOL_NICKEL_REV2 };
	int r;

	if (gc->state != STATE_NEW)
		return -EALREADY;
	gc->state = STATE_VERSION;
	/* The ring is empty: anything but success is final. */
	r = send_now(gc, &m, sizeof(m));
	if (r != 1)
		return r < 0 ? r : -EPIPE;
	/* A look at the ring opens its interrupt mask. */
	loop_post(gc->cfg.loop, &gc->work);
	if (gc->cfg.request_timeout_ms)
		loop_timer_arm(&gc->timeout,
			       loop_now_ns() + (uint64_t)gc->cfg.request_timeout_ms * 1000000);
	return 0;
}

void get_cli_destroy(struct get_cli *gc)
{
	if (!gc)
		return;
	gc->state = STATE_FAILED;
	while (gc->count)
		request_end(gc, -ECANCELED, NULL, NULL);
	end_flush(gc);
	loop_timer_cancel(&gc->timeout);
	gc->cfg.pipe->wake = NULL;
	gc->cfg.pipe->gone = NULL;
	free(gc->dps_json);
	get_modify_fini(&gc->modify);
	(void)pthread_mutex_destroy(&gc->lock);
	free(gc);
}

/* ---- requests -------------------------------------------------------------------------------- */

static int request(struct get_cli *gc, const struct request *rq)
{
	if (gc->state == STATE_FAILED)
		return -EPIPE;
	if (gc->count == MAX_REQUESTS)
		return -EBUSY;
	gc->queue[(gc->first + gc->count++) % MAX_REQUESTS] = *rq;
	/* From a callback of the last answer too: send when that has been dealt with. */
	loop_post(gc->cfg.loop, &gc->work);
	return 0;
}

int get_cli_request_dps(struct get_cli *gc, void (*done)(void *ctx, int err, struct dps *dps),
			void *ctx)
{
	return request(gc, &(struct request){ .id = GET_RQ_DPS_V2, .dps_done = done, .ctx = ctx });
}

int get_cli_request_time(struct get_cli *gc,
			 void (*done)(void *ctx, int err, const struct get_cli_time *t), void *ctx)
{
	return request(gc, &(struct request){ .id = GET_RQ_TIME, .time_done = done, .ctx = ctx });
}

int get_cli_flush(struct get_cli *gc, void (*done)(void *ctx), void *ctx)
{
	if (gc->flush_done)
		return -EBUSY;
	gc->flush_done = done;
	gc->flush_ctx = ctx;
	if (gc->state == STATE_FAILED)
		end_flush(gc);
	else
		loop_timer_arm(&gc->flush_timer, loop_now_ns());
	return 0;
}

/* ---- notifications --------------------------------------------------------------------------- */

/* A note in two pieces, from any thread. */
static void note2(struct get_cli *gc, const void *hdr, uint32_t hdr_len, const void *body,
		  uint32_t body_len)
{
	const uint32_t len = hdr_len + body_len;
	uint8_t len_bytes[2];
	bool fits;

	le16_store(len_bytes, (uint16_t)len);
	(void)pthread_mutex_lock(&gc->lock);
	fits = NOTE_BYTES - (gc->note_tail - gc->note_head) >= 2 + len;
	if (fits) {
		notes_copy_in(gc, len_bytes, 2);
		notes_copy_in(gc, hdr, hdr_len);
		notes_copy_in(gc, body, body_len);
	}
	(void)pthread_mutex_unlock(&gc->lock);
	if (!fits)
		atomic_fetch_add_explicit(&gc->dropped, 1, memory_order_relaxed);
	loop_post(gc->cfg.loop, &gc->work);
}

static struct get_header note_header(enum get_host_notification id)
{
	return (struct get_header){ GET_HEADER_VERSION, GET_HOST_NOTIFICATION, (uint16_t)id };
}

void get_cli_start_vtl0_completed(struct get_cli *gc, bool ok, const char *text)
{
	const struct get_result_text h = { .h = note_header(GET_HN_START_VTL0_COMPLETED),
					   .status = !ok,
					   .size = (uint32_t)strnlen(text ? text : "", TEXT_MAX) };

	note2(gc, &h, sizeof(h), text, h.size);
}

void get_cli_power_off(struct get_cli *gc, bool hibernate)
{
	(void)pthread_mutex_lock(&gc->lock);
	gc->want_power_off = true;
	gc->want_hibernate = hibernate;
	(void)pthread_mutex_unlock(&gc->lock);
	loop_post(gc->cfg.loop, &gc->work);
}

void get_cli_reset(struct get_cli *gc)
{
	(void)pthread_mutex_lock(&gc->lock);
	gc->want_reset = true;
	(void)pthread_mutex_unlock(&gc->lock);
	loop_post(gc->cfg.loop, &gc->work);
}

void get_cli_event_log(struct get_cli *gc, enum get_event event)
{
	const struct get_u32_msg m = { .h = note_header(GET_HN_EVENT_LOG), .val = event };

	note2(gc, &m, sizeof(m), NULL, 0);
}

void get_cli_vtl_crash(struct get_cli *gc, uint32_t vp, uint8_t last_vtl, uint64_t control,
		       const uint64_t params[5])
{
	struct get_vtl_crash m = { .h = note_header(GET_HN_VTL_CRASH),
				   .vp = vp,
				   .last_vtl = last_vtl,
				   .control = control };

	memcpy(m.params, params, sizeof(m.params));
	note2(gc, &m, sizeof(m), NULL, 0);
}

void get_cli_triple_fault(struct get_cli *gc, uint32_t vp, const struct get_fault_reg *regs,
			  uint32_t n_regs)
{
	const struct get_triple_fault h = { .h = note_header(GET_HN_TRIPLE_FAULT),
					    .vp = vp,
					    .fault = GET_FAULT_UNRECOVERABLE,
					    .n_regs = MIN(n_regs, GET_TRIPLE_FAULT_MAX_REGS) };

	note2(gc, &h, sizeof(h), regs, h.n_regs * (uint32_t)sizeof(*regs));
}

uint64_t get_cli_dropped(const struct get_cli *gc)
{
	return atomic_load_explicit(&gc->dropped, memory_order_relaxed);
}

/* ---- inspect ------------------------------------------------------------------------------- */

static const char *state_name(enum state state)
{
	switch (state) {
	case STATE_NEW:
		return "new";
	case STATE_VERSION:
		return "negotiating";
	case STATE_READY:
		return "ready";
	case STATE_FAILED:
		return "failed";
	}
	return "failed";
}

static void inspect_stats(struct inspect *in, const void *obj)
{
	const struct get_cli *gc = obj;

	inspect_count(in, SENS_UNSPEC, "host_requests", gc->n_requests);
	inspect_count(in, SENS_UNSPEC, "host_responses", gc->n_answers);
	inspect_count(in, SENS_UNSPEC, "host_notifications", gc->n_notes_out);
	inspect_count(in, SENS_UNSPEC, "host_notifications_dropped", get_cli_dropped(gc));
	inspect_count(in, SENS_UNSPEC, "guest_notifications", gc->n_notes_in);
	inspect_count(in, SENS_UNSPEC, "vpci_notifications", gc->n_vpci);
	inspect_count(in, SENS_UNSPEC, "settings_modifications", gc->modify.n_done);
	inspect_count(in, SENS_UNSPEC, "settings_modifications_refused", gc->modify.n_refused);
}

void get_cli_inspect(struct inspect *in, const void *obj)
{
	struct get_cli *gc = (struct get_cli *)(uintptr_t)obj; /* only its lock changes */
	bool power_off, reset, sent;
	uint32_t queued;

	(void)pthread_mutex_lock(&gc->lock);
	queued = gc->note_tail - gc->note_head;
	power_off = gc->want_power_off;
	reset = gc->want_reset;
	sent = gc->power_sent;
	(void)pthread_mutex_unlock(&gc->lock);
	inspect_str(in, SENS_UNSPEC, "state", state_name(gc->state));
	if (gc->state == STATE_READY)
		inspect_str(in, SENS_UNSPEC, "version", "nickel_rev2");
	inspect_u64(in, SENS_UNSPEC, "requests_waiting", gc->count);
	if (gc->in_flight)
		inspect_u64(in, SENS_UNSPEC, "request_in_flight", gc->queue[gc->first].id);
	inspect_u64(in, SENS_UNSPEC, "notification_bytes_waiting", queued);
	inspect_bool(in, SENS_UNSPEC, "power_off_requested", power_off);
	inspect_bool(in, SENS_UNSPEC, "reset_requested", reset);
	inspect_bool(in, SENS_UNSPEC, "power_request_sent", sent);
	inspect_bool(in, SENS_UNSPEC, "flushing", gc->flush_done);
	inspect_dir(in, SENS_UNSPEC, "stats", inspect_stats, gc);
	inspect_dir(in, SENS_UNSPEC, "pipe", pipe_inspect, gc->cfg.pipe);
}
