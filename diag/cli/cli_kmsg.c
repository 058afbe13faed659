/* SPDX-License-Identifier: MIT */
#include "cli_kmsg.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define KEEP (CLI_KEEP_NL | CLI_KEEP_SGR)
#define RED "\x1b[0;31m"
#define GREEN "\x1b[0;32m"
#define YELLOW "\x1b[0;33m"
#define RESET "\x1b[0m"

/* A decimal number and what follows it: a ',' or, for the last, anything that ends the list. */
static bool field(const char **at, const char *end, uint64_t max, uint64_t *ret_val)
{
	const char *s = *at;
	uint64_t v = 0;

	if (s < end && *s == '+')
		s++;
	if (s == end || *s < '0' || *s > '9')
		return false;
	for (; s < end && *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (s < end && *s++ != ',')
		return false;
	*at = s;
	*ret_val = v;
	return true;
}

static bool is_utf8(const char *s, size_t len)
{
	uint32_t cp;
	size_t n;

	for (; len; s += n, len -= n) {
		n = cli_utf8_next(s, len, &cp);
		if (cp == 0xfffd && n == 1)
			return false;
	}
	return true;
}

int cli_kmsg_parse(const char *record, size_t len, struct cli_kmsg *ret_msg)
{
	const char *semi = memchr(record, ';', len), *at = record, *nl;
	struct cli_kmsg m;
	uint64_t prio;

	if (!semi || !is_utf8(record, len) || !field(&at, semi, UINT32_MAX, &prio) ||
	    !field(&at, semi, UINT64_MAX, &m.seq) || !field(&at, semi, UINT64_MAX, &m.usec))
		return -EBADMSG;
	m.level = prio & 7;
	m.facility = (unsigned int)(prio >> 3);
	m.text = semi + 1;
	m.len = len - (size_t)(m.text - record);
	nl = memchr(m.text, '\n', m.len);
	if (nl)
		m.len = (size_t)(nl - m.text);
	*ret_msg = m;
	return 0;
}

/* The kernel's \xNN and \\ undone: ESC becomes itself, others <NN>. */
static void unescape(struct cli_str *out, const struct cli_kmsg *m)
{
	size_t i = 0;

	while (i < m->len) {
		const char *bs = memchr(m->text + i, '\\', m->len - i);
		size_t at = bs ? (size_t)(bs - m->text) : m->len;

		cli_str_add(out, m->text + i, at - i);
		i = at;
		if (i == m->len)
			break;
		if (i + 1 < m->len && m->text[i + 1] == '\\') {
			cli_str_putc(out, '\\');
			i += 2;
		} else if (i + 3 < m->len && m->text[i + 1] == 'x' &&
			   !(((unsigned char)m->text[i + 2] | (unsigned char)m->text[i + 3]) &
			     0x80)) {
			if (!memcmp(m->text + i + 2, "1b", 2))
				cli_str_putc(out, 0x1b);
			else
				cli_str_printf(out, "<%.2s>", m->text + i + 2);
			i += 4;
		} else {
			i++;
		}
	}
}

static const char *trim(const char *s, size_t *len)
{
	while (*len && (s[*len - 1] == ' ' || s[*len - 1] == '\t'))
		--*len;
	while (*len && (*s == ' ' || *s == '\t')) {
		s++;
		--*len;
	}
	return s;
}

static void coloured(struct cli_str *out, const struct cli_kmsg *msg, const char *s, size_t len)
{
	static const char *const colours[] = { RED, RED, RED, RED, YELLOW, RESET, RESET, RESET };
	const char *space = memchr(s, ' ', len);

	cli_str_printf(out, GREEN "[%" PRIu64 ".%06" PRIu64 "] ", msg->usec / 1000000,
		       msg->usec % 1000000);
	if (space && space > s && space[-1] == ':') {
		cli_str_puts(out, YELLOW);
		cli_str_plain(out, s, (size_t)(space - s), KEEP);
		cli_str_putc(out, ' ');
		len -= (size_t)(space - s) + 1;
		s = space + 1;
	}
	cli_str_puts(out, colours[msg->level]);
	s = trim(s, &len);
	cli_str_plain(out, s, len, KEEP);
	cli_str_puts(out, RESET);
}

void cli_kmsg_text(struct cli_str *out, const struct cli_kmsg *msg, bool ansi)
{
	struct cli_str raw = { 0 };

	unescape(&raw, msg);
	if (ansi) {
		coloured(out, msg, cli_str_text(&raw), raw.len);
	} else {
		cli_str_printf(out, "[%" PRIu64 ".%06" PRIu64 "] ", msg->usec / 1000000,
			       msg->usec % 1000000);
		cli_str_plain(out, cli_str_text(&raw), raw.len, KEEP);
	}
	cli_str_fini(&raw);
}

void cli_kmsg_json(struct cli_str *out, const struct cli_kmsg *msg)
{
	struct cli_str raw = { 0 };

	unescape(&raw, msg);
	cli_str_printf(out,
		       "{\"facility\":%u,\"level\":%u,\"seq\":%" PRIu64 ",\"time_us\":%" PRIu64
		       ",\"message\":",
		       msg->facility, msg->level, msg->seq, msg->usec);
	cli_str_json(out, cli_str_text(&raw), raw.len);
	cli_str_putc(out, '}');
	cli_str_fini(&raw);
}
