/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of the sequence that the lead byte begins, and the range of the second byte (the first
 * bytes of over-long forms, surrogates and numbers above 10FFFF narrow it). */
static size_t lead(uint8_t c, uint8_t *ret_lo, uint8_t *ret_hi)
{
	*ret_lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*ret_hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return 1;
	if (c < 0xc2)
		return 0;
	if (c < 0xe0)
		return 2;
	if (c < 0xf0)
		return 3;
	return c < 0xf5 ? 4 : 0;
}

size_t utf8_seq(const char *p, size_t len)
{
	uint8_t lo, hi;
	size_t n = lead((uint8_t)p[0], &lo, &hi);

	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		uint8_t c = (uint8_t)p[i];

		if (c < lo || c > hi)
			return 0;
		lo = 0x80;
		hi = 0xbf;
	}
	return n;
}

bool utf8_ok(const char *p, size_t len)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_seq(p + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

size_t utf8_clean(const char *p, size_t len, char *ret_buf, size_t size)
{
	size_t total = 0, kept = 0, i = 0;
	bool cut = !ret_buf || size == 0;

	while (i < len) {
		size_t n = (uint8_t)p[i] < 0x80 ? 1 : utf8_seq(p + i, len - i);
		const char *from = n ? p + i : "\xef\xbf\xbd";
		size_t put = n ? n : 3;

		cut = cut || size - kept <= put;
		if (!cut) {
			memcpy(ret_buf + kept, from, put);
			kept += put;
		}
		total += put;
		i += n ? n : 1;
	}
	if (ret_buf && size > 0)
		ret_buf[kept] = 0;
	return total;
}
