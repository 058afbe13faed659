/* SPDX-License-Identifier: MIT */
/*
 * NVMe as it lies in memory: registers, queue entries, identify data, logs, features. Both for the
 * controller model and for passthrough to a real one. Status values: nvme_status.h.
 * Spec: NVM Express Base 2.0, NVM Command Set 1.0, PCIe Transport 1.0; spec/storage-net.md 4.
 */
#pragma once

#include <stdint.h>

#include "macros.h"

/* ---- registers -------------------------------------------------------------- */

enum nvme_reg {
	NVME_REG_CAP = 0x00,
	NVME_REG_VS = 0x08,
	NVME_REG_INTMS = 0x0c,
	NVME_REG_INTMC = 0x10,
	NVME_REG_CC = 0x14,
	NVME_REG_CSTS = 0x1c,
	NVME_REG_NSSR = 0x20,
	NVME_REG_AQA = 0x24,
	NVME_REG_ASQ = 0x28,
	NVME_REG_ACQ = 0x30,
	NVME_REG_CMBLOC = 0x38,
	NVME_REG_CMBSZ = 0x3c,
	NVME_REG_CRTO = 0x68,
	NVME_REG_DOORBELLS = 0x1000, /* 4 << CAP.DSTRD bytes each: SQ 0 tail, CQ 0 head, SQ 1 ... */
};

#define NVME_CAP_MQES(entries) ((uint64_t)(entries)-1) /* largest queue */
#define NVME_CAP_CQR BIT(16) /* queues must be physically contiguous */
#define NVME_CAP_TO(halves) ((uint64_t)(halves) << 24) /* worst time to ready, 500 ms units */
#define NVME_CAP_NSSRS BIT(36)
#define NVME_CAP_CSS_NVM BIT(37)
#define NVME_VS_1_4 0x00010400u
#define NVME_VS_2_0 0x00020000u

#define NVME_CC_EN BIT(0)
#define NVME_CC_CSS(cc) ((cc) >> 4 & 7)
#define NVME_CC_MPS(cc) ((cc) >> 7 & 0xf)
#define NVME_CC_AMS(cc) ((cc) >> 11 & 7)
#define NVME_CC_SHN(cc) ((cc) >> 14 & 3)
#define NVME_CC_IOSQES(cc) ((cc) >> 16 & 0xf)
#define NVME_CC_IOCQES(cc) ((cc) >> 20 & 0xf)

#define NVME_CSTS_RDY BIT(0)
#define NVME_CSTS_CFS BIT(1)
#define NVME_CSTS_SHST_BUSY (1u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)
#define NVME_CSTS_SHST_MASK (3u << 2)
#define NVME_CSTS_NSSRO BIT(4)

#define NVME_NSSR_MAGIC 0x4e564d65u /* "NVMe" */

/* ---- queue entries ---------------------------------------------------------- */

#define NVME_SQE_BYTES 64u
#define NVME_CQE_BYTES 16u
#define NVME_NSID_ALL 0xffffffffu

/* SQE flags: fused operation, and how data pointers are given. */
#define NVME_FLAGS_FUSE 0x03u
#define NVME_FLAGS_PSDT 0xc0u
#define NVME_PSDT_PRP 0x00u
#define NVME_PSDT_SGL 0x40u /* metadata by address */
#define NVME_PSDT_SGL_META 0x80u /* metadata by an SGL segment */

struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2; /* or one SGL descriptor */
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
WIRE_SIZE(struct nvme_sqe, 64);
WIRE_OFFSET(struct nvme_sqe, prp1, 24);
WIRE_OFFSET(struct nvme_sqe, cdw10, 40);

struct nvme_cqe {
	uint32_t result, result_hi;
	uint16_t sq_head, sq_id;
	uint16_t cid;
	uint16_t status; /* bit 0 phase, 15:1 status as in nvme_status.h */
};
WIRE_SIZE(struct nvme_cqe, 16);

enum nvme_sgl_type {
	NVME_SGL_DATA = 0x0,
	NVME_SGL_BIT_BUCKET = 0x1,
	NVME_SGL_SEGMENT = 0x2,
	NVME_SGL_LAST_SEGMENT = 0x3,
};

