/* SPDX-License-Identifier: MIT */
/* VTL0's VMBus between made-up processors and a made-up hypervisor. */
#include "vmbus_vtl0.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "exit_x64.h"
#include "hvregs.h"
#include "inject.h"
#include "inspect_get.h"
#include "le.h"
#include "mock_vp.h"
#include "server.h"

#include "unit.h"

#define VPS 2
#define RAM_BYTES (64u * KEEL_PAGE_SIZE)

/* One message slot per VP, as VTL0 has it for SINT 2. */
static struct {
	struct mock_vp vp[VPS];
	struct loop *ctl;
	struct hvc hvc;
	struct gmem *gm;
	uint8_t *ram;
	struct vmbus_vtl0 *vb;
	struct hv_message slot[VPS];
	vpidx_t running; /* whose thread the test plays */
	int post_status; /* answer while the slot is free */
	unsigned int posts, busy, events;
	struct hv_signal_direct_in last_event;
	bool gone;
} h;

static int hypervisor(void *ctx, uint64_t control, const void *in, uint32_t in_len, void *ret_out,
		      uint32_t out_len, uint64_t *ret_result)
{
	struct hv_post_direct_in post;
	struct hv_message *slot = &h.slot[h.running];

	(void)ctx;
	if (HV_CONTROL_CODE(control) == HVCALL_SIGNAL_EVENT_DIRECT) {
		ck_assert_uint_eq(in_len, sizeof(h.last_event));
		ck_assert_uint_eq(out_len, 8);
		memset(ret_out, 0, out_len);
		memcpy(&h.last_event, in, sizeof(h.last_event));
		h.events++;
		*ret_result = 0;
		return 0;
	}
	ck_assert_uint_eq(HV_CONTROL_CODE(control), HVCALL_POST_MESSAGE_DIRECT);
	ck_assert_uint_eq(in_len, 280);
	memcpy(&post, in, sizeof(post));
	ck_assert_uint_eq(post.partition, HV_PARTITION_SELF);
	ck_assert_uint_eq(post.vp, HV_VP_SELF);
	ck_assert_uint_eq(post.vtl, 0);
	ck_assert_uint_eq(post.sint, 2);
	h.posts++;
	if (h.post_status) {
		*ret_result = (uint64_t)h.post_status;
	} else if (slot->type) {
		h.busy++;
		*ret_result = HV_OBJECT_IN_USE;
	} else {
		memcpy(slot, post.message, sizeof(*slot));
		*ret_result = HV_OK;
	}
	return 0;
}

static const struct hvc_ops hv_ops = { .call = hypervisor };

static struct vcpu *vcpu_of(void *ctx, vpidx_t vp)
{
	(void)ctx;
	return h.gone ? NULL : &h.vp[vp].v;
}

static void on_sints_free(void *ctx, vpidx_t vp, uint16_t sints)
{
	(void)ctx;
	vmbus_vtl0_sints_free(h.vb, vp, sints);
}

static void setup(void)
{
	struct gmem_region region = { .gpa = 0, .len = RAM_BYTES };
	struct vmbus_vtl0_cfg cfg = { .hvc = &h.hvc, .vps = VPS, .vcpu = vcpu_of };

	memset(&h, 0, sizeof(h));
	for (unsigned int i = 0; i < VPS; i++) {
		mock_vp_init(&h.vp[i]);
		h.vp[i].v.vp.idx = i;
		h.vp[i].env.sints_free = on_sints_free;
	}
	h.ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(h.ram, MAP_FAILED);
	region.host = h.ram;
	ck_assert_int_eq(gmem_create(&region, 1, &h.gm), 0);
	ck_assert_int_eq(loop_create(8, &h.ctl), 0);
	hvc_init_mock(&h.hvc, &hv_ops, NULL);
	cfg.gm = h.gm;
	cfg.ctl = h.ctl;
	ck_assert_int_eq(vmbus_vtl0_create(&cfg, &h.vb), 0);
}

