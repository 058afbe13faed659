/* SPDX-License-Identifier: MIT */
#include "core_check.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckd.h"
#include "cleanup.h"
#include "crash_proto.h"
#include "le.h"

#define NOTES_MAX (64u << 20)

struct core {
	int fd;
	uint64_t size;
	unsigned threads, loads, fpregs;
	int pid, signal;
	bool has_info, has_auxv, has_file, has_kmsg;
	uint32_t kmsg_len;
	char name[17];
	const char *wrong; /* the first thing that is */
};

static int wrong(struct core *c, const char *what)
{
	if (!c->wrong)
		c->wrong = what;
	return -EBADMSG;
}

static int read_at(struct core *c, uint64_t off, void *ret_buf, size_t len)
{
	size_t done = 0;

	if (!range_ok(off, len, c->size))
		return wrong(c, "shorter than its headers say");
	while (done < len) {
		ssize_t n = pread(c->fd, (char *)ret_buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : wrong(c, "shorter than its headers say");
		done += (size_t)n;
	}
	return 0;
}

static void copy_name(struct core *c, const char *raw, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && raw[i] && n < sizeof(c->name) - 1; i++)
		c->name[n++] = raw[i] > ' ' && raw[i] < 0x7f ? raw[i] : '?';
	c->name[n] = 0;
}

static int note_core(struct core *c, uint32_t type, const uint8_t *desc, size_t len)
{
	struct elf_prstatus st;
	struct elf_prpsinfo info;

	switch (type) {
	case NT_PRSTATUS:
		if (len != sizeof(st))
			return wrong(c, "a register note of the wrong size");
		memcpy(&st, desc, sizeof(st));
		if (!c->threads++)
			c->signal = st.pr_cursig;
		return 0;
	case NT_PRPSINFO:
		if (len != sizeof(info))
			return wrong(c, "a process note of the wrong size");
		memcpy(&info, desc, sizeof(info));
		c->has_info = true;
		c->pid = info.pr_pid;
		copy_name(c, info.pr_fname, sizeof(info.pr_fname));
		return 0;
	case NT_AUXV:
		c->has_auxv = true;
		return len % 16 ? wrong(c, "an auxiliary vector of an odd size") : 0;
	case NT_FILE:
		c->has_file = true;
		return 0;
	case NT_PRFPREG:
		c->fpregs++;
		return 0;
	default:
		return 0;
	}
}

static int note_kmsg(struct core *c, const uint8_t *desc, size_t len)
{
	if (c->has_kmsg)
		return wrong(c, "two kernel logs");
	if (len != KMSG_NOTE_BYTES - KMSG_NOTE_HEAD)
		return wrong(c, "a kernel log note of the wrong size");
	c->has_kmsg = true;
	c->kmsg_len = le32_load(desc + len - 4);
	return c->kmsg_len > KMSG_NOTE_TEXT_MAX ? wrong(c, "a kernel log longer than its note") : 0;
}

static int walk_notes(struct core *c, const uint8_t *buf, size_t len)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && len - at >= sizeof(Elf64_Nhdr)) {
		uint64_t name_room, desc_room;
		const uint8_t *name;
		Elf64_Nhdr h;

		memcpy(&h, buf + at, sizeof(h));
		at += sizeof(h);
		name_room = align_up(h.n_namesz, 4);
		desc_room = align_up(h.n_descsz, 4);
		if (name_room > len - at || desc_room > len - at - name_room)
			return wrong(c, "a note that reaches beyond the notes");
		name = buf + at;
		if (h.n_namesz == 5 && memcmp(name, "CORE", 5) == 0)
			r = note_core(c, h.n_type, name + name_room, h.n_descsz);
		else if (h.n_namesz == 5 && memcmp(name, "KMSG", 5) == 0 &&
			 h.n_type == KMSG_NOTE_TYPE)
			r = note_kmsg(c, name + name_room, h.n_descsz);
		at += (size_t)(name_room + desc_room);
	}
	return r == 0 && at != len ? wrong(c, "half a note") : r;
}

static int check_notes(struct core *c, const Elf64_Phdr *ph)
{
	auto_free uint8_t *buf = NULL;
	int r;

	if (ph->p_filesz > NOTES_MAX)
		return wrong(c, "more notes than any process has");
	buf = malloc((size_t)ph->p_filesz + 1);
	if (!buf)
		return -ENOMEM;
	r = read_at(c, ph->p_offset, buf, (size_t)ph->p_filesz);
	return r < 0 ? r : walk_notes(c, buf, (size_t)ph->p_filesz);
}

static int check_segment(struct core *c, unsigned i, const Elf64_Phdr *ph)
{
	if (i == 0)
		return ph->p_type == PT_NOTE ? check_notes(c, ph)
					     : wrong(c, "does not begin with its notes");
	if (ph->p_type != PT_LOAD)
		return wrong(c, "a segment that is no memory");
	c->loads++;
	if (ph->p_filesz > ph->p_memsz)
		return wrong(c, "a segment with more bytes than memory");
	return range_ok(ph->p_offset, ph->p_filesz, c->size)
		       ? 0
		       : wrong(c, "shorter than its headers say");
}

static int check(struct core *c)
{
	Elf64_Ehdr eh;
	int r = read_at(c, 0, &eh, sizeof(eh));

	if (r < 0)
		return r;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_type != ET_CORE ||
	    eh.e_phentsize != sizeof(Elf64_Phdr) || !eh.e_phnum || eh.e_phnum == PN_XNUM)
		return wrong(c, "not an ELF core");
	for (unsigned i = 0; i < eh.e_phnum && r == 0; i++) {
		uint64_t off;
		Elf64_Phdr ph;

		if (ckd_add(&off, eh.e_phoff, (uint64_t)i * sizeof(ph)))
			return wrong(c, "shorter than its headers say");
		r = read_at(c, off, &ph, sizeof(ph));
		if (r == 0)
			r = check_segment(c, i, &ph);
	}
	if (r == 0 && (!c->threads || !c->has_info || !c->has_auxv || !c->has_file))
		r = wrong(c, "a note is missing");
	return r;
}

int core_check(int fd, char *ret_text, size_t cap)
{
	struct core c = { .fd = fd };
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	c.size = (uint64_t)st.st_size;
	r = check(&c);
	if (c.wrong)
		(void)snprintf(ret_text, cap, "%s", c.wrong);
	else if (r < 0)
		(void)snprintf(ret_text, cap, "%s", strerror(-r));
	else if (c.has_kmsg)
		(void)snprintf(ret_text, cap,
			       "process %d (%s), signal %d, %u threads, %u mappings, %u bytes of "
			       "kernel log",
			       c.pid, c.name, c.signal, c.threads, c.loads, c.kmsg_len);
	else
		(void)snprintf(ret_text, cap,
			       "process %d (%s), signal %d, %u threads, %u mappings, no kernel log",
			       c.pid, c.name, c.signal, c.threads, c.loads);
	return r;
}
