/* SPDX-License-Identifier: MIT */
/*
 * Decode and execute any bytes in any mode, with memory and ports that answer as they like.
 * Whatever happens: bounded work, legal accesses, and a state that is consistent with the result.
 * Input: struct layout below, then instruction bytes; the rest drives the answers of the ops.
 */
#include "fuzz.h"

#include "le.h"
#include "x86decode.h"
#include "x86emu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IN_MODE 0
#define IN_CR 1
#define IN_MISC 2
#define IN_FLAGS 3
#define IN_GPR 4
#define IN_SEG 20
#define IN_INSN 26
#define IN_ANSWERS 42

/* A string element makes at most 2 translations, 2 accesses of up to 4 pieces and a port access. */
#define OP_CALLS_MAX (X86EMU_REP_MAX * 12u + 64u)

struct env {
	const uint8_t *answers;
	size_t n, pos;
	unsigned int calls, writes;
	uint8_t insn[16];
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint8_t answer(struct env *v)
{
	v->calls++;
	must(v->calls <= OP_CALLS_MAX);
	if (v->n == 0)
		return 0;
	return v->answers[v->pos++ % v->n];
}

static void check_access(gpa_t gpa, size_t len)
{
	must(len == 1 || len == 2 || len == 4 || len == 8 || len == 16);
	must(gpa >> 12 == (gpa + len - 1) >> 12);
}

static int fz_translate(void *ctx, uint64_t gva, unsigned int access, gpa_t *ret_gpa,
			struct x86emu_fault *ret_fault)
{
	uint8_t a = answer(ctx);

	must(!(access & ~(X86EMU_ACC_WRITE | X86EMU_ACC_EXEC | X86EMU_ACC_USER)));
	if ((a & 0xf0) == 0x10) {
		*ret_fault = (struct x86emu_fault){ .vector = X86_PF, .cr2 = gva };
		return -EFAULT;
	}
	if (a == 0x20)
		return -EIO;
	/* Guest-physical addresses of any kind, with or without the offset in the page. */
	*ret_gpa = a == 0x21 ? UINT64_MAX : a & 1 ? gva : (uint64_t)a << 32;
	return 0;
}

static int fz_fetch(void *ctx, gpa_t gpa, void *ret_buf, size_t len)
{
	struct env *v = ctx;

	must(len >= 1 && len <= X86EMU_INSN_MAX && gpa >> 12 == (gpa + len - 1) >> 12);
	if (answer(v) == 0x20)
		return -EFAULT;
	memcpy(ret_buf, v->insn + (gpa & 1), len);
	return 0;
}

static int fz_read(void *ctx, gpa_t gpa, void *ret_buf, size_t len)
{
	uint8_t a = answer(ctx);

	check_access(gpa, len);
	must(len <= 8);
	memset(ret_buf, a, len);
	return a == 0x20 ? -EIO : 0;
}

static int fz_write(void *ctx, gpa_t gpa, const void *buf, size_t len)
{
	struct env *v = ctx;
	volatile uint8_t sum = 0;

	check_access(gpa, len);
	must(len <= 8);
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)buf)[i]);
	v->writes++;
	return answer(v) == 0x20 ? -EIO : 0;
}

static int fz_cmpxchg(void *ctx, gpa_t gpa, void *io_expected, const void *desired, size_t len)
{
	struct env *v = ctx;
	uint8_t a = answer(v);

	(void)desired;
	check_access(gpa, len);
	if (a == 0x20)
		return -EIO;
	if (a & 1)
		return -EOPNOTSUPP;
	if (a & 2) {
		memset(io_expected, a, len);
		return 0;
	}
	v->writes++;
	return 1;
}

static int fz_in(void *ctx, uint16_t port, unsigned int size, uint32_t *ret_val)
{
	uint8_t a = answer(ctx);

	(void)port;
	must(size == 1 || size == 2 || size == 4);
	*ret_val = 0x01010101u * a;
	return a == 0x20 ? -EIO : 0;
}

static int fz_out(void *ctx, uint16_t port, unsigned int size, uint32_t val)
{
	(void)port;
	(void)val;
	must(size == 1 || size == 2 || size == 4);
	return answer(ctx) == 0x20 ? -EIO : 0;
}

static uint64_t spread(uint8_t b)
{
	static const uint64_t v[8] = { 0, 1, 0xffffffff, UINT64_MAX, 0x8000000000000000,
				       0x7fffffffffff, 0xfff, 0x100000000 };

	return b < 8 ? v[b] : b < 128 ? b * 0xfffull : b * 0x9e3779b97f4a7c15ull;
}

