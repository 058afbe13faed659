/* SPDX-License-Identifier: MIT */
/* Channels that a device serves by itself: rings handed over, bells, moves, subchannels. */
#include "le.h"
#include "loop.h"
#include "vmguest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "unit.h"

/* A device with one raw channel, served on loop `served`, perhaps by a thread of its own. */
struct raw {
	struct vmbus_chan *ch;
	struct loop *served, *owner;
	struct loop_work bell, start, started, stop, stopped;
	struct vmbus_chan_io io;
	struct ring_in in;
	struct ring_out out;
	bool active; /* thread of served */
	unsigned rung, packets; /* the same */
	unsigned asked_vp, retargets;
	bool at_once; /* answers to retarget */
	bool threaded;
	struct vmbus_irq irq;
	int err;
};

static struct vmguest g;
static struct raw dev;

static const struct guid dev_type = GUID_INIT(0x11111111, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
static const struct guid dev_id = GUID_INIT(0x22222222, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

/* ---- the device, on the thread that serves --------------------------------------------------- */

static void serve(struct raw *d)
{
	uint8_t buf[256];
	struct ring_pkt pkt;
	bool signal;
	int r;

	do {
		while ((r = ring_get(&d->in, &pkt, &(struct iovec){ buf, sizeof(buf) }, 1)) == 0) {
			struct iovec answer = { buf, pkt.len };

			d->packets++;
			ck_assert_int_eq(ring_put(&d->out, VMPKT_COMPLETION, false, pkt.txid,
						  &answer, 1),
					 0);
		}
		d->err = r;
		if (r != -EAGAIN)
			return;
		ck_assert_int_eq(ring_in_commit(&d->in, &signal), 0);
		if (signal)
			vmbus_irq_raise(&d->irq);
		ck_assert_int_eq(ring_out_commit(&d->out, &signal), 0);
		if (signal)
			vmbus_irq_raise(&d->irq);
	} while (ring_in_arm(&d->in) == 1);
}

static void on_bell(void *ctx)
{
	struct raw *d = ctx;

	d->rung++;
	if (d->active)
		serve(d);
}

static void on_start(void *ctx)
{
	struct raw *d = ctx;

	ck_assert_int_eq(ring_in_init(&d->in, &d->io.to_server), 0);
	ck_assert_int_eq(ring_out_init(&d->out, &d->io.to_client), 0);
	d->irq = d->io.irq;
	d->active = true;
	serve(d);
	loop_post(d->owner, &d->started);
}

static void on_stop(void *ctx)
{
	struct raw *d = ctx;

	d->active = false;
	loop_post(d->owner, &d->stopped);
}

/* ---- the device, on the server's thread ------------------------------------------------------ */

static void on_started(void *ctx)
{
	struct raw *d = ctx;

	vmbus_chan_open_done(d->ch, 0);
}

static void on_stopped(void *ctx)
{
	struct raw *d = ctx;

	vmbus_chan_close_done(d->ch);
}

static void raw_open(void *ctx, struct vmbus_chan *ch)
{
	struct raw *d = ctx;

	vmbus_chan_io(ch, &d->io);
	vmbus_chan_bell(ch, d->served, &d->bell);
	if (d->threaded) {
		loop_post(d->served, &d->start);
		return;
	}
	on_start(d);
	loop_poll(d->owner);
}

static void raw_close(void *ctx, struct vmbus_chan *ch)
{
	struct raw *d = ctx;

	if (d->threaded) {
		loop_post(d->served, &d->stop);
		return;
	}
	d->active = false;
	vmbus_chan_close_done(ch);
}

static void raw_retarget(void *ctx, struct vmbus_chan *ch, uint32_t vp)
{
	struct raw *d = ctx;

	d->asked_vp = vp;
	d->retargets++;
	if (d->at_once)
		vmbus_chan_retarget_done(ch, &d->irq);
}

static const struct vmbus_chan_ops raw_ops = { .open = raw_open,
					       .close = raw_close,
					       .retarget = raw_retarget };

static int offer(uint16_t subchannel, enum vmbus_chan_kind kind, struct vmbus_chan **ret_ch)
{
	static const uint8_t user[VMBUS_USER_DATA] = { 1, 2, 3 };
	const struct vmbus_chan_cfg cfg = { .interface_id = dev_type,
					    .instance_id = dev_id,
					    .kind = kind,
					    .interface = true,
					    .subchannel = subchannel,
					    .user = user,
					    .ops = &raw_ops,
					    .ctx = &dev };

	return vmbus_chan_offer(g.server, &cfg, ret_ch);
}

static struct vmguest_chan *setup(uint32_t version)
{
	memset(&dev, 0, sizeof(dev));
	vmguest_init(&g, VMBUS_COPPER, 0);
	dev.bell = (struct loop_work){ .fn = on_bell, .ctx = &dev };
	dev.start = (struct loop_work){ .fn = on_start, .ctx = &dev };
	dev.started = (struct loop_work){ .fn = on_started, .ctx = &dev };
	dev.stop = (struct loop_work){ .fn = on_stop, .ctx = &dev };
	dev.stopped = (struct loop_work){ .fn = on_stopped, .ctx = &dev };
	dev.owner = g.loop;
	ck_assert_int_eq(loop_create_epoll(&dev.served), 0);
	ck_assert_int_eq(offer(0, VMBUS_CHAN_RAW, &dev.ch), 0);
	vmguest_contact(&g, version, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 1);
	return &g.chans[0];
}

static void finish(void)
{
	vmguest_fini(&g);
	loop_destroy(dev.served);
}

static void send_chan(uint32_t type, uint32_t chan)
{
	const struct vmbus_chan_msg m = { .h.type = type, .chan_id = chan };

	vmguest_send(&g, &m, sizeof(m));
}

static void send_teardown(uint32_t chan, uint32_t gpadl)
{
	const struct vmbus_gpadl_teardown m = { .h.type = VMBUS_GPADL_TEARDOWN,
						.chan_id = chan,
						.gpadl = gpadl };

	vmguest_send(&g, &m, sizeof(m));
}

static void send_modify(uint32_t chan, uint32_t vp)
{
	const struct vmbus_modify m = { .h.type = VMBUS_MODIFY_CHANNEL,
					.chan_id = chan,
					.target_vp = vp };

	vmguest_send(&g, &m, sizeof(m));
}

static void expect_modified(bool ok)
{
	const struct vmguest_msg *m = vmguest_expect(&g, VMBUS_MODIFY_CHANNEL_RESPONSE);

	ck_assert_uint_eq(m->len, 16);
	ck_assert_uint_eq(le32_load(m->raw + 12) == 0, ok);
}

/* A packet that wants an answer; true when the server must be signalled. */
static bool guest_puts(struct vmguest_chan *c, uint64_t txid)
{
	struct iovec iov = { &txid, sizeof(txid) };
	bool signal;

	ck_assert_int_eq(ring_put(&c->pipe.out, VMPKT_INBAND, true, txid, &iov, 1), 0);
	ck_assert_int_eq(ring_out_commit(&c->pipe.out, &signal), 0);
	return signal;
}

static int guest_gets(struct vmguest_chan *c, uint64_t *ret_txid)
{
	uint64_t word;
	struct iovec iov = { &word, sizeof(word) };
	struct ring_pkt pkt;
	bool signal;
	int r = ring_get(&c->pipe.in, &pkt, &iov, 1);

	if (r)
		return r;
	ck_assert_uint_eq(pkt.type, VMPKT_COMPLETION);
	ck_assert_uint_eq(pkt.txid, word);
	*ret_txid = word;
	return ring_in_commit(&c->pipe.in, &signal);
}

/* ---- handed over ----------------------------------------------------------------------------- */

START_TEST(rings_are_handed_over)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);
	uint64_t txid;

	ck_assert_uint_eq(c->offer.flags, VMBUS_OFFER_ENUMERATE);
	ck_assert_uint_eq(c->offer.user[2], 3);
	ck_assert(vmguest_open(&g, c, 4));
	ck_assert_int_eq(pipe_send(vmbus_chan_pipe(dev.ch), "x", 1), -EPIPE);
	ck_assert_uint_eq(dev.io.to_server.n_pages, 3);
	ck_assert_uint_eq(dev.io.to_client.n_pages, 3);
	ck_assert_uint_eq(dev.io.irq.flag, c->id);
	ck_assert_uint_eq(dev.io.irq.vp, 0);
	ck_assert_uint_eq(dev.io.irq.vtl, 2);

	ck_assert_int_eq(ring_in_arm(&c->pipe.in), 0);
	ck_assert(guest_puts(c, 41));
	ck_assert(!guest_puts(c, 42)); /* it knows of the first */
	vmbus_server_signal(g.server, c->id);
	ck_assert_uint_eq(dev.rung, 0); /* on its own loop only */
	loop_poll(dev.served);
	ck_assert_uint_eq(dev.rung, 1);
	ck_assert_uint_eq(dev.packets, 2);
	ck_assert_uint_eq(c->interrupts, 1);
	ck_assert_int_eq(guest_gets(c, &txid), 0);
	ck_assert_uint_eq(txid, 41);
	ck_assert_int_eq(guest_gets(c, &txid), 0);
	ck_assert_uint_eq(txid, 42);

	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	vmbus_server_signal(g.server, c->id);
	loop_poll(dev.served);
	ck_assert_uint_eq(dev.rung, 1); /* the bell went with the open state */
	finish();
}
END_TEST

