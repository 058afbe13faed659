/* SPDX-License-Identifier: MIT */
/* VTL0's disks as a part of the VM: made of the host's settings, changed when it says so. Context:
 * control loop. */
#pragma once

#include <stdbool.h>

#include "macros.h"

struct vm;

/* Do the settings speak of IDE drives? The machine is not built yet. */
bool vm_storage_wants_ide(const struct vm *vm);

/* VPs exist and sleep. Returns: 0; -errno with the reason logged. */
must_check int vm_storage_start(struct vm *vm);

/* VPs' threads exist still; keeps them out of VTL0. */
void vm_storage_stop(struct vm *vm);
