/* SPDX-License-Identifier: MIT */
#include "serial_host.h"

#include "log.h"
#include "serial_proto.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_AREA "serial-host"
#define RX_BUFFER 4096u

struct serial_host {
	struct serial_host_cfg cfg;
	struct vmbus_chan *chan;
	bool versioned, broken;
	bool told; /* RX_DATA_AVAILABLE sent and not asked since */
	bool tx_pending; /* out holds a transmission that is not written yet */
	uint8_t out[VSERIAL_DATA];
	unsigned out_at, out_len;
	uint8_t in[RX_BUFFER]; /* from the fd, not sent yet */
	unsigned in_len;
	struct loop_fd in_watch, out_watch;
	bool in_watched, out_watched, in_eof;
	uint8_t msg[VSERIAL_MAX_MESSAGE];
};

static struct get_header header(enum get_msg_type type, uint16_t id)
{
	return (struct get_header){ GET_HEADER_VERSION, (uint8_t)type, id };
}

static void broken(struct serial_host *sh, const char *why)
{
	if (!sh->broken)
		log_warn(ALLOWED, "COM%u: the paravisor broke the protocol: %s", sh->cfg.port + 1,
			 why);
	sh->broken = true;
}

/* At most one answer and two notifications are ever owed, so a full ring is the guest's fault. */
static void send_msg(struct serial_host *sh, const void *msg, size_t len)
{
	if (!sh->broken && pipe_send(vmbus_chan_pipe(sh->chan), msg, len) < 0)
		broken(sh, "it does not read");
}

/* ---- output: guest to fd --------------------------------------------------------------------- */

static void on_out(void *ctx, uint32_t events);

static void watch_out(struct serial_host *sh, bool on)
{
	if (on == sh->out_watched)
		return;
	if (!on)
		loop_fd_remove(&sh->out_watch);
	else if (loop_fd_add(&sh->out_watch, sh->cfg.loop, sh->cfg.out_fd, POLLOUT, on_out, sh) < 0)
		return;
	sh->out_watched = on;
}

