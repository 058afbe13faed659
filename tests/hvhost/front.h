/* SPDX-License-Identifier: MIT */
#pragma once

#include "macros.h"
#include "opts.h"

/**
 * front_run - the user's side of a run: terminal, log file, vsock socket, exec, timeout, summary
 * Starts the agent here or in the outer VM and serves it until the end.
 * Returns: the exit status of the program. Context: main thread.
 */
int front_run(const struct opts *opts);
