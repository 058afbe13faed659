/* SPDX-License-Identifier: MIT */
/*
 * Disks, units and SCSI controllers that only note what is done with them: for tests of who makes
 * and changes them. Takes the place of devices/storage in a program.
 */
#pragma once

#include "diskio.h"
#include "nvme_ctrl.h"
#include "piix4_ide.h"
#include "scsi.h"
#include "storvsp.h"

#define MOCK_CTRLS 8u

struct disk {
	unsigned refs;
	char path[160]; /* "stripe:<n>:<chunk>" of striped ones */
	bool nvme, read_only;
	enum disk_bounce bounce;
	void (*watch)(void *ctx);
	void *watch_ctx;
	struct disk *members[64];
	unsigned n_members;
};

struct scsi_unit {
	unsigned refs;
	bool dvd;
	struct scsi_unit_cfg cfg;
	struct disk *d;
};

struct storvsp {
	struct storvsp_cfg cfg;
	struct scsi_unit *units[STORVSP_LUNS];
	unsigned attached, detached, rescans;
	/* a detach that waits */
	struct scsi_unit *leaving;
	void (*done)(void *ctx);
	void *ctx;
};

/* The machine's IDE controller. */
struct ide_chan {
	struct disk *disks[IDE_DRIVES];
	struct scsi_unit *dvds[IDE_DRIVES];
	char serial[IDE_DRIVES][21];
	unsigned stopped;
};

struct piix4_ide {
	struct ide_chan chans[PIIX4_IDE_CHANNELS];
};

/* An NVMe controller, which is its PCI function, too. */
struct nvme_ctrl {
	struct nvme_ctrl_cfg cfg;
	struct disk *ns[NVME_CTRL_MAX_NS];
};

/* Drives are let go as the machine does when it ends. */
void mock_ide_fini(struct piix4_ide *p);

/* What there is, and how the next calls behave. */
struct mock_storage {
	unsigned disks, units, ctrls; /* alive */
	struct storvsp *ctrl[MOCK_CTRLS]; /* in order of their making */
	unsigned n_ctrl;
	struct nvme_ctrl *nvme; /* the last one, if it is alive */
	unsigned functions; /* offered now */
	int fail_pci;
	const char *fail_open; /* paths that contain this ... */
	int fail_err; /* ... fail so */
	int no_passthrough; /* error of disk_nvme_open() */
	int fail_attach, fail_unit;
	bool hold; /* detaching takes until mock_let_go() */
};

extern struct mock_storage mock;

/* Detached units are free; their owners are told. */
void mock_let_go(void);
