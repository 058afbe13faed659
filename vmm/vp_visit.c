/* SPDX-License-Identifier: MIT */
/* See vp_visit.h. A snapshot belongs to the VP from the asking until its answer has arrived. */
#include "vp_visit.h"

#include <errno.h>
#include <stdlib.h>

#include "vps.h"

struct visit {
	struct loop_work ask, answer;
	struct vp_visits *set;
	struct vcpu *v;
	struct vp_snap *snap; /* NULL: none is taken */
	bool pending, answered; /* control thread */
};

struct vp_visits {
	struct loop *ctl;
	void (*done)(void *ctx);
	void *ctx;
	uint32_t n;
	struct visit visit[];
};

/* On the VP's thread. */
static void on_ask(void *ctx)
{
	struct visit *vi = ctx;

	if (vi->snap)
		vp_snap_take(vi->v, vi->snap);
	loop_post(vi->set->ctl, &vi->answer);
}

static void on_answer(void *ctx)
{
	struct visit *vi = ctx;

	vi->pending = false;
	vi->answered = true;
	vi->set->done(vi->set->ctx);
}

int vp_visits_create(struct vps *vps, uint32_t n, struct loop *ctl, bool take,
		     void (*done)(void *ctx), void *ctx, struct vp_visits **ret_visits)
{
	struct vp_visits *set = calloc(1, sizeof(*set) + n * sizeof(set->visit[0]));

	if (!set)
		return -ENOMEM;
	set->ctl = ctl;
	set->done = done;
	set->ctx = ctx;
	set->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct visit *vi = &set->visit[i];

		vi->ask = (struct loop_work){ .fn = on_ask, .ctx = vi };
		vi->answer = (struct loop_work){ .fn = on_answer, .ctx = vi };
		vi->set = set;
		vi->v = vps_vcpu(vps, i);
		vi->snap = take ? calloc(1, sizeof(*vi->snap)) : NULL;
		if (take && !vi->snap) {
			vp_visits_destroy(set);
			return -ENOMEM;
		}
	}
	*ret_visits = set;
	return 0;
}

void vp_visits_destroy(struct vp_visits *visits)
{
	if (!visits)
		return;
	for (uint32_t i = 0; i < visits->n; i++)
		free(visits->visit[i].snap);
	free(visits);
}

void vp_visit(struct vp_visits *visits, vpidx_t vp)
{
	struct visit *vi = &visits->visit[vp];

	if (vi->pending)
		return;
	vi->pending = true;
	loop_post(vi->v->loop, &vi->ask); /* which makes it leave VTL0 */
}

bool vp_visit_pending(const struct vp_visits *visits, vpidx_t vp)
{
	return visits->visit[vp].pending;
}

const struct vp_snap *vp_visit_snap(const struct vp_visits *visits, vpidx_t vp)
{
	const struct visit *vi = &visits->visit[vp];

	return vi->answered && !vi->pending ? vi->snap : NULL;
}
