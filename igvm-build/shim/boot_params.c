/* SPDX-License-Identifier: MIT */
#include "boot_params.h"

#include <errno.h>
#include <string.h>

#include "bootcfg.h"
#include "le.h"

#define OFF_EXT_RAMDISK_IMAGE 0x0c0u
#define OFF_EXT_RAMDISK_SIZE 0x0c4u
#define OFF_EXT_CMD_LINE 0x0c8u
#define OFF_E820_ENTRIES 0x1e8u
#define OFF_TYPE_OF_LOADER 0x210u
#define OFF_RAMDISK_IMAGE 0x218u
#define OFF_RAMDISK_SIZE 0x21cu
#define OFF_CMD_LINE 0x228u
#define OFF_HARDWARE_SUBARCH 0x23cu
#define OFF_SETUP_DATA 0x250u
#define OFF_E820_TABLE 0x2d0u
#define LOADER_UNDEFINED 0xffu
/* Not 0: keeps the kernel from looking for a BIOS in the first MiB. */
#define SUBARCH_NO_BIOS 1u
#define E820_RAM 1u
#define E820_RESERVED 2u

/* A 64-bit value whose halves the boot protocol keeps apart. */
static void put_split(uint8_t *page, size_t lo_off, size_t hi_off, uint64_t v)
{
	le32_store(page + lo_off, (uint32_t)v);
	le32_store(page + hi_off, (uint32_t)(v >> 32));
}

/* VTL2's memory only: the kernel must not even know of VTL0's. */
static int put_e820(const struct memplan *plan, uint8_t *page, struct e820_ext *ext,
		    size_t *ret_ext)
{
	struct e820_entry last = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < plan->n_map; i++) {
		const struct plan_entry *m = &plan->map[i];
		struct e820_entry e = { .base = m->r.base,
					.len = m->r.len,
					.type = m->type == BOOTMEM_VTL2_RAM ? E820_RAM
									    : E820_RESERVED };

		if (m->type == BOOTMEM_VTL0)
			continue;
		if (n && last.type == e.type && last.base + last.len == e.base) {
			e.base = last.base;
			e.len += last.len;
			n--; /* one entry for both */
		}
		if (n >= E820_IN_PARAMS + E820_EXT_MAX)
			return -E2BIG;
		if (n < E820_IN_PARAMS)
			memcpy(page + OFF_E820_TABLE + n * sizeof(e), &e, sizeof(e));
		else
			ext->entry[n - E820_IN_PARAMS] = e;
		last = e;
		n++;
	}
	page[OFF_E820_ENTRIES] = (uint8_t)MIN(n, E820_IN_PARAMS);
	*ret_ext = n > E820_IN_PARAMS ? n - E820_IN_PARAMS : 0;
	return 0;
}

int boot_params_make(const struct boot_params_in *in, uint8_t *ret_page, struct setup_data *dtb,
		     struct e820_ext *ext)
{
	size_t n_ext = 0;
	int r;

	memset(ret_page, 0, BOOT_PARAMS_LEN);
	r = put_e820(in->plan, ret_page, ext, &n_ext);
	if (r < 0)
		return r;
	ret_page[OFF_TYPE_OF_LOADER] = LOADER_UNDEFINED;
	le32_store(ret_page + OFF_HARDWARE_SUBARCH, SUBARCH_NO_BIOS);
	put_split(ret_page, OFF_RAMDISK_IMAGE, OFF_EXT_RAMDISK_IMAGE, in->initrd);
	put_split(ret_page, OFF_RAMDISK_SIZE, OFF_EXT_RAMDISK_SIZE, in->initrd_size);
	put_split(ret_page, OFF_CMD_LINE, OFF_EXT_CMD_LINE, in->cmdline);
	le64_store(ret_page + OFF_SETUP_DATA, in->dtb_setup_data);
	dtb->next = n_ext ? in->ext_gpa : 0;
	ext->head = (struct setup_data){ .type = SETUP_DATA_E820_EXT,
					 .len = (uint32_t)(n_ext * sizeof(struct e820_entry)) };
	return 0;
}
