/* SPDX-License-Identifier: MIT */
/*
 * Registers and doorbells. Input: accesses of VP threads, several at a time. They only note what
 * was written and wake the loop.
 */
#include "nvme_regs.h"

#include "ckd.h"

#define VENDOR 0x1414u
#define DEVICE 0xc03eu
#define BAR_BYTES 0x10000u
#define MSIX_BAR 4u

#define READY_HALVES 120u /* 60 s: a disk may have to give up first */
#define CC_WRITABLE 0x00fffff1u

static const uint64_t cap = NVME_CAP_MQES(NVME_QUEUE_ENTRIES) | NVME_CAP_CQR |
			    NVME_CAP_TO(READY_HALVES) | NVME_CAP_CSS_NVM;

static uint32_t half(uint64_t val, uint64_t off)
{
	return (uint32_t)(off & 4 ? val >> 32 : val);
}

static uint32_t reg_read(struct nvme_ctrl *c, uint64_t off)
{
	switch (off) {
	case NVME_REG_CAP:
	case NVME_REG_CAP + 4:
		return half(cap, off);
	case NVME_REG_VS:
		return NVME_VS_2_0;
	case NVME_REG_INTMS:
	case NVME_REG_INTMC:
		return atomic_load_explicit(&c->regs.intms, memory_order_relaxed);
	case NVME_REG_CC:
		return atomic_load_explicit(&c->regs.cc, memory_order_relaxed);
	case NVME_REG_CSTS:
		/* Acquire: who sees it ready or not sees what was done before. */
		return atomic_load_explicit(&c->regs.csts, memory_order_acquire);
	case NVME_REG_AQA:
		return atomic_load_explicit(&c->regs.aqa, memory_order_relaxed);
	case NVME_REG_ASQ:
	case NVME_REG_ASQ + 4:
		return half(atomic_load_explicit(&c->regs.asq, memory_order_relaxed), off - 8);
	case NVME_REG_ACQ:
	case NVME_REG_ACQ + 4:
		return half(atomic_load_explicit(&c->regs.acq, memory_order_relaxed), off);
	default:
		return 0;
	}
}

static uint64_t bar_read(void *ctx, unsigned bar, uint64_t off, unsigned size)
{
	struct nvme_ctrl *c = ctx;
	uint64_t val;

	if (atomic_load_explicit(&c->regs.fault, memory_order_relaxed) == NVME_FAULT_GONE)
		return UINT64_MAX;
	if (!is_aligned(off, size))
		return UINT64_MAX;
	val = reg_read(c, off & ~3ull);
	if (size == 8)
		return val | (uint64_t)reg_read(c, off + 4) << 32;
	return val >> (off & 3) * 8;
}

/* Two VPs that write the two halves at once get what they ask for, one way or the other. */
static void set_half(_Atomic uint64_t *reg, bool high, uint32_t val)
{
	uint64_t old = atomic_load_explicit(reg, memory_order_relaxed);

	if (high)
		old = (old & UINT32_MAX) | (uint64_t)val << 32;
	else
		old = (old & ~(uint64_t)UINT32_MAX) | (val & ~(KEEL_PAGE_SIZE - 1));
	atomic_store_explicit(reg, old, memory_order_relaxed);
}

static void cc_write(struct nvme_ctrl *c, uint32_t val)
{
	/* Release: the loop that sees it enabled sees the admin queues' addresses. */
	const uint32_t old =
		atomic_exchange_explicit(&c->regs.cc, val & CC_WRITABLE, memory_order_acq_rel);

	if ((old & NVME_CC_EN) && !(val & NVME_CC_EN))
		atomic_store_explicit(&c->regs.reset, true, memory_order_release);
	nvme_kick(c);
}

