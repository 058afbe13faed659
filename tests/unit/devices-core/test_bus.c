/* SPDX-License-Identifier: MIT */
#include "bus.h"

#include "unit.h"

#include "missing.h"

#include <errno.h>

/* Remembers the last access; answers with a fixed value and status. */
struct probe {
	struct device dev;
	struct bus_access last;
	uint64_t written, answer;
	enum bus_status status;
	unsigned int reads, writes, resets, destroyed;
	bool was_locked;
};

static struct probe pa, pb;

static void look(struct probe *p, const struct bus_access *a)
{
	p->last = *a;
	p->was_locked = pthread_mutex_trylock(&p->dev.lock) != 0;
	if (!p->was_locked)
		(void)pthread_mutex_unlock(&p->dev.lock);
}

static enum bus_status probe_read(struct device *dev, const struct bus_access *a, uint64_t *ret_val)
{
	struct probe *p = container_of(dev, struct probe, dev);

	look(p, a);
	p->reads++;
	*ret_val = p->answer;
	return p->status;
}

static enum bus_status probe_write(struct device *dev, const struct bus_access *a, uint64_t val)
{
	struct probe *p = container_of(dev, struct probe, dev);

	look(p, a);
	p->writes++;
	p->written = val;
	return p->status;
}

static void probe_reset(struct device *dev)
{
	container_of(dev, struct probe, dev)->resets++;
}

static void probe_destroy(struct device *dev)
{
	container_of(dev, struct probe, dev)->destroyed++;
	device_fini(dev);
}

static const struct device_ops probe_ops = {
	.name = "probe",
	.reset = probe_reset,
	.io_read = probe_read,
	.io_write = probe_write,
	.destroy = probe_destroy,
};

static const struct device_ops lockless_ops = {
	.name = "lockless",
	.flags = DEV_LOCKLESS,
	.io_read = probe_read,
	.io_write = probe_write,
};

static const struct device_ops mute_ops = { .name = "mute" };

static struct bus *make(void)
{
	struct bus *bus;

	pa = (struct probe){ .answer = 0x1122334455667788 };
	pb = pa;
	device_init(&pa.dev, &probe_ops, "a");
	device_init(&pb.dev, &lockless_ops, "b");
	ck_assert_int_eq(bus_create(2, &bus), 0);
	return bus;
}

static uint64_t rd(struct bus *bus, enum bus_space s, uint64_t addr, unsigned int size)
{
	uint64_t val;

	bus_read(bus, s, addr, size, 0, &val);
	return val;
}

START_TEST(create_limits)
{
	struct bus *bus = NULL;

	ck_assert_int_eq(bus_create(0, &bus), -EINVAL);
	ck_assert_int_eq(bus_create(UINT32_MAX, &bus), -EINVAL);
	ck_assert_ptr_null(bus);
	ck_assert_int_eq(bus_create(896, &bus), 0);
	bus_destroy(bus);
	bus_destroy(NULL);
}
END_TEST

START_TEST(claim_rules)
{
	struct bus *bus = make();

	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x100, 0, &pa.dev, 0), -EINVAL);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0xffff, 2, &pa.dev, 0), -EINVAL);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x10000, 1, &pa.dev, 0), -EINVAL);
	ck_assert_int_eq(bus_claim(bus, BUS_MMIO, UINT64_MAX, 2, &pa.dev, 0), -EINVAL);
	ck_assert_int_eq(bus_claim(bus, BUS_MMIO, UINT64_MAX, 1, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0xffff, 1, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x100, 8, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x107, 1, &pb.dev, 0), -EEXIST);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0xff, 2, &pb.dev, 0), -EEXIST);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x80, 0x200, &pb.dev, 0), -EEXIST);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x108, 1, &pb.dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0xff, 1, &pb.dev, 0), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x200, 1, &pb.dev, 0), -EINVAL);
	bus_destroy(bus);
}
END_TEST

START_TEST(claim_count_limit)
{
	struct bus *bus = make();

	for (uint64_t i = 0; i < BUS_CLAIMS_MAX; i++)
		ck_assert_int_eq(bus_claim(bus, BUS_PIO, i * 256, 1, &pa.dev, (uint32_t)i), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0xffff, 1, &pa.dev, 0), -ENOSPC);
	ck_assert_int_eq(bus_freeze(bus), 0);
	for (uint64_t i = 0; i < BUS_CLAIMS_MAX; i++) {
		(void)rd(bus, BUS_PIO, i * 256, 1);
		ck_assert_uint_eq(pa.last.region, i);
		ck_assert_ptr_null(bus_owner(bus, BUS_PIO, i * 256 + 1));
	}
	bus_destroy(bus);
}
END_TEST

