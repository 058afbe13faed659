/* SPDX-License-Identifier: MIT */
#include "fake_ng.h"

#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "disk_rig.h"
#include "loop.h"
#include "ng_admin.h"
#include "nvme_status.h"
#include "unit.h"

#define MAX_COMMANDS 256

struct pending {
	struct loop_work work;
	struct loop_io *io;
	int32_t res;
};

struct fake_ng fake_ng;
static struct pending pool[MAX_COMMANDS];

int __wrap_loop_io_cmd(struct loop *loop, struct loop_io *io, int fd, uint32_t cmd_op,
		       const void *cmd, size_t len);
void __wrap_loop_io_cancel(struct loop_io *io);
void __real_loop_io_cancel(struct loop_io *io);
int __wrap_ng_admin_nsid(int fd, uint32_t *ret_nsid);
int __wrap_ng_admin_identify(int fd, enum nvme_cns cns, uint32_t nsid, uint8_t *ret_data);
int __wrap_ng_admin_feature(int fd, enum nvme_feature id, uint32_t *ret_value);

void fake_ng_reset(uint8_t mdts)
{
	fake_ng_free();
	fake_ng = (struct fake_ng){
		.mem = calloc(1, RIG_BYTES),
		.blocks = RIG_BYTES / 512,
		.lbads = 9,
		.mdts = mdts,
		.oncs = NVME_ONCS_DSM | NVME_ONCS_WRITE_ZEROES | NVME_ONCS_RESERVATIONS |
			NVME_ONCS_VERIFY,
	};
	ck_assert_ptr_nonnull(fake_ng.mem);
}

void fake_ng_free(void)
{
	free(fake_ng.mem);
	fake_ng.mem = NULL;
}

/* ---- the device ------------------------------------------------------------------------------ */

static uint8_t *at_lba(const struct nvme_uring_cmd *c)
{
	return fake_ng.mem + (((uint64_t)c->cdw11 << 32 | c->cdw10) << fake_ng.lbads);
}

static size_t bytes_of(const struct nvme_uring_cmd *c)
{
	return ((size_t)(c->cdw12 & 0xffff) + 1) << fake_ng.lbads;
}

/* What the driver demands of the memory of a command. */
static bool memory_ok(const struct iovec *iov, unsigned n, size_t want)
{
	size_t bytes = 0, pages = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t addr = (uintptr_t)iov[i].iov_base, len = iov[i].iov_len;

		bytes += len;
		pages += (addr % 4096 + len + 4095) / 4096;
		/* It would copy all this, behind our back. */
		if ((addr | len) & 3 || (i && addr % 4096) || (i + 1 < n && (addr + len) % 4096))
			return false;
	}
	return n <= 1024 && bytes == want && pages <= FAKE_NG_SEGMENTS &&
	       (!fake_ng.mdts || bytes <= 4096u << fake_ng.mdts);
}

