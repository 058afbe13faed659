/* SPDX-License-Identifier: MIT */
/*
 * What an x86-64 Linux kernel finds when it is entered at its 64-bit entry point. Freestanding.
 * Spec: Linux x86 boot protocol ("zero page"); igvm-boot, "boot_params written".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "macros.h"
#include "memplan.h"

#define BOOT_PARAMS_LEN 4096u
#define E820_IN_PARAMS 128u
#define E820_EXT_MAX 512u

enum setup_data_type {
	SETUP_DATA_E820_EXT = 1,
	SETUP_DATA_DTB = 2,
};

/* Head of each element of the setup_data chain. */
struct setup_data {
	uint64_t next; /* GPA, 0 ends the chain */
	uint32_t type;
	uint32_t len; /* of what follows */
};
WIRE_SIZE(struct setup_data, 16);

struct e820_entry {
	uint64_t base;
	uint64_t len;
	uint32_t type; /* 1 RAM, 2 reserved */
} __attribute__((packed));
WIRE_SIZE(struct e820_entry, 20);

struct e820_ext {
	struct setup_data head;
	struct e820_entry entry[E820_EXT_MAX];
};

struct boot_params_in {
	const struct memplan *plan;
	uint64_t initrd, initrd_size;
	uint64_t cmdline; /* GPA of the text */
	uint64_t dtb_setup_data; /* GPA of its struct setup_data */
	uint64_t ext_gpa; /* GPA of @ext */
};

/**
 * boot_params_make - fill the zero page
 * @ret_page: BOOT_PARAMS_LEN bytes
 * @dtb: the element of the device tree, filled except for next
 * @ext: used when the memory map has more than 128 entries
 * Returns: 0; -E2BIG (more than 640 entries)
 */
must_check int boot_params_make(const struct boot_params_in *in, uint8_t *ret_page,
				struct setup_data *dtb, struct e820_ext *ext);
