/* SPDX-License-Identifier: MIT */
#include "uio_chan.h"

#include "cleanup.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOG_AREA "uio"
#define MAP_PAGES_MAX (2 * (RING_MAX_PAGES + 1))
#define POLL_STEP_NS 5000000L

struct uio_chan {
	int fd;
	void *map;
	size_t map_len;
	void **pages; /* data pages of both rings */
	struct pipe pipe;
	struct loop_fd lfd;
	bool watching;
	bool gone_told;
};

/* Name of the one entry "uio<number>" under the device; -ENOENT when there is none (yet). */
static int find_uio(const char *dir, char *ret_name, size_t cap)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	int r = -ENOENT;

	if (!d)
		return errno == ENOENT ? -ENOENT : -errno;
	while ((de = readdir(d))) {
		if (strncmp(de->d_name, "uio", 3) || strspn(de->d_name + 3, "0123456789") == 0)
			continue;
		r = snprintf(ret_name, cap, "%s", de->d_name) < (int)cap ? 0 : -ENAMETOOLONG;
		break;
	}
	(void)closedir(d);
	return r;
}

/* A number such as 0x22000 in a one-line sysfs file. */
static int read_number(const char *path, uint64_t *ret_val)
{
	char text[32];
	char *end;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = 0;
	errno = 0;
	*ret_val = strtoull(text, &end, 0);
	return errno || end == text || (*end && *end != '\n') ? -EBADMSG : 0;
}

static void uio_signal(void *transport)
{
	struct uio_chan *uc = transport;
	const uint32_t one = 1;

	/* Fails only once the channel is gone, which the poll reports. */
	if (write(uc->fd, &one, sizeof(one)) < 0)
		log_debug_rl(ALLOWED, "signal failed: errno %d", errno);
}

/* Both rings lie one after the other and have the same size: control page, then data. */
static int attach_rings(struct uio_chan *uc)
{
	const uint32_t half = (uint32_t)(uc->map_len / KEEL_PAGE_SIZE / 2);
	char *base = uc->map;
	struct ring_mem out = { .ctl = base, .n_pages = half - 1 };
	struct ring_mem in = { .ctl = base + (size_t)half * KEEL_PAGE_SIZE, .n_pages = half - 1 };

	uc->pages = calloc((size_t)half * 2, sizeof(*uc->pages));
	if (!uc->pages)
		return -ENOMEM;
	for (uint32_t i = 0; i < half - 1; i++) {
		uc->pages[i] = (char *)out.ctl + (size_t)(i + 1) * KEEL_PAGE_SIZE;
		uc->pages[half + i] = (char *)in.ctl + (size_t)(i + 1) * KEEL_PAGE_SIZE;
	}
	out.pages = uc->pages;
	in.pages = uc->pages + half;
	return pipe_attach(&uc->pipe, &out, &in, uio_signal, uc);
}

static int open_and_map(struct uio_chan *uc, const char *name, uint64_t map_len)
{
	char path[48];
	int r;

	if (map_len % (2 * KEEL_PAGE_SIZE) || map_len < 4 * KEEL_PAGE_SIZE ||
	    map_len > (uint64_t)MAP_PAGES_MAX * KEEL_PAGE_SIZE)
		return -EBADMSG;
	r = snprintf(path, sizeof(path), "/dev/%s", name);
	if (r < 0 || (size_t)r >= sizeof(path))
		return -ENAMETOOLONG;
	uc->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (uc->fd < 0)
		return -errno;
	uc->map = mmap(NULL, map_len, PROT_READ | PROT_WRITE, MAP_SHARED, uc->fd, 0);
	if (uc->map == MAP_FAILED) {
		uc->map = NULL;
		return -errno;
	}
	uc->map_len = map_len;
	return attach_rings(uc);
}

int uio_chan_open(const struct guid *instance, struct uio_chan **ret_uc)
{
	char id[GUID_STR_LEN + 1], dir[96], name[24], file[160];
	struct uio_chan *uc;
	uint64_t map_len;
	int r;

	guid_format(instance, id);
	(void)snprintf(dir, sizeof(dir), "/sys/bus/vmbus/devices/%s/uio", id);
	r = find_uio(dir, name, sizeof(name));
	if (r < 0)
		return r;
	(void)snprintf(file, sizeof(file), "%s/%s/maps/map0/size", dir, name);
	r = read_number(file, &map_len);
	if (r < 0)
		return r;
	uc = calloc(1, sizeof(*uc));
	if (!uc)
		return -ENOMEM;
	uc->fd = -1;
	r = open_and_map(uc, name, map_len);
	if (r < 0) {
		uio_chan_close(uc);
		return r;
	}
	*ret_uc = uc;
	return 0;
}

int uio_chan_wait(const struct guid *instance, unsigned timeout_ms, struct uio_chan **ret_uc)
{
	const uint64_t end = loop_now_ns() + (uint64_t)timeout_ms * 1000000;
	const struct timespec step = { .tv_nsec = POLL_STEP_NS };

	for (;;) {
		int r = uio_chan_open(instance, ret_uc);

		if (r != -ENOENT || loop_now_ns() >= end)
			return r;
		(void)nanosleep(&step, NULL);
	}
}

struct pipe *uio_chan_pipe(struct uio_chan *uc)
{
	return &uc->pipe;
}

static void tell_gone(struct uio_chan *uc)
{
	if (uc->watching) {
		uc->watching = false;
		loop_fd_remove(&uc->lfd);
	}
	uc->pipe.failed = true;
	if (!uc->gone_told && uc->pipe.gone) {
		uc->gone_told = true;
		uc->pipe.gone(uc->pipe.user);
	}
}

static void on_event(void *ctx, uint32_t events)
{
	struct uio_chan *uc = ctx;
	uint32_t count;
	ssize_t n = read(uc->fd, &count, sizeof(count));

	if (n == (ssize_t)sizeof(count)) {
		if (uc->pipe.wake)
			uc->pipe.wake(uc->pipe.user);
	} else if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
		log_warn(ALLOWED, "channel revoked by the host");
		tell_gone(uc);
	} else if (events & POLLERR) {
		tell_gone(uc);
	}
}

int uio_chan_start(struct uio_chan *uc, struct loop *loop)
{
	int r = loop_fd_add(&uc->lfd, loop, uc->fd, POLLIN, on_event, uc);

	if (r < 0)
		return r;
	uc->watching = true;
	if (uc->pipe.wake)
		uc->pipe.wake(uc->pipe.user);
	return 0;
}

int uio_chan_wait_event(struct uio_chan *uc, int timeout_ms)
{
	struct pollfd pfd = { .fd = uc->fd, .events = POLLIN };
	uint32_t count;
	ssize_t n;
	int r = poll(&pfd, 1, timeout_ms);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0)
		return -ETIMEDOUT;
	n = read(uc->fd, &count, sizeof(count));
	if (n == (ssize_t)sizeof(count))
		return 0;
	return n < 0 && errno == EINTR ? 0 : -EPIPE;
}

void uio_chan_close(struct uio_chan *uc)
{
	if (!uc)
		return;
	if (uc->watching)
		loop_fd_remove(&uc->lfd);
	if (uc->map)
		(void)munmap(uc->map, uc->map_len);
	if (uc->fd >= 0)
		(void)close(uc->fd);
	free(uc->pages);
	free(uc);
}
