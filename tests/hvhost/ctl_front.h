/* SPDX-License-Identifier: MIT */
/*
 * The user's end of control: requests from clients of a Unix socket and from a scenario go to the
 * session one after the other, answers back to who asked. The front end's thread only.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "macros.h"

struct ctl_front;

#define CTL_FRONT_CLIENTS 8u
#define CTL_FRONT_FDS (1 + CTL_FRONT_CLIENTS)

/**
 * ctl_front_create - @listen_fd: of the socket, owned; -1 = none
 * @send: bytes to the session. Returns: 0, -ENOMEM.
 */
must_check int ctl_front_create(int listen_fd, void (*send)(void *ctx, const void *buf, size_t len),
				void *ctx, struct ctl_front **ret_cf);
void ctl_front_destroy(struct ctl_front *cf); /* accepts NULL */

/**
 * ctl_front_request - ask on behalf of a part of the front end
 * @line: without its end; @reply: with the last line of the answer
 * Returns: 0, -EAGAIN (too many requests wait).
 */
must_check int ctl_front_request(struct ctl_front *cf, const char *line,
				 void (*reply)(void *ctx, bool ok, const char *text), void *ctx);

/* Bytes from the session. */
void ctl_front_data(struct ctl_front *cf, const void *buf, size_t len);

/* The session is gone, and with it what was asked: errors for everybody. */
void ctl_front_lost(struct ctl_front *cf);

/* What to poll for (at most CTL_FRONT_FDS), and what came of it. */
int ctl_front_fill(struct ctl_front *cf, struct pollfd *fds);
void ctl_front_done(struct ctl_front *cf, const struct pollfd *fds, int n);

/**
 * ctl_front_client - the control command: one request to the socket of a run, its answer printed
 * Returns: exit status: 0; 1 after an error, which is printed, too; 2 wrong usage.
 */
int ctl_front_client(int argc, char **argv);
