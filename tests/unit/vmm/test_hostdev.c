/* SPDX-License-Identifier: MIT */
/* The host's storage devices in sysfs: found piece by piece as they appear, never by mistake. */
#include "hostdev.h"

#include "fake_sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

static const struct guid inst =
	GUID_INIT(0xbf66a3ce, 0x2c8d, 0x4443, 0xa1, 0xc2, 0x59, 0xf5, 0x8e, 0x4f, 0xcb, 0x14);
#define ID "bf66a3ce-2c8d-4443-a1c2-59f58e4fcb14"
#define VMBUS "sys/bus/vmbus/devices/" ID
#define NVME VMBUS "/pci2c8d:00/2c8d:00:00.0/nvme/nvme3"

static struct fake_sysfs fs;

static int find(enum vtl2s_device_type type, uint32_t sub, struct hostdev *hd)
{
	const struct vtl2s_device d = { .type = type, .path = inst, .sub_path = sub };

	memset(hd, 0xff, sizeof(*hd));
	return hostdev_find(&fs.roots, &d, hd);
}

static void text_of(char *ret_text, size_t size, const char *path)
{
	char full[256];
	ssize_t n;
	int fd;

	snprintf(full, sizeof(full), "%s/%s", fs.top, path);
	fd = open(full, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, ret_text, size - 1);
	ck_assert_int_ge(n, 0);
	ret_text[n] = 0;
	close(fd);
}

START_TEST(nvme_as_it_appears)
{
	struct hostdev hd;
	char want[256];

	fake_sysfs_init(&fs);
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "", VMBUS "/device");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "", VMBUS "/pci2c8d:00/power/control");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "", VMBUS "/pci2c8d:00/2c8d:00:00.0/vendor");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "", NVME "/state");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	/* other namespaces, a path of a multipath device, things that look alike */
	fake_sysfs_file(&fs, "1\n", NVME "/nvme3n1/nsid");
	fake_sysfs_file(&fs, "77\n", NVME "/nvme3n77/nsid");
	fake_sysfs_file(&fs, "7\n", NVME "/nvme3c3n7/nsid");
	fake_sysfs_file(&fs, "7\n", NVME "/nvme3nx/nsid");
	fake_sysfs_file(&fs, "7x\n", NVME "/nvme3n8/nsid");
	fake_sysfs_file(&fs, "", NVME "/nvme3n9/nsid");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "7\n", NVME "/nvme3n2/nsid");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "", "dev/nvme3n2");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "", "sys/block/nvme3n2/bdi");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "", "dev/ng3n2");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 7, &hd), 0);
	ck_assert_str_eq(hd.block_name, "nvme3n2");
	snprintf(want, sizeof(want), "%s/ng3n2", fs.dev);
	ck_assert_str_eq(hd.nvme_path, want);
	snprintf(want, sizeof(want), "%s/nvme3n2", fs.dev);
	ck_assert_str_eq(hd.block_path, want);
	/* nobody else's */
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 8, &hd), -EAGAIN);
	ck_assert_int_eq(find(VTL2S_DEV_VSCSI, 7, &hd), -EAGAIN);
	fake_sysfs_fini(&fs);
}
END_TEST

/* The kernel chose another number for the bus than the instance suggests. */
START_TEST(bus_of_another_number)
{
	struct hostdev hd;

	fake_sysfs_init(&fs);
	fake_sysfs_file(&fs, "1\n", VMBUS "/pci0001:00/0001:00:00.0/nvme/nvme0/nvme0n1/nsid");
	fake_sysfs_file(&fs, "", "dev/nvme0n1");
	fake_sysfs_file(&fs, "", "dev/ng0n1");
	fake_sysfs_file(&fs, "", "sys/block/nvme0n1/bdi");
	ck_assert_int_eq(find(VTL2S_DEV_NVME, 1, &hd), 0);
	ck_assert_str_eq(hd.block_name, "nvme0n1");
	fake_sysfs_fini(&fs);
}
END_TEST

START_TEST(scsi_as_it_appears)
{
	struct hostdev hd;
	char text[32];

	fake_sysfs_init(&fs);
	ck_assert_int_eq(find(VTL2S_DEV_VSCSI, 2, &hd), -EAGAIN);
	fake_sysfs_file(&fs, "", VMBUS "/hostess/x");
	fake_sysfs_file(&fs, "", VMBUS "/host/x");
	ck_assert_int_eq(find(VTL2S_DEV_VSCSI, 2, &hd), -EAGAIN);
	fake_sysfs_scsi(&fs, &inst, 5, 1, "sda", 4096);
	ck_assert_int_eq(find(VTL2S_DEV_VSCSI, 2, &hd), -EAGAIN);
	fake_sysfs_scsi(&fs, &inst, 5, 2, "sdb", 4096);
	ck_assert_int_eq(find(VTL2S_DEV_VSCSI, 2, &hd), 0);
	ck_assert_str_eq(hd.block_name, "sdb");
	ck_assert_str_eq(hd.nvme_path, "");
	ck_assert_int_eq(hostdev_set_up(&fs.roots, &hd), 0);
	text_of(text, sizeof(text), "sys/block/sdb/queue/nomerges");
	ck_assert_str_eq(text, "2");
	text_of(text, sizeof(text), "sys/block/sdb/queue/scheduler");
	ck_assert_int_eq(strncmp(text, "none", 4), 0);
	fake_sysfs_remove(&fs, "sys/block/sdb/queue");
	ck_assert_int_eq(hostdev_set_up(&fs.roots, &hd), -ENOENT);
	fake_sysfs_fini(&fs);
}
END_TEST

UNIT_MAIN("vmm/hostdev", nvme_as_it_appears, bus_of_another_number, scsi_as_it_appears)
