/* SPDX-License-Identifier: MIT */
#include "inspect_get.h"
#include "le.h"
#include "vmguest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

/* A device that answers every packet with the same bytes. */
struct echo {
	struct vmbus_chan *ch;
	unsigned opens, closes, released;
	int open_err; /* what open answers */
	bool defer; /* answer open and close later */
	bool broken;
};

static struct vmguest g;
static struct echo dev;

static const struct guid dev_type = GUID_INIT(0x11111111, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
static const struct guid dev_id = GUID_INIT(0x22222222, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

static void echo_signalled(void *ctx, struct vmbus_chan *ch)
{
	struct echo *e = ctx;
	uint8_t buf[256];
	size_t len;
	int r;

	while ((r = pipe_recv(vmbus_chan_pipe(ch), buf, sizeof(buf), &len)) == 0)
		ck_assert_int_eq(pipe_send(vmbus_chan_pipe(ch), buf, len), 0);
	e->broken = r != -EAGAIN;
}

static void echo_open(void *ctx, struct vmbus_chan *ch)
{
	struct echo *e = ctx;

	e->opens++;
	if (e->defer)
		return;
	vmbus_chan_open_done(ch, e->open_err);
	if (!e->open_err)
		echo_signalled(e, ch);
}

static void echo_close(void *ctx, struct vmbus_chan *ch)
{
	struct echo *e = ctx;

	e->closes++;
	if (!e->defer)
		vmbus_chan_close_done(ch);
}

static void echo_released(void *ctx, struct vmbus_chan *ch)
{
	struct echo *e = ctx;

	(void)ch;
	e->released++;
	e->ch = NULL;
}

static const struct vmbus_chan_ops echo_ops = { .open = echo_open, .close = echo_close,
						.signalled = echo_signalled,
						.released = echo_released };

static void offer_echo(void)
{
	const struct vmbus_chan_cfg cfg = { .interface_id = dev_type,
					    .instance_id = dev_id,
					    .kind = VMBUS_CHAN_PIPE,
					    .ops = &echo_ops,
					    .ctx = &dev };

	ck_assert_int_eq(vmbus_chan_offer(g.server, &cfg, &dev.ch), 0);
}

static struct vmguest_chan *setup(uint32_t version, uint32_t features)
{
	struct vmguest_chan *c;

	memset(&dev, 0, sizeof(dev));
	vmguest_init(&g, VMBUS_COPPER, features);
	offer_echo();
	vmguest_contact(&g, version, features);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	c = vmguest_find(&g, &dev_id);
	ck_assert_ptr_nonnull(c);
	return c;
}

static void send_chan(uint32_t type, uint32_t chan)
{
	const struct vmbus_chan_msg m = { .h.type = type, .chan_id = chan };

	vmguest_send(&g, &m, sizeof(m));
}

static void send_teardown(uint32_t chan, uint32_t gpadl)
{
	const struct vmbus_gpadl_teardown m = { .h.type = VMBUS_GPADL_TEARDOWN, .chan_id = chan,
						.gpadl = gpadl };

	vmguest_send(&g, &m, sizeof(m));
}

static void send_unload(void)
{
	vmguest_send(&g, &(struct vmbus_msg_header){ .type = VMBUS_UNLOAD }, 8);
}

/* The guest sends a word and must get it back. */
static void expect_echo(struct vmguest_chan *c, const char *word)
{
	char buf[64];
	size_t len;

	ck_assert_int_eq(pipe_send(&c->pipe, word, strlen(word)), 0);
	vmguest_step(&g);
	ck_assert_int_eq(pipe_recv(&c->pipe, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, strlen(word));
	ck_assert_mem_eq(buf, word, len);
}

/* ---- connecting ------------------------------------------------------------------------------ */

START_TEST(linux_negotiates_5_3)
{
	/* What Linux in VTL2 posts, byte for byte: version 5.3, VP 0, SINT 2, VTL 2, monitor
	 * pages. */
	static const uint8_t contact[40] = { 14, 0, 0, 0, 0, 0, 0, 0, 3, 0, 5, 0, 0, 0, 0, 0, 2, 2,
					     0, 0, 0, 0, 0, 0, 0, 0x50, 1, 0, 0, 0, 0, 0, 0, 0x60,
					     1, 0, 0, 0, 0, 0 };
	static const uint8_t want[16] = { 15, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x24, 0, 0x80, 0 };
	const struct vmguest_msg *m;

	vmguest_init(&g, VMBUS_COPPER, 0);
	vmguest_send(&g, contact, sizeof(contact));
	m = vmguest_expect(&g, VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(m->len, sizeof(want));
	ck_assert_mem_eq(m->raw, want, sizeof(want));
	ck_assert_uint_eq(g.version_told, VMBUS_IRON);
	vmguest_fini(&g);
}
END_TEST

START_TEST(version_6_answers_with_features)
{
	struct vmbus_contact c = { .h.type = VMBUS_INITIATE_CONTACT, .version = VMBUS_COPPER,
				   .sint = 2, .vtl = 2, .features = 0xffffffff };
	const struct vmguest_msg *m;

	vmguest_init(&g, VMBUS_COPPER, VMBUS_FEAT_CLIENT_ID | VMBUS_FEAT_PAUSE_RESUME);
	vmguest_send(&g, &c, sizeof(c));
	m = vmguest_expect(&g, VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(m->len, 20);
	ck_assert_uint_eq(le32_load(m->raw + 16), 0x28);
	vmguest_fini(&g);
}
END_TEST

START_TEST(refused_versions_get_the_short_answer)
{
	static const uint8_t want[16] = { 15 };
	static const uint32_t bad[] = { VMBUS_COPPER, 0x00070000, 0x00050004, 0 };
	struct vmbus_contact c = { .h.type = VMBUS_INITIATE_CONTACT, .sint = 2, .vtl = 2 };
	const struct vmguest_msg *m;

	vmguest_init(&g, VMBUS_IRON, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad) - 1; i++) {
		c.version = bad[i];
		vmguest_send(&g, &c, 40);
		m = vmguest_expect(&g, VMBUS_VERSION_RESPONSE);
		ck_assert_uint_eq(m->len, sizeof(want));
		ck_assert_mem_eq(m->raw, want, sizeof(want));
		ck_assert_uint_eq(g.version_told, 0);
	}
	c.version = VMBUS_IRON;
	c.target_vp = 2; /* there are two */
	vmguest_send(&g, &c, 40);
	ck_assert_ptr_null(vmguest_take(&g));
	c.target_vp = 1;
	c.monitor_p2c = 0x1000; /* one page without the other */
	vmguest_send(&g, &c, 40);
	m = vmguest_expect(&g, VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(m->vp, 1);
	ck_assert_uint_eq(m->raw[8], 1);
	ck_assert_uint_eq(m->raw[9], 2);
	vmguest_fini(&g);
}
END_TEST

START_TEST(messages_before_contact_are_ignored)
{
	vmguest_init(&g, VMBUS_COPPER, 0);
	vmguest_send(&g, &(struct vmbus_msg_header){ .type = VMBUS_REQUEST_OFFERS }, 8);
	send_chan(VMBUS_CLOSE_CHANNEL, 1);
	send_unload();
	ck_assert_ptr_null(vmguest_take(&g));
	vmguest_fini(&g);
}
END_TEST

START_TEST(offer_bytes)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	const struct vmbus_offer *o = &c->offer;

	ck_assert_uint_eq(o->flags, 0x11);
	ck_assert_uint_eq(le32_load(o->user), 4);
	ck_assert_uint_eq(o->monitor_id, 0xff);
	ck_assert_uint_eq(o->monitor_allocated, 0);
	ck_assert_uint_eq(o->dedicated_interrupt, 1);
	ck_assert_uint_eq(o->connection_id, 0x22000 + c->id);
	ck_assert_uint_ge(c->id, 1);
	vmguest_fini(&g);
}
END_TEST

START_TEST(offers_twice_is_an_error)
{
	setup(VMBUS_IRON, 0);
	vmguest_send(&g, &(struct vmbus_msg_header){ .type = VMBUS_REQUEST_OFFERS }, 8);
	ck_assert_ptr_null(vmguest_take(&g));
	vmguest_fini(&g);
}
END_TEST

/* ---- channels -------------------------------------------------------------------------------- */

START_TEST(open_talk_close)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);

	ck_assert(vmguest_open(&g, c, 8));
	expect_echo(c, "one");
	for (int i = 0; i < 500; i++)
		expect_echo(c, "and many more, so that both rings wrap");
	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	ck_assert_uint_eq(dev.closes, 1);
	ck_assert_uint_eq(g.ports[c->id], 0);
	ck_assert_ptr_null(vmguest_take(&g)); /* no answer to CLOSE */
	send_teardown(c->id, c->gpadl);
	vmguest_expect(&g, VMBUS_GPADL_TORNDOWN);
	ck_assert(vmguest_open(&g, c, 8)); /* and again */
	expect_echo(c, "two");
	vmguest_fini(&g);
}
END_TEST

START_TEST(teardown_waits_for_the_close)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	const struct vmguest_msg *m;

	ck_assert(vmguest_open(&g, c, 2));
	dev.defer = true;
	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	send_teardown(c->id, c->gpadl);
	ck_assert_ptr_null(vmguest_take(&g));
	vmbus_chan_close_done(dev.ch);
	m = vmguest_expect(&g, VMBUS_GPADL_TORNDOWN);
	ck_assert_uint_eq(m->len, 12);
	ck_assert_uint_eq(le32_load(m->raw + 8), c->gpadl);
	vmguest_fini(&g);
}
END_TEST

START_TEST(reopen_while_closing)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL, .chan_id = c->id, .open_id = 9,
				.downstream_page = 2 };
	uint32_t page;

	ck_assert(vmguest_open(&g, c, 2));
	dev.defer = true;
	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	o.ring_gpadl = vmguest_gpadl(&g, c->id, 4, &page);
	vmguest_expect(&g, VMBUS_GPADL_CREATED);
	vmguest_send(&g, &o, 148);
	ck_assert_ptr_null(vmguest_take(&g));
	ck_assert_uint_eq(dev.opens, 1);
	vmbus_chan_close_done(dev.ch);
	ck_assert_uint_eq(dev.opens, 2);
	vmbus_chan_open_done(dev.ch, 0);
	ck_assert_uint_eq(le32_load(vmguest_expect(&g, VMBUS_OPEN_CHANNEL_RESULT)->raw + 12), 9);
	vmguest_fini(&g);
}
END_TEST

