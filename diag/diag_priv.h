/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the diagnostics server know of each other. All of it belongs to one loop's
 * thread. Connections and streams that end inside a callback are closed at once and freed when the
 * outermost callback returns (diag_enter, diag_leave), so that nobody up the stack is left with a
 * dangling pointer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "diag_server.h"
#include "list.h"
#include "ttrpc.h"

/* google.rpc.Code, as far as used. */
enum diag_code {
	DIAG_UNKNOWN = 2,
	DIAG_INVALID_ARGUMENT = 3,
	DIAG_DEADLINE_EXCEEDED = 4,
	DIAG_RESOURCE_EXHAUSTED = 8,
	DIAG_UNIMPLEMENTED = 12,
	DIAG_INTERNAL = 13,
};

#define DIAG_TEXT_MAX 1024u /* bytes of an error text */

/* ---- watched fds ----------------------------------------------------------------------------- */

struct diag_watch {
	struct loop_fd lfd;
	struct loop *loop;
	int fd;
	uint32_t events; /* watched now, 0 = not watched */
	void (*fn)(void *ctx, uint32_t events);
	void *ctx;
};

void diag_watch_init(struct diag_watch *w, struct loop *loop, int fd,
		     void (*fn)(void *ctx, uint32_t events), void *ctx);
/* Watch for these from now on; 0 = for nothing, not even for errors. */
must_check int diag_watch_set(struct diag_watch *w, uint32_t events);
void diag_watch_stop(struct diag_watch *w);

/* ---- the server ------------------------------------------------------------------------------ */

/* An object that is freed when no callback is active any more. */
struct diag_grave {
	struct list link;
	void (*free_fn)(struct diag_grave *g);
};

struct diag_listener {
	struct diag_server *srv;
	struct diag_watch watch;
	struct loop_timer pause; /* no fds or no memory: try again later */
	void (*accepted)(struct diag_server *srv, int fd);
	int fd;
};

struct diag_server {
	struct loop *loop;
	bool restricted;
	struct diag_ops ops;
	void *ctx;
	char *kmsg_path;
	uint64_t stall_ns;
	const struct diag_method *methods;
	struct diag_listener control, data;
	unsigned depth; /* callbacks on the stack */
	struct list graves;

	struct list ctls; /* struct diag_ctl */
	struct ttrpc_pool frames;
	size_t answer_bytes; /* queued for all clients */
	unsigned n_ctl;
	struct list lost; /* calls that the owner still has and nobody waits for */
	unsigned n_lost;

	struct list unclaimed; /* struct diag_data, oldest first */
	struct list relays; /* struct diag_relay */
	struct list files; /* struct diag_file */
	unsigned n_data; /* data connections, claimed or not */
	uint64_t next_id;

	struct list children; /* struct diag_child, oldest first */
	unsigned n_running, n_exited;

	struct { /* counters, for inspection */
		uint64_t control_accepted, control_evicted, control_dropped;
		uint64_t data_accepted, data_evicted, data_refused;
		uint64_t requests, refused, errors, late;
		uint64_t programs;
	} n;
};

void diag_enter(struct diag_server *srv);
void diag_leave(struct diag_server *srv);
void diag_bury(struct diag_server *srv, struct diag_grave *g,
	       void (*free_fn)(struct diag_grave *g));

/* ---- control connections and calls ----------------------------------------------------------- */

enum diag_answer { /* what success looks like */
		   DIAG_ANSWER_EMPTY,
		   DIAG_ANSWER_DATA,
		   DIAG_ANSWER_STREAMS,
		   DIAG_ANSWER_INSPECT,
		   DIAG_ANSWER_UPDATE,
};

struct diag_call {
	struct list link; /* of its connection, or of the server's lost ones */
	struct diag_server *srv; /* NULL: destroyed */
	struct diag_ctl *ctl; /* NULL: nobody waits */
	struct loop_timer deadline;
	uint64_t deadline_ns;
	uint32_t stream;
	enum diag_answer answer;
};

