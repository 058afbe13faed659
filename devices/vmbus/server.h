/* SPDX-License-Identifier: MIT */
/*
 * VMBus channel server: offers channels to one client, keeps their state and hands opened rings to
 * devices. Single-threaded: every function and callback runs on the owner's thread. It touches
 * nothing but guest memory and its ops, so hvhost (serving VTL2) and the paravisor (serving VTL0)
 * can both be its owner. Trust: the client is hostile; what it does wrong is logged, answered or
 * ignored as a real host does, and never harms another channel. Spec: spec/vmbus.md chapter 2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem.h"
#include "guid.h"
#include "list.h"
#include "macros.h"
#include "pipe.h"
#include "vmbus_proto.h"

struct inspect;
struct loop;
struct loop_work;
struct vmbus_server;
struct vmbus_chan;

/* What the owner provides. None may call back into the server. */
struct vmbus_server_ops {
	/* Send a control message, in order; @len is exact. Never refused: the owner queues. */
	void (*post)(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, const void *msg,
		     size_t len);
	/* Raise a channel's event flag. Any thread: channels may be served on other threads. */
	void (*signal)(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, uint16_t flag);
	/* The client may (may no longer) signal @chan_id by @connection_id. -errno: id is taken. */
	int (*port_open)(void *ctx, uint32_t chan_id, uint32_t connection_id);
	void (*port_close)(void *ctx, uint32_t chan_id);
	/*
	 * From now on a signal for @chan_id posts @work to @loop instead of vmbus_server_signal();
	 * NULL: as before. When it returns, nobody posts what was named before. NULL: this owner
	 * always tells the server.
	 */
	void (*bell)(void *ctx, uint32_t chan_id, struct loop *loop, struct loop_work *work);
	/* A connection exists with this version; 0: it ended. May be NULL. */
	void (*connected)(void *ctx, uint32_t version);
	/* What the client shows on a channel: each message of a pipe as it is received, and the
	 * pages of the rings when they are let go. For a recorder; may be NULL. */
	void (*seen)(void *ctx, uint32_t chan_id, bool page, const void *data, size_t len);
};

struct vmbus_server_cfg {
	struct gmem *gm; /* what the client may put into GPADLs */
	const struct vmbus_server_ops *ops;
	void *ctx;
	uint8_t vtl; /* of the client's channels: event ids, interrupts */
	uint8_t reply_vtl, reply_sint; /* where control messages go (differs for a relay) */
	uint32_t message_id; /* connection id that the version response names */
	uint32_t max_version; /* enum vmbus_version */
	uint32_t features; /* VMBUS_FEAT_* that may be agreed */
	uint32_t vps; /* valid targets: 0..vps-1 */
	/* Of the owner's thread: a channel that was opened is looked at once more a little later,
	 * for clients that lose what comes before their answer. NULL: it is not. */
	struct loop *loop;
};

must_check int vmbus_server_create(const struct vmbus_server_cfg *cfg, struct vmbus_server **ret_s);

/* The devices must have withdrawn their channels (vmbus_chan_destroy) first. Accepts NULL. */
void vmbus_server_destroy(struct vmbus_server *s);

/**
 * vmbus_server_message - a control message of the client
 * @multiclient: it came through a port that later clients use: its target VTL and SINT count
 * @raw: private copy
 */
void vmbus_server_message(struct vmbus_server *s, bool multiclient, const void *raw, size_t len);

/* The client signalled a channel (unknown or closed: ignored). */
void vmbus_server_signal(struct vmbus_server *s, uint32_t chan_id);

/* The client is gone (VTL reset): close all channels, forget the connection. */
void vmbus_server_reset(struct vmbus_server *s);

/**
 * vmbus_server_hook_tl_connect - who answers TL_CONNECT_REQUEST (hvsock)
 * @fn: 0 = will offer a channel {interface = service, instance = endpoint}; -errno = refused
 */
void vmbus_server_hook_tl_connect(struct vmbus_server *s,
				  int (*fn)(void *ctx, const struct guid *endpoint,
					    const struct guid *service),
				  void *ctx);

