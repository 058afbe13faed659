/* SPDX-License-Identifier: MIT */
/*
 * Moves and hints of the instruction emulator. Input: a hostile guest; order inside the handlers:
 * x86emu_priv.h. Spec: Intel SDM volume 2, AMD APM volume 3, instruction reference.
 */
#include "x86emu_priv.h"

/* 88..8B */
enum x86emu_result x86_op_mov(struct x86_emu *e)
{
	unsigned int size = x86_op_size(e);
	enum x86emu_result r;
	struct x86_opnd o;
	uint64_t v;

	if (e->in.opcode & 2) {
		r = x86_rm_fetch(e, size, &v);
		if (r == X86EMU_OK)
			x86_opreg_set(e, e->in.reg, size, v);
		return r;
	}
	r = x86_rm_prepare(e, size, X86EMU_ACC_WRITE, &o);
	return r ? r : x86_rm_store(e, &o, x86_opreg_get(e, e->in.reg, size));
}

/* C6, C7 /0 */
enum x86emu_result x86_op_mov_imm(struct x86_emu *e)
{
	enum x86emu_result r;
	struct x86_opnd o;

	if (e->in.reg & 7)
		return X86EMU_UNSUPPORTED;
	r = x86_rm_prepare(e, x86_op_size(e), X86EMU_ACC_WRITE, &o);
	return r ? r : x86_rm_store(e, &o, e->in.imm);
}

/* A0..A3 */
enum x86emu_result x86_op_mov_moffs(struct x86_emu *e)
{
	unsigned int size = x86_op_size(e);
	bool store = e->in.opcode & 2;
	enum x86emu_result r;
	struct x86_mref m;
	uint64_t v;

	r = x86_mem_prepare(e, e->in.seg, x86_ea(e), size,
			    store ? X86EMU_ACC_WRITE : X86EMU_ACC_READ, &m);
	if (r)
		return r;
	if (store)
		return x86_mem_store64(e, &m, x86_reg_get(e, X86_RAX, size));
	r = x86_mem_load64(e, &m, &v);
	if (r == X86EMU_OK)
		x86_reg_set(e, X86_RAX, size, v);
	return r;
}

/* 0F B6, B7, BE, BF */
enum x86emu_result x86_op_movx(struct x86_emu *e)
{
	unsigned int size = e->in.opcode & 1 ? 2 : 1;
	enum x86emu_result r;
	uint64_t v;

	r = x86_rm_fetch(e, size, &v);
	if (r)
		return r;
	if (e->in.opcode & 8)
		v = (uint64_t)x86_sext(v, size);
	x86_reg_set(e, e->in.reg, e->in.osize, v);
	return X86EMU_OK;
}

/* 63 in 64-bit code; ARPL elsewhere */
enum x86emu_result x86_op_movsxd(struct x86_emu *e)
{
	unsigned int size = MIN(e->in.osize, 4);
	enum x86emu_result r;
	uint64_t v;

	if (!x86_long(e))
		return X86EMU_UNSUPPORTED;
	r = x86_rm_fetch(e, size, &v);
	if (r == X86EMU_OK)
		x86_reg_set(e, e->in.reg, e->in.osize, (uint64_t)x86_sext(v, size));
	return r;
}

static uint64_t byte_swap(uint64_t v, unsigned int size)
{
	return __builtin_bswap64(v) >> (64 - size * 8);
}

/* 0F 38 F0, F1; with F2 they are CRC32 */
enum x86emu_result x86_op_movbe(struct x86_emu *e)
{
	unsigned int size = e->in.osize;
	enum x86emu_result r;
	struct x86_opnd o;
	uint64_t v;

	if (e->in.mod == 3 || (e->in.pfx & (X86_PFX_REP | X86_PFX_REPNE)))
		return X86EMU_UNSUPPORTED;
	if (e->in.opcode & 1) {
		r = x86_rm_prepare(e, size, X86EMU_ACC_WRITE, &o);
		v = byte_swap(x86_reg_get(e, e->in.reg, size), size);
		return r ? r : x86_rm_store(e, &o, v);
	}
	r = x86_rm_fetch(e, size, &v);
	if (r == X86EMU_OK)
		x86_reg_set(e, e->in.reg, size, byte_swap(v, size));
	return r;
}

/* 0F C3 */
enum x86emu_result x86_op_movnti(struct x86_emu *e)
{
	enum x86emu_result r;
	struct x86_opnd o;

	if (e->in.mod == 3 || e->in.osize < 4)
		return X86EMU_UNSUPPORTED;
	r = x86_rm_prepare(e, e->in.osize, X86EMU_ACC_WRITE, &o);
	return r ? r : x86_rm_store(e, &o, x86_reg_get(e, e->in.reg, e->in.osize));
}

/* 0F 40..4F: the operand is read, and a 32-bit register is zero-extended, whatever the condition */
enum x86emu_result x86_op_cmov(struct x86_emu *e)
{
	unsigned int size = e->in.osize;
	enum x86emu_result r;
	uint64_t v;

	r = x86_rm_fetch(e, size, &v);
	if (r)
		return r;
	if (!x86_cond(e->s->rflags, e->in.opcode & 15))
		v = x86_reg_get(e, e->in.reg, size);
	x86_reg_set(e, e->in.reg, size, v);
	return X86EMU_OK;
}

/* 0F 90..9F */
enum x86emu_result x86_op_setcc(struct x86_emu *e)
{
	enum x86emu_result r;
	struct x86_opnd o;

	r = x86_rm_prepare(e, 1, X86EMU_ACC_WRITE, &o);
	return r ? r : x86_rm_store(e, &o, x86_cond(e->s->rflags, e->in.opcode & 15));
}

/* D7 */
enum x86emu_result x86_op_xlat(struct x86_emu *e)
{
	uint64_t off = e->s->gpr[X86_RBX] + (e->s->gpr[X86_RAX] & 0xff);
	enum x86emu_result r;
	struct x86_mref m;
	uint64_t v;

	r = x86_mem_prepare(e, e->in.seg, off & x86_mask(e->in.asize), 1, X86EMU_ACC_READ, &m);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &m, &v);
	if (r == X86EMU_OK)
		x86_reg_set(e, X86_RAX, 1, v);
	return r;
}

/* 0F 0D, 18, 1F with memory: prefetches and the long NOP never fault */
enum x86emu_result x86_op_hint(struct x86_emu *e)
{
	return e->in.mod == 3 ? X86EMU_UNSUPPORTED : X86EMU_OK;
}

/* 0F AE: CLFLUSH, CLFLUSHOPT and CLWB check the address like a byte read, and move nothing */
enum x86emu_result x86_op_cache_line(struct x86_emu *e)
{
	unsigned int row = e->in.reg & 7;
	struct x86_opnd o;

	if (e->in.mod == 3 || (e->in.pfx & (X86_PFX_REP | X86_PFX_REPNE)))
		return X86EMU_UNSUPPORTED;
	if (row != 7 && !(row == 6 && (e->in.pfx & X86_PFX_OPSZ)))
		return X86EMU_UNSUPPORTED;
	return x86_rm_prepare(e, 1, X86EMU_ACC_READ, &o);
}
