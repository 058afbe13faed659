/* SPDX-License-Identifier: MIT */
/*
 * The partition and its virtual processors: the state every module of the KVM core shares.
 *
 * Threads. Each VP has one thread that runs either its VTL2 or its VTL0 vCPU; unless a member says
 * otherwise it belongs to that thread. The device thread (VMBus, consoles) only reaches a VP
 * through the SynIC functions. Memory protections change while every VTL0 vCPU is held outside.
 * Trust: whatever comes from VTL2 or VTL0, registers and memory alike, is hostile.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "gmem.h"
#include "hvmsg.h"
#include "hvmsr.h"
#include "hvcall.h"
#include "kvm_sys.h"
#include "macros.h"
#include "mem_host.h"
#include "session.h"

struct com3;
struct pci_host;
struct vmbus_host;

#define HVVP_PIO_LENS 16

/* Index of a VTL in our arrays, and its number for the guest. */
enum vtl_index { VTL0, VTL2, VTL_COUNT };
#define VTL_NUMBER(i) ((uint8_t)((i) == VTL2 ? 2 : 0))

/* What the VP's thread is inside of. */
enum vp_running { RUN_NONE, RUN_VTL0, RUN_VTL2 };

/* One VTL's SynIC of one VP. The lock covers slots and registers; any thread. */
struct synic {
	pthread_mutex_t lock;
	uint64_t scontrol, siefp, simp;
	uint64_t sint[HV_SINT_COUNT];
	struct hv_message *msgs; /* SIMP page, or NULL */
	uint8_t *flags; /* SIEFP page, or NULL */
	uint16_t wanted; /* SINTs whose poster waits for a free slot */
};

struct stimer {
	uint64_t config;
	uint64_t count; /* reference time in 100 ns, or period */
	uint64_t deadline; /* reference time; 0 = not running */
};

/* One VTL of one VP. */
struct vtl_vp {
	struct kvm_cpu cpu;
	uint64_t assist_msr;
	struct hv_assist_page *assist; /* or NULL */
	struct synic synic;
	uint64_t crash[5];
};

/* How an intercept that VTL2 is working on ends. */
enum icpt_kind {
	ICPT_NONE,
	ICPT_PIO_IN,
	ICPT_PIO_OUT,
	ICPT_MMIO_READ,
	ICPT_MMIO_WRITE,
	ICPT_MSR_READ,
	ICPT_MSR_WRITE,
	ICPT_CPUID, /* question before VTL0's first instruction */
	ICPT_DETACHED, /* nothing pending in KVM: VTL2's registers are final */
	ICPT_HYPERCALL, /* at the hypercall page's OUT */
};

/*
 * The access in progress. VTL2 sees registers that describe the start of one instruction of
 * `ilen` bytes at `rip`; KVM's own view of the same moment is kept here and put back.
 */
struct icpt {
	enum icpt_kind kind;
	uint64_t rip; /* shown to VTL2 */
	uint8_t ilen;
	uint64_t k_rip, k_rax; /* KVM's */
	uint64_t shown_rax; /* what VTL2 saw in RAX */
	uint8_t size; /* bytes of the present piece */
	uint32_t done, total; /* bytes of a split access */
	uint8_t *data; /* in the run structure */
	gpa_t gpa;
	uint64_t gva_page; /* pretended translation, valid for MMIO kinds */
	gpa_t gpa_page;
	uint32_t leaf; /* ICPT_CPUID: which */
};

struct hvpart;

struct hvvp {
	struct hvpart *part;
	uint32_t index; /* = APIC id */
	pthread_t thread;
	struct vtl_vp vtl[VTL_COUNT];

	/* Other threads write these. */
	_Atomic int running; /* enum vp_running */
	_Atomic bool vtl2_intr; /* VTL2's APIC may have something */
	_Atomic bool timer_fired;
	_Atomic bool started; /* VTL2 was told where to begin */
	_Atomic int tid; /* 0 = no thread */
	_Atomic bool waiting; /* on part->hold_cond */

	bool in_vtl0;
	bool fpu_lent; /* VTL2 works on VTL0's vector registers */
	bool op_pending; /* KVM completes an access of VTL0's vCPU when that runs next */
	_Atomic bool vtl2_enabled, start_claimed;
	struct hv_vp_context start_ctx; /* valid once started, if not the BSP */
	bool start_from_ctx;

	struct hv_register_page *reg_page; /* or NULL */
	uint64_t reg_page_msr;
	struct icpt icpt;
	/* What VTL2 wants of VTL0 at the next entry. */
	uint64_t deliver; /* HVREG_DELIVERABILITY */
	uint64_t event[4]; /* HVREG_PENDING_EVENT0/1 */
	uint64_t secure_config;
	uint64_t vtl2_rip, vtl2_rsp; /* where VTL2 was when it last ran */
	uint32_t fault_repeats; /* accesses in a row refused by KVM for no reason we see */
	/* Lengths of port instructions by address: drivers use few. A stale one does no harm,
	 * because KVM completes the instruction with its own. */
	struct {
		uint64_t rip;
		uint8_t ilen;
	} pio_len[HVVP_PIO_LENS];
	struct kvm_regs saved; /* ICPT_CPUID: VTL0's registers meanwhile */

	struct stimer stimer[HV_STIMER_COUNT]; /* VTL2's */
	timer_t timer;
	bool has_timer;

