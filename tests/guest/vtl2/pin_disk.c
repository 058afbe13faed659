/* SPDX-License-Identifier: MIT */
/* Block devices and NVMe namespaces, straight into VTL0's memory (pin_test.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pin_test.h"

#define MIB (1u << 20)
#define PIECE 4096u
#define PIECES 32u
#define WAIT_S 20

/* What musl's folder has no kernel header for: an NVMe command by io_uring. */
#define NVME_URING_CMD_IO 0xC0484E80u
#define NVME_URING_CMD_IO_VEC 0xC0484E81u
#define NVME_IOCTL_ID 0x4E40u
#define NVME_WRITE 1u
#define NVME_READ 2u

struct nvme_cmd {
	uint8_t opcode, flags;
	uint16_t rsvd1;
	uint32_t nsid, cdw2, cdw3;
	uint64_t metadata, addr;
	uint32_t metadata_len, data_len, cdw10, cdw11, cdw12, cdw13, cdw14, cdw15, timeout_ms,
		rsvd2;
};
WIRE_SIZE(struct nvme_cmd, 72);

/* A mapping made while the switch is off: that happens when it is touched. */
static uint8_t *map_refused(gpa_t gpa)
{
	uint8_t *mem;

	pin_switch(false);
	mem = pin_map(gpa, MIB);
	for (size_t i = 0; mem && i < MIB; i += PIECE)
		mem[i] = 1;
	pin_switch(true);
	return mem;
}

/* ---- block devices --------------------------------------------------------------------------- */

static void check_whole(int fd, const char *name, uint8_t *mem)
{
	uint8_t *to = mem + 8 * MIB;
	ssize_t w, r;

	/* Across the border of two huge pages. */
	pin_fill(mem + MIB, 2 * MIB, 21);
	memset(to, 0, 2 * MIB);
	w = pwrite(fd, mem + MIB, 2 * MIB, MIB);
	r = fdatasync(fd) < 0 ? -1 : pread(fd, to, 2 * MIB, MIB);
	(void)pin_check(w == 2 * MIB && r == w && pin_matches(to, 2 * MIB, 21),
			"%s: 2 MiB out and in (%zd, %zd)", name, w, r);
}

static void check_pieces(int fd, const char *name, uint8_t *mem)
{
	struct iovec out[PIECES], in[PIECES];
	uint8_t *to = mem + 8 * MIB;
	bool same = true;
	ssize_t w, r;

	for (unsigned i = 0; i < PIECES; i++) {
		/* All over the place, and back in another order. */
		out[i] = (struct iovec){ mem + (i * 37 % PIECES) * 3 * PIECE, PIECE };
		in[i] = (struct iovec){ to + (i * 11 % PIECES) * 2 * PIECE, PIECE };
		pin_fill(out[i].iov_base, PIECE, 100 + i);
		memset(in[i].iov_base, 0, PIECE);
	}
	w = pwritev(fd, out, PIECES, 4 * MIB);
	r = preadv(fd, in, PIECES, 4 * MIB);
	for (unsigned i = 0; i < PIECES; i++)
		same = same && pin_matches(in[i].iov_base, PIECE, 100 + i);
	(void)pin_check(w == PIECES * PIECE && r == w && same,
			"%s: %u pieces out and in (%zd, %zd)", name, PIECES, w, r);
}

static void check_registered(int fd, const char *name, uint8_t *mem, size_t len)
{
	const struct iovec iov = { mem, len };
	struct io_uring ring;
	int w, r = io_uring_queue_init(4, &ring, 0);

	if (r == 0)
		r = io_uring_register_buffers(&ring, &iov, 1);
	if (!pin_check(r == 0, "%s: buffers are registered (%d)", name, r))
		return;
	pin_fill(mem + PIECE, MIB, 23);
	memset(mem + 8 * MIB, 0, MIB);
	io_uring_prep_write_fixed(io_uring_get_sqe(&ring), fd, mem + PIECE, MIB, 0, 0);
	w = pin_complete(&ring);
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), fd, mem + 8 * MIB, MIB, 0, 0);
	r = pin_complete(&ring);
	(void)pin_check(w == MIB && r == w && pin_matches(mem + 8 * MIB, MIB, 23),
			"%s: a registered buffer out and in (%d, %d)", name, w, r);
	io_uring_queue_exit(&ring);
}