START_TEST(device_refuses)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);

	dev.open_err = -EBUSY;
	ck_assert(!vmguest_open(&g, c, 2));
	ck_assert_uint_eq(g.ports[c->id], 0);
	dev.open_err = 0;
	ck_assert(vmguest_open(&g, c, 2));
	vmguest_fini(&g);
}
END_TEST

static uint32_t try_open(struct vmguest_chan *c, uint32_t gpadl, uint32_t split, uint32_t vp)
{
	const struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL, .chan_id = c->id,
				      .ring_gpadl = gpadl, .target_vp = vp,
				      .downstream_page = split };

	vmguest_send(&g, &o, 148);
	return le32_load(vmguest_expect(&g, VMBUS_OPEN_CHANNEL_RESULT)->raw + 16);
}

START_TEST(hostile_opens)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	uint32_t page, gpadl = vmguest_gpadl(&g, c->id, 6, &page);

	vmguest_expect(&g, VMBUS_GPADL_CREATED);
	ck_assert_uint_ne(try_open(c, gpadl + 1, 3, 0), 0); /* no such GPADL */
	ck_assert_uint_ne(try_open(c, gpadl, 0, 0), 0); /* no room for a ring before the split */
	ck_assert_uint_ne(try_open(c, gpadl, 1, 0), 0); /* only a control page */
	ck_assert_uint_ne(try_open(c, gpadl, 5, 0), 0);
	ck_assert_uint_ne(try_open(c, gpadl, 6, 0), 0);
	ck_assert_uint_ne(try_open(c, gpadl, UINT32_MAX, 0), 0);
	ck_assert_uint_ne(try_open(c, gpadl, 3, 2), 0); /* no such VP */
	le32_store(g.mem + (size_t)page * KEEL_PAGE_SIZE + VMRING_OUT, 12345); /* odd index */
	ck_assert_uint_ne(try_open(c, gpadl, 3, 0), 0);
	le32_store(g.mem + (size_t)page * KEEL_PAGE_SIZE + VMRING_OUT, 0);
	ck_assert_uint_eq(dev.opens, 0);
	ck_assert_uint_eq(try_open(c, gpadl, 3, UINT32_MAX), 0); /* no interrupts wanted */
	ck_assert_uint_eq(dev.opens, 1);
	vmguest_fini(&g);
}
END_TEST

