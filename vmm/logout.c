/* SPDX-License-Identifier: MIT */
/* See logout.h. The client outlives every thread that logs: it is never destroyed. */
#include "logout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOG_AREA "log"

/* This may be asked for before the kernel's driver has found and bound it. */
#define OPEN_STEP_NS (100ull * 1000000)
#define OPEN_TRIES 100u

void logout_init(struct logout *lo, const struct knobs *knobs, bool restricted)
{
	struct log_output to_host;

	*lo = (struct logout){ .kmsg_read_fd = -1, .restricted = restricted };
	lo->gel = gel_cli_create(restricted);
	to_host = (struct log_output){ gel_cli_output, lo->gel };
	logstart_init(&lo->common, knobs, restricted, lo->gel ? &to_host : NULL);
}

void logout_forward(struct logout *lo, const struct log_record *rec)
{
	if (lo->gel)
		gel_cli_put_record(lo->gel, rec);
}

static void open_channel(void *ctx)
{
	struct logout *lo = ctx;
	int r = uio_chan_open(&gel_cli_instance, &lo->chan);

	if (r == -ENOENT && lo->tries++ < OPEN_TRIES) {
		loop_timer_arm(&lo->retry, loop_now_ns() + OPEN_STEP_NS);
		return;
	}
	if (r) {
		log_info(ALLOWED, "no log channel of the host (%d)", r);
		return;
	}
	if (!lo->restricted)
		lo->kmsg_read_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	gel_cli_attach(lo->gel, lo->loop, uio_chan_pipe(lo->chan), lo->kmsg_read_fd);
	r = uio_chan_start(lo->chan, lo->loop);
	if (r) {
		log_warn(ALLOWED, "log channel does not start (%d)", r);
		logout_detach(lo);
	}
}

void logout_attach(struct logout *lo, struct loop *loop)
{
	if (!lo->gel)
		return;
	lo->loop = loop;
	loop_timer_init(&lo->retry, loop, open_channel, lo);
	open_channel(lo);
}

void logout_flush(struct logout *lo)
{
	logstart_flush(&lo->common);
	if (lo->chan)
		gel_cli_flush(lo->gel);
}

bool logout_idle(struct logout *lo)
{
	return !lo->chan || gel_cli_idle(lo->gel);
}

void logout_detach(struct logout *lo)
{
	if (lo->loop)
		loop_timer_cancel(&lo->retry);
	lo->loop = NULL;
	if (!lo->chan)
		return;
	gel_cli_detach(lo->gel);
	uio_chan_close(lo->chan);
	lo->chan = NULL;
	if (lo->kmsg_read_fd >= 0)
		(void)close(lo->kmsg_read_fd);
	lo->kmsg_read_fd = -1;
}