static void finish(void)
{
	vmbus_vtl0_destroy(h.vb);
	loop_destroy(h.ctl);
	for (unsigned int i = 0; i < VPS; i++)
		mock_vp_fini(&h.vp[i]);
	gmem_destroy(h.gm);
	(void)munmap(h.ram, RAM_BYTES);
}

/* Let everybody do what there is to do. */
static void run(void)
{
	for (unsigned int round = 0; round < 4; round++) {
		loop_poll(h.ctl);
		for (h.running = 0; h.running < VPS; h.running++)
			loop_poll(h.vp[h.running].v.loop);
		h.running = 0;
	}
}

static uint16_t post(uint32_t connection, const void *msg, size_t len)
{
	return vmbus_vtl0_post(h.vb, 0, connection, HVMSG_CHANNEL, msg, len);
}

/* VTL0 reads its slot; with the notification if it was asked for. Returns the message's type. */
static uint32_t take(vpidx_t vp, struct hv_message *ret_msg)
{
	struct vcpu *v = &h.vp[vp].v;
	const struct hv_sint_deliverable_msg m = { .sints = BIT(2) };
	uint32_t type = h.slot[vp].type ? le32_load(h.slot[vp].payload) : 0;

	if (ret_msg)
		*ret_msg = h.slot[vp];
	h.slot[vp].type = 0;
	inject_sync(v);
	if (mock_reg(&h.vp[vp], HVREG_DELIVERABILITY)->u64 & 1ull << (HV_DELIVER_SINT_SHIFT + 2)) {
		mock_reg(&h.vp[vp], HVREG_DELIVERABILITY)->u64 = 0;
		h.running = vp;
		mock_exit(&h.vp[vp], HVMSG_SINT_DELIVERABLE, &m, sizeof(m));
		h.running = 0;
	}
	run();
	return type;
}

static struct vmbus_contact contact(uint32_t version, uint32_t vp)
{
	return (struct vmbus_contact){ .h.type = VMBUS_INITIATE_CONTACT,
				       .version = version,
				       .target_vp = vp,
				       .sint = 2,
				       .monitor_p2c = 0x1000,
				       .monitor_c2p = 0x2000 };
}

/* ---- messages -------------------------------------------------------------------------------- */

START_TEST(linux_connects)
{
	const struct vmbus_contact c = contact(VMBUS_IRON, 1);
	const struct vmbus_msg_header offers = { .type = VMBUS_REQUEST_OFFERS };
	struct hv_message m;

	setup();
	ck_assert_uint_eq(post(VMBUS_MSG_ID_MULTICLIENT, &c, 40), HV_OK);
	run();
	ck_assert_uint_eq(take(0, NULL), 0);
	ck_assert_uint_eq(take(1, &m), VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(m.payload_size, 16);
	ck_assert_uint_eq(m.type, HVMSG_CHANNEL);
	ck_assert_uint_eq(m.payload[8], 1);
	ck_assert_uint_eq(le32_load(m.payload + 12), 1); /* go on with this connection */
	ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, &offers, sizeof(offers)), HV_OK);
	run();
	ck_assert_uint_eq(take(1, &m), VMBUS_ALL_OFFERS_DELIVERED);
	ck_assert_uint_eq(m.payload_size, 8);
	ck_assert_str_eq(inspect_get(vmbus_vtl0_inspect, h.vb, "state"), "\"connected\"");
	ck_assert_str_eq(inspect_get(vmbus_vtl0_inspect, h.vb, "traffic/messages_in"), "2");
	finish();
}
END_TEST

/* Firmware posts everything to port 1, where the SINT it names does not count. */
START_TEST(firmware_connects)
{
	struct vmbus_contact c = contact(VMBUS_COPPER, 0);
	struct hv_message m;

	setup();
	c.features = VMBUS_FEAT_CLIENT_ID;
	c.client_id = (struct guid){ .d1 = 0x18dd3964 };
	c.sint = 9;
	ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, &c, sizeof(c)), HV_OK);
	run();
	ck_assert_uint_eq(take(0, &m), VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(m.payload_size, 20);
	ck_assert_uint_eq(le32_load(m.payload + 16), VMBUS_FEAT_CLIENT_ID);
	/* what has no dedicated interrupts is refused */
	c = contact(VMBUS_WIN7, 0);
	ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, &c, 40), HV_OK);
	run();
	ck_assert_uint_eq(take(0, &m), VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(m.payload[8], 0);
	/* 3.0, should 6.0 have been refused */
	c = contact(VMBUS_WIN8_1, 0);
	ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, &c, 40), HV_OK);
	run();
	ck_assert_uint_eq(take(0, &m), VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(m.payload_size, 16);
	ck_assert_uint_eq(le32_load(m.payload + 12), VMBUS_WIN8_1);
	finish();
}
END_TEST

