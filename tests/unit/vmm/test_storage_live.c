/* SPDX-License-Identifier: MIT */
/*
 * Settings that change while a guest's driver does all it can: real controllers, units and disks
 * (on files), threads for two VPs. What stays must not notice; what goes must end every request.
 */
#include "storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../hvhost/settings_host.h"
#include "fake_sysfs.h"
#include "inspect_get.h"
#include "loop.h"
#include "storvsc_guest.h"
#include "unit.h"

#define DISK_BYTES (4u << 20)
#define IO_BLOCKS 16u
#define IOS 12u /* in flight to each LUN */
#define ROUNDS 15u

static const struct guid nvme = GUID_INIT(0xa0000000, 0x1111, 0, 0, 0, 0, 0, 0, 0, 0, 1);

static struct sg g;
static struct fake_sysfs fs;
static struct storage *st;
static struct sg_chan *chan;

/* ---- settings -------------------------------------------------------------------------------- */

/* What the host wants: LUN 0 always; LUN 1 on namespace @second (0 = nothing there); a DVD drive
 * at LUN 5, with a medium or not. */
static void make_settings(uint32_t second, bool medium, uint8_t **ret_doc, size_t *ret_len)
{
	struct vtl2s_device devs[3] = { { VTL2S_DEV_NVME, nvme, 1 },
					{ VTL2S_DEV_NVME, nvme, second },
					{ VTL2S_DEV_NVME, nvme, 4 } };
	struct vtl2s_lun luns[3] = {
		{ .location = 0, .device_id = { .d1 = 1 }, .n_devices = 1, .devices = &devs[0] },
		{ .location = 5, .is_dvd = true, .n_devices = medium, .devices = &devs[2] },
		{ .location = 1, .device_id = { .d1 = 2 }, .n_devices = 1, .devices = &devs[1] },
	};
	struct vtl2s_controller c = { .instance = { .d1 = 0x100 },
				      .protocol = VTL2S_SCSI,
				      .n_luns = second ? 3 : 2,
				      .luns = luns };
	const struct vtl2_settings s = { .scsi_sub_channels = 1,
					 .n_controllers = 1,
					 .controllers = &c };

	ck_assert_int_eq(settings_host_write(&s, SETTINGS_PROTOBUF, ret_doc, ret_len), 0);
}

static void begin(void)
{
	struct storvsp_wiring w;
	struct storage_cfg cfg = { .wait_ms = 1000, .bounce = DISK_BOUNCE_ALWAYS };
	uint8_t *doc;
	size_t len;

	sg_init(&g, 2);
	fake_sysfs_init(&fs);
	for (uint32_t ns = 1; ns <= 4; ns++)
		fake_sysfs_nvme(&fs, &nvme, 0, ns, ns, DISK_BYTES);
	w = sg_wiring(&g);
	cfg.ctl = w.owner;
	cfg.gm = w.gm;
	cfg.server = w.server;
	cfg.vps = 2;
	cfg.vp_loop = w.vp_loop;
	cfg.ctx = w.ctx;
	cfg.roots = fs.roots;
	make_settings(0, false, &doc, &len);
	ck_assert_int_eq(storage_create(&cfg, doc, len, &st), 0);
	free(doc);
	sg_until(&g, sg_find(&g, 0) != NULL);
	chan = sg_find(&g, 0);
	ck_assert_uint_eq(sg_open(&g, chan, 0), 0);
	sg_negotiate(&g, chan, STORVSP_THRESHOLD);
}

static void end(void)
{
	/* As when the VM ends: the guest does not take part any more. */
	vmbus_server_reset(g.server);
	storage_destroy(st);
	sg_fini(&g);
	fake_sysfs_fini(&fs);
}

/* ---- load ------------------------------------------------------------------------------------ */

struct io {
	uint64_t txid;
	gpa_t data;
	uint8_t lun, pattern;
	uint32_t lba;
	bool reading;
};

static struct io ios[2 * IOS];
static unsigned good[2], refused;

static void start_io(struct io *io)
{
	struct sg_cmd cmd = sg_rw(io->lun, !io->reading, io->lba, IO_BLOCKS, io->data);

	memset(sg_at(&g, io->data), io->reading ? 0 : io->pattern, IO_BLOCKS * 512);
	io->txid = sg_start(&g, chan, &cmd);
}

static void check_data(const struct io *io)
{
	const uint8_t *p = sg_at(&g, io->data);
	uint32_t i = 0;

	while (i < IO_BLOCKS * 512 && p[i] == io->pattern)
		i++;
	ck_assert_msg(i == IO_BLOCKS * 512, "lun %u lba %u byte %u is not %u", io->lun, io->lba, i,
		      io->pattern);
}

