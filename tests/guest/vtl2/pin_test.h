/* SPDX-License-Identifier: MIT */
/* What the parts of the pinning test share. Single thread, PID 1 of VTL2. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct io_uring;

/* One line of VTL2's log. */
void pin_say(const char *fmt, ...) printf_like(1, 2);

/* The verdict of one check, counted; @what names it. Returns @good. */
bool pin_check(bool good, const char *what, ...) printf_like(2, 3);

/* A mapping of VTL0's RAM made anew, placed like the daemon's; NULL: failed, reported. */
void *pin_map(gpa_t gpa, uint64_t len);

/* Switch of the kernel: mappings made from now on. */
void pin_switch(bool on);

/* Bytes that tell their place and round. */
void pin_fill(uint8_t *mem, size_t len, uint32_t seed);
bool pin_matches(const uint8_t *mem, size_t len, uint32_t seed);

/* One completion of the requests prepared in the ring: its result. */
int pin_complete(struct io_uring *ring);

/**
 * pin_disks - the same with block devices and NVMe namespaces, whose data is overwritten
 * @mem: mapping of @len >= 16 MiB of VTL0's RAM that may be pinned; @gpa: where it is
 * Devices appear within some seconds; none is a failure.
 */
void pin_disks(uint8_t *mem, gpa_t gpa, size_t len);
