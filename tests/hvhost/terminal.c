/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_A 1

static struct termios saved;
static bool is_raw;

void terminal_restore(void)
{
	if (is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	is_raw = false;
}

void terminal_raw(void)
{
	struct termios t;

	if (is_raw || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	t = saved;
	cfmakeraw(&t);
	t.c_oflag |= OPOST; /* our own messages still end lines properly */
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0) {
		is_raw = true;
		(void)atexit(terminal_restore);
	}
}

size_t terminal_filter(uint8_t *buf, size_t len, bool *state, bool *ret_quit)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (*state) {
			*state = false;
			if (buf[i] == 'x' || buf[i] == 'X')
				*ret_quit = true;
			if (buf[i] != CTRL_A)
				continue;
		} else if (buf[i] == CTRL_A) {
			*state = true;
			continue;
		}
		buf[n++] = buf[i];
	}
	return n;
}
