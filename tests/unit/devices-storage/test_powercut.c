/* SPDX-License-Identifier: MIT */
/*
 * Power cuts without a machine: a process with a guest's driver, storvsp, a SCSI disk and a disk on
 * a file writes, tells us what it was told to be durable, and is killed at random. Then the file
 * must hold all of that, and nothing that was never written. KEEL_POWER_CUTS says how often
 * (default 30).
 */
#include "powercut_disk.h"
#include "scsi_proto.h"
#include "storvsc_guest.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512u
#define SECTOR_WORDS (SECTOR / 8)
#define SLOT_SECTORS 8u
#define SLOTS 256u
#define SECTORS (SLOTS * SLOT_SECTORS)
#define BATCH 8u
#define FUA 0x08 /* in byte 1 of WRITE */
#define MAGIC 0x6472616f6277656bull

/* What a sector must at least hold: the number of the write that was last seen or promised. */
static uint64_t at_least[SECTORS];
static uint64_t first_number = 1;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void fill(uint8_t *at, uint64_t number, uint64_t sector)
{
	uint64_t w[SECTOR_WORDS] = { MAGIC, number, sector };

	for (unsigned i = 3; i < SECTOR_WORDS; i++)
		w[i] = mix(mix(number) + sector * SECTOR_WORDS + i);
	memcpy(at, w, sizeof(w));
}

/* ---- the process that is killed ---------------------------------------------------------- */

struct writer {
	struct sg g;
	struct sg_chan *c;
	gpa_t data;
	int out;
	uint64_t number; /* of the next write */
	uint64_t pending[BATCH]; /* numbers of the batch, 0 = its promise was given */
	uint64_t txid[BATCH];
};

static void promise(struct writer *w, uint64_t number)
{
	ck_assert_int_eq(write(w->out, &number, sizeof(number)), sizeof(number));
}

/* Different numbers of a batch mean different slots, and every slot has its turn. */
static uint32_t slot_of(uint64_t number)
{
	return (uint32_t)(number * 89 % SLOTS);
}

static void start_batch(struct writer *w, bool through)
{
	for (unsigned i = 0; i < BATCH; i++) {
		const uint32_t lba = slot_of(w->number) * SLOT_SECTORS;
		const gpa_t data = w->data + i * KEEL_PAGE_SIZE;
		struct sg_cmd cmd = sg_rw(0, true, lba, SLOT_SECTORS, data);

		for (unsigned k = 0; k < SLOT_SECTORS; k++)
			fill(sg_at(&w->g, data) + k * SECTOR, w->number, lba + k);
		if (through)
			cmd.cdb[1] |= FUA;
		w->pending[i] = w->number++;
		w->txid[i] = sg_start(&w->g, w->c, &cmd);
		ck_assert_uint_ne(w->txid[i], 0);
	}
	sg_commit(&w->g, w->c);
}

/* Takes what has ended. Returns how many have not. */
static unsigned reap(struct writer *w, bool through)
{
	struct storvsp_srb srb;
	unsigned left = 0;

	sg_poll(&w->g, w->c);
	for (unsigned i = 0; i < BATCH; i++) {
		if (!w->txid[i])
			continue;
		if (!sg_ended(w->c, w->txid[i], &srb)) {
			left++;
			continue;
		}
		ck_assert_uint_eq(srb.srb_status, SRB_SUCCESS);
		w->txid[i] = 0;
		if (through)
			promise(w, w->pending[i]);
	}
	return left;
}

static void flush(struct writer *w)
{
	const struct sg_cmd cmd = { .cdb = { SCSI_SYNC_CACHE_10 }, .data_in = STORVSP_DATA_NONE };
	const struct storvsp_srb srb = sg_run(&w->g, w->c, &cmd);

	ck_assert_uint_eq(srb.srb_status, SRB_SUCCESS);
	for (unsigned i = 0; i < BATCH; i++)
		promise(w, w->pending[i]);
}

