/* SPDX-License-Identifier: MIT */
/*
 * Asking VPs to do something on their own threads, from the control loop, without waiting: each VP
 * asked is kicked out of VTL0, does it between two entries, and the answer is posted back. A VP
 * that never answers stays asked, and nothing else suffers.
 * Context: control thread, but for the visit itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"
#include "macros.h"
#include "vp_snap.h"

struct vps;
struct vp_visits;

/**
 * vp_visits_create - prepare visits of every VP
 * @take: each visit takes a snapshot; else it only shows that the VP has been round its loop
 * @done: on the control loop, once per vp_visit(), when the VP's answer is there
 * Returns: 0, -ENOMEM
 */
must_check int vp_visits_create(struct vps *vps, uint32_t n, struct loop *ctl, bool take,
				void (*done)(void *ctx), void *ctx, struct vp_visits **ret_visits);

/* After vps_stop(): the VPs hold on to it until then. Accepts NULL. */
void vp_visits_destroy(struct vp_visits *visits);

/* Ask one VP. If it was asked already and has not answered, that answer will do. */
void vp_visit(struct vp_visits *visits, vpidx_t vp);

/* Is an answer outstanding? */
bool vp_visit_pending(const struct vp_visits *visits, vpidx_t vp);

/* The last answer; NULL while one is outstanding, or when there was none. */
const struct vp_snap *vp_visit_snap(const struct vp_visits *visits, vpidx_t vp);
