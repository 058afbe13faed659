/* SPDX-License-Identifier: MIT */
/*
 * VTL0 memory mapping, see vtl_low.h. Input: ranges from the boot shim, already checked by the
 * parser of its device tree. Thread: start-up only.
 */
#include "vtl_low.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "ckd.h"
#include "cleanup.h"
#include "mshv_vtl.h"

#define MIB2 0x200000ull
#define GIB1 0x40000000ull

/*
 * An address for a mapping of len bytes that is congruent to gpa modulo the largest page size the
 * range can use, so that the kernel may map huge pages. NULL on failure.
 */
static void *reserve(gpa_t gpa, uint64_t len)
{
	uint64_t align = len >= GIB1 ? GIB1 : MIB2;
	uint8_t *p = mmap(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	uint64_t skip;

	if (p == MAP_FAILED)
		return NULL;
	skip = (gpa - (uintptr_t)p) & (align - 1);
	if (skip)
		(void)munmap(p, skip);
	if (align - skip)
		(void)munmap(p + skip + len, align - skip);
	return p + skip;
}

/*
 * How much of [gpa, gpa + len) to announce at once: whole gibibytes, or the largest naturally
 * aligned power of two. What is announced together gets page structs for units of its alignment,
 * and what these cost depends on the number of units, not on their size (8 KiB of VTL2's memory
 * for each); up to a gibibyte they can be mapped by one entry, too.
 */
static uint64_t unit_len(gpa_t gpa, uint64_t len)
{
	uint64_t unit = GIB1;

	if (is_aligned(gpa, GIB1) && len >= GIB1)
		return len & ~(GIB1 - 1);
	while (unit > len || !is_aligned(gpa, unit))
		unit /= 2;
	return unit;
}

static int announce(int vtl_fd, gpa_t gpa, uint64_t len)
{
	uint64_t n;

	for (; len; gpa += n, len -= n) {
		int r;

		n = unit_len(gpa, len);
		r = mshv_add_vtl0_memory(vtl_fd, gpa, n);
		if (r < 0)
			return r;
	}
	return 0;
}

static int map_range(int vtl_fd, int low_fd, struct gmem_region *reg)
{
	void *at;
	int r = announce(vtl_fd, reg->gpa, reg->len);

	if (r < 0)
		return r;
	at = reserve(reg->gpa, reg->len);
	if (!at)
		return -ENOMEM;
	reg->host = mshv_vtl_low_map(low_fd, reg->gpa, reg->len, at);
	if (!reg->host)
		return -errno;
	(void)madvise(reg->host, reg->len, MADV_DONTFORK);
	(void)madvise(reg->host, reg->len, MADV_DONTDUMP);
	return 0;
}

/* Join ranges that touch. Returns the number of regions, or -EINVAL. */
static int join(const struct vtl_low_range *ranges, size_t n, struct gmem_region *ret_regs)
{
	int count = 0;
	gpa_t end = 0;

	for (size_t i = 0; i < n; i++) {
		gpa_t range_end;

		if (!ranges[i].len || !is_aligned(ranges[i].gpa | ranges[i].len, KEEL_PAGE_SIZE) ||
		    ckd_add(&range_end, ranges[i].gpa, ranges[i].len) || ranges[i].gpa < end)
			return -EINVAL;
		if (count && ranges[i].gpa == end)
			ret_regs[count - 1].len += ranges[i].len;
		else
			ret_regs[count++] =
				(struct gmem_region){ ranges[i].gpa, ranges[i].len, NULL };
		end = range_end;
	}
	return count;
}

int vtl_low_create(int vtl_fd, const struct vtl_low_range *ranges, size_t n, struct gmem **ret_gm)
{
	auto_free struct gmem_region *regs = NULL;
	auto_close int low_fd = -1;
	int count, r;

	if (!n || n > GMEM_MAX_REGIONS)
		return -EINVAL;
	regs = calloc(n, sizeof(*regs));
	if (!regs)
		return -ENOMEM;
	count = join(ranges, n, regs);
	if (count < 0)
		return count;
	low_fd = mshv_vtl_low_open();
	if (low_fd < 0)
		return low_fd;
	for (int i = 0; i < count; i++) {
		r = map_range(vtl_fd, low_fd, &regs[i]);
		if (r < 0)
			return r;
	}
	return gmem_create(regs, (size_t)count, ret_gm);
}
