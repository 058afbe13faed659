/* SPDX-License-Identifier: MIT */
/*
 * A PCI function whose driver is the input: configuration space, BARs, MSI-X in any order. Offsets
 * that reach the device lie in its BARs, and nothing is sent while it may not be.
 */
#include "fuzz.h"

#include "bug.h"
#include "pci_func.h"
#include "rd.h"

static struct pci_func *f;
static const uint64_t bar_size[PCI_BARS] = { 0x10000, 0, 0x1000, 0, 0x1000 };

static uint64_t bar_read(void *ctx, unsigned bar, uint64_t off, unsigned size)
{
	BUG_ON(bar >= PCI_BARS || bar == 4 || off + size > bar_size[bar]);
	return off * 0x0101010101010101;
}

static void bar_write(void *ctx, unsigned bar, uint64_t off, unsigned size, uint64_t val)
{
	BUG_ON(bar >= PCI_BARS || bar == 4 || off + size > bar_size[bar]);
	BUG_ON(size < 8 && val >> size * 8);
	if (off == 8)
		pci_func_msix(f, (unsigned)val);
}

static void deliver(void *ctx, uint64_t addr, uint32_t data)
{
	BUG_ON(addr & 3);
}

static const struct pci_func_ops ops = { .bar_read = bar_read, .bar_write = bar_write };

static void make(void)
{
	const struct pci_func_cfg cfg = { .name = "dev",
					  .vendor = 0x1414,
					  .device = 1,
					  .bar_size = { 0x10000, 0, 0x1000, 0, 0x1000 },
					  .bar_64 = { true, false, false, false, true },
					  .msix_vectors = 8,
					  .msix_bar = 4,
					  .ops = &ops,
					  .msi = { .deliver = deliver } };

	BUG_ON(pci_func_create(&cfg, &f) < 0);
}

static void access_bar(struct rd *in)
{
	static const uint64_t places[] = { 0, 0x80000000, 0x4000000000, UINT64_MAX & ~0xfffull };
	const uint8_t how = rd_u8(in);
	const uint64_t addr = places[how & 3] + rd_le16(in) - 8;
	const unsigned size = 1u << (how >> 2 & 3);
	uint64_t val;

	if (how & 0x80) {
		(void)pci_func_mmio_write(f, addr, size, rd_le64(in));
	} else if (pci_func_mmio_read(f, addr, size, &val)) {
		BUG_ON(size < 8 && val >> size * 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);
	unsigned off;

	if (!f)
		make();
	pci_func_reset(f);
	while (in.left && !in.bad) {
		switch (rd_u8(&in) % 6) {
		case 0:
		case 1: /* where something is */
			off = rd_u8(&in);
			pci_func_cfg_write(f, off, 4, rd_le32(&in));
			break;
		case 2:
			off = rd_le16(&in);
			pci_func_cfg_write(f, off, off >> 13 & 7, rd_le32(&in));
			break;
		case 3:
			off = rd_le16(&in);
			(void)pci_func_cfg_read(f, off & 0x1fff, off >> 13);
			break;
		case 4:
			access_bar(&in);
			break;
		case 5:
			pci_func_msix(f, rd_u8(&in));
			break;
		}
	}
	BUG_ON(pci_func_cfg_read(f, 0, 4) != 0x00011414);
	BUG_ON(pci_func_bar_mask(f, 0) != 0xffff0004);
	return 0;
}
