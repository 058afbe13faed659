/* SPDX-License-Identifier: MIT */
/* See knobs.h. One table: name, legacy name allowed, how to parse, where to. */
#include "knobs.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon_env.h"
#include "inspect.h"
#include "log_filter.h"
#include "macros.h"

enum knob_type {
	KNOB_BOOL,
	KNOB_U32,
	KNOB_U64,
	KNOB_TEXT,
	KNOB_LOG,
	KNOB_SPANS,
	KNOB_SET,
	KNOB_LOAD
};

struct knob {
	const char *name;
	const char *legacy; /* NULL: none */
	enum knob_type type;
	size_t offset; /* in struct knobs */
};

static const struct knob table[] = {
	{ "OPENVMM_LOG", "HVLITE_LOG", KNOB_LOG, offsetof(struct knobs, log_filter) },
	{ "OPENVMM_SHOW_SPANS", NULL, KNOB_SPANS, offsetof(struct knobs, log_spans) },
	{ "OPENVMM_DISABLE_TRACING_RATELIMITS", "HVLITE_DISABLE_TRACING_RATELIMITS", KNOB_SET,
	  offsetof(struct knobs, log_unlimited) },
	{ "OPENHCL_CMDLINE_APPEND", "UNDERHILL_CMDLINE_APPEND", KNOB_TEXT,
	  offsetof(struct knobs, cmdline_append) },
	{ "OPENHCL_FORCE_LOAD_VTL0_IMAGE", "UNDERHILL_FORCE_LOAD_VTL0_IMAGE", KNOB_LOAD,
	  offsetof(struct knobs, force_load) },
	{ "OPENHCL_SIGNAL_VTL0_STARTED", NULL, KNOB_BOOL,
	  offsetof(struct knobs, signal_vtl0_started) },
	{ "OPENHCL_HALT_ON_GUEST_HALT", "UNDERHILL_HALT_ON_GUEST_HALT", KNOB_BOOL,
	  offsetof(struct knobs, halt_on_guest_halt) },
	{ "OPENHCL_SERIAL_WAIT_FOR_RTS", "UNDERHILL_SERIAL_WAIT_FOR_RTS", KNOB_BOOL,
	  offsetof(struct knobs, serial_wait_for_rts) },
	{ "OPENHCL_WAIT_FOR_START", "UNDERHILL_WAIT_FOR_START", KNOB_BOOL,
	  offsetof(struct knobs, wait_for_start) },
	{ "OPENHCL_PID_FILE_PATH", "UNDERHILL_PID_FILE_PATH", KNOB_TEXT,
	  offsetof(struct knobs, pid_file) },
	{ "OPENHCL_CONFIG_TIMEOUT_IN_SECONDS", "UNDERHILL_CONFIG_TIMEOUT_IN_SECONDS", KNOB_U32,
	  offsetof(struct knobs, config_timeout_s) },
	{ "KEEL_FORCE_BOUNCE", NULL, KNOB_BOOL, offsetof(struct knobs, force_bounce) },
	{ ENV_KERNEL_BOOT_TIME, NULL, KNOB_U64, offsetof(struct knobs, kernel_boot_ns) },
};

static int parse_bool(const char *text, bool *ret_val)
{
	if (!strcmp(text, "1") || !strcmp(text, "true"))
		*ret_val = true;
	else if (!strcmp(text, "0") || !strcmp(text, "false"))
		*ret_val = false;
	else
		return -EINVAL;
	return 0;
}

static int parse_u64(const char *text, uint64_t max, uint64_t *ret_val)
{
	unsigned long long val;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	val = strtoull(text, &end, 10);
	if (errno || *end || val > max)
		return -EINVAL;
	*ret_val = val;
	return 0;
}

static int parse_load(const char *text, enum knob_load *ret_load)
{
	if (!strcmp(text, "linux"))
		*ret_load = KNOB_LOAD_LINUX;
	else if (!strcmp(text, "uefi"))
		*ret_load = KNOB_LOAD_UEFI;
	else if (!strcmp(text, "pcat"))
		*ret_load = KNOB_LOAD_PCAT;
	else
		return -EINVAL;
	return 0;
}

static int parse_log(const char *text, const char **ret_text)
{
	struct log_filter filter;
	int r = log_filter_parse(text, &filter, NULL, 0);

	if (r == 0)
		*ret_text = text;
	return r;
}

static int set(const struct knob *knob, const char *text, struct knobs *k)
{
	void *at = (char *)k + knob->offset;
	uint64_t val;
	int r;

	switch (knob->type) {
	case KNOB_BOOL:
		return parse_bool(text, at);
	case KNOB_U32:
		r = parse_u64(text, UINT32_MAX, &val);
		if (r == 0)
			*(uint32_t *)at = (uint32_t)val;
		return r;
	case KNOB_U64:
		return parse_u64(text, UINT64_MAX, at);
	case KNOB_TEXT:
		*(const char **)at = text;
		return 0;
	case KNOB_LOG:
		return parse_log(text, at);
	case KNOB_SPANS:
		return log_spans_parse(text, at);
	case KNOB_SET:
		*(bool *)at = *text != 0;
		return 0;
	case KNOB_LOAD:
		return parse_load(text, at);
	}
	return -EINVAL;
}

static const char *process_env(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

const char *knobs_read(struct knobs *ret_knobs, knob_getenv_fn get, void *ctx)
{
	const char *bad = NULL;

	if (!get)
		get = process_env;
	*ret_knobs = (struct knobs){
		.log_filter = "info",
		.config_timeout_s = 5,
		.pid_file = DAEMON_PID_FILE,
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *text = get(ctx, table[i].name);

		if (!text && table[i].legacy)
			text = get(ctx, table[i].legacy);
		if (text && set(&table[i], text, ret_knobs) < 0 && !bad)
			bad = table[i].name;
	}
	return bad;
}

static void show(struct inspect *in, const struct knob *knob, const struct knobs *k)
{
	static const char *const loads[] = {
		[KNOB_LOAD_AUTO] = "auto",
		[KNOB_LOAD_LINUX] = "linux",
		[KNOB_LOAD_UEFI] = "uefi",
		[KNOB_LOAD_PCAT] = "pcat",
	};
	const void *at = (const char *)k + knob->offset;

	switch (knob->type) {
	case KNOB_BOOL:
		inspect_bool(in, SENS_UNSPEC, knob->name, *(const bool *)at);
		break;
	case KNOB_U32:
		inspect_u64(in, SENS_UNSPEC, knob->name, *(const uint32_t *)at);
		break;
	case KNOB_U64:
		inspect_u64(in, SENS_UNSPEC, knob->name, *(const uint64_t *)at);
		break;
	case KNOB_TEXT:
		if (*(const char *const *)at)
			inspect_str(in, SENS_UNSPEC, knob->name, *(const char *const *)at);
		break;
	case KNOB_SET:
		inspect_bool(in, SENS_UNSPEC, knob->name, *(const bool *)at);
		break;
	case KNOB_LOG: /* see trace/filter, where it can be changed */
	case KNOB_SPANS:
		break;
	case KNOB_LOAD:
		inspect_str(in, SENS_UNSPEC, knob->name, loads[*(const enum knob_load *)at]);
		break;
	}
}

void knobs_inspect(struct inspect *in, const void *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		show(in, &table[i], k);
}

unsigned int knobs_args(struct knobs *k, int argc, char *const *argv)
{
	unsigned int unknown = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--pid") && i + 1 < argc)
			k->pid_file = argv[++i];
		else if (!strcmp(argv[i], "--wait-for-start"))
			k->wait_for_start = true;
		else
			unknown++;
	}
	return unknown;
}
