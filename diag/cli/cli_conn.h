/* SPDX-License-Identifier: MIT */
/*
 * Connections to a VM: a hybrid-vsock Unix socket, the CONNECT handshake, and for data connections
 * the id that the server sends first. Spec: OpenHCL diagnostics, hybrid-vsock handshake and data
 * connections. Trust: whoever listens on the socket; every wait has a limit.
 */
#pragma once

#include <stdint.h>

#include "cli_err.h"
#include "macros.h"

#define CLI_PORT_CONTROL 1u
#define CLI_PORT_DATA 2u
#define CLI_PORT_GDB 4u

/* Connecting, the handshake and the id of a data connection together. */
#define CLI_CONNECT_MS 10000

/* The path in a user's name for a VM: "vsock:PATH" or PATH. */
const char *cli_vm_path(const char *vm);

/**
 * cli_connect - open a stream to a port of the VM
 * @err: "failed to connect" and why, with a remedy
 * Returns: the socket (blocking, close-on-exec); -1
 */
must_check int cli_connect(const char *path, uint32_t port, struct cli_err *err);

/**
 * cli_connect_data - open a data connection
 * @ret_id: what a request calls it, in the byte order of this machine
 * Returns: the socket; -1
 */
must_check int cli_connect_data(const char *path, uint64_t *ret_id, struct cli_err *err);

/* Milliseconds of a clock that never jumps. */
uint64_t cli_now_ms(void);
