/* SPDX-License-Identifier: MIT */
/*
 * Stack operations and indirect near branches of the instruction emulator. Input: a hostile guest;
 * the stack pointer moves only after every access succeeded. Spec: Intel SDM volume 1, "Procedure
 * Stack"; volume 2, instruction reference.
 */
#include "x86emu_priv.h"

/* Width of the stack pointer in bytes. */
static unsigned int stack_width(const struct x86_emu *e)
{
	if (x86_long(e))
		return 8;
	return e->s->seg[HV_SEG_SS].attr & X86_SEG_DB ? 4 : 2;
}

/* 64-bit code pushes and pops 8 bytes, or 2 with an operand-size prefix. */
static unsigned int stack_osize(const struct x86_emu *e)
{
	return x86_long(e) && e->in.osize == 4 ? 8 : e->in.osize;
}

static enum x86emu_result stack_prepare(struct x86_emu *e, uint64_t sp, unsigned int size,
					unsigned int access, struct x86_mref *ret_m)
{
	return x86_mem_prepare(e, HV_SEG_SS, sp & x86_mask(stack_width(e)), size, access, ret_m);
}

static void move_sp(struct x86_emu *e, uint64_t by)
{
	x86_reg_set(e, X86_RSP, stack_width(e), e->s->gpr[X86_RSP] + by);
}

static enum x86emu_result push(struct x86_emu *e, unsigned int size, uint64_t val)
{
	enum x86emu_result r;
	struct x86_mref m;

	r = stack_prepare(e, e->s->gpr[X86_RSP] - size, size, X86EMU_ACC_WRITE, &m);
	if (r == X86EMU_OK)
		r = x86_mem_store64(e, &m, val);
	if (r == X86EMU_OK)
		move_sp(e, -(uint64_t)size);
	return r;
}

/* 50..57 */
enum x86emu_result x86_op_push_reg(struct x86_emu *e)
{
	unsigned int size = stack_osize(e);

	return push(e, size, x86_reg_get(e, e->in.opreg, size));
}

/* 68, 6A */
enum x86emu_result x86_op_push_imm(struct x86_emu *e)
{
	return push(e, stack_osize(e), e->in.imm);
}

/* Reads r/m and pushes; both ends are translated before the first access. */
static enum x86emu_result rm_to_stack(struct x86_emu *e, unsigned int size)
{
	enum x86emu_result r;
	struct x86_opnd o;
	struct x86_mref m;
	uint64_t v;

	r = x86_rm_prepare(e, size, X86EMU_ACC_READ, &o);
	if (r == X86EMU_OK)
		r = stack_prepare(e, e->s->gpr[X86_RSP] - size, size, X86EMU_ACC_WRITE, &m);
	if (r == X86EMU_OK)
		r = x86_rm_load(e, &o, &v);
	if (r == X86EMU_OK)
		r = x86_mem_store64(e, &m, v);
	if (r == X86EMU_OK)
		move_sp(e, -(uint64_t)size);
	return r;
}

/* FF /6 */
enum x86emu_result x86_op_push_rm(struct x86_emu *e)
{
	return rm_to_stack(e, stack_osize(e));
}

/* 58..5F */
enum x86emu_result x86_op_pop_reg(struct x86_emu *e)
{
	unsigned int size = stack_osize(e);
	enum x86emu_result r;
	struct x86_mref m;
	uint64_t v;

	r = stack_prepare(e, e->s->gpr[X86_RSP], size, X86EMU_ACC_READ, &m);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &m, &v);
	if (r)
		return r;
	move_sp(e, size);
	x86_reg_set(e, e->in.opreg, size, v);
	return X86EMU_OK;
}

/* 8F /0: an address based on the stack pointer uses its value after the pop */
enum x86emu_result x86_op_pop_rm(struct x86_emu *e)
{
	unsigned int size = stack_osize(e);
	uint64_t rsp = e->s->gpr[X86_RSP], v = 0;
	enum x86emu_result r;
	struct x86_opnd o;
	struct x86_mref m;

	if (e->in.reg & 7)
		return X86EMU_UNSUPPORTED;
	r = stack_prepare(e, rsp, size, X86EMU_ACC_READ, &m);
	if (r)
		return r;
	move_sp(e, size);
	r = x86_rm_prepare(e, size, X86EMU_ACC_WRITE, &o);
	if (r == X86EMU_OK)
		r = x86_mem_load64(e, &m, &v);
	if (r == X86EMU_OK)
		r = x86_rm_store(e, &o, v);
	if (r)
		e->s->gpr[X86_RSP] = rsp;
	return r;
}

/*
 * Near branches through memory. Not with control-flow enforcement on: that adds a shadow stack and
 * a state machine that only the CPU has. In 64-bit code an operand-size prefix means different
 * things to different makers' CPUs.
 */
static bool branch_ok(const struct x86_emu *e)
{
	if (e->s->cr4 & X86_CR4_CET)
		return false;
	return !x86_long(e) || !(e->in.pfx & X86_PFX_OPSZ);
}

static enum x86emu_result branch_check(struct x86_emu *e, uint64_t target)
{
	if (x86_long(e) ? !x86_canonical(e, target) : target > e->s->seg[HV_SEG_CS].limit)
		return x86_raise(e, X86_GP, 0);
	return X86EMU_OK;
}

/* FF /4 */
enum x86emu_result x86_op_jmp_rm(struct x86_emu *e)
{
	unsigned int size = x86_long(e) ? 8 : e->in.osize;
	enum x86emu_result r;
	struct x86_opnd o;
	uint64_t target;

	if (!branch_ok(e))
		return X86EMU_UNSUPPORTED;
	r = x86_rm_prepare(e, size, X86EMU_ACC_READ, &o);
	if (r == X86EMU_OK)
		r = x86_rm_load(e, &o, &target);
	if (r == X86EMU_OK)
		r = branch_check(e, target);
	if (r == X86EMU_OK)
		e->next_rip = target;
	return r;
}

/* FF /2 */
enum x86emu_result x86_op_call_rm(struct x86_emu *e)
{
	unsigned int size = x86_long(e) ? 8 : e->in.osize;
	enum x86emu_result r;
	struct x86_opnd o;
	struct x86_mref m;
	uint64_t target;

	if (!branch_ok(e))
		return X86EMU_UNSUPPORTED;
	r = x86_rm_prepare(e, size, X86EMU_ACC_READ, &o);
	if (r == X86EMU_OK)
		r = stack_prepare(e, e->s->gpr[X86_RSP] - size, size, X86EMU_ACC_WRITE, &m);
	if (r == X86EMU_OK)
		r = x86_rm_load(e, &o, &target);
	if (r == X86EMU_OK)
		r = branch_check(e, target);
	if (r == X86EMU_OK)
		r = x86_mem_store64(e, &m, e->next_rip);
	if (r)
		return r;
	move_sp(e, -(uint64_t)size);
	e->next_rip = target;
	return X86EMU_OK;
}
