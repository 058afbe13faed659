/* SPDX-License-Identifier: MIT */
/*
 * The client's half of ttrpc: requests and responses on one control connection, any number of calls
 * in flight, answers in any order. The connection is made with the first call and again after it
 * was lost; calls that were in flight then have failed.
 *
 * Spec: OpenHCL diagnostics, RPC transport. Trust: the server's bytes; a frame is at most 16 MiB, a
 * response to a call nobody made is skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli_err.h"
#include "macros.h"

#define CLI_FRAME_MAX 0xffffffu
#define CLI_CALLS_MAX 64u /* in flight */

/* Status codes of gRPC that matter here. */
#define CLI_CODE_UNKNOWN 2
#define CLI_CODE_DEADLINE 4
#define CLI_CODE_EXHAUSTED 8
#define CLI_CODE_UNIMPLEMENTED 12
#define CLI_CODE_UNAVAILABLE 14

struct cli_rpc;
struct cli_call;

/* Returns: NULL when there is no memory. */
struct cli_rpc *cli_rpc_create(const char *path);
void cli_rpc_destroy(struct cli_rpc *rpc);

/**
 * cli_rpc_start - send one request
 * @timeout_ns: what the server is told; 0 = none
 * @ret_call: to be given to cli_rpc_finish()
 * Returns: 0; -1
 */
must_check int cli_rpc_start(struct cli_rpc *rpc, const char *service, const char *method,
			     const void *payload, size_t len, uint64_t timeout_ns,
			     struct cli_err *err, struct cli_call **ret_call);

/* For poll(): -1 when there is no connection. */
int cli_rpc_fd(const struct cli_rpc *rpc);

/* Take in what has arrived, without waiting. */
void cli_rpc_pump(struct cli_rpc *rpc);

/* Is the answer here (or will it never come)? */
bool cli_call_done(const struct cli_call *call);

/**
 * cli_rpc_finish - wait for the answer
 * @limit_ms: how long at most; 0 = as long as it takes
 * @ret_payload: the encoded response message, to be freed
 * Returns: 0; -1 with @err->code. The call is gone either way.
 */
must_check int cli_rpc_finish(struct cli_rpc *rpc, struct cli_call *call, uint64_t limit_ms,
			      struct cli_err *err, uint8_t **ret_payload, size_t *ret_len);

/* Forget a call; its answer will be skipped. */
void cli_rpc_forget(struct cli_rpc *rpc, struct cli_call *call);

/**
 * cli_rpc_decode - what a response frame says
 * @ret_payload: on success, to be freed
 * Returns: 0; -1: the server's error, or a frame that is none; @err->code says which
 */
must_check int cli_rpc_decode(const uint8_t *frame, size_t len, struct cli_err *err,
			      uint8_t **ret_payload, size_t *ret_len);
