/* SPDX-License-Identifier: MIT */
#include "gel_msg.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TAIL_MAX 64u /* what follows the text in the JSON */

/* Text under construction; what does not fit whole is left out. */
struct out {
	char *p;
	size_t len, cap;
};

static bool put(struct out *o, const char *s, size_t n)
{
	if (n > o->cap - o->len)
		return false;
	memcpy(o->p + o->len, s, n);
	o->len += n;
	return true;
}

static bool put_str(struct out *o, const char *s)
{
	return put(o, s, strlen(s));
}

/* One character as it stands between the quotes of a JSON string. */
static bool put_char(struct out *o, char c)
{
	char esc[8];
	int n;

	if (c == '"' || c == '\\')
		return put(o, (const char[]){ '\\', c }, 2);
	if (c == '\n')
		return put(o, "\\n", 2);
	if ((unsigned char)c > 0x7e)
		return put(o, "?", 1);
	if ((unsigned char)c >= 0x20)
		return put(o, &c, 1);
	n = snprintf(esc, sizeof(esc), "\\u%04x", (unsigned char)c);
	return n > 0 && put(o, esc, (size_t)n);
}

static void put_text(struct out *o, const char *s, size_t n)
{
	for (size_t i = 0; i < n && put_char(o, s[i]); i++)
		;
}

static const char *level_name(enum gel_level level)
{
	switch (level) {
	case GEL_CRITICAL:
	case GEL_ERROR:
		return "ERROR";
	case GEL_WARNING:
		return "WARN";
	case GEL_INFO:
		return "INFO";
	case GEL_VERBOSE:
		break;
	}
	return "DEBUG";
}

/* {"message":"..."}, as much of the text as fits. */
static size_t build_fields(const struct gel_msg *m, char *ret_buf)
{
	static const char tail[] = "\"}";
	struct out o = { .p = ret_buf, .cap = GEL_MAX_FIELDS - (sizeof(tail) - 1) };

	(void)put_str(&o, "{\"message\":\"");
	put_text(&o, m->text, m->text_len);
	o.cap = GEL_MAX_FIELDS;
	(void)put_str(&o, tail);
	return o.len;
}

static size_t build_message(const struct gel_msg *m, size_t target_len, char *ret_buf)
{
	struct out o = { .p = ret_buf, .cap = GEL_MAX_MESSAGE - TAIL_MAX };
	char text[TAIL_MAX];

	(void)snprintf(text, sizeof(text), "{\"timestamp\":\"%" PRIu64 ".%09" PRIu64 "s\"",
		       m->time_ns / 1000000000, m->time_ns % 1000000000);
	(void)put_str(&o, text);
	(void)put_str(&o, ",\"level\":\"");
	(void)put_str(&o, level_name(m->level));
	(void)put_str(&o, "\",\"target\":\"");
	put_text(&o, m->target, target_len);
	(void)put_str(&o, "\",\"fields\":{\"message\":\"");
	put_text(&o, m->text, m->text_len);
	o.cap = GEL_MAX_MESSAGE;
	if (m->missed)
		(void)snprintf(text, sizeof(text), "\"},\"missed_events\":%" PRIu64 "}", m->missed);
	else
		(void)snprintf(text, sizeof(text), "\"}}");
	(void)put_str(&o, text);
	return o.len;
}

size_t gel_msg_build(const struct gel_msg *m, uint8_t ret_rec[GEL_MAX_RECORD])
{
	const size_t target_len = MIN(m->target_len, (size_t)GEL_MAX_TARGET);
	struct gel_header h = { .type = GEL_EVENT,
				.level = (uint8_t)m->level,
				.flags = m->kmsg ? GEL_FLAG_KMSG : 0,
				.timestamp = m->time_ns / 100 };
	char *strings = (char *)ret_rec + sizeof(h);
	size_t at = target_len;

	memcpy(strings, m->target, target_len);
	h.target.size = (uint16_t)target_len;
	h.fields.off = (uint16_t)at;
	h.fields.size = (uint16_t)build_fields(m, strings + at);
	at += h.fields.size;
	h.message.off = (uint16_t)at;
	h.message.size = (uint16_t)build_message(m, target_len, strings + at);
	at += h.message.size;
	memcpy(ret_rec, &h, sizeof(h));
	return sizeof(h) + at;
}
