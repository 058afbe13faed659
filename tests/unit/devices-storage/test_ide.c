/* SPDX-License-Identifier: MIT */
/* An IDE channel as a driver drives it: task file, data port, bus master, resets. */
#include "ata.h"
#include "bus.h"
#include "fake_disk.h"
#include "gmem.h"
#include "ide.h"
#include "le.h"
#include "loop.h"
#include "scsi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "unit.h"

#define CMD 0x1f0
#define CTL 0x3f6
#define SECTORS 100000ull
#define MEM_PAGES 64u
#define MEM_BASE 0x100000ull

static struct loop *loop;
static struct bus *bus;
static struct gmem *gm;
static uint8_t *mem;
static struct ide_chan *chan;
static struct disk *disk;
static bool line;
static unsigned raised;

static void on_line(void *ctx, unsigned int n, bool level)
{
	(void)ctx;
	ck_assert_uint_eq(n, 14);
	raised += level && !line;
	line = level;
}

static const struct irq_sink sink = { .set = on_line };

static void make_chan(void)
{
	struct gmem_region region = { .gpa = MEM_BASE, .len = MEM_PAGES * KEEL_PAGE_SIZE };
	struct ide_chan_cfg cfg = { .name = "ide0", .irq = { .sink = &sink, .n = 14 } };

	line = false;
	raised = 0;
	mem = mmap(NULL, region.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(mem, MAP_FAILED);
	region.host = mem;
	ck_assert_int_eq(gmem_create(&region, 1, &gm), 0);
	ck_assert_int_eq(loop_create_epoll(&loop), 0);
	cfg.gm = gm;
	cfg.loop = loop;
	ck_assert_int_eq(ide_chan_create(&cfg, &chan), 0);
	ck_assert_int_eq(bus_create(1, &bus), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, CMD, IDE_COMMAND_PORTS, ide_chan_device(chan),
				   IDE_REGION_COMMAND),
			 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, CTL, IDE_CONTROL_PORTS, ide_chan_device(chan),
				   IDE_REGION_CONTROL),
			 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
}

static void setup(void)
{
	make_chan();
	disk = fake_disk(SECTORS, ATA_SECTOR);
	ck_assert_int_eq(ide_chan_attach_disk(chan, 0, disk, "SERIAL"), 0);
}

static void finish(void)
{
	bus_destroy(bus);
	device_destroy(ide_chan_device(chan));
	loop_poll(loop); /* the disk's queue goes when the loop says so */
	loop_destroy(loop);
	gmem_destroy(gm);
	(void)munmap(mem, MEM_PAGES * KEEL_PAGE_SIZE);
}

static uint32_t in(uint16_t port, unsigned size)
{
	uint64_t val;

	bus_read(bus, BUS_PIO, port, size, 0, &val);
	return (uint32_t)val;
}

static void out(uint16_t port, unsigned size, uint32_t val)
{
	bus_write(bus, BUS_PIO, port, size, 0, val);
}

/* Let the loop work until the drive is not busy; the status, read where it clears nothing. */
static uint8_t settle(void)
{
	for (int i = 0; i < 10000 && in(CTL, 1) & ATA_ST_BUSY; i++)
		loop_poll(loop);
	ck_assert(!(in(CTL, 1) & ATA_ST_BUSY));
	return (uint8_t)in(CTL, 1);
}

static void task(uint64_t lba, uint16_t count, bool ext, uint8_t cmd)
{
	if (ext) {
		out(CMD + ATA_COUNT, 1, count >> 8);
		out(CMD + ATA_LBA_LOW, 1, (uint8_t)(lba >> 24));
		out(CMD + ATA_LBA_MID, 1, (uint8_t)(lba >> 32));
		out(CMD + ATA_LBA_HIGH, 1, (uint8_t)(lba >> 40));
	}
	out(CMD + ATA_COUNT, 1, (uint8_t)count);
	out(CMD + ATA_LBA_LOW, 1, (uint8_t)lba);
	out(CMD + ATA_LBA_MID, 1, (uint8_t)(lba >> 8));
	out(CMD + ATA_LBA_HIGH, 1, (uint8_t)(lba >> 16));
	out(CMD + ATA_DEVICE, 1, 0xe0 | (ext ? 0 : (lba >> 24 & 15)));
	out(CMD + ATA_STATUS, 1, cmd);
}

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 7 + (at >> 9) * 13 + 1);
}

static void fill_disk(uint64_t lba, uint32_t sectors)
{
	for (uint64_t i = 0; i < (uint64_t)sectors * ATA_SECTOR; i++)
		fake_disk_data(disk, lba)[i] = pattern(lba * ATA_SECTOR + i);
}

