/* SPDX-License-Identifier: MIT */
#include "gel_host.h"

#include "ckd.h"
#include "get_proto.h"
#include "guid.h"
#include "log.h"
#include "server.h"

#include <errno.h>
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

static void log_record(const uint8_t *record, size_t len)
{
	struct gel_header h;
	struct gel_text target, message;

	if (len < sizeof(h)) {
		log_warn_rl(ALLOWED, "truncated record");
		return;
	}
	memcpy(&h, record, sizeof(h));
	target = text_at(record, len, h.target, GEL_MAX_TARGET);
	message = text_at(record, len, h.message, GEL_MAX_MESSAGE);
	if (h.type != GEL_EVENT)
		log_debug(ALLOWED, "span %u %.*s: %.*s", h.type, target.len, target.p, message.len,
			  message.p);
	else if (h.level <= GEL_ERROR)
		log_err(ALLOWED, "%.*s: %.*s", target.len, target.p, message.len, message.p);
	else if (h.level == GEL_WARNING)
		log_warn(ALLOWED, "%.*s: %.*s", target.len, target.p, message.len, message.p);
	else if (h.level == GEL_INFO)
		log_info(ALLOWED, "%.*s: %.*s", target.len, target.p, message.len, message.p);
	else
		log_debug(ALLOWED, "%.*s: %.*s", target.len, target.p, message.len, message.p);
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

static const struct vmbus_chan_ops chan_ops = { .open = opened, .close = closed,
						.signalled = signalled };

int gel_host_create(struct vmbus_server *server, struct gel_host **ret_gel)
{
	struct gel_host *gel = calloc(1, sizeof(*gel));
	const struct vmbus_chan_cfg cfg = { .interface_id = GET_INTERFACE_GUID,
					    .instance_id = GEL_INSTANCE_GUID,
					    .kind = VMBUS_CHAN_PIPE, .ops = &chan_ops, .ctx = gel };
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
