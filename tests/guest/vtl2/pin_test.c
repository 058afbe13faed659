/* SPDX-License-Identifier: MIT */
/*
 * Runs in VTL2 in the place of PID 1 (rdinit=), without the daemon: VTL0 is not started, and all of
 * its memory is free to be written. Checks that this kernel maps VTL0's memory by huge pages, that
 * it can pin them for input and output, that data arrives where it should, and that nothing of it
 * is left behind by processes that end, memory that is unmapped, or mappings that are split. With
 * PIN_DISKS=1 it goes on with block devices and NVMe namespaces. Verdicts are lines of the kernel's
 * log that begin with "pin:"; the last one counts them. When it ends VTL2 does.
 */
#include "pin_test.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bootdt.h"
#include "gmem.h"
#include "mshv_vtl.h"
#include "vm_memory.h"

#define MIB (1u << 20)
#define MIB2 0x200000ull
#define GIB1 0x40000000ull
#define SWITCH "/sys/module/mshv_vtl/parameters/pin"

static unsigned passed, failed;
static int low_fd = -1;

/* The piece of VTL0's RAM that is worked on: the largest. */
static gpa_t ram_gpa;
static uint64_t ram_len;

void pin_say(const char *fmt, ...)
{
	char line[256] = "<4>pin: ";
	size_t len = strlen(line);
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	if (fd >= 0) {
		(void)!write(fd, line, strlen(line));
		(void)close(fd);
	}
}

bool pin_check(bool good, const char *what, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, what);
	(void)vsnprintf(text, sizeof(text), what, ap);
	va_end(ap);
	*(good ? &passed : &failed) += 1;
	pin_say("%s %s", good ? "ok" : "FAILED", text);
	return good;
}

/* At an address that is congruent to gpa + @off modulo the largest page size. */
static void *map_at(gpa_t gpa, uint64_t len, uint64_t off)
{
	uint8_t *p = mmap(NULL, len + GIB1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	uint64_t skip = (gpa + off - (uintptr_t)p) & (GIB1 - 1);

	return p == MAP_FAILED ? NULL : mshv_vtl_low_map(low_fd, gpa, len, p + skip);
}

void *pin_map(gpa_t gpa, uint64_t len)
{
	void *at = map_at(gpa, len, 0);

	if (!at)
		(void)pin_check(false, "mapping VTL0's memory: %s", strerror(errno));
	return at;
}

void pin_switch(bool on)
{
	int fd = open(SWITCH, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, on ? "1" : "0", 1) != 1)
		(void)pin_check(false, "%s can be written", SWITCH);
	(void)close(fd);
}

static uint32_t word_at(size_t i, uint32_t seed)
{
	return (uint32_t)i * 2654435761u ^ seed * 40503u;
}

void pin_fill(uint8_t *mem, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
		uint32_t w = word_at(i, seed);

		memcpy(mem + i, &w, sizeof(w));
	}
}

bool pin_matches(const uint8_t *mem, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
		uint32_t w = word_at(i, seed);

		if (memcmp(mem + i, &w, sizeof(w)) != 0)
			return false;
	}
	return true;
}

int pin_complete(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int r = io_uring_submit_and_wait(ring, 1);

	if (r >= 0)
		r = io_uring_peek_cqe(ring, &cqe);
	if (r < 0)
		return r;
	r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return r;
}

/* The number behind a name in a file of /proc; 0: not there. */
static unsigned long number_in(const char *path, const char *name)
{
	char line[256];
	unsigned long val = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, strlen(name)) == 0)
			val = strtoul(line + strlen(name), NULL, 10);
	}
	if (f)
		(void)fclose(f);
	return val;
}

/* Mapped pages of files, all processors' counts put together. */
static unsigned long mapped_pages(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, "1", 1);
		(void)close(fd);
	}
	return number_in("/proc/vmstat", "nr_mapped ");
}

/* As registered buffers do. 0, or -errno: -EFAULT also where the kernel says -EEXIST because of an
 * entry without a page. */
static int pin_range(void *mem, size_t len)
{
	const struct iovec iov = { mem, len };
	struct io_uring ring;
	int r = io_uring_queue_init(2, &ring, 0);

	if (r < 0)
		return r;
	r = io_uring_register_buffers(&ring, &iov, 1);
	io_uring_queue_exit(&ring);
	return r == -EEXIST ? -EFAULT : r;
}

