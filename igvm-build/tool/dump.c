/* SPDX-License-Identifier: MIT */
/* Dumps of an image. Input: a checked file. */
#include "dump.h"

#include <inttypes.h>
#include <stdbool.h>

#include "hvregs.h"

static const struct {
	uint32_t name;
	const char *text;
} reg_names[] = {
	{ HVREG_RAX, "RAX" },
	{ HVREG_RCX, "RCX" },
	{ HVREG_RDX, "RDX" },
	{ HVREG_RBX, "RBX" },
	{ HVREG_RSP, "RSP" },
	{ HVREG_RBP, "RBP" },
	{ HVREG_RSI, "RSI" },
	{ HVREG_RDI, "RDI" },
	{ HVREG_RIP, "RIP" },
	{ HVREG_RFLAGS, "RFLAGS" },
	{ HVREG_CR0, "CR0" },
	{ HVREG_CR3, "CR3" },
	{ HVREG_CR4, "CR4" },
	{ HVREG_ES, "ES" },
	{ HVREG_CS, "CS" },
	{ HVREG_SS, "SS" },
	{ HVREG_DS, "DS" },
	{ HVREG_FS, "FS" },
	{ HVREG_GS, "GS" },
	{ HVREG_LDTR, "LDTR" },
	{ HVREG_TR, "TR" },
	{ HVREG_IDTR, "IDTR" },
	{ HVREG_GDTR, "GDTR" },
	{ HVREG_EFER, "EFER" },
	{ HVREG_APIC_BASE, "APIC_BASE" },
	{ HVREG_PAT, "PAT" },
	{ HVREG_MTRR_DEF_TYPE, "MTRR_DEF_TYPE" },
};

static const char *reg_name(uint32_t name)
{
	for (size_t i = 0; i < ARRAY_SIZE(reg_names); i++)
		if (reg_names[i].name == name)
			return reg_names[i].text;
	return NULL;
}

static bool is_vsm(const struct igvm_file *f, uint32_t mask)
{
	const struct igvm_platform *p = igvm_platform_find(f, IGVM_PLATFORM_VSM_ISOLATION);

	return p && p->mask == mask;
}

/* The value as fields: "base .. limit .." for segments and tables, a number otherwise. */
static void print_value(FILE *out, const struct igvm_reg *reg, bool json)
{
	const union hv_regval *v = &reg->val;

	if (reg->name >= HVREG_ES && reg->name <= HVREG_TR)
		fprintf(out,
			json ? "{\"selector\":%u,\"attributes\":%u,\"base\":%" PRIu64
			       ",\"limit\":%u}"
			     : "selector %#x attributes %#x base %#" PRIx64 " limit %#x",
			v->seg.sel, v->seg.attr, v->seg.base, v->seg.limit);
	else if (reg->name == HVREG_IDTR || reg->name == HVREG_GDTR)
		fprintf(out,
			json ? "{\"base\":%" PRIu64 ",\"limit\":%u}"
			     : "base %#" PRIx64 " limit %#x",
			v->table.base, v->table.limit);
	else
		fprintf(out, json ? "%" PRIu64 : "%#" PRIx64, v->u64);
}

static void text_regs(const struct igvm_file *f, const struct igvm_header *h, FILE *out)
{
	for (uint32_t i = 0; i < igvm_vbs_reg_count(f, h); i++) {
		struct igvm_reg reg = igvm_vbs_reg_get(f, h, i);
		const char *name = reg_name(reg.name);

		if (name)
			fprintf(out, "  VTL%u %-14s ", reg.vtl, name);
		else
			fprintf(out, "  VTL%u %#-14x ", reg.vtl, reg.name);
		print_value(out, &reg, false);
		fputs("\n", out);
	}
}

static void text_init(const struct igvm_file *f, const struct igvm_header *h, FILE *out)
{
	switch (h->type) {
	case IGVM_SUPPORTED_PLATFORM:
		fprintf(out, "%s, highest VTL %u, shared boundary %#" PRIx64,
			igvm_platform_name(h->platform.type), h->platform.highest_vtl,
			h->platform.shared_gpa_boundary);
		break;
	case IGVM_GUEST_POLICY:
		fprintf(out, "policy %#" PRIx64 "%s", h->policy.policy,
			is_vsm(f, h->mask) && (h->policy.policy & IGVM_VBS_POLICY_DEBUG)
				? ", debugging allowed"
				: "");
		break;
	case IGVM_RELOCATABLE_REGION:
		fprintf(out,
			"%#" PRIx64 "+%#" PRIx64 " to %#" PRIx64 "-%#" PRIx64 " by %#" PRIx64
			", flags %#x, VTL%u",
			h->reloc.gpa, h->reloc.size, h->reloc.min_gpa, h->reloc.max_gpa,
			h->reloc.alignment, h->reloc.flags, h->reloc.vtl);
		break;
	case IGVM_PAGE_TABLE_RELOCATION:
		fprintf(out, "%#" PRIx64 "+%#" PRIx64 ", used %#" PRIx64 ", VTL%u", h->pt_reloc.gpa,
			h->pt_reloc.size, h->pt_reloc.used_size, h->pt_reloc.vtl);
		break;
	case IGVM_CCA_POLICY:
		fprintf(out, "ones %#" PRIx64 ", zeroes %#" PRIx64, h->cca.required_ones,
			h->cca.required_zeroes);
		break;
	default:
		fprintf(out, "%u bytes at file offset %#x", h->corim.size, h->corim.file_off);
		break;
	}
}

