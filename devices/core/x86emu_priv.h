/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the instruction emulator only. Every step returns enum x86emu_result;
 * X86EMU_OK is 0, anything else ends the instruction and is passed up unchanged. Handlers follow
 * one order: translate all operands, read, compute, write memory, and only then touch registers, so
 * that whatever ends them early leaves the architectural state as before the instruction.
 */
#pragma once

#include "ckd.h"
#include "le.h"
#include "x86decode.h"
#include "x86emu.h"

#define X86_FL_STATUS (X86_FL_CF | X86_FL_PF | X86_FL_AF | X86_FL_ZF | X86_FL_SF | X86_FL_OF)

#define X86_CR0_PE BIT(0)
#define X86_CR0_EM BIT(2)
#define X86_CR0_TS BIT(3)
#define X86_CR4_OSFXSR BIT(9)
#define X86_CR4_LA57 BIT(12)
#define X86_CR4_CET BIT(23)
#define X86_EFER_LMA BIT(10)

#define X86_SEG_TYPE_RW BIT(1) /* data: writable; code: readable */
#define X86_SEG_TYPE_DOWN BIT(2) /* data: expands down */
#define X86_SEG_TYPE_CODE BIT(3)
#define X86_SEG_P BIT(7)
#define X86_SEG_L BIT(13)
#define X86_SEG_DB BIT(14)

/* A translated memory operand: one piece, or two when it crosses a page. */
struct x86_mref {
	uint64_t lin; /* linear address of the first byte */
	uint8_t n;
	uint8_t len[2];
	gpa_t gpa[2];
};

/* A ModRM r/m operand: memory (translated) or a register. */
struct x86_opnd {
	bool is_mem;
	uint8_t reg;
	uint8_t size; /* bytes */
	struct x86_mref m;
};

#define X86_TLB_SLOTS 4

/* Lost races on a locked exchange before the guest is simply run again. */
#define X86_CMPXCHG_TRIES 16

struct x86_emu {
	struct x86emu_state *s;
	const struct x86emu_ops *ops;
	void *ctx;
	struct x86emu_out *out;
	struct x86_insn in;
	enum x86_code code;
	uint64_t next_rip; /* a branch replaces it */
	uint64_t tlb_tag[X86_TLB_SLOTS]; /* page address | access | 8 for valid; see x86emu_mem.c */
	gpa_t tlb_gpa[X86_TLB_SLOTS];
	unsigned int tlb_next;
};

/* Input and output of one arithmetic step; everything beyond size bytes is ignored or zero. */
struct x86_alu {
	uint64_t a; /* destination before */
	uint64_t b; /* source */
	uint64_t c; /* third input: accumulator of CMPXCHG, count of SHLD */
	unsigned int size; /* bytes: 1, 2, 4, 8 */
	uint64_t flags; /* in: RFLAGS; out: RFLAGS with the status flags replaced */
};

/* Returns the new destination value. Pure: no state but *alu. */
typedef uint64_t x86_alu_fn(struct x86_alu *alu);

static inline uint64_t x86_mask(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : BIT(size * 8) - 1;
}

static inline int64_t x86_sext(uint64_t v, unsigned int size)
{
	unsigned int sh = 64 - size * 8;

	return (int64_t)(v << sh) >> sh;
}

static inline bool x86_long(const struct x86_emu *e)
{
	return e->code == X86_CODE_64;
}

/* Registers (x86emu.c) */

/* Value of a register as used with address or operand size 2, 4, 8: zero-extended. */
static inline uint64_t x86_reg_get(const struct x86_emu *e, unsigned int reg, unsigned int size)
{
	return e->s->gpr[reg & 15] & x86_mask(size);
}

/* 32-bit writes clear the upper half, smaller ones keep the rest. */
static inline void x86_reg_set(struct x86_emu *e, unsigned int reg, unsigned int size, uint64_t v)
{
	uint64_t *r = &e->s->gpr[reg & 15];

	if (size >= 4)
		*r = v & x86_mask(size);
	else
		*r = (*r & ~x86_mask(size)) | (v & x86_mask(size));
}

/* The same for operands, where byte registers 4..7 without REX are AH, CH, DH, BH. */
uint64_t x86_opreg_get(const struct x86_emu *e, unsigned int reg, unsigned int size);
void x86_opreg_set(struct x86_emu *e, unsigned int reg, unsigned int size, uint64_t v);

static inline void x86_flags_set(struct x86_emu *e, uint64_t flags)
{
	e->s->rflags = (e->s->rflags & ~X86_FL_STATUS) | (flags & X86_FL_STATUS);
}

/* Raise an exception; error < 0: the vector has no error code. */
enum x86emu_result x86_raise(struct x86_emu *e, enum x86emu_vector vector, int error);
/* Turn an op's negative return value into a result. */
enum x86emu_result x86_op_failed(struct x86_emu *e, int err);

/* Memory and ports (x86emu_mem.c) */

/* Segmentation and translation of size bytes (1..16) at seg:off; access X86EMU_ACC_READ or WRITE */
enum x86emu_result x86_mem_prepare(struct x86_emu *e, unsigned int seg, uint64_t off,
				   unsigned int size, unsigned int access, struct x86_mref *ret_m);
