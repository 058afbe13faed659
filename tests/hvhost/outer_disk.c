/* SPDX-License-Identifier: MIT */
/* The outer VM's disks, seen from inside. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "outer.h"

#define SYS_BLOCK "/sys/block"

static bool has_serial(const char *name, const char *serial)
{
	char path[300], text[64] = "";
	auto_close int fd = -1;

	snprintf(path, sizeof(path), SYS_BLOCK "/%s/serial", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	text[strcspn(text, "\n")] = 0;
	return strcmp(text, serial) == 0;
}

void outer_disk_path(char *path, size_t size)
{
	const char *serial = path + strlen(OUTER_DISK_PREFIX);
	const struct dirent *e;
	DIR *d;

	if (strncmp(path, OUTER_DISK_PREFIX, strlen(OUTER_DISK_PREFIX)))
		return;
	d = opendir(SYS_BLOCK);
	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.' && has_serial(e->d_name, serial)) {
			snprintf(path, size, "/dev/%s", e->d_name);
			break;
		}
	}
	(void)closedir(d);
}
