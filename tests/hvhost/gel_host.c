/* SPDX-License-Identifier: MIT */
#include "gel_host.h"

#include "ckd.h"
#include "get_proto.h"
#include "guid.h"
#include "json.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "gel"

struct gel_host {
	struct vmbus_chan *chan;
	bool open;
	uint8_t rx[GEL_MAX_RECORD];
};

struct gel_text {
	const char *p;
	int len;
};

/* A string of the record, or "?" when it lies outside. */
static struct gel_text text_at(const uint8_t *record, size_t len, struct gel_str s, size_t max)
{
	const size_t buf = sizeof(struct gel_header);

	if (!range_ok(s.off, s.size, len - buf))
		return (struct gel_text){ "?", 1 };
	return (struct gel_text){ (const char *)record + buf + s.off,
				  (int)MIN((size_t)s.size, max) };
}

/*
 * The text of an event for people: fields.message of the JSON, and how many events were lost before
 * it. False: not what we expect, the caller shows it as it came.
 */
static bool event_text(struct gel_text message, char *ret_text, size_t cap, uint64_t *ret_missed)
{
	struct json j;
	int r = json_parse(message.p, (size_t)message.len, &j);

	if (r < 0)
		return false;
	r = json_string(&j, json_member(&j, json_member(&j, 0, "fields"), "message"), ret_text,
			cap);
	if (json_u64(&j, json_member(&j, 0, "missed_events"), UINT64_MAX, ret_missed) < 0)
		*ret_missed = 0;
	json_fini(&j);
	return r == 0;
}

/* One line: area and text; log.h takes care of what is not printable. */
static void log_event(uint8_t level, struct gel_text target, const char *text)
{
	if (level <= GEL_ERROR)
		log_err(ALLOWED, "%.*s: %s", target.len, target.p, text);
	else if (level == GEL_WARNING)
		log_warn(ALLOWED, "%.*s: %s", target.len, target.p, text);
	else if (level == GEL_INFO)
		log_info(ALLOWED, "%.*s: %s", target.len, target.p, text);
	else
		log_debug(ALLOWED, "%.*s: %s", target.len, target.p, text);
}

static void log_record(const uint8_t *record, size_t len)
{
	struct gel_header h;
	struct gel_text target, message;
	char text[LOG_LINE_MAX];
	uint64_t missed = 0;

	if (len < sizeof(h)) {
		log_warn_rl(ALLOWED, "truncated record");
		return;
	}
	memcpy(&h, record, sizeof(h));
	target = text_at(record, len, h.target, GEL_MAX_TARGET);
	message = text_at(record, len, h.message, GEL_MAX_MESSAGE);
	if (h.type != GEL_EVENT) {
		log_debug(ALLOWED, "span %u %.*s: %.*s", h.type, target.len, target.p, message.len,
			  message.p);
		return;
	}
	if (!event_text(message, text, sizeof(text), &missed))
		(void)snprintf(text, sizeof(text), "%.*s", message.len, message.p);
	if (missed)
		log_warn(ALLOWED, "%.*s: %llu events missed", target.len, target.p,
			 (unsigned long long)missed);
	log_event(h.level, target, text);
}

static void signalled(void *ctx, struct vmbus_chan *ch)
{
	struct gel_host *gel = ctx;

	while (gel->open) {
		size_t len;
		int r = pipe_recv(vmbus_chan_pipe(ch), gel->rx, sizeof(gel->rx), &len);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			log_warn(ALLOWED, "ring or pipe corrupt");
			gel->open = false;
			return;
		}
		log_record(gel->rx, len);
	}
}

static void opened(void *ctx, struct vmbus_chan *ch)
{
	struct gel_host *gel = ctx;

	gel->open = true;
	vmbus_chan_open_done(ch, 0);
	signalled(gel, ch);
}

static void closed(void *ctx, struct vmbus_chan *ch)
{
	struct gel_host *gel = ctx;

	gel->open = false;
	vmbus_chan_close_done(ch);
}

static const struct vmbus_chan_ops chan_ops = { .open = opened,
						.close = closed,
						.signalled = signalled };

int gel_host_create(struct vmbus_server *server, struct gel_host **ret_gel)
{
	struct gel_host *gel = calloc(1, sizeof(*gel));
	const struct vmbus_chan_cfg cfg = { .interface_id = GET_INTERFACE_GUID,
					    .instance_id = GEL_INSTANCE_GUID,
					    .kind = VMBUS_CHAN_PIPE,
					    .ops = &chan_ops,
					    .ctx = gel };
	int r;

	if (!gel)
		return -ENOMEM;
	r = vmbus_chan_offer(server, &cfg, &gel->chan);
	if (r < 0) {
		free(gel);
		return r;
	}
	*ret_gel = gel;
	return 0;
}

void gel_host_destroy(struct gel_host *gel)
{
	if (!gel)
		return;
	vmbus_chan_destroy(gel->chan);
	free(gel);
}
