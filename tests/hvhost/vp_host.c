/* SPDX-License-Identifier: MIT */
#include "vp_host.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "com3.h"
#include "hcpage.h"
#include "hvcall_host.h"
#include "hvregs.h"
#include "intercept.h"
#include "log.h"
#include "msr_host.h"
#include "pci_host.h"
#include "regs_host.h"
#include "stimer_host.h"
#include "synic_host.h"
#include "vtl_sw.h"

#define LOG_AREA "vp"

#define DRAIN_MAX 64
#define LOOK_AROUND_NS 20000000
#define NS_PER_SEC 1000000000
#define OUT_IMM8_LEN 2
#define VECTOR_UD 6
#define VECTOR_DB 1
#define VECTOR_PF 14

static _Thread_local struct hvvp *self;

/* Only marks: the thread is about to enter a guest, or inside, and will look. */
static void on_signal(int sig, siginfo_t *si, void *uc)
{
	struct hvvp *vp = self;

	(void)sig;
	(void)uc;
	if (!vp)
		return;
	if (si->si_code == SI_TIMER)
		atomic_store(&vp->timer_fired, true);
	vp->vtl[VTL0].cpu.run->immediate_exit = 1;
	vp->vtl[VTL2].cpu.run->immediate_exit = 1;
}

int vp_host_init(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_signal;
	sa.sa_flags = SA_SIGINFO;
	return sigaction(VP_HOST_SIGNAL, &sa, NULL) < 0 ? -errno : 0;
}

static bool stopping(const struct hvvp *vp)
{
	return atomic_load(&vp->part->stopping);
}

static int enter(struct hvvp *vp, enum vtl_index v)
{
	return kvm_ioctl_val(vp->vtl[v].cpu.fd, KVM_RUN, 0);
}