START_TEST(client_without_interrupts)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);
	struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL,
				.chan_id = c->id,
				.downstream_page = 2,
				.target_vp = VMBUS_VP_NONE };
	uint32_t page;

	o.ring_gpadl = vmguest_gpadl(&g, c->id, 4, &page);
	vmguest_expect(&g, VMBUS_GPADL_CREATED);
	vmguest_send(&g, &o, VMBUS_OPEN_V1_SIZE);
	vmguest_expect(&g, VMBUS_OPEN_CHANNEL_RESULT);
	vmbus_irq_raise(&dev.io.irq);
	vmbus_chan_interrupt(dev.ch);
	ck_assert_uint_eq(c->interrupts, 0);
	finish();
}
END_TEST

START_TEST(lost_signals_are_found_again)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);
	uint64_t until, txid;

	ck_assert(vmguest_open(&g, c, 4));
	ck_assert_int_eq(ring_in_arm(&c->pipe.in), 0);
	ck_assert(guest_puts(c, 1)); /* and the signal gets lost */
	until = loop_now_ns() + 2000000000ull;
	while (!dev.rung && loop_now_ns() < until) {
		loop_poll(g.loop);
		loop_poll(dev.served);
	}
	ck_assert_uint_eq(dev.rung, 1);
	ck_assert_int_eq(guest_gets(c, &txid), 0);
	send_chan(VMBUS_CLOSE_CHANNEL, c->id);

	/* the other way: an answer whose interrupt the client lost */
	ck_assert(vmguest_open(&g, c, 4));
	ck_assert_int_eq(ring_in_arm(&c->pipe.in), 0);
	guest_puts(c, 2);
	vmbus_server_signal(g.server, c->id);
	loop_poll(dev.served);
	ck_assert_uint_eq(dev.rung, 2);
	c->interrupts = 0;
	until = loop_now_ns() + 2000000000ull;
	while (!c->interrupts && loop_now_ns() < until)
		loop_poll(g.loop);
	ck_assert_uint_eq(c->interrupts, 1);
	ck_assert_uint_eq(dev.rung, 2);
	finish();
}
END_TEST

