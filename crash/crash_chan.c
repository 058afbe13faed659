/* SPDX-License-Identifier: MIT */
/* See crash_chan.h. */
#include "crash_chan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Answers are short; a longer message is none. */
#define ANSWER_MAX 64

/* A name that nobody else uses. Without randomness zero does as well: the host only repeats it. */
static struct guid new_activity(void)
{
	struct guid g = { 0 };

	if (getrandom(&g, sizeof(g), GRND_NONBLOCK) != (ssize_t)sizeof(g))
		return (struct guid){ 0 };
	g.d3 = (uint16_t)((g.d3 & 0x0fff) | 0x4000);
	g.d4[0] = (uint8_t)((g.d4[0] & 0x3f) | 0x80);
	return g;
}

static int send_msg(struct crash_chan *cc, const void *msg, size_t len)
{
	int r;

	while ((r = pipe_send(cc->io.pipe, msg, len)) == -EAGAIN) {
		r = cc->io.wait(cc->io.ctx);
		if (r < 0)
			return r;
	}
	return r;
}

/* The answer to the question of this type: exactly @len bytes. */
static int receive(struct crash_chan *cc, uint64_t type, void *ret_msg, size_t len)
{
	uint8_t raw[ANSWER_MAX];
	struct crash_header h;
	size_t got;
	int r;

	while ((r = pipe_recv(cc->io.pipe, raw, sizeof(raw), &got)) == -EAGAIN) {
		r = cc->io.wait(cc->io.ctx);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (got != len)
		return -EPROTO;
	memcpy(&h, raw, sizeof(h));
	if (h.type != (type | CRASH_RESPONSE))
		return -EPROTO;
	memcpy(ret_msg, raw, len);
	return 0;
}

static int ask(struct crash_chan *cc, uint64_t type, void *ret_msg, size_t len)
{
	const struct crash_header q = { new_activity(), type };
	int r = send_msg(cc, &q, sizeof(q));

	return r < 0 ? r : receive(cc, type, ret_msg, len);
}

int crash_chan_begin(struct crash_chan *cc, const struct crash_chan_io *io)
{
	struct crash_caps_rsp caps;
	struct crash_config_rsp config;
	struct crash_status_rsp start;
	int r;

	memset(cc, 0, sizeof(*cc));
	cc->io = *io;
	r = ask(cc, CRASH_GET_CAPS, &caps, sizeof(caps));
	if (r < 0)
		return r;
	if (!(caps.caps & CRASH_CAP_LINUX_V1))
		return -EOPNOTSUPP;
	r = ask(cc, CRASH_NIX_CONFIG, &config, sizeof(config));
	if (r < 0)
		return r;
	if (!config.max_bytes || config.dump_type != CRASH_DUMP_ELF)
		return -EOPNOTSUPP;
	cc->max_bytes = config.max_bytes;
	r = ask(cc, CRASH_NIX_START, &start, sizeof(start));
	if (r < 0)
		return r;
	cc->activity = start.h.activity;
	return start.status ? -ECONNREFUSED : 0;
}

/* The host speaks up during the dump only when something went wrong. */
static int check_failure(struct crash_chan *cc)
{
	struct crash_status_rsp rsp;
	struct crash_header h;
	uint8_t raw[ANSWER_MAX];
	size_t got;
	int r = pipe_recv(cc->io.pipe, raw, sizeof(raw), &got);

	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	if (got != sizeof(rsp))
		return -EPROTO;
	memcpy(&h, raw, sizeof(h));
	return h.type == (CRASH_NIX_WRITE | CRASH_RESPONSE) ? -EIO : -EPROTO;
}

static int flush(struct crash_chan *cc)
{
	const struct crash_write_req req = { .h = { cc->activity, CRASH_NIX_WRITE },
					     .offset = cc->sent,
					     .size = (uint32_t)cc->held_len };
	int r = check_failure(cc);

	if (r == 0 && cc->held_len)
		r = send_msg(cc, &req, sizeof(req));
	if (r == 0 && cc->held_len)
		r = send_msg(cc, cc->held, cc->held_len);
	if (r < 0)
		return r;
	cc->sent += cc->held_len;
	cc->held_len = 0;
	return 0;
}

int crash_chan_write(struct crash_chan *cc, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len) {
		const uint64_t left = cc->max_bytes - cc->sent - cc->held_len;
		const size_t n = MIN(len, sizeof(cc->held) - cc->held_len);
		const size_t take = (size_t)MIN((uint64_t)n, left);
		int r = 0;

		memcpy(cc->held + cc->held_len, p, take);
		cc->held_len += take;
		if (take < n)
			return -ENOSPC;
		if (cc->held_len == sizeof(cc->held))
			r = flush(cc);
		if (r < 0)
			return r;
		p += n;
		len -= n;
	}
	return 0;
}

void crash_chan_kernel(const char *version, uint32_t *ret_major, uint32_t *ret_minor)
{
	uint32_t major, minor;

	*ret_major = *ret_minor = 0;
	if (sscanf(version, "Linux version %9u.%9u", &major, &minor) == 2) {
		*ret_major = major;
		*ret_minor = minor;
	}
}

int crash_chan_complete(struct crash_chan *cc, const char *version)
{
	struct crash_complete_req req = { .h = { cc->activity, CRASH_NIX_COMPLETE }, .vtl = 2 };
	uint32_t major, minor;
	int r = flush(cc);

	if (r < 0)
		return r;
	crash_chan_kernel(version, &major, &minor);
	req.major = major;
	req.minor = minor;
	memcpy(req.version, version, MIN(strlen(version), sizeof(req.version) - 1));
	r = send_msg(cc, &req, sizeof(req));
	while (r == 0) {
		r = pipe_drained(cc->io.pipe);
		if (r < 0)
			return r;
		if (r == 1)
			return check_failure(cc);
		r = cc->io.wait(cc->io.ctx);
	}
	return r;
}
