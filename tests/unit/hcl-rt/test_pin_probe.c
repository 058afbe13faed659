/* SPDX-License-Identifier: MIT */
#include "pin_probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "loop.h"
#include "unit.h"

static bool have_uring(void)
{
	struct loop *loop;
	bool yes;

	ck_assert_int_eq(loop_create(8, &loop), 0);
	yes = strcmp(loop_backend(loop), "io_uring") == 0;
	loop_destroy(loop);
	return yes;
}

START_TEST(ordinary_memory_can_be_pinned)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	p[1] = 42;
	if (!have_uring()) {
		ck_assert_int_lt(pin_probe(p, 8192), 0);
		return;
	}
	ck_assert_int_eq(pin_probe(p, 8192), 0);
	ck_assert_int_eq(pin_probe(p + 4096, 4096), 0);
	ck_assert_uint_eq(p[1], 42);
	ck_assert_int_eq(mprotect(p, 4096, PROT_NONE), 0);
	ck_assert_int_eq(pin_probe(p, 4096), -EFAULT);
	ck_assert_int_eq(pin_probe((void *)4096, 4096), -EFAULT); /* nothing is ever mapped there */
	ck_assert_int_eq(munmap(p, 8192), 0);
}
END_TEST

/* The kernel's own pages in every process are mapped the way that nothing can pin. */
static void *special_page(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uintptr_t from = 0;
	char line[256];

	ck_assert_ptr_nonnull(f);
	while (!from && fgets(line, sizeof(line), f))
		if (strstr(line, "[vvar]"))
			ck_assert_int_eq(sscanf(line, "%" SCNxPTR, &from), 1);
	(void)fclose(f);
	return (void *)from;
}

START_TEST(special_mappings_cannot)
{
	void *page = special_page();

	ck_assert_ptr_nonnull(page);
	if (have_uring())
		ck_assert_int_eq(pin_probe(page, 4096), -EFAULT);
	else
		ck_assert_int_lt(pin_probe(page, 4096), 0);
}
END_TEST

UNIT_MAIN("rt/pin_probe", ordinary_memory_can_be_pinned, special_mappings_cannot)
