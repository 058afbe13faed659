/* SPDX-License-Identifier: MIT */
/* What of a process goes into a core, from text as the kernel writes it and from other text. */
#include "core_map.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "unit.h"

static struct core_maps maps;

static int parse(const char *text)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int r;

	ck_assert_ptr_nonnull(f);
	r = core_maps_read(f, &maps);
	(void)fclose(f);
	return r;
}

/* One mapping: its line, kilobytes of its own, flags. Returns what is taken of it. */
static enum core_take take(const char *head, unsigned anon, const char *flags)
{
	char text[512];
	enum core_take t;

	snprintf(text, sizeof(text), "%s\nSize: 8 kB\nAnonymous: %u kB\nSwap: 0 kB\nVmFlags: %s\n",
		 head, anon, flags);
	ck_assert_int_eq(parse(text), 0);
	ck_assert_uint_eq(maps.n, 1);
	t = (enum core_take)maps.maps[0].take;
	core_maps_fini(&maps);
	return t;
}

#define RW "1000-3000 rw-p 00000000 00:00 0 "
#define FILE_AT(perms, off, name) "1000-3000 " perms " " off " fe:01 1234    " name

START_TEST(as_the_kernel_does)
{
	ck_assert_int_eq(take(RW, 4, "rd wr mr mw me ac sd "), CORE_TAKE_ALL);
	ck_assert_int_eq(take(RW " [heap]", 4, "rd wr mr mw me ac "), CORE_TAKE_ALL);
	ck_assert_int_eq(take(RW, 0, "rd wr mr mw me ac "), CORE_TAKE_NONE); /* never touched */
	ck_assert_int_eq(take("1000-3000 r-xp 00000000 00:00 0   [vdso]", 0, "rd ex mr mw me de "),
			 CORE_TAKE_ALL);
	ck_assert_int_eq(take(FILE_AT("rw-p", "00001000", "/bin/keel"), 8, "rd wr mr mw me ac "),
			 CORE_TAKE_ALL);
	ck_assert_int_eq(take(FILE_AT("r--p", "00000000", "/bin/keel"), 0, "rd mr mw me "),
			 CORE_TAKE_ELF_HEADER);
	ck_assert_int_eq(take(FILE_AT("r-xp", "00001000", "/bin/keel"), 0, "rd ex mr mw me "),
			 CORE_TAKE_NONE);
	ck_assert_int_eq(take(FILE_AT("---p", "00000000", "/bin/keel"), 0, "mr mw me "),
			 CORE_TAKE_NONE);
	ck_assert_int_eq(take(FILE_AT("rw-s", "00000000", "/run/a"), 8, "rd wr sh "),
			 CORE_TAKE_NONE);
	ck_assert_int_eq(take(FILE_AT("rw-s", "00000000", "/memfd:x (deleted)"), 0, "rd wr sh "),
			 CORE_TAKE_ALL);
	ck_assert_int_eq(take(FILE_AT("rw-s", "00000000", "/dev/zero (deleted)"), 0, "rd wr sh "),
			 CORE_TAKE_ALL);
}
END_TEST

/* VTL0's memory is a device mapping of page frames that asked to be left out: each is enough. */
START_TEST(never)
{
	ck_assert_int_eq(take(RW, 4, "rd wr mr mw me dd "), CORE_TAKE_NONE);
	ck_assert_int_eq(take(RW, 4, "rd wr io "), CORE_TAKE_NONE);
	ck_assert_int_eq(take(RW, 4, "rd wr pf "), CORE_TAKE_NONE);
	ck_assert_int_eq(take(FILE_AT("rw-s", "00000000", "/dev/mshv_vtl_low"), 0, "rd wr sh "),
			 CORE_TAKE_NONE);
	ck_assert_int_eq(take(FILE_AT("rw-p", "00000000", "/dev/mshv_vtl_low"), 8, "rd wr "),
			 CORE_TAKE_NONE);
	ck_assert_int_eq(take(FILE_AT("rw-s", "00000000", "/dev/uio0 (deleted)"), 8, "rd wr "),
			 CORE_TAKE_NONE);
	ck_assert_int_eq(take(FILE_AT("rw-s", "00000000", "anon_inode:[io_uring]"), 0, "rd wr sh "),
			 CORE_TAKE_NONE);
	ck_assert_int_eq(take("1000-3000 r--p 00000000 00:00 0  [vvar]", 4, "rd mr "),
			 CORE_TAKE_NONE);
	ck_assert_int_eq(take("1000-3000 --xp 00000000 00:00 0  [vsyscall]", 4, "ex "),
			 CORE_TAKE_NONE);
}
END_TEST

