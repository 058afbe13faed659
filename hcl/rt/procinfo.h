/* SPDX-License-Identifier: MIT */
/*
 * What inspect shows of procfs and of resource limits. Files are read when somebody asks, whole and
 * up to a fixed size; what cannot be read or understood is said in an entry "error".
 *
 * Spec: OpenHCL diagnostics, inspect, "proc" and "mesh/hosts/<pid>/rlimit". Trust: the kernel's
 * text; whoever named the processes.
 */
#pragma once

#include "inspect.h"

/* "meminfo", "interrupts" and "processes" (those of user space), all SAFE: an inspect_fn on the
 * path of procfs ("/proc"). Context: any thread that may wait for the kernel. */
void procinfo_inspect(struct inspect *in, const void *path);

/* Every resource limit with "current" and "max", which can be changed by whoever may: an inspect_fn
 * on a pid_t, 0 = this process. */
void procinfo_inspect_rlimits(struct inspect *in, const void *pid);
