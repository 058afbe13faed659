/* SPDX-License-Identifier: MIT */
#include "gmem.h"

#include "ckd.h"
#include "trycopy.h"

#include <errno.h>
#include <liburing.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

struct gmem {
	size_t n;
	struct gmem_region regions[]; /* sorted by gpa, no overlap */
};

/* ---- the fault handler ----------------------------------------------------------------------- */

static struct sigaction old_segv, old_bus;
static _Atomic uint64_t n_faults;

/* A fault that is not ours: what would have happened without this handler. */
static void pass_on(int sig, siginfo_t *info, void *uc)
{
	const struct sigaction *old = sig == SIGBUS ? &old_bus : &old_segv;

	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, uc);
	} else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
	} else {
		/* The faulting instruction runs again and meets the default action. */
		struct sigaction dfl = { .sa_handler = SIG_DFL };

		(void)sigaction(sig, &dfl, NULL);
		if (info->si_code <= 0)
			(void)raise(sig); /* sent by somebody: nothing will fault again */
	}
}

static void on_fault(int sig, siginfo_t *info, void *raw_uc)
{
	ucontext_t *uc = raw_uc;
	greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];

	if (info->si_code > 0 && (uintptr_t)*rip >= (uintptr_t)trycopy_begin &&
	    (uintptr_t)*rip < (uintptr_t)trycopy_end) {
		atomic_fetch_add_explicit(&n_faults, 1, memory_order_relaxed);
		*rip = (greg_t)(uintptr_t)trycopy_fault;
		return;
	}
	pass_on(sig, info, raw_uc);
}

int gm_install_fault_handler(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction segv, bus;

	(void)sigemptyset(&sa.sa_mask);
	if (sigaction(SIGSEGV, &sa, &segv) < 0)
		return -errno;
	if (sigaction(SIGBUS, &sa, &bus) < 0)
		return -errno;
	/* Installed a second time it must not become its own predecessor. */
	if (!(segv.sa_flags & SA_SIGINFO) || segv.sa_sigaction != on_fault)
		old_segv = segv;
	if (!(bus.sa_flags & SA_SIGINFO) || bus.sa_sigaction != on_fault)
		old_bus = bus;
	return 0;
}

uint64_t gm_faults(void)
{
	return atomic_load_explicit(&n_faults, memory_order_relaxed);
}

/* ---- regions --------------------------------------------------------------------------------- */

static int region_check(const struct gmem_region *r)
{
	uint64_t end;

	if (!r->host || !r->len || !is_aligned(r->gpa | r->len, KEEL_PAGE_SIZE))
		return -EINVAL;
	if (ckd_add(&end, r->gpa, r->len) || r->len > PTRDIFF_MAX)
		return -EINVAL;
	return 0;
}

static int region_cmp(const void *a, const void *b)
{
	const struct gmem_region *ra = a, *rb = b;

	return (ra->gpa > rb->gpa) - (ra->gpa < rb->gpa);
}

/* Check for overlaps, and make one region of neighbours whose mappings are neighbours too. */
static int regions_merge(struct gmem *gm)
{
	size_t out = 0;

	for (size_t i = 1; i < gm->n; i++) {
		struct gmem_region *last = &gm->regions[out];
		const struct gmem_region *r = &gm->regions[i];

		if (r->gpa < last->gpa + last->len)
			return -EINVAL;
		if (r->gpa == last->gpa + last->len &&
		    (char *)r->host == (char *)last->host + last->len)
			last->len += r->len;
		else
			gm->regions[++out] = *r;
	}
	gm->n = out + 1;
	return 0;
}

int gmem_create(const struct gmem_region *regions, size_t n, struct gmem **ret_gm)
{
	struct gmem *gm;
	int r;

	if (!n || n > GMEM_MAX_REGIONS)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		r = region_check(&regions[i]);
		if (r < 0)
			return r;
	}
	gm = calloc(1, sizeof(*gm) + n * sizeof(gm->regions[0]));
	if (!gm)
		return -ENOMEM;
	gm->n = n;
	memcpy(gm->regions, regions, n * sizeof(gm->regions[0]));
	qsort(gm->regions, n, sizeof(gm->regions[0]), region_cmp);
	r = regions_merge(gm);
	if (r < 0) {
		gmem_destroy(gm);
		return r;
	}
	*ret_gm = gm;
	return 0;
}

void gmem_destroy(struct gmem *gm)
{
	free(gm);
}