START_TEST(wrong_posts)
{
	uint8_t msg[VMBUS_MAX_MESSAGE + 1] = { 0 };

	setup();
	ck_assert_uint_eq(post(2, msg, 8), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(post(VMBUS_MSG_ID_VTL2, msg, 8), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, msg, sizeof(msg)), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(vmbus_vtl0_post(h.vb, 0, VMBUS_MSG_ID_LEGACY, 2, msg, 8),
			  HV_INVALID_PARAMETER);
	ck_assert_uint_eq(vmbus_vtl0_signal(h.vb, 0, 0, 0), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(vmbus_vtl0_signal(h.vb, 0, VMBUS_EVENT_ID(1, 2, 0), 0),
			  HV_INVALID_CONNECTION_ID);
	for (unsigned int i = 0; i < 64; i++)
		ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, msg, 8), HV_OK);
	ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, msg, 8), HV_INSUFFICIENT_BUFFERS);
	run();
	ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, msg, 8), HV_OK);
	finish();
}
END_TEST

/* A slot that is taken: the next message comes with the notification, in order. */
START_TEST(busy_slot_is_waited_for)
{
	struct vmbus_contact c = contact(VMBUS_IRON, 0);
	struct hv_message m;

	setup();
	for (uint32_t v = 0; v < 3; v++) {
		static const uint32_t versions[] = { VMBUS_WIN10, VMBUS_WIN8_1, VMBUS_WIN10_RS3_0 };

		c.version = versions[v];
		ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, &c, 40), HV_OK);
	}
	run();
	ck_assert_uint_eq(h.busy, 1); /* and not tried again and again */
	ck_assert_uint_eq(h.posts, 2);
	take(0, &m);
	ck_assert_uint_eq(le32_load(m.payload + 12), VMBUS_WIN10);
	take(0, &m);
	ck_assert_uint_eq(le32_load(m.payload + 12), VMBUS_WIN8_1);
	take(0, &m);
	ck_assert_uint_eq(le32_load(m.payload + 12), VMBUS_WIN10_RS3_0);
	ck_assert_uint_eq(take(0, &m), 0);
	ck_assert_uint_eq(h.busy, 2);
	inject_sync(&h.vp[0].v);
	ck_assert_uint_eq(mock_reg(&h.vp[0], HVREG_DELIVERABILITY)->u64, 0);
	finish();
}
END_TEST

START_TEST(masked_sint_is_tried_again)
{
	const struct vmbus_contact c = contact(VMBUS_IRON, 0);
	uint64_t until;

	setup();
	h.post_status = HV_INVALID_SYNIC_STATE;
	ck_assert_uint_eq(post(VMBUS_MSG_ID_MULTICLIENT, &c, 40), HV_OK);
	until = loop_now_ns() + 2000000000ull;
	while (h.posts < 3 && loop_now_ns() < until)
		run();
	ck_assert_uint_eq(h.posts, 3);
	h.post_status = HV_OK;
	while (!h.slot[0].type && loop_now_ns() < until)
		run();
	ck_assert_uint_eq(take(0, NULL), VMBUS_VERSION_RESPONSE);
	finish();
}
END_TEST

