/* SPDX-License-Identifier: MIT */
/*
 * A namespace by passthrough: each part is one NVMe command through the kernel's driver
 * (IORING_OP_URING_CMD on /dev/ngXnY), past the block layer. The kernel neither cuts, nor retries,
 * nor checks sizes for such commands; the limits given to disk_queue.c and the retries here do.
 *
 * Trust: identify data and results are the device's, that is the host's: any bytes.
 * Spec: spec/storage-net.md 7.1, 7.3, 7.5; NVM Command Set 1.0.
 */
#include "disk_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bug.h"
#include "inspect.h"
#include "le.h"
#include "ng_admin.h"
#include "ng_resv.h"
#include "nvme_scsi.h"
#include "sysattr.h"
#include "uevent.h"

#define MAX_BYTES (1u << 20) /* of a device that knows no limit */
#define MAX_SEGMENTS 127u /* what the driver takes at least, where it does not tell */
#define MAX_RETRIES 5u /* of a command that failed for a while */
#define RETRY_MS 20u
#define BUSY_MS 1u /* the driver had no room */
#define RESET_MS 200u /* the controller is being reset */
#define PROBE_MS 5000u
#define SIZE_POLL_NS 1000000000ull /* where the kernel does not tell of changes */
#define CRDT_AT 128 /* of identify data: three delays, 100 ms units */

struct disk_nvme {
	struct disk d;
	int fd;
	uint32_t nsid;
	uint32_t crd_ms[4]; /* by what a status says about when to try again */
	bool ptpl;
	char generic[32], block[40]; /* "ng0n1", "nvme0n1" */
	char sysfs[80];
	struct loop_timer poll;
	struct uevent uevent;
	bool watched;
};

static struct disk_nvme *nvme_of(struct disk *d)
{
	return container_of(d, struct disk_nvme, d);
}

/* ---- results --------------------------------------------------------------------------------- */

/* What goes away by itself, unless the device says it does not. */
static bool is_passing(uint16_t status)
{
	switch (status) {
	case NVME_COMMAND_INTERRUPTED:
	case NVME_TRANSIENT_TRANSPORT:
	case NVME_NS_NOT_READY:
	case NVME_ABORT_REQUESTED: /* not by us, or nobody would wait */
	case NVME_ABORT_SQ_DELETED:
		return true;
	default:
		return false;
	}
}

static void on_status(struct disk_part *p, uint32_t raw)
{
	struct disk_nvme *n = nvme_of(p->q->d);
	uint16_t status = raw & NVME_STATUS_MASK;
	uint32_t delay = n->crd_ms[raw >> NVME_STATUS_CRD_SHIFT & 3];

	if (is_passing(status) && !(raw & NVME_STATUS_DNR) && p->retries < MAX_RETRIES &&
	    disk_part_wanted(p)) {
		p->retries++;
		disk_part_sleep(p, delay ? delay : RETRY_MS);
		return;
	}
	if (status == NVME_INVALID_NAMESPACE)
		disk_set_gone(&n->d);
	/* A failure whose code is that of success is none we know. */
	disk_part_done(p, status == NVME_OK ? NVME_INTERNAL_ERROR : status);
}

static void on_errno(struct disk_part *p, int err)
{
	bool wanted = disk_part_wanted(p);

	switch (err) {
	case EAGAIN:
	case EBUSY:
	case ENOMEM:
		if (!wanted)
			break;
		disk_part_sleep(p, BUSY_MS);
		return;
	case EINTR: /* taken back while the controller was reset */
		if (!wanted)
			break;
		disk_part_sleep(p, RESET_MS);
		return;
	case EFAULT:
	case EINVAL:
		if (p->run || (p->op != DISK_READ && p->op != DISK_WRITE))
			break;
		disk_part_fault(p);
		return;
	case ENODEV:
	case ENXIO:
		disk_set_gone(p->q->d);
		break;
	default:
		break;
	}
	disk_part_done(p, errno_to_nvme(err, p->op != DISK_READ));
}

static void on_done(struct loop_io *io, int32_t res, uint64_t big)
{
	struct disk_part *p = container_of(io, struct disk_part, io);

	if (res == 0)
		disk_part_done(p, NVME_OK);
	else if (res > 0)
		on_status(p, (uint32_t)res);
	else
		on_errno(p, -res);
}

