/* SPDX-License-Identifier: MIT */
/* Power transitions that a guest asks for through a device. */
#pragma once

/*
 * Called on the VP thread of the access, possibly with a device lock held: note the request (first
 * one wins), post, return. The VP may run on until the owner stops it. No member may be NULL.
 */
struct power_ops {
	void (*power_off)(void *ctx); /* S5 */
	void (*reset)(void *ctx); /* full reset of the guest */
	void (*hibernate)(void *ctx); /* S4: power off, the guest's memory image is on its disk */
	void *ctx;
};
