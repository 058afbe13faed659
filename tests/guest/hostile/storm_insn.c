/* SPDX-License-Identifier: MIT */
/*
 * Any instruction on any address: in user mode, where nothing can be broken but one's own pages,
 * one at a time by the trap flag, or ended by a watchdog. All registers point at pages that are not
 * memory, so that most encodings with a memory operand end up in the instruction emulator.
 */
#include "hostile.h"

#define SLOT_CODE 0 /* two pages */
#define SLOT_DATA 4
#define SLOT_MMIO 8 /* two pages */
#define USER_PTE (PTE_P | PTE_W | PTE_U)

static void do_user(struct cpu *c, void *arg)
{
	cpu_watchdog(c);
	user_enter(arg);
}

static uint8_t *code_of(struct cpu *c)
{
	return user_page[c->idx][0];
}

/* Pages for one visit. The IOAPIC is read-only here: see storm_mmio(). */
static uint64_t map_user(struct cpu *c)
{
	uint64_t page = pick_mmio(c), next = page + PAGE;

	cpu_map_window(c, SLOT_CODE, (uint64_t)user_page[c->idx][0], USER_PTE);
	cpu_map_window(c, SLOT_CODE + 1, (uint64_t)user_page[c->idx][1], USER_PTE);
	cpu_map_window(c, SLOT_DATA, (uint64_t)user_page[c->idx][2], USER_PTE);
	cpu_map_window(c, SLOT_MMIO, page, page == 0xfec00000 ? PTE_P | PTE_U : USER_PTE);
	/* The page after it: absent, more of the same, or memory, for operands that cross. */
	if (rnd_below(c, 3) == 0)
		cpu_map_window(c, SLOT_MMIO + 1, (uint64_t)user_page[c->idx][3], USER_PTE);
	else if (plat_is_memory(next, PAGE) || next == 0xfec00000 || next == 0xfee00000)
		cpu_map_window(c, SLOT_MMIO + 1, 0, 0);
	else
		cpu_map_window(c, SLOT_MMIO + 1, next, USER_PTE);
	return page;
}

/* An address in the foreign page: aligned, odd, or at the page's end. */
static uint64_t mmio_va(struct cpu *c)
{
	uint64_t va = cpu_window(c, SLOT_MMIO);

	switch (rnd_below(c, 4)) {
	case 0:
		return va + rnd_below(c, PAGE);
	case 1:
		return va + PAGE - 1 - rnd_below(c, 16);
	default:
		return va + (rnd_below(c, PAGE) & ~15ull);
	}
}

static void pick_regs(struct cpu *c, struct uregs *r)
{
	uint64_t *gpr = &r->rax;

	for (unsigned i = 0; i < 15; i++)
		gpr[i] = rnd_below(c, 4) ? mmio_va(c) : rnd_below(c, 64);
	r->rcx = rnd_below(c, 4) ? rnd_below(c, 20) : rnd_value(c);
	if (rnd_below(c, 2))
		r->rax = rnd_value(c);
	r->rsi = rnd_below(c, 3) ? mmio_va(c) : cpu_window(c, SLOT_DATA) + rnd_below(c, PAGE);
	r->rdi = rnd_below(c, 3) ? mmio_va(c) : cpu_window(c, SLOT_DATA) + rnd_below(c, PAGE);
	r->rsp = rnd_below(c, 8) ? cpu_window(c, SLOT_DATA) + PAGE / 2 : mmio_va(c);
	r->rflags = 0x302 | (rnd(c) & 0xcd5); /* TF, IF, arithmetic flags, DF */
}

/* ---- encodings ------------------------------------------------------------------------------- */

static size_t put_prefixes(struct cpu *c, uint8_t *p)
{
	static const uint8_t prefixes[] = { 0x66, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64,
					    0x65, 0x67 };
	size_t n = 0;

	while (n < 6 && rnd_below(c, 3) == 0)
		p[n++] = prefixes[rnd_below(c, ARRAY_SIZE(prefixes))];
	if (rnd_below(c, 3) == 0)
		p[n++] = (uint8_t)(0x40 | (rnd(c) & 15));
	return n;
}

/* Opcode of one of the maps, old or VEX. */
static size_t put_opcode(struct cpu *c, uint8_t *p)
{
	size_t n = 0;

	switch (rnd_below(c, 8)) {
	case 0:
		p[n++] = 0xc5;
		p[n++] = (uint8_t)rnd(c);
		break;
	case 1:
		p[n++] = 0xc4;
		p[n++] = (uint8_t)(0xe0 | rnd_below(c, 4));
		p[n++] = (uint8_t)rnd(c);
		break;
	case 2:
	case 3:
		p[n++] = 0x0f;
		break;
	case 4:
		p[n++] = 0x0f;
		p[n++] = rnd(c) & 1 ? 0x38 : 0x3a;
		break;
	default:
		break;
	}
	p[n++] = (uint8_t)rnd(c);
	return n;
}

/* A memory operand most of the time; small displacements keep it near the page. */
static size_t put_operand(struct cpu *c, uint8_t *p)
{
	uint8_t modrm = (uint8_t)rnd(c);
	size_t n = 0;

	if (rnd_below(c, 6))
		modrm &= 0x7f; /* mod 0 or 1 */
	p[n++] = modrm;
	if ((modrm & 7) == 4 && modrm < 0xc0)
		p[n++] = (uint8_t)(0x20 | (rnd(c) & 0xdf & 7)); /* no index: base alone */
	for (unsigned i = 0; i < 8; i++)
		p[n++] = (uint8_t)(rnd_below(c, 2) ? rnd_below(c, 8) : rnd(c));
	return n;
}

