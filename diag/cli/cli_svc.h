/* SPDX-License-Identifier: MIT */
/*
 * What a command works with: the VM it was given, the connection to it, and the calls of the
 * services in typed form. Every function returns 0 or -1; then c->err says why.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli_args.h"
#include "cli_err.h"
#include "cli_rpc.h"
#include "inspect.h"
#include "macros.h"

#define SVC_UNDERHILL "diag.UnderhillDiag"
#define SVC_OPENHCL "diag.OpenhclDiag"
#define SVC_INSPECT "inspect.InspectService"

/* A decoded tree may take this much memory. */
#define SVC_TREE_MAX ((size_t)128 << 20)

#define SVC_DEPTH_ALL UINT32_MAX

struct Diag__ExecRequest;
struct ProtobufCMessage;

struct cli_ctx {
	const struct cli_parsed *args;
	const char *path; /* of the VM's socket */
	bool json;
	struct cli_rpc *rpc; /* connects when first used */
	struct cli_err err;
};

/**
 * svc_call - one call, start to end
 * @req: NULL = an empty message
 * @timeout_ns: the server's limit; it is waited for a little longer here. 0 = none
 * @ret_payload: to be freed; may be NULL when the response carries nothing
 */
must_check int svc_call(struct cli_ctx *c, const char *service, const char *method,
			const struct ProtobufCMessage *req, uint64_t timeout_ns,
			uint8_t **ret_payload, size_t *ret_len);

/* A call without data in either direction. */
must_check int svc_simple(struct cli_ctx *c, const char *service, const char *method);

/* A data connection. Returns: the socket; -1 */
must_check int svc_data(struct cli_ctx *c, uint64_t *ret_id);

/**
 * svc_inspect - read the tree
 * @depth: levels below the node at @path; SVC_DEPTH_ALL
 * @ret_tree: to be released with inspect_tree_fini(); its strings are UTF-8, nothing more
 */
must_check int svc_inspect(struct cli_ctx *c, const char *path, uint32_t depth, uint64_t timeout_ns,
			   struct inspect_tree *ret_tree);
must_check int svc_update(struct cli_ctx *c, const char *path, const char *value,
			  struct inspect_tree *ret_tree);

/* The process that has this name in the tree. */
must_check int svc_pid_of(struct cli_ctx *c, const char *name, int32_t *ret_pid);
/* ... or the one given as a number: options -p and -n of a command. */
must_check int svc_pid_arg(struct cli_ctx *c, int32_t *ret_pid);

/* A program that runs in VTL2. */
struct svc_proc {
	int in, out, err; /* sockets; -1 = not connected */
	int32_t pid;
	struct cli_call *wait;
};

/**
 * svc_spawn - run a program
 * @req: all but the connections
 * @in: connect its input; its output and errors always are
 * @ret_proc: to be released with svc_proc_fini()
 */
must_check int svc_spawn(struct cli_ctx *c, struct Diag__ExecRequest *req, bool in,
			 struct svc_proc *ret_proc);
void svc_proc_fini(struct cli_ctx *c, struct svc_proc *proc);
/* Wait for its end. */
must_check int svc_wait(struct cli_ctx *c, struct svc_proc *proc, int32_t *ret_code);
