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
