/* SPDX-License-Identifier: MIT */
/* See logfwd.h. An entry of the ring: le16 length, u8 level, text. */
#include "logfwd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "le.h"
#include "role_proto.h"

#define ENTRY_HEAD 3u

static void to_stderr(const char *line, size_t len)
{
	char buf[LOG_LINE_MAX + 1];

	len = MIN(len, (size_t)LOG_LINE_MAX);
	memcpy(buf, line, len);
	buf[len] = '\n';
	if (write(STDERR_FILENO, buf, len + 1) < 0)
		return; /* nobody left to tell */
}

static void ring_in(struct logfwd *fwd, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		fwd->ring[fwd->head++ % LOGFWD_RING_BYTES] = p[i];
}

static void ring_out(struct logfwd *fwd, void *ret_data, size_t len)
{
	uint8_t *p = ret_data;

	for (size_t i = 0; i < len; i++)
		p[i] = fwd->ring[fwd->tail++ % LOGFWD_RING_BYTES];
}

/* With the lock held. */
static bool put(struct logfwd *fwd, enum log_level level, const char *line, size_t len)
{
	uint8_t head[ENTRY_HEAD] = { 0, 0, (uint8_t)level };

	if (LOGFWD_RING_BYTES - (fwd->head - fwd->tail) < ENTRY_HEAD + len)
		return false;
	le16_store(head, (uint16_t)len);
	ring_in(fwd, head, sizeof(head));
	ring_in(fwd, line, len);
	return true;
}

static void queue(struct logfwd *fwd, enum log_level level, const char *line, size_t len)
{
	char note[64];
	int n;

	(void)pthread_mutex_lock(&fwd->lock);
	if (fwd->missed) {
		n = snprintf(note, sizeof(note), "%u log lines lost", fwd->missed);
		if (n > 0 && put(fwd, LOG_WARN, note, (size_t)n))
			fwd->missed = 0;
	}
	if (fwd->missed || !put(fwd, level, line, len))
		fwd->missed += fwd->missed < UINT32_MAX;
	if (fwd->loop)
		loop_post(fwd->loop, &fwd->work);
	(void)pthread_mutex_unlock(&fwd->lock);
}

static void sink(void *ctx, enum log_level level, const char *line)
{
	const size_t len = strnlen(line, LOG_LINE_MAX);
	struct logfwd *fwd = ctx;

	if (fwd->kmsg_fd >= 0)
		log_sink_kmsg(&fwd->kmsg_fd, level, line);
	else
		to_stderr(line, len);
	queue(fwd, level, line, len);
}

void logfwd_init(struct logfwd *fwd, enum log_level level, bool restricted)
{
	*fwd = (struct logfwd){ .lock = PTHREAD_MUTEX_INITIALIZER };
	fwd->kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	log_init(level, restricted, sink, fwd);
}

/* Take one entry out if it can be sent. The message is put together outside the lock. */
static bool send_one(struct logfwd *fwd)
{
	uint8_t head[ENTRY_HEAD], body[1 + LOG_LINE_MAX];
	size_t len;

	if (ipc_queued(fwd->ipc) > IPC_QUEUE_MAX / 2)
		return false;
	(void)pthread_mutex_lock(&fwd->lock);
	if (fwd->head == fwd->tail) {
		(void)pthread_mutex_unlock(&fwd->lock);
		return false;
	}
	ring_out(fwd, head, sizeof(head));
	len = MIN(le16_load(head), (uint16_t)LOG_LINE_MAX);
	body[0] = head[2];
	ring_out(fwd, body + 1, len);
	(void)pthread_mutex_unlock(&fwd->lock);
	return ipc_send(fwd->ipc, ROLE_LOG, 0, body, 1 + len) == 0;
}

void logfwd_flush(struct logfwd *fwd)
{
	while (fwd->ipc && send_one(fwd))
		;
}

static void on_work(void *ctx)
{
	logfwd_flush(ctx);
}

void logfwd_attach(struct logfwd *fwd, struct loop *loop, struct ipc *ipc)
{
	(void)pthread_mutex_lock(&fwd->lock);
	fwd->work = (struct loop_work){ .fn = on_work, .ctx = fwd };
	fwd->loop = loop;
	fwd->ipc = ipc;
	(void)pthread_mutex_unlock(&fwd->lock);
	logfwd_flush(fwd);
}

void logfwd_detach(struct logfwd *fwd)
{
	(void)pthread_mutex_lock(&fwd->lock);
	fwd->loop = NULL;
	fwd->ipc = NULL;
	(void)pthread_mutex_unlock(&fwd->lock);
}
