/* SPDX-License-Identifier: MIT */
/* ATA and ATAPI: task file, commands, bus master registers. Spec: ATA8-ACS, SFF-8020i, Programming
 * Interface for Bus Master IDE Controller 1.0; spec/chipset-uefi-vtpm.md 5.6. */
#pragma once

#include <stdint.h>

#include "macros.h"

/* Task file: offsets from the command block's base. */
enum ata_reg {
	ATA_DATA = 0,
	ATA_ERROR = 1, /* write: features */
	ATA_COUNT = 2,
	ATA_LBA_LOW = 3,
	ATA_LBA_MID = 4,
	ATA_LBA_HIGH = 5,
	ATA_DEVICE = 6,
	ATA_STATUS = 7, /* write: command */
};

#define ATA_ST_ERR BIT(0)
#define ATA_ST_DRQ BIT(3)
#define ATA_ST_SEEK BIT(4) /* service, for ATAPI */
#define ATA_ST_FAULT BIT(5)
#define ATA_ST_READY BIT(6)
#define ATA_ST_BUSY BIT(7)

#define ATA_ERR_ABORT BIT(2)
#define ATA_ERR_ID BIT(4) /* no such address */
#define ATA_ERR_UNC BIT(6) /* data is lost */

#define ATA_DEV_DRIVE BIT(4)
#define ATA_DEV_LBA BIT(6)
#define ATA_DEV_OBSOLETE (BIT(5) | BIT(7)) /* read as ones */

#define ATA_CTL_NIEN BIT(1)
#define ATA_CTL_SRST BIT(2)
#define ATA_CTL_HOB BIT(7)

#define ATA_SECTOR 512u
#define ATAPI_SECTOR 2048u
#define ATAPI_CDB 12u

enum ata_cmd {
	ATA_CMD_NOP = 0x00,
	ATA_CMD_DEVICE_RESET = 0x08,
	ATA_CMD_RECALIBRATE = 0x10,
	ATA_CMD_READ = 0x20,
	ATA_CMD_READ_ONCE = 0x21,
	ATA_CMD_READ_EXT = 0x24,
	ATA_CMD_READ_DMA_EXT = 0x25,
	ATA_CMD_READ_MAX_EXT = 0x27,
	ATA_CMD_READ_MULTI_EXT = 0x29,
	ATA_CMD_WRITE = 0x30,
	ATA_CMD_WRITE_ONCE = 0x31,
	ATA_CMD_WRITE_EXT = 0x34,
	ATA_CMD_WRITE_DMA_EXT = 0x35,
	ATA_CMD_WRITE_MULTI_EXT = 0x39,
	ATA_CMD_WRITE_DMA_FUA = 0x3d,
	ATA_CMD_VERIFY = 0x40,
	ATA_CMD_VERIFY_ONCE = 0x41,
	ATA_CMD_VERIFY_EXT = 0x42,
	ATA_CMD_SEEK = 0x70,
	ATA_CMD_DIAGNOSTIC = 0x90,
	ATA_CMD_INIT_PARAMS = 0x91,
	ATA_CMD_PACKET = 0xa0,
	ATA_CMD_IDENTIFY_PACKET = 0xa1,
	ATA_CMD_READ_MULTI = 0xc4,
	ATA_CMD_WRITE_MULTI = 0xc5,
	ATA_CMD_SET_MULTI = 0xc6,
	ATA_CMD_READ_DMA = 0xc8,
	ATA_CMD_READ_DMA_ONCE = 0xc9,
	ATA_CMD_WRITE_DMA = 0xca,
	ATA_CMD_WRITE_DMA_ONCE = 0xcb,
	ATA_CMD_WRITE_MULTI_FUA = 0xce,
	ATA_CMD_STANDBY_NOW = 0xe0,
	ATA_CMD_IDLE_NOW = 0xe1,
	ATA_CMD_STANDBY = 0xe2,
	ATA_CMD_IDLE = 0xe3,
	ATA_CMD_CHECK_POWER = 0xe5,
	ATA_CMD_SLEEP = 0xe6,
	ATA_CMD_FLUSH = 0xe7,
	ATA_CMD_FLUSH_EXT = 0xea,
	ATA_CMD_IDENTIFY = 0xec,
	ATA_CMD_SET_FEATURES = 0xef,
	ATA_CMD_READ_MAX = 0xf8,
};

enum ata_feature {
	ATA_FEAT_WRITE_CACHE_ON = 0x02,
	ATA_FEAT_TRANSFER_MODE = 0x03,
	ATA_FEAT_APM_ON = 0x05,
	ATA_FEAT_LOOK_AHEAD_OFF = 0x55,
	ATA_FEAT_REVERT_OFF = 0x66,
	ATA_FEAT_WRITE_CACHE_OFF = 0x82,
	ATA_FEAT_APM_OFF = 0x85,
	ATA_FEAT_LOOK_AHEAD_ON = 0xaa,
	ATA_FEAT_REVERT_ON = 0xcc,
};

/* Interrupt reason of ATAPI, in the count register. */
#define ATAPI_IR_COMMAND BIT(0)
#define ATAPI_IR_TO_HOST BIT(1)
#define ATAPI_FEAT_DMA BIT(0)

/* Bus master: offsets from the channel's eight ports. */
enum ide_bm_reg { IDE_BM_COMMAND = 0, IDE_BM_STATUS = 2, IDE_BM_PRDT = 4 };

#define IDE_BM_PORTS 8u
#define IDE_BM_START BIT(0)
#define IDE_BM_TO_MEMORY BIT(3)
#define IDE_BM_ACTIVE BIT(0)
#define IDE_BM_ERROR BIT(1)
#define IDE_BM_INTERRUPT BIT(2)
#define IDE_BM_CAPABLE (BIT(5) | BIT(6))

#define IDE_PRD_LAST 0x8000u

struct ide_prd {
	uint32_t base;
	uint16_t count; /* 0 = 65536 */
	uint16_t flags; /* IDE_PRD_LAST */
};
WIRE_SIZE(struct ide_prd, 8);
