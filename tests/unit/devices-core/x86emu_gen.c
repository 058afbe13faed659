/* SPDX-License-Identifier: MIT */
/*
 * Generator of random instructions; see the header. Every form the emulator supports is in the
 * table below, with the status flags that it leaves undefined.
 */
#include "x86emu_gen.h"

#include "macros.h"
#include "x86decode.h"
#include "x86emu.h"

#include <string.h>

static uint64_t rng_state;

uint64_t gen_rnd64(void)
{
	uint64_t z = rng_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

unsigned int gen_rnd(unsigned int n)
{
	return (unsigned int)(gen_rnd64() >> 33) % n;
}

bool gen_chance(unsigned int percent)
{
	return gen_rnd(100) < percent;
}

enum form_flag {
	FM_MODRM = 1u << 0,
	FM_MEM = 1u << 1, /* memory only */
	FM_LOCK = 1u << 2, /* LOCK is legal with a memory destination */
	FM_IMM8 = 1u << 3,
	FM_IMMZ = 1u << 4, /* 2 or 4 bytes by operand size */
	FM_STR = 1u << 5,
	FM_STACK = 1u << 6, /* also touches the stack */
	FM_BITREG = 1u << 7,
	FM_NO66 = 1u << 8,
	FM_OPREG = 1u << 10,
	FM_MOFFS = 1u << 11,
	FM_ALIGN = 1u << 12,
	FM_JMP = 1u << 13,
	FM_XLAT = 1u << 14,
	FM_COUNT16 = 1u << 15, /* 16-bit operands: counts up to 16 only */
	FM_DIV = 1u << 16,
	FM_NOREP = 1u << 17, /* F2 and F3 change the instruction */
};

#define ST_LOGIC X86_FL_AF
#define ST_SHIFT (X86_FL_AF | X86_FL_OF)
#define ST_ROTATE X86_FL_OF
#define ST_MUL (X86_FL_SF | X86_FL_ZF | X86_FL_AF | X86_FL_PF)
#define ST_BT (X86_FL_OF | X86_FL_SF | X86_FL_AF | X86_FL_PF)
#define ST_ALL (ST_BT | X86_FL_CF | X86_FL_ZF)

struct form {
	uint8_t map; /* enum x86_map */
	uint8_t op;
	uint8_t ext; /* ModRM reg field, 0xff = any */
	uint8_t pfx; /* mandatory prefix or 0 */
	uint32_t flags;
	uint64_t undef; /* status flags without a defined value */
};

static struct form forms[400];
static unsigned int n_forms;

static void add(uint8_t map, uint8_t op, uint8_t ext, uint8_t pfx, uint32_t flags, uint64_t undef)
{
	if (n_forms < ARRAY_SIZE(forms))
		forms[n_forms] = (struct form){ map, op, ext, pfx, flags, undef };
	n_forms++;
}

static void add_arith(void)
{
	for (unsigned int row = 0; row < 8; row++) {
		uint64_t u = row == 1 || row == 4 || row == 6 ? ST_LOGIC : 0;
		uint32_t lock = row == 7 ? 0 : FM_LOCK;
		uint8_t b = (uint8_t)(row << 3), ext = (uint8_t)row;

		add(0, b, 0xff, 0, FM_MODRM | lock, u);
		add(0, b + 1, 0xff, 0, FM_MODRM | lock, u);
		add(0, b + 2, 0xff, 0, FM_MODRM, u);
		add(0, b + 3, 0xff, 0, FM_MODRM, u);
		add(0, b + 4, 0xff, 0, FM_IMM8, u);
		add(0, b + 5, 0xff, 0, FM_IMMZ, u);
		add(0, 0x80, ext, 0, FM_MODRM | FM_IMM8 | lock, u);
		add(0, 0x81, ext, 0, FM_MODRM | FM_IMMZ | lock, u);
		add(0, 0x83, ext, 0, FM_MODRM | FM_IMM8 | lock, u);
	}
	for (uint8_t w = 0; w < 2; w++) {
		uint32_t imm = w ? FM_IMMZ : FM_IMM8;

		add(0, 0x84 + w, 0xff, 0, FM_MODRM, ST_LOGIC);
		add(0, 0xa8 + w, 0xff, 0, imm, ST_LOGIC);
		add(0, 0xf6 + w, 0, 0, FM_MODRM | imm, ST_LOGIC);
		add(0, 0xf6 + w, 1, 0, FM_MODRM | imm, ST_LOGIC);
		add(0, 0xf6 + w, 2, 0, FM_MODRM | FM_LOCK, 0);
		add(0, 0xf6 + w, 3, 0, FM_MODRM | FM_LOCK, 0);
		add(0, 0xf6 + w, 4, 0, FM_MODRM, ST_MUL);
		add(0, 0xf6 + w, 5, 0, FM_MODRM, ST_MUL);
		add(0, 0xf6 + w, 6, 0, FM_MODRM | FM_DIV, ST_ALL);
		add(0, 0xf6 + w, 7, 0, FM_MODRM | FM_DIV, ST_ALL);
		add(0, 0xfe + w, 0, 0, FM_MODRM | FM_LOCK, 0);
		add(0, 0xfe + w, 1, 0, FM_MODRM | FM_LOCK, 0);
		for (uint8_t k = 0; k < 8; k++) {
			uint64_t u = k < 4 ? ST_ROTATE : ST_SHIFT;

			add(0, 0xc0 + w, k, 0, FM_MODRM | FM_IMM8, u);
			add(0, 0xd0 + w, k, 0, FM_MODRM, u & ~X86_FL_OF);
			add(0, 0xd2 + w, k, 0, FM_MODRM, u);
		}
	}
	add(0, 0x69, 0xff, 0, FM_MODRM | FM_IMMZ, ST_MUL);
	add(0, 0x6b, 0xff, 0, FM_MODRM | FM_IMM8, ST_MUL);
	add(1, 0xaf, 0xff, 0, FM_MODRM, ST_MUL);
	add(1, 0xa4, 0xff, 0, FM_MODRM | FM_IMM8 | FM_COUNT16, ST_SHIFT);
	add(1, 0xa5, 0xff, 0, FM_MODRM | FM_COUNT16, ST_SHIFT);
	add(1, 0xac, 0xff, 0, FM_MODRM | FM_IMM8 | FM_COUNT16, ST_SHIFT);
	add(1, 0xad, 0xff, 0, FM_MODRM | FM_COUNT16, ST_SHIFT);
}

static void add_moves(bool movbe)
{
	for (uint8_t w = 0; w < 2; w++) {
		/* Twice: these are what really happens. */
		for (unsigned int i = 0; i < 2; i++) {
			add(0, 0x88 + w, 0xff, 0, FM_MODRM, 0);
			add(0, 0x8a + w, 0xff, 0, FM_MODRM, 0);
			add(0, 0xc6 + w, 0, 0, FM_MODRM | (w ? FM_IMMZ : FM_IMM8), 0);
			add(0, 0xa0 + w, 0xff, 0, FM_MOFFS, 0);
			add(0, 0xa2 + w, 0xff, 0, FM_MOFFS, 0);
		}
		add(1, 0xb6 + w, 0xff, 0, FM_MODRM, 0);
		add(1, 0xbe + w, 0xff, 0, FM_MODRM, 0);
		add(0, 0x86 + w, 0xff, 0, FM_MODRM | FM_LOCK, 0);
		add(1, 0xc0 + w, 0xff, 0, FM_MODRM | FM_LOCK, 0);
		/* In registers CPUs differ: upper half of a 32-bit destination after a mismatch. */
		add(1, 0xb0 + w, 0xff, 0, FM_MODRM | FM_MEM | FM_LOCK, 0);
		if (movbe)
			add(2, 0xf0 + w, 0xff, 0, FM_MODRM | FM_MEM | FM_NOREP, 0);
	}
	add(0, 0x63, 0xff, 0, FM_MODRM | FM_NO66, 0);
	add(1, 0xc3, 0xff, 0, FM_MODRM | FM_MEM | FM_NO66 | FM_NOREP, 0);
	add(0, 0xd7, 0xff, 0, FM_XLAT, 0);
	for (uint8_t cc = 0; cc < 16; cc++) {
		add(1, 0x40 + cc, 0xff, 0, FM_MODRM, 0);
		add(1, 0x90 + cc, 0xff, 0, FM_MODRM, 0);
	}
	for (uint8_t k = 0; k < 4; k++) {
		uint32_t lock = k ? FM_LOCK : 0;

		add(1, (uint8_t)(0xa3 + 8 * k), 0xff, 0, FM_MODRM | FM_BITREG | lock, ST_BT);
		add(1, 0xba, (uint8_t)(4 + k), 0, FM_MODRM | FM_IMM8 | lock, ST_BT);
	}
	add(1, 0xbc, 0xff, 0, FM_MODRM | FM_NOREP, ST_BT | X86_FL_CF);
	add(1, 0xbd, 0xff, 0, FM_MODRM | FM_NOREP, ST_BT | X86_FL_CF);
	add(1, 0xc7, 1, 0, FM_MODRM | FM_MEM | FM_LOCK | FM_NO66 | FM_NOREP, 0);
	add(1, 0xc7, 1, 0, FM_MODRM | FM_MEM | FM_LOCK | FM_NO66 | FM_NOREP | FM_ALIGN, 0);
	add(1, 0x0d, 1, 0, FM_MODRM | FM_MEM, 0);
	add(1, 0x18, 1, 0, FM_MODRM | FM_MEM, 0);
	add(1, 0x1f, 0, 0, FM_MODRM | FM_MEM, 0);
	add(1, 0xae, 7, 0, FM_MODRM | FM_MEM | FM_NO66 | FM_NOREP, 0);
}

static void add_other(void)
{
	static const uint8_t str[] = { 0xa4, 0xa6, 0xaa, 0xac, 0xae };

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(str); i++) {
		add(0, str[i / 2], 0xff, 0, FM_STR, 0);
		add(0, str[i / 2] + 1, 0xff, 0, FM_STR, 0);
	}
	/* Ports: always #GP here. */
	for (uint8_t op = 0x6c; op <= 0x6f; op++)
		add(0, op, 0xff, 0, FM_STR, 0);
	for (uint8_t i = 0; i < 4; i++) {
		add(0, 0xe4 + i, 0xff, 0, FM_IMM8, 0);
		add(0, 0xec + i, 0xff, 0, 0, 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		add(0, 0x50, 0xff, 0, FM_OPREG | FM_STACK, 0);
		add(0, 0x58, 0xff, 0, FM_OPREG | FM_STACK, 0);
		add(0, 0x8f, 0, 0, FM_MODRM | FM_STACK, 0);
		add(0, 0xff, 6, 0, FM_MODRM | FM_STACK, 0);
		add(0, 0xff, 4, 0, FM_MODRM | FM_MEM | FM_JMP | FM_NO66 | FM_NOREP, 0);
		add(0, 0xff, 2, 0, FM_MODRM | FM_MEM | FM_JMP | FM_STACK | FM_NO66 | FM_NOREP, 0);
	}
	add(0, 0x68, 0xff, 0, FM_IMMZ | FM_STACK, 0);
	add(0, 0x6a, 0xff, 0, FM_IMM8 | FM_STACK, 0);
}

static void add_sse(void)
{
	static const struct {
		uint8_t op, pfx;
		uint32_t flags;
	} f[] = {
		{ 0x10, 0, 0 }, { 0x10, 0x66, 0 }, { 0x10, 0xf3, 0 }, { 0x10, 0xf2, 0 },
		{ 0x11, 0, 0 }, { 0x11, 0x66, 0 }, { 0x11, 0xf3, 0 }, { 0x11, 0xf2, 0 },
		{ 0x12, 0, 0 }, { 0x12, 0x66, 0 }, { 0x13, 0, 0 }, { 0x13, 0x66, 0 },
		{ 0x16, 0, 0 }, { 0x16, 0x66, 0 }, { 0x17, 0, 0 }, { 0x17, 0x66, 0 },
		{ 0x28, 0, FM_ALIGN }, { 0x28, 0x66, FM_ALIGN }, { 0x29, 0, FM_ALIGN },
		{ 0x29, 0x66, FM_ALIGN }, { 0x2b, 0, FM_ALIGN }, { 0x2b, 0x66, FM_ALIGN },
		{ 0x7e, 0xf3, 0 }, { 0xd6, 0x66, 0 }, { 0x6f, 0x66, FM_ALIGN }, { 0x6f, 0xf3, 0 },
		{ 0x7f, 0x66, FM_ALIGN }, { 0x7f, 0xf3, 0 }, { 0xe7, 0x66, FM_ALIGN },
		{ 0xf0, 0xf2, 0 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(f); i++)
		add(1, f[i].op, 0xff, f[i].pfx,
		    FM_MODRM | FM_MEM | FM_NO66 | FM_NOREP | f[i].flags, 0);
	add(1, 0x6e, 0xff, 0x66, FM_MODRM | FM_NO66 | FM_NOREP, 0);
	add(1, 0x7e, 0xff, 0x66, FM_MODRM | FM_NO66 | FM_NOREP, 0);
	add(2, 0x2a, 0xff, 0x66, FM_MODRM | FM_MEM | FM_NO66 | FM_NOREP | FM_ALIGN, 0);
}

static uint64_t fs_base;

uint64_t gen_interesting(void)
{
	static const uint64_t v[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, INT64_MAX, 1ull << 63, UINT64_MAX, 0x100000000ull };

	if (gen_chance(40))
		return v[gen_rnd(ARRAY_SIZE(v))];
	return gen_chance(30) ? gen_rnd(256) : gen_rnd64();
}

/* A linear address to aim at: mostly writable, often across a page, sometimes not there. */
static uint64_t pick_target(const struct form *f)
{
	uint64_t t;

	if (f->flags & FM_JMP)
		return WIN_BASE + (gen_chance(90) ? gen_rnd(WIN_RW - 8) : gen_rnd(48) - 64ull);
	if (gen_chance(60))
		t = WIN_BASE + gen_rnd(WIN_RW - 32);
	else if (gen_chance(40))
		t = WIN_BASE + 4096 - 17 + gen_rnd(20);
	else if (gen_chance(40))
		t = WIN_BASE + WIN_RW - 17 + gen_rnd(20);
	else if (gen_chance(60))
		t = WIN_BASE + gen_rnd(WIN_SIZE);
	else if (gen_chance(50))
		t = WIN_BASE + WIN_SIZE - 17 + gen_rnd(20);
	else if (gen_chance(40))
		t = WIN_BASE - 17 + gen_rnd(20);
	else
		t = gen_chance(50) ? BIT(63) | gen_rnd64() >> 2 /* mostly not canonical */
				   : 0xffff800000000000ull + (gen_rnd64() >> 20);
	if ((f->flags & FM_ALIGN) && gen_chance(85))
		t &= ~15ull;
	return t;
}

struct builder {
	struct test_case *c;
	const struct form *f;
	bool opsz, asz, mem;
	uint8_t rex; /* W, R, X, B bits; 0x40 if forced */
	int seg; /* -1, 0x64, 0x65 or a prefix without meaning */
	uint8_t modrm, sib;
	bool has_sib;
	unsigned int disp_len;
	int64_t disp;
	bool rip_rel;
	uint64_t target_off; /* segment offset the memory operand must have */
	uint32_t pinned; /* registers that already have a fixed value */
};

static uint64_t seg_base(const struct builder *b)
{
	return b->seg == 0x64 ? fs_base : b->seg == 0x65 ? GS_BASE : 0;
}

static bool canonical(uint64_t v)
{
	return (uint64_t)((int64_t)(v << 16) >> 16) == v;
}

static void set_addr_reg(struct builder *b, unsigned int reg, uint64_t v)
{
	if (b->asz && gen_chance(70))
		v = (v & UINT32_MAX) | gen_rnd64() << 32;
	b->c->regs.gpr[reg] = v;
}

/* Chooses base, index and displacement, and sets the registers so that the offset comes out. */
static bool build_ea(struct builder *b)
{
	unsigned int mod = gen_rnd(3), rm = gen_rnd(8), base = rm | (b->rex & 1 ? 8 : 0);
	unsigned int index = 0, scale = 0;
	uint64_t off = b->target_off;
	bool has_base = true, has_index = false;

	if (rm == 4) {
		unsigned int sib_base = gen_rnd(8);

		b->has_sib = true;
		base = sib_base | (b->rex & 1 ? 8 : 0);
		index = gen_rnd(8) | (b->rex & 2 ? 8 : 0);
		scale = gen_rnd(4);
		has_index = index != 4;
		has_base = !(sib_base == 5 && mod == 0);
		b->sib = (uint8_t)(scale << 6 | (index & 7) << 3 | sib_base);
	} else if (rm == 5 && mod == 0) {
		has_base = false;
		b->rip_rel = true;
	}
	b->modrm = (uint8_t)(mod << 6 | (b->modrm & 0x38) | rm);
	b->disp_len = mod == 1 ? 1 : mod == 2 || !has_base ? 4 : 0;
	b->disp = mod == 1 ? (int8_t)gen_rnd64() : mod == 2 ? (int32_t)gen_rnd64() : 0;
	if (has_base && (b->pinned >> base & 1))
		return false;
	if (has_index && ((b->pinned >> index & 1) || (has_base && base == index)))
		return false;
	if (has_base) {
		uint64_t idx = has_index ? b->c->regs.gpr[index] << scale : 0;

		set_addr_reg(b, base, off - (uint64_t)b->disp - idx);
		return true;
	}
	if (has_index) {
		int64_t d = (int64_t)gen_rnd(8192) - 4096;

		d += (int64_t)((off - (uint64_t)d) & ((1u << scale) - 1));
		b->disp = d;
		set_addr_reg(b, index, (uint64_t)((int64_t)(off - (uint64_t)d) >> scale));
		return true;
	}
	/* Nothing but a displacement: it must reach. */
	b->disp = (int64_t)off;
	return b->asz ? off <= UINT32_MAX
		      : b->rip_rel ? off < 0x70000000 : off == (uint64_t)(int64_t)(int32_t)off;
}

static void set_count(struct builder *b)
{
	uint64_t n = gen_chance(3) ? 1 + gen_rnd64() % 20000 : gen_rnd(24);

	set_addr_reg(b, X86_RCX, n);
	/* CPUs differ in what they do to the upper halves when there is nothing to do. */
	if (n == 0)
		b->c->regs.gpr[X86_RCX] = 0;
}

/*
 * Can this address be aimed at? With 32-bit addressing only near the window: anything else would be
 * cut to an address where this process may have memory of its own. Some CPUs also want the offset
 * itself canonical, before the segment base is added.
 */
static bool can_aim(const struct builder *b, uint64_t target)
{
	if (b->asz && target - (WIN_BASE - 4096) >= WIN_SIZE + 2 * 4096)
		return false;
	return !canonical(target) || canonical(target - seg_base(b));
}

static bool build_implicit(struct builder *b)
{
	struct tramp_regs *r = &b->c->regs;
	uint32_t fl = b->f->flags;

	if (fl & FM_STACK) {
		r->gpr[X86_RSP] = WIN_BASE + 64 + gen_rnd(WIN_RW - 128);
		if (gen_chance(15))
			r->gpr[X86_RSP] = pick_target(b->f);
		b->pinned |= 1u << X86_RSP;
	}
	if (fl & FM_STR) {
		uint64_t src = pick_target(b->f), dst = pick_target(b->f);

		if (!can_aim(b, src) || !can_aim(b, dst))
			return false;
		set_addr_reg(b, X86_RSI, src - seg_base(b));
		set_addr_reg(b, X86_RDI, dst);
		set_count(b);
	}
	if (fl & FM_XLAT)
		set_addr_reg(b, X86_RBX, b->target_off - (r->gpr[X86_RAX] & 0xff));
	if (fl & FM_DIV && gen_chance(70)) {
		r->gpr[X86_RDX] = gen_chance(50) ? gen_rnd(4) : -(uint64_t)gen_rnd(4);
		b->pinned |= 1u << X86_RDX;
	}
	if (fl & FM_COUNT16 && b->opsz && !(b->rex & 8)) {
		r->gpr[X86_RCX] = (gen_rnd64() & ~0xffull) | gen_rnd(17) | (gen_rnd64() & 0xe0);
		b->pinned |= 1u << X86_RCX;
	}
	return true;
}

static void build_regs(struct builder *b)
{
	struct tramp_regs *r = &b->c->regs;

	for (unsigned int i = 0; i < 16; i++)
		r->gpr[i] = gen_interesting();
	r->rflags = (gen_rnd64() & ST_ALL) | X86_FL_IF | 2;
	if (gen_chance(50))
		r->rflags |= X86_FL_DF;
	for (unsigned int i = 0; i < 256; i += 8) {
		uint64_t v = gen_rnd64();

		memcpy(r->fx + X86EMU_FX_XMM + i, &v, 8);
	}
	r->fx[0] = 0x7f; /* FCW 0x37f, MXCSR 0x1f80: the reset values */
	r->fx[1] = 0x03;
	r->fx[24] = 0x80;
	r->fx[25] = 0x1f;
}

static void build_prefix_choice(struct builder *b)
{
	const struct form *f = b->f;

	b->opsz = !(f->flags & FM_NO66) && gen_chance(25);
	b->asz = gen_chance(12);
	b->seg = -1;
	if (gen_chance(15))
		b->seg = 0x65;
	else if (gen_chance(8) && !b->asz)
		b->seg = 0x64;
	else if (gen_chance(8))
		b->seg = "\x26\x2e\x36\x3e"[gen_rnd(4)];
	if (gen_chance(70))
		b->rex = (uint8_t)(0x40 | gen_rnd(16));
	/* BSF and BSR of zero: CPUs differ in the upper half of a 32-bit destination. */
	if (f->map == X86_MAP_0F && (f->op == 0xbc || f->op == 0xbd) && !b->opsz)
		b->rex |= 0x48;
}

static unsigned int put_le(uint8_t *p, uint64_t v, unsigned int n)
{
	memcpy(p, &v, n);
	return n;
}

/* Legacy prefixes in any order; a REX byte among them is dead, only one at the end counts. */
static void put_prefixes(struct builder *b, uint8_t *p, unsigned int *n)
{
	const struct form *f = b->f;
	bool mem = b->mem && (f->flags & FM_MODRM);
	unsigned int first = *n, j;
	uint8_t t;

	if (b->seg >= 0)
		p[(*n)++] = (uint8_t)b->seg;
	if (b->opsz)
		p[(*n)++] = 0x66;
	if (b->asz)
		p[(*n)++] = 0x67;
	if (f->flags & FM_STR) {
		if (gen_chance(75))
			p[(*n)++] = gen_chance(50) ? 0xf3 : 0xf2;
	} else if (!(f->flags & FM_NOREP) && gen_chance(4)) {
		p[(*n)++] = gen_chance(50) ? 0xf3 : 0xf2;
	}
	/* Illegal LOCK now and then: the CPU's #UD is the judge. */
	if (mem && (f->flags & FM_LOCK) ? gen_chance(30) : gen_chance(1))
		p[(*n)++] = 0xf0;
	if (f->pfx)
		p[(*n)++] = f->pfx;
	if (*n > first && gen_chance(5))
		p[(*n)++] = (uint8_t)(0x40 | gen_rnd(16));
	for (unsigned int i = *n - first; i > 1; i--) {
		j = gen_rnd(i);
		t = p[first + i - 1];
		p[first + i - 1] = p[first + j];
		p[first + j] = t;
	}
	/* A REX byte that ended up last would count after all. */
	if (*n > first && (p[*n - 1] & 0xf0) == 0x40) {
		t = p[*n - 1];
		p[*n - 1] = p[first];
		p[first] = t;
	}
	if (b->rex)
		p[(*n)++] = b->rex;
}

static void put_imm(struct builder *b, uint8_t *p, unsigned int *n)
{
	const struct form *f = b->f;
	bool op16 = b->opsz && !(b->rex & 8);
	uint64_t v = gen_interesting();

	if (f->flags & FM_COUNT16 && op16)
		v = gen_rnd(17) | (v & 0xe0);
	if (f->flags & FM_IMM8)
		*n += put_le(p + *n, v, 1);
	if (f->flags & FM_IMMZ)
		*n += put_le(p + *n, v, op16 ? 2 : 4);
}

static bool build(struct test_case *c)
{
	struct builder b = { .c = c, .f = &forms[gen_rnd(n_forms)] };
	const struct form *f = b.f;
	unsigned int n = 0, disp_at = 0, reg;
	uint64_t target;
	uint8_t *p = c->bytes;

	memset(c->bytes, 0, sizeof(c->bytes));
	c->undef = f->undef;
	c->two_sources = f->flags & FM_STR && (f->op & 0xfe) == 0xa6;
	c->poke_addr = 0;
	build_regs(&b);
	build_prefix_choice(&b);
	target = pick_target(f);
	b.target_off = target - seg_base(&b);
	if (!can_aim(&b, target))
		return false;
	if (b.asz)
		b.target_off &= UINT32_MAX;
	b.mem = (f->flags & FM_MEM) || gen_chance(80);
	reg = f->ext == 0xff ? gen_rnd(8) : f->ext;
	b.modrm = (uint8_t)(reg << 3);
	if (!build_implicit(&b))
		return false;
	if (f->flags & FM_BITREG && b.mem) {
		unsigned int r = reg | (b.rex & 4 ? 8 : 0);
		unsigned int bits = b.rex & 8 ? 64 : b.opsz ? 16 : 32;
		uint64_t m = bits == 64 ? UINT64_MAX : BIT(bits) - 1;

		c->regs.gpr[r] = (gen_rnd64() & ~m) | ((gen_rnd(2048) - 1024ull) & m);
		b.pinned |= 1u << r;
	}
	if (f->flags & FM_MODRM) {
		if (!b.mem)
			b.modrm = (uint8_t)(0xc0 | (b.modrm & 0x38) | gen_rnd(8));
		else if (!build_ea(&b))
			return false;
	}

	put_prefixes(&b, p, &n);
	if (f->map >= 1)
		p[n++] = 0x0f;
	if (f->map == 2)
		p[n++] = 0x38;
	p[n++] = (uint8_t)(f->op | (f->flags & FM_OPREG ? gen_rnd(8) : 0));
	if (f->flags & FM_MODRM) {
		p[n++] = b.modrm;
		if (b.mem) {
			if (b.has_sib)
				p[n++] = b.sib;
			disp_at = n;
			n += b.disp_len;
		}
	}
	if (f->flags & FM_MOFFS)
		n += put_le(p + n, b.target_off, b.asz ? 4 : 8);
	put_imm(&b, p, &n);
	if (n > 15)
		return false;

	c->len = n;
	c->code = CODE_BASE + (gen_chance(80) ? 128 + gen_rnd(2000) : 4096 - gen_rnd(n + 4));
	if (b.rip_rel)
		b.disp -= (int64_t)(c->code + n);
	if (disp_at)
		put_le(p + disp_at, (uint64_t)b.disp, b.disp_len);
	if (f->flags & FM_JMP && target >= WIN_BASE) {
		c->poke_addr = target;
		c->poke_val = gen_chance(95) ? CODE_BASE + PAD_OFF : 0x8000000000001234ull;
	}
	return true;
}

void gen_case(struct test_case *ret_c)
{
	while (!build(ret_c))
		;
}

void gen_seed(uint64_t seed)
{
	rng_state = seed;
}

unsigned int gen_init(uint64_t thread_fs_base, bool movbe)
{
	fs_base = thread_fs_base;
	add_arith();
	add_moves(movbe);
	add_other();
	add_sse();
	return n_forms <= ARRAY_SIZE(forms) ? n_forms : 0;
}
