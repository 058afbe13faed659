/* SPDX-License-Identifier: MIT */
/*
 * The collected image as IGVM headers, in the order that launch digests depend on.
 * Spec: igvm-boot, "Directive order produced (X)", "Initial registers (X)".
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "build_priv.h"
#include "ckd.h"
#include "cleanup.h"
#include "hvregs.h"
#include "igvm_write.h"
#include "le.h"
#include "tool_util.h"

#define MASK 1u
#define VTL 2u
#define CS_SEL 0x10u
#define DATA_SEL 0x18u
#define CS_ATTR 0xa09bu
#define DATA_ATTR 0xc093u
#define TR_ATTR 0x008bu
#define CR0_INIT 0x80000021u /* PG NE PE */
#define CR4_INIT 0x40060u /* PAE MCE OSXSAVE */
#define EFER_INIT 0xd00u /* LME LMA NXE */
#define PAT_INIT 0x0007040600070406ull
#define GDT_LIMIT 31u
#define RELOC_MAX BIT(48)

static int add(struct igvm_writer *w, uint32_t type, const void *body, uint32_t len,
	       const void *data, size_t data_len)
{
	return igvm_writer_add(w, type, body, len, data, data_len) < 0
		       ? tool_err("not enough memory.")
		       : 0;
}

static int add_platform(struct igvm_writer *w)
{
	/* Non-isolated VMs use this platform type too. */
	struct igvm_platform p = {
		.mask = MASK, .highest_vtl = VTL, .type = IGVM_PLATFORM_VSM_ISOLATION, .version = 1
	};

	return add(w, IGVM_SUPPORTED_PLATFORM, &p, sizeof(p), NULL, 0);
}

/* Only images for isolated VMs have one: whoever loads the file learns from it what VM to make. */
static int add_policy(struct igvm_writer *w, const struct manifest *m)
{
	struct igvm_guest_policy p = { .policy = m->enable_debug ? IGVM_VBS_POLICY_DEBUG : 0,
				       .mask = MASK };

	if (m->isolation == MANIFEST_ISOLATION_NONE)
		return 0;
	return add(w, IGVM_GUEST_POLICY, &p, sizeof(p), NULL, 0);
}

static int add_relocation(struct igvm_writer *w, const struct layout *lo)
{
	struct igvm_reloc_region x = {
		.mask = MASK,
		.vtl = VTL,
		.flags = IGVM_RELOC_IS_VTL2 | IGVM_RELOC_APPLY_PC | IGVM_RELOC_APPLY_GDTR,
		.alignment = 2 * MIB,
		.gpa = lo->start,
		.size = lo->tables - lo->start,
		.min_gpa = BUILD_DEFAULT_BASE,
		.max_gpa = RELOC_MAX,
	};
	struct igvm_pt_reloc pt = {
		.mask = MASK,
		.vtl = VTL,
		.gpa = lo->tables,
		.size = (uint64_t)lo->tables_total * KEEL_PAGE_SIZE,
		.used_size = (uint64_t)lo->tables_used * KEEL_PAGE_SIZE,
	};

	if (add(w, IGVM_RELOCATABLE_REGION, &x, sizeof(x), NULL, 0) < 0)
		return -1;
	return add(w, IGVM_PAGE_TABLE_RELOCATION, &pt, sizeof(pt), NULL, 0);
}

static int add_required(struct igvm_writer *w, const struct layout *lo)
{
	struct igvm_required_memory r = { .gpa = lo->start,
					  .mask = MASK,
					  .size = (uint32_t)lo->size,
					  .flags = IGVM_MEM_VTL2_PROTECTABLE };

	return add(w, IGVM_REQUIRED_MEMORY, &r, sizeof(r), NULL, 0);
}

static const struct {
	uint32_t type, page, pages;
} parameters[] = {
	{ IGVM_SLIT, BOOTCFG_SLIT_PAGE, BOOTCFG_SLIT_PAGES },
	{ IGVM_PPTT, BOOTCFG_PPTT_PAGE, BOOTCFG_PPTT_PAGES },
	{ IGVM_DEVICE_TREE, BOOTCFG_DT_PAGE, BOOTCFG_DT_PAGES },
};

