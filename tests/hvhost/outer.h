/* SPDX-License-Identifier: MIT */
/* The outer VM: QEMU's emulator with a small Linux whose KVM runs the real session. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "macros.h"

#define OUTER_DISK_PREFIX "virtio:" /* of a path that is a serial number in the outer VM */
#define OUTER_DISK_SERIAL "keel-disk-%u" /* of the virtio disk with that number */

struct disk_opt;

struct outer_cfg {
	const char *dir; /* holds vmlinuz and initramfs.cpio */
	const char *image;
	uint64_t guest_bytes; /* VTL0 memory: the outer VM gets that and a margin */
	const struct disk_opt *disks; /* those with a path are given to it */
	unsigned n_disks;
	int log_fd; /* QEMU's complaints; -1 = stderr */
};

struct outer {
	pid_t pid;
	int link_fd; /* our end of the agent's link */
	int trace_fd; /* QEMU's record of CPU resets */
	int console_fd; /* what the outer kernel said */
};

/**
 * outer_start - start QEMU with one end of a socket pair as the agent's link
 * Returns: 0; -errno after printing one sentence (no QEMU, too old a QEMU, missing files). The
 * child dies with the caller; the fds are the caller's to close.
 */
must_check int outer_start(const struct outer_cfg *cfg, struct outer *ret_outer);

/* Close the records. Accepts fds of -1. */
void outer_fini(struct outer *outer);

/**
 * outer_is_emulator_fault - did the emulator fail, as opposed to anything that ran in it?
 * Two signs, both of the outer VM's own kernel, which is Debian's and none of our business: it
 * triple-faulted (QEMU ends with status 0, its record of CPU resets says "Triple fault"), or it
 * panicked although its only program lived. A fault of VTL2 or VTL0 is KVM's business there and
 * leaves neither; the agent always leaves through the debug-exit device, with an odd status.
 * @wait_status: as from waitpid(); @ended: the agent's last frame had arrived
 */
bool outer_is_emulator_fault(const struct outer *outer, int wait_status, bool ended);

/* Append the outer kernel's console to the log. */
void outer_copy_console(const struct outer *outer, int log_fd);

/**
 * outer_disk_path - inside the outer VM: the device behind OUTER_DISK_PREFIX and a serial number
 * Any other path stays as it is, and so does that of a disk that is not there.
 */
void outer_disk_path(char *path, size_t size);
