/* SPDX-License-Identifier: MIT */
#include "crc.h"

#include <string.h>

#include "unit.h"

START_TEST(check_value)
{
	/* The check value every CRC catalogue lists for CRC-32 (IEEE 802.3). */
	ck_assert_uint_eq(crc32_update(0, "123456789", 9), 0xcbf43926);
	ck_assert_uint_eq(crc32_update(0, "", 0), 0);
	ck_assert_uint_eq(crc32_update(0, "\0\0\0\0", 4), 0x2144df1c);
	ck_assert_uint_eq(crc32_update(0, "\xff\xff\xff\xff", 4), 0xffffffff);
}
END_TEST

/* The definition, one bit at a time. */
static uint32_t crc_bitwise(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = (crc >> 1) ^ ((crc & 1) ? 0xedb88320 : 0);
	}
	return ~crc;
}

START_TEST(agrees_with_the_definition)
{
	uint8_t buf[256];

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 167 + 13);
	for (size_t len = 0; len <= sizeof(buf); len++)
		ck_assert_uint_eq(crc32_update(0, buf, len), crc_bitwise(buf, len));
}
END_TEST

START_TEST(continues_at_any_split)
{
	const char *text = "The quick brown fox jumps over the lazy dog";
	size_t len = strlen(text);

	for (size_t i = 0; i <= len; i++) {
		uint32_t crc = crc32_update(0, text, i);

		ck_assert_uint_eq(crc32_update(crc, text + i, len - i), 0x414fa339);
	}
}
END_TEST

UNIT_MAIN("base/crc", check_value, agrees_with_the_definition, continues_at_any_split)
