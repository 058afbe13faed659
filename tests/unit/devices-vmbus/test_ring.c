/* SPDX-License-Identifier: MIT */
#include "le.h"
#include "pipe.h"
#include "ring.h"
#include "vmbus_proto.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "unit.h"

#define PAGES 2
#define SIZE (PAGES * KEEL_PAGE_SIZE)

/* One ring in memory: control page, then data pages handed over in reverse to prove that they need
 * not be neighbours. */
struct shared {
	_Alignas(KEEL_PAGE_SIZE) uint8_t ctl[KEEL_PAGE_SIZE];
	uint8_t data[PAGES][KEEL_PAGE_SIZE];
	void *pages[PAGES];
};

static struct shared sh;

static struct ring_mem mem_make(void)
{
	memset(&sh, 0, sizeof(sh));
	for (int i = 0; i < PAGES; i++)
		sh.pages[i] = sh.data[PAGES - 1 - i];
	return (struct ring_mem){ .ctl = sh.ctl, .pages = sh.pages, .n_pages = PAGES };
}

/* Byte at ring offset off. */
static uint8_t *ring_byte(uint32_t off)
{
	return sh.data[PAGES - 1 - off / KEEL_PAGE_SIZE] + off % KEEL_PAGE_SIZE;
}

static uint32_t ctl(unsigned off)
{
	return le32_load(sh.ctl + off);
}

static void set_ctl(unsigned off, uint32_t val)
{
	le32_store(sh.ctl + off, val);
}

static struct ring_out ro;
static struct ring_in ri;

static void both_ends(void)
{
	struct ring_mem mem = mem_make();

	ck_assert_int_eq(ring_out_init(&ro, &mem), 0);
	ck_assert_int_eq(ring_in_init(&ri, &mem), 0);
}

static int put(const void *buf, size_t len, uint64_t txid)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };

	return ring_put(&ro, VMPKT_INBAND, false, txid, &iov, 1);
}

static int get(void *buf, size_t cap, struct ring_pkt *pkt)
{
	struct iovec iov = { buf, cap };

	return ring_get(&ri, pkt, &iov, 1);
}

static bool commit_out(void)
{
	bool signal;

	ck_assert_int_eq(ring_out_commit(&ro, &signal), 0);
	return signal;
}

static bool commit_in(void)
{
	bool signal;

	ck_assert_int_eq(ring_in_commit(&ri, &signal), 0);
	return signal;
}

START_TEST(packet_bytes)
{
	static const uint8_t want[] = {
		6,   0,	  2,   0, 3, 0, 0, 0, /* in-band, data at 2, length 3 (x8), no flags */
		8,   7,	  6,   5, 4, 3, 2, 1, /* transaction id */
		'a', 'b', 'c', 0, 0, 0, 0, 0, /* padded */
		0,   0,	  0,   0, 0, 0, 0, 0, /* trailer: where the packet began */
	};

	both_ends();
	ck_assert_uint_eq(ctl(VMRING_FEATURES), 1);
	ck_assert_uint_eq(ctl(VMRING_INTERRUPT_MASK), 1);
	ck_assert_int_eq(put("abc", 3, 0x0102030405060708), 0);
	ck_assert_uint_eq(ctl(VMRING_IN), 0); /* not published yet */
	commit_out();
	ck_assert_uint_eq(ctl(VMRING_IN), sizeof(want));
	for (uint32_t i = 0; i < sizeof(want); i++)
		ck_assert_uint_eq(*ring_byte(i), want[i]);
	ck_assert_int_eq(put("d", 1, 0), 0);
	/* the second trailer names the second packet's start in its high half */
	ck_assert_uint_eq(le32_load(ring_byte(32 + 24 + 4)), 32);
}
END_TEST

START_TEST(packets_survive_the_wrap)
{
	uint8_t buf[600], back[600 + 8];
	struct ring_pkt pkt;

	both_ends();
	for (unsigned round = 0; round < 200; round++) {
		size_t len = 1 + round * 37 % sizeof(buf);

		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)(round + i);
		ck_assert_int_eq(put(buf, len, round), 0);
		commit_out();
		memset(back, 0xee, sizeof(back));
		ck_assert_int_eq(get(back, sizeof(back), &pkt), 0);
		ck_assert_uint_eq(pkt.txid, round);
		ck_assert_uint_eq(pkt.len, (len + 7) / 8 * 8);
		ck_assert_mem_eq(back, buf, len);
		ck_assert_uint_eq(back[pkt.len], 0xee);
		commit_in();
	}
	ck_assert_int_eq(get(back, sizeof(back), &pkt), -EAGAIN);
}
END_TEST

