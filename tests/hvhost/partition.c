/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "cpuid_host.h"
#include "hvpart.h"
#include "log.h"
#include "synic_host.h"
#include "vp_host.h"

#define LOG_AREA "partition"

#define REF_HZ 10000000ull
#define NS_PER_SEC 1000000000ull

static int init_locks(struct hvpart *part)
{
	int r = pthread_mutex_init(&part->route_lock, NULL);

	if (r == 0)
		r = pthread_mutex_init(&part->hold_lock, NULL);
	if (r == 0)
		r = pthread_cond_init(&part->hold_cond, NULL);
	if (r == 0)
		r = pthread_mutex_init(&part->prot_lock, NULL);
	if (r == 0)
		r = pthread_mutex_init(&part->end_lock, NULL);
	return -r;
}

/* VTL0's local APICs wait for INIT and SIPI in KVM; VTL2's processors start where VTL2 says. */
static int make_vp(struct hvpart *part, uint32_t index)
{
	struct hvvp *vp = &part->vps[index];

	vp->part = part;
	vp->index = index;
	for (enum vtl_index v = VTL0; v < VTL_COUNT; v++) {
		struct kvm_cpu *cpu = &vp->vtl[v].cpu;
		int r = kvm_cpu_create(&part->sys, part->vtl[v].vm, index, cpu);

		if (r == 0)
			r = cpuid_host_set(part, vp, v);
		if (r == 0)
			r = synic_host_init(&vp->vtl[v].synic);
		if (r < 0)
			return r;
		kvm_cpu_zero_tsc_offset(cpu);
		cpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
		if (v == VTL0)
			cpu->run->kvm_valid_regs |= KVM_SYNC_X86_SREGS;
		r = kvm_ioctl(cpu->fd, KVM_GET_REGS, vp_regs(vp, v));
		if (r == 0)
			r = kvm_ioctl(cpu->fd, KVM_GET_SREGS, vp_sregs(vp, v));
		if (r < 0)
			return r;
	}
	return 0;
}

static int init_clock(struct hvpart *part)
{
	int khz = kvm_ioctl_val(part->vps[0].vtl[VTL2].cpu.fd, KVM_GET_TSC_KHZ, 0);

	if (khz <= 0)
		return khz < 0 ? khz : -EIO;
	part->tsc_hz = (uint64_t)khz * 1000;
	/* 10^7 * 2^64 / hz does not fit 64 bits for TSCs below 10 MHz, which do not exist. */
	part->tsc_scale = (uint64_t)(((unsigned __int128)REF_HZ << 64) / part->tsc_hz);
	part->tsc_base = __rdtsc();
	part->start_ns = loop_now_ns();
	return 0;
}

static int make_vms(struct hvpart *part)
{
	const uint64_t reasons = KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN;
	int r = kvm_vm_create(&part->sys, reasons, false);

	if (r < 0)
		return r;
	part->vtl[VTL0].vm = r;
	r = kvm_vm_create(&part->sys, reasons, true);
	if (r < 0)
		return r;
	part->vtl[VTL2].vm = r;
	return 0;
}

int part_create(struct hvpart *part, const struct part_cfg *cfg, const char **ret_why)
{
	int r;

	memset(part, 0, sizeof(*part));
	part->vtl[VTL0].vm = part->vtl[VTL2].vm = -1;
	part->mem.memfd = -1;
	part->n_vps = cfg->vps;
	part->faithful = cfg->faithful;
	part->isolated = cfg->isolated;
	part->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	part->sys.fd = -1;
	*ret_why = "out of resources";
	if (part->end_fd < 0)
		return -errno;
	r = init_locks(part);
	if (r < 0)
		goto err;
	r = kvm_sys_open(&part->sys, ret_why);
	if (r < 0)
		goto err;
	*ret_why = "the virtual machines could not be created";
	part->vps = calloc(cfg->vps, sizeof(*part->vps));
	r = part->vps ? make_vms(part) : -ENOMEM;
	for (uint32_t i = 0; i < cfg->vps && r == 0; i++)
		r = make_vp(part, i);
	if (r == 0)
		r = init_clock(part);
	if (r < 0)
		goto err;
	atomic_store(&part->holds, 1); /* until VTL0's CPUID is known */
	return 0;
err:
	part_destroy(part);
	return r;
}

