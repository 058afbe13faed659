/* SPDX-License-Identifier: MIT */
#include "ctl_host.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"

#define LOG_AREA "control"

#define BLANKS " \t\r"
#define WRITE_WAIT_MS 1000

struct ctl_host {
	struct loop *loop;
	int fd;
	struct loop_fd lfd;
	bool watched;
	struct loop_work more;
	const struct ctl_verbs *verbs;
	unsigned n_verbs;
	char in[CTL_LINE];
	size_t in_len;
	bool too_long; /* the rest of the line is skipped */
	bool busy; /* with the request in `line` */
	bool ending;
	char line[CTL_LINE];
	char *argv[CTL_ARGS];
	unsigned argc;
};

static void write_all(const struct ctl_host *ch, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(ch->fd, text, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = ch->fd, .events = POLLOUT };

			if (poll(&pfd, 1, WRITE_WAIT_MS) <= 0) {
				log_warn(ALLOWED, "nobody reads the answers");
				return;
			}
			continue;
		}
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

static void put(const struct ctl_host *ch, const char *before, const char *fmt, va_list ap)
	printf_like(3, 0);
static void put(const struct ctl_host *ch, const char *before, const char *fmt, va_list ap)
{
	char text[CTL_LINE];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", before);

	(void)vsnprintf(text + len, sizeof(text) - len - 1, fmt, ap);
	for (char *p = text; *p; p++) {
		if (*p == '\n')
			*p = ' ';
	}
	len = strlen(text);
	text[len] = '\n';
	write_all(ch, text, len + 1);
}

void ctl_host_print(struct ctl_host *ch, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(ch, "| ", fmt, ap);
	va_end(ap);
}

/* What waits is looked at in the next visit: an answer may be given deep inside a verb. */
static void finish(struct ctl_host *ch)
{
	ch->busy = false;
	if (!ch->ending)
		loop_post(ch->loop, &ch->more);
}

void ctl_host_ok(struct ctl_host *ch)
{
	write_all(ch, "ok\n", 3);
	finish(ch);
}

void ctl_host_error(struct ctl_host *ch, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(ch, "error ", fmt, ap);
	va_end(ap);
	finish(ch);
}

/* --- requests --------------------------------------------------------------------------------- */

static void show_verbs(struct ctl_host *ch)
{
	for (unsigned t = 0; t < ch->n_verbs; t++) {
		for (unsigned i = 0; i < ch->verbs[t].n; i++)
			ctl_host_print(ch, "%s %s", ch->verbs[t].verb[i].name,
				       ch->verbs[t].verb[i].args);
	}
	ctl_host_ok(ch);
}

static const struct ctl_verb *find(const struct ctl_host *ch, const char *name, void **ret_ctx)
{
	for (unsigned t = 0; t < ch->n_verbs; t++) {
		*ret_ctx = ch->verbs[t].ctx;
		for (unsigned i = 0; i < ch->verbs[t].n; i++) {
			if (strcmp(ch->verbs[t].verb[i].name, name) == 0)
				return &ch->verbs[t].verb[i];
		}
	}
	return NULL;
}

static void run_line(struct ctl_host *ch)
{
	const struct ctl_verb *v;
	char *save = NULL;
	void *ctx = NULL;

	ch->argc = 0;
	for (char *w = strtok_r(ch->line, BLANKS, &save); w; w = strtok_r(NULL, BLANKS, &save)) {
		if (ch->argc == CTL_ARGS) {
			ctl_host_error(ch, "more than %u words", CTL_ARGS);
			return;
		}
		ch->argv[ch->argc++] = w;
	}
	if (!ch->argc || strcmp(ch->argv[0], "help") == 0) {
		show_verbs(ch);
		return;
	}
	v = find(ch, ch->argv[0], &ctx);
	if (!v)
		ctl_host_error(ch, "%s is not known; help lists what is", ch->argv[0]);
	else if (ch->argc - 1 < v->min || ch->argc - 1 > v->max)
		ctl_host_error(ch, "it is: %s %s", v->name, v->args);
	else
		v->fn(ctx, ch, ch->argc - 1, ch->argv + 1);
}

static void next_line(struct ctl_host *ch)
{
	char *nl;
	size_t len;

	while (!ch->busy && (nl = memchr(ch->in, '\n', ch->in_len))) {
		len = (size_t)(nl - ch->in);
		memcpy(ch->line, ch->in, len);
		ch->line[len] = 0;
		ch->in_len -= len + 1;
		memmove(ch->in, nl + 1, ch->in_len);
		if (ch->too_long) {
			ch->too_long = false;
			ctl_host_error(ch, "the request is longer than %u bytes", CTL_LINE - 1);
			return;
		}
		ch->busy = true;
		run_line(ch);
	}
	if (ch->in_len == sizeof(ch->in) && !ch->busy) {
		ch->too_long = true;
		ch->in_len = 0;
	}
}

static void on_input(void *ctx, uint32_t events);

static void watch(struct ctl_host *ch, bool on)
{
	if (on && !ch->watched)
		ch->watched = loop_fd_add(&ch->lfd, ch->loop, ch->fd, POLLIN, on_input, ch) == 0;
	else if (!on && ch->watched) {
		loop_fd_remove(&ch->lfd);
		ch->watched = false;
	}
}

/* Nothing more is read while a request is being answered and the buffer is full. */
static void on_input(void *ctx, uint32_t events)
{
	struct ctl_host *ch = ctx;
	ssize_t n = 0;

	(void)events;
	if (ch->in_len < sizeof(ch->in)) {
		n = read(ch->fd, ch->in + ch->in_len, sizeof(ch->in) - ch->in_len);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			watch(ch, false);
			return;
		}
	}
	if (n > 0)
		ch->in_len += (size_t)n;
	next_line(ch);
	if (ch->in_len == sizeof(ch->in))
		watch(ch, false);
}

static void on_more(void *ctx)
{
	struct ctl_host *ch = ctx;

	if (ch->ending)
		return;
	next_line(ch);
	if (ch->in_len < sizeof(ch->in))
		watch(ch, true);
}

/* --- life cycle ------------------------------------------------------------------------------- */

int ctl_host_create(struct loop *loop, int fd, const struct ctl_verbs *verbs, unsigned n,
		    struct ctl_host **ret_ch)
{
	struct ctl_host *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return -ENOMEM;
	ch->loop = loop;
	ch->fd = fd;
	ch->verbs = verbs;
	ch->n_verbs = n;
	ch->more = (struct loop_work){ .fn = on_more, .ctx = ch };
	watch(ch, true);
	if (!ch->watched) {
		free(ch);
		return -EIO;
	}
	*ret_ch = ch;
	return 0;
}

void ctl_host_destroy(struct ctl_host *ch)
{
	if (!ch)
		return;
	ch->ending = true;
	if (ch->busy)
		ctl_host_error(ch, "the virtual machine ended");
	watch(ch, false);
	loop_poll(ch->loop); /* what was posted runs while it can */
	free(ch);
}
