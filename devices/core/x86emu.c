/* SPDX-License-Identifier: MIT */
/*
 * Instruction emulation: entry point, opcode tables, operands. Input: registers and instruction
 * bytes of a hostile guest; state: the caller's only. Spec: Intel SDM volume 2, AMD APM volume 3.
 */
#include "x86emu.h"

#include "x86emu_priv.h"


static bool is_high_byte(const struct x86_emu *e, unsigned int reg, unsigned int size)
{
	return size == 1 && reg >= 4 && reg < 8 && !(e->in.pfx & X86_PFX_REX);
}

uint64_t x86_opreg_get(const struct x86_emu *e, unsigned int reg, unsigned int size)
{
	if (is_high_byte(e, reg, size))
		return e->s->gpr[reg - 4] >> 8 & 0xff;
	return x86_reg_get(e, reg, size);
}

void x86_opreg_set(struct x86_emu *e, unsigned int reg, unsigned int size, uint64_t v)
{
	uint64_t *r;

	if (is_high_byte(e, reg, size)) {
		r = &e->s->gpr[reg - 4];
		*r = (*r & ~0xff00ull) | (v & 0xff) << 8;
		return;
	}
	x86_reg_set(e, reg, size, v);
}

uint64_t x86_ea(const struct x86_emu *e)
{
	const struct x86_insn *in = &e->in;
	uint64_t off = in->disp;

	if (in->base == X86_REG_RIP)
		off += e->next_rip;
	else if (in->base != X86_REG_NONE)
		off += e->s->gpr[in->base & 15];
	if (in->index != X86_REG_NONE)
		off += e->s->gpr[in->index & 15] << in->scale;
	return off & x86_mask(in->asize);
}

bool x86_ea_aligned16(const struct x86_emu *e)
{
	bool based = !x86_long(e) || e->in.seg == HV_SEG_FS || e->in.seg == HV_SEG_GS;

	return is_aligned(x86_ea(e) + (based ? e->s->seg[e->in.seg].base : 0), 16);
}

enum x86emu_result x86_rm_prepare(struct x86_emu *e, unsigned int size, unsigned int access,
				  struct x86_opnd *ret_o)
{
	ret_o->size = (uint8_t)size;
	ret_o->reg = e->in.rm;
	ret_o->is_mem = e->in.mod != 3;
	if (!ret_o->is_mem)
		return X86EMU_OK;
	return x86_mem_prepare(e, e->in.seg, x86_ea(e), size, access, &ret_o->m);
}

enum x86emu_result x86_rm_load(struct x86_emu *e, const struct x86_opnd *o, uint64_t *ret_val)
{
	if (o->is_mem)
		return x86_mem_load64(e, &o->m, ret_val);
	*ret_val = x86_opreg_get(e, o->reg, o->size);
	return X86EMU_OK;
}

enum x86emu_result x86_rm_store(struct x86_emu *e, const struct x86_opnd *o, uint64_t val)
{
	if (o->is_mem)
		return x86_mem_store64(e, &o->m, val);
	x86_opreg_set(e, o->reg, o->size, val);
	return X86EMU_OK;
}

enum x86emu_result x86_rm_fetch(struct x86_emu *e, unsigned int size, uint64_t *ret_val)
{
	struct x86_opnd o;
	enum x86emu_result r;

	r = x86_rm_prepare(e, size, X86EMU_ACC_READ, &o);
	return r ? r : x86_rm_load(e, &o, ret_val);
}

enum x86emu_result x86_rm_modify(struct x86_emu *e, const struct x86_opnd *o, x86_alu_fn *fn,
				 bool atomic, struct x86_alu *u)
{
	uint8_t old[16] = { 0 }, val[16] = { 0 };
	enum x86emu_result r;
	struct x86_alu in = *u;
	uint64_t res;
	bool done = false;

	r = x86_rm_load(e, o, &in.a);
	if (r)
		return r;
	in.flags = e->s->rflags;
	for (unsigned int i = 0; i < X86_CMPXCHG_TRIES; i++) {
		*u = in;
		res = fn(u);
		u->a = in.a;
		if (!atomic || !o->is_mem) {
			r = x86_rm_store(e, o, res);
			done = true;
		} else {
			le64_store(old, in.a);
			le64_store(val, res);
			r = x86_mem_cmpxchg(e, &o->m, old, val, &done);
			in.a = le64_load(old);
		}
		if (r)
			return r;
		if (done) {
			x86_flags_set(e, u->flags);
			return X86EMU_OK;
		}
	}
	return X86EMU_AGAIN;
}

#define ALU_ROW(op) [(op) ... (op) + 5] = x86_op_alu

