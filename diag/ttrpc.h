/* SPDX-License-Identifier: MIT */
/*
 * ttrpc frames: a 10-byte header in network order, then the message. The reader says where the next
 * bytes belong and never asks for more than the frame at hand, so that nothing of the next one has
 * to be kept. A message takes memory as its bytes arrive, not by what its header promises, from a
 * pool that connections share; what does not fit is skipped to its end and reported as refused.
 *
 * Trust: bytes of a client. Spec: OpenHCL diagnostics 2.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define TTRPC_HEADER_LEN 10u
#define TTRPC_REQUEST 1u
#define TTRPC_RESPONSE 2u
#define TTRPC_LEN_MAX 0xffffffu /* of the protocol */
#define TTRPC_FREE_LEN 4096u /* bytes that every reader may have besides the pool */

struct ttrpc_header {
	uint32_t len;
	uint32_t stream;
	uint8_t type, flags;
};

struct ttrpc_pool {
	size_t used;
	size_t max; /* bytes of all messages being read, less TTRPC_FREE_LEN of each */
};

enum ttrpc_event {
	TTRPC_MORE, /* nothing complete yet */
	TTRPC_FRAME, /* head and msg are complete */
	TTRPC_REFUSED, /* the message of head was skipped */
};

struct ttrpc_reader {
	struct ttrpc_header head;
	uint8_t *msg; /* head.len bytes, NULL when there are none */
	/* Private. */
	struct ttrpc_pool *pool;
	uint8_t raw_head[TTRPC_HEADER_LEN];
	uint32_t len_max;
	size_t n_head, done, cap;
	bool skip, over;
};

/* @len_max: longest message that is kept. */
void ttrpc_reader_init(struct ttrpc_reader *r, struct ttrpc_pool *pool, uint32_t len_max);
void ttrpc_reader_fini(struct ttrpc_reader *r);

/**
 * ttrpc_room - where the next bytes of the stream go
 * Returns: how many at most, never 0. The last frame or refusal is forgotten, see ttrpc_next().
 */
size_t ttrpc_room(struct ttrpc_reader *r, uint8_t **ret_p);

/* @n bytes were put there, at most as many as ttrpc_room() said. */
enum ttrpc_event ttrpc_commit(struct ttrpc_reader *r, size_t n);

/* Done with the frame or refusal that was reported: its memory goes back to the pool. */
void ttrpc_next(struct ttrpc_reader *r);

/* Has a header been read whose message is not complete? The end of the stream is an error then. */
bool ttrpc_inside(const struct ttrpc_reader *r);

void ttrpc_header_get(const uint8_t raw[TTRPC_HEADER_LEN], struct ttrpc_header *ret_head);
void ttrpc_header_put(const struct ttrpc_header *head, uint8_t ret_raw[TTRPC_HEADER_LEN]);