/* Reports come with long host identifiers first; a controller that has none refuses that. */
static void on_report(struct loop_io *io, int32_t res, uint64_t big)
{
	struct disk_part *p = container_of(io, struct disk_part, io);
	uint16_t status = res > 0 ? (uint32_t)res & NVME_STATUS_MASK : NVME_OK;

	if (p->step == 0 && disk_part_wanted(p) &&
	    (status == NVME_HOST_ID_FORMAT || status == NVME_INVALID_FIELD)) {
		p->step = 1;
		disk_part_sleep(p, 0);
		return;
	}
	if (res == 0 && ng_resv_decode(p->run, KEEL_PAGE_SIZE, p->step == 0, p->req->pr) < 0) {
		disk_part_done(p, NVME_INTERNAL_ERROR);
		return;
	}
	on_done(io, res, big);
}

/* ---- commands -------------------------------------------------------------------------------- */

static int send(struct disk_part *p, struct nvme_uring_cmd *cmd, bool vec)
{
	const struct disk_nvme *n = nvme_of(p->q->d);

	cmd->nsid = n->nsid;
	cmd->timeout_ms = disk_part_left_ms(p);
	return loop_io_cmd(p->q->loop, &p->io, n->fd,
			   (uint32_t)(vec ? NVME_URING_CMD_IO_VEC : NVME_URING_CMD_IO), cmd,
			   sizeof(*cmd));
}

static void set_blocks(struct nvme_uring_cmd *cmd, const struct disk_part *p)
{
	cmd->cdw10 = (uint32_t)p->lba;
	cmd->cdw11 = (uint32_t)(p->lba >> 32);
	cmd->cdw12 = p->blocks - 1;
	if ((p->flags & DISK_FUA) && p->op != DISK_VERIFY && p->op != DISK_READ)
		cmd->cdw12 |= (uint32_t)NVME_RW_FUA;
}

static int send_data(struct disk_part *p)
{
	struct nvme_uring_cmd cmd = { .opcode = p->op == DISK_READ ? NVME_IO_READ : NVME_IO_WRITE };

	set_blocks(&cmd, p);
	if (p->n_iov == 1) {
		cmd.addr = (uintptr_t)p->iov[0].iov_base;
		cmd.data_len = (uint32_t)p->iov[0].iov_len;
		return send(p, &cmd, false);
	}
	cmd.addr = (uintptr_t)p->iov;
	cmd.data_len = p->n_iov;
	return send(p, &cmd, true);
}

static int send_dsm(struct disk_part *p)
{
	const struct nvme_dsm_range range = { .blocks = p->blocks, .lba = p->lba };
	struct nvme_uring_cmd cmd = {
		.opcode = NVME_IO_DSM,
		.addr = (uintptr_t)p->small,
		.data_len = sizeof(range),
		.cdw11 = (uint32_t)NVME_DSM_AD,
	};

	BUILD_ASSERT(sizeof(range) <= sizeof(p->small), "the range has a place");
	memcpy(p->small, &range, sizeof(range));
	return send(p, &cmd, false);
}

static int send_range(struct disk_part *p, uint8_t opcode)
{
	struct nvme_uring_cmd cmd = { .opcode = opcode };

	set_blocks(&cmd, p);
	return send(p, &cmd, false);
}

static int send_report(struct disk_part *p)
{
	void *page = disk_part_page(p);
	struct nvme_uring_cmd cmd = {
		.opcode = NVME_IO_RESV_REPORT,
		.addr = (uintptr_t)page,
		.data_len = KEEL_PAGE_SIZE,
		.cdw10 = KEEL_PAGE_SIZE / 4 - 1,
		.cdw11 = p->step == 0 ? (uint32_t)NVME_RESV_REPORT_EDS : 0,
	};

	if (!page)
		return -EAGAIN;
	memset(page, 0, KEEL_PAGE_SIZE);
	p->io.fn = on_report;
	return send(p, &cmd, false);
}

static int send_reservation(struct disk_part *p)
{
	struct ng_resv_cmd resv;
	struct nvme_uring_cmd cmd;
	int r = ng_resv_encode(p->req->pr, nvme_of(p->q->d)->ptpl, &resv);

	if (r < 0)
		return r;
	BUILD_ASSERT(sizeof(resv.keys) <= sizeof(p->small), "the keys have a place");
	memcpy(p->small, &resv.keys, sizeof(resv.keys));
	cmd = (struct nvme_uring_cmd){
		.opcode = resv.opcode,
		.addr = (uintptr_t)p->small,
		.data_len = resv.data_len,
		.cdw10 = resv.cdw10,
	};
	return send(p, &cmd, false);
}

