/* SPDX-License-Identifier: MIT */
#include "mem_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ckd.h"
#include "hvcall.h"
#include "kvm_sys.h"
#include "log.h"

#define LOG_AREA "memory"

#define GIB (1ull << 30)
#define ALIGN_2M (2ull << 20)
#define HIGH_MMIO_SIZE (8 * GIB)
#define VTL2_MMIO_SIZE GIB
#define APIC_PAGE 0xfee00000ull
#define MAX_BYTES (1ull << 40)
/* Slots of VTL0's VM: holes first (faithful mode), then RAM. */
#define HOLE_SLOTS 3

/* --- layout ----------------------------------------------------------------------------------- */

static void add_ram(struct mem_host *m, gpa_t gpa, uint64_t len)
{
	if (!len)
		return;
	m->ram[m->n_ram++] = (struct mem_ram){ .gpa = gpa, .len = len, .off = m->size };
	m->size += len;
}

/* RAM below 4 GiB with VTL2's in the middle of it. Returns: VTL0's part of that. */
static uint64_t plan_around(struct mem_host *m, uint64_t vtl0_bytes)
{
	gpa_t end = m->vtl2_base + m->vtl2_size;
	uint64_t below = MIN(vtl0_bytes, m->vtl2_base);
	uint64_t above = MIN(vtl0_bytes - below, MEM_LOW_MMIO_BASE - end);

	add_ram(m, 0, below);
	add_ram(m, m->vtl2_base, m->vtl2_size);
	add_ram(m, end, above);
	return below + above;
}

int mem_host_plan(struct mem_host *m, uint64_t vtl0_bytes, uint64_t vtl2_bytes, gpa_t vtl2_base)
{
	uint64_t low, top;

	*m = (struct mem_host){ .memfd = -1 };
	if (!vtl0_bytes || !vtl2_bytes || !is_aligned(vtl0_bytes | vtl2_bytes, KEEL_PAGE_SIZE))
		return -EINVAL;
	if (vtl0_bytes > MAX_BYTES || vtl2_bytes > MEM_LOW_MMIO_BASE / 2)
		return -EINVAL;
	if (!is_aligned(vtl2_base, ALIGN_2M) || vtl2_base > MEM_LOW_MMIO_BASE - vtl2_bytes)
		return -EINVAL;
	/* VTL2 directly above VTL0's RAM below 4 GiB; what does not fit continues above. */
	low = MIN(vtl0_bytes, align_down(MEM_LOW_MMIO_BASE - vtl2_bytes, ALIGN_2M));
	m->vtl2_base = vtl2_base ? vtl2_base : align_up(low, ALIGN_2M);
	m->vtl2_size = vtl2_bytes;
	low = plan_around(m, vtl0_bytes);
	add_ram(m, MEM_HIGH_BASE, vtl0_bytes - low);
	top = MEM_HIGH_BASE + (vtl0_bytes - low);
	m->mmio[0] = (struct igvm_range){ MEM_LOW_MMIO_BASE, MEM_LOW_MMIO_SIZE };
	m->mmio[1] = (struct igvm_range){ align_up(top, GIB), HIGH_MMIO_SIZE };
	m->vtl2_mmio[0] = (struct igvm_range){ MEM_LOW_MMIO_BASE + MEM_LOW_MMIO_SIZE,
					       MEM_VTL2_LOW_MMIO_SIZE };
	m->vtl2_mmio[1] = (struct igvm_range){ m->mmio[1].gpa + HIGH_MMIO_SIZE, VTL2_MMIO_SIZE };
	return 0;
}

void *mem_host_ptr(const struct mem_host *m, gpa_t gpa, uint64_t len)
{
	for (size_t i = 0; i < m->n_ram; i++) {
		const struct mem_ram *r = &m->ram[i];

		if (gpa >= r->gpa && range_ok(gpa - r->gpa, len, r->len))
			return m->map + r->off + (gpa - r->gpa);
	}
	return NULL;
}

