/* SPDX-License-Identifier: MIT */
/*
 * Requests to a disk that takes little at a time, alone, striped, and behind one that fails: any
 * operation, range, number and size of pieces, memory that is not there, aborts at any moment. Each
 * request that is taken ends once, outside of the call, and well only if it made sense.
 */
#include "fuzz.h"

#include "bug.h"
#include "ckd.h"
#include "disk_priv.h"
#include "gmem.h"
#include "rd.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS 2048u /* of one RAM disk */
#define DEPTH 6u
#define PIECES 40u
#define MEM_BYTES (1u << 20)

struct job {
	struct disk_req req;
	struct iovec iov[PIECES];
	struct disk_pr pr;
	bool busy, inside, sane;
};

static struct {
	struct loop *loop;
	struct disk *disk[3];
	struct disk_queue *q[3];
	uint8_t *mem;
	struct job jobs[3][DEPTH];
} rig;

static struct disk *open_ram(bool tight)
{
	struct disk *d;

	BUG_ON(disk_ram_open("ram", BLOCKS * 512u, 512, &d) < 0);
	if (tight)
		d->lim = (struct disk_limits){ .max_bytes = 8192,
					       .max_iov = DISK_PART_IOV,
					       .max_pages = 3,
					       .addr_mask = 3,
					       .len_mask = 3,
					       .gap_mask = 4095,
					       .max_unmap_blocks = 5 };
	return d;
}

static void set_up(void)
{
	struct disk *m[2];

	BUG_ON(gm_install_fault_handler() < 0 || loop_create_epoll(&rig.loop) < 0);
	rig.mem = aligned_alloc(4096, MEM_BYTES);
	BUG_ON(!rig.mem);
	memset(rig.mem, 1, MEM_BYTES);
	rig.disk[0] = open_ram(true);
	m[0] = open_ram(true);
	m[1] = open_ram(false);
	BUG_ON(disk_stripe_open("stripe", m, 2, 2048, &rig.disk[1]) < 0);
	BUG_ON(disk_fault_open(open_ram(false), &rig.disk[2]) < 0);
	for (int i = 0; i < 3; i++)
		BUG_ON(disk_queue_create(rig.disk[i], rig.loop, DEPTH, &rig.q[i]) < 0);
}

static void on_done(struct disk_req *req)
{
	struct job *j = req->ctx;

	BUG_ON(!j->busy || j->inside);
	BUG_ON(req->status == NVME_OK && !j->sane);
	BUG_ON(req->status & ~NVME_STATUS_MASK);
	j->busy = false;
}

/* Pieces of memory; one in a while is nowhere. Returns: bytes of all. */
static uint64_t make_pieces(struct rd *in, struct job *j)
{
	const uint32_t n = rd_u8(in) % (PIECES + 1);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t at = rd_le16(in) * 13u,
			       len = (uint32_t)rd_le16(in) >> (rd_u8(in) & 7);

		j->iov[i] = (struct iovec){ rig.mem + at % (MEM_BYTES - 131072), len };
		if (at % 97 == 5)
			j->iov[i].iov_base = (void *)4096;
		if (at % 89 == 7)
			j->iov[i].iov_len = SIZE_MAX - len;
		if (ckd_add(&sum, sum, j->iov[i].iov_len))
			sum = UINT64_MAX / 2;
	}
	j->req.iov = j->iov;
	j->req.n_iov = n;
	return sum;
}

static void submit(struct rd *in, unsigned which)
{
	const uint8_t op = rd_u8(in) % (DISK_PR_OUT + 2);
	const bool wild = rd_u8(in) % 8 == 0;
	struct job *j = &rig.jobs[which][rd_u8(in) % DEPTH];
	struct disk_info info;
	uint64_t bytes;

	if (j->busy)
		return;
	disk_info(rig.disk[which], &info);
	j->req = (struct disk_req){ .op = (enum disk_op)op,
				    .flags = rd_u8(in),
				    .done = on_done,
				    .ctx = j,
				    .pr = rd_u8(in) & 1 ? &j->pr : NULL };
	j->req.lba = wild ? rd_le64(in) : rd_le16(in) % (info.blocks + 2);
	bytes = make_pieces(in, j);
	/* Mostly what the pieces hold, made whole. */
	if (!wild && bytes < 1u << 20 && j->req.n_iov) {
		struct iovec *last = &j->iov[j->req.n_iov - 1];
		uint64_t want = align_up(bytes, 512);

		last->iov_len += (size_t)(want - bytes);
		bytes = want;
	}
	j->req.blocks = wild ? rd_le32(in) : (uint32_t)MIN(bytes / 512, 1u << 20);
	j->sane = op <= DISK_PR_OUT &&
		  (op == DISK_FLUSH || op >= DISK_PR_IN ||
		   range_ok(j->req.lba, j->req.blocks, info.blocks)) &&
		  (op > DISK_WRITE || bytes == (uint64_t)j->req.blocks * 512);
	j->busy = j->inside = true;
	if (disk_submit(rig.q[which], &j->req) < 0)
		BUG_ON(true); /* as many slots as jobs */
	j->inside = false;
}

static void set_fault(struct rd *in)
{
	const struct disk_fault f = { .op_mask = rd_u8(in),
				      .lba = rd_le16(in),
				      .blocks = rd_u8(in),
				      .status = rd_le16(in) & 0x7ff,
				      .delay_ms = rd_u8(in) % 3,
				      .drop = rd_u8(in) % 4 == 0,
				      .count = rd_u8(in) % 4 };

	disk_fault_set(rig.disk[2], &f);
}

static unsigned busy(void)
{
	unsigned n = 0;

	for (int i = 0; i < 3; i++)
		n += disk_queue_busy(rig.q[i]);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct disk_fault none;
	struct rd in = rd_make(data, size);

	if (!rig.loop)
		set_up();
	for (int i = 0; i < 200 && !in.bad && in.left; i++) {
		const uint8_t what = rd_u8(&in);

		if (what < 200)
			submit(&in, what % 3);
		else if (what < 225)
			loop_poll(rig.loop);
		else if (what < 240)
			disk_queue_abort(rig.q[what % 3]);
		else
			set_fault(&in);
	}
	disk_fault_set(rig.disk[2], &none);
	disk_queue_abort(rig.q[2]); /* what was dropped */
	for (int i = 0; busy(); i++) {
		BUG_ON(i > 100000);
		loop_poll(rig.loop);
	}
	return 0;
}
