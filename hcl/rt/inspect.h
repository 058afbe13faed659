/* SPDX-License-Identifier: MIT */
/*
 * The inspect tree: every part of a program shows its state by name. Nothing is stored between
 * requests: a request walks functions that name the children of one directory each, and only the
 * directories that the path and depth of the request ask for are entered. The result is a tree of
 * nodes in memory with a bounded size.
 *
 * Every entry says how sensitive it is; there is no default. A request has a ceiling; entries above
 * it, and all below them, do not exist for it, neither for reading nor for updating. The level of
 * an entry is a constant where it is named, never computed from the request.
 *
 * What another thread or process shows is a remote entry: the walk leaves a pending node with the
 * rest of the request, and whoever runs the request asks there and grafts the answer, or fails the
 * node as unresolved when the deadline is over.
 *
 * Spec: OpenHCL diagnostics, inspect (request semantics, sensitivity). Trust: paths and values of
 * updates come from the host; the decoder's input from another role. Both are checked here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

/* How sensitive an entry is. SAFE: may be shown to the host of a confidential VM. UNSPEC: no secret
 * by itself, but not for such a host. SENSITIVE: guest state, addresses, guest strings. */
enum inspect_sens { SENS_SAFE, SENS_UNSPEC, SENS_SENSITIVE };

enum inspect_kind {
	INSPECT_UNEVALUATED, /* a directory that the depth did not reach */
	INSPECT_ERROR,
	INSPECT_SIGNED,
	INSPECT_UNSIGNED,
	INSPECT_DOUBLE,
	INSPECT_BOOL,
	INSPECT_STRING, /* valid UTF-8 */
	INSPECT_BYTES,
	INSPECT_DIR,
	INSPECT_PENDING, /* a remote entry; never leaves the process */
};

enum inspect_error {
	INSPECT_UNRESOLVED,
	INSPECT_IMMUTABLE,
	INSPECT_UPDATE, /* the new value was refused; the reason is the node's string */
	INSPECT_NOT_DIR,
	INSPECT_NOT_FOUND,
	INSPECT_INTERNAL, /* also: the result would be too large */
	INSPECT_CHANNEL, /* nobody answers at a remote entry; the reason is the node's string */
};

/* Display flags of integers, as on the wire. */
#define INSPECT_F_HEX 1u
#define INSPECT_F_COUNT 2u /* a counter: never goes backwards */
#define INSPECT_F_BINARY 4u

#define INSPECT_DEPTH_MAX 4096u /* of a request */
#define INSPECT_NEST_MAX 64u /* of a tree */
#define INSPECT_PATH_MAX 1024u /* bytes of a request's path */
#define INSPECT_VALUE_MAX 4096u /* bytes of a new value */
#define INSPECT_NAME_MAX 128u /* bytes of an entry's name */

struct inspect_node {
	enum inspect_kind kind;
	enum inspect_sens sens;
	uint32_t flags;
	enum inspect_error err; /* of an INSPECT_ERROR; a reason, if any, is in str */
	const char *name; /* "" at the root */
	union {
		int64_t i64;
		uint64_t u64;
		double d;
		bool b;
		struct {
			const char *data; /* NUL-terminated too, unless bytes */
			size_t len;
		} str;
		struct {
			uint32_t remote; /* id given by the entry */
			uint32_t depth; /* depth and path of the request to send there */
			const char *path; /* "" = its root */
		} pending;
	};
	struct inspect_node *child; /* first, of a directory; sorted by inspect_sort() */
	struct inspect_node *next; /* sibling */
};

/* A result: the nodes and the memory they live in. */
struct inspect_tree {
	struct inspect_node *root;
	struct inspect_chunk *chunks; /* private */
	size_t left; /* private: bytes that may still be taken */
};

struct inspect_request {
	const char *path; /* '/'-separated; "" = the root */
	uint32_t depth; /* 0 = the direct children; INSPECT_DEPTH_MAX is plenty */
	enum inspect_sens max; /* the ceiling */
	const char *update; /* NULL = read; else the new value for exactly the node at path */
};

/* The directory being walked. */
struct inspect;

/* Names the children of one directory of @obj, by the calls below. Must not block. */
typedef void (*inspect_fn)(struct inspect *in, const void *obj);

/**
 * typedef inspect_update_fn - take a new value
 * @ret_why: room for a reason in words when it is refused
 * Returns: 0; -EINVAL: refused
 */
typedef int (*inspect_update_fn)(void *ctx, const char *val, char *ret_why, size_t why_size);