#define NVME_SGL_TYPE(id) ((uint8_t)(id) >> 4)
#define NVME_SGL_SUBTYPE(id) ((uint8_t)(id)&0xf) /* 0: address; all we know */

struct nvme_sgl {
	uint64_t addr;
	uint32_t len;
	uint8_t rsvd[3];
	uint8_t id; /* NVME_SGL_TYPE, NVME_SGL_SUBTYPE */
};
WIRE_SIZE(struct nvme_sgl, 16);

enum nvme_admin_opcode {
	NVME_ADM_DELETE_SQ = 0x00,
	NVME_ADM_CREATE_SQ = 0x01,
	NVME_ADM_GET_LOG = 0x02,
	NVME_ADM_DELETE_CQ = 0x04,
	NVME_ADM_CREATE_CQ = 0x05,
	NVME_ADM_IDENTIFY = 0x06,
	NVME_ADM_ABORT = 0x08,
	NVME_ADM_SET_FEATURES = 0x09,
	NVME_ADM_GET_FEATURES = 0x0a,
	NVME_ADM_ASYNC_EVENT = 0x0c,
	NVME_ADM_NS_MGMT = 0x0d,
	NVME_ADM_FW_COMMIT = 0x10,
	NVME_ADM_FW_DOWNLOAD = 0x11,
	NVME_ADM_SELF_TEST = 0x14,
	NVME_ADM_NS_ATTACH = 0x15,
	NVME_ADM_KEEP_ALIVE = 0x18,
	NVME_ADM_DOORBELL_BUFFER = 0x7c,
	NVME_ADM_FORMAT_NVM = 0x80,
	NVME_ADM_SECURITY_SEND = 0x81,
	NVME_ADM_SECURITY_RECV = 0x82,
	NVME_ADM_SANITIZE = 0x84,
};

enum nvme_io_opcode {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
	NVME_IO_WRITE_UNCORRECTABLE = 0x04,
	NVME_IO_COMPARE = 0x05,
	NVME_IO_WRITE_ZEROES = 0x08,
	NVME_IO_DSM = 0x09,
	NVME_IO_VERIFY = 0x0c,
	NVME_IO_RESV_REGISTER = 0x0d,
	NVME_IO_RESV_REPORT = 0x0e,
	NVME_IO_RESV_ACQUIRE = 0x11,
	NVME_IO_RESV_RELEASE = 0x15,
};

/* cdw10 and cdw11 of CREATE SQ and CREATE CQ: id in 15:0, size - 1 in 31:16. */
#define NVME_QUEUE_CONTIGUOUS BIT(0)
#define NVME_CQ_IRQ_ENABLED BIT(1)

/* cdw12 of READ, WRITE and their like: blocks - 1 in 15:0. */
#define NVME_RW_LR BIT(31) /* limited retry */
#define NVME_RW_FUA BIT(30)
#define NVME_RW_PRINFO_MASK (0xfu << 26)
#define NVME_WZ_DEAC BIT(25) /* WRITE ZEROES: deallocate */

/* DSM: ranges - 1 in cdw10 7:0. */
#define NVME_DSM_AD BIT(2) /* cdw11: deallocate */
#define NVME_DSM_MAX_RANGES 256u

struct nvme_dsm_range {
	uint32_t attributes;
	uint32_t blocks;
	uint64_t lba;
};
WIRE_SIZE(struct nvme_dsm_range, 16);

/* ---- reservations ----------------------------------------------------------- */

enum nvme_resv_register { NVME_RREGA_REGISTER, NVME_RREGA_UNREGISTER, NVME_RREGA_REPLACE };
enum nvme_resv_acquire { NVME_RACQA_ACQUIRE, NVME_RACQA_PREEMPT, NVME_RACQA_PREEMPT_ABORT };
enum nvme_resv_release { NVME_RRELA_RELEASE, NVME_RRELA_CLEAR };

/* cdw10 of the three: action 2:0, bit 3 ignore existing key, type in 15:8. */
#define NVME_RESV_ACTION(cdw10) ((cdw10)&7u)
#define NVME_RESV_IEKEY BIT(3)
#define NVME_RESV_TYPE(cdw10) ((uint8_t)((cdw10) >> 8))
#define NVME_RESV_CPTPL(cdw10) ((cdw10) >> 30 & 3u) /* REGISTER: 0 no change, 2 clear, 3 set */
#define NVME_RESV_REPORT_EDS BIT(0) /* cdw11: 128-bit host identifiers */

