/* SPDX-License-Identifier: MIT */
/* See vps.h. Start-up uses a plain mutex and condition; nothing of it is touched afterwards. */
#include "vps.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "regs.h"
#include "vp_loop.h"

#define LOG_AREA "vps"

#define THREAD_STACK_BYTES (256u * 1024)
/* Disk requests of one visit go to the kernel in batches of so many; 512 completions fit. With 256
 * the rings would take 64 KiB of VTL2's memory per VP instead of 32, and a batch gain nothing. */
#define LOOP_ENTRIES 128u
#define MAX_CPUS 4096u

struct vp_thread {
	struct vcpu v;
	struct vps *set;
	pthread_t thread;
	bool started; /* the thread exists and must be joined */
	vpidx_t idx;
};

struct vps {
	struct vps_cfg cfg;
	struct vp_thread *t; /* cfg.n of them, cache-line aligned */
	pthread_mutex_t lock; /* protects: ready, err; rank: leaf */
	pthread_cond_t cond;
	uint32_t ready;
	int err;
};

/* --- on the VP's thread ----------------------------------------------------------------------- */

static int pin_to_cpu(uint32_t cpu)
{
	unsigned long mask[MAX_CPUS / (8 * sizeof(unsigned long))] = { 0 };
	const unsigned int bits = 8 * sizeof(unsigned long);

	if (cpu >= MAX_CPUS)
		return -E2BIG;
	mask[cpu / bits] = 1ul << cpu % bits;
	if (sched_setaffinity(0, sizeof(mask), (const cpu_set_t *)(const void *)mask) < 0)
		return -errno;
	return 0;
}

static int write_regs(struct vp *vp, const struct load_regs *regs)
{
	for (unsigned int i = 0; i < regs->n; i++) {
		int r = regs_set(vp, regs->r[i].name, &regs->r[i].val);

		if (r < 0 && !regs->r[i].optional) {
			log_err(ALLOWED, "VTL0 register %#x not accepted (%d)", regs->r[i].name, r);
			return r;
		}
		if (r < 0)
			log_info(ALLOWED, "VTL0 register %#x not accepted (%d), going on",
				 regs->r[i].name, r);
	}
	return 0;
}

/* VP 0 gets the loader's registers; the others wait for INIT and SIPI of VTL0. */
static int init_vtl0_state(struct vp_thread *t)
{
	if (t->idx == 0)
		return write_regs(&t->v.vp, t->set->cfg.bsp_regs);
	return regs_set64(&t->v.vp, HVREG_ACTIVITY_STATE, HV_ACTIVITY_STARTUP_SUSPEND);
}

static int prepare(struct vp_thread *t)
{
	const struct vps_cfg *cfg = &t->set->cfg;
	struct loop *loop;
	char name[16];
	int r;

	(void)snprintf(name, sizeof(name), "vp-%u", t->idx);
	(void)pthread_setname_np(pthread_self(), name);
	r = pin_to_cpu(t->idx);
	if (r < 0)
		return r;
	r = loop_create_io(LOOP_ENTRIES, true, &loop);
	if (r < 0)
		return r;
	if (t->idx == 0)
		log_info(ALLOWED, "the loop of each VP is on %s, its rings take %zu KiB",
			 loop_backend(loop), loop_memory(loop) / 1024);
	r = vcpu_init(&t->v, cfg->env, loop);
	if (r < 0) {
		loop_destroy(loop);
		t->v.loop = NULL;
		return r;
	}
	vcpu_set_current(&t->v);
	atomic_store(&t->v.paused, true);
	r = vp_open(&t->v.vp, cfg->vtl_fd, t->idx, cfg->register_page);
	t->v.vp.entry_actions = cfg->entry_actions;
	if (r == 0)
		r = mshv_set_poll_file(cfg->vtl_fd, t->idx, loop_ring_fd(loop));
	if (r == 0)
		r = init_vtl0_state(t);
	return r;
}

static void report_ready(struct vps *set, vpidx_t idx, int err)
{
	if (err)
		log_err(ALLOWED, "vp %u: cannot start (%d)", idx, err);
	(void)pthread_mutex_lock(&set->lock);
	set->ready++;
	if (err && !set->err)
		set->err = err;
	(void)pthread_cond_signal(&set->cond);
	(void)pthread_mutex_unlock(&set->lock);
}

