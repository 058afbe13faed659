/* SPDX-License-Identifier: MIT */
/* See host.h. Thread: control. */
#include "host.h"

#include <errno.h>

#include "inspect.h"
#include "log.h"
#include "uart16550.h"

#define LOG_AREA "host"

/* --- GET -------------------------------------------------------------------------------------- */

static void on_ready(void *ctx)
{
	struct host *h = ctx;

	h->ready = true;
}

static void on_failed(void *ctx, int err, const char *why)
{
	struct host *h = ctx;

	log_err(ALLOWED, "guest emulation transport failed: %s (%d)", why, err);
	h->err = err ? err : -EPIPE;
	h->why = why;
}

/* Until VTL0's devices exist there is nobody to ask. */
static void on_modify_settings(void *ctx, const uint8_t *doc, size_t len)
{
	struct host *h = ctx;

	if (h->modify) {
		h->modify(h->modify_ctx, doc, len);
		return;
	}
	h->doc_waits = true;
	h->doc = doc;
	h->doc_len = len;
}

static const struct get_cli_ops get_ops = {
	.ready = on_ready,
	.failed = on_failed,
	.modify_settings = on_modify_settings,
};

void host_on_modify(struct host *h, void (*fn)(void *ctx, const uint8_t *doc, size_t len),
		    void *ctx)
{
	const bool waits = h->doc_waits;

	h->modify = fn;
	h->modify_ctx = ctx;
	h->doc_waits = false;
	if (waits)
		fn(ctx, h->doc, h->doc_len);
}

static void on_dps(void *ctx, int err, struct dps *dps)
{
	struct host *h = ctx;

	if (err) {
		h->err = err;
		h->why = "platform settings";
	} else {
		h->dps = *dps;
		h->have_dps = true;
		*dps = (struct dps){ 0 };
	}
	h->answered = true;
}

static void on_time(void *ctx, int err, const struct get_cli_time *t)
{
	struct host *h = ctx;

	if (err)
		log_warn(ALLOWED, "no time from the host (%d)", err);
	else
		vm_clock_set_utc(h->time, t->utc, t->taken_ns);
	h->answered = true;
}

static void on_timeout(void *ctx)
{
	struct host *h = ctx;

	h->timed_out = true;
}

/* Run the control loop until the flag is set, something failed, or time is up. */
static int wait_for(struct host *h, const bool *flag)
{
	while (!*flag && !h->err && !h->timed_out) {
		int r = loop_wait(h->ctl);

		if (r < 0 && r != -EINTR)
			return r;
	}
	if (h->err)
		return h->err;
	if (!*flag) {
		h->why = "the host does not answer";
		return -ETIMEDOUT;
	}
	return 0;
}

static int converse(struct host *h)
{
	int r = get_cli_start(h->get);

	if (r == 0)
		r = wait_for(h, &h->ready);
	if (r == 0)
		r = get_cli_request_dps(h->get, on_dps, h);
	if (r == 0)
		r = wait_for(h, &h->answered);
	if (r)
		return r;
	h->answered = false;
	r = get_cli_request_time(h->get, on_time, h);
	return r ? r : wait_for(h, &h->answered);
}

static int open_get(struct host *h, uint32_t timeout_ms)
{
	struct get_cli_cfg cfg = { .loop = h->ctl, .ops = &get_ops, .ctx = h };
	int r = uio_chan_wait(&get_cli_instance, timeout_ms, &h->chan);

	if (r) {
		h->why = "no channel of the guest emulation transport";
		return r;
	}
	cfg.pipe = uio_chan_pipe(h->chan);
	r = get_cli_create(&cfg, &h->get);
	if (r == 0)
		r = uio_chan_start(h->chan, h->ctl);
	return r;
}

int host_connect(struct host *h, struct loop *ctl, struct time_source *time, uint32_t timeout_ms)
{
	struct loop_timer timer;
	int r;

	*h = (struct host){ .ctl = ctl, .time = time, .why = "start-up" };
	r = open_get(h, timeout_ms);
	if (r)
		return r;
	loop_timer_init(&timer, ctl, on_timeout, h);
	loop_timer_arm(&timer, loop_now_ns() + (uint64_t)timeout_ms * 1000000);
	r = converse(h);
	loop_timer_cancel(&timer);
	return r;
}

/* --- serial ports ----------------------------------------------------------------------------- */

static size_t com_tx(void *ctx, const uint8_t *buf, size_t len)
{
	struct host_com *c = ctx;

	return vmbus_serial_tx(c->serial, buf, len);
}

