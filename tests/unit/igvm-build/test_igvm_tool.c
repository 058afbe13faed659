/* SPDX-License-Identifier: MIT */
/* The image tool: launch digests against known vectors, building, and what it must refuse. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bootcfg.h"
#include "build.h"
#include "crc.h"
#include "dump.h"
#include "elf_in.h"
#include "igvm_load.h"
#include "igvm_sample.h"
#include "manifest.h"
#include "measure.h"
#include "unit.h"

/* --- launch digests ------------------------------------------------------------------------- */

static const struct {
	uint32_t platform;
	bool many; /* the list of make_many(), else one page */
	const char *want;
} digests[] = {
	{ IGVM_PLATFORM_SEV_SNP, false,
	  "5b3e09f6a9c0a7dbdcb7dd1fba7f5454e8e40373a1e4770125cf037f1681ff30"
	  "7c812f9ce90b6c766d7d4c4a683384cd" },
	{ IGVM_PLATFORM_TDX, false,
	  "137991d7911a3359b42f7392ed0bc9eb63a7c73beeaea4af92b36454edd2a9b9"
	  "fc285af2c2f2af03ef02455161f21382" },
	{ IGVM_PLATFORM_VSM_ISOLATION, false,
	  "739a709ea15de7e71a7dc696e37a6a61cad385c49f9ef11c62b668f8c02eb9bc" },
	{ IGVM_PLATFORM_SEV_SNP, true,
	  "6621ab8e597b05fbc3e0a1c165cc9726e7f4098ab6ee35a6ede5d9501136ee94"
	  "52d8082b1510ccd7669ae9e6c39ee9dc" },
	{ IGVM_PLATFORM_TDX, true,
	  "b97d9e3256814894ed2bf4774f4848998212777c77c4e329551420d21b572576"
	  "8e4c44c4b804ba3570e1bc382b9e6f3f" },
	{ IGVM_PLATFORM_VSM_ISOLATION, true,
	  "5214b994b38d0bdb1e79e03a96cf715af6dccc3e246756b5b429eb53bd022bc2" },
};

static void add_page(struct sample *s, uint64_t gpn, uint32_t flags, uint16_t type, int fill,
		     size_t len)
{
	struct igvm_page_data p = {
		.gpa = gpn * KEEL_PAGE_SIZE, .mask = 1, .flags = flags, .type = type
	};
	static uint8_t page[KEEL_PAGE_SIZE];

	memset(page, fill, sizeof(page));
	sample_add(s, IGVM_PAGE_DATA, &p, sizeof(p), len ? page : NULL, len);
}

static void add_tail(struct sample *s, uint32_t platform)
{
	static uint8_t vmsa[KEEL_PAGE_SIZE];
	struct igvm_vp_context vp = { .mask = 1 };
	struct igvm_error_range err = { .gpa = 0x100000, .mask = 1, .size = 0x2000 };
	uint8_t list[4 + 2 * sizeof(struct igvm_vbs_reg)] = { 0 };

	if (platform == IGVM_PLATFORM_SEV_SNP) {
		add_page(s, 5, 0, IGVM_PAGE_SECRETS, 0, 0);
		add_page(s, 6, 0, IGVM_PAGE_CPUID_DATA, 0, 0);
		for (size_t i = 0; i < sizeof(vmsa); i++)
			vmsa[i] = (uint8_t)i;
		vp.gpa = 0x7000;
		sample_add(s, IGVM_VP_CONTEXT, &vp, IGVM_VP_CONTEXT_LEN, vmsa, sizeof(vmsa));
	} else if (platform == IGVM_PLATFORM_VSM_ISOLATION) {
		sample_reg(list, HVREG_RIP, 0x1000, 0);
		sample_reg(list, HVREG_CR3, 0x2000, 0);
		sample_add(s, IGVM_VP_CONTEXT, &vp, IGVM_VP_CONTEXT_LEN, list, sizeof(list));
		sample_add(s, IGVM_ERROR_RANGE, &err, sizeof(err), NULL, 0);
	}
}

