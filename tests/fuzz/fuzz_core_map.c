/* SPDX-License-Identifier: MIT */
/* The list of mappings as the dumper reads it: any text. Nothing of a device is ever taken. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_map.h"

static void check(const struct core_maps *maps)
{
	for (size_t i = 0; i < maps->n; i++) {
		const struct core_map *m = &maps->maps[i];
		const char *name = maps->names + m->name;

		if (m->name >= maps->names_len || m->start >= m->end ||
		    core_map_bytes(m) > m->end - m->start)
			abort();
		if (core_map_bytes(m) && (m->is_device || strcmp(name, "/dev/mshv_vtl_low") == 0))
			abort();
		if (i && m->start < maps->maps[i - 1].end)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct core_maps maps;
	FILE *f;

	if (!size)
		return 0;
	f = fmemopen((void *)(uintptr_t)data, size, "r");
	if (!f)
		return 0;
	if (core_maps_read(f, &maps) == 0) {
		check(&maps);
		core_maps_fini(&maps);
	}
	(void)fclose(f);
	return 0;
}
