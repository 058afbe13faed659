/* SPDX-License-Identifier: MIT */
#include "igvm_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "dt_host.h"
#include "igvm_load.h"
#include "log.h"
#include "regs_host.h"

#define LOG_AREA "image"

#define IMAGE_MAX (1ull << 30)

/* --- the file --------------------------------------------------------------------------------- */

static int read_all(int fd, uint8_t *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

/* A block device is longer than the image on it: the header says how long that is. */
static int image_size(int fd, uint64_t *ret_len)
{
	struct igvm_fixed_v1 head;
	struct stat st;
	off_t end;

	if (fstat(fd, &st) < 0)
		return -errno;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	*ret_len = (uint64_t)end;
	if (S_ISBLK(st.st_mode)) {
		int r = read_all(fd, (uint8_t *)&head, sizeof(head));

		if (r < 0)
			return r;
		if (head.magic == IGVM_MAGIC)
			*ret_len = MIN((uint64_t)end, (uint64_t)head.file_size);
	}
	return 0;
}

static int read_file(const char *path, struct igvm_image *img)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t len = 0;
	int r;

	if (fd < 0)
		return -errno;
	r = image_size(fd, &len);
	if (r < 0)
		return r;
	if (len > IMAGE_MAX)
		return -EFBIG;
	img->data = malloc(len ? len : 1);
	if (!img->data)
		return -ENOMEM;
	img->len = len;
	return read_all(fd, img->data, len);
}

int igvm_boot_open(const char *path, struct igvm_image *ret_img, char *ret_why, size_t size)
{
	struct igvm_image img = { 0 };
	struct igvm_error err;
	int r = read_file(path, &img);

	if (r < 0) {
		snprintf(ret_why, size, "image %s cannot be read: %s", path, strerror(-r));
	} else {
		r = igvm_parse(img.data, img.len, &img.file, &err);
		if (r == -EBADMSG)
			snprintf(ret_why, size, "image %s is not usable: at %#llx: %s", path,
				 (unsigned long long)err.off, err.rule);
		else if (r < 0)
			snprintf(ret_why, size, "image %s: %s", path, strerror(-r));
	}
	if (r < 0) {
		free(img.data);
		return r;
	}
	*ret_img = img;
	return 0;
}

void igvm_boot_close(struct igvm_image *img)
{
	igvm_destroy(img->file);
	free(img->data);
	*img = (struct igvm_image){ 0 };
}

uint64_t igvm_boot_vtl2_size(const struct igvm_image *img, gpa_t *ret_base)
{
	const struct igvm_platform *p = igvm_platform_find(img->file, IGVM_PLATFORM_VSM_ISOLATION);
	const struct igvm_header *h;
	bool moves = false;
	uint64_t total = 0;
	gpa_t base = 0;
	size_t pos = 0;

	while (p && (h = igvm_next(img->file, &pos, p->mask))) {
		if (h->type == IGVM_RELOCATABLE_REGION)
			moves = true;
		if (h->type != IGVM_REQUIRED_MEMORY ||
		    !(h->required.flags & IGVM_MEM_VTL2_PROTECTABLE))
			continue;
		if (!total)
			base = h->required.gpa;
		total += h->required.size;
	}
	*ret_base = moves ? 0 : base;
	return total;
}

/* --- loading ---------------------------------------------------------------------------------- */

static int write_page(void *ctx, gpa_t gpa, const void *page)
{
	struct hvpart *part = ctx;
	void *p = mem_host_ptr(&part->mem, gpa, KEEL_PAGE_SIZE);

	if (!p)
		return -EFAULT;
	if (page) /* fresh memory is zero already */
		memcpy(p, page, KEEL_PAGE_SIZE);
	if (part->isolated)
		mem_host_imported(&part->mem, gpa);
	return 0;
}

