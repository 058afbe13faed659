/* SPDX-License-Identifier: MIT */
/* See core_write.h. */
#include "core_write.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ckd.h"
#include "cleanup.h"
#include "core_map.h"
#include "core_threads.h"

#define COPY_BYTES 65536u
#define AUXV_MAX 4096u
#define NOTES_MAX (64u << 20)

struct dump {
	const struct core_write_cfg *cfg;
	struct core_threads threads;
	struct core_maps maps;
	uint8_t *notes;
	size_t notes_len, notes_cap;
	uint8_t *buf; /* COPY_BYTES */
	uint64_t pos;
	int mem_fd;
};

/* ---- /proc ----------------------------------------------------------------------------------- */

static int proc_open(const struct dump *d, const char *name)
{
	char path[48];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", d->cfg->pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Up to @cap bytes of a file. Returns: how many, 0 also when it cannot be read. */
static size_t proc_read(const struct dump *d, const char *name, void *ret_buf, size_t cap)
{
	auto_close int fd = proc_open(d, name);
	size_t len = 0;

	while (fd >= 0 && len < cap) {
		ssize_t n = read(fd, (char *)ret_buf + len, cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return len;
}

static int read_maps(struct dump *d)
{
	int fd = proc_open(d, "smaps"), r;
	FILE *f;

	if (fd < 0)
		return fd;
	f = fdopen(fd, "r");
	if (!f) {
		(void)close(fd);
		return -ENOMEM;
	}
	r = core_maps_read(f, &d->maps);
	(void)fclose(f);
	return r;
}

/* Program headers only of what is a program: the first page must begin like one. */
static void check_elf_headers(struct dump *d)
{
	for (size_t i = 0; i < d->maps.n; i++) {
		struct core_map *m = &d->maps.maps[i];
		char magic[SELFMAG];

		if (m->take == CORE_TAKE_ELF_HEADER &&
		    (pread(d->mem_fd, magic, SELFMAG, (off_t)m->start) != SELFMAG ||
		     memcmp(magic, ELFMAG, SELFMAG) != 0))
			m->take = CORE_TAKE_NONE;
	}
}

/* ---- notes ----------------------------------------------------------------------------------- */

static int room(struct dump *d, size_t len)
{
	size_t cap = MAX(d->notes_cap * 2, d->notes_len + len + 65536);
	uint8_t *p;

	if (len > NOTES_MAX || d->notes_len + len > NOTES_MAX)
		return -E2BIG;
	if (d->notes_len + len <= d->notes_cap)
		return 0;
	p = realloc(d->notes, cap);
	if (!p)
		return -ENOMEM;
	d->notes = p;
	d->notes_cap = cap;
	return 0;
}

/* Append a note; the caller fills *ret_desc (@len bytes, zero). */
static int note_begin(struct dump *d, const char *name, uint32_t type, size_t len,
		      uint8_t **ret_desc)
{
	const size_t namesz = strlen(name) + 1, name_room = align_up(namesz, 4);
	const size_t total = sizeof(Elf64_Nhdr) + name_room + align_up(len, 4);
	Elf64_Nhdr h = { (Elf64_Word)namesz, (Elf64_Word)len, type };
	uint8_t *p;
	int r = room(d, total);

	if (r < 0)
		return r;
	p = d->notes + d->notes_len;
	memset(p, 0, total);
	memcpy(p, &h, sizeof(h));
	memcpy(p + sizeof(h), name, namesz);
	d->notes_len += total;
	*ret_desc = p + sizeof(h) + name_room;
	return 0;
}

static int note(struct dump *d, const char *name, uint32_t type, const void *desc, size_t len)
{
	uint8_t *p;
	int r = note_begin(d, name, type, len, &p);

	if (r == 0)
		memcpy(p, desc, len);
	return r;
}

/* The numbers of /proc/PID/stat that a core carries. */
static void fill_ids(const struct dump *d, pid_t *ret_ppid, pid_t *ret_pgrp, pid_t *ret_sid,
		     char *ret_state)
{
	char text[512];
	size_t n = proc_read(d, "stat", text, sizeof(text) - 1);
	const char *p;

	text[n] = 0;
	p = strrchr(text, ')'); /* the name before it may hold anything */
	*ret_ppid = *ret_pgrp = *ret_sid = 0;
	*ret_state = 'R';
	if (p && sscanf(p, ") %c %d %d %d", ret_state, ret_ppid, ret_pgrp, ret_sid) != 4)
		*ret_state = 'R';
}

static int note_prpsinfo(struct dump *d)
{
	struct elf_prpsinfo info = { .pr_pid = d->cfg->pid };
	size_t n;

	fill_ids(d, &info.pr_ppid, &info.pr_pgrp, &info.pr_sid, &info.pr_sname);
	n = proc_read(d, "comm", info.pr_fname, sizeof(info.pr_fname) - 1);
	info.pr_fname[n] = 0;
	info.pr_fname[strcspn(info.pr_fname, "\n")] = 0;
	n = proc_read(d, "cmdline", info.pr_psargs, sizeof(info.pr_psargs) - 1);
	for (size_t i = 0; i + 1 < n; i++) {
		if (!info.pr_psargs[i])
			info.pr_psargs[i] = ' ';
	}
	return note(d, "CORE", NT_PRPSINFO, &info, sizeof(info));
}

static int note_auxv(struct dump *d)
{
	uint8_t auxv[AUXV_MAX];
	size_t n = proc_read(d, "auxv", auxv, sizeof(auxv));

	return n ? note(d, "CORE", NT_AUXV, auxv, n) : 0;
}

/* count, page size, {start, end, offset in pages} per mapping of a file, then their names. */
static int note_file(struct dump *d)
{
	uint64_t count = 0, head[2];
	size_t names = 0, at = sizeof(head);
	uint8_t *p;
	int r;

	for (size_t i = 0; i < d->maps.n; i++) {
		if (d->maps.maps[i].is_file) {
			count++;
			names += strlen(d->maps.names + d->maps.maps[i].name) + 1;
		}
	}
	if (!count)
		return 0;
	r = note_begin(d, "CORE", NT_FILE, sizeof(head) + count * 24 + names, &p);
	if (r < 0)
		return r;
	head[0] = count;
	head[1] = KEEL_PAGE_SIZE;
	memcpy(p, head, sizeof(head));
	names = at + count * 24;
	for (size_t i = 0; i < d->maps.n; i++) {
		const struct core_map *m = &d->maps.maps[i];
		const uint64_t row[3] = { m->start, m->end, m->file_off / KEEL_PAGE_SIZE };
		const char *name = d->maps.names + m->name;

		if (!m->is_file)
			continue;
		memcpy(p + at, row, sizeof(row));
		at += sizeof(row);
		memcpy(p + names, name, strlen(name) + 1);
		names += strlen(name) + 1;
	}
	return 0;
}

static int note_regset(struct dump *d, pid_t tid, const char *name, int set, uint32_t type)
{
	struct iovec iov = { d->buf, COPY_BYTES };

	/* A processor without this set has nothing to say. */
	if (ptrace(PTRACE_GETREGSET, tid, (void *)(intptr_t)set, &iov) < 0)
		return 0;
	return note(d, name, type, d->buf, iov.iov_len);
}

static int note_prstatus(struct dump *d, pid_t tid)
{
	struct elf_prstatus st = { .pr_pid = tid };
	struct iovec iov = { &st.pr_reg, sizeof(st.pr_reg) };
	char state;

	fill_ids(d, &st.pr_ppid, &st.pr_pgrp, &st.pr_sid, &state);
	if (ptrace(PTRACE_GETREGSET, tid, (void *)(intptr_t)NT_PRSTATUS, &iov) < 0)
		return -errno;
	return note(d, "CORE", NT_PRSTATUS, &st, sizeof(st));
}

static int note_thread_rest(struct dump *d, pid_t tid)
{
	int r = note_regset(d, tid, "CORE", NT_PRFPREG, NT_PRFPREG);

#ifdef __x86_64__
	if (r == 0)
		r = note_regset(d, tid, "LINUX", NT_X86_XSTATE, NT_X86_XSTATE);
#endif
	return r;
}

static int note_siginfo(struct dump *d, pid_t tid)
{
	siginfo_t info;

	if (ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) < 0)
		return 0;
	return note(d, "CORE", NT_SIGINFO, &info, sizeof(info));
}

static int make_notes(struct dump *d)
{
	int r = 0;

	for (size_t i = 0; i < d->threads.n && r == 0; i++) {
		const pid_t tid = d->threads.t[i].tid;

		r = note_prstatus(d, tid);
		if (r == 0 && i == 0)
			r = note_prpsinfo(d);
		if (r == 0 && i == 0)
			r = note_siginfo(d, tid);
		if (r == 0 && i == 0)
			r = note_auxv(d);
		if (r == 0 && i == 0)
			r = note_file(d);
		if (r == 0)
			r = note_thread_rest(d, tid);
	}
	return r;
}

/* ---- output ---------------------------------------------------------------------------------- */

static int put(struct dump *d, const void *buf, size_t len)
{
	int r = len ? d->cfg->sink(d->cfg->ctx, buf, len) : 0;

	d->pos += len;
	return r;
}

static int put_headers(struct dump *d)
{
	const size_t phnum = 1 + d->maps.n;
	const uint64_t notes_at = CORE_EHDR_BYTES + phnum * CORE_PHDR_BYTES;
	const uint64_t notes_len = d->notes_len + (d->cfg->kmsg_note ? KMSG_NOTE_BYTES : 0);
	const Elf64_Ehdr eh = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					     ELFDATA2LSB, EV_CURRENT },
				.e_type = ET_CORE,
#ifdef __x86_64__
				.e_machine = EM_X86_64,
#else
				.e_machine = EM_AARCH64,
#endif
				.e_version = EV_CURRENT,
				.e_phoff = CORE_EHDR_BYTES,
				.e_ehsize = CORE_EHDR_BYTES,
				.e_phentsize = CORE_PHDR_BYTES,
				.e_phnum = (Elf64_Half)phnum };
	Elf64_Phdr ph = {
		.p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = notes_len, .p_align = 4
	};
	uint64_t off = align_up(notes_at + notes_len, KEEL_PAGE_SIZE);
	int r = put(d, &eh, sizeof(eh));

	if (r == 0)
		r = put(d, &ph, sizeof(ph));
	for (size_t i = 0; i < d->maps.n && r == 0; i++) {
		const struct core_map *m = &d->maps.maps[i];

		ph = (Elf64_Phdr){ .p_type = PT_LOAD,
				   .p_flags = m->prot,
				   .p_offset = off,
				   .p_vaddr = m->start,
				   .p_filesz = core_map_bytes(m),
				   .p_memsz = m->end - m->start,
				   .p_align = KEEL_PAGE_SIZE };
		off += ph.p_filesz;
		r = put(d, &ph, sizeof(ph));
	}
	return r;
}

