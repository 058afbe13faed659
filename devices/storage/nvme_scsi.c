/* SPDX-License-Identifier: MIT */
/*
 * How a request ended, in three languages: NVMe status, SCSI outcome, errno. Follows the SCSI
 * translation reference of NVM Express where that knows a status. Transient conditions become
 * ABORTED COMMAND, which initiators repeat; a medium that failed is a MEDIUM ERROR; a status that
 * nobody knows is a HARDWARE ERROR, because initiators take ILLEGAL REQUEST for a permanent trait
 * of the disk.
 *
 * Input: status values of devices, the host or the kernel: any number. No state.
 */
#include "nvme_scsi.h"

#include <errno.h>
#include <stddef.h>

#include "macros.h"
#include "scsi.h"

/* SCSI status; sense keys. */
enum { GOOD = 0x00, CHECK = 0x02, BUSY = 0x08, CONFLICT = 0x18, QUEUE_FULL = 0x28, ABORT = 0x40 };
enum sense_key {
	RECOVERED = 1,
	NOT_READY = 2,
	MEDIUM = 3,
	HARDWARE = 4,
	ILLEGAL = 5,
	ATTENTION = 6,
	PROTECT = 7,
	ABORTED = 11,
	MISCOMPARE = 14,
};

/* Ascending. SRB_INVALID_REQUEST: what the initiator did wrong, as opposed to what went wrong. Of
 * several statuses with one outcome the first is what it means in return. */
static const struct row {
	uint16_t nvme;
	uint8_t status, srb, key, asc, ascq; /* sense comes with CHECK and ABORT */
} table[] = {
	{ NVME_OK, GOOD, SRB_SUCCESS, 0, 0x00, 0x00 },
	{ NVME_INVALID_OPCODE, CHECK, SRB_INVALID_REQUEST, ILLEGAL, 0x20, 0x00 },
	{ NVME_INVALID_FIELD, CHECK, SRB_INVALID_REQUEST, ILLEGAL, 0x24, 0x00 },
	{ NVME_DATA_TRANSFER_ERROR, CHECK, SRB_ERROR, MEDIUM, 0x00, 0x00 },
	{ NVME_POWER_LOSS_ABORT, ABORT, SRB_ABORTED, ABORTED, 0x0b, 0x08 }, /* power loss */
	{ NVME_INTERNAL_ERROR, CHECK, SRB_ERROR, HARDWARE, 0x44, 0x00 }, /* target failure */
	{ NVME_ABORT_REQUESTED, ABORT, SRB_ABORTED, ABORTED, 0x00, 0x00 },
	{ NVME_ABORT_SQ_DELETED, ABORT, SRB_ABORTED, ABORTED, 0x00, 0x00 },
	{ NVME_ABORT_FUSED_FAILED, ABORT, SRB_ABORTED, ABORTED, 0x00, 0x00 },
	{ NVME_ABORT_FUSED_MISSING, ABORT, SRB_ABORTED, ABORTED, 0x00, 0x00 },
	{ NVME_INVALID_NAMESPACE, CHECK, SRB_ERROR, ILLEGAL, 0x25, 0x00 }, /* no such LU */
	{ NVME_COMMAND_SEQUENCE, CHECK, SRB_INVALID_REQUEST, ILLEGAL, 0x2c, 0x00 }, /* sequence */
	{ NVME_ATOMIC_WRITE_EXCEEDED, CHECK, SRB_INVALID_REQUEST, ILLEGAL, 0x24, 0x00 },
	{ NVME_OPERATION_DENIED, CHECK, SRB_ERROR, ILLEGAL, 0x20, 0x02 }, /* no rights */
	{ NVME_ABORTED_PREEMPT, ABORT, SRB_ABORTED, ABORTED, 0x00, 0x00 },
	{ NVME_SANITIZE_FAILED, CHECK, SRB_ERROR, MEDIUM, 0x31, 0x03 },
	{ NVME_SANITIZE_IN_PROGRESS, CHECK, SRB_ERROR, NOT_READY, 0x04, 0x1b },
	{ NVME_NS_WRITE_PROTECTED, CHECK, SRB_ERROR, PROTECT, 0x27, 0x00 },
	{ NVME_COMMAND_INTERRUPTED, CHECK, SRB_ERROR, ABORTED, 0x0b, 0x00 },
	{ NVME_TRANSIENT_TRANSPORT, CHECK, SRB_ERROR, ABORTED, 0x0b, 0x00 },
	{ NVME_LBA_OUT_OF_RANGE, CHECK, SRB_ERROR, ILLEGAL, 0x21, 0x00 },
	{ NVME_CAPACITY_EXCEEDED, CHECK, SRB_ERROR, MEDIUM, 0x00, 0x00 },
	{ NVME_NS_NOT_READY, CHECK, SRB_ERROR, NOT_READY, 0x04, 0x00 },
	{ NVME_RESERVATION_CONFLICT, CONFLICT, SRB_ERROR, 0, 0x00, 0x00 },
	{ NVME_FORMAT_IN_PROGRESS, CHECK, SRB_ERROR, NOT_READY, 0x04, 0x04 },
	{ NVME_FORMAT_INVALID, CHECK, SRB_ERROR, ILLEGAL, 0x31, 0x01 }, /* format failed */
	{ NVME_CONFLICTING_ATTRIBUTES, CHECK, SRB_INVALID_REQUEST, ILLEGAL, 0x24, 0x00 },
	{ NVME_INVALID_PI, CHECK, SRB_INVALID_REQUEST, ILLEGAL, 0x24, 0x00 },
	{ NVME_WRITE_TO_READ_ONLY, CHECK, SRB_ERROR, PROTECT, 0x27, 0x00 },
	{ NVME_CMD_SIZE_LIMIT, CHECK, SRB_INVALID_REQUEST, ILLEGAL, 0x24, 0x00 },
	{ NVME_WRITE_FAULT, CHECK, SRB_ERROR, MEDIUM, 0x03, 0x00 },
	{ NVME_UNRECOVERED_READ, CHECK, SRB_ERROR, MEDIUM, 0x11, 0x00 },
	{ NVME_GUARD_CHECK, CHECK, SRB_ERROR, MEDIUM, 0x10, 0x01 },
	{ NVME_APP_TAG_CHECK, CHECK, SRB_ERROR, MEDIUM, 0x10, 0x02 },
	{ NVME_REF_TAG_CHECK, CHECK, SRB_ERROR, MEDIUM, 0x10, 0x03 },
	{ NVME_COMPARE_FAILED, CHECK, SRB_ERROR, MISCOMPARE, 0x1d, 0x00 },
	{ NVME_ACCESS_DENIED, CHECK, SRB_ERROR, ILLEGAL, 0x20, 0x09 }, /* invalid LU */
	{ NVME_DEALLOCATED_BLOCK, CHECK, SRB_ERROR, MEDIUM, 0x11, 0x00 },
	{ NVME_PATH_INTERNAL, CHECK, SRB_ERROR, HARDWARE, 0x3e, 0x00 }, /* LU not there */
	{ NVME_PATH_HOST_ABORTED, CHECK, SRB_ERROR, HARDWARE, 0x3e, 0x02 }, /* time-out */
};