static void make_many(struct sample *s, uint32_t platform)
{
	struct igvm_param_area a = { .size = 2 * KEEL_PAGE_SIZE };
	struct igvm_param_insert i = { .gpa = 0x8000, .mask = 1 };

	sample_add(s, IGVM_PARAMETER_AREA, &a, sizeof(a), NULL, 0);
	sample_add(s, IGVM_PARAMETER_INSERT, &i, sizeof(i), NULL, 0);
	add_page(s, 0, 0, IGVM_PAGE_NORMAL, 0xaa, KEEL_PAGE_SIZE);
	add_page(s, 1, 0, IGVM_PAGE_NORMAL, 0, 0);
	add_page(s, 2, IGVM_PAGE_UNMEASURED, IGVM_PAGE_NORMAL, 0xdd, KEEL_PAGE_SIZE);
	add_page(s, 3, 0, IGVM_PAGE_NORMAL, 0xee, 100);
	add_page(s, 4, IGVM_PAGE_SHARED, IGVM_PAGE_NORMAL, 0x55, KEEL_PAGE_SIZE);
	add_tail(s, platform);
}

START_TEST(digest_vectors)
{
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++) {
		struct igvm_platform p = { .mask = 1,
					   .highest_vtl = 2,
					   .version = 1,
					   .type = (uint8_t)digests[i].platform };
		uint8_t d[MEASURE_SNP_LEN];
		static struct sample s;
		struct igvm_error err;
		struct igvm_file *f;
		size_t len, n = 48;
		char hex[97] = "";
		uint8_t *file;

		s = (struct sample){ 0 };
		sample_add(&s, IGVM_SUPPORTED_PLATFORM, &p, sizeof(p), NULL, 0);
		if (digests[i].many)
			make_many(&s, digests[i].platform);
		else
			add_page(&s, 0, 0, IGVM_PAGE_NORMAL, 0xaa, KEEL_PAGE_SIZE);
		file = sample_write(&s, IGVM_V1, IGVM_ARCH_X64, &len);
		ck_assert_msg(igvm_parse(file, len, &f, &err) == 0, "%s", err.rule);
		if (p.type == IGVM_PLATFORM_SEV_SNP)
			ck_assert_int_eq(measure_snp(f, 1, d), 0);
		else if (p.type == IGVM_PLATFORM_TDX)
			ck_assert_int_eq(measure_tdx(f, 1, d), 0);
		else
			ck_assert_int_eq(measure_vbs(f, 1, d), 0);
		if (p.type == IGVM_PLATFORM_VSM_ISOLATION)
			n = MEASURE_VBS_LEN;
		for (size_t k = 0; k < n; k++)
			snprintf(hex + 2 * k, 3, "%02x", d[k]);
		ck_assert_str_eq(hex, digests[i].want);
		igvm_destroy(f);
		free(file);
		sample_fini(&s);
	}
}
END_TEST

/* --- building ------------------------------------------------------------------------------- */

static char dir[] = "/tmp/igvm-test-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(in_dir(name), "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

/* An ELF file of one segment at paddr, fill bytes of content, twice as much memory. */
static void put_elf(const char *name, uint64_t paddr, uint64_t size, uint8_t fill)
{
	size_t len = KEEL_PAGE_SIZE + size;
	uint8_t *file = calloc(1, len);
	Elf64_Ehdr e = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_version = 1,
			 .e_entry = paddr + 0x40,
			 .e_phoff = sizeof(e),
			 .e_ehsize = sizeof(e),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1 };
	Elf64_Phdr ph = { .p_type = PT_LOAD,
			  .p_offset = KEEL_PAGE_SIZE,
			  .p_vaddr = paddr,
			  .p_paddr = paddr,
			  .p_filesz = size,
			  .p_memsz = 2 * size };

	memcpy(file, &e, sizeof(e));
	memcpy(file + sizeof(e), &ph, sizeof(ph));
	memset(file + KEEL_PAGE_SIZE, fill, size);
	put(name, file, len);
	free(file);
}

#define MANIFEST(fields, openhcl)                                                    \
	"{\"guest_arch\":\"x64\",\"guest_configs\":[{\"guest_svn\":1,\"max_vtl\":2," \
	"\"isolation_type\":\"none\"," fields "\"image\":{\"openhcl\":{" openhcl "}}}]}"
#define VBS_MANIFEST(isolation, cmdline)                                             \
	"{\"guest_arch\":\"x64\",\"guest_configs\":[{\"guest_svn\":7,\"max_vtl\":2," \
	"\"isolation_type\":" isolation ",\"image\":{\"openhcl\":{" SIZE_64M ","     \
	"\"command_line\":\"" cmdline "\",\"linux\":{\"use_initrd\":true,"           \
	"\"command_line\":\"console=ttyS0\"}}}}]}"