bool mem_host_is_vtl2(const struct mem_host *m, gpa_t gpa)
{
	return gpa >= m->vtl2_base && gpa - m->vtl2_base < m->vtl2_size;
}

/* --- slots of VTL0's VM ----------------------------------------------------------------------- */

static int set_slot(int vm, uint32_t id, gpa_t gpa, uint64_t len, const void *host, uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};

	if (vm < 0) /* the layout alone, for tests */
		return 0;
	return kvm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r);
}

/* Which slot a range needs. False: none. */
static bool want_slot(const struct mem_host *m, const struct mem_range *r, struct mem_slot *ret)
{
	bool readable = r->rights & HV_MAP_READ;

	*ret = (struct mem_slot){ .gpn = r->gpn, .pages = r->pages };
	ret->no_access = !readable;
	ret->read_only = readable && !(r->rights & HV_MAP_WRITE);
	return readable || m->faithful;
}

static bool same_slot(const struct mem_slot *a, const struct mem_slot *b)
{
	return a->gpn == b->gpn && a->pages == b->pages && a->read_only == b->read_only &&
	       a->no_access == b->no_access;
}

static int slot_make(struct mem_host *m, int vm0, struct mem_slot *s)
{
	gpa_t gpa = s->gpn << KEEL_PAGE_SHIFT;
	uint64_t len = s->pages << KEEL_PAGE_SHIFT;
	uint8_t *host = mem_host_ptr(m, gpa, len);
	uint32_t flags = 0;

	if (!host)
		return -EFAULT;
	if (s->no_access)
		host = m->none_map;
	else if (s->read_only && m->faithful)
		host = m->ro_map + (host - m->map);
	else if (s->read_only)
		flags = KVM_MEM_READONLY;
	s->id = m->n_free ? m->free_ids[--m->n_free] : m->next_id++;
	return set_slot(vm0, s->id, gpa, len, host, flags);
}

static int slot_remove(struct mem_host *m, int vm0, const struct mem_slot *s)
{
	m->free_ids[m->n_free++] = s->id;
	return set_slot(vm0, s->id, s->gpn << KEEL_PAGE_SHIFT, 0, NULL, 0);
}

/* Old slots that are not wanted any more go, the others move to `keep` (same order). */
static int drop_slots(struct mem_host *m, int vm0, const struct mem_slot *want, size_t n_want,
		      size_t *ret_kept)
{
	size_t kept = 0, w = 0;
	int err = 0;

	for (size_t i = 0; i < m->n_slots; i++) {
		while (w < n_want && want[w].gpn < m->slot[i].gpn)
			w++;
		if (w < n_want && same_slot(&want[w], &m->slot[i])) {
			m->slot[kept++] = m->slot[i];
			continue;
		}
		if (slot_remove(m, vm0, &m->slot[i]) < 0)
			err = -EIO;
	}
	*ret_kept = kept;
	return err;
}

/* Make VTL0's slots agree with the ranges. */
static int sync_slots(struct mem_host *m, int vm0)
{
	struct mem_slot *want = calloc(m->n_ranges, sizeof(*want));
	size_t n_want = 0, kept = 0, k = 0;
	int r;

	if (!want)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_ranges; i++) {
		if (want_slot(m, &m->range[i], &want[n_want]))
			n_want++;
	}
	r = drop_slots(m, vm0, want, n_want, &kept);
	for (size_t i = 0; i < n_want && r == 0; i++) {
		if (k < kept && same_slot(&want[i], &m->slot[k]))
			want[i].id = m->slot[k++].id;
		else
			r = slot_make(m, vm0, &want[i]);
	}
	memcpy(m->slot, want, n_want * sizeof(*want));
	m->n_slots = n_want;
	free(want);
	return r;
}

/* --- rights ----------------------------------------------------------------------------------- */

