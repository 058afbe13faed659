/* SPDX-License-Identifier: MIT */
/*
 * Options of the daemon. They come as environment variables from the kernel command line; a name
 * that starts with OPENHCL_ is also accepted with the older prefix UNDERHILL_ where the table says
 * so. Where text does not parse the default stays: a typo must not stop a VM.
 * Trust: measured image and, on a VM without isolation, the host.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "log_format.h"

enum knob_load { KNOB_LOAD_AUTO, KNOB_LOAD_LINUX, KNOB_LOAD_UEFI, KNOB_LOAD_PCAT };

struct knobs {
	const char *log_filter; /* understood (log_filter_parse) */
	enum log_spans log_spans; /* in the kernel's log */
	bool log_unlimited; /* no rate limits */
	const char *cmdline_append; /* for VTL0's kernel, or NULL */
	enum knob_load force_load;
	bool signal_vtl0_started; /* tell the host before anything else */
	bool halt_on_guest_halt; /* keep everything in place when VTL0 powers off */
	bool serial_wait_for_rts;
	const char *pid_file;
	bool wait_for_start; /* a client starts the VM */
	uint32_t config_timeout_s; /* at start and for changes of the settings */
	bool force_bounce; /* guest memory of disk requests is copied, even where it need not be */
	uint64_t kernel_boot_ns; /* CLOCK_BOOTTIME when PID 1 began, 0 = unknown */
};

/* Reads one variable; NULL when not set. */
typedef const char *(*knob_getenv_fn)(void *ctx, const char *name);

/**
 * knobs_read - fill in from the environment
 * @get: NULL = the process environment
 * Returns: the name of the first variable whose value is not understood; NULL = all are
 */
const char *knobs_read(struct knobs *ret_knobs, knob_getenv_fn get, void *ctx);

struct inspect;

/* All of them by the names of their variables: an inspect_fn on the struct knobs. */
void knobs_inspect(struct inspect *in, const void *k);

/* Understand `--pid PATH` and `--wait-for-start`. Returns: how many arguments mean nothing. */
unsigned int knobs_args(struct knobs *k, int argc, char *const *argv);
