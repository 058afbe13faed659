/* SPDX-License-Identifier: MIT */
/*
 * Integer arithmetic instructions of the instruction emulator: operands and results around the pure
 * functions of x86emu_alu.c. Input: a hostile guest; order inside the handlers: x86emu_priv.h.
 * Spec: Intel SDM volume 2, AMD APM volume 3, instruction reference.
 */
#include "x86emu_priv.h"

/* Destination r/m, source value: the CMP row only reads. */
static enum x86emu_result alu_to_rm(struct x86_emu *e, unsigned int row, unsigned int size,
				    uint64_t src)
{
	struct x86_alu u = { .b = src, .size = size, .flags = e->s->rflags };
	bool cmp = row == 7;
	enum x86emu_result r;
	struct x86_opnd o;

	r = x86_rm_prepare(e, size, cmp ? X86EMU_ACC_READ : X86EMU_ACC_WRITE, &o);
	if (r)
		return r;
	if (!cmp)
		return x86_rm_modify(e, &o, x86_alu_group1[row], x86_locked(e), &u);
	r = x86_rm_load(e, &o, &u.a);
	if (r)
		return r;
	(void)x86_alu_sub(&u);
	x86_flags_set(e, u.flags);
	return X86EMU_OK;
}

/* Destination register, source value. */
static void alu_to_reg(struct x86_emu *e, unsigned int row, unsigned int reg, unsigned int size,
		       uint64_t src)
{
	struct x86_alu u = { .b = src, .size = size, .flags = e->s->rflags };
	uint64_t res;

	u.a = x86_opreg_get(e, reg, size);
	res = x86_alu_group1[row](&u);
	if (row != 7)
		x86_opreg_set(e, reg, size, res);
	x86_flags_set(e, u.flags);
}

/* 00..3D */
enum x86emu_result x86_op_alu(struct x86_emu *e)
{
	unsigned int row = e->in.opcode >> 3, size = x86_op_size(e);
	enum x86emu_result r;
	uint64_t v;

	switch (e->in.opcode & 6) {
	case 0:
		return alu_to_rm(e, row, size, x86_opreg_get(e, e->in.reg, size));
	case 2:
		r = x86_rm_fetch(e, size, &v);
		if (r == X86EMU_OK)
			alu_to_reg(e, row, e->in.reg, size, v);
		return r;
	default:
		alu_to_reg(e, row, X86_RAX, size, e->in.imm);
		return X86EMU_OK;
	}
}

/* 80, 81, 83 (82 is the same as 80 outside 64-bit code) */
enum x86emu_result x86_op_alu_imm(struct x86_emu *e)
{
	return alu_to_rm(e, e->in.reg & 7, x86_op_size(e), e->in.imm);
}

static enum x86emu_result test_rm(struct x86_emu *e, unsigned int size, uint64_t src)
{
	struct x86_alu u = { .b = src, .size = size, .flags = e->s->rflags };
	enum x86emu_result r;

	r = x86_rm_fetch(e, size, &u.a);
	if (r)
		return r;
	(void)x86_alu_and(&u);
	x86_flags_set(e, u.flags);
	return X86EMU_OK;
}

/* 84, 85 */
enum x86emu_result x86_op_test(struct x86_emu *e)
{
	return test_rm(e, x86_op_size(e), x86_opreg_get(e, e->in.reg, x86_op_size(e)));
}

/* A8, A9 */
enum x86emu_result x86_op_test_acc(struct x86_emu *e)
{
	struct x86_alu u = { .b = e->in.imm, .size = x86_op_size(e), .flags = e->s->rflags };

	u.a = e->s->gpr[X86_RAX];
	(void)x86_alu_and(&u);
	x86_flags_set(e, u.flags);
	return X86EMU_OK;
}

static enum x86emu_result unary(struct x86_emu *e, x86_alu_fn *fn)
{
	struct x86_alu u = { .size = x86_op_size(e) };
	enum x86emu_result r;
	struct x86_opnd o;

	r = x86_rm_prepare(e, u.size, X86EMU_ACC_WRITE, &o);
	return r ? r : x86_rm_modify(e, &o, fn, x86_locked(e), &u);
}

static void set_mul_flags(struct x86_emu *e, bool overflow)
{
	x86_flags_set(e, (e->s->rflags & ~(X86_FL_CF | X86_FL_OF)) |
				 (overflow ? X86_FL_CF | X86_FL_OF : 0));
}

