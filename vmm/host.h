/* SPDX-License-Identifier: MIT */
/*
 * The host side of the VM: the guest emulation transport and the serial channels, brought up in
 * order on the control loop. Trust: host, checked by the clients below.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chario.h"
#include "dps.h"
#include "get_cli.h"
#include "loop.h"
#include "machine.h"
#include "uio_chan.h"
#include "vm_clock.h"
#include "vmbus_serial.h"

struct inspect;
struct uart16550;

/* One COM port: between the UART of the machine and the channel of the host. */
struct host_com {
	struct char_backend backend;
	struct uio_chan *chan;
	struct vmbus_serial *serial; /* NULL: nothing attached */
	struct uart16550 *uart; /* set when the machine exists */
};

struct host {
	struct loop *ctl;
	struct uio_chan *chan;
	struct get_cli *get;
	struct dps dps;
	struct time_source *time;
	struct host_com com[MACHINE_COMS];
	/* New settings that came before anybody wanted them; the document is GET's. */
	bool doc_waits;
	const uint8_t *doc;
	size_t doc_len;
	void (*modify)(void *ctx, const uint8_t *doc, size_t len);
	void *modify_ctx;
	/* progress of the start-up conversation */
	bool ready, answered, timed_out, have_dps;
	int err;
	const char *why; /* static text when err is set */
};

/**
 * host_connect - open GET, agree on a version, fetch settings and time
 * Runs the control loop meanwhile. Returns: 0; -errno, with h->why set
 * @timeout_ms: for the whole conversation
 */
must_check int host_connect(struct host *h, struct loop *ctl, struct time_source *time,
			    uint32_t timeout_ms);

/**
 * host_open_coms - open the serial channels the settings speak of
 * A port whose channel is missing is simply not connected. Call before machine_create(); then
 * host_attach_coms() with the machine's UARTs starts them.
 */
void host_open_coms(struct host *h);
void host_attach_coms(struct host *h, struct machine *m);

/* The back end of a port for the machine's wiring; NULL: nothing attached. */
const struct char_backend *host_com_backend(struct host *h, unsigned int idx);

/**
 * host_on_modify - who deals with new VTL2 settings from now on, also those that have been waiting
 * @fn: answers with get_cli_modify_done(), now or later. On the control loop; may run in this call.
 */
void host_on_modify(struct host *h, void (*fn)(void *ctx, const uint8_t *doc, size_t len),
		    void *ctx);

/* Has the host taken all console output? */
bool host_coms_idle(struct host *h);

/* GET, the settings and the serial channels: an inspect_fn on the struct host. */
void host_inspect(struct inspect *in, const void *h);

void host_close(struct host *h);