START_TEST(hostile_ring_hurts_only_its_channel)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);

	ck_assert(vmguest_open(&g, c, 2));
	le32_store((uint8_t *)c->pipe.out.mem.ctl + VMRING_IN, 0x7ffffff8);
	vmbus_server_signal(g.server, c->id);
	ck_assert(dev.broken);
	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	ck_assert(vmguest_open(&g, c, 2));
	expect_echo(c, "fresh");
	vmguest_fini(&g);
}
END_TEST

START_TEST(wrong_ids_are_ignored)
{
	static const uint32_t ids[] = { 0, 2, 2047, 2048, UINT32_MAX };
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		send_chan(VMBUS_CLOSE_CHANNEL, ids[i]);
		send_chan(VMBUS_RELID_RELEASED, ids[i]);
		send_teardown(ids[i], 1);
		vmbus_server_signal(g.server, ids[i]);
		ck_assert_ptr_null(vmguest_take(&g));
	}
	send_chan(VMBUS_CLOSE_CHANNEL, c->id); /* not open */
	send_teardown(c->id, 77);
	ck_assert_ptr_null(vmguest_take(&g));
	ck_assert(vmguest_open(&g, c, 2));
	send_chan(VMBUS_RELID_RELEASED, c->id); /* while open */
	expect_echo(c, "alive");
	vmguest_fini(&g);
}
END_TEST

