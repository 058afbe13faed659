/* SPDX-License-Identifier: MIT */
#include "guid.h"

static char *put_hex(char *p, uint32_t val, int digits)
{
	for (int i = digits - 1; i >= 0; i--)
		*p++ = "0123456789abcdef"[(val >> (4 * i)) & 15];
	return p;
}

void guid_format(const struct guid *g, char ret_str[GUID_STR_LEN + 1])
{
	char *p = put_hex(ret_str, g->d1, 8);

	*p++ = '-';
	p = put_hex(p, g->d2, 4);
	*p++ = '-';
	p = put_hex(p, g->d3, 4);
	*p++ = '-';
	for (int i = 0; i < 8; i++) {
		if (i == 2)
			*p++ = '-';
		p = put_hex(p, g->d4[i], 2);
	}
	*p = 0;
}

static int hex_val(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool guid_parse(const char *text, size_t len, struct guid *ret_g)
{
	uint8_t b[16];
	size_t n = 0;

	if (len == GUID_STR_LEN + 2 && text[0] == '{' && text[len - 1] == '}')
		text++;
	else if (len != GUID_STR_LEN)
		return false;
	for (size_t i = 0; i < GUID_STR_LEN;) {
		int hi, lo;

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i++] != '-')
				return false;
			continue;
		}
		hi = hex_val(text[i]);
		lo = hex_val(text[i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		b[n++] = (uint8_t)(hi << 4 | lo);
		i += 2;
	}
	ret_g->d1 = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	ret_g->d2 = (uint16_t)(b[4] << 8 | b[5]);
	ret_g->d3 = (uint16_t)(b[6] << 8 | b[7]);
	for (n = 0; n < 8; n++)
		ret_g->d4[n] = b[8 + n];
	return true;
}
