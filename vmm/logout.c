/* SPDX-License-Identifier: MIT */
/* See logout.h. The client outlives every thread that logs: it is never destroyed. */
#include "logout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOG_AREA "log"

static void to_stderr(const char *line)
{
	char buf[1200];
	size_t len = strnlen(line, sizeof(buf) - 1);

	memcpy(buf, line, len);
	buf[len] = '\n';
	if (write(STDERR_FILENO, buf, len + 1) < 0)
		return; /* nobody left to tell */
}

static void sink(void *ctx, enum log_level level, const char *line)
{
	struct logout *lo = ctx;

	if (lo->kmsg_fd >= 0)
		log_sink_kmsg(&lo->kmsg_fd, level, line);
	else
		to_stderr(line);
	if (lo->gel)
		gel_cli_put(lo->gel, level, line);
}

void logout_init(struct logout *lo, enum log_level level, bool confidential)
{
	*lo = (struct logout){ .kmsg_read_fd = -1 };
	lo->kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	lo->gel = gel_cli_create();
	log_init(level, confidential, sink, lo);
}

void logout_attach(struct logout *lo, struct loop *loop)
{
	int r;

	if (!lo->gel)
		return;
	r = uio_chan_open(&gel_cli_instance, &lo->chan);
	if (r) {
		log_info(ALLOWED, "no log channel of the host (%d)", r);
		return;
	}
	lo->kmsg_read_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	gel_cli_attach(lo->gel, loop, uio_chan_pipe(lo->chan), lo->kmsg_read_fd);
	r = uio_chan_start(lo->chan, loop);
	if (r) {
		log_warn(ALLOWED, "log channel does not start (%d)", r);
		logout_detach(lo);
	}
}

void logout_flush(struct logout *lo)
{
	if (lo->chan)
		gel_cli_flush(lo->gel);
}

void logout_detach(struct logout *lo)
{
	if (!lo->chan)
		return;
	gel_cli_detach(lo->gel);
	uio_chan_close(lo->chan);
	lo->chan = NULL;
	if (lo->kmsg_read_fd >= 0)
		(void)close(lo->kmsg_read_fd);
	lo->kmsg_read_fd = -1;
}
