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

/**
 * outer_start - start QEMU with one end of a socket pair as the agent's link
 * Returns: 0 with the child's pid and our end; -errno after printing one sentence (no QEMU, too old
 * a QEMU, missing files). The child dies with the caller.
 */
must_check int outer_start(const struct outer_cfg *cfg, pid_t *ret_pid, int *ret_link_fd);

/**
 * outer_is_emulator_fault - did QEMU itself fail, as opposed to anything that ran in it?
 * The outer VM triple-faults once in a while under emulation; with -no-reboot QEMU then ends with
 * status 0, whereas the agent always leaves through the debug-exit device with an odd status.
 * @wait_status: as from waitpid(); @ended: the agent's last frame had arrived
 */
bool outer_is_emulator_fault(int wait_status, bool ended);
