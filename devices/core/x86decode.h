/* SPDX-License-Identifier: MIT */
/*
 * Instruction decoding for the emulator: Zydis finds length and legality, this module turns the
 * raw fields into one flat struct. A small decoder of our own does the MOV forms that make up
 * nearly all MMIO of 64-bit guests; whatever it accepts, Zydis accepts with the same result.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum x86_map { X86_MAP_1B, X86_MAP_0F, X86_MAP_0F38 };

/* What CS, EFER and CR0 make of the code segment. */
enum x86_code { X86_CODE_REAL16, X86_CODE_16, X86_CODE_32, X86_CODE_64 };

enum x86_decode_result {
	X86_DECODE_OK,
	X86_DECODE_MORE, /* the bytes end inside the instruction */
	X86_DECODE_INVALID, /* #UD on a CPU without extensions unknown to Zydis */
	X86_DECODE_TOO_LONG, /* more than 15 bytes: #GP */
	X86_DECODE_OTHER, /* legal, but of a kind that struct x86_insn cannot express (VEX, ...) */
};

#define X86_PFX_LOCK 1u
#define X86_PFX_REP 2u /* F3; of F2 and F3 the last one counts */
#define X86_PFX_REPNE 4u
#define X86_PFX_OPSZ 8u
#define X86_PFX_REX 16u /* changes the meaning of byte registers 4..7 */

#define X86_REG_NONE 0xff
#define X86_REG_RIP 0x10

struct x86_insn {
	uint8_t len;
	uint8_t map; /* enum x86_map */
	uint8_t opcode;
	uint8_t pfx; /* X86_PFX_* */
	uint8_t osize; /* 2, 4 or 8 bytes, without the 64-bit default of stack operations */
	uint8_t asize; /* 2, 4 or 8 bytes */
	uint8_t seg; /* enum hv_seg_index of the memory operand; override applied */
	bool has_modrm;
	uint8_t mod;
	uint8_t reg; /* with REX.R */
	uint8_t rm; /* with REX.B; register operand if mod is 3 */
	uint8_t opreg; /* low opcode bits with REX.B */
	uint8_t base; /* register number, X86_REG_NONE or X86_REG_RIP */
	uint8_t index; /* register number or X86_REG_NONE */
	uint8_t scale; /* shift, 0..3 */
	uint64_t disp; /* sign-extended displacement, or the whole moffs */
	uint64_t imm; /* sign-extended from its encoded size */
};

/**
 * x86_decode - decode the instruction at the start of a byte string
 * @code: kind of code segment
 * @bytes, @n: 0..15 bytes
 * @ret: filled on X86_DECODE_OK only
 * Context: any thread; no side effects. Trust: VTL0. Spec: Intel SDM volume 2, instruction format
 */
enum x86_decode_result x86_decode(enum x86_code code, const uint8_t *bytes, size_t n,
				  struct x86_insn *ret);

/**
 * x86_decode_mov64 - the quick decoder: plain MOV, MOVZX, MOVSX, MOVSXD in 64-bit code
 * @ret: scratch when it returns false
 * Returns: false when the instruction is another one or is cut off: ask x86_decode
 */
bool x86_decode_mov64(const uint8_t *bytes, size_t n, struct x86_insn *ret);
