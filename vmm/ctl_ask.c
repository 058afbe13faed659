/* SPDX-License-Identifier: MIT */
/* See ctl_ask.h. */
#include "ctl_ask.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "role_req.h"

#define LAST_LOOK_NS (50ull * 1000000)

struct ask {
	struct ask *next;
	struct ctl_asks *owner;
	void *call;
	uint64_t id, deadline_ns;
	struct loop_timer timer;
	bool flying; /* tree is there, and its first pending node was asked for */
	bool asked; /* that was done before the tree was made */
	bool looked; /* the deadline is over and the socket is looked at once more */
	struct inspect_tree tree;
	struct inspect_request req; /* its strings are in text */
	char text[];
};

struct ctl_asks {
	struct ctl_asks_cfg cfg;
	struct ask *list; /* oldest first */
	uint32_t n, n_flying;
	bool pumping;
	uint64_t last_id;
	uint64_t requests, refused, incomplete;
};

/* --- one request ------------------------------------------------------------------------------ */

static void unlink_ask(struct ctl_asks *asks, struct ask *ask)
{
	struct ask **at = &asks->list;

	while (*at != ask)
		at = &(*at)->next;
	*at = ask->next;
	asks->n--;
}

static void refuse(struct ctl_asks *asks, void *call, const char *why)
{
	asks->refused++;
	asks->cfg.refused(asks->cfg.ctx, call, why);
}

/* Answer with what there is. The request is no more. */
static void finish(struct ask *ask)
{
	struct ctl_asks *asks = ask->owner;
	struct inspect_node *node;

	loop_timer_cancel(&ask->timer);
	unlink_ask(asks, ask);
	asks->n_flying -= ask->flying;
	if (inspect_pending(&ask->tree))
		asks->incomplete++;
	while ((node = inspect_pending(&ask->tree)))
		inspect_graft(&ask->tree, node, NULL);
	asks->cfg.done(asks->cfg.ctx, ask->call, &ask->tree);
	inspect_tree_fini(&ask->tree);
	free(ask);
}

static int evaluate(struct ask *ask)
{
	const struct ctl_asks_cfg *cfg = &ask->owner->cfg;
	int r = inspect_run(&ask->req, cfg->root, cfg->obj, CTL_ASK_BYTES, &ask->tree);

	if (r == 0)
		return 0;
	loop_timer_cancel(&ask->timer);
	unlink_ask(ask->owner, ask);
	refuse(ask->owner, ask->call, r == -ENOMEM ? "out of memory" : "invalid request");
	free(ask);
	return r;
}

static int send_ask(struct ask *ask, const struct inspect_node *node)
{
	const struct ctl_asks_cfg *cfg = &ask->owner->cfg;
	struct inspect_request req = ask->req;
	uint8_t body[ROLE_REQ_MAX];

	req.path = node->pending.path;
	req.depth = node->pending.depth;
	ask->id = ++ask->owner->last_id;
	return cfg->send(cfg->ctx, ask->id, body, role_req_encode(&req, ask->deadline_ns, body));
}

/* The vm role works on its part while the rest is made here. */
static void ask_early(struct ask *ask)
{
	const struct ctl_asks_cfg *cfg = &ask->owner->cfg;
	struct inspect_node *node;
	struct inspect_tree tree;

	if (inspect_run(&ask->req, cfg->remote, cfg->obj, CTL_ASK_BYTES, &tree))
		return;
	node = inspect_pending(&tree);
	ask->asked = node && send_ask(ask, node) == 0;
	inspect_tree_fini(&tree);
}

/* Ask for the first node that is not there yet; where that fails it is unresolved. After the last
 * one the request is no more. */
static void advance(struct ask *ask)
{
	struct inspect_node *node;

	while ((node = inspect_pending(&ask->tree))) {
		if (ask->asked || send_ask(ask, node) == 0) {
			ask->asked = false;
			return;
		}
		ask->owner->incomplete++;
		inspect_graft(&ask->tree, node, NULL);
	}
	finish(ask);
}

/* --- all of them ------------------------------------------------------------------------------ */

static struct ask *first_waiting(struct ctl_asks *asks)
{
	struct ask *ask = asks->list;

	while (ask && ask->flying)
		ask = ask->next;
	return ask;
}