static void ended(struct io *io, const struct storvsp_srb *srb)
{
	const bool ok = (srb->srb_status & 0x3f) == SRB_SUCCESS && srb->scsi_status == 0;

	io->txid = 0;
	if (io->lun == 0)
		ck_assert_msg(ok, "srb %#x scsi %u", srb->srb_status, srb->scsi_status);
	if (!ok) {
		/* The disk went, or is another now: begin anew. */
		refused++;
		io->reading = false;
		return;
	}
	good[io->lun]++;
	if (io->reading && io->lun == 0)
		check_data(io);
	if (io->reading)
		io->pattern++;
	io->reading = !io->reading;
}

static void load(bool more)
{
	struct storvsp_srb srb;

	sg_poll(&g, chan);
	for (size_t i = 0; i < ARRAY_SIZE(ios); i++) {
		if (ios[i].txid && sg_ended(chan, ios[i].txid, &srb))
			ended(&ios[i], &srb);
		if (!ios[i].txid && more)
			start_io(&ios[i]);
	}
	sg_commit(&g, chan);
	sg_step(&g);
}

static bool idle(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ios); i++) {
		if (ios[i].txid)
			return false;
	}
	return true;
}

static void prepare_load(void)
{
	memset(ios, 0, sizeof(ios));
	for (size_t i = 0; i < ARRAY_SIZE(ios); i++)
		ios[i] = (struct io){ .data = sg_pages(&g, IO_BLOCKS * 512 / KEEL_PAGE_SIZE),
				      .lun = i % 2,
				      .pattern = (uint8_t)i,
				      .lba = (uint32_t)i * IO_BLOCKS };
}

/* ---- changes --------------------------------------------------------------------------------- */

static struct {
	unsigned n;
	int err;
} answer;

static void on_done(void *ctx, int err, const char *json)
{
	(void)ctx;
	answer.n++;
	answer.err = err;
	ck_assert_msg(!err, "%s", json);
}

static void change(uint32_t second, bool medium)
{
	uint8_t *doc;
	size_t len;

	answer.n = 0;
	make_settings(second, medium, &doc, &len);
	ck_assert_int_eq(storage_modify(st, doc, len, on_done, NULL), 0);
	free(doc);
	for (unsigned i = 0; !answer.n; i++) {
		ck_assert_uint_lt(i, 200000);
		load(true);
	}
}

static uint8_t peripheral_byte(uint8_t lun)
{
	const gpa_t data = ios[0].data; /* nothing is in flight */
	struct sg_cmd inq = {
		.cdb = { 0x12, 0, 0, 0, 96 }, .lun = lun, .data_in = 1, .data = data, .len = 96
	};
	struct storvsp_srb r = sg_run(&g, chan, &inq);

	ck_assert_uint_eq(r.srb_status & 0x3f, SRB_SUCCESS);
	return *sg_at(&g, data);
}

START_TEST(hot_changes_under_load)
{
	static const uint32_t second[] = { 2, 3, 0, 3, 0 };

	begin();
	prepare_load();
	for (unsigned i = 0; i < ROUNDS; i++) {
		change(second[i % ARRAY_SIZE(second)], i & 1);
		for (int k = 0; k < 8; k++)
			load(true);
	}
	for (unsigned i = 0; !idle(); i++) {
		ck_assert_uint_lt(i, 200000);
		load(false);
	}
	ck_assert_uint_gt(good[0], 5 * ROUNDS);
	ck_assert_uint_gt(good[1], ROUNDS);
	ck_assert_uint_gt(refused, 0);
	ck_assert_uint_gt(chan->notices, 0);
	change(0, false);
	while (!idle())
		load(false);
	ck_assert_uint_eq(peripheral_byte(0), 0);
	ck_assert_uint_eq(peripheral_byte(1), 0x7f);
	ck_assert_uint_eq(peripheral_byte(5), 5);
	end();
}
END_TEST

/* The VM ends with requests on their way. */
START_TEST(end_under_load)
{
	begin();
	prepare_load();
	change(2, false);
	for (int k = 0; k < 20; k++)
		load(true);
	end();
}
END_TEST

/* ... and with settings that are being changed. */
START_TEST(end_while_changing)
{
	uint8_t *doc;
	size_t len;

	begin();
	prepare_load();
	change(2, false);
	for (int k = 0; k < 20; k++)
		load(true);
	make_settings(3, true, &doc, &len);
	ck_assert_int_eq(storage_modify(st, doc, len, on_done, NULL), 0);
	free(doc);
	end();
}
END_TEST

UNIT_MAIN("vmm/storage_live", hot_changes_under_load, end_under_load, end_while_changing)
