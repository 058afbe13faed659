/* SPDX-License-Identifier: MIT */
/* hvhost's ports between hypercalls and the channel server, with a SynIC that can be full. */
#include "../../hvhost/vmbus_host.h"
#include "le.h"
#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "unit.h"

#define BASE 0x200000ull
#define MEM_PAGES 64u

static struct {
	struct hv_message got[256]; /* in the order of delivery */
	unsigned n;
	uint8_t sint[256];
	bool full; /* the slot is taken */
	enum hv_status refuse; /* else: this status */
	unsigned posts; /* attempts */
	unsigned flags[8], n_flags;
} synic;

static struct loop *loop;
static struct gmem *gm;
static uint8_t *mem;
static struct vmbus_host *vh;
static uint32_t version;

static enum hv_status s_post(void *ctx, uint8_t vtl, uint32_t vp, uint8_t sint,
			     const struct hv_message *msg)
{
	(void)ctx;
	ck_assert_uint_eq(vtl, 2);
	ck_assert_uint_eq(vp, 0);
	synic.posts++;
	if (synic.refuse != HV_OK)
		return synic.refuse;
	if (synic.full)
		return HV_OBJECT_IN_USE;
	ck_assert_uint_lt(synic.n, ARRAY_SIZE(synic.got));
	synic.sint[synic.n] = sint;
	synic.got[synic.n++] = *msg;
	return HV_OK;
}

static enum hv_status s_signal(void *ctx, uint8_t vtl, uint32_t vp, uint8_t sint, uint16_t flag)
{
	(void)ctx;
	ck_assert_uint_eq(vtl, 2);
	ck_assert_uint_eq(vp, 0);
	ck_assert_uint_eq(sint, 2);
	if (synic.n_flags < ARRAY_SIZE(synic.flags))
		synic.flags[synic.n_flags++] = flag;
	return HV_OK;
}

static const struct vmbus_host_synic_ops synic_ops = { .post_message = s_post,
						       .signal_event = s_signal };

static void on_connected(void *ctx, uint32_t v)
{
	(void)ctx;
	version = v;
}