START_TEST(modify_moves_the_interrupt)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	struct vmbus_modify m = { .h.type = VMBUS_MODIFY_CHANNEL,
				  .chan_id = c->id,
				  .target_vp = 1 };

	vmguest_send(&g, &m, sizeof(m)); /* not open */
	ck_assert_uint_ne(le32_load(vmguest_expect(&g, VMBUS_MODIFY_CHANNEL_RESPONSE)->raw + 12),
			  0);
	ck_assert(vmguest_open(&g, c, 2));
	vmguest_send(&g, &m, sizeof(m));
	ck_assert_uint_eq(le32_load(vmguest_expect(&g, VMBUS_MODIFY_CHANNEL_RESPONSE)->raw + 12),
			  0);
	m.target_vp = 2;
	vmguest_send(&g, &m, sizeof(m));
	ck_assert_uint_ne(le32_load(vmguest_expect(&g, VMBUS_MODIFY_CHANNEL_RESPONSE)->raw + 12),
			  0);
	vmguest_fini(&g);
}
END_TEST

/* ---- GPADLs ---------------------------------------------------------------------------------- */

/* GPADL_HEADER with these words; the status of the answer, or -1 when there is none yet. */
static int64_t gpadl(uint32_t chan, uint32_t id, uint32_t bytes, uint32_t ranges, const uint64_t *w,
		     unsigned n)
{
	struct vmbus_gpadl_header h = { .h.type = VMBUS_GPADL_HEADER, .chan_id = chan, .gpadl = id,
					.range_bytes = (uint16_t)bytes,
					.range_count = (uint16_t)ranges };
	const struct vmguest_msg *m;

	for (unsigned i = 0; i < n; i++)
		le64_store(h.data + 8 * i, w[i]);
	vmguest_send(&g, &h, 20 + 8 * n);
	m = vmguest_take(&g);
	if (!m)
		return -1;
	ck_assert_uint_eq(le32_load(m->raw), VMBUS_GPADL_CREATED);
	ck_assert_uint_eq(m->len, 20);
	ck_assert_uint_eq(le32_load(m->raw + 8), chan);
	ck_assert_uint_eq(le32_load(m->raw + 12), id);
	return le32_load(m->raw + 16);
}

