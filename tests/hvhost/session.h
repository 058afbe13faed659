/* SPDX-License-Identifier: MIT */
/*
 * One virtual machine from image load to its end: what hvhost runs, either directly on /dev/kvm or
 * inside the outer VM. The caller owns terminals and processes; the session owns the VM.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "macros.h"

#define SESSION_MAX_VPS 1024
#define SESSION_COMS 2
#define SESSION_NOTES 1024
/* Exit status of a run that ended because VTL2 crashed. */
#define SESSION_STATUS_VTL2_CRASH 123

/* Ask the guest to shut down, if it listens; else, or if asked for so, end it at once. */
#define SESSION_STOP_ASK 1ull
#define SESSION_STOP_NOW (1ull << 32)

enum session_isolation {
	SESSION_ISO_IMAGE, /* what the image says it is for */
	SESSION_ISO_NONE,
	SESSION_ISO_VBS, /* memory is private from the host unless VTL2 shares it */
};

struct disk_opt;

struct session_cfg {
	const char *image_path; /* IGVM file, or a block device that holds one */
	uint32_t vps; /* 1..SESSION_MAX_VPS */
	uint64_t memory_bytes; /* VTL0 RAM; VTL2's comes on top */
	const char *vtl2_cmdline; /* host text for /chosen/bootargs, may be empty */
	/* Byte streams (sockets or pipes, any fd that polls): what VTL0's COM1/COM2 say is written,
	 * what can be read is their input. -1 = not connected. */
	int com_in[SESSION_COMS];
	int com_out[SESSION_COMS];
	int vtl2_console_in; /* VTL2's COM3; -1 for both: VTL2 has none */
	int vtl2_console_out;
	const char *vsock_path; /* Unix socket to create: hybrid vsock of VTL2; NULL = none */
	int core_fd; /* crash dumps of VTL2 and its last words go there (core_stream.h); -1: none */
	int vtl2_log_fd; /* the paravisor's log, a line per record; does not block; -1 = none */
	bool vtl2_log_json; /* records as JSON instead of text */
	/* Stay valid; paths are those of this machine. What comes and goes changes `later`, so that
	 * the next session begins as this one ended. */
	struct disk_opt *disks;
	unsigned n_disks;
	int ctl_fd; /* requests come and answers go there (ctl_host.h); does not block; -1 = none */
	int stop_fd; /* eventfd: SESSION_STOP_x was written */
	bool faithful; /* MMIO intercepts carry the guest's real instruction bytes */
	enum session_isolation isolation;
};

enum session_end {
	SESSION_POWER_OFF, /* VTL0 asked for it through the paravisor */
	SESSION_RESET, /* VTL0 asked for a restart: the caller runs the session again */
	SESSION_HIBERNATE,
	SESSION_STOPPED, /* stop_fd */
	SESSION_VTL2_CRASH, /* VTL2 died: crash MSRs, triple fault, or its kernel gave up */
	SESSION_START_FAILED, /* the paravisor reported that it could not start VTL0 */
};

struct session_report {
	enum session_end end;
	char text[256]; /* why, for the last line of a run */
	char notes[SESSION_NOTES]; /* what else is worth telling, a line each */
	bool vtl0_started; /* the paravisor reported success */
	/* ns since the session began; 0 = not reached */
	uint64_t shim_entry_ns, kernel_entry_ns, vmbus_ns, get_ns, vtl0_start_ns;
	uint64_t log_records, log_violations, log_lost; /* of the paravisor's log */
	uint64_t vtl0_exits[16], vtl2_exits[16]; /* by enum session_exit */
};

enum session_exit {
	SESSION_EXIT_PIO,
	SESSION_EXIT_MMIO,
	SESSION_EXIT_MSR,
	SESSION_EXIT_HYPERCALL,
	SESSION_EXIT_VTL_RETURN,
	SESSION_EXIT_HLT,
	SESSION_EXIT_EOI,
	SESSION_EXIT_IRQ_WINDOW,
	SESSION_EXIT_KICK,
	SESSION_EXIT_SHUTDOWN,
	SESSION_EXIT_OTHER,
};

/**
 * session_run - load the image, run the VM, clean everything up
 * Returns: 0 with *ret_report filled, or -errno when it could not even start (ret_report->text says
 * why, with the remedy). Context: main thread; makes one thread per VP and one for devices.
 */
must_check int session_run(const struct session_cfg *cfg, struct session_report *ret_report);
