/* SPDX-License-Identifier: MIT */
/*
 * The boot shim's way from the host's device tree to boot parameters, on hostile trees: parse, plan
 * memory, take a pool, write the kernel's tree and its boot parameters. What comes out is checked:
 * the map must be ascending and cover the host's RAM, and the kernel's tree must be readable.
 * The first byte of an input selects its form: odd = a whole blob; even = a structure block, whose
 * open nodes are closed and which gets a header and the strings of all properties. Bit 1: the
 * partition is isolated.
 */
#include <stdlib.h>
#include <string.h>

#include "boot_params.h"
#include "ckd.h"
#include "dt_rd.h"
#include "fuzz.h"
#include "host_dt.h"
#include "kcmdline.h"
#include "kern_dt.h"
#include "le.h"
#include "memplan.h"
#include "shim_opts.h"

#define MIB (1ull << 20)
#define BASE (128 * MIB)

static struct host_dt host;
static struct memplan plan;
static bool isolated;

static struct plan_image image(void)
{
	return (struct plan_image){
		.memory = { BASE, 64 * MIB },
		.used = { BASE, 17 * MIB },
		.persisted = { BASE, 2 * MIB },
		.reserved = { BASE + 14 * MIB, 4 * KEEL_PAGE_SIZE },
		.param_region = { BASE + 14 * MIB + 4 * KEEL_PAGE_SIZE,
				  BOOTCFG_REGION_PAGES * KEEL_PAGE_SIZE },
		.log = { BASE + 16 * MIB, 2 * KEEL_PAGE_SIZE },
		.isolated = isolated,
	};
}

static void check_map(void)
{
	uint64_t sum = 0, want = 0;

	for (size_t i = 0; i < plan.n_map; i++) {
		const struct host_range *r = &plan.map[i].r;

		if (!r->len || (i && r->base < plan.map[i - 1].r.base + plan.map[i - 1].r.len))
			abort();
		sum += r->len;
	}
	for (size_t i = 0; i < host.n_mem; i++)
		want += host.mem[i].r.len;
	if (sum != want)
		abort();
}

static void finish(void)
{
	static uint8_t out[262128] __attribute__((aligned(8)));
	static uint8_t page[BOOT_PARAMS_LEN];
	static struct e820_ext ext;
	static struct dtw w;
	static char text[KCMDLINE_MAX];
	struct kern_dt_in in = { .host = &host,
				 .plan = &plan,
				 .isolation = isolated ? "vbs" : "none" };
	struct boot_params_in bp = { .plan = &plan };
	struct kcmdline_in kc = { .com3 = host.com3,
				  .com3_speed = host.com3_speed,
				  .isolated = isolated,
				  .static_text = "",
				  .host_text = host.bootargs };
	struct setup_data dtb;
	struct dtr t;
	size_t len;

	if (kern_dt_make(&in, &w, out, sizeof(out), &len) == 0 && dtr_open(out, len, &t) < 0)
		abort();
	if (boot_params_make(&bp, page, &dtb, &ext) == 0 && page[0x1e8] > E820_IN_PARAMS)
		abort();
	if (kcmdline_make(&kc, text) == 0 && strlen(text) >= sizeof(text))
		abort();
}

#define HEADER_LEN 56u /* with an empty list of reserved ranges */
#define ST_MAX 8192u
#define BLOB_MAX (HEADER_LEN + ST_MAX + 1024u)

/* Names a seed's properties point at, in the order of first use. */
static const char strings[] = "#address-cells\0#size-cells\0model\0device_type\0reg\0numa-node-id\0"
			      "status\0microsoft,igvm-type\0bootargs\0memory-allocation-mode\0"
			      "memory-size\0mmio-size\0vtl0-alias-map\0device-types\0total-pages\0"
			      "compatible\0ranges\0microsoft,vtl\0microsoft,message-connection-id\0"
			      "current-speed";

/* How much of a structure block is whole tokens, and how many nodes it leaves open. */
static size_t whole_tokens(const uint8_t *st, size_t len, unsigned *ret_open)
{
	size_t off = 0, next;

	*ret_open = 0;
	for (; off + 4 <= len; off = next) {
		uint32_t tok = be32_load(st + off);
		const void *nul;

		next = off + 4;
		if (tok == 1) {
			nul = memchr(st + next, 0, len - next);
			if (!nul)
				break;
			next = align_up((size_t)((const uint8_t *)nul - st) + 1, 4);
		} else if (tok == 3) {
			if (len - off < 12)
				break;
			next = off + 12 + align_up((uint64_t)be32_load(st + off + 4), 4);
		} else if (tok == 9) {
			break;
		}
		if (next > len)
			break;
		if (tok == 1)
			++*ret_open;
		if (tok == 2 && *ret_open)
			--*ret_open;
	}
	return off;
}

/* A blob around a structure block. */
static size_t wrap(uint8_t *blob, const uint8_t *st, size_t len)
{
	unsigned open;
	size_t n = whole_tokens(st, MIN(len, ST_MAX - 256u), &open);

	memset(blob, 0, BLOB_MAX);
	memcpy(blob + HEADER_LEN, st, n);
	for (open = MIN(open, 32u); open; open--, n += 4)
		be32_store(blob + HEADER_LEN + n, 2);
	be32_store(blob + HEADER_LEN + n, 9);
	n += 4;
	memcpy(blob + HEADER_LEN + n, strings, sizeof(strings));
	be32_store(blob, 0xd00dfeed);
	be32_store(blob + 4, (uint32_t)(HEADER_LEN + n + sizeof(strings)));
	be32_store(blob + 8, HEADER_LEN);
	be32_store(blob + 12, (uint32_t)(HEADER_LEN + n));
	be32_store(blob + 16, 40);
	be32_store(blob + 20, 17);
	be32_store(blob + 24, 16);
	be32_store(blob + 32, sizeof(strings));
	be32_store(blob + 36, (uint32_t)n);
	return HEADER_LEN + n + sizeof(strings);
}

static void try_blob(const uint8_t *blob, size_t len)
{
	struct plan_image img = image();
	struct shim_opts opts;
	const char *why = NULL;
	uint64_t pages;

	if (host_dt_parse(blob, len, &host, &why) < 0) {
		if (!why)
			abort(); /* every refusal has a reason */
		return;
	}
	shim_opts_init(&opts);
	shim_opts_parse(&opts, host.bootargs, strlen(host.bootargs));
	if (memplan_make(&host, &img, &plan, &why) < 0)
		return;
	check_map();
	pages = memplan_pool_pages(&opts.pool, (uint32_t)host.n_cpu,
				   memplan_ram_bytes(&plan) / MIB);
	if (pages && memplan_pool(&plan, &img, pages, opts.pool_split, &why) < 0)
		return;
	check_map();
	finish();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t wrapped[BLOB_MAX];
	size_t len = size ? size - 1 : 0;
	const uint8_t *src = data + 1;
	uint8_t *blob;

	if (!size)
		return 0;
	isolated = data[0] & 2;
	if (!(data[0] & 1)) {
		len = wrap(wrapped, src, len);
		src = wrapped;
	}
	/* Exactly as long as the blob: every read behind it is seen. */
	blob = malloc(len + !len);
	if (!blob)
		return 0;
	memcpy(blob, src, len);
	try_blob(blob, len);
	free(blob);
	return 0;
}
