/* SPDX-License-Identifier: MIT */
#include "vmguest.h"

#include "le.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- what the server asks of its owner ------------------------------------------------------- */

static void on_post(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg, size_t len)
{
	struct vmguest *g = ctx;
	struct vmguest_msg *m = &g->msgs[g->n_msgs];

	ck_assert_uint_lt(g->n_msgs, VMGUEST_MAX_MSGS);
	ck_assert_uint_le(len, sizeof(m->raw));
	ck_assert_uint_eq(vtl, 2);
	ck_assert_uint_eq(sint, g->sint);
	m->vp = vp;
	m->len = len;
	memcpy(m->raw, msg, len);
	g->n_msgs++;
}

static void on_signal(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, uint16_t flag)
{
	struct vmguest *g = ctx;

	(void)vtl;
	(void)sint;
	for (unsigned i = 0; i < g->n_chans; i++) {
		if (g->chans[i].id == flag) {
			g->chans[i].last_vp = vp;
			g->chans[i].guest_signal = true;
			g->chans[i].interrupts++;
		}
	}
}

static int on_port_open(void *ctx, uint32_t chan_id, uint32_t connection_id)
{
	struct vmguest *g = ctx;

	ck_assert_uint_eq(g->ports[chan_id], 0);
	g->ports[chan_id] = connection_id;
	return 0;
}

static void on_port_close(void *ctx, uint32_t chan_id)
{
	struct vmguest *g = ctx;

	ck_assert_uint_ne(g->ports[chan_id], 0);
	g->ports[chan_id] = 0;
}

static void on_connected(void *ctx, uint32_t version)
{
	struct vmguest *g = ctx;

	g->version_told = version;
}

static const struct vmbus_server_ops ops = {
	.post = on_post,
	.signal = on_signal,
	.port_open = on_port_open,
	.port_close = on_port_close,
	.connected = on_connected,
};

void vmguest_init(struct vmguest *g, uint32_t max_version, uint32_t features)
{
	struct gmem_region region = { .gpa = VMGUEST_BASE,
				      .len = VMGUEST_PAGES * (uint64_t)KEEL_PAGE_SIZE };
	struct vmbus_server_cfg cfg = { .ops = &ops,
					.ctx = g,
					.vtl = 2,
					.reply_vtl = 2,
					.reply_sint = VMBUS_SINT,
					.message_id = VMGUEST_MESSAGE_ID,
					.max_version = max_version,
					.features = features,
					.vps = 2 };

	memset(g, 0, sizeof(*g));
	g->mem = mmap(NULL, region.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(g->mem, MAP_FAILED);
	region.host = g->mem;
	g->next_gpadl = 0xe1e10;
	g->sint = VMBUS_SINT;
	ck_assert_int_eq(gmem_create(&region, 1, &g->gm), 0);
	cfg.gm = g->gm;
	ck_assert_int_eq(loop_create_epoll(&g->loop), 0);
	cfg.loop = g->loop;
	ck_assert_int_eq(vmbus_server_create(&cfg, &g->server), 0);
}

void vmguest_fini(struct vmguest *g)
{
	vmbus_server_destroy(g->server);
	loop_destroy(g->loop);
	gmem_destroy(g->gm);
	(void)munmap(g->mem, VMGUEST_PAGES * (size_t)KEEL_PAGE_SIZE);
}

/* ---- messages -------------------------------------------------------------------------------- */

void vmguest_send(struct vmguest *g, const void *msg, size_t len)
{
	/* An exact copy on the heap: the sanitizer sees a read beyond it. */
	uint8_t *copy = malloc(len);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, msg, len);
	vmbus_server_message(g->server, true, copy, len);
	free(copy);
}

const struct vmguest_msg *vmguest_take(struct vmguest *g)
{
	static struct vmguest_msg m;

	if (!g->n_msgs)
		return NULL;
	m = g->msgs[0];
	g->n_msgs--;
	memmove(g->msgs, g->msgs + 1, g->n_msgs * sizeof(m));
	return &m;
}

const struct vmguest_msg *vmguest_expect(struct vmguest *g, uint32_t type)
{
	const struct vmguest_msg *m = vmguest_take(g);

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(le32_load(m->raw), type);
	ck_assert_uint_eq(le32_load(m->raw + 4), 0);
	return m;
}

void vmguest_contact(struct vmguest *g, uint32_t version, uint32_t features)
{
	const struct vmbus_contact c = { .h.type = VMBUS_INITIATE_CONTACT,
					 .version = version,
					 .sint = VMBUS_SINT,
					 .vtl = 2,
					 .features = features,
					 .monitor_p2c = 0x5000,
					 .monitor_c2p = 0x6000 };
	const struct vmbus_msg_header offers = { .type = VMBUS_REQUEST_OFFERS };

	vmguest_send(g, &c, VMBUS_CONTACT_V1_SIZE);
	vmguest_expect(g, VMBUS_VERSION_RESPONSE);
	vmguest_send(g, &offers, sizeof(offers));
}

static void add_chan(struct vmguest *g, const uint8_t *raw, size_t len)
{
	struct vmguest_chan *c = &g->chans[g->n_chans++];

	ck_assert_uint_le(g->n_chans, ARRAY_SIZE(g->chans));
	ck_assert_uint_eq(len, sizeof(c->offer));
	memset(c, 0, sizeof(*c));
	memcpy(&c->offer, raw, sizeof(c->offer));
	c->id = c->offer.chan_id;
}

