/* SPDX-License-Identifier: MIT */
/*
 * The host's end of GET and of its log channel (GEL): answers the paravisor's requests and hands
 * its notifications to the session. Trust: VTL2 is hostile: a violation closes the channel, never
 * the host. Spec: spec/get-vmgs.md chapters 1 to 9.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gel_host.h"
#include "guid.h"
#include "loop.h"
#include "macros.h"

struct get_host;
struct vmbus_server;

struct get_host_crash {
	uint32_t vp;
	uint8_t last_vtl;
	uint64_t control;
	uint64_t params[5];
};

/* All on the device thread. NULL members are ignored. Texts are printable and end in NUL. */
struct get_host_ops {
	void (*connected)(void *ctx); /* version agreed */
	void (*power_off)(void *ctx, bool hibernate);
	void (*reset)(void *ctx);
	void (*start_vtl0)(void *ctx, bool ok, const char *text);
	void (*crash)(void *ctx, const struct get_host_crash *c);
	void (*triple_fault)(void *ctx, uint32_t vp, uint32_t type, const char *regs_text);
	void (*event)(void *ctx, uint32_t event_id);
	/* What get_host_modify() led to; @json: the paravisor's errors, "" when there are none. */
	void (*modified)(void *ctx, bool ok, const char *json);
};

struct get_host_cfg {
	struct vmbus_server *server;
	struct loop *loop;
	const struct get_host_ops *ops;
	void *ctx;
	bool com_enabled[2];
	bool com_vmbus_redirector[2]; /* false: the paravisor carries the port some other way */
	bool vmbus_redirection; /* the host has channels for VTL0, to be relayed */
	struct guid bios_guid; /* all zero: a fixed test value */
	int log_fd; /* the paravisor's log is stored there (gel_host.h); -1 = nowhere */
	bool log_json;
	const void *settings; /* VTL2 settings for the platform settings (settings_host.h) */
	size_t settings_len; /* 0 = none */
	const char *dps_json; /* NULL: built from the above; else sent as it is */
};

/**
 * get_host_create - offer GET and GEL
 * Returns: 0, -ENOMEM, -EINVAL. Context: device thread, or before it runs.
 */
must_check int get_host_create(const struct get_host_cfg *cfg, struct get_host **ret_gh);
void get_host_destroy(struct get_host *gh); /* accepts NULL */

/**
 * get_host_modify - tell the paravisor new VTL2 settings; ops->modified() will say what came of it
 * @doc: copied
 * @parts: in parts (MODIFY_VTL2_SETTINGS_REV1); without, at most GET_MAX_PAYLOAD bytes
 * Returns: 0; -EBUSY (the last one was not answered); -EMSGSIZE; -ENOMEM; -ENOTCONN. Device thread.
 */
must_check int get_host_modify(struct get_host *gh, const void *doc, size_t len, bool parts);

/* What came over the log channel. Device thread, or after it ended. */
void get_host_log_counts(const struct get_host *gh, struct gel_host_counts *ret_counts);
