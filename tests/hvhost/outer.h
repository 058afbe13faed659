/* SPDX-License-Identifier: MIT */
/* The outer VM: QEMU's emulator with a small Linux whose KVM runs the real session. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "macros.h"

struct outer_cfg {
	const char *dir; /* holds vmlinuz and initramfs.cpio */
	const char *image;
	uint64_t guest_bytes; /* VTL0 memory: the outer VM gets that and a margin */
	int log_fd; /* the outer kernel's console and QEMU's complaints; -1 = stderr */
};

struct outer {
	pid_t pid;
	int link_fd; /* our end of the agent's link */
	int trace_fd; /* QEMU's record of CPU resets */
};

/**
 * outer_start - start QEMU with one end of a socket pair as the agent's link
 * Returns: 0; -errno after printing one sentence (no QEMU, too old a QEMU, missing files). The
 * child dies with the caller; the fds are the caller's to close.
 */
must_check int outer_start(const struct outer_cfg *cfg, struct outer *ret_outer);

/**
 * outer_is_emulator_fault - did QEMU itself fail, as opposed to anything that ran in it?
 * The outer VM triple-faults once in a while under emulation: with -no-reboot QEMU then ends with
 * status 0 and its record of CPU resets says "Triple fault". A triple fault of a guest inside the
 * outer VM is KVM's business there and leaves no such record; the agent always leaves through the
 * debug-exit device, with an odd status.
 * @wait_status: as from waitpid(); @ended: the agent's last frame had arrived
 */
bool outer_is_emulator_fault(const struct outer *outer, int wait_status, bool ended);
