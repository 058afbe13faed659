/* SPDX-License-Identifier: MIT */
/*
 * Host side of the guest's exec agent on COM2: wait for "KEEL-EXEC READY", send
 * "RUN <bytes> <token>\n" and the script, hand its output on, recognise "\n<token> <status>\n".
 * Trust: the guest; what it prints is only ever passed through.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct exec_ops {
	void (*send)(void *ctx, const void *buf, size_t len); /* to the guest's COM2 */
	void (*output)(void *ctx, const void *buf, size_t len); /* the script's output */
};

enum exec_state { EXEC_WAIT_READY, EXEC_RUNNING, EXEC_DONE };

struct exec {
	const struct exec_ops *ops;
	void *ctx;
	const char *script;
	enum exec_state state;
	int status; /* valid in EXEC_DONE; 0 for a script that restarted the guest */
	bool restarted;
	char marker[40]; /* "\n<token> " */
	size_t len;
	uint8_t buf[4096]; /* bytes not yet classified */
};

void exec_init(struct exec *e, const char *script, const struct exec_ops *ops, void *ctx);

/* Bytes from COM2. */
void exec_data(struct exec *e, const uint8_t *buf, size_t len);

/* The guest restarted: a script that asked for it is done once the guest is up again. */
void exec_guest_reset(struct exec *e);
