/* SPDX-License-Identifier: MIT */
/*
 * PERSISTENT RESERVE IN and OUT: the disk's own reservations, or those kept in memory. Input: CDBs
 * and parameter lists of a guest; thread: the queue's loop. Spec: SPC-4 6.15, 6.16;
 * spec/storage-net.md 2.4.
 */
#include "scsi_priv.h"

#include <string.h>

/* A request of one command lives in the scratch memory. */
static struct disk_pr *pr_of(const struct scsi_slot *s)
{
	BUILD_ASSERT(sizeof(struct disk_pr) <= SCSI_SCRATCH_BYTES / 2, "it fits");
	return (struct disk_pr *)(void *)s->q->scratch;
}

/* Do it, at the disk or here. */
static void perform(struct scsi_slot *s, enum disk_op op, void (*next)(struct scsi_slot *s))
{
	struct scsi_disk_unit *du = scsi_disk_unit(s->q->u);
	struct disk_info info;
	uint16_t status;

	scsi_unit_info(s->q->u, &info);
	if (info.reservations) {
		s->req = (struct disk_req){ .op = op, .pr = pr_of(s) };
		scsi_submit(s, next);
		return;
	}
	status = scsi_pr_do(du->pr, pr_of(s));
	if (status != NVME_OK)
		scsi_end_nvme(s, status);
	else
		next(s);
}

/* ---- IN -------------------------------------------------------------------------------------- */

#define FULL_DESCRIPTOR 48u /* with a transport id of 24 bytes */
#define REPLY_MAX (8u + DISK_PR_MAX_KEYS * FULL_DESCRIPTOR)

/* The reply is built behind the request. */
static uint8_t *reply_of(const struct scsi_slot *s)
{
	BUILD_ASSERT(REPLY_MAX <= SCSI_SCRATCH_BYTES / 2, "it fits");
	return s->q->scratch + SCSI_SCRATCH_BYTES / 2;
}

static uint32_t keys_in(const struct disk_pr *pr)
{
	return MIN(pr->n_keys, DISK_PR_MAX_KEYS);
}

static uint32_t put_keys(const struct disk_pr *pr, uint8_t *d)
{
	for (uint32_t i = 0; i < keys_in(pr); i++)
		be64_put(d + 8 + (size_t)i * 8, pr->keys[i].key);
	return keys_in(pr) * 8;
}

static uint32_t put_reservation(const struct disk_pr *pr, uint8_t *d)
{
	if (!pr->reserved)
		return 0;
	be64_put(d + 8, pr->holder_key);
	d[21] = pr->type & 0x0f; /* scope: logical unit */
	return 16;
}

static uint32_t put_full(const struct disk_pr *pr, uint8_t *d)
{
	memset(d + 8, 0, (size_t)keys_in(pr) * FULL_DESCRIPTOR);
	for (uint32_t i = 0; i < keys_in(pr); i++) {
		uint8_t *e = d + 8 + (size_t)i * FULL_DESCRIPTOR;

		be64_put(e, pr->keys[i].key);
		e[12] = pr->keys[i].holder ? 1 : 0;
		e[13] = pr->keys[i].holder ? pr->type & 0x0f : 0;
		be16_put(e + 18, 1); /* relative target port */
		be32_store(e + 20, 24);
		e[24] = 4; /* SRP: the identifier of the initiator port is 16 bytes of one's own */
		be64_put(e + 40, pr->keys[i].host);
	}
	return keys_in(pr) * FULL_DESCRIPTOR;
}

static void in_done(struct scsi_slot *s)
{
	const struct disk_pr *pr = pr_of(s);
	uint8_t *d = reply_of(s);
	uint32_t len = 0;

	memset(d, 0, 8 + 16);
	switch (pr->action) {
	case DISK_PR_READ_KEYS:
		len = put_keys(pr, d);
		break;
	case DISK_PR_READ_RESERVATION:
		len = put_reservation(pr, d);
		break;
	default:
		len = put_full(pr, d);
	}
	be32_store(d, pr->generation);
	be32_store(d + 4, len);
	scsi_reply(s, d, 8 + len, scsi_cdb16(s, 7));
}

static void report_capabilities(struct scsi_slot *s)
{
	/* Types are valid: all six. Nothing kept here persists through a loss of power. */
	static const uint8_t d[8] = { 0, 8, 0, 0x80, 0xea, 0x01 };

	scsi_reply(s, d, sizeof(d), scsi_cdb16(s, 7));
}

