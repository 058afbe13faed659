/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log as an ELF note, the way readers of these cores expect it: always the same size,
 * records as /dev/kmsg gives them one after the other, oldest first; when there are more than fit,
 * the oldest go. Context: any one thread. Spec: spec/diag.md 7.2.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "crash_proto.h"
#include "macros.h"

/**
 * kmsg_note_make - fill in the note around text that lies at its place
 * @note: KMSG_NOTE_BYTES bytes; the text, at most KMSG_NOTE_TEXT_MAX bytes, at KMSG_NOTE_HEAD
 * What follows the text becomes zero.
 */
void kmsg_note_make(uint8_t *note, size_t text_len);

/**
 * kmsg_note_read - the whole note from the kernel's log
 * @fd: open for reading, non-blocking, every read gives one record (/dev/kmsg)
 * @note: KMSG_NOTE_BYTES bytes. Always a valid note afterwards, empty if the log cannot be read.
 * Returns: 0; -errno of the read that ended it early
 */
must_check int kmsg_note_read(int fd, uint8_t *note);
