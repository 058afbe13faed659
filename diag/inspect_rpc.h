/* SPDX-License-Identifier: MIT */
/*
 * Inspect results as the messages of inspect.InspectService, both directions. Written straight from
 * and into the tree, without a structure per message in between: a directory of a tree is three
 * messages deep on the wire, and generated code follows that by recursion and by an allocation for
 * each. The bytes are those that the generated code for diag/proto/inspect.proto makes and takes.
 *
 * Spec: OpenHCL diagnostics, inspect, node encoding. Trust: what is decoded comes from a server.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "inspect.h"
#include "macros.h"

/**
 * inspect_rpc_encode - an InspectResponse
 * @tree: nothing is pending in it
 * @max_len: bytes the message may have
 * @ret_buf: from malloc(); NULL on failure
 * @ret_len: length of the message, also with -EMSGSIZE
 * Returns: 0; -ENOMEM; -EMSGSIZE; -EBUSY: a node is pending
 */
must_check int inspect_rpc_encode(const struct inspect_tree *tree, size_t max_len,
				  uint8_t **ret_buf, size_t *ret_len);

/**
 * inspect_rpc_encode_value - an UpdateResponse with the value at the root
 * Returns: as above, and -EINVAL: the root is no value
 */
must_check int inspect_rpc_encode_value(const struct inspect_tree *tree, size_t max_len,
					uint8_t **ret_buf, size_t *ret_len);

/**
 * inspect_rpc_decode / inspect_rpc_decode_value - an InspectResponse / UpdateResponse
 * @max_bytes: memory the tree may take
 * @ret_tree: in the order of the message; to be released with inspect_tree_fini()
 * Returns: 0; -EBADMSG: malformed, a required field is missing, nested deeper than
 *          INSPECT_NEST_MAX, or larger than @max_bytes
 */
must_check int inspect_rpc_decode(const uint8_t *buf, size_t len, size_t max_bytes,
				  struct inspect_tree *ret_tree);
must_check int inspect_rpc_decode_value(const uint8_t *buf, size_t len, size_t max_bytes,
					struct inspect_tree *ret_tree);