START_TEST(hostile_indices_reach_the_device)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);

	ck_assert(vmguest_open(&g, c, 4));
	le32_store((uint8_t *)c->pipe.out.mem.ctl + VMRING_IN, 3 * KEEL_PAGE_SIZE);
	vmbus_server_signal(g.server, c->id);
	loop_poll(dev.served);
	ck_assert_int_eq(dev.err, -EBADMSG);
	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	ck_assert(vmguest_open(&g, c, 4));
	finish();
}
END_TEST

/* ---- moves ----------------------------------------------------------------------------------- */

START_TEST(move_is_answered_when_done)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);

	ck_assert(vmguest_open(&g, c, 4));
	send_modify(c->id, 1);
	ck_assert_uint_eq(dev.asked_vp, 1);
	ck_assert_ptr_null(vmguest_take(&g));
	send_modify(c->id, 0); /* against the rules of this version */
	ck_assert_uint_eq(dev.retargets, 1);
	vmbus_chan_retarget_done(dev.ch, &dev.irq);
	expect_modified(true);
	ck_assert_ptr_null(vmguest_take(&g));
	ck_assert_uint_eq(dev.irq.vp, 1);
	vmbus_irq_raise(&dev.irq);
	ck_assert_uint_eq(c->last_vp, 1);
	dev.at_once = true;
	send_modify(c->id, 0);
	expect_modified(true);
	ck_assert_uint_eq(dev.irq.vp, 0);
	send_modify(c->id, VMBUS_VP_NONE);
	expect_modified(false);
	finish();
}
END_TEST

