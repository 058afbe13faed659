/* SPDX-License-Identifier: MIT */
/*
 * The VM object: everything from boot information to running VPs, in the order of their start.
 * Context: control thread unless said otherwise.
 */
#pragma once

#include <stdatomic.h>

#include "bootdt.h"
#include "confid.h"
#include "host.h"
#include "host_relay.h"
#include "irqline.h"
#include "knobs.h"
#include "load_regs.h"
#include "machine.h"
#include "msi.h"
#include "partition.h"
#include "power.h"
#include "stats.h"
#include "vcpu.h"
#include "vm_clock.h"
#include "vm_pause.h"
#include "vmbus_vtl0.h"
#include "vps.h"
#include "vtl0_config.h"

struct pci_vtl0;
struct storage;

/* What VTL0 asked for; the first request wins. */
enum vm_end { VM_END_NONE, VM_END_POWER_OFF, VM_END_RESET, VM_END_HIBERNATE, VM_END_FAILED };

/* What the VM needs of whoever runs it. Context: control thread of this process. */
struct vm_owner {
	/* VTL0 is about to run. */
	void (*started)(void *ctx);
	/* Begin to bring everything logged so far to the host; is that done? */
	void (*flush_log)(void *ctx);
	bool (*log_flushed)(void *ctx);
	void *ctx;
};

struct vm {
	const struct vm_owner *owner;
	struct confid confid;
	struct knobs knobs;
	struct stats_times times;
	struct loop *ctl;
	struct time_source time;

	int mshv_fd, vtl_fd;
	struct hvc hvc;
	struct partition_caps caps;
	bool register_page, entry_actions;

	struct bootdt dt;
	struct gpa_range *ram; /* VTL0's, joined */
	struct gpa_range *prot; /* everybody else's, joined */
	size_t n_ram, n_prot;
	struct gmem *gm;
	struct vtl0_config vtl0;

	struct host host;
	struct machine *machine;
	struct msi_sink msi;
	struct irq_sink extint;
	struct power_ops power;

	struct vmbus_vtl0 *vmbus; /* what VTL0's hypercalls for channels reach */
	struct pci_vtl0 *pci;
	struct host_relay relay;

	struct storage *storage; /* VTL0's disks */

	struct vcpu_env env;
	struct load_regs bsp_regs;
	struct vps *vps;

	_Atomic int end; /* enum vm_end */
	atomic_bool crashed; /* the crash was reported */
	_Atomic(uint64_t) vtl0_entry_ns;
	struct loop_work end_work, entry_work;
	struct loop_timer mem_timer, drain_timer;
	uint64_t drain_until_ns;
	bool mem_logged;
	bool started; /* VTL0 was let run */
	bool halted; /* VTL0 ended and is kept as it is */
	uint64_t halt_count;
	struct vm_pause pause;
	int exit_code; /* enum daemon_exit, when loop_run() returns */
};

/**
 * vm_start - bring the VM up until VTL0 runs
 * @vm: zeroed but for owner, confid, knobs, times, ctl
 * Returns: 0; -errno: the reason is logged and was told to the host if there was one
 */
must_check int vm_start(struct vm *vm);

/* Log the figures of the run so far. */
void vm_log_stats(struct vm *vm);

/* Take everything down. VTL0 does not run afterwards. */
void vm_stop(struct vm *vm);