/* Sense that no status above has as its own, by key: what it comes closest to. */
static const struct {
	uint8_t key;
	uint16_t nvme;
} by_key[] = {
	{ RECOVERED, NVME_OK }, /* recovered: the data is there */
	{ NOT_READY, NVME_NS_NOT_READY },
	{ MEDIUM, NVME_DATA_TRANSFER_ERROR },
	{ HARDWARE, NVME_INTERNAL_ERROR },
	{ ILLEGAL, NVME_INVALID_FIELD },
	{ ATTENTION, NVME_COMMAND_INTERRUPTED }, /* unit attention: once, then again */
	{ PROTECT, NVME_NS_WRITE_PROTECTED },
	{ ABORTED, NVME_COMMAND_INTERRUPTED },
	{ MISCOMPARE, NVME_COMPARE_FAILED },
};

static bool has_sense(uint8_t status)
{
	return status == CHECK || status == ABORT;
}

struct scsi_outcome nvme_to_scsi(uint16_t nvme)
{
	const struct scsi_outcome unknown = { CHECK, SRB_ERROR, true, HARDWARE, 0x44, 0x00 };

	/* Success comes first and costs one comparison. */
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct row *t = &table[i];

		if (t->nvme == nvme)
			return (struct scsi_outcome){ t->status, t->srb, has_sense(t->status),
						      t->key,	 t->asc, t->ascq };
	}
	return unknown;
}

static uint16_t sense_to_nvme(const struct scsi_outcome *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct row *t = &table[i];

		if (has_sense(t->status) && t->key == o->key && t->asc == o->asc &&
		    t->ascq == o->ascq)
			return t->nvme;
	}
	for (size_t i = 0; i < ARRAY_SIZE(by_key); i++)
		if (by_key[i].key == o->key)
			return by_key[i].nvme;
	return NVME_INTERNAL_ERROR;
}

/* Nothing was sensed: the transport's word counts. */
static uint16_t srb_to_nvme(uint8_t srb)
{
	switch (srb) {
	case SRB_ABORTED:
	case SRB_FLUSHED:
	case SRB_BUS_RESET:
		return NVME_ABORT_REQUESTED;
	case SRB_BUSY:
		return NVME_COMMAND_INTERRUPTED;
	case SRB_INVALID_REQUEST:
	case SRB_BAD_FUNCTION:
	case SRB_BAD_LENGTH:
	case SRB_DATA_OVERRUN:
		return NVME_INVALID_FIELD;
	case SRB_INVALID_PATH:
	case SRB_INVALID_TARGET:
	case SRB_INVALID_LUN:
	case SRB_NO_DEVICE:
	case SRB_NO_HBA:
		return NVME_INVALID_NAMESPACE;
	case SRB_TIMEOUT:
	case SRB_SELECTION_TIMEOUT:
	case SRB_COMMAND_TIMEOUT:
		return NVME_PATH_HOST_ABORTED;
	default:
		return NVME_INTERNAL_ERROR;
	}
}

