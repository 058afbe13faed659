/* SPDX-License-Identifier: MIT */
/*
 * /dev/kvm: the only place with KVM's set-up ioctls. A virtual machine per VTL, virtual processors
 * with their shared run structure, capabilities and what had to be measured about this KVM.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

/* GSIs without a pin behind them, kept for level-triggered message routes (end-of-interrupt
 * exits). */
#define KVM_SYS_PINS 64

struct kvm_sys {
	int fd;
	size_t run_size;
	bool out_advances; /* is RIP behind an OUT instruction at its exit? */
	bool tsc_deadline; /* may the TSC-deadline timer be advertised? */
	struct kvm_cpuid2 *cpuid; /* what KVM supports; owned */
};

struct kvm_cpu {
	int fd; /* -1: not there */
	struct kvm_run *run;
	size_t run_size;
};

/* ioctl(2) with -errno as result. */
int kvm_ioctl(int fd, unsigned long req, void *arg);
int kvm_ioctl_val(int fd, unsigned long req, unsigned long val);

/**
 * kvm_sys_open - open /dev/kvm, check that all we need is there, measure its habits
 * @ret_why: on failure, a sentence without a full stop; static
 * Returns: 0, -errno. Context: once per session; a test guest of some instructions runs.
 */
must_check int kvm_sys_open(struct kvm_sys *sys, const char **ret_why);
void kvm_sys_close(struct kvm_sys *sys);

/**
 * kvm_vm_create - one VM with a split irqchip and 32-bit APIC ids, MSRs of the synthetic range (and
 * more, by @msr_reasons: KVM_MSR_EXIT_REASON_x) coming to us
 * @deny_mtrr: MTRR accesses come to us, too
 * Returns: fd, -errno
 */
must_check int kvm_vm_create(const struct kvm_sys *sys, uint64_t msr_reasons, bool deny_mtrr);

/* Add a vCPU. Returns 0 with *ret filled, or -errno. */
must_check int kvm_cpu_create(const struct kvm_sys *sys, int vm, uint32_t apic_id,
			      struct kvm_cpu *ret);
void kvm_cpu_destroy(struct kvm_cpu *cpu);

/* Guest TSC = TSC of this machine, for every vCPU. Best effort. */
void kvm_cpu_zero_tsc_offset(const struct kvm_cpu *cpu);

/* One MSR. Returns 0, -EINVAL when KVM refuses it, -errno. */
must_check int kvm_cpu_msr_get(const struct kvm_cpu *cpu, uint32_t msr, uint64_t *ret_val);
must_check int kvm_cpu_msr_set(const struct kvm_cpu *cpu, uint32_t msr, uint64_t val);

/* A message-signalled interrupt into a VM. Returns 1 delivered, 0 blocked, -errno. Any thread. */
int kvm_vm_msi(int vm, uint64_t addr, uint32_t data);