#define VBS_RELEASE "{\"vbs\":{\"enable_debug\":false}}"
#define VBS_DEBUG "{\"vbs\":{\"enable_debug\":true}}"
#define SIZE_64M "\"memory_page_count\":16384"
#define WITH_LINUX                                                           \
	SIZE_64M ",\"command_line\":\"A=1\",\"linux\":{\"use_initrd\":true," \
		 "\"command_line\":\"console=ttyS0\"}"

static void put_inputs(void)
{
	char text[1024];

	if (!mkdtemp(dir))
		ck_abort_msg("mkdtemp: %s", strerror(errno));
	put_elf("kernel", 0x8000000, 0x5000, 0x11);
	put_elf("shim", 0, 0x2000, 0x22);
	put("initrd", "an initrd", 9);
	put_elf("guest", 0x1000000, 0x3000, 0x33);
	put("guest-initrd", "guest initrd", 12);
	snprintf(text, sizeof(text),
		 "{\"resources\":{\"underhill_kernel\":\"%s/kernel\",\"openhcl_boot\":\"%s/shim\","
		 "\"underhill_initrd\":\"%s/initrd\",\"linux_kernel\":\"%s/guest\","
		 "\"linux_initrd\":\"%s/guest-initrd\",\"uefi\":\"/none\"}}",
		 dir, dir, dir, dir, dir);
	put_text("r.json", text);
}

static void remove_inputs(void)
{
	static const char *const names[] = { "kernel",	     "shim",   "initrd", "guest",
					     "guest-initrd", "r.json", "m.json" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)unlink(in_dir(names[i]));
	(void)rmdir(dir);
}

static int build(const char *manifest, struct built *ret)
{
	struct resources res;
	struct manifest m;
	int r;

	put_text("m.json", manifest);
	if (manifest_read(in_dir("m.json"), &m) < 0)
		return -1;
	r = resources_read(in_dir("r.json"), &res);
	if (r == 0) {
		r = build_image(&m, &res, ret);
		resources_fini(&res);
	}
	manifest_fini(&m);
	return r;
}

/* Guest memory after a load, 256 MiB. */
#define MEM_LEN (256ull << 20)
static uint8_t *memory;

static int write_page(void *ctx, gpa_t gpa, const void *page)
{
	ck_assert_uint_le(gpa, MEM_LEN - KEEL_PAGE_SIZE);
	if (page)
		memcpy(memory + gpa, page, KEEL_PAGE_SIZE);
	return 0;
}

static uint64_t reg(const struct igvm_load_result *res, uint32_t name)
{
	for (uint32_t i = 0; i < res->n_regs; i++)
		if (res->regs[i].name == name)
			return res->regs[i].val.u64;
	ck_abort_msg("register %x is missing", name);
}

