/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of the instruction emulator: pure functions on values of 1, 2, 4 or 8 bytes and the
 * status flags. Flags that the architecture leaves undefined are set as current CPUs set them where
 * those agree. Spec: Intel SDM volume 2, AMD APM volume 3, instruction reference.
 */
#include "x86emu_priv.h"

static uint64_t sign_bit(unsigned int size)
{
	return BIT(size * 8 - 1);
}

static uint64_t flag_if(uint64_t flag, bool on)
{
	return on ? flag : 0;
}

/* SF, ZF and PF of a result. */
static uint64_t flags_szp(uint64_t res, unsigned int size)
{
	return flag_if(X86_FL_SF, res & sign_bit(size)) |
	       flag_if(X86_FL_ZF, (res & x86_mask(size)) == 0) |
	       flag_if(X86_FL_PF, !__builtin_parity((unsigned int)(res & 0xff)));
}

static void set_flags(struct x86_alu *u, uint64_t which, uint64_t val)
{
	u->flags = (u->flags & ~which) | (val & which);
}

static uint64_t add_carry(struct x86_alu *u, uint64_t carry)
{
	uint64_t m = x86_mask(u->size), a = u->a & m, b = u->b & m;
	uint64_t res = (a + b + carry) & m;
	bool cf = carry ? res <= a : res < a;

	set_flags(u, X86_FL_STATUS,
		  flags_szp(res, u->size) | flag_if(X86_FL_CF, cf) |
			  flag_if(X86_FL_OF, (a ^ res) & (b ^ res) & sign_bit(u->size)) |
			  ((a ^ b ^ res) & X86_FL_AF));
	return res;
}

static uint64_t sub_borrow(struct x86_alu *u, uint64_t borrow)
{
	uint64_t m = x86_mask(u->size), a = u->a & m, b = u->b & m;
	uint64_t res = (a - b - borrow) & m;
	bool cf = borrow ? a <= b : a < b;

	set_flags(u, X86_FL_STATUS,
		  flags_szp(res, u->size) | flag_if(X86_FL_CF, cf) |
			  flag_if(X86_FL_OF, (a ^ b) & (a ^ res) & sign_bit(u->size)) |
			  ((a ^ b ^ res) & X86_FL_AF));
	return res;
}

static uint64_t logic(struct x86_alu *u, uint64_t res)
{
	res &= x86_mask(u->size);
	set_flags(u, X86_FL_STATUS, flags_szp(res, u->size));
	return res;
}

uint64_t x86_alu_add(struct x86_alu *u)
{
	return add_carry(u, 0);
}

static uint64_t alu_adc(struct x86_alu *u)
{
	return add_carry(u, u->flags & X86_FL_CF);
}

uint64_t x86_alu_sub(struct x86_alu *u)
{
	return sub_borrow(u, 0);
}

static uint64_t alu_sbb(struct x86_alu *u)
{
	return sub_borrow(u, u->flags & X86_FL_CF);
}

static uint64_t alu_or(struct x86_alu *u)
{
	return logic(u, u->a | u->b);
}

uint64_t x86_alu_and(struct x86_alu *u)
{
	return logic(u, u->a & u->b);
}

static uint64_t alu_xor(struct x86_alu *u)
{
	return logic(u, u->a ^ u->b);
}

/* The CMP entry computes like SUB; that nothing is written is the caller's part. */
x86_alu_fn *const x86_alu_group1[8] = {
	x86_alu_add, alu_or, alu_adc, alu_sbb, x86_alu_and, x86_alu_sub, alu_xor, x86_alu_sub,
};

uint64_t x86_alu_inc(struct x86_alu *u)
{
	uint64_t cf = u->flags & X86_FL_CF, res;

	u->b = 1;
	res = add_carry(u, 0);
	set_flags(u, X86_FL_CF, cf);
	return res;
}

uint64_t x86_alu_dec(struct x86_alu *u)
{
	uint64_t cf = u->flags & X86_FL_CF, res;

	u->b = 1;
	res = sub_borrow(u, 0);
	set_flags(u, X86_FL_CF, cf);
	return res;
}

uint64_t x86_alu_neg(struct x86_alu *u)
{
	u->b = u->a;
	u->a = 0;
	return sub_borrow(u, 0);
}

uint64_t x86_alu_not(struct x86_alu *u)
{
	return ~u->a & x86_mask(u->size);
}

uint64_t x86_alu_mov(struct x86_alu *u)
{
	return u->b & x86_mask(u->size);
}

uint64_t x86_alu_cmpxchg(struct x86_alu *u)
{
	struct x86_alu cmp = { .a = u->c, .b = u->a, .size = u->size, .flags = u->flags };

	(void)sub_borrow(&cmp, 0);
	u->flags = cmp.flags;
	return (u->flags & X86_FL_ZF ? u->b : u->a) & x86_mask(u->size);
}