static void expect_disk(uint64_t lba, uint32_t sectors)
{
	for (uint64_t i = 0; i < (uint64_t)sectors * ATA_SECTOR; i++)
		ck_assert_uint_eq(fake_disk_data(disk, lba)[i], pattern(lba * ATA_SECTOR + i));
}

START_TEST(identify)
{
	uint8_t id[ATA_SECTOR];

	setup();
	task(0, 0, false, ATA_CMD_IDENTIFY);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK | ATA_ST_DRQ);
	ck_assert(line);
	in(CMD + ATA_STATUS, 1);
	ck_assert(!line);
	for (unsigned i = 0; i < sizeof(id); i += 2)
		le16_store(id + i, (uint16_t)in(CMD, 2));
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	ck_assert_uint_eq(le64_load(id + 200), SECTORS);
	ck_assert_uint_eq(le32_load(id + 120), SECTORS);
	ck_assert_int_eq(memcmp(id + 20, "ESIRLA              ", 20), 0);
	ck_assert_int_eq(memcmp(id + 54, "iVtrau lDH", 10), 0);
	finish();
}
END_TEST

START_TEST(nobody_there)
{
	make_chan();
	ck_assert_uint_eq(in(CMD + ATA_STATUS, 1), 0x7f);
	ck_assert_uint_eq(in(CTL, 1), 0x7f);
	ck_assert_uint_eq(in(CMD, 2) & 0xff, 0x7f);
	out(CMD + ATA_STATUS, 1, ATA_CMD_IDENTIFY);
	ck_assert_uint_eq(raised, 0);
	finish();
}
END_TEST

START_TEST(absent_second_drive)
{
	setup();
	out(CMD + ATA_DEVICE, 1, 0xf0);
	ck_assert_uint_eq(in(CMD + ATA_STATUS, 1), 0);
	out(CMD + ATA_STATUS, 1, ATA_CMD_IDENTIFY);
	ck_assert_uint_eq(raised, 0);
	/* A driver probes by writing and reading back: another drive's registers answer. */
	out(CMD + ATA_COUNT, 1, 0x55);
	ck_assert_uint_eq(in(CMD + ATA_COUNT, 1), 0x55);
	out(CMD + ATA_DEVICE, 1, 0xe0);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	finish();
}
END_TEST

/* Reads and writes through the data port, with every form of address and block. */
static void pio(uint8_t rd, uint8_t wr, bool ext, uint64_t lba, uint32_t sectors, unsigned block,
		unsigned width)
{
	const uint16_t count = (uint16_t)(sectors == 256 && !ext ? 0 : sectors);
	const uint64_t words = (uint64_t)sectors * ATA_SECTOR / width;
	unsigned before;

	fill_disk(lba, sectors);
	before = raised;
	task(lba, count, ext, rd);
	for (uint64_t i = 0; i < words; i++) {
		uint32_t want = 0;

		if (i * width % ((uint64_t)block * ATA_SECTOR) == 0) {
			ck_assert(settle() & ATA_ST_DRQ);
			ck_assert(line);
			in(CMD + ATA_STATUS, 1);
		}
		for (unsigned b = 0; b < width; b++)
			want |= (uint32_t)pattern(lba * ATA_SECTOR + i * width + b) << 8 * b;
		ck_assert_uint_eq(in(CMD, width), want);
	}
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	ck_assert_uint_eq(raised - before, (sectors + block - 1) / block);
	memset(fake_disk_data(disk, lba), 0, (size_t)sectors * ATA_SECTOR);
	before = raised;
	task(lba, count, ext, wr);
	for (uint64_t i = 0; i < words; i++) {
		uint32_t val = 0;

		if (i * width % ((uint64_t)block * ATA_SECTOR) == 0) {
			ck_assert(settle() & ATA_ST_DRQ);
			ck_assert_uint_eq(line, i != 0);
			in(CMD + ATA_STATUS, 1);
		}
		for (unsigned b = 0; b < width; b++)
			val |= (uint32_t)pattern(lba * ATA_SECTOR + i * width + b) << 8 * b;
		out(CMD, width, val);
	}
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	ck_assert_uint_eq(raised - before, (sectors + block - 1) / block);
	in(CMD + ATA_STATUS, 1);
	expect_disk(lba, sectors);
}

START_TEST(pio_transfers)
{
	setup();
	pio(ATA_CMD_READ, ATA_CMD_WRITE, false, 0, 1, 1, 2);
	pio(ATA_CMD_READ, ATA_CMD_WRITE, false, 77, 256, 1, 4);
	pio(ATA_CMD_READ_EXT, ATA_CMD_WRITE_EXT, true, SECTORS - 700, 700, 1, 4);
	task(0, 16, false, ATA_CMD_SET_MULTI);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	in(CMD + ATA_STATUS, 1);
	pio(ATA_CMD_READ_MULTI, ATA_CMD_WRITE_MULTI, false, 5, 40, 16, 2);
	pio(ATA_CMD_READ_MULTI_EXT, ATA_CMD_WRITE_MULTI_EXT, true, 5, 300, 16, 4);
	finish();
}
END_TEST

