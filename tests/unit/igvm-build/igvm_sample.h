/* SPDX-License-Identifier: MIT */
/*
 * A small image that uses most kinds of headers, as a list that tests change before it is written:
 * a VSM platform that can be relocated and an SNP platform.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hvregs.h"
#include "igvm_fmt.h"
#include "igvm_write.h"
#include "le.h"

#define SAMPLE_BASE 0x8000000ull /* of the relocatable region, 2 MiB */
#define SAMPLE_REGION 0x200000ull
#define SAMPLE_TABLES (SAMPLE_BASE + SAMPLE_REGION) /* 8 pages, 3 in use */
#define SAMPLE_TABLE_PAGES 8u
#define SAMPLE_MEMORY 0x400000u
#define SAMPLE_ENTRY (SAMPLE_BASE + 0x1234)
#define SAMPLE_GDT (SAMPLE_BASE + 0x3000)
#define SAMPLE_DT (SAMPLE_BASE + 0x10000)
#define SAMPLE_HDRS_MAX 32u

struct sample_hdr {
	uint32_t type;
	uint32_t len;
	uint8_t body[64];
	uint8_t *data; /* NULL or allocated */
	size_t data_len;
};

struct sample {
	struct sample_hdr h[SAMPLE_HDRS_MAX];
	size_t n;
};

/* Positions in the list. */
enum sample_at {
	AT_VSM,
	AT_SNP,
	AT_POLICY,
	AT_REGION,
	AT_TABLES,
	AT_REQUIRED,
	AT_AREA0,
	AT_DT,
	AT_AREA1,
	AT_MMIO,
	AT_VP,
	AT_INSERT0,
	AT_INSERT1,
	AT_ROOT,
	AT_DIR,
	AT_LEAVES,
	AT_CODE,
	AT_SNP_PAGE,
	AT_SNP_SECRETS,
	AT_VMSA,
	AT_ERROR,
	AT_END,
};

static inline void sample_add(struct sample *s, uint32_t type, const void *body, uint32_t len,
			      const void *data, size_t data_len)
{
	struct sample_hdr *h = &s->h[s->n++];

	h->type = type;
	h->len = len;
	memcpy(h->body, body, len);
	h->data = data ? malloc(data_len) : NULL;
	h->data_len = data_len;
	if (h->data)
		memcpy(h->data, data, data_len);
}

static inline void sample_reg(uint8_t *list, uint32_t name, uint64_t lo, uint64_t hi)
{
	uint32_t n = le32_load(list);
	uint8_t *r = list + 4 + n * sizeof(struct igvm_vbs_reg);

	r[0] = 2;
	le32_store(r + 1, name);
	le64_store(r + 16, lo);
	le64_store(r + 24, hi);
	le32_store(list, n + 1);
}

static inline void sample_page(struct sample *s, uint64_t gpa, uint32_t mask, uint16_t type,
			       const void *page)
{
	struct igvm_page_data p = { .gpa = gpa, .mask = mask, .type = type };

	sample_add(s, IGVM_PAGE_DATA, &p, sizeof(p), page, page ? KEEL_PAGE_SIZE : 0);
}

static inline void sample_init_part(struct sample *s)
{
	struct igvm_platform vsm = { .mask = 1, .highest_vtl = 2,
				     .type = IGVM_PLATFORM_VSM_ISOLATION, .version = 1 };
	struct igvm_platform snp = { .mask = 2, .highest_vtl = 2, .type = IGVM_PLATFORM_SEV_SNP,
				     .version = 1, .shared_gpa_boundary = BIT(46) };
	struct igvm_guest_policy policy = { .policy = 0x3001f, .mask = 2 };
	struct igvm_reloc_region region = {
		.mask = 1, .vtl = 2, .flags = 7, .alignment = 0x200000, .gpa = SAMPLE_BASE,
		.size = SAMPLE_REGION, .min_gpa = SAMPLE_BASE, .max_gpa = BIT(48)
	};
	struct igvm_pt_reloc tables = { .mask = 1, .vtl = 2, .gpa = SAMPLE_TABLES,
					.size = SAMPLE_TABLE_PAGES * KEEL_PAGE_SIZE,
					.used_size = 3 * KEEL_PAGE_SIZE };

	sample_add(s, IGVM_SUPPORTED_PLATFORM, &vsm, sizeof(vsm), NULL, 0);
	sample_add(s, IGVM_SUPPORTED_PLATFORM, &snp, sizeof(snp), NULL, 0);
	sample_add(s, IGVM_GUEST_POLICY, &policy, sizeof(policy), NULL, 0);
	sample_add(s, IGVM_RELOCATABLE_REGION, &region, sizeof(region), NULL, 0);
	sample_add(s, IGVM_PAGE_TABLE_RELOCATION, &tables, sizeof(tables), NULL, 0);
}

