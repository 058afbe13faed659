/* SPDX-License-Identifier: MIT */
/* See uevent.h. A message is "ACTION@DEVPATH", NUL, and then KEY=VALUE strings, each with a NUL. */
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MSG_MAX 4096 /* twice what the kernel puts into one */
#define BATCH 16 /* messages of one visit */
#define KERNEL_GROUP 1u

static void set_if(const char *str, const char *key, const char **value)
{
	size_t n = strlen(key);

	if (strncmp(str, key, n) == 0)
		*value = str + n;
}

bool uevent_parse(const char *buf, size_t len, struct uevent_msg *ret_msg)
{
	struct uevent_msg msg = { "", "", "", "" };

	if (!len || buf[len - 1] != '\0' || !strchr(buf, '@'))
		return false;
	for (size_t off = strlen(buf) + 1; off < len; off += strlen(buf + off) + 1) {
		set_if(buf + off, "ACTION=", &msg.action);
		set_if(buf + off, "SUBSYSTEM=", &msg.subsystem);
		set_if(buf + off, "DEVNAME=", &msg.devname);
		set_if(buf + off, "DEVPATH=", &msg.devpath);
	}
	*ret_msg = msg;
	return true;
}

/* Returns: bytes of one message of the kernel; 0: it was somebody else's; -errno. */
static ssize_t receive(int fd, char *buf, size_t size)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from,
			     &from_len);

	if (n < 0)
		return -errno;
	if (from_len < sizeof(from) || from.nl_pid != 0 || (size_t)n > size)
		return 0;
	return n;
}

static void on_readable(void *ctx, uint32_t events)
{
	struct uevent *u = ctx;
	char buf[MSG_MAX];

	for (int i = 0; i < BATCH && u->fd >= 0; i++) {
		ssize_t n = receive(u->fd, buf, sizeof(buf));
		struct uevent_msg msg;

		if (n == -ENOBUFS)
			u->fn(u->ctx, NULL);
		else if (n < 0)
			return;
		else if (n > 0 && uevent_parse(buf, (size_t)n, &msg))
			u->fn(u->ctx, &msg);
	}
}

int uevent_start(struct uevent *u, struct loop *loop,
		 void (*fn)(void *ctx, const struct uevent_msg *msg), void *ctx)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	int r;

	if (fd < 0)
		return -errno;
	*u = (struct uevent){ .fd = fd, .fn = fn, .ctx = ctx };
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	if (r == 0)
		r = loop_fd_add(&u->lfd, loop, fd, POLLIN, on_readable, u);
	if (r < 0) {
		(void)close(fd);
		u->fd = -1;
	}
	return r;
}

void uevent_stop(struct uevent *u)
{
	if (u->fd < 0)
		return;
	loop_fd_remove(&u->lfd);
	(void)close(u->fd);
	u->fd = -1;
}
