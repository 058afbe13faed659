/* SPDX-License-Identifier: MIT */
/* Shared by the files of the VPCI server; nobody else includes this. */
#pragma once

#include <stdatomic.h>

#include "loop.h"
#include "ring.h"
#include "vpci.h"
#include "vpci_proto.h"

#define VPCI_MSGS 128u /* more than PCI_MSIX_MAX: a client may make new ones before it deletes */

/* Longest request, longest reply (messages are limited to what a function has). */
#define VPCI_REQUEST_MAX (sizeof(struct vpci_assigned) + VPCI_MAX_MSI * VPCI_MSI3_BYTES)
#define VPCI_REPLY_MAX (uint32_t)(sizeof(struct vpci_assigned) + PCI_MSIX_MAX * VPCI_MSI2_BYTES)

#define VPCI_WINDOW_ON 1u /* bit 0 of the (page aligned) window address: the bus is in D0 */

/* Where a message goes: one word, so that senders and retargets need no lock. */
#define TARGET_VALID BIT(63)
#define TARGET_GEN(t) ((uint16_t)((t) >> 32)) /* tells users of one index apart */
#define TARGET_DEST(t) ((uint32_t)((t) >> 16) & 0x7fffu)
#define TARGET_VECTOR(t) ((uint32_t)(t)&0xffu)
#define TARGET(gen, dest, vector) \
	(TARGET_VALID | (uint64_t)(gen) << 32 | (uint64_t)(dest) << 16 | (vector))

struct vpci {
	struct vpci_cfg cfg;
	struct vmbus_chan *ch;
	struct loop_work more;
	bool open, broken, ejecting, leave, released;
	uint32_t version; /* 0: not agreed yet */
	uint16_t gen; /* of the next message */
	uint64_t received, sent, bad;
	void (*done)(void *ctx);
	void *done_ctx;

	_Atomic uint64_t window; /* address | VPCI_WINDOW_ON, or 0 */
	_Atomic uint32_t slot; /* selected through the window */
	_Atomic uint64_t target[VPCI_MSGS];
	_Atomic uint64_t retargets;

	_Alignas(8) uint8_t buf[VPCI_REQUEST_MAX]; /* the request being handled: a private copy */
	uint8_t reply[VPCI_REPLY_MAX];
};

/* vpci.c: append a message, or the answer if the client wants one. */
void vpci_send(struct vpci *v, const void *msg, size_t len);
void vpci_complete(struct vpci *v, const struct ring_pkt *pkt, const void *reply, size_t len);

/* vpci_msg.c: do what the packet in v->buf asks for. */
void vpci_handle(struct vpci *v, const struct ring_pkt *pkt);

/* A message as the client asked for it, of whatever version. */
struct vpci_want {
	uint32_t vector;
	uint8_t mode;
	uint16_t count;
	uint32_t vp;
};

/**
 * vpci_msg_create - make a message; vpci_msg_delete, vpci_msg_clear - forget one, or all
 * Returns: 0; -EINVAL (what was asked for); -ENOSPC. -ENOENT: no such message.
 */
must_check int vpci_msg_create(struct vpci *v, const struct vpci_want *want,
			       struct vpci_remapped *ret_msi);
must_check int vpci_msg_delete(struct vpci *v, uint64_t addr, uint32_t data);
void vpci_msg_clear(struct vpci *v);

/* struct pci_remap */
bool vpci_msg_remap(void *ctx, uint64_t *addr, uint32_t *data);
