/* SPDX-License-Identifier: MIT */
/*
 * Disks without a device: in memory, and one that does nothing. Both end each part in the next
 * visit of the loop. Trust: pieces are guest memory; only the fault-safe copies touch it.
 */
#include "disk_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ckd.h"
#include "nvme_scsi.h"

#define RAM_PART_BYTES (256u * 1024) /* copied in one go */
#define RAM_CLEAR_BLOCKS (1u << 20)
#define NULL_BLOCK 512u

struct disk_ram {
	struct disk d;
	uint8_t *mem;
	size_t bytes;
};

/* Whole pages go back to the system, which makes them zeros. */
static void clear_range(uint8_t *from, uint64_t len)
{
	uint64_t head = MIN(align_up((uintptr_t)from, KEEL_PAGE_SIZE) - (uintptr_t)from, len);
	uint64_t pages = align_down(len - head, KEEL_PAGE_SIZE);

	memset(from, 0, (size_t)head);
	if (pages && madvise(from + head, (size_t)pages, MADV_DONTNEED) < 0)
		memset(from + head, 0, (size_t)pages);
	memset(from + head + pages, 0, (size_t)(len - head - pages));
}

static int ram_start(struct disk_part *p)
{
	const struct disk_ram *ram = container_of(p->q->d, struct disk_ram, d);
	const uint32_t bs = p->q->info.block_size;
	uint8_t *at = ram->mem + p->lba * bs;
	int r = 0;

	switch (p->op) {
	case DISK_READ:
		r = bounce_to(p->iov, (struct iov_pos){ 0 }, at, (size_t)p->bytes);
		break;
	case DISK_WRITE:
		r = bounce_from(at, p->iov, (struct iov_pos){ 0 }, (size_t)p->bytes);
		break;
	case DISK_UNMAP:
	case DISK_WRITE_ZEROES:
		clear_range(at, (uint64_t)p->blocks * bs);
		break;
	case DISK_FLUSH:
	case DISK_VERIFY:
		break;
	case DISK_PR_IN:
	case DISK_PR_OUT:
		r = -EOPNOTSUPP;
		break;
	}
	disk_part_later(p, errno_to_nvme(-r, p->op != DISK_READ));
	return 0;
}

static void nothing_to_cancel(struct disk_part *p)
{
	/* It is done already. */
}

static void ram_destroy(struct disk *d)
{
	struct disk_ram *ram = container_of(d, struct disk_ram, d);

	if (ram->mem)
		(void)munmap(ram->mem, ram->bytes);
	disk_fini(d);
	free(ram);
}

static const struct disk_ops ram_ops = {
	.kind = "ram",
	.destroy = ram_destroy,
	.start = ram_start,
	.cancel = nothing_to_cancel,
};

int disk_ram_open(const char *name, uint64_t bytes, uint32_t block_size, struct disk **ret_d)
{
	const struct disk_info info = {
		.blocks = block_size ? bytes / block_size : 0,
		.block_size = block_size,
		.physical_block_size = block_size,
		.max_bytes = RAM_PART_BYTES,
		.unmap_granularity = 1,
		.unmap_zeroes = true,
		.write_zeroes = true,
	};
	const struct disk_limits lim = {
		.max_bytes = RAM_PART_BYTES,
		.max_iov = DISK_MAX_IOV,
		.max_unmap_blocks = RAM_CLEAR_BLOCKS,
		.max_zero_blocks = RAM_CLEAR_BLOCKS,
		.zeroes = true,
		.verify = true,
	};
	struct disk_ram *ram;
	void *mem;
	int r;

	if (block_size < 512 || block_size > 4096 || (block_size & (block_size - 1)) ||
	    !info.blocks)
		return -EINVAL;
	ram = calloc(1, sizeof(*ram));
	if (!ram)
		return -ENOMEM;
	r = disk_init(&ram->d, &ram_ops, name, &info, &lim);
	if (r < 0) {
		free(ram);
		return r;
	}
	mem = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED) {
		ram_destroy(&ram->d);
		return -ENOMEM;
	}
	ram->mem = mem;
	ram->bytes = (size_t)bytes;
	*ret_d = &ram->d;
	return 0;
}

/* ---- null ------------------------------------------------------------------------------------ */

static int null_start(struct disk_part *p)
{
	disk_part_later(p, p->op == DISK_PR_IN || p->op == DISK_PR_OUT ? NVME_INVALID_OPCODE
								       : NVME_OK);
	return 0;
}

static void null_destroy(struct disk *d)
{
	disk_fini(d);
	free(d);
}

static const struct disk_ops null_ops = {
	.kind = "null",
	.destroy = null_destroy,
	.start = null_start,
	.cancel = nothing_to_cancel,
};

int disk_null_open(const char *name, uint64_t bytes, struct disk **ret_d)
{
	const struct disk_info info = {
		.blocks = bytes / NULL_BLOCK,
		.block_size = NULL_BLOCK,
		.physical_block_size = NULL_BLOCK,
		.max_bytes = UINT32_MAX - NULL_BLOCK + 1,
		.unmap_granularity = 1,
		.write_zeroes = true,
	};
	const struct disk_limits lim = { .max_iov = DISK_MAX_IOV, .zeroes = true, .verify = true };
	struct disk *d;
	int r;

	if (!info.blocks)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	r = disk_init(d, &null_ops, name, &info, &lim);
	if (r < 0) {
		free(d);
		return r;
	}
	*ret_d = d;
	return 0;
}
