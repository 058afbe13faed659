/* SPDX-License-Identifier: MIT */
#include "powercut_disk.h"

#include "fake_disk.h"

#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>

/* A disk with a volatile cache: what was not flushed and not written through dies with us. */
struct disk *powercut_disk(const char *path)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	struct disk *d;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	d = fake_disk((uint64_t)st.st_size / 512, 512);
	fake_disk_medium(d, fd);
	return d;
}