static void load_state(const uint8_t *in, struct x86emu_state *s, uint8_t *fx)
{
	static const uint16_t cs[] = { 0x009b, 0x409b, 0x209b, 0x609b };

	*s = (struct x86emu_state){
		.rip = spread(in[IN_FLAGS]) & (in[IN_MODE] & 4 ? UINT64_MAX : UINT16_MAX),
		.rflags = 2 | (in[IN_FLAGS] * 0x101ull & 0xdd5) | (in[IN_MODE] & 8 ? X86_FL_VM : 0),
		.cr0 = (in[IN_CR] & 15) ^ 1,
		.cr4 = (in[IN_CR] & 16 ? 0 : BIT(9)) | (in[IN_CR] & 32 ? BIT(12) : 0) |
		       (in[IN_CR] & 64 ? BIT(23) : 0),
		.efer = in[IN_MODE] & 4 ? 0x500 : 0,
		.cpl = in[IN_MISC] & 3,
		.io_checked = in[IN_MISC] & 4,
		.fx = in[IN_MISC] & 8 ? NULL : fx,
	};
	for (unsigned int i = 0; i < 16; i++)
		s->gpr[i] = spread(in[IN_GPR + i]);
	for (unsigned int i = 0; i < 6; i++) {
		s->seg[i].base = spread(in[IN_SEG + i]);
		s->seg[i].limit = (uint32_t)spread((uint8_t)(in[IN_SEG + i] + 3));
		s->seg[i].attr = (uint16_t)(0x4093 ^ (in[IN_SEG + i] & 0xcf));
	}
	s->seg[HV_SEG_CS].attr = cs[in[IN_MODE] & 3];
}

static bool is_string(const uint8_t *insn, size_t len)
{
	uint8_t op = len ? insn[len - 1] : 0;

	return (op >= 0x6c && op <= 0x6f) || (op >= 0xa4 && op <= 0xa7) ||
	       (op >= 0xaa && op <= 0xaf);
}

static void check_result(enum x86emu_result r, const struct x86emu_state *was,
			 const struct x86emu_state *now, const struct x86emu_out *out,
			 const struct env *v, bool string)
{
	must(memcmp(was->seg, now->seg, sizeof(was->seg)) == 0);
	must(was->cr0 == now->cr0 && was->cr4 == now->cr4 && was->efer == now->efer);
	must(was->fx == now->fx && was->cpl == now->cpl);
	/* System flags never change, but for RF. */
	must(((was->rflags ^ now->rflags) & ~(0x8d5ull | X86_FL_RF)) == 0);
	must(out->len <= X86EMU_INSN_MAX);
	if (r == X86EMU_OK) {
		must(out->len > 0 && !(now->rflags & X86_FL_RF));
		must(out->trap == !!(was->rflags & X86_FL_TF));
		return;
	}
	must(was->rip == now->rip);
	if (r == X86EMU_FAULT)
		must((now->rflags & X86_FL_RF) && out->fault.vector < 32);
	if (r == X86EMU_UNSUPPORTED)
		must(memcmp(was, now, sizeof(*was)) == 0 && v->writes == 0);
	if (r == X86EMU_ERROR)
		must(out->err < 0);
	if (!string) {
		must(memcmp(was->gpr, now->gpr, sizeof(was->gpr)) == 0);
		must(r == X86EMU_ERROR || v->writes == 0);
	}
}

static void check_decoders(const uint8_t *insn, size_t n)
{
	struct x86_insn quick, full;

	if (!x86_decode_mov64(insn, n, &quick))
		return;
	must(x86_decode(X86_CODE_64, insn, n, &full) == X86_DECODE_OK);
	must(memcmp(&quick, &full, offsetof(struct x86_insn, scale) + 1) == 0);
	must(quick.disp == full.disp && quick.imm == full.imm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct x86emu_ops ops = {
		.translate = fz_translate, .mem_fetch = fz_fetch, .mem_read = fz_read,
		.mem_write = fz_write, .mem_cmpxchg = fz_cmpxchg, .io_read = fz_in,
		.io_write = fz_out,
	};
	uint8_t in[IN_ANSWERS] = { 0 }, fx[X86EMU_FX_SIZE] = { 0 };
	struct x86emu_state s, was;
	struct x86emu_out out;
	enum x86emu_result r;
	struct env v = { 0 };
	size_t known;

	memcpy(in, data, size < sizeof(in) ? size : sizeof(in));
	if (size > sizeof(in)) {
		v.answers = data + sizeof(in);
		v.n = size - sizeof(in);
	}
	memcpy(v.insn, in + IN_INSN, sizeof(v.insn));
	check_decoders(v.insn, X86EMU_INSN_MAX);
	load_state(in, &s, fx);
	/* Some calls carry all bytes, some a part, some none. */
	known = in[IN_MISC] & 0x80 ? in[IN_MISC] >> 4 & 7 : sizeof(v.insn);
	for (unsigned int i = 0; i < 4; i++) {
		v.calls = v.writes = 0;
		was = s;
		r = x86emu_step(&s, &ops, &v, v.insn, known, &out);
		check_result(r, &was, &s, &out, &v, known < 16 || is_string(v.insn, out.len));
		if (r != X86EMU_AGAIN)
			break;
	}
	return 0;
}