enum nvme_resv_type {
	NVME_RTYPE_NONE,
	NVME_RTYPE_WRITE_EXCL,
	NVME_RTYPE_EXCL_ACCESS,
	NVME_RTYPE_WRITE_EXCL_REG,
	NVME_RTYPE_EXCL_ACCESS_REG,
	NVME_RTYPE_WRITE_EXCL_ALL,
	NVME_RTYPE_EXCL_ACCESS_ALL,
};

/* Data of REGISTER (current, new), ACQUIRE (current, preempted), RELEASE (current only). */
struct nvme_resv_keys {
	uint64_t current;
	uint64_t other;
};
WIRE_SIZE(struct nvme_resv_keys, 16);

struct nvme_resv_status {
	uint32_t generation;
	uint8_t type; /* enum nvme_resv_type */
	uint8_t registrants[2];
	uint8_t rsvd7[2];
	uint8_t ptpls;
	uint8_t rsvd10[14];
	/* then registrants; with EDS 40 reserved bytes first */
};
WIRE_SIZE(struct nvme_resv_status, 24);

struct nvme_resv_registrant {
	uint16_t ctrl_id;
	uint8_t rcsts; /* bit 0: holds the reservation */
	uint8_t rsvd3[5];
	uint64_t host_id;
	uint64_t key;
};
WIRE_SIZE(struct nvme_resv_registrant, 24);

struct nvme_resv_registrant_ext {
	uint16_t ctrl_id;
	uint8_t rcsts;
	uint8_t rsvd3[5];
	uint64_t key;
	uint8_t host_id[16];
	uint8_t rsvd32[32];
};
WIRE_SIZE(struct nvme_resv_registrant_ext, 64);

#define NVME_RESV_EXT_HEADER 64u /* bytes of the status before the first extended registrant */

/* ---- identify --------------------------------------------------------------- */

enum nvme_cns {
	NVME_CNS_NS = 0x00,
	NVME_CNS_CTRL = 0x01,
	NVME_CNS_ACTIVE_NS = 0x02,
	NVME_CNS_NS_DESCS = 0x03,
	NVME_CNS_NVM_SET = 0x04,
	NVME_CNS_CS_NS = 0x05, /* of one command set */
	NVME_CNS_CS_CTRL = 0x06,
	NVME_CNS_CS_ACTIVE_NS = 0x07,
	NVME_CNS_CS_INDEP_NS = 0x08,
	NVME_CNS_ALLOCATED_NS_LIST = 0x10,
	NVME_CNS_ALLOCATED_NS = 0x11,
	NVME_CNS_NS_CTRLS = 0x12,
	NVME_CNS_CTRLS = 0x13,
	NVME_CNS_PRIMARY_CAPS = 0x14,
	NVME_CNS_SECONDARY = 0x15,
	NVME_CNS_COMMAND_SETS = 0x1c,
};

#define NVME_IDENTIFY_BYTES 4096u
#define NVME_CSI_NVM 0u

#define NVME_OACS_SECURITY BIT(0)
#define NVME_OACS_FORMAT BIT(1)
#define NVME_OACS_FIRMWARE BIT(2)
#define NVME_OACS_NS_MGMT BIT(3)
#define NVME_OACS_DOORBELL_BUFFER BIT(8)
#define NVME_OAES_NS_ATTR BIT(8)
#define NVME_LPA_EFFECTS BIT(1)
#define NVME_LPA_EXTENDED BIT(2) /* offsets in GET LOG PAGE */
#define NVME_ONCS_COMPARE BIT(0)
#define NVME_ONCS_WRITE_UNCORRECTABLE BIT(1)
#define NVME_ONCS_DSM BIT(2)
#define NVME_ONCS_WRITE_ZEROES BIT(3)
#define NVME_ONCS_SAVE_SELECT BIT(4)
#define NVME_ONCS_RESERVATIONS BIT(5)
#define NVME_ONCS_TIMESTAMP BIT(6)
#define NVME_ONCS_VERIFY BIT(7)
#define NVME_VWC_PRESENT BIT(0)
#define NVME_VWC_FLUSH_ALL_NO (2u << 1) /* FLUSH of NVME_NSID_ALL is refused ... */
#define NVME_VWC_FLUSH_ALL_YES (3u << 1) /* ... or done */
#define NVME_SGLS_SUPPORTED 1u /* in 1:0: no alignment needed */
#define NVME_SGLS_BIT_BUCKET BIT(16)
#define NVME_SGLS_OVERSIZE BIT(18)

