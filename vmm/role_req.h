/* SPDX-License-Identifier: MIT */
/*
 * The body of ROLE_INSPECT: an inspect request with its deadline. Trust: the other role; checked.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "inspect.h"
#include "macros.h"
#include "role_proto.h"

#define ROLE_REQ_MAX (ROLE_INSPECT_HEAD + INSPECT_PATH_MAX + INSPECT_VALUE_MAX)

/* A request that owns its strings. */
struct role_req {
	struct inspect_request req;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; UINT64_MAX = none */
	char path[INSPECT_PATH_MAX + 1], value[INSPECT_VALUE_MAX + 1];
};

/**
 * role_req_encode - a request as bytes
 * @req: path and value within their limits
 * Returns: the length
 */
size_t role_req_encode(const struct inspect_request *req, uint64_t deadline_ns,
		       uint8_t ret_buf[ROLE_REQ_MAX]);

/* Returns: 0; -EBADMSG: not what role_req_encode() makes; nothing is of use then. */
must_check int role_req_decode(const uint8_t *buf, size_t len, struct role_req *ret_req);
