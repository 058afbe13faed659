/* SPDX-License-Identifier: MIT */
#include "cli_str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void cli_str_fini(struct cli_str *str)
{
	free(str->s);
	*str = (struct cli_str){ 0 };
}

void cli_str_reset(struct cli_str *str)
{
	str->len = 0;
	str->failed = false;
	if (str->s)
		str->s[0] = 0;
}

const char *cli_str_text(const struct cli_str *str)
{
	return str->s ? str->s : "";
}

static bool grow(struct cli_str *str, size_t more)
{
	size_t cap = str->cap ? str->cap : 128;
	char *s;

	if (str->failed || more >= CLI_STR_MAX - str->len) {
		str->failed = true;
		return false;
	}
	if (str->len + more + 1 <= str->cap)
		return true;
	while (cap < str->len + more + 1)
		cap *= 2;
	s = realloc(str->s, cap);
	if (!s) {
		str->failed = true;
		return false;
	}
	str->s = s;
	str->cap = cap;
	return true;
}

void cli_str_add(struct cli_str *str, const void *data, size_t len)
{
	if (!len || !grow(str, len))
		return;
	memcpy(str->s + str->len, data, len);
	str->len += len;
	str->s[str->len] = 0;
}

void cli_str_puts(struct cli_str *str, const char *text)
{
	cli_str_add(str, text, strlen(text));
}

void cli_str_putc(struct cli_str *str, char c)
{
	cli_str_add(str, &c, 1);
}

void cli_str_printf(struct cli_str *str, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n <= 0 || !grow(str, (size_t)n))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(str->s + str->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	str->len += (size_t)n;
}

size_t cli_utf8_next(const char *data, size_t len, uint32_t *ret_cp)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)data[0];
	uint32_t cp;
	size_t more, i;

	*ret_cp = 0xfffd;
	if (c < 0x80) {
		*ret_cp = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		more = 1;
		cp = c & 0x1fu;
	} else if (c >= 0xe0 && c <= 0xef) {
		more = 2;
		cp = c & 0xfu;
	} else if (c >= 0xf0 && c <= 0xf4) {
		more = 3;
		cp = c & 0x7u;
	} else {
		return 1;
	}
	for (i = 1; i <= more; i++) {
		if (i >= len || ((unsigned char)data[i] & 0xc0) != 0x80)
			return 1;
		cp = cp << 6 | ((unsigned char)data[i] & 0x3fu);
	}
	if (cp < least[more] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 1;
	*ret_cp = cp;
	return more + 1;
}

bool cli_is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x61c || cp == 0x200e ||
	       cp == 0x200f || cp == 0x2028 || cp == 0x2029 || (cp >= 0x202a && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff || (cp >= 0xe0000 && cp <= 0xe007f);
}

/* The wide blocks of East Asian text and pictures; everything else is one column. */
unsigned int cli_columns(uint32_t cp)
{
	if ((cp >= 0x300 && cp <= 0x36f) || (cp >= 0x200b && cp <= 0x200d) ||
	    (cp >= 0xfe00 && cp <= 0xfe0f) || (cp >= 0x20d0 && cp <= 0x20ff))
		return 0;
	if ((cp >= 0x1100 && cp <= 0x115f) || (cp >= 0x2e80 && cp <= 0xa4cf) ||
	    (cp >= 0xac00 && cp <= 0xd7a3) || (cp >= 0xf900 && cp <= 0xfaff) ||
	    (cp >= 0xfe30 && cp <= 0xfe6f) || (cp >= 0xff00 && cp <= 0xff60) ||
	    (cp >= 0xffe0 && cp <= 0xffe6) || (cp >= 0x1f300 && cp <= 0x1faff) ||
	    (cp >= 0x20000 && cp <= 0x3fffd))
		return 2;
	return 1;
}

/* Length of a colour sequence at the start of the text; 0: there is none. */
static size_t sgr_len(const char *data, size_t len)
{
	size_t i;

	if (len < 3 || data[0] != 0x1b || data[1] != '[')
		return 0;
	for (i = 2; i < len && i < 32; i++) {
		if (data[i] == 'm')
			return i + 1;
		if (data[i] != ';' && data[i] != ':' && (data[i] < '0' || data[i] > '9'))
			return 0;
	}
	return 0;
}

void cli_str_plain(struct cli_str *str, const char *data, size_t len, unsigned int flags)
{
	uint32_t cp;
	size_t n;

	while (len) {
		n = flags & CLI_KEEP_SGR ? sgr_len(data, len) : 0;
		if (n) {
			cli_str_add(str, data, n);
		} else {
			n = cli_utf8_next(data, len, &cp);
			if ((cp == '\n' || cp == '\t') && flags & CLI_KEEP_NL)
				cli_str_putc(str, (char)cp);
			else if (cli_is_control(cp))
				cli_str_printf(str, cp < 0x80 ? "\\x%02x" : "\\u{%x}", cp);
			else if (cp == 0xfffd)
				cli_str_puts(str, "\xef\xbf\xbd");
			else
				cli_str_add(str, data, n);
		}
		data += n;
		len -= n;
	}
}

/* A code point as JSON's \u escape, in two halves above 16 bits. */
static void json_escape(struct cli_str *str, uint32_t cp)
{
	if (cp < 0x10000) {
		cli_str_printf(str, "\\u%04x", cp);
		return;
	}
	cp -= 0x10000;
	cli_str_printf(str, "\\u%04x\\u%04x", 0xd800 | cp >> 10, 0xdc00 | (cp & 0x3ff));
}

void cli_str_json(struct cli_str *str, const char *data, size_t len)
{
	uint32_t cp;
	size_t n;

	cli_str_putc(str, '"');
	for (; len; data += n, len -= n) {
		n = cli_utf8_next(data, len, &cp);
		if (cp == '"' || cp == '\\')
			cli_str_printf(str, "\\%c", (char)cp);
		else if (cp == '\n')
			cli_str_puts(str, "\\n");
		else if (cp == '\r')
			cli_str_puts(str, "\\r");
		else if (cp == '\t')
			cli_str_puts(str, "\\t");
		else if (cli_is_control(cp))
			json_escape(str, cp);
		else if (cp == 0xfffd)
			cli_str_puts(str, "\xef\xbf\xbd");
		else
			cli_str_add(str, data, n);
	}
	cli_str_putc(str, '"');
}

void cli_str_html(struct cli_str *str, const char *data, size_t len)
{
	uint32_t cp;
	size_t n;

	for (; len; data += n, len -= n) {
		n = cli_utf8_next(data, len, &cp);
		switch (cp) {
		case '&':
			cli_str_puts(str, "&amp;");
			break;
		case '<':
			cli_str_puts(str, "&lt;");
			break;
		case '>':
			cli_str_puts(str, "&gt;");
			break;
		case '"':
			cli_str_puts(str, "&quot;");
			break;
		case '\'':
			cli_str_puts(str, "&#39;");
			break;
		case '`':
			cli_str_puts(str, "&#96;");
			break;
		default:
			if (cli_is_control(cp))
				cli_str_printf(str, "\\u{%x}", cp);
			else if (cp == 0xfffd)
				cli_str_puts(str, "\xef\xbf\xbd");
			else
				cli_str_add(str, data, n);
		}
	}
}

int cli_str_write(const struct cli_str *str, FILE *to)
{
	if (str->failed)
		return -ENOMEM;
	if (str->len && fwrite(str->s, 1, str->len, to) != str->len)
		return -(errno ? errno : EIO);
	return 0;
}
