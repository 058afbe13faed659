/* SPDX-License-Identifier: MIT */
#include "ng_resv.h"

#include <errno.h>
#include <string.h>

#include "le.h"

/* SCSI's types by NVMe's. */
static const uint8_t scsi_type[] = { 0, 1, 3, 5, 6, 7, 8 };

static int nvme_type(uint8_t scsi, uint32_t *ret_type)
{
	for (uint32_t i = 1; i < ARRAY_SIZE(scsi_type); i++) {
		if (scsi_type[i] == scsi) {
			*ret_type = i << 8;
			return 0;
		}
	}
	return -EINVAL;
}

/* A key of zero takes the registration away; without a look at the old key it is replaced. */
static int encode_register(const struct disk_pr *pr, bool ptpl, struct ng_resv_cmd *c)
{
	bool ignore = pr->action == DISK_PR_REGISTER_IGNORE;

	if (pr->aptpl && !ptpl)
		return -EOPNOTSUPP;
	c->opcode = NVME_IO_RESV_REGISTER;
	c->cdw10 = !pr->new_key	       ? NVME_RREGA_UNREGISTER
		   : ignore || pr->key ? NVME_RREGA_REPLACE
				       : NVME_RREGA_REGISTER;
	if (ignore)
		c->cdw10 |= NVME_RESV_IEKEY;
	if (ptpl)
		c->cdw10 |= (pr->aptpl ? 3u : 2u) << 30;
	return 0;
}

static int encode_acquire(const struct disk_pr *pr, enum nvme_resv_acquire action,
			  struct ng_resv_cmd *c)
{
	uint32_t type;
	int r = nvme_type(pr->type, &type);

	if (r < 0)
		return r;
	c->opcode = NVME_IO_RESV_ACQUIRE;
	c->cdw10 = action | type;
	if (action == NVME_RACQA_ACQUIRE)
		c->keys.other = 0;
	return 0;
}

static int encode_release(const struct disk_pr *pr, enum nvme_resv_release action,
			  struct ng_resv_cmd *c)
{
	uint32_t type = 0;
	int r = action == NVME_RRELA_RELEASE ? nvme_type(pr->type, &type) : 0;

	if (r < 0)
		return r;
	c->opcode = NVME_IO_RESV_RELEASE;
	c->cdw10 = action | type;
	c->data_len = sizeof(c->keys.current);
	return 0;
}

int ng_resv_encode(const struct disk_pr *pr, bool ptpl, struct ng_resv_cmd *ret_cmd)
{
	struct ng_resv_cmd c = { .keys = { pr->key, pr->new_key },
				 .data_len = sizeof(struct nvme_resv_keys) };
	int r = -EOPNOTSUPP;

	switch (pr->action) {
	case DISK_PR_REGISTER:
	case DISK_PR_REGISTER_IGNORE:
		r = encode_register(pr, ptpl, &c);
		break;
	case DISK_PR_RESERVE:
		r = encode_acquire(pr, NVME_RACQA_ACQUIRE, &c);
		break;
	case DISK_PR_PREEMPT:
		r = encode_acquire(pr, NVME_RACQA_PREEMPT, &c);
		break;
	case DISK_PR_PREEMPT_ABORT:
		r = encode_acquire(pr, NVME_RACQA_PREEMPT_ABORT, &c);
		break;
	case DISK_PR_RELEASE:
		r = encode_release(pr, NVME_RRELA_RELEASE, &c);
		break;
	case DISK_PR_CLEAR:
		r = encode_release(pr, NVME_RRELA_CLEAR, &c);
		break;
	case DISK_PR_READ_KEYS:
	case DISK_PR_READ_RESERVATION:
	case DISK_PR_READ_FULL:
		break;
	}
	if (r == 0)
		*ret_cmd = c;
	return r;
}

static void take_registrant(const uint8_t *raw, bool ext, struct disk_pr *pr)
{
	uint64_t key, host;
	bool holder;

	if (ext) {
		struct nvme_resv_registrant_ext reg;

		memcpy(&reg, raw, sizeof(reg));
		key = reg.key;
		host = le64_load(reg.host_id);
		holder = reg.rcsts & 1;
	} else {
		struct nvme_resv_registrant reg;

		memcpy(&reg, raw, sizeof(reg));
		key = reg.key;
		host = reg.host_id;
		holder = reg.rcsts & 1;
	}
	pr->keys[pr->n_keys].key = key;
	pr->keys[pr->n_keys].host = host;
	pr->keys[pr->n_keys].holder = holder;
	pr->n_keys++;
	if (holder)
		pr->holder_key = key;
}

int ng_resv_decode(const void *report, size_t len, bool ext, struct disk_pr *pr)
{
	const size_t head = ext ? NVME_RESV_EXT_HEADER : sizeof(struct nvme_resv_status);
	const size_t each =
		ext ? sizeof(struct nvme_resv_registrant_ext) : sizeof(struct nvme_resv_registrant);
	struct nvme_resv_status st;
	size_t n;

	if (len < head)
		return -EBADMSG;
	memcpy(&st, report, sizeof(st));
	if (st.type >= ARRAY_SIZE(scsi_type))
		return -EBADMSG;
	pr->generation = st.generation;
	pr->reserved = st.type != NVME_RTYPE_NONE;
	pr->type = scsi_type[st.type];
	pr->holder_key = 0;
	pr->n_keys = 0;
	n = MIN(le16_load(st.registrants), (len - head) / each);
	for (size_t i = 0; i < n && pr->n_keys < DISK_PR_MAX_KEYS; i++)
		take_registrant((const uint8_t *)report + head + i * each, ext, pr);
	/* One that all registrants hold has no key of its own. */
	if (!pr->reserved || st.type >= NVME_RTYPE_WRITE_EXCL_ALL)
		pr->holder_key = 0;
	return 0;
}
