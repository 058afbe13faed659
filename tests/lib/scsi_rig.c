/* SPDX-License-Identifier: MIT */
#include "scsi_rig.h"

#include "bug.h"
#include "loop.h"

#include <string.h>

void scsi_rig_init(struct scsi_rig *r, struct scsi_unit *u, unsigned depth)
{
	*r = (struct scsi_rig){ .u = u };
	BUG_ON(loop_create(64, &r->loop) < 0);
	BUG_ON(scsi_queue_create(u, r->loop, depth, &r->q) < 0);
}

void scsi_rig_fini(struct scsi_rig *r)
{
	scsi_queue_destroy(r->q);
	scsi_unit_put(r->u);
	for (int i = 0; i < 4; i++)
		loop_poll(r->loop);
	loop_destroy(r->loop);
}

static void done(struct scsi_cmd *cmd)
{
	struct scsi_rig *r = cmd->ctx;

	BUG_ON(r->done);
	r->done = true;
}

void scsi_rig_start(struct scsi_rig *r, const void *cdb, unsigned cdb_len, enum scsi_dir dir,
		    void *buf, uint32_t len)
{
	static const uint32_t cut[] = { 1, 7, 64, 509, 4096 };
	uint32_t off = 0, n = 0;

	BUG_ON(cdb_len > SCSI_CDB_MAX);
	r->done = false;
	r->cmd = (struct scsi_cmd){ .cdb_len = (uint8_t)cdb_len,
				    .dir = dir,
				    .data_len = len,
				    .iov = r->iov,
				    .timeout_ms = 1000,
				    .done = done,
				    .ctx = r };
	memcpy(r->cmd.cdb, cdb, cdb_len);
	for (; off < len && n < ARRAY_SIZE(cut); n++) {
		r->iov[n] = (struct iovec){ (uint8_t *)buf + off, MIN(cut[n], len - off) };
		off += MIN(cut[n], len - off);
	}
	if (off < len)
		r->iov[n++] = (struct iovec){ (uint8_t *)buf + off, len - off };
	r->cmd.n_iov = n;
	BUG_ON(scsi_exec(r->q, &r->cmd) < 0);
}

uint8_t scsi_rig_run(struct scsi_rig *r, const void *cdb, unsigned cdb_len, enum scsi_dir dir,
		     void *buf, uint32_t len)
{
	scsi_rig_start(r, cdb, cdb_len, dir, buf, len);
	for (int i = 0; !r->done; i++) {
		BUG_ON(i > 100000);
		loop_poll(r->loop);
	}
	return r->cmd.scsi_status;
}

uint32_t scsi_rig_sense(const struct scsi_rig *r)
{
	const uint8_t *s = r->cmd.sense;

	if (!r->cmd.sense_len)
		return 0;
	BUG_ON(r->cmd.sense_len != SCSI_SENSE_FIXED_LEN || s[0] != SCSI_SENSE_FIXED);
	return (uint32_t)s[2] << 16 | (uint32_t)s[12] << 8 | s[13];
}
