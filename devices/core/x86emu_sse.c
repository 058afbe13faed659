/* SPDX-License-Identifier: MIT */
/*
 * SSE loads and stores of the instruction emulator: moves between an XMM register and memory, and
 * MOVD/MOVQ with general registers. Forms between two XMM registers touch no memory and are not
 * here. Input: a hostile guest. Spec: Intel SDM volume 2, MOV* entries; volume 3, "SIMD
 * Floating-Point and #NM".
 */
#include "x86emu_priv.h"

#include <string.h>

enum sse_prefix { NP, P66, PF3, PF2 };

#define SSE_STORE 1u
#define SSE_ALIGNED 2u
#define SSE_KEEP 4u /* a load leaves the other bytes of the register as they are */
#define SSE_HIGH 8u /* upper half of the register */
#define SSE_GPR 16u /* 4 or 8 bytes by REX.W; r/m may be a general register */

struct sse_form {
	uint8_t opcode;
	uint8_t prefix; /* enum sse_prefix */
	uint8_t size; /* bytes in memory */
	uint8_t flags; /* SSE_* */
};

static const struct sse_form sse_forms[] = {
	{ 0x10, NP, 16, 0 }, { 0x10, P66, 16, 0 }, { 0x10, PF3, 4, 0 }, { 0x10, PF2, 8, 0 },
	{ 0x11, NP, 16, SSE_STORE }, { 0x11, P66, 16, SSE_STORE },
	{ 0x11, PF3, 4, SSE_STORE }, { 0x11, PF2, 8, SSE_STORE },
	{ 0x12, NP, 8, SSE_KEEP }, { 0x12, P66, 8, SSE_KEEP },
	{ 0x13, NP, 8, SSE_STORE }, { 0x13, P66, 8, SSE_STORE },
	{ 0x16, NP, 8, SSE_KEEP | SSE_HIGH }, { 0x16, P66, 8, SSE_KEEP | SSE_HIGH },
	{ 0x17, NP, 8, SSE_STORE | SSE_HIGH }, { 0x17, P66, 8, SSE_STORE | SSE_HIGH },
	{ 0x28, NP, 16, SSE_ALIGNED }, { 0x28, P66, 16, SSE_ALIGNED },
	{ 0x29, NP, 16, SSE_STORE | SSE_ALIGNED }, { 0x29, P66, 16, SSE_STORE | SSE_ALIGNED },
	{ 0x2b, NP, 16, SSE_STORE | SSE_ALIGNED }, { 0x2b, P66, 16, SSE_STORE | SSE_ALIGNED },
	{ 0x6e, P66, 4, SSE_GPR },
	{ 0x7e, P66, 4, SSE_STORE | SSE_GPR }, { 0x7e, PF3, 8, 0 },
	{ 0xd6, P66, 8, SSE_STORE },
	{ 0x6f, P66, 16, SSE_ALIGNED }, { 0x6f, PF3, 16, 0 },
	{ 0x7f, P66, 16, SSE_STORE | SSE_ALIGNED }, { 0x7f, PF3, 16, SSE_STORE },
	{ 0xe7, P66, 16, SSE_STORE | SSE_ALIGNED },
	{ 0xf0, PF2, 16, 0 },
};

static const struct sse_form sse_movntdqa = { 0x2a, P66, 16, SSE_ALIGNED };

/* F2 and F3 take precedence over 66. */
static enum sse_prefix mandatory_prefix(const struct x86_emu *e)
{
	if (e->in.pfx & X86_PFX_REPNE)
		return PF2;
	if (e->in.pfx & X86_PFX_REP)
		return PF3;
	return e->in.pfx & X86_PFX_OPSZ ? P66 : NP;
}

static const struct sse_form *find_form(const struct x86_emu *e)
{
	enum sse_prefix prefix = mandatory_prefix(e);

	if (e->in.map == X86_MAP_0F38)
		return prefix == P66 ? &sse_movntdqa : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(sse_forms); i++) {
		if (sse_forms[i].opcode == e->in.opcode && sse_forms[i].prefix == prefix)
			return &sse_forms[i];
	}
	return NULL;
}

static enum x86emu_result sse_usable(struct x86_emu *e)
{
	if ((e->s->cr0 & X86_CR0_EM) || !(e->s->cr4 & X86_CR4_OSFXSR))
		return x86_raise(e, X86_UD, -1);
	if (e->s->cr0 & X86_CR0_TS)
		return x86_raise(e, X86_NM, -1);
	return X86EMU_OK;
}

static uint8_t *xmm(struct x86_emu *e)
{
	return (uint8_t *)e->s->fx + X86EMU_FX_XMM + (e->in.reg & 15) * 16u;
}

static enum x86emu_result sse_store(struct x86_emu *e, const struct x86_opnd *o, uint8_t flags)
{
	const uint8_t *x = xmm(e) + (flags & SSE_HIGH ? 8 : 0);

	if (o->is_mem)
		return x86_mem_store(e, &o->m, x);
	x86_reg_set(e, o->reg, o->size, le64_load(x));
	return X86EMU_OK;
}

static enum x86emu_result sse_load(struct x86_emu *e, const struct x86_opnd *o, uint8_t flags)
{
	uint8_t buf[16] = { 0 };
	enum x86emu_result r;
	uint8_t *x = xmm(e);

	if (o->is_mem) {
		r = x86_mem_load(e, &o->m, buf);
		if (r)
			return r;
	} else {
		le64_store(buf, x86_reg_get(e, o->reg, o->size));
	}
	if (flags & SSE_KEEP)
		memcpy(x + (flags & SSE_HIGH ? 8 : 0), buf, o->size);
	else
		memcpy(x, buf, sizeof(buf));
	e->out->xmm_dirty = true;
	return X86EMU_OK;
}

enum x86emu_result x86_op_sse(struct x86_emu *e)
{
	const struct sse_form *f = find_form(e);
	enum x86emu_result r;
	unsigned int size;
	struct x86_opnd o;

	if (!f || !e->s->fx || (e->in.mod == 3 && !(f->flags & SSE_GPR)))
		return X86EMU_UNSUPPORTED;
	r = sse_usable(e);
	if (r)
		return r;
	size = f->flags & SSE_GPR && e->in.osize == 8 ? 8 : f->size;
	if ((f->flags & SSE_ALIGNED) && !x86_ea_aligned16(e))
		return x86_raise(e, X86_GP, 0);
	r = x86_rm_prepare(e, size, f->flags & SSE_STORE ? X86EMU_ACC_WRITE : X86EMU_ACC_READ, &o);
	if (r)
		return r;
	return f->flags & SSE_STORE ? sse_store(e, &o, f->flags) : sse_load(e, &o, f->flags);
}
