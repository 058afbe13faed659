/* SPDX-License-Identifier: MIT */
/*
 * One channel of a PIIX4 IDE controller: task file, control block, bus master, up to two drives. A
 * hard disk speaks ATA to a disk (diskio.h), a DVD drive ATAPI to a SCSI unit (scsi.h).
 *
 * Threads: registers are accessed by VP threads under the device's lock; input and output run on
 * the loop, one command of a channel at a time. Trust: the guest is hostile.
 * Spec: hcl/hv/ata.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "irqline.h"
#include "macros.h"

struct disk;
struct gmem;
struct ide_chan;
struct loop;
struct scsi_unit;

/* Regions to claim: the command block's eight ports and the control port. */
enum ide_region { IDE_REGION_COMMAND, IDE_REGION_CONTROL };

#define IDE_COMMAND_PORTS 8u
#define IDE_CONTROL_PORTS 1u
#define IDE_DRIVES 2u

struct ide_chan_cfg {
	const char *name; /* static */
	struct gmem *gm; /* what the bus master may reach */
	struct loop *loop;
	struct irq_line irq;
};

must_check int ide_chan_create(const struct ide_chan_cfg *cfg, struct ide_chan **ret_ch);

/* The device to claim ports for; owns the channel: device_destroy() frees it when nothing runs. */
struct device *ide_chan_device(struct ide_chan *ch);

/**
 * ide_chan_attach_disk / ide_chan_attach_dvd - a drive, before the guest runs
 * @serial: at most 20 characters, may be NULL. Take over the reference on success.
 * Returns: 0; -EINVAL (no such place, block size other than 512 for disks); -EEXIST; -ENOMEM
 */
must_check int ide_chan_attach_disk(struct ide_chan *ch, unsigned drive, struct disk *d,
				    const char *serial);
must_check int ide_chan_attach_dvd(struct ide_chan *ch, unsigned drive, struct scsi_unit *u);

/* Bus master registers, @off 0..7. Any VP thread. */
uint32_t ide_chan_bm_read(struct ide_chan *ch, unsigned off, unsigned size);
void ide_chan_bm_write(struct ide_chan *ch, unsigned off, unsigned size, uint32_t val);

/**
 * ide_chan_stop - end what runs; @done on the loop's thread when guest memory is not touched any
 * more. The guest does not run. Context: the loop's thread.
 */
void ide_chan_stop(struct ide_chan *ch, void (*done)(void *ctx), void *ctx);
