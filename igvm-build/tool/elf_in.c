/* SPDX-License-Identifier: MIT */
/* ELF reader of the image tool. Input: an untrusted file. Spec: System V ABI, ELF-64. */
#include "elf_in.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "ckd.h"

#define ADDR_LIMIT BIT(46)

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int check_ehdr(const Elf64_Ehdr *e, size_t len, const char **ret_why)
{
	if (memcmp(e->e_ident, ELFMAG, SELFMAG))
		return bad(ret_why, "is not an ELF file");
	if (e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_ident[EI_DATA] != ELFDATA2LSB ||
	    e->e_machine != EM_X86_64)
		return bad(ret_why, "is not an x86-64 ELF file");
	if (e->e_type != ET_EXEC && e->e_type != ET_DYN)
		return bad(ret_why, "is not an executable ELF file");
	if (e->e_phentsize != sizeof(Elf64_Phdr) ||
	    !range_ok(e->e_phoff, (uint64_t)e->e_phnum * sizeof(Elf64_Phdr), len))
		return bad(ret_why, "has its program headers outside the file");
	return 0;
}

static int add_seg(struct elf_img *img, const Elf64_Phdr *ph, const uint8_t *data, size_t len,
		   const char **ret_why)
{
	uint64_t start = align_down(ph->p_paddr, KEEL_PAGE_SIZE);

	if (!range_ok(ph->p_offset, ph->p_filesz, len) || ph->p_filesz > ph->p_memsz)
		return bad(ret_why, "has a segment outside the file");
	if (!range_ok(ph->p_paddr, ph->p_memsz, ADDR_LIMIT))
		return bad(ret_why, "has a segment at an impossible address");
	if (img->n_seg == ELF_SEGS_MAX)
		return bad(ret_why, "has too many segments");
	if (img->n_seg && start < img->hi)
		return bad(ret_why, "has segments that overlap or are not in ascending order");
	if (!img->n_seg)
		img->lo = start;
	img->hi = align_up(ph->p_paddr + ph->p_memsz, KEEL_PAGE_SIZE);
	img->seg[img->n_seg++] = (struct elf_seg){ .paddr = ph->p_paddr,
						   .mem_size = ph->p_memsz,
						   .file_size = ph->p_filesz,
						   .data = data + ph->p_offset };
	return 0;
}

int elf_parse(const void *data, size_t len, struct elf_img *ret, const char **ret_why)
{
	struct elf_img img = { 0 };
	Elf64_Ehdr e;
	int r;

	if (len < sizeof(e))
		return bad(ret_why, "is not an ELF file");
	memcpy(&e, data, sizeof(e));
	r = check_ehdr(&e, len, ret_why);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < e.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, (const uint8_t *)data + e.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		r = add_seg(&img, &ph, data, len, ret_why);
		if (r < 0)
			return r;
	}
	if (!img.n_seg)
		return bad(ret_why, "has nothing to load");
	if (e.e_entry < img.lo || e.e_entry >= img.hi)
		return bad(ret_why, "has its entry point outside its segments");
	img.entry = e.e_entry;
	*ret = img;
	return 0;
}