/*
 * The children. @name is copied; a '/' in it makes nested directories of the same level. Strings
 * that are not UTF-8 have the offending bytes replaced; names are cut at INSPECT_NAME_MAX. An entry
 * named twice is one: directories merge, a directory stays when a value comes later, otherwise the
 * later wins. What does not fit into the memory of the result becomes an INSPECT_INTERNAL error:
 * the value, or the directory it is in. Context: inside an inspect_fn.
 */
void inspect_u64(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val);
void inspect_hex(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val);
void inspect_count(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val);
void inspect_binary(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val);
void inspect_i64(struct inspect *in, enum inspect_sens sens, const char *name, int64_t val);
void inspect_double(struct inspect *in, enum inspect_sens sens, const char *name, double val);
void inspect_bool(struct inspect *in, enum inspect_sens sens, const char *name, bool val);
void inspect_str(struct inspect *in, enum inspect_sens sens, const char *name, const char *val);
void inspect_strf(struct inspect *in, enum inspect_sens sens, const char *name, const char *fmt,
		  ...) printf_like(4, 5);
void inspect_bytes(struct inspect *in, enum inspect_sens sens, const char *name, const void *data,
		   size_t len);
/* A duration the way the original prints it: "S.NNNNNNNNNs". */
void inspect_ns(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t ns);
void inspect_dir(struct inspect *in, enum inspect_sens sens, const char *name, inspect_fn fn,
		 const void *obj);
/* A directory whose name is a number. */
void inspect_dir_at(struct inspect *in, enum inspect_sens sens, uint64_t idx, inspect_fn fn,
		    const void *obj);
/* Entries of @fn appear in this directory itself. */
void inspect_flatten(struct inspect *in, inspect_fn fn, const void *obj);
/* Values that can be changed. Numbers are decimal, booleans "true" or "false", as the clients send
 * them; the callback gets the text. */
void inspect_mut_str(struct inspect *in, enum inspect_sens sens, const char *name, const char *val,
		     inspect_update_fn update, void *ctx);
void inspect_mut_u64(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val,
		     inspect_update_fn update, void *ctx);
void inspect_mut_bool(struct inspect *in, enum inspect_sens sens, const char *name, bool val,
		      inspect_update_fn update, void *ctx);
/* A number or, for UINT64_MAX, the word "unlimited". */
void inspect_mut_limit(struct inspect *in, enum inspect_sens sens, const char *name, uint64_t val,
		       inspect_update_fn update, void *ctx);
/* A directory shown by somebody else; @remote is the caller's name for him. */
void inspect_remote(struct inspect *in, enum inspect_sens sens, const char *name, uint32_t remote);
/* Is anything below wanted? Lets a directory skip work whose results nobody sees. */
bool inspect_wants(const struct inspect *in, const char *name);

/**
 * inspect_run - answer a request as far as this thread can
 * @req: checked here; its strings need not be UTF-8
 * @max_bytes: memory the result may take
 * @ret_tree: filled always (a node not found is an answer); inspect_tree_fini() releases it. After
 *            an update the root is the node with its new value, or an error. Children are sorted.
 * Returns: 0; -ENOMEM; -EINVAL: path or value too long
 * Context: any thread; runs @fn on it
 */
must_check int inspect_run(const struct inspect_request *req, inspect_fn fn, const void *obj,
			   size_t max_bytes, struct inspect_tree *ret_tree);
void inspect_tree_fini(struct inspect_tree *tree);

/* The first pending node, or NULL: none is left. */
struct inspect_node *inspect_pending(const struct inspect_tree *tree);

/**
 * inspect_graft - replace a pending node by the root of another result
 * @from: emptied, its memory moves to @tree; NULL: the node becomes an unresolved error. When it
 *        is larger than what @tree may still take, or nested too deep there: an internal error
 */
void inspect_graft(struct inspect_tree *tree, struct inspect_node *node, struct inspect_tree *from);

/* Sort all children in natural order ("a2" before "a10"). To be called when nothing is pending. */
void inspect_sort(struct inspect_tree *tree);

/**
 * inspect_encode / inspect_decode - a tree as bytes between two roles
 * @ret_buf: from malloc()
 * Returns: 0; -ENOMEM; -EBADMSG: not what inspect_encode makes, nested deeper than
 *          INSPECT_NEST_MAX, or larger than @max_bytes; -EBUSY: a node is pending
 */
must_check int inspect_encode(const struct inspect_tree *tree, uint8_t **ret_buf, size_t *ret_len);
must_check int inspect_decode(const uint8_t *buf, size_t len, size_t max_bytes,
			      struct inspect_tree *ret_tree);

/* The client's words for an error ("not found"); @node is an INSPECT_ERROR. When str is
 * not empty, a client puts ": " and the reason behind them. */
const char *inspect_error_text(const struct inspect_node *node);
