/* SPDX-License-Identifier: MIT */
/*
 * The boot shim's way from the image's entry point to the kernel's: isolation, hypercalls, options,
 * host device tree, memory plan, kernel device tree, boot parameters, jump. All decisions are made
 * by the portable files of this folder; this one only wires them to the machine. Every failure ends
 * in shim_panic() with a sentence. Spec: igvm-boot, "Boot shim, step by step".
 */
#include <elf.h>
#include <string.h>

#include "boot_params.h"
#include "bootcfg.h"
#include "ckd.h"
#include "crc.h"
#include "host_dt.h"
#include "hvcall.h"
#include "hvregs.h"
#include "imported.h"
#include "kcmdline.h"
#include "kern_dt.h"
#include "memplan.h"
#include "shim_hw.h"
#include "shim_opts.h"

#define DT_BUF_LEN (256u * 1024)
#define STACK_COOKIE 0x30405060u
#define VSM_ACTIVE_VTL(status) ((unsigned)(status)&15)
#define MIB (1ull << 20)

extern const uint8_t __ehdr_start[] __attribute__((visibility("hidden")));
extern const uint32_t shim_stack[];

_Noreturn void shim_main(uint64_t params_off);
void shim_relocate(uint8_t *base, const Elf64_Dyn *dyn);

/* The device tree, with the head the kernel finds it by. */
struct dt_buf {
	struct setup_data head;
	uint8_t blob[DT_BUF_LEN - sizeof(struct setup_data)];
};

static struct shim {
	const struct shim_params *params;
	uint64_t start_time;
	enum shim_hv_isolation isolation;
	struct plan_image img;
	struct shim_opts opts;
	bool host_trusted; /* may the host's text be used, and may it see ours? */
	unsigned vtl;
	struct host_dt host;
	struct memplan plan;
	struct imported imported; /* isolated only */
	uint64_t alias_map;
	struct dtw dtw;
	struct e820_ext e820_ext;
	char cmdline[KCMDLINE_MAX];
} shim;

static struct dt_buf dt_buf __attribute__((aligned(KEEL_PAGE_SIZE)));
static uint8_t boot_params[BOOT_PARAMS_LEN] __attribute__((aligned(KEEL_PAGE_SIZE)));

/* Runs before anything may use a pointer stored in data. */
void shim_relocate(uint8_t *base, const Elf64_Dyn *dyn)
{
	const Elf64_Rela *rela = NULL;
	uint64_t size = 0;

	for (; dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_RELA)
			rela = (const Elf64_Rela *)(const void *)(base + dyn->d_un.d_ptr);
		else if (dyn->d_tag == DT_RELASZ)
			size = dyn->d_un.d_val;
	}
	for (; rela && size >= sizeof(*rela); size -= sizeof(*rela), rela++) {
		uint64_t val = (uintptr_t)base + (uint64_t)rela->r_addend;

		if (ELF64_R_TYPE(rela->r_info) == R_X86_64_RELATIVE)
			memcpy(base + rela->r_offset, &val, sizeof(val));
	}
}

/* Offsets of the parameters are relative to the shim. */
static uint64_t abs_addr(int64_t off)
{
	return (uintptr_t)__ehdr_start + (uint64_t)off;
}

static struct host_range abs_range(int64_t off, uint64_t len)
{
	return (struct host_range){ .base = abs_addr(off), .len = len };
}

static void *at(uint64_t gpa)
{
	return (void *)(uintptr_t)gpa; /* VTL2's memory is mapped one to one */
}

/* --- steps ------------------------------------------------------------------------------- */

static void read_params(uint64_t params_off)
{
	const struct shim_params *p = at(abs_addr((int64_t)params_off));

	shim.params = p;
	shim.img = (struct plan_image){
		.memory = abs_range(p->memory_start, p->memory_size),
		.used = { .base = abs_addr(p->used_start),
			  .len = (uint64_t)(p->used_end - p->used_start) },
		.param_region = abs_range(p->param_region, p->param_region_size),
		.reserved = abs_range(p->reserved_region, p->reserved_region_size),
		.sidecar = abs_range(p->sidecar, p->sidecar_size),
		.log = abs_range(p->log, p->log_size),
		.persisted = abs_range(p->persisted, p->persisted_size),
	};
	shim_log_init(at(shim.img.log.base), shim.img.log.len);
}

static void check_isolation(void)
{
	if (!shim_hv_present())
		shim_panic("this image needs a Hyper-V compatible hypervisor");
	if (shim.params->isolation != SHIM_ISOLATION_VBS_OR_NONE)
		shim_panic("isolation type %u is not supported", shim.params->isolation);
	shim.isolation = shim_hv_isolation();
	if (shim.isolation == SHIM_HV_OTHER)
		shim_panic("the hypervisor isolates by hardware, this image is not for that");
	shim.img.isolated = shim.isolation != SHIM_HV_NONE;
}