static void put_prd(unsigned i, uint32_t base, uint32_t count, bool last)
{
	uint8_t *p = mem + i * sizeof(struct ide_prd);

	le32_store(p, base);
	le16_store(p + 4, (uint16_t)count);
	le16_store(p + 6, last ? IDE_PRD_LAST : 0);
}

static void bm(uint8_t command)
{
	ide_chan_bm_write(chan, IDE_BM_STATUS, 1, IDE_BM_ERROR | IDE_BM_INTERRUPT);
	ide_chan_bm_write(chan, IDE_BM_PRDT, 4, MEM_BASE);
	ide_chan_bm_write(chan, IDE_BM_COMMAND, 1, command & IDE_BM_TO_MEMORY);
	ide_chan_bm_write(chan, IDE_BM_COMMAND, 1, command);
}

START_TEST(dma_transfers)
{
	const uint32_t data = 16 * KEEL_PAGE_SIZE;

	setup();
	for (int ext = 0; ext < 2; ext++) {
		fill_disk(9, 40);
		memset(mem + data, 0, 40 * ATA_SECTOR);
		/* Pieces that join, do not join, and more than is needed. */
		put_prd(0, (uint32_t)MEM_BASE + data, 4096, false);
		put_prd(1, (uint32_t)MEM_BASE + data + 4096, 8192, false);
		put_prd(2, (uint32_t)MEM_BASE + data + 3 * 4096, 0, true);
		task(9, 40, ext, ext ? ATA_CMD_READ_DMA_EXT : ATA_CMD_READ_DMA);
		bm(IDE_BM_START | IDE_BM_TO_MEMORY);
		ck_assert_uint_eq(ide_chan_bm_read(chan, IDE_BM_STATUS, 1) & IDE_BM_ACTIVE,
				  IDE_BM_ACTIVE);
		ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
		ck_assert_uint_eq(ide_chan_bm_read(chan, IDE_BM_STATUS, 1) & 7, IDE_BM_INTERRUPT);
		ck_assert(line);
		in(CMD + ATA_STATUS, 1);
		for (uint32_t i = 0; i < 40 * ATA_SECTOR; i++)
			ck_assert_uint_eq(mem[data + i], pattern(9 * ATA_SECTOR + i));
		ide_chan_bm_write(chan, IDE_BM_COMMAND, 1, 0);
		memset(fake_disk_data(disk, 9), 0, 40 * ATA_SECTOR);
		task(9, 40, ext, ext ? ATA_CMD_WRITE_DMA_FUA : ATA_CMD_WRITE_DMA);
		bm(IDE_BM_START);
		ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
		in(CMD + ATA_STATUS, 1);
		ide_chan_bm_write(chan, IDE_BM_COMMAND, 1, 0);
		expect_disk(9, 40);
	}
	finish();
}
END_TEST

START_TEST(dma_that_cannot_be)
{
	setup();
	for (int how = 0; how < 4; how++) {
		uint32_t base = (uint32_t)MEM_BASE, count = 4096;
		uint8_t command = IDE_BM_START | IDE_BM_TO_MEMORY;

		if (how == 0)
			base = 0x80000000; /* not memory */
		else if (how == 1)
			count = 512; /* too short */
		else if (how == 2)
			command = IDE_BM_START; /* the wrong way */
		put_prd(0, base, count, true);
		task(1, 4, false, ATA_CMD_READ_DMA);
		bm(command);
		if (how < 3) {
			ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK | ATA_ST_ERR);
			ck_assert_uint_eq(ide_chan_bm_read(chan, IDE_BM_STATUS, 1) & 3,
					  IDE_BM_ERROR);
		} else {
			ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
		}
		in(CMD + ATA_STATUS, 1);
		ide_chan_bm_write(chan, IDE_BM_COMMAND, 1, 0);
	}
	finish();
}
END_TEST

