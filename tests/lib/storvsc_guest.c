/* SPDX-License-Identifier: MIT */
#include "storvsc_guest.h"

#include "bug.h"
#include "le.h"
#include "loop.h"
#include "vmbus_proto.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define CLIENT_VTL 0

/* ---- what the server asks of its owner ------------------------------------------------------- */

static struct sg_chan *by_id(struct sg *g, uint32_t id)
{
	for (unsigned i = 0; i < g->n_chans; i++) {
		if (g->chans[i]->id == id)
			return g->chans[i];
	}
	return NULL;
}

static void on_offer(struct sg *g, const void *msg)
{
	struct sg_chan *c = calloc(1, sizeof(*c));

	BUG_ON(!c);
	BUG_ON(g->n_chans >= SG_MAX_CHANS);
	memcpy(&c->offer, msg, sizeof(c->offer));
	c->id = c->offer.chan_id;
	g->chans[g->n_chans++] = c;
}

static void on_post(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg, size_t len)
{
	struct sg *g = ctx;
	struct sg_chan *c;

	(void)vp;
	(void)vtl;
	(void)sint;
	(void)len;
	switch (le32_load(msg)) {
	case VMBUS_OFFER_CHANNEL:
		on_offer(g, msg);
		break;
	case VMBUS_RESCIND_OFFER:
		c = by_id(g, le32_load((const char *)msg + 8));
		BUG_ON(!c);
		c->rescinded = true;
		break;
	case VMBUS_ALL_OFFERS_DELIVERED:
		g->offers_done = true;
		break;
	case VMBUS_OPEN_CHANNEL_RESULT:
		g->open_status = le32_load((const char *)msg + 16);
		break;
	case VMBUS_GPADL_TORNDOWN:
		g->torn++;
		break;
	case VMBUS_MODIFY_CHANNEL_RESPONSE:
		g->modified++;
		break;
	default:
		break;
	}
}

static void on_signal(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, uint16_t flag)
{
	struct sg *g = ctx;
	struct sg_chan *c = by_id(g, flag);

	(void)vtl;
	(void)sint;
	BUG_ON(!c);
	atomic_fetch_add(&c->interrupts, 1);
	atomic_store(&c->last_vp, vp);
}

static int on_port_open(void *ctx, uint32_t chan_id, uint32_t connection_id)
{
	return 0;
}

static void on_port_close(void *ctx, uint32_t chan_id)
{
}

static void on_bell(void *ctx, uint32_t chan_id, struct loop *loop, struct loop_work *work)
{
	struct sg_chan *c = by_id(ctx, chan_id);

	BUG_ON(!c);
	/* Nobody may post the old work to the new loop, or to none. */
	atomic_store(&c->bell_work, NULL);
	while (atomic_load(&c->bell_looks))
		(void)sched_yield();
	atomic_store(&c->bell_loop, loop);
	atomic_store(&c->bell_work, work);
}