/* The reasons for leaving are looked at after this, so none is lost. */
static void rearm(struct hvvp *vp)
{
	__atomic_store_n(&vp->vtl[VTL0].cpu.run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&vp->vtl[VTL2].cpu.run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	stimer_host_poll(vp);
}

void vp_host_drain(struct hvvp *vp, enum vtl_index v)
{
	struct kvm_run *run = vp->vtl[v].cpu.run;
	struct kvm_regs regs = run->s.regs.regs;
	struct kvm_sregs sregs = run->s.regs.sregs;
	uint64_t dirty = run->kvm_dirty_regs;

	run->kvm_dirty_regs = 0;
	for (unsigned int i = 0; i < DRAIN_MAX; i++) {
		run->immediate_exit = 1;
		if (enter(vp, v) < 0)
			break; /* EINTR: nothing is pending any more */
	}
	rearm(vp);
	run->s.regs.regs = regs;
	run->s.regs.sregs = sregs;
	run->kvm_dirty_regs = dirty | KVM_SYNC_X86_REGS;
	if (v == VTL0)
		vp->op_pending = false;
}

void vp_host_exception(struct hvvp *vp, enum vtl_index v, uint8_t vector, bool has_error,
		       uint32_t error)
{
	int fd = vp->vtl[v].cpu.fd, r;
	struct kvm_vcpu_events ev;

	r = regs_host_flush(vp, v);
	if (r == 0)
		r = kvm_ioctl(fd, KVM_GET_VCPU_EVENTS, &ev);
	if (r == 0) {
		ev.exception.injected = 1;
		ev.exception.pending = 0;
		ev.exception.nr = vector;
		ev.exception.has_error_code = has_error;
		ev.exception.error_code = error;
		ev.flags = 0;
		r = kvm_ioctl(fd, KVM_SET_VCPU_EVENTS, &ev);
	}
	if (r < 0)
		log_warn_rl(ALLOWED, "vp %u: exception %u for VTL%u not raised (%d)", vp->index,
			    vector, VTL_NUMBER(v), r);
}

/* --- VTL2 ------------------------------------------------------------------------------------- */

static void vtl2_port(struct hvvp *vp, uint16_t port, uint8_t size, bool in, uint8_t *data)
{
	bool console = port >= COM3_BASE && port < COM3_BASE + COM3_PORTS && size == 1;

	if (!in) {
		if (console)
			com3_write(vp->part->com3, port - COM3_BASE, *data);
		return;
	}
	if (console)
		*data = com3_read(vp->part->com3, port - COM3_BASE);
	else
		memset(data, 0xff, size);
}

static bool vtl2_call(struct hvvp *vp, uint16_t port)
{
	struct kvm_run *run = vp->vtl[VTL2].cpu.run;
	uint64_t rip = run->s.regs.regs.rip - (vp->part->sys.out_advances ? OUT_IMM8_LEN : 0);

	if (run->io.size != 4 || !hcpage_is_ours(vp, VTL2, port, rip))
		return false;
	switch (port) {
	case HCPAGE_PORT:
		vp_count(vp, VTL2, SESSION_EXIT_HYPERCALL);
		hvcall_host_vtl2(vp);
		return true;
	case HCPAGE_PORT_RETURN:
		vp_count(vp, VTL2, SESSION_EXIT_VTL_RETURN);
		vtl_sw_return(vp);
		return true;
	default: /* there is no VTL above */
		vp_host_drain(vp, VTL2);
		vp_host_exception(vp, VTL2, VECTOR_UD, false, 0);
		return true;
	}
}

static void vtl2_io(struct hvvp *vp)
{
	struct kvm_run *run = vp->vtl[VTL2].cpu.run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool in = run->io.direction == KVM_EXIT_IO_IN;
	uint16_t port = run->io.port;

	if (!in && port >= HCPAGE_PORT && port <= HCPAGE_PORT_CALL && vtl2_call(vp, port))
		return;
	vp_count(vp, VTL2, SESSION_EXIT_PIO);
	for (uint32_t i = 0; i < run->io.count; i++)
		vtl2_port(vp, port, run->io.size, in, data + (size_t)i * run->io.size);
}

static void vtl2_msr(struct hvvp *vp, bool write)
{
	struct kvm_run *run = vp->vtl[VTL2].cpu.run;
	uint64_t val = run->msr.data;
	int r;

	vp_count(vp, VTL2, SESSION_EXIT_MSR);
	r = write ? msr_host_write(vp, VTL2, run->msr.index, val)
		  : msr_host_read(vp, VTL2, run->msr.index, &val);
	if (r < 0)
		log_debug_rl(ALLOWED, "vp %u: VTL2 %s MSR %#x: #GP", vp->index,
			     write ? "wrote" : "read", run->msr.index);
	run->msr.data = val;
	run->msr.error = r < 0;
}

static void vtl2_dead(struct hvvp *vp, const char *what)
{
	const struct kvm_regs *r = vp_regs(vp, VTL2);

	/* After a triple fault KVM shows reset values: where it last left for us says more. */
	vp_count(vp, VTL2, SESSION_EXIT_SHUTDOWN);
	part_end(vp->part, SESSION_VTL2_CRASH,
		 "VTL2 stopped on VP %u: %s at RIP %#llx, RSP %#llx, last seen at %#llx, %#llx",
		 vp->index, what, (unsigned long long)r->rip, (unsigned long long)r->rsp,
		 (unsigned long long)vp->vtl2_rip, (unsigned long long)vp->vtl2_rsp);
}

/* Isolated partition: VTL2 has only what it accepted. */
static void vtl2_unaccepted(struct hvvp *vp, gpa_t gpa)
{
	part_end(vp->part, SESSION_VTL2_CRASH,
		 "VTL2 touched memory at %#llx on VP %u that it has not accepted, at RIP %#llx",
		 (unsigned long long)gpa, vp->index, (unsigned long long)vp_regs(vp, VTL2)->rip);
}

static void vtl2_mmio(struct hvvp *vp)
{
	struct kvm_run *run = vp->vtl[VTL2].cpu.run;
	uint64_t addr = run->mmio.phys_addr;

	vp_count(vp, VTL2, SESSION_EXIT_MMIO);
	if (mem_host_ptr(&vp->part->mem, addr, 1))
		vtl2_unaccepted(vp, addr);
	else if (!pci_host_mmio(vp->part->pci, addr, MIN(run->mmio.len, 8u), run->mmio.is_write,
				run->mmio.data))
		log_debug_rl(ALLOWED, "vp %u: VTL2 touched %#llx, where nothing is", vp->index,
			     (unsigned long long)addr);
}

static void vtl2_exit(struct hvvp *vp)
{
	struct kvm_run *run = vp->vtl[VTL2].cpu.run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		vtl2_io(vp);
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		vtl2_msr(vp, run->exit_reason == KVM_EXIT_X86_WRMSR);
		break;
	case KVM_EXIT_MMIO:
		vtl2_mmio(vp);
		break;
	case KVM_EXIT_SHUTDOWN:
		vtl2_dead(vp, "triple fault");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vtl2_dead(vp, "an instruction KVM cannot run");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vtl2_dead(vp, "KVM refuses its state");
		break;
	default:
		vp_count(vp, VTL2, SESSION_EXIT_OTHER);
		break;
	}
}

