/* SPDX-License-Identifier: MIT */
/* One SCSI unit on a loop of the calling thread: commands run to their end, one at a time. */
#pragma once

#include "scsi.h"
#include "scsi_proto.h"

struct scsi_rig {
	struct loop *loop;
	struct scsi_unit *u;
	struct scsi_queue *q;
	struct iovec iov[8];
	struct scsi_cmd cmd; /* the last one and how it ended */
	bool done;
};

/* Takes over the reference to @u. Aborts the test on failure, as all of these. */
void scsi_rig_init(struct scsi_rig *r, struct scsi_unit *u, unsigned depth);
void scsi_rig_fini(struct scsi_rig *r);

/* Start a command, @len bytes of memory at @buf in pieces of different sizes. */
void scsi_rig_start(struct scsi_rig *r, const void *cdb, unsigned cdb_len, enum scsi_dir dir,
		    void *buf, uint32_t len);
/* Start it and run the loop until it is done. Returns the SCSI status. */
uint8_t scsi_rig_run(struct scsi_rig *r, const void *cdb, unsigned cdb_len, enum scsi_dir dir,
		     void *buf, uint32_t len);

#define SCSI_RIG_IN(r, buf, len, ...)                                                           \
	scsi_rig_run(r, (const uint8_t[]){ __VA_ARGS__ },                                       \
		     (unsigned)sizeof((const uint8_t[]){ __VA_ARGS__ }), SCSI_FROM_DEVICE, buf, \
		     len)
#define SCSI_RIG_OUT(r, buf, len, ...)                    \
	scsi_rig_run(r, (const uint8_t[]){ __VA_ARGS__ }, \
		     (unsigned)sizeof((const uint8_t[]){ __VA_ARGS__ }), SCSI_TO_DEVICE, buf, len)
#define SCSI_RIG_NONE(r, ...)                             \
	scsi_rig_run(r, (const uint8_t[]){ __VA_ARGS__ }, \
		     (unsigned)sizeof((const uint8_t[]){ __VA_ARGS__ }), SCSI_NO_DATA, NULL, 0)

/* Sense of the last command as key << 16 | ASC << 8 | ASCQ; 0 = it has none. */
uint32_t scsi_rig_sense(const struct scsi_rig *r);
