/* SPDX-License-Identifier: MIT */
#include "dump_host.h"

#include "core_stream.h"
#include "crash_proto.h"
#include "le.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_AREA "dump-host"
/* HRESULTs: E_FAIL, E_ACCESSDENIED. */
#define STATUS_FAILED ((int32_t)0x80004005)
#define STATUS_REFUSED ((int32_t)0x80070005)
#define FLUSH_MS 5000
/* A record of data and the records around it. */
#define OUT_BYTES (CORE_RECORD_HEAD + CORE_RECORD_MAX + 4 * 64)

enum dump_state {
	DUMP_IDLE,
	DUMP_RUNNING, /* started, a WRITE or COMPLETE may come */
	DUMP_DATA, /* WRITE came, its data is due */
	DUMP_FAILED, /* every write is answered with an error */
};

struct dump_host {
	struct dump_host_cfg cfg;
	struct vmbus_chan *chan;
	enum dump_state state;
	bool open, broken;
	struct guid activity;
	uint64_t got; /* bytes of this dump */
	uint32_t due; /* DUMP_DATA: length of the next message */
	bool refused; /* the data of a refused write is still to come */
	uint8_t out[OUT_BYTES];
	size_t out_at, out_len;
	struct loop_fd out_watch;
	bool out_watched, out_dead;
	uint8_t rx[CRASH_WRITE_MAX];
};

/* ---- the stream ------------------------------------------------------------------------------ */

static void on_out(void *ctx, uint32_t events);

static void watch_out(struct dump_host *dh, bool on)
{
	if (on == dh->out_watched)
		return;
	if (!on)
		loop_fd_remove(&dh->out_watch);
	else if (loop_fd_add(&dh->out_watch, dh->cfg.loop, dh->cfg.out_fd, POLLOUT, on_out, dh) < 0)
		return;
	dh->out_watched = on;
}