START_TEST(never_fills_completely)
{
	uint8_t buf[8] = { 0 };
	unsigned n = 0;

	both_ends();
	while (put(buf, sizeof(buf), 0) == 0)
		n++;
	/* 32 bytes each; one word stays free, so in never meets out */
	ck_assert_uint_eq(n, (SIZE - 8) / 32);
	ck_assert_int_eq(put(buf, sizeof(buf), 0), -EAGAIN);
	ck_assert_int_eq(put(buf, SIZE, 0), -EMSGSIZE);
	commit_out();
	ck_assert_uint_ne(ctl(VMRING_IN), ctl(VMRING_OUT));
	ck_assert_int_eq(ring_out_used(&ro), n * 32);
}
END_TEST

START_TEST(largest_packet)
{
	static uint8_t buf[SIZE];

	both_ends();
	ck_assert_int_eq(put(buf, SIZE - 8 - 24 + 1, 0), -EMSGSIZE);
	ck_assert_int_eq(put(buf, SIZE - 8 - 24, 0), 0);
}
END_TEST

START_TEST(signals_only_on_empty_and_unmasked)
{
	uint8_t buf[64];
	struct ring_pkt pkt;

	both_ends();
	ck_assert_int_eq(put("x", 1, 0), 0);
	ck_assert(!commit_out()); /* masked */
	ck_assert_int_eq(ring_in_arm(&ri), 1); /* but there is data */
	ck_assert_int_eq(put("x", 1, 0), 0);
	ck_assert(!commit_out()); /* was not empty */
	ck_assert_int_eq(get(buf, sizeof(buf), &pkt), 0);
	ck_assert_int_eq(get(buf, sizeof(buf), &pkt), 0);
	commit_in();
	ck_assert_int_eq(ring_in_arm(&ri), 0);
	ck_assert(!commit_out()); /* nothing put */
	ck_assert_int_eq(put("x", 1, 0), 0);
	ck_assert_int_eq(put("y", 1, 0), 0);
	ck_assert(commit_out()); /* one signal for the batch */
	ck_assert_int_eq(ring_in_mask(&ri), 0);
	ck_assert_uint_eq(ctl(VMRING_INTERRUPT_MASK), 1);
}
END_TEST

START_TEST(space_signal_once_when_the_wish_is_met)
{
	uint8_t buf[1024] = { 0 };
	struct ring_pkt pkt;
	unsigned n = 0, signals = 0;

	both_ends();
	while (put(buf, 1000, 0) == 0)
		n++;
	commit_out();
	ck_assert_int_eq(ring_out_want(&ro, 1000), 0);
	ck_assert_uint_ge(ctl(VMRING_PENDING_SEND), 1024);
	ck_assert_uint_eq(ctl(VMRING_PENDING_SEND) % 8, 0);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(get(buf, sizeof(buf), &pkt), 0);
		signals += commit_in();
	}
	ck_assert_uint_eq(signals, 1);
	ck_assert_int_eq(put(buf, 1000, 0), 0);
	ck_assert_uint_eq(ctl(VMRING_PENDING_SEND), 0); /* the wish is withdrawn */
	commit_out();
	ck_assert_int_eq(ring_out_want(&ro, 8), 1); /* fits already */
}
END_TEST

