/* SPDX-License-Identifier: MIT */
#include "vmbus_serial.h"

#include "inspect.h"
#include "log.h"
#include "serial_proto.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "vmbus-serial"
#define TX_BUFFER 4096u /* power of two */

const struct guid vmbus_serial_instance[VMBUS_SERIAL_PORTS] = {
	VSERIAL_COM1_GUID, VSERIAL_COM2_GUID, VSERIAL_COM3_GUID, VSERIAL_COM4_GUID,
};

enum state { STATE_NEW, STATE_VERSION, STATE_RUN, STATE_FAILED };

struct vmbus_serial {
	struct vmbus_serial_cfg cfg;
	enum state state;
	bool tx_in_flight; /* TX_DATA_AVAILABLE sent, TX_COMPLETED not yet */
	bool rx_asked; /* GET_RX_DATA sent, no answer yet */
	bool rx_more; /* the host has input that was not asked for yet */
	uint8_t rx[VSERIAL_DATA]; /* what the UART has not taken yet */
	unsigned rx_at, rx_len;
	struct loop_work work; /* another thread queued output or has room for input */

	pthread_mutex_t lock; /* protects: the transmit buffer; rank: leaf */
	uint8_t tx[TX_BUFFER];
	uint32_t tx_head, tx_tail; /* free running */
	bool tx_short; /* a caller was turned away: tell it when there is room */
	bool tx_dead; /* take and drop */

	uint8_t msg[VSERIAL_MAX_MESSAGE];
};

/* ---- failing --------------------------------------------------------------------------------- */

static bool tx_drop_all(struct vmbus_serial *vs)
{
	bool tell;

	(void)pthread_mutex_lock(&vs->lock);
	vs->tx_dead = true;
	vs->tx_head = vs->tx_tail;
	tell = vs->tx_short;
	vs->tx_short = false;
	(void)pthread_mutex_unlock(&vs->lock);
	return tell;
}

static void fail(struct vmbus_serial *vs, const char *why)
{
	if (vs->state == STATE_FAILED)
		return;
	vs->state = STATE_FAILED;
	log_warn(ALLOWED, "COM%u: disconnected: %s", vs->cfg.port + 1, why);
	if (tx_drop_all(vs) && vs->cfg.ops->tx_space)
		vs->cfg.ops->tx_space(vs->cfg.ctx);
	if (vs->cfg.ops->connected)
		vs->cfg.ops->connected(vs->cfg.ctx, false);
}

/* 1 sent, 0 no room now, -errno after fail(). */
static int send_now(struct vmbus_serial *vs, const void *msg, size_t len)
{
	int r = pipe_send(vs->cfg.pipe, msg, len);

	if (r == -EAGAIN)
		return 0;
	if (r < 0) {
		fail(vs, "channel broken");
		return r;
	}
	return 1;
}

/* ---- transmit -------------------------------------------------------------------------------- */

/* Take up to one message's worth out of the buffer; *ret_tell: a caller waits for the room. */
static unsigned tx_take(struct vmbus_serial *vs, uint8_t *ret_data, bool *ret_tell)
{
	unsigned n;

	(void)pthread_mutex_lock(&vs->lock);
	n = MIN(vs->tx_tail - vs->tx_head, (uint32_t)VSERIAL_DATA);
	for (unsigned i = 0; i < n; i++)
		ret_data[i] = vs->tx[vs->tx_head++ % TX_BUFFER];
	*ret_tell = n && vs->tx_short;
	if (n)
		vs->tx_short = false;
	(void)pthread_mutex_unlock(&vs->lock);
	return n;
}

static void pump_tx(struct vmbus_serial *vs)
{
	struct vserial_tx m = { .h = { GET_HEADER_VERSION, GET_HOST_NOTIFICATION,
				       VSERIAL_HN_TX_DATA } };
	bool tell;

	if (vs->state != STATE_RUN || vs->tx_in_flight)
		return;
	m.len = (uint8_t)tx_take(vs, m.data, &tell);
	if (!m.len)
		return;
	vs->tx_in_flight = true;
	/* One in flight, and the ring holds hundreds: no room means a host that breaks the rules.
	 */
	if (send_now(vs, &m, sizeof(m)) == 0)
		fail(vs, "no room for a single transmission");
	if (tell && vs->cfg.ops->tx_space)
		vs->cfg.ops->tx_space(vs->cfg.ctx);
}

