/* SPDX-License-Identifier: MIT */
/* Character streams behind serial ports. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * What a serial port asks of its other end. Both calls come with the port's lock held, on a VP
 * thread or on the thread that called into the port: they must not block and must not call back
 * into the port (post instead).
 */
struct char_backend {
	/* Take some of len bytes (len > 0). Returns how many; 0..len. A short count means: the port
	 * keeps the rest until its owner calls uart16550_tx_ready(). */
	size_t (*tx)(void *ctx, const uint8_t *buf, size_t len);
	/* May be NULL. The port has room again after uart16550_rx() took less than it was given. */
	void (*rx_room)(void *ctx);
	void *ctx;
};
