/* SPDX-License-Identifier: MIT */
/* See core_map.h. */
#include "core_map.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"

#define LINE_BYTES \
	8192u /* a path of PATH_MAX, every byte of it escaped, is cut: it is only a name */

static int add_name(struct core_maps *m, const char *name, uint32_t *ret_off)
{
	size_t len = strlen(name) + 1;

	if (m->names_len + len > CORE_MAP_NAMES_MAX)
		return -E2BIG;
	if (m->names_len + len > m->names_cap) {
		size_t cap = MAX(m->names_cap * 2, m->names_len + len + 4096);
		char *p = realloc(m->names, cap);

		if (!p)
			return -ENOMEM;
		m->names = p;
		m->names_cap = cap;
	}
	memcpy(m->names + m->names_len, name, len);
	*ret_off = (uint32_t)m->names_len;
	m->names_len += len;
	return 0;
}

static int add_map(struct core_maps *m, const struct core_map *map)
{
	if (m->n >= CORE_MAPS_MAX)
		return -E2BIG;
	if (map->start >= map->end || (m->n && map->start < m->maps[m->n - 1].end) ||
	    !is_aligned(map->start | map->end, KEEL_PAGE_SIZE))
		return -EBADMSG;
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;
		struct core_map *p = reallocarray(m->maps, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		m->maps = p;
		m->cap = cap;
	}
	m->maps[m->n++] = *map;
	return 0;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

/* Memory with no file system behind it that anybody could read instead. */
static bool is_shared_memory(const char *path)
{
	return has_prefix(path, "/memfd:") || has_prefix(path, "/dev/zero (deleted)") ||
	       has_prefix(path, "/SYSV") || has_suffix(path, " (deleted)");
}

static bool is_device_path(const char *path)
{
	return has_prefix(path, "/dev/") && !has_prefix(path, "/dev/zero") &&
	       !has_prefix(path, "/dev/shm/") && !has_prefix(path, "/dev/hugepages/");
}

/* "start-end perms offset major:minor inode   path". False: some other line. */
static bool parse_header(char *line, struct core_map *ret_map, const char **ret_path)
{
	struct core_map map = { 0 };
	uint64_t inode;
	char perms[5];
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %" SCNu64 "%n",
		   &map.start, &map.end, perms, &map.file_off, &inode, &at) != 5 ||
	    !at || strlen(perms) != 4)
		return false;
	map.prot = (uint8_t)((perms[0] == 'r' ? PF_R : 0) | (perms[1] == 'w' ? PF_W : 0) |
			     (perms[2] == 'x' ? PF_X : 0));
	map.is_private = perms[3] == 'p';
	line += at;
	line += strspn(line, " ");
	line[strcspn(line, "\n")] = 0;
	map.is_file = inode != 0;
	map.is_device = map.is_file ? is_device_path(line)
				    : has_prefix(line, "[vvar") || strcmp(line, "[vsyscall]") == 0;
	map.is_vdso = !map.is_file && strcmp(line, "[vdso]") == 0;
	*ret_map = map;
	*ret_path = line;
	return true;
}

/* Called at the VmFlags line, the last one of a mapping. @anon_kib: pages of its own. */
static enum core_take decide(const struct core_map *map, const char *path, uint64_t anon_kib,
			     const char *flags)
{
	/* dd: asked to be left out; io, pf: device memory, bare frames. */
	static const char *const never[] = { " dd", " io", " pf" };

	if (map->is_device)
		return CORE_TAKE_NONE;
	if (map->is_vdso)
		return CORE_TAKE_ALL;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		if (strstr(flags, never[i]))
			return CORE_TAKE_NONE;
	}
	if (!map->is_private)
		return !map->is_file || is_shared_memory(path) ? CORE_TAKE_ALL : CORE_TAKE_NONE;
	if (anon_kib || strstr(flags, " ht"))
		return CORE_TAKE_ALL;
	return map->is_file && map->file_off == 0 && map->prot & PF_R ? CORE_TAKE_ELF_HEADER
								      : CORE_TAKE_NONE;
}

static int begin_map(struct core_maps *m, struct core_map *map, const char *path)
{
	int r = map->is_file ? add_name(m, path, &map->name) : 0;

	return r < 0 ? r : add_map(m, map);
}

static int one_line(struct core_maps *m, char *line, uint64_t *io_anon_kib)
{
	struct core_map map, *last = m->n ? &m->maps[m->n - 1] : NULL;
	const char *path;
	uint64_t val;

	if (parse_header(line, &map, &path)) {
		*io_anon_kib = 0;
		return begin_map(m, &map, path);
	}
	if (sscanf(line, "Anonymous: %" SCNu64, &val) == 1 ||
	    sscanf(line, "Swap: %" SCNu64, &val) == 1)
		*io_anon_kib |= val;
	else if (last && has_prefix(line, "VmFlags:"))
		last->take = (uint8_t)decide(last, m->names + last->name, *io_anon_kib, line);
	return 0;
}

static int read_lines(FILE *f, char *line, struct core_maps *m)
{
	uint64_t anon_kib = 0;
	bool line_start = true;

	while (fgets(line, LINE_BYTES, f)) {
		const bool first = line_start;
		int r;

		line_start = strchr(line, '\n') != NULL;
		if (!first)
			continue; /* the rest of a name that is too long */
		r = one_line(m, line, &anon_kib);
		if (r < 0)
			return r;
	}
	return ferror(f) ? -EIO : 0;
}

int core_maps_read(FILE *smaps, struct core_maps *ret_maps)
{
	struct core_maps m = { 0 };
	char *line = malloc(LINE_BYTES);
	uint32_t none;
	int r = line ? add_name(&m, "", &none) : -ENOMEM;

	if (r == 0)
		r = read_lines(smaps, line, &m);
	free(line);
	if (r < 0) {
		core_maps_fini(&m);
		return r;
	}
	*ret_maps = m;
	return 0;
}

void core_maps_fini(struct core_maps *maps)
{
	free(maps->maps);
	free(maps->names);
	*maps = (struct core_maps){ 0 };
}

uint64_t core_map_bytes(const struct core_map *map)
{
	switch ((enum core_take)map->take) {
	case CORE_TAKE_NONE:
		return 0;
	case CORE_TAKE_ELF_HEADER:
		return KEEL_PAGE_SIZE;
	case CORE_TAKE_ALL:
		return map->end - map->start;
	}
	return 0;
}
