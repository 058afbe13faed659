/* SPDX-License-Identifier: MIT */
/* See logstart.h. */
#include "logstart.h"

#include <errno.h>
#include <fcntl.h>

#define LOG_AREA "log"

void logstart_init(struct logstart *ls, const struct knobs *knobs, bool restricted,
		   const struct log_output *to_host)
{
	struct log_output outputs[2] = { { log_sink_stderr, NULL } };
	int r = -ENOMEM;

	*ls = (struct logstart){ .kmsg = { .fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC),
					   .spans = knobs->log_spans },
				 .queue = log_queue_create() };
	if (ls->kmsg.fd >= 0)
		outputs[0] = (struct log_output){ log_sink_kmsg, &ls->kmsg };
	if (to_host)
		outputs[1] = *to_host;
	if (ls->queue)
		r = log_queue_start(ls->queue, outputs, to_host ? 2 : 1);
	if (r == 0)
		log_init(LOG_INFO, restricted, log_queue_put, ls->queue);
	else
		log_init(LOG_INFO, restricted, outputs[0].put, outputs[0].ctx);
	log_set_rate_limits(!knobs->log_unlimited);
	r = log_filter_set(knobs->log_filter, NULL, 0);
	if (r < 0)
		log_warn(ALLOWED, "the filter was not set (%d)", r);
}

void logstart_flush(struct logstart *ls)
{
	if (ls->queue)
		log_queue_flush(ls->queue);
}
