/* SPDX-License-Identifier: MIT */
/*
 * The paravisor's end of the guest emulation transport (GET): requests to the host, notifications
 * to and from it. Asynchronous on one loop; a broken protocol or a closed channel fails the client
 * once (ops->failed) and everything after that is refused or dropped. Trust: the host is hostile:
 * each message is copied once and checked; there is at most one request in flight; notifications
 * are answered at once or counted. Spec: spec/get-vmgs.md chapters 1 to 9.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dps.h"
#include "get_proto.h"
#include "guid.h"
#include "loop.h"
#include "macros.h"
#include "pipe.h"

struct get_cli;
struct inspect;

extern const struct guid get_cli_instance; /* GET's channel, for uio_chan_open() */

/* What the host tells us. All on the loop's thread. NULL members are ignored. */
struct get_cli_ops {
	/* Version agreed: requests may be made from here on (earlier ones were queued). */
	void (*ready)(void *ctx);
	/* The protocol is broken or the channel is gone; called once. @why: static text. */
	void (*failed)(void *ctx, int err, const char *why);
	void (*generation_id)(void *ctx, const uint8_t id[16]);
	void (*battery)(void *ctx, const struct get_battery_status *st);
	void (*debug_interrupt)(void *ctx, uint8_t vtl);
	void (*post_live_migration)(void *ctx);
	/* New VTL2 settings; @doc stays until get_cli_modify_done(), which may be called at once or
	 * any time later. One at a time: others are refused meanwhile. NULL: all are refused. */
	void (*modify_settings)(void *ctx, const uint8_t *doc, size_t len);
};

struct get_cli_cfg {
	struct loop *loop;
	struct pipe *pipe; /* the open channel; get_cli sets its user callbacks */
	const struct get_cli_ops *ops;
	void *ctx;
	unsigned request_timeout_ms; /* 0 = wait for ever (the host may be a debugger) */
};

/* Host time as the TIME answer gives it. */
struct get_cli_time {
	uint64_t vm_reference_time; /* 100 ns */
	int64_t utc; /* 100 ns since 1601-01-01 */
	int16_t bias_minutes; /* local = UTC - bias */
	bool daylight_saving;
	uint64_t taken_ns; /* loop_now_ns() when the answer arrived */
};

/**
 * get_cli_create - make the client; VERSION goes out with get_cli_start()
 * Returns: 0, -ENOMEM. Context: the loop's thread or before it runs.
 */
must_check int get_cli_create(const struct get_cli_cfg *cfg, struct get_cli **ret_gc);
must_check int get_cli_start(struct get_cli *gc);
/* Accepts NULL; outstanding requests end with -ECANCELED. When the loop is not going to run again,
 * or nothing was sent or asked since it last ran (work for it would outlive the client). */
void get_cli_destroy(struct get_cli *gc);

/**
 * get_cli_request_dps / get_cli_request_time - ask the host
 * @done: called exactly once, on the loop's thread: err 0 with the answer, or -errno with NULL.
 * The struct dps belongs to the caller of dps_fini() inside done: it may be moved out by copying
 * the struct and zeroing the original.
 * Returns: 0; -EBUSY (too many queued); -EPIPE (failed). Context: the loop's thread.
 */
must_check int get_cli_request_dps(struct get_cli *gc,
				   void (*done)(void *ctx, int err, struct dps *dps), void *ctx);
must_check int get_cli_request_time(struct get_cli *gc,
				    void (*done)(void *ctx, int err, const struct get_cli_time *t),
				    void *ctx);

/*
 * Notifications to the host. Any thread, never block, no allocation; sent in order; what does not
 * fit a bounded queue is dropped and counted (power off and reset are never dropped).
 */

/* VTL0 runs (or could not be started, and @text says why; cut at 1 KiB). */
void get_cli_start_vtl0_completed(struct get_cli *gc, bool ok, const char *text);

/* The guest asked for power-off (S5, or S4 with @hibernate) or a restart. Ordered behind the
 * requests that are queued already. The host then takes the VM away. */
void get_cli_power_off(struct get_cli *gc, bool hibernate);
void get_cli_reset(struct get_cli *gc);

/* The settings were modified, or @json (an array of errors, cut at GET_MAX_PAYLOAD) says why not.
 * Context: the loop's thread. Without anything to answer: no-op. */
void get_cli_modify_done(struct get_cli *gc, bool ok, const char *json);

void get_cli_event_log(struct get_cli *gc, enum get_event event);

/* The guest wrote its crash registers. */
void get_cli_vtl_crash(struct get_cli *gc, uint32_t vp, uint8_t last_vtl, uint64_t control,
		       const uint64_t params[5]);

/* The guest had a triple fault. @regs: up to GET_TRIPLE_FAULT_MAX_REGS, 0 on a confidential VM. */
void get_cli_triple_fault(struct get_cli *gc, uint32_t vp, const struct get_fault_reg *regs,
			  uint32_t n_regs);

/* State, version, queues, counters, the channel: an inspect_fn on the struct get_cli. Context: the
 * loop's thread. */
void get_cli_inspect(struct inspect *in, const void *gc);

/* Notifications dropped since the start, for inspect. Any thread. */
uint64_t get_cli_dropped(const struct get_cli *gc);

/**
 * get_cli_flush - call @done on the loop's thread once everything queued so far has been consumed
 * by the host, or the client failed. One flush at a time. Context: the loop's thread.
 * Returns: 0, -EBUSY
 */
must_check int get_cli_flush(struct get_cli *gc, void (*done)(void *ctx), void *ctx);
