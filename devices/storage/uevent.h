/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says about its devices as they come, change and go. Owner: the thread of the
 * loop. Trust: only the kernel's own messages are taken.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "loop.h"

/* Strings are valid during the call; what a message does not have is "". */
struct uevent_msg {
	const char *action; /* "add", "change", "remove", ... */
	const char *subsystem; /* "block", "nvme", ... */
	const char *devname; /* below /dev */
	const char *devpath; /* below /sys */
};

struct uevent {
	struct loop_fd lfd;
	int fd; /* -1 = not listening */
	void (*fn)(void *ctx, const struct uevent_msg *msg);
	void *ctx;
};

/**
 * uevent_start - listen
 * @fn: msg NULL: some messages were lost
 * Returns: 0, -errno (no such sockets here). Context: the loop's thread, or before it runs.
 */
must_check int uevent_start(struct uevent *u, struct loop *loop,
			    void (*fn)(void *ctx, const struct uevent_msg *msg), void *ctx);
void uevent_stop(struct uevent *u);

/* Take a message of @len bytes apart; it must end with a NUL. Returns: is it one? */
bool uevent_parse(const char *buf, size_t len, struct uevent_msg *ret_msg);
