/* SPDX-License-Identifier: MIT */
/*
 * Runner for fuzz targets where libFuzzer is not linked: replays every file of the corpus folders,
 * then runs a bounded, seeded number of mutations of them. Two runs with the same corpus and seed
 * feed the same inputs, so this is a regression test and not a lottery. With
 * -keep=FILE every input is written to FILE before it is tried, so a crash leaves its cause behind.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX (1u << 20)
#define CORPUS_MAX 65536u
#define DEFAULT_LEN 4096u

struct input {
	char *name;
	uint8_t *data;
	size_t len;
};

struct corpus {
	struct input *in;
	size_t n;
};

struct options {
	unsigned long runs;
	unsigned long seed;
	size_t max_len;
	const char *keep;
};

/* xorshift64*: the sequence must not depend on the C library. */
static uint64_t rng_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

static size_t rng_below(uint64_t *state, size_t bound)
{
	return bound ? (size_t)(rng_next(state) % bound) : 0;
}

static int corpus_add(struct corpus *c, const char *name, uint8_t *data, size_t len)
{
	struct input *in;

	if (c->n >= CORPUS_MAX)
		return -E2BIG;
	in = realloc(c->in, (c->n + 1) * sizeof(*in));
	if (!in)
		return -ENOMEM;
	c->in = in;
	in[c->n] = (struct input){ .name = strdup(name), .data = data, .len = len };
	if (!in[c->n].name)
		return -ENOMEM;
	c->n++;
	return 0;
}

static int read_input(const char *path, uint8_t **ret_data, size_t *ret_len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	size_t len;

	if (!f)
		return -errno;
	data = malloc(INPUT_MAX);
	if (!data) {
		(void)fclose(f);
		return -ENOMEM;
	}
	len = fread(data, 1, INPUT_MAX, f);
	(void)fclose(f);
	*ret_data = realloc(data, len ? len : 1);
	if (!*ret_data)
		*ret_data = data;
	*ret_len = len;
	return 0;
}

static int load_file(struct corpus *c, const char *path)
{
	uint8_t *data;
	size_t len;
	int r = read_input(path, &data, &len);

	if (r < 0) {
		fprintf(stderr, "fuzz: %s: %s\n", path, strerror(-r));
		return r;
	}
	r = corpus_add(c, path, data, len);
	if (r < 0)
		free(data);
	return r;
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Sorted, so that mutation order does not depend on the file system. A missing folder is empty. */
static int load_dir(struct corpus *c, const char *dir)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, visible, alphasort);
	int r = 0;

	for (int i = 0; i < n; i++) {
		char path[4096];
		struct stat st;

		if (r >= 0 && snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name) <
				      (int)sizeof(path) &&
		    stat(path, &st) == 0 && S_ISREG(st.st_mode))
			r = load_file(c, path);
		free(names[i]);
	}
	free(names);
	return r;
}

static int load_path(struct corpus *c, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISDIR(st.st_mode) ? load_dir(c, path) : load_file(c, path);
}

static uint64_t interesting(uint64_t *rng)
{
	static const uint64_t values[] = {
		0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0xffff,
		0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
		0x8000000000000000, 0xfffffffffffff000, 0xffffffffffffffff,
	};

	return values[rng_below(rng, sizeof(values) / sizeof(values[0]))];
}

/* Put an edge value of 1, 2, 4 or 8 bytes somewhere. */
static void mutate_value(uint64_t *rng, uint8_t *buf, size_t len)
{
	size_t size = (size_t)1 << rng_below(rng, 4);
	uint64_t v = interesting(rng);

	if (len < size)
		return;
	memcpy(buf + rng_below(rng, len - size + 1), &v, size);
}

static size_t mutate_resize(uint64_t *rng, uint8_t *buf, size_t len, size_t max)
{
	size_t at = rng_below(rng, len + 1);
	size_t n = 1 + rng_below(rng, 16);

	if (rng_next(rng) & 1) {
		if (n > len - at)
			n = len - at;
		memmove(buf + at, buf + at + n, len - at - n);
		return len - n;
	}
	if (n > max - len)
		n = max - len;
	memmove(buf + at + n, buf + at, len - at);
	for (size_t i = 0; i < n; i++)
		buf[at + i] = (uint8_t)rng_next(rng);
	return len + n;
}

static void mutate_copy(uint64_t *rng, uint8_t *buf, size_t len)
{
	size_t n = len ? 1 + rng_below(rng, len < 64 ? len : 64) : 0;

	if (n)
		memmove(buf + rng_below(rng, len - n + 1), buf + rng_below(rng, len - n + 1), n);
}

static void mutate_bits(uint64_t *rng, uint8_t *buf, size_t len)
{
	if (len)
		buf[rng_below(rng, len)] ^= (uint8_t)(1u << rng_below(rng, 8));
}

static void mutate_byte(uint64_t *rng, uint8_t *buf, size_t len)
{
	if (len)
		buf[rng_below(rng, len)] = (uint8_t)rng_next(rng);
}

