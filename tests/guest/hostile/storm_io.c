/* SPDX-License-Identifier: MIT */
/* Port and memory-mapped I/O of every size, with plain and string instructions. */
#include "hostile.h"

/* ---- ports ----------------------------------------------------------------------------------- */

struct pio {
	uint16_t port;
	uint8_t size;
	bool write, string, rep, down;
	uint32_t val;
	uint64_t count;
	uint8_t *buf;
};

/*
 * Ports that end or reset the machine, as on any PC, and the transmitter of our own console.
 * 0x400: the sleep control and reset registers of the power management block.
 */
static bool write_is_safe(uint16_t port, unsigned size)
{
	static const struct {
		uint16_t first, last;
	} deadly[] = { { 0x60, 0x64 }, { 0x92, 0x92 }, { 0xcf9, 0xcf9 }, { 0x404, 0x405 },
		       { 0x433, 0x433 }, { 0x3f8, 0x3f8 } };

	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
		if (port <= deadly[i].last && port + size > deadly[i].first)
			return port == 0xcf8 && size == 4;
	}
	return true;
}

static uint16_t pick_port(struct cpu *c)
{
	static const uint16_t bases[] = {
		0x20, 0xa0, 0x40, 0x61, 0x70, 0x3f8, 0x2f8, 0x3e8, 0x2e8, 0x400, 0x408, 0x40c,
		0x420, 0x430, 0xcf8, 0xcfc, 0x80, 0xed, 0x22, 0x28, 0x30, 0x4d0, 0x1f0, 0xf5, 0xf6,
		0xf7, 0x1040, 0x1044, 0x5658, 0xfffc, 0xffff,
	};

	if (rnd_below(c, 2))
		return (uint16_t)rnd(c);
	return (uint16_t)(bases[rnd_below(c, ARRAY_SIZE(bases))] + rnd_below(c, 8));
}

static void plain_pio(const struct pio *p)
{
	uint32_t val = p->val;

	if (p->write && p->size == 1)
		__asm__ volatile("outb %b0, %w1" : : "a"(val), "d"(p->port));
	else if (p->write && p->size == 2)
		__asm__ volatile("outw %w0, %w1" : : "a"(val), "d"(p->port));
	else if (p->write)
		__asm__ volatile("outl %0, %w1" : : "a"(val), "d"(p->port));
	else if (p->size == 1)
		__asm__ volatile("inb %w1, %b0" : "=a"(val) : "d"(p->port));
	else if (p->size == 2)
		__asm__ volatile("inw %w1, %w0" : "=a"(val) : "d"(p->port));
	else
		__asm__ volatile("inl %w1, %0" : "=a"(val) : "d"(p->port));
}

#define STRING_IO(insn)                                                                         \
	do {                                                                                    \
		if (p->rep)                                                                     \
			__asm__ volatile("rep " insn : "+S"(s), "+D"(d), "+c"(n) : "d"(p->port) \
					 : "memory");                                           \
		else                                                                            \
			__asm__ volatile(insn : "+S"(s), "+D"(d) : "d"(p->port) : "memory");    \
	} while (0)

static void string_pio(const struct pio *p)
{
	uint8_t *s = p->buf, *d = p->buf;
	uint64_t n = p->count;

	if (p->down)
		__asm__ volatile("std");
	if (p->write && p->size == 1)
		STRING_IO("outsb");
	else if (p->write && p->size == 2)
		STRING_IO("outsw");
	else if (p->write)
		STRING_IO("outsl");
	else if (p->size == 1)
		STRING_IO("insb");
	else if (p->size == 2)
		STRING_IO("insw");
	else
		STRING_IO("insl");
	__asm__ volatile("cld");
}

static void do_pio(struct cpu *c, void *arg)
{
	const struct pio *p = arg;

	(void)c;
	if (p->string)
		string_pio(p);
	else
		plain_pio(p);
}

/* A buffer in the window: sometimes its end is the end of what is mapped. */
static uint8_t *pick_buffer(struct cpu *c, bool down)
{
	cpu_map_window(c, 16, (uint64_t)user_page[c->idx][2], PTE_P | PTE_W | PTE_U);
	cpu_map_window(c, 17, 0, 0);
	if (down)
		return (uint8_t *)(cpu_window(c, 16) + rnd_below(c, PAGE - 4));
	return (uint8_t *)(cpu_window(c, 16) + PAGE - rnd_below(c, 128));
}

void storm_pio(struct cpu *c)
{
	struct pio p = {
		.port = pick_port(c), .size = (uint8_t)(1u << rnd_below(c, 3)),
		.write = rnd(c) & 0x100, .string = rnd_below(c, 3) == 0, .rep = rnd(c) & 0x100,
		.down = rnd_below(c, 4) == 0, .val = (uint32_t)rnd_value(c),
	};

	if (p.write && !write_is_safe(p.port, p.size))
		p.write = false;
	p.count = rnd_below(c, 8) ? rnd_below(c, 40) : rnd_below(c, 2000);
	p.buf = pick_buffer(c, p.down);
	(void)guard(c, do_pio, &p);
	__asm__ volatile("cld");
}

/* ---- memory ---------------------------------------------------------------------------------- */

struct mmio {
	uint64_t va, val, scratch;
	uint64_t count;
	unsigned op;
};

#define MMIO_OPS 26