static int make_plan(const struct hvpart *part, const struct igvm_image *img,
		     struct igvm_plan *plan, struct igvm_error *err)
{
	struct igvm_range ram[MEM_MAX_RAM];
	struct igvm_plan_cfg cfg = {
		.platform_type = IGVM_PLATFORM_VSM_ISOLATION,
		.arch = IGVM_ARCH_X64,
		.policy = IGVM_BASE_AT,
		.base = part->mem.vtl2_base,
		.ram = ram,
		.n_ram = part->mem.n_ram,
	};
	gpa_t own;

	(void)igvm_boot_vtl2_size(img, &own);
	if (own)
		cfg.policy = IGVM_BASE_FILE;
	for (size_t i = 0; i < part->mem.n_ram; i++)
		ram[i] = (struct igvm_range){ part->mem.ram[i].gpa, part->mem.ram[i].len };
	return igvm_plan_make(img->file, &cfg, plan, err);
}

static int set_registers(struct hvpart *part, const struct igvm_load_result *res)
{
	for (uint32_t i = 0; i < res->n_regs; i++) {
		enum hv_status st;

		if (res->regs[i].vtl != res->vtl)
			continue;
		st = regs_host_set(&part->vps[0], VTL2, res->regs[i].name, &res->regs[i].val);
		if (st != HV_OK) {
			log_err(ALLOWED, "register %#x of the image: status %#x", res->regs[i].name,
				st);
			return -EINVAL;
		}
	}
	return regs_host_flush(&part->vps[0], VTL2);
}

static int load(struct hvpart *part, const struct igvm_image *img, const struct igvm_plan *plan,
		const char *cmdline, struct igvm_load_result *res, struct igvm_error *err)
{
	const struct dt_host_cfg dt_cfg = {
		.vps = part->n_vps,
		.map = plan->map,
		.n_map = plan->n_map,
		.vtl0_mmio = { part->mem.mmio[0], part->mem.mmio[1] },
		.vtl2_mmio = { part->mem.vtl2_mmio[0], part->mem.vtl2_mmio[1] },
		.bootargs = cmdline,
		.vtl2_console = part->vtl2_console,
	};
	struct igvm_load_params params = { .vp_count = part->n_vps };
	const struct igvm_load_ops ops = { .write_page = write_page, .ctx = part };
	auto_free void *dt = malloc(DT_HOST_MAX);
	int r;

	if (!dt)
		return -ENOMEM;
	r = dt_host_build(&dt_cfg, dt, &params.device_tree.len);
	if (r < 0)
		return r;
	params.device_tree.data = dt;
	for (unsigned int i = 0; i < 2; i++)
		params.mmio[i] =
			(struct igvm_mmio_range){ part->mem.mmio[i].gpa >> KEEL_PAGE_SHIFT,
						  part->mem.mmio[i].len >> KEEL_PAGE_SHIFT };
	return igvm_load(img->file, plan, &params, &ops, res, err);
}

int igvm_boot_load(struct hvpart *part, const struct igvm_image *img, const char *cmdline,
		   char *ret_why, size_t size)
{
	auto_free struct igvm_load_result *res = calloc(1, sizeof(*res));
	auto_free struct igvm_plan *plan = calloc(1, sizeof(*plan));
	struct igvm_error err = { 0 };
	int r;

	if (!res || !plan)
		return -ENOMEM;
	r = make_plan(part, img, plan, &err);
	if (r == 0)
		r = load(part, img, plan, cmdline, res, &err);
	if (r == -EBADMSG || r == -ENXIO) {
		snprintf(ret_why, size, "the image does not fit this machine: at %#llx: %s",
			 (unsigned long long)err.off, err.rule);
		return r;
	}
	if (r == 0) {
		log_info(ALLOWED, "image loaded, VTL2 at %#llx, %llu MiB",
			 (unsigned long long)part->mem.vtl2_base,
			 (unsigned long long)(part->mem.vtl2_size >> 20));
		r = set_registers(part, res);
	}
	if (r == 0 && part->isolated)
		r = mem_host_sealed(&part->mem, part->vtl[VTL0].vm, part->vtl[VTL2].vm);
	if (r < 0)
		snprintf(ret_why, size, "the image could not be loaded: %s", strerror(-r));
	return r;
}