/* The region that holds gpa, or NULL. */
static const struct gmem_region *region_find(const struct gmem *gm, gpa_t gpa)
{
	size_t lo = 0, hi = gm->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (gpa < gm->regions[mid].gpa)
			hi = mid;
		else if (gpa - gm->regions[mid].gpa >= gm->regions[mid].len)
			lo = mid + 1;
		else
			return &gm->regions[mid];
	}
	return NULL;
}

/* Mapping of gpa and how many of the len bytes wanted lie behind it; NULL: not RAM. */
static char *piece_at(const struct gmem *gm, gpa_t gpa, uint64_t len, uint64_t *ret_len)
{
	const struct gmem_region *r = region_find(gm, gpa);
	uint64_t off;

	if (!r)
		return NULL;
	off = gpa - r->gpa;
	*ret_len = MIN(len, r->len - off);
	return (char *)r->host + off;
}

/* ---- access ---------------------------------------------------------------------------------- */

int gm_read(struct gmem *gm, gpa_t gpa, void *ret_buf, size_t len)
{
	char *to = ret_buf;
	uint64_t n;

	for (; len; len -= n, gpa += n, to += n) {
		const char *from = piece_at(gm, gpa, len, &n);

		if (!from || trycopy_mem(to, from, n) < 0)
			return -EFAULT;
	}
	return 0;
}

int gm_write(struct gmem *gm, gpa_t gpa, const void *buf, size_t len)
{
	const char *from = buf;
	uint64_t n;

	for (; len; len -= n, gpa += n, from += n) {
		char *to = piece_at(gm, gpa, len, &n);

		if (!to || trycopy_mem(to, from, n) < 0)
			return -EFAULT;
	}
	return 0;
}

int gm_zero(struct gmem *gm, gpa_t gpa, uint64_t len)
{
	uint64_t n;

	for (; len; len -= n, gpa += n) {
		char *to = piece_at(gm, gpa, len, &n);

		if (!to || trycopy_zero(to, n) < 0)
			return -EFAULT;
	}
	return 0;
}

int gm_cmpxchg(struct gmem *gm, gpa_t gpa, unsigned size, uint64_t *expected, uint64_t desired)
{
	uint64_t n;
	char *to;

	if ((size != 1 && size != 2 && size != 4 && size != 8) || !is_aligned(gpa, size))
		return -EINVAL;
	/* Aligned within a page, so it never crosses into another region. */
	to = piece_at(gm, gpa, size, &n);
	if (!to)
		return -EFAULT;
	return trycopy_cmpxchg(to, expected, desired, size);
}

bool gm_is_ram(const struct gmem *gm, gpa_t gpa, uint64_t len)
{
	uint64_t n;

	for (; len; len -= n, gpa += n) {
		if (!piece_at(gm, gpa, len, &n))
			return false;
	}
	return true;
}

int gm_host_range(struct gmem *gm, gpa_t gpa, uint64_t len, void **ret_host)
{
	uint64_t n;
	char *host;

	host = piece_at(gm, gpa, len, &n);
	if (!host || n != len)
		return -EFAULT;
	*ret_host = host;
	return 0;
}

int gm_copy_in(void *ret_buf, const void *shared, size_t len)
{
	return trycopy_mem(ret_buf, shared, len);
}

int gm_copy_out(void *shared, const void *buf, size_t len)
{
	return trycopy_mem(shared, buf, len);
}

/* ---- pinning --------------------------------------------------------------------------------- */

/* As requests with registered buffers do, without one: the memory is neither read nor written. */
static int pin_once(struct io_uring *ring, void *page)
{
	const struct iovec iov = { page, KEEL_PAGE_SIZE };
	int r = io_uring_register_buffers(ring, &iov, 1);

	return r < 0 ? r : io_uring_unregister_buffers(ring);
}

int gm_pin_probe(const struct gmem *gm)
{
	struct io_uring ring;
	int r = io_uring_queue_init(2, &ring, 0);

	if (r < 0)
		return r;
	for (size_t i = 0; i < gm->n && r == 0; i++) {
		char *first = gm->regions[i].host;

		r = pin_once(&ring, first);
		if (r == 0)
			r = pin_once(&ring, first + gm->regions[i].len - KEEL_PAGE_SIZE);
	}
	io_uring_queue_exit(&ring);
	return r == -EEXIST ? -EFAULT : r; /* mapped, but not by a page of the kernel's */
}
