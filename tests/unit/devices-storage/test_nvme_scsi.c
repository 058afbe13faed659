/* SPDX-License-Identifier: MIT */
#include "nvme_scsi.h"

#include <errno.h>

#include "scsi.h"
#include "unit.h"

/* The fact sheet's table, typed once more and by number: sct << 8 | sc, SCSI status, SRB status,
 * sense key, ASC, ASCQ. */
static const struct {
	uint16_t nvme;
	uint8_t scsi, srb, key, asc, ascq;
	bool canonical; /* the outcome means this status in return */
} rows[] = {
	{ 0x000, 0x00, 0x01, 0x0, 0x00, 0x00, true },
	{ 0x001, 0x02, 0x06, 0x5, 0x20, 0x00, true },
	{ 0x002, 0x02, 0x06, 0x5, 0x24, 0x00, true },
	{ 0x004, 0x02, 0x04, 0x3, 0x00, 0x00, true },
	{ 0x005, 0x40, 0x02, 0xb, 0x0b, 0x08, true },
	{ 0x006, 0x02, 0x04, 0x4, 0x44, 0x00, true },
	{ 0x007, 0x40, 0x02, 0xb, 0x00, 0x00, true },
	{ 0x008, 0x40, 0x02, 0xb, 0x00, 0x00, false },
	{ 0x009, 0x40, 0x02, 0xb, 0x00, 0x00, false },
	{ 0x00a, 0x40, 0x02, 0xb, 0x00, 0x00, false },
	{ 0x00b, 0x02, 0x04, 0x5, 0x25, 0x00, true },
	{ 0x00c, 0x02, 0x06, 0x5, 0x2c, 0x00, true },
	{ 0x014, 0x02, 0x06, 0x5, 0x24, 0x00, false },
	{ 0x015, 0x02, 0x04, 0x5, 0x20, 0x02, true },
	{ 0x01b, 0x40, 0x02, 0xb, 0x00, 0x00, false },
	{ 0x01c, 0x02, 0x04, 0x3, 0x31, 0x03, true },
	{ 0x01d, 0x02, 0x04, 0x2, 0x04, 0x1b, true },
	{ 0x020, 0x02, 0x04, 0x7, 0x27, 0x00, true },
	{ 0x021, 0x02, 0x04, 0xb, 0x0b, 0x00, true },
	{ 0x022, 0x02, 0x04, 0xb, 0x0b, 0x00, false },
	{ 0x080, 0x02, 0x04, 0x5, 0x21, 0x00, true },
	{ 0x081, 0x02, 0x04, 0x3, 0x00, 0x00, false },
	{ 0x082, 0x02, 0x04, 0x2, 0x04, 0x00, true },
	{ 0x083, 0x18, 0x04, 0x0, 0x00, 0x00, true },
	{ 0x084, 0x02, 0x04, 0x2, 0x04, 0x04, true },
	{ 0x10a, 0x02, 0x04, 0x5, 0x31, 0x01, true },
	{ 0x180, 0x02, 0x06, 0x5, 0x24, 0x00, false },
	{ 0x181, 0x02, 0x06, 0x5, 0x24, 0x00, false },
	{ 0x182, 0x02, 0x04, 0x7, 0x27, 0x00, false },
	{ 0x183, 0x02, 0x06, 0x5, 0x24, 0x00, false },
	{ 0x280, 0x02, 0x04, 0x3, 0x03, 0x00, true },
	{ 0x281, 0x02, 0x04, 0x3, 0x11, 0x00, true },
	{ 0x282, 0x02, 0x04, 0x3, 0x10, 0x01, true },
	{ 0x283, 0x02, 0x04, 0x3, 0x10, 0x02, true },
	{ 0x284, 0x02, 0x04, 0x3, 0x10, 0x03, true },
	{ 0x285, 0x02, 0x04, 0xe, 0x1d, 0x00, true },
	{ 0x286, 0x02, 0x04, 0x5, 0x20, 0x09, true },
	{ 0x287, 0x02, 0x04, 0x3, 0x11, 0x00, false },
	{ 0x300, 0x02, 0x04, 0x4, 0x3e, 0x00, true },
	{ 0x371, 0x02, 0x04, 0x4, 0x3e, 0x02, true },
};

START_TEST(every_row)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scsi_outcome o = nvme_to_scsi(rows[i].nvme);

		ck_assert_msg(o.scsi_status == rows[i].scsi && o.srb_status == rows[i].srb &&
				      o.has_sense == (rows[i].key != 0) && o.key == rows[i].key &&
				      o.asc == rows[i].asc && o.ascq == rows[i].ascq,
			      "status %#x", rows[i].nvme);
		if (rows[i].canonical)
			ck_assert_msg(scsi_to_nvme(&o) == rows[i].nvme, "back to %#x",
				      rows[i].nvme);
		/* Back and forth once more stays with the same outcome. */
		ck_assert_uint_eq(nvme_to_scsi(scsi_to_nvme(&o)).scsi_status, o.scsi_status);
		ck_assert_uint_eq(nvme_to_scsi(scsi_to_nvme(&o)).asc, o.asc);
	}
}
END_TEST

static bool has_row(uint32_t status)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].nvme == status)
			return true;
	return false;
}

/* All there are: retry bits left in by a careless caller do not make a success of a failure. */
START_TEST(no_other_status_is_a_success)
{
	for (uint32_t s = 0; s <= UINT16_MAX; s++) {
		struct scsi_outcome o = nvme_to_scsi((uint16_t)s);

		if (has_row(s))
			continue;
		ck_assert_uint_eq(o.scsi_status, 0x02);
		ck_assert_uint_eq(o.srb_status, SRB_ERROR);
		ck_assert(o.has_sense);
		ck_assert_uint_eq(o.key, 4);
		ck_assert_uint_eq(o.asc, 0x44);
		ck_assert_uint_eq(o.ascq, 0);
	}
}
END_TEST

