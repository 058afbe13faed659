/* SPDX-License-Identifier: MIT */
/*
 * One SRB: the unit it is for, its memory, its answer. What no unit answers (absent ones, REPORT
 * LUNS) is answered here. Input: requests of VTL0 (hostile); thread: the channel's loop.
 * Spec: spec/storage-net.md 1.4, 1.5.
 */
#include "storvsp_priv.h"

#include "le.h"
#include "scsi_data.h"
#include "scsi_proto.h"

#include <errno.h>
#include <string.h>

#define TIMEOUT_MAX_S 3600u

/* ---- the answer ------------------------------------------------------------------------------ */

/* Turn the request in the slot's packet into the answer that its command holds. */
static void reply(struct storvsp_slot *slot)
{
	const struct scsi_cmd *cmd = &slot->cmd;
	struct storvsp_srb *srb = &slot->pkt.srb;

	BUILD_ASSERT(SCSI_SENSE_MAX == STORVSP_SENSE_MAX, "sense goes as it is");
	slot->pkt.h.status = storvsp_nt_status(cmd->srb_status);
	srb->srb_status = cmd->srb_status;
	srb->scsi_status = cmd->scsi_status;
	srb->cdb_len = STORVSP_CDB_MAX;
	srb->sense_len = STORVSP_SENSE_MAX;
	srb->data_len = cmd->transferred;
	memset(srb->cdb, 0, sizeof(srb->cdb));
	if (cmd->sense_len) {
		srb->srb_status |= STORVSP_SRB_AUTOSENSE;
		memcpy(srb->cdb, cmd->sense, MIN(cmd->sense_len, STORVSP_SENSE_MAX));
	}
	storvsp_slot_done(slot);
}

static void cmd_done(struct scsi_cmd *cmd)
{
	reply(cmd->ctx);
}

static void end_ok(struct storvsp_slot *slot, uint32_t transferred)
{
	slot->cmd.scsi_status = SCSI_GOOD;
	slot->cmd.srb_status = SRB_SUCCESS;
	slot->cmd.transferred = transferred;
	reply(slot);
}

static void end_check(struct storvsp_slot *slot, uint8_t srb_status)
{
	slot->cmd.scsi_status = SCSI_CHECK_CONDITION;
	slot->cmd.srb_status = srb_status;
	slot->cmd.transferred = 0;
	reply(slot);
}

/* ILLEGAL REQUEST, INVALID FIELD IN CDB. */
static void end_invalid(struct storvsp_slot *slot)
{
	uint8_t *sense = slot->cmd.sense;

	memset(sense, 0, SCSI_SENSE_MAX);
	sense[0] = SCSI_SENSE_FIXED;
	sense[2] = SENSE_ILLEGAL_REQUEST;
	sense[7] = SCSI_SENSE_FIXED_LEN - 8;
	sense[12] = ASC_CDB_FIELD >> 8;
	slot->cmd.sense_len = SCSI_SENSE_FIXED_LEN;
	end_check(slot, SRB_INVALID_REQUEST);
}

/* ---- what the controller answers ------------------------------------------------------------- */

static void put_data(struct storvsp_slot *slot, const void *buf, uint32_t len, uint32_t alloc)
{
	const uint32_t n = MIN(MIN(len, alloc), scsi_room(&slot->cmd, SCSI_FROM_DEVICE));

	if (scsi_copy_out(&slot->cmd, 0, buf, n) < 0)
		end_invalid(slot);
	else
		end_ok(slot, n);
}

/* The units of one target, in order. A path other than the first has none. */
static void report_luns(struct storvsp_slot *slot, uint8_t path, uint8_t target)
{
	const struct storvsp_serve *sv = slot->sv;
	uint8_t d[8 + STORVSP_LUNS * 8] = { 0 };
	uint32_t len = 0;

	for (uint16_t i = 0; path == 0 && target < STORVSP_TARGETS && i < STORVSP_LUNS; i++) {
		if (!sv->map[target][i])
			continue;
		be16_put(d + 8 + len, i);
		len += 8;
	}
	be32_store(d, len);
	put_data(slot, d, 8 + len, be32_load(slot->cmd.cdb + 6));
}