/* Requests that wait take the places that are free. A result may bring the next request with it. */
static void pump(struct ctl_asks *asks)
{
	struct ask *ask;

	if (asks->pumping)
		return;
	asks->pumping = true;
	while (asks->n_flying < CTL_ASKS_FLYING && (ask = first_waiting(asks))) {
		ask_early(ask);
		if (evaluate(ask))
			continue;
		ask->flying = true;
		asks->n_flying++;
		advance(ask);
	}
	asks->pumping = false;
}

static void on_timer(void *ctx)
{
	struct ask *ask = ctx;
	struct ctl_asks *asks = ask->owner;

	/* Making our own part may have taken until now, and the answer may lie in the socket. */
	if (ask->flying && !ask->looked) {
		ask->looked = true;
		loop_timer_arm(&ask->timer, loop_now_ns() + LAST_LOOK_NS);
		return;
	}
	if (ask->flying || evaluate(ask) == 0)
		finish(ask);
	pump(asks);
}

static struct ask *make_ask(struct ctl_asks *asks, void *call, const struct inspect_request *req,
			    uint64_t deadline_ns)
{
	const size_t path = strnlen(req->path, INSPECT_PATH_MAX);
	const size_t value = req->update ? strnlen(req->update, INSPECT_VALUE_MAX) : 0;
	const uint64_t latest = loop_now_ns() + CTL_ASK_WAIT_NS;
	struct ask *ask = calloc(1, sizeof(*ask) + path + value + 2);

	if (!ask)
		return NULL;
	ask->owner = asks;
	ask->call = call;
	ask->deadline_ns = MIN(deadline_ns, latest);
	ask->req = *req;
	memcpy(ask->text, req->path, path);
	ask->req.path = ask->text;
	if (req->update) {
		memcpy(ask->text + path + 1, req->update, value);
		ask->req.update = ask->text + path + 1;
	}
	loop_timer_init(&ask->timer, asks->cfg.loop, on_timer, ask);
	return ask;
}

static void enqueue(struct ctl_asks *asks, struct ask *ask)
{
	struct ask **at = &asks->list;

	while (*at)
		at = &(*at)->next;
	*at = ask;
	asks->n++;
	loop_timer_arm(&ask->timer, ask->deadline_ns);
}

void ctl_asks_inspect(struct ctl_asks *asks, void *call, const struct inspect_request *req,
		      uint64_t deadline_ns)
{
	struct ask *ask;

	asks->requests++;
	if (asks->n >= CTL_ASKS_MAX) {
		refuse(asks, call, "too many requests");
		return;
	}
	ask = make_ask(asks, call, req, deadline_ns);
	if (!ask) {
		refuse(asks, call, "out of memory");
		return;
	}
	enqueue(asks, ask);
	pump(asks);
}

void ctl_asks_answer(struct ctl_asks *asks, uint64_t id, const uint8_t *body, size_t len)
{
	struct inspect_tree tree;
	struct inspect_node *node;
	struct ask *ask = asks->list;

	while (ask && !(ask->flying && ask->id == id))
		ask = ask->next;
	node = ask ? inspect_pending(&ask->tree) : NULL;
	if (!node)
		return;
	if (inspect_decode(body, len, CTL_ASK_BYTES, &tree)) {
		asks->incomplete++;
		inspect_graft(&ask->tree, node, NULL);
	} else {
		inspect_graft(&ask->tree, node, &tree);
		inspect_tree_fini(&tree);
	}
	advance(ask);
	pump(asks);
}

void ctl_asks_flush(struct ctl_asks *asks)
{
	while (asks->list) {
		if (asks->list->flying || evaluate(asks->list) == 0)
			finish(asks->list);
	}
}

int ctl_asks_create(const struct ctl_asks_cfg *cfg, struct ctl_asks **ret_asks)
{
	struct ctl_asks *asks = calloc(1, sizeof(*asks));

	if (!asks)
		return -ENOMEM;
	asks->cfg = *cfg;
	*ret_asks = asks;
	return 0;
}

void ctl_asks_destroy(struct ctl_asks *asks)
{
	if (!asks)
		return;
	ctl_asks_flush(asks);
	free(asks);
}

void ctl_asks_inspect_self(struct inspect *in, const void *obj)
{
	const struct ctl_asks *asks = obj;

	inspect_count(in, SENS_UNSPEC, "requests", asks->requests);
	inspect_count(in, SENS_UNSPEC, "refused", asks->refused);
	inspect_count(in, SENS_UNSPEC, "incomplete", asks->incomplete);
	inspect_u64(in, SENS_UNSPEC, "waiting", asks->n - asks->n_flying);
	inspect_u64(in, SENS_UNSPEC, "flying", asks->n_flying);
}
