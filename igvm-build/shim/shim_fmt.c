/* SPDX-License-Identifier: MIT */
#include "shim_fmt.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DIGITS_MAX 20

struct out {
	char *p;
	size_t len, max;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->max)
		o->p[o->len++] = c;
}

static void put_str(struct out *o, const char *s)
{
	while (*s)
		put(o, *s++);
}

static void put_number(struct out *o, unsigned long long v, unsigned base)
{
	char digits[DIGITS_MAX];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		put(o, digits[--n]);
}

size_t shim_vformat(char *ret, size_t max, const char *fmt, va_list ap)
{
	struct out o = { .p = ret, .max = max };

	for (; *fmt; fmt++) {
		unsigned long long v;
		bool wide;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt++;
		if (*fmt == 's') {
			put_str(&o, va_arg(ap, const char *));
			continue;
		}
		wide = !strncmp(fmt, "ll", 2);
		if (wide)
			fmt += 2;
		if (*fmt == 'u' || *fmt == 'x') {
			v = wide ? va_arg(ap, unsigned long long) : va_arg(ap, unsigned);
			put_number(&o, v, *fmt == 'u' ? 10 : 16);
		} else if (*fmt) {
			put(&o, *fmt); /* %% and what is not known */
		} else {
			break;
		}
	}
	o.p[o.len] = 0;
	return o.len;
}
