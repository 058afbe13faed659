/* SPDX-License-Identifier: MIT */
/* Shared by the files of the channel server; nobody else includes this. */
#pragma once

#include "chanmsg.h"
#include "gpadl.h"
#include "list.h"
#include "loop.h"
#include "server.h"

#define SERVER_MAX_TL_PENDING 16
/* Control messages held back while the client paused us; more ends the connection. */
#define SERVER_MAX_HELD 4096

enum vmbus_chan_state {
	CHAN_CLOSED,
	CHAN_OPENING, /* the device was asked */
	CHAN_OPEN,
	CHAN_CLOSING, /* the device was told */
};

struct vmbus_chan {
	struct list link; /* in server order: sorted by identity */
	struct vmbus_server *s;
	uint32_t id;
	struct vmbus_offer offer; /* template: everything but header and connection id */
	const struct vmbus_chan_ops *ops;
	void *ctx;
	enum vmbus_chan_state state;
	bool offered; /* the client of this connection knows it and has not released it */
	bool client_released; /* it had it and let go: not offered again on this connection */
	bool revoked;
	bool abort_open; /* the connection went while the device was opening */
	bool reopen; /* OPEN came while closing */
	bool relayed; /* VMBUS_CHAN_RELAYED */
	bool handed; /* the device has the rings, vmbus_chan_io() */
	bool modifying; /* the device moves to modify_vp */
	bool modify_again; /* and after that to next_vp */
	uint32_t modify_vp, next_vp;
	struct vmbus_open open; /* of the current open */
	struct vmbus_open reopen_msg;
	void **pages;
	uint32_t n_pages;
	struct ring_mem to_server, to_client;
	struct pipe pipe;
	struct loop *bell_loop; /* NULL: signals go to ops->signalled */
	struct loop_work *bell_work;
	struct loop_timer recheck; /* used only when cfg.loop is there */
};

struct held_msg {
	struct list link;
	size_t len;
	uint8_t raw[];
};

/* What waits until every channel has closed. */
enum server_next { NEXT_NONE, NEXT_UNLOAD, NEXT_CONTACT, NEXT_RESET };

struct vmbus_server {
	struct vmbus_server_cfg cfg;
	struct list chans;
	struct vmbus_chan *by_id[VMBUS_MAX_CHANNELS];
	uint32_t next_id;
	uint32_t version; /* 0 = not connected */
	uint32_t features;
	uint32_t reply_vp;
	struct guid client_id; /* zero unless VMBUS_FEAT_CLIENT_ID */
	bool offers_sent;
	bool paused;
	bool closing; /* all channels are being closed for `next` */
	bool winding; /* the loop that closes them runs: nobody may free channels */
	enum server_next next;
	struct chanmsg contact; /* for NEXT_CONTACT */
	struct gpadl_set gpadls;
	struct list held;
	uint32_t n_held;
	struct list kept; /* vmbus_server_keep() */
	int (*tl_connect)(void *ctx, const struct guid *endpoint, const struct guid *service);
	void *tl_ctx;
};

/* server.c */
void server_post(struct vmbus_server *s, const void *msg, size_t len);
void server_chan_settled(struct vmbus_server *s); /* a channel closed: is the way free for next? */

/* server_chan.c */
/* The channel a message is about: known to this client. NULL and a log line otherwise. */
struct vmbus_chan *chan_of(struct vmbus_server *s, uint32_t raw_id, uint32_t type);
void chan_send_offer(struct vmbus_chan *ch);
void chan_handle_open(struct vmbus_server *s, const struct chanmsg *m);
void chan_handle_close(struct vmbus_server *s, const struct chanmsg *m);
void chan_handle_released(struct vmbus_server *s, const struct chanmsg *m);
void chan_handle_gpadl_header(struct vmbus_server *s, const struct chanmsg *m);
void chan_handle_gpadl_body(struct vmbus_server *s, const struct chanmsg *m);
void chan_handle_gpadl_teardown(struct vmbus_server *s, const struct chanmsg *m);
void chan_send_gpadl_created(struct vmbus_server *s, uint32_t chan_id, uint32_t id, bool ok);
void chan_send_torndown(struct vmbus_server *s, uint32_t id);
void chan_force_close(struct vmbus_chan *ch); /* the connection ends */
void chan_forget_client(struct vmbus_chan *ch); /* after that; frees a revoked channel */

/* server_relayed.c */
void chan_gpadl_complete(struct vmbus_chan *ch, struct gpadl *g); /* all of it is here */
/* The client wants it back. True: answered later. */
bool chan_gpadl_leave(struct vmbus_chan *ch, struct gpadl *g);
void chan_gpadl_drop_all(struct vmbus_chan *ch); /* the client is gone */

/* server_io.c */
void chan_io_opened(struct vmbus_chan *ch); /* the client is about to be told */
void chan_io_ended(struct vmbus_chan *ch); /* the rings are out of use */
void chan_handle_modify(struct vmbus_server *s, const struct chanmsg *m);
