/* SPDX-License-Identifier: MIT */
#include "ctl_front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl_host.h"

#define PENDING_MAX 32u
#define MORE "| "
#define OK "ok"
#define ERROR "error "

struct client {
	int fd; /* -1: free */
	unsigned generation; /* tells users of a place apart */
	char in[CTL_LINE];
	size_t len;
};

/* Who asked: a client, or a part of the front end. */
struct pending {
	struct client *client;
	unsigned generation;
	void (*reply)(void *ctx, bool ok, const char *text);
	void *ctx;
};

struct ctl_front {
	int listen_fd;
	void (*send)(void *ctx, const void *buf, size_t len);
	void *ctx;
	struct client client[CTL_FRONT_CLIENTS];
	struct pending pending[PENDING_MAX];
	unsigned first, n;
	char line[CTL_LINE + 1]; /* of the answer, as far as it came */
	size_t len;
};

int ctl_front_create(int listen_fd, void (*send)(void *ctx, const void *buf, size_t len), void *ctx,
		     struct ctl_front **ret_cf)
{
	struct ctl_front *cf = calloc(1, sizeof(*cf));

	if (!cf)
		return -ENOMEM;
	cf->listen_fd = listen_fd;
	cf->send = send;
	cf->ctx = ctx;
	for (unsigned i = 0; i < CTL_FRONT_CLIENTS; i++)
		cf->client[i].fd = -1;
	*ret_cf = cf;
	return 0;
}

static void drop_client(struct client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	c->len = 0;
	c->generation++;
}

void ctl_front_destroy(struct ctl_front *cf)
{
	if (!cf)
		return;
	for (unsigned i = 0; i < CTL_FRONT_CLIENTS; i++)
		drop_client(&cf->client[i]);
	if (cf->listen_fd >= 0)
		(void)close(cf->listen_fd);
	free(cf);
}

/* --- requests --------------------------------------------------------------------------------- */

static int ask(struct ctl_front *cf, const struct pending *p, const char *line, size_t len)
{
	if (cf->n == PENDING_MAX)
		return -EAGAIN;
	cf->pending[(cf->first + cf->n++) % PENDING_MAX] = *p;
	cf->send(cf->ctx, line, len);
	cf->send(cf->ctx, "\n", 1);
	return 0;
}

int ctl_front_request(struct ctl_front *cf, const char *line,
		      void (*reply)(void *ctx, bool ok, const char *text), void *ctx)
{
	const struct pending p = { .reply = reply, .ctx = ctx };

	return ask(cf, &p, line, strlen(line));
}