/* What the shim will find through RSI, and what the daemon will find at GPA 0. */
static void check_loaded(const struct igvm_load_result *res, uint64_t start)
{
	uint64_t shim = reg(res, HVREG_RIP) - 0x40;
	const struct shim_params *p = (const void *)(memory + shim + reg(res, HVREG_RSI));
	const struct shim_cmdline *c = (const void *)(memory + shim + (uint64_t)p->cmdline);
	const struct vtl0_measured_config *v = (const void *)memory;
	const uint8_t *imported =
		memory + shim + (uint64_t)p->param_region + BOOTCFG_IMPORTED_PAGE * KEEL_PAGE_SIZE;
	uint64_t last = 0;

	ck_assert_uint_eq(shim + (uint64_t)p->memory_start, start);
	ck_assert_uint_eq(p->memory_size, 64ull << 20);
	ck_assert_uint_eq(p->initrd_size, 9);
	ck_assert_uint_eq(p->initrd_crc, crc32_update(0, "an initrd", 9));
	ck_assert_mem_eq(memory + shim + (uint64_t)p->initrd, "an initrd", 9);
	ck_assert_uint_eq(memory[shim + (uint64_t)p->kernel_entry], 0x11);
	ck_assert_uint_eq(shim + (uint64_t)p->kernel_entry, start + (2ull << 20) + 0x40);
	ck_assert_uint_eq(memory[shim + 0x1fff], 0x22);
	ck_assert_uint_eq(c->policy, SHIM_CMDLINE_APPEND_CHOSEN);
	ck_assert_uint_eq(c->len, 3);
	ck_assert_mem_eq(c->text, "A=1", 4);
	ck_assert_uint_eq(v->magic, VTL0_CONFIG_MAGIC);
	ck_assert_uint_eq(v->supported, VTL0_CONFIG_LINUX);
	ck_assert_uint_eq(v->linux_kernel.gpn, 0x1000);
	ck_assert_uint_eq(v->linux_kernel.pages, 6);
	ck_assert_uint_eq(v->linux_entry, 0x1000040);
	ck_assert_mem_eq(memory + v->linux_initrd.gpn * KEEL_PAGE_SIZE, "guest initrd", 12);
	ck_assert_uint_eq(v->linux_initrd_size, 12);
	ck_assert_str_eq((const char *)memory + v->linux_cmdline.gpn * KEEL_PAGE_SIZE,
			 "console=ttyS0");
	/* SHA-384 of nothing, then ascending ranges. */
	ck_assert_uint_eq(be64_load(imported), 0x38b060a751ac9638ull);
	for (const uint8_t *e = imported + IMPORTED_DIGEST_LEN; le64_load(e + 8); e += 24) {
		ck_assert_uint_ge(le64_load(e), last);
		ck_assert_uint_eq(e[16], 1);
		last = le64_load(e) + le64_load(e + 8);
	}
	ck_assert_uint_gt(last, 0);
}

/* Is every page that the file brings along in its own list of them? */
static void check_listed(const struct igvm_file *f, const struct igvm_load_result *res)
{
	uint64_t shim = reg(res, HVREG_RIP) - 0x40;
	const struct shim_params *p = (const void *)(memory + shim + reg(res, HVREG_RSI));
	const uint8_t *imported =
		memory + shim + (uint64_t)p->param_region + BOOTCFG_IMPORTED_PAGE * KEEL_PAGE_SIZE;
	const struct igvm_header *h;
	size_t pos = 0;

	while ((h = igvm_next(f, &pos, ~0u))) {
		bool listed = false;

		if (h->type != IGVM_PAGE_DATA)
			continue;
		for (const uint8_t *e = imported + IMPORTED_DIGEST_LEN; le64_load(e + 8); e += 24)
			if (h->page.gpa / KEEL_PAGE_SIZE - le64_load(e) < le64_load(e + 8))
				listed = true;
		ck_assert_msg(listed, "page %lx", (unsigned long)h->page.gpa);
	}
}

START_TEST(image_is_built_and_loads)
{
	static const struct igvm_range ram[] = { { 0, MEM_LEN } };
	struct igvm_plan_cfg cfg = { .platform_type = IGVM_PLATFORM_VSM_ISOLATION,
				     .ram = ram,
				     .n_ram = 1,
				     .policy = _i ? IGVM_BASE_AT : IGVM_BASE_FILE,
				     .base = 192ull << 20 };
	struct igvm_load_params params = { .device_tree = { "dt", 3 } };
	struct igvm_load_ops ops = { .write_page = write_page };
	static struct igvm_load_result res;
	struct igvm_plan plan;
	struct igvm_error err;
	struct igvm_file *f;
	struct built b, again;
	FILE *null = fopen("/dev/null", "w");

	put_inputs();
	ck_assert_int_eq(build(MANIFEST("", WITH_LINUX), &b), 0);
	ck_assert_int_eq(build(MANIFEST("", WITH_LINUX), &again), 0);
	ck_assert_uint_eq(b.len, again.len);
	ck_assert_mem_eq(b.file, again.file, b.len);
	ck_assert_str_eq(b.map, again.map);
	ck_assert_msg(igvm_parse(b.file, b.len, &f, &err) == 0, "%s", err.rule);
	ck_assert_msg(igvm_plan_make(f, &cfg, &plan, &err) == 0, "%s", err.rule);
	memory = calloc(1, MEM_LEN);
	ck_assert_ptr_nonnull(memory);
	ck_assert_msg(igvm_load(f, &plan, &params, &ops, &res, &err) == 0, "%s", err.rule);
	check_loaded(&res, _i ? 192ull << 20 : 128ull << 20);
	if (!_i)
		check_listed(f, &res);
	dump_text(f, null);
	dump_json(f, null);
	fclose(null);
	free(memory);
	igvm_destroy(f);
	built_fini(&b);
	built_fini(&again);
	remove_inputs();
}
END_TEST

