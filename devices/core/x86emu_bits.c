/* SPDX-License-Identifier: MIT */
/*
 * Exchanges and bit instructions of the instruction emulator, atomic with LOCK. Input: a hostile
 * guest; order inside the handlers: x86emu_priv.h. Spec: Intel SDM volume 2, AMD APM volume 3.
 */
#include "x86emu_priv.h"

/* 86, 87: locked by nature */
enum x86emu_result x86_op_xchg(struct x86_emu *e)
{
	struct x86_alu u = { .size = x86_op_size(e) };
	enum x86emu_result r;
	struct x86_opnd o;

	u.b = x86_opreg_get(e, e->in.reg, u.size);
	r = x86_rm_prepare(e, u.size, X86EMU_ACC_WRITE, &o);
	if (r == X86EMU_OK)
		r = x86_rm_modify(e, &o, x86_alu_mov, true, &u);
	if (r == X86EMU_OK)
		x86_opreg_set(e, e->in.reg, u.size, u.a);
	return r;
}

/* 0F C0, C1: the register gets its value first, so that the sum wins when both are one register */
enum x86emu_result x86_op_xadd(struct x86_emu *e)
{
	struct x86_alu u = { .size = x86_op_size(e), .flags = e->s->rflags };
	enum x86emu_result r;
	struct x86_opnd o;
	uint64_t sum;

	u.b = x86_opreg_get(e, e->in.reg, u.size);
	r = x86_rm_prepare(e, u.size, X86EMU_ACC_WRITE, &o);
	if (r)
		return r;
	if (o.is_mem) {
		r = x86_rm_modify(e, &o, x86_alu_add, x86_locked(e), &u);
		if (r == X86EMU_OK)
			x86_opreg_set(e, e->in.reg, u.size, u.a);
		return r;
	}
	u.a = x86_opreg_get(e, o.reg, u.size);
	sum = x86_alu_add(&u);
	x86_opreg_set(e, e->in.reg, u.size, u.a);
	x86_opreg_set(e, o.reg, u.size, sum);
	x86_flags_set(e, u.flags);
	return X86EMU_OK;
}

/* 0F B0, B1: the destination is written in both cases, as CPUs do */
enum x86emu_result x86_op_cmpxchg(struct x86_emu *e)
{
	struct x86_alu u = { .size = x86_op_size(e) };
	enum x86emu_result r;
	struct x86_opnd o;

	u.b = x86_opreg_get(e, e->in.reg, u.size);
	u.c = x86_reg_get(e, X86_RAX, u.size);
	r = x86_rm_prepare(e, u.size, X86EMU_ACC_WRITE, &o);
	if (r == X86EMU_OK)
		r = x86_rm_modify(e, &o, x86_alu_cmpxchg, x86_locked(e), &u);
	if (r == X86EMU_OK && !(e->s->rflags & X86_FL_ZF))
		x86_reg_set(e, X86_RAX, u.size, u.a);
	return r;
}

/* 0F C7 /1 in memory: two halves of osize 4 or 8 */
enum x86emu_result x86_op_cmpxchg8b(struct x86_emu *e)
{
	unsigned int half = e->in.osize == 8 ? 8 : 4;
	uint8_t old[16] = { 0 }, want[16] = { 0 }, val[16] = { 0 };
	enum x86emu_result r;
	struct x86_opnd o;
	bool equal = false, done = false;

