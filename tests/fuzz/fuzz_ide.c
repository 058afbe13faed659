/* SPDX-License-Identifier: MIT */
/*
 * The IDE controller with a disk, an empty DVD drive and one with a medium, driven by port accesses
 * of the input: task files, data, control, bus master, PCI configuration; memory the bus master
 * reads lists from holds anything. Between accesses the loop works.
 */
#include "fuzz.h"

#include "ata.h"
#include "bug.h"
#include "bus.h"
#include "diskio.h"
#include "gmem.h"
#include "loop.h"
#include "piix4_ide.h"
#include "rd.h"
#include "scsi.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BASE 0x100000ull
#define MEM_PAGES 32u
#define DISK_BYTES (64u * 1024)
#define ACCESSES_MAX 4096u

static struct gmem *gm;
static uint8_t *mem;
static struct loop *loop;
static struct bus *bus;
static struct piix4_ide *ide;

static void on_line(void *ctx, unsigned int n, bool level)
{
	(void)ctx;
	(void)level;
	BUG_ON(n != 14 && n != 15);
}

static const struct irq_sink sink = { .set = on_line };

static struct disk *ram(void)
{
	struct disk *d;

	BUG_ON(disk_ram_open("ram", DISK_BYTES, ATA_SECTOR, &d) < 0);
	return d;
}

static struct scsi_unit *dvd(struct disk *d)
{
	const struct scsi_unit_cfg cfg = { .name = "dvd" };
	struct scsi_unit *u;

	BUG_ON(scsi_dvd_create(&cfg, d, &u) < 0);
	return u;
}

static void setup(void)
{
	const struct piix4_ide_cfg cfg = { .gm = gm,
					   .loop = loop,
					   .irq = { { &sink, 14 }, { &sink, 15 } } };

	memset(mem, 0, MEM_PAGES * KEEL_PAGE_SIZE);
	BUG_ON(bus_create(1, &bus) < 0);
	BUG_ON(piix4_ide_create(&cfg, bus, &ide) < 0);
	BUG_ON(bus_freeze(bus) < 0);
	BUG_ON(ide_chan_attach_disk(piix4_ide_chan(ide, 0), 0, ram(), "serial") < 0);
	BUG_ON(ide_chan_attach_dvd(piix4_ide_chan(ide, 0), 1, dvd(NULL)) < 0);
	BUG_ON(ide_chan_attach_dvd(piix4_ide_chan(ide, 1), 0, dvd(ram())) < 0);
}

static unsigned stopped;

static void on_stopped(void *ctx)
{
	(void)ctx;
	stopped++;
}

/* Whatever the guest did, the channels come to rest. */
static void finish(void)
{
	stopped = 0;
	for (unsigned i = 0; i < PIIX4_IDE_CHANNELS; i++)
		ide_chan_stop(piix4_ide_chan(ide, i), on_stopped, NULL);
	for (int i = 0; i < 10000 && stopped < PIIX4_IDE_CHANNELS; i++)
		loop_poll(loop);
	BUG_ON(stopped != PIIX4_IDE_CHANNELS);
	bus_destroy(bus);
	piix4_ide_destroy(ide);
	loop_poll(loop);
}

static void make_memory(void)
{
	struct gmem_region r = { .gpa = BASE, .len = MEM_PAGES * KEEL_PAGE_SIZE };

	mem = mmap(NULL, r.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	BUG_ON(mem == MAP_FAILED);
	r.host = mem;
	BUG_ON(gmem_create(&r, 1, &gm) < 0);
	BUG_ON(loop_create_epoll(&loop) < 0);
}

static uint16_t pick_port(uint8_t sel)
{
	static const uint16_t bases[] = { 0x1f0, 0x1f0, 0x170, 0xffa0 };

	if (sel < 0xe0)
		return (uint16_t)(bases[sel >> 6] + sel % (sel >= 0xc0 ? 16 : 8));
	switch (sel & 7) {
	case 0:
	case 1:
		return 0x3f6;
	case 2:
		return 0x376;
	case 3:
		return 0xcf8;
	default:
		return (uint16_t)(0xcf8 + (sel & 7));
	}
}

static void poke_memory(struct rd *in)
{
	const uint32_t at = rd_u8(in) * 64u;
	const uint8_t *bytes = rd_bytes(in, 16);

	if (bytes)
		memcpy(mem + at % (MEM_PAGES * KEEL_PAGE_SIZE - 16), bytes, 16);
}

/* Many words in or out, as a driver moves a sector. */
static void burst(uint16_t port, uint8_t n, bool write, uint8_t seed)
{
	for (unsigned i = 0; i < (unsigned)n * 16 + 1; i++) {
		uint64_t val;

		if (write)
			bus_write(bus, BUS_PIO, port, 2, 0, seed + i * 257u);
		else
			bus_read(bus, BUS_PIO, port, 2, 0, &val);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);
	uint64_t val;

	if (!gm)
		make_memory();
	setup();
	for (unsigned i = 0; i < ACCESSES_MAX && in.left && !in.bad; i++) {
		const uint8_t op = rd_u8(&in), sel = rd_u8(&in);
		const uint16_t port = pick_port(sel);
		const unsigned width = 1u << (op >> 6) % 3;

		switch (op % 8) {
		case 0:
		case 1:
		case 2:
			bus_write(bus, BUS_PIO, port, width, 0, rd_le32(&in));
			break;
		case 3:
			bus_read(bus, BUS_PIO, port, width, 0, &val);
			break;
		case 4:
			burst(port & 0xfff0, sel, op & 8, op);
			break;
		case 5:
			poke_memory(&in);
			break;
		default:
			loop_poll(loop);
			break;
		}
	}
	finish();
	return 0;
}