unsigned vmguest_offers(struct vmguest *g)
{
	const struct vmguest_msg *m;
	unsigned n = 0;

	while ((m = vmguest_take(g))) {
		if (le32_load(m->raw) == VMBUS_ALL_OFFERS_DELIVERED)
			break;
		ck_assert_uint_eq(le32_load(m->raw), VMBUS_OFFER_CHANNEL);
		add_chan(g, m->raw, m->len);
		n++;
	}
	return n;
}

struct vmguest_chan *vmguest_find(struct vmguest *g, const struct guid *id)
{
	for (unsigned i = 0; i < g->n_chans; i++) {
		const struct vmbus_offer *o = &g->chans[i].offer;
		struct guid instance, interface_id;

		memcpy(&instance, &o->instance_id, sizeof(instance));
		memcpy(&interface_id, &o->interface_id, sizeof(interface_id));
		if (guid_eq(&instance, id) || guid_eq(&interface_id, id))
			return &g->chans[i];
	}
	return NULL;
}

/* ---- channels -------------------------------------------------------------------------------- */

uint32_t vmguest_gpadl(struct vmguest *g, uint32_t chan, uint32_t n_pages, uint32_t *ret_page)
{
	struct vmbus_gpadl_header h = { .h.type = VMBUS_GPADL_HEADER,
					.chan_id = chan,
					.gpadl = ++g->next_gpadl,
					.range_bytes = (uint16_t)((n_pages + 1) * 8),
					.range_count = 1 };
	struct vmbus_gpadl_body b = { .h.type = VMBUS_GPADL_BODY, .gpadl = h.gpadl };
	const uint32_t first = g->next_page;
	const uint64_t gpn = VMGUEST_BASE / KEEL_PAGE_SIZE + first;
	uint32_t done = MIN(n_pages, VMBUS_GPADL_HEADER_WORDS - 1);

	ck_assert_uint_le(first + n_pages, VMGUEST_PAGES);
	g->next_page += n_pages;
	le64_store(h.data, (uint64_t)n_pages * KEEL_PAGE_SIZE);
	for (uint32_t i = 0; i < done; i++)
		le64_store(h.data + 8 * (i + 1), gpn + i);
	vmguest_send(g, &h, VMBUS_GPADL_HEADER_SIZE + 8 * (size_t)(done + 1));
	while (done < n_pages) {
		uint32_t n = MIN(n_pages - done, VMBUS_GPADL_BODY_WORDS);

		for (uint32_t i = 0; i < n; i++)
			le64_store(b.data + 8 * i, gpn + done + i);
		vmguest_send(g, &b, VMBUS_GPADL_BODY_SIZE + 8 * (size_t)n);
		done += n;
	}
	*ret_page = first;
	return h.gpadl;
}

static void guest_signals(void *transport)
{
	struct vmguest_chan *c = transport;

	c->host_signal = true;
}

void vmguest_attach(struct vmguest *g, struct vmguest_chan *c, uint32_t page, uint32_t pages_each)
{
	uint8_t *base = g->mem + (size_t)page * KEEL_PAGE_SIZE;
	struct ring_mem out = { .ctl = base, .pages = c->pages, .n_pages = pages_each - 1 };
	struct ring_mem in = { .ctl = base + (size_t)pages_each * KEEL_PAGE_SIZE,
			       .pages = c->pages + pages_each,
			       .n_pages = pages_each - 1 };

	ck_assert_uint_le(pages_each * 2, ARRAY_SIZE(c->pages));
	for (uint32_t i = 0; i + 1 < pages_each; i++) {
		c->pages[i] = (uint8_t *)out.ctl + (size_t)(i + 1) * KEEL_PAGE_SIZE;
		c->pages[pages_each + i] = (uint8_t *)in.ctl + (size_t)(i + 1) * KEEL_PAGE_SIZE;
	}
	ck_assert_int_eq(pipe_attach(&c->pipe, &out, &in, guest_signals, c), 0);
}

bool vmguest_open(struct vmguest *g, struct vmguest_chan *c, uint32_t pages_each)
{
	struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL,
				.chan_id = c->id,
				.open_id = 7,
				.downstream_page = pages_each };
	struct vmbus_open_result res;
	const struct vmguest_msg *m;
	uint32_t page;

	c->gpadl = o.ring_gpadl = vmguest_gpadl(g, c->id, 2 * pages_each, &page);
	m = vmguest_expect(g, VMBUS_GPADL_CREATED);
	ck_assert_uint_eq(le32_load(m->raw + 16), 0);
	vmguest_attach(g, c, page, pages_each);
	vmguest_send(g, &o, VMBUS_OPEN_V1_SIZE);
	m = vmguest_expect(g, VMBUS_OPEN_CHANNEL_RESULT);
	ck_assert_uint_eq(m->len, sizeof(res));
	memcpy(&res, m->raw, sizeof(res));
	ck_assert_uint_eq(res.chan_id, c->id);
	ck_assert_uint_eq(res.open_id, 7);
	c->open = res.status == 0;
	if (c->open)
		ck_assert_uint_eq(g->ports[c->id], c->offer.connection_id);
	return c->open;
}

void vmguest_step(struct vmguest *g)
{
	bool again = true;

	while (again) {
		again = false;
		for (unsigned i = 0; i < g->n_chans; i++) {
			struct vmguest_chan *c = &g->chans[i];

			if (c->host_signal) {
				c->host_signal = false;
				again = true;
				vmbus_server_signal(g->server, c->id);
			}
			if (c->guest_signal) {
				c->guest_signal = false;
				again = true;
				if (c->pipe.wake)
					c->pipe.wake(c->pipe.user);
			}
		}
	}
}
