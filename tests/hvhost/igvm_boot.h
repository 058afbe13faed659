/* SPDX-License-Identifier: MIT */
/* Loads an IGVM image into a partition. Context: set-up. Trust: the file is checked by the
 * reader. */
#pragma once

#include "hvpart.h"
#include "igvm_read.h"

struct igvm_image {
	void *data;
	size_t len;
	struct igvm_file *file;
};

/**
 * igvm_boot_open - read and check a file, or a block device that starts with one
 * @ret_why: at least 256 bytes; on failure the reason, for the user
 * Returns: 0, -errno
 */
must_check int igvm_boot_open(const char *path, struct igvm_image *ret_img, char *ret_why,
			      size_t size);
void igvm_boot_close(struct igvm_image *img);

/*
 * Bytes of memory the image wants for VTL2; 0: the image says nothing.
 * @ret_base: where, if the image cannot be moved; else 0
 */
uint64_t igvm_boot_vtl2_size(const struct igvm_image *img, gpa_t *ret_base);

/**
 * igvm_boot_load - place the image, build the device tree, set the first processor's registers
 * On an isolated partition what the image brings along is accepted, and nothing else.
 * Memory exists (mem_host_create()). Returns: 0; -errno with a reason for the user in @ret_why
 */
must_check int igvm_boot_load(struct hvpart *part, const struct igvm_image *img,
			      const char *cmdline, char *ret_why, size_t size);