/* A hypervisor that speaks of slots nobody asked about. */
START_TEST(notification_unasked)
{
	const struct hv_sint_deliverable_msg m = { .sints = 0xffff };
	const struct vmbus_contact c = contact(VMBUS_IRON, 0);

	setup();
	mock_exit(&h.vp[0], HVMSG_SINT_DELIVERABLE, &m, sizeof(m));
	ck_assert_uint_eq(h.posts, 0);
	h.post_status = HV_INVALID_SYNIC_STATE;
	ck_assert_uint_eq(post(VMBUS_MSG_ID_MULTICLIENT, &c, 40), HV_OK);
	loop_poll(h.ctl); /* the message is there, its VP has not looked yet */
	mock_exit(&h.vp[0], HVMSG_SINT_DELIVERABLE, &m, sizeof(m));
	ck_assert_uint_eq(h.posts, 1);
	h.post_status = HV_OK;
	run();
	ck_assert_uint_eq(take(0, NULL), VMBUS_VERSION_RESPONSE);
	finish();
}
END_TEST

/* A client that asks and does not listen fills the inbox, not our memory. */
START_TEST(answers_nobody_reads)
{
	const struct vmbus_contact c = contact(VMBUS_IRON, 0);
	unsigned int n = 0, got = 0;

	setup();
	for (unsigned int i = 0; i < 1000; i++) {
		n += post(VMBUS_MSG_ID_MULTICLIENT, &c, 40) == HV_OK;
		run();
	}
	ck_assert_uint_le(n, 64 + 32 + 1);
	ck_assert_uint_ge(n, 64);
	while (take(0, NULL))
		got++;
	ck_assert_uint_eq(got, n); /* but nothing that was accepted is lost */
	finish();
}
END_TEST

START_TEST(vtl0_is_gone)
{
	const struct vmbus_contact c = contact(VMBUS_IRON, 0);

	setup();
	ck_assert_uint_eq(post(VMBUS_MSG_ID_MULTICLIENT, &c, 40), HV_OK);
	h.gone = true;
	loop_poll(h.ctl);
	ck_assert_uint_eq(h.posts, 0);
	finish();
}
END_TEST

/* ---- channels -------------------------------------------------------------------------------- */

struct testdev {
	struct vmbus_chan *ch;
	struct vmbus_chan_io io;
	struct loop *loop;
	struct loop_work bell[2]; /* one per loop */
	atomic_uint rung[2];
	unsigned int signalled;
	_Atomic(struct loop *) wrong; /* work of one loop ran on another one */
};

static struct testdev dev;
static _Thread_local struct loop *my_loop;

static void on_bell(unsigned int i)
{
	atomic_fetch_add(&dev.rung[i], 1);
	if (my_loop && my_loop != h.vp[i].v.loop)
		atomic_store(&dev.wrong, my_loop);
}

static void on_bell0(void *ctx)
{
	(void)ctx;
	on_bell(0);
}

static void on_bell1(void *ctx)
{
	(void)ctx;
	on_bell(1);
}

static void d_open(void *ctx, struct vmbus_chan *ch)
{
	struct testdev *d = ctx;

	vmbus_chan_io(ch, &d->io);
	vmbus_chan_open_done(ch, 0);
}

static void d_close(void *ctx, struct vmbus_chan *ch)
{
	(void)ctx;
	vmbus_chan_close_done(ch);
}

static void d_signalled(void *ctx, struct vmbus_chan *ch)
{
	(void)ch;
	((struct testdev *)ctx)->signalled++;
}

static const struct vmbus_chan_ops dev_ops = { .open = d_open,
					       .close = d_close,
					       .signalled = d_signalled };

static void send(const void *msg, size_t len)
{
	ck_assert_uint_eq(post(VMBUS_MSG_ID_LEGACY, msg, len), HV_OK);
	run();
}

