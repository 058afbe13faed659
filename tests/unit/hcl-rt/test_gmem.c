/* SPDX-License-Identifier: MIT */
#include "gmem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#define PG ((uint64_t)KEEL_PAGE_SIZE)

static char *map_pages(size_t n)
{
	void *p = mmap(NULL, n * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	return p;
}

/* Guest RAM: pages 0-3 and 4-5 touch (in different mappings), a hole, then pages 16-17. */
struct rig {
	struct gmem *gm;
	char *low, *mid, *high;
};

static struct rig rig_make(void)
{
	struct rig r = { .low = map_pages(4), .mid = map_pages(3), .high = map_pages(2) };
	/* Out of order on purpose; mid starts one page into its mapping to keep it apart. */
	const struct gmem_region regions[] = {
		{ .gpa = 16 * PG, .len = 2 * PG, .host = r.high },
		{ .gpa = 0, .len = 4 * PG, .host = r.low },
		{ .gpa = 4 * PG, .len = 2 * PG, .host = r.mid + PG },
	};

	ck_assert_int_eq(gmem_create(regions, ARRAY_SIZE(regions), &r.gm), 0);
	ck_assert_int_eq(gm_install_fault_handler(), 0);
	return r;
}

static void rig_drop(struct rig *r)
{
	gmem_destroy(r->gm);
	(void)munmap(r->low, 4 * PG);
	(void)munmap(r->mid, 3 * PG);
	(void)munmap(r->high, 2 * PG);
}

START_TEST(copies_of_every_length_are_exact)
{
	struct rig r = rig_make();
	char pattern[1100], back[1102];

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i * 31 + 7);
	for (size_t len = 0; len <= sizeof(pattern); len++) {
		gpa_t gpa = 3 + len;

		memset(r.low, 0x55, 4 * PG);
		memset(back, 0x66, sizeof(back));
		ck_assert_int_eq(gm_write(r.gm, gpa, pattern, len), 0);
		ck_assert_int_eq(r.low[gpa - 1], 0x55);
		ck_assert_int_eq(r.low[gpa + len], 0x55);
		ck_assert(memcmp(r.low + gpa, pattern, len) == 0);
		ck_assert_int_eq(gm_read(r.gm, gpa, back + 1, len), 0);
		ck_assert(memcmp(back + 1, pattern, len) == 0);
		ck_assert_int_eq(back[0], 0x66);
		ck_assert_int_eq(back[len + 1], 0x66);
	}
	rig_drop(&r);
}
END_TEST

START_TEST(copies_cross_touching_regions)
{
	struct rig r = rig_make();
	char out[64], in[64];

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i + 1);
	ck_assert_int_eq(gm_write(r.gm, 4 * PG - 24, out, sizeof(out)), 0);
	ck_assert(memcmp(r.low + 4 * PG - 24, out, 24) == 0);
	ck_assert(memcmp(r.mid + PG, out + 24, 40) == 0);
	ck_assert_int_eq(gm_read(r.gm, 4 * PG - 24, in, sizeof(in)), 0);
	ck_assert_mem_eq(in, out, sizeof(in));
	ck_assert_int_eq(gm_zero(r.gm, 4 * PG - 8, 16), 0);
	ck_assert_int_eq(r.low[4 * PG - 9], 16);
	ck_assert_int_eq(r.low[4 * PG - 8], 0);
	ck_assert_int_eq(r.mid[PG + 7], 0);
	ck_assert_int_eq(r.mid[PG + 8], 33);
	rig_drop(&r);
}
END_TEST

START_TEST(holes_and_ends_are_efault)
{
	struct rig r = rig_make();
	char buf[16] = { 0 };

	ck_assert_int_eq(gm_read(r.gm, 6 * PG - 8, buf, 8), 0);
	ck_assert_int_eq(gm_read(r.gm, 6 * PG - 8, buf, 9), -EFAULT);
	ck_assert_int_eq(gm_write(r.gm, 6 * PG, buf, 1), -EFAULT);
	ck_assert_int_eq(gm_read(r.gm, 16 * PG - 1, buf, 2), -EFAULT);
	ck_assert_int_eq(gm_read(r.gm, 18 * PG - 1, buf, 1), 0);
	ck_assert_int_eq(gm_read(r.gm, 18 * PG - 1, buf, 2), -EFAULT);
	ck_assert_int_eq(gm_read(r.gm, UINT64_MAX, buf, 1), -EFAULT);
	ck_assert_int_eq(gm_read(r.gm, UINT64_MAX - 3, buf, 16), -EFAULT);
	ck_assert_int_eq(gm_zero(r.gm, 0, UINT64_MAX), -EFAULT);
	rig_drop(&r);
}
END_TEST

