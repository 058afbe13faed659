/* SPDX-License-Identifier: MIT */
/* Command line of hvhost. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "disk_opt.h"
#include "macros.h"
#include "session.h"

enum host_mode { HOST_AUTO, HOST_KVM, HOST_TCG };

struct opts {
	const char *image;
	uint32_t vps;
	uint64_t memory_bytes;
	const char *vtl2_cmdline;
	const char *exec; /* script to run in the guest, or NULL: interactive */
	bool vtl2_console;
	const char *vtl2_vsock;
	const char *log_path;
	const char *vtl2_log_path; /* the paravisor's log, "-" = stderr */
	bool vtl2_log_json;
	const char *record_path; /* of everything the host receives */
	const char *core_dir; /* for crash files */
	uint32_t timeout_s; /* 0 = none */
	enum host_mode host;
	const char *outer_dir; /* kernel, initramfs and modules of the outer VM */
	bool faithful;
	enum session_isolation isolation;
	bool no_reboot;
	bool no_com2; /* the guest has no exec agent: leave COM2 unconnected */
	bool summary; /* print phases and exit counts at the end */
	const char *disk[DISK_OPT_MAX]; /* texts that disk_opt_parse() takes */
	unsigned n_disks;
	const char *control_path; /* Unix socket for ctl_front_client() */
	const char *scenario_path;
	bool stream; /* nothing of the script's output is held back */
	bool until_power_off; /* no input from the terminal: end when the guest does */
};

/**
 * opts_parse - parse "run" options; prints help (exit 0) or one sentence about a mistake itself
 * Returns: 0; -EINVAL after printing; 1 after printing help
 */
must_check int opts_parse(int argc, char **argv, struct opts *ret_opts);

/* Parse "512M", "2G", "65536K" or plain bytes. Returns 0, -EINVAL. */
must_check int opts_parse_size(const char *text, uint64_t *ret_bytes);
