/* SPDX-License-Identifier: MIT */
/*
 * Messages described by tables, read from protobuf (proto3) or from its JSON form into plain
 * structs: one description for both encodings, so that both mean the same and are checked by the
 * same limits. No recursion; counts, depth and memory are bounded. Strings and bytes stay in the
 * document where its encoding allows that, so it must outlive the result.
 *
 * Protobuf: unknown fields are skipped, scalars that come twice count once (the last), messages
 * that come twice merge; groups are refused. JSON: names in snake_case or lowerCamelCase, numbers
 * as numbers or strings, enumerators by name or number, bytes in base64, null = absent; unknown or
 * repeated names are refused.
 *
 * Trust: the document is hostile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define MT_MAX_FIELDS 64u
#define MT_MAX_DEPTH 16u

enum mt_kind {
	MT_U32, /* uint32_t */
	MT_U64, /* uint64_t */
	MT_BOOL, /* bool */
	MT_ENUM, /* int32_t; in protobuf any value */
	MT_STR, /* struct mt_str, UTF-8 */
	MT_BYTES, /* struct mt_str */
	MT_MSG, /* pointer to the struct, NULL = absent */
	MT_LIST, /* struct mt_list of structs that begin with struct mt_link */
};

struct mt_type;

struct mt_name {
	const char *name; /* NULL ends */
	int32_t val;
};

struct mt_field {
	const char *name; /* snake_case */
	uint32_t no;
	enum mt_kind kind;
	uint32_t off; /* of the member */
	/* Of a bool that says "it was there". 0 = nobody asks: it cannot come first. */
	uint32_t has_off;
	uint32_t max; /* MT_LIST: most elements */
	const struct mt_type *type; /* MT_MSG, MT_LIST */
	const struct mt_name *names; /* MT_ENUM */
};

struct mt_type {
	const struct mt_field *fields;
	size_t n_fields; /* at most MT_MAX_FIELDS */
	size_t size; /* of the struct */
};

struct mt_str {
	const char *p; /* no NUL behind it */
	size_t len;
};

struct mt_link {
	struct mt_link *next;
};

struct mt_list {
	struct mt_link *first, *last;
	uint32_t n;
};

/* Where the parts of a result live. Starts zeroed but for left. */
struct mt_arena {
	struct mt_block *blocks;
	size_t left; /* bytes that may still be taken */
};

void mt_arena_fini(struct mt_arena *arena);

/* How a document was refused. */
struct mt_why {
	bool json; /* it was taken for JSON */
	const char *field; /* static text: the field, or what is wrong with the encoding */
};

/**
 * mt_read - read one message, JSON if its first visible character is '{' and it can be read so
 * @buf: private copy; must stay as long as @obj is used
 * @obj: struct of @type's size; its contents are undefined after a failure
 * Returns: 0; -EBADMSG, -E2BIG with *ret_why; -ENOMEM. Any thread.
 */
must_check int mt_read(const struct mt_type *type, const void *buf, size_t len,
		       struct mt_arena *arena, void *obj, struct mt_why *ret_why);
