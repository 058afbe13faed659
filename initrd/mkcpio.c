/* SPDX-License-Identifier: MIT */
/*
 * Host tool: writes an initial RAM file system (a gzipped "newc" cpio archive) from a text
 * manifest. The same inputs give the same bytes, wherever and whenever it runs: entries are sorted,
 * owners are root, times are $SOURCE_DATE_EPOCH (0 when unset), inode numbers count from 1.
 * Format: Linux Documentation, driver-api/early-userspace/buffer-format.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "macros.h"

#define MAX_ENTRIES 4096
#define MAX_DEFINES 32
#define MAX_WORDS 8
#define MAX_DEPTH 4
#define MAX_FILE (256ull << 20)

struct entry {
	char *path; /* without the leading slash */
	uint32_t mode; /* type and permissions */
	char *data; /* file content or link target */
	size_t len;
	uint32_t major, minor;
};

struct define {
	const char *name, *path;
};

struct build {
	struct entry entries[MAX_ENTRIES];
	size_t n;
	struct define defines[MAX_DEFINES];
	size_t n_defines;
	/* position for messages */
	const char *manifest;
	unsigned line;
};

struct out {
	gzFile gz;
	uint64_t off;
};

static int complain(const struct build *b, const char *what, const char *arg)
{
	fprintf(stderr, "mkcpio: %s:%u: %s%s%s\n", b->manifest, b->line, what, arg ? ": " : "",
		arg ? arg : "");
	return -EINVAL;
}

/* ---- manifest -------------------------------------------------------------------------------- */

static int parse_number(const char *text, int base, uint32_t max, uint32_t *ret_val)
{
	char *end;
	unsigned long val;

	errno = 0;
	val = strtoul(text, &end, base);
	if (errno || end == text || *end || text[0] == '-' || val > max)
		return -EINVAL;
	*ret_val = (uint32_t)val;
	return 0;
}