START_TEST(hostile_indices_fail_the_ring)
{
	static const uint32_t bad[] = { SIZE, SIZE + 8, 4, 7, UINT32_MAX, 0x80000000 };
	uint8_t buf[64];
	struct ring_pkt pkt;
	bool signal;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		both_ends();
		set_ctl(VMRING_IN, bad[i]);
		ck_assert_int_eq(get(buf, sizeof(buf), &pkt), -EBADMSG);
		set_ctl(VMRING_IN, 0); /* failed stays failed */
		ck_assert_int_eq(get(buf, sizeof(buf), &pkt), -EBADMSG);
		ck_assert_int_eq(ring_in_arm(&ri), -EBADMSG);
		ck_assert_int_eq(ring_in_commit(&ri, &signal), -EBADMSG);

		both_ends();
		set_ctl(VMRING_OUT, bad[i]);
		ck_assert_int_eq(put("x", 1, 0), 0); /* room is known: nobody looks */
		ck_assert_int_eq(ring_out_commit(&ro, &signal), -EBADMSG);
		set_ctl(VMRING_OUT, 0);
		ck_assert_int_eq(put("x", 1, 0), -EBADMSG);
		ck_assert_int_eq(ring_out_commit(&ro, &signal), -EBADMSG);
	}
}
END_TEST

START_TEST(peer_that_reads_ahead_fails_the_ring)
{
	bool signal;

	both_ends();
	set_ctl(VMRING_OUT, 64); /* half of that was written */
	ck_assert_int_eq(put("x", 1, 0), 0);
	ck_assert_int_eq(ring_out_commit(&ro, &signal), -EBADMSG);
	ck_assert_int_eq(put("x", 1, 0), -EBADMSG);
}
END_TEST

START_TEST(init_refuses_bad_indices_and_sizes)
{
	struct ring_mem mem = mem_make();

	set_ctl(VMRING_IN, SIZE);
	ck_assert_int_eq(ring_out_init(&ro, &mem), -EBADMSG);
	mem = mem_make();
	set_ctl(VMRING_OUT, 12);
	ck_assert_int_eq(ring_in_init(&ri, &mem), -EBADMSG);
	mem = mem_make();
	mem.n_pages = 0;
	ck_assert_int_eq(ring_in_init(&ri, &mem), -EINVAL);
	mem.n_pages = RING_MAX_PAGES + 1;
	ck_assert_int_eq(ring_out_init(&ro, &mem), -EINVAL);
}
END_TEST

/* A packet header as a hostile producer writes it, with so many bytes published. */
static int get_raw(uint16_t type, uint16_t data_off8, uint16_t len8, uint16_t flags, uint32_t in)
{
	uint8_t buf[256];
	struct ring_pkt pkt;

	both_ends();
	le16_store(ring_byte(0), type);
	le16_store(ring_byte(2), data_off8);
	le16_store(ring_byte(4), len8);
	le16_store(ring_byte(6), flags);
	set_ctl(VMRING_IN, in);
	return get(buf, sizeof(buf), &pkt);
}

START_TEST(hostile_packet_headers)
{
	ck_assert_int_eq(get_raw(6, 2, 3, 0, 32), 0);
	ck_assert_int_eq(get_raw(6, 2, 3, 1, 32), 0);
	ck_assert_int_eq(get_raw(6, 2, 3, 0, 24), -EBADMSG); /* the trailer is missing */
	ck_assert_int_eq(get_raw(6, 2, 3, 0, 8), -EBADMSG); /* half a header */
	ck_assert_int_eq(get_raw(6, 1, 3, 0, 32), -EBADMSG); /* data inside the header */
	ck_assert_int_eq(get_raw(6, 4, 3, 0, 32), -EBADMSG); /* data after the end */
	ck_assert_int_eq(get_raw(6, 2, 0xffff, 0, 32), -EBADMSG);
	ck_assert_int_eq(get_raw(6, 2, 0, 0, 32), -EBADMSG);
	ck_assert_int_eq(get_raw(6, 2, 3, 2, 32), -EBADMSG); /* unknown flag */
	ck_assert_int_eq(get_raw(0, 2, 3, 0, 32), -EBADMSG); /* unknown types */
	ck_assert_int_eq(get_raw(8, 2, 3, 0, 32), -EBADMSG);
	ck_assert_int_eq(get_raw(0xd, 2, 3, 0, 32), -EBADMSG);
	ck_assert_int_eq(get_raw(9, 2, 3, 0, 32), -EBADMSG); /* ranges need a longer header */
	ck_assert_int_eq(get_raw(9, 3, 3, 0, 32), 0);
	ck_assert_int_eq(get_raw(0xb, 2, 2, 0, 24), 0);
	ck_assert_int_eq(get_raw(6, 2, 2 + 256 / 8, 0, 24 + 256), 0); /* exactly the buffer */
	ck_assert_int_eq(get_raw(6, 2, 2 + 264 / 8, 0, 24 + 264), -EBADMSG); /* one word more */
}
END_TEST