START_TEST(protected_page_is_efault)
{
	struct rig r = rig_make();
	char buf[2048];

	memset(buf, 1, sizeof(buf));
	ck_assert_int_eq(mprotect(r.low + PG, PG, PROT_NONE), 0);
	for (size_t len = 1; len <= sizeof(buf); len *= 2) {
		ck_assert_int_eq(gm_read(r.gm, PG, buf, len), -EFAULT);
		ck_assert_int_eq(gm_write(r.gm, 2 * PG - len, buf, len), -EFAULT);
		ck_assert_int_eq(gm_zero(r.gm, PG, len), -EFAULT);
	}
	/* A copy that runs into the page fails too, one that ends before it does not. */
	ck_assert_int_eq(gm_write(r.gm, PG - 100, buf, 101), -EFAULT);
	ck_assert_int_eq(gm_write(r.gm, PG - 100, buf, 100), 0);
	ck_assert_int_eq(mprotect(r.low + PG, PG, PROT_READ), 0);
	ck_assert_int_eq(gm_read(r.gm, PG, buf, 8), 0);
	ck_assert_int_eq(gm_write(r.gm, PG, buf, 8), -EFAULT);
	rig_drop(&r);
}
END_TEST

START_TEST(page_behind_the_end_of_a_file_is_efault)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct gmem_region region = { .gpa = 0, .len = 4 * PG };
	struct gmem *gm;
	char buf[8] = "abcdefg";

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(4 * PG)), 0);
	region.host = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(region.host, MAP_FAILED);
	ck_assert_int_eq(gm_install_fault_handler(), 0);
	ck_assert_int_eq(gmem_create(&region, 1, &gm), 0);

	ck_assert_int_eq(gm_write(gm, 3 * PG, buf, sizeof(buf)), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(2 * PG)), 0);
	/* Now an access raises SIGBUS. */
	ck_assert_int_eq(gm_read(gm, 3 * PG, buf, sizeof(buf)), -EFAULT);
	ck_assert_int_eq(gm_write(gm, 2 * PG - 4, buf, sizeof(buf)), -EFAULT);
	ck_assert_int_eq(gm_write(gm, 2 * PG - 8, buf, sizeof(buf)), 0);
	gmem_destroy(gm);
	(void)munmap(region.host, 4 * PG);
	(void)close(fd);
}
END_TEST

START_TEST(cmpxchg_of_each_size)
{
	struct rig r = rig_make();
	uint64_t mem = 0x1122334455667788, expected;

	for (unsigned size = 1; size <= 8; size *= 2) {
		uint64_t mask = size == 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;

		memcpy(r.low, &mem, sizeof(mem));
		expected = (mem & mask) ^ 1;
		ck_assert_int_eq(gm_cmpxchg(r.gm, 0, size, &expected, 0), 0);
		ck_assert_uint_eq(expected, mem & mask);
		ck_assert_mem_eq(r.low, &mem, sizeof(mem));
		ck_assert_int_eq(gm_cmpxchg(r.gm, 0, size, &expected, 0xa5a5a5a5a5a5a5a5), 1);
		ck_assert_uint_eq(expected, mem & mask);
		ck_assert_uint_eq(*(uint64_t *)(void *)r.low,
				  (mem & ~mask) | (0xa5a5a5a5a5a5a5a5 & mask));
	}
	rig_drop(&r);
}
END_TEST

START_TEST(cmpxchg_refuses_and_survives)
{
	struct rig r = rig_make();
	uint64_t expected = 0;

	ck_assert_int_eq(gm_cmpxchg(r.gm, 2, 4, &expected, 1), -EINVAL);
	ck_assert_int_eq(gm_cmpxchg(r.gm, 0, 3, &expected, 1), -EINVAL);
	ck_assert_int_eq(gm_cmpxchg(r.gm, 0, 16, &expected, 1), -EINVAL);
	ck_assert_int_eq(gm_cmpxchg(r.gm, 0, 0, &expected, 1), -EINVAL);
	ck_assert_int_eq(gm_cmpxchg(r.gm, 8 * PG, 4, &expected, 1), -EFAULT);
	ck_assert_int_eq(mprotect(r.low, PG, PROT_READ), 0);
	for (unsigned size = 1; size <= 8; size *= 2)
		ck_assert_int_eq(gm_cmpxchg(r.gm, 8, size, &expected, 1), -EFAULT);
	ck_assert_uint_eq(expected, 0);
	rig_drop(&r);
}
END_TEST

