/* SPDX-License-Identifier: MIT */
/* From VTL2 settings to controllers, units and disks, at start and while VTL0 runs. */
#include "storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../hvhost/settings_host.h"
#include "fake_sysfs.h"
#include "inspect_get.h"
#include "mock_storage.h"
#include "unit.h"

static struct fake_sysfs fs;
static struct loop *loop;
static struct storage *st;
static struct piix4_ide machine_ide;
static bool with_ide, with_pci;
static char pci; /* stands for VTL0's bus */

static const struct guid nvme_a = GUID_INIT(0xa0000000, 0x1111, 0, 0, 0, 0, 0, 0, 0, 0, 1);
static const struct guid nvme_b = GUID_INIT(0xb0000000, 0x2222, 0, 0, 0, 0, 0, 0, 0, 0, 2);
static const struct guid scsi_a = GUID_INIT(0xc0000000, 0x3333, 0, 0, 0, 0, 0, 0, 0, 0, 3);

/* ---- settings -------------------------------------------------------------------------------- */

static struct vtl2s_lun luns[8];
static struct vtl2s_device devs[8][4];
static struct vtl2s_controller ctrls[2];
static struct vtl2_settings set;

static struct vtl2s_lun *lun(uint32_t i, uint32_t location, enum vtl2s_device_type type,
			     const struct guid *path, uint32_t sub)
{
	devs[i][0] = (struct vtl2s_device){ type, *path, sub };
	luns[i] = (struct vtl2s_lun){ .location = location,
				      .device_id = { .d1 = i + 1 },
				      .vendor = "Msft",
				      .product = "Virtual Disk",
				      .revision = "1.0",
				      .n_devices = 1,
				      .devices = devs[i] };
	return &luns[i];
}

static void begin(void)
{
	memset(luns, 0, sizeof(luns));
	ctrls[0] = (struct vtl2s_controller){ .instance = { .d1 = 0x100 },
					      .protocol = VTL2S_SCSI,
					      .luns = luns };
	ctrls[1] = (struct vtl2s_controller){ .instance = GUID_INIT(0xf8b3781b, 0x1e82, 0x4818,
								    0xa1, 0xc3, 0x63, 0xd8, 0x06,
								    0xec, 0x15, 0xbb),
					      .protocol = VTL2S_SCSI,
					      .io_queue_depth = 5000,
					      .luns = luns + 4 };
	set = (struct vtl2_settings){ .scsi_sub_channels = 700,
				      .n_controllers = 1,
				      .controllers = ctrls };
}

static void setup(void)
{
	memset(&mock, 0, sizeof(mock));
	memset(&machine_ide, 0, sizeof(machine_ide));
	with_ide = with_pci = false;
	fake_sysfs_init(&fs);
	ck_assert_int_eq(loop_create(64, &loop), 0);
	fake_sysfs_nvme(&fs, &nvme_a, 0, 1, 1, 0);
	fake_sysfs_nvme(&fs, &nvme_a, 0, 2, 5, 0);
	fake_sysfs_scsi(&fs, &scsi_a, 2, 0, "sda", 0);
	begin();
}

static void teardown(void)
{
	storage_destroy(st);
	st = NULL;
	mock_ide_fini(&machine_ide);
	ck_assert_uint_eq(mock.ctrls, 0);
	ck_assert_uint_eq(mock.units, 0);
	ck_assert_uint_eq(mock.disks, 0);
	loop_destroy(loop);
	fake_sysfs_fini(&fs);
}

static struct loop *vp_loop(void *ctx, uint32_t vp)
{
	(void)ctx;
	(void)vp;
	return loop;
}

static int create(uint32_t wait_ms)
{
	const struct storage_cfg cfg = { .ctl = loop,
					 .vps = 4,
					 .vp_loop = vp_loop,
					 .ide = with_ide ? &machine_ide : NULL,
					 .pci = with_pci ? (struct pci_vtl0 *)(void *)&pci : NULL,
					 .wait_ms = wait_ms,
					 .bounce = DISK_BOUNCE_ALWAYS,
					 .roots = fs.roots };
	uint8_t *doc;
	size_t len;
	int r;

	ck_assert_int_eq(settings_host_write(&set, SETTINGS_PROTOBUF, &doc, &len), 0);
	r = storage_create(&cfg, doc, len, &st);
	free(doc);
	return r;
}

