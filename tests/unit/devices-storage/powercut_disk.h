/* SPDX-License-Identifier: MIT */
/* The disk under test_powercut.c: there are two programs, each with another one. */
#pragma once

#include "diskio.h"

/* The disk whose medium is the file @path. Aborts the test on failure. */
struct disk *powercut_disk(const char *path);
