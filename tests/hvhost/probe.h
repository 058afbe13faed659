/* SPDX-License-Identifier: MIT */
#pragma once

#include "macros.h"

/**
 * probe_kvm - can this machine's /dev/kvm run unmodified 64-bit guests at speed?
 * Looks for the vmx/svm CPU flag, then runs a few instructions of 64-bit guest code with paging in
 * a child process with a deadline, so that a broken KVM can neither hang nor kill the caller.
 * Returns: 0 usable; -errno with *ret_why = one clause for the user
 */
must_check int probe_kvm(const char **ret_why);