/* What the daemon's fallback is for. */
static void check_refused(int fd, const char *name, gpa_t gpa)
{
	uint8_t *mem = map_refused(gpa);
	ssize_t n;

	if (!mem)
		return;
	n = pread(fd, mem, PIECE, 0);
	(void)pin_check(n < 0 && (errno == EFAULT || errno == EEXIST),
			"%s: not with the switch off (%zd)", name, n);
	(void)munmap(mem, MIB);
}

static void check_block(const char *name, uint8_t *mem, gpa_t gpa, size_t len)
{
	char path[300];
	int fd;

	(void)snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (!pin_check(fd >= 0, "%s is opened", path))
		return;
	check_whole(fd, name, mem);
	check_pieces(fd, name, mem);
	check_registered(fd, name, mem, len);
	check_refused(fd, name, gpa);
	(void)close(fd);
}

/* ---- NVMe passthrough ------------------------------------------------------------------------ */

struct pass {
	struct io_uring ring;
	int fd;
	uint32_t nsid, block;
};

/* One READ or WRITE of whole blocks from block 0. The NVMe status or -errno. */
static int pass_do(struct pass *p, uint8_t opcode, const struct iovec *iov, unsigned n, size_t len,
		   bool fixed)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->ring);
	struct nvme_cmd cmd = {
		.opcode = opcode,
		.nsid = p->nsid,
		.addr = fixed ? (uintptr_t)iov->iov_base : (uintptr_t)iov,
		.data_len = fixed ? (uint32_t)len : n,
		.cdw12 = (uint32_t)(len / p->block) - 1,
	};

	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, p->fd, NULL, 0, 0);
	sqe->cmd_op = fixed ? NVME_URING_CMD_IO : NVME_URING_CMD_IO_VEC;
	sqe->uring_cmd_flags = fixed ? IORING_URING_CMD_FIXED : 0;
	sqe->buf_index = 0;
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
	return pin_complete(&p->ring);
}

static void check_vectored(struct pass *p, const char *name, uint8_t *mem)
{
	/* Neighbours in the command, not in memory; one lies across huge pages. */
	const struct iovec out[2] = { { mem + 2 * MIB - PIECE, 2 * PIECE }, { mem, PIECE } };
	const struct iovec in[2] = { { mem + 8 * MIB, PIECE }, { mem + 12 * MIB, 2 * PIECE } };
	int w, r;

	pin_fill(out[0].iov_base, out[0].iov_len, 31);
	pin_fill(out[1].iov_base, out[1].iov_len, 31);
	w = pass_do(p, NVME_WRITE, out, 2, 3 * (size_t)PIECE, false);
	r = pass_do(p, NVME_READ, in, 2, 3 * (size_t)PIECE, false);
	(void)pin_check(w == 0 && r == 0 && pin_matches(in[0].iov_base, PIECE, 31) &&
				memcmp(in[1].iov_base, mem + 2 * MIB, PIECE) == 0 &&
				memcmp(mem + 12 * MIB + PIECE, mem, PIECE) == 0,
			"%s: commands with a list of pieces (%d, %d)", name, w, r);
}

