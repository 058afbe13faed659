/* SPDX-License-Identifier: MIT */
#include "get_modify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void forget(struct get_modify *m)
{
	free(m->buf);
	m->buf = NULL;
	m->len = 0;
}

static void set_reply(struct get_modify *m, bool ok, const char *json)
{
	const size_t len = strnlen(json, GET_MAX_PAYLOAD);
	const struct get_result_text h = { .h = { GET_HEADER_VERSION, GET_HOST_NOTIFICATION,
						  GET_HN_MODIFY_SETTINGS_COMPLETED },
					   .status = !ok,
					   .size = (uint32_t)len };

	memcpy(m->reply, &h, sizeof(h));
	memcpy(m->reply + sizeof(h), json, len);
	m->reply_len = sizeof(h) + len;
}

void get_modify_done(struct get_modify *m, bool ok, const char *json)
{
	forget(m);
	m->busy = false;
	m->n_done++;
	set_reply(m, ok, json ? json : "");
}

static int add(struct get_modify *m, const uint8_t *part, size_t len)
{
	uint8_t *buf;

	if (len > GET_MODIFY_MAX - m->len)
		return -E2BIG;
	if (!len)
		return 0;
	buf = realloc(m->buf, m->len + len);
	if (!buf)
		return -ENOMEM;
	memcpy(buf + m->len, part, len);
	m->buf = buf;
	m->len += len;
	return 0;
}

/* Two at a time: the first goes on undisturbed. */
static int refuse(struct get_modify *m)
{
	m->n_refused++;
	/* An answer that still waits belongs to the first one and must not be lost. */
	if (!m->reply_len)
		set_reply(m, false,
			  "[{\"error_id\":\"Underhill.InternalFailure\",\"message\":\"settings are "
			  "being modified already\",\"file_name\":\"get_modify\",\"line\":0}]");
	return 0;
}

int get_modify_take(struct get_modify *m, uint16_t id, const uint8_t *msg, size_t len)
{
	struct get_dps_rev1_rsp h = { .state = GET_PART_END }; /* header, size, state: as there */
	const bool parts = id == GET_GN_MODIFY_VTL2_SETTINGS_REV1;
	const size_t head = parts ? sizeof(h) : sizeof(struct get_dps_rsp);
	int r;

	if (len < head)
		return -EPROTO;
	memcpy(&h, msg, head);
	if (h.size != len - head || (h.state != GET_PART_END && h.state != GET_PART_MORE))
		return -EPROTO;
	/* Nothing, and more of it, could go on for ever. */
	if (!h.size && h.state == GET_PART_MORE)
		return -EPROTO;
	if (m->busy || m->reply_len)
		return h.state == GET_PART_END ? refuse(m) : 0;
	if (!parts)
		forget(m);
	r = add(m, msg + head, h.size);
	if (r < 0) {
		forget(m);
		return r;
	}
	m->busy = h.state == GET_PART_END;
	return m->busy;
}

void get_modify_fini(struct get_modify *m)
{
	forget(m);
}
