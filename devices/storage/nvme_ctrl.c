/* SPDX-License-Identifier: MIT */
/*
 * The controller as a whole: namespaces, the state machine behind CC and CSTS, and the visits that
 * do all work on the loop. Registers are in nvme_regs.c.
 */
#include "ckd.h"
#include "crc.h"
#include "inspect.h"
#include "log.h"
#include "nvme_regs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LOG_AREA "nvme"

void nvme_kick(struct nvme_ctrl *c)
{
	loop_post(c->cfg.loop, &c->kick);
}

static void csts_set(struct nvme_ctrl *c, uint32_t val)
{
	atomic_store_explicit(&c->regs.csts, val, memory_order_release);
}

static uint32_t csts(const struct nvme_ctrl *c)
{
	return atomic_load_explicit(&c->regs.csts, memory_order_relaxed);
}

void nvme_fail(struct nvme_ctrl *c, const char *why)
{
	if (c->state != NVME_RUNNING && c->state != NVME_OFF)
		return;
	log_warn_rl(ALLOWED, "%s: fatal: %s", c->name, why);
	c->state = NVME_FAILED;
	csts_set(c, csts(c) | NVME_CSTS_CFS);
}

/* ---- namespaces ------------------------------------------------------------------------------ */

struct nvme_ns *nvme_ns_find(struct nvme_ctrl *c, uint32_t nsid)
{
	return nsid && nsid <= NVME_CTRL_MAX_NS ? c->ns[nsid - 1] : NULL;
}

static void tell_changed(struct nvme_ctrl *c, uint32_t nsid)
{
	c->changed |= BIT(nsid - 1);
	nvme_kick(c);
}

static void disk_changed(void *ctx)
{
	struct nvme_ns *ns = ctx;

	disk_info(ns->disk, &ns->info);
	tell_changed(ns->c, ns->nsid);
}

static void flush_done(struct disk_req *dr)
{
	struct nvme_ns *ns = dr->ctx;
	struct nvme_ctrl *c = ns->c;

	ns->flushing = false;
	c->inflight--;
	if (c->shutdown_left)
		c->shutdown_left--;
	if (dr->status != NVME_OK)
		log_warn_rl(ALLOWED, "%s: namespace %u: flush at shutdown: status %#x", c->name,
			    ns->nsid, dr->status);
	nvme_kick(c);
}

static bool info_ok(const struct disk_info *i)
{
	return i->block_size >= 512 && i->block_size <= KEEL_PAGE_SIZE &&
	       is_aligned(i->block_size, i->block_size);
}

int nvme_ctrl_attach(struct nvme_ctrl *c, uint32_t nsid, struct disk *d)
{
	struct nvme_ns *ns;
	int r;

	if (!nsid || nsid > NVME_CTRL_MAX_NS)
		return -EINVAL;
	if (c->ns[nsid - 1])
		return -EEXIST;
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return -ENOMEM;
	*ns = (struct nvme_ns){ .c = c, .nsid = nsid, .disk = d };
	disk_info(d, &ns->info);
	r = info_ok(&ns->info) ? disk_queue_create(d, c->cfg.loop, c->n_reqs + 1, &ns->q) : -EINVAL;
	if (r < 0) {
		free(ns);
		return r;
	}
	ns->shift = (uint8_t)__builtin_ctz(ns->info.block_size);
	c->ns[nsid - 1] = ns;
	disk_watch(d, c->cfg.loop, disk_changed, ns);
	tell_changed(c, nsid);
	return 0;
}

int nvme_ctrl_detach(struct nvme_ctrl *c, uint32_t nsid)
{
	struct nvme_ns *ns = nvme_ns_find(c, nsid);

	if (!ns)
		return -ENOENT;
	c->ns[nsid - 1] = NULL;
	ns->gone = true;
	list_add_tail(&c->gone, &ns->link);
	disk_watch(ns->disk, c->cfg.loop, NULL, NULL);
	disk_queue_abort(ns->q);
	tell_changed(c, nsid);
	return 0;
}

/* Free detached namespaces that nothing is in flight for. Not inside a callback of a disk. */
static void reap_gone(struct nvme_ctrl *c)
{
	for (struct list *l = c->gone.next, *next; l != &c->gone; l = next) {
		struct nvme_ns *ns = container_of(l, struct nvme_ns, link);

		next = l->next;
		if (ns->inflight || ns->flushing)
			continue;
		list_del(l);
		disk_queue_destroy(ns->q);
		disk_put(ns->disk);
		free(ns);
	}
}

/* ---- states ---------------------------------------------------------------------------------- */

