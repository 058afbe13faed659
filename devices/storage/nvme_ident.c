/* SPDX-License-Identifier: MIT */
/* Identify data and log pages: what the controller says of itself and its namespaces. */
#include "ckd.h"
#include "le.h"
#include "nvme_priv.h"

#include <stdio.h>
#include <string.h>

#define VENDOR 0x1414u
#define FIRMWARE "v1.0    "
#define SHUTDOWN_US 10000000u
#define IEEE_OUI                 \
	{                        \
		0x8c, 0xe2, 0x74 \
	} /* 74-E2-8C */

/* A field of blanks around @text. */
static void pad(char *field, size_t len, const char *text)
{
	memset(field, ' ', len);
	memcpy(field, text, strnlen(text, len));
}

/* A page of zeros, until the next command. */
static void *blank(struct nvme_ctrl *c)
{
	memset(c->page, 0, sizeof(c->page));
	return c->page;
}

static uint16_t give_page(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	return nvme_give(c, sqe, c->page, sizeof(c->page));
}

/* ---- the controller -------------------------------------------------------------------------- */

static uint16_t ident_ctrl(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	struct nvme_id_ctrl *id = blank(c);

	*id = (struct nvme_id_ctrl){
		.vid = VENDOR,
		.ssvid = VENDOR,
		.rab = 0,
		.ieee = IEEE_OUI,
		.mdts = NVME_MDTS,
		.cntlid = NVME_CNTLID,
		.ver = NVME_VS_2_0,
		.rtd3r = SHUTDOWN_US,
		.rtd3e = SHUTDOWN_US,
		.oaes = NVME_OAES_NS_ATTR,
		.ctratt = BIT(0), /* 128-bit host identifiers */
		.cntrltype = 1,
		.oacs = NVME_OACS_DOORBELL_BUFFER,
		.acl = 3,
		.aerl = NVME_AERS - 1,
		.frmw = 1u | 1u << 1, /* one slot, read only */
		.lpa = NVME_LPA_EFFECTS | NVME_LPA_EXTENDED,
		.elpe = NVME_ERRORS - 1,
		.wctemp = NVME_KELVIN + 50,
		.cctemp = NVME_KELVIN + 60,
		.sqes = 0x66,
		.cqes = 0x44,
		.nn = NVME_CTRL_MAX_NS,
		.mnan = NVME_CTRL_MAX_NS,
		.oncs = NVME_ONCS_DSM | NVME_ONCS_WRITE_ZEROES | NVME_ONCS_RESERVATIONS |
			NVME_ONCS_VERIFY,
		/* A namespace may come that has a cache: a driver asks only once. */
		.vwc = NVME_VWC_PRESENT | NVME_VWC_FLUSH_ALL_NO,
		.sgls = NVME_SGLS_SUPPORTED | NVME_SGLS_BIT_BUCKET | NVME_SGLS_OVERSIZE,
		.psd = { { .max_power = 2500 } },
	};

	pad(id->sn, sizeof(id->sn), c->cfg.serial);
	pad(id->mn, sizeof(id->mn), c->cfg.model);
	pad(id->fr, sizeof(id->fr), FIRMWARE);
	(void)snprintf(id->subnqn, sizeof(id->subnqn), "%s", c->cfg.subnqn);
	return give_page(c, sqe);
}

/* ---- namespaces ------------------------------------------------------------------------------ */

/* Blocks - 1 as a 16-bit field. */
static uint16_t zero_based(uint64_t blocks)
{
	return (uint16_t)(blocks ? MIN(blocks - 1, UINT16_MAX) : 0);
}

static void fill_capacity(struct nvme_id_ns *id, const struct disk_info *d)
{
	uint64_t bytes;

	id->nsze = id->ncap = id->nuse = d->blocks;
	if (ckd_mul(&bytes, d->blocks, (uint64_t)d->block_size))
		bytes = UINT64_MAX;
	le64_store(id->nvmcap, bytes);
}

static uint8_t rescap_of(const struct disk_info *d)
{
	return d->reservations ? NVME_RESCAP_ALL_TYPES | NVME_RESCAP_IEKEY_1_3 : 0;
}

static uint8_t nsattr_of(const struct disk_info *d)
{
	return d->read_only ? NVME_NSATTR_WRITE_PROTECTED : 0;
}

static void fill_ns(struct nvme_id_ns *id, const struct nvme_ns *ns)
{
	const struct disk_info *d = &ns->info;

	fill_capacity(id, d);
	id->nsfeat = NVME_NSFEAT_OPTPERF | (d->unmap_granularity ? NVME_NSFEAT_THIN : 0);
	id->dlfeat = (d->unmap_zeroes ? NVME_DLFEAT_ZEROES : 0) | NVME_DLFEAT_WZ_DEAC;
	id->rescap = rescap_of(d);
	id->npwg = id->npwa = zero_based(d->physical_block_size / d->block_size);
	id->npdg = id->npda = zero_based(d->unmap_granularity);
	id->nsattr = nsattr_of(d);
	if (d->has_id)
		memcpy(id->nguid, d->id, sizeof(id->nguid));
	id->lbaf[0].lbads = ns->shift;
}