/* Is a client connected that has asked for offers? */
bool vmbus_server_ready(const struct vmbus_server *s);

/* The connection, the GPADLs and every channel: an inspect_fn on the struct vmbus_server. Context:
 * the owner's thread. */
void vmbus_server_inspect(struct inspect *in, const void *s);

/* ---- channels, for devices ------------------------------------------------------------------- */

struct vmbus_chan_ops {
	/*
	 * The client opens the channel; its rings are in vmbus_chan_pipe(). Answer with
	 * vmbus_chan_open_done(), now or later.
	 */
	void (*open)(void *ctx, struct vmbus_chan *ch);
	/*
	 * The client closes it (or went away). Use of the rings must end; say so with
	 * vmbus_chan_close_done(), now or later.
	 */
	void (*close)(void *ctx, struct vmbus_chan *ch);
	/* The client signalled: data or room may be there. Only while open. */
	void (*signalled)(void *ctx, struct vmbus_chan *ch);
	/*
	 * The client wants its interrupts on another VP. Move, then vmbus_chan_retarget_done(),
	 * now or later; not needed any more once ops->close came. One at a time.
	 * NULL: the server just changes the target.
	 */
	void (*retarget)(void *ctx, struct vmbus_chan *ch, uint32_t vp);
	/*
	 * Only of relayed channels, which somebody else serves. A GPADL is complete (@words as in
	 * the messages): answer with vmbus_chan_gpadl_done(), now or later.
	 */
	void (*gpadl)(void *ctx, struct vmbus_chan *ch, uint32_t gpadl, uint16_t n_ranges,
		      const uint64_t *words, uint32_t n_words);
	/* The client wants it back, or is gone. True: vmbus_chan_gpadl_torndown() will follow;
	 * false: it is out of use already. */
	bool (*gpadl_teardown)(void *ctx, struct vmbus_chan *ch, uint32_t gpadl);
	/* After vmbus_chan_revoke(), perhaps from inside it: the client has let go and the channel
	 * is freed when this returns. Offer no channel from here, destroy none. May be NULL. */
	void (*released)(void *ctx, struct vmbus_chan *ch);
};

enum vmbus_chan_kind {
	VMBUS_CHAN_RAW, /* packets as the device likes */
	VMBUS_CHAN_PIPE, /* message pipe */
	VMBUS_CHAN_HVSOCK, /* byte pipe of a socket */
	VMBUS_CHAN_RELAYED, /* somebody else's: rings and signals do not concern this server */
};

struct vmbus_chan_cfg {
	struct guid interface_id, instance_id;
	enum vmbus_chan_kind kind;
	bool hvsock_from_host; /* VMBUS_CHAN_HVSOCK: the host connects to a guest's listener */
	/* 0 = primary; others have the same GUIDs, are offered when made, and are the device's to
	 * revoke when the primary closes. */
	uint16_t subchannel;
	bool interface; /* VMBUS_CHAN_RAW: offer flag "device interface" */
	uint16_t mmio_mb;
	const uint8_t *user; /* VMBUS_USER_DATA bytes for RAW, or NULL */
	const struct vmbus_offer *relayed; /* VMBUS_CHAN_RELAYED: the offer to pass on */
	const struct vmbus_chan_ops *ops;
	void *ctx;
};

/**
 * vmbus_chan_offer - make a channel and offer it as soon as a client asks
 * Returns: 0; -EEXIST (same interface, instance and subchannel); -ENOSPC (ids); -ENOMEM; -EINVAL
 * (only raw channels have subchannels)
 */
must_check int vmbus_chan_offer(struct vmbus_server *s, const struct vmbus_chan_cfg *cfg,
				struct vmbus_chan **ret_ch);

/* Answer to ops->open: 0 or -errno (refused). */
void vmbus_chan_open_done(struct vmbus_chan *ch, int err);

/* Answer to ops->close: the rings are not used any more and vanish. */
void vmbus_chan_close_done(struct vmbus_chan *ch);