static void begin_reset(struct nvme_ctrl *c)
{
	c->count.resets++;
	c->gen++; /* what is in flight is dead: it ends, but tells nobody */
	nvme_clear_queues(c);
	nvme_features_reset(c);
	c->n_aer = 0;
	c->changed = 0;
	c->changed_told = c->error_told = false;
	c->bad_doorbell = 0;
	loop_timer_cancel(&c->timer);
	for (unsigned i = 0; i < NVME_CTRL_MAX_NS; i++) {
		if (c->ns[i] && (c->ns[i]->inflight || c->ns[i]->flushing))
			disk_queue_abort(c->ns[i]->q);
	}
	c->state = NVME_DRAINING;
}

static const char *enable_admin(struct nvme_ctrl *c)
{
	const uint32_t cc = atomic_load(&c->regs.cc), aqa = atomic_load(&c->regs.aqa);
	const gpa_t asq = atomic_load(&c->regs.asq), acq = atomic_load(&c->regs.acq);
	const uint32_t sqs = (aqa & 0xfff) + 1, cqs = (aqa >> 16 & 0xfff) + 1;

	if (NVME_CC_MPS(cc) || NVME_CC_CSS(cc) || NVME_CC_AMS(cc))
		return "configuration that is not offered";
	if (sqs < 2 || cqs < 2 || asq % KEEL_PAGE_SIZE || acq % KEEL_PAGE_SIZE)
		return "admin queue sizes or addresses";
	if (nvme_cq_init(c, 0, acq, cqs, 0, true) < 0 || nvme_sq_init(c, 0, asq, sqs, 0) < 0)
		return "admin queues are not in memory";
	return NULL;
}

static void enable(struct nvme_ctrl *c)
{
	const char *why;

	if (atomic_load(&c->regs.fault) == NVME_FAULT_NOT_READY)
		return;
	for (unsigned w = 0; w < ARRAY_SIZE(c->regs.sq_rung); w++)
		atomic_store(&c->regs.sq_rung[w], 0);
	why = enable_admin(c);
	if (why) {
		nvme_fail(c, why);
		return;
	}
	c->state = NVME_RUNNING;
	csts_set(c, NVME_CSTS_RDY);
	log_debug(ALLOWED, "%s: enabled", c->name);
}

/* Everything the disks hold becomes durable before the driver is told. */
static void begin_shutdown(struct nvme_ctrl *c)
{
	csts_set(c, csts(c) | NVME_CSTS_SHST_BUSY);
	for (unsigned i = 0; i < NVME_CTRL_MAX_NS; i++) {
		struct nvme_ns *ns = c->ns[i];

		if (!ns || ns->flushing)
			continue;
		ns->flush = (struct disk_req){ .op = DISK_FLUSH, .done = flush_done, .ctx = ns };
		if (disk_submit(ns->q, &ns->flush) < 0)
			continue; /* cannot be: its place is kept free */
		ns->flushing = true;
		c->inflight++;
		c->shutdown_left++;
	}
}

static void shutdown_step(struct nvme_ctrl *c)
{
	const uint32_t shst = csts(c) & NVME_CSTS_SHST_MASK;

	if (!shst && NVME_CC_SHN(atomic_load(&c->regs.cc)))
		begin_shutdown(c);
	if ((csts(c) & NVME_CSTS_SHST_MASK) == NVME_CSTS_SHST_BUSY && !c->shutdown_left)
		csts_set(c, (csts(c) & ~(uint32_t)NVME_CSTS_SHST_MASK) | NVME_CSTS_SHST_DONE);
}

/* What the registers ask for. */
static void control(struct nvme_ctrl *c)
{
	if (atomic_exchange_explicit(&c->regs.reset, false, memory_order_acquire))
		begin_reset(c);
	if (c->state == NVME_DRAINING) {
		nvme_unpark(c);
		if (c->inflight)
			return;
		c->state = NVME_OFF;
		c->shutdown_left = 0;
		csts_set(c, 0);
	}
	if (c->state == NVME_OFF && !c->dying && (atomic_load(&c->regs.cc) & NVME_CC_EN))
		enable(c);
	if (c->state != NVME_FAILED)
		shutdown_step(c);
	if (c->state == NVME_RUNNING && !atomic_load(&c->regs.master) && c->inflight)
		nvme_fail(c, "bus mastering went off with commands in flight");
}

static void free_ctrl(struct nvme_ctrl *c)
{
	if (!c)
		return;
	pci_func_destroy(c->pci);
	if (c->sink && c->sink != MAP_FAILED)
		(void)munmap(c->sink, 2 * (size_t)NVME_MAX_DATA);
	free(c->reqs);
	free(c);
}

static void end(struct nvme_ctrl *c)
{
	void (*done)(void *ctx) = c->destroyed;
	void *ctx = c->destroyed_ctx;

	loop_timer_cancel(&c->timer);
	free_ctrl(c);
	if (done)
		done(ctx);
}

