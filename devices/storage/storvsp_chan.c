/* SPDX-License-Identifier: MIT */
/*
 * The owner's side of storvsp's channels: they are opened, closed, moved and withdrawn here; who
 * serves them is told by posts. Input: the client's messages as the server passes them on; thread:
 * the owner's. Spec: spec/storage-net.md 1.1, 1.3; spec/vmbus.md 2.
 */
#include "storvsp_priv.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_AREA "storvsp"

/* ---- units on a channel ---------------------------------------------------------------------- */

static void port_free(struct storvsp_port *p)
{
	if (!p)
		return;
	p->lun = NULL;
	free(p);
}

static int port_create(struct storvsp_chan *c, struct storvsp_lun *lun,
		       struct storvsp_port **ret_port)
{
	struct storvsp_port *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->lun = lun;
	p->target = lun->target;
	p->num = lun->num;
	r = scsi_queue_create(lun->u, c->sv->loop, c->sv->depth, &p->q);
	if (r < 0) {
		free(p);
		return r;
	}
	storvsp_serve_plug(c->sv, p);
	*ret_port = p;
	return 0;
}

int storvsp_chan_plug(struct storvsp_chan *c, struct storvsp_lun *lun)
{
	struct storvsp_port *p;
	int r;

	if (c->run != RUN_SERVED)
		return 0; /* comes with the next service */
	r = port_create(c, lun, &p);
	if (r < 0)
		return r;
	c->ports[lun->target][lun->num] = p;
	loop_post(c->sv->loop, &p->add);
	return 0;
}

bool storvsp_chan_unplug(struct storvsp_chan *c, struct storvsp_lun *lun)
{
	struct storvsp_port *p = c->ports[lun->target][lun->num];

	if (!p || p->lun != lun)
		return false;
	c->ports[lun->target][lun->num] = NULL;
	c->going++;
	loop_post(c->sv->loop, &p->del);
	return true;
}

static void finish(struct storvsp_chan *c);

void storvsp_chan_port_gone(void *port)
{
	struct storvsp_port *p = port;
	struct storvsp_chan *c = p->sv->chan;
	struct storvsp_lun *lun = p->lun;

	port_free(p);
	c->going--;
	storvsp_lun_left(lun);
	finish(c);
}

/* ---- serving --------------------------------------------------------------------------------- */

static void bell_rung(void *ctx)
{
	struct storvsp_bell *b = ctx;

	if (!b->sv)
		return; /* late: the channel is closed or lives elsewhere */
	storvsp_count(b->sv, STV_N_BELLS, 1);
	b->sv->poke.fn(b->sv);
}

/* The bell of this channel on that loop: the one it had before, or a new one. */
static struct storvsp_bell *get_bell(struct storvsp_chan *c, struct loop *loop)
{
	struct storvsp_bell *b;

