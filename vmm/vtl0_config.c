/* SPDX-License-Identifier: MIT */
/* See vtl0_config.h. One read of the page, one of the command line. */
#include "vtl0_config.h"

#include <errno.h>
#include <string.h>

#include "ckd.h"

#define CONFIG_MAGIC 0x4f48434c56544c30ull
#define CONFIG_GPA 0
#define SUPPORTS_UEFI BIT(0)
#define SUPPORTS_PCAT BIT(1)
#define SUPPORTS_LINUX BIT(2)

struct raw_config {
	uint64_t magic;
	uint64_t supported;
	uint64_t uefi_gpn, uefi_pages;
	uint64_t uefi_context_gpn, uefi_context_pages;
	uint64_t kernel_gpn, kernel_pages;
	uint64_t kernel_entry;
	uint64_t initrd_gpn, initrd_pages;
	uint64_t initrd_bytes;
	uint64_t cmdline_gpn, cmdline_pages;
};
WIRE_SIZE(struct raw_config, 112);

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

static int read_cmdline(struct gmem *gm, const struct raw_config *raw, char *ret_text)
{
	gpa_t base;
	uint64_t len;
	int r;

	ret_text[0] = '\0';
	if (!raw->cmdline_pages)
		return 0;
	r = check_pages(gm, raw->cmdline_gpn, raw->cmdline_pages, &base, &len);
	if (r)
		return r;
	len = MIN(len, (uint64_t)VTL0_CMDLINE_MAX);
	r = gm_read(gm, base, ret_text, (size_t)len);
	if (r)
		return r;
	if (!memchr(ret_text, 0, (size_t)len))
		return -EBADMSG;
	return gm_zero(gm, base, raw->cmdline_pages * KEEL_PAGE_SIZE);
}

static int check_linux(struct gmem *gm, const struct raw_config *raw, struct vtl0_config *cfg)
{
	uint64_t initrd_room;
	int r = check_pages(gm, raw->kernel_gpn, raw->kernel_pages, &cfg->kernel_base,
			    &cfg->kernel_len);

	if (r)
		return r;
	if (raw->kernel_entry < cfg->kernel_base ||
	    raw->kernel_entry - cfg->kernel_base >= cfg->kernel_len)
		return -EBADMSG;
	cfg->kernel_entry = raw->kernel_entry;
	if (raw->initrd_bytes) {
		r = check_pages(gm, raw->initrd_gpn, raw->initrd_pages, &cfg->initrd_base,
				&initrd_room);
		if (r)
			return r;
		if (raw->initrd_bytes > initrd_room)
			return -EBADMSG;
		cfg->initrd_len = raw->initrd_bytes;
	}
	return read_cmdline(gm, raw, cfg->cmdline);
}

int vtl0_config_read(struct gmem *gm, struct vtl0_config *ret_cfg)
{
	struct vtl0_config cfg = { 0 };
	struct raw_config raw;
	int r = gm_read(gm, CONFIG_GPA, &raw, sizeof(raw));

	if (r)
		return r;
	if (raw.magic != CONFIG_MAGIC)
		return -ENOENT;
	cfg.uefi = raw.supported & SUPPORTS_UEFI;
	cfg.pcat = raw.supported & SUPPORTS_PCAT;
	cfg.linux_direct = raw.supported & SUPPORTS_LINUX;
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