static void to_client(struct client *c, const char *line)
{
	char text[CTL_LINE + 2];
	int n = snprintf(text, sizeof(text), "%s\n", line);

	/* Answers are short: a client that does not read them is not worth waiting for. */
	if (n < 0 || send(c->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < n)
		drop_client(c);
}

static void answer_line(struct ctl_front *cf, const char *line)
{
	const struct pending p = cf->pending[cf->first];
	bool more = strncmp(line, MORE, strlen(MORE)) == 0, ok = strcmp(line, OK) == 0;

	if (!cf->n)
		return;
	if (!more) {
		cf->first = (cf->first + 1) % PENDING_MAX;
		cf->n--;
	}
	if (p.client && p.client->generation == p.generation)
		to_client(p.client, line);
	else if (p.reply && !more)
		p.reply(p.ctx, ok,
			strncmp(line, ERROR, strlen(ERROR)) ? line : line + strlen(ERROR));
}

void ctl_front_data(struct ctl_front *cf, const void *buf, size_t len)
{
	const char *p = buf;

	for (; len; len--, p++) {
		if (*p != '\n') {
			if (cf->len < CTL_LINE)
				cf->line[cf->len++] = *p;
			continue;
		}
		cf->line[cf->len] = 0;
		cf->len = 0;
		answer_line(cf, cf->line);
	}
}

void ctl_front_lost(struct ctl_front *cf)
{
	cf->len = 0;
	while (cf->n)
		answer_line(cf, ERROR "the virtual machine is gone");
}

/* --- the socket ------------------------------------------------------------------------------- */

int ctl_front_fill(struct ctl_front *cf, struct pollfd *fds)
{
	int n = 0;

	fds[n++] = (struct pollfd){ .fd = cf->listen_fd, .events = POLLIN };
	for (unsigned i = 0; i < CTL_FRONT_CLIENTS; i++)
		fds[n++] = (struct pollfd){ .fd = cf->client[i].fd, .events = POLLIN };
	return n;
}

static void accept_client(struct ctl_front *cf)
{
	int fd = accept4(cf->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned i = 0; fd >= 0 && i < CTL_FRONT_CLIENTS; i++) {
		if (cf->client[i].fd < 0) {
			cf->client[i].fd = fd;
			return;
		}
	}
	if (fd >= 0)
		(void)close(fd);
}

static void read_client(struct ctl_front *cf, struct client *c)
{
	struct pending p = { .client = c, .generation = c->generation };
	ssize_t n = read(c->fd, c->in + c->len, sizeof(c->in) - c->len);
	char *nl;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* also: a line that is too long for the buffer */
		drop_client(c);
		return;
	}
	c->len += (size_t)n;
	while (c->fd >= 0 && (nl = memchr(c->in, '\n', c->len))) {
		size_t len = (size_t)(nl - c->in);

		if (ask(cf, &p, c->in, len) < 0)
			to_client(c, ERROR "too many requests");
		c->len -= MIN(c->len, len + 1);
		memmove(c->in, nl + 1, c->len);
	}
}

void ctl_front_done(struct ctl_front *cf, const struct pollfd *fds, int n)
{
	for (int i = 1; i < n; i++) {
		struct client *c = &cf->client[i - 1];

		if (fds[i].revents && fds[i].fd == c->fd)
			read_client(cf, c);
	}
	if (fds[0].revents & POLLIN)
		accept_client(cf);
}

/* --- the client ------------------------------------------------------------------------------- */

static int dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);

	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		errno = ENAMETOOLONG;
	else if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	fprintf(stderr, "hvhost: no run listens on %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* The answer, as it comes. Returns the exit status. */
static int print_answer(FILE *f)
{
	char line[CTL_LINE + 2];

	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, MORE, strlen(MORE)) == 0) {
			puts(line + strlen(MORE));
			continue;
		}
		if (strcmp(line, OK) == 0)
			return 0;
		fprintf(stderr, "hvhost: %s\n",
			strncmp(line, ERROR, strlen(ERROR)) ? line : line + strlen(ERROR));
		return 1;
	}
	fputs("hvhost: the run ended without an answer\n", stderr);
	return 1;
}

int ctl_front_client(int argc, char **argv)
{
	char line[CTL_LINE] = "";
	size_t len = 0;
	FILE *f;
	int fd, r;

	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		fputs("usage: hvhost control PATH VERB [ARGUMENTS]\n"
		      "Ask the run that was started with --control PATH; the verb help lists the "
		      "others.\n",
		      argc == 2 ? stdout : stderr);
		return argc == 2 ? 0 : 2;
	}
	for (int i = 2; i < argc && len < sizeof(line); i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", argv[i],
					i + 1 < argc ? " " : "");
	if (len + 2 > sizeof(line) || strchr(line, '\n')) {
		fputs("hvhost: the request is too long, or more than one line\n", stderr);
		return 2;
	}
	fd = dial(argv[1]);
	if (fd < 0)
		return 1;
	line[len] = '\n';
	f = fdopen(fd, "r+");
	if (!f) {
		(void)close(fd);
		return 1;
	}
	r = send(fd, line, len + 1, MSG_NOSIGNAL) == (ssize_t)len + 1 ? print_answer(f) : 1;
	(void)fclose(f);
	return r;
}