/* Offer a device and open its channel as a client does. Returns the event connection id. */
static uint32_t open_device(void)
{
	const struct vmbus_chan_cfg cfg = { .instance_id = { .d1 = 7 },
					    .ops = &dev_ops,
					    .ctx = &dev };
	const struct vmbus_contact c = contact(VMBUS_IRON, 0);
	const struct vmbus_msg_header offers = { .type = VMBUS_REQUEST_OFFERS };
	struct vmbus_gpadl_header g = {
		.h.type = VMBUS_GPADL_HEADER, .gpadl = 1, .range_bytes = 40, .range_count = 1
	};
	struct vmbus_open o = {
		.h.type = VMBUS_OPEN_CHANNEL, .ring_gpadl = 1, .downstream_page = 2, .target_vp = 1
	};
	struct hv_message m;
	uint32_t id;

	memset(&dev, 0, sizeof(dev));
	dev.bell[0] = (struct loop_work){ .fn = on_bell0 };
	dev.bell[1] = (struct loop_work){ .fn = on_bell1 };
	ck_assert_int_eq(vmbus_chan_offer(vmbus_vtl0_server(h.vb), &cfg, &dev.ch), 0);
	send(&c, 40);
	ck_assert_uint_eq(take(0, NULL), VMBUS_VERSION_RESPONSE);
	send(&offers, sizeof(offers));
	ck_assert_uint_eq(take(0, &m), VMBUS_OFFER_CHANNEL);
	ck_assert_uint_eq(m.payload_size, 196);
	id = le32_load(m.payload + 184);
	ck_assert_uint_eq(take(0, NULL), VMBUS_ALL_OFFERS_DELIVERED);
	g.chan_id = o.chan_id = id;
	le64_store(g.data, 4 * KEEL_PAGE_SIZE);
	for (uint64_t i = 0; i < 4; i++)
		le64_store(g.data + 8 + 8 * i, 4 + i);
	send(&g, 60);
	ck_assert_uint_eq(take(0, NULL), VMBUS_GPADL_CREATED);
	send(&o, VMBUS_OPEN_V1_SIZE);
	ck_assert_uint_eq(take(0, &m), VMBUS_OPEN_CHANNEL_RESULT);
	ck_assert_uint_eq(le32_load(m.payload + 16), 0);
	return VMBUS_EVENT_ID(id, 2, 0);
}

START_TEST(signals_and_bells)
{
	uint32_t id, chan;

	setup();
	id = open_device();
	chan = vmbus_chan_id(dev.ch);
	ck_assert_uint_eq(vmbus_vtl0_signal(h.vb, 0, id, 0), HV_OK);
	run();
	ck_assert_uint_eq(dev.signalled, 1);

	vmbus_chan_bell(dev.ch, h.vp[1].v.loop, &dev.bell[1]);
	ck_assert_uint_eq(vmbus_vtl0_signal(h.vb, 0, id, 0), HV_OK);
	loop_poll(h.vp[0].v.loop);
	loop_poll(h.ctl);
	ck_assert_uint_eq(dev.rung[1], 0);
	ck_assert(loop_pending(h.vp[1].v.loop));
	loop_poll(h.vp[1].v.loop);
	ck_assert_uint_eq(dev.rung[1], 1);
	ck_assert_uint_eq(dev.signalled, 1);

	vmbus_irq_raise(&dev.io.irq);
	ck_assert_uint_eq(h.events, 1);
	ck_assert_uint_eq(h.last_event.vp, 1);
	ck_assert_uint_eq(h.last_event.vtl, 0);
	ck_assert_uint_eq(h.last_event.sint, 2);
	ck_assert_uint_eq(h.last_event.flag, chan);

	send(&(struct vmbus_chan_msg){ .h.type = VMBUS_CLOSE_CHANNEL, .chan_id = chan }, 12);
	ck_assert_uint_eq(vmbus_vtl0_signal(h.vb, 0, id, 0), HV_INVALID_CONNECTION_ID);
	finish();
}
END_TEST

/* The VP that signals serves the channel: it must see the work before it enters VTL0. */
START_TEST(own_bell_costs_no_wakeup)
{
	struct loop *loop;
	uint32_t id;

	setup();
	id = open_device();
	loop = h.vp[0].v.loop;
	loop_poll(loop); /* this thread is its owner now */
	vmbus_chan_bell(dev.ch, loop, &dev.bell[0]);
	ck_assert(!loop_pending(loop));
	ck_assert_uint_eq(vmbus_vtl0_signal(h.vb, 0, id, 0), HV_OK);
	ck_assert(loop_pending(loop));
	loop_poll(loop);
	ck_assert_uint_eq(dev.rung[0], 1);
	/* Had the event descriptor been written, a read would complete now. */
	ck_assert(!loop_pending(loop));
	finish();
}
END_TEST