/* INQUIRY tells that nothing is there; it alone ends well, so that a guest goes on looking. */
static void absent(struct storvsp_slot *slot, uint8_t lun)
{
	const uint8_t *cdb = slot->cmd.cdb;
	uint8_t d[SCSI_INQUIRY_LEN] = { SCSI_PERIPHERAL_ABSENT, [2] = SCSI_VERSION_SPC3,
					[3] = SCSI_INQUIRY_FORMAT, [4] = SCSI_INQUIRY_LEN - 5 };

	storvsp_count(slot->sv, STV_N_ABSENT, 1);
	if (cdb[0] != SCSI_INQUIRY) {
		end_check(slot, SRB_INVALID_LUN);
		return;
	}
	if ((cdb[1] & SCSI_INQUIRY_EVPD) || cdb[2]) {
		end_invalid(slot);
		return;
	}
	if (lun == 0)
		memcpy(d + 8, "Msft    Virtual Disk    1.0 ", 28);
	put_data(slot, d, sizeof(d), be16_get(cdb + 3));
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool direction(uint8_t data_in, enum scsi_dir *ret_dir)
{
	switch (data_in) {
	case STORVSP_DATA_OUT:
		*ret_dir = SCSI_TO_DEVICE;
		return true;
	case STORVSP_DATA_IN:
		*ret_dir = SCSI_FROM_DEVICE;
		return true;
	case STORVSP_DATA_NONE:
		*ret_dir = SCSI_NO_DATA;
		return true;
	default:
		return false;
	}
}

/* Errors of a disk must come before the guest's own time-out does. */
static uint32_t timeout_ms(const struct storvsp_req *req)
{
	if (req->pkt_len < sizeof(req->pkt) || !req->pkt.srb.timeout)
		return 0;
	return MIN(req->pkt.srb.timeout, TIMEOUT_MAX_S) * 750;
}

static bool fill_cmd(struct storvsp_slot *slot, const struct storvsp_req *req)
{
	const struct storvsp_srb *srb = &req->pkt.srb;
	const struct storvsp *s = slot->sv->s;
	struct scsi_cmd *cmd = &slot->cmd;
	int n = 0;

	cmd->sense_len = 0;
	cmd->cdb_len = (uint8_t)MIN(srb->cdb_len, SCSI_CDB_MAX);
	memset(cmd->cdb, 0, sizeof(cmd->cdb));
	memcpy(cmd->cdb, srb->cdb, cmd->cdb_len);
	cmd->done = cmd_done;
	cmd->ctx = slot;
	cmd->timeout_ms = timeout_ms(req);
	cmd->iov = slot->iov;
	cmd->n_iov = 0;
	cmd->data_len = 0;
	if (!direction(srb->data_in, &cmd->dir) || srb->cdb_len > SCSI_CDB_MAX)
		return false;
	if (cmd->dir == SCSI_NO_DATA || !srb->data_len)
		return true;
	if (srb->data_len > s->limits.max_transfer)
		return false;
	n = storvsp_map(s->w.gm, req, srb->data_len, slot->iov, s->max_iov);
	if (n < 0) {
		storvsp_count(slot->sv, STV_N_FAULTS, 1);
		return false;
	}
	cmd->n_iov = (uint32_t)n;
	cmd->data_len = srb->data_len;
	return true;
}

void storvsp_execute(struct storvsp_slot *slot, const struct storvsp_req *req)
{
	struct storvsp_serve *sv = slot->sv;
	const struct storvsp_srb *srb = &req->pkt.srb;
	/* An IDE disk's guest may not know its path. */
	const uint8_t path = sv->s->cfg.ide ? 0 : srb->path;
	const struct storvsp_port *port = NULL;

	if (!fill_cmd(slot, req)) {
		end_invalid(slot);
		return;
	}
	if (slot->cmd.cdb[0] == SCSI_REPORT_LUNS) {
		report_luns(slot, path, srb->target);
		return;
	}
	if (path == 0 && srb->target < STORVSP_TARGETS && srb->lun < STORVSP_LUNS)
		port = sv->map[srb->target][srb->lun];
	if (!port) {
		absent(slot, srb->lun);
		return;
	}
	if (scsi_exec(port->q, &slot->cmd) < 0) {
		slot->cmd.scsi_status = SCSI_BUSY;
		slot->cmd.srb_status = SRB_BUSY;
		slot->cmd.transferred = 0;
		reply(slot);
	}
}
