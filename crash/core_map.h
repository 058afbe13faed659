/* SPDX-License-Identifier: MIT */
/*
 * What of a process's memory belongs into a core: read from /proc/PID/smaps, decided as the kernel
 * does with coredump_filter 0x33 (private and shared anonymous memory, ELF headers of mapped
 * programs, private huge pages), and stricter about devices: no mapping of a device node, of I/O or
 * of bare page frames, and nothing that asked to be left out. VTL0's memory is all of these.
 * Trust: the text is the kernel's, but names in it are the dumped process's choice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "macros.h"

/* Together with the notes this stays below what an ELF header can count. */
#define CORE_MAPS_MAX 60000u
#define CORE_MAP_NAMES_MAX (4u << 20) /* bytes of all names together */

enum core_take { CORE_TAKE_NONE, CORE_TAKE_ELF_HEADER, CORE_TAKE_ALL };

struct core_map {
	uint64_t start, end, file_off;
	uint32_t name; /* offset in core_maps.names; 0 = no file */
	uint8_t prot; /* PF_R, PF_W, PF_X */
	bool is_private, is_file, is_device, is_vdso;
	uint8_t take; /* enum core_take */
};

struct core_maps {
	struct core_map *maps;
	size_t n, cap;
	char *names; /* NUL-terminated strings; the first one is empty */
	size_t names_len, names_cap;
};

/**
 * core_maps_read - parse a smaps file
 * Lines that are not understood are passed over, a mapping without its VmFlags line is left out of
 * the dump (but listed).
 * Returns: 0; -E2BIG (more mappings or names than a core has room for); -EBADMSG (mappings that
 * are empty, overlap, or are not in order); -ENOMEM
 */
must_check int core_maps_read(FILE *smaps, struct core_maps *ret_maps);
void core_maps_fini(struct core_maps *maps);

/* How many bytes of the mapping go into the core, if the ELF header question is answered. */
uint64_t core_map_bytes(const struct core_map *map);