/* On the thread of the VP that is interrupted, the entry into VTL0 does it. */
START_TEST(interrupt_rides_on_the_entry)
{
	struct vp *vp = &h.vp[1].v.vp;
	struct vmbus_irq irq;

	setup();
	(void)open_device();
	irq = dev.io.irq;
	vcpu_set_current(&h.vp[1].v);
	vmbus_irq_raise(&irq);
	ck_assert_uint_eq(h.events, 1); /* this hypervisor cannot */
	vp->entry_actions = true;
	vmbus_irq_raise(&irq);
	vmbus_irq_raise(&irq);
	ck_assert_uint_eq(h.events, 1);
	ck_assert_uint_eq(vp->run->ret_action_bytes, 16);
	ck_assert_uint_eq(vp->run->actions[0].type, 1);
	ck_assert_uint_eq(vp->run->actions[0].vp, 1);
	ck_assert_uint_eq(vp->run->actions[0].vtl, 0);
	ck_assert_uint_eq(vp->run->actions[0].sint, 2);
	ck_assert_uint_eq(vp->run->actions[0].flag, irq.flag);
	for (irq.flag = 100; irq.flag < 107; irq.flag++)
		vmbus_irq_raise(&irq);
	ck_assert_uint_eq(h.events, 1);
	vmbus_irq_raise(&irq); /* no room for it */
	ck_assert_uint_eq(h.events, 2);
	ck_assert_uint_eq(h.last_event.flag, 107);
	irq.vp = 0; /* another processor */
	vmbus_irq_raise(&irq);
	ck_assert_uint_eq(h.events, 3);
	vcpu_set_current(NULL);
	finish();
}
END_TEST

struct vp_arg {
	vpidx_t vp;
	uint32_t id;
	atomic_bool stop;
	uint64_t signals;
};

static void *vp_thread(void *arg)
{
	struct vp_arg *a = arg;

	my_loop = h.vp[a->vp].v.loop;
	while (!atomic_load(&a->stop)) {
		ck_assert_uint_eq(vmbus_vtl0_signal(h.vb, a->vp, a->id, 0), HV_OK);
		a->signals++;
		loop_poll(my_loop);
	}
	return NULL;
}

static void nothing(void *ctx)
{
	(void)ctx;
}

/* While VPs signal, the channel moves between their loops; nobody gets another one's work. */
START_TEST(bell_moves_under_load)
{
	struct vp_arg arg[VPS] = { { .vp = 0 }, { .vp = 1 } };
	struct loop_work fence = { .fn = nothing };
	pthread_t thread[VPS];

	setup();
	arg[0].id = arg[1].id = open_device();
	vmbus_chan_bell(dev.ch, h.vp[0].v.loop, &dev.bell[0]);
	for (unsigned int i = 0; i < VPS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, vp_thread, &arg[i]), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		const unsigned int to = i % 2;
		const unsigned int before = atomic_load(&dev.rung[to]);

		vmbus_chan_bell(dev.ch, h.vp[to].v.loop, &dev.bell[to]);
		/* The loop it left: what is behind this in its queue does not ring any more. */
		loop_post(h.vp[!to].v.loop, &fence);
		while (i % 16 < 2 && atomic_load(&dev.rung[to]) == before)
			(void)sched_yield();
	}
	for (unsigned int i = 0; i < VPS; i++) {
		atomic_store(&arg[i].stop, true);
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	}
	ck_assert_ptr_null(atomic_load(&dev.wrong));
	ck_assert_uint_gt(atomic_load(&dev.rung[0]), 100);
	ck_assert_uint_gt(atomic_load(&dev.rung[1]), 100);
	finish();
}
END_TEST

UNIT_MAIN("vmm/vmbus_vtl0", linux_connects, firmware_connects, wrong_posts, busy_slot_is_waited_for,
	  masked_sint_is_tried_again, notification_unasked, answers_nobody_reads, vtl0_is_gone,
	  signals_and_bells, own_bell_costs_no_wakeup, interrupt_rides_on_the_entry,
	  bell_moves_under_load)