/* ---- the checks ------------------------------------------------------------------------------ */

/* Nobody announced the memory yet: it can be used, but not pinned. */
static void check_unregistered(void)
{
	volatile uint32_t *mem = pin_map(ram_gpa, MIB2);

	if (!mem)
		return;
	*mem = 0x12345678;
	(void)pin_check(*mem == 0x12345678, "memory that is not registered can be used");
	(void)pin_check(pin_range((void *)(uintptr_t)mem, 4096) == -EFAULT,
			"memory that is not registered cannot be pinned");
	(void)munmap((void *)(uintptr_t)mem, MIB2);
}

/* What page structs cost, and what the daemon does at its start. */
static bool check_register(int vtl_fd, const struct gpa_range *ram, size_t n)
{
	unsigned long before = number_in("/proc/meminfo", "MemFree:"), after;
	struct gmem *gm;
	int r = vm_memory_map(vtl_fd, ram, n, &gm);

	if (!pin_check(r == 0, "VTL0's memory is registered and mapped (%d)", r))
		return false;
	after = number_in("/proc/meminfo", "MemFree:");
	pin_say("registering took %lu KiB of VTL2's memory", before > after ? before - after : 0);
	r = gm_pin_probe(gm);
	(void)pin_check(r == 0, "the probe says that it can be pinned (%d)", r);
	return true;
}

static void check_huge(void)
{
	unsigned long before = number_in("/proc/self/status", "VmPTE:"), after;
	uint8_t *mem = pin_map(ram_gpa, ram_len);

	if (!mem)
		return;
	for (uint64_t at = 0; at < ram_len; at += 65536)
		mem[at] = (uint8_t)(at >> 16);
	after = number_in("/proc/self/status", "VmPTE:");
	(void)pin_check(after - before <= 16 + 8 * (ram_len / GIB1),
			"%llu MiB are mapped by huge pages (tables %lu KiB)",
			(unsigned long long)(ram_len >> 20), after - before);
	(void)pin_check(pin_range(mem, ram_len) == 0, "all of it can be pinned at once");
	(void)munmap(mem, ram_len);
}

/* A place that no huge page fits: the same with small ones. */
static void check_small(void)
{
	const size_t len = 8 * MIB;
	uint8_t *mem = map_at(ram_gpa, len, 4096);

	if (!pin_check(mem, "memory can be mapped by small pages"))
		return;
	pin_fill(mem, len, 3);
	(void)pin_check(pin_matches(mem, len, 3) && pin_range(mem, len) == 0,
			"small pages can be pinned");
	(void)munmap(mem, len);
}

/* Out of VTL0's memory into a file, and from there into another place, by registered buffers. */
static void check_fixed(uint8_t *mem)
{
	const size_t len = 3 * MIB, from = MIB + 512, to = 8 * MIB + 1024;
	const struct iovec iov = { mem, 16 * MIB };
	int fd = open("/pin.dat", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct io_uring ring;
	int r = io_uring_queue_init(4, &ring, 0);

	if (r == 0)
		r = io_uring_register_buffers(&ring, &iov, 1);
	if (!pin_check(r == 0 && fd >= 0, "buffers are registered (%d)", r))
		return;
	pin_fill(mem + from, len, 5);
	memset(mem + to, 0, len);
	io_uring_prep_write_fixed(io_uring_get_sqe(&ring), fd, mem + from, (unsigned)len, 0, 0);
	r = pin_complete(&ring);
	(void)pin_check(r == (int)len, "a registered buffer is written (%d)", r);
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), fd, mem + to, (unsigned)len, 0, 0);
	r = pin_complete(&ring);
	(void)pin_check(r == (int)len && pin_matches(mem + to, len, 5),
			"the same bytes are read into another one (%d)", r);
	io_uring_queue_exit(&ring);
	(void)close(fd);
	(void)unlink("/pin.dat");
}

