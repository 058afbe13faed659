/* SPDX-License-Identifier: MIT */
/*
 * String instructions with their repeat prefixes, and port I/O, of the instruction emulator. One
 * element is done completely, registers included, before the next begins, so the instruction can
 * stop between any two: at a fault, at the element budget, at a single-step trap. Input: a hostile
 * guest. Spec: Intel SDM volume 2, "REP/REPE/REPZ/REPNE/REPNZ" and the string instructions.
 */
#include "x86emu_priv.h"

static bool repeated(const struct x86_emu *e)
{
	return e->in.pfx & (X86_PFX_REP | X86_PFX_REPNE);
}

/* Operand size of INS and OUTS, IN and OUT: never 8 bytes. */
static unsigned int io_size(const struct x86_emu *e)
{
	return e->in.opcode & 1 ? MIN(e->in.osize, 4) : 1;
}

static unsigned int str_size(const struct x86_emu *e)
{
	if (e->in.opcode < 0x70)
		return io_size(e);
	return e->in.opcode & 1 ? e->in.osize : 1;
}

static enum x86emu_result src_prepare(struct x86_emu *e, unsigned int size, struct x86_mref *ret_m)
{
	return x86_mem_prepare(e, e->in.seg, x86_reg_get(e, X86_RSI, e->in.asize), size,
			       X86EMU_ACC_READ, ret_m);
}

/* The destination is always in ES. */
static enum x86emu_result dst_prepare(struct x86_emu *e, unsigned int size, unsigned int access,
				      struct x86_mref *ret_m)
{
	return x86_mem_prepare(e, HV_SEG_ES, x86_reg_get(e, X86_RDI, e->in.asize), size, access,
			       ret_m);
}

static void advance(struct x86_emu *e, unsigned int reg, unsigned int size)
{
	uint64_t by = e->s->rflags & X86_FL_DF ? -(uint64_t)size : size;

	x86_reg_set(e, reg, e->in.asize, e->s->gpr[reg] + by);
}

/* A4, A5 */
static enum x86emu_result str_movs(struct x86_emu *e, unsigned int size)
{
	struct x86_mref src, dst;
	enum x86emu_result r;
	uint64_t v;

	r = src_prepare(e, size, &src);
	if (r == X86EMU_OK)
		r = dst_prepare(e, size, X86EMU_ACC_WRITE, &dst);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &src, &v);
	if (r == X86EMU_OK)
		r = x86_mem_store64(e, &dst, v);
	if (r)
		return r;
	advance(e, X86_RSI, size);
	advance(e, X86_RDI, size);
	return X86EMU_OK;
}

/* A6, A7 */
static enum x86emu_result str_cmps(struct x86_emu *e, unsigned int size)
{
	struct x86_alu u = { .size = size, .flags = e->s->rflags };
	struct x86_mref src, dst;
	enum x86emu_result r;

	r = src_prepare(e, size, &src);
	if (r == X86EMU_OK)
		r = dst_prepare(e, size, X86EMU_ACC_READ, &dst);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &src, &u.a);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &dst, &u.b);
	if (r)
		return r;
	(void)x86_alu_sub(&u);
	x86_flags_set(e, u.flags);
	advance(e, X86_RSI, size);
	advance(e, X86_RDI, size);
	return X86EMU_OK;
}

/* AA, AB */
static enum x86emu_result str_stos(struct x86_emu *e, unsigned int size)
{
	enum x86emu_result r;
	struct x86_mref dst;

	r = dst_prepare(e, size, X86EMU_ACC_WRITE, &dst);
	if (r == X86EMU_OK)
		r = x86_mem_store64(e, &dst, e->s->gpr[X86_RAX]);
	if (r == X86EMU_OK)
		advance(e, X86_RDI, size);
	return r;
}

/* AC, AD */
static enum x86emu_result str_lods(struct x86_emu *e, unsigned int size)
{
	enum x86emu_result r;
	struct x86_mref src;
	uint64_t v;

	r = src_prepare(e, size, &src);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &src, &v);
	if (r)
		return r;
	x86_reg_set(e, X86_RAX, size, v);
	advance(e, X86_RSI, size);
	return X86EMU_OK;
}

/* AE, AF */
static enum x86emu_result str_scas(struct x86_emu *e, unsigned int size)
{
	struct x86_alu u = { .a = e->s->gpr[X86_RAX], .size = size, .flags = e->s->rflags };
	enum x86emu_result r;
	struct x86_mref dst;