void diag_control_accepted(struct diag_server *srv, int fd);
void diag_control_close_all(struct diag_server *srv);

/* The call succeeded with this message, or failed with this status; it is gone then. */
void diag_call_ok(struct diag_call *call, const uint8_t *msg, size_t len);
void diag_call_status(struct diag_call *call, enum diag_code code, const char *text);
/* "<what>: <system's words> (os error N)" */
void diag_call_errno(struct diag_call *call, const char *what, int err);

/* ---- methods --------------------------------------------------------------------------------- */

struct diag_method {
	const char *service, *name;
	/* @call may be gone as soon as its request has turned out not to be one. */
	void (*fn)(struct diag_server *srv, struct diag_call *call, const uint8_t *raw, size_t len);
	enum diag_answer answer;
	bool no_deadline; /* answers by itself when the time is over, or at once */
};

extern const struct diag_method diag_methods_full[], diag_methods_restricted[];

/* Looks the method up and runs it, or fails the call. */
void diag_method_run(struct diag_call *call, const char *service, const char *name,
		     const uint8_t *raw, size_t len);

/* ---- data connections ------------------------------------------------------------------------ */

void diag_data_accepted(struct diag_server *srv, int fd);
void diag_data_close_all(struct diag_server *srv);

/**
 * diag_data_take - claim a data connection
 * @ret_fd: non-blocking; to be closed by diag_data_release()
 * Returns: NULL or an error text
 */
const char *diag_data_take(struct diag_server *srv, uint64_t id, int *ret_fd);
void diag_data_release(struct diag_server *srv, int fd);

/* ---- streams --------------------------------------------------------------------------------- */

#define DIAG_RELAY_BYTES 4096u

/* Copies one way until the source ends or the sink's reader goes away. */
struct diag_relay {
	struct diag_grave grave;
	struct list link;
	struct diag_server *srv;
	struct diag_relay **owner; /* set to NULL when the relay ends; may be NULL */
	struct diag_watch in, out;
	int in_fd, out_fd; /* -1 = closed */
	bool in_data,
		out_data; /* is it a data connection? the sink is one, or a pipe or terminal */
	bool linger; /* the source is over: waits for the client to close */
	uint32_t off, len;
	uint8_t buf[DIAG_RELAY_BYTES];
};

/* Takes both fds over (closes them when it fails). Returns: 0; -ENOMEM; -errno of the loop */
must_check int diag_relay_start(struct diag_server *srv, int in_fd, bool in_data, int out_fd,
				bool out_data, struct diag_relay **owner);
/* End the stream: the client is told, and waited for. Takes the fd of a data connection over. */
void diag_stream_finish(struct diag_server *srv, int fd);
void diag_relay_stop(struct diag_relay *r);
/* Makes room by ending the oldest relay that only waits for its client. */
bool diag_relay_evict(struct diag_server *srv);

/**
 * diag_file_start - stream a file to a data connection
 * @fd, @conn: taken over on success
 */
must_check int diag_file_start(struct diag_server *srv, int fd, bool records, bool follow,
			       int conn);
void diag_stream_close_all(struct diag_server *srv);

/* ---- programs -------------------------------------------------------------------------------- */

struct diag_exec {
	char *command;
	char *const *args;
	size_t n_args;
	const struct diag_env *env;
	size_t n_env;
	bool clear_env, tty, combine_stderr, raw_socket_io;
	int conn[3]; /* stdin, stdout, stderr; -1 = inherited */
};

/* Runs a program and answers with its pid. Takes the connections over. */
void diag_exec_run(struct diag_call *call, struct diag_exec *x);
void diag_exec_wait(struct diag_call *call, int32_t pid);
void diag_exec_close_all(struct diag_server *srv);

/**
 * diag_env_build - the environment of a child, sorted by name
 * @base: NULL-terminated "NAME=value"
 * @ret_env: NULL-terminated; free() releases it and its strings at once
 */
must_check int diag_env_build(char *const *base, const struct diag_env *env, size_t n_env,
			      char ***ret_env);