static struct {
	unsigned n;
	int err;
	char json[VTL2S_ERROR_JSON];
} answer;

static void on_done(void *ctx, int err, const char *json)
{
	(void)ctx;
	answer.n++;
	answer.err = err;
	snprintf(answer.json, sizeof(answer.json), "%s", json);
}

static void change(void)
{
	uint8_t *doc;
	size_t len;

	answer.n = 0;
	ck_assert_int_eq(settings_host_write(&set, SETTINGS_JSON, &doc, &len), 0);
	ck_assert_int_eq(storage_modify(st, doc, len, on_done, NULL), 0);
	free(doc);
}

static void expect_changed(void)
{
	ck_assert_uint_eq(answer.n, 1);
	ck_assert_msg(answer.err == 0, "%d %s", answer.err, answer.json);
	ck_assert_str_eq(answer.json, "");
}

static void expect_refused(int err, const char *id)
{
	ck_assert_uint_eq(answer.n, 1);
	ck_assert_int_eq(answer.err, err);
	ck_assert_msg(strstr(answer.json, id) != NULL, "%s", answer.json);
}

static bool path_ends(const struct disk *d, const char *name)
{
	const size_t n = strlen(d->path), m = strlen(name);

	return n > m && d->path[n - m - 1] == '/' && strcmp(d->path + n - m, name) == 0;
}

/* ---- start ----------------------------------------------------------------------------------- */