/* Where nothing is attached, the answer is zeros. */
static uint16_t ident_ns(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	const struct nvme_ns *ns = nvme_ns_find(c, sqe->nsid);
	struct nvme_id_ns *id = blank(c);

	if (!sqe->nsid || sqe->nsid > NVME_CTRL_MAX_NS)
		return NVME_INVALID_NAMESPACE;
	if (ns)
		fill_ns(id, ns);
	return give_page(c, sqe);
}

static uint16_t ident_ns_indep(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	const struct nvme_ns *ns = nvme_ns_find(c, sqe->nsid);
	struct nvme_id_ns_indep *id = blank(c);

	if (!sqe->nsid || sqe->nsid > NVME_CTRL_MAX_NS)
		return NVME_INVALID_NAMESPACE;
	if (ns) {
		id->nsfeat = ns->info.rotational ? BIT(4) : 0;
		id->rescap = rescap_of(&ns->info);
		id->nsattr = nsattr_of(&ns->info);
		id->nstat = 1; /* ready */
	}
	return give_page(c, sqe);
}

static uint16_t ident_active(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	uint32_t *list = blank(c);
	unsigned n = 0;

	if (sqe->nsid >= 0xfffffffe)
		return NVME_INVALID_NAMESPACE;
	for (uint64_t id = (uint64_t)sqe->nsid + 1; id <= NVME_CTRL_MAX_NS; id++) {
		if (nvme_ns_find(c, (uint32_t)id))
			list[n++] = (uint32_t)id;
	}
	return give_page(c, sqe);
}

static uint16_t ident_descs(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	const struct nvme_ns *ns = nvme_ns_find(c, sqe->nsid);
	uint8_t *at = blank(c);

	if (!ns)
		return NVME_INVALID_NAMESPACE;
	if (ns->info.has_id) {
		at[0] = NVME_NIDT_NGUID;
		at[1] = sizeof(ns->info.id);
		memcpy(at + sizeof(struct nvme_ns_desc), ns->info.id, sizeof(ns->info.id));
		at += sizeof(struct nvme_ns_desc) + sizeof(ns->info.id);
	}
	at[0] = NVME_NIDT_CSI;
	at[1] = 1;
	at[sizeof(struct nvme_ns_desc)] = NVME_CSI_NVM;
	return give_page(c, sqe);
}

/* Of the NVM command set: limits, none of which we have. */
static uint16_t ident_set_ctrl(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	(void)blank(c);
	return give_page(c, sqe);
}

/* Of the NVM command set: protection information, none. */
static uint16_t ident_set_ns(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	if (!sqe->nsid || sqe->nsid > NVME_CTRL_MAX_NS)
		return NVME_INVALID_NAMESPACE;
	return ident_set_ctrl(c, sqe);
}

uint16_t nvme_identify(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	const bool nvm = sqe->cdw11 >> 24 == NVME_CSI_NVM;

	switch ((uint8_t)sqe->cdw10) {
	case NVME_CNS_NS:
		return ident_ns(c, sqe);
	case NVME_CNS_CTRL:
		return ident_ctrl(c, sqe);
	case NVME_CNS_ACTIVE_NS:
		return ident_active(c, sqe);
	case NVME_CNS_NS_DESCS:
		return ident_descs(c, sqe);
	case NVME_CNS_CS_NS:
		return nvm ? ident_set_ns(c, sqe) : NVME_INVALID_FIELD;
	case NVME_CNS_CS_CTRL:
		return nvm ? ident_set_ctrl(c, sqe) : NVME_INVALID_FIELD;
	case NVME_CNS_CS_ACTIVE_NS:
		return nvm ? ident_active(c, sqe) : NVME_INVALID_FIELD;
	case NVME_CNS_CS_INDEP_NS:
		return ident_ns_indep(c, sqe);
	default:
		return NVME_INVALID_FIELD;
	}
}

/* ---- logs ------------------------------------------------------------------------------------ */

/* Leave out the first bytes of a mapping. */
static void skip(struct iovec *iov, uint32_t n, uint64_t bytes)
{
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t now = MIN(bytes, iov[i].iov_len);

		iov[i].iov_base = (uint8_t *)iov[i].iov_base + now;
		iov[i].iov_len -= now;
		bytes -= now;
	}
}

/* The part of a log that the command asks for; what is behind its end reads as zeros. */
static uint16_t give_log(struct nvme_ctrl *c, const struct nvme_sqe *sqe, const void *log,
			 uint32_t len)
{
	const uint64_t off = sqe->cdw12 | (uint64_t)sqe->cdw13 << 32;
	const uint64_t want = ((sqe->cdw10 >> 16 | (uint64_t)(sqe->cdw11 & 0xffff) << 16) + 1) * 4;
	uint64_t have;
	uint32_t n;
	uint16_t st;

	if (off & 3 || off > len || want > NVME_MAX_DATA)
		return NVME_INVALID_FIELD;
	have = MIN(want, len - off);
	st = nvme_map(c, sqe, (uint32_t)want, true, c->tmp, &n);
	if (st == NVME_OK)
		st = nvme_copy_out(c->tmp, n, (const uint8_t *)log + off, have);
	if (st == NVME_OK) {
		skip(c->tmp, n, have);
		st = nvme_copy_out(c->tmp, n, c->zeros, want - have);
	}
	return st;
}

