/* SPDX-License-Identifier: MIT */
/*
 * 16550A serial port: 8 registers, 16-byte visible FIFO, modem lines, loopback, back-pressure.
 *
 * What is kept from the guest's point of view: THR empty (LSR bits 5 and 6) means that the back end
 * has taken everything, so a slow back end slows the guest down instead of losing its output; bytes
 * written in spite of that go to a 256-byte buffer, then are dropped and counted. The receive
 * buffer holds 256 bytes; the interrupt trigger levels are those of the 16-byte FIFO, and the
 * timeout indication comes at once.
 *
 * Locks: dev->lock, rank 1. Interrupt line and back end are called with it held.
 * Trust: VTL0 on the register side; back-end bytes are opaque. Spec: NS PC16550D data sheet;
 * chipset fact sheet, serial.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "irqline.h"
#include "macros.h"

struct char_backend;
struct device;
struct uart16550;

#define UART16550_PORTS 8u
#define UART16550_BUF_BYTES 256u

struct uart16550_cfg {
	const char *name; /* static string */
	/* Take input only while the guest asserts DTR and RTS: what arrives before its driver is up
	 * stays with the back end instead of being cleared with the FIFO. */
	bool wait_for_rts;
};

struct uart16550_wiring {
	struct irq_line irq;
	const struct char_backend *backend; /* NULL: nothing attached, output is discarded */
};

/**
 * uart16550_create - make a port; nothing is connected until uart16550_set_connected()
 * Returns: 0, -ENOMEM. Destroy with device_destroy(uart16550_device(u)).
 */
must_check int uart16550_create(const struct uart16550_cfg *cfg, const struct uart16550_wiring *w,
				struct uart16550 **ret_uart);
struct device *uart16550_device(struct uart16550 *u);

/**
 * uart16550_rx - bytes from the line
 * Returns: how many were taken, 0..len. After a short count the back end's rx_room is called once
 * there is room again.
 * Context: any thread, not from inside a back-end call
 */
size_t uart16550_rx(struct uart16550 *u, const uint8_t *buf, size_t len);

/* The back end can take more: called after a short tx. Any thread, not inside a back-end call. */
void uart16550_tx_ready(struct uart16550 *u);

/* Carrier: somebody is at the other end. Sets DCD, CTS and DSR; losing it drops unsent output. */
void uart16550_set_connected(struct uart16550 *u, bool connected);
