/* SPDX-License-Identifier: MIT */
/*
 * Random instructions for the test of the emulator against the CPU: bytes, and registers that make
 * their memory operands hit a known window.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Memory: hole, two writable pages, one read-only page, hole; all below 2 GiB. */
#define WIN_BASE 0x10001000ull
#define WIN_PAGES 3u
#define WIN_RW (2 * 4096u)
#define WIN_SIZE (WIN_PAGES * 4096u)
#define CODE_BASE 0x10010000ull
#define CODE_SIZE 8192u
#define PAD_OFF 64u /* a second way out, for branches */
#define GS_BASE 0x00323000ull

/* x86emu_tramp.S knows the offsets. */
struct tramp_regs {
	uint64_t gpr[16];
	uint64_t rflags;
	uint64_t exit; /* 1 fell through, 2 branched to the pad */
	uint8_t fx[512] __attribute__((aligned(16)));
};

/* One generated instruction with the registers it starts from. */
struct test_case {
	uint8_t bytes[16];
	unsigned int len;
	uint64_t code; /* address of the first byte */
	struct tramp_regs regs;
	uint64_t undef; /* status flags without a defined value */
	bool two_sources; /* CPUs differ in which operand's fault they report */
	uint64_t poke_addr, poke_val; /* eight bytes to put into memory first; 0 = nothing */
};

/**
 * gen_init - fill the table of instruction forms
 * @fs_base: of this thread, for operands with an FS override
 * @movbe: the CPU has MOVBE
 * Returns: number of forms, 0 if the table is too small
 */
unsigned int gen_init(uint64_t fs_base, bool movbe);

/* Seeds the sequence of the functions below. */
void gen_seed(uint64_t seed);
uint64_t gen_rnd64(void);
unsigned int gen_rnd(unsigned int n); /* 0..n-1 */
bool gen_chance(unsigned int percent);
uint64_t gen_interesting(void); /* edge values more often than chance would */

/* Builds one case. */
void gen_case(struct test_case *ret_c);