START_TEST(nothing_answers_before_freeze)
{
	struct bus *bus = make();

	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x100, 8, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_MMIO, 0x1000, 8, &pa.dev, 0), 0);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x100, 1), 0xff);
	ck_assert_uint_eq(rd(bus, BUS_MMIO, 0x1000, 8), UINT64_MAX);
	ck_assert_uint_eq(pa.reads, 0);
	bus_destroy(bus);
}
END_TEST

START_TEST(access_fields)
{
	struct bus *bus = make();
	uint64_t val;

	ck_assert_int_eq(bus_claim(bus, BUS_MMIO, 0xfed00000, 0x20, &pa.dev, 7), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	bus_read(bus, BUS_MMIO, 0xfed0001f, 8, 5, &val);
	ck_assert_uint_eq(val, 0x1122334455667788);
	ck_assert_int_eq(pa.last.space, BUS_MMIO);
	ck_assert_uint_eq(pa.last.size, 8);
	ck_assert_uint_eq(pa.last.region, 7);
	ck_assert_uint_eq(pa.last.vp, 5);
	ck_assert_uint_eq(pa.last.addr, 0xfed0001f);
	ck_assert_uint_eq(pa.last.off, 0x1f);
	ck_assert_ptr_null(bus_owner(bus, BUS_MMIO, 0xfed00020));
	ck_assert_ptr_null(bus_owner(bus, BUS_MMIO, 0xfecfffff));
	ck_assert_ptr_eq(bus_owner(bus, BUS_MMIO, 0xfed00000), &pa.dev);
	bus_destroy(bus);
}
END_TEST

START_TEST(values_are_cut_to_size)
{
	static const uint64_t want[] = { 0x88, 0x7788, 0x55667788 };
	struct bus *bus = make();

	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x10, 4, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_uint_eq(rd(bus, BUS_PIO, 0x10, 1u << i), want[i]);
		bus_write(bus, BUS_PIO, 0x10, 1u << i, 0, UINT64_MAX);
		ck_assert_uint_eq(pa.written, (1ull << (8u << i)) - 1);
	}
	bus_destroy(bus);
}
END_TEST

START_TEST(first_address_decides)
{
	struct bus *bus = make();

	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x10, 1, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x11, 1, &pb.dev, 0), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	(void)rd(bus, BUS_PIO, 0x10, 4);
	ck_assert_uint_eq(pa.reads, 1);
	ck_assert_uint_eq(pb.reads, 0);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x0f, 4), 0xffffffff);
	ck_assert_uint_eq(pa.reads, 1);
	bus_destroy(bus);
}
END_TEST

START_TEST(bad_answer_reads_all_ones)
{
	struct bus *bus = make();
	struct bus_counts n;

	pa.status = BUS_BAD;
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x10, 4, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x10, 1), 0xff);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x10, 2), 0xffff);
	bus_write(bus, BUS_PIO, 0x10, 4, 0, 0);
	bus_stats(bus, &n);
	ck_assert_uint_eq(n.bad, 3);
	ck_assert_uint_eq(atomic_load(&pa.dev.count.bad), 3);
	bus_destroy(bus);
}
END_TEST

START_TEST(odd_sizes)
{
	struct bus *bus = make();
	struct bus_counts n;

	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x10, 4, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_MMIO, 0x10, 4, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x10, 0), 0);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x10, 3), 0xffffff);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x10, 8), UINT64_MAX);
	ck_assert_uint_eq(rd(bus, BUS_MMIO, 0x10, 16), UINT64_MAX);
	bus_write(bus, BUS_MMIO, 0x10, 5, 0, 1);
	ck_assert_uint_eq(pa.reads + pa.writes, 0);
	ck_assert_uint_eq(rd(bus, BUS_MMIO, 0x10, 8), pa.answer);
	bus_stats(bus, &n);
	ck_assert_uint_eq(n.bad, 5);
	bus_destroy(bus);
}
END_TEST

START_TEST(missing_operations_are_bad)
{
	struct bus *bus = make();
	struct device mute;

	device_init(&mute, &mute_ops, "mute");
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x10, 1, &mute, 0), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x10, 1), 0xff);
	bus_write(bus, BUS_PIO, 0x10, 1, 0, 0);
	ck_assert_uint_eq(atomic_load(&mute.count.bad), 2);
	device_reset(&mute);
	device_destroy(&mute);
	device_destroy(NULL);
	bus_destroy(bus);
}
END_TEST

