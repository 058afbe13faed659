/* SPDX-License-Identifier: MIT */
/*
 * SCSI units whose initiator is the input: CDBs, directions, lengths and parameter lists, on a disk
 * and a DVD drive in memory. Every command ends once, with an answer that fits into its memory.
 */
#include "fuzz.h"

#include "bug.h"
#include "loop.h"
#include "rd.h"
#include "scsi.h"
#include "scsi_proto.h"

#include <stdlib.h>
#include <string.h>

#define DATA 8192u
#define COMMANDS 64u

static unsigned n_done;

static void done(struct scsi_cmd *cmd)
{
	n_done++;
	BUG_ON(cmd->scsi_status != SCSI_GOOD && cmd->scsi_status != SCSI_CHECK_CONDITION &&
	       cmd->scsi_status != SCSI_RESERVATION_CONFLICT &&
	       cmd->scsi_status != SCSI_TASK_ABORTED);
	BUG_ON((cmd->scsi_status == SCSI_GOOD) != (cmd->srb_status == SRB_SUCCESS));
	BUG_ON(cmd->scsi_status == SCSI_GOOD && cmd->sense_len);
	BUG_ON(cmd->scsi_status == SCSI_CHECK_CONDITION && cmd->sense_len < 14);
	BUG_ON(cmd->sense_len > SCSI_SENSE_MAX);
}

static void run(struct scsi_queue *q, struct loop *loop, struct rd *in)
{
	/* Exactly as long as the command is told: the sanitizer sees a byte too many. */
	const uint32_t len = rd_le16(in) % (DATA + 1);
	const uint8_t head = rd_u8(in), fill = rd_u8(in);
	uint8_t *mem = malloc(len ? len : 1);
	struct iovec iov[2] = { { mem, len / 3 }, { mem + len / 3, len - len / 3 } };
	struct scsi_cmd cmd = { .dir = head % 3,
				.data_len = len,
				.iov = iov,
				.n_iov = 2,
				.timeout_ms = 1000,
				.done = done };
	const uint8_t *bytes;
	size_t n;

	BUG_ON(!mem);
	cmd.cdb_len = head >> 4 ? 16 : 6;
	n = MIN(in->left, cmd.cdb_len);
	bytes = rd_bytes(in, n);
	if (bytes)
		memcpy(cmd.cdb, bytes, n);
	memset(mem, fill, len);
	n = MIN(MIN(in->left, len), 64u);
	bytes = rd_bytes(in, n);
	if (bytes)
		memcpy(mem, bytes, n);
	n_done = 0;
	BUG_ON(scsi_exec(q, &cmd) < 0);
	for (unsigned i = 0; !n_done; i++) {
		BUG_ON(i > 100000);
		loop_poll(loop);
	}
	BUG_ON(n_done != 1 || cmd.transferred > len || scsi_queue_busy(q));
	free(mem);
}

static struct disk *medium(void)
{
	struct disk *d;

	BUG_ON(disk_ram_open("ram", 1u << 20, 512, &d) < 0);
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct scsi_unit_cfg cfg = { .name = "f", .serial = "S" };
	struct rd in = rd_make(data, size);
	const uint8_t kind = rd_u8(&in);
	struct scsi_queue *q;
	struct scsi_unit *u;
	struct loop *loop;
	int r;

	BUG_ON(loop_create_epoll(&loop) < 0);
	if (kind & 1)
		r = scsi_dvd_create(&cfg, kind & 2 ? NULL : medium(), &u);
	else
		r = scsi_disk_create(&cfg, medium(), &u);
	BUG_ON(r < 0 || scsi_queue_create(u, loop, 2, &q) < 0);
	for (unsigned i = 0; i < COMMANDS && in.left; i++) {
		if ((kind & 5) == 5 && i % 4 == 3)
			scsi_dvd_change_medium(u, i % 8 == 3 ? medium() : NULL);
		run(q, loop, &in);
	}
	scsi_queue_destroy(q);
	scsi_unit_put(u);
	for (int i = 0; i < 3; i++)
		loop_poll(loop);
	loop_destroy(loop);
	return 0;
}