static void run_vtl2(struct hvvp *vp)
{
	int r;

	atomic_store(&vp->running, RUN_VTL2);
	if (stopping(vp)) {
		atomic_store(&vp->running, RUN_NONE);
		return;
	}
	vp->vtl2_rip = vp_regs(vp, VTL2)->rip;
	vp->vtl2_rsp = vp_regs(vp, VTL2)->rsp;
	r = enter(vp, VTL2);
	atomic_store_explicit(&vp->running, RUN_NONE, memory_order_release);
	if (r == 0) {
		vtl2_exit(vp);
	} else if (r == -EINTR || r == -EAGAIN) {
		vp_count(vp, VTL2, SESSION_EXIT_KICK);
		rearm(vp);
	} else {
		log_err(ALLOWED, "vp %u: KVM_RUN for VTL2: %d", vp->index, r);
		vtl2_dead(vp, "KVM cannot run it");
	}
}

/* --- VTL0 ------------------------------------------------------------------------------------- */

/* An event VTL2 asked for. Registers are final; nothing is pending in KVM. */
static void inject(struct hvvp *vp)
{
	uint64_t q0 = vp->event[0], q1 = vp->event[1];
	uint8_t vector = (uint8_t)(q0 >> 16);
	struct kvm_interrupt irq = { .irq = (uint8_t)(q0 >> 8) };
	struct kvm_debugregs dr;
	int fd = vp->vtl[VTL0].cpu.fd;

	vp->event[0] = 0;
	if (HV_PENDING_EVENT_TYPE(q0) << 1 == HV_PENDING_EVENT_EXTINT) {
		int r = kvm_ioctl(fd, KVM_INTERRUPT, &irq);

		if (r == -EEXIST) /* one is still waiting in KVM: again at the next window */
			vp->event[0] = q0;
		else if (r < 0)
			log_warn_rl(ALLOWED, "vp %u: external interrupt %u lost (%d)", vp->index,
				    irq.irq, r);
		return;
	}
	if (vector == VECTOR_PF) {
		vp_sregs(vp, VTL0)->cr2 = q1;
		vp_dirty(vp, VTL0, KVM_SYNC_X86_SREGS);
	} else if (vector == VECTOR_DB && kvm_ioctl(fd, KVM_GET_DEBUGREGS, &dr) == 0) {
		dr.dr6 |= q1;
		(void)kvm_ioctl(fd, KVM_SET_DEBUGREGS, &dr);
	}
	vp_host_exception(vp, VTL0, vector, q0 & HV_PENDING_EXC_HAS_ERROR, (uint32_t)(q0 >> 32));
}