static void text_directive(const struct igvm_header *h, FILE *out)
{
	switch (h->type) {
	case IGVM_PARAMETER_AREA:
		fprintf(out, "area %u, %#" PRIx64 " bytes, initial data at %#x", h->area.index,
			h->area.size, h->area.file_off);
		break;
	case IGVM_PARAMETER_INSERT:
		fprintf(out, "area %u to %#" PRIx64, h->insert.index, h->insert.gpa);
		break;
	case IGVM_VP_CONTEXT:
		fprintf(out, "VP %u, GPA %#" PRIx64, h->vp.vp_index, h->vp.gpa);
		break;
	case IGVM_REQUIRED_MEMORY:
		fprintf(out, "%#" PRIx64 "+%#x%s", h->required.gpa, h->required.size,
			h->required.flags ? ", VTL2 protectable" : "");
		break;
	case IGVM_ERROR_RANGE:
		fprintf(out, "%#" PRIx64 "+%#x", h->error_range.gpa, h->error_range.size);
		break;
	case IGVM_SNP_ID_BLOCK:
	case IGVM_VBS_MEASUREMENT:
		fprintf(out, "%u bytes", h->len);
		break;
	default:
		fprintf(out, "area %u at byte %#x", h->param.index, h->param.byte_off);
		break;
	}
}

/* Do two PAGE_DATA headers continue one run: next page, same attributes, both (no) data? */
static bool same_run(const struct igvm_header *a, const struct igvm_header *b)
{
	return b && b->type == IGVM_PAGE_DATA && a->page.gpa + KEEL_PAGE_SIZE == b->page.gpa &&
	       a->mask == b->mask && a->page.flags == b->page.flags &&
	       a->page.type == b->page.type && !a->page.file_off == !b->page.file_off;
}

/* Print a run of pages that starts at h. Returns: the header after the run. */
static const struct igvm_header *text_pages(const struct igvm_file *f, const struct igvm_header *h,
					    size_t *pos, FILE *out)
{
	const struct igvm_header *last = h, *next;
	size_t n = 1;

	while (same_run(last, next = igvm_next(f, pos, ~0u))) {
		last = next;
		n++;
	}
	fprintf(out,
		"%#010" PRIx64 "  PAGE_DATA              mask %#x  %#" PRIx64 "-%#" PRIx64
		", %zu pages%s%s%s",
		h->off, h->mask, h->page.gpa, last->page.gpa + KEEL_PAGE_SIZE - 1, n,
		h->page.file_off ? "" : ", zero",
		h->page.flags & IGVM_PAGE_UNMEASURED ? ", unmeasured" : "",
		h->page.flags & IGVM_PAGE_SHARED ? ", shared" : "");
	if (h->page.type != IGVM_PAGE_NORMAL)
		fprintf(out, ", data type %u", h->page.type);
	fputs("\n", out);
	return next;
}

static void text_header(const struct igvm_file *f, const struct igvm_header *h, FILE *out)
{
	fprintf(out, "%#010" PRIx64 "  %-21s  ", h->off, igvm_type_name(h->type));
	if (h->masked)
		fprintf(out, "mask %#x  ", h->mask);
	if (h->type < IGVM_DIRECTIVE_FIRST)
		text_init(f, h, out);
	else
		text_directive(h, out);
	fputs("\n", out);
	if (h->type == IGVM_VP_CONTEXT && is_vsm(f, h->mask))
		text_regs(f, h, out);
}

void dump_text(const struct igvm_file *f, FILE *out)
{
	const struct igvm_header *h;
	size_t pos = 0;

	fprintf(out, "IGVM version %u, %s, %zu bytes, checksum %#010x\n", igvm_version(f),
		igvm_arch(f) == IGVM_ARCH_X64 ? "x64" : "AArch64", igvm_file_size(f),
		igvm_checksum(f));
	h = igvm_next(f, &pos, ~0u);
	while (h) {
		if (h->type == IGVM_PAGE_DATA) {
			h = text_pages(f, h, &pos, out);
			continue;
		}
		text_header(f, h, out);
		h = igvm_next(f, &pos, ~0u);
	}
}

static void json_regs(const struct igvm_file *f, const struct igvm_header *h, FILE *out)
{
	fputs(",\"registers\":[", out);
	for (uint32_t i = 0; i < igvm_vbs_reg_count(f, h); i++) {
		struct igvm_reg reg = igvm_vbs_reg_get(f, h, i);

		fprintf(out, "%s{\"vtl\":%u,\"name\":%u,\"value\":", i ? "," : "", reg.vtl,
			reg.name);
		print_value(out, &reg, true);
		fputs("}", out);
	}
	fputs("]", out);
}