struct nvme_power_state {
	uint16_t max_power; /* centiwatts */
	uint8_t rsvd[30];
};
WIRE_SIZE(struct nvme_power_state, 32);

struct nvme_id_ctrl {
	uint16_t vid, ssvid;
	char sn[20], mn[40], fr[8]; /* padded with blanks */
	uint8_t rab;
	uint8_t ieee[3]; /* least significant byte first */
	uint8_t cmic;
	uint8_t mdts; /* 1 << mdts smallest pages; 0 = no limit */
	uint16_t cntlid;
	uint32_t ver;
	uint32_t rtd3r, rtd3e; /* microseconds */
	uint32_t oaes;
	uint32_t ctratt;
	uint16_t rrls;
	uint8_t rsvd102[9];
	uint8_t cntrltype; /* 1 = I/O controller */
	uint8_t fguid[16];
	uint8_t rsvd128[128];
	uint16_t oacs;
	uint8_t acl; /* ABORTs at a time - 1 */
	uint8_t aerl; /* events outstanding - 1 */
	uint8_t frmw;
	uint8_t lpa;
	uint8_t elpe; /* error log entries - 1 */
	uint8_t npss;
	uint8_t avscc;
	uint8_t apsta;
	uint16_t wctemp, cctemp;
	uint16_t mtfa;
	uint32_t hmpre, hmmin;
	uint8_t tnvmcap[16], unvmcap[16];
	uint32_t rpmbs;
	uint16_t edstt;
	uint8_t dsto;
	uint8_t fwug;
	uint16_t kas;
	uint16_t hctma;
	uint16_t mntmt, mxtmt;
	uint32_t sanicap;
	uint8_t rsvd332[180];
	uint8_t sqes, cqes; /* smallest in 3:0, largest in 7:4, log2 */
	uint16_t maxcmd;
	uint32_t nn;
	uint16_t oncs;
	uint16_t fuses;
	uint8_t fna;
	uint8_t vwc;
	uint16_t awun, awupf;
	uint8_t icsvscc;
	uint8_t nwpc;
	uint16_t acwu;
	uint16_t ocfs;
	uint32_t sgls;
	uint32_t mnan;
	uint8_t rsvd544[224];
	char subnqn[256];
	uint8_t rsvd1024[1024];
	struct nvme_power_state psd[32];
	uint8_t vendor[1024];
};
WIRE_SIZE(struct nvme_id_ctrl, 4096);
WIRE_OFFSET(struct nvme_id_ctrl, mdts, 77);
WIRE_OFFSET(struct nvme_id_ctrl, oaes, 92);
WIRE_OFFSET(struct nvme_id_ctrl, cntrltype, 111);
WIRE_OFFSET(struct nvme_id_ctrl, oacs, 256);
WIRE_OFFSET(struct nvme_id_ctrl, tnvmcap, 280);
WIRE_OFFSET(struct nvme_id_ctrl, kas, 320);
WIRE_OFFSET(struct nvme_id_ctrl, sqes, 512);
WIRE_OFFSET(struct nvme_id_ctrl, nn, 516);
WIRE_OFFSET(struct nvme_id_ctrl, vwc, 525);
WIRE_OFFSET(struct nvme_id_ctrl, sgls, 536);
WIRE_OFFSET(struct nvme_id_ctrl, subnqn, 768);
WIRE_OFFSET(struct nvme_id_ctrl, psd, 2048);

