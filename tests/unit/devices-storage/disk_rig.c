/* SPDX-License-Identifier: MIT */
#include "disk_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disk_priv.h"
#include "fake_ng.h"
#include "gmem.h"
#include "unit.h"

static void open_file(struct rig *r, int n, off_t bytes, bool direct, enum disk_bounce bounce,
		      struct disk **ret_d)
{
	struct disk_file_cfg cfg = {
		.name = "file", .path = r->path[n], .direct = direct, .bounce = bounce
	};
	int fd;

	/* Where O_DIRECT works, unlike in many a /tmp. */
	(void)snprintf(r->path[n], sizeof(r->path[n]), "/var/tmp/keel-disk-XXXXXX");
	fd = mkstemp(r->path[n]);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, bytes), 0);
	(void)close(fd);
	ck_assert_int_eq(disk_file_open(&cfg, ret_d), 0);
}

static void open_ram(uint64_t bytes, uint32_t block_size, struct disk **ret_d)
{
	ck_assert_int_eq(disk_ram_open("ram", bytes, block_size, ret_d), 0);
}

static void open_stripe(struct rig *r, bool files)
{
	struct disk *m[3];
	uint32_t chunk = files ? 16384 : 4096;

	for (int i = 0; i < 3; i++) {
		if (files)
			open_file(r, i, RIG_BYTES / 3, i == 1, DISK_BOUNCE_NEVER, &m[i]);
		else
			open_ram(RIG_BYTES / 3, 512, &m[i]);
	}
	ck_assert_int_eq(disk_stripe_open("stripe", m, 3, chunk, &r->disk), 0);
}

static void open_tight(struct rig *r)
{
	open_ram(RIG_BYTES, 512, &r->disk);
	r->disk->lim = (struct disk_limits){
		.max_bytes = 24576,
		.max_iov = DISK_PART_IOV,
		.max_pages = 5,
		.addr_mask = 3,
		.len_mask = 3,
		.gap_mask = 4095,
		.max_unmap_blocks = 7,
		.max_zero_blocks = 9,
		.max_verify_blocks = 11,
	};
}

/* The node is a directory's file of the right name; what it answers is made up. */
static void open_nvme(struct rig *r)
{
	struct disk_nvme_cfg cfg = { .name = "nvme", .path = r->path[0] };
	int fd;

	fake_ng_reset(r->kind == RIG_NVME ? 5 : 1);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/keel-disk-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	(void)snprintf(r->path[0], sizeof(r->path[0]), "%s/ng99n7", r->dir);
	fd = open(r->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_assert_int_eq(disk_nvme_open(&cfg, &r->disk), 0);
}

static void open_kind(struct rig *r)
{
	switch (r->kind) {
	case RIG_RAM:
	case RIG_RAM_4K:
		open_ram(RIG_BYTES, r->kind == RIG_RAM ? 512 : 4096, &r->disk);
		return;
	case RIG_TIGHT:
		open_tight(r);
		return;
	case RIG_FILE:
	case RIG_EPOLL:
		open_file(r, 0, RIG_BYTES, false, DISK_BOUNCE_NEVER, &r->disk);
		return;
	case RIG_DIRECT:
		open_file(r, 0, RIG_BYTES, true, DISK_BOUNCE_NEVER, &r->disk);
		return;
	case RIG_BOUNCE:
		open_file(r, 0, RIG_BYTES, true, DISK_BOUNCE_ALWAYS, &r->disk);
		return;
	case RIG_STRIPE:
	case RIG_STRIPE_FILES:
		open_stripe(r, r->kind == RIG_STRIPE_FILES);
		return;
	case RIG_FAULT:
		open_ram(RIG_BYTES, 512, &r->inner);
		ck_assert_int_eq(disk_fault_open(r->inner, &r->disk), 0);
		return;
	case RIG_NVME:
	case RIG_NVME_SMALL:
		open_nvme(r);
		return;
	case RIG_KINDS:
		break;
	}
	ck_abort();
}

void rig_init(struct rig *r, enum rig_kind kind, unsigned depth)
{
	*r = (struct rig){ .kind = kind };
	ck_assert_int_eq(gm_install_fault_handler(), 0);
	if (kind == RIG_EPOLL)
		ck_assert_int_eq(loop_create_epoll(&r->loop), 0);
	else
		ck_assert_int_eq(loop_create_io(64, true, &r->loop), 0);
	open_kind(r);
	disk_info(r->disk, &r->info);
	ck_assert_int_eq(disk_queue_create(r->disk, r->loop, depth, &r->q), 0);
}

void rig_fini(struct rig *r)
{
	if (r->q)
		ck_assert_uint_eq(disk_queue_busy(r->q), 0);
	disk_queue_destroy(r->q);
	disk_put(r->disk);
	loop_destroy(r->loop);
	for (int i = 0; i < 3; i++)
		if (r->path[i][0])
			(void)unlink(r->path[i]);
	if (r->dir[0])
		(void)rmdir(r->dir);
	fake_ng_free();
}

void rig_drain(struct rig *r)
{
	while (disk_queue_busy(r->q))
		ck_assert_int_eq(loop_wait(r->loop), 0);
}

static void set_flag(struct disk_req *req)
{
	*(bool *)req->ctx = true;
}

uint16_t rig_do(struct rig *r, struct disk_req *req)
{
	bool done = false;

	req->done = set_flag;
	req->ctx = &done;
	req->status = 0xffff;
	ck_assert_int_eq(disk_submit(r->q, req), 0);
	ck_assert(!done);
	while (!done)
		ck_assert_int_eq(loop_wait(r->loop), 0);
	return req->status;
}

uint16_t rig_rw(struct rig *r, enum disk_op op, uint64_t lba, void *buf, uint32_t blocks,
		uint32_t flags)
{
	struct iovec iov = { buf, (size_t)blocks * r->info.block_size };
	struct disk_req req = { .op = op, .flags = flags, .lba = lba, .blocks = blocks };

	if (op == DISK_READ || op == DISK_WRITE) {
		req.iov = &iov;
		req.n_iov = 1;
	}
	return rig_do(r, &req);
}