size_t vmbus_serial_tx(struct vmbus_serial *vs, const uint8_t *data, size_t n)
{
	bool start;
	size_t i = 0;

	(void)pthread_mutex_lock(&vs->lock);
	start = vs->tx_head == vs->tx_tail;
	if (vs->tx_dead) {
		i = n;
		start = false;
	} else {
		while (i < n && vs->tx_tail - vs->tx_head < TX_BUFFER)
			vs->tx[vs->tx_tail++ % TX_BUFFER] = data[i++];
		vs->tx_short |= i < n;
	}
	(void)pthread_mutex_unlock(&vs->lock);
	if (start)
		loop_post(vs->cfg.loop, &vs->work);
	return i;
}

bool vmbus_serial_idle(struct vmbus_serial *vs)
{
	bool empty;

	(void)pthread_mutex_lock(&vs->lock);
	empty = vs->tx_head == vs->tx_tail;
	(void)pthread_mutex_unlock(&vs->lock);
	return vs->state == STATE_FAILED || (empty && !vs->tx_in_flight);
}

/* ---- receive --------------------------------------------------------------------------------- */

/* Give the UART what we hold; true when nothing is left. */
static bool rx_deliver(struct vmbus_serial *vs)
{
	while (vs->rx_at < vs->rx_len) {
		size_t left = vs->rx_len - vs->rx_at;
		size_t n = vs->cfg.ops->rx ?
				   vs->cfg.ops->rx(vs->cfg.ctx, vs->rx + vs->rx_at, left) : left;

		if (!n)
			return false;
		vs->rx_at += (unsigned)MIN(n, left);
	}
	return true;
}

static void pump_rx(struct vmbus_serial *vs)
{
	const struct get_header ask = { GET_HEADER_VERSION, GET_HOST_REQUEST,
					VSERIAL_RQ_GET_RX_DATA };

	if (vs->state != STATE_RUN || !rx_deliver(vs) || vs->rx_asked || !vs->rx_more)
		return;
	if (send_now(vs, &ask, sizeof(ask)) == 1) {
		vs->rx_asked = true;
		vs->rx_more = false;
	}
}