uint64_t x86_alu_bt(struct x86_alu *u)
{
	set_flags(u, X86_FL_CF, flag_if(X86_FL_CF, u->a >> u->b & 1));
	return u->a;
}

uint64_t x86_alu_bts(struct x86_alu *u)
{
	return x86_alu_bt(u) | BIT(u->b);
}

uint64_t x86_alu_btr(struct x86_alu *u)
{
	return x86_alu_bt(u) & ~BIT(u->b);
}

uint64_t x86_alu_btc(struct x86_alu *u)
{
	return x86_alu_bt(u) ^ BIT(u->b);
}

static unsigned int shift_count(const struct x86_alu *u, uint64_t raw)
{
	return (unsigned int)raw & (u->size == 8 ? 63 : 31);
}

static uint64_t alu_rol(struct x86_alu *u)
{
	unsigned int bits = u->size * 8, n = shift_count(u, u->b), r = n % bits;
	uint64_t m = x86_mask(u->size), a = u->a & m, res = a;
	bool cf, msb;

	if (n == 0)
		return a;
	if (r)
		res = (a << r | a >> (bits - r)) & m;
	cf = res & 1;
	msb = res & sign_bit(u->size);
	set_flags(u, X86_FL_CF | X86_FL_OF,
		  flag_if(X86_FL_CF, cf) | flag_if(X86_FL_OF, cf != msb));
	return res;
}

static uint64_t alu_ror(struct x86_alu *u)
{
	unsigned int bits = u->size * 8, n = shift_count(u, u->b), r = n % bits;
	uint64_t m = x86_mask(u->size), a = u->a & m, res = a;
	bool msb, next;

	if (n == 0)
		return a;
	if (r)
		res = (a >> r | a << (bits - r)) & m;
	msb = res & sign_bit(u->size);
	next = res & sign_bit(u->size) >> 1;
	set_flags(u, X86_FL_CF | X86_FL_OF,
		  flag_if(X86_FL_CF, msb) | flag_if(X86_FL_OF, msb != next));
	return res;
}

/* One bit at a time: at most 63 rounds, and the carry takes part in the rotation. */
static uint64_t alu_rcl(struct x86_alu *u)
{
	unsigned int n = shift_count(u, u->b);
	uint64_t m = x86_mask(u->size), res = u->a & m;
	bool cf = u->flags & X86_FL_CF, out;

	if (n == 0)
		return res;
	for (unsigned int i = 0; i < n; i++) {
		out = res & sign_bit(u->size);
		res = (res << 1 | cf) & m;
		cf = out;
	}
	set_flags(u, X86_FL_CF | X86_FL_OF,
		  flag_if(X86_FL_CF, cf) |
			  flag_if(X86_FL_OF, cf != !!(res & sign_bit(u->size))));
	return res;
}

static uint64_t alu_rcr(struct x86_alu *u)
{
	unsigned int n = shift_count(u, u->b);
	uint64_t m = x86_mask(u->size), res = u->a & m;
	bool cf = u->flags & X86_FL_CF, out;
	bool msb, next;

	if (n == 0)
		return res;
	for (unsigned int i = 0; i < n; i++) {
		out = res & 1;
		res = res >> 1 | (cf ? sign_bit(u->size) : 0);
		cf = out;
	}
	msb = res & sign_bit(u->size);
	next = res & sign_bit(u->size) >> 1;
	set_flags(u, X86_FL_CF | X86_FL_OF,
		  flag_if(X86_FL_CF, cf) | flag_if(X86_FL_OF, msb != next));
	return res;
}

static void set_shift_flags(struct x86_alu *u, uint64_t res, bool cf, bool of)
{
	set_flags(u, X86_FL_STATUS,
		  flags_szp(res, u->size) | flag_if(X86_FL_CF, cf) | flag_if(X86_FL_OF, of));
}

static uint64_t alu_shl(struct x86_alu *u)
{
	unsigned int n = shift_count(u, u->b), bits = u->size * 8;
	uint64_t a = u->a & x86_mask(u->size), res;
	bool cf;

	if (n == 0)
		return a;
	res = a << n & x86_mask(u->size);
	cf = n <= bits && (a >> (bits - n) & 1);
	set_shift_flags(u, res, cf, cf != !!(res & sign_bit(u->size)));
	return res;
}

static uint64_t alu_shr(struct x86_alu *u)
{
	unsigned int n = shift_count(u, u->b);
	uint64_t a = u->a & x86_mask(u->size), res;

	if (n == 0)
		return a;
	res = a >> n;
	set_shift_flags(u, res, a >> (n - 1) & 1, a & sign_bit(u->size));
	return res;
}

