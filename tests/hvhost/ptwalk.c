/* SPDX-License-Identifier: MIT */
#include "ptwalk.h"

#define CR0_PG BIT(31)
#define CR0_WP BIT(16)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_LA57 BIT(12)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull

struct walk {
	struct gmem *gm;
	const struct ptwalk_mode *m;
	unsigned int access;
	uint64_t gva;
	uint64_t rights; /* AND of P, W, U over all levels */
	bool nx; /* OR over all levels */
	uint32_t error;
};

static enum ptwalk_result fail(struct walk *w, enum ptwalk_result res)
{
	w->error = (uint32_t)((res == PTWALK_PRIVILEGE || res == PTWALK_RESERVED ?
				       PTWALK_ERR_PRESENT : 0) |
			      (w->access & PTWALK_WRITE ? PTWALK_ERR_WRITE : 0) |
			      (w->m->user ? PTWALK_ERR_USER : 0) |
			      (res == PTWALK_RESERVED ? PTWALK_ERR_RESERVED : 0) |
			      (w->access & PTWALK_EXECUTE ? PTWALK_ERR_FETCH : 0));
	return res;
}

static bool allowed(const struct walk *w)
{
	const struct ptwalk_mode *m = w->m;
	bool user_page = w->rights & PTE_U;

	if (w->access & PTWALK_EXEMPT)
		return true;
	if (m->user && !user_page)
		return false;
	if (w->access & PTWALK_EXECUTE) {
		if (w->nx && (m->efer & EFER_NXE))
			return false;
		return m->user || !user_page || !(m->cr4 & CR4_SMEP);
	}
	if (!m->user && user_page && (m->cr4 & CR4_SMAP) && !m->ac)
		return false;
	if (!(w->access & PTWALK_WRITE) || (w->rights & PTE_W))
		return true;
	return !m->user && !(m->cr0 & CR0_WP);
}

/* Set bits in the entry as long as nobody changes it meanwhile; losing that race is harmless. */
static void mark(struct walk *w, gpa_t at, unsigned int size, uint64_t pte, uint64_t bits)
{
	uint64_t expected = pte;

	if ((w->access & PTWALK_SET_AD) && (pte & bits) != bits)
		(void)!gm_cmpxchg(w->gm, at, size, &expected, pte | bits);
}

static bool is_leaf(const struct walk *w, unsigned int level, uint64_t pte, unsigned int size)
{
	if (level == 0)
		return true;
	if (!(pte & PTE_PS) || level > 2)
		return false;
	return size == 8 || (w->m->cr4 & CR4_PSE);
}

static enum ptwalk_result finish(struct walk *w, gpa_t at, unsigned int size, uint64_t pte,
				 unsigned int shift, gpa_t *ret_gpa)
{
	uint64_t offset_mask = (1ull << shift) - 1;
	uint64_t base;

	if (!allowed(w))
		return fail(w, PTWALK_PRIVILEGE);
	mark(w, at, size, pte, PTE_A | (w->access & PTWALK_WRITE ? PTE_D : 0));
	if (size == 4 && shift == 22) /* address bits 39:32 are in 20:13 */
		base = (pte & 0xffc00000) | (pte >> 13 & 0xff) << 32;
	else
		base = pte & PTE_ADDR & ~offset_mask;
	*ret_gpa = base | (w->gva & offset_mask);
	return PTWALK_OK;
}

static enum ptwalk_result descend(struct walk *w, gpa_t table, unsigned int levels,
				  unsigned int size, gpa_t *ret_gpa)
{
	unsigned int bits = size == 8 ? 9 : 10;

	for (unsigned int level = levels; level-- > 0;) {
		unsigned int shift = KEEL_PAGE_SHIFT + level * bits;
		gpa_t at = table + (w->gva >> shift & ((1u << bits) - 1)) * size;
		bool pdpte_pae = levels == 3 && level == 2;
		uint64_t pte = 0;

		if (gm_read(w->gm, at, &pte, size) < 0)
			return fail(w, PTWALK_NO_RAM);
		if (!(pte & PTE_P))
			return fail(w, PTWALK_NOT_PRESENT);
		if (size == 8 && (pte & PTE_NX) && !(w->m->efer & EFER_NXE))
			return fail(w, PTWALK_RESERVED);
		if (!pdpte_pae) { /* those have no rights */
			w->rights &= pte;
			w->nx |= size == 8 && (pte & PTE_NX);
			if (is_leaf(w, level, pte, size))
				return finish(w, at, size, pte, shift, ret_gpa);
			if (level > 2 && (pte & PTE_PS))
				return fail(w, PTWALK_RESERVED);
			mark(w, at, size, pte, PTE_A);
		}
		table = pte & PTE_ADDR;
	}
	return fail(w, PTWALK_NOT_PRESENT);
}

enum ptwalk_result ptwalk(struct gmem *gm, const struct ptwalk_mode *m, uint64_t gva,
			  unsigned int access, gpa_t *ret_gpa, uint32_t *ret_error)
{
	struct walk w = { .gm = gm, .m = m, .access = access, .gva = gva,
			  .rights = PTE_W | PTE_U };
	bool is_long = m->efer & EFER_LMA;
	enum ptwalk_result res;

	if (!(m->cr0 & CR0_PG)) {
		*ret_gpa = gva & 0xffffffff;
		return PTWALK_OK;
	}
	if (!is_long)
		w.gva &= 0xffffffff;
	if (is_long)
		res = descend(&w, m->cr3 & PTE_ADDR, m->cr4 & CR4_LA57 ? 5 : 4, 8, ret_gpa);
	else if (m->cr4 & CR4_PAE)
		res = descend(&w, m->cr3 & 0xffffffe0, 3, 8, ret_gpa);
	else
		res = descend(&w, m->cr3 & 0xfffff000, 2, 4, ret_gpa);
	if (res != PTWALK_OK)
		*ret_error = w.error;
	return res;
}
