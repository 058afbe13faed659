/* SPDX-License-Identifier: MIT */
#pragma once

#include "macros.h"

/**
 * mounts_all - mount proc, sysfs, devtmpfs and devpts in their usual places
 * What is mounted already is left alone. Returns: 0, -errno of the first that failed (logged).
 */
must_check int mounts_all(void);