/* What VTL2 wants to hear of. True: it does now, VTL2 runs next. */
static bool notify(struct hvvp *vp)
{
	struct kvm_run *run = vp->vtl[VTL0].cpu.run;
	uint16_t armed = (uint16_t)(vp->deliver >> HV_DELIVER_SINT_SHIFT);
	uint16_t freed = synic_host_freed(vp, VTL0) & armed;

	if (freed) {
		vp->deliver &= ~((uint64_t)freed << HV_DELIVER_SINT_SHIFT);
		icpt_sints_free(vp, freed);
		return true;
	}
	/* A halted processor never reaches a window: what the last exit said still holds for it. */
	if ((vp->deliver & HV_DELIVER_INTERRUPT) && run->ready_for_interrupt_injection &&
	    run->if_flag) {
		vp->deliver &= ~HV_DELIVER_INTERRUPT;
		icpt_extint_window(vp);
		return true;
	}
	return false;
}

static void tell_holders(struct hvpart *part)
{
	(void)pthread_mutex_lock(&part->hold_lock);
	(void)pthread_cond_broadcast(&part->hold_cond);
	(void)pthread_mutex_unlock(&part->hold_lock);
}

/* A timer's signal does not end a wait for a condition: look around now and then. */
static void wait_a_while(struct hvpart *part)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += LOOK_AROUND_NS;
	if (ts.tv_nsec >= NS_PER_SEC) {
		ts.tv_nsec -= NS_PER_SEC;
		ts.tv_sec++;
	}
	(void)pthread_cond_timedwait(&part->hold_cond, &part->hold_lock, &ts);
}

/* Not inside VTL0, because somebody holds everybody out, or VTL2 has an interrupt, or the end. */
static void stay_out(struct hvvp *vp)
{
	struct hvpart *part = vp->part;

	(void)pthread_mutex_lock(&part->hold_lock);
	(void)pthread_cond_broadcast(&part->hold_cond);
	vp->waiting = true;
	while (atomic_load(&part->holds) && !stopping(vp) && !atomic_load(&vp->timer_fired) &&
	       (vp->op_pending || !atomic_load(&vp->vtl2_intr)))
		wait_a_while(part);
	vp->waiting = false;
	(void)pthread_mutex_unlock(&part->hold_lock);
	rearm(vp);
	if (!vp->op_pending && atomic_load(&vp->vtl2_intr) && !stopping(vp))
		vtl_sw_enter(vp, HV_VTL_ENTRY_INTERRUPT);
}

static void vtl0_internal_error(struct hvvp *vp)
{
	const struct kvm_run *run = vp->vtl[VTL0].cpu.run;

	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		icpt_fault_exit(vp);
		return;
	}
	log_warn_rl(ALLOWED, "vp %u: KVM gave up on VTL0 (%u)", vp->index, run->internal.suberror);
	icpt_shutdown_exit(vp);
}

static void vtl0_exit(struct hvvp *vp)
{
	struct kvm_run *run = vp->vtl[VTL0].cpu.run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		icpt_pio_exit(vp);
		break;
	case KVM_EXIT_MMIO:
		icpt_mmio_exit(vp);
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		icpt_msr_exit(vp, run->exit_reason == KVM_EXIT_X86_WRMSR);
		break;
	case KVM_EXIT_IOAPIC_EOI:
		icpt_eoi_exit(vp, run->eoi.vector);
		break;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		vp_count(vp, VTL0, SESSION_EXIT_IRQ_WINDOW);
		break; /* notify() sees the flags */
	case KVM_EXIT_INTERNAL_ERROR:
		vtl0_internal_error(vp);
		break;
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_FAIL_ENTRY:
		icpt_shutdown_exit(vp);
		break;
	default:
		vp_count(vp, VTL0, SESSION_EXIT_OTHER);
		log_warn_rl(ALLOWED, "vp %u: exit %u of VTL0", vp->index, run->exit_reason);
		break;
	}
}

static void vtl0_failed(struct hvvp *vp, int r)
{
	if (r == -EINTR || r == -EAGAIN) {
		vp_count(vp, VTL0, SESSION_EXIT_KICK);
		rearm(vp);
	} else if (r == -EFAULT && vp->part->faithful) {
		icpt_fault_exit(vp);
	} else {
		log_warn_rl(ALLOWED, "vp %u: KVM_RUN for VTL0: %d", vp->index, r);
		vp->vtl[VTL0].cpu.run->kvm_dirty_regs = 0;
		icpt_shutdown_exit(vp);
	}
}

