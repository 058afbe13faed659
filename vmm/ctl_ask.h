/* SPDX-License-Identifier: MIT */
/*
 * Inspect requests in the control role: what this role knows is answered here, what the vm role
 * knows is asked there, with the request's deadline. When that is over the answer goes out with
 * what there is. A few requests are in flight at once, some more wait, and beyond that they are
 * refused.
 * Context: loop thread. Trust: requests are the host's, answers the vm role's; checked.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "inspect.h"
#include "loop.h"
#include "macros.h"

struct ctl_asks;

#define CTL_ASKS_FLYING 4u /* with results in memory */
#define CTL_ASKS_MAX 128u /* with those that wait */
/* Longest wait for the vm role, whatever the deadline. */
#define CTL_ASK_WAIT_NS (10ull * 1000000000)
/* Memory one result may take. */
#define CTL_ASK_BYTES (4u << 20)

struct ctl_asks_cfg {
	struct loop *loop;
	inspect_fn root; /* every remote entry is the vm role's */
	inspect_fn
		remote; /* names just the remote entry: it is asked for before the rest is made */
	const void *obj;
	/* Send ROLE_INSPECT. Returns: 0, -errno */
	int (*send)(void *ctx, uint64_t id, const uint8_t *body, size_t len);
	/* The result of a request; the tree is emptied. Exactly once for each. */
	void (*done)(void *ctx, void *call, struct inspect_tree *tree);
	void (*refused)(void *ctx, void *call, const char *why);
	void *ctx;
};

must_check int ctl_asks_create(const struct ctl_asks_cfg *cfg, struct ctl_asks **ret_asks);

/**
 * ctl_asks_inspect - answer a request
 * @call: handed back with the result, which may come before this returns
 * @deadline_ns: CLOCK_MONOTONIC; UINT64_MAX = none
 */
void ctl_asks_inspect(struct ctl_asks *asks, void *call, const struct inspect_request *req,
		      uint64_t deadline_ns);

/* The vm role answered. Late ones and unknown ones are ignored. */
void ctl_asks_answer(struct ctl_asks *asks, uint64_t id, const uint8_t *body, size_t len);

/* The vm role is gone: finish everything with what there is. */
void ctl_asks_flush(struct ctl_asks *asks);

/* Accepts NULL. Finishes everything first. */
void ctl_asks_destroy(struct ctl_asks *asks);

/* Requests so far, and how many of them were refused or went out incomplete: an inspect_fn. */
void ctl_asks_inspect_self(struct inspect *in, const void *asks);
