/* SPDX-License-Identifier: MIT */
/*
 * What the roles *control* and *vm* say to each other over ipc.h. All numbers little endian; texts
 * are not terminated. An answer carries the id of its question. Each side has its own table of what
 * it takes (vmproc.c, vm_role.c). Trust: the other role, checked.
 */
#pragma once

#include <stdint.h>

/* The vm role's socket, and where its arguments say so: argv[1] = fd, argv[2] = when the daemon
 * began (CLOCK_BOOTTIME in ns); its own options follow. */
#define ROLE_ARGS 3

#define ROLE_VM_NAME "vm"

enum role_msg {
	/* --- control to vm -------------------------------------------------------------------- */

	/* { u8 ceiling, u8 has value, u16 zero, le32 depth, le64 deadline, le32 path length,
	 * le32 value length } path value; the deadline is of CLOCK_MONOTONIC. Answer:
	 * ROLE_INSPECTED. */
	ROLE_INSPECT = 0x100,
	/* Nothing follows. Answer: ROLE_ANSWER. */
	ROLE_PAUSE,
	ROLE_RESUME,
	ROLE_RESTART,
	ROLE_SAVE, /* for DumpSavedState */
	/* The filter of the log: text, which control's log_filter_set() took. No answer. */
	ROLE_LOG_FILTER,
	/* Crash on purpose. No answer. */
	ROLE_CRASH,
	/* The host has everything that ROLE_FLUSH was about, or will not take it. */
	ROLE_FLUSHED,

	/* --- vm to control -------------------------------------------------------------------- */

	/* VTL0 is about to run: { le64 host ready, le64 now } (CLOCK_BOOTTIME). Once. */
	ROLE_STARTED = 0x200,
	/* One record of the log, for the host: log_record_encode(). */
	ROLE_LOG,
	/* inspect_encode(); empty: it could not be answered. */
	ROLE_INSPECTED,
	/* Why it could not be done; empty: it was done. */
	ROLE_ANSWER,
	/* Everything logged before this shall reach the host. Answer: ROLE_FLUSHED. */
	ROLE_FLUSH,
};

#define ROLE_INSPECT_HEAD 24u
#define ROLE_STARTED_BYTES 16u
#define ROLE_TEXT_MAX 1024u
