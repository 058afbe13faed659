/* SPDX-License-Identifier: MIT */
/*
 * The PC's pair of 8259A interrupt controllers with edge/level control registers.
 *
 * Complete in 8086 mode: fixed and rotating priority, special mask, special fully nested, auto-EOI,
 * poll. Not there: MCS-80 vectors, buffered mode (no effect on a PC), LTIM (ELCR took its place).
 * After reset everything is masked, as firmware would leave it.
 *
 * Locks: dev->lock, rank 3; the output line is driven with it held.
 * Trust: VTL0. Spec: Intel 8259A data sheet; Intel 82371AB data sheet (ELCR).
 */
#pragma once

#include <stdint.h>

#include "irqline.h"
#include "macros.h"

struct bus;
struct device;
struct pic;

struct pic_wiring {
	struct irq_line extint; /* INTR output: LINT0 of the boot processor */
};

/* Returns: 0, -ENOMEM. Destroy with device_destroy(pic_device(pic)). */
must_check int pic_create(const struct pic_wiring *w, struct pic **ret_pic);
struct device *pic_device(struct pic *pic);

/* Ports 0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1. Returns: as bus_claim(). */
must_check int pic_claim(struct pic *pic, struct bus *bus);

/* Inputs 0..15 without 2, where the second chip is; other numbers are ignored. */
const struct irq_sink *pic_sink(struct pic *pic);

/**
 * pic_ack - interrupt acknowledge: the processor takes the external interrupt
 * Returns: the vector; a spurious one (input 7) if the request has gone.
 * Context: the thread that injects, holding no lock of rank 3 or higher
 */
uint8_t pic_ack(struct pic *pic);
