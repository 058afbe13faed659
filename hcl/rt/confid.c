/* SPDX-License-Identifier: MIT */
/* See confid.h. Whatever is in doubt is decided for less. */
#include "confid.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "macros.h"

#define ISOLATION_PATH "/proc/device-tree/openhcl/isolation-type"

static const char *const names[] = {
	[CONFID_ISO_NONE] = "none", [CONFID_ISO_VBS] = "vbs",	      [CONFID_ISO_SNP] = "snp",
	[CONFID_ISO_TDX] = "tdx",   [CONFID_ISO_UNKNOWN] = "unknown",
};

static const char *process_env(const char *name)
{
	return getenv(name);
}

static bool says_yes(const char *text)
{
	return text && *text && strcmp(text, "0") != 0;
}

static enum confid_isolation isolation_of(const char *text)
{
	if (!text)
		return CONFID_ISO_NONE;
	for (int i = CONFID_ISO_NONE; i < CONFID_ISO_UNKNOWN; i++) {
		if (!strcmp(text, names[i]))
			return (enum confid_isolation)i;
	}
	return CONFID_ISO_UNKNOWN;
}

struct confid confid_decide(confid_getenv_fn get, const char *isolation)
{
	struct confid c = { .isolation = isolation_of(isolation) };
	const char *debug;

	if (!get)
		get = process_env;
	c.confidential = c.isolation != CONFID_ISO_NONE || says_yes(get("OPENHCL_CONFIDENTIAL")) ||
			 says_yes(get("UNDERHILL_CONFIDENTIAL"));
	debug = get("OPENHCL_CONFIDENTIAL_DEBUG");
	if (!debug)
		debug = get("UNDERHILL_CONFIDENTIAL_DEBUG");
	c.debug = says_yes(debug);
	c.restricted = c.confidential && !c.debug;
	return c;
}

/* The property, or NULL = there is none; anything that goes wrong reads as a word nobody knows. */
static const char *read_isolation(char *ret_text, size_t cap)
{
	auto_close int fd = open(ISOLATION_PATH, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? NULL : "?";
	n = read(fd, ret_text, cap - 1);
	if (n <= 0)
		return "?";
	ret_text[n] = '\0';
	return ret_text;
}

struct confid confid_read(void)
{
	char text[16];

	return confid_decide(NULL, read_isolation(text, sizeof(text)));
}

const char *confid_isolation_name(enum confid_isolation isolation)
{
	return names[isolation];
}