START_TEST(old_client_moves_twice)
{
	struct vmguest_chan *c = setup(VMBUS_WIN10_RS5);

	ck_assert(vmguest_open(&g, c, 4));
	send_modify(c->id, 1);
	send_modify(c->id, 1);
	send_modify(c->id, 0); /* the last one counts */
	ck_assert_uint_eq(dev.retargets, 1);
	vmbus_chan_retarget_done(dev.ch, &dev.irq);
	ck_assert_uint_eq(dev.irq.vp, 1);
	ck_assert_uint_eq(dev.retargets, 2);
	ck_assert_uint_eq(dev.asked_vp, 0);
	vmbus_chan_retarget_done(dev.ch, &dev.irq);
	ck_assert_uint_eq(dev.irq.vp, 0);
	ck_assert_ptr_null(vmguest_take(&g)); /* 5.2 knows no answer */
	finish();
}
END_TEST

START_TEST(close_ends_a_move)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);

	ck_assert(vmguest_open(&g, c, 4));
	send_modify(c->id, 1);
	send_chan(VMBUS_CLOSE_CHANNEL, c->id);
	expect_modified(false); /* nobody waits for ever */
	vmbus_chan_retarget_done(dev.ch, &dev.irq); /* the device did not know yet */
	ck_assert_ptr_null(vmguest_take(&g));
	ck_assert(vmguest_open(&g, c, 4));
	ck_assert_uint_eq(dev.io.target_vp, 0);
	send_modify(c->id, 1);
	vmbus_chan_retarget_done(dev.ch, &dev.irq);
	expect_modified(true);
	finish();
}
END_TEST

/* ---- subchannels, GPADLs, reserved channels -------------------------------------------------- */

START_TEST(subchannels)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);
	struct vmbus_chan *sub2, *sub1, *other;
	const struct vmguest_msg *m;
	struct vmbus_offer o;

	ck_assert_int_eq(offer(2, VMBUS_CHAN_RAW, &sub2), 0);
	m = vmguest_expect(&g, VMBUS_OFFER_CHANNEL);
	ck_assert_uint_eq(m->len, 196);
	memcpy(&o, m->raw, sizeof(o));
	ck_assert_uint_eq(o.subchannel, 2);
	ck_assert_mem_eq(&o.interface_id, &c->offer.interface_id, 32);
	ck_assert_uint_ne(o.chan_id, c->id);
	ck_assert_int_eq(offer(2, VMBUS_CHAN_RAW, &other), -EEXIST);
	ck_assert_int_eq(offer(0, VMBUS_CHAN_RAW, &other), -EEXIST);
	ck_assert_int_eq(offer(3, VMBUS_CHAN_PIPE, &other), -EINVAL);
	ck_assert_int_eq(offer(1, VMBUS_CHAN_RAW, &sub1), 0);
	/* a new client sees the primary first */
	g.n_msgs = g.n_chans = 0;
	vmguest_contact(&g, VMBUS_IRON, 0);
	ck_assert_uint_eq(vmguest_offers(&g), 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(g.chans[i].offer.subchannel, i);
	vmbus_chan_revoke(sub1);
	ck_assert_uint_eq(le32_load(vmguest_expect(&g, VMBUS_RESCIND_OFFER)->raw + 8),
			  g.chans[1].id);
	finish();
}
END_TEST

START_TEST(gpadl_of_a_device)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);
	gpn_t pages[3] = { 0 };
	uint32_t page, id;

	id = vmguest_gpadl(&g, c->id, 100, &page);
	ck_assert_int_eq(vmbus_chan_gpadl(dev.ch, id, pages, 2), 100);
	ck_assert_uint_eq(pages[1], VMGUEST_BASE / KEEL_PAGE_SIZE + page + 1);
	ck_assert_uint_eq(pages[2], 0);
	ck_assert_int_eq(vmbus_chan_gpadl(dev.ch, id + 1, pages, 2), -ENOENT);
	finish();
}
END_TEST

