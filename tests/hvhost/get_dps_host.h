/* SPDX-License-Identifier: MIT */
/* The platform settings this host sends. Spec: spec/get-vmgs.md chapter 6. */
#pragma once

#include "get_host.h"

/**
 * get_dps_host_json - settings, version 2, complete
 * Returns: malloc'ed text, NULL on lack of memory
 */
char *get_dps_host_json(const struct get_host_cfg *cfg);