/* Absolute, no empty, "." or ".." component, no slash at the end. */
static bool path_ok(const char *path)
{
	if (path[0] != '/')
		return false;
	while (*path) {
		size_t len = strcspn(++path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
	}
	return true;
}

static int add_entry(struct build *b, const char *path, struct entry **ret_entry)
{
	if (!path_ok(path))
		return complain(b, "not an absolute, plain path", path);
	for (size_t i = 0; i < b->n; i++) {
		if (strcmp(b->entries[i].path, path + 1) == 0)
			return complain(b, "listed twice", path);
	}
	if (b->n == MAX_ENTRIES)
		return complain(b, "too many entries", NULL);
	b->entries[b->n] = (struct entry){ .path = strdup(path + 1) };
	if (!b->entries[b->n].path)
		return -ENOMEM;
	*ret_entry = &b->entries[b->n++];
	return 0;
}

static int read_all(FILE *f, char **ret_data, size_t *ret_len)
{
	struct stat st;
	char *data;

	if (fstat(fileno(f), &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > MAX_FILE)
		return -EFBIG;
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	if (fread(data, 1, (size_t)st.st_size + 1, f) != (size_t)st.st_size) {
		free(data);
		return -EIO; /* it changes while we read it */
	}
	*ret_data = data;
	*ret_len = (size_t)st.st_size;
	return 0;
}

/* Names in a manifest are relative to its folder. */
static int sibling(const struct build *b, const char *name, char *ret_path, size_t size)
{
	const char *slash = strrchr(b->manifest, '/');
	int dir = slash && name[0] != '/' ? (int)(slash - b->manifest) + 1 : 0;
	int n = snprintf(ret_path, size, "%.*s%s", dir, b->manifest, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int find_source(const struct build *b, const char *source, char *ret_path, size_t size)
{
	if (source[0] != '@')
		return sibling(b, source, ret_path, size);
	for (size_t i = 0; i < b->n_defines; i++) {
		if (strcmp(b->defines[i].name, source + 1) == 0) {
			int n = snprintf(ret_path, size, "%s", b->defines[i].path);

			return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
		}
	}
	return -ENOKEY;
}

static int add_file(struct build *b, char **word)
{
	char source[4096];
	struct entry *e;
	uint32_t mode;
	FILE *f;
	int r;

	if (parse_number(word[2], 8, 07777, &mode) < 0)
		return complain(b, "not a mode", word[2]);
	if (find_source(b, word[3], source, sizeof(source)) < 0)
		return complain(b, "no --define for this source", word[3]);
	r = add_entry(b, word[1], &e);
	if (r < 0)
		return r;
	e->mode = S_IFREG | mode;
	f = fopen(source, "rb");
	if (!f) {
		r = -errno;
	} else {
		r = read_all(f, &e->data, &e->len);
		(void)fclose(f);
	}
	if (r < 0) {
		fprintf(stderr, "mkcpio: %s: %s\n", source, strerror(-r));
		return complain(b, "cannot read the source of", word[1]);
	}
	return 0;
}

static int add_dir(struct build *b, char **word)
{
	struct entry *e;
	uint32_t mode;
	int r;

	if (parse_number(word[2], 8, 07777, &mode) < 0)
		return complain(b, "not a mode", word[2]);
	r = add_entry(b, word[1], &e);
	if (r < 0)
		return r;
	e->mode = S_IFDIR | mode;
	return 0;
}

static int add_slink(struct build *b, char **word)
{
	struct entry *e;
	int r = add_entry(b, word[1], &e);

	if (r < 0)
		return r;
	e->mode = S_IFLNK | 0777;
	e->data = strdup(word[2]);
	if (!e->data)
		return -ENOMEM;
	e->len = strlen(word[2]);
	return 0;
}

static int add_nod(struct build *b, char **word)
{
	struct entry *e;
	uint32_t mode;
	int r;

	if (parse_number(word[2], 8, 07777, &mode) < 0)
		return complain(b, "not a mode", word[2]);
	if (strcmp(word[3], "c") != 0 && strcmp(word[3], "b") != 0)
		return complain(b, "neither c nor b", word[3]);
	r = add_entry(b, word[1], &e);
	if (r < 0)
		return r;
	e->mode = (word[3][0] == 'c' ? S_IFCHR : S_IFBLK) | mode;
	if (parse_number(word[4], 10, 4095, &e->major) < 0 ||
	    parse_number(word[5], 10, 0xfffff, &e->minor) < 0)
		return complain(b, "not a device number for", word[1]);
	return 0;
}

static int read_manifest(struct build *b, const char *path, int depth);

static int add_include(struct build *b, char **word, int depth)
{
	const char *manifest = b->manifest;
	unsigned line = b->line;
	char path[4096];
	int r;

	if (depth >= MAX_DEPTH)
		return complain(b, "included too deeply", word[1]);
	if (sibling(b, word[1], path, sizeof(path)) < 0)
		return complain(b, "name too long", word[1]);
	r = read_manifest(b, path, depth + 1);
	b->manifest = manifest;
	b->line = line;
	return r;
}

static int parse_line(struct build *b, char *text, int depth)
{
	static const struct {
		const char *verb;
		size_t words;
		int (*add)(struct build *b, char **word);
	} verbs[] = {
		{ "dir", 3, add_dir },
		{ "file", 4, add_file },
		{ "slink", 3, add_slink },
		{ "nod", 6, add_nod },
		{ "include", 2, NULL },
	};
	char *word[MAX_WORDS], *rest = text;
	size_t n = 0;

	while (n < MAX_WORDS && (word[n] = strsep(&rest, " \t\r\n")) != NULL) {
		if (*word[n])
			n++;
	}
	if (n == 0 || word[0][0] == '#')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(word[0], verbs[i].verb) != 0)
			continue;
		if (n != verbs[i].words)
			return complain(b, "wrong number of words after", word[0]);
		return verbs[i].add ? verbs[i].add(b, word) : add_include(b, word, depth);
	}
	return complain(b, "unknown word", word[0]);
}

static int read_manifest(struct build *b, const char *path, int depth)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	if (!f) {
		r = -errno;
		fprintf(stderr, "mkcpio: %s: %s\n", path, strerror(-r));
		return r;
	}
	b->manifest = path;
	b->line = 0;
	while (r >= 0 && getline(&line, &size, f) >= 0) {
		b->line++;
		r = parse_line(b, line, depth);
	}
	free(line);
	(void)fclose(f);
	return r;
}

/* ---- check ----------------------------------------------------------------------------------- */

static int entry_cmp(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;

	return strcmp(ea->path, eb->path);
}

/* The kernel makes no folder that is not listed: every entry's parent must be one of ours. */
static int check_parents(const struct build *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const char *slash = strrchr(b->entries[i].path, '/');
		bool found = !slash;

		for (size_t k = 0; k < b->n && !found; k++) {
			const struct entry *e = &b->entries[k];

			found = S_ISDIR(e->mode) &&
				strlen(e->path) == (size_t)(slash - b->entries[i].path) &&
				strncmp(e->path, b->entries[i].path, strlen(e->path)) == 0;
		}
		if (!found) {
			fprintf(stderr, "mkcpio: no folder is listed for /%s\n",
				b->entries[i].path);
			return -EINVAL;
		}
	}
	return 0;
}

