/* SPDX-License-Identifier: MIT */
/* Unix sockets that the front end listens on. */
#pragma once

#include "macros.h"

/**
 * listen_unix - listen on a path; a leftover of a killed run is replaced, one in use is not
 * Returns: an fd that does not block; -errno after printing one sentence.
 */
must_check int listen_unix(const char *path);
