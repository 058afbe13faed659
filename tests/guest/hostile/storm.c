/* SPDX-License-Identifier: MIT */
/* Random numbers, random targets, and the loop every processor runs. */
#include "hostile.h"

#define BATCH 64

volatile bool storm_go, storm_stop;

static const struct {
	const char *name;
	void (*run)(struct cpu *c);
} storms[N_STORMS] = {
	[STORM_PIO] = { "pio", storm_pio },
	[STORM_MMIO] = { "mmio", storm_mmio },
	[STORM_MSR] = { "msr", storm_msr },
	[STORM_CPUID] = { "cpuid", storm_cpuid },
	[STORM_HVCALL] = { "hvcall", storm_hvcall },
	[STORM_INSN] = { "insn", storm_insn },
	[STORM_EXEC] = { "exec", storm_exec },
	[STORM_SMC] = { "smc", storm_smc },
	[STORM_IRQ] = { "irq", storm_irq },
	[STORM_VMBUS] = { "vmbus", storm_vmbus },
};

const char *storm_name(uint32_t storm)
{
	return storm < N_STORMS ? storms[storm].name : "?";
}

bool storm_by_name(const char *name, size_t len, uint32_t *ret_bits)
{
	for (uint32_t i = 0; i < N_STORMS; i++) {
		size_t k = 0;

		while (k < len && storms[i].name[k] == name[k])
			k++;
		if (k == len && !storms[i].name[k]) {
			*ret_bits |= 1u << i;
			return true;
		}
	}
	return false;
}

uint64_t rnd(struct cpu *c)
{
	c->rng ^= c->rng >> 12;
	c->rng ^= c->rng << 25;
	c->rng ^= c->rng >> 27;
	return c->rng * 0x2545f4914f6cdd1dull;
}

uint64_t rnd_below(struct cpu *c, uint64_t bound)
{
	return (rnd(c) >> 16) % bound;
}

uint64_t rnd_value(struct cpu *c)
{
	uint64_t val = 1ull << rnd_below(c, 64);

	switch (rnd_below(c, 6)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return val;
	case 3:
		return val - 1;
	case 4:
		return ~val;
	default:
		return rnd(c);
	}
}

/* VTL2's memory if we were told where it is; otherwise holes and what lies just above our RAM. */
static uint64_t pick_vtl2(struct cpu *c)
{
	uint64_t len = opt.vtl2.end - opt.vtl2.base;

	if (opt.vtl2.end > opt.vtl2.base)
		return opt.vtl2.base + rnd_below(c, len);
	return plat.ram_end + rnd_below(c, 512u << 20);
}

static uint64_t pick_candidate(struct cpu *c)
{
	static const uint64_t pages[] = {
		0xfec00000, 0xfed00000, 0xfed3f000, 0xfed40000, 0xfee01000, 0xfeeff000, 0xfed45000,
		0xfebff000, 0xff000000, 0xfffff000, 0xe0000000, 0xf8000000, 0x100000000,
	};

	switch (rnd_below(c, 8)) {
	case 0:
	case 1:
	case 2:
		return pages[rnd_below(c, ARRAY_SIZE(pages))];
	case 3:
		return pick_vtl2(c);
	case 4:
		return rnd_below(c, 1ull << 32);
	case 5:
		return 0xe0000000 + rnd_below(c, 0x1ec00000);
	case 6:
		return rnd_below(c, 1ull << plat.phys_bits);
	default:
		return (1ull << plat.phys_bits) - PAGE * (1 + rnd_below(c, 16));
	}
}

/* Never our memory, and not the local APIC: a random INIT from there takes a processor away. */
uint64_t pick_mmio(struct cpu *c)
{
	for (;;) {
		uint64_t gpa = pick_candidate(c) & ~(uint64_t)(PAGE - 1);

		if (!plat_is_memory(gpa, PAGE) && gpa != 0xfee00000)
			return gpa;
	}
}

uint64_t pick_gpa(struct cpu *c)
{
	if (rnd_below(c, 4) == 0)
		return pick_mmio(c) + (rnd(c) & 0xfff);
	return (uint64_t)spare_page[rnd_below(c, ARRAY_SIZE(spare_page))];
}

/* One batch of one of the storms asked for. */
void storm_batch(struct cpu *c)
{
	do {
		c->storm = (uint32_t)rnd_below(c, N_STORMS);
	} while (!(opt.storms & (1u << c->storm)));
	c->irqs_in_guard = 0;
	for (int i = 0; i < BATCH && !storm_stop; i++) {
		storms[c->storm].run(c);
		c->ops[c->storm]++;
	}
}

_Noreturn void storm_main(struct cpu *c)
{
	while (!__atomic_load_n(&storm_go, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
	c->state = CPU_STORMING;
	while (!__atomic_load_n(&storm_stop, __ATOMIC_ACQUIRE))
		storm_batch(c);
	__atomic_store_n(&c->state, CPU_DONE, __ATOMIC_RELEASE);
	cpu_stop();
}
