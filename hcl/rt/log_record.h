/* SPDX-License-Identifier: MIT */
/*
 * One log statement on its way to the sinks: what log.h's macros make, what waits in queues, and
 * what one role sends another. In memory all strings are NUL-terminated, printable ASCII; as bytes
 * a record is self-contained and checked when it is taken apart.
 *
 * The way of a record in the daemon: a statement puts it into its process's queue; that process's
 * writer writes it to the kernel's log and, in the control role, hands it to gel_cli_put_record();
 * in any other role it is encoded and sent to the control role as one message of LOG_IPC_RECORD,
 * which decodes it and hands it to gel_cli_put_record() there.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "guid.h"
#include "log.h"
#include "macros.h"

#define LOG_TARGET_MAX 64u /* bytes with the NUL, like all of these */
#define LOG_NAME_MAX 64u
#define LOG_CONTEXT_MAX 192u
#define LOG_TEXT_MAX 1024u
#define LOG_FIELDS_MAX 8u /* fields of one record */
#define LOG_FIELDS_BYTES 384u /* their encoding */
#define LOG_KEY_MAX 32u

/* Longest encoding. */
#define LOG_RECORD_MAX \
	(96u + LOG_TARGET_MAX + LOG_NAME_MAX + LOG_CONTEXT_MAX + LOG_TEXT_MAX + LOG_FIELDS_BYTES)

enum log_kind { LOG_EVENT, LOG_SPAN_ENTER, LOG_SPAN_EXIT };

struct log_record {
	enum log_kind kind;
	enum log_level level;
	enum log_class cls;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t missed; /* records of this process lost just before this one */
	uint64_t taken_ns, busy_ns; /* LOG_SPAN_EXIT: since it was opened; time inside */
	struct guid activity; /* of the span that is entered or left; zero for events */
	struct guid related; /* of the span around; zero = none */
	struct guid correlation; /* zero = none */
	const char *target;
	const char *name; /* of the span; "" for events */
	const char *context; /* the spans around, as the kernel's log shows them; "" = none */
	const char *text; /* "" for spans */
	const struct log_field *fields;
	size_t n_fields; /* 0..LOG_FIELDS_MAX */
};

/**
 * log_record_encode - a record as bytes
 * Strings that exceed their limit are cut, fields that do not fit any more are left out; bytes
 * that are not printable ASCII become '?'.
 * Returns: the length, 0 < n <= LOG_RECORD_MAX. Context: any; does not allocate or block.
 */
size_t log_record_encode(const struct log_record *rec, uint8_t ret_buf[LOG_RECORD_MAX]);

/**
 * log_record_decode - take bytes apart
 * @buf: must stay as long as the record: its strings point in there
 * @ret_fields: room for the fields
 * Returns: 0; -EBADMSG: not what log_record_encode() makes. Nothing is written then.
 * Trust: another role; everything is checked.
 */
must_check int log_record_decode(const uint8_t *buf, size_t len,
				 struct log_field ret_fields[LOG_FIELDS_MAX],
				 struct log_record *ret_rec);