static void find_vtl(void)
{
	uint64_t status;
	uint16_t r = shim_hv_register(HVREG_VSM_VP_STATUS, &status);

	if (r)
		shim_log("VsmVpStatus cannot be read (status %u): assuming VTL0", r);
	shim.vtl = r ? 0 : VSM_ACTIVE_VTL(status);
}

static const struct shim_cmdline *static_cmdline(void)
{
	const struct shim_cmdline *c = at(abs_addr(shim.params->cmdline));

	if (c->len > sizeof(c->text))
		shim_panic("the image's command line has a length of %u", c->len);
	return c;
}

static void read_options(void)
{
	const struct shim_cmdline *c = static_cmdline();

	shim_opts_init(&shim.opts);
	shim_opts_parse(&shim.opts, c->text, c->len);
	/* Only what is measured decides about it. */
	shim.host_trusted = !shim.img.isolated || shim.opts.confidential_debug;
}

static void read_host(void)
{
	uint64_t dt = shim.img.param_region.base + BOOTCFG_DT_PAGE * KEEL_PAGE_SIZE;
	const char *why;

	if (host_dt_parse(at(dt), BOOTCFG_DT_PAGES * KEEL_PAGE_SIZE, &shim.host, &why) < 0)
		shim_panic("device tree of the host: %s", why);
	if (shim.host.com3 && shim.host_trusted)
		shim_log_com3();
	if (static_cmdline()->policy != SHIM_CMDLINE_APPEND_CHOSEN || !shim.host_trusted)
		shim.host.bootargs[0] = 0;
	shim_opts_parse(&shim.opts, shim.host.bootargs, strlen(shim.host.bootargs));
	shim_log("%u CPUs, %u memory ranges, VTL%u%s, command line of the host: %s",
		 (unsigned)shim.host.n_cpu, (unsigned)shim.host.n_mem, shim.vtl,
		 shim.img.isolated ? ", isolated by VBS" : "", shim.host.bootargs);
}

static void plan_memory(void)
{
	uint64_t mib, pages;
	const char *why;

	if (memplan_make(&shim.host, &shim.img, &shim.plan, &why) < 0)
		shim_panic("memory plan: %s", why);
	mib = memplan_ram_bytes(&shim.plan) / MIB;
	/* The pool survives a restart of VTL2, which isolated VMs do not have. */
	if (shim.img.isolated)
		pages = 0;
	else if (shim.host.dma_pages && shim.opts.pool.mode < SHIM_POOL_PAGES)
		pages = shim.host.dma_pages;
	else
		pages = memplan_pool_pages(&shim.opts.pool, (uint32_t)shim.host.n_cpu, mib);
	if (pages && memplan_pool(&shim.plan, &shim.img, pages, shim.opts.pool_split, &why) < 0)
		shim_panic("memory plan: %s", why);
	shim_log("VTL2 memory %llu MiB at %llx, image %llx-%llx, pool %llu pages",
		 (unsigned long long)mib, (unsigned long long)shim.plan.ram[0].r.base,
		 (unsigned long long)shim.img.used.base,
		 (unsigned long long)(shim.img.used.base + shim.img.used.len),
		 (unsigned long long)pages);
}

/* --- isolation by VBS -------------------------------------------------------------------- */

static void set_up_range(void *ctx, enum imported_step step, const struct host_range *r)
{
	uint64_t gpn = r->base / KEEL_PAGE_SIZE, pages = r->len / KEEL_PAGE_SIZE;
	uint16_t status =
		step == IMPORTED_ACCEPT ? shim_hv_accept(gpn, pages) : shim_hv_protect(gpn, pages);

	if (status)
		shim_panic("VTL2 memory %llx+%llx cannot be %s (status %u)",
			   (unsigned long long)r->base, (unsigned long long)r->len,
			   step == IMPORTED_ACCEPT ? "accepted" : "protected", status);
}

/* Before this, only what the image brought along may be touched. */
static void set_up_memory(void)
{
	uint64_t page = shim.img.param_region.base + BOOTCFG_IMPORTED_PAGE * KEEL_PAGE_SIZE;
	const char *why;
	uint16_t r;

	if (!shim.img.isolated)
		return;
	if (imported_read(at(page), &shim.imported, &why) < 0)
		shim_panic("imported pages: %s", why);
	r = shim_hv_set_register(HVREG_VSM_PARTITION_CONFIG,
				 HV_VSM_CFG_ENABLE_VTL_PROTECTION |
					 (uint64_t)HV_MAP_ALL << HV_VSM_CFG_DEFAULT_MASK_SHIFT);
	if (r)
		shim_panic("VTL protections cannot be enabled (status %u)", r);
	imported_walk(&shim.imported, &shim.plan, set_up_range, NULL);
}

/* Where VTL0's memory appears a second time, if the hypervisor offers that. */
static void find_alias_map(void)
{
	uint64_t caps;
	uint16_t r;

	if (shim.vtl != 2)
		return;
	r = shim_hv_register(HVREG_VSM_CAPABILITIES, &caps);
	if (r)
		shim_panic("VsmCapabilities cannot be read (status %u)", r);
	if (!(caps & HV_VSM_CAP_VTL0_ALIAS_MAP))
		return;
	shim.alias_map = shim.host_trusted ? shim.host.alias_map : 0;
	if (!shim.alias_map)
		shim.alias_map = BIT(((hw_cpuid(0x80000008).eax & 0xff) - 1) & 63);
}

