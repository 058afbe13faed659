/* SPDX-License-Identifier: MIT */
/*
 * The diagnostics server: ttrpc on one listening socket, data streams on another, the services
 * diag.OpenhclDiag, diag.UnderhillDiag, inspect.InspectService and profile.AzureProfiler. It speaks
 * the protocols, runs programs and streams files by itself; what concerns the VM it asks its owner
 * for, who answers whenever he can.
 *
 * Everything happens on the thread of one loop and nothing blocks. Restriction is a method table of
 * its own, chosen at creation: the other methods are not in it.
 *
 * Memory: whatever clients do, the server holds at most DIAG_MEMORY_MAX bytes for them (its own
 * heap; sockets' and pipes' kernel buffers come on top, for DIAG_MAX_CONTROL + DIAG_MAX_DATA
 * sockets). Clients that go over a limit lose their requests or connections, nobody else's.
 *
 * Trust: clients are the host's. Spec: OpenHCL diagnostics, sections 1 to 4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect.h"
#include "loop.h"
#include "macros.h"

#define DIAG_PORT_CONTROL 1u
#define DIAG_PORT_DATA 2u

#define DIAG_MAX_CONTROL 32u /* connections; one more ends the one that was idle longest */
#define DIAG_MAX_DATA 64u /* data connections; one more ends the oldest that nobody claimed */
#define DIAG_MAX_CALLS 64u /* unanswered requests of one connection; then it is not read */
#define DIAG_MAX_CHILDREN 16u /* programs running at once */
#define DIAG_MAX_EXITED 64u /* exit codes kept for Wait; one more forgets the oldest */
#define DIAG_MAX_ARGS 4096u /* elements of all lists of one request together */
#define DIAG_FRAME_MAX (1u << 20) /* bytes of a request; longer ones are skipped and refused */
#define DIAG_FRAMES_MAX (2u << 20) /* bytes of unfinished requests of all connections */
#define DIAG_ANSWER_MAX (4u << 20) /* bytes of one answer */
#define DIAG_ANSWERS_MAX (6u << 20) /* bytes of answers that clients have not read yet */
#define DIAG_STALL_NS (60u * 1000000000ull) /* an answer that does not move ends the connection */
/* All of the above, one request being decoded, and the bookkeeping. */
#define DIAG_MEMORY_MAX (18u << 20)

/*
 * One request that the owner is asked. It stays valid until the owner completes it by exactly one
 * of diag_call_done .. diag_call_fail, also when its client is gone, its deadline is over or the
 * server was destroyed. Completing may happen inside the operation itself. Context: loop thread.
 */
struct diag_call;

/* Success without data: start, restart, pause, resume. */
void diag_call_done(struct diag_call *call);
/* Success of dump_saved_state. @data: copied. */
void diag_call_data(struct diag_call *call, const void *data, size_t len);
/* Success of packet_capture: the number of streams it needs (query) or 0. */
void diag_call_streams(struct diag_call *call, uint32_t n);
/* The answer of inspect, sorted here; emptied. What is still pending in it becomes unresolved. */
void diag_call_tree(struct diag_call *call, struct inspect_tree *tree);
/* Failure, in the words the client prints. Text that is not UTF-8 is made so. */
void diag_call_fail(struct diag_call *call, const char *fmt, ...) printf_like(2, 3);

struct diag_env {
	const char *name;
	const char *val; /* NULL = remove the variable */
};

struct diag_start {
	const struct diag_env *env;
	size_t n_env;
	const char *const *args;
	size_t n_args;
};

enum diag_capture_op { DIAG_CAPTURE_QUERY, DIAG_CAPTURE_START, DIAG_CAPTURE_STOP };

struct diag_capture {
	enum diag_capture_op op;
	uint32_t snaplen;
	const int *fds; /* streams, owned by the callee from now on */
	size_t n_fds;
};

/*
 * What the owner provides. Called on the loop's thread; must not block. Strings and structs are
 * valid during the call only. A restricted server calls nothing but inspect, with SENS_SAFE and
 * never with a new value.
 */
struct diag_ops {
	/*
	 * Read or update the tree. @req: path and value within INSPECT_PATH_MAX and
	 * INSPECT_VALUE_MAX, ceiling as the kind of server demands. @deadline_ns: of
	 * CLOCK_MONOTONIC, UINT64_MAX = none; the owner answers by then with what there is.
	 */
	void (*inspect)(void *ctx, struct diag_call *call, const struct inspect_request *req,
			uint64_t deadline_ns);
	/* "workers have already been started" unless they wait for it. */
	void (*start)(void *ctx, struct diag_call *call, const struct diag_start *req);
	void (*restart)(void *ctx, struct diag_call *call);
	void (*pause)(void *ctx, struct diag_call *call);
	void (*resume)(void *ctx, struct diag_call *call);
	void (*dump_saved_state)(void *ctx, struct diag_call *call);
	/* NULL = there are no network settings. */
	void (*packet_capture)(void *ctx, struct diag_call *call, const struct diag_capture *req);
	/* Crash the role with this pid; the request has been answered already. */
	void (*crash)(void *ctx, int32_t pid);
};

struct diag_server;

struct diag_server_cfg {
	struct loop *loop;
	bool restricted;
	int control_fd, data_fd; /* listening stream sockets; taken over on success */
	const struct diag_ops *ops; /* copied */
	void *ctx; /* of the operations */
	const char *kmsg_path; /* NULL = /dev/kmsg; copied */
	uint64_t stall_ns; /* 0 = DIAG_STALL_NS */
};

/**
 * diag_server_create - serve from now on
 * The programs that clients run are children of this process and inherit its environment, standard
 * files and working directory: the owner must not reap children it does not know, nor ignore
 * SIGCHLD; SIGPIPE must be ignored.
 * Returns: 0; -ENOMEM; -errno of the loop or of a socket. Context: loop thread, or before it runs.
 */
must_check int diag_server_create(const struct diag_server_cfg *cfg, struct diag_server **ret_srv);

/* Closes everything; running programs are killed. Calls with the owner stay his. Accepts NULL. */
void diag_server_destroy(struct diag_server *srv);

/* Connections, requests, programs, limits that were hit: an inspect_fn. */
void diag_server_inspect(struct inspect *in, const void *srv);

/**
 * diag_vsock_listen - a listening AF_VSOCK socket of any context id
 * Returns: 0; -errno
 */
must_check int diag_vsock_listen(uint32_t port, int *ret_fd);