static const char *const bad_manifests[] = {
	"",
	"{",
	"[]",
	"{\"guest_arch\":\"x64\"}",
	"{\"guest_arch\":\"aarch64\",\"guest_configs\":[{}]}",
	"{\"guest_arch\":\"x64\",\"guest_configs\":[]}",
	"{\"guest_arch\":\"x64\",\"guest_configs\":[{},{}]}",
	"{\"guest_arch\":\"x64\",\"guest_configs\":[3]}",
	MANIFEST("\"extra\":1,", SIZE_64M),
	MANIFEST("\"guest_svn\":1,", SIZE_64M), /* twice */
	MANIFEST("", ""),
	MANIFEST("", "\"memory_page_count\":16384.5"),
	MANIFEST("", "\"memory_page_count\":\"16384\""),
	MANIFEST("", "\"memory_page_count\":16385"), /* no multiple of 512 */
	MANIFEST("", "\"memory_page_count\":0"),
	MANIFEST("", "\"memory_page_count\":512"), /* too small for the image */
	MANIFEST("", "\"memory_page_count\":4294967296"),
	MANIFEST("", "\"memory_page_count\":1048576"), /* 4 GiB */
	MANIFEST("", SIZE_64M ",\"memory_page_base\":3"),
	MANIFEST("", SIZE_64M
		 ",\"memory_page_base\":4096,\"linux\":{\"command_line\":\"\"}"), /* overlap */
	MANIFEST("", SIZE_64M ",\"uefi\":true"),
	MANIFEST("", SIZE_64M ",\"uefi\":true,\"linux\":{}"),
	MANIFEST("", SIZE_64M ",\"static_command_line\":1"),
	MANIFEST("", SIZE_64M ",\"linux\":{\"use_initrd\":\"yes\"}"),
	MANIFEST("", SIZE_64M ",\"command_lin\":\"\""),
};

START_TEST(bad_manifests_are_refused)
{
	struct built b;

	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	put_inputs();
	for (size_t i = 0; i < ARRAY_SIZE(bad_manifests); i++)
		ck_assert_msg(build(bad_manifests[i], &b) == -1, "case %zu was accepted", i);
	remove_inputs();
}
END_TEST

START_TEST(bad_resources_are_refused)
{
	static const char *const files[] = { "kernel", "shim", "initrd", "guest", "guest-initrd" };
	struct built b;

	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	put_inputs();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		ck_assert_int_eq(rename(in_dir(files[i]), in_dir("away")), 0);
		ck_assert_msg(build(MANIFEST("", WITH_LINUX), &b) == -1, "without %s", files[i]);
		ck_assert_int_eq(rename(in_dir("away"), in_dir(files[i])), 0);
	}
	put_elf("guest", 0x80000, 0x3000, 1);
	ck_assert_int_eq(build(MANIFEST("", WITH_LINUX), &b), -1); /* below 1 MiB */
	put_text("guest", "MZ\1\2 a bzImage");
	ck_assert_int_eq(build(MANIFEST("", WITH_LINUX), &b), -1);
	put_elf("guest", 0x1000000, 0x3000, 1);
	put_text("initrd", "");
	ck_assert_int_eq(build(MANIFEST("", WITH_LINUX), &b), -1);
	put_text("initrd", "x");
	put_text("r.json", "{\"resources\":{\"underhil_kernel\":\"/x\"}}");
	ck_assert_int_eq(build(MANIFEST("", WITH_LINUX), &b), -1);
	put_text("r.json", "{\"resources\":{}}");
	ck_assert_int_eq(build(MANIFEST("", WITH_LINUX), &b), -1);
	remove_inputs();
}
END_TEST

/* --- isolation ------------------------------------------------------------------------------ */

/* Build and return what was said on standard error. */
static char *build_says(const char *manifest, int *ret_result, struct built *ret)
{
	FILE *keep = stderr;
	char *text = NULL;
	size_t len = 0;

	stderr = open_memstream(&text, &len);
	ck_assert_ptr_nonnull(stderr);
	*ret_result = build(manifest, ret);
	(void)fclose(stderr);
	stderr = keep;
	return text;
}

