/* SPDX-License-Identifier: MIT */
/* See crash_env.h. */
#include "crash_env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "confid.h"

#define ENVIRON_PATH "/proc/1/environ"
#define ENVIRON_MAX 65536u /* a kernel command line is 2 KiB */

static const char *const deciding[] = { "OPENHCL_CONFIDENTIAL", "UNDERHILL_CONFIDENTIAL",
					"OPENHCL_CONFIDENTIAL_DEBUG",
					"UNDERHILL_CONFIDENTIAL_DEBUG" };

static int import_one(char *line)
{
	char *eq = strchr(line, '=');

	if (!eq || (strncmp(line, "OPENHCL_", 8) != 0 && strncmp(line, "UNDERHILL_", 10) != 0))
		return 0;
	*eq = 0;
	return setenv(line, eq + 1, 1) < 0 ? -errno : 0;
}

int crash_env_import(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_free char *text = malloc(ENVIRON_MAX + 1);
	size_t len = 0;
	ssize_t n = 1;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (!text)
		return -ENOMEM;
	while (len < ENVIRON_MAX && (n = read(fd, text + len, ENVIRON_MAX - len)) > 0)
		len += (size_t)n;
	if (n)
		return n < 0 ? -errno : -E2BIG;
	text[len] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(deciding); i++)
		(void)unsetenv(deciding[i]); /* fails for malformed names only */
	for (size_t at = 0; at < len && r == 0;) {
		size_t line = strlen(text + at);

		r = import_one(text + at);
		at += line + 1;
	}
	return r;
}

bool crash_env_dumps_allowed(void)
{
	return crash_env_import(ENVIRON_PATH) == 0 && !confid_read().restricted;
}

bool crash_env_is_set(const char *name)
{
	const char *val = getenv(name);

	return val && (strcmp(val, "1") == 0 || strcmp(val, "true") == 0);
}

unsigned crash_env_number(const char *name, unsigned min, unsigned max, unsigned otherwise)
{
	const char *val = getenv(name);
	unsigned long num;
	char *end;

	if (!val || *val < '0' || *val > '9')
		return otherwise;
	errno = 0;
	num = strtoul(val, &end, 10);
	return errno || *end || num < min || num > max ? otherwise : (unsigned)num;
}
