/* SPDX-License-Identifier: MIT */
#include "disk_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u

static int refuse(char *why, size_t size, const char *fmt, ...) printf_like(3, 4);
static int refuse(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int cannot_open(const struct disk_opt *o, int err, char *why, size_t size)
{
	switch (err) {
	case ENOENT:
		return refuse(why, size,
			      "there is no disk %s; make an empty one with: truncate -s 1G %s",
			      o->path, o->path);
	case EACCES:
	case EROFS:
	case EPERM:
		if (!o->read_only)
			return refuse(why, size,
				      "the disk %s cannot be written; make it writable, or give it "
				      "to the guest with ,ro",
				      o->path);
		break;
	case EISDIR:
		return refuse(why, size, "%s is a folder; a file or block device is needed",
			      o->path);
	default:
		break;
	}
	return refuse(why, size, "the disk %s cannot be opened: %s", o->path, strerror(err));
}

static int check_size(const struct disk_opt *o, int fd, const struct stat *st, char *why,
		      size_t size)
{
	uint64_t bytes = (uint64_t)st->st_size;

	if (S_ISBLK(st->st_mode) && ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return refuse(why, size, "the size of %s is not known: %s", o->path,
			      strerror(errno));
	if (!bytes)
		return refuse(why, size,
			      "the disk %s is empty; give it a size with: truncate -s 1G %s",
			      o->path, o->path);
	if (bytes % SECTOR)
		return refuse(why, size,
			      "the disk %s has %llu bytes, which is not a multiple of %u; fill it "
			      "up with: truncate -s %%%u %s",
			      o->path, (unsigned long long)bytes, SECTOR, SECTOR, o->path);
	return 0;
}

static bool same_file(int fd, const struct stat *st)
{
	struct stat other;

	return fd >= 0 && fstat(fd, &other) == 0 && other.st_dev == st->st_dev &&
	       other.st_ino == st->st_ino;
}

/* @fd is df->fd[i] already. */
static int check_one(const struct disk_opt *opts, unsigned i, const struct disk_files *df,
		     char *why, size_t size)
{
	const struct disk_opt *o = &opts[i];
	struct stat st;
	int fd = df->fd[i];

	if (fstat(fd, &st) < 0)
		return cannot_open(o, errno, why, size);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return refuse(why, size, "%s is neither a file nor a block device", o->path);
	for (unsigned k = 0; k < i; k++) {
		if (same_file(df->fd[k], &st) && !(o->read_only && opts[k].read_only))
			return refuse(why, size,
				      "the disk %s is given twice (%s and %s); copy it, or give it "
				      "to the guest with ,ro both times",
				      o->path, opts[k].id, o->id);
	}
	if (flock(fd, (o->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
		return refuse(why, size,
			      "the disk %s is in use by another run; end that run, or use a copy",
			      o->path);
	return check_size(o, fd, &st, why, size);
}

int disk_files_open(const struct disk_opt *opts, unsigned n, struct disk_files *ret_df,
		    char *ret_why, size_t size)
{
	struct disk_files df = { .n = n };
	int r = 0;

	for (unsigned i = 0; i < n; i++)
		df.fd[i] = -1;
	for (unsigned i = 0; i < n && r == 0; i++) {
		if (!opts[i].path[0])
			continue;
		/* Not blocking: a pipe is to be refused and not waited for. */
		df.fd[i] = open(opts[i].path,
				(opts[i].read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
		r = df.fd[i] < 0 ? cannot_open(&opts[i], errno, ret_why, size)
				 : check_one(opts, i, &df, ret_why, size);
	}
	if (r < 0) {
		disk_files_close(&df);
		return r;
	}
	*ret_df = df;
	return 0;
}

void disk_files_close(struct disk_files *df)
{
	for (unsigned i = 0; i < df->n; i++) {
		if (df->fd[i] >= 0)
			(void)close(df->fd[i]);
	}
	df->n = 0;
}
