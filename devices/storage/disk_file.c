/* SPDX-License-Identifier: MIT */
/*
 * A disk in a file or on a block device of the kernel. Reads and writes go to the kernel's queue as
 * they come; FUA is RWF_DSYNC, a flush fdatasync(). With O_DIRECT, pieces that are not aligned as
 * the device wants it are copied (disk_queue.c).
 *
 * Trust: results are the kernel's. Sizes are followed while somebody watches.
 */
#include "disk_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bug.h"
#include "inspect.h"
#include "log.h"
#include "nvme_scsi.h"
#include "sysattr.h"
#include "uevent.h"

#define LOG_AREA "disk_file"

#define FILE_BLOCK 512u
#define FILE_PHYSICAL 4096u
#define PART_BYTES (4u << 20)
#define RANGE_BYTES (1ull << 30) /* discarded or zeroed in one go */
#define MAX_RETRIES 10u
#define RETRY_MS 5u
#define SIZE_POLL_NS 1000000000ull /* how often a plain file's size is looked at */
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

struct disk_file {
	struct disk d;
	int fd;
	bool block, direct;
	atomic_bool no_discard; /* the kernel does not take discards through the ring */
	char sysfs[64]; /* of a block device */
	struct loop_timer poll;
	struct uevent uevent;
	bool watched;
};

