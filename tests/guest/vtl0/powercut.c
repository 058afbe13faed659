/* SPDX-License-Identifier: MIT */
/*
 * Writes to a disk until the power fails, and says what must be found afterwards.
 *
 *   powercut raw DEVICE SEED     blocks of a block device, in a fixed order
 *   powercut file FILE SEED      the same inside a file, preallocated here
 *   powercut names DIR SEED      files that are written, flushed, renamed and removed
 *
 * Every write carries a number that counts up. A line "raw N" (file N, names N) on standard output
 * says that whatever number N and those before it have written is durable: half the time because
 * the writes asked for that themselves (RWF_DSYNC), half the time because fdatasync() came back.
 * tests/e2e/powercut_check.py knows the layout, too. Never ends well: the status says which step
 * failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fs.h>

#define SECTOR 512u
#define BLOCK 4096u
#define BLOCK_WORDS (BLOCK / 8)
#define SECTOR_WORDS (SECTOR / 8)
#define SLOTS 1024u /* blocks that are written again and again */
#define BATCH 8u /* writes between two flushes */
#define MAGIC 0x7475637265776f70ull
#define NAMES_KEPT 32u

/* Reproducible, and different for every word of every write. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* Each sector proves on its own what it belongs to: a write may be cut between two of them. */
static void fill(uint64_t *block, uint64_t seed, uint64_t number, uint64_t slot)
{
	for (unsigned i = 0; i < BLOCK_WORDS; i += SECTOR_WORDS) {
		const uint64_t key = mix(mix(seed) ^ number) + slot * BLOCK_WORDS + i;

		block[i] = MAGIC;
		block[i + 1] = seed;
		block[i + 2] = number;
		block[i + 3] = slot;
		for (unsigned k = 4; k < SECTOR_WORDS; k++)
			block[i + k] = mix(key + k);
	}
}

static bool say(const char *what, uint64_t number)
{
	char line[48];
	const int n = snprintf(line, sizeof(line), "%s %llu\n", what, (unsigned long long)number);

	return write(STDOUT_FILENO, line, (size_t)n) == n;
}

/* An odd multiplier visits every slot once in SLOTS numbers. */
static uint64_t slot_of(uint64_t number)
{
	return number * 389 % SLOTS;
}

static int write_one(int fd, uint64_t *block, uint64_t seed, uint64_t number, int flags)
{
	const struct iovec iov = { .iov_base = block, .iov_len = BLOCK };
	const uint64_t slot = slot_of(number);

	fill(block, seed, number, slot);
	/* Not every C library knows it. The offset is in two parts, the second for 32 bits. */
	return syscall(SYS_pwritev2, fd, &iov, 1ul, slot * BLOCK, 0ul, flags) == BLOCK ? 0 : -1;
}

/* One batch in which each write is durable, then one that a flush makes durable. */
static int write_blocks(const char *what, int fd, uint64_t seed)
{
	uint64_t *block = NULL, number = 0;

	if (posix_memalign((void **)&block, BLOCK, BLOCK))
		return 3;
	for (;;) {
		const bool each = number / BATCH % 2 == 0;

		for (unsigned i = 0; i < BATCH; i++) {
			number++;
			if (write_one(fd, block, seed, number, each ? RWF_DSYNC : 0) < 0)
				return 4;
			if (each && !say(what, number))
				return 5;
		}
		if (each)
			continue;
		if (fdatasync(fd) < 0)
			return 6;
		if (!say(what, number))
			return 5;
	}
}

/* The kernel writes a device that is opened O_DIRECT with FUA; without, it writes and flushes. */
static int run_raw(const char *path, uint64_t seed)
{
	const int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

	return fd < 0 ? 2 : write_blocks("raw", fd, seed);
}

static int run_file(const char *path, uint64_t seed)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, SLOTS * BLOCK) < 0)
		return 2;
	return write_blocks("file", fd, seed);
}

static int make_name(int dir, uint64_t *block, uint64_t seed, uint64_t number)
{
	char name[32];
	int fd = openat(dir, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write_one(fd, block, seed, number, 0) < 0 || fsync(fd) < 0)
		return 4;
	(void)close(fd);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
	if (renameat(dir, "new", dir, name) < 0)
		return 6;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)(number - NAMES_KEPT));
	if (number > NAMES_KEPT && unlinkat(dir, name, 0) < 0)
		return 7;
	return fsync(dir) < 0 ? 8 : 0;
}

/* A name that stands in the directory stands for a whole file. */
static int run_names(const char *path, uint64_t seed)
{
	uint64_t *block = NULL;
	int dir, r;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return 2;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || posix_memalign((void **)&block, BLOCK, BLOCK))
		return 3;
	for (uint64_t number = 1;; number++) {
		r = make_name(dir, block, seed, number);
		if (r)
			return r;
		if (!say("names", number))
			return 5;
	}
}

int main(int argc, char **argv)
{
	uint64_t seed;

	if (argc != 4)
		return 1;
	seed = strtoull(argv[3], NULL, 10);
	if (strcmp(argv[1], "raw") == 0)
		return run_raw(argv[2], seed);
	if (strcmp(argv[1], "file") == 0)
		return run_file(argv[2], seed);
	return strcmp(argv[1], "names") == 0 ? run_names(argv[2], seed) : 1;
}