#define ADDS 20000

static void *add_many(void *arg)
{
	struct gmem *gm = arg;

	for (int i = 0; i < ADDS; i++) {
		uint64_t seen = 0;
		int done;

		do {
			done = gm_cmpxchg(gm, 64, 8, &seen, seen + 1);
		} while (done == 0);
		if (done < 0)
			return arg;
	}
	return NULL;
}

START_TEST(cmpxchg_is_atomic)
{
	struct rig r = rig_make();
	pthread_t threads[2];
	uint64_t sum;

	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, r.gm), 0);
	for (size_t i = 0; i < 2; i++) {
		void *failed;

		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	ck_assert_int_eq(gm_read(r.gm, 64, &sum, sizeof(sum)), 0);
	ck_assert_uint_eq(sum, 2 * ADDS);
	rig_drop(&r);
}
END_TEST

START_TEST(ranges)
{
	struct rig r = rig_make();
	void *host;

	ck_assert(gm_is_ram(r.gm, 0, 6 * PG));
	ck_assert(!gm_is_ram(r.gm, 0, 6 * PG + 1));
	ck_assert(gm_is_ram(r.gm, 17 * PG, PG));
	ck_assert(!gm_is_ram(r.gm, 10 * PG, 1));
	ck_assert(!gm_is_ram(r.gm, 17 * PG, UINT64_MAX));

	ck_assert_int_eq(gm_host_range(r.gm, PG, 3 * PG, &host), 0);
	ck_assert_ptr_eq(host, r.low + PG);
	/* RAM, but not in one piece of this process' address space. */
	ck_assert_int_eq(gm_host_range(r.gm, PG, 4 * PG, &host), -EFAULT);
	ck_assert_int_eq(gm_host_range(r.gm, 8 * PG, 1, &host), -EFAULT);
	ck_assert_int_eq(gm_host_range(r.gm, 16 * PG, UINT64_MAX, &host), -EFAULT);
	rig_drop(&r);
}
END_TEST

START_TEST(neighbours_become_one)
{
	char *p = map_pages(4);
	const struct gmem_region regions[] = {
		{ .gpa = 8 * PG, .len = PG, .host = p },
		{ .gpa = 9 * PG, .len = 3 * PG, .host = p + PG },
	};
	struct gmem *gm;
	void *host;

	ck_assert_int_eq(gmem_create(regions, 2, &gm), 0);
	ck_assert_int_eq(gm_host_range(gm, 8 * PG, 4 * PG, &host), 0);
	ck_assert_ptr_eq(host, p);
	gmem_destroy(gm);
	(void)munmap(p, 4 * PG);
}
END_TEST

START_TEST(bad_regions_are_refused)
{
	static char ram[1]; /* never accessed */
	static const struct {
		struct gmem_region a, b;
	} bad[] = {
		{ { 0, 2 * PG, ram }, { PG, PG, ram } },
		{ { PG, PG, ram }, { 0, 2 * PG, ram } },
		{ { 0, PG, ram }, { 0, PG, ram } },
		{ { 0, PG, ram }, { PG + 1, PG, ram } },
		{ { 0, PG, ram }, { PG, PG - 1, ram } },
		{ { 0, PG, ram }, { PG, 0, ram } },
		{ { 0, PG, ram }, { PG, PG, NULL } },
		{ { 0, PG, ram }, { 0 - PG, PG, ram } },
		{ { 0, PG, ram }, { 0 - PG, 2 * PG, ram } },
	};
	struct gmem *gm;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct gmem_region regions[] = { bad[i].a, bad[i].b };

		ck_assert_int_eq(gmem_create(regions, 2, &gm), -EINVAL);
	}
	ck_assert_int_eq(gmem_create(&bad[0].a, 0, &gm), -EINVAL);
	ck_assert_int_eq(gmem_create(&bad[0].a, GMEM_MAX_REGIONS + 1, &gm), -EINVAL);
}
END_TEST