	/* Hypercall parameters. */
	uint8_t hc_in[KEEL_PAGE_SIZE], hc_out[KEEL_PAGE_SIZE];

	uint64_t exits[VTL_COUNT][16]; /* by enum session_exit */
};

/* Partition-wide state of one VTL. MSR writes come from any VP. */
struct part_vtl {
	int vm;
	_Atomic uint64_t guest_os_id;
	_Atomic uint64_t hypercall;
	_Atomic uint64_t ref_tsc;
	/* Linear addresses at which the page's entries were found: normal call, VTL return. */
	_Atomic uint64_t call_rip, return_rip;
};

struct cpuid_leaf {
	uint32_t eax, ebx, ecx, edx;
};

struct hvpart {
	/* Fixed once VPs run. */
	struct kvm_sys sys;
	uint32_t n_vps;
	bool faithful;
	struct hvvp *vps;
	struct mem_host mem;
	bool isolated; /* by VBS: mem.isolated too */
	struct gmem *gm;
	struct gmem *host_gm; /* as the host sees it: private pages give -EFAULT; may be = gm */
	struct vmbus_host *vmbus;
	struct pci_host *pci; /* VTL2's devices; may be NULL */
	struct com3 *com3;
	bool vtl2_console; /* somebody watches COM3: VTL2 is told of it */
	uint64_t tsc_hz, tsc_scale, tsc_base;
	uint64_t start_ns;

	struct part_vtl vtl[VTL_COUNT];
	_Atomic uint64_t vsm_config;

	/* Intercepts VTL2 installed: enum hv_intercept_type; ports one bit each. */
	_Atomic uint64_t pio_read[1024], pio_write[1024];
	_Atomic uint32_t msr_access, eoi_access, unknown_conn, retarget;

	/* Level-triggered vectors whose end VTL2 wants to see. */
	pthread_mutex_t route_lock;
	struct {
		uint32_t vector, dest;
		bool logical;
	} route[KVM_SYS_PINS];
	uint32_t n_routes, next_route;

	/* Everybody out of VTL0: see part_hold(). */
	pthread_mutex_t hold_lock;
	pthread_cond_t hold_cond;
	_Atomic uint32_t holds;
	pthread_mutex_t prot_lock; /* one change of protections at a time */

	/* Questions VTL2 answers once: leaves 0x40000080..82 of VTL0. */
	struct cpuid_leaf vs_leaf[3];
	_Atomic bool cpuid_ready;

	/* The end. */
	_Atomic bool stopping;
	pthread_mutex_t end_lock;
	bool ended;
	enum session_end end;
	char end_text[256];
	char *panic_text; /* what VTL2's crash registers said, or NULL; allocated */
	int end_fd; /* eventfd, readable once ended */

	_Atomic uint64_t kernel_entry_ns;
	_Atomic uint64_t vtl2_memory_hits; /* VTL0 accesses to VTL2 memory that were caught */
};

/* In partition.c. */

struct part_cfg {
	uint32_t vps;
	bool faithful;
	bool isolated;
};

/**
 * part_create - VMs, vCPUs, CPUID; memory follows with mem_host_create()
 * @ret_why: on failure a static sentence
 * Returns: 0, -errno. Context: before VP threads exist.
 */
must_check int part_create(struct hvpart *part, const struct part_cfg *cfg, const char **ret_why);
void part_destroy(struct hvpart *part);

/**
 * part_end - the session is over; the first reason wins
 * Context: any thread. VP threads stop soon afterwards.
 */
void part_end(struct hvpart *part, enum session_end end, const char *fmt, ...) printf_like(3, 4);

/* Time since part_create() in 100 ns, the same for every VTL and VP. Any thread. */
uint64_t part_ref_time(const struct hvpart *part);

/**
 * part_hold / part_release - keep every VP out of VTL0
 * part_hold() returns when none is inside. Context: VP thread that is itself in VTL2, or set-up.
 * Holds nest and may come from several VPs at once.
 */
void part_hold(struct hvpart *part);
void part_release(struct hvpart *part);

/* Make the VP's thread look around: leave the guest, or stop waiting. Any thread. */
void part_kick(struct hvvp *vp);

/**
 * part_page - our address of a page a VTL asks us to use (SynIC pages, hypercall page, ...)
 * Returns: NULL when it is not RAM, or when VTL0 may not write it. Context: any thread.
 */
void *part_page(struct hvpart *part, enum vtl_index v, gpa_t gpa);

/* Find the VP of an index. NULL: there is none. */
static inline struct hvvp *part_vp(struct hvpart *part, uint32_t index)
{
	return index < part->n_vps ? &part->vps[index] : NULL;
}

/* Registers of the VTL as KVM last reported them; written back at the next entry if dirty. */
static inline struct kvm_regs *vp_regs(struct hvvp *vp, enum vtl_index v)
{
	return &vp->vtl[v].cpu.run->s.regs.regs;
}

static inline struct kvm_sregs *vp_sregs(struct hvvp *vp, enum vtl_index v)
{
	return &vp->vtl[v].cpu.run->s.regs.sregs;
}

static inline void vp_dirty(struct hvvp *vp, enum vtl_index v, uint64_t what)
{
	vp->vtl[v].cpu.run->kvm_dirty_regs |= what;
}

static inline bool part_pio_wanted(const _Atomic uint64_t *bits, uint16_t port)
{
	return atomic_load_explicit(&bits[port / 64], memory_order_relaxed) >> (port % 64) & 1;
}