static void in_start(struct scsi_slot *s)
{
	static const enum disk_pr_action actions[] = {
		[PR_READ_KEYS] = DISK_PR_READ_KEYS,
		[PR_READ_RESERVATION] = DISK_PR_READ_RESERVATION,
		[PR_REPORT_CAPABILITIES] = DISK_PR_READ_KEYS,
		[PR_READ_FULL_STATUS] = DISK_PR_READ_FULL,
	};
	struct disk_pr *pr = pr_of(s);

	memset(pr, 0, sizeof(*pr));
	pr->action = actions[s->cmd->cdb[1] & 3];
	perform(s, DISK_PR_IN, in_done);
}

void scsi_pr_in(struct scsi_slot *s, const struct disk_info *info)
{
	switch (s->cmd->cdb[1] & 0x1f) {
	case PR_REPORT_CAPABILITIES:
		report_capabilities(s);
		break;
	case PR_READ_KEYS:
	case PR_READ_RESERVATION:
	case PR_READ_FULL_STATUS:
		scsi_scratch(s, in_start);
		break;
	default:
		scsi_end_invalid(s, ASC_CDB_FIELD);
	}
}

/* ---- OUT ------------------------------------------------------------------------------------- */

static bool type_ok(uint8_t type)
{
	switch (type) {
	case PR_WRITE_EXCLUSIVE:
	case PR_EXCLUSIVE:
	case PR_WRITE_EXCLUSIVE_RO:
	case PR_EXCLUSIVE_RO:
	case PR_WRITE_EXCLUSIVE_AR:
	case PR_EXCLUSIVE_AR:
		return true;
	default:
		return false;
	}
}

static bool action_of(uint8_t service, enum disk_pr_action *ret_action, bool *ret_typed)
{
	static const struct {
		enum disk_pr_action action;
		bool typed;
	} table[] = {
		[PR_REGISTER] = { DISK_PR_REGISTER, false },
		[PR_RESERVE] = { DISK_PR_RESERVE, true },
		[PR_RELEASE] = { DISK_PR_RELEASE, true },
		[PR_CLEAR] = { DISK_PR_CLEAR, false },
		[PR_PREEMPT] = { DISK_PR_PREEMPT, true },
		[PR_PREEMPT_ABORT] = { DISK_PR_PREEMPT_ABORT, true },
		[PR_REGISTER_IGNORE] = { DISK_PR_REGISTER_IGNORE, false },
	};

	if (service >= ARRAY_SIZE(table))
		return false;
	*ret_action = table[service].action;
	*ret_typed = table[service].typed;
	return true;
}

static void out_done(struct scsi_slot *s)
{
	scsi_end_ok(s, PR_OUT_LEN);
}

static void out_start(struct scsi_slot *s)
{
	struct disk_pr *pr = pr_of(s);
	struct disk_info info;
	uint8_t raw_d[PR_OUT_LEN];
	bool typed;

	scsi_unit_info(s->q->u, &info);
	if (scsi_copy_in(s->cmd, 0, raw_d, sizeof(raw_d)) < 0) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	memset(pr, 0, sizeof(*pr));
	(void)action_of(s->cmd->cdb[1] & 0x1f, &pr->action, &typed); /* checked before */
	pr->key = be64_load(raw_d);
	pr->new_key = be64_load(raw_d + 8);
	pr->type = s->cmd->cdb[2] & 0x0f;
	pr->aptpl = raw_d[20] & PR_OUT_APTPL;
	/* No other initiator or target ports exist; persistence is the disk's to promise. */
	if ((raw_d[20] & (PR_OUT_SPEC_I_PT | PR_OUT_ALL_TG_PT)) ||
	    (pr->aptpl && !info.reservations)) {
		scsi_end_invalid(s, ASC_PARAMETER);
		return;
	}
	perform(s, DISK_PR_OUT, out_done);
}

void scsi_pr_out(struct scsi_slot *s, const struct disk_info *info)
{
	const uint8_t *cdb = s->cmd->cdb;
	enum disk_pr_action action;
	bool typed;

	/* Scope 0: the logical unit. */
	if (!action_of(cdb[1] & 0x1f, &action, &typed) ||
	    (typed && (!type_ok(cdb[2] & 0x0f) || cdb[2] >> 4))) {
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (be32_load(cdb + 5) != PR_OUT_LEN || scsi_room(s->cmd, SCSI_TO_DEVICE) < PR_OUT_LEN) {
		scsi_end_invalid(s, ASC_LIST_LENGTH);
		return;
	}
	scsi_scratch(s, out_start);
}