static uint64_t range(uint32_t bytes, uint32_t off)
{
	return bytes | (uint64_t)off << 32;
}

START_TEST(gpadl_ranges)
{
	const uint64_t p = VMGUEST_BASE / KEEL_PAGE_SIZE;
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	const uint32_t id = c->id;

	ck_assert_int_eq(gpadl(id, 1, 16, 1, (uint64_t[]){ range(4096, 0), p }, 2), 0);
	/* trailing garbage beyond range_bytes, as UEFI sends it */
	ck_assert_int_eq(gpadl(id, 2, 16, 1, (uint64_t[]){ range(1, 4095), p, 9, 9 }, 4), 0);
	ck_assert_int_eq(gpadl(id, 3, 24, 1, (uint64_t[]){ range(2, 4095), p, p + 1 }, 3), 0);
	ck_assert_int_eq(gpadl(id, 4, 32, 2, (uint64_t[]){ range(8, 0), p, range(8, 8), p }, 4), 0);
	ck_assert_int_ne(gpadl(id, 1, 16, 1, (uint64_t[]){ range(4096, 0), p }, 2), 0); /* again */
	ck_assert_int_gt(gpadl(id, 5, 16, 1, (uint64_t[]){ range(0, 0), p }, 2), 0); /* empty */
	ck_assert_int_gt(gpadl(id, 5, 16, 1, (uint64_t[]){ range(8, 4096), p }, 2), 0);
	ck_assert_int_gt(gpadl(id, 5, 16, 1, (uint64_t[]){ range(4097, 0), p }, 2), 0); /* short */
	ck_assert_int_gt(gpadl(id, 5, 24, 1, (uint64_t[]){ range(8, 0), p, p }, 3), 0); /* long */
	ck_assert_int_gt(gpadl(id, 5, 16, 2, (uint64_t[]){ range(8, 0), p }, 2), 0);
	ck_assert_int_gt(gpadl(id, 5, 16, 0, (uint64_t[]){ range(8, 0), p }, 2), 0);
	ck_assert_int_gt(gpadl(id, 5, 12, 1, (uint64_t[]){ range(8, 0), p }, 2), 0);
	ck_assert_int_gt(gpadl(id, 5, 0, 1, NULL, 0), 0);
	ck_assert_int_gt(gpadl(id, 5, 16, 1, (uint64_t[]){ range(8, 0), 0 }, 2), 0); /* not RAM */
	ck_assert_int_gt(gpadl(id, 5, 16, 1, (uint64_t[]){ range(8, 0), UINT64_MAX }, 2), 0);
	ck_assert_int_gt(gpadl(id, 5, 16, 1, (uint64_t[]){ range(8, 0), 1ull << 52 }, 2), 0);
	ck_assert_int_gt(gpadl(id, 5, 16, 1, (uint64_t[]){ range(UINT32_MAX, 4095), p }, 2), 0);
	ck_assert_int_gt(gpadl(id + 1, 5, 16, 1, (uint64_t[]){ range(8, 0), p }, 2), 0);
	/* after all that the id is still free */
	ck_assert_int_eq(gpadl(id, 5, 16, 1, (uint64_t[]){ range(8, 0), p }, 2), 0);
	vmguest_fini(&g);
}
END_TEST

