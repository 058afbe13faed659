/* SPDX-License-Identifier: MIT */
/*
 * The vm role's part of the inspect tree ("vm" in the whole). Names are those of OpenHCL where it
 * has the thing. VTL0's registers are remote entries, the VP's index being the number.
 * Context: control thread of the vm role.
 */
#pragma once

struct inspect;

/* An inspect_fn on the struct vm, whatever stage of its start it is in. */
void vm_inspect(struct inspect *in, const void *vm);
