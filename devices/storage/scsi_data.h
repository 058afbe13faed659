/* SPDX-License-Identifier: MIT */
/*
 * A command's memory, for those who answer commands: pieces of guest memory that nobody looks into.
 * Trust: what is copied in is hostile. Context: the thread that the command belongs to.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"
#include "scsi.h"

/* Copy between a private buffer and the command's memory, [off, off + len) of it. Returns: 0;
 * -EMSGSIZE (beyond its end, or the other direction); -EFAULT. */
must_check int scsi_copy_in(const struct scsi_cmd *cmd, uint32_t off, void *ret_buf, size_t len);
must_check int scsi_copy_out(const struct scsi_cmd *cmd, uint32_t off, const void *buf, size_t len);

/* Make the command's memory exactly @bytes long (it is not shorter). */
void scsi_trim(struct scsi_cmd *cmd, uint32_t bytes);

/* Room in the command's memory that may be used in this direction. */
uint32_t scsi_room(const struct scsi_cmd *cmd, enum scsi_dir dir);
