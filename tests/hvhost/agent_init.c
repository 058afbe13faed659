/* SPDX-License-Identifier: MIT */
/*
 * hvhost as PID 1 of the outer VM: nothing else runs there. What it needs is in the initramfs:
 * /modules/ with modules.list in load order. The link is the virtio-serial port "keel.link", the
 * image is the virtio disk.
 */

#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "macros.h"

#define DEBUG_EXIT_PORT 0x501
#define PORT_NAME "keel.link"
#define PORT_TRIES 500 /* of 10 ms: the device appears a moment after its driver loads */

static void mount_all(void)
{
	(void)mkdir("/proc", 0555);
	(void)mkdir("/sys", 0555);
	(void)mkdir("/dev", 0755);
	(void)mkdir("/run", 0755);
	(void)mkdir("/tmp", 01777);
	(void)mount("proc", "/proc", "proc", 0, NULL);
	(void)mount("sysfs", "/sys", "sysfs", 0, NULL);
	(void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	(void)mount("tmpfs", "/run", "tmpfs", 0, NULL);
}

static void write_text(const char *path, const char *text)
{
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "agent: cannot write %s: %s\n", path, strerror(errno));
}

static void load_module(const char *name)
{
	char path[300];
	auto_close int fd = -1;

	snprintf(path, sizeof(path), "/modules/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
		fprintf(stderr, "agent: cannot load %s: %s\n", path, strerror(errno));
}

static void load_modules(void)
{
	char line[256];
	FILE *f = fopen("/modules/modules.list", "re");

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0])
			load_module(line);
	}
	(void)fclose(f);
}

static bool port_is_ours(const char *name)
{
	char path[300], text[64] = "";
	auto_close int fd = -1;

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
	       strncmp(text, PORT_NAME, strlen(PORT_NAME)) == 0;
}

static int open_port_once(void)
{
	DIR *d = opendir("/sys/class/virtio-ports");
	const struct dirent *e;
	char path[300];
	int fd = -1;

	if (!d)
		return -1;
	while (fd < 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.' || !port_is_ours(e->d_name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	(void)closedir(d);
	return fd;
}

static int open_port(void)
{
	for (int i = 0; i < PORT_TRIES; i++) {
		int fd = open_port_once();

		if (fd >= 0)
			return fd;
		(void)usleep(10000);
	}
	fprintf(stderr, "agent: no virtio-serial port " PORT_NAME "\n");
	return -1;
}

_Noreturn void agent_init(void)
{
	int fd, status = 125;

	mount_all();
	load_modules();
	/* Huge pages for guest memory: fewer nested page faults. */
	write_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "force");
	/* And none of them moved about later: each move is a round of nested page faults. */
	write_text("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
		   "4294967295");
	fd = open_port();
	if (fd >= 0)
		status = agent_run(fd);
	sync();
	if (iopl(3) == 0) /* QEMU exits with (value << 1) | 1 */
		outl((unsigned)status, DEBUG_EXIT_PORT);
	(void)reboot(RB_POWER_OFF);
	for (;;)
		(void)pause();
}