static int nvme_start(struct disk_part *p)
{
	struct nvme_uring_cmd flush = { .opcode = NVME_IO_FLUSH };

	p->io.fn = on_done;
	switch (p->op) {
	case DISK_READ:
	case DISK_WRITE:
		return send_data(p);
	case DISK_FLUSH:
		return send(p, &flush, false);
	case DISK_UNMAP:
		return send_dsm(p);
	case DISK_WRITE_ZEROES:
		return send_range(p, NVME_IO_WRITE_ZEROES);
	case DISK_VERIFY:
		return send_range(p, NVME_IO_VERIFY);
	case DISK_PR_IN:
		return send_report(p);
	case DISK_PR_OUT:
		return send_reservation(p);
	}
	return -EOPNOTSUPP;
}

static void nvme_cancel(struct disk_part *p)
{
	loop_io_cancel(&p->io);
}

/* ---- what the namespace is ------------------------------------------------------------------- */

/* The size the kernel knows; it asked the device when that said that something changed. */
static int get_blocks(const struct disk_nvme *n, uint32_t block_size, uint64_t *ret_blocks)
{
	struct nvme_id_ns *id;
	uint64_t sectors = sysattr_u64(n->sysfs, "size", UINT64_MAX);
	int r;

	if (sectors != UINT64_MAX) {
		*ret_blocks = sectors / (block_size / 512);
		return 0;
	}
	id = malloc(sizeof(*id));
	if (!id)
		return -ENOMEM;
	r = ng_admin_identify(n->fd, NVME_CNS_NS, n->nsid, (uint8_t *)id);
	if (r == 0)
		*ret_blocks = id->nsze;
	free(id);
	return r;
}

static void look_again(struct disk_nvme *n)
{
	struct disk_info info;
	uint64_t blocks;
	int r;

	disk_info(&n->d, &info);
	r = get_blocks(n, info.block_size, &blocks);
	if (r == -ENODEV || r == -ENXIO)
		disk_set_gone(&n->d);
	if (r < 0 || blocks == info.blocks)
		return;
	info.blocks = blocks;
	disk_set_info(&n->d, &info);
}

static void on_poll(void *ctx)
{
	struct disk_nvme *n = ctx;

	look_again(n);
	loop_timer_arm(&n->poll, loop_now_ns() + SIZE_POLL_NS);
}

static void on_uevent(void *ctx, const struct uevent_msg *msg)
{
	struct disk_nvme *n = ctx;
	bool us = msg &&
		  (strcmp(msg->devname, n->generic) == 0 || strcmp(msg->devname, n->block) == 0);

	if (us && strcmp(msg->action, "remove") == 0)
		disk_set_gone(&n->d);
	else if (us || !msg)
		look_again(n);
}

static void nvme_watch(struct disk *d, struct loop *loop)
{
	struct disk_nvme *n = nvme_of(d);

	if (n->watched) {
		loop_timer_cancel(&n->poll);
		uevent_stop(&n->uevent);
	}
	n->watched = loop;
	n->uevent.fd = -1;
	if (!loop)
		return;
	loop_timer_init(&n->poll, loop, on_poll, n);
	if (uevent_start(&n->uevent, loop, on_uevent, n) < 0)
		loop_timer_arm(&n->poll, loop_now_ns() + SIZE_POLL_NS);
	look_again(n);
}

static void nvme_destroy(struct disk *d)
{
	struct disk_nvme *n = nvme_of(d);

	BUG_ON(n->watched);
	(void)close(n->fd);
	disk_fini(d);
	free(n);
}

static void nvme_inspect(struct inspect *in, const struct disk *d)
{
	/* It is the first member. */
	const struct disk_nvme *n = (const struct disk_nvme *)(const void *)d;

	inspect_u64(in, SENS_SAFE, "nsid", n->nsid);
	inspect_u64(in, SENS_SAFE, "max_segments", d->lim.max_pages);
}

static const struct disk_ops nvme_ops = {
	.kind = "nvme",
	.destroy = nvme_destroy,
	.start = nvme_start,
	.cancel = nvme_cancel,
	.watch = nvme_watch,
	.inspect = nvme_inspect,
};

/* ---- opening --------------------------------------------------------------------------------- */

struct ids {
	struct nvme_id_ctrl ctrl;
	struct nvme_id_ns ns;
	struct nvme_id_ctrl_nvm nvm;
};

