/* SPDX-License-Identifier: MIT */
/*
 * The machine as the shim sees it: CPU instructions, hypervisor, log, and the way out when nothing
 * helps. Target build only. One CPU, no interrupts: nothing here is locked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs hw_cpuid(uint32_t leaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(0));
	return r;
}

static inline uint64_t hw_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void hw_wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(msr)
			 : "memory");
}

static inline void hw_outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t hw_inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

/* --- log --------------------------------------------------------------------------------- */

/* Start logging into the image's log buffer; text before that is lost. */
void shim_log_init(void *buf, size_t len);

/* Also send what is and will be logged to COM3, polled. */
void shim_log_com3(void);

/* One line; the prefix and the line break are added. */
void shim_log(const char *fmt, ...) printf_like(1, 2);

/* --- the end ----------------------------------------------------------------------------- */

/**
 * shim_panic - log, report through the crash MSRs when the hypervisor has them, and stop
 */
_Noreturn void shim_panic(const char *fmt, ...) printf_like(1, 2);

/* Catch exceptions: they end in shim_panic(). */
void shim_idt_init(void);

/* --- hypervisor -------------------------------------------------------------------------- */

enum shim_hv_isolation {
	SHIM_HV_NONE,
	SHIM_HV_VBS,
	SHIM_HV_OTHER, /* by hardware */
};

/* Is a Hyper-V compatible hypervisor there? Never panics. */
bool shim_hv_present(void);

/* What the hypervisor says about isolation. Never panics. */
enum shim_hv_isolation shim_hv_isolation(void);

/* Reference time in 100 ns, 0 when there is none. */
uint64_t shim_hv_reftime(void);

/* Set up, and release, the hypercall page. */
void shim_hv_start(void);
void shim_hv_stop(void);

/**
 * shim_hv_register - read a register of the own VP
 * @name: enum hv_reg
 * Returns: hypercall status, 0 = done
 */
must_check uint16_t shim_hv_register(uint32_t name, uint64_t *ret);

/**
 * shim_hv_vp_indices - VP indices of hardware ids, in VTL0's numbering
 * @n: at most SHIM_HV_IDS_MAX
 * Returns: hypercall status, 0 = done
 */
#define SHIM_HV_IDS_MAX 512u
must_check uint16_t shim_hv_vp_indices(const uint32_t *apic_id, uint32_t n, uint32_t *ret_vp);

/* Set a 64-bit register of the own VP. Returns: hypercall status. */
must_check uint16_t shim_hv_set_register(uint32_t name, uint64_t val);

/**
 * shim_hv_protect - take every access to pages away from lower VTLs
 * shim_hv_accept - take over pages that the host added to the partition: private, for VTL2 alone
 * Returns: hypercall status, 0 = done
 */
must_check uint16_t shim_hv_protect(uint64_t gpn, uint64_t pages);
must_check uint16_t shim_hv_accept(uint64_t gpn, uint64_t pages);