static int add_parameters(struct igvm_writer *w)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		struct igvm_param_area a = { .size = parameters[i].pages * KEEL_PAGE_SIZE,
					     .index = i };
		struct igvm_param p = { .index = i };

		if (add(w, IGVM_PARAMETER_AREA, &a, sizeof(a), NULL, 0) < 0 ||
		    add(w, parameters[i].type, &p, sizeof(p), NULL, 0) < 0)
			return -1;
	}
	return 0;
}

static int add_inserts(struct igvm_writer *w, const struct layout *lo)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		struct igvm_param_insert x = { .gpa = lo->param_region +
						      parameters[i].page * KEEL_PAGE_SIZE,
					       .mask = MASK,
					       .index = i };

		if (add(w, IGVM_PARAMETER_INSERT, &x, sizeof(x), NULL, 0) < 0)
			return -1;
	}
	return 0;
}

/* --- registers --------------------------------------------------------------------------- */

struct reg_list {
	uint32_t n;
	struct igvm_vbs_reg reg[24];
};

static void reg_add(struct reg_list *l, uint32_t name, const union hv_regval *val)
{
	struct igvm_vbs_reg *r = &l->reg[l->n++];

	r->vtl = VTL;
	le32_store(r->name, name);
	memcpy(r->value, val, sizeof(*val));
}

static void reg_u64(struct reg_list *l, uint32_t name, uint64_t v)
{
	reg_add(l, name, &(union hv_regval){ .q = { v, 0 } });
}

static void reg_seg(struct reg_list *l, uint32_t name, uint16_t sel, uint16_t attr, uint32_t limit)
{
	reg_add(l, name, &(union hv_regval){ .seg = { .limit = limit, .sel = sel, .attr = attr } });
}

static int add_vp_context(struct igvm_writer *w, const struct layout *lo)
{
	static const uint32_t data_segs[] = { HVREG_DS, HVREG_ES, HVREG_FS, HVREG_GS, HVREG_SS };
	struct reg_list l = { 0 };
	struct igvm_vp_context vp = { .mask = MASK };

	reg_add(&l, HVREG_GDTR,
		&(union hv_regval){ .table = { .limit = GDT_LIMIT, .base = lo->gdt } });
	reg_seg(&l, HVREG_CS, CS_SEL, CS_ATTR, UINT32_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(data_segs); i++)
		reg_seg(&l, data_segs[i], DATA_SEL, DATA_ATTR, UINT32_MAX);
	reg_seg(&l, HVREG_TR, 0, TR_ATTR, 0xffff);
	reg_u64(&l, HVREG_CR0, CR0_INIT);
	reg_u64(&l, HVREG_CR3, lo->tables);
	reg_u64(&l, HVREG_CR4, CR4_INIT);
	reg_u64(&l, HVREG_EFER, EFER_INIT);
	reg_u64(&l, HVREG_PAT, PAT_INIT);
	reg_u64(&l, HVREG_RSI,
		lo->params - lo->shim); /* an offset: valid wherever the image lands */
	reg_u64(&l, HVREG_RIP, lo->shim_entry);
	return add(w, IGVM_VP_CONTEXT, &vp, IGVM_VP_CONTEXT_LEN, &l, 4 + l.n * sizeof(l.reg[0]));
}

/* --- pages ------------------------------------------------------------------------------- */

static int add_page(struct igvm_writer *w, uint64_t gpn, const void *data)
{
	struct igvm_page_data p = { .gpa = gpn * KEEL_PAGE_SIZE, .mask = MASK };

	return add(w, IGVM_PAGE_DATA, &p, sizeof(p), data, data ? KEEL_PAGE_SIZE : 0);
}

static int add_pages(struct igvm_writer *w, const struct image *img)
{
	for (size_t i = 0; i < img->n_page; i++)
		if (add_page(w, img->page[i].gpn, img->page[i].data) < 0)
			return -1;
	return 0;
}

