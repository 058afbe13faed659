/* SPDX-License-Identifier: MIT */
/*
 * The list of pages the loader put into memory and, for isolated partitions, what is still to be
 * done with VTL2's memory because of it. Pure computation. Freestanding.
 * Trust: the list is measured. Spec: igvm-boot, "Imported-regions page", "Boot shim", steps 12, 13.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bootcfg.h"
#include "host_dt.h"
#include "macros.h"
#include "memplan.h"

#define IMPORTED_MAX ((KEEL_PAGE_SIZE - IMPORTED_DIGEST_LEN) / sizeof(struct imported_region))

struct imported {
	struct host_range r[IMPORTED_MAX]; /* ascending, not overlapping */
	size_t n;
};

/**
 * imported_read - read and check the list
 * @page: the imported-regions page
 * @ret_why: static text on failure
 * Returns: 0; -EBADMSG (not ascending, or absurd); -ENOTSUP (pages are left for the shim to accept:
 * images for hardware isolation have such)
 */
must_check int imported_read(const void *page, struct imported *ret, const char **ret_why);

enum imported_step {
	IMPORTED_PROTECT, /* accepted by the loader: keep lower VTLs out */
	IMPORTED_ACCEPT, /* accept it */
};

typedef void (*imported_fn)(void *ctx, enum imported_step step, const struct host_range *r);

/* Call @fn for every stretch of VTL2's RAM, once and in ascending order. */
void imported_walk(const struct imported *list, const struct memplan *plan, imported_fn fn,
		   void *ctx);