/* CNS 06, NVM command set. */
struct nvme_id_ctrl_nvm {
	uint8_t vsl; /* VERIFY, 1 << vsl smallest pages; 0 = no limit */
	uint8_t wzsl; /* WRITE ZEROES */
	uint8_t wusl;
	uint8_t dmrl; /* DSM ranges; 0 = no limit */
	uint32_t dmrsl; /* blocks of one DSM range */
	uint64_t dmsl; /* blocks of one DSM command */
	uint8_t rsvd16[4080];
};
WIRE_SIZE(struct nvme_id_ctrl_nvm, 4096);

struct nvme_lba_format {
	uint16_t ms; /* metadata bytes */
	uint8_t lbads; /* block size, log2 */
	uint8_t rp;
};
WIRE_SIZE(struct nvme_lba_format, 4);

#define NVME_NSFEAT_THIN BIT(0)
#define NVME_NSFEAT_DEALLOC_ERROR BIT(2)
#define NVME_NSFEAT_OPTPERF BIT(4) /* npwg .. nows are valid */
#define NVME_RESCAP_PTPL BIT(0) /* reservations survive power loss */
#define NVME_RESCAP_ALL_TYPES 0x7eu
#define NVME_RESCAP_IEKEY_1_3 BIT(7)
#define NVME_DLFEAT_ZEROES 1u /* in 2:0: deallocated blocks read as zeros */
#define NVME_DLFEAT_WZ_DEAC BIT(3)
#define NVME_NSATTR_WRITE_PROTECTED BIT(0)

struct nvme_id_ns {
	uint64_t nsze, ncap, nuse; /* blocks */
	uint8_t nsfeat;
	uint8_t nlbaf; /* formats - 1 */
	uint8_t flbas; /* format in use in 3:0 */
	uint8_t mc, dpc, dps;
	uint8_t nmic;
	uint8_t rescap;
	uint8_t fpi;
	uint8_t dlfeat;
	uint16_t nawun, nawupf, nacwu;
	uint16_t nabsn, nabo, nabspf;
	uint16_t noiob;
	uint8_t nvmcap[16];
	uint16_t npwg, npwa, npdg, npda, nows; /* all - 1, blocks */
	uint16_t mssrl;
	uint32_t mcl;
	uint8_t msrc;
	uint8_t rsvd81[11];
	uint32_t anagrpid;
	uint8_t rsvd96[3];
	uint8_t nsattr;
	uint16_t nvmsetid, endgid;
	uint8_t nguid[16];
	uint8_t eui64[8];
	struct nvme_lba_format lbaf[64];
	uint8_t vendor[3712];
};
WIRE_SIZE(struct nvme_id_ns, 4096);
WIRE_OFFSET(struct nvme_id_ns, rescap, 31);
WIRE_OFFSET(struct nvme_id_ns, npwg, 64);
WIRE_OFFSET(struct nvme_id_ns, nsattr, 99);
WIRE_OFFSET(struct nvme_id_ns, nguid, 104);
WIRE_OFFSET(struct nvme_id_ns, lbaf, 128);

/* CNS 08. */
struct nvme_id_ns_indep {
	uint8_t nsfeat;
	uint8_t nmic;
	uint8_t rescap;
	uint8_t fpi;
	uint32_t anagrpid;
	uint8_t nsattr;
	uint8_t rsvd9;
	uint16_t nvmsetid, endgid;
	uint8_t nstat; /* bit 0: ready */
	uint8_t rsvd15[4081];
};
WIRE_SIZE(struct nvme_id_ns_indep, 4096);

enum nvme_ns_desc_type {
	NVME_NIDT_EUI64 = 1,
	NVME_NIDT_NGUID = 2,
	NVME_NIDT_UUID = 3,
	NVME_NIDT_CSI = 4
};

struct nvme_ns_desc {
	uint8_t type; /* enum nvme_ns_desc_type */
	uint8_t len; /* of the identifier that follows */
	uint8_t rsvd[2];
};
WIRE_SIZE(struct nvme_ns_desc, 4);

#define NVME_NS_LIST_MAX 1024u /* namespaces in one list (CNS 02, log 04) */

/* ---- logs ------------------------------------------------------------------- */

enum nvme_log_page {
	NVME_LOG_SUPPORTED = 0x00,
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
	NVME_LOG_CHANGED_NS = 0x04,
	NVME_LOG_EFFECTS = 0x05,
	NVME_LOG_RESERVATION = 0x80,
};