	if (e->in.mod == 3 || (e->in.reg & 7) != 1)
		return X86EMU_UNSUPPORTED;
	if (half == 8 && !x86_ea_aligned16(e))
		return x86_raise(e, X86_GP, 0);
	r = x86_rm_prepare(e, half * 2, X86EMU_ACC_WRITE, &o);
	if (r == X86EMU_OK)
		r = x86_mem_load(e, &o.m, old);
	le64_store(want, x86_reg_get(e, X86_RAX, half));
	le64_store(want + half, x86_reg_get(e, X86_RDX, half));
	for (unsigned int i = 0; r == X86EMU_OK && !done && i < X86_CMPXCHG_TRIES; i++) {
		equal = __builtin_memcmp(old, want, half * 2) == 0;
		if (equal) {
			le64_store(val, x86_reg_get(e, X86_RBX, half));
			le64_store(val + half, x86_reg_get(e, X86_RCX, half));
		} else {
			__builtin_memcpy(val, old, sizeof(val));
		}
		if (x86_locked(e)) {
			r = x86_mem_cmpxchg(e, &o.m, old, val, &done);
		} else {
			r = x86_mem_store(e, &o.m, val);
			done = true;
		}
	}
	if (r || !done)
		return r ? r : X86EMU_AGAIN;
	if (equal) {
		e->s->rflags |= X86_FL_ZF;
	} else {
		e->s->rflags &= ~X86_FL_ZF;
		x86_reg_set(e, X86_RAX, half, le64_load(old));
		x86_reg_set(e, X86_RDX, half, half == 8 ? le64_load(old + 8) : le32_load(old + 4));
	}
	return X86EMU_OK;
}

static enum x86emu_result bit_modify(struct x86_emu *e, const struct x86_opnd *o, unsigned int kind,
				     uint64_t bit)
{
	static x86_alu_fn *const fn[4] = { x86_alu_bt, x86_alu_bts, x86_alu_btr, x86_alu_btc };
	struct x86_alu u = { .b = bit, .size = o->size, .flags = e->s->rflags };
	enum x86emu_result r;

	if (kind)
		return x86_rm_modify(e, o, fn[kind], x86_locked(e), &u);
	r = x86_rm_load(e, o, &u.a);
	if (r)
		return r;
	(void)x86_alu_bt(&u);
	x86_flags_set(e, u.flags);
	return X86EMU_OK;
}

/* 0F BA /4../7 */
enum x86emu_result x86_op_bit_imm(struct x86_emu *e)
{
	unsigned int kind = e->in.reg & 3, size = e->in.osize;
	enum x86emu_result r;
	struct x86_opnd o;

	if (!(e->in.reg & 4))
		return X86EMU_UNSUPPORTED;
	r = x86_rm_prepare(e, size, kind ? X86EMU_ACC_WRITE : X86EMU_ACC_READ, &o);
	return r ? r : bit_modify(e, &o, kind, e->in.imm & (size * 8 - 1));
}

/* 0F A3, AB, B3, BB: in memory the register is a signed bit offset of any distance */
enum x86emu_result x86_op_bit_reg(struct x86_emu *e)
{
	unsigned int kind = e->in.opcode >> 3 & 3, size = e->in.osize, shift = size * 8;
	unsigned int access = kind ? X86EMU_ACC_WRITE : X86EMU_ACC_READ;
	struct x86_opnd o = { .reg = e->in.rm, .size = (uint8_t)size, .is_mem = e->in.mod != 3 };
	uint64_t idx = x86_reg_get(e, e->in.reg, size), off;
	enum x86emu_result r;

	if (o.is_mem) {
		off = (uint64_t)(x86_sext(idx, size) >> __builtin_ctz(shift)) * size;
		off = (x86_ea(e) + off) & x86_mask(e->in.asize);
		r = x86_mem_prepare(e, e->in.seg, off, size, access, &o.m);
		if (r)
			return r;
	}
	return bit_modify(e, &o, kind, idx & (shift - 1));
}

/* 0F BC, BD; with F3 they are TZCNT and LZCNT, which the guest may or may not have */
enum x86emu_result x86_op_bit_scan(struct x86_emu *e)
{
	enum x86emu_result r;
	uint64_t v;

	if (e->in.pfx & X86_PFX_REP)
		return X86EMU_UNSUPPORTED;
	r = x86_rm_fetch(e, e->in.osize, &v);
	if (r)
		return r;
	if (v == 0) {
		e->s->rflags |= X86_FL_ZF;
		return X86EMU_OK;
	}
	e->s->rflags &= ~X86_FL_ZF;
	v = (uint64_t)(e->in.opcode & 1 ? 63 - __builtin_clzll(v) : __builtin_ctzll(v));
	x86_reg_set(e, e->in.reg, e->in.osize, v);
	return X86EMU_OK;
}
