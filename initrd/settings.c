/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cleanup.h"
#include "initlog.h"

#define UIO_NEW_ID "/sys/bus/vmbus/drivers/uio_hv_generic/new_id"
#define SEED_MAX 256
#define NOFILE_LIMIT 0x100000

/* The dump helper gets the crashed process, thread, signal and name. Empty: there is no dump. */
#define CORE_HELPER "|/bin/underhill-crash %p %i %s %e"
#define CORE_NONE "\n"

struct setting {
	const char *path, *value;
};

static const struct setting settings[] = {
	/* A thread per VP and its helpers, for the largest machine. */
	{ "/proc/sys/kernel/threads-max", "32768" },
	{ "/proc/sys/kernel/kptr_restrict", "1" },
	/* Without memory the paravisor cannot be what the guest relies on: reset at once. */
	{ "/proc/sys/vm/panic_on_oom", "1" },
	/* VTL2 is small; the default reserves are meant for machines a thousand times larger. */
	{ "/proc/sys/vm/min_free_kbytes", "1024" },
	{ "/proc/sys/vm/watermark_scale_factor", "1" },
	{ "/proc/sys/vm/watermark_boost_factor", "0" },
	/* Only the mappings of VTL0's memory ask for huge pages. */
	{ "/sys/kernel/mm/transparent_hugepage/enabled", "madvise" },
	/* VMBus channels the daemon serves itself: host requests (GET), UART, crash dump. */
	{ UIO_NEW_ID, "8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0" },
	{ UIO_NEW_ID, "8b60ccf6-709f-4c11-90b5-229c959a9e6a" },
	{ UIO_NEW_ID, "427b03e7-4ceb-4286-b5fc-486f4a1dd439" },
};

/* One dump at a time, for which the crashed process waits; roles that changed their user, too. */
static const struct setting dump_settings[] = {
	{ "/proc/sys/kernel/core_pattern", CORE_HELPER },
	{ "/proc/sys/kernel/core_pipe_limit", "1" },
	{ "/proc/sys/fs/suid_dumpable", "2" },
};

static const struct setting no_dump_settings[] = {
	{ "/proc/sys/kernel/core_pattern", CORE_NONE },
	{ "/proc/sys/fs/suid_dumpable", "0" },
};

/* One write, as the files of proc and sysfs want it. */
static int write_file(const char *path, const char *value)
{
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, value, strlen(value));
	if (n < 0)
		return -errno;
	return (size_t)n == strlen(value) ? 0 : -EIO;
}

static unsigned apply(const char *root, const struct setting *set, size_t n_set)
{
	unsigned failed = 0;

	for (size_t i = 0; i < n_set; i++) {
		char path[256];
		int n = snprintf(path, sizeof(path), "%s%s", root, set[i].path);
		int r = n < 0 || n >= (int)sizeof(path) ? -ENAMETOOLONG
							: write_file(path, set[i].value);

		/* An id that is known already is as good as a new one. */
		if (r == 0 || r == -EEXIST)
			continue;
		initlog_warn("cannot write %s: %s", set[i].path, strerror(-r));
		failed++;
	}
	return failed;
}

unsigned settings_apply(const char *root, bool dumps)
{
	unsigned failed = apply(root, settings, ARRAY_SIZE(settings));

	return failed + (dumps ? apply(root, dump_settings, ARRAY_SIZE(dump_settings))
			       : apply(root, no_dump_settings, ARRAY_SIZE(no_dump_settings)));
}

/* struct rand_pool_info of the kernel's interface with room for the bytes. */
struct seed {
	int entropy_count; /* bits */
	int buf_size;
	unsigned char bytes[SEED_MAX];
};
BUILD_ASSERT(offsetof(struct seed, bytes) == offsetof(struct rand_pool_info, buf), "layout");

static int feed(const struct seed *seed, bool credit)
{
	auto_close int fd = open("/dev/random", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (credit)
		return ioctl(fd, RNDADDENTROPY, seed) < 0 ? -errno : 0;
	return write(fd, seed->bytes, (size_t)seed->buf_size) < 0 ? -errno : 0;
}

int settings_entropy(bool credit)
{
	auto_close int fd = open("/proc/device-tree/openhcl/entropy/reg", O_RDONLY | O_CLOEXEC);
	struct seed seed = { 0 };
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = read(fd, seed.bytes, sizeof(seed.bytes));
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ENOENT;
	seed.buf_size = (int)n;
	seed.entropy_count = (int)n * 8;
	r = feed(&seed, credit);
	explicit_bzero(&seed, sizeof(seed));
	return r;
}

int settings_nvme_vfio(void)
{
	/* vendor device subvendor subdevice class mask: any controller of the NVMe class */
	return write_file("/sys/bus/pci/drivers/vfio-pci/new_id",
			  "ffffffff ffffffff ffffffff ffffffff 010802 ffffff");
}

int settings_limits(void)
{
	const struct rlimit nofile = { NOFILE_LIMIT, NOFILE_LIMIT }, core = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &core) < 0 || setrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return -errno;
	return 0;
}