static int identify(const struct disk_nvme *n, struct ids *ids)
{
	int r = ng_admin_identify(n->fd, NVME_CNS_CTRL, 0, (uint8_t *)&ids->ctrl);

	if (r == 0)
		r = ng_admin_identify(n->fd, NVME_CNS_NS, n->nsid, (uint8_t *)&ids->ns);
	/* Controllers before 2.0 do not know this one. */
	if (r == 0 && ng_admin_identify(n->fd, NVME_CNS_CS_CTRL, 0, (uint8_t *)&ids->nvm) < 0)
		memset(&ids->nvm, 0, sizeof(ids->nvm));
	return r;
}

static void describe_ctrl(struct disk_nvme *n, const struct ids *ids, struct disk_info *info)
{
	const uint8_t *crdt = (const uint8_t *)&ids->ctrl + CRDT_AT;
	size_t len = sizeof(ids->ctrl.sn);
	uint32_t cache;

	for (int i = 1; i < 4; i++)
		n->crd_ms[i] = MIN(le16_load(crdt + 2 * (size_t)(i - 1)) * 100u, 10000u);
	memcpy(info->serial, ids->ctrl.sn, len);
	while (len && (info->serial[len - 1] == ' ' || !info->serial[len - 1]))
		len--;
	info->serial[len] = '\0';
	for (char *c = info->serial; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	info->write_cache = ids->ctrl.vwc & NVME_VWC_PRESENT;
	if (info->write_cache && ng_admin_feature(n->fd, NVME_FEAT_WRITE_CACHE, &cache) == 0)
		info->write_cache = cache & 1;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	while (n && !p[n - 1])
		n--;
	return n == 0;
}

static int describe_ns(struct disk_nvme *n, const struct ids *ids, struct disk_info *info)
{
	const struct nvme_id_ns *ns = &ids->ns;
	const struct nvme_lba_format *fmt = &ns->lbaf[ns->flbas & 0xf];
	const uint16_t oncs = ids->ctrl.oncs;
	const bool optperf = ns->nsfeat & NVME_NSFEAT_OPTPERF;

	/* Metadata has no place in what the front ends offer. */
	if (fmt->lbads < 9 || fmt->lbads > 12 || fmt->ms)
		return -EOPNOTSUPP;
	info->block_size = 1u << fmt->lbads;
	info->blocks = ns->nsze;
	info->physical_block_size = info->block_size;
	if (optperf && !(ns->npwg & (ns->npwg + 1u)) && ns->npwg < 64)
		info->physical_block_size = info->block_size * (ns->npwg + 1u);
	if (oncs & NVME_ONCS_DSM)
		info->unmap_granularity = optperf ? ns->npdg + 1u : 1;
	info->unmap_zeroes = (ns->dlfeat & 7) == NVME_DLFEAT_ZEROES;
	info->write_zeroes = oncs & NVME_ONCS_WRITE_ZEROES;
	info->reservations = (oncs & NVME_ONCS_RESERVATIONS) && ns->rescap;
	info->read_only |= ns->nsattr & NVME_NSATTR_WRITE_PROTECTED;
	n->ptpl = ns->rescap & NVME_RESCAP_PTPL;
	info->has_id = true;
	if (!is_zero(ns->nguid, sizeof(ns->nguid)))
		memcpy(info->id, ns->nguid, sizeof(ns->nguid));
	else if (!is_zero(ns->eui64, sizeof(ns->eui64)))
		memcpy(info->id, ns->eui64, sizeof(ns->eui64));
	else
		info->has_id = false;
	return 0;
}

/* A limit in log2 of pages as blocks of at most 65536. */
static uint32_t blocks_of(uint8_t log2_pages, uint32_t block_size)
{
	if (!log2_pages || log2_pages > 16)
		return 65536;
	return MIN(65536u, (KEEL_PAGE_SIZE / block_size) << log2_pages);
}

static void set_limits(const struct disk_nvme *n, const struct ids *ids, struct disk_info *info,
		       struct disk_limits *lim)
{
	const uint8_t mdts = ids->ctrl.mdts;
	uint64_t max = mdts && mdts < 12 ? (uint64_t)KEEL_PAGE_SIZE << mdts : MAX_BYTES;
	char queue[96];

	(void)snprintf(queue, sizeof(queue), "%s/queue", n->sysfs);
	max = MIN(max, sysattr_u64(queue, "max_hw_sectors_kb", max / 1024) * 1024);
	max = MIN(max, 65536ull * info->block_size);
	lim->max_bytes = (uint32_t)MAX(max / info->block_size * info->block_size, info->block_size);
	lim->max_iov = 1024;
	lim->max_pages = (uint32_t)MAX(sysattr_u64(queue, "max_segments", MAX_SEGMENTS), 1);
	lim->addr_mask = (uint32_t)sysattr_u64(queue, "dma_alignment", 3);
	lim->len_mask = lim->addr_mask;
	lim->gap_mask = (uint32_t)sysattr_u64(queue, "virt_boundary_mask", KEEL_PAGE_SIZE - 1);
	lim->max_zero_blocks = blocks_of(ids->nvm.wzsl, info->block_size);
	lim->max_verify_blocks = blocks_of(ids->nvm.vsl, info->block_size);
	lim->max_unmap_blocks = ids->nvm.dmrsl;
	lim->zeroes = info->write_zeroes;
	lim->verify = ids->ctrl.oncs & NVME_ONCS_VERIFY;
	info->max_bytes = lim->max_bytes;
}

struct probe {
	struct loop_io io;
	int32_t res;
	bool done;
};

static void on_probe(struct loop_io *io, int32_t res, uint64_t big)
{
	struct probe *p = container_of(io, struct probe, io);

	p->res = res;
	p->done = true;
}

/* Does the kernel take commands for this node through a ring? Reads one block. */
static int probe_passthrough(const struct disk_nvme *n, uint32_t block_size)
{
	struct probe p = { .io.fn = on_probe };
	struct nvme_uring_cmd cmd = { .opcode = NVME_IO_READ,
				      .nsid = n->nsid,
				      .data_len = block_size,
				      .timeout_ms = PROBE_MS };
	struct loop *loop;
	void *buf;
	int r = loop_create_io(8, true, &loop);

	if (r < 0)
		return r;
	if (posix_memalign(&buf, KEEL_PAGE_SIZE, KEEL_PAGE_SIZE) != 0) {
		loop_destroy(loop);
		return -ENOMEM;
	}
	cmd.addr = (uintptr_t)buf;
	r = loop_io_cmd(loop, &p.io, n->fd, (uint32_t)NVME_URING_CMD_IO, &cmd, sizeof(cmd));
	while (r >= 0 && !p.done) {
		r = loop_wait(loop);
		r = r == -EINTR ? 0 : r;
	}
	loop_destroy(loop);
	free(buf);
	/* What the device thinks of that block is another matter. */
	if (r == 0 && (p.res == -EINVAL || p.res == -ENOTTY || p.res == -EACCES))
		return -EOPNOTSUPP;
	return r == 0 && p.res < 0 ? p.res : r;
}

static int open_node(struct disk_nvme *n, const struct disk_nvme_cfg *cfg)
{
	const char *base = strrchr(cfg->path, '/');

	base = base ? base + 1 : cfg->path;
	if (strncmp(base, "ng", 2) != 0 || strlen(base) >= sizeof(n->generic))
		return -EINVAL;
	(void)snprintf(n->generic, sizeof(n->generic), "%s", base);
	(void)snprintf(n->block, sizeof(n->block), "nvme%s", base + 2);
	(void)snprintf(n->sysfs, sizeof(n->sysfs), "/sys/class/block/%s", n->block);
	n->fd = open(cfg->path, O_CLOEXEC | (cfg->read_only ? O_RDONLY : O_RDWR));
	if (n->fd < 0)
		return -errno;
	return ng_admin_nsid(n->fd, &n->nsid);
}

static int describe(struct disk_nvme *n, struct disk_info *info, struct disk_limits *lim)
{
	struct ids *ids = calloc(1, sizeof(*ids));
	int r = ids ? identify(n, ids) : -ENOMEM;

	if (r == 0)
		r = describe_ns(n, ids, info);
	if (r == 0) {
		describe_ctrl(n, ids, info);
		set_limits(n, ids, info, lim);
		r = get_blocks(n, info->block_size, &info->blocks);
	}
	free(ids);
	return r;
}

int disk_nvme_open(const struct disk_nvme_cfg *cfg, struct disk **ret_d)
{
	struct disk_info info = { .read_only = cfg->read_only };
	struct disk_limits lim = { .bounce = cfg->bounce == DISK_BOUNCE_ALWAYS };
	struct disk_nvme *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->fd = n->uevent.fd = -1;
	r = open_node(n, cfg);
	if (r == 0)
		r = describe(n, &info, &lim);
	if (r == 0)
		r = probe_passthrough(n, info.block_size);
	if (r == 0)
		r = disk_init(&n->d, &nvme_ops, cfg->name, &info, &lim);
	if (r < 0) {
		if (n->fd >= 0)
			(void)close(n->fd);
		free(n);
		return r;
	}
	*ret_d = &n->d;
	return 0;
}
