/* SPDX-License-Identifier: MIT */
#include "powercut_disk.h"

#include <check.h>

/* The daemon's own: what it has said to be done must have left the process. */
struct disk *powercut_disk(const char *path)
{
	const struct disk_file_cfg cfg = { .name = "t", .path = path };
	struct disk *d;

	ck_assert_int_eq(disk_file_open(&cfg, &d), 0);
	return d;
}