START_TEST(everything_at_start)
{
	const struct scsi_unit *u;

	setup();
	set.n_controllers = 2;
	lun(0, 0, VTL2S_DEV_NVME, &nvme_a, 5);
	luns[0].medium_rotation_rate = 7200;
	luns[0].physical_sector_size = 4096;
	luns[0].scsi_disk_size = 1 << 20;
	luns[0].max_transfer_length = 1ull << 40;
	luns[0].has_fua = luns[0].disable_thin_provisioning = true;
	snprintf(luns[0].serial, sizeof(luns[0].serial), "S1");
	lun(1, 63, VTL2S_DEV_NVME, &nvme_a, 1);
	devs[1][1] = (struct vtl2s_device){ VTL2S_DEV_VSCSI, scsi_a, 0 };
	luns[1].n_devices = 2;
	luns[1].chunk_kb = 64;
	luns[2] = (struct vtl2s_lun){ .location = 9, .is_dvd = true };
	ctrls[0].n_luns = 3;
	lun(4, 1, VTL2S_DEV_VSCSI, &scsi_a, 0)->is_dvd = true;
	ctrls[1].n_luns = 1;
	ck_assert_int_eq(create(0), 0);

	ck_assert_uint_eq(mock.ctrls, 2);
	ck_assert_uint_eq(mock.ctrl[0]->cfg.instance.d1, 0x100);
	ck_assert_uint_eq(mock.ctrl[0]->cfg.max_subchannels, 256);
	ck_assert_uint_eq(mock.ctrl[0]->cfg.queue_depth, 32);
	ck_assert_uint_eq(mock.ctrl[0]->cfg.poll_depth, 0);
	ck_assert_uint_eq(mock.ctrl[1]->cfg.queue_depth, 1024);
	ck_assert_uint_eq(mock.ctrl[1]->cfg.poll_depth, 4);

	u = mock.ctrl[0]->units[0];
	ck_assert(!u->dvd && u->d->nvme && path_ends(u->d, "ng0n2") && !u->d->read_only);
	ck_assert_int_eq(u->d->bounce, DISK_BOUNCE_ALWAYS);
	ck_assert_mem_eq(u->cfg.device_id, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	ck_assert_str_eq(u->cfg.vendor, "Msft");
	ck_assert_str_eq(u->cfg.serial, "S1");
	ck_assert_uint_eq(u->cfg.medium_rotation_rate, 7200);
	ck_assert_uint_eq(u->cfg.physical_block_size, 4096);
	ck_assert_uint_eq(u->cfg.size_bytes, 1 << 20);
	ck_assert_uint_eq(u->cfg.max_transfer, UINT32_MAX);
	ck_assert(u->cfg.no_fua && u->cfg.no_unmap && !u->cfg.no_write_cache);
	u = mock.ctrl[0]->units[63];
	ck_assert_str_eq(u->d->path, "stripe:2:65536");
	ck_assert(path_ends(u->d->members[0], "ng0n1") && path_ends(u->d->members[1], "sda"));
	u = mock.ctrl[0]->units[9];
	ck_assert(u->dvd && !u->d);
	u = mock.ctrl[1]->units[1];
	ck_assert(u->dvd && path_ends(u->d, "sda") && u->d->read_only);
	ck_assert_uint_eq(mock.ctrl[0]->attached, 3);

	ck_assert_str_eq(inspect_get(storage_inspect, st, "guest_memory"), "\"bounce\"");
	ck_assert_str_eq(inspect_get(storage_inspect, st,
				     "scsi/00000100-0000-0000-0000-000000000000/attached"),
			 "3");
	ck_assert_str_eq(inspect_get(storage_inspect, st, "settings/fixed/scsi_sub_channels"),
			 "700");
	teardown();
}
END_TEST

START_TEST(nothing_at_all)
{
	const struct storage_cfg cfg = { .ctl = loop, .vps = 1, .vp_loop = vp_loop };
	struct storage_cfg mine = cfg;

	setup();
	mine.ctl = loop;
	ck_assert_int_eq(storage_create(&mine, NULL, 0, &st), 0);
	ck_assert_uint_eq(mock.ctrls, 0);
	ck_assert_int_eq(storage_modify(st, "{}", 2, on_done, NULL), 0);
	expect_changed();
	set.n_controllers = 1;
	change();
	expect_refused(-EPERM, "Configuration.StorageCannotAddRemoveControllerAtRuntime");
	teardown();
}
END_TEST

static void device_comes(void *ctx)
{
	(void)ctx;
	fake_sysfs_nvme(&fs, &nvme_b, 1, 1, 1, 0);
}

START_TEST(waits_for_devices)
{
	struct loop_timer late;

	setup();
	lun(0, 0, VTL2S_DEV_NVME, &nvme_a, 1);
	lun(1, 1, VTL2S_DEV_NVME, &nvme_b, 1);
	ctrls[0].n_luns = 2;
	loop_timer_init(&late, loop, device_comes, NULL);
	loop_timer_arm(&late, loop_now_ns() + 50 * 1000000);
	ck_assert_int_eq(create(10000), 0);
	ck_assert(path_ends(mock.ctrl[0]->units[1]->d, "ng1n1"));
	teardown();
}
END_TEST

START_TEST(missing_devices)
{
	setup();
	lun(0, 0, VTL2S_DEV_NVME, &nvme_a, 1);
	lun(1, 1, VTL2S_DEV_NVME, &nvme_b, 1);
	ctrls[0].n_luns = 2;
	ck_assert_int_eq(create(30), -ENODEV);
	/* drives must exist, too; only what is in them need not be readable */
	luns[1].is_dvd = true;
	ck_assert_int_eq(create(30), -ENODEV);
	teardown();
}
END_TEST

START_TEST(devices_that_do_not_open)
{
	setup();
	mock.fail_open = "n2";
	mock.fail_err = -EIO;
	lun(0, 0, VTL2S_DEV_NVME, &nvme_a, 1);
	lun(1, 1, VTL2S_DEV_NVME, &nvme_a, 5);
	ctrls[0].n_luns = 2;
	ck_assert_int_eq(create(1000), -EIO);
	mock.fail_err = -EAGAIN; /* is not "later" */
	ck_assert_int_eq(create(60000), -EIO);
	luns[1].is_dvd = true;
	ck_assert_int_eq(create(1000), 0);
	ck_assert(mock.ctrl[2]->units[1]->dvd && !mock.ctrl[2]->units[1]->d);
	teardown();
}
END_TEST

/* Not through commands, then as a block device; a real error stays one. */
START_TEST(without_passthrough)
{
	setup();
	lun(0, 0, VTL2S_DEV_NVME, &nvme_a, 1);
	ctrls[0].n_luns = 1;
	mock.no_passthrough = -EACCES;
	ck_assert_int_eq(create(0), -EACCES);
	mock.no_passthrough = -EOPNOTSUPP;
	ck_assert_int_eq(create(0), 0);
	ck_assert(path_ends(mock.ctrl[1]->units[0]->d, "nvme0n1"));
	ck_assert(!mock.ctrl[1]->units[0]->d->nvme);
	teardown();
}
END_TEST

START_TEST(bad_settings)
{
	const struct storage_cfg cfg = { .ctl = NULL };
	struct storage_cfg mine = cfg;

	setup();
	mine.ctl = loop;
	ck_assert_int_eq(storage_create(&mine, "{", 1, &st), -EBADMSG);
	ctrls[0].protocol = VTL2S_IDE; /* and the machine has none */
	ck_assert_int_eq(create(0), -ENODEV);
	ctrls[0].protocol = VTL2S_NVME;
	ck_assert_int_eq(create(0), -EOPNOTSUPP);
	ctrls[0].protocol = VTL2S_SCSI;
	lun(0, 0, VTL2S_DEV_NVME, &nvme_a, 1);
	ctrls[0].n_luns = 1;
	mock.fail_unit = -EINVAL;
	ck_assert_int_eq(create(0), -EINVAL);
	mock.fail_unit = 0;
	devs[0][1] = devs[0][0];
	luns[0].n_devices = 2;
	mock.fail_open = "stripe";
	mock.fail_err = -ENOMEM;
	ck_assert_int_eq(create(0), -ENOMEM);
	luns[0].n_devices = 1;
	mock.fail_attach = -EEXIST;
	ck_assert_int_eq(create(0), -EEXIST);
	teardown();
}
END_TEST

/* A disk is on the controller and on a channel of its own; a DVD drive on the controller only. */
START_TEST(ide_drives)
{
	struct vtl2s_lun *l;

	setup();
	with_ide = true;
	ctrls[0].protocol = VTL2S_IDE;
	l = lun(0, 1, VTL2S_DEV_NVME, &nvme_a, 1);
	(void)snprintf(l->serial, sizeof(l->serial), "number");
	l = lun(1, 0, VTL2S_DEV_NVME, &nvme_a, 5);
	l->channel = 1;
	l->is_dvd = true;
	ctrls[0].n_luns = 2;
	ck_assert_int_eq(create(0), 0);
	ck_assert_ptr_nonnull(machine_ide.chans[0].disks[1]);
	ck_assert_str_eq(machine_ide.chans[0].serial[1], "number");
	ck_assert_ptr_nonnull(machine_ide.chans[1].dvds[0]);
	ck_assert_uint_eq(mock.ctrls, 1);
	ck_assert(mock.ctrl[0]->cfg.ide);
	ck_assert_uint_eq(mock.ctrl[0]->cfg.ide_path, 0);
	ck_assert_uint_eq(mock.ctrl[0]->cfg.ide_target, 1);
	ck_assert_uint_eq(mock.ctrl[0]->cfg.instance.d3, 0x8899);
	ck_assert_ptr_eq(mock.ctrl[0]->units[0]->d, machine_ide.chans[0].disks[1]);
	storage_destroy(st);
	st = NULL;
	ck_assert_uint_eq(machine_ide.chans[0].stopped, 1);
	ck_assert_uint_eq(machine_ide.chans[1].stopped, 1);
	teardown();
}
END_TEST

/* LUNs are namespaces, whose numbers begin with 1. */
START_TEST(nvme_namespaces)
{
	setup();
	with_pci = true;
	ctrls[0].protocol = VTL2S_NVME;
	lun(0, 1, VTL2S_DEV_NVME, &nvme_a, 1);
	lun(1, 65, VTL2S_DEV_NVME, &nvme_a, 5);
	ctrls[0].n_luns = 2;
	ck_assert_int_eq(create(0), -EINVAL); /* more than there can be */
	luns[1].location = 64;
	mock.fail_pci = -ENOSPC;
	ck_assert_int_eq(create(0), -ENOSPC);
	ck_assert_ptr_null(mock.nvme);
	mock.fail_pci = 0;
	ck_assert_int_eq(create(0), 0);
	ck_assert_uint_eq(mock.functions, 1);
	ck_assert_uint_eq(mock.units, 0);
	ck_assert_uint_eq(mock.nvme->cfg.max_queues, 4);
	ck_assert(path_ends(mock.nvme->ns[0], "ng0n1"));
	ck_assert(path_ends(mock.nvme->ns[63], "ng0n2"));
	ck_assert_str_eq(inspect_get(storage_inspect, st,
				     "nvme/00000100-0000-0000-0000-000000000000/queues"),
			 "4");
	/* one moves, while VTL0 runs */
	luns[0].location = 7;
	change();
	expect_changed();
	ck_assert_ptr_null(mock.nvme->ns[0]);
	ck_assert(path_ends(mock.nvme->ns[6], "ng0n1"));
	luns[0].location = 70;
	change();
	expect_refused(-EINVAL, "Configuration.StorageLunLocationExceedsMaxLimits");
	ck_assert(path_ends(mock.nvme->ns[6], "ng0n1"));
	ctrls[0].n_luns = 0;
	change();
	expect_changed();
	ck_assert_ptr_null(mock.nvme->ns[6]);
	ck_assert_uint_eq(mock.disks, 0);
	teardown();
	ck_assert_uint_eq(mock.functions, 0);
}
END_TEST

/* ---- changes --------------------------------------------------------------------------------- */

static void create_two(void)
{
	setup();
	lun(0, 0, VTL2S_DEV_NVME, &nvme_a, 1);
	luns[1] = (struct vtl2s_lun){ .location = 1, .is_dvd = true };
	ctrls[0].n_luns = 2;
	ck_assert_int_eq(create(100), 0);
}

START_TEST(add_and_remove)
{
	create_two();
	lun(2, 5, VTL2S_DEV_NVME, &nvme_a, 5);
	ctrls[0].n_luns = 3;
	change();
	expect_changed();
	ck_assert(path_ends(mock.ctrl[0]->units[5]->d, "ng0n2"));
	ck_assert_uint_eq(mock.ctrl[0]->detached, 0);
	change(); /* the same again: nothing happens */
	expect_changed();
	ck_assert_uint_eq(mock.ctrl[0]->attached, 3);
	ctrls[0].luns = luns + 1;
	ctrls[0].n_luns = 2;
	change();
	expect_changed();
	ck_assert_ptr_null(mock.ctrl[0]->units[0]);
	ck_assert_uint_eq(mock.units, 2);
	ck_assert_uint_eq(mock.disks, 1);
	ck_assert_str_eq(inspect_get(storage_inspect, st, "settings_modified"), "3");
	teardown();
}
END_TEST

/* Another disk at the same place: the old one must have gone first. */
START_TEST(replace)
{
	create_two();
	mock.hold = true;
	devs[0][0].sub_path = 5;
	change();
	ck_assert_uint_eq(answer.n, 0);
	ck_assert_ptr_null(mock.ctrl[0]->units[0]);
	ck_assert_int_eq(storage_modify(st, "{}", 2, on_done, NULL), -EBUSY);
	ck_assert_str_eq(inspect_get(storage_inspect, st, "changing"), "true");
	mock_let_go();
	expect_changed();
	ck_assert(path_ends(mock.ctrl[0]->units[0]->d, "ng0n2"));
	teardown();
}
END_TEST

START_TEST(media)
{
	const struct scsi_unit *drive;

	create_two();
	drive = mock.ctrl[0]->units[1];
	devs[1][0] = (struct vtl2s_device){ VTL2S_DEV_VSCSI, scsi_a, 0 };
	luns[1].devices = devs[1];
	luns[1].n_devices = 1;
	change();
	expect_changed();
	ck_assert_ptr_eq(mock.ctrl[0]->units[1], drive);
	ck_assert(path_ends(drive->d, "sda") && drive->d->read_only);
	luns[1].n_devices = 0;
	change();
	expect_changed();
	ck_assert_ptr_eq(mock.ctrl[0]->units[1], drive);
	ck_assert_ptr_null(drive->d);
	/* a medium that cannot be read: the drive stays empty */
	mock.fail_open = "sda";
	mock.fail_err = -EIO;
	luns[1].n_devices = 1;
	change();
	expect_changed();
	ck_assert_ptr_null(drive->d);
	/* another medium in place of the first is another drive, as in the original */
	mock.fail_open = NULL;
	luns[1].devices[0] = (struct vtl2s_device){ VTL2S_DEV_NVME, nvme_a, 5 };
	change();
	expect_changed();
	ck_assert_ptr_ne(mock.ctrl[0]->units[1], drive);
	ck_assert(path_ends(mock.ctrl[0]->units[1]->d, "ng0n2"));
	teardown();
}
END_TEST

/* What cannot be had changes nothing, not even what could be. */
START_TEST(all_or_nothing)
{
	create_two();
	lun(0, 3, VTL2S_DEV_NVME, &nvme_a, 5);
	lun(2, 4, VTL2S_DEV_NVME, &nvme_b, 1);
	ctrls[0].n_luns = 3;
	change();
	ck_assert_uint_eq(answer.n, 0);
	while (!answer.n)
		ck_assert_int_eq(loop_wait(loop), 0);
	expect_refused(-ENODEV, "Configuration.StorageCannotFindVtl2Device");
	ck_assert_ptr_nonnull(mock.ctrl[0]->units[0]);
	ck_assert_ptr_null(mock.ctrl[0]->units[3]);
	ck_assert_uint_eq(mock.disks, 1);
	ck_assert_uint_eq(mock.units, 2);
	/* it comes too late for the first, in time for the second */
	device_comes(NULL);
	change();
	expect_changed();
	ck_assert_ptr_null(mock.ctrl[0]->units[0]);
	ck_assert(path_ends(mock.ctrl[0]->units[3]->d, "ng0n2"));
	ck_assert(path_ends(mock.ctrl[0]->units[4]->d, "ng1n1"));
	teardown();
}
END_TEST

START_TEST(refused_changes)
{
	create_two();
	ck_assert_int_eq(storage_modify(st, "\xff", 1, on_done, NULL), 0);
	expect_refused(-EBADMSG, "Configuration.ProtobufFormatError");
	devs[0][1] = devs[0][0];
	luns[0].n_devices = 2;
	change();
	expect_refused(-EPERM, "Configuration.StripedStorageCannotChangeControllerAtRuntime");
	luns[0].n_devices = 1;
	set.n_controllers = 2;
	change();
	expect_refused(-EPERM, "Configuration.StorageCannotAddRemoveControllerAtRuntime");
	set.n_controllers = 1;
	mock.fail_open = "n2";
	mock.fail_err = -EIO;
	devs[0][0].sub_path = 5;
	change();
	expect_refused(-EIO, "Underhill.StorageCannotOpenVtl2Device");
	ck_assert(path_ends(mock.ctrl[0]->units[0]->d, "ng0n1"));
	ck_assert_str_eq(inspect_get(storage_inspect, st, "settings_refused"), "4");
	teardown();
}
END_TEST

/* Half of it happened: the answer says so, and the next settings put it right. */
START_TEST(commit_fails)
{
	create_two();
	mock.fail_attach = -EEXIST;
	devs[0][0].sub_path = 5;
	change();
	expect_refused(-EEXIST, "Underhill.StorageAttachDiskFailed");
	ck_assert_ptr_null(mock.ctrl[0]->units[0]);
	mock.fail_attach = 0;
	change();
	expect_changed();
	ck_assert(path_ends(mock.ctrl[0]->units[0]->d, "ng0n2"));
	teardown();
}
END_TEST

START_TEST(end_in_the_middle)
{
	create_two();
	lun(2, 4, VTL2S_DEV_NVME, &nvme_b, 1);
	ctrls[0].n_luns = 3;
	change(); /* waits for a device */
	teardown();
	ck_assert_uint_eq(answer.n, 0);

	create_two();
	mock.hold = true;
	devs[0][0].sub_path = 5;
	change(); /* waits for a unit to be let go */
	teardown();
	ck_assert_uint_eq(answer.n, 0);
}
END_TEST

START_TEST(capacity)
{
	struct disk *d;

	create_two();
	d = mock.ctrl[0]->units[0]->d;
	ck_assert_ptr_nonnull(d->watch);
	d->watch(d->watch_ctx);
	ck_assert_str_eq(inspect_get(storage_inspect, st, "disk_changes"), "1");
	ck_assert_uint_eq(mock.ctrl[0]->rescans, 1); /* the guest hears of it */
	teardown();
}
END_TEST

UNIT_MAIN("vmm/storage", everything_at_start, nothing_at_all, waits_for_devices, missing_devices,
	  devices_that_do_not_open, without_passthrough, bad_settings, ide_drives, nvme_namespaces,
	  add_and_remove, replace, media, all_or_nothing, refused_changes, commit_fails,
	  end_in_the_middle, capacity)
