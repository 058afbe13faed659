/* SPDX-License-Identifier: MIT */
/*
 * The payload for VTL0 and the measured config that tells the daemon where it lies.
 * Spec: igvm-boot, "Measured VTL0 config", "Linux direct (X)".
 */
#include <string.h>

#include "build_priv.h"
#include "ckd.h"
#include "tool_util.h"

#define VTL0_KERNEL_MIN (1 * MIB)
#define INITRD_ALIGN (2 * MIB)
#define CMDLINE_GPN 1u
#define CMDLINE_MAX 2047u /* x86 kernels take 2048 bytes with the NUL */

static struct bootcfg_region region_of(uint64_t gpa, uint64_t len)
{
	uint64_t gpn = gpa / KEEL_PAGE_SIZE;

	return (struct bootcfg_region){
		.gpn = gpn, .pages = align_up(gpa + len, KEEL_PAGE_SIZE) / KEEL_PAGE_SIZE - gpn
	};
}

/* Like image_import(), but only outside VTL2's memory, used by the image or not. */
static int import(struct build *b, const char *tag, uint64_t gpa, const void *data,
		  uint64_t data_len, uint64_t mem_len)
{
	if (range_overlap(gpa, mem_len, b->lo.start, b->lo.size))
		return tool_err("%s (GPA %#llx, %llu bytes) reaches into VTL2's memory.", tag,
				(unsigned long long)gpa, (unsigned long long)mem_len);
	return image_import(&b->img, tag, gpa, data, data_len, mem_len);
}

static int import_kernel(struct build *b, struct vtl0_measured_config *cfg, uint64_t *ret_end)
{
	const struct file_buf *f;
	struct elf_img e;
	const char *why;

	if (resource_load(b->res, RESOURCE_LINUX_KERNEL) < 0)
		return -1;
	f = &b->res->file[RESOURCE_LINUX_KERNEL];
	if (elf_parse(f->data, f->len, &e, &why) < 0)
		return tool_err("%s: the VTL0 kernel %s; the ELF vmlinux is needed, not a bzImage.",
				b->res->path[RESOURCE_LINUX_KERNEL], why);
	if (e.lo < VTL0_KERNEL_MIN)
		return tool_err("%s: the VTL0 kernel loads below 1 MiB.",
				b->res->path[RESOURCE_LINUX_KERNEL]);
	for (size_t i = 0; i < e.n_seg; i++)
		if (import(b, "VTL0 kernel", e.seg[i].paddr, e.seg[i].data, e.seg[i].file_size,
			   e.seg[i].mem_size) < 0)
			return -1;
	cfg->linux_kernel = region_of(e.lo, e.hi - e.lo);
	cfg->linux_entry = e.entry;
	*ret_end = e.hi;
	return 0;
}

static int import_initrd(struct build *b, struct vtl0_measured_config *cfg, uint64_t kernel_end)
{
	uint64_t at = align_up(kernel_end, INITRD_ALIGN);
	const struct file_buf *f;

	if (resource_load(b->res, RESOURCE_LINUX_INITRD) < 0)
		return -1;
	f = &b->res->file[RESOURCE_LINUX_INITRD];
	cfg->linux_initrd = region_of(at, f->len);
	cfg->linux_initrd_size = f->len;
	return import(b, "VTL0 initrd", at, f->data, f->len, f->len);
}

static int import_cmdline(struct build *b, struct vtl0_measured_config *cfg)
{
	const char *text = b->m->linux_direct.command_line;
	size_t len = strlen(text);

	if (len > CMDLINE_MAX)
		return tool_err("command_line of the VTL0 kernel is longer than %u bytes.",
				CMDLINE_MAX);
	cfg->linux_cmdline = (struct bootcfg_region){ .gpn = CMDLINE_GPN, .pages = 1 };
	return import(b, "VTL0 command line", CMDLINE_GPN * KEEL_PAGE_SIZE, text, len + 1,
		      KEEL_PAGE_SIZE);
}

int build_vtl0(struct build *b)
{
	struct vtl0_measured_config cfg = { .magic = VTL0_CONFIG_MAGIC };
	uint64_t end = 0;

	if (b->m->linux_direct.present) {
		cfg.supported = VTL0_CONFIG_LINUX;
		if (import_kernel(b, &cfg, &end) < 0 || import_cmdline(b, &cfg) < 0)
			return -1;
		if (b->m->linux_direct.use_initrd && import_initrd(b, &cfg, end) < 0)
			return -1;
	}
	return import(b, "measured VTL0 config", 0, &cfg, sizeof(cfg), KEEL_PAGE_SIZE);
}
