/* SPDX-License-Identifier: MIT */
#include "kmsg_line.h"

#include "ckd.h"

#include <errno.h>
#include <string.h>

/* A decimal number up to the given end character; the place behind that, NULL = malformed. */
static const char *number(const char *p, const char *end, char stop, uint64_t *ret_val)
{
	const char *start = p;
	uint64_t val = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (ckd_mul(&val, val, 10) || ckd_add(&val, val, (uint64_t)(*p - '0')))
			return NULL;
	}
	if (p == start || p == end || *p != stop)
		return NULL;
	*ret_val = val;
	return p + 1;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Undo the kernel's \xNN in place; returns the new length. */
static size_t unescape(char *s, size_t len)
{
	size_t to = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\\' && len - i >= 4 && s[i + 1] == 'x' && hex_digit(s[i + 2]) >= 0 &&
		    hex_digit(s[i + 3]) >= 0) {
			s[to++] = (char)(hex_digit(s[i + 2]) << 4 | hex_digit(s[i + 3]));
			i += 3;
		} else {
			s[to++] = s[i];
		}
	}
	return to;
}

int kmsg_line_parse(char *buf, size_t len, struct kmsg_line *ret_line)
{
	const char *end = buf + len, *p = buf;
	uint64_t prio, seq, usec;
	char *text, *nl;

	p = number(p, end, ',', &prio);
	if (p)
		p = number(p, end, ',', &seq);
	if (p)
		p = number(p, end, ',', &usec);
	if (!p || prio > UINT32_MAX)
		return -EBADMSG;
	text = memchr(buf + (p - buf), ';', (size_t)(end - p));
	if (!text)
		return -EBADMSG;
	text++;
	nl = memchr(text, '\n', (size_t)(end - text));
	*ret_line =
		(struct kmsg_line){ .facility = (uint32_t)prio >> 3,
				    .level = prio & 7,
				    .seq = seq,
				    .time_us = usec,
				    .text = text,
				    .text_len = unescape(text, (size_t)((nl ? nl : end) - text)) };
	return 0;
}