uint16_t scsi_to_nvme(const struct scsi_outcome *o)
{
	switch (o->scsi_status) {
	case GOOD:
		return o->srb_status == SRB_SUCCESS ? NVME_OK : srb_to_nvme(o->srb_status);
	case CHECK:
		return o->has_sense ? sense_to_nvme(o) : srb_to_nvme(o->srb_status);
	case ABORT:
		return o->has_sense ? sense_to_nvme(o) : NVME_ABORT_REQUESTED;
	case CONFLICT:
		return NVME_RESERVATION_CONFLICT;
	case BUSY:
	case QUEUE_FULL:
		return NVME_COMMAND_INTERRUPTED;
	default:
		return NVME_INTERNAL_ERROR;
	}
}

/* @read, @write: what it means for either. */
static const struct {
	int err;
	uint16_t read, write;
} errnos[] = {
	{ 0, NVME_OK, NVME_OK },
	/* of the medium */
	{ EIO, NVME_DATA_TRANSFER_ERROR, NVME_DATA_TRANSFER_ERROR },
	{ ENODATA, NVME_UNRECOVERED_READ, NVME_WRITE_FAULT },
	{ EUCLEAN, NVME_UNRECOVERED_READ, NVME_WRITE_FAULT },
	{ EILSEQ, NVME_GUARD_CHECK, NVME_GUARD_CHECK },
	{ ENOSPC, NVME_CAPACITY_EXCEEDED, NVME_CAPACITY_EXCEEDED },
	{ EDQUOT, NVME_CAPACITY_EXCEEDED, NVME_CAPACITY_EXCEEDED },
	{ EROFS, NVME_NS_WRITE_PROTECTED, NVME_NS_WRITE_PROTECTED },
	{ EPERM, NVME_ACCESS_DENIED, NVME_NS_WRITE_PROTECTED },
	{ EACCES, NVME_ACCESS_DENIED, NVME_NS_WRITE_PROTECTED },
	{ EBADE, NVME_RESERVATION_CONFLICT, NVME_RESERVATION_CONFLICT },
	/* of the request */
	{ EINVAL, NVME_INVALID_FIELD, NVME_INVALID_FIELD },
	{ EFAULT, NVME_INVALID_FIELD, NVME_INVALID_FIELD }, /* the guest's memory is not there */
	{ EFBIG, NVME_LBA_OUT_OF_RANGE, NVME_LBA_OUT_OF_RANGE },
	{ EOVERFLOW, NVME_LBA_OUT_OF_RANGE, NVME_LBA_OUT_OF_RANGE },
	{ EOPNOTSUPP, NVME_INVALID_OPCODE, NVME_INVALID_OPCODE },
	{ ENOTTY, NVME_INVALID_OPCODE, NVME_INVALID_OPCODE },
	{ ENOSYS, NVME_INVALID_OPCODE, NVME_INVALID_OPCODE },
	/* passing */
	{ EAGAIN, NVME_COMMAND_INTERRUPTED, NVME_COMMAND_INTERRUPTED },
	{ EBUSY, NVME_COMMAND_INTERRUPTED, NVME_COMMAND_INTERRUPTED },
	{ ENOMEM, NVME_COMMAND_INTERRUPTED, NVME_COMMAND_INTERRUPTED },
	{ ENOBUFS, NVME_COMMAND_INTERRUPTED, NVME_COMMAND_INTERRUPTED },
	{ ECANCELED, NVME_ABORT_REQUESTED, NVME_ABORT_REQUESTED },
	/* of the way there */
	{ EINTR, NVME_PATH_INTERNAL, NVME_PATH_INTERNAL },
	{ ENODEV, NVME_PATH_INTERNAL, NVME_PATH_INTERNAL },
	{ ENXIO, NVME_PATH_INTERNAL, NVME_PATH_INTERNAL },
	{ ENOLINK, NVME_PATH_INTERNAL, NVME_PATH_INTERNAL },
	{ ESHUTDOWN, NVME_PATH_INTERNAL, NVME_PATH_INTERNAL },
	{ ENOMEDIUM, NVME_NS_NOT_READY, NVME_NS_NOT_READY },
	{ ETIME, NVME_PATH_HOST_ABORTED, NVME_PATH_HOST_ABORTED },
	{ ETIMEDOUT, NVME_PATH_HOST_ABORTED, NVME_PATH_HOST_ABORTED },
};

uint16_t errno_to_nvme(int err, bool write)
{
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++)
		if (errnos[i].err == err)
			return write ? errnos[i].write : errnos[i].read;
	return NVME_INTERNAL_ERROR;
}
