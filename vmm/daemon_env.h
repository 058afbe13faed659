/* SPDX-License-Identifier: MIT */
/*
 * What the daemon expects of its surroundings: the contract between /bin/keel and the program that
 * starts it (PID 1), the kernel configuration, and the boot shim. Names only; nothing here is code.
 *
 * Mounted before the daemon starts:
 *   /proc, /sys, /dev (devtmpfs)
 * Files used:
 *   /sys/firmware/fdt                 device tree made by the boot shim (root only)
 *   /dev/mshv /dev/mshv_hvcall /dev/mshv_vtl_low /dev/mshv_sint   hypervisor access (root)
 *   /sys/bus/vmbus/..., /dev/uioN     GET and serial channels; the ids of their interface types
 *                                     must already be in uio_hv_generic's new_id
 *   /proc/meminfo, /proc/self/smaps_rollup, /proc/1/smaps_rollup   figures of the stats line
 * Process state:
 *   uid 0; RLIMIT_NOFILE at least DAEMON_NOFILE; RLIMIT_MEMLOCK irrelevant as root
 *   one CPU online per virtual processor, Linux CPU number == VP index
 *   stdin/stdout may be closed; stderr = where log lines go (/dev/ttyprintk or /dev/kmsg)
 *   argv: words it does not know are ignored with a log line; `--pid PATH` is understood
 *   environment: whatever came with the kernel command line (OPENHCL_*, OPENVMM_LOG, ...) plus
 *   ENV_KERNEL_BOOT_TIME
 * End:
 *   exit status DAEMON_EXIT_*; a started VM normally ends by the host taking it away after the
 *   power-off or reset message, so the daemon then waits and does not return.
 */
#pragma once

/* CLOCK_BOOTTIME in ns, decimal, when PID 1 began. Missing: the init phase is reported as 0. */
#define ENV_KERNEL_BOOT_TIME "KERNEL_BOOT_TIME"

#define DAEMON_PATH "/bin/keel"
/* Unless told otherwise. The pid of the role control. */
#define DAEMON_PID_FILE "/run/underhill.pid"
#define DAEMON_NOFILE 0x100000

enum daemon_exit {
	DAEMON_EXIT_OK = 0, /* asked to stop (SIGTERM) */
	DAEMON_EXIT_START_FAILED =
		1, /* VTL0 could not be started; the host was told if it could be */
	DAEMON_EXIT_RUN_FAILED = 2, /* the run loop met an error of the kernel interface */
};

/*
 * Machine-readable lines in the log: "<prefix>stats {...}" with one JSON object each, keys:
 *   "boot":  shim_ms kernel_ms init_ms daemon_ms vtl0_ms (phases, in order; vtl0 = first run)
 *   "mem":   vtl2_ram_kib mem_total_kib mem_free_kib mem_available_kib pss_self_kib pss_init_kib
 *            pss_control_kib
 *            (10 s after VTL0's start, or at the end if that comes sooner)
 *   "exits": counts by kind, all VPs
 */
#define STATS_PREFIX "stats "