/* Sleep until VTL0 may be entered or the thread is to end. */
static int wait_for_go(struct vcpu *v)
{
	while (atomic_load(&v->paused) && !atomic_load(&v->stop)) {
		int r = loop_wait(v->loop);

		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

static void *vp_main(void *arg)
{
	struct vp_thread *t = arg;
	const struct vps_cfg *cfg = &t->set->cfg;
	int r = prepare(t);

	report_ready(t->set, t->idx, r);
	if (r)
		return NULL;
	r = wait_for_go(&t->v);
	if (r == 0 && t->idx == 0 && !atomic_load(&t->v.stop))
		cfg->first_entry(cfg->ctx);
	if (r == 0)
		r = vp_loop_run(&t->v);
	if (r)
		cfg->failed(cfg->ctx, t->idx, r);
	return NULL;
}

/* --- on the control thread -------------------------------------------------------------------- */

/* @ret_n: threads that exist, also on failure */
static int start_threads(struct vps *set, uint32_t *ret_n)
{
	pthread_attr_t attr;
	int r = 0;

	*ret_n = 0;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
	for (uint32_t i = 0; i < set->cfg.n && r == 0; i++) {
		struct vp_thread *t = &set->t[i];

		t->set = set;
		t->idx = i;
		r = -pthread_create(&t->thread, &attr, vp_main, t);
		t->started = r == 0;
		*ret_n += t->started;
	}
	(void)pthread_attr_destroy(&attr);
	return r;
}

static int wait_ready(struct vps *set, uint32_t n)
{
	int r;

	(void)pthread_mutex_lock(&set->lock);
	while (set->ready < n)
		(void)pthread_cond_wait(&set->cond, &set->lock);
	r = set->err;
	(void)pthread_mutex_unlock(&set->lock);
	return r;
}

static struct vps *alloc_set(const struct vps_cfg *cfg)
{
	struct vps *set = calloc(1, sizeof(*set));
	void *t = NULL;

	if (!set)
		return NULL;
	if (posix_memalign(&t, _Alignof(struct vp_thread), cfg->n * sizeof(struct vp_thread))) {
		free(set);
		return NULL;
	}
	memset(t, 0, cfg->n * sizeof(struct vp_thread));
	set->t = t;
	set->cfg = *cfg;
	(void)pthread_mutex_init(&set->lock, NULL);
	(void)pthread_cond_init(&set->cond, NULL);
	return set;
}

int vps_start(const struct vps_cfg *cfg, struct vps **ret_vps)
{
	struct vps *set = alloc_set(cfg);
	uint32_t n;
	int r, err;

	if (!set)
		return -ENOMEM;
	err = start_threads(set, &n);
	r = wait_ready(set, n);
	if (r == 0)
		r = err;
	if (r) {
		vps_stop(set);
		return r;
	}
	*ret_vps = set;
	return 0;
}

static void set_paused(struct vps *vps, bool paused)
{
	for (uint32_t i = 0; i < vps->cfg.n; i++) {
		struct vcpu *v = &vps->t[i].v;

		atomic_store_explicit(&v->paused, paused, memory_order_release);
		vcpu_kick(v);
	}
}

void vps_resume(struct vps *vps)
{
	set_paused(vps, false);
}

void vps_pause(struct vps *vps)
{
	set_paused(vps, true);
}

static void stop_one(struct vp_thread *t)
{
	if (!t->started)
		return;
	atomic_store_explicit(&t->v.stop, true, memory_order_release);
	vcpu_kick(&t->v);
	(void)pthread_join(t->thread, NULL);
	if (t->v.vp.run)
		vp_close(&t->v.vp);
	loop_destroy(t->v.loop);
	vcpu_fini(&t->v);
}

void vps_stop(struct vps *vps)
{
	if (!vps)
		return;
	for (uint32_t i = 0; i < vps->cfg.n; i++)
		stop_one(&vps->t[i]);
	(void)pthread_mutex_destroy(&vps->lock);
	(void)pthread_cond_destroy(&vps->cond);
	free(vps->t);
	free(vps);
}

struct vcpu *vps_vcpu(struct vps *vps, vpidx_t vp)
{
	return vp < vps->cfg.n ? &vps->t[vp].v : NULL;
}

void vps_exits(struct vps *vps, uint64_t ret_exits[EXIT_KINDS])
{
	memset(ret_exits, 0, sizeof(ret_exits[0]) * EXIT_KINDS);
	for (uint32_t i = 0; i < vps->cfg.n; i++) {
		for (unsigned int k = 0; k < EXIT_KINDS; k++)
			ret_exits[k] += atomic_load_explicit(&vps->t[i].v.exits[k],
							     memory_order_relaxed);
	}
}