static void check_pass_fixed(struct pass *p, const char *name, uint8_t *mem, size_t len)
{
	const struct iovec all = { mem, len }, out = { mem + PIECE, 4 * PIECE },
			   in = { mem + 8 * MIB, 4 * PIECE };
	int r = io_uring_register_buffers(&p->ring, &all, 1), w = -1;

	pin_fill(out.iov_base, out.iov_len, 33);
	memset(in.iov_base, 0, in.iov_len);
	if (r == 0)
		w = pass_do(p, NVME_WRITE, &out, 1, out.iov_len, true);
	if (w == 0)
		r = pass_do(p, NVME_READ, &in, 1, in.iov_len, true);
	(void)pin_check(w == 0 && r == 0 && pin_matches(in.iov_base, in.iov_len, 33),
			"%s: commands with a registered buffer (%d, %d)", name, w, r);
}

static void check_pass_refused(struct pass *p, const char *name, gpa_t gpa)
{
	struct iovec iov = { map_refused(gpa), PIECE };
	int r;

	if (!iov.iov_base)
		return;
	r = pass_do(p, NVME_READ, &iov, 1, PIECE, false);
	(void)pin_check(r == -EFAULT || r == -EEXIST, "%s: not with the switch off (%d)", name, r);
	(void)munmap(iov.iov_base, MIB);
}

static uint32_t block_size(const char *name)
{
	char path[300], text[16] = "";
	unsigned ctrl, ns, size = 512;
	int fd;

	if (sscanf(name, "ng%un%u", &ctrl, &ns) != 2)
		return size;
	(void)snprintf(path, sizeof(path), "/sys/block/nvme%un%u/queue/logical_block_size", ctrl,
		       ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		(void)sscanf(text, "%u", &size);
	if (fd >= 0)
		(void)close(fd);
	return size;
}

static void check_namespace(const char *name, uint8_t *mem, gpa_t gpa, size_t len)
{
	struct pass p = { .block = block_size(name) };
	char path[300];
	int r;

	(void)snprintf(path, sizeof(path), "/dev/%s", name);
	p.fd = open(path, O_RDWR | O_CLOEXEC);
	r = p.fd < 0 ? -errno : ioctl(p.fd, NVME_IOCTL_ID);
	p.nsid = (uint32_t)r;
	if (r > 0)
		r = io_uring_queue_init(4, &p.ring, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);
	if (!pin_check(r == 0, "%s is opened (%d)", path, r))
		return;
	check_vectored(&p, name, mem);
	check_pass_fixed(&p, name, mem, len);
	check_pass_refused(&p, name, gpa);
	io_uring_queue_exit(&p.ring);
	(void)close(p.fd);
}

/* ---- all there are --------------------------------------------------------------------------- */

/* Whole disks: nvmeXnY, sdX. */
static bool is_disk(const char *name)
{
	unsigned ctrl, ns;

	return sscanf(name, "nvme%un%u", &ctrl, &ns) == 2 || strncmp(name, "sd", 2) == 0;
}

static unsigned each(const char *dir, bool (*wanted)(const char *name),
		     void (*check)(const char *name, uint8_t *mem, gpa_t gpa, size_t len),
		     uint8_t *mem, gpa_t gpa, size_t len)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	unsigned n = 0;

	while (d && (de = readdir(d))) {
		if (!wanted(de->d_name))
			continue;
		n++;
		if (check)
			check(de->d_name, mem, gpa, len);
	}
	if (d)
		(void)closedir(d);
	return n;
}

static bool is_namespace(const char *name)
{
	unsigned ctrl, ns;

	return sscanf(name, "ng%un%u", &ctrl, &ns) == 2;
}

void pin_disks(uint8_t *mem, gpa_t gpa, size_t len)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WAIT_S && !n; i++) {
		n = each("/sys/block", is_disk, NULL, NULL, 0, 0);
		if (!n)
			(void)sleep(1);
	}
	if (!pin_check(n > 0, "there are disks (%u)", n))
		return;
	(void)sleep(1);
	(void)each("/sys/block", is_disk, check_block, mem, gpa, len);
	n = each("/dev", is_namespace, check_namespace, mem, gpa, len);
	pin_say("%u namespaces", n);
}
