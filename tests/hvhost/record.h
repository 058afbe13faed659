/* SPDX-License-Identifier: MIT */
/*
 * Records what the host receives from VTL2, for tests that search it: everything a host could see,
 * not only what hvhost makes use of. The records go, in order and complete, into a byte stream: a
 * 16-byte header {le32 kind, le32 id, le32 length, le32 0} and the bytes. A writer waits for a slow
 * reader: a recorded run may be slower, but never loses anything.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum record_kind {
	RECORD_CONSOLE = 1, /* VTL2's serial console; id 0 */
	RECORD_POST, /* HvPostMessage; id = connection */
	RECORD_PIPE, /* a message of a VMBus pipe: serial, GET, logs, dumps, vsock; id = channel */
	RECORD_PAGE, /* a page of a channel's rings when it was closed; id = channel */
	RECORD_MSR, /* le64 value of a crash register; id = register */
	RECORD_CRASH, /* the page that VTL2's crash registers point at; id = VP */
};

#define RECORD_MAX 16384u /* bytes in one record; more becomes several */

/* Into which stream (-1: nowhere, as before the first call). Owned. Context: before threads run. */
void record_open(int fd);

/* Any thread. @data may be guest memory: what cannot be read is recorded as nothing. */
void record_put(enum record_kind kind, uint32_t id, const void *data, size_t len);
