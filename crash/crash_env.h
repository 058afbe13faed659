/* SPDX-License-Identifier: MIT */
/*
 * Settings of the dump programs. The kernel starts its core helper without an environment, and a
 * client of the diagnostics server may choose one: what counts is what PID 1 was given, which comes
 * from the kernel's command line. Context: start of the program, before threads exist.
 */
#pragma once

#include <stdbool.h>

#include "macros.h"

/**
 * crash_env_import - take OPENHCL_* and UNDERHILL_* from another process's environment
 * @path: /proc/1/environ
 * The names that decide about confidentiality are taken from there alone.
 * Returns: 0; -errno (it could not be read: then nothing may leave this machine)
 */
must_check int crash_env_import(const char *path);

/* May this program dump anything at all? Takes the decision of confid.h on PID 1's environment. */
bool crash_env_dumps_allowed(void);

/* Is the variable "1" or "true"? */
bool crash_env_is_set(const char *name);

/* A number between @min and @max, or @otherwise. */
unsigned crash_env_number(const char *name, unsigned min, unsigned max, unsigned otherwise);