/* Overwrite a stretch with a stretch of another input. */
static void mutate_splice(uint64_t *rng, uint8_t *buf, size_t len, const struct input *other)
{
	size_t n = len < other->len ? len : other->len;

	if (!n)
		return;
	n = 1 + rng_below(rng, n);
	memcpy(buf + rng_below(rng, len - n + 1), other->data + rng_below(rng, other->len - n + 1),
	       n);
}

static size_t mutate(uint64_t *rng, const struct corpus *c, uint8_t *buf, size_t len, size_t max)
{
	size_t steps = 1 + rng_below(rng, 6);

	while (steps--) {
		switch (rng_below(rng, 7)) {
		case 0:
			mutate_bits(rng, buf, len);
			break;
		case 1:
			mutate_byte(rng, buf, len);
			break;
		case 2:
			mutate_value(rng, buf, len);
			break;
		case 3:
			len = mutate_resize(rng, buf, len, max);
			break;
		case 4:
			mutate_copy(rng, buf, len);
			break;
		case 5:
			mutate_splice(rng, buf, len, &c->in[rng_below(rng, c->n)]);
			break;
		default:
			len = rng_below(rng, len + 1);
			break;
		}
	}
	return len;
}

/* Leave the input on disk before it is tried: after a crash it is too late. */
static void keep_input(const struct options *o, const uint8_t *data, size_t len)
{
	int fd;

	if (!o->keep)
		return;
	fd = open(o->keep, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (write(fd, data, len) < 0)
		perror(o->keep);
	(void)close(fd);
}

/* The target gets a copy of exactly the input's size, so that the sanitizer sees every overrun. */
static int run_one(const struct options *o, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, data, len);
	keep_input(o, data, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	return 0;
}

static int fuzz_all(const struct options *o, const struct corpus *c)
{
	uint64_t rng = o->seed * 0x9e3779b97f4a7c15ull + 1;
	uint8_t *buf = malloc(o->max_len);
	int r = buf ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < c->n; i++)
		r = run_one(o, c->in[i].data, c->in[i].len);
	for (unsigned long i = 0; r >= 0 && i < o->runs; i++) {
		const struct input *in = &c->in[rng_below(&rng, c->n)];
		size_t len = in->len < o->max_len ? in->len : o->max_len;

		memcpy(buf, in->data, len);
		len = mutate(&rng, c, buf, len, o->max_len);
		r = run_one(o, buf, len);
	}
	free(buf);
	return r;
}

/* With no corpus there is still something to mutate: nothing, zeros and noise. */
static int add_builtin(struct corpus *c, unsigned long seed)
{
	uint64_t rng = seed * 0x9e3779b97f4a7c15ull + 7;

	for (int i = 0; i < 3; i++) {
		size_t len = i ? 256 : 0;
		uint8_t *data = calloc(1, len ? len : 1);
		int r;

		if (!data)
			return -ENOMEM;
		for (size_t k = 0; i == 2 && k < len; k++)
			data[k] = (uint8_t)rng_next(&rng);
		r = corpus_add(c, "builtin", data, len);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool parse_opt(const char *arg, const char *name, unsigned long *ret_val)
{
	size_t n = strlen(name);

	if (strncmp(arg, name, n) != 0)
		return false;
	*ret_val = strtoul(arg + n, NULL, 0);
	return true;
}

static int parse_args(int argc, char **argv, struct options *o, struct corpus *c)
{
	for (int i = 1; i < argc; i++) {
		unsigned long val;
		int r = 0;

		if (parse_opt(argv[i], "-runs=", &val))
			o->runs = val;
		else if (parse_opt(argv[i], "-seed=", &val))
			o->seed = val;
		else if (parse_opt(argv[i], "-max_len=", &val) && val > 0 && val <= INPUT_MAX)
			o->max_len = val;
		else if (strncmp(argv[i], "-keep=", 6) == 0)
			o->keep = argv[i] + 6;
		else if (argv[i][0] != '-')
			r = load_path(c, argv[i]);
		else
			r = -EINVAL;
		if (r < 0) {
			fprintf(stderr, "fuzz: %s: %s\n", argv[i], strerror(-r));
			return r;
		}
	}
	return 0;
}

static void corpus_free(struct corpus *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->in[i].name);
		free(c->in[i].data);
	}
	free(c->in);
}

int main(int argc, char **argv)
{
	struct options o = { .runs = 1000, .seed = 1, .max_len = DEFAULT_LEN };
	struct corpus c = { 0 };
	size_t files;
	int r = parse_args(argc, argv, &o, &c);

	files = c.n;
	if (r >= 0)
		r = add_builtin(&c, o.seed);
	if (r >= 0)
		r = fuzz_all(&o, &c);
	if (r >= 0)
		printf("fuzz: %zu corpus files, %lu mutations, seed %lu: no finding\n", files,
		       o.runs, o.seed);
	corpus_free(&c);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