static struct disk_file *file_of(struct disk *d)
{
	return container_of(d, struct disk_file, d);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Passing troubles are not the guest's business. */
static bool worth_a_retry(const struct disk_part *p, int32_t res)
{
	return (res == -EAGAIN || res == -EINTR || res == -ENOMEM || res == -EBUSY) &&
	       p->retries < MAX_RETRIES && disk_part_wanted(p);
}

static void end_failed(struct disk_part *p, int32_t res)
{
	struct disk_file *f = file_of(p->q->d);

	if (worth_a_retry(p, res)) {
		p->retries++;
		disk_part_sleep(p, RETRY_MS);
		return;
	}
	if (res == -ENODEV && f->block)
		disk_set_gone(&f->d);
	disk_part_done(p, errno_to_nvme(-res, p->op != DISK_READ));
}

static void on_data(struct loop_io *io, int32_t res, uint64_t big)
{
	struct disk_part *p = container_of(io, struct disk_part, io);
	const struct disk_file *f = file_of(p->q->d);

	if (res >= 0 && (uint64_t)res == p->bytes)
		disk_part_done(p, NVME_OK);
	else if (res >= 0) /* the file has become shorter, or its file system full */
		disk_part_done(p,
			       p->op == DISK_READ ? NVME_LBA_OUT_OF_RANGE : NVME_CAPACITY_EXCEEDED);
	else if (!p->run && (res == -EFAULT || (res == -EINVAL && f->direct)))
		disk_part_fault(p);
	else
		end_failed(p, res);
}

static void on_flush(struct loop_io *io, int32_t res, uint64_t big)
{
	struct disk_part *p = container_of(io, struct disk_part, io);

	if (res < 0)
		end_failed(p, res);
	else
		disk_part_done(p, NVME_OK);
}

static int start_flush(struct disk_part *p)
{
	p->io.fn = on_flush;
	return loop_io_fdatasync(p->q->loop, &p->io, file_of(p->q->d)->fd);
}

/* Zeros are there; durable they are after a flush. */
static void on_zeroes(struct loop_io *io, int32_t res, uint64_t big)
{
	struct disk_part *p = container_of(io, struct disk_part, io);
	int r;

	if (res < 0) {
		end_failed(p, res);
		return;
	}
	if (p->op == DISK_UNMAP || !(p->flags & DISK_FUA)) {
		disk_part_done(p, NVME_OK);
		return;
	}
	p->step = 1;
	r = start_flush(p);
	if (r < 0)
		end_failed(p, r);
}

static int start_fallocate(struct disk_part *p, int mode)
{
	const uint32_t bs = p->q->info.block_size;

	if (p->step)
		return start_flush(p);
	p->io.fn = on_zeroes;
	return loop_io_fallocate(p->q->loop, &p->io, file_of(p->q->d)->fd, mode, p->lba * bs,
				 (uint64_t)p->blocks * bs);
}

/* Kernels that cannot do it this way can, perhaps, as a hole. */
static void on_discard(struct loop_io *io, int32_t res, uint64_t big)
{
	struct disk_part *p = container_of(io, struct disk_part, io);
	struct disk_file *f = file_of(p->q->d);

	if ((res == -EOPNOTSUPP || res == -EINVAL || res == -ENOTTY) && disk_part_wanted(p)) {
		atomic_store_explicit(&f->no_discard, true, memory_order_relaxed);
		disk_part_sleep(p, 0);
		return;
	}
	on_zeroes(io, res, big);
}

static int start_unmap(struct disk_part *p)
{
	struct disk_file *f = file_of(p->q->d);
	const uint32_t bs = p->q->info.block_size;

	if (!f->block || atomic_load_explicit(&f->no_discard, memory_order_relaxed))
		return start_fallocate(p, PUNCH);
	p->io.fn = on_discard;
	return loop_io_discard(p->q->loop, &p->io, f->fd, p->lba * bs, (uint64_t)p->blocks * bs);
}

static int file_start(struct disk_part *p)
{
	const struct disk_file *f = file_of(p->q->d);
	const uint64_t off = p->lba * p->q->info.block_size;

	switch (p->op) {
	case DISK_READ:
		p->io.fn = on_data;
		return loop_io_readv(p->q->loop, &p->io, f->fd, p->iov, p->n_iov, off, 0);
	case DISK_WRITE:
		p->io.fn = on_data;
		return loop_io_writev(p->q->loop, &p->io, f->fd, p->iov, p->n_iov, off,
				      p->flags & DISK_FUA ? RWF_DSYNC : 0);
	case DISK_FLUSH:
		return start_flush(p);
	case DISK_UNMAP:
		return start_unmap(p);
	case DISK_WRITE_ZEROES:
		return start_fallocate(p, f->block ? ZERO : PUNCH);
	case DISK_VERIFY:
	case DISK_PR_IN:
	case DISK_PR_OUT:
		break;
	}
	return -EOPNOTSUPP;
}

static void file_cancel(struct disk_part *p)
{
	loop_io_cancel(&p->io);
}

/* ---- its size, followed ---------------------------------------------------------------------- */

/* The C libraries do not agree on the type of an ioctl's number. */
static int ask(int fd, unsigned long what, void *ret_answer)
{
	return syscall(SYS_ioctl, fd, what, ret_answer) < 0 ? -errno : 0;
}

static int get_size(const struct disk_file *f, uint64_t *ret_bytes)
{
	struct stat st;

	if (f->block)
		return ask(f->fd, BLKGETSIZE64, ret_bytes);
	if (fstat(f->fd, &st) < 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static void look_again(struct disk_file *f)
{
	struct disk_info info;
	uint64_t bytes;

	if (get_size(f, &bytes) < 0)
		return;
	disk_info(&f->d, &info);
	if (bytes / info.block_size == info.blocks)
		return;
	info.blocks = bytes / info.block_size;
	disk_set_info(&f->d, &info);
}

static void on_poll(void *ctx)
{
	struct disk_file *f = ctx;

	look_again(f);
	loop_timer_arm(&f->poll, loop_now_ns() + SIZE_POLL_NS);
}

static void on_uevent(void *ctx, const struct uevent_msg *msg)
{
	struct disk_file *f = ctx;
	char link[128];

	if (msg && strcmp(msg->subsystem, "block") != 0)
		return;
	if (msg && strcmp(msg->action, "remove") == 0) {
		/* Was it this one? Then its number names nothing now. */
		if (readlink(f->sysfs, link, sizeof(link)) < 0)
			disk_set_gone(&f->d);
		return;
	}
	look_again(f);
}

static void file_watch(struct disk *d, struct loop *loop)
{
	struct disk_file *f = file_of(d);

	if (f->watched) {
		loop_timer_cancel(&f->poll);
		uevent_stop(&f->uevent);
	}
	f->watched = loop;
	f->uevent.fd = -1;
	if (!loop)
		return;
	loop_timer_init(&f->poll, loop, on_poll, f);
	if (!f->block || uevent_start(&f->uevent, loop, on_uevent, f) < 0)
		loop_timer_arm(&f->poll, loop_now_ns() + SIZE_POLL_NS);
	look_again(f);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void file_destroy(struct disk *d)
{
	struct disk_file *f = file_of(d);

	BUG_ON(f->watched);
	(void)close(f->fd);
	disk_fini(d);
	free(f);
}

static void file_inspect(struct inspect *in, const struct disk *d)
{
	/* It is the first member. */
	const struct disk_file *f = (const struct disk_file *)(const void *)d;

	inspect_bool(in, SENS_SAFE, "block_device", f->block);
	inspect_bool(in, SENS_SAFE, "direct", f->direct);
}

static const struct disk_ops file_ops = {
	.kind = "file",
	.destroy = file_destroy,
	.start = file_start,
	.cancel = file_cancel,
	.watch = file_watch,
	.inspect = file_inspect,
};

/* Some file systems have no O_DIRECT, others want more than a block's alignment. */
static bool direct_works(int fd)
{
	void *buf;
	ssize_t n;

	if (posix_memalign(&buf, 4096, 4096) != 0)
		return false;
	n = pread(fd, buf, FILE_BLOCK, FILE_BLOCK);
	free(buf);
	return n >= 0 || errno != EINVAL;
}

static int open_path(const struct disk_file_cfg *cfg, bool *ret_direct)
{
	const int flags = O_CLOEXEC | (cfg->read_only ? O_RDONLY : O_RDWR);
	struct stat st;
	int fd = -1;

	if (cfg->direct) {
		fd = open(cfg->path, flags | O_DIRECT);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !direct_works(fd)) {
			(void)close(fd);
			fd = -1;
		} else if (fd < 0 && errno != EINVAL) {
			return -errno;
		}
	}
	*ret_direct = fd >= 0;
	if (fd < 0)
		fd = open(cfg->path, flags);
	return fd < 0 ? -errno : fd;
}

/* What the kernel knows of a block device. A partition's queue is that of its disk. */
static void read_queue(struct disk_file *f, struct disk_info *info, struct disk_limits *lim)
{
	char dir[80], word[32];
	uint64_t discard;

	(void)snprintf(dir, sizeof(dir), "%s/queue", f->sysfs);
	if (access(dir, F_OK) < 0)
		(void)snprintf(dir, sizeof(dir), "%s/../queue", f->sysfs);
	info->write_cache = sysattr_str(dir, "write_cache", word, sizeof(word)) < 0 ||
			    strcmp(word, "write through") != 0;
	info->rotational = sysattr_u64(dir, "rotational", 0);
	discard = sysattr_u64(dir, "discard_max_bytes", 0);
	if (discard)
		info->unmap_granularity =
			(uint32_t)MAX(sysattr_u64(dir, "discard_granularity", 0) / info->block_size,
				      1);
	if (f->direct)
		lim->addr_mask = (uint32_t)sysattr_u64(dir, "dma_alignment", FILE_BLOCK - 1);
}

static void read_identity(const struct disk_file *f, struct disk_info *info)
{
	char hex[64];
	unsigned n = 0;

	if (sysattr_str(f->sysfs, "device/serial", info->serial, sizeof(info->serial)) < 0)
		info->serial[0] = '\0';
	for (char *c = info->serial; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (sysattr_str(f->sysfs, "nguid", hex, sizeof(hex)) < 0)
		return;
	for (const char *c = hex; *c && n < 16; c++) {
		unsigned byte;

		if (*c == '-' || sscanf(c, "%2x", &byte) != 1)
			continue;
		info->id[n++] = (uint8_t)byte;
		if (!*++c)
			break;
	}
	info->has_id = n == 16;
}

static int describe_block(struct disk_file *f, dev_t dev, struct disk_info *info,
			  struct disk_limits *lim)
{
	int block_size = 0, read_only = 0, r;
	unsigned physical = 0;

	(void)snprintf(f->sysfs, sizeof(f->sysfs), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	r = ask(f->fd, BLKSSZGET, &block_size);
	if (r == 0)
		r = ask(f->fd, BLKROGET, &read_only);
	if (r < 0)
		return r;
	if (block_size < 512 || block_size > 4096 || (block_size & (block_size - 1)))
		return -EINVAL;
	if (ask(f->fd, BLKPBSZGET, &physical) < 0)
		physical = (unsigned)block_size;
	info->block_size = (uint32_t)block_size;
	info->physical_block_size = physical;
	info->read_only |= read_only != 0;
	info->write_zeroes = true;
	lim->zeroes = true;
	read_queue(f, info, lim);
	read_identity(f, info);
	return 0;
}

/* Holes beyond the end change nothing but tell whether there can be any. */
static void describe_file(struct disk_file *f, uint64_t size, struct disk_info *info,
			  struct disk_limits *lim)
{
	const off_t end = (off_t)((size + FILE_PHYSICAL - 1) / FILE_PHYSICAL * FILE_PHYSICAL);

	info->block_size = FILE_BLOCK;
	info->physical_block_size = FILE_PHYSICAL;
	info->write_cache = true;
	if (f->direct)
		lim->addr_mask = FILE_BLOCK - 1;
	if (!info->read_only && fallocate(f->fd, PUNCH, end, FILE_PHYSICAL) == 0) {
		info->unmap_granularity = FILE_PHYSICAL / FILE_BLOCK;
		info->unmap_zeroes = true;
		info->write_zeroes = true;
		lim->zeroes = true;
	}
}

static int describe(struct disk_file *f, struct disk_info *info, struct disk_limits *lim)
{
	struct stat st;
	uint64_t bytes;
	int r;

	if (fstat(f->fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return -ENOTBLK;
	f->block = S_ISBLK(st.st_mode);
	r = get_size(f, &bytes);
	if (r == 0 && f->block)
		r = describe_block(f, st.st_rdev, info, lim);
	else if (r == 0)
		describe_file(f, bytes, info, lim);
	if (r < 0)
		return r;
	info->blocks = bytes / info->block_size;
	info->max_bytes = PART_BYTES;
	lim->max_bytes = PART_BYTES;
	lim->max_iov = 1024; /* the kernel's limit for one call */
	if (f->direct)
		lim->len_mask = info->block_size - 1;
	lim->max_unmap_blocks = lim->max_zero_blocks = (uint32_t)(RANGE_BYTES / info->block_size);
	return 0;
}

int disk_file_open(const struct disk_file_cfg *cfg, struct disk **ret_d)
{
	struct disk_info info = { .read_only = cfg->read_only };
	struct disk_limits lim = { .bounce = cfg->bounce == DISK_BOUNCE_ALWAYS };
	struct disk_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->uevent.fd = -1;
	r = f->fd = open_path(cfg, &f->direct);
	if (r >= 0)
		r = describe(f, &info, &lim);
	if (r == 0)
		r = disk_init(&f->d, &file_ops, cfg->name, &info, &lim);
	if (r < 0) {
		if (f->fd >= 0)
			(void)close(f->fd);
		free(f);
		return r;
	}
	if (cfg->direct && !f->direct)
		log_info(ALLOWED, "disk %s: no direct access here, the page cache is used",
			 f->d.name);
	*ret_d = &f->d;
	return 0;
}
