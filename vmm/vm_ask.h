/* SPDX-License-Identifier: MIT */
/*
 * Inspect requests in the vm role. What the control thread knows is answered at once; where VPs
 * have to be asked (vp_visit.h) the request waits for them, up to its deadline, and a VP that has
 * not answered by then is an unresolved node. A small number may wait, one at a time is served.
 * Context: control thread. Trust: requests come from the control role, their contents from the
 * host.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "inspect.h"
#include "loop.h"
#include "macros.h"

struct vm_asks;
struct vp_visits;
struct vps;

/* Waiting for VPs; further ones are answered with nothing. */
#define VM_ASKS_MAX 8u
/* Longest wait for VPs, whatever the deadline. */
#define VM_ASK_WAIT_NS (2000ull * 1000000)
/* Memory one result may take. */
#define VM_ASK_BYTES (4u << 20)

struct vm_asks_cfg {
	struct loop *loop;
	enum inspect_sens max; /* nobody gets more, whatever the request says */
	inspect_fn root; /* names VPs as remote entries by their index */
	const void *obj;
	/* Encoded answer; len 0 = there is none. Exactly once per request. */
	void (*answer)(void *ctx, uint64_t id, const uint8_t *body, size_t len);
	void *ctx;
};

must_check int vm_asks_create(const struct vm_asks_cfg *cfg, struct vm_asks **ret_asks);

/* VPs exist (or are gone: NULL; waiting requests end). Returns: 0, -ENOMEM */
must_check int vm_asks_set_vps(struct vm_asks *asks, struct vps *vps, uint32_t n);

/* A request came. @body: as role_req.h. Returns: 0; -EBADMSG */
must_check int vm_asks_request(struct vm_asks *asks, uint64_t id, const uint8_t *body, size_t len);

/* After vps_stop(). Accepts NULL. */
void vm_asks_destroy(struct vm_asks *asks);
