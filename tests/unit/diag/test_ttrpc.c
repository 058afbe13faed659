/* SPDX-License-Identifier: MIT */
#include "ttrpc.h"

#include "le.h"
#include "unit.h"

#include <stdbool.h>
#include <string.h>

#define LEN_MAX 20000u

/* Two messages, one without a body, one that is too long, and one more. */
struct stream {
	uint8_t b[200000];
	size_t len;
};

static struct stream st;

static void add(uint32_t len, uint32_t id, uint8_t fill)
{
	const struct ttrpc_header h = { len, id, 1, 0 };

	ttrpc_header_put(&h, st.b + st.len);
	memset(st.b + st.len + TTRPC_HEADER_LEN, fill, len);
	st.len += TTRPC_HEADER_LEN + len;
}

static void make_stream(void)
{
	st.len = 0;
	add(3, 1, 'a');
	add(9000, 3, 'b');
	add(0, 5, 0);
	add(LEN_MAX + 1, 7, 'c');
	add(LEN_MAX, 9, 'd');
}

/* Feeds the stream in pieces of at most @piece bytes; returns how many events there were. */
static unsigned feed(struct ttrpc_reader *r, size_t piece)
{
	static const uint32_t lens[] = { 3, 9000, 0, LEN_MAX + 1, LEN_MAX };
	unsigned n = 0;
	size_t done = 0;

	while (done < st.len) {
		uint8_t *p;
		size_t room = ttrpc_room(r, &p);
		enum ttrpc_event ev;

		ck_assert_uint_gt(room, 0);
		room = MIN(MIN(room, piece), st.len - done);
		memcpy(p, st.b + done, room);
		done += room;
		ev = ttrpc_commit(r, room);
		if (ev == TTRPC_MORE)
			continue;
		ck_assert_uint_lt(n, ARRAY_SIZE(lens));
		ck_assert_uint_eq(r->head.len, lens[n]);
		ck_assert_uint_eq(r->head.stream, 2 * n + 1);
		ck_assert_int_eq(ev, n == 3 ? TTRPC_REFUSED : TTRPC_FRAME);
		ck_assert(!ttrpc_inside(r));
		if (ev == TTRPC_FRAME && lens[n]) {
			ck_assert_uint_eq(r->msg[0], (n == 4 ? 'd' : 'a' + n));
			ck_assert_mem_eq(r->msg, r->msg + 1, lens[n] - 1);
		}
		n++;
	}
	return n;
}

START_TEST(split_anywhere)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 9, 10, 11, 13, 4095, 4096, 4097, 1u << 20 };
	struct ttrpc_pool pool = { 0, 1u << 20 };
	struct ttrpc_reader r;

	make_stream();
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		ttrpc_reader_init(&r, &pool, LEN_MAX);
		ck_assert_uint_eq(feed(&r, pieces[i]), 5);
		ttrpc_next(&r);
		ck_assert_uint_eq(pool.used, 0);
		ttrpc_reader_fini(&r);
	}
}
END_TEST

/* Memory is taken for what came, not for what was promised. */
START_TEST(promises_cost_nothing)
{
	struct ttrpc_pool pool = { 0, 1u << 20 };
	const struct ttrpc_header h = { 1u << 20, 1, 1, 0 };
	struct ttrpc_reader r;
	uint8_t *p;

	ttrpc_reader_init(&r, &pool, 1u << 20);
	ck_assert_uint_eq(ttrpc_room(&r, &p), TTRPC_HEADER_LEN);
	ttrpc_header_put(&h, p);
	ck_assert(!ttrpc_inside(&r));
	ck_assert_int_eq(ttrpc_commit(&r, TTRPC_HEADER_LEN), TTRPC_MORE);
	ck_assert(ttrpc_inside(&r));
	ck_assert_uint_eq(ttrpc_room(&r, &p), 4096);
	ck_assert_uint_eq(pool.used, 0);
	ck_assert_int_eq(ttrpc_commit(&r, 4096), TTRPC_MORE);
	ck_assert_uint_eq(ttrpc_room(&r, &p), 4096);
	ck_assert_uint_eq(pool.used, 4096);
	ttrpc_reader_fini(&r);
	ck_assert_uint_eq(pool.used, 0);
}
END_TEST

/* A pool that is empty refuses the message, but reads it to its end. */
START_TEST(empty_pool)
{
	struct ttrpc_pool pool = { 0, 10000 - TTRPC_FREE_LEN };
	struct ttrpc_reader r;
	unsigned refused = 0, whole = 0;

	st.len = 0;
	add(10001, 1, 'x');
	add(9000, 3, 'y');
	for (int round = 0; round < 3; round++) {
		size_t done = 0;

		ttrpc_reader_init(&r, &pool, LEN_MAX);
		while (done < st.len) {
			uint8_t *p;
			size_t room = MIN(ttrpc_room(&r, &p), st.len - done);

			memcpy(p, st.b + done, room);
			done += room;
			switch (ttrpc_commit(&r, room)) {
			case TTRPC_MORE:
				break;
			case TTRPC_FRAME:
				ck_assert_uint_eq(r.head.stream, 3);
				whole++;
				break;
			case TTRPC_REFUSED:
				ck_assert_uint_eq(r.head.stream, 1);
				ck_assert_uint_eq(pool.used, 0);
				refused++;
				break;
			}
		}
		ttrpc_reader_fini(&r);
		ck_assert_uint_eq(pool.used, 0);
	}
	ck_assert_uint_eq(refused, 3);
	ck_assert_uint_eq(whole, 3);
}
END_TEST

START_TEST(header)
{
	static const uint8_t raw[10] = { 0, 0, 0, 0x18, 0, 0, 0, 1, 1, 0 };
	struct ttrpc_header h;
	uint8_t out[10];

	ttrpc_header_get(raw, &h);
	ck_assert_uint_eq(h.len, 0x18);
	ck_assert_uint_eq(h.stream, 1);
	ck_assert_uint_eq(h.type, TTRPC_REQUEST);
	ck_assert_uint_eq(h.flags, 0);
	ttrpc_header_put(&h, out);
	ck_assert_mem_eq(raw, out, sizeof(raw));
}
END_TEST

UNIT_MAIN("diag/ttrpc", split_anywhere, promises_cost_nothing, empty_pool, header)
