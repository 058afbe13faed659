/* SPDX-License-Identifier: MIT */
/* The note goes in, whatever the pieces the core comes in; what is no core passes as it is. */
#include "core_rewrite.h"
#include "kmsg_note.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "le.h"
#include "unit.h"

#define IN_MAX 8192
#define NOTES_AT (CORE_EHDR_BYTES + 3 * CORE_PHDR_BYTES)
#define NOTES_LEN 36u
#define LOAD_AT 4096u

static uint8_t in[IN_MAX], out[IN_MAX + KMSG_NOTE_BYTES], note[KMSG_NOTE_BYTES];
static size_t in_len, out_len;
static size_t fail_at; /* the sink fails beyond this; 0 = never */

static int sink(void *ctx, const void *buf, size_t len)
{
	ck_assert_ptr_eq(ctx, out);
	ck_assert_uint_le(out_len + len, sizeof(out));
	if (fail_at && out_len + len > fail_at)
		return -ENOSPC;
	memcpy(out + out_len, buf, len);
	out_len += len;
	return 0;
}

/* One note segment, two segments of memory, the first of them empty. */
static void make_core(void)
{
	const Elf64_Ehdr eh = { .e_ident = ELFMAG "\2\1\1",
				.e_type = ET_CORE,
				.e_phoff = CORE_EHDR_BYTES,
				.e_phentsize = CORE_PHDR_BYTES,
				.e_phnum = 3 };
	const Elf64_Phdr ph[] = {
		{ .p_type = PT_NOTE, .p_offset = NOTES_AT, .p_filesz = NOTES_LEN },
		{ .p_type = PT_LOAD, .p_offset = LOAD_AT, .p_vaddr = 0x1000, .p_memsz = 0x1000 },
		{ .p_type = PT_LOAD,
		  .p_offset = LOAD_AT,
		  .p_vaddr = 0x2000,
		  .p_filesz = 4096,
		  .p_memsz = 4096 },
	};

	for (size_t i = 0; i < IN_MAX; i++)
		in[i] = (uint8_t)(i * 7);
	memcpy(in, &eh, sizeof(eh));
	memcpy(in + sizeof(eh), ph, sizeof(ph));
	in_len = IN_MAX;
	out_len = 0;
	fail_at = 0;
	memcpy(note + KMSG_NOTE_HEAD, "6,1,2,-;hello\n", 14);
	kmsg_note_make(note, 14);
}

static int run(size_t piece, const uint8_t *with_note, bool *ret_noted)
{
	struct core_rewrite cr;
	int r = 0, end;

	core_rewrite_init(&cr, with_note, sink, out);
	for (size_t at = 0; at < in_len && r == 0; at += piece)
		r = core_rewrite_push(&cr, in + at, MIN(piece, in_len - at));
	end = core_rewrite_end(&cr);
	*ret_noted = core_rewrite_noted(&cr);
	return r < 0 ? r : end;
}

START_TEST(note_goes_in)
{
	static const size_t pieces[] = { 1, 7, 56, 64, 120, 121, 4096, IN_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		const uint8_t *end = out + NOTES_AT + NOTES_LEN;
		Elf64_Phdr ph[3];
		bool noted;

		make_core();
		ck_assert_int_eq(run(pieces[i], note, &noted), 0);
		ck_assert(noted);
		ck_assert_uint_eq(out_len, in_len + KMSG_NOTE_BYTES);
		ck_assert_mem_eq(out, in, CORE_EHDR_BYTES);
		memcpy(ph, out + CORE_EHDR_BYTES, sizeof(ph));
		ck_assert_uint_eq(ph[0].p_offset, NOTES_AT);
		ck_assert_uint_eq(ph[0].p_filesz, NOTES_LEN + 0x40000);
		ck_assert_uint_eq(ph[1].p_offset, LOAD_AT + 0x40000);
		ck_assert_uint_eq(ph[2].p_offset, LOAD_AT + 0x40000);
		ck_assert_uint_eq(ph[2].p_filesz, 4096);
		ck_assert_mem_eq(out + NOTES_AT, in + NOTES_AT, NOTES_LEN);
		ck_assert_mem_eq(end, note, KMSG_NOTE_BYTES);
		ck_assert_mem_eq(end + KMSG_NOTE_BYTES, in + NOTES_AT + NOTES_LEN,
				 IN_MAX - NOTES_AT - NOTES_LEN);
	}
}
END_TEST

/* A section table behind the notes moves, too; an offset before them stays. */
START_TEST(other_offsets)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	bool noted;

	make_core();
	memcpy(&eh, in, sizeof(eh));
	eh.e_shoff = 6000;
	memcpy(in, &eh, sizeof(eh));
	memcpy(&ph, in + CORE_EHDR_BYTES + CORE_PHDR_BYTES, sizeof(ph));
	ph.p_offset = UINT64_MAX;
	memcpy(in + CORE_EHDR_BYTES + CORE_PHDR_BYTES, &ph, sizeof(ph));
	ck_assert_int_eq(run(100, note, &noted), 0);
	memcpy(&eh, out, sizeof(eh));
	ck_assert_uint_eq(eh.e_shoff, 6000 + 0x40000);
	memcpy(&ph, out + CORE_EHDR_BYTES + CORE_PHDR_BYTES, sizeof(ph));
	ck_assert_uint_eq(ph.p_offset, UINT64_MAX);
}
END_TEST

struct edit {
	size_t off, len;
	uint64_t val;
};

#define EH(member) offsetof(Elf64_Ehdr, member), sizeof(((Elf64_Ehdr *)0)->member)
#define PH(member) CORE_EHDR_BYTES + offsetof(Elf64_Phdr, member), sizeof(((Elf64_Phdr *)0)->member)