#define NVME_LOG_RAE BIT(15) /* cdw10: keep the event */

struct nvme_error_entry {
	uint64_t count; /* of this error, 0 = entry unused */
	uint16_t sq_id, cid;
	uint16_t status; /* as in a completion */
	uint16_t location;
	uint64_t lba;
	uint32_t nsid;
	uint8_t vendor;
	uint8_t trtype;
	uint8_t rsvd30[2];
	uint64_t specific;
	uint8_t rsvd40[24];
};
WIRE_SIZE(struct nvme_error_entry, 64);

struct nvme_smart {
	uint8_t critical;
	uint8_t temperature[2]; /* kelvin */
	uint8_t spare, spare_threshold, used; /* percent */
	uint8_t endurance;
	uint8_t rsvd7[25];
	uint8_t data_read[16], data_written[16]; /* thousands of 512 bytes, rounded up */
	uint8_t host_reads[16], host_writes[16]; /* commands */
	uint8_t busy_minutes[16];
	uint8_t power_cycles[16], power_hours[16];
	uint8_t unsafe_shutdowns[16];
	uint8_t media_errors[16], error_entries[16];
	uint32_t warning_minutes, critical_minutes;
	uint16_t sensors[8];
	uint8_t rsvd216[296];
};
WIRE_SIZE(struct nvme_smart, 512);
WIRE_OFFSET(struct nvme_smart, data_read, 32);
WIRE_OFFSET(struct nvme_smart, warning_minutes, 192);

struct nvme_fw_slots {
	uint8_t active; /* slot in 2:0 */
	uint8_t rsvd1[7];
	char revision[7][8];
	uint8_t rsvd64[448];
};
WIRE_SIZE(struct nvme_fw_slots, 512);

#define NVME_EFFECT_SUPPORTED BIT(0)
#define NVME_EFFECT_CONTENT BIT(1) /* changes data of a namespace */

struct nvme_effects {
	uint32_t admin[256], io[256];
	uint8_t rsvd2048[2048];
};
WIRE_SIZE(struct nvme_effects, 4096);

/* ---- features and events ---------------------------------------------------- */

enum nvme_feature {
	NVME_FEAT_ARBITRATION = 0x01,
	NVME_FEAT_POWER = 0x02,
	NVME_FEAT_TEMPERATURE = 0x04,
	NVME_FEAT_ERROR_RECOVERY = 0x05,
	NVME_FEAT_WRITE_CACHE = 0x06,
	NVME_FEAT_QUEUES = 0x07,
	NVME_FEAT_COALESCING = 0x08,
	NVME_FEAT_VECTOR = 0x09,
	NVME_FEAT_ATOMICITY = 0x0a,
	NVME_FEAT_ASYNC_EVENTS = 0x0b,
	NVME_FEAT_TIMESTAMP = 0x0e,
	NVME_FEAT_HOST_ID = 0x81,
	NVME_FEAT_RESV_NOTICES = 0x82,
	NVME_FEAT_RESV_PERSIST = 0x83,
};

#define NVME_FEAT_SAVE BIT(31) /* cdw10 of SET FEATURES */
#define NVME_FEAT_SEL(cdw10) \
	((cdw10) >> 8 & 7u) /* GET FEATURES: 0 current 1 default 2 saved 3 caps */

/* Asynchronous event: type in 2:0, information in 15:8, log page in 23:16 of the result. */
#define NVME_AEN_NOTICE 2u
#define NVME_AEN_ERROR 0u
#define NVME_AEN(type, info, log) ((uint32_t)(type) | (uint32_t)(info) << 8 | (uint32_t)(log) << 16)
#define NVME_AEN_NS_CHANGED NVME_AEN(NVME_AEN_NOTICE, 0, NVME_LOG_CHANGED_NS)
#define NVME_AEN_BAD_DOORBELL NVME_AEN(NVME_AEN_ERROR, 0, NVME_LOG_ERROR)
#define NVME_AEN_BAD_DOORBELL_VALUE NVME_AEN(NVME_AEN_ERROR, 1, NVME_LOG_ERROR)
