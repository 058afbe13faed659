/* SPDX-License-Identifier: MIT */
/* Machine-specific registers, CPUID leaves, hypercalls, interrupts. */
#include "hostile.h"

#define MSR_GUEST_OS_ID 0x40000000
#define MSR_HYPERCALL 0x40000001
#define MSR_RESET 0x40000003
#define GUEST_OS_ID 0x8100c0de00000000ull /* open source, not a known system */

void hv_setup(void)
{
	if (!plat.hyperv)
		return;
	wrmsr(MSR_GUEST_OS_ID, GUEST_OS_ID);
	wrmsr(MSR_HYPERCALL, (uint64_t)hc_page | 1);
}

/* ---- MSRs ------------------------------------------------------------------------------------ */

struct msr_op {
	uint32_t msr;
	bool write;
	uint64_t val;
};

static void do_msr(struct cpu *c, void *arg)
{
	const struct msr_op *m = arg;

	(void)c;
	if (m->write)
		wrmsr(m->msr, m->val);
	else
		(void)rdmsr(m->msr);
}

static uint32_t pick_msr(struct cpu *c)
{
	static const struct {
		uint32_t base, count;
	} groups[] = {
		{ 0x40000000, 0x120 }, { 0x40000000, 0x30 }, { 0x40000080, 0x40 },
		{ 0x40000100, 8 }, { 0x800, 0x100 }, { 0x200, 0x100 }, { 0, 0x200 },
		{ 0x400, 0x100 }, { 0x600, 0x100 }, { 0xc0000080, 0x20 }, { 0xc0000100, 4 },
		{ 0xc0010000, 0x120 }, { 0x4b564d00, 8 }, { 0xd90, 0x20 }, { 0x48, 1 },
	};
	size_t i = rnd_below(c, ARRAY_SIZE(groups) + 1);

	if (i == ARRAY_SIZE(groups))
		return (uint32_t)rnd(c);
	return groups[i].base + (uint32_t)rnd_below(c, groups[i].count);
}

/*
 * Writes that would only show that a guest can stop itself: mode switches, the time stamp counter
 * (our clock), moving the APIC, sending INIT, asking for a reset, branch-wise single steps.
 */
static bool msr_write_is_safe(uint32_t msr)
{
	static const uint32_t deadly[] = {
		0x10, 0x1b, 0x3b, 0x1d9, 0x830, 0xc0000080, MSR_RESET,
		0xc0000104, /* TSC ratio */
		0x835, 0x836, /* LINT0, LINT1: can deliver INIT */
	};

	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
		if (deadly[i] == msr)
			return false;
	}
	return true;
}

/* Registers that name a page the hypervisor will write: never one of ours that matters. */
static uint64_t msr_value(struct cpu *c, uint32_t msr)
{
	switch (msr) {
	case MSR_HYPERCALL:
		if (rnd_below(c, 2))
			return (uint64_t)hc_page | (rnd(c) & 1);
		return (pick_mmio(c) & ~0xfffull) | (rnd(c) & 1);
	case 0x40000021:
	case 0x40000073:
	case 0x40000082:
	case 0x40000083:
		return (pick_gpa(c) & ~0xfffull) | (rnd(c) & 1);
	case 0x40000103: /* crash message: address, length */
		return pick_gpa(c);
	default:
		return rnd_value(c);
	}
}

void storm_msr(struct cpu *c)
{
	struct msr_op m = { .msr = pick_msr(c), .write = rnd(c) & 0x100 };

	if (m.write && !msr_write_is_safe(m.msr))
		m.write = false;
	m.val = msr_value(c, m.msr);
	(void)guard(c, do_msr, &m);
}

/* ---- CPUID ----------------------------------------------------------------------------------- */

void storm_cpuid(struct cpu *c)
{
	static const uint32_t bases[] = { 0, 0x40000000, 0x40000080, 0x80000000, 0x20000000,
					  0x8fffff00, 0xc0000000 };
	uint32_t r[4], leaf = bases[rnd_below(c, ARRAY_SIZE(bases))] + (uint32_t)rnd_below(c, 0x30);

	if (rnd_below(c, 8) == 0)
		leaf = (uint32_t)rnd(c);
	cpuid(leaf, (uint32_t)rnd_below(c, 8), r);
	cpuid(0x40000000, 0, r);
	if (plat.hyperv && (r[1] != 0x7263694d || r[2] != 0x666f736f || r[3] != 0x76482074))
		c->traps |= 1ull << 63; /* shown in the report: the signature changed */
}

/* ---- hypercalls ------------------------------------------------------------------------------ */

static void do_hypercall(struct cpu *c, void *arg)
{
	(void)c;
	(void)hc_call(arg);
}

