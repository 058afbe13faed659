/* SPDX-License-Identifier: MIT */
/*
 * VTL2's console: a 16550 at port 0x3e8, enough for polled and console output of Linux's driver and
 * for polled input. No interrupts. Locked inside: VPs and the device thread may call at once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define COM3_BASE 0x3e8
#define COM3_PORTS 8

struct com3;

/**
 * com3_create - @out_fd: where text goes, -1 for nowhere; never waited for
 * Returns: 0, -ENOMEM
 */
must_check int com3_create(int out_fd, struct com3 **ret_c);
void com3_destroy(struct com3 *c); /* accepts NULL; writes the unfinished line */

uint8_t com3_read(struct com3 *c, unsigned int reg);
void com3_write(struct com3 *c, unsigned int reg, uint8_t val);

/* Bytes typed at the console; what does not fit is dropped. */
void com3_input(struct com3 *c, const uint8_t *buf, size_t len);
