/* SPDX-License-Identifier: MIT */
#include "exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char ready[] = "KEEL-EXEC READY";

void exec_init(struct exec *e, const char *script, const struct exec_ops *ops, void *ctx)
{
	uint64_t token[2] = { 0 };

	memset(e, 0, sizeof(*e));
	e->ops = ops;
	e->ctx = ctx;
	e->script = script;
	if (getrandom(token, sizeof(token), 0) < 0)
		token[0] = (uint64_t)(uintptr_t)e;
	snprintf(e->marker, sizeof(e->marker), "\n%016llx%016llx ", (unsigned long long)token[0],
		 (unsigned long long)token[1]);
}

static void consume(struct exec *e, size_t n)
{
	memmove(e->buf, e->buf + n, e->len - n);
	e->len -= n;
}

static void start_script(struct exec *e)
{
	char head[80];
	int n = snprintf(head, sizeof(head), "RUN %zu %.32s\n", strlen(e->script), e->marker + 1);

	e->ops->send(e->ctx, head, (size_t)n);
	e->ops->send(e->ctx, e->script, strlen(e->script));
	e->state = EXEC_RUNNING;
}

/* Whole lines until the agent says it is ready; anything else is boot noise. */
static bool scan_ready(struct exec *e)
{
	uint8_t *nl = memchr(e->buf, '\n', e->len);
	size_t line;

	if (!nl) {
		if (e->len == sizeof(e->buf))
			e->len = 0;
		return false;
	}
	line = (size_t)(nl - e->buf) + 1;
	if (memmem(e->buf, line, ready, sizeof(ready) - 1)) {
		consume(e, line);
		start_script(e);
		return true;
	}
	consume(e, line);
	return true;
}

/* Where the marker, or the beginning of one at the very end, stands: else len. */
static size_t find_marker(const struct exec *e, size_t marker_len)
{
	for (size_t i = 0; i < e->len; i++) {
		size_t n = MIN(marker_len, e->len - i);

		if (memcmp(e->buf + i, e->marker, n) == 0)
			return i;
	}
	return e->len;
}

static bool scan_output(struct exec *e)
{
	size_t marker_len = strlen(e->marker);
	size_t at = find_marker(e, marker_len);
	uint8_t *nl;

	if (at) {
		e->ops->output(e->ctx, e->buf, at);
		consume(e, at);
		return true;
	}
	if (e->len <= marker_len)
		return false;
	nl = memchr(e->buf + marker_len, '\n', e->len - marker_len);
	if (!nl)
		return false;
	*nl = 0;
	if (!e->restarted) /* afterwards only the follow-up ran; the script's word stands */
		e->status = (int)strtol((const char *)e->buf + marker_len, NULL, 10) & 0xff;
	e->state = EXEC_DONE;
	e->len = 0;
	return false;
}

void exec_data(struct exec *e, const uint8_t *buf, size_t len)
{
	while (len && e->state != EXEC_DONE) {
		size_t n = MIN(len, sizeof(e->buf) - e->len);

		memcpy(e->buf + e->len, buf, n);
		e->len += n;
		buf += n;
		len -= n;
		while (e->len && (e->state == EXEC_WAIT_READY ? scan_ready(e)
				  : e->state == EXEC_RUNNING  ? scan_output(e)
							      : false))
			;
	}
}

void exec_guest_reset(struct exec *e)
{
	if (e->state == EXEC_WAIT_READY)
		return;
	if (e->state == EXEC_RUNNING && e->len)
		e->ops->output(e->ctx, e->buf, e->len);
	e->len = 0;
	e->restarted = true;
	e->script = "true\n"; /* what is left to prove: the guest comes up again */
	e->state = EXEC_WAIT_READY;
}