static x86_op_fn *const ops_1b[256] = {
	ALU_ROW(0x00), ALU_ROW(0x08), ALU_ROW(0x10), ALU_ROW(0x18),
	ALU_ROW(0x20), ALU_ROW(0x28), ALU_ROW(0x30), ALU_ROW(0x38),
	[0x50 ... 0x57] = x86_op_push_reg,
	[0x58 ... 0x5f] = x86_op_pop_reg,
	[0x63] = x86_op_movsxd,
	[0x68] = x86_op_push_imm, [0x6a] = x86_op_push_imm,
	[0x69] = x86_op_imul, [0x6b] = x86_op_imul,
	[0x6c ... 0x6f] = x86_op_string,
	[0x80 ... 0x83] = x86_op_alu_imm,
	[0x84 ... 0x85] = x86_op_test,
	[0x86 ... 0x87] = x86_op_xchg,
	[0x88 ... 0x8b] = x86_op_mov,
	[0x8f] = x86_op_pop_rm,
	[0xa0 ... 0xa3] = x86_op_mov_moffs,
	[0xa4 ... 0xa7] = x86_op_string,
	[0xa8 ... 0xa9] = x86_op_test_acc,
	[0xaa ... 0xaf] = x86_op_string,
	[0xc0 ... 0xc1] = x86_op_shift,
	[0xc6 ... 0xc7] = x86_op_mov_imm,
	[0xd0 ... 0xd3] = x86_op_shift,
	[0xd7] = x86_op_xlat,
	[0xe4 ... 0xe7] = x86_op_in_out,
	[0xec ... 0xef] = x86_op_in_out,
	[0xf6 ... 0xf7] = x86_op_group3,
	[0xfe ... 0xff] = x86_op_group45,
};

static x86_op_fn *const ops_0f[256] = {
	[0x0d] = x86_op_hint, [0x18] = x86_op_hint, [0x1f] = x86_op_hint,
	[0x10 ... 0x13] = x86_op_sse, [0x16 ... 0x17] = x86_op_sse,
	[0x28 ... 0x29] = x86_op_sse, [0x2b] = x86_op_sse,
	[0x40 ... 0x4f] = x86_op_cmov,
	[0x6e ... 0x6f] = x86_op_sse, [0x7e ... 0x7f] = x86_op_sse,
	[0x90 ... 0x9f] = x86_op_setcc,
	[0xa3] = x86_op_bit_reg, [0xab] = x86_op_bit_reg,
	[0xb3] = x86_op_bit_reg, [0xbb] = x86_op_bit_reg,
	[0xa4 ... 0xa5] = x86_op_shift_double, [0xac ... 0xad] = x86_op_shift_double,
	[0xae] = x86_op_cache_line,
	[0xaf] = x86_op_imul,
	[0xb0 ... 0xb1] = x86_op_cmpxchg,
	[0xb6 ... 0xb7] = x86_op_movx, [0xbe ... 0xbf] = x86_op_movx,
	[0xba] = x86_op_bit_imm,
	[0xbc ... 0xbd] = x86_op_bit_scan,
	[0xc0 ... 0xc1] = x86_op_xadd,
	[0xc3] = x86_op_movnti,
	[0xc7] = x86_op_cmpxchg8b,
	[0xd6] = x86_op_sse, [0xe7] = x86_op_sse, [0xf0] = x86_op_sse,
};

static x86_op_fn *op_find(const struct x86_insn *in)
{
	switch (in->map) {
	case X86_MAP_1B:
		return ops_1b[in->opcode];
	case X86_MAP_0F:
		return ops_0f[in->opcode];
	default:
		if (in->opcode == 0x2a)
			return x86_op_sse;
		return in->opcode == 0xf0 || in->opcode == 0xf1 ? x86_op_movbe : NULL;
	}
}

static enum x86_code code_kind(const struct x86emu_state *s)
{
	uint16_t attr = s->seg[HV_SEG_CS].attr;

	if (s->rflags & X86_FL_VM)
		return X86_CODE_REAL16;
	/* The D bit outlives a switch to real mode until CS is loaded. */
	if (!(s->cr0 & X86_CR0_PE))
		return attr & X86_SEG_DB ? X86_CODE_32 : X86_CODE_REAL16;
	if ((s->efer & X86_EFER_LMA) && (attr & X86_SEG_L))
		return X86_CODE_64;
	return attr & X86_SEG_DB ? X86_CODE_32 : X86_CODE_16;
}

static enum x86emu_result execute(struct x86_emu *e, const uint8_t *bytes, size_t n)
{
	enum x86emu_result r;
	x86_op_fn *fn;

	r = x86_fetch(e, bytes, n);
	if (r)
		return r;
	e->out->len = e->in.len;
	fn = op_find(&e->in);
	if (!fn)
		return X86EMU_UNSUPPORTED;
	e->next_rip = e->s->rip + e->in.len;
	if (!x86_long(e))
		e->next_rip &= UINT32_MAX;
	return fn(e);
}

enum x86emu_result x86emu_step(struct x86emu_state *s, const struct x86emu_ops *ops, void *ctx,
			       const void *bytes, size_t n, struct x86emu_out *ret_out)
{
	bool tf = s->rflags & X86_FL_TF;
	struct x86_emu e = {
		.s = s, .ops = ops, .ctx = ctx, .out = ret_out, .code = code_kind(s),
	};
	enum x86emu_result r;

	*ret_out = (struct x86emu_out){ 0 };
	r = execute(&e, bytes, n);
	switch (r) {
	case X86EMU_OK:
		s->rip = e.next_rip;
		s->rflags &= ~X86_FL_RF;
		ret_out->trap = tf;
		break;
	case X86EMU_FAULT:
		s->rflags |= X86_FL_RF;
		break;
	case X86EMU_AGAIN:
	case X86EMU_UNSUPPORTED:
	case X86EMU_ERROR:
		break;
	}
	return r;
}
