/* SPDX-License-Identifier: MIT */
/* Descriptor tables, paging, traps, and bringing up the other processors. */
#include "hostile.h"

_Static_assert(offsetof(struct cpu, guard_rsp) == CPU_GUARD_RSP, "entry.S knows it");
_Static_assert(sizeof(struct cpu) < 0x2000, "the first stack begins there");
_Static_assert(offsetof(struct uregs, rip) == 120, "entry.S knows it");
_Static_assert(offsetof(struct uregs, rsp) == 136, "entry.S knows it");

#define IST_TOP 0x6000u /* of the processor's block; the ordinary stack is above */
#define IRQS_MAX 64
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ICR 0x300
#define APIC_ICR2 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_COUNT 0x380
#define APIC_DIVIDE 0x3e0
#define WATCHDOG_VECTOR 0xf0
#define WATCHDOG_COUNT 30000000 /* some 30 ms */
#define APIC_BASE 0xfee00000ull

struct gate {
	uint16_t off0, sel;
	uint8_t ist, attr;
	uint16_t off1;
	uint32_t off2, rsvd;
};

uint8_t cpu_area[MAX_CPUS][CPU_AREA] __attribute__((aligned(CPU_AREA)));
uint8_t user_page[MAX_CPUS][4][PAGE] __attribute__((aligned(4096)));
uint8_t spare_page[16][PAGE] __attribute__((aligned(4096)));
uint8_t hc_page[PAGE] __attribute__((aligned(4096)));

static struct gate idt[256];
static uint64_t pml4[512] __attribute__((aligned(4096)));
static uint64_t pdpt_low[512] __attribute__((aligned(4096)));
static uint64_t pd_low[4][512] __attribute__((aligned(4096)));
static uint64_t pdpt_user[512] __attribute__((aligned(4096)));
static uint64_t pd_user[512] __attribute__((aligned(4096)));
static uint64_t pt_user[MAX_CPUS][512] __attribute__((aligned(4096)));
uint32_t ap_next;
static uint64_t tsc_start;

uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return lo | (uint64_t)hi << 32;
}

void wrmsr(uint32_t msr, uint64_t val)
{
	__asm__ volatile("wrmsr" : : "a"((uint32_t)val), "d"((uint32_t)(val >> 32)), "c"(msr)
			 : "memory");
}

void cpuid(uint32_t leaf, uint32_t sub, uint32_t ret_regs[4])
{
	__asm__ volatile("cpuid" : "=a"(ret_regs[0]), "=b"(ret_regs[1]), "=c"(ret_regs[2]),
			 "=d"(ret_regs[3]) : "a"(leaf), "c"(sub) : "memory");
}

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return lo | (uint64_t)hi << 32;
}

uint64_t now_s(void)
{
	return (rdtsc() - tsc_start) / plat.tsc_hz;
}

_Noreturn void cpu_stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

_Noreturn void cpu_triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) nothing = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" : : "m"(nothing));
	cpu_stop();
}

/* ---- local APIC ------------------------------------------------------------------------------ */

static void apic_write(uint32_t reg, uint32_t val)
{
	if (plat.x2apic)
		wrmsr(0x800 + (reg >> 4), val);
	else
		*(volatile uint32_t *)(APIC_BASE + reg) = val;
}

static void apic_ipi(uint32_t apic_id, uint32_t command)
{
	if (plat.x2apic) {
		wrmsr(0x800 + (APIC_ICR >> 4), (uint64_t)apic_id << 32 | command);
		return;
	}
	apic_write(APIC_ICR2, apic_id << 24);
	apic_write(APIC_ICR, command);
}

static void apic_init(void)
{
	uint64_t base = rdmsr(0x1b);

	wrmsr(0x1b, base | 0x800 | (plat.x2apic ? 0x400 : 0));
	apic_write(APIC_SVR, 0x1ff);
}

/* User code that loops for ever is interrupted. A storm may have left the APIC in any state. */
void cpu_watchdog(struct cpu *c)
{
	c->irqs_in_guard = 0;
	apic_write(APIC_SVR, 0x1ff);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_DIVIDE, 0xb); /* by 1 */
	apic_write(APIC_LVT_TIMER, WATCHDOG_VECTOR);
	apic_write(APIC_COUNT, WATCHDOG_COUNT);
}

/* ---- traps ----------------------------------------------------------------------------------- */

void trap_handler(struct frame *f);
void trap_handler(struct frame *f)
{
	struct cpu *c = cpu_self();

	c->last_rip = f->rip;
	c->last_err = f->err;
	__asm__ volatile("mov %%cr2, %0" : "=r"(c->last_cr2));
	if (f->vec >= 32 || f->vec == 2) {
		c->irqs++;
		if (f->vec >= 32)
			apic_write(APIC_EOI, 0);
		/* A line that stays up would keep us here for ever, and so would a loop. */
		if (c->guard_rsp && (++c->irqs_in_guard > IRQS_MAX ||
				     (f->vec == WATCHDOG_VECTOR && f->cs == SEL_UCODE)))
			guard_recover(c, (int)f->vec);
		return;
	}
	c->traps++;
	if (c->guard_rsp)
		guard_recover(c, (int)f->vec);
	if (c->idx == 0)
		con_die("trap outside of a guard", f->vec, f->rip);
	cpu_stop();
}

static void idt_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t at = (uint64_t)trap_stubs + 16ull * i;

		idt[i] = (struct gate){ .off0 = (uint16_t)at, .sel = SEL_KCODE, .ist = 1,
					.attr = 0x8e, .off1 = (uint16_t)(at >> 16),
					.off2 = (uint32_t)(at >> 32) };
	}
}