static uint16_t pick_code(struct cpu *c)
{
	static const uint16_t codes[] = {
		0x01, 0x02, 0x03, 0x08, 0x0b, 0x0c, 0x0d, 0x0f, 0x11, 0x12, 0x13, 0x14, 0x15, 0x46,
		0x4d, 0x50, 0x51, 0x52, 0x53, 0x5c, 0x5d, 0x7e, 0x91, 0x94, 0x99, 0x9a, 0xac, 0xad,
		0xaf, 0xb0, 0xc0, 0xc1, 0xd4, 0xd9, 0xdb, 0x103, 0x106, 0x107, 0x112, 0x113,
		0x8001, 0x8003, 0xc001,
	};

	return rnd_below(c, 5) ? codes[rnd_below(c, ARRAY_SIZE(codes))] : (uint16_t)rnd(c);
}

/* Input that passes the first checks: this partition, this processor, some VTL. */
static void fill_input(struct cpu *c, uint8_t *page)
{
	for (unsigned i = 0; i < 512; i += 8) {
		uint64_t val = rnd_value(c);

		__builtin_memcpy(page + i, &val, 8);
	}
	if (rnd_below(c, 3)) {
		uint64_t self = ~0ull, vp = 0xfffffffe | rnd_below(c, 3) << 36 | (rnd(c) & 1) << 32;

		__builtin_memcpy(page, &self, 8);
		__builtin_memcpy(page + 8, &vp, 8);
	}
}

void storm_hvcall(struct cpu *c)
{
	uint8_t *page = spare_page[rnd_below(c, ARRAY_SIZE(spare_page))];
	struct hcregs r = { .rax = 0x8000dead00000000 };

	if (!plat.hyperv)
		return;
	fill_input(c, page);
	r.rcx = pick_code(c);
	if (rnd_below(c, 3) == 0)
		r.rcx |= 1u << 16; /* fast */
	if (rnd_below(c, 2))
		r.rcx |= (uint64_t)rnd_below(c, 600) << 32; /* repeat count */
	if (rnd_below(c, 4) == 0)
		r.rcx |= rnd_value(c) & ~0xffffull;
	r.rdx = rnd_below(c, 4) ? (uint64_t)page + (rnd_below(c, 4) ? 0 : rnd_below(c, PAGE)) :
				  pick_gpa(c);
	if (r.rcx & (1u << 16))
		r.rdx = rnd_value(c);
	r.r8 = pick_gpa(c) + (rnd_below(c, 4) ? 0 : rnd_below(c, PAGE));
	/* Other processors switch the page on and off at the same time: it is code or 0xcc. */
	r.target = rnd_below(c, 16) ? (uint64_t)hc_page : plat.amd ? 2 : 1;
	(void)guard(c, do_hypercall, &r);
	if (rnd_below(c, 16) == 0)
		hv_setup();
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static void do_window(struct cpu *c, void *arg)
{
	(void)c;
	(void)arg;
	__asm__ volatile("sti; nop; nop; nop; nop; nop; nop; nop; nop; cli");
}

static void ioapic_write(struct cpu *c, uint8_t reg, uint32_t val)
{
	volatile uint32_t *regs = (volatile uint32_t *)cpu_window(c, 10);

	regs[0] = reg;
	regs[4] = val;
}

/* A redirection entry with any vector, trigger and polarity, but fixed or lowest priority. */
static void do_ioapic(struct cpu *c, void *arg)
{
	uint8_t pin = (uint8_t)rnd_below(c, 26);

	(void)arg;
	ioapic_write(c, (uint8_t)(0x11 + 2 * pin), (uint32_t)rnd(c) & 0xff000000);
	ioapic_write(c, (uint8_t)(0x10 + 2 * pin), (uint32_t)rnd(c) & 0x1f9ff);
}

/* Set off devices, route their lines anywhere, and open a window for what comes. */
void storm_irq(struct cpu *c)
{
	cpu_map_window(c, 10, 0xfec00000, PTE_P | PTE_W);
	(void)guard(c, do_ioapic, NULL);
	switch (rnd_below(c, 4)) {
	case 0:
		outb(0x2f8 + 1, (uint8_t)rnd(c)); /* COM2: interrupt enable, loopback */
		outb(0x2f8 + 4, (uint8_t)rnd(c));
		outb(0x2f8, (uint8_t)rnd(c));
		break;
	case 1:
		outb(0x70, 0xb); /* RTC: all its interrupts, quickly */
		outb(0x71, (uint8_t)(0x72 & rnd(c)));
		outb(0x70, 0xc);
		(void)inb(0x71);
		break;
	case 2:
		outb(0x43, (uint8_t)rnd(c)); /* PIT */
		outb(0x40, (uint8_t)rnd(c));
		outb(0x40, (uint8_t)rnd(c));
		break;
	default:
		outb(0x20, (uint8_t)rnd(c)); /* PIC */
		outb(0x21, (uint8_t)rnd(c));
		outb(0xa0, (uint8_t)rnd(c));
		outb(0xa1, (uint8_t)rnd(c));
		break;
	}
	c->irqs_in_guard = 0;
	(void)guard(c, do_window, NULL);
}
