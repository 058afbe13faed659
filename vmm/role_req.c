/* SPDX-License-Identifier: MIT */
/* See role_req.h. */
#include "role_req.h"

#include <errno.h>
#include <string.h>

#include "rd.h"

size_t role_req_encode(const struct inspect_request *req, uint64_t deadline_ns,
		       uint8_t ret_buf[ROLE_REQ_MAX])
{
	const size_t path = strnlen(req->path, INSPECT_PATH_MAX);
	const size_t value = req->update ? strnlen(req->update, INSPECT_VALUE_MAX) : 0;
	uint8_t *at = ret_buf + ROLE_INSPECT_HEAD;

	ret_buf[0] = (uint8_t)req->max;
	ret_buf[1] = req->update ? 1 : 0;
	le16_store(ret_buf + 2, 0);
	le32_store(ret_buf + 4, req->depth);
	le64_store(ret_buf + 8, deadline_ns);
	le32_store(ret_buf + 16, (uint32_t)path);
	le32_store(ret_buf + 20, (uint32_t)value);
	memcpy(at, req->path, path);
	if (value)
		memcpy(at + path, req->update, value);
	return ROLE_INSPECT_HEAD + path + value;
}

/* @len bytes without a NUL to a string of at most @max. */
static void take_text(struct rd *r, size_t len, size_t max, char *ret_text)
{
	const void *p = len <= max ? rd_bytes(r, len) : NULL;

	if (!p || memchr(p, 0, len)) {
		r->bad = true;
		len = 0;
	} else if (len) {
		memcpy(ret_text, p, len);
	}
	ret_text[len] = '\0';
}

int role_req_decode(const uint8_t *buf, size_t len, struct role_req *ret_req)
{
	struct rd r = rd_make(buf, len);
	const uint8_t raw_max = rd_u8(&r), raw_update = rd_u8(&r);
	const uint16_t zero = rd_le16(&r);
	uint32_t path, value;

	ret_req->req.depth = rd_le32(&r);
	ret_req->deadline_ns = rd_le64(&r);
	path = rd_le32(&r);
	value = rd_le32(&r);
	take_text(&r, path, INSPECT_PATH_MAX, ret_req->path);
	take_text(&r, value, INSPECT_VALUE_MAX, ret_req->value);
	if (!rd_end(&r) || zero || raw_max > SENS_SENSITIVE || raw_update > 1 ||
	    (value && !raw_update) || ret_req->req.depth > INSPECT_DEPTH_MAX)
		return -EBADMSG;
	ret_req->req.max = (enum inspect_sens)raw_max;
	ret_req->req.path = ret_req->path;
	ret_req->req.update = raw_update ? ret_req->value : NULL;
	return 0;
}
