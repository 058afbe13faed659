/* SPDX-License-Identifier: MIT */
/* Files and messages of the image tool. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct file_buf {
	uint8_t *data;
	size_t len;
};

/**
 * tool_err - print one sentence on standard error
 * Returns: -1, for `return tool_err(...)`; every function of the tool that returns int does so
 * after one message
 */
int tool_err(const char *fmt, ...) printf_like(1, 2);

/* Read a whole file of at most 1 GiB; free(ret->data) releases it. 0, or -1 after a message. */
must_check int file_read(const char *path, struct file_buf *ret);

/* Write a file in one piece: it appears complete or not at all. 0, or -1 after a message. */
must_check int file_write(const char *path, const void *data, size_t len);