static const struct edit odd[] = {
	{ EH(e_ident[0]), 0x7e },
	{ EH(e_ident[EI_CLASS]), ELFCLASS32 },
	{ EH(e_ident[EI_DATA]), ELFDATA2MSB },
	{ EH(e_type), ET_EXEC },
	{ EH(e_phoff), 72 },
	{ EH(e_phoff), 0 },
	{ EH(e_phentsize), 32 },
	{ EH(e_phnum), 0 },
	{ EH(e_phnum), PN_XNUM },
	{ EH(e_phnum), 4 }, /* the notes would lie among the headers */
	{ PH(p_type), PT_LOAD },
	{ PH(p_offset), NOTES_AT - 1 },
	{ PH(p_offset), 0 },
	{ PH(p_filesz), NOTES_LEN + 1 }, /* the note would not be aligned */
	{ PH(p_filesz), UINT64_MAX - NOTES_AT + 1 },
	{ PH(p_filesz), UINT64_MAX },
	{ PH(p_filesz), (UINT64_MAX & ~3ull) - NOTES_AT },
};

START_TEST(odd_cores_pass_unchanged)
{
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		bool noted;

		make_core();
		memcpy(in + odd[i].off, &odd[i].val, odd[i].len);
		ck_assert_int_eq(run(50, note, &noted), 0);
		ck_assert(!noted);
		ck_assert_uint_eq(out_len, in_len);
		ck_assert_mem_eq(out, in, in_len);
	}
}
END_TEST

/* Ends anywhere: every byte that came is passed on, and the end is told. */
START_TEST(truncated)
{
	static const size_t lens[] = {
		0, 1, 63, 119, 120, 150, NOTES_AT - 1, NOTES_AT, NOTES_AT + NOTES_LEN - 1
	};

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		bool noted;

		make_core();
		in_len = lens[i];
		ck_assert_int_eq(run(40, note, &noted), -EBADMSG);
		ck_assert(!noted);
		ck_assert_uint_eq(out_len, in_len);
	}
}
END_TEST

START_TEST(without_note)
{
	bool noted;

	make_core();
	ck_assert_int_eq(run(1000, NULL, &noted), 0);
	ck_assert(!noted);
	ck_assert_uint_eq(out_len, in_len);
	ck_assert_mem_eq(out, in, in_len);
}
END_TEST

START_TEST(sink_fails)
{
	for (size_t at = 1; at < 5000; at += 61) {
		bool noted;

		make_core();
		fail_at = at;
		ck_assert_int_eq(run(61, note, &noted), -ENOSPC);
		ck_assert_uint_le(out_len, at);
	}
}
END_TEST

/* ---- the note -------------------------------------------------------------------------------- */

/* A socket pair that keeps records apart stands in for /dev/kmsg. */
static void fill(int fd, unsigned n, size_t len)
{
	char text[2048];

	for (unsigned i = 0; i < n; i++) {
		memset(text, 'x', len);
		snprintf(text, sizeof(text), "6,%u,1000,-;", i);
		text[strlen(text)] = 'x';
		text[len - 1] = '\n';
		ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	}
}

static size_t note_of(unsigned n, size_t len)
{
	char name[] = "/tmp/kmsg-XXXXXX";
	int fd = mkstemp(name);
	int r;

	ck_assert_int_ge(fd, 0);
	(void)unlink(name);
	fill(fd, n, len);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	memset(note, 0xaa, sizeof(note));
	r = kmsg_note_read(fd, note);
	ck_assert_int_eq(r, 0);
	(void)close(fd);
	ck_assert_uint_eq(le32_load(note), 5);
	ck_assert_uint_eq(le32_load(note + 4), 0x40000 - 20);
	ck_assert_uint_eq(le32_load(note + 8), 0xffffffff);
	ck_assert_mem_eq(note + 12, "KMSG\0\0\0\0", 8);
	return le32_load(note + 0x40000 - 4);
}

START_TEST(note_holds_the_log)
{
	ck_assert_uint_eq(note_of(0, 0), 0);
	ck_assert_uint_eq(note_of(10, 64), 640);
	ck_assert_mem_eq(note + 20, "6,0,1000,-;", 11);
	for (size_t i = 20 + 640; i < 0x40000 - 4; i++)
		ck_assert_uint_eq(note[i], 0);
	/* Exactly full, then more than fits: whole old records make room. */
	ck_assert_uint_eq(note_of(4095, 64), 4095 * 64);
	ck_assert_mem_eq(note + 20, "6,0,1000,-;", 11);
	ck_assert_uint_le(note_of(9000, 64), 0x40000 - 24);
	ck_assert_uint_gt(le32_load(note + 0x40000 - 4), 0x40000 - 24 - 8192);
	ck_assert_mem_eq(note + 20, "6,", 2);
	ck_assert_mem_ne(note + 20, "6,0,", 4);
	ck_assert_ptr_nonnull(memmem(note, KMSG_NOTE_BYTES, "6,8999,1000,-;", 14));
	ck_assert_uint_eq(note[20 + le32_load(note + 0x40000 - 4) - 1], '\n');
}
END_TEST

START_TEST(no_log)
{
	memset(note, 0xaa, sizeof(note));
	ck_assert_int_eq(kmsg_note_read(-1, note), -EBADF);
	ck_assert_uint_eq(le32_load(note + 0x40000 - 4), 0);
	ck_assert_uint_eq(note[20], 0);
}
END_TEST

UNIT_MAIN("crash/core_rewrite", note_goes_in, other_offsets, odd_cores_pass_unchanged, truncated,
	  without_note, sink_fails, note_holds_the_log, no_log)
