/* SPDX-License-Identifier: MIT */
/*
 * What all SCSI units share: references, the queues that threads reach a unit through, slots, the
 * end of a command. Input: commands of a guest (hostile); thread: the loop of each queue, creation
 * anywhere.
 */
#include "scsi_priv.h"

#include "bug.h"
#include "inspect.h"
#include "nvme_scsi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DEFAULT_MAX_TRANSFER (8u << 20)

/* ---- units ----------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* Configured, the disk's own, or random: then a guest sees another disk after each start. */
static void choose_id(struct scsi_unit *u)
{
	struct disk_info info = { 0 };

	memcpy(u->id, u->cfg.device_id, sizeof(u->id));
	if (!all_zero(u->id, sizeof(u->id)))
		return;
	if (u->disk)
		disk_info(u->disk, &info);
	if (info.has_id)
		memcpy(u->id, info.id, sizeof(u->id));
	else if (getrandom(u->id, sizeof(u->id), GRND_NONBLOCK) < 0)
		memset(u->id, 0, sizeof(u->id));
}

static void default_text(char *text, const char *val)
{
	if (!text[0])
		memcpy(text, val, strlen(val) + 1);
}

int scsi_unit_init(struct scsi_unit *u, const struct scsi_unit_ops *ops,
		   const struct scsi_unit_cfg *cfg, struct disk *d)
{
	if (pthread_mutex_init(&u->lock, NULL))
		return -ENOMEM;
	u->ops = ops;
	u->self = u;
	u->cfg = *cfg;
	u->cfg.name = u->name;
	(void)snprintf(u->name, sizeof(u->name), "%s", cfg->name ? cfg->name : "");
	u->cfg.vendor[sizeof(u->cfg.vendor) - 1] = '\0';
	u->cfg.product[sizeof(u->cfg.product) - 1] = '\0';
	u->cfg.revision[sizeof(u->cfg.revision) - 1] = '\0';
	u->cfg.serial[sizeof(u->cfg.serial) - 1] = '\0';
	default_text(u->cfg.vendor, "Msft");
	default_text(u->cfg.revision, "1.0");
	if (!u->cfg.max_transfer)
		u->cfg.max_transfer = DEFAULT_MAX_TRANSFER;
	u->disk = d;
	list_init(&u->queues);
	choose_id(u);
	atomic_init(&u->refs, 1);
	return 0;
}

void scsi_unit_fini(struct scsi_unit *u)
{
	if (u->disk)
		disk_put(u->disk);
	(void)pthread_mutex_destroy(&u->lock);
}

struct scsi_unit *scsi_unit_get(struct scsi_unit *u)
{
	atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
	return u;
}

void scsi_unit_put(struct scsi_unit *u)
{
	/* Everything done with it happens before it is freed. */
	if (u && atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) == 1)
		u->ops->destroy(u);
}

static void counts_inspect(struct inspect *in, const void *obj)
{
	static const char *const names[SCSI_N_COUNTERS] = {
		[SCSI_N_COMMANDS] = "commands",
		[SCSI_N_READS] = "reads",
		[SCSI_N_READ_BYTES] = "read_bytes",
		[SCSI_N_WRITES] = "writes",
		[SCSI_N_WRITE_BYTES] = "write_bytes",
		[SCSI_N_FLUSHES] = "flushes",
		[SCSI_N_UNMAPS] = "unmaps",
		[SCSI_N_ERRORS] = "errors",
		[SCSI_N_CONFLICTS] = "reservation_conflicts",
		[SCSI_N_ATTENTIONS] = "unit_attentions",
	};
	const uint64_t *sum = obj;

	for (unsigned i = 0; i < SCSI_N_COUNTERS; i++)
		inspect_count(in, SENS_SAFE, names[i], sum[i]);
}