/* The pages themselves travel through a pipe. */
static void check_splice(uint8_t *mem)
{
	const struct iovec iov = { mem + MIB2 - 8192, 16384 };
	static uint8_t buf[16384];
	int p[2];
	ssize_t n;

	pin_fill(iov.iov_base, iov.iov_len, 7);
	if (!pin_check(pipe2(p, O_CLOEXEC) == 0, "a pipe"))
		return;
	n = vmsplice(p[1], &iov, 1, 0);
	(void)pin_check(n == (ssize_t)sizeof(buf) && read(p[0], buf, sizeof(buf)) == n &&
				pin_matches(buf, sizeof(buf), 7),
			"pages go through a pipe (%zd)", n);
	(void)close(p[0]);
	(void)close(p[1]);
}

/* With the switch off only mappings made before can be pinned. */
static void check_switch(uint8_t *mem)
{
	uint8_t *other;

	pin_switch(false);
	other = pin_map(ram_gpa, 16 * MIB);
	if (other) {
		other[123] = 45;
		(void)pin_check(mem[123] == 45, "with the switch off memory can be used");
		(void)pin_check(pin_range(other, 4096) == -EFAULT &&
					pin_range(other + 4 * MIB, MIB) == -EFAULT,
				"with the switch off it cannot be pinned");
		(void)munmap(other, 16 * MIB);
	}
	(void)pin_check(pin_range(mem, MIB) == 0, "a mapping made before still can");
	pin_switch(true);
}

/* A child of a mapping that is not kept from it. */
static void check_fork(uint8_t *mem)
{
	int status = -1;
	pid_t pid;

	pin_fill(mem, 4 * MIB, 9);
	pid = fork();
	if (pid == 0) {
		bool good = pin_matches(mem, 4 * MIB, 9) && pin_range(mem, MIB) == 0;

		pin_fill(mem, 4 * MIB, 10);
		_exit(good ? 0 : 1);
	}
	(void)waitpid(pid, &status, 0);
	(void)pin_check(status == 0 && pin_matches(mem, 4 * MIB, 10) && pin_range(mem, MIB) == 0,
			"a child shares the memory, and ends (%d)", status);
}

/* A page in the middle of a huge one gets other rights and then its own back. */
static void check_split(uint8_t *mem)
{
	pin_fill(mem, 4 * MIB, 11);
	(void)pin_check(mprotect(mem + MIB, 4096, PROT_READ) == 0 && pin_matches(mem, 4 * MIB, 11),
			"a huge mapping is split");
	(void)pin_check(pin_range(mem + MIB, 4096) == -EFAULT, "what is read-only is not pinned");
	(void)pin_check(mprotect(mem + MIB, 4096, PROT_READ | PROT_WRITE) == 0 &&
				pin_matches(mem, 4 * MIB, 11) && pin_range(mem, 4 * MIB) == 0,
			"and made whole");
}

/* A request that waits for a pipe and writes into VTL0's memory when something comes. */
static int start_waiting(struct io_uring *ring, uint8_t *mem, size_t len, int from)
{
	const struct iovec iov = { mem, len };
	int r = io_uring_queue_init(4, ring, 0);

	if (r == 0)
		r = io_uring_register_buffers(ring, &iov, 1);
	if (r < 0)
		return r;
	io_uring_prep_read_fixed(io_uring_get_sqe(ring), from, mem, (unsigned)len, 0, 0);
	r = io_uring_submit(ring);
	return r < 0 ? r : 0;
}

/* The mapping goes while a request is under way: the data still arrives in the memory. */
static void check_unmapped(void)
{
	static uint8_t data[4096];
	struct io_uring ring;
	uint8_t *mem = pin_map(ram_gpa + MIB2, MIB2);
	int p[2], r;

	if (!mem || !pin_check(pipe2(p, O_CLOEXEC) == 0, "a pipe"))
		return;
	memset(mem, 0, sizeof(data));
	r = start_waiting(&ring, mem, sizeof(data), p[0]);
	(void)munmap(mem, MIB2);
	pin_fill(data, sizeof(data), 13);
	(void)!write(p[1], data, sizeof(data));
	if (r == 0)
		r = pin_complete(&ring);
	mem = pin_map(ram_gpa + MIB2, MIB2);
	(void)pin_check(r == (int)sizeof(data) && mem && pin_matches(mem, sizeof(data), 13),
			"data arrives although the mapping is gone (%d)", r);
	io_uring_queue_exit(&ring);
	(void)munmap(mem, MIB2);
	(void)close(p[0]);
	(void)close(p[1]);
}