static int32_t do_data(const struct nvme_uring_cmd *c, const struct iovec *iov, unsigned n)
{
	uint8_t *at = at_lba(c);

	if (!memory_ok(iov, n, bytes_of(c))) {
		fake_ng.violations++;
		return -EINVAL;
	}
	for (unsigned i = 0; i < n; i++) {
		if (c->opcode == NVME_IO_READ)
			memcpy(iov[i].iov_base, at, iov[i].iov_len);
		else
			memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	return 0;
}

static int32_t do_dsm(const struct nvme_uring_cmd *c)
{
	struct nvme_dsm_range r;

	if (c->data_len != sizeof(r) || c->cdw10 || c->cdw11 != 4)
		return NVME_INVALID_FIELD;
	memcpy(&r, (const void *)(uintptr_t)c->addr, sizeof(r));
	memset(fake_ng.mem + (r.lba << fake_ng.lbads), 0, (size_t)r.blocks << fake_ng.lbads);
	fake_ng.dsm++;
	return 0;
}

static int32_t do_resv(const struct nvme_uring_cmd *c)
{
	if (c->opcode == NVME_IO_RESV_REPORT) {
		if (c->data_len != 4096 || c->cdw10 != 1023)
			return NVME_INVALID_FIELD;
		if (c->cdw11 & 1)
			return NVME_HOST_ID_FORMAT; /* long identifiers are not known here */
		memcpy((void *)(uintptr_t)c->addr, fake_ng.report, 4096);
		return 0;
	}
	memcpy(&fake_ng.last_keys, (const void *)(uintptr_t)c->addr, c->data_len);
	fake_ng.last_resv_cdw10 = c->cdw10;
	return 0;
}

static int32_t run(const struct nvme_uring_cmd *c, bool vec)
{
	const struct iovec one = { (void *)(uintptr_t)c->addr, c->data_len };

	switch (c->opcode) {
	case NVME_IO_READ:
	case NVME_IO_WRITE:
		fake_ng.fua += !!(c->cdw12 & 1u << 30);
		return vec ? do_data(c, (const struct iovec *)(uintptr_t)c->addr, c->data_len)
			   : do_data(c, &one, 1);
	case NVME_IO_FLUSH:
		fake_ng.flushes++;
		return 0;
	case NVME_IO_DSM:
		return do_dsm(c);
	case NVME_IO_WRITE_ZEROES:
		fake_ng.zeroes++;
		memset(at_lba(c), 0, bytes_of(c));
		return 0;
	case NVME_IO_VERIFY:
		fake_ng.verifies++;
		return 0;
	case NVME_IO_RESV_REPORT:
	case NVME_IO_RESV_REGISTER:
	case NVME_IO_RESV_ACQUIRE:
	case NVME_IO_RESV_RELEASE:
		return do_resv(c);
	default:
		return NVME_INVALID_OPCODE | NVME_STATUS_DNR;
	}
}

/* ---- in place of the kernel ------------------------------------------------------------------ */

static void complete(void *ctx)
{
	struct pending *p = ctx;
	struct loop_io *io = p->io;

	p->io = NULL;
	io->busy = false;
	io->fn(io, p->res, 0);
}

int __wrap_loop_io_cmd(struct loop *loop, struct loop_io *io, int fd, uint32_t cmd_op,
		       const void *cmd, size_t len)
{
	const struct nvme_uring_cmd *c = cmd;
	struct pending *p = pool;

	ck_assert_uint_eq(len, sizeof(*c));
	ck_assert(cmd_op == NVME_URING_CMD_IO || cmd_op == NVME_URING_CMD_IO_VEC);
	ck_assert_uint_eq(c->nsid, FAKE_NG_NSID);
	ck_assert_uint_gt(c->timeout_ms, 0);
	ck_assert(!c->flags && !c->rsvd1 && !c->rsvd2 && !c->metadata && !c->metadata_len);
	while (p < pool + MAX_COMMANDS && p->io)
		p++;
	if (p == pool + MAX_COMMANDS)
		return -EAGAIN;
	fake_ng.commands++;
	fake_ng.last_timeout_ms = c->timeout_ms;
	*p = (struct pending){ .work = { .fn = complete, .ctx = p }, .io = io };
	io->loop = loop;
	io->busy = true;
	if (fake_ng.hang)
		return 0;
	if (fake_ng.removed) {
		p->res = -ENODEV;
	} else if (fake_ng.n_next) {
		p->res = fake_ng.next[0];
		fake_ng.n_next--;
		memmove(fake_ng.next, fake_ng.next + 1, sizeof(fake_ng.next) - sizeof(int32_t));
	} else {
		p->res = run(c, cmd_op == NVME_URING_CMD_IO_VEC);
	}
	loop_post(loop, &p->work);
	return 0;
}

void __wrap_loop_io_cancel(struct loop_io *io)
{
	for (struct pending *p = pool; p < pool + MAX_COMMANDS; p++) {
		if (p->io != io)
			continue;
		p->res = -EINTR;
		loop_post(io->loop, &p->work);
		return;
	}
	__real_loop_io_cancel(io);
}

int __wrap_ng_admin_nsid(int fd, uint32_t *ret_nsid)
{
	*ret_nsid = FAKE_NG_NSID;
	return 0;
}

static void identify_ctrl(struct nvme_id_ctrl *id)
{
	const uint8_t crdt[2] = { 1, 0 }; /* 100 ms */

	memcpy(id->sn, "SN 1234             ", sizeof(id->sn));
	memcpy(id->rsvd128, crdt, sizeof(crdt));
	id->mdts = fake_ng.mdts;
	id->oncs = fake_ng.oncs;
	id->vwc = 1;
}

static void identify_ns(struct nvme_id_ns *id)
{
	id->nsze = fake_ng.blocks;
	id->dlfeat = 1;
	id->rescap = 0x7f;
	id->lbaf[0].lbads = fake_ng.lbads;
	id->eui64[7] = 0xee;
}

int __wrap_ng_admin_identify(int fd, enum nvme_cns cns, uint32_t nsid, uint8_t *ret_data)
{
	struct nvme_id_ctrl ctrl = { 0 };
	struct nvme_id_ns ns = { 0 };

	if (fake_ng.removed)
		return -ENODEV;
	if (cns == NVME_CNS_CTRL) {
		identify_ctrl(&ctrl);
		memcpy(ret_data, &ctrl, sizeof(ctrl));
		return 0;
	}
	if (cns != NVME_CNS_NS || nsid != FAKE_NG_NSID)
		return -EIO;
	identify_ns(&ns);
	memcpy(ret_data, &ns, sizeof(ns));
	return 0;
}

int __wrap_ng_admin_feature(int fd, enum nvme_feature id, uint32_t *ret_value)
{
	*ret_value = 1;
	return id == NVME_FEAT_WRITE_CACHE ? 0 : -EIO;
}
