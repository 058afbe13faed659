/* SPDX-License-Identifier: MIT */
#include "tool_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define FILE_MAX (1u << 30)

int tool_err(const char *fmt, ...)
{
	va_list ap;

	fputs("keel-igvm: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\n", stderr);
	return -1;
}

static int read_all(int fd, const char *path, size_t len, struct file_buf *ret)
{
	auto_free uint8_t *p = malloc(len + 1);
	size_t done = 0;

	if (!p)
		return tool_err("%s: not enough memory for %zu bytes.", path, len);
	while (done < len) {
		ssize_t n = read(fd, p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return tool_err("%s: %s.", path, strerror(errno));
		if (!n)
			return tool_err("%s: the file shrank while it was read.", path);
		done += (size_t)n;
	}
	p[len] = 0; /* lets text be used as a string */
	ret->data = take_ptr(p);
	ret->len = len;
	return 0;
}

int file_read(const char *path, struct file_buf *ret)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return tool_err("%s: %s.", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return tool_err("%s: not a regular file.", path);
	if (st.st_size > FILE_MAX)
		return tool_err("%s: larger than 1 GiB.", path);
	return read_all(fd, path, (size_t)st.st_size, ret);
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_write(const char *path, const void *data, size_t len)
{
	auto_free char *tmp = NULL;
	int fd, r;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0) {
		tmp = NULL;
		return tool_err("not enough memory.");
	}
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return tool_err("%s: cannot create it: %s.", path, strerror(errno));
	r = write_all(fd, data, len);
	if (r == 0 && fchmod(fd, 0644) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(tmp);
		return tool_err("%s: cannot write it: %s.", path, strerror(-r));
	}
	return 0;
}
