/* SPDX-License-Identifier: MIT */
/*
 * The SCSI disk: which command does what, and the commands that fit nowhere else. Input: CDBs of a
 * guest (hostile); state: shared by the queues, atomics; thread: the loop of each queue.
 * Spec: SPC-4, SBC-3, spec/storage-net.md 2.1.
 */
#include "scsi_priv.h"

#include "inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the disk as configured ------------------------------------------------------------------ */

void scsi_unit_info(const struct scsi_unit *u, struct disk_info *ret_info)
{
	const struct scsi_unit_cfg *cfg = &u->cfg;
	struct disk_info info;

	disk_info(u->disk, &info);
	if (cfg->size_bytes)
		info.blocks = MIN(info.blocks, cfg->size_bytes / info.block_size);
	if (cfg->physical_block_size)
		info.physical_block_size = cfg->physical_block_size;
	if (cfg->no_unmap)
		info.unmap_granularity = 0;
	*ret_info = info;
}

/* ---- small commands -------------------------------------------------------------------------- */

static void nothing_to_do(struct scsi_slot *s, const struct disk_info *info)
{
	(void)info;
	scsi_end_ok(s, 0);
}

/* Initiators may not ask for another format, nor for a pattern. */
static void format_unit(struct scsi_slot *s, const struct disk_info *info)
{
	(void)info;
	if (s->cmd->cdb[1] & 0xd8)
		scsi_end_invalid(s, ASC_CDB_FIELD);
	else
		scsi_end_ok(s, 0);
}

/* The first command after a change of capacity is told of it, whatever queue it comes by. */
static bool attention(struct scsi_slot *s, const struct disk_info *info)
{
	struct scsi_disk_unit *du = scsi_disk_unit(s->q->u);
	uint32_t known = atomic_load_explicit(&du->generation, memory_order_relaxed);

	if (known == info->generation ||
	    !atomic_compare_exchange_strong_explicit(&du->generation, &known, info->generation,
						     memory_order_relaxed, memory_order_relaxed))
		return false;
	scsi_count(s->q, SCSI_N_ATTENTIONS, 1);
	return true;
}

/* Asked for, an attention is data and no error. */
static void request_sense(struct scsi_slot *s, const struct disk_info *info)
{
	static const uint8_t changed[SCSI_SENSE_FIXED_LEN] = {
		SCSI_SENSE_FIXED,
		[2] = SENSE_UNIT_ATTENTION,
		[7] = SCSI_SENSE_FIXED_LEN - 8,
		[12] = ASC_CAPACITY_CHANGED >> 8,
		[13] = ASC_CAPACITY_CHANGED & 0xff,
	};

	if (!(s->cmd->cdb[1] & 1) && attention(s, info))
		scsi_reply(s, changed, sizeof(changed), s->cmd->cdb[4]);
	else
		scsi_request_sense(s);
}

static void send_diagnostic(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t *cdb = s->cmd->cdb;

	(void)info;
	/* The default self test only: no code, no page, no list. */
	if ((cdb[1] & 0xf0) || scsi_cdb16(s, 3))
		scsi_end_invalid(s, ASC_CDB_FIELD);
	else
		scsi_end_ok(s, 0);
}

static void stopped(struct scsi_slot *s)
{
	scsi_end_ok(s, 0);
}

static void start_stop(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t *cdb = s->cmd->cdb;

	(void)info;
	/* No power conditions, nothing to eject. */
	if ((cdb[4] & 0xf0) || (cdb[4] & 2)) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
	} else if (cdb[4] & 1) {
		scsi_end_ok(s, 0);
	} else {
		s->req = (struct disk_req){ .op = DISK_FLUSH };
		scsi_submit(s, stopped);
	}
}

