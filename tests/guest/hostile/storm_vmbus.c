/* SPDX-License-Identifier: MIT */
/*
 * A VMBus client without manners: messages that mean something in an order that does not, from all
 * processors, over rings that they all write to meanwhile.
 */
#include "hostile.h"

#define MSR_SCONTROL 0x40000080
#define MSR_SIEFP 0x40000082
#define MSR_SIMP 0x40000083
#define MSR_EOM 0x40000084
#define MSR_SINT2 0x40000092
#define SINT_POLLING (1u << 18) /* flags and messages come, interrupts do not */
#define SINT 2

#define CALL_POST 0x5c
#define CALL_SIGNAL (0x5d | 1u << 16)
#define PAYLOAD 240
#define SMALL_IDS 9 /* channels and GPADLs: 0..8, of which some exist */

struct post {
	uint32_t connection, rsvd, type, size;
	uint8_t payload[PAYLOAD];
};

enum { CONTACT = 14, REQUEST_OFFERS = 3, OPEN = 5, GPADL_HEADER = 8, GPADL_BODY = 9, LAST = 29 };

static void put32(uint8_t *p, unsigned off, uint32_t val)
{
	__builtin_memcpy(p + off, &val, 4);
}

static void put64(uint8_t *p, unsigned off, uint64_t val)
{
	__builtin_memcpy(p + off, &val, 8);
}

static uint64_t page_number(struct cpu *c)
{
	return (uint64_t)spare_page[rnd_below(c, ARRAY_SIZE(spare_page))] / PAGE;
}

static uint32_t put_contact(struct cpu *c, uint8_t *p)
{
	static const uint32_t versions[] = { 0xd,     0x10001, 0x20004, 0x30000, 0x40000, 0x40001,
					     0x50000, 0x50001, 0x50002, 0x50003, 0x60000, 0x70000 };

	put32(p, 8, versions[rnd_below(c, ARRAY_SIZE(versions))]);
	put32(p, 12, (uint32_t)rnd_below(c, plat.n_cpus + 1));
	p[16] = rnd_below(c, 8) ? SINT : (uint8_t)rnd(c);
	p[17] = rnd_below(c, 8) ? 0 : (uint8_t)rnd_below(c, 3);
	put32(p, 20, (uint32_t)rnd(c) & 0x3f);
	put64(p, 24, rnd_below(c, 8) ? 0x1000 : 0);
	put64(p, 32, rnd_below(c, 8) ? 0x2000 : 0);
	return 56;
}

/* Four to seven pages, as for two rings; now and then the length lies. */
static uint32_t put_gpadl(struct cpu *c, uint8_t *p)
{
	uint32_t pages = 4 + (uint32_t)rnd_below(c, 4);

	put32(p, 16, 8 * (pages + 1) | 1u << 16);
	put64(p, 20, pages * PAGE);
	for (uint32_t i = 0; i < pages; i++)
		put64(p, 28 + 8 * i, rnd_below(c, 32) ? page_number(c) : pick_gpa(c) / PAGE);
	return 20 + 8 * (rnd_below(c, 8) ? pages + 1 : (uint32_t)rnd_below(c, 27));
}

/* A message of some type with small ids where ids belong. Returns its length. */
static uint32_t put_message(struct cpu *c, uint8_t *p)
{
	static const uint8_t favourites[] = {
		CONTACT, REQUEST_OFFERS, GPADL_HEADER, GPADL_HEADER, OPEN, OPEN, 7, 11, 13, 22
	};
	uint32_t type = rnd_below(c, 4) ? favourites[rnd_below(c, ARRAY_SIZE(favourites))]
					: (uint32_t)rnd_below(c, LAST + 2);

	for (unsigned i = 8; i < PAYLOAD; i += 4)
		put32(p, i, (uint32_t)rnd_below(c, SMALL_IDS));
	put64(p, 0, type);
	switch (type) {
	case CONTACT:
		return put_contact(c, p);
	case GPADL_HEADER:
		return put_gpadl(c, p);
	case OPEN: /* channel, open id, GPADL, processor, first page of the second ring */
		put32(p, 20, (uint32_t)rnd_below(c, plat.n_cpus + 1));
		put32(p, 24, 2 + (uint32_t)rnd_below(c, 3));
		return rnd_below(c, 2) ? 148 : 156;
	case GPADL_BODY:
		return 16 + 8 * (uint32_t)rnd_below(c, 29);
	default:
		return rnd_below(c, 4) ? 56 : 8 + (uint32_t)rnd_below(c, PAYLOAD - 7);
	}
}

static void do_call(struct cpu *c, void *arg)
{
	(void)c;
	(void)hc_call(arg);
}

static void post(struct cpu *c)
{
	struct post *m = (struct post *)(void *)spare_page[rnd_below(c, ARRAY_SIZE(spare_page))];
	struct hcregs r = { .rcx = CALL_POST, .rdx = (uint64_t)m, .target = (uint64_t)hc_page };

	m->connection = rnd_below(c, 16) ? (rnd(c) & 0x100 ? 4 : 1) : (uint32_t)rnd_value(c);
	m->rsvd = 0;
	m->type = rnd_below(c, 32) ? 1 : (uint32_t)rnd(c);
	m->size = put_message(c, m->payload);
	(void)guard(c, do_call, &r);
}

static void ring(struct cpu *c)
{
	struct hcregs r = { .rcx = CALL_SIGNAL, .target = (uint64_t)hc_page };

	r.rdx = rnd_below(c, 16) ? 0x2000 + rnd_below(c, SMALL_IDS) : rnd_value(c);
	(void)guard(c, do_call, &r);
}

/* Where this processor's messages and flags go. The other storms use the pages, too. */
static uint8_t *own_page(const struct cpu *c, unsigned which)
{
	return spare_page[(2 * c->idx + which) % ARRAY_SIZE(spare_page)];
}

static void do_listen(struct cpu *c, void *arg)
{
	(void)arg;
	wrmsr(MSR_SIMP, (uint64_t)own_page(c, 0) | 1);
	wrmsr(MSR_SIEFP, (uint64_t)own_page(c, 1) | 1);
	wrmsr(MSR_SINT2, SINT_POLLING | 0x31);
	wrmsr(MSR_SCONTROL, 1);
}

static void do_take(struct cpu *c, void *arg)
{
	(void)arg;
	*(volatile uint32_t *)(void *)(own_page(c, 0) + SINT * 256) = 0;
	wrmsr(MSR_EOM, 0);
}

/* Plausible indices and packet headers somewhere in the pages that may be rings. */
static void scribble(struct cpu *c)
{
	uint8_t *page = spare_page[rnd_below(c, ARRAY_SIZE(spare_page))];

	put32(page, 4 * (unsigned)rnd_below(c, 4), (uint32_t)rnd_below(c, 3 * PAGE) & ~7u);
	put64(page, 8 * (unsigned)rnd_below(c, 32),
	      (6 + rnd_below(c, 6)) | (2 + rnd_below(c, 3)) << 16 | rnd_below(c, 40) << 32 |
		      (rnd(c) & 1) << 48);
}

void storm_vmbus(struct cpu *c)
{
	if (!plat.hyperv)
		return;
	switch (rnd_below(c, 8)) {
	case 0:
		(void)guard(c, rnd_below(c, 4) ? do_take : do_listen, NULL);
		break;
	case 1:
	case 2:
		ring(c);
		break;
	case 3:
		scribble(c);
		break;
	default:
		post(c);
		break;
	}
}
