/* SPDX-License-Identifier: MIT */
/*
 * A bounded JSON reader (RFC 8259) for private copies of outside text: one pass into a flat array
 * of nodes, no recursion, limits on depth and node count. Strings stay in the text until asked for.
 * Trust: the text is hostile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define JSON_MAX_DEPTH 16
#define JSON_MAX_NODES 65536u
#define JSON_MAX_TEXT (16u * 1024 * 1024)
#define JSON_NONE UINT32_MAX

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json_node {
	enum json_type type;
	uint32_t off, len; /* number: its text; string: between the quotes, escapes and all */
	uint32_t key_off, key_len; /* member of an object: its name, likewise */
	uint32_t first, next; /* first child, next sibling; JSON_NONE */
};

struct json {
	const char *text; /* not owned */
	struct json_node *nodes; /* node 0 is the whole */
	uint32_t n, cap;
};

/**
 * json_parse - check the whole text and index it
 * @text: must stay until json_fini()
 * Returns: 0; -EBADMSG (syntax, bad UTF-8 or escape); -E2BIG (limits); -ENOMEM. On failure nothing
 * is to be released.
 */
must_check int json_parse(const char *text, size_t len, struct json *ret_j);
void json_fini(struct json *j);

/* The member of an object with this name (plain ASCII); JSON_NONE when absent or not an object.
 * The first of several with one name counts. */
uint32_t json_member(const struct json *j, uint32_t obj, const char *name);

/* Is there such a node, and of this type? JSON_NONE is allowed. */
bool json_is(const struct json *j, uint32_t node, enum json_type type);

/* Values. Returns: 0; -EBADMSG (other type, fraction, out of range, JSON_NONE). */
must_check int json_bool(const struct json *j, uint32_t node, bool *ret_val);
must_check int json_u64(const struct json *j, uint32_t node, uint64_t max, uint64_t *ret_val);

/**
 * json_string - decode a string into UTF-8
 * @cap: room including the NUL; a longer string is cut between characters
 * Returns: 0; -EBADMSG
 */
must_check int json_string(const struct json *j, uint32_t node, char *ret_buf, size_t cap);

/* Is the node a string of exactly these (plain ASCII) characters? */
bool json_string_is(const struct json *j, uint32_t node, const char *text);

/**
 * json_base64 - decode a string of base64 (RFC 4648, padding required)
 * @cap: room; more data than that is an error. ret_buf may be NULL with cap 0 only for "".
 * Returns: 0 with *ret_len; -EBADMSG; -E2BIG
 */
must_check int json_base64(const struct json *j, uint32_t node, uint8_t *ret_buf, size_t cap,
			   size_t *ret_len);

/* An upper bound of what json_base64() will produce. */
size_t json_base64_room(const struct json *j, uint32_t node);