static void visit(void *ctx)
{
	struct nvme_ctrl *c = ctx;
	bool more = false;

	if (c->last) {
		end(c);
		return;
	}
	c->count.visits++;
	control(c);
	if (c->state == NVME_RUNNING && atomic_load(&c->regs.master)) {
		nvme_unpark(c);
		more = nvme_run_queues(c);
		nvme_events(c);
	}
	nvme_flush_irqs(c, false);
	reap_gone(c);
	if (c->dying && !c->inflight && list_empty(&c->gone)) {
		c->last = true; /* in a visit of its own: nothing posts this work after that */
		more = true;
	}
	if (more)
		nvme_kick(c);
}

static void coalesced(void *ctx)
{
	nvme_flush_irqs(ctx, true);
}

/* ---- making and ending ----------------------------------------------------------------------- */

static int fill_cfg(struct nvme_ctrl *c, const struct nvme_ctrl_cfg *cfg)
{
	if (!cfg->max_queues || cfg->max_queues > NVME_CTRL_MAX_QUEUES || !cfg->msix_vectors ||
	    cfg->msix_vectors > PCI_MSIX_MAX || !cfg->gm || !cfg->loop || !cfg->name)
		return -EINVAL;
	c->cfg = *cfg;
	(void)snprintf(c->name, sizeof(c->name), "%s", cfg->name);
	c->cfg.name = c->name;
	/* Two controllers of one name and number would be one subsystem for the driver. */
	if (!c->cfg.serial[0])
		(void)snprintf(c->cfg.serial, sizeof(c->cfg.serial), "%08x",
			       crc32_update(0, c->name, strlen(c->name)));
	if (!c->cfg.model[0])
		(void)snprintf(c->cfg.model, sizeof(c->cfg.model), "MSFT NVMe Accelerator v1.0");
	if (!c->cfg.subnqn[0])
		(void)snprintf(c->cfg.subnqn, sizeof(c->cfg.subnqn),
			       "nqn.2014-08.org.nvmexpress:keel:%s:%s", c->cfg.serial, c->name);
	return 0;
}

static int make_reqs(struct nvme_ctrl *c)
{
	c->n_reqs = MIN(64 + 64 * c->cfg.max_queues, 512);
	c->reqs = calloc(c->n_reqs, sizeof(c->reqs[0]));
	if (!c->reqs)
		return -ENOMEM;
	for (unsigned i = 0; i < c->n_reqs; i++)
		nvme_req_init(c, &c->reqs[i]);
	/* Address space only, until somebody uses bit buckets. */
	c->sink = mmap(NULL, 2 * (size_t)NVME_MAX_DATA, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->sink == MAP_FAILED)
		return -ENOMEM;
	c->zeros = (char *)c->sink + NVME_MAX_DATA;
	return 0;
}

int nvme_ctrl_create(const struct nvme_ctrl_cfg *cfg, struct nvme_ctrl **ret_c)
{
	struct nvme_ctrl *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	list_init(&c->free);
	list_init(&c->parked);
	list_init(&c->gone);
	r = fill_cfg(c, cfg);
	if (r == 0)
		r = make_reqs(c);
	if (r == 0)
		r = nvme_regs_create(c);
	if (r < 0) {
		free_ctrl(c);
		return r;
	}
	c->kick = (struct loop_work){ .fn = visit, .ctx = c };
	loop_timer_init(&c->timer, cfg->loop, coalesced, c);
	nvme_features_reset(c);
	*ret_c = c;
	return 0;
}

void nvme_ctrl_destroy(struct nvme_ctrl *c, void (*done)(void *ctx), void *ctx)
{
	c->destroyed = done;
	c->destroyed_ctx = ctx;
	c->dying = true;
	begin_reset(c);
	for (uint32_t nsid = 1; nsid <= NVME_CTRL_MAX_NS; nsid++) {
		if (c->ns[nsid - 1])
			(void)!nvme_ctrl_detach(c, nsid); /* it is there */
	}
	nvme_kick(c);
}

struct pci_func *nvme_ctrl_pci(struct nvme_ctrl *c)
{
	return c->pci;
}