/* The kernel takes the order of the CPU nodes for the VP index: it must be. */
static void check_cpus(void)
{
	uint32_t id[SHIM_HV_IDS_MAX], vp[SHIM_HV_IDS_MAX];

	for (size_t done = 0; done < shim.host.n_cpu && shim.vtl == 2;) {
		uint32_t n = (uint32_t)MIN(shim.host.n_cpu - done, (size_t)SHIM_HV_IDS_MAX);
		uint16_t r;

		for (uint32_t i = 0; i < n; i++) {
			if (shim.host.cpu[done + i].hw_id > UINT32_MAX)
				shim_panic("CPU %u has an APIC id of more than 32 bits",
					   (unsigned)done + i);
			id[i] = (uint32_t)shim.host.cpu[done + i].hw_id;
		}
		r = shim_hv_vp_indices(id, n, vp);
		if (r)
			shim_panic("VP indices of %u APIC ids cannot be read (status %u)", n, r);
		for (uint32_t i = 0; i < n; i++)
			if (vp[i] != done + i)
				shim_panic("CPU %u (APIC id %u) has VP index %u",
					   (unsigned)done + i, id[i], vp[i]);
		done += n;
	}
}

static void make_cmdline(void)
{
	const struct shim_cmdline *c = static_cmdline();
	struct kcmdline_in in = {
		.com3 = shim.host.com3 && shim.host_trusted,
		.com3_speed = shim.host.com3_speed,
		.keep_alive_host = shim.host.nvme_keep_alive && !shim.img.isolated,
		.keep_alive_off = shim.opts.no_nvme_keep_alive,
		.pool = shim.plan.pool_pages != 0,
		.isolated = shim.img.isolated,
		.static_text = c->text,
		.static_len = c->len,
		.host_text = shim.host.bootargs,
	};

	if (kcmdline_make(&in, shim.cmdline) < 0)
		shim_panic("the kernel's command line would be longer than %u bytes",
			   KCMDLINE_MAX - 1);
	shim_log("kernel command line has %u bytes", (unsigned)strlen(shim.cmdline));
}

static void check_initrd(void)
{
	const struct shim_params *p = shim.params;
	uint32_t crc = crc32_update(0, at(abs_addr(p->initrd)), p->initrd_size);

	if (crc != p->initrd_crc)
		shim_panic("initrd: CRC-32 is %x, must be %x", crc, p->initrd_crc);
}

static void make_device_tree(void)
{
	struct kern_dt_in in = {
		.host = &shim.host,
		.plan = &shim.plan,
		.isolation = shim.img.isolated ? "vbs" : "none",
		.accepted = shim.img.isolated ? &shim.imported : NULL,
		.alias_map = shim.alias_map,
		.reftime_start = shim.start_time,
		.reftime_end = shim_hv_reftime(),
	};
	size_t len;

	if (kern_dt_make(&in, &shim.dtw, dt_buf.blob, sizeof(dt_buf.blob), &len) < 0)
		shim_panic("the kernel's device tree does not fit %u bytes", DT_BUF_LEN);
	dt_buf.head = (struct setup_data){ .type = SETUP_DATA_DTB, .len = sizeof(dt_buf.blob) };
}

static void make_boot_params(void)
{
	struct boot_params_in in = {
		.plan = &shim.plan,
		.initrd = abs_addr(shim.params->initrd),
		.initrd_size = shim.params->initrd_size,
		.cmdline = (uintptr_t)shim.cmdline,
		.dtb_setup_data = (uintptr_t)&dt_buf,
		.ext_gpa = (uintptr_t)&shim.e820_ext,
	};

	if (boot_params_make(&in, boot_params, &dt_buf.head, &shim.e820_ext) < 0)
		shim_panic("VTL2's memory map has too many entries");
}

static _Noreturn void enter_kernel(void)
{
	uint64_t entry = abs_addr(shim.params->kernel_entry);

	if (shim_stack[0] != STACK_COOKIE)
		shim_panic("stack overflow");
	__asm__ volatile("xor %%edi, %%edi\n\tjmp *%[entry]"
			 :
			 : [entry] "r"(entry), "S"(boot_params)
			 : "rdi", "memory");
	__builtin_unreachable();
}

_Noreturn void shim_main(uint64_t params_off)
{
	shim_idt_init();
	read_params(params_off);
	check_isolation();
	shim.start_time = shim_hv_reftime();
	shim_hv_start();
	find_vtl();
	read_options();
	read_host();
	plan_memory();
	set_up_memory();
	find_alias_map();
	check_cpus();
	make_cmdline();
	check_initrd();
	shim_log("entering the kernel at %llx",
		 (unsigned long long)abs_addr(shim.params->kernel_entry));
	make_device_tree();
	make_boot_params();
	shim_hv_stop();
	enter_kernel();
}