	list_for_each(l, &c->bells) {
		b = container_of(l, struct storvsp_bell, link);
		if (b->loop == loop)
			return b;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->loop = loop;
	b->work = (struct loop_work){ .fn = bell_rung, .ctx = b };
	list_add_tail(&c->bells, &b->link);
	return b;
}

static void drop_service(struct storvsp_chan *c)
{
	for (unsigned t = 0; t < STORVSP_TARGETS; t++) {
		for (unsigned n = 0; n < STORVSP_LUNS; n++) {
			if (c->ports[t][n])
				scsi_queue_destroy(c->ports[t][n]->q);
			port_free(c->ports[t][n]);
			c->ports[t][n] = NULL;
		}
	}
	for (unsigned i = 0; c->sv && i < STV_N_COUNTERS; i++)
		c->past[i] += atomic_load_explicit(&c->sv->count[i], memory_order_relaxed);
	storvsp_serve_free(c->sv);
	c->sv = NULL;
}

static int plug_all(struct storvsp_chan *c)
{
	for (unsigned t = 0; t < STORVSP_TARGETS; t++) {
		for (unsigned n = 0; n < STORVSP_LUNS; n++) {
			struct storvsp_lun *lun = c->s->luns[t][n];
			int r = lun ? port_create(c, lun, &c->ports[t][n]) : 0;

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int attach_rings(struct storvsp_serve *sv, const struct vmbus_chan_io *io)
{
	int r = ring_in_init(&sv->in, &io->to_server);

	if (r == 0)
		r = ring_out_init(&sv->out, &io->to_client);
	sv->irq = io->irq;
	return r;
}

/* Everything a service needs; nothing is left behind when it fails. */
static int prepare(struct storvsp_chan *c)
{
	struct vmbus_chan_io io;
	struct loop *loop;
	int r;

	vmbus_chan_io(c->ch, &io);
	loop = c->s->w.vp_loop(c->s->w.ctx, io.target_vp == VMBUS_VP_NONE ? 0 : io.target_vp);
	if (!loop)
		return -EINVAL;
	c->sv = storvsp_serve_alloc(c, loop);
	if (!c->sv)
		return -ENOMEM;
	c->sv->bell = get_bell(c, loop);
	r = c->sv->bell ? attach_rings(c->sv, &io) : -ENOMEM;
	if (r == 0)
		r = plug_all(c);
	if (r < 0)
		drop_service(c);
	return r;
}

/* The loop takes over. */
static void start(struct storvsp_chan *c)
{
	c->run = RUN_SERVED;
	c->ended = c->stop_sent = c->stop_seen = false;
	for (unsigned t = 0; t < STORVSP_TARGETS; t++) {
		for (unsigned n = 0; n < STORVSP_LUNS; n++) {
			if (c->ports[t][n])
				loop_post(c->sv->loop, &c->ports[t][n]->add);
		}
	}
	vmbus_chan_bell(c->ch, c->sv->loop, &c->sv->bell->work);
	loop_post(c->sv->loop, &c->sv->start);
}

static void send_stop(struct storvsp_chan *c)
{
	if (c->stop_sent)
		return;
	c->stop_sent = true;
	loop_post(c->sv->loop, &c->sv->stop);
}

/* Ask the loop to end, at once or (to move) when the requests in flight are answered. */
static void end_service(struct storvsp_chan *c, enum storvsp_after after)
{
	c->after = after;
	c->run = RUN_ENDING;
	if (after == AFTER_MOVE)
		loop_post(c->sv->loop, &c->sv->drain);
	else
		send_stop(c);
}

/* Serve it where the client wants it now. */
static void moved(struct storvsp_chan *c)
{
	struct vmbus_irq irq;
	int r;

	/* Asked first: the rings are attached with the new interrupt. */
	vmbus_chan_bell(c->ch, NULL, NULL);
	vmbus_chan_retarget_done(c->ch, &irq);
	if (c->run != RUN_CLOSED)
		return; /* moved again from inside */
	r = prepare(c);
	if (r < 0) {
		log_warn_rl(ALLOWED, "channel %u cannot be moved (%d)", c->index, r);
		return; /* it stays silent until it is closed */
	}
	c->moves++;
	start(c);
}

/* ---- the server's calls ---------------------------------------------------------------------- */

static void on_open(void *ctx, struct vmbus_chan *ch)
{
	struct storvsp_chan *c = ctx;
	int r = prepare(c);

	if (r < 0) {
		log_warn_rl(ALLOWED, "channel %u cannot be opened (%d)", c->index, r);
		vmbus_chan_open_done(ch, r);
		return;
	}
	c->opens++;
	start(c);
	vmbus_chan_open_done(ch, 0);
}

/* Sub-channels end with their primary; a guest that comes back asks for new ones. */
static void revoke_subchannels(struct storvsp *s)
{
	s->subchannels = 0;
	for (struct list *l = s->chans.next, *next; l != &s->chans; l = next) {
		struct storvsp_chan *c = container_of(l, struct storvsp_chan, link);

		next = l->next;
		if (c->index)
			storvsp_chan_revoke(c);
	}
}

static void closed(struct storvsp_chan *c)
{
	struct storvsp *s = c->s;

	c->closing = false;
	if (c->index == 0) {
		s->proto = (struct storvsp_proto){ 0 };
		atomic_store_explicit(&s->version, 0, memory_order_relaxed);
		revoke_subchannels(s);
	}
	vmbus_chan_close_done(c->ch);
}

static void on_close(void *ctx, struct vmbus_chan *ch)
{
	struct storvsp_chan *c = ctx;

	(void)ch;
	c->closing = true;
	switch (c->run) {
	case RUN_CLOSED: /* a move that failed */
		closed(c);
		break;
	case RUN_SERVED:
		end_service(c, AFTER_CLOSE);
		break;
	case RUN_ENDING: /* it moves: no need to wait for answers any more */
		if (c->after == AFTER_MOVE)
			c->after = AFTER_CLOSE;
		send_stop(c);
		break;
	}
}

static void on_retarget(void *ctx, struct vmbus_chan *ch, uint32_t vp)
{
	struct storvsp_chan *c = ctx;

	(void)ch;
	(void)vp; /* vmbus_chan_io() says it when the time has come */
	if (c->run == RUN_SERVED)
		end_service(c, AFTER_MOVE);
	else if (c->run == RUN_CLOSED)
		moved(c);
}

static void on_released(void *ctx, struct vmbus_chan *ch)
{
	struct storvsp_chan *c = ctx;
	struct storvsp *s = c->s;
	struct list *l;

	(void)ch;
	while ((l = list_pop(&c->bells)))
		vmbus_server_keep(s->w.server, l);
	list_del(&c->link);
	free(c);
	storvsp_settle(s);
}

static const struct vmbus_chan_ops chan_ops = {
	.open = on_open,
	.close = on_close,
	.retarget = on_retarget,
	.released = on_released,
};

/* ---- after the service ----------------------------------------------------------------------- */

/* The loop is done and all ports have been accounted for: what was this for? */
static void finish(struct storvsp_chan *c)
{
	const enum storvsp_after after = c->after;

	if (c->run != RUN_ENDING || !c->ended || c->going || c->stop_sent != c->stop_seen)
		return;
	drop_service(c);
	c->run = RUN_CLOSED;
	switch (after) {
	case AFTER_CLOSE:
		closed(c);
		break;
	case AFTER_MOVE:
		moved(c);
		break;
	case AFTER_REVOKE:
		vmbus_chan_revoke(c->ch);
		break;
	}
}

void storvsp_chan_ended(void *chan)
{
	struct storvsp_chan *c = chan;

	c->ended = true;
	finish(c);
}

void storvsp_chan_stop_seen(void *chan)
{
	struct storvsp_chan *c = chan;

	c->stop_seen = true;
	finish(c);
}

/* Everything in flight of this controller is given up; the guest waits for the answers. */
void storvsp_chan_reset(void *chan)
{
	const struct storvsp_chan *from = chan;

	list_for_each(l, &from->s->chans) {
		struct storvsp_chan *c = container_of(l, struct storvsp_chan, link);

		if (c->run == RUN_SERVED)
			loop_post(c->sv->loop, &c->sv->abort);
	}
}

void storvsp_chan_rescan(struct storvsp *s)
{
	struct storvsp_chan *c = storvsp_chan_find(s, 0);

	if (c && c->run == RUN_SERVED)
		loop_post(c->sv->loop, &c->sv->rescan);
}

/* ---- offers ---------------------------------------------------------------------------------- */

struct storvsp_chan *storvsp_chan_find(struct storvsp *s, uint16_t index)
{
	list_for_each(l, &s->chans) {
		struct storvsp_chan *c = container_of(l, struct storvsp_chan, link);

		if (c->index == index && !c->revoking)
			return c;
	}
	return NULL;
}

static void fill_user(const struct storvsp *s, uint8_t *user)
{
	const struct storvsp_ide_offer ide = { .path = s->cfg.ide_path,
					       .target = s->cfg.ide_target,
					       .flags = STORVSP_IDE_DEVICE };

	memset(user, 0, VMBUS_USER_DATA);
	if (s->cfg.ide)
		memcpy(user, &ide, sizeof(ide));
}

int storvsp_chan_offer(struct storvsp *s, uint16_t index)
{
	static const struct guid scsi = STORVSP_SCSI_GUID, ide = STORVSP_IDE_GUID;
	struct storvsp_chan *c = calloc(1, sizeof(*c));
	uint8_t user[VMBUS_USER_DATA];
	int r;

	if (!c)
		return -ENOMEM;
	fill_user(s, user);
	c->s = s;
	c->index = index;
	list_init(&c->bells);
	list_add_tail(&s->chans, &c->link);
	r = vmbus_chan_offer(s->w.server,
			     &(struct vmbus_chan_cfg){ .interface_id = s->cfg.ide ? ide : scsi,
						       .instance_id = s->cfg.instance,
						       .kind = VMBUS_CHAN_RAW,
						       .subchannel = index,
						       .interface = s->cfg.ide,
						       .user = user,
						       .ops = &chan_ops,
						       .ctx = c },
			     &c->ch);
	if (r < 0) {
		list_del(&c->link);
		free(c);
	}
	return r;
}

void storvsp_chan_revoke(struct storvsp_chan *c)
{
	if (c->revoking)
		return;
	c->revoking = true;
	switch (c->run) {
	case RUN_CLOSED:
		vmbus_chan_revoke(c->ch); /* may free it */
		break;
	case RUN_SERVED:
		end_service(c, AFTER_REVOKE);
		break;
	case RUN_ENDING:
		c->after = AFTER_REVOKE;
		send_stop(c);
		break;
	}
}