enum x86emu_result x86_mem_load(struct x86_emu *e, const struct x86_mref *m, void *ret_buf);
enum x86emu_result x86_mem_store(struct x86_emu *e, const struct x86_mref *m, const void *buf);
enum x86emu_result x86_mem_load64(struct x86_emu *e, const struct x86_mref *m, uint64_t *ret_val);
enum x86emu_result x86_mem_store64(struct x86_emu *e, const struct x86_mref *m, uint64_t val);
/*
 * Atomic when the owner can: OK and *ret_done, or OK and !*ret_done with the present value in
 * io_old. Memory that has no atomic exchange is simply written.
 */
enum x86emu_result x86_mem_cmpxchg(struct x86_emu *e, const struct x86_mref *m, void *io_old,
				   const void *val, bool *ret_done);
/* Decodes at CS:RIP with the given bytes, fetching what is missing. */
enum x86emu_result x86_fetch(struct x86_emu *e, const uint8_t *bytes, size_t n);
/* May this code use ports? */
enum x86emu_result x86_io_check(struct x86_emu *e);
/* Is a 64-bit linear address canonical? */
bool x86_canonical(const struct x86_emu *e, uint64_t lin);

/* Arithmetic (x86emu_alu.c) */

extern x86_alu_fn *const x86_alu_group1[8]; /* ADD OR ADC SBB AND SUB XOR CMP by opcode bits */
extern x86_alu_fn *const x86_alu_group2[8]; /* ROL ROR RCL RCR SHL SHR SAL SAR */
x86_alu_fn x86_alu_inc, x86_alu_dec, x86_alu_neg, x86_alu_not, x86_alu_mov;
x86_alu_fn x86_alu_add, x86_alu_and, x86_alu_sub, x86_alu_cmpxchg;
x86_alu_fn x86_alu_bt, x86_alu_bts, x86_alu_btr, x86_alu_btc; /* b = bit number */
x86_alu_fn x86_alu_shld, x86_alu_shrd; /* c = count */

struct x86_muldiv {
	uint64_t hi, lo; /* MUL: product; DIV: dividend, then remainder and quotient */
	bool overflow; /* MUL: CF and OF; DIV: #DE */
};
void x86_mul(uint64_t a, uint64_t b, unsigned int size, bool is_signed, struct x86_muldiv *ret);
void x86_div(struct x86_muldiv *io, uint64_t divisor, unsigned int size, bool is_signed);
/* Condition code 0..15 of Jcc, SETcc, CMOVcc. */
bool x86_cond(uint64_t rflags, unsigned int cc);

/* Operands (x86emu.c) */

/* Segment offset of the memory operand, truncated to the address size. */
uint64_t x86_ea(const struct x86_emu *e);
/* Is its linear address a multiple of 16? This rule comes before any page fault. */
bool x86_ea_aligned16(const struct x86_emu *e);
enum x86emu_result x86_rm_prepare(struct x86_emu *e, unsigned int size, unsigned int access,
				  struct x86_opnd *ret_o);
enum x86emu_result x86_rm_load(struct x86_emu *e, const struct x86_opnd *o, uint64_t *ret_val);
enum x86emu_result x86_rm_store(struct x86_emu *e, const struct x86_opnd *o, uint64_t val);

/* Translate and read r/m in one go. */
enum x86emu_result x86_rm_fetch(struct x86_emu *e, unsigned int size, uint64_t *ret_val);
/*
 * Read-modify-write of a prepared operand; u carries b, c and size in, a and flags out. The flags
 * are committed. An atomic one is repeated while others change the value in between.
 */
enum x86emu_result x86_rm_modify(struct x86_emu *e, const struct x86_opnd *o, x86_alu_fn *fn,
				 bool atomic, struct x86_alu *u);

static inline bool x86_locked(const struct x86_emu *e)
{
	return e->in.pfx & X86_PFX_LOCK;
}

/* Byte form when the lowest opcode bit is clear. */
static inline unsigned int x86_op_size(const struct x86_emu *e)
{
	return e->in.opcode & 1 ? e->in.osize : 1;
}

/* Instruction groups: one function per kind, chosen by the opcode tables in x86emu.c. */
typedef must_check enum x86emu_result x86_op_fn(struct x86_emu *e);
/* x86emu_mov.c */
x86_op_fn x86_op_mov, x86_op_mov_imm, x86_op_mov_moffs, x86_op_movx, x86_op_movsxd, x86_op_movbe;
x86_op_fn x86_op_movnti, x86_op_cmov, x86_op_setcc, x86_op_xlat, x86_op_hint, x86_op_cache_line;
/* x86emu_arith.c */
x86_op_fn x86_op_alu, x86_op_alu_imm, x86_op_test, x86_op_group3, x86_op_group45, x86_op_imul;
x86_op_fn x86_op_shift, x86_op_shift_double, x86_op_test_acc;
/* x86emu_bits.c */
x86_op_fn x86_op_xchg, x86_op_xadd, x86_op_cmpxchg, x86_op_cmpxchg8b;
x86_op_fn x86_op_bit_imm, x86_op_bit_reg, x86_op_bit_scan;
/* x86emu_stack.c */
x86_op_fn x86_op_push_rm, x86_op_push_reg, x86_op_push_imm, x86_op_pop_rm, x86_op_pop_reg;
x86_op_fn x86_op_jmp_rm, x86_op_call_rm;
/* x86emu_str.c */
x86_op_fn x86_op_string, x86_op_in_out;
/* x86emu_sse.c */
x86_op_fn x86_op_sse;