START_TEST(fields)
{
	const struct core_map *m;

	ck_assert_int_eq(parse("7f00-7f00\n"
			       "00400000-00402000 r-xp 00003000 fe:01 77   /a b (c)\nVmFlags: rd \n"
			       "7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0 [stack]\n"
			       "Anonymous:  4 kB\nVmFlags: rd wr gd \n"),
			 0);
	ck_assert_uint_eq(maps.n, 2);
	m = &maps.maps[0];
	ck_assert_uint_eq(m->start, 0x400000);
	ck_assert_uint_eq(m->end, 0x402000);
	ck_assert_uint_eq(m->file_off, 0x3000);
	ck_assert_uint_eq(m->prot, PF_R | PF_X);
	ck_assert(m->is_private && m->is_file);
	ck_assert_str_eq(maps.names + m->name, "/a b (c)");
	ck_assert_uint_eq(core_map_bytes(m), 0);
	m = &maps.maps[1];
	ck_assert_uint_eq(m->prot, PF_R | PF_W);
	ck_assert(!m->is_file);
	ck_assert_str_eq(maps.names + m->name, "");
	ck_assert_uint_eq(core_map_bytes(m), 4096);
	core_maps_fini(&maps);
}
END_TEST

/* Without its flags nothing says that a mapping may be dumped. */
START_TEST(cut_off)
{
	ck_assert_int_eq(parse(RW "\nAnonymous: 8 kB\n"), 0);
	ck_assert_uint_eq(maps.n, 1);
	ck_assert_uint_eq(core_map_bytes(&maps.maps[0]), 0);
	core_maps_fini(&maps);
	ck_assert_int_eq(parse("VmFlags: rd\nAnonymous: 8 kB\nnonsense\n"), 0);
	ck_assert_uint_eq(maps.n, 0);
	core_maps_fini(&maps);
}
END_TEST

START_TEST(impossible)
{
	ck_assert_int_eq(parse("3000-3000 rw-p 0 00:00 0\n"), -EBADMSG);
	ck_assert_int_eq(parse("3000-1000 rw-p 0 00:00 0\n"), -EBADMSG);
	ck_assert_int_eq(parse("3000-4001 rw-p 0 00:00 0\n"), -EBADMSG);
	ck_assert_int_eq(parse("3000-5000 rw-p 0 00:00 0\n4000-6000 rw-p 0 00:00 0\n"), -EBADMSG);
}
END_TEST

START_TEST(limits)
{
	const size_t each = 64, n = CORE_MAPS_MAX + 1;
	char *text = malloc(n * each + 1), *p = text;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < n; i++)
		p += snprintf(p, each, "%zx000-%zx000 rw-p 00000000 00:00 0\n", 2 * i, 2 * i + 1);
	ck_assert_int_eq(parse(text), -E2BIG);
	free(text);

	text = malloc(600 * 8000 + 100);
	ck_assert_ptr_nonnull(text);
	p = text;
	for (size_t i = 0; i < 600; i++) {
		p += snprintf(p, 200, "%zx000-%zx000 rw-p 00000000 fe:00 9 /", 2 * i, 2 * i + 1);
		memset(p, 'n', 7900);
		p += 7900;
		*p++ = '\n';
	}
	*p = 0;
	ck_assert_int_eq(parse(text), -E2BIG);
	free(text);
}
END_TEST

/* A line longer than the buffer is one line: its rest is no mapping. */
START_TEST(long_name)
{
	char *text = malloc(20000), *p = text;

	ck_assert_ptr_nonnull(text);
	p += snprintf(p, 200, "1000-2000 rw-p 00000000 fe:00 9 /");
	while (p < text + 18000)
		p += snprintf(p, 200, " 5000-6000 rw-p 0 00:00 0");
	memcpy(p, "\nVmFlags: rd\n", 14);
	ck_assert_int_eq(parse(text), 0);
	ck_assert_uint_eq(maps.n, 1);
	core_maps_fini(&maps);
	free(text);
}
END_TEST

START_TEST(own_process)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	uint64_t stack = (uint64_t)(uintptr_t)&f;
	bool found = false;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(core_maps_read(f, &maps), 0);
	(void)fclose(f);
	for (size_t i = 0; i < maps.n; i++) {
		const struct core_map *m = &maps.maps[i];

		if (stack >= m->start && stack < m->end)
			found = m->take == CORE_TAKE_ALL;
	}
	ck_assert(found);
	core_maps_fini(&maps);
}
END_TEST

UNIT_MAIN("crash/core_map", as_the_kernel_does, never, fields, cut_off, impossible, limits,
	  long_name, own_process)