static const struct vmbus_server_ops server_ops = {
	.post = on_post,
	.signal = on_signal,
	.port_open = on_port_open,
	.port_close = on_port_close,
	.bell = on_bell,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void *vp_thread(void *arg)
{
	BUG_ON(loop_run(arg) != 0);
	return NULL;
}

static void send(struct sg *g, const void *msg, size_t len)
{
	vmbus_server_message(g->server, true, msg, len);
}

static void contact(struct sg *g)
{
	const struct vmbus_contact c = { .h.type = VMBUS_INITIATE_CONTACT,
					 .version = VMBUS_WIN10_RS5 + 1,
					 .sint = VMBUS_SINT,
					 .vtl = CLIENT_VTL };
	const struct vmbus_msg_header rq = { .type = VMBUS_REQUEST_OFFERS };

	BUILD_ASSERT(VMBUS_WIN10_RS5 + 1 == VMBUS_IRON, "5.3");
	send(g, &c, VMBUS_CONTACT_V1_SIZE);
	send(g, &rq, sizeof(rq));
	BUG_ON(!(g->offers_done));
}

static void init_memory(struct sg *g)
{
	const uint64_t half = SG_PAGES / 2 * (uint64_t)KEEL_PAGE_SIZE;
	struct gmem_region r[2];

	g->mem = mmap(NULL, 2 * half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	BUG_ON(g->mem == MAP_FAILED);
	/* Two regions that touch, the other way round in this process. */
	r[0] = (struct gmem_region){ SG_BASE, half, g->mem + half };
	r[1] = (struct gmem_region){ SG_BASE + half, half, g->mem };
	BUG_ON(gmem_create(r, 2, &g->gm) < 0);
}

static void init_server(struct sg *g)
{
	const struct vmbus_server_cfg cfg = { .ops = &server_ops,
					      .ctx = g,
					      .gm = g->gm,
					      .vtl = CLIENT_VTL,
					      .reply_sint = VMBUS_SINT,
					      .message_id = VMBUS_MSG_ID_MULTICLIENT,
					      .max_version = VMBUS_IRON,
					      .vps = g->vps,
					      .loop = g->owner };

	g->next_gpadl = 0x1000;
	BUG_ON(vmbus_server_create(&cfg, &g->server) < 0);
	contact(g);
}

void sg_init(struct sg *g, unsigned vps)
{
	memset(g, 0, sizeof(*g));
	init_memory(g);
	BUG_ON(gm_install_fault_handler() < 0);
	g->vps = vps;
	BUG_ON(loop_create(64, &g->owner) < 0);
	for (unsigned i = 0; i < vps; i++) {
		BUG_ON(loop_create(64, &g->loops[i]) < 0);
		BUG_ON(pthread_create(&g->threads[i], NULL, vp_thread, g->loops[i]));
	}
	init_server(g);
}

void sg_init_inline(struct sg *g)
{
	memset(g, 0, sizeof(*g));
	init_memory(g);
	g->vps = 1;
	g->inl = true;
	BUG_ON(loop_create_epoll(&g->owner) < 0);
	g->loops[0] = g->owner;
	init_server(g);
}

static void end_threads(struct sg *g)
{
	for (unsigned i = 0; i < g->vps; i++) {
		loop_stop(g->loops[i]);
		BUG_ON(pthread_join(g->threads[i], NULL));
	}
	/* Works that clean up after themselves. */
	for (int n = 0; n < 3; n++) {
		for (unsigned i = 0; i < g->vps; i++)
			loop_poll(g->loops[i]);
		loop_poll(g->owner);
	}
}

void sg_fini(struct sg *g)
{
	if (!g->inl)
		end_threads(g);
	for (int n = 0; n < 3; n++)
		loop_poll(g->owner);
	vmbus_server_destroy(g->server);
	for (unsigned i = 0; !g->inl && i < g->vps; i++)
		loop_destroy(g->loops[i]);
	loop_destroy(g->owner);
	gmem_destroy(g->gm);
	for (unsigned i = 0; i < g->n_chans; i++)
		free(g->chans[i]);
	BUG_ON(munmap(g->mem, SG_PAGES * (size_t)KEEL_PAGE_SIZE));
}

static struct loop *vp_loop(void *ctx, uint32_t vp)
{
	struct sg *g = ctx;

	return vp < g->vps ? g->loops[vp] : NULL;
}

struct storvsp_wiring sg_wiring(struct sg *g)
{
	return (struct storvsp_wiring){
		.server = g->server, .owner = g->owner, .gm = g->gm, .vp_loop = vp_loop, .ctx = g
	};
}

void sg_step(struct sg *g)
{
	const struct timespec pause = { .tv_nsec = 50000 };

	loop_poll(g->owner);
	(void)nanosleep(&pause, NULL);
	loop_poll(g->owner);
}

/* ---- memory ---------------------------------------------------------------------------------- */

gpa_t sg_pages(struct sg *g, uint32_t n)
{
	const uint32_t at = g->next_page;

	BUG_ON(at + n > SG_PAGES);
	g->next_page += n;
	return SG_BASE + at * (gpa_t)KEEL_PAGE_SIZE;
}

uint8_t *sg_at(struct sg *g, gpa_t gpa)
{
	void *host;

	BUG_ON(gm_host_range(g->gm, gpa, 1, &host) != 0);
	return host;
}

/* ---- channels -------------------------------------------------------------------------------- */

struct sg_chan *sg_find(struct sg *g, uint16_t index)
{
	for (unsigned i = 0; i < g->n_chans; i++) {
		if (g->chans[i]->offer.subchannel == index && !g->chans[i]->rescinded)
			return g->chans[i];
	}
	return NULL;
}

#define RING_BYTES (SG_RING_PAGES * KEEL_PAGE_SIZE)

static void send_gpadl(struct sg *g, struct sg_chan *c)
{
	struct vmbus_gpadl_header h = { .h.type = VMBUS_GPADL_HEADER,
					.chan_id = c->id,
					.gpadl = c->gpadl,
					.range_bytes = 8 * (1 + 2 * SG_RING_PAGES),
					.range_count = 1 };
	struct vmbus_gpadl_body b = { .h.type = VMBUS_GPADL_BODY, .gpadl = c->gpadl };
	const uint32_t words = 1 + 2 * SG_RING_PAGES;

	BUILD_ASSERT(1 + 2 * SG_RING_PAGES > VMBUS_GPADL_HEADER_WORDS &&
			     1 + 2 * SG_RING_PAGES <=
				     VMBUS_GPADL_HEADER_WORDS + VMBUS_GPADL_BODY_WORDS,
		     "a header and a body");
	for (uint32_t i = 0; i < words; i++) {
		uint8_t *to = i < VMBUS_GPADL_HEADER_WORDS
				      ? h.data + 8 * (size_t)i
				      : b.data + 8 * (size_t)(i - VMBUS_GPADL_HEADER_WORDS);

		le64_store(to, i ? (c->ring >> KEEL_PAGE_SHIFT) + i - 1 : 2ull * RING_BYTES);
	}
	send(g, &h, VMBUS_GPADL_HEADER_SIZE + 8 * VMBUS_GPADL_HEADER_WORDS);
	send(g, &b, VMBUS_GPADL_BODY_SIZE + 8 * (size_t)(words - VMBUS_GPADL_HEADER_WORDS));
}

static uint32_t ctl_load(struct sg *g, gpa_t ring, unsigned off)
{
	return __atomic_load_n((uint32_t *)(void *)(sg_at(g, ring) + off), __ATOMIC_SEQ_CST);
}

static void ctl_store(struct sg *g, gpa_t ring, unsigned off, uint32_t val)
{
	__atomic_store_n((uint32_t *)(void *)(sg_at(g, ring) + off), val, __ATOMIC_SEQ_CST);
}

uint32_t sg_open(struct sg *g, struct sg_chan *c, uint32_t vp)
{
	const struct vmbus_open o = { .h.type = VMBUS_OPEN_CHANNEL,
				      .chan_id = c->id,
				      .open_id = 7,
				      .ring_gpadl = g->next_gpadl,
				      .target_vp = vp,
				      .downstream_page = SG_RING_PAGES };
	static void *pages[SG_MAX_CHANS][SG_RING_PAGES];
	struct ring_mem in = { .n_pages = SG_RING_PAGES - 1 };
	const unsigned slot = c->id % SG_MAX_CHANS;

	if (!c->ring)
		c->ring = sg_pages(g, 2 * SG_RING_PAGES);
	memset(sg_at(g, c->ring), 0, (size_t)2 * RING_BYTES);
	c->gpadl = g->next_gpadl++;
	c->vp = vp;
	c->out_in = 0;
	send_gpadl(g, c);
	ctl_store(g, c->ring, VMRING_FEATURES, VMRING_FEAT_PENDING_SEND);
	for (unsigned i = 0; i < SG_RING_PAGES - 1; i++)
		pages[slot][i] = sg_at(g, c->ring + RING_BYTES + (i + 1) * (gpa_t)KEEL_PAGE_SIZE);
	in.ctl = sg_at(g, c->ring + RING_BYTES);
	in.pages = pages[slot];
	BUG_ON(ring_in_init(&c->in, &in) != 0);
	BUG_ON(ring_in_arm(&c->in) != 0);
	g->open_status = 0xdeadbeef;
	send(g, &o, VMBUS_OPEN_V1_SIZE);
	sg_until(g, g->open_status != 0xdeadbeef || c->rescinded);
	c->open = g->open_status == 0;
	return g->open_status;
}

void sg_teardown(struct sg *g, struct sg_chan *c)
{
	const struct vmbus_gpadl_teardown t = { .h.type = VMBUS_GPADL_TEARDOWN,
						.chan_id = c->id,
						.gpadl = c->gpadl };

	send(g, &t, sizeof(t));
}

static void send_chan(struct sg *g, uint32_t type, uint32_t id)
{
	const struct vmbus_chan_msg m = { .h.type = type, .chan_id = id };

	send(g, &m, sizeof(m));
}

void sg_close(struct sg *g, struct sg_chan *c)
{
	c->open = false;
	send_chan(g, VMBUS_CLOSE_CHANNEL, c->id);
	sg_teardown(g, c);
}

void sg_release(struct sg *g, struct sg_chan *c)
{
	send_chan(g, VMBUS_RELID_RELEASED, c->id);
}

void sg_modify(struct sg *g, struct sg_chan *c, uint32_t vp)
{
	const struct vmbus_modify m = { .h.type = VMBUS_MODIFY_CHANNEL,
					.chan_id = c->id,
					.target_vp = vp };

	send(g, &m, sizeof(m));
}

void sg_reset(struct sg *g)
{
	vmbus_server_reset(g->server);
}

/* ---- the outgoing ring ----------------------------------------------------------------------- */

static void put_bytes(struct sg *g, struct sg_chan *c, const void *buf, uint32_t len)
{
	const uint32_t size = RING_BYTES - KEEL_PAGE_SIZE;

	for (uint32_t i = 0; i < len; i++) {
		*sg_at(g, c->ring + KEEL_PAGE_SIZE + c->out_in) =
			buf ? ((const uint8_t *)buf)[i] : 0;
		c->out_in = (c->out_in + 1) % size;
	}
}

bool sg_send_raw(struct sg *g, struct sg_chan *c, uint16_t flags, uint64_t txid, const void *pkt,
		 uint32_t len, uint32_t bytes, uint32_t offset, const uint64_t *pfns,
		 uint32_t n_pfns)
{
	const uint32_t size = RING_BYTES - KEEL_PAGE_SIZE;
	const uint32_t ext = n_pfns ? 16 + 8 * n_pfns : 0, padded = (len + 7) & ~7u;
	const uint32_t at = c->out_in, out = ctl_load(g, c->ring, VMRING_OUT);
	const uint32_t room = size - (at >= out ? at - out : size - out + at) - 8;
	struct vmpkt_header h = { .type = n_pfns ? VMPKT_GPA_DIRECT : VMPKT_INBAND,
				  .data_off8 = (uint16_t)((16 + ext) / 8),
				  .len8 = (uint16_t)((16 + ext + padded) / 8),
				  .flags = flags,
				  .txid = txid };
	const struct storvsp_gpa_head head = { .ranges = 1, .bytes = bytes, .offset = offset };
	const uint64_t trailer = (uint64_t)at << 32;

	if (room < 16 + ext + padded + 8)
		return false;
	put_bytes(g, c, &h, sizeof(h));
	if (n_pfns) {
		put_bytes(g, c, &head, sizeof(head));
		put_bytes(g, c, pfns, 8 * n_pfns);
	}
	put_bytes(g, c, pkt, len);
	put_bytes(g, c, NULL, padded - len);
	put_bytes(g, c, &trailer, sizeof(trailer));
	return true;
}

void sg_signal(struct sg *g, struct sg_chan *c)
{
	struct loop_work *work;

	c->signals++;
	atomic_fetch_add(&c->bell_looks, 1);
	work = atomic_load(&c->bell_work);
	if (work)
		loop_post(atomic_load(&c->bell_loop), work);
	atomic_fetch_sub(&c->bell_looks, 1);
}

void sg_commit(struct sg *g, struct sg_chan *c)
{
	const uint32_t old = ctl_load(g, c->ring, VMRING_IN);

	ctl_store(g, c->ring, VMRING_IN, c->out_in);
	if (!ctl_load(g, c->ring, VMRING_INTERRUPT_MASK) && ctl_load(g, c->ring, VMRING_OUT) == old)
		sg_signal(g, c);
}

/* ---- the incoming ring ----------------------------------------------------------------------- */

static void take(struct sg_chan *c, const struct ring_pkt *rp, const struct storvsp_packet *pkt)
{
	struct sg_req *req;

	BUG_ON(pkt->h.op !=
	       (rp->type == VMPKT_INBAND ? STORVSP_ENUMERATE_BUS : STORVSP_COMPLETE_IO));
	if (rp->type == VMPKT_INBAND) {
		BUG_ON(rp->txid != 0);
		c->notices++;
		return;
	}
	BUG_ON(rp->type != VMPKT_COMPLETION);
	BUG_ON(rp->txid < 1);
	BUG_ON(rp->txid > SG_MAX_REQS);
	req = &c->reqs[rp->txid - 1];
	BUG_ON(!(req->used && !req->done)); /* exactly once */
	req->reply = *pkt;
	req->reply_len = rp->len;
	req->done = true;
	c->completions++;
}

void sg_poll(struct sg *g, struct sg_chan *c)
{
	struct storvsp_packet pkt;
	const struct iovec iov = { &pkt, sizeof(pkt) };
	struct ring_pkt rp;
	int r, more;

	do {
		bool signal = false;

		while ((r = ring_get(&c->in, &rp, &iov, 1)) == 0)
			take(c, &rp, &pkt);
		BUG_ON(r != -EAGAIN);
		BUG_ON(ring_in_commit(&c->in, &signal) < 0);
		if (signal)
			sg_signal(g, c);
		more = ring_in_arm(&c->in);
		BUG_ON(more < 0);
	} while (more);
}

/* ---- requests -------------------------------------------------------------------------------- */

static uint64_t new_txid(struct sg_chan *c)
{
	for (unsigned i = 0; i < SG_MAX_REQS; i++) {
		if (!c->reqs[i].used) {
			c->reqs[i] = (struct sg_req){ .used = true };
			return i + 1;
		}
	}
	return 0;
}

struct storvsp_packet sg_call(struct sg *g, struct sg_chan *c, const struct storvsp_packet *pkt,
			      uint32_t len)
{
	const uint64_t txid = new_txid(c);
	struct sg_req *req = &c->reqs[txid - 1];

	BUG_ON(txid == 0);
	BUG_ON(!(sg_send_raw(g, c, VMPKT_FLAG_COMPLETION, txid, pkt, len, 0, 0, NULL, 0)));
	sg_commit(g, c);
	sg_until(g, (sg_poll(g, c), req->done));
	req->used = false;
	BUG_ON(req->reply_len != MIN((len + 7) & ~7u, sizeof(*pkt)));
	return req->reply;
}

static struct storvsp_packet op(struct sg *g, struct sg_chan *c, uint32_t what, uint16_t arg)
{
	const struct storvsp_packet pkt = { .h.op = what,
					    .h.flags = STORVSP_FLAG_COMPLETION,
					    .version.version = arg };

	return sg_call(g, c, &pkt, sizeof(pkt));
}

void sg_negotiate(struct sg *g, struct sg_chan *c, uint16_t version)
{
	BUG_ON(op(g, c, STORVSP_BEGIN_INIT, 0).h.status != 0);
	BUG_ON(op(g, c, STORVSP_QUERY_VERSION, version).h.status != 0);
	BUG_ON(op(g, c, STORVSP_QUERY_PROPERTIES, 0).h.status != 0);
	BUG_ON(op(g, c, STORVSP_END_INIT, 0).h.status != 0);
}

uint64_t sg_start(struct sg *g, struct sg_chan *c, const struct sg_cmd *cmd)
{
	const uint32_t n =
		cmd->len ? (cmd->offset + cmd->len + KEEL_PAGE_SIZE - 1) / KEEL_PAGE_SIZE : 0;
	struct storvsp_packet pkt = { .h.op = STORVSP_EXECUTE_SRB,
				      .h.flags = STORVSP_FLAG_COMPLETION,
				      .srb = { .length = sizeof(pkt.srb),
					       .path = cmd->path,
					       .target = cmd->target,
					       .lun = cmd->lun,
					       .cdb_len = 16,
					       .sense_len = 20,
					       .data_in = cmd->data_in,
					       .data_len = cmd->len,
					       .timeout = cmd->timeout ? cmd->timeout : 60 } };
	uint64_t pfns[600];
	uint64_t txid;

	BUG_ON(n > ARRAY_SIZE(pfns));
	for (uint32_t i = 0; i < n; i++)
		pfns[i] = cmd->pfns ? cmd->pfns[i] : (cmd->data >> KEEL_PAGE_SHIFT) + i;
	memcpy(pkt.srb.cdb, cmd->cdb, sizeof(cmd->cdb));
	txid = new_txid(c);
	if (!txid)
		return 0;
	if (!sg_send_raw(g, c, VMPKT_FLAG_COMPLETION, txid, &pkt, sizeof(pkt), cmd->len,
			 cmd->offset, pfns, n)) {
		c->reqs[txid - 1].used = false;
		return 0;
	}
	return txid;
}

bool sg_ended(struct sg_chan *c, uint64_t txid, struct storvsp_srb *ret_srb)
{
	struct sg_req *req = &c->reqs[txid - 1];

	if (!req->done)
		return false;
	*ret_srb = req->reply.srb;
	req->used = false;
	return true;
}

struct storvsp_srb sg_run(struct sg *g, struct sg_chan *c, const struct sg_cmd *cmd)
{
	const uint64_t txid = sg_start(g, c, cmd);
	struct storvsp_srb srb;

	BUG_ON(txid == 0);
	sg_commit(g, c);
	sg_until(g, (sg_poll(g, c), sg_ended(c, txid, &srb)));
	return srb;
}

struct sg_cmd sg_rw(uint8_t lun, bool write, uint32_t lba, uint16_t blocks, gpa_t data)
{
	return (struct sg_cmd){
		.cdb = { write ? 0x2a : 0x28, 0, (uint8_t)(lba >> 24), (uint8_t)(lba >> 16),
			 (uint8_t)(lba >> 8), (uint8_t)lba, 0, (uint8_t)(blocks >> 8),
			 (uint8_t)blocks },
		.lun = lun,
		.data_in = write ? STORVSP_DATA_OUT : STORVSP_DATA_IN,
		.data = data,
		.offset = (uint32_t)(data % KEEL_PAGE_SIZE),
		.len = blocks * 512u,
	};
}