static uint16_t log_supported(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	uint32_t log[256] = { 0 };

	for (unsigned lid = NVME_LOG_SUPPORTED; lid <= NVME_LOG_EFFECTS; lid++)
		log[lid] = 1;
	return give_log(c, sqe, log, sizeof(log));
}

static uint16_t log_errors(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	uint16_t st = give_log(c, sqe, c->error, sizeof(c->error));

	if (st == NVME_OK && !(sqe->cdw10 & NVME_LOG_RAE)) {
		c->error_told = false;
		c->bad_doorbell = 0; /* what came meanwhile is in the log */
	}
	return st;
}

static uint64_t thousands(uint64_t units)
{
	return (units + 999) / 1000;
}

static uint16_t log_smart(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	struct nvme_smart s = { .spare = 100, .spare_threshold = 10 };

	if (sqe->nsid != 0 && sqe->nsid != NVME_NSID_ALL)
		return NVME_INVALID_FIELD;
	le16_store(s.temperature, NVME_KELVIN);
	le64_store(s.data_read, thousands(c->count.read_units));
	le64_store(s.data_written, thousands(c->count.write_units));
	le64_store(s.host_reads, c->count.reads);
	le64_store(s.host_writes, c->count.writes);
	le64_store(s.power_cycles, 1);
	le64_store(s.media_errors, c->count.media_errors);
	le64_store(s.error_entries, c->n_errors);
	return give_log(c, sqe, &s, sizeof(s));
}

static uint16_t log_firmware(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	struct nvme_fw_slots s = { .active = 1 };

	pad(s.revision[0], sizeof(s.revision[0]), FIRMWARE);
	return give_log(c, sqe, &s, sizeof(s));
}

static uint16_t log_changed(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	uint32_t *list = blank(c);
	unsigned n = 0;
	uint16_t st;

	for (uint64_t left = c->changed; left; left &= left - 1)
		list[n++] = (uint32_t)__builtin_ctzll(left) + 1;
	st = give_log(c, sqe, c->page, sizeof(c->page));
	if (st == NVME_OK && !(sqe->cdw10 & NVME_LOG_RAE)) {
		c->changed = 0;
		c->changed_told = false;
	}
	return st;
}

static uint16_t log_effects(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	static const uint8_t admin[] = { NVME_ADM_DELETE_SQ,	  NVME_ADM_CREATE_SQ,
					 NVME_ADM_GET_LOG,	  NVME_ADM_DELETE_CQ,
					 NVME_ADM_CREATE_CQ,	  NVME_ADM_IDENTIFY,
					 NVME_ADM_ABORT,	  NVME_ADM_SET_FEATURES,
					 NVME_ADM_GET_FEATURES,	  NVME_ADM_ASYNC_EVENT,
					 NVME_ADM_DOORBELL_BUFFER };
	static const uint8_t io[] = { NVME_IO_FLUSH,	   NVME_IO_READ,
				      NVME_IO_VERIFY,	   NVME_IO_RESV_REGISTER,
				      NVME_IO_RESV_REPORT, NVME_IO_RESV_ACQUIRE,
				      NVME_IO_RESV_RELEASE };
	static const uint8_t writes[] = { NVME_IO_WRITE, NVME_IO_WRITE_ZEROES, NVME_IO_DSM };
	struct nvme_effects *e = blank(c);

	for (unsigned i = 0; i < ARRAY_SIZE(admin); i++)
		e->admin[admin[i]] = NVME_EFFECT_SUPPORTED;
	for (unsigned i = 0; i < ARRAY_SIZE(io); i++)
		e->io[io[i]] = NVME_EFFECT_SUPPORTED;
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++)
		e->io[writes[i]] = NVME_EFFECT_SUPPORTED | NVME_EFFECT_CONTENT;
	return give_log(c, sqe, e, sizeof(*e));
}

uint16_t nvme_get_log(struct nvme_ctrl *c, const struct nvme_sqe *sqe)
{
	switch ((uint8_t)sqe->cdw10) {
	case NVME_LOG_SUPPORTED:
		return log_supported(c, sqe);
	case NVME_LOG_ERROR:
		return log_errors(c, sqe);
	case NVME_LOG_SMART:
		return log_smart(c, sqe);
	case NVME_LOG_FIRMWARE:
		return log_firmware(c, sqe);
	case NVME_LOG_CHANGED_NS:
		return log_changed(c, sqe);
	case NVME_LOG_EFFECTS:
		return log_effects(c, sqe);
	default:
		return NVME_LOG_PAGE;
	}
}