START_TEST(lock_is_held_unless_lockless)
{
	struct bus *bus = make();

	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x10, 1, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x20, 1, &pb.dev, 0), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	(void)rd(bus, BUS_PIO, 0x10, 1);
	ck_assert(pa.was_locked);
	(void)rd(bus, BUS_PIO, 0x20, 1);
	ck_assert(!pb.was_locked);
	bus_write(bus, BUS_PIO, 0x10, 1, 0, 0);
	ck_assert(pa.was_locked);
	bus_write(bus, BUS_PIO, 0x20, 1, 0, 0);
	ck_assert(!pb.was_locked);
	device_reset(&pa.dev);
	ck_assert_uint_eq(pa.resets, 1);
	device_destroy(&pa.dev);
	ck_assert_uint_eq(pa.destroyed, 1);
	bus_destroy(bus);
}
END_TEST

START_TEST(counters)
{
	struct bus *bus = make();
	struct bus_counts n;
	uint64_t val;

	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x10, 1, &pa.dev, 0), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	for (uint32_t vp = 0; vp < 4; vp++) { /* 2 and 3 have no counters of their own */
		bus_read(bus, BUS_PIO, 0x10, 1, vp, &val);
		bus_write(bus, BUS_PIO, 0x11, 1, vp, 0);
		bus_read(bus, BUS_MMIO, 0x10, 4, vp, &val);
	}
	bus_read(bus, BUS_PIO, 0x10000, 1, UINT32_MAX, &val);
	ck_assert_uint_eq(val, 0xff);
	bus_stats(bus, &n);
	ck_assert_uint_eq(n.reads[BUS_PIO], 5);
	ck_assert_uint_eq(n.writes[BUS_PIO], 4);
	ck_assert_uint_eq(n.unclaimed[BUS_PIO], 5);
	ck_assert_uint_eq(n.reads[BUS_MMIO], 4);
	ck_assert_uint_eq(n.unclaimed[BUS_MMIO], 4);
	ck_assert_uint_eq(n.bad, 0);
	ck_assert_uint_eq(atomic_load(&pa.dev.count.reads), 4);
	bus_destroy(bus);
}
END_TEST

START_TEST(lookup_agrees_with_search)
{
	static struct probe many[64];
	struct bus *bus = make();
	uint64_t base[64];

	/* Claims of 1..16 bytes in scattered order, some touching. */
	for (unsigned int i = 0; i < 64; i++) {
		unsigned int slot = i * 37 % 64;

		base[slot] = 0x4f0 + slot * 16;
		device_init(&many[slot].dev, &lockless_ops, "m");
		ck_assert_int_eq(bus_claim(bus, BUS_PIO, base[slot], 1 + slot % 16,
					   &many[slot].dev, 0), 0);
		ck_assert_int_eq(bus_claim(bus, BUS_MMIO, base[slot], 1 + slot % 16,
					   &many[slot].dev, 0), 0);
	}
	ck_assert_int_eq(bus_freeze(bus), 0);
	for (uint64_t a = 0; a < 0x2000; a++) {
		struct device *want = NULL;

		for (unsigned int i = 0; i < 64; i++)
			if (a >= base[i] && a - base[i] < 1 + i % 16)
				want = &many[i].dev;
		ck_assert_ptr_eq(bus_owner(bus, BUS_PIO, a), want);
		ck_assert_ptr_eq(bus_owner(bus, BUS_MMIO, a), want);
	}
	bus_destroy(bus);
}
END_TEST

START_TEST(missing_stub)
{
	struct bus *bus = make();
	struct device *dev;
	struct bus_counts n;

	ck_assert_int_eq(missing_create("gone", &dev), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0xed, 1, dev, 0), 0);
	ck_assert_int_eq(bus_claim(bus, BUS_PIO, 0x201, 1, dev, 1), 0);
	ck_assert_int_eq(bus_freeze(bus), 0);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0xed, 1), 0xff);
	ck_assert_uint_eq(rd(bus, BUS_PIO, 0x201, 4), 0xffffffff);
	bus_write(bus, BUS_PIO, 0xed, 2, 0, 0);
	bus_stats(bus, &n);
	ck_assert_uint_eq(n.bad + n.unclaimed[BUS_PIO], 0);
	bus_destroy(bus);
	device_destroy(dev);
}
END_TEST

UNIT_MAIN("core/bus", create_limits, claim_rules, claim_count_limit, nothing_answers_before_freeze,
	  access_fields, values_are_cut_to_size, first_address_decides, bad_answer_reads_all_ones,
	  odd_sizes, missing_operations_are_bad, lock_is_held_unless_lockless, counters,
	  lookup_agrees_with_search, missing_stub)
