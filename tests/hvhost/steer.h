/* SPDX-License-Identifier: MIT */
/*
 * Who steers a run: the clients of its control socket and its scenario, as one thing for the front
 * end's loop. The front end's thread only.
 */
#pragma once

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl_front.h"
#include "macros.h"
#include "scenario.h"

struct steer;

#define STEER_FDS CTL_FRONT_FDS

struct steer_cfg {
	const char *socket_path; /* NULL = none */
	const char *scenario_path; /* NULL = none */
	void (*send)(void *ctx, const void *buf, size_t len); /* to the session's control */
	void (*say)(void *ctx, const char *text); /* on VTL0's COM1 */
	void *ctx;
};

/* Returns: 0; -errno after printing one sentence. */
must_check int steer_create(const struct steer_cfg *cfg, struct steer **ret_st);
void steer_destroy(struct steer *st); /* accepts NULL, as everything below */

/* A virtual machine begins: the scenario does, too. / It is gone for good, or the emulator failed.
 */
void steer_begin(struct steer *st);
void steer_end(struct steer *st);

/* Answers of the session; what the guest says. */
void steer_answer(struct steer *st, const void *buf, size_t len);
void steer_heard(struct steer *st, enum scenario_stream stream, const void *buf, size_t len);

/* At most STEER_FDS fds. */
int steer_fill(struct steer *st, struct pollfd *fds);
/* @n: as steer_fill() returned. */
void steer_done(struct steer *st, const struct pollfd *fds, int n);

/* The earlier of @ms and when the scenario goes on; -1 = never. In milliseconds, for poll(2). */
int steer_timeout(struct steer *st, int ms);

/* What did not go as the scenario says, or NULL. */
const char *steer_problem(struct steer *st);