static int add_hash_pages(struct igvm_writer *w, const struct layout *lo)
{
	uint8_t first[KEEL_PAGE_SIZE] = { 0 };
	struct page_hash_header h = { .magic = PAGE_HASH_MAGIC, .version = 1 };
	uint64_t gpn = lo->param_region / KEEL_PAGE_SIZE + BOOTCFG_HASH_PAGE;

	memcpy(first, &h, sizeof(h)); /* no shared pages, no digests */
	for (uint32_t i = 0; i < BOOTCFG_HASH_PAGES; i++)
		if (add_page(w, gpn + i, i ? NULL : first) < 0)
			return -1;
	return 0;
}

/* Append one accepted range; neighbours of the same piece become one entry. */
static bool add_entry(struct imported_region *e, size_t max, size_t *n, const char **last_tag,
		      const struct image_range *r)
{
	if (*n && *last_tag == r->tag && e[*n - 1].gpn + e[*n - 1].pages == r->gpn) {
		e[*n - 1].pages += r->pages;
		return true;
	}
	if (*n == max)
		return false;
	e[(*n)++] = (struct imported_region){ .gpn = r->gpn, .pages = r->pages, .accepted = 1 };
	*last_tag = r->tag;
	return true;
}

static int add_imported_page(struct igvm_writer *w, const struct build *b)
{
	uint64_t gpn = b->lo.param_region / KEEL_PAGE_SIZE + BOOTCFG_IMPORTED_PAGE;
	const struct image_range own = { .gpn = gpn, .pages = 1, .tag = "imported regions" };
	uint8_t page[KEEL_PAGE_SIZE] = { 0 };
	/* One entry stays zero: it ends the list. */
	size_t max = (sizeof(page) - IMPORTED_DIGEST_LEN) / sizeof(struct imported_region) - 1,
	       n = 0;
	struct imported_region *e = (struct imported_region *)(void *)(page + IMPORTED_DIGEST_LEN);
	const char *tag = NULL;
	bool ok = true, own_done = false;

	if (!EVP_Digest("", 0, page, NULL, EVP_sha384(), NULL)) /* over no shared page at all */
		return tool_err("the crypto library failed.");
	for (size_t i = 0; i < b->img.n_range; i++) {
		const struct image_range *r = &b->img.range[i];

		if (!own_done && r->gpn > gpn) {
			ok &= add_entry(e, max, &n, &tag, &own);
			own_done = true;
		}
		ok &= add_entry(e, max, &n, &tag, r);
	}
	if (!own_done)
		ok &= add_entry(e, max, &n, &tag, &own);
	if (!ok)
		return tool_err("the image has more than %zu separate ranges.", max);
	return add_page(w, gpn, page);
}

/* Headers in the order that digests are defined over. */
static int write_all(struct igvm_writer *w, struct build *b)
{
	const struct layout *lo = &b->lo;
	/* Registers and page tables are measured where they are: isolated images stay in place. */
	bool moves = !b->m->has_base && b->m->isolation == MANIFEST_ISOLATION_NONE;

	if (add_platform(w) < 0 || add_policy(w, b->m) < 0 ||
	    (moves && add_relocation(w, lo) < 0) || add_required(w, lo) < 0 ||
	    add_parameters(w) < 0 || add_vp_context(w, lo) < 0 || add_inserts(w, lo) < 0 ||
	    add_pages(w, &b->img) < 0 || add_hash_pages(w, lo) < 0)
		return -1;
	return add_imported_page(w, b);
}

int build_write(struct build *b, void **ret_file, size_t *ret_len)
{
	struct igvm_writer *w = igvm_writer_create(IGVM_V1, IGVM_ARCH_X64);
	int r;

	if (!w)
		return tool_err("not enough memory.");
	r = write_all(w, b);
	if (r == 0 && igvm_writer_finish(w, ret_file, ret_len) < 0)
		r = tool_err("the image does not fit 4 GiB or memory.");
	igvm_writer_destroy(w);
	return r;
}