	r = dst_prepare(e, size, X86EMU_ACC_READ, &dst);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &dst, &u.b);
	if (r)
		return r;
	(void)x86_alu_sub(&u);
	x86_flags_set(e, u.flags);
	advance(e, X86_RDI, size);
	return X86EMU_OK;
}

/* 6C, 6D: the destination must be writable before the device is read */
static enum x86emu_result str_ins(struct x86_emu *e, unsigned int size)
{
	enum x86emu_result r;
	struct x86_mref dst;
	uint32_t v = 0;
	int err;

	r = dst_prepare(e, size, X86EMU_ACC_WRITE, &dst);
	if (r)
		return r;
	err = e->ops->io_read(e->ctx, (uint16_t)e->s->gpr[X86_RDX], size, &v);
	if (err < 0)
		return x86_op_failed(e, err);
	r = x86_mem_store64(e, &dst, v);
	if (r == X86EMU_OK)
		advance(e, X86_RDI, size);
	return r;
}

/* 6E, 6F */
static enum x86emu_result str_outs(struct x86_emu *e, unsigned int size)
{
	enum x86emu_result r;
	struct x86_mref src;
	uint64_t v;
	int err;

	r = src_prepare(e, size, &src);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &src, &v);
	if (r)
		return r;
	err = e->ops->io_write(e->ctx, (uint16_t)e->s->gpr[X86_RDX], size, (uint32_t)v);
	if (err < 0)
		return x86_op_failed(e, err);
	advance(e, X86_RSI, size);
	return X86EMU_OK;
}

static enum x86emu_result str_element(struct x86_emu *e, unsigned int size)
{
	switch (e->in.opcode & 0xfe) {
	case 0x6c:
		return str_ins(e, size);
	case 0x6e:
		return str_outs(e, size);
	case 0xa4:
		return str_movs(e, size);
	case 0xa6:
		return str_cmps(e, size);
	case 0xaa:
		return str_stos(e, size);
	case 0xac:
		return str_lods(e, size);
	case 0xae:
		return str_scas(e, size);
	default:
		return X86EMU_UNSUPPORTED;
	}
}

/* Does the element just done end CMPS or SCAS by its flags? */
static bool str_ended(const struct x86_emu *e)
{
	uint8_t kind = e->in.opcode & 0xfe;
	bool zf = e->s->rflags & X86_FL_ZF;

	if (kind != 0xa6 && kind != 0xae)
		return false;
	return zf == !!(e->in.pfx & X86_PFX_REPNE);
}

static enum x86emu_result str_repeat(struct x86_emu *e, unsigned int size)
{
	unsigned int budget = e->s->rflags & X86_FL_TF ? 1 : X86EMU_REP_MAX;
	enum x86emu_result r;
	uint64_t left;

	if (x86_reg_get(e, X86_RCX, e->in.asize) == 0)
		return X86EMU_OK;
	for (unsigned int i = 0; i < budget; i++) {
		r = str_element(e, size);
		if (r)
			return r;
		x86_reg_set(e, X86_RCX, e->in.asize, e->s->gpr[X86_RCX] - 1);
		left = x86_reg_get(e, X86_RCX, e->in.asize);
		if (left == 0 || str_ended(e))
			return X86EMU_OK;
	}
	/* The instruction's breakpoint, if there is one, has been reported already. */
	e->s->rflags |= X86_FL_RF;
	e->out->trap = e->s->rflags & X86_FL_TF;
	return X86EMU_AGAIN;
}

enum x86emu_result x86_op_string(struct x86_emu *e)
{
	unsigned int size = str_size(e);
	enum x86emu_result r;

	if (e->in.opcode < 0x70) {
		r = x86_io_check(e);
		if (r)
			return r;
	}
	return repeated(e) ? str_repeat(e, size) : str_element(e, size);
}

/* E4..E7, EC..EF */
enum x86emu_result x86_op_in_out(struct x86_emu *e)
{
	uint16_t port = (uint16_t)(e->in.opcode & 8 ? e->s->gpr[X86_RDX] : e->in.imm & 0xff);
	unsigned int size = io_size(e);
	enum x86emu_result r;
	uint32_t v = 0;
	int err;

	r = x86_io_check(e);
	if (r)
		return r;
	if (e->in.opcode & 2)
		err = e->ops->io_write(e->ctx, port, size,
				       (uint32_t)x86_reg_get(e, X86_RAX, size));
	else
		err = e->ops->io_read(e->ctx, port, size, &v);
	if (err < 0)
		return x86_op_failed(e, err);
	if (!(e->in.opcode & 2))
		x86_reg_set(e, X86_RAX, size, v);
	return X86EMU_OK;
}
