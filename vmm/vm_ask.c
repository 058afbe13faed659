/* SPDX-License-Identifier: MIT */
/* See vm_ask.h. */
#include "vm_ask.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "role_req.h"
#include "vp_visit.h"

struct ask {
	struct ask *next;
	uint64_t id, until_ns;
	struct role_req req;
	struct inspect_tree tree;
};

struct vm_asks {
	struct vm_asks_cfg cfg;
	struct vp_visits *visits; /* NULL: no VPs */
	uint32_t n_vps;
	struct ask *first; /* the one being served, and those behind it */
	uint32_t n;
	struct loop_timer timer;
};

static void reply(struct vm_asks *asks, uint64_t id, struct inspect_tree *tree)
{
	auto_free uint8_t *buf = NULL;
	size_t len;

	if (inspect_encode(tree, &buf, &len))
		len = 0;
	asks->cfg.answer(asks->cfg.ctx, id, buf, len);
	inspect_tree_fini(tree);
}

/* --- what VPs have to say --------------------------------------------------------------------- */

/*
 * Do something with every VP that a pending node of the tree stands for. The nodes are our own and
 * no deeper than INSPECT_NEST_MAX.
 */
static bool each_vp(struct vm_asks *asks, const struct inspect_node *node,
		    bool (*fn)(struct vm_asks *asks, vpidx_t vp))
{
	bool all = true;

	if (node->kind == INSPECT_PENDING && node->pending.remote < asks->n_vps)
		return fn(asks, node->pending.remote);
	if (node->kind != INSPECT_DIR)
		return true;
	for (const struct inspect_node *c = node->child; c; c = c->next)
		all = each_vp(asks, c, fn) && all;
	return all;
}

static bool visit(struct vm_asks *asks, vpidx_t vp)
{
	vp_visit(asks->visits, vp);
	return true;
}

static bool has_answered(struct vm_asks *asks, vpidx_t vp)
{
	return !vp_visit_pending(asks->visits, vp);
}

/* Put a VP's answer in the place of its node. */
static void settle(struct vm_asks *asks, struct ask *ask, struct inspect_node *node)
{
	const struct vp_snap *snap = NULL;
	struct inspect_request req = ask->req.req;
	struct inspect_tree sub;

	if (asks->visits && node->pending.remote < asks->n_vps)
		snap = vp_visit_snap(asks->visits, node->pending.remote);
	req.path = node->pending.path;
	req.depth = node->pending.depth;
	if (!snap || inspect_run(&req, vp_snap_inspect, snap, VM_ASK_BYTES, &sub)) {
		inspect_graft(&ask->tree, node, NULL);
		return;
	}
	inspect_graft(&ask->tree, node, &sub);
	inspect_tree_fini(&sub);
}

static void serve_first(struct vm_asks *asks);

static void finish_first(struct vm_asks *asks)
{
	struct ask *ask = asks->first;
	struct inspect_node *node;

	loop_timer_cancel(&asks->timer);
	asks->first = ask->next;
	asks->n--;
	while ((node = inspect_pending(&ask->tree)))
		settle(asks, ask, node);
	reply(asks, ask->id, &ask->tree);
	free(ask);
	serve_first(asks);
}

static void on_timer(void *ctx)
{
	finish_first(ctx);
}

static void on_visited(void *ctx)
{
	struct vm_asks *asks = ctx;

	if (asks->first && each_vp(asks, asks->first->tree.root, has_answered))
		finish_first(asks);
}

static void serve_first(struct vm_asks *asks)
{
	struct ask *ask = asks->first;

	if (!ask)
		return;
	if (!asks->visits) {
		finish_first(asks);
		return;
	}
	(void)each_vp(asks, ask->tree.root, visit);
	loop_timer_arm(&asks->timer, ask->until_ns);
	on_visited(asks); /* nobody had to be asked */
}

/* --- requests --------------------------------------------------------------------------------- */

/* Leaves a quarter of the time for the way back. */
static uint64_t wait_until(uint64_t deadline_ns)
{
	const uint64_t now = loop_now_ns();
	uint64_t left = deadline_ns > now ? deadline_ns - now : 0;

	left -= left / 4;
	return now + MIN(left, VM_ASK_WAIT_NS);
}

static void enqueue(struct vm_asks *asks, struct ask *ask)
{
	struct ask **at = &asks->first;

	while (*at)
		at = &(*at)->next;
	*at = ask;
	asks->n++;
	if (asks->first == ask)
		serve_first(asks);
}

int vm_asks_request(struct vm_asks *asks, uint64_t id, const uint8_t *body, size_t len)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	int r;

	if (!ask) {
		asks->cfg.answer(asks->cfg.ctx, id, NULL, 0);
		return 0;
	}
	r = role_req_decode(body, len, &ask->req);
	if (r) {
		free(ask);
		return r;
	}
	ask->id = id;
	ask->until_ns = wait_until(ask->req.deadline_ns);
	ask->req.req.max = MIN(ask->req.req.max, asks->cfg.max);
	r = inspect_run(&ask->req.req, asks->cfg.root, asks->cfg.obj, VM_ASK_BYTES, &ask->tree);
	if (r == 0 && inspect_pending(&ask->tree) && asks->n < VM_ASKS_MAX) {
		enqueue(asks, ask);
		return 0;
	}
	if (r || inspect_pending(&ask->tree)) {
		asks->cfg.answer(asks->cfg.ctx, id, NULL, 0);
		if (r == 0)
			inspect_tree_fini(&ask->tree);
	} else {
		reply(asks, id, &ask->tree);
	}
	free(ask);
	return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

int vm_asks_create(const struct vm_asks_cfg *cfg, struct vm_asks **ret_asks)
{
	struct vm_asks *asks = calloc(1, sizeof(*asks));

	if (!asks)
		return -ENOMEM;
	asks->cfg = *cfg;
	loop_timer_init(&asks->timer, cfg->loop, on_timer, asks);
	*ret_asks = asks;
	return 0;
}

int vm_asks_set_vps(struct vm_asks *asks, struct vps *vps, uint32_t n)
{
	struct vp_visits *gone = asks->visits;
	int r = 0;

	asks->visits = NULL;
	asks->n_vps = 0;
	while (asks->first)
		finish_first(asks);
	vp_visits_destroy(gone);
	if (vps)
		r = vp_visits_create(vps, n, asks->cfg.loop, true, on_visited, asks, &asks->visits);
	if (vps && r == 0)
		asks->n_vps = n;
	return r;
}

void vm_asks_destroy(struct vm_asks *asks)
{
	if (!asks)
		return;
	while (asks->first) {
		struct ask *ask = asks->first;

		asks->first = ask->next;
		inspect_tree_fini(&ask->tree);
		free(ask);
	}
	loop_timer_cancel(&asks->timer);
	vp_visits_destroy(asks->visits);
	free(asks);
}