static void read_capacity_10(struct scsi_slot *s, const struct disk_info *info)
{
	const uint64_t last = info->blocks - 1;
	uint8_t d[8];

	if (!(s->cmd->cdb[8] & 1) && be32_load(s->cmd->cdb + 2)) { /* PMI and its address */
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	be32_store(d, (uint32_t)MIN(last, UINT32_MAX));
	be32_store(d + 4, info->block_size);
	scsi_reply(s, d, sizeof(d), sizeof(d));
}

static uint8_t log2_ratio(uint32_t a, uint32_t b)
{
	uint8_t n = 0;

	for (; a > b && n < 15; b <<= 1)
		n++;
	return n;
}

static void read_capacity_16(struct scsi_slot *s, const struct disk_info *info)
{
	uint8_t d[32] = { 0 };

	be64_put(d, info->blocks - 1);
	be32_store(d + 8, info->block_size);
	d[13] = log2_ratio(info->physical_block_size, info->block_size);
	if (info->unmap_granularity)
		d[14] = 0x80 | (info->unmap_zeroes ? 0x40 : 0); /* LBPME, LBPRZ */
	scsi_reply(s, d, sizeof(d), be32_load(s->cmd->cdb + 10));
}

/* What is not written is not known here: everything counts as mapped. */
static void get_lba_status(struct scsi_slot *s, const struct disk_info *info)
{
	const uint64_t lba = be64_load(s->cmd->cdb + 2);
	uint8_t d[24] = { 0 };

	if (lba >= info->blocks) {
		scsi_end_invalid(s, ASC_LBA);
		return;
	}
	be32_store(d, sizeof(d) - 4);
	be64_put(d + 8, lba);
	be32_store(d + 16, (uint32_t)MIN(info->blocks - lba, UINT32_MAX));
	scsi_reply(s, d, sizeof(d), be32_load(s->cmd->cdb + 10));
}

static void service_action_in(struct scsi_slot *s, const struct disk_info *info)
{
	switch (s->cmd->cdb[1] & 0x1f) {
	case SCSI_SAI_READ_CAPACITY_16:
		read_capacity_16(s, info);
		break;
	case SCSI_SAI_GET_LBA_STATUS:
		get_lba_status(s, info);
		break;
	default:
		scsi_end_invalid(s, ASC_CDB_FIELD);
	}
}

/* For front ends without a list of their own: unit 0 is all there is. */
static void report_luns(struct scsi_slot *s, const struct disk_info *info)
{
	uint8_t d[16] = { 0 };

	(void)info;
	be32_store(d, 8);
	scsi_reply(s, d, sizeof(d), be32_load(s->cmd->cdb + 6));
}

static void report_opcodes(struct scsi_slot *s, const struct disk_info *info);

/* ---- dispatch -------------------------------------------------------------------------------- */

#define OP_WRITES BIT(0) /* refused when the disk is read-only */
#define OP_ALWAYS BIT(1) /* neither a unit attention nor a missing medium is in its way */

struct disk_op_entry {
	void (*run)(struct scsi_slot *s, const struct disk_info *info);
	uint8_t flags;
	uint8_t cdb_len;
};

static const struct disk_op_entry ops[256] = {
	[SCSI_TEST_UNIT_READY] = { nothing_to_do, 0, 6 },
	[SCSI_REQUEST_SENSE] = { request_sense, OP_ALWAYS, 6 },
	[SCSI_FORMAT_UNIT] = { format_unit, OP_WRITES, 6 },
	[SCSI_READ_6] = { scsi_read, 0, 6 },
	[SCSI_WRITE_6] = { scsi_write, OP_WRITES, 6 },
	[SCSI_INQUIRY] = { scsi_inquiry, OP_ALWAYS, 6 },
	[SCSI_MODE_SELECT_6] = { scsi_mode_select, 0, 6 },
	[SCSI_RESERVE_6] = { nothing_to_do, 0, 6 },
	[SCSI_RELEASE_6] = { nothing_to_do, 0, 6 },
	[SCSI_MODE_SENSE_6] = { scsi_mode_sense, 0, 6 },
	[SCSI_START_STOP_UNIT] = { start_stop, 0, 6 },
	[SCSI_SEND_DIAGNOSTIC] = { send_diagnostic, 0, 6 },
	[SCSI_PREVENT_ALLOW] = { nothing_to_do, 0, 6 },
	[SCSI_READ_CAPACITY_10] = { read_capacity_10, 0, 10 },
	[SCSI_READ_10] = { scsi_read, 0, 10 },
	[SCSI_WRITE_10] = { scsi_write, OP_WRITES, 10 },
	[SCSI_WRITE_VERIFY_10] = { scsi_write_verify, OP_WRITES, 10 },
	[SCSI_VERIFY_10] = { scsi_verify, 0, 10 },
	[SCSI_SYNC_CACHE_10] = { scsi_sync_cache, 0, 10 },
	[SCSI_WRITE_SAME_10] = { scsi_write_same, OP_WRITES, 10 },
	[SCSI_UNMAP] = { scsi_unmap, OP_WRITES, 10 },
	[SCSI_MODE_SELECT_10] = { scsi_mode_select, 0, 10 },
	[SCSI_MODE_SENSE_10] = { scsi_mode_sense, 0, 10 },
	[SCSI_PR_IN] = { scsi_pr_in, 0, 10 },
	[SCSI_PR_OUT] = { scsi_pr_out, 0, 10 },
	[SCSI_READ_16] = { scsi_read, 0, 16 },
	[SCSI_WRITE_16] = { scsi_write, OP_WRITES, 16 },
	[SCSI_WRITE_VERIFY_16] = { scsi_write_verify, OP_WRITES, 16 },
	[SCSI_VERIFY_16] = { scsi_verify, 0, 16 },
	[SCSI_SYNC_CACHE_16] = { scsi_sync_cache, 0, 16 },
	[SCSI_WRITE_SAME_16] = { scsi_write_same, OP_WRITES, 16 },
	[SCSI_SERVICE_ACTION_IN_16] = { service_action_in, 0, 16 },
	[SCSI_REPORT_LUNS] = { report_luns, OP_ALWAYS, 12 },
	[SCSI_MAINTENANCE_IN] = { report_opcodes, 0, 12 },
	[SCSI_READ_12] = { scsi_read, 0, 12 },
	[SCSI_WRITE_12] = { scsi_write, OP_WRITES, 12 },
	[SCSI_WRITE_VERIFY_12] = { scsi_write_verify, OP_WRITES, 12 },
	[SCSI_VERIFY_12] = { scsi_verify, 0, 12 },
};

/* Which service actions of an operation exist: a mask, 0 = it has none. */
static uint32_t service_actions(uint8_t opcode)
{
	switch (opcode) {
	case SCSI_SERVICE_ACTION_IN_16:
		return BIT(SCSI_SAI_READ_CAPACITY_16) | BIT(SCSI_SAI_GET_LBA_STATUS);
	case SCSI_MAINTENANCE_IN:
		return BIT(SCSI_MI_REPORT_OPCODES);
	case SCSI_PR_IN:
		return 0x0f;
	case SCSI_PR_OUT:
		return 0x7f;
	default:
		return 0;
	}
}

static bool op_exists(uint8_t opcode, const struct disk_info *info)
{
	if (opcode == SCSI_UNMAP && !info->unmap_granularity)
		return false;
	return ops[opcode].run;
}

/* All commands: an entry for each operation and service action. In the scratch memory. */
static void report_all(struct scsi_slot *s)
{
	uint8_t *const d = s->q->scratch;
	struct disk_info info;
	uint32_t len = 0;

	scsi_unit_info(s->q->u, &info);
	for (unsigned op = 0; op < ARRAY_SIZE(ops); op++) {
		const uint32_t sa = service_actions((uint8_t)op);

		for (unsigned i = 0; op_exists((uint8_t)op, &info) && i < 32; i++) {
			uint8_t *e = d + 4 + len;

			if (!(sa & BIT(i)) && (sa || i))
				continue;
			memset(e, 0, 8);
			e[0] = (uint8_t)op;
			be16_put(e + 2, (uint16_t)i);
			e[5] = sa ? 1 : 0; /* SERVACTV */
			be16_put(e + 6, ops[op].cdb_len);
			len += 8;
		}
	}
	be32_store(d, len);
	scsi_reply(s, d, 4 + len, be32_load(s->cmd->cdb + 6));
}

/* One command: is it there, and which bits of its CDB count? (The whole of it may.) */
static void report_one(struct scsi_slot *s, const struct disk_info *info, unsigned options)
{
	const uint8_t op = s->cmd->cdb[3];
	const uint16_t sa = scsi_cdb16(s, 4);
	const uint32_t mask = service_actions(op);
	const bool known = op_exists(op, info) && (!mask || (sa < 32 && (mask & BIT(sa))));
	uint8_t d[4 + SCSI_CDB_MAX] = { 0 };

	/* Option 1 is for operations without, 2 for those with service actions; 3 for both. */
	if (op_exists(op, info) && ((options == 1 && mask) || (options == 2 && !mask))) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	d[1] = known ? 3 : 1;
	if (known) {
		be16_put(d + 2, ops[op].cdb_len);
		memset(d + 4, 0xff, ops[op].cdb_len);
		d[4] = op;
		if (mask)
			d[5] = 0x1f;
	}
	scsi_reply(s, d, 4u + (known ? ops[op].cdb_len : 0), be32_load(s->cmd->cdb + 6));
}

static void report_opcodes(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t *cdb = s->cmd->cdb;
	const unsigned options = cdb[2] & 7;

	/* No descriptors of command time-outs. */
	if ((cdb[1] & 0x1f) != SCSI_MI_REPORT_OPCODES || (cdb[2] & 0x80) || options > 3)
		scsi_end_invalid(s, ASC_CDB_FIELD);
	else if (options == 0)
		scsi_scratch(s, report_all);
	else
		report_one(s, info, options);
}

static void disk_exec(struct scsi_slot *s)
{
	const uint8_t opcode = s->cmd->cdb[0];
	const struct disk_op_entry *op = &ops[opcode];
	struct disk_info info;

	scsi_unit_info(s->q->u, &info);
	if (!op->run) {
		scsi_end_invalid(s, ASC_OPCODE);
	} else if (op->flags & OP_ALWAYS) {
		op->run(s, &info);
	} else if (attention(s, &info)) {
		scsi_end_sense(s, SRB_ERROR, SENSE_UNIT_ATTENTION, ASC_CAPACITY_CHANGED);
	} else if (!info.blocks) {
		scsi_end_sense(s, SRB_ERROR, SENSE_NOT_READY, ASC_NOT_READY);
	} else if ((op->flags & OP_WRITES) && info.read_only) {
		scsi_end_sense(s, SRB_ERROR, SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED);
	} else {
		op->run(s, &info);
	}
}

/* ---- the unit -------------------------------------------------------------------------------- */

static void disk_unit_inspect(struct inspect *in, const struct scsi_unit *u)
{
	const struct scsi_disk_unit *du = scsi_disk_unit(u->self);

	inspect_bool(in, SENS_SAFE, "write_through", du->write_through);
	inspect_dir(in, SENS_SAFE, "reservations", scsi_pr_inspect, du->pr);
	inspect_dir(in, SENS_SAFE, "disk", disk_inspect, u->disk);
}

static void disk_destroy(struct scsi_unit *u)
{
	struct scsi_disk_unit *du = scsi_disk_unit(u);

	scsi_pr_destroy(du->pr);
	scsi_unit_fini(u);
	free(du);
}

static const struct scsi_unit_ops disk_ops = {
	.kind = "disk",
	.exec = disk_exec,
	.peripheral = SCSI_PERIPHERAL_DISK,
	.inspect = disk_unit_inspect,
	.destroy = disk_destroy,
};

static bool cfg_ok(const struct scsi_unit_cfg *cfg, const struct disk_info *info)
{
	const uint32_t phys = cfg->physical_block_size;

	if (phys && (phys < info->block_size || (phys & (phys - 1))))
		return false;
	return !cfg->max_transfer || cfg->max_transfer >= info->block_size;
}

int scsi_disk_create(const struct scsi_unit_cfg *cfg, struct disk *d, struct scsi_unit **ret_u)
{
	struct scsi_disk_unit *du;
	struct disk_info info;
	int r;

	disk_info(d, &info);
	if (!cfg_ok(cfg, &info))
		return -EINVAL;
	du = calloc(1, sizeof(*du));
	if (!du)
		return -ENOMEM;
	r = scsi_pr_create(&du->pr);
	if (r == 0)
		r = scsi_unit_init(&du->u, &disk_ops, cfg, d);
	if (r < 0) {
		scsi_pr_destroy(du->pr);
		free(du);
		return r;
	}
	if (!du->u.cfg.product[0])
		memcpy(du->u.cfg.product, "Virtual Disk", sizeof("Virtual Disk"));
	atomic_init(&du->generation, info.generation);
	atomic_init(&du->write_through, cfg->no_write_cache);
	*ret_u = &du->u;
	return 0;
}
