/* SPDX-License-Identifier: MIT */
/*
 * Persistent reservations in memory, for disks that have none of their own. There is one initiator:
 * the guest, whatever channel a command comes by; so there is at most one registration and its
 * holder is never in conflict with itself. Nothing survives the unit. Thread: any (locked).
 * Spec: SPC-4 5.13.
 */
#include "scsi_priv.h"

#include "inspect.h"

#include <errno.h>
#include <stdlib.h>

struct scsi_pr {
	/* protects: the rest; rank: innermost */
	pthread_mutex_t lock;
	uint32_t generation;
	bool registered, reserved;
	uint64_t key;
	uint8_t type;
};

int scsi_pr_create(struct scsi_pr **ret_pr)
{
	struct scsi_pr *pr = calloc(1, sizeof(*pr));

	if (!pr)
		return -ENOMEM;
	if (pthread_mutex_init(&pr->lock, NULL)) {
		free(pr);
		return -ENOMEM;
	}
	*ret_pr = pr;
	return 0;
}

void scsi_pr_destroy(struct scsi_pr *pr)
{
	if (!pr)
		return;
	(void)pthread_mutex_destroy(&pr->lock);
	free(pr);
}

static void report(const struct scsi_pr *pr, struct disk_pr *req)
{
	req->generation = pr->generation;
	req->n_keys = 0;
	if (pr->registered) {
		req->n_keys = 1;
		req->keys[0].key = pr->key;
		req->keys[0].host = 1;
		req->keys[0].holder = pr->reserved;
	}
	req->reserved = pr->reserved;
	req->type = pr->type;
	req->holder_key = pr->reserved ? pr->key : 0;
	/* Reservations of all registrants have no single holder. */
	if (pr->type == PR_WRITE_EXCLUSIVE_AR || pr->type == PR_EXCLUSIVE_AR)
		req->holder_key = 0;
}

static uint16_t do_register(struct scsi_pr *pr, const struct disk_pr *req, bool ignore)
{
	if (!ignore && req->key != (pr->registered ? pr->key : 0))
		return NVME_RESERVATION_CONFLICT;
	pr->registered = req->new_key != 0;
	pr->key = req->new_key;
	if (!pr->registered)
		pr->reserved = false;
	pr->generation++;
	return NVME_OK;
}

static uint16_t do_reserve(struct scsi_pr *pr, const struct disk_pr *req)
{
	if (pr->reserved && pr->type != req->type)
		return NVME_RESERVATION_CONFLICT;
	pr->reserved = true;
	pr->type = req->type;
	return NVME_OK;
}

static uint16_t do_release(struct scsi_pr *pr, const struct disk_pr *req)
{
	if (!pr->reserved)
		return NVME_OK;
	if (pr->type != req->type)
		return NVME_INVALID_FIELD;
	pr->reserved = false;
	return NVME_OK;
}

/* The only registration there can be to preempt is the guest's own. */
static uint16_t do_preempt(struct scsi_pr *pr, const struct disk_pr *req)
{
	const bool all =
		pr->reserved && (pr->type == PR_WRITE_EXCLUSIVE_AR || pr->type == PR_EXCLUSIVE_AR);

	if (!(all && req->new_key == 0) && req->new_key != pr->key)
		return NVME_RESERVATION_CONFLICT;
	if (pr->reserved)
		pr->type = req->type;
	pr->generation++;
	return NVME_OK;
}

static uint16_t run(struct scsi_pr *pr, struct disk_pr *req)
{
	switch (req->action) {
	case DISK_PR_READ_KEYS:
	case DISK_PR_READ_RESERVATION:
	case DISK_PR_READ_FULL:
		report(pr, req);
		return NVME_OK;
	case DISK_PR_REGISTER:
		return do_register(pr, req, false);
	case DISK_PR_REGISTER_IGNORE:
		return do_register(pr, req, true);
	case DISK_PR_RESERVE:
	case DISK_PR_RELEASE:
	case DISK_PR_CLEAR:
	case DISK_PR_PREEMPT:
	case DISK_PR_PREEMPT_ABORT:
		break;
	}
	if (!pr->registered || req->key != pr->key)
		return NVME_RESERVATION_CONFLICT;
	if (req->action == DISK_PR_RESERVE)
		return do_reserve(pr, req);
	if (req->action == DISK_PR_RELEASE)
		return do_release(pr, req);
	if (req->action != DISK_PR_CLEAR)
		return do_preempt(pr, req);
	pr->registered = pr->reserved = false;
	pr->generation++;
	return NVME_OK;
}

uint16_t scsi_pr_do(struct scsi_pr *pr, struct disk_pr *req)
{
	uint16_t status;

	(void)pthread_mutex_lock(&pr->lock);
	status = run(pr, req);
	(void)pthread_mutex_unlock(&pr->lock);
	return status;
}

void scsi_pr_inspect(struct inspect *in, const void *obj)
{
	const struct scsi_pr *pr = obj;

	inspect_u64(in, SENS_SAFE, "generation", pr->generation);
	inspect_bool(in, SENS_SAFE, "registered", pr->registered);
	inspect_bool(in, SENS_SAFE, "reserved", pr->reserved);
	inspect_u64(in, SENS_SAFE, "type", pr->type);
}