void nvme_ctrl_fault(struct nvme_ctrl *c, enum nvme_ctrl_fault f)
{
	atomic_store(&c->regs.fault, (int)f);
	if (f == NVME_FAULT_GONE) {
		begin_reset(c);
		atomic_store(&c->regs.cc, 0);
	} else if (f == NVME_FAULT_FATAL) {
		nvme_fail(c, "as told");
	}
	nvme_kick(c);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static void inspect_sq(struct inspect *in, const void *obj)
{
	const struct nvme_sq *sq = obj;

	inspect_u64(in, SENS_UNSPEC, "cq", sq->cqid);
	inspect_u64(in, SENS_UNSPEC, "size", sq->size);
	inspect_u64(in, SENS_UNSPEC, "head", sq->head);
	inspect_u64(in, SENS_UNSPEC, "in_flight", sq->inflight);
	inspect_bool(in, SENS_UNSPEC, "deleting", sq->deleting);
	inspect_hex(in, SENS_SENSITIVE, "base", sq->base);
}

static void inspect_cq(struct inspect *in, const void *obj)
{
	const struct nvme_cq *cq = obj;

	inspect_u64(in, SENS_UNSPEC, "size", cq->size);
	inspect_u64(in, SENS_UNSPEC, "head", cq->head);
	inspect_u64(in, SENS_UNSPEC, "tail", cq->tail);
	inspect_bool(in, SENS_UNSPEC, "interrupts", cq->irq);
	inspect_u64(in, SENS_UNSPEC, "vector", cq->vector);
	inspect_hex(in, SENS_SENSITIVE, "base", cq->base);
}

static void inspect_queues(struct inspect *in, const void *obj)
{
	const struct nvme_ctrl *c = obj;
	char name[16];

	for (unsigned q = 0; q < NVME_QS; q++) {
		(void)snprintf(name, sizeof(name), "sq%u", q);
		if (c->sq[q].live)
			inspect_dir(in, SENS_UNSPEC, name, inspect_sq, &c->sq[q]);
		(void)snprintf(name, sizeof(name), "cq%u", q);
		if (c->cq[q].live)
			inspect_dir(in, SENS_UNSPEC, name, inspect_cq, &c->cq[q]);
	}
}

static void inspect_namespace(struct inspect *in, const void *obj)
{
	const struct nvme_ns *ns = obj;

	inspect_u64(in, SENS_UNSPEC, "in_flight", ns->inflight);
	inspect_dir(in, SENS_UNSPEC, "disk", disk_inspect, ns->disk);
}

static void inspect_all_ns(struct inspect *in, const void *obj)
{
	const struct nvme_ctrl *c = obj;

	for (unsigned i = 0; i < NVME_CTRL_MAX_NS; i++) {
		if (c->ns[i])
			inspect_dir_at(in, SENS_UNSPEC, i + 1, inspect_namespace, c->ns[i]);
	}
}

static void inspect_counts(struct inspect *in, const void *obj)
{
	const struct nvme_ctrl *c = obj;
	const struct nvme_counts *n = &c->count;

	inspect_count(in, SENS_UNSPEC, "commands", n->commands);
	inspect_count(in, SENS_UNSPEC, "admin_commands", n->admin);
	inspect_count(in, SENS_UNSPEC, "completions", n->completions);
	inspect_count(in, SENS_UNSPEC, "interrupts", n->interrupts);
	inspect_count(in, SENS_UNSPEC, "visits", n->visits);
	inspect_count(in, SENS_UNSPEC, "doorbells", atomic_load(&c->regs.doorbells));
	inspect_count(in, SENS_UNSPEC, "shadow_updates", n->shadow_updates);
	inspect_count(in, SENS_UNSPEC, "reads", n->reads);
	inspect_count(in, SENS_UNSPEC, "writes", n->writes);
	inspect_count(in, SENS_UNSPEC, "errors", n->errors);
	inspect_count(in, SENS_UNSPEC, "resets", n->resets);
}

void nvme_ctrl_inspect(struct inspect *in, const void *obj)
{
	static const char *const states[] = { [NVME_OFF] = "off",
					      [NVME_RUNNING] = "running",
					      [NVME_FAILED] = "failed",
					      [NVME_DRAINING] = "draining" };
	const struct nvme_ctrl *c = obj;

	inspect_str(in, SENS_UNSPEC, "serial", c->cfg.serial);
	inspect_str(in, SENS_UNSPEC, "model", c->cfg.model);
	inspect_str(in, SENS_UNSPEC, "state", states[c->state]);
	inspect_hex(in, SENS_UNSPEC, "cc", atomic_load(&c->regs.cc));
	inspect_hex(in, SENS_UNSPEC, "csts", csts(c));
	inspect_u64(in, SENS_UNSPEC, "max_queues", c->cfg.max_queues);
	inspect_u64(in, SENS_UNSPEC, "requests", c->n_reqs);
	inspect_u64(in, SENS_UNSPEC, "in_flight", c->inflight);
	inspect_u64(in, SENS_UNSPEC, "event_commands", c->n_aer);
	inspect_bool(in, SENS_UNSPEC, "doorbells_in_memory", c->shadow);
	inspect_dir(in, SENS_UNSPEC, "counts", inspect_counts, c);
	inspect_dir(in, SENS_UNSPEC, "queues", inspect_queues, c);
	inspect_dir(in, SENS_UNSPEC, "namespaces", inspect_all_ns, c);
	inspect_dir(in, SENS_UNSPEC, "pci", pci_func_inspect, c->pci);
}