static void setup(void)
{
	struct gmem_region region = { BASE, MEM_PAGES * (uint64_t)KEEL_PAGE_SIZE, NULL };
	struct vmbus_host_cfg cfg = { .vps = 1, .synic = &synic_ops, .connected = on_connected };

	memset(&synic, 0, sizeof(synic));
	mem = mmap(NULL, region.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	region.host = mem;
	ck_assert_int_eq(gmem_create(&region, 1, &gm), 0);
	ck_assert_int_eq(loop_create(64, &loop), 0);
	cfg.gm = gm;
	cfg.loop = loop;
	ck_assert_int_eq(vmbus_host_create(&cfg, &vh), 0);
}

static void teardown(void)
{
	vmbus_host_destroy(vh);
	loop_destroy(loop);
	gmem_destroy(gm);
	(void)munmap(mem, MEM_PAGES * (size_t)KEEL_PAGE_SIZE);
}

static void run(void)
{
	for (int i = 0; i < 5; i++)
		loop_poll(loop);
}

static enum hv_status post(uint32_t id, const void *msg, size_t len)
{
	return vmbus_host_post(vh, 2, id, 1, msg, len);
}

static enum hv_status contact(uint32_t id, uint8_t vtl)
{
	const struct vmbus_contact c = { .h.type = VMBUS_INITIATE_CONTACT, .version = VMBUS_IRON,
					 .sint = 2, .vtl = vtl };

	return post(id, &c, VMBUS_CONTACT_V1_SIZE);
}

static enum hv_status request_offers(void)
{
	const struct vmbus_msg_header h = { .type = VMBUS_REQUEST_OFFERS };

	return post(0x800024, &h, sizeof(h));
}

START_TEST(ports)
{
	uint8_t msg[240] = { 14 };

	setup();
	/* VTL0's ids are unknown, so that its posts become intercepts */
	ck_assert_uint_eq(vmbus_host_post(vh, 0, 1, 1, msg, 40), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(vmbus_host_post(vh, 0, 4, 1, msg, 40), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(vmbus_host_post(vh, 0, 0x800074, 1, msg, 40), HV_OPERATION_DENIED);
	ck_assert_uint_eq(vmbus_host_post(vh, 0, 0x800024, 1, msg, 40), HV_OPERATION_DENIED);
	ck_assert_uint_eq(post(1, msg, 40), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(post(0x800025, msg, 40), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(post(0x800024, msg, 241), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(vmbus_host_post(vh, 2, 0x800024, 2, msg, 40), HV_INVALID_PARAMETER);
	ck_assert_uint_eq(vmbus_host_signal(vh, 2, 0x22001, 0), HV_INVALID_CONNECTION_ID);
	ck_assert_uint_eq(vmbus_host_signal(vh, 2, 0, 0), HV_INVALID_CONNECTION_ID);
	teardown();
}
END_TEST

START_TEST(kernel_connects_on_either_id)
{
	static const uint32_t ids[] = { 0x800074, 4 };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		setup();
		ck_assert_uint_eq(contact(ids[i], 2), HV_OK);
		ck_assert_uint_eq(synic.n, 0); /* nothing happens on the VP's thread */
		run();
		ck_assert_uint_eq(synic.n, 1);
		ck_assert_uint_eq(synic.sint[0], 2);
		ck_assert_uint_eq(synic.got[0].type, 1);
		ck_assert_uint_eq(synic.got[0].payload_size, 16);
		ck_assert_uint_eq(le32_load(synic.got[0].payload + 12), 0x800024);
		ck_assert_uint_eq(version, VMBUS_IRON);
		ck_assert_uint_eq(request_offers(), HV_OK);
		run();
		ck_assert_uint_eq(synic.got[1].payload[0], VMBUS_ALL_OFFERS_DELIVERED);
		teardown();
	}
}
END_TEST

START_TEST(relay_is_told_no)
{
	setup();
	ck_assert_uint_eq(contact(0x800074, 0), HV_OK);
	run();
	ck_assert_uint_eq(synic.n, 1);
	ck_assert_uint_eq(synic.sint[0], 7);
	ck_assert_uint_eq(synic.got[0].payload[0], VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(synic.got[0].payload[8], 0);
	ck_assert_uint_eq(request_offers(), HV_OK); /* and nobody is connected */
	run();
	ck_assert_uint_eq(synic.n, 1);
	teardown();
}
END_TEST

START_TEST(full_slot_keeps_order_and_pushes_back)
{
	unsigned taken = 0;

	setup();
	synic.full = true;
	ck_assert_uint_eq(contact(4, 2), HV_OK);
	run();
	ck_assert_uint_eq(request_offers(), HV_OK);
	run();
	/* nothing more is read while an answer waits: 64 and then the guest must retry */
	while (request_offers() == HV_OK && taken < 1000)
		taken++;
	ck_assert_uint_eq(taken, 63);
	ck_assert_uint_eq(request_offers(), HV_INSUFFICIENT_BUFFERS);
	synic.full = false;
	vmbus_host_slot_free(vh, 2, 0, 2);
	run();
	ck_assert_uint_eq(synic.got[0].payload[0], VMBUS_VERSION_RESPONSE);
	ck_assert_uint_eq(synic.got[1].payload[0], VMBUS_ALL_OFFERS_DELIVERED);
	ck_assert_uint_eq(synic.n, 2); /* offers are asked for once */
	teardown();
}
END_TEST

START_TEST(retries_without_being_told)
{
	setup();
	synic.refuse = HV_INVALID_SYNIC_STATE;
	ck_assert_uint_eq(contact(4, 2), HV_OK);
	run();
	ck_assert_uint_gt(synic.posts, 0);
	synic.refuse = HV_OK;
	while (!synic.n)
		ck_assert_int_eq(loop_wait(loop), 0);
	teardown();
}
END_TEST

/* ---- a channel, signalled from another thread ------------------------------------------------ */

static unsigned signals;
static struct vmbus_chan *the_chan;

static void d_open(void *ctx, struct vmbus_chan *ch)
{
	(void)ctx;
	vmbus_chan_open_done(ch, 0);
}

static void d_close(void *ctx, struct vmbus_chan *ch)
{
	(void)ctx;
	vmbus_chan_close_done(ch);
}

static void d_signalled(void *ctx, struct vmbus_chan *ch)
{
	(void)ctx;
	ck_assert_ptr_eq(ch, the_chan);
	signals++;
}

static const struct vmbus_chan_ops dev_ops = { .open = d_open, .close = d_close,
					       .signalled = d_signalled };

static uint32_t open_channel(void)
{
	const struct vmbus_chan_cfg cfg = { .instance_id = { .d1 = 1 }, .ops = &dev_ops };
	struct vmbus_gpadl_header gh = { .h.type = VMBUS_GPADL_HEADER, .gpadl = 5,
					 .range_bytes = 40, .range_count = 1 };
	struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL,
				.ring_gpadl = 5,
				.downstream_page = 2 };

	ck_assert_int_eq(vmbus_chan_offer(vmbus_host_server(vh), &cfg, &the_chan), 0);
	gh.chan_id = o.chan_id = vmbus_chan_id(the_chan);
	ck_assert_uint_eq(contact(0x800074, 2), HV_OK);
	ck_assert_uint_eq(request_offers(), HV_OK);
	le64_store(gh.data, 4 * KEEL_PAGE_SIZE);
	for (unsigned i = 0; i < 4; i++)
		le64_store(gh.data + 8 * (i + 1), BASE / KEEL_PAGE_SIZE + i);
	ck_assert_uint_eq(post(0x800024, &gh, 60), HV_OK);
	ck_assert_uint_eq(post(0x800024, &o, 148), HV_OK);
	run();
	ck_assert_uint_eq(synic.got[synic.n - 1].payload[0], VMBUS_OPEN_CHANNEL_RESULT);
	ck_assert_uint_eq(le32_load(synic.got[synic.n - 1].payload + 16), 0);
	return 0x22000 + o.chan_id;
}

static void *signal_thread(void *arg)
{
	const uint32_t id = *(uint32_t *)arg;

	for (int i = 0; i < 1000; i++)
		(void)vmbus_host_signal(vh, 2, id, 0);
	return NULL;
}

START_TEST(signals_come_through)
{
	struct vmbus_chan_msg close_msg = { .h.type = VMBUS_CLOSE_CHANNEL };
	pthread_t t;
	uint32_t id;

	setup();
	id = open_channel();
	ck_assert_uint_eq(vmbus_host_signal(vh, 0, id, 0), HV_OPERATION_DENIED);
	ck_assert_int_eq(pthread_create(&t, NULL, signal_thread, &id), 0);
	while (!signals)
		ck_assert_int_eq(loop_wait(loop), 0);
	(void)pthread_join(t, NULL);
	run();
	ck_assert_uint_le(signals, 1000); /* many signals may become one */
	vmbus_chan_interrupt(the_chan);
	ck_assert_uint_eq(synic.n_flags, 1);
	ck_assert_uint_eq(synic.flags[0], vmbus_chan_id(the_chan));
	close_msg.chan_id = vmbus_chan_id(the_chan);
	ck_assert_uint_eq(post(0x800024, &close_msg, sizeof(close_msg)), HV_OK);
	run();
	ck_assert_uint_eq(vmbus_host_signal(vh, 2, id, 0), HV_INVALID_CONNECTION_ID);
	teardown();
}
END_TEST

START_TEST(garbage_from_the_guest)
{
	uint8_t msg[240];

	setup();
	for (unsigned i = 0; i < 2000; i++) {
		for (size_t k = 0; k < sizeof(msg); k++)
			msg[k] = (uint8_t)(i * 31 + k * (i | 1));
		msg[0] = (uint8_t)(i % 40);
		msg[1] = msg[2] = msg[3] = 0;
		if (i % 3)
			(void)post(i % 2 ? 0x800024 : 0x800074, msg, i % 241);
		else
			(void)contact(4, 2);
		run();
		synic.n = 0;
	}
	ck_assert_uint_eq(contact(4, 2), HV_OK); /* and it still works */
	run();
	ck_assert_uint_ge(synic.n, 1);
	teardown();
}
END_TEST

UNIT_MAIN("devices/vmbus/vmbus_host", ports, kernel_connects_on_either_id, relay_is_told_no,
	  full_slot_keeps_order_and_pushes_back, retries_without_being_told, signals_come_through,
	  garbage_from_the_guest)
