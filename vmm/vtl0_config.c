/* SPDX-License-Identifier: MIT */
/* See vtl0_config.h. One read of the page, one of the command line. */
#include "vtl0_config.h"

#include <errno.h>
#include <string.h>

#include "bootcfg.h"
#include "ckd.h"

#define CONFIG_GPA 0

/* A run of whole pages in RAM, as bytes. */
static int check_pages(struct gmem *gm, uint64_t gpn, uint64_t pages, gpa_t *ret_base,
		       uint64_t *ret_len)
{
	uint64_t base, len;

	if (ckd_mul(&base, gpn, (uint64_t)KEEL_PAGE_SIZE) ||
	    ckd_mul(&len, pages, (uint64_t)KEEL_PAGE_SIZE))
		return -EBADMSG;
	if (!pages || !gm_is_ram(gm, base, len))
		return -EBADMSG;
	*ret_base = base;
	*ret_len = len;
	return 0;
}

static int read_cmdline(struct gmem *gm, const struct vtl0_measured_config *raw, char *ret_text)
{
	gpa_t base;
	uint64_t len;
	int r;

	ret_text[0] = '\0';
	if (!raw->linux_cmdline.pages)
		return 0;
	r = check_pages(gm, raw->linux_cmdline.gpn, raw->linux_cmdline.pages, &base, &len);
	if (r)
		return r;
	len = MIN(len, (uint64_t)VTL0_CMDLINE_MAX);
	r = gm_read(gm, base, ret_text, (size_t)len);
	if (r)
		return r;
	if (!memchr(ret_text, 0, (size_t)len))
		return -EBADMSG;
	return gm_zero(gm, base, raw->linux_cmdline.pages * KEEL_PAGE_SIZE);
}

static int check_linux(struct gmem *gm, const struct vtl0_measured_config *raw,
		       struct vtl0_config *cfg)
{
	uint64_t initrd_room;
	int r = check_pages(gm, raw->linux_kernel.gpn, raw->linux_kernel.pages, &cfg->kernel_base,
			    &cfg->kernel_len);

	if (r)
		return r;
	if (raw->linux_entry < cfg->kernel_base ||
	    raw->linux_entry - cfg->kernel_base >= cfg->kernel_len)
		return -EBADMSG;
	cfg->kernel_entry = raw->linux_entry;
	if (raw->linux_initrd_size) {
		r = check_pages(gm, raw->linux_initrd.gpn, raw->linux_initrd.pages,
				&cfg->initrd_base, &initrd_room);
		if (r)
			return r;
		if (raw->linux_initrd_size > initrd_room)
			return -EBADMSG;
		cfg->initrd_len = raw->linux_initrd_size;
	}
	return read_cmdline(gm, raw, cfg->cmdline);
}

int vtl0_config_read(struct gmem *gm, struct vtl0_config *ret_cfg)
{
	struct vtl0_config cfg = { 0 };
	struct vtl0_measured_config raw;
	int r = gm_read(gm, CONFIG_GPA, &raw, sizeof(raw));

	if (r)
		return r;
	if (raw.magic != VTL0_CONFIG_MAGIC)
		return -ENOENT;
	cfg.uefi = raw.supported & VTL0_CONFIG_UEFI;
	cfg.pcat = raw.supported & VTL0_CONFIG_PCAT;
	cfg.linux_direct = raw.supported & VTL0_CONFIG_LINUX;
	if (cfg.linux_direct) {
		r = check_linux(gm, &raw, &cfg);
		if (r)
			return r;
	}
	r = gm_zero(gm, CONFIG_GPA, KEEL_PAGE_SIZE);
	if (r)
		return r;
	*ret_cfg = cfg;
	return 0;
}
