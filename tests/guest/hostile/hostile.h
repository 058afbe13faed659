/* SPDX-License-Identifier: MIT */
/*
 * The hostile guest: a kernel for VTL0 that does to the paravisor whatever a guest can, from all
 * processors at once, and survives its own exceptions. No operating system, no libc: 64-bit mode,
 * interrupts off, an identity map of the low 4 GiB, and a window of user pages per processor.
 *
 * Command line: hostile.seed=N hostile.time=SECONDS hostile.tests=a,b,.. hostile.vtl2=BASE-END
 * hostile.end=poweroff|reset|triple. Prints "HOSTILE DONE" on COM1 when it got to its end.
 */
#pragma once

#define MAX_CPUS 64
#define PAGE 4096u
#define CPU_AREA 65536

/* Offsets into struct cpu that entry.S uses; checked in cpu.c. */
#define CPU_GUARD_RSP 0

#define SEL_KCODE 0x08
#define SEL_KDATA 0x10
#define SEL_UDATA 0x1b
#define SEL_UCODE 0x23
#define SEL_TSS 0x28

/* Free low memory between the loader's page tables and the ACPI tables. */
#define TRAMPOLINE 0x10000

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define USER_BASE (1ull << 39)
#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_U 4ull
#define PTE_PS 0x80ull
#define NO_TRAP (-1)

/* Kinds of storm; the order is that of the names in storm.c. */
enum storm {
	STORM_PIO, STORM_MMIO, STORM_MSR, STORM_CPUID, STORM_HVCALL, STORM_INSN, STORM_EXEC,
	STORM_SMC, STORM_IRQ, STORM_VMBUS, N_STORMS
};

struct tss {
	uint32_t rsvd0;
	uint64_t rsp[3];
	uint64_t rsvd1;
	uint64_t ist[7];
	uint64_t rsvd2;
	uint16_t rsvd3, iomap;
} __attribute__((packed));

/* One processor: everything it needs, its stacks included, in one aligned block. */
struct cpu {
	uint64_t guard_rsp; /* stack of the innermost guard(), 0 = none */
	uint32_t idx, apic_id;
	uint64_t rng;
	uint64_t *pt; /* page table of its window */
	volatile uint64_t ops[N_STORMS];
	volatile uint64_t traps, irqs;
	uint64_t irqs_in_guard;
	uint64_t last_rip, last_cr2, last_err;
	volatile uint32_t state; /* enum cpu_state */
	volatile uint32_t storm; /* what it is at, for the report of a stuck one */
	uint64_t gdt[7];
	struct tss tss;
};

enum cpu_state { CPU_ABSENT, CPU_ONLINE, CPU_STORMING, CPU_DONE };

struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vec, err, rip, cs, rflags, rsp, ss;
};

/* Registers for a visit to user mode; the layout is known to entry.S. */
struct uregs {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags, rsp;
};

/* Registers of a call into the hypercall page or of a bare vmcall. */
struct hcregs {
	uint64_t rcx, rdx, r8, rax, target;
};

struct range {
	uint64_t base, end;
};

struct options {
	uint64_t seed, seconds;
	uint32_t storms; /* bit per enum storm */
	char end; /* 'p'oweroff, 'r'eset, 't'riple */
	struct range vtl2; /* empty = not told */
};

/* What the boot loader's tables say. */
struct platform {
	struct range used[128]; /* memory map: every kind of entry */
	uint32_t n_used;
	uint64_t ram_end;
	uint32_t apic_ids[MAX_CPUS];
	uint32_t n_cpus;
	uint8_t phys_bits;
	bool hyperv, x2apic, amd, sse, avx;
	uint64_t tsc_hz;
};

extern const char default_end;
extern struct options opt;
extern struct platform plat;
extern uint8_t cpu_area[MAX_CPUS][CPU_AREA];
extern uint8_t user_page[MAX_CPUS][4][PAGE]; /* two of code, two of data; random is allowed */
extern uint8_t spare_page[16][PAGE]; /* targets for whatever writes into memory */
extern uint8_t hc_page[PAGE]; /* the hypercall page: never anything else */
extern volatile bool storm_go, storm_stop;

static inline struct cpu *cpu_at(uint32_t idx)
{
	return (struct cpu *)(void *)cpu_area[idx];
}

static inline struct cpu *cpu_self(void)
{
	uint64_t rsp;

	__asm__ volatile("mov %%rsp, %0" : "=r"(rsp));
	return (struct cpu *)((rsp - 1) & ~(uint64_t)(CPU_AREA - 1));
}

/* ---- entry.S --------------------------------------------------------------------------------- */

extern const uint8_t trap_stubs[], trampoline_start[], trampoline_end[];
extern uint32_t trampoline_cr3, ap_next;

/* Run fn(c, arg); an exception in it ends it. Returns: NO_TRAP or the vector. */
int guard(struct cpu *c, void (*fn)(struct cpu *c, void *arg), void *arg);
_Noreturn void guard_recover(struct cpu *c, int vec);
_Noreturn void user_enter(const struct uregs *regs);
uint64_t hc_call(struct hcregs *regs);
void load_tables(const void *gdtr, const void *idtr);

/* ---- cpu.c ----------------------------------------------------------------------------------- */

void cpu_init_bsp(void);
void cpu_start_aps(void);
void cpu_map_window(struct cpu *c, unsigned slot, uint64_t phys, uint64_t flags);
uint64_t cpu_window(const struct cpu *c, unsigned slot);
void cpu_watchdog(struct cpu *c);
uint64_t now_s(void);
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t val);
void cpuid(uint32_t leaf, uint32_t sub, uint32_t ret_regs[4]);
_Noreturn void cpu_triple_fault(void);
_Noreturn void cpu_stop(void);

/* ---- plat.c ---------------------------------------------------------------------------------- */

void plat_read(const uint8_t *zero_page);
bool plat_is_memory(uint64_t gpa, uint64_t len);

/* ---- con.c ----------------------------------------------------------------------------------- */

/* %s %u (64-bit decimal) %x (64-bit hexadecimal); arguments are strings or uint64_t. */
void con_print(const char *fmt, ...);
_Noreturn void con_die(const char *what, uint64_t a, uint64_t b);
void outb(uint16_t port, uint8_t val);
void outw(uint16_t port, uint16_t val);
uint8_t inb(uint16_t port);

/* ---- storms: one batch of operations each ---------------------------------------------------- */

uint64_t rnd(struct cpu *c);
uint64_t rnd_below(struct cpu *c, uint64_t bound);
uint64_t rnd_value(struct cpu *c); /* an edge value more often than chance would */
uint64_t pick_mmio(struct cpu *c); /* a page that is no memory of ours */
uint64_t pick_gpa(struct cpu *c); /* for pages the hypervisor may write: spare, absent or VTL2's */

void storm_pio(struct cpu *c);
void storm_mmio(struct cpu *c);
void storm_msr(struct cpu *c);
void storm_cpuid(struct cpu *c);
void storm_hvcall(struct cpu *c);
void storm_insn(struct cpu *c);
void storm_exec(struct cpu *c);
void storm_smc(struct cpu *c);
void storm_irq(struct cpu *c);
void storm_vmbus(struct cpu *c);
void hv_setup(void);
void storm_batch(struct cpu *c);
_Noreturn void storm_main(struct cpu *c);
const char *storm_name(uint32_t storm);
bool storm_by_name(const char *name, size_t len, uint32_t *ret_bits);

#endif
