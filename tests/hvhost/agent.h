/* SPDX-License-Identifier: MIT */
/* The back end: runs sessions and carries their streams over a link. */
#pragma once

#include "macros.h"

/**
 * agent_run - serve one front end until the virtual machine is gone for good
 * @link_fd: connected channel, owned
 * Returns: exit status (0, or 125 when a session could not start). Context: main thread of a child
 * process on this machine, or of PID 1 in the outer VM.
 */
int agent_run(int link_fd);

/**
 * agent_init - PID 1 of the outer VM: mounts, modules, link, agent_run(), then leaves QEMU through
 * its debug-exit device. Never returns.
 */
_Noreturn void agent_init(void);
