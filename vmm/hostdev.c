/* SPDX-License-Identifier: MIT */
#include "hostdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define SYS_PATH 512u

/* ---- sysfs ----------------------------------------------------------------------------------- */

/* Decimal digits and nothing else. */
static bool to_number(const char *text, size_t len, uint32_t *ret_val)
{
	uint64_t val = 0;

	if (!len || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		val = val * 10 + (uint64_t)(text[i] - '0');
	}
	if (val > UINT32_MAX)
		return false;
	*ret_val = (uint32_t)val;
	return true;
}

static int read_number(const char *path, uint32_t *ret_val)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[16];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return -errno;
	while (n && text[n - 1] == '\n')
		n--;
	return to_number(text, (size_t)n, ret_val) ? 0 : -EBADMSG;
}

static int write_text(const char *path, const char *text)
{
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/*
 * The first entry of a directory that @fits; appended to @dir, which has room for SYS_PATH bytes.
 * Returns: 0; -EAGAIN: no such entry, or no such directory; -errno
 */
static int descend(char *dir, bool (*fits)(const char *dir, const char *name, uint32_t arg),
		   uint32_t arg)
{
	const size_t len = strlen(dir);
	struct dirent *de;
	DIR *d = opendir(dir);
	int r = -EAGAIN;

	if (!d)
		return errno == ENOENT ? -EAGAIN : -errno;
	while ((de = readdir(d))) {
		if (de->d_name[0] == '.' || !fits(dir, de->d_name, arg))
			continue;
		r = snprintf(dir + len, SYS_PATH - len, "/%s", de->d_name) < (int)(SYS_PATH - len)
			    ? 0
			    : -ENAMETOOLONG;
		break;
	}
	(void)closedir(d);
	return r;
}

static void vmbus_dir(const struct hostdev_roots *roots, const struct guid *instance,
		      char ret_dir[SYS_PATH])
{
	char id[GUID_STR_LEN + 1];

	guid_format(instance, id);
	(void)snprintf(ret_dir, SYS_PATH, "%s/bus/vmbus/devices/%s", roots->sys, id);
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- block devices --------------------------------------------------------------------------- */

/* The entry in sysfs comes before the device can be opened; until then that says ENXIO. */
static int check_ready(const struct hostdev_roots *roots, const struct hostdev *hd)
{
	auto_close int fd = open(hd->block_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char path[SYS_PATH];

	if (fd < 0)
		/* Any other error will be told by who opens it for use. */
		return errno == ENXIO || errno == ENOENT ? -EAGAIN : 0;
	(void)snprintf(path, sizeof(path), "%s/block/%s/bdi", roots->sys, hd->block_name);
	return exists(path) ? 0 : -EAGAIN;
}

static int set_block(const struct hostdev_roots *roots, const char *name, struct hostdev *hd)
{
	if ((size_t)snprintf(hd->block_name, sizeof(hd->block_name), "%s", name) >=
		    sizeof(hd->block_name) ||
	    (size_t)snprintf(hd->block_path, sizeof(hd->block_path), "%s/%s", roots->dev, name) >=
		    sizeof(hd->block_path))
		return -ENAMETOOLONG;
	return check_ready(roots, hd);
}

int hostdev_set_up(const struct hostdev_roots *roots, const struct hostdev *hd)
{
	char path[SYS_PATH];
	int r;

	(void)snprintf(path, sizeof(path), "%s/block/%s/queue/scheduler", roots->sys,
		       hd->block_name);
	r = write_text(path, "none");
	if (r)
		return r;
	(void)snprintf(path, sizeof(path), "%s/block/%s/queue/nomerges", roots->sys,
		       hd->block_name);
	return write_text(path, "2"); /* none at all */
}

/* ---- NVMe ------------------------------------------------------------------------------------ */

/* "pci1234:00": the bus behind the channel. The kernel may have given it another number than the
 * instance suggests. */
static bool is_pci_bus(const char *dir, const char *name, uint32_t arg)
{
	(void)dir;
	(void)arg;
	return strncmp(name, "pci", 3) == 0 && strchr(name, ':') != NULL;
}

/* "1234:00:00.0" */
static bool is_function_0(const char *dir, const char *name, uint32_t arg)
{
	const size_t len = strlen(name);

	(void)dir;
	(void)arg;
	return len > 8 && strcmp(name + len - 8, ":00:00.0") == 0;
}

/* Two numbers with these words before them: "nvme0n1" by "nvme" and "n". */
static bool two_numbers(const char *name, const char *first, uint32_t *ret_a, uint32_t *ret_b)
{
	const char *n;

	if (strncmp(name, first, strlen(first)) != 0)
		return false;
	name += strlen(first);
	n = strchr(name, 'n');
	return n && to_number(name, (size_t)(n - name), ret_a) &&
	       to_number(n + 1, strlen(n + 1), ret_b);
}

static bool is_controller(const char *dir, const char *name, uint32_t arg)
{
	uint32_t n;

	(void)dir;
	(void)arg;
	return strncmp(name, "nvme", 4) == 0 && to_number(name + 4, strlen(name + 4), &n);
}

static bool is_namespace(const char *dir, const char *name, uint32_t nsid)
{
	uint32_t ctrl, ns, is;
	char path[SYS_PATH];

	if (!two_numbers(name, "nvme", &ctrl, &ns))
		return false;
	(void)snprintf(path, sizeof(path), "%s/%s/nsid", dir, name);
	return read_number(path, &is) == 0 && is == nsid;
}

static int find_nvme(const struct hostdev_roots *roots, const struct vtl2s_device *d,
		     struct hostdev *hd)
{
	uint32_t ctrl, ns;
	char dir[SYS_PATH];
	int r;

	vmbus_dir(roots, &d->path, dir);
	r = descend(dir, is_pci_bus, 0);
	if (r == 0)
		r = descend(dir, is_function_0, 0);
	if (r)
		return r;
	if (strlen(dir) + sizeof("/nvme") > sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir + strlen(dir), "/nvme", sizeof("/nvme"));
	r = descend(dir, is_controller, 0);
	if (r == 0)
		r = descend(dir, is_namespace, d->sub_path);
	if (r == 0)
		r = set_block(roots, last_name(dir), hd);
	if (r)
		return r;
	if (!two_numbers(hd->block_name, "nvme", &ctrl, &ns))
		return -EBADMSG;
	(void)snprintf(hd->nvme_path, sizeof(hd->nvme_path), "%s/ng%un%u", roots->dev, ctrl, ns);
	/* Made right after the block device; a kernel that has none of these at all is too old. */
	return exists(hd->nvme_path) ? 0 : -EAGAIN;
}

/* ---- SCSI ------------------------------------------------------------------------------------ */

static bool is_scsi_host(const char *dir, const char *name, uint32_t arg)
{
	uint32_t n;

	(void)dir;
	(void)arg;
	return strncmp(name, "host", 4) == 0 && to_number(name + 4, strlen(name + 4), &n);
}

static bool is_anything(const char *dir, const char *name, uint32_t arg)
{
	(void)dir;
	(void)name;
	(void)arg;
	return true;
}

static int find_scsi(const struct hostdev_roots *roots, const struct vtl2s_device *d,
		     struct hostdev *hd)
{
	char dir[SYS_PATH];
	uint32_t host;
	int r;

	vmbus_dir(roots, &d->path, dir);
	r = descend(dir, is_scsi_host, 0);
	if (r)
		return r;
	if (!to_number(last_name(dir) + 4, strlen(last_name(dir) + 4), &host))
		return -EBADMSG;
	(void)snprintf(dir, sizeof(dir), "%s/bus/scsi/devices/%u:0:0:%u/block", roots->sys, host,
		       d->sub_path);
	r = descend(dir, is_anything, 0);
	return r ? r : set_block(roots, last_name(dir), hd);
}

int hostdev_find(const struct hostdev_roots *roots, const struct vtl2s_device *d,
		 struct hostdev *ret_hd)
{
	struct hostdev hd = { 0 };
	int r = -EINVAL;

	switch (d->type) {
	case VTL2S_DEV_NVME:
		r = find_nvme(roots, d, &hd);
		break;
	case VTL2S_DEV_VSCSI:
		r = find_scsi(roots, d, &hd);
		break;
	}
	if (r == 0)
		*ret_hd = hd;
	return r;
}