/* ---- archive --------------------------------------------------------------------------------- */

static int put(struct out *o, const void *data, size_t len)
{
	if (len && gzwrite(o->gz, data, (unsigned)len) != (int)len)
		return -EIO;
	o->off += len;
	return 0;
}

static int pad(struct out *o)
{
	static const char zeros[4];

	return put(o, zeros, (size_t)(-o->off & 3));
}

static int put_entry(struct out *o, const struct entry *e, uint32_t ino, uint32_t mtime)
{
	size_t name_len = strlen(e->path) + 1;
	char head[111];
	int r;

	(void)snprintf(head, sizeof(head),
		       "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino, e->mode,
		       0u, 0u, S_ISDIR(e->mode) ? 2u : 1u, mtime, (unsigned)e->len, 0u, 0u,
		       e->major, e->minor, (unsigned)name_len, 0u);
	r = put(o, head, 110);
	if (r == 0)
		r = put(o, e->path, name_len);
	if (r == 0)
		r = pad(o);
	if (r == 0)
		r = put(o, e->data, e->len);
	return r == 0 ? pad(o) : r;
}

static int put_archive(struct out *o, const struct build *b, uint32_t mtime)
{
	char name[] = "TRAILER!!!";
	const struct entry trailer = { .path = name };
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n; i++)
		r = put_entry(o, &b->entries[i], (uint32_t)i + 1, mtime);
	return r == 0 ? put_entry(o, &trailer, 0, 0) : r;
}

/* gzopen writes a header without name and time, so the file depends on its content only. */
static int write_output(const struct build *b, const char *path, uint32_t mtime)
{
	struct out o = { .gz = gzopen(path, "wb9") };
	int r;

	if (!o.gz) {
		fprintf(stderr, "mkcpio: %s: %s\n", path, strerror(errno));
		return -EIO;
	}
	r = put_archive(&o, b, mtime);
	if (gzclose(o.gz) != Z_OK || r < 0) {
		fprintf(stderr, "mkcpio: %s: cannot write (is the disk full?)\n", path);
		return -EIO;
	}
	return 0;
}

/* ---- main ------------------------------------------------------------------------------------ */

static int usage(FILE *to)
{
	fputs("usage: mkcpio --manifest FILE --output FILE [--define NAME=FILE]...\n"
	      "Write an initial RAM file system (gzipped newc cpio archive) from a manifest.\n",
	      to);
	return to == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int add_define(struct build *b, char *text)
{
	char *eq = strchr(text, '=');

	if (!eq || eq == text || !eq[1] || b->n_defines == MAX_DEFINES)
		return -EINVAL;
	*eq = 0;
	b->defines[b->n_defines++] = (struct define){ .name = text, .path = eq + 1 };
	return 0;
}

static int parse_args(int argc, char **argv, struct build *b, const char **ret_manifest,
		      const char **ret_output)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--manifest") == 0)
			*ret_manifest = argv[i + 1];
		else if (strcmp(argv[i], "--output") == 0)
			*ret_output = argv[i + 1];
		else if (strcmp(argv[i], "--define") != 0 || add_define(b, argv[i + 1]) < 0)
			return -EINVAL;
	}
	return argc % 2 && *ret_manifest && *ret_output ? 0 : -EINVAL;
}

static uint32_t fixed_time(void)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	uint32_t val;

	return text && parse_number(text, 10, UINT32_MAX, &val) == 0 ? val : 0;
}

static void build_free(struct build *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->entries[i].path);
		free(b->entries[i].data);
	}
	free(b);
}

int main(int argc, char **argv)
{
	const char *manifest = NULL, *output = NULL;
	struct build *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return EXIT_FAILURE;
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		free(b);
		return usage(stdout);
	}
	r = parse_args(argc, argv, b, &manifest, &output);
	if (r < 0) {
		build_free(b);
		return usage(stderr);
	}
	r = read_manifest(b, manifest, 0);
	if (r == 0) {
		qsort(b->entries, b->n, sizeof(b->entries[0]), entry_cmp);
		r = check_parents(b);
	}
	if (r == 0)
		r = write_output(b, output, fixed_time());
	build_free(b);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
