/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket file nobody listens on is a leftover of a killed run; one with a listener is in use. */
int listen_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(sun.sun_path)) {
		fprintf(stderr, "hvhost: the socket path %s is too long (at most %zu bytes)\n",
			path, sizeof(sun.sun_path) - 1);
		if (fd >= 0)
			(void)close(fd);
		return -ENAMETOOLONG;
	}
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
		fprintf(stderr,
			"hvhost: %s is in use by another run; choose another path or end that run\n",
			path);
		(void)close(fd);
		return -EADDRINUSE;
	}
	if (errno == ECONNREFUSED)
		(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 16) < 0) {
		int err = errno;

		fprintf(stderr, "hvhost: cannot listen on %s: %s\n", path, strerror(err));
		if (fd >= 0)
			(void)close(fd);
		return -err;
	}
	return fd;
}