static void reg_write(struct nvme_ctrl *c, uint64_t off, uint32_t val)
{
	const bool on = atomic_load_explicit(&c->regs.cc, memory_order_relaxed) & NVME_CC_EN;

	switch (off) {
	case NVME_REG_INTMS:
		atomic_fetch_or_explicit(&c->regs.intms, val, memory_order_relaxed);
		break;
	case NVME_REG_INTMC:
		atomic_fetch_and_explicit(&c->regs.intms, ~val, memory_order_relaxed);
		break;
	case NVME_REG_CC:
		cc_write(c, val);
		break;
	case NVME_REG_AQA:
		if (!on)
			atomic_store_explicit(&c->regs.aqa, val & 0x0fff0fff, memory_order_relaxed);
		break;
	case NVME_REG_ASQ:
	case NVME_REG_ASQ + 4:
		if (!on)
			set_half(&c->regs.asq, off != NVME_REG_ASQ, val);
		break;
	case NVME_REG_ACQ:
	case NVME_REG_ACQ + 4:
		if (!on)
			set_half(&c->regs.acq, off != NVME_REG_ACQ, val);
		break;
	default:
		break; /* read-only, or nothing: NSSR, too, as CAP says */
	}
}

static void doorbell(struct nvme_ctrl *c, uint64_t n, uint32_t val)
{
	const unsigned q = (unsigned)(n / 2);

	atomic_fetch_add_explicit(&c->regs.doorbells, 1, memory_order_relaxed);
	if (q > c->cfg.max_queues) {
		atomic_store_explicit(&c->regs.bad_doorbell, true, memory_order_relaxed);
		nvme_kick(c);
	} else if (n & 1) {
		/* In this order, seq_cst: the loop first says that it waits, then looks. */
		atomic_store(&c->regs.cq_head[q], val);
		if (atomic_load(&c->regs.cq_waits[q]) && atomic_exchange(&c->regs.cq_waits[q], 0))
			nvme_kick(c);
	} else {
		/* Release: the entries; pairs with the loop's loads. */
		atomic_store_explicit(&c->regs.sq_tail[q], val, memory_order_release);
		atomic_fetch_or_explicit(&c->regs.sq_rung[q / 64], BIT(q & 63),
					 memory_order_release);
		nvme_kick(c);
	}
}

static void bar_write(void *ctx, unsigned bar, uint64_t off, unsigned size, uint64_t val)
{
	struct nvme_ctrl *c = ctx;

	if (atomic_load_explicit(&c->regs.fault, memory_order_relaxed) == NVME_FAULT_GONE)
		return;
	if (size < 4 || !is_aligned(off, size))
		return;
	if (off >= NVME_REG_DOORBELLS) {
		if (size == 4)
			doorbell(c, (off - NVME_REG_DOORBELLS) / 4, (uint32_t)val);
		return;
	}
	reg_write(c, off, (uint32_t)val);
	if (size == 8)
		reg_write(c, off + 4, (uint32_t)(val >> 32));
}

static void on_command(void *ctx, bool master, bool memory)
{
	struct nvme_ctrl *c = ctx;

	atomic_store(&c->regs.master, master);
	nvme_kick(c);
}

static void on_reset(void *ctx)
{
	struct nvme_ctrl *c = ctx;

	atomic_store(&c->regs.master, false);
	atomic_store(&c->regs.cc, 0);
	atomic_store(&c->regs.intms, 0);
	atomic_store(&c->regs.aqa, 0);
	atomic_store(&c->regs.asq, 0);
	atomic_store(&c->regs.acq, 0);
	atomic_store_explicit(&c->regs.reset, true, memory_order_release);
	nvme_kick(c);
}

static const struct pci_func_ops ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.command = on_command,
	.reset = on_reset,
};

int nvme_regs_create(struct nvme_ctrl *c)
{
	const struct pci_func_cfg cfg = {
		.name = c->name,
		.vendor = VENDOR,
		.device = DEVICE,
		.sub_vendor = VENDOR,
		.prog_if = 2,
		.sub_class = 8,
		.base_class = 1,
		.bar_size = { [0] = BAR_BYTES, [MSIX_BAR] = KEEL_PAGE_SIZE },
		.bar_64 = { [0] = true, [MSIX_BAR] = true },
		.msix_vectors = c->cfg.msix_vectors,
		.msix_bar = MSIX_BAR,
		.ops = &ops,
		.ctx = c,
		.msi = c->cfg.msi,
	};

	BUILD_ASSERT(NVME_REG_DOORBELLS + NVME_QS * 8 <= BAR_BYTES, "doorbells fit");
	return pci_func_create(&cfg, &c->pci);
}