static size_t put_insn(struct cpu *c, uint8_t *p)
{
	size_t n;

	switch (rnd_below(c, 12)) {
	case 0: /* anything at all */
		for (n = 0; n < 15; n++)
			p[n] = (uint8_t)rnd(c);
		return n;
	case 1: { /* accumulator and absolute address */
		uint64_t va = mmio_va(c);

		n = put_prefixes(c, p);
		p[n++] = (uint8_t)(0xa0 | (rnd(c) & 3));
		__builtin_memcpy(p + n, &va, 8);
		return n + 8;
	}
	case 2: /* strings */
		n = put_prefixes(c, p);
		p[n++] = (uint8_t)(0xa4 + rnd_below(c, 12));
		return n;
	default:
		n = put_prefixes(c, p);
		n += put_opcode(c, p + n);
		return n + put_operand(c, p + n);
	}
}

/*
 * Inserts into a 256-bit register do not exist; QEMU's translator, which may be our host, asserts
 * on them instead of raising #UD. They are made 128-bit ones.
 */
static void spare_emulator(uint8_t *p, size_t n)
{
	static const uint8_t inserts[] = { 0xc4, 0x20, 0x21, 0x22 };

	for (size_t i = 0; i + 3 < n; i++) {
		for (size_t k = 0; k < sizeof(inserts); k++) {
			if (p[i] == 0xc5 && p[i + 2] == inserts[k])
				p[i + 1] &= 0xfb;
			if (p[i] == 0xc4 && p[i + 3] == inserts[k])
				p[i + 2] &= 0xfb;
		}
	}
}

static void fill_breakpoints(struct cpu *c)
{
	for (unsigned i = 0; i < 2; i++)
		__builtin_memset(user_page[c->idx][i], 0xcc, PAGE);
}

void storm_insn(struct cpu *c)
{
	struct uregs r;
	uint8_t insn[32];
	size_t n, at;

	(void)map_user(c);
	fill_breakpoints(c);
	n = put_insn(c, insn);
	spare_emulator(insn, n);
	/* Inside a page, or across into the next one. */
	at = rnd_below(c, 8) ? rnd_below(c, PAGE - 64) : PAGE - 1 - rnd_below(c, 14);
	__builtin_memcpy(code_of(c) + at, insn, n);
	pick_regs(c, &r);
	r.rip = cpu_window(c, SLOT_CODE) + at;
	(void)guard(c, do_user, &r);
}

/* ---- running what is not memory -------------------------------------------------------------- */

/* Jump into the foreign page, or run from memory into it. */
void storm_exec(struct cpu *c)
{
	uint64_t page = map_user(c);
	struct uregs r;

	fill_breakpoints(c);
	pick_regs(c, &r);
	if (rnd_below(c, 2)) {
		r.rip = mmio_va(c);
	} else {
		/* The first bytes of a long move at the very end, its rest in the foreign page. */
		static const uint8_t head[] = { 0x48, 0xc7, 0x80, 0x10, 0, 0, 0 };
		size_t n = 1 + rnd_below(c, sizeof(head));

		cpu_map_window(c, SLOT_CODE + 1, page, PTE_P | PTE_U);
		__builtin_memcpy(code_of(c) + PAGE - n, head, n);
		r.rip = cpu_window(c, SLOT_CODE) + PAGE - n;
	}
	(void)guard(c, do_user, &r);
}

/* ---- code that changes while it runs --------------------------------------------------------- */

/*
 * loop: mov rdi, r13; mov rsi, r14; mov ecx, 4; XX XX; dec r12d; jnz loop; int3
 * The two bytes XX are rewritten by the neighbour, and the string forms overwrite them, too.
 */
static const uint8_t smc_code[] = {
	0x4c, 0x89, 0xef, 0x4c, 0x89, 0xf6, 0xb9, 4, 0, 0, 0, 0x8b, 0x07, 0x41, 0xff, 0xcc, 0x75,
	0xee, 0xcc,
};
#define SMC_AT 11
#define SMC_ROUNDS 24

static void smc_patch(struct cpu *c, uint32_t victim)
{
	static const uint16_t pairs[] = {
		0x078b, 0x0789, 0x9090, 0x0b0f, 0x0787, 0x0701, 0x90a5, 0x90ab, 0x90a4, 0xa4f3,
		0x00b0, 0x0f66,
	};

	__atomic_store_n((uint16_t *)(void *)(user_page[victim][0] + SMC_AT + 1),
			 pairs[rnd_below(c, ARRAY_SIZE(pairs))], __ATOMIC_RELAXED);
}

void storm_smc(struct cpu *c)
{
	uint32_t other = c->idx ^ 1;
	struct uregs r;

	/* Half of the time somebody else's code is the target, whatever that one does now. */
	if (rnd_below(c, 2) && other < plat.n_cpus) {
		for (int i = 0; i < 50; i++)
			smc_patch(c, other);
		return;
	}
	(void)map_user(c);
	fill_breakpoints(c);
	/* One byte in, so that the pair is aligned and changes at once. */
	__builtin_memcpy(code_of(c) + 1, smc_code, sizeof(smc_code));
	smc_patch(c, c->idx);
	pick_regs(c, &r);
	r.rip = cpu_window(c, SLOT_CODE) + 1;
	r.rflags = 0x202;
	r.r12 = SMC_ROUNDS;
	/* Sometimes the copy reads the foreign page and writes over the very instruction. */
	r.r13 = rnd_below(c, 3) ? mmio_va(c) : cpu_window(c, SLOT_CODE) + 1 + SMC_AT;
	r.r14 = rnd_below(c, 3) ? mmio_va(c) : cpu_window(c, SLOT_DATA);
	(void)guard(c, do_user, &r);
}