/* A process is killed that has everything pinned and a request under way. */
static void check_killed(void)
{
	int p[2], status = 0;
	char c = 0;
	pid_t pid;

	if (!pin_check(pipe2(p, O_CLOEXEC) == 0, "a pipe"))
		return;
	pid = fork();
	if (pid == 0) {
		struct io_uring ring, all;
		uint8_t *mem = pin_map(ram_gpa, ram_len);
		const struct iovec iov = { mem, ram_len };
		int never[2];

		if (mem && pipe(never) == 0 && start_waiting(&ring, mem, MIB, never[0]) == 0 &&
		    io_uring_queue_init(2, &all, 0) == 0 &&
		    io_uring_register_buffers(&all, &iov, 1) == 0)
			c = 1;
		(void)!write(p[1], &c, 1);
		(void)pause();
	}
	(void)!read(p[0], &c, 1);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	(void)pin_check(c == 1 && WIFSIGNALED(status), "a process with pinned memory is killed");
	(void)close(p[0]);
	(void)close(p[1]);
}

/* What the kernel has to say about its own state. */
static void check_log(void)
{
	static const char *const bad[] = { "BUG:",     "BUG: ",	  "WARNING: ",
					   "Bad page", "Bad rss", "refcount_t:" };
	char rec[1024];
	unsigned found = 0;
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n;

	while (fd >= 0 && ((n = read(fd, rec, sizeof(rec) - 1)) > 0 || errno == EPIPE)) {
		rec[MAX(n, 0)] = 0;
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			found += strstr(rec, bad[i]) != NULL;
	}
	(void)pin_check(fd >= 0 && found == 0, "the kernel complains about nothing (%u)", found);
}

static void run(int vtl_fd, const struct gpa_range *ram, size_t n)
{
	unsigned long before, after;
	uint8_t *mem;

	check_unregistered();
	if (!check_register(vtl_fd, ram, n))
		return;
	before = mapped_pages();
	check_huge();
	check_small();
	mem = pin_map(ram_gpa, 16 * MIB);
	if (mem) {
		check_fixed(mem);
		check_splice(mem);
		check_switch(mem);
		check_fork(mem);
		check_split(mem);
		if (getenv("PIN_DISKS"))
			pin_disks(mem, ram_gpa, 16 * MIB);
		(void)munmap(mem, 16 * MIB);
	}
	check_unmapped();
	check_killed();
	after = mapped_pages();
	/* This program's own pages may come and go; one huge page is 512. */
	(void)pin_check(after < before + 256, "no mapping is left behind (%lu, %lu pages)", before,
			after);
	check_log();
}

/* As init sets it; small machines have them off otherwise. */
static void huge_pages(const char *when)
{
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY | O_CLOEXEC);

	(void)pin_check(fd >= 0 && write(fd, when, strlen(when)) > 0, "huge pages are set to %s",
			when);
	(void)close(fd);
}

static void set_up(void)
{
	(void)mkdir("/dev", 0755);
	(void)mkdir("/proc", 0755);
	(void)mkdir("/sys", 0755);
	(void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	(void)mount("proc", "/proc", "proc", 0, NULL);
	(void)mount("sysfs", "/sys", "sysfs", 0, NULL);
	huge_pages("madvise");
}

int main(void)
{
	struct gpa_range *ram, *others;
	size_t n, n_others;
	struct bootdt dt;
	int mshv, vtl;

	set_up();
	mshv = mshv_open();
	vtl = mshv < 0 ? mshv : mshv_create_vtl(mshv);
	low_fd = mshv_vtl_low_open();
	if (!pin_check(vtl >= 0 && low_fd >= 0 && bootdt_load(BOOTDT_PATH, &dt) == 0 &&
			       vm_memory_split(&dt, &ram, &n, &others, &n_others) == 0,
		       "VTL2 knows VTL0's memory"))
		return EXIT_FAILURE;
	for (size_t i = 0; i < n; i++) {
		if (ram[i].len > ram_len) {
			ram_gpa = ram[i].base;
			ram_len = ram[i].len;
		}
	}
	run(vtl, ram, n);
	pin_say("%u passed, %u failed", passed, failed);
	(void)sleep(1); /* the console is slow, and the end is sudden */
	return EXIT_SUCCESS;
}