/* true = nothing left. A fd that fails swallows everything, as a port without a cable. */
static bool write_some(struct serial_host *sh)
{
	while (sh->out_at < sh->out_len) {
		ssize_t n = sh->cfg.out_fd < 0 ? (ssize_t)(sh->out_len - sh->out_at)
					       : write(sh->cfg.out_fd, sh->out + sh->out_at,
						       sh->out_len - sh->out_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		sh->out_at += n > 0 ? (unsigned)n : sh->out_len - sh->out_at;
	}
	return true;
}

static void pump_out(struct serial_host *sh)
{
	const struct get_header done = header(GET_GUEST_NOTIFICATION, VSERIAL_GN_TX_COMPLETED);
	const bool all = write_some(sh);

	watch_out(sh, !all);
	if (all && sh->tx_pending) {
		sh->tx_pending = false;
		send_msg(sh, &done, sizeof(done));
	}
}

static void on_out(void *ctx, uint32_t events)
{
	(void)events;
	pump_out(ctx);
}

static void on_tx(struct serial_host *sh, size_t len)
{
	struct vserial_tx m;

	/* The last byte is padding that some clients leave out. */
	if (len != sizeof(m) && len != sizeof(m) - 1)
		return broken(sh, "bad TX_DATA_AVAILABLE");
	memset(&m, 0, sizeof(m));
	memcpy(&m, sh->msg, len);
	if (m.len > VSERIAL_DATA || sh->tx_pending)
		return broken(sh, "bad TX_DATA_AVAILABLE");
	memcpy(sh->out, m.data, m.len);
	sh->out_at = 0;
	sh->out_len = m.len;
	sh->tx_pending = true;
	pump_out(sh);
}

/* ---- input: fd to guest ---------------------------------------------------------------------- */

static void on_in(void *ctx, uint32_t events);

static void watch_in(struct serial_host *sh)
{
	const bool on = sh->cfg.in_fd >= 0 && !sh->in_eof && sh->in_len < RX_BUFFER;

	if (on == sh->in_watched)
		return;
	if (!on)
		loop_fd_remove(&sh->in_watch);
	else if (loop_fd_add(&sh->in_watch, sh->cfg.loop, sh->cfg.in_fd, POLLIN, on_in, sh) < 0)
		return;
	sh->in_watched = on;
}

static void send_data(struct serial_host *sh)
{
	struct vserial_rx_rsp rsp = { .h = header(GET_HOST_RESPONSE, VSERIAL_RQ_GET_RX_DATA) };
	unsigned n = MIN(sh->in_len, (unsigned)VSERIAL_DATA);

	memcpy(rsp.data, sh->in, n);
	memmove(sh->in, sh->in + n, sh->in_len - n);
	sh->in_len -= n;
	rsp.len = (uint8_t)n;
	rsp.more = sh->in_len > 0;
	send_msg(sh, &rsp, sizeof(rsp));
	watch_in(sh);
}

static void tell_input(struct serial_host *sh)
{
	const struct get_header m = header(GET_GUEST_NOTIFICATION, VSERIAL_GN_RX_AVAILABLE);

	if (!sh->versioned || sh->broken || sh->told || !sh->in_len)
		return;
	sh->told = true;
	send_msg(sh, &m, sizeof(m));
}

static void on_in(void *ctx, uint32_t events)
{
	struct serial_host *sh = ctx;
	ssize_t n = read(sh->cfg.in_fd, sh->in + sh->in_len, RX_BUFFER - sh->in_len);

	(void)events;
	if (n > 0)
		sh->in_len += (unsigned)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		sh->in_eof = true;
	watch_in(sh);
	tell_input(sh);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void on_version(struct serial_host *sh, size_t len)
{
	const struct vserial_modem modem = {
		.h = header(GET_GUEST_NOTIFICATION, VSERIAL_GN_MODEM_STATUS),
		.connected = sh->cfg.in_fd >= 0 || sh->cfg.out_fd >= 0 };
	struct get_version_rsp rsp = { .h = header(GET_HOST_RESPONSE, VSERIAL_RQ_VERSION) };
	struct get_u32_msg rq;

	if (len != sizeof(rq))
		return broken(sh, "bad VERSION");
	memcpy(&rq, sh->msg, sizeof(rq));
	rsp.accepted = rq.val == VSERIAL_VERSION;
	sh->versioned = rsp.accepted;
	send_msg(sh, &rsp, sizeof(rsp));
	if (!rsp.accepted)
		return;
	send_msg(sh, &modem, sizeof(modem));
	tell_input(sh);
}

static void on_message(struct serial_host *sh, size_t len)
{
	struct get_header h;

	if (len < sizeof(h))
		return broken(sh, "truncated message");
	memcpy(&h, sh->msg, sizeof(h));
	if (h.version != GET_HEADER_VERSION)
		return broken(sh, "unknown header version");
	if (h.type == GET_HOST_REQUEST && h.id == VSERIAL_RQ_VERSION)
		return on_version(sh, len);
	if (!sh->versioned)
		return broken(sh, "it does not begin with VERSION");
	if (h.type == GET_HOST_REQUEST && h.id == VSERIAL_RQ_GET_RX_DATA) {
		sh->told = false;
		send_data(sh); /* answers at once, with nothing if need be */
	} else if (h.type == GET_HOST_NOTIFICATION && h.id == VSERIAL_HN_TX_DATA) {
		on_tx(sh, len);
	} else if (h.type == GET_HOST_NOTIFICATION && h.id == VSERIAL_HN_RX_CLEAR) {
		sh->in_len = 0;
		watch_in(sh);
	} else {
		broken(sh, "unknown message");
	}
}

static void signalled(void *ctx, struct vmbus_chan *ch)
{
	struct serial_host *sh = ctx;

	while (!sh->broken) {
		size_t len;
		int r = pipe_recv(vmbus_chan_pipe(ch), sh->msg, sizeof(sh->msg), &len);

		if (r == -EAGAIN)
			return;
		if (r < 0)
			return broken(sh, "ring or pipe corrupt");
		on_message(sh, len);
	}
}

static void opened(void *ctx, struct vmbus_chan *ch)
{
	struct serial_host *sh = ctx;

	sh->versioned = sh->broken = sh->told = sh->tx_pending = false;
	vmbus_chan_open_done(ch, 0);
	watch_in(sh);
	signalled(sh, ch);
}

static void closed(void *ctx, struct vmbus_chan *ch)
{
	struct serial_host *sh = ctx;

	sh->broken = true;
	sh->tx_pending = false; /* what is left is written, but nobody waits for it */
	vmbus_chan_close_done(ch);
}

static const struct vmbus_chan_ops chan_ops = { .open = opened, .close = closed,
						.signalled = signalled };

/* ---- life cycle ------------------------------------------------------------------------------ */

static int set_nonblock(int fd)
{
	int flags;

	if (fd < 0)
		return 0;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int serial_host_create(const struct serial_host_cfg *cfg, struct serial_host **ret_sh)
{
	static const struct guid instances[] = { VSERIAL_COM1_GUID, VSERIAL_COM2_GUID,
						 VSERIAL_COM3_GUID, VSERIAL_COM4_GUID };
	struct vmbus_chan_cfg chan = { .interface_id = VSERIAL_INTERFACE_GUID,
				       .kind = VMBUS_CHAN_PIPE, .ops = &chan_ops };
	struct serial_host *sh;
	int r;

	if (cfg->port >= ARRAY_SIZE(instances))
		return -EINVAL;
	r = set_nonblock(cfg->in_fd);
	if (r == 0)
		r = set_nonblock(cfg->out_fd);
	if (r < 0)
		return r;
	sh = calloc(1, sizeof(*sh));
	if (!sh)
		return -ENOMEM;
	sh->cfg = *cfg;
	sh->broken = true;
	chan.instance_id = instances[cfg->port];
	chan.ctx = sh;
	r = vmbus_chan_offer(cfg->server, &chan, &sh->chan);
	if (r < 0) {
		free(sh);
		return r;
	}
	*ret_sh = sh;
	return 0;
}

void serial_host_destroy(struct serial_host *sh)
{
	if (!sh)
		return;
	(void)write_some(sh);
	watch_out(sh, false);
	sh->in_eof = true;
	watch_in(sh);
	vmbus_chan_destroy(sh->chan);
	free(sh);
}