static inline void sample_params(struct sample *s)
{
	struct igvm_required_memory req = { .gpa = SAMPLE_BASE, .mask = 1, .size = SAMPLE_MEMORY,
					    .flags = 1 };
	struct igvm_param_area a0 = { .size = 2 * KEEL_PAGE_SIZE, .index = 0 };
	struct igvm_param_area a1 = { .size = KEEL_PAGE_SIZE, .index = 7 };
	struct igvm_param dt = { .index = 0 }, mmio = { .index = 7, .byte_off = 64 };
	static uint8_t init[KEEL_PAGE_SIZE];

	memset(init, 0x77, sizeof(init));
	sample_add(s, IGVM_REQUIRED_MEMORY, &req, sizeof(req), NULL, 0);
	sample_add(s, IGVM_PARAMETER_AREA, &a0, sizeof(a0), NULL, 0);
	sample_add(s, IGVM_DEVICE_TREE, &dt, sizeof(dt), NULL, 0);
	sample_add(s, IGVM_PARAMETER_AREA, &a1, sizeof(a1), init, sizeof(init));
	sample_add(s, IGVM_MMIO_RANGES, &mmio, sizeof(mmio), NULL, 0);
}

static inline void sample_vp(struct sample *s)
{
	uint8_t list[4 + 4 * sizeof(struct igvm_vbs_reg)] = { 0 };
	struct igvm_vp_context vp = { .mask = 1 };

	sample_reg(list, HVREG_RIP, SAMPLE_ENTRY, 0);
	sample_reg(list, HVREG_CR3, SAMPLE_TABLES, 0);
	sample_reg(list, HVREG_GDTR, 0x001f000000000000ull, SAMPLE_GDT);
	sample_reg(list, HVREG_RSI, 0x42, 0);
	sample_add(s, IGVM_VP_CONTEXT, &vp, IGVM_VP_CONTEXT_LEN, list, sizeof(list));
}

/* Identity map of the memory: two 2 MiB leaves. */
static inline void sample_tables(struct sample *s)
{
	static uint8_t t[3][KEEL_PAGE_SIZE];

	le64_store(t[0], (SAMPLE_TABLES + KEEL_PAGE_SIZE) | 0x23);
	le64_store(t[1], (SAMPLE_TABLES + 2 * KEEL_PAGE_SIZE) | 0x23);
	for (uint64_t a = SAMPLE_BASE; a < SAMPLE_BASE + SAMPLE_MEMORY; a += 0x200000)
		le64_store(&t[2][a / 0x200000 % 512 * 8], a | 0xe3);
	for (unsigned i = 0; i < 3; i++)
		sample_page(s, SAMPLE_TABLES + i * KEEL_PAGE_SIZE, 1, IGVM_PAGE_NORMAL, t[i]);
}

static inline void sample_make(struct sample *s)
{
	struct igvm_param_insert i0 = { .gpa = SAMPLE_DT, .mask = 1, .index = 0 };
	struct igvm_param_insert i1 = { .gpa = SAMPLE_DT + 0x4000, .mask = 3, .index = 7 };
	struct igvm_vp_context vmsa = { .gpa = 0x7000, .mask = 2 };
	struct igvm_error_range err = { .gpa = 0x100000, .mask = 1, .size = 0x2000 };
	static uint8_t page[KEEL_PAGE_SIZE];

	memset(s, 0, sizeof(*s));
	sample_init_part(s);
	sample_params(s);
	sample_vp(s);
	sample_add(s, IGVM_PARAMETER_INSERT, &i0, sizeof(i0), NULL, 0);
	sample_add(s, IGVM_PARAMETER_INSERT, &i1, sizeof(i1), NULL, 0);
	sample_tables(s);
	memset(page, 0xc0, sizeof(page));
	sample_page(s, SAMPLE_BASE + 0x1000, 1, IGVM_PAGE_NORMAL, page);
	sample_page(s, 0x3000, 2, IGVM_PAGE_NORMAL, NULL);
	sample_page(s, 0x4000, 2, IGVM_PAGE_SECRETS, NULL);
	sample_add(s, IGVM_VP_CONTEXT, &vmsa, IGVM_VP_CONTEXT_LEN, page, sizeof(page));
	sample_add(s, IGVM_ERROR_RANGE, &err, sizeof(err), NULL, 0);
}

static inline void sample_fini(struct sample *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->h[i].data);
	s->n = 0;
}

/* The file; NULL on failure. */
static inline uint8_t *sample_write(const struct sample *s, uint32_t version, uint32_t arch,
				    size_t *ret_len)
{
	struct igvm_writer *w = igvm_writer_create(version, arch);
	void *file = NULL;
	int r = w ? 0 : -1;

	for (size_t i = 0; i < s->n && r == 0; i++)
		r = igvm_writer_add(w, s->h[i].type, s->h[i].body, s->h[i].len, s->h[i].data,
				    s->h[i].data_len);
	if (r == 0)
		r = igvm_writer_finish(w, &file, ret_len);
	igvm_writer_destroy(w);
	return r == 0 ? file : NULL;
}

/* File offset of header i. */
static inline uint64_t sample_off(const struct sample *s, size_t i, uint32_t version)
{
	uint64_t off = version == IGVM_V1 ? 24 : 32;

	for (size_t k = 0; k < i; k++)
		off += 8 + (s->h[k].len + 7u) / 8 * 8;
	return off;
}
