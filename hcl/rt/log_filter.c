/* SPDX-License-Identifier: MIT */
/* See log_filter.h. Of two entries for the same target the later counts. */
#include "log_filter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WHY_LEVEL                                                                    \
	"error parsing level filter: expected one of \"off\", \"error\", \"warn\", " \
	"\"info\", \"debug\", \"trace\", or a number 0-5"

static int refuse(char *ret_why, size_t why_size, const char *why)
{
	if (why_size)
		(void)snprintf(ret_why, why_size, "invalid filter: %s", why);
	return -EINVAL;
}

/* A level by number: 0 is off. */
static bool number_level(const char *s, size_t len, int *ret_level)
{
	int val = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		val = val * 10 + (s[i] - '0');
		if (val > 5)
			return false;
	}
	*ret_level = val - 1;
	return true;
}

static bool parse_level(const char *s, size_t len, int *ret_level)
{
	static const struct {
		const char *name;
		int level;
	} names[] = {
		{ "off", LOG_OFF },   { "error", LOG_ERR },   { "warn", LOG_WARN },
		{ "info", LOG_INFO }, { "debug", LOG_DEBUG }, { "trace", LOG_TRACE },
		{ "", LOG_ERR },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i].name) == len && !strncasecmp(names[i].name, s, len)) {
			*ret_level = names[i].level;
			return true;
		}
	}
	return number_level(s, len, ret_level);
}

static void trim(const char **s, size_t *len)
{
	while (*len && **s == ' ') {
		(*s)++;
		(*len)--;
	}
	while (*len && (*s)[*len - 1] == ' ')
		(*len)--;
}

/* Put an entry in, over an earlier one for the same target. -EINVAL: too many. */
static int add(struct log_filter *f, const char *target, size_t len, int level)
{
	const uint16_t off = (uint16_t)(target - f->text);
	uint32_t i = 0;

	while (i < f->n &&
	       (f->entries[i].len != len || memcmp(f->text + f->entries[i].off, target, len) != 0))
		i++;
	if (i == LOG_FILTER_ENTRIES)
		return -EINVAL;
	f->entries[i].off = off;
	f->entries[i].len = (uint16_t)len;
	f->entries[i].level = (int16_t)level;
	f->n = MAX(f->n, i + 1);
	return 0;
}

/* One entry; on failure the reason. */
static const char *parse_entry(struct log_filter *f, const char *s, size_t len)
{
	const char *eq = memchr(s, '=', len), *val;
	size_t val_len;
	int level;

	trim(&s, &len);
	if (!eq) {
		if (memchr(s, '[', len))
			return "conditions on spans and fields are not supported";
		if (parse_level(s, len, &level))
			len = 0;
		else
			level = LOG_TRACE;
		return add(f, s, len, level) < 0 ? "too many entries" : NULL;
	}
	val = eq + 1;
	val_len = (size_t)(s + len - val);
	len = (size_t)(eq - s);
	trim(&val, &val_len);
	trim(&s, &len);
	if (memchr(val, '=', val_len))
		return "invalid filter directive: too many '=' in filter directive, expected 0 "
		       "or 1";
	if (memchr(s, '[', len))
		return "conditions on spans and fields are not supported";
	if (!parse_level(val, val_len, &level))
		return WHY_LEVEL;
	return add(f, s, len, level) < 0 ? "too many entries" : NULL;
}

int log_filter_parse(const char *text, struct log_filter *ret_filter, char *ret_why,
		     size_t why_size)
{
	const size_t len = strnlen(text, LOG_FILTER_MAX);
	struct log_filter f = { .n = 0 };
	const char *s = f.text, *end;

	if (len == LOG_FILTER_MAX)
		return refuse(ret_why, why_size, "too long");
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			return refuse(ret_why, why_size, "a character that is not printable");
	}
	memcpy(f.text, text, len);
	for (;; s = end + 1) {
		const char *why;

		end = memchr(s, ',', (size_t)(f.text + len - s));
		if (!end)
			end = f.text + len;
		why = parse_entry(&f, s, (size_t)(end - s));
		if (why)
			return refuse(ret_why, why_size, why);
		if (end == f.text + len)
			break;
	}
	*ret_filter = f;
	return 0;
}

int log_filter_level(const struct log_filter *filter, const char *target)
{
	const size_t target_len = strlen(target);
	int level = LOG_OFF, best = -1;

	for (uint32_t i = 0; i < filter->n; i++) {
		const size_t len = filter->entries[i].len;

		if ((int)len > best && len <= target_len &&
		    !memcmp(filter->text + filter->entries[i].off, target, len)) {
			best = (int)len;
			level = filter->entries[i].level;
		}
	}
	return level;
}
