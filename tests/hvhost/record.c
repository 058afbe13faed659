/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "le.h"
#include "macros.h"
#include "trycopy.h"

#define HEADER 16u

static int record_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects: buf, order; rank: leaf */
static uint8_t buf[HEADER + RECORD_MAX];

void record_open(int fd)
{
	if (record_fd >= 0)
		(void)close(record_fd);
	record_fd = fd;
}

/* The reader is the front end: when it is gone, so is this process. */
static void write_out(size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(record_fd, buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

void record_put(enum record_kind kind, uint32_t id, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (record_fd < 0)
		return;
	(void)pthread_mutex_lock(&lock);
	while (len) {
		size_t n = MIN(len, (size_t)RECORD_MAX);

		if (trycopy_mem(buf + HEADER, p, n) < 0)
			break;
		le32_store(buf, kind);
		le32_store(buf + 4, id);
		le32_store(buf + 8, (uint32_t)n);
		le32_store(buf + 12, 0);
		write_out(HEADER + n);
		p += n;
		len -= n;
	}
	(void)pthread_mutex_unlock(&lock);
}