static uint64_t alu_sar(struct x86_alu *u)
{
	unsigned int n = shift_count(u, u->b);
	int64_t a = x86_sext(u->a, u->size);
	uint64_t res;

	if (n == 0)
		return (uint64_t)a & x86_mask(u->size);
	res = (uint64_t)(a >> n) & x86_mask(u->size);
	set_shift_flags(u, res, a >> (n - 1) & 1, false);
	return res;
}

x86_alu_fn *const x86_alu_group2[8] = {
	alu_rol, alu_ror, alu_rcl, alu_rcr, alu_shl, alu_shr, alu_shl, alu_sar,
};

/*
 * Double shifts. With 16-bit operands and counts above 16 the result is undefined; the bits then
 * come from the source again, as if it were repeated.
 */
uint64_t x86_alu_shld(struct x86_alu *u)
{
	unsigned int n = shift_count(u, u->c), bits = u->size * 8;
	uint64_t m = x86_mask(u->size), a = u->a & m, b = u->b & m, res = a;
	bool cf = false;

	if (n == 0)
		return a;
	for (unsigned int i = 0; i < n; i++) {
		cf = res & sign_bit(u->size);
		res = (res << 1 | (b >> ((2 * bits - 1 - i) % bits) & 1)) & m;
	}
	set_shift_flags(u, res, cf, (a ^ res) & sign_bit(u->size));
	return res;
}

uint64_t x86_alu_shrd(struct x86_alu *u)
{
	unsigned int n = shift_count(u, u->c), bits = u->size * 8;
	uint64_t m = x86_mask(u->size), a = u->a & m, b = u->b & m, res = a;
	bool cf = false;

	if (n == 0)
		return a;
	for (unsigned int i = 0; i < n; i++) {
		cf = res & 1;
		res = res >> 1 | (b >> (i % bits) & 1 ? sign_bit(u->size) : 0);
	}
	set_shift_flags(u, res, cf, (a ^ res) & sign_bit(u->size));
	return res;
}

void x86_mul(uint64_t a, uint64_t b, unsigned int size, bool is_signed, struct x86_muldiv *ret)
{
	unsigned __int128 p;

	if (is_signed)
		p = (unsigned __int128)((__int128)x86_sext(a, size) * x86_sext(b, size));
	else
		p = (unsigned __int128)(a & x86_mask(size)) * (b & x86_mask(size));
	ret->lo = (uint64_t)p & x86_mask(size);
	ret->hi = (uint64_t)(p >> (size * 8)) & x86_mask(size);
	if (is_signed)
		ret->overflow = (__int128)p != x86_sext(ret->lo, size);
	else
		ret->overflow = ret->hi != 0;
}

static void div_signed(struct x86_muldiv *io, uint64_t divisor, unsigned int size)
{
	unsigned __int128 v = (unsigned __int128)io->hi << (size * 8) | io->lo;
	unsigned int sh = 128 - size * 16;
	bool neg_v, neg_d = x86_sext(divisor, size) < 0;
	unsigned __int128 d, q;
	uint64_t rem;

	v = (unsigned __int128)((__int128)(v << sh) >> sh);
	neg_v = v >> 127;
	/* Work on magnitudes: the most negative value has no positive twin in signed arithmetic. */
	v = neg_v ? -v : v;
	d = (uint64_t)(neg_d ? -(uint64_t)x86_sext(divisor, size) : divisor);
	q = v / d;
	rem = (uint64_t)(v % d);
	io->overflow = neg_v != neg_d ? q > sign_bit(size) : q >= sign_bit(size);
	if (io->overflow)
		return;
	io->lo = (neg_v != neg_d ? -(uint64_t)q : (uint64_t)q) & x86_mask(size);
	io->hi = (neg_v ? -rem : rem) & x86_mask(size);
}

void x86_div(struct x86_muldiv *io, uint64_t divisor, unsigned int size, bool is_signed)
{
	unsigned __int128 v, q;

	io->hi &= x86_mask(size);
	io->lo &= x86_mask(size);
	divisor &= x86_mask(size);
	io->overflow = divisor == 0;
	if (io->overflow)
		return;
	if (is_signed) {
		div_signed(io, divisor, size);
		return;
	}
	v = (unsigned __int128)io->hi << (size * 8) | io->lo;
	q = v / divisor;
	io->overflow = q > x86_mask(size);
	if (io->overflow)
		return;
	io->lo = (uint64_t)q;
	io->hi = (uint64_t)(v % divisor);
}

bool x86_cond(uint64_t rflags, unsigned int cc)
{
	bool cf = rflags & X86_FL_CF, zf = rflags & X86_FL_ZF, sf = rflags & X86_FL_SF;
	bool of = rflags & X86_FL_OF, pf = rflags & X86_FL_PF;
	bool r[8] = { of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of };

	return r[cc >> 1 & 7] != (cc & 1);
}