START_TEST(most_regions_are_found)
{
	static struct gmem_region regions[GMEM_MAX_REGIONS];
	char *p = map_pages(GMEM_MAX_REGIONS);
	struct gmem *gm;

	for (size_t i = 0; i < GMEM_MAX_REGIONS; i++)
		regions[i] = (struct gmem_region){ 2 * i * PG, PG, p + i * PG };
	ck_assert_int_eq(gmem_create(regions, GMEM_MAX_REGIONS, &gm), 0);
	for (uint32_t i = 0; i < GMEM_MAX_REGIONS; i++)
		ck_assert_int_eq(gm_write(gm, 2 * i * PG + 12, &i, sizeof(i)), 0);
	for (uint32_t i = 0; i < GMEM_MAX_REGIONS; i++) {
		uint32_t val;

		ck_assert_int_eq(gm_read(gm, 2 * i * PG + 12, &val, sizeof(val)), 0);
		ck_assert_uint_eq(val, i);
		ck_assert_int_eq(gm_read(gm, (2 * i + 1) * PG, &val, 1), -EFAULT);
	}
	gmem_destroy(gm);
	(void)munmap(p, GMEM_MAX_REGIONS * PG);
}
END_TEST

START_TEST(shared_mapping_copies)
{
	char *p = map_pages(2);
	uint32_t val = 0x12345678, back = 0;

	ck_assert_int_eq(gm_install_fault_handler(), 0);
	ck_assert_int_eq(gm_copy_out(p + 5, &val, sizeof(val)), 0);
	ck_assert_int_eq(gm_copy_in(&back, p + 5, sizeof(back)), 0);
	ck_assert_uint_eq(back, val);
	ck_assert_int_eq(mprotect(p + PG, PG, PROT_NONE), 0);
	ck_assert_int_eq(gm_copy_in(&back, p + PG - 2, sizeof(back)), -EFAULT);
	ck_assert_int_eq(gm_copy_out(p + PG - 2, &val, sizeof(val)), -EFAULT);
	(void)munmap(p, 2 * PG);
}
END_TEST

/* The contents stay as they are; one page that cannot be had spoils it all, wherever it is. */
START_TEST(pinning_is_probed_at_all_ends)
{
	struct rig r = rig_make();
	char *const ends[] = { r.low,	       r.low + 3 * PG, r.mid + PG,
			       r.mid + 2 * PG, r.high,	       r.high + PG };

	memset(r.low, 0x5a, 4 * PG);
	ck_assert_int_eq(gm_pin_probe(r.gm), 0);
	ck_assert_int_eq(r.low[0], 0x5a);
	ck_assert_int_eq(r.low[4 * PG - 1], 0x5a);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		ck_assert_int_eq(mprotect(ends[i], PG, PROT_READ), 0);
		ck_assert_msg(gm_pin_probe(r.gm) == -EFAULT, "end %zu", i);
		ck_assert_int_eq(mprotect(ends[i], PG, PROT_READ | PROT_WRITE), 0);
	}
	ck_assert_int_eq(gm_pin_probe(r.gm), 0);
	rig_drop(&r);
}
END_TEST

static volatile sig_atomic_t other_hits;
static char *other_page;

static void other_handler(int sig)
{
	(void)sig;
	other_hits++;
	(void)mprotect(other_page, PG, PROT_READ | PROT_WRITE);
}

START_TEST(foreign_faults_reach_the_previous_handler)
{
	struct sigaction sa = { .sa_handler = other_handler };

	other_page = map_pages(1);
	ck_assert_int_eq(mprotect(other_page, PG, PROT_NONE), 0);
	ck_assert_int_eq(sigaction(SIGSEGV, &sa, NULL), 0);
	ck_assert_int_eq(gm_install_fault_handler(), 0);
	ck_assert_int_eq(gm_install_fault_handler(), 0);
	ck_assert_int_eq(gm_copy_out(other_page, "x", 1), -EFAULT);
	ck_assert_int_eq(other_hits, 0);
	*(volatile char *)other_page = 1;
	ck_assert_int_eq(other_hits, 1);
	(void)munmap(other_page, PG);
}
END_TEST

UNIT_MAIN("rt/gmem", copies_of_every_length_are_exact, copies_cross_touching_regions,
	  holes_and_ends_are_efault, protected_page_is_efault,
	  page_behind_the_end_of_a_file_is_efault, cmpxchg_of_each_size,
	  cmpxchg_refuses_and_survives, cmpxchg_is_atomic, ranges, neighbours_become_one,
	  bad_regions_are_refused, most_regions_are_found, shared_mapping_copies,
	  pinning_is_probed_at_all_ends, foreign_faults_reach_the_previous_handler)
