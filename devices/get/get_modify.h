/* SPDX-License-Identifier: MIT */
/*
 * New VTL2 settings on their way through GET: the parts of the document as they arrive, and the
 * answer until it is sent. Part of get_cli. Trust: the host is hostile: sizes are checked, there is
 * one document at a time. Spec: spec/get-vmgs.md 3.1, 4.8, 5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "get_proto.h"
#include "macros.h"

#define GET_MODIFY_MAX (1024u * 1024) /* bytes of a document */

struct get_modify {
	uint8_t *buf; /* the parts so far, then the document */
	size_t len;
	bool busy; /* a document is being worked on */
	size_t reply_len; /* the answer waits to be sent; 0 = none */
	uint8_t reply[sizeof(struct get_result_text) + GET_MAX_PAYLOAD];
	uint64_t n_done, n_refused;
};

/**
 * get_modify_take - a MODIFY_VTL2_SETTINGS or MODIFY_VTL2_SETTINGS_REV1 message
 * Returns: 1: buf and len are a whole document, busy is set; 0: more to come, or it was refused
 * (then an answer waits); -EPROTO: no such message; -ENOMEM; -E2BIG
 */
must_check int get_modify_take(struct get_modify *m, uint16_t id, const uint8_t *msg, size_t len);

/* The document was dealt with. @json: NULL or empty when all went well; cut when too long. */
void get_modify_done(struct get_modify *m, bool ok, const char *json);

void get_modify_fini(struct get_modify *m);
