/* SPDX-License-Identifier: MIT */
#include "cli_term.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define SCREEN_ON "\x1b[?1049h\x1b[?25l"
#define SCREEN_OFF "\x1b[?25h\x1b[?1049l"
#define KEY_BYTES 32

static struct termios saved;
static volatile sig_atomic_t raw_mode, on_screen, resized = 1, stopped;
static unsigned char pending[KEY_BYTES];
static size_t n_pending;

/* Only calls that may be made in a signal handler. */
void cli_term_restore(void)
{
	if (on_screen)
		(void)!write(STDOUT_FILENO, SCREEN_OFF, sizeof(SCREEN_OFF) - 1);
	if (raw_mode)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	on_screen = raw_mode = 0;
}

static void on_end(int sig)
{
	cli_term_restore();
	_exit(128 + sig);
}

static void on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

static void handle(int sig, void (*fn)(int))
{
	struct sigaction sa = { .sa_handler = fn };

	(void)sigemptyset(&sa.sa_mask);
	(void)sigaction(sig, &sa, NULL);
}

void cli_catch_stop(void)
{
	handle(SIGINT, on_stop);
	handle(SIGTERM, on_stop);
}

bool cli_stopped(void)
{
	return stopped;
}

int cli_term_raw(bool screen)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || (screen && !isatty(STDOUT_FILENO)))
		return -ENOTTY;
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	for (size_t i = 0; i < 5; i++)
		handle((int[]){ SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGABRT }[i], on_end);
	handle(SIGWINCH, on_resize);
	t = saved;
	cfmakeraw(&t);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t) < 0)
		return -errno;
	raw_mode = 1;
	if (screen) {
		on_screen = 1;
		(void)!write(STDOUT_FILENO, SCREEN_ON, sizeof(SCREEN_ON) - 1);
	}
	return 0;
}

bool cli_term_size(unsigned int *ret_rows, unsigned int *ret_cols)
{
	struct winsize ws = { 0 };

	*ret_rows = 24;
	*ret_cols = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) < 0)
		return false;
	if (ws.ws_row)
		*ret_rows = ws.ws_row;
	if (ws.ws_col)
		*ret_cols = ws.ws_col;
	return ws.ws_row && ws.ws_col;
}

bool cli_term_resized(void)
{
	bool was = resized;

	resized = 0;
	return was;
}

/* Escape sequences of keys: CSI or SS3, parameters, one final letter. */
static size_t decode_escape(const unsigned char *buf, size_t len, uint32_t *ret_key)
{
	static const struct {
		char final;
		char digit; /* of CSI n ~ */
		uint32_t key;
	} keys[] = {
		{ 'A', 0, CLI_KEY_UP },	      { 'B', 0, CLI_KEY_DOWN },
		{ 'C', 0, CLI_KEY_RIGHT },    { 'D', 0, CLI_KEY_LEFT },
		{ 'H', 0, CLI_KEY_HOME },     { 'F', 0, CLI_KEY_END },
		{ '~', '1', CLI_KEY_HOME },   { '~', '7', CLI_KEY_HOME },
		{ '~', '4', CLI_KEY_END },    { '~', '8', CLI_KEY_END },
		{ '~', '5', CLI_KEY_PGUP },   { '~', '6', CLI_KEY_PGDN },
		{ '~', '3', CLI_KEY_DELETE },
	};
	size_t n = 2;

	if (len == 1)
		return 0;
	if (buf[1] != '[' && buf[1] != 'O') {
		*ret_key = CLI_KEY_ESC;
		return 1;
	}
	while (n < len && n < KEY_BYTES - 1 && buf[n] < 0x40)
		n++;
	if (n >= len)
		return 0;
	*ret_key = CLI_KEY_OTHER;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].final == (char)buf[n] &&
		    (!keys[i].digit || (n == 3 && keys[i].digit == (char)buf[2])))
			*ret_key = keys[i].key;
	return n + 1;
}

size_t cli_key_decode(const unsigned char *buf, size_t len, uint32_t *ret_key)
{
	size_t want;

	switch (buf[0]) {
	case 0x1b:
		return decode_escape(buf, len, ret_key);
	case '\r':
	case '\n':
		*ret_key = CLI_KEY_ENTER;
		return 1;
	case '\t':
		*ret_key = CLI_KEY_TAB;
		return 1;
	case 8:
	case 0x7f:
		*ret_key = CLI_KEY_BACKSPACE;
		return 1;
	case 3:
		*ret_key = CLI_KEY_CTRL_C;
		return 1;
	default:
		break;
	}
	want = buf[0] >= 0xf0 ? 4 : buf[0] >= 0xe0 ? 3 : buf[0] >= 0xc2 ? 2 : 1;
	if (len < want)
		return 0;
	want = cli_utf8_next((const char *)buf, len, ret_key);
	if (*ret_key < 0x20 || *ret_key == 0xfffd)
		*ret_key = CLI_KEY_OTHER;
	return want;
}

static uint32_t take_pending(bool last)
{
	uint32_t key = CLI_KEY_NONE;
	size_t n;

	if (!n_pending)
		return CLI_KEY_NONE;
	n = cli_key_decode(pending, n_pending, &key);
	if (!n) {
		if (!last && n_pending < sizeof(pending))
			return CLI_KEY_NONE;
		/* Nothing followed: it was the key itself. */
		key = pending[0] == 0x1b ? CLI_KEY_ESC : CLI_KEY_OTHER;
		n = 1;
	}
	memmove(pending, pending + n, n_pending - n);
	n_pending -= n;
	return key;
}

uint32_t cli_key(int timeout_ms)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	uint32_t key = take_pending(false);
	ssize_t n;
	int r;

	while (key == CLI_KEY_NONE) {
		r = poll(&p, 1, n_pending ? 50 : timeout_ms);
		if (r <= 0)
			return take_pending(true);
		n = read(STDIN_FILENO, pending + n_pending, sizeof(pending) - n_pending);
		if (!n || (n < 0 && errno != EINTR && errno != EAGAIN))
			return CLI_KEY_EOF;
		n_pending += n > 0 ? (size_t)n : 0;
		key = take_pending(false);
	}
	return key;
}

void cli_str_cell(struct cli_str *str, const char *text, size_t len, unsigned int cols, bool fill)
{
	struct cli_str clean = { 0 };
	unsigned int used = 0, w;
	uint32_t cp;
	size_t at = 0, n;

	cli_str_plain(&clean, text, len, 0);
	while (at < clean.len) {
		n = cli_utf8_next(clean.s + at, clean.len - at, &cp);
		w = cli_columns(cp);
		if (used + w > cols)
			break;
		used += w;
		at += n;
	}
	/* What is cut off ends in an ellipsis in its last column. */
	if (at < clean.len && cols && used == cols) {
		while (at && ((unsigned char)clean.s[at - 1] & 0xc0) == 0x80)
			at--;
		at -= at ? 1 : 0;
		(void)cli_utf8_next(clean.s + at, clean.len - at, &cp);
		used -= cli_columns(cp);
		cli_str_add(str, clean.s, at);
		cli_str_puts(str, "\xe2\x80\xa6");
		used++;
	} else {
		cli_str_add(str, clean.s, at);
	}
	if (fill && used < cols)
		cli_str_printf(str, "%*s", (int)(cols - used), "");
	cli_str_fini(&clean);
}

bool cli_colour(int fd)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fd) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}