static void tables_load(struct cpu *c)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr, idtr = { sizeof(idt) - 1, (uint64_t)idt };
	uint64_t tss = (uint64_t)&c->tss;

	c->tss.ist[0] = (uint64_t)c + IST_TOP;
	c->tss.rsp[0] = (uint64_t)c + IST_TOP;
	c->tss.iomap = sizeof(c->tss);
	c->gdt[1] = 0x00af9b000000ffff;
	c->gdt[2] = 0x00cf93000000ffff;
	c->gdt[3] = 0x00cff3000000ffff;
	c->gdt[4] = 0x00affb000000ffff;
	c->gdt[5] = (sizeof(c->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
		    (tss >> 24 & 0xff) << 56;
	c->gdt[6] = tss >> 32;
	gdtr.limit = sizeof(c->gdt) - 1;
	gdtr.base = (uint64_t)c->gdt;
	load_tables(&gdtr, &idtr);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
}

/* ---- paging ---------------------------------------------------------------------------------- */

static void paging_init(void)
{
	pml4[0] = (uint64_t)pdpt_low | PTE_P | PTE_W;
	for (uint64_t i = 0; i < 4; i++) {
		pdpt_low[i] = (uint64_t)pd_low[i] | PTE_P | PTE_W;
		for (uint64_t k = 0; k < 512; k++)
			pd_low[i][k] = (i * 512 + k) << 21 | PTE_P | PTE_W | PTE_PS;
	}
	pml4[USER_BASE >> 39] = (uint64_t)pdpt_user | PTE_P | PTE_W | PTE_U;
	pdpt_user[0] = (uint64_t)pd_user | PTE_P | PTE_W | PTE_U;
	for (unsigned i = 0; i < MAX_CPUS; i++)
		pd_user[i] = (uint64_t)pt_user[i] | PTE_P | PTE_W | PTE_U;
}

uint64_t cpu_window(const struct cpu *c, unsigned slot)
{
	return USER_BASE + ((uint64_t)c->idx << 21) + (uint64_t)slot * PAGE;
}

void cpu_map_window(struct cpu *c, unsigned slot, uint64_t phys, uint64_t flags)
{
	c->pt[slot] = (phys & 0x000ffffffffff000) | flags;
	__asm__ volatile("invlpg (%0)" : : "r"(cpu_window(c, slot)) : "memory");
}

/* ---- start ----------------------------------------------------------------------------------- */

static void enable_vector_units(void)
{
	uint64_t cr0, cr4;

	if (!plat.sse)
		return;
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr0" : : "r"((cr0 & ~4ull) | 2));
	cr4 |= 0x600;
	if (plat.avx)
		cr4 |= 1ull << 18; /* OSXSAVE */
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
	if (plat.avx)
		__asm__ volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
}

/* No fast system calls: user code of the storms must come back by a trap. */
static void cpu_setup(uint32_t idx)
{
	struct cpu *c = cpu_at(idx);

	c->idx = idx;
	c->pt = pt_user[idx];
	c->rng = (opt.seed + 1) * 0x9e3779b97f4a7c15ull ^ (idx + 1) * 0xd1342543de82ef95ull;
	__asm__ volatile("mov %0, %%cr3" : : "r"(pml4) : "memory");
	tables_load(c);
	wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ull);
	apic_init();
	enable_vector_units();
	c->state = CPU_ONLINE;
}

void cpu_init_bsp(void)
{
	tsc_start = rdtsc();
	idt_init();
	paging_init();
	for (unsigned i = 0; i < PAGE; i++)
		hc_page[i] = 0xcc;
	cpu_setup(0);
}

_Noreturn void cpu_ap_main(uint32_t idx);
_Noreturn void cpu_ap_main(uint32_t idx)
{
	cpu_setup(idx);
	storm_main(cpu_self());
}

static void spin_ms(uint64_t ms)
{
	uint64_t until = rdtsc() + plat.tsc_hz / 1000 * ms;

	while (rdtsc() < until)
		__asm__ volatile("pause");
}

static bool wait_online(uint32_t count)
{
	for (unsigned i = 0; i < 5000; i++) {
		if (__atomic_load_n(&ap_next, __ATOMIC_ACQUIRE) == count &&
		    __atomic_load_n(&cpu_at(count - 1)->state, __ATOMIC_ACQUIRE) != CPU_ABSENT)
			return true;
		spin_ms(1);
	}
	return false;
}

/* One after the other, so that the index says which one is missing. */
void cpu_start_aps(void)
{
	uint32_t self[4], started = 1;

	cpuid(1, 0, self);
	trampoline_cr3 = (uint32_t)(uint64_t)pml4;
	__builtin_memcpy((void *)(uint64_t)TRAMPOLINE, trampoline_start,
			 (size_t)(trampoline_end - trampoline_start));
	ap_next = 1;
	for (unsigned i = 0; i < plat.n_cpus; i++) {
		if (plat.apic_ids[i] == self[1] >> 24)
			continue;
		apic_ipi(plat.apic_ids[i], 0x4500); /* INIT */
		spin_ms(10);
		apic_ipi(plat.apic_ids[i], 0x4600 | TRAMPOLINE >> 12); /* start-up */
		spin_ms(1);
		if (__atomic_load_n(&ap_next, __ATOMIC_ACQUIRE) == started)
			apic_ipi(plat.apic_ids[i], 0x4600 | TRAMPOLINE >> 12);
		if (!wait_online(++started))
			con_die("a processor did not start; APIC id, index", plat.apic_ids[i],
				started - 1);
		cpu_at(started - 1)->apic_id = plat.apic_ids[i];
	}
}
