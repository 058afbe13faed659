/* SPDX-License-Identifier: MIT */
#include "cli_err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli_str.h"

int cli_err_set(struct cli_err *err, const char *fmt, ...)
{
	va_list ap;

	*err = (struct cli_err){ .n = 1 };
	va_start(ap, fmt);
	(void)vsnprintf(err->msg[0], sizeof(err->msg[0]), fmt, ap);
	va_end(ap);
	return -1;
}

void cli_err_os_text(int error, char *ret_text, size_t size)
{
	error = error < 0 ? -error : error;
	(void)snprintf(ret_text, size, "%s (os error %d)", strerror(error), error);
}

int cli_err_os(struct cli_err *err, int error)
{
	char text[256];

	cli_err_os_text(error, text, sizeof(text));
	(void)cli_err_set(err, "%s", text);
	err->quiet = error == -EPIPE || error == EPIPE;
	return -1;
}

int cli_err_wrap(struct cli_err *err, const char *fmt, ...)
{
	va_list ap;

	if (err->n == CLI_ERR_DEPTH)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg[err->n], sizeof(err->msg[0]), fmt, ap);
	va_end(ap);
	err->n++;
	return -1;
}

void cli_err_hint(struct cli_err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

void cli_err_flatten(struct cli_err *err)
{
	char all[CLI_ERR_TEXT];
	size_t len = 0;
	int n;

	for (unsigned int i = err->n; i > 0 && len < sizeof(all); i--) {
		n = snprintf(all + len, sizeof(all) - len, "%s%s", len ? ": " : "",
			     err->msg[i - 1]);
		len += n > 0 ? (size_t)n : 0;
	}
	memcpy(err->msg[0], all, sizeof(all));
	err->n = 1;
}

static void print_json(const struct cli_err *err, struct cli_str *str)
{
	const char *outer = err->msg[err->n - 1];

	cli_str_puts(str, "{\"error\":");
	cli_str_json(str, outer, strlen(outer));
	cli_str_puts(str, ",\"causes\":[");
	for (unsigned int i = err->n - 1; i > 0; i--) {
		cli_str_json(str, err->msg[i - 1], strlen(err->msg[i - 1]));
		cli_str_puts(str, i > 1 ? "," : "");
	}
	cli_str_puts(str, "]");
	if (err->hint[0]) {
		cli_str_puts(str, ",\"hint\":");
		cli_str_json(str, err->hint, strlen(err->hint));
	}
	cli_str_puts(str, "}\n");
}

static void print_text(const struct cli_err *err, bool hint, struct cli_str *str)
{
	const char *msg = err->msg[err->n - 1];

	cli_str_puts(str, "Error: ");
	cli_str_plain(str, msg, strlen(msg), CLI_KEEP_NL);
	cli_str_puts(str, "\n");
	if (err->n > 1)
		cli_str_puts(str, "\nCaused by:\n");
	for (unsigned int i = err->n - 1; i > 0; i--) {
		msg = err->msg[i - 1];
		if (err->n == 2)
			cli_str_puts(str, "    ");
		else
			cli_str_printf(str, "%5u: ", err->n - 1 - i);
		cli_str_plain(str, msg, strlen(msg), CLI_KEEP_NL);
		cli_str_puts(str, "\n");
	}
	if (hint && err->hint[0]) {
		cli_str_puts(str, "hint: ");
		cli_str_plain(str, err->hint, strlen(err->hint), CLI_KEEP_NL);
		cli_str_puts(str, "\n");
	}
}

void cli_err_print(const struct cli_err *err, FILE *to, bool json)
{
	struct cli_str str = { 0 };

	if (err->quiet || !err->n)
		return;
	if (json)
		print_json(err, &str);
	else
		print_text(err, isatty(fileno(to)), &str);
	(void)!cli_str_write(&str, to); /* there is nobody else to tell */
	cli_str_fini(&str);
}