START_TEST(reserved_channels_are_refused_where_asked)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);
	struct vmbus_open_reserved o = {
		.h.type = VMBUS_OPEN_RESERVED, .chan_id = c->id, .target_vp = 1, .target_sint = 5
	};
	struct vmbus_close_reserved cl = {
		.h.type = VMBUS_CLOSE_RESERVED, .chan_id = c->id, .target_vp = 1, .target_sint = 5
	};
	const struct vmguest_msg *m;

	g.sint = 5;
	vmguest_send(&g, &o, sizeof(o));
	m = vmguest_expect(&g, VMBUS_OPEN_CHANNEL_RESULT);
	ck_assert_uint_eq(m->vp, 1);
	ck_assert_uint_eq(m->len, 20);
	ck_assert_uint_ne(le32_load(m->raw + 16), 0);
	vmguest_send(&g, &cl, sizeof(cl));
	m = vmguest_expect(&g, VMBUS_CLOSE_RESERVED_RESPONSE);
	ck_assert_uint_eq(m->vp, 1);
	o.target_sint = 16;
	cl.target_vp = 2;
	vmguest_send(&g, &o, sizeof(o));
	vmguest_send(&g, &cl, sizeof(cl));
	ck_assert_ptr_null(vmguest_take(&g));
	finish();
}
END_TEST

/* ---- threads --------------------------------------------------------------------------------- */

static void *serving_thread(void *arg)
{
	ck_assert_int_eq(loop_run(arg), 0);
	return NULL;
}

/* A processor of the client: it fills the ring, takes answers, and stops when told. */
struct busy {
	struct vmguest_chan *c;
	atomic_bool stop;
	uint64_t sent;
	atomic_uint_fast64_t got;
};

static void *busy_thread(void *arg)
{
	struct busy *b = arg;

	while (!atomic_load(&b->stop)) {
		uint64_t txid;

		/* Few enough to fit the answers' ring, so that the device never finds it full. */
		if (b->sent - atomic_load(&b->got) < 16 && guest_puts(b->c, ++b->sent))
			loop_post(dev.served, &dev.bell);
		if (guest_gets(b->c, &txid) == 0)
			ck_assert_uint_eq(txid, atomic_fetch_add(&b->got, 1) + 1);
	}
	return NULL;
}

/* Let the server's loop run until a message comes. */
static const struct vmguest_msg *wait_msg(uint32_t type)
{
	while (!g.n_msgs)
		ck_assert_int_ge(loop_wait(g.loop), -EINTR);
	return vmguest_expect(&g, type);
}

static void open_threaded(struct vmguest_chan *c)
{
	struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL,
				.chan_id = c->id,
				.downstream_page = 4 };
	uint32_t page;

	/* The same pages each time, cleared as a client does it. */
	g.next_page = 0;
	memset(g.mem, 0, 8 * KEEL_PAGE_SIZE);
	c->gpadl = o.ring_gpadl = vmguest_gpadl(&g, c->id, 8, &page);
	vmguest_expect(&g, VMBUS_GPADL_CREATED);
	vmguest_attach(&g, c, page, 4);
	vmguest_send(&g, &o, VMBUS_OPEN_V1_SIZE);
	ck_assert_uint_eq(le32_load(wait_msg(VMBUS_OPEN_CHANNEL_RESULT)->raw + 16), 0);
}

START_TEST(served_by_another_thread)
{
	struct vmguest_chan *c = setup(VMBUS_IRON);
	pthread_t server, client;

	dev.threaded = true;
	ck_assert_int_eq(pthread_create(&server, NULL, serving_thread, dev.served), 0);
	for (unsigned round = 0; round < 50; round++) {
		struct busy b = { .c = c };

		open_threaded(c);
		ck_assert_int_eq(pthread_create(&client, NULL, busy_thread, &b), 0);
		while (round % 2 && atomic_load(&b.got) < 20 * round)
			(void)sched_yield();
		/* Teardown before the close, close in the middle of the work. */
		send_teardown(c->id, c->gpadl);
		ck_assert_ptr_null(vmguest_take(&g));
		send_chan(VMBUS_CLOSE_CHANNEL, c->id);
		ck_assert_ptr_null(vmguest_take(&g));
		ck_assert_uint_eq(le32_load(wait_msg(VMBUS_GPADL_TORNDOWN)->raw + 8), c->gpadl);
		atomic_store(&b.stop, true);
		ck_assert_int_eq(pthread_join(client, NULL), 0);
		ck_assert_int_eq(dev.err, -EAGAIN); /* no packet was damaged */
	}
	loop_stop(dev.served);
	ck_assert_int_eq(pthread_join(server, NULL), 0);
	finish();
}
END_TEST

UNIT_MAIN("devices/vmbus/chan_io", rings_are_handed_over, client_without_interrupts,
	  lost_signals_are_found_again, hostile_indices_reach_the_device,
	  move_is_answered_when_done, old_client_moves_twice, close_ends_a_move, subchannels,
	  gpadl_of_a_device, reserved_channels_are_refused_where_asked, served_by_another_thread)
