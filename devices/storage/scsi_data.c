/* SPDX-License-Identifier: MIT */
/*
 * A command's memory: pieces of guest memory that nobody here looks into; copies are fault-safe
 * and every byte is copied once. Input: guest; thread: the queue's loop.
 */
#include "scsi_data.h"

#include "gmem.h"
#include "scsi_priv.h"

#include <errno.h>

uint32_t scsi_room(const struct scsi_cmd *cmd, enum scsi_dir dir)
{
	return cmd->dir == dir ? cmd->data_len : 0;
}

/* One step of a copy through the pieces: which bytes of which piece come next. */
static int copy(const struct scsi_cmd *cmd, uint32_t off, void *ret_buf, const void *buf,
		size_t len)
{
	size_t skip = off, done = 0;

	for (uint32_t i = 0; done < len && i < cmd->n_iov; i++) {
		const struct iovec *v = &cmd->iov[i];
		size_t n;
		int r;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		n = MIN(v->iov_len - skip, len - done);
		r = ret_buf ? gm_copy_in((char *)ret_buf + done, (char *)v->iov_base + skip, n)
			    : gm_copy_out((char *)v->iov_base + skip, (const char *)buf + done, n);
		if (r < 0)
			return r;
		done += n;
		skip = 0;
	}
	return done < len ? -EMSGSIZE : 0;
}

int scsi_copy_in(const struct scsi_cmd *cmd, uint32_t off, void *ret_buf, size_t len)
{
	const uint32_t room = scsi_room(cmd, SCSI_TO_DEVICE);

	if (off > room || len > room - off)
		return -EMSGSIZE;
	return copy(cmd, off, ret_buf, NULL, len);
}

int scsi_copy_out(const struct scsi_cmd *cmd, uint32_t off, const void *buf, size_t len)
{
	const uint32_t room = scsi_room(cmd, SCSI_FROM_DEVICE);

	if (off > room || len > room - off)
		return -EMSGSIZE;
	return copy(cmd, off, NULL, buf, len);
}

void scsi_reply(struct scsi_slot *s, const void *buf, uint32_t len, uint32_t alloc)
{
	const uint32_t n = MIN(MIN(len, alloc), scsi_room(s->cmd, SCSI_FROM_DEVICE));

	if (scsi_copy_out(s->cmd, 0, buf, n) < 0)
		scsi_end_invalid(s, ASC_CDB_FIELD);
	else
		scsi_end_ok(s, n);
}

void scsi_trim(struct scsi_cmd *cmd, uint32_t bytes)
{
	uint32_t left = bytes;

	if (bytes >= cmd->data_len)
		return;
	for (uint32_t i = 0; i < cmd->n_iov; i++) {
		struct iovec *v = &cmd->iov[i];

		if (v->iov_len >= left) {
			v->iov_len = left;
			cmd->n_iov = left ? i + 1 : i;
			break;
		}
		left -= (uint32_t)v->iov_len;
	}
	cmd->data_len = bytes;
}