void vmbus_serial_rx_ready(struct vmbus_serial *vs)
{
	loop_post(vs->cfg.loop, &vs->work);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void on_version(struct vmbus_serial *vs, size_t len)
{
	struct get_version_rsp rsp;

	if (vs->state != STATE_VERSION || len != sizeof(rsp))
		return fail(vs, "bad answer to VERSION");
	memcpy(&rsp, vs->msg, sizeof(rsp));
	if (!rsp.accepted)
		return fail(vs, "version refused");
	vs->state = STATE_RUN;
	vs->rx_more = !vs->cfg.tx_only; /* input may have come before we asked */
	if (vs->cfg.ops->connected)
		vs->cfg.ops->connected(vs->cfg.ctx, true);
}

static void on_rx_data(struct vmbus_serial *vs, size_t len)
{
	struct vserial_rx_rsp rsp;

	if (!vs->rx_asked || len != sizeof(rsp))
		return fail(vs, "bad answer to GET_RX_DATA");
	memcpy(&rsp, vs->msg, sizeof(rsp));
	if (rsp.len > VSERIAL_DATA)
		return fail(vs, "more input than fits");
	vs->rx_asked = false;
	/* A host that says "more" but sends nothing would be asked for ever: wait for its word. */
	vs->rx_more |= rsp.more && rsp.len;
	memcpy(vs->rx, rsp.data, rsp.len);
	vs->rx_at = 0;
	vs->rx_len = rsp.len;
}

static void on_modem(struct vmbus_serial *vs, size_t len)
{
	struct vserial_modem m;

	if (len != sizeof(m))
		return fail(vs, "bad SET_MODEM_STATUS");
	memcpy(&m, vs->msg, sizeof(m));
	if (vs->cfg.ops->connected)
		vs->cfg.ops->connected(vs->cfg.ctx, m.connected);
}

static void on_notification(struct vmbus_serial *vs, const struct get_header *h, size_t len)
{
	switch (h->id) {
	case VSERIAL_GN_RX_AVAILABLE:
		vs->rx_more = !vs->cfg.tx_only;
		return;
	case VSERIAL_GN_MODEM_STATUS:
		return on_modem(vs, len);
	case VSERIAL_GN_TX_COMPLETED:
		if (!vs->tx_in_flight)
			return fail(vs, "TX_COMPLETED without a transmission");
		vs->tx_in_flight = false;
		return;
	default:
		fail(vs, "unknown notification");
	}
}

static void on_message(struct vmbus_serial *vs, size_t len)
{
	struct get_header h;

	if (len < sizeof(h))
		return fail(vs, "truncated message");
	memcpy(&h, vs->msg, sizeof(h));
	if (h.version != GET_HEADER_VERSION)
		fail(vs, "unknown header version");
	else if (h.type == GET_HOST_RESPONSE && h.id == VSERIAL_RQ_VERSION)
		on_version(vs, len);
	else if (h.type == GET_HOST_RESPONSE && h.id == VSERIAL_RQ_GET_RX_DATA)
		on_rx_data(vs, len);
	else if (h.type == GET_GUEST_NOTIFICATION)
		on_notification(vs, &h, len);
	else
		fail(vs, "unknown message");
}

static void on_wake(void *user)
{
	struct vmbus_serial *vs = user;

	while (vs->state == STATE_VERSION || vs->state == STATE_RUN) {
		size_t len;
		int r = pipe_recv(vs->cfg.pipe, vs->msg, sizeof(vs->msg), &len);

		if (r == -EAGAIN)
			break;
		if (r < 0)
			return fail(vs, "channel broken");
		on_message(vs, len);
	}
	pump_tx(vs);
	pump_rx(vs);
}

static void on_gone(void *user)
{
	fail(user, "the channel was closed");
}

/* ---- life cycle ------------------------------------------------------------------------------ */

int vmbus_serial_create(const struct vmbus_serial_cfg *cfg, struct vmbus_serial **ret_vs)
{
	struct vmbus_serial *vs = calloc(1, sizeof(*vs));

	if (!vs)
		return -ENOMEM;
	vs->cfg = *cfg;
	vs->work = (struct loop_work){ .fn = on_wake, .ctx = vs };
	(void)pthread_mutex_init(&vs->lock, NULL);
	cfg->pipe->wake = on_wake;
	cfg->pipe->gone = on_gone;
	cfg->pipe->user = vs;
	*ret_vs = vs;
	return 0;
}

int vmbus_serial_start(struct vmbus_serial *vs)
{
	const struct get_u32_msg m = { .h = { GET_HEADER_VERSION, GET_HOST_REQUEST,
					      VSERIAL_RQ_VERSION },
				       .val = VSERIAL_VERSION };

	if (vs->state != STATE_NEW)
		return -EALREADY;
	vs->state = STATE_VERSION;
	if (send_now(vs, &m, sizeof(m)) != 1) {
		fail(vs, "no room for the first message");
		return -EPIPE;
	}
	/* A look at the ring opens its interrupt mask. */
	loop_post(vs->cfg.loop, &vs->work);
	return 0;
}

void vmbus_serial_destroy(struct vmbus_serial *vs)
{
	if (!vs)
		return;
	vs->cfg.pipe->wake = NULL;
	vs->cfg.pipe->gone = NULL;
	(void)pthread_mutex_destroy(&vs->lock);
	free(vs);
}

static const char *state_name(enum state state)
{
	switch (state) {
	case STATE_NEW:
		return "new";
	case STATE_VERSION:
		return "negotiating";
	case STATE_RUN:
		return "running";
	case STATE_FAILED:
		return "failed";
	}
	return "failed";
}

void vmbus_serial_inspect(struct inspect *in, const void *obj)
{
	struct vmbus_serial *vs = (struct vmbus_serial *)(uintptr_t)obj; /* only its lock changes */
	uint32_t tx;
	bool waits;

	(void)pthread_mutex_lock(&vs->lock);
	tx = vs->tx_tail - vs->tx_head;
	waits = vs->tx_short;
	(void)pthread_mutex_unlock(&vs->lock);
	inspect_str(in, SENS_UNSPEC, "state", state_name(vs->state));
	inspect_bool(in, SENS_UNSPEC, "tx_only", vs->cfg.tx_only);
	inspect_u64(in, SENS_UNSPEC, "tx_buffered", tx);
	inspect_bool(in, SENS_UNSPEC, "tx_waits_for_room", waits);
	inspect_bool(in, SENS_UNSPEC, "tx_in_flight", vs->tx_in_flight);
	inspect_u64(in, SENS_UNSPEC, "rx_buffered", vs->rx_len - vs->rx_at);
	inspect_bool(in, SENS_UNSPEC, "rx_requested", vs->rx_asked);
	inspect_bool(in, SENS_UNSPEC, "rx_more", vs->rx_more);
	inspect_dir(in, SENS_UNSPEC, "pipe", pipe_inspect, vs->cfg.pipe);
}