START_TEST(gpadl_in_pieces)
{
	const uint64_t p = VMGUEST_BASE / KEEL_PAGE_SIZE;
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	struct vmbus_gpadl_body b = { .h.type = VMBUS_GPADL_BODY, .gpadl = 1 };
	uint32_t page, id;

	id = vmguest_gpadl(&g, c->id, 2000, &page); /* a header and 71 bodies */
	ck_assert_uint_eq(le32_load(vmguest_expect(&g, VMBUS_GPADL_CREATED)->raw + 12), id);
	ck_assert_ptr_null(vmguest_take(&g));

	ck_assert_int_eq(gpadl(c->id, 1, 24, 1, (uint64_t[]){ range(8192, 0), p }, 2), -1);
	/* an unfinished one keeps its id to itself, whatever the channel */
	ck_assert_int_gt(gpadl(c->id, 1, 16, 1, (uint64_t[]){ range(8, 0), p }, 2), 0);
	send_teardown(c->id, 1); /* not complete: not there */
	ck_assert_ptr_null(vmguest_take(&g));
	vmguest_send(&g, &b, 16); /* brings nothing: the GPADL fails */
	ck_assert_uint_ne(le32_load(vmguest_expect(&g, VMBUS_GPADL_CREATED)->raw + 16), 0);
	vmguest_send(&g, &b, 24); /* and its id is unknown now */
	ck_assert_ptr_null(vmguest_take(&g));
	vmguest_fini(&g);
}
END_TEST

START_TEST(gpadl_count_is_bounded)
{
	const uint64_t w[2] = { range(8, 0), VMGUEST_BASE / KEEL_PAGE_SIZE };
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	unsigned n = 0;

	while (n < 10000 && gpadl(c->id, n + 1, 16, 1, w, 2) == 0)
		n++;
	ck_assert_uint_eq(n, 4096);
	send_unload();
	vmguest_expect(&g, VMBUS_UNLOAD_COMPLETE);
	vmguest_fini(&g);
}
END_TEST

/* ---- the end --------------------------------------------------------------------------------- */

START_TEST(rescind_then_release)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	const struct vmguest_msg *m;
	const uint32_t id = c->id;

	ck_assert(vmguest_open(&g, c, 2));
	vmbus_chan_revoke(dev.ch);
	m = vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	ck_assert_uint_eq(m->len, 12);
	ck_assert_uint_eq(le32_load(m->raw + 8), id);
	ck_assert_uint_eq(dev.closes, 0);
	ck_assert_uint_eq(g.ports[id], 0);
	send_chan(VMBUS_CLOSE_CHANNEL, id); /* Linux does that */
	send_teardown(id, c->gpadl);
	vmguest_expect(&g, VMBUS_GPADL_TORNDOWN);
	send_teardown(id, c->gpadl); /* once more: the server has forgotten it */
	vmguest_expect(&g, VMBUS_GPADL_TORNDOWN);
	ck_assert_uint_eq(dev.released, 0);
	offer_echo(); /* the successor may come before the release; it has an id of its own */
	ck_assert_uint_ne(le32_load(vmguest_expect(&g, VMBUS_OFFER_CHANNEL)->raw + 184), id);
	send_chan(VMBUS_RELID_RELEASED, id);
	ck_assert_uint_eq(dev.released, 1);
	ck_assert_ptr_null(vmguest_take(&g));
	vmguest_fini(&g);
}
END_TEST

START_TEST(rescind_answers_what_is_unfinished)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);

	ck_assert_int_eq(gpadl(c->id, 1, 24, 1, (uint64_t[]){ range(8192, 0), 0x100 }, 2), -1);
	vmbus_chan_revoke(dev.ch);
	ck_assert_uint_ne(le32_load(vmguest_expect(&g, VMBUS_GPADL_CREATED)->raw + 16), 0);
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	vmguest_fini(&g);
}
END_TEST