/* One piece of memory; pages that cannot be read are zero. */
static void read_mem(const struct dump *d, uint64_t at, size_t len)
{
	ssize_t n = pread(d->mem_fd, d->buf, len, (off_t)at);

	if (n == (ssize_t)len)
		return;
	for (size_t off = 0; off < len; off += KEEL_PAGE_SIZE) {
		if (pread(d->mem_fd, d->buf + off, KEEL_PAGE_SIZE, (off_t)(at + off)) !=
		    KEEL_PAGE_SIZE)
			memset(d->buf + off, 0, KEEL_PAGE_SIZE);
	}
}

static int put_memory(struct dump *d)
{
	int r = 0;

	for (size_t i = 0; i < d->maps.n; i++) {
		const struct core_map *m = &d->maps.maps[i];
		uint64_t at = m->start;

		for (uint64_t left = core_map_bytes(m); left && r == 0;) {
			size_t n = (size_t)MIN(left, (uint64_t)COPY_BYTES);

			read_mem(d, at, n);
			r = put(d, d->buf, n);
			at += n;
			left -= n;
		}
	}
	return r;
}

static int put_all(struct dump *d)
{
	static const uint8_t zero[KEEL_PAGE_SIZE];
	int r = put_headers(d);

	if (r == 0)
		r = put(d, d->notes, d->notes_len);
	if (r == 0 && d->cfg->kmsg_note)
		r = put(d, d->cfg->kmsg_note, KMSG_NOTE_BYTES);
	if (r == 0)
		r = put(d, zero, (size_t)(align_up(d->pos, KEEL_PAGE_SIZE) - d->pos));
	return r == 0 ? put_memory(d) : r;
}

static int dump_held(struct dump *d)
{
	int r = read_maps(d);

	if (r < 0)
		return r;
	d->mem_fd = proc_open(d, "mem");
	if (d->mem_fd < 0)
		return d->mem_fd;
	check_elf_headers(d);
	r = make_notes(d);
	return r < 0 ? r : put_all(d);
}

int core_write(const struct core_write_cfg *cfg, struct core_write_stats *ret_stats)
{
	struct dump d = { .cfg = cfg, .mem_fd = -1 };
	int r;

	if (cfg->pid <= 0 || cfg->pid == getpid())
		return -EINVAL;
	d.buf = malloc(COPY_BYTES);
	if (!d.buf)
		return -ENOMEM;
	r = core_threads_hold(cfg->pid, cfg->stop_timeout_ms, &d.threads);
	if (r == 0)
		r = dump_held(&d);
	if (r == 0)
		*ret_stats = (struct core_write_stats){ d.threads.n, d.maps.n, d.pos };
	core_threads_release(&d.threads);
	core_maps_fini(&d.maps);
	if (d.mem_fd >= 0)
		(void)close(d.mem_fd);
	free(d.notes);
	free(d.buf);
	return r;
}