/**
 * vmbus_chan_revoke - take the channel away from the client
 * The device has stopped using the rings; neither close nor any other callback but released comes
 * afterwards, and an open or close that is unanswered needs no answer any more.
 */
void vmbus_chan_revoke(struct vmbus_chan *ch);

/* Free the channel without waiting for the client: only when the server ends. Accepts NULL. */
void vmbus_chan_destroy(struct vmbus_chan *ch);

/* How to interrupt the client: a copy may be used on any thread until vmbus_chan_close_done(). */
struct vmbus_irq {
	void (*signal)(void *ctx, uint32_t vp, uint8_t vtl, uint8_t sint, uint16_t flag);
	void *ctx;
	uint32_t vp; /* VMBUS_VP_NONE: the client wants none */
	uint8_t vtl, sint;
	uint16_t flag;
};

static inline void vmbus_irq_raise(const struct vmbus_irq *irq)
{
	if (irq->vp != VMBUS_VP_NONE)
		irq->signal(irq->ctx, irq->vp, irq->vtl, irq->sint, irq->flag);
}

/* What a device that serves a raw channel by itself, perhaps on another thread, needs of it. */
struct vmbus_chan_io {
	struct ring_mem to_server, to_client; /* pages stay until vmbus_chan_close_done() */
	struct vmbus_irq irq;
	uint32_t target_vp;
	uint8_t user[VMBUS_USER_DATA]; /* of the OPEN message */
};

/**
 * vmbus_chan_io - take over the rings of a raw channel: nothing is attached to them then
 * The server no longer touches the rings' contents; the pipe of the channel stays unusable.
 * Context: owner's thread, in ops->open or later while open.
 */
void vmbus_chan_io(struct vmbus_chan *ch, struct vmbus_chan_io *ret_io);

/*
 * Where signals of the client go from now on (ops->bell); NULL, NULL: to ops->signalled. Ends by
 * itself with the open state. Afterwards nobody posts the old work any more, but it may lie in the
 * old loop's queue: in front of whatever is posted there next. Look at the rings after a change.
 * In ops->open it takes effect before the client learns that the channel is open.
 */
void vmbus_chan_bell(struct vmbus_chan *ch, struct loop *loop, struct loop_work *work);

/* Answer to ops->retarget: no interrupt goes to the old VP any more. @ret_irq: the new one. Also
 * harmless while the channel closes. */
void vmbus_chan_retarget_done(struct vmbus_chan *ch, struct vmbus_irq *ret_irq);

/* Memory that a late signal may still name as its work (ops->bell): freed when the server is. The
 * list element is the first member of something from malloc(). Owner's thread. */
void vmbus_server_keep(struct vmbus_server *s, struct list *mem);

/* A GPADL of this channel as page numbers, for devices that share more than rings. Returns the
 * number of pages (at most @cap are written); -ENOENT; -EBADMSG (several ranges). Owner's thread.
 */
must_check int64_t vmbus_chan_gpadl(struct vmbus_chan *ch, uint32_t gpadl, gpn_t *ret_pages,
				    size_t cap);

/* For relayed channels: the client's OPEN message with the signal parameters that hold, valid from
 * ops->open to vmbus_chan_close_done(). */
const struct vmbus_open *vmbus_chan_open_msg(const struct vmbus_chan *ch);

/* Answers to ops->gpadl and ops->gpadl_teardown; of GPADLs that are gone meanwhile: ignored. */
void vmbus_chan_gpadl_done(struct vmbus_chan *ch, uint32_t gpadl, bool ok);
void vmbus_chan_gpadl_torndown(struct vmbus_chan *ch, uint32_t gpadl);

/* The rings, valid between ops->open and vmbus_chan_close_done(). pipe->wake and gone are unused.
 */
struct pipe *vmbus_chan_pipe(struct vmbus_chan *ch);

/* Interrupt the client on behalf of an open channel; pipe functions do it by themselves. */
void vmbus_chan_interrupt(struct vmbus_chan *ch);

uint32_t vmbus_chan_id(const struct vmbus_chan *ch);