START_TEST(unload_waits_for_devices)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	const struct vmguest_msg *m;

	ck_assert(vmguest_open(&g, c, 2));
	dev.defer = true;
	send_unload();
	ck_assert_uint_eq(dev.closes, 1);
	ck_assert_ptr_null(vmguest_take(&g));
	send_chan(VMBUS_CLOSE_CHANNEL, c->id); /* too late to matter */
	vmbus_chan_close_done(dev.ch);
	m = vmguest_expect(&g, VMBUS_UNLOAD_COMPLETE);
	ck_assert_uint_eq(m->len, 8);
	ck_assert_uint_eq(g.version_told, 0);
	dev.defer = false;
	g.n_chans = 0;
	vmguest_contact(&g, VMBUS_IRON, 0); /* and the next kernel */
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	ck_assert(vmguest_open(&g, &g.chans[0], 2));
	vmguest_fini(&g);
}
END_TEST

START_TEST(contact_without_unload_starts_over)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);

	ck_assert(vmguest_open(&g, c, 2));
	vmbus_chan_revoke(dev.ch);
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	offer_echo();
	vmguest_expect(&g, VMBUS_OFFER_CHANNEL);
	g.n_chans = 0;
	vmguest_contact(&g, VMBUS_WIN10_RS4, 0);
	ck_assert_uint_eq(dev.released, 1); /* the revoked one went with its client */
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	vmguest_fini(&g);
}
END_TEST

START_TEST(contact_while_a_device_opens)
{
	struct vmguest_chan *c = setup(VMBUS_IRON, 0);
	struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL, .chan_id = c->id,
				.downstream_page = 2 };
	uint32_t page;

	o.ring_gpadl = vmguest_gpadl(&g, c->id, 4, &page);
	vmguest_expect(&g, VMBUS_GPADL_CREATED);
	dev.defer = true;
	vmguest_send(&g, &o, 148);
	send_unload();
	vmbus_chan_open_done(dev.ch, 0); /* it does not know: it is told to close */
	ck_assert_uint_eq(dev.closes, 1);
	ck_assert_ptr_null(vmguest_take(&g));
	vmbus_chan_close_done(dev.ch);
	vmguest_expect(&g, VMBUS_UNLOAD_COMPLETE);
	vmguest_fini(&g);
}
END_TEST

START_TEST(pause_holds_messages_back)
{
	struct vmguest_chan *c = setup(VMBUS_COPPER, VMBUS_FEAT_PAUSE_RESUME);

	vmguest_send(&g, &(struct vmbus_msg_header){ .type = VMBUS_PAUSE }, 8);
	vmguest_expect(&g, VMBUS_PAUSE_RESPONSE);
	vmbus_chan_revoke(dev.ch);
	send_teardown(c->id, 1); /* an error while paused */
	ck_assert_ptr_null(vmguest_take(&g));
	vmguest_send(&g, &(struct vmbus_msg_header){ .type = VMBUS_RESUME }, 8);
	vmguest_expect(&g, VMBUS_RESCIND_OFFER);
	ck_assert_ptr_null(vmguest_take(&g));
	vmguest_fini(&g);
}
END_TEST

static int refuse(void *ctx, const struct guid *endpoint, const struct guid *service)
{
	++*(int *)ctx;
	ck_assert_uint_eq(endpoint->d1, 1234);
	ck_assert_uint_eq(service->d1, 5);
	return -ECONNREFUSED;
}

START_TEST(socket_request_refused)
{
	struct vmbus_tl_connect tl = { .h.type = VMBUS_TL_CONNECT_REQUEST,
				       .endpoint = HVSOCK_GUID(1234), .service = HVSOCK_GUID(5) };
	const struct vmguest_msg *m;
	int asked = 0;

	setup(VMBUS_IRON, 0);
	vmbus_server_hook_tl_connect(g.server, refuse, &asked);
	vmguest_send(&g, &tl, 40);
	ck_assert_int_eq(asked, 1);
	m = vmguest_expect(&g, VMBUS_TL_CONNECT_RESULT);
	ck_assert_uint_eq(m->len, 44);
	ck_assert_uint_eq(le32_load(m->raw + 40), 0xc0000236);
	ck_assert_mem_eq(m->raw + 8, &tl.endpoint, 32);
	vmguest_fini(&g);
}
END_TEST

