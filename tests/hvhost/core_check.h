/* SPDX-License-Identifier: MIT */
/*
 * Looks a core file over, as a debugger will: headers, notes, that the file holds every byte that
 * its headers promise. Trust: the file is VTL2's: everything is checked, nothing is followed.
 */
#pragma once

#include <stddef.h>

#include "macros.h"

#define CORE_CHECK_TEXT 320

/**
 * core_check - what is in this core?
 * @fd: readable and seekable, from its start
 * @ret_text: one sentence, always: process, signal, threads, mappings, kernel log; or what is wrong
 * Returns: 0; -EBADMSG (damaged); -errno of reading
 */
must_check int core_check(int fd, char *ret_text, size_t cap);