START_TEST(debug_policy_and_command_line_agree)
{
	static const struct {
		const char *manifest;
		const char *says; /* NULL: it is built */
	} cases[] = {
		{ VBS_MANIFEST(VBS_RELEASE, ""), NULL },
		{ VBS_MANIFEST(VBS_RELEASE, "OPENHCL_CONFIDENTIAL_DEBUG=0 A=1"), NULL },
		{ VBS_MANIFEST(VBS_RELEASE, "XOPENHCL_CONFIDENTIAL_DEBUG=1"), NULL },
		{ VBS_MANIFEST(VBS_RELEASE, "OPENHCL_CONFIDENTIAL=1"), NULL },
		{ VBS_MANIFEST(VBS_DEBUG, "OPENHCL_CONFIDENTIAL_DEBUG=1"), NULL },
		{ VBS_MANIFEST(VBS_DEBUG, "A=1 UNDERHILL_CONFIDENTIAL_DEBUG=1"), NULL },
		{ VBS_MANIFEST(VBS_RELEASE, "A=1 OPENHCL_CONFIDENTIAL_DEBUG=1"),
		  "remove that word, or set \"enable_debug\" to true." },
		{ VBS_MANIFEST(VBS_RELEASE, "OPENHCL_CONFIDENTIAL_DEBUG=\\tB"),
		  "remove that word, or set \"enable_debug\" to true." },
		{ VBS_MANIFEST(VBS_RELEASE, "OPENHCL_CONFIDENTIAL_DEBUG=00"),
		  "remove that word, or set \"enable_debug\" to true." },
		{ VBS_MANIFEST(VBS_RELEASE, "X\\nUNDERHILL_CONFIDENTIAL_DEBUG=yes"),
		  "remove that word, or set \"enable_debug\" to true." },
		{ VBS_MANIFEST(VBS_DEBUG, ""), "add that word, or set \"enable_debug\" to false." },
		{ VBS_MANIFEST(VBS_DEBUG, "OPENHCL_CONFIDENTIAL_DEBUG=0"),
		  "add that word, or set \"enable_debug\" to false." },
		{ VBS_MANIFEST(VBS_DEBUG, "OPENHCL_CONFIDENTIAL_DEBUG"),
		  "add that word, or set \"enable_debug\" to false." },
		{ VBS_MANIFEST(VBS_RELEASE, "OPENHCL_CONFIDENTIAL=0"),
		  "OPENHCL_CONFIDENTIAL off: remove that word." },
		{ VBS_MANIFEST(VBS_RELEASE, "\\\"OPENHCL_CONFIDENTIAL_DEBUG=1\\\""),
		  "has quotes: remove them." },
		{ VBS_MANIFEST("{\"vbs\":{}}", ""), "needs \"enable_debug\"" },
		{ VBS_MANIFEST("{\"vbs\":{\"enable_debug\":1}}", ""), "true or false" },
		{ VBS_MANIFEST("{\"vbs\":{\"enable_debug\":true,\"x\":1}}", ""), "unknown field" },
		{ VBS_MANIFEST("{\"snp\":{}}", ""), "unknown field" },
		{ VBS_MANIFEST("{}", ""), "no other is supported" },
		{ VBS_MANIFEST("\"vbs\"", ""), "no other is supported" },
		/* Without isolation both words are for whoever simulates it. */
		{ MANIFEST("", WITH_LINUX), NULL },
	};

	put_inputs();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct built b;
		int r;
		char *said = build_says(cases[i].manifest, &r, &b);

		ck_assert_msg(r == (cases[i].says ? -1 : 0), "case %zu: %s", i, said);
		if (r == 0)
			built_fini(&b);
		else
			ck_assert_msg(strstr(said, cases[i].says) &&
					      strchr(said, '\n') == said + strlen(said) - 1,
				      "case %zu: %s", i, said);
		free(said);
	}
	remove_inputs();
}
END_TEST