START_TEST(same_identity_twice)
{
	const struct vmbus_chan_cfg cfg = { .interface_id = dev_type, .instance_id = dev_id,
					    .kind = VMBUS_CHAN_RAW, .ops = &echo_ops, .ctx = &dev };
	struct vmbus_chan *ch;

	setup(VMBUS_IRON, 0);
	ck_assert_int_eq(vmbus_chan_offer(g.server, &cfg, &ch), -EEXIST);
	vmguest_fini(&g);
}
END_TEST

/* ---- inspect ------------------------------------------------------------------------------- */

static const char *shown(const char *path)
{
	return inspect_get(vmbus_server_inspect, g.server, path);
}

START_TEST(inspect_follows_the_channel)
{
	struct vmguest_chan *c;
	char path[64];

	memset(&dev, 0, sizeof(dev));
	vmguest_init(&g, VMBUS_COPPER, 0);
	ck_assert_str_eq(shown("state"), "\"disconnected\"");
	ck_assert_str_eq(shown("connection_info"), "error (not found)");
	offer_echo();
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	ck_assert_str_eq(shown("state"), "\"connected\"");
	ck_assert_str_eq(shown("connection_info/version"), "\"5.3\"");
	c = vmguest_find(&g, &dev_id);
	(void)snprintf(path, sizeof(path), "channels/%u/state", c->id);
	ck_assert_str_eq(shown(path), "\"closed\"");
	ck_assert(vmguest_open(&g, c, 8));
	ck_assert_str_eq(shown(path), "\"open\"");
	expect_echo(c, "hello");
	(void)snprintf(path, sizeof(path), "channels/%u/pipe/received_bytes", c->id);
	ck_assert_str_eq(shown(path), "5");
	(void)snprintf(path, sizeof(path), "channels/%u/pipe/sent", c->id);
	ck_assert_str_eq(shown(path), "1");
	(void)snprintf(path, sizeof(path), "channels/%u/instance_id", c->id);
	ck_assert_str_eq(shown(path), "\"22222222-0002-0003-0405-060708090a0b\"");
	(void)snprintf(path, sizeof(path), "channels/%u/gpadls/%u/state", c->id, c->gpadl);
	ck_assert_str_eq(shown(path), "\"accepted\"");
	dev.defer = true;
	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	(void)snprintf(path, sizeof(path), "channels/%u/state", c->id);
	ck_assert_str_eq(shown(path), "\"closing\"");
	send_unload();
	ck_assert_str_eq(shown("state"), "\"disconnecting\"");
	ck_assert_str_eq(shown("next_action"), "\"unload\"");
	vmbus_chan_close_done(dev.ch);
	ck_assert_str_eq(shown("state"), "\"disconnected\"");
	vmguest_fini(&g);
}
END_TEST

UNIT_MAIN("devices/vmbus/server", inspect_follows_the_channel, linux_negotiates_5_3,
	  version_6_answers_with_features, refused_versions_get_the_short_answer,
	  messages_before_contact_are_ignored, offer_bytes, offers_twice_is_an_error,
	  open_talk_close, teardown_waits_for_the_close, reopen_while_closing, device_refuses,
	  hostile_opens, hostile_ring_hurts_only_its_channel, wrong_ids_are_ignored,
	  modify_moves_the_interrupt, gpadl_ranges, gpadl_in_pieces, gpadl_count_is_bounded,
	  rescind_then_release, rescind_answers_what_is_unfinished, unload_waits_for_devices,
	  contact_without_unload_starts_over, contact_while_a_device_opens,
	  pause_holds_messages_back, socket_request_refused, same_identity_twice)