static size_t find_range(const struct mem_host *m, gpn_t gpn)
{
	size_t lo = 0, hi = m->n_ranges;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (m->range[mid].gpn + m->range[mid].pages <= gpn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t mem_host_rights(const struct mem_host *m, gpa_t gpa)
{
	gpn_t gpn = gpa >> KEEL_PAGE_SHIFT;
	size_t i = find_range(m, gpn);

	return i < m->n_ranges && m->range[i].gpn <= gpn ? m->range[i].rights : 0;
}

static void push_range(struct mem_range *list, size_t *n, gpn_t gpn, uint64_t pages,
		       uint32_t rights)
{
	struct mem_range *last = *n ? &list[*n - 1] : NULL;

	if (!pages)
		return;
	if (last && last->rights == rights && last->gpn + last->pages == gpn)
		last->pages += pages;
	else
		list[(*n)++] = (struct mem_range){ gpn, pages, rights };
}

/* One old range against the change: up to three pieces. True: rights differ somewhere. */
static bool split_range(const struct mem_range *r, gpn_t gpn, gpn_t end, uint32_t rights,
			struct mem_range *list, size_t *n)
{
	gpn_t r_end = r->gpn + r->pages;
	gpn_t from = MAX(r->gpn, gpn), to = MIN(r_end, end);

	if (from >= to || r->rights == rights) {
		push_range(list, n, r->gpn, r->pages, r->rights);
		return false;
	}
	push_range(list, n, r->gpn, from - r->gpn, r->rights);
	push_range(list, n, from, to - from, rights);
	push_range(list, n, to, r_end - to, r->rights);
	return true;
}

static bool is_ram(const struct mem_host *m, gpn_t gpn, uint64_t pages)
{
	size_t i = find_range(m, gpn);
	gpn_t end;

	if (ckd_add(&end, gpn, pages))
		return false;
	for (; gpn < end; i++) {
		if (i >= m->n_ranges || m->range[i].gpn > gpn)
			return false;
		gpn = m->range[i].gpn + m->range[i].pages;
	}
	return true;
}

int mem_host_protect(struct mem_host *m, int vm0, gpn_t gpn, uint64_t pages, uint32_t rights)
{
	struct mem_range *list;
	bool changed = false;
	size_t n = 0;

	if (!is_ram(m, gpn, pages))
		return -EFAULT;
	if (m->n_ranges + 2 > MEM_MAX_RANGES)
		return -ENOSPC;
	list = calloc(MEM_MAX_RANGES, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_ranges; i++)
		changed |= split_range(&m->range[i], gpn, gpn + pages, rights, list, &n);
	if (!changed) {
		free(list);
		return 1;
	}
	free(m->range);
	m->range = list;
	m->n_ranges = n;
	return sync_slots(m, vm0);
}

/* --- isolation -------------------------------------------------------------------------------- */

static size_t bitmap_words(const struct mem_host *m)
{
	return (size_t)((m->size >> KEEL_PAGE_SHIFT) + 63) / 64;
}

/* Index of a page in the bitmaps. False: not contiguous RAM. */
static bool find_pages(const struct mem_host *m, gpn_t gpn, uint64_t pages, uint64_t *ret_first)
{
	const uint8_t *p;
	uint64_t len;

	if (gpn >> (64 - KEEL_PAGE_SHIFT) || ckd_mul(&len, pages, KEEL_PAGE_SIZE))
		return false;
	p = mem_host_ptr(m, gpn << KEEL_PAGE_SHIFT, len);
	if (!p)
		return false;
	*ret_first = (uint64_t)(p - m->map) >> KEEL_PAGE_SHIFT;
	return true;
}

static bool get_bit(const uint64_t *map, uint64_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

void mem_host_imported(struct mem_host *m, gpa_t gpa)
{
	uint64_t i;

	if (find_pages(m, gpa >> KEEL_PAGE_SHIFT, 1, &i) && !get_bit(m->accepted, i)) {
		m->accepted[i / 64] |= 1ull << (i % 64);
		m->n_accepted++;
	}
}

/* Both VMs get a run of pages, whose bits are set already. */
static int open_run(struct mem_host *m, int vm0, int vm2, gpn_t gpn, uint64_t pages,
		    uint32_t rights)
{
	gpa_t gpa = gpn << KEEL_PAGE_SHIFT;
	uint64_t len = pages << KEEL_PAGE_SHIFT;
	int r = set_slot(vm2, m->vtl2_next_id++, gpa, len, mem_host_ptr(m, gpa, len), 0);

	return r < 0 ? r : mem_host_protect(m, vm0, gpn, pages, rights);
}

int mem_host_sealed(struct mem_host *m, int vm0, int vm2)
{
	for (size_t k = 0; k < m->n_ram; k++) {
		const struct mem_ram *ram = &m->ram[k];
		uint64_t first = ram->off >> KEEL_PAGE_SHIFT, n = ram->len >> KEEL_PAGE_SHIFT;
		uint64_t run = 0;

		for (uint64_t i = 0; i <= n; i++) {
			int r = 0;

			if (i < n && get_bit(m->accepted, first + i)) {
				run++;
				continue;
			}
			/* The loader's pages are open to every VTL until VTL2 closes them. */
			if (run)
				r = open_run(m, vm0, vm2, (ram->gpa >> KEEL_PAGE_SHIFT) + i - run,
					     run, HV_MAP_ALL);
			if (r < 0)
				return r;
			run = 0;
		}
	}
	return 0;
}

int mem_host_accept(struct mem_host *m, int vm0, int vm2, gpn_t gpn, uint64_t pages,
		    uint32_t rights)
{
	uint64_t first;

	if (!find_pages(m, gpn, pages, &first))
		return -EFAULT;
	for (uint64_t i = first; i < first + pages; i++)
		if (get_bit(m->accepted, i))
			return -EEXIST;
	for (uint64_t i = first; i < first + pages; i++)
		m->accepted[i / 64] |= 1ull << (i % 64);
	m->n_accepted += pages;
	return open_run(m, vm0, vm2, gpn, pages, rights);
}

int mem_host_share(struct mem_host *m, gpn_t gpn, uint64_t pages, bool shared)
{
	uint64_t first;

	if (!find_pages(m, gpn, pages, &first))
		return -EFAULT;
	for (uint64_t i = first; i < first + pages; i++)
		if (!get_bit(m->accepted, i))
			return -EFAULT;
	if (mprotect(m->host_map + (first << KEEL_PAGE_SHIFT), pages << KEEL_PAGE_SHIFT,
		     shared ? PROT_READ | PROT_WRITE : PROT_NONE) < 0)
		return -errno;
	for (uint64_t i = first; i < first + pages; i++) {
		if (get_bit(m->shared, i) == shared)
			continue;
		m->shared[i / 64] ^= 1ull << (i % 64);
		m->n_shared += shared ? 1 : ~0ull;
	}
	return 0;
}

/* --- creation --------------------------------------------------------------------------------- */

/* Map the whole memfd where our address, like the guest's, allows huge pages. NULL: errno tells. */
static void *map_aligned(const struct mem_host *m, int prot)
{
	uint64_t room = m->size + ALIGN_2M;
	uint8_t *any =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t head;
	void *p;

	if (any == MAP_FAILED)
		return NULL;
	head = align_up((uintptr_t)any, ALIGN_2M) - (uintptr_t)any;
	p = mmap(any + head, m->size, prot, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, m->memfd, 0);
	if (p == MAP_FAILED) {
		int err = errno;

		(void)munmap(any, room);
		errno = err;
		return NULL;
	}
	if (head)
		(void)munmap(any, head);
	(void)munmap(any + head + m->size, room - head - m->size);
	return p;
}

static int make_maps(struct mem_host *m)
{
	void *p;

	m->memfd = memfd_create("keel-guest", MFD_CLOEXEC);
	if (m->memfd < 0 || ftruncate(m->memfd, (off_t)m->size) < 0)
		return -errno;
	p = map_aligned(m, PROT_READ | PROT_WRITE);
	if (!p)
		return -errno;
	m->map = p;
	(void)madvise(p, m->size, MADV_HUGEPAGE);
	(void)madvise(p, m->size, MADV_DONTDUMP);
	m->host_map = m->map;
	if (m->isolated) {
		p = map_aligned(m, PROT_NONE);
		if (!p)
			return -errno;
		m->host_map = p;
		(void)madvise(p, m->size, MADV_DONTDUMP);
	}
	if (!m->faithful)
		return 0;
	p = map_aligned(m, PROT_READ);
	if (!p)
		return -errno;
	m->ro_map = p;
	p = mmap(NULL, MAX(m->size, MEM_HIGH_BASE + HIGH_MMIO_SIZE), PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	m->none_map = p;
	return 0;
}

/* On an isolated partition VTL2 has what it accepts. */
static int make_vtl2_slots(const struct mem_host *m, int vm2)
{
	if (m->isolated)
		return 0;
	for (size_t i = 0; i < m->n_ram; i++) {
		const struct mem_ram *r = &m->ram[i];
		int err = set_slot(vm2, (uint32_t)i, r->gpa, r->len, m->map + r->off, 0);

		if (err < 0)
			return err;
	}
	return 0;
}

/* Where there is no RAM every access must come out with the instruction still to be done. */
static int make_hole_slots(const struct mem_host *m, int vm0)
{
	gpa_t low_end = 0;
	gpa_t high = m->mmio[1].gpa;
	int r = 0;

	if (!m->faithful)
		return 0;
	for (size_t i = 0; i < m->n_ram && m->ram[i].gpa < MEM_HIGH_BASE; i++)
		low_end = m->ram[i].gpa + m->ram[i].len;
	if (low_end < APIC_PAGE)
		r = set_slot(vm0, 0, low_end, APIC_PAGE - low_end, m->none_map, 0);
	if (r == 0)
		r = set_slot(vm0, 1, APIC_PAGE + KEEL_PAGE_SIZE,
			     MEM_HIGH_BASE - APIC_PAGE - KEEL_PAGE_SIZE, m->none_map, 0);
	if (r == 0)
		r = set_slot(vm0, 2, high, HIGH_MMIO_SIZE, m->none_map, 0);
	return r;
}

int mem_host_create(struct mem_host *m, int vm0, int vm2, bool faithful)
{
	int r;

	m->faithful = faithful;
	m->next_id = HOLE_SLOTS;
	m->range = calloc(MEM_MAX_RANGES, sizeof(*m->range));
	m->slot = calloc(MEM_MAX_RANGES, sizeof(*m->slot));
	m->free_ids = calloc(2 * MEM_MAX_RANGES, sizeof(*m->free_ids));
	m->accepted = calloc(bitmap_words(m), sizeof(*m->accepted));
	m->shared = calloc(bitmap_words(m), sizeof(*m->shared));
	if (!m->range || !m->slot || !m->free_ids || !m->accepted || !m->shared)
		return -ENOMEM;
	r = make_maps(m);
	if (r == 0)
		r = make_vtl2_slots(m, vm2);
	if (r == 0)
		r = make_hole_slots(m, vm0);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m->n_ram; i++) {
		const struct mem_ram *ram = &m->ram[i];

		push_range(m->range, &m->n_ranges, ram->gpa >> KEEL_PAGE_SHIFT,
			   ram->len >> KEEL_PAGE_SHIFT,
			   m->isolated || mem_host_is_vtl2(m, ram->gpa) ? 0 : HV_MAP_ALL);
	}
	return sync_slots(m, vm0);
}

void mem_host_destroy(struct mem_host *m)
{
	if (m->none_map)
		(void)munmap(m->none_map, MAX(m->size, MEM_HIGH_BASE + HIGH_MMIO_SIZE));
	if (m->ro_map)
		(void)munmap(m->ro_map, m->size);
	if (m->host_map && m->host_map != m->map)
		(void)munmap(m->host_map, m->size);
	if (m->map)
		(void)munmap(m->map, m->size);
	if (m->memfd >= 0)
		(void)close(m->memfd);
	free(m->range);
	free(m->slot);
	free(m->free_ids);
	free(m->accepted);
	free(m->shared);
	*m = (struct mem_host){ .memfd = -1 };
}
