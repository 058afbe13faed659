/* SPDX-License-Identifier: MIT */
/*
 * Control of a running session: a line is a verb and its arguments, an answer is any number of
 * lines that begin with "| " and then "ok" or "error SENTENCE". Requests are answered in order,
 * one at a time. Context: the device thread. Trust: the user's own.
 */
#pragma once

#include "macros.h"

struct ctl_host;
struct loop;

#define CTL_LINE 1024u /* longest request */
#define CTL_ARGS 12u

/* What a request can ask for. */
struct ctl_verb {
	const char *name;
	const char *args; /* what to give it, for messages */
	unsigned min, max; /* number of arguments */
	/* Ends with ctl_host_ok() or ctl_host_error(), now or later; @argv is valid until then. */
	void (*fn)(void *ctx, struct ctl_host *ch, unsigned argc, char **argv);
};

struct ctl_verbs {
	const struct ctl_verb *verb;
	unsigned n;
	void *ctx;
};

/**
 * ctl_host_create - serve the requests that come from @fd
 * @fd: stays the caller's; does not block
 * @verbs: tables, looked through in order; the array and what it names stay valid
 * Returns: 0, -ENOMEM, -errno
 */
must_check int ctl_host_create(struct loop *loop, int fd, const struct ctl_verbs *verbs, unsigned n,
			       struct ctl_host **ret_ch);
void ctl_host_destroy(struct ctl_host *ch); /* accepts NULL; an open request gets an error */

/* One more line of the answer. */
void ctl_host_print(struct ctl_host *ch, const char *fmt, ...) printf_like(2, 3);

/* The end of the answer. */
void ctl_host_ok(struct ctl_host *ch);
void ctl_host_error(struct ctl_host *ch, const char *fmt, ...) printf_like(2, 3);