static _Noreturn void write_until_killed(const char *path, int out)
{
	static const struct storvsp_cfg cfg = {
		.instance = GUID_INIT(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
		.queue_depth = 32,
		.poll_depth = 1,
	};
	static struct writer w;
	struct storvsp_wiring wiring;
	struct scsi_unit *unit;
	struct storvsp *s;

	w.out = out;
	w.number = first_number;
	sg_init(&w.g, 1);
	wiring = sg_wiring(&w.g);
	ck_assert_int_eq(storvsp_create(&cfg, &wiring, &s), 0);
	ck_assert_int_eq(scsi_disk_create(&(struct scsi_unit_cfg){ .name = "t" },
					  powercut_disk(path), &unit),
			 0);
	ck_assert_int_eq(storvsp_attach(s, 0, 0, unit), 0);
	w.c = sg_find(&w.g, 0);
	ck_assert_uint_eq(sg_open(&w.g, w.c, 0), 0);
	sg_negotiate(&w.g, w.c, STORVSP_THRESHOLD);
	w.data = sg_pages(&w.g, BATCH);
	for (bool through = true;; through = !through) {
		start_batch(&w, through);
		sg_until(&w.g, reap(&w, through) == 0);
		if (!through)
			flush(&w);
	}
}

/* ---- the one that kills ------------------------------------------------------------------ */

/* The next promise is binding. False: there are no more. */
static bool take_promise(int in, uint64_t *highest)
{
	uint64_t number;
	uint32_t first;

	if (read(in, &number, sizeof(number)) != sizeof(number))
		return false;
	first = slot_of(number) * SLOT_SECTORS;
	for (unsigned k = 0; k < SLOT_SECTORS; k++)
		at_least[first + k] = MAX(at_least[first + k], number);
	*highest = MAX(*highest, number);
	return true;
}

/* Every sector on its own: one write may be cut between two of them. */
static void check_medium(const char *path, uint64_t highest)
{
	uint8_t found[SECTOR], want[SECTOR];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (uint32_t i = 0; i < SECTORS; i++) {
		uint64_t w[3];

		ck_assert_int_eq(read(fd, found, SECTOR), SECTOR);
		memcpy(w, found, sizeof(w));
		if (!at_least[i] && !w[0])
			continue;
		ck_assert_msg(w[1] >= at_least[i], "sector %u: write %llu is lost, it holds %llu",
			      i, (unsigned long long)at_least[i], (unsigned long long)w[1]);
		/* Those that nobody was told of yet: at most what was in flight. */
		ck_assert_uint_le(w[1], highest + 2 * BATCH);
		fill(want, w[1], i);
		ck_assert_msg(memcmp(found, want, SECTOR) == 0, "sector %u is damaged", i);
		ck_assert_uint_eq(slot_of(w[1]), i / SLOT_SECTORS);
		at_least[i] = w[1];
	}
	(void)close(fd);
}

static unsigned one_round(const char *path)
{
	const struct timespec pause = { .tv_nsec = (long)(mix(first_number) % 40000000) };
	uint64_t highest = 0;
	unsigned n = 1;
	int p[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(p), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		write_until_killed(path, p[1]);
	(void)close(p[1]);
	/* The first promise, then a while: it must not be killed before it has begun. */
	ck_assert(take_promise(p[0], &highest));
	(void)nanosleep(&pause, NULL);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	while (take_promise(p[0], &highest))
		n++;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended by itself");
	(void)close(p[0]);
	check_medium(path, highest);
	first_number = highest + 4 * BATCH;
	return n;
}

START_TEST(power_cuts)
{
	const char *text = getenv("KEEL_POWER_CUTS");
	const unsigned rounds = text ? (unsigned)strtoul(text, NULL, 10) : 30;
	char path[] = "/tmp/keel-powercut-XXXXXX";
	const int fd = mkstemp(path);
	unsigned long long n = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, SECTORS * SECTOR), 0);
	(void)close(fd);
	for (unsigned i = 0; i < rounds; i++)
		n += one_round(path);
	(void)unlink(path);
	printf("%u power cuts, %llu durable writes, none lost\n", rounds, n);
	ck_assert_uint_ge(rounds, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("powercut");
	TCase *tc = tcase_create("powercut");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 0); /* meson's is in force */
	tcase_add_test(tc, power_cuts);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