void part_destroy(struct hvpart *part)
{
	for (uint32_t i = 0; part->vps && i < part->n_vps; i++) {
		for (enum vtl_index v = VTL0; v < VTL_COUNT; v++) {
			struct vtl_vp *vv = &part->vps[i].vtl[v];

			if (vv->cpu.run)
				kvm_cpu_destroy(&vv->cpu);
		}
	}
	for (enum vtl_index v = VTL0; v < VTL_COUNT; v++) {
		if (part->vtl[v].vm >= 0)
			(void)close(part->vtl[v].vm);
	}
	mem_host_destroy(&part->mem);
	free(part->vps);
	part->vps = NULL;
	free(part->panic_text);
	part->panic_text = NULL;
	if (part->sys.fd >= 0)
		kvm_sys_close(&part->sys);
	if (part->end_fd >= 0)
		(void)close(part->end_fd);
	part->end_fd = -1;
}

uint64_t part_ref_time(const struct hvpart *part)
{
	uint64_t tsc = __rdtsc() - part->tsc_base;

	return (uint64_t)(((unsigned __int128)tsc * part->tsc_scale) >> 64);
}

void *part_page(struct hvpart *part, enum vtl_index v, gpa_t gpa)
{
	const uint32_t need = HV_MAP_READ | HV_MAP_WRITE;
	uint32_t rights = HV_MAP_ALL;

	if (v == VTL0) {
		(void)pthread_mutex_lock(&part->prot_lock);
		rights = mem_host_rights(&part->mem, gpa);
		(void)pthread_mutex_unlock(&part->prot_lock);
	}
	return (rights & need) == need ? mem_host_ptr(&part->mem, gpa, KEEL_PAGE_SIZE) : NULL;
}

/* --- the end ---------------------------------------------------------------------------------- */

void part_end(struct hvpart *part, enum session_end end, const char *fmt, ...)
{
	const uint64_t one = 1;
	va_list ap;

	(void)pthread_mutex_lock(&part->end_lock);
	if (!part->ended) {
		part->ended = true;
		part->end = end;
		va_start(ap, fmt);
		(void)vsnprintf(part->end_text, sizeof(part->end_text), fmt, ap);
		va_end(ap);
	}
	(void)pthread_mutex_unlock(&part->end_lock);
	atomic_store(&part->stopping, true);
	(void)!write(part->end_fd, &one, sizeof(one));
	for (uint32_t i = 0; i < part->n_vps; i++)
		part_kick(&part->vps[i]);
}

/* --- keeping VPs out of VTL0 ------------------------------------------------------------------ */

void part_kick(struct hvvp *vp)
{
	int tid = atomic_load(&vp->tid);

	/* Either the thread sees the reason before it enters, or this flag makes the entry fail, or
	 * the signal ends it. */
	__atomic_store_n(&vp->vtl[VTL0].cpu.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&vp->vtl[VTL2].cpu.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (tid && atomic_load(&vp->running) != RUN_NONE)
		(void)syscall(SYS_tgkill, getpid(), tid, VP_HOST_SIGNAL);
	(void)pthread_mutex_lock(&vp->part->hold_lock);
	if (vp->waiting)
		(void)pthread_cond_broadcast(&vp->part->hold_cond);
	(void)pthread_mutex_unlock(&vp->part->hold_lock);
}

static bool somebody_inside(struct hvpart *part)
{
	for (uint32_t i = 0; i < part->n_vps; i++) {
		if (atomic_load(&part->vps[i].running) == RUN_VTL0)
			return true;
	}
	return false;
}

void part_hold(struct hvpart *part)
{
	(void)atomic_fetch_add(&part->holds, 1);
	for (uint32_t i = 0; i < part->n_vps; i++) {
		if (atomic_load(&part->vps[i].running) == RUN_VTL0)
			part_kick(&part->vps[i]);
	}
	(void)pthread_mutex_lock(&part->hold_lock);
	while (somebody_inside(part))
		(void)pthread_cond_wait(&part->hold_cond, &part->hold_lock);
	(void)pthread_mutex_unlock(&part->hold_lock);
}

void part_release(struct hvpart *part)
{
	(void)pthread_mutex_lock(&part->hold_lock);
	(void)atomic_fetch_sub(&part->holds, 1);
	(void)pthread_cond_broadcast(&part->hold_cond);
	(void)pthread_mutex_unlock(&part->hold_lock);
}
