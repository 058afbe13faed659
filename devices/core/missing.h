/* SPDX-License-Identifier: MIT */
/*
 * A stub for hardware that a guest may look for and that is known to be absent: reads give all
 * ones, writes are dropped, nothing is logged. One stub can hold any number of claims.
 */
#pragma once

#include "macros.h"

struct device;

/**
 * missing_create - make a stub
 * @name: static string
 * Returns: 0, -ENOMEM. Destroy with device_destroy().
 */
must_check int missing_create(const char *name, struct device **ret_dev);