static void mmio_plain(const struct mmio *m)
{
	uint64_t val = m->val;

	switch (m->op) {
	case 0:
		__asm__ volatile("movb (%1), %b0" : "+q"(val) : "r"(m->va) : "memory");
		break;
	case 1:
		__asm__ volatile("movw (%1), %w0" : "+r"(val) : "r"(m->va) : "memory");
		break;
	case 2:
		__asm__ volatile("movl (%1), %k0" : "+r"(val) : "r"(m->va) : "memory");
		break;
	case 3:
		__asm__ volatile("movq (%1), %0" : "+r"(val) : "r"(m->va) : "memory");
		break;
	case 4:
		__asm__ volatile("movb %b0, (%1)" : : "q"(val), "r"(m->va) : "memory");
		break;
	case 5:
		__asm__ volatile("movw %w0, (%1)" : : "r"(val), "r"(m->va) : "memory");
		break;
	case 6:
		__asm__ volatile("movl %k0, (%1)" : : "r"(val), "r"(m->va) : "memory");
		break;
	case 7:
		__asm__ volatile("movq %0, (%1)" : : "r"(val), "r"(m->va) : "memory");
		break;
	case 8:
		__asm__ volatile("movl $0x12345678, (%0)" : : "r"(m->va) : "memory");
		break;
	case 9:
		__asm__ volatile("movzbl (%1), %k0" : "+r"(val) : "r"(m->va) : "memory");
		break;
	case 10:
		__asm__ volatile("movswq (%1), %0" : "+r"(val) : "r"(m->va) : "memory");
		break;
	default:
		__asm__ volatile("movslq (%1), %0" : "+r"(val) : "r"(m->va) : "memory");
		break;
	}
}

static void mmio_modify(const struct mmio *m)
{
	uint64_t val = m->val, acc = m->scratch;

	switch (m->op) {
	case 12:
		__asm__ volatile("xchgl %k0, (%1)" : "+r"(val) : "r"(m->va) : "memory");
		break;
	case 13:
		__asm__ volatile("lock xaddl %k0, (%1)" : "+r"(val) : "r"(m->va) : "memory", "cc");
		break;
	case 14:
		__asm__ volatile("lock cmpxchgl %k2, (%1)" : "+a"(acc) : "r"(m->va), "r"(val)
				 : "memory", "cc");
		break;
	case 15:
		__asm__ volatile("lock orl %k0, (%1)" : : "r"(val), "r"(m->va) : "memory", "cc");
		break;
	case 16:
		__asm__ volatile("addb %b0, (%1)" : : "q"(val), "r"(m->va) : "memory", "cc");
		break;
	case 17:
		__asm__ volatile("lock btsl $5, (%0)" : : "r"(m->va) : "memory", "cc");
		break;
	case 18:
		__asm__ volatile("testl $0x80, (%0)" : : "r"(m->va) : "memory", "cc");
		break;
	case 19:
		__asm__ volatile("cmpw %w0, (%1)" : : "r"(val), "r"(m->va) : "memory", "cc");
		break;
	case 20:
		__asm__ volatile("pushq (%0); popq (%0)" : : "r"(m->va) : "memory");
		break;
	default:
		__asm__ volatile("notl (%0)" : : "r"(m->va) : "memory");
		break;
	}
}

static void mmio_string(const struct mmio *m)
{
	uint64_t d = m->va, s = m->scratch, n = m->count;

	switch (m->op) {
	case 22:
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
		break;
	case 23:
		__asm__ volatile("rep movsl" : "+D"(s), "+S"(d), "+c"(n) : : "memory");
		break;
	case 24:
		__asm__ volatile("rep stosq" : "+D"(d), "+c"(n) : "a"(m->val) : "memory");
		break;
	default:
		__asm__ volatile("repne scasb" : "+D"(d), "+c"(n) : "a"(m->val) : "memory", "cc");
		break;
	}
}

static void do_mmio(struct cpu *c, void *arg)
{
	const struct mmio *m = arg;

	(void)c;
	if (m->op < 12)
		mmio_plain(m);
	else if (m->op < 22)
		mmio_modify(m);
	else
		mmio_string(m);
}

/*
 * The IOAPIC is told from other pages: a random entry could send an INIT. Here it gets its index
 * register only; entries are written, with harmless delivery modes, by storm_irq().
 */
void storm_mmio(struct cpu *c)
{
	uint64_t page = pick_mmio(c);
	bool ioapic = page == 0xfec00000;
	struct mmio m = {
		.val = rnd_value(c), .count = rnd_below(c, 24),
		.op = (unsigned)rnd_below(c, ioapic ? 12 : MMIO_OPS),
	};
	uint64_t off = ioapic ? rnd_below(c, 4) : rnd_below(c, PAGE);

	if (!ioapic && rnd_below(c, 2))
		off &= ~7ull;
	cpu_map_window(c, 8, page, PTE_P | PTE_W | PTE_U);
	cpu_map_window(c, 9, page + PAGE, plat_is_memory(page + PAGE, PAGE) ||
						     page + PAGE == 0xfec00000 ||
						     page + PAGE == 0xfee00000 ? 0 :
						     PTE_P | PTE_W | PTE_U);
	cpu_map_window(c, 16, (uint64_t)user_page[c->idx][2], PTE_P | PTE_W | PTE_U);
	m.va = cpu_window(c, 8) + off;
	m.scratch = cpu_window(c, 16) + rnd_below(c, PAGE);
	(void)guard(c, do_mmio, &m);
}
