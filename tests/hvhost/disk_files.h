/* SPDX-License-Identifier: MIT */
/* The files behind disks, before a run: can they be used, and does nobody else use them? */
#pragma once

#include <stddef.h>

#include "disk_opt.h"
#include "macros.h"

struct disk_files {
	int fd[DISK_OPT_MAX];
	unsigned n;
};

/**
 * disk_files_open - check every file and reserve it until disk_files_close()
 * A file that is written belongs to one run; a file that is only read, to any number of readers.
 * @ret_why: a sentence with the remedy, without a full stop
 * Returns: 0, -EINVAL. Context: main thread.
 */
must_check int disk_files_open(const struct disk_opt *opts, unsigned n, struct disk_files *ret_df,
			       char *ret_why, size_t size);
void disk_files_close(struct disk_files *df); /* accepts one of zeros */