static void check_back(const struct scsi_outcome *o)
{
	uint16_t s = scsi_to_nvme(o);
	bool good = o->scsi_status == 0 && o->srb_status == SRB_SUCCESS;
	bool recovered =
		(o->scsi_status == 0x02 || o->scsi_status == 0x40) && o->has_sense && o->key == 1;

	ck_assert_uint_eq(s & ~NVME_STATUS_MASK, 0);
	ck_assert_msg((s == NVME_OK) == (good || recovered), "%#x %#x %d %#x/%#x/%#x -> %#x",
		      o->scsi_status, o->srb_status, o->has_sense, o->key, o->asc, o->ascq, s);
}

START_TEST(scsi_failures_stay_failures)
{
	struct scsi_outcome o;

	for (unsigned status = 0; status < 256; status++) {
		for (unsigned srb = 0; srb < 256; srb++) {
			o = (struct scsi_outcome){ (uint8_t)status, (uint8_t)srb, false, 0, 0, 0 };
			check_back(&o);
		}
	}
	for (unsigned key = 0; key < 256; key++) {
		for (unsigned asc = 0; asc < 256; asc++) {
			o =
				(struct scsi_outcome){ 0x02,	     SRB_ERROR,
						       true,	     (uint8_t)key,
						       (uint8_t)asc, (uint8_t)(asc % 16) };
			check_back(&o);
			o.scsi_status = 0x40;
			check_back(&o);
		}
	}
}
END_TEST

START_TEST(senses_without_a_status_of_their_own)
{
	struct scsi_outcome o = { 0x02, SRB_ERROR, true, 6, 0x2a, 0x09 };

	ck_assert_uint_eq(scsi_to_nvme(&o), NVME_COMMAND_INTERRUPTED); /* unit attention: again */
	o.key = 3;
	ck_assert_uint_eq(scsi_to_nvme(&o), NVME_DATA_TRANSFER_ERROR);
	o.key = 15;
	ck_assert_uint_eq(scsi_to_nvme(&o), NVME_INTERNAL_ERROR);
	o = (struct scsi_outcome){ 0x08, SRB_BUSY, false, 0, 0, 0 };
	ck_assert_uint_eq(scsi_to_nvme(&o), NVME_COMMAND_INTERRUPTED);
	o = (struct scsi_outcome){ 0x02, SRB_INVALID_LUN, false, 0, 0, 0 };
	ck_assert_uint_eq(scsi_to_nvme(&o), NVME_INVALID_NAMESPACE);
}
END_TEST

static const struct {
	int err;
	uint16_t read, write;
} errs[] = {
	{ 0, 0x000, 0x000 },	      { EIO, 0x004, 0x004 },	   { ENODATA, 0x281, 0x280 },
	{ EUCLEAN, 0x281, 0x280 },    { EILSEQ, 0x282, 0x282 },	   { ENOSPC, 0x081, 0x081 },
	{ EDQUOT, 0x081, 0x081 },     { EROFS, 0x020, 0x020 },	   { EPERM, 0x286, 0x020 },
	{ EACCES, 0x286, 0x020 },     { EBADE, 0x083, 0x083 },	   { EINVAL, 0x002, 0x002 },
	{ EFAULT, 0x002, 0x002 },     { EFBIG, 0x080, 0x080 },	   { EOVERFLOW, 0x080, 0x080 },
	{ EOPNOTSUPP, 0x001, 0x001 }, { ENOTTY, 0x001, 0x001 },	   { ENOSYS, 0x001, 0x001 },
	{ EAGAIN, 0x021, 0x021 },     { EBUSY, 0x021, 0x021 },	   { ENOMEM, 0x021, 0x021 },
	{ ENOBUFS, 0x021, 0x021 },    { ECANCELED, 0x007, 0x007 }, { EINTR, 0x300, 0x300 },
	{ ENODEV, 0x300, 0x300 },     { ENXIO, 0x300, 0x300 },	   { ENOLINK, 0x300, 0x300 },
	{ ESHUTDOWN, 0x300, 0x300 },  { ENOMEDIUM, 0x082, 0x082 }, { ETIME, 0x371, 0x371 },
	{ ETIMEDOUT, 0x371, 0x371 },
};

START_TEST(errors_of_the_kernel)
{
	bool listed[4096] = { false };

	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		ck_assert_msg(errno_to_nvme(errs[i].err, false) == errs[i].read, "read, errno %d",
			      errs[i].err);
		ck_assert_msg(errno_to_nvme(errs[i].err, true) == errs[i].write, "write, errno %d",
			      errs[i].err);
		listed[errs[i].err] = true;
	}
	for (int e = 1; e < 4096; e++) {
		if (listed[e])
			continue;
		ck_assert_uint_eq(errno_to_nvme(e, false), NVME_INTERNAL_ERROR);
		ck_assert_uint_eq(errno_to_nvme(e, true), NVME_INTERNAL_ERROR);
	}
	ck_assert_uint_eq(errno_to_nvme(-EIO, false), NVME_INTERNAL_ERROR);
}
END_TEST

UNIT_MAIN("storage/nvme_scsi", every_row, no_other_status_is_a_success, scsi_failures_stay_failures,
	  senses_without_a_status_of_their_own, errors_of_the_kernel)
