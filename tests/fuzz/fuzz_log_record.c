/* SPDX-License-Identifier: MIT */
/*
 * A log record from another role, and what becomes of it: refused, or a line for the kernel's log
 * and a record of the host's channel that the host's own checks find good.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../hvhost/gel_check.h"
#include "gel_msg.h"
#include "log_format.h"
#include "log_record.h"

static void check_for_host(const struct log_record *rec)
{
	static uint8_t raw[GEL_MAX_RECORD];
	static char line[GEL_LINE_MAX];
	const size_t len = gel_msg_record(rec, rec->missed, raw);
	struct gel_rec got;
	struct json j;

	/* Statements always have a target, spans a name and an id; another role's need not. */
	if (!*rec->target || (rec->kind == LOG_EVENT) != !*rec->name)
		return;
	if (rec->kind != LOG_EVENT && guid_eq(&rec->activity, &(struct guid){ 0 }))
		return;
	if (gel_check(raw, len, &got, &j))
		abort();
	(void)gel_line(&got, &j, line);
	json_fini(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_field fields[LOG_FIELDS_MAX];
	char kmsg[LOG_KMSG_MAX], plain[LOG_LINE_MAX];
	uint8_t again[LOG_RECORD_MAX];
	struct log_record rec;

	if (log_record_decode(data, size, fields, &rec) < 0)
		return 0;
	if (log_record_encode(&rec, again) != size || memcmp(again, data, size) != 0)
		abort();
	(void)log_format_kmsg(&rec, LOG_SPANS_ALL, kmsg);
	(void)log_format_plain(&rec, plain);
	check_for_host(&rec);
	return 0;
}