START_TEST(out_of_range_and_errors)
{
	setup();
	task(SECTORS - 1, 2, true, ATA_CMD_READ_EXT);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK | ATA_ST_ERR);
	ck_assert_uint_eq(in(CMD + ATA_ERROR, 1), ATA_ERR_ID | ATA_ERR_ABORT);
	fake_disk_fail(disk, 1u << DISK_READ, NVME_UNRECOVERED_READ, 1);
	task(5, 1, false, ATA_CMD_READ);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK | ATA_ST_ERR);
	ck_assert_uint_eq(in(CMD + ATA_ERROR, 1), ATA_ERR_UNC);
	fake_disk_fail(disk, 1u << DISK_FLUSH, NVME_WRITE_FAULT, 1);
	task(0, 0, false, ATA_CMD_FLUSH);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK | ATA_ST_ERR);
	task(0, 0, false, ATA_CMD_FLUSH_EXT);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	task(0, 0, false, 0xfe);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK | ATA_ST_ERR);
	ck_assert_uint_eq(in(CMD + ATA_ERROR, 1), ATA_ERR_ABORT);
	finish();
}
END_TEST

START_TEST(write_cache_off_means_fua)
{
	const struct fake_disk_seen *log;

	setup();
	out(CMD + ATA_ERROR, 1, ATA_FEAT_WRITE_CACHE_OFF);
	task(0, 0, false, ATA_CMD_SET_FEATURES);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	ck_assert_uint_eq(fake_disk_log(disk, &log), 1);
	ck_assert_uint_eq(log[0].op, DISK_FLUSH);
	fake_disk_forget(disk);
	task(3, 1, false, ATA_CMD_WRITE);
	for (unsigned i = 0; i < ATA_SECTOR; i += 2)
		out(CMD, 2, 0);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	ck_assert_uint_eq(fake_disk_log(disk, &log), 1);
	ck_assert_uint_eq(log[0].op, DISK_WRITE);
	ck_assert_uint_eq(log[0].flags, DISK_FUA);
	finish();
}
END_TEST

/* A reset while the disk works: the drive is ready only when nothing runs any more. */
START_TEST(reset_waits_for_the_disk)
{
	setup();
	put_prd(0, (uint32_t)MEM_BASE + 65536, 4096, true);
	fake_disk_hold(disk, true);
	task(1, 8, false, ATA_CMD_READ_DMA);
	bm(IDE_BM_START | IDE_BM_TO_MEMORY);
	loop_poll(loop);
	ck_assert_uint_eq(fake_disk_busy(disk), 1);
	out(CTL, 1, ATA_CTL_SRST);
	ck_assert_uint_eq(in(CTL, 1), ATA_ST_BUSY);
	out(CTL, 1, 0);
	ck_assert_uint_eq(in(CTL, 1), ATA_ST_BUSY);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	ck_assert_uint_eq(fake_disk_busy(disk), 0);
	ck_assert_uint_eq(in(CMD + ATA_LBA_MID, 1), 0);
	ck_assert_uint_eq(in(CMD + ATA_ERROR, 1), 1);
	fake_disk_hold(disk, false);
	fill_disk(0, 1);
	task(0, 1, false, ATA_CMD_READ);
	ck_assert(settle() & ATA_ST_DRQ);
	finish();
}
END_TEST

static bool stopped;

static void on_stopped(void *ctx)
{
	(void)ctx;
	stopped = true;
}

START_TEST(stop_waits_for_the_disk)
{
	setup();
	stopped = false;
	ide_chan_stop(chan, on_stopped, NULL);
	ck_assert(stopped);
	stopped = false;
	fake_disk_hold(disk, true);
	task(1, 1, false, ATA_CMD_READ);
	loop_poll(loop);
	ide_chan_stop(chan, on_stopped, NULL);
	for (int i = 0; i < 1000 && !stopped; i++)
		loop_poll(loop);
	ck_assert(stopped);
	ck_assert_uint_eq(fake_disk_busy(disk), 0);
	finish();
}
END_TEST

START_TEST(high_order_bytes)
{
	setup();
	out(CMD + ATA_LBA_LOW, 1, 0x12);
	out(CMD + ATA_LBA_LOW, 1, 0x34);
	ck_assert_uint_eq(in(CMD + ATA_LBA_LOW, 1), 0x34);
	out(CTL, 1, ATA_CTL_HOB | ATA_CTL_NIEN);
	ck_assert_uint_eq(in(CMD + ATA_LBA_LOW, 1), 0x12);
	/* No interrupts while they are off. */
	task(0, 0, false, ATA_CMD_CHECK_POWER);
	ck_assert_uint_eq(settle(), ATA_ST_READY | ATA_ST_SEEK);
	ck_assert(!line);
	ck_assert_uint_eq(in(CMD + ATA_COUNT, 1), 0xff);
	finish();
}
END_TEST

UNIT_MAIN("devices/storage/ide", identify, nobody_there, absent_second_drive, pio_transfers,
	  dma_transfers, dma_that_cannot_be, out_of_range_and_errors, write_cache_off_means_fua,
	  reset_waits_for_the_disk, stop_waits_for_the_disk, high_order_bytes)