/* true: nothing is left. A reader that is gone swallows everything. */
static bool flush_out(struct dump_host *dh)
{
	while (dh->out_at < dh->out_len && !dh->out_dead) {
		ssize_t n = write(dh->cfg.out_fd, dh->out + dh->out_at, dh->out_len - dh->out_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			dh->out_dead = true;
		else
			dh->out_at += (size_t)n;
	}
	dh->out_at = dh->out_len = 0;
	return true;
}

/* Room is made by the rule that nothing is read while something waits; see OUT_BYTES. */
static void put_record(struct dump_host *dh, enum core_record type, const void *buf, size_t len)
{
	uint8_t *p;

	if (dh->out_at) {
		memmove(dh->out, dh->out + dh->out_at, dh->out_len - dh->out_at);
		dh->out_len -= dh->out_at;
		dh->out_at = 0;
	}
	if (dh->out_len + CORE_RECORD_HEAD + len > sizeof(dh->out)) {
		dh->out_dead = true;
		return;
	}
	p = dh->out + dh->out_len;
	memset(p, 0, CORE_RECORD_HEAD);
	p[0] = (uint8_t)type;
	le32_store(p + 4, (uint32_t)len);
	memcpy(p + CORE_RECORD_HEAD, buf, len);
	dh->out_len += CORE_RECORD_HEAD + len;
	(void)flush_out(dh);
}

static void flush_blocking(struct dump_host *dh)
{
	struct pollfd pfd = { .fd = dh->cfg.out_fd, .events = POLLOUT };

	while (!flush_out(dh) && poll(&pfd, 1, FLUSH_MS) > 0)
		;
}

/* ---- the protocol ---------------------------------------------------------------------------- */

static void end_dump(struct dump_host *dh, bool complete)
{
	if (dh->state == DUMP_IDLE)
		return;
	if (dh->state != DUMP_FAILED) {
		put_record(dh, CORE_END, complete ? "1" : "0", 1);
		if (dh->cfg.ended)
			dh->cfg.ended(dh->cfg.ctx, dh->got, complete);
	}
	dh->state = DUMP_IDLE;
}

static void broken(struct dump_host *dh, const char *why)
{
	if (!dh->broken)
		log_warn(ALLOWED, "VTL2 broke the protocol: %s", why);
	dh->broken = true;
	end_dump(dh, false);
}

static void answer(struct dump_host *dh, const void *msg, size_t len)
{
	if (pipe_send(vmbus_chan_pipe(dh->chan), msg, len) < 0)
		broken(dh, "it does not read its answers");
}

static struct crash_header reply(const struct crash_header *h)
{
	return (struct crash_header){ h->activity, h->type | CRASH_RESPONSE };
}

static void on_caps(struct dump_host *dh, const struct crash_header *h)
{
	const struct crash_caps_rsp rsp = { reply(h), CRASH_CAP_LINUX_V1 };

	answer(dh, &rsp, sizeof(rsp));
}

static void on_config(struct dump_host *dh, const struct crash_header *h)
{
	const bool on = dh->cfg.out_fd >= 0;
	const struct crash_config_rsp rsp = { reply(h), on ? dh->cfg.max_bytes : 0,
					      on ? CRASH_DUMP_ELF : CRASH_DUMP_NONE };

	answer(dh, &rsp, sizeof(rsp));
}

static void status(struct dump_host *dh, const struct crash_header *h, int32_t val)
{
	const struct crash_status_rsp rsp = { reply(h), val };

	answer(dh, &rsp, sizeof(rsp));
}

static void on_start(struct dump_host *dh, const struct crash_header *h)
{
	if (dh->state != DUMP_IDLE)
		return broken(dh, "a dump was under way");
	if (dh->cfg.out_fd < 0 || dh->out_dead) {
		log_warn(ALLOWED, "a crash dump is refused: there is nowhere to put it");
		return status(dh, h, STATUS_REFUSED);
	}
	dh->activity = h->activity;
	dh->got = 0;
	dh->state = DUMP_RUNNING;
	log_info(ALLOWED, "VTL2 sends a crash dump");
	put_record(dh, CORE_BEGIN, "core", 4);
	status(dh, h, 0);
}

static void fail(struct dump_host *dh, const struct crash_header *h, const char *why)
{
	log_warn_rl(ALLOWED, "the crash dump fails: %s", why);
	dh->refused = true;
	if (dh->state == DUMP_RUNNING) {
		end_dump(dh, false);
		dh->state = DUMP_FAILED;
	}
	status(dh, h, STATUS_FAILED);
}

static void on_write(struct dump_host *dh, const struct crash_header *h, size_t len)
{
	struct crash_write_req req;

	if (len != sizeof(req))
		return broken(dh, "bad WRITE");
	memcpy(&req, dh->rx, sizeof(req));
	if (req.size > CRASH_WRITE_MAX)
		return broken(dh, "bad WRITE");
	dh->due = req.size;
	if (dh->state != DUMP_RUNNING)
		return fail(dh, h, "no dump was started");
	if (req.size > dh->cfg.max_bytes - dh->got)
		return broken(dh, "more data than allowed");
	if (!guid_eq(&h->activity, &dh->activity))
		return broken(dh, "a write for another dump");
	if (req.offset != dh->got || dh->out_dead)
		return fail(dh, h, dh->out_dead ? "nobody reads it" : "not written in order");
	dh->state = DUMP_DATA;
}

static void on_data(struct dump_host *dh, size_t len)
{
	if (len != dh->due)
		return broken(dh, "data of another length than announced");
	dh->state = DUMP_RUNNING;
	put_record(dh, CORE_DATA, dh->rx, len);
	dh->got += len;
}

static void on_complete(struct dump_host *dh, size_t len)
{
	struct crash_complete_req req;

	if (len != sizeof(req) || dh->state != DUMP_RUNNING)
		return broken(dh, "bad COMPLETE");
	memcpy(&req, dh->rx, sizeof(req));
	req.version[sizeof(req.version) - 1] = 0;
	log_info(ALLOWED, "crash dump of VTL%u: %llu bytes, Linux %u.%u", req.vtl,
		 (unsigned long long)dh->got, req.major, req.minor);
	log_info(CONF, "%s", req.version);
	end_dump(dh, true);
}

static void on_message(struct dump_host *dh, size_t len)
{
	struct crash_header h;

	if (dh->state == DUMP_DATA)
		return on_data(dh, len);
	if (dh->refused) { /* the guest sends the data before it reads the refusal */
		dh->refused = false;
		if (len == dh->due)
			return;
	}
	if (len < sizeof(h))
		return broken(dh, "truncated message");
	memcpy(&h, dh->rx, sizeof(h));
	switch (h.type) {
	case CRASH_GET_CAPS:
		return len == sizeof(h) ? on_caps(dh, &h) : broken(dh, "bad GET_CAPABILITIES");
	case CRASH_NIX_CONFIG:
		return len == sizeof(h) ? on_config(dh, &h) : broken(dh, "bad CONFIG");
	case CRASH_NIX_START:
		return len == sizeof(h) ? on_start(dh, &h) : broken(dh, "bad START");
	case CRASH_NIX_WRITE:
		return on_write(dh, &h, len);
	case CRASH_NIX_COMPLETE:
		return on_complete(dh, len);
	default:
		broken(dh, "a request that does not exist");
	}
}

static void pump(struct dump_host *dh)
{
	/* Nothing new is read while records wait: the ring is the bound. */
	while (dh->open && !dh->broken && flush_out(dh)) {
		size_t len;
		int r = pipe_recv(vmbus_chan_pipe(dh->chan), dh->rx, sizeof(dh->rx), &len);

		if (r == -EAGAIN)
			break;
		if (r < 0)
			broken(dh, "ring or pipe corrupt");
		else
			on_message(dh, len);
	}
	watch_out(dh, dh->out_len > 0);
}

static void on_out(void *ctx, uint32_t events)
{
	struct dump_host *dh = ctx;

	(void)events;
	(void)flush_out(dh);
	pump(dh);
}

/* ---- life cycle ------------------------------------------------------------------------------ */

static void signalled(void *ctx, struct vmbus_chan *ch)
{
	(void)ch;
	pump(ctx);
}

static void opened(void *ctx, struct vmbus_chan *ch)
{
	struct dump_host *dh = ctx;

	dh->open = true;
	dh->broken = false;
	dh->state = DUMP_IDLE;
	dh->refused = false;
	vmbus_chan_open_done(ch, 0);
	pump(dh);
}

static void closed(void *ctx, struct vmbus_chan *ch)
{
	struct dump_host *dh = ctx;

	pump(dh); /* what it said last */
	dh->open = false;
	end_dump(dh, false);
	watch_out(dh, dh->out_len > 0);
	vmbus_chan_close_done(ch);
}

static const struct vmbus_chan_ops chan_ops = { .open = opened,
						.close = closed,
						.signalled = signalled };

int dump_host_create(const struct dump_host_cfg *cfg, struct dump_host **ret_dh)
{
	struct vmbus_chan_cfg chan = { .interface_id = CRASH_CHANNEL_GUID,
				       .instance_id = CRASH_CHANNEL_GUID,
				       .kind = VMBUS_CHAN_PIPE,
				       .ops = &chan_ops };
	struct dump_host *dh = calloc(1, sizeof(*dh));
	int r;

	if (!dh)
		return -ENOMEM;
	dh->cfg = *cfg;
	dh->out_dead = cfg->out_fd < 0;
	if (cfg->out_fd >= 0)
		(void)fcntl(cfg->out_fd, F_SETFL, fcntl(cfg->out_fd, F_GETFL) | O_NONBLOCK);
	chan.ctx = dh;
	r = vmbus_chan_offer(cfg->server, &chan, &dh->chan);
	if (r < 0) {
		free(dh);
		return r;
	}
	*ret_dh = dh;
	return 0;
}

void dump_host_file(struct dump_host *dh, const char *kind, const char *text, size_t len)
{
	if (dh->cfg.out_fd < 0 || dh->out_dead)
		return;
	end_dump(dh, false);
	flush_blocking(dh);
	put_record(dh, CORE_BEGIN, kind, strlen(kind));
	for (size_t at = 0; at < len; at += CORE_RECORD_MAX) {
		flush_blocking(dh);
		put_record(dh, CORE_DATA, text + at, MIN(len - at, (size_t)CORE_RECORD_MAX));
	}
	flush_blocking(dh);
	put_record(dh, CORE_END, "1", 1);
	flush_blocking(dh);
}

void dump_host_destroy(struct dump_host *dh)
{
	if (!dh)
		return;
	end_dump(dh, false);
	flush_blocking(dh);
	watch_out(dh, false);
	vmbus_chan_destroy(dh->chan);
	free(dh);
}
