/* SPDX-License-Identifier: MIT */
/*
 * What went wrong, for the user: a chain of sentences from the outermost context to the cause, and
 * a remedy. Printed as "Error: OUTER", then the causes under "Caused by:". Functions that take a
 * struct cli_err fill it exactly when they fail.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "macros.h"

#define CLI_ERR_DEPTH 6
#define CLI_ERR_TEXT 1024 /* longer sentences are cut */

struct cli_err {
	char msg[CLI_ERR_DEPTH][CLI_ERR_TEXT]; /* cause first */
	unsigned int n;
	char hint[CLI_ERR_TEXT]; /* "" = none */
	int code; /* gRPC code of a failed call, else 0 */
	bool quiet; /* nothing to say: the reader of our output is gone */
};

/* The cause; forgets what was there. Returns -1, so that a function can end with it. */
int cli_err_set(struct cli_err *err, const char *fmt, ...) printf_like(2, 3);
/* The cause is an error of the system, in its usual words: "... (os error N)". Returns -1. */
int cli_err_os(struct cli_err *err, int error);
/* The context in which the chain happened. Returns -1. */
int cli_err_wrap(struct cli_err *err, const char *fmt, ...) printf_like(2, 3);
/* What the user can do. */
void cli_err_hint(struct cli_err *err, const char *fmt, ...) printf_like(2, 3);

/* The words of an operating system error: "No such file or directory (os error 2)". */
void cli_err_os_text(int error, char *ret_text, size_t size);

/* Join the chain into one sentence, outermost first, with ": " between. */
void cli_err_flatten(struct cli_err *err);

/* Print it; as JSON: {"error":...,"causes":[...],"hint":...}; as text, the hint is only for a
 * terminal. */
void cli_err_print(const struct cli_err *err, FILE *to, bool json);
