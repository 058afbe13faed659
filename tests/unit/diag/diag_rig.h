/* SPDX-License-Identifier: MIT */
/*
 * A diagnostics server and its clients in one process and on one thread: whatever waits for the
 * server runs its loop. Every failure ends the test.
 */
#pragma once

#include "diag_server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_MSG_MAX (2u << 20)

#define SVC_DIAG "diag.UnderhillDiag"
#define SVC_OPEN "diag.OpenhclDiag"
#define SVC_INSPECT "inspect.InspectService"
#define SVC_PROFILE "profile.AzureProfiler"

/* A message being written, or one that was received. */
struct msg {
	uint8_t *p;
	size_t len;
};

struct rig {
	struct loop *loop;
	struct diag_server *srv;
	char dir[32], path[2][48];
	/* The owner: what it was asked, and whether it answers at once. */
	bool hold;
	struct diag_call *held[300];
	unsigned n_held, n_inspect, n_update, n_vm;
	int32_t crashed;
	char last_path[64];
	uint64_t last_deadline_ns;
	enum inspect_sens last_max;
	size_t n_start_env, n_start_args, big; /* bytes of the value of "big" */
};

#define RIG_STALL_MS 300u /* unread answers end a connection after this */

void rig_start(struct rig *r, bool restricted, const char *kmsg);
void rig_stop(struct rig *r);
void rig_poll(struct rig *r); /* let the server do what it can at once */
void rig_wait(struct rig *r, unsigned ms); /* and for so long */

/* Clients; their sockets are non-blocking. */
int rig_control(struct rig *r);
int rig_data(struct rig *r, uint64_t *ret_id);
/* All of it, running the server meanwhile; false = the connection is closed. */
bool rig_write(struct rig *r, int fd, const void *buf, size_t len);
/* Exactly so many bytes; false = the end came first. */
bool rig_read(struct rig *r, int fd, void *buf, size_t len);
/* Everything until the end. */
struct msg rig_read_all(struct rig *r, int fd);
bool rig_closed(struct rig *r, int fd); /* within a second */

void rig_frame(struct rig *r, int fd, uint32_t stream, uint8_t type, const void *msg, size_t len);
void rig_request(struct rig *r, int fd, uint32_t stream, const char *service, const char *method,
		 struct msg args, uint64_t timeout_ns);
/* The next answer. Returns its stream; @ret_msg: to be freed. */
uint32_t rig_answer(struct rig *r, int fd, struct msg *ret_msg);
/* One call on a connection of its own. */
struct msg rig_call(struct rig *r, const char *service, const char *method, struct msg args);

/* What the answer must be; @m is freed. */
void rig_expect_ok(struct msg m, const void *want, size_t len);
void rig_expect_error(struct msg m, unsigned code, const char *text);
void rig_expect_call_error(struct rig *r, const char *service, const char *method, struct msg args,
			   unsigned code, const char *text);

/* Messages: fields are appended; chains free nothing, rig_call and rig_request free the last. */
struct msg m_none(void);
struct msg m_num(struct msg m, unsigned tag, uint64_t val);
struct msg m_str(struct msg m, unsigned tag, const char *val);
struct msg m_bytes(struct msg m, unsigned tag, const void *val, size_t len);
struct msg m_msg(struct msg m, unsigned tag, struct msg sub); /* frees sub */
/* The number of the only field of a successful answer; @m is freed. */
uint64_t m_answer_num(struct msg m);

/* Bytes that this process has from its heap. */
size_t rig_heap(void);