/* ---- pipes: two rings, both ends in one process ---------------------------------------------- */

static struct {
	_Alignas(KEEL_PAGE_SIZE) uint8_t ctl[2][KEEL_PAGE_SIZE];
	uint8_t data[2][PAGES][KEEL_PAGE_SIZE];
	void *pages[2][PAGES];
} duplex;

static struct pipe a, b;
static int a_signals, b_signals;

static void count_signal(void *transport)
{
	++*(int *)transport;
}

static void pipes_make(void)
{
	struct ring_mem m[2];

	memset(&duplex, 0, sizeof(duplex));
	a_signals = b_signals = 0;
	for (int i = 0; i < 2; i++) {
		for (int p = 0; p < PAGES; p++)
			duplex.pages[i][p] = duplex.data[i][p];
		m[i] = (struct ring_mem){ .ctl = duplex.ctl[i],
					  .pages = duplex.pages[i],
					  .n_pages = PAGES };
	}
	ck_assert_int_eq(pipe_attach(&a, &m[0], &m[1], count_signal, &a_signals), 0);
	ck_assert_int_eq(pipe_attach(&b, &m[1], &m[0], count_signal, &b_signals), 0);
}

START_TEST(pipe_keeps_message_lengths)
{
	char buf[64];
	size_t len;

	pipes_make();
	ck_assert_int_eq(pipe_recv(&b, buf, sizeof(buf), &len), -EAGAIN);
	ck_assert_int_eq(pipe_send(&a, "hello", 5), 0);
	ck_assert_int_eq(a_signals, 1);
	ck_assert_int_eq(pipe_send2(&a, "ab", 2, "cde", 3), 0);
	ck_assert_int_eq(pipe_send(&a, NULL, 0), 0);
	ck_assert_int_eq(pipe_drained(&a), 0);
	ck_assert_int_eq(pipe_recv(&b, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_assert_int_eq(pipe_recv(&b, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_mem_eq(buf, "abcde", 5);
	ck_assert_int_eq(pipe_recv(&b, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(pipe_drained(&a), 1);
	/* golden: type 1, length 5, after the 16-byte packet header */
	ck_assert_uint_eq(le32_load(duplex.data[0][0] + 16), 1);
	ck_assert_uint_eq(le32_load(duplex.data[0][0] + 20), 5);
}
END_TEST

START_TEST(pipe_full_then_room)
{
	static char big[3000], back[3000];
	size_t len;
	int n = 0, r;

	pipes_make();
	ck_assert_int_eq(pipe_recv(&b, back, sizeof(back), &len), -EAGAIN);
	while ((r = pipe_send(&a, big, sizeof(big))) == 0)
		n++;
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(pipe_recv(&b, back, sizeof(back), &len), 0);
	ck_assert_int_eq(pipe_recv(&b, back, sizeof(back), &len), 0);
	ck_assert_int_eq(b_signals, 1); /* the sender waited for it */
	ck_assert_int_eq(pipe_send(&a, big, sizeof(big)), 0);
	ck_assert_int_eq(pipe_send(&a, big, PIPE_MAX_PAYLOAD + 1), -EMSGSIZE);
}
END_TEST

/* The kernel's uio driver closes the mask on its own: receiving must open it whatever we think. */
START_TEST(pipe_rearms_a_mask_it_did_not_close)
{
	char buf[16];
	size_t len;

	pipes_make();
	ck_assert_int_eq(pipe_recv(&b, buf, sizeof(buf), &len), -EAGAIN);
	le32_store(duplex.ctl[0] + VMRING_INTERRUPT_MASK, 1);
	ck_assert_int_eq(pipe_recv(&b, buf, sizeof(buf), &len), -EAGAIN);
	ck_assert_uint_eq(le32_load(duplex.ctl[0] + VMRING_INTERRUPT_MASK), 0);
}
END_TEST

static void expect_broken(const void *payload, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)payload, n };
	char buf[16];
	size_t len;
	bool signal;

	pipes_make();
	ck_assert_int_eq(ring_put(&a.out, VMPKT_INBAND, false, 0, &iov, 1), 0);
	ck_assert_int_eq(ring_out_commit(&a.out, &signal), 0);
	ck_assert_int_eq(pipe_recv(&b, buf, sizeof(buf), &len), -EPIPE);
	ck_assert_int_eq(pipe_recv(&b, buf, sizeof(buf), &len), -EPIPE);
	ck_assert_int_eq(pipe_send(&b, "x", 1), -EPIPE);
}

START_TEST(pipe_hostile_headers)
{
	static const uint32_t partial[4] = { 2, 8 }, unknown[4] = { 3, 8 }, long_len[4] = { 1, 9 },
			      huge[4] = { 1, UINT32_MAX };
	static const uint32_t too_big[10] = { 1, 32 };
	uint8_t none[1] = { 0 };

	expect_broken(partial, 16);
	expect_broken(unknown, 16);
	expect_broken(long_len, 16);
	expect_broken(huge, 16);
	expect_broken(too_big, 40); /* well formed, but larger than the reader takes */
	expect_broken(none, 0); /* no pipe header at all */
}
END_TEST

/* A packet as storvsc writes it: one range of two pages, then the request. */
START_TEST(gpa_direct_in_one_copy)
{
	static const uint64_t raw[] = { 0x0001000800050009ull,
					0x77, /* len 8, data at 5 */
					0x0000000100000000ull, /* one range */
					0x0000020000001800ull, /* 6144 bytes from 512 on */
					0x1234,
					0x0006000000000000ull,
					0xabcd };
	uint8_t buf[64], word[8];
	struct ring_pkt pkt;
	bool signal;

	both_ends();
	for (unsigned i = 0; i < ARRAY_SIZE(raw); i++)
		le64_store(ring_byte(i * 8), raw[i]);
	le16_store(ring_byte(2), 5);
	le16_store(ring_byte(4), 7);
	le16_store(ring_byte(6), VMPKT_FLAG_COMPLETION);
	set_ctl(VMRING_IN, 64);
	ck_assert_int_eq(get(buf, sizeof(buf), &pkt), 0);
	ck_assert_uint_eq(pkt.type, VMPKT_GPA_DIRECT);
	ck_assert_uint_eq(pkt.txid, 0x77);
	ck_assert(pkt.want_completion);
	ck_assert_uint_eq(pkt.len, 40);
	ck_assert_uint_eq(pkt.data_off, 24);
	ck_assert_uint_eq(le32_load(buf + 4), 1);
	ck_assert_uint_eq(le64_load(buf + 16), 0x1234);
	ck_assert_uint_eq(le64_load(buf + pkt.data_off + 8), 0xabcd);
	/* what changes in the ring afterwards does not reach the copy */
	memset(ring_byte(16), 0xff, 40);
	ck_assert_uint_eq(le64_load(buf + 16), 0x1234);
	ck_assert_int_eq(ring_in_commit(&ri, &signal), 0);
	ck_assert_int_eq(get(word, sizeof(word), &pkt), -EAGAIN);
}
END_TEST

START_TEST(batch_has_one_index_update_and_one_signal)
{
	struct ring_pkt pkt;
	uint8_t buf[64];
	bool signal;

	both_ends();
	ck_assert_int_eq(ring_in_arm(&ri), 0);
	for (uint64_t i = 1; i <= 5; i++) {
		ck_assert_int_eq(put("answer", 6, i), 0);
		ck_assert_uint_eq(ctl(VMRING_IN), 0);
	}
	ck_assert(commit_out());
	ck_assert_uint_eq(ctl(VMRING_IN), 5 * 32);
	/* added behind the batch: the get that finds the first five taken sees it */
	for (uint64_t i = 1; i <= 5; i++) {
		ck_assert_int_eq(get(buf, sizeof(buf), &pkt), 0);
		ck_assert_uint_eq(pkt.txid, i);
		ck_assert_uint_eq(ctl(VMRING_OUT), 0);
		if (i == 3) {
			ck_assert_int_eq(put("late", 4, 6), 0);
			ck_assert(!commit_out());
		}
	}
	ck_assert_int_eq(get(buf, sizeof(buf), &pkt), 0);
	ck_assert_uint_eq(pkt.txid, 6);
	ck_assert_int_eq(get(buf, sizeof(buf), &pkt), -EAGAIN);
	ck_assert_int_eq(ring_in_commit(&ri, &signal), 0);
	ck_assert(!signal);
	ck_assert_uint_eq(ctl(VMRING_OUT), 5 * 32 + 32);
}
END_TEST

START_TEST(bystander_sees_who_is_owed_a_signal)
{
	struct ring_mem mem = mem_make();

	both_ends();
	ck_assert_int_eq(ring_signal_due(&mem), 0);
	ck_assert_int_eq(put("x", 1, 0), 0);
	commit_out();
	ck_assert_int_eq(ring_signal_due(&mem), 0); /* masked */
	ck_assert_int_eq(ring_in_arm(&ri), 1);
	ck_assert_int_eq(ring_signal_due(&mem), 1);
	set_ctl(VMRING_OUT, 12);
	ck_assert_int_eq(ring_signal_due(&mem), -EBADMSG);
}
END_TEST

/* A peer on another processor that writes whatever it likes, wherever it likes. */
static atomic_bool vandal_stop;

static void *vandal(void *arg)
{
	static const uint8_t words[] = { VMRING_IN, VMRING_OUT, VMRING_INTERRUPT_MASK,
					 VMRING_PENDING_SEND };
	uint32_t x = 1;

	(void)arg;
	while (!atomic_load(&vandal_stop)) {
		x = x * 1664525 + 1013904223;
		/* Mostly plausible: small types and lengths, aligned indices. */
		if (x & 0x80000000)
			__atomic_store_n((uint32_t *)(void *)(sh.ctl + words[x >> 8 & 3]),
					 (x >> 12) % SIZE & ~7u, __ATOMIC_RELAXED);
		else
			__atomic_store_n((uint32_t *)(void *)ring_byte((x >> 12) % SIZE & ~7u),
					 (x >> 4 & 0xf) << 16 | (x & 3) | 8, __ATOMIC_RELAXED);
	}
	return NULL;
}

START_TEST(packets_that_change_while_read)
{
	unsigned int got = 0, put_n = 0, failed = 0;
	uint8_t buf[512];
	struct ring_pkt pkt;
	pthread_t thread;
	bool signal;

	both_ends();
	atomic_store(&vandal_stop, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, vandal, NULL), 0);
	for (unsigned int i = 0; i < 40000; i++) {
		int r = get(buf, sizeof(buf), &pkt);

		if (r == 0) {
			got++;
			ck_assert_uint_le(pkt.len, sizeof(buf));
			ck_assert_uint_le(pkt.data_off, pkt.len);
			r = ring_in_commit(&ri, &signal);
		}
		if (r == 0 || r == -EAGAIN)
			r = ring_in_arm(&ri);
		if (r < 0) {
			ck_assert(r == -EBADMSG);
			ck_assert_int_eq(get(buf, sizeof(buf), &pkt), -EBADMSG);
			failed++;
		}
		r = put(buf, i % sizeof(buf), i);
		if (r == 0) {
			put_n++;
			r = ring_out_commit(&ro, &signal);
		} else if (r == -EAGAIN) {
			r = ring_out_want(&ro, i % sizeof(buf));
		}
		ck_assert(r >= 0 || r == -EBADMSG);
		if (ri.failed && ring_in_init(&ri, &ri.mem) < 0)
			ri.failed = true;
		if (ro.failed && ring_out_init(&ro, &ro.mem) < 0)
			ro.failed = true;
	}
	atomic_store(&vandal_stop, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_gt(put_n, 0);
	ck_assert_uint_gt(got + failed, 0);
}
END_TEST

UNIT_MAIN("devices/vmbus/ring", packet_bytes, packets_survive_the_wrap, never_fills_completely,
	  largest_packet, signals_only_on_empty_and_unmasked,
	  space_signal_once_when_the_wish_is_met, hostile_indices_fail_the_ring,
	  peer_that_reads_ahead_fails_the_ring, init_refuses_bad_indices_and_sizes,
	  hostile_packet_headers, pipe_keeps_message_lengths, pipe_full_then_room,
	  pipe_rearms_a_mask_it_did_not_close, pipe_hostile_headers, gpa_direct_in_one_copy,
	  batch_has_one_index_update_and_one_signal, bystander_sees_who_is_owed_a_signal,
	  packets_that_change_while_read)