static void json_init(const struct igvm_header *h, FILE *out)
{
	switch (h->type) {
	case IGVM_SUPPORTED_PLATFORM:
		fprintf(out,
			",\"platform\":\"%s\",\"highest_vtl\":%u,\"shared_gpa_boundary\":%" PRIu64,
			igvm_platform_name(h->platform.type), h->platform.highest_vtl,
			h->platform.shared_gpa_boundary);
		break;
	case IGVM_GUEST_POLICY:
		fprintf(out, ",\"policy\":%" PRIu64, h->policy.policy);
		break;
	case IGVM_RELOCATABLE_REGION:
		fprintf(out,
			",\"gpa\":%" PRIu64 ",\"size\":%" PRIu64 ",\"alignment\":%" PRIu64
			",\"minimum\":%" PRIu64 ",\"maximum\":%" PRIu64
			",\"flags\":%u,\"vtl\":%u,\"vp_index\":%u",
			h->reloc.gpa, h->reloc.size, h->reloc.alignment, h->reloc.min_gpa,
			h->reloc.max_gpa, h->reloc.flags, h->reloc.vtl, h->reloc.vp_index);
		break;
	case IGVM_PAGE_TABLE_RELOCATION:
		fprintf(out,
			",\"gpa\":%" PRIu64 ",\"size\":%" PRIu64 ",\"used_size\":%" PRIu64
			",\"vtl\":%u,\"vp_index\":%u",
			h->pt_reloc.gpa, h->pt_reloc.size, h->pt_reloc.used_size, h->pt_reloc.vtl,
			h->pt_reloc.vp_index);
		break;
	case IGVM_CCA_POLICY:
		fprintf(out,
			",\"required_ones\":%" PRIu64 ",\"required_zeroes\":%" PRIu64
			",\"hash\":%u,\"lfa\":%u",
			h->cca.required_ones, h->cca.required_zeroes, h->cca.hash, h->cca.lfa);
		break;
	default:
		fprintf(out, ",\"file_offset\":%u,\"size\":%u", h->corim.file_off, h->corim.size);
		break;
	}
}

static void json_directive(const struct igvm_file *f, const struct igvm_header *h, FILE *out)
{
	switch (h->type) {
	case IGVM_PARAMETER_AREA:
		fprintf(out, ",\"index\":%u,\"size\":%" PRIu64 ",\"file_offset\":%u", h->area.index,
			h->area.size, h->area.file_off);
		break;
	case IGVM_PAGE_DATA:
		fprintf(out,
			",\"gpa\":%" PRIu64 ",\"file_offset\":%u,\"flags\":%u,\"data_type\":%u",
			h->page.gpa, h->page.file_off, h->page.flags, h->page.type);
		break;
	case IGVM_PARAMETER_INSERT:
		fprintf(out, ",\"index\":%u,\"gpa\":%" PRIu64, h->insert.index, h->insert.gpa);
		break;
	case IGVM_VP_CONTEXT:
		fprintf(out, ",\"vp_index\":%u,\"gpa\":%" PRIu64 ",\"file_offset\":%u",
			h->vp.vp_index, h->vp.gpa, h->vp.file_off);
		if (is_vsm(f, h->mask))
			json_regs(f, h, out);
		break;
	case IGVM_REQUIRED_MEMORY:
		fprintf(out, ",\"gpa\":%" PRIu64 ",\"size\":%u,\"vtl2_protectable\":%s",
			h->required.gpa, h->required.size, h->required.flags ? "true" : "false");
		break;
	case IGVM_ERROR_RANGE:
		fprintf(out, ",\"gpa\":%" PRIu64 ",\"size\":%u", h->error_range.gpa,
			h->error_range.size);
		break;
	case IGVM_SNP_ID_BLOCK:
	case IGVM_VBS_MEASUREMENT:
		break;
	default:
		fprintf(out, ",\"index\":%u,\"byte_offset\":%u", h->param.index, h->param.byte_off);
		break;
	}
}

void dump_json(const struct igvm_file *f, FILE *out)
{
	const struct igvm_header *h;
	size_t pos = 0;
	bool first = true;

	fprintf(out,
		"{\"version\":%u,\"architecture\":\"%s\",\"file_size\":%zu,\"checksum\":%u,"
		"\"headers\":[",
		igvm_version(f), igvm_arch(f) == IGVM_ARCH_X64 ? "x64" : "aarch64",
		igvm_file_size(f), igvm_checksum(f));
	while ((h = igvm_next(f, &pos, ~0u))) {
		fprintf(out, "%s\n{\"offset\":%" PRIu64 ",\"type\":\"%s\"", first ? "" : ",",
			h->off, igvm_type_name(h->type));
		first = false;
		if (h->masked)
			fprintf(out, ",\"mask\":%u", h->mask);
		if (h->type < IGVM_DIRECTIVE_FIRST)
			json_init(h, out);
		else
			json_directive(f, h, out);
		fputs("}", out);
	}
	fputs("\n]}\n", out);
}