/* What all queues counted, those that are gone included. */
static unsigned sum_counts(struct scsi_unit *u, uint64_t *ret_sum)
{
	unsigned n = 0;

	(void)pthread_mutex_lock(&u->lock);
	memcpy(ret_sum, u->past, sizeof(u->past));
	list_for_each(l, &u->queues) {
		struct scsi_queue *q = container_of(l, struct scsi_queue, link);

		n++;
		for (unsigned i = 0; i < SCSI_N_COUNTERS; i++)
			ret_sum[i] += atomic_load_explicit(&q->count[i], memory_order_relaxed);
	}
	(void)pthread_mutex_unlock(&u->lock);
	return n;
}

void scsi_unit_inspect(struct inspect *in, const void *obj)
{
	const struct scsi_unit *u = obj;
	uint64_t sum[SCSI_N_COUNTERS];
	const unsigned queues = sum_counts(u->self, sum);

	inspect_str(in, SENS_SAFE, "kind", u->ops->kind);
	inspect_str(in, SENS_SAFE, "name", u->name);
	inspect_str(in, SENS_SAFE, "vendor", u->cfg.vendor);
	inspect_str(in, SENS_SAFE, "product", u->cfg.product);
	inspect_bytes(in, SENS_SAFE, "id", u->id, sizeof(u->id));
	inspect_u64(in, SENS_SAFE, "max_transfer", u->cfg.max_transfer);
	inspect_u64(in, SENS_SAFE, "queues", queues);
	inspect_dir(in, SENS_SAFE, "count", counts_inspect, sum);
	u->ops->inspect(in, u);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static void queue_free(struct scsi_queue *q)
{
	free(q->scratch);
	free(q);
}

static struct scsi_queue *queue_alloc(struct scsi_unit *u, struct loop *loop, unsigned depth)
{
	struct scsi_queue *q = calloc(1, sizeof(*q) + depth * sizeof(q->slots[0]));

	if (!q)
		return NULL;
	q->u = u;
	q->loop = loop;
	q->depth = depth;
	list_init(&q->link);
	list_init(&q->free);
	list_init(&q->starved);
	list_init(&q->scratch_waiters);
	for (unsigned i = 0; i < depth; i++) {
		q->slots[i].q = q;
		list_add_tail(&q->free, &q->slots[i].link);
	}
	return q;
}

int scsi_queue_create(struct scsi_unit *u, struct loop *loop, unsigned depth,
		      struct scsi_queue **ret_q)
{
	struct scsi_queue *q;
	int r = 0;

	if (!depth || depth > 1024)
		return -EINVAL;
	q = queue_alloc(u, loop, depth);
	if (!q)
		return -ENOMEM;
	(void)pthread_mutex_lock(&u->lock);
	if (u->disk)
		r = disk_queue_create(u->disk, loop, depth, &q->dq);
	if (r == 0)
		list_add_tail(&u->queues, &q->link);
	(void)pthread_mutex_unlock(&u->lock);
	if (r < 0) {
		queue_free(q);
		return r;
	}
	(void)scsi_unit_get(u);
	*ret_q = q;
	return 0;
}

/* A path to a medium that has gone; not closed inside the end of its last request. */
struct leaving {
	struct loop_work work;
	struct disk_queue *dq;
};

static void close_leaving(void *ctx)
{
	struct leaving *lv = ctx;

	disk_queue_destroy(lv->dq);
	free(lv);
}

/* A drive's other medium: this queue leaves the old one when nothing is in flight. Without memory
 * for a path to the new one the drive is as good as empty. */
static void try_swap(struct scsi_queue *q)
{
	struct scsi_unit *u = q->u;
	struct leaving *lv;

	if (q->busy)
		return; /* the last command's end tries again */
	lv = calloc(1, sizeof(*lv));
	if (!lv)
		return; /* the next command tries again */
	lv->work = (struct loop_work){ .fn = close_leaving, .ctx = lv };
	lv->dq = q->dq;
	loop_post(q->loop, &lv->work);
	(void)pthread_mutex_lock(&u->lock);
	atomic_store_explicit(&q->swap, false, memory_order_relaxed);
	q->dq = NULL;
	if (u->disk && disk_queue_create(u->disk, q->loop, q->depth, &q->dq) < 0)
		q->dq = NULL;
	(void)pthread_mutex_unlock(&u->lock);
}

void scsi_queue_destroy(struct scsi_queue *q)
{
	struct scsi_unit *u;

	if (!q)
		return;
	BUG_ON(q->busy); /* the front end waits for its commands */
	u = q->u;
	(void)pthread_mutex_lock(&u->lock);
	list_del(&q->link);
	for (unsigned i = 0; i < SCSI_N_COUNTERS; i++)
		u->past[i] += atomic_load_explicit(&q->count[i], memory_order_relaxed);
	(void)pthread_mutex_unlock(&u->lock);
	disk_queue_destroy(q->dq);
	queue_free(q);
	scsi_unit_put(u);
}

void scsi_queue_abort(struct scsi_queue *q)
{
	if (q->dq)
		disk_queue_abort(q->dq);
}

unsigned scsi_queue_busy(const struct scsi_queue *q)
{
	return q->busy;
}

/* ---- a command's way ------------------------------------------------------------------------- */

int scsi_exec(struct scsi_queue *q, struct scsi_cmd *cmd)
{
	struct scsi_slot *s;
	struct list *l;

	if (scsi_medium_moved(q))
		try_swap(q);
	l = list_pop(&q->free);
	if (!l)
		return -EAGAIN;
	s = container_of(l, struct scsi_slot, link);
	s->cmd = cmd;
	cmd->slot = s;
	cmd->sense_len = 0;
	cmd->transferred = 0;
	q->busy++;
	scsi_count(q, SCSI_N_COMMANDS, 1);
	q->u->ops->exec(s);
	return 0;
}

static bool offer_to_disk(struct scsi_slot *s);

/* Let those go on that waited for something a command held. Not recursive: what ends here only
 * makes room for the next turn. */
static void pump(struct scsi_queue *q)
{
	struct list *l;

	if (q->pumping)
		return;
	q->pumping = true;
	while (!q->scratch_owner && (l = list_pop(&q->scratch_waiters))) {
		struct scsi_slot *s = container_of(l, struct scsi_slot, link);

		q->scratch_owner = s;
		s->next(s);
	}
	while ((l = list_pop(&q->starved))) {
		struct scsi_slot *s = container_of(l, struct scsi_slot, link);

		if (!offer_to_disk(s)) {
			list_add_tail(&q->starved, &s->link);
			break;
		}
	}
	q->pumping = false;
}

static void end(struct scsi_slot *s)
{
	struct scsi_queue *q = s->q;
	struct scsi_cmd *cmd = s->cmd;

	cmd->slot = NULL;
	s->cmd = NULL;
	q->busy--;
	if (q->scratch_owner == s)
		q->scratch_owner = NULL;
	list_add_tail(&q->free, &s->link);
	pump(q);
	if (scsi_medium_moved(q))
		try_swap(q);
	cmd->done(cmd);
}

void scsi_end_ok(struct scsi_slot *s, uint32_t transferred)
{
	s->cmd->scsi_status = SCSI_GOOD;
	s->cmd->srb_status = SRB_SUCCESS;
	s->cmd->transferred = transferred;
	end(s);
}

static void set_sense(struct scsi_slot *s, uint8_t key, uint8_t asc, uint8_t ascq)
{
	uint8_t *sense = s->cmd->sense;

	BUILD_ASSERT(SCSI_SENSE_FIXED_LEN <= SCSI_SENSE_MAX, "sense fits");
	memset(sense, 0, SCSI_SENSE_MAX);
	sense[0] = SCSI_SENSE_FIXED;
	sense[2] = key;
	sense[7] = SCSI_SENSE_FIXED_LEN - 8;
	sense[12] = asc;
	sense[13] = ascq;
	s->cmd->sense_len = SCSI_SENSE_FIXED_LEN;
	memcpy(s->q->sense, sense, SCSI_SENSE_FIXED_LEN);
}

void scsi_end_sense(struct scsi_slot *s, uint8_t srb, uint8_t key, uint16_t asc)
{
	scsi_count(s->q, SCSI_N_ERRORS, 1);
	s->cmd->scsi_status = SCSI_CHECK_CONDITION;
	s->cmd->srb_status = srb;
	s->cmd->transferred = 0;
	set_sense(s, key, (uint8_t)(asc >> 8), (uint8_t)asc);
	end(s);
}

void scsi_end_invalid(struct scsi_slot *s, uint16_t asc)
{
	scsi_end_sense(s, SRB_INVALID_REQUEST, SENSE_ILLEGAL_REQUEST, asc);
}

void scsi_end_conflict(struct scsi_slot *s)
{
	scsi_count(s->q, SCSI_N_CONFLICTS, 1);
	s->cmd->scsi_status = SCSI_RESERVATION_CONFLICT;
	s->cmd->srb_status = SRB_ERROR;
	s->cmd->transferred = 0;
	end(s);
}

void scsi_end_nvme(struct scsi_slot *s, uint16_t status)
{
	const struct scsi_outcome o = nvme_to_scsi(status);

	if (o.scsi_status == SCSI_RESERVATION_CONFLICT) {
		scsi_end_conflict(s);
		return;
	}
	scsi_count(s->q, SCSI_N_ERRORS, 1);
	s->cmd->scsi_status = o.scsi_status;
	s->cmd->srb_status = o.srb_status;
	s->cmd->transferred = 0;
	if (o.has_sense)
		set_sense(s, o.key, o.asc, o.ascq);
	end(s);
}

/* SPC-4 6.39: what the last check condition said, once. */
void scsi_request_sense(struct scsi_slot *s)
{
	uint8_t sense[SCSI_SENSE_FIXED_LEN] = {
		[0] = SCSI_SENSE_FIXED, [7] = SCSI_SENSE_FIXED_LEN - 8
	};

	if (s->cmd->cdb[1] & 1) { /* descriptor format */
		scsi_end_invalid(s, ASC_CDB_FIELD);
		return;
	}
	if (s->q->sense[0])
		memcpy(sense, s->q->sense, sizeof(sense));
	memset(s->q->sense, 0, sizeof(s->q->sense));
	scsi_reply(s, sense, sizeof(sense), s->cmd->cdb[4]);
}

/* ---- the disk -------------------------------------------------------------------------------- */

static void req_done(struct disk_req *req)
{
	struct scsi_slot *s = req->ctx;

	if (req->status != NVME_OK)
		scsi_end_nvme(s, req->status);
	else
		s->next(s);
}

/* Returns false when the disk takes nothing now. */
static bool offer_to_disk(struct scsi_slot *s)
{
	int r = s->q->dq ? disk_submit(s->q->dq, &s->req) : -ENODEV;

	if (r == -EAGAIN)
		return false;
	if (r < 0)
		scsi_end_nvme(s, errno_to_nvme(-r, s->req.op == DISK_WRITE));
	return true;
}

void scsi_submit(struct scsi_slot *s, void (*next)(struct scsi_slot *s))
{
	s->next = next;
	s->req.done = req_done;
	s->req.ctx = s;
	s->req.timeout_ms = s->cmd->timeout_ms;
	/* One that has several parts may find the disk's queue full: some end makes room. */
	if (!list_empty(&s->q->starved) || !offer_to_disk(s))
		list_add_tail(&s->q->starved, &s->link);
}

void scsi_scratch(struct scsi_slot *s, void (*next)(struct scsi_slot *s))
{
	struct scsi_queue *q = s->q;

	/* Most queues never need it. */
	if (!q->scratch)
		q->scratch = aligned_alloc(KEEL_PAGE_SIZE, SCSI_SCRATCH_BYTES);
	if (!q->scratch) {
		scsi_end_nvme(s, NVME_COMMAND_INTERRUPTED); /* the guest tries again */
		return;
	}
	s->next = next;
	if (q->scratch_owner) {
		list_add_tail(&q->scratch_waiters, &s->link);
		return;
	}
	q->scratch_owner = s;
	next(s);
}