START_TEST(isolated_images_stay_in_place)
{
	static const struct igvm_range ram[] = { { 0, MEM_LEN } };
	struct igvm_plan_cfg cfg = { .platform_type = IGVM_PLATFORM_VSM_ISOLATION,
				     .ram = ram,
				     .n_ram = 1,
				     .policy = IGVM_BASE_FILE };
	const struct igvm_header *h;
	struct igvm_plan plan;
	struct igvm_error err;
	struct igvm_file *f;
	struct built b;
	size_t pos = 0;
	char *said;
	int r;

	put_inputs();
	said = build_says(_i ? VBS_MANIFEST(VBS_DEBUG, "OPENHCL_CONFIDENTIAL_DEBUG=1")
			     : VBS_MANIFEST(VBS_RELEASE, ""),
			  &r, &b);
	ck_assert_int_eq(r, 0);
	free(said);
	ck_assert_int_eq(igvm_parse(b.file, b.len, &f, &err), 0);
	ck_assert_int_eq(igvm_vsm_isolation(f), _i ? IGVM_VSM_VBS_DEBUG : IGVM_VSM_VBS);
	while ((h = igvm_next(f, &pos, ~0u))) {
		ck_assert_uint_ne(h->type, IGVM_RELOCATABLE_REGION);
		ck_assert_uint_ne(h->type, IGVM_PAGE_TABLE_RELOCATION);
		if (h->type == IGVM_GUEST_POLICY)
			ck_assert_uint_eq(h->policy.policy, (uint64_t)_i);
	}
	ck_assert_int_eq(igvm_plan_make(f, &cfg, &plan, &err), 0);
	ck_assert(!plan.relocatable);
	cfg.policy = IGVM_BASE_AT;
	cfg.base = 192ull << 20;
	ck_assert_int_eq(igvm_plan_make(f, &cfg, &plan, &err), -ENXIO);
	igvm_destroy(f);
	built_fini(&b);
	remove_inputs();
}
END_TEST

/* --- ELF ------------------------------------------------------------------------------------ */

START_TEST(elf_rules)
{
	static const struct {
		size_t off, size;
		uint64_t val;
	} cases[] = {
		{ 0, 1, 0 },
		{ 4, 1, ELFCLASS32 },
		{ 5, 1, ELFDATA2MSB },
		{ offsetof(Elf64_Ehdr, e_machine), 2, EM_AARCH64 },
		{ offsetof(Elf64_Ehdr, e_type), 2, ET_REL },
		{ offsetof(Elf64_Ehdr, e_phentsize), 2, 32 },
		{ offsetof(Elf64_Ehdr, e_phoff), 8, ~0ull },
		{ offsetof(Elf64_Ehdr, e_phoff), 8, 0x1000 },
		{ offsetof(Elf64_Ehdr, e_phnum), 2, 0 },
		{ offsetof(Elf64_Ehdr, e_phnum), 2, 0xffff },
		{ offsetof(Elf64_Ehdr, e_entry), 8, 0xffffff },
		{ offsetof(Elf64_Ehdr, e_entry), 8, 0x1002000 },
		{ sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_type), 4, PT_NULL },
		{ sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_offset), 8, ~0ull },
		{ sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz), 8, 0x1001 },
		{ sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_memsz), 8, 0xfff },
		{ sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_memsz), 8, ~0ull },
		{ sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_paddr), 8, BIT(50) },
	};
	struct file_buf buf;
	struct elf_img img;
	const char *why;

	put_inputs();
	for (size_t i = 0; i < ARRAY_SIZE(cases) + 1; i++) {
		put_elf("guest", 0x1000000, 0x1000, 5);
		ck_assert_int_eq(file_read(in_dir("guest"), &buf), 0);
		if (i == ARRAY_SIZE(cases)) {
			ck_assert_int_eq(elf_parse(buf.data, buf.len, &img, &why), 0);
			ck_assert_uint_eq(img.lo, 0x1000000);
			ck_assert_uint_eq(img.hi, 0x1002000);
			ck_assert_uint_eq(img.n_seg, 1);
		} else {
			memcpy(buf.data + cases[i].off, &cases[i].val, cases[i].size);
			ck_assert_msg(elf_parse(buf.data, buf.len, &img, &why) == -EBADMSG,
				      "case %zu", i);
		}
		free(buf.data);
	}
	remove_inputs();
}
END_TEST

UNIT_MAIN_VARIANTS("igvm/tool", 2, digest_vectors, image_is_built_and_loads,
		   bad_manifests_are_refused, bad_resources_are_refused,
		   debug_policy_and_command_line_agree, isolated_images_stay_in_place, elf_rules)
