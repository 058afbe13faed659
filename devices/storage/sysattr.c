/* SPDX-License-Identifier: MIT */
#include "sysattr.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sysattr_str(const char *dir, const char *name, char *ret_str, size_t size)
{
	char path[PATH_MAX], buf[256];
	ssize_t n;
	int fd, len = snprintf(path, sizeof(path), "%s/%s", dir, name);
	char *from = buf;

	if (len < 0 || (size_t)len >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		n = -errno;
	(void)close(fd);
	if (n < 0)
		return (int)n;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	from += strspn(buf, " \t");
	for (size_t end = strlen(from); end && (from[end - 1] == ' ' || from[end - 1] == '\t');
	     end--)
		from[end - 1] = '\0';
	(void)snprintf(ret_str, size, "%s", from);
	return 0;
}

uint64_t sysattr_u64(const char *dir, const char *name, uint64_t otherwise)
{
	char str[32], *end;
	uint64_t val;

	if (sysattr_str(dir, name, str, sizeof(str)) < 0 || str[0] < '0' || str[0] > '9')
		return otherwise;
	errno = 0;
	val = strtoull(str, &end, 10);
	return errno || *end ? otherwise : val;
}