/* F6, F7 /4../7: RDX:RAX, or AX for bytes */
static enum x86emu_result muldiv(struct x86_emu *e)
{
	unsigned int size = x86_op_size(e);
	bool is_signed = e->in.reg & 1;
	struct x86_muldiv md;
	enum x86emu_result r;
	uint64_t v;

	r = x86_rm_fetch(e, size, &v);
	if (r)
		return r;
	md.lo = x86_reg_get(e, X86_RAX, size);
	md.hi = size == 1 ? e->s->gpr[X86_RAX] >> 8 & 0xff : x86_reg_get(e, X86_RDX, size);
	if ((e->in.reg & 7) < 6) {
		x86_mul(md.lo, v, size, is_signed, &md);
		set_mul_flags(e, md.overflow);
	} else {
		x86_div(&md, v, size, is_signed);
		if (md.overflow)
			return x86_raise(e, X86_DE, -1);
	}
	if (size == 1) {
		x86_reg_set(e, X86_RAX, 2, md.hi << 8 | md.lo);
	} else {
		x86_reg_set(e, X86_RAX, size, md.lo);
		x86_reg_set(e, X86_RDX, size, md.hi);
	}
	return X86EMU_OK;
}

/* F6, F7 */
enum x86emu_result x86_op_group3(struct x86_emu *e)
{
	switch (e->in.reg & 7) {
	case 0:
	case 1:
		return test_rm(e, x86_op_size(e), e->in.imm);
	case 2:
		return unary(e, x86_alu_not);
	case 3:
		return unary(e, x86_alu_neg);
	default:
		return muldiv(e);
	}
}

/* FE, FF */
enum x86emu_result x86_op_group45(struct x86_emu *e)
{
	bool word = e->in.opcode & 1;

	switch (e->in.reg & 7) {
	case 0:
		return unary(e, x86_alu_inc);
	case 1:
		return unary(e, x86_alu_dec);
	case 2:
		return word ? x86_op_call_rm(e) : X86EMU_UNSUPPORTED;
	case 4:
		return word ? x86_op_jmp_rm(e) : X86EMU_UNSUPPORTED;
	case 6:
		return word ? x86_op_push_rm(e) : X86EMU_UNSUPPORTED;
	default:
		return X86EMU_UNSUPPORTED;
	}
}

/* 69, 6B, 0F AF */
enum x86emu_result x86_op_imul(struct x86_emu *e)
{
	unsigned int size = e->in.osize;
	struct x86_muldiv md;
	enum x86emu_result r;
	uint64_t v, w;

	r = x86_rm_fetch(e, size, &v);
	if (r)
		return r;
	w = e->in.map == X86_MAP_0F ? x86_reg_get(e, e->in.reg, size) : e->in.imm;
	x86_mul(v, w, size, true, &md);
	x86_reg_set(e, e->in.reg, size, md.lo);
	set_mul_flags(e, md.overflow);
	return X86EMU_OK;
}

/* C0, C1, D0..D3 */
enum x86emu_result x86_op_shift(struct x86_emu *e)
{
	struct x86_alu u = { .size = x86_op_size(e) };
	enum x86emu_result r;
	struct x86_opnd o;

	if (!(e->in.opcode & 0x10))
		u.b = e->in.imm & 0xff;
	else
		u.b = e->in.opcode & 2 ? e->s->gpr[X86_RCX] & 0xff : 1;
	r = x86_rm_prepare(e, u.size, X86EMU_ACC_WRITE, &o);
	return r ? r : x86_rm_modify(e, &o, x86_alu_group2[e->in.reg & 7], false, &u);
}

/* 0F A4, A5, AC, AD */
enum x86emu_result x86_op_shift_double(struct x86_emu *e)
{
	struct x86_alu u = { .size = e->in.osize };
	enum x86emu_result r;
	struct x86_opnd o;

	u.b = x86_reg_get(e, e->in.reg, u.size);
	u.c = e->in.opcode & 1 ? e->s->gpr[X86_RCX] & 0xff : e->in.imm & 0xff;
	r = x86_rm_prepare(e, u.size, X86EMU_ACC_WRITE, &o);
	if (r)
		return r;
	return x86_rm_modify(e, &o, e->in.opcode & 8 ? x86_alu_shrd : x86_alu_shld, false, &u);
}