static void com_rx_room(void *ctx)
{
	struct host_com *c = ctx;

	vmbus_serial_rx_ready(c->serial);
}

static size_t serial_rx(void *ctx, const uint8_t *data, size_t n)
{
	struct host_com *c = ctx;

	return c->uart ? uart16550_rx(c->uart, data, n) : 0;
}

static void serial_tx_space(void *ctx)
{
	struct host_com *c = ctx;

	if (c->uart)
		uart16550_tx_ready(c->uart);
}

static void serial_connected(void *ctx, bool connected)
{
	struct host_com *c = ctx;

	if (c->uart)
		uart16550_set_connected(c->uart, connected);
}

static const struct vmbus_serial_ops serial_ops = {
	.rx = serial_rx,
	.tx_space = serial_tx_space,
	.connected = serial_connected,
};

static int open_com(struct host *h, unsigned int idx)
{
	struct host_com *c = &h->com[idx];
	struct vmbus_serial_cfg cfg = {
		.loop = h->ctl,
		.ops = &serial_ops,
		.ctx = c,
		.tx_only = h->dps.management_vtl_features & DPS_MGMT_TX_ONLY_SERIAL_PORT,
		.port = idx,
	};
	int r = uio_chan_open(&vmbus_serial_instance[idx], &c->chan);

	if (r)
		return r;
	cfg.pipe = uio_chan_pipe(c->chan);
	r = vmbus_serial_create(&cfg, &c->serial);
	if (r == 0)
		r = uio_chan_start(c->chan, h->ctl);
	return r;
}

static void close_com(struct host_com *c)
{
	vmbus_serial_destroy(c->serial);
	uio_chan_close(c->chan);
	c->serial = NULL;
	c->chan = NULL;
}

void host_open_coms(struct host *h)
{
	for (unsigned int i = 0; i < MACHINE_COMS; i++) {
		struct host_com *c = &h->com[i];
		int r;

		if (!h->dps.com[i].enabled && !h->dps.com[i].vmbus_redirector)
			continue;
		r = open_com(h, i);
		if (r) {
			log_info(ALLOWED, "COM%u: no channel (%d), not connected", i + 1, r);
			close_com(c);
			continue;
		}
		c->backend =
			(struct char_backend){ .tx = com_tx, .rx_room = com_rx_room, .ctx = c };
	}
}

void host_attach_coms(struct host *h, struct machine *m)
{
	for (unsigned int i = 0; i < MACHINE_COMS; i++) {
		struct host_com *c = &h->com[i];
		int r;

		if (!c->serial)
			continue;
		c->uart = machine_com(m, i);
		r = vmbus_serial_start(c->serial);
		if (r)
			log_warn(ALLOWED, "COM%u: cannot start (%d)", i + 1, r);
	}
}

const struct char_backend *host_com_backend(struct host *h, unsigned int idx)
{
	return h->com[idx].serial ? &h->com[idx].backend : NULL;
}

bool host_coms_idle(struct host *h)
{
	for (unsigned int i = 0; i < MACHINE_COMS; i++) {
		if (h->com[i].serial && !vmbus_serial_idle(h->com[i].serial))
			return false;
	}
	return true;
}

static void serials_inspect(struct inspect *in, const void *obj)
{
	const struct host *h = obj;

	for (unsigned int i = 0; i < MACHINE_COMS; i++) {
		const struct host_com *c = &h->com[i];

		if (c->serial)
			inspect_dir_at(in, SENS_UNSPEC, i, vmbus_serial_inspect, c->serial);
	}
}

static void init_data_inspect(struct inspect *in, const void *obj)
{
	const struct host *h = obj;

	inspect_dir(in, SENS_UNSPEC, "dps", dps_inspect, &h->dps);
}

void host_inspect(struct inspect *in, const void *obj)
{
	const struct host *h = obj;

	if (h->get)
		inspect_dir(in, SENS_UNSPEC, "get", get_cli_inspect, h->get);
	if (h->have_dps)
		inspect_dir(in, SENS_UNSPEC, "init_data", init_data_inspect, h);
	inspect_dir(in, SENS_UNSPEC, "serial", serials_inspect, h);
}

void host_close(struct host *h)
{
	for (unsigned int i = 0; i < MACHINE_COMS; i++)
		close_com(&h->com[i]);
	get_cli_destroy(h->get);
	uio_chan_close(h->chan);
	dps_fini(&h->dps);
	h->get = NULL;
	h->chan = NULL;
}
