/* SPDX-License-Identifier: MIT */
/* The first processor: set up, take part, report, end. */
#include "hostile.h"

#define DONE_WAIT_S 30
#define END_WAIT_S 30

_Noreturn void hostile_main(const uint8_t *zero_page);

/* The end is arranged by the host, so it may take a moment. */
static _Noreturn void expect_end(const char *what)
{
	uint64_t until = now_s() + END_WAIT_S;

	while (now_s() < until)
		__asm__ volatile("pause");
	con_die(what, 0, 0);
}

static _Noreturn void power_off(void)
{
	outw(0x404, 0x2000); /* sleep type 0, sleep enable */
	expect_end("power-off had no effect");
}

static _Noreturn void end(void)
{
	switch (opt.end) {
	case 'r':
		outb(0x433, 1);
		expect_end("reset had no effect");
	case 't':
		cpu_triple_fault();
	default:
		power_off();
	}
}

static uint64_t total_ops(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < plat.n_cpus; i++) {
		for (unsigned k = 0; k < N_STORMS; k++)
			n += cpu_at(i)->ops[k];
	}
	return n;
}

static void progress(void)
{
	uint64_t traps = 0, irqs = 0;

	for (uint32_t i = 0; i < plat.n_cpus; i++) {
		traps += cpu_at(i)->traps;
		irqs += cpu_at(i)->irqs;
	}
	con_print("hostile: %u s, %u operations, %u exceptions, %u interrupts\n", now_s(),
		  total_ops(), traps, irqs);
}

static void report(void)
{
	for (unsigned k = 0; k < N_STORMS; k++) {
		uint64_t n = 0;

		for (uint32_t i = 0; i < plat.n_cpus; i++)
			n += cpu_at(i)->ops[k];
		con_print("hostile: %s %u\n", storm_name(k), n);
	}
}

/* Every processor must come back from its last operation. */
static void wait_for_all(void)
{
	uint64_t until = now_s() + DONE_WAIT_S;

	for (uint32_t i = 1; i < plat.n_cpus; i++) {
		while (__atomic_load_n(&cpu_at(i)->state, __ATOMIC_ACQUIRE) != CPU_DONE) {
			if (now_s() > until) {
				con_print("hostile: processor %u is stuck in %s\n", (uint64_t)i,
					  storm_name(cpu_at(i)->storm));
				con_die("stuck; rip, cr2", cpu_at(i)->last_rip,
					cpu_at(i)->last_cr2);
			}
			__asm__ volatile("pause");
		}
	}
}

static void storm_all(struct cpu *c)
{
	uint64_t shown = 0;

	__atomic_store_n(&storm_go, true, __ATOMIC_RELEASE);
	while (now_s() < opt.seconds) {
		storm_batch(c);
		if (now_s() != shown) {
			shown = now_s();
			progress();
		}
	}
	__atomic_store_n(&storm_stop, true, __ATOMIC_RELEASE);
	wait_for_all();
}

_Noreturn void hostile_main(const uint8_t *zero_page)
{
	plat_read(zero_page);
	cpu_init_bsp();
	con_print("hostile: seed %u, %u processors, RAM to %x, %s, %s\n", opt.seed,
		  (uint64_t)plat.n_cpus, plat.ram_end, plat.hyperv ? "Hyper-V" : "no Hyper-V",
		  plat.x2apic ? "x2APIC" : "xAPIC");
	cpu_start_aps();
	con_print("hostile: %u processors online\n", (uint64_t)plat.n_cpus);
	hv_setup();
	if (opt.storms)
		storm_all(cpu_self());
	progress();
	report();
	con_print("HOSTILE DONE\n");
	end();
}
