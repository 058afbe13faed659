/* SPDX-License-Identifier: MIT */
#include "mounts.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "initlog.h"

struct mount_point {
	const char *type, *target;
	unsigned long flags;
	const char *data;
};

/* In this order: the log is found in /dev, everything else reports to it. */
static const struct mount_point points[] = {
	{ "devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC | MS_RELATIME, "mode=0755" },
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, NULL },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, NULL },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC | MS_RELATIME, "mode=0600" },
};

static int mount_one(const struct mount_point *m)
{
	if (mkdir(m->target, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (mount(m->type, m->target, m->type, m->flags, m->data) < 0 && errno != EBUSY)
		return -errno;
	return 0;
}

int mounts_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		int r = mount_one(&points[i]);

		initlog_open();
		if (r < 0) {
			initlog_err("cannot mount %s on %s: %s", points[i].type, points[i].target,
				    strerror(-r));
			return r;
		}
	}
	return 0;
}
