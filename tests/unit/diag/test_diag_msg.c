/* SPDX-License-Identifier: MIT */
#include "diag_msg.h"

#include "diag_rig.h"
#include "unit.h"

#include <errno.h>
#include <string.h>

#include <diag.pb-c.h>
#include <ttrpc.pb-c.h>

static const char *why_of(const ProtobufCMessageDescriptor *desc, const void *p, size_t len)
{
	ProtobufCMessage *msg = NULL;
	const char *why = NULL;
	/* Exactly as large as the message, so that a read beyond it is seen. */
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	ck_assert_ptr_nonnull(copy);
	if (len)
		memcpy(copy, p, len);
	r = diag_msg_decode(desc, copy, len, 100, &why, &msg);
	free(copy);
	if (r == 0) {
		protobuf_c_message_free_unpacked(msg, NULL);
		return "ok";
	}
	ck_assert_ptr_nonnull(why);
	return why;
}

#define WHY(desc, bytes) why_of(&desc, bytes, sizeof(bytes) - 1)

START_TEST(malformed)
{
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, ""), "ok");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x0a\x01x"), "ok");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x0a"), "eof parsing a varint");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x8a"), "eof parsing a varint");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x0a\x05x"), "eof parsing a byte array");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor,
			     "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"),
			 "eof parsing a byte array");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor,
			     "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
			 "varint too big");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x08\x01"), "expected a byte array");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x22\x01x"), "expected a varint");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x28\x01"), "expected a message");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x0b\x0c"), "expected a byte array");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x7b\x7c"), "unknown wire type");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x79\x01\x02"), "eof parsing a fixed64");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x7d\x01\x02"), "eof parsing a fixed32");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x7d\x01\x02\x03\x04"), "ok");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x02\x01x"), "bad field number");
	/* A field of an inner message must not reach beyond it. */
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x2a\x02\x0a\x01\x0a\x00"),
			 "eof parsing a byte array");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x2a\x03\x0a\x01\x6b\x0a\x00"), "ok");
}
END_TEST

START_TEST(text)
{
	static const char *const good[] = { "\x0a\x02\xc3\xa4", "\x0a\x03\xe2\x82\xac",
					    "\x0a\x04\xf0\x9f\x98\x80", "\x0a\x03\xed\x9f\xbf" };
	static const char *const bad[] = {
		"\x0a\x01\xff",		"\x0a\x02\xc0\x80",	    "\x0a\x01\xc3",
		"\x0a\x03\xed\xa0\x80", "\x0a\x04\xf4\x90\x80\x80", "\x0a\x03\xe0\x80\x80",
		"\x0a\x02\x80\x80"
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_str_eq(why_of(&ttrpc__request__descriptor, good[i], strlen(good[i])),
				 "ok");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_str_eq(why_of(&ttrpc__request__descriptor, bad[i], strlen(bad[i])),
				 "invalid UTF-8 string");
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x0a\x03"
							 "a\0b"),
			 "null character in a string");
	/* Bytes are no text. */
	ck_assert_str_eq(WHY(ttrpc__request__descriptor, "\x1a\x03\xff\0\xff"), "ok");
}
END_TEST

START_TEST(elements)
{
	struct msg m = m_none(), caps = m_none();
	static uint8_t ones[200];

	for (int i = 0; i < 100; i++)
		m = m_str(m, 2, "");
	ck_assert_str_eq(why_of(&diag__exec_request__descriptor, m.p, m.len), "ok");
	m = m_str(m, 2, "");
	ck_assert_str_eq(why_of(&diag__exec_request__descriptor, m.p, m.len), "too many elements");
	free(m.p);
	/* Fields nobody knows cost as much. */
	m = m_none();
	for (int i = 0; i < 101; i++)
		m = m_num(m, 77, 1);
	ck_assert_str_eq(why_of(&diag__empty__descriptor, m.p, m.len), "too many elements");
	free(m.p);
	/* So do members of packed lists. */
	memset(ones, 1, sizeof(ones));
	caps = m_bytes(m_none(), 2, ones, 101);
	ck_assert_str_eq(why_of(&diag__start_packet_capture_data__descriptor, caps.p, caps.len),
			 "too many elements");
	free(caps.p);
	caps = m_bytes(m_none(), 2, ones, 99);
	ck_assert_str_eq(why_of(&diag__start_packet_capture_data__descriptor, caps.p, caps.len),
			 "ok");
	free(caps.p);
}
END_TEST

/* Every truncation and every single changed byte of a whole request: an answer, no crash. */
START_TEST(exhaustive)
{
	struct msg m = m_str(m_none(), 1, "sh");

	m = m_str(m_str(m, 2, "-c"), 2, "exit 7");
	m = m_num(m_num(m_num(m, 3, 1), 4, 300), 9, 1);
	m = m_msg(m, 8, m_str(m_str(m_none(), 1, "NAME"), 2, "value"));
	m = m_msg(m, 8, m_str(m_none(), 1, "OTHER"));
	for (size_t i = 0; i <= m.len; i++)
		(void)why_of(&diag__exec_request__descriptor, m.p, i);
	for (size_t i = 0; i < m.len; i++) {
		const uint8_t was = m.p[i];

		for (unsigned v = 0; v < 256; v++) {
			m.p[i] = (uint8_t)v;
			(void)why_of(&diag__exec_request__descriptor, m.p, m.len);
		}
		m.p[i] = was;
	}
	ck_assert_str_eq(why_of(&diag__exec_request__descriptor, m.p, m.len), "ok");
	free(m.p);
}
END_TEST

START_TEST(repair)
{
	char a[] = "gr\xc3\xbc\xc3\x9f", b[] = "a\xff\xc3z\xe2\x82", c[] = "";

	diag_utf8_repair(a);
	ck_assert_str_eq(a, "gr\xc3\xbc\xc3\x9f");
	diag_utf8_repair(b);
	ck_assert_str_eq(b, "a??z??");
	diag_utf8_repair(c);
	ck_assert_str_eq(c, "");
}
END_TEST

UNIT_MAIN("diag/diag_msg", malformed, text, elements, exhaustive, repair)
