/* SPDX-License-Identifier: MIT */
#include "host_relay.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "hvcall.h"
#include "inspect.h"
#include "log.h"
#include "mshv_vtl.h"
#include "vmbus_proto.h"

#define LOG_AREA "relay"

/* The host may always have one more: others want the loop, too. */
#define MESSAGES_PER_VISIT 64

static int relay_post(void *ctx, uint32_t connection_id, const void *msg, size_t len)
{
	struct host_relay *hr = ctx;
	int r = mshv_sint_post(hr->fd, connection_id, HVMSG_CHANNEL, msg, len);

	if (r == HV_INSUFFICIENT_BUFFERS || r == HV_INSUFFICIENT_MEMORY) {
		hr->busy++;
		return -EAGAIN;
	}
	if (r > 0) {
		/* A host without channels for VTL0 has no such port. */
		log_info(ALLOWED, "the host refuses the relay's message (status 0x%x)", r);
		return -ENXIO;
	}
	return r;
}

static void on_readable(void *ctx, uint32_t events)
{
	struct host_relay *hr = ctx;
	struct hv_message msg;
	int r = 1;

	(void)events;
	for (int i = 0; i < MESSAGES_PER_VISIT && r > 0; i++) {
		r = mshv_sint_read(hr->fd, &msg);
		if (r <= 0)
			break;
		hr->messages++;
		if (msg.type == HVMSG_CHANNEL && msg.payload_size <= sizeof(msg.payload))
			vmbus_relay_message(hr->relay, msg.payload, msg.payload_size);
	}
	if (r < 0) {
		log_err(ALLOWED, "messages of the host cannot be read (%d)", r);
		loop_fd_remove(&hr->watch);
	}
}

static int start(struct host_relay *hr, struct vmbus_server *server, struct loop *ctl)
{
	const struct vmbus_relay_cfg cfg = {
		.server = server,
		.loop = ctl,
		.post = relay_post,
		.ctx = hr,
	};
	int r = mshv_sint_pause(hr->fd, false);

	if (r < 0)
		return r;
	r = loop_fd_add(&hr->watch, ctl, hr->fd, POLLIN, on_readable, hr);
	if (r < 0)
		return r;
	r = vmbus_relay_create(&cfg, &hr->relay);
	if (r < 0)
		loop_fd_remove(&hr->watch);
	return r;
}

int host_relay_start(struct host_relay *hr, struct vmbus_server *server, struct loop *ctl)
{
	int r = 0;

	hr->relay = NULL;
	hr->fd = mshv_sint_open();
	if (hr->fd < 0)
		r = hr->fd;
	else
		r = start(hr, server, ctl);
	if (r < 0) {
		log_warn(ALLOWED, "channels of the host are not relayed to VTL0 (%d)", r);
		host_relay_stop(hr);
	}
	return r;
}

void host_relay_stop(struct host_relay *hr)
{
	if (hr->relay) {
		loop_fd_remove(&hr->watch);
		vmbus_relay_destroy(hr->relay);
		hr->relay = NULL;
	}
	if (hr->fd >= 0) {
		if (mshv_sint_pause(hr->fd, true) < 0)
			log_warn(ALLOWED, "messages of the host cannot be paused");
		(void)close(hr->fd);
	}
	hr->fd = -1;
}

void host_relay_inspect(struct inspect *in, const void *obj)
{
	const struct host_relay *hr = obj;

	inspect_bool(in, SENS_UNSPEC, "running", hr->relay != NULL);
	inspect_count(in, SENS_UNSPEC, "messages", hr->messages);
	inspect_count(in, SENS_UNSPEC, "host_busy", hr->busy);
	if (hr->relay)
		inspect_dir(in, SENS_UNSPEC, "vmbus", vmbus_relay_inspect, hr->relay);
}
