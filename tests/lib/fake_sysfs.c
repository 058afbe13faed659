/* SPDX-License-Identifier: MIT */
#include "fake_sysfs.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bug.h"

void fake_sysfs_init(struct fake_sysfs *fs)
{
	/* In memory, if that can be had: a machine's disk may be slow. */
	(void)snprintf(fs->top, sizeof(fs->top), "%s/fake_sysfs.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	BUG_ON(!mkdtemp(fs->top));
	(void)snprintf(fs->sys, sizeof(fs->sys), "%s/sys", fs->top);
	(void)snprintf(fs->dev, sizeof(fs->dev), "%s/dev", fs->top);
	BUG_ON(mkdir(fs->sys, 0700) < 0 || mkdir(fs->dev, 0700) < 0);
	fs->roots = (struct hostdev_roots){ .sys = fs->sys, .dev = fs->dev };
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fake_sysfs_fini(struct fake_sysfs *fs)
{
	(void)nftw(fs->top, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_folders(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		(void)mkdir(path, 0700);
		*p = '/';
	}
}

static void __attribute__((format(printf, 3, 0)))
full_path(const struct fake_sysfs *fs, char path[512], const char *fmt, va_list ap)
{
	const int n = snprintf(path, 512, "%s/", fs->top);

	(void)vsnprintf(path + n, 512 - (size_t)n, fmt, ap);
}

static void write_file(char *path, const char *text, uint64_t bytes)
{
	int fd;

	make_folders(path);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	BUG_ON(fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text));
	if (bytes)
		BUG_ON(ftruncate(fd, (off_t)bytes) < 0);
	(void)close(fd);
}

void fake_sysfs_file(struct fake_sysfs *fs, const char *text, const char *fmt, ...)
{
	char path[512];
	va_list ap;

	va_start(ap, fmt);
	full_path(fs, path, fmt, ap);
	va_end(ap);
	write_file(path, text, 0);
}

void fake_sysfs_remove(struct fake_sysfs *fs, const char *fmt, ...)
{
	char path[512];
	va_list ap;

	va_start(ap, fmt);
	full_path(fs, path, fmt, ap);
	va_end(ap);
	(void)nftw(path, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_block(struct fake_sysfs *fs, const char *name, uint64_t bytes)
{
	char path[512];

	fake_sysfs_file(fs, "[mq-deadline] none", "sys/block/%s/queue/scheduler", name);
	fake_sysfs_file(fs, "0", "sys/block/%s/queue/nomerges", name);
	fake_sysfs_file(fs, "", "sys/block/%s/bdi", name);
	(void)snprintf(path, sizeof(path), "%s/%s", fs->dev, name);
	write_file(path, "", bytes);
}

void fake_sysfs_nvme(struct fake_sysfs *fs, const struct guid *instance, uint32_t ctrl, uint32_t ns,
		     uint32_t nsid, uint64_t bytes)
{
	char id[GUID_STR_LEN + 1], name[32], text[16];

	guid_format(instance, id);
	(void)snprintf(name, sizeof(name), "nvme%un%u", ctrl, ns);
	(void)snprintf(text, sizeof(text), "%u\n", nsid);
	fake_sysfs_file(fs, text,
			"sys/bus/vmbus/devices/%s/pci%04x:00/%04x:00:00.0/nvme/nvme%u/%s/nsid", id,
			instance->d2, instance->d2, ctrl, name);
	make_block(fs, name, bytes);
	fake_sysfs_file(fs, "", "dev/ng%un%u", ctrl, ns);
}

void fake_sysfs_scsi(struct fake_sysfs *fs, const struct guid *instance, uint32_t host,
		     uint32_t lun, const char *name, uint64_t bytes)
{
	char id[GUID_STR_LEN + 1];

	guid_format(instance, id);
	fake_sysfs_file(fs, "", "sys/bus/vmbus/devices/%s/host%u/uevent", id, host);
	fake_sysfs_file(fs, "", "sys/bus/scsi/devices/%u:0:0:%u/block/%s/size", host, lun, name);
	make_block(fs, name, bytes);
}