/* Is there to be an exit as soon as VTL0 can take an interrupt? */
static uint8_t wants_window(const struct hvvp *vp)
{
	return (vp->deliver & HV_DELIVER_INTERRUPT) || (vp->event[0] & HV_PENDING_EVENT_PENDING);
}

static void run_vtl0(struct hvvp *vp)
{
	struct hvpart *part = vp->part;
	struct kvm_run *run = vp->vtl[VTL0].cpu.run;
	int r;

	if (!vp->op_pending) {
		if (vp->event[0] & HV_PENDING_EVENT_PENDING)
			inject(vp);
		if (notify(vp))
			return;
	}
	run->request_interrupt_window = wants_window(vp);
	atomic_store(&vp->running, RUN_VTL0);
	if (atomic_load(&part->holds) || stopping(vp) ||
	    (!vp->op_pending && atomic_load(&vp->vtl2_intr))) {
		atomic_store(&vp->running, RUN_NONE);
		stay_out(vp);
		return;
	}
	if (vp->op_pending && atomic_load(&vp->vtl2_intr))
		run->immediate_exit = 1; /* only finish the access */
	r = enter(vp, VTL0);
	atomic_store(&vp->running, RUN_NONE);
	if (atomic_load_explicit(&part->holds, memory_order_relaxed))
		tell_holders(part);
	vp->op_pending = false;
	if (r == 0)
		vtl0_exit(vp);
	else
		vtl0_failed(vp, r);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void wait_for_start(struct hvvp *vp)
{
	struct hvpart *part = vp->part;

	(void)pthread_mutex_lock(&part->hold_lock);
	vp->waiting = true;
	while (!atomic_load(&vp->started) && !stopping(vp))
		(void)pthread_cond_wait(&part->hold_cond, &part->hold_lock);
	vp->waiting = false;
	(void)pthread_mutex_unlock(&part->hold_lock);
}

static int begin(struct hvvp *vp)
{
	int r;

	if (stopping(vp))
		return 0;
	if (vp->start_from_ctx) {
		r = regs_host_start(vp, &vp->start_ctx);
		if (r < 0) /* VTL2's own doing */
			part_end(vp->part, SESSION_VTL2_CRASH,
				 "VTL2 started VP %u with impossible registers", vp->index);
		return r;
	}
	return 0;
}

static void *vp_thread(void *ctx)
{
	struct hvvp *vp = ctx;
	sigset_t set;
	int r;

	self = vp;
	(void)sigfillset(&set);
	(void)sigdelset(&set, VP_HOST_SIGNAL);
	(void)sigdelset(&set, SIGSEGV);
	(void)sigdelset(&set, SIGBUS);
	(void)pthread_sigmask(SIG_SETMASK, &set, NULL);
	atomic_store(&vp->tid, (int)syscall(SYS_gettid));
	r = stimer_host_init(vp);
	if (r < 0)
		part_end(vp->part, SESSION_START_FAILED, "no timer for VP %u: %s", vp->index,
			 strerror(-r));
	wait_for_start(vp);
	r = begin(vp);
	while (r == 0 && !stopping(vp)) {
		if (vp->in_vtl0)
			run_vtl0(vp);
		else
			run_vtl2(vp);
	}
	stimer_host_fini(vp);
	atomic_store(&vp->tid, 0);
	self = NULL;
	return NULL;
}

int vp_host_start(struct hvvp *vp)
{
	return -pthread_create(&vp->thread, NULL, vp_thread, vp);
}

void vp_host_join(struct hvvp *vp)
{
	(void)pthread_join(vp->thread, NULL);
}

void vp_host_go(struct hvvp *vp)
{
	(void)pthread_mutex_lock(&vp->part->hold_lock);
	atomic_store(&vp->started, true);
	(void)pthread_cond_broadcast(&vp->part->hold_cond);
	(void)pthread_mutex_unlock(&vp->part->hold_lock);
}
