/* SPDX-License-Identifier: MIT */
/*
 * The process of the vm role as the control role sees it: started, listened to, and noticed when it
 * ends. Context: control's loop thread. Trust: its messages are checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "log_record.h"
#include "loop.h"
#include "macros.h"

struct ipc;

struct vmproc_ops {
	/* VTL0 is about to run. Times of CLOCK_BOOTTIME. */
	void (*started)(void *ctx, uint64_t host_ready_ns, uint64_t now_ns);
	/* A record of its log, valid during the call. */
	void (*log)(void *ctx, const struct log_record *rec);
	/* Answers, and a question; ids as given to vmproc_send(), respectively by the other side.
	 * @text: terminated, "" = success */
	void (*inspected)(void *ctx, uint64_t id, const uint8_t *body, size_t len);
	void (*answered)(void *ctx, uint64_t id, const char *text);
	void (*flush)(void *ctx, uint64_t id);
	/* It is no more and was reaped. @status: of waitpid(). What it had sent may still come. */
	void (*ended)(void *ctx, int status);
};

struct vmproc {
	struct loop *loop;
	const struct vmproc_ops *ops;
	void *ctx;
	pid_t pid; /* 0 = not running */
	int pidfd;
	struct loop_fd watch;
	struct ipc *ipc; /* NULL: the connection is gone */
};

struct vmproc_start {
	uint64_t daemon_start_ns;
	struct {
		const char *const *arg;
		size_t n;
	} args[2]; /* one after the other */
	char *const *env; /* NULL-terminated */
};

void vmproc_init(struct vmproc *vp, struct loop *loop, const struct vmproc_ops *ops, void *ctx);

/**
 * vmproc_launch - start the role
 * Only while it does not run. Returns: 0; -errno
 */
must_check int vmproc_launch(struct vmproc *vp, const struct vmproc_start *start);

/* Send one message. Returns: as ipc_send(); -EPIPE also when it does not run. */
must_check int vmproc_send(struct vmproc *vp, uint32_t type, uint64_t id, const void *body,
			   size_t len);

/* Send a signal, if it runs. */
void vmproc_kill(struct vmproc *vp, int signo);

/* Does nothing more come from it? */
static inline bool vmproc_silent(const struct vmproc *vp)
{
	return !vp->ipc;
}

/* Kill and reap it if it still runs; no callback follows. */
void vmproc_fini(struct vmproc *vp);
