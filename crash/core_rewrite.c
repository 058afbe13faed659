/* SPDX-License-Identifier: MIT */
/* See core_rewrite.h. */
#include "core_rewrite.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "ckd.h"

BUILD_ASSERT(sizeof(Elf64_Ehdr) == CORE_EHDR_BYTES, "ELF header");
BUILD_ASSERT(sizeof(Elf64_Phdr) == CORE_PHDR_BYTES, "ELF program header");

void core_rewrite_init(struct core_rewrite *cr, const uint8_t *note, core_sink_fn sink, void *ctx)
{
	*cr = (struct core_rewrite){ .sink = sink, .ctx = ctx, .note = note };
	cr->state = note ? CORE_HEAD : CORE_PLAIN;
	cr->held_want = sizeof(cr->held);
}

static int pass(struct core_rewrite *cr, const void *buf, size_t len)
{
	int r = len ? cr->sink(cr->ctx, buf, len) : 0;

	if (r < 0)
		cr->err = r;
	cr->pos += len;
	return r;
}

/* Can the note go in? Only the simple layout that kernels and debuggers write. */
static bool check_head(const Elf64_Ehdr *raw_eh, const Elf64_Phdr *raw_ph, uint64_t *ret_end)
{
	uint64_t end, far;

	if (memcmp(raw_eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    raw_eh->e_ident[EI_CLASS] != ELFCLASS64 || raw_eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    raw_eh->e_type != ET_CORE || raw_eh->e_phoff != CORE_EHDR_BYTES ||
	    raw_eh->e_phentsize != CORE_PHDR_BYTES || !raw_eh->e_phnum ||
	    raw_eh->e_phnum == PN_XNUM || raw_ph->p_type != PT_NOTE)
		return false;
	if (ckd_add(&end, raw_ph->p_offset, raw_ph->p_filesz) ||
	    ckd_add(&far, end, (uint64_t)KMSG_NOTE_BYTES) || !is_aligned(end, 4))
		return false;
	*ret_end = end;
	return raw_ph->p_offset >= CORE_EHDR_BYTES + (uint64_t)raw_eh->e_phnum * CORE_PHDR_BYTES;
}

/* An offset behind the note moves. One that then leaves 64 bits was never inside a file. */
static uint64_t moved(const struct core_rewrite *cr, uint64_t off)
{
	return off >= cr->notes_end && off <= UINT64_MAX - KMSG_NOTE_BYTES ? off + KMSG_NOTE_BYTES
									   : off;
}

static int pass_held(struct core_rewrite *cr)
{
	size_t len = cr->held_len;

	cr->held_len = 0;
	return pass(cr, cr->held, len);
}

static int at_notes(struct core_rewrite *cr)
{
	cr->state = CORE_NOTES;
	if (cr->pos < cr->notes_end)
		return 0;
	cr->state = CORE_REST;
	cr->err = cr->sink(cr->ctx, cr->note, KMSG_NOTE_BYTES);
	return cr->err;
}

static int next_phdr(struct core_rewrite *cr)
{
	if (!cr->phdrs_left)
		return at_notes(cr);
	cr->state = CORE_PHDRS;
	cr->phdrs_left--;
	cr->held_want = CORE_PHDR_BYTES;
	return 0;
}

static int head_done(struct core_rewrite *cr)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	int r;

	memcpy(&eh, cr->held, sizeof(eh));
	memcpy(&ph, cr->held + sizeof(eh), sizeof(ph));
	if (!check_head(&eh, &ph, &cr->notes_end)) {
		cr->state = CORE_PLAIN;
		return pass_held(cr);
	}
	cr->phdrs_left = eh.e_phnum - 1u;
	if (eh.e_shoff)
		eh.e_shoff = moved(cr, eh.e_shoff);
	ph.p_filesz += KMSG_NOTE_BYTES;
	memcpy(cr->held, &eh, sizeof(eh));
	memcpy(cr->held + sizeof(eh), &ph, sizeof(ph));
	r = pass_held(cr);
	return r < 0 ? r : next_phdr(cr);
}

static int phdr_done(struct core_rewrite *cr)
{
	Elf64_Phdr ph;
	int r;

	memcpy(&ph, cr->held, sizeof(ph));
	ph.p_offset = moved(cr, ph.p_offset);
	memcpy(cr->held, &ph, sizeof(ph));
	r = pass_held(cr);
	return r < 0 ? r : next_phdr(cr);
}

/* Takes what the present state wants of the bytes. Returns: how many, or -errno. */
static ssize_t take(struct core_rewrite *cr, const uint8_t *buf, size_t len)
{
	size_t n;
	int r = 0;

	switch (cr->state) {
	case CORE_HEAD:
	case CORE_PHDRS:
		n = MIN(len, cr->held_want - cr->held_len);
		memcpy(cr->held + cr->held_len, buf, n);
		cr->held_len += n;
		if (cr->held_len == cr->held_want)
			r = cr->state == CORE_HEAD ? head_done(cr) : phdr_done(cr);
		return r < 0 ? r : (ssize_t)n;
	case CORE_NOTES:
		n = (size_t)MIN((uint64_t)len, cr->notes_end - cr->pos);
		r = pass(cr, buf, n);
		if (r == 0)
			r = at_notes(cr);
		return r < 0 ? r : (ssize_t)n;
	case CORE_REST:
	case CORE_PLAIN:
		r = pass(cr, buf, len);
		return r < 0 ? r : (ssize_t)len;
	}
	return -EINVAL;
}

int core_rewrite_push(struct core_rewrite *cr, const uint8_t *buf, size_t len)
{
	while (len && !cr->err) {
		ssize_t n = take(cr, buf, len);

		if (n < 0)
			return (int)n;
		buf += n;
		len -= (size_t)n;
	}
	return cr->err;
}

int core_rewrite_end(struct core_rewrite *cr)
{
	int r;

	if (cr->err)
		return cr->err;
	if (cr->state == CORE_REST || cr->state == CORE_PLAIN)
		return 0;
	r = pass_held(cr);
	return r < 0 ? r : -EBADMSG;
}

bool core_rewrite_noted(const struct core_rewrite *cr)
{
	return cr->state == CORE_REST;
}
